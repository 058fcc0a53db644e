/* The tables of entity.h. The order of fields is the one in which PuppetDB 7 lists them in its error texts. */
#include "entity.h"
#include "base/mem.h"
#include "quote.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { Q = FIELD_QUERYABLE, HIDDEN = FIELD_HIDDEN };
#define END_OF_FIELDS                                                                                                  \
    { NULL, FIELD_STRING, 0 }

static const struct field catalog_fields[] = {
    {"code_id", FIELD_STRING, Q},
    {"certname", FIELD_STRING, Q},
    {"hash", FIELD_STRING, Q},
    {"transaction_uuid", FIELD_STRING, Q},
    {"job_id", FIELD_STRING, Q},
    {"producer", FIELD_STRING, Q},
    {"catalog_uuid", FIELD_STRING, Q},
    {"environment", FIELD_STRING, Q},
    {"edges", FIELD_JSON, 0},
    {"version", FIELD_STRING, Q},
    {"producer_timestamp", FIELD_TIMESTAMP, Q},
    {"resources", FIELD_JSON, 0},
    END_OF_FIELDS,
};

static const struct field catalog_input_fields[] = {
    {"certname", FIELD_STRING, Q},
    {"producer_timestamp", FIELD_TIMESTAMP, Q},
    {"catalog_uuid", FIELD_STRING, Q},
    {"inputs", FIELD_ARRAY, Q},
    END_OF_FIELDS,
};

static const struct field catalog_input_content_fields[] = {
    {"certname", FIELD_STRING, Q},     {"producer_timestamp", FIELD_TIMESTAMP, Q},
    {"catalog_uuid", FIELD_STRING, Q}, {"name", FIELD_STRING, Q},
    {"type", FIELD_STRING, Q},         END_OF_FIELDS,
};

static const struct field edge_fields[] = {
    {"certname", FIELD_STRING, Q},
    {"relationship", FIELD_STRING, Q},
    {"source_title", FIELD_STRING, Q},
    {"source_type", FIELD_STRING, Q},
    {"target_title", FIELD_STRING, Q},
    {"target_type", FIELD_STRING, Q},
    END_OF_FIELDS,
};

static const struct field name_fields[] = {{"name", FIELD_STRING, Q}, END_OF_FIELDS};

static const struct field event_fields[] = {
    {"message", FIELD_STRING, Q},
    {"report_id", FIELD_NUMERIC, HIDDEN},
    {"old_value", FIELD_STRING, Q},
    {"report_receive_time", FIELD_TIMESTAMP, Q},
    {"corrective_change", FIELD_BOOLEAN, Q},
    {"containment_path", FIELD_ARRAY, Q},
    {"certname", FIELD_STRING, Q},
    {"timestamp", FIELD_TIMESTAMP, Q},
    {"run_end_time", FIELD_TIMESTAMP, Q},
    {"name", FIELD_STRING, Q},
    {"configuration_version", FIELD_STRING, Q},
    {"new_value", FIELD_STRING, Q},
    {"resource_title", FIELD_STRING, Q},
    {"status", FIELD_STRING, Q},
    {"property", FIELD_STRING, Q},
    {"resource_type", FIELD_STRING, Q},
    {"line", FIELD_NUMERIC, Q},
    {"environment", FIELD_STRING, Q},
    {"containing_class", FIELD_STRING, Q},
    {"run_start_time", FIELD_TIMESTAMP, Q},
    {"latest_report?", FIELD_BOOLEAN, Q | HIDDEN | FIELD_CONDITION},
    {"file", FIELD_STRING, Q},
    {"report", FIELD_STRING, Q},
    END_OF_FIELDS,
};

static const struct field fact_fields[] = {
    {"certname", FIELD_STRING, Q},
    {"environment", FIELD_STRING, Q},
    {"name", FIELD_STRING, Q},
    {"value", FIELD_SCALAR, Q},
    END_OF_FIELDS,
};

static const struct field fact_content_fields[] = {
    {"certname", FIELD_STRING, Q}, {"environment", FIELD_STRING, Q}, {"path", FIELD_PATH, Q},
    {"name", FIELD_STRING, Q},     {"value", FIELD_SCALAR, Q},       END_OF_FIELDS,
};

static const struct field fact_path_fields[] = {
    {"type", FIELD_STRING, Q},
    {"path", FIELD_ENCODED_PATH, Q},
    {"name", FIELD_STRING, Q},
    {"depth", FIELD_NUMERIC, Q | HIDDEN},
    END_OF_FIELDS,
};

