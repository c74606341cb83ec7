/* Length fields alone: every form written and read back, every prefix, every way to be wrong. */
#include "plans.h"

static const uint64_t numbers[] = {
    0, 1, 9, 10, 12, 13, 99, 100, 125, 126, 127, 128, 199, 200, 201, 255, 256, 268, 269, 999, 16383, 16384,
    65535, 65536, 65804, 65805, 1000000, (1 << 24) - 1, 1 << 24, (1 << 28) - 1, 1 << 30, INT32_MAX,
    (uint64_t)INT32_MAX + 1, UINT32_MAX, (uint64_t)UINT32_MAX + 1, ((uint64_t)1 << 56) - 1, FW_FAR - 1,
    FW_FAR, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_C(9999999999999999999), UINT64_MAX - 7, UINT64_MAX,
};

/* Whatever a form can say is read back, from memory that ends right behind it; a prefix is never wrong. */
static void test_round_trip(const char *name, const fw_field *f)
{
    const int speaks_signed = f->kind == FW_ZIGZAG || f->kind == FW_SLEB128;
    unsigned form;
    size_t v, n;
    for (form = 0; form < fw_form_count(f); form++)
        for (v = 0; v < COUNT(numbers); v++) {
            const size_t width = fw_form_width(f, form);
            uint8_t *p = guard_copy(NULL, width);
            uint8_t written[FW_MAX_FIELD];
            fw_number out;
            int status;
            if (!fw_write_form(f, form, numbers[v], 0, p))
                continue;
            memcpy(written, p, width);
            status = fw_read_field(f, p, width, UINT64_MAX, &out);
            /* A padded form, where those are refused, is refused for that. */
            if (status == FW_E_CANONICAL || status == FW_E_ZERO)
                EXPECT(form > 0 && (f->canonical || f->kind == FW_DIGITS_END), name, written, width, width);
            else
                EXPECT(status == FW_FRAME && out.value == numbers[v] && out.width == width
                           && out.negative == (speaks_signed && numbers[v] > INT64_MAX),
                       name, written, width, width);
            for (n = 0; n < width; n++) {
                p = guard_copy(written, n);
                status = fw_read_field(f, p, n, UINT64_MAX, &out);
                if (status < 0)
                    EXPECT((status == FW_E_ZERO || (status == FW_E_CANONICAL && f->kind == FW_BER))
                               && form > 0 && n > 1, name, written, width, n);
                else
                    EXPECT(status == FW_MORE && out.width > n && out.width <= width
                               && out.width >= f->narrowest, name, written, width, n);
            }
        }
}

static void test_round_trips(void)
{
    size_t s;
    for (s = 0; s < sample_count; s++) {
        const fw_plan *plan = &samples[s].plan;
        if (plan->kind != FW_COUNTED || plan->max_frame != ROOMY)
            continue;
        test_round_trip(samples[s].name, &plan->field);
        if (plan->lead.kind != FW_NONE)
            test_round_trip(samples[s].name, &plan->lead);
        if (plan->has_escape)
            test_round_trip(samples[s].name, &plan->escape);
    }
}

