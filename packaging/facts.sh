# shellcheck shell=bash disable=SC2034
# What every package says about itself. Write your own values here, or set them in the environment of `make package`;
# as long as these stand, it says that it packs with placeholders.
MAINTAINER=${MAINTAINER:-claude-telemetry maintainers <maintainers@claude-telemetry.invalid>}
VENDOR=${VENDOR:-claude-telemetry}
HOMEPAGE=${HOMEPAGE:-https://claude-telemetry.invalid/}
LICENSE_NAME=${LICENSE_NAME:-LicenseRef-claude-telemetry}
LICENSE_FILE=${LICENSE_FILE:-packaging/LICENSE.txt}
