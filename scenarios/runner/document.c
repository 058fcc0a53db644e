/* libyaml's events, put together into a tree. */
#include "scenarios/runner/document.h"

#include "base/map.h"
#include "base/mem.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reading {
    yaml_parser_t parser;
    const char *name;
    struct map anchors; /* name -> struct doc_node, of this document */
    size_t nodes;
    struct error *err;
};

static bool complain(struct reading *r, const yaml_mark_t *mark, const char *what) {
    return error_set(r->err, "scenario", "%s:%zu:%zu: %s", r->name, mark->line + 1, mark->column + 1, what);
}

static void node_free(struct doc_node *n) {
    if (n == NULL) {
        return;
    }
    for (size_t i = 0; i < n->count; i++) {
        node_free(n->items[i]);
        node_free(n->keys != NULL ? n->keys[i] : NULL);
    }
    mem_free(n->items);
    mem_free(n->keys);
    mem_free(n->text);
    mem_free(n);
}

static struct doc_node *node_new(struct reading *r, enum doc_kind kind, const yaml_mark_t *mark) {
    if (++r->nodes > DOC_NODES_MAX) {
        complain(r, mark, "the file is too large: more than 200000 values");
        return NULL;
    }
    struct doc_node *n = mem_zalloc(sizeof(*n));
    n->kind = kind;
    n->line = (unsigned)mark->line + 1;
    n->column = (unsigned)mark->column + 1;
    return n;
}

static void push(struct doc_node *n, struct doc_node *key, struct doc_node *item) {
    size_t cap = n->cap;
    n->items = mem_grow(n->items, &n->cap, n->count + 1, sizeof(*n->items));
    if (n->kind == DOC_MAP) {
        n->keys = mem_grow(n->keys, &cap, n->count + 1, sizeof(*n->keys));
        n->keys[n->count] = key;
    }
    n->items[n->count++] = item;
}

/* An alias stands for a copy: whoever reads the tree needs to know nothing of it. */
static struct doc_node *copy(struct reading *r, const struct doc_node *from, const yaml_mark_t *mark) {
    struct doc_node *n = node_new(r, from->kind, mark);
    if (n == NULL) {
        return NULL;
    }
    n->plain = from->plain;
    n->len = from->len;
    n->text = from->text != NULL ? span_dup((struct span){from->text, from->len}) : NULL;
    for (size_t i = 0; i < from->count; i++) {
        struct doc_node *key = from->kind == DOC_MAP ? copy(r, from->keys[i], mark) : NULL;
        struct doc_node *item = from->kind == DOC_MAP && key == NULL ? NULL : copy(r, from->items[i], mark);
        if (item == NULL) {
            node_free(key);
            node_free(n);
            return NULL;
        }
        push(n, key, item);
    }
    return n;
}

static bool next(struct reading *r, yaml_event_t *event) {
    if (yaml_parser_parse(&r->parser, event) != 0) {
        return true;
    }
    yaml_mark_t at = r->parser.problem_mark;
    if (at.line == 0 && at.column == 0 && r->parser.context_mark.line != 0) {
        at = r->parser.context_mark;
    }
    return complain(r, &at, r->parser.problem != NULL ? r->parser.problem : "this is not YAML");
}

static bool remember(struct reading *r, const yaml_char_t *anchor, struct doc_node *n) {
    if (anchor != NULL) {
        map_put(&r->anchors, span_of((const char *)anchor), n);
    }
    return true;
}

static struct doc_node *read_node(struct reading *r, const yaml_event_t *event, unsigned depth);

static bool add_to_map(struct reading *r, struct doc_node *map, const yaml_event_t *event, unsigned depth) {
    const yaml_mark_t at = event->start_mark;
    if (event->type != YAML_SCALAR_EVENT) {
        return complain(r, &at, "a key must be a word");
    }
    struct doc_node *key = read_node(r, event, depth + 1);
    if (key == NULL) {
        return false;
    }
    if (doc_get(map, key->text) != NULL) {
        char *what = str_printf("the key \"%s\" stands here twice", key->text);
        complain(r, &at, what);
        mem_free(what);
        node_free(key);
        return false;
    }
    yaml_event_t value;
    struct doc_node *item = NULL;
    if (next(r, &value)) {
        item = read_node(r, &value, depth + 1);
        yaml_event_delete(&value);
    }
    if (item == NULL) {
        node_free(key);
        return false;
    }
    push(map, key, item);
    return true;
}

