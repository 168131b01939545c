#!/bin/sh
# SPDX-License-Identifier: MIT
# Does what a tutorial says, word by word, and compares what it prints with what is shown.
#
#   sh scripts/tutorial.sh [-f] [FILE]     FILE: else docs/tutorial.md
#
#   -f  also what is for a fresh system only: that installs packages, and clones $LIBRV. Without it
#       the folder `librv` is a copy of this tree.
#
# What counts in FILE are blocks between fences:
#
#   ```console         commands behind "$ ", each followed by what it prints, errors included. "..."
#                      stands for anything, alone in a line for one or more lines, or for all, which
#                      may be nothing. A status other than 0 is a failure.
#   ```console fresh   the same, with -f only
#   ```LANGUAGE NAME   the file NAME
#
# The ports 8000 and 8001 become free ones. All commands run in one shell, in a new folder.
set -u
top=$(CDPATH='' cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$top/scripts/lib.sh"

fresh=
while getopts f option; do
    case $option in
    f) fresh=yes ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
tutorial=$(realpath "${1:-$top/docs/tutorial.md}")

# What the shell that started this has for its own builds is not for these.
unset DESTDIR PYTHONPATH PYTHONHOME
if [ -z "$fresh" ]; then
    # shellcheck source=bindings/go/gos.sh
    . "$top/bindings/go/gos.sh"
    python=$(find_python mesonpy cffi) && PATH=${python%/*}:$PATH
    for tool in cc curl go meson pkg-config "${python:-python3 with mesonpy and cffi}"; do
        command -v "$tool" >/dev/null || { echo "tutorial.sh: skipped, for lack of $tool" && exit 77; }
    done
    pkg-config --exists libmicrohttpd || { echo 'tutorial.sh: skipped, for lack of libmicrohttpd' && exit 77; }
fi

folder=$(mktemp -d)
# Reached by the trap below.
# shellcheck disable=SC2317
leave() {
    status=$?
    trap - EXIT
    jobs -p >"$folder/jobs"
    while read -r job; do
        kill "$job" 2>/dev/null
    done <"$folder/jobs"
    wait
    rm -rf "$folder"
    exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

# free_port NUMBER: prints the first port from there on at which nobody listens.
free_port() {
    port=$1
    while grep -qsi ":$(printf %04x "$port") .* 0A " /proc/net/tcp /proc/net/tcp6; do
        port=$((port + 1))
    done
    echo "$port"
}

# as_pattern: turns what is shown into a pattern of the shell, in which "..." is "*".
as_pattern() {
    sed 's/[[*?]/[&]/g; s/\\/?/g; s/\.\.\./*/g'
}

commands=0
command=
shown=
# try: runs the command that was read, if there is one, and compares.
try() {
    [ -n "$command" ] || return 0
    commands=$((commands + 1))
    printf '$ %s\n' "$command"
    eval "$command" >"$folder/output-$commands" 2>&1 </dev/null 3<&- ||
        die "this failed with status $?: $(cat "$folder/output-$commands")"
    printed=$(cat "$folder/output-$commands")
    # shellcheck disable=SC2254 # a pattern
    case $printed in
    $(printf '%s' "$shown" | as_pattern)) ;;
    *) die "$(printf 'this is shown:\n%s\n\nand this was printed:\n%s' "$shown" "$printed")" ;;
    esac
    command=
}

first=$(free_port $((20000 + $$ % 10000)))
second=$(free_port $((first + 1)))
sed "s/8000/$first/g; s/8001/$second/g" "$tutorial" >"$folder/tutorial" || exit 1

mkdir "$folder/work"
cd "$folder/work" || exit 1
if [ -z "$fresh" ]; then
    mkdir librv
    (cd "$top" && tar -cf - --exclude=.git --exclude='./build*' --exclude=__pycache__ .) | tar -xf - -C librv || exit 1
fi

begin=$(date +%s)
block=
newline='
'
while IFS= read -r line <&3; do
    case $block,$line in
    ?*,'```')
        try
        block=
        ;;
    ,'```console' | ,'```console fresh')
        block=commands
        [ -n "$fresh" ] || [ "$line" = '```console' ] || block=other
        ;;
    ,'```'*' '*)
        block='file'
        name=${line#* }
        : >"$name" || exit 1
        ;;
    ,'```'*) block=other ;;
    file,*) printf '%s\n' "$line" >>"$name" ;;
    commands,'$ '*)
        try
        command=${line#'$ '}
        shown=
        ;;
    commands,*) shown=$shown${shown:+$newline}$line ;;
    esac
done 3<"$folder/tutorial"

[ -z "$block" ] || die 'a fence is open at the end'
[ "$commands" -gt 0 ] || die 'there are no commands'
echo "tutorial.sh: $commands commands did what is shown, in $(($(date +%s) - begin)) s"
