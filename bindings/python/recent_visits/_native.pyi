# SPDX-License-Identifier: MIT
# The extension module that cffi makes. It is no part of the interface.
from typing import Any

ffi: Any
lib: Any
