/* Literals, lists, maps, conditionals: what an expression is made of. */
#include "puppetlang/parser.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A node of this kind with the current token's text; the token is taken. */
static struct pl_node *leaf(struct pl_parser *p, enum pl_kind kind, size_t skip, size_t cut) {
    struct pl_node *n = pl_node_new(p->tree, kind, p->token.at);
    struct span text = p->token.text;
    pl_node_text(p->tree, n, span_sub(text, skip, text.len - skip - cut));
    if (!pl_advance(p)) {
        return NULL;
    }
    n->end = p->last_end;
    return n;
}

static struct pl_node *parse_integer(struct pl_parser *p) {
    struct pl_node *n = leaf(p, PL_INTEGER, 0, 0);
    if (n == NULL) {
        return NULL;
    }
    int base = n->text[0] != '0' || n->text_len == 1 ? 10 : n->text[1] == 'x' || n->text[1] == 'X' ? 16 : 8;
    errno = 0;
    n->integer = strtoll(n->text, NULL, base);
    if (errno != 0) {
        pl_fail(p->err, "puppetlang/int-range", pl_tree_source(p->tree), n->at, "%s does not fit into 64 bits",
                n->text);
        return NULL;
    }
    return n;
}

static struct pl_node *parse_float(struct pl_parser *p) {
    struct pl_node *n = leaf(p, PL_FLOAT, 0, 0);
    if (n != NULL) {
        n->real = strtod(n->text, NULL);
    }
    return n;
}

static struct pl_node *parse_list(struct pl_parser *p) {
    size_t start = p->token.at;
    struct pl_node *list = pl_advance(p) ? pl_parse_arguments(p, PL_P_RBRACK) : NULL;
    if (list != NULL) {
        list->at = start;
    }
    return list;
}

static struct pl_node *parse_pair(struct pl_parser *p) {
    struct pl_node *pair = pl_node_new(p->tree, PL_PAIR, p->token.at);
    struct pl_node *key = pl_parse_assignment(p);
    if (key == NULL || !pl_expect(p, PL_P_ARROW)) {
        return NULL;
    }
    struct pl_node *value = pl_parse_assignment(p);
    if (value == NULL) {
        return NULL;
    }
    pl_node_add(p->tree, pair, key);
    pl_node_add(p->tree, pair, value);
    pair->end = p->last_end;
    return pair;
}

static struct pl_node *parse_map(struct pl_parser *p) {
    struct pl_node *map = pl_node_new(p->tree, PL_MAP, p->token.at);
    if (!pl_advance(p)) {
        return NULL;
    }
    while (!pl_is(p, PL_P_RBRACE)) {
        struct pl_node *pair = parse_pair(p);
        bool comma;
        if (pair == NULL || !pl_accept(p, PL_P_COMMA, &comma)) {
            return NULL;
        }
        pl_node_add(p->tree, map, pair);
        if (!comma && !pl_is(p, PL_P_RBRACE)) {
            pl_syntax(p, "',' or '}'");
            return NULL;
        }
    }
    if (!pl_advance(p)) {
        return NULL;
    }
    map->end = p->last_end;
    return map;
}

static struct pl_node *parse_group(struct pl_parser *p) {
    struct pl_node *inner = pl_advance(p) ? pl_parse_assignment(p) : NULL;
    return inner != NULL && pl_expect(p, PL_P_RPAREN) ? inner : NULL;
}

/* The current token is "if" or "elsif". */
static struct pl_node *parse_if(struct pl_parser *p) {
    struct pl_node *n = pl_node_new(p->tree, PL_IF, p->token.at);
    if (!pl_enter(p)) {
        return NULL;
    }
    struct pl_node *condition = pl_advance(p) ? pl_parse_expression(p) : NULL;
    struct pl_node *block = condition != NULL ? pl_parse_block(p) : NULL;
    struct pl_node *otherwise = NULL;
    bool good = block != NULL;
    if (good && pl_is_keyword(p, PL_KW_ELSIF)) {
        otherwise = parse_if(p);
        good = otherwise != NULL;
    } else if (good && pl_is_keyword(p, PL_KW_ELSE)) {
        otherwise = pl_advance(p) ? pl_parse_block(p) : NULL;
        good = otherwise != NULL;
    }
    pl_leave(p);
    if (!good) {
        return NULL;
    }
    pl_node_add(p->tree, n, condition);
    pl_node_add(p->tree, n, block);
    pl_node_add(p->tree, n, otherwise);
    n->end = p->last_end;
    return n;
}

static struct pl_node *parse_unless(struct pl_parser *p) {
    struct pl_node *n = pl_node_new(p->tree, PL_UNLESS, p->token.at);
    struct pl_node *condition = pl_advance(p) ? pl_parse_expression(p) : NULL;
    struct pl_node *block = condition != NULL ? pl_parse_block(p) : NULL;
    struct pl_node *otherwise = NULL;
    if (block == NULL) {
        return NULL;
    }
    if (pl_is_keyword(p, PL_KW_ELSE)) {
        otherwise = pl_advance(p) ? pl_parse_block(p) : NULL;
        if (otherwise == NULL) {
            return NULL;
        }
    }
    pl_node_add(p->tree, n, condition);
    pl_node_add(p->tree, n, block);
    pl_node_add(p->tree, n, otherwise);
    n->end = p->last_end;
    return n;
}

