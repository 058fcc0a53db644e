/* The parser's state and the parts its files share. */
#ifndef DALANG_PUPPETLANG_PARSER_H
#define DALANG_PUPPETLANG_PARSER_H

#include "puppetlang/tree.h"

struct pl_parser {
    struct pl_tree *tree;
    struct pl_lexer lexer;
    struct pl_token token; /* the current one, not yet taken */
    size_t last_end;       /* end of the last one taken */
    int depth;
    struct error *err;
};

/* Every function returns NULL (or false) after setting p->err. */
bool pl_advance(struct pl_parser *p);
bool pl_syntax(struct pl_parser *p,
               const char *expected); /* "expected X, found Y" at the current token; returns false */
bool pl_is(const struct pl_parser *p, enum pl_punct punct);
bool pl_is_keyword(const struct pl_parser *p, enum pl_keyword keyword);
bool pl_accept(struct pl_parser *p, enum pl_punct punct, bool *taken); /* false: lexer error */
bool pl_expect(struct pl_parser *p, enum pl_punct punct);
bool pl_expect_keyword(struct pl_parser *p, enum pl_keyword keyword);
/* The token after the current one. */
bool pl_peek(struct pl_parser *p, struct pl_token *next);
bool pl_enter(struct pl_parser *p); /* counts nesting; false: too deep */
void pl_leave(struct pl_parser *p);

/* expression.c */
struct pl_node *pl_parse_expression(struct pl_parser *p); /* without assignment */
struct pl_node *pl_parse_assignment(struct pl_parser *p);
struct pl_node *pl_parse_arguments(struct pl_parser *p,
                                   enum pl_punct close); /* PL_LIST; the current token follows `(` */
struct pl_node *pl_parse_postfix(struct pl_parser *p, struct pl_node *primary);
struct pl_node *pl_parse_type(struct pl_parser *p);

/* primary.c */
struct pl_node *pl_parse_primary(struct pl_parser *p);

/* text.c: strings; the current token is the opening one and is taken with all that belongs to it */
struct pl_node *pl_parse_single_quoted(struct pl_parser *p);
struct pl_node *pl_parse_double_quoted(struct pl_parser *p);
struct pl_node *pl_parse_heredoc(struct pl_parser *p);

/* statement.c */
struct pl_node *pl_parse_block(struct pl_parser *p); /* { … } */
struct pl_node *pl_parse_statements(struct pl_parser *p, bool in_braces);
struct pl_node *pl_parse_statement(struct pl_parser *p);
struct pl_node *pl_parse_lambda(struct pl_parser *p);
struct pl_node *pl_parse_params(struct pl_parser *p, enum pl_punct close);

/* definition.c: NULL without an error set: no definition begins here */
struct pl_node *pl_parse_definition(struct pl_parser *p);

/* resource.c */
struct pl_node *pl_parse_resource(struct pl_parser *p, struct pl_node *type, int form);
struct pl_node *pl_parse_virtual(struct pl_parser *p);
struct pl_node *pl_parse_collector(struct pl_parser *p, struct pl_node *type);
bool pl_parse_attributes(struct pl_parser *p, struct pl_node *to); /* up to "}" or ";", not taken */

#endif
