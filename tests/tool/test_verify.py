# SPDX-License-Identifier: MIT
"""rvdump verify: what it tells of damage, and whether that is true."""

import json
import os
import random
import re
import shlex
import struct
import subprocess

from oracle import PAGE, Store
from support import CANNOT_OPEN, DAMAGED, NO_LOSS, NOT_A_STORE, OK, Case, main, run, write_lines

MAKE_STORE = os.environ.get("MAKE_STORE", "make-store")
LIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib")


class Verify(Case):
    def damage(self, changes):
        """Writes bytes at offsets of the store."""
        with open(self.store, "r+b") as file:
            for offset, data in changes:
                file.seek(offset)
                file.write(data)

    def read(self):
        with open(self.store, "rb") as file:
            return file.read()


class Report(Verify):
    def setUp(self):
        super().setUp()
        self.load(write_lines([(user, i, b"mark-%d-%d-" % (user, i), b"", i)
                               for user in range(1, 40) for i in range(3)]))

    def damage_visits(self, users):
        """A byte of each visit of these users."""
        data = self.read()
        self.damage((data.index(b"mark-%d-%d-" % (user, i)) + 2, b"?")
                    for user in users for i in range(3))

    def verify(self, code):
        result = run("verify", self.store)
        self.assertEqual(result.returncode, code, result.stderr)
        return result.stdout.decode(), result.stderr.decode()

    def test_repeated_findings_are_told_together(self):
        self.damage_visits(range(1, 31))
        text, said = self.verify(DAMAGED)
        self.assertEqual(said, "rvdump: %s: damaged, 90 found\n" % self.store)
        lines = text.splitlines()
        self.assertEqual(lines[:2], ["Damage that costs visits, or may",
                                     "  slot-checksum, 90 times: a visit is not as it was written"])
        found = [json.loads(line) for line in
                 run("verify", self.store, "--json").stdout.splitlines()]
        self.assertEqual(len(found), 90)
        self.assertEqual(lines[2:6], ["    offset %(offset)d, user %(user_id)d: %(message)s" % one
                                      for one in found[:3]] + ["    and 87 more"])
        users = list(dict.fromkeys(one["user_id"] for one in found))
        self.assertEqual(sorted(users), list(range(1, 31)))
        self.assertEqual(lines[6], "  Users concerned: %s and 20 more"
                         % ", ".join(map(str, users[:10])))
        self.assertIn("      rvdump salvage %s NEW\n" % self.store, text)

    def test_what_it_says_to_do_works(self):
        """The commands of its advice."""
        before = self.export()
        spaced = self.path("it's a store.rv")
        os.rename(self.store, spaced)
        self.store = spaced
        self.damage([(0, b"?"), (4 * PAGE + 128, b"\xff" * 8)])
        text, said = self.verify(NO_LOSS)
        self.assertIn("; no visit is lost", said)
        self.assertTrue(text.startswith("Damage that costs no visits\n"))
        self.assertNotIn("salvage", text)
        for command in re.findall(r"^ {6}rvdump (.*)", text, re.M):
            command = command.replace("NEW", self.path("new.rv")).replace("OFFSET", "0")
            self.assertIn(run(*shlex.split(command)).returncode, (OK, NO_LOSS))
        self.assertEqual(self.export("jsonl", self.path("new.rv")), before)
        self.assertEqual(self.run_ok("verify", self.path("new.rv")), b"")
        self.damage_visits([7])
        text, _ = self.verify(DAMAGED)
        self.assertLess(text.index("costs visits"), text.index("costs no visits"))
        self.assertNotIn("backup %s" % self.store, text)
        result = run("salvage", self.store, self.path("saved.rv"), "--json")
        self.assertEqual(json.loads(result.stdout.splitlines()[-1])["lost"], 3)

    def test_a_store_that_cannot_be_opened(self):
        os.truncate(self.store, PAGE)
        text, said = self.verify(DAMAGED)
        self.assertEqual(text, "")
        self.assertIn("'rvdump salvage'", said)
        for path, code in ((self.path("none"), CANNOT_OPEN), (__file__, NOT_A_STORE)):
            result = run("verify", path)
            self.assertEqual(result.returncode, code)
            self.assertNotIn(b"salvage", result.stderr)

    def test_it_knows_every_rule(self):
        with open(os.path.join(LIB, "verify.c"), encoding="utf-8") as file:
            rules = set(re.findall(r'"([a-z]+(?:-[a-z]+)*)"', file.read()))
        self.assertGreater(len(rules), 20)
        source = os.path.join(LIB, "..", "tools", "findings.c")
        with open(source, encoding="utf-8") as file:
            known = set(re.findall(r'\{"([a-z-]+)", (?:true|false)', file.read()))
        self.assertEqual(known - {"other"}, rules)


class Truth(Verify):
    """Words of all structures are destroyed, a few at a time."""

    def test_no_loss_means_none(self):
        """Code 10: an export has all visits, and a backup too, which is sound; 0: likewise."""
        maker = subprocess.Popen([MAKE_STORE, self.store, "5", "400", "8000", "10", "256", "erase"],
                                 stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        maker.communicate()
        self.assertEqual(maker.returncode, 0)
        before, data = self.export(), self.read()
        oracle = Store(data)
        header = oracle.header_blocks * oracle.block
        headers = len(data) // oracle.block - oracle.header_blocks
        segments = [entry.offset for entry in oracle.entries.values()]
        shard = 4 * PAGE + 2048 * 2
        rng = random.Random(11)
        codes = {OK: 0, DAMAGED: 0, NO_LOSS: 0}
        for _ in range(int(os.environ.get("RV_WORDS", "150"))):
            place = rng.choice([
                rng.randrange(512), PAGE * rng.choice([1, 2]) + rng.randrange(64),
                3 * PAGE + rng.randrange(512), shard + rng.randrange(352),
                shard + 1024 + rng.randrange(1024), header - PAGE + rng.randrange(512),
                header + rng.randrange(64 * headers), rng.choice(segments) + rng.randrange(64)])
            place -= place % 8
            word = rng.choice([rng.randbytes(8), bytes(8), b"\xff" * 8,
                               struct.pack("<Q", struct.unpack_from("<Q", data, place)[0] ^ 1
                                           << rng.randrange(64))])
            with open(self.store, "wb") as file:
                file.write(data[:place] + word + data[place + 8:])
            result = run("verify", self.store)
            if place < 40 and result.returncode == NOT_A_STORE:  # it may be a newer version's
                continue
            with self.subTest(place=place, word=word, said=result.stdout):
                self.assertIn(result.returncode, (OK, DAMAGED, NO_LOSS), result.stderr)
                codes[result.returncode] += 1
                if result.returncode != DAMAGED:
                    self.assertEqual(self.export(), before)
                    copy = self.path("copy.rv")
                    self.run_ok("backup", self.store, copy)
                    self.assertEqual(self.export("jsonl", copy), before)
                    self.assertEqual(self.run_ok("verify", copy), b"")
                    os.remove(copy)
        print("\nverify:", codes)
        self.assertTrue(all(codes.values()))


if __name__ == "__main__":
    main()
