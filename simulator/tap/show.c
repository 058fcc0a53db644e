/* See show.h. */
#include "simulator/tap/show.h"

#include "base/clock.h"
#include "base/mem.h"
#include "pxp/body.h"
#include <fnmatch.h>
#include <string.h>

#define PUPPETLABS "http://puppetlabs.com/"

enum color { PLAIN, DIM, RED, GREEN, YELLOW, BLUE, CYAN };

static void paint(const struct tap_view *v, enum color color, struct buf *out) {
    static const char *const codes[] = {"\033[0m",  "\033[2m",  "\033[31m", "\033[32m",
                                        "\033[33m", "\033[34m", "\033[36m"};
    if (v->color) {
        buf_append_cstr(out, codes[color]);
    }
}

/* Whatever stands in a message, it must not move the cursor of a terminal nor begin a line. */
static void put_text(struct buf *out, struct span text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' || c == 0x7f || (c == 0xc2 && i + 1 < text.len && (unsigned char)text.ptr[i + 1] < 0xa0)) {
            buf_printf(out, "\\x%02x", c);
        } else {
            buf_append_char(out, (char)c);
        }
    }
}

/* ---- which */

static bool fits(const char *pattern, struct span text) {
    char *word = span_dup(text);
    bool ok = pattern == NULL || fnmatch(pattern, word, 0) == 0;
    mem_free(word);
    return ok;
}

static bool uri_fits(const char *pattern, struct span uri) {
    struct pcp_uri parts;
    return pattern == NULL || fits(pattern, uri) || (pcp_uri_parse(uri, &parts) && fits(pattern, parts.name));
}

static struct span short_type(struct span type) {
    return span_starts_with(type, PUPPETLABS) ? span_sub(type, sizeof(PUPPETLABS) - 1, type.len) : type;
}

/* "/pcp2/agent?x" → "agent"; without one: agent (pcp.md §9) */
static struct span client_type(const char *path) {
    struct span rest = span_of(path), part;
    span_split(&rest, '?', &part);
    rest = part;
    struct span last = SPAN("");
    for (size_t i = 0; span_split(&rest, '/', &part); i++) {
        last = i >= 2 ? part : last;
    }
    return last.len != 0 ? last : SPAN(PCP_TYPE_AGENT);
}

static bool wanted(const struct tap_view *v, const struct tap_event *e, struct span sender) {
    if (v->client_type != NULL && (e->path == NULL || !fits(v->client_type, client_type(e->path)))) {
        return false;
    }
    if (e->kind != TAP_MESSAGE) {
        return e->kind == TAP_LOST || (v->frames && v->from == NULL && v->to == NULL && v->message_type == NULL);
    }
    if (e->message == NULL) {
        return v->from == NULL && v->to == NULL && v->message_type == NULL;
    }
    return uri_fits(v->from, sender) &&
           uri_fits(v->to, e->message->target.len != 0 ? e->message->target : SPAN(PCP_SERVER_URI)) &&
           (v->message_type == NULL || fits(v->message_type, e->message->message_type) ||
            fits(v->message_type, short_type(e->message->message_type)));
}

/* Who speaks: the message's word, else whose connection it is. */
static struct span sender_of(const struct tap_line *line, const struct tap_event *e, char **made) {
    if (e->message != NULL && e->message->sender.len != 0) {
        return e->message->sender;
    }
    if (!e->from_client) {
        return SPAN(PCP_SERVER_URI);
    }
    *made = pcp_uri_new(span_of(line->common_name != NULL ? line->common_name : "?"),
                        e->path != NULL ? client_type(e->path) : SPAN(PCP_TYPE_AGENT));
    return span_of(*made);
}

/* ---- what a PXP body is about: "task run" of transaction 5 */

struct about {
    json_t *data;
    const char *module, *action, *transaction;
};

static struct about about_of(const struct pcp_message *m) {
    struct about a = {.data = m->data.len != 0 ? json_parse(m->data, "tap", NULL) : NULL};
    if (pxp_type_of(m->message_type) != PXP_NONE && json_is_object(a.data)) {
        a.module = json_str(a.data, "module");
        a.action = json_str(a.data, "action");
        a.transaction = json_str(a.data, "transaction_id");
    }
    return a;
}

