/* CHECK(condition) and CHECK_EQUAL(actual, expected) count, and print where and what went wrong.
 * A test file ends main with `return check_report(__FILE__);`. */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

static unsigned long check_count, check_failures;

#define CHECK(condition) check_true((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define CHECK_EQUAL(actual, expected) \
    check_equal((uint64_t)(actual), (uint64_t)(expected), #actual " == " #expected, __FILE__, __LINE__)

static inline int check_true(int passed, const char *text, const char *file, int line)
{
    check_count++;
    if (!passed) {
        check_failures++;
        fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
    }
    return passed;
}

static inline int
check_equal(uint64_t actual, uint64_t expected, const char *text, const char *file, int line)
{
    if (check_true(actual == expected, text, file, line))
        return 1;
    fprintf(stderr, "    got 0x%" PRIx64 ", expected 0x%" PRIx64 "\n", actual, expected);
    return 0;
}

/* Prints the counts; the exit status. A test that checked nothing has failed. */
static inline int check_report(const char *file)
{
    printf("%-16s %10lu checks, %lu failed\n", file, check_count, check_failures);
    return check_failures != 0 || check_count == 0;
}

#endif
