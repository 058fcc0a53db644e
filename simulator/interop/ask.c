/* See ask.h. */
#include "simulator/interop/ask.h"
#include "base/mem.h"
#include "wire/gzip.h"
#include "world/real.h"
#include <string.h>

enum { HEADERS_MAX = 16, BODY_MAX = 64 * 1024 * 1024 };

bool asker_open(struct asker *a, struct world *w, const char *ca_dir, const char *foreign_dir, struct error *err) {
    *a = (struct asker){.world = w, .ca_dir = ca_dir, .foreign_dir = foreign_dir, .contexts = json_object()};
    struct certs_ca_opts opts = {.now_ms = world_wall_ms(w)};
    a->ca = certs_dir_open(ca_dir, &opts, err);
    return a->ca != NULL;
}

void asker_close(struct asker *a) {
    for (size_t i = 0; i < a->tls_count; i++) {
        world_tls_free(a->tls[i]);
    }
    mem_free(a->tls);
    json_decref(a->contexts);
    certs_ca_free(a->ca);
}

static bool issue(struct asker *a, const char *cn, const char *cert, struct error *err) {
    struct world_stat st;
    if (world_file_stat(a->world, cert, &st, NULL)) {
        return true;
    }
    struct certs_issue what = {.common_name = span_of(cn), .client_only = true, .now_ms = world_wall_ms(a->world)};
    struct certs_paths paths = {NULL, NULL};
    bool ok = certs_dir_issue(a->ca, a->ca_dir, &what, &paths, err);
    certs_paths_free(&paths);
    return ok;
}

static struct world_tls *context_new(struct asker *a, const char *cn, struct error *err) {
    bool foreign = cn != NULL && strcmp(cn, "foreign") == 0 && a->foreign_dir != NULL;
    const char *dir = foreign ? a->foreign_dir : a->ca_dir;
    char *ca = str_printf("%s/ca.pem", a->ca_dir);
    char *cert = cn != NULL ? str_printf("%s/certs/%s.pem", dir, cn) : NULL;
    char *key = cn != NULL ? str_printf("%s/certs/%s.key", dir, cn) : NULL;
    struct world_tls *tls = NULL;
    if (cn == NULL || foreign || issue(a, cn, cert, err)) {
        tls = world_tls_new(a->world, &(struct world_tls_files){.cert = cert, .key = key, .ca = ca}, err);
    }
    mem_free(ca);
    mem_free(cert);
    mem_free(key);
    return tls;
}

static struct world_tls *context_of(struct asker *a, const char *cn, struct error *err) {
    const char *name = cn != NULL ? cn : "";
    const json_t *known = json_object_get(a->contexts, name);
    if (known != NULL) {
        return a->tls[json_integer_value(known)];
    }
    struct world_tls *tls = context_new(a, cn, err);
    if (tls != NULL) {
        a->tls = mem_grow(a->tls, &a->tls_cap, a->tls_count + 1, sizeof(*a->tls));
        json_set(a->contexts, name, json_integer((json_int_t)a->tls_count));
        a->tls[a->tls_count++] = tls;
    }
    return tls;
}

struct pending {
    struct answer *answer;
    bool done;
};

static void on_response(void *ctx, const struct world_response *r) {
    struct pending *p = ctx;
    p->done = true;
    p->answer->headers = json_object();
    if (r->err != NULL) {
        p->answer->failure = str_printf("%s: %s", r->err->kind, r->err->msg);
        return;
    }
    p->answer->status = r->status;
    for (size_t i = 0; i < r->header_count; i++) {
        json_set(p->answer->headers, r->headers[i].name, json_string(r->headers[i].value));
    }
    const char *encoding = world_response_header(r, "content-encoding");
    if (encoding == NULL || strcmp(encoding, "gzip") != 0 || !gzip_inflate(&p->answer->body, r->body, BODY_MAX, NULL)) {
        buf_append_span(&p->answer->body, r->body);
    }
}

bool asker_ask(struct asker *a, const char *base_url, const char *method, const char *target, const char *cn,
               const json_t *headers, struct span body, struct answer *out, struct error *err) {
    *out = (struct answer){.status = 0};
    struct world_tls *tls = context_of(a, cn, err);
    if (tls == NULL) {
        return false;
    }
    struct world_header list[HEADERS_MAX];
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)headers, name, value) {
        if (count < HEADERS_MAX && json_is_string(value)) {
            list[count++] = (struct world_header){name, json_string_value(value)};
        }
    }
    char *url = str_printf("%s%s", base_url, target);
    struct world_fetch_opts opts = {.method = method,
                                    .url = url,
                                    .headers = list,
                                    .header_count = count,
                                    .body = body,
                                    .tls = tls,
                                    .timeout_ms = ASK_TIMEOUT_MS};
    struct pending p = {.answer = out};
    world_fetch(a->world, &opts, on_response, &p);
    while (!p.done && real_world_turn(a->world, true)) {
    }
    mem_free(url);
    return p.done || error_set(err, "interop", "the request was lost");
}

void answer_clear(struct answer *a) {
    mem_free(a->failure);
    json_decref(a->headers);
    buf_free(&a->body);
    *a = (struct answer){.status = 0};
}
