/* Byte order and unaligned access, as inline functions.
 *
 * Every load and store goes through memcpy, because a cast to a wider pointer type is undefined
 * behaviour on unaligned addresses and compilers turn the memcpy into the one instruction anyway.
 * Nothing here checks bounds: the caller has already proved that the bytes are there, always in
 * the form `need > end - position`, which cannot overflow. */
#ifndef FW_BYTES_H
#define FW_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* FW_NO_BUILTINS builds the portable branch, so that it is compiled and tested as well. */
#if (defined(__GNUC__) || defined(__clang__)) && !defined(FW_NO_BUILTINS)
static inline uint16_t fw_bswap16(uint16_t x) { return __builtin_bswap16(x); }
static inline uint32_t fw_bswap32(uint32_t x) { return __builtin_bswap32(x); }
static inline uint64_t fw_bswap64(uint64_t x) { return __builtin_bswap64(x); }
#define FW_LIKELY(x) __builtin_expect(!!(x), 1)
#define FW_UNLIKELY(x) __builtin_expect(!!(x), 0)
#else
static inline uint16_t fw_bswap16(uint16_t x) { return (uint16_t)((x << 8) | (x >> 8)); }
static inline uint32_t fw_bswap32(uint32_t x)
{
    return (x << 24) | ((x & 0xff00u) << 8) | ((x >> 8) & 0xff00u) | (x >> 24);
}
static inline uint64_t fw_bswap64(uint64_t x)
{
    return ((uint64_t)fw_bswap32((uint32_t)x) << 32) | fw_bswap32((uint32_t)(x >> 32));
}
#define FW_LIKELY(x) (x)
#define FW_UNLIKELY(x) (x)
#endif

/* 1 on a big-endian machine; constant-folded. */
static inline int fw_host_big(void)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 0;
}

/* An unsigned integer of `width` (1..8) bytes at p, most significant byte first. */
static inline uint64_t fw_load_be(const uint8_t *p, unsigned width)
{
    uint64_t value = 0;
    memcpy((uint8_t *)&value + (8 - width), p, width);
    return fw_host_big() ? value : fw_bswap64(value);
}

/* An unsigned integer of `width` (1..8) bytes at p, least significant byte first. */
static inline uint64_t fw_load_le(const uint8_t *p, unsigned width)
{
    uint64_t value = 0;
    memcpy(&value, p, width);
    return fw_host_big() ? fw_bswap64(value) : value;
}

/* The low `width` (1..8) bytes of value to p, most significant byte first. */
static inline void fw_store_be(uint8_t *p, unsigned width, uint64_t value)
{
    value = fw_host_big() ? value : fw_bswap64(value);
    memcpy(p, (const uint8_t *)&value + (8 - width), width);
}

/* The low `width` (1..8) bytes of value to p, least significant byte first. */
static inline void fw_store_le(uint8_t *p, unsigned width, uint64_t value)
{
    value = fw_host_big() ? fw_bswap64(value) : value;
    memcpy(p, &value, width);
}

/* The largest value of `width` (1..8) bytes. */
static inline uint64_t fw_width_max(unsigned width)
{
    return width >= 8 ? UINT64_MAX : ((uint64_t)1 << (8 * width)) - 1;
}

#endif
