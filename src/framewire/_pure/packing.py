"""Writing records in Python, and the twin of `_native.packing`.

For each type, `writer` makes `write(value, out, depth)`, which appends the value to a bytearray. `Refused` is
what it raises for a value that the field cannot say.
"""

from __future__ import annotations

import struct
from array import array
from operator import index as to_index

from .. import _mutf8, errors
from .plan import LEB128, UINT, ZIGZAG, _Field
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
    Refused,
    code_of,
)
from .unpacking import ITSELF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from .shape import Path, Write

    # Writes a number of bytes or items, if there can be so many.
    WriteSize: TypeAlias = Callable[[int, bytearray], None]

_U64 = (1 << 64) - 1
_UNSIGNED = ("B", "H", "I", "L", "Q", "N")
_SIGNED = ("b", "h", "i", "l", "q", "n")
_KINDS = dict.fromkeys("BHIQ", "u") | dict.fromkeys("bhiq", "i") | {"f": "f", "d": "f"}


def writer(kind: tuple[Any, ...]) -> Write:
    """What writes a value of the type."""
    return _WRITERS[kind[0]](kind)


def as_integer(value: Any) -> int:
    if not isinstance(value, int):
        if not hasattr(type(value), "__index__"):
            raise Refused(errors.record_type, "an int", value)
        value = to_index(value)
    return value if type(value) is int else int.__index__(value)


def _write_number(kind: tuple[Any, ...]) -> Write:
    low, high = kind[4:6]
    field = _Field(kind[3])
    width, order, signed = field.width, field.order, field.signed

    def check(value: Any) -> int:
        number = as_integer(value)
        if not low <= number <= high:
            raise Refused(errors.record_range, number, low, high)
        return number

    code = code_of((NUMBER, *kind[1:6]))
    if code is not None:
        pack = struct.Struct("".join(code)).pack

        def write_known(value: Any, out: bytearray, depth: int) -> None:
            try:
                out += pack(value)
            except struct.error:
                out += pack(check(value))

        return write_known
    if field.kind == UINT:

        def write(value: Any, out: bytearray, depth: int) -> None:
            out += check(value).to_bytes(width, order, signed=signed)

        return write
    itself = ITSELF.get(field.kind, 0)

    def write_any(value: Any, out: bytearray, depth: int) -> None:
        number = check(value)
        if 0 <= number < itself:
            out.append(number)
            return
        if field.kind == ZIGZAG:
            number = number << 1 ^ number >> 63
        if field.kind in (LEB128, ZIGZAG):
            # The forms below would be tried one by one.
            while number > 0x7F:
                out.append(number & 0x7F | 0x80)
                number >>= 7
            out.append(number)
            return
        for form in range(len(field.forms)):
            made = field.write(form, number, 0)
            if made is not None:
                out += made
                return
        raise Refused(errors.record_range, number, low, high)

    return write_any


def _write_enum(kind: tuple[Any, ...]) -> Write:
    name, members, closed = kind[6:]
    write_number = _write_number(kind)

    def write(value: Any, out: bytearray, depth: int) -> None:
        number = as_integer(value)
        if closed and number not in members:
            raise Refused(errors.record_member, number, name)
        write_number(number, out, depth)

    return write


def _write_float(kind: tuple[Any, ...]) -> Write:
    width, little = kind[3:]
    layout = struct.Struct(("<" if little else ">") + FLOATS[width])

    def write(value: Any, out: bytearray, depth: int) -> None:
        if not isinstance(value, float):
            is_int = isinstance(value, int)
            if not is_int and not hasattr(type(value), "__float__") and not hasattr(type(value), "__index__"):
                raise Refused(errors.record_type, "a float", value)
            try:
                value = float(value)
            except OverflowError:
                if is_int:
                    raise Refused(errors.record_float, width) from None
                raise
        try:
            out += layout.pack(value)
        except OverflowError:
            raise Refused(errors.record_float, width) from None

    return write


