# SPDX-License-Identifier: MIT
"""Exceptions: their classes, statuses, messages; arguments that are refused."""

import gc
import os
import pickle
import resource
import warnings
from decimal import Decimal
from fractions import Fraction

import pytest
from conftest import ids

import recent_visits
from recent_visits import Status, VisitError, VisitManager


def test_every_error_status_has_a_class_under_visit_error():
    from recent_visits import _errors

    for status in Status:
        if status < 0:
            assert issubclass(_errors._CLASSES[status], VisitError)
    assert issubclass(VisitError, RuntimeError)
    assert issubclass(recent_visits.VisitNoSpaceError, recent_visits.VisitIOError)
    assert issubclass(recent_visits.VisitInvalidError, ValueError)


def test_status_and_message(folder):
    with pytest.raises(recent_visits.VisitNotFoundError) as info:
        VisitManager(folder / "none.rv", create="must-exist")
    assert info.value.status is Status.NOT_FOUND
    assert info.value.message == str(info.value)
    assert str(folder / "none.rv") in info.value.message


def test_errors_can_be_pickled(folder):
    with pytest.raises(VisitError) as info:
        VisitManager(folder / "none.rv", create="must-exist")
    again = pickle.loads(pickle.dumps(info.value))
    assert type(again) is type(info.value)
    assert (again.status, again.message) == (info.value.status, info.value.message)


def test_busy_tells_who(path, manager):
    with pytest.raises(recent_visits.VisitBusyError, match=str(os.getpid())):
        VisitManager(path)


def test_exists(path, manager):
    with pytest.raises(recent_visits.VisitExistsError):
        VisitManager(path, create="must-not-exist")


def test_not_a_store(path):
    path.write_bytes(b"x" * 70000)
    with pytest.raises(recent_visits.VisitNotAStoreError):
        VisitManager(path)
    assert path.read_bytes() == b"x" * 70000


@pytest.mark.skipif(os.getuid() == 0 and not hasattr(os, "seteuid"), reason="cannot drop rights")
def test_access(folder, path):
    VisitManager(path).close()
    os.chmod(path, 0)
    os.chmod(folder, 0o755)
    root = os.getuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(recent_visits.VisitAccessError):
            VisitManager(path)
    finally:
        if root:
            os.seteuid(0)


def test_read_only(path):
    VisitManager(path).close()
    with VisitManager(path, mode="read-only") as manager:
        with pytest.raises(recent_visits.VisitReadOnlyError):
            manager.add_visit(1, 1, "u", "t")
        with pytest.raises(recent_visits.VisitReadOnlyError):
            manager.add_visits([(1, 1, "u", "t")])
        with pytest.raises(recent_visits.VisitReadOnlyError):
            manager.delete_visits(1, [1])
        with pytest.raises(recent_visits.VisitReadOnlyError):
            manager.clear_user(1)


def test_no_space(path, run):
    # In a process of its own: the limit holds for all its files.
    run("""
import resource, signal, sys
from recent_visits import VisitManager, VisitNoSpaceError, Status
manager = VisitManager(sys.argv[1])
manager.add_visit(1, 1, "u", "t")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, resource.RLIM_INFINITY))
try:
    for user in range(100000):
        manager.add_visits((user, visit, "u" * 100, "t") for visit in range(10))
    raise SystemExit("no error")
except VisitNoSpaceError as error:
    assert error.status is Status.NO_SPACE and 0 <= error.added < 10
assert [visit.visit_id for visit in manager.get_recent_visits(1)]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
manager.add_visit(200000, 1, "u", "t")
manager.close()
""", path)


def test_too_long(manager):
    with pytest.raises(recent_visits.VisitTooLongError):
        manager.add_visit(1, 1, "u" * 1048576, "t")
    assert manager.add_visit(1, 1, "u" * 1048575, "t")
    assert manager.get_recent_visits(1)[0].url == "u" * 1048575


def test_nul_inside(manager):
    with pytest.raises(recent_visits.VisitInvalidError):
        manager.add_visit(1, 1, "u\0", "t")
    rows = [(1, 1, "u", "t"), (1, 2, "u", "t\0x")]
    with pytest.raises(recent_visits.VisitInvalidError, match="NUL") as info:
        manager.add_visits(rows)
    assert info.value.added == 0
    assert manager.get_recent_visits(1) == []


