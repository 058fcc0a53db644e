/* PCP URIs: pcp://<common name>/<client type> (pcp.md §2). Everything borrows. */
#ifndef DALANG_PCP_URI_H
#define DALANG_PCP_URI_H

#include "base/bytes.h"

#define PCP_SERVER_URI "pcp:///server" /* the broker one is connected to */
#define PCP_TYPE_AGENT "agent"         /* client type of an endpoint path without one */
#define PCP_TYPE_SERVER "server"       /* reserved: no inbound client may have it */

struct pcp_uri {
    struct span name; /* may be empty */
    struct span type;
};

/* False unless the whole text is a URI; *out may be NULL. */
bool pcp_uri_parse(struct span text, struct pcp_uri *out);
/* Name or type is exactly "*". The text must be a URI. */
bool pcp_uri_is_wildcard(struct span uri);
/* Component-wise, "*" in the pattern meaning anything. Both must be URIs. */
bool pcp_uri_matches(struct span pattern, struct span uri);
char *pcp_uri_new(struct span name, struct span type); /* mem_free() it */
/* Is the name part of `uri` (which must be a URI) exactly this name? */
bool pcp_uri_has_name(struct span uri, struct span name);

/* The identifiers the reference accepts: five groups of hexadecimal digits joined by "-", at most 36 bytes. */
bool pcp_id_valid(struct span id);

#endif
