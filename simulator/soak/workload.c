#include "simulator/soak/workload.h"

#include "base/hocon.h"
#include "base/mem.h"
#include "base/option.h"
#include "simulator/fleet/behaviour.h"
#include "simulator/world/sim.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const uint32_t STOP_PPM = 30000;

struct reader {
    struct hocon *hocon;
    struct error *err;
};

static bool wrong(struct reader *r, const json_t *object, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool wrong(struct reader *r, const json_t *object, const char *key, const char *format, ...) {
    struct buf text = BUF_INIT;
    va_list args;
    hocon_where(r->hocon, object, key, &text);
    buf_printf(&text, ": %s: ", key);
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    error_set(r->err, "workload", "%s", text.ptr);
    buf_free(&text);
    return false;
}

static bool only_keys(struct reader *r, const json_t *object, const char *const *keys, size_t count) {
    const char *key = json_unknown_key(object, keys, count);
    if (key == NULL) {
        return true;
    }
    const char *near = nearest_word(key, keys, count);
    return wrong(r, object, key, "unknown key%s%s%s", near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                 near != NULL ? "?" : "");
}

static bool read_ratio(struct reader *r, const json_t *object, const char *key, uint32_t *ppm) {
    const json_t *value = json_object_get(object, key);
    double ratio = json_number_value(value);
    if (value == NULL) {
        return true;
    }
    if (!json_is_number(value) || ratio < 0 || ratio > 1) {
        return wrong(r, object, key, "a number between 0 and 1 is wanted");
    }
    *ppm = (uint32_t)(ratio * 1000000 + 0.5);
    return true;
}

static bool read_count(struct reader *r, const json_t *object, const char *key, json_int_t most, uint32_t *out) {
    const json_t *value = json_object_get(object, key);
    json_int_t n = json_integer_value(value);
    if (value == NULL) {
        return true;
    }
    if (!json_is_integer(value) || n < 1 || n > most) {
        return wrong(r, object, key, "a whole number from 1 to %" JSON_INTEGER_FORMAT " is wanted", most);
    }
    *out = (uint32_t)n;
    return true;
}

static bool read_user(struct reader *r, const json_t *object, bool *limited) {
    const json_t *value = json_object_get(object, "user");
    const char *name = json_string_value(value);
    if (value != NULL && !str_eq(name, "admin") && !str_eq(name, "limited")) {
        return wrong(r, object, "user", "admin or limited is wanted");
    }
    *limited = str_eq(name, "limited");
    return true;
}

static bool read_item(struct reader *r, const json_t *mix, size_t i, struct workload_item *out) {
    static const char *const keys[] = {"weight", "task", "params", "deploy", "nodes", "user"};
    const json_t *o = json_array_get(mix, i), *task, *deploy;
    if (!json_is_object(o)) {
        struct buf at = BUF_INIT;
        hocon_where_at(r->hocon, mix, i, &at);
        error_set(r->err, "workload", "%s: an object with a task or a deploy is wanted", at.ptr);
        buf_free(&at);
        return false;
    }
    *out = (struct workload_item){.weight = 1};
    task = json_object_get(o, "task");
    deploy = json_object_get(o, "deploy");
    out->task = json_string_value(task);
    out->params = json_object_get(o, "params");
    out->options = deploy;
    if (!only_keys(r, o, keys, sizeof(keys) / sizeof(keys[0])) || !read_count(r, o, "weight", 1000, &out->weight) ||
        !read_ratio(r, o, "nodes", &out->nodes_ppm) || !read_user(r, o, &out->limited)) {
        return false;
    }
    if ((task != NULL) == (deploy != NULL)) {
        return wrong(r, o, task != NULL ? "deploy" : "task", "one of task and deploy is wanted");
    }
    if (task != NULL && (out->task == NULL || *out->task == '\0' || strpbrk(out->task, "/. ") != NULL)) {
        return wrong(r, o, "task", "the name of a task is wanted");
    }
    if (out->params != NULL && !json_is_object(out->params)) {
        return wrong(r, o, "params", "an object is wanted");
    }
    return deploy == NULL || json_is_object(deploy) || wrong(r, o, "deploy", "an object is wanted");
}

static bool read_mix(struct reader *r, struct workload *w) {
    const json_t *mix = json_object_get(w->file, "mix");
    size_t count = json_array_size(mix);
    if (count == 0 || count > WORKLOAD_ITEMS_MAX) {
        return wrong(r, w->file, "mix", "a list of 1 to %d kinds of jobs is wanted", WORKLOAD_ITEMS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (!read_item(r, mix, i, &w->items[w->count])) {
            return false;
        }
        w->count++;
    }
    return true;
}

static bool read_for(struct reader *r, struct workload *w) {
    const json_t *value = json_object_get(w->file, "for");
    uint64_t ms = 0;
    if (value != NULL && (!json_is_string(value) || !duration_parse(json_string_value(value), &ms) || ms < 1000)) {
        return wrong(r, w->file, "for", "a duration of at least 1s is wanted");
    }
    w->for_us = ms * SIM_MS;
    return true;
}

static bool read_behaviours(struct reader *r, struct workload *w) {
    struct error own = ERROR_INIT;
    const char *name;
    json_t *task;
    json_object_foreach(json_object_get(w->file, "tasks"), name, task) {
        if (strncmp(name, "soak::", 6) == 0) {
            return wrong(r, json_object_get(w->file, "tasks"), name, "this task is ours, take another name");
        }
    }
    struct behaviours *b = behaviours_new(w->file, &own);
    if (b == NULL) {
        wrong(r, w->file, json_object_get(w->file, "tasks") != NULL ? "tasks" : "puppet_run", "%s", own.msg);
        error_clear(&own);
        return false;
    }
    behaviours_free(b);
    return true;
}

struct workload *workload_new(const char *name, struct span text, struct error *err) {
    static const char *const keys[] = {"for", "jobs", "stop", "mix", "tasks", "puppet_run"};
    struct workload *w = mem_zalloc(sizeof(*w));
    struct reader r = {.hocon = hocon_new(NULL), .err = err};
    w->stop_ppm = STOP_PPM;
    bool ok = hocon_add(r.hocon, name, text, err) && hocon_resolve(r.hocon, err);
    if (ok) {
        w->file = json_incref(hocon_root(r.hocon));
        ok = only_keys(&r, w->file, keys, sizeof(keys) / sizeof(keys[0])) && read_for(&r, w) &&
             read_count(&r, w->file, "jobs", WORKLOAD_JOBS_MAX, &w->jobs) &&
             read_ratio(&r, w->file, "stop", &w->stop_ppm) && read_mix(&r, w) && read_behaviours(&r, w);
    }
    hocon_free(r.hocon);
    if (!ok) {
        workload_free(w);
        return NULL;
    }
    return w;
}

void workload_free(struct workload *w) {
    if (w != NULL) {
        json_decref(w->file);
        mem_free(w);
    }
}

/* ---- parameters */

static json_t *numbered(const json_t *value, const char *number) {
    if (json_is_object(value)) {
        json_t *copy = json_object(), *member;
        const char *key;
        json_object_foreach((json_t *)(uintptr_t)value, key, member) {
            json_object_set_new(copy, key, numbered(member, number));
        }
        return copy;
    }
    if (json_is_array(value)) {
        json_t *copy = json_array(), *item;
        size_t i;
        json_array_foreach(value, i, item) {
            json_array_append_new(copy, numbered(item, number));
        }
        return copy;
    }
    if (!json_is_string(value)) {
        return json_incref((json_t *)(uintptr_t)value);
    }
    struct buf text = BUF_INIT;
    struct span rest = json_span(value);
    for (ptrdiff_t at; (at = span_find_span(rest, SPAN("{n}"))) >= 0;) {
        buf_append_span(&text, span_sub(rest, 0, (size_t)at));
        buf_append_cstr(&text, number);
        rest = span_sub(rest, (size_t)at + 3, rest.len);
    }
    buf_append_span(&text, rest);
    json_t *copy = json_str_new(buf_span(&text));
    buf_free(&text);
    return copy;
}

json_t *workload_params(const struct workload_item *item, uint64_t n) {
    char number[24];
    snprintf(number, sizeof(number), "%" PRIu64, n);
    return item->params != NULL ? numbered(item->params, number) : json_object();
}
