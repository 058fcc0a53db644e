/* The made-up Puppet run: the answers of pxp-module-puppet (agent.md §17) and the report that goes with them. */
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "simulator/fleet/behaviour_internal.h"
#include <string.h>

const char puppet_module_name[] = "pxp-module-puppet";

const char puppet_module_metadata[] =
    "{\"description\":\"PXP Puppet module\",\"configuration\":{\"type\":\"object\",\"properties\":{\"puppet_bin\":"
    "{\"type\":\"string\"}}},\"actions\":[{\"name\":\"run\",\"description\":\"Start a Puppet run\",\"input\":"
    "{\"type\":\"object\",\"properties\":{\"env\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"flags\":"
    "{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"job\":{\"type\":\"string\"}},\"required\":[\"flags\"]},"
    "\"results\":{\"type\":\"object\",\"properties\":{\"kind\":{\"type\":\"string\"},\"time\":{\"type\":\"string\"},"
    "\"transaction_uuid\":{\"type\":\"string\"},\"metrics\":{\"type\":\"object\"},\"environment\":{\"type\":\"string\"}"
    ","
    "\"status\":{\"type\":\"string\"},\"error_type\":{\"type\":\"string\"},\"error\":{\"type\":\"string\"},"
    "\"exitcode\":{\"type\":\"number\"},\"version\":{\"type\":\"number\"}},\"required\":[\"time\",\"transaction_uuid\","
    "\"environment\",\"status\",\"exitcode\",\"version\"]}}]}";

static const char *const status_names[RUN_STATUSES] = {"unchanged", "changed", "failed"};
enum { RESOURCES = 7 };

struct run {
    const char *node;
    enum run_status status;
    bool noop;
    const char *environment, *job; /* job may be NULL */
    char transaction[UUID_LEN + 1], catalog[UUID_LEN + 1];
    int64_t start_ms, end_ms;
    unsigned changed, failed, out_of_sync;
};

static void random_uuid(struct rng *r, char out[UUID_LEN + 1]) {
    uint8_t bytes[16];
    rng_fill(r, bytes, sizeof(bytes));
    uuid_format(bytes, out);
}

/* What the flags of the request say. */
static void read_flags(struct run *run, const json_t *input) {
    const json_t *flags = json_object_get(input, "flags");
    run->environment = "production";
    run->job = json_str(input, "job");
    for (size_t i = 0; i < json_array_size(flags); i++) {
        const char *flag = json_string_value(json_array_get(flags, i));
        const char *value = json_string_value(json_array_get(flags, i + 1));
        if (flag != NULL && strcmp(flag, "--environment") == 0 && value != NULL) {
            run->environment = value;
        } else if (flag != NULL && strcmp(flag, "--noop") == 0) {
            run->noop = true;
        } else if (flag != NULL && strcmp(flag, "--no-noop") == 0) {
            run->noop = false;
        }
    }
}

static json_t *resource_metrics(const struct run *run) {
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "total", RESOURCES, "changed", (int)run->changed,
                     "failed", (int)run->failed, "skipped", 0, "restarted", 0, "scheduled", 0, "out_of_sync",
                     (int)run->out_of_sync, "failed_to_restart", 0, "corrective_change", 0);
}

static json_t *event_json(const char *time, const char *status, bool noop) {
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "timestamp", time, "property", "ensure", "new_value",
                     "present", "old_value", "absent", "status", status, "message",
                     noop ? "current_value 'absent', should be 'present' (noop)" : "defined 'ensure' as 'present'",
                     "name", "ensure_changed", "corrective_change", 0);
}

/* Resources that have something to tell: the changed, failed or pending ones. */
static json_t *resources_json(const struct run *run, const char *time) {
    json_t *list = json_array();
    for (unsigned i = 0; i < run->out_of_sync; i++) {
        const char *status = run->noop ? "noop" : i < run->failed ? "failure" : "success";
        char title[32];
        snprintf(title, sizeof(title), "/etc/dalang.d/%u", i + 1);
        json_t *events = json_array();
        json_array_append_new(events, event_json(time, status, run->noop));
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b, s:s, s:i, s:[s, s], s:b, s:o}", "resource_type",
                                              "File", "resource_title", title, "timestamp", time, "skipped", 0, "file",
                                              "/etc/puppetlabs/code/environments/production/manifests/site.pp", "line",
                                              (int)i + 1, "containment_path", "Stage[main]", title, "corrective_change",
                                              0, "events", events));
    }
    return list;
}

static void add_metric(json_t *list, const char *category, const char *name, json_t *value) {
    json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "category", category, "name", name, "value", value));
}

