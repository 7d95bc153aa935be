#!/bin/sh
# Runs a Windows program under Wine, in a prefix of its own and without a display. The program sees drive C: of the
# prefix and, as R:, this repository; nothing else of this system's files, so that a path such as "/home" is nobody's.
set -e
repository=$(cd "$(dirname "$0")/.." && pwd)
export WINEPREFIX="${WINEPREFIX:-$repository/build/wine}" WINEDEBUG="${WINEDEBUG:--all}"
unset DISPLAY
mkdir -p "$WINEPREFIX"
WINEPREFIX=$(cd "$WINEPREFIX" && pwd)
export HOME="$WINEPREFIX" # where "Documents" and its like are links to
wine=/usr/lib/wine/wine64
[ -x "$wine" ] || wine=$(command -v wine64 || command -v wine) || {
  echo "wine.sh: there is no Wine: install the package wine64" >&2
  exit 127
}
(
  flock 9
  [ -L "$WINEPREFIX/dosdevices/r:" ] && exit
  "$wine" wineboot --init >/dev/null 2>&1 9>&- # which leaves programs behind
  ln -s "$repository" "$WINEPREFIX/dosdevices/r:"
  rm -f "$WINEPREFIX/dosdevices/z:"
) 9>"$WINEPREFIX/.lock"
exec "$wine" "$@"
