/* WebSocket frame headers and masks (RFC 6455 §5.2, §5.3). Pure. */
#ifndef DALANG_WIRE_WS_FRAME_H
#define DALANG_WIRE_WS_FRAME_H

#include "base/bytes.h"

enum ws_opcode {
    WS_OP_CONTINUATION = 0,
    WS_OP_TEXT = 1,
    WS_OP_BINARY = 2,
    WS_OP_CLOSE = 8,
    WS_OP_PING = 9,
    WS_OP_PONG = 10,
};

enum {
    WS_HEAD_MAX = 14,     /* bytes of the longest frame header */
    WS_CONTROL_MAX = 125, /* payload bytes of a control frame */
    WS_REASON_MAX = 123,  /* bytes of a close frame's reason */
};

struct ws_frame_head {
    bool fin;
    uint8_t reserved; /* the three RSV bits, RSV1 is 4 */
    uint8_t opcode;
    bool masked;
    uint8_t mask[4];
    uint64_t length; /* of the payload */
};

/* Reads a frame header from the first len bytes: how many it takes, 0 when more are needed, -1 when the length is not
 * in its shortest form or has its top bit set. Nothing else is checked here. */
int ws_head_decode(const void *bytes, size_t len, struct ws_frame_head *out);
/* Writes the header and returns its length. */
size_t ws_head_encode(uint8_t out[WS_HEAD_MAX], const struct ws_frame_head *head);
/* Masks or unmasks len bytes; `at` is the place of the first one within the payload. dst may be src. */
void ws_mask(char *dst, const char *src, size_t len, const uint8_t mask[4], uint64_t at);
/* May this code stand in a close frame (RFC 6455 §7.4)? */
bool ws_close_code_valid(uint16_t code);

#endif
