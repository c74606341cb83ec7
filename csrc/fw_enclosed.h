/* Frames between a start and an end mark, for fw_scan.c and fw_head.c; each contract is that of the function
 * in fw.h. */
#ifndef FW_ENCLOSED_H
#define FW_ENCLOSED_H

#include "fw.h"

int fw_cut_enclosed(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, fw_frame *out);
size_t fw_pass_enclosed(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, int *done);
uint64_t fw_find_need_enclosed(const fw_plan *plan, const uint8_t *data, size_t size);
int fw_encode_enclosed(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *wire);
size_t fw_join_enclosed(const fw_plan *plan, const uint8_t *data, size_t size, uint8_t *out);
size_t fw_expanded_most_enclosed(const fw_plan *plan, size_t size);
size_t fw_expand_enclosed(const fw_plan *plan, const uint8_t *message, size_t size, uint8_t *out);

#endif
