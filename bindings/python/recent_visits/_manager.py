# SPDX-License-Identifier: MIT
"""The manager: an open store."""

from __future__ import annotations

import os
import warnings
from array import array
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from itertools import chain, islice
from operator import index
from types import TracebackType
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Literal,
    Sequence,
    Tuple,
    TypeVar,
    Union,
)
from uuid import UUID

from . import _times
from ._errors import Status, VisitError, VisitInvalidError, error
from ._native import ffi, lib
from ._records import Finding, Stats, Visit, unpack, unpack_many

Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
Mode = Literal["exclusive", "read-only", "shared"]
Create = Literal["if-missing", "must-exist", "must-not-exist"]
Recovery = Literal["recover", "refuse"]
Progress = Callable[[str, int, int], object]
"""what, done, total (0: not known); a true result stops the work."""
NewVisit = Union[
    Tuple[int, int, str, str], Tuple[int, int, str, str, Union[datetime, int, None]]
]
"""user_id, visit_id, url, text and maybe the time: an aware datetime, or nanoseconds since 1970."""

_MODES: dict[str, int] = {
    "exclusive": lib.VISIT_EXCLUSIVE,
    "read-only": lib.VISIT_READ_ONLY,
    "shared": lib.VISIT_SHARED,
}
_CREATE: dict[str, int] = {
    "if-missing": lib.VISIT_CREATE_IF_MISSING,
    "must-exist": lib.VISIT_MUST_EXIST,
    "must-not-exist": lib.VISIT_MUST_NOT_EXIST,
}
_RECOVERY: dict[str, int] = {
    "recover": lib.VISIT_RECOVER,
    "refuse": lib.VISIT_RECOVER_REFUSE,
}
_STATES: dict[int, str] = {
    lib.VISIT_FOUND_NEW: "new",
    lib.VISIT_FOUND_CLEAN: "clean",
    lib.VISIT_FOUND_KILLED: "killed",
    lib.VISIT_FOUND_CRASHED: "crashed",
    lib.VISIT_FOUND_IN_USE: "in-use",
    lib.VISIT_FOUND_UNCLEAN: "unclean",
}
_DEFAULT_MAX_VISITS = 10
_CHUNK_USERS = 1000

# The calls that are made most, without a look-up in lib.
_read = lib.rv_py_read
_add = lib.rv_py_add
_add_at = lib.rv_py_add_at
_CLOSED: int = lib.RV_PY_CLOSED
_Self = TypeVar("_Self", bound="VisitManager")

# ---- buffers -------------------------------------------------------------------------------------

_FIRST_ROOM = 8192
_MOST_ROOM = 1 << 20
_allocate = ffi.new_allocator(should_clear_after_alloc=False)

# Buffers that no read uses at the moment: popping and appending are atomic. A buffer that an
# exception takes away is garbage, no more.
_buffers: list[tuple[Any, int, int]] = []
"""The buffer, its address, its size."""


def _new_buffer(room: int) -> tuple[Any, int, int]:
    data = _allocate("char[]", room)
    return data, int(ffi.cast("uintptr_t", data)), room


# ---- callbacks -----------------------------------------------------------------------------------


