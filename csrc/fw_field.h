/* Length fields: reading one from a prefix of the stream, and writing it in a form of given width.
 *
 * Reading never looks behind `size` and decides on the first byte that proves a fault, so that the answer
 * does not depend on how much more has arrived. Writing goes by forms: form 0 is the narrowest, and a
 * writer asks for each in turn, because with some counts the value depends on the width. */
#ifndef FW_FIELD_H
#define FW_FIELD_H

#include "fw.h"
#include "fw_bytes.h"

typedef struct fw_number {
    uint64_t value;     /* sign-extended where negative */
    size_t width;       /* bytes of the field; FW_MORE: the fewest it can have; fault: bytes that prove it */
    int negative;
    int follows;        /* the first field has the follow bit */
} fw_number;

static inline uint64_t fw_load(const uint8_t *p, unsigned width, int little)
{
    return little ? fw_load_le(p, width) : fw_load_be(p, width);
}

static inline void fw_store(uint8_t *p, unsigned width, int little, uint64_t value)
{
    if (little)
        fw_store_le(p, width, value);
    else
        fw_store_be(p, width, value);
}

static inline int fw_is_negative(uint64_t raw, unsigned width)
{
    return (int)(raw >> (8 * width - 1)) & 1;
}

/* Base 128, both directions; `little` here means lowest group first (LEB128, and what is under zigzag). */
static inline int fw_read_base128(const fw_field *f, const uint8_t *p, size_t size, int little, fw_number *out)
{
    uint64_t value = 0;
    size_t i;
    for (i = 0; i < size; i++) {
        uint64_t group = p[i] & 0x7f;
        out->width = i + 1;
        out->value = f->width;
        if (little ? (i == 9 && group > 1) : value > (UINT64_MAX >> 7))
            return FW_E_OVERFLOW;
        if (!little)
            value = (value << 7) | group;
        else if (f->mask && ((group << (7 * i)) & ~f->mask))
            return FW_E_OVERFLOW;
        else
            value |= group << (7 * i);
        if (!(p[i] & 0x80)) {
            if (f->canonical && i > 0 && (little ? group == 0 : p[0] == 0x80))
                return FW_E_CANONICAL;
            out->value = value;
            return FW_FRAME;
        }
        if (i + 1 == f->width)
            return FW_E_LONG;
    }
    out->width = i + 1;
    return FW_MORE;
}

/* 0, -1, 1, -2 ... as 0, 1, 2, 3 ..., and back. */
static inline uint64_t fw_zigzag(uint64_t value)
{
    return value >> 63 ? ~(value << 1) : value << 1;
}

static inline uint64_t fw_unzigzag(uint64_t coded)
{
    return coded & 1 ? ~(coded >> 1) : coded >> 1;
}

/* Two's complement in groups of seven bits, lowest first: the last group's top bit is the sign. */
static inline int fw_read_sleb128(const fw_field *f, const uint8_t *p, size_t size, fw_number *out)
{
    uint64_t value = 0;
    size_t i;
    for (i = 0; i < size; i++) {
        uint64_t group = p[i] & 0x7f;
        out->width = i + 1;
        out->value = f->width;
        /* Of the tenth group 63 and more are all sign. */
        if (i == 9 && group != 0 && group != 0x7f)
            return FW_E_OVERFLOW;
        value |= group << (7 * i);
        if (!(p[i] & 0x80)) {
            if (i < 9 && (group & 0x40))
                value |= UINT64_MAX << (7 * (i + 1));
            out->value = value;
            out->negative = (int)(value >> 63);
            return FW_FRAME;
        }
        if (i + 1 == f->width)
            return FW_E_LONG;
    }
    out->width = i + 1;
    return FW_MORE;
}

/* Whether `width` groups of seven bits hold the value with its sign. */
static inline int fw_fits_sleb128(uint64_t value, size_t width)
{
    uint64_t top = width < 10 ? value >> (7 * width - 1) : 0;
    return top == 0 || top == UINT64_MAX >> (7 * width - 1);
}