#define FACTSET_FIELDS                                                                                                 \
    {"timestamp", FIELD_TIMESTAMP, Q}, {"facts", FIELD_DOCUMENT, Q}, {"certname", FIELD_STRING, Q},                    \
        {"hash", FIELD_STRING, Q}, {"producer_timestamp", FIELD_TIMESTAMP, Q}, {"producer", FIELD_STRING, Q}, {        \
        "environment", FIELD_STRING, Q                                                                                 \
    }
static const struct field factset_fields[] = {FACTSET_FIELDS, END_OF_FIELDS};
static const struct field factset_package_fields[] = {
    FACTSET_FIELDS, {"package_inventory", FIELD_ARRAY, 0}, END_OF_FIELDS};

static const struct field inventory_fields[] = {
    {"certname", FIELD_STRING, Q},
    {"timestamp", FIELD_TIMESTAMP, Q},
    {"environment", FIELD_STRING, Q},
    {"facts", FIELD_DOCUMENT, Q | FIELD_PROJECT_PATH},
    {"trusted", FIELD_DOCUMENT, Q | FIELD_PROJECT_PATH},
    END_OF_FIELDS,
};

static const struct field node_fields[] = {
    {"latest_report_corrective_change", FIELD_BOOLEAN, Q},
    {"deactivated", FIELD_STRING, Q | FIELD_STORED_TIME},
    {"expired", FIELD_TIMESTAMP, Q},
    {"report_environment", FIELD_STRING, Q},
    {"certname", FIELD_STRING, Q},
    {"facts_timestamp", FIELD_TIMESTAMP, Q},
    {"facts_environment", FIELD_STRING, Q},
    {"cached_catalog_status", FIELD_STRING, Q},
    {"latest_report_status", FIELD_STRING, Q},
    {"latest_report_hash", FIELD_STRING, Q},
    {"catalog_timestamp", FIELD_TIMESTAMP, Q},
    {"latest_report_noop_pending", FIELD_BOOLEAN, Q},
    {"report_timestamp", FIELD_TIMESTAMP, Q},
    {"latest_report_noop", FIELD_BOOLEAN, Q},
    {"catalog_environment", FIELD_STRING, Q},
    {"latest_report_job_id", FIELD_STRING, Q},
    END_OF_FIELDS,
};

static const struct field node_expiration_fields[] = {
    {"latest_report_corrective_change", FIELD_BOOLEAN, Q},
    {"deactivated", FIELD_STRING, Q | FIELD_STORED_TIME},
    {"expired", FIELD_TIMESTAMP, Q},
    {"report_environment", FIELD_STRING, Q},
    {"certname", FIELD_STRING, Q},
    {"expires_facts", FIELD_BOOLEAN, Q},
    {"facts_timestamp", FIELD_TIMESTAMP, Q},
    {"facts_environment", FIELD_STRING, Q},
    {"cached_catalog_status", FIELD_STRING, Q},
    {"latest_report_status", FIELD_STRING, Q},
    {"latest_report_hash", FIELD_STRING, Q},
    {"catalog_timestamp", FIELD_TIMESTAMP, Q},
    {"latest_report_noop_pending", FIELD_BOOLEAN, Q},
    {"report_timestamp", FIELD_TIMESTAMP, Q},
    {"latest_report_noop", FIELD_BOOLEAN, Q},
    {"expires_facts_updated", FIELD_TIMESTAMP, Q},
    {"catalog_environment", FIELD_STRING, Q},
    {"latest_report_job_id", FIELD_STRING, Q},
    END_OF_FIELDS,
};

static const struct field package_fields[] = {
    {"package_name", FIELD_STRING, Q}, {"version", FIELD_STRING, Q}, {"provider", FIELD_STRING, Q}, END_OF_FIELDS};

static const struct field package_inventory_fields[] = {
    {"certname", FIELD_STRING, Q},
    {"package_name", FIELD_STRING, Q},
    {"version", FIELD_STRING, Q},
    {"provider", FIELD_STRING, Q},
    END_OF_FIELDS,
};

