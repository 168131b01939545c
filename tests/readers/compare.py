# SPDX-License-Identifier: MIT
"""Compares rvdump with format-spec/reader, the second implementation of the format.

    compare.py [--first SEED] [--workers N] COUNT   on so many stores: closed, killed, cut off from power,
                                                    two of three of them damaged
    compare.py --again NAME                         on one, which is kept: stores.py has the names

What has to be equal: what they export, byte for byte; the rules that a verification finds broken, and for
which users; and how each of the two ends, its exit status. MAKE_STORE, POWERCUT and RVDUMP name the programs.
"""

import argparse
import collections
import contextlib
import io
import itertools
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import traceback

from reader.__main__ import main as reader_main

from damage import damaged
from stores import Makers

RVDUMP = os.environ.get("RVDUMP", "rvdump")
HANG_SECONDS = 120
FINDING = re.compile(r"offset \d+: (?P<rule>[a-z-]+): (?:user (?P<user>\d+))?")
DAMAGED, DAMAGED_WITHOUT_LOSS = 4, 10

Answer = collections.namedtuple("Answer", "status output")
Difference = collections.namedtuple("Difference", "name what rvdump reader")


# ---- asking both ----

def ask_rvdump(*arguments):
    done = subprocess.run([RVDUMP, *arguments], capture_output=True, check=False, timeout=HANG_SECONDS)
    return Answer(done.returncode, done.stdout)


def ask_reader(path, command):
    output = io.TextIOWrapper(io.BytesIO())
    signal.alarm(HANG_SECONDS)
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
            status = reader_main([path, command])
    except Exception:  # pylint: disable=broad-exception-caught
        status = traceback.format_exc()
    signal.alarm(0)
    output.flush()
    return Answer(status, output.buffer.getvalue())


def rules_of_rvdump(path):
    """What broke which rules for which users, without where and how often: one damage may be seen in several
    places. Whether damage costs visits is told by rvdump only."""
    answer = ask_rvdump("verify", "--json", path)
    found = map(json.loads, answer.output.decode().splitlines())
    return Answer(DAMAGED if answer.status == DAMAGED_WITHOUT_LOSS else answer.status,
                  sorted({(finding["rule"], finding.get("user_id", -1)) for finding in found}))


def rules_of_reader(path):
    answer = ask_reader(path, "verify")
    found = map(FINDING.match, answer.output.decode().splitlines())
    return answer._replace(output=sorted({(match["rule"], int(match["user"] or -1)) for match in found}))


def compare(name, path):
    """Both answers where they differ."""
    asked = [
        ("export", ask_rvdump("export", path, "--format", "jsonl"), ask_reader(path, "list")),
        ("verify", rules_of_rvdump(path), rules_of_reader(path))]
    return [Difference(name, what, ours, other) for what, ours, other in asked if ours != other]


# ---- many stores ----

def kind_of(name):
    """What to count a store as."""
    mode, _, rest = name.partition("/")
    return "closed or killed, real" if mode == "real" else rest.split("-")[2]


def compare_seed(programs, seed):
    """What goes wrong here shall reach the parent, whatever it is."""
    try:
        return compare_some(programs, seed)
    except Exception:
        raise RuntimeError(f"seed {seed}: {traceback.format_exc()}") from None


def compare_some(programs, seed):
    """Up to two of the stores that a seed makes, and what damage makes of them."""
    counts, differences = collections.Counter(), []
    with tempfile.TemporaryDirectory(prefix="readers-") as folder:
        os.mkdir(folder + "/made")
        path = folder + "/store.rv"
        stores = list(Makers(*programs, folder + "/made").names(seed).items())
        for i, (name, data) in enumerate((stores[seed % len(stores):] + stores)[:min(2, len(stores))]):
            variants = [(name, data, kind_of(name))]
            for damage in (seed * 4 + 2 * i, seed * 4 + 2 * i + 1):
                changed, kind = damaged(data, damage)
                variants.append((f"{name}+{damage}", changed, "damaged: " + kind))
            for variant, content, kind in variants:
                write(path, content)
                counts[kind] += 1
                differences += compare(variant, path)
    return counts, differences


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def compare_many(programs, count, first, workers):
    counts, differences = collections.Counter(), []
    with multiprocessing.Pool(workers) as pool:
        seeds = itertools.count(first)
        batch = 8 * workers
        while counts.total() < count:
            work = [(programs, seed) for seed in itertools.islice(seeds, batch)]
            for some, more in pool.starmap(compare_seed, work, 1):
                counts += some
                differences += more
                for difference in more:
                    tell(difference)
            print(f"{counts.total()} stores", file=sys.stderr, flush=True)
    for kind, number in sorted(counts.items()):
        print(f"{number:8} {kind}")
    print(f"{counts.total()} stores compared, {len({d.name for d in differences})} with differences")
    return bool(differences)


def tell(difference):
    name, what, ours, other = difference
    print(f"{what} of {name}: {show(ours, other)}")
    print(f"  again: sh scripts/readers.sh again {name}", flush=True)


def show(ours, other):
    if ours.status != other.status:
        return f"status: rvdump {ours.status}, reader {other.status}"
    if isinstance(ours.output, list):
        return (f"only rvdump: {sorted(set(ours.output) - set(other.output))}, "
                f"only the reader: {sorted(set(other.output) - set(ours.output))}")
    return f"{len(ours.output)} and {len(other.output)} bytes"


def compare_again(programs, name):
    with tempfile.TemporaryDirectory(prefix="readers-") as folder:
        data = Makers(*programs, folder).make(name)
    path = name.replace("/", "-") + ".rv"
    write(path, data)
    print(f"the store is {path}")
    for program, arguments in (RVDUMP, ["verify", path]), (sys.executable, ["-m", "reader", path, "verify"]):
        print("$", os.path.basename(program), *arguments, flush=True)
        subprocess.run([program, *arguments], check=False)
    differences = compare(name, path)
    for difference in differences:
        tell(difference)
    return bool(differences)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int, nargs="?", default=10000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--again")
    chosen = parser.parse_args()
    programs = os.environ["MAKE_STORE"], os.environ["POWERCUT"]
    if chosen.again:
        return compare_again(programs, chosen.again)
    return compare_many(programs, chosen.count, chosen.first, chosen.workers)


if __name__ == "__main__":
    sys.exit(main())
