/* Strings: escapes, interpolation, heredocs (plans.md §3.3, §3.4). */
#include "puppetlang/parser.h"
#include <ctype.h>
#include <string.h>

struct pl_node *pl_parse_single_quoted(struct pl_parser *p) {
    struct pl_node *n = pl_node_new(p->tree, PL_STRING, p->token.at);
    struct span raw = span_sub(p->token.text, 1, p->token.text.len - 2);
    char *text = pl_tree_alloc(p->tree, raw.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.ptr[i] == '\\' && i + 1 < raw.len && (raw.ptr[i + 1] == '\'' || raw.ptr[i + 1] == '\\')) {
            i++;
        }
        text[len++] = raw.ptr[i];
    }
    n->text = text;
    n->text_len = len;
    if (!pl_advance(p)) {
        return NULL;
    }
    n->end = p->last_end;
    return n;
}

/* A text being put together: characters gathered into PL_STRING parts, with expressions between. */
struct gathering {
    struct pl_parser *p;
    struct pl_node *parts; /* PL_CONCAT */
    struct buf piece;
    const char *escapes; /* letters that mean something after a backslash; "L" stands for a line break */
    bool interpolate;
};

static void put_code_point(struct buf *b, unsigned long c) {
    if (c < 0x80) {
        buf_append_char(b, (char)c);
    } else if (c < 0x800) {
        buf_append_char(b, (char)(0xC0 | c >> 6));
        buf_append_char(b, (char)(0x80 | (c & 0x3F)));
    } else if (c < 0x10000) {
        buf_append_char(b, (char)(0xE0 | c >> 12));
        buf_append_char(b, (char)(0x80 | (c >> 6 & 0x3F)));
        buf_append_char(b, (char)(0x80 | (c & 0x3F)));
    } else {
        buf_append_char(b, (char)(0xF0 | c >> 18));
        buf_append_char(b, (char)(0x80 | (c >> 12 & 0x3F)));
        buf_append_char(b, (char)(0x80 | (c >> 6 & 0x3F)));
        buf_append_char(b, (char)(0x80 | (c & 0x3F)));
    }
}

/* The hex digits of \uXXXX or \u{X…} in rest (behind the "u"); the number of characters taken, 0: none. */
static size_t unicode_escape(struct span rest, unsigned long *c) {
    bool braces = rest.len > 0 && rest.ptr[0] == '{';
    size_t i = braces ? 1 : 0, first = i, limit = braces ? 6 : 4;
    *c = 0;
    while (i < rest.len && i - first < limit && isxdigit((unsigned char)rest.ptr[i])) {
        char d = rest.ptr[i++];
        *c = *c * 16 + (unsigned long)(isdigit((unsigned char)d) ? d - '0' : tolower((unsigned char)d) - 'a' + 10);
    }
    bool whole = braces ? i > first && i < rest.len && rest.ptr[i] == '}' : i - first == 4;
    if (!whole || *c > 0x10FFFF || (*c >= 0xD800 && *c <= 0xDFFF)) {
        return 0;
    }
    return braces ? i + 1 : i;
}

/* What stands behind a backslash in `rest`: puts it into the piece and returns how many characters it took, 0: none. */
static size_t escape(struct gathering *g, struct span rest) {
    static const struct {
        char letter, means;
    } simple[] = {{'n', '\n'}, {'r', '\r'}, {'t', '\t'},  {'s', ' '},
                  {'$', '$'},  {'"', '"'},  {'\'', '\''}, {'\\', '\\'}};
    if (rest.len == 0) {
        return 0;
    }
    char c = rest.ptr[0];
    if (c == '\n' || (c == '\r' && rest.len > 1 && rest.ptr[1] == '\n')) {
        return strchr(g->escapes, 'L') == NULL ? 0 : c == '\n' ? 1 : 2;
    }
    if (c == '\0' || strchr(g->escapes, c) == NULL) {
        return 0;
    }
    unsigned long point;
    size_t taken = c == 'u' ? unicode_escape(span_sub(rest, 1, rest.len), &point) : 0;
    if (taken > 0) {
        put_code_point(&g->piece, point);
        return taken + 1;
    }
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++) {
        if (simple[i].letter == c) {
            buf_append_char(&g->piece, simple[i].means);
            return 1;
        }
    }
    return 0;
}

