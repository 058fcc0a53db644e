/* Which SQL stands behind each entity and field. */
#include "sql_map.h"
#include <assert.h>
#include <string.h>

#define TEXT(name, expr)                                                                                               \
    { name, expr, ROW_TEXT, NULL, DOCUMENT_NONE, NULL, NULL }
#define TEXT_AS(name, expr, pg)                                                                                        \
    { name, expr, ROW_TEXT, NULL, DOCUMENT_NONE, NULL, pg }
#define FLAG(name, expr)                                                                                               \
    { name, expr, ROW_BOOLEAN, NULL, DOCUMENT_NONE, NULL, NULL }
#define FLAG_AS(name, expr, pg)                                                                                        \
    { name, expr, ROW_BOOLEAN, NULL, DOCUMENT_NONE, NULL, pg }
#define NUMBER(name, expr)                                                                                             \
    { name, expr, ROW_NUMBER, NULL, DOCUMENT_NONE, NULL, NULL }
#define TIME(name, expr)                                                                                               \
    { name, expr, ROW_TIME, NULL, DOCUMENT_NONE, NULL, NULL }
#define TIME_AS(name, expr, pg)                                                                                        \
    { name, expr, ROW_TIME, NULL, DOCUMENT_NONE, NULL, pg }
#define JSON(name, expr)                                                                                               \
    { name, expr, ROW_JSON, NULL, DOCUMENT_NONE, NULL, NULL }
#define JSON_AS(name, expr, shown)                                                                                     \
    { name, expr, ROW_JSON, shown, DOCUMENT_NONE, NULL, NULL }
#define DOCUMENT(name, expr, kind, document)                                                                           \
    { name, expr, ROW_JSON, NULL, kind, document, NULL }
#define END                                                                                                            \
    { NULL, NULL, ROW_TEXT, NULL, DOCUMENT_NONE, NULL, NULL }

/* Names of facts in the order of jsonb: shorter ones first. */
#define FACT_ORDER "ORDER BY length(CAST(x.name AS BLOB)), x.name"
#define FACTS_OBJECT(node)                                                                                             \
    "(SELECT '{' || ifnull(group_concat(j, ','), '') || '}' FROM (SELECT x.json || ':' || y.value AS j FROM fact y "   \
    "JOIN "                                                                                                            \
    "fact_name x ON x.id = y.name WHERE y.node = " node " " FACT_ORDER "))"
#define FACTS_LIST(node)                                                                                               \
    "(SELECT '[' || ifnull(group_concat(j, ','), '') || ']' FROM (SELECT '{\"name\":' || x.json || ',\"value\":' || "  \
    "y.value || '}' AS j FROM fact y JOIN fact_name x ON x.id = y.name WHERE y.node = " node " " FACT_ORDER "))"
#define TRUSTED(node)                                                                                                  \
    "(SELECT y.value FROM fact y WHERE y.node = " node                                                                 \
    " AND y.name = (SELECT id FROM fact_name WHERE name = 'trusted'))"

static const struct sql_field node_fields[] = {
    FLAG_AS("latest_report_corrective_change", "r.corrective_change", "reports.corrective_change"),
    TIME_AS("deactivated", "n.deactivated", "certnames.deactivated"),
    TIME_AS("expired", "n.expired", "certnames.expired"),
    TEXT_AS("report_environment", "re.name", "reports_environment.environment"),
    TEXT_AS("certname", "n.certname", "certnames.certname"),
    TIME_AS("facts_timestamp", "fs.timestamp", "fs.timestamp"),
    TEXT_AS("facts_environment", "fe.name", "facts_environment.environment"),
    TEXT_AS("cached_catalog_status", "r.cached_catalog_status", "reports.cached_catalog_status"),
    TEXT_AS("latest_report_status", "r.status", "report_statuses.status"),
    TEXT_AS("latest_report_hash", "r.hash", "reports.hash"),
    TIME_AS("catalog_timestamp", "c.timestamp", "catalogs.timestamp"),
    FLAG_AS("latest_report_noop_pending", "r.noop_pending", "reports.noop_pending"),
    TIME_AS("report_timestamp", "r.end_time", "reports.end_time"),
    FLAG_AS("latest_report_noop", "r.noop", "reports.noop"),
    TEXT_AS("catalog_environment", "ce.name", "catalog_environment.environment"),
    TEXT_AS("latest_report_job_id", "r.job_id", "reports.job_id"),
    FLAG("expires_facts", "ifnull(n.expires_facts, 1)"),
    TIME("expires_facts_updated", "n.expires_facts_updated"),
    END,
};
#define NODES_FROM                                                                                                     \
    "node n LEFT JOIN catalog c ON c.node = n.id LEFT JOIN factset fs ON fs.node = n.id LEFT JOIN report r ON r.id = " \
    "n.latest_report LEFT JOIN environment ce ON ce.id = c.environment LEFT JOIN environment fe ON fe.id = "           \
    "fs.environment LEFT JOIN environment re ON re.id = r.environment"