static const struct field report_fields[] = {
    {"receive_time", FIELD_TIMESTAMP, Q},
    {"corrective_change", FIELD_STRING, Q | FIELD_STORED_BOOLEAN},
    {"code_id", FIELD_STRING, Q},
    {"noop", FIELD_BOOLEAN, Q},
    {"certname", FIELD_STRING, Q},
    {"puppet_version", FIELD_STRING, Q},
    {"hash", FIELD_STRING, Q},
    {"cached_catalog_status", FIELD_STRING, Q},
    {"transaction_uuid", FIELD_STRING, Q},
    {"configuration_version", FIELD_STRING, Q},
    {"status", FIELD_STRING, Q},
    {"job_id", FIELD_STRING, Q},
    {"producer", FIELD_STRING, Q},
    {"catalog_uuid", FIELD_STRING, Q},
    {"logs", FIELD_JSON, 0},
    {"noop_pending", FIELD_BOOLEAN, Q},
    {"end_time", FIELD_TIMESTAMP, Q},
    {"type", FIELD_STRING, Q},
    {"environment", FIELD_STRING, Q},
    {"latest_report?", FIELD_STRING, Q | HIDDEN | FIELD_CONDITION},
    {"start_time", FIELD_TIMESTAMP, Q},
    {"resource_events", FIELD_JSON, 0},
    {"metrics", FIELD_JSON, 0},
    {"producer_timestamp", FIELD_TIMESTAMP, Q},
    {"report_format", FIELD_NUMERIC, Q},
    END_OF_FIELDS,
};

static const struct field resource_fields[] = {
    {"resource", FIELD_STRING, Q},
    {"certname", FIELD_STRING, Q},
    {"tags", FIELD_ARRAY, Q},
    {"tag", FIELD_STRING, Q | HIDDEN | FIELD_CONDITION},
    {"exported", FIELD_STRING, Q | FIELD_STORED_BOOLEAN},
    {"line", FIELD_NUMERIC, Q},
    {"title", FIELD_STRING, Q},
    {"type", FIELD_STRING, Q},
    {"environment", FIELD_STRING, Q},
    {"file", FIELD_STRING, Q},
    {"parameters", FIELD_DOCUMENT, Q | FIELD_PROJECT_PATH},
    END_OF_FIELDS,
};

static const struct field certname_fields[] = {{"certname", FIELD_STRING, Q}, END_OF_FIELDS};
static const struct field latest_hash_fields[] = {{"latest_report_hash", FIELD_STRING, Q}, END_OF_FIELDS};
static const struct field latest_id_fields[] = {{"latest_report_id", FIELD_NUMERIC, Q}, END_OF_FIELDS};
static const struct field param_fields[] = {{"res_param_resource", FIELD_STRING, Q},
                                            {"res_param_name", FIELD_STRING, Q},
                                            {"res_param_value", FIELD_STRING, Q},
                                            END_OF_FIELDS};
static const struct field report_logs_fields[] = {
    {"logs", FIELD_JSON, 0}, {"hash", FIELD_STRING, Q | HIDDEN}, {"type", FIELD_STRING, Q | HIDDEN}, END_OF_FIELDS};
static const struct field report_metrics_fields[] = {
    {"metrics", FIELD_JSON, 0}, {"hash", FIELD_STRING, Q | HIDDEN}, {"type", FIELD_STRING, Q | HIDDEN}, END_OF_FIELDS};

/* ---------------------------------------------------------------- relations */

#define BY_CERTNAME(entity)                                                                                            \
    {                                                                                                                  \
        entity, {"certname"}, {                                                                                        \
            "certname"                                                                                                 \
        }                                                                                                              \
    }
#define BY(entity, local, foreign)                                                                                     \
    {                                                                                                                  \
        entity, {local}, {                                                                                             \
            foreign                                                                                                    \
        }                                                                                                              \
    }
#define END_OF_RELATIONS                                                                                               \
    {                                                                                                                  \
        NULL, {NULL}, {                                                                                                \
            NULL                                                                                                       \
        }                                                                                                              \
    }

static const struct relation by_certname[] = {
    BY_CERTNAME("factsets"),       BY_CERTNAME("reports"),  BY_CERTNAME("package-inventory"),
    BY_CERTNAME("inventory"),      BY_CERTNAME("catalogs"), BY_CERTNAME("catalog_input_contents"),
    BY_CERTNAME("catalog_inputs"), BY_CERTNAME("nodes"),    BY_CERTNAME("facts"),
    BY_CERTNAME("fact_contents"),  BY_CERTNAME("events"),   BY_CERTNAME("edges"),
    BY_CERTNAME("resources"),      END_OF_RELATIONS,
};
static const struct relation of_facts[] = {BY("environments", "environment", "name"),
                                           {"fact_contents", {"certname", "name"}, {"certname", "name"}},
                                           END_OF_RELATIONS};
