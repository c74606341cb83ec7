# cython: language_level=3, auto_pickle=False, autotestdict=False, binding=False
# cython: embedsignature=True, embedsignature.format=clinic
r"""Byte order in C: host and network integers, fields at an offset, bulk reversal.

The twin of `_pure.byteorder`: same functions, same results, same errors. What took measuring:

- `binding=False` makes plain built-in functions, which the interpreter calls without a detour.
- An exact `bytes` is read in place; anything else goes through `Py_buffer`. A typed memoryview
  parameter would cost four times as much.
- Values and offsets are converted before the buffer is taken, because `__index__` runs the caller's
  code, which may resize that very buffer. A refused call has therefore changed nothing.
- Half and single floats are packed by the interpreter's own functions, so that they round, and
  treat a NaN, exactly as its `struct` module does.
"""

from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.float cimport PyFloat_AsDouble
from cpython.long cimport PyLong_CheckExact
from cpython.number cimport PyNumber_Index
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from ._python cimport PyFloat_Pack2, PyFloat_Pack4, PyFloat_Unpack2, PyFloat_Unpack4

cdef extern from "fw_bytes.h" nogil:
    uint16_t fw_bswap16(uint16_t)
    uint32_t fw_bswap32(uint32_t)
    uint64_t fw_bswap64(uint64_t)
    bint fw_host_big()
    uint64_t fw_load_be(const uint8_t *p, unsigned width)
    uint64_t fw_load_le(const uint8_t *p, unsigned width)
    void fw_store_be(uint8_t *p, unsigned width, uint64_t value)
    void fw_store_le(uint8_t *p, unsigned width, uint64_t value)
    uint64_t fw_width_max(unsigned width)

cdef extern from "fw_swap.h" nogil:
    void fw_swap(uint8_t *dst, const uint8_t *src, size_t n, unsigned width)

# Not the cimported ones: these leave their exception to be looked at, instead of raising it.
cdef extern from "Python.h":
    void PyErr_Clear()
    void *PyErr_Occurred()
    int try_buffer "PyObject_GetBuffer"(object, Py_buffer *, int)
    Py_ssize_t PyLong_AsSsize_t(object)
    object PyLong_FromLongLong(long long)
    object PyLong_FromUnsignedLongLong(unsigned long long)
    long long PyLong_AsLongLongAndOverflow(object, int *overflow) except? -1
    unsigned long long PyLong_AsUnsignedLongLong(object)

cdef enum:
    BIG = 0
    LITTLE = 1
    UNSIGNED = 0
    SIGNED = 1

    LARGE = 262144  # reversed without the interpreter lock: giving it up costs less than 1 % of such a job


cdef str shown(number):
    """The number for a message: Python refuses to print integers of thousands of digits."""
    bits = number.bit_length()
    return str(number) if bits <= 256 else f"an integer of {bits} bits"


cdef int refuse_offset(str name, object offset, Py_ssize_t width, Py_ssize_t size) except -1:
    if offset < 0:
        raise IndexError(f"{name} at offset {shown(offset)}: offsets count from 0")
    raise IndexError(f"{name} at offset {shown(offset)} needs {width} bytes, the buffer has {size}")


cdef int refuse_value(str name, object value, unsigned width, bint signed) except -1:
    bits = 8 * width - signed
    low = -(1 << bits) if signed else 0
    raise OverflowError(f"{name}: {shown(value)} is not in {low}..{(1 << bits) - 1}")


cdef inline Py_ssize_t position(object offset) noexcept:
    """The offset, or -1 for one that no buffer can have."""
    cdef Py_ssize_t at = PyLong_AsSsize_t(offset)
    if at < 0:
        PyErr_Clear()
        return -1
    return at


cdef inline int take_writable(str name, object buffer, Py_buffer *view) except -1:
    if try_buffer(buffer, view, PyBUF_WRITABLE) == 0:
        return 0
    PyErr_Clear()
    PyObject_GetBuffer(buffer, view, PyBUF_SIMPLE)
    PyBuffer_Release(view)
    raise TypeError(f"{name}: the buffer is read-only ({type(buffer).__name__})")


