/* fw_swap.h: every way this machine has, every short length, any alignment, both edges of memory. */
#include "../fw_swap.h"

#include "check.h"
#include "guard.h"

#define LONGEST 288

static const unsigned widths[] = {2, 4, 8};

static void slow_swap(uint8_t *dst, const uint8_t *src, size_t n, unsigned width)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = src[i - i % width + (width - 1 - i % width)];
}

/* src and dst flush against opposite edges, then the same exchanged, then in place at both. */
static void check_edges(enum fw_swap_vectors vectors, const uint8_t *data, size_t n, unsigned width)
{
    uint8_t expected[LONGEST];
    slow_swap(expected, data, n, width);

    uint8_t *start = guard_copy_start(NULL, n);
    fw_swap_with(vectors, start, guard_copy(data, n), n, width);
    CHECK(memcmp(start, expected, n) == 0);

    uint8_t *end = guard_copy(NULL, n);
    fw_swap_with(vectors, end, guard_copy_start(data, n), n, width);
    CHECK(memcmp(end, expected, n) == 0);

    end = guard_copy(data, n);
    end[-1] = 0x5a;
    fw_swap_with(vectors, end, end, n, width);
    CHECK(memcmp(end, expected, n) == 0);
    CHECK_EQUAL(end[-1], 0x5a);

    start = guard_copy_start(data, n);
    start[n] = 0x5a;
    fw_swap_with(vectors, start, start, n, width);
    CHECK(memcmp(start, expected, n) == 0);
    CHECK_EQUAL(start[n], 0x5a);
}

static void check_alignments(enum fw_swap_vectors vectors, const uint8_t *data, size_t n, unsigned width)
{
    uint8_t expected[LONGEST], place[LONGEST + 32], out[LONGEST + 32];
    slow_swap(expected, data, n, width);
    for (size_t from = 0; from < 17; from++) {
        const size_t to = 16 - from;
        memcpy(place + from, data, n);
        memset(out, 0x5a, sizeof out);
        fw_swap_with(vectors, out + to, place + from, n, width);
        CHECK(memcmp(out + to, expected, n) == 0);
        CHECK(out[to + n] == 0x5a && (to == 0 || out[to - 1] == 0x5a));
    }
}

int main(void)
{
    uint8_t data[LONGEST], once[LONGEST], twice[LONGEST];
    for (size_t i = 0; i < LONGEST; i++)
        data[i] = (uint8_t)(i * 167 + i / 256 + 13);

    CHECK(fw_swap_best() >= FW_SWAP_PLAIN && fw_swap_best() <= FW_SWAP_32_BYTES);
    for (unsigned vectors = FW_SWAP_PLAIN; vectors <= (unsigned)fw_swap_best(); vectors++)
        for (size_t w = 0; w < 3; w++)
            for (size_t n = 0; n <= LONGEST; n += widths[w]) {
                check_edges((enum fw_swap_vectors)vectors, data, n, widths[w]);
                check_alignments((enum fw_swap_vectors)vectors, data, n, widths[w]);
            }
    for (size_t w = 0; w < 3; w++) {
        fw_swap(once, data, LONGEST, widths[w]);
        CHECK(memcmp(once, data, LONGEST) != 0);
        fw_swap(twice, once, LONGEST, widths[w]);
        CHECK(memcmp(twice, data, LONGEST) == 0);
    }
    return check_report(__FILE__);
}
