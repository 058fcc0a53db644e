/* A recorded request, ready to be sent again. */
#ifndef DALANG_SIMULATOR_INTEROP_REQUEST_H
#define DALANG_SIMULATOR_INTEROP_REQUEST_H

#include "base/bytes.h"
#include <jansson.h>

struct request {
    const char *method, *cn; /* borrowed from the recording; cn NULL: without a certificate */
    const json_t *headers;   /* borrowed; may be NULL */
    char *target, *body;
    bool ordered; /* its answer's rows have an order */
};
/* `recorded`: {"method", "target" (or "path" and "query"), "tls_client_certname", "headers", "body"}. A query that the
 * recording cuts short is spelled out again. */
void request_open(struct request *r, const json_t *recorded);
void request_close(struct request *r);

#endif
