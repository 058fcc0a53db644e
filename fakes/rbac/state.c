/* The fixture of rbac.md §16.1 (with the optional keys of rbac.h) to a model, and back. */
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "fakes/rbac/model.h"
#include <string.h>

static const struct body_field state_fields[] = {
    {"users", BODY_ARRAY, false},      {"roles", BODY_ARRAY, false},     {"groups", BODY_ARRAY, false},
    {"tokens", BODY_ARRAY, false},     {"settings", BODY_OBJECT, false}, {"allowlist", BODY_STRINGS, false},
    {"directory", BODY_OBJECT, false}, {"seed", BODY_BOOL, false},       {"last_role_id", BODY_INT, false},
    {NULL, BODY_ANY, false},
};
static const struct body_field user_fields[] = {
    {"login", BODY_STRING, true},          {"id", BODY_STRING, false},      {"password", BODY_STRING, false},
    {"password_hash", BODY_STRING, false}, {"roles", BODY_ARRAY, false},    {"superuser", BODY_BOOL, false},
    {"revoked", BODY_BOOL, false},         {"remote", BODY_BOOL, false},    {"display_name", BODY_STRING, false},
    {"email", BODY_STRING_OR_NULL, false}, {"created", BODY_STRING, false}, {"last_login", BODY_STRING_OR_NULL, false},
    {"failed_attempts", BODY_INT, false},  {NULL, BODY_ANY, false},
};
static const struct body_field role_fields[] = {
    {"display_name", BODY_STRING, true}, {"id", BODY_INT, false}, {"description", BODY_STRING_OR_NULL, false},
    {"permissions", BODY_ARRAY, false},  {NULL, BODY_ANY, false},
};
static const struct body_field permission_fields[] = {
    {"object_type", BODY_STRING, true},
    {"action", BODY_STRING, true},
    {"instance", BODY_STRING, true},
    {NULL, BODY_ANY, false},
};
static const struct body_field group_fields[] = {
    {"login", BODY_STRING, true},     {"id", BODY_STRING, false},
    {"roles", BODY_ARRAY, false},     {"display_name", BODY_STRING, false},
    {"members", BODY_STRINGS, false}, {"user_ids", BODY_STRINGS, false},
    {NULL, BODY_ANY, false},
};
static const struct body_field token_fields[] = {
    {"token", BODY_STRING, false},
    {"token_sha256", BODY_STRING, false},
    {"login", BODY_STRING, false},
    {"user_id", BODY_STRING, false},
    {"id", BODY_STRING, false},
    {"expires", BODY_STRING, false},
    {"created", BODY_STRING, false},
    {"last_active", BODY_STRING, false},
    {"label", BODY_STRING_OR_NULL, false},
    {"description", BODY_STRING_OR_NULL, false},
    {"client", BODY_STRING_OR_NULL, false},
    {"timeout_minutes", BODY_INT, false},
    {"revoked", BODY_BOOL, false},
    {"password_reset", BODY_BOOL, false},
    {NULL, BODY_ANY, false},
};
static const struct body_field settings_fields[] = {
    {"failed_attempts_lockout", BODY_INT, false},
    {"default_lifetime", BODY_STRING_OR_INT, false},
    {"maximum_lifetime", BODY_STRING_OR_INT, false},
    {"password_reset_expiration", BODY_STRING_OR_INT, false},
    {"account_expiry_days", BODY_INT, false},
    {"scrypt_n", BODY_INT, false},
    {"certs_v2", BODY_BOOL, false},
    {NULL, BODY_ANY, false},
};

static const int64_t hour_ms = 3600 * 1000;
static const int64_t ten_years_ms = (int64_t)3650 * 24 * 3600 * 1000;

/* A UUID computed from a name: a fixture gives the same ids in every run. */
static void id_from_name(const char *space, const char *name, char out[UUID_LEN + 1]) {
    char *text = str_printf("%s:%s", space, name);
    uint8_t digest[SHA256_LEN];
    sha256_of(span_of(text), digest);
    uuid_format(digest, out);
    mem_free(text);
}