cdef int read(str name, object buffer, object offset, unsigned width, uint8_t *out) except -1:
    """Copies the field's bytes to out."""
    cdef Py_buffer view
    cdef Py_ssize_t at
    if not PyLong_CheckExact(offset):
        offset = PyNumber_Index(offset)
    at = position(offset)
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    try:
        if at < 0 or width > view.len - at:
            refuse_offset(name, offset, width, view.len)
        memcpy(out, <const uint8_t *>view.buf + at, width)
    finally:
        PyBuffer_Release(&view)
    return 0


cdef inline const uint8_t *in_bytes(object buffer, object offset, unsigned width) noexcept:
    """The field itself, if the buffer is a bytes object that holds it; else NULL, for `read` to see why."""
    cdef Py_ssize_t at
    if not (PyBytes_CheckExact(buffer) and PyLong_CheckExact(offset)):
        return NULL
    at = position(offset)
    if at < 0 or width > PyBytes_GET_SIZE(buffer) - at:
        return NULL
    return <const uint8_t *>PyBytes_AS_STRING(buffer) + at


cdef Py_ssize_t write(str name, object buffer, object offset, unsigned width, const uint8_t *data) except -1:
    """Stores the field's bytes; returns where it ends."""
    cdef Py_buffer view
    cdef Py_ssize_t at
    if not PyLong_CheckExact(offset):
        offset = PyNumber_Index(offset)
    at = position(offset)
    take_writable(name, buffer, &view)
    try:
        if at < 0 or width > view.len - at:
            refuse_offset(name, offset, width, view.len)
        memcpy(<uint8_t *>view.buf + at, data, width)
    finally:
        PyBuffer_Release(&view)
    return at + width


cdef uint64_t in_range(str name, object value, unsigned width, bint signed) except? 0:
    """The value's low 64 bits, once it is known to fit."""
    cdef int overflow = 0
    cdef int64_t number
    cdef uint64_t large
    cdef int64_t high = <int64_t>(fw_width_max(width) >> signed) if width < 8 else INT64_MAX
    if not PyLong_CheckExact(value):
        value = PyNumber_Index(value)
    number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow == 0 and number <= high and number >= (-high - 1 if signed else 0):
        return <uint64_t>number
    if overflow > 0 and width == 8 and not signed:
        large = PyLong_AsUnsignedLongLong(value)
        if PyErr_Occurred() is NULL:
            return large
        PyErr_Clear()
    refuse_value(name, value, width, signed)


cdef inline object get_int(str name, object buffer, object offset, unsigned width, bint signed, bint little):
    cdef uint8_t raw[8]
    cdef uint64_t value, top
    cdef const uint8_t *field = in_bytes(buffer, offset, width)
    if field == NULL:
        read(name, buffer, offset, width, raw)
        field = raw
    value = fw_load_le(field, width) if little else fw_load_be(field, width)
    if signed:
        top = <uint64_t>1 << (8 * width - 1)
        return PyLong_FromLongLong(<int64_t>((value ^ top) - top))
    return PyLong_FromUnsignedLongLong(value)


cdef object put_int(
    str name, object buffer, object offset, object value, unsigned width, bint signed, bint little
):
    cdef uint8_t raw[8]
    cdef uint64_t bits = in_range(name, value, width, signed)
    if little:
        fw_store_le(raw, width, bits)
    else:
        fw_store_be(raw, width, bits)
    return write(name, buffer, offset, width, raw)


cdef double get_float(str name, object buffer, object offset, unsigned width, bint little) except? -1:
    cdef uint8_t raw[8]
    cdef uint64_t bits
    cdef double number = 0.0
    cdef const uint8_t *field = in_bytes(buffer, offset, width)
    if field == NULL:
        read(name, buffer, offset, width, raw)
        field = raw
    if width == 2:
        return PyFloat_Unpack2(<const char *>field, little)
    if width == 4:
        return PyFloat_Unpack4(<const char *>field, little)
    bits = fw_load_le(field, 8) if little else fw_load_be(field, 8)
    memcpy(&number, &bits, 8)
    return number


