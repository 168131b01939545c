#!/bin/sh
# SPDX-License-Identifier: MIT
# Kills processes that work with a store: before every store of every kind of operation on a disk in
# memory, then real processes with real files. The long form of the tests sim-kill, test_kill and
# test_killed.
#
#   sh scripts/kill.sh [KILLS [SEED]]     2,000 real kills of each kind
#
# Each part ends with a line that counts; the status is 0 if nothing failed.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

RV_KILLS=${1:-2000}
RV_SEED=${2:-1}
export RV_KILLS RV_SEED
configure build-test
run ninja -C build-test tests/sim/kill tests/test_kill tests/test_killed
status=0
RV_ALL=1 RV_VERBOSE=1 run build-test/tests/sim/kill || status=1
run build-test/tests/test_kill || status=1
run build-test/tests/test_killed || status=1
exit "$status"
