#!/bin/sh
# SPDX-License-Identifier: MIT
# Which lines and branches of lib/ the tests reach.
#
#   sh scripts/coverage.sh [SUITE]...    by default: unit fault tool fuzz slow
#
# Prints both for each file and in total; docs/coverage.md says what they were, and why the rest is
# not reached. Writes build-coverage/html/index.html. Fails if a test fails or, with all suites,
# fewer than 95 % of the lines or 90 % of the branches are reached.
#
# What counts: every build of a source file adds to it, so also those with failing system calls or a
# simulated disk. What a child did that was killed does not count; the counts are written at an exit.
set -eu
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

least='--fail-under-line 95 --fail-under-branch 90'
[ $# -eq 0 ] && set -- unit fault tool fuzz slow || least=

say 'What it needs'
sh scripts/setup.sh coverage

# -O0: lines and branches are those of the source. Static: a child that calls _exit() can write the
# counts of its program only, not those of a shared library.
# Anew: what a build left of files that are compiled elsewhere by now would count, and confuse gcovr.
say 'Build'
rm -rf build-coverage
CC=gcc configure build-coverage -Db_coverage=true -Doptimization=0 -Ddefault_library=static \
    -Dc_link_args=-Wl,-u,__gcov_dump -Dbench=false -Dpython=disabled
run meson compile -C build-coverage

say 'Test'
# Tests that act as another user write counts too.
umask 0
find build-coverage -type d -exec chmod a+w {} +
status=0
suites=
for suite in "$@"; do
    suites="$suites --suite $suite"
done
# shellcheck disable=SC2086 # options
run meson test -C build-coverage --no-rebuild --print-errorlogs \
    --timeout-multiplier 4 $suites </dev/null || status=1

say 'Coverage'
# The false branch of an assertion is one that nothing may take.
mkdir -p build-coverage/html
json=build-coverage/coverage.json
run gcovr --root . --filter lib/ --object-directory build-coverage build-coverage \
    --exclude-throw-branches --exclude-unreachable-branches \
    --exclude-branches-by-pattern '^ *assert\(.*' --json "$json"
run gcovr --root . --add-tracefile "$json" --txt
run gcovr --root . --add-tracefile "$json" --txt --branches
# shellcheck disable=SC2086 # options or nothing
run gcovr --root . --add-tracefile "$json" --html-details build-coverage/html/index.html \
    --print-summary $least || status=1
exit "$status"
