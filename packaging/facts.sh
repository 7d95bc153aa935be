# shellcheck shell=bash disable=SC2034
# What every package says about itself; sourced. Each can be set in the environment of `make package`.
MAINTAINER=${MAINTAINER:-claude-telemetry maintainers <maintainers@claude-telemetry.invalid>}
VENDOR=${VENDOR:-claude-telemetry}
HOMEPAGE=${HOMEPAGE:-https://claude-telemetry.invalid/}
LICENSE_NAME=${LICENSE_NAME:-LicenseRef-claude-telemetry}
LICENSE_FILE=${LICENSE_FILE:-packaging/LICENSE.txt}

version=$(head -n 1 VERSION)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022

fail() {
  echo "package: $1" >&2
  echo "  fix: $2" >&2
  exit 1
}
