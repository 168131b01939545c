#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what building, testing or checking librv needs and this Debian system lacks.
#
#   sh scripts/setup.sh [build] [python] [test] [check] [fuzz] [coverage] [machines] [peers] [debian] [reproducible]
#                                                       without arguments: build
#
# Only apt-get is used, and only if a package is missing: the second run changes nothing.
set -eu

build='gcc libc6-dev meson ninja-build pkg-config libxxhash-dev libjansson-dev libsmartcols-dev
    scdoc'
python='python3 python3-dev python3-cffi'
test="$build $python g++ golang-go libcmocka-dev python3-pytest python3-xxhash python3-yaml python3-hypothesis python3-pip
    python3-venv python3-wheel python3-mesonpy python3-pandas mypy binutils cmake curl libmicrohttpd-dev
    mandoc libcairo2-dev zsh fish"
check='abigail-tools clang clang-format go-staticcheck libclang-rt-14-dev valgrind shellcheck
    liblmdb-dev libsqlite3-dev libtdb-dev python3-matplotlib'
fuzz="$test clang libclang-rt-14-dev afl++"
peers="$build liblmdb-dev libsqlite3-dev librocksdb-dev libleveldb-dev libtdb-dev libtkrzw-dev libhiredis-dev redis-server
    python3 python3-matplotlib"
coverage="$test gcovr"
machines='qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross
    gcc-i686-linux-gnu libc6-dev-i386-cross musl-tools cmake debian-archive-keyring'

debian="$build $python build-essential debhelper dh-python libcairo2-dev libcmocka-dev pybuild-plugin-pyproject
    python3-mesonpy python3-xxhash python3-yaml lintian"

packages=
for set in "${@:-build}"; do
    case $set in
    build) packages="$packages $build" ;;
    python) packages="$packages $build $python" ;;
    test) packages="$packages $test" ;;
    check) packages="$packages $check" ;;
    fuzz) packages="$packages $fuzz" ;;
    peers) packages="$packages $peers" ;;
    coverage) packages="$packages $coverage" ;;
    machines) packages="$packages $machines" ;;
    debian) packages="$packages $debian" ;;
    reproducible) packages="$packages $debian faketime" ;;
    *)
        echo "setup.sh: unknown set '$set'; see the top of this file" >&2
        exit 2
        ;;
    esac
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "setup.sh: no apt-get here; please see to it that there is:$packages"
    exit 0
fi

missing=
for package in $packages; do
    case " $missing " in *" $package "*) continue ;; esac
    # A line for each architecture that it is there for.
    # shellcheck disable=SC2016 # the format is dpkg-query's
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo "setup.sh: all packages for ${*:-build} are there"
    exit 0
fi

root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup.sh: as root, please run: apt-get install$missing" >&2
        exit 1
    fi
    root=sudo
fi

# Others may be installing at the same time: wait for dpkg's lock.
apt_get() {
    $root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

echo "setup.sh: installing$missing"
apt_get update || echo 'setup.sh: apt-get update failed; trying with the lists that are there'
# shellcheck disable=SC2086 # a list of words
apt_get install -y --no-install-recommends --no-remove $missing
