#!/bin/sh
# SPDX-License-Identifier: MIT
# Other machines than this one: what is promised about each, tried.
#
#   sh scripts/machines.sh [MACHINE]...     without names: all, in this order
#
#   arm64   cross-compiled, without a warning; all tests but a few run under qemu's user mode emulation
#   s390x   big-endian: cross-compiled; it opens nothing, and says why
#   i386    32-bit: refused when it is configured, with a message
#   musl    another C library on this processor: all tests in C; without rvdump
#
# Libraries for the others come from Debian's packages, into build-machines/: nothing is installed for
# another architecture. The status is 0 if all are as promised.
set -eu
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

all='arm64 s390x i386 musl'
work=$PWD/build-machines

# ---- packages ----

# apt KIND ARCHITECTURE COMMAND...: apt-get with lists and a state of its own in build-machines/apt, for
# another architecture; KIND is deb or deb-src.
apt() {
    state=$work/apt/$1-$2
    kind=$1
    architecture=$2
    shift 2
    if [ ! -f "$state/status" ]; then
        mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
        echo "$kind [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror bookworm) bookworm main" \
            >"$state/sources"
        : >"$state/status"
        apt_in update >"$state/log" 2>&1 || {
            rm "$state/status"
            tail "$state/log"
            die "no package lists for $architecture"
        }
    fi
    apt_in "$@"
}

apt_in() {
    apt-get -q -o "Dir::State=$state" -o "Dir::State::status=$state/status" -o "Dir::Cache=$state/cache" \
        -o "Dir::Etc::sourcelist=$state/sources" -o Dir::Etc::sourceparts=- \
        -o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture" \
        -o "APT::Sandbox::User=$(id -un)" -o Acquire::Languages=none "$@" </dev/null
}

