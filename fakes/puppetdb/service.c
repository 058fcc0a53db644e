/* Metadata, status, controls of its own, and paths nobody knows. */
#include "base/clock.h"
#include "internal.h"
#include <string.h>

static const char version[] = "7.12.1"; /* of the PuppetDB it plays */

/* ---------------------------------------------------------------- metadata */

static void meta_version(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    if (puppetdb_admit(puppetdb_of(f), ex, "nodes:view_data:*")) {
        puppetdb_json_value(ex, 200, json_pack("{s:s}", "version", version));
    }
}

static void meta_latest(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    if (puppetdb_admit(puppetdb_of(f), ex, "nodes:view_data:*")) {
        puppetdb_json_value(ex, 200, json_pack("{s:b, s:s, s:n}", "newer", 0, "version", version, "link"));
    }
}

static void meta_time(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    if (puppetdb_admit(puppetdb_of(f), ex, "nodes:view_data:*")) {
        char now[TIME_TEXT_LEN];
        time_format_ms(fake_now_ms(f), now);
        puppetdb_json_value(ex, 200, json_pack("{s:s}", "server_time", now));
    }
}

/* ---------------------------------------------------------------- status: open to every certificate */

static const char *state_of(const struct fake_puppetdb *p) {
    return p->maintenance ? "unknown" : p->database_down ? "error" : "running";
}

static json_t *own_status(const struct fake_puppetdb *p, const char *level) {
    int up = !p->database_down;
    json_t *detail =
        p->maintenance
            ? json_string(
                  "Status check for puppetdb-status threw an exception: java.lang.IllegalStateException: Service "
                  "has not started")
            : json_pack("{s:b, s:i, s:b, s:b, s:b, s:{s:{s:b}}}", "maintenance_mode?", 0, "queue_depth", 0,
                        "read_db_up?", up, "write_db_up?", up, "write_dbs_up?", up, "write_db", "default", "up?", up);
    return json_pack("{s:s, s:i, s:s, s:s, s:o, s:[]}", "service_version", version, "service_status_version", 1,
                     "detail_level", level, "state", state_of(p), "status", detail, "active_alerts");
}

static const char *level_of(struct http_exchange *ex) {
    const char *level = http_query(ex, "level");
    return level != NULL && (strcmp(level, "critical") == 0 || strcmp(level, "debug") == 0) ? level : "info";
}

static int status_code(const struct fake_puppetdb *p) {
    return p->maintenance || p->database_down ? 503 : 200;
}

static void status_all(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_puppetdb *p = puppetdb_of(f);
    const char *level = level_of(ex);
    json_t *other = json_pack("{s:s, s:i, s:s, s:s, s:{}, s:[]}", "service_version", "1.1.1", "service_status_version",
                              1, "detail_level", level, "state", "running", "status", "active_alerts");
    puppetdb_json_value(ex, status_code(p),
                        json_pack("{s:o, s:o}", "puppetdb-status", own_status(p, level), "status-service", other));
}

static void status_one(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_puppetdb *p = puppetdb_of(f);
    json_t *status = own_status(p, level_of(ex));
    json_set(status, "service_name", json_string("puppetdb-status"));
    puppetdb_json_value(ex, status_code(p), status);
}

static void status_simple(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_puppetdb *p = puppetdb_of(f);
    if (status_code(p) == 200) {
        http_set_header(ex, "Vary", "Accept-Encoding, User-Agent");
    }
    puppetdb_text(ex, status_code(p), span_of(state_of(p)));
}

/* ---------------------------------------------------------------- controls */

/* The boolean `key` of the body; false after answering. */
static bool read_switch(struct http_exchange *ex, const char *key, bool *out) {
    struct error err = ERROR_INIT;
    json_t *body = json_parse(http_request(ex)->body, "malformed-request", &err);
    const json_t *value = json_object_get(body, key);
    bool ok = json_is_boolean(value);
    if (ok) {
        *out = json_is_true(value);
    } else {
        fake_respond_error(ex, 400, "schema-violation", NULL, "the body must be {\"%s\": true} or false", key);
    }
    json_decref(body);
    error_clear(&err);
    return ok;
}

static void set_maintenance(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    if (read_switch(ex, "on", &puppetdb_of(f)->maintenance)) {
        fake_respond_empty(ex, 204);
    }
}

static void set_database(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    bool up;
    if (read_switch(ex, "up", &up)) {
        puppetdb_of(f)->database_down = !up;
        fake_respond_empty(ex, 204);
    }
}

/* ---------------------------------------------------------------- what is no more, and what never was */

static void retired(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    if (puppetdb_admit(puppetdb_of(f), ex, "nodes:view_data:*")) {
        char *text = str_printf("The %s API has been retired; please use v4", (const char *)route->data);
        puppetdb_text(ex, 404, span_of(text));
        mem_free(text);
    }
}

const struct fake_route puppetdb_service_routes[] = {
    {NULL, "/pdb/meta/v1/version", meta_version, NULL},
    {NULL, "/pdb/meta/v1/version/latest", meta_latest, NULL},
    {NULL, "/pdb/meta/v1/server-time", meta_time, NULL},
    {"GET", "/status/v1/services", status_all, NULL},
    {"GET", "/status/v1/services/puppetdb-status", status_one, NULL},
    {"GET", "/status/v1/simple", status_simple, NULL},
    {"POST", "/_fake/maintenance", set_maintenance, NULL},
    {"POST", "/_fake/database", set_database, NULL},
    {NULL, "/pdb/query/v1/*rest", retired, "v1"},
    {NULL, "/pdb/query/v2/*rest", retired, "v2"},
    {NULL, "/pdb/query/v3/*rest", retired, "v3"},
    {NULL, "/pdb/admin/v1/*rest", NULL, NULL},
    {NULL, "/metrics/*rest", NULL, NULL},
    {NULL, NULL, NULL, NULL},
};
