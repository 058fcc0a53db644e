/* The life of tokens (rbac.md §4): lifetimes, labels, issue, check, revocation. */
#include "base/digest.h"
#include "base/mem.h"
#include "fakes/rbac/model.h"
#include <string.h>

static const int64_t unbounded_ms = (int64_t)3650 * 24 * 3600 * 1000;

bool rbac_lifetime_parse(const struct rbac_settings *s, struct span text, int64_t *ms) {
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'y', 365 * 86400}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    int64_t seconds = 1;
    struct span digits = text;
    for (size_t i = 0; text.len > 0 && i < sizeof units / sizeof units[0]; i++) {
        if (text.ptr[text.len - 1] == units[i].unit) {
            seconds = units[i].seconds;
            digits.len = text.len - 1;
            break;
        }
    }
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9') {
            return false;
        }
    }
    if (digits.len == 0) {
        return false;
    }
    int64_t max_ms = s->maximum_lifetime_ms != 0 ? s->maximum_lifetime_ms : unbounded_ms;
    uint64_t number;
    /* A number too large to read is above the cap as well. */
    if (!span_to_u64(digits, &number) || number == 0 || number > (uint64_t)max_ms / 1000 / (uint64_t)seconds) {
        *ms = max_ms;
    } else {
        *ms = (int64_t)number * seconds * 1000;
    }
    return true;
}

struct rbac_token *rbac_token_add(struct rbac_model *m, const char *digest) {
    struct rbac_token *old = map_get_cstr(&m->tokens_by_digest, digest);
    if (old != NULL) {
        rbac_token_remove(m, old);
    }
    if (m->tokens.count >= RBAC_TOKENS_MAX) {
        rbac_token_remove(m, LIST_ITEM(list_first(&m->tokens), struct rbac_token, link));
    }
    struct rbac_token *t = mem_zalloc(sizeof *t);
    memcpy(t->digest, digest, sizeof t->digest);
    list_push_back(&m->tokens, &t->link);
    map_put(&m->tokens_by_digest, span_of(t->digest), t);
    return t;
}

void rbac_token_remove(struct rbac_model *m, struct rbac_token *t) {
    map_remove(&m->tokens_by_digest, span_of(t->digest));
    list_remove(&m->tokens, &t->link);
    mem_free(t->label);
    mem_free(t->description);
    mem_free(t->client);
    mem_free(t);
}

struct rbac_token *rbac_token_find(const struct rbac_model *m, struct span text) {
    char digest[SHA256_HEX_LEN + 1];
    if (text.len == 0 || text.len > RBAC_TOKEN_MAX) {
        return NULL;
    }
    sha256_hex(text, digest);
    return map_get_cstr(&m->tokens_by_digest, digest);
}

/* "0" and 43 URL-safe base64 characters of 32 random bytes. */
static char *token_text(struct world *w) {
    uint8_t random[32];
    struct buf b = BUF_INIT;
    buf_append_char(&b, '0');
    world_random(w, random, sizeof random);
    base64_encode(&b, span_bytes(random, sizeof random));
    mem_zero(random, sizeof random);
    b.len = 44;
    b.ptr[b.len] = '\0';
    for (size_t i = 0; i < b.len; i++) {
        b.ptr[i] = b.ptr[i] == '+' ? '-' : b.ptr[i] == '/' ? '_' : b.ptr[i];
    }
    return buf_take(&b);
}

char *rbac_token_issue(struct fake_rbac *r, const struct rbac_user *u, int64_t lifetime_ms, struct rbac_token **out) {
    char *text = token_text(r->base.world);
    char digest[SHA256_HEX_LEN + 1];
    sha256_hex(span_of(text), digest);
    struct rbac_token *t = rbac_token_add(r->model, digest);
    world_uuid(r->base.world, t->id);
    memcpy(t->user_id, u->id, sizeof t->user_id);
    t->created_ms = t->last_active_ms = fake_now_ms(&r->base);
    t->expires_ms = t->created_ms + lifetime_ms;
    if (out != NULL) {
        *out = t;
    }
    return text;
}

