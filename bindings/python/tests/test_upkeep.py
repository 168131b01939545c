# SPDX-License-Identifier: MIT
"""sync, stats, verify, backup."""

import gc
import os
import random
import signal
import warnings
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from conftest import ids

from recent_visits import VisitCancelledError, VisitError, VisitExistsError, VisitInvalidError
from recent_visits import VisitManager


def test_stats(manager):
    manager.add_visits((user, visit, "u", "t") for user in range(5) for visit in range(3))
    stats = manager.stats()
    assert isinstance(stats.uuid, uuid.UUID) and stats.uuid.int != 0
    assert (stats.users, stats.visits, stats.max_visits, stats.state) == (5, 15, 3, "new")
    assert stats.holder_pid == os.getpid()
    assert stats.file_bytes == os.stat(manager.path).st_size
    assert abs(stats.created_time - datetime.now(timezone.utc)) < timedelta(days=1)
    assert stats.checkpoint_time >= stats.created_time - timedelta(days=1)
    with pytest.raises(AttributeError):
        stats.users = 1


def test_sync(manager):
    manager.add_visit(1, 1, "u", "t")
    manager.sync()
    manager.sync()


def test_backup(manager, folder):
    manager.add_visits((user, 1, "u", "t") for user in range(100))
    copy = folder / "copy.rv"
    told = []
    manager.backup(copy, progress=lambda *what: told.append(what))
    assert told
    manager.add_visit(1000, 1, "u", "t")
    with VisitManager(copy, None) as other:
        assert len(other) == 100
        assert other.stats().uuid != manager.stats().uuid
        assert other.verify() == []
    with pytest.raises(VisitExistsError, match="copy.rv"):
        manager.backup(copy)


def test_backup_can_be_stopped(manager, folder):
    manager.add_visits((user, 1, "u", "t") for user in range(100))
    with pytest.raises(VisitCancelledError):
        manager.backup(folder / "copy.rv", progress=lambda *_: True)
    with pytest.raises(ZeroDivisionError):
        manager.backup(folder / "copy.rv", progress=lambda *_: 1 / 0)
    with pytest.raises(VisitError):
        manager.backup(folder / "none" / "copy.rv")
    assert sorted(os.listdir(folder)) == ["store.rv"]
    assert ids(manager.get_recent_visits(1)) == [1]


def test_close_inside_a_callback_is_refused(manager, folder):
    with pytest.raises(VisitInvalidError, match="callback"):
        manager.backup(folder / "copy.rv", progress=lambda *_: manager.close())
    assert not manager.closed
    manager.add_visit(1, 1, "u", "t")


def test_calls_inside_a_callback_are_refused(manager, folder):
    manager.add_visit(1, 1, "u", "t")
    for call in (manager.sync, manager.verify, manager.stats, lambda: manager.clear_user(1),
                 lambda: manager.add_visit(2, 1, "u", "t"), lambda: list(manager),
                 lambda: manager.get_recent_visits(1), lambda: manager.get_many([1]),
                 lambda: manager.backup(folder / "other.rv")):
        with pytest.raises(VisitInvalidError, match="callback"):
            manager.backup(folder / "copy.rv", progress=lambda *_, call=call: call())
    assert ids(manager.get_recent_visits(1)) == [1]


class Stop(Exception):
    """What a signal's handler raises."""


@pytest.fixture
def alarm():
    """Sets the function that handles the signal, which comes after so many seconds."""
    before = signal.getsignal(signal.SIGALRM)

    def start(handler, seconds):
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def stop(*_):
    raise Stop


def test_a_signal_inside_a_callback_is_raised_by_the_call(manager, path, folder, alarm):
    def progress(*_):
        os.kill(os.getpid(), signal.SIGALRM)

    manager.add_visits((user, 1, "u", "t") for user in range(100))
    alarm(stop, 0)
    with pytest.raises(Stop):
        manager.backup(folder / "copy.rv", progress=progress)
    refused = []

    def close(*_):
        try:
            manager.close()
        except VisitInvalidError:
            refused.append(True)

    alarm(close, 0)
    manager.backup(folder / "copy.rv", progress=progress)
    assert refused and not manager.closed


def test_a_signal_at_any_time_of_a_verification_is_raised_by_it(manager, path, alarm):
    manager.add_visits((user, 1, f"url of {user}", "t") for user in range(2000))
    manager.sync()
    data = path.read_bytes()
    manager.close()
    path.write_bytes(data.replace(b"url of 1", b"Url of 1"))
    with VisitManager(path) as damaged:
        every = len(damaged.verify())
        assert every > 1000
        stopped = 0
        for i in range(300):
            try:
                alarm(stop, (i + 1) * 2e-5)
                findings = damaged.verify()
                signal.setitimer(signal.ITIMER_REAL, 0)
                assert len(findings) == every
            except Stop:
                stopped += 1
        assert stopped


def test_whoever_is_interrupted_while_opening_leaves_no_store_open(path, alarm):
    VisitManager(path).close()
    draw = random.Random(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(500):
            try:
                alarm(stop, draw.uniform(1e-5, 2e-3))
                with VisitManager(path, checkpoint_interval_ms=-1):
                    pass
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Stop:
                pass
            gc.collect()
            VisitManager(path, checkpoint_interval_ms=-1).close()
