# SPDX-License-Identifier: MIT
"""Puts the figures of a run of scripts/bench.sh into docs/performance.md, and draws its plots.

    python3 bench/report.py RESULTS DOCUMENT

RESULTS is a folder of JSON files that the benchmarks wrote. In DOCUMENT, what stands between
`<!-- figures: NAME -->` and `<!-- end -->` is replaced where there are results for it; plots go into
a folder beside it that has its name.
"""

import json
import os
import re
import statistics
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

# Readable on white and on black: the background is left out, all lines and letters are grey.
GREY = "#7d7d7d"
plt.rcParams.update({
    "savefig.transparent": True, "svg.hashsalt": "librv", "svg.fonttype": "none", "font.size": 9,
    "font.family": "sans-serif", "axes.spines.top": False, "axes.spines.right": False,
    "legend.frameon": False, "axes.titlesize": 9, "axes.grid": True, "grid.alpha": 0.25,
    "grid.color": GREY, "lines.linewidth": 1.6, "lines.markersize": 4,
    **{name: GREY for name in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color",
                               "ytick.color", "axes.titlecolor")},
})  # fmt: skip

COLOURS = {
    "librv": "#e8590c", "librv-nosync": "#f2a900", "floor-file": "#868e96", "floor-anon": "#adb5bd",
    "floor-huge": "#ced4da", "floor-sync": "#6c757d",
    "lmdb": "#1c7ed6", "sqlite": "#0ca678", "rocksdb": "#ae3ec9", "leveldb": "#7048e8",
    "tdb": "#a07a2c", "tkrzw": "#37b24d", "redis": "#e03131",
}  # fmt: skip
DASHES = {"floor-anon": ":", "floor-file": "--", "floor-huge": (0, (1, 3)), "floor-sync": "-."}
PEERS = ["lmdb", "sqlite", "rocksdb", "leveldb", "tdb", "tkrzw", "redis"]
PERCENTILES = ["p50", "p90", "p99", "p99.9", "p99.99", "max"]


def base_name(engine):
    """The engine without how it is called."""
    return re.sub("-(batch|packed)", "", engine)


def colour(engine):
    return COLOURS.get(base_name(engine), GREY)


class Results:
    """One JSON file."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        self.machine, self.notes, self.options = data["machine"], data["notes"], data["options"]
        self.figures, self.ratios = index(data["figures"]), index(data["ratios"])
        self.values = {(r["case"], r["engine"], r["figure"]): r["values"] for r in data["figures"]}

    def cases(self):
        return list(dict.fromkeys(case for case, _, _ in self.figures))

    def engines(self, case, figure):
        return [e for c, e, f in self.figures if c == case and f == figure]

    def get(self, case, engine, figure):
        """Median, least and largest; None if it was not measured."""
        return self.figures.get((case, engine, figure))

    def median(self, case, engine, figure):
        found = self.get(case, engine, figure)
        return found[0] if found else None

    def quotient(self, above, below):
        """Median, least and largest of one figure by another, formed within each repetition."""
        pairs = zip(self.values.get(above, ()), self.values.get(below, ()))
        ratios = [a / b for a, b in pairs if b > 0]
        return (statistics.median(ratios), min(ratios), max(ratios)) if ratios else None

    def about(self):
        """When and of what, and how often."""
        version, date = self.machine.get("version", "unknown"), self.machine.get("date")
        parts = [date] if date else []
        parts += [f"version {version}"] if version != "unknown" else []
        parts += [f"runs of {self.options['seconds']:g} s"] if self.options.get("seconds") else []
        parts += [f"median [least..largest] of {repetitions(self.options)}"] if self.options.get("repeat") else []
        return "; ".join(parts) + "." if parts else ""


def index(rows):
    return {(r["case"], r["engine"], r["figure"]): (r["median"], r["min"], r["max"]) for r in rows}


def words(case):
    """`threads=4 users=hot` as a dictionary."""
    return dict(word.split("=", 1) for word in case.split() if "=" in word)


# ---- text ----


def number(value):
    """Three digits, with commas between thousands."""
    if value is None:
        return ""
    size = abs(value)
    if size >= 100:
        digits = len(str(int(size))) - 3
        return f"{round(value / 10**digits) * 10**digits:,}"
    return f"{value:.3g}" if size >= 0.001 or size == 0 else f"{value:.1e}"


def counted(count, what):
    return f"{count} {what}" if int(count) == 1 else f"{count} {what}s"


def spread(found):
    if not found:
        return ""
    median, least, largest = found
    if least == largest:
        return number(median)
    return f"{number(median)} [{number(least)}..{number(largest)}]"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def times(value):
    return f"{value:.2f}" if value is not None else ""


def times_spread(found):
    """A ratio's median and, if it spreads, its least and largest."""
    if not found or found[1] == found[2]:
        return times(found and found[0])
    return f"{found[0]:.2f} [{found[1]:.2f}..{found[2]:.2f}]"


