#!/usr/bin/env bash
# make run: recorded telemetry through relay, spool and server, on this machine, below build/run.
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 scripts/demo.py ${ONCE:+--once} "$@"