def _write_bool(kind: tuple[Any, ...]) -> Write:
    def write(value: Any, out: bytearray, depth: int) -> None:
        if value is not True and value is not False:
            raise Refused(errors.record_type, "a bool", value)
        out.append(value)

    return write


def _contiguous(value: Any) -> memoryview:
    try:
        view = memoryview(value)
    except (TypeError, BufferError):
        raise Refused(errors.record_type, "a contiguous buffer", value) from None
    if not view.c_contiguous:
        raise Refused(errors.record_type, "a contiguous buffer", value)
    return view


def _size_writer(kind: tuple[Any, ...], unit: str, limits: tuple[Any, ...] | None = None) -> WriteSize:
    most, bias = limits[:2] if limits else (kind[5], 0)
    write_number = _write_number(kind)

    def write(size: int, out: bytearray) -> None:
        if size > most:
            raise Refused(errors.record_size, size, most, unit)
        write_number(size + bias, out, 0)

    return write


def _write_counted(kind: tuple[Any, ...]) -> Write:
    """STR and BYTES."""
    is_text = kind[0] == STR
    write_size = _size_writer(kind, "bytes")

    def write(value: Any, out: bytearray, depth: int) -> None:
        if is_text:
            if not isinstance(value, str):
                raise Refused(errors.record_type, "a str", value)
            try:
                value = str.encode(value, "utf-8")
            except UnicodeEncodeError as error:
                raise Refused(errors.record_text, error) from None
            size = len(value)
        elif type(value) is bytes:
            size = len(value)
        else:
            value = _contiguous(value)
            size = value.nbytes
        write_size(size, out)
        out += value

    return write


def _write_rest(kind: tuple[Any, ...]) -> Write:
    def write(value: Any, out: bytearray, depth: int) -> None:
        out += _contiguous(value)

    return write


def _write_fixed(kind: tuple[Any, ...]) -> Write:
    """CONST and PAD."""
    value = kind[3] if kind[0] == CONST else bytes(kind[1])

    def write(_: Any, out: bytearray, depth: int) -> None:
        out += value

    return write


def _write_list(kind: tuple[Any, ...]) -> Write:
    return _write_items(_size_writer(kind, "items"), kind[6])


def _write_items(write_count: WriteSize, item: tuple[Any, ...]) -> Write:
    write_item, code = writer(item), code_of(item)

    def write(value: Any, out: bytearray, depth: int) -> None:
        if not isinstance(value, (list, tuple)):
            raise Refused(errors.record_type, "a list or a tuple", value)
        # A subclass may give other answers than the list that it is.
        base: Any = list if isinstance(value, list) else tuple
        count = base.__len__(value)
        write_count(count, out)
        if code:
            try:
                made = struct.pack(f"{code[0]}{count}{code[1]}", *base.__iter__(value))
            except (struct.error, OverflowError):
                made = None
            if made is not None and base.__len__(value) == count:
                out += made
                return
        i = 0
        try:
            for one in base.__iter__(value):
                write_item(one, out, depth)
                i += 1
                if base.__len__(value) != count:
                    break
        except Refused as refused:
            refused.path.append(i)
            raise
        if base.__len__(value) != count:
            raise Refused(errors.record_changed)

    return write


def _write_array(kind: tuple[Any, ...]) -> Write:
    return _write_numbers(_size_writer(kind, "items"), *kind[6:])


