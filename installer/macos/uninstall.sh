#!/bin/sh
# The way back, in one command: stops the agent, puts Claude Code's settings back, removes the programs.
#
#   uninstall.sh            keeps the configuration and what was not delivered yet
#   uninstall.sh --purge    keeps nothing
set -eu

purge=no
case "${1:-}" in
'') ;;
--purge) purge=yes ;;
/*) ;; # Jamf gives every script the mount point first
*)
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
[ "${4:-}" != --purge ] || purge=yes
if [ "$(id -u)" -ne 0 ]; then
    printf 'uninstall: needs root\n  fix: run it with sudo\n' >&2
    exit 1
fi

label=com.claude-telemetry.agent
home='/Library/Application Support/ClaudeTelemetry'
agent=/usr/local/bin/claude-telemetry-agent

launchctl bootout "system/$label" 2>/dev/null || true
put_back=yes
if [ -x "$agent" ] && ! "$agent" revert >/dev/null; then
    put_back=no
    echo "uninstall: Claude Code's settings could not all be put back" >&2
    echo "  fix: what was there before is kept in $home/state/settings" >&2
fi
rm -f "/Library/LaunchDaemons/$label.plist" "$agent" /usr/local/bin/claude-telemetry-doctor
rm -rf '/Applications/Claude Telemetry.app'
if [ "$purge" = yes ]; then
    # Originals of settings that could not be put back are the administrator's.
    if [ "$put_back" = no ]; then
        find "$home" -mindepth 1 -maxdepth 1 ! -name state -exec rm -rf {} +
        find "$home/state" -mindepth 1 -maxdepth 1 ! -name settings -exec rm -rf {} +
    else
        rm -rf "$home"
    fi
    rm -f /Library/Logs/claude-telemetry-agent.log
else
    rm -f "$home/agent.yaml.default" "$home/LICENSE.txt" "$home/uninstall.sh"
fi
pkgutil --forget com.claude-telemetry.agent.pkg >/dev/null 2>&1 || true
exit 0
