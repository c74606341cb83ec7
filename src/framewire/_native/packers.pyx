# cython: language_level=3, auto_pickle=False, autotestdict=False, binding=False
# cython: embedsignature=True, embedsignature.format=clinic
"""Records without a class, in C: values from the arguments of a call, and into a tuple; the twin of
`_pure.packers`.

The op table is that of a record whose instances are tuples. What is packed stands in the caller's arguments,
which look like the items of a tuple from where its header would be.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.mem cimport PyMem_Free
from cpython.number cimport PyNumber_Index
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from ._output cimport Output, SMALL, begin_write
from ._python cimport METH_FASTCALL, METH_O, PyMethodDef, fw_add_method
from .packing cimport write_fields
from .shape cimport BEHIND, Shape, fw_walk, item_slot, lost, wrong
from .unpacking cimport begin_read, missing, read_record

from .. import errors

__all__ = ["Row"]

cdef extern from "Python.h":
    void PyErr_Clear()
    # Not the cimported one: this leaves its exception to be looked at.
    int try_buffer "PyObject_GetBuffer"(object, Py_buffer *, int)


cdef class Row(Shape):
    """Values in a row, `name` in errors; `fields` are (name or number, type)."""

    def __init__(self, str name not None, tuple fields not None):
        Shape.__init__(self, name, tuple)
        self.fill_table(fields, False, -1, ())

    @property
    def program(self):
        """What the type of a field that is such a row has of it."""
        return self

    def unpack_from(self, data, offset=0):
        """(the values at `offset` as a tuple, where they end); RecordError, IndexError for a bad offset."""
        cdef fw_walk s
        cdef Py_buffer view
        offset = PyNumber_Index(offset)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            begin_read(self, &s, data, <const char *> view.buf, view.len)
            s.at = checked(offset, view.len)
            values = read_record(self, &s)
            return values, s.at
        finally:
            PyBuffer_Release(&view)

    def missing(self, data, offset=0):
        """How many bytes the values at `offset` lack at least, 0 if they are whole; errors as unpack_from."""
        cdef fw_walk s
        cdef Py_buffer view
        offset = PyNumber_Index(offset)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            begin_read(self, &s, data, <const char *> view.buf, view.len)
            s.at = checked(offset, view.len)
            return missing(self, &s)
        finally:
            PyBuffer_Release(&view)


cdef Py_ssize_t checked(object offset, Py_ssize_t size) except -1:
    if not 0 <= offset <= size:
        raise errors.bad_offset(offset, size)
    return offset


cdef inline object read_whole(Row self, object source, const char *data, Py_ssize_t size):
    cdef fw_walk s
    begin_read(self, &s, source, data, size)
    values = read_record(self, &s)
    if s.at != s.size:
        wrong(&s, BEHIND, s.at, s.size - s.at)
    return values


cdef object unpack(Row self, object data):
    cdef Py_buffer view
    if PyBytes_CheckExact(data):
        return read_whole(self, data, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return read_whole(self, data, <const char *> view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


cdef inline int write_row(Row self, Output *s, uint8_t *small, PyObject **values) except -1:
    if self.keep is None:
        lost()
    begin_write(<PyObject *> self.name, s, small)
    return write_fields(self, s, <char *> values - item_slot(0))


cdef object pack(Row self, PyObject **values, Py_ssize_t count):
    cdef Output s
    cdef uint8_t small[SMALL]
    if count != self.values:
        raise errors.row_count(self.name, "pack", self.values, count)
    s.heap = NULL
    try:
        write_row(self, &s, small, values)
        return PyBytes_FromStringAndSize(<const char *> s.out, s.used)
    finally:
        PyMem_Free(s.heap)


cdef object pack_into(Row self, PyObject **args, Py_ssize_t count):
    cdef Output s
    cdef uint8_t small[SMALL]
    cdef Py_buffer view
    cdef Py_ssize_t at
    if count - 2 != self.values:
        raise errors.row_count(self.name, "pack_into", self.values + 2, count)
    offset = PyNumber_Index(<object> args[1])
    s.heap = NULL
    try:
        write_row(self, &s, small, args + 2)
        if try_buffer(<object> args[0], &view, PyBUF_WRITABLE) < 0:
            PyErr_Clear()
            PyObject_GetBuffer(<object> args[0], &view, PyBUF_SIMPLE)
            PyBuffer_Release(&view)
            raise TypeError(f"pack_into: the buffer is read-only ({type(<object> args[0]).__name__})")
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


cdef PyMethodDef[3] METHODS


cdef int add(int i, const char *name, void *call, int flags, const char *text) except -1:
    METHODS[i].ml_name, METHODS[i].ml_meth, METHODS[i].ml_flags, METHODS[i].ml_doc = name, call, flags, text
    return fw_add_method(<PyTypeObject *> Row, &METHODS[i])


add(0, "pack", <void *> pack, METH_FASTCALL, b"""pack($self, /, *values)
--

The values as bytes. EncodeError names one that cannot be packed; TypeError for a wrong number.""")
add(1, "pack_into", <void *> pack_into, METH_FASTCALL, b"""pack_into($self, /, *arguments)
--

Given a writable buffer, an offset and values, pack these into the buffer; returns where they end.

Errors as of `pack`; BufferError if they do not fit, IndexError if the offset is not in the buffer,
TypeError if that is read-only. After an error nothing was written.""")
add(2, "unpack", <void *> unpack, METH_O, b"""unpack($self, data, /)
--

The values that `data` is, as a tuple. RecordError if it is no such row, or has more bytes.""")