# ---- plots ----


class Plots:
    """Where plots go, and what a document says to show one."""

    def __init__(self, folder):
        self.folder = folder

    def save(self, figure, name, what):
        os.makedirs(self.folder, exist_ok=True)
        path = os.path.join(self.folder, name + ".svg")
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        plt.close(figure)
        # Lines of path data end with blanks.
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"[ \t]+$", "", file.read(), flags=re.MULTILINE)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return f"![{what}]({os.path.basename(self.folder)}/{name}.svg)"


def canvas(columns=1, rows=1, width=8.0, height=3.2, **options):
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False,
                                constrained_layout=True, **options)  # fmt: skip
    return figure, axes


def bars(axis, values, title, unit):
    """values: (label, engine, (median, least, largest)), from the top down."""
    values = [v for v in values if v[2]]
    places = range(len(values))[::-1]
    medians = [found[0] for _, _, found in values]
    errors = [[found[0] - found[1] for _, _, found in values],
              [found[2] - found[0] for _, _, found in values]]  # fmt: skip
    axis.barh(places, medians, color=[colour(e) for _, e, _ in values], xerr=errors,
              error_kw={"ecolor": GREY, "elinewidth": 0.8})  # fmt: skip
    axis.set_yticks(list(places), [label for label, _, _ in values])
    for place, (_, _, (median, _, largest)) in zip(places, values):
        axis.annotate(number(median), (largest, place), xytext=(4, 0), textcoords="offset points",
                      va="center", fontsize=8)  # fmt: skip
    positive = [m for m in medians if m > 0]
    if positive and max(positive) > 30 * min(positive):
        axis.set_xscale("log")
        unit += " (logarithmic)"
    axis.margins(x=0.18)
    axis.grid(axis="y", visible=False)
    axis.set_title(title, loc="left")
    axis.set_xlabel(unit)


def lines(axis, series, title, x_label, y_label, log=False):
    """series: (label, engine, [(x, y)])."""
    for label, engine, points in series:
        if points:
            axis.plot(*zip(*points), marker="o", label=label, color=colour(engine),
                      linestyle=DASHES.get(engine, "-"))  # fmt: skip
    if log:
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)
    axis.set_title(title, loc="left")
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)


# ---- the parts of the document: each gives text, or None without results ----


def part_machine(results, plots):
    del plots
    if not results:
        return None
    machine = next(iter(results.values())).machine
    return (f"{machine['cpu']}, {machine['cpus']} processors, {machine['memory_gb']:.0f} GB of memory; "
            f"{machine['system']}; files on {machine['file_system']}.")  # fmt: skip


def part_peers(results, plots):
    del plots
    notes = {}
    for result in results.values():
        notes.update(result.notes)
    peers = [name for name in PEERS if name in notes]
    if not peers:
        return None
    return "\n".join(f"- {notes[name]}." if not notes[name].startswith("left out")
                     else f"- {name}: {notes[name]}." for name in peers)  # fmt: skip


def rate(found):
    """Operations a second from nanoseconds an operation."""
    return found and tuple(1e9 / value for value in (found[0], found[2], found[1]))


def visits_table(result):
    floors = {"add_ns": "floor-file", "read_zipf_ns": "floor-anon", "read_uniform_ns": "floor-anon"}
    rows = []
    for engine in result.engines("", "add_ns"):
        row = [engine]
        for figure, floor in floors.items():
            ratio = result.ratios.get(("", f"{engine} / {floor}", figure))
            row += [spread(result.get("", engine, figure)), times_spread(ratio)]
        rows.append(row)
    return table(["ns", "an add", "x floor-file", "a zipf read", "x floor-anon", "a uniform read",
                  "x floor-anon"], rows)  # fmt: skip


def best_peer(result, figure, batched):
    found = [(result.median("", peer + "-batch" * batched, figure), peer) for peer in PEERS]
    found = [f for f in found if f[0]]
    return min(found) if found else None


