/* The walk over records whose fields decide about each other. */
#include "plans.h"
#include "../fw_record.h"

#define NAME(text) ((void *)(uintptr_t)(text))

static fw_field u8_field = {.kind = FW_UINT, .width = 1, .narrowest = 1, .mask = 0xff};
static fw_field i8_field = {.kind = FW_UINT, .width = 1, .is_signed = 1, .narrowest = 1, .mask = 0xff};
static fw_field u64_field = {.kind = FW_UINT, .width = 8, .narrowest = 8, .mask = UINT64_MAX};
static fw_field leb_field = {.kind = FW_LEB128, .width = 2, .narrowest = 1};

#define U8 .field = &u8_field, .simple = true, .width = 1, .high = 0xff
#define NUMBER .kind = FW_T_NUMBER, .plain = true, .least = 1, U8

/* header: kind, two bits that are 1 or 2, six bits, whether it is urgent */
static const uint64_t members[] = {1, 2};
static fw_rule kind_rule = {.first = true, .shift = 6}, level_rule = {.last = true};
static fw_op header_ops[] = {
    {NUMBER, .name = NAME("id")},
    {.kind = FW_T_BITS, .least = 1, .closed = true, .members = members, .member_count = 2, .field = &u8_field,
     .simple = true, .width = 1, .high = 3, .rule = &kind_rule, .name = NAME("kind")},
    {.kind = FW_T_BITS, .plain = true, .field = &u8_field, .simple = true, .width = 1, .high = 63,
     .rule = &level_rule, .name = NAME("level")},
    {.kind = FW_T_BOOL, .plain = true, .least = 1, .name = NAME("urgent")},
};
static fw_shape header = {.ops = header_ops, .count = COUNT(header_ops), .required = COUNT(header_ops)};

static fw_op point_ops[] = {{NUMBER, .name = NAME("x")}};
static fw_shape point = {.ops = point_ops, .count = 1, .required = 1};
static fw_op label_ops[] = {{.kind = FW_T_STR, .least = 1, U8, .name = NAME("text")}};
static fw_shape label = {.ops = label_ops, .count = 1, .required = 1};

/* message: header, a number if header.urgent, another if header.level is 5, one if that is 7, a point or a label */
static const uint16_t urgent_steps[] = {0, 3}, level_steps[] = {0, 2}, second_steps[] = {2};
static const fw_way ways[] = {{urgent_steps, 2}, {level_steps, 2}, {second_steps, 1}};
static fw_op number = {NUMBER};
static fw_rule urgent_rule = {.note = 0, .any = true, .mask = UINT64_MAX};
static fw_rule five_rule = {.note = 1, .mask = 0x0f, .wanted = 5};
static fw_rule seven_rule = {.note = 2, .mask = UINT64_MAX, .wanted = 7};
static fw_choice choices[] = {{1, &point}, {2, &label}};
static fw_rule choice_rule = {.choices = choices, .choice_count = 2};
static fw_op message_ops[] = {
    {.kind = FW_T_RECORD, .least = 3, .record = &header, .name = NAME("header")},
    {.kind = FW_T_WHEN, .item = &number, .rule = &urgent_rule, .name = NAME("first")},
    {.kind = FW_T_WHEN, .item = &number, .rule = &five_rule, .name = NAME("second")},
    {.kind = FW_T_WHEN, .item = &number, .rule = &seven_rule, .name = NAME("third")},
    {.kind = FW_T_ONEOF, .least = 2, U8, .rule = &choice_rule, .name = NAME("body")},
};
static fw_shape message = {.ops = message_ops, .count = COUNT(message_ops), .required = COUNT(message_ops),
                           .structured = true, .ways = ways, .way_count = COUNT(ways)};

static void close_table(fw_op *ops, size_t count)
{
    ptrdiff_t tail = 0;
    while (count-- > 0) {
        ops[count].tail = tail;
        tail += ops[count].least;
    }
}

static fw_walk walk;
static ptrdiff_t more;
static const fw_op *bad;

static int walk_over(const fw_shape *shape, const void *data, size_t size)
{
    memset(&walk, 0, sizeof walk);
    walk.data = guard_copy(data, size);
    walk.size = (ptrdiff_t)size;
    more = 0;
    bad = NULL;
    return fw_skip_record(shape, &walk, &more, &bad);
}

