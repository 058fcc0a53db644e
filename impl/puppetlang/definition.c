/* Classes, defined types, nodes, plans, functions, type aliases, applications, sites. */
#include "puppetlang/parser.h"
#include <string.h>

/* Takes the name of what is defined. */
static bool take_name(struct pl_parser *p, struct pl_node *n, enum pl_token_kind kind, const char *expected) {
    if (p->token.kind != kind) {
        return pl_syntax(p, expected);
    }
    pl_node_text(p->tree, n, p->token.text);
    return pl_advance(p);
}

/* "(…)" when it is there, else an empty list; NULL on error. */
static struct pl_node *optional_params(struct pl_parser *p) {
    if (!pl_is(p, PL_P_LPAREN)) {
        return pl_node_new(p->tree, PL_LIST, p->last_end);
    }
    return pl_advance(p) ? pl_parse_params(p, PL_P_RPAREN) : NULL;
}

/* The keyword has been taken: NAME [(…)] { … }. */
static struct pl_node *named_block(struct pl_parser *p, enum pl_kind kind, size_t at) {
    struct pl_node *n = pl_node_new(p->tree, kind, at);
    struct pl_node *params = take_name(p, n, PL_TOKEN_NAME, "a name") ? optional_params(p) : NULL;
    if (params == NULL) {
        return NULL;
    }
    struct pl_node *parent = NULL, *type = NULL;
    bool typed = false;
    if (kind == PL_CLASS && pl_is_keyword(p, PL_KW_INHERITS)) {
        parent = pl_node_new(p->tree, PL_STRING, p->token.at);
        if (!pl_advance(p) || !take_name(p, parent, PL_TOKEN_NAME, "the name of a class")) {
            return NULL;
        }
    }
    if (kind == PL_FUNCTION && !pl_accept(p, PL_P_SHR, &typed)) {
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
    if (kind == PL_CLASS || kind == PL_FUNCTION) {
        pl_node_add(p->tree, n, kind == PL_CLASS ? parent : type);
    }
    n->end = p->last_end;
    return n;
}

/* A host name without quotes is names joined by dots. */
static struct pl_node *dotted_host(struct pl_parser *p) {
    struct pl_node *n = pl_node_new(p->tree, PL_STRING, p->token.at);
    bool dot = true;
    while (dot) {
        if (p->token.kind != PL_TOKEN_NAME && p->token.kind != PL_TOKEN_WORD && p->token.kind != PL_TOKEN_INTEGER &&
            p->token.kind != PL_TOKEN_KEYWORD) {
            pl_syntax(p, "the name of a node");
            return NULL;
        }
        if (!pl_advance(p) || !pl_accept(p, PL_P_DOT, &dot)) {
            return NULL;
        }
    }
    n->end = p->last_end;
    pl_node_text(p->tree, n, span_sub(pl_tree_source(p->tree), n->at, n->end - n->at));
    return n;
}

static struct pl_node *parse_host(struct pl_parser *p) {
    bool literal = p->token.kind == PL_TOKEN_STRING || p->token.kind == PL_TOKEN_DQ ||
                   p->token.kind == PL_TOKEN_REGEX || pl_is_keyword(p, PL_KW_DEFAULT);
    return literal ? pl_parse_primary(p) : dotted_host(p);
}

static struct pl_node *parse_node(struct pl_parser *p, size_t at) {
    struct pl_node *n = pl_node_new(p->tree, PL_NODE, at);
    struct pl_node *hosts = pl_node_new(p->tree, PL_LIST, p->token.at), *parent = NULL;
    bool more = true;
    while (more && !pl_is(p, PL_P_LBRACE)) {
        struct pl_node *host = parse_host(p);
        if (host == NULL || !pl_accept(p, PL_P_COMMA, &more)) {
            return NULL;
        }
        pl_node_add(p->tree, hosts, host);
    }
    if (pl_is_keyword(p, PL_KW_INHERITS)) {
        parent = pl_advance(p) ? parse_host(p) : NULL;
        if (parent == NULL) {
            return NULL;
        }
    }
    struct pl_node *block = pl_parse_block(p);
    if (block == NULL) {
        return NULL;
    }
    pl_node_add(p->tree, n, hosts);
    pl_node_add(p->tree, n, block);
    pl_node_add(p->tree, n, parent);
    n->end = p->last_end;
    return n;
}

static struct pl_node *parse_alias(struct pl_parser *p, size_t at) {
    struct pl_node *n = pl_node_new(p->tree, PL_TYPE_ALIAS, at);
    if (!take_name(p, n, PL_TOKEN_TYPENAME, "the name of a type") || !pl_expect(p, PL_P_ASSIGN)) {
        return NULL;
    }
    struct pl_node *type = pl_parse_type(p);
    if (type == NULL) {
        return NULL;
    }
    pl_node_add(p->tree, n, type);
    n->end = p->last_end;
    return n;
}

static struct pl_node *parse_site(struct pl_parser *p, size_t at) {
    struct pl_node *n = pl_node_new(p->tree, PL_SITE, at);
    struct pl_node *block = pl_parse_block(p);
    if (block == NULL) {
        return NULL;
    }
    pl_node_add(p->tree, n, block);
    n->end = p->last_end;
    return n;
}

/* Words that begin a definition only when the right thing follows. */
static bool begins_definition(struct pl_parser *p, bool *begins) {
    struct pl_token next;
    *begins = true;
    switch (p->token.which) {
    case PL_KW_CLASS:
    case PL_KW_FUNCTION:
    case PL_KW_PLAN:
        if (!pl_peek(p, &next)) {
            return false;
        }
        *begins = next.kind == PL_TOKEN_NAME;
        return true;
    case PL_KW_TYPE:
        if (!pl_peek(p, &next)) {
            return false;
        }
        *begins = next.kind == PL_TOKEN_TYPENAME;
        return true;
    case PL_KW_DEFINE:
    case PL_KW_NODE:
    case PL_KW_APPLICATION:
    case PL_KW_SITE:
        return true;
    default:
        *begins = false;
        return true;
    }
}

struct pl_node *pl_parse_definition(struct pl_parser *p) {
    bool begins;
    if (p->token.kind != PL_TOKEN_KEYWORD || !begins_definition(p, &begins) || !begins) {
        return NULL;
    }
    int keyword = p->token.which;
    size_t at = p->token.at;
    if (!pl_advance(p)) {
        return NULL;
    }
    switch (keyword) {
    case PL_KW_CLASS:
        return named_block(p, PL_CLASS, at);
    case PL_KW_DEFINE:
        return named_block(p, PL_DEFINE, at);
    case PL_KW_FUNCTION:
        return named_block(p, PL_FUNCTION, at);
    case PL_KW_PLAN:
        return named_block(p, PL_PLAN, at);
    case PL_KW_APPLICATION:
        return named_block(p, PL_APPLICATION, at);
    case PL_KW_NODE:
        return parse_node(p, at);
    case PL_KW_SITE:
        return parse_site(p, at);
    default:
        return parse_alias(p, at);
    }
}
