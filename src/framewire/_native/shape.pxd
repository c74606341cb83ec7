# The op table of csrc/fw_record.h, what is being written, and what both directions say of a fault.
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t

from ._csrc cimport fw_field

cdef extern from "fw_record.h" nogil:
    enum:
        NUMBER "FW_T_NUMBER"
        FLOAT "FW_T_FLOAT"
        BOOL "FW_T_BOOL"
        STR "FW_T_STR"
        BYTES "FW_T_BYTES"
        REST "FW_T_REST"
        CONST "FW_T_CONST"
        PAD "FW_T_PAD"
        LIST "FW_T_LIST"
        ARRAY "FW_T_ARRAY"
        RECORD "FW_T_RECORD"
        ENUM "FW_T_ENUM"
        TEXT_OF "FW_T_TEXT"
        BINARY "FW_T_BINARY"
        VIEW "FW_T_VIEW"
        LISTED "FW_T_LISTED"
        ARRAYED "FW_T_ARRAYED"
        CSTR "FW_T_CSTR"
        FIXED "FW_T_FIXED"
        REPEAT "FW_T_REPEAT"
        ROW "FW_T_ROW"
        CODEC "FW_T_CODEC"
        ONEOF "FW_T_ONEOF"
        WHEN "FW_T_WHEN"
        BITS "FW_T_BITS"
        SIZE "FW_T_SIZE"
        NOTES "FW_NOTES"
        CRAMPED "FW_E_CRAMPED"
        UNFILLED "FW_E_UNFILLED"
        DEPTH "FW_LEVELS"

    ctypedef struct fw_choice:
        uint64_t tag
        const fw_shape *record

    ctypedef struct fw_way:
        const uint16_t *steps
        int count

    ctypedef struct fw_rule:
        bint first, last, flag
        unsigned shift
        int64_t plus
        size_t choice_count
        fw_choice *choices
        int note
        bint any
        uint64_t mask, wanted
        bint has_default
        uint64_t default_number

    ctypedef struct fw_shape:
        const fw_op *ops
        Py_ssize_t count, least
        void *owner         # the Shape
        bint structured, extensible
        Py_ssize_t required
        const fw_way *ways
        int way_count

    ctypedef struct fw_extent:
        uint64_t most, bias, null
        bint nullable
        uint8_t *pad
        unsigned align, unit
        int coding
        Py_ssize_t count

    ctypedef struct fw_op:
        int kind
        bint simple, plain, little, is_signed, swaps, closed
        unsigned width
        Py_ssize_t least, tail, slot
        uint64_t high
        fw_field *field
        fw_op *item
        fw_extent *extent
        const fw_shape *record
        const uint8_t *data
        const uint64_t *members
        size_t member_count
        fw_rule *rule
        void *name          # of the field
        void *owner         # of arrays: an empty one; ENUM, BITS: members by number; CODEC: its type tuple
        void *label         # ENUM, BITS: the name of its class; of text: its encoding; ONEOF: of its classes;
                            # WHEN: of what decides

    ctypedef struct fw_step:
        const void *name
        Py_ssize_t index

    ctypedef struct fw_path:
        void *record        # name of the outermost class
        int depth, count
        fw_step *steps

    ctypedef struct fw_walk:
        const uint8_t *data
        Py_ssize_t at, size
        void *source        # the buffer as it was given
        int (*hook)(const fw_op *op, fw_walk *walk, Py_ssize_t *more) except -100
        bint ends, bounded
        Py_ssize_t word_at
        uint64_t word
        void *notes
        fw_path path

    const fw_shape *fw_choose_record(const fw_op *op, uint64_t tag)
    bint fw_may_lack(const fw_shape *shape, Py_ssize_t i)
    int fw_skip_record(const fw_shape *shape, fw_walk *walk, Py_ssize_t *more, const fw_op **bad)

ctypedef struct Output:
    uint8_t *out            # `used` of `room` bytes; on the stack until `heap` is not NULL
    uint8_t *heap
    Py_ssize_t used, room
    uint64_t word           # of BITS
    fw_path path

cdef enum:
    SHORT = 1               # codes of errors.record_fault
    CONSTANT = 2
    TEXT = 3
    DEEP = 4
    BEHIND = 5
    TAG = 6
    MEMBER = 7
    E_OUTGROWN = 20
    E_UNFILLED = 21
    E_UNCOUNTED = 22
    E_CRAMPED = 23
    LIMIT = 30
    PADDING = 31
    UNENDED = 32
    HOOK = 33

# fw_extent.coding
cdef enum:
    AS_BYTES, UTF8, ASCII, LATIN1, MUTF8, UTF16


cdef class Shape:
    cdef fw_shape table
    cdef fw_op *ops
    cdef Py_ssize_t values  # that are no constants and no padding
    cdef str name
    cdef object cls
    cdef bint is_row        # `cls` is tuple
    cdef object keep        # what the ops borrow: programs of other records ...; None: not built, or gone

    cdef tuple defaults     # of the fields of an extensible record

    cdef int fill_table(self, tuple fields, bint heeds, Py_ssize_t required, tuple defaults) except -1
    cdef int fill_ways(self, tuple fields) except -1


cdef tuple parts(const fw_path *path)
cdef int lost() except -1
cdef int wrong(const fw_walk *s, int code, Py_ssize_t offset, object a=*, object b=*) except -1
cdef int too_short(const fw_walk *s, object need) except -1
cdef int wrong_type(const Output *s, str wanted, object value) except -1
cdef int wrong_range(const Output *s, const fw_op *op, object value) except -1
cdef int wrong_size(const Output *s, object most, Py_ssize_t size, str unit) except -1
cdef void *alloc(size_t count, size_t size) except NULL
cdef Py_ssize_t item_slot(Py_ssize_t i) noexcept
cdef Py_ssize_t slot_of(cls, name) except -1
