/* Dotted fields. */
#include "fieldpath.h"
#include "base/mem.h"
#include <string.h>

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool ends_part(struct span text, size_t at) {
    return at == text.len || text.ptr[at] == '.';
}

/* Where the first component ends; 0 when it is none. */
static size_t top_end(struct span text) {
    size_t end = 0;
    while (end < text.len &&
           (is_letter(text.ptr[end]) || (end > 0 && (is_digit(text.ptr[end]) || text.ptr[end] == '_')))) {
        end++;
    }
    if (end > 0 && end < text.len && text.ptr[end] == '?') {
        end++;
    }
    return end > 0 && ends_part(text, end) ? end : 0;
}

static void add(struct field_path *p, enum field_part_kind kind, struct span text, int64_t index) {
    p->parts = mem_realloc(p->parts, (p->count + 1) * sizeof *p->parts);
    p->parts[p->count++] = (struct field_part){kind, span_dup(text), index};
}

/* name[12] or name */
static void add_name(struct field_path *p, struct span text) {
    size_t digits = text.len > 0 && text.ptr[text.len - 1] == ']' ? text.len - 1 : 0;
    size_t open = digits;
    while (open > 0 && is_digit(text.ptr[open - 1])) {
        open--;
    }
    int64_t index;
    if (open > 1 && open < digits && text.ptr[open - 1] == '[' &&
        span_to_i64(span_sub(text, open, digits - open), &index)) {
        add(p, FIELD_PART_INDEXED, span_sub(text, 0, open - 1), index);
    } else {
        add(p, FIELD_PART_NAME, text, 0);
    }
}

/* match("…"): up to the last `")` that ends a component. Its end, or 0. */
static size_t match_end(struct span text, size_t at) {
    static const char open[] = "match(\"";
    size_t start = at + sizeof open - 1;
    if (!span_starts_with(span_sub(text, at, text.len - at), open)) {
        return 0;
    }
    for (size_t end = text.len; end >= start + 3; end--) {
        if (ends_part(text, end) && text.ptr[end - 1] == ')' && text.ptr[end - 2] == '"' && text.ptr[end - 3] != '\\') {
            return end;
        }
    }
    return 0;
}

/* "…": up to the first quote without a backslash before it that ends a component. Its end, or 0. */
static size_t quoted_end(struct span text, size_t at) {
    if (at >= text.len || text.ptr[at] != '"') {
        return 0;
    }
    for (size_t end = at + 3; end <= text.len; end++) {
        if (text.ptr[end - 1] == '"' && text.ptr[end - 2] != '\\' && ends_part(text, end)) {
            return end;
        }
    }
    return 0;
}

static size_t plain_end(struct span text, size_t at) {
    ptrdiff_t dot = span_find(span_sub(text, at, text.len - at), '.');
    return dot < 0 ? text.len : at + (size_t)dot;
}

bool field_path_parse(struct span text, bool literal, struct field_path *out, struct error *err) {
    *out = (struct field_path){NULL, 0};
    size_t at = top_end(text);
    if (at == 0) {
        return error_set(err, "pql/field",
                         text.len == 0 ? "Empty AST field%.*s" : "First component of AST field is invalid: \"%.*s\"",
                         (int)text.len, text.ptr);
    }
    add(out, FIELD_PART_NAME, span_sub(text, 0, at), 0);
    while (at < text.len) { /* at a dot */
        size_t start = at + 1;
        size_t end;
        if (!literal && (end = match_end(text, start)) != 0) {
            add(out, FIELD_PART_MATCH, span_sub(text, start + 7, end - start - 9), 0);
        } else if ((end = quoted_end(text, start)) != 0) {
            add_name(out, span_sub(text, start + 1, end - start - 2));
        } else if ((end = plain_end(text, start)) > start && !span_starts_with(span_sub(text, start, 2), "\"\"")) {
            add_name(out, span_sub(text, start, end - start));
        } else {
            field_path_free(out);
            return error_set(err, "pql/field", "Empty AST field component at character %zu: \"%.*s\"", start,
                             (int)text.len, text.ptr);
        }
        at = end;
    }
    return true;
}

void field_path_free(struct field_path *p) {
    for (size_t i = 0; i < p->count; i++) {
        mem_free(p->parts[i].text);
    }
    mem_free(p->parts);
    *p = (struct field_path){NULL, 0};
}

bool field_path_has(const struct field_path *p, enum field_part_kind kind) {
    for (size_t i = 0; i < p->count; i++) {
        if (p->parts[i].kind == kind) {
            return true;
        }
    }
    return false;
}
