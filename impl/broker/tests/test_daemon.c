/* dalang-broker as a process: start, reload, log rotation, stop, and what it says when it cannot start. */
#include "base/json.h"
#include "base/mem.h"
#include "net/ws_peer.h"
#include "world/certs.h"
#include "world/real.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct stand {
    struct world *w;
    struct certs_ca *ca;
    char dir[64];
    struct buf output; /* of the daemon */
    struct world_process *process;
    struct world_exit exit;
    bool ended;
};

static char *path_of(const struct stand *s, const char *name) {
    return str_printf("%s/%s", s->dir, name);
}

static void put(struct stand *s, const char *name, const char *text) {
    char *path = path_of(s, name);
    struct error err = ERROR_INIT;
    if (!world_file_write(s->w, path, span_of(text), 0600, WORLD_WRITE_PLAIN, &err)) {
        fail_msg("%s", err.msg);
    }
    mem_free(path);
}

static void issue(struct stand *s, const char *name) {
    const char *const dns[] = {name, "localhost", NULL}, *const ip[] = {"127.0.0.1", NULL};
    struct certs_paths paths;
    struct error err = ERROR_INIT;
    struct certs_issue what = {
        .common_name = span_of(name), .dns_names = dns, .ip_addresses = ip, .now_ms = world_wall_ms(s->w)};
    if (!certs_dir_issue(s->ca, s->dir, &what, &paths, &err)) {
        fail_msg("%s", err.msg);
    }
    certs_paths_free(&paths);
}

static const char rules[] = "authorization { version: 1, rules: [{ name: all, sort-order: 500, allow: \"*\","
                            " match-request: { path: \"/\", type: path } }] }\n";

static int set_up(void **state) {
    struct stand *s = mem_zalloc(sizeof *s);
    struct error err = ERROR_INIT;
    strcpy(s->dir, "/tmp/dalang-broker-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    s->w = real_world_new(&err);
    assert_non_null(s->w);
    s->ca = certs_dir_open(s->dir, &(struct certs_ca_opts){.now_ms = world_wall_ms(s->w)}, &err);
    assert_non_null(s->ca);
    issue(s, "broker");
    issue(s, "client");
    put(s, "auth.conf", rules);
    char *web = str_printf(
        "webserver { ssl-host: 127.0.0.1, ssl-port: 0, ssl-cert: %s/certs/broker.pem, ssl-key: %s/certs/broker.key,"
        " ssl-ca-cert: %s/ca.pem }\ndalang { access-log-file: %s/access.log, log-format: json }\n",
        s->dir, s->dir, s->dir, s->dir);
    put(s, "web.conf", web);
    mem_free(web);
    *state = s;
    return 0;
}

static int tear_down(void **state) {
    struct stand *s = *state;
    world_file_remove(s->w, s->dir, true, NULL);
    certs_ca_free(s->ca);
    real_world_free(s->w);
    buf_free(&s->output);
    mem_free(s);
    return 0;
}

static void on_output(void *ctx, int stream, struct span bytes) {
    struct stand *s = ctx;
    (void)stream;
    buf_append_span(&s->output, bytes);
}

static void on_exit_of(void *ctx, const struct world_exit *e) {
    struct stand *s = ctx;
    s->exit = *e;
    s->ended = true;
}

/* Turns the loop until the output holds the text or the daemon has ended. */
static bool wait_for(struct stand *s, const char *text) {
    while (!s->ended && (s->output.len == 0 || strstr(s->output.ptr, text) == NULL)) {
        real_world_turn(s->w, true);
    }
    return s->output.len != 0 && strstr(s->output.ptr, text) != NULL;
}

static void start(struct stand *s, const char *const *args) {
    const char *argv[16] = {BIN_DIR "/dalang-broker"};
    size_t n = 1;
    for (; args[n - 1] != NULL; n++) {
        argv[n] = args[n - 1];
    }
    buf_clear(&s->output);
    s->ended = false;
    s->process =
        world_spawn(s->w, &(struct world_spawn){.argv = argv, .on_output = on_output, .umask = -1}, on_exit_of, s);
}

static int run(struct stand *s, const char *const *args) {
    start(s, args);
    while (!s->ended) {
        real_world_turn(s->w, true);
    }
    assert_true(s->exit.started);
    assert_int_equal(s->exit.signal, 0);
    return s->exit.status;
}

static uint16_t start_serving(struct stand *s) {
    const char *const args[] = {"--config", s->dir, NULL};
    start(s, args);
    if (!wait_for(s, "Listening on port ") || !wait_for(s, "\n")) {
        fail_msg("%s", s->output.ptr);
    }
    return (uint16_t)atoi(strstr(s->output.ptr, "Listening on port ") + strlen("Listening on port "));
}

static void signal_it(struct stand *s, int signum) {
    assert_true(world_pid_signal(s->w, world_process_pid(s->process), signum, false));
}

static void stop(struct stand *s) {
    signal_it(s, SIGTERM);
    while (!s->ended) {
        real_world_turn(s->w, true);
    }
    assert_int_equal(s->exit.signal, 0);
    assert_int_equal(s->exit.status, 0);
}

/* ---- a client over real TLS */

struct client {
    struct ws_peer *ws;
    struct buf got;
    bool open, closed;
    uint16_t code;
};

static void on_open(void *ctx, struct ws_peer *p) {
    (void)p;
    ((struct client *)ctx)->open = true;
}
static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    (void)p, (void)text;
    buf_append_span(&((struct client *)ctx)->got, payload);
}
static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct client *c = ctx;
    (void)p, (void)reason;
    c->closed = true;
    c->code = code;
    c->ws = NULL;
}
static const struct ws_handler handler = {.on_open = on_open, .on_message = on_message, .on_close = on_close};

