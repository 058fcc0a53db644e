/* Sessions: association, superseding, who is who (pcp.md §5.1, §7, §9, §10.1). */
#include "scenarios/conformance/broker_side.h"
#include <string.h>

#define ASSOCIATE "'message_type': '${pl}associate_request', 'target': 'pcp:///server'"
#define ASSOCIATED(uri, data)                                                                                          \
    "{'message_type': '${pl}associate_response', 'target': '" uri "', 'sender': 'pcp:///server', 'in_reply_to':"       \
    " '${sent}', 'data': {'id': '${sent}', " data "}}"

static void associates(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    say(s, l, "{" ASSOCIATE "}");
    hears(s, l, ASSOCIATED("${a1}", "'success': true"));
    works(s, l);
}

static void associates_twice(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    for (int i = 0; i < 2; i++) {
        say(s, l, "{" ASSOCIATE ", 'sender': '${a1}'}");
        hears(s, l, ASSOCIATED("${a1}", "'success': true"));
    }
    works(s, l);
}

static void not_needed(struct stage *s) {
    struct link *one = connects(s, 1, "agent"), *two = connects(s, 2, "agent");
    say(s, one, "{'message_type': 'example', 'target': '${a2}'}");
    hears(s, two, "{'message_type': 'example', 'target': '${a2}', 'sender': '${a1}', 'id': '${sent}'}");
}

static void associates_as_another(struct stage *s) {
    name_of(s, 2);
    struct link *l = connects(s, 1, "agent");
    say(s, l, "{" ASSOCIATE ", 'sender': '${a2}'}");
    hears(s, l, ASSOCIATED("${a2}", "'success': false, 'reason': 'Message not authenticated.'"));
    expects(s, l, "close 4002 Association unsuccessful.");
}

static void associates_as_other_type(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    say(s, l, "{" ASSOCIATE ", 'sender': 'pcp://${c1}/controller'}");
    hears(s, l, ASSOCIATED("pcp://${c1}/controller", "'success': false, 'reason': 'Session already associated.'"));
    expects(s, l, "close 4002 Association unsuccessful.");
}

static void association_with_others(struct stage *s) {
    struct link *one = connects(s, 1, "agent"), *two = connects(s, 2, "agent");
    say(s, one, "{'message_type': '${pl}associate_request', 'target': '${a2}'}");
    if (s->version == 2) {
        hears(s, two,
              "{'message_type': '${pl}associate_request', 'target': '${a2}', 'sender': '${a1}', 'id': '${sent}'}");
    } else { /* with the data chunk that is never left out, or without, as this type has none */
        static const struct answer answers[] = {
            {REF, "{'message_type': '${pl}associate_request', 'targets': ['${a2}'], 'data': null, 'chunks': [1, 2], "
                  "'...': 0}"},
            {OURS, "{'message_type': '${pl}associate_request', 'targets': ['${a2}'], 'chunks': [1], '...': 0}"},
            {0, NULL}};
        expects_any(s, two, answers);
    }
    works(s, one);
}

static void newest_wins(struct stage *s) {
    struct link *old = connects(s, 1, "agent");
    struct link *young = connects(s, 1, "agent");
    expects(s, old, "end");
    works(s, young);
    say(s, young, "{'message_type': 'example', 'target': '${a1}'}");
    hears(s, young, "{'message_type': 'example', 'target': '${a1}', 'sender': '${a1}', 'id': '${sent}'}");
}

static void newest_wins_over_other_version(struct stage *s) {
    struct link *old = connects_v(s, 3 - s->version, 1, "agent");
    struct link *young = connects(s, 1, "agent");
    expects(s, old, "end");
    works(s, young);
}

static void types_are_apart(struct stage *s) {
    struct link *agent = connects(s, 1, "agent"), *controller = connects(s, 1, "controller");
    works(s, agent);
    works(s, controller);
    say(s, controller, "{'message_type': 'example', 'target': '${a1}'}");
    hears(s, agent,
          "{'message_type': 'example', 'target': '${a1}', 'sender': 'pcp://${c1}/controller', 'id': '${sent}'}");
}

static void superseding_is_seen(struct stage *s) {
    struct link *watcher = inventory_watcher(s, 3, "'pcp://*/agent'");
    connects(s, 1, "agent");
    changes_until(s, watcher, "+${a1}");
    struct link *young = connects(s, 1, "agent");
    works(s, young);
    connects(s, 2, "agent");
    const char *seen = changes_until(s, watcher, "+${a2}");
    char *away = variables_fill(&s->vars, "-${a1} +${a1} +${a2}"), *only = variables_fill(&s->vars, "+${a1} +${a2}");
    const char *minus_plus = keep_text(s, away), *plus = keep_text(s, only);
    bool strict = s->opts->profile == CONFORM_STRICT;
    bool ours = strcmp(seen, minus_plus) == 0;
    check(s, ours || (!strict && strcmp(seen, plus) == 0), strict ? minus_plus : "−1 then +1 (1.8, ours), or +1 (2.0)",
          "%s", seen);
    saw(s, ours ? REF18 | OURS : REF20);
}

