"""Records in Python: what a field program does, and the twin of `_native.records`.

A program is a tuple of fields (name, type). A type is a tuple (kind, least, plain, ...): `least` is the
fewest bytes it has, `plain` whether it always has them and no byte of them can be wrong. See `lower` in
records.py for what follows. Each type becomes three functions here: `read(data, at, size, depth)` gives
(value, end), `write(value, out, depth)` appends, `skip(data, at, size, depth)` gives the end without a value.
A record's own three are generated as source, in which neighbouring fields of fixed width are one call of
`struct`; where that call fails, the fields are written one by one, to find out which one it is.
Shortage, faults and refusals are exceptions that collect the path on their way out, so success pays nothing.
"""

from __future__ import annotations

import struct
from array import array
from operator import index as to_index

from .. import errors
from .plan import BER, LEB128, QUIC, UINT, VLQ, Fault, _Field, _Short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, SupportsIndex, TypeAlias

    from typing_extensions import Buffer

    Read: TypeAlias = Callable[[Any, int, int, int], tuple[Any, int]]
    Write: TypeAlias = Callable[[Any, bytearray, int], object]
    Skip: TypeAlias = Callable[[Any, int, int, int], int]
    Calls: TypeAlias = tuple[Read, Write, Skip]

__all__ = ["Program"]

NUMBER, FLOAT, BOOL, STR, BYTES, REST, CONST, PAD, LIST, ARRAY, RECORD, ENUM = range(12)

_U64 = (1 << 64) - 1
_FAR = (1 << 63) - 1
_NATIVE_LITTLE = struct.pack("=H", 1) == b"\1\0"


class _Wrong(Exception):
    """Bytes that are no record; `path` collects names and indices from the inside out."""

    def __init__(self, code: int, offset: int, a: object = 0, b: object = 0) -> None:
        self.code = code
        self.offset = offset
        self.a = a
        self.b = b
        self.path: list[str | int] = []

    def error(self, record: str) -> errors.RecordError:
        return errors.record_fault(self.code, record, self.path[::-1], self.offset, self.a, self.b)


class _Refused(Exception):
    """A value that its field cannot say: `make(record, path, *details)` is the error."""

    def __init__(self, make: Any, *details: object) -> None:
        self.make = make
        self.details = details
        self.path: list[str | int] = []

    def error(self, record: str) -> errors.EncodeError:
        made: errors.EncodeError = self.make(record, self.path[::-1], *self.details)
        return made


class _More(Exception):
    """At least `size` more bytes are needed."""

    def __init__(self, size: int) -> None:
        self.size = size


def _short(at: int, size: int, need: int) -> _Wrong:
    return _Wrong(errors.SHORT, at, need, size - at)


# --- the types ------------------------------------------------------------------------------------------


def _number(kind: tuple[Any, ...]) -> Calls:
    spec, low, high = kind[3:6]
    field = _Field(spec)
    width, order, signed = field.width, field.order, field.signed

    def check(value: Any) -> int:
        number = _integer(value)
        if not low <= number <= high:
            raise _Refused(errors.record_range, number, low, high)
        return number

    code = _code(kind)
    if code is not None:
        layout = struct.Struct("".join(code))
        pack, unpack_from = layout.pack, layout.unpack_from

        def read_known(data: Any, at: int, size: int, depth: int) -> tuple[int, int]:
            if at + width > size:
                raise _short(at, size, width)
            return unpack_from(data, at)[0], at + width

        def write_known(value: Any, out: bytearray, depth: int) -> None:
            try:
                out += pack(value)
            except struct.error:
                out += pack(check(value))

        return read_known, write_known, _skip_plain(width)
    if spec[0] == UINT:

        def read(data: Any, at: int, size: int, depth: int) -> tuple[int, int]:
            end = at + width
            if end > size:
                raise _short(at, size, width)
            return int.from_bytes(data[at:end], order, signed=signed), end

        def write(value: Any, out: bytearray, depth: int) -> None:
            out += check(value).to_bytes(width, order, signed=signed)

        return read, write, _skip_plain(width)

    # Below it, one byte is the number itself.
    itself = {LEB128: 0x80, VLQ: 0x80, BER: 0x80, QUIC: 0x40}.get(spec[0], 0)

    def read_any(data: Any, at: int, size: int, depth: int) -> tuple[int, int]:
        if at < size and data[at] < itself:
            return data[at], at + 1
        try:
            value, length, _ = field.read(data, at, size, _U64)
        except _Short as short:
            raise _short(at, size, short.width) from None
        except Fault as fault:
            raise _Wrong(fault.code, at) from None
        if value < 0:
            raise _Wrong(-2, at)
        return value, at + length

    def write_any(value: Any, out: bytearray, depth: int) -> None:
        number = check(value)
        if number < itself:
            out.append(number)
            return
        if field.kind == LEB128:
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
        raise _Refused(errors.record_range, number, low, high)

    def skip_any(data: Any, at: int, size: int, depth: int) -> int:
        try:
            return read_any(data, at, size, depth)[1]
        except _Wrong as wrong:
            if wrong.code == errors.SHORT:
                raise _More(wrong.a - wrong.b) from None  # type: ignore[operator]
            raise

    return read_any, write_any, skip_any


