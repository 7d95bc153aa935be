#!/usr/bin/env bash
# Packages into build/packages: .deb and .rpm from the release build; .msi and .intunewin, and .pkg, when the
# programs for those systems were built; an SBOM and checksums. The same programs, files and commit give the
# same bytes (docs/packaging.md).
#
#   BIN=DIR, BIN_WINDOWS=DIR, BIN_MACOS=DIR   programs to pack; default build/{release,mingw,macos}/bin
#   LIBRARIES_WINDOWS=FILE, LIBRARIES_MACOS=FILE   what was linked into them, as packaging/sbom.py reads it; for
#                      Windows default build/mingw-sysroot/libraries.tsv, for macOS none: not said
#   DEB_HOST_ARCH=ARCH, STRIP=CMD, EMULATOR=CMD   for Linux programs of another processor (scripts/arm64.sh)
#   OUT=DIR            where the packages go; default build/packages
#   KINDS="deb rpm"    only these; one that cannot be made is then an error
#   SIGN_COMMAND=CMD   run with each package, and last with SHA256SUMS, as its argument
#   MAINTAINER, VENDOR, HOMEPAGE, LICENSE_NAME, LICENSE_FILE: packaging/facts.sh
# shellcheck source=packaging/begin.sh
source "$(dirname "$0")/begin.sh"

bin=${BIN:-build/release/bin}
out=$(realpath -m "${OUT:-build/packages}")

check_programs() {
  local name said
  for name in agent doctor server; do
    name=claude-telemetry-$name
    [ -x "$bin/$name" ] || fail "'$bin/$name' is missing" "make build"
    said=$(${EMULATOR:-} "$bin/$name" --version)
    [ "$said" = "$name $version" ] || fail "'$bin/$name' says '$said', VERSION says $version" "make build"
  done
}

put_program() {
  put 0755 "$bin/$1" "$stage/usr/bin/$1"
  "${STRIP:-strip}" --strip-unneeded --remove-section=.comment "$stage/usr/bin/$1"
}

# The licence as Debian wants it.
write_copyright() {
  echo 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/'
  echo 'Upstream-Name: claude-telemetry'
  echo
  echo 'Files: *'
  echo "Copyright: $(sed -n 's/^Copyright *//p;T;q' "$LICENSE_FILE")"
  echo "License: $LICENSE_NAME"
  sed -e 's/^$/./' -e 's/^/ /' "$LICENSE_FILE"
}

put_documents() { # DOCUMENT...
  local document
  for document in "$@"; do
    put 0644 "docs/$document" "$stage/usr/share/doc/$package/$document"
  done
  put 0644 CHANGELOG.md "$stage/usr/share/doc/$package/CHANGELOG.md"
  write_copyright >"$stage/usr/share/doc/$package/copyright"
  chmod 0644 "$stage/usr/share/doc/$package/copyright"
  {
    echo "$package ($version) stable; urgency=medium"
    echo
    echo "  * See CHANGELOG.md."
    echo
    echo " -- $MAINTAINER  $(date -R -u -d "@$SOURCE_DATE_EPOCH")"
  } | gzip -9n >"$stage/usr/share/doc/$package/changelog.gz"
  chmod 0644 "$stage/usr/share/doc/$package/changelog.gz"
}

# begin_stage PACKAGE: its file tree is $stage from here on.
begin_stage() {
  package=$1
  stage=$work/stage/$package
  put 0640 "packaging/etc/${package##*-}.yaml" "$stage/etc/claude-telemetry/${package##*-}.yaml"
  chmod 0750 "$stage/etc/claude-telemetry"
  put 0644 "packaging/systemd/$package.sysusers" "$stage/usr/lib/sysusers.d/$package.conf"
  put 0644 "packaging/systemd/$package.tmpfiles" "$stage/usr/lib/tmpfiles.d/$package.conf"
}

