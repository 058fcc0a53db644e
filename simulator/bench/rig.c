/* See rig.h. */
#include "simulator/bench/rig.h"

#include "base/json.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { UP_MS = 600000, START_MS = 60000, ANSWER_TRIES = 600, ANSWER_WAIT_MS = 50, TOKEN_MAX = 4096 };

static bool take_stack(struct rig *r, const struct rig_opts *opts, struct error *err) {
    struct buf token = BUF_INIT;
    const char *path = json_str(r->stack, "token_file");
    if (path == NULL || !world_file_read(opts->world, path, TOKEN_MAX, &token, err)) {
        return false;
    }
    r->api.world = opts->world;
    r->api.token = span_dup(span_trim(buf_span(&token)));
    buf_free(&token);
    r->api.tls = world_tls_new(opts->world, &(struct world_tls_files){.ca = json_str(r->stack, "ca")}, err);
    return r->api.tls != NULL;
}

bool rig_up(struct rig *r, const struct rig_opts *opts, struct error *err) {
    char agents[24], *log = str_printf("%s/up.log", opts->dir);
    *r =
        (struct rig){.dir = str_printf("%s/stack", opts->dir), .database = str_printf("%s/orchestrator.db", opts->dir)};
    snprintf(agents, sizeof(agents), "%zu", opts->agents);
    const char *argv[] = {opts->self, "up",   "--json",    "--port-base", "0",           "--agents", agents,
                          "--dir",    r->dir, "--timeout", "600s",        "--log-level", "warn",     NULL};
    struct buf line = BUF_INIT;
    bool ok =
        process_start(&r->up, argv, log, err) && process_wait_for(&r->up, "{\"orchestrator\":", UP_MS, &line, err);
    if (ok) {
        struct buf text = BUF_INIT;
        buf_printf(&text, "{\"orchestrator\":%s", line.ptr);
        r->stack = json_parse(buf_span(&text), "bench", err);
        buf_free(&text);
        ok = r->stack != NULL && take_stack(r, opts, err);
    }
    if (!ok) {
        error_prefix(err, "dalang up");
    }
    buf_free(&line);
    mem_free(log);
    return ok;
}

static bool write_config(const struct rig *r, const struct rig_opts *opts, const char *path, struct error *err) {
    struct buf text = BUF_INIT;
    const json_t *s = r->stack;
    buf_printf(&text,
               "orchestrator { database: \"%s\", pcp-broker-urls: \"%s\", rbac-url: \"%s/rbac-api\",\n"
               "  classifier-url: \"%s/classifier-api\", puppetdb-url: \"%s\", puppet-server-url: \"%s\",\n"
               "  task-concurrency: 100000, global-concurrent-compiles: 0 }\n"
               "global.certs { ssl-cert: \"%s\", ssl-key: \"%s\", ssl-ca-cert: \"%s\" }\n"
               "webserver.orchestrator { ssl-host: \"127.0.0.1\", ssl-port: 0 }\n",
               r->database, json_str(s, "broker"), json_str(s, "rbac"), json_str(s, "classifier"),
               json_str(s, "puppetdb"), json_str(s, "puppetserver"), json_str(s, "cert"), json_str(s, "key"),
               json_str(s, "ca"));
    const bool ok = world_file_write(opts->world, path, buf_span(&text), 0600, WORLD_WRITE_PLAIN, err);
    buf_free(&text);
    return ok;
}

/* Its services and its database come up behind the port. */
static bool wait_for_answer(struct rig *r, struct error *err) {
    for (int tries = 0; tries < ANSWER_TRIES; tries++) {
        error_clear(err);
        if (bench_api_ask(&r->api, "/orchestrator/v1/jobs?limit=1", NULL, NULL, NULL, err)) {
            return true;
        }
        bench_api_wait(&r->api, ANSWER_WAIT_MS);
    }
    return false;
}

bool rig_orchestrate(struct rig *r, const struct rig_opts *opts, struct error *err) {
    char *config = str_printf("%s/orchestrator.conf", opts->dir), *log = str_printf("%s/orchestrator.log", opts->dir);
    const char *argv[] = {opts->orchestrator, "--config", config, NULL};
    struct buf port = BUF_INIT;
    bool ok = write_config(r, opts, config, err) && process_start(&r->orchestrator, argv, log, err) &&
              process_wait_for(&r->orchestrator, "Listening on port ", START_MS, &port, err);
    if (ok) {
        r->api.url = str_printf("https://127.0.0.1:%.*s", (int)strspn(port.ptr, "0123456789"), port.ptr);
        ok = wait_for_answer(r, err);
    }
    if (!ok) {
        error_prefix(err, "dalang-orchestrator");
    }
    buf_free(&port);
    mem_free(config);
    mem_free(log);
    return ok;
}

void rig_end(struct rig *r) {
    process_end(&r->orchestrator);
    process_end(&r->up);
    bench_api_free(&r->api);
    json_decref(r->stack);
    mem_free(r->dir);
    mem_free(r->database);
    *r = (struct rig){0};
}
