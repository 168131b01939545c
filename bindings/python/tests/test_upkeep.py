# SPDX-License-Identifier: MIT
"""sync, stats, verify, backup."""

import os
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
