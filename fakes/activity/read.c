/* Reading events: v1 and v2 queries, JSON and CSV (rbac.md §15.2). */
#include "base/clock.h"
#include "base/mem.h"
#include "fakes/activity/model.h"
#include <string.h>

enum { LIMIT_DEFAULT = 1000 };

static const char *const known_services[] = {"classifier", "code-manager", "pe-console", "orchestrator", "rbac", NULL};

static bool word_in(const char *const *words, const char *word) {
    for (; *words != NULL; words++) {
        if (strcmp(*words, word) == 0) {
            return true;
        }
    }
    return false;
}

/* A filter of one query item; NULL parts match everything. */
struct filter {
    const char *subject_type, *subject_id; /* id: comma list */
    const char *object_type, *object_id;
    const char *ip_address; /* substring */
};

static bool in_comma_list(const char *list, const char *id) {
    struct span rest = span_of(list);
    struct span part;
    while (span_split(&rest, ',', &part)) {
        if (span_eq_cstr(span_trim(part), id)) {
            return true;
        }
    }
    return false;
}

static bool object_matches(const json_t *object, const struct filter *f) {
    return (f->object_type == NULL || strcmp(json_str(object, "type"), f->object_type) == 0) &&
           (f->object_id == NULL || in_comma_list(f->object_id, json_str(object, "id")));
}

static bool filter_matches(const json_t *commit, const struct filter *f) {
    if (f->subject_type != NULL && strcmp(f->subject_type, "users") != 0) {
        return false;
    }
    if (f->subject_id != NULL && !in_comma_list(f->subject_id, json_str(json_object_get(commit, "subject"), "id"))) {
        return false;
    }
    const char *ip = json_str(commit, "ip_address");
    if (f->ip_address != NULL && (ip == NULL || strstr(ip, f->ip_address) == NULL)) {
        return false;
    }
    if (f->object_type == NULL && f->object_id == NULL) {
        return true;
    }
    size_t i;
    json_t *object;
    json_array_foreach(json_object_get(commit, "objects"), i, object) {
        if (object_matches(object, f)) {
            return true;
        }
    }
    return false;
}

struct selection {
    const char *service;
    struct filter *filters; /* any of them; none: everything */
    size_t filter_count;
    int64_t from_ms, to_ms;
    uint64_t offset, limit;
    bool ascending;
    json_t *query; /* owns what the filters of v2 point to */
};

static void selection_free(struct selection *s) {
    mem_free(s->filters);
    json_decref(s->query);
}

/* In PE the console files the orchestrator's events; whoever asks for one of the two ids gets both. */
static bool service_matches(const char *asked, const char *stored) {
    if (asked == NULL || strcmp(asked, stored) == 0) {
        return true;
    }
    return (strcmp(asked, "pe-console") == 0 && strcmp(stored, "orchestrator") == 0) ||
           (strcmp(asked, "orchestrator") == 0 && strcmp(stored, "pe-console") == 0);
}

static bool selected(const struct selection *s, const json_t *commit) {
    int64_t at = 0;
    time_parse(span_of(json_str(commit, "timestamp")), &at);
    if (!service_matches(s->service, json_str(commit, "service")) || at < s->from_ms || at > s->to_ms) {
        return false;
    }
    bool any = s->filter_count == 0;
    for (size_t i = 0; i < s->filter_count && !any; i++) {
        any = filter_matches(commit, &s->filters[i]);
    }
    return any;
}

static bool bad_request(struct http_exchange *ex, const char *msg) {
    activity_fail(ex, 400, "malformed-request", NULL, msg);
    return false;
}

static bool number_param(struct http_exchange *ex, const char *name, uint64_t *value) {
    const char *text = http_query(ex, name);
    return text == NULL || span_to_u64(span_of(text), value) ||
           bad_request(ex, "limit and offset are non-negative integers");
}

static bool time_param(struct http_exchange *ex, const char *text, int64_t *value) {
    return text == NULL || time_parse(span_of(text), value) || bad_request(ex, "a time is not ISO 8601");
}

