/* Bulk byte-order reversal: every item of an array, at the speed of the machine's vector unit.
 *
 * Reversing an item's bytes is one shuffle of a vector register, the same instruction for every
 * item width: only the shuffle's order differs. x86-64 promises no byte shuffle, so the widest
 * vectors are looked up at run time at each call (a read of one word that the C runtime filled in
 * before main; no variable of ours, hence no race). On 64-bit ARM the shuffle is always there.
 * Everywhere else, and for the last few bytes, plain C does the work.
 *
 * Nothing here depends on the machine's own byte order: reversed is reversed. */
#ifndef FW_SWAP_H
#define FW_SWAP_H

#include <stddef.h>
#include <stdint.h>

/* The ways to do it, slowest first. A machine has all of them up to fw_swap_best(). */
enum fw_swap_vectors { FW_SWAP_PLAIN = 0, FW_SWAP_16_BYTES = 1, FW_SWAP_32_BYTES = 2 };

/* The widest vectors that this machine has. */
enum fw_swap_vectors fw_swap_best(void);

/* Copies n bytes from src to dst and reverses the bytes of every item of `width` (2, 4 or 8) bytes.
 * n is a multiple of width. Both may have any alignment. dst is src, or does not overlap it. */
void fw_swap(uint8_t *dst, const uint8_t *src, size_t n, unsigned width);

/* The same with vectors of a given width, at most fw_swap_best(): for tests and benchmarks. */
void fw_swap_with(enum fw_swap_vectors vectors, uint8_t *dst, const uint8_t *src, size_t n, unsigned width);

#endif
