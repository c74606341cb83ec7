/* Memory between two unreadable pages, so that reading or writing one byte too far, at either end,
 * stops the program at the very instruction. Sanitizers cannot promise that for vector loads made
 * inside a larger object. One region serves each flavour: a call reuses the memory of the one before. */
#ifndef GUARD_H
#define GUARD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUARD_CAPACITY ((size_t)1 << 20)

/* GUARD_CAPACITY readable bytes with an unreadable page at both ends. */
static inline uint8_t *guard_region(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t size = GUARD_CAPACITY + 2 * page;
    void *map = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect((uint8_t *)map + page, GUARD_CAPACITY, PROT_READ | PROT_WRITE) != 0) {
        perror("guard_region");
        exit(2);
    }
    return (uint8_t *)map + page;
}

static inline uint8_t *guard_fill(uint8_t *place, const void *data, size_t n)
{
    if (n > 0 && data != NULL)
        memcpy(place, data, n);
    return place;
}

static inline void guard_limit(size_t n)
{
    if (n > GUARD_CAPACITY) {
        fprintf(stderr, "guard: %zu bytes asked for, GUARD_CAPACITY is %zu\n", n, GUARD_CAPACITY);
        exit(2);
    }
}

/* A copy of data (NULL: whatever was there) whose last byte is the last readable one. */
static inline uint8_t *guard_copy(const void *data, size_t n)
{
    static uint8_t *region;
    guard_limit(n);
    if (region == NULL)
        region = guard_region();
    return guard_fill(region + (GUARD_CAPACITY - n), data, n);
}

/* A copy of data (NULL: whatever was there) whose first byte is the first readable one. */
static inline uint8_t *guard_copy_start(const void *data, size_t n)
{
    static uint8_t *region;
    guard_limit(n);
    if (region == NULL)
        region = guard_region();
    return guard_fill(region, data, n);
}

#endif
