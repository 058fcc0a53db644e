/* Reading a message: the envelope's fields are found, checked and borrowed; data stays raw. */
#include "base/clock.h"
#include "pcp/chunk.h"
#include "pcp/json_scan.h"
#include "pcp/message.h"

#include <string.h>

static const char malformed[] = "pcp/malformed";

#define KEY(literal)                                                                                                   \
    { "" literal "", sizeof(literal) - 1 }
static const struct span v1_keys[] = {KEY("id"),          KEY("message_type"), KEY("targets"),           KEY("sender"),
                                      KEY("in-reply-to"), KEY("expires"),      KEY("destination_report")};
static const struct span v2_keys[] = {KEY("id"),     KEY("message_type"), KEY("target"),
                                      KEY("sender"), KEY("in_reply_to"),  KEY("data")};
enum {
    FIELD_ID,
    FIELD_TYPE,
    FIELD_TARGET,
    FIELD_SENDER,
    FIELD_REPLY,
    FIELD_DATA,
    FIELD_EXPIRES = FIELD_DATA,
    FIELD_REPORT,
    FIELD_COUNT
};

struct envelope {
    struct json_field fields[FIELD_COUNT];
    enum pcp_side side;
    struct buf *scratch;
    struct error *err;
};

static bool scan_envelope(struct envelope *e, struct span text, const struct span *keys, size_t count,
                          struct pcp_message *out) {
    for (size_t i = 0; i < count; i++) {
        e->fields[i].name = keys[i];
    }
    if (!json_scan_object(text, e->fields, count, &out->raw, &out->repeated_keys)) {
        return error_set(e->err, malformed, "the envelope is not a JSON object with the known keys only");
    }
    size_t after = (size_t)(out->raw.ptr + out->raw.len - text.ptr);
    if (e->side == PCP_AS_CLIENT && span_trim(span_sub(text, after, text.len)).len != 0) {
        return error_set(e->err, malformed, "text follows the envelope");
    }
    /* Every string that has to be unescaped fits without the buffer moving. */
    size_t room = 0;
    for (size_t i = 0; i < count; i++) {
        struct span value = e->fields[i].value;
        if (json_text_is_string(value) && memchr(value.ptr, '\\', value.len) != NULL) {
            room += value.len;
        }
        if (i == FIELD_TARGET && value.len != 0 && value.ptr[0] == '[') {
            room += value.len;
        }
    }
    if (room != 0) {
        buf_reserve(e->scratch, room);
    }
    return true;
}

static bool any_text(struct span text) {
    (void)text;
    return true;
}

static bool is_uri(struct span text) {
    return pcp_uri_parse(text, NULL);
}

static bool take_string(struct envelope *e, size_t field, bool required, bool (*valid)(struct span), struct span *out) {
    struct span value = e->fields[field].value;
    if (value.len == 0) {
        return !required || error_set(e->err, malformed, "%s is missing", e->fields[field].name.ptr);
    }
    if (!json_text_is_string(value)) {
        return error_set(e->err, malformed, "%s is not a string", e->fields[field].name.ptr);
    }
    *out = json_string_text(value, e->scratch);
    if (e->side == PCP_AS_BROKER && !valid(*out)) {
        return error_set(e->err, malformed, "%s is not valid", e->fields[field].name.ptr);
    }
    return true;
}

static bool take_common(struct envelope *e, struct pcp_message *out) {
    return take_string(e, FIELD_ID, true, pcp_id_valid, &out->id) &&
           take_string(e, FIELD_TYPE, true, any_text, &out->message_type) &&
           take_string(e, FIELD_REPLY, false, pcp_id_valid, &out->in_reply_to);
}

static bool decode_v2(struct envelope *e, struct span text, struct pcp_message *out) {
    if (!scan_envelope(e, text, v2_keys, sizeof v2_keys / sizeof v2_keys[0], out) || !take_common(e, out) ||
        !take_string(e, FIELD_TARGET, false, is_uri, &out->target) ||
        !take_string(e, FIELD_SENDER, false, is_uri, &out->sender)) {
        return false;
    }
    out->data = e->fields[FIELD_DATA].value;
    out->multicast = out->target.len != 0 && pcp_uri_is_wildcard(out->target);
    return true;
}

static bool take_targets(struct envelope *e, struct pcp_message *out) {
    struct span rest = e->fields[FIELD_TARGET].value, element;
    if (rest.len == 0 || rest.ptr[0] != '[') {
        return error_set(e->err, malformed, "targets is not an array");
    }
    size_t count = 0;
    for (; json_scan_element(&rest, &element); count++) {
        if (!json_text_is_string(element)) {
            return error_set(e->err, malformed, "a target is not a string");
        }
        struct span target = json_string_text(element, e->scratch);
        if (e->side == PCP_AS_BROKER && !is_uri(target)) {
            return error_set(e->err, malformed, "a target is not a URI");
        }
        if (count == 0) {
            out->target = target;
        }
    }
    out->multicast = count != 1 || pcp_uri_is_wildcard(out->target);
    return true;
}

