/* Byte stuffing: SLIP (RFC 1055), HDLC-like framing (RFC 1662) and COBS (Cheshire and Baker, 1999).
 *
 * A frame ends with one byte that its stuffed content never holds, so a broken frame costs no more than
 * itself: every fault here is recoverable, and a delimiter with nothing before it is idle fill. Content only
 * shrinks when it is unstuffed; fw_cut_stuffed checks all of it, so that fw_join cannot fail. Limits are
 * about the unstuffed content: a frame is too large when that is, or when so many stuffed bytes came without
 * an end that it must be. */
#include "fw_stuff.h"
#include "fw_bytes.h"

enum {
    SLIP_END = 0xc0, SLIP_ESC = 0xdb, SLIP_ESC_END = 0xdc, SLIP_ESC_ESC = 0xdd,
    HDLC_FLAG = 0x7e, HDLC_ESC = 0x7d, HDLC_FLIP = 0x20
};

/* How many stuffed bytes the largest content can take. */
static uint64_t reach_of(const fw_plan *plan)
{
    if (plan->kind == FW_COBS)
        return plan->max_frame + plan->max_frame / 254 + 1;
    return 2 * (plan->max_frame + plan->check_size);
}

/* The frame check sequences of RFC 1662, appendix C: reflected, all ones to begin with. crc[k][n] is what the
 * half byte n comes to when k more have followed it, so that the sixteen of eight bytes are looked up side by
 * side. */
static void prepare_crc(fw_plan *plan)
{
    const uint32_t polynomial = plan->check_size == 2 ? 0x8408 : 0xedb88320;
    uint32_t n, k, bit;
    for (n = 0; n < 16; n++) {
        uint32_t crc = n;
        for (k = 0; k < 16; k++) {
            for (bit = 0; bit < 4; bit++)
                crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
            plan->crc[k][n] = crc;
        }
    }
}

static uint32_t crc_start(const fw_plan *plan) { return plan->check_size == 2 ? 0xffff : 0xffffffff; }

/* What a crc over content and its check sequence comes to. */
static uint32_t crc_good(const fw_plan *plan) { return plan->check_size == 2 ? 0xf0b8 : 0xdebb20e3; }

static uint32_t crc_byte(const fw_plan *plan, uint32_t crc, uint8_t byte)
{
    return crc >> 8 ^ plan->crc[1][(crc ^ byte) & 15] ^ plan->crc[0][(crc ^ byte) >> 4 & 15];
}

static uint32_t crc_run(const fw_plan *plan, uint32_t crc, const uint8_t *data, size_t size)
{
    const uint32_t (*t)[16] = plan->crc;
    for (; size >= 8; size -= 8, data += 8) {
        const uint32_t a = crc ^ (uint32_t)fw_load_le(data, 4), b = (uint32_t)fw_load_le(data + 4, 4);
        crc = t[15][a & 15] ^ t[14][a >> 4 & 15] ^ t[13][a >> 8 & 15] ^ t[12][a >> 12 & 15]
            ^ t[11][a >> 16 & 15] ^ t[10][a >> 20 & 15] ^ t[9][a >> 24 & 15] ^ t[8][a >> 28]
            ^ t[7][b & 15] ^ t[6][b >> 4 & 15] ^ t[5][b >> 8 & 15] ^ t[4][b >> 12 & 15]
            ^ t[3][b >> 16 & 15] ^ t[2][b >> 20 & 15] ^ t[1][b >> 24 & 15] ^ t[0][b >> 28];
    }
    for (; size > 0; size--, data++)
        crc = crc_byte(plan, crc, *data);
    return crc;
}

void fw_prepare_stuffed(fw_plan *plan)
{
    static const uint8_t marks[3] = {SLIP_END, HDLC_FLAG, 0};
    plan->delimiter_count = 1;
    plan->delimiters[0].bytes = &marks[plan->kind - FW_SLIP];
    plan->delimiters[0].size = 1;
    plan->joins = plan->strip;
    if (plan->check_size)
        prepare_crc(plan);
}

/* The content of SLIP and HDLC bytes, which end with a whole escape, to out; its size. */
static size_t unescape(const fw_plan *plan, const uint8_t *data, size_t size, uint8_t *out)
{
    const uint8_t escape = plan->kind == FW_SLIP ? SLIP_ESC : HDLC_ESC;
    size_t at = 0, made = 0;
    while (at < size) {
        const uint8_t *hit = (const uint8_t *)memchr(data + at, escape, size - at);
        const size_t run = hit ? (size_t)(hit - data) - at : size - at;
        memcpy(out + made, data + at, run);
        made += run;
        at += run;
        if (hit) {
            uint8_t next = data[at + 1];
            if (plan->kind == FW_SLIP)
                out[made++] = next == SLIP_ESC_END ? SLIP_END : SLIP_ESC;
            else
                out[made++] = next ^ HDLC_FLIP;
            at += 2;
        }
    }
    return made;
}

