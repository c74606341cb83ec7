
from ._output cimport Output
from .shape cimport Shape


# Out of slots that count from `values`.
cdef int write_fields(Shape self, Output *s, char *values) except -1
cdef int write_record(Shape self, Output *s, object record) except -1
cdef int put(Output *s, const void *data, Py_ssize_t size) except -1
cdef int write_whole(Shape self, Output *s, object record) except -1
