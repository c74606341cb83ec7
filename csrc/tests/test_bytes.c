/* fw_bytes.h against byte-at-a-time arithmetic, at both edges of readable memory. */
#include "../fw_bytes.h"

#include "check.h"
#include "guard.h"

static const uint8_t sample[16] = {
    0x81, 0x02, 0xf3, 0x04, 0x95, 0x06, 0xa7, 0x08, 0xff, 0x00, 0x7f, 0x80, 0x01, 0xfe, 0x10, 0xef,
};

static uint64_t slow_load(const uint8_t *p, unsigned width, int little)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value = (value << 8) | p[little ? width - 1 - i : i];
    return value;
}

static void test_bswap(void)
{
    CHECK_EQUAL(fw_bswap16(0x0102u), 0x0201u);
    CHECK_EQUAL(fw_bswap16(0xff00u), 0x00ffu);
    CHECK_EQUAL(fw_bswap32(0x01020304u), 0x04030201u);
    CHECK_EQUAL(fw_bswap32(0xfffefdfcu), 0xfcfdfeffu);
    CHECK_EQUAL(fw_bswap64(UINT64_C(0x0102030405060708)), UINT64_C(0x0807060504030201));
    CHECK_EQUAL(fw_bswap64(UINT64_C(0xfffefdfcfbfaf9f8)), UINT64_C(0xf8f9fafbfcfdfeff));
    CHECK(FW_LIKELY(2));
    CHECK(!FW_UNLIKELY(0));
}

static void test_host_order(void)
{
    const uint32_t word = 0x01020304u;
    uint8_t first;
    memcpy(&first, &word, 1);
    CHECK_EQUAL(fw_host_big(), first == 1);
}

static void test_width_max(void)
{
    CHECK_EQUAL(fw_width_max(1), 0xff);
    CHECK_EQUAL(fw_width_max(3), 0xffffff);
    CHECK_EQUAL(fw_width_max(4), 0xffffffff);
    CHECK_EQUAL(fw_width_max(7), UINT64_C(0xffffffffffffff));
    CHECK_EQUAL(fw_width_max(8), UINT64_MAX);
}

static void test_loads(void)
{
    for (unsigned width = 1; width <= 8; width++)
        for (unsigned at = 0; at + width <= sizeof sample; at++) {
            const uint64_t big = slow_load(sample + at, width, 0);
            const uint64_t little = slow_load(sample + at, width, 1);
            CHECK_EQUAL(fw_load_be(guard_copy(sample + at, width), width), big);
            CHECK_EQUAL(fw_load_le(guard_copy(sample + at, width), width), little);
            CHECK_EQUAL(fw_load_be(guard_copy_start(sample + at, width), width), big);
            CHECK_EQUAL(fw_load_le(guard_copy_start(sample + at, width), width), little);
        }
}

static void test_stores(void)
{
    static const uint64_t values[] = {
        0, 1, 0x80, 0xff, 0x100, 0xfedcba98, UINT64_C(0x0123456789abcdef),
        UINT64_C(0x8000000000000000), UINT64_MAX,
    };
    for (unsigned width = 1; width <= 8; width++)
        for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
            const uint64_t low = values[i] & fw_width_max(width);
            uint8_t *end = guard_copy(NULL, width);
            uint8_t *start = guard_copy_start(NULL, width + 1);
            end[-1] = start[width] = 0x5a;

            fw_store_be(end, width, values[i]);
            CHECK_EQUAL(slow_load(end, width, 0), low);
            fw_store_le(end, width, values[i]);
            CHECK_EQUAL(slow_load(end, width, 1), low);
            CHECK_EQUAL(end[-1], 0x5a);

            fw_store_be(start, width, values[i]);
            CHECK_EQUAL(slow_load(start, width, 0), low);
            fw_store_le(start, width, values[i]);
            CHECK_EQUAL(slow_load(start, width, 1), low);
            CHECK_EQUAL(start[width], 0x5a);
        }
}

int main(void)
{
    test_bswap();
    test_host_order();
    test_width_max();
    test_loads();
    test_stores();
    return check_report(__FILE__);
}
