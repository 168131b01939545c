#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the screens of docs/rvdump.md anew, and the picture docs/map.svg: each line that begins with
# "$ " in a block of console text is run, one after the other in one folder, and what it writes
# stands below it. All else in the document is left as it is.
#
#   sh scripts/screens.sh          writes both files
#   sh scripts/screens.sh check    changes nothing; the status is 1 if they would be others
#
# The commands have the same randomness and time of day in each run, from $FIXED (tests/tool/fixed.c
# as a shared library). It and $RVDUMP are built in build-screens/ if they are not given.
set -eu
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

if [ -z "${RVDUMP:-}" ] || [ -z "${FIXED:-}" ]; then
    configure build-screens -Dpython=disabled -Dbench=false >&2
    meson compile -C build-screens rvdump fixed >&2
    RVDUMP=$PWD/build-screens/tools/rvdump
    FIXED=$PWD/build-screens/tests/tool/libfixed.so
fi

# $folder/store is where the commands run; $folder/bin has what they run as rvdump.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/store" "$folder/bin"
cp examples/nasa-http-august-5000.log "$folder/store/access.log"
cp "$FIXED" "$folder/fixed.so" # in a list of names that spaces divide
printf '#!/bin/sh\nLD_PRELOAD="%s" exec "%s" "$@"\n' "$folder/fixed.so" "$RVDUMP" >"$folder/bin/rvdump"
chmod +x "$folder/bin/rvdump"

# screens: the document, with what its commands write now.
screens() {
    inside=
    while IFS= read -r line; do
        case $inside$line in
        '```console') inside=yes ;;
        'yes```') inside= ;;
        'yes$ '*)
            printf '%s\n' "$line"
            (cd "$folder/store" && PATH=$folder/bin:$PATH LC_ALL=C.UTF-8 \
                sh -c "${line#??}" </dev/null 2>"$folder/said") && status=0 || status=$?
            cat "$folder/said" # behind the output: of a pipe the order would be chance
            [ "$status" -eq 0 ] || echo "(exit code $status)"
            continue
            ;;
        yes*) continue ;;
        esac
        printf '%s\n' "$line"
    done
}

screens <docs/rvdump.md >"$folder/rvdump.md"
case ${1:-} in
check)
    if ! diff -u docs/rvdump.md "$folder/rvdump.md" || ! diff -u docs/map.svg "$folder/store/map.svg"; then
        die 'docs/rvdump.md or docs/map.svg is not what rvdump writes: sh scripts/screens.sh'
    fi
    ;;
'')
    cp "$folder/rvdump.md" "$folder/store/map.svg" docs/
    ;;
*) die 'there is nothing but check' ;;
esac
