/* Connecting, associating, coming back (agent.md §6). */
#include "base/mem.h"
#include "scenarios/conformance/agent_side.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void upgrade_request(struct stage *s) {
    struct link *l = agent_side(s)->agent;
    const char *path = s->version == 2 ? "/pcp2/agent" : "/pcp";
    check(s, strcmp(l->path, path) == 0, path, "%s", l->path);
    check(s, http1_field(&l->head, "sec-websocket-protocol") == NULL, "no subprotocol", "one");
    check(s, http1_field(&l->head, "sec-websocket-extensions") == NULL, "no extension", "%s",
          http1_field(&l->head, "sec-websocket-extensions"));
    check(s, http1_field(&l->head, "origin") == NULL, "no Origin", "one");
    check(s, str_eq(http1_field(&l->head, "sec-websocket-version"), "13"), "Sec-WebSocket-Version: 13", "another");
    const struct world_identity *id = world_conn_peer(l->conn);
    check(s, id != NULL && id->common_name != NULL, "a client certificate", "none");
    const char *agent = http1_field(&l->head, "user-agent");
    static const char reference[] = "WebSocket++/0.8.2";
    bool same = str_eq(agent, reference);
    saw(s, same ? ALL : OURS);
    check(s, same || s->opts->profile == CONFORM_STRICT || agent == NULL || agent[0] != '\0', "a User-Agent, or none",
          "an empty one");
}

static void associates(struct stage *s) {
    agent_side(s)->deaf = true;
    tested_agent_start(s, NULL);
    agent_connected(s);
    expects(
        s, agent_side(s)->agent,
        "{'id': '$uuid', 'message_type': '${pl}associate_request', 'targets': ['pcp:///server'], 'sender': '${agent}',"
        " 'expires': '$re:[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\\\.[0-9]{6}Z', 'chunks': [1]}");
    agent_side(s)->stale = true;
}

static void answer_association(struct stage *s, const char *id, const char *data) {
    char *envelope = str_printf("{\"id\": \"6d6df5b5-ac6f-45c8-8c9a-0a1b2c3d4e5f\", \"message_type\": "
                                "\"http://puppetlabs.com/associate_response\", \"targets\": [\"${agent}\"], "
                                "\"sender\": \"pcp:///server\", \"expires\": \"2099-01-01T00:00:00.000Z\"}");
    char *body = str_printf("{\"id\": \"%s\", %s}", id, data);
    say_v1(s, agent_side(s)->agent, envelope, body);
    mem_free(envelope);
    mem_free(body);
}

static void wrong_id_is_ignored(struct stage *s) {
    agent_side(s)->deaf = true;
    agent_side(s)->stale = true;
    tested_agent_start(s, NULL);
    agent_connected(s);
    expects(s, agent_side(s)->agent, "{'id': '$keep:association', 'message_type': '${pl}associate_request', '...': 0}");
    answer_association(s, "00000000-0000-4000-8000-000000000000", "\"success\": true");
    answer_association(s, "${association}", "\"success\": true");
    agent_works(s);
}

static void refusal_ends_it(struct stage *s) {
    agent_side(s)->deaf = true;
    agent_side(s)->stale = true;
    tested_agent_start(s, NULL);
    agent_connected(s);
    expects(s, agent_side(s)->agent, "{'id': '$keep:association', 'message_type': '${pl}associate_request', '...': 0}");
    answer_association(s, "${association}", "\"success\": false, \"reason\": \"no\"");
    int code = agent_exit(s);
    check(s, code == 3, "exit status 3", "%d", code);
}

static bool came_again(void *ctx) {
    const struct agent_side *side = ctx;
    return side->connections >= 2;
}

static void back_after(struct stage *s) {
    struct agent_side *side = agent_side(s);
    side->connections = 1;
    side->stale = true;
    const char *how = s->c->data;
    if (strcmp(how, "abort") == 0) {
        world_conn_abort(side->agent->conn);
        side->agent->conn = NULL;
    } else if (strcmp(how, "end") == 0) {
        world_conn_close(side->agent->conn, 1000);
    } else {
        link_close(side->agent, (uint16_t)strtol(how, NULL, 10), "elsewhere");
        while (side->connections == 1) { /* its echo, and the end */
            struct link_event *e = next_event(s, side->agent);
            bool end = e->kind == LINK_END;
            link_event_free(e);
            if (end) {
                break;
            }
        }
    }
    waits(s, came_again, side, "the agent connects again");
    agent_connected(s);
    agent_works(s);
}

static void ping_is_answered(struct stage *s) {
    struct link *l = agent_side(s)->agent;
    link_control(l, WS_OP_PING, SPAN("anybody?"));
    expects(s, l, "pong anybody?");
}

static void base_with_slash(struct stage *s) {
    agent_side(s)->stale = true;
    char *more = str_printf(", \"broker-ws-uris\": [\"wss://localhost:%u/pcp2/\"]", agent_side(s)->port);
    tested_agent_start(s, more); /* the last of two equal keys counts */
    mem_free(more);
    agent_connected(s);
    check(s, strcmp(agent_side(s)->agent->path, "/pcp2/agent") == 0, "/pcp2/agent", "%s", agent_side(s)->agent->path);
}

static void second_broker(struct stage *s) {
    agent_side(s)->stale = true;
    char *more = str_printf(
        ", \"connection-timeout\": 1, \"broker-ws-uris\": [\"wss://localhost:%u/pcp2\", \"wss://localhost:%u/pcp2\"]",
        side_free_port(s), agent_side(s)->port);
    tested_agent_start(s, more);
    mem_free(more);
    agent_connected(s);
    agent_works(s);
}

