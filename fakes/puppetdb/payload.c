/* The wire forms of commands. */
#include "payload.h"
#include "base/json.h"
#include "pql/plan.h"
#include <string.h>

enum need {
    REQUIRED,
    NULLABLE,
    OPTIONAL
}; /* NULLABLE: there, but perhaps null; OPTIONAL: perhaps not there, or null */

struct key {
    const char *name;
    enum need need;
    bool (*fits)(const json_t *value);
};

static bool text(const json_t *v) {
    return json_is_string(v);
}
static bool number(const json_t *v) {
    return json_is_number(v);
}
static bool integer(const json_t *v) {
    return json_is_integer(v);
}
static bool flag(const json_t *v) {
    return json_is_boolean(v);
}
static bool list(const json_t *v) {
    return json_is_array(v);
}
static bool object(const json_t *v) {
    return json_is_object(v);
}
static bool time_text(const json_t *v) {
    int64_t ms;
    return plan_parse_time(json_span(v), &ms);
}

static const struct key facts_keys[] = {
    {"certname", REQUIRED, text}, {"environment", REQUIRED, text}, {"producer_timestamp", REQUIRED, time_text},
    {"producer", NULLABLE, text}, {"values", REQUIRED, object},    {"package_inventory", OPTIONAL, list},
    {NULL, REQUIRED, NULL}};
static const struct key catalog_keys[] = {
    {"certname", REQUIRED, text},         {"version", REQUIRED, text},      {"environment", NULLABLE, text},
    {"transaction_uuid", NULLABLE, text}, {"catalog_uuid", NULLABLE, text}, {"producer_timestamp", REQUIRED, time_text},
    {"producer", NULLABLE, text},         {"code_id", NULLABLE, text},      {"job_id", NULLABLE, text},
    {"resources", REQUIRED, list},        {"edges", REQUIRED, list},        {NULL, REQUIRED, NULL}};
static const struct key report_keys[] = {{"certname", REQUIRED, text},
                                         {"puppet_version", REQUIRED, text},
                                         {"report_format", REQUIRED, integer},
                                         {"configuration_version", REQUIRED, text},
                                         {"start_time", REQUIRED, time_text},
                                         {"end_time", REQUIRED, time_text},
                                         {"producer_timestamp", REQUIRED, time_text},
                                         {"producer", NULLABLE, text},
                                         {"corrective_change", NULLABLE, flag},
                                         {"resources", REQUIRED, list},
                                         {"noop", NULLABLE, flag},
                                         {"noop_pending", NULLABLE, flag},
                                         {"transaction_uuid", NULLABLE, text},
                                         {"catalog_uuid", NULLABLE, text},
                                         {"code_id", NULLABLE, text},
                                         {"job_id", OPTIONAL, text},
                                         {"cached_catalog_status", NULLABLE, text},
                                         {"metrics", REQUIRED, list},
                                         {"logs", REQUIRED, list},
                                         {"environment", REQUIRED, text},
                                         {"status", NULLABLE, text},
                                         {"type", OPTIONAL, text},
                                         {NULL, REQUIRED, NULL}};
static const struct key resource_keys[] = {{"skipped", REQUIRED, flag},
                                           {"timestamp", REQUIRED, time_text},
                                           {"resource_type", REQUIRED, text},
                                           {"resource_title", REQUIRED, text},
                                           {"file", NULLABLE, text},
                                           {"line", NULLABLE, integer},
                                           {"containment_path", REQUIRED, list},
                                           {"corrective_change", NULLABLE, flag},
                                           {"events", REQUIRED, list},
                                           {NULL, REQUIRED, NULL}};
static const struct key event_keys[] = {{"status", REQUIRED, text},
                                        {"corrective_change", NULLABLE, flag},
                                        {"timestamp", REQUIRED, time_text},
                                        {"property", NULLABLE, text},
                                        {"new_value", NULLABLE, NULL},
                                        {"old_value", NULLABLE, NULL},
                                        {"message", NULLABLE, text},
                                        {"name", OPTIONAL, text},
                                        {NULL, REQUIRED, NULL}};
