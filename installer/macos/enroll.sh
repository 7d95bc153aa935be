#!/bin/sh
# Puts the enrolment secret in place and lets the agent enrol. A policy script for Jamf, where the secret is
# parameter 4, and a shell script for Intune, where it is written into the next line. Change the secret at the
# server when the rollout is over: parameters are seen in logs, scripts by their administrators.
SECRET=''
set -eu

secret=${4:-$SECRET}
home='/Library/Application Support/ClaudeTelemetry'
if [ -z "$secret" ]; then
    printf 'enroll: there is no secret\n  fix: give it as parameter 4, or write it into this script\n' >&2
    exit 2
fi
install -d -o root -g wheel -m 0755 "$home"
# Whole or not at all, and never readable by others on the way.
umask 077
printf '%s' "$secret" >"$home/enrollment-secret.new"
chmod 0400 "$home/enrollment-secret.new"
mv "$home/enrollment-secret.new" "$home/enrollment-secret"
if launchctl print system/com.claude-telemetry.agent >/dev/null 2>&1; then
    launchctl kickstart -k system/com.claude-telemetry.agent
fi
echo 'enrolment secret in place'