static const struct sql_field inventory_fields[] = {
    TEXT_AS("certname", "n.certname", "certnames.certname"),
    TIME_AS("timestamp", "fs.timestamp", "fs.timestamp"),
    TEXT_AS("environment", "e.name", "environments.environment"),
    DOCUMENT("facts", FACTS_OBJECT("fs.node"), DOCUMENT_FACTS, "fs.node"),
    DOCUMENT("trusted", TRUSTED("fs.node"), DOCUMENT_TRUSTED, "fs.node"),
    END,
};

static const struct sql_field fact_fields[] = {
    TEXT_AS("certname", "n.certname", "fs.certname"),
    TEXT_AS("environment", "e.name", "env.environment"),
    TEXT_AS("name", "fn.name", "fs.key"),
    {"value", "f.value", ROW_JSON, NULL, DOCUMENT_NONE, NULL, "fs.value"},
    END,
};

static const struct sql_field fact_content_fields[] = {
    TEXT_AS("certname", "n.certname", "fc.certname"),
    TEXT_AS("environment", "e.name", "env.environment"),
    JSON_AS("path", "p.path", "p.path"),
    TEXT_AS("name", "fn.name", "fc.name"),
    JSON("value", "(CASE v.kind WHEN 1 THEN pdb_quote(v.text) ELSE v.text END)"),
    END,
};

static const struct sql_field fact_path_fields[] = {
    TEXT("type", "t.type"),
    JSON_AS("path", "p.encoded", "p.path"),
    TEXT("name", "fn.name"),
    NUMBER("depth", "p.depth"),
    END,
};

static const struct sql_field fact_name_fields[] = {TEXT("name", "fn.name"), END};

static const struct sql_field factset_fields[] = {
    TIME_AS("timestamp", "fs.timestamp", "fs.timestamp"),
    {"facts", FACTS_OBJECT("fs.node"), ROW_JSON,
     "'{\"data\":' || " FACTS_LIST(
         "fs.node") " || ',\"href\":' || pdb_quote('/pdb/query/v4/factsets/' || n.certname || "
                    "'/facts') || '}'",
     DOCUMENT_FACTS, "fs.node", NULL},
    TEXT_AS("certname", "n.certname", "fs.certname"),
    TEXT("hash", "fs.hash"),
    TIME("producer_timestamp", "fs.producer_timestamp"),
    TEXT_AS("producer", "pr.name", "producers.name"),
    TEXT_AS("environment", "e.name", "environments.environment"),
    JSON("package_inventory",
         "(SELECT '[' || group_concat('[' || pdb_quote(k.name) || ',' || pdb_quote(k.version) || ',' || "
         "pdb_quote(k.provider) || ']', ',') || ']' FROM node_package np JOIN package k ON k.id = np.package WHERE "
         "np.node = "
         "fs.node)"),
    END,
};

