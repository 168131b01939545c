# SPDX-License-Identifier: MIT
"""Options of the constructor, and what kinds of paths there are."""

import os
import signal
import stat
import subprocess
import sys

import pytest
from conftest import ids

from recent_visits import (
    VisitCancelledError,
    VisitInvalidError,
    VisitManager,
    VisitNotCleanError,
)


@pytest.mark.parametrize("kind", [os.fspath, lambda path: path, os.fsencode])
def test_paths(path, kind):
    given = kind(path)
    with VisitManager(given) as manager:
        assert manager.path == given
        assert str(path) in repr(manager)
    assert path.exists()


def test_path_that_is_no_utf_8(folder):
    name = os.fsencode(folder) + b"/\xff\xfe.rv"
    with VisitManager(os.fsdecode(name)) as manager:
        manager.add_visit(1, 1, "u", "t")
    assert os.path.exists(name)
    with VisitManager(name, create="must-exist") as manager:
        assert 1 in manager


def test_path_with_a_nul(folder):
    with pytest.raises(VisitInvalidError, match="NUL"):  # a ValueError and a RuntimeError
        VisitManager(f"{folder}/a\0b")
    assert os.listdir(folder) == []


def test_geometry_of_a_new_store(path):
    with VisitManager(path, 7, slot_size=512, shards=4, file_mode=0o640, create="must-not-exist") as m:
        stats = m.stats()
    assert (stats.max_visits, stats.slot_size, stats.shards) == (7, 512, 4)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_limit_of_the_store_is_kept(path):
    VisitManager(path, 4).close()
    with VisitManager(path, None) as manager:
        assert manager.stats().max_visits == 4
    with VisitManager(path) as manager:
        assert manager.stats().max_visits == 10


def test_no_background_checkpoints(path):
    with VisitManager(path, checkpoint_interval_ms=-1) as manager:
        manager.add_visit(1, 1, "u", "t")
        before = manager.stats().durable_epoch
        manager.sync()
        assert manager.stats().durable_epoch > before


@pytest.mark.parametrize("options", [
    {"max_visits": 0}, {"max_visits": 65536}, {"max_visits": -1}, {"mode": "write"},
    {"create": "maybe"}, {"recovery": "perhaps"}, {"slot_size": 100}, {"shards": 3},
    {"file_mode": 0o1777}, {"mode": "read-only", "max_visits": 5},
])
def test_options_that_are_refused(path, options):
    with pytest.raises(VisitInvalidError):
        VisitManager(path, **options)
    assert not path.exists()

_SHARER = """
import sys
from recent_visits import VisitManager
path, first = sys.argv[1], int(sys.argv[2])
with VisitManager(path, None, mode="shared") as manager:
    for i in range(500):
        manager.add_visit(1 + i % 50, first + i, "u", "t")
"""


def test_processes_that_share_a_store(path):
    with VisitManager(path, 20, mode="shared", lock_wait_ms=60_000) as manager:
        others = [
            subprocess.Popen([sys.executable, "-c", _SHARER, path, str(first)])
            for first in (1000, 2000)
        ]
        for i in range(500):
            manager.add_visit(1 + i % 50, 3000 + i, "u", "t")
        assert [other.wait() for other in others] == [0, 0]
        for user in range(1, 51):
            seen = {visit_id // 1000 for visit_id in ids(manager.get_recent_visits(user))}
            assert len(ids(manager.get_recent_visits(user))) == 20 and seen <= {1, 2, 3}
        assert manager.verify() == []


@pytest.mark.parametrize("erase", [True, False])
def test_erase(path, erase):
    with VisitManager(path, erase=erase) as manager:
        manager.add_visit(1, 1, "https://secret.example/", "t")
        manager.sync()
        manager.clear_user(1)
        manager.sync()
        assert (b"secret.example" in path.read_bytes()) is not erase


def test_read_only_beside_a_writer(path, manager):
    manager.add_visit(1, 1, "u", "t")
    with VisitManager(path, mode="read-only") as reader:
        assert ids(reader.get_recent_visits(1)) == [1]
        manager.add_visit(1, 2, "u", "t")
        assert ids(reader.get_recent_visits(1)) == [2, 1]
        assert reader.stats().state == "in-use"


KILLED = """
import os, signal, sys
from recent_visits import VisitManager
manager = VisitManager(sys.argv[1], 3, checkpoint_interval_ms=-1)
manager.add_visits((user, 1, "u", "t") for user in range(1000))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_recovery_after_a_kill_or_a_refusal(path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)])
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(VisitNotCleanError):
        VisitManager(path, recovery="refuse")
    with VisitManager(path) as manager:
        assert manager.stats().state == "killed"
        assert len(manager) == 1000
        assert manager.verify() == []


def test_progress_is_told_and_can_stop(path):
    with VisitManager(path, 5) as manager:
        manager.add_visits((user, visit, "u", "t") for user in range(20000) for visit in range(5))
    VisitManager(path, 2).close()
    told = []
    with VisitManager(path, 4, progress=lambda *what: told.append(what)):
        pass
    assert told and all(isinstance(what, str) and done >= 0 for what, done, _ in told)
    VisitManager(path, 2).close()
    with pytest.raises(VisitCancelledError):
        VisitManager(path, 4, progress=lambda *_: True)
    with pytest.raises(KeyError, match="of the callback"):
        VisitManager(path, 4, progress=raise_key_error)
    with VisitManager(path, 4) as manager:
        assert manager.verify() == []


def raise_key_error(*_):
    raise KeyError("of the callback")
