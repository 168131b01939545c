#!/bin/sh
# SPDX-License-Identifier: MIT
# Imports a large log of a web server and checks the store against what the log itself says.
#
#   sh scripts/july.sh LOG.gz [LIMIT]
#
# Made for the requests of July 1995 to NASA's Kennedy Space Center, which are not part of this
# tree: NASA_access_log_Jul95.gz of <https://ita.ee.lbl.gov/html/contrib/NASA-HTTP.html>. Any other
# log in the common or combined log format will do, gzipped or not. LIMIT is how many visits each
# user keeps; without it, 10.
#
#   1  rvdump imports the log.
#   2  Without librv, a program works out which visits each user must have last, and compares.
#   3  rvdump verifies the store.
#   4  An export, imported into a second store and exported again, must give the same bytes.
#
# The summary comes last; the status is 0 if all is well. The stores (400 MB for a log of 1.1
# million lines and 36,000 hosts) lie in a temporary folder, see TMPDIR, and are removed; with
# KEEP=1 they stay. RVDUMP names a built rvdump; without it, one is built. The time of the import
# includes unpacking the log and closing the store, that is, until all is safe on disk.
set -eu
[ $# -eq 1 ] || [ $# -eq 2 ] || {
    echo 'usage: sh scripts/july.sh LOG.gz [LIMIT]' >&2
    exit 2
}
log=$(realpath -e -- "$1")
limit=${2:-10}
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

if [ -z "${RVDUMP:-}" ]; then
    say 'Build'
    configure build-demo -Dtests=false -Dbench=false
    run meson compile -C build-demo
    RVDUMP=$PWD/build-demo/tools/rvdump
fi
export RVDUMP
python=$(find_python) || die 'there is no python3'
folder=$(mktemp -d)

# Reached by the trap below.
# shellcheck disable=SC2317
leave() {
    status=$?
    trap - EXIT
    if [ -n "${KEEP:-}" ]; then
        printf 'The stores are kept: %s\n' "$folder"
    else
        rm -rf "$folder"
    fi
    exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

# unpack: the log's lines, on standard output.
unpack() {
    case $log in
    *.gz) gzip -dc -- "$log" ;;
    *) cat -- "$log" ;;
    esac
}

# milliseconds: of the clock.
milliseconds() {
    echo $(($(date +%s%N) / 1000000))
}

# check NAME COMMAND...: runs a command and notes whether it succeeded.
failed=
check() {
    name=$1
    shift
    "$@" || failed="$failed $name"
}

# round_trip: export, import, export: the same bytes twice.
round_trip() {
    "$RVDUMP" export "$folder/log.rv" --format jsonl >"$folder/first.jsonl" &&
        "$RVDUMP" import "$folder/second.rv" "$folder/first.jsonl" --format jsonl --strict \
            --max-visits "$limit" &&
        "$RVDUMP" export "$folder/second.rv" --format jsonl | cmp - "$folder/first.jsonl" &&
        "$RVDUMP" verify "$folder/second.rv"
}

say "Import with $limit visits a user"
started=$(milliseconds)
unpack | "$RVDUMP" import "$folder/log.rv" - --format clf --max-visits "$limit"
took=$(($(milliseconds) - started))
[ "$took" -gt 0 ] || took=1

say 'What each user must have, worked out from the log alone'
check comparison "$python" tests/tool/check_clf.py "$log" "$folder/log.rv" "$limit" \
    >"$folder/comparison"
cat "$folder/comparison"

say 'Verify'
check verify "$RVDUMP" verify "$folder/log.rv"

say 'Export, import, export'
check round-trip round_trip

say 'Summary'
lines=$(unpack | wc -l)
bytes=$(wc -c <"$folder/log.rv")
printf 'import        %d lines in %d.%03d s, %d lines/s\n' "$lines" $((took / 1000)) \
    $((took % 1000)) $((lines * 1000 / took))
printf 'store         %d bytes' "$bytes"
"$RVDUMP" info "$folder/log.rv" |
    awk '/^(users|visits) / { printf ", %s %s", $2, $1 } END { print "" }'
printf 'comparison    %s\n' "$(tail -n 1 "$folder/comparison")"
if [ -n "$failed" ]; then
    echo "july.sh: failed:$failed"
    exit 1
fi
echo 'july.sh: ok: comparison, verify, round trip'
