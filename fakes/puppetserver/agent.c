/* What an agent asks and submits: its catalog, node object, facts and report (puppetserver.md §19). */
#include "fakes/puppetserver/agent.h"
#include "base/digest.h"
#include "base/mem.h"
#include "fakes/puppetserver/report.h"
#include "wire/percent.h"
#include <openssl/evp.h>
#include <string.h>

/* The command as a URL of PuppetDB, for the text of an error. */
static char *command_url(struct ps_request *r, const char *command, int version, const char *certname,
                         const json_t *payload) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    char *text = json_text(payload);
    EVP_Digest(text, strlen(text), digest, &len, EVP_sha1(), NULL);
    struct buf b = BUF_INIT;
    buf_append_cstr(&b, "/pdb/cmd/v1?checksum=");
    hex_encode(&b, span_bytes(digest, len));
    buf_printf(&b, "&version=%d&certname=%s&command=", version, certname);
    for (const char *p = command; *p != '\0'; p++) {
        buf_append_char(&b, *p == ' ' ? '_' : *p);
    }
    json_t *time = ps_time_json(fake_now_ms(&r->ps->base));
    buf_printf(&b, "&producer-timestamp=%.23sZ", json_string_value(time));
    json_decref(time);
    mem_free(text);
    return buf_take(&b);
}

bool ps_submit(struct ps_request *r, const char *command, int version, const char *certname, json_t *payload) {
    const json_t *puppetdb = json_object_get(r->ps->config, "puppetdb");
    bool up = json_bool(puppetdb, "up", true);
    if (!up) {
        char *url = command_url(r, command, version, certname, payload);
        const char *server = json_str(puppetdb, "url");
        ps_issue(r, 500, "RUNTIME_ERROR", "Failed to execute '%s' on at least 1 of the following 'server_urls': %s",
                 url, server != NULL ? server : "https://puppetdb:8081");
        mem_free(url);
    } else if (r->ps->submit != NULL) {
        r->ps->submit(r->ps->submit_ctx, command, version, certname, payload);
    }
    json_decref(payload);
    return up;
}

void ps_keep_facts(struct ps_request *r, const char *certname, const json_t *facts) {
    json_t *values = json_object_get(facts, "values");
    json_set(json_object_get(r->ps->config, "facts"), certname,
             json_is_object(values) ? json_deep_copy(values) : json_object());
}

json_t *ps_facts_wire(struct ps_request *r, const char *certname, const char *environment, const json_t *facts) {
    json_t *values = json_object_get(facts, "values");
    return json_pack("{s:s, s:s, s:o, s:o, s:O}", "certname", certname, "environment", environment,
                     "producer_timestamp", ps_time_json(fake_now_ms(&r->ps->base)), "values",
                     json_is_object(values) ? json_deep_copy(values) : json_object(), "producer",
                     json_object_get(r->ps->config, "certname"));
}

/* An agent that asks for an unknown environment is served from production, without complaint. */
static bool environment_for_agent(struct ps_request *r, const char *name, struct ps_environment *env) {
    if (name != NULL && !ps_environment_name_legal(name)) {
        ps_issue(r, 400, "RUNTIME_ERROR", "The environment must be purely alphanumeric, not '%s'", name);
        return false;
    }
    if ((name != NULL && ps_environment_open(r->ps, name, env)) || ps_environment_open(r->ps, "production", env)) {
        return true;
    }
    ps_issue(r, 404, "RUNTIME_ERROR", "Could not find environment '%s'", name != NULL ? name : "production");
    return false;
}

/* The facts of a form body: JSON that was escaped before it was put into the form. NULL: none, or not readable. */
static json_t *facts_of_form(struct span form) {
    char *once = query_get(form, "facts");
    struct buf twice = BUF_INIT;
    json_t *facts = NULL;
    if (once != NULL && percent_decode(&twice, span_of(once))) {
        facts = json_parse(buf_span(&twice), "facts", NULL);
    }
    buf_free(&twice);
    mem_free(once);
    return facts;
}

/* Where the parameters of a catalog request are: the query, or the form of a POST. */
struct catalog_form {
    char *environment, *transaction_uuid, *job_id;
    json_t *facts;
};

static char *form_value(struct ps_request *r, const char *name) {
    const char *in_query = http_query(r->ex, name);
    if (in_query != NULL) {
        return str_dup(in_query);
    }
    return strcmp(r->method, "POST") == 0 ? query_get(http_request(r->ex)->body, name) : NULL;
}

static struct catalog_form read_form(struct ps_request *r) {
    struct catalog_form f = {form_value(r, "environment"), form_value(r, "transaction_uuid"), form_value(r, "job_id"),
                             NULL};
    f.facts = facts_of_form(strcmp(r->method, "POST") == 0 ? http_request(r->ex)->body : SPAN(""));
    return f;
}

static void form_clear(struct catalog_form *f) {
    mem_free(f->environment);
    mem_free(f->transaction_uuid);
    mem_free(f->job_id);
    json_decref(f->facts);
}

