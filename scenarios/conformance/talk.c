/* Talking over links: messages in both versions of PCP, and what may come back. */
#include "base/mem.h"
#include "scenarios/conformance/stage.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_TYPE "http://puppetlabs.com/error_message"
#define EPOCH "1970-01-01T00:00:00.000Z"

/* ---- saying */

void say_text(struct stage *s, struct link *l, const char *text) {
    char *filled = variables_fill(&s->vars, text);
    notes(s, l->name, "> %s", filled);
    link_send(l, true, span_of(filled));
    mem_free(filled);
}

/* data NULL: a message without a data chunk. */
static void send_v1(struct stage *s, struct link *l, const char *envelope, const char *data) {
    struct buf out = BUF_INIT;
    buf_append_char(&out, 1);
    link_v1_chunk(&out, 1, span_of(envelope));
    if (data != NULL) {
        link_v1_chunk(&out, 2, span_of(data));
    }
    notes(s, l->name, "> v1 %s %s", envelope, data != NULL ? data : "");
    link_send(l, false, buf_span(&out));
    buf_free(&out);
}

void say_v1(struct stage *s, struct link *l, const char *envelope, const char *data) {
    char *e = variables_fill(&s->vars, envelope), *d = data != NULL ? variables_fill(&s->vars, data) : NULL;
    send_v1(s, l, e, d);
    mem_free(e);
    mem_free(d);
}

/* v2's form as an envelope of v1; takes data out of the message. */
static json_t *envelope_of(const struct link *l, json_t *message) {
    json_t *envelope = json_object();
    static const char *const same[] = {"id", "message_type", "expires", "destination_report", "targets"};
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        json_t *value = json_object_get(message, same[i]);
        if (value != NULL) {
            json_object_set(envelope, same[i], value);
        }
    }
    if (json_object_get(envelope, "expires") == NULL) {
        json_set(envelope, "expires", json_string("2099-01-01T00:00:00.000Z"));
    }
    if (json_object_get(envelope, "targets") == NULL) {
        json_t *target = json_object_get(message, "target");
        json_set(envelope, "targets",
                 json_pack("[o]", target != NULL ? json_incref(target) : json_string("pcp:///server")));
    }
    json_t *sender = json_object_get(message, "sender"), *reply = json_object_get(message, "in_reply_to");
    json_set(envelope, "sender", sender != NULL ? json_incref(sender) : json_string(l->uri));
    if (reply != NULL) {
        json_object_set(envelope, "in-reply-to", reply);
    }
    return envelope;
}

void say(struct stage *s, struct link *l, const char *message) {
    json_t *m = template_read(&s->vars, message);
    json_array_append_new(s->kept, m);
    const char *why = s->suite->forbids != NULL ? s->suite->forbids(s, l, m) : NULL;
    if (why != NULL) {
        skips(s, "%s", why);
    }
    if (json_object_get(m, "id") == NULL) {
        json_set(m, "id", json_string(fresh_id(s)));
    } else {
        variables_set(&s->vars, "sent", json_str(m, "id"));
    }
    if (l->version == 2) {
        char *text = json_text(m);
        notes(s, l->name, "> %s", text);
        link_send(l, true, span_of(text));
        mem_free(text);
    } else {
        json_t *envelope = envelope_of(l, m), *data = json_object_get(m, "data");
        char *e = json_text(envelope), *d = data != NULL ? json_text(data) : NULL;
        send_v1(s, l, e, d);
        mem_free(e);
        mem_free(d);
        json_decref(envelope);
    }
}

/* ---- hearing */

static void event_text(struct buf *out, const struct link *l, const struct link_event *e) {
    switch (e->kind) {
    case LINK_OPEN:
        buf_append_cstr(out, "open");
        break;
    case LINK_HTTP:
        buf_printf(out, "http %d", e->code);
        break;
    case LINK_TEXT:
        buf_append_span(out, buf_span(&e->bytes));
        break;
    case LINK_BINARY: {
        const char *why;
        json_t *m = link_v1_read(buf_span(&e->bytes), &why);
        buf_append_cstr(out, "v1 ");
        if (m != NULL) {
            json_write(out, m);
            json_decref(m);
        } else {
            buf_printf(out, "%zu bytes, %s", e->bytes.len, why);
        }
        break;
    }
    case LINK_PING:
    case LINK_PONG:
        buf_printf(out, "%s ", e->kind == LINK_PING ? "ping" : "pong");
        buf_append_span(out, buf_span(&e->bytes));
        break;
    case LINK_CLOSE:
        buf_printf(out, "close %d ", e->code);
        buf_append_span(out, buf_span(&e->bytes));
        break;
    case LINK_END:
        buf_printf(out, "%s (", l->open ? "end" : "refused");
        buf_append_span(out, buf_span(&e->bytes));
        buf_append_cstr(out, ")");
        break;
    case LINK_INVALID:
        buf_append_cstr(out, "broken WebSocket: ");
        buf_append_span(out, buf_span(&e->bytes));
        break;
    }
}

