/* Bytes -> frames: counted, scanned and tagged framings behind fw_cut.
 *
 * A counted frame is read in three steps, each a function: the header (read_head), what its value means
 * (measure), the frame itself (cut_counted). A fault inside the header is the one that the earliest byte
 * proves; what the length means is judged only when the whole header is there. The two
 * commonest kinds of frame are found by fw_next.h, which leaves the last frame of the data and everything
 * unusual to the functions here. */
#include "fw_dotted.h"
#include "fw_enclosed.h"
#include "fw_field.h"
#include "fw_fragments.h"
#include "fw_next.h"
#include "fw_stuff.h"
#include "fw_talk.h"
#include "fw_text.h"

typedef struct fw_head {
    uint64_t value;
    int64_t delta;      /* the body has value * scale + delta bytes */
    size_t body;        /* where it starts */
    int negative;
} fw_head;

static size_t widest(const fw_field *field)
{
    return field->kind == FW_NONE ? 0 : fw_form_width(field, fw_form_count(field) - 1);
}

void fw_prepare(fw_plan *plan)
{
    uint32_t i;
    int64_t delta;
    int within;
    if (plan->kind == FW_FRAGMENTED)
        fw_prepare_fragments(plan);
    else if (plan->kind >= FW_SLIP && plan->kind <= FW_COBS)
        fw_prepare_stuffed(plan);
    if (plan->kind == FW_HEADERS || plan->kind == FW_CHUNKED)
        fw_prepare_text(plan);
    if (plan->kind == FW_DOTTED || plan->kind == FW_ENCLOSED)
        plan->joins = plan->strip && (plan->kind == FW_DOTTED || plan->stuffs);
    if (plan->delimiter_count) {
        plan->one_last = 1;
        for (i = 0; i < plan->delimiter_count; i++) {
            const fw_delimiter *one = &plan->delimiters[i];
            uint8_t last = one->bytes[one->size - 1];
            uint32_t j = i;
            plan->last_bytes[last >> 3] |= (uint8_t)(1u << (last & 7));
            if (last != plan->delimiters[0].bytes[plan->delimiters[0].size - 1])
                plan->one_last = 0;
            for (; j > 0 && plan->by_size[j - 1].size < one->size; j--)
                plan->by_size[j] = plan->by_size[j - 1];
            plan->by_size[j] = *one;
        }
        plan->longest = plan->by_size[0].size;
        plan->last = plan->by_size[0].bytes[plan->longest - 1];
    }
    if (plan->kind != FW_COUNTED)
        return;
    delta = plan->adjust - fw_behind(plan, plan->lead.kind == FW_NONE ? plan->offset : widest(&plan->lead),
                                  widest(&plan->field) + (plan->has_escape ? plan->escape.width : 0u),
                                  plan->after + plan->field.follow_size);
    plan->delta = delta;
    plan->least_value = delta < 0 ? (uint64_t)-delta : 0;
    within = delta < 0 || plan->max_frame >= (uint64_t)delta;
    plan->most_value = within ? (plan->max_frame - (uint64_t)delta) / plan->scale : 0;
    plan->simple = plan->lead.kind == FW_NONE && plan->field.kind == FW_UINT && !plan->field.is_signed
        && !plan->has_escape && !plan->magic_count && !plan->extra_count && !plan->trailer_size
        && !plan->control_count && plan->scale == 1 && within;
    plan->around = (uint64_t)plan->offset + plan->field.width + plan->after;
    plan->skip = plan->strip ? (size_t)plan->around : 0;
    plan->around += (uint64_t)delta;
    plan->spare = 64 - 8u * plan->field.width;
}

static int fault(fw_cursor *c, int status, uint64_t value, size_t proof)
{
    c->value = value;
    c->scale = 0;
    c->delta = 0;
    c->proof = proof;
    return status;
}