@pytest.mark.parametrize("url, text", [(b"u", "t"), ("u", b"t"), (None, "t"), ("u", 1)])
def test_strings_must_be_str(manager, url, text):
    with pytest.raises(TypeError):
        manager.add_visit(1, 1, url, text)
    with pytest.raises(TypeError):
        manager.add_visits([(1, 1, url, text)])
    assert manager.get_recent_visits(1) == []


def test_numbers_must_fit(manager):
    for bad in (-1, 2**32):
        for call in (
            lambda: manager.add_visit(bad, 1, "u", "t"),
            lambda: manager.add_visit(1, bad, "u", "t"),
            lambda: manager.add_visits([(bad, 1, "u", "t")]),
            lambda: manager.add_visits([(1, bad, "u", "t")]),
            lambda: manager.get_recent_visits(bad),
            lambda: manager.get_many([1, bad]),
            lambda: manager.delete_visits(bad, [1]),
            lambda: manager.delete_visits(1, [bad]),
            lambda: manager.clear_user(bad),
        ):
            with pytest.raises(OverflowError):
                call()
    for call in (
        lambda: manager.add_visit("1", 1, "u", "t"),
        lambda: manager.add_visit(1, 1.5, "u", "t"),
        lambda: manager.get_recent_visits(None),
        lambda: manager.get_many(["1"]),
    ):
        with pytest.raises(TypeError):
            call()
    assert list(manager) == []


def test_rows_of_another_shape(manager):
    for row in ((1, 2, "u"), (1, 2, "u", "t", None, 1), ()):
        with pytest.raises(ValueError, match="a visit to add is"):
            manager.add_visits([row])
    with pytest.raises(ValueError, match="batch_size"):
        manager.add_visits([], batch_size=0)


def test_after_a_failed_batch_the_rest_is_not_added(manager):
    rows = [(1, visit, "u", "t") for visit in range(4)]
    rows[2] = (1, 2, "u" * 2**20, "t")
    with pytest.raises(recent_visits.VisitTooLongError) as info:
        manager.add_visits(rows, batch_size=4)
    assert info.value.added == 2
    assert ids(manager.get_recent_visits(1)) == [1, 0]
    with pytest.raises(recent_visits.VisitTooLongError) as info:
        manager.add_visits(rows, batch_size=1)
    assert info.value.added == 2


def test_limit(manager):
    for limit in (0, -1):
        with pytest.raises(ValueError, match="limit"):
            manager.get_recent_visits(1, limit)


def test_all_methods_of_a_closed_manager(path):
    manager = VisitManager(path)
    manager.add_visit(1, 1, "u", "t")
    users = iter(manager)
    begun = manager.counts()
    assert next(begun) == (1, 1)
    manager.close()
    assert manager.closed and "closed" in repr(manager)
    for call in (
        lambda: manager.add_visit(1, 1, "u", "t"),
        lambda: manager.add_visit(1, 1, "u", "t", time_ns=1),
        lambda: manager.add_visits([(1, 1, "u", "t")]),
        lambda: manager.get_recent_visits(1),
        lambda: manager.get_many([1]),
        lambda: manager.delete_visits(1, [1]),
        lambda: manager.clear_user(1),
        lambda: 1 in manager,
        lambda: len(manager),
        lambda: next(users),
        lambda: next(manager.items()),
        lambda: manager.sync(),
        lambda: manager.stats(),
        lambda: manager.verify(),
        lambda: manager.backup(str(path) + ".copy"),
        lambda: manager.__enter__(),
    ):
        with pytest.raises(recent_visits.VisitClosedError, match="closed"):
            call()
    assert list(begun) == []  # what had been fetched before is at its end


def test_resource_warning(path):
    manager = VisitManager(path)
    with pytest.warns(ResourceWarning, match="unclosed <VisitManager"):
        del manager
        gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with VisitManager(path) as manager:  # it had been closed all the same
            pass
        del manager
        gc.collect()


