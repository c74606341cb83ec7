# cython: language_level=3, auto_pickle=False, autotestdict=False, binding=False
"""The op table of a record, from its type tuples, and what is said of a fault: the twin of `_pure.shape`.

An op owns what an error or the walk of csrc/fw_record.c may need of it. What may be part of a cycle
(programs, enumerations) it borrows from `keep`, which the collector sees, and may take away: `lost` says
so.
"""

from cpython.array cimport array
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport UINT64_MAX, uint16_t, uint64_t

from ._csrc cimport fw_field
from .plan cimport fill_field

from types import MemberDescriptorType

from .. import errors

__all__ = []

cdef extern from "fw_field.h" nogil:
    bint fw_host_big()

cdef extern from "Python.h":
    ctypedef struct PyMemberDef:
        Py_ssize_t offset

    const Py_ssize_t OB_ITEM "offsetof(PyTupleObject, ob_item)"

    ctypedef struct PyMemberDescrObject:
        PyMemberDef *d_member

# PyMemberDef is here up to Python 3.11.
cdef extern from "structmember.h":
    pass


# --- errors ---------------------------------------------------------------------------------------------

cdef tuple parts(const fw_path *path):
    """The way to what is being read or written."""
    cdef list found = []
    cdef int i
    for i in range(path.count):
        if path.steps[i].name is NULL:
            found.append(path.steps[i].index)
        else:
            found.append(<object> <PyObject *> path.steps[i].name)
    return tuple(found)


cdef int lost() except -1:
    raise RuntimeError("a record's program that is not built, or that went away with its class")


cdef int wrong(const fw_walk *s, int code, Py_ssize_t offset, object a=0, object b=0) except -1:
    raise errors.record_fault(code, <object> s.path.record, parts(&s.path), offset, a, b)


cdef int too_short(const fw_walk *s, object need) except -1:
    return wrong(s, E_OUTGROWN if s.bounded else SHORT, s.at, need, s.size - s.at)


cdef int wrong_type(const Output *s, str wanted, object value) except -1:
    raise errors.record_type(<object> s.path.record, parts(&s.path), wanted, value)


cdef int wrong_range(const Output *s, const fw_op *op, object value) except -1:
    low = -<object> op.high - 1 if op.is_signed else 0
    raise errors.record_range(<object> s.path.record, parts(&s.path), value, low, op.high)


cdef int wrong_size(const Output *s, object most, Py_ssize_t size, str unit) except -1:
    raise errors.record_size(<object> s.path.record, parts(&s.path), size, most, unit)


# --- the op table ---------------------------------------------------------------------------------------

cdef void *alloc(size_t count, size_t size) except NULL:
    cdef void *made = PyMem_Calloc(count, size)
    if made is NULL:
        raise MemoryError()
    return made


cdef PyObject *held(object value):
    Py_INCREF(value)
    return <PyObject *> value


cdef Py_ssize_t slot_of(cls, name) except -1:
    """Where instances of the class have the value of a slot."""
    member = getattr(cls, name)
    if type(member) is not MemberDescriptorType:
        raise TypeError(f"{name} is no slot of the class")
    return (<PyMemberDescrObject *> member).d_member.offset


cdef Py_ssize_t item_slot(Py_ssize_t i) noexcept:
    """Where a tuple has item `i`."""
    return OB_ITEM + i * <Py_ssize_t> sizeof(PyObject *)


cdef int fill_enum(fw_op *op, tuple kind, list keep) except -1:
    cdef list numbers = sorted([number & 0xffffffffffffffff for number in kind[7]])
    cdef uint64_t *members = <uint64_t *> alloc(len(numbers) + 1, sizeof(uint64_t))
    op.members = members
    op.member_count = len(numbers)
    for i, number in enumerate(numbers):
        members[i] = number
    keep.append(kind[7])
    op.label, op.owner, op.closed = held(kind[6]), <PyObject *> kind[7], kind[8]
    return 0


cdef int fill_text(fw_op *op, str encoding) except -1:
    codings = {"": AS_BYTES, "utf-8": UTF8, "ascii": ASCII, "latin-1": LATIN1, "mutf-8": MUTF8}
    op.label = held(encoding)
    op.extent.coding = codings.get(encoding, UTF16)
    return 0


cdef int fill_limits(fw_extent *extent, tuple limits) except -1:
    extent.most, extent.bias, null, _ = limits
    extent.nullable = null is not None
    extent.null = null & 0xffffffffffffffff if null is not None else 0
    return 0


