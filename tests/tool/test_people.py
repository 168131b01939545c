# SPDX-License-Identifier: MIT
"""The commands that look at the contents as a whole: stats, top, diff; and erase."""

import collections
import json
import os
import random
import re
import subprocess

from support import (DAMAGED, NO_USER, OK, OTHER, RVDUMP, USAGE, Case, main, random_visits, run,
                     time_text, write_lines)
from terminal import Terminal

DIFFERENT = 1
SLOT_HEADER = 48


def class_for(slots):
    return (slots - 1).bit_length()


class Stats(Case):
    def histograms(self, *more):
        """{name: {(from, to): count}} and the other lines."""
        found, rest = collections.defaultdict(dict), []
        for line in self.run_ok("stats", self.store, "--json", *more).splitlines():
            line = json.loads(line)
            if "histogram" in line:
                found[line["histogram"]][line["from"], line["to"]] = line["count"]
            else:
                rest.append(line)
        return found, rest

    def check(self, found, values):
        """Each value lies in one range, and the ranges count what lies in them."""
        expected = {r: sum(r[0] <= v <= r[1] for v in values) for r in found}
        self.assertEqual(found, expected)
        self.assertEqual(sum(found.values()), len(values))

    def test_they_are_those_of_the_visits(self):
        visits = [v for v in random_visits(17, 200) if 0 <= v[4] < 2**60]
        self.load(write_lines(visits))
        found, _ = self.histograms()
        users = collections.Counter(v[0] for v in visits)
        newest = max(v[4] for v in visits)
        self.check(found["visits_per_user"], list(users.values()))
        self.check(found["url_bytes"], [len(v[2]) for v in visits])
        self.check(found["text_bytes"], [len(v[3]) for v in visits])
        self.check(found["age_seconds"], [-(-(newest - v[4]) // 10**9) for v in visits])
        bytes_ = [SLOT_HEADER + len(v[2]) + len(v[3]) + 2 for v in visits]
        self.check(found["slot_use_percent"],
                   [-(-b * 100 // 256) if b <= 256 else 101 for b in bytes_])
        self.assertIn(101, [r[0] for r in found["slot_use_percent"]])
        self.assertEqual(sum(found["ring_fill_percent"].values()), len(users))
        info = json.loads(self.run_ok("info", self.store, "--json"))
        self.assertEqual(sum(found["index_load_percent"].values()), info["blocks_segments"])

    def test_suggestions_take_the_fewest_bytes(self):
        visits = random_visits(3, 300)
        self.load(write_lines(visits), "jsonl", None, "--max-visits", "10")
        users = collections.Counter(v[0] for v in visits)
        rings = sum(1 << class_for(12 if n == 10 else n) for n in users.values())
        expected = {}
        for size in (128 << i for i in range(6)):
            needs = [SLOT_HEADER + len(v[2]) + len(v[3]) + 2 for v in visits]
            expected[size] = rings * size + sum(
                size << class_for(-(-need // size)) for need in needs if need > size)
        _, rest = self.histograms()
        told = {line["slot_size"]: line["bytes"] for line in rest if "slot_size" in line}
        self.assertEqual(told, expected)
        suggested = {line["suggestion"]: line for line in rest if "suggestion" in line}
        best = min(expected, key=expected.get)
        self.assertEqual(suggested["slot_size"],
                         {"suggestion": "slot_size", "present": 256, "suggested": best})
        self.assertEqual(suggested["shards"]["present"], 16)

    def test_rings_of_a_store_that_grew(self):
        self.load(write_lines([(1, i, b"u", b"t", i) for i in range(10)] + [(2, 1, b"u", b"t", 1)]))
        found, _ = self.histograms()
        self.assertEqual(found["ring_fill_percent"][61, 70], 1)  # 10 of 16
        self.assertEqual(found["ring_fill_percent"][91, 100], 1)  # 1 of 1

    def test_text(self):
        self.load(write_lines([(user, 1, b"u" * 20, b"t", 0) for user in range(100)]))
        text = self.run_ok("stats", self.store).decode()
        self.assertRegex(text, r"(?m)^Users: how many visits they have$")
        self.assertRegex(text, r"(?m)^16 to 31 +100 +100\.0 % +#+$")
        self.assertRegex(text, r"(?m)^ +128 +12800 +0 +12800 +0\.0 % suggested$")
        self.assertNotIn("\x1b", text)
        for line in text.splitlines():
            self.assertEqual(line, line.rstrip())
        text = run("stats", self.store, env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout.decode()
        self.assertRegex(text, r"(?m)^16 to 31 +100 +100\.0 % \u2588+$")

    def test_an_empty_store(self):
        self.load(b"")
        text = self.run_ok("stats", self.store).decode()
        self.assertIn("Users: how many visits they have: none\n", text)
        found, _ = self.histograms()
        self.assertEqual(found, {})

    def test_the_whole_range_of_times(self):
        self.load(write_lines([(1, 1, b"u", b"t", -2**63), (1, 2, b"u", b"t", 2**63 - 1)]))
        found, _ = self.histograms()
        self.check(found["age_seconds"], [0, -(-(2**64 - 1) // 10**9)])

    def test_damaged_users_are_left_out(self):
        self.load(write_lines([(user, 1, b"mark-%d" % user * 9, b"t", 0) for user in range(9)]))
        with open(self.store, "r+b") as file:
            data = file.read()
            file.seek(data.index(b"mark-4" * 9) - 40)
            file.write(b"\xff" * 40)
        result = run("stats", self.store, "--json")
        self.assertEqual(result.returncode, DAMAGED)
        self.assertIn(b"user 4 is left out", result.stderr)
        self.assertIn(b'{"histogram":"visits_per_user","from":1,"to":1,"count":8}', result.stdout)
        result = run("top", self.store, "--json")
        self.assertEqual((result.returncode, result.stdout.count(b"\n")), (DAMAGED, 8))


class Top(Case):
    def test_orders(self):
        visits = random_visits(5, 100)
        self.load(write_lines(visits))
        users = {}
        for user, _, url, text, time_ns in visits:
            count, size, newest = users.get(user, (0, 0, -2**63))
            users[user] = (count + 1, size + len(url) + len(text), max(newest, time_ns))
        for number, by in enumerate(("visits", "bytes", "recency")):
            order = sorted(users, key=lambda u, n=number: (-users[u][n], u))
            lines = [json.loads(line) for line in
                     self.run_ok("top", self.store, "--by", by, "--json").splitlines()]
            self.assertEqual(lines, [
                {"user_id": u, "visits": users[u][0], "bytes": users[u][1],
                 "newest": time_text(users[u][2])} for u in order[:10]])
            text = self.run_ok("top", self.store, "--by", by, "--count", "3").decode()
            self.assertEqual([line.split()[0] for line in text.splitlines()],
                             ["user", *map(str, order[:3])])


class Diff(Case):
    def setUp(self):
        super().setUp()
        self.other = self.path("other.rv")

    def diff(self, *more):
        return run("diff", self.store, self.other, *more)

    def test_the_same_contents(self):
        visits = random_visits(8, 50)
        self.load(write_lines(visits))
        self.load(write_lines(reversed(visits)), "jsonl", self.other, "--max-visits", "40")
        self.load(write_lines([]), "jsonl", self.other)
        result = self.diff()
        # Of visits of equal time the one that was added last is the newest.
        equal_times = {v[0] for v in visits for w in visits
                       if v[0] == w[0] and v[4] == w[4] and v[1] != w[1]}
        self.assertEqual(result.returncode, DIFFERENT if equal_times else OK)
        self.assertEqual(result.stdout.decode(), "".join(
            "~\t%d\tthe same visits in another order\n" % u for u in sorted(equal_times)))
        self.run_ok("backup", self.store, self.path("copy"))
        result = run("diff", self.store, self.path("copy"))
        self.assertEqual((result.returncode, result.stdout, result.stderr), (OK, b"", b""))

    def test_what_differs(self):
        base = [(user, i, b"u%d" % i, b"t", i) for user in (1, 5, 9) for i in range(5)]
        changed = [v for v in base if v[:2] not in ((1, 2), (9, 0))]
        changed += [(5, 7, b"new\n", b"t", 9), (6, 1, b"", b"", 0), (4294967295, 1, b"", b"", 0)]
        changed.remove((5, 3, b"u3", b"t", 3))
        changed.append((5, 3, b"u3", b"other", 3))
        self.load(write_lines(base))
        self.load(write_lines(changed), "jsonl", self.other)
        lines = self.diff().stdout.decode().splitlines()
        time = "1970-01-01T00:00:00.00000000%dZ"
        self.assertEqual(lines, [
            "-\t1\t%s\t2\tu2\tt" % (time % 2),
            "-\t5\t%s\t3\tu3\tt" % (time % 3),
            "+\t5\t%s\t7\tnew\\n\tt" % (time % 9),
            "+\t5\t%s\t3\tu3\tother" % (time % 3),
            "+\t6\t%s\t1\t\t" % (time % 0),
            "-\t9\t%s\t0\tu0\tt" % (time % 0),
            "+\t4294967295\t%s\t1\t\t" % (time % 0),
        ])
        result = self.diff("--json")
        self.assertEqual(result.returncode, DIFFERENT)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([(line["only_in"], line["visit"]["user_id"]) for line in lines],
                         [("first", 1), ("first", 5), ("second", 5), ("second", 5), ("second", 6),
                          ("first", 9), ("second", 4294967295)])
        self.assertIn(b"5 users differ: 3 visits only in", result.stderr)

    def test_a_missing_store(self):
        self.load(b"")
        self.assertEqual(self.diff().returncode, 7)
        self.assertEqual(run("diff", self.other, self.store).returncode, 7)

    def test_random_stores(self):
        rng = random.Random(23)
        for seed in range(5):
            one = random_visits(seed, 30)
            two = rng.sample(one, len(one) - 20)
            self.store, self.other = self.path("a%d" % seed), self.path("b%d" % seed)
            self.load(write_lines(one), "jsonl", self.store)
            self.load(write_lines(sorted(two, key=one.index)), "jsonl", self.other)
            there = set(self.export("jsonl", self.other).splitlines())
            missing = sorted(set(self.export().splitlines()) - there)
            told = [line[len(b'{"only_in":"first","visit":'):-1]
                    for line in self.diff("--json").stdout.splitlines()]
            self.assertEqual(sorted(told), missing)


class Erase(Case):
    def setUp(self):
        super().setUp()
        # Long and short ones; more than the user keeps, so that rings turn and move.
        self.load(write_lines([(user, i, b"user-%d-visit-%d-" % (user, i) * (1 + i % 3 * 30),
                                b"text of %d-" % user, i)
                               for i in range(25) for user in (7, 0, 8)]))

    def file(self):
        with open(self.store, "rb") as file:
            return file.read()

    def test_its_bytes_are_gone(self):
        for user in (7, 0):
            self.assertIn(b"user-%d-visit" % user, self.file())
            result = run("erase", self.store, str(user), "--yes", "--json")
            self.assertEqual(result.returncode, OK, result.stderr)
            self.assertEqual(json.loads(result.stdout),
                             {"user_id": user, "erased": 10, "copies_left": 0})
            self.assertNotIn(b"user-%d-visit" % user, self.file())
            self.assertNotIn(b"text of %d-" % user, self.file())
            self.assertEqual(run("show", self.store, str(user)).returncode, NO_USER)
        self.assertIn(b"user-8-visit", self.file())
        self.assertEqual(self.run_ok("verify", self.store), b"")

    def test_a_user_with_a_damaged_visit(self):
        self.load(write_lines([(5, i, b"user-5-visit-%d" % i, b"short", i) for i in range(4)]))
        data = bytearray(self.file())
        place = next(m.start() - 48 for m in re.finditer(rb"user-5-visit-2", data)
                     if (m.start() - 48) % 256 == 0)
        data[place:place + 48] = bytes(48)
        with open(self.store, "wb") as file:
            file.write(data)
        self.assertNotEqual(run("show", self.store, "5").returncode, OK)
        result = run("erase", self.store, "5", "--yes", "--json")
        self.assertEqual(json.loads(result.stdout)["erased"], None)
        self.assertIn(b"of which some were damaged", result.stderr)
        self.assertEqual(run("show", self.store, "5").returncode, NO_USER)
        self.assertEqual(self.run_ok("verify", self.store), b"")

    def test_not_without_yes(self):
        before = self.export()
        result = run("erase", self.store, "7")
        self.assertEqual((result.returncode, result.stdout), (USAGE, b""))
        self.assertIn(b"with --yes", result.stderr)
        self.assertEqual(self.export(), before)

    def ask(self, answer):
        terminal = Terminal()
        process = subprocess.Popen([RVDUMP, "erase", self.store, "7"], stdin=terminal.end,
                                   stdout=subprocess.PIPE, stderr=terminal.end)
        os.write(terminal.primary, answer)
        process.communicate()
        said = terminal.read_all()
        return process.returncode, said

    def test_on_a_terminal_it_asks(self):
        for answer in (b"\n", b"n\n", b"yesterday\n", b"\x04"):
            code, said = self.ask(answer)
            self.assertIn(b"Erase the 10 visits of user 7?", said)
            self.assertEqual(code, OTHER)
            self.assertIn(b"user-7-visit", self.file())
        for answer in (b"y\n",):
            code, _ = self.ask(answer)
            self.assertEqual(code, OK)
            self.assertNotIn(b"user-7-visit", self.file())

    def test_no_such_user(self):
        for user, code in (("6", NO_USER), ("x", USAGE), ("4294967296", USAGE)):
            self.assertEqual(run("erase", self.store, user, "--yes").returncode, code)
        self.assertEqual(run("erase", self.path("none"), "7", "--yes").returncode, 7)
        self.assertEqual(os.listdir(self.folder), ["store.rv"])

    def test_copies_that_others_have_left_are_told(self):
        """A slot and an overflow run, as a writer leaves them that does not erase."""
        data = bytearray(self.file())
        free = [at for at in range(2 << 16, len(data), 2048) if not any(data[at:at + 2048])]
        places = [m.start() - 48 for m in re.finditer(rb"user-7-visit", data)]
        places = [at for at in places if at % 256 == 0 and data[at + 8:at + 12] == b"\7\0\0\0"]
        slot = next(at for at in places if any(data[at + 16:at + 48]))
        long = next(at for at in places if not any(data[at + 16:at + 48]))
        data[free[3]:free[3] + 256] = data[slot:slot + 256]
        data[free[5]:free[5] + 1024] = data[long:long + 1024]
        with open(self.store, "wb") as file:
            file.write(data)
        result = run("erase", self.store, "7", "--yes", "--json")
        self.assertEqual(result.returncode, OTHER)
        self.assertEqual(json.loads(result.stdout)["copies_left"], 2)
        self.assertIn(b"2 older copies are left", result.stderr)
        again = run("erase", self.store, "7", "--yes")
        self.assertEqual(again.returncode, OTHER)
        self.assertIn(b"2 older copies are left", again.stderr)


if __name__ == "__main__":
    main()
