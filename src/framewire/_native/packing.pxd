from cpython.object cimport PyObject
from libc.stdint cimport uint8_t

from .shape cimport Output, Shape

cdef enum:
    SMALL = 1024


# Out of slots that count from `values`.
cdef int write_fields(Shape self, Output *s, char *values) except -1
cdef int write_whole(Shape self, Output *s, object record) except -1


cdef inline void begin_write(Shape self, Output *s, uint8_t *small) noexcept:
    s.out = small
    s.room = SMALL
    s.heap = NULL
    s.used = s.path.depth = s.path.count = 0
    s.path.record = <PyObject *> self.name
