/* Revocation of tokens (rbac.md §4.8, §4.9). */
#include "base/digest.h"
#include "base/mem.h"
#include "fakes/rbac/model.h"
#include <string.h>

/* The kinds of input; each may come from the query (comma list) and from the body (array). */
enum input { BY_TOKEN, BY_USERNAME, BY_LABEL, BY_ID, INPUT_COUNT };
static const char *const input_names[INPUT_COUNT] = {"revoke_tokens", "revoke_tokens_by_usernames",
                                                     "revoke_tokens_by_labels", "revoke_tokens_by_ids"};

struct revocation {
    json_t *inputs[INPUT_COUNT]; /* arrays of strings */
    json_t *unrecognized;
    json_t *malformed_tokens, *malformed_usernames, *malformed_labels;
    json_t *nonexistent_usernames, *denied_usernames;
    size_t revoked;
};

static void revocation_init(struct revocation *r) {
    for (int i = 0; i < INPUT_COUNT; i++) {
        r->inputs[i] = json_array();
    }
    r->unrecognized = json_array();
    r->malformed_tokens = json_array();
    r->malformed_usernames = json_array();
    r->malformed_labels = json_array();
    r->nonexistent_usernames = json_array();
    r->denied_usernames = json_array();
    r->revoked = 0;
}

static void revocation_clear(struct revocation *r) {
    for (int i = 0; i < INPUT_COUNT; i++) {
        json_decref(r->inputs[i]);
    }
    json_decref(r->unrecognized);
    json_decref(r->malformed_tokens);
    json_decref(r->malformed_usernames);
    json_decref(r->malformed_labels);
    json_decref(r->nonexistent_usernames);
    json_decref(r->denied_usernames);
}