static void connect_client(struct stand *s, struct client *c, uint16_t port) {
    char *cert = path_of(s, "certs/client.pem"), *key = path_of(s, "certs/client.key"), *ca = path_of(s, "ca.pem");
    struct error err = ERROR_INIT;
    struct world_tls *tls = world_tls_new(s->w, &(struct world_tls_files){.cert = cert, .key = key, .ca = ca}, &err);
    if (tls == NULL) {
        fail_msg("%s", err.msg);
    }
    *c = (struct client){0};
    const struct ws_connect opts = {.to = {.host = "127.0.0.1", .port = port, .tls = tls}, .path = "/pcp2/agent"};
    c->ws = ws_connect(s->w, &opts, &handler, c);
    while (!c->open && !c->closed) {
        real_world_turn(s->w, true);
    }
    world_tls_free(tls);
    mem_free(cert);
    mem_free(key);
    mem_free(ca);
}

static void exchange(struct stand *s, struct client *c) {
    struct span m = SPAN("{\"id\":\"1-2-3-4-5\",\"message_type\":\"hello\",\"target\":\"pcp://client/agent\"}");
    buf_clear(&c->got);
    ws_send(c->ws, true, &m, 1);
    while (c->got.len == 0 && !c->closed) {
        real_world_turn(s->w, true);
    }
}

static bool file_has(struct stand *s, const char *name, const char *text) {
    char *path = path_of(s, name);
    struct buf content = BUF_INIT;
    bool found =
        world_file_read(s->w, path, 1 << 20, &content, NULL) && content.len != 0 && strstr(content.ptr, text) != NULL;
    buf_free(&content);
    mem_free(path);
    return found;
}

static void serves_and_stops_in_order(void **state) {
    struct stand *s = *state;
    struct client c;
    connect_client(s, &c, start_serving(s));
    assert_true(c.open);
    exchange(s, &c);
    assert_non_null(strstr(c.got.ptr, "\"sender\":\"pcp://client/agent\""));
    stop(s);
    while (!c.closed) {
        real_world_turn(s->w, true);
    }
    assert_int_equal(c.code, 1001);
    assert_non_null(strstr(s->output.ptr, "\"type\":\"broker-stopped\""));
    assert_true(file_has(s, "access.log", " AUTHORIZATION_SUCCESS 127.0.0.1:"));
    buf_free(&c.got);
}

static void reload_takes_right_rules_and_keeps_the_old_ones_otherwise(void **state) {
    struct stand *s = *state;
    struct client c;
    connect_client(s, &c, start_serving(s));
    put(s, "auth.conf", "authorization { version: 1, rules: [{ name: x }] }");
    signal_it(s, SIGHUP);
    assert_true(wait_for(s, "the old configuration stays: "));
    assert_non_null(strstr(s->output.ptr, "auth.conf:1:45: authorization: rule 'x': needs a map 'match-request'"));
    exchange(s, &c);
    assert_non_null(strstr(c.got.ptr, "\"hello\""));
    put(s, "auth.conf", "authorization { version: 1, rules: [] }");
    signal_it(s, SIGHUP);
    assert_true(wait_for(s, "were read again"));
    exchange(s, &c);
    assert_non_null(strstr(c.got.ptr, "Message not authorized."));
    stop(s);
    while (!c.closed) {
        real_world_turn(s->w, true);
    }
    buf_free(&c.got);
}