/* COBS, of which fw_cut_stuffed has seen that every code stays inside. Here and in code() it is memmove, as
 * compilers that know how short a run is make `rep movs` of memcpy, at several times the cost. */
static size_t uncode(const fw_plan *plan, const uint8_t *data, size_t size, uint8_t *out)
{
    size_t at = 0, made = 0;
    while (at < size) {
        size_t code = data[at++], run = code - 1;
        if (plan->reduced && run > size - at) {
            memcpy(out + made, data + at, size - at);
            made += size - at;
            out[made++] = (uint8_t)code;
            break;
        }
        memmove(out + made, data + at, run);
        made += run;
        at += run;
        if (code < 255 && at < size)
            out[made++] = 0;
    }
    return made;
}

size_t fw_join_stuffed(const fw_plan *plan, const uint8_t *data, size_t size, uint8_t *out)
{
    if (plan->kind == FW_COBS)
        return uncode(plan, data, size, out);
    return unescape(plan, data, size, out) - plan->check_size;
}

static int broken(fw_cursor *c, int status, uint64_t value, size_t proof, size_t end)
{
    c->value = value;
    c->scale = 0;
    c->delta = 0;
    c->proof = proof;
    c->recover = end;
    return status;
}

/* SLIP and HDLC: FW_FRAME with the size of the content, FW_MORE for a frame that is to be forgotten. */
static int check_escaped(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, uint64_t *content)
{
    const uint8_t escape = plan->kind == FW_SLIP ? SLIP_ESC : HDLC_ESC;
    uint32_t crc = crc_start(plan);
    size_t at = 0, escapes = 0;
    if (plan->kind == FW_HDLC && data[size - 1] == HDLC_ESC)
        return FW_MORE;
    while (at < size) {
        const uint8_t *hit = (const uint8_t *)memchr(data + at, escape, size - at);
        const size_t run = hit ? (size_t)(hit - data) - at : size - at;
        if (plan->check_size)
            crc = crc_run(plan, crc, data + at, run);
        at += run;
        if (hit == NULL)
            break;
        /* Behind the last byte stands the mark, which no escape goes with. */
        if (plan->kind == FW_SLIP && data[at + 1] != SLIP_ESC_END && data[at + 1] != SLIP_ESC_ESC)
            return broken(c, FW_E_ESCAPE, 0, at + 2, size + 1);
        if (plan->check_size)
            crc = crc_byte(plan, crc, data[at + 1] ^ HDLC_FLIP);
        at += 2;
        escapes++;
    }
    *content = size - escapes;
    if (*content < plan->check_size)
        return FW_MORE;
    *content -= plan->check_size;
    return plan->check_size == 0 || crc == crc_good(plan) ? FW_FRAME
                                                          : broken(c, FW_E_CHECK, 0, size + 1, size + 1);
}

static int check_coded(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, uint64_t *content)
{
    size_t at = 0;
    *content = 0;
    while (at < size) {
        size_t code = data[at], rest = size - at;
        if (code > rest) {
            if (!plan->reduced)
                return broken(c, FW_E_CODE, code, size + 1, size + 1);
            *content += rest;
            return FW_FRAME;
        }
        at += code;
        *content += code - 1 + (code < 255 && at < size);
    }
    return FW_FRAME;
}

/* What is in the frame data[0..size), which its mark follows: FW_FRAME with the size of the content, FW_MORE
 * for a frame that is to be forgotten, or a fault. */
static int check(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, uint64_t *content)
{
    return plan->kind == FW_COBS ? check_coded(plan, data, size, c, content)
                                 : check_escaped(plan, data, size, c, content);
}

int fw_cut_stuffed(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, fw_frame *out)
{
    const uint64_t reach = reach_of(plan);
    while (c->pos < size) {
        const uint8_t *start = data + c->pos;
        size_t have = size - c->pos;
        size_t bound = have > reach ? (size_t)reach + 1 : have;
        const uint8_t *hit = (const uint8_t *)memchr(start + c->scanned, plan->last, bound - c->scanned);
        size_t length;
        uint64_t content;
        int status;
        if (hit == NULL) {
            c->scanned = bound;
            if (have > reach)
                return broken(c, FW_E_TOO_LARGE, 0, (size_t)reach + 1, 0);
            break;
        }
        length = (size_t)(hit - start);
        c->scanned = 0;
        if (length > 0) {
            status = check(plan, start, length, c, &content);
            if (status < 0)
                return status;
            if (status == FW_FRAME && content > plan->max_frame)
                return broken(c, FW_E_TOO_LARGE, 0, length + 1, 0);
            if (status == FW_FRAME) {
                out->start = c->pos;
                out->stop = c->pos + length + !plan->strip;
                c->pos += length + 1;
                return FW_FRAME;
            }
        }
        c->pos += length + 1;
    }
    c->need = size - c->pos < plan->min_size ? plan->min_size - (size - c->pos) : 1;
    return FW_MORE;
}

