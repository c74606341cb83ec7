"""Field types that decide about other fields of a record.

`oneof` is a tag that says which record follows, `when` a field that an earlier one says to be there, `bits`
some bits of an integer that several fields share, `size` the number of bytes behind it. They stand right of
`=`; the annotation is what a type checker sees, and the value that the field holds. What they decide is
written and checked by themselves: no tag and no size is an attribute.
"""

from __future__ import annotations

from .errors import DeclarationError
from .fields import (
    BITS,
    ONEOF,
    SIZE,
    UINT,
    WHEN,
    FieldType,
    need_int,
    need_length_type,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal

    from .fields import LengthLike

__all__ = ["oneof", "when", "bits", "size"]

_MOST_ROOM = 65535


def oneof(number: LengthLike, table: Mapping[int, Any], *, default: Any = ...) -> Any:
    """One of several records, behind a tag of type `number`; `table` maps each tag to its record class.

    The annotation is the union of these classes, or a list of it. The class of the value decides the tag; a
    value of any other class is EncodeError, a tag that is not in the table RecordError with the reason
    `bad-tag`. A class that is declared further down is named by a string.

    >>> from framewire import Record, list_u8, oneof, str_u8, u8, u16
    >>> class Point(Record):
    ...     x: u16
    >>> class Label(Record):
    ...     text: str_u8
    >>> class Drawing(Record):
    ...     first: Point | Label = oneof(u8, {1: Point, 2: Label})
    ...     others: list_u8[Point | Label] = oneof(u8, {1: Point, 2: Label})
    >>> Drawing(Point(7), [Label("a")]).pack()
    b'\\x01\\x00\\x07\\x01\\x02\\x01a'
    >>> Drawing.unpack(b"\\3")
    Traceback (most recent call last):
    framewire.errors.RecordError: Drawing.first: the tag 3 at offset 0 is not in the table
    """
    field = need_length_type("oneof", "number", number)
    rows = tuple(dict(table).items())
    shown = ", ".join(f"{tag}: {getattr(cls, '__name__', cls)}" for tag, cls in rows)
    if not rows:
        raise DeclarationError("oneof: the table is empty")
    return FieldType(f"oneof({field!r}, {{{shown}}})", ONEOF, field, rows, default)


def when(
    field: str,
    *,
    mask: int | None = None,
    equals: int | None = None,
    type: Any = None,
    default: Any = ...,
) -> Any:
    """A field that is there only if an earlier one says so, and None otherwise.

    `field` names a number, a bool, an enumeration or bits further up, in this record or, with dots, in one
    that this record contains. With `mask` the field is there if one of these bits is set; with `equals` if
    the number, or its bits in `mask`, equal it; with neither if the number is not 0. A number that is not
    there itself says no. `type` is what stands right of `=` for a field that is always there. The earlier
    field is yours to set: a value that it denies, or None where it promises one, is EncodeError; but of a
    type with `null`, None is a value too.

    >>> from framewire import Record, str_u8, u8, u32, when
    >>> class Message(Record):
    ...     flags: u8
    ...     sequence: u32 | None = when("flags", mask=0x01, default=None)
    ...     note: str_u8 | None = when("flags", mask=0x02, default=None)
    >>> Message(0).pack(), Message(2, note="hi").pack()
    (b'\\x00', b'\\x02\\x02hi')
    >>> Message.unpack(b"\\1\\0\\0\\0\\7")
    Message(flags=1, sequence=7, note=None)
    >>> Message(0, note="hi").pack()
    Traceback (most recent call last):
    framewire.errors.EncodeError: Message.note: flags says that it is not there, so it must be None, not str
    """
    if not isinstance(field, str):
        raise TypeError(f"when: field must be a str, not {_name(field)}")
    options = []
    for name, value in (("mask", mask), ("equals", equals)):
        if value is not None:
            # A bool, or a member of an enumeration, is as good a number.
            number = int(value) if isinstance(value, int) else value
            need_int("when", name, number, 1 if name == "mask" else -(1 << 63), (1 << 64) - 1)
            options.append(f", {name}={number:#x}" if name == "mask" else f", {name}={number}")
    if mask is not None and equals is not None and int(equals) & ~int(mask):
        raise DeclarationError(f"when: equals={int(equals)} has bits that are not in mask={int(mask):#x}")
    options += [] if type is None else [f", type={type!r}"]
    condition = (tuple(field.split(".")), mask, equals, type)
    return FieldType(f"when({field!r}{''.join(options)})", WHEN, None, condition, default)


def _name(value: object) -> str:
    return value.__class__.__name__


def bits(count: int, *, of: LengthLike | None = None, default: Any = ...) -> Any:
    """`count` bits (1 to 64) of an unsigned integer that this and the neighbouring fields of bits share.

    The first of them says with `of` which integer it is, of fixed width; the first has its most significant
    bits, and together they must have all of them. The annotation is `bool` for a single bit, an IntEnum, or
    else `int`; an IntEnum must have the number, unless the annotation is `Kind | int`.

    >>> from framewire import Record, bits, u16
    >>> class Flags(Record):
    ...     response: bool = bits(1, of=u16)
    ...     opcode: int = bits(4, default=0)
    ...     other: int = bits(11, default=0)
    >>> Flags(True, opcode=2).pack(), Flags.unpack(b"\\x08\\x01")
    (b'\\x90\\x00', Flags(response=False, opcode=1, other=1))
    >>> Flags(False, 16).pack()
    Traceback (most recent call last):
    framewire.errors.EncodeError: Flags.opcode: 16 is not in 0..15
    """
    need_int("bits", "count", count, 1, 64)
    field, shown = None, ""
    if of is not None:
        field, shown = need_length_type("bits", "of", of), f", of={of!r}"
        if field.spec[0] != UINT or field.spec[3]:
            raise DeclarationError(f"bits: of={field!r} must be an unsigned integer of fixed width")
    return FieldType(f"bits({count}{shown})", BITS, field, count, default)


if TYPE_CHECKING:

    def size(number: LengthLike, *, plus: int = 0, init: Literal[False] = False) -> Any: ...

else:

    def size(number, *, plus=0):
        """The number of bytes behind this field in its record, plus `plus`, as a number of type `number`.

        It is written by itself and is no attribute. Reading, it bounds the record: what does not fill these
        bytes, or needs more, is RecordError with the reason `bad-size`. So `rest` may stand in a record that
        has a size wherever that record stands, and `missing` tells exactly what is missing. `plus` (-65535
        to 65535) is what else the number counts: 4 if a u32 counts itself.

        >>> from framewire import Record, list_u8, rest, size, u8, u16
        >>> class Item(Record):
        ...     length: int = size(u16, plus=2)
        ...     kind: u8
        ...     data: rest
        >>> class Items(Record):
        ...     items: list_u8[Item]
        >>> Items([Item(1, b"ab"), Item(2, b"")]).pack()
        b'\\x02\\x00\\x05\\x01ab\\x00\\x03\\x02'
        >>> Item.missing(b"\\0"), Item.missing(b"\\0\\7\\1")
        (2, 4)
        """
        field = need_length_type("size", "number", number)
        need_int("size", "plus", plus, -_MOST_ROOM, _MOST_ROOM)
        more = f", plus={plus}" if plus else ""
        return FieldType(f"size({field!r}{more})", SIZE, field, plus)
