# cython: language_level=3, auto_pickle=False, autotestdict=False, binding=False
"""Reading records in C: a loop over the op table, and the twin of `_pure.unpacking`.

A value goes into the slot of a new instance by its offset, so no tuple and no attribute lookup is between.
The path is kept up to date, one store a field, so that an error finds it without anything to unwind.
Nothing is allocated for a count that the bytes left cannot hold.
"""

from cpython.array cimport array, clone
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.list cimport PyList_Append, PyList_GET_SIZE, PyList_New, PyList_SET_ITEM
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New
from libc.stdint cimport UINT64_MAX, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

from ._csrc cimport FW_FRAME, FW_MORE, fw_field
from ._python cimport PyFloat_Unpack2, PyFloat_Unpack4
from ._output cimport fw_step
from .shape cimport (
    ARRAY, ARRAYED, AS_BYTES, BITS, BOOL, BYTES, CODEC, CONST, CONSTANT, CRAMPED, CSTR, DEEP, DEPTH,
    E_CRAMPED, E_UNCOUNTED, E_UNFILLED, ENUM, FIXED, FLOAT, HOOK, LIMIT, LIST, LISTED, MEMBER, MUTF8,
    NUMBER, ONEOF, PADDING, RECORD, REPEAT, REST, ROW, SIZE, STR, TAG, TEXT, UNENDED, UNFILLED, UTF8,
    VIEW, WHEN, Shape, fw_choose_record, fw_extent, fw_may_lack, fw_op, fw_shape, fw_skip_record,
    fw_walk, fw_way, lost, too_short, wrong,
)

from .. import _mutf8, errors

__all__ = []

cdef enum:
    RAISED = -100       # a status of the walk: the exception is set

cdef enum:
    LEB128 = 2          # LengthType.spec
    READY = 1024        # items of a list for which there is room at once

cdef extern from "fw_field.h" nogil:
    ctypedef struct fw_number:
        uint64_t value
        size_t width
        int negative

    uint64_t fw_load_be(const uint8_t *p, unsigned width)
    uint64_t fw_load_le(const uint8_t *p, unsigned width)
    int fw_read_field(const fw_field *f, const uint8_t *p, size_t size, uint64_t ceiling, fw_number *out)

cdef extern from "fw_swap.h" nogil:
    void fw_swap(uint8_t *dst, const uint8_t *src, size_t n, unsigned width)

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX
    object decode_utf8 "PyUnicode_DecodeUTF8"(const char *, Py_ssize_t, const char *)
    object PyUnicode_Decode(const char *, Py_ssize_t, const char *, const char *)
    object PyMemoryView_FromObject(object)
    void PyObject_GC_Track(object)
    void PyObject_GC_UnTrack(object)
    bint PyObject_TypeCheck(object, PyTypeObject *)
    bint PyLong_Check(object)
    long long PyLong_AsLongLongAndOverflow(object, int *overflow) except? -1
    # Without the reference that Cython would take and give back.
    PyObject *new_int "PyLong_FromUnsignedLongLong"(unsigned long long) except NULL
    PyObject *new_float "PyFloat_FromDouble"(double) except NULL
    void put_item "PyList_SET_ITEM"(object, Py_ssize_t, PyObject *)
    object PyType_GenericAlloc(PyTypeObject *, Py_ssize_t)
    object PyLong_FromLongLong(long long)
    object PyLong_FromUnsignedLongLong(unsigned long long)
    unsigned long long low_bits "PyLong_AsUnsignedLongLongMask"(PyObject *) except? 0xffffffff


cdef extern from *:
    """
    static inline int fw_is_raised(int status) { return status; }
    """
    # Gives what it is given; Cython lets an exception pass for RAISED.
    int fw_is_raised(int status) except -100


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


cdef inline int read_number(fw_walk *s, const fw_op *op, uint64_t *value) except -1:
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


cdef int read_varying(fw_walk *s, const fw_op *op, uint64_t *value) except -1:
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
    if number.negative and not op.is_signed:
        wrong(s, -2, s.at)
    s.at += number.width
    value[0] = number.value
    return 0


cdef object read_float(fw_walk *s, const fw_op *op):
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


cdef object read_text(fw_walk *s, const uint8_t *p, Py_ssize_t size):
    try:
        return decode_utf8(<const char *> p, size, NULL)
    except UnicodeDecodeError as error:
        s.at -= size
        wrong(s, TEXT, s.at + error.start, p[error.start], "UTF-8")


cdef object read_counted(fw_walk *s, const fw_op *op):
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


