/* Injected faults of a host: parsed from JSON, matched by method and path, counted down. */
#include "base/mem.h"
#include "fakes/common/host.h"
#include <string.h>

void faults_init(struct fault_list *l) {
    list_init(&l->items);
    l->last_id = 0;
}

static void fault_free(struct fault *f) {
    mem_free(f->method);
    mem_free(f->path);
    mem_free(f->content_type);
    json_decref(f->body);
    mem_free(f);
}

void faults_clear(struct fault_list *l) {
    for (struct list_link *k; (k = list_pop_front(&l->items)) != NULL;) {
        fault_free(LIST_ITEM(k, struct fault, link));
    }
}

enum field_type { FIELD_STRING, FIELD_COUNT, FIELD_FLAG, FIELD_NUMBER, FIELD_ANY };

static const struct {
    const char *key;
    enum field_type type;
} fault_fields[] = {
    {"method", FIELD_STRING},  {"path", FIELD_STRING}, {"status", FIELD_COUNT}, {"body", FIELD_ANY},
    {"json", FIELD_ANY},       {"times", FIELD_COUNT}, {"hang", FIELD_FLAG},    {"content_type", FIELD_STRING},
    {"reset", FIELD_FLAG},     {"close", FIELD_FLAG},  {"id", FIELD_COUNT},     {"probability", FIELD_NUMBER},
    {"delay_ms", FIELD_COUNT},
};

static bool field_fits(enum field_type type, const json_t *value) {
    switch (type) {
    case FIELD_STRING:
        return json_is_string(value);
    case FIELD_COUNT:
        return json_is_integer(value) && json_integer_value(value) >= 0;
    case FIELD_FLAG:
        return json_is_boolean(value);
    case FIELD_NUMBER:
        return json_is_number(value);
    case FIELD_ANY:
        break;
    }
    return true;
}

static bool check_fields(const json_t *spec, struct error *err) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)spec, key, value) {
        bool known = false;
        for (size_t i = 0; i < sizeof fault_fields / sizeof fault_fields[0] && !known; i++) {
            if (strcmp(fault_fields[i].key, key) == 0) {
                known = true;
                if (!field_fits(fault_fields[i].type, value)) {
                    return error_set(err, "schema-violation", "the fault's \"%s\" has the wrong type", key);
                }
            }
        }
        if (!known) {
            return error_set(err, "schema-violation", "a fault has no \"%s\"", key);
        }
    }
    return true;
}

int64_t faults_add(struct fault_list *l, const json_t *spec, struct error *err) {
    if (!json_is_object(spec)) {
        error_set(err, "schema-violation", "a fault is a JSON object");
        return 0;
    }
    if (!check_fields(spec, err)) {
        return 0;
    }
    int64_t status = json_int(spec, "status", 0);
    if (status != 0 && (status < 200 || status > 599)) {
        error_set(err, "schema-violation", "the fault's \"status\" is not between 200 and 599");
        return 0;
    }
    const json_t *probability = json_object_get(spec, "probability");
    double chance = probability != NULL ? json_number_value(probability) : 1;
    if (!(chance >= 0 && chance <= 1)) {
        error_set(err, "schema-violation", "the fault's \"probability\" is not between 0 and 1");
        return 0;
    }
    if (l->items.count >= FAKE_FAULTS_MAX) {
        error_set(err, "too-many-faults", "there are %d faults already", FAKE_FAULTS_MAX);
        return 0;
    }
    struct fault *f = mem_zalloc(sizeof *f);
    f->id = ++l->last_id;
    f->method = str_dup(json_str(spec, "method"));
    f->path = str_dup(json_str(spec, "path") != NULL ? json_str(spec, "path") : "*");
    f->status = (int)status;
    f->body = json_object_get(spec, "body") != NULL ? json_object_get(spec, "body") : json_object_get(spec, "json");
    json_incref(f->body);
    f->content_type = str_dup(json_str(spec, "content_type"));
    f->delay_ms = (uint64_t)json_int(spec, "delay_ms", 0);
    f->hang = json_bool(spec, "hang", false);
    f->reset = json_bool(spec, "reset", false) || json_bool(spec, "close", false);
    f->times = json_int(spec, "times", -1);
    f->probability = chance;
    if (f->status == 0 && (f->body != NULL || (f->delay_ms == 0 && !f->hang && !f->reset))) {
        f->status = 500;
    }
    list_push_back(&l->items, &f->link);
    return f->id;
}

bool faults_remove(struct fault_list *l, int64_t id) {
    LIST_EACH (k, &l->items) {
        struct fault *f = LIST_ITEM(k, struct fault, link);
        if (f->id == id) {
            list_remove(&l->items, k);
            fault_free(f);
            return true;
        }
    }
    return false;
}

json_t *faults_dump(const struct fault_list *l) {
    json_t *all = json_array();
    LIST_EACH (k, &l->items) {
        const struct fault *f = LIST_ITEM(k, struct fault, link);
        json_t *o = json_pack("{s:I, s:s?, s:s}", "id", (json_int_t)f->id, "method", f->method, "path", f->path);
        if (f->status != 0) {
            json_set(o, "status", json_integer(f->status));
        }
        if (f->body != NULL) {
            json_object_set(o, "body", f->body);
        }
        if (f->content_type != NULL) {
            json_set(o, "content_type", json_string(f->content_type));
        }
        json_set(o, "delay_ms", json_integer((json_int_t)f->delay_ms));
        json_set(o, "hang", json_boolean(f->hang));
        json_set(o, "reset", json_boolean(f->reset));
        if (f->times >= 0) {
            json_set(o, "times", json_integer((json_int_t)f->times));
        }
        json_set(o, "probability", json_real(f->probability));
        json_array_append_new(all, o);
    }
    return all;
}

/* Integer draw: the same in every world and on every processor. */
static bool chance_strikes(struct world *w, double probability) {
    const uint64_t scale = 1000000;
    return probability >= 1 || world_random_below(w, scale) < (uint64_t)(probability * (double)scale);
}

bool faults_strike(struct fault_list *l, struct world *w, const char *method, const char *path,
                   struct fault_action *out) {
    LIST_EACH (k, &l->items) {
        struct fault *f = LIST_ITEM(k, struct fault, link);
        if (f->times == 0 || (f->method != NULL && strcmp(f->method, method) != 0) || !glob_match(f->path, path) ||
            !chance_strikes(w, f->probability)) {
            continue;
        }
        if (f->times > 0) {
            f->times--;
        }
        *out = (struct fault_action){.status = f->status,
                                     .body = json_incref(f->body),
                                     .content_type = str_dup(f->content_type),
                                     .delay_ms = f->delay_ms,
                                     .hang = f->hang,
                                     .reset = f->reset};
        return true;
    }
    return false;
}

void fault_action_clear(struct fault_action *a) {
    json_decref(a->body);
    mem_free(a->content_type);
    *a = (struct fault_action){0};
}
