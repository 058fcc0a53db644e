/* Controllers: the broker dials out, we are what it connects to (pcp.md §15). */
#include "base/mem.h"
#include "scenarios/conformance/broker_side.h"
#include <string.h>

static struct link *all_connected(struct stage *s, struct link *out[3]) {
    for (int i = 0; i < 3; i++) {
        out[i] = controller_connected(s, i);
    }
    return out[0];
}

static void dials_out(struct stage *s) {
    broker_side(s)->stale = true;
    struct link *all[3];
    all_connected(s, all);
    for (int i = 0; i < 3; i++) {
        check(s, strcmp(all[i]->path, "/server/server") == 0, "/server/server", "%s", all[i]->path);
        const struct world_identity *id = world_conn_peer(all[i]->conn);
        check(s, id != NULL && str_eq(id->common_name, "broker.example.com"), "the broker's own certificate", "%s",
              id != NULL ? id->common_name : "none");
        say(s, all[i],
            "{'message_type': '${pl}inventory_request', 'target': 'pcp:///server', 'data': {'query': "
            "['pcp://*/agent']}}");
        expects(s, all[i],
                "{'id': '$uuid', 'message_type': '${pl}inventory_response', 'target': "
                "'$like:pcp://localhost:*/server', 'in_reply_to': '${sent}', 'data': {'uris': []}}");
    }
}

static void absent_agent(struct stage *s) {
    broker_side(s)->stale = true;
    struct link *all[3], *c = all_connected(s, all);
    say(s, c, "{'message_type': '${pl}rpc_blocking_request', 'target': 'pcp://absent.example.com/agent', 'data': 1}");
    expects(
        s, c,
        "{'id': '$uuid', 'message_type': '${pl}error_message', 'in_reply_to': '${sent}', 'data': 'Not connected.'}");
}

static void two_ways(struct stage *s) {
    broker_side(s)->stale = true;
    struct link *all[3], *c = all_connected(s, all);
    struct link *agent = connects(s, 1, "agent");
    variables_set(&s->vars, "ctl", c->uri);
    say(s, c, "{'message_type': '${pl}rpc_blocking_request', 'target': '${a1}', 'data': {'n': 1}}");
    hears(s, agent,
          "{'message_type': '${pl}rpc_blocking_request', 'target': '${a1}', 'sender': '${ctl}', 'id': '${sent}', "
          "'data': {'n': 1}}");
    say(s, agent, "{'message_type': '${pl}rpc_blocking_response', 'target': '${ctl}', 'data': {'n': 2}}");
    expects(s, c,
            "{'id': '${sent}', 'message_type': '${pl}rpc_blocking_response', 'target': '${ctl}', 'sender': '${a1}', "
            "'data': {'n': 2}}");
}

struct refused_message {
    const char *message, *error;
};

static void refused(struct stage *s) {
    const struct refused_message *r = s->c->data;
    broker_side(s)->stale = true;
    struct link *all[3], *c = all_connected(s, all);
    struct link *agent = connects_v(s, 2, 1, "agent");
    say(s, c, r->message);
    char *want = str_printf(
        "{'id': '$uuid', 'message_type': '${pl}error_message', 'in_reply_to': '${sent}', 'data': '%s'}", r->error);
    expects(s, c, keep_text(s, want));
    works(s, agent);
}

static void controller_subscribes(struct stage *s) {
    broker_side(s)->stale = true;
    struct link *all[3], *c = all_connected(s, all);
    say(s, c,
        "{'message_type': '${pl}inventory_request', 'target': 'pcp:///server', 'data': {'query': ['pcp://*/agent'], "
        "'subscribe': true}}");
    expects(s, c,
            "{'message_type': '${pl}inventory_response', 'in_reply_to': '${sent}', 'data': {'uris': []}, '...': 0}");
    struct link *agent = connects(s, 1, "agent");
    changes_until(s, c, "+${a1}");
    leaves(s, agent);
    changes_until(s, c, "-${a1}");
}

static void lost_and_back(struct stage *s) {
    broker_side(s)->stale = true;
    struct link *all[3], *c = all_connected(s, all);
    say(s, c,
        "{'message_type': '${pl}inventory_request', 'target': 'pcp:///server', 'data': {'query': ['pcp://*/agent'], "
        "'subscribe': true}}");
    expects(s, c,
            "{'message_type': '${pl}inventory_response', 'in_reply_to': '${sent}', 'data': {'uris': []}, '...': 0}");
    world_conn_abort(c->conn);
    c->conn = NULL;
    connects(s, 1, "agent");
    struct link *again = controller_connected(s, 0);
    say(s, again,
        "{'message_type': '${pl}inventory_request', 'target': 'pcp:///server', 'data': {'query': ['pcp://*/agent']}}");
    expects(
        s, again,
        "{'message_type': '${pl}inventory_response', 'in_reply_to': '${sent}', 'data': {'uris': ['${a1}']}, '...': 0}");
}

static void drop_all(struct stage *s, struct link *all[3]) {
    for (int i = 0; i < 3; i++) {
        controller_listens(s, i, false);
        world_conn_abort(all[i]->conn);
        all[i]->conn = NULL;
    }
}

