/* The tree of a Puppet-language file or expression. Everything belongs to the tree and is freed with it.
 *
 * A node has a kind, a place in the source, perhaps a text, a number or an operator, and children whose roles depend on
 * the kind (below; "?" may be NULL). Lists of things are nodes of kind PL_BLOCK or PL_LIST. */
#ifndef DALANG_PUPPETLANG_AST_H
#define DALANG_PUPPETLANG_AST_H

#include "puppetlang/lexer.h"

enum pl_kind {
    /* values */
    PL_UNDEF,
    PL_DEFAULT,
    PL_BOOLEAN,  /* integer 0 or 1 */
    PL_INTEGER,  /* integer */
    PL_FLOAT,    /* real */
    PL_STRING,   /* text (may hold NUL: text_len); also bare words other than names */
    PL_CONCAT,   /* children: parts, PL_STRING or expressions */
    PL_REGEX,    /* text without slashes */
    PL_VARIABLE, /* text without "$" */
    PL_NAME,     /* text: a bare word that may name something */
    PL_TYPENAME, /* text: A::B */
    PL_LIST,     /* children: elements, PL_SPLAT or PL_PAIR among them */
    PL_MAP,      /* children: PL_PAIR */
    PL_PAIR,     /* key, value */
    /* operations */
    PL_ACCESS,   /* receiver, PL_LIST of arguments */
    PL_CALL,     /* function (PL_NAME, PL_TYPENAME or any), PL_LIST of arguments, PL_LAMBDA? */
    PL_METHOD,   /* receiver, PL_NAME, PL_LIST of arguments, PL_LAMBDA? */
    PL_LAMBDA,   /* PL_LIST of PL_PARAM, PL_BLOCK, return type? */
    PL_UNARY,    /* op: PL_P_NOT or PL_P_MINUS; operand */
    PL_SPLAT,    /* operand */
    PL_BINARY,   /* op: enum pl_punct, or PL_PUNCT_COUNT + enum pl_keyword for and, or, in; left, right */
    PL_ASSIGN,   /* op: PL_P_ASSIGN, PL_P_PLUS_ASSIGN, PL_P_MINUS_ASSIGN; left, right */
    PL_SELECTOR, /* operand, PL_LIST of PL_PAIR */
    /* control */
    PL_IF,     /* condition, then-block, else (PL_BLOCK, PL_IF or NULL) */
    PL_UNLESS, /* condition, block, else-block? */
    PL_CASE,   /* operand, then PL_OPTION… */
    PL_OPTION, /* PL_LIST of values, block */
    PL_BLOCK,  /* children: statements */
    PL_APPLY,  /* PL_LIST of arguments, PL_BLOCK; text: the source of the block without its braces */
    /* catalog */
    PL_RESOURCE,  /* type (PL_NAME, PL_TYPENAME or expression), then PL_BODY…; integer: 0, 1 virtual, 2 exported */
    PL_BODY,      /* title, then PL_ATTRIBUTE… */
    PL_ATTRIBUTE, /* text: name, "*" for a splat; op: PL_P_ARROW or PL_P_PLUS_ARROW; value */
    PL_RESOURCE_DEFAULTS, /* type, then PL_ATTRIBUTE… */
    PL_RESOURCE_OVERRIDE, /* reference, then PL_ATTRIBUTE… */
    PL_COLLECTOR,         /* type, query?, then PL_ATTRIBUTE…; integer: 1 exported */
    /* definitions */
    PL_CLASS,       /* text: name; PL_LIST of PL_PARAM, PL_BLOCK, parent PL_STRING? */
    PL_DEFINE,      /* text; PL_LIST of PL_PARAM, PL_BLOCK */
    PL_NODE,        /* PL_LIST of hosts (PL_STRING, PL_REGEX, PL_DEFAULT), PL_BLOCK, parent? */
    PL_PLAN,        /* text; PL_LIST of PL_PARAM, PL_BLOCK */
    PL_FUNCTION,    /* text; PL_LIST of PL_PARAM, PL_BLOCK, return type? */
    PL_TYPE_ALIAS,  /* text; type */
    PL_PARAM,       /* text: name; integer: 1 captures the rest; type?, default? */
    PL_APPLICATION, /* text; PL_LIST of PL_PARAM, PL_BLOCK */
    PL_SITE,        /* PL_BLOCK */
    PL_MAPPING,     /* op: PL_KW_PRODUCES or PL_KW_CONSUMES; component, PL_TYPENAME, then PL_ATTRIBUTE… */
};

struct pl_node {
    enum pl_kind kind;
    int op;
    size_t at, end; /* offsets in the source */
    const char *text;
    size_t text_len;
    int64_t integer;
    double real;
    struct pl_node **children;
    size_t count;
};

struct pl_tree;

enum { PL_DEPTH_MAX = 200 };

/* A whole file; the root is a PL_BLOCK. NULL after setting err as pl_lexer_next() does. The source is copied. */
struct pl_tree *pl_parse(struct span source, enum pl_dialect dialect, struct error *err);
void pl_tree_free(struct pl_tree *tree); /* NULL is fine */
const struct pl_node *pl_tree_root(const struct pl_tree *tree);
struct span pl_tree_source(const struct pl_tree *tree);
unsigned pl_line(const struct pl_tree *tree, const struct pl_node *node);
struct span pl_source(const struct pl_tree *tree, const struct pl_node *node); /* its text in the file */
/* The i-th child or NULL. */
const struct pl_node *pl_child(const struct pl_node *node, size_t i);

#endif
