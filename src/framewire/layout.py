"""What a record looks like on the wire, drawn from its class, and given bytes taken apart.

Each row is a field: where it begins, how many bytes it has, its name and its type as they were declared.
Where something in front varies, an offset is the least one, with a plus behind it; a plus in front of it
counts from the begin of an item. Bits are counted from the most significant of their integer. The values
beside given bytes are what the record's own program reads, field by field, so that a drawing cannot disagree
with it.
"""

from __future__ import annotations

from . import _backend
from ._lowering import Recorded, default_of, final, is_record, is_steady, least_of, lowered, may_lack
from .errors import RecordError
from .fields import BITS, CONST, LIST, NUMBER, ONEOF, PAD, RECORD, SIZE, WHEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TypeAlias

    from typing_extensions import Buffer

    # (offset, bytes, name, what they mean)
    Piece: TypeAlias = tuple[int, bytes, str, str]

__all__ = ["explain_record"]

_SHOWN_BYTES = 12
_SHOWN_ITEMS = 20
_SHOWN_TEXT = 60
_MOST_ROWS = 400


def explain_record(cls: Any, data: Buffer | None = None) -> str:
    """A drawing of a record class as lines of ASCII text; with `data`, the bytes of one record beside it.

    TypeError for what is no record class. Thread-safe.

    >>> from framewire import Record, bits, str_u8, u8, u16
    >>> class Header(Record):
    ...     urgent: bool = bits(1, of=u8)
    ...     level: int = bits(7)
    ...     name: str_u8
    ...     port: u16
    >>> print(explain_record(Header, b"\\x83\\2hi\\0P"))
    record     Header: at least 4 bytes
    <BLANKLINE>
    offset     size       field                    type
    0.0        1 bit      urgent                   bool = bits(1, of=u8)
    0.1        7 bits     level                    int = bits(7)
    1          1..256     name                     str_u8
    2+         2          port                     u16
    <BLANKLINE>
    0          83                                    urgent = True
    0                                                level = 3
    1          02 68 69                              name = 'hi'
    4          00 50                                 port = 80
    """
    if not is_record(cls):
        raise TypeError(f"explain_record: {cls!r} is no record class")
    size = lowered(cls).size
    exact = f"{size[0]} bytes" if size[1] else f"at least {size[0]} bytes"
    order = ", little-endian" if cls._layout.little else ""
    lines = [_line("record", f"{cls.__name__}: {exact}{order}"), "", _row("offset", "size", "field", "type")]
    lines += [_row(*cells) for cells in _rows(cls, 0, True, "", (), cls._layout.extensible)]
    if data is not None:
        lines += ["", *_taken_apart(cls, bytes(memoryview(data).cast("B")))]
    return "\n".join(line.rstrip() for line in lines).encode("ascii", "backslashreplace").decode("ascii")


def _line(first: str, rest: str) -> str:
    return f"{first:<10} {rest}"


def _row(offset: str, size: str, field: str, what: str) -> str:
    return f"{offset:<10} {size:<10} {field:<24} {what}"


# --- the drawing ----------------------------------------------------------------------------------------


def _rows(
    cls: Recorded, at: int, exact: bool, prefix: str, outer: tuple[Recorded, ...], extensible: bool
) -> Iterator[tuple[str, str, str, str]]:
    """The fields of a class that begins at `at`: exactly, or at least."""
    layout = lowered(cls)
    for name, kind in layout.types:
        place = f"{at}" if exact else f"{at}+"
        inner = kind[3] if kind[0] == WHEN else kind
        what = _declared(cls, name)
        if kind[0] == BITS:
            width = 8 * kind[3][1]
            count = kind[5].bit_length()
            bit = width - kind[6] - count
            begin = at if kind[7] else at - kind[3][1]
            plural = "" if count == 1 else "s"
            place = f"{begin}{'' if exact else '+'}.{bit}"
            yield place, f"{count} bit{plural}", prefix + name, what
        elif inner[0] == RECORD and inner[3] not in (*outer, cls):
            yield place, _size(kind), prefix + name, what
            yield from _rows(inner[3], at, exact, f"{prefix}{name}.", (*outer, cls), False)
        else:
            yield place, _size(kind), prefix + name, what
            yield from _inner_rows(inner, f"{prefix}{name}", (*outer, cls))
        at += least_of(kind)
        exact = exact and is_steady(kind)
    if extensible:
        yield (f"{at}" if exact else f"{at}+"), "0..", "", "whatever a later version adds, ignored"