def against_peers(result):
    """librv against whichever peer is best at it: with the same promise, none, and with its own."""
    rows = []
    for what, figure, batch in (
        ("single adds", "add_ns", ""), ("batched adds", "add_ns", "-batch"),
        ("zipf reads", "read_zipf_ns", ""), ("uniform reads", "read_uniform_ns", ""),
    ):  # fmt: skip
        best = best_peer(result, figure, bool(batch))
        mine = [("", engine + batch, figure) for engine in ("librv-nosync", "librv")]
        if best and any(key in result.figures for key in mine):
            row = [what, best[1], number(1e9 / best[0])]
            for key in mine:
                found = result.figures.get(key)
                row += [number(1e9 / found[0]) if found else "",
                        times_spread(result.quotient(("", best[1] + batch, figure), key))]  # fmt: skip
            rows.append(row)
    return table(["a second", "best peer", "peer", "librv-nosync", "x peer", "librv", "x peer"], rows) if rows else ""


def visits_plot(result, plots, name):
    engines = result.engines("", "add_ns")
    figure, axes = canvas(2, width=9, height=0.24 * len(engines) + 1)
    bars(axes[0][0], [(e, e, rate(result.get("", e, "add_ns"))) for e in engines], "adds", "a second")
    bars(axes[0][1], [(e, e, rate(result.get("", e, "read_zipf_ns"))) for e in engines], "zipf reads",
         "a second")  # fmt: skip
    return plots.save(figure, name, "Adds and reads a second of each engine")


def latency_plot(result, plots, name, case, prefix, what):
    figure, axes = canvas(width=7.5, height=3.4)
    axis = axes[0][0]
    first = f"{prefix}_{PERCENTILES[0]}_ns"
    series = []
    for engine in result.engines(case, first):
        if engine.endswith("-batch"):  # each 1,000th add carries the batch: another thing
            continue
        values = [result.median(case, engine, f"{prefix}_{p}_ns") for p in PERCENTILES]
        series.append((engine, engine, [(i, v * 1e-3) for i, v in enumerate(values) if v]))
    lines(axis, series, what, "", "microseconds", log=True)
    axis.set_xticks(range(len(PERCENTILES)), PERCENTILES)
    axis.legend(bbox_to_anchor=(1.01, 1), loc="upper left", fontsize=8)
    return plots.save(figure, name, what)


def repetitions(options):
    once = options.get("once")
    return f"{options['repeat']} repetitions" + (f", of {once.replace(',', ', ')} one" if once else "")


def visits_part(name):
    def part(results, plots):
        result = results.get(name)
        if not result:
            return None
        o, parts = result.options, []
        scale = o["scale"]
        parts.append(f"{number(o['adds'])} adds, {number(o['zipf-reads'])} zipf reads, "
                     f"{number(o['uniform-reads'])} uniform reads; {number(o['users'])} users; "
                     f"N = {o['visits']}. {result.about()}"
                     + (f" (A run at {scale} of the full size.)" if scale not in (1, 0.1) else ""))  # fmt: skip
        parts += [visits_plot(result, plots, name), against_peers(result), visits_table(result)]
        if result.engines("", "add_p50_ns"):
            parts.append(latency_plot(result, plots, name + "-latency", "", "add", "time of an add"))
        return "\n\n".join(p for p in parts if p)

    return part


def scaling_axis(axis, result, kind, reads, users):
    by_engine = {}
    for (case, engine, figure), found in result.figures.items():
        w = words(case)
        if figure == "operations_per_s" and w.get("reads") == reads and w.get("users") == users:
            by_engine.setdefault(engine, []).append((int(w[kind]), found[0] * 1e-6))
    lines(axis, [(e, e, sorted(p)) for e, p in by_engine.items()],
          f"{reads} % reads, {'one hot user' if users == 'hot' else 'zipf users'}", kind,
          "million operations a second")  # fmt: skip


def scaling_plot(result, plots, kind):
    reads = sorted({words(c)["reads"] for c in result.cases() if "reads" in words(c)}, reverse=True)
    figure, axes = canvas(2, len(reads), width=8.5, height=2.6 * len(reads), sharex=True)
    for row, share in enumerate(reads):
        scaling_axis(axes[row][0], result, kind, share, "zipf")
        scaling_axis(axes[row][1], result, kind, share, "hot")
    counts = sorted({int(words(c)[kind]) for c in result.cases() if "reads" in words(c)})
    axes[0][0].set_xticks(counts, [str(n) for n in counts])
    axes[0][1].legend(bbox_to_anchor=(1.01, 1), loc="upper left", fontsize=8)
    return plots.save(figure, kind, f"Operations a second by the number of {kind}")


