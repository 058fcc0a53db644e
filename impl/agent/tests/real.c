#include "agent/tests/real.h"
#include "base/digest.h"
#include "base/mem.h"
#include "pcp/body.h"
#include "world/certs.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PREFIX "http://puppetlabs.com/"
enum { PATIENCE_S = 120 };

/* ---------------------------------------------------------------------------------------- files */

char *real_path(const struct real *r, const char *name) {
    return str_printf("%s/%s", r->dir, name);
}

char *real_read(const struct real *r, const char *name) {
    char *path = real_path(r, name);
    struct buf text = BUF_INIT;
    bool ok = world_file_read(r->world, path, SIZE_MAX, &text, NULL);
    mem_free(path);
    return ok ? buf_take(&text) : NULL;
}

void real_write(const struct real *r, const char *name, const char *text) {
    char *path = real_path(r, name);
    assert_true(world_file_write(r->world, path, span_of(text), 0644, WORLD_WRITE_PLAIN, NULL));
    mem_free(path);
}

bool real_exists(const struct real *r, const char *name) {
    char *path = real_path(r, name);
    bool exists = access(path, F_OK) == 0;
    mem_free(path);
    return exists;
}

unsigned long real_proc_number(const struct real *r, const char *name) {
    enum { STATUS_MAX = 8192 };
    char *path = str_printf("/proc/%lld/status", (long long)world_process_pid(r->agent));
    struct buf text = BUF_INIT;
    assert_true(world_file_read_at(r->world, path, 0, STATUS_MAX, &text, NULL));
    const char *at = strstr(text.ptr, name);
    assert_non_null(at);
    unsigned long number = strtoul(at + strlen(name), NULL, 10);
    buf_free(&text);
    mem_free(path);
    return number;
}

void real_command(const char *format, ...) {
    va_list args;
    struct buf text = BUF_INIT;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    if (system(text.ptr) != 0) {
        fail_msg("%s", text.ptr);
    }
    buf_free(&text);
}

static void make_certificates(struct real *r) {
    struct error err = ERROR_INIT;
    int64_t now_ms = world_wall_ms(r->world);
    char *dir = real_path(r, "pki");
    struct certs_ca *ca = certs_dir_open(dir, &(struct certs_ca_opts){.now_ms = now_ms}, &err);
    assert_non_null(ca);
    const char *names[] = {"broker.example.com", "node1.example.com", "other.example.com"};
    for (size_t i = 0; i < 3; i++) {
        struct certs_paths paths;
        assert_true(
            certs_dir_issue(ca, dir,
                            &(struct certs_issue){.common_name = span_of(names[i]),
                                                  .dns_names = (const char *const[]){names[i], "localhost", NULL},
                                                  .now_ms = now_ms},
                            &paths, &err));
        certs_paths_free(&paths);
    }
    assert_true(certs_dir_write_crl(ca, dir, now_ms, &err));
    certs_ca_free(ca);
    mem_free(dir);
}

/* ---------------------------------------------------------------------------------------- the broker */

static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    struct real *r = ctx;
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    (void)p;
    (void)text;
    assert_true(pcp_decode(PCP_V2, payload, PCP_AS_CLIENT, &m, &scratch, NULL));
    r->got = mem_grow(r->got, &r->got_cap, r->got_count + 1, sizeof *r->got);
    assert_true(span_starts_with(m.message_type, PREFIX));
    r->got[r->got_count++] = (struct real_message){
        span_dup(span_sub(m.message_type, sizeof PREFIX - 1, m.message_type.len)), span_dup(m.data)};
    buf_free(&scratch);
}

static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct real *r = ctx;
    (void)code;
    (void)reason;
    if (r->peer == p) {
        r->peer = NULL;
    }
}

static const struct ws_handler handler = {.on_message = on_message, .on_close = on_close};

static void upgrade(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct real *r = ctx;
    (void)route;
    if (r->peer != NULL) {
        ws_abort(r->peer);
    }
    r->peer = ws_accept(ex, &(struct ws_limits){.message_max = 256 * 1024 * 1024}, &handler, r);
    r->connections++;
}

static void serve(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct real *r = ctx;
    const struct buf *content = map_get_cstr(&r->files, http_request(ex)->path);
    (void)route;
    if (content != NULL) {
        http_respond(ex, 200, "application/octet-stream", buf_span(content));
    } else {
        http_respond(ex, 404, "text/plain", SPAN("nothing here"));
    }
}

static const struct http_route routes[] = {
    {"GET", "/pcp2/agent", upgrade, NULL}, {"GET", "/*rest", serve, NULL}, {NULL, NULL, NULL, NULL}};

void real_serve(struct real *r, const char *path, struct span content) {
    struct buf *file = map_get_cstr(&r->files, path);
    if (file == NULL) {
        file = mem_zalloc(sizeof *file);
        map_put(&r->files, span_of(path), file);
    }
    buf_clear(file);
    buf_append_span(file, content);
}