static void send_catalog(struct ps_request *r, json_t *catalog) {
    const char *accept = http_header(r->ex, "accept");
    bool rich =
        accept != NULL && (strstr(accept, "application/vnd.puppet.rich+json") != NULL || strcmp(accept, "*/*") == 0);
    http_set_header(r->ex, "X-Puppet-Compiler-Name", json_str(r->ps->config, "certname"));
    ps_json_as(r, 200, rich ? "application/vnd.puppet.rich+json; charset=utf-8" : "application/json;charset=utf-8",
               catalog);
}

static void answer_catalog(struct ps_request *r, const struct ps_environment *env, const struct catalog_form *f) {
    const char *certname = r->params[0];
    struct error err = ERROR_INIT;
    if (f->facts != NULL) {
        ps_keep_facts(r, certname, f->facts);
        if (!ps_submit(r, "replace facts", 5, certname, ps_facts_wire(r, certname, env->name, f->facts))) {
            return;
        }
    }
    json_t *catalog = ps_compile(r, &(struct ps_compile){certname, env}, &err);
    if (catalog == NULL) {
        ps_issue(r, 500, "RUNTIME_ERROR", "%s", err.msg);
    } else if (ps_submit(r, "replace catalog", 9, certname,
                         ps_catalog_wire(r, catalog, f->transaction_uuid, f->job_id))) {
        send_catalog(r, json_incref(catalog));
    }
    json_decref(catalog);
    error_clear(&err);
}

void ps_catalog(struct ps_request *r) {
    struct catalog_form f = read_form(r);
    struct ps_environment env;
    if (environment_for_agent(r, f.environment, &env)) {
        if (ps_version_known(r, &env)) {
            answer_catalog(r, &env, &f);
        }
        ps_environment_close(&env);
    }
    form_clear(&f);
}

/* A copy of a node's facts: as it submitted them here, or as PuppetDB has them. NULL: none are known. */
static json_t *facts_of(struct ps_request *r, const char *certname) {
    const json_t *kept = json_object_get(json_object_get(r->ps->config, "facts"), certname);
    if (kept != NULL || r->ps->query == NULL) {
        return kept != NULL ? json_deep_copy(kept) : NULL;
    }
    json_t *ast = json_pack("[s, s, [s, [s, s], [s, s, s]]]", "from", "facts", "extract", "name", "value", "=",
                            "certname", certname);
    json_t *rows = r->ps->query(r->ps->query_ctx, ast, NULL), *facts = NULL, *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        facts = facts != NULL ? facts : json_object();
        json_object_set(facts, json_str(row, "name"), json_object_get(row, "value"));
    }
    json_decref(ast);
    json_decref(rows);
    return facts;
}

void ps_node(struct ps_request *r) {
    const char *name = http_query(r->ex, "environment");
    struct ps_environment env;
    if (!ps_environment_of_file(r, "node", &env)) {
        return;
    }
    json_t *node = json_pack("{s:s, s:s}", "name", r->params[0], "environment", name);
    json_t *parameters = facts_of(r, r->params[0]);
    if (parameters != NULL) {
        json_set(parameters, "clientcert", json_string(r->params[0]));
        json_set(node, "parameters", parameters);
    }
    ps_json(r, 200, node);
    ps_environment_close(&env);
}

/* The body as JSON; NULL after answering 400 with the parser's words. */
static json_t *submitted(struct ps_request *r) {
    struct span body = http_request(r->ex)->body;
    json_t *value = json_parse(body, "body", NULL);
    if (value == NULL || !json_is_object(value)) {
        json_decref(value);
        struct span shown = span_is_utf8(body) ? span_trim(body) : SPAN("");
        ps_issue(r, 400, "RUNTIME_ERROR",
                 "The request body is invalid: Could not intern from json: unexpected token at '%.*s'", (int)shown.len,
                 shown.ptr != NULL ? shown.ptr : "");
        return NULL;
    }
    return value;
}

void ps_facts_put(struct ps_request *r) {
    struct ps_environment env;
    if (!ps_environment_of_file(r, "facts", &env)) {
        return;
    }
    json_t *facts = submitted(r);
    if (facts != NULL) {
        char uuid[37];
        world_uuid(r->ps->base.world, uuid);
        ps_keep_facts(r, r->params[0], facts);
        if (ps_submit(r, "replace facts", 5, r->params[0], ps_facts_wire(r, r->params[0], env.name, facts))) {
            ps_json(r, 200, json_pack("{s:s}", "uuid", uuid));
        }
        json_decref(facts);
    }
    ps_environment_close(&env);
}

void ps_report_put(struct ps_request *r) {
    struct ps_environment env;
    if (!ps_environment_of_file(r, "report", &env)) {
        return;
    }
    json_t *report = submitted(r);
    if (report != NULL) {
        json_array_append(r->ps->reports, report);
        if (json_array_size(r->ps->reports) > PS_REPORTS_MAX) {
            json_array_remove(r->ps->reports, 0);
        }
        json_t *wire =
            ps_report_wire(report, r->params[0], json_str(r->ps->config, "certname"), fake_now_ms(&r->ps->base));
        if (ps_submit(r, "store report", 8, r->params[0], wire)) {
            ps_json(r, 200, json_pack("[s]", "puppetdb"));
        }
        json_decref(report);
    }
    ps_environment_close(&env);
}