static bool id_or_computed(const json_t *o, const char *space, const char *name, char out[UUID_LEN + 1],
                           struct error *err) {
    const char *id = json_str(o, "id");
    if (id == NULL) {
        id_from_name(space, name, out);
        return true;
    }
    if (!uuid_valid(span_of(id))) {
        return error_set(err, "schema-violation", "\"%s\" is not a UUID", id);
    }
    memcpy(out, id, UUID_LEN + 1);
    return true;
}

/* An ISO time under key; absent or null leaves *ms. */
static bool read_time(const json_t *o, const char *key, int64_t *ms, struct error *err) {
    const char *text = json_str(o, key);
    return text == NULL || time_parse(span_of(text), ms) ||
           error_set(err, "schema-violation", "\"%s\": \"%s\" is not an ISO 8601 time", key, text);
}

static bool read_lifetime(const struct rbac_settings *s, const json_t *o, const char *key, int64_t *ms,
                          struct error *err) {
    const json_t *v = json_object_get(o, key);
    if (v == NULL) {
        return true;
    }
    char *text = json_is_string(v) ? str_dup(json_string_value(v)) : json_text(v);
    bool good =
        rbac_lifetime_parse(s, span_of(text), ms) ||
        error_set(err, "schema-violation", "\"%s\": \"%s\" is not a lifetime such as 90, 2h, 30d or 1y", key, text);
    mem_free(text);
    return good;
}

static bool load_settings(struct rbac_model *m, const json_t *state, struct error *err) {
    struct rbac_settings *s = &m->settings;
    *s = (struct rbac_settings){.failed_attempts_lockout = 10,
                                .default_lifetime_ms = hour_ms,
                                .maximum_lifetime_ms = ten_years_ms,
                                .password_reset_ms = 24 * hour_ms,
                                .scrypt_n = 16384,
                                .certs_v2 = true};
    const json_t *o = json_object_get(state, "settings");
    if (o == NULL) {
        return true;
    }
    if (!body_check(o, settings_fields, err) ||
        !read_lifetime(s, o, "maximum_lifetime", &s->maximum_lifetime_ms, err) ||
        !read_lifetime(s, o, "default_lifetime", &s->default_lifetime_ms, err) ||
        !read_lifetime(s, o, "password_reset_expiration", &s->password_reset_ms, err)) {
        return false;
    }
    int64_t lockout = json_int(o, "failed_attempts_lockout", s->failed_attempts_lockout);
    int64_t n = json_int(o, "scrypt_n", s->scrypt_n);
    s->account_expiry_days = json_int(o, "account_expiry_days", 0);
    s->certs_v2 = json_bool(o, "certs_v2", true);
    if (lockout < 0 || lockout > 1000000 || s->account_expiry_days < 0 || s->account_expiry_days > 100000) {
        return error_set(err, "schema-violation", "a number in \"settings\" is out of range");
    }
    if (n < 2 || n > 1 << 17 || (n & (n - 1)) != 0) {
        return error_set(err, "schema-violation", "\"scrypt_n\" is not a power of two between 2 and 131072");
    }
    s->failed_attempts_lockout = (unsigned)lockout;
    s->scrypt_n = (uint32_t)n;
    return true;
}

static bool load_role(struct rbac_model *m, const json_t *o, struct error *err) {
    if (!body_check(o, role_fields, err)) {
        return false;
    }
    const char *name = json_str(o, "display_name");
    struct rbac_role *r = rbac_role_by_name(m, name);
    if (r == NULL) {
        int64_t id = json_int(o, "id", m->last_role_id + 1);
        if (id < 1 || rbac_role_find(m, id) != NULL) {
            return error_set(err, "schema-violation", "role \"%s\": id %lld cannot be used", name, (long long)id);
        }
        r = rbac_role_add(m, id, name);
    }
    const json_t *permissions = json_object_get(o, "permissions");
    if (json_object_get(o, "description") != NULL) {
        text_set(&r->description, json_str(o, "description"));
    }
    if (permissions == NULL) {
        return true;
    }
    rbac_role_clear(r);
    size_t i;
    json_t *p;
    json_array_foreach((json_t *)(uintptr_t)permissions, i, p) {
        if (!body_check(p, permission_fields, err)) {
            return error_prefix(err, "role \"%s\"", name);
        }
        rbac_role_grant(r, json_str(p, "object_type"), json_str(p, "action"), json_str(p, "instance"));
    }
    return true;
}

