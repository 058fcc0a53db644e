/* The terminals of PQL: where a token that starts at `at` ends, or PQL_NO when there is none.
 * Shared by the parser and by the search for what would have been accepted. */
#ifndef DALANG_PQL_LEX_H
#define DALANG_PQL_LEX_H

#include "base/bytes.h"

#define PQL_NO ((size_t)-1)

size_t pql_lex_blank(struct span text, size_t at);       /* \s+ */
size_t pql_lex_word(struct span text, size_t at);        /* [a-zA-Z0-9_]+\?? */
size_t pql_lex_quoted_part(struct span text, size_t at); /* \".*?\" before a dot or a blank */
size_t pql_lex_plain_part(struct span text, size_t at);  /* [^\s."\,[]!<=>~]+ with an index behind it */
size_t pql_lex_match_part(struct span text, size_t at);  /* match\(.*?\) */
size_t pql_lex_in_double(struct span text, size_t at);   /* inside of double quotes; may be empty */
size_t pql_lex_in_single(struct span text, size_t at);   /* inside of single quotes; may be empty */
size_t pql_lex_digits(struct span text, size_t at);      /* [0-9]+ */
size_t pql_lex_literal(struct span text, size_t at, const char *literal);

bool pql_is_blank(char c);

#endif
