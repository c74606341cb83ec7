"""Reading and passing over records in Python, and the twin of `_native.unpacking`.

For each type, `reader` makes `read(data, at, size, depth)`, which gives (value, end), and `skipper` makes
`skip(data, at, size, depth)`, which gives the end without a value.
"""

from __future__ import annotations

import struct
from array import array

from .. import _mutf8, errors
from .plan import BER, LEB128, QUIC, UINT, VLQ, Fault, _Field, _Short
from .shape import (
    ARRAY,
    ARRAYED,
    BINARY,
    BITS,
    BOOL,
    BYTES,
    CODEC,
    CONST,
    CSTR,
    ENUM,
    FAR,
    FIXED,
    FLOAT,
    FLOATS,
    LIST,
    LISTED,
    NATIVE_LITTLE,
    NUMBER,
    ONEOF,
    PAD,
    RECORD,
    REPEAT,
    REST,
    ROW,
    SIZE,
    STR,
    TEXT,
    VIEW,
    WHEN,
    More,
    Wrong,
    code_of,
    short,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .shape import Path, Read, Skip

_U64 = (1 << 64) - 1
# The count of what is not there.
NULL = -1
# Below it, the first byte of a number is the number itself.
ITSELF = {LEB128: 0x80, VLQ: 0x80, BER: 0x80, QUIC: 0x40}


def reader(kind: tuple[Any, ...]) -> Read:
    """What reads a value of the type."""
    return _READERS[kind[0]](kind)


def skipper(kind: tuple[Any, ...]) -> Skip:
    """What passes over a value of the type; More tells how many bytes are missing at least."""
    return _SKIPPERS[kind[0]](kind)


# --- reading --------------------------------------------------------------------------------------------


def _read_number(kind: tuple[Any, ...]) -> Read:
    field = _Field(kind[3])
    width, order, signed = field.width, field.order, field.signed
    code = code_of((NUMBER, *kind[1:6]))
    if code is not None:
        unpack_from = struct.Struct("".join(code)).unpack_from

        def read_known(data: Any, at: int, size: int, depth: int) -> tuple[int, int]:
            if at + width > size:
                raise short(at, size, width)
            return unpack_from(data, at)[0], at + width

        return read_known
    if field.kind == UINT:

        def read(data: Any, at: int, size: int, depth: int) -> tuple[int, int]:
            end = at + width
            if end > size:
                raise short(at, size, width)
            return int.from_bytes(data[at:end], order, signed=signed), end

        return read
    itself = ITSELF.get(field.kind, 0)

    def read_any(data: Any, at: int, size: int, depth: int) -> tuple[int, int]:
        if at < size and data[at] < itself:
            return data[at], at + 1
        try:
            value, length, _ = field.read(data, at, size, _U64)
        except _Short as lacking:
            raise short(at, size, lacking.width) from None
        except Fault as fault:
            raise Wrong(fault.code, at) from None
        if value < 0 and not signed:
            raise Wrong(-2, at)
        return value, at + length

    return read_any


def _read_enum(kind: tuple[Any, ...]) -> Read:
    name, members, closed = kind[6:]
    read_number = _read_number(kind)

    def read(data: Any, at: int, size: int, depth: int) -> tuple[Any, int]:
        number, end = read_number(data, at, size, depth)
        member = members.get(number)
        if member is None:
            if closed:
                raise Wrong(errors.MEMBER, at, number, name)
            return number, end
        return member, end

    return read


def _read_float(kind: tuple[Any, ...]) -> Read:
    width, little = kind[3:]
    unpack_from = struct.Struct(("<" if little else ">") + FLOATS[width]).unpack_from

    def read(data: Any, at: int, size: int, depth: int) -> tuple[float, int]:
        if at + width > size:
            raise short(at, size, width)
        return unpack_from(data, at)[0], at + width

    return read


def _read_bool(kind: tuple[Any, ...]) -> Read:
    def read(data: Any, at: int, size: int, depth: int) -> tuple[bool, int]:
        if at >= size:
            raise short(at, size, 1)
        return data[at] != 0, at + 1

    return read


def _read_counted(kind: tuple[Any, ...]) -> Read:
    """STR and BYTES."""
    is_text = kind[0] == STR
    read_size = _read_number(kind)

    def read(data: Any, at: int, size: int, depth: int) -> tuple[Any, int]:
        count, at = read_size(data, at, size, depth)
        end = at + count
        if end > size:
            raise short(at, size, count)
        if not is_text:
            return bytes(data[at:end]), end
        try:
            return str(data[at:end], "utf-8"), end
        except UnicodeDecodeError as error:
            raise Wrong(errors.TEXT, at + error.start, data[at + error.start], "UTF-8") from None

    return read


def _read_rest(kind: tuple[Any, ...]) -> Read:
    return lambda data, at, size, depth: (bytes(data[at:size]), size)


def _read_const(kind: tuple[Any, ...]) -> Read:
    value: bytes = kind[3]
    width = len(value)

    def read(data: Any, at: int, size: int, depth: int) -> tuple[None, int]:
        end = at + width
        if end > size:
            raise short(at, size, width)
        if data[at:end] != value:
            raise Wrong(errors.CONSTANT, at, value, bytes(data[at:end]))
        return None, end

    return read


def _read_pad(kind: tuple[Any, ...]) -> Read:
    width: int = kind[1]

    def read(data: Any, at: int, size: int, depth: int) -> tuple[None, int]:
        if at + width > size:
            raise short(at, size, width)
        return None, at + width

    return read


def _read_list(kind: tuple[Any, ...]) -> Read:
    return _read_items(_read_number(kind), kind[6])


def _read_items(read_count: Read, item: tuple[Any, ...]) -> Read:
    read_item = reader(item)
    least: int = item[1]
    code = code_of(item)

    def read(data: Any, at: int, size: int, depth: int) -> tuple[list[Any] | None, int]:
        count, at = read_count(data, at, size, depth)
        if count == NULL:
            return None, at
        if code and at + count * least <= size:
            values = struct.unpack_from(f"{code[0]}{count}{code[1]}", data, at)
            return list(values), at + count * least
        items = []
        i = 0
        try:
            while i < count:
                value, at = read_item(data, at, size, depth)
                items.append(value)
                i += 1
        except Wrong as wrong:
            wrong.path.append(i)
            raise
        return items, at

    return read


def _read_array(kind: tuple[Any, ...]) -> Read:
    return _read_numbers(_read_number(kind), *kind[6:])


def _read_numbers(read_count: Read, item: tuple[Any, ...], typecode: str) -> Read:
    width: int = item[1]
    little = item[3][2] if item[0] == NUMBER else item[4]
    swaps = width > 1 and little != NATIVE_LITTLE

    def read(data: Any, at: int, size: int, depth: int) -> tuple[Any, int]:
        count, at = read_count(data, at, size, depth)
        if count == NULL:
            return None, at
        left = size - at
        if count * width > left:
            wrong = short(at + left // width * width, size, width)
            wrong.path.append(left // width)
            raise wrong
        end = at + count * width
        values = array(typecode)
        values.frombytes(data[at:end])
        if swaps:
            values.byteswap()
        return values, end

    return read


def _read_record(kind: tuple[Any, ...]) -> Read:
    program = kind[3]

    def read(data: Any, at: int, size: int, depth: int) -> tuple[Any, int]:
        if depth >= errors.MOST_LEVELS:
            raise Wrong(errors.DEEP, at, errors.MOST_LEVELS)
        return program.read(data, at, size, depth + 1)  # type: ignore[no-any-return]

    return read


# --- what sequences.py declares ---


def _read_size(kind: tuple[Any, ...], limits: tuple[Any, ...], unit: str) -> Read:
    """The number of bytes or items that a number in front says; NULL for none."""
    read_number = _read_number(kind)
    most, bias, null, _ = limits

    def read(data: Any, at: int, size: int, depth: int) -> tuple[int, int]:
        number, end = read_number(data, at, size, depth)
        if number == null:
            return NULL, end
        count = number - bias
        if count < 0:
            raise Wrong(-2, at)
        if count > most:
            raise Wrong(errors.LIMIT, at, f"{count} {unit}", most)
        return count, end

    return read


def _decoder(encoding: str) -> Callable[[Any, int, int], Any]:
    """What makes the text, or bytes, of data[at:end]."""
    name = encoding.upper()

    def decode(data: Any, at: int, end: int) -> str:
        try:
            if encoding == "mutf-8":
                return _mutf8.decode(bytes(data[at:end]))
            return str(data[at:end], encoding)
        except UnicodeDecodeError as error:
            raise Wrong(errors.TEXT, at + error.start, data[at + error.start], name) from None

    return decode if encoding else lambda data, at, end: bytes(data[at:end])


def _read_sized(kind: tuple[Any, ...]) -> Read:
    """TEXT, BINARY and VIEW."""
    encoding, align, limits = kind[6:]
    read_size, decode = _read_size(kind, limits, "bytes"), _decoder(encoding)
    is_view = kind[0] == VIEW

    def read(data: Any, at: int, size: int, depth: int) -> tuple[Any, int]:
        count, at = read_size(data, at, size, depth)
        if count == NULL:
            return None, at
        end = at + count
        after = end + -count % align
        if after > size:
            raise short(at, size, after - at)
        _check_padding(data, end, after)
        return memoryview(data)[at:end] if is_view else decode(data, at, end), after

    return read


def _check_padding(data: Any, at: int, end: int) -> None:
    for place in range(at, end):
        if data[place]:
            raise Wrong(errors.PADDING, place, data[place])


def _read_listed(kind: tuple[Any, ...]) -> Read:
    return _read_items(_read_size(kind, kind[7], "items"), kind[6])


def _read_arrayed(kind: tuple[Any, ...]) -> Read:
    return _read_numbers(_read_size(kind, kind[8], "items"), kind[6], kind[7])


def _read_repeat(kind: tuple[Any, ...]) -> Read:
    count = kind[3]
    return _read_items(lambda data, at, size, depth: (count, at), kind[4])


def _read_row(kind: tuple[Any, ...]) -> Read:
    count = kind[3]
    return _read_numbers(lambda data, at, size, depth: (count, at), kind[4], kind[5])


def _ender(kind: tuple[Any, ...]) -> Callable[[Any, int, int], int]:
    """What finds the NUL of a CSTR."""
    unit, most = kind[1], kind[4] - kind[4] % kind[1]
    nul = bytes(unit)

    def find(data: Any, at: int, size: int) -> int:
        stop = size if most < 0 else min(size, at + most + unit)
        window = 64
        start = at
        while start < stop:
            # A buffer cannot be searched, and a copy of all of it for each string would be too much.
            part = bytes(data[start : min(start + window, stop)])
            found = part.find(nul)
            while found >= 0 and found % unit:
                found = part.find(nul, found + 1)
            if found >= 0:
                return start + found
            start += len(part) - len(part) % unit or unit
            window *= 2
        if 0 <= most <= size - at - unit:
            raise Wrong(errors.UNENDED, at, kind[4])
        raise short(at, size, (size - at) // unit * unit + unit)

    return find


def _read_cstr(kind: tuple[Any, ...]) -> Read:
    unit, find, decode = kind[1], _ender(kind), _decoder(kind[3])

    def read(data: Any, at: int, size: int, depth: int) -> tuple[Any, int]:
        end = find(data, at, size)
        return decode(data, at, end), end + unit

    return read


def _read_fixed(kind: tuple[Any, ...]) -> Read:
    width, pad, decode = kind[1], kind[4], _decoder(kind[3])
    unit = len(pad)

    def read(data: Any, at: int, size: int, depth: int) -> tuple[Any, int]:
        end = after = at + width
        if end > size:
            raise short(at, size, width)
        while pad and end > at and data[end - unit : end] == pad:
            end -= unit
        return decode(data, at, end), after

    return read


def _read_codec(kind: tuple[Any, ...]) -> Read:
    least, unpack_from = kind[1], kind[4]

    def read(data: Any, at: int, size: int, depth: int) -> tuple[Any, int]:
        if at + least > size:
            raise short(at, size, least)
        try:
            made = unpack_from(memoryview(data)[:size], at)
        except EOFError:
            raise short(at, size, size - at + 1) from None
        end = made[1] if isinstance(made, tuple) and len(made) == 2 else None
        if not isinstance(end, int) or not at + least <= end <= FAR:
            raise Wrong(errors.HOOK, at, errors.shown_end(made), at + least)
        if end > size:
            raise short(at, size, end - at)
        return made[0], int(end)

    return read


# --- what structure.py declares ---


def _read_choice(kind: tuple[Any, ...]) -> Read:
    read_tag, programs = _read_number(kind), dict(kind[6])

    def read(data: Any, at: int, size: int, depth: int) -> tuple[Any, int]:
        tag, start = read_tag(data, at, size, depth)
        program = programs.get(tag)
        if program is None:
            raise Wrong(errors.TAG, at, tag)
        if depth >= errors.MOST_LEVELS:
            raise Wrong(errors.DEEP, start, errors.MOST_LEVELS)
        return program.read(data, start, size, depth + 1)  # type: ignore[no-any-return]

    return read


def _read_own_size(kind: tuple[Any, ...]) -> Read:
    """How many bytes follow it in its record."""
    read_number, plus = _read_number(kind), kind[6]

    def read(data: Any, at: int, size: int, depth: int) -> tuple[int, int]:
        number, end = read_number(data, at, size, depth)
        if number < max(plus, 0):
            raise Wrong(errors.UNCOUNTED, at, number, max(plus, 0))
        return number - plus, end

    return read


def noting_skipper(kind: tuple[Any, ...], wanted: tuple[Path, ...]) -> Any:
    """Passes over a record, and gives (end, the numbers at `wanted`): None for one that is not there."""
    program = kind[3]
    made: list[Any] = []

    def skip(data: Any, at: int, size: int, depth: int) -> tuple[Any, ...]:
        if depth >= errors.MOST_LEVELS:
            raise Wrong(errors.DEEP, at, errors.MOST_LEVELS)
        if not made:
            made.append(program.noting(wanted))
        return made[0](data, at, size, depth + 1)  # type: ignore[no-any-return]

    return skip


def told_by(value: Any, names: Path) -> int | None:
    """The number that these attributes of attributes lead to; None if one is not there."""
    for name in names:
        value = getattr(value, name, None)
    return value if isinstance(value, int) else None


def member_of(kind: tuple[Any, ...]) -> Any:
    """The function of BITS that are an enumeration: what a number, whose integer is at an offset, means."""
    name, members, closed = kind[9]

    def member(number: int, at: int) -> Any:
        found = members.get(number)
        if found is None and closed:
            raise Wrong(errors.MEMBER, at, number, name)
        return number if found is None else found

    return member


def ending_reader(kind: tuple[Any, ...]) -> Read:
    """`reader` of a type whose bytes go on to the known end of all that there is."""
    if kind[0] == RECORD:
        return _read_record((*kind[:3], _Ending(kind[3])))
    if kind[0] == ONEOF:
        return _read_choice((*kind[:6], tuple((tag, _Ending(program)) for tag, program in kind[6])))
    return ending_reader(kind[3]) if kind[0] == WHEN else reader(kind)


class _Ending:
    """A program that reads and skips up to a known end; it need not be built yet."""

    def __init__(self, program: Any) -> None:
        self._program = program

    @property
    def read(self) -> Read:
        return self._program.read_ending  # type: ignore[no-any-return]

    @property
    def skip(self) -> Skip:
        return self._program.skip_ending  # type: ignore[no-any-return]


_READERS = {
    NUMBER: _read_number,
    FLOAT: _read_float,
    BOOL: _read_bool,
    STR: _read_counted,
    BYTES: _read_counted,
    REST: _read_rest,
    CONST: _read_const,
    PAD: _read_pad,
    LIST: _read_list,
    ARRAY: _read_array,
    RECORD: _read_record,
    ENUM: _read_enum,
    TEXT: _read_sized,
    BINARY: _read_sized,
    VIEW: _read_sized,
    LISTED: _read_listed,
    ARRAYED: _read_arrayed,
    CSTR: _read_cstr,
    FIXED: _read_fixed,
    REPEAT: _read_repeat,
    ROW: _read_row,
    CODEC: _read_codec,
    ONEOF: _read_choice,
    WHEN: lambda kind: reader(kind[3]),
    BITS: _read_number,
    SIZE: _read_own_size,
}


# --- passing over ---------------------------------------------------------------------------------------


def _or_more(read: Read) -> Read:
    """The same, but More where bytes are missing."""

    def skip(data: Any, at: int, size: int, depth: int) -> tuple[Any, int]:
        try:
            return read(data, at, size, depth)
        except Wrong as wrong:
            if wrong.code == errors.SHORT:
                raise More(wrong.a - wrong.b) from None  # type: ignore[operator]
            raise

    return skip


def _skip_read(kind: tuple[Any, ...]) -> Skip:
    """By reading: what is short of bytes tells of how many."""
    read = _or_more(reader(kind))
    return lambda data, at, size, depth: read(data, at, size, depth)[1]


def _skip_plain(kind: tuple[Any, ...]) -> Skip:
    width: int = kind[1]

    def skip(data: Any, at: int, size: int, depth: int) -> int:
        if at + width > size:
            raise More(at + width - size)
        return at + width

    return skip


def _skip_number(kind: tuple[Any, ...]) -> Skip:
    return _skip_plain(kind) if kind[3][0] == UINT else _skip_read(kind)


def _skip_counted(kind: tuple[Any, ...]) -> Skip:
    skip_count = _or_more(_read_number(kind))

    def skip(data: Any, at: int, size: int, depth: int) -> int:
        count, at = skip_count(data, at, size, depth)
        end: int = at + count
        if end > size:
            raise More(min(count, FAR) - (size - at))
        return end

    return skip


def _skip_rest(kind: tuple[Any, ...]) -> Skip:
    return lambda data, at, size, depth: size


def _skip_list(kind: tuple[Any, ...]) -> Skip:
    """LIST and ARRAY."""
    return _skip_items(_read_number(kind), kind[6])


def _skip_items(read_count: Read, item: tuple[Any, ...]) -> Skip:
    least: int = item[1]
    plain: bool = item[2]
    skip_count, skip_item = _or_more(read_count), skipper(item)

    def skip(data: Any, at: int, size: int, depth: int) -> int:
        count, at = skip_count(data, at, size, depth)
        if count == NULL:
            return at
        need: int = count * least
        if need > size - at:
            raise More(min(need, FAR) - (size - at))
        if plain:
            return at + need
        for i in range(count):
            try:
                at = skip_item(data, at, size, depth)
            except More as more:
                raise More(min(more.size + (count - i - 1) * least, FAR)) from None
            except Wrong as wrong:
                wrong.path.append(i)
                raise
        return at

    return skip


def _skip_sized(kind: tuple[Any, ...]) -> Skip:
    """TEXT, BINARY and VIEW."""
    align = kind[7]
    skip_size = _or_more(_read_size(kind, kind[8], "bytes"))

    def skip(data: Any, at: int, size: int, depth: int) -> int:
        count, at = skip_size(data, at, size, depth)
        if count == NULL:
            return at
        need: int = count + -count % align
        if need > size - at:
            raise More(min(need, FAR) - (size - at))
        _check_padding(data, at + count, at + need)
        return at + need

    return skip


def _skip_listed(kind: tuple[Any, ...]) -> Skip:
    return _skip_items(_read_size(kind, kind[7], "items"), kind[6])


def _skip_arrayed(kind: tuple[Any, ...]) -> Skip:
    return _skip_items(_read_size(kind, kind[8], "items"), kind[6])


def _skip_repeat(kind: tuple[Any, ...]) -> Skip:
    count = kind[3]
    return _skip_items(lambda data, at, size, depth: (count, at), kind[4])


def _skip_cstr(kind: tuple[Any, ...]) -> Skip:
    unit, find = kind[1], _ender(kind)
    read = _or_more(lambda data, at, size, depth: (None, find(data, at, size) + unit))
    return lambda data, at, size, depth: read(data, at, size, depth)[1]


def _skip_record(kind: tuple[Any, ...]) -> Skip:
    program = kind[3]

    def skip(data: Any, at: int, size: int, depth: int) -> int:
        if depth >= errors.MOST_LEVELS:
            raise Wrong(errors.DEEP, at, errors.MOST_LEVELS)
        return program.skip(data, at, size, depth + 1)  # type: ignore[no-any-return]

    return skip


def _skip_choice(kind: tuple[Any, ...]) -> Skip:
    skip_tag, programs = _or_more(_read_number(kind)), dict(kind[6])

    def skip(data: Any, at: int, size: int, depth: int) -> int:
        tag, start = skip_tag(data, at, size, depth)
        program = programs.get(tag)
        if program is None:
            raise Wrong(errors.TAG, at, tag)
        if depth >= errors.MOST_LEVELS:
            raise Wrong(errors.DEEP, start, errors.MOST_LEVELS)
        return program.skip(data, start, size, depth + 1)  # type: ignore[no-any-return]

    return skip


_SKIPPERS = {
    NUMBER: _skip_number,
    FLOAT: _skip_plain,
    BOOL: _skip_plain,
    STR: _skip_counted,
    BYTES: _skip_counted,
    REST: _skip_rest,
    CONST: _skip_read,
    PAD: _skip_plain,
    LIST: _skip_list,
    ARRAY: _skip_list,
    RECORD: _skip_record,
    ENUM: _skip_read,
    TEXT: _skip_sized,
    BINARY: _skip_sized,
    VIEW: _skip_sized,
    LISTED: _skip_listed,
    ARRAYED: _skip_arrayed,
    CSTR: _skip_cstr,
    FIXED: _skip_plain,
    REPEAT: _skip_repeat,
    ROW: _skip_plain,
    CODEC: _skip_read,
    ONEOF: _skip_choice,
    WHEN: lambda kind: skipper(kind[3]),
    BITS: _skip_number,
    SIZE: _skip_read,
}


def peeker(kind: tuple[Any, ...]) -> Read:
    """A reader that raises More where bytes are missing."""
    return _or_more(reader(kind))


def ending_skipper(kind: tuple[Any, ...]) -> Skip:
    """`skipper` of a type whose bytes go on to the known end of all that there is."""
    if kind[0] == RECORD:
        return _skip_record((*kind[:3], _Ending(kind[3])))
    if kind[0] == ONEOF:
        return _skip_choice((*kind[:6], tuple((tag, _Ending(program)) for tag, program in kind[6])))
    return ending_skipper(kind[3]) if kind[0] == WHEN else skipper(kind)
