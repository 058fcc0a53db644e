/* links: fuzz_mutate wire base wslay */
/* A WebSocket's incoming bytes, both roles: cut differently they give the same events; wslay sees the same messages;
 * what was read can be written and read again. First byte: role and limit. */
#include "base/mem.h"
#include "fuzz/fuzz_cuts.h"
#include "fuzz/mutate/mutate.h"
#include "wire/ws_reader.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
MUTATOR(mutate_ws)

struct log {
    struct buf events;   /* everything */
    struct buf messages; /* messages, pings and pongs only, to compare with wslay's */
    struct buf again;    /* messages, written anew */
    bool failed;
};

static void log_free(struct log *l) {
    buf_free(&l->events);
    buf_free(&l->messages);
    buf_free(&l->again);
}

static void note(struct buf *out, uint8_t opcode, struct span payload) {
    buf_printf(out, "%u %zu:", opcode, payload.len);
    buf_append_span(out, payload);
    buf_append_char(out, '\n');
}

static uint8_t opcode_of(const struct ws_event *ev) {
    return ev->kind == WS_MESSAGE ? (ev->text ? WS_OP_TEXT : WS_OP_BINARY)
           : ev->kind == WS_PING  ? WS_OP_PING
                                  : WS_OP_PONG;
}

static void write_again(struct log *l, enum ws_role role, uint8_t opcode, struct span payload) {
    struct ws_frame_head head = {
        .fin = true, .opcode = opcode, .masked = role == WS_SERVER, .mask = {1, 2, 3, 4}, .length = payload.len};
    uint8_t bytes[WS_HEAD_MAX];
    buf_append(&l->again, bytes, ws_head_encode(bytes, &head));
    size_t at = l->again.len;
    buf_append_span(&l->again, payload);
    if (head.masked && payload.len != 0) {
        ws_mask(l->again.ptr + at, l->again.ptr + at, payload.len, head.mask, 0);
    }
}

static void on_event(struct log *l, enum ws_role role, size_t max, const struct ws_event *ev) {
    switch (ev->kind) {
    case WS_MESSAGE:
        assert(ev->payload.len <= max && (!ev->text || span_is_utf8(ev->payload)));
        break;
    case WS_PING:
    case WS_PONG:
        assert(ev->payload.len <= WS_CONTROL_MAX);
        break;
    case WS_CLOSED:
        assert((ev->code == 1005 && ev->payload.len == 0) || ws_close_code_valid(ev->code));
        break;
    case WS_FAILED:
        assert(ev->code == 1002 || ev->code == 1007 || ev->code == 1009);
        assert(ev->payload.len <= WS_REASON_MAX && span_is_utf8(ev->payload));
        l->failed = true;
        break;
    }
    buf_printf(&l->events, "%d %u ", (int)ev->kind, ev->code);
    note(&l->events, ev->text, ev->payload);
    if (ev->kind <= WS_PONG) {
        note(&l->messages, opcode_of(ev), ev->payload);
        write_again(l, role, opcode_of(ev), ev->payload);
    }
}

static void run(enum ws_role role, size_t max, struct span bytes, size_t cut, struct log *l) {
    struct ws_reader r;
    uint32_t random = (uint32_t)cut;
    ws_reader_init(&r, role, max);
    while (bytes.len != 0) {
        random = random * 1664525u + 1013904223u;
        size_t len = cut == 0 ? bytes.len : 1 + (random >> 8) % cut;
        len = len < bytes.len ? len : bytes.len;
        char one = 0, *copy = len == 1 ? &one : malloc(len);
        memcpy(copy, bytes.ptr, len);
        struct span in = {copy, len};
        struct ws_event ev;
        while (ws_next(&r, &in, &ev)) {
            on_event(l, role, max, &ev);
        }
        assert(in.len == 0);
        assert(!ws_reader_idle(&r) || r.ended || (r.message.ptr == NULL && r.control == NULL));
        if (copy != &one) {
            free(copy);
        }
        bytes = span_sub(bytes, len, bytes.len);
    }
    ws_reader_free(&r);
}

/* ---- wslay as the second reader */

struct theirs {
    struct span in;
    struct buf messages;
};

static ssize_t their_recv(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags, void *user) {
    (void)flags;
    struct theirs *t = user;
    if (t->in.len == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    len = len < t->in.len ? len : t->in.len;
    memcpy(buf, t->in.ptr, len);
    t->in = span_sub(t->in, len, t->in.len);
    return (ssize_t)len;
}

static ssize_t their_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags, void *user) {
    (void)ctx, (void)data, (void)flags, (void)user;
    return (ssize_t)len;
}

static int their_mask(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, void *user) {
    (void)ctx, (void)user;
    memset(buf, 0, len);
    return 0;
}

static void their_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *arg, void *user) {
    (void)ctx;
    struct theirs *t = user;
    if (arg->opcode != WSLAY_CONNECTION_CLOSE) {
        note(&t->messages, arg->opcode, span_bytes(arg->msg, arg->msg_length));
    }
}

/* wslay is more lenient about limits and the form of lengths: what we deliver, it must have delivered, the same. */
static void compare_with_wslay(enum ws_role role, struct span bytes, const struct log *ours) {
    struct theirs t = {.in = bytes};
    struct wslay_event_callbacks callbacks = {.recv_callback = their_recv,
                                              .send_callback = their_send,
                                              .genmask_callback = their_mask,
                                              .on_msg_recv_callback = their_message};
    wslay_event_context_ptr ctx;
    int rc = role == WS_SERVER ? wslay_event_context_server_init(&ctx, &callbacks, &t)
                               : wslay_event_context_client_init(&ctx, &callbacks, &t);
    assert(rc == 0);
    wslay_event_config_set_max_recv_msg_length(ctx, 1 << 20);
    while (wslay_event_want_read(ctx) && t.in.len != 0) {
        if (wslay_event_recv(ctx) != 0) {
            break;
        }
    }
    assert(t.messages.len >= ours->messages.len);
    assert(span_eq(span_sub(buf_span(&t.messages), 0, ours->messages.len), buf_span(&ours->messages)));
    wslay_event_context_free(ctx);
    buf_free(&t.messages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t limits[] = {10, 100, 5000, SIZE_MAX};
    if (size == 0) {
        return 0;
    }
    enum ws_role role = (data[0] & 1) != 0 ? WS_CLIENT : WS_SERVER;
    size_t max = limits[(data[0] >> 1) & 3];
    struct span bytes = span_bytes(data + 1, size - 1);
    struct log whole = {0}, again = {0};
    run(role, max, bytes, 0, &whole);
    for (size_t i = cuts_first(size); i < cuts_end(size); i++) {
        struct log l = {0};
        run(role, max, bytes, cuts[i], &l);
        assert(span_eq(buf_span(&l.events), buf_span(&whole.events)));
        log_free(&l);
    }
    run(role, max, buf_span(&whole.again), 0, &again);
    assert(span_eq(buf_span(&again.messages), buf_span(&whole.messages)) && !again.failed);
    compare_with_wslay(role, bytes, &whole);
    log_free(&whole);
    log_free(&again);
    return 0;
}
