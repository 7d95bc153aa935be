#!/usr/bin/env bash
# The other systems: Windows by mingw-w64 with its tests and its programs under Wine, macOS by zig cc. Each is
# passed over with a line that says so where its tools or the sources of its libraries cannot be had, or those are
# not built within CROSS_LIMIT seconds; what is built stays in build/mingw-sysroot, and the next run goes on from it.
set -euo pipefail
cd "$(dirname "$0")/.."

limit=${CROSS_LIMIT:-1800}
started=$SECONDS
code=0
timeout "$limit" scripts/windows-deps.sh || code=$?
case $code in
0)
  echo "cross: libraries for Windows are there, after $((SECONDS - started)) s"
  cmake --preset mingw >/dev/null
  nice cmake --build --preset mingw
  cmake/wine.sh wineboot --init >/dev/null 2>&1 || true # or the first tests wait for it
  ctest --preset mingw --no-tests=error -j2 --repeat "until-pass:${TRIES:-1}"
  cmake --preset release >/dev/null
  nice cmake --build --preset release --target claude-telemetry-server
  python3 tests/system/test_windows_agent.py
  python3 tests/system/test_windows_claude.py
  scripts/deps.sh wixl msitools
  python3 tests/system/test_msi.py
  ;;
3) echo "cross: Windows skipped: its tools, or the sources of its libraries, cannot be had here" ;;
124) echo "cross: Windows skipped: its libraries were not built within $limit s (CROSS_LIMIT); the next run goes on from there" ;;
*) exit "$code" ;;
esac
scripts/macos-compile.sh
echo "cross: done after $((SECONDS - started)) s"
