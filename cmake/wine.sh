#!/bin/sh
# Runs a Windows program under Wine, in a prefix of its own and without a display.
export WINEPREFIX="${WINEPREFIX:-$(dirname "$0")/../build/wine}" WINEDEBUG="${WINEDEBUG:--all}"
unset DISPLAY
mkdir -p "$WINEPREFIX"
WINEPREFIX=$(cd "$WINEPREFIX" && pwd)
for wine in /usr/lib/wine/wine64 "$(command -v wine64)" "$(command -v wine)"; do
  [ -x "$wine" ] && exec "$wine" "$@"
done
echo "wine.sh: there is no Wine: install the package wine64" >&2
exit 127
