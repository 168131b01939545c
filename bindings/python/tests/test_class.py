# SPDX-License-Identifier: MIT
"""The class that was there before this package: names, defaults, behaviour."""

import dataclasses
import inspect
from datetime import datetime, timedelta, timezone

import pytest
from conftest import ids

from recent_visits import Visit, VisitManager


def test_signatures():
    def names(function):
        return list(inspect.signature(function).parameters)

    assert names(VisitManager)[:2] == ["path", "max_visits"]
    assert inspect.signature(VisitManager).parameters["max_visits"].default == 10
    assert names(VisitManager.add_visit)[1:5] == ["user_id", "visit_id", "url", "text"]
    assert names(VisitManager.get_recent_visits)[1] == "user_id"
    assert names(VisitManager.delete_visits)[1:] == ["user_id", "visit_ids"]
    assert names(VisitManager.clear_user)[1:] == ["user_id"]


def test_by_keywords(path):
    manager = VisitManager(path=str(path), max_visits=2)
    assert manager.add_visit(user_id=1, visit_id=2, url="u", text="t") is True
    assert ids(manager.get_recent_visits(user_id=1)) == [2]
    assert manager.delete_visits(user_id=1, visit_ids=[2]) is True
    assert manager.clear_user(user_id=1) is None
    manager.close()


def test_newest_first_and_at_most_ten(path):
    with VisitManager(str(path)) as manager:
        for visit in range(15):
            assert manager.add_visit(7, visit, f"https://example.org/{visit}", f"text {visit}") is True
        visits = manager.get_recent_visits(7)
    assert isinstance(visits, list)
    assert ids(visits) == list(range(14, 4, -1))
    assert visits[0].url == "https://example.org/14"
    assert visits[0].text == "text 14"


def test_visit_is_a_dataclass(manager):
    before = datetime.now(timezone.utc)
    manager.add_visit(1, 2, "url", "text")
    after = datetime.now(timezone.utc)
    visit = manager.get_recent_visits(1)[0]
    assert type(visit) is Visit
    assert [field.name for field in dataclasses.fields(Visit)] == ["visit_id", "url", "text", "time"]
    assert visit.time.tzinfo is timezone.utc
    assert before - timedelta(microseconds=1) <= visit.time <= after
    assert dataclasses.asdict(visit) == {
        "visit_id": 2, "url": "url", "text": "text", "time": visit.time}
    assert visit == Visit(2, "url", "text", visit.time)
    assert visit != Visit(2, "url", "text", visit.time + timedelta(seconds=1))
    assert dataclasses.replace(visit, text="other").text == "other"
    assert repr(visit) == f"Visit(visit_id=2, url='url', text='text', time={visit.time!r})"


def test_visit_can_be_changed_like_any_dataclass():
    visit = Visit(visit_id=1, url="u", text="t", time=datetime(2020, 1, 1, tzinfo=timezone.utc))
    visit.text = "other"
    visit.time = datetime(2021, 1, 1, tzinfo=timezone.utc)
    assert visit == Visit(1, "u", "other", datetime(2021, 1, 1, tzinfo=timezone.utc))
    match visit:
        case Visit(1, "u", text, _):
            assert text == "other"


def test_repeated_id_changes_nothing(manager):
    assert manager.add_visit(1, 5, "first", "first") is True
    assert manager.add_visit(1, 5, "second", "second") is True
    assert [(visit.visit_id, visit.url) for visit in manager.get_recent_visits(1)] == [(5, "first")]


def test_unknown_user(manager):
    assert manager.get_recent_visits(404) == []
    assert manager.delete_visits(404, [1]) is False
    manager.clear_user(404)


def test_delete(manager):
    for visit in (1, 2, 3):
        manager.add_visit(1, visit, "u", "t")
    assert manager.delete_visits(1, []) is True
    assert manager.delete_visits(1, [9]) is False
    assert manager.delete_visits(1, [9, 2]) is True
    assert ids(manager.get_recent_visits(1)) == [3, 1]
    assert manager.delete_visits(1, iter({1, 3})) is True
    assert manager.get_recent_visits(1) == []


def test_clear(manager):
    manager.add_visit(1, 1, "u", "t")
    manager.add_visit(2, 1, "u", "t")
    manager.clear_user(1)
    assert manager.get_recent_visits(1) == []
    assert ids(manager.get_recent_visits(2)) == [1]


def test_all_is_there_after_opening_again(path):
    with VisitManager(str(path)) as manager:
        manager.add_visit(0, 2**32 - 1, "", "")
        manager.add_visit(2**32 - 1, 0, "ü", "漢字 🎉")
        before = manager.get_recent_visits(2**32 - 1)
    with VisitManager(str(path)) as manager:
        assert manager.get_recent_visits(2**32 - 1) == before
        assert before[0].text == "漢字 🎉"
        assert [(v.visit_id, v.url, v.text) for v in manager.get_recent_visits(0)] == [
            (2**32 - 1, "", "")]


def test_smaller_and_larger_limit(path):
    with VisitManager(path, 5) as manager:
        for visit in range(5):
            manager.add_visit(1, visit, "u", "t")
    with VisitManager(path, 2) as manager:
        assert ids(manager.get_recent_visits(1)) == [4, 3]
    with VisitManager(path, 5) as manager:
        assert ids(manager.get_recent_visits(1)) == [4, 3]


def test_cannot_open_is_a_runtime_error(folder):
    with pytest.raises(RuntimeError, match="nowhere"):
        VisitManager(str(folder / "nowhere" / "store.rv"))
    file = folder / "letter.txt"
    file.write_bytes(b"Dear reader, " * 10000)
    with pytest.raises(RuntimeError):
        VisitManager(str(file))
    assert file.read_bytes() == b"Dear reader, " * 10000


def test_close_twice(path):
    manager = VisitManager(path)
    manager.close()
    manager.close()
    with VisitManager(path) as manager:
        manager.close()


def test_visits_have_what_dataclasses_have(path):
    with VisitManager(path) as manager:
        manager.add_visit(1, 2, "u", "t", datetime(2020, 1, 1, tzinfo=timezone.utc))
        (visit,) = manager.get_recent_visits(1)
    fields = {"visit_id": 2, "url": "u", "text": "t",
              "time": datetime(2020, 1, 1, tzinfo=timezone.utc)}
    assert vars(visit) == visit.__dict__ == dataclasses.asdict(visit) == fields
