/* A WebSocket's incoming side. */
#include "wire/ws_reader.h"

#include "base/mem.h"
#include "wire/utf8.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A payload this long is given its memory when its header arrives; a longer one only as its bytes come, so that a
 * header alone cannot make us allocate much. */
enum { RESERVE_MAX = 64 * 1024 };

void ws_reader_init(struct ws_reader *r, enum ws_role role, size_t message_max) {
    memset(r, 0, sizeof(*r));
    r->client = role == WS_CLIENT;
    r->message_max = message_max;
}

void ws_reader_free(struct ws_reader *r) {
    buf_free(&r->message);
    mem_free(r->control);
    r->control = NULL;
}

bool ws_reader_idle(const struct ws_reader *r) {
    return r->head_len == 0 && !r->in_frame && r->message_opcode == 0;
}

static bool is_control(uint8_t opcode) {
    return (opcode & 8) != 0;
}

/* Gives back what the last event pointed to. */
static void release(struct ws_reader *r) {
    if (r->delivered) {
        buf_free(&r->message);
        r->delivered = false;
    }
    if (r->control != NULL && !r->in_frame) {
        mem_free(r->control);
        r->control = NULL;
    }
}

__attribute__((format(printf, 4, 5))) static bool fail(struct ws_reader *r, struct ws_event *ev, uint16_t code,
                                                       const char *format, ...) {
    buf_free(&r->message);
    va_list args;
    va_start(args, format);
    buf_vprintf(&r->message, format, args);
    va_end(args);
    r->delivered = true;
    r->ended = true;
    *ev = (struct ws_event){.kind = WS_FAILED, .code = code, .payload = buf_span(&r->message)};
    return true;
}

/* The checks a frame header must pass; true: it does not, and *ev says why. */
static bool refuse_head(struct ws_reader *r, const struct ws_frame_head *h, struct ws_event *ev) {
    if (h->masked == r->client) {
        return fail(r, ev, 1002, r->client ? "Masked frame from a server" : "Unmasked frame from a client");
    }
    if (h->reserved != 0) {
        return fail(r, ev, 1002, "Reserved bit set");
    }
    if (is_control(h->opcode)) {
        if (h->opcode > WS_OP_PONG) {
            return fail(r, ev, 1002, "Unknown opcode %u", h->opcode);
        }
        if (!h->fin) {
            return fail(r, ev, 1002, "Fragmented control frame");
        }
        if (h->length > WS_CONTROL_MAX) {
            return fail(r, ev, 1002, "Control frame of %llu bytes", (unsigned long long)h->length);
        }
        return false;
    }
    if (h->opcode > WS_OP_BINARY) {
        return fail(r, ev, 1002, "Unknown opcode %u", h->opcode);
    }
    if (h->opcode == WS_OP_CONTINUATION && r->message_opcode == 0) {
        return fail(r, ev, 1002, "Continuation frame without a message");
    }
    if (h->opcode != WS_OP_CONTINUATION && r->message_opcode != 0) {
        return fail(r, ev, 1002, "New message within a fragmented one");
    }
    if (h->length > r->message_max - r->message.len) {
        uint8_t opcode = h->opcode == WS_OP_CONTINUATION ? r->message_opcode : h->opcode;
        return fail(r, ev, 1009, "%s message size [%llu] exceeds maximum size [%zu]",
                    opcode == WS_OP_TEXT ? "Text" : "Binary", (unsigned long long)h->length + r->message.len,
                    r->message_max);
    }
    return false;
}

static void start_frame(struct ws_reader *r, const struct ws_frame_head *h) {
    r->in_frame = true;
    r->fin = h->fin;
    r->frame_left = h->length;
    r->frame_opcode = h->opcode;
    r->mask_at = 0;
    memcpy(r->mask, h->mask, sizeof(r->mask));
    if (is_control(h->opcode)) {
        r->control = mem_alloc(WS_CONTROL_MAX);
        r->control_len = 0;
    } else if (h->opcode != WS_OP_CONTINUATION) {
        r->message_opcode = h->opcode;
        r->text_checked = 0;
    }
}

/* Reads a frame header, across calls when need be. False: more bytes are needed. *ev is set (and true returned) on an
 * error, else r->in_frame is. */
static bool read_head(struct ws_reader *r, struct span *in, struct ws_event *ev, bool *failed) {
    struct ws_frame_head h = {0};
    int used;
    if (r->head_len == 0) { /* the usual case: straight from the input */
        used = ws_head_decode(in->ptr, in->len, &h);
        if (used > 0) {
            *in = span_sub(*in, (size_t)used, in->len);
        }
    } else {
        used = ws_head_decode(r->head, r->head_len, &h);
    }
    while (used == 0) {
        if (in->len == 0) {
            return false;
        }
        r->head[r->head_len++] = (uint8_t)in->ptr[0];
        *in = span_sub(*in, 1, in->len);
        used = ws_head_decode(r->head, r->head_len, &h);
    }
    r->head_len = 0;
    *failed = used < 0 ? fail(r, ev, 1002, "Frame length not in its shortest form") : refuse_head(r, &h, ev);
    if (!*failed) {
        start_frame(r, &h);
    }
    return true;
}

