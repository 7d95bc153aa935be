#!/usr/bin/env bash
# Hundreds of kill -9 rounds of relay and server under load. ROUNDS=300 by default; prints its seed.
set -euo pipefail
cd "$(dirname "$0")/.."
CT_ROUNDS="${ROUNDS:-300}" exec python3 tests/system/test_kill9.py
