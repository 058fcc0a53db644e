/* The suite's own WebSocket ends, over world connections. */
#include "scenarios/conformance/link.h"
#include "base/mem.h"
#include <string.h>

static void event_add(struct link *l, enum link_event_kind kind, int code, struct span bytes,
                      enum world_close_reason why) {
    struct link_event *e = mem_zalloc(sizeof(*e));
    e->kind = kind;
    e->code = code;
    e->why = why;
    buf_append_span(&e->bytes, bytes);
    list_push_back(&l->events, &e->link);
}

struct link_event *link_take(struct link *l) {
    struct list_link *k = list_pop_front(&l->events);
    return k != NULL ? LIST_ITEM(k, struct link_event, link) : NULL;
}

void link_event_free(struct link_event *e) {
    if (e != NULL) {
        buf_free(&e->bytes);
        mem_free(e);
    }
}

/* ---- sending */

void link_raw(struct link *l, struct span bytes) {
    if (l->conn != NULL && bytes.len != 0) {
        world_conn_write(l->conn, &bytes, 1);
    }
}

void link_frame(struct link *l, const struct ws_frame_head *head, struct span payload) {
    uint8_t text[WS_HEAD_MAX];
    struct buf out = BUF_INIT;
    buf_append(&out, text, ws_head_encode(text, head));
    size_t start = out.len;
    buf_append_span(&out, payload);
    if (head->masked && payload.len != 0) {
        ws_mask(out.ptr + start, payload.ptr, payload.len, head->mask, 0);
    }
    link_raw(l, buf_span(&out));
    buf_free(&out);
}

static void send_whole(struct link *l, enum ws_opcode opcode, struct span payload) {
    struct ws_frame_head head = {
        .fin = true, .opcode = (uint8_t)opcode, .masked = !l->server, .mask = {7, 77, 177, 27}, .length = payload.len};
    link_frame(l, &head, payload);
}

void link_send(struct link *l, bool text, struct span payload) {
    send_whole(l, text ? WS_OP_TEXT : WS_OP_BINARY, payload);
}

void link_control(struct link *l, enum ws_opcode opcode, struct span payload) {
    send_whole(l, opcode, payload);
}

void link_close(struct link *l, uint16_t code, const char *reason) {
    struct buf payload = BUF_INIT;
    if (code != 1005) {
        buf_append_char(&payload, (char)(code >> 8));
        buf_append_char(&payload, (char)(code & 0xff));
        buf_append_cstr(&payload, reason);
    }
    l->close_sent = true;
    send_whole(l, WS_OP_CLOSE, buf_span(&payload));
    buf_free(&payload);
}

/* ---- receiving */

static void frames_read(struct link *l, struct span in) {
    struct ws_event ev;
    while (ws_next(&l->reader, &in, &ev)) {
        switch (ev.kind) {
        case WS_MESSAGE:
            event_add(l, ev.text ? LINK_TEXT : LINK_BINARY, 0, ev.payload, 0);
            break;
        case WS_PING:
            event_add(l, LINK_PING, 0, ev.payload, 0);
            if (!l->mute) {
                link_control(l, WS_OP_PONG, ev.payload);
            }
            break;
        case WS_PONG:
            event_add(l, LINK_PONG, 0, ev.payload, 0);
            break;
        case WS_CLOSED:
            event_add(l, LINK_CLOSE, ev.code, ev.payload, 0);
            if (!l->mute && !l->close_sent) {
                link_close(l, ev.code, "");
            }
            break;
        case WS_FAILED:
            event_add(l, LINK_INVALID, ev.code, ev.payload, 0);
            break;
        }
    }
}

static void answer_upgrade(struct link *l) {
    const char *key = http1_field(&l->head, "sec-websocket-key");
    struct buf out = BUF_INIT;
    ws_write_response(&out, key != NULL ? key : "", NULL, world_wall_ms(l->world));
    link_raw(l, buf_span(&out));
    buf_free(&out);
}

static void upgrade_read(struct link *l, struct span in) {
    struct span body;
    switch (http1_next(&l->http, &in, &body)) {
    case HTTP1_NEED_MORE:
        return;
    case HTTP1_HEAD:
        break;
    default:
        event_add(l, LINK_INVALID, 0, span_of(l->http.error.text), 0);
        return;
    }
    http1_head_free(&l->head);
    l->head = http1_take_head(&l->http);
    if (l->server) {
        l->path = str_dup(l->head.target);
        answer_upgrade(l);
    } else if (l->head.status != 101) {
        event_add(l, LINK_HTTP, l->head.status, in, 0);
        return;
    }
    l->open = true;
    event_add(l, LINK_OPEN, 101, (struct span){NULL, 0}, 0);
    frames_read(l, in);
}

