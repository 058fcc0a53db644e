/* Results of a status query: module `status`, action `query` (pxp.md §4.7, §7). */
#ifndef DALANG_PXP_STATUS_H
#define DALANG_PXP_STATUS_H

#include "base/bytes.h"
#include "base/error.h"
#include <jansson.h>

/* What a transaction's record may say; on the wire UNDETERMINED is sent as "unknown". */
enum pxp_state { PXP_UNKNOWN, PXP_RUNNING, PXP_SUCCESS, PXP_FAILURE, PXP_UNDETERMINED };

const char *pxp_state_name(enum pxp_state state);
bool pxp_state_parse(struct span name, enum pxp_state *out);

struct pxp_status {
    struct span transaction_id; /* the one asked about */
    enum pxp_state state;
    bool has_exitcode;
    int64_t exitcode;
    struct span stdout_text; /* ptr NULL: absent. Always text, also when that text is JSON */
    struct span stderr_text; /* ptr NULL: absent */
};

/* New reference: {"transaction_id","exitcode"?,"status","stdout"?,"stderr"?} in this order. */
json_t *pxp_status_to_json(const struct pxp_status *s);
/* Borrows from results. error kind "pxp/invalid-data". The schema is closed. */
bool pxp_status_from_json(const json_t *results, struct pxp_status *out, struct error *err);

#endif
