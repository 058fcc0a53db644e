/* pcp.md §3-6, §12, §22 "Codec" */
#include "pcp/message.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "pcp/body.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ID "9a0b3c1e-5d42-4b7f-8c11-2f6d3e4a5b60"
#define CAUSE "0a7e47e3-691a-4fb7-a3e9-c2ddbc3bdf37"

static struct buf scratch = BUF_INIT;

static bool decode(enum pcp_version v, struct span bytes, enum pcp_side side, struct pcp_message *m) {
    return pcp_decode(v, bytes, side, m, &scratch, NULL);
}

static bool decode2(const char *text, struct pcp_message *m) {
    return decode(PCP_V2, span_of(text), PCP_AS_BROKER, m);
}

/* A version 1 message of an envelope text and further raw chunk bytes. */
static struct buf v1(const char *envelope, struct span rest) {
    struct buf b = BUF_INIT;
    size_t len = strlen(envelope);
    uint8_t head[] = {1, 1, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
    buf_append(&b, head, sizeof head);
    buf_append_cstr(&b, envelope);
    buf_append_span(&b, rest);
    return b;
}

#define V1_ENVELOPE                                                                                                    \
    "{\"id\":\"" ID "\",\"message_type\":\"ping\",\"expires\":\"2030-01-02T03:04:05.000000Z\","                        \
    "\"targets\":[\"pcp://b/x\"],\"sender\":\"pcp://a/y\"}"
#define DATA_CHUNK "\x02\x00\x00\x00\x07{\"n\":1}"
#define DEBUG_CHUNK "\x03\x00\x00\x00\x0b{\"hops\":[]}"

static void v1_hand_made_example_decodes(void **state) {
    (void)state;
    struct buf b = v1(V1_ENVELOPE, SPAN(DATA_CHUNK DEBUG_CHUNK));
    struct pcp_message m;
    assert_int_equal(b.len, 186);
    assert_int_equal((uint8_t)b.ptr[5], 0x98);
    assert_true(decode(PCP_V1, buf_span(&b), PCP_AS_CLIENT, &m));
    assert_true(span_eq_cstr(m.id, ID));
    assert_true(span_eq_cstr(m.message_type, "ping"));
    assert_true(span_eq_cstr(m.target, "pcp://b/x"));
    assert_true(span_eq_cstr(m.sender, "pcp://a/y"));
    assert_true(span_eq_cstr(m.data, "{\"n\":1}"));
    assert_false(m.multicast);
    int64_t expires;
    assert_true(time_parse(SPAN("2030-01-02T03:04:05Z"), &expires));
    assert_int_equal(m.expires_ms, expires);
    struct span rest = m.debug, content;
    assert_true(pcp_debug_next(&rest, &content));
    assert_true(span_eq_cstr(content, "{\"hops\":[]}"));
    assert_false(pcp_debug_next(&rest, &content));
    buf_free(&b);
}

static void v1_reserved_descriptor_bits_are_ignored(void **state) {
    (void)state;
    static const uint8_t descriptors[] = {129, 145, 0x11, 0xf1};
    for (size_t i = 0; i < sizeof descriptors; i++) {
        struct buf b = v1(V1_ENVELOPE, SPAN("\x42\x00\x00\x00\x01"
                                            "7"));
        struct pcp_message m;
        b.ptr[1] = (char)descriptors[i];
        assert_true(decode(PCP_V1, buf_span(&b), PCP_AS_CLIENT, &m));
        assert_true(span_eq_cstr(m.data, "7"));
        buf_free(&b);
    }
}

static void v1_decode_of_envelope_only_and_with_empty_data(void **state) {
    (void)state;
    static const struct span rests[] = {{"", 0},
                                        {"\x02\x00\x00\x00\x00", 5},
                                        {"\x02\x00\x00\x00\x04null", 9},
                                        {"\x02\x00\x00\x00\x01 ", 6},
                                        {"\x02\x00\x00\x00\x00\x03\x00\x00\x00\x04some", 14}};
    for (size_t i = 0; i < sizeof rests / sizeof rests[0]; i++) {
        struct buf b = v1(V1_ENVELOPE, rests[i]);
        struct pcp_message m;
        assert_true(decode(PCP_V1, buf_span(&b), PCP_AS_BROKER, &m));
        assert_int_equal(m.data.len, 0);
        assert_true(decode(PCP_V1, buf_span(&b), PCP_AS_CLIENT, &m));
        assert_int_equal(m.data.len, 0);
        buf_free(&b);
    }
}

static void v1_data_false_is_kept(void **state) {
    (void)state;
    struct buf b = v1(V1_ENVELOPE, SPAN("\x02\x00\x00\x00\x05"
                                        "false"));
    struct pcp_message m;
    assert_true(decode(PCP_V1, buf_span(&b), PCP_AS_BROKER, &m));
    assert_true(span_eq_cstr(m.data, "false"));
    buf_free(&b);
}

static void v1_decode_refuses_bad_framing(void **state) {
    (void)state;
    static const struct span bad[] = {
        {"", 0},
        {"\0", 1},
        {"\x01", 1},
        {"\x01\x01\0\0\0", 5},
        {"\x02\x01\0\0\0\x02{}", 8},       /* version 2 */
        {"\x01\x02\0\0\0\x02{}", 8},       /* data chunk first */
        {"\x01\x01\0\xff\xff\xff{}", 8},   /* length beyond the message */
        {"\x01\x01\xff\xff\xff\xff{}", 8}, /* length -1 */
        {"\x01\x01\0\0\0\x08{}", 8},       /* longer than the rest */
        {"\x01\x01\0\0\0\x01{", 7},        /* truncated JSON */
        {"\x01\x01\0\0\0\x02{}", 8},       /* incomplete envelope */
        {"\x01\x01\0\0\0\x02[]", 8},
        {"\x01\x01\0\0\0\x04nope", 10},
    };
    struct pcp_message m;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error err = ERROR_INIT;
        assert_false(pcp_decode(PCP_V1, bad[i], PCP_AS_BROKER, &m, &scratch, &err));
        assert_true(error_is(&err, "pcp/malformed"));
        error_clear(&err);
        assert_false(decode(PCP_V1, bad[i], PCP_AS_CLIENT, &m));
    }
}