static bool has_event(void *ctx) {
    return !list_empty(&((struct link *)ctx)->events);
}

static struct link_event *event_within(struct stage *s, struct link *l, uint64_t ms) {
    if (!waits_for(s, has_event, l, ms)) {
        return NULL;
    }
    struct link_event *e = link_take(l);
    struct buf text = BUF_INIT;
    event_text(&text, l, e);
    notes(s, l->name, "< %s", text.len != 0 ? text.ptr : "\"\"");
    buf_free(&text);
    return e;
}

struct link_event *next_event(struct stage *s, struct link *l) {
    struct link_event *e = event_within(s, l, s->opts->patience_ms);
    check(s, e != NULL, "an event", "%s: nothing within %llu ms", l->name, (unsigned long long)s->opts->patience_ms);
    return e;
}

static json_t *message_of(const struct link_event *e, const char **why) {
    *why = "no message";
    if (e->kind == LINK_TEXT) {
        *why = "not JSON";
        return json_parse(buf_span(&e->bytes), "x", NULL);
    }
    return e->kind == LINK_BINARY ? link_v1_read(buf_span(&e->bytes), why) : NULL;
}

bool event_is(struct stage *s, const struct link *l, const struct link_event *e, const char *want, char **why) {
    struct buf text = BUF_INIT;
    event_text(&text, l, e);
    bool ok = false;
    *why = NULL;
    if (want[0] == '{') {
        const char *not = NULL;
        json_t *message = message_of(e, &not );
        if (message == NULL) {
            *why = str_printf("%s (%s)", text.ptr != NULL ? text.ptr : "an empty message", not );
        } else {
            json_t *template = template_read(&s->vars, want);
            ok = template_match(&s->vars, template, message, why);
            json_decref(template);
            json_decref(message);
        }
    } else {
        char *filled = variables_fill(&s->vars, want);
        if (strcmp(want, "end") == 0) {
            ok = e->kind == LINK_END && l->open;
        } else if (strcmp(want, "refused") == 0) {
            ok = (e->kind == LINK_END && !l->open) || e->kind == LINK_HTTP;
        } else {
            ok = text.ptr != NULL && glob_match(filled, text.ptr);
        }
        mem_free(filled);
    }
    if (!ok && *why == NULL) {
        *why = text.len != 0 ? str_dup(text.ptr) : str_dup("an empty message");
    }
    buf_free(&text);
    return ok;
}

void expects(struct stage *s, struct link *l, const char *want) {
    struct link_event *e = next_event(s, l);
    char *why;
    if (!event_is(s, l, e, want, &why)) {
        char *filled = variables_fill(&s->vars, want);
        s->got = str_printf("%s: %s", l->name, why);
        mem_free(why);
        s->expected = filled;
        s->failed = true;
        link_event_free(e);
        longjmp(s->out, 1);
    }
    mem_free(why);
    link_event_free(e);
}

json_t *next_message(struct stage *s, struct link *l) {
    struct link_event *e = next_event(s, l);
    const char *why;
    json_t *message = message_of(e, &why);
    if (message == NULL) {
        struct buf text = BUF_INIT;
        event_text(&text, l, e);
        link_event_free(e);
        const char *got = keep_text(s, buf_take(&text));
        fails(s, "a message", got);
    }
    link_event_free(e);
    json_array_append_new(s->kept, message);
    return message;
}

/* The form a message has for a v1 client (pcp.md §12). */
static json_t *v1_form(json_t *m) {
    json_t *out = json_object();
    const char *type = json_str(m, "message_type");
    json_t *target = json_object_get(m, "target"), *sender = json_object_get(m, "sender");
    json_t *data = json_object_get(m, "data"), *reply = json_object_get(m, "in_reply_to");
    json_object_set(out, "id", json_object_get(m, "id"));
    json_object_set(out, "message_type", json_object_get(m, "message_type"));
    json_set(out, "targets", target != NULL ? json_pack("[O]", target) : json_array());
    json_set(out, "sender", sender != NULL ? json_incref(sender) : json_string("pcp:///server"));
    json_set(out, "expires", json_string(EPOCH));
    if (reply != NULL && strcmp(type, "http://puppetlabs.com/inventory_response") == 0) {
        json_object_set(out, "in-reply-to", reply);
    }
    if (strcmp(type, ERROR_TYPE) == 0) {
        data = json_pack("{s:O}", "description", data);
        if (reply != NULL) {
            json_object_set(data, "id", reply);
        }
        json_set(out, "data", data);
    } else {
        json_set(out, "data", data != NULL ? json_incref(data) : json_null());
    }
    json_set(out, "chunks", json_pack("[i,i]", 1, 2));
    return out;
}