def _inner_rows(
    kind: tuple[Any, ...], name: str, outer: tuple[Recorded, ...]
) -> Iterator[tuple[str, str, str, str]]:
    """What the items of a list, or the choices of a oneof, are made of; their offsets begin anew."""
    while kind[0] == LIST:
        kind, name = kind[6], f"{name}[]"
    if kind[0] == RECORD and kind[3] not in outer:
        yield from _relative(_rows(kind[3], 0, True, f"  {name}.", outer, False))
    elif kind[0] == ONEOF:
        for tag, cls in kind[6]:
            yield "", "", f"  {name}", f"{tag}: {cls.__name__}{'' if cls in outer else ', behind the tag'}"
            if cls not in outer:
                yield from _relative(_rows(cls, 0, True, f"    {name}.", outer, False))


def _relative(rows: Iterator[tuple[str, str, str, str]]) -> Iterator[tuple[str, str, str, str]]:
    for offset, size, name, what in rows:
        yield f"  +{offset}" if offset else "", size, name, what


def _size(kind: tuple[Any, ...]) -> str:
    """How many bytes a type has: one number, or the least and the most."""
    least = least_of(kind)
    if kind[0] == WHEN:
        inner = _size(kind[3])
        return f"0 or {inner}"
    if is_steady(kind):
        return str(least)
    if kind[0] == NUMBER or kind[0] == SIZE:
        return f"{least}..{kind[3][1]}"
    most = kind[5] + least if kind[0] in (3, 4) and kind[3][0] == 1 else None
    return f"{least}..{most if most is not None and most < 1 << 24 else ''}"


def _declared(cls: Recorded, name: str) -> str:
    """The type of a field as it was written."""
    layout = cls._layout
    base: Any = cls
    while name not in base._layout.own:
        base = base._layout.base
    given, annotation = layout.given.get(name, ...), base._layout.annotations[name]
    text = annotation if isinstance(annotation, str) else _named(annotation)
    return text.replace("fw.", "") + ("" if given is ... else f" = {given!r}")


def _named(annotation: object) -> str:
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return "None" if annotation is type(None) else annotation.__name__
    choices = getattr(annotation, "__args__", None)
    if getattr(annotation, "__origin__", None) is list:
        return f"list[{', '.join([_named(one) for one in choices or ()])}]"
    return repr(annotation) if choices is None else " | ".join([_named(one) for one in choices])


# --- given bytes ----------------------------------------------------------------------------------------


class _Stop(Exception):
    """No further field can be read: why, and where."""

    def __init__(self, text: str, at: int) -> None:
        super().__init__(text, at)
        self.text = text
        self.at = at


def _taken_apart(cls: Recorded, data: bytes) -> list[str]:
    lines: list[str] = []
    pieces = _pieces_of_record(cls, data, 0, len(data), "")
    end = 0
    try:
        for offset, part, name, what in pieces:
            if len(lines) == _MOST_ROWS:
                lines.append("...")
                return lines
            end = max(end, offset + len(part))
            lines.append(f"{offset:<10} {_hex(part):<37} {name}{' ' if name else ''}{what}")
    except _Stop as stop:
        lines.append(f"{stop.at:<10} {_hex(data[stop.at :]):<37} here: {stop.text}")
        return lines
    if end < len(data):
        lines.append(f"{end:<10} {_hex(data[end:]):<37} {len(data) - end} bytes behind the record")
    return lines


def _hex(data: bytes) -> str:
    return data[:_SHOWN_BYTES].hex(" ") + (" .." if len(data) > _SHOWN_BYTES else "")


def _shown(value: object) -> str:
    name = getattr(value, "name", None) if isinstance(value, int) else None
    text = f"{name} ({int(value)})" if name else repr(value)  # type: ignore[call-overload]
    return text if len(text) <= _SHOWN_TEXT else text[: _SHOWN_TEXT - 3] + "..."


def _read(kind: tuple[Any, ...], data: bytes, at: int, end: int, name: str) -> tuple[Any, int]:
    """(value, where it ends) of a type as a backend has it; _Stop for bytes that it refuses."""
    single: Any = type("single", (), {"__slots__": ("value",)})
    program = _backend.records.Program("single", single)
    program.build((("value", kind),))
    try:
        record, stop = program.unpack_from(data[:end], at)
    except RecordError as error:
        place = at if error.offset is None else error.offset
        raise _Stop(f"{name}: {str(error).partition(': ')[2]}", place) from None
    return getattr(record, "value", None), stop


