from .shape cimport Shape, fw_op, fw_walk


# Each leaves s.at behind what it has read.
cdef object read_value(fw_walk *s, const fw_op *op)
cdef object read_record(Shape self, fw_walk *s)
# Into slots that count from `values`, of a table that is there.
cdef int read_fields(Shape self, fw_walk *s, char *values) except -1
cdef int pass_fixed(fw_walk *s, const fw_op *op) except -1
cdef Py_ssize_t missing(Shape self, fw_walk *s) except -1
