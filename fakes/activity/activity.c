/* The service: state, taking bundles, routes. */
#include "fakes/activity/activity.h"
#include "base/clock.h"
#include "base/mem.h"
#include "fakes/activity/model.h"
#include "fakes/common/body.h"
#include <string.h>

struct fake_activity *activity_of(struct fake *f) {
    return (struct fake_activity *)(void *)f;
}

static const struct body_field state_fields[] = {
    {"commits", BODY_ARRAY, false},
    {"settings", BODY_OBJECT, false},
    {NULL, BODY_ANY, false},
};
static const struct body_field stored_fields[] = {
    {"service", BODY_STRING, true}, {"subject", BODY_OBJECT, true},   {"objects", BODY_ARRAY, true},
    {"events", BODY_ARRAY, true},   {"timestamp", BODY_STRING, true}, {"ip_address", BODY_STRING_OR_NULL, false},
    {NULL, BODY_ANY, false},
};

static const struct body_field service_fields[] = {{"id", BODY_STRING, true}, {NULL, BODY_ANY, false}};
static const struct body_field subject_fields[] = {
    {"id", BODY_STRING, true},
    {"name", BODY_STRING, true},
    {NULL, BODY_ANY, false},
};
static const struct body_field object_fields[] = {
    {"id", BODY_STRING, true},
    {"name", BODY_STRING, true},
    {"type", BODY_STRING, true},
    {NULL, BODY_ANY, false},
};

static bool check_objects(const json_t *objects, struct error *err) {
    size_t i;
    json_t *object;
    json_array_foreach((json_t *)(uintptr_t)objects, i, object) {
        if (!body_check(object, object_fields, err)) {
            return false;
        }
    }
    return true;
}

/* One commit of a state; its parts are later read without asking again. */
static bool check_stored(const json_t *commit, struct error *err) {
    int64_t at;
    return body_check(commit, stored_fields, err) &&
           body_check(json_object_get(commit, "subject"), subject_fields, err) &&
           check_objects(json_object_get(commit, "objects"), err) &&
           (time_parse(span_of(json_str(commit, "timestamp")), &at) ||
            error_set(err, "schema-violation", "\"%s\" is not an ISO 8601 time", json_str(commit, "timestamp")));
}

static bool load(struct fake *f, const json_t *state, struct error *err) {
    struct fake_activity *a = activity_of(f);
    if (!body_check(state, state_fields, err)) {
        return false;
    }
    json_t *commits = json_array();
    size_t i;
    json_t *commit;
    json_array_foreach(json_object_get(state, "commits"), i, commit) {
        if (!check_stored(commit, err)) {
            json_decref(commits);
            return false;
        }
        json_array_append_new(commits, json_deep_copy(commit));
    }
    json_decref(a->commits);
    a->commits = commits;
    a->v2 = json_bool(json_object_get(state, "settings"), "v2", true);
    return true;
}

static json_t *dump(struct fake *f) {
    struct fake_activity *a = activity_of(f);
    return json_pack("{s:o, s:{s:b}}", "commits", json_deep_copy(a->commits), "settings", "v2", (int)a->v2);
}

static json_t *status(struct fake *f, const char *level) {
    (void)f;
    return json_pack("{s:s, s:s, s:i, s:s, s:s, s:[], s:{s:b}}", "service_name", "activity-service", "service_version",
                     "1.8.0", "service_status_version", 1, "detail_level", level, "state", "running", "active_alerts",
                     "status", "db_up", 1);
}

void fake_activity_record(struct fake *f, json_t *commit, json_t *events) {
    struct fake_activity *a = activity_of(f);
    char now[TIME_TEXT_LEN];
    time_format_ms(fake_now_ms(f), now);
    json_t *objects = json_object_get(commit, "objects");
    json_t *ip = json_object_get(commit, "ip-address");
    json_t *stored = json_pack("{s:O, s:O, s:O, s:s, s:O?, s:o}", "service",
                               json_object_get(json_object_get(commit, "service"), "id"), "subject",
                               json_object_get(commit, "subject"), "objects", objects, "timestamp", now, "ip_address",
                               ip, "events", events);
    json_decref(commit);
    json_array_append_new(a->commits, stored);
    if (json_array_size(a->commits) > ACTIVITY_COMMITS_MAX) {
        json_array_remove(a->commits, 0);
    }
}

