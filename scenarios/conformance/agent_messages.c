/* What an agent answers to requests that are none, that it cannot carry out, and how its answers are addressed
 * (pxp.md §3, §4, §6; agent-observed.md). */
#include "base/mem.h"
#include "scenarios/conformance/agent_side.h"
#include <string.h>

struct refusal {
    const char *type, *data, *error; /* data NULL: none */
};

static void pcp_error(struct stage *s) {
    const struct refusal *r = s->c->data;
    asks(s, r->type, r->data);
    answers_pcp_error(s, r->error);
    agent_works(s);
}

static void rpc_error(struct stage *s) {
    const struct refusal *r = s->c->data;
    asks(s, r->type, r->data);
    answers_error(s, r->error);
    agent_works(s);
}

static void dropped_text(struct stage *s) {
    struct link *l = agent_side(s)->agent;
    fresh_id(s);
    char *filled = variables_fill(&s->vars, s->c->data);
    notes(s, l->name, "> %s", filled);
    link_send(l, s->version == 2, span_of(filled));
    mem_free(filled);
    agent_works(s);
}

static void dropped_message(struct stage *s) {
    say(s, agent_side(s)->agent, s->c->data);
    agent_works(s);
}

static void dropped_bytes(struct stage *s) {
    const struct span *bytes = s->c->data;
    link_send(agent_side(s)->agent, false, *bytes);
    agent_works(s);
}

#define PING "{'transaction_id': '${tx}', 'module': 'ping', 'action': 'ping', 'params': {}}"
#define PONG "{'transaction_id': '${tx}', 'results': {'request_hops': []}}"

static void ping(struct stage *s) {
    asks(s, "blocking", PING);
    answers(s, "blocking_response", PONG);
}

static void without_params(struct stage *s) {
    asks(s, "blocking", "{'transaction_id': '${tx}', 'module': 'ping', 'action': 'ping'}");
    answers(s, "blocking_response", PONG);
}

static void timestamped(struct stage *s) {
    asks(s, "blocking",
         "{'transaction_id': '${tx}', 'module': 'ping', 'action': 'ping', 'params': {'sender_timestamp': 'now'}}");
    answers(s, "blocking_response", PONG);
}

static void empty_transaction(struct stage *s) {
    asks(s, "blocking", "{'transaction_id': '', 'module': 'ping', 'action': 'ping'}");
    answers(s, "blocking_response", "{'transaction_id': '', 'results': {'request_hops': []}}");
}

static void echo(struct stage *s) {
    asks(s, "blocking",
         "{\"transaction_id\": \"${tx}\", \"module\": \"echo\", \"action\": \"echo\", \"params\": {\"argument\": "
         "\"caf\\u00e9 \\\"\\\\ \\n\"}}");
    answers(s, "blocking_response",
            "{\"transaction_id\": \"${tx}\", \"results\": {\"outcome\": \"caf\\u00e9 \\\"\\\\ \\n\"}}");
}

static void two_controllers(struct stage *s) {
    asks_as(s, "pcp://other.example.com/controller", "blocking",
            "{'transaction_id': '${tx2}', 'module': 'echo', 'action': 'echo', 'params': {'argument': 'other'}}");
    if (s->version == 2) {
        expects(s, agent_side(s)->agent,
                "{'target': 'pcp://other.example.com/controller', 'data': {'transaction_id': '${tx2}', 'results': "
                "{'outcome': 'other'}}, '...': 0}");
    } else {
        expects(s, agent_side(s)->agent,
                "{'targets': ['pcp://other.example.com/controller'], 'data': {'transaction_id': '${tx2}', 'results': "
                "{'outcome': 'other'}}, '...': 0}");
    }
    asks(s, "blocking", PING);
    answers(s, "blocking_response", PONG);
}

static void other_target(struct stage *s) {
    say(s, agent_side(s)->agent,
        "{'message_type': '${pl}rpc_blocking_request', 'target': 'pcp://somebody.example.com/agent', 'sender': "
        "'${ctl}', 'data': " PING "}");
    answers(s, "blocking_response", PONG);
}

static void expired(struct stage *s) {
    say(s, agent_side(s)->agent,
        "{'message_type': '${pl}rpc_blocking_request', 'target': '${agent}', 'sender': '${ctl}', 'expires': "
        "'1999-01-01T00:00:00.000Z', 'data': " PING "}");
    answers(s, "blocking_response", PONG);
}

