#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the Debian packages from a copy of the tree, and has lintian look at them.
#
#   sh scripts/debian.sh [--no-tests] [--chroot]
#
#   --no-tests  without the tests that a build of the packages runs
#   --chroot    then installs them in a bare Debian 12, where debian/tests/ tries them; needs root and debootstrap
#
# The packages are left in build-debian/.
set -eu
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
# shellcheck source=scripts/tree.sh
. scripts/tree.sh

try=
for option in "$@"; do
    case $option in
    --no-tests) export DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-} nocheck" ;;
    --chroot) try=yes ;;
    *) die "unknown option '$option'" ;;
    esac
done
[ -z "$try" ] || [ "$(id -u)" -eq 0 ] || die '--chroot needs root'
top=$PWD
out=$top/build-debian
# The distribution's tools: packages are not made with others that may be installed beside them.
PATH=/usr/sbin:/usr/bin:/sbin:/bin

build() {
    rm -rf "$out"
    copy_tree "$out/librv"
    cd "$out/librv"
    run dpkg-buildpackage -us -uc -b >"$out/build.log" 2>&1 || {
        tail -n 60 "$out/build.log"
        die "the build failed; see $out/build.log"
    }
    grep -E '^(Ok|Fail|Skipped|Timeout): +[0-9]' "$out/build.log" || echo 'no tests were run'
    cd "$top"
    ls -l "$out"/*.deb
}

# The trap is below.
# shellcheck disable=SC2317
leave() {
    status=$?
    trap - EXIT
    close_tree ""
    exit "$status"
}

# needs TEST: prints the packages that debian/tests/control names for a test.
needs() {
    awk -v test="$1" '
        $1 == "Tests:" { found = $2 == test }
        $1 == "Depends:" && found { $1 = ""; gsub(",", ""); print }' debian/tests/control
}

# The tree takes the packages from a repository of its own, so that what they depend on is looked for and found. What
# needs least comes first: a dependency that is not named would be missed behind a tool chain.
try_packages() {
    tree=$(mktemp -d)
    trap leave EXIT
    trap 'exit 130' INT
    trap 'exit 143' HUP TERM
    open_tree
    mkdir -p "$tree/srv/packages"
    cp "$out"/*.deb "$tree/srv/packages/"
    (cd "$tree/srv/packages" && dpkg-scanpackages . >Packages)
    echo 'deb [trusted=yes] file:/srv/packages ./' >>"$tree/etc/apt/sources.list"
    copy_tree "$tree/srv/librv"
    inside apt-get -q update

    for test in rvdump python c cmake; do
        say "in the bare tree: $test"
        # shellcheck disable=SC2046 # words
        run inside env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $(needs "$test")
        run inside sh -c "cd /srv/librv && debian/tests/$test" || die "debian/tests/$test failed"
    done
    run inside apt-get -q purge -y librv1 python3-recent-visits
}

say 'What the packages need'
sh scripts/setup.sh debian
say 'Build'
build
say 'lintian'
run lintian --allow-root -i -I --fail-on error,warning "$out"/*.changes
echo 'lintian: no errors, no warnings'
[ -z "$try" ] || try_packages
