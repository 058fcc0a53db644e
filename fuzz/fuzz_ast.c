/* links: fake_puppetdb pql base */
/* Queries, PQL or AST, all the way to SQL: whatever passes the checks must be SQL that SQLite can run, and its answer
 * must be JSON. */
#include "base/json.h"
#include "base/mem.h"
#include "fakes/puppetdb/rows.h"
#include "fakes/puppetdb/sql.h"
#include "fakes/puppetdb/store.h"
#include "pql/ast.h"
#include "pql/plan.h"
#include "pql/query_text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char facts[] = "{\"certname\": \"a1\", \"environment\": \"production\", \"producer_timestamp\": "
                            "\"2026-01-01T00:00:00Z\", \"producer\": "
                            "\"p\", \"values\": {\"os\": {\"family\": \"Debian\"}, \"n\": 1, \"f\": 1.5, \"t\": true, "
                            "\"z\": null, \"l\": [1, \"x\", {}]}, "
                            "\"package_inventory\": [[\"a\", \"1\", \"apt\"]]}";
static const char catalog[] = "{\"certname\": \"a1\", \"version\": \"1\", \"environment\": \"production\", "
                              "\"producer_timestamp\": \"2026-01-01T00:00:00Z\", "
                              "\"resources\": [{\"type\": \"Class\", \"title\": \"A\", \"tags\": [\"a\"], "
                              "\"parameters\": {\"x\": 1}}], \"edges\": []}";

static struct pdb *filled(void) {
    struct pdb *s = pdb_open(NULL, NULL, NULL);
    json_t *f = json_loads(facts, 0, NULL), *c = json_loads(catalog, 0, NULL);
    pdb_replace_facts(s, f, 0, NULL);
    pdb_replace_catalog(s, c, 0, NULL);
    json_decref(f);
    json_decref(c);
    return s;
}

static void run(struct pdb *s, const struct plan *plan) {
    struct error err = ERROR_INIT;
    struct sql sql;
    if (sql_build(plan, NULL, &sql, &err)) {
        struct buf out = BUF_INIT;
        if (rows_write(s, &sql, &out, &err)) {
            json_t *rows = json_loadb(out.ptr, out.len, JSON_ALLOW_NUL, NULL);
            if (!json_is_array(rows)) {
                fprintf(stderr, "no JSON: %s\n", out.ptr);
                abort();
            }
            json_decref(rows);
        } else if (error_is(&err, "puppetdb/database") && strstr(err.msg, "too large") == NULL &&
                   strstr(err.msg, "too many") == NULL && strstr(err.msg, "parser stack overflow") == NULL) {
            fprintf(stderr, "%s: %s\n", err.msg, sql.text.ptr);
            abort();
        }
        buf_free(&out);
        sql_free(&sql);
    }
    error_clear(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct pdb *s; /* filled once: what is run only reads */
    s = s == NULL ? filled() : s;
    struct error err = ERROR_INIT;
    enum { LONGEST = 2000 };
    json_t *query = size <= LONGEST ? query_parse(span_bytes(data, size), &err) : NULL;
    if (query != NULL) {
        json_t *active = ast_restrict_to_active(query);
        struct plan_options options = {.paging = {NULL, PLAN_NO_LIMIT, PLAN_NO_LIMIT}};
        struct plan *plan = plan_build(active, &options, &err);
        if (plan != NULL) {
            run(s, plan);
        } else if (!error_is_set(&err)) {
            abort();
        }
        plan_free(plan);
        json_decref(active);
        json_decref(query);
    }
    error_clear(&err);
    return 0;
}
