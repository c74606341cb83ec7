# cython: language_level=3, auto_pickle=False
"""Plan tuples (see framings.py) as fw_plan structs.

A `Plan` owns everything that its struct points to: the bytes of magic, trailer and delimiters, the
arrays, the plans of the parts. Plans never change, and decoders and encoders share them.
"""

from libc.string cimport memset
from cpython.mem cimport PyMem_Calloc, PyMem_Free

cimport cython
from ._csrc cimport *

from weakref import WeakValueDictionary

CUSTOM = 5
_plans = WeakValueDictionary()
_EOF = {"error": FW_EOF_ERROR, "deliver": FW_EOF_DELIVER, "drop": FW_EOF_DROP}


@cython.final
cdef class Plan:
    def __cinit__(self):
        memset(&self.c, 0, sizeof(fw_plan))
        self.owned = []
        self.magic = NULL
        self.verbs = NULL
        self.parts = NULL

    def __dealloc__(self):
        PyMem_Free(self.magic)
        PyMem_Free(self.verbs)
        PyMem_Free(self.parts)


cdef const uint8_t *keep(Plan self, bytes data) except NULL:
    """A pointer to `data` that lives as long as the plan."""
    self.owned.append(data)
    return <const uint8_t *> data


cdef int fill_field(fw_field *f, tuple spec) except -1:
    cdef Py_ssize_t i
    kind, width, little, is_signed, mask, shift, canonical, end, tiers, direct, follow = spec
    f.kind, f.width, f.little, f.is_signed = kind, width, little, is_signed
    f.mask, f.shift, f.canonical, f.direct = mask, shift, canonical, direct
    f.end_size = <uint8_t> len(end)
    for i in range(len(end)):
        f.end[i] = end[i]
    f.tier_count = <uint8_t> len(tiers)
    for i in range(len(tiers)):
        selector, width, little, is_signed, base = tiers[i]
        f.tiers[i].selector, f.tiers[i].base = selector, base
        f.tiers[i].width, f.tiers[i].little, f.tiers[i].is_signed = width, little, is_signed
    f.follow_bit, f.follow_size = follow
    # UINT, DIGITS, HEXDIGITS and the first field of TIERED have one width; the variable kinds start at one
    # byte, behind which DIGITS_END has its mark.
    f.narrowest = f.width if kind in (1, 6, 8, 9) else 1 + f.end_size
    return 0


cdef int fill_counted(Plan self, tuple plan) except -1:
    cdef fw_plan *c = &self.c
    cdef Py_ssize_t i
    strip, capacity, header, count, magic, extra, special, trailer = plan[5:]
    offset, lead, field, after, escape = header
    c.strip, c.capacity, c.offset, c.after = strip, capacity, offset, after
    c.counts, c.adjust, c.scale = count
    fill_field(&c.field, field)
    if lead is not None:
        fill_field(&c.lead, lead)
    if escape is not None:
        c.has_escape = 1
        c.escape_value = <uint64_t> escape[0] if escape[0] >= 0 else <uint64_t> <int64_t> escape[0]
        fill_field(&c.escape, escape[1])
    self.magic = <fw_magic *> PyMem_Calloc(len(magic) + 1, sizeof(fw_magic))
    if self.magic is NULL:
        raise MemoryError()
    for i in range(len(magic)):
        at, values = magic[i]
        self.magic[i].offset, self.magic[i].size, self.magic[i].count = at, len(values[0]), len(values)
        self.magic[i].bytes = keep(self, b"".join(values))
    c.magic, c.magic_count = self.magic, len(magic)
    c.extra_count = len(extra)
    for i in range(len(extra)):
        at, width, little, mask, shift = extra[i]
        c.extra[i].offset, c.extra[i].width, c.extra[i].little = at, width, little
        c.extra[i].mask, c.extra[i].shift = mask, shift
    if isinstance(trailer, int):
        c.trailer_any, c.trailer_size = 1, trailer
    else:
        c.trailer, c.trailer_size = keep(self, trailer), len(trailer)
    if c.kind == FW_FRAGMENTED:
        c.last_bit, c.full, c.full_body, counter, c.most_fragments = special
        if counter is not None:
            c.has_counter, c.counter_at = 1, counter
        return 0
    c.control_count = len(special)
    for i in range(len(special)):
        c.control[i] = special[i]
    return 0