/* ---------------------------------------------------------------------------------------- life */

struct real *real_new(void) {
    struct real *r = mem_zalloc(sizeof *r);
    struct error err = ERROR_INIT;
    r->world = real_world_new(&err);
    assert_non_null(r->world);
    strcpy(r->dir, "/tmp/dalang-agent-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    make_certificates(r);
    char *ca = real_path(r, "pki/ca.pem"), *cert = real_path(r, "pki/certs/broker.example.com.pem"),
         *key = real_path(r, "pki/certs/broker.example.com.key");
    struct world_tls_files files = {.cert = cert, .key = key, .ca = ca, .client_auth = WORLD_CLIENT_AUTH_NEED};
    r->tls = world_tls_new(r->world, &files, &err);
    assert_non_null(r->tls);
    r->server = http_server_new(
        r->world,
        &(struct http_server_opts){.listen = {.host = "127.0.0.1", .tls = r->tls}, .routes = routes, .ctx = r}, &err);
    assert_non_null(r->server);
    r->port = http_server_port(r->server);
    char *modules = real_path(r, "modules");
    assert_true(world_file_mkdir(r->world, modules, 0755, true, NULL));
    mem_free(modules);
    mem_free(ca);
    mem_free(cert);
    mem_free(key);
    return r;
}

static void server_closed(void *ctx) {
    *(bool *)ctx = true;
}

void real_free(struct real *r) {
    if (r->agent != NULL) {
        real_agent_signal(r, 9);
        real_agent_wait(r);
    }
    bool closed = false;
    if (r->peer != NULL) {
        ws_abort(r->peer);
    }
    http_server_close(r->server, 0, server_closed, &closed);
    while (!closed && real_world_turn(r->world, true)) {
    }
    world_tls_free(r->tls);
    real_world_free(r->world);
    for (size_t i = 0; i < r->got_count; i++) {
        mem_free(r->got[i].type);
        mem_free(r->got[i].data);
    }
    mem_free(r->got);
    for (struct map_iter i = map_iter(&r->files); map_next(&i);) {
        buf_free(i.value);
        mem_free(i.value);
    }
    map_free(&r->files);
    buf_free(&r->output);
    real_command("rm -rf %s", r->dir);
    mem_free(r);
}

static void on_output(void *ctx, int stream, struct span bytes) {
    (void)stream;
    buf_append_span(&((struct real *)ctx)->output, bytes);
}

static void ended(void *ctx, const struct world_exit *e) {
    struct real *r = ctx;
    r->agent = NULL;
    r->ended = true;
    r->exit = *e;
}

void real_agent_spawn(struct real *r, bool plain, const char *const *more) {
    char *conf = str_printf("{\"primary-uris\": [\"https://localhost:%u\"]}\n", r->port);
    real_write(r, "pxp-agent.conf", conf);
    mem_free(conf);
    struct {
        const char *flag, *value;
        bool is_path;
    } usual[] = {
        {"--config-file", "pxp-agent.conf", true},
        {"--logfile", "-", false},
        {"--pcp-version", "2", false},
        {"--ssl-ca-cert", "pki/ca.pem", true},
        {"--ssl-cert", "pki/certs/node1.example.com.pem", true},
        {"--ssl-key", "pki/certs/node1.example.com.key", true},
        {"--ssl-crl", "pki/crl.pem", true},
        {"--modules-dir", "modules", true},
        {"--modules-config-dir", "modules-conf", true},
        {"--spool-dir", "spool", true},
        {"--task-cache-dir", "tasks-cache", true},
        {"--pidfile", "agent.pid", true},
    };
    enum { COUNT = sizeof usual / sizeof usual[0] };
    const char *argv[2 * COUNT + 40] = {BIN_DIR "/dalang-agent"};
    char *owned[COUNT + 1] = {NULL};
    size_t count = 1;
    for (size_t i = 0; i < COUNT && !plain; i++) {
        argv[count++] = usual[i].flag;
        owned[i] = usual[i].is_path ? real_path(r, usual[i].value) : str_dup(usual[i].value);
        argv[count++] = owned[i];
    }
    owned[COUNT] = str_printf("wss://localhost:%u/pcp2/", r->port);
    if (!plain) {
        argv[count++] = "--broker-ws-uri";
        argv[count++] = owned[COUNT];
    }
    for (size_t i = 0; more != NULL && more[i] != NULL; i++) {
        argv[count++] = more[i];
    }
    r->ended = false;
    buf_clear(&r->output);
    r->agent =
        world_spawn(r->world, &(struct world_spawn){.argv = argv, .on_output = on_output, .umask = -1}, ended, r);
    for (size_t i = 0; i <= COUNT; i++) {
        mem_free(owned[i]);
    }
}

static bool is_connected(struct real *r) {
    return r->peer != NULL || r->ended;
}

void real_agent_start(struct real *r, const char *const *more) {
    const char *flags[40] = {"--foreground"};
    size_t count = 1;
    for (; more != NULL && more[count - 1] != NULL; count++) {
        flags[count] = more[count - 1];
    }
    real_agent_spawn(r, false, flags);
    if (!real_wait(r, is_connected, PATIENCE_S) || r->ended) {
        fail_msg("the agent did not connect:\n%s", r->output.ptr);
    }
}

static bool has_ended(struct real *r) {
    return r->ended;
}

int real_agent_wait(struct real *r) {
    assert_true(real_wait(r, has_ended, PATIENCE_S));
    return r->exit.signal != 0 ? 128 + r->exit.signal : r->exit.status;
}

void real_agent_signal(struct real *r, int signal) {
    assert_true(world_pid_signal(r->world, world_process_pid(r->agent), signal, false));
}

/* ---------------------------------------------------------------------------------------- talking */

static void nothing(void *ctx) {
    (void)ctx;
}

/* Only a bound for what should have happened long ago. */
bool real_wait(struct real *r, bool (*done)(struct real *r), unsigned within_s) {
    uint64_t end_us = world_now_us(r->world) + (uint64_t)within_s * 1000000;
    struct timer tick = {0};
    while (!done(r) && world_now_us(r->world) < end_us) {
        world_timer_start(r->world, &tick, 100, nothing, NULL);
        real_world_turn(r->world, true);
    }
    world_timer_stop(r->world, &tick);
    return done(r);
}

static bool never(struct real *r) {
    (void)r;
    return false;
}

void real_pause(struct real *r, unsigned ms) {
    uint64_t end_us = world_now_us(r->world) + (uint64_t)ms * 1000;
    struct timer tick = {0};
    while (!never(r) && world_now_us(r->world) < end_us) {
        world_timer_start(r->world, &tick, 1, nothing, NULL);
        real_world_turn(r->world, true);
    }
    world_timer_stop(r->world, &tick);
}

void real_send(struct real *r, const char *type, const char *data) {
    char id[37];
    char *full = str_printf(PREFIX "%s", type);
    struct buf out = BUF_INIT;
    world_uuid(r->world, id);
    pcp_encode(PCP_V2,
               &(struct pcp_message){.id = span_of(id),
                                     .message_type = span_of(full),
                                     .sender = SPAN("pcp://controller.example.com/controller"),
                                     .target = SPAN("pcp://node1.example.com/agent"),
                                     .data = span_of(data)},
               &out);
    assert_non_null(r->peer);
    struct span frame = buf_span(&out);
    ws_send(r->peer, true, &frame, 1);
    buf_free(&out);
    mem_free(full);
}

void real_request(struct real *r, bool non_blocking, const char *transaction_id, const char *module, const char *action,
                  const char *params) {
    char *data = str_printf("{\"transaction_id\":\"%s\",\"module\":\"%s\",\"action\":\"%s\",\"params\":%s%s}",
                            transaction_id, module, action, params, non_blocking ? ",\"notify_outcome\":true" : "");
    real_send(r, non_blocking ? "rpc_non_blocking_request" : "rpc_blocking_request", data);
    mem_free(data);
}

static bool has_more(struct real *r) {
    return r->got_next < r->got_count;
}

const struct real_message *real_next(struct real *r) {
    if (!real_wait(r, has_more, PATIENCE_S)) {
        fail_msg("no message; the agent's log:\n%s", r->output.ptr);
    }
    return &r->got[r->got_next++];
}

const struct real_message *real_expect(struct real *r, const char *type) {
    const struct real_message *m = real_next(r);
    if (strcmp(m->type, type) != 0) {
        fail_msg("expected %s, got %s %s", type, m->type, m->data);
    }
    return m;
}

char *real_task(struct real *r, bool non_blocking, const char *script, const char *input, const char *more) {
    char sha[SHA256_HEX_LEN + 1], transaction_id[37];
    world_uuid(r->world, transaction_id);
    sha256_hex(span_of(script), sha);
    real_serve(r, "/puppet/v3/file_content/tasks/demo/run.sh", span_of(script));
    char *params = str_printf(
        "{\"task\":\"demo::run\",\"input\":%s,\"files\":[{\"filename\":\"run.sh\",\"sha256\":\"%s\",\"uri\":{\"path\":"
        "\"/puppet/v3/file_content/tasks/demo/run.sh\",\"params\":{\"environment\":\"production\"}}}]%s}",
        input, sha, more);
    real_request(r, non_blocking, transaction_id, "task", "run", params);
    mem_free(params);
    if (non_blocking) {
        real_expect(r, "rpc_provisional_response");
    }
    const struct real_message *m = real_next(r);
    json_t *data = json_parse(span_of(m->data), "test", NULL);
    assert_string_equal(json_str(data, "transaction_id"), transaction_id);
    json_t *results = json_object_get(data, "results");
    char *text = json_text(results != NULL ? results : json_object_get(data, "description"));
    json_decref(data);
    return text;
}
