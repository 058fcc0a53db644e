/* Reading behaviours, and the made-up task. */
#include "simulator/fleet/behaviour.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/option.h"
#include "simulator/fleet/behaviour_internal.h"
#include <string.h>

/* ---- durations */

static bool read_duration(const json_t *text, uint64_t *us, struct error *err) {
    uint64_t ms;
    const char *t = json_string_value(text);
    if (t == NULL || !duration_parse(t, &ms) || ms > UINT64_MAX / 1000) {
        return error_set(err, "behaviour", "a duration must be a text such as \"200ms\" or \"2s\"");
    }
    *us = ms * 1000;
    return true;
}

bool duration_dist(const json_t *spec, struct dist *out_us, struct error *err) {
    uint64_t a, b;
    if (json_is_string(spec)) {
        if (!read_duration(spec, &a, err)) {
            return false;
        }
        *out_us = dist_fixed(a);
        return true;
    }
    const json_t *uniform = json_object_get(spec, "uniform"), *lognormal = json_object_get(spec, "lognormal");
    const json_t *exponential = json_object_get(spec, "exponential");
    if (json_object_size(spec) == 1 && json_array_size(uniform) == 2) {
        if (!read_duration(json_array_get(uniform, 0), &a, err) ||
            !read_duration(json_array_get(uniform, 1), &b, err)) {
            return false;
        }
        if (a > b) {
            return error_set(err, "behaviour", "uniform: the first duration must not be longer than the second");
        }
        *out_us = dist_uniform(a, b);
        return true;
    }
    if (json_object_size(spec) == 1 && json_object_size(lognormal) == 2) {
        if (!read_duration(json_object_get(lognormal, "p50"), &a, err) ||
            !read_duration(json_object_get(lognormal, "p99"), &b, err)) {
            return false;
        }
        if (a < 1 || a > b) {
            return error_set(err, "behaviour", "lognormal: p50 must be above 0 and not longer than p99");
        }
        *out_us = dist_lognormal(a, b);
        return true;
    }
    if (json_object_size(spec) == 1 && exponential != NULL) {
        if (!read_duration(exponential, &a, err)) {
            return false;
        }
        *out_us = dist_exponential(a);
        return true;
    }
    return error_set(err, "behaviour",
                     "a duration is a text, {uniform: [from, to]}, {lognormal: {p50, p99}} or {exponential: mean}");
}

/* ---- reading */

bool behaviour_known_keys(const json_t *obj, const char *where, const char *const *keys, size_t count,
                          struct error *err) {
    const char *key = json_unknown_key(obj, keys, count);
    if (key == NULL) {
        return true;
    }
    const char *near = nearest_word(key, keys, count);
    return error_set(err, "behaviour", "%s%sunknown key \"%s\"%s%s%s", where != NULL ? where : "",
                     where != NULL ? ": " : "", key, near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
                     near != NULL ? "\"?" : "");
}

static bool read_task(const char *name, const json_t *spec, struct task_behaviour *t, struct error *err) {
    static const char *const keys[] = {"takes", "stdout", "stderr", "exit", "signal", "unkillable"};
    if (!json_is_object(spec) || !behaviour_known_keys(spec, name, keys, sizeof(keys) / sizeof(keys[0]), err)) {
        return error_is_set(err) ? false : error_set(err, "behaviour", "tasks.%s must be an object", name);
    }
    const json_t *takes = json_object_get(spec, "takes"), *out = json_object_get(spec, "stdout");
    const json_t *error_text = json_object_get(spec, "stderr");
    t->takes_us = dist_fixed(0);
    if (takes != NULL && !duration_dist(takes, &t->takes_us, err)) {
        return error_prefix(err, "tasks.%s.takes", name);
    }
    if ((out != NULL && !json_is_string(out)) || (error_text != NULL && !json_is_string(error_text))) {
        return error_set(err, "behaviour", "tasks.%s: stdout and stderr must be texts", name);
    }
    t->out = out != NULL ? span_dup(json_span(out)) : NULL;
    t->err = error_text != NULL ? span_dup(json_span(error_text)) : NULL;
    int64_t status = json_int(spec, "exit", 0), signal = json_int(spec, "signal", 0);
    if (status < 0 || status > 255 || signal < 0 || signal > 64) {
        return error_set(err, "behaviour", "tasks.%s: exit must be 0 to 255 and signal 0 to 64", name);
    }
    const json_t *unkillable = json_object_get(spec, "unkillable");
    if (unkillable != NULL && !json_is_boolean(unkillable)) {
        return error_set(err, "behaviour", "tasks.%s.unkillable must be true or false", name);
    }
    t->status = (int)status;
    t->signal = (int)signal;
    t->unkillable = json_is_true(unkillable);
    return true;
}

