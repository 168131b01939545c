# SPDX-License-Identifier: MIT
"""Calls from several threads; close() while others are inside calls."""

import signal
import threading

import pytest
from conftest import ids

from recent_visits import VisitClosedError, VisitManager


def run_all(functions):
    """Runs functions at the same time; raises what one of them raised."""
    errors = []
    barrier = threading.Barrier(len(functions))

    def guard(function):
        barrier.wait()
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guard, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_writers_of_their_own_users(path):
    with VisitManager(path, 5) as manager:
        def write(first):
            for i in range(2000):
                manager.add_visit(first + i % 50, i, f"url {first} {i}", "t" * (i % 300))

        run_all([lambda first=first: write(first) for first in range(0, 400, 100)])
        for first in range(0, 400, 100):
            for user in range(first, first + 50):
                visits = manager.get_recent_visits(user)
                assert ids(visits) == [user - first + i for i in range(1950, 1700, -50)]
                assert all(visit.url == f"url {first} {visit.visit_id}" for visit in visits)
        assert manager.verify() == []


def test_readers_see_whole_results(path):
    with VisitManager(path, 5) as manager:
        done = threading.Event()

        def write():
            for i in range(5000):
                manager.add_visit(1, i, f"{i}", f"{i}" * (i % 200))
            done.set()

        def check(visits):
            newest = visits[0].visit_id if visits else -1
            assert ids(visits) == list(range(newest, max(newest - 5, -1), -1))
            assert all(v.url == f"{v.visit_id}" and v.text == v.url * (v.visit_id % 200) for v in visits)

        def read():
            while not done.is_set():
                check(manager.get_recent_visits(1))
                check(manager.get_many([0, 1])[1])

        run_all([write, read, read])


@pytest.mark.parametrize("turn", range(20))
def test_close_races_with_calls(path, turn):
    manager = VisitManager(path)
    manager.add_visits((user, 1, "u", "t") for user in range(3000))
    begun = threading.Barrier(6)

    def until_closed(call):
        begun.wait()
        try:
            while True:
                call()
        except VisitClosedError:
            pass

    def close():
        begun.wait()
        manager.get_recent_visits(turn)
        manager.close()
        # Whoever closes, close() returns only when the store is closed: it can be opened again.
        VisitManager(path, mode="exclusive").close() if turn % 2 else None

    run_all([
        close,
        lambda: until_closed(lambda: manager.get_recent_visits(1)),
        lambda: until_closed(lambda: manager.add_visit(1, 2, "u", "t")),
        lambda: until_closed(lambda: list(manager.counts())),
        lambda: until_closed(lambda: list(manager.items())),
        lambda: until_closed(lambda: manager.stats()),
    ])
    with VisitManager(path) as manager:
        assert manager.verify() == []


def test_both_closers_wait_for_the_end(path):
    for _ in range(20):
        manager = VisitManager(path)
        manager.add_visit(1, 1, "u", "t")
        seen = []

        def close():
            manager.close()
            with VisitManager(path, mode="read-only") as reader:
                seen.append(reader.stats().state)

        run_all([close, close])
        assert seen == ["clean", "clean"]


def test_an_iterator_is_freed_while_others_close(path):
    for _ in range(20):
        manager = VisitManager(path)
        manager.add_visits((user, 1, "u", "t") for user in range(2500))

        def iterate():
            try:
                for _ in range(50):
                    iterator = iter(manager)
                    next(iterator)
                    del iterator
            except VisitClosedError:
                pass

        run_all([iterate, iterate, manager.close])


def test_signal_handler_may_read_and_close(path):
    manager = VisitManager(path)
    manager.add_visits((user, 1, f"url {user}", "t") for user in range(10))
    heard = []

    def handler(*_):
        if not manager.closed:
            heard.append(manager.get_recent_visits(1)[0].url)
        if len(heard) == 200:
            manager.close()

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        with pytest.raises(VisitClosedError):
            while True:
                assert manager.get_recent_visits(2)[0].url == "url 2"
                manager.add_visit(3, 3, "u", "t")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert set(heard) == {"url 1"}


def test_an_exception_out_of_a_signal_handler_does_not_hang_close(path):
    class Stop(Exception):
        pass

    def handler(*_):
        raise Stop

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for _ in range(200):
            with VisitManager(path, checkpoint_interval_ms=-1) as manager:
                manager.add_visit(1, 1, "u", "t")
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.0003)
                    while True:
                        manager.get_recent_visits(1)
                except Stop:
                    pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