static bool load_role_refs(const struct rbac_model *m, const json_t *refs, struct id_set *to, struct error *err) {
    size_t i;
    json_t *ref;
    json_array_foreach((json_t *)(uintptr_t)refs, i, ref) {
        const struct rbac_role *r = json_is_string(ref)    ? rbac_role_by_name(m, json_string_value(ref))
                                    : json_is_integer(ref) ? rbac_role_find(m, json_integer_value(ref))
                                                           : NULL;
        if (r == NULL) {
            char *text = json_text(ref);
            error_set(err, "schema-violation", "there is no role %s", text);
            mem_free(text);
            return false;
        }
        id_set_add(to, r->id);
    }
    return true;
}

static bool load_password(struct rbac_user *u, const json_t *o, struct error *err) {
    const char *hash = json_str(o, "password_hash");
    const char *clear = json_str(o, "password");
    if (hash != NULL) {
        return rbac_password_parse(&u->password, hash) ||
               error_set(err, "schema-violation", "the password_hash is not of the form scrypt$N$SALT$KEY");
    }
    if (clear != NULL) {
        rbac_password_set_clear(&u->password, clear);
    }
    return true;
}

static bool load_user(struct rbac_model *m, const json_t *o, int64_t now_ms, struct error *err) {
    char id[UUID_LEN + 1];
    if (!body_check(o, user_fields, err)) {
        return false;
    }
    const char *login = json_str(o, "login");
    struct rbac_user *u = rbac_user_by_login(m, login);
    if (u == NULL) {
        if (!id_or_computed(o, "user", login, id, err)) {
            return false;
        }
        if (rbac_user_find(m, id) != NULL || rbac_login_taken(m, login)) {
            return error_set(err, "schema-violation", "user \"%s\": login or id is used twice", login);
        }
        u = rbac_user_add(m, id, login);
        u->created_ms = now_ms;
    }
    if (json_str(o, "display_name") != NULL) {
        text_set(&u->display_name, json_str(o, "display_name"));
    }
    text_set(&u->email, json_str(o, "email"));
    u->superuser = json_bool(o, "superuser", u->superuser);
    u->revoked = json_bool(o, "revoked", u->revoked);
    u->remote = json_bool(o, "remote", u->remote);
    u->failed_attempts = (unsigned)json_int(o, "failed_attempts", 0);
    if (json_object_get(o, "roles") != NULL) {
        id_set_clear(&u->roles);
    }
    return read_time(o, "created", &u->created_ms, err) && read_time(o, "last_login", &u->last_login_ms, err) &&
           load_password(u, o, err) && load_role_refs(m, json_object_get(o, "roles"), &u->roles, err);
}

static bool load_group(struct rbac_model *m, const json_t *o, struct error *err) {
    char id[UUID_LEN + 1];
    if (!body_check(o, group_fields, err) || !id_or_computed(o, "group", json_str(o, "login"), id, err)) {
        return false;
    }
    const char *login = json_str(o, "login");
    if (rbac_login_taken(m, login) || rbac_group_find(m, id) != NULL) {
        return error_set(err, "schema-violation", "group \"%s\": login or id is used twice", login);
    }
    struct rbac_group *g = rbac_group_add(m, id, login);
    if (json_str(o, "display_name") != NULL) {
        text_set(&g->display_name, json_str(o, "display_name"));
    }
    size_t i;
    json_t *member;
    json_array_foreach(json_object_get(o, "members"), i, member) {
        const struct rbac_user *u = rbac_user_by_login(m, json_string_value(member));
        if (u == NULL) {
            return error_set(err, "schema-violation", "there is no user \"%s\"", json_string_value(member));
        }
        rbac_group_add_member(g, u->id);
    }
    json_array_foreach(json_object_get(o, "user_ids"), i, member) {
        if (rbac_user_find(m, json_string_value(member)) == NULL) {
            return error_set(err, "schema-violation", "there is no user with id \"%s\"", json_string_value(member));
        }
        rbac_group_add_member(g, json_string_value(member));
    }
    return load_role_refs(m, json_object_get(o, "roles"), &g->roles, err);
}

