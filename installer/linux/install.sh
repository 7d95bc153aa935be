#!/bin/sh
# Installs or upgrades the agent with your configuration, for fleets without configuration management.
#
#   install.sh --package FILE.deb|FILE.rpm --config agent.yaml [--enrollment-secret FILE]
#
# Run again with another package or configuration to change either; with the previous package to go back. A
# configuration that the new agent does not accept is not put in place.
set -eu

say_usage() {
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

fail() {
    printf 'install: %s\n  fix: %s\n' "$1" "$2" >&2
    exit 1
}

package='' config='' secret=''
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || say_usage
    case "$1" in
    --package) package=$2 ;;
    --config) config=$2 ;;
    --enrollment-secret) secret=$2 ;;
    *) say_usage ;;
    esac
    shift 2
done
[ -n "$package" ] && [ -n "$config" ] || say_usage
[ "$(id -u)" -eq 0 ] || fail 'needs root' 'run it with sudo'
for file in "$package" "$config" ${secret:+"$secret"}; do
    [ -r "$file" ] || fail "cannot read '$file'" 'name an existing file'
done

install_package() {
    file=$(realpath "$package")
    case "$file" in
    *.deb)
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --allow-downgrades --reinstall \
            -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=300 "$file" >/dev/null
        ;;
    *.rpm)
        if command -v dnf >/dev/null; then
            dnf install -y -q --allowerasing "$file" || dnf downgrade -y -q "$file"
        else
            rpm -U --oldpackage --replacepkgs "$file"
        fi
        ;;
    *) fail "'$package' is neither a .deb nor an .rpm" 'name a package file' ;;
    esac
}

# put SOURCE TARGET MODE OWNER GROUP: whole or not at all, and never readable by others on the way.
put() {
    install -m "$3" -o "$4" -g "$5" "$1" "$2.new"
    mv "$2.new" "$2"
}

start() {
    [ -d /run/systemd/system ] || return 0
    systemctl enable -q claude-telemetry-agent.service
    systemctl restart claude-telemetry-agent.service
    systemctl start claude-telemetry-settings.service
    tries=30
    until claude-telemetry-agent status --brief >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail 'the agent is not healthy after 30 s' 'claude-telemetry-doctor'
        sleep 1
    done
    claude-telemetry-agent status --brief
}

install_package || fail "cannot install '$package'" 'see above'
claude-telemetry-agent check-config --config "$config" >/dev/null ||
    fail "'$config' is not valid and was not put in place" 'see above'
if [ -n "$secret" ]; then
    put "$secret" /etc/claude-telemetry/enrollment-secret 0400 claude-telemetry claude-telemetry
fi
put "$config" /etc/claude-telemetry/agent.yaml 0640 root claude-telemetry
start
