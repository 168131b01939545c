# SPDX-License-Identifier: MIT
"""Each command, its exit codes, and what reaches the terminal."""

import json
import os
import random
import re
import resource
import signal
import subprocess

from support import (BUSY, CANNOT_OPEN, DAMAGED, IO, NO_USER, NOT_A_STORE, OK, RVDUMP, USAGE, Case,
                     main, run, write_lines)

# What a terminal may obey: C0 but for tab and newline, DEL, C1, line separators, bidi.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\u200e\u200f\u061c]")
NASTY = [b"\x1b[2J", b"\x9b31m", "\u009b31m".encode(), b"\x07", b"\x7f", b"\r", b"\n", b"\t",
         "\u202e\u2028".encode(), b"\xff\xfe", b"\\x1b", "é€\U0001f600".encode()]


class Usage(Case):
    def test_wrong_arguments(self):
        for arguments in ([], ["bogus"], ["info"], ["info", "a", "b"], ["info", "a", "--top", "1"],
                          ["users", "a", "--top"], ["users", "a", "--top", "0"],
                          ["users", "a", "--top", "x"], ["users", "a", "--top", "4294967296"],
                          ["--completion"], ["--completion", "csh"], ["users", "a", "--top=-1"], ["show", "a"], ["show", "a", "x"],
                          ["show", "a", "4294967296"], ["show", "a", "1", "2"], ["show", "a", ""],
                          ["import", "a"], ["import", "a", "--format", "xml"], ["export", "a"],
                          ["import", "a", "--format", "csv", "--first-visit-id", "1"],
                          ["import", "a", "--format", "csv", "--max-visits", "0"],
                          ["import", "a", "--format", "csv", "--max-visits", "65536"],
                          ["import", "a", "--format", "csv", "--json"],
                          ["export", "a", "--format", "clf"], ["export", "a", "--strict"],
                          ["backup", "a"], ["backup", "a", "b", "--json"], ["verify"],
                          ["top", "a", "--by", "name"],
                          ["top", "a", "--count", "0"], ["diff", "a"], ["diff", "a", "b", "c"],
                          ["watch", "a", "--interval", "0"], ["watch", "a", "--interval", "1s"],
                          ["watch", "a", "--interval", "nan"], ["watch", "a", "--interval", ""],
                          ["map", "a"], ["map", "a", "--format", "csv"], ["map", "a", "-o"],
                          ["map", "a", "--format", "svg", "--theme", "red"],
                          ["export", "a", "--format", "svg"], ["import", "a", "--format", "png"],
                          ["stats", "a", "b"], ["erase", "a"], ["erase", "a", "x", "--yes"],
                          ["info", "a", "--bogus"], ["info", "a", "-x"], ["--bogus"]):
            with self.subTest(arguments=arguments):
                result = run(*arguments, cwd=self.folder)
                self.assertEqual(result.returncode, USAGE)
                self.assertEqual(result.stdout, b"")
                self.assertTrue(result.stderr.startswith(b"rvdump: "))
        self.assertEqual(os.listdir(self.folder), [])

    def test_the_wrong_option_is_named(self):
        for arguments, said in ((["info", "a", "-json"], b"-j: no such"), (["info", "-json", "a"], b"-j: no such"),
                                (["info", "a", "--top", "1"], b"--top: no such"), (["info", "a", "--bogus"], b"--bogus: no such"),
                                (["map", "a", "-o"], b"-o: a value"), (["users", "a", "--top"], b"--top: a value")):
            with self.subTest(arguments=arguments):
                self.assertIn(b"rvdump: " + said, run(*arguments, cwd=self.folder).stderr)

    def test_version(self):
        self.assertRegex(self.run_ok("--version").decode(), r"\Arvdump \d+\.\d+\.\d+ \(librv .+\)\n\Z")

    def test_messages_are_escaped(self):
        for arguments in ([b"\x1b[2J"], ["info", b"\x1b[2J\xff"], ["show", b"\x1b", b"\x9b"],
                          ["info", "s", b"--\x1b[2J"], ["users", "s", b"--top=\x1b"]):
            result = run(*arguments, cwd=self.folder)
            self.assertNotEqual(result.returncode, OK)
            self.assertNotRegex(result.stderr.decode(), OBEYED)


