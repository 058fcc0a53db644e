/* RBAC: who a token is, what a user may do (orchestrator-jobs.md §13.1, rbac.md §5). */
#include "base/digest.h"
#include "base/mem.h"
#include "orchestrator/services/internal.h"
#include <string.h>

static const char api_user_id[] = "af94921f-bd76-4b58-b5ce-e17c029a2790"; /* rbac.md §3: the same everywhere */

/* A token's subject, kept for a moment: clients poll, and RBAC need not be asked for every poll. */
struct cached_subject {
    json_t *subject;
    uint64_t until_us;
};

static void cached_subject_free(struct cached_subject *c) {
    if (c != NULL) {
        json_decref(c->subject);
        mem_free(c);
    }
}

void cached_subjects_free(struct services *s) {
    for (struct map_iter i = map_iter(&s->subjects); map_next(&i);) {
        cached_subject_free(i.value);
    }
    map_free(&s->subjects);
}

static void remember(struct services *s, const char *token_hash, json_t *subject) {
    if (map_count(&s->subjects) >= SERVICES_CACHE_MAX) {
        cached_subjects_free(s);
    }
    struct cached_subject *c = mem_alloc(sizeof(*c));
    c->subject = json_incref(subject);
    c->until_us = world_now_us(s->world) + SERVICES_CACHE_MS * UINT64_C(1000);
    cached_subject_free(map_put(&s->subjects, span_of(token_hash), c));
}

json_t *services_cached_subject(struct services *s, const char *token) {
    char hash[SHA256_HEX_LEN + 1];
    sha256_hex(span_of(token), hash);
    struct cached_subject *c = map_get_cstr(&s->subjects, hash);
    if (c == NULL) {
        return NULL;
    }
    if (world_now_us(s->world) >= c->until_us) {
        cached_subject_free(map_remove(&s->subjects, span_of(hash)));
        return NULL;
    }
    return c->subject;
}

/* RBAC's words that mean "this token does not let you in"; all of them become 401. */
static const char *token_kind(const char *kind) {
    static const char *const kinds[] = {
        "puppetlabs.rbac/invalid-token",   "puppetlabs.rbac/token-revoked", "puppetlabs.rbac/token-expired",
        "puppetlabs.rbac/token-timed-out", "puppetlabs.rbac/user-revoked",  "puppetlabs.rbac/user-unauthenticated",
    };
    const char *slash = strrchr(kind, '/');
    const char *word = slash != NULL ? slash + 1 : kind;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(strrchr(kinds[i], '/') + 1, word) == 0) {
            return kinds[i];
        }
    }
    return NULL;
}

static json_t *read_subject(struct ask *ask, const struct world_response *r, struct error *err) {
    json_t *body = ask_json(r, "RBAC", err);
    if (body == NULL) {
        return NULL;
    }
    if (r->status == 200 && json_str(body, "id") != NULL) {
        remember(ask->services, ask->subject, body);
        return body;
    }
    const char *kind = json_str(body, "kind"), *msg = json_str(body, "msg");
    const char *known = kind != NULL ? token_kind(kind) : NULL;
    if (known != NULL) {
        json_t *details = json_object_get(body, "details");
        error_set_details(err, known, json_incref(details), "%s", msg != NULL ? msg : "The token is not valid.");
    } else {
        log_warn(ask->services->log, "RBAC answered status %d to a token's authentication: %s", r->status,
                 kind != NULL ? kind : "no error map");
        error_set(err, "puppetlabs.orchestrator/unknown-error", "RBAC answered with status %d", r->status);
    }
    json_decref(body);
    return NULL;
}

void services_authenticate(struct services *s, const char *token, services_answer *done, void *ctx) {
    char hash[SHA256_HEX_LEN + 1];
    sha256_hex(span_of(token), hash);
    static const char suffix[] = "|no_keepalive";
    struct span bare = span_of(token);
    bool keep_alive = !span_ends_with(bare, suffix);
    if (!keep_alive) {
        bare.len -= sizeof(suffix) - 1;
    }
    json_t *body = json_object();
    json_set(body, "token", json_str_new(bare));
    json_set(body, "update_last_activity?", json_boolean(keep_alive));
    ask_start(s,
              &(struct ask_opts){.method = "POST",
                                 .url = str_printf("%s/v2/auth/token/authenticate", s->config->rbac_url),
                                 .body = body,
                                 .read = read_subject,
                                 .subject = hash},
              done, ctx);
}

static json_t *read_body_of(struct ask *ask, const struct world_response *r, struct error *err) {
    json_t *body = ask_json(r, "RBAC", err);
    if (body != NULL && r->status != 200) {
        log_warn(ask->services->log, "RBAC answered status %d: %s", r->status,
                 json_str(body, "kind") != NULL ? json_str(body, "kind") : "no error map");
        error_set(err, "puppetlabs.orchestrator/unknown-error", "RBAC answered with status %d", r->status);
        json_decref(body);
        return NULL;
    }
    return body;
}

void services_user(struct services *s, const char *id, services_answer *done, void *ctx) {
    char *part = percent_encoded(id);
    ask_start(s,
              &(struct ask_opts){.url = str_printf("%s/v1/users/%s", s->config->rbac_url, part), .read = read_body_of},
              done, ctx);
    mem_free(part);
}

void services_api_user(struct services *s, services_answer *done, void *ctx) {
    services_user(s, api_user_id, done, ctx);
}

void services_permitted(struct services *s, const char *subject_id, json_t *permissions, services_answer *done,
                        void *ctx) {
    json_t *body = json_object();
    json_set(body, "token", json_string(subject_id));
    json_set(body, "permissions", permissions);
    ask_start(s,
              &(struct ask_opts){.method = "POST",
                                 .url = str_printf("%s/v1/permitted", s->config->rbac_url),
                                 .body = body,
                                 .read = read_body_of},
              done, ctx);
}

void services_permitted_instances(struct services *s, const char *object_type, const char *action,
                                  const char *subject_id, services_answer *done, void *ctx) {
    ask_start(s,
              &(struct ask_opts){
                  .url = str_printf("%s/v1/permitted/%s/%s/%s", s->config->rbac_url, object_type, action, subject_id),
                  .read = read_body_of},
              done, ctx);
}
