# SPDX-License-Identifier: MIT
"""What a manager hands out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from . import _native, _times

if TYPE_CHECKING:
    from ._decode import Record as Record, unpack as unpack, unpack_many as unpack_many
else:

    def _load_decode():
        """The second module of the extension's file: import looks for one of a file's own name."""
        loader = ExtensionFileLoader(f"{__package__}._decode", _native.__file__)
        module = module_from_spec(spec_from_loader(loader.name, loader))
        loader.exec_module(module)
        return module

    _decode = _load_decode()
    Record, unpack, unpack_many = _decode.Record, _decode.unpack, _decode.unpack_many


@dataclass(init=False)
class Visit(Record):
    """One visit. `time` is aware, in UTC; `time_ns` is the same to the nanosecond."""

    # No dictionary: with one, ten visits would take as long to make as all the rest of a read.
    __slots__ = ()

    visit_id: int
    url: str
    text: str
    time: datetime

    # What was read holds nanoseconds, and becomes a datetime only for those who ask: ten datetimes
    # take longer to make than the rest of a read.

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        """For vars(): a new dictionary each time."""
        return {
            "visit_id": self.visit_id,
            "url": self.url,
            "text": self.text,
            "time": self.time,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.visit_id, self.url, self.text, self._time)

    @property
    def time_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        time = self._time
        return time if isinstance(time, int) else _times.to_ns(time)


def _get_time(visit: Visit) -> datetime:
    time = visit._time
    return _times.from_ns(time) if isinstance(time, int) else time


def _set_time(visit: Visit, time: datetime | int) -> None:
    visit._time = time


if not TYPE_CHECKING:  # here, so that the dataclass does not take it for a default value
    Visit.time = property(_get_time, _set_time, doc="When it was, in UTC.")


class Finding(NamedTuple):
    """One thing that `verify()` found."""

    offset: int
    """Byte offset in the file."""
    rule: str
    """A short name of the rule that is broken, such as "slot-checksum"."""
    message: str
    """One line of English."""
    user_id: int | None
    """The user it concerns."""


@dataclass(frozen=True)
class Stats:
    """Figures of a store, see VisitStats in recent_visits.h."""

    uuid: UUID
    format_version: int
    state: str
    """How the store was found: new, clean, killed, crashed, in-use, unclean."""
    max_visits: int
    slot_size: int
    shards: int
    holder_pid: int
    """The writing process; 0: none."""
    file_bytes: int
    users: int
    """That have visits."""
    visits: int
    ring_slots: int
    index_entries: int
    index_capacity: int
    block_bytes: int
    blocks: int
    blocks_free: int
    blocks_slots: int
    blocks_large: int
    blocks_segments: int
    epoch: int
    durable_epoch: int
    checkpoint_time_ns: int
    created_time_ns: int

    @property
    def checkpoint_time(self) -> datetime:
        """When the last checkpoint was written."""
        return _times.from_ns(self.checkpoint_time_ns)

    @property
    def created_time(self) -> datetime:
        return _times.from_ns(self.created_time_ns)
