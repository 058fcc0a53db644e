/* From step to step. */
#include "scenarios/runner/run_internal.h"

#include "base/mem.h"
#include "base/option.h"
#include "scenarios/runner/vars.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_STEP_MAX = 200 };

static void advance(void *ctx);

/* ---- the end of all, well or not */

static void finish(struct run *r) {
    r->over = true;
}

static char *step_text(const struct run *r) {
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s: ", r->step->kind->name);
    size_t head = text.len;
    json_write(&text, r->args != NULL ? r->args : r->step->args);
    if (text.len > head + SHOWN_STEP_MAX) {
        size_t cut = head + SHOWN_STEP_MAX;
        while (cut > head && ((unsigned char)text.ptr[cut] & 0xc0) == 0x80) {
            cut--;
        }
        text.len = cut;
        buf_append_cstr(&text, "…");
    }
    return buf_take(&text);
}

void run_fail(struct run *r, const char *what, const char *expected, const char *seen) {
    struct run_result *out = r->result;
    if (!out->passed) {
        return;
    }
    out->passed = false;
    if (r->step != NULL) {
        out->where = str_printf("%s:%u", r->step->file, r->step->line);
    }
    out->what = str_dup(what);
    out->expected = str_dup(expected);
    out->seen = str_dup(seen);
    struct buf logs = BUF_INIT;
    journal_print(r->journal, &logs);
    out->logs = buf_take(&logs);
    finish(r);
}

void run_step_failed(struct run *r, const char *expected, const char *seen) {
    char *text = step_text(r);
    run_fail(r, text, expected, seen);
    mem_free(text);
}

/* ---- one step */

static void drop_step(struct run *r) {
    run_request_cancel(r);
    run_look_clear(r);
    r->stage->ops->timer_stop(r->stage, &r->next);
    r->later = NULL;
    void (*release)(struct run *, void *) = r->release;
    void *state = r->state;
    r->release = NULL;
    r->state = NULL;
    if (release != NULL) {
        release(r, state);
    }
    json_decref(r->args);
    r->args = NULL;
    r->step = NULL;
}

static struct frame *top(struct run *r) {
    return &r->frames[r->depth - 1];
}

static void again_in(struct run *r, uint64_t us) {
    r->stage->ops->timer_start(r->stage, &r->next, us, advance, r);
}

void run_step_done(struct run *r, json_t *result) {
    struct frame *f = top(r);
    const struct step *step = &f->steps[f->index];
    if (step->as != NULL) {
        run_set(r, step->as, result != NULL ? result : json_null());
    } else {
        json_decref(result);
    }
    drop_step(r);
    uint64_t wait_us = 0;
    if (f->n < f->times) {
        wait_us = f->every_us;
        f->n++;
    } else {
        f->n = 0;
        f->index++;
    }
    again_in(r, wait_us);
}

/* What came out of variables must still be what the step's table says: a map, with texts where texts belong. */
static bool settle(struct run *r) {
    const struct shape *shape = r->step->kind->shape;
    if (shape->type != SHAPE_MAP) {
        return true;
    }
    if (!json_is_object(r->args)) {
        run_step_failed(r, "a map", NULL);
        return false;
    }
    for (const struct shape_key *k = shape->keys; k->name != NULL; k++) {
        json_t *value = json_object_get(r->args, k->name);
        if (k->shape->type != SHAPE_TEXT || value == NULL || json_is_string(value)) {
            continue;
        }
        char *text = json_text(value);
        if (json_is_object(value) || json_is_array(value)) {
            char *expected = str_printf("%s: a text", k->name);
            run_step_failed(r, expected, text);
            mem_free(expected);
            mem_free(text);
            return false;
        }
        json_set(r->args, k->name, json_string(text));
        mem_free(text);
    }
    return true;
}

static void act(void *ctx) {
    struct run *r = ctx;
    struct error err = ERROR_INIT;
    r->args = vars_expand(r->step->args, r->vars, &err);
    json_t *within = r->step->within != NULL ? vars_expand(r->step->within, r->vars, &err) : NULL;
    uint64_t within_us = 0;
    if (r->args == NULL || (r->step->within != NULL && within == NULL)) {
        run_step_failed(r, "every variable is known", err.msg);
    } else if (within != NULL && !(json_is_string(within) && duration_us(json_string_value(within), &within_us))) {
        run_step_failed(r, "within: a duration", json_string_value(within));
    } else if (settle(r)) {
        r->deadline_us = within != NULL ? r->stage->ops->now_us(r->stage) + within_us : 0;
        char *text = step_text(r);
        run_say(r, "%s:%u %s", r->step->file, r->step->line, text);
        mem_free(text);
        r->step->kind->begin(r, r->args);
    }
    json_decref(within);
    error_clear(&err);
}

static bool wanted(struct run *r, const struct step *step, bool *failed) {
    if (step->when == NULL) {
        return true;
    }
    struct error err = ERROR_INIT;
    char *text = vars_expand_text(step->when, r->vars, &err);
    if (text == NULL) {
        run_step_failed(r, "every variable of when: is known", err.msg);
        error_clear(&err);
        *failed = true;
        return false;
    }
    bool holds = condition_holds(text);
    mem_free(text);
    return holds;
}

static uint64_t expand_duration(struct run *r, const json_t *value) {
    struct error err = ERROR_INIT;
    json_t *text = value != NULL ? vars_expand(value, r->vars, &err) : NULL;
    uint64_t us = 0;
    if (value != NULL && (!json_is_string(text) || !duration_us(json_string_value(text), &us))) {
        run_step_failed(r, "a duration", error_is_set(&err) ? err.msg : json_string_value(text));
    }
    error_clear(&err);
    json_decref(text);
    return us;
}

