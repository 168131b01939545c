# SPDX-License-Identifier: MIT
"""rvdump watch: figures of a store while others write it."""

import json
import os
import signal
import subprocess

from support import CANNOT_OPEN, IO, OK, RVDUMP, Case, main, run, write_lines
from terminal import Terminal, wait_until_caught


class Watch(Case):
    def watch(self, *options):
        process = subprocess.Popen([RVDUMP, "watch", self.store, "--interval", "0.1", *options],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        return process

    def test_beside_a_writer_while_the_store_grows(self):
        """It shows what was added between two looks, of a store that has become many times as
        long; and goes on when the writer ends and when another one comes."""
        self.load(b"")
        watch = self.watch("--json")
        first = json.loads(watch.stdout.readline())
        self.assertEqual((first["state"], first["visits"], first["holder_pid"]), ("clean", 0, 0))
        self.assertNotIn("visits_per_second", first)
        looks = [first]
        for turn in range(2):
            users = range(turn * 2000, turn * 2000 + 2000)
            writer = subprocess.Popen([RVDUMP, "import", self.store, "--format", "jsonl"],
                                      stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
            lines = write_lines([(user, 1, b"u" * 1000, b"", 0) for user in users])
            writer.stdin.write(lines[:9])  # it opens the store when something comes
            writer.stdin.flush()
            while looks[-1]["state"] != "in use":
                looks.append(json.loads(watch.stdout.readline()))
            self.assertEqual(looks[-1]["holder_pid"], writer.pid)
            writer.communicate(lines[9:])
            while looks[-1]["visits"] != 2000 * (turn + 1) or looks[-1]["state"] != "clean":
                looks.append(json.loads(watch.stdout.readline()))
        watch.send_signal(signal.SIGINT)
        self.assertEqual(watch.wait(), OK, watch.stderr.read())
        self.assertEqual(looks[-1]["users"], 4000)
        self.assertEqual(looks[-1]["changes"] - first["changes"], 4000)
        self.assertGreater(looks[-1]["file_bytes"], 4 * first["file_bytes"])
        self.assertEqual(looks[-1]["file_bytes"], os.path.getsize(self.store))
        for name in ("users", "visits", "changes", "file_bytes", "durable_epoch"):
            self.assertEqual([look[name] for look in looks], sorted(look[name] for look in looks))
        risen = max(look.get("visits_per_second", 0) for look in looks)
        self.assertGreater(risen, 0)

    def test_count_and_lines(self):
        self.load(write_lines([(1, i, b"u", b"", i) for i in range(3)]))
        before = os.stat(self.store)
        lines = self.run_ok("watch", self.store, "--count", "3", "--interval", "0.1").splitlines()
        self.assertEqual(len(lines), 4)
        self.assertEqual(lines[0].split()[:3], [b"time", b"state", b"users"])
        self.assertRegex(lines[1], rb"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ clean +1 +3 +\d+ ")
        self.assertRegex(lines[3], rb" clean +1 +0 +3 +0 ")
        for line in lines:
            self.assertEqual(len(line), len(lines[0]))
        after = os.stat(self.store)
        self.assertEqual((before.st_mtime_ns, before.st_size), (after.st_mtime_ns, after.st_size))

    def test_a_terminal_shows_the_last_look_only(self):
        self.load(write_lines([(1, 1, b"u", b"", 0)]))
        terminal = Terminal()
        process = subprocess.Popen([RVDUMP, "watch", self.store, "--count", "2", "--interval", "0.1"],
                                   stdout=terminal.end, stderr=subprocess.DEVNULL)
        said = terminal.read_all().decode().replace("\r\n", "\n")
        self.assertEqual(process.wait(), OK)
        first, second = said.split("\x1b[%dA" % (said.count("\n") // 2))
        self.assertEqual(first.count("\n"), second.count("\n"))
        self.assertRegex(second, r"\nvisits +1 +0\x1b\[K\n")

    def test_signals_end_it_in_order(self):
        self.load(b"")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            watch = self.watch()
            wait_until_caught(watch, number)
            first = watch.stdout.readline()
            watch.send_signal(number)
            rest, said = watch.communicate()
            self.assertEqual((watch.returncode, said), (OK, b""))
            self.assertTrue((first + rest).endswith(b"\n"))

    def test_what_ends_it_otherwise(self):
        self.assertEqual(run("watch", self.store).returncode, CANNOT_OPEN)
        self.load(b"")
        watch = self.watch()
        watch.stdout.readline()
        os.remove(self.store)
        self.assertEqual(watch.wait(), CANNOT_OPEN)
        self.load(b"")
        watch = self.watch()
        watch.stdout.close()
        self.assertEqual(watch.wait(), IO)


if __name__ == "__main__":
    main()
