/* See vars.h. */
#include "scenarios/runner/vars.h"

#include "base/mem.h"
#include "scenarios/runner/paths.h"
#include <string.h>

static json_t *look_up(struct span reference, const json_t *vars, struct error *err) {
    char *path = span_dup(span_trim(reference));
    json_t *value = path_valid(path) ? path_get(vars, path) : NULL;
    if (value == NULL) {
        error_set(err, "scenario/variable", "there is no ${%s}", path);
    }
    mem_free(path);
    return value;
}

/* What stands between "${" at `at` and its "}". */
static bool reference_at(const char *at, struct span *inside) {
    const char *end = strchr(at, '}');
    if (end == NULL) {
        return false;
    }
    *inside = (struct span){at + 2, (size_t)(end - at - 2)};
    return true;
}

static bool expand_into(struct buf *out, const char *text, const json_t *vars, struct error *err) {
    while (*text != '\0') {
        struct span inside;
        if (strncmp(text, "$${", 3) == 0) {
            buf_append_cstr(out, "${");
            text += 3;
        } else if (strncmp(text, "${", 2) == 0 && reference_at(text, &inside)) {
            json_t *value = look_up(inside, vars, err);
            if (value == NULL) {
                return false;
            }
            if (json_is_string(value)) {
                buf_append_span(out, json_span(value));
            } else {
                json_write(out, value);
            }
            json_decref(value);
            text = inside.ptr + inside.len + 1;
        } else {
            buf_append_char(out, *text++);
        }
    }
    return true;
}

char *vars_expand_text(const char *text, const json_t *vars, struct error *err) {
    struct buf out = BUF_INIT;
    if (!expand_into(&out, text, vars, err)) {
        buf_free(&out);
        return NULL;
    }
    return buf_take(&out);
}

static json_t *expand_string(const json_t *value, const json_t *vars, struct error *err) {
    const char *text = json_string_value(value);
    struct span inside;
    if (strncmp(text, "${", 2) == 0 && reference_at(text, &inside) && inside.ptr[inside.len + 1] == '\0') {
        return look_up(inside, vars, err);
    }
    if (strstr(text, "${") == NULL) {
        return json_incref((json_t *)(uintptr_t)value);
    }
    struct buf out = BUF_INIT;
    json_t *result =
        expand_into(&out, text, vars, err) ? json_stringn_nocheck(out.ptr != NULL ? out.ptr : "", out.len) : NULL;
    buf_free(&out);
    return result;
}

json_t *vars_expand(const json_t *value, const json_t *vars, struct error *err) {
    if (json_is_string(value)) {
        return expand_string(value, vars, err);
    }
    if (!json_is_object(value) && !json_is_array(value)) {
        return json_incref((json_t *)(uintptr_t)value);
    }
    json_t *result = json_is_object(value) ? json_object() : json_array();
    const char *key;
    json_t *item;
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)value, key, item) {
        json_t *one = vars_expand(item, vars, err);
        char *name = one != NULL ? vars_expand_text(key, vars, err) : NULL;
        if (name == NULL) {
            json_decref(one);
            json_decref(result);
            return NULL;
        }
        json_set(result, name, one);
        mem_free(name);
    }
    json_array_foreach(value, i, item) {
        json_t *one = vars_expand(item, vars, err);
        if (one == NULL) {
            json_decref(result);
            return NULL;
        }
        json_array_append_new(result, one);
    }
    return result;
}

bool condition_holds(const char *text) {
    const char *same = strstr(text, "=="), *other = strstr(text, "!=");
    const char *at = same != NULL ? same : other;
    if (at == NULL) {
        struct span word = span_trim(span_of(text));
        return word.len != 0 && !span_eq_cstr(word, "false") && !span_eq_cstr(word, "0") && !span_eq_cstr(word, "null");
    }
    struct span left = span_trim((struct span){text, (size_t)(at - text)}), right = span_trim(span_of(at + 2));
    return span_eq(left, right) == (same != NULL);
}
