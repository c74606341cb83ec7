# cython: language_level=3, auto_pickle=False, autotestdict=False, binding=False
# cython: embedsignature=True, embedsignature.format=clinic
"""Records in C: a loop over the operations of a field program, and the twin of `_pure.records`.

Each type tuple becomes an `Op`; a record's ops stand in an array. Reading stores into the slots of a new
instance by their offset, writing takes from there, so neither a tuple nor an attribute lookup is between.
What is being read or written is a `State` on the C stack. Its `path` is kept up to date, one store a field,
so that an error finds it without anything to unwind. Writing goes to 1 KiB of stack, then to the heap, and
to its destination once all is well: a refused record has changed nothing.
User code (`__index__`, `__float__`) may run while a list is written, so the list is looked at anew for each
item, and every value is held while it is in use. Nothing is allocated for a count that the bytes left
cannot hold.
"""

cimport cython
from cpython.array cimport array, clone
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_SIMPLE, PyBUF_WRITABLE
from cpython.buffer cimport PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.float cimport PyFloat_AsDouble, PyFloat_Check
from cpython.list cimport PyList_Check, PyList_GET_ITEM, PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_Check, PyLong_CheckExact
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Realloc
from cpython.number cimport PyIndex_Check, PyNumber_Index
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_Check, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_Check
from libc.stdint cimport INT64_MAX, UINT64_MAX, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from ._csrc cimport FW_FRAME, FW_MORE, fw_field
from ._python cimport (
    PyFloat_Pack2, PyFloat_Pack4, PyFloat_Unpack2, PyFloat_Unpack4, PyList_GET_SIZE,
)
from .plan cimport fill_field

from types import MemberDescriptorType

from .. import errors

__all__ = ["Program"]

cdef extern from "fw_field.h" nogil:
    ctypedef struct fw_number:
        uint64_t value
        size_t width
        int negative

    bint fw_host_big()
    uint64_t fw_load_be(const uint8_t *p, unsigned width)
    uint64_t fw_load_le(const uint8_t *p, unsigned width)
    void fw_store_be(uint8_t *p, unsigned width, uint64_t value)
    void fw_store_le(uint8_t *p, unsigned width, uint64_t value)
    int fw_read_field(const fw_field *f, const uint8_t *p, size_t size, uint64_t ceiling, fw_number *out)
    unsigned fw_form_count(const fw_field *f)
    size_t fw_form_width(const fw_field *f, unsigned form)
    int fw_write_form(const fw_field *f, unsigned form, uint64_t value, uint64_t free_bits, uint8_t *p)

cdef extern from "fw_swap.h" nogil:
    void fw_swap(uint8_t *dst, const uint8_t *src, size_t n, unsigned width)

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX
    void PyErr_Clear()
    void *PyErr_Occurred()
    # Not the cimported one: this leaves its exception to be looked at.
    int try_buffer "PyObject_GetBuffer"(object, Py_buffer *, int)
    object decode_utf8 "PyUnicode_DecodeUTF8"(const char *, Py_ssize_t, const char *)
    const char *as_utf8 "PyUnicode_AsUTF8AndSize"(object, Py_ssize_t *) except NULL
    bint PyUnicode_IS_ASCII "PyUnicode_IS_COMPACT_ASCII"(object)
    PyObject **PySequence_Fast_ITEMS(object)
    # Without the reference that Cython would take and give back.
    PyObject *new_int "PyLong_FromUnsignedLongLong"(unsigned long long) except NULL
    void put_item "PyList_SET_ITEM"(object, Py_ssize_t, PyObject *)
    bint PyObject_TypeCheck(object, PyTypeObject *)
    object PyInstanceMethod_New(object)
    object PyType_GenericAlloc(PyTypeObject *, Py_ssize_t)
    object PyLong_FromLongLong(long long)
    object PyLong_FromUnsignedLongLong(unsigned long long)
    long long PyLong_AsLongLongAndOverflow(object, int *overflow) except? -1
    unsigned long long PyLong_AsUnsignedLongLong(object)

    # The class's attribute, borrowed, or NULL without an exception.
    PyObject *_PyType_Lookup(PyTypeObject *, object)
    ctypedef struct PyMethodDef:
        const char *ml_name
        void *ml_meth
        int ml_flags
        const char *ml_doc
    object PyDescr_NewMethod(PyTypeObject *, PyMethodDef *)
    const int METH_METHOD, METH_FASTCALL, METH_KEYWORDS

    ctypedef struct PyMemberDef:
        Py_ssize_t offset

    ctypedef struct PyMemberDescrObject:
        PyMemberDef *d_member

# PyMemberDef is here up to Python 3.11.
cdef extern from "structmember.h":
    pass

cdef extern from *:
    """
    #if PY_VERSION_HEX < 0x030B0000
    #include "longintrepr.h"
    #endif
    /* 1 and the value of an int of 0 to 60 bits, else 0. Asking Python takes several times as long where it
     * has two digits, as every other u32 has. */
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
    """
    bint fw_small_int(object number, uint64_t *value)

cdef enum:
    NUMBER, FLOAT, BOOL, STR, BYTES, REST, CONST, PAD, LIST, ARRAY, RECORD, ENUM

