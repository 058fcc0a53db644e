/* Authorization (pcp.md §14): a broker started with rules that deny some things to some clients. */
#include "scenarios/conformance/broker_side.h"

#define DENIED "Message not authorized."

static void association_denied(struct stage *s) {
    struct dial d = {.who = 4, .type = "agent"};
    struct link *l = dials(s, &d);
    expects(s, l, "open");
    static const struct answer answers[] = {{ALL, "close 4002 Association unsuccessful."}, {REF, "end"}, {0, NULL}};
    expects_any(s, l, answers);
}

static void inventory_denied(struct stage *s) {
    struct link *l = connects(s, 2, "agent");
    say(s, l, "{'message_type': '${pl}inventory_request', 'target': 'pcp:///server', 'data': {'query': ['${a2}']}}");
    hears_error(s, l, DENIED);
    works(s, l);
}

static void sensitive_type(struct stage *s) {
    struct link *one = connects(s, 1, "agent"), *two = connects(s, 2, "agent"), *three = connects(s, 3, "agent");
    say(s, two, "{'message_type': 'sensitive', 'target': '${a3}'}");
    hears_error(s, two, DENIED);
    works(s, three);
    say(s, one, "{'message_type': 'sensitive', 'target': '${a3}'}");
    hears(s, three, "{'message_type': 'sensitive', 'target': '${a3}', 'sender': '${a1}', 'id': '${sent}'}");
}

static void denied(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    name_of(s, 3);
    say(s, l, s->c->data);
    hears_error(s, l, DENIED);
    works(s, l);
}

static void allowed(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    say(s, l, s->c->data);
    hears(s, l, s->c->data);
}

static void denied_before_recipients(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    say(s, l, "{'message_type': 'closed', 'target': 'pcp://*/agent'}");
    hears_error(s, l, DENIED);
}

static void authentication_before_rules(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    name_of(s, 2);
    say(s, l, "{'message_type': 'closed', 'target': '${a1}', 'sender': '${a2}'}");
    hears_error(s, l, "Message not authenticated.");
}

const struct conform_case broker_rule_cases[] = {
    {"pcp*/rules/associate-001", "A rule that denies associate_request refuses the connection: 4002.", "pcp.md §14.3",
     "obs-51 pcp-int-11", association_denied, NULL, FIXTURE_RULES, false},
    {"pcp*/rules/inventory-001", "A rule that denies inventory_request: Message not authorized., with the id.",
     "pcp.md §14.3", "obs-54 pcp-int-13 pcp-unit-10", inventory_denied, NULL, FIXTURE_RULES, false},
    {"pcp*/rules/type-001", "A sensitive type is delivered for the one client that may.", "pcp.md §14.1",
     "obs-59 pcp-int-17 pcp-unit-05", sensitive_type, NULL, FIXTURE_RULES, false},
    {"pcp*/rules/type-002", "A type that nobody may send.", "pcp.md §14.3", "obs-09", denied,
     "{'message_type': 'closed', 'target': '${a1}'}", FIXTURE_RULES, false},
    {"pcp*/rules/parameters-001", "A rule on target and message_type together.", "pcp.md §14.1", "obs-08 pcp-unit-04",
     denied, "{'message_type': 'narrow', 'target': '${a3}'}", FIXTURE_RULES, false},
    {"pcp*/rules/parameters-002", "It does not match when one of them is another.", "pcp.md §14.1",
     "obs-08 pcp-unit-04", allowed, "{'message_type': 'narrow', 'target': '${a1}', 'sender': '${a1}'}", FIXTURE_RULES,
     false},
    {"pcp*/rules/parameters-003", "A rule on the sender.", "pcp.md §14.1", "obs-08 pcp-unit-04", denied,
     "{'message_type': 'example', 'target': '${a1}', 'sender': 'pcp://${c1}/controller'}", FIXTURE_RULES, false},
    {"pcp*/rules/order-001", "Rules are asked before recipients are counted.", "pcp.md §11", "obs-15 pcp-unit-09",
     denied_before_recipients, NULL, FIXTURE_RULES, false},
    {"pcp*/rules/order-002", "The sender is checked before the rules.", "pcp.md §11", "obs-15 pcp-unit-09",
     authentication_before_rules, NULL, FIXTURE_RULES, false},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
