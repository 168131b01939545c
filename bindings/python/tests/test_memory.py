# SPDX-License-Identifier: MIT
"""No growth over a million calls, nor over errors, iterations and managers."""

import gc

import pytest

from recent_visits import VisitError, VisitManager


def memory():
    """Anonymous memory of this process, in KiB: the mapped store does not count."""
    gc.collect()
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    raise AssertionError("no RssAnon in /proc/self/status")


def grown(call, warm, times):
    for i in range(warm):
        call(i)
    before = memory()
    for i in range(times):
        call(i)
    return memory() - before


def test_a_million_calls(path):
    with VisitManager(path, 3) as manager:
        def call(i):
            manager.add_visit(i % 100, i, f"https://example.org/{i}", "a text")
            manager.get_recent_visits(i % 150)

        assert grown(call, 20000, 500000) < 1024


def test_what_allocates_more(path):
    with VisitManager(path, 3) as manager:
        def call(i):
            manager.add_visits((user, i, "u", "t") for user in range(20))
            manager.get_many(range(30))
            next(iter(manager))
            assert 5 in manager
            manager.delete_visits(5, [i])
            manager.stats()
            manager.get_recent_visits(5)
            with pytest.raises(VisitError):
                manager.add_visit(1, 1, "u\0", "t")

        assert grown(call, 1000, 4000) < 1024


def test_managers_and_failed_opens(path):
    def call(i):
        manager = VisitManager(path, 3)
        begun = iter(manager)
        next(begun, None)
        manager.add_visit(1, i, "u", "t")
        manager.get_recent_visits(1)
        manager.close()
        with pytest.raises(VisitError):
            VisitManager(path, create="must-not-exist")

    assert grown(call, 50, 200) < 1024
