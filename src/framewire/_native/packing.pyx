# cython: language_level=3, auto_pickle=False, autotestdict=False, binding=False
"""Writing records in C: a loop over the op table, and the twin of `_pure.packing`.

Bytes go to 1 KiB of stack, then to the heap, and to their destination once all is well: a refused record
has changed nothing. User code (`__index__`, `__float__`) may run while a list is written, so the list is
looked at anew for each item, and every value is held while it is in use.
"""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_SIMPLE, PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_AsDouble, PyFloat_Check, PyFloat_CheckExact
from cpython.list cimport PyList_Check, PyList_GET_ITEM
from cpython.long cimport PyLong_Check, PyLong_CheckExact
from cpython.mem cimport PyMem_Realloc
from cpython.number cimport PyIndex_Check, PyNumber_Index
from cpython.object cimport PyObject, PyTypeObject
from cpython.tuple cimport PyTuple_Check, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_Check
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memmove, memset

from ._csrc cimport fw_field
from ._output cimport Output, fw_step
from ._python cimport PyFloat_Pack2, PyFloat_Pack4, PyList_GET_SIZE, fw_small_int
from .shape cimport (
    ARRAY, ARRAYED, AS_BYTES, BITS, BOOL, BYTES, CODEC, CONST, CSTR, DEPTH, ENUM, FIXED, FLOAT, LATIN1,
    LIST, LISTED, MUTF8, NUMBER, ONEOF, RECORD, REPEAT, REST, ROW, SIZE, STR, WHEN, Shape, fw_extent,
    fw_op, fw_shape, fw_way, lost, parts, wrong_range, wrong_size, wrong_type,
)

from .. import _mutf8, errors

__all__ = []

cdef enum:
    LEB128 = 2          # LengthType.spec
    ZIGZAG = 10

cdef extern from "fw_field.h" nogil:
    bint fw_host_big()
    void fw_store_be(uint8_t *p, unsigned width, uint64_t value)
    void fw_store_le(uint8_t *p, unsigned width, uint64_t value)
    unsigned fw_form_count(const fw_field *f)
    uint64_t fw_zigzag(uint64_t value)
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
    const char *as_utf8 "PyUnicode_AsUTF8AndSize"(object, Py_ssize_t *) except NULL
    bint PyUnicode_IS_ASCII "PyUnicode_IS_COMPACT_ASCII"(object)
    PyObject **PySequence_Fast_ITEMS(object)
    bint PyObject_TypeCheck(object, PyTypeObject *)
    ctypedef struct PyFloatObject:
        double ob_fval
    long long PyLong_AsLongLongAndOverflow(object, int *overflow) except? -1
    unsigned long long PyLong_AsUnsignedLongLong(object)
    unsigned long long low_bits "PyLong_AsUnsignedLongLongMask"(object) except? 0xffffffff

cdef int grow(Output *s, Py_ssize_t size) except -1:
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


cdef inline uint8_t *reserve(Output *s, Py_ssize_t size) except NULL:
    """Where `size` more bytes are to be written."""
    if size > s.room - s.used:
        grow(s, size)
    s.used += size
    return s.out + s.used - size


cdef int put(Output *s, const void *data, Py_ssize_t size) except -1:
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


cdef int put_number(Output *s, const fw_op *op, uint64_t value) except -1:
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
    if op.field.kind == ZIGZAG:
        return put(s, small, store_leb128(small, fw_zigzag(value)))
    for form in range(fw_form_count(op.field)):
        if fw_write_form(op.field, form, value, 0, small):
            put(s, small, fw_form_width(op.field, form))
            return 0
    wrong_range(s, op, value)


cdef object as_int(Output *s, object value):
    """The value, or its `__index__`, as an int that is no subclass's."""
    if not PyLong_Check(value):
        if not PyIndex_Check(value):
            wrong_type(s, "an int", value)
        value = PyNumber_Index(value)
    return value if PyLong_CheckExact(value) else int.__index__(value)


cdef int write_member(Output *s, const fw_op *op, object value) except -1:
    value = as_int(s, value)
    if op.closed and value not in <dict> op.owner:
        raise errors.record_member(<object> s.path.record, parts(&s.path), value, <object> op.label)
    return write_number(s, op, value)


