/* Inventory requests and subscriptions (pcp.md §13). */
#include "base/mem.h"
#include "scenarios/conformance/broker_side.h"
#include <string.h>

#define ASK(data) "{'message_type': '${pl}inventory_request', 'target': 'pcp:///server', 'data': " data "}"
#define FOUND(uris)                                                                                                    \
    "{'message_type': '${pl}inventory_response', 'target': '${a1}', 'in_reply_to': '${sent}', 'data': {'uris': [" uris \
    "]}}"

struct question {
    const char *data, *uris;
};

static void asked(struct stage *s) {
    const struct question *q = s->c->data;
    struct link *watcher = inventory_watcher(s, 3, "'pcp://*/agent'"), *one = connects(s, 1, "agent");
    connects(s, 2, "agent");
    changes_until(s, watcher, "+${a2}");
    char *ask = str_printf(ASK("%s"), q->data), *found = str_printf(FOUND("%s"), q->uris);
    say(s, one, keep_text(s, ask));
    hears(s, one, keep_text(s, found));
}

static void gone_is_not_listed(struct stage *s) {
    struct link *watcher = inventory_watcher(s, 3, "'pcp://*/agent'"), *one = connects(s, 1, "agent"),
                *two = connects(s, 2, "agent");
    changes_until(s, watcher, "+${a2}");
    leaves(s, two);
    changes_until(s, watcher, "-${a2}");
    say(s, one, ASK("{'query': ['${a2}', '${a1}']}"));
    hears(s, one, FOUND("'${a1}'"));
}

static void bad_data(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    say(s, l, s->c->data);
    json_t *m = next_message(s, l), *data = json_object_get(m, "data");
    const char *text = json_is_string(data) ? json_string_value(data) : json_str(data, "description");
    const char *reply = l->version == 2 ? json_str(m, "in_reply_to") : json_str(data, "id");
    check(s, strcmp(json_str(m, "message_type"), "http://puppetlabs.com/error_message") == 0, "an error_message", "%s",
          json_str(m, "message_type"));
    check(s, text != NULL && strncmp(text, "Error ", 6) == 0,
          "a text that begins with \"Error :schema.core/error handling message: \"", "%s", text);
    check(s, str_eq(reply, variables_get(&s->vars, "sent")), "the request's id", "%s", reply != NULL ? reply : "none");
    works(s, l);
}

static void null_query(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    say(s, l, ASK("{'query': null}"));
    static const struct answer v2[] = {
        {REF18, "{'id': '$uuid', 'message_type': '${pl}inventory_response', 'target': '${a1}', 'in_reply_to': "
                "'${sent}', 'data': {'uris': []}}"},
        {OURS, "{'id': '$uuid', 'message_type': '${pl}inventory_response', 'target': '${a1}', 'in_reply_to': "
               "'${sent}', 'data': {'uris': []}}"},
        {OURS,
         "{'id': '$uuid', 'message_type': '${pl}error_message', 'in_reply_to': '${sent}', 'data': '$like:Error *'}"},
        {0, NULL}};
    static const struct answer v1[] = {
        {ALL, "{'message_type': '${pl}inventory_response', 'in-reply-to': '${sent}', 'data': {'uris': []}, '...': 0}"},
        {OURS,
         "{'message_type': '${pl}error_message', 'data': {'description': '$like:Error *', 'id': '${sent}'}, '...': 0}"},
        {0, NULL}};
    expects_any(s, l, l->version == 2 ? v2 : v1);
}

static void asked_as_other_type(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    say(s, l,
        "{'message_type': '${pl}inventory_request', 'target': 'pcp:///server', 'sender': 'pcp://${c1}/controller', "
        "'data': {'query': ['${a1}']}}");
    works(s, l);
}

/* ---- subscriptions */

static void update_on_connect_and_disconnect(struct stage *s) {
    struct link *watcher = inventory_watcher(s, 1, "'${a2}'");
    struct link *two = connects(s, 2, "agent");
    hears(s, watcher,
          "{'message_type': '${pl}inventory_update', 'target': 'pcp://${c1}/watcher', 'data': {'changes': [{'client': "
          "'${a2}', 'change': 1}]}}");
    leaves(s, two);
    hears(s, watcher,
          "{'message_type': '${pl}inventory_update', 'target': 'pcp://${c1}/watcher', 'data': {'changes': [{'client': "
          "'${a2}', 'change': -1}]}}");
}

