cimport cython
from cpython.object cimport PyObject

from ._csrc cimport fw_cursor, uint8_t, uint64_t
from .plan cimport Plan


@cython.final
cdef class Block:
    cdef uint8_t *data
    cdef Py_ssize_t size, exports
    cdef Py_buffer foreign
    cdef bint is_foreign


cdef Block new_block(Py_ssize_t size)
cdef int grow_block(Block block, Py_ssize_t size) except -1


@cython.final
cdef class Decoder:
    cdef Plan plan
    cdef tuple then                # the plan tuple after this phase of a preamble, or None
    cdef Py_ssize_t phase_left     # frames left in this phase, -1 without a next one
    cdef object source             # what owns the region: a Block or bytes
    cdef const uint8_t *data
    cdef Py_ssize_t start, end, granted
    cdef Block block
    cdef PyObject *large
    cdef Py_ssize_t large_size, large_fill
    cdef Py_ssize_t trusted        # the size of the last large frame that came whole
    cdef bytes large_head
    cdef uint64_t skipping         # bytes of an oversized frame still to discard
    cdef bint discarding           # up to the next mark
    cdef fw_cursor cursor
    cdef bint by_region
    cdef bint direct               # the cursor describes the frame at the region's start
    cdef object fault, pending
    cdef bint eof, finished, busy, detached
    cdef unsigned long long position
    cdef Py_ssize_t index
    cdef list lent
    cdef list cut                  # frames cut, but not delivered: for who keeps them, not used here

    cdef int _begin(self, tuple plan) except -1
    cdef int _count(self, Py_ssize_t frames) except -1
    cdef int _rest(self) except -1
    cdef int _room(self, Py_ssize_t more) except -1
    cdef int _store(self, const uint8_t *p, Py_ssize_t size) except -1
    cdef Py_ssize_t _buffered(self) noexcept
    cdef bint _is_large(self) noexcept
    cdef bint is_fixed(self) noexcept
    cdef int _begin_large(self, const uint8_t *p, Py_ssize_t size) except -1
    cdef int _add_large(self, const uint8_t *p, Py_ssize_t size) except -1
    cdef object _take_large(self, bint views)
    cdef int _unpack_large(self) except -1
    cdef object _lend(self, object view)
    cdef int _recall(self) except -1
    cdef int _cut(self, const uint8_t *p, Py_ssize_t size, Py_ssize_t *at, list out, Py_ssize_t cap,
                  object views) except -100
    cdef int _cut_custom(self, Py_ssize_t *at, list out, Py_ssize_t cap, object views) except -100
    cdef object _ask_split(self)
    cdef int _custom_too_large(self) except -1
    cdef int _fail(self, int status, const uint8_t *p, Py_ssize_t size) except -1
    cdef int _swallow(self) except -1
    cdef int _drain(self, list out, Py_ssize_t cap, bint views) except -100
    cdef object _views(self, object owner)
    cdef Py_ssize_t _bridge(self, const uint8_t *p, Py_ssize_t size, list out, bint views) except -1
    cdef int _run(self, const uint8_t *p, Py_ssize_t size, object owner, list out, Py_ssize_t cap,
                  bint views, Block holder=*) except -1
    cdef int _settle(self) except -1
    cdef uint8_t *_large_room(self, Py_ssize_t *room) except NULL
    cdef int _grow_large(self, Py_ssize_t size) except -1
    cdef object _needed(self)
    cdef int _finish(self, list out) except -1
    cdef int _enter(self) except -1
    cdef object _result(self, list out)
    cdef list _decode(self, object data, object limit, bint views)
    cdef int _take(self, const uint8_t *p, Py_ssize_t size, bytes whole) except -1
    cdef bytes _whole(self)
    cdef object _next(self, bint views)
