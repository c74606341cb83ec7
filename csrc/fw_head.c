/* Message -> header and trailer bytes.
 *
 * A stripped message gets its header made: fixed bytes, zero for the free ones, the length in its shortest
 * form. A whole frame is the caller's own header, so a fixed-width length in it is overwritten, and any
 * other must be right, or zero in its narrowest form, which is filled in. Whether the peer could misread
 * the result is asked of the decoder's own code. */
#include "fw_dotted.h"
#include "fw_enclosed.h"
#include "fw_field.h"
#include "fw_fragments.h"
#include "fw_stuff.h"
#include "fw_talk.h"
#include "fw_text.h"

/* The value that announces a body of `body` bytes; FW_FRAME, or why there is none. */
static int say(const fw_plan *plan, uint64_t body, size_t at, size_t width, size_t after, uint64_t *value)
{
    int64_t units;
    units = (int64_t)body + fw_behind(plan, at, width, after) - plan->adjust;
    if (units < 0)
        return FW_E_UNSAYABLE;
    if ((uint64_t)units % plan->scale)
        return FW_E_SCALE;
    *value = (uint64_t)units / plan->scale;
    return FW_FRAME;
}

/* The shortest length field that announces `body` bytes, to p; *width is its size. Where the length counts
 * the field itself, a wide form can be the only one that says a small value, padded: that is no answer. */
static int make_field(const fw_plan *plan, uint64_t body, size_t at, size_t after, uint64_t free_bits,
                      uint8_t *p, size_t *width)
{
    unsigned form, forms = fw_form_count(&plan->field);
    fw_number read;
    uint64_t value = 0;
    int status = FW_E_UNSAYABLE;
    for (form = 0; form < forms; form++) {
        *width = fw_form_width(&plan->field, form);
        status = say(plan, body, at, *width, after, &value);
        if (status == FW_FRAME && !(plan->has_escape && value == plan->escape_value)
            && !fw_is_control(plan, value) && fw_write_form(&plan->field, form, value, free_bits, p)
            && (form == 0 || fw_read_field(&plan->field, p, *width, UINT64_MAX, &read) == FW_FRAME))
            return FW_FRAME;
    }
    if (plan->has_escape) {
        *width = (size_t)plan->field.width + plan->escape.width;
        status = say(plan, body, at, *width, after, &value);
        fw_store(p, plan->field.width, plan->field.little, free_bits | plan->escape_value << plan->field.shift);
        if (status == FW_FRAME && fw_write_form(&plan->escape, 0, value, 0, p + plan->field.width))
            return FW_FRAME;
    }
    return status == FW_E_SCALE ? FW_E_SCALE : FW_E_UNSAYABLE;
}

size_t fw_put_head(const fw_plan *plan, uint64_t body, uint8_t *out)
{
    const fw_field *f = &plan->field;
    const size_t header = (size_t)plan->offset + f->width + plan->after;
    uint64_t value = body - (uint64_t)plan->delta;
    if (body > plan->max_frame || (plan->delta > 0 && body < (uint64_t)plan->delta)
        || value > f->mask >> f->shift)
        return 0;
    if (header > f->width)
        memset(out, 0, header);
    fw_store(out + plan->offset, f->width, f->little, value << f->shift);
    return header;
}

static int make_header(const fw_plan *plan, uint64_t body, fw_wire *w)
{
    size_t at = plan->offset, width;
    uint32_t i;
    int status;
    memset(w->made, 0, at);
    if (plan->lead.kind != FW_NONE) {
        for (i = 0; i < fw_form_count(&plan->lead) && !fw_write_form(&plan->lead, i, 0, 0, w->made); i++)
            ;
        if (i == fw_form_count(&plan->lead))
            return FW_E_UNSAYABLE;
        at = fw_form_width(&plan->lead, i);
    }
    status = make_field(plan, body, at, plan->after, 0, w->made + at, &width);
    if (status != FW_FRAME)
        return status;
    memset(w->made + at + width, 0, plan->after);
    for (i = 0; i < plan->magic_count; i++)
        memcpy(w->made + plan->magic[i].offset, plan->magic[i].bytes, plan->magic[i].size);
    w->keep = w->resume = 0;
    w->made_size = at + width + plan->after;
    w->tail = plan->trailer;
    w->tail_size = plan->trailer_size;
    return FW_FRAME;
}