static void unmask(const struct ws_reader *r, char *dst, struct span src) {
    if (src.len == 0) {
        return;
    }
    if (r->client) {
        memcpy(dst, src.ptr, src.len);
    } else {
        ws_mask(dst, src.ptr, src.len, r->mask, r->mask_at);
    }
}

static bool fail_text(struct ws_reader *r, struct ws_event *ev) {
    return fail(r, ev, 1007, "Text message is not UTF-8");
}

static bool deliver_message(struct ws_reader *r, struct span payload, struct ws_event *ev) {
    bool text = r->message_opcode == WS_OP_TEXT;
    if (text && !span_is_utf8(span_sub(payload, r->text_checked, payload.len))) {
        return fail_text(r, ev);
    }
    r->message_opcode = 0;
    r->delivered = true;
    *ev = (struct ws_event){.kind = WS_MESSAGE, .text = text, .payload = payload};
    return true;
}

static bool deliver_close(struct ws_reader *r, struct span payload, struct ws_event *ev) {
    if (payload.len == 1) {
        return fail(r, ev, 1002, "Close frame of one byte");
    }
    uint16_t code = 1005;
    if (payload.len >= 2) {
        code = (uint16_t)((uint8_t)payload.ptr[0] << 8 | (uint8_t)payload.ptr[1]);
        payload = span_sub(payload, 2, payload.len);
        if (!ws_close_code_valid(code)) {
            return fail(r, ev, 1002, "Close code %u is not allowed", code);
        }
        if (!span_is_utf8(payload)) {
            return fail(r, ev, 1007, "Close reason is not UTF-8");
        }
    }
    r->ended = true;
    *ev = (struct ws_event){.kind = WS_CLOSED, .code = code, .payload = payload};
    return true;
}

static bool deliver_control(struct ws_reader *r, struct ws_event *ev) {
    struct span payload = {r->control, r->control_len};
    if (r->frame_opcode == WS_OP_CLOSE) {
        return deliver_close(r, payload, ev);
    }
    *ev = (struct ws_event){.kind = r->frame_opcode == WS_OP_PING ? WS_PING : WS_PONG, .payload = payload};
    return true;
}

/* For `take` bytes of the current frame; a small frame that starts a message gets exactly what it needs. */
static void make_room(struct ws_reader *r, size_t take) {
    if (r->message.ptr == NULL && r->frame_left <= RESERVE_MAX) {
        r->message.cap = (size_t)r->frame_left + 1;
        r->message.ptr = mem_alloc(r->message.cap);
    } else {
        buf_reserve(&r->message, r->frame_left <= RESERVE_MAX ? (size_t)r->frame_left : take);
    }
}

/* Takes payload bytes of the current frame. True: *ev is set. */
static bool read_payload(struct ws_reader *r, struct span *in, struct ws_event *ev) {
    bool whole = in->len >= r->frame_left;
    size_t take = whole ? (size_t)r->frame_left : in->len;
    struct span bytes = span_sub(*in, 0, take);
    *in = span_sub(*in, take, in->len);
    if (is_control(r->frame_opcode)) {
        unmask(r, r->control + r->control_len, bytes);
        r->control_len = (uint8_t)(r->control_len + take);
    } else if (whole && r->client && r->fin && r->message.len == 0) {
        r->in_frame = false;
        return deliver_message(r, bytes, ev);
    } else {
        make_room(r, take);
        unmask(r, r->message.ptr + r->message.len, bytes);
        r->message.len += take;
        r->message.ptr[r->message.len] = '\0';
    }
    r->mask_at = (uint8_t)((r->mask_at + take) & 3);
    r->frame_left -= take;
    r->in_frame = r->frame_left != 0;
    if (is_control(r->frame_opcode)) {
        return !r->in_frame && deliver_control(r, ev);
    }
    if (!r->in_frame && r->fin) {
        return deliver_message(r, buf_span(&r->message), ev);
    }
    return r->message_opcode == WS_OP_TEXT && !utf8_so_far(buf_span(&r->message), &r->text_checked) && fail_text(r, ev);
}

bool ws_next(struct ws_reader *r, struct span *in, struct ws_event *ev) {
    release(r);
    while (!r->ended) {
        bool failed = false;
        if (!r->in_frame && !read_head(r, in, ev, &failed)) {
            return false;
        }
        if (failed || read_payload(r, in, ev)) {
            return true;
        }
        if (r->in_frame && in->len == 0) {
            return false;
        }
    }
    *in = span_sub(*in, in->len, 0);
    return false;
}
