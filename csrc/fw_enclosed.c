/* Frames between a start and an end mark, with an escape byte or without: MLLP, STX/ETX, DLE framing.
 *
 * What stands between two frames is noise. The cursor moves over it as soon as it is known to be noise, so
 * that it costs no memory and the stream may end in it; how much it was is remembered in `scanned`, from
 * HUNT upwards. Inside a frame `scanned` is where the walk goes on: at an element, which is a byte, or an
 * escape byte with the one behind it. A mark counts only where an element begins; a mark may itself begin
 * with the escape byte (DLE ETX). Limits are about the unescaped body: it is too large when it is, or when
 * so many bytes came without an end that it must be. Every event in the walk is decided by the same byte
 * whichever way the stream was cut. */
#include "fw_enclosed.h"
#include "fw_bytes.h"

#define HUNT (SIZE_MAX / 2 + 1)

enum event { NOTHING, END, START };

static size_t find_byte(const uint8_t *p, uint8_t byte, size_t from, size_t to)
{
    const uint8_t *hit = (const uint8_t *)memchr(p + from, byte, to - from);
    return hit ? (size_t)(hit - p) : to;
}

/* Whether the mark stands at p: 1, 0, or -1 where the data ends inside what could be it. */
static int stands(const fw_delimiter *mark, const uint8_t *p, size_t have)
{
    const size_t n = have < mark->size ? have : mark->size;
    if (memcmp(p, mark->bytes, n) != 0)
        return 0;
    return n == mark->size ? 1 : -1;
}

/* The first mark from the element at *at on, and *at is where; or NOTHING, and *at is the first element that
 * is not decided yet. Every byte is looked at once for every kind of byte that matters: what comes before
 * the next candidate of the end is all that the other kinds are searched in. */
static enum event walk(const fw_plan *plan, const uint8_t *p, size_t size, size_t *at)
{
    const fw_delimiter *end = &plan->delimiters[0], *open = &plan->opening;
    size_t i = *at, closing = find_byte(p, end->bytes[0], i, size);
    enum event event = NOTHING;
    while (i < size) {
        int pair, is_end, is_open = 0;
        if (closing < i)
            closing = find_byte(p, end->bytes[0], i, size);
        i = plan->stuffs ? find_byte(p, plan->escape_byte, i, closing) : closing;
        if (plan->restarts)
            i = find_byte(p, open->bytes[0], *at, i);
        if (i == size)
            break;
        pair = plan->stuffs && p[i] == plan->escape_byte;
        is_end = stands(end, p + i, size - i);
        if (plan->restarts)
            is_open = stands(open, p + i, size - i);
        if (is_end == 1 || is_open == 1) {
            event = is_end == 1 ? END : START;
            break;
        }
        if (is_end < 0 || is_open < 0 || (pair && size - i < 2))
            break;
        i += pair ? 2 : 1;
        *at = i;
    }
    *at = i;
    return event;
}

/* How many bytes the largest body can take. */
static uint64_t reach_of(const fw_plan *plan) { return plan->stuffs ? 2 * plan->max_frame : plan->max_frame; }

static int broken(fw_cursor *c, int status, uint64_t value, size_t proof, size_t recover)
{
    c->value = value;
    c->scale = 0;
    c->delta = 0;
    c->end = 0;
    c->proof = proof;
    c->recover = recover;
    return status;
}