cdef object put_float(str name, object buffer, object offset, object value, unsigned width, bint little):
    cdef uint8_t raw[8]
    cdef uint64_t bits = 0
    cdef double number = PyFloat_AsDouble(value)
    if width == 2:
        if PyFloat_Pack2(number, <char *>raw, little) < 0:
            PyErr_Clear()
            raise OverflowError(f"{name}: {number!r} is too large (at most 65504.0)")
    elif width == 4:
        if PyFloat_Pack4(number, <char *>raw, little) < 0:
            PyErr_Clear()
            raise OverflowError(f"{name}: {number!r} is too large (at most 3.4028234663852886e+38)")
    else:
        memcpy(&bits, &number, 8)
        if little:
            fw_store_le(raw, 8, bits)
        else:
            fw_store_be(raw, 8, bits)
    return write(name, buffer, offset, width, raw)


cdef unsigned item_width(str name, object width) except 0:
    cdef Py_ssize_t item
    if not PyLong_CheckExact(width):
        width = PyNumber_Index(width)
    item = position(width)
    if item == 2 or item == 4 or item == 8:
        return <unsigned>item
    raise ValueError(f"{name}: width must be 2, 4 or 8, not {shown(width)}")


cdef int reverse(str name, uint8_t *dst, const Py_buffer *view, unsigned width) except -1:
    if view.len % width:
        raise ValueError(f"{name}: {view.len} bytes are not a multiple of width {width}")
    if view.len < LARGE:
        fw_swap(dst, <const uint8_t *>view.buf, view.len, width)
    else:
        with nogil:
            fw_swap(dst, <const uint8_t *>view.buf, view.len, width)
    return 0


def htons(value):
    """A 16-bit integer from host to network byte order.
    >>> ntohs(htons(80))
    80
    """
    cdef uint64_t bits = in_range("htons", value, 2, UNSIGNED)
    return bits if fw_host_big() else fw_bswap16(<uint16_t>bits)


def htonl(value):
    """A 32-bit integer from host to network byte order.
    >>> ntohl(htonl(0x7f000001)) == 0x7f000001
    True
    """
    cdef uint64_t bits = in_range("htonl", value, 4, UNSIGNED)
    return bits if fw_host_big() else fw_bswap32(<uint32_t>bits)


def htonll(value):
    """A 64-bit integer from host to network byte order.
    >>> ntohll(htonll(2**63 + 1)) == 2**63 + 1
    True
    """
    cdef uint64_t bits = in_range("htonll", value, 8, UNSIGNED)
    return bits if fw_host_big() else fw_bswap64(bits)


def ntohs(value):
    """A 16-bit integer from network to host byte order.
    >>> import sys
    >>> ntohs(int.from_bytes(b"\\x00\\x50", sys.byteorder))
    80
    """
    cdef uint64_t bits = in_range("ntohs", value, 2, UNSIGNED)
    return bits if fw_host_big() else fw_bswap16(<uint16_t>bits)


def ntohl(value):
    """A 32-bit integer from network to host byte order.
    >>> import sys
    >>> ntohl(int.from_bytes(b"\\x00\\x00\\x00\\x50", sys.byteorder))
    80
    """
    cdef uint64_t bits = in_range("ntohl", value, 4, UNSIGNED)
    return bits if fw_host_big() else fw_bswap32(<uint32_t>bits)


def ntohll(value):
    """A 64-bit integer from network to host byte order.
    >>> import sys
    >>> ntohll(int.from_bytes(bytes(7) + b"P", sys.byteorder))
    80
    """
    cdef uint64_t bits = in_range("ntohll", value, 8, UNSIGNED)
    return bits if fw_host_big() else fw_bswap64(bits)


def swap(buffer, width):
    """Reverses the bytes of every item of `width` (2, 4 or 8) bytes of a writable buffer, in place.
    >>> buffer = bytearray(b"abcdefgh")
    >>> swap(buffer, 4); buffer
    bytearray(b'dcbahgfe')
    """
    cdef unsigned item = item_width("swap", width)
    cdef Py_buffer view
    take_writable("swap", buffer, &view)
    try:
        reverse("swap", <uint8_t *>view.buf, &view, item)
    finally:
        PyBuffer_Release(&view)


