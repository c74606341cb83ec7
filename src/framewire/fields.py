"""Field types: one vocabulary for the length field of a framing and for the fields of a record.

A field type is a frozen value object. It describes how one number stands on the wire and lowers itself to
`spec`, a plain tuple that both backends understand:

    (kind, width, little, signed, mask, shift, canonical, end, tiers, direct, follow)

`kind` is one of the constants below (they are fw_field_kind in csrc/fw.h); `width` is the number of bytes
of a fixed-width kind and the greatest number of bytes or digits of a variable one; of LEB128 and
ZIGZAG, `mask` has all the bits that a number may have (0: 64 of them); a tier is (selector, width, little,
signed, base) and follow is (bit, bytes). The bare names (`u8` ... `i64le`, `varint`, `ber`
...) are plain `int` to a type checker, so that they can annotate the fields of a record; the parametrised
ones are functions. What is no number, and so no length, is a `FieldType`, for records alone: floats, strings,
bytes, lists, arrays, constants and padding.
"""

from __future__ import annotations

from .errors import DeclarationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from typing import Any, Literal, TypeAlias

    LengthLike: TypeAlias = "type[int] | LengthType"

# Type checkers read this list, so it cannot be made from _ORDINARY.
__all__ = ["LengthType", "leb128", "digits", "hexdigits", "tiered", "varint", "vlq", "quicvarint", "ber"]
__all__ += ["varint32", "zigzag", "zigzag32", "sleb128", "compactsize", "derlength"]
__all__ += ["u8", "u16", "u24", "u32", "u40", "u48", "u56", "u64"]
__all__ += ["i8", "i16", "i24", "i32", "i40", "i48", "i56", "i64"]
__all__ += ["u16le", "u24le", "u32le", "u40le", "u48le", "u56le", "u64le"]
__all__ += ["i16le", "i24le", "i32le", "i40le", "i48le", "i56le", "i64le"]
__all__ += ["FieldType", "f16", "f32", "f64", "f16le", "f32le", "f64le", "rest", "const", "pad", "enumerated"]
__all__ += ["str_u8", "str_u16", "str_u32", "str_varint"]
__all__ += ["bytes_u8", "bytes_u16", "bytes_u32", "bytes_varint"]
__all__ += ["view_u8", "view_u16", "view_u32", "view_varint", "cstr"]
__all__ += ["list_u8", "list_u16", "list_u32", "list_varint"]
__all__ += ["array_u8", "array_u16", "array_u32", "array_varint"]

UINT, LEB128, VLQ, QUIC, BER, DIGITS, DIGITS_END, HEXDIGITS, TIERED, ZIGZAG, SLEB128 = range(1, 12)
# Kinds of FieldType, and the types that a record hands to a backend: see records.py.
NUMBER, FLOAT, BOOL, STR, BYTES, REST, CONST, PAD, LIST, ARRAY, RECORD, ENUM = range(12)
ONEOF, WHEN, BITS, SIZE = range(40, 44)
TEXT, BINARY, VIEW, LISTED, ARRAYED, CSTR, FIXED, REPEAT, ROW, CODEC = range(20, 30)

# Above ten digits no length can be real; a declaration may ask for more, up to what 64 bits hold.
_MAX_DIGITS = 10
_DIGITS_IN_64_BITS = 19
_MAX_TIERS = 8


class _Type:
    """What all types share: they do not change, and are shown as they are written."""

    __slots__ = ()

    if TYPE_CHECKING:
        call: str

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{self!r} is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{self!r} is frozen")

    def __repr__(self) -> str:
        return self.call

    def __or__(self, other: object) -> Either:
        return Either((self, other))

    def __ror__(self, other: object) -> Either:
        return Either((other, self))


class Either(_Type):
    """What `u8 | None` is at run time; `__args__` as a union of classes has it."""

    __slots__ = ("__args__", "call")

    if TYPE_CHECKING:
        __args__: tuple[object, ...]

    def __init__(self, choices: tuple[object, ...]) -> None:
        flat = [getattr(one, "__args__", (one,)) for one in choices]
        args = tuple(one for some in flat for one in some)
        object.__setattr__(self, "__args__", args)
        shown = [one.__name__ if isinstance(one, type) else repr(one) for one in args]
        object.__setattr__(self, "call", " | ".join(shown))


