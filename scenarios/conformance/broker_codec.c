/* Messages that are none, and those that only look odd (pcp.md §3, §6, §11). */
#include "base/mem.h"
#include "scenarios/conformance/broker_side.h"
#include <string.h>

#define UNDECODABLE "Could not decode message"
#define EXPIRES "'expires': '2099-01-01T00:00:00.000Z'"

/* ---- v2 */

static void refused_text(struct stage *s) {
    struct link *l = connects_v(s, 2, 1, "agent");
    fresh_id(s);
    say_text(s, l, s->c->data);
    hears_error_without_id(s, l, UNDECODABLE);
    works(s, l);
}

static void not_json(struct stage *s) {
    struct link *l = connects_v(s, 2, 1, "agent");
    say_text(s, l, s->c->data);
    static const struct answer answers[] = {
        {OURS, "{'id': '$uuid', 'message_type': '${pl}error_message', 'data': '" UNDECODABLE "'}"},
        {REF18, "close 1011 *"},
        {REF, "end"},
        {0, NULL}};
    expects_any(s, l, answers);
}

static void trailing_garbage(struct stage *s) {
    struct link *l = connects_v(s, 2, 1, "agent");
    fresh_id(s);
    say_text(s, l, "{\"id\": \"${sent}\", \"message_type\": \"example\", \"target\": \"${a1}\"} and more");
    expects(s, l, "{'id': '${sent}', 'message_type': 'example', 'target': '${a1}', 'sender': '${a1}'}");
    works(s, l);
}

static void duplicate_key(struct stage *s) {
    struct link *l = connects_v(s, 2, 1, "agent");
    fresh_id(s);
    say_text(s, l,
             "{\"id\": \"${sent}\", \"message_type\": \"first\", \"message_type\": \"second\", \"target\": \"${a1}\"}");
    static const struct answer answers[] = {
        {ALL, "{'id': '${sent}', 'message_type': 'second', 'target': '${a1}', 'sender': '${a1}'}"},
        {OURS, "{'id': '$uuid', 'message_type': '${pl}error_message', 'data': '" UNDECODABLE "'}"},
        {0, NULL}};
    expects_any(s, l, answers);
    works(s, l);
}

static void binary_frame(struct stage *s) {
    struct link *l = connects_v(s, 2, 1, "agent");
    fresh_id(s);
    char *text =
        variables_fill(&s->vars, "{\"id\": \"${sent}\", \"message_type\": \"example\", \"target\": \"${a1}\"}");
    link_send(l, false, span_of(text));
    mem_free(text);
    hears_error_without_id(s, l, UNDECODABLE);
    works(s, l);
}

static void minimal_message(struct stage *s) {
    struct link *l = connects_v(s, 2, 1, "agent");
    fresh_id(s);
    say_text(s, l, "{\"id\": \"${sent}\", \"message_type\": \"example\", \"target\": \"${a1}\"}");
    expects(s, l, "{'id': '${sent}', 'message_type': 'example', 'target': '${a1}', 'sender': '${a1}'}");
}

static void full_message(struct stage *s) {
    struct link *l = connects_v(s, 2, 1, "agent");
    fresh_id(s);
    say_text(
        s, l,
        " { \"data\" : {\"a\": [1, true, null, \"\\u00e9\\n\"]}, \"in_reply_to\": \"${sent}\", \"sender\": \"${a1}\","
        "\n\"target\": \"${a1}\", \"message_type\": \"example\", \"id\": \"${sent}\" } ");
    expects(s, l,
            "{\"id\": \"${sent}\", \"message_type\": \"example\", \"target\": \"${a1}\", \"sender\": \"${a1}\","
            " \"in_reply_to\": \"${sent}\", \"data\": {\"a\": [1, true, null, \"\\u00e9\\n\"]}}");
}

/* The receiver reads the same value, whatever was done to its text on the way. */
static void data_arrives(struct stage *s) {
    struct link *from = connects_v(s, 2, 1, "agent"), *to = connects_v(s, 2, 2, "agent");
    fresh_id(s);
    char *message =
        str_printf("{\"id\": \"${sent}\", \"message_type\": \"example\", \"target\": \"${a2}\", \"data\": %s}",
                   (const char *)s->c->data);
    const char *text = keep_text(s, message);
    say_text(s, from, text);
    message = str_printf("{\"id\": \"${sent}\", \"message_type\": \"example\", \"target\": \"${a2}\", \"sender\": "
                         "\"${a1}\", \"data\": %s}",
                         (const char *)s->c->data);
    expects(s, to, keep_text(s, message));
}

