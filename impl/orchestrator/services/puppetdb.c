/* PuppetDB: queries of ours and of users (orchestrator-jobs.md §13.3). */
#include "base/mem.h"
#include "orchestrator/services/internal.h"
#include <string.h>

static json_t *read_rows(struct ask *ask, const struct world_response *r, struct error *err) {
    json_t *details = json_object();
    json_t *query = json_parse(span_of(ask->detail), "query", NULL);
    json_set(details, "query", query);
    if (r->err != NULL) {
        error_set_details(err, "puppetlabs.orchestrator/puppetdb-error", details, "PuppetDB does not answer: %s",
                          r->err->msg);
        return NULL;
    }
    if (r->status != 200) {
        struct span text = span_trim(r->body);
        const char *kind =
            r->status >= 500 ? "puppetlabs.orchestrator/puppetdb-error" : "puppetlabs.orchestrator/query-error";
        error_set_details(err, kind, details, "PuppetDB refused the query (status %d): %.*s", r->status,
                          (int)(text.len > 2000 ? 2000 : text.len), text.ptr);
        return NULL;
    }
    json_t *rows = json_parse(r->body, "rows", NULL);
    if (!json_is_array(rows)) {
        json_decref(rows);
        error_set_details(err, "puppetlabs.orchestrator/puppetdb-error", details,
                          "PuppetDB's answer is no list of rows");
        return NULL;
    }
    json_decref(details);
    return rows;
}

static void ask_rows(struct services *s, const char *token, json_t *query, services_rows *done, void *ctx) {
    json_t *body = json_object();
    json_set(body, "query", json_incref(query));
    char *detail = json_text(query);
    ask_start(s,
              &(struct ask_opts){.method = "POST",
                                 .url = str_printf("%s/pdb/query/v4", s->config->puppetdb_url),
                                 .body = body,
                                 .token = token,
                                 .read = read_rows,
                                 .detail = detail},
              done, ctx);
    mem_free(detail);
}

void services_puppetdb(struct services *s, json_t *ast, services_rows *done, void *ctx) {
    ask_rows(s, NULL, ast, done, ctx);
}

void services_user_query(struct services *s, const char *token, json_t *query, services_rows *done, void *ctx) {
    ask_rows(s, token, query, done, ctx);
}