class LengthType(_Type):
    """A number on the wire; equal, hashable and picklable by what it means.

    `u8` to `u64` and `i8` to `i64` are integers of that many bits, big-endian or, with `le`, little-endian.
    `varint` is `leb128()`, and `varint32` one of at most 32 bits (WebAssembly's u32). `zigzag` and `zigzag32`
    are the signed numbers of protobuf and Kafka (0, -1, 1, -2 ... as the varints 0, 1, 2, 3 ...), `sleb128`
    is signed LEB128 of 64 bits (DWARF, WebAssembly), `vlq` has the highest seven bits first, `quicvarint` is
    that of RFC 9000, section 16. `compactsize` is Bitcoin's, `ber` the definite length of ITU-T X.690 of at
    most 32 bits and `derlength` the same in DER; `compactsize` and `derlength` are refused where they are not
    in their shortest form.

    >>> from framewire import LengthPrefixed, u16
    >>> u16
    u16
    >>> LengthPrefixed(u16).encode(b"hi")
    b'\\x00\\x02hi'
    """

    __slots__ = ("text", "call", "spec", "narrowest", "widest", "maximum")

    def __init__(
        self,
        text: str,
        call: str,
        spec: tuple[Any, ...],
        narrowest: int,
        widest: int,
        maximum: int,
    ) -> None:
        for name, value in zip(self.__slots__, (text, call, spec, narrowest, widest, maximum)):
            object.__setattr__(self, name, value)

    if TYPE_CHECKING:
        text: str
        call: str
        spec: tuple[Any, ...]
        narrowest: int
        widest: int
        maximum: int

    @property
    def fixed(self) -> bool:
        """Whether the field has one width only, in bytes."""
        return self.narrowest == self.widest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LengthType) and self.spec == other.spec

    def __hash__(self) -> int:
        return hash(self.spec)

    def __reduce__(self) -> tuple[Any, ...]:
        return LengthType, (self.text, self.call, self.spec, self.narrowest, self.widest, self.maximum)


def _spec(
    kind: int,
    width: int,
    *,
    little: bool = False,
    signed: bool = False,
    mask: int = 0,
    shift: int = 0,
    canonical: bool = False,
    end: bytes = b"",
    tiers: tuple[tuple[int, int, bool, bool, int], ...] = (),
    direct: int = 0,
    follow: tuple[int, int] = (0, 0),
) -> tuple[Any, ...]:
    return kind, width, little, signed, mask, shift, canonical, end, tiers, direct, follow


def _integer(width: int, little: bool, signed: bool) -> LengthType:
    name = f"{'i' if signed else 'u'}{8 * width}{'le' if little else ''}"
    spec = _spec(UINT, width, little=little and width > 1, signed=signed, mask=(1 << 8 * width) - 1)
    return LengthType(name, name, spec, width, width, (1 << (8 * width - signed)) - 1)


