#!/bin/sh
# SPDX-License-Identifier: MIT
# The checks beside the tests.
#
#   sh scripts/check.sh [-s] [CHECK]...     without names: all, in this order
#
#   style     clang-format has nothing to change in any C file
#   shell     shellcheck has nothing to say about any script
#   package   debian/ has the product's version and its symbols
#   go        staticcheck has nothing to say about the Go package; its tests under AddressSanitizer
#   gcc       gcc builds everything without a warning
#   abi       abidiff finds the functions and structures of tests/librv.abi in what gcc built
#   clang     clang builds everything without a warning
#   asan      the tests under AddressSanitizer and UndefinedBehaviorSanitizer (gcc)
#   tsan      the tests of the library under ThreadSanitizer (gcc)
#   valgrind  the tests under valgrind's memcheck
#
#   -s        short: without the tests of the suites `slow` and `exhaustive`; of those whose stores one
#             thread uses, none under ThreadSanitizer
#
# All checks run, also after one that failed; the status is 0 if none failed.
set -eu
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

all='style shell package go gcc abi clang asan tsan valgrind'
short=
while getopts s option; do
    case $option in
    s) short='--no-suite slow --no-suite exhaustive' ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))

# files PATTERN: the project's own files of that name, a line each.
files() {
    find . -name .git -prune -o -name 'build*' -type d -prune -o -type f -name "$1" -print
}

# compile FOLDER OPTION...: builds.
compile() {
    configure "$@" && run meson compile -C "$1"
}

# tests FOLDER OPTION...: runs the tests of a build folder, those of other languages aside: their
# interpreters do not load a library that was built for a sanitizer.
tests() {
    folder=$1
    shift
    export RV_FEW=1 # of tests/sim/kill.c
    # shellcheck disable=SC2086 # options or nothing
    run meson test -C "$folder" --no-rebuild --print-errorlogs --timeout-multiplier "${patience:-2}" \
        --no-suite binding $short "$@" </dev/null
}

check_style() {
    files '*.[ch]' | xargs -r clang-format --dry-run --Werror
}

check_shell() {
    { files '*.sh' && ls .ci/run && grep -l '^#!/bin/sh' debian/tests/*; } | xargs shellcheck -x
}

# same WHAT EXPECTED FOUND
same() {
    [ "$2" = "$3" ] || { echo "$1: expected '$2', found '$3'" && false; }
}

check_package() {
    version=$(sed -n "s/^  version: '\(.*\)',/\1/p" meson.build)
    same 'version in include/recent_visits.h' "$version" \
        "$(sed -n 's/^#define VISIT_VERSION_STRING "\(.*\)"/\1/p' include/recent_visits.h)" &&
        same 'version in debian/changelog' "$version" "$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)" &&
        same 'symbols in debian/librv1.symbols' "$(sed 's/@@.*//' tests/symbols.txt)" \
            "$(sed -n 's/^ \(Visit.*\)@.*/\1/p' debian/librv1.symbols)"
}

# staticcheck comes with the distribution, for the distribution's Go.
check_go() {
    # shellcheck source=bindings/go/gos.sh
    . bindings/go/gos.sh
    go=$(command -v /usr/lib/go-*/bin/go | head -n 1)
    PATH=${go%/go}:$PATH run go-staticcheck -checks 'all,-ST1000,-ST1003' ./... &&
        run "$go" test -asan -count=1 -timeout 0 ./...
}

check_gcc() {
    CC=gcc compile build-check-gcc --werror
}

# Types that the public header only names may change.
check_abi() {
    found=build-check-gcc/librv.abi
    CC=gcc configure build-check-gcc --werror && run meson compile -C build-check-gcc rv:shared_library &&
        run abidw --headers-dir include --drop-private-types --exported-interfaces-only --no-architecture \
            --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed --out-file "$found" \
            build-check-gcc/lib/librv.so || return
    run abidiff --no-default-suppression --harmless tests/librv.abi "$found" && return
    cat <<EOF
The binary interface is another one than that of tests/librv.abi.
On purpose, and programs that are built go on (a new function, a new last member of a struct that has a size): commit
this with it, and what docs/packaging.md tells:
    cp $found tests/librv.abi
If one of them would not, the library needs a new SONAME; docs/packaging.md tells how.
EOF
    return 1
}

check_clang() {
    CC=clang compile build-check-clang --werror -Doptimization=0 # its warnings are the same, sooner
}

check_asan() {
    export ASAN_OPTIONS=exitcode=97:detect_stack_use_after_return=1:strict_string_checks=1
    export UBSAN_OPTIONS=exitcode=97:halt_on_error=1:print_stacktrace=1
    CC=gcc compile build-check-asan -Db_sanitize=address,undefined -Doptimization=1 -Dbench=false &&
        tests build-check-asan
}

check_tsan() {
    # Its search for deadlocks knows 64 held locks; verification holds every shard's, up to 256.
    export TSAN_OPTIONS=halt_on_error=1:detect_deadlocks=0
    CC=gcc compile build-check-tsan -Db_sanitize=thread -Doptimization=1 -Dbench=false -Dtools=false &&
        tests build-check-tsan --no-suite fuzz --no-suite sim ${short:+--no-suite one-thread}
}

check_valgrind() {
    compile build-check-valgrind -Dbench=false &&
        patience=20 tests build-check-valgrind --no-suite fuzz \
            --wrap "sh '$PWD/scripts/valgrind.sh'"
}

[ $# -gt 0 ] || eval "set -- $all"
for check in "$@"; do
    case " $all " in *" $check "*) ;; *) die "unknown check '$check'; there are $all" ;; esac
done

say 'What the checks need'
sh scripts/setup.sh test check

failed=
for check in "$@"; do
    say "Check: $check"
    # A sub-shell of its own: what a check exports is for that check.
    if (check_"$check"); then
        echo "$check: ok"
    else
        echo "$check: FAILED"
        failed="$failed $check"
    fi
done

echo
if [ -n "$failed" ]; then
    echo "check.sh: failed:$failed"
    exit 1
fi
echo "check.sh: ok: $*"