static int input_named(const char *name) {
    for (int i = 0; i < INPUT_COUNT; i++) {
        if (strcmp(input_names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

static void add_comma_list(json_t *to, const char *list) {
    struct span rest = span_of(list);
    struct span part;
    while (span_split(&rest, ',', &part)) {
        json_t *value = json_str_new(span_trim(part));
        if (value != NULL) {
            json_array_append_new(to, value);
        }
    }
}

static void read_query(struct http_exchange *ex, struct revocation *r) {
    const char *name, *value;
    for (size_t i = 0; http_query_at(ex, i, &name, &value); i++) {
        int input = input_named(name);
        if (input >= 0) {
            add_comma_list(r->inputs[input], value);
        } else if (strcmp(name, "token") != 0) {
            json_t *shown = json_string(name);
            json_array_append_new(r->unrecognized, shown != NULL ? shown : json_string("?"));
        }
    }
}

/* False after answering 400: the body is no JSON object of string arrays. */
static bool read_body(struct http_exchange *ex, struct revocation *r) {
    if (http_request(ex)->body.len == 0) {
        return true;
    }
    json_t *body = body_json(ex, rbac_fail);
    if (body == NULL) {
        return false;
    }
    const char *name;
    json_t *list, *value;
    size_t i;
    if (!json_is_object(body)) {
        rbac_fail(ex, 400, "malformed-token-request", NULL, "The body must be a JSON object.");
        json_decref(body);
        return false;
    }
    json_object_foreach(body, name, list) {
        int input = input_named(name);
        if (input < 0 || !json_is_array(list)) {
            json_array_append_new(r->unrecognized, json_string(name));
            continue;
        }
        json_array_foreach(list, i, value) {
            json_array_append(r->inputs[input], value);
        }
    }
    json_decref(body);
    return true;
}

static void revoke(struct revocation *r, struct rbac_token *t) {
    r->revoked += !t->revoked;
    t->revoked = true;
}

static bool well_formed_token(struct span text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~') {
            return false;
        }
    }
    return text.len > 0 && text.len <= RBAC_TOKEN_MAX;
}

static void revoke_tokens(struct fake_rbac *rbac, struct revocation *r) {
    size_t i;
    json_t *value;
    json_array_foreach(r->inputs[BY_TOKEN], i, value) {
        struct rbac_token *t = rbac_token_find(rbac->model, json_span(value));
        if (t != NULL) {
            revoke(r, t);
        } else if (!well_formed_token(json_span(value))) {
            json_array_append(r->malformed_tokens, value);
        }
    }
}

static bool may_disable(const struct fake_rbac *rbac, const struct rbac_user *caller, const struct rbac_user *u) {
    return caller == u || rbac_holds(rbac, caller, "users", "disable", u->id);
}

static void revoke_of_user(struct fake_rbac *rbac, struct revocation *r, const struct rbac_user *u) {
    LIST_EACH (k, &rbac->model->tokens) {
        struct rbac_token *t = LIST_ITEM(k, struct rbac_token, link);
        if (strcmp(t->user_id, u->id) == 0) {
            revoke(r, t);
        }
    }
}

static void revoke_usernames(struct fake_rbac *rbac, const struct rbac_user *caller, struct revocation *r) {
    size_t i;
    json_t *value;
    json_array_foreach(r->inputs[BY_USERNAME], i, value) {
        const char *login = json_string_value(value);
        const struct rbac_user *u = login != NULL ? rbac_user_by_login(rbac->model, login) : NULL;
        if (login == NULL || *login == '\0') {
            json_array_append(r->malformed_usernames, value);
        } else if (u == NULL) {
            json_array_append(r->nonexistent_usernames, value);
        } else if (!may_disable(rbac, caller, u)) {
            json_array_append(r->denied_usernames, value);
        } else {
            revoke_of_user(rbac, r, u);
        }
    }
}

static void revoke_labels(struct fake_rbac *rbac, const struct rbac_user *caller, struct revocation *r) {
    size_t i;
    json_t *value;
    json_array_foreach(r->inputs[BY_LABEL], i, value) {
        struct span label = span_trim(json_span(value));
        if (label.len == 0 || label.len > 4 * RBAC_LABEL_MAX || span_find(label, ',') >= 0) {
            json_array_append(r->malformed_labels, value);
            continue;
        }
        LIST_EACH (k, &rbac->model->tokens) {
            struct rbac_token *t = LIST_ITEM(k, struct rbac_token, link);
            if (t->label != NULL && strcmp(t->user_id, caller->id) == 0 && span_eq_cstr(label, t->label)) {
                revoke(r, t);
            }
        }
    }
}

static void revoke_ids(struct fake_rbac *rbac, const struct rbac_user *caller, struct revocation *r) {
    size_t i;
    json_t *value;
    json_array_foreach(r->inputs[BY_ID], i, value) {
        if (!uuid_valid(json_span(value))) {
            json_array_append(r->malformed_tokens, value);
            continue;
        }
        LIST_EACH (k, &rbac->model->tokens) {
            struct rbac_token *t = LIST_ITEM(k, struct rbac_token, link);
            if (!span_eq_cstr(json_span(value), t->id)) {
                continue;
            }
            const struct rbac_user *u = rbac_user_find(rbac->model, t->user_id);
            if (u == NULL || may_disable(rbac, caller, u)) {
                revoke(r, t);
            } else {
                json_array_append_new(r->denied_usernames, json_string(u->login));
            }
        }
    }
}

static json_t *details_of(const struct revocation *r) {
    return json_pack("{s:O, s:O, s:O, s:O, s:O, s:O, s:b}", "malformed_tokens", r->malformed_tokens,
                     "malformed_usernames", r->malformed_usernames, "malformed_labels", r->malformed_labels,
                     "nonexistent_usernames", r->nonexistent_usernames, "permission_denied_usernames",
                     r->denied_usernames, "unrecognized_parameters", r->unrecognized, "other_tokens_revoked",
                     r->revoked > 0);
}

static void answer(struct http_exchange *ex, const struct revocation *r, bool nothing_given) {
    bool denied = json_array_size(r->denied_usernames) > 0;
    bool malformed = json_array_size(r->malformed_tokens) + json_array_size(r->malformed_usernames) +
                         json_array_size(r->malformed_labels) + json_array_size(r->nonexistent_usernames) +
                         json_array_size(r->unrecognized) >
                     0;
    if (!denied && !malformed && !nothing_given) {
        fake_respond_empty(ex, 204);
        return;
    }
    const char *what = denied          ? "You may not revoke the tokens of some of the users."
                       : nothing_given ? "Name the tokens, usernames, labels or ids."
                                       : "Part of the request was malformed.";
    char *msg = str_printf("%s %s", what,
                           r->revoked > 0 ? "All other tokens were successfully revoked." : "No tokens were revoked.");
    rbac_fail(ex, denied ? 403 : 400, denied ? "permission-denied" : "malformed-token-request", details_of(r), msg);
    mem_free(msg);
}

static void tokens_delete(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *rbac = rbac_of(f);
    const struct rbac_user *caller = rbac_require(rbac, ex);
    if (caller == NULL) {
        return;
    }
    struct revocation r;
    revocation_init(&r);
    read_query(ex, &r);
    if (read_body(ex, &r)) {
        size_t given = 0;
        for (int i = 0; i < INPUT_COUNT; i++) {
            given += json_array_size(r.inputs[i]);
        }
        /* The caller's own token may be among them: what it may do was settled above. */
        revoke_usernames(rbac, caller, &r);
        revoke_labels(rbac, caller, &r);
        revoke_ids(rbac, caller, &r);
        revoke_tokens(rbac, &r);
        answer(ex, &r, given == 0 && json_array_size(r.unrecognized) == 0);
    }
    revocation_clear(&r);
}

static void token_delete(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *rbac = rbac_of(f);
    const struct rbac_user *caller = rbac_require(rbac, ex);
    if (caller == NULL) {
        return;
    }
    if (strcmp(caller->id, RBAC_ADMIN_ID) != 0 && strcmp(caller->id, RBAC_API_USER_ID) != 0) {
        rbac_fail(ex, 403, "permission-denied", NULL, "Only admin and api_user may do this.");
        return;
    }
    struct revocation r;
    revocation_init(&r);
    json_t *value = json_string(http_param(ex, "token"));
    if (value != NULL) {
        json_array_append_new(r.inputs[BY_TOKEN], value);
    }
    revoke_tokens(rbac, &r);
    answer(ex, &r, value == NULL);
    revocation_clear(&r);
}

const struct fake_route rbac_revoke_routes[] = {
    {"DELETE", "/rbac-api/v2/tokens", tokens_delete, NULL},
    {"DELETE", "/rbac-api/v2/tokens/:token", token_delete, NULL},
    {NULL, NULL, NULL, NULL},
};