cdef int read_unsigned(fw_walk *s, const fw_op *item, list items, Py_ssize_t count) except -1:
    """So many unsigned numbers, the commonest items, without a call for each where that can be."""
    cdef Py_ssize_t i
    cdef uint64_t number = 0
    cdef fw_step *step = &s.path.steps[s.path.count - 1]
    if item.simple and count <= (s.size - s.at) // item.least:
        for i in range(count):
            put_item(items, i, new_int(load(s.data + s.at, item.width, item.little)))
            s.at += item.width
        return 0
    for i in range(count):
        step.index = i
        if item.field.kind == LEB128 and s.at < s.size and s.data[s.at] < 0x80:
            number = s.data[s.at]
            s.at += 1
        else:
            read_number(s, item, &number)
        put_item(items, i, new_int(number))
    return 0


cdef list read_items(fw_walk *s, const fw_op *item, fw_step *step, Py_ssize_t count):
    """So many values, which have room only as they come where lists may be within: all may promise many.

    A hook can look for all objects, and must not find a list with holes."""
    cdef int kind = item.kind
    cdef bint nests = kind in (RECORD, ONEOF, LIST, LISTED, REPEAT, CODEC)
    cdef Py_ssize_t i, ready = READY if nests and count > READY else count
    cdef list items = PyList_New(ready)
    PyObject_GC_UnTrack(items)
    for i in range(ready):
        step.index = i
        value = read_value(s, item)
        Py_INCREF(value)
        PyList_SET_ITEM(items, i, value)
    for i in range(ready, count):
        step.index = i
        PyList_Append(items, read_value(s, item))
    PyObject_GC_Track(items)
    return items


cdef object read_list(fw_walk *s, const fw_op *op):
    """LIST, LISTED and REPEAT."""
    cdef uint64_t count = 0
    cdef Py_ssize_t most = PY_SSIZE_T_MAX
    cdef const fw_op *item = op.item
    cdef fw_step *step = &s.path.steps[s.path.count]
    cdef list items
    if op.extent is NULL:
        read_number(s, op, &count)
    elif not read_count(s, op, &count):
        return None
    # One more than the bytes left can hold: reading it finds out which byte is missing.
    if item.least:
        most = (s.size - s.at) // item.least + 1
    if count < <uint64_t> most:
        most = <Py_ssize_t> count
    s.path.count += 1
    step.name = NULL
    if item.kind == NUMBER and not item.is_signed:
        items = PyList_New(most)
        read_unsigned(s, item, items, most)
    else:
        items = read_items(s, item, step, most)
    s.path.count -= 1
    return items


