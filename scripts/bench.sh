#!/bin/sh
# SPDX-License-Identifier: MIT
# Measures librv beside other stores, and makes docs/performance.md of the figures, with plots.
#
#   sh scripts/bench.sh [short|full] [PART]...     without arguments: short, all parts
#
#   short     some ten minutes, at a small scale: to see that all works, and about where things stand
#   full      some hours, 60 GB of disk: the figures that count
#
# Parts: w1 w1s threads processes durable cold open sizes bulk log soak report. Results go to
# build-bench/results-short, of the full set to docs/performance/results, where those of parts that
# are not measured again stay; `report` alone draws what is there.
#
#   RV_BENCH_DIR=FOLDER   where stores are made; default: build-bench
#   RV_BENCH_LOG=FILE     a web server's log, also gzipped, for what is measured on one; default: that
#                         of examples/, repeated
#   RV_BENCH_DOC=FILE     the document; default: docs/performance.md, for short a copy in build-bench
set -eu
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

set_name=short
case ${1:-} in
short | full)
    set_name=$1
    shift
    ;;
esac
all='w1 w1s threads processes durable cold open sizes bulk log soak report'
[ "$set_name" = full ] || all=${all#w1 }
[ $# -gt 0 ] || {
    # shellcheck disable=SC2086 # a list of words
    set -- $all
}
for part in "$@"; do
    case " w1 $all " in *" $part "*) ;; *) die "no part '$part'; there are $all" ;; esac
done

bin=build-bench/bench
results=build-bench/results-short
[ "$set_name" = short ] || results=docs/performance/results
log=build-bench/log.txt

# measure NAME PROGRAM OPTION...: one program's results, in a file of that name. The file appears when
# it is whole.
measure() {
    name=$1 program=$2
    shift 2
    say "$name"
    run "$bin/bench_$program" --dir "$dir" --json "$results/$name.part" "$@" ||
        die "$name failed; nothing of it was kept"
    mv "$results/$name.part" "$results/$name.json"
}

# The log that is imported, as text.
make_log() {
    case ${RV_BENCH_LOG:-} in
    '')
        rm -f "$log"
        for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            cat examples/nasa-http-august-5000.log >>"$log"
        done
        ;;
    *.gz) gzip -dc "$RV_BENCH_LOG" >"$log" ;;
    *) cat "$RV_BENCH_LOG" >"$log" ;;
    esac
}

floors='floor-anon,floor-file,floor-sync,librv-nosync,librv,librv-nosync-batch,librv-batch'
contenders='lmdb,tkrzw,tdb,lmdb-batch,tkrzw-batch' # tdb-batch is as slow as tdb
# At full size these run once.
slow_peers='sqlite,rocksdb,leveldb,redis,sqlite-batch,rocksdb-batch,leveldb-batch,redis-batch'
quick="librv,librv-batch,lmdb,lmdb-batch,tkrzw,tkrzw-batch"

measure_w1() {
    # Without the slow ones, which take an hour for what the tenth shows as well.
    measure w1 visits --engines "$floors,$contenders" --latency 1
}

measure_w1s() {
    if [ "$set_name" = full ]; then
        measure w1s visits --scale 0.1 --engines "$floors,$contenders,$slow_peers" --once "$slow_peers"
    else
        measure w1s visits --scale 0.03 --repeat 3 --latency 1 --engines "$floors,peers,batched"
    fi
}

measure_threads() {
    if [ "$set_name" = full ]; then
        measure threads threads
    else
        measure threads threads --adds 100k --users 20k --repeat 3 --seconds 0.1
    fi
}

measure_processes() {
    if [ "$set_name" = full ]; then
        measure processes threads --processes
    else
        measure processes threads --processes --adds 100k --users 20k --repeat 3 --seconds 0.1 --members 1,2,4
    fi
}

measure_durable() {
    if [ "$set_name" = full ]; then
        measure durable durable --paced-seconds 20
    else
        measure durable durable --adds 200k --users 20k --repeat 3 --seconds 0.5 --paced-seconds 3 --rounds 3
    fi
}

measure_cold() {
    if [ "$set_name" = full ]; then
        measure cold cold --once sqlite,leveldb
    else
        measure cold cold --users 40k --reads 1k --repeat 1
    fi
}