static void other_frame_type(struct stage *s) {
    struct link *l = agent_side(s)->agent;
    fresh_id(s);
    struct buf out = BUF_INIT;
    char *text;
    if (s->version == 2) {
        text = variables_fill(
            &s->vars, "{\"id\": \"${sent}\", \"message_type\": \"${pl}rpc_blocking_request\", \"target\": "
                      "\"${agent}\", \"sender\": \"${ctl}\","
                      " \"data\": {\"transaction_id\": \"${tx}\", \"module\": \"ping\", \"action\": \"ping\"}}");
        buf_append_cstr(&out, text);
    } else {
        text = variables_fill(&s->vars,
                              "{\"id\": \"${sent}\", \"message_type\": \"${pl}rpc_blocking_request\", \"targets\": "
                              "[\"${agent}\"], \"sender\": \"${ctl}\", \"expires\": \"2099-01-01T00:00:00Z\"}");
        buf_append_char(&out, 1);
        link_v1_chunk(&out, 1, span_of(text));
        mem_free(text);
        text = variables_fill(&s->vars, "{\"transaction_id\": \"${tx}\", \"module\": \"ping\", \"action\": \"ping\"}");
        link_v1_chunk(&out, 2, span_of(text));
        if (!span_is_utf8(buf_span(&out))) {
            buf_free(&out);
            mem_free(text);
            skips(s, "the message is no UTF-8: it cannot be a text frame");
        }
    }
    mem_free(text);
    link_send(l, s->version != 2, buf_span(&out));
    buf_free(&out);
    answers(s, "blocking_response", PONG);
}

/* ---- v1's debug chunks */

static void with_debug(struct stage *s, const char *type, const char *data) {
    struct buf out = BUF_INIT;
    fresh_id(s);
    char *e = variables_fill(&s->vars, type), *d = variables_fill(&s->vars, data);
    buf_append_char(&out, 1);
    link_v1_chunk(&out, 1, span_of(e));
    link_v1_chunk(&out, 2, span_of(d));
    link_v1_chunk(&out, 3,
                  SPAN("{\"hops\":[{\"server\":\"pcp://broker.example.com/"
                       "server\",\"time\":\"2030-01-02T03:04:05.000Z\",\"stage\":\"accepted\"}]}"));
    mem_free(e);
    mem_free(d);
    link_send(agent_side(s)->agent, false, buf_span(&out));
    buf_free(&out);
}
#define V1_REQUEST(kind)                                                                                               \
    "{\"id\": \"${sent}\", \"message_type\": \"${pl}rpc_" kind                                                         \
    "_request\", \"targets\": [\"${agent}\"], \"sender\": \"${ctl}\", \"expires\": \"2099-01-01T00:00:00Z\"}"
#define HOP "{'server': 'pcp://broker.example.com/server', 'time': '2030-01-02T03:04:05.000Z', 'stage': 'accepted'}"

static void debug_is_echoed(struct stage *s) {
    with_debug(s, V1_REQUEST("blocking"),
               "{\"transaction_id\": \"${tx}\", \"module\": \"ping\", \"action\": \"ping\", \"params\": {}}");
    expects(s, agent_side(s)->agent,
            "{'message_type': '${pl}rpc_blocking_response', 'data': {'transaction_id': '${tx}', 'results': "
            "{'request_hops': [" HOP "]}}, 'debug': [{'hops': [" HOP "]}], 'chunks': [1, 2, 3], '...': 0}");
}

static void debug_of_non_blocking(struct stage *s) {
    with_debug(s, V1_REQUEST("non_blocking"),
               "{\"transaction_id\": \"${tx}\", \"module\": \"command\", \"action\": \"run\", \"notify_outcome\": "
               "true, \"params\": {\"command\": \"echo x\"}}");
    struct link *l = agent_side(s)->agent;
    bool seen[2] = {false, false};
    for (int i = 0; i < 2; i++) {
        json_t *m = next_message(s, l);
        bool is_provisional = span_ends_with(span_of(json_str(m, "message_type")), "rpc_provisional_response");
        bool debug = json_object_get(m, "debug") != NULL;
        check(s, debug == is_provisional, "debug chunks on the provisional response only", "%s %s",
              json_str(m, "message_type"), debug ? "with them" : "without");
        seen[is_provisional ? 0 : 1] = true;
    }
    check(s, seen[0] && seen[1], "a provisional and a final response", "one of them twice");
}

static void debug_of_errors(struct stage *s) {
    with_debug(s, V1_REQUEST("blocking"),
               "{\"transaction_id\": \"${tx}\", \"module\": \"nope\", \"action\": \"nope\", \"params\": {}}");
    answers_error(s, "unknown module: nope");
}