static bool load_token(struct rbac_model *m, const json_t *o, int64_t now_ms, struct error *err) {
    if (!body_check(o, token_fields, err)) {
        return false;
    }
    const char *text = json_str(o, "token");
    const char *given = json_str(o, "token_sha256");
    char digest[SHA256_HEX_LEN + 1];
    if (text != NULL) {
        sha256_hex(span_of(text), digest);
    } else if (given != NULL && strlen(given) == SHA256_HEX_LEN) {
        memcpy(digest, given, sizeof digest);
    } else {
        return error_set(err, "schema-violation", "a token needs \"token\" or \"token_sha256\"");
    }
    const char *login = json_str(o, "login");
    const char *user_id = json_str(o, "user_id");
    const struct rbac_user *u = login != NULL ? rbac_user_by_login(m, login) : NULL;
    if (u == NULL && (login != NULL || user_id == NULL || !uuid_valid(span_of(user_id)))) {
        return error_set(err, "schema-violation", "a token's user \"%s\" does not exist", login != NULL ? login : "");
    }
    char id[UUID_LEN + 1];
    if (!id_or_computed(o, "token", digest, id, err)) {
        return false;
    }
    struct rbac_token *t = rbac_token_add(m, digest);
    memcpy(t->id, id, sizeof t->id);
    memcpy(t->user_id, u != NULL ? u->id : user_id, sizeof t->user_id);
    text_set(&t->label, json_str(o, "label"));
    text_set(&t->description, json_str(o, "description"));
    text_set(&t->client, json_str(o, "client"));
    t->timeout_minutes = json_int(o, "timeout_minutes", 0);
    t->revoked = json_bool(o, "revoked", false);
    t->password_reset = json_bool(o, "password_reset", false);
    t->created_ms = now_ms;
    t->expires_ms = now_ms + m->settings.maximum_lifetime_ms;
    t->last_active_ms = now_ms;
    return read_time(o, "created", &t->created_ms, err) && read_time(o, "expires", &t->expires_ms, err) &&
           read_time(o, "last_active", &t->last_active_ms, err);
}

static void seed(struct rbac_model *m, int64_t now_ms) {
    static const struct {
        const char *id, *login, *display_name;
    } fixed[] = {{RBAC_ADMIN_ID, "admin", "Administrator"}, {RBAC_API_USER_ID, "api_user", "API user"}};
    rbac_grant_defaults(m);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        struct rbac_user *u = rbac_user_add(m, fixed[i].id, fixed[i].login);
        text_set(&u->display_name, fixed[i].display_name);
        u->created_ms = now_ms;
        u->superuser = true;
        id_set_add(&u->roles, RBAC_ROLE_ADMINISTRATORS);
    }
}

static bool load_all(struct rbac_model *m, const json_t *state, int64_t now_ms, struct error *err) {
    size_t i;
    json_t *o;
    if (!load_settings(m, state, err)) {
        return false;
    }
    if (json_bool(state, "seed", true)) {
        seed(m, now_ms);
    }
    json_array_foreach(json_object_get(state, "roles"), i, o) {
        if (!load_role(m, o, err)) {
            return false;
        }
    }
    json_array_foreach(json_object_get(state, "users"), i, o) {
        if (!load_user(m, o, now_ms, err)) {
            return false;
        }
    }
    json_array_foreach(json_object_get(state, "groups"), i, o) {
        if (!load_group(m, o, err)) {
            return false;
        }
    }
    json_array_foreach(json_object_get(state, "tokens"), i, o) {
        if (!load_token(m, o, now_ms, err)) {
            return false;
        }
    }
    m->last_role_id = json_int(state, "last_role_id", m->last_role_id);
    json_array_extend(m->allowlist, json_object_get(state, "allowlist"));
    json_object_update(m->directory, json_object_get(state, "directory"));
    return true;
}

struct rbac_model *rbac_model_load(struct world *w, const json_t *state, int64_t now_ms, struct error *err) {
    (void)w;
    if (!body_check(state, state_fields, err)) {
        return NULL;
    }
    struct rbac_model *m = rbac_model_new();
    if (!load_all(m, state, now_ms, err)) {
        rbac_model_free(m);
        return NULL;
    }
    return m;
}

