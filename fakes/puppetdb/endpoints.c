/* The query endpoints: which entity a path asks for, and which conditions it adds (puppetdb.md §2). */
#include "base/json.h"
#include "event_counts.h"
#include "pql/ast.h"
#include "rows.h"
#include "run.h"
#include <string.h>

/* A condition "field = part of the path". */
struct restriction {
    const char *field, *param;
};

enum { RESTRICTIONS_MAX = 4 };

/* What must be known before anything else is looked at: an object of `entity` by `field`. */
struct parent {
    const char *entity, *field, *param;
    const char *word; /* in "No information is known about …" */
};

struct endpoint {
    const char *entity;
    bool only_active; /* active nodes only, unless the query says otherwise */
    struct restriction restrictions[RESTRICTIONS_MAX];
    const struct parent *parent;
    unsigned params;
    void (*respond)(struct fake_puppetdb *p, struct http_exchange *ex, const struct endpoint *e);
};

static const struct parent of_node = {"nodes", "certname", "node", "node"};
static const struct parent of_catalog = {"catalogs", "certname", "node", "catalog"};
static const struct parent of_factset = {"factsets", "certname", "node", "factset"};
static const struct parent of_environment = {"environments", "name", "environment", "environment"};
static const struct parent of_producer = {"producers", "name", "producer", "producer"};
static const struct parent of_report = {"reports", "hash", "hash", "report"};

/* ---------------------------------------------------------------- answering */

static json_t *equals(const char *field, const char *value) {
    return json_pack("[s, s, s]", "=", field, value);
}

/* The query of the caller with the endpoint's conditions, as ["from", …]. */
static json_t *restricted(const struct endpoint *e, struct http_exchange *ex, json_t *query) {
    json_t *result = e->only_active ? ast_restrict_to_active(query) : query != NULL ? json_incref(query) : NULL;
    for (size_t i = 0; i < RESTRICTIONS_MAX && e->restrictions[i].field != NULL; i++) {
        const struct restriction *r = &e->restrictions[i];
        json_t *more = ast_add_condition(result, equals(r->field, http_param(ex, r->param)));
        json_decref(result);
        result = more;
    }
    return result != NULL ? json_pack("[s, s, o]", "from", e->entity, result) : json_pack("[s, s]", "from", e->entity);
}

static void respond_rows(struct fake_puppetdb *p, struct http_exchange *ex, const struct endpoint *e) {
    struct query_request r;
    struct error err = ERROR_INIT;
    if (!request_read(ex, e->params, &r, &err)) {
        puppetdb_query_error(ex, &err);
        error_clear(&err);
        return;
    }
    json_t *query = restricted(e, ex, r.query);
    run_and_respond(p, ex, query, &r);
    json_decref(query);
    request_free(&r);
}

/* The object itself, or 404. */
static void respond_single(struct fake_puppetdb *p, struct http_exchange *ex, const struct endpoint *e) {
    struct query_request r;
    struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;
    const struct parent *what = e->parent;
    const char *name = http_param(ex, what->param);
    bool ok = request_read(ex, e->params, &r, &err);
    if (ok) {
        json_t *query = json_pack("[s, s, o]", "from", e->entity, equals(what->field, name));
        ok = run_single(p, query, r.facts_expiration, &out, &err);
        json_decref(query);
        request_free(&r);
    }
    if (!ok) {
        puppetdb_query_error(ex, &err);
    } else if (out.len == 0) {
        puppetdb_not_found_object(ex, what->word, name);
    } else {
        puppetdb_json(ex, 200, buf_span(&out));
    }
    error_clear(&err);
    buf_free(&out);
}

/* [{"name": "augeas"}] → ["augeas"] */
static void names_of_rows(struct buf *text) {
    json_t *rows = json_loadb(text->ptr, text->len, 0, NULL);
    json_t *names = json_array();
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) {
        json_array_append(names, json_object_get(row, "name"));
    }
    buf_clear(text);
    json_write(text, names);
    json_decref(names);
    json_decref(rows);
}