static void end_piece(struct gathering *g, size_t at) {
    if (g->piece.len > 0) {
        struct pl_node *s = pl_node_new(g->p->tree, PL_STRING, at);
        pl_node_text(g->p->tree, s, buf_span(&g->piece));
        pl_node_add(g->p->tree, g->parts, s);
        buf_clear(&g->piece);
    }
}

static struct pl_node *variable(struct gathering *g, struct span name, size_t at) {
    struct pl_node *v = pl_node_new(g->p->tree, PL_VARIABLE, at);
    pl_node_text(g->p->tree, v, name);
    v->end = at + name.len;
    return v;
}

/* The word that begins an interpolation is a variable when it stands alone or before "." or "[". */
static bool variable_first(struct pl_parser *p, bool *is_variable) {
    struct pl_token next;
    bool word = p->token.kind == PL_TOKEN_NAME || p->token.kind == PL_TOKEN_WORD || p->token.kind == PL_TOKEN_KEYWORD ||
                p->token.kind == PL_TOKEN_INTEGER;
    if (!word || !pl_peek(p, &next)) {
        *is_variable = false;
        return !word;
    }
    *is_variable = next.kind == PL_TOKEN_PUNCT && (next.which == PL_P_RBRACE || next.which == PL_P_DOT ||
                                                   (next.which == PL_P_LBRACK && !next.blank_before));
    return true;
}

/* Between "${" and "}"; the parser's lexer stands behind "${". Leaves it behind "}". */
static struct pl_node *interpolation(struct gathering *g, size_t start) {
    struct pl_parser *p = g->p;
    bool named;
    p->lexer.operand_before = false;
    if (!pl_lexer_next(&p->lexer, &p->token, p->err) || !variable_first(p, &named)) {
        return NULL;
    }
    struct pl_node *n = NULL;
    if (p->token.kind == PL_TOKEN_END) {
        pl_fail(p->err, "puppetlang/unclosed", pl_tree_source(p->tree), start, "a ${ is not closed");
        return NULL;
    }
    if (named) {
        n = variable(g, p->token.text, p->token.at);
        n = pl_advance(p) ? pl_parse_postfix(p, n) : NULL;
    } else {
        n = pl_parse_assignment(p);
    }
    if (n != NULL && !pl_is(p, PL_P_RBRACE)) {
        if (p->token.kind == PL_TOKEN_END) {
            pl_fail(p->err, "puppetlang/unclosed", pl_tree_source(p->tree), start, "a ${ is not closed");
        } else {
            pl_syntax(p, "'}'");
        }
        return NULL;
    }
    return n;
}

/* Gathers from `from` up to `end` (or, with end 0, the closing quote) of the source; the offset behind is in *stop.
 * With an `end` the last piece stays open. */
static bool gather(struct gathering *g, size_t from, size_t end, size_t *stop) {
    struct pl_parser *p = g->p;
    struct span source = pl_tree_source(p->tree);
    size_t limit = end != 0 ? end : source.len, i = from;
    while (i < limit) {
        char c = source.ptr[i];
        size_t name_end;
        if (c == '"' && end == 0) {
            end_piece(g, from);
            *stop = i + 1;
            return true;
        }
        size_t taken = c == '\\' ? escape(g, span_sub(source, i + 1, limit - i - 1)) : 0;
        if (taken > 0) {
            i += 1 + taken;
        } else if (c == '\\' && i + 1 < limit && end == 0) {
            buf_append(&g->piece, source.ptr + i, 2); /* any other backslash stays */
            i += 2;
        } else if (g->interpolate && c == '$' && i + 1 < limit && source.ptr[i + 1] == '{') {
            end_piece(g, i);
            p->lexer.at = i + 2;
            struct pl_node *n = interpolation(g, i);
            if (n == NULL) {
                return false;
            }
            pl_node_add(p->tree, g->parts, n);
            i = p->token.at + 1;
        } else if (g->interpolate && c == '$' && pl_variable_end(source, i + 1, &name_end) && name_end <= limit) {
            end_piece(g, i);
            pl_node_add(p->tree, g->parts, variable(g, span_sub(source, i + 1, name_end - i - 1), i + 1));
            i = name_end;
        } else {
            buf_append_char(&g->piece, c);
            i++;
        }
    }
    *stop = i;
    return end != 0 || pl_fail(p->err, "puppetlang/unclosed", source, from - 1, "a string is not closed");
}

