/* Answers that the protocol's documents describe and the reference does not give: behind options (pcp.md §5.1-5.3,
 * §5.7). */
#include "base/mem.h"
#include "broker/internal.h"
#include "pcp/body.h"

/* Sends what stands in b->body from the broker. */
static void answer(struct peer *to, struct span message_type, struct span in_reply_to) {
    struct broker *b = to->broker;
    char id[37];
    world_uuid(b->world, id);
    peer_send_message(to, &(struct pcp_message){.id = span_of(id),
                                                .message_type = message_type,
                                                .target = peer_uri(to),
                                                .sender = SPAN(PCP_SERVER_URI),
                                                .in_reply_to = in_reply_to,
                                                .data = buf_span(&b->body)});
}

/* A version 1 message on the version 2 endpoint, or another version's byte before version 1 chunks. */
bool spec_version_error(struct peer *from, bool text, struct span payload) {
    struct broker *b = from->broker;
    struct pcp_message m;
    if (!b->config.spec_version_error || text || payload.len == 0 ||
        (from->version == PCP_V1 && payload.ptr[0] == PCP_V1)) {
        return false;
    }
    char *as_v1 = span_dup(payload);
    as_v1[0] = PCP_V1;
    bool known = pcp_decode(PCP_V1, span_bytes(as_v1, payload.len), PCP_AS_BROKER, &m, &b->decoded, NULL);
    if (known) {
        const char *reason = "This endpoint speaks another version of the protocol.";
        buf_clear(&b->body);
        if (from->version == PCP_V1) {
            pcp_version_error_write(&b->body, m.id, m.target, reason);
        } else {
            pcp_error_write(&b->body, span_of(reason));
        }
        b->counters[COUNT_UNDECODABLE]++;
        log_access(b, from, PCP_DESERIALIZATION_ERROR, NULL);
        answer(from, SPAN(PCP_VERSION_ERROR), m.id);
    }
    mem_free(as_v1);
    return known;
}

bool spec_expired(struct peer *from, const struct pcp_message *m) {
    struct broker *b = from->broker;
    if (!b->config.spec_ttl_expired || from->version != PCP_V1 || m->expires_ms > world_wall_ms(b->world)) {
        return false;
    }
    log_access(b, from, PCP_EXPIRED, m);
    buf_clear(&b->body);
    pcp_ttl_expired_write(&b->body, m->id);
    answer(from, SPAN(PCP_TTL_EXPIRED), (struct span){NULL, 0});
    return true;
}

bool spec_unauthorized(struct peer *from, const struct pcp_message *m) {
    if (!from->broker->config.spec_unauthorized || from->version != PCP_V2) {
        return false;
    }
    buf_clear(&from->broker->body);
    answer(from, SPAN(PCP_UNAUTHORIZED), m->id);
    return true;
}

void spec_destination_report(struct peer *from, const struct pcp_message *m) {
    struct broker *b = from->broker;
    if (b->config.spec_destination_report && from->version == PCP_V1 && m->destination_report) {
        buf_clear(&b->body);
        pcp_destination_report_write(&b->body, m->id, m->target);
        answer(from, SPAN(PCP_DESTINATION_REPORT), (struct span){NULL, 0});
    }
}
