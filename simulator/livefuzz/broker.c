/* What a broker must do whatever hostile clients did: take connections, carry messages between proper ones, say so when
 * it cannot, and never pass on what somebody said under another's name. */
#include "simulator/livefuzz/internal.h"

#include "base/mem.h"
#include "pcp/message.h"
#include <string.h>

enum { RETRY_MS = 50, END_MS = 500 };

static bool is_open_or_over(struct fuzz_run *r, void *ctx) {
    unsigned who = *(unsigned *)ctx;
    return r->links[who] == NULL || r->links[who]->open || r->dead[who];
}

static bool never(struct fuzz_run *r, void *ctx) {
    (void)r, (void)ctx;
    return false;
}

bool broker_dial(struct fuzz_run *r, unsigned who, int version, const char *path) {
    drop_link(r, who);
    char *uri = str_printf("pcp://%s/agent", link_name(who));
    struct link_connect opts = {.to = {.host = r->opts.host,
                                       .port = r->opts.port,
                                       .tls = r->tls,
                                       .credential = r->credentials[who],
                                       .timeout_ms = r->opts.patience_ms},
                                .name = link_name(who),
                                .uri = uri,
                                .path = path,
                                .host = r->opts.host,
                                .version = version};
    r->links[who] = link_connect(r->world, &opts);
    mem_free(uri);
    wait_for(r, is_open_or_over, &who, r->opts.patience_ms);
    return r->links[who] != NULL && r->links[who]->open && !r->dead[who];
}

/* What of it is ours to know: messages that go out under a name that is not the sender's. */
void broker_sent(struct fuzz_run *r, unsigned who, bool text, struct span bytes) {
    if (!r->opts.agent) {
        said_note(&r->said, span_of(link_name(who)), text ? PCP_V2 : PCP_V1, bytes);
    }
}

/* ---- answers that no broker may give */

void broker_judge(struct fuzz_run *r, unsigned who, const struct link_event *e) {
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    struct error err = ERROR_INIT;
    if (e->kind == LINK_INVALID) {
        verdict(r, FUZZ_WRONG, "%s got bytes that are no WebSocket: %.*s", link_name(who), (int)e->bytes.len,
                e->bytes.len != 0 ? e->bytes.ptr : "");
    } else if (e->kind == LINK_TEXT || e->kind == LINK_BINARY) {
        enum pcp_version version = e->kind == LINK_TEXT ? PCP_V2 : PCP_V1;
        if (version != (enum pcp_version)r->links[who]->version) {
            verdict(r, FUZZ_WRONG, "%s speaks version %d and got a frame of the other kind", link_name(who),
                    r->links[who]->version);
        } else if (!pcp_decode(version, buf_span(&e->bytes), PCP_AS_CLIENT, &m, &scratch, &err)) {
            verdict(r, FUZZ_WRONG, "%s got a message that cannot be read: %s", link_name(who), err.msg);
        } else if (m.sender.len != 0 && !span_eq_cstr(m.sender, PCP_SERVER_URI) && said_is_lie(&r->said, &m)) {
            verdict(r, FUZZ_WRONG, "%s got message %.*s as from %.*s, who did not send it", link_name(who),
                    (int)m.id.len, m.id.ptr, (int)m.sender.len, m.sender.ptr);
        } else if (who == PROBE_B && span_eq_cstr(m.message_type, PROBE_TYPE)) {
            mem_free(r->delivered);
            r->delivered = span_dup(buf_span(&e->bytes));
        } else if (who == PROBE_A && span_eq_cstr(m.message_type, PCP_ERROR_MESSAGE)) {
            mem_free(r->refused);
            r->refused = span_dup(buf_span(&e->bytes));
        }
    }
    error_clear(&err);
    buf_free(&scratch);
}

/* ---- does it still work? */

