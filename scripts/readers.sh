#!/bin/sh
# SPDX-License-Identifier: MIT
# Compares rvdump with format-spec/reader, which was written from the description of the format alone: on
# stores that were closed, killed or cut off from power, and on damaged ones.
#
#   sh scripts/readers.sh [COUNT]      10000 stores, with new seeds each time
#   sh scripts/readers.sh again NAME   one of them once more: what both say of it; the store is kept
#
#   RV_SEED=N    the same stores as in the run that printed this number
set -eu
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

bin=build-readers
sh scripts/setup.sh test
configure "$bin" --buildtype=release -Dpython=disabled -Dbench=false
run ninja -C "$bin" tools/rvdump tests/tool/make-store tests/sim/powercut

export RVDUMP="$PWD/$bin/tools/rvdump" MAKE_STORE="$PWD/$bin/tests/tool/make-store" \
    POWERCUT="$PWD/$bin/tests/sim/powercut" PYTHONPATH="$PWD/format-spec" PYTHONDONTWRITEBYTECODE=1
python=$(find_python xxhash)
if [ "${1:-}" = again ]; then
    run "$python" tests/readers/compare.py --again "$2"
else
    run "$python" tests/readers/compare.py --first "${RV_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}" \
        "${1:-10000}"
fi
