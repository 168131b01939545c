# SPDX-License-Identifier: MIT
"""The wheel, built from the source tree without network, in an empty environment."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import _cffi_backend
import cffi
import pytest

import recent_visits

PROGRAM = """
import sys
import recent_visits
from recent_visits import VisitManager
assert recent_visits.__file__.startswith(sys.prefix), recent_visits.__file__
with VisitManager(sys.argv[1]) as manager:
    manager.add_visit(1, 2, "https://example.org/", "text")
    manager.add_visits((user, 1, "u", "t") for user in range(100))
    assert [visit.visit_id for visit in manager.get_recent_visits(1)] == [1, 2]
    assert manager.verify() == []
with open("/proc/self/maps") as file:
    maps = file.read()
assert "librv.so" not in maps and "_native.abi3.so" in maps
print("ok")
"""


def call(command, **keywords):
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("PYTHON", "PIP_", "MESON", "NINJA"))}
    environment.update(PIP_CONFIG_FILE=os.devnull, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INDEX="1")
    done = subprocess.run(list(map(str, command)), env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **keywords)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory(prefix="librv-test-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def wheel(place, source):
    """Built as `pip install .` would, from a copy, since the build writes into the tree."""
    tree = place / "tree"
    shutil.copytree(source, tree, ignore=shutil.ignore_patterns(".git", "build*", "__pycache__"))
    call([sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps",
          "--wheel-dir", place / "wheels", tree])
    wheels = list((place / "wheels").iterdir())
    assert len(wheels) == 1
    return wheels[0]


def cffi_wheel(folder):
    """cffi as it is installed here, as a wheel: the one thing that the package needs beside it."""
    version = cffi.__version__
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    info = f"cffi-{version}.dist-info"
    files = {f"cffi/{file.name}": file.read_bytes()
             for file in Path(cffi.__file__).parent.iterdir() if file.is_file()}
    files[Path(_cffi_backend.__file__).name] = Path(_cffi_backend.__file__).read_bytes()
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: cffi\nVersion: {version}\n".encode()
    files[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}-{tag}-linux_{os.uname().machine}\n"
    ).encode()
    record = "".join(f"{name},sha256={digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    path = folder / f"cffi-{version}-{tag}-{tag}-linux_{os.uname().machine}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def test_what_is_in_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    package = [name for name in names if ".dist-info/" not in name]
    assert all(name.startswith("recent_visits/") for name in package)
    modules = [name for name in package if name.endswith(".so")]
    assert modules == ["recent_visits/_native.abi3.so"]
    here = Path(recent_visits.__file__).parent
    assert {Path(name).name for name in package} == {
        file.name for file in here.iterdir() if file.is_file()}
    assert "recent_visits/py.typed" in package and "recent_visits/_native.pyi" in package


def test_it_carries_the_licences(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith("LICENSE")]
    text = archive.read(name).decode()
    assert "MIT" in text and "xxHash" in text


def test_it_serves_later_versions_of_python_too(wheel):
    assert re.search(r"-cp3\d+-abi3-linux_\w+\.whl$", wheel.name), wheel.name


def test_what_it_says_of_itself(wheel):
    archive = zipfile.ZipFile(wheel)
    name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
    metadata = archive.read(name).decode()
    assert f"Version: {recent_visits.__version__}\n" in metadata
    needs = re.findall(r"^Requires-Dist: *(\w+)", metadata, re.MULTILINE)
    assert needs == ["cffi"]


def test_the_module_needs_nothing_but_the_c_library(wheel, place):
    module = zipfile.ZipFile(wheel).extract("recent_visits/_native.abi3.so", place / "module")
    dynamic = subprocess.run(["objdump", "-p", module], check=True, stdout=subprocess.PIPE, text=True).stdout
    needed = set(re.findall(r"NEEDED\s+(\S+)", dynamic))
    assert needed <= {"libc.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
    assert not re.search(r"R(UN)?PATH", dynamic)


def test_in_an_empty_environment(wheel, place):
    environment = place / "venv"
    call([sys.executable, "-m", "venv", environment])
    cffi_wheel(wheel.parent)
    python = environment / "bin" / "python"
    call([python, "-m", "pip", "install", "--find-links", wheel.parent, "recent_visits"])
    assert not list(environment.rglob("librv*"))
    assert call([python, "-c", PROGRAM, place / "store.rv"], cwd=place) == "ok\n"
    assert "rvdump" in call([python, "-m", "recent_visits"], cwd=place)
