/* One question to one service, and who waits for its answer. */
#include "base/mem.h"
#include "orchestrator/services/internal.h"
#include "wire/percent.h"
#include <string.h>

enum { ASK_TIMEOUT_MS = 60000, ASK_CONNECT_MS = 10000, ANSWER_MAX = 256 * 1024 * 1024 };

struct services *services_new(struct world *w, const struct orchestrator_config *config, struct world_tls *tls,
                              const struct logger *log) {
    struct services *s = mem_zalloc(sizeof(*s));
    s->world = w;
    s->config = config;
    s->tls = tls;
    s->log = log;
    list_init(&s->asks);
    map_init(&s->subjects);
    return s;
}

static void ask_free(struct ask *ask) {
    list_remove(&ask->services->asks, &ask->link);
    mem_free(ask->subject);
    mem_free(ask->detail);
    mem_free(ask);
}

void services_free(struct services *s) {
    if (s == NULL) {
        return;
    }
    LIST_EACH_SAFE (link, next, &s->asks) {
        struct ask *ask = LIST_ITEM(link, struct ask, link);
        world_fetch_cancel(ask->fetch);
        ask_free(ask);
    }
    cached_subjects_free(s);
    mem_free(s);
}

void services_forget(struct services *s, void *ctx) {
    LIST_EACH (link, &s->asks) {
        struct ask *ask = LIST_ITEM(link, struct ask, link);
        if (ask->ctx == ctx) {
            ask->done = NULL;
        }
    }
}

static void on_response(void *ctx, const struct world_response *r) {
    struct ask *ask = ctx;
    struct error err = ERROR_INIT;
    json_t *body = ask->read(ask, r, &err);
    services_answer *done = ask->done;
    void *done_ctx = ask->ctx;
    ask_free(ask);
    if (done != NULL) {
        done(done_ctx, body, body == NULL ? &err : NULL);
    }
    json_decref(body);
    error_clear(&err);
}

struct ask *ask_start(struct services *s, const struct ask_opts *opts, services_answer *done, void *ctx) {
    struct ask *ask = mem_zalloc(sizeof(*ask));
    ask->services = s;
    ask->read = opts->read;
    ask->done = done;
    ask->ctx = ctx;
    ask->subject = str_dup(opts->subject);
    ask->detail = str_dup(opts->detail);
    list_push_back(&s->asks, &ask->link);

    struct world_header headers[3] = {{"Accept", "application/json"}};
    size_t count = 1;
    char *text = NULL;
    if (opts->body != NULL) {
        text = json_text(opts->body);
        json_decref(opts->body);
        headers[count++] = (struct world_header){"Content-Type", "application/json"};
    }
    if (opts->token != NULL) {
        headers[count++] = (struct world_header){"X-Authentication", opts->token};
    }
    ask->fetch = world_fetch(s->world,
                             &(struct world_fetch_opts){.method = opts->method,
                                                        .url = opts->url,
                                                        .headers = headers,
                                                        .header_count = count,
                                                        .body = span_of(text),
                                                        .tls = s->tls,
                                                        .connect_timeout_ms = ASK_CONNECT_MS,
                                                        .timeout_ms = ASK_TIMEOUT_MS,
                                                        .body_max = ANSWER_MAX},
                             on_response, ask);
    mem_free(opts->url);
    if (text != NULL) {
        mem_free_secret(text, strlen(text)); /* it may hold a token */
    }
    return ask;
}

json_t *ask_json(const struct world_response *r, const char *service, struct error *err) {
    if (r->err != NULL) {
        error_set(err, "puppetlabs.orchestrator/unknown-error", "%s does not answer: %s", service, r->err->msg);
        return NULL;
    }
    json_t *body = json_parse(r->body, "puppetlabs.orchestrator/unknown-error", err);
    if (body == NULL) {
        error_set(err, "puppetlabs.orchestrator/unknown-error", "%s answered with status %d and no JSON", service,
                  r->status);
    }
    return body;
}

char *percent_encoded(const char *text) {
    struct buf out = BUF_INIT;
    percent_encode(&out, span_of(text));
    return buf_take(&out);
}