static int wire_fault(fw_wire *w, int status, uint64_t value, size_t proof)
{
    w->value = value;
    w->proof = proof;
    return status;
}

/* Whether the length at p is zero in its narrowest form: a place kept free for encode. */
static int is_vacant(const fw_field *f, const uint8_t *p)
{
    if (f->kind == FW_UINT || f->kind == FW_TIERED)
        return (fw_load(p, f->width, f->little) & f->mask) == 0;
    if (f->kind == FW_DIGITS_END)
        return p[0] == '0' && memcmp(p + 1, f->end, f->end_size) == 0;
    return p[0] == 0;
}

static int whole_short(fw_wire *w, uint64_t fixed, uint64_t more)
{
    w->announced = more > FW_FAR ? FW_FAR : fixed + more;
    return FW_E_WHOLE_SHORT;
}

/* The size of the body of a whole frame of which `fixed` bytes are header and trailer. */
static int body_of(const fw_plan *plan, const uint8_t *message, uint64_t size, uint64_t fixed,
                   uint64_t *body, fw_wire *w)
{
    uint64_t extra = 0;
    uint32_t i;
    if (size < fixed)
        return whole_short(w, fixed, 0);
    for (i = 0; i < plan->extra_count; i++) {
        const fw_extra *e = &plan->extra[i];
        uint64_t more = (fw_load(message + e->offset, e->width, e->little) & e->mask) >> e->shift;
        if (more > size - fixed - extra)
            return whole_short(w, fixed + extra, more);
        extra += more;
    }
    *body = w->value = size - fixed - extra;
    if (*body > plan->max_frame || extra > plan->max_frame)
        return wire_fault(w, FW_E_TOO_LARGE, *body > plan->max_frame ? *body : extra, 0);
    return FW_FRAME;
}

/* FW_FRAME if the header of a whole frame is right as it stands; else what is wrong with it. */
static int is_right(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w)
{
    fw_cursor c = {0};
    fw_frame frame;
    int status = FW_FRAME;
    w->announced = UINT64_MAX;
    if (fw_cut(plan, message, size, &c, &frame, 1, &status) == 1) {
        w->announced = c.pos;
        return c.pos == size ? FW_FRAME : FW_E_MISMATCH;
    }
    if (status == FW_MORE && c.stop)
        w->announced = c.stop;
    else if (status == FW_E_TOO_LARGE && c.end < FW_FAR)
        w->announced = c.end;
    return status == FW_MORE || status == FW_E_TOO_LARGE ? FW_E_MISMATCH
                                                         : wire_fault(w, status, c.value, c.proof);
}

/* A whole frame: a length of one width is written over, except for a control frame; any other must be right,
 * or vacant. */
