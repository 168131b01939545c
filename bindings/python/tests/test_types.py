# SPDX-License-Identifier: MIT
"""mypy --strict finds nothing in the package, and what it should in a program that uses it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import recent_visits

PACKAGE = Path(recent_visits.__file__).parent

GOOD = """
from datetime import datetime
from pathlib import Path
from recent_visits import Visit, VisitError, VisitManager

def names(path: Path) -> list[str]:
    with VisitManager(path, mode="read-only") as manager:
        visits: list[Visit] = manager.get_recent_visits(1, limit=2)
        when: datetime = visits[0].time
        count: int = len(manager) + visits[0].time_ns + when.year
        many: dict[int, list[Visit]] = manager.get_many(range(count))
        manager.add_visits([(1, 2, "u", "t")])
        manager.add_visits([(1, 2, "u", "t", when), (1, 2, "u", "t", 7)])
        return [visit.url for visit in many[1]]
"""

BAD = """
from recent_visits import VisitManager
manager = VisitManager(3)
manager.add_visit("1", 2, b"u", "t")
manager.get_recent_visits(1)[0].tim
VisitManager("p", mode="write")
"""


def mypy(folder, *arguments):
    program = shutil.which("mypy")
    command = [program] if program else [sys.executable, "-m", "mypy"]
    return subprocess.run(
        [*command, "--strict", "--no-incremental", "--cache-dir", os.devnull, "--config-file", os.devnull,
         *arguments],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=dict(os.environ, MYPYPATH=str(PACKAGE.parent)))


def test_the_package_is_strict():
    done = mypy(PACKAGE.parent, "-p", "recent_visits")
    assert done.returncode == 0, done.stdout
    assert "no issues found" in done.stdout


@pytest.mark.parametrize("text, errors", [(GOOD, 0), (BAD, 5)])
def test_programs(folder, text, errors):
    (folder / "program.py").write_text(text)
    done = mypy(folder, "program.py")
    found = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(found) == errors, done.stdout
    assert (PACKAGE / "py.typed").exists()