cdef enum:
    LEB128 = 2          # LengthType.spec
    SMALL = 1024
    DEPTH = 64          # errors.MOST_LEVELS
    LEVELS = 4 * DEPTH + 1  # a name and at most three indices for each, and one of unpack_many

    SHORT = 1           # codes of errors.record_fault
    CONSTANT = 2
    TEXT = 3
    DEEP = 4
    BEHIND = 5
    MEMBER = 7

ctypedef struct Op:
    int kind
    bint simple         # NUMBER, or a count: an integer of fixed width
    bint plain, little, is_signed
    bint swaps          # an array's items, from the machine's order
    unsigned width      # of a simple number or count, or a float
    Py_ssize_t least    # bytes of the type; so many have CONST and PAD
    Py_ssize_t tail     # least of all fields behind this one
    Py_ssize_t slot     # where the instance has the value; 0: nowhere
    uint64_t high       # greatest number or count
    fw_field *field
    Op *item            # LIST, ARRAY
    const uint8_t *data  # CONST
    PyObject *name
    PyObject *owner     # RECORD: its program; ARRAY: an empty array of the kind; ENUM: members by number
    PyObject *label     # ENUM: the name of its class
    bint closed         # ENUM: what is no member is an error

ctypedef struct Frame:
    PyObject *name      # of a field; NULL: an index
    Py_ssize_t index

ctypedef struct State:
    const uint8_t *data
    Py_ssize_t at, size
    uint8_t *out        # `used` of `room` bytes; on the stack until `heap` is not NULL
    uint8_t *heap
    Py_ssize_t used, room
    PyObject *record    # name of the outermost class
    int depth, frames
    Frame path[LEVELS]


# --- errors ---------------------------------------------------------------------------------------------

cdef tuple parts(const State *s):
    """The way to what is being read or written."""
    cdef list found = []
    cdef int i
    for i in range(s.frames):
        if s.path[i].name is NULL:
            found.append(s.path[i].index)
        else:
            found.append(<object> s.path[i].name)
    return tuple(found)


cdef int wrong(const State *s, int code, Py_ssize_t offset, object a=0, object b=0) except -1:
    raise errors.record_fault(code, <object> s.record, parts(s), offset, a, b)


cdef int too_short(const State *s, object need) except -1:
    return wrong(s, SHORT, s.at, need, s.size - s.at)


cdef int wrong_type(const State *s, str wanted, object value) except -1:
    raise errors.record_type(<object> s.record, parts(s), wanted, value)


cdef int wrong_range(const State *s, const Op *op, object value) except -1:
    low = -<object> op.high - 1 if op.is_signed else 0
    raise errors.record_range(<object> s.record, parts(s), value, low, op.high)


cdef int wrong_size(const State *s, const Op *op, Py_ssize_t size, str unit) except -1:
    raise errors.record_size(<object> s.record, parts(s), size, op.high, unit)


# --- reading --------------------------------------------------------------------------------------------

cdef inline uint64_t load(const uint8_t *p, unsigned width, bint little) noexcept:
    # A width that the compiler knows is one instruction.
    if width == 1:
        return p[0]
    if little:
        return fw_load_le(p, width)
    if width == 2:
        return fw_load_be(p, 2)
    if width == 4:
        return fw_load_be(p, 4)
    if width == 8:
        return fw_load_be(p, 8)
    return fw_load_be(p, width)


cdef inline int read_number(State *s, const Op *op, uint64_t *value) except -1:
    """A number; signed ones have their sign in all 64 bits."""
    cdef uint64_t raw, top
    if op.simple:
        if op.width > s.size - s.at:
            too_short(s, op.width)
        raw = load(s.data + s.at, op.width, op.little)
        if op.is_signed:
            top = <uint64_t> 1 << (8 * op.width - 1)
            raw = (raw ^ top) - top
        s.at += op.width
        value[0] = raw
        return 0
    return read_varying(s, op, value)


cdef int read_varying(State *s, const Op *op, uint64_t *value) except -1:
    cdef fw_number number
    cdef int status
    cdef const uint8_t *p = s.data + s.at
    cdef Py_ssize_t left = s.size - s.at
    if op.field.kind == LEB128 and left > 0:
        if p[0] < 0x80:
            value[0] = p[0]
            s.at += 1
            return 0
        # A second byte of 0 may be refused as not the shortest form.
        if left > 1 and 0 < p[1] < 0x80 and op.field.width > 1:
            value[0] = (p[0] & 0x7f) | <uint64_t> p[1] << 7
            s.at += 2
            return 0
    status = fw_read_field(op.field, s.data + s.at, s.size - s.at, UINT64_MAX, &number)
    if status == FW_MORE:
        too_short(s, number.width)
    if status != FW_FRAME:
        wrong(s, status, s.at)
    if number.negative:
        wrong(s, -2, s.at)
    s.at += number.width
    value[0] = number.value
    return 0


