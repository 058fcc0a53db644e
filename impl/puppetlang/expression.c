/* Operators, calls and access (plans.md §3.5, §3.6). */
#include "puppetlang/parser.h"
#include <string.h>

/* Binary operators by level, loosest first; all are left-associative. The selector stands between. */
enum { LEVEL_SELECTOR = 2, LEVEL_COUNT = 9 };

struct operator_entry {
    int op; /* enum pl_punct, or PL_PUNCT_COUNT + enum pl_keyword */
    int level;
};

static const struct operator_entry operators[] = {
    {PL_PUNCT_COUNT + PL_KW_OR, 0},
    {PL_PUNCT_COUNT + PL_KW_AND, 1},
    {PL_P_LT, 3},
    {PL_P_LE, 3},
    {PL_P_GT, 3},
    {PL_P_GE, 3},
    {PL_P_EQ, 4},
    {PL_P_NE, 4},
    {PL_P_SHL, 5},
    {PL_P_SHR, 5},
    {PL_P_PLUS, 6},
    {PL_P_MINUS, 6},
    {PL_P_STAR, 7},
    {PL_P_SLASH, 7},
    {PL_P_PERCENT, 7},
    {PL_P_MATCH, 8},
    {PL_P_NOMATCH, 8},
    {PL_PUNCT_COUNT + PL_KW_IN, 9},
};

static int operator_here(const struct pl_parser *p, int level) {
    int op = p->token.kind == PL_TOKEN_PUNCT     ? p->token.which
             : p->token.kind == PL_TOKEN_KEYWORD ? PL_PUNCT_COUNT + p->token.which
                                                 : -1;
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        if (operators[i].op == op && operators[i].level == level) {
            return op;
        }
    }
    return -1;
}

static struct pl_node *parse_level(struct pl_parser *p, int level);

static struct pl_node *parse_unary(struct pl_parser *p);

/* An operand after a prefix operator. */
static struct pl_node *prefixed(struct pl_parser *p, enum pl_kind kind,
                                struct pl_node *(*operand)(struct pl_parser *)) {
    struct pl_node *n = pl_node_new(p->tree, kind, p->token.at);
    n->op = p->token.which;
    if (!pl_enter(p)) {
        return NULL;
    }
    struct pl_node *inner = pl_advance(p) ? operand(p) : NULL;
    pl_leave(p);
    if (inner == NULL) {
        return NULL;
    }
    pl_node_add(p->tree, n, inner);
    n->end = p->last_end;
    return n;
}

static struct pl_node *parse_operand(struct pl_parser *p) {
    struct pl_node *primary = pl_parse_primary(p);
    return primary != NULL ? pl_parse_postfix(p, primary) : NULL;
}

/* "-" binds looser than "!": -!x is odd but legal; "!" takes only an operand or another "!". */
static struct pl_node *parse_not(struct pl_parser *p) {
    return pl_is(p, PL_P_NOT) ? prefixed(p, PL_UNARY, parse_not) : parse_operand(p);
}

static struct pl_node *parse_unary(struct pl_parser *p) {
    if (pl_is(p, PL_P_MINUS)) {
        return prefixed(p, PL_UNARY, parse_unary);
    }
    return parse_not(p);
}

static struct pl_node *parse_choices(struct pl_parser *p, struct pl_node *list) {
    bool braces;
    if (!pl_accept(p, PL_P_LBRACE, &braces)) {
        return NULL;
    }
    while (!(braces && pl_is(p, PL_P_RBRACE))) {
        struct pl_node *pair = pl_node_new(p->tree, PL_PAIR, p->token.at);
        struct pl_node *key = pl_parse_expression(p);
        if (key == NULL || !pl_expect(p, PL_P_ARROW)) {
            return NULL;
        }
        struct pl_node *value = pl_parse_expression(p);
        if (value == NULL) {
            return NULL;
        }
        pl_node_add(p->tree, pair, key);
        pl_node_add(p->tree, pair, value);
        pair->end = p->last_end;
        pl_node_add(p->tree, list, pair);
        bool comma = false;
        if (!braces) {
            return list;
        }
        if (!pl_accept(p, PL_P_COMMA, &comma)) {
            return NULL;
        }
        if (!comma && !pl_is(p, PL_P_RBRACE)) {
            pl_syntax(p, "',' or '}'");
            return NULL;
        }
    }
    return pl_advance(p) ? list : NULL;
}

static struct pl_node *go_on(struct pl_parser *p, struct pl_node *left, int level);

