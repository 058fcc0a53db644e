/* Route patterns over raw request paths. Pure.
 *
 * A pattern is "/" separated segments: a literal, compared byte by byte with the path as it came (nothing is decoded,
 * merged or resolved first); ":name", one segment that is not empty and decodes to text without a NUL; and, last,
 * "*name": everything behind, which may be empty and hold slashes, decoded as a whole.
 * "/a/:b" does not match "/a/b/"; "/a/" followed by "*rest" matches "/a/" but not "/a". */
#ifndef DALANG_WIRE_ROUTE_H
#define DALANG_WIRE_ROUTE_H

#include "base/bytes.h"

enum { ROUTE_PARAMS_MAX = 8 };

struct route_param {
    struct span name; /* in the pattern */
    struct span raw;  /* in the path */
    char *value;      /* decoded, owned */
};
struct route_params {
    struct route_param items[ROUTE_PARAMS_MAX];
    size_t count;
};

/* On a match *params holds the parameters (route_params_free() it); otherwise it is empty. params may be NULL. */
bool route_match(const char *pattern, struct span path, struct route_params *params);
void route_params_free(struct route_params *params);
const char *route_param(const struct route_params *params, const char *name); /* decoded, or NULL */

#endif