static bool read_tasks(struct behaviours *b, const json_t *tasks, struct error *err) {
    if (tasks != NULL && !json_is_object(tasks)) {
        return error_set(err, "behaviour", "tasks must be an object");
    }
    const char *name;
    json_t *spec;
    json_object_foreach((json_t *)(uintptr_t)tasks, name, spec) {
        struct task_behaviour *t = mem_zalloc(sizeof(*t));
        map_put(&b->tasks, span_of(name), t);
        if (!read_task(name, spec, t, err)) {
            return false;
        }
    }
    return true;
}

/* Ratios become weights in millionths. */
static bool read_status(struct puppet_behaviour *p, const json_t *status, struct error *err) {
    static const char *const names[RUN_STATUSES] = {"unchanged", "changed", "failed"};
    if (json_is_string(status)) {
        memset(p->weights, 0, sizeof(p->weights));
        for (size_t i = 0; i < RUN_STATUSES; i++) {
            p->weights[i] = strcmp(json_string_value(status), names[i]) == 0;
        }
    } else if (json_is_object(status) && behaviour_known_keys(status, "puppet_run.status", names, RUN_STATUSES, err)) {
        for (size_t i = 0; i < RUN_STATUSES; i++) {
            double ratio = json_number_value(json_object_get(status, names[i]));
            if (ratio < 0 || ratio > 1000) {
                return error_set(err, "behaviour", "puppet_run.status.%s must be between 0 and 1", names[i]);
            }
            p->weights[i] = (uint32_t)(ratio * 1000000 + 0.5);
        }
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < RUN_STATUSES; i++) {
        sum += p->weights[i];
    }
    return error_is_set(err) ? false
                             : sum > 0 || error_set(err, "behaviour",
                                                    "puppet_run.status must be unchanged, changed or failed, or "
                                                    "an object with their ratios");
}

static bool read_puppet(struct puppet_behaviour *p, const json_t *spec, struct error *err) {
    static const char *const keys[] = {"takes", "status", "exit", "error", "report"};
    p->takes_us = dist_fixed(0);
    p->weights[RUN_UNCHANGED] = 1;
    p->reports = true;
    if (spec == NULL) {
        return true;
    }
    if (!json_is_object(spec) || !behaviour_known_keys(spec, "puppet_run", keys, 5, err)) {
        return error_is_set(err) ? false : error_set(err, "behaviour", "puppet_run must be an object");
    }
    const json_t *takes = json_object_get(spec, "takes"), *status = json_object_get(spec, "status");
    if (takes != NULL && !duration_dist(takes, &p->takes_us, err)) {
        return error_prefix(err, "puppet_run.takes");
    }
    if (status != NULL && !read_status(p, status, err)) {
        return false;
    }
    const json_t *error_text = json_object_get(spec, "error"), *report = json_object_get(spec, "report");
    int64_t status_code = json_int(spec, "exit", 0);
    if ((error_text != NULL && !json_is_string(error_text)) || (report != NULL && !json_is_boolean(report)) ||
        status_code < 0 || status_code > 255) {
        return error_set(err, "behaviour", "puppet_run: error must be a text, report true or false, exit 0 to 255");
    }
    p->exit = (int)status_code;
    p->error = str_dup(json_string_value(error_text));
    p->reports = json_bool(spec, "report", true);
    return true;
}

struct behaviours *behaviours_new(const json_t *spec, struct error *err) {
    struct behaviours *b = mem_zalloc(sizeof(*b));
    struct error own = ERROR_INIT;
    if (read_tasks(b, json_object_get(spec, "tasks"), &own) &&
        read_puppet(&b->puppet, json_object_get(spec, "puppet_run"), &own)) {
        return b;
    }
    error_move(err, &own);
    behaviours_free(b);
    return NULL;
}

void behaviours_free(struct behaviours *b) {
    if (b == NULL) {
        return;
    }
    for (struct map_iter i = map_iter(&b->tasks); map_next(&i);) {
        struct task_behaviour *t = i.value;
        mem_free(t->out);
        mem_free(t->err);
        mem_free(t);
    }
    map_free(&b->tasks);
    mem_free(b->puppet.error);
    mem_free(b);
}