static const struct relation of_fact_contents[] = {
    BY("environments", "environment", "name"), {"facts", {"certname", "name"}, {"certname", "name"}}, END_OF_RELATIONS};
static const struct relation of_stored[] = {BY("environments", "environment", "name"),
                                            BY("producers", "producer", "name"), END_OF_RELATIONS};
static const struct relation of_reports[] = {BY("environments", "environment", "name"),
                                             BY("producers", "producer", "name"), BY("events", "hash", "report"),
                                             END_OF_RELATIONS};
static const struct relation of_events[] = {BY("environments", "environment", "name"), BY("reports", "report", "hash"),
                                            END_OF_RELATIONS};
static const struct relation of_resources[] = {BY_CERTNAME("catalogs"), BY_CERTNAME("nodes"),
                                               BY("environments", "environment", "name"), END_OF_RELATIONS};
static const struct relation of_fact_paths[] = {BY("facts", "name", "name"), BY("fact_contents", "path", "path"),
                                                END_OF_RELATIONS};
static const struct relation of_environments[] = {
    BY("inventory", "name", "environment"),
    BY("factsets", "name", "environment"),
    BY("catalogs", "name", "environment"),
    BY("reports", "name", "environment"),
    BY("facts", "name", "environment"),
    BY("fact_contents", "name", "environment"),
    BY("events", "name", "environment"),
    BY("resources", "name", "environment"),
    END_OF_RELATIONS,
};
static const struct relation of_producers[] = {BY("factsets", "name", "producer"), BY("catalogs", "name", "producer"),
                                               BY("reports", "name", "producer"), END_OF_RELATIONS};

/* ---------------------------------------------------------------- entities */

#define ENTITY(ID, NAME, ALIAS, FIELDS, ...)                                                                           \
    [ID] = {.id = ID, .name = NAME, .alias = ALIAS, .fields = FIELDS, __VA_ARGS__}

static const struct entity entities[ENTITY_COUNT] = {
    ENTITY(ENTITY_CATALOGS, "catalogs", "catalogs", catalog_fields, .relations = by_certname,
           .more_relations = of_stored),
    ENTITY(ENTITY_CATALOG_INPUTS, "catalog_inputs", "catalog_inputs", catalog_input_fields, .relations = by_certname),
    ENTITY(ENTITY_CATALOG_INPUT_CONTENTS, "catalog_input_contents", "catalog_input_contents",
           catalog_input_content_fields, .relations = by_certname),
    ENTITY(ENTITY_EDGES, "edges", "edges", edge_fields, .relations = by_certname),
    ENTITY(ENTITY_ENVIRONMENTS, "environments", "environments", name_fields, .relations = of_environments),
    ENTITY(ENTITY_EVENTS, "events", "events", event_fields, .relations = by_certname, .more_relations = of_events),
    ENTITY(ENTITY_FACTS, "facts", "facts", fact_fields, .relations = by_certname, .more_relations = of_facts),
    ENTITY(ENTITY_FACT_CONTENTS, "fact_contents", "fact_nodes", fact_content_fields, .relations = by_certname,
           .more_relations = of_fact_contents),
    ENTITY(ENTITY_FACT_NAMES, "fact_names", "fact_names", name_fields, .relations = NULL),
    ENTITY(ENTITY_FACT_PATHS, "fact_paths", "fact_paths", fact_path_fields, .relations = of_fact_paths),
    ENTITY(ENTITY_FACTSETS, "factsets", "factsets", factset_fields, .relations = by_certname,
           .more_relations = of_stored),
    ENTITY(ENTITY_INVENTORY, "inventory", "inventory", inventory_fields, .relations = by_certname,
           .dotted = {"facts", "trusted"}),
    ENTITY(ENTITY_NODES, "nodes", "nodes", node_fields, .relations = by_certname),
    ENTITY(ENTITY_PACKAGES, "packages", "packages", package_fields, .relations = NULL),
    ENTITY(ENTITY_PACKAGE_INVENTORY, "package_inventory", "package_inventory", package_inventory_fields,
           .relations = by_certname),
    ENTITY(ENTITY_PRODUCERS, "producers", "producers", name_fields, .relations = of_producers),
    ENTITY(ENTITY_REPORTS, "reports", "reports", report_fields, .relations = by_certname, .more_relations = of_reports,
           .holds_reports = true),
    ENTITY(ENTITY_RESOURCES, "resources", "resources", resource_fields, .relations = of_resources,
           .dotted = {"parameters"}),
    ENTITY(ENTITY_NODES_WITH_EXPIRATION, "nodes", "nodes", node_expiration_fields, .relations = by_certname),
    ENTITY(ENTITY_FACTSETS_WITH_PACKAGES, "factsets", "factsets", factset_package_fields, .relations = by_certname,
           .more_relations = of_stored),
    ENTITY(ENTITY_NOT_ACTIVE_NODES, "not_active_nodes", "not_active_nodes", certname_fields, .relations = NULL),
    ENTITY(ENTITY_INACTIVE_NODES, "inactive_nodes", "inactive_nodes", certname_fields, .relations = NULL),
    ENTITY(ENTITY_LATEST_REPORT, "latest_report", "latest_report", latest_hash_fields, .relations = NULL),
    ENTITY(ENTITY_LATEST_REPORT_ID, "latest_report_id", "latest_report_id", latest_id_fields, .relations = NULL),
    ENTITY(ENTITY_PARAMS, "params", "resource_params", param_fields, .relations = NULL),
    ENTITY(ENTITY_REPORT_LOGS, "report_logs", "logs", report_logs_fields, .relations = NULL, .holds_reports = true),
    ENTITY(ENTITY_REPORT_METRICS, "report_metrics", "metrics", report_metrics_fields, .relations = NULL,
           .holds_reports = true),
};

