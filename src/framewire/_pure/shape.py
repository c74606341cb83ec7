"""What reading and writing records share: the kinds of types, the letters of `struct`, and the exceptions.

Shortage, faults and refusals are exceptions that collect the path on their way out, so success pays nothing.
"""

from __future__ import annotations

import struct

from .. import errors
from .plan import UINT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Read: TypeAlias = Callable[[Any, int, int, int], tuple[Any, int]]
    Write: TypeAlias = Callable[[Any, bytearray, int], object]
    Skip: TypeAlias = Callable[[Any, int, int, int], int]
    Path: TypeAlias = tuple[str, ...]  # names of fields, from a record inwards

NUMBER, FLOAT, BOOL, STR, BYTES, REST, CONST, PAD, LIST, ARRAY, RECORD, ENUM = range(12)
TEXT, BINARY, VIEW, LISTED, ARRAYED, CSTR, FIXED, REPEAT, ROW, CODEC = range(20, 30)
ONEOF, WHEN, BITS, SIZE = range(40, 44)
VALUELESS = (CONST, PAD, SIZE)

FAR = (1 << 63) - 1
NATIVE_LITTLE = struct.pack("=H", 1) == b"\1\0"
FLOATS = {2: "e", 4: "f", 8: "d"}
_INTEGERS = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Wrong(Exception):
    """Bytes that are no record; `path` collects names and indices from the inside out."""

    def __init__(self, code: int, offset: int, a: object = 0, b: object = 0) -> None:
        self.code = code
        self.offset = offset
        self.a = a
        self.b = b
        self.path: list[str | int] = []

    def error(self, record: str) -> errors.RecordError:
        return errors.record_fault(self.code, record, self.path[::-1], self.offset, self.a, self.b)


class Refused(Exception):
    """A value that its field cannot say: `make(record, path, *details)` is the error."""

    def __init__(self, make: Any, *details: object) -> None:
        self.make = make
        self.details = details
        self.path: list[str | int] = []

    def error(self, record: str) -> errors.EncodeError:
        made: errors.EncodeError = self.make(record, self.path[::-1], *self.details)
        return made


class More(Exception):
    """At least `size` more bytes are needed."""

    def __init__(self, size: int) -> None:
        self.size = size


def short(at: int, size: int, need: int) -> Wrong:
    return Wrong(errors.SHORT, at, need, size - at)


def code_of(kind: tuple[Any, ...]) -> tuple[str, str] | None:
    """The byte order and the letter of `struct` for a number that it knows."""
    if kind[0] == FLOAT:
        return "<" if kind[4] else ">", FLOATS[kind[3]]
    if kind[0] == NUMBER and kind[3][0] == UINT and kind[3][1] in _INTEGERS:
        letter = _INTEGERS[kind[3][1]]
        return "<" if kind[3][2] else ">", letter.lower() if kind[3][3] else letter
    return None


def has_null(kind: tuple[Any, ...]) -> bool:
    """Whether None is a value of the type, and can be written."""
    at = {TEXT: 8, BINARY: 8, VIEW: 8, LISTED: 7, ARRAYED: 8}.get(kind[0])
    return at is not None and kind[at][2] is not None
