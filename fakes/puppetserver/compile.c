/* POST /puppet/v4/catalog and /puppet/v3/compile (puppetserver.md §19, §20). */
#include "base/clock.h"
#include "base/mem.h"
#include "fakes/puppetserver/agent.h"
#include "fakes/puppetserver/report.h"
#include <string.h>

static const char plain_utf8[] = "text/plain;charset=utf-8";

/* A key of a request: its type (JSON_NULL: any), and whether it must be there. */
struct key {
    const char *name;
    json_type type;
    bool required;
};

/* The schema's complaints about a request as {"key" missing-required-key, …}, or NULL. */
static char *complaints(const json_t *body, const struct key *keys) {
    struct buf b = BUF_INIT;
    if (!json_is_object(body)) {
        return str_dup("(not (map? a-value))");
    }
    for (; keys->name != NULL; keys++) {
        const json_t *value = json_object_get(body, keys->name);
        if (value == NULL && keys->required) {
            buf_printf(&b, "%s\"%s\" missing-required-key", b.len > 0 ? ", " : "{", keys->name);
        } else if (value != NULL && keys->type != JSON_NULL && json_typeof(value) != keys->type) {
            buf_printf(&b, "%s\"%s\" (not (instance? %s a-value))", b.len > 0 ? ", " : "{", keys->name,
                       keys->type == JSON_STRING ? "java.lang.String" : "clojure.lang.IPersistentMap");
        }
    }
    if (b.len == 0) {
        return NULL;
    }
    buf_append_char(&b, '}');
    return buf_take(&b);
}

/* The body, checked; NULL after answering 400. */
static json_t *read_request(struct ps_request *r, const struct key *keys) {
    struct error err = ERROR_INIT;
    json_t *body = json_parse(http_request(r->ex)->body, "body", &err);
    if (body == NULL) {
        ps_plain(r, 400, plain_utf8, "Error parsing JSON: %s", err.msg);
        error_clear(&err);
        return NULL;
    }
    char *wrong = complaints(body, keys);
    if (wrong != NULL) {
        ps_plain(r, 400, plain_utf8, "Invalid input: %s", wrong);
        mem_free(wrong);
        json_decref(body);
        return NULL;
    }
    return body;
}

static json_t *log_entry(struct ps_request *r, const char *message) {
    return json_pack("{s:s, s:s, s:s, s:[s], s:o, s:n, s:n}", "level", "info", "message", message, "source", "Puppet",
                     "tags", "info", "time", ps_time_json(fake_now_ms(&r->ps->base)), "file", "line");
}

static json_t *logs(struct ps_request *r, const json_t *body, const char *endpoint) {
    char *message = str_printf("Compiled catalog for %s in environment %s using the %s endpoint",
                               json_str(body, "certname"), json_str(body, "environment"), endpoint);
    json_t *all = json_pack("[o]", log_entry(r, message));
    mem_free(message);
    return all;
}

/* Keeps what "persistence" asks for; false after answering 500. */
static bool persist(struct ps_request *r, const json_t *body, const struct ps_environment *env, const json_t *catalog) {
    const char *certname = json_str(body, "certname");
    const json_t *persistence = json_object_get(body, "persistence");
    const json_t *facts = json_object_get(body, "facts");
    if (json_bool(persistence, "facts", false) && facts != NULL) {
        ps_keep_facts(r, certname, facts);
        if (!ps_submit(r, "replace facts", 5, certname, ps_facts_wire(r, certname, env->name, facts))) {
            return false;
        }
    }
    return !json_bool(persistence, "catalog", false) ||
           ps_submit(r, "replace catalog", 9, certname,
                     ps_catalog_wire(r, catalog, json_str(body, "transaction_uuid"), json_str(body, "job_id")));
}

static void answer(struct ps_request *r, const json_t *body, const char *endpoint) {
    const char *name = json_str(body, "environment");
    struct ps_environment env;
    if (!ps_environment_name_legal(name)) {
        ps_plain(r, 400, plain_utf8, "The environment must be purely alphanumeric, not '%s'", name);
        return;
    }
    if (!ps_environment_open(r->ps, name, &env)) {
        ps_plain(r, 500, plain_utf8,
                 "Internal Server Error: org.jruby.exceptions.RuntimeError: (EnvironmentNotFound) Could not find a "
                 "directory environment named '%s' anywhere in the path: %s/environments. Does the directory exist?",
                 name, json_str(r->ps->config, "codedir"));
        return;
    }
    struct error err = ERROR_INIT;
    json_t *catalog = ps_compile(r, &(struct ps_compile){json_str(body, "certname"), &env}, &err);
    if (catalog == NULL) {
        ps_plain(r, 500, plain_utf8, "Internal Server Error: org.jruby.exceptions.RuntimeError: (PreformattedError) %s",
                 err.msg);
    } else if (persist(r, body, &env, catalog)) {
        json_t *result = json_pack("{s:O}", "catalog", catalog);
        if (json_bool(json_object_get(body, "options"), "capture_logs", false)) {
            json_set(result, "logs", logs(r, body, endpoint));
        }
        ps_json_as(r, 200, "application/json", result);
    }
    json_decref(catalog);
    error_clear(&err);
    ps_environment_close(&env);
}

static const struct key catalog_keys[] = {
    {"certname", JSON_STRING, true}, {"persistence", JSON_OBJECT, true},    {"environment", JSON_STRING, true},
    {"facts", JSON_OBJECT, false},   {"trusted_facts", JSON_OBJECT, false}, {"transaction_uuid", JSON_STRING, false},
    {"job_id", JSON_STRING, false},  {"options", JSON_OBJECT, false},       {NULL, JSON_NULL, false},
};

void ps_catalog_v4(struct ps_request *r) {
    json_t *body = read_request(r, catalog_keys);
    if (body != NULL) {
        answer(r, body, "v4 catalog");
        json_decref(body);
    }
}

static const struct key compile_keys[] = {
    {"certname", JSON_STRING, true},
    {"code_ast", JSON_STRING, true},
    {"variables", JSON_NULL, true}, /* an object, or of newer clients a list of them */
    {"facts", JSON_OBJECT, true},
    {"trusted_facts", JSON_OBJECT, true},
    {"environment", JSON_STRING, false},
    {"versioned_project", JSON_STRING, false},
    {"transaction_uuid", JSON_STRING, false},
    {"job_id", JSON_STRING, false},
    {"options", JSON_OBJECT, false},
    {NULL, JSON_NULL, false},
};

/* The code itself is not evaluated: the catalog is the node's of the configuration, or the default one. */
void ps_compile_v3(struct ps_request *r) {
    json_t *body = read_request(r, compile_keys);
    if (body == NULL) {
        return;
    }
    if (json_str(body, "environment") != NULL) {
        answer(r, body, "compile");
    } else if (json_str(body, "versioned_project") != NULL) {
        fake_respond_error(r->ex, 501, "dalang/not-implemented", NULL,
                           "the fake puppetserver does not compile for a versioned_project");
    } else {
        ps_plain(r, 400, plain_utf8,
                 "A compile request must include an `environment` or `versioned_project` parameter.");
    }
    json_decref(body);
}