/* Never named by a query itself. */
static bool is_internal(enum entity_id id) {
    return id >= ENTITY_NODES_WITH_EXPIRATION;
}

const struct entity *entity_get(enum entity_id id) {
    assert(id < ENTITY_COUNT);
    return &entities[id];
}

const struct entity *entity_none(void) {
    static const struct field no_fields[] = {END_OF_FIELDS};
    static const struct entity none = {.id = ENTITY_COUNT, .name = "null", .alias = "null", .fields = no_fields};
    return &none;
}

const struct entity *entity_by_name(struct span name) {
    for (size_t i = 0; i < ENTITY_COUNT; i++) {
        bool selectable = i != ENTITY_FACT_NAMES && i != ENTITY_NODES_WITH_EXPIRATION &&
                          i != ENTITY_FACTSETS_WITH_PACKAGES && i < ENTITY_REPORT_LOGS;
        if (selectable && span_eq_cstr(name, entities[i].name)) {
            return &entities[i];
        }
    }
    return NULL;
}

const struct entity *entity_by_select(struct span name) {
    static const char prefix[] = "select_";
    size_t len = sizeof prefix - 1;
    return span_starts_with(name, prefix) ? entity_by_name(span_sub(name, len, name.len - len)) : NULL;
}

const struct entity *entity_for_query(struct span name) {
    for (size_t i = 0; i < ENTITY_COUNT; i++) {
        const char *known = entities[i].name;
        bool same = !is_internal((enum entity_id)i) && strlen(known) == name.len;
        for (size_t c = 0; same && c < name.len; c++) {
            same = (name.ptr[c] == '-' ? '_' : name.ptr[c]) == known[c];
        }
        if (same) {
            return &entities[i];
        }
    }
    return NULL;
}

const struct field *entity_field(const struct entity *e, struct span name) {
    for (const struct field *f = e->fields; f->name != NULL; f++) {
        if (span_eq_cstr(name, f->name)) {
            return f;
        }
    }
    return NULL;
}

const struct relation *entity_relation(const struct entity *e, struct span to) {
    const struct relation *lists[] = {e->more_relations, e->relations};
    for (size_t i = 0; i < 2; i++) {
        for (const struct relation *r = lists[i]; r != NULL && r->entity != NULL; r++) {
            if (span_eq_cstr(to, r->entity)) {
                return r;
            }
        }
    }
    return NULL;
}

bool entity_is_dotted(const struct entity *e, struct span field) {
    for (size_t i = 0; i < 2 && e->dotted[i] != NULL; i++) {
        size_t len = strlen(e->dotted[i]);
        if (field.len > len && field.ptr[len] == '.' && memcmp(field.ptr, e->dotted[i], len) == 0) {
            return true;
        }
    }
    return false;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void entity_list_fields(struct buf *out, const struct entity *e, unsigned want, unsigned but, bool sorted) {
    const char *names[64];
    size_t count = 0;
    for (const struct field *f = e->fields; f->name != NULL; f++) {
        if ((f->flags & want) == want && (f->flags & but) == 0) {
            assert(count < sizeof names / sizeof names[0]);
            names[count++] = f->name;
        }
    }
    if (sorted) {
        qsort(names, count, sizeof names[0], by_text);
    }
    quote_list(out, names, count);
}