static void on_data(void *ctx, struct world_conn *c, struct span bytes) {
    (void)c;
    struct link *l = ctx;
    if (l->open) {
        frames_read(l, bytes);
    } else if (l->head.status == 0) {
        upgrade_read(l, bytes);
    }
}

static void on_open(void *ctx, struct world_conn *c) {
    (void)c;
    struct link *l = ctx;
    link_raw(l, span_of(l->upgrade));
}

static void on_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    (void)c;
    struct link *l = ctx;
    l->conn = NULL;
    event_add(l, LINK_END, 0, span_of(text), why);
}

static const struct world_conn_handler handler = {.on_open = on_open, .on_data = on_data, .on_close = on_close};

static struct link *link_new(struct world *w, const char *name, bool server) {
    struct link *l = mem_zalloc(sizeof(*l));
    l->world = w;
    l->name = str_dup(name);
    l->server = server;
    list_init(&l->events);
    http1_reader_init(&l->http, server ? HTTP1_REQUEST : HTTP1_RESPONSE, 0, 0, 0);
    ws_reader_init(&l->reader, server ? WS_SERVER : WS_CLIENT, 256 * 1024 * 1024);
    return l;
}

struct link *link_connect(struct world *w, const struct link_connect *opts) {
    struct link *l = link_new(w, opts->name, false);
    l->version = opts->version;
    l->uri = str_dup(opts->uri);
    l->path = str_dup(opts->path);
    if (opts->request != NULL) {
        l->upgrade = str_dup(opts->request);
    } else {
        l->upgrade = str_printf("GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                                opts->path, opts->host, opts->extra != NULL ? opts->extra : "");
    }
    l->conn = world_connect(w, &opts->to, &handler, l);
    return l;
}

struct link *link_accept(struct world_conn *conn, const char *name) {
    struct link *l = link_new(world_conn_world(conn), name, true);
    l->conn = conn;
    world_conn_set_handler(conn, &handler, l);
    return l;
}

void link_free(struct link *l) {
    if (l->conn != NULL) {
        world_conn_abort(l->conn);
    }
    for (struct link_event *e; (e = link_take(l)) != NULL;) {
        link_event_free(e);
    }
    http1_reader_free(&l->http);
    http1_head_free(&l->head);
    ws_reader_free(&l->reader);
    mem_free(l->name);
    mem_free(l->uri);
    mem_free(l->path);
    mem_free(l->upgrade);
    mem_free(l);
}

/* ---- PCP v1, read anew here: the suite must not share a decoder with what it judges */

void link_v1_chunk(struct buf *out, int type, struct span content) {
    const uint8_t head[5] = {(uint8_t)type, (uint8_t)(content.len >> 24), (uint8_t)(content.len >> 16),
                             (uint8_t)(content.len >> 8), (uint8_t)content.len};
    buf_append(out, head, sizeof(head));
    buf_append_span(out, content);
}

json_t *link_v1_read(struct span bytes, const char **why) {
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    if (bytes.len < 6 || p[0] != 1) {
        *why = "no version byte 1";
        return NULL;
    }
    json_t *message = NULL, *types = json_array();
    size_t at = 1;
    *why = NULL;
    while (at < bytes.len && *why == NULL) {
        if (bytes.len - at < 5) {
            *why = "bytes are left behind the last chunk";
            break;
        }
        size_t size = (size_t)p[at + 1] << 24 | (size_t)p[at + 2] << 16 | (size_t)p[at + 3] << 8 | p[at + 4];
        if (size > bytes.len - at - 5) {
            *why = "a chunk is longer than the message";
            break;
        }
        int type = p[at] & 15;
        struct span content = span_sub(bytes, at + 5, size);
        json_array_append_new(types, json_integer(type));
        json_t *value = content.len != 0 ? json_parse(content, "x", NULL) : NULL;
        if (type == 1 && message == NULL && json_is_object(value)) {
            message = value;
        } else if (type == 2 && message != NULL && (value != NULL || content.len == 0)) {
            json_set(message, "data", value != NULL ? value : json_string(""));
        } else if (type == 3 && message != NULL && value != NULL) {
            json_t *debug = json_object_get(message, "debug");
            if (debug == NULL) {
                json_set(message, "debug", debug = json_array());
            }
            json_array_append_new(debug, value);
        } else {
            json_decref(value);
            *why = "chunks are not an envelope, then data, then debug, each JSON";
        }
        at += 5 + size;
    }
    if (*why == NULL && message == NULL) {
        *why = "there is no envelope";
    }
    if (*why != NULL) {
        json_decref(message);
        json_decref(types);
        return NULL;
    }
    json_set(message, "chunks", types);
    return message;
}