#define BASE "'transaction_id': '${tx}', 'module': 'ping', 'action': 'ping'"
static const struct refusal
    no_data = {"blocking", NULL, "no data"},
    no_data_nb = {"non_blocking", NULL, "no data"}, text_data = {"blocking", "'text'", "invalid data"},
    list_data = {"blocking", "[]", "invalid data"}, empty_data = {"blocking", "{}", "invalid data"},
    no_transaction = {"blocking", "{'module': 'ping', 'action': 'ping'}", "invalid data"},
    no_module = {"blocking", "{'transaction_id': '${tx}', 'action': 'ping'}", "invalid data"},
    no_action = {"blocking", "{'transaction_id': '${tx}', 'module': 'ping'}", "invalid data"},
    bad_transaction = {"blocking", "{'transaction_id': 7, 'module': 'ping', 'action': 'ping'}", "invalid data"},
    bad_module = {"blocking", "{'transaction_id': '${tx}', 'module': 7, 'action': 'ping'}", "invalid data"},
    bad_action = {"blocking", "{'transaction_id': '${tx}', 'module': 'ping', 'action': null}", "invalid data"},
    null_params = {"blocking", "{" BASE ", 'params': null}", "invalid data"},
    list_params = {"blocking", "{" BASE ", 'params': []}", "invalid data"},
    extra_key = {"blocking", "{" BASE ", 'extra': 1}", "invalid data"},
    notify_blocking = {"blocking", "{" BASE ", 'notify_outcome': true}", "invalid data"},
    no_notify = {"non_blocking", "{" BASE "}", "invalid data"},
    bad_notify = {"non_blocking", "{" BASE ", 'notify_outcome': 'yes'}", "invalid data"},
    extra_key_nb = {"non_blocking", "{" BASE ", 'notify_outcome': true, 'extra': 1}", "invalid data"};
static const struct refusal
    unknown_module = {"blocking", "{'transaction_id': '${tx}', 'module': 'nope', 'action': 'run', 'params': {}}",
                      "unknown module: nope"},
    unknown_module_nb = {"non_blocking",
                         "{'transaction_id': '${tx}', 'module': 'nope', 'action': 'run', 'notify_outcome': true}",
                         "unknown module: nope"},
    unknown_action = {"blocking", "{'transaction_id': '${tx}', 'module': 'task', 'action': 'nope', 'params': {}}",
                      "unknown action 'nope' for module 'task'"},
    unknown_action_nb = {"non_blocking",
                         "{'transaction_id': '${tx}', 'module': 'task', 'action': 'nope', 'notify_outcome': true}",
                         "unknown action 'nope' for module 'task'"},
    status_other = {"blocking", "{'transaction_id': '${tx}', 'module': 'status', 'action': 'nope', 'params': {}}",
                    "unknown module: status"},
    only_ping = {"non_blocking", "{" BASE ", 'notify_outcome': true}",
                 "the module 'ping' supports only blocking PXP requests"},
    only_echo = {"non_blocking",
                 "{'transaction_id': '${tx}', 'module': 'echo', 'action': 'echo', 'params': {'argument': 'x'}, "
                 "'notify_outcome': true}",
                 "the module 'echo' supports only blocking PXP requests"},
    only_status = {"non_blocking",
                   "{'transaction_id': '${tx}', 'module': 'status', 'action': 'query', 'params': {'transaction_id': "
                   "'x'}, 'notify_outcome': true}",
                   "the module 'status' supports only blocking PXP requests"},
    only_before_params =
        {"non_blocking",
         "{'transaction_id': '${tx}', 'module': 'echo', 'action': 'echo', 'params': {}, 'notify_outcome': true}",
         "the module 'echo' supports only blocking PXP requests"},
    echo_without = {"blocking", "{'transaction_id': '${tx}', 'module': 'echo', 'action': 'echo', 'params': {}}",
                    "invalid input for blocking 'echo echo' request (transaction ${tx})"},
    echo_number = {"blocking",
                   "{'transaction_id': '${tx}', 'module': 'echo', 'action': 'echo', 'params': {'argument': 7}}",
                   "invalid input for blocking 'echo echo' request (transaction ${tx})"},
    echo_extra =
        {"blocking",
         "{'transaction_id': '${tx}', 'module': 'echo', 'action': 'echo', 'params': {'argument': 'x', 'more': 1}}",
         "invalid input for blocking 'echo echo' request (transaction ${tx})"},
    status_without = {"blocking", "{'transaction_id': '${tx}', 'module': 'status', 'action': 'query', 'params': {}}",
                      "invalid input for blocking 'status query' request (transaction ${tx})"},
    ping_extra = {"blocking", "{" BASE ", 'params': {'more': 1}}",
                  "invalid input for blocking 'ping ping' request (transaction ${tx})"},
    command_nb = {
        "non_blocking",
        "{'transaction_id': '${tx}', 'module': 'command', 'action': 'run', 'params': {}, 'notify_outcome': true}",
        "invalid input for non blocking 'command run' request (transaction ${tx})"};

