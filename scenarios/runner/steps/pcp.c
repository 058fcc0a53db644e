/* pcp: raw clients of a broker, that say what no agent would: any certificate, any message, any bytes. */
#include "base/mem.h"
#include "net/ws_peer.h"
#include "pcp/message.h"
#include "scenarios/runner/match.h"
#include "scenarios/runner/run_internal.h"
#include <inttypes.h>
#include <string.h>

static const struct shape_key connect_keys[] = {{"certificate", &shape_text, false}, {"type", &shape_text, false},
                                                {"version", &shape_count, false},    {"broker", &shape_text, false},
                                                {"associate", &shape_bool, false},   {"path", &shape_text, false},
                                                {"refused", &shape_bool, false},     {NULL, NULL, false}};
static const struct shape shape_connect = {.type = SHAPE_MAP, .keys = connect_keys};
static const struct shape_key send_keys[] = {
    {"message_type", &shape_text, false}, {"target", &shape_text, false},      {"sender", &shape_text, false},
    {"id", &shape_text, false},           {"in_reply_to", &shape_text, false}, {"data", &shape_any, false},
    {"text", &shape_any, false},          {"hex", &shape_text, false},         {NULL, NULL, false}};
static const struct shape shape_send = {.type = SHAPE_MAP, .keys = send_keys};
static const struct shape_key expect_keys[] = {{"message", &shape_match, false},
                                               {"close", &shape_match, false},
                                               {"reason", &shape_match, false},
                                               {"nothing_for", &shape_duration, false},
                                               {NULL, NULL, false}};
static const struct shape shape_expect = {.type = SHAPE_MAP, .keys = expect_keys};
static const struct shape_key pcp_keys[] = {{"client", &shape_text, true},
                                            {"connect", &shape_connect, false},
                                            {"send", &shape_send, false},
                                            {"expect", &shape_expect, false},
                                            {"disconnect", &shape_bool, false},
                                            STEP_KEYS,
                                            {NULL, NULL, false}};

static void check_pcp(struct problems *p, const struct doc_node *node) {
    static const char *const verbs[] = {"connect", "send", "expect", "disconnect"};
    size_t found = 0;
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        found += doc_get(node, verbs[i]) != NULL ? 1 : 0;
    }
    if (found != 1) {
        problem(p, node, "one of connect, send, expect, disconnect is wanted here");
    }
}
static const struct shape shape_pcp = {.type = SHAPE_MAP, .keys = pcp_keys, .check = check_pcp};

static const uint64_t LOOK_US = 5000, CONNECT_US = 30 * 1000000ull, EXPECT_US = 10 * 1000000ull;
enum { RECEIVED_MAX = 10000, RECEIVED_SHOWN = 10 };

struct raw_client {
    struct list_link link;
    char *name, *uri, *id;
    enum pcp_version version;
    struct ws_peer *peer; /* NULL: closed */
    bool open, associate;
    bool refused;   /* it is expected not to open */
    int close_code; /* 0: not closed */
    char *close_text;
    json_t *received; /* messages, in order */
    size_t taken;     /* of them have been looked at by expect */
};

/* ---- what comes */

static json_t *message_json(const struct pcp_message *m) {
    const struct {
        const char *key;
        struct span value;
    } fields[] = {{"id", m->id},
                  {"message_type", m->message_type},
                  {"target", m->target},
                  {"sender", m->sender},
                  {"in_reply_to", m->in_reply_to}};
    json_t *message = json_object();
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (fields[i].value.len != 0) {
            json_set(message, fields[i].key, json_stringn_nocheck(fields[i].value.ptr, fields[i].value.len));
        }
    }
    json_t *data = m->data.len != 0 ? json_parse(m->data, "pcp", NULL) : NULL;
    if (data != NULL) {
        json_set(message, "data", data);
    }
    return message;
}

static void on_open(void *ctx, struct ws_peer *p) {
    struct raw_client *c = ctx;
    (void)p;
    c->open = !c->associate;
    if (!c->associate) {
        return;
    }
    static const char id[] = "00000000-0000-4000-8000-000000000001";
    struct pcp_message m = {.id = span_of(id),
                            .message_type = SPAN(PCP_ASSOCIATE_REQUEST),
                            .target = SPAN(PCP_SERVER_URI),
                            .sender = span_of(c->uri),
                            .expires_ms = INT64_C(253402300799000)};
    struct buf bytes = BUF_INIT;
    pcp_encode(c->version, &m, &bytes);
    struct span part = buf_span(&bytes);
    ws_send(c->peer, pcp_is_text(c->version), &part, 1);
    buf_free(&bytes);
}