def _integer(value: Any) -> int:
    if not isinstance(value, int):
        if not hasattr(type(value), "__index__"):
            raise _Refused(errors.record_type, "an int", value)
        value = to_index(value)
    return value if type(value) is int else int.__index__(value)


def _enum(kind: tuple[Any, ...]) -> Calls:
    name, members, closed = kind[6:]
    read_number, write_number, skip_number = _number((NUMBER, *kind[1:6]))

    def read(data: Any, at: int, size: int, depth: int) -> tuple[Any, int]:
        number, end = read_number(data, at, size, depth)
        member = members.get(number)
        if member is None:
            if closed:
                raise _Wrong(errors.MEMBER, at, number, name)
            return number, end
        return member, end

    def write(value: Any, out: bytearray, depth: int) -> None:
        number = _integer(value)
        if closed and number not in members:
            raise _Refused(errors.record_member, number, name)
        write_number(number, out, depth)

    def skip(data: Any, at: int, size: int, depth: int) -> int:
        end = skip_number(data, at, size, depth)
        read(data, at, size, depth)
        return end

    return read, write, skip


def _skip_plain(width: int) -> Skip:
    def skip(data: Any, at: int, size: int, depth: int) -> int:
        if at + width > size:
            raise _More(at + width - size)
        return at + width

    return skip


def _float(kind: tuple[Any, ...]) -> Calls:
    width, little = kind[3:]
    layout = struct.Struct(("<" if little else ">") + _FLOATS[width])

    def read(data: Any, at: int, size: int, depth: int) -> tuple[float, int]:
        if at + width > size:
            raise _short(at, size, width)
        return layout.unpack_from(data, at)[0], at + width

    def write(value: Any, out: bytearray, depth: int) -> None:
        if not isinstance(value, float):
            is_int = isinstance(value, int)
            if not is_int and not hasattr(type(value), "__float__") and not hasattr(type(value), "__index__"):
                raise _Refused(errors.record_type, "a float", value)
            try:
                value = float(value)
            except OverflowError:
                if is_int:
                    raise _Refused(errors.record_float, width) from None
                raise
        try:
            out += layout.pack(value)
        except OverflowError:
            raise _Refused(errors.record_float, width) from None

    return read, write, _skip_plain(width)


def _bool(kind: tuple[Any, ...]) -> Calls:
    def read(data: Any, at: int, size: int, depth: int) -> tuple[bool, int]:
        if at >= size:
            raise _short(at, size, 1)
        return data[at] != 0, at + 1

    def write(value: Any, out: bytearray, depth: int) -> None:
        if value is not True and value is not False:
            raise _Refused(errors.record_type, "a bool", value)
        out.append(value)

    return read, write, _skip_plain(1)


def _contiguous(value: Any) -> memoryview:
    try:
        view = memoryview(value)
    except (TypeError, BufferError):
        raise _Refused(errors.record_type, "a contiguous buffer", value) from None
    if not view.c_contiguous:
        raise _Refused(errors.record_type, "a contiguous buffer", value)
    return view