static void respond_names(struct fake_puppetdb *p, struct http_exchange *ex, const struct endpoint *e) {
    struct query_request r;
    struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;
    int64_t total = -1;
    bool ok = request_read(ex, e->params, &r, &err);
    if (ok) {
        if (r.order_by == NULL) {
            r.order_by = json_pack("[[s, s]]", "name", "asc");
        }
        json_t *query = restricted(e, ex, r.query);
        ok = run_query(p, query, &r, &out, &total, &err);
        json_decref(query);
    }
    if (ok) {
        names_of_rows(&out);
        run_respond(ex, &r, &out, total);
    } else {
        puppetdb_query_error(ex, &err);
    }
    request_free(&r);
    error_clear(&err);
    buf_free(&out);
}

/* Logs or metrics of a report: what its one column holds. */
static void respond_report_data(struct fake_puppetdb *p, struct http_exchange *ex, const struct endpoint *e) {
    struct query_request r;
    struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;
    bool ok = request_read(ex, e->params, &r, &err);
    if (ok) {
        bool logs = strcmp(e->entity, "logs") == 0;
        sqlite3_stmt *q = pdb_query(p->store,
                                    logs ? "SELECT ifnull(logs, 'null') FROM report WHERE hash = ?"
                                         : "SELECT ifnull(metrics, 'null') FROM report WHERE hash = ?",
                                    "T", http_param(ex, "hash"));
        if (sqlite3_step(q) == SQLITE_ROW) {
            buf_append(&out, sqlite3_column_text(q, 0), (size_t)sqlite3_column_bytes(q, 0));
        }
        sqlite3_reset(q);
        puppetdb_json(ex, 200, buf_span(&out));
        request_free(&r);
    } else {
        puppetdb_query_error(ex, &err);
    }
    error_clear(&err);
    buf_free(&out);
}

/* Broken in PuppetDB 7: whatever is asked, its own check of types fails. */
static void respond_report_events(struct fake_puppetdb *p, struct http_exchange *ex, const struct endpoint *e) {
    (void)p;
    (void)e;
    puppetdb_text(ex, 500,
                  SPAN("Input to produce-streaming-body does not match schema: \n\n\t \x1b[0;33m  [nil nil (named (not "
                       "(instance? java.lang.String nil)) query-uuid) nil] \x1b[0m \n\n"));
}

static void respond_root(struct fake_puppetdb *p, struct http_exchange *ex, const struct endpoint *e) {
    struct query_request r;
    struct error err = ERROR_INIT;
    if (!request_read(ex, e->params, &r, &err)) {
        puppetdb_query_error(ex, &err);
        error_clear(&err);
        return;
    }
    if (r.ast_only) {
        puppetdb_json_value(ex, 200, r.query != NULL ? json_incref(r.query) : json_null());
        request_free(&r);
        return;
    }
    json_t *query = r.query != NULL ? ast_restrict_root(r.query) : json_null();
    run_and_respond(p, ex, query, &r);
    json_decref(query);
    request_free(&r);
}

static void respond_counted(struct fake_puppetdb *p, struct http_exchange *ex, const struct endpoint *e,
                            bool (*count)(struct fake_puppetdb *, const struct query_request *, struct buf *,
                                          struct error *)) {
    struct query_request r;
    struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;
    bool ok = request_read(ex, e->params, &r, &err) && count(p, &r, &out, &err);
    if (ok) {
        run_respond(ex, &r, &out, -1);
    } else {
        puppetdb_query_error(ex, &err);
    }
    request_free(&r);
    error_clear(&err);
    buf_free(&out);
}

static void respond_counts(struct fake_puppetdb *p, struct http_exchange *ex, const struct endpoint *e) {
    respond_counted(p, ex, e, event_counts_write);
}

static void respond_aggregate_counts(struct fake_puppetdb *p, struct http_exchange *ex, const struct endpoint *e) {
    respond_counted(p, ex, e, event_counts_write_aggregate);
}