static bool ready(struct fuzz_run *r, unsigned who) {
    uint64_t until = world_now_us(r->world) + r->opts.patience_ms * 1000;
    if (r->links[who] != NULL && r->links[who]->open && !r->dead[who]) {
        return true;
    }
    while (r->verdict == FUZZ_CLEAN && !r->opts.interrupted(r->opts.ctx)) {
        if (broker_dial(r, who, 2, "/pcp2/agent")) {
            return true;
        }
        if (r->verdict == FUZZ_CLEAN && world_now_us(r->world) >= until) {
            bool over = r->dead[who];
            verdict(r, over ? FUZZ_CRASH : FUZZ_HANG,
                    over ? "no connection comes about any more" : "a proper upgrade request gets no answer");
        }
        wait_for(r, never, NULL, RETRY_MS);
    }
    return false;
}

static void say(struct fuzz_run *r, unsigned who, const char *id, const char *target, uint64_t number) {
    struct buf text = BUF_INIT;
    buf_printf(&text,
               "{\"id\":\"%s\",\"message_type\":\"" PROBE_TYPE "\",\"target\":\"%s\",\"data\":{\"number\":%llu}}", id,
               target, (unsigned long long)number);
    link_send(r->links[who], true, buf_span(&text));
    buf_free(&text);
}

struct awaited {
    unsigned who;
    const char *id; /* of the message, or what it answers */
};

static bool has_come(struct fuzz_run *r, void *ctx) {
    const struct awaited *a = ctx;
    const char *last = a->who == PROBE_B ? r->delivered : r->refused;
    return r->dead[a->who] || (last != NULL && strstr(last, a->id) != NULL);
}

static void check_delivered(struct fuzz_run *r, const char *id, uint64_t number) {
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    char *data = str_printf("{\"number\":%llu}", (unsigned long long)number);
    if (!pcp_decode(PCP_V2, span_of(r->delivered), PCP_AS_CLIENT, &m, &scratch, NULL) || !span_eq_cstr(m.id, id) ||
        !span_eq_cstr(m.data, data) || !span_eq_cstr(m.sender, "pcp://fuzz-probe-a/agent") ||
        !span_eq_cstr(m.target, "pcp://" FUZZ_PROBE_NAME "/agent")) {
        verdict(r, FUZZ_WRONG, "a message between proper clients arrived as something else: %s", r->delivered);
    }
    mem_free(data);
    buf_free(&scratch);
}

static bool is_up(const struct fuzz_run *r, unsigned who) {
    return r->links[who] != NULL && !r->dead[who];
}

void broker_probe(struct fuzz_run *r) {
    if (!ready(r, PROBE_A) || !ready(r, PROBE_B)) {
        return;
    }
    char *id = message_id(r), *lost = message_id(r);
    say(r, PROBE_A, id, "pcp://" FUZZ_PROBE_NAME "/agent", r->probes);
    say(r, PROBE_A, lost, "pcp://fuzz-nobody/agent", r->probes);
    struct awaited delivered = {.who = PROBE_B, .id = id}, refused = {.who = PROBE_A, .id = lost};
    if (!wait_for(r, has_come, &delivered, r->opts.patience_ms)) {
        verdict(r, r->opts.interrupted(r->opts.ctx) ? FUZZ_CLEAN : FUZZ_HANG,
                "a message between two proper clients was not delivered within %llu ms",
                (unsigned long long)r->opts.patience_ms);
    } else if (is_up(r, PROBE_B)) {
        check_delivered(r, id, r->probes);
    }
    if (r->verdict == FUZZ_CLEAN && !wait_for(r, has_come, &refused, r->opts.patience_ms)) {
        verdict(r, r->opts.interrupted(r->opts.ctx) ? FUZZ_CLEAN : FUZZ_WRONG,
                "a message to a client that is not there was not answered");
    }
    if (r->verdict == FUZZ_CLEAN && (!is_up(r, PROBE_A) || !is_up(r, PROBE_B))) {
        wait_for(r, never, NULL, END_MS); /* the program's end, or that nobody listens any more, says more than this */
        if (r->verdict == FUZZ_CLEAN && ready(r, PROBE_A) && ready(r, PROBE_B)) {
            verdict(r, FUZZ_WRONG, "the connection of a proper client was ended");
        }
    }
    mem_free(id);
    mem_free(lost);
}
