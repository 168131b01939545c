# SPDX-License-Identifier: MIT
# The module that makes objects of results, see _records.py. It is no part of the interface.
from datetime import datetime
from typing import TypeVar

_R = TypeVar("_R", bound=Record)

class Record:
    visit_id: int
    url: str
    text: str
    _time: datetime | int
    def __init__(self, visit_id: int, url: str, text: str, time: datetime | int) -> None: ...

def unpack(cls: type[_R], address: int, result: int, /) -> list[_R]: ...
def unpack_many(cls: type[_R], address: int, users: int, /) -> list[list[_R]]: ...
