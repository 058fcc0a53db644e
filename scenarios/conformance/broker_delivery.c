/* Messages between clients, in all four pairs of versions, and what the sender hears when it cannot be (pcp.md
 * §10-§12). */
#include "base/mem.h"
#include "scenarios/conformance/broker_side.h"
#include <string.h>

struct pair {
    int from, to;
};

static void delivered(struct stage *s) {
    const struct pair *p = s->c->data;
    struct link *from = connects_v(s, p->from, 1, "agent"), *to = connects_v(s, p->to, 2, "agent");
    say(s, from,
        "{'message_type': 'greeting', 'target': '${a2}', 'data': {'text': 'Hello', 'list': [1, 2.5, null, true]}}");
    hears(s, to,
          "{'message_type': 'greeting', 'target': '${a2}', 'sender': '${a1}', 'id': '${sent}', 'data': {'text': "
          "'Hello', 'list': [1, 2.5, null, true]}}");
    works(s, from);
}

static void reply_id(struct stage *s) {
    const struct pair *p = s->c->data;
    struct link *from = connects_v(s, p->from, 1, "agent"), *to = connects_v(s, p->to, 2, "agent");
    say(s, from,
        "{'message_type': 'answer', 'target': '${a2}', 'in_reply_to': '6d6df5b5-ac6f-45c8-8c9a-0a1b2c3d4e5f', 'data': "
        "1}");
    hears(s, to,
          "{'message_type': 'answer', 'target': '${a2}', 'sender': '${a1}', 'id': '${sent}', 'in_reply_to': "
          "'6d6df5b5-ac6f-45c8-8c9a-0a1b2c3d4e5f', 'data': 1}");
}

static void without_data(struct stage *s) {
    const struct pair *p = s->c->data;
    struct link *from = connects_v(s, p->from, 1, "agent"), *to = connects_v(s, p->to, 2, "agent");
    say(s, from, "{'message_type': 'greeting', 'target': '${a2}'}");
    hears(s, to, "{'message_type': 'greeting', 'target': '${a2}', 'sender': '${a1}', 'id': '${sent}'}");
}

/* error_message between clients is translated: description and id against text and in_reply_to. */
static void errors_are_translated(struct stage *s) {
    const struct pair *p = s->c->data;
    struct link *from = connects_v(s, p->from, 1, "agent"), *to = connects_v(s, p->to, 2, "agent");
    if (p->from == 1) {
        say(s, from,
            "{'message_type': '${pl}error_message', 'target': '${a2}', 'data': {'description': 'no good', 'id': "
            "'6d6df5b5-ac6f-45c8-8c9a-0a1b2c3d4e5f'}}");
    } else {
        say(s, from,
            "{'message_type': '${pl}error_message', 'target': '${a2}', 'in_reply_to': "
            "'6d6df5b5-ac6f-45c8-8c9a-0a1b2c3d4e5f', 'data': 'no good'}");
    }
    hears(s, to,
          "{'message_type': '${pl}error_message', 'target': '${a2}', 'sender': '${a1}', 'id': '${sent}', "
          "'in_reply_to': '6d6df5b5-ac6f-45c8-8c9a-0a1b2c3d4e5f', 'data': 'no good'}");
}

static void order_is_kept(struct stage *s) {
    struct link *from = connects(s, 1, "agent"), *to = connects(s, 2, "agent");
    for (int i = 0; i < 50; i++) {
        char *m = str_printf("{'message_type': 'count', 'target': '${a2}', 'data': %d}", i);
        say(s, from, m);
        mem_free(m);
    }
    for (int i = 0; i < 50; i++) {
        json_t *m = next_message(s, to);
        check(s, json_int(m, "data", -1) == i, "messages in the order they were sent", "%d as number %d",
              (int)json_int(m, "data", -1), i);
    }
}

static void to_oneself(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    say(s, l, "{'message_type': 'note', 'target': '${a1}', 'data': ['to', 'myself']}");
    hears(s, l,
          "{'message_type': 'note', 'target': '${a1}', 'sender': '${a1}', 'id': '${sent}', 'data': ['to', 'myself']}");
    works(s, l);
}

