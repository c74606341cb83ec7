/* The walk over records: whole ones, every prefix of them, and every way to be wrong. */
#include "plans.h"
#include "../fw_record.h"

#define NAME(text) ((void *)(uintptr_t)(text))

static fw_field u8_field = {.kind = FW_UINT, .width = 1, .narrowest = 1, .mask = 0xff};
static fw_field u32_field = {.kind = FW_UINT, .width = 4, .narrowest = 4, .mask = 0xffffffff};
static fw_field i16_field = {.kind = FW_UINT, .width = 2, .is_signed = 1, .narrowest = 2, .mask = 0xffff};
static fw_field leb_field = {.kind = FW_LEB128, .width = 3, .narrowest = 1};

static const uint64_t members[] = {1, 2, 9, (uint64_t)-5};
static const uint8_t magic[] = {0xca, 0xfe};

#define U8 .field = &u8_field, .simple = true, .width = 1, .high = 0xff
static fw_op u8_item = {.kind = FW_T_NUMBER, .plain = true, .least = 1, U8};
static fw_op text_item = {.kind = FW_T_STR, .least = 1, U8};
static fw_op const_item = {.kind = FW_T_CONST, .least = 2, .data = magic};

/* A record of every kind; `tail` is filled in by `close`. */
static fw_op inner_ops[] = {
    {.kind = FW_T_NUMBER, .least = 1, .field = &leb_field, .name = NAME("varint")},
    {.kind = FW_T_PAD, .plain = true, .least = 2, .name = NAME("pad")},
};
static fw_shape inner = {.ops = inner_ops, .count = COUNT(inner_ops)};
static fw_op inner_item = {.kind = FW_T_RECORD, .least = 3, .record = &inner};
static fw_op every_ops[] = {
    {.kind = FW_T_CONST, .least = 2, .data = magic, .name = NAME("magic")},
    {.kind = FW_T_BOOL, .plain = true, .least = 1, .name = NAME("bool")},
    {.kind = FW_T_ENUM, .least = 2, .field = &i16_field, .simple = true, .is_signed = true, .closed = true,
     .members = members, .member_count = COUNT(members), .name = NAME("kind")},
    {.kind = FW_T_STR, .least = 1, U8, .name = NAME("text")},
    {.kind = FW_T_LIST, .least = 1, U8, .item = &text_item, .name = NAME("texts")},
    {.kind = FW_T_ARRAY, .least = 4, .field = &u32_field, .simple = true, .width = 4, .high = UINT32_MAX,
     .item = &u8_item, .name = NAME("bytes")},
    {.kind = FW_T_LIST, .least = 1, U8, .item = &inner_item, .name = NAME("inners")},
    {.kind = FW_T_RECORD, .least = 3, .record = &inner, .name = NAME("inner")},
};
static fw_shape every = {.ops = every_ops, .count = COUNT(every_ops)};

static const uint8_t good[] = {
    0xca, 0xfe, 7, 0xff, 0xfb, 2, 'h', 'i', 2, 0, 1, 'x', 0, 0, 0, 3, 1, 2, 3,
    2, 0x05, 0, 0, 0x80, 0x01, 0, 0, 0xff, 0xff, 0x03, 9, 9,
};

static void close_table(fw_op *ops, size_t count)
{
    ptrdiff_t tail = 0;
    while (count-- > 0) {
        ops[count].tail = tail;
        tail += ops[count].least;
    }
}

static int walk_over(const fw_shape *shape, const uint8_t *data, size_t size, fw_walk *walk, ptrdiff_t *more,
                     const fw_op **bad)
{
    memset(walk, 0, sizeof *walk);
    walk->data = guard_copy(data, size);
    walk->size = (ptrdiff_t)size;
    *more = 0;
    *bad = NULL;
    return fw_skip_record(shape, walk, more, bad);
}

/* A prefix lacks something, but never more than the whole has, and with that the answer only gets nearer. */
static void test_prefixes(void)
{
    fw_walk walk;
    ptrdiff_t more;
    const fw_op *bad;
    size_t n;
    for (n = 0; n < sizeof good; n++) {
        CHECK_EQUAL(walk_over(&every, good, n, &walk, &more, &bad), FW_MORE);
        CHECK(more >= 1 && n + (size_t)more <= sizeof good);
    }
    CHECK_EQUAL(walk_over(&every, good, 0, &walk, &more, &bad), FW_MORE);
    CHECK_EQUAL(more, 15);
    CHECK_EQUAL(walk_over(&every, good, sizeof good, &walk, &more, &bad), FW_FRAME);
    CHECK_EQUAL(walk.at, sizeof good);
    CHECK_EQUAL(walk.path.depth, 0);
    CHECK_EQUAL(walk.path.count, 0);
}

