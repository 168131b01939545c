# SPDX-License-Identifier: MIT
"""The lines that `rvdump export --format jsonl` writes, byte for byte. rvdump(1), "FORMATS", "ESCAPES"."""

import base64
import datetime
import re

EPOCH = datetime.date(1970, 1, 1)

# What a terminal could obey, and what JSON must escape.
UNSAFE = re.compile('[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"\\\\]')


def _escape(match):
    char = match.group()
    return "\\" + char if char in '"\\' else f"\\u{ord(char):04x}"


def time_text(time_ns):
    """RFC 3339 with nine digits."""
    seconds, fraction = divmod(time_ns, 10**9)
    days, second = divmod(seconds, 86400)
    day = EPOCH + datetime.timedelta(days=days)
    return f"{day.isoformat()}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{fraction:09}Z"


def member(name, data):
    """A string; one that is not UTF-8 under another name, as base64."""
    try:
        return f'"{name}":"{UNSAFE.sub(_escape, data.decode())}"'
    except UnicodeDecodeError:
        return f'"{name}_base64":"{base64.b64encode(data).decode()}"'


def line(user, visit):
    return (f'{{"user_id":{user},"visit_id":{visit.visit_id},{member("url", visit.url)},'
            f'{member("text", visit.text)},"time":"{time_text(visit.time_ns)}"}}\n').encode()
