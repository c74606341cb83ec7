cimport cython
from cpython.object cimport PyObject
from libc.string cimport memcpy

from ._csrc cimport fw_wire, uint8_t, uint64_t
from .plan cimport Plan

cdef int acquire(object data, Py_buffer *view) except -1
cdef int acquire_writable(object buffer, Py_buffer *view) except -1
cdef object signed_or_not(int status, uint64_t value)


cdef inline Py_ssize_t wire_size(const fw_wire *w, Py_ssize_t size) noexcept:
    return <Py_ssize_t> (w.keep + w.made_size + (<size_t> size - w.resume) + w.tail_size)


cdef inline void write_wire(const fw_wire *w, const uint8_t *message, Py_ssize_t size, uint8_t *out) noexcept:
    if w.keep:
        memcpy(out, message, w.keep)
        out += w.keep
    memcpy(out, w.made, w.made_size)
    out += w.made_size
    memcpy(out, message + w.resume, <size_t> size - w.resume)
    if w.tail_size:
        memcpy(out + (<size_t> size - w.resume), w.tail, w.tail_size)


@cython.final
cdef class Encoder:
    cdef Plan plan
    cdef tuple then
    cdef Py_ssize_t phase_left
    cdef bint shared

    cdef int _begin(self, tuple plan) except -1
    cdef int _count(self) except -1
    cdef int _check_phase(self) except -1
    cdef bint _joins(self) noexcept
    cdef object _join(self, object message)
    cdef int _measure(self, const uint8_t *p, Py_ssize_t size, fw_wire *w) except -1
    cdef Py_ssize_t _append(self, PyObject **out, Py_ssize_t used, object message) except -1