cdef int write_number(Output *s, const fw_op *op, object value) except -1:
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


cdef double as_double(Output *s, const fw_op *op, object value) except? -1:
    cls = type(value)
    if not (PyLong_Check(value) or hasattr(cls, "__float__") or hasattr(cls, "__index__")):
        wrong_type(s, "a float", value)
    try:
        return float(value)
    except OverflowError:
        if not PyLong_Check(value):
            raise
    raise errors.record_float(<object> s.path.record, parts(&s.path), op.width)


cdef int write_float(Output *s, const fw_op *op, object value) except -1:
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
        raise errors.record_float(<object> s.path.record, parts(&s.path), op.width)
    return 0


cdef int take_buffer(Output *s, object value, Py_buffer *view) except -1:
    if try_buffer(value, view, PyBUF_SIMPLE) < 0:
        PyErr_Clear()
        wrong_type(s, "a contiguous buffer", value)
    return 0


cdef int write_text(Output *s, const fw_op *op, object value) except -1:
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
            raise errors.record_text(<object> s.path.record, parts(&s.path), error) from None
        p = PyBytes_AS_STRING(encoded)
        size = PyBytes_GET_SIZE(encoded)
    if <uint64_t> size > op.high:
        wrong_size(s, op.high, size, "bytes")
    put_number(s, op, <uint64_t> size)
    return put(s, p, size)


