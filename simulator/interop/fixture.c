/* See fixture.h. */
#include "simulator/interop/fixture.h"
#include "base/mem.h"
#include <string.h>

enum { FILE_BYTES_MAX = 64 * 1024 * 1024 };

static void replace_all(struct buf *text, struct span from, struct span to) {
    struct buf out = BUF_INIT;
    struct span rest = buf_span(text);
    ptrdiff_t at;
    while (from.len > 0 && (at = span_find_span(rest, from)) >= 0) {
        buf_append_span(&out, span_sub(rest, 0, (size_t)at));
        buf_append_span(&out, to);
        rest = span_sub(rest, (size_t)at + from.len, SIZE_MAX);
    }
    buf_append_span(&out, rest);
    buf_free(text);
    *text = out;
}

static bool read_text(struct world *w, const char *path, const json_t *replace, struct buf *out, struct error *err) {
    if (!world_file_read(w, path, FILE_BYTES_MAX, out, err)) {
        return false;
    }
    size_t i;
    json_t *pair;
    json_array_foreach(replace, i, pair) {
        replace_all(out, json_span(json_array_get(pair, 0)), json_span(json_array_get(pair, 1)));
    }
    return true;
}

static json_t *read_json(struct world *w, const char *path, const json_t *replace, struct error *err) {
    struct buf text = BUF_INIT;
    json_t *value = NULL;
    json_error_t trouble;
    if (read_text(w, path, replace, &text, err)) {
        value = json_loadb(text.ptr != NULL ? text.ptr : "", text.len, JSON_ALLOW_NUL, &trouble);
        if (value == NULL) {
            error_set(err, "interop", "%s: %s (line %d)", path, trouble.text, trouble.line);
        }
    }
    buf_free(&text);
    return value;
}

static bool is_pair_list(const json_t *list) {
    size_t i;
    json_t *pair;
    json_array_foreach(list, i, pair) {
        if (!json_is_string(json_array_get(pair, 0)) || !json_is_string(json_array_get(pair, 1))) {
            return false;
        }
    }
    return list == NULL || json_is_array(list);
}

bool fixture_open(struct fixture *f, struct world *w, const char *changes_path, const struct option_list *moves,
                  struct error *err) {
    *f = (struct fixture){.world = w, .replace = json_array()};
    for (size_t i = 0; i < moves->count; i++) {
        const char *equals = strchr(moves->items[i], '=');
        if (equals == NULL) {
            return error_set(err, "usage", "--move takes FROM=TO, not '%s'", moves->items[i]);
        }
        struct span from = span_bytes(moves->items[i], (size_t)(equals - moves->items[i]));
        json_array_append_new(f->replace, json_pack("[o, s]", json_str_new(from), equals + 1));
    }
    if (changes_path == NULL) {
        return true;
    }
    f->changes = read_json(w, changes_path, NULL, err);
    if (f->changes == NULL) {
        return false;
    }
    const json_t *replace = json_object_get(f->changes, "replace");
    if (!is_pair_list(replace)) {
        return error_set(err, "interop", "%s: \"replace\" is no list of pairs", changes_path);
    }
    json_array_extend(f->replace, (json_t *)(uintptr_t)replace);
    json_decref(f->changes); /* what it adds is written in the old names as well */
    f->changes = read_json(w, changes_path, f->replace, err);
    return f->changes != NULL;
}

void fixture_close(struct fixture *f) {
    json_decref(f->changes);
    json_decref(f->replace);
}

json_t *fixture_read(const struct fixture *f, const char *path, struct error *err) {
    return read_json(f->world, path, f->replace, err);
}

const json_t *fixture_added(const struct fixture *f, const char *key) {
    return json_object_get(f->changes, key);
}
