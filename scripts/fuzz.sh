#!/bin/sh
# SPDX-License-Identifier: MIT
# Fuzzes the library with whole files and rvdump with inputs: the long form of the tests fuzz-*.
#
#   sh scripts/fuzz.sh [SECONDS [SEED]]     60 seconds in all, about
#   sh scripts/fuzz.sh build                builds only
#
# Every bit of a small store in turn (one part of eight, chosen by SEED), then libFuzzer, AFL++ and the
# targets' own driver, one after the other. What is learnt stays in build-fuzz/corpus for the next time;
# an input that fails is in build-fuzz/failed, or in the folder RV_OUTPUT, and the command that repeats
# it is printed. The last line counts; the status is 0 if nothing failed.
#
# Imports go ten times as fast as whole files. The shares below give both what they need: of 10 million
# executions about 1.2 million are of whole files.
set -eu
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

[ $# -gt 0 ] || set -- 60
seconds=$1
seed=${2:-1}
work=build-fuzz
output=${RV_OUTPUT:-$work/failed}
failed=0
executions=0
images=0

# build FOLDER TARGET OPTION...: builds one kind of fuzz target.
build() {
    folder=build-fuzz/$1
    wanted=$2
    shift 2
    configure "$folder" -Dtests="$tests" -Dbench=false -Db_lundef=false "$@"
    # shellcheck disable=SC2086 # a list of words
    run ninja -C "$folder" $wanted
}

# count ENGINE NAME NUMBER: adds executions, and says of what.
count() {
    echo "$1 $2: $3 executions"
    executions=$((executions + $3))
    [ "$2" != image ] || images=$((images + $3))
}

# repeat NAME FILE: an input that failed.
repeat() {
    echo "  again: $work/driver/fuzz/fuzz-$1 $2"
}

# with_libfuzzer NAME SECONDS
with_libfuzzer() {
    mkdir -p "$work/corpus/$1"
    "$work/driver/fuzz/fuzz-$1" -w "$work/corpus/$1"
    if ! "$work/libfuzzer/fuzz/fuzz-$1" -max_len=500000 -entropic=0 -timeout=25 -seed="$seed" \
        -max_total_time="$2" -print_final_stats=1 -artifact_prefix="$output/$1-" \
        "$work/corpus/$1" >"$work/$1.log" 2>&1; then
        cp "$work/$1.log" "$output/"
        tail -n 40 "$work/$1.log"
        repeat "$1" "$(sed -n 's/.*Test unit written to //p' "$work/$1.log")"
        failed=$((failed + 1))
    fi
    count libFuzzer "$1" \
        "$(awk '/^stat::number_of_executed_units/ { n = $2 } END { print n + 0 }' "$work/$1.log")"
}

# with_afl NAME SECONDS
with_afl() {
    rm -rf "$work/afl-out" "$work/afl-in"
    mkdir -p "$work/afl-in"
    "$work/driver/fuzz/fuzz-$1" -w "$work/afl-in"
    AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_AFFINITY=1 \
        AFL_CUSTOM_MUTATOR_LIBRARY="$work/driver/fuzz/libfuzzafl.so" AFL_CUSTOM_MUTATOR_ONLY=1 \
        ASAN_OPTIONS=abort_on_error=1:symbolize=0:detect_leaks=0 \
        afl-fuzz -V "$2" -s "$seed" -t 10000 -m none -i "$work/afl-in" -o "$work/afl-out" -- \
        "$work/afl/fuzz/fuzz-$1" >"$work/afl.log" 2>&1 || true
    stats=$work/afl-out/default/fuzzer_stats
    if [ ! -f "$stats" ]; then
        tail -n 20 "$work/afl.log"
        failed=$((failed + 1))
        return
    fi
    crashes=$(awk '/^saved_(crashes|hangs) / { n += $3 } END { print n + 0 }' "$stats")
    if [ "$crashes" -gt 0 ]; then
        for found in "$work"/afl-out/default/crashes/id* "$work"/afl-out/default/hangs/id*; do
            [ -f "$found" ] || continue
            cp "$found" "$output/afl-$1-$seed-${found##*/}"
            repeat "$1" "$output/afl-$1-$seed-${found##*/}"
        done
        failed=$((failed + crashes))
    fi
    count AFL++ "$1" "$(awk '/^execs_done / { print $3 }' "$stats")"
}

# with_driver NAME SECONDS: it says itself how to repeat what fails.
with_driver() {
    run "$work/driver/fuzz/fuzz-$1" -s "$seed" -t "$2" -o "$output" >"$work/driver.log" ||
        failed=$((failed + 1))
    cat "$work/driver.log"
    count driver "$1" "$(awk '/ mutations of seed / { print $5 }' "$work/driver.log" | grep . || echo 0)"
}

say 'What fuzzing needs'
sh scripts/setup.sh fuzz

say 'Build'
imports='import-jsonl import-csv import-clf'
targets=fuzz/fuzz-image
for name in $imports; do
    targets="$targets fuzz/fuzz-$name"
done
tests=true
CC=clang build driver "$targets fuzz/fuzz-flips fuzz/libfuzzafl.so" -Db_sanitize=address
tests=false
CC=clang build libfuzzer "$targets" -Dfuzz=libfuzzer -Db_sanitize=address
AFL_QUIET=1 AFL_USE_ASAN=1 CC=afl-clang-fast build afl fuzz/fuzz-image -Dfuzz=afl

[ "$1" != build ] || exit 0

say 'Every bit, every length'
mkdir -p "$output"
run "$work/driver/fuzz/fuzz-flips" 8 $((seed % 8)) || failed=$((failed + 1))

say 'Fuzz'
with_libfuzzer image $((seconds * 14 / 100 + 1))
with_afl image $((seconds * 9 / 100 + 1))
with_driver image $((seconds * 11 / 100 + 1))
for name in $imports; do
    with_libfuzzer "$name" $((seconds * 6 / 100 + 1))
    with_driver "$name" $((seconds * 15 / 100 + 1))
done

printf '\n%s executions, %s of them whole files, %s failed\n' "$executions" "$images" "$failed"
[ "$failed" -eq 0 ]
