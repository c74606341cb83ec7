/* Frames in fragments, for fw_scan.c and fw_head.c; each contract is that of the function in fw.h. */
#ifndef FW_FRAGMENTS_H
#define FW_FRAGMENTS_H

#include "fw.h"

void fw_prepare_fragments(fw_plan *plan);
int fw_cut_fragments(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, fw_frame *out);
int fw_encode_fragments(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *wire);
size_t fw_join_fragments(const fw_plan *plan, const uint8_t *data, size_t size, uint8_t *out);
size_t fw_expanded_most_fragments(const fw_plan *plan, size_t size);
size_t fw_expand_fragments(const fw_plan *plan, const uint8_t *message, size_t size, uint8_t *out);

#endif
