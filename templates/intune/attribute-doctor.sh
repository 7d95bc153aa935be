#!/bin/sh
# Intune custom attribute "Claude telemetry: doctor": what the last run found, without running it again.
PATH=$PATH:/usr/local/bin
status=$(claude-telemetry-agent status --json 2>/dev/null)
value() {
    printf '%s' "$status" | plutil -extract "doctor.$1" raw -o - - 2>/dev/null
}
if ran_at=$(value ran_at); then
    echo "$(value failed) failed, $(value warned) warned, $ran_at"
else
    echo ''
fi
exit 0