/* What v1 and v2 have in common. */
static bool read_paging(struct http_exchange *ex, struct selection *s) {
    const char *order = http_query(ex, "order");
    s->limit = LIMIT_DEFAULT;
    s->from_ms = INT64_MIN;
    s->to_ms = INT64_MAX;
    s->service = http_query(ex, "service_id");
    if (s->service != NULL && !word_in(known_services, s->service)) {
        return bad_request(ex, "service_id names no known service");
    }
    if (order != NULL && strcmp(order, "asc") != 0 && strcmp(order, "desc") != 0) {
        return bad_request(ex, "order is asc or desc");
    }
    s->ascending = order != NULL && strcmp(order, "asc") == 0;
    return number_param(ex, "offset", &s->offset) && number_param(ex, "limit", &s->limit) &&
           time_param(ex, http_query(ex, "after_service_commit_time"), &s->from_ms);
}

static bool read_v1(struct http_exchange *ex, struct selection *s) {
    struct filter f = {.subject_type = http_query(ex, "subject_type"),
                       .subject_id = http_query(ex, "subject_id"),
                       .object_type = http_query(ex, "object_type"),
                       .object_id = http_query(ex, "object_id")};
    if (!read_paging(ex, s)) {
        return false;
    }
    if (s->service == NULL) {
        return bad_request(ex, "service_id is required");
    }
    if ((f.subject_id != NULL && f.subject_type == NULL) || (f.object_id != NULL && f.object_type == NULL)) {
        return bad_request(ex, "an id needs its type: subject_id with subject_type, object_id with object_type");
    }
    s->filters = mem_array(1, sizeof *s->filters);
    s->filters[0] = f;
    s->filter_count = 1;
    return true;
}

static bool read_v2_item(struct http_exchange *ex, struct selection *s, const json_t *item) {
    if (!json_is_object(item)) {
        return bad_request(ex, "query is an array of objects");
    }
    if (json_str(item, "start") != NULL || json_str(item, "end") != NULL) {
        return time_param(ex, json_str(item, "start"), &s->from_ms) && time_param(ex, json_str(item, "end"), &s->to_ms);
    }
    struct filter f = {.subject_type = json_str(item, "subject_type"),
                       .subject_id = json_str(item, "subject_id"),
                       .object_type = json_str(item, "object_type"),
                       .object_id = json_str(item, "object_id"),
                       .ip_address = json_str(item, "ip_address")};
    if (f.subject_type == NULL && f.subject_id == NULL && f.object_type == NULL && f.ip_address == NULL) {
        return bad_request(ex, "an item of query holds none of the known keys");
    }
    s->filters[s->filter_count++] = f;
    return true;
}

static bool read_v2(struct http_exchange *ex, struct selection *s) {
    if (!read_paging(ex, s)) {
        return false;
    }
    const char *text = http_query(ex, "query");
    if (text == NULL) {
        return true;
    }
    s->query = json_parse(span_of(text), "malformed-request", NULL);
    if (!json_is_array(s->query)) {
        return bad_request(ex, "query is a JSON array");
    }
    s->filters = mem_array(json_array_size(s->query) + 1, sizeof *s->filters);
    size_t i;
    json_t *item;
    json_array_foreach(s->query, i, item) {
        if (!read_v2_item(ex, s, item)) {
            return false;
        }
    }
    return true;
}

/* Commits in the order and window asked for; *total counts all that were selected. */
static json_t *take(const struct fake_activity *a, const struct selection *s, size_t *total) {
    json_t *page = json_array();
    size_t n = json_array_size(a->commits);
    *total = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *commit = json_array_get(a->commits, s->ascending ? i : n - 1 - i);
        if (selected(s, commit)) {
            if (*total >= s->offset && *total - s->offset < s->limit) {
                json_array_append(page, (json_t *)(uintptr_t)commit);
            }
            (*total)++;
        }
    }
    return page;
}

static json_t *commit_v1(const json_t *commit) {
    const json_t *object = json_array_get(json_object_get(commit, "objects"), 0);
    json_t *events = json_array();
    size_t i;
    json_t *event;
    json_array_foreach(json_object_get(commit, "events"), i, event) {
        json_array_append_new(events, json_pack("{s:O?}", "message", json_object_get(event, "message")));
    }
    return json_pack("{s:{s:s?, s:s?}, s:O, s:O, s:o}", "object", "id", json_str(object, "id"), "name",
                     json_str(object, "name"), "subject", json_object_get(commit, "subject"), "timestamp",
                     json_object_get(commit, "timestamp"), "events", events);
}

static json_t *commit_v2(const json_t *commit) {
    return json_pack("{s:O, s:O, s:O, s:O?, s:O}", "objects", json_object_get(commit, "objects"), "subject",
                     json_object_get(commit, "subject"), "timestamp", json_object_get(commit, "timestamp"),
                     "ip_address", json_object_get(commit, "ip_address"), "events", json_object_get(commit, "events"));
}