static uint64_t max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* The header at p[0..size): FW_FRAME with *head; FW_MORE with c->need; or a fault. */
static int read_head(const fw_plan *plan, const uint8_t *p, size_t size, fw_cursor *c, fw_head *head)
{
    fw_number number = {0, 0, 0, 0};
    size_t bad = plan->magic_count ? fw_bad_magic(plan, p, size) : SIZE_MAX;
    size_t at = plan->offset, width, after = plan->after;
    uint64_t least = plan->min_size;
    int status = FW_FRAME;
    if (plan->lead.kind != FW_NONE) {
        status = fw_read_field(&plan->lead, p, size, UINT64_MAX, &number);
        at = number.width;
    }
    width = status == FW_FRAME ? 0 : plan->field.narrowest;
    if (status == FW_FRAME) {
        uint64_t ceiling = plan->patient || plan->control_count ? UINT64_MAX : plan->most_value;
        size_t left = size > at ? size - at : 0;
        status = fw_read_field(&plan->field, left ? p + at : p, left, ceiling, &number);
        width = number.width;
        if (status == FW_FRAME && plan->has_escape && number.value == plan->escape_value) {
            left -= width;
            status = fw_read_field(&plan->escape, p + at + width, left, UINT64_MAX, &number);
            width += number.width;
        }
        if (number.follows)
            after += plan->field.follow_size;
    } else if (status < 0) {
        width = 0;
    }
    if (status < 0) {
        if (bad < at + width)
            return fault(c, FW_E_MAGIC, 0, bad + 1);
        fault(c, status, number.value, at + width);
        if (status == FW_E_TOO_LARGE) {
            c->end = FW_FAR;
            c->scale = plan->scale;
            c->delta = plan->adjust - fw_behind(plan, at, width, after);
        }
        return status;
    }
    head->body = at + width + after;
    if (bad != SIZE_MAX)
        return fault(c, FW_E_MAGIC, 0, bad + 1);
    head->delta = plan->adjust - fw_behind(plan, at, width, after);
    if (status == FW_MORE || head->body > size) {
        uint64_t whole = head->body;
        if (!plan->control_count)
            whole += plan->trailer_size + (head->delta > 0 ? (uint64_t)head->delta : 0);
        c->need = max_u64(whole, least) - size;
        return FW_MORE;
    }
    head->value = number.value;
    head->negative = number.negative;
    return FW_FRAME;
}

/* What the header says: FW_FRAME with the sizes of body and extras; or a fault. */
static int measure(const fw_plan *plan, const uint8_t *p, const fw_head *head, fw_cursor *c,
                   uint64_t *body, uint64_t *extra)
{
    uint64_t scale = plan->scale, value = head->value, magnitude;
    uint32_t i;
    if (head->negative)
        return fault(c, FW_E_NEGATIVE, value, head->body);
    magnitude = head->delta < 0 ? (uint64_t)-head->delta : (uint64_t)head->delta;
    if (head->delta < 0 && value < magnitude / scale + (magnitude % scale != 0))
        return fault(c, FW_E_SHORT, value, head->body);
    *extra = 0;
    for (i = 0; i < plan->extra_count; i++) {
        const fw_extra *e = &plan->extra[i];
        uint64_t more = (fw_load(p + e->offset, e->width, e->little) & e->mask) >> e->shift;
        if (more > plan->max_frame || *extra > plan->max_frame - more) {
            fault(c, FW_E_TOO_LARGE, more, head->body);
            c->scale = 1;
            c->end = FW_FAR;
            return FW_E_TOO_LARGE;
        }
        *extra += more;
    }
    if (value > FW_FAR / scale) {
        *body = FW_FAR;
        c->end = FW_FAR;
    } else {
        *body = head->delta < 0 ? value * scale - magnitude : value * scale + magnitude;
        c->end = head->body + *body + *extra + plan->trailer_size;
        if (c->end > FW_FAR)
            c->end = FW_FAR;
    }
    if (*body > plan->max_frame) {
        fault(c, FW_E_TOO_LARGE, value, head->body);
        c->scale = scale;
        c->delta = head->delta;
        return FW_E_TOO_LARGE;
    }
    return FW_FRAME;
}