/* Moves c->pos over noise to the next start mark: FW_FRAME if there is one. */
static int hunt(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c)
{
    const fw_delimiter *open = &plan->opening;
    const uint8_t *p = data + c->pos;
    const uint64_t noise = c->scanned >= HUNT ? c->scanned - HUNT : 0, left = plan->noise_limit - noise;
    const size_t have = size - c->pos, bound = left < have ? (size_t)left + 1 : have;
    size_t i = find_byte(p, open->bytes[0], 0, bound), j, k, proof = 0;
    int found = 0;
    while (i < bound && (found = stands(open, p + i, have - i)) == 0)
        i = find_byte(p, open->bytes[0], i + 1, bound);
    if (i < bound || left >= have) {
        c->pos += i;
        c->scanned = found == 1 ? 0 : HUNT + (size_t)noise + i;
        c->need = plan->min_size - (have - i);
        return found == 1 ? FW_FRAME : FW_MORE;
    }
    /* The last of the bytes that show that no start mark stands at any place where one may. */
    for (j = left < open->size ? 0 : (size_t)left + 1 - open->size; j <= left; j++) {
        for (k = j; p[k] == open->bytes[k - j]; k++)
            ;
        proof = k + 1 > proof ? k + 1 : proof;
    }
    c->pos += (size_t)left;
    return broken(c, FW_E_NOISE, plan->noise_limit, proof - (size_t)left, 0);
}

static uint64_t content_of(const fw_plan *plan, const uint8_t *p, size_t size)
{
    size_t i, escapes = 0;
    for (i = 0; plan->stuffs && (i = find_byte(p, plan->escape_byte, i, size)) < size; i += 2)
        escapes++;
    return size - escapes;
}

/* The first element of the undecided data[0..size) where the mark may stand; size, or behind it: nowhere. */
static size_t candidate(const fw_plan *plan, const fw_delimiter *mark, const uint8_t *data, size_t size)
{
    size_t i = 0;
    while (i < size && stands(mark, data + i, size - i) == 0)
        i += plan->stuffs && data[i] == plan->escape_byte ? 2 : 1;
    return i;
}

/* The fewest bytes that complete a frame whose undecided end is data[0..size). */
static uint64_t end_need(const fw_plan *plan, const uint8_t *data, size_t size)
{
    const fw_delimiter *end = &plan->delimiters[0];
    return (uint64_t)candidate(plan, end, data, size) + end->size + plan->trailer_size - size;
}

int fw_cut_enclosed(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, fw_frame *out)
{
    const size_t head = plan->opening.size, closing = plan->delimiters[0].size;
    const uint64_t reach = reach_of(plan);
    /* So far one has to see, to know of every place inside the reach what stands there. */
    const uint64_t sight = reach + head + (head > closing ? head : closing) + 1;
    for (;;) {
        const uint8_t *p;
        size_t have, at, whole;
        enum event event;
        if (stands(&plan->opening, data + c->pos, size - c->pos) != 1) {
            int status = hunt(plan, data, size, c);
            if (status != FW_FRAME)
                return status;
        }
        p = data + c->pos;
        have = size - c->pos;
        at = c->scanned == 0 || c->scanned >= HUNT ? head : c->scanned;
        event = walk(plan, p, have > sight ? (size_t)sight : have, &at);
        if (at - head > reach || (event == END && at - head > plan->max_frame
                                  && content_of(plan, p + head, at - head) > plan->max_frame))
            return broken(c, FW_E_TOO_LARGE, 0, at, 0);
        c->scanned = at;
        if (event == START) {
            if (at > head)
                return broken(c, FW_E_RESTART, 0, at + head, at);
            /* A start mark on a start mark is fill. */
            c->pos += head;
            c->scanned = 0;
            continue;
        }
        if (event == NOTHING) {
            c->need = end_need(plan, p + at, have - at);
            return FW_MORE;
        }
        whole = at + closing + plan->trailer_size;
        if (whole > have) {
            c->need = whole - have;
            return FW_MORE;
        }
        out->start = c->pos + (plan->strip ? head : 0);
        out->stop = c->pos + (plan->strip ? at : whole);
        c->pos += whole;
        c->scanned = 0;
        return FW_FRAME;
    }
}

/* Here `scanned` is 0 in front of the start mark of the frame, 1 behind it. */
size_t fw_pass_enclosed(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, int *done)
{
    size_t at = c->scanned ? 0 : plan->opening.size, whole;
    enum event event = walk(plan, data, size, &at);
    c->scanned = 1;
    whole = at + plan->delimiters[0].size + plan->trailer_size;
    *done = event == START || (event == END && whole <= size);
    return event == END && *done ? whole : at;
}

