r"""Byte order in Python: host and network integers, fields at an offset, bulk reversal.

The twin of `_native.byteorder`: same functions, same results, same errors, for a machine without
the extension. `struct` does the buffer access, because it takes exactly the buffers that C code
takes (any object, any item format, C-contiguous) where slicing would not. Its own range errors are
never let through: `pack_into` zeroes the destination before it looks at the value.
"""

from __future__ import annotations

import sys
from array import array
from math import ldexp
from operator import index
from struct import Struct
from struct import error as struct_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, NoReturn, SupportsFloat, SupportsIndex

    from typing_extensions import Buffer

_SLICES = tuple(Struct(f"{size}s") for size in range(9))
_F16, _F16LE = Struct(">e"), Struct("<e")
_F32, _F32LE = Struct(">f"), Struct("<f")
_F64, _F64LE = Struct(">d"), Struct("<d")
_LARGEST = {2: 65504.0, 4: 3.4028234663852886e38}
_CODES = {array(code).itemsize: code for code in "HILQ"}


def _shown(number: int) -> str:
    """The number for a message: Python refuses to print integers of thousands of digits."""
    bits = number.bit_length()
    return str(number) if bits <= 256 else f"an integer of {bits} bits"


def _take(buffer: Buffer) -> memoryview:
    """Raises what C code would raise for an object without a contiguous buffer."""
    _SLICES[0].unpack_from(buffer)
    return memoryview(buffer)


def _take_writable(name: str, buffer: Buffer) -> memoryview:
    view = _take(buffer)
    if view.readonly:
        raise TypeError(f"{name}: the buffer is read-only ({type(buffer).__name__})")
    return view


def _refuse_offset(name: str, offset: int, width: int, view: memoryview) -> NoReturn:
    if offset < 0:
        raise IndexError(f"{name} at offset {_shown(offset)}: offsets count from 0")
    raise IndexError(f"{name} at offset {_shown(offset)} needs {width} bytes, the buffer has {view.nbytes}")


def _read(name: str, buffer: Buffer, offset: SupportsIndex, width: int) -> bytes:
    at = index(offset)
    if 0 <= at <= sys.maxsize:
        try:
            field: bytes = _SLICES[width].unpack_from(buffer, at)[0]
            return field
        except struct_error:
            pass
    _refuse_offset(name, at, width, _take(buffer))


def _write(name: str, buffer: Buffer, offset: SupportsIndex, field: bytes) -> int:
    at = index(offset)
    if 0 <= at <= sys.maxsize:
        try:
            _SLICES[len(field)].pack_into(buffer, at, field)
            return at + len(field)
        except (struct_error, TypeError, BufferError):
            pass
    _refuse_offset(name, at, len(field), _take_writable(name, buffer))


def _in_range(name: str, value: SupportsIndex, width: int, signed: bool = False) -> int:
    number = index(value)
    bits = 8 * width - signed
    low, high = (-(1 << bits) if signed else 0), (1 << bits) - 1
    if not low <= number <= high:
        raise OverflowError(f"{name}: {_shown(number)} is not in {low}..{high}")
    return number


def _put_int(
    name: str,
    buffer: Buffer,
    offset: SupportsIndex,
    value: SupportsIndex,
    width: int,
    order: Literal["big", "little"],
    signed: bool = False,
) -> int:
    number = _in_range(name, value, width, signed)
    return _write(name, buffer, offset, number.to_bytes(width, order, signed=signed))


def _get_float(name: str, buffer: Buffer, offset: SupportsIndex, layout: Struct) -> float:
    number: float = layout.unpack(_read(name, buffer, offset, layout.size))[0]
    return number


def _put_float(
    name: str, buffer: Buffer, offset: SupportsIndex, value: SupportsFloat | SupportsIndex, layout: Struct
) -> int:
    number = ldexp(value, 0)  # the value as a float, by the rules of C code: no strings
    try:
        field = layout.pack(number)
    except OverflowError:
        largest = _LARGEST[layout.size]
        raise OverflowError(f"{name}: {number!r} is too large (at most {largest!r})") from None
    return _write(name, buffer, offset, field)


def _network(name: str, value: SupportsIndex, width: int) -> int:
    return int.from_bytes(_in_range(name, value, width).to_bytes(width, sys.byteorder), "big")


def _item_width(name: str, width: SupportsIndex) -> int:
    item = index(width)
    if item not in (2, 4, 8):
        raise ValueError(f"{name}: width must be 2, 4 or 8, not {_shown(item)}")
    return item


