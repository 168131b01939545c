# SPDX-License-Identifier: MIT
"""Exceptions: one class for each status that a program may want to tell from others."""

from __future__ import annotations

import enum

from ._native import ffi, lib


class Status(enum.IntEnum):
    """The values of VisitStatus."""

    OK = lib.VISIT_OK
    END = lib.VISIT_END
    INVALID = lib.VISIT_ERROR_INVALID
    IO = lib.VISIT_ERROR_IO
    NO_SPACE = lib.VISIT_ERROR_NO_SPACE
    BUSY = lib.VISIT_ERROR_BUSY
    CORRUPT = lib.VISIT_ERROR_CORRUPT
    NOT_A_STORE = lib.VISIT_ERROR_NOT_A_STORE
    NEWER_VERSION = lib.VISIT_ERROR_NEWER_VERSION
    TOO_LONG = lib.VISIT_ERROR_TOO_LONG
    READ_ONLY = lib.VISIT_ERROR_READ_ONLY
    NO_MEMORY = lib.VISIT_ERROR_NO_MEMORY
    FORKED = lib.VISIT_ERROR_FORKED
    NOT_FOUND = lib.VISIT_ERROR_NOT_FOUND
    EXISTS = lib.VISIT_ERROR_EXISTS
    ACCESS = lib.VISIT_ERROR_ACCESS
    NOT_CLEAN = lib.VISIT_ERROR_NOT_CLEAN
    CANCELLED = lib.VISIT_ERROR_CANCELLED
    UNSUPPORTED = lib.VISIT_ERROR_UNSUPPORTED


class VisitError(RuntimeError):
    """A call failed. `status` says how; `message` names path, cause and remedy in one line.

    `added` is how many visits of an `add_visits()` were added before the error; else None.
    """

    def __init__(self, message: str, status: int = Status.INVALID) -> None:
        super().__init__(message, status)
        self.message = message
        self.status = Status(status)
        self.added: int | None = None

    def __str__(self) -> str:
        return self.message


class VisitInvalidError(VisitError, ValueError):
    """An argument is not allowed."""


class VisitTooLongError(VisitInvalidError):
    """url and text together exceed 1 MiB."""


class VisitClosedError(VisitError, ValueError):
    """The manager is closed."""


class VisitIOError(VisitError):
    """The system reported an input/output error."""


class VisitNoSpaceError(VisitIOError):
    """The disk or a quota is full, or a file size limit is reached."""


class VisitBusyError(VisitError):
    """Another manager or process has the store."""


class VisitCorruptError(VisitError):
    """The store is damaged."""


class VisitNotAStoreError(VisitError):
    """The file is something else."""


class VisitNewerVersionError(VisitError):
    """The store needs a newer librv."""


class VisitReadOnlyError(VisitError):
    """The manager is read-only."""


class VisitMemoryError(VisitError, MemoryError):
    """Memory or address space is used up."""


class VisitForkedError(VisitError):
    """The manager was opened before a fork: open the store again in this process."""


class VisitNotFoundError(VisitError):
    """There is no such file or folder."""


class VisitExistsError(VisitError):
    """The store is there, and must not be."""


class VisitAccessError(VisitError):
    """Permission denied."""


class VisitNotCleanError(VisitError):
    """The store needs recovery, which the options refuse."""


class VisitCancelledError(VisitError):
    """A callback asked to stop."""


class VisitUnsupportedError(VisitError):
    """The system, the file system or this version cannot do what is needed."""


_CLASSES: dict[int, type[VisitError]] = {
    Status.INVALID: VisitInvalidError,
    Status.IO: VisitIOError,
    Status.NO_SPACE: VisitNoSpaceError,
    Status.BUSY: VisitBusyError,
    Status.CORRUPT: VisitCorruptError,
    Status.NOT_A_STORE: VisitNotAStoreError,
    Status.NEWER_VERSION: VisitNewerVersionError,
    Status.TOO_LONG: VisitTooLongError,
    Status.READ_ONLY: VisitReadOnlyError,
    Status.NO_MEMORY: VisitMemoryError,
    Status.FORKED: VisitForkedError,
    Status.NOT_FOUND: VisitNotFoundError,
    Status.EXISTS: VisitExistsError,
    Status.ACCESS: VisitAccessError,
    Status.NOT_CLEAN: VisitNotCleanError,
    Status.CANCELLED: VisitCancelledError,
    Status.UNSUPPORTED: VisitUnsupportedError,
}


def error(status: int, path: str) -> VisitError:
    """The exception for what the calling thread's last call came to."""
    if status == lib.RV_PY_CLOSED:
        return VisitClosedError(f"{path}: the manager is closed; open the store again")
    if status == lib.RV_PY_INSIDE:
        return VisitInvalidError(
            f"{path}: called inside a callback of the manager, which would wait for itself"
        )
    message = ffi.string(lib.rv_py_message(status)).decode("utf-8", "surrogateescape")
    return _CLASSES.get(status, VisitError)(message, status)