void made_up_free(struct made_up *m) {
    buf_free(&m->out);
    buf_free(&m->err);
    json_decref(m->report);
    for (size_t i = 0; i < 3; i++) {
        mem_free(m->output_files[i]);
    }
    *m = (struct made_up){0};
}

/* ---- a task */

/* What the task was given: the JSON on standard input, or the PT_ variables. New reference. */
static json_t *parameters_of(const struct invocation *i) {
    json_t *params = json_parse(i->input, "input", NULL);
    if (json_is_object(params)) {
        return params;
    }
    json_decref(params);
    params = json_object();
    for (const char *const *e = i->env; e != NULL && *e != NULL; e++) {
        const char *equals = strchr(*e, '=');
        if (strncmp(*e, "PT_", 3) != 0 || equals == NULL) {
            continue;
        }
        char *name = span_dup((struct span){*e + 3, (size_t)(equals - *e) - 3});
        json_t *value = json_string(equals + 1);
        if (value != NULL) {
            json_object_set_new(params, name, value);
        }
        mem_free(name);
    }
    return params;
}

/* The parameters without what the orchestrator and the agent add (_task, _noop, _installdir). */
static void append_own_params(struct buf *out, const json_t *params) {
    json_t *own = json_object();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)params, name, value) {
        if (name[0] != '_') {
            json_object_set(own, name, value);
        }
    }
    json_write(out, own);
    json_decref(own);
}

static void append_value(struct buf *out, const json_t *value) {
    if (json_is_string(value)) {
        buf_append_span(out, json_span(value));
    } else if (value != NULL) {
        json_write(out, value);
    }
}

static void expand(struct buf *out, const char *text, const struct invocation *i, const json_t *params) {
    while (*text != '\0') {
        size_t plain = strcspn(text, "{");
        buf_append(out, text, plain);
        text += plain;
        const char *close = *text == '{' ? strchr(text, '}') : NULL;
        struct span name =
            close != NULL ? span_sub(span_bytes(text + 1, (size_t)(close - text) - 1), 0, SIZE_MAX) : span_of("");
        if (span_eq_cstr(name, "node")) {
            buf_append_cstr(out, i->node);
        } else if (span_eq_cstr(name, "task")) {
            append_value(out, json_object_get(params, "_task"));
        } else if (span_eq_cstr(name, "params")) {
            append_own_params(out, params);
        } else if (span_starts_with(name, "params.")) {
            char *key = span_dup(span_sub(name, 7, name.len));
            append_value(out, json_object_get(params, key));
            mem_free(key);
        } else if (*text != '\0') { /* a brace that means nothing here, as in JSON */
            buf_append_char(out, *text++);
            continue;
        }
        text = close != NULL ? close + 1 : text;
    }
}

void behaviour_task(const struct behaviours *b, const struct invocation *i, struct rng *r, struct made_up *out) {
    json_t *params = parameters_of(i);
    const char *name = json_str(params, "_task");
    const struct task_behaviour *t = name != NULL ? map_get_cstr(&b->tasks, name) : NULL;
    if (t == NULL) {
        t = map_get_cstr(&b->tasks, "default");
    }
    if (t == NULL) {
        append_own_params(&out->out, params);
        buf_append_char(&out->out, '\n');
    } else {
        out->takes_us = dist_draw(&t->takes_us, r);
        out->status = t->status;
        out->signal = t->signal;
        out->unkillable = t->unkillable;
        if (t->out != NULL) {
            expand(&out->out, t->out, i, params);
        }
        if (t->err != NULL) {
            expand(&out->err, t->err, i, params);
        }
    }
    json_decref(params);
}

bool behaviour_is_shell(const char *const *argv) {
    return argv[0] != NULL && argv[1] != NULL && strcmp(argv[1], "-c") == 0 && argv[2] != NULL;
}

bool behaviour_kills(const char *const *argv, const char *pid_file) {
    const char *end = pid_file != NULL ? strrchr(pid_file, '/') : NULL, *id = end;
    while (id != NULL && id > pid_file && id[-1] != '/') {
        id--;
    }
    return id < end && behaviour_is_shell(argv) && strstr(argv[2], "kill") != NULL &&
           span_find_span(span_of(argv[2]), span_bytes(id, (size_t)(end - id))) >= 0;
}

void behaviour_run(const struct behaviours *b, const struct invocation *i, struct rng *r, struct made_up *out) {
    if (span_ends_with(span_of(i->argv[0]), puppet_module_name)) {
        behaviour_puppet(b, i, r, out);
    } else {
        behaviour_task(b, i, r, out);
    }
}