/* The largest value of each form fits, and the next does not. */
static void test_form_limits(void)
{
    static const struct {
        const char *plan;
        unsigned form;
        uint64_t most;
    } cases[] = {
        {"u8", 0, 0xff}, {"u24le", 0, 0xffffff}, {"u56", 0, FULL(7)}, {"i8", 0, 0x7f}, {"i64", 0, INT64_MAX},
        {"kerberos", 0, INT32_MAX}, {"cassandra, whole", 0, 0x1ffff}, {"shifted", 0, 0xff},
        {"digits", 0, 99999}, {"hexdigits", 0, 0xffff}, {"netstring", 0, 9},
        {"netstring", 9, UINT64_C(9999999999)},
        {"varint", 0, 0x7f}, {"varint", 1, 0x3fff}, {"varint", 8, ((uint64_t)1 << 63) - 1},
        {"varint32", 0, 0x7f}, {"varint32", 4, UINT32_MAX}, {"zigzag", 0, 0x3f}, {"zigzag", 8, FULL(8) >> 2},
        {"zigzag32", 4, INT32_MAX}, {"sleb128", 0, 0x3f}, {"sleb128", 1, 0x1fff}, {"sleb128", 8, FULL(8) >> 2},
        {"derlength", 0, 0x7f}, {"derlength", 1, 0xff}, {"derlength", 4, UINT32_MAX},
        {"vlq", 0, 0x7f}, {"exact vlq", 2, 0x1fffff}, {"quic", 0, 0x3f}, {"quic", 1, 0x3fff},
        {"quic", 2, 0x3fffffff}, {"quic", 3, ((uint64_t)1 << 62) - 1},
        {"ldap", 0, 0x7f}, {"ldap", 1, 0xff}, {"ldap", 4, UINT32_MAX},
        {"websocket", 0, 125}, {"websocket", 1, 0xffff}, {"websocket", 2, INT64_MAX},
        {"coap, whole", 0, 12}, {"coap, whole", 1, 255 + 13}, {"coap, whole", 2, 65535 + 269},
        {"coap, whole", 3, UINT64_C(4294967295) + 65805}, {"odd tiers", 2, FULL(3) + 250},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        const fw_field *f = &sample_named(cases[i].plan)->field;
        uint8_t *p = guard_copy(NULL, fw_form_width(f, cases[i].form));
        CHECK(fw_write_form(f, cases[i].form, cases[i].most, 0, p));
        if (!CHECK(!fw_write_form(f, cases[i].form, cases[i].most + 1, 0, p)))
            fprintf(stderr, "    %s, form %u\n", cases[i].plan, cases[i].form);
    }
}

static void test_free_bits(void)
{
    uint8_t *p = guard_copy(NULL, 3);
    fw_number out;
    CHECK(fw_write_form(&sample_named("cassandra, whole")->field, 0, 0x10203, 0xfe0000, p));
    CHECK(memcmp(p, "\x03\x02\xff", 3) == 0);
    CHECK(fw_write_form(&sample_named("shifted")->field, 0, 0xab, 0xf00f, p));
    CHECK(memcmp(p, "\xfa\xbf", 2) == 0);
    CHECK(fw_write_form(&sample_named("websocket")->field, 1, 300, 0x80, p));
    CHECK(memcmp(p, "\xfe\x01\x2c", 3) == 0);
    CHECK_EQUAL(fw_read_field(&sample_named("websocket")->field, p, 3, 0, &out), FW_FRAME);
    CHECK(out.follows && out.value == 300);
    CHECK(fw_write_form(&sample_named("coap, whole")->field, 1, 20, 0x05, p));
    CHECK(memcmp(p, "\xd5\x07", 2) == 0);
}