static void v1_chunks_cut_short_are_refused_and_trailing_bytes_ignored(void **state) {
    (void)state;
    struct pcp_message m;
    struct span tail = SPAN(DATA_CHUNK);
    for (size_t len = 0; len < tail.len; len++) {
        struct buf b = v1(V1_ENVELOPE, span_sub(tail, 0, len));
        assert_int_equal(decode(PCP_V1, buf_span(&b), PCP_AS_BROKER, &m), len < 5);
        buf_free(&b);
    }
}

static void v1_broker_takes_the_second_chunk_as_data(void **state) {
    (void)state;
    struct pcp_message m;
    struct buf b = v1(V1_ENVELOPE, SPAN("\x07\x00\x00\x00\x01"
                                        "1"
                                        "\x02\x00\x00\x00\x01"
                                        "2"
                                        "\x03\x00\x00\x00\x01\xff"));
    assert_true(decode(PCP_V1, buf_span(&b), PCP_AS_BROKER, &m));
    assert_true(span_eq_cstr(m.data, "1"));
    assert_int_equal(m.debug.len, 0);
    assert_false(decode(PCP_V1, buf_span(&b), PCP_AS_CLIENT, &m)); /* unknown type */
    buf_free(&b);
    b = v1(V1_ENVELOPE, SPAN(DATA_CHUNK DATA_CHUNK));
    assert_false(decode(PCP_V1, buf_span(&b), PCP_AS_CLIENT, &m)); /* two data chunks */
    buf_free(&b);
}

static void v1_data_that_is_not_json(void **state) {
    (void)state;
    struct pcp_message m;
    struct buf b = v1(V1_ENVELOPE, SPAN("\x02\x00\x00\x00\x01\xff"));
    assert_false(decode(PCP_V1, buf_span(&b), PCP_AS_BROKER, &m));
    assert_true(decode(PCP_V1, buf_span(&b), PCP_AS_CLIENT, &m));
    assert_true(m.data_malformed);
    assert_int_equal(m.data.len, 0);
    buf_free(&b);
}