def _write_numbers(write_count: WriteSize, item: tuple[Any, ...], typecode: str) -> Write:
    write_list = _write_items(write_count, item)
    width: int = item[1]
    little = item[3][2] if item[0] == NUMBER else item[4]
    swaps = width > 1 and little != NATIVE_LITTLE

    def write(value: Any, out: bytearray, depth: int) -> None:
        if isinstance(value, (list, tuple)):
            write_list(value, out, depth)
            return
        view = _contiguous(value)
        if _format(view) != _KINDS[typecode] or view.itemsize != width:
            raise Refused(errors.record_items, typecode, value)
        write_count(view.nbytes // width, out)
        if swaps:
            values = array(typecode, view.tobytes())
            values.byteswap()
            view = memoryview(values)
        out += view

    return write


def _format(view: memoryview) -> str:
    """Which of the letters of _KINDS stands for the view's items, "" for none."""
    code = view.format.lstrip("@=" + ("<" if NATIVE_LITTLE else ">"))
    return "u" if code in _UNSIGNED else "i" if code in _SIGNED else "f" if code in ("f", "d") else ""


def _write_record(kind: tuple[Any, ...]) -> Write:
    program = kind[3]

    def write(value: Any, out: bytearray, depth: int) -> None:
        if not issubclass(type(value), program.cls):
            raise Refused(errors.record_type, f"a {program.name}", value)
        if program.cls is tuple and tuple.__len__(value) != program.values:
            raise Refused(errors.record_values, program.values, tuple.__len__(value))
        if depth >= errors.MOST_LEVELS:
            raise Refused(errors.record_deep)
        program.write(value, out, depth + 1)

    return write


# --- what sequences.py declares ---


def _or_null(kind: tuple[Any, ...], limits: tuple[Any, ...], write: Write) -> Write:
    """The same, but None is a number of its own."""
    null = limits[2]
    if null is None:
        return write
    write_number = _write_number(kind)

    def write_or_null(value: Any, out: bytearray, depth: int) -> None:
        if value is None:
            write_number(null, out, depth)
        else:
            write(value, out, depth)

    return write_or_null


def _encoder(encoding: str) -> Callable[[Any], Any]:
    """What makes bytes of a text; without an encoding, of a buffer."""
    if not encoding:
        return lambda value: bytes(_contiguous(value))
    name = encoding.upper()

    def encode(value: Any) -> bytes:
        if not isinstance(value, str):
            raise Refused(errors.record_type, "a str", value)
        try:
            # A subclass may give other answers than the text that it is.
            return _mutf8.encode(str.__str__(value)) if encoding == "mutf-8" else str.encode(value, encoding)
        except UnicodeEncodeError as error:
            raise Refused(errors.record_text, error, name) from None

    return encode


def _write_sized(kind: tuple[Any, ...]) -> Write:
    """TEXT, BINARY and VIEW."""
    encoding, align, limits = kind[6:]
    write_size, encode = _size_writer(kind, "bytes", limits), _encoder(encoding)

    def write(value: Any, out: bytearray, depth: int) -> None:
        made = encode(value)
        write_size(len(made), out)
        out += made
        out += bytes(-len(made) % align)

    return _or_null(kind, limits, write)


def _write_listed(kind: tuple[Any, ...]) -> Write:
    limits = kind[7]
    return _or_null(kind, limits, _write_items(_size_writer(kind, "items", limits), kind[6]))


def _write_arrayed(kind: tuple[Any, ...]) -> Write:
    limits = kind[8]
    return _or_null(kind, limits, _write_numbers(_size_writer(kind, "items", limits), kind[6], kind[7]))


def _exactly(count: int) -> WriteSize:
    """What writes no number, but wants `count` items."""

    def check(size: int, out: bytearray) -> None:
        if size != count:
            raise Refused(errors.record_exact, size, count, "items")

    return check


def _write_repeat(kind: tuple[Any, ...]) -> Write:
    return _write_items(_exactly(kind[3]), kind[4])


def _write_row(kind: tuple[Any, ...]) -> Write:
    return _write_numbers(_exactly(kind[3]), kind[4], kind[5])


def _write_cstr(kind: tuple[Any, ...]) -> Write:
    unit, encoding, most = kind[1], kind[3], kind[4]
    encode, nul = _encoder(encoding), bytes(unit)

    def write(value: Any, out: bytearray, depth: int) -> None:
        made = encode(value)
        if 0 <= most < len(made):
            raise Refused(errors.record_size, len(made), most, "bytes")
        found = made.find(nul)
        while found >= 0 and found % unit:
            found = made.find(nul, found + 1)
        if found >= 0:
            raise Refused(errors.record_nul, found)
        out += made
        out += nul

    return write


def _write_padded(kind: tuple[Any, ...]) -> Write:
    """FIXED."""
    width, encode, pad = kind[1], _encoder(kind[3]), kind[4]
    unit = len(pad)

    def write(value: Any, out: bytearray, depth: int) -> None:
        made = encode(value)
        size = len(made)
        if not pad and size != width:
            raise Refused(errors.record_exact, size, width, "bytes")
        if size > width:
            raise Refused(errors.record_size, size, width, "bytes")
        if pad:
            if size >= unit and made[size - unit :] == pad:
                raise Refused(errors.record_padded, pad)
            made += pad * ((width - size) // unit)
        out += made

    return write


def _write_codec(kind: tuple[Any, ...]) -> Write:
    least, pack = kind[1], kind[3]

    def write(value: Any, out: bytearray, depth: int) -> None:
        made = pack(value)
        if not isinstance(made, bytes) or len(made) < least:
            raise Refused(errors.record_hook, made, least)
        out += made

    return write


# --- what structure.py declares ---


def _write_choice(kind: tuple[Any, ...]) -> Write:
    write_tag = _write_number(kind)

    def write(value: Any, out: bytearray, depth: int) -> None:
        cls = type(value)
        for tag, program in kind[6]:
            if program.cls is cls:
                write_tag(tag, out, depth)
                if depth >= errors.MOST_LEVELS:
                    raise Refused(errors.record_deep)
                program.write(value, out, depth + 1)
                return
        names = ", ".join([program.name for _, program in kind[6]])
        raise Refused(errors.record_type, f"one of {names}", value)

    return write


def _write_size(kind: tuple[Any, ...]) -> Write:
    """Its value is how many bytes follow it in its record."""
    high, plus = kind[5:]
    write_number = _write_number(kind)

    def write(count: Any, out: bytearray, depth: int) -> None:
        number = count + plus
        if number > high:
            raise Refused(errors.record_size, count, high - plus, "bytes")
        if number < 0:
            raise Refused(errors.record_range, number, 0, high)
        write_number(number, out, depth)

    return write


def bits_of(kind: tuple[Any, ...]) -> Any:
    """The function that gives the number of a value of BITS."""
    high, what = kind[5], kind[9]

    def check(value: Any) -> int:
        if what is True:
            if value is not True and value is not False:
                raise Refused(errors.record_type, "a bool", value)
            return value
        number = as_integer(value)
        if what and what[2] and number not in what[1]:
            raise Refused(errors.record_member, number, what[0])
        if not 0 <= number <= high:
            raise Refused(errors.record_range, number, 0, high)
        return number

    return check


def is_met(value: Any, names: Path, mask: int, wanted: int | None) -> bool:
    """Whether the number that these attributes of attributes lead to says that a field is there."""
    for name in names:
        if value is None:
            return False
        # The user's own code may have changed what was written already.
        if not hasattr(value, name):
            raise Refused(errors.record_unset)
        value = getattr(value, name)
    if value is None:
        return False
    number = as_integer(value) & mask
    return number != 0 if wanted is None else number == wanted


_WRITERS = {
    NUMBER: _write_number,
    FLOAT: _write_float,
    BOOL: _write_bool,
    STR: _write_counted,
    BYTES: _write_counted,
    REST: _write_rest,
    CONST: _write_fixed,
    PAD: _write_fixed,
    LIST: _write_list,
    ARRAY: _write_array,
    RECORD: _write_record,
    ENUM: _write_enum,
    ONEOF: _write_choice,
    WHEN: lambda kind: writer(kind[3]),
    BITS: lambda kind: _write_number((*kind[:4], 0, _U64)),
    SIZE: _write_size,
    TEXT: _write_sized,
    BINARY: _write_sized,
    VIEW: _write_sized,
    LISTED: _write_listed,
    ARRAYED: _write_arrayed,
    CSTR: _write_cstr,
    FIXED: _write_padded,
    REPEAT: _write_repeat,
    ROW: _write_row,
    CODEC: _write_codec,
}
