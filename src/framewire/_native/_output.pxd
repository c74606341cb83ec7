# Where a record is written: memory, and the way to the field that is being written.
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint64_t

cdef extern from "fw_record.h" nogil:
    ctypedef struct fw_step:
        const void *name
        Py_ssize_t index

    ctypedef struct fw_path:
        void *record        # name of the outermost class
        int depth, count
        fw_step *steps

ctypedef struct Output:
    uint8_t *out            # `used` of `room` bytes; on the stack until `heap` is not NULL
    uint8_t *heap
    Py_ssize_t used, room
    uint64_t word           # of BITS
    fw_path path

cdef enum:
    SMALL = 1024            # of the stack


cdef inline void begin_write(PyObject *record, Output *s, uint8_t *small) noexcept:
    s.out = small
    s.room = SMALL
    s.heap = NULL
    s.used = s.path.depth = s.path.count = 0
    s.path.record = record