/* ---------------------------------------------------------------- the table */

#define ROWS(ENTITY, ACTIVE) .entity = ENTITY, .only_active = ACTIVE, .params = PARAMS_TYPICAL, .respond = respond_rows
#define SINGLE(ENTITY, PARENT)                                                                                         \
    .entity = ENTITY, .parent = &PARENT, .params = PARAMS_TYPICAL | PARAMS_SINGLE, .respond = respond_single
#define UNDER(PARENT) .parent = &PARENT
#define BY(...) .restrictions = {__VA_ARGS__}

#define BY_NODE                                                                                                        \
    { "certname", "node" }
#define BY_ENVIRONMENT                                                                                                 \
    { "environment", "environment" }
#define BY_PRODUCER                                                                                                    \
    { "producer", "producer" }
#define BY_FACT                                                                                                        \
    { "name", "fact" }
#define BY_VALUE                                                                                                       \
    { "value", "value" }
#define BY_TYPE                                                                                                        \
    { "type", "type" }
#define BY_TITLE                                                                                                       \
    { "title", "title" }

#define ENDPOINT(NAME, ...) static const struct endpoint NAME = {__VA_ARGS__}

ENDPOINT(root, .params = PARAMS_TYPICAL | PARAMS_ROOT, .respond = respond_root);
ENDPOINT(nodes, ROWS("nodes", true));
ENDPOINT(node, SINGLE("nodes", of_node));
ENDPOINT(node_facts, ROWS("facts", true), UNDER(of_node), BY(BY_NODE));
ENDPOINT(node_fact, ROWS("facts", true), UNDER(of_node), BY(BY_NODE, BY_FACT));
ENDPOINT(node_fact_value, ROWS("facts", true), UNDER(of_node), BY(BY_NODE, BY_FACT, BY_VALUE));
ENDPOINT(node_resources, ROWS("resources", true), UNDER(of_node), BY(BY_NODE));
ENDPOINT(node_resources_type, ROWS("resources", true), UNDER(of_node), BY(BY_NODE, BY_TYPE));
ENDPOINT(node_resources_title, ROWS("resources", true), UNDER(of_node), BY(BY_NODE, BY_TYPE, BY_TITLE));
ENDPOINT(inventory, ROWS("inventory", true));
ENDPOINT(facts, ROWS("facts", true));
ENDPOINT(facts_name, ROWS("facts", true), BY(BY_FACT));
ENDPOINT(facts_value, ROWS("facts", true), BY(BY_FACT, BY_VALUE));
ENDPOINT(fact_names, .entity = "fact_names", .params = PARAMS_TYPICAL, .respond = respond_names);
ENDPOINT(fact_paths, ROWS("fact_paths", false));
ENDPOINT(fact_contents, ROWS("fact_contents", true));
ENDPOINT(factsets, ROWS("factsets", true));
ENDPOINT(factset, SINGLE("factsets", of_factset));
ENDPOINT(factset_facts, ROWS("factsets", false), UNDER(of_factset), BY(BY_NODE));
ENDPOINT(catalogs, ROWS("catalogs", false));
ENDPOINT(catalog, SINGLE("catalogs", of_catalog));
ENDPOINT(catalog_edges, ROWS("edges", true), UNDER(of_catalog), BY(BY_NODE));
ENDPOINT(catalog_resources, ROWS("resources", true), UNDER(of_catalog), BY(BY_NODE));
ENDPOINT(catalog_resources_type, ROWS("resources", true), UNDER(of_catalog), BY(BY_NODE, BY_TYPE));
ENDPOINT(catalog_resources_title, ROWS("resources", true), UNDER(of_catalog), BY(BY_NODE, BY_TYPE, BY_TITLE));
ENDPOINT(resources, ROWS("resources", true));
ENDPOINT(resources_type, ROWS("resources", true), BY(BY_TYPE));
ENDPOINT(resources_title, ROWS("resources", true), BY(BY_TYPE, BY_TITLE));
ENDPOINT(edges, ROWS("edges", true));
ENDPOINT(reports, ROWS("reports", false));
ENDPOINT(report_events, UNDER(of_report), .respond = respond_report_events);
ENDPOINT(report_logs, .entity = "logs", UNDER(of_report), .params = PARAMS_SINGLE, .respond = respond_report_data);
ENDPOINT(report_metrics, .entity = "metrics", UNDER(of_report), .params = PARAMS_SINGLE,
         .respond = respond_report_data);