cdef object read_float(State *s, const Op *op):
    cdef const uint8_t *p = s.data + s.at
    cdef uint64_t bits
    cdef double number = 0.0
    if op.width > s.size - s.at:
        too_short(s, op.width)
    s.at += op.width
    if op.width == 8:
        bits = fw_load_le(p, 8) if op.little else fw_load_be(p, 8)
        memcpy(&number, &bits, 8)
        return number
    if op.width == 4:
        return PyFloat_Unpack4(<const char *> p, op.little)
    return PyFloat_Unpack2(<const char *> p, op.little)


cdef object read_text(State *s, const uint8_t *p, Py_ssize_t size):
    try:
        return decode_utf8(<const char *> p, size, NULL)
    except UnicodeDecodeError as error:
        s.at -= size
        wrong(s, TEXT, s.at + error.start, p[error.start])


cdef object read_counted(State *s, const Op *op):
    cdef uint64_t size = 0
    cdef const uint8_t *p
    read_number(s, op, &size)
    if size > <uint64_t> (s.size - s.at):
        too_short(s, size)
    p = s.data + s.at
    s.at += <Py_ssize_t> size
    if op.kind == BYTES:
        return PyBytes_FromStringAndSize(<const char *> p, <Py_ssize_t> size)
    return read_text(s, p, <Py_ssize_t> size)


cdef object read_list(State *s, const Op *op):
    cdef uint64_t count = 0
    cdef Py_ssize_t i, most
    cdef const Op *item = op.item
    cdef Frame *frame = &s.path[s.frames]
    cdef list items
    read_number(s, op, &count)
    # One more than the bytes left can hold: reading it finds out which byte is missing.
    most = (s.size - s.at) // item.least + 1
    if count < <uint64_t> most:
        most = <Py_ssize_t> count
    items = PyList_New(most)
    s.frames += 1
    frame.name = NULL
    if item.kind == NUMBER and not item.is_signed:
        for i in range(most):
            frame.index = i
            read_number(s, item, &count)
            put_item(items, i, new_int(count))
        s.frames -= 1
        return items
    for i in range(most):
        frame.index = i
        value = read_value(s, item)
        Py_INCREF(value)
        PyList_SET_ITEM(items, i, value)
    s.frames -= 1
    return items