static struct pl_node *parse_selectors(struct pl_parser *p, struct pl_node *left) {
    while (left != NULL && pl_is(p, PL_P_QMARK)) {
        struct pl_node *n = pl_node_new(p->tree, PL_SELECTOR, left->at);
        if (!pl_advance(p)) {
            return NULL;
        }
        struct pl_node *list = parse_choices(p, pl_node_new(p->tree, PL_LIST, p->token.at));
        if (list == NULL) {
            return NULL;
        }
        pl_node_add(p->tree, n, left);
        pl_node_add(p->tree, n, list);
        n->end = p->last_end;
        left = go_on(p, n, LEVEL_SELECTOR + 1); /* a whole selector may be an operand in turn: x ? {…} == y */
    }
    return left;
}

/* What follows an operand at this level. */
static struct pl_node *operations(struct pl_parser *p, struct pl_node *left, int level) {
    int op;
    if (level == LEVEL_SELECTOR) {
        return parse_selectors(p, left);
    }
    while (left != NULL && (op = operator_here(p, level)) >= 0) {
        struct pl_node *n = pl_node_new(p->tree, PL_BINARY, left->at);
        n->op = op;
        struct pl_node *right = pl_advance(p) ? parse_level(p, level + 1) : NULL;
        if (right == NULL) {
            return NULL;
        }
        pl_node_add(p->tree, n, left);
        pl_node_add(p->tree, n, right);
        n->end = p->last_end;
        left = n;
    }
    return left;
}

/* Goes on with an operand that is there already, from the tightest level to this one. */
static struct pl_node *go_on(struct pl_parser *p, struct pl_node *left, int level) {
    for (int l = LEVEL_COUNT; left != NULL && l >= level; l--) {
        left = operations(p, left, l);
    }
    return left;
}

static struct pl_node *parse_level(struct pl_parser *p, int level) {
    return go_on(p, parse_unary(p), level);
}

struct pl_node *pl_parse_expression(struct pl_parser *p) {
    if (!pl_enter(p)) {
        return NULL;
    }
    struct pl_node *n = parse_level(p, 0);
    pl_leave(p);
    return n;
}

static bool is_assignment(const struct pl_parser *p) {
    return pl_is(p, PL_P_ASSIGN) || pl_is(p, PL_P_PLUS_ASSIGN) || pl_is(p, PL_P_MINUS_ASSIGN);
}

struct pl_node *pl_parse_assignment(struct pl_parser *p) {
    struct pl_node *left = pl_parse_expression(p);
    if (left == NULL || !is_assignment(p)) {
        return left;
    }
    struct pl_node *n = pl_node_new(p->tree, PL_ASSIGN, left->at);
    n->op = p->token.which;
    if (!pl_enter(p)) {
        return NULL;
    }
    struct pl_node *right = pl_advance(p) ? pl_parse_assignment(p) : NULL;
    pl_leave(p);
    if (right == NULL) {
        return NULL;
    }
    pl_node_add(p->tree, n, left);
    pl_node_add(p->tree, n, right);
    n->end = p->last_end;
    return n;
}

static struct pl_node *parse_argument(struct pl_parser *p) {
    if (pl_is(p, PL_P_STAR)) {
        return prefixed(p, PL_SPLAT, pl_parse_expression);
    }
    struct pl_node *value = pl_parse_assignment(p);
    if (value == NULL || !pl_is(p, PL_P_ARROW)) {
        return value;
    }
    struct pl_node *pair = pl_node_new(p->tree, PL_PAIR, value->at);
    struct pl_node *second = pl_advance(p) ? pl_parse_assignment(p) : NULL;
    if (second == NULL) {
        return NULL;
    }
    pl_node_add(p->tree, pair, value);
    pl_node_add(p->tree, pair, second);
    pair->end = p->last_end;
    return pair;
}

struct pl_node *pl_parse_arguments(struct pl_parser *p, enum pl_punct close) {
    struct pl_node *list = pl_node_new(p->tree, PL_LIST, p->token.at);
    while (!pl_is(p, close)) {
        struct pl_node *argument = parse_argument(p);
        bool comma;
        if (argument == NULL) {
            return NULL;
        }
        pl_node_add(p->tree, list, argument);
        if (!pl_accept(p, PL_P_COMMA, &comma)) {
            return NULL;
        }
        if (!comma && !pl_is(p, close)) {
            char expected[16];
            snprintf(expected, sizeof expected, "',' or '%s'", pl_punct_text(close));
            pl_syntax(p, expected);
            return NULL;
        }
    }
    if (!pl_advance(p)) {
        return NULL;
    }
    list->end = p->last_end;
    return list;
}

