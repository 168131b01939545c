# SPDX-License-Identifier: MIT
"""What the tests share: a fresh folder for each, removed afterwards."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

from recent_visits import VisitManager


# Nothing measures time, nothing is left behind. A failure prints what reproduces it.
settings.register_profile("librv", deadline=None, database=None, print_blob=True)
settings.load_profile("librv")
_home = tempfile.TemporaryDirectory(prefix="librv-test-")
set_hypothesis_home_dir(_home.name)


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="librv-test-") as name:
        yield Path(name)


@pytest.fixture
def path(folder):
    return folder / "store.rv"


@pytest.fixture
def manager(path):
    with VisitManager(path, 3) as manager:
        yield manager


@pytest.fixture(scope="session")
def source():
    return Path(os.environ.get("RV_SOURCE", Path(__file__).resolve().parents[3]))


@pytest.fixture
def run():
    """Runs a Python program with arguments; it must succeed. Returns what it wrote."""

    def run_program(program, *arguments, python=sys.executable, **keywords):
        done = subprocess.run(
            [python, "-c", program, *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **keywords)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_program


def ids(visits):
    return [visit.visit_id for visit in visits]
