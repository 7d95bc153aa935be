#!/usr/bin/env bash
# pkg.sh OUTPUT: agent and doctor for macOS as one .pkg, from BIN_MACOS (default build/macos/bin). Written on any
# system; the same programs and version give the same bytes.
#
#   SIGN_PROGRAM_COMMAND=CMD   run with each program and the application before they are packed (codesign, rcodesign)
# shellcheck source=packaging/begin.sh
source "$(dirname "$0")/../begin.sh"

output=$(realpath -m "$1")
bin=${BIN_MACOS:-build/macos/bin}
root=$work/root
home="$root/Library/Application Support/ClaudeTelemetry"
app="$root/Applications/Claude Telemetry.app"

# Device managers look for an application; this one shows the doctor's report.
stage_application() {
  put 0755 packaging/macos/claude-telemetry "$app/Contents/MacOS/claude-telemetry"
  mkdir -p "$app/Contents"
  sed "s/@VERSION@/$version/" packaging/macos/Info.plist >"$app/Contents/Info.plist"
}

stage() {
  local name
  for name in agent doctor; do
    [ -f "$bin/claude-telemetry-$name" ] || fail "'$bin/claude-telemetry-$name' is missing" "see 'macOS' in docs/packaging.md"
    put 0755 "$bin/claude-telemetry-$name" "$root/usr/local/bin/claude-telemetry-$name"
  done
  put 0644 templates/com.claude-telemetry.agent.plist "$root/Library/LaunchDaemons/com.claude-telemetry.agent.plist"
  put 0640 packaging/etc/agent.yaml "$home/agent.yaml.default"
  put 0644 "$LICENSE_FILE" "$home/LICENSE.txt"
  put 0755 installer/macos/uninstall.sh "$home/uninstall.sh"
  stage_application
  for name in preinstall postinstall; do
    put 0755 "installer/macos/$name" "$work/scripts/$name"
  done
  find "$work" -type d -exec chmod 0755 {} +
}

stage
if [ -n "${SIGN_PROGRAM_COMMAND:-}" ]; then
  for each in "$root"/usr/local/bin/* "$app"; do
    $SIGN_PROGRAM_COMMAND "$each" || fail "SIGN_PROGRAM_COMMAND failed for '$each'" "see above"
  done
fi
python3 packaging/macos/flatpkg.py --root "$root" --scripts "$work/scripts" --version "$version" \
  --identifier com.claude-telemetry.agent.pkg --title 'Claude Telemetry Agent' --output "$output"
