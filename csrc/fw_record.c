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
            if (status == FW_MORE)
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

const fw_shape *fw_choose_record(const fw_op *op, uint64_t tag)
{
    const fw_choice *choices = op->rule->choices;
    size_t low = 0, high = op->rule->choice_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (choices[middle].tag < tag)
            low = middle + 1;
        else
            high = middle;
    }
    return low < op->rule->choice_count && choices[low].tag == tag ? choices[low].record : NULL;
}

static int skip_choice(const fw_op *op, fw_walk *walk, ptrdiff_t *more, const fw_op **bad)
{
    const ptrdiff_t begin = walk->at;
    const fw_shape *record;
    uint64_t tag = 0;
    int status = skip_number(op, walk, &tag, more);
    if (status < 0)
        *bad = op;
    if (status != FW_FRAME)
        return status;
    record = fw_choose_record(op, tag);
    if (record && walk->path.depth < FW_LEVELS)
        return fw_skip_record(record, walk, more, bad);
    walk->at = begin;
    *bad = op;
    return FW_E_TAG;
}

static int skip_bits(const fw_op *op, fw_walk *walk, ptrdiff_t *more)
{
    if (op->rule->first) {
        int status;
        walk->word_at = walk->at;
        status = skip_number(op, walk, &walk->word, more);
        if (status != FW_FRAME)
            return status;
    }
    return op->closed && !fw_is_member(op, walk->word >> op->rule->shift & op->high) ? FW_E_TAG : FW_FRAME;
}

static int skip_value(const fw_op *op, fw_walk *walk, ptrdiff_t *more, const fw_op **bad)
{
    uint64_t number = 0;
    int status;
    if (op->kind == FW_T_RECORD && walk->path.depth < FW_LEVELS)
        return fw_skip_record(op->record, walk, more, bad);
    if (op->kind == FW_T_RECORD)
        status = FW_E_DEPTH;
    else if (op->kind == FW_T_BITS)
        status = skip_bits(op, walk, more);
    else if (op->kind == FW_T_CONST || op->plain)
        status = skip_fixed(op, walk, more);
    else if (op->kind == FW_T_REST) {
        walk->at = walk->size;
        return FW_FRAME;
    } else if (op->kind == FW_T_NUMBER)
        status = skip_number(op, walk, &number, more);
    else if (op->kind == FW_T_ENUM)
        status = skip_enum(op, walk, more);
    else if (op->kind == FW_T_ONEOF)
        return skip_choice(op, walk, more, bad);
    else if (op->kind >= FW_T_TEXT)
        return skip_declared(op, walk, more, bad);
    else
        return skip_counted(op, walk, more, bad);
    if (status < 0)
        *bad = op;
    return status;
}

/* --- records whose fields decide about each other ---
 *
 * Numbers that decide about a field are noted as they are passed, also those inside of an inner record: finding
 * them again would pass over an inner record once more for each level, and a hostile peer chooses the levels.
 */

struct fw_note {
    const fw_way *way;
    int depth;              /* of the record that wants it */
    int matched;            /* how many steps of its way lead to where the walk is */
    bool there;
    uint64_t number;
    fw_note *next;
};

/* A record on its way. */
typedef struct level {
    const fw_shape *shape;
    int depth, steps;       /* those of the path, at its begin */
    bool known;             /* its end is walk->size */
    const fw_op *size_op;
    ptrdiff_t size_at;
    fw_note notes[FW_NOTES];
} level;

static void begin_notes(level *here, fw_walk *walk)
{
    int i;
    for (i = 0; i < here->shape->way_count; i++) {
        fw_note *note = &here->notes[i];
        note->way = &here->shape->ways[i];
        note->depth = here->depth;
        note->matched = 0;
        note->there = false;
        note->next = walk->notes;
        walk->notes = note;
    }
}

/* Notes `number` for all who want field i; or, with `inwards`, says whether someone wants what is in it. */
static bool wants(fw_note *notes, int depth, ptrdiff_t i, bool inwards)
{
    bool found = false;
    for (; notes; notes = notes->next) {
        const int step = depth - notes->depth;
        if (notes->matched == step && notes->way->steps[step] == i && (step + 1 < notes->way->count) == inwards) {
            notes->matched += inwards;
            found = true;
        }
    }
    return found;
}

static void come_back(fw_note *notes, int depth)
{
    for (; notes; notes = notes->next)
        if (notes->matched == depth - notes->depth + 1)
            notes->matched--;
}

static void note_number(fw_note *notes, int depth, ptrdiff_t i, bool there, uint64_t number)
{
    for (; notes; notes = notes->next) {
        const int step = depth - notes->depth;
        if (notes->matched == step && notes->way->steps[step] == i && step + 1 == notes->way->count) {
            notes->there = there;
            notes->number = number;
        }
    }
}

/* The number at `begin`, which was passed. */
static uint64_t number_at(const fw_op *op, fw_walk *walk, ptrdiff_t begin)
{
    const ptrdiff_t at = walk->at;
    uint64_t number = 0;
    ptrdiff_t more;
    if (op->kind == FW_T_BITS)
        return walk->word >> op->rule->shift & op->high;
    if (op->kind == FW_T_BOOL)
        return walk->data[begin] != 0;
    walk->at = begin;
    skip_number(op, walk, &number, &more);
    walk->at = at;
    return number;
}

static bool is_there(const fw_rule *rule, const fw_note *note)
{
    const uint64_t bits = note->number & rule->mask;
    return note->there && (rule->any ? bits != 0 : bits == rule->wanted);
}

