#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks an import of a log against what the log itself says.

    check_clf.py LOG STORE N [FIRST_VISIT_ID]

Works out from LOG, without librv, which N visits each host must have last in a new store that it
was imported into with `rvdump import STORE LOG --format clf --max-visits N`, and compares them with
`rvdump export STORE`. LOG may be gzipped. RVDUMP in the environment names the program.

Hosts whose hashes agree in 32 bits share a user: their visits are expected together.
"""

import base64
import calendar
import ctypes
import gzip
import json
import os
import re
import subprocess
import sys

LINE = re.compile(
    rb"([^ ]+) (?:.*? )?\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "
    rb'"(.*?)" (\d{3}|-) (?:\d+|-)( ".*" ".*")?\r?\Z', re.DOTALL)
MONTHS = {name: number for number, name in enumerate(
    b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}


def load_hash():
    """XXH3-64 of bytes, as a function."""
    try:
        import xxhash
        return xxhash.xxh3_64_intdigest
    except ImportError:
        library = ctypes.CDLL("libxxhash.so.0")
        library.XXH3_64bits.restype = ctypes.c_uint64
        library.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        return lambda data: library.XXH3_64bits(data, len(data))


def parse_time(text):
    """Seconds since 1970."""
    fields = (int(text[7:11]), MONTHS[text[3:6]], int(text[:2]), int(text[12:14]), int(text[15:17]),
              int(text[18:20]))
    offset = int(text[22:24]) * 3600 + int(text[24:26]) * 60
    return calendar.timegm(fields) - (-offset if text[21:22] == b"-" else offset)


def split_request(request):
    """Method and target."""
    words = request.rsplit(b" ", 1)
    if len(words) == 2 and words[1].startswith(b"HTTP/") and len(words[1]) > 5:
        request = words[0]
    method, _, target = request.partition(b" ")
    return method or b"-", target


def newest(visits, limit):
    """The newest first. Visits begin with time and line number: among those of equal times the later
    line is the newer."""
    return sorted(visits, key=lambda visit: visit[:2], reverse=True)[:limit]


class Expected:
    """The visits that each user must have, and what the log was made of."""

    def __init__(self, limit):
        self.limit = limit
        self.users = {}
        self.hosts = {}
        self.lines = self.bad = 0
        self.times = {}
        self.hash = load_hash()

    def user_of(self, host):
        user = self.hosts.get(host)
        if user is None:
            user = self.hosts[host] = self.hash(host) & 0xFFFFFFFF
        return user

    def time_of(self, text):
        time = self.times.get(text)
        if time is None:
            if len(self.times) > 100000:
                self.times.clear()
            time = self.times[text] = parse_time(text)
        return time

    def take(self, line, visit_id):
        self.lines += 1
        match = LINE.match(line) if b"\0" not in line else None
        if match is None:
            self.bad += 1
            return
        host, time, request, status, tail = match.groups()
        visit = (self.time_of(time), visit_id, request, status, tail or b"")
        visits = self.users.setdefault(self.user_of(host), [])
        visits.append(visit)
        if len(visits) >= 4 * self.limit + 64:  # to spare memory
            visits[:] = newest(visits, self.limit)

    def visits_of(self, user):
        """As an export has them."""
        for time, visit_id, request, status, tail in newest(self.users[user], self.limit):
            method, target = split_request(request)
            yield visit_id, target, method + b" " + status + tail, time


def bytes_of(members, name):
    if name in members:
        return members[name].encode()
    return base64.b64decode(members[name + "_base64"])


def read_export(store):
    """(user, [visits]) in the order of the export."""
    command = [os.environ.get("RVDUMP", "rvdump"), "export", store, "--format", "jsonl"]
    user, visits = None, []
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            members = json.loads(line)
            if members["user_id"] != user:
                if visits:
                    yield user, visits
                user, visits = members["user_id"], []
            time = members["time"]
            if not time.endswith(".000000000Z"):
                sys.exit("a fraction of a second: %r" % line)
            seconds = calendar.timegm(tuple(map(int, re.split("[-T:]", time[:19]))))
            visits.append((members["visit_id"], bytes_of(members, "url"),
                           bytes_of(members, "text"), seconds))
        if visits:
            yield user, visits
    if process.returncode != 0:
        sys.exit("rvdump export ended with %d" % process.returncode)


def compare(expected, store):
    """The number of differences, the first of which are told."""
    wrong = 0
    seen = set()
    for user, visits in read_export(store):
        seen.add(user)
        wanted = list(expected.visits_of(user)) if user in expected.users else []
        if visits != wanted:
            wrong += 1
            if wrong <= 5:
                print("user %d\n  has  %r\n  must %r" % (user, visits, wanted))
    for user in expected.users.keys() - seen:
        wrong += 1
        if wrong <= 5:
            print("user %d is missing" % user)
    return wrong


def main(arguments):
    if len(arguments) not in (3, 4):
        sys.exit(__doc__)
    log, store, limit = arguments[0], arguments[1], int(arguments[2])
    first = int(arguments[3]) if len(arguments) == 4 else 1
    expected = Expected(limit)
    with (gzip.open if log.endswith(".gz") else open)(log, "rb") as file:
        for number, line in enumerate(file, first):
            expected.take(line[:-1] if line.endswith(b"\n") else line, number)
    wrong = compare(expected, store)
    print("%d lines, %d bad, %d hosts, %d users: %d users differ" % (
        expected.lines, expected.bad, len(expected.hosts), len(expected.users), wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