/* A text without expressions is a plain string. */
static struct pl_node *result(struct gathering *g, size_t at, size_t end) {
    struct pl_node *n = g->parts;
    if (n->count == 0) {
        n = pl_node_new(g->p->tree, PL_STRING, at);
        pl_node_text(g->p->tree, n, SPAN(""));
    } else if (n->count == 1 && n->children[0]->kind == PL_STRING) {
        n = n->children[0];
    }
    n->at = at;
    n->end = end;
    return n;
}

struct pl_node *pl_parse_double_quoted(struct pl_parser *p) {
    size_t start = p->token.at, stop;
    struct gathering g = {
        .p = p, .parts = pl_node_new(p->tree, PL_CONCAT, start), .escapes = "nrtsu$\"'\\L", .interpolate = true};
    bool good = pl_enter(p);
    if (good) {
        good = gather(&g, start + 1, 0, &stop);
        pl_leave(p);
    }
    buf_free(&g.piece);
    if (!good) {
        return NULL;
    }
    p->lexer.at = stop;
    p->lexer.operand_before = true;
    p->token.at = stop; /* the string ends here */
    p->token.text = SPAN("");
    return pl_advance(p) ? result(&g, start, stop) : NULL;
}

/* ---- heredoc */

struct heredoc {
    struct span tag;
    bool quoted;
    char escapes[16];
};

static bool heredoc_fail(struct pl_parser *p, const char *what) {
    return pl_fail(p->err, "puppetlang/heredoc", pl_tree_source(p->tree), p->token.at, "%s", what);
}

/* /flags of a heredoc; `flags` is what stands behind the slash. */
static bool read_flags(struct pl_parser *p, struct span flags, struct heredoc *h) {
    static const char all[] = "trnsuL$";
    size_t n = 0;
    h->escapes[n++] = '\\';
    if (flags.len == 0) {
        memcpy(h->escapes + n, all, sizeof all);
        return true;
    }
    for (size_t i = 0; i < flags.len; i++) {
        if (strchr(all, flags.ptr[i]) == NULL || flags.ptr[i] == '\0' || strchr(h->escapes, flags.ptr[i]) != NULL) {
            return heredoc_fail(p, "the escapes of a heredoc are letters of trnsuL$, each once");
        }
        h->escapes[n++] = flags.ptr[i];
        h->escapes[n] = '\0';
    }
    return true;
}

/* "TAG":syntax/flags between the parentheses. */
static bool read_spec(struct pl_parser *p, struct heredoc *h) {
    struct span spec = span_sub(p->token.text, 2, p->token.text.len - 3);
    ptrdiff_t slash = span_find(spec, '/');
    *h = (struct heredoc){0};
    if (slash >= 0) {
        if (!read_flags(p, span_trim(span_sub(spec, (size_t)slash + 1, spec.len)), h)) {
            return false;
        }
        spec.len = (size_t)slash;
    }
    ptrdiff_t colon = span_find(spec, ':');
    if (colon >= 0) {
        spec.len = (size_t)colon;
    }
    spec = span_trim(spec);
    if (spec.len >= 2 && spec.ptr[0] == '"' && spec.ptr[spec.len - 1] == '"') {
        h->quoted = true;
        spec = span_trim(span_sub(spec, 1, spec.len - 2));
    }
    h->tag = spec;
    return spec.len > 0 || heredoc_fail(p, "a heredoc needs a tag");
}

