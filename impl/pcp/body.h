/* The bodies (`data`) of PCP's own messages: inventory, association, errors (pcp.md §4, §6, §10.1, §11, §13).
 * Writers append JSON text to a buffer; readers take the raw data of a decoded message. */
#ifndef DALANG_PCP_BODY_H
#define DALANG_PCP_BODY_H

#include "base/bytes.h"
#include "base/error.h"

enum { PCP_QUERY_MAX = 100 * 1000 }; /* URIs in one inventory_request */

/* inventory_request: {query: [uri…], subscribe: bool} */
struct pcp_inventory_request {
    struct span *query; /* URIs, wildcards allowed; texts belong to the request */
    size_t count;
    bool subscribe;
    void *storage;
};
void pcp_inventory_request_write(struct buf *out, const struct span *query, size_t count, bool subscribe);
/* The error's message is what the broker answers with, kind "pcp/invalid-data". A query of null counts as empty. */
bool pcp_inventory_request_read(struct span data, struct pcp_inventory_request *out, struct error *err);
void pcp_inventory_request_free(struct pcp_inventory_request *r);

/* inventory_response: {uris: [uri…]} */
void pcp_inventory_response_write(struct buf *out, const struct span *uris, size_t count);
/* Calls back for each URI, in order. False (kind "pcp/invalid-data", nothing called) when it breaks the schema. */
bool pcp_inventory_response_read(struct span data, void (*uri)(void *ctx, struct span uri), void *ctx,
                                 struct error *err);

/* inventory_update: {changes: [{client: uri, change: 1 or -1}…]} */
struct pcp_change {
    struct span client;
    bool connected; /* 1; false: -1 */
};
void pcp_inventory_update_write(struct buf *out, const struct pcp_change *changes, size_t count);
bool pcp_inventory_update_read(struct span data, void (*change)(void *ctx, const struct pcp_change *change), void *ctx,
                               struct error *err);

/* associate_response: {id, success, reason?} */
void pcp_associate_response_write(struct buf *out, struct span request_id, const char *refusal); /* NULL: success */
struct pcp_associate_response {
    char *id, *reason; /* reason NULL when absent */
    bool success;
};
bool pcp_associate_response_read(struct span data, struct pcp_associate_response *out, struct error *err);
void pcp_associate_response_free(struct pcp_associate_response *r);

/* Only behind options of a broker (pcp.md §23): destination_report {id, targets}, ttl_expired {id}, version_error
 * {id, target, reason}, all of version 1. */
void pcp_destination_report_write(struct buf *out, struct span id, struct span target);
void pcp_ttl_expired_write(struct buf *out, struct span id);
void pcp_version_error_write(struct buf *out, struct span id, struct span target, const char *reason);

/* error_message: a JSON string (of both versions, as decoding delivers it). */
void pcp_error_write(struct buf *out, struct span description);
/* Appends the description; false when data is no JSON string. */
bool pcp_error_read(struct span data, struct buf *out);

#endif
