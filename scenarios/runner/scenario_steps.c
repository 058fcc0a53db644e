/* The steps of a scenario: which kind each is, what all kinds may carry, and files that are included. */
#include "base/mem.h"
#include "base/option.h"
#include "scenarios/runner/scenario_internal.h"
#include "scenarios/runner/steps/steps.h"
#include <stdio.h>
#include <string.h>

static void check_times(struct problems *p, const struct doc_node *node) {
    uint64_t times = 0;
    span_to_u64((struct span){node->text, node->len}, &times);
    if (times > SCENARIO_REPEAT_MAX) {
        problem(p, node, "a step is repeated at most %d times", SCENARIO_REPEAT_MAX);
    }
}

static const struct shape shape_times = {.type = SHAPE_COUNT, .check = check_times};
static const struct shape_key repeat_keys[] = {
    {"times", &shape_times, true}, {"every", &shape_duration, false}, {"as", &shape_text, false}, {NULL, NULL, false}};
static const struct shape shape_repeat_map = {.type = SHAPE_MAP, .keys = repeat_keys};

static void check_repeat(struct problems *p, const struct doc_node *node) {
    shape_check(node->kind == DOC_MAP ? &shape_repeat_map : &shape_times, node, p);
}
const struct shape shape_repeat = {.type = SHAPE_ANY, .check = check_repeat};

static const struct shape_key common_keys[] = {
    STEP_KEYS, {"as_user", &shape_text, false}, {"expect_error", &shape_any, false}, {NULL, NULL, false}};
enum { MOVED = 2, COMMON = sizeof(common_keys) / sizeof(common_keys[0]) - 1 };

static const struct shape *common_shape(const char *key) {
    for (size_t i = 0; i < COMMON; i++) {
        if (strcmp(common_keys[i].name, key) == 0) {
            return common_keys[i].shape;
        }
    }
    return NULL;
}

/* as_user and expect_error may stand beside the step's own key: they belong to its map. */
static const struct shape *own_shape(const struct step_kind *kind, const char *key) {
    for (const struct shape_key *k = kind->shape->keys; k != NULL && k->name != NULL; k++) {
        if (strcmp(k->name, key) == 0) {
            return k->shape;
        }
    }
    return NULL;
}

static const struct step_kind *kind_of(struct loading *l, const struct doc_node *node, size_t *at) {
    const struct step_kind *found = NULL;
    for (size_t i = 0; i < node->count; i++) {
        const struct step_kind *kind = step_kind_find(node->keys[i]->text);
        if (kind != NULL && found != NULL) {
            problem(l->problems, node->keys[i], "a step does one thing: %s or %s", found->name, kind->name);
            return NULL;
        }
        if (kind != NULL) {
            found = kind;
            *at = i;
        }
    }
    if (found != NULL) {
        return found;
    }
    const char *names[STEP_KINDS_MAX];
    size_t count = 0;
    for (const struct step_kind *k; (k = step_kind_at(count)) != NULL;) {
        names[count++] = k->name;
    }
    for (size_t i = 0; i < node->count; i++) {
        if (common_shape(node->keys[i]->text) == NULL) {
            const char *near = nearest_word(node->keys[i]->text, names, count);
            problem(l->problems, node->keys[i], "there is no step \"%s\"%s%s%s", node->keys[i]->text,
                    near != NULL ? "; did you mean \"" : "", near != NULL ? near : "", near != NULL ? "\"?" : "");
            return NULL;
        }
    }
    problem(l->problems, node, "this step does nothing; add run_task, expect_job, fault, …");
    return NULL;
}

static char *take_text(const struct doc_node *node) {
    return node != NULL && node->kind == DOC_TEXT ? str_dup(node->text) : NULL;
}

/* What all steps may carry, from beside its key or from within its map. */
static const struct doc_node *carried(const struct doc_node *step, const struct doc_node *value,
                                      const struct step_kind *kind, const char *key) {
    const struct doc_node *beside = doc_get(step, key);
    return beside != NULL ? beside : kind->shape->type == SHAPE_MAP ? doc_get(value, key) : NULL;
}

static json_t *read_repeat(const struct doc_node *node) {
    if (node == NULL) {
        return NULL;
    }
    return node->kind == DOC_MAP ? doc_json(node) : json_pack("{s:o}", "times", doc_json(node));
}

static void read_carried(const struct doc_node *node, const struct doc_node *value, struct step *s) {
    const struct doc_node *after = carried(node, value, s->kind, "after"),
                          *within = carried(node, value, s->kind, "within");
    s->as = take_text(carried(node, value, s->kind, "as"));
    s->when = take_text(carried(node, value, s->kind, "when"));
    s->after = after != NULL ? doc_json(after) : NULL;
    s->within = within != NULL ? doc_json(within) : NULL;
    s->repeat = read_repeat(carried(node, value, s->kind, "repeat"));
    s->args = doc_json(value);
    for (size_t i = 0; i < COMMON; i++) {
        const struct doc_node *beside = doc_get(node, common_keys[i].name);
        if (i < COMMON - MOVED && s->kind->shape->type == SHAPE_MAP) {
            json_object_del(s->args, common_keys[i].name);
        } else if (i >= COMMON - MOVED && beside != NULL && json_is_object(s->args)) {
            json_set(s->args, common_keys[i].name, doc_json(beside));
        }
    }
}

