/* Version 1: {"id","message_type","targets","expires","sender"}; an error's data is {"id","description"}. Version 2 is
 * written alike by everybody. (agent-observed.md, "Envelope") */
#include "agent/frame.h"
#include "base/clock.h"
#include "base/json.h"
#include "pcp/chunk.h"

static void write_envelope(struct buf *out, const struct pcp_message *m) {
    char expires[TIME_TEXT_LEN];
    time_format_ms(m->expires_ms, expires);
    buf_append_cstr(out, "{\"id\":");
    json_write_string(out, m->id);
    buf_append_cstr(out, ",\"message_type\":");
    json_write_string(out, m->message_type);
    buf_append_cstr(out, ",\"targets\":[");
    json_write_string(out, m->target);
    /* The reference has microseconds here. */
    buf_printf(out, "],\"expires\":\"%.*s000Z\",\"sender\":", (int)(span_of(expires).len - 1), expires);
    json_write_string(out, m->sender);
    buf_append_char(out, '}');
}

static void write_error(struct buf *out, const struct pcp_message *m) {
    buf_append_cstr(out, "{\"id\":");
    json_write_string(out, m->in_reply_to);
    buf_append_cstr(out, ",\"description\":");
    buf_append_span(out, m->data);
    buf_append_char(out, '}');
}

static void add_part(struct pcp_parts *out, struct span part) {
    if (part.len > 0) {
        out->parts[out->count++] = part;
    }
}

void frame_encode(enum pcp_version version, const struct pcp_message *m, struct buf *scratch, struct pcp_parts *out) {
    if (version == PCP_V2) {
        pcp_encode_parts(version, m, scratch, out);
        return;
    }
    struct buf envelope = BUF_INIT, error = BUF_INIT;
    write_envelope(&envelope, m);
    struct span data = m->data;
    if (span_eq_cstr(m->message_type, PCP_ERROR_MESSAGE)) {
        write_error(&error, m);
        data = buf_span(&error);
    }
    buf_clear(scratch);
    buf_append_char(scratch, PCP_V1);
    chunk_header(scratch, CHUNK_ENVELOPE, envelope.len);
    buf_append_span(scratch, buf_span(&envelope));
    if (data.len > 0) {
        chunk_header(scratch, CHUNK_DATA, data.len);
    }
    if (error.len > 0) {
        buf_append_span(scratch, data);
        data = span_of(NULL);
    }
    out->count = 0;
    add_part(out, buf_span(scratch));
    add_part(out, data);
    add_part(out, m->debug);
    buf_free(&envelope);
    buf_free(&error);
}