def need_int(where: str, name: str, value: object, low: int, high: int | None = None) -> int:
    """`value` if it is an int within low..high; TypeError or DeclarationError naming it otherwise."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{where}: {name} must be an int, not {type(value).__name__}")
    if value < low:
        raise DeclarationError(f"{where}: {name}={value} must be at least {low}")
    if high is not None and value > high:
        raise DeclarationError(f"{where}: {name}={value} must be at most {high}")
    return value


def need_bool(where: str, name: str, value: object) -> bool:
    """`value` if it is True or False; TypeError naming it otherwise."""
    if not isinstance(value, bool):
        raise TypeError(f"{where}: {name} must be True or False, not {value!r}")
    return value


def need_choice(where: str, name: str, value: object, choices: tuple[str, ...]) -> str:
    """`value` if it is one of `choices`; TypeError or DeclarationError naming it otherwise."""
    if not isinstance(value, str):
        raise TypeError(f"{where}: {name} must be a str, not {type(value).__name__}")
    if value not in choices:
        raise DeclarationError(f"{where}: {name}={value!r} must be one of {', '.join(choices)}")
    return value


def need_bytes(where: str, name: str, value: object) -> bytes:
    """`value` if it is bytes; TypeError naming it otherwise."""
    if not isinstance(value, bytes):
        raise TypeError(f"{where}: {name} must be bytes, not {type(value).__name__}")
    return value


def need_length_type(where: str, name: str, value: object) -> LengthType:
    """`value` if it is a field type; TypeError naming it otherwise."""
    if not isinstance(value, LengthType):
        raise TypeError(f"{where}: {name} must be a length type such as u32 or varint, not {value!r}")
    return value


def _need_integer(where: str, name: str, value: object) -> LengthType:
    field = need_length_type(where, name, value)
    if field.spec[0] != UINT:
        raise DeclarationError(f"{where}: {name}={value!r} must be an integer of fixed width")
    return field


def masked(where: str, field: LengthType, mask: int | None) -> tuple[int, int, int]:
    """(mask, shift, greatest value) of an integer field under `mask` (None: all its bits)."""
    full = int(field.spec[4])
    if mask is None:
        return full, 0, field.maximum
    need_int(where, "mask", mask, 1, full)
    if field.spec[3]:
        raise DeclarationError(f"{where}: mask needs an unsigned integer, {field!r} is signed")
    shift = (mask & -mask).bit_length() - 1
    if (mask >> shift) & (mask >> shift) + 1:
        raise DeclarationError(f"{where}: mask=0x{mask:x} must be one run of bits, without holes")
    return mask, shift, mask >> shift


def _number(made: LengthType, default: Any) -> Any:
    """The length type; with a default it is one for a field of a record, and no more for a length."""
    return made if default is ... else FieldType(made.call, NUMBER, made, None, default)


def _base128(name: str, kind: int, max_bytes: int, canonical: bool) -> LengthType:
    need_int(name, "max_bytes", max_bytes, 1, 10)
    options = [] if max_bytes == 10 else [f"max_bytes={max_bytes}"]
    options += ["canonical=True"] if need_bool(name, "canonical", canonical) else []
    text = name + (f":{max_bytes}" if max_bytes != 10 else "") + (",canonical=true" if canonical else "")
    return LengthType(
        text,
        f"{name}({', '.join(options)})",
        _spec(kind, max_bytes, canonical=canonical),
        1,
        max_bytes,
        min((1 << 7 * max_bytes) - 1, (1 << 64) - 1),
    )


def leb128(max_bytes: int = 10, *, canonical: bool = False, default: Any = ...) -> Any:
    """A base-128 number, lowest seven bits first, the top bit set on all bytes but the last.

    At most `max_bytes` (1..10) bytes and 64 bits. Padded forms are accepted unless `canonical`; the
    shortest is written. MQTT's remaining length is `leb128(max_bytes=4)`. (DWARF; protobuf encoding guide.)

    >>> from framewire import LengthPrefixed, leb128
    >>> LengthPrefixed(leb128(max_bytes=4)).encode(bytes(200))[:3]
    b'\\xc8\\x01\\x00'
    """
    return _number(_base128("leb128", LEB128, max_bytes, canonical), default)


def digits(
    count: int | None = None,
    *,
    end: bytes | None = None,
    max_digits: int | None = None,
    default: Any = ...,
) -> Any:
    """A decimal number in ASCII digits: `count` digits with leading zeros, or digits up to `end`.

    With `count` (1..19) the field has that many digits. With `end` (1 to 4 bytes, no digit first) it has 1
    to `max_digits` (10 by default, at most 19) digits, no leading zero, and then `end`. Only the bytes 0-9
    are digits. (netstrings; RFC 6587 section 3.4.1, octet counting.)

    >>> from framewire import LengthPrefixed, digits
    >>> LengthPrefixed(digits(5)).encode(b"hello"), LengthPrefixed(digits(end=b" ")).encode(b"hello")
    (b'00005hello', b'5 hello')
    """
    if (count is None) == (end is None):
        raise DeclarationError("digits: give either a count of digits or end=")
    if count is not None:
        need_int("digits", "count", count, 1, _DIGITS_IN_64_BITS)
        if max_digits is not None:
            raise DeclarationError("digits: max_digits goes with end=, not with a count")
        spec = _spec(DIGITS, count)
        made = LengthType(f"digits:{count}", f"digits({count})", spec, count, count, 10**count - 1)
        return _number(made, default)
    end = need_bytes("digits", "end", end)
    most = need_int(
        "digits", "max_digits", _MAX_DIGITS if max_digits is None else max_digits, 1, _DIGITS_IN_64_BITS
    )
    if not 1 <= len(end) <= 4 or end[:1].isdigit():
        raise DeclarationError(f"digits: end={end!r} must be 1 to 4 bytes that do not start with a digit")
    more = "" if most == _MAX_DIGITS else f", max_digits={most}"
    made = LengthType(
        f"digits,end={escape_bytes(end)}" + more.replace(" ", ""),
        f"digits(end={end!r}{more})",
        _spec(DIGITS_END, most, end=end),
        1 + len(end),
        most + len(end),
        10**most - 1,
    )
    return _number(made, default)


def hexdigits(count: int, *, default: Any = ...) -> Any:
    """A number in `count` (1..16) hexadecimal ASCII digits, either case; lower case is written.

    >>> from framewire import LengthPrefixed, hexdigits
    >>> LengthPrefixed(hexdigits(4)).encode(b"host:version")
    b'000chost:version'
    """
    need_int("hexdigits", "count", count, 1, 16)
    spec = _spec(HEXDIGITS, count)
    made = LengthType(f"hexdigits:{count}", f"hexdigits({count})", spec, count, count, (1 << 4 * count) - 1)
    return _number(made, default)


def tiered(
    first: LengthLike,
    table: dict[int, Any],
    *,
    mask: int | None = None,
    direct: int | None = None,
    follow: tuple[int, int] | None = None,
    canonical: bool = False,
    default: Any = ...,
) -> Any:
    """A small number in one field, or a selector there and the number in a wider field behind it.

    `first` is a fixed-width integer, of which `mask` leaves the selector. `table` maps a selector to the
    type of the next field, or to (type, base) where base is added to its value. A selector of at most
    `direct` (by default the smallest selector - 1) is the number itself; any other is bad-length.
    `follow=(bit, n)`: n more header bytes stand behind the field if `first` has that bit. `canonical`
    refuses a wider form than necessary. (WebSocket, RFC 6455 section 5.2; CoAP over TCP, RFC 8323.)

    >>> from framewire import LengthPrefixed, i64, tiered, u8, u16
    >>> websocket = tiered(u8, {126: u16, 127: i64}, mask=0x7f, follow=(0x80, 4), canonical=True)
    >>> LengthPrefixed(websocket, offset=1, strip=False).encode(b"\\x82\\x00" + bytes(300))[:4]
    b'\\x82~\\x01,'
    """
    where = "tiered"
    outer = _need_integer(where, "first", first)
    if outer.spec[3]:
        raise DeclarationError(f"{where}: first={outer!r} must be unsigned")
    bits, shift, top = masked(where, outer, mask)
    if not isinstance(table, dict):
        raise TypeError(f"{where}: table must be a dict, not {table!r}")
    if not 1 <= len(table) <= _MAX_TIERS:
        raise DeclarationError(f"{where}: table has {len(table)} selectors, give 1 to {_MAX_TIERS}")
    rows = []
    for selector, entry in table.items():
        need_int(where, "selector", selector, 0, top)
        if isinstance(entry, tuple) and len(entry) != 2:
            raise TypeError(f"{where}: table[{selector}] must be a type or (type, base), not {entry!r}")
        kind, base = entry if isinstance(entry, tuple) else (entry, 0)
        inner = _need_integer(where, f"table[{selector}]", kind)
        need_int(where, f"base of selector {selector}", base, 0, (1 << 32) - 1)
        rows.append((selector, inner.spec[1], inner.spec[2], inner.spec[3], base, inner))
    rows.sort(key=lambda row: (row[1], row[0]))
    least = min(table) - 1
    if direct is None:
        direct = least
    need_int(where, "direct", direct, -1, min(top, (1 << 63) - 1))
    if follow is not None and not (isinstance(follow, tuple) and len(follow) == 2):
        raise TypeError(f"{where}: follow must be (bit, bytes), not {follow!r}")
    bit, more = follow if follow is not None else (0, 0)
    if follow is not None:
        need_int(where, "follow bit", bit, 1, int(outer.spec[4]))
        need_int(where, "follow size", more, 1, 255)
        if bit & bits:
            raise DeclarationError(f"{where}: the follow bit 0x{bit:x} is part of the selector")
    parts = [repr(outer), "{" + ", ".join(f"{k}: {_entry(v)}" for k, v in table.items()) + "}"]
    options = []
    if mask is not None:
        options.append(("mask", f"0x{mask:x}"))
    if direct != least:
        options.append(("direct", f"{direct}"))
    if follow is not None:
        options.append(("follow", f"(0x{bit:x}, {more})"))
    if need_bool(where, "canonical", canonical):
        options.append(("canonical", "True"))
    text = "tiered:" + "/".join(
        [outer.text] + [f"{s}={i.text}" + (f"+{b}" if b else "") for s, _, _, _, b, i in rows]
    )
    for key, value in options:
        text += f",{key}={value.strip('()').replace(', ', '/').lower()}"
    width = int(outer.spec[1])
    made = LengthType(
        text,
        f"tiered({', '.join(parts + [f'{key}={value}' for key, value in options])})",
        _spec(
            TIERED,
            width,
            little=outer.spec[2],
            mask=bits,
            shift=shift,
            canonical=canonical,
            tiers=tuple(row[:5] for row in rows),
            direct=direct,
            follow=(bit, more),
        ),
        width,
        width + max(row[1] for row in rows),
        max([direct] + [min(row[4] + row[5].maximum, (1 << 64) - 1) for row in rows]),
    )
    return _number(made, default)


class FieldType(_Type):
    """A field of a record that is no number of a length: equal and hashable by what it means.

    `str_u8` to `str_varint` are text in UTF-8 and `bytes_u8` to `bytes_varint` bytes, behind their size in
    bytes; `list_u8[T]` to `list_varint[T]` are lists, `array_u8[T]` to `array_varint[T]` an `array.array` of
    integers or floats in the machine's own order, behind their number of items; `view_u8` to `view_varint`
    are memoryviews of the buffer that is read, without a copy. `cstr` is `cstring()`, `rest` all that
    follows.

    >>> from framewire import Record, array_u8, str_u8, u16
    >>> class Sample(Record):
    ...     name: str_u8
    ...     values: array_u8[u16]
    >>> Sample("t1", [256, 2]).pack()
    b'\\x02t1\\x02\\x01\\x00\\x00\\x02'
    """

    __slots__ = ("call", "kind", "length", "detail", "default")

    def __init__(
        self,
        call: str,
        kind: int,
        length: LengthType | None = None,
        detail: Any = None,
        default: Any = ...,
    ) -> None:
        for name, value in zip(self.__slots__, (call, kind, length, detail, default)):
            object.__setattr__(self, name, value)

    if TYPE_CHECKING:
        call: str
        kind: int
        length: LengthType | None
        detail: Any
        default: Any  # of the field that it stands for; `...`: it has none

    def __getitem__(self, item: Any) -> FieldType:
        if self.kind not in (LIST, ARRAY) or self.detail is not None:
            raise TypeError(f"{self!r} takes no [item]")
        shown = item.__name__ if isinstance(item, type) else item
        return FieldType(f"{self.call}[{shown}]", self.kind, self.length, item)

    def __eq__(self, other: object) -> bool:
        mine = (self.kind, self.length, self.detail)
        return isinstance(other, FieldType) and mine == (other.kind, other.length, other.detail)

    def __hash__(self) -> int:
        return hash((self.kind, self.length, self.detail))

    def __reduce__(self) -> tuple[Any, ...]:
        return FieldType, (self.call, self.kind, self.length, self.detail, self.default)


def enumerated(
    number: LengthLike, kind: type | None = None, *, open: bool = False, default: Any = ...
) -> Any:
    """A member of an IntEnum, the one in the annotation or `kind`, packed as a number of type `number`.

    Any other number is an error in either direction (RecordError with reason `bad-value`, EncodeError); with
    `open` it stays an int. In a list it needs `kind`: `list_of(enumerated(u8, Kind), u16)`.

    >>> from enum import IntEnum
    >>> from framewire import Record, enumerated, u8
    >>> class Kind(IntEnum):
    ...     PING = 1
    >>> class Message(Record):
    ...     kind: Kind = enumerated(u8)
    ...     next: Kind | int = enumerated(u8, open=True)
    >>> Message.unpack(b"\\1\\7")
    Message(kind=<Kind.PING: 1>, next=7)
    """
    field = need_length_type("enumerated", "number", number)
    options = f", {kind.__name__}" if isinstance(kind, type) else ""
    options += ", open=True" if need_bool("enumerated", "open", open) else ""
    return FieldType(f"enumerated({field!r}{options})", ENUM, field, (kind, open), default)


if TYPE_CHECKING:

    def const(value: object, *, init: Literal[False] = False) -> Any: ...
    def pad(count: int, *, init: Literal[False] = False) -> Any: ...

else:

    def const(value):
        """A field that always has the same value: written by itself, checked when it is read, never set.

        Beside the annotation `bytes` it is these bytes; beside another type, this value of that type.

        >>> from framewire import Record, const, u8
        >>> class Hello(Record):
        ...     magic: bytes = const(b"HI")
        ...     version: u8 = const(2)
        ...     mode: u8
        >>> Hello(7).pack(), Hello.magic
        (b'HI\\x02\\x07', b'HI')
        """
        return FieldType(f"const({value!r})", CONST, None, value)

    def pad(count):
        """`count` bytes (1 to 65535) of no meaning: zeros are written, anything is read.

        >>> from framewire import Record, pad, u8
        >>> class Padded(Record):
        ...     kind: u8
        ...     reserved: bytes = pad(3)
        >>> Padded(1).pack(), Padded.unpack(b"\\1abc")
        (b'\\x01\\x00\\x00\\x00', Padded(kind=1))
        """
        need_int("pad", "count", count, 1, 65535)
        return FieldType(f"pad({count})", PAD, None, count)


def _entry(entry: object) -> str:
    return f"({entry[0]!r}, {entry[1]})" if isinstance(entry, tuple) else repr(entry)


def escape_bytes(data: bytes) -> str:
    """`data` as it stands in the text form of a framing: printable ASCII, the rest as escapes.

    >>> escape_bytes(b"a,\\r\\n")
    'a\\\\,\\\\r\\\\n'
    """
    named = {9: "\\t", 10: "\\n", 13: "\\r", 0: "\\0", 44: "\\,", 92: "\\\\"}
    return "".join(
        named.get(b) or (chr(b) if 33 <= b < 127 and b not in b"/:|=+" else f"\\x{b:02x}") for b in data
    )


_ORDINARY = {
    field.text: field
    for width in range(1, 9)
    for signed in (False, True)
    for little in (False, True)
    for field in [_integer(width, little, signed)]
}
_ORDINARY["varint"] = LengthType("varint", "varint", leb128().spec, 1, 10, (1 << 64) - 1)
_ORDINARY["varint32"] = LengthType(
    "varint32", "varint32", _spec(LEB128, 5, mask=(1 << 32) - 1), 1, 5, (1 << 32) - 1
)
for _name, _bits in (("zigzag", 64), ("zigzag32", 32)):
    _coded = _spec(ZIGZAG, -(-_bits // 7), signed=True, mask=(1 << _bits) - 1)
    _ORDINARY[_name] = LengthType(_name, _name, _coded, 1, -(-_bits // 7), (1 << _bits - 1) - 1)
_ORDINARY["sleb128"] = LengthType("sleb128", "sleb128", _spec(SLEB128, 10, signed=True), 1, 10, (1 << 63) - 1)
_tiers = tiered(
    _ORDINARY["u8"],
    {0xFD: _ORDINARY["u16le"], 0xFE: _ORDINARY["u32le"], 0xFF: _ORDINARY["u64le"]},
    canonical=True,
)
_ORDINARY["compactsize"] = LengthType("compactsize", "compactsize", _tiers.spec, 1, 9, (1 << 64) - 1)
_ORDINARY["derlength"] = LengthType(
    "derlength", "derlength", _spec(BER, 5, canonical=True), 1, 5, (1 << 32) - 1
)
_ORDINARY["vlq"] = LengthType("vlq", "vlq", _spec(VLQ, 10), 1, 10, (1 << 64) - 1)
_ORDINARY["quicvarint"] = LengthType("quicvarint", "quicvarint", _spec(QUIC, 8), 1, 8, (1 << 62) - 1)
_ORDINARY["ber"] = LengthType("ber", "ber", _spec(BER, 5), 1, 5, (1 << 32) - 1)

if TYPE_CHECKING:
    u8: TypeAlias = int
    u16: TypeAlias = int
    u24: TypeAlias = int
    u32: TypeAlias = int
    u40: TypeAlias = int
    u48: TypeAlias = int
    u56: TypeAlias = int
    u64: TypeAlias = int
    i8: TypeAlias = int
    i16: TypeAlias = int
    i24: TypeAlias = int
    i32: TypeAlias = int
    i40: TypeAlias = int
    i48: TypeAlias = int
    i56: TypeAlias = int
    i64: TypeAlias = int
    u16le: TypeAlias = int
    u24le: TypeAlias = int
    u32le: TypeAlias = int
    u40le: TypeAlias = int
    u48le: TypeAlias = int
    u56le: TypeAlias = int
    u64le: TypeAlias = int
    i16le: TypeAlias = int
    i24le: TypeAlias = int
    i32le: TypeAlias = int
    i40le: TypeAlias = int
    i48le: TypeAlias = int
    i56le: TypeAlias = int
    i64le: TypeAlias = int
    varint: TypeAlias = int
    vlq: TypeAlias = int
    quicvarint: TypeAlias = int
    ber: TypeAlias = int
    varint32: TypeAlias = int
    zigzag: TypeAlias = int
    zigzag32: TypeAlias = int
    sleb128: TypeAlias = int
    compactsize: TypeAlias = int
    derlength: TypeAlias = int
    f16: TypeAlias = float
    f32: TypeAlias = float
    f64: TypeAlias = float
    f16le: TypeAlias = float
    f32le: TypeAlias = float
    f64le: TypeAlias = float
    rest: TypeAlias = bytes
    str_u8: TypeAlias = str
    str_u16: TypeAlias = str
    str_u32: TypeAlias = str
    str_varint: TypeAlias = str
    bytes_u8: TypeAlias = bytes
    bytes_u16: TypeAlias = bytes
    bytes_u32: TypeAlias = bytes
    bytes_varint: TypeAlias = bytes
    view_u8: TypeAlias = memoryview
    view_u16: TypeAlias = memoryview
    view_u32: TypeAlias = memoryview
    view_varint: TypeAlias = memoryview
    cstr: TypeAlias = str
    list_u8 = list
    list_u16 = list
    list_u32 = list
    list_varint = list
    array_u8 = array
    array_u16 = array
    array_u32 = array
    array_varint = array
else:
    for _name in ("u8le", "i8le"):
        del _ORDINARY[_name]
    globals().update(_ORDINARY)
    for _bits in (16, 32, 64):
        globals()[f"f{_bits}"] = FieldType(f"f{_bits}", FLOAT, None, (_bits // 8, False))
        globals()[f"f{_bits}le"] = FieldType(f"f{_bits}le", FLOAT, None, (_bits // 8, True))
    for _family, _kind in (("str", STR), ("bytes", BYTES), ("list", LIST), ("array", ARRAY)):
        for _name in ("u8", "u16", "u32", "varint"):
            globals()[f"{_family}_{_name}"] = FieldType(f"{_family}_{_name}", _kind, _ORDINARY[_name])
    for _name in ("u8", "u16", "u32", "varint"):
        globals()[f"view_{_name}"] = FieldType(
            f"view_{_name}", VIEW, _ORDINARY[_name], ("", 1, (_ORDINARY[_name].maximum, 0, None, False))
        )
    cstr = FieldType("cstr", CSTR, None, ("utf-8", -1))
    rest = FieldType("rest", REST)

NAMED: dict[str, LengthType] = _ORDINARY
