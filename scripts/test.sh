#!/usr/bin/env bash
# Every test that needs no special rights: unit and contract tests under the address and undefined-behaviour
# sanitizers, threads under the thread sanitizer, then whole programs: the sanitized ones driven by real clients,
# the release build's packages as their systems install them, and the recorded telemetry through the release build.
# At last the other systems (CROSS=0 leaves them out), whose libraries and programs are built meanwhile with the time
# that is left over. TRIES is how often a failing test may run: 2 in continuous integration, whose machines differ;
# all tries stand in the output.
set -euo pipefail
cd "$(dirname "$0")/.."

tries=(--repeat "until-pass:${TRIES:-1}")
cores=$(nproc)
jobs=$((cores < 4 ? cores : 4)) # tests beside each other
started=$SECONDS

# run_tests PRESET JOBS SELECTION...
run_tests() {
  local preset=$1 jobs=$2
  shift 2
  ctest --preset "$preset" --no-tests=error -j "$jobs" "${tries[@]}" "$@"
}

say() {
  echo "test: $1 after $((SECONDS - started)) s"
}

scripts/lint.sh --fast
scripts/deps.sh postgresql dpkg-dev binutils rpm wixl msitools systemd systemd-container
scripts/deps.sh --if-there clickhouse-server || echo "test: clickhouse-server does not install here: what needs it is passed over where it is missing"
if [ "${CROSS:-1}" != 0 ]; then
  scripts/windows-deps.sh --tools || true # before the rest goes on: one installation at a time
  mkdir -p build
  setsid nice -n 19 scripts/cross.sh --build >build/cross-build.log 2>&1 &
  cross=$!
  trap 'kill -- "-$cross" 2>/dev/null || true' EXIT
fi

cmake --preset asan >/dev/null
cmake --build --preset asan
cmake --preset tsan >/dev/null
cmake --build --preset tsan --target thread_tests
cmake --preset release -DCT_WERROR=ON >/dev/null
cmake --build --preset release
say "built"

run_tests asan "$jobs" -LE 'system|package|cross|rollout'
run_tests tsan 1 -L threads
say "unit tests done"
not_here='rollout'
[ "${CROSS:-1}" = 0 ] || not_here='rollout|cross'
CT_BIN=$PWD/build/asan/bin run_tests asan "$jobs" -L 'system|package' -LE "$not_here"
say "whole programs done"
ONCE=1 scripts/run.sh
[ "${CROSS:-1}" = 0 ] || scripts/cross.sh
say "all done"