/* One counted frame at data[c->pos..size): FW_FRAME with *out and c->pos behind it, FW_MORE or a fault. */
static int cut_counted(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, fw_frame *out)
{
    const uint8_t *p = data + c->pos;
    fw_head head;
    uint64_t body, extra, end, at, have = size - c->pos;
    uint32_t i;
    int status = read_head(plan, p, size - c->pos, c, &head);
    if (status != FW_FRAME)
        return status;
    if (plan->control_count && !head.negative && fw_is_control(plan, head.value)) {
        out->start = c->pos;
        c->pos += head.body;
        out->stop = c->pos;
        return FW_FRAME;
    }
    status = measure(plan, p, &head, c, &body, &extra);
    if (status != FW_FRAME)
        return status;
    end = head.body + body + extra + plan->trailer_size;
    for (i = 0, at = end - plan->trailer_size; !plan->trailer_any && i < plan->trailer_size && at < have; i++, at++)
        if (p[at] != plan->trailer[i])
            return fault(c, FW_E_TRAILER, 0, (size_t)at + 1);
    if (end > have) {
        c->need = end - have;
        c->direct = extra == 0 && plan->trailer_size == 0;
        c->start = plan->strip ? head.body : 0;
        c->stop = end;
        return FW_MORE;
    }
    out->start = c->pos + (plan->strip ? head.body : 0);
    out->stop = c->pos + (plan->strip ? head.body + (size_t)body : (size_t)end);
    c->pos += (size_t)end;
    return FW_FRAME;
}

size_t fw_find(const fw_plan *plan, const uint8_t *data, size_t start, size_t from, size_t size,
               size_t *found)
{
    return fw_find_inline(plan, data, start, from, size, found);
}

uint64_t fw_find_need(const fw_plan *plan, const uint8_t *data, size_t size)
{
    uint64_t need = UINT64_MAX;
    uint32_t i;
    if (plan->kind == FW_ENCLOSED)
        return fw_find_need_enclosed(plan, data, size);
    for (i = 0; i < plan->delimiter_count; i++) {
        const fw_delimiter *one = &plan->delimiters[i];
        size_t have = one->size - 1 < size ? one->size - 1 : size;
        while (have > 0 && memcmp(data + size - have, one->bytes, have) != 0)
            have--;
        if (one->size - have < need)
            need = one->size - have;
    }
    return need;
}

size_t fw_pass(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, int *done)
{
    size_t found, end = 0, gone;
    *done = 0;
    if (plan->kind == FW_UNTIL_EOF)
        return size;
    if (plan->kind == FW_ENCLOSED)
        return fw_pass_enclosed(plan, data, size, c, done);
    end = fw_find(plan, data, 0, c->scanned, size, &found);
    *done = end != 0;
    gone = end || size < plan->longest ? end : size - (plan->longest - 1);
    c->scanned = size - gone;
    return gone;
}

static int too_long(fw_cursor *c, size_t proof)
{
    c->end = 0;
    return fault(c, FW_E_TOO_LARGE, 0, proof);
}

/* Frames that end with a delimiter; the status is FW_FRAME when the batch is full. */
static int cut_scanned(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c,
                       fw_frame *out, size_t cap, size_t *count)
{
    const uint64_t reach = plan->max_frame + plan->longest;
    size_t have;
    int found = 1;
    while (found == 1 && *count < cap) {
        found = fw_next_scanned(plan, data, size, c, &out[*count]);
        *count += found == 1;
    }
    if (found == 1)
        return FW_FRAME;
    if (found < 0)
        return too_long(c, out[*count].stop - c->pos);
    have = size - c->pos;
    if (have >= reach)
        return too_long(c, (size_t)reach);
    c->need = fw_find_need(plan, data + c->pos, have);
    return FW_MORE;
}