static json_t *report_json(const struct run *run) {
    char start[TIME_TEXT_LEN], end[TIME_TEXT_LEN], version[24];
    time_format_ms(run->start_ms, start);
    time_format_ms(run->end_ms, end);
    snprintf(version, sizeof(version), "%lld", (long long)(run->start_ms / 1000));
    json_t *metrics = json_array(), *counts = resource_metrics(run), *value;
    const char *name;
    json_object_foreach(counts, name, value) {
        add_metric(metrics, "resources", name, json_incref(value));
    }
    json_decref(counts);
    add_metric(metrics, "time", "total", json_real((double)(run->end_ms - run->start_ms) / 1000.0));
    add_metric(metrics, "changes", "total", json_integer(run->changed));
    add_metric(metrics, "events", "total", json_integer(run->out_of_sync));
    add_metric(metrics, "events", "failure", json_integer(run->failed));
    add_metric(metrics, "events", "success", json_integer(run->changed));
    json_t *report = json_object();
    json_set(report, "certname", json_string(run->node));
    json_set(report, "environment", json_string(run->environment));
    json_set(report, "puppet_version", json_string("7.23.0"));
    json_set(report, "report_format", json_integer(12));
    json_set(report, "configuration_version", json_string(version));
    json_set(report, "start_time", json_string(start));
    json_set(report, "end_time", json_string(end));
    json_set(report, "producer_timestamp", json_string(end));
    json_set(report, "producer", json_string("puppetserver"));
    json_set(report, "transaction_uuid", json_string(run->transaction));
    json_set(report, "catalog_uuid", json_string(run->catalog));
    json_set(report, "code_id", json_null());
    json_set(report, "job_id", run->job != NULL ? json_string(run->job) : json_null());
    json_set(report, "cached_catalog_status", json_string("not_used"));
    json_set(report, "status", json_string(status_names[run->status]));
    json_set(report, "noop", json_boolean(run->noop));
    json_set(report, "noop_pending", json_boolean(run->noop && run->out_of_sync > 0));
    json_set(report, "corrective_change", json_false());
    json_set(report, "type", json_string("agent"));
    json_set(report, "resources", resources_json(run, end));
    json_set(report, "metrics", metrics);
    json_set(report, "logs", json_array());
    return report;
}

static const struct {
    const char *type, *text;
} run_errors[] = {
    {"agent_disabled", "Puppet agent is disabled"},
    {"agent_locked", "Puppet agent run is already in progress"},
    {"agent_failed_to_start", "Failed to start Puppet agent"},
    {"agent_exit_non_zero", "Puppet agent exited with a non 0 exitcode"},
    {"no_puppet_bin", "Puppet executable '/opt/puppetlabs/bin/puppet' does not exist"},
    {"no_last_run_report", "The Puppet run failed in an unexpected way"},
};

static json_t *error_result(const char *type, int exitcode) {
    const char *text = type;
    for (size_t i = 0; i < sizeof(run_errors) / sizeof(run_errors[0]); i++) {
        if (strcmp(type, run_errors[i].type) == 0) {
            text = run_errors[i].text;
        }
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:{}, s:i, s:i, s:s, s:s}", "time", "unknown", "transaction_uuid", "unknown",
                     "environment", "unknown", "status", "unknown", "metrics", "exitcode", exitcode, "version", 1,
                     "error_type", type, "error", text);
}

static json_t *run_result(const struct puppet_behaviour *p, const struct run *run) {
    char time[TIME_TEXT_LEN];
    time_format_ms(run->start_ms, time);
    json_t *result = json_pack("{s:s, s:s, s:s, s:s, s:o, s:i, s:i}", "time", time, "transaction_uuid",
                               run->transaction, "environment", run->environment, "status", status_names[run->status],
                               "metrics", resource_metrics(run), "exitcode", p->exit, "version", 1);
    if (p->exit != 0) {
        json_set(result, "error_type", json_string("agent_exit_non_zero"));
        json_set(result, "error", json_string("Puppet agent exited with a non 0 exitcode"));
    }
    return result;
}

static void make_run(const struct puppet_behaviour *p, const struct invocation *i, const json_t *input, struct rng *r,
                     struct made_up *out) {
    struct run run = {.node = i->node};
    read_flags(&run, input);
    run.status = (enum run_status)rng_pick(r, p->weights, RUN_STATUSES);
    unsigned touched = run.status == RUN_UNCHANGED ? 0 : 1 + (unsigned)rng_below(r, RESOURCES - 1);
    run.out_of_sync = touched;
    run.failed = run.status == RUN_FAILED ? 1 : 0;
    run.changed = touched - run.failed;
    if (run.noop) { /* nothing is changed, so nothing fails; what would change is pending */
        run.status = RUN_UNCHANGED;
        run.changed = run.failed = 0;
    }
    random_uuid(r, run.transaction);
    random_uuid(r, run.catalog);
    run.start_ms = i->wall_ms;
    run.end_ms = i->wall_ms + (int64_t)(out->takes_us / 1000);
    json_t *result = run_result(p, &run);
    json_write(&out->out, result);
    json_decref(result);
    out->status = p->exit != 0 ? 1 : 0;
    if (p->reports) {
        out->report = report_json(&run);
    }
}

static void remember_output_files(const json_t *request, struct made_up *out) {
    static const char *const keys[] = {"stdout", "stderr", "exitcode"};
    const json_t *files = json_object_get(request, "output_files");
    for (size_t i = 0; i < 3 && files != NULL; i++) {
        out->output_files[i] = str_dup(json_str(files, keys[i]));
    }
}

void behaviour_puppet(const struct behaviours *b, const struct invocation *i, struct rng *r, struct made_up *out) {
    const struct puppet_behaviour *p = &b->puppet;
    if (i->argv[1] == NULL || strcmp(i->argv[1], "metadata") == 0) {
        buf_append_cstr(&out->out, puppet_module_metadata);
        return;
    }
    json_t *request = json_parse(i->input, "input", NULL);
    const json_t *input = json_object_get(request, "input");
    remember_output_files(request, out);
    if (!json_is_object(input) || p->error != NULL) {
        json_t *result =
            error_result(p->error != NULL ? p->error : "invalid_json", p->error != NULL && p->exit != 0 ? p->exit : -1);
        json_write(&out->out, result);
        json_decref(result);
        out->status = 1;
    } else {
        out->takes_us = dist_draw(&p->takes_us, r);
        make_run(p, i, input, r, out);
    }
    json_decref(request);
}
