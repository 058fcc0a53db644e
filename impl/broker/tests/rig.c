#include "rig.h"

#include "base/json.h"
#include "base/mem.h"
#include <string.h>

const char rig_rules_open[] =
    "authorization { version: 1, rules: [{ name: all, sort-order: 500, allow-unauthenticated: true,"
    " match-request: { path: \"^/\", type: regex } }] }";

static void keep_line(void *ctx, const struct log_record *record) {
    struct rig *r = ctx;
    buf_printf(&r->log, "%s %s %s %s", record->name, log_level_name(record->level),
               record->type != NULL ? record->type : "-", record->msg);
    for (const struct log_field *f = record->fields; f != NULL && f->key != NULL; f++) {
        buf_printf(&r->log, " %s=%s", f->key, f->value);
    }
    buf_append_char(&r->log, '\n');
}

bool rig_logged(const struct rig *r, const char *text) {
    return r->log.len != 0 && strstr(r->log.ptr, text) != NULL;
}

struct rules *rig_rules(const char *text) {
    struct hocon *h = hocon_new(NULL);
    struct error err = ERROR_INIT;
    bool ok = hocon_add(h, "rules", span_of(text), &err) && hocon_resolve(h, &err);
    struct rules *rules = ok ? rules_load(h, false, &err) : NULL;
    if (rules == NULL) {
        fail_msg("%s", err.msg);
    }
    error_clear(&err);
    hocon_free(h);
    return rules;
}

struct rig *rig_new_stopped(void (*configure)(struct broker_config *c), const char *rules) {
    struct rig *r = mem_zalloc(sizeof *r);
    struct error err = ERROR_INIT;
    r->sim = sim_new(&(struct sim_opts){.seed = 7});
    r->world = sim_host(r->sim, "broker");
    r->config.tls = sim_tls_files(r->world, "broker");
    r->config.tls.client_auth = WORLD_CLIENT_AUTH_WANT;
    r->config.port = 8142;
    if (configure != NULL) {
        configure(&r->config);
    }
    r->main = (struct logger){LOG_TRACE, "main", keep_line, r};
    r->access = (struct logger){LOG_INFO, "access", keep_line, r};
    r->http = (struct logger){LOG_INFO, "http", keep_line, r};
    r->loggers = (struct broker_loggers){&r->main, &r->access, &r->http};
    r->broker = broker_new(r->world, &r->config, &r->loggers, rig_rules(rules != NULL ? rules : rig_rules_open), &err);
    if (r->broker == NULL) {
        fail_msg("%s", err.msg);
    }
    r->port = broker_port(r->broker);
    return r;
}

struct rig *rig_new(void (*configure)(struct broker_config *c), const char *rules) {
    struct rig *r = rig_new_stopped(configure, rules);
    broker_start(r->broker);
    return r;
}

static void forget(struct received *m) {
    if (m != NULL) {
        buf_free(&m->bytes);
        mem_free(m);
    }
}

static void drop_inbox(struct client *c) {
    struct list_link *k;
    while ((k = list_pop_front(&c->inbox)) != NULL) {
        forget(LIST_ITEM(k, struct received, link));
    }
}

void rig_free(struct rig *r) {
    struct buf report = BUF_INIT;
    for (size_t i = 0; i < r->client_count; i++) {
        struct client *c = r->clients[i];
        if (c->ws != NULL) {
            ws_abort(c->ws);
        }
        drop_inbox(c);
        forget(c->current);
        mem_free(c->reason);
        mem_free(c);
    }
    broker_free(r->broker);
    sim_run(r->sim, sim_now_us(r->sim) + SIM_MINUTE);
    if (!sim_check_idle(r->sim, &report)) {
        fail_msg("left behind: %s", report.ptr);
    }
    buf_free(&report);
    buf_free(&r->log);
    sim_free(r->sim);
    mem_free(r);
}

void rig_run_ms(struct rig *r, uint64_t ms) {
    sim_run(r->sim, sim_now_us(r->sim) + ms * SIM_MS);
}

/* ---- clients */

static void on_open(void *ctx, struct ws_peer *p) {
    struct client *c = ctx;
    (void)p;
    c->open = true;
}

static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    struct client *c = ctx;
    struct received *m = mem_zalloc(sizeof *m);
    (void)p;
    m->text = text;
    buf_append_span(&m->bytes, payload);
    buf_append(&m->bytes, "", 0);
    list_push_back(&c->inbox, &m->link);
}

static void on_ping(void *ctx, struct ws_peer *p, struct span payload) {
    struct client *c = ctx;
    (void)p, (void)payload;
    c->pings++;
}

static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct client *c = ctx;
    (void)p;
    c->ws = NULL;
    c->closed = true;
    c->code = code;
    c->reason = span_dup(reason);
}

static const struct ws_handler handler = {
    .on_open = on_open, .on_message = on_message, .on_ping = on_ping, .on_close = on_close};