static void drop_is_a_disconnect(struct stage *s) {
    struct link *watcher = inventory_watcher(s, 1, "'${a2}'"), *two = connects(s, 2, "agent");
    changes_until(s, watcher, "+${a2}");
    world_conn_abort(two->conn);
    two->conn = NULL;
    changes_until(s, watcher, "-${a2}");
}

static void filtered(struct stage *s) {
    struct link *agents = inventory_watcher(s, 1, "'pcp://*/agent'"), *two = inventory_watcher(s, 2, "'pcp://${c3}/*'");
    connects(s, 3, "controller");
    connects(s, 4, "agent");
    connects(s, 3, "agent");
    check(s, strcmp(changes_until(s, agents, "+${a3}"), keep_text(s, variables_fill(&s->vars, "+${a4} +${a3}"))) == 0,
          "the agents, in order", "something else");
    check(s,
          strcmp(changes_until(s, two, "+${a3}"),
                 keep_text(s, variables_fill(&s->vars, "+pcp://${c3}/controller +${a3}"))) == 0,
          "both types of client 3, in order", "something else");
}

static void two_leave_in_order(struct stage *s) {
    struct link *watcher = inventory_watcher(s, 1, "'pcp://*/agent'"), *two = connects(s, 2, "agent"),
                *three = connects(s, 3, "agent");
    changes_until(s, watcher, "+${a3}");
    leaves(s, two);
    leaves(s, three);
    const char *seen = changes_until(s, watcher, "-${a3}");
    check(s, strcmp(seen, keep_text(s, variables_fill(&s->vars, "-${a2} -${a3}"))) == 0, "−2 then −3", "%s", seen);
}

static void response_comes_first(struct stage *s) {
    struct link *l = connects(s, 1, "watcher");
    struct dial d = {.who = 2, .type = "agent"};
    say(s, l, ASK("{'query': ['pcp://*/agent'], 'subscribe': true}"));
    struct link *two = dials(s, &d);
    json_t *m = next_message(s, l);
    check(s, strcmp(json_str(m, "message_type"), "http://puppetlabs.com/inventory_response") == 0,
          "the response before any update", "%s", json_str(m, "message_type"));
    expects(s, two, "open");
    json_t *uris = json_object_get(json_object_get(m, "data"), "uris");
    if (json_array_size(uris) == 0) {
        changes_until(s, l, "+${a2}");
    }
}

static void unsubscribed(struct stage *s) {
    struct link *first = inventory_watcher(s, 1, "'pcp://*/agent'"),
                *second = inventory_watcher(s, 3, "'pcp://*/agent'");
    say(s, first, ASK("{'query': ['pcp://*/agent']}")); /* without subscribe: ends it */
    hears(s, first,
          "{'message_type': '${pl}inventory_response', 'target': '$any', 'in_reply_to': '${sent}', 'data': {'uris': "
          "[]}}");
    connects(s, 2, "agent");
    changes_until(s, second, "+${a2}");
    works(s, first);
}

static void resubscribed_after_reconnecting(struct stage *s) {
    struct link *first = inventory_watcher(s, 1, "'pcp://*/agent'");
    leaves(s, first);
    struct link *two = connects(s, 2, "agent");
    struct link *again = connects(s, 1, "watcher");
    say(s, again, ASK("{'query': ['pcp://*/agent'], 'subscribe': true}"));
    hears(s, again,
          "{'message_type': '${pl}inventory_response', 'target': '$any', 'in_reply_to': '${sent}', 'data': {'uris': "
          "['${a2}']}}");
    leaves(s, two);
    const char *seen = changes_until(s, again, "-${a2}");
    check(s, strcmp(seen, keep_text(s, variables_fill(&s->vars, "-${a2}"))) == 0, "only what changed since", "%s",
          seen);
}

static void superseded_subscription_ends(struct stage *s) {
    struct link *first = inventory_watcher(s, 1, "'pcp://*/agent'"),
                *other = inventory_watcher(s, 3, "'pcp://*/agent'");
    struct link *young = connects(s, 1, "watcher");
    expects(s, first, "end");
    connects(s, 2, "agent");
    changes_until(s, other, "+${a2}");
    works(s, young);
}

