# SPDX-License-Identifier: MIT
"""Compares what librv.so exports with the checked-in list symbols.txt.

The environment variable RV_LIBRARY names the library, NM the program to list symbols (default: nm).
After a function was added: RV_UPDATE=1 writes the list anew.
"""

import os
import re
import subprocess
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
LIST = os.path.join(HERE, "..", "symbols.txt")
HEADER = os.path.join(HERE, "..", "..", "include", "recent_visits.h")


def exported():
    """The names with their version, such as VisitVersion@@LIBRV_1, sorted."""
    command = [os.environ.get("NM", "nm"), "-D", "--defined-only", os.environ["RV_LIBRARY"]]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = [(line.split()[-2], line.split()[-1]) for line in lines.splitlines()]
    return sorted(name for kind, name in names if kind != "A")


def listed():
    with open(LIST, encoding="ascii") as file:
        return [line.strip() for line in file if line.strip() and not line.startswith("#")]


def declared():
    """The functions of the header."""
    with open(HEADER, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    return set(re.findall(r"^(?!typedef)\w[\w\s\*]*?\b(Visit\w+)\(", text, flags=re.M))


class TestSymbols(unittest.TestCase):
    maxDiff = None

    def test_library_exports_the_list(self):
        if os.environ.get("RV_UPDATE"):
            with open(LIST, "w", encoding="ascii") as file:
                file.write("\n".join(exported()) + "\n")
        self.assertEqual(exported(), listed())

    def test_list_is_sorted(self):
        self.assertEqual(listed(), sorted(listed()))

    def test_header_declares_the_list(self):
        self.assertEqual(declared(), {name.split("@")[0] for name in listed()})


if __name__ == "__main__":
    unittest.main(verbosity=2)