def _pieces_of_record(
    cls: Recorded, data: bytes, at: int, end: int, prefix: str, known: bool = True
) -> Iterator[Piece]:
    """The fields of a record, one by one; it is at its end when they are. `known`: it ends at `end`."""
    layout = lowered(cls)
    values: dict[str, Any] = {}
    word, word_at, sized, last = 0, -1, "", len(layout.types) - 1
    for i, (name, kind) in enumerate(layout.types):
        where = prefix + name
        if known and at == end and may_lack(layout, i) and (kind[0] != BITS or kind[7] or word_at < 0):
            values[name] = value = default_of(layout.given.get(name, ...))
            yield at, b"", where, "is not there" + ("" if value is ... else f", so {_shown(value)}")
            word_at = -1
            continue
        if kind[0] == BITS:
            if kind[7]:
                number = NUMBER, kind[3][1], True, kind[3], 0, (1 << 8 * kind[3][1]) - 1
                word_at = at
                word, at = _read(number, data, at, end, where)
            values[name] = value = _bits(kind, word)
            if isinstance(kind[9], tuple) and kind[9][2] and value not in kind[9][1]:
                raise _Stop(f"{where}: {value} at offset {word_at} is no {kind[9][0]}", word_at)
            yield word_at, data[word_at:at] if kind[7] else b"", where, f"= {_shown(value)}"
            continue
        if kind[0] == WHEN:
            if not _is_there(cls, i, kind, values):
                values[name] = None
                yield at, b"", where, "is not there"
                continue
            kind = kind[3]
        if kind[0] == SIZE:
            number = NUMBER, *kind[1:6]
            value, stop = _read(number, data, at, end, where)
            yield at, data[at:stop], where, f"= {value}: {value - kind[6]} bytes follow"
            at = stop
            if not 0 <= value - kind[6] <= end - at:
                raise _Stop(f"{where}: {value - kind[6]} bytes needed, {end - at} left", at)
            end, known, sized = at + value - kind[6], True, where
            continue
        stop = at
        for offset, part, inner, what in _pieces(cls, i, kind, data, at, end, where, known and i == last):
            stop = max(stop, offset + len(part))
            yield offset, part, inner, what
        if kind[0] not in (CONST, PAD) and i < last:
            values[name] = _read(final(where, kind, {}, cls, i), data, at, end, where)[0]
        at = stop
    if at < end and layout.extensible and known:
        yield at, data[at:end], prefix[:-1], "of a later version, ignored"
    elif at < end and sized:
        raise _Stop(f"{sized}: {end - at} bytes of it left behind the last field", at)


def _bits(kind: tuple[Any, ...], word: int) -> Any:
    value = word >> kind[6] & kind[5]
    if kind[9] is True:
        return bool(value)
    return kind[9][1].get(value, value) if kind[9] else value


def _is_there(cls: Recorded, index: int, kind: tuple[Any, ...], values: dict[str, Any]) -> bool:
    _, mask, wanted, text = final("", kind, {}, cls, index)[4:]
    first, *rest = text.split(".")
    number = values[first]
    for name in rest:
        number = getattr(number, name, None)
    if number is None:
        return False
    return bool(number & mask) if wanted is None else bool(number & mask == wanted)


def _pieces(
    cls: Recorded, index: int, kind: tuple[Any, ...], data: bytes, at: int, end: int, name: str, known: bool
) -> Iterator[Piece]:
    """The bytes of one field, as far as they are."""
    if kind[0] == RECORD:
        yield from _pieces_of_record(kind[3], data, at, end, f"{name}.", known)
    elif kind[0] in (ONEOF, LIST):
        number, stop = _read((NUMBER, *kind[1:6]), data, at, end, name)
        if kind[0] == ONEOF:
            chosen = dict(kind[6]).get(number)
            if chosen is None:
                raise _Stop(f"{name}: the tag {number} is not in the table", at)
            yield at, data[at:stop], name, f"is {chosen.__name__}, tag {number}"
            yield from _pieces_of_record(chosen, data, stop, end, f"{name}.", known)
            return
        yield at, data[at:stop], name, f"has {number} items"
        for i in range(number):
            if i == _SHOWN_ITEMS:
                behind = _read(final(name, kind, {}, cls, index), data, at, end, name)[1]
                yield stop, data[stop:behind], f"{name}[{i}..{number - 1}]", ""
                return
            item_at = stop
            for piece in _pieces(cls, index, kind[6], data, item_at, end, f"{name}[{i}]", False):
                stop = max(stop, piece[0] + len(piece[1]))
                yield piece
    else:
        value, stop = _read(final(name, kind, {}, cls, index), data, at, end, name)
        what = "padding" if kind[0] == PAD else "as it must be" if kind[0] == CONST else f"= {_shown(value)}"
        yield at, data[at:stop], name, what
