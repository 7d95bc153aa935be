#!/usr/bin/env bash
# What takes too long for every day: kill -9 of relay and server under load (ROUNDS=300), restarts under load
# (RESTARTS=50), and outages of OUTAGE_S=180 seconds with the real clients. Each prints its seed or its figures.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export CT_ROUNDS="${ROUNDS:-300}" CT_RESTARTS="${RESTARTS:-50}" CT_OUTAGE_S="${OUTAGE_S:-180}"

status=0
run() {
  python3 -W ignore "tests/system/$1.py" "${@:2}" || status=1
}
run test_kill9
run test_relay_restart
run test_relay_trouble Trouble.test_the_backlog_of_an_outage_is_delivered_within_ten_seconds
run test_otel_js OtelJs.test_an_outage_of_the_server_is_not_seen_by_the_exporter
run test_claude_code RealClaudeCode.test_an_outage_of_the_server_loses_and_doubles_nothing
exit $status
