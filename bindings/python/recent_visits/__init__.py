# SPDX-License-Identifier: MIT
"""The newest N visits of each user, in one memory-mapped file.

    from recent_visits import VisitManager

    with VisitManager("visits.rv", max_visits=10) as manager:
        manager.add_visit(42, 1, "https://example.org/", "An example")
        for visit in manager.get_recent_visits(42):  # newest first
            print(visit.time, visit.url, visit.text)
"""

from __future__ import annotations

from ._errors import (
    Status,
    VisitAccessError,
    VisitBusyError,
    VisitCancelledError,
    VisitClosedError,
    VisitCorruptError,
    VisitError,
    VisitExistsError,
    VisitForkedError,
    VisitInvalidError,
    VisitIOError,
    VisitMemoryError,
    VisitNewerVersionError,
    VisitNoSpaceError,
    VisitNotAStoreError,
    VisitNotCleanError,
    VisitNotFoundError,
    VisitReadOnlyError,
    VisitTooLongError,
    VisitUnsupportedError,
)
from ._manager import VisitManager
from ._native import ffi as _ffi, lib as _lib
from ._records import Finding, Stats, Visit

__version__: str = _ffi.string(_lib.VisitVersion()).decode()

__all__ = [
    "Finding",
    "Stats",
    "Status",
    "Visit",
    "VisitAccessError",
    "VisitBusyError",
    "VisitCancelledError",
    "VisitClosedError",
    "VisitCorruptError",
    "VisitError",
    "VisitExistsError",
    "VisitForkedError",
    "VisitIOError",
    "VisitInvalidError",
    "VisitManager",
    "VisitMemoryError",
    "VisitNewerVersionError",
    "VisitNoSpaceError",
    "VisitNotAStoreError",
    "VisitNotCleanError",
    "VisitNotFoundError",
    "VisitReadOnlyError",
    "VisitTooLongError",
    "VisitUnsupportedError",
]
