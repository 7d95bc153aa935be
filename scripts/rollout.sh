#!/usr/bin/env bash
# What takes longer than a change can wait for, and what a release should have seen: the packages on a Debian of
# nothing else, as dnf and rpm carry them out, and by Ansible; the programs for arm64. Run as root.
set -euo pipefail
cd "$(dirname "$0")/.."

cmake --preset asan >/dev/null
cmake --preset release >/dev/null
nice cmake --build --preset release
scripts/arm64.sh
scripts/deps.sh dpkg-dev binutils rpm systemd systemd-container ansible-core python3-apt dnf createrepo-c mmdebstrap
ctest --preset asan -L rollout --no-tests=error --repeat "until-pass:${TRIES:-1}"