def swapped(buffer, width):
    """A copy with the bytes of every item of `width` (2, 4 or 8) bytes reversed.
    >>> swapped(b"abcdefgh", 2)
    b'badcfehg'
    """
    cdef unsigned item = item_width("swapped", width)
    cdef Py_buffer view
    cdef bytes copy
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    try:
        copy = PyBytes_FromStringAndSize(NULL, view.len)
        reverse("swapped", <uint8_t *>PyBytes_AS_STRING(copy), &view, item)
    finally:
        PyBuffer_Release(&view)
    return copy


def get_u8(buffer, offset=0):
    """An unsigned 8-bit integer at `offset`.
    >>> get_u8(bytes.fromhex("07"))
    7
    """
    return get_int("get_u8", buffer, offset, 1, UNSIGNED, BIG)


def get_u16(buffer, offset=0):
    """An unsigned 16-bit integer at `offset`, big-endian.
    >>> get_u16(bytes.fromhex("0007"))
    7
    """
    return get_int("get_u16", buffer, offset, 2, UNSIGNED, BIG)


def get_u24(buffer, offset=0):
    """An unsigned 24-bit integer at `offset`, big-endian.
    >>> get_u24(bytes.fromhex("000007"))
    7
    """
    return get_int("get_u24", buffer, offset, 3, UNSIGNED, BIG)


def get_u32(buffer, offset=0):
    """An unsigned 32-bit integer at `offset`, big-endian.
    >>> get_u32(bytes.fromhex("00000007"))
    7
    """
    return get_int("get_u32", buffer, offset, 4, UNSIGNED, BIG)


def get_u40(buffer, offset=0):
    """An unsigned 40-bit integer at `offset`, big-endian.
    >>> get_u40(bytes.fromhex("0000000007"))
    7
    """
    return get_int("get_u40", buffer, offset, 5, UNSIGNED, BIG)


def get_u48(buffer, offset=0):
    """An unsigned 48-bit integer at `offset`, big-endian.
    >>> get_u48(bytes.fromhex("000000000007"))
    7
    """
    return get_int("get_u48", buffer, offset, 6, UNSIGNED, BIG)


def get_u56(buffer, offset=0):
    """An unsigned 56-bit integer at `offset`, big-endian.
    >>> get_u56(bytes.fromhex("00000000000007"))
    7
    """
    return get_int("get_u56", buffer, offset, 7, UNSIGNED, BIG)


def get_u64(buffer, offset=0):
    """An unsigned 64-bit integer at `offset`, big-endian.
    >>> get_u64(bytes.fromhex("0000000000000007"))
    7
    """
    return get_int("get_u64", buffer, offset, 8, UNSIGNED, BIG)


def get_i8(buffer, offset=0):
    """A signed 8-bit integer at `offset`.
    >>> get_i8(bytes.fromhex("f9"))
    -7
    """
    return get_int("get_i8", buffer, offset, 1, SIGNED, BIG)


def get_i16(buffer, offset=0):
    """A signed 16-bit integer at `offset`, big-endian.
    >>> get_i16(bytes.fromhex("fff9"))
    -7
    """
    return get_int("get_i16", buffer, offset, 2, SIGNED, BIG)


def get_i24(buffer, offset=0):
    """A signed 24-bit integer at `offset`, big-endian.
    >>> get_i24(bytes.fromhex("fffff9"))
    -7
    """
    return get_int("get_i24", buffer, offset, 3, SIGNED, BIG)


def get_i32(buffer, offset=0):
    """A signed 32-bit integer at `offset`, big-endian.
    >>> get_i32(bytes.fromhex("fffffff9"))
    -7
    """
    return get_int("get_i32", buffer, offset, 4, SIGNED, BIG)


def get_i40(buffer, offset=0):
    """A signed 40-bit integer at `offset`, big-endian.
    >>> get_i40(bytes.fromhex("fffffffff9"))
    -7
    """
    return get_int("get_i40", buffer, offset, 5, SIGNED, BIG)


def get_i48(buffer, offset=0):
    """A signed 48-bit integer at `offset`, big-endian.
    >>> get_i48(bytes.fromhex("fffffffffff9"))
    -7
    """
    return get_int("get_i48", buffer, offset, 6, SIGNED, BIG)


