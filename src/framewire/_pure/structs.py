"""`Struct`: `struct.Struct` in the standard sizes, with errors that name the value; the twin of
`_native.structs`.

Python's own does the work. It says of an error only what the code is, so the values are tried again then, one
by one, to find the one that failed and why.
"""

from __future__ import annotations

import re
import struct
from math import fabs
from operator import index

from .. import _formats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NoReturn, SupportsIndex

    from typing_extensions import Buffer

__all__ = ["Struct"]


class Struct:
    """`struct.Struct` for formats of standard size, those that begin with `>`, `!`, `<` or `=`.

    A drop-in: the same calls, arguments, results and types of exceptions; `struct.error` says which value is
    wrong, and where. Native formats (`@`, no order in front, the codes n, N and P) are refused with
    `struct.error`: what depends on the machine is not for the wire. A Struct never changes, so threads may
    share it.

    What the value's own `__index__` raises passes through; what its `__float__` raises becomes the cause of a
    `struct.error`. After an error of `pack_into` some of the values may have been written.

    >>> from framewire import Struct
    >>> header = Struct(">BBHI")
    >>> header.pack(1, 2, 3, 4).hex(" ")
    '01 02 00 03 00 00 00 04'
    >>> header.unpack_from(b"....\\1\\2\\0\\3\\0\\0\\0\\4", -8)
    (1, 2, 3, 4)
    >>> header.pack(1, 2, 70000, 4)
    Traceback (most recent call last):
    struct.error: Struct('>BBHI').pack: value 2 ('H' at offset 2): 70000 is not in 0..65535
    """

    __slots__ = ("_format", "_struct", "__weakref__")

    def __init__(self, format: str | bytes) -> None:
        if isinstance(format, bytes):
            format = format.decode("latin-1")
        elif not isinstance(format, str):
            raise _formats.bad_type(format)
        else:
            format.encode("ascii")
        if hasattr(self, "_struct"):
            raise RuntimeError("a Struct does not change")
        if format[:1] not in tuple(_formats.ORDERS):
            raise _formats.bad_format(format)
        try:
            # Python 3.11 fails on 0p, which is the same as 0s.
            self._struct = struct.Struct(re.sub(r"(?<!\d)(0+)p", r"\1s", format))
        except (struct.error, UnicodeEncodeError):
            raise _formats.bad_format(format) from None
        self._format = str(format)

    @property
    def format(self) -> str:
        """The format as it was given."""
        return self._format

    @property
    def size(self) -> int:
        """How many bytes `pack` gives."""
        return self._struct.size

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.format!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    def pack(self, /, *values: Any) -> bytes:
        """The values as bytes; struct.error names the one that cannot be packed."""
        try:
            return self._struct.pack(*values)
        except (struct.error, OverflowError) as error:
            reason = self._reason("pack", values, error)
            raise reason from reason.__cause__

    def pack_into(self, /, *arguments: Any) -> None:
        """Given a buffer, an offset and values, pack these into the writable buffer. A negative offset counts
        from its end."""
        try:
            self._struct.pack_into(*arguments)
        except (struct.error, OverflowError) as error:
            reason = self._reason("pack_into", arguments, error)
            raise reason from reason.__cause__

    def unpack(self, buffer: Buffer, /) -> tuple[Any, ...]:
        """The values in a buffer of `size` bytes, as a tuple."""
        try:
            return self._struct.unpack(buffer)
        except struct.error:
            raise _formats.bad_size(self.format, self.size, memoryview(buffer).nbytes) from None

    def unpack_from(self, /, buffer: Buffer, offset: SupportsIndex = 0) -> tuple[Any, ...]:
        """The values at `offset` of a buffer, which counts from the end if it is negative."""
        try:
            return self._struct.unpack_from(buffer, offset)  # type: ignore[arg-type]
        except struct.error:
            size = memoryview(buffer).nbytes
            raise _formats.bad_place(self.format, "unpack_from", self.size, index(offset), size) from None

    def iter_unpack(self, buffer: Buffer, /) -> Iterator[tuple[Any, ...]]:
        """An iterator over the tuples in a buffer of a multiple of `size` bytes, at least one byte each."""
        try:
            return self._struct.iter_unpack(buffer)
        except struct.error:
            if self.size == 0:
                raise _formats.uncountable(self.format) from None
            raise _formats.bad_multiple(self.format, self.size, memoryview(buffer).nbytes) from None

    def _reason(self, call: str, values: tuple[Any, ...], error: Exception) -> Exception:
        """Why Python's own refused the arguments, or `error` where it does not do so again."""
        into = call == "pack_into"
        need = _formats.count(self.format) + 2 * into
        if len(values) != need:
            return _formats.bad_count(self.format, call, need, len(values))
        if into:
            buffer, offset, *rest = values
            offset, size, values = index(offset), memoryview(buffer).nbytes, tuple(rest)
            if not (-size <= offset <= -self.size if offset < 0 else self.size <= size - offset):
                return _formats.bad_place(self.format, call, self.size, offset, size)
        for i, (code, value) in enumerate(zip(_formats.codes(self.format), values)):
            reason = self._reason_of_value(call, i, code, value)
            if reason is not None:
                return reason
        return error

    def _reason_of_value(self, call: str, i: int, code: str, value: Any) -> Exception | None:
        cause = number = None
        if code in "efd":
            try:
                fabs(value)
            except BaseException as error:
                cause = error
        elif code not in "?csp" and not isinstance(value, int) and hasattr(type(value), "__index__"):
            # What it raises, it has raised before: that is its own.
            number = index(value)
        try:
            if code != "?":
                struct.pack(">" + code, value if number is None else number)
        except struct.error:
            reason = _formats.bad_value(self.format, call, i, value, number)
            reason.__cause__ = cause
            return reason
        except OverflowError:
            return _formats.bad_float(self.format, call, i)
        return None