def _counted(kind: tuple[Any, ...]) -> Calls:
    """STR and BYTES."""
    is_text, high = kind[0] == STR, kind[5]
    read_size, write_size, _ = _number(kind[:6])

    def read(data: Any, at: int, size: int, depth: int) -> tuple[Any, int]:
        count, at = read_size(data, at, size, depth)
        end = at + count
        if end > size:
            raise _short(at, size, count)
        if not is_text:
            return bytes(data[at:end]), end
        try:
            return str(data[at:end], "utf-8"), end
        except UnicodeDecodeError as error:
            raise _Wrong(errors.TEXT, at + error.start, data[at + error.start]) from None

    def write(value: Any, out: bytearray, depth: int) -> None:
        if is_text:
            if not isinstance(value, str):
                raise _Refused(errors.record_type, "a str", value)
            try:
                value = str.encode(value, "utf-8")
            except UnicodeEncodeError as error:
                raise _Refused(errors.record_text, error) from None
            size = len(value)
        elif type(value) is bytes:
            size = len(value)
        else:
            value = _contiguous(value)
            size = value.nbytes
        if size > high:
            raise _Refused(errors.record_size, size, high, "bytes")
        write_size(size, out, depth)
        out += value

    def skip(data: Any, at: int, size: int, depth: int) -> int:
        count, at = _skip_count(read_size, data, at, size)
        if count > size - at:
            raise _More(min(count, _FAR) - (size - at))
        return at + count

    return read, write, skip


def _skip_count(read: Read, data: Any, at: int, size: int) -> tuple[int, int]:
    try:
        return read(data, at, size, 0)
    except _Wrong as wrong:
        if wrong.code == errors.SHORT:
            raise _More(wrong.a - wrong.b) from None  # type: ignore[operator]
        raise


def _rest(kind: tuple[Any, ...]) -> Calls:
    def read(data: Any, at: int, size: int, depth: int) -> tuple[bytes, int]:
        return bytes(data[at:size]), size

    def write(value: Any, out: bytearray, depth: int) -> None:
        out += _contiguous(value)

    return read, write, lambda data, at, size, depth: size


def _const(kind: tuple[Any, ...]) -> Calls:
    value: bytes = kind[3]
    width = len(value)

    def read(data: Any, at: int, size: int, depth: int) -> tuple[None, int]:
        end = at + width
        if end > size:
            raise _short(at, size, width)
        if data[at:end] != value:
            raise _Wrong(errors.CONSTANT, at, value, bytes(data[at:end]))
        return None, end

    def write(_: Any, out: bytearray, depth: int) -> None:
        out += value

    def skip(data: Any, at: int, size: int, depth: int) -> int:
        if at + width > size:
            raise _More(at + width - size)
        return read(data, at, size, depth)[1]

    return read, write, skip


def _pad(kind: tuple[Any, ...]) -> Calls:
    width: int = kind[1]

    def read(data: Any, at: int, size: int, depth: int) -> tuple[None, int]:
        if at + width > size:
            raise _short(at, size, width)
        return None, at + width

    def write(_: Any, out: bytearray, depth: int) -> None:
        out += bytes(width)

    return read, write, _skip_plain(width)


def _list(kind: tuple[Any, ...]) -> Calls:
    high, item = kind[5], kind[6]
    read_count, write_count, _ = _number(kind[:6])
    read_item, write_item, skip_item = _calls(item)
    least: int = item[1]
    plain: bool = item[2]
    code = _code(item)

    def read(data: Any, at: int, size: int, depth: int) -> tuple[list[Any], int]:
        count, at = read_count(data, at, size, depth)
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
        except _Wrong as wrong:
            wrong.path.append(i)
            raise
        return items, at

    def write(value: Any, out: bytearray, depth: int) -> None:
        if not isinstance(value, (list, tuple)):
            raise _Refused(errors.record_type, "a list or a tuple", value)
        # A subclass may give other answers than the list that it is.
        base: Any = list if isinstance(value, list) else tuple
        count = base.__len__(value)
        if count > high:
            raise _Refused(errors.record_size, count, high, "items")
        write_count(count, out, depth)
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
        except _Refused as refused:
            refused.path.append(i)
            raise
        if base.__len__(value) != count:
            raise _Refused(errors.record_changed)

    def skip(data: Any, at: int, size: int, depth: int) -> int:
        count, at = _skip_count(read_count, data, at, size)
        if count * least > size - at:
            raise _More(min(count * least, _FAR) - (size - at))
        if plain:
            return at + count * least
        for i in range(count):
            try:
                at = skip_item(data, at, size, depth)
            except _More as more:
                raise _More(min(more.size + (count - i - 1) * least, _FAR)) from None
            except _Wrong as wrong:
                wrong.path.append(i)
                raise
        return at

    return read, write, skip