uint64_t fw_find_need_enclosed(const fw_plan *plan, const uint8_t *data, size_t size)
{
    /* With `restarts` a start mark ends what is discarded, and is of the next frame: less than nothing. */
    if (plan->restarts && stands(&plan->delimiters[0], data, size) != 1)
        return (uint64_t)candidate(plan, &plan->opening, data, size) - size;
    return end_need(plan, data, size);
}

size_t fw_join_enclosed(const fw_plan *plan, const uint8_t *data, size_t size, uint8_t *out)
{
    size_t at = 0, made = 0;
    for (;;) {
        const size_t hit = find_byte(data, plan->escape_byte, at, size);
        memcpy(out + made, data + at, hit - at);
        made += hit - at;
        if (hit == size)
            return made;
        out[made++] = data[hit + 1] ^ plan->escape_flip;
        at = hit + 2;
    }
}

static int misread(fw_wire *w, size_t at, size_t size)
{
    w->at = at;
    w->value = size;
    return FW_E_DELIMITER;
}

static int encode_whole(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w)
{
    fw_cursor c = {0};
    fw_frame frame;
    const fw_delimiter *open = &plan->opening;
    int status = stands(open, message, size);
    if (status == 0) {
        for (w->proof = 1, w->value = 0; message[w->proof - 1] == open->bytes[w->proof - 1]; w->proof++)
            ;
        return FW_E_NOISE;
    }
    status = status < 0 ? FW_MORE : fw_cut_enclosed(plan, message, size, &c, &frame);
    if (status == FW_MORE)
        return FW_E_UNTERMINATED;
    w->keep = w->resume = size;
    w->value = status == FW_E_TOO_LARGE ? size : c.value;
    w->proof = c.proof;
    if (status == FW_FRAME && frame.start != 0)
        return misread(w, open->size, open->size);
    if (status == FW_FRAME && c.pos != size)
        return misread(w, c.pos - plan->trailer_size - plan->delimiters[0].size, plan->delimiters[0].size);
    return status;
}

int fw_encode_enclosed(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w)
{
    const fw_delimiter *end = &plan->delimiters[0], *open = &plan->opening;
    uint8_t seam[2 * 256];
    size_t at = 0, kept, i = 0;
    enum event event;
    if (!plan->strip)
        return encode_whole(plan, message, size, w);
    w->value = size;
    if (size > plan->max_frame)
        return FW_E_TOO_LARGE;
    if (plan->stuffs) {
        w->keep = w->resume = size;
        return FW_FRAME;
    }
    event = walk(plan, message, size, &at);
    if (event != NOTHING)
        return misread(w, at, event == END ? end->size : open->size);
    /* The end of the message with the mark behind it: the first mark there must be that one. */
    kept = size - at;
    if (kept)
        memcpy(seam, message + at, kept);
    memcpy(seam + kept, end->bytes, end->size);
    event = walk(plan, seam, kept + end->size, &i);
    if (event == START || i != kept)
        return misread(w, at + i, event == START ? open->size : end->size);
    memcpy(w->made, open->bytes, open->size);
    w->made_size = open->size;
    w->tail = end->bytes;
    w->tail_size = end->size;
    return FW_FRAME;
}

size_t fw_expanded_most_enclosed(const fw_plan *plan, size_t size)
{
    return plan->opening.size + 2 * size + plan->delimiters[0].size;
}

size_t fw_expand_enclosed(const fw_plan *plan, const uint8_t *message, size_t size, uint8_t *out)
{
    const fw_delimiter *end = &plan->delimiters[0], *open = &plan->opening;
    uint8_t *const begin = out;
    size_t i;
    memcpy(out, open->bytes, open->size);
    out += open->size;
    for (i = 0; i < size; i++) {
        const uint8_t byte = message[i];
        if (byte == plan->escape_byte || byte == open->bytes[0] || byte == end->bytes[0]) {
            *out++ = plan->escape_byte;
            *out++ = byte ^ plan->escape_flip;
        } else {
            *out++ = byte;
        }
    }
    memcpy(out, end->bytes, end->size);
    return (size_t)(out + end->size - begin);
}
