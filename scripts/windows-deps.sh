#!/usr/bin/env bash
# Builds the libraries that the Windows programs link, static, from Debian's source packages into
# build/mingw-sysroot (or $1). What is built already is left alone, so later builds need no network.
# With --tools it only installs what it builds with. Exit code 3: packages or sources cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."

tools_only=no
if [ "${1:-}" = --tools ]; then
  tools_only=yes
  shift
fi
host=x86_64-w64-mingw32
sysroot=${1:-$PWD/build/mingw-sysroot}
work=$PWD/build/mingw-work
jobs=${JOBS:-2}
sysroot=$(realpath -m "$sysroot")
unset CMAKE_C_COMPILER_LAUNCHER CFLAGS LDFLAGS

packages=(gcc-mingw-w64-x86-64-win32 libz-mingw-w64-dev wine wine64 dpkg-dev cmake ninja-build perl)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  export DEBIAN_FRONTEND=noninteractive
  { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}" >/dev/null; } || {
    echo "windows-deps: cannot install: ${missing[*]}" >&2
    exit 3
  }
fi

[ $tools_only = no ] || exit 0

# An apt of its own that asks the machine's sources for source packages; the machine's apt is not touched.
private_apt() {
  local apt=$work/apt part
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
  sed -n 's/^deb /deb-src /p' /etc/apt/sources.list /etc/apt/sources.list.d/*.list >"$apt/sources.list" 2>/dev/null || true
  for part in /etc/apt/sources.list.d/*.sources; do
    [ -e "$part" ] && sed 's/^Types:.*/Types: deb-src/' "$part" >"$apt/parts/${part##*/}"
  done
  cat >"$apt/apt.conf" <<CONF
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "$apt/parts";
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Sandbox::User "root";
CONF
  export APT_CONFIG=$apt/apt.conf
  [ -e "$apt/updated" ] || { apt-get update -qq && touch "$apt/updated"; } || {
    echo "windows-deps: the lists of source packages cannot be had" >&2
    exit 3
  }
}

# Unpacks the newest version the mirror still has; a security update may be gone from it.
unpack() {
  local package=$1 version
  [ -e "$work/$package/.unpacked" ] && return
  private_apt
  rm -rf "${work:?}/$package"
  mkdir -p "$work/$package"
  for version in $(apt-cache showsrc "$package" | sed -n 's/^Version: //p' | sort -Vru); do
    (cd "$work/$package" && apt-get source -qq "$package=$version" >fetch.log 2>&1) || continue
    (cd "$work/$package" && mv "$(find . -mindepth 1 -maxdepth 1 -type d | head -1)" source)
    touch "$work/$package/.unpacked"
    return
  done
  echo "windows-deps: no source of '$package': see $work/$package/fetch.log" >&2
  exit 3
}

# with_cmake PACKAGE [OPTION…]
with_cmake() {
  local package=$1 source=$work/$1/source
  shift
  cmake -S "$source" -B "$work/$package/build" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/mingw.cmake" \
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$sysroot" -DCMAKE_INSTALL_LIBDIR=lib \
    -DCT_MINGW_SYSROOT="$sysroot" -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTING=OFF -DCMAKE_POLICY_VERSION_MINIMUM=3.5 "$@"
  nice cmake --build "$work/$package/build" --parallel "$jobs"
  cmake --install "$work/$package/build"
}

