/* What arrives: decoding, one handler per message type, requests to jobs (agent.md §7, §8). */
#include "agent/job.h"
#include "agent/spool.h"
#include "base/json.h"
#include "base/mem.h"
#include "pcp/body.h"

static void access(struct agent *a, enum agent_access outcome, const struct pcp_message *m) {
    if (a->hooks == NULL || a->hooks->access == NULL) {
        return;
    }
    struct span unknown = SPAN("unknown");
    const char *broker = a->config->brokers[a->connection.broker % a->config->broker_count];
    bool readable = m != NULL;
    struct span sender = !readable ? unknown : m->sender.len != 0 ? m->sender : SPAN("pcp:///server");
    a->hooks->access(a->hooks->ctx, a, outcome, broker, sender, readable ? m->message_type : unknown,
                     readable ? m->id : unknown);
}

/* ---------------------------------------------------------------------------------------- debug chunks (v1) */

/* {"hops": [{"server", "time", "stage"?}…]}, as the reference validates it. */
static bool debug_valid(struct span content) {
    json_t *json = json_parse(content, "agent/debug", NULL);
    const json_t *hops = json_object_get(json, "hops");
    bool valid = json_is_array(hops) && json_object_size(json) == 1;
    for (size_t i = 0; valid && i < json_array_size(hops); i++) {
        const json_t *hop = json_array_get(hops, i);
        const json_t *stage = json_object_get(hop, "stage");
        valid = json_str(hop, "server") != NULL && json_str(hop, "time") != NULL &&
                (stage == NULL || json_is_string(stage)) && json_object_size(hop) == 2 + (size_t)(stage != NULL);
    }
    json_decref(json);
    return valid;
}

static void keep_valid_debug(struct agent *a, struct span chunks, struct buf *out) {
    struct span content;
    unsigned invalid = 0;
    while (pcp_debug_next(&chunks, &content)) {
        if (debug_valid(content)) {
            pcp_debug_append(out, content);
        } else {
            invalid++;
        }
    }
    if (invalid > 0) {
        log_warn(a->log, "The message contained %u bad debug chunks", invalid);
    }
}

/* ---------------------------------------------------------------------------------------- requests */

static void request(struct agent *a, const struct pcp_message *m, enum pxp_type type) {
    if (m->sender.len == 0) {
        log_error(a->log, "Ignoring request %.*s: it has no sender", (int)m->id.len, m->id.ptr);
        return;
    }
    struct pxp_request r;
    struct error err = ERROR_INIT;
    struct span data = m->data_malformed ? SPAN("malformed") : m->data;
    if (!pxp_request_parse(type, data, &r, &err)) {
        reply_pcp_error(a, m->sender, m->id, span_of(err.msg));
        error_clear(&err);
        return;
    }
    const struct agent_module *module = agent_modules_get(a->modules, r.module);
    if (!pxp_module_check(module != NULL ? module->spec : NULL, &r, &err)) {
        log_error(a->log, "Invalid request with ID %.*s by %.*s: %s", (int)m->id.len, m->id.ptr, (int)m->sender.len,
                  m->sender.ptr, err.msg);
        reply_pxp_error(a, m->sender, r.transaction_id, m->id, span_of(err.msg));
        error_clear(&err);
        pxp_request_free(&r);
        return;
    }
    struct buf debug = BUF_INIT;
    keep_valid_debug(a, m->debug, &debug);
    job_start(a, module, &r, m->sender, m->id, buf_span(&debug));
    buf_free(&debug);
}

static void blocking_request(struct agent *a, const struct pcp_message *m) {
    request(a, m, PXP_BLOCKING_REQUEST);
}

static void non_blocking_request(struct agent *a, const struct pcp_message *m) {
    request(a, m, PXP_NON_BLOCKING_REQUEST);
}

/* ---------------------------------------------------------------------------------------- PCP's own messages */

static void error_message(struct agent *a, const struct pcp_message *m) {
    struct buf text = BUF_INIT;
    if (!pcp_error_read(m->data, &text)) {
        buf_append_cstr(&text, "no description");
    }
    log_warn(a->log, "Received error message %.*s from %.*s (for %.*s): %s", (int)m->id.len, m->id.ptr,
             (int)m->sender.len, m->sender.ptr, (int)m->in_reply_to.len, m->in_reply_to.ptr,
             text.ptr != NULL ? text.ptr : "");
    if (connection_is_associating(a, m->in_reply_to)) {
        connection_association_failed(a, text.ptr != NULL ? text.ptr : "error");
    }
    buf_free(&text);
}

static void associate_response(struct agent *a, const struct pcp_message *m) {
    connection_associated(a, m->data);
}

static void ttl_expired(struct agent *a, const struct pcp_message *m) {
    json_t *data = json_parse(m->data, "agent/ttl", NULL);
    struct span id = json_span(json_object_get(data, "id"));
    log_warn(a->log, "Received TTL expired message %.*s for message %.*s", (int)m->id.len, m->id.ptr, (int)id.len,
             id.ptr != NULL ? id.ptr : "");
    if (connection_is_associating(a, id)) {
        connection_association_failed(a, "the request expired");
    }
    json_decref(data);
}

static const struct {
    const char *type;
    bool v1_only;
    void (*handle)(struct agent *a, const struct pcp_message *m);
} handlers[] = {
    {"http://puppetlabs.com/rpc_blocking_request", false, blocking_request},
    {"http://puppetlabs.com/rpc_non_blocking_request", false, non_blocking_request},
    {PCP_ERROR_MESSAGE, false, error_message},
    {PCP_ASSOCIATE_RESPONSE, true, associate_response},
    {PCP_TTL_EXPIRED, true, ttl_expired},
};

static void dispatch(struct agent *a, const struct pcp_message *m) {
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        if (span_eq_cstr(m->message_type, handlers[i].type) && (!handlers[i].v1_only || a->config->version == PCP_V1)) {
            access(a, AGENT_ACCESS_ACCEPTED, m);
            handlers[i].handle(a, m);
            return;
        }
    }
    log_warn(a->log, "No message callback has been registered for the '%.*s' message type", (int)m->message_type.len,
             m->message_type.ptr);
}

void intake_message(struct agent *a, struct span payload) {
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    struct error err = ERROR_INIT;
    if (pcp_decode(a->config->version, payload, PCP_AS_CLIENT, &m, &scratch, &err)) {
        dispatch(a, &m);
    } else {
        log_error(a->log, "Failed to deserialize a message: %s", err.msg);
        error_clear(&err);
        access(a, AGENT_ACCESS_UNREADABLE, NULL);
        connection_association_failed(a, "unreadable message");
    }
    buf_free(&scratch);
}