class Commands(Case):
    def setUp(self):
        super().setUp()
        visits = [(user, i, b"u%d" % i, b"t", i) for user in range(20, 0, -1)
                  for i in range(user % 4 + 1)]
        self.load(write_lines(visits))

    def test_users(self):
        users = [line.split("\t") for line in self.run_ok("users", self.store).decode().splitlines()]
        self.assertEqual(users, [[str(u), str(u % 4 + 1)] for u in range(1, 21)])

    def test_users_top(self):
        def top(*options):
            lines = self.run_ok("users", self.store, *options).decode().splitlines()
            return [int(line.split("\t")[0]) for line in lines]

        busiest = sorted(range(1, 21), key=lambda u: (-(u % 4), u))
        self.assertEqual(top("--top", "7"), busiest[:7])
        self.assertEqual(top("--top", "1000"), busiest)

    def test_users_json(self):
        lines = self.run_ok("users", self.store, "--json", "--top", "2").splitlines()
        self.assertEqual(list(map(json.loads, lines)),
                         [{"user_id": 3, "visits": 4}, {"user_id": 7, "visits": 4}])

    def test_info(self):
        text = self.run_ok("info", self.store).decode()
        self.assertRegex(text, r"(?m)^users +20$")
        self.assertRegex(text, r"(?m)^visits +50$")
        self.assertRegex(text, r"(?m)^state +clean$")

    def test_info_json(self):
        lines = self.run_ok("info", self.store, "--json").splitlines()
        self.assertEqual(len(lines), 1)
        info = json.loads(lines[0])
        self.assertEqual((info["users"], info["visits"], info["max_visits"], info["store"]),
                         (20, 50, 10, self.store))
        self.assertEqual(info["file_bytes"], os.path.getsize(self.store))
        self.assertEqual(info["blocks"] * info["block_bytes"], info["file_bytes"])
        self.assertGreaterEqual(info["ring_slots"], info["visits"])
        self.assertGreaterEqual(info["index_entries"], info["users"])
        self.assertLessEqual(info["created"], info["checkpoint"])
        self.assertEqual((info["holder_pid"], info["durable_epoch"] + 1), (0, info["epoch"]))

    def test_show(self):
        self.assertEqual(self.run_ok("show", self.store, "1").decode(),
                         "1970-01-01T00:00:00.000000001Z\t1\tu1\tt\n"
                         "1970-01-01T00:00:00.000000000Z\t0\tu0\tt\n")

    def test_show_json_is_the_users_part_of_the_export(self):
        shown = b"".join(self.run_ok("show", self.store, str(u), "--json") for u in range(1, 21))
        self.assertEqual(shown, self.export())

    def test_no_such_user(self):
        result = run("show", self.store, "21")
        self.assertEqual((result.returncode, result.stdout), (NO_USER, b""))

    def test_verify(self):
        self.assertEqual(self.run_ok("verify", self.store), b"")
        self.assertEqual(self.run_ok("verify", self.store, "--json"), b"")

    def test_backup(self):
        self.assertEqual(self.run_ok("backup", self.store, self.path("copy")), b"")
        self.assertEqual(self.export("jsonl", self.path("copy")), self.export())
        self.assertEqual(run("backup", self.store, self.path("copy")).returncode, CANNOT_OPEN)

    def test_reading_changes_nothing(self):
        with open(self.store, "rb") as file:
            before = file.read()
        self.run_ok("info", self.store)
        self.run_ok("users", self.store)
        self.run_ok("verify", self.store)
        self.export()
        with open(self.store, "rb") as file:
            self.assertEqual(file.read(), before)


