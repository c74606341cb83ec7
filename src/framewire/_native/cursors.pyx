# cython: language_level=3, auto_pickle=False, autotestdict=False, binding=False
# cython: embedsignature=True, embedsignature.format=clinic
"""Cursors in C: reading and writing one value after the other; the twin of `_pure.cursors`.

The methods of the public classes, one for each field type, are objects of their own, because a C function
cannot know for which type it is called. The interpreter calls them as it calls its own methods: without a
bound method, with the arguments where they are.
What is written goes to the C stack first, so that user code (`__index__`) never sees the buffer in between.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free
from cpython.number cimport PyNumber_Index
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memmove, memset

from .packing cimport SMALL, begin_write, write_fields, write_whole
from .shape cimport SHORT, Output, Shape, fw_walk, item_slot, lost
from .unpacking cimport begin_read, read_fields, read_record

from .. import errors

__all__ = ["ReadMethod", "Reader", "WriteMethod", "Writer"]

cdef extern from "Python.h":
    void Py_DECREF(PyObject *)
    object PyMethod_New(object, object)
    Py_ssize_t PyVectorcall_NARGS(size_t)

cdef extern from *:
    """
    /* Have the interpreter call instances of the type by the function that each has at `offset`, as methods. */
    static void fw_make_methods(PyTypeObject *type, Py_ssize_t offset)
    {
        type->tp_vectorcall_offset = offset;
        type->tp_call = PyVectorcall_Call;
        type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR;
        PyType_Modified(type);
    }
    """
    void fw_make_methods(PyTypeObject *, Py_ssize_t)


cdef class Reader:
    """Reads one value after the other out of a buffer, which it holds."""

    cdef Py_buffer held
    cdef object source      # a view of all its bytes
    cdef Py_ssize_t at

    def __init__(self, buffer):
        if self.source is not None:
            raise RuntimeError("a Reader has one buffer")
        PyObject_GetBuffer(buffer, &self.held, PyBUF_SIMPLE)
        self.source = memoryview(buffer).cast("B") if self.held.len else memoryview(b"")

    def __dealloc__(self):
        PyBuffer_Release(&self.held)

    def tell(self):
        """Where the next value is read, in bytes from the beginning of the buffer."""
        return self.at

    def seek(self, offset):
        """Read on at `offset`; IndexError, and no change, if it is not in the buffer."""
        offset = PyNumber_Index(offset)
        if not 0 <= offset <= self.held.len:
            raise errors.bad_offset(offset, self.held.len)
        self.at = offset

    @property
    def remaining(self):
        """How many bytes are left."""
        return self.held.len - self.at

    def view(self, count):
        """The next `count` bytes, as a view of the buffer: no copy. Errors as of `bytes`."""
        start = taken(self, count, "view")
        return self.source[start:self.at]

    def read_by(self, Shape shape not None):
        """The next record of a record class's program, or value of a Row with one type."""
        return read(self, shape)

    def take(self, count):
        """The next `count` bytes; RecordError if fewer are left, ValueError for a negative count."""
        start = taken(self, count, "bytes")
        return PyBytes_FromStringAndSize(<const char *> self.held.buf + <Py_ssize_t> start, self.at - start)


cdef object taken(Reader self, object count, str call):
    """Where the next `count` bytes begin, which are passed over."""
    cdef Py_ssize_t start = self.at
    count = PyNumber_Index(count)
    if count < 0:
        raise errors.bad_count(count)
    if count > self.held.len - start:
        raise errors.record_fault(SHORT, "Reader", (call,), start, count, self.held.len - start)
    self.at = start + count
    return start


cdef object read(Reader self, Shape shape):
    cdef fw_walk s
    cdef PyObject *value = NULL
    if shape.keep is None:
        lost()
    begin_read(shape, &s, self.source, <const char *> self.held.buf, self.held.len)
    s.at = self.at
    if not shape.is_row:
        result = read_record(shape, &s)
    else:
        read_fields(shape, &s, <char *> &value - item_slot(0))
        result = <object> value
        Py_DECREF(value)
    self.at = s.at
    return result


