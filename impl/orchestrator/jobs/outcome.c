#include "orchestrator/jobs/outcome.h"

#include "base/json.h"
#include "base/mem.h"

#include <string.h>

#define TASK_ERROR "puppetlabs.tasks/task-error"
#define EXECUTION_FAILURE "puppetlabs.orchestrator/execution-failure"
#define REDACTED "Sensitive: [value redacted]"

/* ---------------------------------------------------------------------------------------- tasks */

static json_t *task_error(int64_t exitcode, struct span stdout_text, struct span stderr_text) {
    struct buf msg = BUF_INIT;
    buf_printf(&msg, "Task exited %lld:\n", (long long)exitcode);
    if (stdout_text.len == 0) {
        buf_append_span(&msg, stderr_text);
    }
    json_t *details = json_object();
    json_set(details, "exitcode", json_integer(exitcode));  /* the manual's key … */
    json_set(details, "exit_code", json_integer(exitcode)); /* … and the one Bolt reads */
    json_t *error = json_object();
    json_t *text = json_str_new(buf_span(&msg));
    json_set(error, "msg", text != NULL ? text : json_string("Task failed, its output is no UTF-8"));
    json_set(error, "kind", json_string(TASK_ERROR));
    json_set(error, "details", details);
    buf_free(&msg);
    return error;
}

/* The object on standard output, or NULL when it is something else. */
static json_t *output_object(struct span text) {
    struct span trimmed = span_trim(text);
    if (trimmed.len == 0 || trimmed.ptr[0] != '{') {
        return NULL;
    }
    json_t *value = json_parse(trimmed, "task-output", NULL);
    if (value != NULL && !json_is_object(value)) {
        json_decref(value);
        value = NULL;
    }
    return value;
}

enum node_state outcome_task(int64_t exitcode, struct span stdout_text, struct span stderr_text, struct buf *detail) {
    json_t *object = output_object(stdout_text);
    bool has_error = json_object_get(object, "_error") != NULL;
    bool has_secret = json_object_get(object, "_sensitive") != NULL;
    enum node_state state = exitcode == 0 && !has_error ? NODE_FINISHED : NODE_FAILED;
    if (object != NULL && !has_secret && (exitcode == 0 || has_error)) {
        buf_append_span(detail, span_trim(stdout_text));
        json_decref(object);
        return state;
    }
    if (object == NULL) {
        object = json_object();
        json_t *output = json_str_new(stdout_text);
        json_set(object, "_output", output != NULL ? output : json_string(""));
    }
    if (has_secret) {
        json_set(object, "_sensitive", json_string(REDACTED));
    }
    if (exitcode != 0 && !has_error) {
        json_set(object, "_error", task_error(exitcode, stdout_text, stderr_text));
    }
    json_write(detail, object);
    json_decref(object);
    return state;
}

bool outcome_task_results(const json_t *results, enum node_state *state, struct buf *detail) {
    const json_t *exitcode = json_object_get(results, "exitcode");
    if (!json_is_integer(exitcode)) {
        return false;
    }
    *state = outcome_task(json_integer_value(exitcode), json_span(json_object_get(results, "stdout")),
                          json_span(json_object_get(results, "stderr")), detail);
    return true;
}

/* ---------------------------------------------------------------------------------------- Puppet runs */

static char *known_text(const json_t *object, const char *key) {
    const char *text = json_str(object, key);
    return text == NULL || strcmp(text, "unknown") == 0 ? NULL : str_dup(text);
}

/* The module's own object: the results themselves, or JSON text on its standard output. New reference or NULL. */
static json_t *module_object(const json_t *results) {
    if (json_str(results, "status") != NULL && json_object_get(results, "stdout") == NULL) {
        return json_incref((json_t *)results);
    }
    json_t *value = json_parse(json_span(json_object_get(results, "stdout")), "module-output", NULL);
    if (value != NULL && json_str(value, "status") == NULL && json_object_get(value, "error_type") == NULL) {
        json_decref(value);
        value = NULL;
    }
    return value;
}

struct deploy_outcome *outcome_deploy(const json_t *results) {
    json_t *object = module_object(results);
    if (object == NULL) {
        return NULL;
    }
    struct deploy_outcome *o = mem_zalloc(sizeof *o);
    const char *status = json_str(object, "status");
    o->status = str_dup(status != NULL ? status : "unknown");
    o->transaction_uuid = known_text(object, "transaction_uuid");
    o->environment = known_text(object, "environment");
    o->error_type = known_text(object, "error_type");
    o->error = known_text(object, "error");
    json_t *metrics = json_object_get(object, "metrics");
    o->metrics = json_is_object(metrics) ? json_incref(metrics) : NULL;
    json_decref(object);
    return o;
}