def get_i56(buffer, offset=0):
    """A signed 56-bit integer at `offset`, big-endian.
    >>> get_i56(bytes.fromhex("fffffffffffff9"))
    -7
    """
    return get_int("get_i56", buffer, offset, 7, SIGNED, BIG)


def get_i64(buffer, offset=0):
    """A signed 64-bit integer at `offset`, big-endian.
    >>> get_i64(bytes.fromhex("fffffffffffffff9"))
    -7
    """
    return get_int("get_i64", buffer, offset, 8, SIGNED, BIG)


def get_u16le(buffer, offset=0):
    """An unsigned 16-bit integer at `offset`, little-endian.
    >>> get_u16le(bytes.fromhex("0700"))
    7
    """
    return get_int("get_u16le", buffer, offset, 2, UNSIGNED, LITTLE)


def get_u24le(buffer, offset=0):
    """An unsigned 24-bit integer at `offset`, little-endian.
    >>> get_u24le(bytes.fromhex("070000"))
    7
    """
    return get_int("get_u24le", buffer, offset, 3, UNSIGNED, LITTLE)


def get_u32le(buffer, offset=0):
    """An unsigned 32-bit integer at `offset`, little-endian.
    >>> get_u32le(bytes.fromhex("07000000"))
    7
    """
    return get_int("get_u32le", buffer, offset, 4, UNSIGNED, LITTLE)


def get_u40le(buffer, offset=0):
    """An unsigned 40-bit integer at `offset`, little-endian.
    >>> get_u40le(bytes.fromhex("0700000000"))
    7
    """
    return get_int("get_u40le", buffer, offset, 5, UNSIGNED, LITTLE)


def get_u48le(buffer, offset=0):
    """An unsigned 48-bit integer at `offset`, little-endian.
    >>> get_u48le(bytes.fromhex("070000000000"))
    7
    """
    return get_int("get_u48le", buffer, offset, 6, UNSIGNED, LITTLE)


def get_u56le(buffer, offset=0):
    """An unsigned 56-bit integer at `offset`, little-endian.
    >>> get_u56le(bytes.fromhex("07000000000000"))
    7
    """
    return get_int("get_u56le", buffer, offset, 7, UNSIGNED, LITTLE)


def get_u64le(buffer, offset=0):
    """An unsigned 64-bit integer at `offset`, little-endian.
    >>> get_u64le(bytes.fromhex("0700000000000000"))
    7
    """
    return get_int("get_u64le", buffer, offset, 8, UNSIGNED, LITTLE)


def get_i16le(buffer, offset=0):
    """A signed 16-bit integer at `offset`, little-endian.
    >>> get_i16le(bytes.fromhex("f9ff"))
    -7
    """
    return get_int("get_i16le", buffer, offset, 2, SIGNED, LITTLE)


def get_i24le(buffer, offset=0):
    """A signed 24-bit integer at `offset`, little-endian.
    >>> get_i24le(bytes.fromhex("f9ffff"))
    -7
    """
    return get_int("get_i24le", buffer, offset, 3, SIGNED, LITTLE)


def get_i32le(buffer, offset=0):
    """A signed 32-bit integer at `offset`, little-endian.
    >>> get_i32le(bytes.fromhex("f9ffffff"))
    -7
    """
    return get_int("get_i32le", buffer, offset, 4, SIGNED, LITTLE)


def get_i40le(buffer, offset=0):
    """A signed 40-bit integer at `offset`, little-endian.
    >>> get_i40le(bytes.fromhex("f9ffffffff"))
    -7
    """
    return get_int("get_i40le", buffer, offset, 5, SIGNED, LITTLE)


def get_i48le(buffer, offset=0):
    """A signed 48-bit integer at `offset`, little-endian.
    >>> get_i48le(bytes.fromhex("f9ffffffffff"))
    -7
    """
    return get_int("get_i48le", buffer, offset, 6, SIGNED, LITTLE)


def get_i56le(buffer, offset=0):
    """A signed 56-bit integer at `offset`, little-endian.
    >>> get_i56le(bytes.fromhex("f9ffffffffffff"))
    -7
    """
    return get_int("get_i56le", buffer, offset, 7, SIGNED, LITTLE)