static int cut_fixed(const fw_plan *plan, size_t size, fw_cursor *c, fw_frame *out, size_t cap, size_t *count)
{
    while (*count < cap) {
        if (plan->size > size - c->pos) {
            c->need = plan->size - (size - c->pos);
            c->direct = 1;
            c->start = 0;
            c->stop = plan->size;
            return FW_MORE;
        }
        out[*count].start = c->pos;
        c->pos += (size_t)plan->size;
        out[*count].stop = c->pos;
        ++*count;
    }
    return FW_FRAME;
}

static int cut_leaf(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c,
                    fw_frame *out, size_t cap, size_t *count)
{
    int status = FW_FRAME;
    c->leaf = plan;
    c->direct = 0;
    c->recover = 0;
    switch (plan->kind) {
    case FW_FIXED:
        return cut_fixed(plan, size, c, out, cap, count);
    case FW_SCANNED:
        return cut_scanned(plan, data, size, c, out, cap, count);
    case FW_UNTIL_EOF:
        if (size - c->pos > plan->max_frame)
            return too_long(c, (size_t)plan->max_frame + 1);
        c->need = 1;
        return FW_MORE;
    case FW_LINE_COUNTED:
    case FW_RESP:
    case FW_FIX:
        while (status == FW_FRAME && *count < cap) {
            status = fw_cut_talk(plan, data, size, c, &out[*count]);
            *count += status == FW_FRAME;
        }
        return status;
    case FW_SLIP:
    case FW_HDLC:
    case FW_COBS:
        while (status == FW_FRAME && *count < cap) {
            status = fw_cut_stuffed(plan, data, size, c, &out[*count]);
            *count += status == FW_FRAME;
        }
        return status;
    case FW_HEADERS:
    case FW_CHUNKED:
        while (status == FW_FRAME && *count < cap) {
            status = plan->kind == FW_HEADERS ? fw_cut_headers(plan, data, size, c, &out[*count])
                                              : fw_cut_chunked(plan, data, size, c, &out[*count]);
            *count += status == FW_FRAME;
        }
        return status;
    case FW_FRAGMENTED:
        while (status == FW_FRAME && *count < cap) {
            status = fw_cut_fragments(plan, data, size, c, &out[*count]);
            *count += status == FW_FRAME;
        }
        return status;
    case FW_ENCLOSED:
        while (status == FW_FRAME && *count < cap) {
            status = fw_cut_enclosed(plan, data, size, c, &out[*count]);
            *count += status == FW_FRAME;
        }
        return status;
    case FW_DOTTED:
        while (status == FW_FRAME && *count < cap) {
            status = fw_cut_dotted(plan, data, size, c, &out[*count]);
            *count += status == FW_FRAME;
        }
        return status;
    default:
        while (plan->simple && *count < cap && fw_next_simple(plan, data, size, c, &out[*count]))
            ++*count;
        while (status == FW_FRAME && *count < cap) {
            status = cut_counted(plan, data, size, c, &out[*count]);
            *count += status == FW_FRAME;
        }
        return status;
    }
}

size_t fw_cut(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c,
              fw_frame *out, size_t cap, int *status)
{
    size_t count = 0;
    if (plan->kind != FW_TAGGED) {
        *status = cut_leaf(plan, data, size, c, out, cap, &count);
        return count;
    }
    *status = FW_FRAME;
    while (*status == FW_FRAME && count < cap) {
        const fw_plan *part = plan;
        c->leaf = NULL;
        c->direct = 0;
        c->recover = 0;
        while (part->kind == FW_TAGGED) {
            size_t have = size - c->pos;
            int tag, row;
            if (have <= part->tag_offset) {
                c->need = max_u64(part->min_size, (uint64_t)part->tag_offset + 1) - have;
                *status = FW_MORE;
                return count;
            }
            tag = data[c->pos + part->tag_offset] & part->tag_mask;
            row = part->rows[tag];
            if (row < 0) {
                *status = fault(c, FW_E_TAG, (uint64_t)tag, (size_t)part->tag_offset + 1);
                return count;
            }
            part = part->parts[row];
        }
        *status = cut_leaf(part, data, size, c, out, count + 1, &count);
    }
    return count;
}
