/* Files, documents, and what a scenario says about itself. */
#include "scenarios/runner/scenario.h"

#include "base/mem.h"
#include "scenarios/runner/scenario_internal.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const world_words[] = {"sim", "real", NULL};
static const struct shape shape_world = {.type = SHAPE_WORD, .words = world_words};
static const struct shape shape_worlds = {.type = SHAPE_LIST, .of = &shape_world};
static const struct shape shape_steps = {.type = SHAPE_ANY}; /* read step by step */

static const struct shape_key scenario_keys[] = {
    {"name", &shape_text, true},      {"about", &shape_text, false},           {"tags", &shape_texts, false},
    {"worlds", &shape_worlds, false}, {"because", &shape_text, false},         {"timeout", &shape_duration, false},
    {"vars", &shape_object, false},   {"stack", &shape_stack, false},          {"fleet", &shape_fleet, false},
    {"steps", &shape_steps, true},    {"wait_for_agents", &shape_bool, false}, {NULL, NULL, false},
};
static const struct shape shape_scenario = {.type = SHAPE_MAP, .keys = scenario_keys};

/* ---- files */

char *loading_path(const struct loading *l, const char *path) {
    const char *from = l->names[l->depth - 1];
    const char *slash = strrchr(from, '/');
    if (path[0] == '/' || slash == NULL) {
        return str_dup(path);
    }
    return str_printf("%.*s/%s", (int)(slash - from), from, path);
}

static bool read_file(const char *path, struct buf *out, struct error *err) {
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return error_set(err, "scenario", "%s: %s", path, strerror(errno));
    }
    char piece[16384];
    size_t got;
    while ((got = fread(piece, 1, sizeof(piece), f)) > 0 && out->len <= SCENARIO_FILE_MAX) {
        buf_append(out, piece, got);
    }
    bool bad = ferror(f) != 0;
    fclose(f);
    return !bad || error_set(err, "scenario", "%s: cannot be read", path);
}

static const char *keep_name(struct scenario_file *out, const char *name) {
    out->names = mem_grow(out->names, &out->name_cap, out->name_count + 1, sizeof(char *));
    return out->names[out->name_count++] = str_dup(name);
}

struct doc_file *loading_open(struct loading *l, const char *path, const struct doc_node *at, const char **name) {
    struct error err = ERROR_INIT;
    struct buf text = BUF_INIT;
    *name = keep_name(l->out, path);
    struct doc_file *yaml = read_file(path, &text, &err) ? doc_parse(path, buf_span(&text), &err) : NULL;
    if (yaml == NULL && at != NULL) {
        problem(l->problems, at, "%s", err.msg);
    } else if (yaml == NULL && l->problems->count++ < PROBLEMS_MAX) {
        l->problems->lines[l->problems->count - 1] = str_dup(err.msg);
    }
    error_clear(&err);
    buf_free(&text);
    return yaml;
}

/* ---- one scenario */

static void read_tags(struct scenario *s, const struct doc_node *node) {
    size_t count = node == NULL ? 0 : node->kind == DOC_LIST ? node->count : 1;
    s->tags = mem_array(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        s->tags[s->tag_count++] = str_dup(node->kind == DOC_LIST ? node->items[i]->text : node->text);
    }
}

static unsigned read_worlds(const struct doc_node *node) {
    size_t count = node == NULL ? 0 : node->kind == DOC_LIST ? node->count : 1;
    unsigned worlds = count == 0 ? SCENARIO_SIM | SCENARIO_REAL : 0;
    for (size_t i = 0; i < count; i++) {
        const char *word = node->kind == DOC_LIST ? node->items[i]->text : node->text;
        worlds |= strcmp(word, "sim") == 0 ? SCENARIO_SIM : SCENARIO_REAL;
    }
    return worlds;
}

static char *text_at(const struct doc_node *node, const char *key) {
    const struct doc_node *value = doc_get(node, key);
    return value != NULL && value->kind == DOC_TEXT ? str_dup(value->text) : NULL;
}

/* Stack and fleet are made before any variable is known; what tasks and plans hold is their own. */
static void refuse_variables(struct loading *l, const struct doc_node *node) {
    static const char *const own[] = {"tasks", "plans", "files"};
    if (node != NULL && shape_is_open(node)) {
        problem(l->problems, node, "variables are put in only within steps");
    }
    for (size_t i = 0; node != NULL && i < node->count; i++) {
        bool skip = false;
        for (size_t k = 0; node->kind == DOC_MAP && k < sizeof(own) / sizeof(own[0]); k++) {
            skip = skip || strcmp(node->keys[i]->text, own[k]) == 0;
        }
        if (!skip) {
            refuse_variables(l, node->items[i]);
        }
    }
}

static void refuse_variables_outside_steps(struct loading *l, const struct doc_node *scenario) {
    static const char *const fixed[] = {"stack", "fleet", "tags", "worlds", "timeout", "wait_for_agents"};
    const struct doc_node *vars = doc_get(scenario, "vars");
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        refuse_variables(l, doc_get(scenario, fixed[i]));
    }
    if (vars != NULL && vars->kind != DOC_MAP) { /* their values may hold variables */
        refuse_variables(l, vars);
    }
}