static bool take_v1_rest(struct envelope *e, struct pcp_message *out) {
    struct span expires = {NULL, 0}, report = e->fields[FIELD_REPORT].value;
    if (!take_string(e, FIELD_SENDER, true, is_uri, &out->sender) ||
        !take_string(e, FIELD_EXPIRES, true, any_text, &expires)) {
        return false;
    }
    if (!time_parse(expires, &out->expires_ms)) {
        return error_set(e->err, malformed, "expires is not a time");
    }
    out->destination_report = span_eq_cstr(report, "true");
    if (report.len != 0 && !out->destination_report && !span_eq_cstr(report, "false")) {
        return error_set(e->err, malformed, "destination_report is not true or false");
    }
    return true;
}

static bool take_data(struct envelope *e, struct span content, struct pcp_message *out) {
    out->data = json_scan_value(content);
    if (out->data.len == 0 && span_trim(content).len != 0) {
        out->data_malformed = true;
        return e->side == PCP_AS_CLIENT || error_set(e->err, malformed, "the data chunk is not JSON");
    }
    if (span_eq_cstr(out->data, "null")) {
        out->data = (struct span){NULL, 0};
    }
    return true;
}

/* What stands behind the envelope. */
static bool take_chunks(struct envelope *e, struct span rest, struct pcp_message *out) {
    bool have_data = false;
    int type;
    struct span content, debug = {NULL, 0};
    for (;;) {
        const char *start = rest.ptr;
        enum chunk_result r = chunk_next(&rest, &type, &content);
        if (r != CHUNK_OK) {
            out->debug = debug;
            return r == CHUNK_END || error_set(e->err, malformed, "a chunk is cut short");
        }
        if (e->side == PCP_AS_BROKER) {
            if (!have_data && !take_data(e, content, out)) {
                return false;
            }
            have_data = true;
        } else if (type == CHUNK_DATA) {
            if (have_data) {
                return error_set(e->err, malformed, "more than one data chunk");
            }
            have_data = true;
            take_data(e, content, out);
            if (debug.len != 0) { /* debug chunks on both sides of data are no single span: keep the later ones */
                debug = (struct span){NULL, 0};
            }
        } else if (type == CHUNK_DEBUG) {
            debug.ptr = debug.len == 0 ? start : debug.ptr;
            debug.len = (size_t)(rest.ptr - debug.ptr);
        } else {
            return error_set(e->err, malformed, "unknown chunk type %d", type);
        }
    }
}

/* {description, id} of version 1 becomes version 2's plain text and in_reply_to. */
static void translate_error(struct envelope *e, struct pcp_message *out) {
    struct json_field fields[] = {{.name = KEY("description")}, {.name = KEY("id")}};
    struct span whole, data = out->data;
    bool repeated;
    out->data = (struct span){NULL, 0};
    if (data.len == 0 || !json_scan_object(data, fields, 2, &whole, &repeated)) {
        return;
    }
    if (json_text_is_string(fields[0].value)) {
        out->data = fields[0].value;
    }
    if (json_text_is_string(fields[1].value) && memchr(fields[1].value.ptr, '\\', fields[1].value.len) == NULL) {
        struct span id = json_string_text(fields[1].value, e->scratch);
        out->in_reply_to = pcp_id_valid(id) ? id : out->in_reply_to;
    }
}

static bool decode_v1(struct envelope *e, struct span bytes, struct pcp_message *out) {
    struct span rest = span_sub(bytes, 1, bytes.len), text;
    int type;
    if (bytes.len < 1 + CHUNK_HEADER_LEN) {
        return error_set(e->err, malformed, "shorter than an envelope");
    }
    if (bytes.ptr[0] != PCP_V1) {
        return error_set(e->err, malformed, "unsupported message version %d", (unsigned char)bytes.ptr[0]);
    }
    if (chunk_next(&rest, &type, &text) != CHUNK_OK || type != CHUNK_ENVELOPE) {
        return error_set(e->err, malformed, "the first chunk is no whole envelope");
    }
    if (!scan_envelope(e, text, v1_keys, sizeof v1_keys / sizeof v1_keys[0], out) || !take_common(e, out) ||
        !take_targets(e, out) || !take_v1_rest(e, out) || !take_chunks(e, rest, out)) {
        return false;
    }
    if (span_eq_cstr(out->message_type, PCP_ERROR_MESSAGE)) {
        translate_error(e, out);
    }
    return true;
}

bool pcp_decode(enum pcp_version version, struct span bytes, enum pcp_side side, struct pcp_message *out,
                struct buf *scratch, struct error *err) {
    struct envelope e = {.side = side, .scratch = scratch, .err = err};
    memset(out, 0, sizeof *out);
    buf_clear(scratch);
    return version == PCP_V1 ? decode_v1(&e, bytes, out) : decode_v2(&e, bytes, out);
}
