/* Byte-stuffed framings, for fw_scan.c and fw_head.c; each contract is that of the function in fw.h. */
#ifndef FW_STUFF_H
#define FW_STUFF_H

#include "fw.h"

/* Before the rest of fw_prepare. */
void fw_prepare_stuffed(fw_plan *plan);
int fw_encode_stuffed(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *wire);
int fw_cut_stuffed(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, fw_frame *out);
size_t fw_join_stuffed(const fw_plan *plan, const uint8_t *data, size_t size, uint8_t *out);
size_t fw_expanded_most_stuffed(const fw_plan *plan, size_t size);
size_t fw_expand_stuffed(const fw_plan *plan, const uint8_t *message, size_t size, uint8_t *out);

#endif
