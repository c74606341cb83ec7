/* Frames that come in fragments: a bit of the length marks the last one (SunRPC record marking, RFC 5531),
 * or a length of `full` says that another follows (MySQL), whose counter, a byte of the header, goes on by
 * one.
 *
 * Every fragment has a header of one size, so what a cursor remembers of an unfinished frame is how many
 * bytes and how many fragments are behind it: the bodies among them are the rest. A header is judged when
 * all of it is there, but for its fixed bytes and the counter, which are judged on arrival. The joined body
 * is limited by max_frame, and the number of fragments by most_fragments: empty ones would cost their peer
 * next to nothing, and us a header each. */
#include "fw_fragments.h"
#include "fw_field.h"

static size_t header_of(const fw_plan *plan)
{
    return (size_t)plan->offset + plan->field.width + plan->after;
}

void fw_prepare_fragments(fw_plan *plan)
{
    plan->joins = 1;
    plan->delta = plan->adjust - fw_behind(plan, plan->offset, plan->field.width, plan->after);
}

/* The length in the header at p; whether the fragment is the last one to *last. */
static uint64_t length_of(const fw_plan *plan, const uint8_t *p, int *last)
{
    const fw_field *f = &plan->field;
    const uint64_t raw = fw_load(p + plan->offset, f->width, f->little);
    const uint64_t value = (raw & f->mask) >> f->shift;
    *last = plan->last_bit ? (raw & plan->last_bit) != 0 : value != plan->full;
    return value;
}

static int broken(fw_cursor *c, int status, uint64_t value, size_t proof)
{
    c->value = value;
    c->scale = 0;
    c->delta = 0;
    c->proof = proof;
    return status;
}

int fw_cut_fragments(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, fw_frame *out)
{
    const size_t header = header_of(plan), have = size - c->pos;
    const uint8_t *const first = data + c->pos;
    const uint64_t below = plan->delta < 0 ? (uint64_t)-plan->delta : 0;
    size_t at = c->scanned, count = at ? (size_t)c->start : 0;
    uint64_t sum = at - count * header;
    for (;;) {
        const uint8_t *const p = first + at;
        const size_t left = have - at, bad = plan->magic_count ? fw_bad_magic(plan, p, left) : SIZE_MAX;
        const size_t counter = plan->counter_at;
        uint64_t value, units, body;
        int last;
        c->scanned = at;
        c->start = count;
        if (plan->has_counter && count && counter < left && counter < bad
            && p[counter] != (uint8_t)(first[counter] + count))
            return broken(c, FW_E_COUNTER, (uint8_t)(first[counter] + count), at + counter + 1);
        if (bad != SIZE_MAX)
            return broken(c, FW_E_MAGIC, 0, at + bad + 1);
        if (left < header) {
            c->need = plan->min_size - left;
            return FW_MORE;
        }
        value = length_of(plan, p, &last);
        units = value > FW_FAR / plan->scale ? FW_FAR : value * plan->scale;
        if (units < below)
            return broken(c, FW_E_SHORT, value, at + header);
        body = units + (uint64_t)plan->delta;
        if (body > plan->max_frame - sum) {
            broken(c, FW_E_TOO_LARGE, value, at + header);
            c->scale = plan->scale;
            c->delta = plan->delta + (int64_t)sum;
            c->end = FW_FAR;
            return FW_E_TOO_LARGE;
        }
        if (!last && ++count == plan->most_fragments)
            return broken(c, FW_E_FRAGMENTS, plan->most_fragments, at + header);
        if (body > left - header) {
            c->need = body - (left - header) + (last ? 0 : plan->min_size);
            return FW_MORE;
        }
        at += header + (size_t)body;
        sum += body;
        if (last) {
            out->start = c->pos;
            c->pos += at;
            out->stop = c->pos;
            c->scanned = 0;
            return FW_FRAME;
        }
    }
}

size_t fw_join_fragments(const fw_plan *plan, const uint8_t *data, size_t size, uint8_t *out)
{
    const size_t header = header_of(plan);
    size_t at = 0, made = 0;
    if (!plan->strip) {
        memcpy(out, data, header);
        made = header;
    }
    while (at < size) {
        int last;
        const size_t body =
            (size_t)((int64_t)(length_of(plan, data + at, &last) * plan->scale) + plan->delta);
        memcpy(out + made, data + at + header, body);
        made += body;
        at += header + body;
    }
    return made;
}

int fw_encode_fragments(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w)
{
    const size_t header = plan->strip ? 0 : header_of(plan);
    const size_t bad = plan->strip ? SIZE_MAX : fw_bad_magic(plan, message, size);
    uint64_t rest;
    int64_t units;
    w->proof = 0;
    if (bad != SIZE_MAX) {
        w->value = 0;
        w->proof = bad + 1;
        return FW_E_MAGIC;
    }
    if (size < header) {
        w->announced = header;
        return FW_E_WHOLE_SHORT;
    }
    rest = size - header;
    w->value = rest;
    if (rest > plan->max_frame)
        return FW_E_TOO_LARGE;
    if (!plan->last_bit) {
        if (rest / plan->full_body >= plan->most_fragments)
            return FW_E_UNSAYABLE;
        rest %= plan->full_body;
    }
    units = (int64_t)rest - plan->delta;
    if (units < 0)
        return FW_E_UNSAYABLE;
    if ((uint64_t)units % plan->scale)
        return FW_E_SCALE;
    return (uint64_t)units / plan->scale > plan->field.mask >> plan->field.shift ? FW_E_UNSAYABLE : FW_FRAME;
}

size_t fw_expanded_most_fragments(const fw_plan *plan, size_t size)
{
    const size_t header = header_of(plan), body = plan->strip ? size : size - header;
    return body + header * (plan->last_bit ? 1 : (size_t)(body / plan->full_body) + 1);
}

/* The header of fragment `number`, which carries `body` bytes, to out: that of the message, or one made. */
static void put_header(const fw_plan *plan, const uint8_t *message, size_t body, size_t number, uint8_t *out)
{
    const fw_field *f = &plan->field;
    uint64_t raw = (uint64_t)((int64_t)body - plan->delta) / plan->scale << f->shift | plan->last_bit;
    uint32_t i;
    if (plan->strip) {
        memset(out, 0, header_of(plan));
        for (i = 0; i < plan->magic_count; i++)
            memcpy(out + plan->magic[i].offset, plan->magic[i].bytes, plan->magic[i].size);
    } else {
        memcpy(out, message, header_of(plan));
        raw |= fw_load(out + plan->offset, f->width, f->little) & ~f->mask;
    }
    fw_store(out + plan->offset, f->width, f->little, raw);
    if (plan->has_counter)
        out[plan->counter_at] = (uint8_t)(out[plan->counter_at] + number);
}

size_t fw_expand_fragments(const fw_plan *plan, const uint8_t *message, size_t size, uint8_t *out)
{
    const size_t header = header_of(plan);
    size_t at = plan->strip ? 0 : header, made = 0, number = 0, body;
    do {
        body = size - at;
        if (!plan->last_bit && body > plan->full_body)
            body = (size_t)plan->full_body;
        put_header(plan, message, body, number++, out + made);
        memcpy(out + made + header, message + at, body);
        made += header + body;
        at += body;
    } while (at < size || (!plan->last_bit && body == plan->full_body));
    return made;
}
