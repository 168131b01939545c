# SPDX-License-Identifier: MIT
"""rvdump map: the picture shows what the library counts, as SVG, HTML and PNG."""

import html.parser
import json
import os
import random
import re
import struct
import subprocess
import unittest
import xml.etree.ElementTree
import zlib

from support import (CANNOT_OPEN, IO, NOT_A_STORE, OK, OTHER, RVDUMP, USAGE, Case, main,
                     random_visits, run, write_lines)

CAIRO = os.environ.get("CAIRO", "1") == "1"
SVG = "{http://www.w3.org/2000/svg}"
FREE, KEEPING, SLOTS, INDEX, LARGE, HAND = "i3", "i4", "i5", "i6", "i7", "i8"


class Map(Case):
    def setUp(self):
        super().setUp()
        visits = random_visits(4, 300) + [(9, i, b"u", b"t", i) for i in range(600)]
        self.load(write_lines(visits), "jsonl", None, "--max-visits", "1000")

    def map(self, kind="svg", *options):
        return self.run_ok("map", self.store, "--format", kind, *options)

    def info(self):
        return json.loads(self.run_ok("info", self.store, "--json"))

    @staticmethod
    def charts(svg):
        """For each chart the number of rectangles of each ink; all texts."""
        charts, texts = [], []
        for element in xml.etree.ElementTree.fromstring(svg):
            if element.tag == SVG + "text":
                texts.append(element.text)
                if element.get("font-weight") == "bold":
                    charts.append({})
            elif element.tag == SVG + "path" and charts:
                count = element.get("d").count("M")
                charts[-1].setdefault(element.get("class"), count)  # what follows is the legend's
        return charts[1:], texts

    def test_blocks_are_those_that_the_library_counts(self):
        info = self.info()
        (use, fill, age), texts = self.charts(self.map())
        self.assertGreater(info["blocks_large"], 0)
        self.assertEqual((use[SLOTS], use[INDEX], use[LARGE], use[FREE] + use[HAND]),
                         tuple(info["blocks_" + name] for name in
                               ("slots", "segments", "large", "free")))
        self.assertEqual(sum(use[ink] for ink in (FREE, KEEPING, SLOTS, INDEX, LARGE, HAND)),
                         info["blocks"])
        levels = ["i%d" % i for i in range(9, 14)]
        self.assertEqual(sum(fill[level] for level in levels), use[SLOTS] + use[INDEX])
        self.assertEqual(sum(age[level] for level in levels) + age[FREE], info["blocks"])
        self.assertIn("slots of visits: %d" % use[SLOTS], texts)
        self.assertIn("large runs: %d" % use[LARGE], texts)
        self.assertIn("store.rv", texts)

    def test_ages(self):
        """Users that are added later are newer; each level of the legend is there."""
        for user in range(1 << 20, (1 << 20) + 16):  # so many that not all hide behind the last
            self.load(write_lines([(user, 1, b"u" * 9000, b"", 0)]))
        (_, _, age), texts = self.charts(self.map())
        epochs = [re.fullmatch(r"epochs? (\d+)(?: to (\d+))?", text) for text in texts]
        ranges = [(int(m[1]), int(m[2] or m[1])) for m in epochs if m]
        self.assertEqual(len(ranges), 5)
        self.assertEqual([r[0] for r in ranges[1:]], [r[1] + 1 for r in ranges[:-1]])
        self.assertLess(ranges[-1][1], self.info()["epoch"])
        self.assertTrue(all(age["i%d" % i] for i in (9, 13)))

    def test_light_and_dark(self):
        def colours(svg):
            return [re.findall(r"\.i\d+\{fill:#\w{6}\}", part)
                    for part in svg.decode().split("@media (prefers-color-scheme:dark)")]

        both = colours(self.map())
        self.assertEqual(list(map(len, both)), [14, 14])
        self.assertFalse(set(both[0]) & set(both[1]))
        self.assertEqual([colours(self.map("svg", "--theme", theme)) for theme in ("light", "dark")],
                         [[both[0]], [both[1]]])

    def test_a_large_store_has_several_blocks_in_a_cell(self):
        os.truncate(self.store, 300 << 20)  # what is behind the blocks that are set up is free
        charts, texts = self.charts(self.map())
        self.assertIn("300 MiB: 4800 blocks of 64 KiB, in the order of the file. "
                      "A cell is 4 blocks.", texts)
        self.assertEqual(charts[2][FREE] + sum(charts[2]["i%d" % i] for i in range(9, 14)), 1200)
        self.assertGreater(charts[0][SLOTS] + charts[0][INDEX], 0)

    def test_html_holds_the_svg(self):
        page = self.map("html")
        self.assertIn(self.map("svg"), page)
        open_tags = []
        parser = html.parser.HTMLParser()
        parser.handle_starttag = lambda tag, _: tag == "meta" or open_tags.append(tag)
        parser.handle_startendtag = lambda *_: None
        parser.handle_endtag = lambda tag: self.assertEqual(open_tags.pop(), tag)
        parser.feed(page.decode())
        self.assertEqual(open_tags, [])

    def test_names_are_escaped(self):
        name = self.path("<b>&\x1b\xff" + "é" * 60)
        os.rename(self.store, name)
        self.store = name
        _, texts = self.charts(self.map())
        self.assertRegex(texts[0], r"\A<b>&\\x1bÿé+\.\.\.\Z")
        self.assertNotIn(b"<b>", self.map("html"))

    def check_png(self, png):
        """Its chunks, and one row of pixels after another. Width and height."""
        self.assertEqual(png[:8], b"\x89PNG\r\n\x1a\n")
        chunks, at = {}, 8
        while at < len(png):
            length, kind = struct.unpack_from(">I4s", png, at)
            data = png[at + 8:at + 8 + length]
            self.assertEqual(zlib.crc32(kind + data), struct.unpack_from(">I", png, at + 8 + length)[0])
            chunks[kind] = chunks.get(kind, b"") + data
            at += 12 + length
        width, height, depth, colour = struct.unpack_from(">IIBB", chunks[b"IHDR"])
        self.assertEqual((depth, colour), (8, 2))
        self.assertEqual(len(zlib.decompress(chunks[b"IDAT"])), height * (1 + 3 * width))
        return width, height

    @unittest.skipUnless(CAIRO, "built without cairo")
    def test_png(self):
        svg = xml.etree.ElementTree.fromstring(self.map("svg"))
        for theme in ("light", "dark"):
            png = self.map("png", "--theme", theme)
            self.assertEqual(self.check_png(png),
                             (2 * float(svg.get("width")), 2 * float(svg.get("height"))))

    @unittest.skipIf(CAIRO, "built with cairo")
    def test_png_without_cairo(self):
        result = run("map", self.store, "--format", "png")
        self.assertEqual((result.returncode, result.stdout), (OTHER, b""))
        self.assertIn(b"built without cairo", result.stderr)

    def test_where_it_goes(self):
        output = self.path("map.svg")
        with open(output, "wb") as file:
            file.write(b"x" * 1000000)
        for option in (["-o", output], ["--output", output], ["--output=" + output]):
            self.assertEqual(self.map("svg", *option), b"")
            with open(output, "rb") as file:
                self.assertEqual(file.read(), self.map())
        with open(self.store, "rb") as file:
            before = file.read()
        os.link(self.store, self.path("link"))
        for path in (self.store, self.path("link")):
            result = run("map", self.store, "--format", "svg", "-o", path)
            self.assertEqual(result.returncode, USAGE)
        with open(self.store, "rb") as file:
            self.assertEqual(file.read(), before)
        for path, code in (("/dev/full", IO), (self.path("none/x"), CANNOT_OPEN)):
            result = run("map", self.store, "--format", "svg", "-o", path)
            self.assertEqual(result.returncode, code)
            self.assertIn(path.encode(), result.stderr)

    def test_a_terminal_gets_no_png(self):
        primary, terminal = os.openpty()
        process = subprocess.run([RVDUMP, "map", self.store, "--format", "png"], stdout=terminal,
                                 stderr=subprocess.PIPE, check=False)
        self.assertEqual(process.returncode, USAGE)
        os.close(primary)
        os.close(terminal)

    def test_files_that_are_no_store(self):
        self.assertEqual(run("map", self.path("x"), "--format", "svg").returncode, CANNOT_OPEN)
        self.assertEqual(run("map", __file__, "--format", "svg").returncode, NOT_A_STORE)

    def test_damaged_structures(self):
        """Whatever headers and entries are, there is a picture, of as many blocks."""
        with open(self.store, "rb") as file:
            data = bytearray(file.read())
        rng = random.Random(3)
        for _ in range(20):
            damaged = bytearray(data)
            for _ in range(300):
                at = rng.choice([rng.randrange(2 << 16, 3 << 16), rng.randrange(2 << 16, len(data))])
                at = max(at - at % 8, 4096)
                damaged[at:at + 8] = rng.choice([rng.randbytes(8), b"\xff" * 8, bytes(8)])
            with open(self.store, "wb") as file:
                file.write(damaged)
            result = run("map", self.store, "--format", "svg")
            self.assertEqual(result.returncode, OK, result.stderr)
            (use, _, _), _ = self.charts(result.stdout)
            self.assertEqual(sum(use.values()), len(data) >> 16)


if __name__ == "__main__":
    main()
