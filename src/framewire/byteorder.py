"""Byte order: host and network integers, fields at an offset of a buffer, bulk reversal.

- `htons htonl htonll ntohs ntohl ntohll`: an unsigned integer of 16, 32 or 64 bits between host and
  network (big-endian) byte order.
- `get_TYPE(buffer, offset=0)` returns the field at a byte offset; `put_TYPE(buffer, offset, value)`
  stores one and returns the offset behind it, ready for the next. TYPE is `u8 u16 u24 u32 u40 u48 u56
  u64`, signed `i8` to `i64`, or an IEEE 754 float `f16 f32 f64`: big-endian, or little-endian with
  `le` behind it (`u32le`).
- `swap(buffer, width)` reverses the bytes of every item of 2, 4 or 8 bytes in place, with the widest
  vectors of the machine; `swapped(buffer, width)` returns a reversed copy.

A buffer is any object with C-contiguous memory (`bytes`, `bytearray`, `memoryview`, `array`, `mmap`, a
NumPy array); offsets and sizes count its bytes, whatever its items are. Fields need no alignment.

Errors: IndexError for an offset below 0 or a field beyond the buffer's end; OverflowError for a value
outside the type's range, or a float too large for its width; TypeError for an offset, width or integer
that is not one (`bool` and `__index__` are, `float` is not), for an object without a buffer and for a
read-only one where something is stored; BufferError for memory that is not contiguous; ValueError for
another width than 2, 4 or 8, or a buffer that is not whole items. A call that raises has changed nothing.

Thread-safety: the functions keep no state. Two threads that touch the same bytes at the same time, one
of them storing, see each other's work half done; reversal of large buffers runs outside the interpreter
lock.

>>> message = bytearray(7)
>>> end = put_u16(message, 0, 1)
>>> end = put_u40(message, end, 2**33)
>>> end, bytes(message).hex(), get_u40(message, 2) == 2**33
(7, '00010200000000', True)
>>> swapped(b"abcdefgh", 4)
b'dcbahgfe'
"""

from __future__ import annotations

from ._backend import byteorder as _impl

# fmt: off
__all__ = [
    "htons", "htonl", "htonll", "ntohs", "ntohl", "ntohll",
    "swap", "swapped",
    "get_u8", "get_u16", "get_u24", "get_u32", "get_u40", "get_u48", "get_u56", "get_u64",
    "get_u16le", "get_u24le", "get_u32le", "get_u40le", "get_u48le", "get_u56le", "get_u64le",
    "get_i8", "get_i16", "get_i24", "get_i32", "get_i40", "get_i48", "get_i56", "get_i64",
    "get_i16le", "get_i24le", "get_i32le", "get_i40le", "get_i48le", "get_i56le", "get_i64le",
    "get_f16", "get_f32", "get_f64", "get_f16le", "get_f32le", "get_f64le",
    "put_u8", "put_u16", "put_u24", "put_u32", "put_u40", "put_u48", "put_u56", "put_u64",
    "put_u16le", "put_u24le", "put_u32le", "put_u40le", "put_u48le", "put_u56le", "put_u64le",
    "put_i8", "put_i16", "put_i24", "put_i32", "put_i40", "put_i48", "put_i56", "put_i64",
    "put_i16le", "put_i24le", "put_i32le", "put_i40le", "put_i48le", "put_i56le", "put_i64le",
    "put_f16", "put_f32", "put_f64", "put_f16le", "put_f32le", "put_f64le",
]
# fmt: on

htons = _impl.htons
htonl = _impl.htonl
htonll = _impl.htonll
ntohs = _impl.ntohs
ntohl = _impl.ntohl
ntohll = _impl.ntohll

swap = _impl.swap
swapped = _impl.swapped

get_u8 = _impl.get_u8
get_u16 = _impl.get_u16
get_u24 = _impl.get_u24
get_u32 = _impl.get_u32
get_u40 = _impl.get_u40
get_u48 = _impl.get_u48
get_u56 = _impl.get_u56
get_u64 = _impl.get_u64

get_u16le = _impl.get_u16le
get_u24le = _impl.get_u24le
get_u32le = _impl.get_u32le
get_u40le = _impl.get_u40le
get_u48le = _impl.get_u48le
get_u56le = _impl.get_u56le
get_u64le = _impl.get_u64le

get_i8 = _impl.get_i8
get_i16 = _impl.get_i16
get_i24 = _impl.get_i24
get_i32 = _impl.get_i32
get_i40 = _impl.get_i40
get_i48 = _impl.get_i48
get_i56 = _impl.get_i56
get_i64 = _impl.get_i64

get_i16le = _impl.get_i16le
get_i24le = _impl.get_i24le
get_i32le = _impl.get_i32le
get_i40le = _impl.get_i40le
get_i48le = _impl.get_i48le
get_i56le = _impl.get_i56le
get_i64le = _impl.get_i64le

get_f16 = _impl.get_f16
get_f32 = _impl.get_f32
get_f64 = _impl.get_f64
get_f16le = _impl.get_f16le
get_f32le = _impl.get_f32le
get_f64le = _impl.get_f64le

put_u8 = _impl.put_u8
put_u16 = _impl.put_u16
put_u24 = _impl.put_u24
put_u32 = _impl.put_u32
put_u40 = _impl.put_u40
put_u48 = _impl.put_u48
put_u56 = _impl.put_u56
put_u64 = _impl.put_u64

put_u16le = _impl.put_u16le
put_u24le = _impl.put_u24le
put_u32le = _impl.put_u32le
put_u40le = _impl.put_u40le
put_u48le = _impl.put_u48le
put_u56le = _impl.put_u56le
put_u64le = _impl.put_u64le

put_i8 = _impl.put_i8
put_i16 = _impl.put_i16
put_i24 = _impl.put_i24
put_i32 = _impl.put_i32
put_i40 = _impl.put_i40
put_i48 = _impl.put_i48
put_i56 = _impl.put_i56
put_i64 = _impl.put_i64

put_i16le = _impl.put_i16le
put_i24le = _impl.put_i24le
put_i32le = _impl.put_i32le
put_i40le = _impl.put_i40le
put_i48le = _impl.put_i48le
put_i56le = _impl.put_i56le
put_i64le = _impl.put_i64le

put_f16 = _impl.put_f16
put_f32 = _impl.put_f32
put_f64 = _impl.put_f64
put_f16le = _impl.put_f16le
put_f32le = _impl.put_f32le
put_f64le = _impl.put_f64le
