# SPDX-License-Identifier: MIT
"""Runs a program with the path of a store in a fresh folder, and removes the folder."""

import os
import subprocess
import sys
import tempfile

with tempfile.TemporaryDirectory(prefix="librv-test-") as folder:
    result = subprocess.run(sys.argv[1:] + [os.path.join(folder, "store.rv")])
sys.exit(result.returncode if result.returncode >= 0 else 128 - result.returncode)
