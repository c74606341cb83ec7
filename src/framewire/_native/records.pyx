# cython: language_level=3, auto_pickle=False, autotestdict=False, binding=False
# cython: embedsignature=True, embedsignature.format=clinic
"""Records in C: the calls of a record class over its op table, and the twin of `_pure.records`.

`shape` makes the table out of type tuples, `unpacking` and `packing` run it. What is read or written is
described by a struct on the C stack: no call makes an object but its results.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.long cimport PyLong_CheckExact
from cpython.mem cimport PyMem_Free
from cpython.number cimport PyNumber_Index
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from .packing cimport write_whole
from ._output cimport Output, SMALL, begin_write
from .shape cimport BEHIND, Shape, alloc, fw_walk, slot_of, wrong
from .unpacking cimport begin_read, missing, read_record

from .. import errors

__all__ = ["Program", "construct"]

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX
    void PyErr_Clear()
    # Not the cimported one: this leaves its exception to be looked at.
    int try_buffer "PyObject_GetBuffer"(object, Py_buffer *, int)
    object PyInstanceMethod_New(object)

    # The class's attribute, borrowed, or NULL without an exception.
    PyObject *_PyType_Lookup(PyTypeObject *, object)
    object PyType_GenericAlloc(PyTypeObject *, Py_ssize_t)
    object PySequence_GetSlice(object, Py_ssize_t, Py_ssize_t)
    Py_ssize_t PyVectorcall_NARGS(size_t)
    ctypedef struct PyMethodDef:
        const char *ml_name
        void *ml_meth
        int ml_flags
        const char *ml_doc
    object PyDescr_NewMethod(PyTypeObject *, PyMethodDef *)
    const int METH_METHOD, METH_FASTCALL, METH_KEYWORDS


@cython.final
cdef class Program(Shape):
    """The field program of one record class, `name` in errors; runs once `build` has given it its fields."""

    def build(self, tuple fields not None, heeds=False, required=-1, tuple defaults not None=()):
        """Give the program its fields, of which other programs may not be built yet.

        `heeds`: whether it matters to it, or what it contains, that the bytes end where it ends. `required`:
        of an extensible record, how many fields it has at least; the others have `defaults`."""
        self.fill_table(fields, heeds, required, defaults)

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
        cdef Output s
        cdef uint8_t small[SMALL]
        cdef Py_buffer view
        cdef Py_ssize_t at
        offset = PyNumber_Index(offset)
        begin_write(<PyObject *> self.name, &s, small)
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
        cdef Output s
        cdef uint8_t small[SMALL]
        cdef Py_ssize_t old
        if not isinstance(target, bytearray):
            raise TypeError(f"append_to: a bytearray is needed, not {type(target).__name__}")
        begin_write(<PyObject *> self.name, &s, small)
        try:
            write_whole(self, &s, record)
            old = PyByteArray_GET_SIZE(target)
            PyByteArray_Resize(target, old + s.used)
            memcpy(PyByteArray_AS_STRING(target) + old, s.out, s.used)
        finally:
            PyMem_Free(s.heap)

    def size_of(self, record):
        """How many bytes `record` has."""
        cdef Output s
        cdef uint8_t small[SMALL]
        begin_write(<PyObject *> self.name, &s, small)
        try:
            write_whole(self, &s, record)
            return s.used
        finally:
            PyMem_Free(s.heap)

    def unpack(self, data):
        """The record that `data` is, all of it."""
        cdef fw_walk s
        cdef Py_buffer view
        if PyBytes_CheckExact(data):
            begin_read(self, &s, data, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
            return read_whole(self, &s)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            begin_read(self, &s, data, <const char *> view.buf, view.len)
            return read_whole(self, &s)
        finally:
            PyBuffer_Release(&view)

    def unpack_from(self, data, offset=0):
        """The record at `offset`, and where it ends."""
        cdef fw_walk s
        cdef Py_buffer view
        if not PyLong_CheckExact(offset):
            offset = PyNumber_Index(offset)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            begin_read(self, &s, data, <const char *> view.buf, view.len)
            s.at = checked(offset, view.len)
            record = read_record(self, &s)
            return record, s.at
        finally:
            PyBuffer_Release(&view)

    def unpack_many(self, data, count):
        """The `count` records that `data` is, all of it."""
        cdef fw_walk s
        cdef Py_buffer view
        cdef Py_ssize_t i, most
        cdef list records = []
        count = PyNumber_Index(count)
        if count < 0:
            raise errors.bad_count(count)
        if self.table.least == 0:
            raise errors.record_uncountable(self.name)
        most = PY_SSIZE_T_MAX if count > PY_SSIZE_T_MAX else count
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            begin_read(self, &s, data, <const char *> view.buf, view.len)
            s.path.steps[0].name = NULL
            s.path.count = 1
            for i in range(most):
                s.path.steps[0].index = i
                records.append(read_record(self, &s))
            s.path.count = 0
            if s.at != s.size:
                wrong(&s, BEHIND, s.at, s.size - s.at)
            return records
        finally:
            PyBuffer_Release(&view)

    def missing(self, data, offset=0):
        """How many bytes the record at `offset` lacks at least; 0 if it is whole."""
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


cdef bytes packed(Program self, object record):
    cdef Output s
    cdef uint8_t small[SMALL]
    begin_write(<PyObject *> self.name, &s, small)
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


cdef object read_whole(Program self, fw_walk *s):
    s.ends = True
    record = read_record(self, s)
    if s.at != s.size:
        wrong(s, BEHIND, s.at, s.size - s.at)
    return record


# --- construction ---------------------------------------------------------------------------------------

cdef extern from *:
    """
    /* A class's vectorcall is used where its metaclass says so; up to 3.11 one that is written in Python
     * does not inherit that. */
    static void fw_set_vectorcall(PyTypeObject *cls, void *call)
    {
        Py_TYPE(cls)->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
        cls->tp_vectorcall = (vectorcallfunc)call;
    }
    """
    void fw_set_vectorcall(PyTypeObject *cls, void *call)


@cython.final
cdef class _Constructor:
    """What `init`, the `__init__` of a record class, does to a new instance, without a frame of Python."""

    cdef object init
    cdef tuple names        # of the parameters, in order
    cdef tuple defaults     # of each; `...` where there is none
    cdef tuple copied       # whether a new record has a copy of the default
    cdef bint copies        # whether that is so of any
    cdef Py_ssize_t *slots
    cdef Py_ssize_t most    # positional arguments

    def __dealloc__(self):
        PyMem_Free(self.slots)


cdef inline PyObject **place(_Constructor how, object record, Py_ssize_t i) noexcept:
    return <PyObject **> (<char *> <PyObject *> record + how.slots[i])


cdef inline int put_value(_Constructor how, object record, Py_ssize_t i, object value) except -1:
    cdef bint copied = <object> PyTuple_GET_ITEM(how.copied, i) is True
    if copied and value is <object> PyTuple_GET_ITEM(how.defaults, i):
        value = PySequence_GetSlice(value, 0, PY_SSIZE_T_MAX)
    Py_INCREF(value)
    place(how, record, i)[0] = <PyObject *> value
    return 0


cdef Py_ssize_t position(_Constructor how, PyObject *name, Py_ssize_t guess) noexcept:
    """Of the parameter with that very name, -1 if there is none."""
    cdef Py_ssize_t i, count = PyTuple_GET_SIZE(how.names)
    if guess < count and <PyObject *> PyTuple_GET_ITEM(how.names, guess) is name:
        return guess
    for i in range(count):
        if <PyObject *> PyTuple_GET_ITEM(how.names, i) is name:
            return i
    return -1


cdef bint filled(_Constructor how, object record, PyObject **args, Py_ssize_t given, tuple names) except -1:
    """Whether the arguments, `given` of them without name, are just what the record needs."""
    cdef Py_ssize_t i, j, named = 0 if names is None else PyTuple_GET_SIZE(names)
    cdef Py_ssize_t count = PyTuple_GET_SIZE(how.names)
    if given > how.most:
        return False
    if not how.copies:
        for i in range(given):
            Py_INCREF(<object> args[i])
            place(how, record, i)[0] = args[i]
    else:
        for i in range(given):
            put_value(how, record, i, <object> args[i])
    for j in range(named):
        i = position(how, <PyObject *> PyTuple_GET_ITEM(names, j), given + j)
        if i < 0 or place(how, record, i)[0] is not NULL:
            return False
        put_value(how, record, i, <object> args[given + j])
    if given + named < count:
        for i in range(given, count):
            if place(how, record, i)[0] is NULL:
                if <object> PyTuple_GET_ITEM(how.defaults, i) is ...:
                    return False
                put_value(how, record, i, <object> PyTuple_GET_ITEM(how.defaults, i))
    return True


cdef object constructed(PyObject *cls, PyObject **args, size_t flags, PyObject *names):
    """The vectorcall of record classes; whatever is out of the ordinary goes through `__init__`."""
    cdef Py_ssize_t i, given = PyVectorcall_NARGS(flags)
    cdef PyObject *found = _PyType_Lookup(<PyTypeObject *> cls, "_constructor")
    cdef tuple keywords = None if names is NULL else <tuple> names
    cdef _Constructor how
    if found is not NULL and isinstance(<object> found, _Constructor):
        how = <_Constructor> found
        if _PyType_Lookup(<PyTypeObject *> cls, "__init__") is <PyObject *> how.init:
            record = PyType_GenericAlloc(<PyTypeObject *> cls, 0)
            if filled(how, record, args, given, keywords):
                return record
    plain = tuple([<object> args[i] for i in range(given)])
    named = {name: <object> args[given + i] for i, name in enumerate(keywords or ())}
    return type.__call__(<object> cls, *plain, **named)


def construct(cls, tuple names not None, dict defaults not None, bint kw_only):
    """Have calls of the class do what its `__init__` does: `defaults` has (value, whether to copy it)."""
    cdef _Constructor how = _Constructor()
    cdef Py_ssize_t i
    how.init = cls.__init__
    how.names = names
    how.defaults = tuple([defaults.get(name, (..., False))[0] for name in names])
    how.copied = tuple([defaults.get(name, (..., False))[1] for name in names])
    how.copies = True in how.copied
    how.most = 0 if kw_only else len(names)
    how.slots = <Py_ssize_t *> alloc(len(names) + 1, sizeof(Py_ssize_t))
    for i, name in enumerate(names):
        how.slots[i] = slot_of(cls, name)
    cls._constructor = how
    fw_set_vectorcall(<PyTypeObject *> cls, <void *> constructed)