static struct doc_node *read_collection(struct reading *r, const yaml_event_t *event, unsigned depth) {
    bool map = event->type == YAML_MAPPING_START_EVENT;
    yaml_event_type_t end = map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    struct doc_node *n = node_new(r, map ? DOC_MAP : DOC_LIST, &event->start_mark);
    bool ok = n != NULL && (depth < DOC_DEPTH_MAX || complain(r, &event->start_mark, "this is nested too deeply"));
    while (ok) {
        yaml_event_t inner;
        if (!next(r, &inner)) {
            break;
        }
        bool over = inner.type == end;
        if (!over && map) {
            ok = add_to_map(r, n, &inner, depth);
        } else if (!over) {
            struct doc_node *item = read_node(r, &inner, depth + 1);
            ok = item != NULL;
            if (ok) {
                push(n, NULL, item);
            }
        }
        yaml_event_delete(&inner);
        if (over) {
            remember(r, map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor, n);
            return n;
        }
    }
    node_free(n);
    return NULL;
}

static struct doc_node *read_node(struct reading *r, const yaml_event_t *event, unsigned depth) {
    if (event->type == YAML_ALIAS_EVENT) {
        const struct doc_node *known = map_get_cstr(&r->anchors, (const char *)event->data.alias.anchor);
        if (known == NULL) {
            complain(r, &event->start_mark, "this alias has no anchor before it");
            return NULL;
        }
        return copy(r, known, &event->start_mark);
    }
    if (event->type != YAML_SCALAR_EVENT) {
        return read_collection(r, event, depth);
    }
    struct span text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    if (span_has_nul(text)) {
        complain(r, &event->start_mark, "a text must not hold a NUL character");
        return NULL;
    }
    struct doc_node *n = node_new(r, DOC_TEXT, &event->start_mark);
    if (n != NULL) {
        n->text = span_dup(text);
        n->len = text.len;
        n->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        remember(r, event->data.scalar.anchor, n);
    }
    return n;
}

static bool read_documents(struct reading *r, struct doc_file *f) {
    size_t cap = 0;
    for (;;) {
        yaml_event_t event;
        if (!next(r, &event)) {
            return false;
        }
        yaml_event_type_t type = event.type;
        struct doc_node *n = NULL;
        bool value = type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
                     type == YAML_MAPPING_START_EVENT || type == YAML_ALIAS_EVENT;
        if (value) {
            n = read_node(r, &event, 0);
        } else if (type == YAML_DOCUMENT_START_EVENT) {
            map_free(&r->anchors);
            map_init(&r->anchors);
        }
        yaml_event_delete(&event);
        if (type == YAML_STREAM_END_EVENT) {
            return true;
        }
        if (value && n == NULL) {
            return false;
        }
        if (n != NULL) {
            f->documents = mem_grow(f->documents, &cap, f->count + 1, sizeof(*f->documents));
            f->documents[f->count++] = n;
        }
    }
}

struct doc_file *doc_parse(const char *name, struct span text, struct error *err) {
    struct reading r = {.name = name, .err = err};
    yaml_mark_t start = {0, 0, 0};
    if (text.len > DOC_BYTES_MAX) {
        complain(&r, &start, "the file is larger than 8 MiB");
        return NULL;
    }
    if (yaml_parser_initialize(&r.parser) == 0) {
        complain(&r, &start, "no memory for the YAML parser");
        return NULL;
    }
    struct doc_file *f = mem_zalloc(sizeof(*f));
    f->name = str_dup(name);
    map_init(&r.anchors);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.ptr != NULL ? text.ptr : ""), text.len);
    bool ok = read_documents(&r, f);
    yaml_parser_delete(&r.parser);
    map_free(&r.anchors);
    if (!ok) {
        doc_free(f);
        return NULL;
    }
    return f;
}