/* One key of the envelope at a time is left out, given a wrong type or a wrong value. */
static void v1_envelope_schema(void **state) {
    (void)state;
    static const char *const keys[] = {"id", "message_type", "expires", "targets", "sender"};
    static const char *const good[] = {"\"" ID "\"", "\"ping\"", "\"2030-01-02T03:04:05Z\"", "[\"pcp://b/x\"]",
                                       "\"pcp://a/y\""};
    static const char *const wrong[][3] = {{"1", "\"x\"", "null"},
                                           {"1", "null", "[]"},
                                           {"1", "\"tomorrow\"", "null"},
                                           {"\"pcp://b/x\"", "[1]", "[\"x\"]"},
                                           {"1", "\"x\"", "null"}};
    struct pcp_message m;
    for (size_t key = 0; key < 5; key++) {
        for (size_t variant = 0; variant < 5; variant++) { /* 3: left out, 4: all good */
            struct buf text = BUF_INIT;
            for (size_t i = 0; i < 5; i++) {
                if (i != key || variant != 3) {
                    const char *value = i == key && variant < 3 ? wrong[key][variant] : good[i];
                    buf_printf(&text, "%s\"%s\":%s", text.len != 0 ? "," : "{", keys[i], value);
                }
            }
            buf_append_char(&text, '}');
            struct buf b = v1(text.ptr, SPAN(""));
            assert_int_equal(decode(PCP_V1, buf_span(&b), PCP_AS_BROKER, &m), variant == 4);
            buf_free(&b);
            buf_free(&text);
        }
    }
}

static void v1_optional_keys(void **state) {
    (void)state;
    struct pcp_message m;
#define BASE                                                                                                           \
    "{\"id\":\"" ID "\",\"message_type\":\"ping\",\"expires\":\"2030-01-02T03:04:05Z\",\"targets\":[\"pcp://b/x\"],"   \
    "\"sender\":\"pcp://a/y\","
    struct buf b = v1(BASE "\"destination_report\":true,\"in-reply-to\":\"" CAUSE "\"}", SPAN(""));
    assert_true(decode(PCP_V1, buf_span(&b), PCP_AS_BROKER, &m));
    assert_true(m.destination_report);
    assert_true(span_eq_cstr(m.in_reply_to, CAUSE));
    buf_free(&b);
    static const char *const bad[] = {BASE "\"destination_report\":1}", BASE "\"in-reply-to\":\"x\"}",
                                      BASE "\"in_reply_to\":\"" CAUSE "\"}", BASE "\"foo\":1}"};
    for (size_t i = 0; i < 4; i++) {
        b = v1(bad[i], SPAN(""));
        assert_false(decode(PCP_V1, buf_span(&b), PCP_AS_BROKER, &m));
        buf_free(&b);
    }
}