measure_open() {
    if [ "$set_name" = full ]; then
        measure open open --stores 0,250k,4M
    else
        measure open open --stores 0,50k --opens 100 --kills 10 --cuts 3
    fi
}

# N and the length of strings; the floors have neither long strings nor many visits.
measure_sizes() {
    repeat=5 n1='--scale 0.1' n100='--users 20k --adds 2M --zipf-reads 200k --uniform-reads 1k'
    n10000='--users 100 --adds 2M --zipf-reads 2k --uniform-reads 1k'
    s='--users 20k --adds 200k --zipf-reads 200k --uniform-reads 1k' long='--users 500 --adds 10k --zipf-reads 10k --uniform-reads 1k'
    if [ "$set_name" = short ]; then
        repeat=1 n1='--scale 0.03' n100='--users 2k --adds 200k --zipf-reads 20k --uniform-reads 1k'
        s='--users 5k --adds 50k --zipf-reads 50k --uniform-reads 1k' long='--users 100 --adds 2k --zipf-reads 2k --uniform-reads 1k'
    fi
    # shellcheck disable=SC2086 # lists of words
    {
        measure n-1 visits $n1 --visits 1 --repeat $repeat --latency 0 --engines "floor-anon,floor-file,$quick"
        measure n-100 visits $n100 --visits 100 --repeat $repeat --latency 0 --engines "floor-anon,floor-file,$quick"
        measure n-10000 visits $n10000 --visits 10000 --repeat $repeat --latency 0 --engines floor-anon,floor-file,librv,librv-batch
        measure strings-0 visits $s --string-bytes 0 --repeat $repeat --latency 0 --engines "$quick"
        measure strings-200 visits $s --string-bytes 200 --repeat $repeat --latency 0 --engines "$quick"
        measure strings-2000 visits $s --string-bytes 2000 --repeat $repeat --latency 0 --engines "$quick"
        measure strings-100000 visits $long --string-bytes 100000 --repeat $repeat --latency 0 --engines "$quick"
    }
}

measure_bulk() {
    make_log
    if [ "$set_name" = full ]; then
        measure bulk bulk --users 1M --adds 10M --rvdump build-bench/tools/rvdump --log "$log"
    else
        measure bulk bulk --users 30k --adds 300k --repeat 3 --rvdump build-bench/tools/rvdump --log "$log"
    fi
}

# Space on a web server's log; once more with slots of half the size, which its short lines fit.
measure_log() {
    make_log
    repeat=5
    if [ "$set_name" = short ]; then
        repeat=1
        head -n 100000 "$log" >"$log.part" && mv "$log.part" "$log"
    fi
    measure log visits --log "$log" --zipf-reads 100k --uniform-reads 100k --repeat $repeat --latency 0 \
        --engines "floor-file,librv,peers"
    measure log-slot visits --log "$log" --zipf-reads 100k --uniform-reads 100k --repeat $repeat --latency 0 \
        --engines librv --slot 128
}

measure_soak() {
    if [ "$set_name" = full ]; then
        measure soak soak --operations 1G --users 1M
    else
        measure soak soak --operations 4M --users 20k
    fi
}

measure_report() {
    say report
    document=${RV_BENCH_DOC:-docs/performance.md}
    if [ "$set_name" = short ] && [ -z "${RV_BENCH_DOC:-}" ]; then
        document=build-bench/performance.md
        cp docs/performance.md "$document"
    fi
    python=$(find_python matplotlib) || die 'no Python with matplotlib'
    run "$python" bench/report.py "$results" "$document"
}

say 'Peers'
sh scripts/setup.sh peers

say 'Build'
configure build-bench --buildtype=release -Dpython=disabled -Dtests=false
run meson compile -C build-bench
mkdir -p "$results"
# What was measured, in the results.
RV_BENCH_VERSION=$(git describe --always 2>/dev/null || echo unknown)
git diff --quiet HEAD -- lib bench 2>/dev/null || RV_BENCH_VERSION=$RV_BENCH_VERSION+
export RV_BENCH_VERSION
trap 'rm -f "$log" "$log.part" "$results"/*.part' EXIT
dir=${RV_BENCH_DIR:-build-bench}

for part in "$@"; do
    "measure_$part"
done