static inline int fw_digit(uint8_t byte, int hex)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (hex && byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (hex && byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

static inline int fw_read_digits(const fw_field *f, const uint8_t *p, size_t size, fw_number *out)
{
    int hex = f->kind == FW_HEXDIGITS;
    uint64_t value = 0;
    size_t i;
    for (i = 0; i < size && i < f->width; i++) {
        int digit = fw_digit(p[i], hex);
        out->width = i + 1;
        if (digit < 0)
            return FW_E_DIGIT;
        value = value * (hex ? 16 : 10) + (uint64_t)digit;
    }
    out->value = value;
    out->width = f->width;
    return i == f->width ? FW_FRAME : FW_MORE;
}

/* Digits up to a mark. A value beyond `ceiling` is too large whatever digits follow. */
static inline int fw_read_digits_end(const fw_field *f, const uint8_t *p, size_t size, uint64_t ceiling,
                                     fw_number *out)
{
    uint64_t value = 0;
    size_t i, mark;
    for (i = 0; i < size; i++) {
        int digit = fw_digit(p[i], 0);
        out->width = i + 1;
        if (digit < 0)
            break;
        out->value = f->width;
        if (i == f->width)
            return FW_E_LONG;
        if (i > 0 && p[0] == '0')
            return FW_E_ZERO;
        value = value * 10 + (uint64_t)digit;
        out->value = value;
        if (value > ceiling)
            return FW_E_TOO_LARGE;
    }
    if (i == 0 && size > 0)
        return FW_E_DIGIT;
    for (mark = 0; mark < f->end_size && i + mark < size; mark++) {
        out->width = i + mark + 1;
        out->value = 0;
        if (p[i + mark] != f->end[mark])
            return FW_E_DIGIT;
    }
    out->value = value;
    out->width = (i ? i : 1) + f->end_size;
    return mark == f->end_size ? FW_FRAME : FW_MORE;
}

static inline int fw_read_ber(const fw_field *f, const uint8_t *p, size_t size, fw_number *out)
{
    size_t octets = p[0] & 0x7fu;
    out->width = 1;
    out->value = p[0];
    if (!(p[0] & 0x80))
        return FW_FRAME;
    if (octets < 1 || octets > 4)
        return FW_E_INDEFINITE;
    if (f->canonical && size > 1 && (octets == 1 ? p[1] < 0x80 : p[1] == 0)) {
        out->width = 2;
        return FW_E_CANONICAL;
    }
    out->width = 1 + octets;
    if (size < 1 + octets)
        return FW_MORE;
    out->value = fw_load_be(p + 1, (unsigned)octets);
    return FW_FRAME;
}

/* Whether the first field says the value itself: small enough, and no selector. */
static inline int fw_is_direct(const fw_field *f, uint64_t value)
{
    unsigned i;
    for (i = 0; i < f->tier_count; i++)
        if (f->tiers[i].selector == value)
            return 0;
    return f->direct >= 0 && value <= (uint64_t)f->direct;
}

static inline int fw_read_tiered(const fw_field *f, const uint8_t *p, size_t size, fw_number *out)
{
    uint64_t first, selector, lower;
    unsigned i;
    out->width = f->width;
    if (size < f->width)
        return FW_MORE;
    first = fw_load(p, f->width, f->little);
    out->follows = (first & f->follow_bit) != 0;
    selector = (first & f->mask) >> f->shift;
    out->value = selector;
    for (i = 0; i < f->tier_count && f->tiers[i].selector != selector; i++)
        ;
    if (i == f->tier_count)
        return fw_is_direct(f, selector) ? FW_FRAME : FW_E_SELECTOR;
    out->width = (size_t)f->width + f->tiers[i].width;
    if (size < out->width)
        return FW_MORE;
    out->value = fw_load(p + f->width, f->tiers[i].width, f->tiers[i].little);
    if (f->tiers[i].is_signed && fw_is_negative(out->value, f->tiers[i].width)) {
        out->negative = 1;
        out->value |= ~fw_width_max(f->tiers[i].width);
        return FW_FRAME;
    }
    if (out->value > UINT64_MAX - f->tiers[i].base)
        return FW_E_OVERFLOW;
    out->value += f->tiers[i].base;
    if (!f->canonical)
        return FW_FRAME;
    if (fw_is_direct(f, out->value))
        return FW_E_CANONICAL;
    for (lower = 0; lower < i; lower++) {
        const fw_tier *tier = &f->tiers[lower];
        if (out->value >= tier->base && out->value - tier->base <= fw_width_max(tier->width) >> tier->is_signed)
            return FW_E_CANONICAL;
    }
    return FW_FRAME;
}

/* The field at p[0..size): FW_FRAME, FW_MORE or a fault; *out as its members say. */
static inline int fw_read_field(const fw_field *f, const uint8_t *p, size_t size, uint64_t ceiling,
                                fw_number *out)
{
    out->value = 0;
    out->negative = out->follows = 0;
    out->width = f->narrowest;
    if (size == 0)
        return FW_MORE;
    switch (f->kind) {
    case FW_UINT:
        if (size < f->width)
            return FW_MORE;
        out->value = fw_load(p, f->width, f->little);
        if (f->is_signed && fw_is_negative(out->value, f->width)) {
            out->negative = 1;
            out->value |= ~fw_width_max(f->width);
        } else {
            out->value = (out->value & f->mask) >> f->shift;
        }
        return FW_FRAME;
    case FW_LEB128:
    case FW_VLQ:
        return fw_read_base128(f, p, size, f->kind == FW_LEB128, out);
    case FW_ZIGZAG: {
        int status = fw_read_base128(f, p, size, 1, out);
        if (status == FW_FRAME) {
            out->negative = (int)(out->value & 1);
            out->value = fw_unzigzag(out->value);
        }
        return status;
    }
    case FW_SLEB128:
        return fw_read_sleb128(f, p, size, out);
    case FW_QUIC:
        out->width = (size_t)1 << (p[0] >> 6);
        if (size < out->width)
            return FW_MORE;
        out->value = fw_load_be(p, (unsigned)out->width) & (UINT64_MAX >> 2 >> (64 - 8 * out->width));
        return FW_FRAME;
    case FW_BER:
        return fw_read_ber(f, p, size, out);
    case FW_DIGITS_END:
        return fw_read_digits_end(f, p, size, ceiling, out);
    case FW_TIERED:
        return fw_read_tiered(f, p, size, out);
    default:
        return fw_read_digits(f, p, size, out);
    }
}

static inline unsigned fw_form_count(const fw_field *f)
{
    switch (f->kind) {
    case FW_LEB128:
    case FW_VLQ:
    case FW_ZIGZAG:
    case FW_SLEB128:
    case FW_DIGITS_END:
        return f->width;
    case FW_QUIC:
        return 4;
    case FW_BER:
        return 5;
    case FW_TIERED:
        return 1u + f->tier_count;
    default:
        return 1;
    }
}

static inline size_t fw_form_width(const fw_field *f, unsigned form)
{
    switch (f->kind) {
    case FW_LEB128:
    case FW_VLQ:
    case FW_ZIGZAG:
    case FW_SLEB128:
    case FW_BER:
        return 1 + (size_t)form;
    case FW_DIGITS_END:
        return 1 + (size_t)form + f->end_size;
    case FW_QUIC:
        return (size_t)1 << form;
    case FW_TIERED:
        return form == 0 ? f->width : (size_t)f->width + f->tiers[form - 1].width;
    default:
        return f->width;
    }
}

/* `count` digits of value to p; 0 if it has more. */
static inline int fw_write_digits(uint8_t *p, size_t count, uint64_t value, unsigned base)
{
    size_t i;
    for (i = count; i > 0; i--) {
        p[i - 1] = (uint8_t) "0123456789abcdef"[value % base];
        value /= base;
    }
    return value == 0;
}

/* Writes the field in the given form to p; 0 if that form cannot say the value. `free_bits` are the bits
 * of the first integer that do not belong to the length. */
static inline int fw_write_form(const fw_field *f, unsigned form, uint64_t value, uint64_t free_bits,
                                uint8_t *p)
{
    size_t width = fw_form_width(f, form), i;
    uint64_t most;
    const fw_tier *tier;
    switch (f->kind) {
    case FW_UINT:
        if (value > f->mask >> f->shift >> f->is_signed)
            return 0;
        fw_store(p, f->width, f->little, free_bits | value << f->shift);
        return 1;
    case FW_LEB128:
    case FW_VLQ:
    case FW_ZIGZAG:
        if (f->kind == FW_ZIGZAG)
            value = fw_zigzag(value);
        if ((width < 10 && value >> (7 * width)) || (f->mask && value > f->mask))
            return 0;
        for (i = 0; i < width; i++) {
            size_t at = f->kind == FW_VLQ ? width - 1 - i : i;
            p[at] = (uint8_t)((value & 0x7f) | (at + 1 < width ? 0x80 : 0));
            value >>= 7;
        }
        return 1;
    case FW_SLEB128:
        if (!fw_fits_sleb128(value, width))
            return 0;
        for (i = 0; i < width; i++) {
            p[i] = (uint8_t)((value & 0x7f) | (i + 1 < width ? 0x80 : 0));
            value = value >> 7 | (value >> 63 ? ~(UINT64_MAX >> 7) : 0);
        }
        return 1;
    case FW_QUIC:
        most = UINT64_MAX >> 2 >> (64 - 8 * width);
        if (value > most)
            return 0;
        fw_store_be(p, (unsigned)width, value | (uint64_t)form << (8 * width - 2));
        return 1;
    case FW_BER:
        if (value > (form == 0 ? 0x7f : fw_width_max(form)))
            return 0;
        p[0] = (uint8_t)(form == 0 ? value : 0x80u | form);
        if (form)
            fw_store_be(p + 1, form, value);
        return 1;
    case FW_DIGITS_END:
        memcpy(p + form + 1, f->end, f->end_size);
        return fw_write_digits(p, (size_t)form + 1, value, 10);
    case FW_TIERED:
        if (form == 0) {
            if (!fw_is_direct(f, value))
                return 0;
            fw_store(p, f->width, f->little, free_bits | value << f->shift);
            return 1;
        }
        tier = &f->tiers[form - 1];
        if (value < tier->base || value - tier->base > fw_width_max(tier->width) >> tier->is_signed)
            return 0;
        fw_store(p, f->width, f->little, free_bits | tier->selector << f->shift);
        fw_store(p + f->width, tier->width, tier->little, value - tier->base);
        return 1;
    default:
        return fw_write_digits(p, f->width, value, f->kind == FW_HEXDIGITS ? 16 : 10);
    }
}

/* How far the body's start lies behind the point the value counts from. */
static inline int64_t fw_behind(const fw_plan *plan, size_t at, size_t width, size_t after)
{
    switch (plan->counts) {
    case FW_REST:
        return (int64_t)after;
    case FW_FIELD:
        return (int64_t)(width + after);
    case FW_WHOLE:
        return (int64_t)(at + width + after);
    default:
        return 0;
    }
}

/* Whether a length says that the frame is its header. */
static inline int fw_is_control(const fw_plan *plan, uint64_t value)
{
    uint32_t i;
    for (i = 0; i < plan->control_count; i++)
        if (plan->control[i] == value)
            return 1;
    return 0;
}

/* The index of the first byte of p[0..size) that contradicts the magic, or SIZE_MAX. */
static inline size_t fw_bad_magic(const fw_plan *plan, const uint8_t *p, size_t size)
{
    size_t bad = SIZE_MAX;
    uint32_t i, a;
    for (i = 0; i < plan->magic_count; i++) {
        const fw_magic *m = &plan->magic[i];
        size_t have = size > m->offset ? size - m->offset : 0, best = 0;
        if (have > m->size)
            have = m->size;
        for (a = 0; a < m->count; a++) {
            size_t same = 0;
            while (same < have && p[m->offset + same] == m->bytes[a * (size_t)m->size + same])
                same++;
            if (same > best)
                best = same;
        }
        if (best < have && m->offset + best < bad)
            bad = m->offset + best;
    }
    return bad;
}

#endif
