# SPDX-License-Identifier: MIT
"""Stores to compare readers on, made anew from their names.

    NAME            what makes it
    real/7          make-store with seed 7: the library, on a real file; closed, or killed
    plain/7-2-cut   powercut with seed 7: what was left of life 2, which ended with a power cut
    shared/7-2-cut  the same, with several processes
    failing/7-2-cut the same, with syncs that fail
    NAME+5          the store, damaged with seed 5
"""

import os
import random
import subprocess

from damage import damaged

MODES = {"plain": [], "shared": ["shared"], "failing": ["failing"], "both": ["shared", "failing"]}


class Makers:
    """The programs of a build folder; files appear in a folder of one's own."""

    def __init__(self, make_store, powercut, folder):
        self.make_store, self.powercut, self.folder = make_store, powercut, folder

    def names(self, seed):
        """The names of stores without damage that the seed makes, each with its bytes."""
        mode = ["real", "shared", "failing", "both"][seed % 16] if seed % 16 < 4 else "plain"
        return self._real(seed) if mode == "real" else self._lives(mode, seed)

    def make(self, name):
        """The bytes of the store."""
        name, _, damage = name.partition("+")
        mode, _, rest = name.partition("/")
        seed = int(rest.partition("-")[0])
        made = self._real(seed) if mode == "real" else self._lives(mode, seed)
        return damaged(made[name], int(damage))[0] if damage else made[name]

    def _real(self, seed):
        rng = random.Random(seed)
        path = os.path.join(self.folder, "real.rv")
        arguments = [seed, rng.choice([1, 5, 40, 300]), rng.choice([0, 1, 30, 500, 3000]),
                     rng.choice([1, 2, 5, 10, 14, 15, 40, 1000]), rng.choice([128, 256, 1024, 4096]),
                     rng.choice(["erase", "later"]), rng.choice([3, 100, 5000])]
        if os.path.exists(path):
            os.unlink(path)
        with subprocess.Popen([self.make_store, path, *map(str, arguments)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as process:
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError(f"no store for seed {seed}")
            kill = rng.randrange(3) == 0
            if kill:
                process.kill()
        if not kill and process.returncode != 0:
            raise RuntimeError(f"the store of seed {seed} was not closed: {process.returncode}")
        return {f"real/{seed}": read(path)}

    def _lives(self, mode, seed):
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        subprocess.run([self.powercut, *MODES[mode]], check=True, stdout=subprocess.DEVNULL, env={
            **os.environ, "RV_SEED": str(seed), "RV_SEEDS": "1", "RV_IMAGES": self.folder})
        return {f"{mode}/{name[:-3]}": read(os.path.join(self.folder, name))
                for name in sorted(os.listdir(self.folder))}


def read(path):
    with open(path, "rb") as file:
        return file.read()