static void large_message(struct stage *s) {
    struct link *from = connects(s, 1, "agent"), *to = connects(s, 2, "agent");
    char *text = mem_alloc(300001);
    memset(text, 'x', 300000);
    text[300000] = '\0';
    char *m = str_printf("{'message_type': 'large', 'target': '${a2}', 'data': '%s'}", text);
    say(s, from, m);
    mem_free(m);
    json_t *got = next_message(s, to);
    bool same = str_eq(json_str(got, "data"), text);
    mem_free(text);
    check(s, same, "300,000 characters, as sent", "something else");
}

/* ---- refusals */

struct refusal {
    const char *message, *error;
};

static void refused(struct stage *s) {
    const struct refusal *r = s->c->data;
    name_of(s, 2);
    struct link *l = connects(s, 1, "agent");
    say(s, l, r->message);
    hears_error(s, l, r->error);
    works(s, l);
}

static void v1_targets(struct stage *s) {
    name_of(s, 2);
    struct link *l = connects_v(s, 1, 1, "agent");
    say(s, l, "{'message_type': 'example', 'targets': ['${a1}', '${a2}']}");
    hears_error(s, l, "Multiple recipients no longer supported.");
    works(s, l);
}

static void v1_no_target(struct stage *s) {
    struct link *l = connects_v(s, 1, 1, "agent");
    say(s, l, "{'message_type': 'example', 'targets': []}");
    static const struct answer answers[] = {
        {OURS, "{'message_type': '${pl}error_message', 'data': {'description': 'Multiple recipients no longer "
               "supported.', 'id': '${sent}'}, '...': 0}"},
        {REF, "close 1011 *"},
        {REF, "end"},
        {0, NULL}};
    expects_any(s, l, answers);
}

static void no_storing(struct stage *s) {
    struct link *from = connects(s, 1, "agent");
    name_of(s, 2);
    say(s, from, "{'message_type': 'example', 'target': '${a2}'}");
    hears_error(s, from, "Not connected.");
    works(s, connects(s, 2, "agent"));
}

static void spoofed_is_not_delivered(struct stage *s) {
    struct link *from = connects(s, 1, "agent"), *to = connects(s, 2, "agent");
    name_of(s, 3);
    say(s, from, "{'message_type': 'example', 'target': '${a2}', 'sender': '${a3}'}");
    hears_error(s, from, "Message not authenticated.");
    works(s, to);
}

/* Only the name of the sender is checked (pcp.md §10): its type may be another. */
static void other_type_as_sender(struct stage *s) {
    struct link *from = connects(s, 1, "agent"), *to = connects(s, 2, "agent");
    say(s, from, "{'message_type': 'example', 'target': '${a2}', 'sender': 'pcp://${c1}/controller'}");
    hears(s, to, "{'message_type': 'example', 'target': '${a2}', 'sender': 'pcp://${c1}/controller', 'id': '${sent}'}");
}

/* A dot is a dot, upper case is another name. */
static void similar_sender(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    char *name = str_dup(name_of(s, 1));
    for (char *p = name; *p != '\0'; p++) {
        if (strcmp(s->c->data, "dot") == 0) {
            *p = *p == '.' ? 'x' : *p;
        } else if (*p >= 'a' && *p <= 'z') {
            *p = (char)(*p - 32);
        }
    }
    variables_set(&s->vars, "similar", name);
    mem_free(name);
    say(s, l, "{'message_type': 'example', 'target': '${a1}', 'sender': 'pcp://${similar}/agent'}");
    hears_error(s, l, "Message not authenticated.");
    works(s, l);
}

static void nul_inside(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    say(s, l, s->c->data);
    hears_error(s, l, "Message not authorized.");
    works(s, l);
}

static void unknown_type_for_broker(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    say(s, l, s->c->data);
    works(s, l);
}

static void receiver_gone(struct stage *s) {
    struct link *watcher = inventory_watcher(s, 3, "'pcp://*/agent'");
    struct link *from = connects(s, 1, "agent"), *to = connects(s, 2, "agent");
    changes_until(s, watcher, "+${a2}");
    leaves(s, to);
    changes_until(s, watcher, "-${a2}");
    say(s, from, "{'message_type': 'example', 'target': '${a2}'}");
    hears_error(s, from, "Not connected.");
}

static void destination_report(struct stage *s) {
    struct link *from = connects_v(s, 1, 1, "agent"), *to = connects_v(s, 1, 2, "agent");
    say(s, from, "{'message_type': 'example', 'target': '${a2}', 'destination_report': true, 'data': 1}");
    hears(s, to, "{'message_type': 'example', 'target': '${a2}', 'sender': '${a1}', 'id': '${sent}', 'data': 1}");
    works(s, from);
}

