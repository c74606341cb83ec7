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
    """The text that `data` is; UnicodeDecodeError, which points at the first byte that cannot be."""
    if data.isascii() and 0 not in data:
        return data.decode("ascii")
    bad = _first_bad(data)
    if bad is not None:
        raise UnicodeDecodeError(_NAME, data, bad, bad + 1, "no modified UTF-8")
    halves = data.replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass")
    return halves.encode("utf-16-be", "surrogatepass").decode("utf-16-be")


def _first_bad(data: bytes) -> int | None:
    """Where the first character begins that cannot be; None if all can."""
    at = 0
    while at < len(data):
        first = data[at]
        follow = 0 if 0 < first < 0x80 else 1 if first < 0xE0 else 2
        if data[at : at + 2] == b"\xc0\x80":
            at += 2
            continue
        if not (0 < first < 0x80 or 0xC2 <= first < 0xF0) or not _continues(data, at + 1, follow):
            return at
        if first == 0xE0 and data[at + 1] < 0xA0:
            return at
        if first == 0xED and data[at + 1] >= 0xA0:
            low = data[at + 3 : at + 6]
            if data[at + 1] >= 0xB0 or len(low) < 3 or low[0] != 0xED or low[1] < 0xB0:
                return at
            if not _continues(data, at + 4, 2):
                return at
            follow = 5
        at += 1 + follow
    return None


def _continues(data: bytes, at: int, count: int) -> bool:
    return len(data) >= at + count and all(0x80 <= byte < 0xC0 for byte in data[at : at + count])
