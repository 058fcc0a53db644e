/* Resources, their defaults and overrides, virtual and exported ones, collectors. */
#include "puppetlang/parser.h"

static bool attribute_name(const struct pl_parser *p) {
    return p->token.kind == PL_TOKEN_NAME || p->token.kind == PL_TOKEN_WORD || p->token.kind == PL_TOKEN_KEYWORD ||
           pl_is(p, PL_P_STAR);
}

static struct pl_node *parse_attribute(struct pl_parser *p) {
    struct pl_node *n = pl_node_new(p->tree, PL_ATTRIBUTE, p->token.at);
    if (!attribute_name(p)) {
        pl_syntax(p, "the name of an attribute");
        return NULL;
    }
    pl_node_text(p->tree, n, p->token.text);
    if (!pl_advance(p)) {
        return NULL;
    }
    n->op = p->token.which;
    if (!pl_is(p, PL_P_ARROW) && !pl_is(p, PL_P_PLUS_ARROW)) {
        pl_syntax(p, "'=>'");
        return NULL;
    }
    struct pl_node *value = pl_advance(p) ? pl_parse_expression(p) : NULL;
    if (value == NULL) {
        return NULL;
    }
    pl_node_add(p->tree, n, value);
    n->end = p->last_end;
    return n;
}

bool pl_parse_attributes(struct pl_parser *p, struct pl_node *to) {
    bool comma = true;
    while (comma && !pl_is(p, PL_P_RBRACE) && !pl_is(p, PL_P_SEMI)) {
        struct pl_node *attribute = parse_attribute(p);
        if (attribute == NULL || !pl_accept(p, PL_P_COMMA, &comma)) {
            return false;
        }
        pl_node_add(p->tree, to, attribute);
    }
    return true;
}

static struct pl_node *parse_body(struct pl_parser *p) {
    struct pl_node *body = pl_node_new(p->tree, PL_BODY, p->token.at);
    struct pl_node *title = pl_parse_expression(p);
    if (title == NULL || !pl_expect(p, PL_P_COLON)) {
        return NULL;
    }
    pl_node_add(p->tree, body, title);
    if (!pl_parse_attributes(p, body)) {
        return NULL;
    }
    body->end = p->last_end;
    return body;
}

/* Do attributes follow the "{" (and not a title)? An empty pair of braces counts. */
static bool attributes_follow(struct pl_parser *p, bool *follow) {
    struct pl_token next;
    *follow = pl_is(p, PL_P_RBRACE);
    if (*follow || !attribute_name(p)) {
        return true;
    }
    if (!pl_peek(p, &next)) {
        return false;
    }
    *follow = next.kind == PL_TOKEN_PUNCT && (next.which == PL_P_ARROW || next.which == PL_P_PLUS_ARROW);
    return true;
}

/* The "{" has been taken. */
static struct pl_node *parse_attribute_form(struct pl_parser *p, enum pl_kind kind, struct pl_node *type) {
    struct pl_node *n = pl_node_new(p->tree, kind, type->at);
    pl_node_add(p->tree, n, type);
    if (!pl_parse_attributes(p, n) || !pl_expect(p, PL_P_RBRACE)) {
        return NULL;
    }
    n->end = p->last_end;
    return n;
}

struct pl_node *pl_parse_resource(struct pl_parser *p, struct pl_node *type, int form) {
    bool attributes = false;
    if (!pl_expect(p, PL_P_LBRACE)) {
        return NULL;
    }
    if ((type->kind == PL_TYPENAME || type->kind == PL_ACCESS) && !attributes_follow(p, &attributes)) {
        return NULL;
    }
    if (attributes) {
        return parse_attribute_form(p, type->kind == PL_TYPENAME ? PL_RESOURCE_DEFAULTS : PL_RESOURCE_OVERRIDE, type);
    }
    struct pl_node *n = pl_node_new(p->tree, PL_RESOURCE, type->at);
    n->integer = form;
    pl_node_add(p->tree, n, type);
    bool more = true;
    while (more && !pl_is(p, PL_P_RBRACE)) {
        struct pl_node *body = parse_body(p);
        if (body == NULL || !pl_accept(p, PL_P_SEMI, &more)) {
            return NULL;
        }
        pl_node_add(p->tree, n, body);
    }
    if (!pl_expect(p, PL_P_RBRACE)) {
        return NULL;
    }
    n->end = p->last_end;
    return n;
}

struct pl_node *pl_parse_virtual(struct pl_parser *p) {
    int form = pl_is(p, PL_P_AT) ? 1 : 2;
    size_t at = p->token.at;
    struct pl_node *type = pl_advance(p) ? pl_parse_primary(p) : NULL;
    struct pl_node *n = type != NULL ? pl_parse_resource(p, type, form) : NULL;
    if (n != NULL) {
        n->at = at;
    }
    return n;
}

struct pl_node *pl_parse_collector(struct pl_parser *p, struct pl_node *type) {
    struct pl_node *n = pl_node_new(p->tree, PL_COLLECTOR, type->at);
    bool exported = pl_is(p, PL_P_LLCOLLECT);
    enum pl_punct close = exported ? PL_P_RRCOLLECT : PL_P_RCOLLECT;
    struct pl_node *query = NULL;
    n->integer = exported;
    if (!pl_advance(p) || (!pl_is(p, close) && (query = pl_parse_expression(p)) == NULL) || !pl_expect(p, close)) {
        return NULL;
    }
    pl_node_add(p->tree, n, type);
    pl_node_add(p->tree, n, query);
    if (pl_is(p, PL_P_LBRACE) && (!pl_advance(p) || !pl_parse_attributes(p, n) || !pl_expect(p, PL_P_RBRACE))) {
        return NULL;
    }
    n->end = p->last_end;
    return n;
}
