#include "orchestrator/jobs/render.h"

#include "base/clock.h"
#include "base/json.h"

#include <string.h>

enum { OUT_MESSAGE_MAX = 1024 };

/* Pages hold thousands of rows: numbers and times are written without printf. */
static void add_number(struct buf *out, int64_t value) {
    char digits[24], *at = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0) {
        *--at = '-';
    }
    buf_append(out, at, (size_t)(digits + sizeof digits - at));
}

static void two_digits(char *at, int value) {
    at[0] = (char)('0' + value / 10 % 10);
    at[1] = (char)('0' + value % 10);
}

void render_time(struct buf *out, int64_t ms) {
    char text[] = "\"0000-00-00T00:00:00Z\"";
    if (ms == 0) {
        buf_append_cstr(out, "null");
        return;
    }
    struct civil_time c = time_civil(ms);
    two_digits(text + 1, c.year / 100);
    two_digits(text + 3, c.year % 100);
    two_digits(text + 6, c.month);
    two_digits(text + 9, c.day);
    two_digits(text + 12, c.hour);
    two_digits(text + 15, c.minute);
    two_digits(text + 18, c.second);
    buf_append(out, text, sizeof text - 1);
}

void render_duration(struct buf *out, int64_t ms) {
    ms = ms < 0 ? 0 : ms;
    int thousandths = (int)(ms % 1000);
    char text[] = ".000";
    text[1] = (char)('0' + thousandths / 100);
    two_digits(text + 2, thousandths % 100);
    size_t len = thousandths % 10 != 0 ? 4 : thousandths % 100 != 0 ? 3 : 2;
    add_number(out, ms / 1000);
    buf_append(out, text, len);
}

void render_counts(struct buf *out, const uint32_t counts[NODE_STATES], bool all) {
    const char *separator = "{";
    for (int s = 0; s < NODE_STATES; s++) {
        if (all || counts[s] != 0) {
            buf_printf(out, "%s\"%s\":%u", separator, node_state_name((enum node_state)s), counts[s]);
            separator = ",";
        }
    }
    buf_append_cstr(out, *separator == '{' ? "{}" : "}");
}

/* States in the order they were entered; each is left when the next begins. */
void render_job_status(struct buf *out, const int64_t entered_ms[JOB_STATES]) {
    bool first = true;
    for (int s = 0; s < JOB_STATES; s++) {
        if (entered_ms[s] == 0) {
            continue;
        }
        if (!first) {
            render_time(out, entered_ms[s]);
            buf_append_char(out, '}');
        }
        buf_printf(out, "%s{\"state\":\"%s\",\"enter_time\":", first ? "[" : ",", job_state_name((enum job_state)s));
        render_time(out, entered_ms[s]);
        buf_append_cstr(out, ",\"exit_time\":");
        first = false;
    }
    buf_append_cstr(out, first ? "[]" : "null}]");
}

static struct span or_object(struct span json) {
    return json.len != 0 ? json : SPAN("{}");
}

void render_job(struct buf *out, const struct store_job *job, const char *base, int64_t now_ms) {
    long long id = job->id;
    buf_printf(out, "{\"id\":\"%s/jobs/%lld\",\"name\":\"%lld\",\"state\":\"%s\",\"command\":", base, id, id,
               job_state_name(job->state));
    json_write_string(out, job->command);
    buf_printf(out, ",\"type\":\"%s\",\"options\":", job_type_name(job->type));
    buf_append_span(out, or_object(job->options));
    buf_append_cstr(out, ",\"owner\":");
    buf_append_span(out, or_object(job->owner));
    buf_append_cstr(out, ",\"description\":");
    json_write_string(out, job->description);
    buf_append_cstr(out, ",\"environment\":{\"name\":");
    json_write_string(out, job->environment);
    buf_append_cstr(out, "},\"timestamp\":");
    render_time(out, job->ts_ms);
    buf_append_cstr(out, ",\"started_timestamp\":");
    render_time(out, job->started_ms);
    buf_append_cstr(out, ",\"finished_timestamp\":");
    render_time(out, job->finished_ms);
    buf_append_cstr(out, ",\"duration\":");
    render_duration(out, (job->finished_ms != 0 ? job->finished_ms : now_ms) - job->started_ms);
    buf_printf(out, ",\"node_count\":%u,\"node_states\":", job->node_count);
    if (job->node_count == 0) {
        buf_append_cstr(out, "null");
    } else {
        render_counts(out, job->counts, false);
    }
    static const char *const links[] = {"nodes", "report", "events"};
    for (size_t i = 0; i < 3; i++) {
        buf_printf(out, ",\"%s\":{\"id\":\"%s/jobs/%lld/%s\"}", links[i], base, id, links[i]);
    }
    buf_append_cstr(out, ",\"status\":");
    render_job_status(out, job->entered_ms);
    buf_append_cstr(out, ",\"userdata\":");
    buf_append_span(out, or_object(job->userdata));
    buf_append_char(out, '}');
}

