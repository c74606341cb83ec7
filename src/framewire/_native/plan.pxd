from ._csrc cimport fw_field, fw_magic, fw_plan, fw_verb, int16_t


cdef class Plan:
    cdef fw_plan c
    cdef int kind
    cdef object split, join
    cdef list owned
    cdef fw_magic *magic
    cdef fw_verb *verbs
    cdef int16_t rows[256]
    cdef const fw_plan **parts
    cdef object __weakref__


cdef Plan compile_plan(tuple plan)
cdef int fill_field(fw_field *f, tuple spec) except -1
