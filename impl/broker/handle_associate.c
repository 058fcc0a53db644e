/* The explicit associate_request, answered for clients that still send it (pcp.md §10.1). */
#include "broker/internal.h"
#include "pcp/body.h"

bool is_associate_request(const struct pcp_message *m) {
    return span_eq_cstr(m->message_type, PCP_ASSOCIATE_REQUEST) && span_eq_cstr(m->target, PCP_SERVER_URI);
}

void handle_associate(struct peer *from, const struct pcp_message *m, const char *refusal) {
    struct broker *b = from->broker;
    struct pcp_uri sender, own;
    char id[37];
    pcp_uri_parse(m->sender, &sender);
    pcp_uri_parse(peer_uri(from), &own);
    if (refusal == NULL && !span_eq(sender.type, own.type)) {
        refusal = "Session already associated.";
    }
    world_uuid(b->world, id);
    buf_clear(&b->body);
    pcp_associate_response_write(&b->body, m->id, refusal);
    const char *problem = peer_send_message(from, &(struct pcp_message){.id = span_of(id),
                                                                        .message_type = SPAN(PCP_ASSOCIATE_RESPONSE),
                                                                        .target = m->sender,
                                                                        .in_reply_to = m->id,
                                                                        .sender = SPAN(PCP_SERVER_URI),
                                                                        .data = buf_span(&b->body)});
    if (problem == NULL && refusal != NULL) {
        log_event(b->log.main, LOG_WARN, "connection-association-failed", "Association refused", "uri", from->uri,
                  "reason", refusal, NULL);
        peer_close(from, CLOSE_REFUSED);
    }
}
