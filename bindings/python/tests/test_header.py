# SPDX-License-Identifier: MIT
"""The declarations are the header's own, all of them, and the module exports nothing else."""

import re
import subprocess
import sys

import pytest

from recent_visits import _native
from recent_visits._errors import Status
from recent_visits._records import Stats


@pytest.fixture
def header(source):
    text = (source / "include" / "recent_visits.h").read_text(encoding="utf-8")
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)


def test_every_function_and_constant_is_there(header):
    functions = re.findall(r"\b(Visit\w+)\s*\([^)]*\)\s*;", header)
    functions = [name for name in functions if f"typedef int {name}(" not in header]
    assert len(functions) >= 25
    constants = re.findall(r"\b(VISIT_[A-Z_]+)\s*=", header)
    constants += re.findall(r"#define\s+(VISIT_\w+)\s+-?\d", header)
    assert len(constants) >= 35
    for name in functions + constants:
        assert hasattr(_native.lib, name), name
    # Nothing was left over from an older header either.
    assert set(functions) == {name for name in dir(_native.lib) if name.startswith("Visit")}
    assert set(constants) == {name for name in dir(_native.lib) if name.startswith("VISIT_")}


def test_every_structure_has_its_members(header):
    structures = re.findall(r"typedef struct \w* ?\{(.*?)\} (\w+);", header, re.DOTALL)
    assert {name for _, name in structures} >= {"Visit", "VisitOptions", "VisitStats", "VisitPacked"}
    for body, name in structures:
        members = re.findall(r"(\w+)(?:\[\d+\])?\s*;", body)
        assert members == [member for member, _ in _native.ffi.typeof(name).fields]


def test_generated_anew_it_is_the_same(source):
    """The module in use was made from this header, not from another one."""
    sys.path.insert(0, str(source / "bindings" / "python" / "native"))
    try:
        import generate
    finally:
        del sys.path[0]
    ffi = generate.builder(source / "include" / "recent_visits.h",
                           source / "bindings" / "python" / "native" / "shim.h")
    for name in ("VisitOptions", "VisitStats", "VisitPacked", "VisitInput", "VisitFinding"):
        declared = ffi.typeof(name)
        used = _native.ffi.typeof(name)
        assert [(m, f.type.cname) for m, f in declared.fields] == [
            (m, f.type.cname) for m, f in used.fields]
        assert (ffi.sizeof(name), [f.offset for _, f in declared.fields]) == (
            _native.ffi.sizeof(name), [f.offset for _, f in used.fields])


def test_statuses_and_stats_are_complete():
    names = {name for name in dir(_native.lib)
             if name in ("VISIT_OK", "VISIT_END") or name.startswith("VISIT_ERROR_")}
    assert {"VISIT_" + s.name if s >= 0 else "VISIT_ERROR_" + s.name for s in Status} == names
    for status in Status:
        name = "VISIT_" + status.name if status >= 0 else "VISIT_ERROR_" + status.name
        assert getattr(_native.lib, name) == status
    members = [member for member, _ in _native.ffi.typeof("VisitStats").fields]
    assert members[0] == "size"
    assert members[1:] == list(Stats.__dataclass_fields__)


def test_the_module_exports_only_its_entry():
    names = subprocess.run(["nm", "-D", "--defined-only", _native.__file__], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split("\n")
    exported = {line.split()[-1] for line in names if line}
    assert {name for name in exported if not name.startswith("_")} == {"PyInit__native", "PyInit__decode"}