ENDPOINT(events, .entity = "events", .params = PARAMS_TYPICAL | PARAMS_DISTINCT, .respond = respond_rows);
ENDPOINT(event_counts, .params = PARAMS_TYPICAL | PARAMS_DISTINCT | PARAMS_COUNTS, .respond = respond_counts);
ENDPOINT(aggregate_event_counts, .params = PARAMS_TYPICAL | PARAMS_NO_PAGING | PARAMS_DISTINCT | PARAMS_COUNTS,
         .respond = respond_aggregate_counts);
ENDPOINT(environments, ROWS("environments", false));
ENDPOINT(environment, SINGLE("environments", of_environment));
ENDPOINT(environment_facts, ROWS("facts", true), UNDER(of_environment), BY(BY_ENVIRONMENT));
ENDPOINT(environment_fact, ROWS("facts", true), UNDER(of_environment), BY(BY_ENVIRONMENT, BY_FACT));
ENDPOINT(environment_fact_value, ROWS("facts", true), UNDER(of_environment), BY(BY_ENVIRONMENT, BY_FACT, BY_VALUE));
ENDPOINT(environment_resources, ROWS("resources", true), UNDER(of_environment), BY(BY_ENVIRONMENT));
ENDPOINT(environment_resources_type, ROWS("resources", true), UNDER(of_environment), BY(BY_ENVIRONMENT, BY_TYPE));
ENDPOINT(environment_resources_title, ROWS("resources", true), UNDER(of_environment),
         BY(BY_ENVIRONMENT, BY_TYPE, BY_TITLE));
ENDPOINT(environment_reports, ROWS("reports", false), UNDER(of_environment), BY(BY_ENVIRONMENT));
ENDPOINT(environment_events, .entity = "events", .params = PARAMS_TYPICAL | PARAMS_DISTINCT, .respond = respond_rows,
         UNDER(of_environment), BY(BY_ENVIRONMENT));
ENDPOINT(producers, ROWS("producers", false));
ENDPOINT(producer, SINGLE("producers", of_producer));
ENDPOINT(producer_factsets, ROWS("factsets", true), UNDER(of_producer), BY(BY_PRODUCER));
ENDPOINT(producer_catalogs, ROWS("catalogs", false), UNDER(of_producer), BY(BY_PRODUCER));
ENDPOINT(producer_reports, ROWS("reports", false), UNDER(of_producer), BY(BY_PRODUCER));
ENDPOINT(packages, ROWS("packages", false));
ENDPOINT(package_inventory, ROWS("package_inventory", true));
ENDPOINT(package_inventory_node, ROWS("package_inventory", false), BY(BY_NODE));
ENDPOINT(catalog_inputs, ROWS("catalog_inputs", true));
ENDPOINT(catalog_input_contents, ROWS("catalog_input_contents", true));

/* ---------------------------------------------------------------- routes */

static bool parent_is_known(struct fake_puppetdb *p, struct http_exchange *ex, const struct parent *parent) {
    struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;
    json_t *query = json_pack("[s, s, [s, [s], [s, s, s]]]", "from", parent->entity, "extract", parent->field, "=",
                              parent->field, http_param(ex, parent->param));
    bool known = run_single(p, query, false, &out, &err) && out.len > 0;
    json_decref(query);
    buf_free(&out);
    error_clear(&err);
    return known;
}

