#!/bin/sh
# Intune custom attribute "Claude telemetry: last delivery", of type date: the newest delivery to any destination.
# Blank while there was none.
PATH=$PATH:/usr/local/bin
status=$(claude-telemetry-agent status --json 2>/dev/null)
newest=''
nth=0
while at=$(printf '%s' "$status" | plutil -extract "destinations.$nth.last_success_at" raw -o - - 2>/dev/null); do
    nth=$((nth + 1))
    case "$at" in
    [0-9]*T*) ;;
    *) continue ;; # never
    esac
    at=$(printf '%.19s' "$at" | tr T ' ')
    if [ "$(printf '%s\n%s\n' "$at" "$newest" | sort | tail -n 1)" = "$at" ]; then
        newest=$at
    fi
done
echo "$newest"
exit 0
