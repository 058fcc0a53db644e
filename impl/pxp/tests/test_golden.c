/* Every body the reference agent was recorded with: what it sent parses and is written back to the byte; what it was
 * sent is accepted or refused as the recording shows. */
#include "base/bytes.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "pxp/body.h"
#include "pxp/status.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

static struct span data_chunk(struct span frame) {
    size_t at = 1; /* behind the version */
    while (at + 5 <= frame.len) {
        const unsigned char *p = (const unsigned char *)frame.ptr + at;
        size_t len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
        if (p[0] == 2) {
            return span_sub(frame, at + 5, len);
        }
        at += 5 + len;
    }
    return span_of(NULL);
}

/* The bytes of the data and the message type of one recorded frame. */
static bool body_of(const json_t *record, struct buf *hold, struct span *type, struct span *data) {
    const json_t *decoded = json_object_get(record, "decoded");
    if (!json_is_object(decoded) || json_object_get(record, "label") == NULL) {
        return false;
    }
    const json_t *envelope = json_object_get(decoded, "envelope");
    *type = json_span(json_object_get(envelope != NULL ? envelope : decoded, "message_type"));
    const char *hex = json_str(record, "hex");
    if (hex != NULL && envelope != NULL) {
        assert_true(hex_decode(hold, span_of(hex)));
        *data = data_chunk(buf_span(hold));
    } else {
        const json_t *value = json_object_get(decoded, "data");
        if (value != NULL) {
            json_write(hold, value);
        }
        *data = value == NULL ? span_of(NULL) : buf_span(hold);
    }
    return true;
}

static unsigned written; /* bodies compared byte for byte, of the file being read */

static void agent_said(enum pxp_type type, struct span data) {
    struct pxp_response r;
    struct error err = ERROR_INIT;
    if (!pxp_response_parse(type, PXP_V1, data, &r, &err)) {
        fail_msg("refused (%s): %.*s", err.msg, (int)data.len, data.ptr);
    }
    struct buf out = BUF_INIT;
    if (type == PXP_ERROR) {
        pxp_error_write(&out, r.transaction_id, r.request_id, r.description);
    } else if (type == PXP_PROVISIONAL_RESPONSE) {
        pxp_provisional_write(&out, r.transaction_id);
    } else if (json_str(r.results, "status") != NULL && json_str(r.results, "transaction_id") != NULL) {
        struct pxp_status s;
        assert_true(pxp_status_from_json(r.results, &s, NULL));
        json_t *again = pxp_status_to_json(&s);
        pxp_response_write(&out, r.transaction_id, again);
        json_decref(again);
    } else {
        pxp_response_write(&out, r.transaction_id, r.results);
    }
    struct buf recorded = BUF_INIT;
    pxp_utf8_repair(&recorded, data);
    if (!span_eq(buf_span(&out), buf_span(&recorded))) {
        fail_msg("written as %s\nrecorded   %s", out.ptr, recorded.ptr);
    }
    buf_free(&recorded);
    written++;
    buf_free(&out);
    pxp_response_free(&r);
}

/* `answer`: the PCP error the agent gave to this request, or NULL when it took it. */
static void agent_heard(enum pxp_type type, struct span data, const char *answer) {
    struct pxp_request r;
    struct error err = ERROR_INIT;
    bool ok = pxp_request_parse(type, data, &r, &err);
    if (answer != NULL) {
        assert_false(ok);
        assert_string_equal(err.msg, answer);
        error_clear(&err);
        return;
    }
    if (!ok) {
        fail_msg("refused (%s): %.*s", err.msg, (int)data.len, data.ptr);
    }
    struct buf out = BUF_INIT;
    pxp_request_write(&out, &r);
    json_t *back = json_parse(buf_span(&out), "test", NULL);
    json_t *given = json_parse(data, "test", NULL);
    if (json_object_get(given, "params") == NULL) {
        json_set(given, "params", json_object());
    }
    assert_true(json_equal(back, given));
    json_decref(back);
    json_decref(given);
    buf_free(&out);
    pxp_request_free(&r);
}

/* What error_message, if any, answers the request of this envelope id. */
static const char *pcp_error_for(json_t *const *records, size_t count, const char *id) {
    for (size_t i = 0; i < count; i++) {
        const json_t *decoded = json_object_get(records[i], "decoded");
        const json_t *data = json_object_get(decoded, "data");
        if (!str_eq(json_str(records[i], "dir"), "recv")) {
            continue;
        }
        if (str_eq(json_str(decoded, "in_reply_to"), id)) {
            return json_string_value(data);
        }
        const char *type = json_str(json_object_get(decoded, "envelope"), "message_type");
        if (str_eq(type, "http://puppetlabs.com/error_message") && str_eq(json_str(data, "id"), id)) {
            return json_str(data, "description");
        }
    }
    return NULL;
}

static void check_records(json_t *const *records, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct buf hold = BUF_INIT;
        struct span type_uri, data;
        if (body_of(records[i], &hold, &type_uri, &data)) {
            const json_t *decoded = json_object_get(records[i], "decoded");
            const json_t *envelope = json_object_get(decoded, "envelope");
            const char *id = json_str(envelope != NULL ? envelope : decoded, "id");
            enum pxp_type type = pxp_type_of(type_uri);
            if (type == PXP_BLOCKING_REQUEST || type == PXP_NON_BLOCKING_REQUEST) {
                agent_heard(type, data, pcp_error_for(records, count, id));
            } else if (type != PXP_NONE) {
                agent_said(type, data);
            }
        }
        buf_free(&hold);
    }
}

static void check_file(const char *name, unsigned at_least) {
    char *path = str_printf("%s/scenarios/golden/pxp-agent/%s", SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    json_t **records = NULL;
    size_t count = 0, cap = 0, line_cap = 0;
    char *line = NULL;
    ssize_t len;
    while ((len = getline(&line, &line_cap, file)) > 0) {
        records = mem_grow(records, &cap, count + 1, sizeof *records);
        records[count++] = json_parse(span_bytes(line, (size_t)len), "test", NULL);
        assert_non_null(records[count - 1]);
    }
    written = 0;
    check_records(records, count);
    assert_true(written >= at_least);
    for (size_t i = 0; i < count; i++) {
        json_decref(records[i]);
    }
    mem_free(records);
    free(line);
    fclose(file);
    mem_free(path);
}

static void bodies_of_v2(void **state) {
    (void)state;
    check_file("v2.jsonl", 122);
}
static void bodies_of_v1(void **state) {
    (void)state;
    check_file("v1.jsonl", 122);
}
static void bodies_of_connections(void **state) {
    (void)state;
    check_file("conn-v1.jsonl", 2);
    check_file("conn-v2.jsonl", 2);
}
static void bodies_of_odd_requests(void **state) {
    (void)state;
    check_file("extra-v1.jsonl", 19);
    check_file("extra-v2.jsonl", 14);
    check_file("final-v1.jsonl", 6);
    check_file("spoolq-v2.jsonl", 11);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_of_v2),
        cmocka_unit_test(bodies_of_v1),
        cmocka_unit_test(bodies_of_connections),
        cmocka_unit_test(bodies_of_odd_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