void fake_activity_set_v2(struct fake *f, bool on) {
    activity_of(f)->v2 = on;
}

void activity_fail(struct http_exchange *ex, int status, const char *kind, json_t *details, const char *msg) {
    fake_respond_error(ex, status, kind, details, "%s", msg);
}

bool activity_known_caller(struct fake *f, struct http_exchange *ex) {
    struct error err = ERROR_INIT;
    bool known = fake_authenticate(f, ex, &err);
    if (!known) {
        http_respond_error(ex, 401, &err);
    }
    error_clear(&err);
    return known;
}

static const struct body_field bundle_fields[] = {
    {"commit", BODY_OBJECT, true},
    {"events", BODY_ARRAY, true},
    {NULL, BODY_ANY, false},
};
static const struct body_field commit_v1_fields[] = {
    {"service", BODY_OBJECT, true},
    {"subject", BODY_OBJECT, true},
    {"object", BODY_OBJECT, true},
    {NULL, BODY_ANY, false},
};
static const struct body_field commit_v2_fields[] = {
    {"service", BODY_OBJECT, true},     {"subject", BODY_OBJECT, true}, {"objects", BODY_ARRAY, true},
    {"ip-address", BODY_STRING, false}, {NULL, BODY_ANY, false},
};
static bool check_commit(const json_t *commit, bool v2, struct error *err) {
    if (!body_check(commit, v2 ? commit_v2_fields : commit_v1_fields, err) ||
        !body_check(json_object_get(commit, "service"), service_fields, err) ||
        !body_check(json_object_get(commit, "subject"), subject_fields, err)) {
        return false;
    }
    if (!v2) {
        return body_check(json_object_get(commit, "object"), object_fields, err);
    }
    return check_objects(json_object_get(commit, "objects"), err);
}

static void events_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    bool v2 = route->data != NULL;
    if (activity_hidden(f, ex, v2) || !activity_known_caller(f, ex)) {
        return;
    }
    json_t *body = body_read(ex, bundle_fields, activity_fail);
    if (body == NULL) {
        return;
    }
    struct error err = ERROR_INIT;
    json_t *commit = json_object_get(body, "commit");
    if (!check_commit(commit, v2, &err)) {
        activity_fail(ex, 400, "schema-violation", json_incref(err.details), err.msg);
    } else {
        json_t *copy = json_copy(commit); /* what is below is shared: of a large job it is a list of all its nodes */
        if (!v2) {
            json_set(copy, "objects", json_pack("[O]", json_object_get(commit, "object")));
        }
        fake_activity_record(f, copy, json_incref(json_object_get(body, "events")));
        http_respond_json(ex, 200, json_object());
    }
    error_clear(&err);
    json_decref(body);
}

bool activity_hidden(struct fake *f, struct http_exchange *ex, bool v2) {
    if (!v2 || activity_of(f)->v2) {
        return false;
    }
    fake_respond_text(ex, 404, "Not Found");
    return true;
}

static void stored_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    http_respond_json(ex, 200, json_pack("{s:O}", "commits", activity_of(f)->commits));
}

static const struct fake_route write_routes[] = {
    {"POST", "/activity-api/v1/events", events_post, NULL},
    {"POST", "/activity-api/v2/events", events_post, "v2"},
    {"GET", "/_fake/events", stored_get, NULL},
    {NULL, NULL, NULL, NULL},
};

static const struct fake_route *const tables[] = {write_routes, activity_read_routes, NULL};
static const char *const prefixes[] = {"/activity-api/", NULL};
static const struct fake_service activity_service = {.name = "activity",
                                                     .tables = tables,
                                                     .prefixes = prefixes,
                                                     .load = load,
                                                     .dump = dump,
                                                     .status = status,
                                                     .status_name = "activity-service"};

struct fake_activity *fake_activity_new(struct world *w, const struct fake_activity_opts *opts, struct error *err) {
    struct fake_activity *a = mem_zalloc(sizeof *a);
    if (!fake_init(&a->base, w, &activity_service, opts->state, opts->log, err)) {
        mem_free(a);
        return NULL;
    }
    return a;
}

void fake_activity_free(struct fake_activity *a) {
    if (a != NULL) {
        json_decref(a->commits);
        fake_deinit(&a->base);
        mem_free(a);
    }
}

struct fake *fake_activity_base(struct fake_activity *a) {
    return &a->base;
}