/* How often, and how far apart: known when the step is reached. */
static void begin_repeat(struct run *r, struct frame *f, const struct step *step) {
    f->times = 1;
    f->every_us = 0;
    f->loop_as = "n";
    if (step->repeat != NULL) {
        struct error err = ERROR_INIT;
        json_t *times = vars_expand(json_object_get(step->repeat, "times"), r->vars, &err);
        uint64_t number = 0;
        bool ok = json_is_integer(times) ? json_integer_value(times) >= 0
                                         : json_is_string(times) && span_to_u64(json_span(times), &number);
        f->times = json_is_integer(times) ? (uint64_t)json_integer_value(times) : number;
        if (!ok || f->times > SCENARIO_REPEAT_MAX) {
            run_step_failed(r, "repeat: a number of times", error_is_set(&err) ? err.msg : json_string_value(times));
        }
        json_decref(times);
        error_clear(&err);
        f->every_us = expand_duration(r, json_object_get(step->repeat, "every"));
        const char *name = json_str(step->repeat, "as");
        f->loop_as = name != NULL ? name : f->loop_as;
    }
    f->n = 1;
}

static void advance(void *ctx) {
    struct run *r = ctx;
    struct frame *f = top(r);
    if (r->over) {
        return;
    }
    if (f->index == f->count) {
        r->depth--;
        if (r->depth == 0) {
            finish(r);
        } else {
            run_step_done(r, NULL); /* the step that entered it */
        }
        return;
    }
    const struct step *step = &f->steps[f->index];
    r->step = step;
    if (f->n == 0) {
        begin_repeat(r, f, step);
    }
    if (!r->over && f->times == 0) {
        f->n = 0;
        f->index++;
        r->step = NULL;
        again_in(r, 0);
        return;
    }
    if (step->repeat != NULL) {
        run_set(r, f->loop_as, json_integer((json_int_t)f->n));
    }
    bool failed = r->over;
    if (!failed && !wanted(r, step, &failed) && !failed) {
        run_step_done(r, NULL);
        return;
    }
    uint64_t after_us = failed ? 0 : expand_duration(r, step->after);
    if (!r->over) {
        r->stage->ops->timer_start(r->stage, &r->next, after_us, act, r);
    }
}

/* Variables may use those that are always there, and those above them. */
static bool expand_vars(struct run *r) {
    const char *name;
    json_t *given;
    json_object_foreach(r->scenario->vars, name, given) {
        struct error err = ERROR_INIT;
        json_t *value = vars_expand(given, r->vars, &err);
        if (value == NULL) {
            char *what = str_printf("the variable %s", name);
            run_fail(r, what, "every variable in it is known", err.msg);
            mem_free(what);
            error_clear(&err);
            return false;
        }
        json_set(r->vars, name, value);
    }
    return true;
}

void run_begin(struct run *r) {
    if (!expand_vars(r)) {
        return;
    }
    r->frames[0] = (struct frame){.steps = r->scenario->steps, .count = r->scenario->step_count};
    r->depth = 1;
    again_in(r, 0);
}

void run_enter(struct run *r) {
    const struct step *step = r->step;
    if (r->depth == FRAMES_MAX) {
        run_step_failed(r, "steps that are not nested so deeply", NULL);
        return;
    }
    if (step->with != NULL) {
        struct error err = ERROR_INIT;
        json_t *with = vars_expand(step->with, r->vars, &err);
        if (with == NULL) {
            run_step_failed(r, "every variable is known", err.msg);
            error_clear(&err);
            return;
        }
        json_object_update(r->vars, with);
        json_decref(with);
    }
    drop_step(r);
    r->frames[r->depth++] = (struct frame){.steps = step->inner, .count = step->inner_count};
    again_in(r, 0);
}

/* ---- for the steps */

struct stage *run_stage(const struct run *r) {
    return r->stage;
}

const json_t *run_vars(const struct run *r) {
    return r->vars;
}

void run_set(struct run *r, const char *name, json_t *value) {
    json_set(r->vars, name, value);
}

uint64_t run_time_left_us(struct run *r, uint64_t otherwise_us) {
    uint64_t now = r->stage->ops->now_us(r->stage);
    if (r->deadline_us == 0) {
        r->deadline_us = now + otherwise_us;
    }
    return r->deadline_us > now ? r->deadline_us - now : 0;
}

void run_give_up(struct run *r) {
    r->deadline_us = 1;
}

bool run_has_within(const struct run *r) {
    return r->step->within != NULL;
}

bool run_is_over(const struct run *r) {
    return r->over;
}

struct list *run_clients(struct run *r) {
    return &r->clients;
}

static void on_later(void *ctx) {
    struct run *r = ctx;
    void (*fn)(struct run *) = r->later;
    r->later = NULL;
    fn(r);
}

void run_later(struct run *r, uint64_t delay_us, void (*fn)(struct run *r)) {
    r->later = fn;
    r->stage->ops->timer_start(r->stage, &r->next, delay_us, on_later, r);
}

void run_say(struct run *r, const char *format, ...) {
    struct buf text = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    journal_line(r->journal, "scenario", text.ptr);
    if (r->opts->verbose) {
        uint64_t now = r->stage->ops->now_us(r->stage);
        fprintf(stderr, "%6" PRIu64 ".%03" PRIu64 "s  %s\n", now / 1000000, now / 1000 % 1000, text.ptr);
    }
    buf_free(&text);
}

void run_keep(struct run *r, void *state, void (*release)(struct run *r, void *state)) {
    r->state = state;
    r->release = release;
}

void *run_kept(const struct run *r) {
    return r->state;
}

void run_blocking(struct run *r, void (*fn)(struct run *r)) {
    r->blocking = fn;
}