class _Callback:
    """A Python function that C calls, and the exception that it must not let through C."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.function = function
        self.exception: BaseException | None = None
        self.handle: Any = ffi.new_handle(self)

    def __call__(self, *arguments: object) -> int:
        return 1 if self.function(*arguments) else 0

    def finish(self) -> None:
        exception, self.exception = self.exception, None
        if exception is not None:
            raise exception


def _keep(kind: object, exception: BaseException, traceback: TracebackType | None) -> None:
    """What a function below raised, also by a signal, is raised again by the call under way."""
    if traceback is not None:
        callback: _Callback = ffi.from_handle(traceback.tb_frame.f_locals["data"])
        callback.exception = exception


def _text(string: Any) -> str:
    text: str = ffi.string(string).decode("utf-8", "surrogateescape")
    return text


@ffi.def_extern(name="rv_py_progress", error=1, onerror=_keep)  # type: ignore[misc]
def _on_progress(data: Any, what: Any, done: int, total: int) -> int:
    callback: _Callback = ffi.from_handle(data)
    return callback(_text(what), done, total)


@ffi.def_extern(name="rv_py_finding", error=1, onerror=_keep)  # type: ignore[misc]
def _on_finding(data: Any, finding: Any) -> int:
    callback: _Callback = ffi.from_handle(data)
    user_id = finding.user_id if finding.has_user else None
    return callback(
        Finding(finding.offset, _text(finding.rule), _text(finding.message), user_id)
    )


# ---- arguments -----------------------------------------------------------------------------------


def _path_bytes(path: Path) -> bytes:
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise VisitInvalidError("the path has a NUL inside")
    return encoded


def _absolute(path: bytes) -> bytes:
    """For another process. `..` stays: what it leads to is for the system to say."""
    if os.path.isabs(path):
        return path
    try:
        return os.path.join(os.getcwdb(), path)
    except OSError:  # the folder has been deleted
        return path


def _choice(name: str, value: str, values: dict[str, int]) -> int:
    if value not in values:
        choices = ", ".join(map(repr, values))
        raise VisitInvalidError(f"{name} must be one of {choices}, not {value!r}")
    return values[value]


def _limit(limit: int | None) -> int:
    """For C, where 0 means all."""
    if limit is None:
        return 0
    limit = index(limit)
    if limit <= 0:
        raise ValueError(f"limit must be at least 1, or None for all, not {limit}")
    return limit


def _numbers(name: str, values: Iterable[int]) -> array[int]:
    if isinstance(values, (bytes, bytearray)):
        values = list(values)  # array() would take them for machine words
    try:
        return array("I", values)
    except OverflowError:
        raise OverflowError(f"{name} must be from 0 to 4294967295") from None


def _given_time(time: datetime | int) -> int:
    return _times.to_ns(time) if isinstance(time, datetime) else _times.check_ns(index(time))


class _Batch:
    """Columns of visits to add, as rv_py_add_many() takes them."""

    def __init__(self, visits: Sequence[NewVisit]) -> None:
        self.visits = visits
        columns = list(zip(*visits))
        width = len(columns)
        if width not in (4, 5) or sum(map(len, visits)) != width * len(visits):
            columns = list(zip(*map(self._wide, visits)))
        user_ids, visit_ids, urls, texts = columns[:4]
        self.user_ids = _numbers("user_id", user_ids)
        self.visit_ids = _numbers("visit_id", visit_ids)
        strings = "\0".join(chain.from_iterable(zip(urls, texts)))
        self.strings = strings.encode("utf-8", "surrogateescape")
        self.times = array("q")
        self.timed = b""
        if len(columns) == 5 and any(time is not None for time in columns[4]):
            self.times.extend(0 if t is None else _given_time(t) for t in columns[4])
            self.timed = bytes(time is not None for time in columns[4])

    @staticmethod
    def _wide(visit: NewVisit) -> tuple[object, ...]:
        if len(visit) not in (4, 5):
            raise ValueError(
                "a visit to add is (user_id, visit_id, url, text) or (user_id, visit_id, url,"
                f" text, time), not {visit!r}"
            )
        return (*visit, None)[:5]

    def add(self, store: Any) -> tuple[int, int]:
        """The status, and how many were added."""
        added = ffi.new("size_t *")
        status: int = lib.rv_py_add_many(
            store,
            len(self.visits),
            ffi.from_buffer("uint32_t[]", self.user_ids),
            ffi.from_buffer("uint32_t[]", self.visit_ids),
            ffi.from_buffer("int64_t[]", self.times) if self.timed else ffi.NULL,
            self.timed or ffi.NULL,
            self.strings,
            len(self.strings),
            added,
        )
        return status, added[0]

    def nul_error(self) -> VisitError:
        for visit in self.visits:
            if "\0" in visit[2] or "\0" in visit[3]:
                break
        return VisitInvalidError(f"url or text has a NUL inside: {visit!r}")


def _reopen(cls: type[VisitManager], path: bytes, options: Dict[str, Any]) -> VisitManager:
    return cls(path, **options)


# ---- the manager ---------------------------------------------------------------------------------


class VisitManager:
    """An open store. Every method may be called from any thread.

    With `max_visits` each user keeps that many visits from now on; None leaves it as the store has
    it. A read-only manager never sets it.

    mode: "exclusive" (this manager alone writes; read-only ones may come beside it), "read-only", or
    "shared" (several processes write).
    create: "if-missing", "must-exist" or "must-not-exist".
    slot_size, shards, file_mode: of a new store; 0 is the default: 256, 16, 0o600.
    checkpoint_interval_ms: from the end of one background checkpoint to the next; 0 is the default,
    1000; a negative one turns them off.
    recovery: "recover" or "refuse": what to do with a store that was not closed.
    backup_wait_ms: how long a checkpoint waits for another process's backup; 0: 60000.
    lock_wait_ms: shared: how long a call waits for another process, which may have been stopped,
    before it raises VisitBusyError; 0: 10000.
    erase: whether the bytes of removed visits are overwritten in the file after the next checkpoint.
    progress: is told how recovery goes on.
    """

    def __init__(
        self,
        path: Path,
        max_visits: int | None = _DEFAULT_MAX_VISITS,
        *,
        mode: Mode = "exclusive",
        create: Create = "if-missing",
        slot_size: int = 0,
        shards: int = 0,
        file_mode: int = 0,
        checkpoint_interval_ms: int = 0,
        recovery: Recovery = "recover",
        backup_wait_ms: int = 0,
        lock_wait_ms: int = 0,
        erase: bool = True,
        progress: Progress | None = None,
    ) -> None:
        self._closed = True
        self._pid = os.getpid()
        self._path = path
        encoded = _path_bytes(path)
        self._absolute = _absolute(encoded)
        self._mode = mode
        if mode == "read-only" and max_visits == _DEFAULT_MAX_VISITS:
            max_visits = None
        if max_visits is not None and not 1 <= max_visits <= lib.VISIT_LIMIT_MAX:
            raise VisitInvalidError(
                f"max_visits must be from 1 to {lib.VISIT_LIMIT_MAX}, or None, not {max_visits}"
            )
        options = ffi.new("VisitOptions *")
        options.size = ffi.sizeof("VisitOptions")
        options.mode = _choice("mode", mode, _MODES)
        options.create = _choice("create", create, _CREATE)
        options.max_visits = 0 if max_visits is None else index(max_visits)
        options.slot_size = index(slot_size)
        options.shards = index(shards)
        options.file_mode = index(file_mode)
        options.checkpoint_interval_ms = index(checkpoint_interval_ms)
        options.recovery = _choice("recovery", recovery, _RECOVERY)
        options.backup_wait_ms = index(backup_wait_ms)
        options.lock_wait_ms = index(lock_wait_ms)
        options.erase = lib.VISIT_ERASE if erase else lib.VISIT_ERASE_LATER
        self._options = {
            "max_visits": max_visits,
            "mode": mode,
            "create": create,
            "slot_size": slot_size,
            "shards": shards,
            "file_mode": file_mode,
            "checkpoint_interval_ms": checkpoint_interval_ms,
            "recovery": recovery,
            "backup_wait_ms": backup_wait_ms,
            "lock_wait_ms": lock_wait_ms,
            "erase": erase,
        }
        self._progress = None if progress is None else _Callback(progress)
        if self._progress is not None:
            options.progress = lib.rv_py_progress
            options.progress_data = self._progress.handle
        # Whoever is interrupted as it returns leaves no store open.
        self._place = ffi.gc(ffi.new("rv_py_store **"), lib.rv_py_free)
        status = lib.rv_py_open(encoded, options, self._place)
        if self._progress is not None:
            self._progress.finish()
        if status:
            raise error(status, self._name())
        self._store = self._place[0]
        self._closed = False

    # -- closing --

    def close(self) -> None:
        """Closes the store: all that was added is safe on disk when it returns.

        Waits for calls that other threads are in. Closing once more does nothing.
        """
        status = lib.rv_py_close(self._store)  # OK for all but the first
        if status != lib.RV_PY_INSIDE:
            self._closed = True
        if status not in (Status.OK, Status.FORKED):
            raise error(status, self._name())

    @property
    def closed(self) -> bool:
        return self._closed

    def __enter__(self: _Self) -> _Self:
        if self._closed:
            raise error(_CLOSED, self._name())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # One that a forked child has inherited is not the child's to close.
        if getattr(self, "_closed", True) or self._pid != os.getpid():
            return
        warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)
        self.close()

    # -- about the manager --

    @property
    def path(self) -> Path:
        """As it was given."""
        return self._path

    @property
    def mode(self) -> str:
        return self._mode

    def _name(self) -> str:
        return os.fsdecode(self._path)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<VisitManager {self._name()!r} {self._mode} {state}>"

    def __bool__(self) -> bool:
        """True, also of an empty store."""
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        if self._mode == "exclusive":
            raise TypeError(
                f"cannot pickle {self!r}: one process writes; hand the path over, and open it there"
                ' with mode="read-only", or in exclusive mode once this manager is closed'
            )
        if self._closed:
            raise TypeError(f"cannot pickle {self!r}: it is closed; hand the path over")
        options = dict(self._options, create="must-exist")
        return _reopen, (type(self), self._absolute, options)

    # -- adding and removing --

    def add_visit(
        self,
        user_id: int,
        visit_id: int,
        url: str,
        text: str,
        time: datetime | None = None,
        *,
        time_ns: int | None = None,
    ) -> bool:
        """Adds a visit, with the present time unless one is given.

        A visit id that the user already has changes nothing. The user is full: the oldest visit
        goes. With a time the visit goes to its place by time; `time_ns` counts nanoseconds since
        1970-01-01 UTC. Returns True; errors are exceptions.
        """
        try:
            url_bytes = url.encode("utf-8", "surrogateescape")
            text_bytes = text.encode("utf-8", "surrogateescape")
        except AttributeError:
            raise TypeError("url and text must be str") from None
        if type(user_id) is not int or type(visit_id) is not int:
            user_id, visit_id = index(user_id), index(visit_id)
        if time is not None:
            if time_ns is not None:
                raise TypeError("give time or time_ns, not both")
            time_ns = _times.to_ns(time)
        if time_ns is None:
            status = _add(
                self._store, user_id, visit_id,
                url_bytes, len(url_bytes), text_bytes, len(text_bytes),
            )  # fmt: skip
        else:
            status = _add_at(
                self._store, user_id, visit_id,
                url_bytes, len(url_bytes), text_bytes, len(text_bytes), index(time_ns),
            )  # fmt: skip
        if status:
            raise error(status, self._name())
        return True

    def add_visits(self, visits: Iterable[NewVisit], *, batch_size: int = 1000) -> int:
        """Adds visits in order, in batches: several times as fast as add_visit().

        Each is (user_id, visit_id, url, text), or the same with a time: an aware datetime, or
        nanoseconds since 1970-01-01 UTC, or None for the present. Returns how many there were. On an
        error the exception's `added` tells how many visits are in; the rest is not. What is wrong
        with a visit's types or numbers is told before any of its batch is added.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        if self._closed:
            raise error(_CLOSED, self._name())
        total = 0
        try:
            iterator = iter(visits)
            while rows := list(islice(iterator, batch_size)):
                batch = _Batch(rows)
                status, added = batch.add(self._store)
                total += added
                if status:
                    nul = status == lib.RV_PY_NUL_INSIDE
                    raise batch.nul_error() if nul else error(status, self._name())
        except BaseException as exception:
            with suppress(AttributeError):
                exception.added = total  # type: ignore[attr-defined]
            raise
        return total

    def delete_visits(self, user_id: int, visit_ids: Iterable[int]) -> bool:
        """Removes visits of a user. True if at least one was there, or if visit_ids is empty."""
        ids = _numbers("visit_id", visit_ids)
        removed = ffi.new("size_t *")
        status = lib.rv_py_remove(
            self._store, index(user_id), ffi.from_buffer("uint32_t[]", ids), len(ids), removed
        )
        if status:
            raise error(status, self._name())
        return not ids or removed[0] > 0

    def clear_user(self, user_id: int) -> None:
        """Removes all visits of a user; an unknown user is fine."""
        status = lib.rv_py_clear(self._store, index(user_id))
        if status:
            raise error(status, self._name())

    # -- reading --

    def get_recent_visits(self, user_id: int, limit: int | None = None) -> list[Visit]:
        """A user's newest visits, newest first, at most limit; [] for an unknown user.

        They are true at one instant of the call. The list and the visits are the caller's own.
        """
        if type(user_id) is not int:
            user_id = index(user_id)
        try:
            buffer = _buffers.pop()
        except IndexError:
            buffer = _new_buffer(_FIRST_ROOM)
        data, address, room = buffer
        result = _read(self._store, user_id, 0 if limit is None else _limit(limit), data, room)
        if result <= 0:
            if result > -65536:  # else a larger one takes its place
                _buffers.append(buffer)
            return self._read_again(result, user_id, limit) if result else []
        visits = unpack(Visit, address, result)
        _buffers.append(buffer)
        return visits

    def _read_again(self, result: int, user_id: int, limit: int | None) -> list[Visit]:
        """After an error, or with a larger buffer."""
        while result <= -65536:
            buffer = _new_buffer((-result >> 16) * 5 // 4)  # the user may gain visits meanwhile
            data, address, room = buffer
            result = _read(self._store, user_id, _limit(limit), data, room)
            if result > 0:
                visits = unpack(Visit, address, result)
                if room <= _MOST_ROOM:
                    _buffers.append(buffer)
                return visits
        if result:
            raise error(result, self._name())
        return []

    def get_many(self, user_ids: Iterable[int], limit: int | None = None) -> dict[int, list[Visit]]:
        """The newest visits of each of the users: faster than get_recent_visits() for each."""
        if self._closed:
            raise error(_CLOSED, self._name())
        most = _limit(limit)
        ids = _numbers("user_id", user_ids)
        result: dict[int, list[Visit]] = {}
        block = ffi.gc(lib.rv_py_block_new(), lib.rv_py_block_free)
        for start in range(0, len(ids), _CHUNK_USERS):
            chunk = ids[start : start + _CHUNK_USERS]
            result.update(zip(chunk, self._read_many(chunk, most, block)))
        return result

    def _read_many(self, ids: array[int], limit: int, block: Any) -> list[list[Visit]]:
        if not block:
            raise MemoryError
        user_ids = ffi.from_buffer("uint32_t[]", ids)
        status = lib.rv_py_read_many(self._store, user_ids, len(ids), limit, block)
        if status:
            raise error(status, self._name())
        return unpack_many(Visit, int(ffi.cast("uintptr_t", block)), len(ids))

    def __contains__(self, user_id: object) -> bool:
        """Whether the user has visits."""
        data, _, room = _new_buffer(16)
        try:
            result = _read(self._store, index(user_id), 1, data, room)  # type: ignore[arg-type]
        except (TypeError, OverflowError):
            return False
        if -65536 < result < 0:
            raise error(result, self._name())
        return bool(result)

    def __len__(self) -> int:
        """How many users have visits. Reads the whole index."""
        return self.stats().users

    def __iter__(self) -> Iterator[int]:
        """The users that have visits, in no particular order.

        A user that has visits all the while comes exactly once; one that comes or goes meanwhile at
        most once.
        """
        return (user_id for user_id, _ in self.counts())

    def counts(self) -> Iterator[tuple[int, int]]:
        """The users as __iter__() gives them, each with the number of its visits."""
        for user_ids, counts in self._chunks():
            yield from zip(user_ids, counts)

    def items(self, limit: int | None = None) -> Iterator[tuple[int, list[Visit]]]:
        """All users, each with its newest visits."""
        most = _limit(limit)
        block = ffi.gc(lib.rv_py_block_new(), lib.rv_py_block_free)
        for user_ids, _ in self._chunks():
            for item in zip(user_ids, self._read_many(array("I", user_ids), most, block)):
                if item[1]:
                    yield item

    def _chunks(self) -> Iterator[tuple[List[int], List[int]]]:
        place = ffi.gc(ffi.new("rv_py_users **"), lib.rv_py_users_free)
        status = lib.rv_py_users_open(self._store, place)
        if status:
            raise error(status, self._name())
        ids = ffi.new("uint32_t[]", _CHUNK_USERS)
        counts = ffi.new("uint32_t[]", _CHUNK_USERS)
        found = ffi.new("size_t *")
        while status == Status.OK:
            found[0] = 0
            status = lib.rv_py_users_next(place[0], ids, counts, _CHUNK_USERS, found)
            failure = error(status, self._name()) if status < 0 else None
            if found[0]:
                yield ffi.unpack(ids, found[0]), ffi.unpack(counts, found[0])
            if failure:
                raise failure

    # -- upkeep --

    def sync(self) -> None:
        """Runs a checkpoint: all that was added before survives a power cut once it returns."""
        status = lib.rv_py_sync(self._store)
        if status:
            raise error(status, self._name())

    def stats(self) -> Stats:
        """Figures of the store. Reads the whole index."""
        stats = ffi.new("VisitStats *")
        stats.size = ffi.sizeof("VisitStats")
        status = lib.rv_py_stats(self._store, stats)
        if status:
            raise error(status, self._name())
        values = {field.name: getattr(stats, field.name) for field in fields(Stats)}
        values["uuid"] = UUID(bytes=bytes(ffi.buffer(stats.uuid)))
        values["state"] = _STATES.get(stats.state, str(stats.state))
        return Stats(**values)

    def verify(self, *, max_findings: int | None = None) -> list[Finding]:
        """Checks every rule of the format and every checksum; [] if all is well.

        Ends early once there are max_findings. Writers wait meanwhile.
        """
        if max_findings is not None and index(max_findings) < 1:
            raise ValueError(f"max_findings must be at least 1, or None for all, not {max_findings}")
        findings: list[Finding] = []

        def note(finding: Finding) -> bool:
            findings.append(finding)
            return max_findings is not None and len(findings) >= max_findings

        callback = _Callback(note)
        status = lib.rv_py_verify(self._store, lib.rv_py_finding, callback.handle)
        callback.finish()
        if status and not (findings and status in (Status.CORRUPT, Status.CANCELLED)):
            raise error(status, self._name())
        return findings

    def backup(self, path: Path, *, progress: Progress | None = None) -> None:
        """Writes a copy of the store to path, which must not exist. Others may write meanwhile."""
        copy = _path_bytes(path)
        if progress is None:
            status = lib.rv_py_backup(self._store, copy, ffi.NULL, ffi.NULL)
        else:
            callback = _Callback(progress)
            status = lib.rv_py_backup(self._store, copy, lib.rv_py_progress, callback.handle)
            callback.finish()
        if status:
            own = status in (_CLOSED, lib.RV_PY_INSIDE)
            raise error(status, self._name() if own else os.fsdecode(path))
