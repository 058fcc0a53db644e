/* One call to the API: request, token, and an answer that is either the API's or says who did not answer. */
#include "client/client.h"

#include "base/mem.h"
#include "client/internal.h"
#include <string.h>

struct client_call {
    struct list_link link;
    struct client *client;
    struct world_fetch *fetch;
    void (*done)(void *ctx, const struct client_reply *r);
    bool (*on_body)(void *ctx, struct span bytes);
    void *ctx;
};

static char *without_api_path(const char *url, const char *prefix) {
    char *copy = str_dup(url);
    size_t len = strlen(copy);
    while (len > 0 && copy[len - 1] == '/') {
        copy[--len] = '\0';
    }
    size_t prefix_len = strlen(prefix);
    if (prefix_len > 0 && len >= prefix_len && strcmp(copy + len - prefix_len, prefix) == 0) {
        copy[len - prefix_len] = '\0';
    }
    return copy;
}

struct client *client_new(struct world *w, const struct client_opts *opts) {
    struct client *c = mem_zalloc(sizeof(*c));
    c->world = w;
    c->prefix = str_dup(opts->prefix != NULL ? opts->prefix : "/orchestrator/v1");
    c->url = without_api_path(opts->url, c->prefix);
    c->token = str_dup(opts->token);
    c->user_agent = str_dup(opts->user_agent != NULL ? opts->user_agent : "dalang/" DALANG_VERSION);
    c->tls = opts->tls;
    c->timeout_ms = opts->timeout_ms != 0 ? opts->timeout_ms : 60000;
    c->poll_ms = opts->poll_ms != 0 ? opts->poll_ms : 1000;
    list_init(&c->calls);
    list_init(&c->jobs);
    return c;
}

static void drop_token(struct client *c) {
    if (c->token != NULL) {
        mem_free_secret(c->token, strlen(c->token));
        c->token = NULL;
    }
}

void client_set_token(struct client *c, const char *token) {
    char *copy = str_dup(token);
    drop_token(c);
    c->token = copy;
}

const char *client_url(const struct client *c) {
    return c->url;
}

void client_free(struct client *c) {
    if (c == NULL) {
        return;
    }
    LIST_EACH_SAFE (link, next, &c->jobs) {
        client_job_drop(client_job_of(link));
    }
    LIST_EACH_SAFE (link, next, &c->calls) {
        client_call_cancel(LIST_ITEM(link, struct client_call, link));
    }
    drop_token(c);
    mem_free(c->url);
    mem_free(c->prefix);
    mem_free(c->user_agent);
    mem_free(c);
}

static void call_free(struct client_call *call) {
    list_remove(&call->client->calls, &call->link);
    mem_free(call);
}

void client_call_cancel(struct client_call *call) {
    if (call != NULL) {
        world_fetch_cancel(call->fetch);
        call_free(call);
    }
}

/* "world/refused" becomes "client/refused", with the address in front of the reason. */
static void no_answer(const struct client *c, const struct error *why, struct error *err) {
    static const struct {
        const char *world, *client;
    } kinds[] = {
        {"world/refused", "client/refused"}, {"world/unreachable", "client/unreachable"},
        {"world/timeout", "client/timeout"}, {"world/tls", "client/tls"},
        {"world/reset", "client/reset"},     {"world/too-large", "client/too-large"},
    };
    const char *kind = "client/protocol";
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (error_is(why, kinds[i].world)) {
            kind = kinds[i].client;
        }
    }
    error_set(err, kind, "%s does not answer: %s", c->url, why->msg);
}

static const char *known_kind(const char *kind) {
    /* error.kind wants a string that stays; the API's kinds are open-ended, so the reply's body carries the exact one.
     */
    static const char *const kinds[] = {
        "puppetlabs.orchestrator/unknown-job",
        "puppetlabs.orchestrator/validation-error",
        "puppetlabs.orchestrator/not-permitted",
        "puppetlabs.orchestrator/unknown-environment",
        "puppetlabs.orchestrator/empty-environment",
        "puppetlabs.orchestrator/empty-target",
        "puppetlabs.orchestrator/unknown-target",
        "puppetlabs.orchestrator/unknown-task",
        "puppetlabs.orchestrator/unknown-plan",
        "puppetlabs.orchestrator/query-error",
        "puppetlabs.orchestrator/puppetdb-error",
        "puppetlabs.rbac/token-expired",
        "puppetlabs.rbac/token-revoked",
        "puppetlabs.rbac/user-unauthenticated",
        "puppetlabs.rbac/invalid-token",
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kind, kinds[i]) == 0) {
            return kinds[i];
        }
    }
    return "client/api-error";
}