#define RESOURCE_JSON                                                                                                  \
    "'{\"resource\":\"' || y.hash || '\",\"type\":' || pdb_quote(y.type) || ',\"title\":' || pdb_quote(y.title) || "   \
    "',\"tags\":' || y.tags || ',\"exported\":' || pdb_bool(y.exported) || ',\"file\":' || pdb_quote(y.file) || "      \
    "',\"line\":' || ifnull(y.line, 'null') || ',\"parameters\":' || ifnull(z.json, '{}') || '}'"
#define EDGE_JSON                                                                                                      \
    "'{\"source_type\":' || pdb_quote(y.source_type) || ',\"source_title\":' || pdb_quote(y.source_title) || "         \
    "',\"target_type\":' || pdb_quote(y.target_type) || ',\"target_title\":' || pdb_quote(y.target_title) || "         \
    "',\"relationship\":' || pdb_quote(y.relationship) || '}'"

static const struct sql_field catalog_fields[] = {
    TEXT("code_id", "c.code_id"),
    TEXT_AS("certname", "n.certname", "c.certname"),
    TEXT("hash", "c.hash"),
    TEXT("transaction_uuid", "c.transaction_uuid"),
    TEXT("job_id", "c.job_id"),
    TEXT_AS("producer", "pr.name", "producers.name"),
    TEXT("catalog_uuid", "c.catalog_uuid"),
    TEXT_AS("environment", "e.name", "e.environment"),
    JSON("edges", "'{\"data\":' || (SELECT ifnull('[' || group_concat(" EDGE_JSON
                  ", ',') || ']', 'null') FROM edge y WHERE y.node = c.node) || ',\"href\":' || "
                  "pdb_quote('/pdb/query/v4/catalogs/' || n.certname || '/edges') || '}'"),
    TEXT("version", "c.version"),
    TIME("producer_timestamp", "c.producer_timestamp"),
    JSON("resources",
         "'{\"data\":' || (SELECT ifnull('[' || group_concat(" RESOURCE_JSON
         ", ',') || ']', 'null') FROM resource y LEFT JOIN parameters z ON z.hash = y.hash WHERE y.node = "
         "c.node) || ',\"href\":' || pdb_quote('/pdb/query/v4/catalogs/' || n.certname || '/resources') || '}'"),
    TIME("timestamp", "c.timestamp"),
    END,
};

static const struct sql_field catalog_input_fields[] = {
    TEXT("certname", "n.certname"),
    TIME("producer_timestamp", "n.inputs_time"),
    TEXT("catalog_uuid", "n.inputs_uuid"),
    JSON("inputs",
         "(SELECT '[' || group_concat('[' || pdb_quote(y.type) || ',' || pdb_quote(y.name) || ']', ',') || ']' FROM "
         "catalog_input y WHERE y.node = n.id)"),
    END,
};

static const struct sql_field catalog_input_content_fields[] = {
    TEXT("certname", "n.certname"),
    TIME("producer_timestamp", "n.inputs_time"),
    TEXT("catalog_uuid", "n.inputs_uuid"),
    TEXT("name", "ci.name"),
    TEXT("type", "ci.type"),
    END,
};

static const struct sql_field edge_fields[] = {
    TEXT_AS("certname", "n.certname", "edges.certname"),
    TEXT_AS("relationship", "d.relationship", "edges.type"),
    TEXT_AS("source_title", "d.source_title", "sources.title"),
    TEXT_AS("source_type", "d.source_type", "sources.type"),
    TEXT_AS("target_title", "d.target_title", "targets.title"),
    TEXT_AS("target_type", "d.target_type", "targets.type"),
    END,
};

static const struct sql_field environment_fields[] = {TEXT_AS("name", "e.name", "environments.environment"), END};
static const struct sql_field producer_fields[] = {TEXT_AS("name", "pr.name", "producers.name"), END};

