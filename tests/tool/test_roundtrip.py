# SPDX-License-Identifier: MIT
"""What export writes, import reads; the second export equals the first, byte for byte."""

import random

from support import (Case, STRINGS_MAX, TIME_MAX, TIME_MIN, main, random_visits, read_line,
                     write_line, write_lines)


class RoundTrip(Case):
    def assert_round_trip(self, visits, *options):
        """Loads the visits, which are in the order of an export, and sends them round."""
        self.load(write_lines(visits), "jsonl", self.store, *options)
        first = self.export("jsonl")
        self.assertEqual([read_line(line) for line in first.splitlines()], visits)
        for kind in ("jsonl", "csv"):
            other = self.store + "-" + kind
            text = self.export(kind)
            self.load(text, kind, other, *options)
            self.assertEqual(self.export(kind, other), text)
            self.assertEqual(self.export("jsonl", other), first)

    def test_random_visits(self):
        for seed in range(8):
            with self.subTest(seed=seed):
                self.store = self.path("store-%d" % seed)
                self.assert_round_trip(random_visits(seed))

    def test_many_visits_a_user(self):
        self.assert_round_trip(random_visits(100, users=3, most=700), "--max-visits", "1000")

    def test_extreme_times(self):
        times = [TIME_MAX, TIME_MAX - 1, 10**9, 1, 0, -1, -(10**9), -(10**9) - 1, TIME_MIN + 1,
                 TIME_MIN]
        self.assert_round_trip([(1, i, b"u", b"t", time) for i, time in enumerate(times)])
        self.assertIn(b'"1677-09-21T00:12:43.145224192Z"', self.export())
        self.assertIn(b'"2262-04-11T23:47:16.854775807Z"', self.export())

    def test_long_strings(self):
        half = STRINGS_MAX // 2
        self.assert_round_trip([
            (1, 1, b"u" * STRINGS_MAX, b"", 9),
            (1, 2, b"", b"\x01" * STRINGS_MAX, 8),
            (1, 3, b'"' * half, b"\xff" * half, 7),
            (1, 4, b"\\" * half, ("é" * (half // 2)).encode(), 6),
            (1, 5, b"", b"", 5),
        ])

    def test_every_byte_alone(self):
        visits = [(1, i, bytes([i]), b"a" + bytes([i]) + b"b", 1000 - i) for i in range(1, 256)]
        self.assert_round_trip(visits, "--max-visits", "300")

    def test_every_byte_at_every_place_among_others(self):
        """Ordinary bytes are told from others eight at a time."""
        visits = [(byte, place, b" ~" * 4 + b"[" * place + bytes([byte]) + b"]" * (10 - place), b"t",
                   -place) for byte in range(1, 256) for place in range(10)]
        self.assert_round_trip(visits)
        self.assertNotIn(b"\x7f", self.export())

    def test_almost_utf8(self):
        odd = [b"\xed\xa0\x80", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf",
               b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\x80", b"\xe2\x82", b"\xf0\x9f\x98"]
        self.assert_round_trip([(1, i, text, b"<" + text + b">", -i) for i, text in enumerate(odd)])
        self.assertEqual(self.export().count(b"_base64"), 2 * len(odd))

    def test_all_times_equal(self):
        self.assert_round_trip([(u, i * 7 % 11, b"u%d" % i, b"t", 5) for u in (1, 2)
                                for i in range(10)])


class Order(Case):
    """Where import puts visits."""

    def ids(self):
        return [visit[1] for visit in self.visits()]

    @staticmethod
    def expected(lines, limit):
        """By time, of equal times the upper line first."""
        order = sorted(enumerate(lines), key=lambda pair: (-pair[1][4], pair[0]))
        return [line[1] for _, line in order][:limit]

    def test_any_order_of_a_users_lines(self):
        for seed in range(10):
            rng = random.Random(seed)
            lines = [(1, i, b"", b"", rng.randrange(4)) for i in range(10)]
            rng.shuffle(lines)
            with self.subTest(seed=seed):
                self.store = self.path("store-%d" % seed)
                self.load(write_lines(lines))
                self.assertEqual(self.ids(), self.expected(lines, 10))

    def test_group_beyond_the_limit(self):
        rng = random.Random(1)
        for name, times in (("equal", [5] * 5000), ("falling", range(5000, 0, -1)),
                            ("rising", range(5000)),
                            ("mixed", [rng.randrange(50) for _ in range(5000)])):
            lines = [(1, i, b"u%d" % i, b"", time) for i, time in enumerate(times)]
            with self.subTest(name):
                self.store = self.path(name)
                self.load(write_lines(lines), "jsonl", None, "--max-visits", "3")
                self.assertEqual(self.visits()[0][2], b"u%d" % self.ids()[0])
                self.assertEqual(self.ids(), self.expected(lines, 3))

    def test_older_group_goes_below(self):
        newer = [(1, 1, b"", b"", 30), (1, 2, b"", b"", 20), (1, 3, b"", b"", 20)]
        older = [(1, 4, b"", b"", 10), (1, 5, b"", b"", 10), (1, 6, b"", b"", 9)]
        other = [(2, 1, b"", b"", 1)]
        for name, lines in (("at once", [newer + other + older]), ("twice", [newer, older])):
            with self.subTest(name):
                self.store = self.path(name)
                for part in lines:
                    self.load(write_lines(part))
                self.assertEqual([v[1] for v in self.visits() if v[0] == 1], [1, 2, 3, 4, 5, 6])

    def test_group_around_the_newest_visit(self):
        self.load(write_lines([(1, 1, b"", b"", 20)]))
        self.load(write_lines([(1, 2, b"", b"", 30), (1, 3, b"", b"", 30), (1, 4, b"", b"", 20),
                               (1, 5, b"", b"", 10), (1, 6, b"", b"", 10)]))
        self.assertEqual(self.ids(), [2, 3, 4, 1, 5, 6])

    def test_later_group_goes_above_its_equals(self):
        first = [(1, 1, b"", b"", 30), (1, 2, b"", b"", 20), (1, 3, b"", b"", 20), (1, 4, b"", b"", 10)]
        second = [(1, 5, b"", b"", 20), (1, 6, b"", b"", 20), (1, 7, b"", b"", 10)]
        between = [(2, 1, b"", b"", 1)]
        for name, parts in (("at once", [first + between + second]), ("twice", [first, second])):
            with self.subTest(name):
                self.store = self.path(name)
                for part in parts:
                    self.load(write_lines(part))
                self.assertEqual([v[1] for v in self.visits() if v[0] == 1], [1, 5, 6, 2, 3, 7, 4])

    def test_interleaved_users_in_time_order(self):
        lines = [(i % 7, i, b"", b"", i) for i in range(70)]
        self.load(write_lines(lines))
        for user in range(7):
            self.assertEqual([v[1] for v in self.visits() if v[0] == user],
                             list(range(63 + user, -1, -7)))

    def test_repeated_visit_id_changes_nothing(self):
        self.load(write_lines([(1, 1, b"first", b"", 5), (1, 1, b"second", b"", 6)]))
        self.load(write_lines([(1, 1, b"third", b"", 7)]))
        self.assertEqual(self.visits(), [(1, 1, b"first", b"", 5)])

    def test_limit_of_the_store_is_kept(self):
        self.load(write_lines([(1, i, b"", b"", i) for i in range(9)]), "jsonl", None,
                  "--max-visits", "4")
        self.load(write_lines([(1, i, b"", b"", i) for i in range(9, 19)]))
        self.assertEqual(self.ids(), [18, 17, 16, 15])

    def test_line_without_newline_at_the_end(self):
        self.load(write_line((1, 1, b"u", b"t", 1)).rstrip(b"\n"))
        self.assertEqual(self.ids(), [1])


if __name__ == "__main__":
    main()