build_libyaml() {
  with_cmake libyaml -DCMAKE_C_FLAGS=-DYAML_DECLARE_STATIC
  pc yaml-0.1 '-lyaml' '-DYAML_DECLARE_STATIC'
}
build_cjson() {
  with_cmake cjson -DENABLE_CJSON_TEST=OFF -DENABLE_CJSON_UTILS=OFF -DCMAKE_C_FLAGS=-DCJSON_HIDE_SYMBOLS
  pc libcjson '-lcjson' '-DCJSON_HIDE_SYMBOLS'
}
build_check() {
  with_cmake check -DCHECK_ENABLE_TESTS=OFF -DINSTALL_CHECKMK=OFF -DCMAKE_C_FLAGS=-D__USE_MINGW_ANSI_STDIO=1
  cp "$work/check/build/lib/libcompat.a" "$sysroot/lib/"
  rm -f "$sysroot"/lib/libcheck.dll.a "$sysroot"/bin/libcheck.dll # it builds both kinds
  pc check '-lcheck -lcompat -lwinpthread'
}
build_nghttp2() {
  with_cmake nghttp2 -DENABLE_LIB_ONLY=ON -DENABLE_STATIC_LIB=ON -DENABLE_SHARED_LIB=OFF -DENABLE_DOC=OFF \
    -DCMAKE_CXX_COMPILER=$host-gcc -DCMAKE_CXX_COMPILER_WORKS=1 # its programs are C++, the library is not
  [ ! -e "$sysroot/lib/nghttp2.lib" ] || mv "$sysroot/lib/nghttp2.lib" "$sysroot/lib/libnghttp2.a"
  pc libnghttp2 '-lnghttp2' '-DNGHTTP2_STATICLIB'
}
build_libevent() {
  with_cmake libevent -DEVENT__LIBRARY_TYPE=STATIC -DEVENT__DISABLE_OPENSSL=ON -DEVENT__DISABLE_MBEDTLS=ON \
    -DEVENT__DISABLE_BENCHMARK=ON -DEVENT__DISABLE_TESTS=ON -DEVENT__DISABLE_REGRESS=ON -DEVENT__DISABLE_SAMPLES=ON
  pc libevent_core '-levent_core -liphlpapi -lws2_32'
}
build_openssl() {
  local build=$work/openssl/build own='C:/Program Files/Common Files/SSL'
  local folders=("OPENSSLDIR=$own" "ENGINESDIR=$own/engines" "MODULESDIR=$own/modules") # Configure takes no drive
  mkdir -p "$build"
  # Its folder of settings is one that only administrators write to, and is not looked into: one below C: could be
  # anybody's. What TLS of today needs is built, the rest is not.
  (cd "$build" && perl ../source/Configure mingw64 --cross-compile-prefix=$host- --prefix="$sysroot" --libdir=lib \
    no-autoload-config \
    no-shared no-tests no-engine no-module no-legacy no-asm no-dtls no-comp no-srp no-ts no-cmp no-gost no-md4 no-mdc2 \
    no-whirlpool no-aria no-camellia no-seed no-idea no-bf no-cast no-sm2 no-sm3 no-sm4 &&
    nice make -s -j"$jobs" "${folders[@]}" build_libs && make -s install_dev)
  pc openssl '-lssl -lcrypto -lws2_32 -lgdi32 -lcrypt32'
}
# With OpenSSL, as on the other systems: what a private CA file means, and why a certificate is refused, is the
# same there. The system's own certificates are taken from its store (CURLSSLOPT_NATIVE_CA).
build_curl() {
  with_cmake curl -DCURL_USE_OPENSSL=ON -DOPENSSL_ROOT_DIR="$sysroot" -DOPENSSL_USE_STATIC_LIBS=ON -DENABLE_UNICODE=ON \
    -DUSE_NGHTTP2=ON -DNGHTTP2_INCLUDE_DIR="$sysroot/include" -DNGHTTP2_LIBRARY="$sysroot/lib/libnghttp2.a" \
    -DCMAKE_C_FLAGS=-DNGHTTP2_STATICLIB -DCMAKE_C_STANDARD_LIBRARIES="-lws2_32 -lgdi32 -lcrypt32 -lbcrypt" \
    -DCURL_DISABLE_OPENSSL_AUTO_LOAD_CONFIG=ON -DHTTP_ONLY=ON -DBUILD_CURL_EXE=OFF \
    -DCURL_USE_LIBSSH2=OFF -DCURL_USE_LIBPSL=OFF -DUSE_LIBIDN2=OFF -DCURL_BROTLI=OFF -DCURL_ZSTD=OFF -DCURL_DISABLE_LDAP=ON \
    -DZLIB_INCLUDE_DIR=/usr/$host/include -DZLIB_LIBRARY=/usr/$host/lib/libz.a
  pc libcurl '-lcurl -lnghttp2 -lssl -lcrypto -lz -lbcrypt -lcrypt32 -ladvapi32 -lgdi32 -lws2_32' '-DCURL_STATICLIB'
}

# pc NAME LIBS [CFLAGS]: what pkg-config says of it; upstream's files differ in how they say "static".
pc() {
  mkdir -p "$sysroot/lib/pkgconfig"
  cat >"$sysroot/lib/pkgconfig/$1.pc" <<PC
prefix=$sysroot
Name: $1
Description: $1 for Windows, static
Version: 1
Cflags: -I\${prefix}/include ${3:-}
Libs: -L\${prefix}/lib $2
PC
}

# ensure LIBRARY...: builds those that are not there yet, one after the other.
ensure() {
  local library
  for library in "$@"; do
    [ -e "$sysroot/.have-$library" ] && continue
    echo "windows-deps: building $library"
    # In the background, or its first failure would not end it: "||" switches that off.
    "build_$library" >"$work/$library.log" 2>&1 &
    wait $! || {
      tail -20 "$work/$library.log" >&2
      echo "windows-deps: '$library' does not build: $work/$library.log" >&2
      return 1
    }
    touch "$sysroot/.have-$library"
  done
}

mkdir -p "$sysroot" "$work"
libraries=(libyaml cjson check libevent nghttp2 openssl curl)
for library in "${libraries[@]}"; do
  [ -e "$sysroot/.have-$library" ] || unpack "$library"
done
# What compiles for long beside what mostly asks the compiler questions.
ensure openssl &
openssl=$! good=yes
ensure libyaml cjson check libevent nghttp2 || good=no
wait $openssl || good=no
[ $good = yes ] || exit 1
ensure curl
# Debian has zlib built for Windows; alone here, it is not passed over for the DLL's import library that lies beside it there.
cp "/usr/$host/lib/libz.a" "$sysroot/lib/"
pc zlib '-lz'

# What was built from which sources, for the bill of materials: name, version, source package, archives.
archives() {
  case $1 in
  libevent) echo "$sysroot/lib/libevent_core.a" ;;
  openssl) echo "$sysroot/lib/libssl.a $sysroot/lib/libcrypto.a" ;;
  *) echo "$sysroot/lib/lib${1#lib}.a" ;;
  esac
}
of_package() { # FILE ARCHIVES: a library that Debian has built
  local package
  package=$(dpkg -S "$1" | cut -d: -f1)
  dpkg-query -W -f "\${Package}\t\${Version}\t\${source:Package}\t$2\n" "$package"
}
{
  for library in libyaml cjson libevent nghttp2 openssl curl; do
    printf '%s\t%s\t%s\t%s\n' "$library" "$(sed -n 's/^Version: //p' "$work/$library"/*.dsc)" "$library" "$(archives "$library")"
  done
  of_package "/usr/$host/lib/libz.a" "$sysroot/lib/libz.a"
  of_package "/usr/$host/lib/libmingwex.a" '' # the C runtime and the compiler's are in every program
  of_package "$($host-gcc -print-libgcc-file-name)" ''
} >"$sysroot/libraries.tsv"
