"""Packing without record classes: `Packer` for tuples, `record` for a class out of a line of text, and
`Struct`, the standard library's words for fixed layouts.
"""

from __future__ import annotations

import sys

from . import _backend, errors
from ._layouts import need_names, row_of, rows, shown
from .errors import DeclarationError
from .records import Record, RecordType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, Literal

    from typing_extensions import Buffer

__all__ = ["Packer", "Struct", "record"]

Struct = _backend.structs.Struct


class Packer(_backend.packers.Row):
    """Values in a row, without a class: what `pack` takes are arguments, what `unpack` gives is a tuple.

    `text` has the field types, with spaces or commas between them: names such as `u8`, `bool` or `str_u16`,
    calls such as `digits(5)` or `pad(2)`, lists (`u32[u16]`: u32s, counted by a u16), tuples (`(u8, f64)`),
    and the names of record classes that `names` gives. Errors are those of records, with the number of the
    value in brackets. DeclarationError for text that is no such list. A Packer never changes, so threads may
    share it.

    >>> from framewire import Packer
    >>> packer = Packer("u8 u16 str_u16 u32[u16]")
    >>> data = packer.pack(1, 2, "abc", [3, 4])
    >>> data.hex(" ")
    '01 00 02 00 03 61 62 63 00 02 00 00 00 03 00 00 00 04'
    >>> packer.unpack(data)
    (1, 2, 'abc', [3, 4])
    >>> packer.unpack(data[:-1])
    Traceback (most recent call last):
    framewire.errors.RecordError: Packer[3][1]: 4 bytes needed at offset 14, 3 left
    >>> packer.pack(1, 70000, "abc", [])
    Traceback (most recent call last):
    framewire.errors.EncodeError: Packer[1]: 70000 is not in 0..65535
    """

    __slots__ = ("_text", "_names", "_least", "_fixed")

    def __init__(self, text: str, names: Mapping[str, type[Record]] | None = None) -> None:
        parsed = rows("Packer", text, names, False)
        cls, fields = row_of("Packer", parsed)
        super().__init__("Packer", fields)
        self._least: int = cls._layout.size[0]
        self._fixed: bool = cls._layout.size[1]
        self._names = dict(names or {})
        self._text = " ".join(shown(kind if given is ... else given) for kind, _, given in parsed)

    @property
    def fixed_size(self) -> int | None:
        """How many bytes `pack` always gives, None where that differs."""
        return self._least if self._fixed else None

    @property
    def min_size(self) -> int:
        """The fewest bytes that `pack` can give."""
        return self._least

    def iter_unpack(self, data: Buffer) -> Iterator[tuple[Any, ...]]:
        """The tuples that stand in `data` one behind the other, each made when it is asked for.

        RecordError as `unpack`, also for a last one that is not whole; its offset is that in `data`.
        DeclarationError for a Packer whose values may have no bytes.

        >>> from framewire import Packer
        >>> list(Packer("u8 str_u8").iter_unpack(b"\\1\\1a\\2\\2bc"))
        [(1, 'a'), (2, 'bc')]
        """
        if self._least == 0:
            raise errors.record_uncountable("Packer")
        view, at = memoryview(data), 0
        while at < view.nbytes:
            values, at = self.unpack_from(view, at)
            yield values

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        more = "".join(f", {name}" for name in self._names)
        return f"Packer({self._text!r}{', {' + more[2:] + '}' if more else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Packer, (self._text, self._names)


def record(
    name: str,
    fields: str,
    names: Mapping[str, type[Record]] | None = None,
    *,
    frozen: bool = False,
    kw_only: bool = False,
    byteorder: Literal["big", "little"] = "big",
    extensible: bool = False,
) -> type[Record]:
    """A record class with fields out of text: `u8 version, u16[u8] ports, str_u8 host = ""`.

    Each field is a type as in a `Packer`, a name, and maybe a default, or what else stands right of `=` in a
    class (`u8 version = const(2)`). `names` has the classes that the text names. `__layout__` of any class is
    such text; the options, which are those of a class, are not in it. DeclarationError for text that is none,
    or for a record that cannot be.

    >>> from framewire import record
    >>> Header = record("Header", "u8 version = const(2), u8 kind, u16[u8] ports = []")
    >>> Header(7, [80]).pack().hex(" ")
    '02 07 01 00 50'
    >>> Header.__layout__
    'u8 version = const(2), u8 kind, u16[u8] ports = []'
    """
    parsed = rows(name, fields, {name: name, **need_names(name, names)}, True)
    annotations = {field: kind for kind, field, _ in parsed}
    for field in annotations:
        if field.startswith("__"):
            raise DeclarationError(f"{name}.{field}: a field cannot begin with two underscores")
    if len(annotations) != len(parsed):
        raise DeclarationError(f"{name}: two fields have one name")
    given = {field: value for _, field, value in parsed if value is not ...}
    module = sys._getframe(1).f_globals.get("__name__", __name__)
    options: dict[str, Any] = {"frozen": frozen, "kw_only": kw_only}
    options |= {"byteorder": byteorder, "extensible": extensible}
    space = {**given, "__annotations__": annotations, "__module__": module, "__qualname__": name}
    return RecordType(name, (Record,), space, **options)  # type: ignore[return-value]