class ExitCodes(Case):
    def info(self):
        return json.loads(self.run_ok("info", self.store, "--json"))

    def reading(self, store):
        return [["info", store], ["users", store], ["show", store, "1"], ["verify", store],
                ["export", store, "--format", "jsonl"], ["backup", store, self.path("dest")],
                ["stats", store], ["top", store], ["diff", store, store],
                ["salvage", store, self.path("dest")]]

    def test_missing_store(self):
        for arguments in self.reading(self.store):
            with self.subTest(arguments[0]):
                self.assertEqual(run(*arguments).returncode, CANNOT_OPEN)
        self.assertEqual(os.listdir(self.folder), [])

    def test_missing_folder(self):
        result = run("import", self.path("none/store"), "--format", "jsonl")
        self.assertEqual(result.returncode, CANNOT_OPEN)

    def test_not_a_store(self):
        with open(self.store, "wb") as file:
            file.write(b"This is a text file.\n" * 10000)
        for arguments in [*self.reading(self.store), ["import", self.store, "--format", "jsonl"]]:
            with self.subTest(arguments[0]):
                self.assertEqual(run(*arguments).returncode, NOT_A_STORE)

    def damage(self, mark, change):
        """Has change() alter the store as a bytearray, which is given where mark lies in it."""
        with open(self.store, "r+b") as file:
            data = bytearray(file.read())
            self.assertEqual(data.count(mark), 1)
            at = data.index(mark)
            change(data, at)
            file.seek(0)
            file.write(data)
        return at

    def load_marked(self):
        """Users 1 to 39 with a visit each that is found by its url."""
        self.load(write_lines([(user, 70 + user, b"mark-%d-" % user * 20, b"", 0)
                               for user in range(1, 40)]))

    def test_damaged_string(self):
        def change(data, at):
            data[at + 10] ^= 1

        self.load_marked()
        at = self.damage(b"mark-6-" * 20, change)
        result = run("verify", self.store, "--json")
        self.assertEqual(result.returncode, DAMAGED)
        found = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([(f["user_id"], f["rule"]) for f in found], [(6, "slot-checksum")])
        self.assertIn("76", found[0]["message"])
        self.assertTrue(at - 256 < found[0]["offset"] <= at)
        self.assertIn(b"damaged, 1 found", result.stderr)
        self.assertEqual(run("backup", self.store, self.path("copy")).returncode, DAMAGED)
        self.assertEqual(os.listdir(self.folder), ["store.rv"])

    def test_damaged_users_are_left_out(self):
        def change(data, at):
            data[at - 40:at] = b"\xff" * 40  # what stands before a visit's url

        self.load_marked()
        lines = self.export().splitlines()
        self.damage(b"mark-6-" * 20, change)
        self.damage(b"mark-9-" * 20, change)
        result = run("export", self.store, "--format", "jsonl")
        self.assertEqual(result.returncode, DAMAGED)
        self.assertEqual(result.stdout.splitlines(),
                         [line for line in lines if json.loads(line)["user_id"] not in (6, 9)])
        for user in (6, 9):
            self.assertIn(b"rvdump: user %d is left out\n" % user, result.stderr)
            shown = run("show", self.store, str(user))
            self.assertEqual((shown.returncode, shown.stdout), (DAMAGED, b""))
        self.run_ok("show", self.store, "7")
        result = run("verify", self.store, "--json")
        self.assertEqual(result.returncode, DAMAGED)
        users = {json.loads(line).get("user_id") for line in result.stdout.splitlines()}
        self.assertEqual(users - {None}, {6, 9})

    def test_file_that_is_cut_off(self):
        self.load_marked()
        os.truncate(self.store, os.path.getsize(self.store) // 2)
        self.assertIn(b"  file-length, 1 time: ", run("verify", self.store).stdout)
        for arguments in [*self.reading(self.store), ["import", self.store, "--format", "jsonl"]]:
            if arguments[0] != "show":  # a user whose part of the file is there can still be read
                with self.subTest(arguments[0]):
                    self.assertEqual(run(*arguments).returncode, DAMAGED)

    def test_busy(self):
        self.load(b"")
        writer = subprocess.Popen([RVDUMP, "import", self.store, "--format", "jsonl"],
                                  stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        lines = write_lines([(1, 1, b"", b"", 0)])
        try:
            writer.stdin.write(lines[:9])  # it opens the store when something comes
            writer.stdin.flush()
            self.wait_for(lambda: self.info()["state"] == "in use")
            self.assertEqual(self.info()["holder_pid"], writer.pid)
            result = run("import", self.store, "--format", "jsonl")
            self.assertEqual(result.returncode, BUSY)
            self.assertIn(b"%d" % writer.pid, result.stderr)
        finally:
            writer.communicate(lines[9:])
        self.assertEqual(writer.returncode, OK)
        self.assertEqual(len(self.visits()), 1)
        info = self.info()
        self.assertEqual((info["state"], info["holder_pid"]), ("clean", 0))

    def test_full_disk(self):
        self.load(write_lines([(1, 1, b"", b"", 0)]))
        for arguments in [["--help"], ["--version"], ["import", "--help"],
                          *self.reading(self.store)[:3], self.reading(self.store)[4]]:
            with self.subTest(arguments=arguments), open("/dev/full", "wb") as full:
                result = subprocess.run([RVDUMP, *arguments], stdout=full, stderr=subprocess.PIPE,
                                        check=False)
                self.assertEqual(result.returncode, IO)
                self.assertIn(b"standard output", result.stderr)

    def test_store_that_cannot_grow(self):
        lines = write_lines([(user, 1, b"u" * 20000, b"", 0) for user in range(1000)])
        limit = (8 << 20, resource.RLIM_INFINITY)
        result = run("import", self.store, "--format", "jsonl", data=lines,
                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        self.assertEqual(result.returncode, IO)
        said = result.stderr.decode().splitlines()
        imported = re.fullmatch(r"rvdump: \d+ lines read, (\d+) imported, 0 bad", said[-1])
        self.run_ok("verify", self.store)
        self.assertEqual([v[0] for v in self.visits()], list(range(int(imported[1]))))
        self.load(lines)
        self.assertEqual(self.export(), lines.replace(b": ", b":").replace(b", ", b","))

    def test_export_is_the_same_by_one_thread_and_by_several(self):
        visits = [(user, i, b"%d/" % i * (user % 90), b"t" * (user % 7 * 40000 if user % 500 == 6
                                                                else 9), user * 10**12 + i)
                  for i in range(4) for user in range(3000)]
        random.Random(1).shuffle(visits)
        self.load(write_lines(sorted(visits, key=lambda v: v[4])))
        expected = write_lines(sorted(visits, key=lambda v: (v[0], -v[1])))
        expected = expected.replace(b": ", b":").replace(b", ", b",")
        processors = os.sched_getaffinity(0)
        alone = run("export", self.store, "--format", "jsonl",
                    preexec_fn=lambda: os.sched_setaffinity(0, {min(processors)}))
        self.assertEqual((alone.returncode, alone.stdout == expected), (OK, True))
        for _ in range(5):
            self.assertTrue(self.export() == expected)

    def test_pipe_that_is_closed_midway(self):
        self.load(write_lines([(user, 1, b"u" * 1000, b"", 0) for user in range(3000)]))
        with subprocess.Popen([RVDUMP, "export", self.store, "--format", "jsonl"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.read(200000)
            process.stdout.close()
            self.assertEqual((process.stderr.read(), process.wait()), (b"", IO))

    def test_closed_pipe(self):
        self.load(write_lines([(1, i, b"u" * 1000, b"", i) for i in range(10)]))
        read, write = os.pipe()
        os.close(read)
        result = subprocess.run([RVDUMP, "export", self.store, "--format", "jsonl"], stdout=write,
                                stderr=subprocess.PIPE, check=False)
        os.close(write)
        self.assertEqual((result.returncode, result.stderr), (IO, b""))

    def test_closed_standard_streams(self):
        self.load(write_lines([(1, 1, b"u", b"", 0)]))
        before = self.export()
        ways = ["1>&-", "0<&- 1>&-"]
        if "valgrind" not in os.environ.get("MESON_EXE_WRAPPER", ""):  # it needs one of them itself
            ways.append("0<&- 1>&- 2>&-")
        for closed in ways:
            for command in ("export '%s' --format jsonl", "info '%s'"):
                with self.subTest(closed=closed, command=command):
                    line = "'%s' %s %s" % (RVDUMP, command % self.store, closed)
                    result = subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=False)
                    self.assertEqual(result.returncode, IO)
        line = "'%s' import '%s' --format jsonl 0<&-" % (RVDUMP, self.store)
        result = subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=False)
        self.assertEqual(result.returncode, IO)
        self.assertEqual(self.export(), before)

    def test_killed_writer_loses_nothing_added(self):
        writer = subprocess.Popen([RVDUMP, "import", self.store, "--format", "clf"],
                                  stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        line = b'h%d - - [01/Jul/1995:00:00:01 -0400] "GET / HTTP/1.0" 200 1\n'
        writer.stdin.write(b"".join(line % (i % 50) for i in range(4000)))
        writer.stdin.flush()
        self.wait_for(lambda: os.path.exists(self.store) and self.visits())
        before = self.visits()
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        info = self.info()
        self.assertEqual((info["state"], info["holder_pid"]), ("unclean", 0))
        self.run_ok("verify", self.store)
        self.load(b"")
        self.assertEqual(self.info()["state"], "clean")
        self.run_ok("verify", self.store)
        after = self.visits()
        for user in {visit[0] for visit in before}:
            self.assertGreaterEqual(max(v[1] for v in after if v[0] == user),
                                    max(v[1] for v in before if v[0] == user))


class Escapes(Case):
    def setUp(self):
        super().setUp()
        self.load(write_lines([(1, i, b"<" + nasty + b">", nasty, 99 - i)
                               for i, nasty in enumerate(NASTY)]), "jsonl", None, "--max-visits", "50")

    def test_nothing_that_a_terminal_obeys(self):
        for arguments in (["show", self.store, "1"], ["show", self.store, "1", "--json"],
                          ["export", self.store, "--format", "jsonl"],
                          ["export", self.store, "--format", "csv"]):
            with self.subTest(arguments=arguments):
                text = self.run_ok(*arguments).decode().replace("\r\n", "\n")
                self.assertNotRegex(text, OBEYED)
                self.assertEqual(text.count("\n"), len(NASTY) + ("csv" in arguments))

    def test_notation(self):
        lines = self.run_ok("show", self.store, "1").decode().split("\n")
        texts = [line.split("\t")[3] for line in lines[:-1]]
        self.assertEqual(texts, ["\\x1b[2J", "\\x9b31m", "\\u{9b}31m", "\\x07", "\\x7f", "\\r",
                                 "\\n", "\\t", "\\u{202e}\\u{2028}", "\\xff\\xfe", "\\\\x1b",
                                 "é€\U0001f600"])
        self.assertEqual([line.count("\t") for line in lines[:-1]], [3] * len(NASTY))

    def test_each_json_line_is_json(self):
        for line in self.run_ok("show", self.store, "1", "--json").splitlines():
            self.assertEqual(list(json.loads(line))[:2], ["user_id", "visit_id"])

    def test_store_path_that_is_not_utf8(self):
        path = os.fsencode(self.folder) + b"/\xff\x1b"
        self.load(b"", "jsonl", path)
        self.assertIn("store_base64", json.loads(self.run_ok("info", path, "--json")))
        self.assertNotRegex(self.run_ok("info", path).decode(), OBEYED)


if __name__ == "__main__":
    main()
