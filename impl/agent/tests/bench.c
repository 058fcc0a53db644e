/* The broker, the file server and the agent between them. */
#include "agent/tests/bench.h"
#include "base/digest.h"
#include "base/mem.h"
#include "pcp/body.h"
#include <stdio.h>

#define PREFIX "http://puppetlabs.com/"

/* ---------------------------------------------------------------------------------------- the broker */

static void keep(struct bench *b, const struct pcp_message *m, struct span raw) {
    b->got = mem_grow(b->got, &b->got_cap, b->got_count + 1, sizeof *b->got);
    struct message *got = &b->got[b->got_count++];
    struct span debug = m->debug, content = SPAN("");
    pcp_debug_next(&debug, &content);
    *got = (struct message){
        .type = span_dup(span_starts_with(m->message_type, PREFIX)
                             ? span_sub(m->message_type, sizeof PREFIX - 1, m->message_type.len)
                             : m->message_type),
        .target = span_dup(m->target),
        .sender = span_dup(m->sender),
        .in_reply_to = span_dup(m->in_reply_to),
        .data = span_dup(m->data),
        .debug = span_dup(content),
    };
    buf_append_span(&got->raw, raw);
}

static void broker_send(struct bench *b, struct pcp_message *m) {
    char id[37];
    struct buf out = BUF_INIT;
    world_uuid(b->broker_host, id);
    m->id = span_of(id);
    m->target = span_of(AGENT_URI);
    m->expires_ms = world_wall_ms(b->broker_host) + 5000;
    pcp_encode(b->config.version, m, &out);
    struct span frame = buf_span(&out);
    assert_non_null(b->peer);
    ws_send(b->peer, pcp_is_text(b->config.version), &frame, 1);
    buf_free(&out);
}

static void associate(struct bench *b, const struct pcp_message *request) {
    struct buf data = BUF_INIT;
    pcp_associate_response_write(&data, request->id, b->deny ? "not allowed" : NULL);
    broker_send(b, &(struct pcp_message){.message_type = SPAN(PCP_ASSOCIATE_RESPONSE),
                                         .sender = SPAN(PCP_SERVER_URI),
                                         .data = buf_span(&data)});
    buf_free(&data);
}

static void broker_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    struct bench *b = ctx;
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    struct error err = ERROR_INIT;
    (void)p;
    assert_int_equal(text, b->config.version == PCP_V2);
    if (!pcp_decode(b->config.version, payload, PCP_AS_CLIENT, &m, &scratch, &err)) {
        fail_msg("the agent sent something unreadable: %s", err.msg);
    }
    if (span_eq_cstr(m.message_type, PCP_ASSOCIATE_REQUEST) && !b->silent) {
        associate(b, &m);
    } else {
        keep(b, &m, payload);
    }
    buf_free(&scratch);
}

static void broker_ping(void *ctx, struct ws_peer *p, struct span payload) {
    (void)p;
    assert_int_equal(payload.len, 0);
    ((struct bench *)ctx)->pings++;
}

static void broker_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct bench *b = ctx;
    b->closes++;
    if (b->peer == p) {
        b->peer = NULL;
    }
    b->close_code = code;
    mem_free(b->close_reason);
    b->close_reason = span_dup(reason);
}

static const struct ws_handler broker_handler = {
    .on_message = broker_message, .on_ping = broker_ping, .on_close = broker_close};

static void broker_upgrade(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct bench *b = ctx;
    (void)route;
    mem_free(b->path);
    b->path = str_dup(http_request(ex)->target);
    mem_free(b->user_agent);
    b->user_agent = str_dup(http_header(ex, "user-agent"));
    b->connections++;
    if (b->no_upgrade) {
        http_respond(ex, 503, NULL, SPAN(""));
        return;
    }
    if (b->peer != NULL) {
        ws_abort(b->peer); /* superseded */
    }
    b->peer = ws_accept(ex, &(struct ws_limits){0}, &broker_handler, b);
    assert_non_null(b->peer);
    ws_pause(b->peer, b->no_pong);
}

static const struct http_route broker_routes[] = {{"GET", "/*rest", broker_upgrade, NULL}, {NULL, NULL, NULL, NULL}};

static void broker_refused(void *ctx, const char *remote, enum world_close_reason why, const char *text) {
    (void)remote;
    (void)why;
    (void)text;
    ((struct bench *)ctx)->refusals++;
}

/* ---------------------------------------------------------------------------------------- the file server */

struct late {
    struct timer timer;
    struct http_exchange *ex;
    struct served *file;
    struct bench *bench;
};

