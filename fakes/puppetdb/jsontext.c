/* JSON text. */
#include "jsontext.h"
#include "base/json.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void jsontext_real(double value, char out[REAL_TEXT_LEN]) {
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, REAL_TEXT_LEN, "%.*g", digits, value);
        if (strtod(out, NULL) == value) {
            break;
        }
    }
    if (strpbrk(out, ".en") == NULL) {
        strcat(out, ".0");
    }
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void append(struct buf *out, const json_t *value, bool sorted);

static void append_member(struct buf *out, struct span key, const json_t *value, bool first, bool sorted) {
    if (!first) {
        buf_append_char(out, ',');
    }
    json_write_string(out, key);
    buf_append_char(out, ':');
    append(out, value, sorted);
}

static void append_sorted_members(struct buf *out, const json_t *object) {
    size_t count = json_object_size(object), at = 0;
    const char **keys = mem_array(count + 1, sizeof *keys);
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)object, key, item) {
        keys[at++] = key;
    }
    qsort(keys, count, sizeof *keys, by_text);
    for (size_t i = 0; i < count; i++) {
        append_member(out, span_of(keys[i]), json_object_get(object, keys[i]), i == 0, true);
    }
    mem_free(keys);
}

static void append_members(struct buf *out, json_t *object) {
    void *first = json_object_iter(object);
    for (void *i = first; i != NULL; i = json_object_iter_next(object, i)) {
        append_member(out, span_bytes(json_object_iter_key(i), json_object_iter_key_len(i)), json_object_iter_value(i),
                      i == first, false);
    }
}

static void append_object(struct buf *out, const json_t *object, bool sorted) {
    buf_append_char(out, '{');
    if (sorted) {
        append_sorted_members(out, object);
    } else {
        append_members(out, (json_t *)(uintptr_t)object);
    }
    buf_append_char(out, '}');
}

static void append_array(struct buf *out, const json_t *list, bool sorted) {
    buf_append_char(out, '[');
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (i > 0) {
            buf_append_char(out, ',');
        }
        append(out, json_array_get(list, i), sorted);
    }
    buf_append_char(out, ']');
}

static void append_real(struct buf *out, double value) {
    char text[REAL_TEXT_LEN];
    jsontext_real(value, text);
    buf_append_cstr(out, text);
}

static void append(struct buf *out, const json_t *value, bool sorted) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        append_object(out, value, sorted);
        break;
    case JSON_ARRAY:
        append_array(out, value, sorted);
        break;
    case JSON_STRING:
        json_write_string(out, json_span(value));
        break;
    case JSON_REAL:
        append_real(out, json_real_value(value));
        break;
    default:
        json_write(out, value);
    }
}

void jsontext_append(struct buf *out, const json_t *value) {
    append(out, value, false);
}

void jsontext_append_sorted(struct buf *out, const json_t *value) {
    append(out, value, true);
}

/* ---------------------------------------------------------------- indented */

/* Lists stand in one line, every member of an object in its own; only objects indent. */
struct printer {
    struct buf *out;
    struct buf open; /* brackets we are inside of */
    size_t depth;    /* of objects */
};

static void new_line(struct printer *p) {
    buf_append_char(p->out, '\n');
    for (size_t i = 0; i < p->depth; i++) {
        buf_append_cstr(p->out, "  ");
    }
}

static void begin(struct printer *p, char bracket, bool empty) {
    buf_append_char(&p->open, bracket);
    buf_append_char(p->out, bracket);
    p->depth += bracket == '{';
    if (!empty && bracket == '{') {
        new_line(p);
    } else if (!empty) {
        buf_append_char(p->out, ' ');
    }
}

static void end(struct printer *p, char bracket, bool empty) {
    p->open.len--;
    p->depth -= bracket == '}';
    if (!empty && bracket == '}') {
        new_line(p);
    } else {
        buf_append_char(p->out, ' ');
    }
    buf_append_char(p->out, bracket);
}

static void separate(struct printer *p) {
    bool members = span_ends_with(buf_span(&p->open), "{");
    buf_append_char(p->out, ',');
    if (members) {
        new_line(p);
    } else {
        buf_append_char(p->out, ' ');
    }
}

static size_t string_length(const char *text) {
    size_t n = 1;
    while (text[n] != '"') {
        n += text[n] == '\\' ? 2 : 1;
    }
    return n + 1;
}

void jsontext_append_pretty(struct buf *out, const char *compact) {
    struct printer p = {.out = out};
    for (const char *c = compact; *c != '\0'; c++) {
        if (*c == '"') {
            size_t n = string_length(c);
            buf_append(out, c, n);
            c += n - 1;
        } else if (*c == '{' || *c == '[') {
            begin(&p, *c, c[1] == '}' || c[1] == ']');
        } else if (*c == '}' || *c == ']') {
            end(&p, *c, c[-1] == '{' || c[-1] == '[');
        } else if (*c == ',') {
            separate(&p);
        } else if (*c == ':') {
            buf_append_cstr(out, " : ");
        } else {
            buf_append_char(out, *c);
        }
    }
    buf_free(&p.open);
}
