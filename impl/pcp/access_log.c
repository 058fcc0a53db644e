/* The access log's line. */
#include "pcp/access_log.h"

#include "base/clock.h"

static const char *const names[] = {
    [PCP_AUTHORIZATION_SUCCESS] = "AUTHORIZATION_SUCCESS", [PCP_AUTHENTICATION_FAILURE] = "AUTHENTICATION_FAILURE",
    [PCP_AUTHORIZATION_FAILURE] = "AUTHORIZATION_FAILURE", [PCP_MULTICAST_UNSUPPORTED] = "MULTICAST_UNSUPPORTED",
    [PCP_DESERIALIZATION_ERROR] = "DESERIALIZATION_ERROR", [PCP_EXPIRED] = "EXPIRED",
};

const char *pcp_outcome_name(enum pcp_outcome o) {
    return names[o];
}

bool pcp_outcome_is_warning(enum pcp_outcome o) {
    return o != PCP_AUTHORIZATION_SUCCESS;
}

static void append_field(struct buf *out, struct span field) {
    buf_append_char(out, ' ');
    size_t from = 0;
    for (size_t i = 0; i < field.len; i++) {
        unsigned char c = (unsigned char)field.ptr[i];
        if (c <= ' ' || c == 0x7f) {
            buf_append(out, field.ptr + from, i - from);
            buf_printf(out, "\\x%02x", c);
            from = i + 1;
        }
    }
    if (from < field.len) {
        buf_append(out, field.ptr + from, field.len - from);
    }
}

static struct span or_server(struct span uri) {
    return uri.len != 0 ? uri : SPAN(PCP_SERVER_URI);
}

void pcp_access_line(struct buf *out, const struct pcp_access *a) {
    struct civil_time t = time_civil(a->when_ms);
    const struct pcp_message *m = a->message;
    buf_printf(out, "[%04d-%02d-%02d %02d:%02d:%02d,%03d] %s", t.year, t.month, t.day, t.hour, t.minute, t.second,
               t.millisecond, names[a->outcome]);
    append_field(out, span_of(a->remote));
    if (m == NULL) {
        buf_append_cstr(out, " unknown unknown unknown unknown unknown");
        return;
    }
    append_field(out, a->common_name != NULL ? span_of(a->common_name) : SPAN("unknown"));
    append_field(out, or_server(m->sender));
    append_field(out, m->message_type);
    append_field(out, m->id);
    append_field(out, or_server(m->target));
}
