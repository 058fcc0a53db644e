/* Every answer the agent gives (pxp.md §3, §6). A response whose data is too large becomes an RPC error. */
#include "agent/core.h"
#include "base/json.h"
#include <string.h>

static const struct span nothing = {NULL, 0};

static bool send_data(struct agent *a, enum pxp_type type, struct span target, const struct buf *data,
                      struct span debug) {
    return connection_send(a, pxp_type_uri(type), target, buf_span(data), debug, nothing);
}

void reply_pcp_error(struct agent *a, struct span target, struct span request_id, struct span text) {
    struct buf data = BUF_INIT;
    json_write_string(&data, text);
    log_warn(a->log, "Replying to request %.*s with a PCP error: %.*s", (int)request_id.len, request_id.ptr,
             (int)text.len, text.ptr);
    connection_send(a, PCP_ERROR_MESSAGE, target, buf_span(&data), nothing, request_id);
    buf_free(&data);
}

static bool send_error(struct agent *a, struct span target, struct span transaction_id, struct span request_id,
                       struct span description) {
    struct buf data = BUF_INIT;
    pxp_error_write(&data, transaction_id, request_id, description);
    bool sent = send_data(a, PXP_ERROR, target, &data, nothing);
    buf_free(&data);
    return sent;
}

void reply_pxp_error(struct agent *a, struct span target, struct span transaction_id, struct span request_id,
                     struct span description) {
    send_error(a, target, transaction_id, request_id, description);
}

void reply_provisional(struct agent *a, struct span target, struct span transaction_id, struct span debug) {
    struct buf data = BUF_INIT;
    pxp_provisional_write(&data, transaction_id);
    send_data(a, PXP_PROVISIONAL_RESPONSE, target, &data, debug);
    buf_free(&data);
}

static bool send_results(struct agent *a, enum pxp_type type, struct span target, struct span transaction_id,
                         struct span request_id, const json_t *results, struct span debug) {
    struct buf data = BUF_INIT;
    pxp_response_write(&data, transaction_id, results);
    bool sent;
    if (data.len > a->config->max_message_size) {
        struct buf text = BUF_INIT;
        buf_printf(&text, "Message size: %zu exceeded max-message-size %zu", data.len, a->config->max_message_size);
        sent = send_error(a, target, transaction_id, request_id, buf_span(&text));
        buf_free(&text);
    } else {
        sent = send_data(a, type, target, &data, debug);
    }
    buf_free(&data);
    return sent;
}

void reply_blocking(struct agent *a, struct span target, struct span transaction_id, struct span request_id,
                    const json_t *results, struct span debug) {
    send_results(a, PXP_BLOCKING_RESPONSE, target, transaction_id, request_id, results, debug);
}

bool reply_final(struct agent *a, const json_t *record) {
    struct span target = json_span(json_object_get(record, "requester"));
    struct span transaction_id = json_span(json_object_get(record, "transaction_id"));
    struct span request_id = json_span(json_object_get(record, "request_id"));
    const json_t *results = json_object_get(record, "results");
    if (results != NULL) {
        return send_results(a, PXP_NON_BLOCKING_RESPONSE, target, transaction_id, request_id, results, nothing);
    }
    return send_error(a, target, transaction_id, request_id, json_span(json_object_get(record, "execution_error")));
}
