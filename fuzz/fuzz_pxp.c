/* links: fuzz_mutate pxp base */
/* PXP bodies, module metadata and schemas from any bytes. The first byte picks what they are read as. What parses is
 * written and must parse again to the same. */
#include "base/json.h"
#include "base/mem.h"
#include "fuzz/mutate/mutate.h"
#include "pxp/module.h"
#include "pxp/status.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
MUTATOR(mutate_pxp)

static void request(enum pxp_type type, struct span text) {
    struct pxp_request r, again;
    if (!pxp_request_parse(type, text, &r, NULL)) {
        return;
    }
    struct buf out = BUF_INIT;
    pxp_request_write(&out, &r);
    assert(pxp_request_parse(type, buf_span(&out), &again, NULL));
    assert(json_equal(r.params, again.params) && span_eq(r.transaction_id, again.transaction_id));
    pxp_request_free(&again);
    pxp_request_free(&r);
    buf_free(&out);
}

static void response(enum pxp_type type, struct span text) {
    struct pxp_response r, again;
    if (!pxp_response_parse(type, PXP_NEXT, text, &r, NULL)) {
        return;
    }
    struct pxp_status status;
    if (r.results != NULL && pxp_status_from_json(r.results, &status, NULL)) {
        json_t *json = pxp_status_to_json(&status);
        assert(json_equal(json, r.results));
        json_decref(json);
    }
    struct buf out = BUF_INIT;
    if (type == PXP_ERROR) {
        pxp_error_write(&out, r.transaction_id, r.request_id, r.description);
    } else if (type == PXP_PROVISIONAL_RESPONSE) {
        pxp_provisional_write(&out, r.transaction_id);
    } else {
        pxp_response_write(&out, r.transaction_id, r.results);
    }
    assert(pxp_response_parse(type, PXP_V1, buf_span(&out), &again, NULL));
    pxp_response_free(&again);
    pxp_response_free(&r);
    buf_free(&out);
}

/* [schema, value] */
static void schema(struct span text) {
    json_t *json = json_parse(text, "fuzz", NULL);
    struct pxp_schema *s = json == NULL ? NULL : pxp_schema_parse(json_array_get(json, 0), NULL);
    if (s != NULL) {
        struct error err = ERROR_INIT;
        json_t *value = json_array_get(json, 1);
        if (value != NULL && !pxp_schema_check(s, value, &err)) {
            assert(error_is_set(&err));
        }
        error_clear(&err);
    }
    pxp_schema_free(s);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    if (len == 0) {
        return 0;
    }
    struct span text = span_bytes(bytes + 1, len - 1);
    switch (bytes[0]) {
    case 'b':
        request(PXP_BLOCKING_REQUEST, text);
        break;
    case 'n':
        request(PXP_NON_BLOCKING_REQUEST, text);
        break;
    case 'r':
        response(PXP_NON_BLOCKING_RESPONSE, text);
        break;
    case 'p':
        response(PXP_PROVISIONAL_RESPONSE, text);
        break;
    case 'e':
        response(PXP_ERROR, text);
        break;
    case 'm':
        pxp_module_free(pxp_module_parse("fuzz", text, NULL));
        break;
    case 's':
        schema(text);
        break;
    default:
        break;
    }
    return 0;
}