static const struct sql_field event_fields[] = {
    TEXT("message", "v.message"),
    NUMBER("report_id", "v.report"),
    JSON("old_value", "v.old_value"),
    TIME("report_receive_time", "r.receive_time"),
    FLAG("corrective_change", "v.corrective_change"),
    JSON("containment_path", "v.containment_path"),
    TEXT_AS("certname", "n.certname", "reports.certname"),
    TIME("timestamp", "v.timestamp"),
    TIME_AS("run_end_time", "r.end_time", "reports.end_time"),
    TEXT("name", "v.name"),
    TEXT_AS("configuration_version", "r.configuration_version", "reports.configuration_version"),
    JSON("new_value", "v.new_value"),
    TEXT("resource_title", "v.resource_title"),
    TEXT("status", "v.status"),
    TEXT("property", "v.property"),
    TEXT("resource_type", "v.resource_type"),
    NUMBER("line", "v.line"),
    TEXT_AS("environment", "e.name", "environments.environment"),
    TEXT("containing_class", "v.containing_class"),
    TIME_AS("run_start_time", "r.start_time", "reports.start_time"),
    TEXT("file", "v.file"),
    TEXT("report", "r.hash"),
    END,
};

#define EVENT_JSON                                                                                                     \
    "'{\"status\":' || pdb_quote(y.status) || ',\"timestamp\":' || pdb_quote(pdb_time(y.timestamp)) || "               \
    "',\"resource_type\":' || pdb_quote(y.resource_type) || ',\"resource_title\":' || pdb_quote(y.resource_title) || " \
    "',\"property\":' || pdb_quote(y.property) || ',\"corrective_change\":' || pdb_bool(y.corrective_change) || "      \
    "',\"new_value\":' || ifnull(y.new_value, 'null') || ',\"old_value\":' || ifnull(y.old_value, 'null') || "         \
    "',\"message\":' || pdb_quote(y.message) || ',\"file\":' || pdb_quote(y.file) || ',\"line\":' || ifnull(y.line, "  \
    "'null') || ',\"containment_path\":' || ifnull(y.containment_path, 'null') || ',\"containing_class\":' || "        \
    "pdb_quote(y.containing_class) || ',\"name\":' || pdb_quote(y.name) || '}'"
#define OF_REPORT(what) "'/pdb/query/v4/reports/' || r.hash || '/" what "'"

static const struct sql_field report_fields[] = {
    TIME_AS("receive_time", "r.receive_time", "reports.receive_time"),
    FLAG_AS("corrective_change", "r.corrective_change", "reports.corrective_change"),
    TEXT_AS("code_id", "r.code_id", "reports.code_id"),
    FLAG_AS("noop", "r.noop", "reports.noop"),
    TEXT_AS("certname", "n.certname", "reports.certname"),
    TEXT_AS("puppet_version", "r.puppet_version", "reports.puppet_version"),
    TEXT_AS("hash", "r.hash", "reports.hash"),
    TEXT_AS("cached_catalog_status", "r.cached_catalog_status", "reports.cached_catalog_status"),
    TEXT_AS("transaction_uuid", "r.transaction_uuid", "reports.transaction_uuid"),
    TEXT_AS("configuration_version", "r.configuration_version", "reports.configuration_version"),
    TEXT_AS("status", "r.status", "report_statuses.status"),
    TEXT_AS("job_id", "r.job_id", "reports.job_id"),
    TEXT_AS("producer", "pr.name", "producers.name"),
    TEXT_AS("catalog_uuid", "r.catalog_uuid", "reports.catalog_uuid"),
    JSON("logs", "'{\"data\":' || ifnull(r.logs, 'null') || ',\"href\":' || pdb_quote(" OF_REPORT("logs") ") || '}'"),
    FLAG_AS("noop_pending", "r.noop_pending", "reports.noop_pending"),
    TIME_AS("end_time", "r.end_time", "reports.end_time"),
    TEXT_AS("type", "r.type", "reports.report_type"),
    TEXT_AS("environment", "e.name", "environments.environment"),
    TIME_AS("start_time", "r.start_time", "reports.start_time"),
    JSON("resource_events", "'{\"data\":' || (SELECT ifnull('[' || group_concat(" EVENT_JSON
                            ", ',') || ']', 'null') FROM event y WHERE y.report = r.id) || ',\"href\":' || "
                            "pdb_quote(" OF_REPORT("events") ") || '}'"),
    JSON("metrics",
         "'{\"data\":' || ifnull(r.metrics, 'null') || ',\"href\":' || pdb_quote(" OF_REPORT("metrics") ") || '}'"),
    TIME_AS("producer_timestamp", "r.producer_timestamp", "reports.producer_timestamp"),
    {"report_format", "r.report_format", ROW_NUMBER, NULL, DOCUMENT_NONE, NULL, "reports.report_format"},
    END,
};

