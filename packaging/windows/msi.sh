#!/usr/bin/env bash
# msi.sh OUTPUT: agent and doctor for Windows as one .msi, from BIN_WINDOWS (default build/mingw/bin). The same
# programs and version give the same bytes.
# shellcheck source=packaging/begin.sh
source "$(dirname "$0")/../begin.sh"

output=$(realpath -m "$1")
bin=${BIN_WINDOWS:-build/mingw/bin}

upgrade_code='{F8F5DDF1-C5DE-5EA5-93B7-77A65EF16160}' # never changes: by it a version finds the others

# guid WORD...: the same words give the same identifier.
guid() {
  python3 -c 'import sys, uuid
print("{%s}" % str(uuid.uuid5(uuid.NAMESPACE_DNS, "/".join(sys.argv[1:]))).upper())' claude-telemetry.agent "$@"
}

# table NAME: one that wixl does not write, from rows whose cells are separated by "|". Cells are typed in the
# first row as Windows Installer's documentation has them; KEYS primary keys come first.
table() { # NAME KEYS COLUMN:TYPE...
  local name=$1 keys=$2
  shift 2
  {
    printf '%s\n' "$(printf '%s|' "${@%:*}" | sed 's/|$//')"
    printf '%s\n' "$(printf '%s|' "${@#*:}" | sed 's/|$//')"
    printf '%s\n' "$name|$(printf '%s|' "${@%:*}" | cut -d '|' -f "1-$keys")"
    cat
  } | tr '|' '\t' | sed 's/$/\r/' >"$work/$name.idt"
  msibuild "$output" -i "$work/$name.idt"
}

query() {
  msibuild "$output" -q "$1"
}

step() { # ACTION SEQUENCE [CONDITION]
  query "INSERT INTO InstallExecuteSequence (Action, Condition, Sequence) VALUES ('$1', '${3:-}', $2)"
}

stage() {
  local name
  for name in agent doctor; do
    [ -f "$bin/claude-telemetry-$name.exe" ] || fail "'$bin/claude-telemetry-$name.exe' is missing" 'make cross'
    x86_64-w64-mingw32-strip --strip-unneeded -o "$work/claude-telemetry-$name.exe" "$bin/claude-telemetry-$name.exe"
  done
  sed 's/$/\r/' "$LICENSE_FILE" >"$work/LICENSE.txt"
  sed -e 's|/etc/claude-telemetry/|C:/ProgramData/ClaudeTelemetry/|' -e '/^# Every key:/d' -e '/^# Secrets go/,/^#   install/d' \
    -e 's/$/\r/' packaging/etc/agent.yaml >"$work/agent.yaml"
  cp packaging/windows/claude-telemetry-agent.wxs "$work/"
  touch -d "@$SOURCE_DATE_EPOCH" "$work"/*
}

# What wixl cannot say.
complete() {
  local pair
  # On the path of every user.
  table Environment 1 Environment:s72 Name:l255 Value:L255 Component_:s72 <<'ROWS'
Path|=-*PATH|[~];[INSTALLDIR]|Agent
ROWS
  # Only the system and administrators, also below it: the configuration names secrets' files, and they lie there.
  table MsiLockPermissionsEx 1 MsiLockPermissionsEx:s72 LockObject:s72 Table:s32 SDDLText:s0 Condition:S255 <<'ROWS'
DataFolder|DATADIR|CreateFolder|D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)|
ROWS
  # Started again whenever it ends: after 5, 5 and then every 30 seconds.
  table MsiServiceConfigFailureActions 1 MsiServiceConfigFailureActions:s72 Name:s255 Event:i2 ResetPeriod:I4 \
    RebootMessage:L255 Command:L255 Actions:L0 DelayActions:L0 Component_:s72 <<'ROWS'
RestartAgent|claude-telemetry-agent|5|86400|||1[~]1[~]1|5000[~]5000[~]30000|Agent
ROWS
  # A program of the system's in a folder, deferred, without the user's account, whatever it returns.
  query "INSERT INTO CustomAction (Action, Type, Source, Target) VALUES ('PurgeData', 3170, 'TARGETDIR', '\"[System64Folder]cmd.exe\" /c rd /s /q \"[DATADIR].\"')"
  # Going back is refused, so that nobody does it by accident, unless it is asked for; then the newer version goes.
  query "DELETE FROM LaunchCondition WHERE Condition = 'NOT WIX_DOWNGRADE_DETECTED'"
  query "INSERT INTO LaunchCondition (Condition, Description) VALUES ('NOT WIX_DOWNGRADE_DETECTED OR DOWNGRADE=\"1\"', 'A newer version is installed. To go back to this one, add DOWNGRADE=1: data and settings stay.')"
  query "DELETE FROM Upgrade WHERE ActionProperty = 'WIX_DOWNGRADE_DETECTED'"
  query "INSERT INTO Upgrade (UpgradeCode, VersionMin, Attributes, ActionProperty) VALUES ('$upgrade_code', '$version', 0, 'WIX_DOWNGRADE_DETECTED')"
  step TakeOlderFiles 50 'WIX_DOWNGRADE_DETECTED'
  step KeepServerUrl 51 'KNOWN_SERVER_URL AND NOT SERVER_URL'
  step KeepSecretFile 52 'KNOWN_ENROLLMENT_SECRET_FILE AND NOT ENROLLMENT_SECRET_FILE'
  step KeepEmailDomain 53 'KNOWN_EMAIL_DOMAIN AND NOT EMAIL_DOMAIN'
  step RemoveEnvironmentStrings 3300
  step PurgeData 3590 'REMOVE="ALL" AND PURGE="1" AND NOT UPGRADINGPRODUCTCODE'
  step WriteEnvironmentStrings 5200
  step MsiConfigureServices 5850
  # The old version goes inside the transaction: a new one that fails brings it back.
  query "UPDATE InstallExecuteSequence SET Sequence = 1501 WHERE Action = 'RemoveExistingProducts'"
  for pair in ServerUrl:SERVER_URL SecretFile:ENROLLMENT_SECRET_FILE EmailDomain:EMAIL_DOMAIN; do
    query "UPDATE Component SET Condition = '${pair#*:}' WHERE Component = '${pair%:*}'"
  done
  # 64-bit, permanent, never overwritten.
  query "UPDATE Component SET Attributes = 400 WHERE Component = 'Configuration'"
  # Handed on when a user without rights starts the installation.
  query "UPDATE Property SET Value = 'WIX_DOWNGRADE_DETECTED;WIX_UPGRADE_DETECTED;SERVER_URL;ENROLLMENT_SECRET_FILE;EMAIL_DOMAIN;DOWNGRADE;PURGE' WHERE Property = 'SecureCustomProperties'"
}

# The package's identifier and dates, which wixl takes from chance and the clock.
settle() {
  local code date
  code=$(guid package "$version" "$(cat "$work"/*.exe "$work"/*.txt "$work"/*.wxs "$work"/*.idt | sha256sum)")
  date=$(date -u -d "@$SOURCE_DATE_EPOCH" '+%Y/%m/%d %H:%M:%S')
  msiinfo export "$output" _SummaryInformation |
    sed -E "s|^9\t.*|9\t$code\r|; s|^(1[23])\t.*|\1\t$date\r|" >"$work/summary.idt"
  msibuild "$output" -i "$work/summary.idt"
}

stage
(cd "$work" && wixl -a x64 -o "$output" -D Version="$version" -D Vendor="$VENDOR" -D Homepage="$HOMEPAGE" \
  -D Maintainer="$MAINTAINER" -D ProductCode="$(guid product "$version")" -D UpgradeCode="$upgrade_code" claude-telemetry-agent.wxs)
complete
settle
