/* See api.h. */
#include "simulator/bench/api.h"

#include "base/json.h"
#include "base/mem.h"
#include "simulator/bench/process.h"
#include "world/real.h"

enum { TIMEOUT_MS = 120000 };

struct waiting {
    bool over;
    int status;
    json_t *body;
    char *trouble;
    uint64_t at_ns;
};

static void on_answer(void *ctx, const struct world_response *r) {
    struct waiting *w = ctx;
    w->at_ns = clock_ns();
    w->over = true;
    w->status = r->status;
    if (r->err != NULL) {
        w->trouble = str_dup(r->err->msg);
    } else {
        w->body = json_parse(r->body, "bench", NULL);
    }
}

void bench_api_send(const struct bench_api *a, const char *path, const char *body,
                    void (*done)(void *ctx, const struct world_response *r), void *ctx) {
    char *url = str_printf("%s%s", a->url, path);
    const struct world_header headers[] = {{"X-Authentication", a->token}, {"Content-Type", "application/json"}};
    const struct world_fetch_opts opts = {
        .method = body != NULL ? "POST" : "GET",
        .url = url,
        .headers = headers,
        .header_count = 2,
        .body = span_of(body),
        .tls = a->tls,
        .timeout_ms = TIMEOUT_MS,
        .body_max = 512 * 1024 * 1024,
    };
    world_fetch(a->world, &opts, done, ctx);
    mem_free(url);
}

bool bench_api_ask(const struct bench_api *a, const char *path, const char *body, json_t **answer, double *took_ms,
                   struct error *err) {
    struct waiting w = {0};
    const uint64_t begin = clock_ns();
    bench_api_send(a, path, body, on_answer, &w);
    while (!w.over) {
        real_world_turn(a->world, true);
    }
    const bool ok = w.trouble == NULL && w.status >= 200 && w.status < 300;
    if (w.trouble != NULL) {
        error_set(err, "bench", "%s", w.trouble);
    } else if (!ok) {
        const char *msg = json_str(w.body, "msg");
        error_set(err, "bench", "%s%s answers %d: %s", a->url, path, w.status, msg != NULL ? msg : "");
    }
    if (took_ms != NULL) {
        *took_ms = (double)(w.at_ns - begin) / 1e6;
    }
    if (answer != NULL && ok) {
        *answer = w.body;
    } else {
        json_decref(w.body);
    }
    mem_free(w.trouble);
    return ok;
}

static void set_over(void *ctx) {
    *(bool *)ctx = true;
}

void bench_api_wait(const struct bench_api *a, uint64_t ms) {
    struct timer timer = {0};
    bool over = false;
    world_timer_start(a->world, &timer, ms, set_over, &over);
    while (!over) {
        real_world_turn(a->world, true);
    }
}

void bench_api_free(struct bench_api *a) {
    world_tls_free(a->tls);
    mem_free(a->url);
    mem_free_secret(a->token, a->token != NULL ? span_of(a->token).len : 0);
    *a = (struct bench_api){0};
}

char *bench_request(const char *what, const json_t *names, size_t first, size_t count) {
    struct buf body = BUF_INIT;
    buf_printf(&body, "%s{\"nodes\":[", what);
    for (size_t i = 0; i < count; i++) {
        buf_append_cstr(&body, i > 0 ? "," : "");
        json_write_string(&body, json_span(json_array_get(names, (first + i) % json_array_size(names))));
    }
    buf_append_cstr(&body, "]}}");
    return buf_take(&body);
}
