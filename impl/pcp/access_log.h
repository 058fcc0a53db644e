/* The PCP access log: one line per processed inbound message (pcp.md §18.1):
 *     [2030-01-02 03:04:05,678] AUTHORIZATION_SUCCESS 10.0.0.1:50412 cn pcp://cn/agent type id pcp:///server */
#ifndef DALANG_PCP_ACCESS_LOG_H
#define DALANG_PCP_ACCESS_LOG_H

#include "base/bytes.h"
#include "pcp/message.h"

enum pcp_outcome {
    PCP_AUTHORIZATION_SUCCESS,
    PCP_AUTHENTICATION_FAILURE,
    PCP_AUTHORIZATION_FAILURE,
    PCP_MULTICAST_UNSUPPORTED,
    PCP_DESERIALIZATION_ERROR,
    PCP_EXPIRED,
};
const char *pcp_outcome_name(enum pcp_outcome o); /* "AUTHORIZATION_SUCCESS" … */
bool pcp_outcome_is_warning(enum pcp_outcome o);  /* all but success */

struct pcp_access {
    int64_t when_ms;
    enum pcp_outcome outcome;
    const char *remote;                /* "ip:port" */
    const char *common_name;           /* NULL: "unknown" */
    const struct pcp_message *message; /* NULL (it could not be read): five times "unknown", the CN included */
};
/* Appends the line without a newline. Bytes that could break the line apart (white space, controls) become \xNN. */
void pcp_access_line(struct buf *out, const struct pcp_access *a);

#endif
