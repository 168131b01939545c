#!/bin/sh
# SPDX-License-Identifier: MIT
# Cuts the power of stores on a disk in memory, at any instant and several times in a row: the long
# form of the test sim-powercut.
#
#   sh scripts/powercut.sh [SEEDS [FIRST]]     100,000 seeds from 1 on
#
# The last line counts the seeds; a failure says how to repeat it. 100,000 take about six minutes.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

configure build-test
run ninja -C build-test tests/sim/powercut
RV_SEEDS=${1:-100000} RV_SEED=${2:-1} RV_VERBOSE=1 run build-test/tests/sim/powercut
