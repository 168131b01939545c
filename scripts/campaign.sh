#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the tests that have seeds, for a time, with new seeds each time.
#
#   sh scripts/campaign.sh [MINUTES]     10 minutes, and the build
#
# At the end a table: what was tried how often, and what failed. For each failure stands the command
# that repeats it, and what it left stays in a folder. The status is 0 if nothing failed.
#
#   RV_SEED=N    the same seeds as in the campaign that printed this number
#
# Two lanes run side by side: one has the simulated disk, then kills of real processes; the other what
# fails, what is full, what forks, then fuzzing. Their shares of the time are such that 60 minutes on two
# cores give more than 1,000,000 power cuts (2 million at 0.8 ms), 20,000 kills of real processes (50,000
# at 20 ms) and 10,000,000 executions of fuzz targets, of which 1,000,000 are whole files (scripts/fuzz.sh).
set -eu
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

bin=build-campaign
kinds='power-cuts power-cuts-shared failing-syncs kills-simulated kills-threads
    kills-single kills-sharers faults full-disks forks fuzz fuzz-whole-files fuzz-bits'

# ---- a lane ----

now() {
    date +%s
}

# slice KIND COUNTER COMMAND: runs a shell command. COUNTER is an awk program that prints, from what the
# command wrote, "KIND N": how often something was tried. A failure is noted, and what was written is
# kept. To have tried nothing is a failure.
slice() {
    number=$((number + 1))
    log=$folder/$1-$number.log
    files=$folder/$1-$number.files
    mkdir "$files"
    status=0
    TMPDIR=$PWD/$files sh -c "$3" >"$log" 2>&1 || status=$?
    awk -v kind="$1" "$2" "$log" >"$folder/$lane.counts"
    cat "$folder/$lane.counts" >>"$folder/counts"
    if [ "$status" -eq 77 ]; then
        echo "SKIPPED: $3: $(grep SKIP "$log")"
    elif [ "$status" -ne 0 ] || ! [ -s "$folder/$lane.counts" ] ||
        grep -q ' 0$' "$folder/$lane.counts"; then
        fail "$1" "$3"
        return
    fi
    rm -rf "$log" "$files"
}

# fail KIND COMMAND: notes the failures of the last slice: the commands that its log names, or its own.
fail() {
    again=$(sed -n 's/^ *again: *//p; s/^FAILED: build/build/p' "$log" | sort -u)
    printf '%s\n' "${again:-$2}" | while read -r command; do
        printf '%s: %s\n' "$1" "$command" >>"$folder/failures"
        printf 'FAILED: %s: %s\n' "$1" "$command"
    done
    echo "  $log"
}

# repeatedly SHARE KIND COUNTER COMMAND: slices for SHARE percent of the time, each with a RV_SEED of its
# own, in steps of 100,000.
repeatedly() {
    until=$(($(now) + span * $1 / 100))
    echo "$2: $((span * $1 / 100)) seconds"
    while
        seed=$((seed + 100000))
        slice "$2" "$3" "RV_SEED=$seed $4"
        [ "$(now)" -lt "$until" ]
    do
        continue
    done
}

# What the programs count: tests that passed; kills that were survived; seeds.
# shellcheck disable=SC2016 # the dollars are awk's
{
    tests='/PASSED/ { n = $4 } END { print kind, n + 0 }'
    fifty='/PASSED/ { n = $4 * 50 } END { print kind, n + 0 }'
    kills='/^[0-9]+ kills/ { n = $1 } END { print kind, n + 0 }'
    seeds='/^powercut:/ { n = $2 } END { print kind, n + 0 }'
    faults='/: [0-9]+ failures$/ { n += $(NF - 1) } END { print kind, n + 0 }'
    fuzz='/ bits turned over, / { print "fuzz-bits", $1 }
        / of them whole files, / { print kind, $1; print "fuzz-whole-files", $3 }'
}