bool fw_may_lack(const fw_shape *shape, ptrdiff_t i)
{
    const fw_op *op = &shape->ops[i];
    if (op->kind == FW_T_WHEN)
        op = op->item;
    /* What may have no bytes is there without any. */
    return i >= shape->required && (op->least > 0 || op->kind == FW_T_BITS);
}

/* The size of the record, which bounds it from here on. */
static int skip_own_size(level *here, const fw_op *op, fw_walk *walk, ptrdiff_t *more, const fw_op **bad)
{
    const uint64_t least = op->rule->plus > 0 ? (uint64_t)op->rule->plus : 0;
    const uint64_t beyond = op->rule->plus < 0 ? (uint64_t)-op->rule->plus : 0;
    uint64_t number = 0;
    ptrdiff_t left;
    int status;
    here->size_at = walk->at;
    status = skip_number(op, walk, &number, more);
    if (status == FW_FRAME && (number < least || (op->is_signed && number >> 63))) {
        walk->at = here->size_at;
        status = FW_E_SHORT;
    }
    if (status == FW_MORE)
        *more = plus(*more, op->tail);
    if (status < 0)
        *bad = op;
    if (status != FW_FRAME)
        return status;
    number -= least;
    left = number > PTRDIFF_MAX - beyond ? PTRDIFF_MAX : (ptrdiff_t)(number + beyond);
    if (left > walk->size - walk->at) {
        *more = left - (walk->size - walk->at);
        return FW_MORE;
    }
    walk->size = walk->at + left;
    here->size_op = op;
    here->known = true;
    return FW_FRAME;
}

static int skip_field(level *here, ptrdiff_t i, fw_walk *walk, ptrdiff_t *more, const fw_op **bad)
{
    fw_note *const notes = walk->notes;
    const fw_op *op = &here->shape->ops[i];
    const ptrdiff_t begin = walk->at;
    bool inwards;
    int status;
    if (op->kind == FW_T_WHEN) {
        if (!is_there(op->rule, &here->notes[op->rule->note]))
            return FW_FRAME;
        op = op->item;
    }
    if (here->known && walk->at == walk->size && fw_may_lack(here->shape, i) &&
        (op->kind != FW_T_BITS || op->rule->first || walk->word_at < 0)) {
        const fw_rule *rule = here->shape->ops[i].rule;
        walk->word_at = -1;
        note_number(notes, here->depth, i, rule->has_default, rule->default_number);
        return FW_FRAME;
    }
    inwards = wants(notes, here->depth, i, true);
    walk->notes = inwards ? notes : NULL;
    walk->ends = here->known && i == here->shape->count - 1 && (op->kind == FW_T_RECORD || op->kind == FW_T_ONEOF);
    status = skip_value(op, walk, more, bad);
    walk->notes = notes;
    if (inwards)
        come_back(notes, here->depth);
    if (status == FW_FRAME && wants(notes, here->depth, i, false))
        note_number(notes, here->depth, i, true, number_at(op, walk, begin));
    if (status == FW_MORE)
        *more = plus(*more, here->shape->ops[i].tail);
    return status;
}

static int skip_fields(level *here, fw_walk *walk, ptrdiff_t *more, const fw_op **bad)
{
    fw_step *step = &walk->path.steps[here->steps];
    ptrdiff_t i;
    int status = FW_FRAME;
    for (i = 0; i < here->shape->count && status == FW_FRAME; i++) {
        const fw_op *op = &here->shape->ops[i];
        step->name = op->name;
        status = op->kind == FW_T_SIZE ? skip_own_size(here, op, walk, more, bad) : skip_field(here, i, walk, more, bad);
    }
    if (status == FW_FRAME && here->known && here->shape->extensible)
        walk->at = walk->size;
    if (!here->size_op || (status != FW_MORE && (status != FW_FRAME || walk->at == walk->size)))
        return status;
    /* Nothing that follows can mend it. */
    step->name = here->size_op->name;
    walk->path.count = here->steps + 1;
    *bad = here->size_op;
    if (status == FW_MORE) {
        walk->at = here->size_at;
        return FW_E_CRAMPED;
    }
    *more = walk->size - walk->at;
    return FW_E_UNFILLED;
}

static int skip_structured(const fw_shape *shape, fw_walk *walk, ptrdiff_t *more, const fw_op **bad)
{
    const bool ends = walk->ends;
    const ptrdiff_t size = walk->size;
    fw_note *const notes = walk->notes;
    level here;
    int status;
    here.shape = shape;
    here.depth = walk->path.depth;
    here.steps = walk->path.count;
    here.known = ends;
    here.size_op = NULL;
    here.size_at = 0;
    begin_notes(&here, walk);
    walk->path.depth++;
    walk->path.count++;
    status = skip_fields(&here, walk, more, bad);
    walk->notes = notes;
    if (status == FW_FRAME) {
        walk->ends = ends;
        walk->size = size;
        walk->path.count--;
        walk->path.depth--;
    }
    return status;
}

int fw_skip_record(const fw_shape *shape, fw_walk *walk, ptrdiff_t *more, const fw_op **bad)
{
    fw_step *step = &walk->path.steps[walk->path.count];
    ptrdiff_t i;
    if (shape->structured || walk->notes)
        return skip_structured(shape, walk, more, bad);
    walk->path.depth++;
    walk->path.count++;
    for (i = 0; i < shape->count; i++) {
        const fw_op *op = &shape->ops[i];
        int status;
        step->name = op->name;
        status = skip_value(op, walk, more, bad);
        if (status != FW_FRAME) {
            if (status == FW_MORE)
                *more = plus(*more, op->tail);
            return status;
        }
    }
    walk->path.count--;
    walk->path.depth--;
    return FW_FRAME;
}
