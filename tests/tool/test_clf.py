# SPDX-License-Identifier: MIT
"""The common and the combined log format."""

import os
import random
import subprocess
import sys

import check_clf
from support import BAD_INPUT, OK, Case, main, run

HERE = os.path.dirname(os.path.abspath(__file__))
LOG = os.path.join(HERE, "..", "..", "examples", "nasa-http-august-5000.log")

START = b"host - - [01/Jul/1995:00:00:01 -0400] "
SECONDS = 804571201


def line(request, rest=b"200 1"):
    return START + b'"' + request + b'" ' + rest + b"\n"


class Clf(Case):
    def load_clf(self, data, *options, code=OK):
        result = run("import", self.store, "--format", "clf", *options, data=data)
        self.assertEqual(result.returncode, code, result.stderr)
        return result.stderr.decode().splitlines()

    def one(self, data):
        """The only visit of a log of one line."""
        self.store = self.path("s%d" % len(os.listdir(self.folder)))
        self.load_clf(data, "--strict")
        visits = self.visits()
        self.assertEqual(len(visits), 1)
        return visits[0]

    def test_plain_line(self):
        user = check_clf.load_hash()(b"host") & 0xFFFFFFFF
        self.assertEqual(self.one(line(b"GET /a HTTP/1.0")),
                         (user, 1, b"/a", b"GET 200", SECONDS * 10**9))

    def test_requests(self):
        for request, method, target in (
                (b"GET /a", b"GET", b"/a"), (b"GET /a b HTTP/1.1", b"GET", b"/a b"),
                (b'GET /a" HTTP/1.0', b"GET", b'/a"'), (b'"GET "/a"" HTTP/1.0', b'"GET', b'"/a""'),
                (b"GET / HTTP/V1.0", b"GET", b"/"), (b"GET HTTP/1.0", b"GET", b""),
                (b"GET", b"GET", b""), (b"", b"-", b""), (b"-", b"-", b""), (b" ", b"-", b""),
                (b" HTTP/1.0", b"-", b""), (b"GET  /a HTTP/1.0", b"GET", b" /a"),
                (b"GET /a HTTP/1.0 ", b"GET", b"/a HTTP/1.0 "),
                (b"GET /a HTTP/1.0 x HTTP/1.0", b"GET", b"/a HTTP/1.0 x"),
                (b"GET /a HTTP/", b"GET", b"/a HTTP/"), (b"GET /\\\"a\\\" HTTP/1.0", b"GET", b"/\\\"a\\\""),
                (b'GET /" 200 x HTTP/1.0', b"GET", b'/" 200 x'),
                (b"- \x05\x01 HTTP/1.0", b"-", b"\x05\x01"), (b"GET /\xff\x80 HTTP/1.0", b"GET", b"/\xff\x80"),
                (b"GET /[01/Jul/1995:00:00:09 -0400] HTTP/1.0", b"GET", b"/[01/Jul/1995:00:00:09 -0400]"),
                (b"GET /a\r HTTP/1.0", b"GET", b"/a\r")):
            with self.subTest(request=request):
                self.assertEqual(self.one(line(request))[2:4], (target, method + b" 200"))

    def test_status_and_size(self):
        for rest, text in ((b"404 -", b"GET 404"), (b"- -", b"GET -"), (b"200 123456789012345", b"GET 200"),
                           (b"200 0\r", b"GET 200")):
            with self.subTest(rest=rest):
                self.assertEqual(self.one(line(b"GET / HTTP/1.0", rest))[3], text)

    def test_combined(self):
        for tail in (b'"http://r/" "Mozilla/4.0 (X; Y)"', b'"-" "-"', b'"" ""', b'"a"b" "c"d"'):
            with self.subTest(tail=tail):
                self.assertEqual(self.one(line(b"GET / HTTP/1.0", b"200 1 " + tail))[3],
                                 b"GET 200 " + tail)

    def test_zones(self):
        for zone, seconds in ((b"+0000", -4 * 3600), (b"-0400", 0), (b"-1200", 8 * 3600),
                              (b"+0530", -(4 * 3600 + 5 * 3600 + 1800))):
            with self.subTest(zone=zone):
                time = self.one(line(b"GET /").replace(b"-0400", zone))[4]
                self.assertEqual(time, (SECONDS + seconds) * 10**9)

    def test_users_with_spaces_and_brackets(self):
        for user in (b"- -", b"- John Doe", b"[x] [y z]", b"- [01/Xxx/1995:00:00:01 -0400] \"x",
                     b"- x[02/Jul/1995:00:00:01 -0400] \"x"):
            with self.subTest(user=user):
                self.assertEqual(self.one(line(b"GET /").replace(b"- -", user))[2:],
                                 (b"/", b"GET 200", SECONDS * 10**9))

    BAD = [
        b"", b" ", b"host", b"host - -", START, line(b"GET /", b"").strip(), line(b"GET /", b"200").strip(),
        line(b"GET /", b"20 1").strip(), line(b"GET /", b"200 x").strip(),
        line(b"GET /", b"200 1 x").strip(), line(b"GET /", b'200 1 "a"').strip(),
        line(b"GET /", b'200 1 "').strip(), b" " + line(b"GET /").strip(),
        line(b"GET /").strip().replace(b"Jul", b"jul"), line(b"GET /").strip().replace(b"01/", b"32/"),
        line(b"GET /").strip().replace(b":00:", b":60:"), line(b"GET /").strip().replace(b"1995", b"2500"),
        line(b"GET /").strip().replace(b"[", b"("), line(b"GET /").strip().replace(b'"', b"'"),
        line(b"GET /\0").strip(), line(b"GET /" + b"a" * (1 << 20)).strip(),
        b"\xff\xfe\x00", b'" 200 5 "' * 300000,
    ]

    def test_each_bad_line_is_bad(self):
        data = b"".join(bad + b"\n" + line(b"GET /good") for bad in self.BAD)
        said = self.load_clf(data, "--max-visits", "100")
        count = len(self.BAD)
        self.assertEqual(said[-1], "rvdump: %d lines read, %d imported, %d bad" % (2 * count, count, count))
        for number, text in enumerate(said[:20]):
            self.assertIn("line %d: " % (2 * number + 1), text)
        self.assertEqual([v[1] for v in self.visits()], list(range(2 * count, 0, -2)))

    def test_strict(self):
        said = self.load_clf(line(b"GET /") + b"bad\n" + line(b"GET /"), "--strict", code=BAD_INPUT)
        self.assertIn("line 2: ", said[0])
        self.assertEqual(len(self.visits()), 1)

    def test_first_visit_id(self):
        self.load_clf(line(b"GET /") * 2)
        self.load_clf(b"bad\n" + line(b"GET /"), "--first-visit-id", "3")
        self.assertEqual([v[1] for v in self.visits()], [4, 2, 1])

    def test_visit_ids_end(self):
        said = self.load_clf(line(b"GET /") * 3, "--first-visit-id", "4294967294")
        self.assertIn("line 3: ", said[0])
        self.assertEqual([v[1] for v in self.visits()], [(1 << 32) - 1, (1 << 32) - 2])
        self.store = self.path("from zero")
        self.load_clf(line(b"GET /"), "--first-visit-id", "0")
        self.assertEqual([v[1] for v in self.visits()], [0])

    def test_equal_and_older_times(self):
        times = [5, 7, 5, 7, 6, 5, 7]
        self.load_clf(b"".join(line(b"GET /").replace(b":01 ", b":0%d " % t) for t in times))
        self.assertEqual([v[1] for v in self.visits()], [7, 4, 2, 5, 6, 3, 1])

    def test_equal_times_of_a_full_user(self):
        for times, ids in (("5555", [4, 3]), ("7655", [1, 2]), ("7666", [1, 4]), ("6766", [2, 4])):
            with self.subTest(times=times):
                self.store = self.path(times)
                log = b"".join(line(b"GET /").replace(b":01 ", b":0%s " % t.encode()) for t in times)
                self.load_clf(log, "--max-visits", "2")
                self.assertEqual([v[1] for v in self.visits()], ids)

    def check(self, log, limit):
        script = os.path.join(HERE, "check_clf.py")
        result = subprocess.run([sys.executable, script, log, self.store, str(limit)],
                                capture_output=True, check=False)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout.decode()

    def test_example_log(self):
        for limit in (1, 3, 10, 100):
            with self.subTest(limit=limit):
                self.store = self.path("limit-%d" % limit)
                self.run_ok("import", self.store, LOG, "--format", "clf", "--max-visits", str(limit))
                self.assertIn("5000 lines, 0 bad, 443 hosts, ", self.check(LOG, limit))

    def test_random_log(self):
        rng = random.Random(7)
        log = self.path("log")
        pieces = [b"GET", b" ", b"/a", b'"', b" HTTP/1.0", b" 200 1", b"\xff", b'" 404 -', b"\\", b"-"]
        rests = [b"200 1", b"404 -", b"- -", b'200 5 "r" "a"', b'200 5 "r"', b"200", b'200 5 "" ""']
        with open(log, "wb") as file:
            for _ in range(20000):
                request = b"".join(rng.choices(pieces, k=rng.randrange(8)))
                text = line(request, rng.choice(rests)).replace(b"host", b"h%d" % rng.randrange(99))
                file.write(text.replace(b":01 -04", b":%02d -0%d" % (rng.randrange(60), rng.randrange(9))))
        said = self.load_clf(b"") and run("import", self.store, log, "--format", "clf").stderr.decode()
        counts = self.check(log, 10)
        self.assertIn("%s bad" % said.split()[-2], counts)

    def test_check_notices_a_difference(self):
        self.run_ok("import", self.store, LOG, "--format", "clf", "--max-visits", "9")
        script = os.path.join(HERE, "check_clf.py")
        result = subprocess.run([sys.executable, script, LOG, self.store, "10"], capture_output=True,
                                check=False)
        self.assertEqual(result.returncode, 1)


if __name__ == "__main__":
    main()
