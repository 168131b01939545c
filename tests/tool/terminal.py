# SPDX-License-Identifier: MIT
"""A terminal that holds its writers up, and signals that come at a known point of long work."""

import os
import re
import signal
import subprocess
import termios
import time

from support import RVDUMP

# Of a test that nohup has started too: its programs keep on ignoring what they find ignored.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Terminal:
    """A terminal whose output can be held up: who writes to it then waits."""

    def __init__(self):
        self.primary, self.end = os.openpty()

    def hold(self):
        termios.tcflow(self.end, termios.TCOOFF)

    def go_on(self):
        termios.tcflow(self.end, termios.TCOON)

    def read_all(self):
        """What is written until all writers are gone."""
        os.close(self.end)
        said = b""
        try:
            while part := os.read(self.primary, 4096):
                said += part
        except OSError:  # the end of a terminal
            pass
        os.close(self.primary)
        return said


def wait_until_caught(process, number):
    """Until the process has a handler for the signal."""
    while True:
        with open("/proc/%d/status" % process.pid, encoding="ascii") as file:
            mask = re.search(r"SigCgt:\s*(\w+)", file.read())
        if int(mask[1], 16) >> (number - 1) & 1:
            return
        if process.poll() is not None:
            raise AssertionError("it ended by itself: %d" % process.returncode)
        time.sleep(0.005)


def interrupt_held(case, *arguments, number=signal.SIGINT):
    """Runs a command up to its first line of progress, which it cannot write; sends the signal
    there, and lets it go on. What it has said."""
    terminal = Terminal()
    terminal.hold()
    process = subprocess.Popen([RVDUMP, *arguments], stdout=subprocess.PIPE,
                               stderr=terminal.end)
    wait_until_caught(process, number)
    process.send_signal(number)
    terminal.go_on()
    said = terminal.read_all()
    output = process.stdout.read()
    process.stdout.close()
    case.assertEqual(process.wait(), -number, said)
    return said, output
