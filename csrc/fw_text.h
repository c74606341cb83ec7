/* Header blocks and chunks, for fw_scan.c and fw_head.c; each contract is that of the function in fw.h. */
#ifndef FW_TEXT_H
#define FW_TEXT_H

#include "fw.h"

/* Before the rest of fw_prepare. */
void fw_prepare_text(fw_plan *plan);
int fw_cut_headers(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, fw_frame *out);
int fw_encode_headers(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *wire);
int fw_cut_chunked(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, fw_frame *out);
int fw_encode_chunked(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *wire);
size_t fw_join_chunked(const fw_plan *plan, const uint8_t *data, size_t size, uint8_t *out);

#endif