static void log_files_are_opened_again(void **state) {
    struct stand *s = *state;
    struct client c;
    connect_client(s, &c, start_serving(s));
    exchange(s, &c);
    char *from = path_of(s, "access.log"), *to = path_of(s, "access.log.1");
    assert_true(world_file_rename(s->w, from, to, NULL));
    exchange(s, &c);
    assert_false(file_has(s, "access.log", "hello")); /* it still writes to the renamed one */
    signal_it(s, SIGUSR2);
    do {
        exchange(s, &c);
    } while (!file_has(s, "access.log", "hello"));
    stop(s);
    while (!c.closed) {
        real_world_turn(s->w, true);
    }
    buf_free(&c.got);
    mem_free(from);
    mem_free(to);
}

static void check_config_reports_and_ends(void **state) {
    struct stand *s = *state;
    const char *const right[] = {"--config", s->dir, "--check-config", "--set", "pcp-broker.max-conections=1", NULL};
    assert_int_equal(run(s, right), 0);
    assert_non_null(strstr(s->output.ptr, "configuration is correct: 1 authorization rules, certificate of broker"));
    assert_non_null(strstr(s->output.ptr, "pcp-broker: unknown key 'max-conections' is "
                                          "ignored; did you mean max-connections"));
    put(s, "auth.conf", "authorization {\n version: 3 }");
    const char *const wrong[] = {"--config", s->dir, "--check-config", NULL};
    assert_int_equal(run(s, wrong), 3);
    assert_non_null(strstr(s->output.ptr, "auth.conf:2:11: authorization: 'version' must be 1"));
}

static void the_packaged_files_are_correct(void **state) {
    struct stand *s = *state;
    char *cert = path_of(s, "certs/broker.pem"), *key = path_of(s, "certs/broker.key"), *ca = path_of(s, "ca.pem");
    const char *const args[] = {"--config",
                                SOURCE_DIR "/impl/broker/package/conf.d",
                                "--check-config",
                                "--cert",
                                cert,
                                "--key",
                                key,
                                "--ca",
                                ca,
                                NULL};
    assert_int_equal(run(s, args), 0);
    assert_string_equal(s->output.ptr,
                        "dalang-broker: configuration is correct: 3 authorization rules, certificate of broker\n");
    mem_free(cert);
    mem_free(key);
    mem_free(ca);
}

static void what_stops_the_start_is_one_clear_line(void **state) {
    struct stand *s = *state;
    char *absent = path_of(s, "absent.pem"), port[8];
    const char *const no_cert[] = {"--config", s->dir, "--cert", absent, NULL};
    assert_int_equal(run(s, no_cert), 3);
    assert_non_null(strstr(s->output.ptr, "absent.pem"));
    const char *const no_config[] = {"--config", absent, NULL};
    assert_int_equal(run(s, no_config), 3);
    assert_non_null(strstr(s->output.ptr, "absent.pem"));
    const char *const unknown[] = {"--confg", "x", NULL};
    assert_int_equal(run(s, unknown), 2);
    assert_non_null(strstr(s->output.ptr, "--config"));
    const char *const level[] = {"--config", s->dir, "--log-level", "loud", NULL};
    assert_int_equal(run(s, level), 3);
    assert_non_null(strstr(s->output.ptr, "log-level: unknown level 'loud'"));
    const char *const log[] = {"--config", s->dir, "--access-log", "/absent/x.log", NULL};
    assert_int_equal(run(s, log), 3);
    assert_non_null(strstr(s->output.ptr, "/absent/x.log: cannot be opened for writing"));
    struct error err = ERROR_INIT;
    struct world_listener *taken = world_listen(s->w, &(struct world_listen){.host = "127.0.0.1"}, NULL, NULL, &err);
    assert_non_null(taken);
    snprintf(port, sizeof port, "%u", world_listener_port(taken));
    const char *const in_use[] = {"--config", s->dir, "--port", port, NULL};
    assert_int_equal(run(s, in_use), 3);
    assert_non_null(strstr(s->output.ptr, port));
    assert_non_null(strstr(s->output.ptr, "in use"));
    world_listener_close(taken);
    mem_free(absent);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(serves_and_stops_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reload_takes_right_rules_and_keeps_the_old_ones_otherwise, set_up, tear_down),
        cmocka_unit_test_setup_teardown(log_files_are_opened_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(check_config_reports_and_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_packaged_files_are_correct, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_stops_the_start_is_one_clear_line, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