void hears(struct stage *s, struct link *l, const char *message) {
    json_t *m = template_read(&s->vars, message);
    json_set(m, "id", json_object_get(m, "id") != NULL ? json_incref(json_object_get(m, "id")) : json_string("$uuid"));
    if (l->version == 1) {
        json_t *form = v1_form(m);
        json_decref(m);
        m = form;
    }
    const char *want = keep_text(s, json_text(m));
    json_decref(m);
    expects(s, l, want);
}

void hears_error(struct stage *s, struct link *l, const char *text) {
    json_t *m = json_pack("{s:s, s:s, s:s}", "message_type", ERROR_TYPE, "data", text, "in_reply_to",
                          variables_get(&s->vars, "sent"));
    const char *want = keep_text(s, json_text(m));
    json_decref(m);
    hears(s, l, want);
}

void hears_error_without_id(struct stage *s, struct link *l, const char *text) {
    json_t *m = json_pack("{s:s, s:s}", "message_type", ERROR_TYPE, "data", text);
    const char *want = keep_text(s, json_text(m));
    json_decref(m);
    hears(s, l, want);
}

/* ---- nothing else comes */

/* A message whose answer comes behind everything that was answered before: to somebody who is not there. */
static void barrier(struct stage *s, struct link *l) {
    char *before = str_dup(variables_get(&s->vars, "sent"));
    say(s, l, "{'message_type': 'conformance', 'target': 'pcp://nobody.example.com/agent'}");
    variables_set(&s->vars, "barrier", variables_get(&s->vars, "sent"));
    if (before != NULL) {
        variables_set(&s->vars, "sent", before);
        mem_free(before);
    }
}

static bool is_barrier(struct stage *s, const struct link *l, const struct link_event *e) {
    char *why;
    bool ok = event_is(s, l, e,
                       l->version == 2 ? "{'id': '$uuid', 'message_type': '" ERROR_TYPE
                                         "', 'data': 'Not connected.', 'in_reply_to': '${barrier}'}"
                                       : "{'message_type': '" ERROR_TYPE
                                         "', 'data': {'description': 'Not connected.', 'id': '${barrier}'}, '...': 0}",
                       &why);
    mem_free(why);
    return ok;
}

void works(struct stage *s, struct link *l) {
    barrier(s, l);
    struct link_event *e = next_event(s, l);
    bool ok = is_barrier(s, l, e);
    struct buf text = BUF_INIT;
    event_text(&text, l, e);
    link_event_free(e);
    const char *got = keep_text(s, str_printf("%s: %s", l->name, text.ptr));
    buf_free(&text);
    check(s, ok, "the connection is kept, and nothing came but the answer to another message", "%s", got);
}

void expects_any(struct stage *s, struct link *l, const struct answer *answers) {
    bool silence = false, strict = s->opts->profile == CONFORM_STRICT;
    for (const struct answer *a = answers; a->want != NULL; a++) {
        silence = silence || strcmp(a->want, "silence") == 0;
    }
    if (silence) {
        barrier(s, l);
    }
    struct link_event *e = next_event(s, l);
    struct buf accepted = BUF_INIT;
    bool quiet = silence && is_barrier(s, l, e);
    char *why = NULL;
    const struct answer *found = NULL;
    for (const struct answer *a = answers; a->want != NULL && found == NULL; a++) {
        if (strict && (a->who & OURS) == 0) {
            continue;
        }
        buf_printf(&accepted, "%s%s", accepted.len != 0 ? "\nor " : "", a->want);
        mem_free(why);
        why = NULL;
        if (strcmp(a->want, "silence") == 0 ? quiet : event_is(s, l, e, a->want, &why)) {
            found = a;
        }
    }
    bool stays = e->kind == LINK_TEXT || e->kind == LINK_BINARY || e->kind == LINK_PING || e->kind == LINK_PONG;
    struct buf text = BUF_INIT;
    event_text(&text, l, e);
    link_event_free(e);
    mem_free(why);
    char *filled = variables_fill(&s->vars, accepted.ptr);
    buf_free(&accepted);
    const char *expected = keep_text(s, filled);
    const char *got = keep_text(s, str_printf("%s: %s", l->name, text.ptr));
    buf_free(&text);
    check(s, found != NULL, expected, "%s", got);
    saw(s, found->who);
    if (silence && !quiet && stays) {
        e = next_event(s, l);
        bool ok = is_barrier(s, l, e);
        link_event_free(e);
        check(s, ok, "no second answer", "%s: one more message", l->name);
    }
}
