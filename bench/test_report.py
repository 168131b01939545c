# SPDX-License-Identifier: MIT
"""Every part of the document that report.py has results for is filled in, with its plots.

    python3 test_report.py BENCH_FOLDER

Runs the programs of that folder at a tiny scale. Skipped (77) without matplotlib.
"""

import os
import re
import subprocess
import sys
import tempfile

try:
    import matplotlib  # noqa: F401
except ImportError:
    sys.exit(77)

import report

VISITS = ["visits", "--scale", "0.001", "--repeat", "1", "--engines", "floor-anon,floor-file,librv,librv-batch,peers"]
TEAM = ["--adds", "1k", "--users", "200", "--zipf-reads", "1k", "--seconds", "0.02", "--repeat", "1",
        "--members", "1,2", "--readers", "0,1", "--engines", "librv-packed"]  # fmt: skip
RUNS = {
    "w1": VISITS,
    "w1s": VISITS,
    "n-1": [*VISITS, "--visits", "1"],
    "strings-200": ["visits", "--scale", "0.001", "--repeat", "1", "--string-bytes", "200", "--engines", "librv"],
    "threads": ["threads", *TEAM],
    "processes": ["threads", "--processes", *TEAM],
    "durable": ["durable", "--adds", "1k", "--users", "200", "--threads", "1,2", "--seconds", "0.05", "--repeat", "1",
                "--paced-seconds", "0.1", "--rounds", "1", "--engines", "librv-packed",
                "--paced-engines", "librv,floor-file"],
    "cold": ["cold", "--users", "200", "--reads", "50", "--repeat", "1", "--engines", "librv"],
    "open": ["open", "--stores", "0,200", "--opens", "2", "--kills", "1", "--cuts", "1"],
    "bulk": ["bulk", "--users", "100", "--adds", "1k", "--repeat", "1"],
    "soak": ["soak", "--users", "100", "--operations", "5k", "--intervals", "5"],
}  # fmt: skip


def main(bench):
    with tempfile.TemporaryDirectory() as folder:
        results, document = os.path.join(folder, "results"), os.path.join(folder, "document.md")
        os.mkdir(results)
        for name, (program, *options) in RUNS.items():
            subprocess.run([os.path.join(bench, "bench_" + program), "--dir", folder,
                            "--json", os.path.join(results, name + ".json"), *options],
                           check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        own = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "performance.md")
        with open(own, encoding="utf-8") as file:
            text = re.sub(r"(<!-- figures: \w+ -->\n).*?(<!-- end -->)", r"\1\2", file.read(), flags=re.DOTALL)
        with open(document, "w", encoding="utf-8") as file:
            file.write(text)
        report.main(results, document)
        with open(document, encoding="utf-8") as file:
            text = file.read()
        check(text, folder)


def check(text, folder):
    parts = dict(re.findall(r"<!-- figures: (\w+) -->\n(.*?)<!-- end -->", text, flags=re.DOTALL))
    assert set(parts) == set(report.PARTS), set(parts) ^ set(report.PARTS)
    peers = "left out" in text or "LMDB:" in text
    for name, part in parts.items():
        assert part.strip() or (name == "peers" and not peers), f"{name} is empty"
        for block in part.strip().split("\n\n"):
            rows = block.splitlines() if block.startswith("|") else []
            assert len({row.count("|") for row in rows}) <= 1, block
    plots = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert len(plots) >= 10, plots
    for plot in plots:
        with open(os.path.join(folder, plot), encoding="utf-8") as file:
            svg = file.read()
        assert "#ffffff" not in svg and "#000000" not in svg, f"{plot} suits one background only"


if __name__ == "__main__":
    main(sys.argv[1])
