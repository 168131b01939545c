# SPDX-License-Identifier: MIT
"""The documents: links lead somewhere, pictures are what their script draws.

    test_docs.py SOURCE-FOLDER
"""

import pathlib
import re
import sys
import unittest

sys.dont_write_bytecode = True
SOURCE = pathlib.Path(sys.argv.pop(1))
sys.path.insert(0, str(SOURCE / "docs" / "img"))
import draw  # noqa: E402


def documents():
    return [path for path in SOURCE.rglob("*.md")
            if not any(part.startswith(("build", ".")) for part in path.relative_to(SOURCE).parts)]


def without_code(path):
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", lambda code: code[0].replace("[", " "), text)


def anchors(path):
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.*)$", without_code(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class Documents(unittest.TestCase):
    def test_links_lead_somewhere(self):
        self.assertGreater(len(documents()), 10)
        count = 0
        for path in documents():
            for link in re.findall(r"\]\(([^)\s]+)\)", without_code(path)):
                if re.match(r"\w+:", link):
                    continue
                count += 1
                with self.subTest(document=str(path), link=link):
                    target, _, anchor = link.partition("#")
                    there = (path.parent / target).resolve() if target else path
                    self.assertTrue(there.exists())
                    if anchor:
                        self.assertIn(anchor, anchors(there))
        self.assertGreater(count, 50)

    def test_pictures_are_as_drawn(self):
        for name, svg in draw.pictures().items():
            self.assertEqual(svg, (SOURCE / "docs" / "img" / name).read_text(encoding="utf-8"), name)


if __name__ == "__main__":
    unittest.main()
