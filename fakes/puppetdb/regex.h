/* PostgreSQL's regular expressions on PCRE2 (puppetdb.md §7.3): unanchored, "." takes line ends, "$" only the very end.
 * Word borders (\m \M \y \Y) and \Z are rewritten. */
#ifndef DALANG_FAKES_PUPPETDB_REGEX_H
#define DALANG_FAKES_PUPPETDB_REGEX_H

#include "base/bytes.h"
#include "base/error.h"

enum { REGEX_MATCH_LIMIT = 1000000, REGEX_DEPTH_LIMIT = 10000 }; /* of one match */

struct regex;
/* NULL after setting err: kind "puppetdb/regex", PostgreSQL's text "ERROR: invalid regular expression: …". */
struct regex *regex_new(struct span pattern, struct error *err);
void regex_free(struct regex *r);
enum regex_result { REGEX_NO, REGEX_YES, REGEX_TOO_COMPLEX };
enum regex_result regex_match(const struct regex *r, struct span text);

#endif
