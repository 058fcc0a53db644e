/* Statements, blocks, lambdas, parameters (plans.md §3.5). */
#include "puppetlang/parser.h"
#include <string.h>

/* Functions that may be called without parentheses. */
static const char *const statement_calls[] = {"require", "realize", "include", "contain", "tag",
                                              "debug",   "info",    "notice",  "warning", "err",
                                              "fail",    "import",  "break",   "next",    "return"};

static bool is_statement_call(const struct pl_node *n) {
    for (size_t i = 0; n->kind == PL_NAME && i < sizeof statement_calls / sizeof statement_calls[0]; i++) {
        if (strcmp(statement_calls[i], n->text) == 0) {
            return true;
        }
    }
    return false;
}

static bool starts_expression(const struct pl_parser *p) {
    switch (p->token.kind) {
    case PL_TOKEN_END:
        return false;
    case PL_TOKEN_PUNCT:
        return pl_is(p, PL_P_LBRACK) || pl_is(p, PL_P_NOT) || (pl_is(p, PL_P_LPAREN) && p->token.newline_before);
    case PL_TOKEN_KEYWORD:
        switch (p->token.which) {
        case PL_KW_TRUE:
        case PL_KW_FALSE:
        case PL_KW_UNDEF:
        case PL_KW_DEFAULT:
        case PL_KW_IF:
        case PL_KW_UNLESS:
        case PL_KW_CASE:
            return true;
        default:
            return false;
        }
    default:
        return true;
    }
}

/* `notice "a", "b"`: the name has been taken. */
static struct pl_node *parse_statement_call(struct pl_parser *p, struct pl_node *name) {
    struct pl_node *call = pl_node_new(p->tree, PL_CALL, name->at);
    struct pl_node *arguments = pl_node_new(p->tree, PL_LIST, p->token.at);
    bool more = true;
    while (more) {
        struct pl_node *argument = pl_parse_assignment(p);
        if (argument == NULL || !pl_accept(p, PL_P_COMMA, &more)) {
            return NULL;
        }
        pl_node_add(p->tree, arguments, argument);
    }
    arguments->end = p->last_end;
    pl_node_add(p->tree, call, name);
    pl_node_add(p->tree, call, arguments);
    call->end = p->last_end;
    return call;
}

static struct pl_node *parse_mapping(struct pl_parser *p, struct pl_node *component) {
    struct pl_node *n = pl_node_new(p->tree, PL_MAPPING, component->at);
    n->op = p->token.which;
    if (!pl_advance(p)) {
        return NULL;
    }
    struct pl_node *capability = pl_parse_type(p);
    if (capability == NULL || !pl_expect(p, PL_P_LBRACE)) {
        return NULL;
    }
    pl_node_add(p->tree, n, component);
    pl_node_add(p->tree, n, capability);
    if (!pl_parse_attributes(p, n) || !pl_expect(p, PL_P_RBRACE)) {
        return NULL;
    }
    n->end = p->last_end;
    return n;
}

/* An expression, and what only a statement may go on with. */
static struct pl_node *parse_simple(struct pl_parser *p) {
    struct pl_node *definition = pl_parse_definition(p);
    if (definition != NULL || error_is_set(p->err)) {
        return definition;
    }
    if (pl_is_keyword(p, PL_KW_FUNCTION) || pl_is_keyword(p, PL_KW_TYPE)) {
        /* Words inside expressions; at the beginning of a statement only a call. */
        struct pl_token next;
        if (!pl_peek(p, &next)) {
            return NULL;
        }
        if (next.kind != PL_TOKEN_PUNCT || next.which != PL_P_LPAREN) {
            pl_syntax(p, "a definition");
            return NULL;
        }
    }
    if (pl_is(p, PL_P_AT) || pl_is(p, PL_P_ATAT)) {
        return pl_parse_virtual(p);
    }
    struct pl_node *n = pl_parse_assignment(p);
    if (n == NULL) {
        return NULL;
    }
    if (pl_is(p, PL_P_LBRACE)) {
        return pl_parse_resource(p, n, 0);
    }
    if (pl_is(p, PL_P_LCOLLECT) || pl_is(p, PL_P_LLCOLLECT)) {
        return pl_parse_collector(p, n);
    }
    if (pl_is_keyword(p, PL_KW_PRODUCES) || pl_is_keyword(p, PL_KW_CONSUMES)) {
        return parse_mapping(p, n);
    }
    return is_statement_call(n) && starts_expression(p) ? parse_statement_call(p, n) : n;
}

static bool is_relation(const struct pl_parser *p) {
    return pl_is(p, PL_P_EDGE) || pl_is(p, PL_P_NOTIFY) || pl_is(p, PL_P_EDGE_BACK) || pl_is(p, PL_P_NOTIFY_BACK);
}

