#!/bin/sh
# Repairs what is safe and starts the agent if it does not run; for Jamf as a policy script, for Intune as a shell
# script. Prints the doctor's last line; exit code 1: something is left for a person.
set -u

label=com.claude-telemetry.agent
doctor=/usr/local/bin/claude-telemetry-doctor
if [ ! -x "$doctor" ]; then
    printf 'repair: the agent is not installed\n  fix: install the package again\n' >&2
    exit 1
fi
if ! launchctl print "system/$label" >/dev/null 2>&1; then
    launchctl enable "system/$label"
    launchctl bootstrap system "/Library/LaunchDaemons/$label.plist" || launchctl kickstart "system/$label"
fi
"$doctor" --fix >/dev/null 2>&1
said=$("$doctor" 2>&1)
code=$?
printf '%s\n' "$said" | tail -n 1
exit "$code"