def get_i64le(buffer, offset=0):
    """A signed 64-bit integer at `offset`, little-endian.
    >>> get_i64le(bytes.fromhex("f9ffffffffffffff"))
    -7
    """
    return get_int("get_i64le", buffer, offset, 8, SIGNED, LITTLE)


def get_f16(buffer, offset=0):
    """An IEEE 754 float of 16 bits at `offset`, big-endian.
    >>> get_f16(bytes.fromhex("3e00"))
    1.5
    """
    return get_float("get_f16", buffer, offset, 2, BIG)


def get_f32(buffer, offset=0):
    """An IEEE 754 float of 32 bits at `offset`, big-endian.
    >>> get_f32(bytes.fromhex("3fc00000"))
    1.5
    """
    return get_float("get_f32", buffer, offset, 4, BIG)


def get_f64(buffer, offset=0):
    """An IEEE 754 float of 64 bits at `offset`, big-endian.
    >>> get_f64(bytes.fromhex("3ff8000000000000"))
    1.5
    """
    return get_float("get_f64", buffer, offset, 8, BIG)


def get_f16le(buffer, offset=0):
    """An IEEE 754 float of 16 bits at `offset`, little-endian.
    >>> get_f16le(bytes.fromhex("003e"))
    1.5
    """
    return get_float("get_f16le", buffer, offset, 2, LITTLE)


def get_f32le(buffer, offset=0):
    """An IEEE 754 float of 32 bits at `offset`, little-endian.
    >>> get_f32le(bytes.fromhex("0000c03f"))
    1.5
    """
    return get_float("get_f32le", buffer, offset, 4, LITTLE)


def get_f64le(buffer, offset=0):
    """An IEEE 754 float of 64 bits at `offset`, little-endian.
    >>> get_f64le(bytes.fromhex("000000000000f83f"))
    1.5
    """
    return get_float("get_f64le", buffer, offset, 8, LITTLE)


def put_u8(buffer, offset, value):
    """Stores an unsigned 8-bit integer at `offset`; returns the end offset.
    >>> put_u8(buffer := bytearray(1), 0, 7), buffer.hex()
    (1, '07')
    """
    return put_int("put_u8", buffer, offset, value, 1, UNSIGNED, BIG)


def put_u16(buffer, offset, value):
    """Stores an unsigned 16-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_u16(buffer := bytearray(2), 0, 7), buffer.hex()
    (2, '0007')
    """
    return put_int("put_u16", buffer, offset, value, 2, UNSIGNED, BIG)


def put_u24(buffer, offset, value):
    """Stores an unsigned 24-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_u24(buffer := bytearray(3), 0, 7), buffer.hex()
    (3, '000007')
    """
    return put_int("put_u24", buffer, offset, value, 3, UNSIGNED, BIG)


def put_u32(buffer, offset, value):
    """Stores an unsigned 32-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_u32(buffer := bytearray(4), 0, 7), buffer.hex()
    (4, '00000007')
    """
    return put_int("put_u32", buffer, offset, value, 4, UNSIGNED, BIG)


def put_u40(buffer, offset, value):
    """Stores an unsigned 40-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_u40(buffer := bytearray(5), 0, 7), buffer.hex()
    (5, '0000000007')
    """
    return put_int("put_u40", buffer, offset, value, 5, UNSIGNED, BIG)


def put_u48(buffer, offset, value):
    """Stores an unsigned 48-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_u48(buffer := bytearray(6), 0, 7), buffer.hex()
    (6, '000000000007')
    """
    return put_int("put_u48", buffer, offset, value, 6, UNSIGNED, BIG)


def put_u56(buffer, offset, value):
    """Stores an unsigned 56-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_u56(buffer := bytearray(7), 0, 7), buffer.hex()
    (7, '00000000000007')
    """
    return put_int("put_u56", buffer, offset, value, 7, UNSIGNED, BIG)


def put_u64(buffer, offset, value):
    """Stores an unsigned 64-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_u64(buffer := bytearray(8), 0, 7), buffer.hex()
    (8, '0000000000000007')
    """
    return put_int("put_u64", buffer, offset, value, 8, UNSIGNED, BIG)


