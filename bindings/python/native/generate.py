# SPDX-License-Identifier: MIT
"""Writes the C source of the extension module, from the headers themselves.

    generate.py recent_visits.h shim.h OUTPUT

The declarations are taken out of the headers, so they cannot drift from them; the C compiler then
checks them against the headers once more.
"""

import re
import sys

MODULE = "recent_visits._native"


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)


def public_declarations(text):
    """The header without what only a preprocessor or a C++ compiler reads."""
    text = without_comments(text)
    text = re.sub(r'#ifdef __cplusplus\n.*?#endif', "", text, flags=re.DOTALL)
    numbers = re.findall(r"^#define\s+\w+\s+-?\d+\s*$", text, flags=re.MULTILINE)
    code = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    return "\n".join(numbers) + "\n" + code


def shim_declarations(text):
    body = re.search(r"/\* declarations: begin \*/(.*)/\* declarations: end \*/", text, re.DOTALL)
    if body is None:
        raise SystemExit("generate.py: shim.h lacks its marks")
    return without_comments(body.group(1))


SYSTEM = """
typedef long... time_t;
struct timespec {
    time_t tv_sec;
    long tv_nsec;
    ...;
};
"""

CALLBACKS = """
extern "Python" int rv_py_progress(void *, const char *, uint64_t, uint64_t);
extern "Python" int rv_py_finding(void *, const VisitFinding *);
"""


def builder(public, shim):
    """A cffi.FFI for both headers, given as paths."""
    import cffi

    with open(public, encoding="utf-8") as file:
        declarations = public_declarations(file.read())
    with open(shim, encoding="utf-8") as file:
        declarations += shim_declarations(file.read())
    ffi = cffi.FFI()
    ffi.cdef(SYSTEM + declarations + CALLBACKS)
    ffi.set_source(MODULE, '#include "recent_visits.h"\n#include "shim.h"\n')
    return ffi


if __name__ == "__main__":
    builder(sys.argv[1], sys.argv[2]).emit_c_code(sys.argv[3])