# fetch ARCHITECTURE PACKAGE...: unpacks packages into build-machines/ARCHITECTURE-root.
fetch() {
    root=$work/$1-root
    [ ! -f "$root/complete" ] || return 0
    rm -rf "$root" "$work/download"
    mkdir -p "$root" "$work/download"
    architecture=$1
    shift
    (cd "$work/download" && apt deb "$architecture" download "$@")
    for package in "$work"/download/*.deb; do
        dpkg-deb -x "$package" "$root"
    done
    : >"$root/complete"
}

# ---- builds and tests ----

# cross_file NAME TRIPLE FAMILY ENDIAN QEMU: writes build-machines/NAME.ini.
cross_file() {
    root=$work/$1-root
    # The emulator has a table of all addresses of the program: 4 GiB of them are enough.
    cat >"$work/$1.ini" <<EOF
[binaries]
c = '$2-gcc'
ar = '$2-ar'
strip = '$2-strip'
pkgconfig = 'pkg-config'
exe_wrapper = ['$5', '-R', '0x100000000', '-L', '/usr/$2', '-E', 'LD_LIBRARY_PATH=$root/usr/lib/$2']
[properties]
sys_root = '$root'
pkg_config_libdir = '$root/usr/lib/$2/pkgconfig'
[host_machine]
system = 'linux'
cpu_family = '$3'
cpu = '$3'
endian = '$4'
EOF
}

# build NAME OPTION...: cross-compiles into build-machines/NAME.
build() {
    name=$1
    shift
    configure "$work/$name" --cross-file "$work/$name.ini" --werror -Dpython=disabled -Dbench=false "$@" &&
        run meson compile -C "$work/$name"
}

# run_tests NAME [LEFT_OUT]...: all tests but these.
run_tests() {
    folder=$work/$1
    shift
    left_out=$*
    tests=
    for test in $(meson test -C "$folder" --list 2>/dev/null | sed -n 's,.* / ,,p'); do
        case " $left_out " in *" $test "*) ;; *) tests="$tests $test" ;; esac
    done
    rm -f "$folder/meson-logs/testlog.txt"
    # shellcheck disable=SC2086 # a list of words
    run meson test -C "$folder" --no-rebuild --print-errorlogs --timeout-multiplier 20 $tests </dev/null
}

# note TEXT: for the summary.
note() {
    echo "$machine: $*" >>"$work/summary"
}

options= # a further option of a build
# try_tests NAME [LEFT_OUT]...: builds, runs all tests but these, and counts.
try_tests() {
    build "$1" ${options:+"$options"} || return
    status=0
    run_tests "$@" || status=1
    note "$(count_tests "$work/$1")"
    return "$status"
}

try_arm64() {
    fetch arm64 libcmocka0 libcmocka-dev libjansson4 libjansson-dev libsmartcols1 libsmartcols-dev libxxhash-dev
    cross_file arm64 aarch64-linux-gnu aarch64 little qemu-aarch64
    # The emulation knows no robust mutexes: a process that dies takes its locks with it. Single tests
    # that ask for what it lacks say so.
    export RV_EMULATED=1
    MESON_EXE_WRAPPER=$(sed -n "s/^exe_wrapper = \[\(.*\)\]/\1/p" "$work/arm64.ini" | tr -d "',")
    export MESON_EXE_WRAPPER # Meson sets it for its own programs only, not for Python that runs them
    left_out='test_shared shared-stress'
    # shellcheck disable=SC2086 # a list of words
    try_tests arm64 $left_out && note "not run: $left_out"
}

try_s390x() {
    fetch s390x libcmocka0 libcmocka-dev libjansson4 libjansson-dev libsmartcols1 libsmartcols-dev libxxhash-dev
    cross_file s390x s390x-linux-gnu s390x big qemu-s390x
    try_tests s390x && note 'builds, and refuses to open'
}

try_i386() {
    mkdir -p "$work/i386-root"
    cross_file i386 i686-linux-gnu x86 little qemu-i386
    rm -rf "$work/i386"
    if meson setup "$work/i386" --cross-file "$work/i386.ini" >"$work/i386.log" 2>&1; then
        echo 'it was configured'
        return 1
    fi
    grep 'ERROR: .*64-bit machine' "$work/i386.log" || {
        tail -n 5 "$work/i386.log"
        return 1
    }
    note 'refused when configured'
}

# musl_library PACKAGE OPTION...: builds a Debian source package with CMake into build-machines/musl-root.
musl_library() {
    package=$1
    shift
    rm -rf "$work/download"
    mkdir -p "$work/download/source"
    (cd "$work/download" && apt deb-src amd64 source --download-only "$package")
    tar -xf "$(ls "$work/download/$package"_*.orig.tar.?z)" -C "$work/download/source" --strip-components 1
    { CC=musl-gcc run cmake -S "$work/download/source" -B "$work/download/build" -G Ninja \
        -DCMAKE_INSTALL_PREFIX="$root/usr" -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_BUILD_TYPE=Release \
        -DBUILD_SHARED_LIBS=OFF "$@" && run ninja -C "$work/download/build" install; } \
        >"$work/musl-$package.log" && return
    tail "$work/musl-$package.log"
    return 1
}

# xxHash is a header.
musl_root() {
    root=$work/musl-root
    [ ! -f "$root/complete" ] || return 0
    rm -rf "$root"
    mkdir -p "$root/usr/include" "$root/usr/lib/pkgconfig"
    cp /usr/include/xxhash.h "$root/usr/include/"
    printf 'Name: xxhash\nDescription: xxHash\nVersion: %s\nCflags: -I%s\n' \
        "$(pkg-config --modversion libxxhash)" "$root/usr/include" >"$root/usr/lib/pkgconfig/libxxhash.pc"
    musl_library cmocka -DWITH_EXAMPLES=OFF &&
        : >"$root/complete"
}

try_musl() {
    musl_root || return
    cat >"$work/musl.ini" <<EOF
[binaries]
c = 'musl-gcc'
cpp = 'musl-g++' # there is none: not the system's, which needs another C library
ar = 'ar'
strip = 'strip'
pkgconfig = 'pkg-config'
[properties]
needs_exe_wrapper = false
pkg_config_libdir = '$work/musl-root/usr/lib/pkgconfig'
[host_machine]
system = 'linux'
cpu_family = 'x86_64'
cpu = 'x86_64'
endian = 'little'
EOF
    options=-Dtools=false # libsmartcols is a part of util-linux: too much to build for this
    try_tests musl
}

# ---- all of it ----

[ $# -gt 0 ] || eval "set -- $all"
for machine in "$@"; do
    case " $all " in *" $machine "*) ;; *) die "unknown machine '$machine'; there are $all" ;; esac
done

say 'What the other machines need'
sh scripts/setup.sh test machines
mkdir -p "$work"
: >"$work/summary"

failed=
for machine in "$@"; do
    say "Machine: $machine"
    (try_"$machine") || {
        failed="$failed $machine"
        note FAILED
    }
done

say 'Summary'
cat "$work/summary"
if [ -n "$failed" ]; then
    echo "machines.sh: failed:$failed"
    exit 1
fi
echo "machines.sh: ok: $*"
