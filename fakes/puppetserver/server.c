/* The service: configuration, routes, life. */
#include "fakes/puppetserver/server.h"
#include "base/mem.h"
#include "fakes/puppetserver/control.h"
#include <string.h>

struct fake_puppetserver *ps_of(struct fake *f) {
    return (struct fake_puppetserver *)(void *)f;
}

static const struct body_field state_fields[] = {
    {"codedir", BODY_STRING, false},
    {"basemodulepath", BODY_STRINGS, false},
    {"environments", BODY_OBJECT, false},
    {"version", BODY_STRING, false},
    {"puppet_version", BODY_STRING, false},
    {"static", BODY_OBJECT, false},
    {"static_in_uris", BODY_BOOL, false},
    {"environment_class_cache", BODY_BOOL, false},
    {"class_components", BODY_BOOL, false},
    {"capability_types", BODY_STRINGS, false},
    {"auth", BODY_OBJECT, false},
    {"override", BODY_ARRAY, false},
    {"facts", BODY_OBJECT, false},
    {"catalogs", BODY_OBJECT, false},
    {"puppetdb", BODY_OBJECT, false},
    {"ca", BODY_OBJECT, false},
    {"certname", BODY_STRING, false},
    {"code_content_command", BODY_STRING, false},
    {"projects_dir", BODY_STRING, false},
    {"boltlib", BODY_BOOL, false},
    {NULL, BODY_ANY, false},
};
static const struct body_field environment_fields[] = {
    {"modulepath", BODY_STRINGS, false},
    {"manifest", BODY_STRING, false},
    {NULL, BODY_ANY, false},
};
static const struct body_field auth_fields[] = {
    {"orchestrator", BODY_ANY, false},
    {"enforce", BODY_BOOL, false},
    {NULL, BODY_ANY, false},
};
static const struct body_field override_fields[] = {
    {"method", BODY_STRING, false}, {"path", BODY_STRING, true},  {"status", BODY_INT, false},
    {"json", BODY_ANY, false},      {"text", BODY_STRING, false}, {"content_type", BODY_STRING, false},
    {NULL, BODY_ANY, false},
};
static const struct body_field names_fields[] = {{"orchestrator", BODY_STRINGS, false}, {NULL, BODY_ANY, false}};

static bool check_overrides(const json_t *overrides, struct error *err) {
    size_t i;
    json_t *o;
    json_array_foreach((json_t *)(uintptr_t)overrides, i, o) {
        if (!body_check(o, override_fields, err)) {
            return error_prefix(err, "override");
        }
        int64_t status = json_int(o, "status", 200);
        if (status < 200 || status > 599) {
            return error_set(err, "schema-violation", "override: status %lld is none", (long long)status);
        }
    }
    return true;
}

static bool check_environments(const json_t *environments, struct error *err) {
    const char *name;
    json_t *o;
    json_object_foreach((json_t *)(uintptr_t)environments, name, o) {
        if (!ps_environment_name_legal(name)) {
            return error_set(err, "schema-violation", "\"%s\" cannot be the name of an environment", name);
        }
        if (!body_check(o, environment_fields, err)) {
            return error_prefix(err, "environment %s", name);
        }
    }
    return true;
}

/* "orchestrator" may be one name or several. */
static bool read_auth(json_t *config, struct error *err) {
    json_t *auth = json_object_get(config, "auth");
    if (auth == NULL) {
        json_set(config, "auth", json_pack("{s:[], s:b}", "orchestrator", "enforce", 1));
        return true;
    }
    json_t *names = json_object_get(auth, "orchestrator");
    if (json_is_string(names)) {
        json_set(auth, "orchestrator", json_pack("[O]", names));
    } else if (names == NULL) {
        json_set(auth, "orchestrator", json_array());
    }
    json_t *only = json_pack("{s:O}", "orchestrator", json_object_get(auth, "orchestrator"));
    bool good = body_check(auth, auth_fields, err) && body_check(only, names_fields, err);
    json_decref(only);
    return good;
}

static void set_default(json_t *config, const char *key, json_t *value) {
    if (json_object_get(config, key) == NULL) {
        json_set(config, key, value);
    } else {
        json_decref(value);
    }
}

static bool check_code_ids(const json_t *ids, struct error *err) {
    const char *name;
    json_t *id;
    json_object_foreach((json_t *)(uintptr_t)ids, name, id) {
        if (!json_is_string(id)) {
            return error_set(err, "schema-violation", "static: the code id of %s is no text", name);
        }
    }
    return true;
}

static bool load(struct fake *f, const json_t *state, struct error *err) {
    struct fake_puppetserver *ps = ps_of(f);
    if (!body_check(state, state_fields, err) || !check_overrides(json_object_get(state, "override"), err) ||
        !check_environments(json_object_get(state, "environments"), err) ||
        !check_code_ids(json_object_get(state, "static"), err)) {
        return false;
    }
    json_t *config = json_deep_copy(state);
    if (!read_auth(config, err)) {
        json_decref(config);
        return false;
    }
    set_default(config, "codedir", json_string("/etc/puppetlabs/code"));
    set_default(config, "basemodulepath", json_array());
    set_default(config, "version", json_string("7.9.5"));
    set_default(config, "puppet_version", json_string("7.23.0"));
    set_default(config, "certname", json_string("puppet"));
    set_default(config, "code_content_command", json_string("/usr/local/bin/code-content"));
    set_default(config, "facts", json_object());
    json_decref(ps->config);
    ps->config = config;
    json_array_clear(ps->reports);
    json_object_clear(ps->certificates);
    json_object_clear(ps->certificate_requests);
    ps_bucket_clear(ps);
    return true;
}

static json_t *dump(struct fake *f) {
    return json_deep_copy(ps_of(f)->config);
}

static const char *const prefixes[] = {"/", NULL};
static const struct fake_route *const tables[] = {ps_control_routes, NULL};
static const struct fake_service puppetserver_service = {.name = "puppetserver",
                                                         .tables = tables,
                                                         .prefixes = prefixes,
                                                         .not_found = ps_dispatch,
                                                         .load = load,
                                                         .dump = dump};

static void drop(struct fake_puppetserver *ps) {
    ps_bucket_clear(ps);
    json_decref(ps->config);
    json_decref(ps->reports);
    json_decref(ps->certificates);
    json_decref(ps->certificate_requests);
    mem_free(ps);
}

struct fake_puppetserver *fake_puppetserver_new(struct world *w, const struct fake_puppetserver_opts *opts,
                                                struct error *err) {
    struct fake_puppetserver *ps = mem_zalloc(sizeof *ps);
    ps->reports = json_array();
    ps->certificates = json_object();
    ps->certificate_requests = json_object();
    list_init(&ps->versions);
    ps->submit = opts->submit;
    ps->submit_ctx = opts->submit_ctx;
    ps->query = opts->query;
    ps->query_ctx = opts->query_ctx;
    ps->sign = opts->sign;
    ps->sign_ctx = opts->sign_ctx;
    if (!fake_init(&ps->base, w, &puppetserver_service, opts->state, opts->log, err)) {
        drop(ps);
        return NULL;
    }
    return ps;
}

void fake_puppetserver_free(struct fake_puppetserver *ps) {
    if (ps != NULL) {
        ps_versions_drop(ps);
        fake_deinit(&ps->base);
        drop(ps);
    }
}

struct fake *fake_puppetserver_base(struct fake_puppetserver *ps) {
    return &ps->base;
}