char *fake_rbac_issue_token(struct fake_rbac *r, const char *login, uint64_t lifetime_ms, struct error *err) {
    const struct rbac_user *u = rbac_user_by_login(r->model, login);
    if (u == NULL) {
        error_set(err, "not-found", "there is no user \"%s\"", login);
        return NULL;
    }
    uint64_t max = (uint64_t)r->model->settings.maximum_lifetime_ms;
    return rbac_token_issue(r, u, (int64_t)(lifetime_ms == 0 || lifetime_ms > max ? max : lifetime_ms), NULL);
}

static bool expire_account(struct fake_rbac *r, struct rbac_user *u) {
    int64_t days = r->model->settings.account_expiry_days;
    int64_t since = u->last_login_ms >= 0 ? u->last_login_ms : u->created_ms;
    if (days > 0 && !u->superuser && fake_now_ms(&r->base) - since >= days * 86400 * 1000) {
        u->revoked = true;
    }
    return u->revoked;
}

struct rbac_token *rbac_token_check(struct fake_rbac *r, struct span text, bool touch, struct rbac_user **user,
                                    struct error *err) {
    struct rbac_token *t = rbac_token_find(r->model, text);
    int64_t now = fake_now_ms(&r->base);
    if (t == NULL || t->password_reset) {
        error_set(err, "puppetlabs.rbac/invalid-token", "The provided token is malformed or was tampered with.");
        return NULL;
    }
    struct rbac_user *u = rbac_user_find(r->model, t->user_id);
    if (u != NULL && expire_account(r, u)) {
        error_set(err, "puppetlabs.rbac/user-revoked", "The user account is revoked.");
        return NULL;
    }
    if (t->revoked || u == NULL) {
        error_set(err, "puppetlabs.rbac/token-revoked", "Authentication token has been revoked.");
        return NULL;
    }
    if (now >= t->expires_ms) {
        error_set(err, "puppetlabs.rbac/token-expired", "The provided token has expired.");
        return NULL;
    }
    if (t->timeout_minutes > 0 && now - t->last_active_ms >= t->timeout_minutes * 60 * 1000) {
        error_set(err, "puppetlabs.rbac/token-timed-out", "The provided token has timed out from inactivity.");
        return NULL;
    }
    if (touch) {
        t->last_active_ms = now;
    }
    if (user != NULL) {
        *user = u;
    }
    return t;
}

void rbac_tokens_revoke_of(struct rbac_model *m, const struct rbac_user *u) {
    LIST_EACH (k, &m->tokens) {
        struct rbac_token *t = LIST_ITEM(k, struct rbac_token, link);
        if (strcmp(t->user_id, u->id) == 0) {
            t->revoked = true;
        }
    }
}

static size_t utf8_length(struct span s) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        n += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    }
    return n;
}

bool rbac_label_ok(const struct fake_rbac *r, const struct rbac_user *u, struct span label, struct error *err) {
    static const char kind[] = "malformed-token-request";
    if (label.len == 0) {
        return error_set(err, kind, "A token label cannot be empty.");
    }
    if (utf8_length(label) > RBAC_LABEL_MAX) {
        return error_set(err, kind, "A token label cannot be longer than %d characters.", RBAC_LABEL_MAX);
    }
    if (span_find(label, ',') >= 0) {
        return error_set(err, kind, "A token label cannot contain a comma.");
    }
    int64_t now = fake_now_ms(&r->base);
    LIST_EACH (k, &r->model->tokens) {
        const struct rbac_token *t = LIST_ITEM(k, struct rbac_token, link);
        if (!t->revoked && now < t->expires_ms && t->label != NULL && span_eq_cstr(label, t->label) &&
            strcmp(t->user_id, u->id) == 0) {
            return error_set(err, kind, "You already have a token with the label \"%s\".", t->label);
        }
    }
    return true;
}
