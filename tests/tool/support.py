# SPDX-License-Identifier: MIT
"""What the tests of rvdump share: running it, and the notation of its exports in Python."""

import atexit
import base64
import datetime
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import tempfile
import time
import unittest

os.environ["LC_ALL"] = "C"  # tables have ASCII bars then


def find_rvdump():
    """The program's path. One for another machine is run by what Meson names for that: then of a
    script that does so."""
    program = os.environ.get("RVDUMP", "rvdump")
    wrapper = os.environ.get("MESON_EXE_WRAPPER")
    if not wrapper:
        return program
    folder = tempfile.mkdtemp(prefix="rvdump-test-")
    atexit.register(shutil.rmtree, folder)
    script = os.path.join(folder, "rvdump")
    with open(script, "w", encoding="utf-8") as file:
        file.write('#!/bin/sh\nexec %s %s "$@"\n' % (wrapper, shlex.quote(program)))
    os.chmod(script, 0o755)
    return script


RVDUMP = os.environ["RVDUMP"] = find_rvdump()  # for programs that tests run, too

OK, OTHER, USAGE, NO_USER, DAMAGED, BUSY, IO, CANNOT_OPEN, NOT_A_STORE, BAD_INPUT, NO_LOSS = range(11)

TIME_MIN = -(1 << 63)
TIME_MAX = (1 << 63) - 1
STRINGS_MAX = 1 << 20


def run(*arguments, data=b"", **more):
    """Runs rvdump; arguments are str or bytes."""
    return subprocess.run([RVDUMP, *arguments], input=data, capture_output=True, check=False, **more)


class Case(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="rvdump-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.store = self.path("store.rv")

    @staticmethod
    def wait_for(condition):
        while not condition():
            time.sleep(0.01)

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_ok(self, *arguments, data=b""):
        result = run(*arguments, data=data)
        self.assertEqual(result.returncode, OK, result.stderr)
        return result.stdout

    def load(self, data, kind="jsonl", store=None, *options):
        return self.run_ok("import", store or self.store, "--format", kind, *options, data=data)

    def export(self, kind="jsonl", store=None):
        return self.run_ok("export", store or self.store, "--format", kind)

    def visits(self, store=None):
        return [read_line(line) for line in self.export("jsonl", store).splitlines()]


def time_text(time_ns):
    """RFC 3339 with nine digits; counts days itself, as datetime has no nanoseconds."""
    seconds, fraction = divmod(time_ns, 10**9)
    days, second = divmod(seconds, 86400)
    day = datetime.date(1970, 1, 1) + datetime.timedelta(days=days)
    return "%sT%02d:%02d:%02d.%09dZ" % (
        day.isoformat(), second // 3600, second // 60 % 60, second % 60, fraction)


TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{9})Z")


def time_of(text):
    year, month, day, hour, minute, second, fraction = map(int, TIME.fullmatch(text).groups())
    days = (datetime.date(year, month, day) - datetime.date(1970, 1, 1)).days
    return (days * 86400 + hour * 3600 + minute * 60 + second) * 10**9 + fraction


def string_member(name, value):
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {name + "_base64": base64.b64encode(value).decode()}


def write_line(visit):
    """A visit (user, id, url, text, time_ns), strings as bytes, as a line of JSON."""
    user, visit_id, url, text, time_ns = visit
    members = {"user_id": user, "visit_id": visit_id}
    members.update(string_member("url", url))
    members.update(string_member("text", text))
    members["time"] = time_text(time_ns)
    return json.dumps(members).encode() + b"\n"


def write_lines(visits):
    return b"".join(map(write_line, visits))


def string_of(members, name):
    if name in members:
        return members[name].encode()
    return base64.b64decode(members[name + "_base64"], validate=True)


def read_line(line):
    members = json.loads(line.decode())
    return (members["user_id"], members["visit_id"], string_of(members, "url"),
            string_of(members, "text"), time_of(members["time"]))


ALPHABETS = [
    b"abcXYZ /?&=%._-~",
    b'",\\\'\r\n\t ;',
    bytes(range(1, 256)),
    bytes(list(range(1, 32)) + [127]),
]
ODD = ["é", "€", "\U0001f600", "\u0085", "\u009b31m", "\u2028", "\u202e", "\ufeff", "\x1b[31m",
       "\x7f", "ÿ"]


def random_bytes(rng):
    kind = rng.randrange(6)
    length = rng.choice([0, 1, 2, 3, 10, 40, 300])
    if kind < 4:
        return bytes(rng.choices(ALPHABETS[kind], k=length))
    if kind == 4:
        return "".join(rng.choices(ODD, k=length)).encode()
    return "".join(rng.choices(ODD, k=length)).encode() + rng.choice([b"\xff", b"\xe2\x82", b"\xc3"])


def random_time(rng, near):
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice([TIME_MIN, TIME_MIN + 1, TIME_MAX, TIME_MAX - 1, 0, -1, 1])
    if kind == 1:
        return rng.randrange(TIME_MIN, TIME_MAX + 1)
    return near + rng.randrange(-3, 4)


def random_user(rng, user, count):
    """A user's visits, newest first; of equal times the order is as made here."""
    near = rng.randrange(TIME_MIN // 2, TIME_MAX // 2)
    ids = rng.sample(range(1 << 32), count)
    visits = [(user, i, random_bytes(rng), random_bytes(rng), random_time(rng, near)) for i in ids]
    return sorted(visits, key=lambda visit: -visit[4])


def random_visits(seed, users=40, most=10):
    """Visits in the order of an export."""
    rng = random.Random(seed)
    ids = sorted(set(rng.choices(range(1 << 32), k=users)) | {0, (1 << 32) - 1})
    return [v for user in ids for v in random_user(rng, user, rng.randrange(1, most + 1))]


def main():
    unittest.main(verbosity=2)