cdef int fill_line_counted(Plan self, tuple plan) except -1:
    cdef fw_plan *c = &self.c
    cdef Py_ssize_t i
    c.max_line, c.any_case, verbs = plan[6:]
    self.verbs = <fw_verb *> PyMem_Calloc(len(verbs), sizeof(fw_verb))
    if self.verbs is NULL:
        raise MemoryError()
    for i in range(len(verbs)):
        verb, index = verbs[i]
        self.verbs[i].bytes, self.verbs[i].size, self.verbs[i].index = keep(self, verb), len(verb), index
    c.verbs, c.verb_count = self.verbs, <uint32_t> len(verbs)
    return 0


cdef int fill_tagged(Plan self, tuple plan) except -1:
    cdef fw_plan *c = &self.c
    cdef Plan part
    cdef Py_ssize_t i
    offset, mask, rows, default = plan[5:]
    c.tag_offset, c.tag_mask = offset, mask
    plans = list(dict.fromkeys([row[1] for row in rows] + ([default] if default is not None else [])))
    self.parts = <const fw_plan **> PyMem_Calloc(len(plans), sizeof(fw_plan *))
    if self.parts is NULL:
        raise MemoryError()
    for i in range(len(plans)):
        part = compile_plan(plans[i])
        self.owned.append(part)
        self.parts[i] = &part.c
    for i in range(256):
        self.rows[i] = -1 if default is None else <int16_t> plans.index(default)
    for tag, row in rows:
        self.rows[<uint8_t> tag] = plans.index(row)
    c.rows, c.parts = self.rows, self.parts
    return 0


cdef Plan compile_plan(tuple plan):
    """The struct for any plan but PREAMBLE, which is a sequence of plans and lives in the codec.

    Equal plans share one, or each of many connections would have its own."""
    cdef Plan self = _plans.get(plan)
    if self is None:
        self = build(plan)
        _plans[plan] = self
    return self


cdef Plan build(tuple plan):
    cdef Plan self = Plan()
    cdef fw_plan *c = &self.c
    cdef Py_ssize_t i
    kind, max_frame, skip, eof, min_size = plan[:5]
    self.kind = kind
    c.kind, c.max_frame, c.patient, c.eof, c.min_size = kind, max_frame, skip, _EOF[eof], min_size
    if kind == FW_FIXED:
        c.size = plan[5]
    elif kind == FW_COUNTED or kind == FW_FRAGMENTED:
        fill_counted(self, plan)
    elif kind == FW_SCANNED or kind == FW_DOTTED:
        c.strip, c.delimiter_count = plan[5], len(plan[6])
        for i in range(len(plan[6])):
            c.delimiters[i].bytes = keep(self, plan[6][i])
            c.delimiters[i].size = len(plan[6][i])
    elif kind == FW_LINE_COUNTED:
        fill_line_counted(self, plan)
    elif kind == FW_RESP:
        c.max_depth, c.is_inline = plan[6:]
    elif kind == FW_TAGGED:
        fill_tagged(self, plan)
    elif kind == FW_HEADERS:
        c.strip, name, c.start_line, c.bare_lf, c.missing, c.max_header = plan[5:]
        c.name, c.name_size = keep(self, name), len(name)
    elif kind == FW_CHUNKED:
        c.strip, c.http, c.max_header = plan[5:]
    elif FW_SLIP <= kind <= FW_COBS:
        c.strip, option = plan[5:]
        if kind == FW_HDLC:
            c.check_size = option
        else:
            c.reduced = option
    elif kind == FW_ENCLOSED:
        c.strip, opening, end, escape, c.escape_flip, c.noise_limit, c.restarts, c.trailer_size = plan[5:]
        c.opening.bytes, c.opening.size = keep(self, opening), len(opening)
        c.delimiters[0].bytes, c.delimiters[0].size = keep(self, end), len(end)
        c.delimiter_count = 1
        if escape:
            c.stuffs, c.escape_byte = 1, escape[0]
    elif kind == CUSTOM:
        self.split, self.join = plan[5], plan[6]
    fw_prepare(c)
    return self
