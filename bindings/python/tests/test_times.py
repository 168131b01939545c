# SPDX-License-Identifier: MIT
"""Times of visits: datetimes and nanoseconds."""

from datetime import datetime, timedelta, timezone

import pytest
from conftest import ids
from hypothesis import given, strategies as st

from recent_visits import _times

UTC = timezone.utc


def test_datetime_goes_in_and_comes_out(manager):
    when = datetime(2024, 2, 29, 12, 34, 56, 789012, tzinfo=UTC)
    manager.add_visit(1, 1, "u", "t", when)
    manager.add_visit(2, 1, "u", "t", time=when.astimezone(timezone(timedelta(hours=-9.5))))
    assert manager.get_recent_visits(1)[0].time == when
    assert manager.get_recent_visits(2)[0].time == when
    assert manager.get_recent_visits(2)[0].time.tzinfo is UTC


def test_visits_go_to_their_place_by_time(manager):
    for visit, second in ((1, 30), (2, 10), (3, 20)):
        manager.add_visit(1, visit, "u", "t", datetime(2024, 1, 1, 0, 0, second, tzinfo=UTC))
    assert ids(manager.get_recent_visits(1)) == [1, 3, 2]
    assert manager.add_visit(1, 4, "u", "t", datetime(2020, 1, 1, tzinfo=UTC)) is True
    assert ids(manager.get_recent_visits(1)) == [1, 3, 2]


@pytest.mark.parametrize("time_ns", [0, 1, -1, 1234567890123456789, -(2**63), 2**63 - 1])
def test_nanoseconds_are_exact(manager, time_ns):
    manager.add_visit(1, 1, "u", "t", time_ns=time_ns)
    visit = manager.get_recent_visits(1)[0]
    assert visit.time_ns == time_ns
    assert (visit.time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) == time_ns // 1000


def test_naive_datetimes_are_refused_with_advice(manager):
    naive = datetime(2024, 1, 1)
    with pytest.raises(ValueError, match=r"timezone\.utc"):
        manager.add_visit(1, 1, "u", "t", naive)
    with pytest.raises(ValueError, match="naive"):
        manager.add_visits([(1, 1, "u", "t", naive)])
    assert manager.get_recent_visits(1) == []


def test_what_is_no_time(manager):
    with pytest.raises(TypeError):
        manager.add_visit(1, 1, "u", "t", 1704067200.0)
    with pytest.raises(TypeError):
        manager.add_visits([(1, 1, "u", "t", "2024-01-01")])
    with pytest.raises(TypeError, match="not both"):
        manager.add_visit(1, 1, "u", "t", datetime.now(UTC), time_ns=1)
    for year in (1600, 2300):
        with pytest.raises(OverflowError):
            manager.add_visit(1, 1, "u", "t", datetime(year, 1, 1, tzinfo=UTC))
    with pytest.raises(OverflowError):
        manager.add_visit(1, 1, "u", "t", time_ns=2**63)
    with pytest.raises(OverflowError):
        manager.add_visits([(1, 1, "u", "t", 2**63)])


def test_batches_mix_times(manager):
    past = datetime(2001, 1, 1, tzinfo=UTC)
    rows = [(1, 1, "u", "t", past), (1, 2, "u", "t"), (1, 3, "u", "t", None), (1, 4, "u", "t", 5)]
    assert manager.add_visits(rows) == 4
    visits = manager.get_recent_visits(1)
    assert ids(visits) == [3, 2, 1]
    assert visits[2].time == past
    assert visits[0].time > datetime.now(UTC) - timedelta(days=1)


def test_batch_of_the_same_width_with_nones(manager):
    assert manager.add_visits([(1, 1, "u", "t", None), (2, 1, "u", "t", 77)]) == 2
    assert manager.get_recent_visits(2)[0].time_ns == 77
    assert manager.get_recent_visits(1)[0].time.year > 2000


aware = st.datetimes(
    min_value=datetime(1678, 1, 1), max_value=datetime(2262, 1, 1),
    timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m))))


@given(aware)
def test_there_and_back(when):
    assert _times.from_ns(_times.to_ns(when)) == when


@given(st.integers(-(2**63), 2**63 - 1))
def test_the_microsecond_it_lies_in(time_ns):
    microseconds = (_times.from_ns(time_ns) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert microseconds == time_ns // 1000
