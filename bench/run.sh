#!/usr/bin/env bash
# make bench: every measurement, briefly, each against a limit or a peer in the same run. Read the ratios:
# the machine's other work moves the absolute figures. Needs a release build (make bench makes one).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
out=build/bench
mkdir -p "$out"

# A program of one file on the release build's libraries.
mapfile -t libraries < <(find build/release -name '*.a' | sort)
read -ra packages <<<"$(pkg-config --libs libevent_core openssl libnghttp2 libcurl zlib yaml-0.1 libcjson sqlite3 libpq)"
read -ra headers <<<"$(pkg-config --cflags libpq)"
compile() {
  cc -std=c17 -O2 -D_GNU_SOURCE -I. "${headers[@]}" -o "$out/$1" "bench/$1.c" \
    -Wl,--start-group "${libraries[@]}" -Wl,--end-group "${packages[@]}" -lpthread -lm
}

status=0
for name in otlp_decode spool; do
  echo "== $name"
  if compile "$name"; then
    "$out/$name" || status=1
  else
    status=1
  fi
done
echo "== store"
if compile store; then
  python3 bench/postgres.py "$out/store" || status=1
else
  status=1
fi
compile message_stores || status=1 # for databases that one has: its first lines say how
echo "== control state"
if compile control; then
  python3 bench/postgres.py "$out/control" || status=1
else
  status=1
fi
echo "== http"
bash bench/http.sh || status=1
echo "== relay"
for name in relay_floor relay_load relay_sink; do
  compile "$name" || status=1
done
python3 -W ignore bench/relay.py || status=1
echo "== overview page"
python3 bench/overview.py --people 40 --days 30 || status=1
exit $status
