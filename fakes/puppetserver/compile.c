/* POST /puppet/v4/catalog and /puppet/v3/compile (puppetserver.md §19, §20). */
#include "base/clock.h"
#include "base/mem.h"
#include "fakes/puppetserver/agent.h"
#include "fakes/puppetserver/files.h"
#include "fakes/puppetserver/report.h"
#include "fakes/puppetserver/schema.h"
#include <stdarg.h>
#include <string.h>

static const char plain_utf8[] = "text/plain;charset=utf-8";

/* The body, checked; NULL after answering 400. */
static json_t *read_request(struct ps_request *r, const struct schema_key *keys) {
    struct error err = ERROR_INIT;
    json_t *body = json_parse(http_request(r->ex)->body, "body", &err);
    if (body == NULL) {
        ps_plain(r, 400, plain_utf8, "Error parsing JSON: %s", err.msg);
        error_clear(&err);
        return NULL;
    }
    char *wrong = schema_complaints(body, keys);
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

static json_t *logs(struct ps_request *r, const json_t *body, const char *environment, const char *endpoint) {
    char *message = str_printf("Compiled catalog for %s in environment %s using the %s endpoint",
                               json_str(body, "certname"), environment, endpoint);
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

static void __attribute__((format(printf, 2, 3))) crash(struct ps_request *r, const char *format, ...) {
    struct buf what = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&what, format, args);
    va_end(args);
    ps_plain(r, 500, plain_utf8, "Internal Server Error: org.jruby.exceptions.%s", what.ptr);
    buf_free(&what);
}

/* The catalog of the node, as the configuration has it. */
static void answer(struct ps_request *r, const json_t *body, const struct ps_environment *env, const char *endpoint) {
    struct error err = ERROR_INIT;
    json_t *catalog = ps_compile(r, &(struct ps_compile){json_str(body, "certname"), env}, &err);
    if (catalog == NULL) {
        crash(r, "RuntimeError: (%s) %s", r->version_error != NULL ? "Error" : "PreformattedError", err.msg);
    } else if (persist(r, body, env, catalog)) {
        json_t *result = json_pack("{s:O}", "catalog", catalog);
        if (json_bool(json_object_get(body, "options"), "capture_logs", false)) {
            json_set(result, "logs", logs(r, body, env->name, endpoint));
        }
        ps_json_as(r, 200, "application/json", result);
    }
    json_decref(catalog);
    error_clear(&err);
}

/* False: there is no such environment. */
static bool answer_in(struct ps_request *r, const json_t *body, bool with_code_id, const char *endpoint) {
    struct ps_environment env;
    if (!ps_environment_open(r->ps, json_str(body, "environment"), &env)) {
        return false;
    }
    env.code_id = with_code_id ? env.code_id : NULL;
    if (ps_version_known(r, &env)) {
        answer(r, body, &env, endpoint);
    }
    ps_environment_close(&env);
    return true;
}

/* ---- POST /puppet/v4/catalog */

static const struct schema_key values_keys[] = {{"values", SCHEMA_MAP, true, NULL, NULL},
                                                {NULL, SCHEMA_TEXT, false, NULL, NULL}};
static const struct schema_key persistence_keys[] = {{"facts", SCHEMA_BOOL, true, NULL, NULL},
                                                     {"catalog", SCHEMA_BOOL, true, NULL, NULL},
                                                     {NULL, SCHEMA_TEXT, false, NULL, NULL}};
static const struct schema_key catalog_options[] = {
    {"capture_logs", SCHEMA_BOOL, false, NULL, NULL},
    {"log_level", SCHEMA_WORD, false, NULL, "#{\"warning\" \"err\" \"info\" \"debug\"}"},
    {"prefer_requested_environment", SCHEMA_BOOL, false, NULL, NULL},
    {NULL, SCHEMA_TEXT, false, NULL, NULL}};
static const struct schema_key catalog_keys[] = {{"certname", SCHEMA_TEXT, true, NULL, NULL},
                                                 {"persistence", SCHEMA_KEYS, true, persistence_keys, NULL},
                                                 {"environment", SCHEMA_ENVIRONMENT, true, NULL, NULL},
                                                 {"facts", SCHEMA_KEYS, false, values_keys, NULL},
                                                 {"trusted_facts", SCHEMA_KEYS, false, values_keys, NULL},
                                                 {"transaction_uuid", SCHEMA_TEXT, false, NULL, NULL},
                                                 {"job_id", SCHEMA_TEXT, false, NULL, NULL},
                                                 {"options", SCHEMA_KEYS, false, catalog_options, NULL},
                                                 {NULL, SCHEMA_TEXT, false, NULL, NULL}};

void ps_catalog_v4(struct ps_request *r) {
    json_t *body = read_request(r, catalog_keys);
    if (body != NULL && !answer_in(r, body, true, "v4 catalog")) {
        crash(r,
              "RuntimeError: (EnvironmentNotFound) Could not find a directory environment named '%s' anywhere in the "
              "path: %s/environments. Does the directory exist?",
              json_str(body, "environment"), json_str(r->ps->config, "codedir"));
    }
    json_decref(body);
}

/* ---- POST /puppet/v3/compile */

static const struct schema_key variables_keys[] = {{"values", SCHEMA_MAP_OR_LIST, true, NULL, NULL},
                                                   {NULL, SCHEMA_TEXT, false, NULL, NULL}};
static const struct schema_key compile_options[] = {
    {"capture_logs", SCHEMA_BOOL, false, NULL, NULL},
    {"log_level", SCHEMA_WORD, false, NULL, "#{\"warning\" \"info\" \"error\" \"debug\"}"},
    {"compile_for_plan", SCHEMA_BOOL, false, NULL, NULL},
    {NULL, SCHEMA_TEXT, false, NULL, NULL}};
static const struct schema_key compile_keys[] = {{"certname", SCHEMA_TEXT, true, NULL, NULL},
                                                 {"code_ast", SCHEMA_TEXT, true, NULL, NULL},
                                                 {"variables", SCHEMA_KEYS, true, variables_keys, NULL},
                                                 {"facts", SCHEMA_KEYS, true, values_keys, NULL},
                                                 {"trusted_facts", SCHEMA_KEYS, true, values_keys, NULL},
                                                 {"target_variables", SCHEMA_KEYS, false, values_keys, NULL},
                                                 {"environment", SCHEMA_TEXT, false, NULL, NULL},
                                                 {"versioned_project", SCHEMA_TEXT, false, NULL, NULL},
                                                 {"transaction_uuid", SCHEMA_TEXT, false, NULL, NULL},
                                                 {"job_id", SCHEMA_TEXT, false, NULL, NULL},
                                                 {"options", SCHEMA_KEYS, false, compile_options, NULL},
                                                 {NULL, SCHEMA_TEXT, false, NULL, NULL}};

static void compile_in_environment(struct ps_request *r, const json_t *body) {
    if (!answer_in(r, body, false, "compile")) { /* such catalogs have no code id */
        crash(r,
              "ArgumentError: (ArgumentError) No directory found for the environment '%s' on the path "
              "'%s/environments'",
              json_str(body, "environment"), json_str(r->ps->config, "codedir"));
    }
}

/* In an environment that is made for the project and has its module path. That nothing is there is no error. */
static void compile_in_project(struct ps_request *r, const json_t *body) {
    struct ps_project project;
    struct error err = ERROR_INIT;
    if (!json_bool(json_object_get(body, "options"), "compile_for_plan", false)) {
        crash(r, "RuntimeError: (TypeAssertionError) Puppet Pal: env_name has wrong type, expects a String value, got "
                 "Undef");
    } else if (ps_project_open(r->ps, json_str(body, "versioned_project"), &project, &err)) {
        struct ps_environment env = {.name = (char[]){"bolt_catalog"},
                                     .modulepath = project.modulepath,
                                     .modulepath_count = project.modulepath_count};
        answer(r, body, &env, "compile");
        ps_project_close(&project);
    } else if (error_is_set(&err)) {
        crash(r, "RuntimeError: (Error) %s", err.msg);
    } else {
        struct ps_environment env = {.name = (char[]){"bolt_catalog"}};
        answer(r, body, &env, "compile");
    }
    error_clear(&err);
}

/* The code itself is not evaluated: the catalog is the node's of the configuration, or the default one. */
static void compile(struct ps_request *r, const json_t *body) {
    const char *environment = json_str(body, "environment"), *project = json_str(body, "versioned_project");
    bool for_plan = json_bool(json_object_get(body, "options"), "compile_for_plan", false);
    json_t *code = json_parse(json_span(json_object_get(body, "code_ast")), "code_ast", NULL);
    if (environment != NULL && project != NULL) {
        ps_plain(r, 400, "text/plain",
                 "A compile request cannot specify both `environment` and `versioned_project` parameters.");
    } else if (environment == NULL && project == NULL) {
        ps_plain(r, 400, "text/plain",
                 "A compile request must include an `environment` or `versioned_project` parameter.");
    } else if (code == NULL) {
        crash(r, "RaiseException: (ParserError) unexpected token at '%s'", json_str(body, "code_ast"));
    } else if (for_plan && !json_bool(r->ps->config, "boltlib", true)) {
        crash(r, "RuntimeError: (Error) When compile_for_plan is set, the path to boltlib modules must be provided by "
                 "setting boltlib-path as a jruby-puppet setting in pe-puppet-server.conf");
    } else if (environment != NULL) {
        compile_in_environment(r, body);
    } else {
        compile_in_project(r, body);
    }
    json_decref(code);
}

void ps_compile_v3(struct ps_request *r) {
    json_t *body = read_request(r, compile_keys);
    if (body != NULL) {
        compile(r, body);
        json_decref(body);
    }
}