/* Waits until a new client is told that there is no controller. */
static void new_clients_are_refused(struct stage *s) {
    for (;;) {
        struct dial d = {.who = 2, .type = "agent"};
        struct link *l = dials(s, &d);
        struct link_event *e = next_event(s, l);
        int code = e->kind == LINK_HTTP ? e->code : 0;
        link_event_free(e);
        if (code == 404) { /* the grace period is over already */
            return;
        }
        say(s, l, "{'message_type': 'example', 'target': 'pcp://absent.example.com/agent'}");
        e = next_event(s, l);
        char *why;
        bool refused = event_is(s, l, e, "close 1011 All controllers disconnected.", &why);
        mem_free(why);
        link_event_free(e);
        if (refused) {
            return;
        }
    }
}

static void all_lost(struct stage *s) {
    broker_side(s)->stale = true;
    struct link *all[3];
    all_connected(s, all);
    struct link *old = connects(s, 1, "agent");
    works(s, old);
    drop_all(s, all);
    new_clients_are_refused(s);
    static const struct answer answers[] = {{REF18, "close 1001 Shutdown"},
                                            {OURS, "close 1011 All controllers disconnected."},
                                            {REF20, "close 1011 All controllers disconnected."},
                                            {REF20, "close 1001 Connection Idle Timeout"},
                                            {OURS, "close 1001 *"},
                                            {0, NULL}};
    expects_any(s, old, answers);
}

static void status_follows(struct stage *s) {
    broker_side(s)->stale = true;
    struct link *all[3];
    all_connected(s, all);
    int status;
    const char *body;
    do {
        body = http_get(s, 0, "/status/v1/simple", &status);
        check(s, status == 200 || status == 503, "200 or 503", "%d", status);
    } while (status != 200);
    check(s, strcmp(body, "running") == 0, "running", "%s", body);
    drop_all(s, all);
    do {
        body = http_get(s, 0, "/status/v1/simple", &status);
    } while (status == 200);
    check(s, status == 503 && strcmp(body, "error") == 0, "503 error", "%d %s", status, body);
    controller_listens(s, 1, true);
    controller_connected(s, 1);
    do {
        http_get(s, 0, "/status/v1/simple", &status);
    } while (status != 200);
    works(s, connects(s, 1, "agent"));
}

static void pinged(struct stage *s) {
    broker_side(s)->stale = true;
    struct link *all[3], *c = all_connected(s, all);
    struct link_event *e = NULL;
    if (s->opts->patience_ms < 16000) {
        skips(s, "takes 15 s: give --patience 20s");
    }
    e = next_event(s, c);
    bool zero = e->kind == LINK_PING && e->bytes.len == 1 && e->bytes.ptr[0] == '\0';
    link_event_free(e);
    check(s, zero, "a ping of one zero byte", "something else");
}

static const struct refused_message
    type = {"{'message_type': 'example', 'target': '${a1}'}", "Message not authorized."},
    sender = {"{'message_type': '${pl}rpc_blocking_request', 'target': '${a1}', 'sender': 'pcp://other:8143/server'}",
              "Message not authenticated."};

const struct conform_case broker_controller_cases[] = {
    {"pcp2/controllers/dial-001",
     "The broker connects to each controller with /server appended and its own certificate, and answers their "
     "inventory requests.",
     "pcp.md §15", "ctl-01 ctl-04 obs-20 pcp-unit-12 obs-ctl-01 pcp-int-25 obs-10 pcp-unit-01", dials_out, NULL,
     FIXTURE_CONTROLLERS, false},
    {"pcp2/controllers/absent-001", "Not connected. for an agent that is not there.", "pcp.md §15", "ctl-01 pcp-int-25",
     absent_agent, NULL, FIXTURE_CONTROLLERS, false},
    {"pcp*/controllers/talk-001",
     "A controller's message arrives with its host and port as sender, and can be answered.", "pcp.md §15",
     "ctl-02 pcp-int-25", two_ways, NULL, FIXTURE_CONTROLLERS, false},
    {"pcp2/controllers/type-001", "A type outside the allow list: Message not authorized.", "pcp.md §15",
     "ctl-03 pcp-int-25", refused, &type, FIXTURE_CONTROLLERS, false},
    {"pcp2/controllers/sender-001", "Another sender: Message not authenticated.", "pcp.md §15", "ctl-03 pcp-int-25",
     refused, &sender, FIXTURE_CONTROLLERS, false},
    {"pcp*/controllers/subscribe-001", "A controller can subscribe.", "pcp.md §15", "ctl-04 pcp-int-25",
     controller_subscribes, NULL, FIXTURE_CONTROLLERS, false},
    {"pcp*/controllers/lost-001", "A controller that is lost is connected to again; its subscription is gone.",
     "pcp.md §15", "ctl-04 obs-ctl-01 pcp-int-25", lost_and_back, NULL, FIXTURE_CONTROLLERS, false},
    {"pcp*/controllers/outage-001",
     "All lost: new clients get 1011, those that are there are closed after the grace period.", "pcp.md §15",
     "ctl-05 obs-close-10 pcp-int-25", all_lost, NULL, FIXTURE_CONTROLLERS, false},
    {"pcp2/controllers/status-001", "All lost: status error with 503; back: running, and clients are taken.",
     "pcp.md §15, §19", "ctl-05 ctl-06 obs-status-01 pcp-int-26", status_follows, NULL, FIXTURE_CONTROLLERS, false},
    {"pcp2/controllers/ping-001", "Controllers are pinged with one zero byte every 15 s.", "pcp.md §9.3", "obs-ctl-01",
     pinged, NULL, FIXTURE_CONTROLLERS, false},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