/* What is sent right behind the 101 finds its receiver. */
static void registered_before_the_101(struct stage *s) {
    struct link *from = connects(s, 1, "agent");
    for (int i = 0; i < 5; i++) {
        struct link *to = connects(s, 2, "agent");
        say(s, from, "{'message_type': 'example', 'target': '${a2}'}");
        hears(s, to, "{'message_type': 'example', 'target': '${a2}', 'sender': '${a1}', 'id': '${sent}'}");
        leaves(s, to);
    }
}

static void server_type_refused(struct stage *s) {
    struct dial d = {.who = 1, .type = "server"};
    struct link *l = dials(s, &d);
    expects(s, l, "open");
    static const struct answer answers[] = {{ALL, "close 4002 Association unsuccessful."}, {REF, "end"}, {0, NULL}};
    expects_any(s, l, answers);
}

static void connects_at_all(struct stage *s) {
    works(s, connects(s, 1, "agent"));
}

static void leaving_in_order(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    works(s, l);
    leaves(s, l);
}

static void many_reconnect(struct stage *s) {
    struct link *watcher = inventory_watcher(s, 3, "'${a1}'");
    for (int i = 0; i < 10; i++) {
        leaves(s, connects(s, 1, "agent"));
    }
    struct link *last = connects(s, 1, "agent");
    works(s, last);
    int there = 0, seen = 0;
    while (seen < 21) { /* ten times +1 −1, then +1 */
        json_t *m = next_message(s, watcher), *changes = json_object_get(json_object_get(m, "data"), "changes");
        for (size_t i = 0; i < json_array_size(changes); i++, seen++) {
            int change = (int)json_int(json_array_get(changes, i), "change", 0);
            check(s, change == (there == 0 ? 1 : -1), "+1 and −1 in turn", "%d as change %d", change, seen);
            there += change;
        }
    }
    check(s, there == 1, "+1 last", "%d", there);
}

const struct conform_case broker_session_cases[] = {
    {"pcp*/session/connect-001", "A client with a certificate connects and is answered.", "pcp.md §9.1",
     "obs-21 pcp-int-01 obs-01", connects_at_all, NULL, NULL, false},
    {"pcp*/session/close-001", "A client that closes with 1000 gets 1000 and the end of the stream.", "pcp.md §9.2",
     "obs-close-03", leaving_in_order, NULL, NULL, false},
    {"pcp*/session/associate-001", "associate_request succeeds; the answer carries the request's id.", "pcp.md §10.1",
     "obs-47 pcp-int-07 obs-12 pcp-unit-07", associates, NULL, NULL, false},
    {"pcp*/session/associate-002", "A second associate_request on the connection succeeds too.", "pcp.md §10.1",
     "obs-50 pcp-int-10", associates_twice, NULL, NULL, false},
    {"pcp*/session/associate-003", "Association is implicit: a client may talk without it.", "pcp.md §5.1", "obs-47",
     not_needed, NULL, NULL, false},
    {"pcp*/session/associate-004", "Associating as another name: refused, then 4002.", "pcp.md §10.1",
     "obs-46 pcp-int-06 obs-msg-04", associates_as_another, NULL, NULL, false},
    {"pcp*/session/associate-005", "Associating as another type: Session already associated., then 4002.",
     "pcp.md §10.1", "obs-48 pcp-int-08 obs-msg-04", associates_as_other_type, NULL, NULL, false},
    {"pcp*/session/associate-006", "An associate_request for somebody else is a message like others.", "pcp.md §10",
     "obs-11 pcp-unit-06", association_with_others, NULL, NULL, false},
    {"pcp*/session/supersede-001", "The newest connection of a URI wins; the old one ends without a close frame.",
     "pcp.md §9.1", "obs-49 pcp-int-09 obs-close-06", newest_wins, NULL, NULL, false},
    {"pcp*/session/supersede-002", "So it does over the other version's endpoint.", "pcp.md §7", "obs-49 pcp-int-09",
     newest_wins_over_other_version, NULL, NULL, false},
    {"pcp*/session/supersede-003", "A subscriber sees −1 then +1 (1.8, ours) or a second +1 (2.0).",
     "broker-observed.md Close codes", "obs-close-06", superseding_is_seen, NULL, NULL, false},
    {"pcp*/session/types-001", "Types of one name are sessions apart.", "pcp.md §7", "obs-48", types_are_apart, NULL,
     NULL, false},
    {"pcp*/session/server-001", "Type server is reserved: 4002.", "pcp.md §2, §9.1", "obs-close-01",
     server_type_refused, NULL, NULL, false},
    {"pcp*/session/register-001", "A client is registered when its 101 arrives.", "broker-observed.md Messages, v2",
     "obs-msg-05", registered_before_the_101, NULL, NULL, true},
    {"pcp*/session/churn-001", "Coming and going is seen in order, nothing twice, nothing missing.", "pcp.md §13",
     "obs-06 pcp-unit-02", many_reconnect, NULL, NULL, false},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
