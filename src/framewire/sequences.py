"""Field types of records whose size is counted, marked or fixed, with every option; and the hook.

`str_u8`, `bytes_u16`, `list_u8[T]` and the like are the common ones by name, and stand in annotations. The
functions here say the rest. They stand right of `=`, beside the type that a checker is to see, and take a
default: `note: str | None = string(i16, null=-1, default=None)`. In front of `string`, `binary`, `view`,
`list_of` and `array_of` stands a number of any length type, and three options say what it means:

- `bias=n`: the number on the wire is the size plus n (Kafka's compact strings: 1);
- `null=n`: where the number is n there is no value: None (PostgreSQL, Kafka: -1; or 0, with a bias of 1);
- `max=n`: more bytes or items than n are refused, in either direction.
"""

from __future__ import annotations

from .errors import DeclarationError
from .fields import (
    ARRAY,
    ARRAYED,
    BINARY,
    BYTES,
    CODEC,
    CSTR,
    FIXED,
    LIST,
    LISTED,
    REPEAT,
    ROW,
    STR,
    TEXT,
    VIEW,
    FieldType,
    LengthType,
    need_bool,
    need_bytes,
    need_choice,
    need_int,
    need_length_type,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from .fields import LengthLike

    # (greatest number of bytes or items, bias, null or None, whether max= was given)
    Limits: TypeAlias = tuple[int, int, int | None, bool]

__all__ = ["string", "binary", "view", "cstring", "fixed", "list_of", "array_of", "repeat", "codec"]

_ENCODINGS = ("utf-8", "ascii", "latin-1", "utf-16-be", "utf-16-le", "mutf-8")
_MOST_BYTES = (1 << 31) - 1


def _limits(where: str, length: LengthType, bias: int, null: int | None, max: int | None) -> Limits:
    need_int(where, "bias", bias, 0, _MOST_BYTES)
    most = length.maximum - bias
    if null is not None:
        low = -length.maximum - 1 if length.spec[3] else 0
        need_int(where, "null", null, low, length.maximum)
        # From there on, numbers would be taken for null or stand behind it.
        most = min(most, null - bias - 1) if null >= bias else most
    if most < 0:
        raise DeclarationError(f"{where}: {length!r} leaves no number for an empty value")
    if max is not None:
        most = min(most, need_int(where, "max", max, 0, (1 << 63) - 1))
    return most, bias, null, max is not None


def _shown(call: str, given: list[object], options: dict[str, tuple[object, object]]) -> str:
    """The call as it is written; an option is (value, default)."""
    parts = [one.__name__ if isinstance(one, type) else repr(one) for one in given]
    parts += [f"{name}={value!r}" for name, (value, usual) in options.items() if value != usual]
    return f"{call}({', '.join(parts)})"


def _sized(
    where: str,
    kinds: tuple[int, int],
    length: LengthLike,
    encoding: str,
    align: int,
    counted: tuple[int, int | None, int | None],
    default: Any,
) -> FieldType:
    """Of `kinds` the first is the plain one, for which no option is given."""
    field = need_length_type(where, "length", length)
    need_int(where, "align", align, 1, 255)
    bias, null, max = counted
    limits = _limits(where, field, bias, null, max)
    options: dict[str, tuple[object, object]] = {"encoding": (encoding, "utf-8" if where == "string" else "")}
    options |= {"bias": (bias, 0), "null": (null, None), "align": (align, 1), "max": (max, None)}
    call = _shown(where, [field], options)
    if call == f"{where}({field!r})" and not field.spec[3] and kinds[0] != VIEW:
        return FieldType(call, kinds[0], field, None, default)
    return FieldType(call, kinds[1], field, (encoding, align, limits), default)


def string(
    length: LengthLike,
    *,
    encoding: str = "utf-8",
    bias: int = 0,
    null: int | None = None,
    align: int = 1,
    max: int | None = None,
    default: Any = ...,
) -> Any:
    """Text behind its size in bytes, a number of type `length`.

    `encoding` is utf-8, ascii, latin-1, utf-16-be, utf-16-le, or mutf-8: the modified UTF-8 of Java, where
    NUL has two bytes and what is beyond U+FFFF six. With `align=n` zeros follow, up to a multiple of n bytes
    (XDR, RFC 4506, section 4.11: 4), and anything else there is an error. See `binary` for the other options.

    >>> from framewire import Record, i16, string, u16, u32
    >>> class Named(Record):
    ...     name: str = string(u16, encoding="mutf-8", max=64)
    ...     note: str | None = string(i16, null=-1, default=None)
    >>> Named("a\\0b").pack()
    b'\\x00\\x04a\\xc0\\x80b\\xff\\xff'
    >>> Named.unpack(b"\\0\\1x\\0\\2hi")
    Named(name='x', note='hi')
    """
    where = "string"
    need_choice(where, "encoding", encoding, _ENCODINGS)
    return _sized(where, (STR, TEXT), length, encoding, align, (bias, null, max), default)


def binary(
    length: LengthLike,
    *,
    bias: int = 0,
    null: int | None = None,
    align: int = 1,
    max: int | None = None,
    default: Any = ...,
) -> Any:
    """Bytes behind their number, of type `length`, which is `bias` greater; with `null` that means None.

    More than `max` bytes are refused: RecordError with reason `too-large`, EncodeError. `align` as `string`.

    >>> from framewire import Record, binary, u32, varint
    >>> class Blob(Record):
    ...     key: bytes | None = binary(varint, bias=1, null=0)
    ...     data: bytes = binary(u32, align=4)
    >>> Blob(None, b"hello").pack()
    b'\\x00\\x00\\x00\\x00\\x05hello\\x00\\x00\\x00'
    >>> Blob(b"", b"").pack()
    b'\\x01\\x00\\x00\\x00\\x00'
    """
    return _sized("binary", (BYTES, BINARY), length, "", align, (bias, null, max), default)


def view(
    length: LengthLike,
    *,
    bias: int = 0,
    null: int | None = None,
    align: int = 1,
    max: int | None = None,
    default: Any = ...,
) -> Any:
    """As `binary`, but reading gives a memoryview of the buffer that is read: nothing is copied.

    The view keeps the buffer alive, and a bytearray from being resized, and can be written to if the buffer
    can. A record that holds one can be neither pickled nor deeply copied. `view_u16` is `view(u16)`.

    >>> from framewire import Record, u16, view
    >>> class Chunk(Record):
    ...     data: memoryview = view(u16, max=4096)
    >>> buffer = bytearray(b"\\0\\3abc")
    >>> chunk = Chunk.unpack(buffer)
    >>> chunk.data[:] = b"ABC"
    >>> bytes(buffer)
    b'\\x00\\x03ABC'
    """
    return _sized("view", (VIEW, VIEW), length, "", align, (bias, null, max), default)


def cstring(*, encoding: str | None = "utf-8", max: int | None = None, default: Any = ...) -> Any:
    """Text that ends with a NUL, which is no part of it; bytes where `encoding` is None.

    Of at most `max` bytes, not counting the NUL. Text with a NUL in it is EncodeError. In utf-16-be and
    utf-16-le the NUL has two bytes. `cstr` is `cstring()`.

    >>> from framewire import Record, cstring
    >>> class Key(Record):
    ...     name: str = cstring(encoding="ascii", max=8)
    >>> Key("user").pack()
    b'user\\x00'
    >>> Key.missing(b"use"), Key.missing(b"user\\0")
    (1, 0)
    """
    where = "cstring"
    if encoding is not None:
        need_choice(where, "encoding", encoding, _ENCODINGS)
    if max is not None:
        need_int(where, "max", max, 0, _MOST_BYTES)
    call = _shown(where, [], {"encoding": (encoding, "utf-8"), "max": (max, None)})
    return FieldType(call, CSTR, None, (encoding or "", -1 if max is None else max), default)


def fixed(size: int, *, pad: bytes | None = None, encoding: str | None = None, default: Any = ...) -> Any:
    """Exactly `size` bytes; text where `encoding` is given, as `string` has it.

    With `pad`, one byte (two in utf-16-be and utf-16-le), a shorter value is filled up with it on writing,
    and reading takes all of it off the end. Without, a value of another size is EncodeError.

    >>> from framewire import Record, fixed
    >>> class Entry(Record):
    ...     digest: bytes = fixed(4)
    ...     name: str = fixed(8, pad=b" ", encoding="ascii")
    >>> Entry(b"\\1\\2\\3\\0", "ab").pack()
    b'\\x01\\x02\\x03\\x00ab      '
    >>> Entry.unpack(b"\\1\\2\\3\\0ab      ")
    Entry(digest=b'\\x01\\x02\\x03\\x00', name='ab')
    """
    where = "fixed"
    need_int(where, "size", size, 1, _MOST_BYTES)
    if encoding is not None:
        need_choice(where, "encoding", encoding, _ENCODINGS)
    if pad is not None:
        unit = 2 if encoding in ("utf-16-be", "utf-16-le") else 1
        if len(need_bytes(where, "pad", pad)) != unit:
            raise DeclarationError(f"{where}: pad={pad!r} must be {unit} bytes long")
        if size % unit:
            raise DeclarationError(f"{where}: size={size} must be a multiple of {unit}")
    call = _shown(where, [size], {"pad": (pad, None), "encoding": (encoding, None)})
    return FieldType(call, FIXED, None, (size, encoding or "", pad or b""), default)


def list_of(
    item: Any,
    length: LengthLike,
    *,
    bias: int = 0,
    null: int | None = None,
    max: int | None = None,
    default: Any = ...,
) -> Any:
    """A list of items of type `item` behind their number, of type `length`; the options as in `binary`.

    Any type can be an item here, also one with parameters, which cannot stand in an annotation. Items that
    may have no bytes need `max`, as nothing else limits their number. A default must be an empty list.

    >>> from framewire import Record, digits, list_of, u8, varint
    >>> class Codes(Record):
    ...     codes: list[int] = list_of(digits(3), u8, max=10)
    ...     topics: list[int] | None = list_of(u8, varint, bias=1, null=0)
    >>> Codes([200, 404], None).pack()
    b'\\x02200404\\x00'
    """
    return _counted("list_of", (LIST, LISTED), item, length, (bias, null, max), default)


def array_of(
    item: Any,
    length: LengthLike,
    *,
    bias: int = 0,
    null: int | None = None,
    max: int | None = None,
    default: Any = ...,
) -> Any:
    """An `array.array` of integers or floats behind their number, of type `length`; see `list_of`.

    >>> from array import array
    >>> from framewire import Record, array_of, u16, u24
    >>> class Values(Record):
    ...     values: "array[int]" = array_of(u16, u24, max=100_000)
    >>> Values(array("H", [1, 2])).pack()
    b'\\x00\\x00\\x02\\x00\\x01\\x00\\x02'
    """
    return _counted("array_of", (ARRAY, ARRAYED), item, length, (bias, null, max), default)


def _counted(
    where: str,
    kinds: tuple[int, int],
    item: Any,
    length: LengthLike,
    counted: tuple[int, int | None, int | None],
    default: Any,
) -> FieldType:
    field = need_length_type(where, "length", length)
    bias, null, max = counted
    limits = _limits(where, field, bias, null, max)
    call = _shown(where, [item, field], {"bias": (bias, 0), "null": (null, None), "max": (max, None)})
    if counted == (0, None, None) and not field.spec[3]:
        return FieldType(call, kinds[0], field, item, default)
    return FieldType(call, kinds[1], field, (item, limits), default)


def repeat(item: Any, count: int, *, array: bool = False, default: Any = ...) -> Any:
    """Exactly `count` items of type `item`, with no number on the wire; a list, or an `array.array`.

    >>> from framewire import Record, repeat, u8, u16
    >>> class Address(Record):
    ...     parts: list[int] = repeat(u16, 8)
    ...     scope: list[int] = repeat(repeat(u8, 2), 2)
    >>> Address([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], [[1, 2], [3, 4]]).pack().hex()
    '20010db800000000000000000000000101020304'
    """
    where = "repeat"
    need_int(where, "count", count, 1, _MOST_BYTES)
    call = _shown(where, [item, count], {"array": (need_bool(where, "array", array), False)})
    return FieldType(call, ROW if array else REPEAT, None, (item, count), default)


def codec(
    pack: Callable[[Any], bytes],
    unpack_from: Callable[[memoryview, int], tuple[Any, int]],
    min_size: int,
    *,
    default: Any = ...,
) -> Any:
    """A field that two functions of yours write and read: for what no other type says.

    `pack(value)` gives the bytes, at least `min_size`. `unpack_from(buffer, offset)` gives (value, end); it
    is called once `min_size` bytes are there, with a memoryview of bytes. Where bytes are missing it says so
    by an end behind the buffer (a slice up to there is short and raises nothing, so most readers need no line
    for it; the value is dropped), or by EOFError if it cannot know the end. All other exceptions pass
    unchanged. `missing` calls it too. Both may use records, also the one that the field is of, and run in
    the thread of the caller.

    The integers of SSH, RFC 4251, section 5:

    >>> from framewire import Record, codec
    >>> def pack(number):
    ...     data = number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True) if number else b""
    ...     return len(data).to_bytes(4, "big") + data
    >>> def unpack_from(buffer, offset):
    ...     end = offset + 4 + int.from_bytes(buffer[offset : offset + 4], "big")
    ...     return int.from_bytes(buffer[offset + 4 : end], "big", signed=True), end
    >>> class Key(Record):
    ...     exponent: int = codec(pack, unpack_from, 4)
    >>> Key(0x80).pack()
    b'\\x00\\x00\\x00\\x02\\x00\\x80'
    >>> Key.unpack(b"\\0\\0\\0\\2\\0\\x80").exponent, Key.missing(b"\\0\\0\\0\\2\\0")
    (128, 1)
    """
    where = "codec"
    for name, call in (("pack", pack), ("unpack_from", unpack_from)):
        if not callable(call):
            raise TypeError(f"{where}: {name} must be a function, not {call!r}")
    need_int(where, "min_size", min_size, 0, _MOST_BYTES)
    names = ", ".join(getattr(call, "__name__", repr(call)) for call in (pack, unpack_from))
    return FieldType(f"codec({names}, {min_size})", CODEC, None, (pack, unpack_from, min_size), default)
