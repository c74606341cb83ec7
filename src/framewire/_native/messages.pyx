# cython: language_level=3, auto_pickle=False, autotestdict=False, binding=False
# cython: embedsignature=True, embedsignature.format=clinic
"""Messages of several record classes in C, behind a tag: the twin of `_pure.messages`.

A connection calls `write`, which packs into memory of its own. A class is lowered when it is first met, as it
may name another one that is declared behind it.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.mem cimport PyMem_Free
from cpython.pycapsule cimport PyCapsule_New
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t

from .packing cimport put, write_record
from ._output cimport Output, SMALL, begin_write
from .shape cimport BEHIND, TAG, Shape, fw_walk, lost, wrong
from .unpacking cimport begin_read, read_record, read_value

from .. import errors

__all__ = ["Codec"]


@cython.final
cdef class Codec:
    """How messages stand on the wire: `rows` are (number, bytes of the tag, class); `tag` is the program of
    the tag, None if there is one class without; `lower` gives the program of a class."""

    cdef str name
    cdef Shape tag
    cdef dict rows          # (bytes of the tag, program or None) by class
    cdef dict numbers       # class by number
    cdef object only        # the class, if there is only one, without a tag
    cdef object lower

    def __init__(self, str name not None, Shape tag, list rows not None, lower):
        self.name = name
        self.tag = tag
        self.lower = lower
        self.rows = {cls: (wire, None) for _, wire, cls in rows}
        self.numbers = {number: cls for number, _, cls in rows}
        self.only = rows[0][2] if tag is None else None

    @property
    def _packs(self):
        """The pack_message of a codec, for connections."""
        return PyCapsule_New(<void *> pack_by, "framewire.pack_message", NULL)

    cdef tuple _row(self, object cls):
        """(bytes of the tag, program) of a class, None if it has none."""
        cdef tuple row = self.rows.get(cls)
        if row is not None and row[1] is None:
            row = self.rows[cls] = row[0], <Shape?> self.lower(cls)
        return row

    cdef int write(self, Output *s, object message) except -1:
        cdef Shape program
        cdef tuple row = self._row(type(message))
        if row is None and self.only is not None and isinstance(message, self.only):
            row = self._row(self.only)
        if row is None:
            names = ", ".join([cls.__name__ for cls in self.rows])
            one = f"one of {names}" if self.only is None else f"a {names}"
            raise errors.record_type(self.name, (), one, message)
        program = row[1]
        begin_path(s, program)
        put(s, PyBytes_AS_STRING(row[0]), PyBytes_GET_SIZE(row[0]))
        return write_record(program, s, message)

    def encode(self, message, /):
        """The tag and the bytes of `message`; EncodeError as its `pack`, or if its class has no tag."""
        cdef Output s
        cdef uint8_t small[SMALL]
        begin_write(<PyObject *> self.name, &s, small)
        try:
            self.write(&s, message)
            return PyBytes_FromStringAndSize(<const char *> s.out, s.used)
        finally:
            PyMem_Free(s.heap)

    def decode(self, data, /):
        """The record that `data` is; RecordError as its `unpack`, or for a tag that is not in the table."""
        cdef Py_buffer view
        if PyBytes_CheckExact(data):
            return read(self, data, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            return read(self, data, <const char *> view.buf, view.len)
        finally:
            PyBuffer_Release(&view)


cdef int pack_by(object codec, Output *s, object message) except -1:
    return (<Codec> codec).write(s, message)


cdef inline void begin_path(Output *s, Shape program) noexcept:
    s.path.record = <PyObject *> program.name


cdef object read(Codec self, object source, const char *data, Py_ssize_t size):
    cdef fw_walk s
    cdef Shape program
    cls = self.only
    if self.tag is not None:
        begin_read(self.tag, &s, source, data, size)
        if self.tag.keep is None:
            lost()
        s.path.steps[0].name = self.tag.ops[0].name
        s.path.count = 1
        number = read_value(&s, &self.tag.ops[0])
        cls = self.numbers.get(number)
        if cls is None:
            wrong(&s, TAG, 0, number)
        s.path.count = 0
    else:
        begin_read(self._row(cls)[1], &s, source, data, size)
    program = self._row(cls)[1]
    s.path.record = <PyObject *> program.name
    s.ends = True
    record = read_record(program, &s)
    if s.at != s.size:
        wrong(&s, BEHIND, s.at, s.size - s.at)
    return record