/* ---- includes */

static const struct shape_key included_keys[] = {
    {"about", &shape_text, false}, {"steps", &shape_any, true}, {NULL, NULL, false}};
static const struct shape shape_included = {.type = SHAPE_MAP, .keys = included_keys};

static void read_included(struct loading *l, const struct doc_file *yaml, struct step *s) {
    const char *outer = l->problems->file;
    l->problems->file = l->names[l->depth - 1];
    for (size_t i = 0; i < yaml->count && i < 1; i++) {
        shape_check(&shape_included, yaml->documents[i], l->problems);
        const struct doc_node *steps = doc_get(yaml->documents[i], "steps");
        if (steps != NULL) {
            steps_read(l, steps, &s->inner, &s->inner_count);
        }
    }
    if (yaml->count != 1) {
        problem(l->problems, NULL, "an included file holds one document with steps");
    }
    l->problems->file = outer;
}

static void include(struct loading *l, const struct doc_node *value, struct step *s) {
    const struct doc_node *file = value->kind == DOC_MAP ? doc_get(value, "file") : value;
    if (file == NULL || file->kind != DOC_TEXT) {
        problem(l->problems, value, "the name of a file is wanted here");
        return;
    }
    s->with = json_incref(json_object_get(s->args, "with"));
    char *path = loading_path(l, file->text);
    bool again = false;
    for (size_t i = 0; i < l->depth; i++) {
        again = again || strcmp(l->names[i], path) == 0;
    }
    if (l->from_memory || again || l->depth > SCENARIO_INCLUDE_DEPTH) {
        problem(l->problems, file, "%s %s", path,
                l->from_memory ? "cannot be read here"
                : again        ? "includes itself"
                               : "is included too deeply");
    } else {
        const char *name;
        struct doc_file *yaml = loading_open(l, path, file, &name);
        if (yaml != NULL) {
            l->names[l->depth++] = name;
            read_included(l, yaml, s);
            l->depth--;
        }
        doc_free(yaml);
    }
    mem_free(path);
}

/* ---- steps */

static void read_step(struct loading *l, const struct doc_node *node, struct step *s) {
    size_t at = 0;
    if (node->kind != DOC_MAP) {
        problem(l->problems, node, "a step is a map, such as \"- run_task: {task: echo, nodes: …}\"");
        return;
    }
    const struct step_kind *kind = kind_of(l, node, &at);
    if (kind == NULL) {
        return;
    }
    const struct shape_key own[] = {{kind->name, kind->shape, true}, {NULL, NULL, false}};
    const struct shape_key *const tables[] = {own, common_keys, NULL};
    bool ok = true;
    for (size_t i = 0; i < node->count; i++) {
        const char *key = node->keys[i]->text;
        const struct shape *common = common_shape(key);
        bool moved = strcmp(key, "as_user") == 0 || strcmp(key, "expect_error") == 0;
        if (i != at && moved) {
            common = own_shape(kind, key);
        }
        if (i != at && moved && common == NULL) {
            problem(l->problems, node->keys[i], "%s has no %s", kind->name, key);
            ok = false;
        } else {
            ok = shape_check_key(node->keys[i], tables, l->problems) &&
                 shape_check(i == at ? kind->shape : common, node->items[i], l->problems) && ok;
        }
    }
    s->kind = kind;
    s->file = l->names[l->depth - 1];
    s->line = node->keys[at]->line;
    if (!ok) {
        return;
    }
    const struct doc_node *value = node->items[at];
    read_carried(node, value, s);
    if (strcmp(kind->name, "steps") == 0) {
        json_decref(s->args); /* theirs are expanded one by one */
        s->args = json_object();
        steps_read(l, value, &s->inner, &s->inner_count);
    } else if (strcmp(kind->name, "include") == 0) {
        include(l, value, s);
    }
}

void steps_read(struct loading *l, const struct doc_node *list, struct step **steps, size_t *count) {
    if (list->kind != DOC_LIST) {
        problem(l->problems, list, "a list of steps is wanted here");
        return;
    }
    *steps = mem_array(list->count + 1, sizeof(**steps));
    for (size_t i = 0; i < list->count; i++) {
        read_step(l, list->items[i], &(*steps)[(*count)++]);
    }
}

void steps_free(struct step *steps, size_t count) {
    for (size_t i = 0; i < count; i++) {
        steps_free(steps[i].inner, steps[i].inner_count);
        json_decref(steps[i].args);
        json_decref(steps[i].after);
        json_decref(steps[i].within);
        json_decref(steps[i].repeat);
        json_decref(steps[i].with);
        mem_free(steps[i].as);
        mem_free(steps[i].when);
    }
    mem_free(steps);
}