static const struct key metric_keys[] = {
    {"category", REQUIRED, text}, {"name", REQUIRED, text}, {"value", REQUIRED, number}, {NULL, REQUIRED, NULL}};
static const struct key log_keys[] = {
    {"file", NULLABLE, text},   {"line", NULLABLE, integer}, {"level", REQUIRED, text},     {"message", REQUIRED, text},
    {"source", REQUIRED, text}, {"tags", REQUIRED, list},    {"time", REQUIRED, time_text}, {NULL, REQUIRED, NULL}};

static bool key_fits(const struct key *key, const json_t *value) {
    return json_is_null(value) ? key->need != REQUIRED : key->fits == NULL || key->fits(value);
}

static bool check_key(const struct key *key, const json_t *object_, const char *where, struct error *err) {
    const json_t *value = json_object_get(object_, key->name);
    bool good = value == NULL ? key->need == OPTIONAL : key_fits(key, value);
    return good || error_set(err, "puppetdb/payload", "%s%s is %s", where, key->name,
                             value == NULL ? "missing" : "of the wrong type");
}

static const struct key *key_named(const struct key *keys, const struct key *likely, const char *name) {
    if (likely->name != NULL && strcmp(likely->name, name) == 0) {
        return likely;
    }
    while (keys->name != NULL && strcmp(keys->name, name) != 0) {
        keys++;
    }
    return keys;
}

/* Every member is one of the keys and fits, and none of the keys that must be there is missing. */
static bool object_fits(const struct key *keys, const json_t *value) {
    size_t needed = 0, found = 0;
    for (const struct key *k = keys; k->name != NULL; k++) {
        needed += k->need != OPTIONAL ? 1 : 0;
    }
    const struct key *likely = keys; /* members mostly come in the order of the table */
    const char *name;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)value, name, item) {
        const struct key *k = key_named(keys, likely, name);
        if (k->name == NULL || !key_fits(k, item)) {
            return false;
        }
        found += k->need != OPTIONAL ? 1 : 0;
        likely = k + 1;
    }
    return found == needed;
}

static bool check_object(const struct key *keys, const json_t *value, const char *where, struct error *err) {
    if (!json_is_object(value)) {
        return error_set(err, "puppetdb/payload", "%sis no object", where);
    }
    if (object_fits(keys, value)) {
        return true;
    }
    for (const struct key *k = keys; k->name != NULL; k++) {
        if (!check_key(k, value, where, err)) {
            return false;
        }
    }
    const char *name;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)value, name, item) {
        if (key_named(keys, keys, name)->name == NULL) {
            return error_set(err, "puppetdb/payload", "%s%s is not known", where, name);
        }
    }
    return true;
}

static bool check_list(const struct key *keys, const json_t *items, const char *where, struct error *err) {
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item) {
        if (!check_object(keys, item, where, err)) {
            return false;
        }
    }
    return true;
}

static bool check_report(const json_t *payload, struct error *err) {
    if (!check_object(report_keys, payload, "", err) ||
        !check_list(metric_keys, json_object_get(payload, "metrics"), "metrics: ", err) ||
        !check_list(log_keys, json_object_get(payload, "logs"), "logs: ", err) ||
        !check_list(resource_keys, json_object_get(payload, "resources"), "resources: ", err)) {
        return false;
    }
    size_t i;
    json_t *resource;
    json_array_foreach(json_object_get(payload, "resources"), i, resource) {
        if (!check_list(event_keys, json_object_get(resource, "events"), "events: ", err)) {
            return false;
        }
    }
    return true;
}

bool payload_check(const char *command, int64_t version, const json_t *payload, struct error *err) {
    if (strcmp(command, "store report") == 0 && version == 8) {
        return check_report(payload, err);
    }
    if (strcmp(command, "replace facts") == 0 && version == 5) {
        return check_object(facts_keys, payload, "", err);
    }
    if (strcmp(command, "replace catalog") == 0 && version == 9) {
        return check_object(catalog_keys, payload, "", err);
    }
    return true;
}
