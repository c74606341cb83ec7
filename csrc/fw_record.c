/* Records without objects: whether one is whole, and how many bytes it lacks.
 *
 * It believes no count before the bytes are there: so many items need so many bytes at least, and where those are
 * missing, their number is the answer. Behind the first byte that is missing nothing is known, so the answer is a
 * lower bound; `tail` and the items still to come add what they need at least.
 */
#include <string.h>

#include "fw_record.h"
#include "fw_field.h"

static ptrdiff_t plus(ptrdiff_t a, ptrdiff_t b)
{
    return a > PTRDIFF_MAX - b ? PTRDIFF_MAX : a + b;
}

bool fw_is_member(const fw_op *op, uint64_t number)
{
    size_t low = 0, high = op->member_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (op->members[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < op->member_count && op->members[low] == number;
}

/* The number at walk->at, and behind it; *more as fw_skip_record. */
static int skip_number(const fw_op *op, fw_walk *walk, uint64_t *value, ptrdiff_t *more)
{
    fw_number number;
    int status = fw_read_field(op->field, walk->data + walk->at, (size_t)(walk->size - walk->at), UINT64_MAX, &number);
    if (status == FW_MORE)
        *more = (ptrdiff_t)number.width - (walk->size - walk->at);
    if (status != FW_FRAME)
        return status;
    if (number.negative && !op->is_signed)
        return FW_E_NEGATIVE;
    *value = number.value;
    walk->at += (ptrdiff_t)number.width;
    return FW_FRAME;
}

static int skip_value(const fw_op *op, fw_walk *walk, ptrdiff_t *more, const fw_op **bad);

static int skip_items(const fw_op *item, ptrdiff_t count, fw_walk *walk, ptrdiff_t *more, const fw_op **bad)
{
    fw_step *step = &walk->path.steps[walk->path.count++];
    ptrdiff_t i;
    step->name = NULL;
    for (i = 0; i < count; i++) {
        int status;
        step->index = i;
        status = skip_value(item, walk, more, bad);
        if (status != FW_FRAME) {
            *more = plus(*more, (count - i - 1) * item->least);
            return status;
        }
    }
    walk->path.count--;
    return FW_FRAME;
}

static int skip_bytes(ptrdiff_t need, fw_walk *walk, ptrdiff_t *more)
{
    const ptrdiff_t left = walk->size - walk->at;
    if (need > left) {
        *more = need - left;
        return FW_MORE;
    }
    walk->at += need;
    return FW_FRAME;
}

static int skip_list(const fw_op *item, uint64_t count, fw_walk *walk, ptrdiff_t *more, const fw_op **bad)
{
    const ptrdiff_t begin = walk->at;
    ptrdiff_t need = 0;
    if (item->least)
        need = count > (uint64_t)(PTRDIFF_MAX / item->least) ? PTRDIFF_MAX : (ptrdiff_t)count * item->least;
    if (skip_bytes(need, walk, more) == FW_MORE)
        return FW_MORE;
    if (item->plain)
        return FW_FRAME;
    walk->at = begin;
    return skip_items(item, (ptrdiff_t)count, walk, more, bad);
}

/* What has a number of bytes or items in front. */
static int skip_counted(const fw_op *op, fw_walk *walk, ptrdiff_t *more, const fw_op **bad)
{
    uint64_t count = 0;
    int status = skip_number(op, walk, &count, more);
    if (status < 0)
        *bad = op;
    if (status != FW_FRAME)
        return status;
    if (op->kind == FW_T_LIST || op->kind == FW_T_ARRAY)
        return skip_list(op->item, count, walk, more, bad);
    return skip_bytes(count > PTRDIFF_MAX ? PTRDIFF_MAX : (ptrdiff_t)count, walk, more);
}

/* The same where the number may have a bias, a limit, and a value that means that there is nothing. */
static int skip_size(const fw_op *op, fw_walk *walk, uint64_t *count, bool *absent, ptrdiff_t *more)
{
    const fw_extent *extent = op->extent;
    const ptrdiff_t begin = walk->at;
    uint64_t number = 0;
    int status = skip_number(op, walk, &number, more);
    *absent = extent->nullable && number == extent->null;
    if (status != FW_FRAME || *absent)
        return status;
    *count = number - extent->bias;
    if ((op->is_signed && number > INT64_MAX) || number < extent->bias)
        status = FW_E_NEGATIVE;
    else if (*count > extent->most)
        status = FW_E_TOO_LARGE;
    if (status < 0)
        walk->at = begin;
    return status;
}

/* Bytes, and zeros up to a multiple of op->extent->align. */
static int skip_padded(const fw_op *op, uint64_t count, fw_walk *walk, ptrdiff_t *more)
{
    const unsigned align = op->extent->align, rest = (unsigned)(count % align);
    ptrdiff_t size = count > PTRDIFF_MAX ? PTRDIFF_MAX : (ptrdiff_t)count, i;
    ptrdiff_t need = plus(size, rest ? (ptrdiff_t)(align - rest) : 0);
    int status = skip_bytes(need, walk, more);
    if (status == FW_FRAME)
        for (i = size - need; i < 0; i++)
            if (walk->data[walk->at + i])
                return FW_E_TRAILER;
    return status;
}

static int skip_sized(const fw_op *op, fw_walk *walk, ptrdiff_t *more, const fw_op **bad)
{
    const ptrdiff_t begin = walk->at;
    uint64_t count = 0;
    bool absent = false;
    int status = skip_size(op, walk, &count, &absent, more);
    if (status == FW_FRAME && !absent) {
        if (op->kind == FW_T_LISTED || op->kind == FW_T_ARRAYED)
            return skip_list(op->item, count, walk, more, bad);
        status = skip_padded(op, count, walk, more);
    }
    if (status < 0) {
        walk->at = begin;
        *bad = op;
    }
    return status;
}

/* Up to and with a NUL of op->extent->unit bytes. */
static int skip_cstr(const fw_op *op, fw_walk *walk, ptrdiff_t *more)
{
    const ptrdiff_t unit = (ptrdiff_t)op->extent->unit, units = (walk->size - walk->at) / unit;
    const uint8_t *p = walk->data + walk->at;
    uint64_t most = op->extent->most / op->extent->unit;
    ptrdiff_t i, stop = most < (uint64_t)units ? (ptrdiff_t)most + 1 : units;
    for (i = 0; i < stop; i++)
        if (p[i * unit] == 0 && p[i * unit + unit - 1] == 0) {
            walk->at += (i + 1) * unit;
            return FW_FRAME;
        }
    if (most < (uint64_t)units)
        return FW_E_LONG;
    *more = (units + 1) * unit - (walk->size - walk->at);
    return FW_MORE;
}

static int skip_fixed(const fw_op *op, fw_walk *walk, ptrdiff_t *more)
{
    int status = skip_bytes(op->least, walk, more);
    if (status == FW_FRAME && op->kind == FW_T_CONST
        && memcmp(walk->data + walk->at - op->least, op->data, (size_t)op->least) != 0) {
        walk->at -= op->least;
        return FW_E_MAGIC;
    }
    return status;
}

static int skip_enum(const fw_op *op, fw_walk *walk, ptrdiff_t *more)
{
    const ptrdiff_t begin = walk->at;
    uint64_t number = 0;
    int status = skip_number(op, walk, &number, more);
    if (status == FW_FRAME && op->closed && !fw_is_member(op, number)) {
        walk->at = begin;
        return FW_E_TAG;
    }
    return status;
}

/* From FW_T_TEXT on, what is not plain. */
static int skip_declared(const fw_op *op, fw_walk *walk, ptrdiff_t *more, const fw_op **bad)
{
    int status;
    if (op->kind == FW_T_REPEAT)
        return skip_list(op->item, (uint64_t)op->extent->count, walk, more, bad);
    if (op->kind != FW_T_CSTR && op->kind != FW_T_CODEC)
        return skip_sized(op, walk, more, bad);
    if (op->kind == FW_T_CSTR)
        status = skip_cstr(op, walk, more);
    else if (op->least > walk->size - walk->at)
        status = skip_bytes(op->least, walk, more);
    else
        status = walk->hook(op, walk, more);
    if (status < 0)
        *bad = op;
    return status;
}

static int skip_value(const fw_op *op, fw_walk *walk, ptrdiff_t *more, const fw_op **bad)
{
    uint64_t number = 0;
    int status;
    if (op->kind == FW_T_RECORD && walk->path.depth < FW_LEVELS)
        return fw_skip_record(op->record, walk, more, bad);
    if (op->kind == FW_T_RECORD)
        status = FW_E_DEPTH;
    else if (op->kind == FW_T_CONST || op->plain)
        status = skip_fixed(op, walk, more);
    else if (op->kind == FW_T_REST) {
        walk->at = walk->size;
        return FW_FRAME;
    } else if (op->kind == FW_T_NUMBER)
        status = skip_number(op, walk, &number, more);
    else if (op->kind == FW_T_ENUM)
        status = skip_enum(op, walk, more);
    else if (op->kind >= FW_T_TEXT)
        return skip_declared(op, walk, more, bad);
    else
        return skip_counted(op, walk, more, bad);
    if (status < 0)
        *bad = op;
    return status;
}

int fw_skip_record(const fw_shape *shape, fw_walk *walk, ptrdiff_t *more, const fw_op **bad)
{
    fw_step *step = &walk->path.steps[walk->path.count];
    ptrdiff_t i;
    walk->path.depth++;
    walk->path.count++;
    for (i = 0; i < shape->count; i++) {
        const fw_op *op = &shape->ops[i];
        int status;
        step->name = op->name;
        status = skip_value(op, walk, more, bad);
        if (status != FW_FRAME) {
            *more = plus(*more, op->tail);
            return status;
        }
    }
    walk->path.count--;
    walk->path.depth--;
    return FW_FRAME;
}
