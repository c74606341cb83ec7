/* Framings of text protocols that talk in lines, for fw_scan.c and fw_head.c; each contract is that of the
 * function in fw.h. */
#ifndef FW_TALK_H
#define FW_TALK_H

#include "fw.h"

int fw_cut_talk(const fw_plan *plan, const uint8_t *data, size_t size, fw_cursor *c, fw_frame *out);
int fw_encode_talk(const fw_plan *plan, const uint8_t *message, size_t size, fw_wire *wire);

#endif
