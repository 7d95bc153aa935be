#!/usr/bin/env bash
# The other systems: Windows by mingw-w64 with its tests under Wine, macOS by zig cc. Each is passed
# over with a line that says so where its tools cannot be installed.
set -euo pipefail
cd "$(dirname "$0")/.."

if scripts/windows-deps.sh; then
  cmake --preset mingw >/dev/null
  nice cmake --build --preset mingw
  cmake/wine.sh wineboot --init >/dev/null 2>&1 || true # or the first tests wait for it
  ctest --preset mingw -j2
  scripts/deps.sh wixl msitools
  python3 tests/system/test_msi.py
else
  echo "cross: Windows skipped: its tools or libraries cannot be had here"
fi
scripts/macos-compile.sh