static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    struct raw_client *c = ctx;
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    struct error err = ERROR_INIT;
    (void)p;
    json_t *message;
    if (text == pcp_is_text(c->version) && pcp_decode(c->version, payload, PCP_AS_CLIENT, &m, &scratch, &err)) {
        message = message_json(&m);
    } else {
        message = json_pack("{s:s}", "not_decoded", error_is_set(&err) ? err.msg : "a frame of the other kind");
    }
    if (c->associate && str_eq(json_str(message, "message_type"), PCP_ASSOCIATE_RESPONSE)) {
        c->open = true;
    }
    if (json_array_size(c->received) < RECEIVED_MAX) {
        json_array_append_new(c->received, message);
    } else {
        json_decref(message);
    }
    error_clear(&err);
    buf_free(&scratch);
}

static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct raw_client *c = ctx;
    (void)p;
    c->peer = NULL;
    c->open = false;
    c->close_code = code;
    c->close_text = span_dup(reason);
}

static const struct ws_handler handler = {.on_open = on_open, .on_message = on_message, .on_close = on_close};

/* ---- clients */

static struct raw_client *client_named(struct run *r, const char *name) {
    LIST_EACH (k, run_clients(r)) {
        struct raw_client *c = LIST_ITEM(k, struct raw_client, link);
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

static void client_free(struct run *r, struct raw_client *c) {
    if (c->peer != NULL) {
        ws_abort(c->peer);
    }
    list_remove(run_clients(r), &c->link);
    json_decref(c->received);
    mem_free(c->close_text);
    mem_free(c->uri);
    mem_free(c->id);
    mem_free(c->name);
    mem_free(c);
}

void run_clients_end(struct run *r) {
    LIST_EACH_SAFE (k, next, run_clients(r)) {
        client_free(r, LIST_ITEM(k, struct raw_client, link));
    }
}

/* ---- connect */

static char *close_seen(const struct raw_client *c) {
    return c->close_code != 0 ? str_printf("the connection was closed: %d %s", c->close_code, c->close_text)
                              : str_dup("it is not open yet");
}

static void look_open(struct run *r) {
    struct raw_client *c = run_kept(r);
    if (c->refused && c->close_code != 0) {
        run_step_done(r, json_pack("{s:i, s:s}", "close", c->close_code, "reason", c->close_text));
    } else if (c->refused && c->open) {
        run_step_failed(r, "the client is refused", "the connection opened");
    } else if (c->open) {
        c->taken = json_array_size(c->received);
        run_step_done(r, json_pack("{s:s}", "uri", c->uri));
    } else if (c->close_code != 0 || run_time_left_us(r, CONNECT_US) == 0) {
        char *seen = close_seen(c);
        run_step_failed(r, "the connection opens", seen);
        mem_free(seen);
    } else {
        run_later(r, LOOK_US, look_open);
    }
}

static void connect_client(struct run *r, const char *name, const json_t *how) {
    struct error err = ERROR_INIT;
    const char *certificate = json_str(how, "certificate"), *type = json_str(how, "type"),
               *broker = json_str(how, "broker"), *path = json_str(how, "path");
    struct stage *s = run_stage(r);
    certificate = certificate != NULL ? certificate : name;
    type = type != NULL ? type : "agent";
    const char *url = run_service_url(r, broker != NULL ? broker : "broker-1");
    struct world_tls *tls = s->ops->tls(s, certificate[0] != '\0' ? certificate : NULL, &err);
    if (url == NULL || tls == NULL) {
        run_step_failed(r, "a broker of this stack, and a certificate", url == NULL ? broker : err.msg);
        error_clear(&err);
        return;
    }
    struct raw_client *old = client_named(r, name);
    if (old != NULL) {
        client_free(r, old);
    }
    struct raw_client *c = mem_zalloc(sizeof(*c));
    c->name = str_dup(name);
    c->version = json_int(how, "version", 2) == 1 ? PCP_V1 : PCP_V2;
    c->associate = c->version == PCP_V1 && json_bool(how, "associate", true);
    c->refused = json_bool(how, "refused", false);
    c->uri = pcp_uri_new(span_of(certificate), span_of(type));
    c->received = json_array();
    list_push_back(run_clients(r), &c->link);
    const char *host = url + strlen("wss://"), *colon = strrchr(host, ':');
    char *address = span_dup((struct span){host, (size_t)(colon - host)});
    char *target = path != NULL ? str_dup(path) : str_printf("%s/%s", c->version == PCP_V1 ? "/pcp" : "/pcp2", type);
    uint64_t port = 0;
    span_to_u64(span_of(colon + 1), &port);
    c->peer = ws_connect(
        s->world, &(struct ws_connect){.to = {.host = address, .port = (uint16_t)port, .tls = tls}, .path = target},
        &handler, c);
    mem_free(address);
    mem_free(target);
    run_keep(r, c, NULL);
    run_later(r, 0, look_open);
}

/* ---- send */

static bool unhex(const char *text, struct buf *out) {
    int half = -1;
    for (; *text != '\0'; text++) {
        int digit = *text >= '0' && *text <= '9'   ? *text - '0'
                    : *text >= 'a' && *text <= 'f' ? *text - 'a' + 10
                    : *text >= 'A' && *text <= 'F' ? *text - 'A' + 10
                    : *text == ' '                 ? -2
                                                   : -1;
        if (digit == -1) {
            return false;
        }
        if (digit >= 0 && half < 0) {
            half = digit;
        } else if (digit >= 0) {
            buf_append_char(out, (char)(half * 16 + digit));
            half = -1;
        }
    }
    return half < 0;
}

static struct span text_of(const json_t *o, const char *key, struct span otherwise) {
    const json_t *value = json_object_get(o, key);
    return json_is_string(value) ? json_span(value) : otherwise;
}

/* The id of a message that was sent is what `as` names: its answer's in_reply_to. */
static json_t *send_message(struct run *r, struct raw_client *c, const json_t *what, struct buf *bytes) {
    char id[37];
    world_uuid(run_stage(r)->world, id);
    json_t *data = json_object_get(what, "data");
    char *data_text = data != NULL ? json_text(data) : NULL;
    struct pcp_message m = {.id = text_of(what, "id", span_of(id)),
                            .message_type = text_of(what, "message_type", span_of("")),
                            .target = text_of(what, "target", span_of("")),
                            .sender = text_of(what, "sender", c->version == PCP_V1 ? span_of(c->uri) : span_of("")),
                            .in_reply_to = text_of(what, "in_reply_to", span_of("")),
                            .data = span_of(data_text),
                            .expires_ms = INT64_C(253402300799000)};
    pcp_encode(c->version, &m, bytes);
    json_t *result = json_pack("{s:s%}", "id", m.id.ptr, m.id.len);
    mem_free(data_text);
    return result;
}

static void send_something(struct run *r, struct raw_client *c, const json_t *what) {
    struct buf bytes = BUF_INIT;
    json_t *result = NULL, *text = json_object_get(what, "text");
    const char *hex = json_str(what, "hex");
    bool as_text = pcp_is_text(c->version);
    if (c->peer == NULL) {
        char *seen = close_seen(c);
        run_step_failed(r, "an open connection", seen);
        mem_free(seen);
        return;
    }
    if (hex != NULL) {
        as_text = false;
        if (!unhex(hex, &bytes)) {
            run_step_failed(r, "hexadecimal digits, two a byte", hex);
            buf_free(&bytes);
            return;
        }
    } else if (text != NULL) {
        as_text = true;
        if (json_is_string(text)) {
            buf_append_span(&bytes, json_span(text));
        } else {
            json_write(&bytes, text);
        }
    } else {
        result = send_message(r, c, what, &bytes);
    }
    struct span part = buf_span(&bytes);
    ws_send(c->peer, as_text, &part, 1);
    buf_free(&bytes);
    run_step_done(r, result);
}

/* ---- expect */

struct expecting {
    struct raw_client *client;
    const json_t *expect;
    size_t from;
    uint64_t quiet_until_us; /* nothing_for */
};

static void forget_expecting(struct run *r, void *state) {
    (void)r;
    mem_free(state);
}

static void expect_failed(struct run *r, const struct expecting *e) {
    const struct raw_client *c = e->client;
    struct buf seen = BUF_INIT;
    size_t count = json_array_size(c->received), first = e->from;
    if (count - first > RECEIVED_SHOWN) {
        first = count - RECEIVED_SHOWN;
    }
    buf_printf(&seen, "%s; %zu messages came", c->close_code != 0 ? "closed" : "open", count - e->from);
    if (c->close_code != 0) {
        buf_printf(&seen, "; close: %d %s", c->close_code, c->close_text);
    }
    for (size_t i = first; i < count; i++) {
        buf_append_char(&seen, '\n');
        json_write(&seen, json_array_get(c->received, i));
    }
    char *expected = json_text(e->expect);
    run_step_failed(r, expected, seen.ptr);
    mem_free(expected);
    buf_free(&seen);
}

static void look_received(struct run *r) {
    struct expecting *e = run_kept(r);
    struct raw_client *c = e->client;
    const json_t *wanted = json_object_get(e->expect, "message"), *close = json_object_get(e->expect, "close"),
                 *reason = json_object_get(e->expect, "reason");
    size_t count = json_array_size(c->received);
    for (; wanted != NULL && c->taken < count; c->taken++) {
        json_t *one = json_array_get(c->received, c->taken);
        if (match(wanted, one, NULL)) {
            c->taken++;
            run_step_done(r, json_incref(one));
            return;
        }
    }
    if ((close != NULL || reason != NULL) && c->close_code != 0) {
        json_t *code = json_integer(c->close_code), *text = json_string(c->close_text);
        bool ok = (close == NULL || match(close, code, NULL)) && (reason == NULL || match(reason, text, NULL));
        json_decref(code);
        json_decref(text);
        if (ok) {
            run_step_done(r, json_pack("{s:i, s:s}", "close", c->close_code, "reason", c->close_text));
        } else {
            expect_failed(r, e);
        }
        return;
    }
    uint64_t now = run_stage(r)->ops->now_us(run_stage(r));
    if (e->quiet_until_us != 0) {
        if (count > c->taken || c->close_code != 0) {
            expect_failed(r, e);
        } else if (now >= e->quiet_until_us) {
            run_step_done(r, NULL);
        } else {
            run_later(r, LOOK_US, look_received);
        }
        return;
    }
    if (run_time_left_us(r, EXPECT_US) == 0 || (wanted != NULL && c->close_code != 0)) {
        expect_failed(r, e);
    } else {
        run_later(r, LOOK_US, look_received);
    }
}

static void expect_something(struct run *r, struct raw_client *c, const json_t *expect) {
    struct expecting *e = mem_zalloc(sizeof(*e));
    *e = (struct expecting){.client = c, .expect = expect, .from = c->taken};
    uint64_t quiet_us = 0;
    if (json_str(expect, "nothing_for") != NULL && duration_us(json_str(expect, "nothing_for"), &quiet_us)) {
        e->quiet_until_us = run_stage(r)->ops->now_us(run_stage(r)) + quiet_us;
    }
    run_keep(r, e, forget_expecting);
    look_received(r);
}

/* ---- the step */

static void begin_pcp(struct run *r, const json_t *args) {
    const char *name = json_str(args, "client");
    const json_t *connect = json_object_get(args, "connect"), *send = json_object_get(args, "send"),
                 *expect = json_object_get(args, "expect");
    if (connect != NULL) {
        connect_client(r, name, connect);
        return;
    }
    struct raw_client *c = client_named(r, name);
    if (c == NULL) {
        run_step_failed(r, "a client that was connected before", name);
    } else if (send != NULL) {
        send_something(r, c, send);
    } else if (expect != NULL) {
        expect_something(r, c, expect);
    } else {
        if (c->peer != NULL) {
            ws_close(c->peer, 1000, "");
        }
        run_step_done(r, NULL);
    }
}

const struct step_kind pcp_steps[] = {
    {"pcp", "a raw client of a broker", &shape_pcp, begin_pcp},
    {NULL, NULL, NULL, NULL},
};