static void v1_targets_other_than_one_are_multicast(void **state) {
    (void)state;
    static const struct {
        const char *targets;
        bool multicast;
    } cases[] = {{"[]", true},
                 {"[\"pcp://a/b\"]", false},
                 {"[\"pcp://a/b\",\"pcp://c/d\"]", true},
                 {"[\"pcp://*/b\"]", true},
                 {"[\"pcp:\\/\\/a\\u002fb\"]", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pcp_message m;
        char *text = str_printf("{\"id\":\"" ID "\",\"message_type\":\"p\",\"expires\":\"2030-01-02T03:04:05Z\","
                                "\"targets\":%s,\"sender\":\"pcp://a/y\"}",
                                cases[i].targets);
        struct buf b = v1(text, SPAN(""));
        assert_true(decode(PCP_V1, buf_span(&b), PCP_AS_BROKER, &m));
        assert_int_equal(m.multicast, cases[i].multicast);
        if (!cases[i].multicast) {
            assert_true(span_eq_cstr(m.target, "pcp://a/b"));
        }
        buf_free(&b);
        mem_free(text);
    }
}

static void v1_error_message_becomes_text_and_cause(void **state) {
    (void)state;
#define ERROR_ENVELOPE                                                                                                 \
    "{\"id\":\"" ID "\",\"message_type\":\"" PCP_ERROR_MESSAGE "\",\"expires\":\"1970-01-01T00:00:00.000Z\","          \
    "\"targets\":[],\"sender\":\"pcp:///server\"}"
    struct buf body = BUF_INIT;
    const char *text = "{\"description\":\"bang \\u00e9\",\"id\":\"" CAUSE "\"}";
    uint8_t head[] = {2, 0, 0, 0, (uint8_t)strlen(text)};
    buf_append(&body, head, sizeof head);
    buf_append_cstr(&body, text);
    struct buf b = v1(ERROR_ENVELOPE, buf_span(&body));
    struct pcp_message m;
    assert_true(decode(PCP_V1, buf_span(&b), PCP_AS_CLIENT, &m));
    assert_true(span_eq_cstr(m.data, "\"bang \\u00e9\""));
    assert_true(span_eq_cstr(m.in_reply_to, CAUSE));
    struct buf description = BUF_INIT;
    assert_true(pcp_error_read(m.data, &description));
    assert_string_equal(description.ptr, "bang \xc3\xa9");
    buf_free(&description);
    buf_free(&body);
    buf_free(&b);
    b = v1(ERROR_ENVELOPE, SPAN("\x02\x00\x00\x00\x02[]")); /* no description: no data */
    assert_true(decode(PCP_V1, buf_span(&b), PCP_AS_BROKER, &m));
    assert_int_equal(m.data.len, 0);
    buf_free(&b);
}

static void v1_encoded_bytes(void **state) {
    (void)state;
    struct pcp_message m = {.id = SPAN(ID),
                            .message_type = SPAN("ping"),
                            .target = SPAN("pcp://b/x"),
                            .sender = SPAN("pcp://a/y"),
                            .in_reply_to = SPAN(CAUSE),
                            .debug = SPAN(DEBUG_CHUNK)};
    static const char envelope[] = "{\"id\":\"" ID "\",\"message_type\":\"ping\",\"sender\":\"pcp://a/y\","
                                   "\"targets\":[\"pcp://b/x\"],\"expires\":\"1970-01-01T00:00:00.000Z\"}";
    struct buf want = v1(envelope, SPAN("\x02\x00\x00\x00\x04null" DEBUG_CHUNK)), got = BUF_INIT;
    pcp_encode(PCP_V1, &m, &got);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.ptr, want.ptr, want.len);
    buf_free(&want);
    buf_clear(&got);
    m.data = SPAN("{\"n\":1}");
    m.debug = (struct span){NULL, 0};
    want = v1(envelope, SPAN(DATA_CHUNK));
    pcp_encode(PCP_V1, &m, &got);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.ptr, want.ptr, want.len);
    buf_free(&want);
    buf_free(&got);
}

static void v1_defaults_of_an_encoded_message(void **state) {
    (void)state;
    struct pcp_message m = {.id = SPAN(ID), .message_type = SPAN("")}, back;
    struct buf got = BUF_INIT;
    pcp_encode(PCP_V1, &m, &got);
    assert_true(decode(PCP_V1, buf_span(&got), PCP_AS_CLIENT, &back));
    assert_true(span_eq_cstr(back.sender, "pcp:///server"));
    assert_int_equal(back.target.len, 0);
    assert_int_equal(back.expires_ms, 0);
    assert_true(back.multicast); /* no targets */
    buf_clear(&got);
    m = (struct pcp_message){.id = SPAN(ID), .message_type = SPAN(PCP_ASSOCIATE_REQUEST), .expires_ms = 1234567890123};
    pcp_encode(PCP_V1, &m, &got);
    assert_true(decode(PCP_V1, buf_span(&got), PCP_AS_CLIENT, &back));
    assert_int_equal(back.expires_ms, 1234567890123); /* expiry by timestamp */
    assert_true(span_ends_with(buf_span(&got), "}")); /* no data chunk */
    buf_free(&got);
}

static void v2_defaults_and_exact_text(void **state) {
    (void)state;
    struct pcp_message m = {.id = SPAN(ID), .message_type = SPAN("ping")}, back;
    struct buf got = BUF_INIT;
    pcp_encode(PCP_V2, &m, &got);
    assert_string_equal(got.ptr, "{\"id\":\"" ID "\",\"message_type\":\"ping\"}");
    assert_true(decode(PCP_V2, buf_span(&got), PCP_AS_BROKER, &back));
    assert_int_equal(back.target.len + back.sender.len + back.in_reply_to.len + back.data.len, 0);
    buf_clear(&got);
    m = (struct pcp_message){.id = SPAN(ID),
                             .message_type = SPAN("ping"),
                             .target = SPAN("pcp://b/x"),
                             .sender = SPAN("pcp://a\"b/y"),
                             .in_reply_to = SPAN(CAUSE),
                             .data = SPAN("{\"n\": 1e400}")};
    pcp_encode(PCP_V2, &m, &got);
    assert_string_equal(got.ptr,
                        "{\"id\":\"" ID "\",\"message_type\":\"ping\",\"target\":\"pcp://b/x\","
                        "\"in_reply_to\":\"" CAUSE "\",\"sender\":\"pcp://a\\\"b/y\",\"data\":{\"n\": 1e400}}");
    assert_true(decode(PCP_V2, buf_span(&got), PCP_AS_BROKER, &back));
    assert_true(span_eq_cstr(back.sender, "pcp://a\"b/y"));
    assert_true(span_eq_cstr(back.data, "{\"n\": 1e400}"));
    assert_true(span_eq(back.raw, buf_span(&got)));
    buf_clear(&got);
    m = (struct pcp_message){.id = SPAN(ID),
                             .message_type = SPAN(PCP_ERROR_MESSAGE),
                             .in_reply_to = SPAN(CAUSE),
                             .data = SPAN("\"Not connected.\"")};
    pcp_encode(PCP_V2, &m, &got);
    assert_string_equal(got.ptr, "{\"id\":\"" ID "\",\"message_type\":\"" PCP_ERROR_MESSAGE
                                 "\",\"data\":\"Not connected.\",\"in_reply_to\":\"" CAUSE "\"}");
    buf_free(&got);
}