static void pings(struct stage *s) {
    agent_side(s)->stale = true;
    if (s->opts->patience_ms < 15000) {
        skips(s, "takes 6 s: give --patience 15s");
    }
    tested_agent_start(s, ", \"ping-interval\": 6");
    agent_connected(s);
    expects(s, agent_side(s)->agent, "ping ");
}

static void missed_pongs(struct stage *s) {
    struct agent_side *side = agent_side(s);
    side->stale = true;
    if (s->opts->patience_ms < 15000) {
        skips(s, "takes 12 s: give --patience 15s");
    }
    tested_agent_start(s, ", \"ping-interval\": 6, \"allowed-keepalive-timeouts\": 0");
    agent_connected(s);
    side->agent->mute = true;
    expects(s, side->agent, "ping ");
    expects(s, side->agent, "close 1000 consecutive onPongTimeouts");
}

static bool was_refused(void *ctx) {
    return *(size_t *)ctx != 0;
}

static void other_name(struct stage *s) {
    struct agent_side *side = agent_side(s);
    side->stale = true;
    struct error err = ERROR_INIT;
    struct certs_issue what = {.common_name = SPAN("elsewhere.example.com"), .now_ms = world_wall_ms(s->world)};
    const char *const dns[] = {"elsewhere.example.com", NULL};
    what.dns_names = dns;
    struct certs_paths paths = {NULL, NULL};
    check(s, certs_dir_issue(s->ca, s->dir, &what, &paths, &err), "a certificate", "%s", err.msg);
    struct world_tls_files files = {
        .cert = paths.cert, .key = paths.key, .ca = s->ca_path, .client_auth = WORLD_CLIENT_AUTH_NEED};
    struct world_tls *tls = world_tls_new(s->world, &files, &err);
    certs_paths_free(&paths);
    check(s, tls != NULL, "a TLS context", "%s", err.msg);
    world_listener_close(side->listener);
    size_t refused = 0;
    side->listener = agent_listens(s, tls, &refused);
    tested_agent_start(s, NULL);
    waits(s, was_refused, &refused, "the agent refuses the broker's certificate");
    bool connected = side->agent != NULL;
    world_listener_close(side->listener);
    side->listener = agent_listens(s, side->tls, NULL);
    world_tls_free(tls);
    check(s, !connected, "no connection to a broker of another name", "one");
    check(s, !side->program.ended, "it tries on", "it ended");
}

#define C(id, statement, source, covers, run, data, fixture)                                                           \
    { "pxp*/connection/" id, statement, source, covers, run, data, fixture, false }

const struct conform_case agent_connection_cases[] = {
    C("upgrade-001", "The upgrade request: path by version, no subprotocol, no extension, a client certificate.",
      "agent-observed.md Transport", "agent-1-connectors agent-2-agent", upgrade_request, NULL, NULL),
    {"pxp2/connection/path-001", "/agent is added behind one slash.", "agent.md §6.1", "agent-1-connectors",
     base_with_slash, NULL, FIXTURE_STOPPED, false},
    {"pxp1/connection/associate-001", "associate_request: no data chunk, expiry with microseconds.", "agent.md §6.3",
     "agent-1-connectors agent-4-association", associates, NULL, FIXTURE_STOPPED, false},
    {"pxp1/connection/associate-002", "A response with another id is ignored.", "agent.md §6.3", "agent-1-connectors",
     wrong_id_is_ignored, NULL, FIXTURE_STOPPED, false},
    {"pxp1/connection/associate-003", "A refused association ends the agent: exit status 3.", "agent.md §4, §6.3",
     "agent-1-connectors", refusal_ends_it, NULL, FIXTURE_STOPPED, false},
    C("ping-001", "A broker's ping is answered with its payload.", "agent.md §6.4", "agent-1-connectors",
      ping_is_answered, NULL, NULL),
    {"pxp2/connection/ping-002", "It pings at its interval, with an empty payload.", "agent.md §6.4", "agent-1-monitor",
     pings, NULL, FIXTURE_STOPPED, false},
    {"pxp2/connection/ping-003", "No pong: it closes with 1000 consecutive onPongTimeouts.", "agent.md §6.4",
     "agent-1-monitor agent-4-reconnect", missed_pongs, NULL, FIXTURE_STOPPED, false},
    C("again-001", "It is back after a close with 1000.", "agent-observed.md Reconnect",
      "agent-1-monitor agent-4-reconnect agent-4-association", back_after, "1000", FIXTURE_FRESH),
    C("again-002", "After 1011.", "agent-observed.md Reconnect", "agent-1-monitor", back_after, "1011", FIXTURE_FRESH),
    C("again-003", "After 4002.", "agent-observed.md Reconnect", "agent-1-monitor", back_after, "4002", FIXTURE_FRESH),
    C("again-004", "After a reset.", "agent-observed.md Reconnect", "agent-1-monitor agent-4-reconnect", back_after,
      "abort", FIXTURE_FRESH),
    C("again-005", "After the end of the stream.", "agent-observed.md Reconnect", "agent-1-monitor agent-4-reconnect",
      back_after, "end", FIXTURE_FRESH),
    {"pxp2/connection/failover-001", "When the first broker is not there, the second is taken.", "agent.md §6.2",
     "agent-1-conn agent-4-reconnect", second_broker, NULL, FIXTURE_STOPPED, false},
    {"pxp2/connection/name-001", "A broker with a certificate of another name is not connected to; the agent tries on.",
     "agent.md §6.1", "agent-4-tls", other_name, NULL, FIXTURE_STOPPED, false},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