cdef int write_bytes(Output *s, const fw_op *op, object value) except -1:
    """BYTES and REST."""
    cdef Py_buffer view
    take_buffer(s, value, &view)
    try:
        if op.kind == BYTES:
            if <uint64_t> view.len > op.high:
                wrong_size(s, op.high, view.len, "bytes")
            put_number(s, op, <uint64_t> view.len)
        put(s, view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return 0


cdef Py_ssize_t write_small_ints(Output *s, const fw_op *op, PyObject **items, Py_ssize_t count) except -1:
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


cdef int put_count(Output *s, const fw_op *op, Py_ssize_t count) except -1:
    """The number of items in front, if there can be so many."""
    cdef const fw_extent *extent = op.extent
    if extent is NULL:
        if <uint64_t> count > op.high:
            wrong_size(s, op.high, count, "items")
        return put_number(s, op, <uint64_t> count)
    if op.kind == REPEAT or op.kind == ROW:
        if count != extent.count:
            raise errors.record_exact(<object> s.path.record, parts(&s.path), count, extent.count, "items")
        return 0
    if <uint64_t> count > extent.most:
        wrong_size(s, extent.most, count, "items")
    return put_number(s, op, <uint64_t> count + extent.bias)


cdef int write_list(Output *s, const fw_op *op, object value) except -1:
    """Lists, and arrays out of a list."""
    cdef bint is_list = PyList_Check(value)
    cdef Py_ssize_t i, count, done
    cdef fw_step *step = &s.path.steps[s.path.count]
    if not is_list and not PyTuple_Check(value):
        wrong_type(s, "a list or a tuple", value)
    count = PyList_GET_SIZE(value) if is_list else PyTuple_GET_SIZE(value)
    put_count(s, op, count)
    step.name = NULL
    s.path.count += 1
    done = write_small_ints(s, op.item, PySequence_Fast_ITEMS(value), count)
    for i in range(done, count):
        if is_list and PyList_GET_SIZE(value) != count:
            break
        step.index = i
        item = <object> (PyList_GET_ITEM(value, i) if is_list else PyTuple_GET_ITEM(value, i))
        write_value(s, op.item, item)
    s.path.count -= 1
    if is_list and PyList_GET_SIZE(value) != count:
        raise errors.record_changed(<object> s.path.record, parts(&s.path))
    return 0


cdef bint fits(const fw_op *op, const char *format) noexcept:
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


cdef int write_array(Output *s, const fw_op *op, object value) except -1:
    cdef unsigned width = op.item.width
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
            raise errors.record_items(<object> s.path.record, parts(&s.path), typecode, value)
        put_count(s, op, view.len // width)
        p = reserve(s, view.len)
        if op.item.swaps:
            fw_swap(p, <const uint8_t *> view.buf, view.len, width)
        else:
            memcpy(p, view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return 0


# --- what sequences.py declares ---

cdef object encoded(Output *s, const fw_op *op, object value):
    """What holds the bytes of the text: itself if they are all there, or bytes."""
    cdef int coding = op.extent.coding
    cdef Py_ssize_t size = 0
    cdef const char *p
    if not PyUnicode_Check(value):
        wrong_type(s, "a str", value)
    if PyUnicode_IS_ASCII(value) and coding <= MUTF8:
        p = as_utf8(value, &size)
        if coding <= LATIN1 or memchr(p, 0, size) is NULL:
            return value
    try:
        # A subclass may give other answers than the text that it is.
        return _mutf8.encode(str.__str__(value)) if coding == MUTF8 else str.encode(value, <str> op.label)
    except UnicodeEncodeError as error:
        name = (<str> op.label).upper()
        raise errors.record_text(<object> s.path.record, parts(&s.path), error, name) from None


cdef int put_bytes(Output *s, const fw_op *op, const char *p, Py_ssize_t size) except -1:
    """The bytes of TEXT_OF, BINARY, VIEW, CSTR or FIXED with what belongs around them."""
    cdef const fw_extent *extent = op.extent
    cdef Py_ssize_t rest
    if op.kind == CSTR:
        return put_cstr(s, op, p, size)
    if op.kind == FIXED:
        return put_fixed(s, op, p, size)
    if <uint64_t> size > extent.most:
        wrong_size(s, extent.most, size, "bytes")
    put_number(s, op, <uint64_t> size + extent.bias)
    put(s, p, size)
    rest = size % extent.align
    if rest:
        memset(reserve(s, extent.align - rest), 0, extent.align - rest)
    return 0


cdef int put_cstr(Output *s, const fw_op *op, const char *p, Py_ssize_t size) except -1:
    cdef Py_ssize_t i, unit = op.extent.unit
    if <uint64_t> size > op.extent.most:
        wrong_size(s, op.extent.most, size, "bytes")
    for i in range(0, size - unit + 1, unit):
        if p[i] == 0 and p[i + unit - 1] == 0:
            raise errors.record_nul(<object> s.path.record, parts(&s.path), i)
    put(s, p, size)
    memset(reserve(s, unit), 0, unit)
    return 0


cdef int put_fixed(Output *s, const fw_op *op, const char *p, Py_ssize_t size) except -1:
    cdef const fw_extent *extent = op.extent
    cdef Py_ssize_t unit = extent.unit
    if unit == 0 and size != op.least:
        raise errors.record_exact(<object> s.path.record, parts(&s.path), size, op.least, "bytes")
    if size > op.least:
        wrong_size(s, op.least, size, "bytes")
    if unit and size >= unit and memcmp(p + size - unit, extent.pad, unit) == 0:
        raise errors.record_padded(<object> s.path.record, parts(&s.path), extent.pad[:unit])
    put(s, p, size)
    while size < op.least:
        put(s, extent.pad, unit)
        size += unit
    return 0


cdef int write_sized(Output *s, const fw_op *op, object value) except -1:
    """Text or bytes: TEXT_OF, BINARY, VIEW, CSTR, FIXED."""
    cdef Py_buffer view
    cdef Py_ssize_t size = 0
    cdef const char *p
    if op.extent.coding != AS_BYTES:
        made = encoded(s, op, value)
        if PyUnicode_Check(made):
            p = as_utf8(made, &size)
            return put_bytes(s, op, p, size)
        return put_bytes(s, op, PyBytes_AS_STRING(made), PyBytes_GET_SIZE(made))
    take_buffer(s, value, &view)
    try:
        put_bytes(s, op, <const char *> view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return 0


cdef int write_codec(Output *s, const fw_op *op, object value) except -1:
    made = (<tuple> <PyObject *> op.owner)[3](value)
    if not isinstance(made, bytes) or PyBytes_GET_SIZE(made) < op.least:
        raise errors.record_hook(<object> s.path.record, parts(&s.path), made, op.least)
    return put(s, PyBytes_AS_STRING(made), PyBytes_GET_SIZE(made))


cdef inline bint has_null(const fw_op *op) noexcept:
    """Whether None can be written."""
    return op.extent is not NULL and op.extent.nullable


cdef int write_declared(Output *s, const fw_op *op, object value) except -1:
    cdef int kind = op.kind
    if value is None and has_null(op):
        return put_number(s, op, op.extent.null)
    if kind == LISTED or kind == REPEAT:
        return write_list(s, op, value)
    if kind == ARRAYED or kind == ROW:
        return write_array(s, op, value)
    if kind == CODEC:
        return write_codec(s, op, value)
    return write_sized(s, op, value)


# --- what structure.py declares ---

cdef int write_bits(Output *s, const fw_op *op, object value) except -1:
    cdef uint64_t number
    if op.rule.first:
        s.word = 0
    if op.rule.flag:
        if value is not True and value is not False:
            wrong_type(s, "a bool", value)
        number = value is True
    else:
        value = as_int(s, value)
        if op.label is not NULL and op.closed and value not in <dict> op.owner:
            label = <object> <PyObject *> op.label
            raise errors.record_member(<object> s.path.record, parts(&s.path), value, label)
        if not 0 <= value <= op.high:
            raise errors.record_range(<object> s.path.record, parts(&s.path), value, 0, op.high)
        number = value
    s.word |= number << op.rule.shift
    if op.rule.last:
        put_number(s, op, s.word)
    return 0


cdef int write_choice(Output *s, const fw_op *op, object value) except -1:
    cdef size_t i
    cdef const fw_shape *record
    for i in range(op.rule.choice_count):
        record = op.rule.choices[i].record
        if (<Shape> record.owner).cls is type(value):
            put_number(s, op, op.rule.choices[i].tag)
            if s.path.depth >= DEPTH:
                raise errors.record_deep(<object> s.path.record, parts(&s.path))
            return write_record(<Shape> record.owner, s, value)
    return wrong_type(s, f"one of {<object> <PyObject *> op.label}", value)


cdef int write_value(Output *s, const fw_op *op, object value) except -1:
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
        if not PyObject_TypeCheck(value, <PyTypeObject *> (<Shape> op.record.owner).cls):
            wrong_type(s, f"a {(<Shape> op.record.owner).name}", value)
        if (<Shape> op.record.owner).is_row and PyTuple_GET_SIZE(value) != (<Shape> op.record.owner).values:
            count = (<Shape> op.record.owner).values
            raise errors.record_values(<object> s.path.record, parts(&s.path), count, PyTuple_GET_SIZE(value))
        if s.path.depth >= DEPTH:
            raise errors.record_deep(<object> s.path.record, parts(&s.path))
        return write_record(<Shape> op.record.owner, s, value)
    if kind == LIST:
        return write_list(s, op, value)
    if kind == ARRAY:
        return write_array(s, op, value)
    if kind == ENUM:
        return write_member(s, op, value)
    if kind == BITS:
        return write_bits(s, op, value)
    if kind == ONEOF:
        return write_choice(s, op, value)
    if kind != BOOL:
        return write_declared(s, op, value)
    if value is not True and value is not False:
        wrong_type(s, "a bool", value)
    reserve(s, 1)[0] = value is True
    return 0


cdef inline bint write_plainly(Output *s, const fw_op *op, PyObject *value) except -1:
    """The commonest, a plain int or a double, without a call: False, and nothing done, for all else."""
    cdef uint64_t number = 0
    cdef uint8_t *p
    if op.kind == NUMBER:
        if not (op.simple and PyLong_CheckExact(<object> value)):
            return False
        if not fw_small_int(<object> value, &number) or number > op.high or op.little:
            return False
        store_big(reserve(s, op.width), op.width, number)
        return True
    if op.kind != FLOAT or op.width != 8 or op.little or not PyFloat_CheckExact(<object> value):
        return False
    p = reserve(s, 8)
    memcpy(&number, &(<PyFloatObject *> value).ob_fval, 8)
    fw_store_be(p, 8, number)
    return True


cdef int write_record(Shape self, Output *s, object record) except -1:
    return write_fields(self, s, <char *> <PyObject *> record)


cdef int write_fields(Shape self, Output *s, char *values) except -1:
    cdef fw_step *step = &s.path.steps[s.path.count]
    cdef const fw_op *op = self.ops
    cdef const fw_op *end = self.ops + self.table.count
    cdef PyObject *value
    if self.keep is None:
        lost()
    s.path.depth += 1
    s.path.count += 1
    if self.table.structured:
        write_structured(self, s, step, <object> <PyObject *> values)
        op = end
    while op < end:
        step.name = op.name
        if op.slot:
            value = (<PyObject **> (values + op.slot))[0]
            if value is NULL:
                raise errors.record_unset(<object> s.path.record, parts(&s.path))
            if not write_plainly(s, op, value):
                held = <object> value
                write_value(s, op, held)
        elif op.kind == CONST:
            put(s, op.data, op.least)
        else:
            memset(reserve(s, op.least), 0, op.least)
        op += 1
    s.path.count -= 1
    s.path.depth -= 1
    return 0


cdef bint is_there(Shape self, Output *s, const fw_op *op, object record) except -1:
    """Whether the number that decides about a WHEN says that there is a value."""
    cdef const fw_way *way = &self.table.ways[op.rule.note]
    cdef const fw_shape *shape = &self.table
    cdef const fw_op *at = NULL
    cdef PyObject *slot
    cdef uint64_t bits
    cdef int i
    value = record
    for i in range(way.count):
        # The user's own code may have changed what was written already.
        at = &shape.ops[way.steps[i]]
        slot = NULL
        if PyObject_TypeCheck(value, <PyTypeObject *> (<Shape> shape.owner).cls):
            slot = (<PyObject **> (<char *> <PyObject *> value + at.slot))[0]
        if slot is NULL:
            raise errors.record_unset(<object> s.path.record, parts(&s.path))
        value = <object> slot
        if value is None:
            return False
        if at.kind == WHEN:
            at = at.item
        shape = at.record
    bits = low_bits(as_int(s, value)) & op.rule.mask
    return bits != 0 if op.rule.any else bits == op.rule.wanted


cdef int write_size(Output *s, const fw_op *op, Py_ssize_t mark) except -1:
    """The size of what was written from `mark` on, in front of it."""
    cdef uint8_t head[48]
    cdef Py_ssize_t width, count = s.used - mark
    cdef int64_t number = count + op.rule.plus
    if number < 0:
        raise errors.record_range(<object> s.path.record, parts(&s.path), number, 0, op.high)
    if <uint64_t> number > op.high:
        high = <object> op.high - op.rule.plus
        raise errors.record_size(<object> s.path.record, parts(&s.path), count, high, "bytes")
    put_number(s, op, <uint64_t> number)
    width = s.used - mark - count
    memcpy(head, s.out + mark + count, width)
    memmove(s.out + mark + width, s.out + mark, count)
    memcpy(s.out + mark, head, width)
    return 0


cdef int write_structured(Shape self, Output *s, fw_step *step, object record) except -1:
    """The fields of a record some of which decide about others."""
    cdef Py_ssize_t i, mark = 0
    cdef const fw_op *op
    cdef const fw_op *sized = NULL
    cdef PyObject *value
    for i in range(self.table.count):
        op = &self.ops[i]
        step.name = op.name
        if op.kind == SIZE:
            sized, mark = op, s.used
        elif op.slot:
            value = (<PyObject **> (<char *> <PyObject *> record + op.slot))[0]
            if value is NULL:
                raise errors.record_unset(<object> s.path.record, parts(&s.path))
            held = <object> value
            if op.kind != WHEN:
                write_value(s, op, held)
            elif is_there(self, s, op, record):
                if held is None and not has_null(op.item):
                    label = <object> <PyObject *> op.label
                    raise errors.record_promised(<object> s.path.record, parts(&s.path), label)
                write_value(s, op.item, held)
            elif held is not None:
                label = <object> <PyObject *> op.label
                raise errors.record_denied(<object> s.path.record, parts(&s.path), label, held)
        elif op.kind == CONST:
            put(s, op.data, op.least)
        else:
            memset(reserve(s, op.least), 0, op.least)
    if sized is not NULL:
        step.name = sized.name
        write_size(s, sized, mark)
    return 0


cdef int write_whole(Shape self, Output *s, object record) except -1:
    if not PyObject_TypeCheck(record, <PyTypeObject *> self.cls):
        raise TypeError(f"a {self.name} is needed, not {type(record).__name__}")
    return write_record(self, s, record)
