/* HOCON: from text to nodes. */
#include "base/hocon_node.h"
#include "base/json.h"
#include "base/mem.h"
#include <assert.h>
#include <string.h>

struct parser {
    struct hocon *h;
    const char *p, *end, *line_start;
    unsigned file, line;
    unsigned depth; /* of brackets */
    unsigned includes;
    struct error *err;
};

static struct hocon_place here(const struct parser *s) {
    return (struct hocon_place){s->file, s->line, (unsigned)(s->p - s->line_start) + 1};
}

static bool at(const struct parser *s, const char *text) {
    size_t len = strlen(text);
    return (size_t)(s->end - s->p) >= len && memcmp(s->p, text, len) == 0;
}

static bool at_char(const struct parser *s, char c) {
    return s->p < s->end && *s->p == c;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static void next_line(struct parser *s) {
    s->p++;
    s->line++;
    s->line_start = s->p;
}

/* Blanks and comments up to the line's end; true when there was something. */
static bool skip_blanks(struct parser *s) {
    const char *from = s->p;
    while (s->p < s->end && is_blank(*s->p)) {
        s->p++;
    }
    if (at_char(s, '#') || at(s, "//")) {
        while (s->p < s->end && *s->p != '\n') {
            s->p++;
        }
    }
    return s->p != from;
}

/* The same over line ends; true when there was one. */
static bool skip_lines(struct parser *s) {
    bool line_end = false;
    for (skip_blanks(s); at_char(s, '\n'); skip_blanks(s)) {
        next_line(s);
        line_end = true;
    }
    return line_end;
}

static bool fail(struct parser *s, const char *what) {
    if (s->p == s->end) {
        return hocon_fail(s->h, here(s), s->err, "%s, found the end of the file", what);
    }
    if (*s->p == '\n') {
        return hocon_fail(s->h, here(s), s->err, "%s, found the end of the line", what);
    }
    return hocon_fail(s->h, here(s), s->err, "%s, found '%.*s'", what,
                      (unsigned char)*s->p >= 0x20 && (unsigned char)*s->p < 0x7f ? 1 : 0, s->p);
}

/* ---- strings */

static bool is_plain(const struct parser *s) {
    unsigned char c = (unsigned char)*s->p;
    return c > ' ' && c != 0x7f && strchr("$\"{}[]:=,+#`^?!@*&\\", c) == NULL && !at(s, "//");
}

static struct span plain_run(struct parser *s) {
    const char *from = s->p;
    while (s->p < s->end && is_plain(s)) {
        s->p++;
    }
    return (struct span){from, (size_t)(s->p - from)};
}

static bool triple_quoted(struct parser *s, struct buf *out) {
    struct hocon_place start = here(s);
    s->p += 3;
    const char *from = s->p;
    while (s->p < s->end && !at(s, "\"\"\"")) {
        if (*s->p == '\n') {
            next_line(s);
        } else {
            s->p++;
        }
    }
    if (s->p == s->end) {
        return hocon_fail(s->h, start, s->err, "the \"\"\" string has no end");
    }
    buf_append(out, from, (size_t)(s->p - from));
    s->p += 3;
    for (; at_char(s, '"'); s->p++) { /* further quotes belong to the text */
        buf_append_char(out, '"');
    }
    return true;
}

/* A JSON string; what JSON says about escapes is left to its parser. */
static bool quoted(struct parser *s, struct buf *out) {
    if (at(s, "\"\"\"")) {
        return triple_quoted(s, out);
    }
    struct hocon_place start = here(s);
    const char *from = s->p++;
    while (s->p < s->end && *s->p != '"' && *s->p != '\n') {
        s->p += *s->p == '\\' && s->p + 1 < s->end ? 2 : 1;
    }
    if (!at_char(s, '"')) {
        return hocon_fail(s->h, start, s->err, "the string has no end");
    }
    s->p++;
    json_t *text = json_parse((struct span){from, (size_t)(s->p - from)}, "config/syntax", NULL);
    if (text == NULL) {
        return hocon_fail(s->h, start, s->err, "not a valid string");
    }
    buf_append_span(out, json_span(text));
    json_decref(text);
    return true;
}

/* ---- keys */

/* One element of a dotted key. In an unquoted one blanks inside count. */
static bool key_element(struct parser *s, struct buf *out) {
    bool any = false;
    for (;;) {
        const char *from = s->p;
        while (s->p < s->end && is_blank(*s->p)) {
            s->p++;
        }
        struct span blanks = {from, (size_t)(s->p - from)};
        bool more = s->p < s->end && (*s->p == '"' || (is_plain(s) && *s->p != '.'));
        if (!more) {
            return any || fail(s, "expected a key");
        }
        if (any) {
            buf_append_span(out, blanks);
        }
        any = true;
        if (*s->p == '"') {
            if (!quoted(s, out)) {
                return false;
            }
            continue;
        }
        from = s->p;
        while (s->p < s->end && is_plain(s) && *s->p != '.') {
            s->p++;
        }
        buf_append(out, from, (size_t)(s->p - from));
    }
}

/* A dotted path into `names` of a node made for it. */
static bool key_path(struct parser *s, struct hocon_node *path) {
    do {
        struct buf name = BUF_INIT;
        if (path->count != 0) {
            s->p++; /* the dot */
        }
        bool ok = path->count < HOCON_DEPTH_MAX ? key_element(s, &name) : fail(s, "the key is too long");
        if (ok && span_has_nul(buf_span(&name))) {
            ok = fail(s, "the key has a NUL character");
        }
        if (ok) {
            hocon_push_name(path, buf_span(&name));
        }
        buf_free(&name);
        if (!ok) {
            return false;
        }
    } while (at_char(s, '.'));
    return true;
}

/* ---- values */

static bool object(struct parser *s, struct hocon_node *to, bool braces);
static bool value(struct parser *s, struct hocon_node **out);

static bool enter(struct parser *s) {
    return ++s->depth <= HOCON_DEPTH_MAX || fail(s, "nested too deeply");
}

static bool array(struct parser *s, struct hocon_node *to) {
    s->p++;
    bool ok = enter(s);
    skip_lines(s);
    while (ok && !at_char(s, ']')) {
        struct hocon_node *item;
        if (to->count == HOCON_ITEMS_MAX) {
            return fail(s, "too many elements");
        }
        ok = value(s, &item);
        if (ok) {
            hocon_push(to, item);
            bool separated = skip_lines(s);
            if (at_char(s, ',')) {
                s->p++;
                skip_lines(s);
            } else if (!separated && !at_char(s, ']')) {
                ok = fail(s, "expected ',' or ']'");
            }
            if (s->p == s->end) {
                ok = fail(s, "expected ']'");
            }
        }
    }
    s->p += ok;
    s->depth--;
    return ok;
}

static bool reference(struct parser *s, struct hocon_node **out) {
    struct hocon_node *n = hocon_make(s->h, HOCON_REFERENCE, here(s));
    *out = n;
    s->p += 2;
    if (at_char(s, '?')) {
        n->optional = true;
        s->p++;
    }
    if (!key_path(s, n)) {
        return false;
    }
    if (!at_char(s, '}')) {
        return fail(s, "expected '}' behind the reference");
    }
    s->p++;
    return true;
}

/* What a run of plain characters is when it stands alone. */
static enum hocon_kind plain_kind(struct span text) {
    if (span_eq_cstr(text, "null")) {
        return HOCON_NULL;
    }
    if (span_eq_cstr(text, "true") || span_eq_cstr(text, "false")) {
        return HOCON_BOOL;
    }
    char first = text.ptr[0];
    if (first == '-' || (first >= '0' && first <= '9')) {
        json_t *number = json_parse(text, "config/syntax", NULL);
        bool is_number = json_is_number(number);
        json_decref(number);
        return is_number ? HOCON_NUMBER : HOCON_STRING;
    }
    return HOCON_STRING;
}

static bool piece(struct parser *s, struct hocon_node **out) {
    struct hocon_place place = here(s);
    if (at_char(s, '{')) {
        *out = hocon_make(s->h, HOCON_OBJECT, place);
        return object(s, *out, true);
    }
    if (at_char(s, '[')) {
        *out = hocon_make(s->h, HOCON_ARRAY, place);
        return array(s, *out);
    }
    if (at(s, "${")) {
        return reference(s, out);
    }
    if (at_char(s, '"')) {
        struct buf text = BUF_INIT;
        bool ok = quoted(s, &text);
        *out = ok ? hocon_make_text(s->h, HOCON_STRING, place, buf_span(&text)) : NULL;
        buf_free(&text);
        return ok;
    }
    struct span text = plain_run(s);
    if (text.len == 0) {
        return fail(s, "expected a value (some characters must stand in quotes)");
    }
    *out = hocon_make_text(s->h, plain_kind(text), place, text);
    return true;
}

static bool value_ends(const struct parser *s) {
    return s->p == s->end || *s->p == '\n' || *s->p == ',' || *s->p == '}' || *s->p == ']';
}

/* Pieces side by side up to the end of the value; the blanks between them are pieces too, as joined strings keep them.
 */
static bool value(struct parser *s, struct hocon_node **out) {
    struct hocon_node *join = hocon_make(s->h, HOCON_JOIN, here(s)), *one = NULL;
    if (!enter(s)) {
        return false;
    }
    for (;;) {
        if (join->count >= HOCON_ITEMS_MAX) {
            return fail(s, "too many values side by side");
        }
        if (!piece(s, &one)) {
            return false;
        }
        hocon_push(join, one);
        struct hocon_place place = here(s);
        const char *from = s->p;
        skip_blanks(s);
        if (value_ends(s)) {
            break;
        }
        one = hocon_make_text(s->h, HOCON_STRING, place, (struct span){from, (size_t)(s->p - from)});
        one->blank = true;
        hocon_push(join, one);
    }
    s->depth--;
    *out = join->count == 1 ? join->items[0] : join;
    return true;
}

/* ---- members */

static bool include(struct parser *s, struct hocon_node *to) {
    struct hocon_place place = here(s);
    struct buf name = BUF_INIT, text = BUF_INIT;
    s->p += strlen("include");
    skip_blanks(s);
    bool required = false;
    unsigned closing = 0;
    while (s->p < s->end && *s->p != '"' && *s->p != '\n') {
        required = required || at(s, "required(");
        closing += *s->p == '(';
        s->p++;
    }
    bool ok = at_char(s, '"') ? quoted(s, &name) : fail(s, "expected a file name in quotes");
    for (; ok && closing != 0; closing--) {
        skip_blanks(s);
        ok = at_char(s, ')') || fail(s, "expected ')'");
        s->p += ok;
    }
    if (ok && s->h->opts.include == NULL) {
        ok = hocon_fail(s->h, place, s->err, "includes are not allowed here");
    }
    if (ok && s->includes == HOCON_DEPTH_MAX) {
        ok = hocon_fail(s->h, place, s->err, "includes are nested too deeply");
    }
    struct error why = ERROR_INIT;
    if (ok && s->h->opts.include(s->h->opts.ctx, name.ptr != NULL ? name.ptr : "", &text, &why)) {
        struct hocon *h = s->h;
        h->files = mem_grow(h->files, &h->file_cap, h->file_count + 1, sizeof *h->files);
        h->files[h->file_count] = span_dup(buf_span(&name));
        ok = hocon_parse(h, (unsigned)h->file_count++, buf_span(&text), to, s->includes + 1, s->err);
    } else if (ok && (required || error_is_set(&why))) {
        ok =
            hocon_fail(s->h, place, s->err, "%s: %s", name.ptr, error_is_set(&why) ? why.msg : "there is no such file");
    }
    error_clear(&why);
    buf_free(&text);
    buf_free(&name);
    return ok;
}

/* Does a word "include" stand here, and not a key of that name? */
static bool at_include(const struct parser *s) {
    const char *p = s->p + strlen("include");
    if (!at(s, "include") || p == s->end || !is_blank(*p)) {
        return false;
    }
    while (p < s->end && is_blank(*p)) {
        p++;
    }
    return p < s->end && strchr(":=+{.", *p) == NULL;
}

static bool same_path(const struct hocon_node *a, char *const *names, size_t count) {
    bool same = a->count == count;
    for (size_t i = 0; same && i < count; i++) {
        same = str_eq(a->names[i], names[i]);
    }
    return same;
}

/* `path = ${path} more` means what the key had before. */
static struct hocon_node *bind_self(struct parser *s, struct hocon_node *n, const struct hocon_node *path,
                                    struct hocon_node *before) {
    if (n->kind == HOCON_REFERENCE && before != NULL && same_path(n, path->names, path->count)) {
        return before;
    }
    if (n->kind == HOCON_JOIN) {
        for (size_t i = 0; i < n->count; i++) {
            n->items[i] = bind_self(s, n->items[i], path, before);
        }
    }
    return n;
}

/* Sets the value at a dotted path below the object. `append`: it was "+=". */
static bool put_path(struct parser *s, struct hocon_node *object_at, const struct hocon_node *path,
                     struct hocon_node *v, bool append) {
    struct hocon_node *inner = object_at;
    for (size_t i = 0; i + 1 < path->count && inner != NULL; i++) {
        inner = inner->kind == HOCON_OBJECT ? hocon_member(inner, span_of(path->names[i])) : NULL;
    }
    struct hocon_node *before = NULL;
    if (inner != NULL && inner->kind == HOCON_OBJECT) {
        before = hocon_member(inner, span_of(path->names[path->count - 1]));
    }
    if (append) {
        struct hocon_node *list = hocon_make(s->h, HOCON_ARRAY, v->place), *join;
        hocon_push(list, v);
        join = hocon_make(s->h, HOCON_JOIN, v->place);
        if (before != NULL) {
            hocon_push(join, before);
        }
        hocon_push(join, list);
        v = before != NULL ? join : list;
    }
    v = bind_self(s, v, path, before);
    for (size_t i = path->count - 1; i > 0; i--) {
        struct hocon_node *outer = hocon_make(s->h, HOCON_OBJECT, v->place);
        hocon_push_name(outer, span_of(path->names[i]));
        hocon_push(outer, v);
        v = outer;
    }
    if (object_at->count == HOCON_ITEMS_MAX) {
        return fail(s, "too many keys");
    }
    hocon_put(s->h, object_at, span_of(path->names[0]), v);
    return true;
}

static bool member(struct parser *s, struct hocon_node *to) {
    if (at_include(s)) {
        return include(s, to);
    }
    struct hocon_node *path = hocon_make(s->h, HOCON_REFERENCE, here(s)), *v;
    if (!key_path(s, path)) {
        return false;
    }
    skip_blanks(s);
    bool append = at(s, "+=");
    if (append) {
        s->p += 2;
    } else if (at_char(s, ':') || at_char(s, '=')) {
        s->p++;
    } else if (!at_char(s, '{')) {
        return fail(s, "expected ':', '=' or '{' behind the key");
    }
    skip_lines(s);
    return value(s, &v) && put_path(s, to, path, v, append);
}

/* Members up to '}' or, without braces, to the end of the text. */
static bool object(struct parser *s, struct hocon_node *to, bool braces) {
    if (!enter(s)) {
        return false;
    }
    s->p += braces;
    skip_lines(s);
    while (s->p < s->end && !(braces && *s->p == '}')) {
        if (!member(s, to)) {
            return false;
        }
        bool separated = skip_lines(s);
        if (at_char(s, ',')) {
            s->p++;
            skip_lines(s);
        } else if (!separated && s->p < s->end && !(braces && *s->p == '}')) {
            return fail(s, braces ? "expected ',' or '}'" : "expected a new line or ','");
        }
    }
    if (braces && s->p == s->end) {
        return fail(s, "expected '}'");
    }
    s->p += braces;
    s->depth--;
    return true;
}

bool hocon_parse(struct hocon *h, unsigned file, struct span text, struct hocon_node *root, unsigned depth,
                 struct error *err) {
    struct parser s = {.h = h,
                       .p = text.ptr,
                       .end = text.ptr + text.len,
                       .line_start = text.ptr,
                       .file = file,
                       .line = 1,
                       .includes = depth,
                       .err = err};
    if (text.len > HOCON_TEXT_MAX) {
        return hocon_fail(h, here(&s), err, "larger than %d bytes", HOCON_TEXT_MAX);
    }
    if (!span_is_utf8(text)) {
        return hocon_fail(h, here(&s), err, "not UTF-8 text");
    }
    if (text.len == 0) {
        return true;
    }
    if (at(&s, "\xef\xbb\xbf")) {
        s.p += 3;
    }
    skip_lines(&s);
    if (!at_char(&s, '{')) {
        return object(&s, root, false);
    }
    if (!object(&s, root, true)) {
        return false;
    }
    skip_lines(&s);
    return s.p == s.end || fail(&s, "expected the end of the file");
}
