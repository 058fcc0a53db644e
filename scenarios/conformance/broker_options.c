/* Answers that the protocol's documents describe and the reference broker never gives (pcp.md §5.2, §5.3, §5.7): ours
 * gives them when its configuration asks for them. */
#include "base/mem.h"
#include "scenarios/conformance/broker_side.h"

#define V1_MESSAGE                                                                                                     \
    "{'id': '${sent}', 'message_type': 'example', 'sender': '${a1}', 'targets': ['${a3}'], 'expires': "                \
    "'2099-01-01T00:00:00.000Z'}"

/* Version 1 chunks behind a version byte of choice. */
static void says_chunks(struct stage *s, struct link *l, char version) {
    fresh_id(s);
    name_of(s, 3);
    json_t *envelope = template_read(&s->vars, V1_MESSAGE);
    json_array_append_new(s->kept, envelope);
    const char *text = keep_text(s, json_text(envelope));
    struct buf out = BUF_INIT;
    buf_append_char(&out, version);
    link_v1_chunk(&out, 1, span_of(text));
    notes(s, l->name, "> chunks behind the byte %d: %s", version, text);
    link_send(l, false, buf_span(&out));
    buf_free(&out);
}

static void another_version_byte(struct stage *s) {
    struct link *l = connects(s, 1, "agent"), *three = connects(s, 3, "agent");
    says_chunks(s, l, 2);
    expects(
        s, l,
        "{'id': '$uuid', 'message_type': '${pl}version_error', 'sender': 'pcp:///server', 'data': {'id': '${sent}', "
        "'target': '${a3}', 'reason': '$string'}, '...': 0}");
    works(s, l);
    works(s, three); /* it was not delivered */
}

static void version_1_on_version_2(struct stage *s) {
    struct link *l = connects(s, 1, "agent"), *three = connects(s, 3, "agent");
    says_chunks(s, l, 1);
    expects(s, l,
            "{'id': '$uuid', 'message_type': '${pl}version_error', 'in_reply_to': '${sent}', 'data': '$string', "
            "'...': 0}");
    works(s, l);
    works(s, three);
}

static void neither_version(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    notes(s, l->name, "> bytes of no version");
    link_send(l, false, SPAN("\x03junk"));
    hears_error_without_id(s, l, "Could not decode message");
    works(s, l);
}

static void expired(struct stage *s) {
    struct link *l = connects(s, 1, "agent"), *three = connects(s, 3, "agent");
    say(s, l, "{'message_type': 'example', 'target': '${a3}', 'expires': '1999-01-01T00:00:00.000Z'}");
    expects(s, l, "{'message_type': '${pl}ttl_expired', 'data': {'id': '${sent}'}, '...': 0}");
    works(s, three);
}

static void reported(struct stage *s) {
    struct link *l = connects(s, 1, "agent"), *three = connects(s, 3, "agent");
    say(s, l, "{'message_type': 'example', 'target': '${a3}', 'destination_report': true}");
    expects(s, l,
            "{'message_type': '${pl}destination_report', 'data': {'id': '${sent}', 'targets': ['${a3}']}, '...': 0}");
    hears(s, three, "{'message_type': 'example', 'target': '${a3}', 'sender': '${a1}', 'id': '${sent}'}");
}

static void unauthorized(struct stage *s) {
    struct link *l = connects(s, 2, "agent");
    name_of(s, 3);
    say(s, l, "{'message_type': 'sensitive', 'target': '${a3}'}");
    expects(s, l, "{'id': '$uuid', 'message_type': '${pl}unauthorized', 'in_reply_to': '${sent}', '...': 0}");
    works(s, l);
}

const struct conform_case broker_option_cases[] = {
    {"pcp1/options/version-001", "Chunks behind another version byte: version_error with id, target and reason.",
     "pcp.md §5.7", "pcp-opt-01", another_version_byte, NULL, FIXTURE_SPEC, true},
    {"pcp2/options/version-001", "A message of version 1 on version 2's endpoint: version_error in its form.",
     "pcp.md §5.7", "pcp-opt-01", version_1_on_version_2, NULL, FIXTURE_SPEC, true},
    {"pcp*/options/version-002", "What is a message of neither version is still the decoding error.", "pcp.md §5.7",
     "pcp-opt-01", neither_version, NULL, FIXTURE_SPEC, true},
    {"pcp1/options/expired-001", "An expired message is not delivered: ttl_expired.", "pcp.md §5.2", "pcp-opt-02",
     expired, NULL, FIXTURE_SPEC, true},
    {"pcp1/options/report-001", "A destination report comes before the message is delivered.", "pcp.md §5.3",
     "pcp-opt-03", reported, NULL, FIXTURE_SPEC, true},
    {"pcp2/options/unauthorized-001", "A denied message: unauthorized, without data.", "pcp.md §6", "pcp-opt-04",
     unauthorized, NULL, FIXTURE_SPEC, true},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
