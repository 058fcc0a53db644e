#include "real.h"

#include "base/mem.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_S = 60 };

struct waiting {
    struct timer timer;
    bool over;
};

static void over(void *ctx) {
    ((struct waiting *)ctx)->over = true;
}

static bool wait_until(struct real *r, bool (*done)(struct real *r), unsigned ms) {
    struct waiting w = {0};
    world_timer_start(r->world, &w.timer, ms, over, &w);
    while (!w.over && !done(r)) {
        real_world_turn(r->world, true);
    }
    world_timer_stop(r->world, &w.timer);
    return done(r);
}

static bool never(struct real *r) {
    (void)r;
    return false;
}

void real_pause(struct real *r, unsigned ms) {
    wait_until(r, never, ms);
}

/* ---------------------------------------------------------------------------------------- the stack around it */

static void up_wrote(void *ctx, int stream, struct span bytes) {
    struct real *r = ctx;
    if (stream == 1) {
        buf_append_span(&r->up_output, bytes);
    } else {
        fprintf(stderr, "dalang up: %.*s", (int)bytes.len, bytes.ptr);
    }
}

static void up_ended(void *ctx, const struct world_exit *e) {
    struct real *r = ctx;
    if (e->status != 0 || e->signal != 0) {
        fprintf(stderr, "dalang up ended with status %d, signal %d\n", e->status, e->signal);
    }
    r->up = NULL;
}

static bool is_up(struct real *r) {
    return r->up == NULL || (r->up_output.len != 0 && r->up_output.ptr[r->up_output.len - 1] == '\n');
}

static bool is_down(struct real *r) {
    return r->up == NULL;
}

static void write_config(struct real *r) {
    struct buf text = BUF_INIT;
    char *path = real_config(r);
    buf_printf(&text,
               "orchestrator { database: \"%s/o.db\", pcp-broker-urls: \"%s\", rbac-url: \"%s/rbac-api\",\n"
               "  classifier-url: \"%s/classifier-api\", puppetdb-url: \"%s\", puppet-server-url: \"%s\",\n"
               "  task-concurrency: 5, global-concurrent-compiles: 5 }\n"
               "global.certs { ssl-cert: \"%s\", ssl-key: \"%s\", ssl-ca-cert: \"%s\" }\n"
               "webserver.orchestrator { ssl-host: \"127.0.0.1\", ssl-port: 0 }\n",
               r->dir, json_str(r->stack, "broker"), json_str(r->stack, "rbac"), json_str(r->stack, "classifier"),
               json_str(r->stack, "puppetdb"), json_str(r->stack, "puppetserver"), json_str(r->stack, "cert"),
               json_str(r->stack, "key"), json_str(r->stack, "ca"));
    assert_true(world_file_write(r->world, path, buf_span(&text), 0600, WORLD_WRITE_PLAIN, NULL));
    mem_free(path);
    buf_free(&text);
}

