#!/bin/sh
# SPDX-License-Identifier: MIT
# Several processes write one store; every 100 ms one is killed, or now and then all. The long form of
# the test shared-stress.
#
#   sh scripts/shared.sh [SECONDS [SEED]]     300 seconds; 4 processes of 2 threads
#
# RV_PROCESSES, RV_THREADS and RV_PAUSE_MS (100) change that. The last line counts; the status is 0 if
# nothing failed.
set -eu
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

RV_PAUSE_MS=${RV_PAUSE_MS:-100}
RV_KILLS=$((${1:-300} * 1000 / RV_PAUSE_MS))
RV_SEED=${2:-1}
RV_PROCESSES=${RV_PROCESSES:-4}
RV_THREADS=${RV_THREADS:-2}
export RV_PAUSE_MS RV_KILLS RV_SEED RV_PROCESSES RV_THREADS
configure build-test
run ninja -C build-test tests/shared/stress
run build-test/tests/shared/stress