def _reversed(name: str, buffer: Buffer, view: memoryview, width: int) -> bytes:
    if view.nbytes % width:
        raise ValueError(f"{name}: {view.nbytes} bytes are not a multiple of width {width}")
    items = array(_CODES[width], Struct(f"{view.nbytes}s").unpack_from(buffer)[0])
    items.byteswap()
    return items.tobytes()


def htons(value: SupportsIndex) -> int:
    """A 16-bit integer from host to network byte order.
    >>> ntohs(htons(80))
    80
    """
    return _network("htons", value, 2)


def htonl(value: SupportsIndex) -> int:
    """A 32-bit integer from host to network byte order.
    >>> ntohl(htonl(0x7f000001)) == 0x7f000001
    True
    """
    return _network("htonl", value, 4)


def htonll(value: SupportsIndex) -> int:
    """A 64-bit integer from host to network byte order.
    >>> ntohll(htonll(2**63 + 1)) == 2**63 + 1
    True
    """
    return _network("htonll", value, 8)


def ntohs(value: SupportsIndex) -> int:
    """A 16-bit integer from network to host byte order.
    >>> import sys
    >>> ntohs(int.from_bytes(b"\\x00\\x50", sys.byteorder))
    80
    """
    return _network("ntohs", value, 2)


def ntohl(value: SupportsIndex) -> int:
    """A 32-bit integer from network to host byte order.
    >>> import sys
    >>> ntohl(int.from_bytes(b"\\x00\\x00\\x00\\x50", sys.byteorder))
    80
    """
    return _network("ntohl", value, 4)


def ntohll(value: SupportsIndex) -> int:
    """A 64-bit integer from network to host byte order.
    >>> import sys
    >>> ntohll(int.from_bytes(bytes(7) + b"P", sys.byteorder))
    80
    """
    return _network("ntohll", value, 8)


def swap(buffer: Buffer, width: SupportsIndex) -> None:
    """Reverses the bytes of every item of `width` (2, 4 or 8) bytes of a writable buffer, in place.
    >>> buffer = bytearray(b"abcdefgh")
    >>> swap(buffer, 4); buffer
    bytearray(b'dcbahgfe')
    """
    item = _item_width("swap", width)
    view = _take_writable("swap", buffer)
    Struct(f"{view.nbytes}s").pack_into(buffer, 0, _reversed("swap", buffer, view, item))


def swapped(buffer: Buffer, width: SupportsIndex) -> bytes:
    """A copy with the bytes of every item of `width` (2, 4 or 8) bytes reversed.
    >>> swapped(b"abcdefgh", 2)
    b'badcfehg'
    """
    item = _item_width("swapped", width)
    return _reversed("swapped", buffer, _take(buffer), item)


