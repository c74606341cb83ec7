# The declarations of csrc/fw.h, and nothing else.
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "fw_next.h" nogil:
    enum:
        FW_FRAME, FW_MORE, FW_E_TOO_LARGE, FW_E_NEGATIVE
        FW_E_UNSAYABLE, FW_E_SCALE, FW_E_FIXED, FW_E_MISMATCH, FW_E_WHOLE_SHORT, FW_E_DELIMITER
        FW_E_UNTERMINATED, FW_E_EMPTY, FW_E_LAST_LINE
        FW_FIXED, FW_COUNTED, FW_SCANNED, FW_TAGGED, FW_UNTIL_EOF, FW_SLIP, FW_HDLC, FW_COBS
        FW_HEADERS, FW_CHUNKED
        FW_LINE_COUNTED, FW_RESP, FW_FIX
        FW_ENCLOSED, FW_DOTTED
        FW_EOF_ERROR, FW_EOF_DELIVER, FW_EOF_DROP
        FW_FRAGMENTED
        FW_TIERED

    ctypedef struct fw_tier:
        uint64_t selector, base
        uint8_t width, little, is_signed

    ctypedef struct fw_field:
        uint8_t kind, width, little, is_signed, shift, canonical, end_size, tier_count, follow_size
        uint8_t end[4]
        uint32_t narrowest
        uint64_t mask, follow_bit
        int64_t direct
        fw_tier tiers[8]

    ctypedef struct fw_magic:
        uint32_t offset, size, count
        const uint8_t *bytes

    ctypedef struct fw_extra:
        uint32_t offset
        uint8_t width, little, shift
        uint64_t mask

    ctypedef struct fw_delimiter:
        const uint8_t *bytes
        size_t size

    ctypedef struct fw_verb:
        const uint8_t *bytes
        size_t size
        int32_t index

    ctypedef struct fw_plan:
        uint8_t kind, strip, simple, patient, eof, joins, check_size, reduced
        uint64_t max_frame, min_size, capacity, size
        uint8_t counts, has_escape, trailer_any
        uint32_t offset, after, trailer_size, magic_count, extra_count
        int64_t adjust
        uint64_t scale, escape_value
        fw_field lead, field, escape
        const fw_magic *magic
        const uint8_t *trailer
        fw_extra extra[4]
        uint32_t control_count, counter_at, most_fragments
        uint64_t control[16]
        uint64_t last_bit, full, full_body
        uint8_t has_counter
        uint32_t delimiter_count
        size_t longest
        fw_delimiter delimiters[16]
        const uint8_t *name
        size_t name_size
        uint8_t start_line, bare_lf, missing, http
        uint64_t max_header
        uint8_t any_case, is_inline
        uint32_t verb_count, max_line, max_depth
        const fw_verb *verbs
        fw_delimiter opening
        uint8_t stuffs, escape_byte, escape_flip, restarts
        uint64_t noise_limit
        uint8_t tag_mask
        uint32_t tag_offset
        const int16_t *rows
        const fw_plan *const *parts

    ctypedef struct fw_frame:
        size_t start, stop

    ctypedef struct fw_cursor:
        size_t pos, scanned
        const fw_plan *leaf
        uint64_t need, start, stop
        int direct
        uint64_t value, scale
        int64_t delta
        uint64_t end
        size_t proof, recover

    ctypedef struct fw_wire:
        size_t keep, resume, made_size, tail_size
        const uint8_t *tail
        uint64_t value, announced
        size_t at, proof
        uint8_t made[560]

    # fw_next.h
    int fw_next(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *cursor, fw_frame *out)

    void fw_prepare(fw_plan *plan)
    size_t fw_cut(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *cursor,
                  fw_frame *out, size_t cap, int *status)
    size_t fw_find(const fw_plan *plan, const uint8_t *data, size_t start, size_t from_, size_t size,
                   size_t *found)
    size_t fw_pass(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *cursor, int *done)
    uint64_t fw_find_need(const fw_plan *plan, const uint8_t *data, size_t size)
    const fw_plan *fw_choose(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *wire,
                             int *status)
    bint fw_retags(const fw_plan *plan, const uint8_t *message, size_t size, const fw_wire *wire, int *tag,
                   int *other)
    size_t fw_join(const fw_plan *plan, const uint8_t *data, size_t size, uint8_t *out)
    size_t fw_expanded_most(const fw_plan *plan, size_t size)
    size_t fw_expand(const fw_plan *plan, const uint8_t *message, size_t size, uint8_t *out)
    size_t fw_put_head(const fw_plan *plan, uint64_t body, uint8_t *out)
    int fw_encode(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *wire)
