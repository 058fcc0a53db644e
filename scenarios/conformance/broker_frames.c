/* WebSocket as RFC 6455 has it: what the broker takes, and with which code it closes what it does not. */
#include "scenarios/conformance/broker_side.h"
#include <string.h>

struct frame {
    struct ws_frame_head head;
    struct span payload;
};

static void send_frame(struct stage *s, struct link *l, struct ws_frame_head head, struct span payload) {
    notes(s, l->name, "> frame opcode %u, %s, rsv %u%s, %zu bytes", head.opcode, head.fin ? "final" : "not final",
          head.reserved, head.masked ? "" : ", unmasked", payload.len);
    head.length = payload.len;
    if (head.masked) {
        memcpy(head.mask, "\x11\x22\x33\x44", 4);
    }
    link_frame(l, &head, payload);
}

static void broken_frame(struct stage *s) {
    const struct frame *f = s->c->data;
    struct link *l = connects(s, 1, "agent");
    send_frame(s, l, f->head, f->payload);
    expects(s, l, "close 1002*");
}

static void data_inside_message(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    send_frame(s, l, (struct ws_frame_head){.opcode = WS_OP_TEXT, .masked = true}, SPAN("{"));
    send_frame(s, l, (struct ws_frame_head){.fin = true, .opcode = WS_OP_TEXT, .masked = true}, SPAN("}"));
    expects(s, l, "close 1002*");
}

static void bad_utf8(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    send_frame(s, l, (struct ws_frame_head){.fin = true, .opcode = WS_OP_TEXT, .masked = true},
               SPAN("{\"id\": \"\xff\xfe\"}"));
    expects(s, l, "close 1007*");
}

static void utf8_across_frames(struct stage *s) {
    struct link *l = connects_v(s, 2, 1, "agent");
    fresh_id(s);
    char *text = variables_fill(
        &s->vars, "{\"id\":\"${sent}\",\"message_type\":\"example\",\"target\":\"${a1}\",\"data\":\"caf\xc3\xa9\"}");
    const char *whole = keep_text(s, text);
    struct span all = span_of(whole);
    size_t middle = (size_t)(strstr(whole, "\xc3\xa9") - whole) + 1; /* between the two bytes of é */
    send_frame(s, l, (struct ws_frame_head){.opcode = WS_OP_TEXT, .masked = true}, span_sub(all, 0, middle));
    send_frame(s, l, (struct ws_frame_head){.fin = true, .opcode = WS_OP_PING, .masked = true}, SPAN("between"));
    send_frame(s, l, (struct ws_frame_head){.opcode = WS_OP_CONTINUATION, .masked = true}, (struct span){"", 0});
    send_frame(s, l, (struct ws_frame_head){.fin = true, .opcode = WS_OP_CONTINUATION, .masked = true},
               span_sub(all, middle, all.len));
    expects(s, l, "pong between");
    hears(s, l,
          "{'message_type': 'example', 'target': '${a1}', 'sender': '${a1}', 'id': '${sent}', 'data': 'caf\xc3\xa9'}");
}

static void ping_is_answered(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    link_control(l, WS_OP_PING, SPAN("are you there"));
    expects(s, l, "pong are you there");
    link_control(l, WS_OP_PING, SPAN(""));
    expects(s, l, "pong ");
    link_control(l, WS_OP_PONG, SPAN("unasked"));
    works(s, l);
}

static void close_is_echoed(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    link_close(l, 3999, "my own reason");
    static const struct answer answers[] = {
        {REF, "close 3999 my own reason"}, {OURS, "close 3999 my own reason"}, {OURS, "close 3999 "}, {0, NULL}};
    expects_any(s, l, answers);
    expects(s, l, "end");
}

static void empty_close(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    link_close(l, 1005, NULL);
    static const struct answer answers[] = {{ALL, "close 1005*"}, {ALL, "close 1000*"}, {0, NULL}};
    expects_any(s, l, answers);
    expects(s, l, "end");
}

static void many_in_one_write(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    struct world_conn *conn = l->conn;
    struct buf all = BUF_INIT;
    for (int i = 0; i < 3; i++) {
        uint8_t head[WS_HEAD_MAX];
        struct ws_frame_head h = {.fin = true, .opcode = WS_OP_PING, .masked = true, .length = 1};
        buf_append(&all, head, ws_head_encode(head, &h));
        buf_append_char(&all, (char)('a' + i));
    }
    for (size_t i = 0; i < all.len; i++) { /* a byte a write: nothing depends on how they arrive */
        struct span byte = span_sub(buf_span(&all), i, 1);
        world_conn_write(conn, &byte, 1);
    }
    link_raw(l, buf_span(&all));
    buf_free(&all);
    static const char *const pongs[] = {"pong a", "pong b", "pong c", "pong a", "pong b", "pong c"};
    for (size_t i = 0; i < 6; i++) {
        expects(s, l, pongs[i]);
    }
}