/* ---------------------------------------------------------------------------------------- events */

/* The raw JSON string that follows `"key":` in an object of ours, with its quotes; empty when absent. Inside strings a
 * quote is escaped, so the pattern can only be a key. */
static struct span raw_string(struct span object, const char *key) {
    char pattern[40];
    snprintf(pattern, sizeof pattern, "\"%s\":\"", key);
    ptrdiff_t at = span_find_span(object, span_of(pattern));
    if (at < 0) {
        return SPAN("");
    }
    size_t from = (size_t)at + strlen(pattern) - 1, end = from + 1;
    while (end < object.len && object.ptr[end] != '"') {
        end += object.ptr[end] == '\\' ? 2 : 1;
    }
    return end < object.len ? span_sub(object, from, end - from + 1) : SPAN("");
}

/* Appends a raw JSON string without its quotes: for use inside another string. */
static void append_inner(struct buf *out, struct span raw) {
    if (raw.len >= 2) {
        buf_append(out, raw.ptr + 1, raw.len - 2);
    }
}

/* A name inside a JSON string. */
static void append_escaped(struct buf *out, struct span text) {
    size_t at = out->len;
    json_write_string(out, text);
    memmove(out->ptr + at, out->ptr + at + 1, out->len - at - 1); /* without the quotes */
    out->len -= 2;
    out->ptr[out->len] = '\0';
}

static const struct {
    const char *deploy_before, *deploy_after, *task_before, *task_after;
} messages[EVENT_TYPES] = {
    [EVENT_NODE_RUNNING] = {"Started puppet run on ", " ...", "Started on ", " ..."},
    [EVENT_NODE_FINISHED] = {"Finished puppet run on ", " - Success! ", "Finished on node ", ""},
    [EVENT_NODE_FAILED] = {"Finished puppet run on ", " - Failure!", "Failed on node ", ""},
    [EVENT_NODE_ERRORED] = {"Error running puppet on ", ": ", "Error on node ", ": "},
    [EVENT_NODE_SKIPPED] = {"Skipped ", ": ", "Skipped ", ": "},
    [EVENT_JOB_ABORTED] = {"Job aborted: ", "", "Job aborted: ", ""},
    [EVENT_JOB_STOPPING] = {"Job is stopping", "", "Job is stopping", ""},
    [EVENT_JOB_FINISHED] = {"Job finished: ", "", "Job finished: ", ""},
};

void render_event_message(struct buf *out, const struct store_event *e) {
    bool deploy = e->job_type == JOB_DEPLOY;
    buf_append_char(out, '"');
    buf_append_cstr(out, deploy ? messages[e->type].deploy_before : messages[e->type].task_before);
    if (e->node >= 0) {
        append_escaped(out, e->node_name);
    }
    buf_append_cstr(out, deploy ? messages[e->type].deploy_after : messages[e->type].task_after);
    switch (e->type) {
    case EVENT_NODE_ERRORED:
    case EVENT_JOB_ABORTED:
        append_inner(out, raw_string(e->detail, "msg"));
        break;
    case EVENT_NODE_SKIPPED:
        append_inner(out, raw_string(e->detail, "reason"));
        break;
    case EVENT_JOB_FINISHED:
        append_inner(out, raw_string(e->detail, "state"));
        break;
    default:
        break;
    }
    buf_append_char(out, '"');
}

void render_event(struct buf *out, const struct store_event *e) {
    buf_append_cstr(out, "{\"id\":\"");
    add_number(out, e->id);
    buf_append_cstr(out, "\",\"type\":\"");
    buf_append_cstr(out, event_type_name(e->type));
    buf_append_cstr(out, "\",\"timestamp\":");
    render_time(out, e->ts_ms);
    buf_append_cstr(out, ",\"details\":");
    if (e->node >= 0) {
        buf_append_cstr(out, "{\"node\":");
        json_write_string(out, e->node_name);
        buf_append_cstr(out, ",\"detail\":");
        buf_append_span(out, or_object(e->detail));
        buf_append_char(out, '}');
    } else {
        buf_append_span(out, or_object(e->detail));
    }
    buf_append_cstr(out, ",\"message\":");
    render_event_message(out, e);
    buf_append_char(out, '}');
}