def get_u8(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """An unsigned 8-bit integer at `offset`.
    >>> get_u8(bytes.fromhex("07"))
    7
    """
    return int.from_bytes(_read("get_u8", buffer, offset, 1), "big")


def get_u16(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """An unsigned 16-bit integer at `offset`, big-endian.
    >>> get_u16(bytes.fromhex("0007"))
    7
    """
    return int.from_bytes(_read("get_u16", buffer, offset, 2), "big")


def get_u24(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """An unsigned 24-bit integer at `offset`, big-endian.
    >>> get_u24(bytes.fromhex("000007"))
    7
    """
    return int.from_bytes(_read("get_u24", buffer, offset, 3), "big")


def get_u32(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """An unsigned 32-bit integer at `offset`, big-endian.
    >>> get_u32(bytes.fromhex("00000007"))
    7
    """
    return int.from_bytes(_read("get_u32", buffer, offset, 4), "big")


def get_u40(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """An unsigned 40-bit integer at `offset`, big-endian.
    >>> get_u40(bytes.fromhex("0000000007"))
    7
    """
    return int.from_bytes(_read("get_u40", buffer, offset, 5), "big")


def get_u48(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """An unsigned 48-bit integer at `offset`, big-endian.
    >>> get_u48(bytes.fromhex("000000000007"))
    7
    """
    return int.from_bytes(_read("get_u48", buffer, offset, 6), "big")


def get_u56(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """An unsigned 56-bit integer at `offset`, big-endian.
    >>> get_u56(bytes.fromhex("00000000000007"))
    7
    """
    return int.from_bytes(_read("get_u56", buffer, offset, 7), "big")


def get_u64(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """An unsigned 64-bit integer at `offset`, big-endian.
    >>> get_u64(bytes.fromhex("0000000000000007"))
    7
    """
    return int.from_bytes(_read("get_u64", buffer, offset, 8), "big")


def get_i8(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """A signed 8-bit integer at `offset`.
    >>> get_i8(bytes.fromhex("f9"))
    -7
    """
    return int.from_bytes(_read("get_i8", buffer, offset, 1), "big", signed=True)


def get_i16(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """A signed 16-bit integer at `offset`, big-endian.
    >>> get_i16(bytes.fromhex("fff9"))
    -7
    """
    return int.from_bytes(_read("get_i16", buffer, offset, 2), "big", signed=True)


def get_i24(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """A signed 24-bit integer at `offset`, big-endian.
    >>> get_i24(bytes.fromhex("fffff9"))
    -7
    """
    return int.from_bytes(_read("get_i24", buffer, offset, 3), "big", signed=True)


def get_i32(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """A signed 32-bit integer at `offset`, big-endian.
    >>> get_i32(bytes.fromhex("fffffff9"))
    -7
    """
    return int.from_bytes(_read("get_i32", buffer, offset, 4), "big", signed=True)


def get_i40(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """A signed 40-bit integer at `offset`, big-endian.
    >>> get_i40(bytes.fromhex("fffffffff9"))
    -7
    """
    return int.from_bytes(_read("get_i40", buffer, offset, 5), "big", signed=True)


def get_i48(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """A signed 48-bit integer at `offset`, big-endian.
    >>> get_i48(bytes.fromhex("fffffffffff9"))
    -7
    """
    return int.from_bytes(_read("get_i48", buffer, offset, 6), "big", signed=True)


def get_i56(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """A signed 56-bit integer at `offset`, big-endian.
    >>> get_i56(bytes.fromhex("fffffffffffff9"))
    -7
    """
    return int.from_bytes(_read("get_i56", buffer, offset, 7), "big", signed=True)


def get_i64(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """A signed 64-bit integer at `offset`, big-endian.
    >>> get_i64(bytes.fromhex("fffffffffffffff9"))
    -7
    """
    return int.from_bytes(_read("get_i64", buffer, offset, 8), "big", signed=True)


def get_u16le(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """An unsigned 16-bit integer at `offset`, little-endian.
    >>> get_u16le(bytes.fromhex("0700"))
    7
    """
    return int.from_bytes(_read("get_u16le", buffer, offset, 2), "little")


def get_u24le(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """An unsigned 24-bit integer at `offset`, little-endian.
    >>> get_u24le(bytes.fromhex("070000"))
    7
    """
    return int.from_bytes(_read("get_u24le", buffer, offset, 3), "little")


def get_u32le(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """An unsigned 32-bit integer at `offset`, little-endian.
    >>> get_u32le(bytes.fromhex("07000000"))
    7
    """
    return int.from_bytes(_read("get_u32le", buffer, offset, 4), "little")


def get_u40le(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """An unsigned 40-bit integer at `offset`, little-endian.
    >>> get_u40le(bytes.fromhex("0700000000"))
    7
    """
    return int.from_bytes(_read("get_u40le", buffer, offset, 5), "little")


def get_u48le(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """An unsigned 48-bit integer at `offset`, little-endian.
    >>> get_u48le(bytes.fromhex("070000000000"))
    7
    """
    return int.from_bytes(_read("get_u48le", buffer, offset, 6), "little")


def get_u56le(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """An unsigned 56-bit integer at `offset`, little-endian.
    >>> get_u56le(bytes.fromhex("07000000000000"))
    7
    """
    return int.from_bytes(_read("get_u56le", buffer, offset, 7), "little")


def get_u64le(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """An unsigned 64-bit integer at `offset`, little-endian.
    >>> get_u64le(bytes.fromhex("0700000000000000"))
    7
    """
    return int.from_bytes(_read("get_u64le", buffer, offset, 8), "little")


def get_i16le(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """A signed 16-bit integer at `offset`, little-endian.
    >>> get_i16le(bytes.fromhex("f9ff"))
    -7
    """
    return int.from_bytes(_read("get_i16le", buffer, offset, 2), "little", signed=True)


def get_i24le(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """A signed 24-bit integer at `offset`, little-endian.
    >>> get_i24le(bytes.fromhex("f9ffff"))
    -7
    """
    return int.from_bytes(_read("get_i24le", buffer, offset, 3), "little", signed=True)


def get_i32le(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """A signed 32-bit integer at `offset`, little-endian.
    >>> get_i32le(bytes.fromhex("f9ffffff"))
    -7
    """
    return int.from_bytes(_read("get_i32le", buffer, offset, 4), "little", signed=True)


def get_i40le(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """A signed 40-bit integer at `offset`, little-endian.
    >>> get_i40le(bytes.fromhex("f9ffffffff"))
    -7
    """
    return int.from_bytes(_read("get_i40le", buffer, offset, 5), "little", signed=True)


def get_i48le(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """A signed 48-bit integer at `offset`, little-endian.
    >>> get_i48le(bytes.fromhex("f9ffffffffff"))
    -7
    """
    return int.from_bytes(_read("get_i48le", buffer, offset, 6), "little", signed=True)


def get_i56le(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """A signed 56-bit integer at `offset`, little-endian.
    >>> get_i56le(bytes.fromhex("f9ffffffffffff"))
    -7
    """
    return int.from_bytes(_read("get_i56le", buffer, offset, 7), "little", signed=True)


def get_i64le(buffer: Buffer, offset: SupportsIndex = 0) -> int:
    """A signed 64-bit integer at `offset`, little-endian.
    >>> get_i64le(bytes.fromhex("f9ffffffffffffff"))
    -7
    """
    return int.from_bytes(_read("get_i64le", buffer, offset, 8), "little", signed=True)


def get_f16(buffer: Buffer, offset: SupportsIndex = 0) -> float:
    """An IEEE 754 float of 16 bits at `offset`, big-endian.
    >>> get_f16(bytes.fromhex("3e00"))
    1.5
    """
    return _get_float("get_f16", buffer, offset, _F16)


def get_f32(buffer: Buffer, offset: SupportsIndex = 0) -> float:
    """An IEEE 754 float of 32 bits at `offset`, big-endian.
    >>> get_f32(bytes.fromhex("3fc00000"))
    1.5
    """
    return _get_float("get_f32", buffer, offset, _F32)


def get_f64(buffer: Buffer, offset: SupportsIndex = 0) -> float:
    """An IEEE 754 float of 64 bits at `offset`, big-endian.
    >>> get_f64(bytes.fromhex("3ff8000000000000"))
    1.5
    """
    return _get_float("get_f64", buffer, offset, _F64)


def get_f16le(buffer: Buffer, offset: SupportsIndex = 0) -> float:
    """An IEEE 754 float of 16 bits at `offset`, little-endian.
    >>> get_f16le(bytes.fromhex("003e"))
    1.5
    """
    return _get_float("get_f16le", buffer, offset, _F16LE)


def get_f32le(buffer: Buffer, offset: SupportsIndex = 0) -> float:
    """An IEEE 754 float of 32 bits at `offset`, little-endian.
    >>> get_f32le(bytes.fromhex("0000c03f"))
    1.5
    """
    return _get_float("get_f32le", buffer, offset, _F32LE)


def get_f64le(buffer: Buffer, offset: SupportsIndex = 0) -> float:
    """An IEEE 754 float of 64 bits at `offset`, little-endian.
    >>> get_f64le(bytes.fromhex("000000000000f83f"))
    1.5
    """
    return _get_float("get_f64le", buffer, offset, _F64LE)


def put_u8(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores an unsigned 8-bit integer at `offset`; returns the end offset.
    >>> put_u8(buffer := bytearray(1), 0, 7), buffer.hex()
    (1, '07')
    """
    return _put_int("put_u8", buffer, offset, value, 1, "big")


def put_u16(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores an unsigned 16-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_u16(buffer := bytearray(2), 0, 7), buffer.hex()
    (2, '0007')
    """
    return _put_int("put_u16", buffer, offset, value, 2, "big")


def put_u24(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores an unsigned 24-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_u24(buffer := bytearray(3), 0, 7), buffer.hex()
    (3, '000007')
    """
    return _put_int("put_u24", buffer, offset, value, 3, "big")


def put_u32(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores an unsigned 32-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_u32(buffer := bytearray(4), 0, 7), buffer.hex()
    (4, '00000007')
    """
    return _put_int("put_u32", buffer, offset, value, 4, "big")


def put_u40(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores an unsigned 40-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_u40(buffer := bytearray(5), 0, 7), buffer.hex()
    (5, '0000000007')
    """
    return _put_int("put_u40", buffer, offset, value, 5, "big")


def put_u48(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores an unsigned 48-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_u48(buffer := bytearray(6), 0, 7), buffer.hex()
    (6, '000000000007')
    """
    return _put_int("put_u48", buffer, offset, value, 6, "big")


def put_u56(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores an unsigned 56-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_u56(buffer := bytearray(7), 0, 7), buffer.hex()
    (7, '00000000000007')
    """
    return _put_int("put_u56", buffer, offset, value, 7, "big")


def put_u64(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores an unsigned 64-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_u64(buffer := bytearray(8), 0, 7), buffer.hex()
    (8, '0000000000000007')
    """
    return _put_int("put_u64", buffer, offset, value, 8, "big")


def put_i8(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores a signed 8-bit integer at `offset`; returns the end offset.
    >>> put_i8(buffer := bytearray(1), 0, -7), buffer.hex()
    (1, 'f9')
    """
    return _put_int("put_i8", buffer, offset, value, 1, "big", signed=True)


def put_i16(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores a signed 16-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_i16(buffer := bytearray(2), 0, -7), buffer.hex()
    (2, 'fff9')
    """
    return _put_int("put_i16", buffer, offset, value, 2, "big", signed=True)


def put_i24(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores a signed 24-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_i24(buffer := bytearray(3), 0, -7), buffer.hex()
    (3, 'fffff9')
    """
    return _put_int("put_i24", buffer, offset, value, 3, "big", signed=True)


def put_i32(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores a signed 32-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_i32(buffer := bytearray(4), 0, -7), buffer.hex()
    (4, 'fffffff9')
    """
    return _put_int("put_i32", buffer, offset, value, 4, "big", signed=True)


def put_i40(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores a signed 40-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_i40(buffer := bytearray(5), 0, -7), buffer.hex()
    (5, 'fffffffff9')
    """
    return _put_int("put_i40", buffer, offset, value, 5, "big", signed=True)


def put_i48(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores a signed 48-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_i48(buffer := bytearray(6), 0, -7), buffer.hex()
    (6, 'fffffffffff9')
    """
    return _put_int("put_i48", buffer, offset, value, 6, "big", signed=True)


def put_i56(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores a signed 56-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_i56(buffer := bytearray(7), 0, -7), buffer.hex()
    (7, 'fffffffffffff9')
    """
    return _put_int("put_i56", buffer, offset, value, 7, "big", signed=True)


def put_i64(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores a signed 64-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_i64(buffer := bytearray(8), 0, -7), buffer.hex()
    (8, 'fffffffffffffff9')
    """
    return _put_int("put_i64", buffer, offset, value, 8, "big", signed=True)


def put_u16le(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores an unsigned 16-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_u16le(buffer := bytearray(2), 0, 7), buffer.hex()
    (2, '0700')
    """
    return _put_int("put_u16le", buffer, offset, value, 2, "little")


def put_u24le(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores an unsigned 24-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_u24le(buffer := bytearray(3), 0, 7), buffer.hex()
    (3, '070000')
    """
    return _put_int("put_u24le", buffer, offset, value, 3, "little")


def put_u32le(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores an unsigned 32-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_u32le(buffer := bytearray(4), 0, 7), buffer.hex()
    (4, '07000000')
    """
    return _put_int("put_u32le", buffer, offset, value, 4, "little")


def put_u40le(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores an unsigned 40-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_u40le(buffer := bytearray(5), 0, 7), buffer.hex()
    (5, '0700000000')
    """
    return _put_int("put_u40le", buffer, offset, value, 5, "little")


def put_u48le(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores an unsigned 48-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_u48le(buffer := bytearray(6), 0, 7), buffer.hex()
    (6, '070000000000')
    """
    return _put_int("put_u48le", buffer, offset, value, 6, "little")


def put_u56le(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores an unsigned 56-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_u56le(buffer := bytearray(7), 0, 7), buffer.hex()
    (7, '07000000000000')
    """
    return _put_int("put_u56le", buffer, offset, value, 7, "little")


def put_u64le(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores an unsigned 64-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_u64le(buffer := bytearray(8), 0, 7), buffer.hex()
    (8, '0700000000000000')
    """
    return _put_int("put_u64le", buffer, offset, value, 8, "little")


def put_i16le(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores a signed 16-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_i16le(buffer := bytearray(2), 0, -7), buffer.hex()
    (2, 'f9ff')
    """
    return _put_int("put_i16le", buffer, offset, value, 2, "little", signed=True)


def put_i24le(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores a signed 24-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_i24le(buffer := bytearray(3), 0, -7), buffer.hex()
    (3, 'f9ffff')
    """
    return _put_int("put_i24le", buffer, offset, value, 3, "little", signed=True)


def put_i32le(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores a signed 32-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_i32le(buffer := bytearray(4), 0, -7), buffer.hex()
    (4, 'f9ffffff')
    """
    return _put_int("put_i32le", buffer, offset, value, 4, "little", signed=True)


def put_i40le(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores a signed 40-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_i40le(buffer := bytearray(5), 0, -7), buffer.hex()
    (5, 'f9ffffffff')
    """
    return _put_int("put_i40le", buffer, offset, value, 5, "little", signed=True)


def put_i48le(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores a signed 48-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_i48le(buffer := bytearray(6), 0, -7), buffer.hex()
    (6, 'f9ffffffffff')
    """
    return _put_int("put_i48le", buffer, offset, value, 6, "little", signed=True)


def put_i56le(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores a signed 56-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_i56le(buffer := bytearray(7), 0, -7), buffer.hex()
    (7, 'f9ffffffffffff')
    """
    return _put_int("put_i56le", buffer, offset, value, 7, "little", signed=True)


def put_i64le(buffer: Buffer, offset: SupportsIndex, value: SupportsIndex) -> int:
    """Stores a signed 64-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_i64le(buffer := bytearray(8), 0, -7), buffer.hex()
    (8, 'f9ffffffffffffff')
    """
    return _put_int("put_i64le", buffer, offset, value, 8, "little", signed=True)


def put_f16(buffer: Buffer, offset: SupportsIndex, value: SupportsFloat | SupportsIndex) -> int:
    """Stores an IEEE 754 float of 16 bits at `offset`, big-endian; returns the end offset.
    >>> put_f16(buffer := bytearray(2), 0, 1.5), buffer.hex()
    (2, '3e00')
    """
    return _put_float("put_f16", buffer, offset, value, _F16)


def put_f32(buffer: Buffer, offset: SupportsIndex, value: SupportsFloat | SupportsIndex) -> int:
    """Stores an IEEE 754 float of 32 bits at `offset`, big-endian; returns the end offset.
    >>> put_f32(buffer := bytearray(4), 0, 1.5), buffer.hex()
    (4, '3fc00000')
    """
    return _put_float("put_f32", buffer, offset, value, _F32)


def put_f64(buffer: Buffer, offset: SupportsIndex, value: SupportsFloat | SupportsIndex) -> int:
    """Stores an IEEE 754 float of 64 bits at `offset`, big-endian; returns the end offset.
    >>> put_f64(buffer := bytearray(8), 0, 1.5), buffer.hex()
    (8, '3ff8000000000000')
    """
    return _put_float("put_f64", buffer, offset, value, _F64)


def put_f16le(buffer: Buffer, offset: SupportsIndex, value: SupportsFloat | SupportsIndex) -> int:
    """Stores an IEEE 754 float of 16 bits at `offset`, little-endian; returns the end offset.
    >>> put_f16le(buffer := bytearray(2), 0, 1.5), buffer.hex()
    (2, '003e')
    """
    return _put_float("put_f16le", buffer, offset, value, _F16LE)


def put_f32le(buffer: Buffer, offset: SupportsIndex, value: SupportsFloat | SupportsIndex) -> int:
    """Stores an IEEE 754 float of 32 bits at `offset`, little-endian; returns the end offset.
    >>> put_f32le(buffer := bytearray(4), 0, 1.5), buffer.hex()
    (4, '0000c03f')
    """
    return _put_float("put_f32le", buffer, offset, value, _F32LE)


def put_f64le(buffer: Buffer, offset: SupportsIndex, value: SupportsFloat | SupportsIndex) -> int:
    """Stores an IEEE 754 float of 64 bits at `offset`, little-endian; returns the end offset.
    >>> put_f64le(buffer := bytearray(8), 0, 1.5), buffer.hex()
    (8, '000000000000f83f')
    """
    return _put_float("put_f64le", buffer, offset, value, _F64LE)
