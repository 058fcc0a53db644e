/* Bodies of PXP 1.0 messages: what stands in `data` of a PCP message (pxp.md §2-4, §12).
 *
 * Pure: spans in, bytes out. A parsed body keeps the JSON it was made from; its spans and pointers borrow from
 * that and live until pxp_request_free() / pxp_response_free(). */
#ifndef DALANG_PXP_BODY_H
#define DALANG_PXP_BODY_H

#include "base/bytes.h"
#include "base/error.h"
#include <jansson.h>

enum pxp_type {
    PXP_BLOCKING_REQUEST,
    PXP_NON_BLOCKING_REQUEST,
    PXP_BLOCKING_RESPONSE,
    PXP_NON_BLOCKING_RESPONSE,
    PXP_PROVISIONAL_RESPONSE,
    PXP_ERROR,
    PXP_NONE, /* no PXP message type */
};

const char *pxp_type_uri(enum pxp_type type); /* "http://puppetlabs.com/rpc_…"; type is not PXP_NONE */
enum pxp_type pxp_type_of(struct span message_type);

/* ---------------------------------------------------------------------------------------- requests */

struct pxp_request {
    bool blocking;
    struct span transaction_id;
    struct span module;
    struct span action;
    json_t *params;      /* object, never NULL after parsing ({} when absent); NULL in a request to write: left out */
    bool notify_outcome; /* non-blocking requests only */
    json_t *json;        /* owner of all of the above after parsing */
};

/* data: the raw JSON text of the message's data; ptr NULL when the message has none.
 * type: PXP_BLOCKING_REQUEST or PXP_NON_BLOCKING_REQUEST. The schemas are closed: unknown keys are refused.
 * error kinds: "pxp/no-data" (message "no data"), "pxp/invalid-data" (message "invalid data"): both texts are what
 * a PCP error answer carries. *out needs no free after an error. */
bool pxp_request_parse(enum pxp_type type, struct span data, struct pxp_request *out, struct error *err);
void pxp_request_free(struct pxp_request *r);
/* Appends {"transaction_id","notify_outcome"?,"module","action","params"?}. */
void pxp_request_write(struct buf *out, const struct pxp_request *r);

/* ---------------------------------------------------------------------------------------- answers */

/* Appends {"transaction_id","results"}: body of blocking and non-blocking responses. results is borrowed. */
void pxp_response_write(struct buf *out, struct span transaction_id, const json_t *results);
/* Appends {"transaction_id"}. */
void pxp_provisional_write(struct buf *out, struct span transaction_id);
/* Appends {"transaction_id","id","description"}; invalid UTF-8 in the description becomes U+FFFD. */
void pxp_error_write(struct buf *out, struct span transaction_id, struct span request_id, struct span description);

/* Which documents a controller accepts. PXP_NEXT also takes the unreleased form with output and metadata
 * (pxp.md §12) and shows it as the 1.0 form: results = {stdout, stderr, exitcode}. It is never sent. */
enum pxp_dialect { PXP_V1, PXP_NEXT };

struct pxp_response {
    enum pxp_type type;
    struct span transaction_id;
    json_t *results;         /* blocking and non-blocking responses: any JSON value */
    struct span request_id;  /* errors: the `id` */
    struct span description; /* errors */
    json_t *metadata;        /* PXP_NEXT only, else NULL */
    json_t *json;            /* owner */
};

/* type: one of the three responses or PXP_ERROR. Invalid UTF-8 in the data is repaired, not refused. error kinds as for
 * requests; the message says what is wrong. */
bool pxp_response_parse(enum pxp_type type, enum pxp_dialect dialect, struct span data, struct pxp_response *out,
                        struct error *err);
void pxp_response_free(struct pxp_response *r);

/* ---------------------------------------------------------------------------------------- texts */

/* Appends "blocking 'ping ping' request (transaction 42)", "non blocking …": how requests are named in errors. */
void pxp_label(struct buf *out, bool blocking, struct span module, struct span action, struct span transaction_id);
/* The string {"_error":{"kind":"puppetlabs.pxp-agent/execution-error","details":{},"msg":…}}, appended. */
void pxp_execution_error_write(struct buf *out, struct span msg);
/* Appends text with every invalid UTF-8 sequence replaced by U+FFFD. */
void pxp_utf8_repair(struct buf *out, struct span text);
/* A JSON string of text, repaired if need be (jansson refuses invalid UTF-8). New reference. */
json_t *pxp_json_text(struct span text);

#endif