stage_agent() {
  begin_stage claude-telemetry-agent
  put_program claude-telemetry-agent
  put_program claude-telemetry-doctor
  local unit
  for unit in templates/claude-telemetry-agent.* templates/claude-telemetry-settings.*; do
    put 0644 "$unit" "$stage/usr/lib/systemd/system/${unit##*/}"
  done
  put_documents agent.md configuration.md
}

stage_server() {
  begin_stage claude-telemetry-server
  put_program claude-telemetry-server
  put 0644 templates/claude-telemetry-server.service "$stage/usr/lib/systemd/system/claude-telemetry-server.service"
  put_documents http-api.md
}

# What dpkg-shlibdeps finds in a package's programs, as one Depends list.
library_packages() {
  mkdir -p "$work/shlibs/debian"
  printf 'Source: claude-telemetry\n\nPackage: %s\nArchitecture: any\n' "$1" >"$work/shlibs/debian/control"
  local programs=()
  for program in "$work/stage/$1"/usr/bin/*; do
    programs+=("-e$program")
  done
  (cd "$work/shlibs" && dpkg-shlibdeps -O "${programs[@]}" 2>/dev/null) | sed -n 's/^shlibs:Depends=//p'
}

make_deb() {
  local package=$1 tree=$work/deb/$1 arch script
  arch=${DEB_HOST_ARCH:-$(dpkg --print-architecture)}
  mkdir -p "$work/deb"
  cp -a "$work/stage/$package" "$tree"
  mkdir "$tree/DEBIAN"
  chmod 0755 "$tree" "$tree/DEBIAN"
  sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" \
    -e "s/@SIZE@/$(installed_kib "$work/stage/$package")/" \
    -e "s/@SHLIBS@/$(library_packages "$package")/" \
    -e "s|@MAINTAINER@|$MAINTAINER|" -e "s|@HOMEPAGE@|$HOMEPAGE|" "packaging/deb/$package/control" >"$tree/DEBIAN/control"
  install -m 0644 "packaging/deb/$package/conffiles" "$tree/DEBIAN/conffiles"
  for script in postinst prerm postrm; do
    install -m 0755 "packaging/deb/$package/$script" "$tree/DEBIAN/$script"
  done
  (cd "$tree" && find usr -type f -printf '%P\0' | sort -z | sed -z 's|^|usr/|' | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
  chmod 0644 "$tree/DEBIAN/md5sums" "$tree/DEBIAN/control"
  find "$tree" -exec touch --no-dereference -d "@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group -Zxz --build "$tree" "$out/${package}_${version}_$arch.deb" >/dev/null
}

# Sizes of the files themselves: what a disk makes of them differs.
installed_kib() {
  find "$1" -type f -printf '%s\n' | awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }'
}

rpm_target() {
  case ${DEB_HOST_ARCH:-} in
  '') rpm --eval '%{_target}' ;;
  arm64) echo aarch64-linux ;;
  amd64) echo x86_64-linux ;;
  *) fail "it is not known what rpm calls '$DEB_HOST_ARCH'" "see rpm_target in packaging/build.sh" ;;
  esac
}

make_rpms() {
  find "$work/stage" -exec touch --no-dereference -d "@$SOURCE_DATE_EPOCH" {} +
  rpmbuild -bb --quiet --target "$(rpm_target)" packaging/rpm/claude-telemetry.spec \
    --define "_topdir $work/rpm" --define "_rpmdir $work/rpms" --define "_dbpath $work/rpmdb" \
    --define "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm" \
    --define "_unitdir /usr/lib/systemd/system" --define "_binary_payload w6.xzdio" \
    --define "_buildhost localhost" --define "use_source_date_epoch_as_buildtime 1" \
    --define "clamp_mtime_to_source_date_epoch 1" \
    --define "vendor $VENDOR" --define "packager $MAINTAINER" --define "ct_license $LICENSE_NAME" \
    --define "ct_homepage $HOMEPAGE" --define "ct_version $version" --define "ct_staged $work/stage" >"$work/rpm.log" 2>&1 ||
    { cat "$work/rpm.log" >&2; fail "rpmbuild failed" "see above"; }
  install -m 0644 "$work"/rpms/*.rpm "$out/"
}

sign() {
  [ -z "${SIGN_COMMAND:-}" ] || $SIGN_COMMAND "$1" || fail "SIGN_COMMAND failed for '$1'" "see above"
}

# wants KIND: whether it is asked for.
wants() {
  [[ " ${KINDS:-deb rpm msi intunewin pkg} " == *" $1 "* ]]
}

# has KIND PROGRAM REMEDY: whether it can be made; says so when not, and fails when it was asked for by name.
has() {
  [ ! -f "$2" ] || return 0
  [ -z "${KINDS:-}" ] || fail "no $1: '$2' is missing" "$3"
  echo "package: no $1: '$2' is not built: $3"
  return 1
}

make_linux() {
  scripts/deps.sh dpkg-dev binutils rpm
  check_programs
  stage_agent
  stage_server
  local package
  for package in claude-telemetry-agent claude-telemetry-server; do
    ! wants deb || make_deb "$package"
  done
  ! wants rpm || make_rpms
  programs+=("$work"/stage/*/usr/bin/*)
}

make_windows() {
  has msi "${BIN_WINDOWS:-build/mingw/bin}/claude-telemetry-agent.exe" 'make cross' || return 0
  scripts/deps.sh wixl msitools gcc-mingw-w64-x86-64-win32
  local name bin_windows=${BIN_WINDOWS:-build/mingw/bin} msi="$out/claude-telemetry-agent-$version-x64.msi"
  packaging/windows/msi.sh "$msi"
  # As they lie in the package; what is in them is told by the symbols that are taken off there.
  mkdir "$work/windows"
  for name in claude-telemetry-agent claude-telemetry-doctor; do
    x86_64-w64-mingw32-strip --strip-unneeded -o "$work/windows/$name.exe" "$bin_windows/$name.exe"
    programs+=("$work/windows/$name.exe=$bin_windows/$name.exe")
  done
  libraries+=(--static-windows "${LIBRARIES_WINDOWS:-build/mingw-sysroot/libraries.tsv}")
  [ -f "${libraries[-1]}" ] || fail "'${libraries[-1]}', which says what is in the programs for Windows, is missing" "scripts/windows-deps.sh"
  # Signed before it is wrapped: what Intune hands out is what Windows looks at.
  sign "$msi"
  ! wants intunewin || python3 packaging/windows/intunewin.py --setup "$msi" \
    --output "$out/claude-telemetry-agent-$version-x64.intunewin" installer/windows/install.cmd installer/windows/uninstall.cmd
}

make_macos() {
  has pkg "${BIN_MACOS:-build/macos/bin}/claude-telemetry-agent" "see 'macOS' in docs/packaging.md" || return 0
  packaging/macos/pkg.sh "$out/claude-telemetry-agent-$version.pkg"
  programs+=("${BIN_MACOS:-build/macos/bin}"/claude-telemetry-{agent,doctor})
  [ -z "${LIBRARIES_MACOS:-}" ] || libraries+=(--static-macos "$LIBRARIES_MACOS")
}

programs=() libraries=() # for the bill of materials
rm -rf "$out"
mkdir -p "$out"
if wants deb || wants rpm; then make_linux; fi
if wants msi || wants intunewin; then make_windows; fi
if wants pkg; then make_macos; fi
[ ${#programs[@]} -eq 0 ] || python3 packaging/sbom.py --version "$version" --supplier "Organization: $VENDOR" \
  "${libraries[@]}" "${programs[@]}" >"$out/claude-telemetry-$version.spdx.json"

for file in "$out"/*.deb "$out"/*.rpm "$out"/*.pkg; do
  [ ! -e "$file" ] || sign "$file"
done
(cd "$out" && sha256sum -- * >"$work/sums")
install -m 0644 "$work/sums" "$out/SHA256SUMS"
sign "$out/SHA256SUMS"
ls -l "$out"
unset_facts=$(placeholders | paste -sd ' ')
[ -z "$unset_facts" ] || echo "package: made with placeholders for $unset_facts: set them in packaging/facts.sh or the environment before you hand these out"
