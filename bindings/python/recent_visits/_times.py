# SPDX-License-Identifier: MIT
"""Times: nanoseconds since 1970-01-01 UTC in the store, aware datetimes in Python."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MIN_NS = -(2**63)
_MAX_NS = 2**63 - 1


def from_ns(time_ns: int) -> datetime:
    """The microsecond that the time lies in."""
    return _EPOCH + timedelta(0, time_ns // 10**9, time_ns % 10**9 // 1000)


def to_ns(time: datetime) -> int:
    """To the microsecond, all that a datetime has. Naive ones are refused: they do not say which
    instant they mean."""
    if not isinstance(time, datetime):
        raise TypeError(f"time must be an aware datetime, not {type(time).__name__}")
    if time.utcoffset() is None:
        raise ValueError(
            "time is a naive datetime, which may mean local time or UTC; give an aware one, such as"
            " datetime.now(timezone.utc) or time.replace(tzinfo=timezone.utc)"
        )
    since = time - _EPOCH
    return check_ns((since.days * 86400 + since.seconds) * 10**9 + since.microseconds * 1000)


def check_ns(time_ns: int) -> int:
    if not _MIN_NS <= time_ns <= _MAX_NS:
        raise OverflowError("time is outside of what 64 bits of nanoseconds hold: 1677 to 2262")
    return time_ns