/* Is this line the end of the heredoc? Tells the margin (the blanks before "|", or -1) and whether "-" is there. */
static bool is_end_line(struct span line, struct span tag, ptrdiff_t *margin, bool *dash) {
    size_t i = 0;
    *margin = -1;
    *dash = false;
    while (i < line.len && (line.ptr[i] == ' ' || line.ptr[i] == '\t')) {
        i++;
    }
    if (i < line.len && line.ptr[i] == '|') {
        *margin = (ptrdiff_t)i;
        i++;
        while (i < line.len && (line.ptr[i] == ' ' || line.ptr[i] == '\t')) {
            i++;
        }
    }
    if (i < line.len && line.ptr[i] == '-') {
        *dash = true;
        i++;
        while (i < line.len && (line.ptr[i] == ' ' || line.ptr[i] == '\t')) {
            i++;
        }
    }
    struct span rest = span_trim(span_sub(line, i, line.len - i));
    return span_eq(rest, tag);
}

/* Where the text of this heredoc begins: behind this line, or behind the text of an earlier one on it. */
static size_t text_start(const struct pl_parser *p) {
    struct span source = pl_tree_source(p->tree);
    if (p->lexer.heredoc_next != 0) {
        return p->lexer.heredoc_next;
    }
    size_t i = p->lexer.at;
    while (i < source.len && source.ptr[i] != '\n') {
        i++;
    }
    return i < source.len ? i + 1 : i;
}

struct extent {
    size_t from, to; /* the text */
    size_t next;     /* behind the end line */
    ptrdiff_t margin;
    struct span indent;
    bool dash;
};

static bool find_extent(struct pl_parser *p, const struct heredoc *h, struct extent *e) {
    struct span source = pl_tree_source(p->tree);
    e->from = text_start(p);
    for (size_t i = e->from; i < source.len;) {
        struct span rest = span_sub(source, i, source.len - i);
        ptrdiff_t line_break = span_find(rest, '\n');
        size_t len = line_break >= 0 ? (size_t)line_break : rest.len;
        if (is_end_line(span_sub(rest, 0, len), h->tag, &e->margin, &e->dash)) {
            e->to = i;
            e->next = i + len + (line_break >= 0);
            e->indent = span_sub(rest, 0, e->margin > 0 ? (size_t)e->margin : 0);
            return true;
        }
        i += len + 1;
    }
    return heredoc_fail(p, "the end of a heredoc is missing");
}

/* The text with its margin and its last line break cut as the end line says. Offsets no longer match the file then, so
 * it is put together line by line. */
static bool gather_lines(struct gathering *g, const struct extent *e) {
    struct span source = pl_tree_source(g->p->tree);
    size_t to = e->to, i = e->from, stop;
    if (e->dash && to > e->from) {
        to -= to - 1 > e->from && source.ptr[to - 2] == '\r' ? 2 : 1;
    }
    while (i < to) {
        struct span rest = span_sub(source, i, to - i);
        ptrdiff_t line_break = span_find(rest, '\n');
        size_t end = line_break >= 0 ? i + (size_t)line_break + 1 : to;
        struct span line = span_sub(source, i, end - i);
        if (e->indent.len > 0 && line.len >= e->indent.len && memcmp(line.ptr, e->indent.ptr, e->indent.len) == 0) {
            i += e->indent.len;
        }
        stop = end;
        if (i < end && !gather(g, i, end, &stop)) {
            return false;
        }
        i = stop > end ? stop : end; /* an expression may go over several lines */
    }
    end_piece(g, e->from);
    return true;
}

struct pl_node *pl_parse_heredoc(struct pl_parser *p) {
    struct heredoc h;
    struct extent e = {0};
    size_t start = p->token.at, resume = p->lexer.at;
    if (!read_spec(p, &h) || !find_extent(p, &h, &e)) {
        return NULL;
    }
    struct gathering g = {
        .p = p, .parts = pl_node_new(p->tree, PL_CONCAT, start), .escapes = h.escapes, .interpolate = h.quoted};
    p->lexer.heredoc_next = 0; /* line breaks inside expressions of the text are ordinary ones */
    bool good = gather_lines(&g, &e);
    buf_free(&g.piece);
    if (!good) {
        return NULL;
    }
    p->lexer.at = resume;
    p->lexer.heredoc_next = e.next;
    p->lexer.operand_before = true;
    p->token.at = resume;
    p->token.text = SPAN("");
    return pl_advance(p) ? result(&g, start, resume) : NULL;
}