cdef object read_array(fw_walk *s, const fw_op *op):
    """ARRAY, ARRAYED and ROW."""
    cdef uint64_t count = 0
    cdef Py_ssize_t left, size
    cdef unsigned width = op.item.width
    cdef array values
    if op.extent is NULL:
        read_number(s, op, &count)
    elif not read_count(s, op, &count):
        return None
    left = s.size - s.at
    if count > <uint64_t> (left // width):
        s.at += left // width * width
        s.path.steps[s.path.count].name = NULL
        s.path.steps[s.path.count].index = left // width
        s.path.count += 1
        too_short(s, width)
    size = <Py_ssize_t> count * width
    values = clone(<array> op.owner, <Py_ssize_t> count, False)
    if op.item.swaps:
        fw_swap(values.data.as_uchars, s.data + s.at, size, width)
    elif size:
        memcpy(values.data.as_uchars, s.data + s.at, size)
    s.at += size
    return values


cdef int pass_fixed(fw_walk *s, const fw_op *op) except -1:
    """CONST and PAD."""
    if op.least > s.size - s.at:
        too_short(s, op.least)
    if op.kind == CONST and memcmp(s.data + s.at, op.data, op.least) != 0:
        wrong(s, CONSTANT, s.at, op.data[:op.least], (s.data + s.at)[:op.least])
    s.at += op.least
    return 0


cdef object read_member(fw_walk *s, const fw_op *op):
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


# --- what sequences.py declares ---

cdef bint read_size(fw_walk *s, const fw_op *op, str unit, uint64_t *count) except -1:
    """Whether there is a value, and the number of its bytes or items."""
    cdef const fw_extent *extent = op.extent
    cdef Py_ssize_t at = s.at
    cdef uint64_t number = 0
    read_number(s, op, &number)
    if extent.nullable and number == extent.null:
        return False
    if (op.is_signed and <int64_t> number < 0) or number < extent.bias:
        wrong(s, -2, at)
    count[0] = number - extent.bias
    if count[0] > extent.most:
        wrong(s, LIMIT, at, f"{count[0]} {unit}", extent.most)
    return True


cdef bint read_count(fw_walk *s, const fw_op *op, uint64_t *count) except -1:
    """The same, of what has a number of items, on the wire or not."""
    if op.kind == REPEAT or op.kind == ROW:
        count[0] = <uint64_t> op.extent.count
        return True
    return read_size(s, op, "items", count)


cdef object decoded(fw_walk *s, const fw_op *op, Py_ssize_t at, Py_ssize_t size):
    """The text, or the bytes, of so many bytes."""
    cdef const char *p = <const char *> s.data + at
    cdef bytes name
    if op.extent.coding == AS_BYTES:
        return PyBytes_FromStringAndSize(p, size)
    try:
        if op.extent.coding == UTF8:
            return decode_utf8(p, size, NULL)
        if op.extent.coding == MUTF8:
            return _mutf8.decode(p[:size])
        name = (<str> op.label).encode()
        return PyUnicode_Decode(p, size, name, NULL)
    except UnicodeDecodeError as error:
        at += error.start
        wrong(s, TEXT, at, s.data[at], (<str> op.label).upper())


cdef object source_view(fw_walk *s):
    """The buffer that is read, as a view of bytes."""
    view = PyMemoryView_FromObject(<object> <PyObject *> s.source)
    if s.size == 0:
        return PyMemoryView_FromObject(b"")
    return view if view.ndim == 1 and view.format == "B" else view.cast("B")


cdef object read_sized(fw_walk *s, const fw_op *op):
    """TEXT_OF, BINARY and VIEW."""
    cdef uint64_t count = 0
    cdef Py_ssize_t i, at, size, left
    cdef unsigned rest, align = op.extent.align
    if not read_size(s, op, "bytes", &count):
        return None
    rest = <unsigned> (count % align)
    rest = align - rest if rest else 0
    at = s.at
    left = s.size - at
    if count > <uint64_t> left or rest > left - <Py_ssize_t> count:
        too_short(s, <object> count + rest)
    size = <Py_ssize_t> count
    for i in range(at + size, at + size + rest):
        if s.data[i]:
            wrong(s, PADDING, i, s.data[i])
    s.at += size + rest
    if op.kind == VIEW:
        return source_view(s)[at:at + size]
    return decoded(s, op, at, size)


cdef object read_cstr(fw_walk *s, const fw_op *op):
    cdef Py_ssize_t unit = op.extent.unit, begin = s.at, at = s.at
    cdef Py_ssize_t units = (s.size - at) // unit
    cdef uint64_t most = op.extent.most // op.extent.unit
    while at - begin < units * unit and <uint64_t> ((at - begin) // unit) <= most:
        if s.data[at] == 0 and s.data[at + unit - 1] == 0:
            s.at = at + unit
            return decoded(s, op, begin, at - begin)
        at += unit
    if most < <uint64_t> units:
        wrong(s, UNENDED, begin, op.extent.most)
    too_short(s, (units + 1) * unit)


cdef object read_fixed(fw_walk *s, const fw_op *op):
    cdef Py_ssize_t unit = op.extent.unit, begin = s.at, end = begin + op.least
    if op.least > s.size - begin:
        too_short(s, op.least)
    s.at = end
    while unit and end > begin and memcmp(s.data + end - unit, op.extent.pad, unit) == 0:
        end -= unit
    return decoded(s, op, begin, end - begin)


cdef object run_hook(fw_walk *s, const fw_op *op, Py_ssize_t *need):
    """The value, and behind it; or None and how many bytes it needs, more than there are."""
    cdef Py_ssize_t left = s.size - s.at
    cdef long long end = -1
    cdef int overflow = 0
    need[0] = op.least
    if op.least > left:
        return None
    try:
        made = (<tuple> <PyObject *> op.owner)[4](source_view(s)[:s.size], s.at)
    except EOFError:
        need[0] = left + 1
        return None
    told = made[1] if isinstance(made, tuple) and len(made) == 2 else None
    if PyLong_Check(told):
        end = PyLong_AsLongLongAndOverflow(told, &overflow)
    if overflow or end < s.at + op.least:
        wrong(s, HOOK, s.at, errors.shown_end(made), s.at + op.least)
    need[0] = 0
    if end > s.size:
        need[0] = end - s.at
        return None
    s.at = end
    return made[0]


cdef object read_codec(fw_walk *s, const fw_op *op):
    cdef Py_ssize_t need = 0
    value = run_hook(s, op, &need)
    if need:
        too_short(s, need)
    return value


cdef int skip_codec(const fw_op *op, fw_walk *s, Py_ssize_t *more) except -100:
    cdef Py_ssize_t need = 0
    run_hook(s, op, &need)
    if need:
        more[0] = need - (s.size - s.at)
        return FW_MORE
    return FW_FRAME


cdef object read_declared(fw_walk *s, const fw_op *op):
    cdef int kind = op.kind
    if kind == LISTED or kind == REPEAT:
        return read_list(s, op)
    if kind == ARRAYED or kind == ROW:
        return read_array(s, op)
    if kind == CSTR:
        return read_cstr(s, op)
    if kind == FIXED:
        return read_fixed(s, op)
    if kind == CODEC:
        return read_codec(s, op)
    return read_sized(s, op)


# --- what structure.py declares ---

cdef object read_bits(fw_walk *s, const fw_op *op):
    cdef uint64_t number
    if op.rule.first:
        s.word_at = s.at
        read_number(s, op, &s.word)
    number = s.word >> op.rule.shift & op.high
    if op.rule.flag:
        return number != 0
    value = PyLong_FromUnsignedLongLong(number)
    if op.label is NULL:
        return value
    member = (<dict> op.owner).get(value)
    if member is None and op.closed:
        wrong(s, MEMBER, s.word_at, value, <object> <PyObject *> op.label)
    return value if member is None else member


cdef object read_choice(fw_walk *s, const fw_op *op):
    cdef Py_ssize_t at = s.at
    cdef uint64_t tag = 0
    cdef const fw_shape *record
    read_number(s, op, &tag)
    record = fw_choose_record(op, tag)
    if record is NULL:
        number = PyLong_FromLongLong(<int64_t> tag) if op.is_signed else PyLong_FromUnsignedLongLong(tag)
        wrong(s, TAG, at, number)
    if s.path.depth >= DEPTH:
        wrong(s, DEEP, s.at, DEPTH)
    return read_record(<Shape> record.owner, s)


cdef object read_own_size(fw_walk *s, const fw_op *op):
    """How many bytes follow it in its record."""
    cdef Py_ssize_t at = s.at
    cdef uint64_t raw = 0
    read_number(s, op, &raw)
    number = PyLong_FromLongLong(<int64_t> raw) if op.is_signed else PyLong_FromUnsignedLongLong(raw)
    least = max(op.rule.plus, 0)
    if number < least:
        wrong(s, E_UNCOUNTED, at, number, least)
    return number - op.rule.plus


cdef object read_value(fw_walk *s, const fw_op *op):
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
        if s.path.depth >= DEPTH:
            wrong(s, DEEP, s.at, DEPTH)
        return read_record(<Shape> op.record.owner, s)
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
    if kind == BITS:
        return read_bits(s, op)
    if kind == ONEOF:
        return read_choice(s, op)
    if kind == SIZE:
        return read_own_size(s, op)
    if kind != REST:
        return read_declared(s, op)
    rest = PyBytes_FromStringAndSize(<const char *> s.data + s.at, s.size - s.at)
    s.at = s.size
    return rest


cdef inline PyObject *read_plainly(fw_walk *s, const fw_op *op) except? NULL:
    """The commonest, a plain int or a double, without a call: NULL, and nothing done, for all else."""
    cdef uint64_t bits
    cdef double number = 0.0
    if op.little or op.width > s.size - s.at:
        return NULL
    if op.kind == NUMBER:
        if not op.simple or op.is_signed:
            return NULL
        bits = load(s.data + s.at, op.width, False)
        s.at += op.width
        return new_int(bits)
    if op.kind != FLOAT or op.width != 8:
        return NULL
    bits = fw_load_be(s.data + s.at, 8)
    s.at += 8
    memcpy(&number, &bits, 8)
    return new_float(number)


cdef object read_record(Shape self, fw_walk *s):
    cdef bint hides
    if self.keep is None:
        lost()
    record = PyTuple_New(self.values) if self.is_row else PyType_GenericAlloc(<PyTypeObject *> self.cls, 0)
    # A hook that looks for all objects must not find a tuple with holes. What has one keeps something.
    hides = self.is_row and PyList_GET_SIZE(self.keep) > 0
    if hides:
        PyObject_GC_UnTrack(record)
    read_fields(self, s, <char *> <PyObject *> record)
    if hides:
        PyObject_GC_Track(record)
    return record


cdef int read_fields(Shape self, fw_walk *s, char *values) except -1:
    cdef fw_step *step = &s.path.steps[s.path.count]
    cdef const fw_op *op = self.ops
    cdef const fw_op *end = self.ops + self.table.count
    cdef PyObject *made
    s.path.depth += 1
    s.path.count += 1
    if self.table.structured:
        read_structured(self, s, step, values)
        op = end
    while op < end:
        step.name = op.name
        if op.slot:
            made = read_plainly(s, op)
            if made is NULL:
                value = read_value(s, op)
                Py_INCREF(value)
                made = <PyObject *> value
            (<PyObject **> (values + op.slot))[0] = made
        else:
            pass_fixed(s, op)
        op += 1
    s.path.count -= 1
    s.path.depth -= 1
    return 0


cdef bint is_there(Shape self, const fw_op *op, const char *values) except -1:
    """Whether the number that decides about a WHEN, which was read, says that there is a value."""
    cdef const fw_way *way = &self.table.ways[op.rule.note]
    cdef const fw_shape *shape = &self.table
    cdef const fw_op *at = NULL
    cdef PyObject *value = NULL
    cdef uint64_t bits
    cdef int i
    for i in range(way.count):
        at = &shape.ops[way.steps[i]]
        value = (<PyObject **> (values + at.slot))[0]
        if at.kind == WHEN:
            at = at.item
        if value is NULL or value == <PyObject *> None:
            return False
        shape, values = at.record, <const char *> value
        # A hook may have found the record and put something else there.
        if shape is not NULL and not PyObject_TypeCheck(
            <object> value, <PyTypeObject *> (<Shape> shape.owner).cls
        ):
            return False
    if not PyLong_Check(<object> value):
        return False
    bits = low_bits(value) & op.rule.mask
    return bits != 0 if op.rule.any else bits == op.rule.wanted


cdef object default_of(Shape self, Py_ssize_t i):
    value = self.defaults[i]
    return value[:] if isinstance(value, (list, bytearray)) or hasattr(value, "typecode") else value


cdef int bound(fw_walk *s, const fw_op *op) except -1:
    left = read_own_size(s, op)
    if left > s.size - s.at:
        too_short(s, left)
    s.size = s.at + <Py_ssize_t> left
    s.bounded = True
    return 0


cdef int read_structured(Shape self, fw_walk *s, fw_step *step, char *values) except -1:
    """The fields of a record some of which decide about others."""
    cdef Py_ssize_t i, size = s.size, last = self.table.count - 1
    cdef bint known = s.ends, ends = s.ends, bounded = s.bounded
    cdef const fw_op *op
    cdef const fw_op *inner
    cdef const fw_op *sized = NULL
    cdef PyObject **slot
    for i in range(self.table.count):
        op = inner = &self.ops[i]
        step.name = op.name
        if op.kind == SIZE:
            bound(s, op)
            sized, known = op, True
            continue
        value = None
        if op.kind == WHEN:
            inner = op.item
        if op.kind != WHEN or is_there(self, op, values):
            s.ends = known and i == last and (inner.kind == RECORD or inner.kind == ONEOF)
            if (
                known and s.at == s.size and fw_may_lack(&self.table, i)
                and (op.kind != BITS or op.rule.first or s.word_at < 0)
            ):
                s.word_at = -1
                value = default_of(self, i) if op.slot else None
            elif op.slot:
                value = read_value(s, inner)
            else:
                pass_fixed(s, op)
        if op.slot:
            slot = <PyObject **> (values + op.slot)
            Py_INCREF(value)
            slot[0] = <PyObject *> value
    if known and self.table.extensible:
        s.at = s.size
    elif sized is not NULL and s.at != s.size:
        step.name = sized.name
        wrong(s, E_UNFILLED, s.at, s.size - s.at)
    s.size, s.ends, s.bounded = size, ends, bounded
    return 0


cdef Py_ssize_t missing(Shape self, fw_walk *s) except -1:
    """How many bytes the record at s.at lacks at least; 0 if it is whole."""
    cdef Py_ssize_t more = 0
    cdef const fw_op *bad = NULL
    cdef int status
    if self.keep is None:
        lost()
    s.hook = skip_codec
    status = fw_skip_record(&self.table, s, &more, &bad)
    fw_is_raised(status)
    if status == FW_MORE:
        return more
    if status == CRAMPED:
        wrong(s, E_CRAMPED, s.at, more)
    if status == UNFILLED:
        wrong(s, E_UNFILLED, s.at, more)
    if status != FW_FRAME:
        if bad.kind == BITS:
            s.at = s.word_at
        read_value(s, bad) if bad.kind != CONST else pass_fixed(s, bad)
        raise AssertionError("what the walk found wrong was read")
    return 0