def scaling_table(result, kind):
    rows = []
    for engine in dict.fromkeys(e for _, e, _ in result.figures):
        row = [engine]
        for reads in ("90", "50"):
            one, two = [(f"{kind}={n} users=zipf reads={reads}", engine, "operations_per_s") for n in (1, 2)]
            row += [number(result.median(*one)), times_spread(result.quotient(two, one))]
        rows.append(row)
    return table(["zipf users", "90 % reads, 1", "2 / 1", "50 % reads, 1", "2 / 1"], rows)


def writers_table(result):
    """What readers of the same user cost a writer."""
    cases = [c for c in result.cases() if "readers" in words(c)]
    engines = result.engines(cases[0], "writer_adds_per_s") if cases else []
    rows = []
    for engine in engines:
        row = [engine]
        for case in cases:
            found = (case, engine, "writer_adds_per_s")
            kept = result.quotient(found, (cases[0], engine, "writer_adds_per_s")) if case != cases[0] else None
            row.append(number(result.median(*found)) + (f" ({kept[0]:.2f})" if kept else ""))
            row.append(number(result.median(case, engine, "writer_add_thread_ns")))
        rows.append(row)
    head = ["one writer, hot user"]
    for case in cases:
        head += [f"{counted(words(case)['readers'], 'reader')}: adds/s", "ns of processor"]
    return table(head, rows) if rows else ""


def scaling_part(name):
    def part(results, plots):
        result = results.get(name)
        if not result:
            return None
        return "\n\n".join([result.about(), scaling_plot(result, plots, name), scaling_table(result, name),
                            writers_table(result)])  # fmt: skip

    return part


def part_durable(results, plots):
    result = results.get("durable")
    cases = [c for c in result.cases() if c.startswith("durable")] if result else []
    if not cases:
        return None
    engines = result.engines(cases[0], "adds_per_s")
    counts = {case: int(words(case)["threads"]) for case in cases}
    figure, axes = canvas(width=7.5, height=3)
    lines(axes[0][0], [(e, e, [(counts[c], result.median(c, e, "adds_per_s")) for c in cases])
                       for e in engines], "durable adds", "threads", "a second", log=True)  # fmt: skip
    axes[0][0].set_xscale("log", base=2)
    axes[0][0].set_xticks(list(counts.values()), [str(n) for n in counts.values()])
    axes[0][0].legend(bbox_to_anchor=(1.01, 1), loc="upper left", fontsize=8)
    picture = plots.save(figure, "durable", "Durable adds a second by the number of threads")
    rows = []
    for engine in engines:
        row = [engine]
        for case in cases:
            row.append(spread(result.get(case, engine, "adds_per_s")))
            row.append(number((result.median(case, engine, "add_p99_ns") or 0) * 1e-6))
            row.append(number(result.median(case, engine, "flushes_per_add")))
        rows.append(row)
    head = ["durable adds"]
    for case in cases:
        head += [f"{counted(counts[case], 'thread')}: a second", "p99, ms", "flushes"]
    return "\n\n".join([result.about(), picture, table(head, rows)])


def part_paced(results, plots):
    result = results.get("durable")
    engines = result.engines("paced", "service_p50_ns") if result else []
    if not engines:
        return None
    picture = latency_plot(result, plots, "paced", "paced", "response",
                           "time from when an add was due, with a checkpoint each second")  # fmt: skip
    rows = [[e, what] + [number(result.median("paced", e, f"{what}_{p}_ns") * 1e-3) for p in PERCENTILES]
            for e in engines for what in ("service", "response")]  # fmt: skip
    parts = [picture, table(["microseconds", ""] + PERCENTILES, rows)]
    rows = [[e] + [spread(result.get("checkpoint", e, f)) for f in
                   ("changed_pages", "written_pages", "device_written_pages", "written_per_changed",
                    "sync_ms")]
            for e in result.engines("checkpoint", "changed_pages")]  # fmt: skip
    if rows:
        parts.append(table(["a checkpoint", "pages changed", "pages written", "pages the device wrote",
                            "written / changed", "sync, ms"], rows))  # fmt: skip
    return "\n\n".join(parts)