static json_t *dump_users(const struct rbac_model *m) {
    json_t *all = json_array();
    LIST_EACH (k, &m->users) {
        const struct rbac_user *u = LIST_ITEM(k, struct rbac_user, link);
        json_t *o = json_pack("{s:s, s:s, s:s, s:s?, s:o, s:b, s:b, s:b, s:o, s:o, s:i}", "id", u->id, "login",
                              u->login, "display_name", u->display_name, "email", u->email, "roles",
                              id_set_json(&u->roles), "superuser", (int)u->superuser, "revoked", (int)u->revoked,
                              "remote", (int)u->remote, "created", rbac_time_json(u->created_ms), "last_login",
                              rbac_time_json(u->last_login_ms), "failed_attempts", (int)u->failed_attempts);
        json_t *hash = rbac_password_dump(&u->password);
        if (hash != NULL) {
            json_set(o, "password_hash", hash);
        } else if (u->password.clear != NULL) {
            json_set(o, "password", json_string(u->password.clear));
        }
        json_array_append_new(all, o);
    }
    return all;
}

static json_t *dump_permissions(const struct rbac_role *r) {
    json_t *all = json_array();
    for (size_t i = 0; i < r->permission_count; i++) {
        const struct rbac_permission *p = &r->permissions[i];
        json_array_append_new(all, json_pack("{s:s, s:s, s:s}", "object_type", p->object_type, "action", p->action,
                                             "instance", p->instance));
    }
    return all;
}

static json_t *dump_roles(const struct rbac_model *m) {
    json_t *all = json_array();
    LIST_EACH (k, &m->roles) {
        const struct rbac_role *r = LIST_ITEM(k, struct rbac_role, link);
        json_array_append_new(all, json_pack("{s:I, s:s, s:s?, s:o}", "id", (json_int_t)r->id, "display_name",
                                             r->display_name, "description", r->description, "permissions",
                                             dump_permissions(r)));
    }
    return all;
}

static json_t *dump_groups(const struct rbac_model *m) {
    json_t *all = json_array();
    LIST_EACH (k, &m->groups) {
        const struct rbac_group *g = LIST_ITEM(k, struct rbac_group, link);
        json_array_append_new(all,
                              json_pack("{s:s, s:s, s:s, s:o, s:O}", "id", g->id, "login", g->login, "display_name",
                                        g->display_name, "roles", id_set_json(&g->roles), "user_ids", g->members));
    }
    return all;
}

static json_t *dump_tokens(const struct rbac_model *m) {
    json_t *all = json_array();
    LIST_EACH (k, &m->tokens) {
        const struct rbac_token *t = LIST_ITEM(k, struct rbac_token, link);
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s?, s:o, s:o, s:o, s:I, s:b, s:b}", "id",
                                             t->id, "token_sha256", t->digest, "user_id", t->user_id, "label", t->label,
                                             "description", t->description, "client", t->client, "created",
                                             rbac_time_json(t->created_ms), "expires", rbac_time_json(t->expires_ms),
                                             "last_active", rbac_time_json(t->last_active_ms), "timeout_minutes",
                                             (json_int_t)t->timeout_minutes, "revoked", (int)t->revoked,
                                             "password_reset", (int)t->password_reset));
    }
    return all;
}

static json_t *lifetime_json(int64_t ms) {
    return json_integer((json_int_t)(ms / 1000));
}

json_t *rbac_model_dump(const struct rbac_model *m) {
    const struct rbac_settings *s = &m->settings;
    json_t *settings =
        json_pack("{s:i, s:o, s:o, s:o, s:I, s:i, s:b}", "failed_attempts_lockout", (int)s->failed_attempts_lockout,
                  "default_lifetime", lifetime_json(s->default_lifetime_ms), "maximum_lifetime",
                  lifetime_json(s->maximum_lifetime_ms), "password_reset_expiration",
                  lifetime_json(s->password_reset_ms), "account_expiry_days", (json_int_t)s->account_expiry_days,
                  "scrypt_n", (int)s->scrypt_n, "certs_v2", (int)s->certs_v2);
    return json_pack("{s:b, s:o, s:o, s:o, s:o, s:O, s:O, s:I, s:o}", "seed", 0, "roles", dump_roles(m), "users",
                     dump_users(m), "groups", dump_groups(m), "tokens", dump_tokens(m), "allowlist", m->allowlist,
                     "directory", m->directory, "last_role_id", (json_int_t)m->last_role_id, "settings", settings);
}
