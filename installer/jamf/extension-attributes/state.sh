#!/bin/sh
# Jamf extension attribute "Claude telemetry: state": one line, "healthy, …" when all is well.
PATH=$PATH:/usr/local/bin
if ! command -v claude-telemetry-agent >/dev/null; then
    echo '<result>not installed</result>'
    exit 0
fi
said=$(claude-telemetry-agent status --brief 2>/dev/null | head -n 1)
echo "<result>${said:-not running}</result>"
exit 0