cdef class Writer:
    """Writes one value after the other, into memory that grows."""

    cdef bytearray room
    cdef Py_ssize_t used

    def __cinit__(self):
        self.room = bytearray()

    def __init__(self, capacity=0):
        capacity = PyNumber_Index(capacity)
        if capacity < 0:
            raise errors.bad_count(capacity)
        self.room, self.used = bytearray(capacity), 0

    def tell(self):
        """How many bytes are written."""
        return self.used

    def getvalue(self):
        """What is written, as bytes."""
        return PyBytes_FromStringAndSize(PyByteArray_AS_STRING(self.room), self.used)

    def getbuffer(self):
        """What is written, as a writable view: no copy. While there is one, a write that needs more memory is
        BufferError."""
        return memoryview(self.room)[:self.used]

    def write_by(self, Shape shape not None, value):
        """Write a record by its class's program, or a value by a Row with one type."""
        write(self, shape, <PyObject *> value)

    def replace(self, Py_ssize_t start, Py_ssize_t stop, bytes data not None):
        """Put bytes in place of those from `start` to `stop`; what stands behind moves."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef char *p
        if not 0 <= start <= stop <= self.used:
            raise errors.bad_offset(stop, self.used)
        reserve(self, size - (stop - start))
        p = PyByteArray_AS_STRING(self.room) + start
        memmove(p + size, p + (stop - start), self.used - stop)
        memcpy(p, PyBytes_AS_STRING(data), size)
        self.used += size - (stop - start)

    def add(self, data):
        """Write the bytes of a buffer as they are."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            append(self, view.buf, view.len)
        finally:
            PyBuffer_Release(&view)


cdef int reserve(Writer self, Py_ssize_t size) except -1:
    """Have room for so many more bytes."""
    cdef Py_ssize_t room = PyByteArray_GET_SIZE(self.room)
    if size > room - self.used:
        PyByteArray_Resize(self.room, max(2 * room, self.used + size))
        memset(PyByteArray_AS_STRING(self.room) + room, 0, PyByteArray_GET_SIZE(self.room) - room)
    return 0


cdef int append(Writer self, const void *data, Py_ssize_t size) except -1:
    reserve(self, size)
    memcpy(PyByteArray_AS_STRING(self.room) + self.used, data, size)
    self.used += size
    return 0


cdef int write(Writer self, Shape shape, PyObject *value) except -1:
    cdef Output s
    cdef uint8_t small[SMALL]
    if shape.keep is None:
        lost()
    begin_write(shape, &s, small)
    try:
        if shape.is_row:
            write_fields(shape, &s, <char *> &value - item_slot(0))
        else:
            write_whole(shape, &s, <object> value)
        append(self, s.out, s.used)
    finally:
        PyMem_Free(s.heap)
    return 0


# --- methods --------------------------------------------------------------------------------------------

cdef class Method:
    cdef void *call
    cdef Shape shape
    cdef str name

    def __cinit__(self, str name not None, Shape shape not None):
        self.name = name
        self.shape = shape

    def __get__(self, instance, owner):
        return self if instance is None else PyMethod_New(self, instance)

    def __repr__(self):
        return f"<method {self.name!r}>"

    @property
    def __name__(self):
        return self.name


@cython.final
cdef class ReadMethod(Method):
    """A method of readers: the next value, of the type that it is named after."""

    def __cinit__(self, name, shape):
        self.call = <void *> read_one


@cython.final
cdef class WriteMethod(Method):
    """A method of writers: write a value of the type that it is named after."""

    def __cinit__(self, name, shape):
        self.call = <void *> write_one


cdef object read_one(ReadMethod self, PyObject **args, size_t flags, PyObject *names):
    if PyVectorcall_NARGS(flags) != 1 or names is not NULL or not isinstance(<object> args[0], Reader):
        raise errors.method_arguments("Reader", self.name, 0)
    return read(<Reader> args[0], self.shape)


cdef object write_one(WriteMethod self, PyObject **args, size_t flags, PyObject *names):
    if PyVectorcall_NARGS(flags) != 2 or names is not NULL or not isinstance(<object> args[0], Writer):
        raise errors.method_arguments("Writer", self.name, 1)
    write(<Writer> args[0], self.shape, args[1])


cdef Py_ssize_t call_offset() except -1:
    cdef ReadMethod one = ReadMethod("", Shape("", tuple))
    return <char *> &one.call - <char *> <PyObject *> one


fw_make_methods(<PyTypeObject *> ReadMethod, call_offset())
fw_make_methods(<PyTypeObject *> WriteMethod, call_offset())