static int encode_whole(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w)
{
    const fw_field *f = &plan->field;
    const size_t narrow = f->narrowest;
    fw_number lead = {0, 0, 0, 0};
    size_t at = plan->offset, after = plan->after, width;
    const int varies =
        plan->has_escape || !(f->kind == FW_UINT || f->kind == FW_DIGITS || f->kind == FW_HEXDIGITS);
    uint64_t free_bits = 0, body;
    int status = FW_FRAME;
    if (plan->lead.kind != FW_NONE) {
        status = fw_read_field(&plan->lead, message, size, UINT64_MAX, &lead);
        at = lead.width;
        if (status == FW_MORE)
            return whole_short(w, (uint64_t)at + narrow + after + plan->trailer_size, 0);
        if (status < 0)
            return wire_fault(w, status, lead.value, at);
    }
    if (varies || plan->control_count) {
        status = is_right(plan, message, size, w);
        if (status == FW_FRAME) {
            w->keep = w->resume = size;
            return FW_FRAME;
        }
    }
    if (varies) {
        if (size < at + narrow || !is_vacant(f, message + at))
            return status;
        if (f->kind == FW_TIERED && (fw_load(message + at, f->width, f->little) & f->follow_bit))
            after += f->follow_size;
    }
    status = body_of(plan, message, size, (uint64_t)at + narrow + after + plan->trailer_size, &body, w);
    if (status != FW_FRAME)
        return status;
    if (f->kind == FW_UINT || f->kind == FW_TIERED)
        free_bits = fw_load(message + at, f->width, f->little) & fw_width_max(f->width) & ~f->mask;
    w->keep = at;
    w->resume = at + narrow;
    status = make_field(plan, body, at, after, free_bits, w->made, &width);
    w->made_size = width;
    return status;
}

static size_t trailer_fault(const fw_plan *plan, const uint8_t *message, size_t size)
{
    size_t i, at = size - plan->trailer_size;
    for (i = 0; !plan->trailer_any && i < plan->trailer_size; i++)
        if (message[at + i] != plan->trailer[i])
            return at + i + 1;
    return 0;
}

static int encode_counted(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w)
{
    size_t proof;
    int status;
    if (plan->strip) {
        if (size > plan->max_frame)
            return wire_fault(w, FW_E_TOO_LARGE, size, 0);
        w->value = size;
        return make_header(plan, size, w);
    }
    proof = fw_bad_magic(plan, message, size);
    if (proof != SIZE_MAX)
        return wire_fault(w, FW_E_MAGIC, 0, proof + 1);
    status = encode_whole(plan, message, size, w);
    proof = status == FW_FRAME && w->keep < size ? trailer_fault(plan, message, size) : 0;
    return proof ? wire_fault(w, FW_E_TRAILER, 0, proof) : status;
}

/* Would the first delimiter in `message` and the one written behind it end exactly at the end? */
static int encode_scanned(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w)
{
    const fw_delimiter *own = &plan->delimiters[0];
    uint8_t seam[2 * 256];
    size_t found = 0, kept, end = fw_find(plan, message, 0, 0, size, &found);
    if (!plan->strip) {
        if (end != size || size == 0)
            return end == 0 ? FW_E_UNTERMINATED : (w->at = end - found, w->value = found, FW_E_DELIMITER);
        if (size - found > plan->max_frame)
            return wire_fault(w, FW_E_TOO_LARGE, size - found, 0);
        w->keep = w->resume = size;
        return FW_FRAME;
    }
    if (size > plan->max_frame)
        return wire_fault(w, FW_E_TOO_LARGE, size, 0);
    if (end == 0) {
        kept = size < plan->longest - 1 ? size : plan->longest - 1;
        if (kept)
            memcpy(seam, message + size - kept, kept);
        memcpy(seam + kept, own->bytes, own->size);
        end = fw_find(plan, seam, 0, kept, kept + own->size, &found);
        if (end == kept + own->size && found == own->size) {
            w->tail = own->bytes;
            w->tail_size = own->size;
            return FW_FRAME;
        }
        end += size - kept;
    }
    w->at = end - found;
    w->value = found;
    return FW_E_DELIMITER;
}

const fw_plan *fw_choose(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w, int *status)
{
    *status = FW_FRAME;
    while (plan->kind == FW_TAGGED) {
        int tag, row;
        if (size <= plan->tag_offset) {
            *status = whole_short(w, (uint64_t)plan->tag_offset + 1, 0);
            return NULL;
        }
        tag = message[plan->tag_offset] & plan->tag_mask;
        row = plan->rows[tag];
        if (row < 0) {
            *status = wire_fault(w, FW_E_TAG, (uint64_t)tag, (size_t)plan->tag_offset + 1);
            return NULL;
        }
        plan = plan->parts[row];
    }
    return plan;
}