/* Whole at its end, and at no place before; what lacks is never more than that. */
static void expect_whole(const fw_shape *shape, const char *data, size_t size)
{
    size_t n;
    for (n = 0; n < size; n++) {
        CHECK_EQUAL(walk_over(shape, data, n), FW_MORE);
        CHECK(more >= 1 && n + (size_t)more <= size);
    }
    CHECK_EQUAL(walk_over(shape, data, size), FW_FRAME);
    CHECK_EQUAL(walk.at, size);
    CHECK(!walk.notes && walk.path.depth == 0 && walk.path.count == 0);
}

#define WHOLE(shape, text) expect_whole(shape, text, sizeof(text) - 1)

static void expect_bad(const fw_shape *shape, const char *data, size_t size, int status, size_t at, const fw_op *op)
{
    CHECK_EQUAL(walk_over(shape, data, size), status);
    CHECK_EQUAL(walk.at, at);
    CHECK(bad == op);
}

#define BAD(shape, text, status, at, op) expect_bad(shape, text, sizeof(text) - 1, status, at, op)

static void test_deciders(void)
{
    WHOLE(&message, "i\x40\0\1x");
    WHOLE(&message, "i\x40\1f\1x");
    WHOLE(&message, "i\x45\0" "s\1x");
    WHOLE(&message, "i\x45\1f\7t\2\3abc");
    WHOLE(&message, "i\x95\0s\2\0");
    BAD(&message, "i\0\0\1x", FW_E_TAG, 2, &header_ops[1]);
    CHECK_EQUAL(walk.word_at, 1);
    BAD(&message, "i\x40\0\3x", FW_E_TAG, 3, &message_ops[4]);
    BAD(&header, "i\0\0", FW_E_TAG, 2, &header_ops[1]);
    WHOLE(&header, "i\x40\0");
}

static void test_a_tag_that_is_wrong(void)
{
    message_ops[4].field = &leb_field;
    BAD(&message, "i\x40\0\x80\x80\1", FW_E_LONG, 3, &message_ops[4]);
    message_ops[4].field = &u8_field;
}

/* A pair of a number that decides, and of two records of its own kind in front of it: without notes, each level
 * would be walked twice as often as the one around it. */
static void test_levels(void)
{
    static const uint16_t steps[] = {0, 1};
    static const fw_way way[] = {{steps, 2}};
    static fw_op item = {.kind = FW_T_RECORD, .least = 2};
    static fw_op node_ops[] = {{.kind = FW_T_LIST, .least = 1, U8, .item = &item}, {NUMBER}};
    static fw_shape node = {.ops = node_ops, .count = 2, .required = 2};
    static fw_rule rule = {.any = true, .mask = 1};
    static fw_op outer_ops[] = {{.kind = FW_T_RECORD, .least = 2, .record = &node},
                                {.kind = FW_T_WHEN, .item = &number, .rule = &rule}};
    static fw_shape outer = {.ops = outer_ops, .count = 2, .required = 2, .structured = true, .ways = way,
                             .way_count = 1};
    char data[3 * FW_LEVELS + 4];
    size_t levels = FW_LEVELS / 2, i;
    item.record = &outer;
    memset(data, 1, levels - 1);
    data[levels - 1] = 0;
    for (i = 0; i < 2 * levels; i++)
        data[levels + i] = 1;
    expect_whole(&outer, data, 3 * levels);
    memset(data, 1, sizeof data);
    CHECK_EQUAL(walk_over(&outer, data, sizeof data), FW_E_DEPTH);
    {
        /* The same through tags. */
        static fw_rule back_rule = {.choice_count = 1};
        static fw_op back_ops[] = {{.kind = FW_T_ONEOF, .least = 1, U8, .rule = &back_rule}};
        static fw_shape back = {.ops = back_ops, .count = 1, .required = 1};
        static fw_choice again[] = {{1, &back}};
        back_rule.choices = again;
        CHECK_EQUAL(walk_over(&back, data, sizeof data), FW_E_TAG);
        CHECK_EQUAL(walk.at, FW_LEVELS - 1);
    }
}