void doc_free(struct doc_file *f) {
    if (f == NULL) {
        return;
    }
    for (size_t i = 0; i < f->count; i++) {
        node_free(f->documents[i]);
    }
    mem_free(f->documents);
    mem_free(f->name);
    mem_free(f);
}

/* ---- looking */

static size_t find(const struct doc_node *map, struct span key) {
    if (map != NULL && map->kind == DOC_MAP) {
        for (size_t i = 0; i < map->count; i++) {
            if (span_eq((struct span){map->keys[i]->text, map->keys[i]->len}, key)) {
                return i;
            }
        }
    }
    return SIZE_MAX;
}

struct doc_node *doc_get(const struct doc_node *map, const char *key) {
    size_t i = find(map, span_of(key));
    return i != SIZE_MAX ? map->items[i] : NULL;
}

struct doc_node *doc_get_key(const struct doc_node *map, const char *key) {
    size_t i = find(map, span_of(key));
    return i != SIZE_MAX ? map->keys[i] : NULL;
}

const struct doc_node *doc_at(const struct doc_node *node, const char *path) {
    while (*path != '\0') {
        size_t len = strcspn(path, ".[");
        if (*path == '[') {
            char *end;
            unsigned long index = strtoul(path + 1, &end, 10);
            if (node->kind != DOC_LIST || index >= node->count || *end != ']') {
                return node;
            }
            node = node->items[index];
            path = end + 1;
        } else {
            size_t i = find(node, (struct span){path, len});
            if (i == SIZE_MAX) {
                return node;
            }
            path += len;
            if (*path == '\0') {
                return node->items[i]->kind == DOC_TEXT ? node->keys[i] : node->items[i];
            }
            node = node->items[i];
        }
        path += *path == '.' ? 1 : 0;
    }
    return node;
}

/* ---- values */

static json_t *plain_json(const struct doc_node *n) {
    static const struct {
        const char *text;
        int value;
    } words[] = {{"null", -1}, {"Null", -1}, {"NULL", -1}, {"~", -1},    {"", -1},    {"true", 1},
                 {"True", 1},  {"TRUE", 1},  {"false", 0}, {"False", 0}, {"FALSE", 0}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(n->text, words[i].text) == 0) {
            return words[i].value < 0 ? json_null() : json_boolean(words[i].value);
        }
    }
    int64_t number;
    if (span_to_i64((struct span){n->text, n->len}, &number)) {
        return json_integer(number);
    }
    if (strspn(n->text, "0123456789.eE+-") == n->len && strpbrk(n->text, "0123456789") != NULL) {
        char *end;
        errno = 0;
        double real = strtod(n->text, &end);
        if (*end == '\0' && errno == 0 && isfinite(real)) {
            return json_real(real);
        }
    }
    return NULL;
}

json_t *doc_json(const struct doc_node *n) {
    json_t *value = NULL;
    if (n->kind == DOC_TEXT) {
        value = n->plain ? plain_json(n) : NULL;
        return value != NULL ? value : json_stringn_nocheck(n->text, n->len);
    }
    value = n->kind == DOC_MAP ? json_object() : json_array();
    for (size_t i = 0; i < n->count; i++) {
        if (n->kind == DOC_MAP) {
            json_set(value, n->keys[i]->text, doc_json(n->items[i]));
        } else {
            json_array_append_new(value, doc_json(n->items[i]));
        }
    }
    return value;
}

/* ---- problems */

void problem(struct problems *p, const struct doc_node *at, const char *format, ...) {
    if (p->count++ >= PROBLEMS_MAX) {
        return;
    }
    struct buf line = BUF_INIT;
    va_list args;
    va_start(args, format);
    if (at != NULL) {
        buf_printf(&line, "%s:%u:%u: ", p->file, at->line, at->column);
    } else {
        buf_printf(&line, "%s: ", p->file);
    }
    buf_vprintf(&line, format, args);
    va_end(args);
    p->lines[p->count - 1] = buf_take(&line);
}

void problems_free(struct problems *p) {
    for (size_t i = 0; i < p->count && i < PROBLEMS_MAX; i++) {
        mem_free(p->lines[i]);
    }
    p->count = 0;
}