static void expect_bad(const uint8_t *data, int status, size_t at, const fw_op *op, int steps)
{
    fw_walk walk;
    ptrdiff_t more;
    const fw_op *bad;
    CHECK_EQUAL(walk_over(&every, data, sizeof good, &walk, &more, &bad), status);
    CHECK_EQUAL(walk.at, at);
    CHECK(bad == op);
    CHECK_EQUAL(walk.path.count, steps);
    CHECK(walk.path.steps[0].name == every_ops[op == &inner_ops[0] ? 6 : op - every_ops].name);
}

static void test_faults(void)
{
    uint8_t data[sizeof good];
    memcpy(data, good, sizeof good);
    data[1] = 0;
    expect_bad(data, FW_E_MAGIC, 0, &every_ops[0], 1);
    memcpy(data, good, sizeof good);
    data[4] = 0xfa;
    expect_bad(data, FW_E_TAG, 3, &every_ops[2], 1);
    memcpy(data, good, sizeof good);
    memset(data + 20, 0xff, 4);
    expect_bad(data, FW_E_LONG, 20, &inner_ops[0], 3);
}

/* A number of bytes or items that is itself wrong, in signed and variable forms. */
static void test_counts(void)
{
    static fw_tier tier = {.selector = 255, .width = 1, .is_signed = 1};
    fw_field tiered = {.kind = FW_TIERED, .width = 1, .narrowest = 1, .mask = 0xff, .tier_count = 1, .direct = 254};
    fw_op ops[] = {{.kind = FW_T_BYTES, .least = 1, .field = &tiered}};
    const fw_shape shape = {.ops = ops, .count = 1};
    const uint8_t negative[] = {255, 0x80}, far[] = {0x80, 0x80, 0x01};
    fw_walk walk;
    ptrdiff_t more;
    const fw_op *bad;
    tiered.tiers[0] = tier;
    CHECK_EQUAL(walk_over(&shape, negative, 2, &walk, &more, &bad), FW_E_NEGATIVE);
    CHECK(bad == ops);
    ops[0].field = &leb_field;
    CHECK_EQUAL(walk_over(&shape, far, 3, &walk, &more, &bad), FW_MORE);
    CHECK_EQUAL(more, 1 << 14);
}

/* Neither a count nor what follows it can make the answer overflow. */
static void test_far(void)
{
    static fw_field u64_field = {.kind = FW_UINT, .width = 8, .narrowest = 8, .mask = UINT64_MAX};
    fw_op ops[] = {
        {.kind = FW_T_LIST, .least = 8, .field = &u64_field, .simple = true, .width = 8, .item = &const_item,
         .tail = PTRDIFF_MAX},
    };
    const fw_shape shape = {.ops = ops, .count = 1};
    const uint8_t data[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    fw_walk walk;
    ptrdiff_t more;
    const fw_op *bad;
    CHECK_EQUAL(walk_over(&shape, data, 8, &walk, &more, &bad), FW_MORE);
    CHECK_EQUAL(more, PTRDIFF_MAX);
}

/* A record that contains itself: 64 levels and no more. A rest takes what there is. */
static void test_levels(void)
{
    static fw_op item = {.kind = FW_T_RECORD, .least = 1};
    static fw_op ops[] = {
        {.kind = FW_T_LIST, .least = 1, U8, .item = &item, .name = NAME("children")},
    };
    static const fw_shape shape = {.ops = ops, .count = 1};
    static fw_op rest_ops[] = {{.kind = FW_T_REST, .name = NAME("rest")}};
    static const fw_shape rest = {.ops = rest_ops, .count = 1};
    uint8_t data[FW_LEVELS + 1];
    fw_walk walk;
    ptrdiff_t more;
    const fw_op *bad;
    item.record = &shape;
    memset(data, 1, sizeof data);
    data[FW_LEVELS - 1] = 0;
    CHECK_EQUAL(walk_over(&shape, data, sizeof data, &walk, &more, &bad), FW_FRAME);
    CHECK_EQUAL(walk.at, FW_LEVELS);
    data[FW_LEVELS - 1] = 1;
    CHECK_EQUAL(walk_over(&shape, data, sizeof data, &walk, &more, &bad), FW_E_DEPTH);
    CHECK(bad == &item);
    CHECK_EQUAL(walk.at, FW_LEVELS);
    CHECK_EQUAL(walk_over(&rest, data, sizeof data, &walk, &more, &bad), FW_FRAME);
    CHECK_EQUAL(walk.at, sizeof data);
}

int main(void)
{
    close_table(inner_ops, COUNT(inner_ops));
    close_table(every_ops, COUNT(every_ops));
    test_prefixes();
    test_faults();
    test_counts();
    test_far();
    test_levels();
    return check_report(__FILE__);
}
