/* Frames whose lengths and masks must agree with what they hold: PCP version 1 and WebSocket. */
#include "base/mem.h"
#include "fuzz/mutate/words.h"
#include "wire/ws_frame.h"
#include <string.h>

/* ---- PCP version 1: a byte of version; chunks of a type, four bytes of length and so many bytes */

enum { CHUNK_HEAD = 5, CHUNK_ENVELOPE = 1, CHUNK_DATA = 2, CHUNK_DEBUG = 3 };

static bool v1_split(const struct mutate_format *f, struct span in, struct pieces *out) {
    (void)f;
    if (in.len == 0) {
        return false;
    }
    buf_append_char(&out->head, in.ptr[0]);
    in = span_sub(in, 1, in.len);
    while (in.len >= CHUNK_HEAD) {
        const uint8_t *at = (const uint8_t *)in.ptr;
        size_t len = (size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 | at[4];
        struct span content = span_sub(in, CHUNK_HEAD, len); /* one that lies is cut to what there is */
        pieces_add(out, at[0], content);
        in = span_sub(in, CHUNK_HEAD + content.len, in.len);
    }
    return true;
}

static void v1_join(const struct mutate_format *f, const struct pieces *in, struct buf *out) {
    (void)f;
    buf_append_span(out, buf_span(&in->head));
    for (size_t i = 0; i < in->count; i++) {
        const struct piece *p = &in->items[i];
        uint32_t len = (uint32_t)p->text.len;
        uint8_t head[CHUNK_HEAD] = {p->kind, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                                    (uint8_t)len};
        buf_append(out, head, sizeof(head));
        buf_append_span(out, buf_span(&p->text));
    }
}

static void v1_change(const struct mutate_format *f, struct mutate *m, struct piece *p) {
    (void)f;
    if (mutate_one_in(m, 24)) {
        p->kind = (uint8_t)mutate_below(m, 256);
    } else if ((p->kind & 15) == CHUNK_DEBUG) {
        mutate_bytes(m, &p->text);
    } else {
        mutate_json(m, &mutate_pcp_words, &p->text);
    }
}

static void v1_make(const struct mutate_format *f, struct mutate *m, struct piece *p) {
    p->kind = (uint8_t)(CHUNK_DATA + mutate_below(m, 2));
    v1_change(f, m, p);
}

/* The envelope comes first and once, data at most once, and the version is the first. */
static void v1_repair(const struct mutate_format *f, struct mutate *m, struct pieces *p) {
    (void)f, (void)m;
    p->head.ptr[0] = 1;
    size_t envelope = 0;
    while (envelope < p->count && p->items[envelope].kind != CHUNK_ENVELOPE) {
        envelope++;
    }
    if (envelope == p->count) {
        pieces_insert(p, 0, &(struct piece){.kind = CHUNK_ENVELOPE});
        buf_append_cstr(&p->items[0].text, "{\"id\":\"12345678-1234-4234-8234-123456789012\",\"message_type\":\"x\","
                                           "\"targets\":[\"pcp:///server\"],\"sender\":\"pcp://a/agent\",\"expires\":"
                                           "\"2030-01-02T03:04:05Z\"}");
    } else {
        struct piece first = p->items[envelope];
        memmove(&p->items[1], &p->items[0], envelope * sizeof(first));
        p->items[0] = first;
    }
    size_t data = 0;
    for (size_t i = p->count; i-- > 1;) {
        uint8_t kind = p->items[i].kind & 15;
        if (kind == CHUNK_ENVELOPE || (kind == CHUNK_DATA && data++ > 0)) {
            pieces_remove(p, i);
        }
    }
}

const struct mutate_format mutate_pcp_v1 = {v1_split, v1_join, v1_change, v1_make, v1_repair, NULL};

/* ---- WebSocket: a byte whose first bit is the reader's role (0: a server, which takes masked frames only). A piece's
 * kind is a frame's first byte, its operands are masked?, the mask, and its text is the payload, unmasked. */

enum { OPCODE = 15, FIN = 0x80, MASKED = 0, MASK = 1 };

static bool ws_split(const struct mutate_format *f, struct span in, struct pieces *out) {
    (void)f;
    if (in.len == 0) {
        return false;
    }
    buf_append_char(&out->head, in.ptr[0]);
    in = span_sub(in, 1, in.len);
    struct ws_frame_head head;
    for (int len; (len = ws_head_decode(in.ptr, in.len, &head)) > 0;) {
        struct piece *p = pieces_add(out, (uint8_t)in.ptr[0], SPAN(""));
        struct span payload = span_sub(in, (size_t)len, head.length < in.len ? (size_t)head.length : in.len);
        p->operands[MASKED] = head.masked;
        memcpy(p->operands + MASK, head.mask, sizeof(head.mask));
        buf_append_span(&p->text, payload);
        if (head.masked && payload.len != 0) {
            ws_mask(p->text.ptr, payload.ptr, payload.len, head.mask, 0);
        }
        in = span_sub(in, (size_t)len + payload.len, in.len);
    }
    return true;
}

static void ws_join(const struct mutate_format *f, const struct pieces *in, struct buf *out) {
    (void)f;
    buf_append_span(out, buf_span(&in->head));
    for (size_t i = 0; i < in->count; i++) {
        const struct piece *p = &in->items[i];
        struct ws_frame_head head = {.fin = (p->kind & FIN) != 0,
                                     .reserved = (p->kind >> 4) & 7,
                                     .opcode = p->kind & OPCODE,
                                     .masked = p->operands[MASKED] != 0,
                                     .length = p->text.len};
        memcpy(head.mask, p->operands + MASK, sizeof(head.mask));
        uint8_t bytes[WS_HEAD_MAX];
        buf_append(out, bytes, ws_head_encode(bytes, &head));
        size_t at = out->len;
        buf_append_span(out, buf_span(&p->text));
        if (head.masked && p->text.len != 0) {
            ws_mask(out->ptr + at, out->ptr + at, p->text.len, head.mask, 0);
        }
    }
}

static bool is_control(const struct piece *p) {
    return (p->kind & 8) != 0;
}

static void ws_change(const struct mutate_format *f, struct mutate *m, struct piece *p) {
    static const uint8_t kinds[] = {FIN | WS_OP_TEXT, FIN | WS_OP_BINARY, WS_OP_TEXT,
                                    WS_OP_BINARY,     WS_OP_CONTINUATION, FIN,
                                    FIN | WS_OP_PING, FIN | WS_OP_PONG,   FIN | WS_OP_CLOSE};
    static const uint16_t codes[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 3000, 4002, 4999};
    (void)f;
    uint32_t what = mutate_below(m, 16);
    if (what < 5) {
        p->kind = kinds[mutate_below(m, sizeof(kinds))];
    } else if (what < 6) {
        p->operands[MASK + mutate_below(m, 4)] = (uint8_t)mutate_below(m, 256);
    } else if (what < 8) { /* lengths around those that are written otherwise, and around limits */
        static const uint32_t sizes[] = {0, 1, 9, 10, 11, 99, 100, 101, 125, 126, 127, 300};
        uint32_t size = sizes[mutate_below(m, sizeof(sizes) / sizeof(sizes[0]))];
        while (p->text.len < size) {
            buf_append_char(&p->text, (char)('a' + p->text.len % 26));
        }
        p->text.len = size;
    } else if ((p->kind & OPCODE) == WS_OP_CLOSE) {
        uint16_t code = codes[mutate_below(m, sizeof(codes) / sizeof(codes[0]))];
        buf_clear(&p->text);
        buf_append_char(&p->text, (char)(code >> 8));
        buf_append_char(&p->text, (char)code);
        buf_append(&p->text, "bye", mutate_below(m, 4));
    } else if ((p->kind & OPCODE) == WS_OP_BINARY) {
        mutate_bytes(m, &p->text);
    } else {
        mutate_text(m, &p->text);
    }
}

static void ws_make(const struct mutate_format *f, struct mutate *m, struct piece *p) {
    p->kind = FIN | WS_OP_TEXT;
    ws_change(f, m, p);
    ws_change(f, m, p);
}

/* Masks by role, short control frames, continuations where a message is unfinished, nothing behind a close. */
static void ws_repair(const struct mutate_format *f, struct mutate *m, struct pieces *p) {
    bool server = (p->head.ptr[0] & 1) == 0, unfinished = false;
    (void)f;
    for (size_t i = 0; i < p->count; i++) {
        struct piece *one = &p->items[i];
        one->kind &= (uint8_t)~0x70u; /* reserved bits */
        one->operands[MASKED] = server;
        if (is_control(one)) {
            uint8_t opcode = one->kind & OPCODE;
            one->kind = FIN | (opcode > WS_OP_PONG ? WS_OP_PING : opcode);
            one->text.len = one->text.len < WS_CONTROL_MAX ? one->text.len : WS_CONTROL_MAX;
            if (opcode == WS_OP_CLOSE) {
                uint16_t code = one->text.len < 2
                                    ? 0
                                    : (uint16_t)((unsigned)(uint8_t)one->text.ptr[0] << 8 | (uint8_t)one->text.ptr[1]);
                one->text.len = ws_close_code_valid(code) ? one->text.len : 0;
                while (i + 1 < p->count && !mutate_one_in(m, 8)) {
                    pieces_remove(p, p->count - 1);
                }
            }
        } else {
            uint8_t opcode = one->kind & OPCODE;
            opcode = unfinished ? WS_OP_CONTINUATION : opcode == WS_OP_BINARY ? WS_OP_BINARY : WS_OP_TEXT;
            one->kind = (uint8_t)((one->kind & FIN) | opcode);
            unfinished = (one->kind & FIN) == 0;
            if (opcode == WS_OP_TEXT) {
                mutate_make_text(&one->text);
            }
        }
    }
}

const struct mutate_format mutate_ws = {ws_split, ws_join, ws_change, ws_make, ws_repair, NULL};