void deploy_outcome_free(struct deploy_outcome *o) {
    if (o == NULL) {
        return;
    }
    mem_free(o->status);
    mem_free(o->transaction_uuid);
    mem_free(o->environment);
    mem_free(o->error_type);
    mem_free(o->error);
    json_decref(o->metrics);
    json_decref(o->report);
    mem_free(o);
}

bool deploy_outcome_ran(const struct deploy_outcome *o) {
    return o->transaction_uuid != NULL && strcmp(o->status, "unknown") != 0;
}

static void add_count(json_t *out, const char *name, const json_t *value) {
    char *key = str_dup(name);
    for (char *c = key; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : *c;
    }
    json_set(out, key, json_integer((json_int_t)json_number_value(value)));
    mem_free(key);
}

/* {"total": 212, …}: what the agent counted, else the report's metrics of category "resources". */
static json_t *resource_counts(const struct deploy_outcome *o) {
    const json_t *metrics = json_object_get(o->report, "metrics");
    const json_t *data = json_is_object(metrics) ? json_object_get(metrics, "data") : metrics;
    json_t *out = json_object(), *value;
    const char *key;
    size_t i;
    json_object_foreach(o->metrics, key, value) {
        if (json_is_number(value)) {
            add_count(out, key, value);
        }
    }
    if (json_object_size(out) != 0) {
        return out;
    }
    json_array_foreach(data, i, value) {
        const char *category = json_str(value, "category"), *name = json_str(value, "name");
        const json_t *count = json_object_get(value, "value");
        if (category != NULL && strcmp(category, "resources") == 0 && name != NULL && json_is_number(count)) {
            add_count(out, name, count);
        }
    }
    return out;
}

static void set_text(json_t *object, const char *key, const char *text) {
    if (text != NULL) {
        json_set(object, key, json_string(text));
    }
}

static void set_report_url(json_t *object, const char *console, int64_t job, struct span node) {
    if (console != NULL) {
        size_t len = strlen(console);
        len -= len != 0 && console[len - 1] == '/' ? 1 : 0;
        char *url = str_printf("%.*s/#/run/jobs/%lld/nodes/%.*s/report", (int)len, console, (long long)job,
                               (int)node.len, node.ptr);
        json_set(object, "report-url", json_string(url));
        mem_free(url);
    }
}

enum node_state outcome_deploy_detail(const struct deploy_outcome *o, const char *missing, bool noop, bool no_noop,
                                      const char *console, int64_t job, struct span node, struct buf *detail) {
    const json_t *report = o->report;
    json_t *result = json_object();
    const char *status = json_str(report, "status");
    status = status != NULL ? status : o->status;
    const char *environment = json_str(report, "environment");
    if (report != NULL) {
        set_text(result, "hash", json_str(report, "hash"));
    }
    json_t *flags = json_object();
    json_set(flags, "noop", json_boolean(noop));
    json_set(flags, "no_noop", json_boolean(no_noop));
    json_set(result, "noop", flags);
    set_text(result, "status", status);
    json_set(result, "metrics", resource_counts(o));
    if (report != NULL) {
        set_report_url(result, console, job, node);
    } else {
        set_text(result, "message", missing);
    }
    set_text(result, "environment", environment != NULL ? environment : o->environment);
    set_text(result, "configuration_version", json_str(report, "configuration_version"));
    set_text(result, "transaction_uuid", o->transaction_uuid);
    set_text(result, "error_type", o->error_type);
    set_text(result, "capability-wait", o->capability_late ? "timed out" : NULL);
    json_write(detail, result);
    enum node_state state = strcmp(status, "failed") == 0 ? NODE_FAILED : NODE_FINISHED;
    json_decref(result);
    return state;
}

/* ---------------------------------------------------------------------------------------- neither */

static void error_members(struct buf *detail, struct span node, struct span msg) {
    buf_append_cstr(detail, "\"kind\":\"" EXECUTION_FAILURE "\",\"msg\":");
    json_write_string(detail, msg);
    buf_append_cstr(detail, ",\"details\":{\"node\":");
    json_write_string(detail, node);
    buf_append_char(detail, '}');
}

void outcome_error(struct buf *detail, struct span node, struct span msg) {
    buf_append_char(detail, '{');
    error_members(detail, node, msg);
    buf_append_cstr(detail, ",\"_error\":{");
    error_members(detail, node, msg);
    buf_append_cstr(detail, "}}");
}

void outcome_skip(struct buf *detail, const char *reason) {
    buf_append_cstr(detail, "{\"reason\":");
    json_write_string(detail, span_of(reason));
    buf_append_char(detail, '}');
}