static void put_data(const struct tap_view *v, struct span data, struct buf *out) {
    if (v->show_secrets) {
        buf_append_span(out, data);
    } else {
        tap_hide(&v->secrets, data, out);
    }
}

/* ---- for people */

static void put_clock(const struct tap_view *v, const struct tap_line *line, struct buf *out) {
    char text[TIME_TEXT_LEN];
    time_format_ms(line->wall_ms, text);
    paint(v, DIM, out);
    buf_printf(out, "%.12s #%-3llu ", text + 11, (unsigned long long)line->connection);
    paint(v, PLAIN, out);
}

/* pcp://node/agent → node/agent */
static void put_uri(struct buf *out, struct span uri) {
    struct pcp_uri parts;
    put_text(out, pcp_uri_parse(uri, &parts) && parts.name.len != 0 ? span_sub(uri, sizeof("pcp://") - 1, uri.len)
                  : span_eq_cstr(uri, PCP_SERVER_URI)               ? SPAN("broker")
                                                                    : uri);
}

static void put_lines(const struct tap_view *v, struct span data, struct buf *out) {
    struct buf text = BUF_INIT;
    put_data(v, data, &text);
    json_t *value = v->indent ? json_parse(buf_span(&text), "tap", NULL) : NULL;
    char *pretty = value != NULL ? json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY) : NULL;
    struct span rest = pretty != NULL ? span_of(pretty) : buf_span(&text), part;
    while (span_split(&rest, pretty != NULL ? '\n' : '\0', &part)) {
        buf_append_cstr(out, "    ");
        put_text(out, part);
        buf_append_char(out, '\n');
    }
    mem_free(pretty);
    json_decref(value);
    buf_free(&text);
}

static void put_message(const struct tap_view *v, const struct tap_event *e, struct span sender, struct buf *out) {
    const struct pcp_message *m = e->message;
    struct about about = about_of(m);
    bool trouble = span_eq_cstr(m->message_type, PCP_ERROR_MESSAGE) || pxp_type_of(m->message_type) == PXP_ERROR;
    paint(v, e->from_client ? GREEN : BLUE, out);
    put_uri(out, sender);
    paint(v, DIM, out);
    buf_append_cstr(out, " → ");
    paint(v, e->from_client ? GREEN : BLUE, out);
    put_uri(out, m->target.len != 0 ? m->target : SPAN(PCP_SERVER_URI));
    buf_append_cstr(out, "  ");
    paint(v, trouble ? RED : CYAN, out);
    put_text(out, short_type(m->message_type));
    paint(v, PLAIN, out);
    if (about.module != NULL && about.action != NULL) {
        buf_append_cstr(out, "  ");
        paint(v, YELLOW, out);
        put_text(out, span_of(about.module));
        buf_append_char(out, ' ');
        put_text(out, span_of(about.action));
        paint(v, PLAIN, out);
    }
    if (about.transaction != NULL) {
        buf_append_cstr(out, "  transaction ");
        put_text(out, span_of(about.transaction));
    }
    paint(v, DIM, out);
    buf_printf(out, "  v%d, %zu bytes\n", (int)e->version, e->payload.len);
    paint(v, PLAIN, out);
    if (!v->no_data && m->data.len != 0) {
        put_lines(v, m->data, out);
    }
    json_decref(about.data);
}

static void put_target(const struct tap_view *v, const char *target, struct buf *out) {
    struct buf text = BUF_INIT;
    if (v->show_secrets) {
        buf_append_cstr(&text, target);
    } else {
        tap_hide_query(&v->secrets, target, &text);
    }
    put_text(out, buf_span(&text));
    buf_free(&text);
}

static void put_other(const struct tap_view *v, const struct tap_event *e, struct buf *out) {
    buf_append_cstr(out, e->from_client ? "client: " : "broker: ");
    switch (e->kind) {
    case TAP_REQUEST:
        put_text(out, span_of(e->head->method));
        buf_append_char(out, ' ');
        put_target(v, e->head->target, out);
        break;
    case TAP_PING:
    case TAP_PONG:
        buf_printf(out, "%s, %zu bytes", e->kind == TAP_PING ? "ping" : "pong", e->payload.len);
        break;
    case TAP_CLOSE:
        buf_printf(out, "close %u ", e->code);
        put_text(out, span_of(e->text));
        break;
    case TAP_MESSAGE:
    case TAP_LOST:
        paint(v, RED, out);
        buf_append_cstr(out, e->kind == TAP_LOST ? "cannot be read any further: " : "no PCP message: ");
        put_text(out, span_of(e->text));
        if (e->kind == TAP_MESSAGE) {
            buf_printf(out, " (%zu bytes)", e->payload.len);
        }
        paint(v, PLAIN, out);
        break;
    default:
        put_text(out, span_of(e->text));
        break;
    }
    buf_append_char(out, '\n');
}

