#!/usr/bin/env bash
# The Linux programs for arm64 (build/arm64) and their packages (build/packages-arm64). TESTS=unit also runs the unit
# tests under qemu, where those fail that start another program or ask the kernel who owns a socket: qemu has neither.
# Takes root: Debian's arm64 libraries are installed in a private view of this machine, which itself stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

tests=${TESTS:-none} # the label

inside() {
  # shellcheck source=/dev/null
  . /etc/os-release
  local libraries=(libc6-dev libevent-dev libnghttp2-dev libssl-dev libcurl4-openssl-dev zlib1g-dev libyaml-dev libcjson-dev
    libsqlite3-dev libpq-dev check)
  export DEBIAN_FRONTEND=noninteractive
  dpkg --add-architecture arm64
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends gcc-aarch64-linux-gnu qemu-user-static dpkg-dev binutils rpm \
    "${libraries[@]/%/:arm64}" >/dev/null
  cmake --preset arm64 >/dev/null
  nice cmake --build --preset arm64
  [ "$tests" = none ] || ctest --preset arm64 -L "$tests" --no-tests=error -j2 --repeat "until-pass:${TRIES:-1}"
  DEB_HOST_ARCH=arm64 BIN=build/arm64/bin OUT=build/packages-arm64 KINDS='deb rpm' STRIP=aarch64-linux-gnu-strip \
    EMULATOR=qemu-aarch64-static packaging/build.sh
  # The packages go on here, beside this machine's own: what they depend on is what there is for arm64.
  dpkg -i build/packages-arm64/claude-telemetry-agent_*_arm64.deb >/dev/null
  qemu-aarch64-static /usr/bin/claude-telemetry-agent check-config
}

if [ "${1:-}" = --inside ]; then
  inside
  exit
fi
[ "$(id -u)" -eq 0 ] || { printf 'arm64: needs root\n  fix: run it with sudo\n' >&2; exit 1; }
mkdir -p build
# shellcheck disable=SC2016
exec unshare --mount --propagation private bash -euc '
  base=$(mktemp -d)
  mount -t tmpfs tmpfs "$base"
  mkdir "$base"/{upper,work,merged}
  mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$base/merged"
  for each in proc sys dev; do mount --rbind "/$each" "$base/merged/$each"; done
  for each in run tmp; do mount -t tmpfs tmpfs "$base/merged/$each"; done
  chmod 1777 "$base/merged/tmp"
  mount --rbind "$1" "$base/merged$1"
  exec chroot "$base/merged" "$1/scripts/arm64.sh" --inside' sh "$PWD"