static void answer(struct http_exchange *ex, const struct served *file) {
    http_respond(ex, file->status, "application/octet-stream", buf_span(&file->content));
}

static void answer_late(void *ctx) {
    struct late *l = ctx;
    answer(l->ex, l->file);
    mem_free(l);
}

static void abandoned(void *ctx) {
    struct late *l = ctx;
    world_timer_stop(l->bench->primary_host, &l->timer);
    mem_free(l);
}

static void serve(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct bench *b = ctx;
    (void)route;
    struct served *file = map_get_cstr(&b->files, http_request(ex)->path);
    b->requests++;
    assert_string_equal(http_request(ex)->identity->common_name, AGENT_NAME);
    if (file == NULL) {
        char *text = str_printf("nope %d", 404);
        http_respond(ex, 404, "text/plain", span_of(text));
        mem_free(text);
        return;
    }
    file->asked++;
    if (file->delay_ms == 0) {
        answer(ex, file);
        return;
    }
    struct late *l = mem_zalloc(sizeof *l);
    l->ex = ex;
    l->file = file;
    l->bench = b;
    http_on_abandon(ex, abandoned, l);
    world_timer_start(b->primary_host, &l->timer, file->delay_ms, answer_late, l);
}

static const struct http_route primary_routes[] = {{"GET", "/*rest", serve, NULL}, {NULL, NULL, NULL, NULL}};

static struct http_server *server(struct bench *b, struct world *host, uint16_t port, struct world_tls **tls,
                                  const struct http_route *routes, const char *name) {
    struct error err = ERROR_INIT;
    struct world_tls_files files = sim_tls_files(host, name);
    files.client_auth = WORLD_CLIENT_AUTH_NEED;
    *tls = world_tls_new(host, &files, &err);
    assert_non_null(*tls);
    struct http_server *s = http_server_new(
        host,
        &(struct http_server_opts){
            .listen = {.port = port, .tls = *tls, .on_refused = broker_refused}, .routes = routes, .ctx = b},
        &err);
    assert_non_null(s);
    return s;
}

static void closed(void *ctx) {
    *(bool *)ctx = true;
}

char *bench_serve(struct bench *b, const char *path, const char *content) {
    struct served *file = mem_zalloc(sizeof *file);
    buf_append_cstr(&file->content, content);
    file->status = 200;
    assert_null(map_put(&b->files, span_of(path), file));
    char hex[SHA256_HEX_LEN + 1];
    sha256_hex(span_of(content), hex);
    return str_dup(hex);
}

struct served *bench_served(struct bench *b, const char *path) {
    return map_get_cstr(&b->files, path);
}

char *bench_task(struct bench *b, const char *path, const char *sha256, const char *input) {
    (void)b;
    return str_printf("{\"task\":\"demo::hello\",\"input\":%s,\"files\":[{\"filename\":\"%s\",\"sha256\":\"%s\","
                      "\"uri\":{\"path\":\"%s\",\"params\":{\"environment\":\"production\"}}}]}",
                      input, strrchr(path, '/') + 1, sha256, path);
}

/* ---------------------------------------------------------------------------------------- making and unmaking */

static void log_line(void *ctx, const struct log_record *record) {
    struct bench *b = ctx;
    buf_printf(&b->logged, "%s %s\n", log_level_name(record->level), record->msg);
}

static const char *const broker_uris[] = {"wss://broker.example.com:8142/pcp2/"};
static const char *const broker_uris_v1[] = {"wss://broker.example.com:8142/pcp"};
static const char *const primary_uris[] = {"https://primary.example.com:8140"};

struct bench *bench_new(uint64_t seed, enum pcp_version version) {
    struct bench *b = mem_zalloc(sizeof *b);
    b->sim = sim_new(&(struct sim_opts){.seed = seed, .strict_directories = true});
    b->agent_host = sim_host(b->sim, AGENT_NAME);
    b->agent_world = b->agent_host;
    b->broker_host = sim_host(b->sim, "broker.example.com");
    b->primary_host = sim_host(b->sim, "primary.example.com");
    b->broker = server(b, b->broker_host, 8142, &b->broker_tls, broker_routes, "broker.example.com");
    b->primary = server(b, b->primary_host, 8140, &b->primary_tls, primary_routes, "primary.example.com");
    b->config = agent_config_default();
    b->config.version = version;
    b->config.brokers = version == PCP_V2 ? broker_uris : broker_uris_v1;
    b->config.broker_count = 1;
    b->config.primaries = primary_uris;
    b->config.primary_count = 1;
    b->config.shell = "/bin/bash";
    b->log = (struct logger){.level = LOG_DEBUG, .name = "agent", .write = log_line, .ctx = b};
    assert_true(world_file_mkdir(b->agent_host, SPOOL, 0750, true, NULL));
    assert_true(world_file_mkdir(b->agent_host, CACHE, 0750, true, NULL));
    assert_true(world_file_sync(b->agent_host, "/", NULL));
    virtual_install(b);
    return b;
}