static const struct pair v1v1 = {1, 1}, v1v2 = {1, 2}, v2v1 = {2, 1}, v2v2 = {2, 2};
static const struct refusal
    absent = {"{'message_type': 'example', 'target': 'pcp://absent.example.com/agent'}", "Not connected."},
    other_type = {"{'message_type': 'example', 'target': 'pcp://${c1}/nothing'}", "Not connected."},
    spoof = {"{'message_type': 'example', 'target': '${a1}', 'sender': '${a2}'}", "Message not authenticated."},
    spoof_inventory = {"{'message_type': '${pl}inventory_request', 'target': 'pcp:///server', 'sender': '${a2}', "
                       "'data': {'query': []}}",
                       "Message not authenticated."},
    spoof_server = {"{'message_type': 'example', 'target': '${a1}', 'sender': 'pcp:///server'}",
                    "Message not authenticated."},
    wildcard_name = {"{'message_type': 'example', 'target': 'pcp://*/agent'}",
                     "Multiple recipients no longer supported."},
    wildcard_type = {"{'message_type': 'example', 'target': 'pcp://${c1}/*'}",
                     "Multiple recipients no longer supported."},
    wildcard_both = {"{'message_type': 'example', 'target': 'pcp://*/*'}", "Multiple recipients no longer supported."},
    spoof_wildcard = {"{'message_type': 'example', 'target': 'pcp://*/agent', 'sender': '${a2}'}",
                      "Message not authenticated."},
    space_in_type = {"{'message_type': 'two words', 'target': '${a1}'}", "Message not authorized."},
    space_in_target = {"{'message_type': 'example', 'target': 'pcp://two words/agent'}", "Message not authorized."},
    characters_before_wildcard = {"{'message_type': 'two words', 'target': 'pcp://*/agent'}",
                                  "Message not authorized."};

#define PAIRS(id, statement, source, covers, run)                                                                      \
    {"pcp1/" id "-v1", statement " (v1 to v1)", source, covers, run, &v1v1, NULL, false},                              \
        {"pcp1/" id "-v2", statement " (v1 to v2)", source, covers, run, &v1v2, NULL, false},                          \
        {"pcp2/" id "-v1", statement " (v2 to v1)", source, covers, run, &v2v1, NULL, false}, {                        \
        "pcp2/" id "-v2", statement " (v2 to v2)", source, covers, run, &v2v2, NULL, false                             \
    }
#define REFUSAL(id, statement, source, covers, r)                                                                      \
    { "pcp*/errors/" id, statement, source, covers, refused, &r, NULL, false }