struct real *real_new(int agents) {
    struct real *r = mem_zalloc(sizeof *r);
    struct error err = ERROR_INIT;
    char count[16];
    snprintf(count, sizeof count, "%d", agents);
    snprintf(r->dir, sizeof r->dir, "/tmp/orchestrator-test-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    r->world = real_world_new(&err);
    char *stack = str_printf("%s/stack", r->dir);
    const char *argv[] = {BIN_DIR "/dalang", "up",  "--json", "--port-base", "0",
                          "--agents",        count, "--dir",  stack,         NULL};
    struct world_spawn spawn = {.argv = argv, .on_output = up_wrote, .umask = -1};
    r->up = world_spawn(r->world, &spawn, up_ended, r);
    mem_free(stack);
    assert_true(wait_until(r, is_up, PATIENCE_S * 1000));
    r->stack = json_parse(buf_span(&r->up_output), "up", &err);
    if (r->stack == NULL) {
        fail_msg("dalang up: %s", err.msg);
    }
    struct buf token = BUF_INIT;
    assert_true(world_file_read(r->world, json_str(r->stack, "token_file"), 4096, &token, &err));
    r->token = span_dup(span_trim(buf_span(&token)));
    buf_free(&token);
    struct world_tls_files files = {.ca = json_str(r->stack, "ca")};
    r->tls = world_tls_new(r->world, &files, &err);
    assert_non_null(r->tls);
    write_config(r);
    return r;
}

static bool has_ended(struct real *r) {
    return r->ended || r->orchestrator == NULL;
}

void real_free(struct real *r) {
    if (!has_ended(r)) {
        real_signal_it(r, SIGKILL);
        real_wait_end(r);
    }
    if (r->up != NULL) {
        world_pid_signal(r->world, world_process_pid(r->up), SIGTERM, false);
        assert_true(wait_until(r, is_down, PATIENCE_S * 1000));
    }
    world_tls_free(r->tls);
    world_file_remove(r->world, r->dir, true, NULL);
    real_world_free(r->world);
    json_decref(r->stack);
    json_decref(r->body);
    buf_free(&r->up_output);
    buf_free(&r->output);
    mem_free(r->token);
    mem_free(r);
}

/* ---------------------------------------------------------------------------------------- the orchestrator */

char *real_config(const struct real *r) {
    return str_printf("%s/o.conf", r->dir);
}

static void it_wrote(void *ctx, int stream, struct span bytes) {
    struct real *r = ctx;
    (void)stream;
    buf_append_span(&r->output, bytes);
}

static void it_ended(void *ctx, const struct world_exit *e) {
    struct real *r = ctx;
    r->ended = true;
    r->exit = *e;
}

static void spawn_it(struct real *r, const char *const *argv) {
    struct world_spawn spawn = {.argv = argv, .on_output = it_wrote, .umask = -1};
    buf_clear(&r->output);
    r->ended = false;
    r->orchestrator = world_spawn(r->world, &spawn, it_ended, r);
}

/* "Listening on port 40213" in its log. */
static bool find_port(struct real *r) {
    static const char mark[] = "Listening on port ";
    const char *at = r->output.ptr != NULL ? strstr(r->output.ptr, mark) : NULL;
    if (at == NULL || strchr(at, '\n') == NULL) {
        return has_ended(r);
    }
    r->port = (uint16_t)strtoul(at + strlen(mark), NULL, 10);
    return true;
}

void real_start(struct real *r) {
    char *config = real_config(r);
    const char *argv[] = {BIN_DIR "/dalang-orchestrator", "--config", config, NULL};
    r->port = 0;
    spawn_it(r, argv);
    assert_true(wait_until(r, find_port, PATIENCE_S * 1000));
    if (r->port == 0) {
        fail_msg("%s", r->output.ptr);
    }
    mem_free(config);
    for (int tries = 0; tries < 500; tries++) {
        real_ask(r, "/orchestrator/v1/jobs?limit=1", NULL);
        if (r->status == 200) {
            return;
        }
        real_pause(r, 10);
    }
    fail_msg("no answer: %d %s", r->status, r->output.ptr);
}

void real_signal_it(struct real *r, int signal) {
    world_pid_signal(r->world, world_process_pid(r->orchestrator), signal, false);
}

int real_wait_end(struct real *r) {
    assert_true(wait_until(r, has_ended, PATIENCE_S * 1000));
    return r->exit.signal != 0 ? 128 + r->exit.signal : r->exit.status;
}

int real_run_it(struct real *r, const char *const *arguments) {
    const char *argv[16] = {BIN_DIR "/dalang-orchestrator"};
    for (size_t i = 0; i < 14 && arguments[i] != NULL; i++) {
        argv[i + 1] = arguments[i];
    }
    spawn_it(r, argv);
    return real_wait_end(r);
}

/* ---------------------------------------------------------------------------------------- its client */

static void on_answer(void *ctx, const struct world_response *response) {
    struct real *r = ctx;
    r->answered = true;
    r->status = response->err == NULL ? response->status : 0;
    r->body = response->err == NULL ? json_parse(response->body, "answer", NULL) : NULL;
}

static bool has_answer(struct real *r) {
    return r->answered;
}

void real_ask(struct real *r, const char *path, const char *body) {
    char *url = str_printf("https://127.0.0.1:%u%s", r->port, path);
    struct world_header headers[] = {{"X-Authentication", r->token}, {"Content-Type", "application/json"}};
    struct world_fetch_opts opts = {.method = body != NULL ? "POST" : "GET",
                                    .url = url,
                                    .headers = headers,
                                    .header_count = 2,
                                    .body = span_of(body),
                                    .tls = r->tls,
                                    .timeout_ms = 20000};
    r->answered = false;
    json_decref(r->body);
    r->body = NULL;
    world_fetch(r->world, &opts, on_answer, r);
    assert_true(wait_until(r, has_answer, PATIENCE_S * 1000));
    mem_free(url);
}
