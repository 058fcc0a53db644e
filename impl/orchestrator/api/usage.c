/* GET /usage: how many nodes were managed and changed each day (orchestrator-api.md §11.2). */
#include "base/clock.h"
#include "orchestrator/api/internal.h"
#include <string.h>

static const struct {
    const char *key, *counter;
    bool event;
} columns[] = {
    {"nodes_with_agent", "nodes_with_agent", false},
    {"nodes_without_agent", "nodes_without_agent", false},
    {"corrective_agent_changes", "corrective_agent_changes", true},
    {"intentional_agent_changes", "intentional_agent_changes", true},
    {"nodes_affected_by_task_runs", "nodes_affected_by_task_runs", true},
    {"nodes_affected_by_plan_runs", "nodes_affected_by_plan_runs", true},
};
enum { COLUMNS = sizeof columns / sizeof columns[0], DAY_MS = 86400000 };

struct writer {
    struct buf out;
    bool first, events;
    int64_t day; /* of the values, -1: none yet */
    int64_t values[COLUMNS];
};

static void write_day(struct writer *w) {
    if (w->day < 0) {
        return;
    }
    char date[TIME_TEXT_LEN];
    time_format_s(w->day * DAY_MS, date);
    buf_printf(&w->out, "%s{\"date\":\"%.10s\",\"total_nodes\":%lld", w->first ? "" : ",", date,
               (long long)(w->values[0] + w->values[1]));
    w->first = false;
    for (size_t i = 0; i < COLUMNS; i++) {
        if (!columns[i].event || w->events) {
            buf_printf(&w->out, ",\"%s\":%lld", columns[i].key, (long long)w->values[i]);
        }
        w->values[i] = 0;
    }
    buf_append_char(&w->out, '}');
}

static bool add_value(void *ctx, int64_t day, const char *counter, int64_t value) {
    struct writer *w = ctx;
    if (day != w->day) {
        write_day(w);
        w->day = day;
    }
    for (size_t i = 0; i < COLUMNS; i++) {
        w->values[i] += strcmp(columns[i].counter, counter) == 0 ? value : 0;
    }
    return true;
}

/* Exactly YYYY-MM-DD. False: answered. */
static bool read_date(struct api_call *call, const char *name, int64_t *day) {
    const char *text = http_query(call->ex, name);
    int64_t ms;
    *day = -1;
    if (text == NULL) {
        return true;
    }
    if (strlen(text) != 10 || !time_parse(span_of(text), &ms) || ms < 0) {
        json_t *given = json_string(text);
        api_reply_invalid(call, name, given, "%s must be a date like 2030-01-31", name);
        json_decref(given);
        return false;
    }
    *day = ms / DAY_MS;
    return true;
}

static bool read_events(struct api_call *call, bool *include) {
    const char *events = http_query(call->ex, "events");
    *include = events == NULL || strcmp(events, "include") == 0;
    if (!*include && strcmp(events, "exclude") != 0) {
        json_t *given = json_string(events);
        api_reply_invalid(call, "events", given, "events must be include or exclude");
        json_decref(given);
        return false;
    }
    return true;
}

static void write_pagination(struct api_call *call, struct buf *out) {
    static const char *const names[] = {"start_date", "end_date"};
    const char *separator = "";
    buf_append_cstr(out, "],\"pagination\":{");
    for (size_t i = 0; i < 2; i++) {
        const char *text = http_query(call->ex, names[i]);
        if (text != NULL) {
            buf_printf(out, "%s\"%s\":\"%s\"", separator, names[i], text);
            separator = ",";
        }
    }
    buf_append_cstr(out, "}}");
}

void usage_get(struct api_call *call) {
    struct writer w = {.first = true, .day = -1};
    struct error err = ERROR_INIT;
    int64_t first, last;
    if (!read_date(call, "start_date", &first) || !read_date(call, "end_date", &last) ||
        !read_events(call, &w.events)) {
        return;
    }
    if (first >= 0 && last >= 0 && last < first) {
        json_t *given = json_string(http_query(call->ex, "end_date"));
        api_reply_invalid(call, "end_date", given, "end_date must not be before start_date");
        json_decref(given);
        return;
    }
    buf_append_cstr(&w.out, "{\"items\":[");
    if (store_usage_page(call->api->parts.store, first, last, add_value, &w, &err)) {
        write_day(&w);
        write_pagination(call, &w.out);
        api_reply(call, 200, buf_span(&w.out));
    } else {
        api_reply_store_error(call, &err);
        error_clear(&err);
    }
    buf_free(&w.out);
}