#define HEAD(...)                                                                                                      \
    { __VA_ARGS__ }
static const struct frame
    unmasked = {HEAD(.fin = true, .opcode = WS_OP_TEXT), {"{}", 2}},
    rsv1 = {HEAD(.fin = true, .opcode = WS_OP_TEXT, .masked = true, .reserved = 4), {"{}", 2}},
    rsv2 = {HEAD(.fin = true, .opcode = WS_OP_TEXT, .masked = true, .reserved = 2), {"{}", 2}},
    opcode = {HEAD(.fin = true, .opcode = 3, .masked = true), {"{}", 2}},
    control_opcode = {HEAD(.fin = true, .opcode = 11, .masked = true), {"", 0}},
    continuation = {HEAD(.fin = true, .opcode = WS_OP_CONTINUATION, .masked = true), {"{}", 2}},
    cut_control = {HEAD(.opcode = WS_OP_PING, .masked = true), {"", 0}},
    long_control =
        {HEAD(.fin = true, .opcode = WS_OP_PING, .masked = true),
         {"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
          "0123456789012345678901234567",
          126}},
    close_one_byte = {HEAD(.fin = true, .opcode = WS_OP_CLOSE, .masked = true), {"\x03", 1}},
    close_code = {HEAD(.fin = true, .opcode = WS_OP_CLOSE, .masked = true), {"\x03\xed", 2}}; /* 1005 */

const struct conform_case broker_frame_cases[] = {
    {"pcp*/frames/unmasked-001", "An unmasked frame: 1002.", "broker-observed.md Close codes", "obs-close-02",
     broken_frame, &unmasked, NULL, false},
    {"pcp*/frames/reserved-001", "RSV1 without an extension: 1002.", "broker-observed.md Close codes", "obs-close-02",
     broken_frame, &rsv1, NULL, false},
    {"pcp*/frames/reserved-002", "RSV2: 1002.", "broker-observed.md Close codes", "obs-close-02", broken_frame, &rsv2,
     NULL, false},
    {"pcp*/frames/opcode-001", "An unknown data opcode: 1002.", "broker-observed.md Close codes", "obs-close-02",
     broken_frame, &opcode, NULL, false},
    {"pcp*/frames/opcode-002", "An unknown control opcode: 1002.", "broker-observed.md Close codes", "obs-close-02",
     broken_frame, &control_opcode, NULL, false},
    {"pcp*/frames/continuation-001", "A continuation of nothing: 1002.", "broker-observed.md Close codes",
     "obs-close-02", broken_frame, &continuation, NULL, false},
    {"pcp*/frames/continuation-002", "A new message inside an unfinished one: 1002.", "RFC 6455 §5.4", "obs-close-02",
     data_inside_message, NULL, NULL, false},
    {"pcp*/frames/control-001", "A control frame of 126 bytes: 1002.", "broker-observed.md Close codes", "obs-close-02",
     broken_frame, &long_control, NULL, false},
    {"pcp*/frames/control-002", "A fragmented control frame: 1002.", "RFC 6455 §5.5", "obs-close-02", broken_frame,
     &cut_control, NULL, false},
    {"pcp*/frames/close-001", "A close frame of one byte: 1002.", "RFC 6455 §5.5.1", "obs-close-02", broken_frame,
     &close_one_byte, NULL, false},
    {"pcp*/frames/close-002", "A close code that must not be sent: 1002.", "RFC 6455 §7.4", "obs-close-02",
     broken_frame, &close_code, NULL, false},
    {"pcp*/frames/close-003", "A client's own close code is echoed, then the stream ends.",
     "broker-observed.md Close codes", "obs-close-03", close_is_echoed, NULL, NULL, false},
    {"pcp*/frames/close-004", "A close frame without a code is answered, then the stream ends.", "RFC 6455 §5.5.1",
     "obs-close-03", empty_close, NULL, NULL, false},
    {"pcp*/frames/utf8-001", "Bad UTF-8 in a text frame: 1007.", "broker-observed.md Close codes",
     "obs-close-02 pcp-codec-01", bad_utf8, NULL, NULL, false},
    {"pcp2/frames/fragments-001", "A message in three frames, cut within a character, with a ping between.",
     "RFC 6455 §5.4", "pcp-codec-01", utf8_across_frames, NULL, NULL, false},
    {"pcp*/frames/ping-001", "Pings are answered with their payload; an unasked pong is ignored.", "pcp.md §9.3",
     "obs-close-04", ping_is_answered, NULL, NULL, false},
    {"pcp*/frames/bytes-001", "Frames byte by byte and several at once are the same.", "RFC 6455 §5", "obs-close-04",
     many_in_one_write, NULL, NULL, false},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
