/* What an agent must do whatever a hostile broker says: come back when its connection ends, answer a proper ping, and
 * only say what is well-formed and under its own name. */
#include "simulator/livefuzz/internal.h"

#include "base/mem.h"
#include "pcp/body.h"
#include "pcp/message.h"
#include "pxp/body.h"
#include <string.h>

enum { BACK_AGAIN = 4 };

static void on_accept(void *ctx, struct world_conn *c) {
    struct fuzz_run *r = ctx;
    const struct world_identity *id = world_conn_peer(c);
    if (id == NULL || id->common_name == NULL) {
        world_conn_abort(c);
        return;
    }
    drop_link(r, 0);
    mem_free(r->agent_uri);
    r->agent_uri = str_printf("pcp://%s/agent", id->common_name);
    r->links[0] = link_accept(c, "agent");
}

bool agent_listen(struct fuzz_run *r, struct error *err) {
    struct world_listen listen = {.host = r->opts.host, .port = r->opts.port, .tls = r->opts.server_tls};
    r->listener = world_listen(r->world, &listen, on_accept, r, err);
    return r->listener != NULL;
}

static void send_message(struct fuzz_run *r, const struct pcp_message *m) {
    struct buf out = BUF_INIT;
    pcp_encode((enum pcp_version)r->agent_version, m, &out);
    link_send(r->links[0], r->agent_version == PCP_V2, buf_span(&out));
    buf_free(&out);
}

static void associate(struct fuzz_run *r, const struct pcp_message *request) {
    struct buf data = BUF_INIT;
    char *id = message_id(r);
    pcp_associate_response_write(&data, request->id, NULL);
    send_message(r, &(struct pcp_message){.id = span_of(id),
                                          .message_type = SPAN(PCP_ASSOCIATE_RESPONSE),
                                          .target = span_of(r->agent_uri),
                                          .sender = SPAN(PCP_SERVER_URI),
                                          .in_reply_to = request->id,
                                          .data = buf_span(&data),
                                          .expires_ms = world_wall_ms(r->world) + 60000});
    mem_free(id);
    buf_free(&data);
}

static void judge_message(struct fuzz_run *r, const struct pcp_message *m) {
    enum pxp_type type = pxp_type_of(m->message_type);
    struct pxp_response response;
    struct error err = ERROR_INIT;
    if (m->sender.len != 0 && !span_eq_cstr(m->sender, r->agent_uri)) {
        verdict(r, FUZZ_WRONG, "the agent speaks as %.*s", (int)m->sender.len, m->sender.ptr);
    } else if (span_eq_cstr(m->message_type, PCP_ASSOCIATE_REQUEST)) {
        associate(r, m);
    } else if (type == PXP_BLOCKING_REQUEST || type == PXP_NON_BLOCKING_REQUEST) {
        verdict(r, FUZZ_WRONG, "the agent sends requests");
    } else if (type != PXP_NONE) {
        if (!pxp_response_parse(type, PXP_V1, m->data, &response, &err)) {
            verdict(r, FUZZ_WRONG, "the agent's answer cannot be read: %s", err.msg);
        } else {
            if (type == PXP_BLOCKING_RESPONSE && span_starts_with(response.transaction_id, "probe-")) {
                mem_free(r->answered);
                r->answered = span_dup(response.transaction_id);
            }
            pxp_response_free(&response);
        }
    }
    error_clear(&err);
}

void agent_judge(struct fuzz_run *r, const struct link_event *e) {
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    struct error err = ERROR_INIT;
    if (e->kind == LINK_OPEN) {
        r->agent_version = strncmp(r->links[0]->path, "/pcp2", 5) == 0 ? 2 : 1;
    } else if (e->kind == LINK_INVALID) {
        verdict(r, FUZZ_WRONG, "the agent sent bytes that are no WebSocket: %.*s", (int)e->bytes.len,
                e->bytes.len != 0 ? e->bytes.ptr : "");
    } else if (e->kind == LINK_TEXT || e->kind == LINK_BINARY) {
        if (!pcp_decode(e->kind == LINK_TEXT ? PCP_V2 : PCP_V1, buf_span(&e->bytes), PCP_AS_CLIENT, &m, &scratch,
                        &err)) {
            verdict(r, FUZZ_WRONG, "the agent sent a message that cannot be read: %s", err.msg);
        } else {
            judge_message(r, &m);
        }
    }
    error_clear(&err);
    buf_free(&scratch);
}

static bool is_here(struct fuzz_run *r, void *ctx) {
    (void)ctx;
    return r->links[0] != NULL && r->links[0]->open && !r->dead[0];
}

bool agent_await(struct fuzz_run *r) {
    if (!wait_for(r, is_here, NULL, BACK_AGAIN * r->opts.patience_ms)) {
        verdict(r, r->opts.interrupted(r->opts.ctx) ? FUZZ_CLEAN : FUZZ_HANG,
                "the agent did not come back within %llu ms", (unsigned long long)(BACK_AGAIN * r->opts.patience_ms));
        return false;
    }
    return true;
}

static bool has_answered(struct fuzz_run *r, void *ctx) {
    return r->links[0] == NULL || r->dead[0] || str_eq(r->answered, ctx);
}

/* A connection may end while it is asked (what came before was bad): then it is asked on the next one. */
void agent_probe(struct fuzz_run *r) {
    enum { TRIES = 3 };
    for (int i = 0; i < TRIES && r->verdict == FUZZ_CLEAN && agent_await(r); i++) {
        char *transaction = str_printf("probe-%llu-%d", (unsigned long long)r->probes, i), *id = message_id(r);
        struct buf data = BUF_INIT;
        pxp_request_write(&data, &(struct pxp_request){.blocking = true,
                                                       .transaction_id = span_of(transaction),
                                                       .module = SPAN("ping"),
                                                       .action = SPAN("ping")});
        send_message(r, &(struct pcp_message){.id = span_of(id),
                                              .message_type = span_of(pxp_type_uri(PXP_BLOCKING_REQUEST)),
                                              .target = span_of(r->agent_uri),
                                              .sender = SPAN("pcp://fuzz-probe/controller"),
                                              .data = buf_span(&data),
                                              .expires_ms = world_wall_ms(r->world) + 60000});
        bool heard = wait_for(r, has_answered, transaction, r->opts.patience_ms);
        bool answered = str_eq(r->answered, transaction);
        buf_free(&data);
        mem_free(transaction);
        mem_free(id);
        if (answered) {
            return;
        }
        if (!heard && r->verdict == FUZZ_CLEAN && !r->opts.interrupted(r->opts.ctx)) {
            verdict(r, FUZZ_HANG, "a ping was not answered within %llu ms", (unsigned long long)r->opts.patience_ms);
        }
    }
    if (r->verdict == FUZZ_CLEAN && !r->opts.interrupted(r->opts.ctx)) {
        verdict(r, FUZZ_WRONG, "the agent ends its connection instead of answering a ping");
    }
}