#define HEAD "\"id\":\"" ID "\",\"message_type\":\"x\""

static void v2_decode_refuses_the_wrong_shape(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "hello",
                                      "{\"id\":",
                                      "{}",
                                      "[]",
                                      "\"x\"",
                                      "1",
                                      "null",
                                      "{} {}",
                                      "{\"message_type\":\"x\"}",
                                      "{\"id\":\"123\",\"message_type\":\"x\"}",
                                      "{\"id\":1,\"message_type\":\"x\"}",
                                      "{\"id\":\"" ID "\"}",
                                      "{\"id\":\"" ID "\",\"message_type\":5}",
                                      "{" HEAD ",\"target\":\"nope\"}",
                                      "{" HEAD ",\"target\":\"pcp://a/b/c\"}",
                                      "{" HEAD ",\"target\":[\"pcp://a/b\"]}",
                                      "{" HEAD ",\"target\":null}",
                                      "{" HEAD ",\"target\":\"pcp://a/\"}",
                                      "{" HEAD ",\"target\":\"\"}",
                                      "{" HEAD ",\"sender\":\"nope\"}",
                                      "{" HEAD ",\"sender\":null}",
                                      "{" HEAD ",\"foo\":1}",
                                      "{" HEAD ",\"in_reply_to\":\"x\"}",
                                      "{" HEAD ",\"in_reply_to\":null}",
                                      "{" HEAD ",\"data\":nope}",
                                      "{" HEAD ",\"data\":\"\\ud800\"}",
                                      "{" HEAD ",\"data\":\"\xff\"}",
                                      "{" HEAD ",\"expires\":\"2030-01-01T00:00:00Z\"}",
                                      "{" HEAD};
    struct pcp_message m;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error err = ERROR_INIT;
        assert_false(pcp_decode(PCP_V2, span_of(bad[i]), PCP_AS_BROKER, &m, &scratch, &err));
        assert_true(error_is(&err, "pcp/malformed"));
        error_clear(&err);
    }
}

static void v2_decode_is_lenient_where_the_reference_is(void **state) {
    (void)state;
    struct pcp_message m;
    assert_true(decode2("  {\"id\" : \"" ID "\" , \"message_type\":\"\"} trailing garbage", &m));
    assert_true(span_eq_cstr(m.raw, "{\"id\" : \"" ID "\" , \"message_type\":\"\"}"));
    assert_false(decode(PCP_V2, SPAN("{" HEAD "} {}"), PCP_AS_CLIENT, &m)); /* but a client drops it */
    assert_true(decode(PCP_V2, SPAN("{" HEAD "} \n"), PCP_AS_CLIENT, &m));
    assert_true(decode2("{" HEAD ",\"message_type\":\"dup2\",\"data\":{\"a\":1,\"a\":2}}", &m));
    assert_true(m.repeated_keys);
    assert_true(span_eq_cstr(m.message_type, "dup2"));
    assert_true(span_eq_cstr(m.data, "{\"a\":1,\"a\":2}"));
    assert_true(decode2("{\"id\":7," HEAD "}", &m)); /* the last one counts, also for its type */
    assert_true(decode2("{" HEAD ",\"data\":null}", &m));
    assert_true(span_eq_cstr(m.data, "null"));
    assert_true(decode2("{" HEAD ",\"message_type\":\"a\\u0000\\u00e9\",\"t\\u0061rget\":\"pcp:\\/\\/a\\/b\"}", &m));
    assert_int_equal(m.message_type.len, 4);
    assert_true(span_eq_cstr(m.target, "pcp://a/b"));
    assert_true(decode(PCP_V2, SPAN("{\"id\":\"x\",\"message_type\":\"p\",\"sender\":\"any\"}"), PCP_AS_CLIENT, &m));
}

