/* Passwords: scrypt (RFC 7914), computed off the loop. */
#include "base/digest.h"
#include "base/mem.h"
#include "fakes/rbac/model.h"
#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

enum { SCRYPT_R = 8, SCRYPT_P = 1, SCRYPT_COST_US = 40000 };

/* One errand for the worker: everything it needs is copied in; results are read back on the loop. */
struct rbac_job {
    struct list_link link;
    struct fake_rbac *rbac;   /* NULL: the fake has gone */
    struct http_exchange *ex; /* NULL: the client has gone */
    char user_id[UUID_LEN + 1];
    json_t *body;
    void (*done)(struct fake_rbac *r, struct http_exchange *ex, struct rbac_user *u, bool matches, const json_t *body);
    struct rbac_password known; /* what the user has now */
    char *attempt;              /* compared with it; or NULL */
    struct rbac_password fresh; /* clear set: to derive */
    bool matches;
};

static void free_secret_text(char *text) {
    if (text != NULL) {
        mem_free_secret(text, strlen(text));
    }
}

static void derive(const char *clear, const uint8_t salt[RBAC_SALT_LEN], uint32_t n, uint8_t key[RBAC_KEY_LEN]) {
    uint64_t memory = (uint64_t)128 * SCRYPT_R * n + (1 << 20);
    int ok =
        EVP_PBE_scrypt(clear, strlen(clear), salt, RBAC_SALT_LEN, n, SCRYPT_R, SCRYPT_P, memory, key, RBAC_KEY_LEN);
    assert(ok == 1);
    (void)ok;
}

void rbac_password_set_clear(struct rbac_password *p, const char *clear) {
    rbac_password_clear(p);
    p->clear = str_dup(clear);
}

void rbac_password_clear(struct rbac_password *p) {
    free_secret_text(p->clear);
    mem_zero(p, sizeof *p);
}

json_t *rbac_password_dump(const struct rbac_password *p) {
    if (!p->derived) {
        return NULL;
    }
    struct buf b = BUF_INIT;
    buf_printf(&b, "scrypt$%u$", p->n);
    base64_encode(&b, span_bytes(p->salt, sizeof p->salt));
    buf_append_char(&b, '$');
    base64_encode(&b, span_bytes(p->key, sizeof p->key));
    json_t *text = json_str_new(buf_span(&b));
    buf_free(&b);
    return text;
}

static bool decode_into(uint8_t *to, size_t len, struct span text) {
    struct buf b = BUF_INIT;
    bool good = base64_decode(&b, text) && b.len == len;
    if (good) {
        memcpy(to, b.ptr, len);
    }
    buf_free(&b);
    return good;
}

bool rbac_password_parse(struct rbac_password *p, const char *text) {
    struct span rest = span_of(text);
    struct span name, cost, salt, key;
    uint64_t n;
    if (!span_split(&rest, '$', &name) || !span_eq_cstr(name, "scrypt") || !span_split(&rest, '$', &cost) ||
        !span_to_u64(cost, &n) || n < 2 || n > 1 << 17 || (n & (n - 1)) != 0 || !span_split(&rest, '$', &salt) ||
        !span_split(&rest, '$', &key)) {
        return false;
    }
    struct rbac_password q = {.derived = true, .n = (uint32_t)n};
    if (!decode_into(q.salt, sizeof q.salt, salt) || !decode_into(q.key, sizeof q.key, key)) {
        return false;
    }
    rbac_password_clear(p);
    *p = q;
    return true;
}

/* On a worker: touches nothing but the job. */
static void job_run(void *arg) {
    struct rbac_job *j = arg;
    if (j->known.clear != NULL) {
        derive(j->known.clear, j->known.salt, j->known.n, j->known.key);
        free_secret_text(j->known.clear);
        j->known.clear = NULL;
        j->known.derived = true;
    }
    if (j->attempt != NULL && j->known.derived) {
        uint8_t key[RBAC_KEY_LEN];
        derive(j->attempt, j->known.salt, j->known.n, key);
        j->matches = secret_eq(span_bytes(key, sizeof key), span_bytes(j->known.key, sizeof j->known.key));
        mem_zero(key, sizeof key);
    } else if (j->attempt != NULL) {
        /* Nothing to compare with: the same work, so that time does not tell an account without password. */
        uint8_t key[RBAC_KEY_LEN];
        derive(j->attempt, j->known.salt, j->known.n, key);
        mem_zero(key, sizeof key);
    }
    if (j->fresh.clear != NULL) {
        derive(j->fresh.clear, j->fresh.salt, j->fresh.n, j->fresh.key);
        free_secret_text(j->fresh.clear);
        j->fresh.clear = NULL;
        j->fresh.derived = true;
    }
}

static void job_free(struct rbac_job *j) {
    free_secret_text(j->attempt);
    rbac_password_clear(&j->known);
    rbac_password_clear(&j->fresh);
    json_decref(j->body);
    mem_free(j);
}

/* The derived verifier replaces the clear text, unless the password was changed meanwhile. */
static void keep_derived(struct rbac_user *u, const struct rbac_job *j) {
    if (!u->password.derived && u->password.clear != NULL && j->known.derived) {
        rbac_password_clear(&u->password);
        u->password = j->known;
    }
    if (j->fresh.derived && (j->attempt == NULL || j->matches)) {
        rbac_password_clear(&u->password);
        u->password = j->fresh;
    }
}

static void job_done(void *arg) {
    struct rbac_job *j = arg;
    struct fake_rbac *r = j->rbac;
    struct http_exchange *ex = j->ex;
    if (r != NULL) {
        list_remove(&r->jobs, &j->link);
        struct rbac_user *u = rbac_user_find(r->model, j->user_id);
        if (u != NULL) {
            keep_derived(u, j);
        }
        if (ex != NULL) {
            http_on_abandon(ex, NULL, NULL);
            j->done(r, ex, u, j->matches, j->body);
        }
    }
    job_free(j);
}

static void job_abandoned(void *ctx) {
    struct rbac_job *j = ctx;
    j->ex = NULL;
}

static void fresh_salt(struct fake_rbac *r, struct rbac_password *p) {
    p->n = r->model->settings.scrypt_n;
    world_random(r->base.world, p->salt, sizeof p->salt);
}

void rbac_password_work(struct fake_rbac *r, struct http_exchange *ex, struct rbac_user *u, const char *attempt,
                        const char *fresh, json_t *body,
                        void (*done)(struct fake_rbac *r, struct http_exchange *ex, struct rbac_user *u, bool matches,
                                     const json_t *body)) {
    struct rbac_job *j = mem_zalloc(sizeof *j);
    j->rbac = r;
    j->ex = ex;
    j->body = json_incref(body);
    j->done = done;
    if (u != NULL) {
        memcpy(j->user_id, u->id, sizeof j->user_id);
        j->known = u->password;
        j->known.clear = str_dup(u->password.clear);
    }
    if (!j->known.derived) {
        fresh_salt(r, &j->known);
    }
    j->attempt = str_dup(attempt);
    if (fresh != NULL) {
        j->fresh.clear = str_dup(fresh);
        fresh_salt(r, &j->fresh);
    }
    list_push_back(&r->jobs, &j->link);
    http_on_abandon(ex, job_abandoned, j);
    world_work(r->base.world, job_run, job_done, j, SCRYPT_COST_US);
}

void rbac_jobs_detach(struct fake_rbac *r) {
    for (struct list_link *k; (k = list_pop_front(&r->jobs)) != NULL;) {
        LIST_ITEM(k, struct rbac_job, link)->rbac = NULL;
    }
}
