#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs a test under valgrind's memcheck: check.sh hands this to `meson test --wrap`. Of a test in
# Python it is each run of rvdump, not the interpreter.
set -eu

valgrind='valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite'
case $1 in
*python*)
    export MESON_EXE_WRAPPER="$valgrind"
    exec "$@"
    ;;
esac
# shellcheck disable=SC2086 # a command
exec $valgrind "$@"
