/* Fakes on a simulated host, asked from another one. */
#include "fakes/tests/rig.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void rig_open(struct rig *r) {
    *r = (struct rig){.sim = sim_new(&(struct sim_opts){.seed = 1})};
    r->server = sim_host(r->sim, "fakes");
    r->client = sim_host(r->sim, "client");
}

void rig_serve(struct rig *r, struct fake *const *fakes, size_t count) {
    struct error err = ERROR_INIT;
    assert_true(count <= RIG_FAKES_MAX);
    memcpy(r->fakes, fakes, count * sizeof *fakes);
    r->fake_count = count;
    struct world_tls_files files = sim_tls_files(r->server, "fakes");
    files.client_auth = WORLD_CLIENT_AUTH_WANT;
    r->server_tls = world_tls_new(r->server, &files, &err);
    assert_non_null(r->server_tls);
    struct fake_host_opts opts = {
        .listen = {.port = RIG_PORT, .tls = r->server_tls}, .fakes = r->fakes, .fake_count = count};
    r->host = fake_host_new(r->server, &opts, &err);
    assert_non_null(r->host);
    assert_int_equal(fake_host_port(r->host), RIG_PORT);
}

static void host_closed(void *ctx) {
    *(bool *)ctx = true;
}

static bool flag_set(void *ctx) {
    return *(bool *)ctx;
}

void rig_stop(struct rig *r) {
    bool closed = false;
    fake_host_close(r->host, 100, host_closed, &closed);
    assert_true(sim_run_until(r->sim, SIM_MINUTE, flag_set, &closed));
    world_tls_free(r->server_tls);
}

void rig_end(struct rig *r) {
    struct buf left = BUF_INIT;
    sim_run(r->sim, sim_now_us(r->sim) + SIM_MINUTE);
    if (!sim_check_idle(r->sim, &left)) {
        fail_msg("left behind: %s", left.ptr);
    }
    buf_free(&left);
    sim_free(r->sim);
}

struct waiting {
    struct reply reply;
    bool done;
};

static void answered(void *ctx, const struct world_response *response) {
    struct waiting *w = ctx;
    w->done = true;
    if (response->err != NULL) {
        w->reply.error_kind = str_dup(response->err->kind);
        return;
    }
    w->reply.status = response->status;
    w->reply.header_count = response->header_count;
    w->reply.headers = mem_array(response->header_count + 1, sizeof *w->reply.headers);
    for (size_t i = 0; i < response->header_count; i++) {
        w->reply.headers[i] =
            (struct world_header){str_dup(response->headers[i].name), str_dup(response->headers[i].value)};
    }
    buf_append_span(&w->reply.body, response->body);
    if (response->body.len > 0) {
        w->reply.json = json_parse(response->body, "body", NULL);
    }
}

static bool is_answered(void *ctx) {
    return ((struct waiting *)ctx)->done;
}

static size_t put_headers(const struct ask *ask, struct world_header headers[5]) {
    size_t n = 0;
    if (ask->token != NULL) {
        headers[n++] = (struct world_header){"X-Authentication", ask->token};
    }
    if (ask->accept != NULL) {
        headers[n++] = (struct world_header){"Accept", ask->accept};
    }
    if (ask->accept_encoding != NULL) {
        headers[n++] = (struct world_header){"Accept-Encoding", ask->accept_encoding};
    }
    if (ask->if_none_match != NULL) {
        headers[n++] = (struct world_header){"If-None-Match", ask->if_none_match};
    }
    if (ask->body != NULL) {
        headers[n++] =
            (struct world_header){"Content-Type", ask->content_type != NULL ? ask->content_type : "application/json"};
    }
    return n;
}

struct reply rig_ask(struct rig *r, const struct ask *ask) {
    struct world_header headers[5];
    struct waiting waiting = {.done = false};
    struct world_tls_files files = sim_tls_files(r->client, ask->cn != NULL ? ask->cn : "nobody");
    if (ask->cn == NULL) {
        files.cert = files.key = files.chain = NULL;
    }
    struct error err = ERROR_INIT;
    struct world_tls *tls = world_tls_new(r->client, &files, &err);
    assert_non_null(tls);
    char *url = str_printf("https://fakes:%d%s", RIG_PORT, ask->path);
    struct world_fetch_opts opts = {.method = ask->method,
                                    .url = url,
                                    .headers = headers,
                                    .header_count = put_headers(ask, headers),
                                    .tls = tls,
                                    .body = span_of(ask->body)};
    if (ask->body_len != 0) {
        opts.body.len = ask->body_len;
    }
    struct world_fetch *fetch = world_fetch(r->client, &opts, answered, &waiting);
    uint64_t within = ask->within_us != 0 ? ask->within_us : SIM_MINUTE;
    if (!sim_run_until(r->sim, within, is_answered, &waiting)) {
        world_fetch_cancel(fetch);
        waiting.reply.timed_out = true;
    }
    world_tls_free(tls);
    mem_free(url);
    return waiting.reply;
}

void reply_clear(struct reply *r) {
    for (size_t i = 0; i < r->header_count; i++) {
        mem_free((void *)(uintptr_t)r->headers[i].name);
        mem_free((void *)(uintptr_t)r->headers[i].value);
    }
    mem_free(r->headers);
    mem_free(r->error_kind);
    buf_free(&r->body);
    json_decref(r->json);
    *r = (struct reply){0};
}

const char *reply_header(const struct reply *r, const char *lower_case_name) {
    for (size_t i = 0; i < r->header_count; i++) {
        if (strcmp(r->headers[i].name, lower_case_name) == 0) {
            return r->headers[i].value;
        }
    }
    return NULL;
}

json_t *rig_json(struct rig *r, const struct ask *ask, int status) {
    struct reply reply = rig_ask(r, ask);
    if (reply.status != status) {
        fail_msg("%s %s: status %d in place of %d: %s", ask->method != NULL ? ask->method : "GET", ask->path,
                 reply.status, status, reply.body.ptr != NULL ? reply.body.ptr : reply.error_kind);
    }
    json_t *json = json_incref(reply.json);
    reply_clear(&reply);
    return json;
}

void rig_error(struct rig *r, const struct ask *ask, int status, const char *kind) {
    json_t *body = rig_json(r, ask, status);
    const char *got = json_str(body, "kind");
    assert_non_null(got);
    const char *slash = strrchr(got, '/');
    assert_string_equal(slash != NULL ? slash + 1 : got, kind);
    assert_non_null(json_str(body, "msg"));
    json_decref(body);
}

json_t *quoted(const char *text) {
    char *copy = str_dup(text);
    for (char *p = copy; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    struct error err = ERROR_INIT;
    json_t *value = json_parse(span_of(copy), "test", &err);
    if (value == NULL) {
        fail_msg("%s: %s", err.msg, copy);
    }
    mem_free(copy);
    return value;
}

void assert_json(json_t *got, json_t *expected) {
    if (!json_equal(got, expected)) {
        fail_msg("got      %s\nexpected %s", json_text(got), json_text(expected));
    }
    json_decref(got);
    json_decref(expected);
}
