#!/bin/sh
# The way back, in one command: stops the agent, puts Claude Code's settings back, removes the package.
#
#   uninstall.sh            keeps the configuration and what was not delivered yet
#   uninstall.sh --purge    keeps nothing
set -eu

purge=no
case "${1:-}" in
'') ;;
--purge) purge=yes ;;
*)
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
if [ "$(id -u)" -ne 0 ]; then
    printf 'uninstall: needs root\n  fix: run it with sudo\n' >&2
    exit 1
fi

name=claude-telemetry-agent

# rpm has no purge. Originals of settings that could not be put back are the administrator's.
remove_rpm() {
    rpm -e "$name"
    [ "$purge" = yes ] || return 0
    if [ -z "$(find /var/lib/claude-telemetry-settings -name '*.first' 2>/dev/null)" ]; then
        rm -rf /var/lib/claude-telemetry-settings
    fi
    rm -rf /var/lib/claude-telemetry /run/claude-telemetry
    if [ -e /etc/claude-telemetry/server.yaml ]; then
        rm -f /etc/claude-telemetry/agent.yaml* /etc/claude-telemetry/enrollment-secret
    else
        rm -rf /etc/claude-telemetry
        userdel claude-telemetry 2>/dev/null || true
    fi
}

if command -v dpkg-query >/dev/null && dpkg-query -W "$name" >/dev/null 2>&1; then
    if [ "$purge" = yes ]; then dpkg -P "$name"; else dpkg -r "$name"; fi
elif command -v rpm >/dev/null && rpm -q "$name" >/dev/null 2>&1; then
    remove_rpm
else
    echo "uninstall: $name is not installed"
fi