static void read_scenario(struct loading *l, const struct doc_node *node, struct scenario *s) {
    size_t before = l->problems->count;
    s->file = l->names[l->depth - 1];
    s->line = node->line;
    if (shape_is_open(node)) {
        refuse_variables(l, node);
        return;
    }
    if (!shape_check(&shape_scenario, node, l->problems) && node->kind != DOC_MAP) {
        return;
    }
    const struct doc_node *steps = doc_get(node, "steps");
    refuse_variables_outside_steps(l, node);
    if (l->problems->count == before) {
        s->name = text_at(node, "name");
        s->about = text_at(node, "about");
        s->because = text_at(node, "because");
        read_tags(s, doc_get(node, "tags"));
        s->worlds = read_worlds(doc_get(node, "worlds"));
        const struct doc_node *vars = doc_get(node, "vars"), *timeout = doc_get(node, "timeout"),
                              *wait = doc_get(node, "wait_for_agents");
        s->vars = vars != NULL ? doc_json(vars) : json_object();
        s->wait_for_agents = wait == NULL || strcmp(wait->text, "false") != 0;
        if (timeout != NULL) {
            duration_us(timeout->text, &s->timeout_us);
        }
        if (s->name[0] == '\0') {
            problem(l->problems, doc_get(node, "name"), "the name is empty");
        }
        if (s->worlds != (SCENARIO_SIM | SCENARIO_REAL) && s->because == NULL) {
            problem(l->problems, doc_get(node, "worlds"), "say why it runs in one world only: because: …");
        }
        stack_read(l, doc_get(node, "stack"), &s->stack);
        fleet_read(l, doc_get(node, "fleet"), s);
    }
    if (steps != NULL) {
        steps_read(l, steps, &s->steps, &s->step_count);
    }
}

static void check_names(struct loading *l) {
    for (size_t i = 0; i < l->out->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (str_eq(l->out->items[i].name, l->out->items[k].name) && l->out->items[i].name != NULL) {
                struct doc_node at = {.line = l->out->items[i].line, .column = 1};
                problem(l->problems, &at, "another scenario of this file is called \"%s\", too", l->out->items[i].name);
            }
        }
    }
}

static struct scenario_file *read_all(struct loading *l, struct doc_file *yaml) {
    size_t before = l->problems->count;
    if (yaml->count == 0) {
        struct doc_node at = {.line = 1, .column = 1};
        problem(l->problems, &at, "there is no scenario in this file");
    }
    l->out->items = mem_array(yaml->count + 1, sizeof(*l->out->items));
    for (size_t i = 0; i < yaml->count; i++) {
        read_scenario(l, yaml->documents[i], &l->out->items[l->out->count++]);
    }
    check_names(l);
    doc_free(yaml);
    if (l->problems->count != before) {
        scenario_file_free(l->out);
        return NULL;
    }
    return l->out;
}

struct scenario_file *scenario_load(const char *path, struct problems *p) {
    struct loading l = {.out = mem_zalloc(sizeof(*l.out)), .problems = p, .depth = 1};
    struct doc_file *yaml = loading_open(&l, path, NULL, &l.names[0]);
    p->file = path;
    if (yaml == NULL) {
        scenario_file_free(l.out);
        return NULL;
    }
    return read_all(&l, yaml);
}

struct scenario_file *scenario_parse(const char *name, struct span text, struct problems *p) {
    struct loading l = {.out = mem_zalloc(sizeof(*l.out)), .problems = p, .depth = 1, .from_memory = true};
    struct error err = ERROR_INIT;
    struct doc_file *yaml = doc_parse(name, text, &err);
    l.names[0] = keep_name(l.out, name);
    p->file = name;
    if (yaml == NULL) {
        if (p->count++ < PROBLEMS_MAX) {
            p->lines[p->count - 1] = str_dup(err.msg);
        }
        error_clear(&err);
        scenario_file_free(l.out);
        return NULL;
    }
    return read_all(&l, yaml);
}

/* ---- the end */

static void scenario_clear(struct scenario *s) {
    steps_free(s->steps, s->step_count);
    fleet_clear(s);
    stack_clear(&s->stack);
    json_decref(s->vars);
    for (size_t i = 0; i < s->tag_count; i++) {
        mem_free(s->tags[i]);
    }
    mem_free(s->tags);
    mem_free(s->name);
    mem_free(s->about);
    mem_free(s->because);
}

void scenario_file_free(struct scenario_file *f) {
    if (f == NULL) {
        return;
    }
    for (size_t i = 0; i < f->count; i++) {
        scenario_clear(&f->items[i]);
    }
    for (size_t i = 0; i < f->name_count; i++) {
        mem_free(f->names[i]);
    }
    mem_free(f->names);
    mem_free(f->items);
    mem_free(f);
}

bool scenario_has_tag(const struct scenario *s, const char *tag) {
    for (size_t i = 0; i < s->tag_count; i++) {
        if (strcmp(s->tags[i], tag) == 0) {
            return true;
        }
    }
    return false;
}

size_t scenario_agents(const struct scenario *s) {
    size_t total = 0;
    for (size_t i = 0; i < s->fleet_count; i++) {
        total += s->fleet[i].count;
    }
    return total;
}
