# SPDX-License-Identifier: MIT
"""recent_visits against other stores that Python programs use, and against ctypes on the same library.

    python3 compare.py [--users 100000] [--json FILE] [--dir FOLDER] [--engines NAME,...]

Every engine does the same work: keep each user's newest ten visits, change nothing when an id is added
again, stamp the time, give back a list of Visit. See README.md beside this file.
"""

import argparse
import gc
import json
import os
import platform
import random
import sys
import tempfile
import time
from statistics import median

import engines


class Workload:
    """What is added and read, drawn from a seed before anything is timed."""

    def __init__(self, users, operations, seed):
        draw = random.Random(seed)
        self.next_id = 0
        self.users = users
        self.urls = [f"https://example.org/{'p' * draw.randint(5, 60)}/{i}" for i in range(5000)]
        self.texts = [f"{'A title of a page ' * draw.randint(1, 3)}{i}" for i in range(5000)]
        self.load = self.rows(draw, [user for _ in range(engines.LIMIT) for user in range(users)])
        self.rounds = [
            {
                "batched adds": self.some(draw, operations),
                "single adds": self.some(draw, max(operations // 4, 1)),
                "reads": draw.choices(range(users), k=operations),
            }
            for _ in range(8)
        ]
        self.sample = draw.sample(range(users), min(users, 2000))

    def rows(self, draw, users):
        result = []
        for user in users:
            self.next_id += 1
            result.append((user, self.next_id, draw.choice(self.urls), draw.choice(self.texts)))
        return result

    def some(self, draw, count):
        """Adds to users drawn at random. Every 50th repeats an id: all have to look for it."""
        rows = self.rows(draw, draw.choices(range(self.users), k=count))
        for i in range(1, len(rows), 50):
            rows[i] = rows[i - 1][:2] + rows[i][2:]
        return rows


def batched(engine, rows):
    for start in range(0, len(rows), engines.BATCH):
        engine.add_many(rows[start : start + engines.BATCH])


def single(engine, rows):
    add = engine.add
    for user, visit, url, text in rows:
        add(user, visit, url, text)


def reads(engine, users):
    read = engine.read
    for user in users:
        read(user)


def reads_all(engine, users):
    """As reads, and makes the datetime of every visit."""
    read = engine.read
    for user in users:
        for visit in read(user):
            visit.time


def bulk_reads(engine, users):
    for start in range(0, len(users), engines.BATCH):
        engine.read_many(users[start : start + engines.BATCH])


PHASES = {
    "batched adds": ("batched adds", batched),
    "single adds": ("single adds", single),
    "reads": ("reads", reads),
    "reads, times made": ("reads", reads_all),
    "bulk reads": ("reads", bulk_reads),
}


def rate(work, engine, items):
    begin = time.perf_counter()
    work(engine, items)
    return len(items) / (time.perf_counter() - begin)


def plain(visits):
    return [(visit.visit_id, visit.url, visit.text) for visit in visits]


def measure(names, workload, folder, repeat):
    opened = {}
    result = {name: {phase: [] for phase in PHASES} for name in names}
    try:
        for name in names:
            opened[name] = engines.ENGINES[name](os.path.join(folder, name))
            batched(opened[name], workload.load)
        # Engines take turns, so that whatever else the machine does meets all of them.
        for turn in range(repeat):
            for phase, (what, work) in PHASES.items():
                for name in names:
                    items = workload.rounds[turn][what]
                    result[name][phase].append(rate(work, opened[name], items))
        expected = [plain(opened[names[0]].read(user)) for user in workload.sample]
        assert all(len(visits) == engines.LIMIT for visits in expected)
        for name in names[1:]:
            if [plain(opened[name].read(user)) for user in workload.sample] != expected:
                raise SystemExit(f"compare.py: {name} has other visits than {names[0]}")
    finally:
        for engine in opened.values():
            engine.close()
    return result


def summary(result):
    """For each engine and phase: the median rate, and the first engine's rate divided by it."""
    first = next(iter(result))
    return {
        name: {
            phase: {
                "per_second": median(rates),
                "librv_ratio": median(a / b for a, b in zip(result[first][phase], rates)),
                "rates": rates,
            }
            for phase, rates in phases.items()
        }
        for name, phases in result.items()
    }


def table(figures):
    lines = [f"{'a second':12}" + "".join(f"{phase:>26}" for phase in PHASES)]
    for name, phases in figures.items():
        cells = (f"{f['per_second']:>14,.0f} ({f['librv_ratio']:8.2f})" for f in phases.values())
        lines.append(f"{name:12}" + "".join(f"{cell:>26}" for cell in cells))
    lines.append("In brackets: how many times librv's rate is this one, the median of the rounds.")
    return "\n".join(lines)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--users", type=int, default=100000)
    parser.add_argument("--operations", type=int, default=50000, help="of a phase in a round")
    parser.add_argument("--repeat", type=int, default=3, choices=range(1, 9), metavar="1-8")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engines", default="", help="names, comma between; else all there are")
    parser.add_argument("--dir", help="folder for the stores; else a temporary one")
    parser.add_argument("--json", help="file for the figures")
    return parser.parse_args()


def main():
    options = arguments()
    names = options.engines.split(",") if options.engines else list(engines.ENGINES)
    for name in names:
        if name not in engines.ENGINES:
            raise SystemExit(f"compare.py: no engine {name}: {engines.MISSING.get(name, 'unknown')}")
    for name, why in engines.MISSING.items():
        print(f"without {name}: {why}", file=sys.stderr)
    names.sort(key=lambda name: name != "librv")
    workload = Workload(options.users, options.operations, options.seed)
    gc.collect()
    gc.freeze()  # the workload's own millions of objects are no part of what is measured
    with tempfile.TemporaryDirectory(prefix="librv-bench-", dir=options.dir) as folder:
        result = measure(names, workload, folder, options.repeat)
    figures = summary(result)
    machine = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "versions": {name: engines.ENGINES[name].version() for name in names},
        "users": options.users,
        "operations": options.operations,
        "repeat": options.repeat,
        "seed": options.seed,
    }
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    print(table(figures))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine, "engines": figures}, file, indent=2)
            file.write("\n")


if __name__ == "__main__":
    main()
