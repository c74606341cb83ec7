#include "fw_swap.h"

#include "fw_bytes.h"

#if (defined(__GNUC__) || defined(__clang__)) && !defined(FW_NO_BUILTINS)
#if defined(__x86_64__) || defined(__i386__)
#define FW_SWAP_X86 1
#include <immintrin.h>
#elif defined(__aarch64__)
#define FW_SWAP_NEON 1
#include <arm_neon.h>
#endif
#endif

#if defined(FW_SWAP_X86) || defined(FW_SWAP_NEON)
/* Where each byte of a 16-byte vector comes from, for items of 2, 4 and 8 bytes. */
static const uint8_t *shuffle_order(unsigned width)
{
    static const uint8_t orders[3][16] = {
        {1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14},
        {3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12},
        {7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8},
    };
    return orders[width / 4];
}
#endif

/* Each loop reverses whole vectors and returns how many bytes it did; the next narrower one goes on. */
#if defined(FW_SWAP_X86)
__attribute__((target("avx2"))) static size_t
swap_32_bytes(uint8_t *dst, const uint8_t *src, size_t n, unsigned width)
{
    const __m128i half = _mm_loadu_si128((const __m128i *)(const void *)shuffle_order(width));
    const __m256i order = _mm256_broadcastsi128_si256(half);
    size_t done = 0;
    for (; n - done >= 64; done += 64) {
        const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(src + done));
        const __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(src + done + 32));
        _mm256_storeu_si256((__m256i *)(void *)(dst + done), _mm256_shuffle_epi8(a, order));
        _mm256_storeu_si256((__m256i *)(void *)(dst + done + 32), _mm256_shuffle_epi8(b, order));
    }
    return done;
}

__attribute__((target("ssse3"))) static size_t
swap_16_bytes(uint8_t *dst, const uint8_t *src, size_t n, unsigned width)
{
    const __m128i order = _mm_loadu_si128((const __m128i *)(const void *)shuffle_order(width));
    size_t done = 0;
    for (; n - done >= 16; done += 16) {
        const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(src + done));
        _mm_storeu_si128((__m128i *)(void *)(dst + done), _mm_shuffle_epi8(a, order));
    }
    return done;
}
#elif defined(FW_SWAP_NEON)
static size_t swap_16_bytes(uint8_t *dst, const uint8_t *src, size_t n, unsigned width)
{
    const uint8x16_t order = vld1q_u8(shuffle_order(width));
    size_t done = 0;
    for (; n - done >= 16; done += 16)
        vst1q_u8(dst + done, vqtbl1q_u8(vld1q_u8(src + done), order));
    return done;
}
#endif

static void swap_plain(uint8_t *dst, const uint8_t *src, size_t n, unsigned width)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    size_t at;
    switch (width) {
    case 2:
        for (at = 0; at < n; at += 2) {
            memcpy(&two, src + at, 2);
            two = fw_bswap16(two);
            memcpy(dst + at, &two, 2);
        }
        break;
    case 4:
        for (at = 0; at < n; at += 4) {
            memcpy(&four, src + at, 4);
            four = fw_bswap32(four);
            memcpy(dst + at, &four, 4);
        }
        break;
    default:
        for (at = 0; at < n; at += 8) {
            memcpy(&eight, src + at, 8);
            eight = fw_bswap64(eight);
            memcpy(dst + at, &eight, 8);
        }
        break;
    }
}

enum fw_swap_vectors fw_swap_best(void)
{
#if defined(FW_SWAP_X86)
    return __builtin_cpu_supports("avx2") ? FW_SWAP_32_BYTES
           : (__builtin_cpu_supports("ssse3") ? FW_SWAP_16_BYTES : FW_SWAP_PLAIN);
#elif defined(FW_SWAP_NEON)
    return FW_SWAP_16_BYTES;
#else
    return FW_SWAP_PLAIN;
#endif
}

void fw_swap_with(enum fw_swap_vectors vectors, uint8_t *dst, const uint8_t *src, size_t n, unsigned width)
{
    size_t done = 0;
#if defined(FW_SWAP_X86)
    if (vectors >= FW_SWAP_32_BYTES)
        done += swap_32_bytes(dst, src, n, width);
#endif
#if defined(FW_SWAP_X86) || defined(FW_SWAP_NEON)
    if (vectors >= FW_SWAP_16_BYTES)
        done += swap_16_bytes(dst + done, src + done, n - done, width);
#else
    (void)vectors;
#endif
    swap_plain(dst + done, src + done, n - done, width);
}

void fw_swap(uint8_t *dst, const uint8_t *src, size_t n, unsigned width)
{
    fw_swap_with(fw_swap_best(), dst, src, n, width);
}