/* The byte at `at` of what is written, before the tail. */
static uint8_t written(const uint8_t *message, const fw_wire *w, size_t at)
{
    if (at < w->keep)
        return message[at];
    if (at - w->keep < w->made_size)
        return w->made[at - w->keep];
    return message[w->resume + at - w->keep - w->made_size];
}

int fw_retags(const fw_plan *plan, const uint8_t *message, size_t size, const fw_wire *w, int *tag, int *other)
{
    int retags = 0;
    while (plan->kind == FW_TAGGED) {
        const int before = message[plan->tag_offset] & plan->tag_mask;
        const fw_plan *part = plan->parts[plan->rows[before]];
        if (plan->tag_offset < w->keep + w->made_size + size - w->resume) {
            const int after = written(message, w, plan->tag_offset) & plan->tag_mask;
            if (plan->rows[after] < 0 || plan->parts[plan->rows[after]] != part)
                *tag = before, *other = after, retags = 1;
        }
        plan = part;
    }
    return retags;
}

size_t fw_join(const fw_plan *plan, const uint8_t *data, size_t size, uint8_t *out)
{
    if (plan->kind == FW_FRAGMENTED)
        return fw_join_fragments(plan, data, size, out);
    if (plan->kind == FW_CHUNKED)
        return fw_join_chunked(plan, data, size, out);
    if (plan->kind == FW_ENCLOSED)
        return fw_join_enclosed(plan, data, size, out);
    if (plan->kind == FW_DOTTED)
        return fw_join_dotted(plan, data, size, out);
    return fw_join_stuffed(plan, data, size, out);
}

size_t fw_expanded_most(const fw_plan *plan, size_t size)
{
    if (plan->kind == FW_FRAGMENTED)
        return fw_expanded_most_fragments(plan, size);
    if (plan->kind == FW_ENCLOSED)
        return fw_expanded_most_enclosed(plan, size);
    if (plan->kind == FW_DOTTED)
        return fw_expanded_most_dotted(plan, size);
    return fw_expanded_most_stuffed(plan, size);
}

size_t fw_expand(const fw_plan *plan, const uint8_t *message, size_t size, uint8_t *out)
{
    if (plan->kind == FW_FRAGMENTED)
        return fw_expand_fragments(plan, message, size, out);
    if (plan->kind == FW_ENCLOSED)
        return fw_expand_enclosed(plan, message, size, out);
    if (plan->kind == FW_DOTTED)
        return fw_expand_dotted(plan, message, size, out);
    return fw_expand_stuffed(plan, message, size, out);
}

int fw_encode(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *w)
{
    w->keep = w->resume = w->made_size = w->tail_size = 0;
    w->tail = NULL;
    switch (plan->kind) {
    case FW_FIXED:
        return size == plan->size ? FW_FRAME : FW_E_FIXED;
    case FW_SCANNED:
        return encode_scanned(plan, message, size, w);
    case FW_UNTIL_EOF:
        return size <= plan->max_frame ? FW_FRAME : wire_fault(w, FW_E_TOO_LARGE, size, 0);
    case FW_LINE_COUNTED:
    case FW_RESP:
    case FW_FIX:
        return fw_encode_talk(plan, message, size, w);
    case FW_SLIP:
    case FW_HDLC:
    case FW_COBS:
        return fw_encode_stuffed(plan, message, size, w);
    case FW_HEADERS:
        return fw_encode_headers(plan, message, size, w);
    case FW_CHUNKED:
        return fw_encode_chunked(plan, message, size, w);
    case FW_FRAGMENTED:
        return fw_encode_fragments(plan, message, size, w);
    case FW_ENCLOSED:
        return fw_encode_enclosed(plan, message, size, w);
    case FW_DOTTED:
        return fw_encode_dotted(plan, message, size, w);
    default:
        return encode_counted(plan, message, size, w);
    }
}