def put_i8(buffer, offset, value):
    """Stores a signed 8-bit integer at `offset`; returns the end offset.
    >>> put_i8(buffer := bytearray(1), 0, -7), buffer.hex()
    (1, 'f9')
    """
    return put_int("put_i8", buffer, offset, value, 1, SIGNED, BIG)


def put_i16(buffer, offset, value):
    """Stores a signed 16-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_i16(buffer := bytearray(2), 0, -7), buffer.hex()
    (2, 'fff9')
    """
    return put_int("put_i16", buffer, offset, value, 2, SIGNED, BIG)


def put_i24(buffer, offset, value):
    """Stores a signed 24-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_i24(buffer := bytearray(3), 0, -7), buffer.hex()
    (3, 'fffff9')
    """
    return put_int("put_i24", buffer, offset, value, 3, SIGNED, BIG)


def put_i32(buffer, offset, value):
    """Stores a signed 32-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_i32(buffer := bytearray(4), 0, -7), buffer.hex()
    (4, 'fffffff9')
    """
    return put_int("put_i32", buffer, offset, value, 4, SIGNED, BIG)


def put_i40(buffer, offset, value):
    """Stores a signed 40-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_i40(buffer := bytearray(5), 0, -7), buffer.hex()
    (5, 'fffffffff9')
    """
    return put_int("put_i40", buffer, offset, value, 5, SIGNED, BIG)


def put_i48(buffer, offset, value):
    """Stores a signed 48-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_i48(buffer := bytearray(6), 0, -7), buffer.hex()
    (6, 'fffffffffff9')
    """
    return put_int("put_i48", buffer, offset, value, 6, SIGNED, BIG)


def put_i56(buffer, offset, value):
    """Stores a signed 56-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_i56(buffer := bytearray(7), 0, -7), buffer.hex()
    (7, 'fffffffffffff9')
    """
    return put_int("put_i56", buffer, offset, value, 7, SIGNED, BIG)


def put_i64(buffer, offset, value):
    """Stores a signed 64-bit integer at `offset`, big-endian; returns the end offset.
    >>> put_i64(buffer := bytearray(8), 0, -7), buffer.hex()
    (8, 'fffffffffffffff9')
    """
    return put_int("put_i64", buffer, offset, value, 8, SIGNED, BIG)


def put_u16le(buffer, offset, value):
    """Stores an unsigned 16-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_u16le(buffer := bytearray(2), 0, 7), buffer.hex()
    (2, '0700')
    """
    return put_int("put_u16le", buffer, offset, value, 2, UNSIGNED, LITTLE)


def put_u24le(buffer, offset, value):
    """Stores an unsigned 24-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_u24le(buffer := bytearray(3), 0, 7), buffer.hex()
    (3, '070000')
    """
    return put_int("put_u24le", buffer, offset, value, 3, UNSIGNED, LITTLE)


def put_u32le(buffer, offset, value):
    """Stores an unsigned 32-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_u32le(buffer := bytearray(4), 0, 7), buffer.hex()
    (4, '07000000')
    """
    return put_int("put_u32le", buffer, offset, value, 4, UNSIGNED, LITTLE)


def put_u40le(buffer, offset, value):
    """Stores an unsigned 40-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_u40le(buffer := bytearray(5), 0, 7), buffer.hex()
    (5, '0700000000')
    """
    return put_int("put_u40le", buffer, offset, value, 5, UNSIGNED, LITTLE)


def put_u48le(buffer, offset, value):
    """Stores an unsigned 48-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_u48le(buffer := bytearray(6), 0, 7), buffer.hex()
    (6, '070000000000')
    """
    return put_int("put_u48le", buffer, offset, value, 6, UNSIGNED, LITTLE)


def put_u56le(buffer, offset, value):
    """Stores an unsigned 56-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_u56le(buffer := bytearray(7), 0, 7), buffer.hex()
    (7, '07000000000000')
    """
    return put_int("put_u56le", buffer, offset, value, 7, UNSIGNED, LITTLE)


def put_u64le(buffer, offset, value):
    """Stores an unsigned 64-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_u64le(buffer := bytearray(8), 0, 7), buffer.hex()
    (8, '0700000000000000')
    """
    return put_int("put_u64le", buffer, offset, value, 8, UNSIGNED, LITTLE)


