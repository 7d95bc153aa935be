#!/usr/bin/env bash
# cross.sh [--build]: the other systems, Windows by mingw-w64 with its tests and its programs under Wine, macOS by zig
# cc. Each is passed over with a line that says so where its tools or the sources of its libraries cannot be had, or
# those are not built within CROSS_LIMIT seconds; what is built stays in build/mingw-sysroot, and the next run goes on
# from it. With --build only builds, so that a run beside it, which waits its turn here, finds it done.
set -euo pipefail
cd "$(dirname "$0")/.."

limit=${CROSS_LIMIT:-1800}
tries=(--repeat "until-pass:${TRIES:-1}")
started=$SECONDS
code=0
mkdir -p build
exec 9>build/cross.lock
if [ "${1:-}" = --build ]; then flock 9; else flock -w "$limit" 9 || code=124; fi

[ $code -ne 0 ] || timeout "$limit" scripts/windows-deps.sh || code=$?
case $code in
0)
  echo "cross: libraries for Windows are there, after $((SECONDS - started)) s"
  cmake --preset mingw >/dev/null
  nice cmake --build --preset mingw
  ;;
3) echo "cross: Windows skipped: its tools, or the sources of its libraries, cannot be had here" ;;
124) echo "cross: Windows skipped: its libraries were not built within $limit s (CROSS_LIMIT); the next run goes on from there" ;;
*) exit "$code" ;;
esac
scripts/macos-compile.sh
[ "${1:-}" != --build ] || exit 0
exec 9>&- # what Wine leaves running would keep it

cmake --preset asan >/dev/null # knows the tests of whole programs
if [ $code -eq 0 ]; then
  cmake/wine.sh wineboot --init >/dev/null 2>&1 || true # or the first tests wait for it
  ctest --preset mingw --no-tests=error -j2 "${tries[@]}"
  cmake --preset release >/dev/null
  nice cmake --build --preset release --target claude-telemetry-server
  scripts/deps.sh wixl msitools
  ctest --preset asan -L cross --no-tests=error -j2 "${tries[@]}"
else
  ctest --preset asan -R system/test_msi "${tries[@]}" # with a stand-in for the programs
fi
echo "cross: done after $((SECONDS - started)) s"