cdef int fill_items(fw_op *op, tuple item, list keep, object typecode=None) except -1:
    op.item = <fw_op *> alloc(1, sizeof(fw_op))
    fill(op.item, item, keep)
    if typecode is not None:
        template = array(typecode)
        keep.append(template)
        op.owner = <PyObject *> template
        op.item.swaps = op.item.width > 1 and op.item.little == fw_host_big()
    return 0


cdef int fill_declared(fw_op *op, tuple kind, list keep) except -1:
    """What sequences.py declares."""
    cdef fw_extent *extent = <fw_extent *> alloc(1, sizeof(fw_extent))
    op.extent = extent
    if op.kind == TEXT_OF or op.kind == BINARY or op.kind == VIEW:
        fill_text(op, kind[6])
        extent.align = kind[7]
        fill_limits(extent, kind[8])
    elif op.kind == LISTED:
        fill_items(op, kind[6], keep)
        fill_limits(extent, kind[7])
    elif op.kind == ARRAYED:
        fill_items(op, kind[6], keep, kind[7])
        fill_limits(extent, kind[8])
    elif op.kind == CSTR:
        fill_text(op, kind[3])
        extent.unit = op.least
        extent.most = UINT64_MAX if kind[4] < 0 else kind[4]
    elif op.kind == FIXED:
        fill_text(op, kind[3])
        extent.unit = len(kind[4])
        for i, byte in enumerate(kind[4]):
            extent.pad[i] = byte
    elif op.kind == REPEAT or op.kind == ROW:
        extent.count = kind[3]
        fill_items(op, kind[4], keep, kind[5] if op.kind == ROW else None)
    else:
        keep.append(kind)
        op.owner = <PyObject *> kind
    return 0


cdef fw_rule *rule_of(fw_op *op) except NULL:
    if op.rule is NULL:
        op.rule = <fw_rule *> alloc(1, sizeof(fw_rule))
    return op.rule


cdef int fill_choices(fw_op *op, tuple kind, list keep) except -1:
    cdef fw_rule *rule = rule_of(op)
    cdef list rows = sorted([(tag & 0xffffffffffffffff, program) for tag, program in kind[6]], key=first_of)
    rule.choices = <fw_choice *> alloc(len(rows), sizeof(fw_choice))
    rule.choice_count = len(rows)
    for i, (tag, program) in enumerate(rows):
        keep.append(program)
        rule.choices[i].tag = tag
        rule.choices[i].record = &(<Shape?> program).table
    op.label = held(", ".join([(<Shape> program).name for _, program in kind[6]]))
    return 0


def first_of(row):
    return row[0]


cdef int fill_bits(fw_op *op, tuple kind, list keep) except -1:
    cdef fw_rule *rule = rule_of(op)
    rule.shift, rule.first, rule.last = kind[6:9]
    rule.flag = kind[9] is True
    if type(kind[9]) is tuple:
        fill_enum(op, (*kind[:6], *kind[9]), keep)
    return 0


cdef int fill_when(fw_op *op, tuple kind, list keep) except -1:
    cdef fw_rule *rule = rule_of(op)
    op.item = <fw_op *> alloc(1, sizeof(fw_op))
    fill(op.item, kind[3], keep)
    rule.mask, rule.any = kind[5], kind[6] is None
    rule.wanted = 0 if kind[6] is None else kind[6]
    op.label = held(kind[7])
    return 0


cdef int fill(fw_op *op, tuple kind, list keep) except -1:
    """The op of a type tuple; what it borrows is in `keep`."""
    cdef tuple spec
    op.kind, op.least, op.plain = kind[:3]
    if op.kind in (
        NUMBER, STR, BYTES, LIST, ARRAY, ENUM, TEXT_OF, BINARY, VIEW, LISTED, ARRAYED, ONEOF, BITS, SIZE
    ):
        spec = kind[3]
        op.field = <fw_field *> alloc(1, sizeof(fw_field))
        fill_field(op.field, spec)
        op.high = kind[5]
        op.simple = spec[0] == 1
        op.width, op.little, op.is_signed = spec[1:4]
    if TEXT_OF <= op.kind <= CODEC:
        fill_declared(op, kind, keep)
    elif op.kind == LIST:
        fill_items(op, kind[6], keep)
    elif op.kind == ARRAY:
        fill_items(op, kind[6], keep, kind[7])
    elif op.kind == FLOAT:
        op.width, op.little = kind[3:]
    elif op.kind == CONST:
        op.label = held(kind[3])
        op.data = <const uint8_t *> PyBytes_AS_STRING(kind[3])
    elif op.kind == ENUM:
        fill_enum(op, kind, keep)
    elif op.kind == RECORD:
        keep.append(kind[3])
        op.record = &(<Shape?> kind[3]).table
    elif op.kind == ONEOF:
        fill_choices(op, kind, keep)
    elif op.kind == WHEN:
        fill_when(op, kind, keep)
    elif op.kind == BITS:
        fill_bits(op, kind, keep)
    elif op.kind == SIZE:
        rule_of(op).plus = kind[6]
    return 0