def put_i16le(buffer, offset, value):
    """Stores a signed 16-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_i16le(buffer := bytearray(2), 0, -7), buffer.hex()
    (2, 'f9ff')
    """
    return put_int("put_i16le", buffer, offset, value, 2, SIGNED, LITTLE)


def put_i24le(buffer, offset, value):
    """Stores a signed 24-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_i24le(buffer := bytearray(3), 0, -7), buffer.hex()
    (3, 'f9ffff')
    """
    return put_int("put_i24le", buffer, offset, value, 3, SIGNED, LITTLE)


def put_i32le(buffer, offset, value):
    """Stores a signed 32-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_i32le(buffer := bytearray(4), 0, -7), buffer.hex()
    (4, 'f9ffffff')
    """
    return put_int("put_i32le", buffer, offset, value, 4, SIGNED, LITTLE)


def put_i40le(buffer, offset, value):
    """Stores a signed 40-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_i40le(buffer := bytearray(5), 0, -7), buffer.hex()
    (5, 'f9ffffffff')
    """
    return put_int("put_i40le", buffer, offset, value, 5, SIGNED, LITTLE)


def put_i48le(buffer, offset, value):
    """Stores a signed 48-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_i48le(buffer := bytearray(6), 0, -7), buffer.hex()
    (6, 'f9ffffffffff')
    """
    return put_int("put_i48le", buffer, offset, value, 6, SIGNED, LITTLE)


def put_i56le(buffer, offset, value):
    """Stores a signed 56-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_i56le(buffer := bytearray(7), 0, -7), buffer.hex()
    (7, 'f9ffffffffffff')
    """
    return put_int("put_i56le", buffer, offset, value, 7, SIGNED, LITTLE)


def put_i64le(buffer, offset, value):
    """Stores a signed 64-bit integer at `offset`, little-endian; returns the end offset.
    >>> put_i64le(buffer := bytearray(8), 0, -7), buffer.hex()
    (8, 'f9ffffffffffffff')
    """
    return put_int("put_i64le", buffer, offset, value, 8, SIGNED, LITTLE)


def put_f16(buffer, offset, value):
    """Stores an IEEE 754 float of 16 bits at `offset`, big-endian; returns the end offset.
    >>> put_f16(buffer := bytearray(2), 0, 1.5), buffer.hex()
    (2, '3e00')
    """
    return put_float("put_f16", buffer, offset, value, 2, BIG)


def put_f32(buffer, offset, value):
    """Stores an IEEE 754 float of 32 bits at `offset`, big-endian; returns the end offset.
    >>> put_f32(buffer := bytearray(4), 0, 1.5), buffer.hex()
    (4, '3fc00000')
    """
    return put_float("put_f32", buffer, offset, value, 4, BIG)


def put_f64(buffer, offset, value):
    """Stores an IEEE 754 float of 64 bits at `offset`, big-endian; returns the end offset.
    >>> put_f64(buffer := bytearray(8), 0, 1.5), buffer.hex()
    (8, '3ff8000000000000')
    """
    return put_float("put_f64", buffer, offset, value, 8, BIG)


def put_f16le(buffer, offset, value):
    """Stores an IEEE 754 float of 16 bits at `offset`, little-endian; returns the end offset.
    >>> put_f16le(buffer := bytearray(2), 0, 1.5), buffer.hex()
    (2, '003e')
    """
    return put_float("put_f16le", buffer, offset, value, 2, LITTLE)


def put_f32le(buffer, offset, value):
    """Stores an IEEE 754 float of 32 bits at `offset`, little-endian; returns the end offset.
    >>> put_f32le(buffer := bytearray(4), 0, 1.5), buffer.hex()
    (4, '0000c03f')
    """
    return put_float("put_f32le", buffer, offset, value, 4, LITTLE)


def put_f64le(buffer, offset, value):
    """Stores an IEEE 754 float of 64 bits at `offset`, little-endian; returns the end offset.
    >>> put_f64le(buffer := bytearray(8), 0, 1.5), buffer.hex()
    (8, '000000000000f83f')
    """
    return put_float("put_f64le", buffer, offset, value, 8, LITTLE)