/* ---- as JSON */

static const char *const kind_names[] = {"request", "response", "message", "ping", "pong", "close", "lost"};

static json_t *json_line(const struct tap_line *line, const char *event) {
    char when[TIME_TEXT_LEN];
    time_format_ms(line->wall_ms, when);
    json_t *o = json_pack("{s:s, s:I, s:s}", "time", when, "connection", (json_int_t)line->connection, "event", event);
    json_set(o, "common_name", line->common_name != NULL ? json_string(line->common_name) : NULL);
    return o;
}

static void set_text(json_t *o, const char *key, struct span text) {
    if (text.len != 0) {
        json_set(o, key, json_str_new(text));
    }
}

static void set_message(const struct tap_view *v, json_t *o, const struct pcp_message *m, struct span sender) {
    set_text(o, "id", m->id);
    json_set(o, "message_type", json_str_new(m->message_type));
    json_set(o, "sender", json_str_new(sender));
    json_set(o, "target", json_str_new(m->target.len != 0 ? m->target : SPAN(PCP_SERVER_URI)));
    set_text(o, "in_reply_to", m->in_reply_to);
    if (!v->no_data && m->data.len != 0) {
        struct buf data = BUF_INIT;
        put_data(v, m->data, &data);
        json_set(o, "data", json_parse(buf_span(&data), "tap", NULL));
        buf_free(&data);
    }
}

static void put_json(const struct tap_view *v, const struct tap_line *line, const struct tap_event *e,
                     struct span sender, struct buf *out) {
    json_t *o = json_line(line, kind_names[e->kind]);
    json_set(o, "from", json_string(e->from_client ? "client" : "broker"));
    if (e->kind == TAP_MESSAGE) {
        json_set(o, "version", json_integer((int)e->version));
        json_set(o, "bytes", json_integer((json_int_t)e->payload.len));
    }
    if (e->message != NULL) {
        set_message(v, o, e->message, sender);
    } else if (e->kind == TAP_REQUEST) {
        struct buf target = BUF_INIT;
        put_target(v, e->head->target, &target);
        json_set(o, "method", json_string(e->head->method));
        json_set(o, "target", json_str_new(buf_span(&target)));
        buf_free(&target);
    } else if (e->text != NULL) {
        json_set(o, "text", json_string(e->text));
    }
    if (e->kind == TAP_CLOSE) {
        json_set(o, "code", json_integer(e->code));
    }
    json_write(out, o);
    buf_append_char(out, '\n');
    json_decref(o);
}

bool tap_show(const struct tap_view *v, const struct tap_line *line, const struct tap_event *event, struct buf *out) {
    char *made = NULL;
    struct span sender = sender_of(line, event, &made);
    bool show = wanted(v, event, sender);
    if (show && v->json) {
        put_json(v, line, event, sender, out);
    } else if (show) {
        put_clock(v, line, out);
        if (event->message != NULL) {
            put_message(v, event, sender, out);
        } else {
            put_other(v, event, out);
        }
    }
    mem_free(made);
    return show;
}

void tap_show_connection(const struct tap_view *v, const struct tap_line *line, bool begins, const char *text,
                         struct buf *out) {
    if (v->json) {
        json_t *o = json_line(line, begins ? "open" : "end");
        json_set(o, "text", json_string(text));
        json_write(out, o);
        json_decref(o);
    } else {
        put_clock(v, line, out);
        paint(v, DIM, out);
        buf_append_cstr(out, begins ? "connected: " : "ended: ");
        put_text(out, span_of(line->common_name != NULL ? line->common_name : "(no certificate)"));
        buf_append_cstr(out, ", ");
        put_text(out, span_of(text));
        paint(v, PLAIN, out);
    }
    buf_append_char(out, '\n');
}
