/* HOCON: nodes, merging, and the result's places. */
#include "base/hocon.h"

#include "base/hocon_node.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

struct hocon_node *hocon_make(struct hocon *h, enum hocon_kind kind, struct hocon_place place) {
    struct hocon_node *n = mem_zalloc(sizeof *n);
    n->kind = kind;
    n->place = place;
    n->next_made = h->made;
    h->made = n;
    return n;
}

struct hocon_node *hocon_make_text(struct hocon *h, enum hocon_kind kind, struct hocon_place place, struct span text) {
    struct hocon_node *n = hocon_make(h, kind, place);
    n->text = (struct span){span_dup(text), text.len};
    return n;
}

void hocon_push(struct hocon_node *to, struct hocon_node *item) {
    to->items = mem_grow(to->items, &to->item_cap, to->count + 1, sizeof *to->items);
    to->items[to->count++] = item;
}

/* Of an object, call it before hocon_push(). A reference has names only. */
void hocon_push_name(struct hocon_node *to, struct span name) {
    to->names = mem_grow(to->names, &to->name_cap, to->count + 1, sizeof *to->names);
    to->names[to->count] = span_dup(name);
    if (to->kind == HOCON_REFERENCE) {
        to->count++;
    }
}

static size_t member_index(const struct hocon_node *object, struct span name) {
    size_t i = 0;
    while (i < object->count && !span_eq_cstr(name, object->names[i])) {
        i++;
    }
    return i;
}

struct hocon_node *hocon_member(const struct hocon_node *object, struct span name) {
    size_t i = member_index(object, name);
    return i < object->count ? object->items[i] : NULL;
}

static bool is_open(const struct hocon_node *n) {
    return n->kind == HOCON_REFERENCE || n->kind == HOCON_JOIN || n->kind == HOCON_MERGE;
}

/* A new object with the members of both; what is in both is merged in turn. */
struct hocon_node *hocon_merge(struct hocon *h, struct hocon_node *under, struct hocon_node *over) {
    struct hocon_node *both = hocon_make(h, HOCON_OBJECT, over->place);
    for (size_t i = 0; i < under->count; i++) {
        hocon_push_name(both, span_of(under->names[i]));
        hocon_push(both, under->items[i]);
    }
    for (size_t i = 0; i < over->count; i++) {
        hocon_put(h, both, span_of(over->names[i]), over->items[i]);
    }
    return both;
}

void hocon_put(struct hocon *h, struct hocon_node *object, struct span name, struct hocon_node *value) {
    size_t i = member_index(object, name);
    if (i == object->count) {
        hocon_push_name(object, name);
        hocon_push(object, value);
        return;
    }
    struct hocon_node *old = object->items[i];
    if (old->kind == HOCON_OBJECT && value->kind == HOCON_OBJECT) {
        object->items[i] = hocon_merge(h, old, value);
    } else if (is_open(value) || (value->kind == HOCON_OBJECT && is_open(old))) {
        struct hocon_node *merge = hocon_make(h, HOCON_MERGE, value->place);
        hocon_push(merge, old);
        hocon_push(merge, value);
        object->items[i] = merge;
    } else {
        object->items[i] = value;
    }
}

bool hocon_fail(const struct hocon *h, struct hocon_place at, struct error *err, const char *format, ...) {
    struct buf text = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    error_set(err, "config/syntax", "%s:%u:%u: %s", h->files[at.file], at.line, at.column, text.ptr);
    buf_free(&text);
    return false;
}

struct hocon *hocon_new(const struct hocon_opts *opts) {
    struct hocon *h = mem_zalloc(sizeof *h);
    if (opts != NULL) {
        h->opts = *opts;
    }
    h->root = hocon_make(h, HOCON_OBJECT, (struct hocon_place){0, 1, 1});
    map_init(&h->places);
    return h;
}

void hocon_free(struct hocon *h) {
    if (h == NULL) {
        return;
    }
    while (h->made != NULL) {
        struct hocon_node *n = h->made;
        h->made = n->next_made;
        for (size_t i = 0; n->names != NULL && i < n->count; i++) {
            mem_free(n->names[i]);
        }
        mem_free(n->names);
        mem_free(n->items);
        mem_free((char *)n->text.ptr);
        json_decref(n->json);
        mem_free(n);
    }
    for (size_t i = 0; i < h->file_count; i++) {
        mem_free(h->files[i]);
    }
    mem_free(h->files);
    map_free(&h->places);
    json_decref(h->json);
    mem_free(h);
}

bool hocon_add(struct hocon *h, const char *name, struct span text, struct error *err) {
    h->files = mem_grow(h->files, &h->file_cap, h->file_count + 1, sizeof *h->files);
    h->files[h->file_count] = str_dup(name);
    return hocon_parse(h, (unsigned)h->file_count++, text, h->root, 0, err);
}

json_t *hocon_root(const struct hocon *h) {
    return h->json;
}

static void write_place(const struct hocon *h, const json_t *parent, const char *name, struct buf *out) {
    struct buf key = BUF_INIT;
    buf_append(&key, &parent, sizeof parent);
    buf_append_cstr(&key, name);
    const struct hocon_node *n = map_get(&h->places, buf_span(&key));
    buf_free(&key);
    if (n != NULL) {
        buf_printf(out, "%s:%u:%u", h->files[n->place.file], n->place.line, n->place.column);
        return;
    }
    for (size_t i = 0; i < h->file_count; i++) {
        buf_printf(out, "%s%s", i == 0 ? "" : ", ", h->files[i]);
    }
}

void hocon_where(const struct hocon *h, const json_t *object, const char *key, struct buf *out) {
    write_place(h, object, key, out);
}

void hocon_where_at(const struct hocon *h, const json_t *array, size_t i, struct buf *out) {
    char index[24];
    snprintf(index, sizeof index, "%zu", i);
    write_place(h, array, index, out);
}

bool hocon_duration(struct span text, uint64_t bare_ms, uint64_t *ms) {
    static const struct {
        const char *names;
        uint64_t ms;
    } units[] = {{"ms milli millis millisecond milliseconds", 1},
                 {"s second seconds", 1000},
                 {"m minute minutes", 60 * 1000},
                 {"h hour hours", 3600 * 1000},
                 {"d day days", UINT64_C(86400000)},
                 {"w week weeks", 7 * UINT64_C(86400000)},
                 {"y year years", 365 * UINT64_C(86400000)}};
    text = span_trim(text);
    size_t digits = 0;
    uint64_t number, factor = bare_ms;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
        digits++;
    }
    if (!span_to_u64(span_sub(text, 0, digits), &number)) {
        return false;
    }
    struct span unit = span_trim(span_sub(text, digits, text.len));
    bool known = unit.len == 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0] && !known; i++) {
        struct span names = span_of(units[i].names), name;
        while (!known && span_split(&names, ' ', &name)) {
            known = span_eq(name, unit);
            factor = units[i].ms;
        }
    }
    if (!known || (factor != 0 && number > UINT64_MAX / factor)) {
        return false;
    }
    *ms = number * factor;
    return true;
}
