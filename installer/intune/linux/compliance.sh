#!/bin/sh
# Intune custom compliance for Linux: discovery script. Runs as the signed-in user, prints one line of JSON
# for the rules in compliance.json, and holds no address of a person.
installed=false running=false healthy=false
if command -v claude-telemetry-agent >/dev/null; then
    installed=true
    if said=$(claude-telemetry-agent status --brief 2>/dev/null); then
        healthy=true
    fi
    case "$said" in
    '' | 'not running'*) ;;
    *) running=true ;;
    esac
fi
printf '{"AgentInstalled":%s,"AgentRunning":%s,"AgentHealthy":%s}\n' "$installed" "$running" "$healthy"
