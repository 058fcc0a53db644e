/* links: fuzz_mutate pcp base */
/* The envelope reader against jansson: both take the same messages and see the same fields; data stays JSON; what was
 * read can be written in either version and read again. */
#include "base/json.h"
#include "base/mem.h"
#include "fuzz/mutate/mutate.h"
#include "pcp/json_scan.h"
#include "pcp/message.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
MUTATOR(mutate_pcp_v2)

/* Where jansson is known to differ: numbers out of a double's range, NUL in a key, and its own nesting limit. */
static bool known_difference(const json_error_t *why) {
    enum json_error_code code = json_error_code(why);
    return code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
           code == json_error_stack_overflow;
}

static bool field_fits(const json_t *object, const char *key, bool (*valid)(struct span)) {
    const json_t *value = json_object_get(object, key);
    return value == NULL || (json_is_string(value) && valid(json_span(value)));
}

static bool is_uri(struct span s) {
    return pcp_uri_parse(s, NULL);
}

static bool is_any(struct span s) {
    return s.ptr != NULL;
}

/* The schema of pcp.md §6, the slow way. */
static bool schema_allows(const json_t *object) {
    const char *key;
    size_t len;
    json_t *value;
    static const char *const known[] = {"id", "message_type", "target", "sender", "in_reply_to", "data"};
    if (!json_is_object(object) || json_object_get(object, "id") == NULL ||
        json_object_get(object, "message_type") == NULL) {
        return false;
    }
    json_object_keylen_foreach((json_t *)object, key, len, value) {
        bool found = false;
        for (size_t i = 0; i < 6; i++) {
            found |= span_eq_cstr(span_bytes(key, len), known[i]);
        }
        if (!found) {
            return false;
        }
    }
    return field_fits(object, "id", pcp_id_valid) && field_fits(object, "message_type", is_any) &&
           field_fits(object, "target", is_uri) && field_fits(object, "sender", is_uri) &&
           field_fits(object, "in_reply_to", pcp_id_valid);
}

static void check_field(const json_t *object, const char *key, struct span got) {
    struct span want = json_span(json_object_get(object, key));
    assert(span_eq(got, want));
}

static void check_again(enum pcp_version v, const struct pcp_message *m) {
    struct buf bytes = BUF_INIT, scratch = BUF_INIT;
    struct pcp_message back;
    bool error = span_eq_cstr(m->message_type, PCP_ERROR_MESSAGE);
    pcp_encode(v, m, &bytes);
    bool ok = pcp_decode(v, buf_span(&bytes), PCP_AS_BROKER, &back, &scratch, NULL);
    assert(ok);
    assert(span_eq(back.id, m->id) && span_eq(back.message_type, m->message_type) && span_eq(back.target, m->target));
    if (v == PCP_V2) {
        assert(span_eq(back.data, m->data) && span_eq(back.sender, m->sender) &&
               span_eq(back.in_reply_to, m->in_reply_to));
    } else if (!error && !span_eq_cstr(m->data, "null")) {
        assert(span_eq(back.data, m->data));
    }
    buf_free(&bytes);
    buf_free(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buf scratch = BUF_INIT;
    struct pcp_message m;
    json_error_t why;
    struct span text = span_bytes(data, size);
    bool ours = pcp_decode(PCP_V2, text, PCP_AS_BROKER, &m, &scratch, NULL);
    json_t *theirs = json_loadb(text.ptr, size, JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, &why);
    if (theirs == NULL) {
        assert(!ours || known_difference(&why));
    } else if (schema_allows(theirs)) {
        if (ours) {
            check_field(theirs, "id", m.id);
            check_field(theirs, "message_type", m.message_type);
            check_field(theirs, "target", m.target);
            check_field(theirs, "sender", m.sender);
            check_field(theirs, "in_reply_to", m.in_reply_to);
            assert((m.data.len != 0) == (json_object_get(theirs, "data") != NULL));
        } else if (!span_has_nul(text)) {  /* jansson loses a NUL byte behind a number */
            struct error err = ERROR_INIT; /* the only reason left is nesting */
            json_t *shallow = json_parse(text, "deep", &err);
            assert(shallow == NULL);
            error_clear(&err);
        }
    } else {
        assert(!ours);
    }
    if (ours) {
        assert(json_scan_value(m.raw).len == m.raw.len);
        check_again(PCP_V2, &m);
        check_again(PCP_V1, &m);
    }
    json_decref(theirs);
    buf_free(&scratch);
    return 0;
}
