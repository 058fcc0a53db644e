/* Status query results. */
#include "pxp/status.h"
#include "base/json.h"
#include "pxp/body.h"

static const char *const state_names[] = {
    [PXP_UNKNOWN] = "unknown", [PXP_RUNNING] = "running",           [PXP_SUCCESS] = "success",
    [PXP_FAILURE] = "failure", [PXP_UNDETERMINED] = "undetermined",
};

const char *pxp_state_name(enum pxp_state state) {
    return state_names[state];
}

bool pxp_state_parse(struct span name, enum pxp_state *out) {
    for (enum pxp_state s = PXP_UNKNOWN; s <= PXP_UNDETERMINED; s++) {
        if (span_eq_cstr(name, state_names[s])) {
            *out = s;
            return true;
        }
    }
    return false;
}

json_t *pxp_status_to_json(const struct pxp_status *s) {
    json_t *results = json_object();
    json_set(results, "transaction_id", pxp_json_text(s->transaction_id));
    if (s->has_exitcode) {
        json_set(results, "exitcode", json_integer(s->exitcode));
    }
    enum pxp_state shown = s->state == PXP_UNDETERMINED ? PXP_UNKNOWN : s->state;
    json_set(results, "status", json_string(state_names[shown]));
    if (s->stdout_text.ptr != NULL) {
        json_set(results, "stdout", pxp_json_text(s->stdout_text));
    }
    if (s->stderr_text.ptr != NULL) {
        json_set(results, "stderr", pxp_json_text(s->stderr_text));
    }
    return results;
}

bool pxp_status_from_json(const json_t *results, struct pxp_status *out, struct error *err) {
    *out = (struct pxp_status){0};
    const json_t *id = json_object_get(results, "transaction_id");
    const json_t *state = json_object_get(results, "status");
    if (!json_is_string(id) || !json_is_string(state) || !pxp_state_parse(json_span(state), &out->state) ||
        out->state == PXP_UNDETERMINED) {
        return error_set(err, "pxp/invalid-data", "status results lack a transaction_id or a known status");
    }
    size_t known = 2;
    const json_t *exitcode = json_object_get(results, "exitcode");
    const json_t *out_text = json_object_get(results, "stdout");
    const json_t *err_text = json_object_get(results, "stderr");
    if ((exitcode != NULL && !json_is_integer(exitcode)) || (out_text != NULL && !json_is_string(out_text)) ||
        (err_text != NULL && !json_is_string(err_text))) {
        return error_set(err, "pxp/invalid-data", "status results: exitcode, stdout or stderr is of the wrong type");
    }
    known += (size_t)(exitcode != NULL) + (size_t)(out_text != NULL) + (size_t)(err_text != NULL);
    if (json_object_size(results) != known) {
        return error_set(err, "pxp/invalid-data", "status results have unknown keys");
    }
    out->transaction_id = json_span(id);
    out->has_exitcode = exitcode != NULL;
    out->exitcode = json_integer_value(exitcode);
    if (out_text != NULL) {
        out->stdout_text = json_span(out_text);
    }
    if (err_text != NULL) {
        out->stderr_text = json_span(err_text);
    }
    return true;
}
