/* links: fuzz_mutate pcp base */
/* Version 1 bytes as broker and as client: whatever is accepted can be written in both versions and read again, and a
 * client never accepts an envelope that a broker finds malformed for its framing. */
#include "base/mem.h"
#include "fuzz/mutate/mutate.h"
#include "pcp/body.h"
#include "pcp/message.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
MUTATOR(mutate_pcp_v1)

static void check_again(enum pcp_version v, const struct pcp_message *m, enum pcp_side side) {
    struct buf bytes = BUF_INIT, scratch = BUF_INIT;
    struct pcp_message back;
    pcp_encode(v, m, &bytes);
    bool ok = pcp_decode(v, buf_span(&bytes), side, &back, &scratch, NULL);
    assert(ok);
    assert(span_eq(back.id, m->id) && span_eq(back.message_type, m->message_type) && span_eq(back.sender, m->sender));
    assert(span_eq(back.target, m->target));
    if (!span_eq_cstr(m->message_type, PCP_ERROR_MESSAGE)) {
        assert(span_eq(back.data, m->data));
    }
    if (v == PCP_V1) {
        assert(span_eq(back.debug, m->debug));
    }
    buf_free(&bytes);
    buf_free(&scratch);
}

static void nothing_uri(void *ctx, struct span uri) {
    (void)ctx;
    assert(pcp_uri_parse(uri, NULL));
}

static void nothing_change(void *ctx, const struct pcp_change *c) {
    nothing_uri(ctx, c->client);
}

static void read_bodies(struct span data) {
    struct pcp_inventory_request request;
    struct pcp_associate_response associated;
    struct buf text = BUF_INIT;
    if (pcp_inventory_request_read(data, &request, NULL)) {
        pcp_inventory_request_free(&request);
    }
    if (pcp_associate_response_read(data, &associated, NULL)) {
        pcp_associate_response_free(&associated);
    }
    pcp_inventory_response_read(data, nothing_uri, NULL, NULL);
    pcp_inventory_update_read(data, nothing_change, NULL, NULL);
    pcp_error_read(data, &text);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buf scratch = BUF_INIT;
    struct pcp_message m;
    struct span bytes = span_bytes(data, size), content;
    if (pcp_decode(PCP_V1, bytes, PCP_AS_BROKER, &m, &scratch, NULL)) {
        assert(m.debug.len == 0 && !m.data_malformed);
        bool expires_fits = m.expires_ms >= 0 && m.expires_ms < INT64_C(250000000000000);
        m.expires_ms = expires_fits ? m.expires_ms : 0;
        check_again(PCP_V1, &m, PCP_AS_BROKER);
        check_again(PCP_V2, &m, PCP_AS_BROKER);
        read_bodies(m.data);
    }
    if (pcp_decode(PCP_V1, bytes, PCP_AS_CLIENT, &m, &scratch, NULL)) {
        for (struct span rest = m.debug; pcp_debug_next(&rest, &content);) {
            assert(content.ptr >= bytes.ptr && content.ptr + content.len <= bytes.ptr + bytes.len);
        }
    }
    buf_free(&scratch);
    return 0;
}