static void handle(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    struct fake_puppetdb *p = puppetdb_of(f);
    const struct endpoint *e = route->data;
    if (!puppetdb_admit(p, ex, "nodes:view_data:*") || !puppetdb_check_content(ex)) {
        return;
    }
    if (p->database_down) {
        puppetdb_text(ex, 500, SPAN("Connection refused"));
        return;
    }
    if (e->parent != NULL && e->respond != respond_single && !parent_is_known(p, ex, e->parent)) {
        puppetdb_not_found_object(ex, e->parent->word, http_param(ex, e->parent->param));
        return;
    }
    e->respond(p, ex, e);
}

#define V4 "/pdb/query/v4"
#define ROUTE(PATTERN, NAME)                                                                                           \
    { NULL, V4 PATTERN, handle, &NAME }

const struct fake_route puppetdb_query_routes[] = {
    ROUTE("", root),
    ROUTE("/nodes", nodes),
    ROUTE("/nodes/:node", node),
    ROUTE("/nodes/:node/facts", node_facts),
    ROUTE("/nodes/:node/facts/:fact", node_fact),
    ROUTE("/nodes/:node/facts/:fact/:value", node_fact_value),
    ROUTE("/nodes/:node/resources", node_resources),
    ROUTE("/nodes/:node/resources/:type", node_resources_type),
    ROUTE("/nodes/:node/resources/:type/:title", node_resources_title),
    ROUTE("/inventory", inventory),
    ROUTE("/facts", facts),
    ROUTE("/facts/:fact", facts_name),
    ROUTE("/facts/:fact/:value", facts_value),
    ROUTE("/fact-names", fact_names),
    ROUTE("/fact-paths", fact_paths),
    ROUTE("/fact-contents", fact_contents),
    ROUTE("/factsets", factsets),
    ROUTE("/factsets/:node", factset),
    ROUTE("/factsets/:node/facts", factset_facts),
    ROUTE("/catalogs", catalogs),
    ROUTE("/catalogs/:node", catalog),
    ROUTE("/catalogs/:node/edges", catalog_edges),
    ROUTE("/catalogs/:node/resources", catalog_resources),
    ROUTE("/catalogs/:node/resources/:type", catalog_resources_type),
    ROUTE("/catalogs/:node/resources/:type/:title", catalog_resources_title),
    ROUTE("/resources", resources),
    ROUTE("/resources/:type", resources_type),
    ROUTE("/resources/:type/:title", resources_title),
    ROUTE("/edges", edges),
    ROUTE("/reports", reports),
    ROUTE("/reports/:hash/events", report_events),
    ROUTE("/reports/:hash/logs", report_logs),
    ROUTE("/reports/:hash/metrics", report_metrics),
    ROUTE("/events", events),
    ROUTE("/event-counts", event_counts),
    ROUTE("/aggregate-event-counts", aggregate_event_counts),
    ROUTE("/environments", environments),
    ROUTE("/environments/:environment", environment),
    ROUTE("/environments/:environment/facts", environment_facts),
    ROUTE("/environments/:environment/facts/:fact", environment_fact),
    ROUTE("/environments/:environment/facts/:fact/:value", environment_fact_value),
    ROUTE("/environments/:environment/resources", environment_resources),
    ROUTE("/environments/:environment/resources/:type", environment_resources_type),
    ROUTE("/environments/:environment/resources/:type/:title", environment_resources_title),
    ROUTE("/environments/:environment/reports", environment_reports),
    ROUTE("/environments/:environment/events", environment_events),
    ROUTE("/producers", producers),
    ROUTE("/producers/:producer", producer),
    ROUTE("/producers/:producer/factsets", producer_factsets),
    ROUTE("/producers/:producer/catalogs", producer_catalogs),
    ROUTE("/producers/:producer/reports", producer_reports),
    ROUTE("/packages", packages),
    ROUTE("/package-inventory", package_inventory),
    ROUTE("/package-inventory/:node", package_inventory_node),
    ROUTE("/catalog-inputs", catalog_inputs),
    ROUTE("/catalog-input-contents", catalog_input_contents),
    {NULL, NULL, NULL, NULL},
};
