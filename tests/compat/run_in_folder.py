# SPDX-License-Identifier: MIT
"""Runs a program with the path of a store in a fresh folder, and removes the folder.

A program for another machine is run by what Meson names for that."""

import os
import shlex
import subprocess
import sys
import tempfile

with tempfile.TemporaryDirectory(prefix="librv-test-") as folder:
    wrapper = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))
    result = subprocess.run(wrapper + sys.argv[1:] + [os.path.join(folder, "store.rv")])
sys.exit(result.returncode if result.returncode >= 0 else 128 - result.returncode)