static void crashed(void *ctx) {
    struct bench *b = ctx;
    agent_free(b->agent);
    world_tls_free(b->agent_tls);
    b->agent = NULL;
    b->agent_tls = NULL;
}

void bench_agent_start(struct bench *b) {
    struct error err = ERROR_INIT;
    struct world_tls_files files = sim_tls_files(b->agent_host, AGENT_NAME);
    b->agent_tls = world_tls_new(b->agent_world, &files, &err);
    assert_non_null(b->agent_tls);
    b->self = (struct agent_self){.name = AGENT_NAME, .tls = b->agent_tls, .spool_dir = SPOOL, .task_cache_dir = CACHE};
    sim_on_crash(b->agent_host, crashed, b);
    b->agent = agent_new(b->agent_world, &b->config, &b->self, &b->hooks, &b->log);
    agent_start(b->agent);
}

void bench_agent_free(struct bench *b) {
    agent_free(b->agent);
    world_tls_free(b->agent_tls);
    b->agent = NULL;
    b->agent_tls = NULL;
    sim_on_crash(b->agent_host, NULL, NULL);
}

void bench_start(struct bench *b) {
    bench_agent_start(b);
    assert_true(bench_wait(b, bench_is_connected, SIM_MINUTE));
}

struct bench *bench_connected(enum pcp_version version) {
    struct bench *b = bench_new(1, version);
    bench_start(b);
    return b;
}

void bench_crash(struct bench *b, enum sim_crash_kind kind) {
    sim_crash(b->agent_host, kind);
    if (kind == SIM_CRASH_POWER) {
        bench_run(b, SIM_SECOND);
        sim_power_on(b->agent_host);
    }
    if (b->peer != NULL) { /* a power failure is not noticed by itself */
        ws_abort(b->peer);
        b->peer = NULL;
    }
    bench_start(b);
}

static bool is_closed(void *ctx) {
    return ((bool *)ctx)[0] && ((bool *)ctx)[1];
}

void bench_free(struct bench *b) {
    bench_agent_free(b);
    bool done[2] = {false, false};
    if (b->peer != NULL) {
        ws_abort(b->peer);
        b->peer = NULL;
    }
    http_server_close(b->broker, 0, closed, &done[0]);
    http_server_close(b->primary, 0, closed, &done[1]);
    assert_true(sim_run_until(b->sim, SIM_MINUTE, is_closed, done));
    sim_run_idle(b->sim, SIM_HOUR);
    world_tls_free(b->broker_tls);
    world_tls_free(b->primary_tls);
    struct buf report = BUF_INIT;
    if (!sim_check_idle(b->sim, &report)) {
        fail_msg("left behind:\n%s", report.ptr);
    }
    buf_free(&report);
    sim_free(b->sim);
    virtual_end(b);
    for (size_t i = 0; i < b->got_count; i++) {
        struct message *m = &b->got[i];
        mem_free(m->type);
        mem_free(m->target);
        mem_free(m->sender);
        mem_free(m->in_reply_to);
        mem_free(m->data);
        mem_free(m->debug);
        buf_free(&m->raw);
    }
    mem_free(b->got);
    for (struct map_iter i = map_iter(&b->files); map_next(&i);) {
        buf_free(&((struct served *)i.value)->content);
        mem_free(i.value);
    }
    map_free(&b->files);
    for (struct map_iter i = map_iter(&b->commands); map_next(&i);) {
        mem_free(i.value);
    }
    map_free(&b->commands);
    mem_free(b->close_reason);
    mem_free(b->path);
    mem_free(b->user_agent);
    buf_free(&b->logged);
    mem_free(b);
}

/* ---------------------------------------------------------------------------------------- driving */

void bench_run(struct bench *b, uint64_t us) {
    sim_run(b->sim, sim_now_us(b->sim) + us);
}

struct waiting {
    struct bench *bench;
    bool (*done)(struct bench *b);
};

static bool is_done(void *ctx) {
    struct waiting *w = ctx;
    return w->done(w->bench);
}

bool bench_wait(struct bench *b, bool (*done)(struct bench *b), uint64_t within_us) {
    return sim_run_until(b->sim, within_us, is_done, &(struct waiting){b, done});
}

bool bench_is_connected(struct bench *b) {
    return b->agent != NULL && agent_is_connected(b->agent) && b->peer != NULL;
}