static void target_with_star_or_v1_count_is_multicast(void **state) {
    (void)state;
    struct pcp_message m;
    assert_true(decode2("{" HEAD ",\"target\":\"pcp://*/agent\"}", &m) && m.multicast);
    assert_true(decode2("{" HEAD ",\"target\":\"pcp://bob/*\"}", &m) && m.multicast);
    assert_true(decode2("{" HEAD ",\"target\":\"pcp://bob/agent\"}", &m) && !m.multicast);
    assert_true(decode2("{" HEAD "}", &m) && !m.multicast);
}

static void round_trip_keeps_data_bytes(void **state) {
    (void)state;
    static const char *const values[] = {"{\"huge\":1e400,\"tiny\":1e-7,\"neg\":-0,\"e\":1e3}",
                                         "[ 1 , 2 ]",
                                         "\"\\u00e9\\ud83d\\ude00\\/\"",
                                         "{\"k\":{\"a\":1,\"a\":2}}",
                                         "false",
                                         "\"\xc3\xa9\""};
    for (enum pcp_version v = PCP_V1; v <= PCP_V2; v++) {
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            struct pcp_message m = {.id = SPAN(ID),
                                    .message_type = SPAN("x"),
                                    .target = SPAN("pcp://b/x"),
                                    .sender = SPAN("pcp://a/y"),
                                    .data = span_of(values[i])};
            struct pcp_message back;
            struct buf bytes = BUF_INIT;
            pcp_encode(v, &m, &bytes);
            assert_true(decode(v, buf_span(&bytes), PCP_AS_BROKER, &back));
            assert_true(span_eq(back.data, m.data));
            assert_true(span_eq(back.id, m.id) && span_eq(back.sender, m.sender) && span_eq(back.target, m.target));
            buf_free(&bytes);
        }
    }
}

static void parts_borrow_the_data(void **state) {
    (void)state;
    struct pcp_message m = {.id = SPAN(ID), .message_type = SPAN("x"), .data = SPAN("{\"n\":1}")};
    struct pcp_parts parts;
    for (enum pcp_version v = PCP_V1; v <= PCP_V2; v++) {
        bool found = false;
        pcp_encode_parts(v, &m, &scratch, &parts);
        for (size_t i = 0; i < parts.count; i++) {
            found |= parts.parts[i].ptr == m.data.ptr;
        }
        assert_true(found);
    }
}

static int clean_up(void **state) {
    (void)state;
    buf_free(&scratch);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v1_hand_made_example_decodes),
        cmocka_unit_test(v1_reserved_descriptor_bits_are_ignored),
        cmocka_unit_test(v1_decode_of_envelope_only_and_with_empty_data),
        cmocka_unit_test(v1_data_false_is_kept),
        cmocka_unit_test(v1_decode_refuses_bad_framing),
        cmocka_unit_test(v1_chunks_cut_short_are_refused_and_trailing_bytes_ignored),
        cmocka_unit_test(v1_broker_takes_the_second_chunk_as_data),
        cmocka_unit_test(v1_data_that_is_not_json),
        cmocka_unit_test(v1_envelope_schema),
        cmocka_unit_test(v1_optional_keys),
        cmocka_unit_test(v1_targets_other_than_one_are_multicast),
        cmocka_unit_test(v1_error_message_becomes_text_and_cause),
        cmocka_unit_test(v1_encoded_bytes),
        cmocka_unit_test(v1_defaults_of_an_encoded_message),
        cmocka_unit_test(v2_defaults_and_exact_text),
        cmocka_unit_test(v2_decode_refuses_the_wrong_shape),
        cmocka_unit_test(v2_decode_is_lenient_where_the_reference_is),
        cmocka_unit_test(target_with_star_or_v1_count_is_multicast),
        cmocka_unit_test(round_trip_keeps_data_bytes),
        cmocka_unit_test(parts_borrow_the_data),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
