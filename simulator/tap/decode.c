/* See decode.h. */
#include "simulator/tap/decode.h"

#include "base/mem.h"
#include <stdio.h>
#include <string.h>

static void tell(struct tap_decoder *d, struct tap_event event) {
    event.path = d->path;
    d->on_event(d->ctx, &event);
}

static void lose(struct tap_decoder *d, bool from_client, const char *why) {
    struct tap_stream *s = from_client ? &d->client : &d->server;
    s->lost = true;
    tell(d, (struct tap_event){.kind = TAP_LOST, .from_client = from_client, .text = why});
}

/* ---- frames */

static void on_message(struct tap_decoder *d, bool from_client, const struct ws_event *ev) {
    struct tap_event event = {
        .kind = TAP_MESSAGE, .from_client = from_client, .version = ev->text ? PCP_V2 : PCP_V1, .payload = ev->payload};
    struct pcp_message m;
    struct error err = ERROR_INIT;
    /* Readers differ in what they let pass; this one wants to see as much as can be seen. */
    if (pcp_decode(event.version, ev->payload, PCP_AS_BROKER, &m, &d->scratch, NULL) ||
        pcp_decode(event.version, ev->payload, PCP_AS_CLIENT, &m, &d->scratch, &err)) {
        event.message = &m;
    } else {
        event.text = err.msg;
    }
    tell(d, event);
    error_clear(&err);
}

static void on_control(struct tap_decoder *d, bool from_client, const struct ws_event *ev) {
    struct tap_event event = {.from_client = from_client, .payload = ev->payload, .code = ev->code};
    char *reason = NULL;
    if (ev->kind == WS_CLOSED) {
        event.kind = TAP_CLOSE;
        event.text = reason = span_dup(ev->payload);
    } else {
        event.kind = ev->kind == WS_PING ? TAP_PING : TAP_PONG;
    }
    tell(d, event);
    mem_free(reason);
}

static void read_frames(struct tap_decoder *d, bool from_client, struct span bytes) {
    struct tap_stream *s = from_client ? &d->client : &d->server;
    struct ws_event ev;
    while (!s->lost && ws_next(&s->frames, &bytes, &ev)) {
        if (ev.kind == WS_MESSAGE) {
            on_message(d, from_client, &ev);
        } else if (ev.kind == WS_FAILED) {
            char *why = span_dup(ev.payload);
            lose(d, from_client, why);
            mem_free(why);
        } else {
            on_control(d, from_client, &ev);
        }
    }
}

/* ---- heads */

static void read_http(struct tap_decoder *d, bool from_client, struct span bytes);

static void on_request(struct tap_decoder *d, struct http1_head *head) {
    char *text = str_printf("%s %s", head->method, head->target);
    d->asked = head->upgrade;
    d->server.http.no_body = strcmp(head->method, "HEAD") == 0;
    if (head->upgrade) {
        mem_free(d->path);
        d->path = str_dup(head->target);
    }
    tell(d, (struct tap_event){.kind = TAP_REQUEST, .from_client = true, .head = head, .text = text});
    mem_free(text);
}

static void on_response(struct tap_decoder *d, struct http1_head *head, struct span *behind) {
    char *text = str_printf("%d %s", head->status, http1_status_text(head->status));
    bool upgraded = d->asked && head->status == 101, asked = d->asked;
    tell(d, (struct tap_event){.kind = TAP_RESPONSE, .head = head, .text = text});
    mem_free(text);
    if (asked && head->status != 100) {
        struct buf held = d->client.held;
        d->client.held = (struct buf)BUF_INIT;
        d->asked = false;
        d->upgraded = upgraded;
        tap_decode(d, true, buf_span(&held));
        buf_free(&held);
    }
    if (upgraded) {
        read_frames(d, false, *behind);
        *behind = SPAN("");
    }
}

static void read_http(struct tap_decoder *d, bool from_client, struct span bytes) {
    struct tap_stream *s = from_client ? &d->client : &d->server;
    struct span body;
    enum http1_event event;
    while ((event = http1_next(&s->http, &bytes, &body)) != HTTP1_NEED_MORE) {
        if (event == HTTP1_FAILED) {
            lose(d, from_client, s->http.error.text);
            return;
        }
        if (event == HTTP1_HEAD) {
            struct http1_head head = http1_take_head(&s->http);
            if (from_client) {
                on_request(d, &head);
            } else {
                on_response(d, &head, &bytes);
            }
            http1_head_free(&head);
            if (d->upgraded) {
                return;
            }
        }
        if (from_client && d->asked && event == HTTP1_END) {
            buf_append_span(&d->client.held, bytes);
            return;
        }
    }
}

void tap_decode(struct tap_decoder *d, bool from_client, struct span bytes) {
    struct tap_stream *s = from_client ? &d->client : &d->server;
    if (s->lost || bytes.len == 0) {
        return;
    }
    if (d->upgraded) {
        read_frames(d, from_client, bytes);
    } else if (from_client && d->asked && http1_reader_idle(&s->http)) {
        buf_append_span(&s->held, bytes);
        if (s->held.len > TAP_MESSAGE_MAX) {
            lose(d, true, "too much was sent before the upgrade was answered");
        }
    } else {
        read_http(d, from_client, bytes);
    }
}

void tap_decoder_init(struct tap_decoder *d, void (*on_event)(void *ctx, const struct tap_event *event), void *ctx) {
    *d = (struct tap_decoder){.on_event = on_event, .ctx = ctx};
    http1_reader_init(&d->client.http, HTTP1_REQUEST, 0, 0, 0);
    http1_reader_init(&d->server.http, HTTP1_RESPONSE, 0, 0, 0);
    ws_reader_init(&d->client.frames, WS_SERVER, TAP_MESSAGE_MAX);
    ws_reader_init(&d->server.frames, WS_CLIENT, TAP_MESSAGE_MAX);
}

void tap_decoder_free(struct tap_decoder *d) {
    struct tap_stream *streams[] = {&d->client, &d->server};
    for (size_t i = 0; i < 2; i++) {
        http1_reader_free(&streams[i]->http);
        ws_reader_free(&streams[i]->frames);
        buf_free(&streams[i]->held);
    }
    buf_free(&d->scratch);
    mem_free(d->path);
}
