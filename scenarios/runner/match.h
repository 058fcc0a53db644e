/* Does a JSON value look as expected? What is expected is JSON itself:
 *
 *   a scalar           the same value (1 is 1.0)
 *   a list             the same number of items, each as expected
 *   a map              each of its keys is there, as expected; further ones do not matter
 *   {matches: REGEX}   a text in which the regular expression (PCRE) is found
 *   {contains: X}      a text with that text in it; a list with an item like X (a list: with one like each)
 *   {gt, ge, lt, le: N}   numbers
 *   {not: X}           anything but
 *   {any: [X, Y]}      one of them
 *   {count: X}         the number of items of a list or map
 *   {exists: false}    nothing is there (true: something is)
 *   {is: TYPE}         string, number, boolean, null, list, map
 *
 * Operators may stand together: {gt: 1, lt: 5}. A map whose keys are all operators is one. */
#ifndef DALANG_SCENARIO_MATCH_H
#define DALANG_SCENARIO_MATCH_H

#include "base/json.h"
#include "scenarios/runner/shape.h"

/* value NULL: nothing is there. On false, why (may be NULL) says where and what, such as "state: running, not
 * finished".
 */
bool match(const json_t *expected, const json_t *value, struct buf *why);
/* {path: expected, …} over one value. */
bool match_paths(const json_t *expected, const json_t *value, struct buf *why);

/* For checks: bad regular expressions, unknown types. */
extern const struct shape shape_match;
/* A map of paths to expectations. */
extern const struct shape shape_match_paths;

#endif
