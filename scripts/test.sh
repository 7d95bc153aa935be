#!/usr/bin/env bash
# Every test that needs no special rights: unit and contract tests under address and undefined
# sanitizers, threads under the thread sanitizer, then whole programs from a release build.
set -euo pipefail
cd "$(dirname "$0")/.."

for preset in asan tsan; do
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset"
done
cmake --preset release -DBUILD_TESTING=OFF >/dev/null
cmake --build --preset release

ctest --preset asan --no-tests=error
ctest --preset tsan -L threads --no-tests=ignore
scripts/lint.sh --fast
