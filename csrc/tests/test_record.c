/* The walk over records: whole ones, every prefix of them, and every way to be wrong. */
#include "plans.h"
#include "../fw_record.h"

#define WIRE(text) text, sizeof(text) - 1
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

/* Of two bytes: 'm' and how many more it needs, 'f' and a fault, or a value. */
static int hooked(const fw_op *op, fw_walk *walk, ptrdiff_t *more)
{
    const uint8_t *p = walk->data + walk->at;
    if (p[0] == 'f')
        return -(int)p[1];
    if (p[0] == 'm') {
        *more = p[1];
        return FW_MORE;
    }
    walk->at += op->least;
    return FW_FRAME;
}

/* Sizes with a bias, a limit, an alignment or a value that means nothing; marks; items without a number. */
static void test_extents(void)
{
    static fw_extent none = {.most = 9, .null = UINT64_MAX, .nullable = true, .align = 1};
    static fw_extent biased = {.most = 3, .bias = 1, .nullable = true, .align = 4};
    static fw_extent far = {.most = UINT64_MAX, .align = 255};
    static fw_extent ended = {.most = UINT64_MAX, .unit = 1}, brief = {.most = 2, .unit = 1};
    static fw_extent wide = {.most = 3, .unit = 2}, three = {.count = 3};
    static fw_field u64_field = {.kind = FW_UINT, .width = 8, .narrowest = 8, .mask = UINT64_MAX};
    static fw_op empty_item = {.kind = FW_T_RECORD, .plain = true};
    static fw_op signed_op = {.kind = FW_T_BINARY, .least = 2, .field = &i16_field, .simple = true,
                              .is_signed = true, .extent = &none};
    static fw_op biased_op = {.kind = FW_T_VIEW, .least = 1, U8, .extent = &biased};
    static fw_op far_op = {.kind = FW_T_TEXT, .least = 8, .field = &u64_field, .simple = true, .extent = &far};
    static fw_op listed_op = {.kind = FW_T_LISTED, .least = 1, U8, .extent = &biased, .item = &text_item};
    static fw_op arrayed_op = {.kind = FW_T_ARRAYED, .least = 1, U8, .extent = &biased, .item = &u8_item};
    static fw_op nothings_op = {.kind = FW_T_LISTED, .least = 1, U8, .extent = &biased, .item = &empty_item};
    static fw_op ended_op = {.kind = FW_T_CSTR, .least = 1, .extent = &ended};
    static fw_op brief_op = {.kind = FW_T_CSTR, .least = 1, .extent = &brief};
    static fw_op wide_op = {.kind = FW_T_CSTR, .least = 2, .extent = &wide};
    static fw_op fixed_op = {.kind = FW_T_FIXED, .least = 3, .plain = true, .extent = &three};
    static fw_op repeat_op = {.kind = FW_T_REPEAT, .least = 3, .item = &text_item, .extent = &three};
    static fw_op hook_op = {.kind = FW_T_CODEC, .least = 2};
    static const struct {
        fw_op *op;
        const char *bytes;
        size_t size;
        int status;
        ptrdiff_t what;     /* FW_FRAME: the end; FW_MORE: how many; else where it is wrong */
    } cases[] = {
        {&signed_op, WIRE("\0\2ab"), FW_FRAME, 4}, {&signed_op, WIRE("\xff\xff"), FW_FRAME, 2},
        {&signed_op, WIRE("\xff\xfe"), FW_E_NEGATIVE, 0}, {&signed_op, WIRE("\0\x0a"), FW_E_TOO_LARGE, 0},
        {&signed_op, WIRE("\0"), FW_MORE, 1}, {&signed_op, WIRE("\0\3a"), FW_MORE, 2},
        {&biased_op, WIRE("\0"), FW_FRAME, 1}, {&biased_op, WIRE("\1"), FW_FRAME, 1},
        {&biased_op, WIRE("\3ab\0\0"), FW_FRAME, 5}, {&biased_op, WIRE("\3ab\0\1"), FW_E_TRAILER, 0},
        {&biased_op, WIRE("\3ab\1"), FW_MORE, 1}, {&biased_op, WIRE("\5"), FW_E_TOO_LARGE, 0},
        {&far_op, WIRE("\xff\xff\xff\xff\xff\xff\xff\xff"), FW_MORE, PTRDIFF_MAX},
        {&far_op, WIRE("\x7f\xff\xff\xff\xff\xff\xff\xf0"), FW_MORE, PTRDIFF_MAX},
        {&listed_op, WIRE("\0"), FW_FRAME, 1}, {&listed_op, WIRE("\3\1a\0"), FW_FRAME, 4},
        {&listed_op, WIRE("\3\1"), FW_MORE, 1}, {&listed_op, WIRE("\3\1a"), FW_MORE, 1},
        {&listed_op, WIRE("\5"), FW_E_TOO_LARGE, 0}, {&arrayed_op, WIRE("\3ab"), FW_FRAME, 3},
        {&arrayed_op, WIRE("\4ab"), FW_MORE, 1}, {&nothings_op, WIRE("\4"), FW_FRAME, 1},
        {&nothings_op, WIRE("\5"), FW_E_TOO_LARGE, 0},
        {&ended_op, WIRE("ab\0c"), FW_FRAME, 3}, {&ended_op, WIRE("ab"), FW_MORE, 1},
        {&ended_op, WIRE(""), FW_MORE, 1}, {&brief_op, WIRE("ab\0"), FW_FRAME, 3},
        {&brief_op, WIRE("ab"), FW_MORE, 1}, {&brief_op, WIRE("abc"), FW_E_LONG, 0},
        {&wide_op, WIRE("\0a\0\0"), FW_FRAME, 4}, {&wide_op, WIRE("a\0\0a"), FW_E_LONG, 0},
        {&wide_op, WIRE("a\0\0"), FW_MORE, 1}, {&wide_op, WIRE("a"), FW_MORE, 1},
        {&fixed_op, WIRE("abcd"), FW_FRAME, 3}, {&fixed_op, WIRE("ab"), FW_MORE, 1},
        {&repeat_op, WIRE("\0\1a\0"), FW_FRAME, 4}, {&repeat_op, WIRE("\2"), FW_MORE, 2},
        {&repeat_op, WIRE("\2ab"), FW_MORE, 2}, {&hook_op, WIRE("ab"), FW_FRAME, 2},
        {&hook_op, WIRE("a"), FW_MORE, 1}, {&hook_op, WIRE("m\7"), FW_MORE, 7}, {&hook_op, WIRE("f\7"), -7, 0},
    };
    static const fw_shape nothing = {0};
    size_t i;
    empty_item.record = &nothing;
    for (i = 0; i < COUNT(cases); i++) {
        const fw_shape shape = {.ops = cases[i].op, .count = 1};
        fw_walk walk = {.hook = hooked};
        ptrdiff_t more = 0, got;
        const fw_op *bad = NULL;
        int status;
        walk.data = guard_copy(cases[i].bytes, cases[i].size);
        walk.size = (ptrdiff_t)cases[i].size;
        status = fw_skip_record(&shape, &walk, &more, &bad);
        got = status == FW_MORE ? more : walk.at;
        EXPECT(status == cases[i].status && got == cases[i].what && (status < 0) == (bad == cases[i].op), "extents",
               BYTES(cases[i].bytes), cases[i].size, i);
    }
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
    test_extents();
    return check_report(__FILE__);
}