/* size - 1, a text; then, where the end is known, perhaps a number, bits, and one if that number is 1 */
static fw_rule size_rule = {.plus = 1}, extra_rule = {.has_default = true, .default_number = 0}, bare_rule;
static fw_rule high_rule = {.first = true, .shift = 4}, low_rule = {.last = true};
static fw_rule late_rule = {.any = true, .mask = 1};
static const uint16_t extra_steps[] = {2};
static const fw_way extra_way[] = {{extra_steps, 1}};
static fw_op sized_ops[] = {
    {.kind = FW_T_SIZE, .least = 1, U8, .rule = &size_rule, .name = NAME("size")},
    {.kind = FW_T_STR, .least = 1, U8, .name = NAME("text")},
    {NUMBER, .rule = &extra_rule, .name = NAME("extra")},
    {.kind = FW_T_BITS, .plain = true, .least = 1, U8, .rule = &high_rule, .name = NAME("high")},
    {.kind = FW_T_BITS, .plain = true, U8, .rule = &low_rule, .name = NAME("low")},
    {.kind = FW_T_WHEN, .item = &number, .rule = &late_rule, .name = NAME("late")},
    {.kind = FW_T_REST, .rule = &bare_rule, .name = NAME("rest")},
};
static fw_shape sized = {.ops = sized_ops, .count = COUNT(sized_ops), .required = 2, .extensible = true,
                         .structured = true, .ways = extra_way, .way_count = 1};

static void test_sizes(void)
{
    const char *whole[] = {"\2\0", "\3\1a", "\4\1ae", "\5\1aeb", "\5\1a\1b", "\6\1a\1bl", "\x09\1a\1blrst"};
    size_t i;
    for (i = 0; i < COUNT(whole); i++)
        expect_whole(&sized, whole[i], (size_t)whole[i][0]);
    sized.count = 6;
    CHECK_EQUAL(walk_over(&sized, "\x09\1a\1blrst", 9), FW_FRAME);
    CHECK_EQUAL(walk.at, 9);
    sized.count = COUNT(sized_ops);
    BAD(&sized, "\0", FW_E_SHORT, 0, &sized_ops[0]);
    BAD(&sized, "\3\2ab", FW_E_CRAMPED, 0, &sized_ops[0]);
    CHECK_EQUAL(more, 1);
    CHECK_EQUAL(walk.path.count, 1);
    sized.count = 2;
    sized.extensible = false;
    BAD(&sized, "\5\1abc", FW_E_UNFILLED, 3, &sized_ops[0]);
    CHECK_EQUAL(more, 2);
    sized.extensible = true;
    sized.count = COUNT(sized_ops);
}

/* Neither a size nor what else it counts makes the answer overflow; a signed one may be too little. */
static void test_far(void)
{
    const uint8_t far[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    sized_ops[0].field = &u64_field;
    size_rule.plus = -4;
    CHECK_EQUAL(walk_over(&sized, far, 8), FW_MORE);
    CHECK_EQUAL(more, PTRDIFF_MAX);
    sized_ops[0].field = &i8_field;
    sized_ops[0].is_signed = true;
    BAD(&sized, "\xff", FW_E_SHORT, 0, &sized_ops[0]);
    sized_ops[0].field = &u8_field;
    sized_ops[0].is_signed = false;
    size_rule.plus = 1;
}

/* A record of its own size inside of another's, in a list and at the end: a fault inside is told where it is. */
static void test_sizes_in_sizes(void)
{
    static fw_op item = {.kind = FW_T_RECORD, .least = 2, .record = &sized};
    static fw_rule rule = {.plus = 0};
    static fw_op ops[] = {{.kind = FW_T_SIZE, .least = 1, U8, .rule = &rule, .name = NAME("outer")},
                          {.kind = FW_T_LIST, .least = 1, U8, .item = &item, .name = NAME("items")}};
    static fw_shape outer = {.ops = ops, .count = 2, .required = 2, .structured = true};
    WHOLE(&outer, "\6\2\2\0\3\1a");
    BAD(&outer, "\6\2\2\0\4\1a", FW_E_CRAMPED, 0, &ops[0]);
    BAD(&outer, "\6\2\2\0\3\2a", FW_E_CRAMPED, 4, &sized_ops[0]);
    CHECK_EQUAL(walk.path.count, 3);
}

int main(void)
{
    close_table(header_ops, COUNT(header_ops));
    close_table(message_ops, COUNT(message_ops));
    close_table(sized_ops, 2);
    test_deciders();
    test_a_tag_that_is_wrong();
    test_levels();
    test_sizes();
    test_far();
    test_sizes_in_sizes();
    return check_report(__FILE__);
}
