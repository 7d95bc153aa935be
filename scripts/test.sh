#!/usr/bin/env bash
# Every test that needs no special rights: unit and contract tests under the address and undefined-behaviour
# sanitizers, threads under the thread sanitizer, then whole programs: the sanitized ones driven by real clients,
# the release build's packages as their systems install them, and the recorded telemetry through the release build.
# At last the other systems (CROSS=0 leaves them out). TRIES is how often a failing test may run: 2 in continuous
# integration, whose machines differ; both tries stand in the output.
set -euo pipefail
cd "$(dirname "$0")/.."

tries=(--repeat "until-pass:${TRIES:-1}")

scripts/deps.sh postgresql
scripts/deps.sh --if-there clickhouse-server
scripts/lint.sh --fast
for preset in asan tsan; do
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset"
done
cmake --preset release -DCT_WERROR=ON >/dev/null
cmake --build --preset release

ctest --preset asan -LE 'system|package|cross|rollout' --no-tests=error -j2 "${tries[@]}"
ctest --preset tsan -L threads --no-tests=error "${tries[@]}"
CT_BIN=$PWD/build/asan/bin ctest --preset asan -L system --no-tests=error "${tries[@]}"
scripts/deps.sh dpkg-dev binutils rpm wixl msitools systemd systemd-container
ctest --preset asan -L package --no-tests=error -j2 "${tries[@]}"
ONCE=1 scripts/run.sh
[ "${CROSS:-1}" = 0 ] || scripts/cross.sh
