"""Cursors in Python: reading and writing one value after the other; the twin of `_native.cursors`."""

from __future__ import annotations

from operator import index as to_index
from types import MethodType

from .. import errors
from .records import _bytes
from .shape import Wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, SupportsIndex

    from typing_extensions import Buffer

__all__ = ["ReadMethod", "Reader", "WriteMethod", "Writer"]


class Reader:
    """Reads one value after the other out of a buffer, which it holds."""

    __slots__ = ("_data", "_size", "_at")

    def __init__(self, buffer: Buffer) -> None:
        if hasattr(self, "_data"):
            raise RuntimeError("a Reader has one buffer")
        self._data = _bytes(buffer)
        self._size = len(self._data)
        self._at = 0

    def tell(self) -> int:
        """Where the next value is read, in bytes from the beginning of the buffer."""
        return self._at

    def seek(self, offset: SupportsIndex) -> None:
        """Read on at `offset`; IndexError, and no change, if it is not in the buffer."""
        at = to_index(offset)
        if not 0 <= at <= self._size:
            raise errors.bad_offset(at, self._size)
        self._at = at

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return self._size - self._at

    def view(self, count: SupportsIndex) -> memoryview:
        """The next `count` bytes, as a view of the buffer: no copy. Errors as of `bytes`."""
        start = self._taken(count, "view")
        return self._data[start : self._at]

    def read_by(self, shape: Any) -> Any:
        """The next record of a record class's program, or value of a Row with one type."""
        program = getattr(shape, "program", shape)
        try:
            value, self._at = program.read(self._data, self._at, self._size, 1)
        except Wrong as wrong:
            error = wrong.error(program.name)
        else:
            return value[0] if program.cls is tuple else value
        try:
            raise error
        finally:
            del error  # or it would hold itself, and the buffer, by its traceback

    def take(self, count: SupportsIndex) -> bytes:
        """The next `count` bytes; RecordError if fewer are left, ValueError for a negative count."""
        start = self._taken(count, "bytes")
        return bytes(self._data[start : self._at])

    def _taken(self, count: SupportsIndex, call: str) -> int:
        """Where the next `count` bytes begin, which are passed over."""
        size, start = to_index(count), self._at
        if size < 0:
            raise errors.bad_count(size)
        if size > self._size - start:
            raise errors.record_fault(errors.SHORT, "Reader", (call,), start, size, self._size - start)
        self._at = start + size
        return start


class Writer:
    """Writes one value after the other, into memory that grows."""

    __slots__ = ("_room", "_used")

    def __init__(self, capacity: SupportsIndex = 0) -> None:
        size = to_index(capacity)
        if size < 0:
            raise errors.bad_count(size)
        self._room, self._used = bytearray(size), 0

    def tell(self) -> int:
        """How many bytes are written."""
        return self._used

    def getvalue(self) -> bytes:
        """What is written, as bytes."""
        return bytes(self.getbuffer())

    def getbuffer(self) -> memoryview:
        """What is written, as a writable view: no copy. While there is one, a write that needs more memory is
        BufferError."""
        return memoryview(self._room)[: self._used]

    def write_by(self, shape: Any, value: object) -> None:
        """Write a record by its class's program, or a value by a Row with one type."""
        self._append(shape.pack(value))

    def replace(self, start: int, stop: int, data: bytes) -> None:
        """Put bytes in place of those from `start` to `stop`; what stands behind moves."""
        if not 0 <= start <= stop <= self._used:
            raise errors.bad_offset(stop, self._used)
        moved = data + self._room[stop : self._used]
        self._reserve(start + len(moved) - self._used)
        self._used = start + len(moved)
        self._room[start : self._used] = moved

    def add(self, data: Buffer) -> None:
        """Write the bytes of a buffer as they are."""
        self._append(_bytes(data))

    def _reserve(self, size: int) -> None:
        """Have room for so many more bytes."""
        room = len(self._room)
        if size > room - self._used:
            self._room += bytes(max(2 * room, self._used + size) - room)

    def _append(self, data: bytes | memoryview) -> None:
        self._reserve(len(data))
        end = self._used + len(data)
        self._room[self._used : end] = data
        self._used = end


class _Method:
    __slots__ = ("_name", "_shape")

    def __init__(self, name: str, shape: Any) -> None:
        self._name = name
        self._shape = shape

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self if instance is None else MethodType(self, instance)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"<method {self._name!r}>"

    @property
    def __name__(self) -> str:
        return self._name


class ReadMethod(_Method):
    """A method of readers: the next value, of the type that it is named after."""

    __slots__ = ()

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if len(arguments) != 1 or options or not isinstance(arguments[0], Reader):
            raise errors.method_arguments("Reader", self._name, 0)
        return arguments[0].read_by(self._shape)


class WriteMethod(_Method):
    """A method of writers: write a value of the type that it is named after."""

    __slots__ = ()

    def __call__(self, *arguments: Any, **options: Any) -> None:
        if len(arguments) != 2 or options or not isinstance(arguments[0], Writer):
            raise errors.method_arguments("Writer", self._name, 1)
        arguments[0].write_by(self._shape, arguments[1])