lane_disk() {
    # Before each store takes 100 seconds; otherwise it is some of a long operation's many.
    all=
    [ "$seconds" -lt 500 ] || all='RV_ALL=1 '
    echo 'kills-simulated'
    slice kills-simulated "$kills" "RV_SEED=$seed $all$bin/tests/sim/kill"
    span=$((end - $(now)))
    repeatedly 44 power-cuts "$seeds" "RV_SEEDS=4000 $bin/tests/sim/powercut"
    repeatedly 11 power-cuts-shared "$seeds" "RV_SEEDS=2000 $bin/tests/sim/powercut shared"
    repeatedly 5 failing-syncs "$seeds" "RV_SEEDS=2000 $bin/tests/sim/powercut failing"
    repeatedly 20 kills-threads "$fifty" "RV_KILLS=50 $bin/tests/test_kill"
    repeatedly 5 kills-single "$fifty" "RV_KILLS=50 $bin/tests/test_killed"
    repeatedly 14 kills-sharers "$kills" \
        "RV_KILLS=200 RV_PROCESSES=4 RV_THREADS=2 $bin/tests/shared/stress"
}

lane_faults() {
    echo 'faults, full-disks'
    slice faults "$faults" "$bin/tests/test_fault"
    for kind in limits tmpfs ext4; do
        slice full-disks "$tests" "$bin/tests/test_full $kind"
    done
    span=$((end - $(now)))
    repeatedly 2 forks "$tests" "$bin/tests/test_process"
    left=$((end - $(now) - 10))
    [ "$left" -gt 20 ] || left=20
    echo "fuzz: $left seconds"
    slice fuzz "$fuzz" "RV_OUTPUT=$folder sh scripts/fuzz.sh $left $((seed / 100000 % 1000000000))"
}

# ---- the campaign ----

build() {
    say 'Build'
    sh scripts/setup.sh fuzz
    configure "$bin" --buildtype=release -Dpython=disabled -Dbench=false
    run ninja -C "$bin" tests/sim/powercut tests/sim/kill tests/test_kill tests/test_killed \
        tests/shared/stress tests/test_fault tests/test_full tests/test_process
    sh scripts/fuzz.sh build
}

# A lane is a process group of its own: what it has started ends with it.
start() {
    setsid sh scripts/campaign.sh lane "$1" "$folder" "$seconds" "$seed" &
}

stop() {
    kill -- "-$first" "-$second" 2>/dev/null || true
    echo "stopped; see $folder"
    exit 130
}

table() {
    printf '%-20s %14s %9s\n' kind runs failures
    for kind in $kinds; do
        runs=$(awk -v kind="$kind" '$1 == kind { n += $2 } END { print n + 0 }' "$folder/counts")
        failed=$(grep -c "^$kind: " "$folder/failures" || true)
        printf '%-20s %14s %9s\n' "$kind" "$runs" "$failed"
    done
}

if [ "${1:-}" = lane ]; then
    lane=$2 folder=$3 seconds=$4 seed=$5
    number=0
    end=$(($(now) + seconds))
    "lane_$lane"
    exit
fi

minutes=${1:-10}
seconds=$((minutes * 60))
seed=${RV_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')000000}
build
folder=$bin/campaign-$(date +%Y%m%d-%H%M%S)
mkdir "$folder"
: >"$folder/counts"
: >"$folder/failures"
say "$minutes minutes, RV_SEED=$seed, in $folder"
start disk
first=$!
start faults
second=$!
trap stop INT TERM
broken=0
wait "$first" || broken=1
wait "$second" || broken=1

say "Campaign of $minutes minutes, RV_SEED=$seed"
table
if [ "$broken" -ne 0 ] || [ -s "$folder/failures" ]; then
    printf '\n'
    cat "$folder/failures"
    echo "campaign: FAILED; what was left is in $folder"
    exit 1
fi
rm -rf "$folder"
echo 'campaign: 0 failures'
