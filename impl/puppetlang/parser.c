/* The parser's ground: tokens, errors, nesting. */
#include "puppetlang/parser.h"
#include <string.h>

bool pl_advance(struct pl_parser *p) {
    p->last_end = p->token.at + p->token.text.len;
    return pl_lexer_next(&p->lexer, &p->token, p->err);
}

bool pl_syntax(struct pl_parser *p, const char *expected) {
    struct span found = p->token.text;
    if (p->token.kind == PL_TOKEN_END) {
        return pl_fail(p->err, "puppetlang/syntax", pl_tree_source(p->tree), p->token.at,
                       "expected %s, found the end of the input", expected);
    }
    return pl_fail(p->err, "puppetlang/syntax", pl_tree_source(p->tree), p->token.at, "expected %s, found '%.*s'",
                   expected, (int)(found.len < 60 ? found.len : 60), found.ptr);
}

bool pl_is(const struct pl_parser *p, enum pl_punct punct) {
    return p->token.kind == PL_TOKEN_PUNCT && p->token.which == (int)punct;
}

bool pl_is_keyword(const struct pl_parser *p, enum pl_keyword keyword) {
    return p->token.kind == PL_TOKEN_KEYWORD && p->token.which == (int)keyword;
}

bool pl_accept(struct pl_parser *p, enum pl_punct punct, bool *taken) {
    *taken = pl_is(p, punct);
    return !*taken || pl_advance(p);
}

bool pl_expect(struct pl_parser *p, enum pl_punct punct) {
    if (!pl_is(p, punct)) {
        char quoted[8];
        snprintf(quoted, sizeof quoted, "'%s'", pl_punct_text(punct));
        return pl_syntax(p, quoted);
    }
    return pl_advance(p);
}

bool pl_expect_keyword(struct pl_parser *p, enum pl_keyword keyword) {
    return pl_is_keyword(p, keyword) ? pl_advance(p) : pl_syntax(p, pl_keyword_text(keyword));
}

bool pl_peek(struct pl_parser *p, struct pl_token *next) {
    struct pl_lexer ahead = p->lexer;
    return pl_lexer_next(&ahead, next, p->err);
}

bool pl_enter(struct pl_parser *p) {
    if (p->depth >= PL_DEPTH_MAX) {
        return pl_fail(p->err, "puppetlang/depth", pl_tree_source(p->tree), p->token.at, "nested deeper than %d",
                       PL_DEPTH_MAX);
    }
    p->depth++;
    return true;
}

void pl_leave(struct pl_parser *p) {
    p->depth--;
}

struct pl_tree *pl_parse(struct span source, enum pl_dialect dialect, struct error *err) {
    struct error own = ERROR_INIT;
    struct pl_parser p = {.tree = pl_tree_new(source), .err = err != NULL ? err : &own};
    pl_lexer_init(&p.lexer, pl_tree_source(p.tree), dialect);
    struct pl_tree *tree = p.tree;
    if (!span_is_utf8(source)) {
        pl_fail(p.err, "puppetlang/syntax", source, 0, "the file is not UTF-8");
    } else if (pl_lexer_next(&p.lexer, &p.token, p.err)) {
        tree->root = pl_parse_statements(&p, false);
    }
    error_clear(&own);
    if (tree->root == NULL) {
        pl_tree_free(tree);
        return NULL;
    }
    return tree;
}