static void subscriber_leaves(struct stage *s) {
    struct link *gone = inventory_watcher(s, 1, "'pcp://*/agent'"), *stays = inventory_watcher(s, 3, "'pcp://*/agent'");
    leaves(s, gone);
    struct link *two = connects(s, 2, "agent");
    changes_until(s, stays, "+${a2}");
    works(s, two);
}

static void changed_query(struct stage *s) {
    struct link *l = inventory_watcher(s, 1, "'${a2}'");
    name_of(s, 4);
    say(s, l, ASK("{'query': ['${a4}'], 'subscribe': true}"));
    hears(s, l,
          "{'message_type': '${pl}inventory_response', 'target': '$any', 'in_reply_to': '${sent}', 'data': {'uris': "
          "[]}}");
    connects(s, 2, "agent");
    connects(s, 4, "agent");
    const char *seen = changes_until(s, l, "+${a4}");
    check(s, strcmp(seen, keep_text(s, variables_fill(&s->vars, "+${a4}"))) == 0, "only what the new query asks for",
          "%s", seen);
}

/* 30 clients come and go while two subscribe: each sees each coming and each going exactly once. */
static void crowd(struct stage *s) {
    enum { CROWD = 30 };
    struct link *watchers[2] = {inventory_watcher(s, 1, "'pcp://*/agent'"), inventory_watcher(s, 2, "'pcp://*/agent'")};
    struct link *clients[CROWD];
    for (int i = 0; i < CROWD; i++) {
        struct dial d = {.who = 5 + i, .type = "agent"};
        clients[i] = dials(s, &d);
    }
    for (int i = 0; i < CROWD; i++) {
        expects(s, clients[i], "open");
    }
    for (int i = 0; i < CROWD; i++) {
        link_close(clients[i], 1000, "");
    }
    for (int w = 0; w < 2; w++) {
        int seen[CROWD + 5] = {0}, total = 0;
        while (total < 2 * CROWD) {
            json_t *changes = json_object_get(json_object_get(next_message(s, watchers[w]), "data"), "changes");
            for (size_t i = 0; i < json_array_size(changes); i++, total++) {
                json_t *c = json_array_get(changes, i);
                int who = 0, change = (int)json_int(c, "change", 0);
                for (int k = 5; k < CROWD + 5; k++) {
                    char *uri = str_printf("pcp://%s/agent", name_of(s, k));
                    who = strcmp(uri, json_str(c, "client")) == 0 ? k : who;
                    mem_free(uri);
                }
                check(s, who != 0 && change == (seen[who] == 0 ? 1 : -1) && seen[who] < 2,
                      "each client +1, then −1, once", "%s %d", json_str(c, "client"), change);
                seen[who]++;
            }
        }
        works(s, watchers[w]);
    }
}

static const struct question self_by_uri = {"{'query': ['${a1}']}", "'${a1}'"},
                             self_by_type = {"{'query': ['pcp://${c1}/*']}", "'${a1}'"},
                             nobody = {"{'query': ['pcp://absent.example.com/agent']}", ""},
                             no_query = {"{'query': []}", ""},
                             all = {"{'query': ['pcp://*/*']}", "'${a1}', '${a2}', 'pcp://${c3}/watcher'"},
                             by_type = {"{'query': ['pcp://*/agent']}", "'${a1}', '${a2}'"},
                             once = {"{'query': ['pcp://*/agent', '${a2}', '${a1}', '${a1}', 'pcp://${c1}/*']}",
                                     "'${a1}', '${a2}'"},
                             not_a_wildcard = {"{'query': ['pcp://client*/agent', 'pcp://*.example.com/agent']}", ""},
                             not_listening = {"{'query': ['${a1}'], 'subscribe': false}", "'${a1}'"};

#define QUESTION(id, statement, covers, q)                                                                             \
    { "pcp*/inventory/" id, statement, "pcp.md §13", covers, asked, &q, NULL, false }
#define BAD(id, statement, message)                                                                                    \
    { "pcp*/inventory/" id, statement, "pcp.md §11, §13", "obs-msg-07", bad_data, message, NULL, false }