/* Adds a lambda when one follows; false on error. */
static bool add_lambda(struct pl_parser *p, struct pl_node *call) {
    if (!pl_is(p, PL_P_PIPE)) {
        return true;
    }
    struct pl_node *lambda = pl_parse_lambda(p);
    pl_node_add(p->tree, call, lambda);
    return lambda != NULL;
}

static struct pl_node *parse_call(struct pl_parser *p, struct pl_node *function) {
    struct pl_node *n = pl_node_new(p->tree, PL_CALL, function->at);
    struct pl_node *arguments = pl_advance(p) ? pl_parse_arguments(p, PL_P_RPAREN) : NULL;
    if (arguments == NULL) {
        return NULL;
    }
    pl_node_add(p->tree, n, function);
    pl_node_add(p->tree, n, arguments);
    if (!add_lambda(p, n)) {
        return NULL;
    }
    n->end = p->last_end;
    return n;
}

static struct pl_node *parse_method(struct pl_parser *p, struct pl_node *receiver) {
    struct pl_node *n = pl_node_new(p->tree, PL_METHOD, receiver->at);
    if (!pl_advance(p)) {
        return NULL;
    }
    bool named = p->token.kind == PL_TOKEN_NAME || pl_is_keyword(p, PL_KW_TYPE);
    if (!named) {
        pl_syntax(p, "the name of a function");
        return NULL;
    }
    struct pl_node *name = pl_node_new(p->tree, PL_NAME, p->token.at);
    pl_node_text(p->tree, name, p->token.text);
    if (!pl_advance(p)) {
        return NULL;
    }
    name->end = p->last_end;
    struct pl_node *arguments = pl_node_new(p->tree, PL_LIST, p->last_end);
    if (pl_is(p, PL_P_LPAREN) && !p->token.newline_before) {
        arguments = pl_advance(p) ? pl_parse_arguments(p, PL_P_RPAREN) : NULL;
    }
    if (arguments == NULL) {
        return NULL;
    }
    pl_node_add(p->tree, n, receiver);
    pl_node_add(p->tree, n, name);
    pl_node_add(p->tree, n, arguments);
    if (!add_lambda(p, n)) {
        return NULL;
    }
    n->end = p->last_end;
    return n;
}

static struct pl_node *parse_access(struct pl_parser *p, struct pl_node *receiver) {
    struct pl_node *n = pl_node_new(p->tree, PL_ACCESS, receiver->at);
    struct pl_node *arguments = pl_advance(p) ? pl_parse_arguments(p, PL_P_RBRACK) : NULL;
    if (arguments == NULL) {
        return NULL;
    }
    if (arguments->count == 0) {
        pl_fail(p->err, "puppetlang/syntax", pl_tree_source(p->tree), n->at, "nothing between the brackets");
        return NULL;
    }
    pl_node_add(p->tree, n, receiver);
    pl_node_add(p->tree, n, arguments);
    n->end = p->last_end;
    return n;
}

static bool may_be_called(const struct pl_node *n) {
    return n->kind == PL_NAME || n->kind == PL_TYPENAME || n->kind == PL_ACCESS;
}

struct pl_node *pl_parse_postfix(struct pl_parser *p, struct pl_node *n) {
    while (n != NULL) {
        if (pl_is(p, PL_P_LBRACK) && !p->token.blank_before) {
            n = parse_access(p, n);
        } else if (pl_is(p, PL_P_LPAREN) && !p->token.newline_before && may_be_called(n)) {
            n = parse_call(p, n);
        } else if (pl_is(p, PL_P_DOT)) {
            n = parse_method(p, n);
        } else {
            break;
        }
    }
    return n;
}

struct pl_node *pl_parse_type(struct pl_parser *p) {
    if (p->token.kind != PL_TOKEN_TYPENAME) {
        pl_syntax(p, "a type");
        return NULL;
    }
    struct pl_node *n = pl_node_new(p->tree, PL_TYPENAME, p->token.at);
    pl_node_text(p->tree, n, p->token.text);
    if (!pl_advance(p)) {
        return NULL;
    }
    n->end = p->last_end;
    return pl_is(p, PL_P_LBRACK) && !p->token.blank_before ? parse_access(p, n) : n;
}
