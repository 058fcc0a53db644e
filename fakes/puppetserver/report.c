/* A report as the agent sends it, in the form PuppetDB stores (store report, version 8). Resources that were neither
 * touched nor skipped are left out, as the report processor does. */
#include "fakes/puppetserver/report.h"
#include "base/clock.h"
#include "base/mem.h"
#include "fakes/puppetserver/ruby.h"
#include <string.h>

/* An agent's time to milliseconds; NULL when it is none. */
static json_t *short_time(const json_t *o, const char *key) {
    int64_t ms;
    const char *text = json_str(o, key);
    return text != NULL && time_parse(span_of(text), &ms) ? ps_time_json(ms) : json_null();
}

json_t *ps_time_json(int64_t ms) {
    char text[TIME_TEXT_LEN];
    time_format_ms(ms, text);
    /* 2030-01-02T03:04:05.678+00:00 */
    return json_sprintf("%.*s+00:00", (int)(strlen(text) - 1), text);
}

static json_t *given(const json_t *o, const char *key) {
    json_t *value = json_object_get(o, key);
    return value != NULL ? json_incref(value) : json_null();
}

static bool given_true(const json_t *o, const char *key) {
    return json_is_true(json_object_get(o, key));
}

static json_t *logs_of(const json_t *report) {
    static const char *const keys[] = {"file", "line", "level", "message", "source", "tags"};
    json_t *all = json_array();
    size_t i;
    json_t *log;
    json_array_foreach(json_object_get(report, "logs"), i, log) {
        json_t *o = json_object();
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            json_set(o, keys[k], given(log, keys[k]));
        }
        json_set(o, "time", short_time(log, "time"));
        json_array_append_new(all, o);
    }
    return all;
}

/* Sorted by name within a category. */
static void add_metric(json_t *all, size_t from, const char *category, const char *name, json_t *value) {
    size_t at = from;
    while (at < json_array_size(all) && strcmp(json_str(json_array_get(all, at), "name"), name) < 0) {
        at++;
    }
    json_array_insert_new(all, at, json_pack("{s:s, s:s, s:O}", "category", category, "name", name, "value", value));
}

static json_t *metrics_of(const json_t *report) {
    json_t *all = json_array();
    const char *category;
    json_t *metric, *value;
    json_object_foreach(json_object_get(report, "metrics"), category, metric) {
        size_t from = json_array_size(all), i;
        json_array_foreach(json_object_get(metric, "values"), i, value) {
            const char *name = json_string_value(json_array_get(value, 0));
            json_t *number = json_array_get(value, 2);
            if (name != NULL && json_is_number(number)) {
                add_metric(all, from, category, name, number);
            }
        }
    }
    return all;
}

/* Values of events are texts. */
static json_t *value_text(const json_t *event, const char *key) {
    const json_t *value = json_object_get(event, key);
    char *text = value != NULL ? ps_ruby_text(value) : str_dup("");
    json_t *result = json_string(text);
    mem_free(text);
    return result;
}

static json_t *events_of(const json_t *status) {
    json_t *all = json_array();
    size_t i;
    json_t *event;
    json_array_foreach(json_object_get(status, "events"), i, event) {
        json_array_append_new(
            all, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "status", given(event, "status"), "timestamp",
                           short_time(event, "time"), "name", given(event, "name"), "property",
                           given(event, "property"), "new_value", value_text(event, "desired_value"), "old_value",
                           value_text(event, "previous_value"), "corrective_change",
                           (int)given_true(event, "corrective_change"), "message", given(event, "message")));
    }
    return all;
}

static json_t *resources_of(const json_t *report) {
    json_t *all = json_array();
    const char *name;
    json_t *status;
    json_object_foreach(json_object_get(report, "resource_statuses"), name, status) {
        if (json_array_size(json_object_get(status, "events")) == 0 && !given_true(status, "skipped")) {
            continue;
        }
        json_array_append_new(
            all,
            json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "skipped", (int)given_true(status, "skipped"),
                      "timestamp", short_time(status, "time"), "resource_type", given(status, "resource_type"),
                      "resource_title", given(status, "title"), "file", given(status, "file"), "line",
                      given(status, "line"), "containment_path", given(status, "containment_path"), "corrective_change",
                      (int)given_true(status, "corrective_change"), "events", events_of(status)));
    }
    return all;
}

/* The run ended when its total time had passed. */
static json_t *end_time(const json_t *report) {
    int64_t start;
    const char *text = json_str(report, "time");
    if (text == NULL || !time_parse(span_of(text), &start)) {
        return json_null();
    }
    double total_ms = 0;
    const json_t *time = json_object_get(json_object_get(report, "metrics"), "time");
    size_t i;
    json_t *value;
    json_array_foreach(json_object_get(time, "values"), i, value) {
        const char *name = json_string_value(json_array_get(value, 0));
        if (name != NULL && strcmp(name, "total") == 0) {
            total_ms = json_number_value(json_array_get(value, 2)) * 1000;
        }
    }
    /* What the agent's clock says beyond the millisecond counts when the two are added. */
    struct span fraction = span_of(text);
    ptrdiff_t dot = span_find(fraction, '.');
    uint64_t below = 0;
    if (dot >= 0) {
        fraction = span_sub(fraction, (size_t)dot + 1 + 3, 6);
        size_t digits = 0;
        while (digits < fraction.len && fraction.ptr[digits] >= '0' && fraction.ptr[digits] <= '9') {
            digits++;
        }
        span_to_u64(span_sub(fraction, 0, digits), &below);
        for (; digits < 6; digits++) {
            below *= 10;
        }
    }
    return total_ms >= 0 && total_ms < 1e12 ? ps_time_json(start + (int64_t)(total_ms + (double)below / 1e6))
                                            : json_null();
}

json_t *ps_report_wire(const json_t *report, const char *certname, const char *producer, int64_t now_ms) {
    static const char *const same[] = {"job_id",       "puppet_version",   "report_format",
                                       "environment",  "transaction_uuid", "status",
                                       "catalog_uuid", "code_id",          "cached_catalog_status"};
    json_t *o = json_pack("{s:s}", "certname", certname);
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        json_set(o, same[i], given(report, same[i]));
    }
    json_t *version = json_object_get(report, "configuration_version");
    char *text = json_is_string(version) || json_is_null(version) || version == NULL ? NULL : json_text(version);
    json_set(o, "configuration_version",
             text != NULL              ? json_string(text)
             : json_is_string(version) ? json_incref(version)
                                       : json_string(""));
    mem_free(text);
    json_set(o, "noop", json_boolean(given_true(report, "noop")));
    json_set(o, "noop_pending", json_boolean(given_true(report, "noop_pending")));
    json_set(o, "corrective_change", json_boolean(given_true(report, "corrective_change")));
    json_set(o, "producer_timestamp", ps_time_json(now_ms));
    json_set(o, "start_time", short_time(report, "time"));
    json_set(o, "end_time", end_time(report));
    json_set(o, "logs", logs_of(report));
    json_set(o, "metrics", metrics_of(report));
    json_set(o, "resources", resources_of(report));
    json_set(o, "producer", json_string(producer));
    return o;
}
