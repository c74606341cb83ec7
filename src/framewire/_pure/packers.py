"""Records without a class, in Python: values from the arguments of a call, and into a tuple; the twin of
`_native.packers`.
"""

from __future__ import annotations

from .. import errors
from .records import Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, SupportsIndex

    from typing_extensions import Buffer

__all__ = ["Row"]


class Row:
    """Values in a row, `name` in errors; `fields` are (name or number, type)."""

    def __init__(self, name: str, fields: tuple[tuple[str | int, tuple[Any, ...]], ...]) -> None:
        self._name = name
        self._program = Program(name, tuple)
        self._program.build(fields)  # type: ignore[arg-type]
        self._pack = self._program.calls()["pack"]
        self._count = self._program.values

    @property
    def program(self) -> Any:
        """What the type of a field that is such a row has of it."""
        return self._program

    def pack(self, /, *values: Any) -> bytes:
        """The values as bytes. EncodeError names one that cannot be packed; TypeError for a wrong number."""
        if len(values) != self._count:
            raise errors.row_count(self._name, "pack", self._count, len(values))
        return self._pack(values)  # type: ignore[no-any-return]

    def pack_into(self, /, *arguments: Any) -> int:
        """Given a writable buffer, an offset and values, pack these into the buffer; returns where they end.

        Errors as of `pack`; BufferError if they do not fit, IndexError if the offset is not in the buffer,
        TypeError if that is read-only. After an error nothing was written."""
        if len(arguments) - 2 != self._count:
            raise errors.row_count(self._name, "pack_into", self._count + 2, len(arguments))
        buffer, offset, *values = arguments
        return self._program.pack_into(tuple(values), buffer, offset)

    def unpack(self, data: Buffer, /) -> tuple[Any, ...]:
        """The values that `data` is, as a tuple. RecordError if it is no such row, or has more bytes."""
        return self._program.unpack(data)  # type: ignore[no-any-return]

    def unpack_from(self, data: Buffer, offset: SupportsIndex = 0) -> tuple[tuple[Any, ...], int]:
        """(the values at `offset` as a tuple, where they end); RecordError, IndexError for a bad offset."""
        return self._program.unpack_from(data, offset)

    def missing(self, data: Buffer, offset: SupportsIndex = 0) -> int:
        """How many bytes the values at `offset` lack at least, 0 if they are whole; errors as unpack_from."""
        return self._program.missing(data, offset)