def part_cold(results, plots):
    result = results.get("cold")
    if not result:
        return None
    engines = result.engines("", "read_pages_mean")
    figure, axes = canvas(2, width=9, height=0.3 * len(engines) + 1)
    bars(axes[0][0], [(e, e, result.get("", e, "read_pages_mean")) for e in engines],
         "4 KiB read from the disk for a user, mean", "pages")  # fmt: skip
    bars(axes[0][1], [(e, e, result.get("", e, "read_us_mean")) for e in engines],
         "time of a read, mean", "microseconds")  # fmt: skip
    picture = plots.save(figure, "cold", "Pages and time of a cold read")
    names = ["read_major_faults_p50", "read_major_faults_mean", "read_pages_p50", "read_pages_mean",
             "read_pages_p99", "read_us_p50", "read_us_p99"]  # fmt: skip
    rows = [[e, number(result.median("", e, "store_bytes") / 2**20),
             number(memory / 2**20) if (memory := result.median("", e, "memory_bytes")) else "not limited"]
            + [number(result.median("", e, n)) for n in names] for e in engines]  # fmt: skip
    figures = table(["a cold read", "store, MiB", "memory, MiB", "faults, median", "mean",
                     "pages, median", "mean", "p99", "us, median", "p99"], rows)  # fmt: skip
    o = result.options
    about = f"{number(o['users'])} users with {o['visits']} visits each. {result.about()}"
    return "\n\n".join([picture, about, figures])


def part_open(results, plots):
    result = results.get("open")
    if not result:
        return None
    stores = result.engines("", "file_gib")
    series = [("open_clean_us", "closed cleanly"), ("open_killed_us", "after a kill"),
              ("open_killed_wide_us", "after a kill, changes all over"),
              ("open_cut_warm_us", "after a power cut, in the page cache"),
              ("open_cut_cold_us", "after a power cut, from the disk")]  # fmt: skip
    figure, axes = canvas(width=8, height=0.35 * len(series) * len(stores) + 0.8)
    values = [(f"{title}: {store}", "librv", result.get("", store, name))
              for name, title in series for store in stores]  # fmt: skip
    bars(axes[0][0], values, "time of an open", "microseconds")
    picture = plots.save(figure, "open", "Time of an open by how the store was left")
    rows = [[title] + [spread(result.get("", store, name)) for store in stores] for name, title in series]
    for name, title in (("recover_warm_gib_per_s", "recovery, in the page cache, GiB/s"),
                        ("recover_cold_gib_per_s", "recovery, from the disk, GiB/s"),
                        ("disk_read_gib_per_s", "reading the file alone, GiB/s")):  # fmt: skip
        rows.append([title] + [spread(result.get("", store, name)) for store in stores])
    o = result.options
    counts = f"{result.about()} Medians of {o['opens']} clean opens, {o['kills']} kills, {o['cuts']} power cuts."
    return "\n\n".join([picture, counts, table(["open, microseconds"] + stores, rows)])


def part_sizes(results, plots):
    """N and string lengths: runs named n-* and strings-*."""
    del plots
    rows = []
    for name, result in results.items():
        kind, _, value = name.partition("-")
        if kind not in ("n", "strings") or not value.isdigit():
            continue
        what = f"N = {int(value):,}" if kind == "n" else f"strings of {int(value):,} bytes"
        for engine in result.engines("", "add_ns"):
            rows.append((kind, int(value), [what, engine]
                         + [spread(result.get("", engine, f)) for f in
                            ("add_ns", "read_zipf_ns", "visit_stored_bytes")]))  # fmt: skip
    rows.sort(key=lambda row: row[:2])
    return table(["", "engine", "ns an add", "ns a zipf read", "bytes a visit"],
                 [row[2] for row in rows]) if rows else None  # fmt: skip


def part_bulk(results, plots):
    del plots
    result = results.get("bulk")
    if not result:
        return None
    rows = []
    for what in ("floor", "verify", "iterate", "backup", "rvdump_verify", "rvdump_export",
                 "rvdump_import_jsonl"):  # fmt: skip
        found = result.get("store", "librv", what + "_live_mb_per_s")
        if found:
            rows.append([what.replace("_", " "), spread(found),
                         spread(result.get("store", "librv", what + "_visits_per_s"))])  # fmt: skip
    o = result.options
    parts = [f"{number(o['users'])} users, {number(o['adds'])} adds. {result.about()}",
             table(["", "MB/s of live slots", "visits a second"], rows)]  # fmt: skip
    rows = [["delete of a visit, ns", spread(result.get("store", "librv", "delete_ns"))],
            ["clear of a user, ns", spread(result.get("store", "librv", "clear_ns"))]]  # fmt: skip
    lines_per_s = result.get("log", "librv", "import_lines_per_s")
    if lines_per_s:
        count = number(result.median("log", "librv", "lines"))
        rows.append([f"rvdump import of a log of {count} lines, lines a second", spread(lines_per_s)])
    parts.append(table(["", ""], rows))
    return "\n\n".join(parts)


