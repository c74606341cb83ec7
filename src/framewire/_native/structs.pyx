# cython: language_level=3, auto_pickle=False, autotestdict=False, binding=False
# cython: embedsignature=True, embedsignature.format=clinic
"""`Struct` in C: `struct.Struct` in the standard sizes, and the twin of `_pure.structs`.

A format becomes runs of items of one kind, without the padding between them. Each call is a C function that
takes its arguments where the interpreter has them: Cython's own `*args` would cost more than packing does.
What user code (`__index__`, `__float__`, `__bool__`) can reach stays where it is while it runs: a `Struct`
never changes, the arguments belong to the caller, and the buffer is exported.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_Check, PyByteArray_GET_SIZE
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_Check, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.float cimport PyFloat_AsDouble, PyFloat_CheckExact
from cpython.long cimport PyLong_Check, PyLong_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.number cimport PyIndex_Check, PyNumber_Index
from cpython.object cimport PyObject, PyObject_IsTrue, PyTypeObject
from cpython.tuple cimport PyTuple_New
from libc.stdint cimport INT64_MAX, UINT64_MAX, int8_t, int16_t, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from ._python cimport PyFloat_Pack2, PyFloat_Pack4, PyFloat_Unpack2, PyFloat_Unpack4

from .. import _formats

__all__ = ["Struct"]

cdef extern from "fw_bytes.h" nogil:
    bint fw_host_big()
    uint64_t fw_load_be(const uint8_t *p, unsigned width)
    uint64_t fw_load_le(const uint8_t *p, unsigned width)
    void fw_store_be(uint8_t *p, unsigned width, uint64_t value)
    void fw_store_le(uint8_t *p, unsigned width, uint64_t value)

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX
    void PyErr_Clear()
    void *PyErr_Occurred()
    # Not the cimported ones: these leave their exception to be looked at.
    int try_buffer "PyObject_GetBuffer"(object, Py_buffer *, int)
    double PyFloat_AS_DOUBLE(object)
    Py_ssize_t PyLong_AsSsize_t(object) except? -1
    Py_ssize_t PyNumber_AsSsize_t(object, object) except? -1
    long long PyLong_AsLongLongAndOverflow(object, int *overflow) except? -1
    unsigned long long PyLong_AsUnsignedLongLong(object)
    # Without the reference that Cython would take and give back.
    PyObject *new_unsigned "PyLong_FromUnsignedLong"(unsigned long) except NULL
    PyObject *new_signed "PyLong_FromLong"(long) except NULL
    PyObject *new_unsigned_64 "PyLong_FromUnsignedLongLong"(unsigned long long) except NULL
    PyObject *new_signed_64 "PyLong_FromLongLong"(long long) except NULL
    PyObject *new_float "PyFloat_FromDouble"(double) except NULL
    PyObject *new_bool "PyBool_FromLong"(long) except NULL
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *, Py_ssize_t) except NULL
    void put_item "PyTuple_SET_ITEM"(object, Py_ssize_t, PyObject *)
    const char *as_utf8 "PyUnicode_AsUTF8AndSize"(object, Py_ssize_t *) except NULL
    bint PyUnicode_IS_ASCII "PyUnicode_IS_COMPACT_ASCII"(object)

    ctypedef struct PyMethodDef:
        const char *ml_name
        void *ml_meth
        int ml_flags
        const char *ml_doc
    const int METH_FASTCALL, METH_KEYWORDS, METH_O

cdef extern from *:
    """
    #if PY_VERSION_HEX < 0x030B0000
    #include "longintrepr.h"
    #endif
    /* 1 and the value of an int of 0 to 60 bits, else 0. */
    static inline int fw_small_int(PyObject *number, uint64_t *value)
    {
    #if PY_VERSION_HEX >= 0x030C0000
        const digit *digits = ((PyLongObject *)number)->long_value.ob_digit;
        uintptr_t tag = ((PyLongObject *)number)->long_value.lv_tag, size = tag >> 3;
        if ((tag & 2) || size > 2)
            return 0;
    #else
        const digit *digits = ((PyLongObject *)number)->ob_digit;
        Py_ssize_t size = Py_SIZE(number);
        if (size < 0 || size > 2)
            return 0;
    #endif
        *value = size == 0 ? 0 : digits[0];
        if (size == 2)
            *value |= (uint64_t)digits[1] << PyLong_SHIFT;
        return 1;
    }

    /* A method of a class that Cython has made, which it would call in another way. */
    static int fw_add_method(PyTypeObject *type, PyMethodDef *method)
    {
        PyObject *descriptor = PyDescr_NewMethod(type, method);
        int failed = !descriptor || PyDict_SetItemString(type->tp_dict, method->ml_name, descriptor) < 0;
        Py_XDECREF(descriptor);
        PyType_Modified(type);
        return failed ? -1 : 0;
    }
    """
    bint fw_small_int(object number, uint64_t *value)
    int fw_add_method(PyTypeObject *, PyMethodDef *) except -1

cdef enum:
    UINT8, INT8, UINT16, INT16, UINT32, INT32, UINT64, INT64
    LITTLE = 8              # added to these
    DOUBLE = 16
    SINGLE, HALF, CHAR, BOOL, TEXT, PASCAL, PADDING
    NONE

ctypedef struct Run:
    int kind
    bint little
    Py_ssize_t offset, count
    Py_ssize_t width        # bytes of an item
    uint64_t high           # greatest number


cdef inline Py_ssize_t plus(Py_ssize_t a, Py_ssize_t b) noexcept:
    return PY_SSIZE_T_MAX if a > PY_SSIZE_T_MAX - b else a + b


# --- formats --------------------------------------------------------------------------------------------

cdef int kind_of(char code, Py_ssize_t *width) noexcept:
    if code == c'x' or code == c's' or code == c'p' or code == c'c' or code == c'?':
        width[0] = 1
        return (
            PADDING if code == c'x' else TEXT if code == c's' else PASCAL if code == c'p'
            else CHAR if code == c'c' else BOOL
        )
    if code == c'b' or code == c'B':
        width[0] = 1
        return INT8 if code == c'b' else UINT8
    if code == c'h' or code == c'H':
        width[0] = 2
        return INT16 if code == c'h' else UINT16
    if code == c'i' or code == c'l' or code == c'I' or code == c'L':
        width[0] = 4
        return INT32 if code == c'i' or code == c'l' else UINT32
    if code == c'q' or code == c'Q':
        width[0] = 8
        return INT64 if code == c'q' else UINT64
    if code == c'e' or code == c'f' or code == c'd':
        width[0] = 2 if code == c'e' else 4 if code == c'f' else 8
        return HALF if code == c'e' else SINGLE if code == c'f' else DOUBLE
    return NONE


cdef bint add_run(Struct self, int kind, Py_ssize_t width, Py_ssize_t count, bint little) noexcept:
    """False if there are more bytes than there can be."""
    cdef Run *run
    cdef Py_ssize_t size = count * width if width == 0 or count <= PY_SSIZE_T_MAX // width else -1
    if size < 0 or size > PY_SSIZE_T_MAX - self.total:
        return False
    if kind >= TEXT:
        self.gaps = True
    if kind == TEXT or kind == PASCAL:
        width, count = count, 1
    if kind != PADDING and count:
        run = &self.runs[self.length]
        run.kind = kind + LITTLE if little and UINT16 <= kind < LITTLE else kind
        run.little = little
        run.offset, run.count, run.width = self.total, count, width
        if kind < LITTLE:
            run.high = UINT64_MAX >> (64 - 8 * width + (kind & 1))
        self.length += 1
        self.values += count
    self.total += size
    return True


cdef bint parse(Struct self, const char *p, Py_ssize_t size) noexcept:
    """Fill the runs; False for what is no format of standard sizes."""
    cdef const char *end = p + size
    cdef Py_ssize_t count, width = 0
    cdef int kind
    cdef bint little
    if p == end or p[0] not in (c'>', c'<', c'!', c'='):
        return False
    little = p[0] == c'<' or (p[0] == c'=' and not fw_host_big())
    p += 1
    while p < end:
        if p[0] == c' ' or c'\t' <= p[0] <= c'\r':
            p += 1
            continue
        count = 1
        if c'0' <= p[0] <= c'9':
            count = 0
            while p < end and c'0' <= p[0] <= c'9':
                if count > (PY_SSIZE_T_MAX - 9) // 10:
                    return False
                count = 10 * count + (p[0] - c'0')
                p += 1
            if p == end:
                return False
        kind = kind_of(p[0], &width)
        if kind == NONE or not add_run(self, kind, width, count, little):
            return False
        p += 1
    return True


# --- packing --------------------------------------------------------------------------------------------

cdef inline void store(uint8_t *p, int kind, uint64_t value) noexcept:
    # Widths that the compiler knows are one instruction.
    if kind < UINT16:
        p[0] = <uint8_t> value
    elif kind < UINT32:
        fw_store_be(p, 2, value)
    elif kind < UINT64:
        fw_store_be(p, 4, value)
    elif kind < LITTLE:
        fw_store_be(p, 8, value)
    elif kind < LITTLE + UINT32:
        fw_store_le(p, 2, value)
    elif kind < LITTLE + UINT64:
        fw_store_le(p, 4, value)
    else:
        fw_store_le(p, 8, value)


cdef int write_large(
    Struct self, str call, const Run *run, uint8_t *p, object value, Py_ssize_t index
) except -1:
    """An integer that is no small one, or none at all."""
    cdef int overflow = 0
    cdef int64_t number, low = -<int64_t> run.high - 1 if run.kind & 1 else 0
    cdef uint64_t large
    if not PyLong_Check(value):
        if not PyIndex_Check(value):
            raise _formats.bad_value(self.text, call, index, value)
        indexed = PyNumber_Index(value)
    else:
        indexed = value
    if run.high > <uint64_t> INT64_MAX:
        large = PyLong_AsUnsignedLongLong(indexed)
        if PyErr_Occurred() is NULL:
            store(p, run.kind, large)
            return 0
        PyErr_Clear()
    else:
        number = PyLong_AsLongLongAndOverflow(indexed, &overflow)
        if overflow == 0 and low <= number <= <int64_t> run.high:
            store(p, run.kind, <uint64_t> number)
            return 0
    raise _formats.bad_value(self.text, call, index, value, None if indexed is value else indexed)


cdef int write_float(
    Struct self, str call, const Run *run, uint8_t *p, object value, Py_ssize_t index
) except -1:
    cdef double number
    cdef uint64_t bits = 0
    if PyFloat_CheckExact(value):
        number = PyFloat_AS_DOUBLE(value)
    else:
        number = as_double(self, call, value, index)
    if run.kind == DOUBLE:
        memcpy(&bits, &number, 8)
        if run.little:
            fw_store_le(p, 8, bits)
        else:
            fw_store_be(p, 8, bits)
    elif (
        PyFloat_Pack4(number, <char *> p, run.little) if run.kind == SINGLE
        else PyFloat_Pack2(number, <char *> p, run.little)
    ) < 0:
        PyErr_Clear()
        if PyLong_Check(value):
            raise _formats.bad_value(self.text, call, index, value)
        raise _formats.bad_float(self.text, call, index)
    return 0


cdef double as_double(Struct self, str call, object value, Py_ssize_t index) except? -1:
    try:
        return PyFloat_AsDouble(value)
    except BaseException as error:
        # As `struct` has it, whatever the value's own code raised.
        raise _formats.bad_value(self.text, call, index, value) from error


cdef int write_bytes(
    Struct self, str call, const Run *run, uint8_t *p, object value, Py_ssize_t index
) except -1:
    """CHAR, TEXT and PASCAL."""
    cdef const char *data
    cdef Py_ssize_t size
    if PyBytes_Check(value):
        data, size = PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)
    elif PyByteArray_Check(value) and run.kind != CHAR:
        data, size = PyByteArray_AS_STRING(value), PyByteArray_GET_SIZE(value)
    else:
        raise _formats.bad_value(self.text, call, index, value)
    if run.kind == CHAR:
        if size != 1:
            raise _formats.bad_value(self.text, call, index, value)
        p[0] = <uint8_t> data[0]
    elif run.kind == TEXT:
        memcpy(p, data, min(size, run.width))
    elif run.width:
        size = min(size, run.width - 1)
        p[0] = <uint8_t> min(size, 255)
        memcpy(p + 1, data, size)
    return 0


cdef int write_items(Struct self, str call, uint8_t *out, PyObject **values) except -1:
    cdef const Run *run = self.runs
    cdef const Run *end = run + self.length
    cdef Py_ssize_t _i, index = 0
    cdef uint64_t number = 0
    cdef uint8_t *p
    cdef PyObject *value    # the caller's
    while run < end:
        p = out + run.offset
        for _i in range(run.count):
            value = values[index]
            if run.kind < DOUBLE:
                if (
                    PyLong_CheckExact(<object> value)
                    and fw_small_int(<object> value, &number) and number <= run.high
                ):
                    store(p, run.kind, number)
                else:
                    write_large(self, call, run, p, <object> value, index)
            elif run.kind < CHAR:
                write_float(self, call, run, p, <object> value, index)
            elif run.kind == BOOL:
                p[0] = PyObject_IsTrue(<object> value)
            else:
                write_bytes(self, call, run, p, <object> value, index)
            p += run.width
            index += 1
        run += 1
    return 0


# --- unpacking ------------------------------------------------------------------------------------------

cdef inline PyObject *read_double(const uint8_t *p, bint little) except NULL:
    cdef uint64_t bits = fw_load_le(p, 8) if little else fw_load_be(p, 8)
    cdef double number = 0.0
    memcpy(&number, &bits, 8)
    return new_float(number)


cdef PyObject *read_other(const Run *run, const uint8_t *p) except NULL:
    cdef Py_ssize_t size
    if run.kind == SINGLE:
        return new_float(PyFloat_Unpack4(<const char *> p, run.little))
    if run.kind == HALF:
        return new_float(PyFloat_Unpack2(<const char *> p, run.little))
    if run.kind == BOOL:
        return new_bool(p[0] != 0)
    if run.kind != PASCAL:
        return new_bytes(<const char *> p, run.width)
    size = min(<Py_ssize_t> p[0], run.width - 1) if run.width else 0
    return new_bytes(<const char *> p + (run.width > 0), size)


cdef inline PyObject *read_item(const Run *run, const uint8_t *p) except NULL:
    cdef int kind = run.kind
    if kind == UINT8:
        return new_unsigned(p[0])
    elif kind == INT8:
        return new_signed(<int8_t> p[0])
    elif kind == UINT16:
        return new_unsigned(fw_load_be(p, 2))
    elif kind == INT16:
        return new_signed(<int16_t> fw_load_be(p, 2))
    elif kind == UINT32:
        return new_unsigned(fw_load_be(p, 4))
    elif kind == INT32:
        return new_signed(<int32_t> fw_load_be(p, 4))
    elif kind == UINT64:
        return new_unsigned_64(fw_load_be(p, 8))
    elif kind == INT64:
        return new_signed_64(<int64_t> fw_load_be(p, 8))
    elif kind == LITTLE + UINT16:
        return new_unsigned(fw_load_le(p, 2))
    elif kind == LITTLE + INT16:
        return new_signed(<int16_t> fw_load_le(p, 2))
    elif kind == LITTLE + UINT32:
        return new_unsigned(fw_load_le(p, 4))
    elif kind == LITTLE + INT32:
        return new_signed(<int32_t> fw_load_le(p, 4))
    elif kind == LITTLE + UINT64:
        return new_unsigned_64(fw_load_le(p, 8))
    elif kind == LITTLE + INT64:
        return new_signed_64(<int64_t> fw_load_le(p, 8))
    elif kind == DOUBLE:
        return read_double(p, run.little)
    return read_other(run, p)


cdef tuple read_items(Struct self, const char *data):
    cdef tuple items = PyTuple_New(self.values)
    cdef const Run *run = self.runs
    cdef const Run *end = run + self.length
    cdef Py_ssize_t _i, index = 0
    cdef const uint8_t *p
    while run < end:
        p = <const uint8_t *> data + run.offset
        for _i in range(run.count):
            put_item(items, index, read_item(run, p))
            p += run.width
            index += 1
        run += 1
    return items


cdef Py_ssize_t place(Struct self, str call, Py_ssize_t offset, Py_ssize_t length) except -1:
    """The offset, counted from the front, if the struct fits there."""
    cdef Py_ssize_t at = offset + length if offset < 0 else offset
    if at < 0 or length - at < self.total or (offset < 0 and offset > -self.total):
        raise _formats.bad_place(self.text, call, self.total, offset, length)
    return at


# --- the face -------------------------------------------------------------------------------------------

cdef class Struct:
    """`struct.Struct` for formats of standard size, those that begin with `>`, `!`, `<` or `=`.

    A drop-in: the same calls, arguments, results and types of exceptions; `struct.error` says which value is
    wrong, and where. Native formats (`@`, no order in front, the codes n, N and P) are refused with
    `struct.error`: what depends on the machine is not for the wire. A Struct never changes, so threads may
    share it.

    What the value's own `__index__` raises passes through; what its `__float__` raises becomes the cause of a
    `struct.error`. After an error of `pack_into` some of the values may have been written.

    >>> from framewire import Struct
    >>> header = Struct(">BBHI")
    >>> header.pack(1, 2, 3, 4).hex(" ")
    '01 02 00 03 00 00 00 04'
    >>> header.unpack_from(b"....\\1\\2\\0\\3\\0\\0\\0\\4", -8)
    (1, 2, 3, 4)
    >>> header.pack(1, 2, 70000, 4)
    Traceback (most recent call last):
    struct.error: Struct('>BBHI').pack: value 2 ('H' at offset 2): 70000 is not in 0..65535
    """

    cdef Run *runs
    cdef Py_ssize_t length      # of the runs
    cdef Py_ssize_t values      # that pack takes
    cdef bint gaps              # bytes that no value need fill
    cdef Py_ssize_t total
    cdef str text               # the format
    cdef object __weakref__

    def __cinit__(self):
        self.text = ""  # until __init__ has run

    def __init__(self, format):
        cdef Py_ssize_t size = 0
        cdef const char *data
        if isinstance(format, bytes):
            format = (<bytes> format).decode("latin-1")
        elif not isinstance(format, str):
            raise _formats.bad_type(format)
        elif not PyUnicode_IS_ASCII(format):
            str.encode(format, "ascii")
        if self.runs is not NULL:
            raise RuntimeError("a Struct does not change")
        data = as_utf8(format, &size)
        self.runs = <Run *> PyMem_Malloc((size + 1) * sizeof(Run))
        if self.runs is NULL:
            raise MemoryError()
        if not parse(self, data, size):
            PyMem_Free(self.runs)
            self.runs = NULL
            self.total = self.length = self.values = 0
            raise _formats.bad_format(format)
        self.text = format if type(format) is str else str.__str__(format)

    def __dealloc__(self):
        PyMem_Free(self.runs)

    @property
    def format(self):
        """The format as it was given."""
        return self.text

    @property
    def size(self):
        """How many bytes `pack` gives."""
        return self.total

    def __repr__(self):
        return f"{type(self).__name__}({self.text!r})"


cdef int ready(Struct self) except -1:
    if self.runs is NULL:
        raise RuntimeError("a Struct without a format: its __init__ was not called")
    return 0


cdef object pack(Struct self, PyObject **args, Py_ssize_t count):
    cdef bytes result
    ready(self)
    if count != self.values:
        raise _formats.bad_count(self.text, "pack", self.values, count)
    result = PyBytes_FromStringAndSize(NULL, self.total)
    if self.gaps:
        memset(PyBytes_AS_STRING(result), 0, self.total)
    write_items(self, "pack", <uint8_t *> PyBytes_AS_STRING(result), args)
    return result


cdef object pack_into(Struct self, PyObject **args, Py_ssize_t count):
    cdef Py_buffer view
    cdef Py_ssize_t at
    ready(self)
    if count - 2 != self.values:
        raise _formats.bad_count(self.text, "pack_into", self.values + 2, count)
    if try_buffer(<object> args[0], &view, PyBUF_WRITABLE) < 0:
        PyErr_Clear()
        name = type(<object> args[0]).__name__
        raise TypeError(f"argument must be read-write bytes-like object, not {name}")
    try:
        at = place(self, "pack_into", PyNumber_AsSsize_t(<object> args[1], IndexError), view.len)
        memset(<char *> view.buf + at, 0, self.total)
        write_items(self, "pack_into", <uint8_t *> view.buf + at, args + 2)
    finally:
        PyBuffer_Release(&view)


cdef object unpack(Struct self, object buffer):
    cdef Py_buffer view
    ready(self)
    if PyBytes_CheckExact(buffer):
        if PyBytes_GET_SIZE(buffer) != self.total:
            raise _formats.bad_size(self.text, self.total, PyBytes_GET_SIZE(buffer))
        return read_items(self, PyBytes_AS_STRING(buffer))
    PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
    try:
        if view.len != self.total:
            raise _formats.bad_size(self.text, self.total, view.len)
        return read_items(self, <const char *> view.buf)
    finally:
        PyBuffer_Release(&view)


cdef int sort_out(PyObject **args, Py_ssize_t count, tuple names, PyObject **found) except -1:
    """The arguments of unpack_from, buffer and offset; the second may be NULL."""
    cdef Py_ssize_t i, at, named = len(names)
    if count + named > 2:
        raise TypeError(f"unpack_from() takes at most 2 arguments ({count + named} given)")
    for i in range(count):
        found[i] = args[i]
    for i in range(named):
        at = 0 if names[i] == "buffer" else 1 if names[i] == "offset" else 2
        if at == 2:
            raise TypeError(f"unpack_from() got an unexpected keyword argument {names[i]!r}")
        if found[at] is not NULL:
            raise TypeError(f"unpack_from() got two values for {names[i]}")
        found[at] = args[count + i]
    if found[0] is NULL:
        raise TypeError("unpack_from() missing required argument 'buffer' (pos 1)")
    return 0


cdef inline Py_ssize_t offset_of(PyObject *offset) except? -1:
    if offset is NULL:
        return 0
    if PyLong_CheckExact(<object> offset):
        return PyLong_AsSsize_t(<object> offset)
    return PyLong_AsSsize_t(PyNumber_Index(<object> offset))


cdef object unpack_from(Struct self, PyObject **args, Py_ssize_t count, PyObject *names):
    cdef Py_buffer view
    cdef Py_ssize_t at
    cdef PyObject *found[2]
    found[0] = found[1] = NULL
    ready(self)
    if names is NULL and 0 < count < 3:
        found[0] = args[0]
        if count == 2:
            found[1] = args[1]
    else:
        sort_out(args, count, () if names is NULL else <object> names, found)
    if PyBytes_CheckExact(<object> found[0]):
        at = place(self, "unpack_from", offset_of(found[1]), PyBytes_GET_SIZE(<object> found[0]))
        return read_items(self, PyBytes_AS_STRING(<object> found[0]) + at)
    PyObject_GetBuffer(<object> found[0], &view, PyBUF_SIMPLE)
    try:
        at = place(self, "unpack_from", offset_of(found[1]), view.len)
        return read_items(self, <const char *> view.buf + at)
    finally:
        PyBuffer_Release(&view)


cdef object iter_unpack(Struct self, object buffer):
    cdef StructIterator items
    ready(self)
    if self.total == 0:
        raise _formats.uncountable(self.text)
    items = StructIterator.__new__(StructIterator)
    PyObject_GetBuffer(buffer, &items.view, PyBUF_SIMPLE)
    items.source = self
    if items.view.len % self.total:
        raise _formats.bad_multiple(self.text, self.total, items.view.len)
    return items


@cython.final
@cython.freelist(8)
cdef class StructIterator:
    """What `Struct.iter_unpack` gives: an iterator that holds the buffer until it has reached the end."""

    cdef Struct source  # None: at the end
    cdef Py_buffer view
    cdef Py_ssize_t at

    def __init__(self):
        raise TypeError("a StructIterator is made by Struct.iter_unpack")

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

    def __iter__(self):
        return self

    def __next__(self):
        cdef Py_ssize_t at = self.at
        if self.source is None:
            raise StopIteration
        if at >= self.view.len:
            self.source = None
            PyBuffer_Release(&self.view)
            raise StopIteration
        self.at = at + self.source.total
        return read_items(self.source, <const char *> self.view.buf + at)

    def __length_hint__(self):
        return 0 if self.source is None else (self.view.len - self.at) // self.source.total


cdef PyMethodDef[5] METHODS


cdef int add(int i, const char *name, void *call, int flags, const char *text) except -1:
    METHODS[i].ml_name, METHODS[i].ml_meth, METHODS[i].ml_flags, METHODS[i].ml_doc = name, call, flags, text
    return fw_add_method(<PyTypeObject *> Struct, &METHODS[i])


add(0, "pack", <void *> pack, METH_FASTCALL, b"""pack($self, /, *values)
--

The values as bytes; struct.error names the one that cannot be packed.""")
add(1, "pack_into", <void *> pack_into, METH_FASTCALL, b"""pack_into($self, /, *arguments)
--

Given a buffer, an offset and values, pack these into the writable buffer. A negative offset counts
from its end.""")
add(2, "unpack", <void *> unpack, METH_O, b"""unpack($self, buffer, /)
--

The values in a buffer of `size` bytes, as a tuple.""")
add(3, "unpack_from", <void *> unpack_from, METH_FASTCALL | METH_KEYWORDS, b"""\
unpack_from($self, /, buffer, offset=0)
--

The values at `offset` of a buffer, which counts from the end if it is negative.""")
add(4, "iter_unpack", <void *> iter_unpack, METH_O, b"""iter_unpack($self, buffer, /)
--

An iterator over the tuples in a buffer of a multiple of `size` bytes, at least one byte each.""")