cdef object read_array(State *s, const Op *op):
    cdef uint64_t count = 0
    cdef Py_ssize_t left, size
    cdef unsigned width = op.item.width
    cdef array values
    read_number(s, op, &count)
    left = s.size - s.at
    if count > <uint64_t> (left // width):
        s.at += left // width * width
        s.path[s.frames].name = NULL
        s.path[s.frames].index = left // width
        s.frames += 1
        too_short(s, width)
    size = <Py_ssize_t> count * width
    values = clone(<array> op.owner, <Py_ssize_t> count, False)
    if op.item.swaps:
        fw_swap(values.data.as_uchars, s.data + s.at, size, width)
    elif size:
        memcpy(values.data.as_uchars, s.data + s.at, size)
    s.at += size
    return values


cdef int pass_fixed(State *s, const Op *op) except -1:
    """CONST and PAD."""
    if op.least > s.size - s.at:
        too_short(s, op.least)
    if op.kind == CONST and memcmp(s.data + s.at, op.data, op.least) != 0:
        wrong(s, CONSTANT, s.at, op.data[:op.least], (s.data + s.at)[:op.least])
    s.at += op.least
    return 0


cdef object read_member(State *s, const Op *op):
    cdef Py_ssize_t at = s.at
    cdef uint64_t raw = 0
    read_number(s, op, &raw)
    number = PyLong_FromLongLong(<int64_t> raw) if op.is_signed else PyLong_FromUnsignedLongLong(raw)
    member = (<dict> op.owner).get(number)
    if member is None:
        if op.closed:
            wrong(s, MEMBER, at, number, <object> op.label)
        return number
    return member


cdef object read_value(State *s, const Op *op):
    cdef uint64_t number = 0
    cdef int kind = op.kind
    if kind == NUMBER:
        read_number(s, op, &number)
        if op.is_signed:
            return PyLong_FromLongLong(<int64_t> number)
        return PyLong_FromUnsignedLongLong(number)
    if kind == FLOAT:
        return read_float(s, op)
    if kind == STR or kind == BYTES:
        return read_counted(s, op)
    if kind == RECORD:
        if s.depth >= DEPTH:
            wrong(s, DEEP, s.at, DEPTH)
        return read_record(<Program> op.owner, s)
    if kind == LIST:
        return read_list(s, op)
    if kind == ARRAY:
        return read_array(s, op)
    if kind == ENUM:
        return read_member(s, op)
    if kind == BOOL:
        if s.at >= s.size:
            too_short(s, 1)
        s.at += 1
        return s.data[s.at - 1] != 0
    rest = PyBytes_FromStringAndSize(<const char *> s.data + s.at, s.size - s.at)
    s.at = s.size
    return rest


cdef int lost(Program self) except -1:
    raise RuntimeError("a record's program that is not built, or that went away with its class")


cdef object read_record(Program self, State *s):
    if self.keep is None:
        lost(self)
    cdef object record = PyType_GenericAlloc(<PyTypeObject *> self.cls, 0)
    cdef Frame *frame = &s.path[s.frames]
    cdef const Op *op = self.ops
    cdef const Op *end = self.ops + self.count
    s.depth += 1
    s.frames += 1
    while op < end:
        frame.name = op.name
        if op.slot:
            value = read_value(s, op)
            Py_INCREF(value)
            (<PyObject **> (<char *> <PyObject *> record + op.slot))[0] = <PyObject *> value
        else:
            pass_fixed(s, op)
        op += 1
    s.frames -= 1
    s.depth -= 1
    return record


# --- passing over ---------------------------------------------------------------------------------------

cdef inline Py_ssize_t plus(Py_ssize_t a, Py_ssize_t b) noexcept:
    return PY_SSIZE_T_MAX if a > PY_SSIZE_T_MAX - b else a + b


cdef Py_ssize_t skip_number(State *s, const Op *op, uint64_t *value) except -1:
    """0, or how many bytes of the number are missing at least."""
    cdef fw_number number
    cdef int status
    if op.simple:
        if op.width > s.size - s.at:
            return op.width - (s.size - s.at)
        read_number(s, op, value)
        return 0
    status = fw_read_field(op.field, s.data + s.at, s.size - s.at, UINT64_MAX, &number)
    if status == FW_MORE:
        return <Py_ssize_t> number.width - (s.size - s.at)
    read_varying(s, op, value)
    return 0


cdef Py_ssize_t skip_value(State *s, const Op *op) except -1:
    """0 and behind the value, or how many bytes are missing at least."""
    cdef uint64_t number = 0
    cdef Py_ssize_t more, i, need, left = s.size - s.at
    cdef int kind = op.kind
    cdef Frame *frame
    if op.plain and kind != RECORD or kind == CONST:
        if op.least > left:
            return op.least - left
        if kind == CONST:
            pass_fixed(s, op)
        else:
            s.at += op.least
        return 0
    if kind == REST:
        s.at = s.size
        return 0
    if kind == RECORD:
        if s.depth >= DEPTH:
            wrong(s, DEEP, s.at, DEPTH)
        return skip_record(<Program> op.owner, s)
    need = s.at
    more = skip_number(s, op, &number)
    if more or kind == NUMBER:
        return more
    if kind == ENUM:
        s.at = need
        read_member(s, op)
        return 0
    left = s.size - s.at
    if kind == STR or kind == BYTES:
        need = <Py_ssize_t> number if number <= <uint64_t> PY_SSIZE_T_MAX else PY_SSIZE_T_MAX
    elif number > <uint64_t> (PY_SSIZE_T_MAX // op.item.least):
        need = PY_SSIZE_T_MAX
    else:
        need = <Py_ssize_t> number * op.item.least
    if need > left:
        return need - left
    if kind == STR or kind == BYTES or op.item.plain:
        s.at += need
        return 0
    frame = &s.path[s.frames]
    frame.name = NULL
    s.frames += 1
    for i in range(<Py_ssize_t> number):
        frame.index = i
        more = skip_value(s, op.item)
        if more:
            return plus(more, (<Py_ssize_t> number - i - 1) * op.item.least)
    s.frames -= 1
    return 0


cdef Py_ssize_t skip_record(Program self, State *s) except -1:
    cdef Frame *frame = &s.path[s.frames]
    cdef const Op *op = self.ops
    cdef const Op *end = self.ops + self.count
    cdef Py_ssize_t more
    if self.keep is None:
        lost(self)
    s.depth += 1
    s.frames += 1
    while op < end:
        frame.name = op.name
        more = skip_value(s, op)
        if more:
            return plus(more, op.tail)
        op += 1
    s.frames -= 1
    s.depth -= 1
    return 0


# --- writing --------------------------------------------------------------------------------------------

cdef int grow(State *s, Py_ssize_t size) except -1:
    cdef Py_ssize_t room
    cdef uint8_t *heap
    if size > PY_SSIZE_T_MAX // 2 - s.used:
        raise MemoryError()
    room = 2 * (s.used + size)
    heap = <uint8_t *> PyMem_Realloc(s.heap, room)
    if heap is NULL:
        raise MemoryError()
    if s.heap is NULL:
        memcpy(heap, s.out, s.used)
    s.heap = s.out = heap
    s.room = room
    return 0


cdef inline uint8_t *reserve(State *s, Py_ssize_t size) except NULL:
    """Where `size` more bytes are to be written."""
    if size > s.room - s.used:
        grow(s, size)
    s.used += size
    return s.out + s.used - size


cdef int put(State *s, const void *data, Py_ssize_t size) except -1:
    memcpy(reserve(s, size), data, size)
    return 0


cdef inline void store_big(uint8_t *p, unsigned width, uint64_t value) noexcept:
    if width == 1:
        p[0] = <uint8_t> value
    elif width == 2:
        fw_store_be(p, 2, value)
    elif width == 4:
        fw_store_be(p, 4, value)
    elif width == 8:
        fw_store_be(p, 8, value)
    else:
        fw_store_be(p, width, value)


cdef inline Py_ssize_t store_leb128(uint8_t *p, uint64_t value) noexcept:
    cdef Py_ssize_t size = 0
    while value > 0x7f:
        p[size] = <uint8_t> (value | 0x80)
        value >>= 7
        size += 1
    p[size] = <uint8_t> value
    return size + 1


cdef int put_number(State *s, const Op *op, uint64_t value) except -1:
    cdef uint8_t *p
    cdef unsigned form
    cdef uint8_t small[48]
    if op.simple:
        p = reserve(s, op.width)
        if op.little:
            fw_store_le(p, op.width, value)
        else:
            store_big(p, op.width, value)
        return 0
    if op.field.kind == LEB128:
        # The forms below would be tried one by one.
        return put(s, small, store_leb128(small, value))
    for form in range(fw_form_count(op.field)):
        if fw_write_form(op.field, form, value, 0, small):
            put(s, small, fw_form_width(op.field, form))
            return 0
    wrong_range(s, op, value)


cdef object as_int(State *s, object value):
    """The value, or its `__index__`, as an int that is no subclass's."""
    if not PyLong_Check(value):
        if not PyIndex_Check(value):
            wrong_type(s, "an int", value)
        value = PyNumber_Index(value)
    return value if PyLong_CheckExact(value) else int.__index__(value)


cdef int write_member(State *s, const Op *op, object value) except -1:
    value = as_int(s, value)
    if op.closed and value not in <dict> op.owner:
        raise errors.record_member(<object> s.record, parts(s), value, <object> op.label)
    return write_number(s, op, value)


cdef int write_number(State *s, const Op *op, object value) except -1:
    cdef int overflow = 0
    cdef int64_t number
    cdef uint64_t large = 0
    if PyLong_CheckExact(value):
        if fw_small_int(value, &large) and large <= op.high:
            return put_number(s, op, large)
    else:
        value = as_int(s, value)
    number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow == 0:
        if number >= 0:
            if <uint64_t> number <= op.high:
                return put_number(s, op, <uint64_t> number)
        elif op.is_signed and number >= -<int64_t> op.high - 1:
            return put_number(s, op, <uint64_t> number)
    elif overflow > 0 and op.high > <uint64_t> INT64_MAX:
        large = PyLong_AsUnsignedLongLong(value)
        if PyErr_Occurred() is NULL:
            if large <= op.high:
                return put_number(s, op, large)
        else:
            PyErr_Clear()
    wrong_range(s, op, value)


cdef double as_double(State *s, const Op *op, object value) except? -1:
    cls = type(value)
    if not (PyLong_Check(value) or hasattr(cls, "__float__") or hasattr(cls, "__index__")):
        wrong_type(s, "a float", value)
    try:
        return float(value)
    except OverflowError:
        if not PyLong_Check(value):
            raise
    raise errors.record_float(<object> s.record, parts(s), op.width)


cdef int write_float(State *s, const Op *op, object value) except -1:
    cdef double number = PyFloat_AsDouble(value) if PyFloat_Check(value) else as_double(s, op, value)
    cdef uint64_t bits = 0
    cdef uint8_t *p = reserve(s, op.width)
    cdef int failed = 0
    if op.width == 8:
        memcpy(&bits, &number, 8)
        if op.little:
            fw_store_le(p, 8, bits)
        else:
            fw_store_be(p, 8, bits)
    elif op.width == 4:
        failed = PyFloat_Pack4(number, <char *> p, op.little)
    else:
        failed = PyFloat_Pack2(number, <char *> p, op.little)
    if failed:
        PyErr_Clear()
        raise errors.record_float(<object> s.record, parts(s), op.width)
    return 0


cdef int take_buffer(State *s, object value, Py_buffer *view) except -1:
    if try_buffer(value, view, PyBUF_SIMPLE) < 0:
        PyErr_Clear()
        wrong_type(s, "a contiguous buffer", value)
    return 0


cdef int write_text(State *s, const Op *op, object value) except -1:
    cdef Py_ssize_t size = 0
    cdef const char *p
    cdef bytes encoded
    if not PyUnicode_Check(value):
        wrong_type(s, "a str", value)
    if PyUnicode_IS_ASCII(value):
        p = as_utf8(value, &size)
    else:
        # Through bytes: what AsUTF8 makes of other text stays with the str for good.
        try:
            encoded = str.encode(value, "utf-8")
        except UnicodeEncodeError as error:
            raise errors.record_text(<object> s.record, parts(s), error) from None
        p = PyBytes_AS_STRING(encoded)
        size = PyBytes_GET_SIZE(encoded)
    if <uint64_t> size > op.high:
        wrong_size(s, op, size, "bytes")
    put_number(s, op, <uint64_t> size)
    return put(s, p, size)


cdef int write_bytes(State *s, const Op *op, object value) except -1:
    """BYTES and REST."""
    cdef Py_buffer view
    take_buffer(s, value, &view)
    try:
        if op.kind == BYTES:
            if <uint64_t> view.len > op.high:
                wrong_size(s, op, view.len, "bytes")
            put_number(s, op, <uint64_t> view.len)
        put(s, view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return 0


cdef Py_ssize_t write_small_ints(State *s, const Op *op, PyObject **items, Py_ssize_t count) except -1:
    """How many of the items, from the first on, were plain ints of a plain field and are written."""
    cdef Py_ssize_t i, widest = op.width if op.simple else 10
    cdef uint64_t value = 0
    cdef uint8_t *p
    cdef uint8_t *start
    if op.kind != NUMBER or op.little or not (op.simple or op.field.kind == LEB128):
        return 0
    if count > PY_SSIZE_T_MAX // widest:
        raise MemoryError()
    start = p = reserve(s, count * widest)
    for i in range(count):
        if not PyLong_CheckExact(<object> items[i]):
            break
        if not fw_small_int(<object> items[i], &value) or value > op.high:
            break
        if op.simple:
            store_big(p, op.width, value)
            p += op.width
        else:
            p += store_leb128(p, value)
    else:
        i = count
    s.used -= count * widest - (p - start)
    return i


cdef int write_list(State *s, const Op *op, object value) except -1:
    """LIST, and ARRAY out of a list."""
    cdef bint is_list = PyList_Check(value)
    cdef Py_ssize_t i, count, done
    cdef Frame *frame = &s.path[s.frames]
    if not is_list and not PyTuple_Check(value):
        wrong_type(s, "a list or a tuple", value)
    count = PyList_GET_SIZE(value) if is_list else PyTuple_GET_SIZE(value)
    if <uint64_t> count > op.high:
        wrong_size(s, op, count, "items")
    put_number(s, op, <uint64_t> count)
    frame.name = NULL
    s.frames += 1
    done = write_small_ints(s, op.item, PySequence_Fast_ITEMS(value), count)
    for i in range(done, count):
        if is_list and PyList_GET_SIZE(value) != count:
            break
        frame.index = i
        item = <object> (PyList_GET_ITEM(value, i) if is_list else PyTuple_GET_ITEM(value, i))
        write_value(s, op.item, item)
    s.frames -= 1
    if is_list and PyList_GET_SIZE(value) != count:
        raise errors.record_changed(<object> s.record, parts(s))
    return 0


cdef bint fits(const Op *op, const char *format) noexcept:
    """Whether items of a buffer's format are of the kind that the array has; their size is another matter."""
    cdef char code
    if format is NULL:
        code = c'B'
    else:
        while format[0] == c'@' or format[0] == c'=' or format[0] == (c'>' if fw_host_big() else c'<'):
            format += 1
        code = format[0]
        if code == 0 or format[1] != 0:
            return False
    if op.item.kind == FLOAT:
        return code == c'f' or code == c'd'
    if op.item.is_signed:
        return code in (c'b', c'h', c'i', c'l', c'q', c'n')
    return code in (c'B', c'H', c'I', c'L', c'Q', c'N')


cdef int write_array(State *s, const Op *op, object value) except -1:
    cdef unsigned width = op.item.width
    cdef Py_ssize_t count
    cdef Py_buffer view
    cdef uint8_t *p
    if PyList_Check(value) or PyTuple_Check(value):
        return write_list(s, op, value)
    if try_buffer(value, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) < 0:
        PyErr_Clear()
        wrong_type(s, "a contiguous buffer", value)
    try:
        if view.itemsize != width or not fits(op, view.format):
            typecode = (<object> op.owner).typecode
            raise errors.record_items(<object> s.record, parts(s), typecode, value)
        count = view.len // width
        if <uint64_t> count > op.high:
            wrong_size(s, op, count, "items")
        put_number(s, op, <uint64_t> count)
        p = reserve(s, view.len)
        if op.item.swaps:
            fw_swap(p, <const uint8_t *> view.buf, view.len, width)
        else:
            memcpy(p, view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return 0


cdef int write_value(State *s, const Op *op, object value) except -1:
    cdef int kind = op.kind
    if kind == NUMBER:
        return write_number(s, op, value)
    if kind == FLOAT:
        return write_float(s, op, value)
    if kind == STR:
        return write_text(s, op, value)
    if kind == BYTES or kind == REST:
        return write_bytes(s, op, value)
    if kind == RECORD:
        if not PyObject_TypeCheck(value, <PyTypeObject *> (<Program> op.owner).cls):
            wrong_type(s, f"a {(<Program> op.owner).name}", value)
        if s.depth >= DEPTH:
            raise errors.record_deep(<object> s.record, parts(s))
        return write_record(<Program> op.owner, s, value)
    if kind == LIST:
        return write_list(s, op, value)
    if kind == ARRAY:
        return write_array(s, op, value)
    if kind == ENUM:
        return write_member(s, op, value)
    if value is not True and value is not False:
        wrong_type(s, "a bool", value)
    reserve(s, 1)[0] = value is True
    return 0


cdef int write_record(Program self, State *s, object record) except -1:
    cdef Frame *frame = &s.path[s.frames]
    cdef const Op *op = self.ops
    cdef const Op *end = self.ops + self.count
    cdef PyObject *value
    if self.keep is None:
        lost(self)
    s.depth += 1
    s.frames += 1
    while op < end:
        frame.name = op.name
        if op.slot:
            value = (<PyObject **> (<char *> <PyObject *> record + op.slot))[0]
            if value is NULL:
                raise errors.record_unset(<object> s.record, parts(s))
            held = <object> value
            write_value(s, op, held)
        elif op.kind == CONST:
            put(s, op.data, op.least)
        else:
            memset(reserve(s, op.least), 0, op.least)
        op += 1
    s.frames -= 1
    s.depth -= 1
    return 0


# --- programs -------------------------------------------------------------------------------------------

cdef int fill(Op *op, tuple kind, list keep) except -1:
    """The op of a type tuple; what it points to is in `keep`."""
    cdef tuple spec
    op.kind, op.least, op.plain = kind[:3]
    if op.kind in (NUMBER, STR, BYTES, LIST, ARRAY, ENUM):
        spec = kind[3]
        op.field = <fw_field *> PyMem_Calloc(1, sizeof(fw_field))
        if op.field is NULL:
            raise MemoryError()
        fill_field(op.field, spec)
        op.high = kind[5]
        op.simple = spec[0] == 1
        op.width, op.little, op.is_signed = spec[1:4]
    if op.kind == LIST or op.kind == ARRAY:
        op.item = <Op *> PyMem_Calloc(1, sizeof(Op))
        if op.item is NULL:
            raise MemoryError()
        fill(op.item, kind[6], keep)
    if op.kind == FLOAT:
        op.width, op.little = kind[3:]
    elif op.kind == CONST:
        keep.append(kind[3])
        op.data = <const uint8_t *> PyBytes_AS_STRING(kind[3])
    elif op.kind == ENUM:
        keep.append(kind)
        op.label, op.owner, op.closed = <PyObject *> kind[6], <PyObject *> kind[7], kind[8]
    elif op.kind == RECORD:
        keep.append(kind[3])
        op.owner = <PyObject *> <Program?> kind[3]
    elif op.kind == ARRAY:
        template = array(kind[7])
        keep.append(template)
        op.owner = <PyObject *> template
        op.item.swaps = op.item.width > 1 and op.item.little == fw_host_big()
    return 0


cdef void release(Op *op) noexcept:
    PyMem_Free(op.field)
    if op.item is not NULL:
        release(op.item)
        PyMem_Free(op.item)


@cython.final
cdef class Program:
    """The field program of one record class, `name` in errors; runs once `build` has given it its fields."""

    cdef Op *ops
    cdef Py_ssize_t count, least
    cdef str name
    cdef object cls
    cdef list keep

    def __init__(self, str name not None, cls):
        if not isinstance(cls, type):
            raise TypeError(f"{name}: a class is needed, not {type(cls).__name__}")
        self.name = name
        self.cls = cls

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.count):
            release(&self.ops[i])
        PyMem_Free(self.ops)

    def build(self, tuple fields not None):
        """Give the program its fields, of which other programs may not be built yet."""
        cdef Py_ssize_t i, tail = 0
        cdef Op *op
        cdef list keep = [fields]
        if self.ops is not NULL:
            raise RuntimeError("build: once only")
        self.ops = <Op *> PyMem_Calloc(len(fields) + 1, sizeof(Op))
        if self.ops is NULL:
            raise MemoryError()
        self.count = len(fields)
        for i in range(self.count - 1, -1, -1):
            op = &self.ops[i]
            name, kind = fields[i]
            fill(op, kind, keep)
            op.name = <PyObject *> name
            op.tail = tail
            tail += op.least
            if op.kind != CONST and op.kind != PAD:
                member = getattr(self.cls, name)
                if type(member) is not MemberDescriptorType:
                    raise TypeError(f"{name} is no slot of the class")
                op.slot = (<PyMemberDescrObject *> member).d_member.offset
        self.least = tail
        self.keep = keep

    def calls(self):
        """What the record class is to be given, by name: methods of its instances, and of itself."""
        methods = ("pack_into", "append_to", "size_of")
        functions = ("unpack", "unpack_from", "unpack_many", "missing")
        return {
            "_program": self,
            "pack": PyDescr_NewMethod(<PyTypeObject *> self.cls, &PACK),
            **{name: PyInstanceMethod_New(getattr(self, name)) for name in methods},
            **{name: getattr(self, name) for name in functions},
        }

    def pack(self, record):
        """The bytes of `record`."""
        return packed(self, record)

    def pack_into(self, record, buffer, offset=0):
        """Write the bytes of `record` into a writable buffer; returns where they end."""
        cdef State s
        cdef uint8_t small[SMALL]
        cdef Py_buffer view
        cdef Py_ssize_t at
        offset = PyNumber_Index(offset)
        begin_write(self, &s, small)
        try:
            write_whole(self, &s, record)
            if try_buffer(buffer, &view, PyBUF_WRITABLE) < 0:
                PyErr_Clear()
                PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE)
                PyBuffer_Release(&view)
                raise TypeError(f"pack_into: the buffer is read-only ({type(buffer).__name__})")
            try:
                at = checked(offset, view.len)
                if s.used > view.len - at:
                    raise errors.encode_no_room(s.used, at, view.len)
                memcpy(<uint8_t *> view.buf + at, s.out, s.used)
            finally:
                PyBuffer_Release(&view)
            return at + s.used
        finally:
            PyMem_Free(s.heap)

    def append_to(self, record, target):
        """Append the bytes of `record` to a bytearray."""
        cdef State s
        cdef uint8_t small[SMALL]
        cdef Py_ssize_t old
        if not isinstance(target, bytearray):
            raise TypeError(f"append_to: a bytearray is needed, not {type(target).__name__}")
        begin_write(self, &s, small)
        try:
            write_whole(self, &s, record)
            old = PyByteArray_GET_SIZE(target)
            PyByteArray_Resize(target, old + s.used)
            memcpy(PyByteArray_AS_STRING(target) + old, s.out, s.used)
        finally:
            PyMem_Free(s.heap)

    def size_of(self, record):
        """How many bytes `record` has."""
        cdef State s
        cdef uint8_t small[SMALL]
        begin_write(self, &s, small)
        try:
            write_whole(self, &s, record)
            return s.used
        finally:
            PyMem_Free(s.heap)

    def unpack(self, data):
        """The record that `data` is, all of it."""
        cdef State s
        cdef Py_buffer view
        if PyBytes_CheckExact(data):
            begin_read(self, &s, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
            return read_whole(self, &s)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            begin_read(self, &s, <const char *> view.buf, view.len)
            return read_whole(self, &s)
        finally:
            PyBuffer_Release(&view)

    def unpack_from(self, data, offset=0):
        """The record at `offset`, and where it ends."""
        cdef State s
        cdef Py_buffer view
        if not PyLong_CheckExact(offset):
            offset = PyNumber_Index(offset)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            begin_read(self, &s, <const char *> view.buf, view.len)
            s.at = checked(offset, view.len)
            record = read_record(self, &s)
            return record, s.at
        finally:
            PyBuffer_Release(&view)

    def unpack_many(self, data, count):
        """The `count` records that `data` is, all of it."""
        cdef State s
        cdef Py_buffer view
        cdef Py_ssize_t i, most
        cdef list records = []
        count = PyNumber_Index(count)
        if count < 0:
            raise errors.bad_count(count)
        if self.least == 0:
            raise errors.record_uncountable(self.name)
        most = PY_SSIZE_T_MAX if count > PY_SSIZE_T_MAX else count
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            begin_read(self, &s, <const char *> view.buf, view.len)
            s.path[0].name = NULL
            s.frames = 1
            for i in range(most):
                s.path[0].index = i
                records.append(read_record(self, &s))
            s.frames = 0
            if s.at != s.size:
                wrong(&s, BEHIND, s.at, s.size - s.at)
            return records
        finally:
            PyBuffer_Release(&view)

    def missing(self, data, offset=0):
        """How many bytes the record at `offset` lacks at least; 0 if it is whole."""
        cdef State s
        cdef Py_buffer view
        offset = PyNumber_Index(offset)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            begin_read(self, &s, <const char *> view.buf, view.len)
            s.at = checked(offset, view.len)
            return skip_record(self, &s)
        finally:
            PyBuffer_Release(&view)


cdef bytes packed(Program self, object record):
    cdef State s
    cdef uint8_t small[SMALL]
    begin_write(self, &s, small)
    try:
        write_whole(self, &s, record)
        return PyBytes_FromStringAndSize(<const char *> s.out, s.used)
    finally:
        PyMem_Free(s.heap)


cdef object pack_method(
    PyObject *record, PyTypeObject *cls, PyObject **args, Py_ssize_t count, PyObject *names
):
    """`pack` of a record class: a method descriptor, as a bound method for each call costs a third more."""
    cdef PyObject *program
    if count or (names is not NULL and <object> names):
        raise TypeError("pack() takes no arguments")
    program = _PyType_Lookup(cls, "_program")
    if program is NULL or not isinstance(<object> program, Program):
        raise TypeError("pack() of a class that is no record")
    return packed(<Program> program, <object> record)


cdef PyMethodDef PACK
PACK.ml_name = "pack"
PACK.ml_meth = <void *> pack_method
PACK.ml_flags = METH_METHOD | METH_FASTCALL | METH_KEYWORDS
PACK.ml_doc = "pack($self, /)\n--\n\nThe record as bytes. EncodeError names the field that cannot be packed."


cdef Py_ssize_t checked(object offset, Py_ssize_t size) except -1:
    if not 0 <= offset <= size:
        raise errors.bad_offset(offset, size)
    return offset


cdef inline void begin_read(Program self, State *s, const char *data, Py_ssize_t size) noexcept:
    s.data = <const uint8_t *> data
    s.size = size
    s.at = s.depth = s.frames = 0
    s.record = <PyObject *> self.name


cdef object read_whole(Program self, State *s):
    record = read_record(self, s)
    if s.at != s.size:
        wrong(s, BEHIND, s.at, s.size - s.at)
    return record


cdef inline void begin_write(Program self, State *s, uint8_t *small) noexcept:
    s.out = small
    s.room = SMALL
    s.heap = NULL
    s.used = s.depth = s.frames = 0
    s.record = <PyObject *> self.name


cdef int write_whole(Program self, State *s, object record) except -1:
    if not PyObject_TypeCheck(record, <PyTypeObject *> self.cls):
        raise TypeError(f"a {self.name} is needed, not {type(record).__name__}")
    return write_record(self, s, record)
