/* See shape.h. */
#include "scenarios/runner/shape.h"

#include "base/mem.h"
#include "base/option.h"
#include <string.h>

const struct shape shape_any = {.type = SHAPE_ANY};
const struct shape shape_text = {.type = SHAPE_TEXT};
const struct shape shape_texts = {.type = SHAPE_LIST, .of = &shape_text};
const struct shape shape_count = {.type = SHAPE_COUNT};
const struct shape shape_number = {.type = SHAPE_NUMBER};
const struct shape shape_bool = {.type = SHAPE_BOOL};
const struct shape shape_duration = {.type = SHAPE_DURATION};
const struct shape shape_object = {.type = SHAPE_FREE};

bool shape_is_open(const struct doc_node *node) {
    return node->kind == DOC_TEXT && strstr(node->text, "${") != NULL;
}

bool duration_us(const char *text, uint64_t *us) {
    uint64_t ms;
    if (!duration_parse(text, &ms) || ms > UINT64_MAX / 1000) {
        return false;
    }
    *us = ms * 1000;
    return true;
}

bool shape_check_key(const struct doc_node *key, const struct shape_key *const *tables, struct problems *p) {
    enum { NAMES_MAX = 128 };
    const char *names[NAMES_MAX] = {NULL};
    size_t count = 0;
    for (size_t t = 0; tables[t] != NULL; t++) {
        for (size_t i = 0; tables[t][i].name != NULL; i++) {
            if (strcmp(tables[t][i].name, key->text) == 0) {
                return true;
            }
            if (count < NAMES_MAX) {
                names[count++] = tables[t][i].name;
            }
        }
    }
    const char *near = nearest_word(key->text, names, count);
    if (near != NULL) {
        problem(p, key, "unknown key \"%s\"; did you mean \"%s\"?", key->text, near);
        return false;
    }
    struct buf all = BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        buf_printf(&all, "%s%s", i != 0 ? ", " : "", names[i]);
    }
    problem(p, key, "unknown key \"%s\"; known here: %s", key->text, all.len != 0 ? all.ptr : "none");
    buf_free(&all);
    return false;
}

static bool check_map(const struct shape *s, const struct doc_node *node, struct problems *p) {
    const struct shape_key *const tables[] = {s->keys, NULL};
    bool ok = true;
    for (size_t i = 0; i < node->count; i++) {
        if (!shape_check_key(node->keys[i], tables, p)) {
            ok = false;
            continue;
        }
        for (const struct shape_key *k = s->keys; k->name != NULL; k++) {
            if (strcmp(k->name, node->keys[i]->text) == 0) {
                ok = shape_check(k->shape, node->items[i], p) && ok;
            }
        }
    }
    for (const struct shape_key *k = s->keys; k->name != NULL; k++) {
        if (k->required && doc_get(node, k->name) == NULL) {
            problem(p, node, "the key \"%s\" is missing here", k->name);
            ok = false;
        }
    }
    return ok;
}

static bool check_items(const struct shape *of, const struct doc_node *node, struct problems *p) {
    bool ok = true;
    for (size_t i = 0; of != NULL && i < node->count; i++) {
        ok = shape_check(of, node->items[i], p) && ok;
    }
    return ok;
}

static bool check_word(const struct shape *s, const struct doc_node *node, struct problems *p) {
    size_t count = 0;
    for (; s->words[count] != NULL; count++) {
        if (strcmp(s->words[count], node->text) == 0) {
            return true;
        }
    }
    struct buf all = BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        buf_printf(&all, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", s->words[i]);
    }
    const char *near = nearest_word(node->text, s->words, count);
    problem(p, node, "\"%s\" is not %s%s%s%s", node->text, all.ptr, near != NULL ? "; did you mean \"" : "",
            near != NULL ? near : "", near != NULL ? "\"?" : "");
    buf_free(&all);
    return false;
}

static const char *wanted(enum shape_type type) {
    static const char *const names[] = {
        [SHAPE_ANY] = "a value",        [SHAPE_TEXT] = "a text",
        [SHAPE_COUNT] = "a number",     [SHAPE_NUMBER] = "a whole number",
        [SHAPE_BOOL] = "true or false", [SHAPE_DURATION] = "a duration such as 10ms, 2s, 5m or 1h",
        [SHAPE_WORD] = "a word",        [SHAPE_MAP] = "a map",
        [SHAPE_FREE] = "a map",         [SHAPE_LIST] = "a list",
    };
    return names[type];
}

static bool scalar_fits(enum shape_type type, const struct doc_node *node) {
    uint64_t number;
    int64_t any;
    struct span text = {node->text, node->len};
    switch (type) {
    case SHAPE_COUNT:
        return node->plain && span_to_u64(text, &number) && number <= INT64_MAX;
    case SHAPE_NUMBER:
        return node->plain && span_to_i64(text, &any);
    case SHAPE_BOOL:
        return strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0;
    case SHAPE_DURATION:
        return duration_us(node->text, &number);
    default:
        return true;
    }
}

static bool check_kind(const struct shape *s, const struct doc_node *node, struct problems *p) {
    bool map = s->type == SHAPE_MAP || s->type == SHAPE_FREE;
    bool fits = node->kind == (map ? DOC_MAP : DOC_TEXT);
    if (fits && !map) {
        fits = scalar_fits(s->type, node);
    }
    if (fits) {
        return true;
    }
    if (node->kind == DOC_TEXT) {
        problem(p, node, "%s is wanted here, not \"%s\"", wanted(s->type), node->text);
    } else {
        problem(p, node, "%s is wanted here, not a %s", wanted(s->type), node->kind == DOC_MAP ? "map" : "list");
    }
    return false;
}

bool shape_check(const struct shape *s, const struct doc_node *node, struct problems *p) {
    size_t before = p->count;
    bool ok = true;
    if (s->type != SHAPE_ANY && !shape_is_open(node)) {
        if (s->type == SHAPE_LIST) {
            ok = node->kind == DOC_LIST ? check_items(s->of, node, p) : s->of == NULL || shape_check(s->of, node, p);
        } else {
            ok = check_kind(s, node, p);
        }
        if (ok && s->type == SHAPE_MAP) {
            ok = check_map(s, node, p);
        } else if (ok && s->type == SHAPE_FREE) {
            ok = check_items(s->of, node, p);
        } else if (ok && s->type == SHAPE_WORD) {
            ok = check_word(s, node, p);
        }
    }
    if (ok && s->check != NULL && !shape_is_open(node)) {
        s->check(p, node);
    }
    return p->count == before;
}