/* ---------------------------------------------------------------------------------------- nodes */

static void member(struct buf *out, const char *key, struct span raw) {
    if (raw.len != 0) {
        buf_printf(out, ",\"%s\":", key);
        buf_append_span(out, raw);
    }
}

static void render_details(struct buf *out, const struct store_node *n, enum job_type type, int64_t now_ms) {
    if (n->event == 0) {
        buf_append_cstr(out, "{}");
        return;
    }
    struct store_event e = {
        .type = n->event_type, .node = n->index, .node_name = n->name, .detail = n->event_detail, .job_type = type};
    buf_append_cstr(out, "{\"message\":");
    render_event_message(out, &e);
    if (n->state == NODE_RUNNING || n->state == NODE_STOPPING) {
        buf_printf(out, ",\"run-time\":%lld", (long long)((now_ms - n->started_ms) / 1000));
    } else if (type == JOB_DEPLOY) {
        member(out, "report-url", raw_string(n->event_detail, "report-url"));
    }
    if (n->state == NODE_SKIPPED) {
        member(out, "detail", raw_string(n->event_detail, "reason"));
    } else if (n->state == NODE_ERRORED || n->state == NODE_STOPPED) {
        member(out, "detail", raw_string(n->event_detail, "msg"));
    }
    buf_append_char(out, '}');
}

void render_node(struct buf *out, const struct store_node *n, enum job_type type, int64_t now_ms) {
    bool has_result = node_state_final(n->state) && n->state != NODE_SKIPPED && n->event_detail.len != 0;
    buf_append_cstr(out, "{\"name\":");
    json_write_string(out, n->name);
    buf_append_cstr(out, ",\"state\":\"");
    buf_append_cstr(out, node_state_name(n->state));
    buf_append_cstr(out, "\",\"timestamp\":");
    render_time(out, n->ts_ms);
    buf_append_cstr(out, ",\"start_timestamp\":");
    render_time(out, n->started_ms);
    buf_append_cstr(out, ",\"finish_timestamp\":");
    render_time(out, n->finished_ms);
    buf_append_cstr(out, ",\"duration\":");
    if (n->started_ms == 0) {
        buf_append_cstr(out, "null");
    } else {
        render_duration(out, (n->finished_ms != 0 ? n->finished_ms : now_ms) - n->started_ms);
    }
    buf_append_cstr(out, ",\"transaction_uuid\":");
    if (n->run_uuid.len == 0) {
        buf_append_cstr(out, "null");
    } else {
        json_write_string(out, n->run_uuid);
    }
    buf_append_cstr(out, ",\"transport\":\"");
    buf_append_cstr(out, node_transport_name(n->transport));
    buf_append_cstr(out, "\",\"latest-event-id\":");
    add_number(out, n->event);
    buf_append_cstr(out, ",\"details\":");
    render_details(out, n, type, now_ms);
    buf_append_cstr(out, ",\"result\":");
    buf_append_span(out, has_result ? n->event_detail : SPAN("null"));
    buf_append_char(out, '}');
}

/* ---------------------------------------------------------------------------------------- plan events */

/* The length of the longest prefix of at most `max` bytes that ends between characters. */
static size_t cut_utf8(const char *text, size_t len, size_t max) {
    if (len <= max) {
        return len;
    }
    while (max != 0 && ((unsigned char)text[max] & 0xc0) == 0x80) {
        max--;
    }
    return max;
}

static void render_cut_message(struct buf *out, struct span details) {
    json_t *object = json_parse(details, "details", NULL);
    json_t *message = json_object_get(object, "message");
    if (json_is_string(message) && json_string_length(message) > OUT_MESSAGE_MAX) {
        const char *text = json_string_value(message);
        json_set(object, "message", json_stringn(text, cut_utf8(text, json_string_length(message), OUT_MESSAGE_MAX)));
        json_write(out, object);
    } else {
        buf_append_span(out, or_object(details));
    }
    json_decref(object);
}

void render_plan_event(struct buf *out, const struct store_plan_event *e, bool whole) {
    buf_append_cstr(out, "{\"id\":\"");
    add_number(out, e->id);
    buf_append_cstr(out, "\",\"type\":");
    json_write_string(out, e->type);
    buf_append_cstr(out, ",\"timestamp\":");
    render_time(out, e->ts_ms);
    buf_append_cstr(out, ",\"details\":");
    if (whole || !span_eq_cstr(e->type, "out_message")) {
        buf_append_span(out, or_object(e->details));
    } else {
        render_cut_message(out, e->details);
    }
    buf_append_char(out, '}');
}
