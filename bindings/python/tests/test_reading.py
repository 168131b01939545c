# SPDX-License-Identifier: MIT
"""Reads of one user, of many, of all."""

import ctypes
import os

import pytest
from conftest import ids

from recent_visits import VisitManager, VisitClosedError, _manager


def test_limit(manager):
    for visit in (1, 2, 3):
        manager.add_visit(1, visit, "u", "t")
    assert ids(manager.get_recent_visits(1, 1)) == [3]
    assert ids(manager.get_recent_visits(1, limit=2)) == [3, 2]
    assert ids(manager.get_recent_visits(1, limit=2**40)) == [3, 2, 1]
    assert ids(manager.get_recent_visits(1, None)) == [3, 2, 1]


def test_results_larger_than_the_first_buffer(path):
    with VisitManager(path, 400) as manager:
        for visit in range(400):
            manager.add_visit(1, visit, "u" * visit, "t" * (3 * visit))
        for limit in (1, 128, 129, 400):
            visits = manager.get_recent_visits(1, limit)
            assert ids(visits) == list(range(399, 399 - limit, -1))
            assert all(v.url == "u" * v.visit_id and v.text == "t" * 3 * v.visit_id for v in visits)
        assert manager.get_many([1])[1] == visits


def test_most_visits(path):
    with VisitManager(path, 65535) as manager:
        manager.add_visits((1, visit, "", "") for visit in range(65536))
        assert ids(manager.get_recent_visits(1)) == list(range(65535, 0, -1))
        assert len(manager.get_many([1])[1]) == 65535


def test_huge_strings(manager):
    manager.add_visit(1, 1, "ü" * 300000, "")
    manager.add_visit(1, 2, "", "x" * 1048576)
    visits = manager.get_recent_visits(1)
    assert (visits[0].url, visits[0].text) == ("", "x" * 1048576)
    assert (visits[1].url, visits[1].text) == ("ü" * 300000, "")
    for _, _, room in _manager._buffers:
        assert room <= 1 << 20


def test_buffers_do_not_pile_up(manager):
    manager.add_visit(1, 1, "u", "x" * 100000)
    _manager._buffers[:] = [_manager._new_buffer(_manager._FIRST_ROOM)]
    manager.get_recent_visits(1)
    ((_, _, room),) = _manager._buffers  # a larger one in its place
    assert room > 100000


def test_bytes_are_small_numbers(manager):
    for visit in (1, 2, 3, 4, 67305985):
        manager.add_visit(7, visit, "u", "t")
    assert manager.delete_visits(7, bytes([1, 2, 3, 4]))
    assert ids(manager.get_recent_visits(7)) == [67305985]
    assert list(manager.get_many(bytearray([7]))) == [7]


def test_empty_strings(manager):
    rows = [(1, 1, "", ""), (1, 2, "u", ""), (1, 3, "", "t")]
    manager.add_visits(rows)
    expected = [(3, "", "t"), (2, "u", ""), (1, "", "")]
    assert [(v.visit_id, v.url, v.text) for v in manager.get_recent_visits(1)] == expected
    assert [(v.visit_id, v.url, v.text) for v in manager.get_many([1])[1]] == expected


def test_a_caller_reading_inside_a_read(manager):
    """A list of results is the caller's own: further reads do not change it."""
    for user in range(3):
        manager.add_visit(user, user, f"url {user}", "t")
    first = manager.get_recent_visits(0)
    manager.get_recent_visits(1)
    manager.clear_user(0)
    assert first[0].url == "url 0"


def test_get_many(manager):
    manager.add_visits((user, visit, f"{user}", f"{visit}") for user in range(2500) for visit in range(2))
    wanted = list(range(0, 3000, 2))
    many = manager.get_many(wanted, limit=1)
    assert list(many) == wanted
    for user, visits in many.items():
        assert visits == manager.get_recent_visits(user, 1)
    assert many[2998] == []
    assert manager.get_many([]) == {}
    assert manager.get_many(iter([5, 5])) == {5: manager.get_recent_visits(5)}


def test_iteration(manager):
    assert list(manager) == [] and len(manager) == 0 and bool(manager)
    manager.add_visits((user, visit, "u", "t") for user in range(2500) for visit in range(user % 4))
    users = {user for user in range(2500) if user % 4}
    assert sorted(manager) == sorted(users)
    assert len(manager) == len(users)
    assert dict(manager.counts()) == {user: user % 4 for user in users}
    items = dict(manager.items(limit=2))
    assert items.keys() == users
    assert ids(items[3]) == [2, 1]
    assert 3 in manager and 4 not in manager
    for stranger in (-1, 2**32, "3", None, 1.5):
        assert stranger not in manager
    manager.add_visit(9999, 1, "x" * 10000, "larger than the buffer that is tried")
    assert 9999 in manager


def test_several_iterations_and_a_close(path):
    manager = VisitManager(path)
    manager.add_visits((user, 1, "u", "t") for user in range(5000))
    first, second = iter(manager), manager.items()
    got = [next(first) for _ in range(10)] + [next(second)[0]]
    assert len(set(got[:10])) == 10
    manager.close()
    with pytest.raises(VisitClosedError):
        list(first)
    with pytest.raises(VisitClosedError):
        list(second)


def test_bytes_of_c_callers_come_back(path):
    """Invalid UTF-8 comes by surrogateescape, and can be stored again as it was."""
    bad = [b"\xff\xfe", b"caf\xe9", b"\xe2\x82", b"\xed\xa0\x80", b"ok \xf0\x9f\x8e\x89"]
    native = os.path.join(os.path.dirname(_manager.__file__), "..", "..", "..", "lib", "librv.so")
    library = ctypes.CDLL(os.environ.get("RV_LIBRARY", os.path.abspath(native)))
    library.VisitManagerCreate.restype = ctypes.c_void_p
    library.VisitManagerCreate.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    library.VisitManagerAddVisit.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_char_p]
    library.VisitManagerFree.argtypes = [ctypes.c_void_p]
    library.VisitManagerFree.restype = None
    handle = library.VisitManagerCreate(os.fsencode(path), 10)
    for i, string in enumerate(bad):
        assert library.VisitManagerAddVisit(handle, 1, i, string, string[::-1])
    library.VisitManagerFree(handle)
    with VisitManager(path) as manager:
        for visits in (manager.get_recent_visits(1), manager.get_many([1])[1]):
            assert [os.fsencode(v.url) for v in visits] == bad[::-1]
            assert [v.text.encode("utf-8", "surrogateescape")[::-1] for v in visits] == bad[::-1]
        for visit in reversed(visits):
            manager.add_visit(2, visit.visit_id, visit.url, visit.text)
        manager.add_visits((3, v.visit_id, v.url, v.text) for v in reversed(visits))
        for user in (2, 3):
            assert [v.url for v in manager.get_recent_visits(user)] == [v.url for v in visits]


def test_surrogates_that_are_no_bytes_are_refused(manager):
    with pytest.raises(UnicodeEncodeError):
        manager.add_visit(1, 1, "\ud800", "t")
    with pytest.raises(UnicodeEncodeError):
        manager.add_visits([(1, 1, "\ud800", "t")])