void bench_send_raw(struct bench *b, struct span frame) {
    assert_non_null(b->peer);
    ws_send(b->peer, pcp_is_text(b->config.version), &frame, 1);
}

void bench_send(struct bench *b, const char *type, const char *data, const char *debug, const char *sender) {
    struct buf chunks = BUF_INIT;
    char *full = str_printf(PREFIX "%s", type);
    if (debug != NULL) {
        pcp_debug_append(&chunks, span_of(debug));
    }
    broker_send(b, &(struct pcp_message){.message_type = span_of(full),
                                         .sender = span_of(sender),
                                         .data = span_of(data),
                                         .debug = buf_span(&chunks)});
    mem_free(full);
    buf_free(&chunks);
}

char *bench_request(struct bench *b, bool non_blocking, const char *transaction_id, const char *module,
                    const char *action, const char *params, bool notify) {
    struct buf data = BUF_INIT, out = BUF_INIT;
    buf_printf(&data, "{\"transaction_id\":\"%s\",\"module\":\"%s\",\"action\":\"%s\"", transaction_id, module, action);
    if (params != NULL) {
        buf_printf(&data, ",\"params\":%s", params);
    }
    if (non_blocking) {
        buf_printf(&data, ",\"notify_outcome\":%s", notify ? "true" : "false");
    }
    buf_append_char(&data, '}');
    char id[37];
    world_uuid(b->broker_host, id);
    struct pcp_message m = {.id = span_of(id),
                            .message_type = non_blocking ? SPAN(PREFIX "rpc_non_blocking_request")
                                                         : SPAN(PREFIX "rpc_blocking_request"),
                            .target = SPAN(AGENT_URI),
                            .sender = SPAN(CONTROLLER),
                            .data = buf_span(&data),
                            .expires_ms = world_wall_ms(b->broker_host) + 5000};
    pcp_encode(b->config.version, &m, &out);
    bench_send_raw(b, buf_span(&out));
    buf_free(&data);
    buf_free(&out);
    return str_dup(id);
}

static bool has_more(struct bench *b) {
    return b->got_next < b->got_count;
}

const struct message *bench_next(struct bench *b) {
    if (!bench_wait(b, has_more, 10 * SIM_MINUTE)) {
        fail_msg("no message; the agent's log:\n%s", b->logged.ptr);
    }
    return &b->got[b->got_next++];
}

const struct message *bench_expect(struct bench *b, const char *type) {
    const struct message *m = bench_next(b);
    if (strcmp(m->type, type) != 0) {
        fail_msg("expected %s, got %s %s", type, m->type, m->data);
    }
    assert_string_equal(m->sender, AGENT_URI);
    return m;
}

void bench_expect_data(struct bench *b, const char *type, const char *format, ...) {
    va_list args;
    struct buf expected = BUF_INIT;
    va_start(args, format);
    buf_vprintf(&expected, format, args);
    va_end(args);
    assert_string_equal(bench_expect(b, type)->data, expected.ptr);
    buf_free(&expected);
}

void bench_expect_nothing(struct bench *b, uint64_t us) {
    bench_run(b, us);
    if (has_more(b)) {
        fail_msg("unexpected %s %s", b->got[b->got_next].type, b->got[b->got_next].data);
    }
}

char *bench_status(struct bench *b, const char *transaction_id) {
    char *params = str_printf("{\"transaction_id\":\"%s\"}", transaction_id);
    mem_free(bench_request(b, !NON_BLOCKING, "query", "status", "query", params, false));
    mem_free(params);
    const struct message *m = bench_expect(b, "rpc_blocking_response");
    json_t *data = json_parse(span_of(m->data), "test", NULL);
    assert_string_equal(json_str(data, "transaction_id"), "query");
    char *text = json_text(json_object_get(data, "results"));
    json_decref(data);
    return text;
}

/* ---------------------------------------------------------------------------------------- the agent's disk */

char *bench_read(struct bench *b, const char *path) {
    struct buf text = BUF_INIT;
    if (!world_file_read(b->agent_host, path, SIZE_MAX, &text, NULL)) {
        return NULL;
    }
    return buf_take(&text);
}

bool bench_exists(struct bench *b, const char *path) {
    return world_file_lstat(b->agent_host, path, &(struct world_stat){0}, NULL);
}

void bench_write(struct bench *b, const char *path, const char *text) {
    assert_true(world_file_write(b->agent_host, path, span_of(text), 0640, WORLD_WRITE_ATOMIC, NULL));
}

bool bench_logged(const struct bench *b, const char *text) {
    return b->logged.ptr != NULL && strstr(b->logged.ptr, text) != NULL;
}