const struct conform_case broker_delivery_cases[] = {
    PAIRS("delivery/message-001", "A message with data arrives, with its sender", "pcp.md §12",
          "obs-61 pcp-int-22 pcp-unit-11", delivered),
    PAIRS("delivery/reply-001", "in_reply_to reaches v2 receivers only", "pcp.md §12", "obs-61 pcp-int-22", reply_id),
    PAIRS("delivery/empty-001", "A message without data: v1 receivers get null", "pcp.md §12", "obs-61 obs-v1-01",
          without_data),
    PAIRS("delivery/error-001", "error_message is translated", "pcp.md §12", "pcp-int-22 obs-v1-01",
          errors_are_translated),
    {"pcp*/delivery/order-001", "Fifty messages arrive in their order.", "pcp.md §10", "pcp-unit-10", order_is_kept,
     NULL, NULL, false},
    {"pcp*/delivery/self-001", "A client may write to itself; the message comes back as it was.", "pcp.md §10",
     "obs-19 obs-56 pcp-int-15 pcp-unit-11", to_oneself, NULL, NULL, false},
    {"pcp*/delivery/large-001", "300 kB arrive.", "pcp.md §9.4", "pcp-codec-10", large_message, NULL, NULL, false},
    {"pcp1/delivery/report-001", "destination_report is ignored, the message delivered, nothing reported.",
     "pcp.md §5.3", "obs-57 pcp-int-15", destination_report, NULL, NULL, false},
    REFUSAL("absent-001", "A target that is not there: Not connected.", "pcp.md §11",
            "obs-58 pcp-int-16 obs-04 obs-05 obs-18 pcp-unit-13 pcp-unit-14", absent),
    REFUSAL("absent-002", "Another type of a client that is there: Not connected.", "pcp.md §11", "obs-58", other_type),
    {"pcp*/errors/absent-003", "Nothing is kept for a target that comes later.", "pcp.md §5.6", "obs-58 pcp-int-16",
     no_storing, NULL, NULL, false},
    {"pcp*/errors/absent-004", "A target that left: Not connected.", "pcp.md §11", "obs-58", receiver_gone, NULL, NULL,
     false},
    REFUSAL("sender-001", "Another client's name as sender: Message not authenticated.", "pcp.md §10",
            "obs-14 pcp-unit-08 obs-17 pcp-unit-10", spoof),
    REFUSAL("sender-002", "So for a request to the broker.", "pcp.md §10", "obs-17", spoof_inventory),
    REFUSAL("sender-003", "The broker's own address as sender.", "pcp.md §10", "obs-14", spoof_server),
    {"pcp*/errors/sender-004", "A message with a false sender is not delivered.", "pcp.md §10", "obs-14",
     spoofed_is_not_delivered, NULL, NULL, false},
    {"pcp*/errors/sender-005", "A name that only matches as a pattern is another name.", "pcp.md §10",
     "obs-14 pcp-unit-08", similar_sender, "dot", NULL, false},
    {"pcp*/errors/sender-006", "A name in upper case is another name.", "pcp.md §10", "obs-14 pcp-unit-08",
     similar_sender, "case", NULL, false},
    {"pcp*/errors/sender-007", "The sender's type is not compared.", "pcp.md §10", "obs-14", other_type_as_sender, NULL,
     NULL, false},
    REFUSAL("wildcard-001", "A wildcard name as target: Multiple recipients no longer supported.", "pcp.md §11",
            "obs-02 obs-56 pcp-int-15 pcp-unit-15 pcp-unit-13", wildcard_name),
    REFUSAL("wildcard-002", "A wildcard type as target.", "pcp.md §11", "obs-02 pcp-unit-15", wildcard_type),
    REFUSAL("wildcard-003", "Both.", "pcp.md §11", "obs-02 pcp-unit-15", wildcard_both),
    REFUSAL("order-001", "Authentication is checked before recipients.", "pcp.md §11", "obs-15 pcp-unit-09",
            spoof_wildcard),
    REFUSAL("order-002", "Authorization is checked before recipients.", "pcp.md §11", "obs-15 pcp-unit-09",
            characters_before_wildcard),
    {"pcp1/errors/targets-001", "Two targets: Multiple recipients no longer supported.", "pcp.md §5.4",
     "obs-02 pcp-unit-15", v1_targets, NULL, NULL, false},
    {"pcp1/errors/targets-002", "No target: 1011 (reference), or Multiple recipients … (ours).",
     "broker-observed.md Close codes", "obs-close-05", v1_no_target, NULL, NULL, false},
    REFUSAL("characters-001", "White space in the message type: Message not authorized.", "pcp.md §10", "obs-09",
            space_in_type),
    REFUSAL("characters-002", "White space in the target: Message not authorized.", "pcp.md §10", "obs-09",
            space_in_target),
    {"pcp*/errors/characters-003", "NUL in the message type: Message not authorized.", "pcp.md §10",
     "obs-55 pcp-int-14 pcp-unit-05", nul_inside, "{\"message_type\": \"exa\\u0000mple\", \"target\": \"${a1}\"}", NULL,
     false},
    {"pcp*/errors/characters-004", "NUL in the target: Message not authorized.", "pcp.md §10",
     "obs-55 pcp-int-14 pcp-unit-05", nul_inside,
     "{\"message_type\": \"example\", \"target\": \"pcp://a\\u0000b/agent\"}", NULL, false},
    {"pcp*/errors/unhandled-001", "A type the broker does not know, to the broker: no answer.", "pcp.md §10",
     "obs-msg-06", unknown_type_for_broker, "{'message_type': 'example', 'target': 'pcp:///server'}", NULL, false},
    {"pcp*/errors/unhandled-002", "error_message to the broker: no answer.", "pcp.md §10", "obs-msg-06",
     unknown_type_for_broker,
     "{'message_type': '${pl}error_message', 'target': 'pcp:///server', 'data': {'description': 'x'}}", NULL, false},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