#define PCP(id, what, r)                                                                                               \
    {                                                                                                                  \
        "pxp*/data/" id, what ": PCP error.", "pxp.md §4, §6", "pxp-01 pxp-02 pxp-03 pxp-06 agent-2-requests",         \
            pcp_error, &r, NULL, false                                                                                 \
    }
#define RPC(id, what, r)                                                                                               \
    { "pxp*/refuse/" id, what, "pxp.md §6", "pxp-03 agent-2-requests", rpc_error, &r, NULL, false }
#define DROP2(id, what, text)                                                                                          \
    {                                                                                                                  \
        "pxp2/drop/" id, what ": no answer, the connection stays.", "agent-observed.md Message handling",              \
            "agent-1-v2", dropped_text, text, NULL, false                                                              \
    }
#define DROP1(id, what, bytes)                                                                                         \
    {                                                                                                                  \
        "pxp1/drop/" id, what ": no answer, the connection stays.", "agent-observed.md Message handling",              \
            "agent-1-v1parse", dropped_bytes, &bytes, NULL, false                                                      \
    }
#define DROP(id, what, message)                                                                                        \
    {                                                                                                                  \
        "pxp*/drop/" id, what ": no answer, the connection stays.", "agent-observed.md Message handling",              \
            "agent-1-v2", dropped_message, message, NULL, false                                                        \
    }

static const struct span nothing = {"", 0}, zero = {"\0", 1}, version_2 = {"\2\1\0\0\0\2{}", 8},
                         data_first = {"\1\2\0\0\0\2{}", 8}, beyond = {"\1\1\0\0\0\x7f{}", 8},
                         cut_json = {"\1\1\0\0\0\1{", 7}, no_schema = {"\1\1\0\0\0\2{}", 8},
                         bad_descriptor = {"\1\7\0\0\0\2{}", 8};

