#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what the tests need, builds librv with them, and runs them all.
#
#   sh scripts/test.sh
#
# The last line of the output counts the tests. The status is 0 if none failed.
#
#   RV_WERROR=--werror   a compiler's warning is an error
set -eu
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

say 'What the tests need'
sh scripts/setup.sh test

# Some tests run what they have put into a temporary folder.
probe=$(mktemp)
printf '#!/bin/sh\n' >"$probe"
chmod +x "$probe"
if ! "$probe" 2>/dev/null; then
    mkdir -p build-test/tmp
    export TMPDIR="$PWD/build-test/tmp"
fi
rm -f "$probe"

say 'Build'
# shellcheck disable=SC2086 # an option or nothing
configure build-test -Dpython=enabled ${RV_WERROR:-}
run meson compile -C build-test

say 'Test'
rm -f build-test/meson-logs/testlog.txt
status=0
run meson test -C build-test --no-rebuild --print-errorlogs </dev/null || status=$?
count=$(count_tests build-test)
case $count in *' 0 failed,'*) ;; *) status=1 ;; esac
printf '\n%s\n' "$count"
exit "$status"
