/* Tokens of the Puppet language (plans.md §3.2-3.4). Pure; a lexer is a small value that may be copied to look ahead.
 *
 * Strings with interpolation and heredocs are not tokens as a whole: PL_TOKEN_DQ and PL_TOKEN_HEREDOC stand for their
 * beginning, and the parser reads what is inside (text.h), because an interpolated expression may hold anything. */
#ifndef DALANG_PUPPETLANG_LEXER_H
#define DALANG_PUPPETLANG_LEXER_H

#include "base/bytes.h"
#include "base/error.h"

enum pl_token_kind {
    PL_TOKEN_END,
    PL_TOKEN_NAME,     /* bare word that may name a function or type: a::b */
    PL_TOKEN_WORD,     /* bare word with dashes, or beginning with "_" */
    PL_TOKEN_TYPENAME, /* A::B */
    PL_TOKEN_VARIABLE, /* text with the "$" */
    PL_TOKEN_INTEGER,
    PL_TOKEN_FLOAT,
    PL_TOKEN_STRING,  /* '…', text with the quotes */
    PL_TOKEN_DQ,      /* the opening quote of "…" */
    PL_TOKEN_HEREDOC, /* @(…), text is all of that */
    PL_TOKEN_REGEX,   /* /…/ with the slashes */
    PL_TOKEN_KEYWORD, /* see enum pl_keyword */
    PL_TOKEN_PUNCT,   /* see enum pl_punct */
};

/* clang-format off */
enum pl_keyword {
    PL_KW_AND, PL_KW_ATTR, PL_KW_CASE, PL_KW_CLASS, PL_KW_DEFAULT, PL_KW_DEFINE, PL_KW_ELSE, PL_KW_ELSIF, PL_KW_FALSE,
    PL_KW_FUNCTION, PL_KW_IF, PL_KW_IN, PL_KW_INHERITS, PL_KW_NODE, PL_KW_OR, PL_KW_PRIVATE, PL_KW_TRUE, PL_KW_TYPE,
    PL_KW_UNDEF, PL_KW_UNLESS,
    /* only in plans */
    PL_KW_PLAN, PL_KW_APPLY,
    /* only with application management (Puppet 4.3 to 6) */
    PL_KW_APPLICATION, PL_KW_CONSUMES, PL_KW_PRODUCES, PL_KW_SITE,
    PL_KEYWORD_COUNT,
};
/* clang-format on */

/* clang-format off */
enum pl_punct {
    PL_P_LBRACE, PL_P_RBRACE, PL_P_LPAREN, PL_P_RPAREN, PL_P_LBRACK, PL_P_RBRACK,
    PL_P_COMMA, PL_P_SEMI, PL_P_COLON, PL_P_DOT, PL_P_QMARK, PL_P_PIPE,
    PL_P_ARROW,        /* => */
    PL_P_PLUS_ARROW,   /* +> */
    PL_P_ASSIGN, PL_P_PLUS_ASSIGN, PL_P_MINUS_ASSIGN,
    PL_P_EQ, PL_P_NE, PL_P_LT, PL_P_LE, PL_P_GT, PL_P_GE, PL_P_MATCH, PL_P_NOMATCH,
    PL_P_PLUS, PL_P_MINUS, PL_P_STAR, PL_P_SLASH, PL_P_PERCENT, PL_P_SHL, PL_P_SHR, PL_P_NOT,
    PL_P_AT, PL_P_ATAT,
    PL_P_EDGE, PL_P_NOTIFY, PL_P_EDGE_BACK, PL_P_NOTIFY_BACK, /* -> ~> <- <~ */
    PL_P_LCOLLECT, PL_P_RCOLLECT, PL_P_LLCOLLECT, PL_P_RRCOLLECT, /* <| |> <<| |>> */
    PL_PUNCT_COUNT,
};
/* clang-format on */

enum pl_dialect {
    PL_DIALECT_MANIFEST, /* Puppet 7 manifests */
    PL_DIALECT_PLAN,     /* plans: also plan, apply */
    PL_DIALECT_APP,      /* manifests with application management */
};

struct pl_token {
    enum pl_token_kind kind;
    int which;         /* enum pl_keyword or pl_punct */
    struct span text;  /* in the source */
    size_t at;         /* offset in the source */
    bool blank_before; /* white space or comment, or the start of the source */
    bool newline_before;
};

struct pl_lexer {
    struct span source;
    enum pl_dialect dialect;
    size_t at;
    bool operand_before; /* the token before can end an operand: "/" divides */
    size_t heredoc_next; /* where the line after this one really goes on; 0: no heredoc on this line */
};

void pl_lexer_init(struct pl_lexer *l, struct span source, enum pl_dialect dialect);
/* False after setting err: kind "puppetlang/<code of plans.md §3.14>", details {line, column}. */
bool pl_lexer_next(struct pl_lexer *l, struct pl_token *token, struct error *err);
/* Line and column (code points), both from 1, of an offset. */
void pl_position(struct span source, size_t at, unsigned *line, unsigned *column);
/* Sets err as above; returns false. kind is a literal "puppetlang/…". */
bool pl_fail(struct error *err, const char *kind, struct span source, size_t at, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* The end of a variable's name (without "$") that begins at `from`; false when none does. */
bool pl_variable_end(struct span source, size_t from, size_t *end);
const char *pl_keyword_text(enum pl_keyword keyword);
const char *pl_punct_text(enum pl_punct punct);

#endif