static const struct sql_field report_logs_fields[] = {JSON("logs", "r.logs"), TEXT("hash", "r.hash"),
                                                      TEXT("type", "r.type"), END};
static const struct sql_field report_metrics_fields[] = {JSON("metrics", "r.metrics"), TEXT("hash", "r.hash"),
                                                         TEXT("type", "r.type"), END};

static const struct sql_field package_fields[] = {TEXT("package_name", "k.name"), TEXT("version", "k.version"),
                                                  TEXT("provider", "k.provider"), END};
static const struct sql_field package_inventory_fields[] = {
    TEXT_AS("certname", "n.certname", "certnames.certname"), TEXT("package_name", "k.name"),
    TEXT("version", "k.version"), TEXT("provider", "k.provider"), END};

static const struct sql_field resource_fields[] = {
    TEXT("resource", "o.hash"),
    TEXT_AS("certname", "n.certname", "c.certname"),
    JSON("tags", "o.tags"),
    FLAG("exported", "o.exported"),
    NUMBER("line", "o.line"),
    TEXT("title", "o.title"),
    TEXT("type", "o.type"),
    TEXT_AS("environment", "e.name", "e.environment"),
    TEXT("file", "o.file"),
    DOCUMENT("parameters", "ifnull(z.json, '{}')", DOCUMENT_JSON, "ifnull(z.json, '{}')"),
    END,
};

static const struct sql_field certname_fields[] = {TEXT("certname", "n.certname"), END};
static const struct sql_field latest_hash_fields[] = {TEXT("latest_report_hash", "r.hash"), END};
static const struct sql_field latest_id_fields[] = {NUMBER("latest_report_id", "n.latest_report"), END};
static const struct sql_field param_fields[] = {TEXT("res_param_resource", "q.hash"), TEXT("res_param_name", "q.name"),
                                                TEXT("res_param_value", "q.value"), END};

#define REPORTS_FROM                                                                                                   \
    "report r JOIN node n ON n.id = r.node LEFT JOIN environment e ON e.id = r.environment LEFT JOIN producer pr ON "  \
    "pr.id = r.producer"

#define INACTIVE_FROM "(SELECT id, certname FROM node WHERE deactivated IS NOT NULL OR expired IS NOT NULL) n"

