#!/usr/bin/env bash
# HTTP server: requests per second of ours, and of nginx as this machine's limit.
#   bench/http.sh [SECONDS]      needs wrk; nginx if it is there
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-5}
command -v wrk >/dev/null || { echo "http: skipped, wrk is not installed"; exit 0; }
dir=$(mktemp -d)
pids=()
cleanup() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$dir"; }
trap cleanup EXIT

read -ra flags <<<"$(pkg-config --cflags --libs libevent_core libnghttp2 libcurl openssl zlib)"
server=$dir/http_server
"${CC:-cc}" -O2 -D_GNU_SOURCE -I. -o "$server" bench/http_server.c core/http/*.c core/event/*.c \
  base/*.c platform/fs.c platform/*linux.c platform/*posix.c "${flags[@]}" -lpthread

cat >"$dir/post.lua" <<'LUA'
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-protobuf"
wrk.body = string.rep("x", 2048)
LUA

measure() { # NAME PORT
  local rate
  rate=$(wrk -t1 -c64 -d"${seconds}s" -s "$dir/post.lua" "http://127.0.0.1:$2/v1/logs" | awk '/Requests\/sec/ {print $2}')
  printf '%-8s %10.0f requests/s, 2 KB bodies, 64 connections\n' "$1" "$rate"
}

"$server" 0 >"$dir/port" & pids+=($!)
for _ in $(seq 50); do [ -s "$dir/port" ] && break; sleep 0.1; done
measure ours "$(cat "$dir/port")"
printf '%-8s %10d KiB resident after the run\n' ours "$(awk '/VmRSS/ {print $2}' "/proc/${pids[0]}/status")"

if ! command -v nginx >/dev/null; then
  echo "limit    skipped, nginx is not installed"
  exit 0
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$dir/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $dir/pid; error_log $dir/error;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 100000000; client_body_temp_path $dir/body; proxy_temp_path $dir/p; fastcgi_temp_path $dir/f; uwsgi_temp_path $dir/u; scgi_temp_path $dir/s;
  server { listen 127.0.0.1:$port; location / { return 204; } } }
CONF
nginx -p "$dir" -c "$dir/nginx.conf" & pids+=($!)
for _ in $(seq 50); do [ -s "$dir/pid" ] && break; sleep 0.1; done
measure limit "$port"
