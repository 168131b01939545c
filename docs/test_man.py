# SPDX-License-Identifier: MIT
"""The manual pages: one for each exported function, and nothing that mandoc warns of.

    test_man.py FOLDER tests/symbols.txt
"""

import pathlib
import re
import shutil
import subprocess
import sys
import unittest

SYMBOLS = pathlib.Path(sys.argv.pop())
PAGES = pathlib.Path(sys.argv.pop())


class Man(unittest.TestCase):
    def test_every_exported_function_has_a_page(self):
        names = re.findall(r"^(\w+)@", SYMBOLS.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertGreater(len(names), 20)
        for name in names:
            page = (PAGES / f"{name}.3").read_text(encoding="utf-8")
            self.assertIn(f"\n.Fo {name}\n", page)
            self.assertRegex(page, r"\n\.Sh DESCRIPTION\n[^.]")
        self.assertEqual({f"{name}.3" for name in [*names, "librv", "librv-types"]},
                         {path.name for path in PAGES.glob("*.3")})

    def test_every_type_is_described(self):
        page = (PAGES / "librv-types.3").read_text(encoding="utf-8")
        names = re.findall(r"^\.Ss (\w+)$", page, re.MULTILINE)
        self.assertEqual(len(names), len(set(names)))
        for name in ("Visit", "VisitManager", "VisitInput", "VisitOptions", "VisitPacked", "VisitProgress", "VisitReader",
                     "VisitStats", "VisitStatus", "VisitUsers", "VisitFinding", "VisitFindingFunction"):
            self.assertIn(name, names)
        self.assertEqual(page.count("VISIT_FOUND_KILLED"), 1)

    @unittest.skipUnless(shutil.which("mandoc"), "no mandoc")
    def test_mandoc_has_nothing_to_say(self):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *PAGES.glob("*.3")],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