int fw_encode_stuffed(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w)
{
    fw_cursor c = {0};
    const uint8_t *mark;
    int status;
    w->keep = w->resume = size;
    w->value = size;
    if (plan->strip) {
        if (size == 0 && plan->kind != FW_COBS && plan->check_size == 0)
            return FW_E_EMPTY;
        return size > plan->max_frame ? FW_E_TOO_LARGE : FW_FRAME;
    }
    mark = size ? (const uint8_t *)memchr(message, plan->last, size) : NULL;
    if (mark == NULL)
        return FW_E_UNTERMINATED;
    w->at = (size_t)(mark - message);
    w->value = 1;
    if (w->at == 0 || w->at + 1 < size)
        return FW_E_DELIMITER;
    status = check(plan, message, size - 1, &c, &w->value);
    if (status == FW_FRAME)
        return w->value > plan->max_frame ? FW_E_TOO_LARGE : FW_FRAME;
    /* What the decoder forgets in silence is refused as what it is, an abort or a runt. */
    w->proof = size;
    if (status == FW_MORE)
        return message[size - 2] == HDLC_ESC ? FW_E_ESCAPE : FW_E_CHECK;
    w->value = c.value;
    w->proof = c.proof;
    return status;
}

size_t fw_expanded_most_stuffed(const fw_plan *plan, size_t size)
{
    return plan->kind == FW_COBS ? size + size / 254 + 2 : 2 * (size + plan->check_size) + 1;
}

/* SLIP and HDLC: data[0..size) with its escapes to out; the end of it. Eight bytes at once as long as none of
 * them is the mark or the escape byte: a byte of x - ones has its top bit set and x has not where x is 0. */
static uint8_t *escaped(const fw_plan *plan, const uint8_t *data, size_t size, uint8_t *out)
{
    const uint64_t ones = UINT64_MAX / 255, tops = ones << 7;
    const uint8_t mark = plan->last, escape = plan->kind == FW_SLIP ? SLIP_ESC : HDLC_ESC;
    size_t at = 0, stop;
    while (at < size) {
        for (; size - at >= 8; at += 8, out += 8) {
            const uint64_t word = fw_load_le(data + at, 8), a = word ^ ones * mark, b = word ^ ones * escape;
            if ((((a - ones) & ~a) | ((b - ones) & ~b)) & tops)
                break;
            memcpy(out, data + at, 8);
        }
        for (stop = size - at < 8 ? size : at + 8; at < stop; at++) {
            const uint8_t byte = data[at];
            if (byte != mark && byte != escape) {
                *out++ = byte;
                continue;
            }
            *out++ = escape;
            if (plan->kind == FW_HDLC)
                *out++ = byte ^ HDLC_FLIP;
            else
                *out++ = byte == SLIP_END ? SLIP_ESC_END : SLIP_ESC_ESC;
        }
    }
    return out;
}

static size_t code(const fw_plan *plan, const uint8_t *message, size_t size, uint8_t *out)
{
    uint8_t *const begin = out, *block = out++;
    size_t at = 0;
    while (at < size) {
        const size_t room = size - at < 254 ? size - at : 254;
        const uint8_t *hit = (const uint8_t *)memchr(message + at, 0, room);
        const size_t run = hit ? (size_t)(hit - (message + at)) : room;
        memmove(out, message + at, run);
        out += run;
        at += run;
        *block = (uint8_t)(run + 1);
        if (hit)
            at++;
        else if (at == size)
            break;
        block = out++;
        *block = 1;
    }
    if (size == 0)
        *block = 1;
    /* The last byte can stand in the place of the last code if it is at least as large. */
    if (plan->reduced && out - block > 1 && out[-1] >= out - block) {
        *block = out[-1];
        out--;
    }
    *out++ = 0;
    return (size_t)(out - begin);
}

size_t fw_expand_stuffed(const fw_plan *plan, const uint8_t *message, size_t size, uint8_t *out)
{
    uint8_t *const begin = out, check_bytes[4];
    if (plan->kind == FW_COBS)
        return code(plan, message, size, out);
    out = escaped(plan, message, size, out);
    if (plan->check_size) {
        fw_store_le(check_bytes, 4, ~crc_run(plan, crc_start(plan), message, size));
        out = escaped(plan, check_bytes, plan->check_size, out);
    }
    *out++ = plan->last;
    return (size_t)(out - begin);
}