struct world *client_host(struct rig *r, const char *common_name) {
    char name[80];
    snprintf(name, sizeof name, "host-of-%s", common_name != NULL ? common_name : "nobody");
    return sim_host(r->sim, name);
}

struct world_tls *client_tls(struct rig *r, const char *common_name) {
    struct world *host = client_host(r, common_name);
    struct world_tls_files files = sim_tls_files(host, common_name != NULL ? common_name : "nobody");
    struct error err = ERROR_INIT;
    if (common_name == NULL) {
        files.cert = files.key = NULL;
    }
    struct world_tls *tls = world_tls_new(host, &files, &err);
    if (tls == NULL) {
        fail_msg("%s", err.msg);
    }
    return tls;
}

struct client *client_dial(struct rig *r, struct world *host, struct world_tls *tls, const char *path) {
    struct client *c = mem_zalloc(sizeof *c);
    assert_true(r->client_count < RIG_CLIENTS_MAX);
    r->clients[r->client_count++] = c;
    c->rig = r;
    list_init(&c->inbox);
    const struct ws_connect opts = {
        .to = {.host = "broker", .port = r->port, .tls = tls}, .path = path, .user_agent = "test"};
    c->ws = ws_connect(host, &opts, &handler, c);
    return c;
}

static bool open_or_over(void *ctx) {
    struct client *c = ctx;
    return c->open || c->closed;
}

struct client *client_connect(struct rig *r, const char *common_name, const char *path) {
    struct world_tls *tls = client_tls(r, common_name);
    struct client *c = client_dial(r, client_host(r, common_name), tls, path);
    assert_true(sim_run_until(r->sim, 40 * SIM_SECOND, open_or_over, c));
    world_tls_free(tls);
    return c;
}

void client_text(struct client *c, const char *text) {
    struct span s = span_of(text);
    assert_non_null(c->ws);
    ws_send(c->ws, true, &s, 1);
}

void client_binary(struct client *c, struct span bytes) {
    assert_non_null(c->ws);
    ws_send(c->ws, false, &bytes, 1);
}

void client_send(struct client *c, const char *id, const char *type, const char *target, const char *data) {
    struct buf b = BUF_INIT;
    buf_printf(&b, "{\"id\":\"%s\",\"message_type\":\"%s\"", id, type);
    if (target != NULL) {
        buf_printf(&b, ",\"target\":\"%s\"", target);
    }
    if (data != NULL) {
        buf_printf(&b, ",\"data\":%s", data);
    }
    buf_append_char(&b, '}');
    client_text(c, b.ptr);
    buf_free(&b);
}

static bool has_mail(void *ctx) {
    struct client *c = ctx;
    return !list_empty(&c->inbox);
}

const struct received *client_next(struct client *c) {
    forget(c->current);
    c->current = NULL;
    if (sim_run_until(c->rig->sim, 3 * SIM_SECOND, has_mail, c)) {
        c->current = LIST_ITEM(list_pop_front(&c->inbox), struct received, link);
    }
    return c->current;
}

json_t *client_next_json(struct client *c) {
    const struct received *m = client_next(c);
    assert_non_null(m);
    assert_true(m->text);
    json_t *value = json_parse(buf_span(&m->bytes), "test", NULL);
    assert_non_null(value);
    return value;
}

void client_expect_error(struct client *c, const char *description, const char *in_reply_to) {
    json_t *m = client_next_json(c);
    assert_string_equal(json_str(m, "message_type"), "http://puppetlabs.com/error_message");
    assert_string_equal(json_str(m, "data"), description);
    assert_true(str_eq(json_str(m, "in_reply_to"), in_reply_to));
    assert_int_equal(json_object_size(m), in_reply_to != NULL ? 4 : 3);
    json_decref(m);
}

bool client_silent(struct client *c, uint64_t ms) {
    return !sim_run_until(c->rig->sim, ms * SIM_MS, has_mail, c);
}

static bool is_over(void *ctx) {
    struct client *c = ctx;
    return c->closed;
}

bool client_wait_closed(struct client *c) {
    return sim_run_until(c->rig->sim, 10 * SIM_SECOND, is_over, c);
}

void client_close(struct client *c) {
    ws_close(c->ws, 1000, "");
    assert_true(client_wait_closed(c));
}

char *client_inventory(struct client *c, const char *query_json, bool subscribe) {
    char *data = str_printf("{\"query\":%s,\"subscribe\":%s}", query_json, subscribe ? "true" : "false");
    struct buf out = BUF_INIT;
    size_t i;
    json_t *uri;
    client_send(c, ID1, INVENTORY_REQUEST, NULL, data);
    mem_free(data);
    json_t *m = client_next_json(c);
    assert_string_equal(json_str(m, "message_type"), "http://puppetlabs.com/inventory_response");
    assert_string_equal(json_str(m, "in_reply_to"), ID1);
    json_array_foreach(json_object_get(json_object_get(m, "data"), "uris"), i, uri) {
        buf_printf(&out, "%s ", json_string_value(uri));
    }
    json_decref(m);
    return buf_take(&out);
}
