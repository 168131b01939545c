#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds librv and its inspection tool, and shows them at work on 5,000 lines of a real log.
#
#   sh scripts/demo.sh
#
# The store is made in a temporary folder and removed at the end; with KEEP=1 it stays.
set -eu
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

say 'What the build needs'
sh scripts/setup.sh build

say 'Build'
configure build-demo -Dpython=disabled -Dtests=false -Dbench=false
run meson compile -C build-demo
PATH=$PWD/build-demo/tools:$PATH

log=examples/nasa-http-august-5000.log
[ -f "$log" ] || die "$log is missing"
folder=$(mktemp -d)
store=$folder/nasa.rv

# Reached by the trap below.
# shellcheck disable=SC2317
leave() {
    status=$?
    trap - EXIT
    if [ -n "${KEEP:-}" ]; then
        printf '\nThe store is kept: %s\n' "$store"
    else
        rm -rf "$folder"
        printf '\nThe store in %s is removed again; with KEEP=1 it stays.\n' "$folder"
    fi
    exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

say 'Import a web server log: each host becomes a user, each request a visit; 10 visits a user stay'
run rvdump import "$store" "$log" --format clf

say 'The figures of the store: one file, closed cleanly'
run rvdump info "$store"

say 'The five users with the most visits: id and number of visits'
run rvdump users "$store" --top 5

say 'The recent visits of the first of them, newest first: time, visit id, url, text'
user=$(rvdump users "$store" --top 1 | awk '{ print $1 }')
run rvdump show "$store" "$user"

say 'Check every rule of the format and every checksum'
run rvdump verify "$store"