static void csv_field(struct buf *b, const char *text, bool last) {
    text = text != NULL ? text : "";
    if (strpbrk(text, ",\"\r\n") == NULL) {
        buf_append_cstr(b, text);
    } else {
        buf_append_char(b, '"');
        for (const char *p = text; *p != '\0'; p++) {
            if (*p == '"') {
                buf_append_char(b, '"');
            }
            buf_append_char(b, *p);
        }
        buf_append_char(b, '"');
    }
    buf_append_cstr(b, last ? "\r\n" : ",");
}

static void csv_time(struct buf *b, const char *iso) {
    int64_t ms = 0;
    time_parse(span_of(iso), &ms);
    struct civil_time c = time_civil(ms);
    buf_printf(b, "%04d-%02d-%02d %02d:%02d:%02d.%03d,", c.year, c.month, c.day, c.hour, c.minute, c.second,
               c.millisecond);
}

static void csv_event(struct buf *b, const json_t *commit, const json_t *object, const json_t *event) {
    const json_t *subject = json_object_get(commit, "subject");
    csv_time(b, json_str(commit, "timestamp"));
    csv_field(b, "users", false);
    csv_field(b, json_str(subject, "id"), false);
    csv_field(b, json_str(subject, "name"), false);
    csv_field(b, json_str(object, "type"), false);
    csv_field(b, json_str(object, "id"), false);
    csv_field(b, json_str(object, "name"), false);
    csv_field(b, json_str(event, "type"), false);
    csv_field(b, json_str(event, "what"), false);
    csv_field(b, json_str(event, "description"), false);
    csv_field(b, json_str(event, "message"), true);
}

static void respond_csv(struct http_exchange *ex, const json_t *page) {
    struct buf b = BUF_INIT;
    buf_append_cstr(&b, "Submit Time,Subject Type,Subject Id,Subject Name,Object Type,Object Id,Object Name,Type,What,"
                        "Description,Message\r\n");
    size_t i, j, k;
    json_t *commit, *object, *event;
    json_array_foreach((json_t *)(uintptr_t)page, i, commit) {
        json_array_foreach(json_object_get(commit, "objects"), j, object) {
            json_array_foreach(json_object_get(commit, "events"), k, event) {
                csv_event(&b, commit, object, event);
            }
        }
    }
    http_respond(ex, 200, "text/csv; charset=utf-8", buf_span(&b));
    buf_free(&b);
}

static json_t *map_commits(const json_t *page, json_t *(*form)(const json_t *commit)) {
    json_t *all = json_array();
    size_t i;
    json_t *commit;
    json_array_foreach((json_t *)(uintptr_t)page, i, commit) {
        json_array_append_new(all, form(commit));
    }
    return all;
}

/* What a reading route is: its version and form. */
struct reading {
    bool v2, csv;
};

static void events_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    const struct reading *how = route->data;
    if (activity_hidden(f, ex, how->v2) || !activity_known_caller(f, ex)) {
        return;
    }
    struct selection s = {0};
    if (how->v2 ? read_v2(ex, &s) : read_v1(ex, &s)) {
        size_t total;
        json_t *page = take(activity_of(f), &s, &total);
        json_int_t limit = (json_int_t)s.limit, offset = (json_int_t)s.offset, rows = (json_int_t)total;
        if (how->csv) {
            respond_csv(ex, page);
        } else if (how->v2) {
            http_respond_json(ex, 200,
                              json_pack("{s:o, s:{s:I, s:I, s:I}}", "commits", map_commits(page, commit_v2),
                                        "pagination", "total", rows, "limit", limit, "offset", offset));
        } else {
            http_respond_json(ex, 200,
                              json_pack("{s:o, s:I, s:I, s:I}", "commits", map_commits(page, commit_v1), "offset",
                                        offset, "limit", limit, "total-rows", rows));
        }
        json_decref(page);
    }
    selection_free(&s);
}

static const struct reading v1_json = {false, false}, v1_csv = {false, true}, v2_json = {true, false},
                            v2_csv = {true, true};

const struct fake_route activity_read_routes[] = {
    {"GET", "/activity-api/v1/events", events_get, &v1_json},
    {"GET", "/activity-api/v1/events.csv", events_get, &v1_csv},
    {"GET", "/activity-api/v2/events", events_get, &v2_json},
    {"GET", "/activity-api/v2/events.csv", events_get, &v2_csv},
    {NULL, NULL, NULL, NULL},
};