/* What stands on the wire, and either a number or why it is none. */
static void test_reading(void)
{
    static const struct {
        const char *plan, *bytes;
        size_t size;
        int status;
        uint64_t value;
        size_t width;
    } cases[] = {
#define WIRE(text) text, sizeof(text) - 1
        {"varint", WIRE("\xe5\x8e\x26"), FW_FRAME, 624485, 3},
        {"varint", WIRE("\x80\x80\0"), FW_FRAME, 0, 3},
        {"varint", WIRE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), FW_FRAME, UINT64_MAX, 10},
        {"varint32", WIRE("\xff\xff\xff\xff\x0f"), FW_FRAME, UINT32_MAX, 5},
        {"varint32", WIRE("\x80\x80\x80\x80\0"), FW_FRAME, 0, 5},
        {"varint32", WIRE("\xff\xff\xff\xff\x10"), FW_E_OVERFLOW, 5, 5},
        {"varint32", WIRE("\xff\xff\xff\xff\x8f"), FW_E_LONG, 5, 5},
        {"zigzag", WIRE("\1"), FW_FRAME, UINT64_MAX, 1},
        {"zigzag", WIRE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), FW_FRAME, (uint64_t)INT64_MIN, 10},
        {"zigzag", WIRE("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1"), FW_FRAME, INT64_MAX, 10},
        {"zigzag", WIRE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\2"), FW_E_OVERFLOW, 10, 10},
        {"zigzag32", WIRE("\xff\xff\xff\xff\x0f"), FW_FRAME, (uint64_t)INT32_MIN, 5},
        {"zigzag32", WIRE("\xff\xff\xff\xff\x1f"), FW_E_OVERFLOW, 5, 5},
        {"sleb128", WIRE("\xc0\xbb\x78"), FW_FRAME, (uint64_t)-123456, 3},
        {"sleb128", WIRE("\x3f"), FW_FRAME, 63, 1},
        {"sleb128", WIRE("\xff\xff\x7f"), FW_FRAME, UINT64_MAX, 3},
        {"sleb128", WIRE("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f"), FW_FRAME, (uint64_t)INT64_MIN, 10},
        {"sleb128", WIRE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\0"), FW_FRAME, INT64_MAX, 10},
        {"sleb128", WIRE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), FW_E_OVERFLOW, 10, 10},
        {"sleb128", WIRE("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"), FW_E_LONG, 10, 10},
        {"derlength", WIRE("\x81\x80"), FW_FRAME, 128, 2},
        {"derlength", WIRE("\x81\x7f"), FW_E_CANONICAL, 0x81, 2},
        {"derlength", WIRE("\x82\0"), FW_E_CANONICAL, 0x82, 2},
        {"vlq", WIRE("\x81\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), FW_FRAME, UINT64_MAX, 10},
        {"vlq", WIRE("\x86\xc3\x17"), FW_FRAME, 106903, 3},
        {"exact vlq", WIRE("\x81\x80\0"), FW_FRAME, 16384, 3},
        {"quic", WIRE("\xc2\x19\x7c\x5e\xff\x14\xe8\x8c"), FW_FRAME, UINT64_C(151288809941952652), 8},
        {"quic", WIRE("\x9d\x7f\x3e\x7d"), FW_FRAME, 494878333, 4},
        {"quic", WIRE("\x40\x25"), FW_FRAME, 37, 2},
        {"ldap", WIRE("\x82\1\0"), FW_FRAME, 256, 3},
        {"ldap", WIRE("\x84\0\0\0\1"), FW_FRAME, 1, 5},
        {"ldap", WIRE("\xff"), FW_E_INDEFINITE, 0xff, 1},
        {"hexdigits", WIRE("aFf0"), FW_FRAME, 0xaff0, 4},
        {"hexdigits", WIRE("0x10"), FW_E_DIGIT, 0, 2},
        {"hexdigits", WIRE("@"), FW_E_DIGIT, 0, 1},
        {"hexdigits", WIRE("G"), FW_E_DIGIT, 0, 1},
        {"hexdigits 64", WIRE("ffffffffffffffff"), FW_FRAME, UINT64_MAX, 16},
        {"digits", WIRE("00042"), FW_FRAME, 42, 5},
        {"digits", WIRE("+0042"), FW_E_DIGIT, 0, 1},
        {"digits", WIRE("00a42"), FW_E_DIGIT, 0, 3},
        {"digits whole", WIRE("9999999999999999999"), FW_FRAME, UINT64_C(9999999999999999999), 19},
        {"syslog", WIRE("9999999999999999999 "), FW_FRAME, UINT64_C(9999999999999999999), 20},
        {"syslog", WIRE("99999999999999999999"), FW_E_LONG, 19, 20},
        {"syslog", WIRE("1\xb2"), FW_E_DIGIT, 0, 2},
        {"marked", WIRE("120\r\n"), FW_FRAME, 120, 5},
        {"marked", WIRE("0\r\n"), FW_FRAME, 0, 3},
        {"marked", WIRE("01"), FW_E_ZERO, 3, 2},
        {"u24le", WIRE("\1\2\x83"), FW_FRAME, 0x830201, 3},
        {"i24le", WIRE("\xfe\xff\xff"), FW_FRAME, (uint64_t)-2, 3},
        {"i8", WIRE("\x80"), FW_FRAME, (uint64_t)-128, 1},
        {"shifted", WIRE("\xfa\xbf"), FW_FRAME, 0xab, 2},
        {"odd tiers", WIRE("\5\0\0\0\0\0\0\0"), FW_FRAME, 5, 8},
        {"odd tiers", WIRE("\3\0\0\0\0\0\0\0\3"), FW_FRAME, 3, 9},
        {"odd tiers", WIRE("\3\0\0\0\0\0\0\0\5"), FW_E_CANONICAL, 5, 9},
        {"odd tiers", WIRE("\xc9\0\0\0\0\0\0\0\xf8\xff\xff\xff\xff\xff\xff\xff"), FW_FRAME, UINT64_MAX, 16},
        {"coap, whole", WIRE("\xd3\0"), FW_FRAME, 13, 2},
        {"coap, whole", WIRE("\xe3\0\0"), FW_FRAME, 269, 3},
        {"coap, whole", WIRE("\xc3"), FW_FRAME, 12, 1},
        {"tarantool", WIRE("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), FW_FRAME, UINT64_MAX, 9},
        {"tarantool", WIRE("\xcc\1"), FW_FRAME, 1, 2},
        {"tarantool", WIRE("\xd0"), FW_E_SELECTOR, 0xd0, 1},
    };
    size_t i, n;
    for (i = 0; i < COUNT(cases); i++) {
        const fw_field *f = &sample_named(cases[i].plan)->field;
        const uint8_t *bytes = BYTES(cases[i].bytes);
        fw_number out;
        int status = fw_read_field(f, guard_copy(bytes, cases[i].size), cases[i].size, UINT64_MAX, &out);
        EXPECT(status == cases[i].status && out.value == cases[i].value && out.width == cases[i].width,
               cases[i].plan, bytes, cases[i].size, i);
        CHECK_EQUAL(out.negative, f->is_signed && status == FW_FRAME && cases[i].value > INT64_MAX);
        for (n = 0; n < cases[i].width; n++)
            EXPECT(fw_read_field(f, guard_copy(bytes, n), n, UINT64_MAX, &out) == FW_MORE && out.width > n,
                   cases[i].plan, bytes, cases[i].size, n);
    }
}

/* Digits are given up as soon as they are beyond the ceiling, whatever follows. */
static void test_ceiling(void)
{
    const fw_field *f = &sample_named("netstring")->field;
    fw_number out;
    CHECK_EQUAL(fw_read_field(f, guard_copy("100", 3), 3, 100, &out), FW_MORE);
    CHECK_EQUAL(fw_read_field(f, guard_copy("101", 3), 3, 100, &out), FW_E_TOO_LARGE);
    CHECK(out.value == 101 && out.width == 3);
    CHECK_EQUAL(fw_read_field(f, guard_copy("1", 1), 1, 0, &out), FW_E_TOO_LARGE);
    CHECK_EQUAL(fw_read_field(f, guard_copy("0:", 2), 2, 0, &out), FW_FRAME);
}

static void test_behind(void)
{
    fw_plan plan = {.kind = FW_COUNTED};
    CHECK_EQUAL(fw_behind(&plan, 3, 2, 7), 0);
    plan.counts = FW_REST;
    CHECK_EQUAL(fw_behind(&plan, 3, 2, 7), 7);
    plan.counts = FW_FIELD;
    CHECK_EQUAL(fw_behind(&plan, 3, 2, 7), 9);
    plan.counts = FW_WHOLE;
    CHECK_EQUAL(fw_behind(&plan, 3, 2, 7), 12);
}

/* The first contradicting byte decides, also among alternatives and over several places. */
static void test_magic(void)
{
    static const fw_magic places[] = {{4, 3, 3, BYTES("abcabdxyz")}, {1, 2, 1, BYTES("\1\2")}};
    static const struct {
        const char *bytes;
        size_t size, bad;
    } cases[] = {
        {WIRE(""), SIZE_MAX}, {WIRE("?\1\2?abd"), SIZE_MAX}, {WIRE("?\1\2?abe"), 6}, {WIRE("?\1\2?xbc"), 5},
        {WIRE("?\1\2?q"), 4}, {WIRE("?\1\3?q"), 2}, {WIRE("?\2"), 1}, {WIRE("?\1\2?xyz!"), SIZE_MAX},
    };
    const fw_plan plan = {.kind = FW_COUNTED, .magic = places, .magic_count = 2};
    size_t i, n;
    for (i = 0; i < COUNT(cases); i++)
        for (n = 0; n <= cases[i].size; n++) {
            size_t bad = fw_bad_magic(&plan, guard_copy(cases[i].bytes, n), n);
            EXPECT(bad == (cases[i].bad < n ? cases[i].bad : SIZE_MAX), "magic", BYTES(cases[i].bytes), n, i);
        }
}

int main(void)
{
    make_samples();
    test_round_trips();
    test_form_limits();
    test_free_bits();
    test_reading();
    test_ceiling();
    test_behind();
    test_magic();
    return check_report(__FILE__);
}