cdef int fill_default(fw_op *op, object value) except -1:
    cdef fw_rule *rule = rule_of(op)
    if isinstance(value, int):
        rule.has_default, rule.default_number = True, int(value) & 0xffffffffffffffff
    return 0


cdef void release(fw_op *op) noexcept:
    if op.rule is not NULL:
        PyMem_Free(op.rule.choices)
        PyMem_Free(op.rule)
    PyMem_Free(op.field)
    PyMem_Free(<void *> op.members)
    PyMem_Free(op.extent)
    Py_XDECREF(<PyObject *> op.label)
    Py_XDECREF(<PyObject *> op.name)
    if op.item is not NULL:
        release(op.item)
        PyMem_Free(op.item)


cdef class Shape:
    """The op table of one record class, `name` in errors; there is one once it is given the fields."""

    def __init__(self, str name not None, cls):
        if not isinstance(cls, type):
            raise TypeError(f"{name}: a class is needed, not {type(cls).__name__}")
        if self.name is not None:
            raise RuntimeError("a program is of one class")
        self.name = name
        self.cls = cls
        self.is_row = cls is tuple

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.table.count):
            release(&self.ops[i])
        PyMem_Free(self.ops)
        for i in range(self.table.way_count):
            PyMem_Free(<void *> self.table.ways[i].steps)
        PyMem_Free(<void *> self.table.ways)

    cdef int fill_table(self, tuple fields, bint heeds, Py_ssize_t required, tuple defaults) except -1:
        cdef Py_ssize_t i, values, tail = 0
        cdef fw_op *op
        cdef list keep = []
        if self.ops is not NULL:
            raise RuntimeError("build: once only")
        self.ops = <fw_op *> alloc(len(fields) + 1, sizeof(fw_op))
        self.table.ops = self.ops
        self.table.count = len(fields)
        self.values = sum([kind[0] not in (CONST, PAD, SIZE) for _, kind in fields])
        values = self.values
        self.table.owner = <PyObject *> self
        self.table.extensible = required >= 0
        self.table.required = required if required >= 0 else len(fields)
        self.table.structured = heeds or required >= 0
        self.defaults = defaults
        for i in range(self.table.count - 1, -1, -1):
            op = &self.ops[i]
            name, kind = fields[i]
            op.name = held(name)
            fill(op, kind, keep)
            op.tail = tail
            if op.kind == WHEN or op.kind == SIZE:
                self.table.structured = True
            if i < self.table.required:
                tail += op.least
            else:
                fill_default(op, defaults[i])
            if op.kind != CONST and op.kind != PAD and op.kind != SIZE:
                values -= 1
                # The values of a tuple have numbers for names.
                op.slot = item_slot(values) if self.is_row else slot_of(self.cls, name)
        self.table.least = tail
        self.fill_ways(fields)
        self.keep = keep
        return 0

    cdef int fill_ways(self, tuple fields) except -1:
        cdef list found = []
        cdef fw_way *ways = <fw_way *> alloc(NOTES, sizeof(fw_way))
        cdef uint16_t *steps
        self.table.ways = ways
        for i, (_, kind) in enumerate(fields):
            if self.ops[i].kind != WHEN:
                continue
            way = kind[4]
            if way not in found:
                steps = <uint16_t *> alloc(len(way), sizeof(uint16_t))
                for k, step in enumerate(way):
                    steps[k] = step
                ways[self.table.way_count].steps = steps
                ways[self.table.way_count].count = len(way)
                self.table.way_count += 1
                found.append(way)
            self.ops[i].rule.note = found.index(way)
        return 0
