/* Writing a message. Keys stand in the order of the reference broker's recordings. */
#include "base/clock.h"
#include "base/json.h"
#include "pcp/chunk.h"
#include "pcp/message.h"

#include <assert.h>

static void append_literal(struct buf *out, struct span literal) {
    buf_append_span(out, literal);
}

static void write_member(struct buf *out, struct span key_and_colon, struct span value) {
    if (value.len != 0) {
        append_literal(out, key_and_colon);
        json_write_string(out, value);
    }
}

static void write_start(struct buf *out, const struct pcp_message *m) {
    append_literal(out, SPAN("{\"id\":"));
    json_write_string(out, m->id);
    append_literal(out, SPAN(",\"message_type\":"));
    json_write_string(out, m->message_type);
}

static void add_part(struct pcp_parts *out, struct span part) {
    if (part.len != 0) {
        assert(out->count < PCP_PARTS_MAX);
        out->parts[out->count++] = part;
    }
}

/* *scratch is complete and moves no more: what stands in it up to `split` goes before data, the rest behind. */
static void finish(struct buf *scratch, size_t split, struct span data, struct span debug, struct pcp_parts *out) {
    struct span text = buf_span(scratch);
    out->count = 0;
    add_part(out, span_sub(text, 0, split));
    add_part(out, data);
    add_part(out, span_sub(text, split, text.len));
    add_part(out, debug);
}

static void encode_v2(const struct pcp_message *m, struct buf *scratch, struct pcp_parts *out) {
    bool error = span_eq_cstr(m->message_type, PCP_ERROR_MESSAGE);
    write_start(scratch, m);
    write_member(scratch, SPAN(",\"target\":"), m->target);
    if (!error) {
        write_member(scratch, SPAN(",\"in_reply_to\":"), m->in_reply_to);
    }
    write_member(scratch, SPAN(",\"sender\":"), m->sender);
    if (m->data.len != 0) {
        append_literal(scratch, SPAN(",\"data\":"));
    }
    size_t split = scratch->len;
    if (error) {
        write_member(scratch, SPAN(",\"in_reply_to\":"), m->in_reply_to);
    }
    buf_append_char(scratch, '}');
    finish(scratch, split, m->data, (struct span){NULL, 0}, out);
}

static void write_v1_envelope(struct buf *out, const struct pcp_message *m) {
    char expires[TIME_TEXT_LEN];
    time_format_ms(m->expires_ms, expires);
    write_start(out, m);
    write_member(out, SPAN(",\"sender\":"), m->sender);
    if (span_eq_cstr(m->message_type, PCP_INVENTORY_RESPONSE)) {
        write_member(out, SPAN(",\"in-reply-to\":"), m->in_reply_to);
    }
    append_literal(out, SPAN(",\"targets\":["));
    if (m->target.len != 0) {
        json_write_string(out, m->target);
    }
    buf_append_char(out, ']');
    if (m->sender.len == 0) {
        append_literal(out, SPAN(",\"sender\":\"" PCP_SERVER_URI "\""));
    }
    append_literal(out, SPAN(",\"expires\":\""));
    buf_append_cstr(out, expires);
    append_literal(out, m->destination_report ? SPAN("\",\"destination_report\":true}") : SPAN("\"}"));
}

/* Fills in the size of a chunk whose header was written at `at` with size 0. */
static void patch_size(struct buf *out, size_t at) {
    size_t size = out->len - at - CHUNK_HEADER_LEN;
    assert(size <= INT32_MAX);
    for (int i = 0; i < 4; i++) {
        out->ptr[at + 1 + (size_t)i] = (char)(uint8_t)(size >> (24 - 8 * i));
    }
}

/* The error text and its cause are members of one object in version 1. */
static void write_v1_error(struct buf *out, const struct pcp_message *m) {
    size_t at = out->len;
    chunk_header(out, CHUNK_DATA, 0);
    append_literal(out, SPAN("{\"description\":"));
    append_literal(out, m->data.len != 0 ? m->data : SPAN("\"\""));
    write_member(out, SPAN(",\"id\":"), m->in_reply_to);
    buf_append_char(out, '}');
    patch_size(out, at);
}

static void encode_v1(const struct pcp_message *m, struct buf *scratch, struct pcp_parts *out) {
    struct span none = {NULL, 0}, data = m->data;
    buf_append_char(scratch, PCP_V1);
    size_t at = scratch->len;
    chunk_header(scratch, CHUNK_ENVELOPE, 0);
    write_v1_envelope(scratch, m);
    patch_size(scratch, at);
    if (span_eq_cstr(m->message_type, PCP_ERROR_MESSAGE)) {
        write_v1_error(scratch, m);
        data = none;
    } else if (data.len != 0) {
        chunk_header(scratch, CHUNK_DATA, data.len);
    } else if (!span_eq_cstr(m->message_type, PCP_ASSOCIATE_REQUEST)) {
        chunk_header(scratch, CHUNK_DATA, 4);
        append_literal(scratch, SPAN("null"));
    }
    finish(scratch, scratch->len, data, m->debug, out);
}

void pcp_encode_parts(enum pcp_version version, const struct pcp_message *m, struct buf *scratch,
                      struct pcp_parts *out) {
    buf_clear(scratch);
    if (version == PCP_V1) {
        encode_v1(m, scratch, out);
    } else {
        encode_v2(m, scratch, out);
    }
}

void pcp_encode(enum pcp_version version, const struct pcp_message *m, struct buf *out) {
    struct buf scratch = BUF_INIT;
    struct pcp_parts parts;
    pcp_encode_parts(version, m, &scratch, &parts);
    for (size_t i = 0; i < parts.count; i++) {
        buf_append_span(out, parts.parts[i]);
    }
    buf_free(&scratch);
}