def test_a_manager_that_could_not_open_warns_of_nothing(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(VisitError):
            VisitManager(folder / "no" / "store.rv")
        gc.collect()


def test_pickle_refuses_or_reopens(path, manager):
    manager.add_visit(1, 2, "u", "t")
    with pytest.raises(TypeError, match="read-only"):
        pickle.dumps(manager)
    with VisitManager(os.fspath(path), mode="read-only") as reader:
        dump = pickle.dumps(reader)
        with pickle.loads(dump) as again:
            assert again.mode == "read-only"
            assert ids(again.get_recent_visits(1)) == [2]
    with pytest.raises(TypeError, match="closed"):
        pickle.dumps(reader)


def test_pickle_reopens_what_a_link_leads_to(folder):
    os.makedirs(folder / "real" / "sub")
    os.symlink(folder / "real" / "sub", folder / "link")
    for place, text in (folder / "real", "right"), (folder, "wrong"):
        with VisitManager(place / "s.rv") as manager:
            manager.add_visit(1, 1, "u", text)
    with VisitManager(f"{folder}/link/../s.rv", mode="read-only") as reader:
        with pickle.loads(pickle.dumps(reader)) as again:
            assert again.get_recent_visits(1)[0].text == "right"
            assert reader.get_recent_visits(1)[0].text == "right"


def test_added_whatever_was_raised(manager):
    def rows():
        yield from ((1, i, "u", "t") for i in range(2500))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as info:
        manager.add_visits(rows())
    assert info.value.added == 2000
    with pytest.raises(TypeError) as no_rows:
        manager.add_visits(None)
    assert no_rows.value.added == 0


def test_numbers_that_are_no_int(manager):
    class Number:
        def __init__(self, value):
            self.value = value

        def __index__(self):
            return self.value

    assert manager.add_visits([(Number(1), Number(5), "u", "t", Number(7))]) == 1
    assert manager.get_recent_visits(1)[0].time_ns == 7
    with pytest.raises(TypeError):
        manager.add_visits([(1, 6, "u", "t", 7.5)])


def test_nothing_is_asked_of_a_closed_manager(manager):
    manager.close()
    for call in lambda: manager.get_many([]), lambda: manager.add_visits([]):
        with pytest.raises(recent_visits.VisitClosedError):
            call()


def test_visits_can_be_pickled(manager):
    manager.add_visit(1, 2, "u", "t")
    visits = manager.get_recent_visits(1)
    again = pickle.loads(pickle.dumps(visits))
    assert again == visits
    assert again[0].time_ns == visits[0].time_ns


def test_many_open_files_do_not_leak(path):
    resource.getrlimit(resource.RLIMIT_NOFILE)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        VisitManager(path).close()
        with pytest.raises(VisitError):
            VisitManager(path, create="must-not-exist")
    assert len(os.listdir("/proc/self/fd")) == before


def test_numbers_are_not_rounded(manager):
    manager.add_visit(42, 1, "u", "t")
    for number in (Decimal("42.7"), Fraction(85, 2), 42.0, "42"):
        for call in (lambda n: manager.clear_user(n), lambda n: manager.get_recent_visits(n),
                     lambda n: manager.get_recent_visits(42, n), lambda n: manager.delete_visits(n, [1]),
                     lambda n: manager.add_visit(n, 1, "u", "t"),
                     lambda n: manager.add_visit(1, n, "u", "t"),
                     lambda n: manager.add_visit(1, 1, "u", "t", time_ns=n),
                     lambda n: manager.add_visits([(n, 1, "u", "t")])):
            with pytest.raises(TypeError):
                call(number)
        assert number not in manager or number == 42.0
    assert ids(manager.get_recent_visits(42)) == [1]


def test_added_is_told_whatever_is_wrong(manager):
    def rows(last):
        yield from ((user, 1, "u", "t") for user in range(1200))
        if last is None:
            raise KeyError("of the caller")
        yield last

    for last, kind in ((None, KeyError), ((1, 2, "\ud800", "t"), UnicodeEncodeError),
                       ((-1, 2, "u", "t"), OverflowError), ((1, 2, 3, "t"), TypeError),
                       ((1, 2), ValueError)):
        with pytest.raises(kind) as info:
            manager.add_visits(rows(last))
        assert info.value.added == 1000


def test_backup_of_a_closed_manager_names_it(manager, folder):
    manager.close()
    with pytest.raises(recent_visits.VisitClosedError, match="store.rv"):
        manager.backup(folder / "copy.rv")
