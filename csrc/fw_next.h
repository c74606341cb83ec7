/* The next frame of the two commonest kinds, inline: an integer length and nothing else, and delimiters.
 *
 * The walk from header to header is a chain of dependent loads. Inlined into the loop that makes something
 * of each frame, it runs beside that work instead of before it; handing over batches of frames cannot do
 * that. Only a whole, good frame is found here. Everything else is left to fw_cut, which says why. */
#ifndef FW_NEXT_H
#define FW_NEXT_H

#include "fw.h"
#include "fw_bytes.h"

/* Backwards and by hand: delimiters are short, and a call of memcmp costs more than the whole match. */
static inline int fw_ends_here(const fw_delimiter *one, const uint8_t *data, size_t start, size_t end)
{
    size_t left = one->size;
    if (left > end - start)
        return 0;
    while (left > 0 && data[--end] == one->bytes[left - 1])
        left--;
    return left == 0;
}

/* fw_find of fw.h. */
static inline size_t fw_find_inline(const fw_plan *plan, const uint8_t *data, size_t start, size_t from,
                                    size_t size, size_t *found)
{
    while (from < size) {
        uint32_t i;
        if (FW_LIKELY(plan->one_last)) {
            const uint8_t *hit = (const uint8_t *)memchr(data + from, plan->last, size - from);
            if (hit == NULL)
                return 0;
            from = (size_t)(hit - data) + 1;
        } else {
            while (from < size && !(plan->last_bytes[data[from] >> 3] >> (data[from] & 7) & 1))
                from++;
            if (from == size)
                return 0;
            from++;
        }
        for (i = 0; i < plan->delimiter_count; i++) {
            if (fw_ends_here(&plan->by_size[i], data, start, from)) {
                *found = plan->by_size[i].size;
                return from;
            }
        }
    }
    return 0;
}

static inline int fw_next_simple(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c,
                                 fw_frame *out)
{
    const size_t left = size - c->pos, offset = plan->offset;
    uint64_t value;
    if (left < offset + 8)
        return 0;
    value = plan->field.little ? fw_load_le(data + c->pos + offset, 8)
                               : fw_load_be(data + c->pos + offset, 8) >> plan->spare;
    value = (value & plan->field.mask) >> plan->field.shift;
    if (FW_UNLIKELY(value < plan->least_value || value > plan->most_value) || value + plan->around > left)
        return 0;
    out->start = c->pos + plan->skip;
    c->pos += (size_t)(value + plan->around);
    out->stop = c->pos;
    return 1;
}

/* As fw_next; -1 with out->stop behind it for a frame that is there whole and too large. */
static inline int fw_next_scanned(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c,
                                  fw_frame *out)
{
    const uint64_t reach = plan->max_frame + plan->longest;
    const size_t start = c->pos, bound = size - start > reach ? start + (size_t)reach : size;
    size_t found = 0, end = fw_find_inline(plan, data, start, start + c->scanned, bound, &found);
    if (end == 0) {
        c->scanned = bound - start;
        return 0;
    }
    out->start = start;
    out->stop = end;
    if (end - found - start > plan->max_frame)
        return -1;
    if (plan->strip)
        out->stop = end - found;
    c->pos = end;
    c->scanned = 0;
    return 1;
}

/* 1 and *out and c->pos behind it, or 0: ask fw_cut. Only for plans with `simple`, and FW_SCANNED. */
static inline int fw_next(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, fw_frame *out)
{
    return plan->simple ? fw_next_simple(plan, data, size, c, out)
                        : fw_next_scanned(plan, data, size, c, out) == 1;
}

#endif
