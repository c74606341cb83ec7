"""Messages of several record classes in Python, behind a tag: the twin of `_native.messages`.

A class is lowered when it is first met, because it may name another one that is declared behind it.
"""

from __future__ import annotations

from .. import errors
from .records import unpack_behind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from typing_extensions import Buffer

    from .records import Program

__all__ = ["Codec"]


class Codec:
    """How messages stand on the wire: `rows` are (number, bytes of the tag, class); `tag` is the program of
    the tag, None if there is one class without; `lower` gives the program of a class."""

    def __init__(
        self,
        name: str,
        tag: Program | None,
        rows: list[tuple[int, bytes, type]],
        lower: Callable[[Any], Program],
    ) -> None:
        self._name = name
        self._tag = tag
        self._lower = lower
        self._wires = {cls: wire for _, wire, cls in rows}
        self._numbers = {number: cls for number, _, cls in rows}
        self._only = rows[0][2] if tag is None else None

    def encode(self, message: Any, /) -> bytes:
        """The tag and the bytes of `message`; EncodeError as its `pack`, or if its class has no tag."""
        cls = type(message)
        if self._only is not None and isinstance(message, self._only):
            cls = self._only
        wire = self._wires.get(cls)
        if wire is None:
            names = ", ".join(cls.__name__ for cls in self._wires)
            one = f"one of {names}" if self._only is None else f"a {names}"
            raise errors.record_type(self._name, (), one, message)
        return wire + self._lower(cls).pack(message)

    def decode(self, data: Buffer, /) -> Any:
        """The record that `data` is; RecordError as its `unpack`, or for a tag that is not in the table."""
        if self._tag is None:
            return self._lower(self._only).unpack(data)
        found, at = self._tag.unpack_from(data)
        cls = self._numbers.get(found.tag)
        if cls is None:
            raise errors.record_fault(errors.TAG, self._name, ("tag",), 0, found.tag)
        return unpack_behind(self._lower(cls), data, at)
