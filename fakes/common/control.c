/* The controls under /_fake/ (harness.md §7). */
#include "base/clock.h"
#include "base/mem.h"
#include "base/option.h"
#include "fakes/common/host.h"
#include <string.h>

static json_t *control_body(struct http_exchange *ex) {
    struct error err = ERROR_INIT;
    json_t *body = json_parse(http_request(ex)->body, "malformed-request", &err);
    if (body == NULL) {
        http_respond_error(ex, 400, &err);
    } else if (!json_is_object(body)) {
        json_decref(body);
        body = NULL;
        fake_respond_error(ex, 400, "schema-violation", NULL, "the body must be a JSON object");
    }
    error_clear(&err);
    return body;
}

static void state_get(struct fake_host *h, struct http_exchange *ex) {
    json_t *all = json_object();
    for (size_t i = 0; i < h->fake_count; i++) {
        json_set(all, h->fakes[i]->service->name, h->fakes[i]->service->dump(h->fakes[i]));
    }
    http_respond_json(ex, 200, all);
}

/* All services are loaded, or none: those already loaded go back to what they were. */
static bool state_load_all(struct fake_host *h, const json_t *body, bool patch, struct error *err) {
    json_t *before = json_object();
    bool good = true;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)body, name, value) {
        struct fake *f = fake_host_find(h, name);
        if (f == NULL) {
            good = error_set(err, "schema-violation", "no service \"%s\" runs here", name);
            break;
        }
        json_t *old = f->service->dump(f);
        json_t *next = patch ? fake_merge_patch(old, value) : json_incref(value);
        json_set(before, name, old);
        good = f->service->load(f, next, err);
        json_decref(next);
        if (!good) {
            error_prefix(err, "state of %s", name);
            json_object_del(before, name);
            break;
        }
    }
    if (!good) {
        json_object_foreach(before, name, value) {
            struct fake *f = fake_host_find(h, name);
            f->service->load(f, value, NULL);
        }
    }
    json_decref(before);
    return good;
}

static void state_change(struct fake_host *h, struct http_exchange *ex, bool patch) {
    json_t *body = control_body(ex);
    if (body == NULL) {
        return;
    }
    struct error err = ERROR_INIT;
    if (state_load_all(h, body, patch, &err)) {
        fake_respond_empty(ex, 204);
    } else {
        http_respond_error(ex, 400, &err);
    }
    error_clear(&err);
    json_decref(body);
}

static void state_put(struct fake_host *h, struct http_exchange *ex) {
    state_change(h, ex, false);
}

static void state_patch(struct fake_host *h, struct http_exchange *ex) {
    state_change(h, ex, true);
}

static void reset_post(struct fake_host *h, struct http_exchange *ex) {
    faults_clear(&h->faults);
    requests_clear(&h->requests);
    struct error err = ERROR_INIT;
    bool good = true;
    for (size_t i = 0; i < h->fake_count && good; i++) {
        h->fakes[i]->clock_offset_ms = 0;
        good = h->fakes[i]->service->load(h->fakes[i], h->fakes[i]->initial, &err);
    }
    if (good) {
        fake_respond_empty(ex, 204);
    } else {
        http_respond_error(ex, 500, &err);
    }
    error_clear(&err);
}

static void fault_post(struct fake_host *h, struct http_exchange *ex) {
    json_t *body = control_body(ex);
    if (body == NULL) {
        return;
    }
    struct error err = ERROR_INIT;
    int64_t id = faults_add(&h->faults, body, &err);
    if (id != 0) {
        http_respond_json(ex, 201, json_pack("{s:I}", "id", (json_int_t)id));
    } else {
        http_respond_error(ex, 400, &err);
    }
    error_clear(&err);
    json_decref(body);
}

static void fault_get(struct fake_host *h, struct http_exchange *ex) {
    http_respond_json(ex, 200, json_pack("{s:o}", "faults", faults_dump(&h->faults)));
}

static void fault_delete(struct fake_host *h, struct http_exchange *ex) {
    const char *id_text = http_query(ex, "id");
    int64_t id = 0;
    if (id_text == NULL) {
        faults_clear(&h->faults);
        fake_respond_empty(ex, 204);
    } else if (!span_to_i64(span_of(id_text), &id)) {
        fake_respond_error(ex, 400, "malformed-number", NULL, "id \"%s\" is not a number", id_text);
    } else if (faults_remove(&h->faults, id)) {
        fake_respond_empty(ex, 204);
    } else {
        fake_respond_error(ex, 404, "not-found", NULL, "there is no fault %lld", (long long)id);
    }
}

static void requests_get(struct fake_host *h, struct http_exchange *ex) {
    const char *since_text = http_query(ex, "since");
    int64_t since = 0;
    if (since_text != NULL && !span_to_i64(span_of(since_text), &since)) {
        fake_respond_error(ex, 400, "malformed-number", NULL, "since \"%s\" is not a number", since_text);
        return;
    }
    http_respond_json(ex, 200, requests_dump(&h->requests, since, http_query(ex, "method"), http_query(ex, "path")));
}

static void clock_post(struct fake_host *h, struct http_exchange *ex) {
    json_t *body = control_body(ex);
    if (body == NULL) {
        return;
    }
    const char *advance = json_str(body, "advance");
    const char *set = json_str(body, "set");
    uint64_t step_ms = 0;
    int64_t at_ms = 0;
    int64_t offset = h->fake_count > 0 ? h->fakes[0]->clock_offset_ms : 0;
    bool good = true;
    if (advance != NULL && set == NULL && duration_parse(advance, &step_ms) && step_ms < INT64_MAX / 4) {
        offset += (int64_t)step_ms;
    } else if (set != NULL && advance == NULL && time_parse(span_of(set), &at_ms)) {
        offset = at_ms - world_wall_ms(h->world);
    } else {
        good = false;
    }
    json_decref(body);
    if (!good) {
        fake_respond_error(ex, 400, "schema-violation", NULL,
                           "the clock takes {\"advance\": \"2h\"} or {\"set\": \"2030-01-02T03:04:05Z\"}");
        return;
    }
    for (size_t i = 0; i < h->fake_count; i++) {
        h->fakes[i]->clock_offset_ms = offset;
    }
    char now[TIME_TEXT_LEN];
    time_format_ms(world_wall_ms(h->world) + offset, now);
    http_respond_json(ex, 200, json_pack("{s:s}", "now", now));
}

const struct control_route fake_control_routes[] = {
    {"GET", "/_fake/state", state_get},       {"PUT", "/_fake/state", state_put},
    {"PATCH", "/_fake/state", state_patch},   {"POST", "/_fake/reset", reset_post},
    {"POST", "/_fake/fault", fault_post},     {"GET", "/_fake/fault", fault_get},
    {"DELETE", "/_fake/fault", fault_delete}, {"GET", "/_fake/requests", requests_get},
    {"POST", "/_fake/clock", clock_post},     {NULL, NULL, NULL},
};

bool fake_host_add_fault(struct fake_host *h, const json_t *spec, struct error *err) {
    return faults_add(&h->faults, spec, err) != 0;
}

void fake_host_clear_faults(struct fake_host *h) {
    faults_clear(&h->faults);
}
