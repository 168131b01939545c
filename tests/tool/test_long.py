# SPDX-License-Identifier: MIT
"""Long work: what a terminal shows of it, and what a signal leaves."""

import fcntl
import os
import re
import signal
import struct
import subprocess
import termios
import time
import unittest

from support import OK, RVDUMP, Case, main, run, write_lines
from terminal import Terminal, interrupt_held, wait_until_caught


class Progress(Case):
    def on_terminal(self, *arguments, data=b""):
        """What a command shows on stderr, each state of its line by itself."""
        terminal = Terminal()
        process = subprocess.Popen([RVDUMP, *arguments], stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stderr=terminal.end)
        process.stdin.write(data)
        process.stdin.close()
        said = terminal.read_all()
        self.assertEqual(process.wait(), OK, said)
        return said.decode().split("\r\x1b[K")

    def test_not_unless_a_terminal(self):
        lines = b"bad\n" * 50000
        result = run("import", self.store, "--format", "jsonl", data=lines)
        self.assertNotIn(b"\r", result.stderr)
        self.assertNotIn(b"\r", run("export", self.store, "--format", "jsonl").stderr)

    def test_of_a_pipe_the_end_is_not_known(self):
        said = self.on_terminal("import", self.store, "--format", "jsonl", data=b"{}\n" * 8192)
        self.assertRegex(said[1], r"\Aimporting  \d+\.\d KiB\Z")
        self.assertTrue(said[-1].endswith("8192 lines read, 0 imported, 8192 bad\r\n"))

    def test_of_a_file_it_is(self):
        with open(self.path("lines"), "wb") as file:
            file.write(b"{}\n" * 400000)
        said = self.on_terminal("import", self.store, self.path("lines"), "--format", "jsonl")
        self.assertRegex(
            said[1], r"\Aimporting   *\d+ % \[#*\.*\]  \d+\.\d KiB of 1\.1 MiB\Z")

    def test_backup_salvage_and_export(self):
        self.load(write_lines([(user, 1, b"u", b"t", 0) for user in range(500)]))
        for command in ("backup", "copy"):
            said = self.on_terminal(command, self.store, self.path(command))
            self.assertRegex(said[1], r"\Acopying users   *\d+ % \[#*\.*\]  \d+ of 500\Z")
        said = self.on_terminal("salvage", self.store, self.path("salvaged"))
        self.assertRegex(said[1], r"\Alooking for visits   *\d+ % \[#*\.*\]  \d.* of \d.*iB\Z")
        said = self.on_terminal("export", self.store, "--format", "csv")
        self.assertEqual(said[1], "listing users  1")

    def test_it_fits_a_narrow_terminal(self):
        self.load(write_lines([(user, 1, b"u", b"t", 0) for user in range(500)]))
        terminal = Terminal()
        fcntl.ioctl(terminal.end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
        process = subprocess.Popen([RVDUMP, "backup", self.store, self.path("copy")],
                                   stderr=terminal.end)
        said = terminal.read_all().decode().split("\r\x1b[K")
        self.assertEqual(process.wait(), OK)
        self.assertEqual(len(said[1]), 19)


@unittest.skipIf("valgrind" in os.environ.get("MESON_EXE_WRAPPER", ""),
                 "under valgrind all signals are caught before the program begins")
class Signals(Case):
    def load_users(self):
        self.load(write_lines([(user, 1, b"u" * 50, b"t", 0) for user in range(3000)]))

    def test_import_closes_the_store_and_says_how_far_it_came(self):
        line = b'h%d - - [01/Jul/1995:00:00:01 -0400] "GET /%d HTTP/1.0" 200 1\n'
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number):
                store = self.path("store-%d" % number)
                process = subprocess.Popen([RVDUMP, "import", store, "--format", "clf"],
                                           stdin=subprocess.PIPE, stderr=subprocess.PIPE)
                process.stdin.write(b"".join(line % (i, i) for i in range(5000)))
                process.stdin.write(b"h0 - - [01/Jul/1995:00:")  # half a line
                process.stdin.flush()
                wait_until_caught(process, number)
                self.wait_for(lambda: os.path.exists(store))
                process.send_signal(number)
                said = process.stderr.read().decode()  # stdin stays open: it does not wait for more
                process.stdin.close()
                process.stderr.close()
                self.assertEqual(process.wait(), -number, said)
                up_to = int(re.search(r"interrupted: what stands up to line (\d+) is in", said)[1])
                self.assertLessEqual(up_to, 5000)
                self.assertIn("rvdump: %d lines read, %d imported, 0 bad\n" % (up_to, up_to), said)
                self.assertIn(b'"state":"clean"', self.run_ok("info", store, "--json"))
                self.assertEqual(self.run_ok("verify", store), b"")
                self.assertEqual(sorted(v[1] for v in self.visits(store)),
                                 list(range(1, up_to + 1)))

    def test_import_of_a_record_of_several_lines(self):
        process = subprocess.Popen([RVDUMP, "import", self.store, "--format", "csv"],
                                   stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdin.write(b"user_id,visit_id,url,text,time\n1,1,u,t,1995-07-01T04:00:01Z\n"
                            b'1,2,u,"open\nand\n')
        process.stdin.flush()
        wait_until_caught(process, signal.SIGINT)
        self.wait_for(lambda: os.path.exists(self.store))
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().decode()
        process.stdin.close()
        process.stderr.close()
        self.assertEqual(process.wait(), -signal.SIGINT)
        self.assertIn(" 0 bad\n", said)
        self.assertLessEqual(len(self.visits()), 1)

    def test_a_second_signal_ends_it_at_once(self):
        self.load_users()
        terminal = Terminal()
        terminal.hold()
        process = subprocess.Popen([RVDUMP, "backup", self.store, self.path("copy")],
                                   stderr=terminal.end)
        wait_until_caught(process, signal.SIGINT)
        process.send_signal(signal.SIGINT)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.005)
        terminal.go_on()
        terminal.read_all()
        self.assertEqual(process.returncode, -signal.SIGINT)

    def test_backup_leaves_no_file(self):
        self.load_users()
        said, _ = interrupt_held(self, "backup", self.store, self.path("copy"))
        self.assertIn(b"the backup was stopped", said)
        self.assertEqual(os.listdir(self.folder), ["store.rv"])

    def test_export_ends_with_a_whole_line(self):
        self.load_users()
        _, output = interrupt_held(self, "export", self.store, "--format", "jsonl")
        self.assertTrue(output == b"" or output.endswith(b"\n"))
        self.assertLess(output.count(b"\n"), 3000)
        self.assertTrue(self.export().startswith(output))

    def test_ignored_signals_stay_ignored(self):
        process = subprocess.Popen([RVDUMP, "import", self.store, "--format", "jsonl"],
                                   stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        wait_until_caught(process, signal.SIGINT)
        process.send_signal(signal.SIGHUP)
        process.communicate(write_lines([(1, 1, b"u", b"t", 0)]))
        self.assertEqual(process.returncode, OK)
        self.assertEqual(len(self.visits()), 1)


if __name__ == "__main__":
    main()
