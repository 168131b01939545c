# SPDX-License-Identifier: MIT
"""python -m recent_visits."""

import subprocess
import sys

import pytest

import recent_visits


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "recent_visits", *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",)])
def test_help_points_to_rvdump(arguments):
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "rvdump" in done.stdout and "VisitManager" in done.stdout
    assert len(done.stdout.splitlines()) < 24


def test_version():
    assert run("--version").stdout == f"recent_visits {recent_visits.__version__}\n"
    parts = [int(part) for part in recent_visits.__version__.split(".")]
    assert parts == [recent_visits._lib.VISIT_VERSION_MAJOR, recent_visits._lib.VISIT_VERSION_MINOR,
                     recent_visits._lib.VISIT_VERSION_PATCH]


def test_other_arguments():
    done = run("dump")
    assert done.returncode == 2 and done.stdout == "" and "rvdump" in done.stderr


def test_all_names_are_there():
    for name in recent_visits.__all__:
        assert hasattr(recent_visits, name)
