# shellcheck shell=bash disable=SC2034
# How every script here begins: sourced by its path. It leaves the facts, the version, the date that all bytes come
# from, an empty $work that goes away at the end, and the repository as the current folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=packaging/facts.sh
source packaging/facts.sh

version=$(head -n 1 VERSION)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { # WHAT REMEDY
  echo "package: $1" >&2
  echo "  fix: $2" >&2
  exit 1
}

put() { # MODE SOURCE TARGET
  install -D -m "$1" "$2" "$3"
}

# The names of the facts that are still what facts.sh was delivered with.
placeholders() {
  [[ $MAINTAINER != *.invalid\> ]] || echo MAINTAINER
  [ "$VENDOR" != claude-telemetry ] || echo VENDOR
  [[ $HOMEPAGE != *.invalid/ ]] || echo HOMEPAGE
  ! grep -q "^All rights are the authors'; ask them" "$LICENSE_FILE" || echo LICENSE_FILE
  [ "$LICENSE_NAME" != LicenseRef-claude-telemetry ] || echo LICENSE_NAME
}
