#!/usr/bin/env bash
# Installs the Debian packages that are missing, and those named as arguments. Nothing to do: says nothing.
# After --if-there, what this system's archive does not have is named and left out: its tests skip.
set -euo pipefail

optional=
[ "${1:-}" != --if-there ] || { optional=1; shift; }

packages=(
  gcc clang cmake ninja-build pkg-config git ca-certificates python3
  libevent-dev libnghttp2-dev libssl-dev libcurl4-openssl-dev zlib1g-dev libyaml-dev libcjson-dev
  libsqlite3-dev libpq-dev
  check protobuf-compiler sqlite3 curl openssl clang-format clang-tidy cppcheck shellcheck
  "$@"
)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "deps: run as root, or install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
case " ${missing[*]} " in
*" postgresql "*) # tests start one of their own: this machine gets its programs, no database that runs
  no_cluster=/etc/postgresql-common/createcluster.d/claude-telemetry-tests.conf
  "${as_root[@]}" mkdir -p "${no_cluster%/*}"
  echo 'create_main_cluster = false' | "${as_root[@]}" tee "$no_cluster" >/dev/null
  trap '"${as_root[@]}" rm -f "$no_cluster"' EXIT
  ;;
esac
"${as_root[@]}" apt-get update -qq
if [ -n "$optional" ]; then
  there=()
  for package in "${missing[@]}"; do
    if apt-cache show "$package" >/dev/null 2>&1; then there+=("$package"); else echo "deps: there is no package '$package' here"; fi
  done
  [ ${#there[@]} -gt 0 ] || exit 0
  missing=("${there[@]}")
fi
"${as_root[@]}" apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}" >/dev/null
case " ${missing[*]} " in
*" clickhouse-server "*) # likewise: the programs only, where a service manager started it
  if [ -d /run/systemd/system ]; then "${as_root[@]}" systemctl disable --now clickhouse-server >/dev/null 2>&1 || true; fi
  ;;
esac
