#!/bin/sh
# SPDX-License-Identifier: MIT
# Tries demo.sh and test.sh, each twice, in a bare Debian 12 without any tool chain. Needs root.
#
#   sh scripts/chroot.sh [-c TARBALL] [-k] [-t] [FOLDER]
#
#   -t          instead of these, does what docs/tutorial.md says
#   -c TARBALL  keep the bare tree in this file; where the file is there, it is used
#   -k          keep the tree afterwards
#   FOLDER      where to make the tree: empty or new, outside the repository; else a temporary one
#
# What is tried is a clone of HEAD: changes that are not committed are not in it.
set -eu
top=$(CDPATH='' cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$top/scripts/lib.sh"
# shellcheck source=scripts/tree.sh
. "$top/scripts/tree.sh"

keep=
tutorial=
while getopts c:kt option; do
    case $option in
    c) tarball=$OPTARG ;;
    k) keep=yes ;;
    t) tutorial=yes ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))

# Reached by the trap below.
# shellcheck disable=SC2317
leave() {
    status=$?
    trap - EXIT
    close_tree "$keep"
    exit "$status"
}

report=
failed=0
# try COMMAND TIME: runs a script in the tree, with arguments, and notes what it came to.
try() {
    say "$1, run $2"
    begin=$(date +%s)
    result=ok
    inside env LIBRV=/srv/librv sh -c "cd /srv/librv && sh $1" || { result="failed ($?)" && failed=1; }
    line="$1, run $2: $result, $(($(date +%s) - begin)) s"
    echo "$line"
    report="$report$line
"
}

[ "$(id -u)" -eq 0 ] || die 'needs root'
if [ $# -gt 0 ]; then
    mkdir -p "$1"
    tree=$(cd "$1" && pwd)
    [ -z "$(ls -A "$tree")" ] || die "$tree is not empty"
    case $tree/ in "$top"/*) die "$tree lies inside the repository" ;; esac
else
    tree=$(mktemp -d)
fi
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

open_tree

say "a clone of $(git -C "$top" rev-parse --short HEAD)"
run git clone --quiet --no-hardlinks "$top" "$tree/srv/librv"

if [ -n "$tutorial" ]; then
    try 'scripts/tutorial.sh -f' 1
else
    for script in scripts/demo.sh scripts/test.sh; do
        try "$script" 1
        try "$script" 2
    done
fi

say 'what came of it'
printf '%s' "$report"
exit "$failed"
