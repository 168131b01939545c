# SPDX-License-Identifier: MIT
"""python -m recent_visits: a short help."""

from __future__ import annotations

import sys

from . import __version__

HELP = f"""\
recent_visits {__version__}: the newest N visits of each user, in one memory-mapped file.

    >>> from recent_visits import VisitManager
    >>> with VisitManager("visits.rv", max_visits=10) as manager:
    ...     manager.add_visit(42, 1, "https://example.org/", "An example")
    ...     manager.get_recent_visits(42)

Help on the classes:      python -m pydoc recent_visits.VisitManager
To look into a store, import, export, verify or back it up on the command line, use rvdump, which
comes with librv:

    rvdump info visits.rv
    rvdump show visits.rv 42
    rvdump --help
"""


def main(arguments: list[str]) -> int:
    if arguments and arguments[0] in ("-V", "--version"):
        print(f"recent_visits {__version__}")
        return 0
    if arguments and arguments[0] not in ("-h", "--help"):
        print(f"recent_visits: unknown argument {arguments[0]!r}; see rvdump --help",
              file=sys.stderr)
        return 2
    print(HELP, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