def part_space(results, plots):
    w1 = results.get("w1") or results.get("w1s")
    columns = [("W1", w1), ("log", results.get("log"))]
    small = results.get("log-slot")
    columns = [(what, result) for what, result in columns if result]
    if not columns:
        return None
    engines = [e for e in dict.fromkeys(e for _, r in columns for e in r.engines("", "visit_stored_bytes"))
               if not e.endswith("-batch") and not e.endswith("-packed")]  # fmt: skip
    figure, axes = canvas(len(columns), width=9, height=0.28 * (len(engines) + 1) + 0.9)
    rows = []
    for column, (what, result) in enumerate(columns):
        values = [(e, e, result.get("", e, "visit_stored_bytes")) for e in engines]
        if result is results.get("log") and small:
            values.append((f"librv, slots of {small.options['slot']}", "librv",
                           small.get("", "librv", "visit_stored_bytes")))  # fmt: skip
        strings = result.median("", engines[0], "visit_string_bytes")
        bars(axes[0][column], values, f"{what}: bytes a visit ({number(strings)} of them strings)", "bytes")
        lmdb = result.median("", "lmdb", "visit_stored_bytes")
        rows += [[what, label, number(found[0]), times(found[0] / lmdb) if lmdb else ""]
                 for label, _, found in values if found]  # fmt: skip
    picture = plots.save(figure, "space", "Bytes that each engine takes for a visit")
    return picture + "\n\n" + table(["", "engine", "bytes a visit", "x LMDB"], rows)


def part_soak(results, plots):
    result = results.get("soak")
    if not result:
        return None
    points = {}
    for case in result.cases():
        w = words(case)
        if "operations" in w:
            points[int(w["operations"]) * 1e-6] = case
    names = [("operations_per_s", "million operations a second", 1e-6), ("file_bytes", "file, MB", 1e-6),
             ("probe_visit_thread_ns", "ns a visit, reads at random", 1)]  # fmt: skip
    figure, axes = canvas(3, width=9.5, height=2.5)
    for axis, (name, title, factor) in zip(axes[0], names):
        series = [(x, result.median(case, "librv", name) * factor) for x, case in points.items()]
        lines(axis, [("librv", "librv", series)], title, "million operations", "")
    picture = plots.save(figure, "soak", "Throughput, file size and reads at random over a soak")
    o = result.options
    about = f"{o['operations']:,} operations, {o['users']:,} users at a time. {result.about()}"
    change = result.figures
    rows = [[name.replace("_", " "), times(change[("end/beginning", "librv", name)][0])]
            for name in ("operations_per_s", "operation_thread_ns", "probe_visit_thread_ns", "file_bytes",
                         "used_bytes")
            if ("end/beginning", "librv", name) in change]  # fmt: skip
    return "\n\n".join([about, picture, table(["end / beginning", ""], rows)])


PARTS = {
    "machine": part_machine,
    "peers": part_peers,
    "w1": visits_part("w1"),
    "w1s": visits_part("w1s"),
    "threads": scaling_part("threads"),
    "processes": scaling_part("processes"),
    "durable": part_durable,
    "paced": part_paced,
    "cold": part_cold,
    "open": part_open,
    "sizes": part_sizes,
    "bulk": part_bulk,
    "space": part_space,
    "soak": part_soak,
}


def fill(document, results, plots):
    def replace(match):
        text = PARTS[match[1]](results, plots)
        print(f"report.py: {match[1]}: {'written' if text else 'no results, left as it is'}")
        if not text and not match[2].strip():
            text = "Not measured."
        return f"<!-- figures: {match[1]} -->\n\n{text}\n\n<!-- end -->" if text else match[0]

    return re.sub(r"<!-- figures: (\w+) -->\n(.*?)<!-- end -->", replace, document, flags=re.DOTALL)


def main(folder, document):
    names = sorted(name for name in os.listdir(folder) if name.endswith(".json"))
    if not names:
        sys.exit(f"report.py: no results in {folder}")
    results = {name[: -len(".json")]: Results(os.path.join(folder, name)) for name in names}
    with open(document, encoding="utf-8") as file:
        text = file.read()
    text = fill(text, results, Plots(os.path.splitext(document)[0]))
    with open(document, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
