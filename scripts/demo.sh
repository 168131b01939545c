#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds librv and its inspection tool, and shows them at work on 5,000 lines of a real log.
#
#   sh scripts/demo.sh
#
# The store is made in a temporary folder and removed at the end; with KEEP=1 it stays.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

say 'What the build needs'
sh scripts/setup.sh build

say 'Build'
configure build-demo -Dtests=false -Dbench=false
run meson compile -C build-demo
PATH=$PWD/build-demo/tools:$PATH
