"""Modified UTF-8, as Java writes it (java.io.DataInput): UTF-8 of UTF-16, with NUL as C0 80.

A character beyond U+FFFF is two surrogates of three bytes each. Longer forms than necessary, surrogates that
are no pair, and a zero byte are refused, so that each text has one form.
"""

from __future__ import annotations

import struct

__all__ = ["decode", "encode"]

_NAME = "mutf-8"


def encode(text: str) -> bytes:
    """The bytes of `text`; UnicodeEncodeError for a surrogate in it."""
    if text.isascii() and "\0" not in text:
        return text.encode("ascii")
    units = text.encode("utf-16-be")
    halves = "".join(map(chr, struct.unpack(f">{len(units) // 2}H", units)))
    return halves.encode("utf-8", "surrogatepass").replace(b"\0", b"\xc0\x80")


def decode(data: bytes) -> str:
    """The text that `data` is; UnicodeDecodeError, which points at the first character that cannot be."""
    if data.isascii() and 0 not in data:
        return data.decode("ascii")
    try:
        if 0 not in data and max(data) < 0xF0:
            halves = data.replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass")
            return halves.encode("utf-16-be", "surrogatepass").decode("utf-16-be")
    except UnicodeDecodeError:
        pass
    bad = _first_bad(data)
    raise UnicodeDecodeError(_NAME, data, bad, bad + 1, "no modified UTF-8")


def _first_bad(data: bytes) -> int:
    """Where the first character begins that cannot be; behind the end if all can."""
    at = width = 0
    while at < len(data):
        first, second = data[at], data[at + 1] if at + 1 < len(data) else 0
        if 0 < first < 0x80:
            width = 1
        elif first < 0xE0:
            width = 2 if first >= 0xC2 or (first, second) == (0xC0, 0x80) else 0
        elif first == 0xED and second >= 0xA0:
            # The first half of a pair, and the other one right behind it.
            low = data[at + 3 : at + 5]
            width = 6 if second < 0xB0 and len(low) == 2 and low[0] == 0xED and low[1] >= 0xB0 else 0
        else:
            width = 3 if first < 0xF0 and not (first == 0xE0 and second < 0xA0) else 0
        if width == 0 or not _continues(data, at + 1, min(width, 3) - 1):
            return at
        if width == 6 and not _continues(data, at + 4, 2):
            return at
        at += width
    return at


def _continues(data: bytes, at: int, count: int) -> bool:
    # Without a generator: CPython 3.12 and 3.13 crash where there is no memory to make one.
    for byte in data[at : at + count]:
        if not 0x80 <= byte < 0xC0:
            return False
    return len(data) >= at + count