/* Ours does not touch the bytes of data. */
static void data_bytes_arrive(struct stage *s) {
    struct link *from = connects_v(s, 2, 1, "agent"), *to = connects_v(s, 2, 2, "agent");
    fresh_id(s);
    char *message =
        str_printf("{\"id\": \"${sent}\", \"message_type\": \"example\", \"target\": \"${a2}\", \"data\": %s}",
                   (const char *)s->c->data);
    say_text(s, from, message);
    mem_free(message);
    struct link_event *e = next_event(s, to);
    bool found = e->kind == LINK_TEXT && span_find_span(buf_span(&e->bytes), span_of(s->c->data)) >= 0;
    const char *got = keep_text(s, span_dup(buf_span(&e->bytes)));
    link_event_free(e);
    check(s, found, s->c->data, "%s", got);
}

/* ---- v1 */

static void refused_bytes(struct stage *s) {
    const struct span *bytes = s->c->data;
    struct link *l = connects_v(s, 1, 1, "agent");
    notes(s, l->name, "> %zu bytes", bytes->len);
    link_send(l, false, *bytes);
    hears_error_without_id(s, l, UNDECODABLE);
    works(s, l);
}

static void refused_envelope(struct stage *s) {
    struct link *l = connects_v(s, 1, 1, "agent");
    fresh_id(s);
    const char *text = s->c->data;
    char *json = str_dup(text);
    for (char *p = json; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    say_v1(s, l, keep_text(s, json), "null");
    hears_error_without_id(s, l, UNDECODABLE);
    works(s, l);
}

#define SELF_V1                                                                                                        \
    "{\"id\": \"${sent}\", \"message_type\": \"example\", \"sender\": \"${a1}\", \"targets\": [\"${a1}\"], "           \
    "\"expires\": "
#define RELAYED                                                                                                        \
    "'id': '${sent}', 'message_type': 'example', 'sender': '${a1}', 'targets': ['${a1}'], 'expires': "                 \
    "'1970-01-01T00:00:00.000Z', 'chunks': [1, 2]"

static void expiry_is_ignored(struct stage *s) {
    struct link *l = connects_v(s, 1, 1, "agent");
    fresh_id(s);
    char *envelope = str_printf(SELF_V1 "\"%s\"}", (const char *)s->c->data);
    say_v1(s, l, keep_text(s, envelope), "1");
    expects(s, l, "{" RELAYED ", 'data': 1}");
}

struct chunks {
    const char *data; /* NULL: no such chunk */
    const char *debug;
    int envelope_type, data_type;
    bool debug_first;
    const char *want; /* data as relayed */
};

static void chunks_arrive(struct stage *s) {
    const struct chunks *c = s->c->data;
    struct link *l = connects_v(s, 1, 1, "agent");
    fresh_id(s);
    char *envelope = variables_fill(&s->vars, SELF_V1 "\"2099-01-01T00:00:00Z\"}");
    struct buf out = BUF_INIT;
    buf_append_char(&out, 1);
    link_v1_chunk(&out, c->envelope_type, span_of(envelope));
    mem_free(envelope);
    for (int i = 0; i < 2; i++) {
        if ((i == 0) == c->debug_first && c->debug != NULL) {
            link_v1_chunk(&out, 3, span_of(c->debug));
        } else if ((i == 0) != c->debug_first && c->data != NULL) {
            link_v1_chunk(&out, c->data_type, span_of(c->data));
        }
    }
    link_send(l, false, buf_span(&out));
    buf_free(&out);
    char *want = str_printf("{" RELAYED ", 'data': %s}", c->want);
    expects(s, l, keep_text(s, want));
}

static void data_not_json(struct stage *s) {
    struct link *l = connects_v(s, 1, 1, "agent");
    fresh_id(s);
    say_v1(s, l, SELF_V1 "\"2099-01-01T00:00:00Z\"}", "no JSON");
    static const struct answer answers[] = {
        {OURS, "{'message_type': '${pl}error_message', 'data': {'description': '" UNDECODABLE "'}, '...': 0}"},
        {REF, "close 1011 *"},
        {REF, "end"},
        {0, NULL}};
    expects_any(s, l, answers);
}

static void text_frame_on_v1(struct stage *s) {
    struct link *l = connects_v(s, 1, 1, "agent");
    fresh_id(s);
    say_text(s, l, "{\"id\": \"${sent}\", \"message_type\": \"example\"}");
    static const struct answer answers[] = {
        {ALL, "{'message_type': '${pl}error_message', 'data': {'description': '" UNDECODABLE "'}, '...': 0}"},
        {REF, "close 1011 *"},
        {REF, "end"},
        {0, NULL}};
    expects_any(s, l, answers);
}

static void data_after_odd_descriptor(struct stage *s) {
    struct link *l = connects_v(s, 1, 1, "agent");
    fresh_id(s);
    char *envelope = variables_fill(&s->vars, SELF_V1 "\"2099-01-01T00:00:00Z\"}");
    struct buf out = BUF_INIT;
    buf_append_char(&out, 1);
    link_v1_chunk(&out, 1, span_of(envelope));
    link_v1_chunk(&out, 7, SPAN("1"));
    mem_free(envelope);
    link_send(l, false, buf_span(&out));
    buf_free(&out);
    expects(s, l, "{" RELAYED ", 'data': 1}");
}

static void reply_defaults(struct stage *s) {
    struct link *l = connects_v(s, 1, 1, "agent");
    say(s, l, "{'message_type': 'example', 'target': 'pcp://absent.example.com/agent'}");
    expects(s, l,
            "{'id': '$keep:first', 'message_type': '${pl}error_message', 'targets': [], 'sender': 'pcp:///server',"
            " 'expires': '1970-01-01T00:00:00.000Z', 'data': {'description': 'Not connected.', 'id': '${sent}'}, "
            "'chunks': [1, 2]}");
    say(s, l, "{'message_type': 'example', 'target': 'pcp://absent.example.com/agent'}");
    expects(s, l, "{'id': '$keep:second', '...': 0}");
    check(s, strcmp(variables_get(&s->vars, "first"), variables_get(&s->vars, "second")) != 0, "a fresh id",
          "the same id");
}

/* ---- URIs */

static void uri_refused(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    char *m = str_printf("{'message_type': 'example', 'target': '%s'}", (const char *)s->c->data);
    say(s, l, keep_text(s, m));
    hears_error_without_id(s, l, UNDECODABLE);
    works(s, l);
}

static void uri_taken(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    char *m = str_printf("{'message_type': 'example', 'target': '%s'}", (const char *)s->c->data);
    say(s, l, keep_text(s, m));
    hears_error(s, l, "Not connected.");
}

#define TEXT(n, what, text)                                                                                            \
    {                                                                                                                  \
        "pcp2/codec/refuse-" n, what ": Could not decode message, without an id; the connection is kept.",             \
            "pcp.md §11", "obs-msg-01 pcp-codec-11 obs-18 pcp-unit-14", refused_text, text, NULL, false                \
    }
#define ID "\"id\": \"${sent}\", "
#define TYPE "\"message_type\": \"example\""
#define BYTES(name, ...)                                                                                               \
    static const struct span name = {(const char[]){__VA_ARGS__}, sizeof((const char[]){__VA_ARGS__})}
#define REFUSED(n, what, bytes)                                                                                        \
    {                                                                                                                  \
        "pcp1/codec/refuse-" n, what ": Could not decode message, without an id; the connection is kept.",             \
            "pcp.md §3.3, §11", "pcp-codec-08 obs-44 obs-45 pcp-int-04 pcp-int-05", refused_bytes, &bytes, NULL, false \
    }
#define ENVELOPE(n, what, text)                                                                                        \
    {                                                                                                                  \
        "pcp1/envelope/refuse-" n, what ": Could not decode message, without an id; the connection is kept.",          \
            "pcp.md §4, §11", "pcp-codec-08", refused_envelope, text, NULL, false                                      \
    }
#define E_TYPE "'message_type': 'example', "
#define E_ID "'id': '${sent}', "
#define E_SENDER "'sender': '${a1}', "
#define E_TARGETS "'targets': ['${a1}'], "

BYTES(no_bytes, 0);
static const struct span empty = {"", 0};
static const char zeros[250] = {0};
static const struct span many_zeros = {zeros, sizeof(zeros)};
BYTES(version_2, 2, 1, 0, 0, 0, 2, '{', '}');
BYTES(data_first, 1, 2, 0, 0, 0, 2, '{', '}');
BYTES(cut_json, 1, 1, 0, 0, 0, 1, '{');
BYTES(cut_envelope, 1, 1, 0, 0, 0, 7, '{', '}');
BYTES(cut_head, 1, 1, 0, 0);
BYTES(negative, 1, 1, -1, -1, -1, -1, '{', '}');
BYTES(beyond, 1, 1, 0, 1, 0, 0, '{', '}');
BYTES(empty_envelope, 1, 1, 0, 0, 0, 2, '{', '}');
BYTES(array_envelope, 1, 1, 0, 0, 0, 2, '[', ']');

static const struct chunks only_envelope = {NULL, NULL, 1, 2, false, "null"},
                           with_data = {"{\"n\": 1}", NULL, 1, 2, false, "{'n': 1}"},
                           empty_data_debug = {"", "{\"hops\": []}", 1, 2, false, "null"},
                           with_debug = {"[2]", "{\"hops\": []}", 1, 2, false, "[2]"},
                           null_data = {"null", NULL, 1, 2, false, "null"},
                           reserved_bits = {"3", NULL, 0x91, 0xf2, false, "3"};

const struct conform_case broker_codec_cases[] = {
    TEXT("001", "Empty text", ""),
    TEXT("002", "A number", "7"),
    TEXT("003", "A string", "\"text\""),
    TEXT("004", "null", "null"),
    TEXT("005", "An array", "[]"),
    TEXT("006", "An empty object", "{}"),
    TEXT("007", "No id", "{" TYPE "}"),
    TEXT("008", "No message_type", "{\"id\": \"${sent}\"}"),
    TEXT("009", "An id that is no UUID", "{\"id\": \"abc\", " TYPE "}"),
    TEXT("010", "An id that is a number", "{\"id\": 7, " TYPE "}"),
    TEXT("011", "A message_type that is a number", "{" ID "\"message_type\": 7}"),
    TEXT("012", "A target that is no URI", "{" ID TYPE ", \"target\": \"somebody\"}"),
    TEXT("013", "A list of targets", "{" ID TYPE ", \"target\": [\"${a1}\"]}"),
    TEXT("014", "A sender that is no URI", "{" ID TYPE ", \"sender\": \"somebody\"}"),
    TEXT("015", "An in_reply_to that is no UUID", "{" ID TYPE ", \"in_reply_to\": \"abc\"}"),
    TEXT("016", "in-reply-to, as in v1", "{" ID TYPE ", \"in-reply-to\": \"${sent}\"}"),
    TEXT("017", "A key that is not known", "{" ID TYPE ", \"extra\": 1}"),
    TEXT("018", "v1's targets", "{" ID TYPE ", \"targets\": [\"${a1}\"]}"),
    TEXT("019", "A target of null", "{" ID TYPE ", \"target\": null}"),
    {"pcp2/codec/binary-001", "A binary frame on v2: Could not decode message, kept.", "pcp.md §11", "obs-msg-01",
     binary_frame, NULL, NULL, false},
    {"pcp2/codec/not-json-001", "Text that is no JSON: 1011 (reference), or the error, kept (ours).",
     "broker-observed.md Close codes", "obs-close-05", not_json, "certainly not", NULL, false},
    {"pcp2/codec/not-json-002", "A trailing comma is no JSON.", "pcp.md §11", "obs-close-05", not_json,
     "{\"id\": \"6d6df5b5-ac6f-45c8-8c9a-0a1b2c3d4e5f\", \"message_type\": \"example\",}", NULL, false},
    {"pcp2/codec/not-json-003", "JSON that is cut off.", "pcp.md §11", "obs-close-05", not_json, "{\"id\": \"6d6df5b5",
     NULL, false},
    {"pcp2/codec/trailing-001", "Garbage behind the object is ignored.", "broker-observed.md Messages, v2",
     "obs-msg-02", trailing_garbage, NULL, NULL, false},
    {"pcp2/codec/duplicate-001", "Of a key that comes twice the last one counts, or the message is refused.",
     "broker-observed.md Messages, v2", "obs-msg-03", duplicate_key, NULL, NULL, false},
    {"pcp2/codec/minimal-001", "id and message_type are enough; sender is filled in.", "pcp.md §6", "pcp-codec-11",
     minimal_message, NULL, NULL, false},
    {"pcp2/codec/full-001", "Every key, in any order, with white space.", "pcp.md §6",
     "pcp-codec-11 pcp-codec-04 obs-03", full_message, NULL, NULL, false},
    {"pcp2/codec/data-001", "Data arrives: object, nested arrays, texts with escapes.", "pcp.md §6",
     "pcp-codec-04 pcp-codec-10", data_arrives,
     "{\"text\": \"line\\nquote\\\" \\u20ac\", \"list\": [[], {}, [[1]]], \"empty\": \"\"}", NULL, false},
    {"pcp2/codec/data-002", "Data arrives: null.", "pcp.md §6", "pcp-codec-04", data_arrives, "null", NULL, false},
    {"pcp2/codec/data-003", "Data arrives: a text.", "pcp.md §6", "pcp-codec-04", data_arrives, "\"only text\"", NULL,
     false},
    {"pcp2/codec/data-004", "Data arrives: false.", "pcp.md §6", "pcp-codec-04", data_arrives, "false", NULL, false},
    {"pcp2/codec/bytes-001", "Ours relays the bytes of numbers.", "broker-observed.md Messages, v2",
     "obs-msg-03 pcp-codec-10", data_bytes_arrive, "[1e400, 1e-7, 1e3, 1.50, 123456789012345678901234567890]", NULL,
     true},
    {"pcp2/codec/bytes-002", "Ours relays objects in their order, white space too.", "broker-observed.md Messages, v2",
     "obs-msg-03 pcp-codec-10", data_bytes_arrive, "{\"z\": 1, \"a\" :2,\"k\":{\"j\":  3}}", NULL, true},
    REFUSED("001", "No bytes at all", empty),
    REFUSED("002", "A single zero byte", no_bytes),
    REFUSED("003", "250 zero bytes", many_zeros),
    REFUSED("004", "Version byte 2", version_2),
    REFUSED("005", "A data chunk first", data_first),
    REFUSED("006", "An envelope of cut JSON", cut_json),
    REFUSED("007", "An envelope shorter than its size", cut_envelope),
    REFUSED("008", "A chunk header that is cut off", cut_head),
    REFUSED("009", "A size of -1", negative),
    REFUSED("010", "A size beyond the message", beyond),
    REFUSED("011", "An empty object as envelope", empty_envelope),
    REFUSED("012", "An array as envelope", array_envelope),
    ENVELOPE("001", "No id", "{" E_TYPE E_SENDER E_TARGETS EXPIRES "}"),
    ENVELOPE("002", "No message_type", "{" E_ID E_SENDER E_TARGETS EXPIRES "}"),
    ENVELOPE("003", "No sender", "{" E_ID E_TYPE E_TARGETS EXPIRES "}"),
    ENVELOPE("004", "No targets", "{" E_ID E_TYPE E_SENDER EXPIRES "}"),
    ENVELOPE("005", "No expires", "{" E_ID E_TYPE E_SENDER "'targets': ['${a1}']}"),
    ENVELOPE("006", "An expires that is no time", "{" E_ID E_TYPE E_SENDER E_TARGETS "'expires': 'soon'}"),
    ENVELOPE("007", "A key that is not known", "{" E_ID E_TYPE E_SENDER E_TARGETS EXPIRES ", 'extra': 1}"),
    ENVELOPE("008", "targets is one URI", "{" E_ID E_TYPE E_SENDER "'targets': '${a1}', " EXPIRES "}"),
    ENVELOPE("009", "A target that is no URI", "{" E_ID E_TYPE E_SENDER "'targets': ['somebody'], " EXPIRES "}"),
    ENVELOPE("010", "An id that is no UUID", "{'id': 'abc', " E_TYPE E_SENDER E_TARGETS EXPIRES "}"),
    ENVELOPE("011", "A destination_report that is no boolean",
             "{" E_ID E_TYPE E_SENDER E_TARGETS EXPIRES ", 'destination_report': 'yes'}"),
    ENVELOPE("012", "A sender that is no URI", "{" E_ID E_TYPE "'sender': 'somebody', " E_TARGETS EXPIRES "}"),
    {"pcp1/codec/expiry-001", "A message that expired long ago is delivered.", "pcp.md §5.2",
     "pcp-unit-09 obs-16 pcp-codec-03", expiry_is_ignored, "1999-12-31T23:59:59.000Z", NULL, false},
    {"pcp1/codec/expiry-002", "Expiry without a fraction.", "pcp.md §4", "pcp-codec-03", expiry_is_ignored,
     "2099-12-31T23:59:59Z", NULL, false},
    {"pcp1/codec/expiry-003", "Expiry with microseconds.", "pcp.md §3.2", "pcp-codec-03", expiry_is_ignored,
     "2030-01-02T03:04:05.000000Z", NULL, false},
    {"pcp1/codec/chunks-001", "An envelope alone: the receiver gets null.", "pcp.md §12", "pcp-codec-09 pcp-codec-07",
     chunks_arrive, &only_envelope, NULL, false},
    {"pcp1/codec/chunks-002", "Envelope and data.", "pcp.md §3", "pcp-codec-09 obs-03 pcp-unit-11", chunks_arrive,
     &with_data, NULL, false},
    {"pcp1/codec/chunks-003", "Empty data and debug: null arrives, debug is dropped.",
     "broker-observed.md Messages, v1", "pcp-codec-09 obs-v1-01", chunks_arrive, &empty_data_debug, NULL, false},
    {"pcp1/codec/chunks-004", "A debug chunk is dropped.", "broker-observed.md Messages, v1", "pcp-codec-09 obs-v1-01",
     chunks_arrive, &with_debug, NULL, false},
    {"pcp1/codec/chunks-005", "Data of null.", "pcp.md §12", "pcp-codec-09", chunks_arrive, &null_data, NULL, false},
    {"pcp1/codec/chunks-006", "Reserved bits of descriptors are ignored.", "pcp.md §3.1", "pcp-codec-05", chunks_arrive,
     &reserved_bits, NULL, false},
    {"pcp1/codec/descriptor-001", "A second chunk is data, whatever its type says.", "pcp.md §3.3", "obs-v1-01",
     data_after_odd_descriptor, NULL, NULL, false},
    {"pcp1/codec/data-001", "Data that is no JSON: 1011 (reference), or the error, kept (ours).", "pcp.md §11",
     "obs-close-05", data_not_json, NULL, NULL, false},
    {"pcp1/codec/text-001", "A text frame on v1: 1011 or the error.", "pcp.md §11", "obs-close-05", text_frame_on_v1,
     NULL, NULL, false},
    {"pcp1/codec/defaults-001",
     "What the broker says: sender pcp:///server, no targets, epoch expiry, a fresh id each time.",
     "broker-observed.md Messages, v1", "pcp-codec-02 pcp-codec-07 obs-v1-01", reply_defaults, NULL, NULL, false},
    {"pcp*/uri/refuse-001", "pcp://server is no URI.", "pcp.md §2", "pcp-codec-12", uri_refused, "pcp://server", NULL,
     false},
    {"pcp*/uri/refuse-002", "server is no URI.", "pcp.md §2", "pcp-codec-12", uri_refused, "server", NULL, false},
    {"pcp*/uri/refuse-003", "A URI of three parts is none.", "pcp.md §2", "pcp-codec-12", uri_refused, "pcp://a/b/c",
     NULL, false},
    {"pcp*/uri/refuse-004", "The empty text is no URI.", "pcp.md §2", "pcp-codec-12", uri_refused, "", NULL, false},
    {"pcp*/uri/refuse-005", "A URI without a type is none.", "pcp.md §2", "pcp-codec-12", uri_refused, "pcp://a/", NULL,
     false},
    {"pcp*/uri/take-001", "pcp://x/y is a URI.", "pcp.md §2", "pcp-codec-12", uri_taken, "pcp://x/y", NULL, false},
    {"pcp*/uri/take-002", "A star inside a longer name is a letter like others.", "pcp.md §2", "pcp-codec-12",
     uri_taken, "pcp://a*b/agent", NULL, false},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
