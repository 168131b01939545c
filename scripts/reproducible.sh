#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds twice, as two people would who have little in common, and compares: librv.so and rvdump as meson builds them,
# and the Debian packages. Every byte must be the same.
#
#   sh scripts/reproducible.sh [--no-packages]
#
# Different are: folder, umask, time zone, language, date (by more than a year), number of jobs, home, user name.
# What differs is left in build-reproducible/.
set -eu
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

packages=yes
case ${1:-} in
--no-packages) packages= ;;
'') ;;
*) die "unknown option '$1'" ;;
esac
top=$PWD
out=$top/build-reproducible
PATH=/usr/sbin:/usr/bin:/sbin:/bin

# as_one COMMAND..., as_other COMMAND...
as_one() (
    umask 022
    run env -i PATH="$PATH" HOME=/nonexistent/one USER=one TZ=UTC LC_ALL=C \
        DEB_BUILD_OPTIONS='nocheck parallel=1' "$@"
)

as_other() (
    umask 077
    run env -i PATH="$PATH:/other" HOME=/nonexistent/other USER=other TZ=Asia/Kathmandu LC_ALL=C.UTF-8 LANG=de_DE.UTF-8 \
        DEB_BUILD_OPTIONS='nocheck parallel=3' NO_FAKE_STAT=1 faketime '+400 days' "$@"
)

# build WHO FOLDER: copies the tree there and builds; what that makes goes to build-reproducible/WHO/.
build() {
    mkdir -p "$out/$1" "${2%/*}" &&
        as_"$1" cp -R "$out/tree" "$2" &&
        cd "$2" &&
        as_"$1" env CFLAGS="-ffile-prefix-map=$2=." \
            meson setup build -Dpython=disabled -Dtests=false -Dbench=false &&
        as_"$1" ninja -C build lib/librv.so.1.0.0 tools/rvdump &&
        cp build/lib/librv.so.1.0.0 build/tools/rvdump "$out/$1/" &&
        rm -rf build || return
    [ -n "$packages" ] || return 0
    as_"$1" dpkg-buildpackage -us -uc -b && cp ../*.deb "$out/$1/"
}

# logged WHO FOLDER: builds with a log.
logged() {
    (build "$@") >"$out/$1.log" 2>&1 || {
        tail -n 40 "$out/$1.log"
        die "the build failed; see $out/$1.log"
    }
}

say 'What the builds need'
sh scripts/setup.sh reproducible
rm -rf "$out"
copy_tree "$out/tree"

say 'One build'
logged one "$out/1/librv"
say 'Another'
logged other "$out/another/folder-with-a-longer-name/rv"

say 'What came of it'
differ=
for file in "$out"/one/*; do
    if cmp "$file" "$out/other/${file##*/}"; then
        echo "$(sha256sum <"$file" | cut -c 1-16)  ${file##*/}"
    else
        differ="$differ ${file##*/}"
    fi
done
[ "$(ls "$out/one")" = "$(ls "$out/other")" ] || die 'the builds made different files'
[ -z "$differ" ] || die "different:$differ (diffoscope tells how)"
rm -rf "$out/tree" "$out/1" "$out/another"
echo 'reproducible.sh: every byte is the same'