const struct conform_case agent_message_cases[] = {
    {"pxp*/ping/answer-001",
     "ping answers; the reply goes to the sender, with a fresh id and no reference in the envelope.", "pxp.md §3, §11",
     "pxp-06 agent-2-json agent-2-ping", ping, NULL, NULL, false},
    {"pxp*/ping/answer-002", "Absent params are {}.", "pxp.md §4.1", "pxp-02 agent-2-ping", without_params, NULL, NULL,
     false},
    {"pxp*/ping/answer-003", "sender_timestamp is taken.", "pxp.md §11", "agent-2-ping", timestamped, NULL, NULL,
     false},
    {"pxp*/ping/answer-004", "An empty transaction id is echoed by blocking requests.",
     "agent-observed.md Message handling", "pxp-01", empty_transaction, NULL, NULL, false},
    {"pxp1/ping/debug-001", "Debug chunks come back on the blocking response; ping returns their hops.", "pxp.md §3",
     "pxp-05 agent-2-ping", debug_is_echoed, NULL, NULL, false},
    {"pxp1/ping/debug-002", "Of a non-blocking request they come back on the provisional response only.", "pxp.md §3",
     "pxp-05", debug_of_non_blocking, NULL, NULL, false},
    {"pxp1/ping/debug-003", "They do not come back on errors.", "pxp.md §3", "pxp-05", debug_of_errors, NULL, NULL,
     false},
    {"pxp*/echo/answer-001", "echo returns its argument.", "agent.md §11.1", "agent-2-echo pxp-01", echo, NULL, NULL,
     false},
    {"pxp*/envelope/sender-001", "Each controller gets its own reply.", "pxp.md §3", "pxp-04", two_controllers, NULL,
     NULL, false},
    {"pxp*/envelope/target-001", "A message for another target is carried out.", "agent-observed.md Envelope",
     "agent-1-v2", other_target, NULL, NULL, false},
    {"pxp1/envelope/expires-001", "An expired message is carried out.", "agent-observed.md Envelope", "agent-1-v1parse",
     expired, NULL, NULL, false},
    {"pxp*/envelope/frame-001", "The frame's type is not looked at.", "agent-observed.md Transport", "agent-1-v2",
     other_frame_type, NULL, NULL, false},
    PCP("none-001", "A blocking request without data", no_data),
    PCP("none-002", "A non-blocking request without data", no_data_nb),
    PCP("invalid-001", "Data that is a text", text_data),
    PCP("invalid-002", "Data that is a list", list_data),
    PCP("invalid-003", "Empty data", empty_data),
    PCP("invalid-004", "No transaction_id", no_transaction),
    PCP("invalid-005", "No module", no_module),
    PCP("invalid-006", "No action", no_action),
    PCP("invalid-007", "A transaction_id that is a number", bad_transaction),
    PCP("invalid-008", "A module that is a number", bad_module),
    PCP("invalid-009", "An action that is null", bad_action),
    PCP("invalid-010", "params of null", null_params),
    PCP("invalid-011", "params that are a list", list_params),
    PCP("invalid-012", "A key that is not known", extra_key),
    PCP("invalid-013", "notify_outcome on a blocking request", notify_blocking),
    PCP("invalid-014", "A non-blocking request without notify_outcome", no_notify),
    PCP("invalid-015", "A notify_outcome that is a text", bad_notify),
    PCP("invalid-016", "A key that is not known, non-blocking", extra_key_nb),
    RPC("module-001", "An unknown module.", unknown_module),
    RPC("module-002", "An unknown module, non-blocking: no provisional response.", unknown_module_nb),
    RPC("action-001", "An unknown action.", unknown_action),
    RPC("action-002", "An unknown action, non-blocking.", unknown_action_nb),
    RPC("action-003", "status has query only.", status_other),
    RPC("blocking-001", "ping is blocking only.", only_ping),
    RPC("blocking-002", "echo is blocking only.", only_echo),
    RPC("blocking-003", "status is blocking only.", only_status),
    RPC("blocking-004", "That is checked before the parameters.", only_before_params),
    RPC("params-001", "echo without its argument.", echo_without),
    RPC("params-002", "echo with a number.", echo_number),
    RPC("params-003", "echo with one parameter too many.", echo_extra),
    RPC("params-004", "status query without transaction_id.", status_without),
    RPC("params-005", "ping with a parameter it does not know.", ping_extra),
    RPC("params-006", "The text says non blocking, with a space.", command_nb),
    DROP2("text-001", "Text that is no JSON", "certainly not"),
    DROP2("text-002", "An array", "[]"),
    DROP2("text-003", "null", "null"),
    DROP2("text-004", "No id",
          "{\"message_type\": \"${pl}rpc_blocking_request\", \"sender\": \"${ctl}\", \"data\": {}}"),
    DROP2("text-005", "No message_type", "{\"id\": \"${sent}\", \"sender\": \"${ctl}\"}"),
    DROP2(
        "text-006", "A key that is not known",
        "{\"id\": \"${sent}\", \"message_type\": \"${pl}rpc_blocking_request\", \"sender\": \"${ctl}\", \"extra\": 1}"),
    DROP2("text-007", "A request without sender",
          "{\"id\": \"${sent}\", \"message_type\": \"${pl}rpc_blocking_request\", \"data\": {\"transaction_id\": "
          "\"x\", \"module\": \"ping\", \"action\": \"ping\"}}"),
    DROP2("text-008", "A trailing comma",
          "{\"id\": \"${sent}\", \"message_type\": \"${pl}rpc_blocking_request\", \"sender\": \"${ctl}\",}"),
    DROP1("bytes-001", "No bytes", nothing),
    DROP1("bytes-002", "A zero byte", zero),
    DROP1("bytes-003", "Version byte 2", version_2),
    DROP1("bytes-004", "A data chunk first", data_first),
    DROP1("bytes-005", "A chunk longer than the message", beyond),
    DROP1("bytes-006", "An envelope of cut JSON", cut_json),
    DROP1("bytes-007", "An envelope without its keys", no_schema),
    DROP1("bytes-008", "An unknown descriptor", bad_descriptor),
    DROP("type-001", "An unknown message type",
         "{'message_type': 'example', 'target': '${agent}', 'sender': '${ctl}', 'data': {}}"),
    DROP("type-002", "error_message",
         "{'message_type': '${pl}error_message', 'target': '${agent}', 'sender': '${ctl}', 'data': {'description': "
         "'x'}}"),
    DROP("type-003", "inventory_response",
         "{'message_type': '${pl}inventory_response', 'target': '${agent}', 'sender': '${ctl}', 'data': {'uris': []}}"),
    DROP("type-004", "rpc_provisional_response",
         "{'message_type': '${pl}rpc_provisional_response', 'target': '${agent}', 'sender': '${ctl}', 'data': "
         "{'transaction_id': 'x'}}"),
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
