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

/* What has a number of bytes or items in front. */
static int skip_counted(const fw_op *op, fw_walk *walk, ptrdiff_t *more, const fw_op **bad)
{
    const bool items = op->kind == FW_T_LIST || op->kind == FW_T_ARRAY;
    const ptrdiff_t least = items ? op->item->least : 1;
    uint64_t count = 0;
    ptrdiff_t need;
    int status = skip_number(op, walk, &count, more);
    if (status < 0)
        *bad = op;
    if (status != FW_FRAME)
        return status;
    need = count > (uint64_t)(PTRDIFF_MAX / least) ? PTRDIFF_MAX : (ptrdiff_t)count * least;
    if (need > walk->size - walk->at) {
        *more = need - (walk->size - walk->at);
        return FW_MORE;
    }
    if (items && !op->item->plain)
        return skip_items(op->item, (ptrdiff_t)count, walk, more, bad);
    walk->at += need;
    return FW_FRAME;
}

static int skip_fixed(const fw_op *op, fw_walk *walk, ptrdiff_t *more)
{
    const ptrdiff_t left = walk->size - walk->at;
    if (op->least > left) {
        *more = op->least - left;
        return FW_MORE;
    }
    if (op->kind == FW_T_CONST && memcmp(walk->data + walk->at, op->data, (size_t)op->least) != 0)
        return FW_E_MAGIC;
    walk->at += op->least;
    return FW_FRAME;
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