struct pl_node *pl_parse_statement(struct pl_parser *p) {
    if (!pl_enter(p)) {
        return NULL;
    }
    struct pl_node *n = parse_simple(p);
    while (n != NULL && is_relation(p)) {
        struct pl_node *relation = pl_node_new(p->tree, PL_BINARY, n->at);
        relation->op = p->token.which;
        struct pl_node *right = pl_advance(p) ? parse_simple(p) : NULL;
        if (right == NULL) {
            n = NULL;
            break;
        }
        pl_node_add(p->tree, relation, n);
        pl_node_add(p->tree, relation, right);
        relation->end = p->last_end;
        n = relation;
    }
    pl_leave(p);
    return n;
}

struct pl_node *pl_parse_statements(struct pl_parser *p, bool in_braces) {
    struct pl_node *block = pl_node_new(p->tree, PL_BLOCK, p->token.at);
    for (;;) {
        bool semicolon;
        if (!pl_accept(p, PL_P_SEMI, &semicolon)) {
            return NULL;
        }
        if (semicolon) {
            continue;
        }
        if (in_braces ? pl_is(p, PL_P_RBRACE) : p->token.kind == PL_TOKEN_END) {
            break;
        }
        struct pl_node *statement = pl_parse_statement(p);
        if (statement == NULL) {
            return NULL;
        }
        pl_node_add(p->tree, block, statement);
    }
    block->end = p->last_end;
    return block;
}

struct pl_node *pl_parse_block(struct pl_parser *p) {
    size_t start = p->token.at;
    if (!pl_expect(p, PL_P_LBRACE)) {
        return NULL;
    }
    struct pl_node *block = pl_parse_statements(p, true);
    if (block == NULL || !pl_expect(p, PL_P_RBRACE)) {
        return NULL;
    }
    block->at = start;
    block->end = p->last_end;
    return block;
}

static struct pl_node *parse_param(struct pl_parser *p) {
    struct pl_node *n = pl_node_new(p->tree, PL_PARAM, p->token.at);
    struct pl_node *type = NULL, *value = NULL;
    bool assigned, rest;
    if (p->token.kind == PL_TOKEN_TYPENAME && (type = pl_parse_type(p)) == NULL) {
        return NULL;
    }
    if (!pl_accept(p, PL_P_STAR, &rest)) {
        return NULL;
    }
    n->integer = rest;
    if (p->token.kind != PL_TOKEN_VARIABLE) {
        pl_syntax(p, "a parameter");
        return NULL;
    }
    pl_node_text(p->tree, n, span_sub(p->token.text, 1, p->token.text.len));
    if (!pl_advance(p) || !pl_accept(p, PL_P_ASSIGN, &assigned)) {
        return NULL;
    }
    if (assigned && (value = pl_parse_expression(p)) == NULL) {
        return NULL;
    }
    pl_node_add(p->tree, n, type);
    pl_node_add(p->tree, n, value);
    n->end = p->last_end;
    return n;
}

struct pl_node *pl_parse_params(struct pl_parser *p, enum pl_punct close) {
    struct pl_node *list = pl_node_new(p->tree, PL_LIST, p->token.at);
    while (!pl_is(p, close)) {
        struct pl_node *param = parse_param(p);
        bool comma;
        if (param == NULL || !pl_accept(p, PL_P_COMMA, &comma)) {
            return NULL;
        }
        for (size_t i = 0; i < list->count; i++) {
            if (strcmp(list->children[i]->text, param->text) == 0) {
                pl_fail(p->err, "puppetlang/duplicate-param", pl_tree_source(p->tree), param->at,
                        "the parameter '%s' is declared twice", param->text);
                return NULL;
            }
        }
        pl_node_add(p->tree, list, param);
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

struct pl_node *pl_parse_lambda(struct pl_parser *p) {
    struct pl_node *n = pl_node_new(p->tree, PL_LAMBDA, p->token.at);
    struct pl_node *params = pl_advance(p) ? pl_parse_params(p, PL_P_PIPE) : NULL;
    struct pl_node *type = NULL;
    bool typed;
    if (params == NULL || !pl_accept(p, PL_P_SHR, &typed)) {
        return NULL;
    }
    if (typed && (type = pl_parse_type(p)) == NULL) {
        return NULL;
    }
    struct pl_node *block = pl_parse_block(p);
    if (block == NULL) {
        return NULL;
    }
    pl_node_add(p->tree, n, params);
    pl_node_add(p->tree, n, block);
    pl_node_add(p->tree, n, type);
    n->end = p->last_end;
    return n;
}