static void refused(const struct client *c, int status, const json_t *body, struct error *err) {
    const char *kind = json_str(body, "kind");
    const char *msg = json_str(body, "msg");
    if (kind == NULL || msg == NULL) {
        error_set(err, "client/http-status", "%s answered with status %d", c->url, status);
        return;
    }
    json_t *details = json_object_get(body, "details");
    error_set_details(err, known_kind(kind), json_incref(details), "%s", msg);
}

static void on_response(void *ctx, const struct world_response *r) {
    struct client_call *call = ctx;
    struct client *c = call->client;
    struct error err = ERROR_INIT;
    json_t *body = NULL;
    if (r->err != NULL) {
        no_answer(c, r->err, &err);
    } else {
        if (r->body.len > 0) {
            body = json_parse(r->body, "client/not-json", NULL);
        }
        if (r->status < 200 || r->status > 299) {
            refused(c, r->status, body, &err);
        } else if (body == NULL && r->body.len > 0) {
            error_set(&err, "client/not-json", "%s answered with something that is not JSON", c->url);
        }
    }
    struct client_reply reply = {error_is_set(&err) ? &err : NULL, r->err != NULL ? 0 : r->status, body};
    void (*done)(void *, const struct client_reply *) = call->done;
    void *done_ctx = call->ctx;
    call_free(call);
    done(done_ctx, &reply);
    json_decref(body);
    error_clear(&err);
}

static bool on_piece(void *ctx, struct span bytes) {
    struct client_call *call = ctx;
    return call->on_body(call->ctx, bytes);
}

static struct client_call *start(struct client *c, const char *method, const char *path, json_t *body,
                                 bool (*on_body)(void *ctx, struct span bytes),
                                 void (*done)(void *ctx, const struct client_reply *r), void *ctx) {
    struct client_call *call = mem_zalloc(sizeof(*call));
    call->client = c;
    call->done = done;
    call->on_body = on_body;
    call->ctx = ctx;
    list_push_back(&c->calls, &call->link);

    struct world_header headers[4];
    size_t count = 0;
    headers[count++] = (struct world_header){"User-Agent", c->user_agent};
    headers[count++] =
        (struct world_header){"Accept", on_body != NULL ? "text/event-stream, application/json" : "application/json"};
    if (c->token != NULL) {
        headers[count++] = (struct world_header){"X-Authentication", c->token};
    }
    char *text = NULL;
    if (body != NULL) {
        headers[count++] = (struct world_header){"Content-Type", "application/json"};
        text = json_text(body);
        json_decref(body);
    }
    char *url = str_printf("%s%s%s", c->url, c->prefix, path);
    call->fetch = world_fetch(c->world,
                              &(struct world_fetch_opts){.method = method,
                                                         .url = url,
                                                         .headers = headers,
                                                         .header_count = count,
                                                         .body = span_of(text),
                                                         .tls = c->tls,
                                                         .timeout_ms = on_body != NULL ? UINT32_MAX : c->timeout_ms,
                                                         .on_body = on_body != NULL ? on_piece : NULL},
                              on_response, call);
    mem_free(url);
    if (text != NULL) {
        mem_free_secret(text, strlen(text)); /* it may hold sensitive parameters */
    }
    return call;
}

struct client_call *client_call(struct client *c, const char *method, const char *path, json_t *body,
                                void (*done)(void *ctx, const struct client_reply *r), void *ctx) {
    return start(c, method, path, body, NULL, done, ctx);
}

struct client_call *client_call_streaming(struct client *c, const char *path,
                                          bool (*on_body)(void *ctx, struct span bytes),
                                          void (*done)(void *ctx, const struct client_reply *r), void *ctx) {
    return start(c, "GET", path, NULL, on_body, done, ctx);
}
