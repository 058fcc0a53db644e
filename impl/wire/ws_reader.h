/* A WebSocket's incoming side: bytes in, messages and control frames out (RFC 6455; pcp.md §9; limits and close codes
 * as in broker-observed.md). Pure; both roles. Idle it holds no memory beyond the struct. */
#ifndef DALANG_WIRE_WS_READER_H
#define DALANG_WIRE_WS_READER_H

#include "wire/ws_frame.h"

enum ws_role { WS_SERVER, WS_CLIENT }; /* which side *we* are: a server takes only masked frames, a client none */

struct ws_reader {
    struct buf message;  /* what is there of an unfinished message, or the one delivered last */
    char *control;       /* payload of a control frame, WS_CONTROL_MAX bytes, or NULL */
    uint64_t frame_left; /* payload bytes of the current frame still to come */
    size_t message_max;
    size_t text_checked;       /* bytes of the unfinished text message known to be UTF-8 */
    uint8_t head[WS_HEAD_MAX]; /* of an unfinished frame header */
    uint8_t mask[4];
    uint8_t head_len;
    uint8_t control_len;
    uint8_t frame_opcode;
    uint8_t mask_at;        /* place in the mask of the frame's next byte */
    uint8_t message_opcode; /* of the unfinished message; 0: none */
    bool client : 1;
    bool in_frame : 1;
    bool fin : 1;
    bool delivered : 1; /* the message buffer belongs to the last event */
    bool ended : 1;     /* a close frame or an error came: nothing more is read */
};

enum ws_event_kind { WS_MESSAGE, WS_PING, WS_PONG, WS_CLOSED, WS_FAILED };

struct ws_event {
    enum ws_event_kind kind;
    bool text;           /* WS_MESSAGE */
    struct span payload; /* WS_CLOSED and WS_FAILED: the reason. Valid until the next call. */
    /* WS_CLOSED: the peer's code, 1005 when its frame had none. WS_FAILED: what to close with, 1002, 1007 or 1009. */
    uint16_t code;
};

void ws_reader_init(struct ws_reader *r, enum ws_role role, size_t message_max);
void ws_reader_free(struct ws_reader *r);
/* Takes bytes off the front of *in. True: *ev is the next event. False: *in is used up and more is needed
 * (or WS_CLOSED or WS_FAILED has been returned: everything after it is dropped).
 * An unfragmented frame that lies whole in *in is not buffered: unmasked it is handed out in place. */
bool ws_next(struct ws_reader *r, struct span *in, struct ws_event *ev);
/* Is nothing of a frame or message pending? */
bool ws_reader_idle(const struct ws_reader *r);

#endif
