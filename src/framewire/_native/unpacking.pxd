from cpython.object cimport PyObject
from libc.stdint cimport uint8_t

from .shape cimport Shape, fw_op, fw_walk


# Each leaves s.at behind what it has read.
cdef object read_value(fw_walk *s, const fw_op *op)
cdef object read_record(Shape self, fw_walk *s)
# Into slots that count from `values`, of a table that is there.
cdef int read_fields(Shape self, fw_walk *s, char *values) except -1
cdef int pass_fixed(fw_walk *s, const fw_op *op) except -1
cdef Py_ssize_t missing(Shape self, fw_walk *s) except -1


cdef inline void begin_read(Shape self, fw_walk *s, object source, const char *data, Py_ssize_t size) noexcept:
    s.source = <PyObject *> source
    s.data = <const uint8_t *> data
    s.size = size
    s.ends = s.bounded = False
    s.notes = NULL
    s.at = s.path.depth = s.path.count = 0
    s.path.record = <PyObject *> self.name