static const struct sql_entity sql_entities[ENTITY_COUNT] = {
    [ENTITY_CATALOGS] = {"catalog c JOIN node n ON n.id = c.node LEFT JOIN environment e ON e.id = c.environment LEFT "
                         "JOIN producer pr ON pr.id = c.producer",
                         "c.node", catalog_fields},
    [ENTITY_CATALOG_INPUTS] = {"(SELECT * FROM node WHERE id IN (SELECT node FROM catalog_input)) n", "n.id",
                               catalog_input_fields},
    [ENTITY_CATALOG_INPUT_CONTENTS] = {"catalog_input ci JOIN node n ON n.id = ci.node", "ci.node",
                                       catalog_input_content_fields},
    [ENTITY_EDGES] = {"edge d JOIN node n ON n.id = d.node", "d.node", edge_fields},
    [ENTITY_ENVIRONMENTS] = {"environment e", NULL, environment_fields},
    [ENTITY_EVENTS] = {"event v JOIN report r ON r.id = v.report JOIN node n ON n.id = r.node LEFT JOIN environment e "
                       "ON e.id = r.environment",
                       "r.node", event_fields},
    [ENTITY_FACTS] = {"fact f JOIN fact_name fn ON fn.id = f.name JOIN node n ON n.id = f.node JOIN factset fs ON "
                      "fs.node = f.node LEFT JOIN environment e ON e.id = fs.environment",
                      "f.node", fact_fields},
    [ENTITY_FACT_CONTENTS] = {"leaf l JOIN fact_path p ON p.id = l.path JOIN fact_name fn ON fn.id = p.name JOIN "
                              "fact_value v ON v.id = l.value JOIN node n ON n.id = l.node JOIN factset fs ON fs.node "
                              "= l.node LEFT JOIN environment e ON e.id = fs.environment",
                              "l.node", fact_content_fields},
    /* Of facts that are nothing but an empty list or object PuppetDB keeps no path, and thus no name. */
    [ENTITY_FACT_NAMES] = {"(SELECT name FROM fact_name WHERE id IN (SELECT name FROM fact WHERE value NOT IN ('[]', "
                           "'{}'))) fn",
                           NULL, fact_name_fields},
    [ENTITY_FACT_PATHS] = {"path_type t JOIN fact_path p ON p.id = t.path JOIN fact_name fn ON fn.id = p.name", NULL,
                           fact_path_fields},
    [ENTITY_FACTSETS] = {"factset fs JOIN node n ON n.id = fs.node LEFT JOIN environment e ON e.id = fs.environment "
                         "LEFT JOIN producer pr ON pr.id = fs.producer",
                         "fs.node", factset_fields},
    [ENTITY_FACTSETS_WITH_PACKAGES] = {"factset fs JOIN node n ON n.id = fs.node LEFT JOIN environment e ON e.id = "
                                       "fs.environment LEFT JOIN producer pr ON pr.id = fs.producer",
                                       "fs.node", factset_fields},
    [ENTITY_INVENTORY] = {"factset fs JOIN node n ON n.id = fs.node LEFT JOIN environment e ON e.id = fs.environment",
                          "fs.node", inventory_fields},
    [ENTITY_NODES] = {NODES_FROM, "n.id", node_fields},
    [ENTITY_NODES_WITH_EXPIRATION] = {NODES_FROM, "n.id", node_fields},
    [ENTITY_PACKAGES] = {"package k", NULL, package_fields},
    [ENTITY_PACKAGE_INVENTORY] = {"node_package np JOIN package k ON k.id = np.package JOIN node n ON n.id = np.node",
                                  "np.node", package_inventory_fields},
    [ENTITY_PRODUCERS] = {"producer pr", NULL, producer_fields},
    [ENTITY_REPORTS] = {REPORTS_FROM, "r.node", report_fields},
    [ENTITY_REPORT_LOGS] = {REPORTS_FROM, "r.node", report_logs_fields},
    [ENTITY_REPORT_METRICS] = {REPORTS_FROM, "r.node", report_metrics_fields},
    [ENTITY_RESOURCES] = {"resource o JOIN node n ON n.id = o.node JOIN catalog c ON c.node = o.node LEFT JOIN "
                          "environment e ON e.id = c.environment LEFT JOIN parameters z ON z.hash = o.hash",
                          "o.node", resource_fields},
    [ENTITY_NOT_ACTIVE_NODES] = {INACTIVE_FROM, "n.id", certname_fields},
    [ENTITY_INACTIVE_NODES] = {INACTIVE_FROM, "n.id", certname_fields},
    [ENTITY_LATEST_REPORT] = {"node n JOIN report r ON r.id = n.latest_report", NULL, latest_hash_fields},
    [ENTITY_LATEST_REPORT_ID] = {"(SELECT latest_report FROM node WHERE latest_report IS NOT NULL) n", NULL,
                                 latest_id_fields},
    [ENTITY_PARAMS] = {"param q", NULL, param_fields},
};

const struct sql_entity *sql_entity(enum entity_id id) {
    return &sql_entities[id];
}

const struct sql_field *sql_field(enum entity_id id, const char *name) {
    for (const struct sql_field *f = sql_entities[id].fields; f->name != NULL; f++) {
        if (strcmp(f->name, name) == 0) {
            return f;
        }
    }
    return NULL; /* tag and latest_report?, which are always written out */
}