def _array(kind: tuple[Any, ...]) -> Calls:
    high, item, typecode = kind[5:]
    read_count, write_count, _ = _number(kind[:6])
    width: int = item[1]
    little = item[3][2] if item[0] == NUMBER else item[4]
    swaps = width > 1 and little != _NATIVE_LITTLE

    def read(data: Any, at: int, size: int, depth: int) -> tuple[Any, int]:
        count, at = read_count(data, at, size, depth)
        left = size - at
        if count * width > left:
            wrong = _short(at + left // width * width, size, width)
            wrong.path.append(left // width)
            raise wrong
        end = at + count * width
        values = array(typecode)
        values.frombytes(data[at:end])
        if swaps:
            values.byteswap()
        return values, end

    def write(value: Any, out: bytearray, depth: int) -> None:
        if isinstance(value, (list, tuple)):
            write_list(value, out, depth)
            return
        view = _contiguous(value)
        if _format(view) != _KINDS[typecode] or view.itemsize != width:
            raise _Refused(errors.record_items, typecode, value)
        count = view.nbytes // width
        if count > high:
            raise _Refused(errors.record_size, count, high, "items")
        write_count(count, out, depth)
        if swaps:
            values = array(typecode, view.tobytes())
            values.byteswap()
            view = memoryview(values)
        out += view

    _, write_list, skip = _list((LIST, kind[1], False, *kind[3:6], item))
    return read, write, skip


def _format(view: memoryview) -> str:
    """Which of the letters of _KINDS stands for the view's items, "" for none."""
    code = view.format.lstrip("@=" + ("<" if _NATIVE_LITTLE else ">"))
    return "u" if code in _UNSIGNED else "i" if code in _SIGNED else "f" if code in ("f", "d") else ""


def _record(kind: tuple[Any, ...]) -> Calls:
    program: Program = kind[3]

    def read(data: Any, at: int, size: int, depth: int) -> tuple[Any, int]:
        if depth >= errors.MOST_LEVELS:
            raise _Wrong(errors.DEEP, at, errors.MOST_LEVELS)
        return program._read(data, at, size, depth + 1)

    def write(value: Any, out: bytearray, depth: int) -> None:
        if not issubclass(type(value), program._cls):
            raise _Refused(errors.record_type, f"a {program._name}", value)
        if depth >= errors.MOST_LEVELS:
            raise _Refused(errors.record_deep)
        program._write(value, out, depth + 1)

    def skip(data: Any, at: int, size: int, depth: int) -> int:
        if depth >= errors.MOST_LEVELS:
            raise _Wrong(errors.DEEP, at, errors.MOST_LEVELS)
        return program._skip(data, at, size, depth + 1)

    return read, write, skip


_FLOATS = {2: "e", 4: "f", 8: "d"}
_UNSIGNED = ("B", "H", "I", "L", "Q", "N")
_SIGNED = ("b", "h", "i", "l", "q", "n")
_KINDS = dict.fromkeys("BHIQ", "u") | dict.fromkeys("bhiq", "i") | {"f": "f", "d": "f"}
_INTEGERS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_TYPES = {
    NUMBER: _number,
    FLOAT: _float,
    BOOL: _bool,
    STR: _counted,
    BYTES: _counted,
    REST: _rest,
    CONST: _const,
    PAD: _pad,
    LIST: _list,
    ARRAY: _array,
    RECORD: _record,
    ENUM: _enum,
}


def _calls(kind: tuple[Any, ...]) -> Calls:
    return _TYPES[kind[0]](kind)


def _code(kind: tuple[Any, ...]) -> tuple[str, str] | None:
    """The byte order and the letter of `struct` for a number that it knows."""
    if kind[0] == FLOAT:
        return "<" if kind[4] else ">", _FLOATS[kind[3]]
    if kind[0] == NUMBER and kind[3][0] == UINT and kind[3][1] in _INTEGERS:
        letter = _INTEGERS[kind[3][1]]
        return "<" if kind[3][2] else ">", letter.lower() if kind[3][3] else letter
    return None


# --- programs -------------------------------------------------------------------------------------------


class Program:
    """The field program of one record class, `name` in errors; runs once `build` has given it its fields."""

    def __init__(self, name: str, cls: type) -> None:
        self._name = name
        self._cls = cls

    def build(self, fields: tuple[tuple[str, tuple[Any, ...]], ...]) -> None:
        """Give the program its fields, of which other programs may not be built yet."""
        made: dict[str, Any] = {
            "names": [name for name, _ in fields],
            "cls": self._cls,
            "new": object.__new__,
            "Wrong": _Wrong,
            "Refused": _Refused,
            "More": _More,
            "FAR": _FAR,
            "lacking": _lacking,
            "mend": _mend,
            "StructError": struct.error,
            "packed": self._packed,
            "unpacked": self._unpacked,
            "frozen": any("__setattr__" in one.__dict__ for one in self._cls.__mro__[:-1]),
        }
        for i, (name, kind) in enumerate(fields):
            made[f"read_{i}"], made[f"write_{i}"], made[f"skip_{i}"] = _calls(kind)
            if kind[0] not in (CONST, PAD):
                made[f"set_{i}"] = getattr(self._cls, name).__set__
        exec(_source(fields, made), made)
        self._least = sum(kind[1] for _, kind in fields)
        self._read: Read = made["read"]
        self._write: Write = made["write"]
        self._skip: Skip = made["skip"]
        self._pack: Callable[[Any], bytes] = made["pack"]
        self._unpack: Callable[[Buffer], Any] = made["unpack"]

    def calls(self) -> dict[str, Any]:
        """What the record class is to be given, by name: methods of its instances, and of itself."""

        def pack_into(record: Any, buffer: Buffer, offset: SupportsIndex = 0) -> int:
            return self.pack_into(record, buffer, offset)

        def append_to(record: Any, target: bytearray) -> None:
            self.append_to(record, target)

        def size_of(record: Any) -> int:
            return self.size_of(record)

        return {
            "pack": self._pack,
            "pack_into": pack_into,
            "append_to": append_to,
            "size_of": size_of,
            "unpack": staticmethod(self._unpack),
            "unpack_from": self.unpack_from,
            "unpack_many": self.unpack_many,
            "missing": self.missing,
        }

    def pack(self, record: object) -> bytes:
        """The bytes of `record`."""
        return self._pack(record)

    def pack_into(self, record: object, buffer: Buffer, offset: SupportsIndex = 0) -> int:
        """Write the bytes of `record` into a writable buffer; returns where they end."""
        at = to_index(offset)
        packed = self._pack(record)
        size = len(packed)
        with memoryview(buffer) as given:
            if not given.c_contiguous:
                raise BufferError("memoryview: underlying buffer is not C-contiguous")
            if given.readonly:
                raise TypeError(f"pack_into: the buffer is read-only ({type(buffer).__name__})")
            with given.cast("B") if given.nbytes else memoryview(bytearray()) as view:
                _check_offset(at, len(view))
                if size > len(view) - at:
                    raise errors.encode_no_room(size, at, len(view))
                view[at : at + size] = packed
        return at + size

    def append_to(self, record: object, target: bytearray) -> None:
        """Append the bytes of `record` to a bytearray."""
        if not isinstance(target, bytearray):
            raise TypeError(f"append_to: a bytearray is needed, not {type(target).__name__}")
        packed = self._pack(record)
        target += packed

    def size_of(self, record: object) -> int:
        """How many bytes `record` has."""
        return len(self._pack(record))

    def unpack(self, data: Buffer) -> Any:
        """The record that `data` is, all of it."""
        return self._unpack(data)

    def _unpacked(self, data: Buffer) -> Any:
        return self._reading(data, self._read_whole)

    def unpack_from(self, data: Buffer, offset: SupportsIndex = 0) -> tuple[Any, int]:
        """The record at `offset`, and where it ends."""
        at = to_index(offset)

        def read(view: bytes | memoryview, size: int) -> Any:
            _check_offset(at, size)
            return self._read(view, at, size, 1)

        return self._reading(data, read)  # type: ignore[no-any-return]

    def unpack_many(self, data: Buffer, count: SupportsIndex) -> list[Any]:
        """The `count` records that `data` is, all of it."""
        most = to_index(count)
        if most < 0:
            raise errors.bad_count(most)
        if self._least == 0:
            raise errors.record_uncountable(self._name)
        return self._reading(data, lambda view, size: self._read_many(view, size, most))  # type: ignore[no-any-return]

    def missing(self, data: Buffer, offset: SupportsIndex = 0) -> int:
        """How many bytes the record at `offset` lacks at least; 0 if it is whole."""
        at = to_index(offset)

        def skip(view: bytes | memoryview, size: int) -> Any:
            _check_offset(at, size)
            self._skip(view, at, size, 1)

        try:
            self._reading(data, skip)
        except _More as more:
            return more.size
        return 0

    def _reading(self, data: Buffer, read: Callable[[bytes | memoryview, int], Any]) -> Any:
        """What `read` makes of the bytes of `data`, and their number; a fault as the error that it means."""
        view = data if type(data) is bytes else _bytes(data)
        try:
            return read(view, len(view))
        except _Wrong as wrong:
            error = wrong.error(self._name)
        finally:
            _let_go(view)
        try:
            raise error
        finally:
            del error  # or it would hold itself, and the buffer, by its traceback

    def _read_whole(self, view: bytes | memoryview, size: int) -> Any:
        record, at = self._read(view, 0, size, 1)
        if at != size:
            raise _Wrong(errors.BEHIND, at, size - at)
        return record

    def _read_many(self, view: bytes | memoryview, size: int, count: int) -> list[Any]:
        records: list[Any] = []
        at = 0
        try:
            while len(records) < count:
                record, at = self._read(view, at, size, 1)
                records.append(record)
        except _Wrong as wrong:
            wrong.path.append(len(records))
            raise
        if at != size:
            raise _Wrong(errors.BEHIND, at, size - at)
        return records

    def _packed(self, record: object) -> bytes:
        out = bytearray()
        try:
            if not issubclass(type(record), self._cls):
                raise TypeError(f"a {self._name} is needed, not {type(record).__name__}")
            self._write(record, out, 1)
            return bytes(out)
        except _Refused as refused:
            error = refused.error(self._name)
        try:
            raise error
        finally:
            del error  # or it would hold itself, and the buffer, by its traceback


def _check_offset(at: int, size: int) -> None:
    if not 0 <= at <= size:
        raise errors.bad_offset(at, size)


def _bytes(data: Buffer) -> memoryview:
    try:
        view = memoryview(data)
    except TypeError:
        raise TypeError(f"a bytes-like object is required, not {type(data).__name__!r}") from None
    if not view.c_contiguous:
        raise BufferError("memoryview: underlying buffer is not C-contiguous")
    return view.cast("B") if view.nbytes else memoryview(b"")


def _let_go(view: bytes | memoryview) -> None:
    if type(view) is memoryview:
        view.release()


def _lacking(widths: tuple[int, ...], first: int, at: int, size: int) -> tuple[int, _Wrong]:
    """Which field of a run of fixed ones, from number `first` on, is not all there, and its fault."""
    for i, width in enumerate(widths):
        if at + width > size:
            return first + i, _short(at, size, width)
        at += width
    raise AssertionError("the run is all there")


def _mend(error: AttributeError, record: object, name: str) -> Exception:
    """An unset field, or an AttributeError out of the user's own code."""
    if getattr(record, name, _mend) is not _mend:
        return error
    return _Refused(errors.record_unset)


def _source(fields: tuple[tuple[str, tuple[Any, ...]], ...], made: dict[str, Any]) -> str:
    """Source of `read`, `write` and `skip` of a record; `made` is to hold what it refers to."""
    read = ["def read(data, at, size, depth):", " step = 0", " try:", "  pass"]
    write = ["def write(record, out, depth):", " step = 0", " try:", "  pass"]
    skip = ["def skip(data, at, size, depth):", " step = 0", " try:", "  pass"]
    i = 0
    while i < len(fields):
        run = _run(fields, i)
        j = i + max(1, len(run))
        if len(run) > 1:
            order = next((code[0] for code in run if code[0]), ">")
            layout = struct.Struct(order + "".join(code[1] for code in run))
            widths = tuple(kind[1] for _, kind in fields[i:j])
            made |= {f"widths_{i}": widths, f"pack_{i}": layout.pack, f"unpack_{i}": layout.unpack_from}
            kept = [k for k in range(i, j) if fields[k][1][0] != PAD]
            targets = "".join(f"v{k}, " for k in kept)
            values = ", ".join(f"record.{fields[k][0]}" for k in kept)
            read += [
                f"  if at + {layout.size} > size:",
                f"   step, wrong = lacking(widths_{i}, {i}, at, size)",
                "   raise wrong",
                *([f"  {targets}= unpack_{i}(data, at)"] if kept else []),
                f"  at += {layout.size}",
            ]
            write += ["  try:", f"   out += pack_{i}({values})"]
            write += ["  except (StructError, OverflowError, AttributeError):"]
            for k in range(i, j):
                value = f"record.{fields[k][0]}" if k in kept else "None"
                write += [f"   step = {k}", f"   write_{k}({value}, out, depth)"]
            skip += [f"  step = {j - 1}", f"  if at + {layout.size} > size:"]
            skip += [f"   raise More(at + {layout.size} - size)", f"  at += {layout.size}"]
        else:
            name, kind = fields[i]
            valued = kind[0] not in (CONST, PAD)
            read += [f"  step = {i}", f"  v{i}, at = read_{i}(data, at, size, depth)"]
            write += [f"  step = {i}", f"  write_{i}({f'record.{name}' if valued else 'None'}, out, depth)"]
            skip += [f"  step = {i}", f"  at = skip_{i}(data, at, size, depth)"]
        i = j
    catch = [" except Wrong as wrong:", "  wrong.path.append(names[step])", "  raise"]
    slots = [(i, name) for i, (name, kind) in enumerate(fields) if kind[0] not in (CONST, PAD)]
    fill = [f" set_{i}(record, v{i})" if made["frozen"] else f" record.{name} = v{i}" for i, name in slots]
    read += [*catch, " record = new(cls)", *fill, " return record, at"]
    write += [
        " except AttributeError as error:",
        "  mended = mend(error, record, names[step])",
        "  if mended is error: raise",
        "  mended.path.append(names[step])",
        "  raise mended from None",
        " except Refused as refused:",
        "  refused.path.append(names[step])",
        "  raise",
    ]
    made["tails"] = [sum(kind[1] for _, kind in fields[i + 1 :]) for i in range(len(fields))]
    skip += ["  return at", *catch]
    skip += [" except More as more:", "  raise More(min(more.size + tails[step], FAR)) from None"]
    pack = ["def pack(record):", " return packed(record)"]
    unpack = ["def unpack(data):", " return unpacked(data)"]
    if fields and len(_run(fields, 0)) == len(fields) > 1:
        # One run is all there is. Anything but the commonest, and whatever fails, goes the long way.
        values = ", ".join(f"record.{name}" for _, name in slots)
        pack[1:1] = [" if type(record) is cls:", "  try:", f"   return pack_0({values})"]
        pack[4:4] = ["  except (StructError, OverflowError, AttributeError): pass"]
        targets = "".join(f"v{i}, " for i, _ in slots)
        size = sum(kind[1] for _, kind in fields)
        unpack[1:1] = [
            f" if type(data) is bytes and len(data) == {size}:",
            f"  {targets or '()'} = unpack_0(data)",
        ]
        unpack[3:3] = ["  record = new(cls)", *(f" {line}" for line in fill), "  return record"]
    return "\n".join([*read, *write, *skip, *pack, *unpack])


def _run(fields: tuple[tuple[str, tuple[Any, ...]], ...], first: int) -> list[tuple[str, str]]:
    """Byte order ("" for any) and letters of the fields from `first` on that one call of `struct` does."""
    run: list[tuple[str, str]] = []
    order = ""
    for _, kind in fields[first:]:
        code = ("", f"{kind[1]}x") if kind[0] == PAD else _code(kind)
        if code is None:
            break
        mine = code[0] if kind[1] > 1 and kind[0] != PAD else ""
        if mine and order and mine != order:
            break
        order = mine or order
        run.append((mine, code[1]))
    return run
