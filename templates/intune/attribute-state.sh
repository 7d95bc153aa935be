#!/bin/sh
# Intune custom attribute "Claude telemetry: state": one line, "healthy, …" when all is well.
PATH=$PATH:/usr/local/bin
if ! command -v claude-telemetry-agent >/dev/null; then
    echo 'not installed'
    exit 0
fi
said=$(claude-telemetry-agent status --brief 2>/dev/null | head -n 1)
echo "${said:-not running}"
exit 0
