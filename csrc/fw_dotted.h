/* Dot-stuffed text, for fw_scan.c and fw_head.c; each contract is that of the function in fw.h. */
#ifndef FW_DOTTED_H
#define FW_DOTTED_H

#include "fw.h"

int fw_cut_dotted(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, fw_frame *out);
int fw_encode_dotted(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *wire);
size_t fw_join_dotted(const fw_plan *plan, const uint8_t *data, size_t size, uint8_t *out);
size_t fw_expanded_most_dotted(const fw_plan *plan, size_t size);
size_t fw_expand_dotted(const fw_plan *plan, const uint8_t *message, size_t size, uint8_t *out);

#endif