static struct pl_node *parse_option(struct pl_parser *p) {
    struct pl_node *option = pl_node_new(p->tree, PL_OPTION, p->token.at);
    struct pl_node *values = pl_parse_arguments(p, PL_P_COLON);
    struct pl_node *block = values != NULL ? pl_parse_block(p) : NULL;
    if (block == NULL) {
        return NULL;
    }
    if (values->count == 0) {
        pl_fail(p->err, "puppetlang/syntax", pl_tree_source(p->tree), option->at, "a case option without a value");
        return NULL;
    }
    pl_node_add(p->tree, option, values);
    pl_node_add(p->tree, option, block);
    option->end = p->last_end;
    return option;
}

static struct pl_node *parse_case(struct pl_parser *p) {
    struct pl_node *n = pl_node_new(p->tree, PL_CASE, p->token.at);
    struct pl_node *operand = pl_advance(p) ? pl_parse_expression(p) : NULL;
    if (operand == NULL || !pl_expect(p, PL_P_LBRACE)) {
        return NULL;
    }
    pl_node_add(p->tree, n, operand);
    while (!pl_is(p, PL_P_RBRACE)) {
        struct pl_node *option = parse_option(p);
        if (option == NULL) {
            return NULL;
        }
        pl_node_add(p->tree, n, option);
    }
    if (!pl_advance(p)) {
        return NULL;
    }
    n->end = p->last_end;
    return n;
}

static struct pl_node *parse_apply(struct pl_parser *p) {
    struct pl_node *n = pl_node_new(p->tree, PL_APPLY, p->token.at);
    if (!pl_advance(p) || !pl_expect(p, PL_P_LPAREN)) {
        return NULL;
    }
    struct pl_node *arguments = pl_parse_arguments(p, PL_P_RPAREN);
    if (arguments == NULL) {
        return NULL;
    }
    size_t start = p->token.at + 1;
    struct pl_node *block = pl_parse_block(p);
    if (block == NULL) {
        return NULL;
    }
    pl_node_text(p->tree, n, span_sub(pl_tree_source(p->tree), start, p->last_end - 1 - start));
    pl_node_add(p->tree, n, arguments);
    pl_node_add(p->tree, n, block);
    n->end = p->last_end;
    return n;
}

static struct pl_node *parse_keyword(struct pl_parser *p) {
    struct pl_node *n;
    switch (p->token.which) {
    case PL_KW_TRUE:
    case PL_KW_FALSE:
        n = pl_node_new(p->tree, PL_BOOLEAN, p->token.at);
        n->integer = p->token.which == PL_KW_TRUE;
        n->end = p->token.at + p->token.text.len;
        return pl_advance(p) ? n : NULL;
    case PL_KW_UNDEF:
        return leaf(p, PL_UNDEF, 0, 0);
    case PL_KW_DEFAULT:
        return leaf(p, PL_DEFAULT, 0, 0);
    case PL_KW_IF:
        return parse_if(p);
    case PL_KW_UNLESS:
        return parse_unless(p);
    case PL_KW_CASE:
        return parse_case(p);
    case PL_KW_APPLY:
        return parse_apply(p);
    case PL_KW_TYPE: /* words where no definition begins */
    case PL_KW_FUNCTION:
    case PL_KW_CLASS: /* class { 'x': } and Class-like words are left to the statements */
        return leaf(p, PL_NAME, 0, 0);
    case PL_KW_ATTR:
    case PL_KW_PRIVATE:
        pl_fail(p->err, "puppetlang/reserved-word", pl_tree_source(p->tree), p->token.at, "'%s' is a reserved word",
                pl_keyword_text((enum pl_keyword)p->token.which));
        return NULL;
    default:
        pl_syntax(p, "an expression");
        return NULL;
    }
}

static struct pl_node *parse_here(struct pl_parser *p) {
    switch (p->token.kind) {
    case PL_TOKEN_NAME:
        return leaf(p, PL_NAME, 0, 0);
    case PL_TOKEN_WORD:
        return leaf(p, PL_STRING, 0, 0);
    case PL_TOKEN_TYPENAME:
        return leaf(p, PL_TYPENAME, 0, 0);
    case PL_TOKEN_VARIABLE:
        return leaf(p, PL_VARIABLE, 1, 0);
    case PL_TOKEN_INTEGER:
        return parse_integer(p);
    case PL_TOKEN_FLOAT:
        return parse_float(p);
    case PL_TOKEN_STRING:
        return pl_parse_single_quoted(p);
    case PL_TOKEN_DQ:
        return pl_parse_double_quoted(p);
    case PL_TOKEN_HEREDOC:
        return pl_parse_heredoc(p);
    case PL_TOKEN_REGEX:
        return leaf(p, PL_REGEX, 1, 1);
    case PL_TOKEN_KEYWORD:
        return parse_keyword(p);
    case PL_TOKEN_PUNCT:
        if (pl_is(p, PL_P_LBRACK)) {
            return parse_list(p);
        }
        if (pl_is(p, PL_P_LBRACE)) {
            return parse_map(p);
        }
        if (pl_is(p, PL_P_LPAREN)) {
            return parse_group(p);
        }
        break;
    case PL_TOKEN_END:
        break;
    }
    pl_syntax(p, "an expression");
    return NULL;
}

struct pl_node *pl_parse_primary(struct pl_parser *p) {
    if (!pl_enter(p)) {
        return NULL;
    }
    struct pl_node *n = parse_here(p);
    pl_leave(p);
    return n;
}