const struct conform_case broker_inventory_cases[] = {
    QUESTION("find-001", "A client finds itself by its URI; the answer carries the request's id.",
             "obs-52 pcp-int-12 pcp-unit-02", self_by_uri),
    QUESTION("find-002", "A client finds itself by wildcard.", "obs-52 pcp-int-12", self_by_type),
    QUESTION("find-003", "Who is not there is not listed.", "obs-13 pcp-unit-07b", nobody),
    QUESTION("find-004", "An empty query finds nobody.", "obs-13 pcp-unit-07b", no_query),
    QUESTION("find-005", "pcp://*/* finds everybody, sorted.", "obs-52", all),
    QUESTION("find-006", "A type with any name.", "obs-52", by_type),
    QUESTION("find-007", "Who matches several entries is listed once.", "obs-52", once),
    QUESTION("find-008", "A star inside a name is no wildcard.", "pcp-codec-12 obs-52", not_a_wildcard),
    QUESTION("find-009", "subscribe: false answers as well.", "obs-52", not_listening),
    {"pcp*/inventory/gone-001", "A client that left is not listed.", "pcp.md §13",
     "obs-53 pcp-int-12 obs-06 pcp-unit-02", gone_is_not_listed, NULL, NULL, false},
    BAD("bad-001", "Without data: an error text that begins with Error, with the id.",
        "{'message_type': '${pl}inventory_request', 'target': 'pcp:///server'}"),
    BAD("bad-002", "A query that is a text.", ASK("{'query': '${a1}'}")),
    BAD("bad-003", "A query of things that are no URIs.", ASK("{'query': ['somebody']}")),
    BAD("bad-004", "A key that is not known.", ASK("{'query': [], 'extra': 1}")),
    BAD("bad-005", "A subscribe that is no boolean.", ASK("{'query': [], 'subscribe': 'yes'}")),
    {"pcp*/inventory/null-001", "query: null answers nobody.", "broker-observed.md Messages, v2", "obs-msg-07",
     null_query, NULL, NULL, false},
    {"pcp*/inventory/type-001", "Asked with another sender type of the same name: no answer.",
     "broker-observed.md Messages, v2", "obs-msg-06", asked_as_other_type, NULL, NULL, false},
    {"pcp*/subscribe/update-001", "An update when a client connects and when it leaves.", "pcp.md §13",
     "sub-01 pcp-int-24", update_on_connect_and_disconnect, NULL, NULL, false},
    {"pcp*/subscribe/update-002", "A connection that is cut is a disconnect too.", "pcp.md §9.2", "sub-01",
     drop_is_a_disconnect, NULL, NULL, false},
    {"pcp*/subscribe/filter-001", "Each subscriber gets what its query asks for.", "pcp.md §13", "sub-02 pcp-int-24",
     filtered, NULL, NULL, false},
    {"pcp*/subscribe/order-001", "Two that leave are told in order.", "pcp.md §13", "sub-02 pcp-int-24",
     two_leave_in_order, NULL, NULL, false},
    {"pcp*/subscribe/first-001", "No update before the inventory_response.", "pcp.md §13", "sub-03 pcp-int-24",
     response_comes_first, NULL, NULL, false},
    {"pcp*/subscribe/end-001", "A request without subscribe ends the subscription.", "pcp.md §13", "sub-01",
     unsubscribed, NULL, NULL, false},
    {"pcp*/subscribe/again-001", "After reconnecting and subscribing: the response, then only new changes.",
     "pcp.md §13", "sub-04 pcp-int-24", resubscribed_after_reconnecting, NULL, NULL, false},
    {"pcp*/subscribe/supersede-001", "A subscription ends when its connection is superseded.", "pcp.md §13", "sub-04",
     superseded_subscription_ends, NULL, NULL, false},
    {"pcp*/subscribe/leave-001", "Updates go on for others when a subscriber has left.", "pcp.md §13",
     "sub-03 pcp-int-24", subscriber_leaves, NULL, NULL, false},
    {"pcp*/subscribe/replace-001", "A second subscription replaces the first.", "pcp.md §13", "sub-02", changed_query,
     NULL, NULL, false},
    {"pcp*/subscribe/crowd-001", "30 clients and two subscribers: each coming and going is seen once.", "pcp.md §13",
     "sub-05 pcp-int-24", crowd, NULL, NULL, false},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
