/* pcp.md §22 "Broker unit" and "Broker integration": the message pipeline, each test named after its line. */
#include "rig.h"

#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "pcp/message.h"
#include <string.h>

#define AGENT1 "pcp://client01.example.com/agent"
#define AGENT2 "pcp://client02.example.com/agent"

static void websocket_connect_within_two_seconds(void **state) {
    (void)state;
    for (int version = 1; version <= 2; version++) {
        struct rig *r = rig_new(NULL, NULL);
        uint64_t before = sim_now_us(r->sim);
        struct client *c = client_connect(r, "client01.example.com", version == 1 ? "/pcp/" : "/pcp2/agent");
        assert_true(c->open && !c->closed);
        assert_true(sim_now_us(r->sim) - before < 2 * SIM_SECOND);
        assert_int_equal(broker_session_count(r->broker), 1);
        assert_true(client_silent(c, 1000)); /* no greeting */
        rig_free(r);
    }
}

static void send_to_self_explicit(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    client_send(c, ID1, "greeting", AGENT1, "\"self\"");
    const struct received *m = client_next(c);
    assert_string_equal(m->bytes.ptr, "{\"id\":\"" ID1 "\",\"message_type\":\"greeting\",\"target\":\"" AGENT1
                                      "\",\"data\":\"self\",\"sender\":\"" AGENT1 "\"}");
    rig_free(r);
}

static void relayed_bytes_are_untouched(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *a = client_connect(r, "client01.example.com", "/pcp2/agent");
    struct client *b = client_connect(r, "client02.example.com", "/pcp2/agent");
    static const char sent[] =
        " {\"data\" : {\"huge\":1e400,\"neg\":-0,\"d\":1,\"d\":2, \"e\":\"\\u00e9\"},\"sender\":\"" AGENT1
        "\",\"target\":\"" AGENT2 "\",\"message_type\":\"num\",\"id\":\"" ID1 "\" } trailing garbage";
    client_text(a, sent);
    const struct received *m = client_next(b);
    assert_int_equal(m->bytes.len, sizeof sent - 1 - 1 - strlen(" trailing garbage"));
    assert_memory_equal(m->bytes.ptr, sent + 1, m->bytes.len);
    /* An envelope key that stands there twice is written anew, so that every reader sees the same sender. */
    client_text(a, "{\"id\":\"" ID1 "\",\"message_type\":\"x\",\"sender\":\"" AGENT2 "\",\"sender\":\"" AGENT1
                   "\",\"target\":\"" AGENT2 "\",\"data\":{\"a\": 1}}");
    m = client_next(b);
    assert_string_equal(m->bytes.ptr, "{\"id\":\"" ID1 "\",\"message_type\":\"x\",\"target\":\"" AGENT2
                                      "\",\"sender\":\"" AGENT1 "\",\"data\":{\"a\": 1}}");
    rig_free(r);
}

static void target_never_connected_or_later_reports_not_connected(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *a = client_connect(r, "client01.example.com", "/pcp2/agent");
    client_send(a, ID1, "greeting", AGENT2, NULL);
    client_expect_error(a, "Not connected.", ID1);
    struct client *b = client_connect(r, "client02.example.com", "/pcp2/agent");
    assert_true(client_silent(b, 5000)); /* no late delivery */
    client_send(a, ID2, "greeting", "pcp://client02.example.com/nope", NULL);
    client_expect_error(a, "Not connected.", ID2);
    client_send(a, ID2, "greeting", "pcp:///foo", NULL);
    client_expect_error(a, "Not connected.", ID2);
    rig_free(r);
}

static void wildcard_refused(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    static const char *const targets[] = {"pcp://*/agent", "pcp://client01.example.com/*", "pcp://*/*"};
    for (size_t i = 0; i < 3; i++) {
        client_send(c, ID1, "greeting", targets[i], NULL);
        client_expect_error(c, "Multiple recipients no longer supported.", ID1);
    }
    assert_true(rig_logged(r, "MULTICAST_UNSUPPORTED"));
    rig_free(r);
}

static void sender_check_is_exact(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    static const char *const senders[] = {"pcp://client01xexample.com/agent", AGENT2, "pcp://*/agent", "pcp:///agent",
                                          "pcp://CLIENT01.example.com/agent"};
    for (size_t i = 0; i < sizeof senders / sizeof senders[0]; i++) {
        char *text = str_printf(
            "{\"id\":\"" ID1 "\",\"message_type\":\"x\",\"target\":\"" AGENT1 "\",\"sender\":\"%s\"}", senders[i]);
        client_text(c, text);
        client_expect_error(c, "Message not authenticated.", ID1);
        mem_free(text);
    }
    assert_true(rig_logged(r, "AUTHENTICATION_FAILURE"));
    client_text(c, "{\"id\":\"" ID1 "\",\"message_type\":\"x\",\"target\":\"" AGENT1
                   "\",\"sender\":\"pcp://client01.example.com/anything\"}"); /* the type is not compared */
    assert_non_null(client_next(c));
    rig_free(r);
}

static void nul_in_type_or_target_is_not_authorized(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    static const struct {
        const char *type, *target;
    } cases[] = {{INVENTORY_REQUEST "\\u0000", "pcp:///server"},
                 {INVENTORY_REQUEST, "pcp:///server\\u0000"},
                 {"bad type", AGENT1},
                 {"bad\\u00e9", AGENT1},
                 {"x?y=1", AGENT1},
                 {"x", "pcp://a b/agent"},
                 {"x\\n", AGENT1},
                 {"x*", AGENT1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        client_send(c, ID1, cases[i].type, cases[i].target, NULL);
        client_expect_error(c, "Message not authorized.", ID1);
    }
    assert_true(rig_logged(r, "warn message-authorization Illegal message type: '" INVENTORY_REQUEST "\\x00'"));
    assert_true(rig_logged(r, "Illegal message target: 'pcp:///server\\x00'"));
    rig_free(r);
}

static const char sensitive_rules[] =
    "authorization { version: 1, rules: ["
    " { name: sensitive, sort-order: 400, allow: [client01.example.com],"
    "   match-request: { path: \"/pcp-broker/send\", type: path, method: post, query-params: { message_type: "
    "[\"test/sensitive\"] } } }"
    ", { name: inventory, sort-order: 400, deny: client03.example.com, allow: \"*\","
    "   match-request: { path: \"/pcp-broker/send\", type: path, query-params: { message_type: \"" INVENTORY_REQUEST
    "\" } } }"
    ", { name: nobody, sort-order: 401, allow: \"*\", deny: client20.example.com,"
    "   match-request: { path: \"/pcp-broker/send\", type: path, query-params: { message_type: [\"" ASSOCIATE_REQUEST
    "\"] } } }"
    ", { name: rest, sort-order: 500, allow: \"*\", match-request: { path: \"/\", type: path } }"
    "] }";

static void sensitive_type_allowed_only_from_one_client(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, sensitive_rules);
    struct client *a = client_connect(r, "client01.example.com", "/pcp2/agent");
    struct client *b = client_connect(r, "client02.example.com", "/pcp2/agent");
    client_send(a, ID1, "test/sensitive", AGENT2, NULL);
    assert_non_null(client_next(b));
    client_send(b, ID2, "test/sensitive", AGENT1, NULL);
    client_expect_error(b, "Message not authorized.", ID2);
    assert_true(client_silent(a, 1000));
    assert_true(rig_logged(r, "AUTHORIZATION_FAILURE"));
    assert_true(rig_logged(r, "denied by rule 'sensitive'"));
    rig_free(r);
}

/* The certificate's own word, not a name, decides: end to end. */
static void certificate_extensions_decide(void **state) {
    (void)state;
    static const char rules[] =
        "authorization { version: 1, rules: [{ name: trusted, sort-order: 400, allow: { extensions: { pp_role: console "
        "} },"
        " match-request: { path: \"/pcp-broker/send\", type: path, query-params: { message_type: \"test/sensitive\" } "
        "} },"
        " { name: rest, sort-order: 500, allow: \"*\", match-request: { path: \"/\", type: path } }] }";
    static const struct world_extension console = {"1.3.6.1.4.1.34380.1.1.13", "console"};
    struct rig *r = rig_new(NULL, rules);
    struct client *a = client_connect(r, "client01.example.com", "/pcp2/agent");
    client_send(a, ID1, "test/sensitive", AGENT1, NULL);
    client_expect_error(a, "Message not authorized.", ID1);
    struct world *host = client_host(r, "client02.example.com");
    const struct sim_certificate *cert =
        sim_issue(r->sim, &(struct sim_certificate_opts){
                              .common_name = "client02.example.com", .extensions = &console, .extension_count = 1});
    struct world_tls_files files = sim_tls_files_of(host, cert);
    struct world_tls *tls = world_tls_new(host, &files, NULL);
    assert_non_null(tls);
    struct client *b = client_dial(r, host, tls, "/pcp2/agent");
    rig_run_ms(r, 1000);
    assert_true(b->open);
    client_send(b, ID2, "test/sensitive", AGENT1, NULL);
    assert_non_null(client_next(a));
    client_close(b);
    world_tls_free(tls);
    rig_free(r);
}

static void inventory_denied_by_rule(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, sensitive_rules);
    struct client *c = client_connect(r, "client03.example.com", "/pcp2/agent");
    client_send(c, ID1, INVENTORY_REQUEST, NULL, "{\"query\":[]}");
    client_expect_error(c, "Message not authorized.", ID1);
    rig_free(r);
}

static void rule_denying_association_closes_with_4002(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, sensitive_rules);
    static const char *const paths[] = {"/pcp2/agent", "/pcp/"};
    for (size_t i = 0; i < 2; i++) {
        struct client *c = client_connect(r, "client20.example.com", paths[i]);
        assert_true(client_wait_closed(c));
        assert_int_equal(c->code, 4002);
        assert_string_equal(c->reason, "Association unsuccessful.");
        assert_true(list_empty(&c->inbox)); /* and nothing else is answered */
    }
    assert_int_equal(broker_session_count(r->broker), 0);
    assert_true(rig_logged(r, "AUTHORIZATION_FAILURE"));
    rig_free(r);
}

static void rules_can_be_replaced(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client02.example.com", "/pcp2/agent");
    client_send(c, ID1, "test/sensitive", AGENT2, NULL);
    assert_non_null(client_next(c));
    broker_set_rules(r->broker, rig_rules(sensitive_rules));
    client_send(c, ID1, "test/sensitive", AGENT2, NULL);
    client_expect_error(c, "Message not authorized.", ID1);
    rig_free(r);
}

static void checks_run_authenticate_authorize_multicast(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, sensitive_rules);
    struct client *c = client_connect(r, "client02.example.com", "/pcp2/agent");
    client_text(c, "{\"id\":\"" ID1
                   "\",\"message_type\":\"test/sensitive\",\"target\":\"pcp://*/agent\",\"sender\":\"" AGENT1 "\"}");
    client_expect_error(c, "Message not authenticated.", ID1);
    client_send(c, ID1, "test/sensitive", "pcp://*/agent", NULL);
    client_expect_error(c, "Message not authorized.", ID1);
    client_send(c, ID1, "x", "pcp://*/agent", NULL);
    client_expect_error(c, "Multiple recipients no longer supported.", ID1);
    rig_free(r);
}

static void unhandled_type_to_the_broker_gets_no_reply(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    client_send(c, ID1, "unknown", "pcp:///server", NULL);
    client_send(c, ID1, "unknown", NULL, NULL);
    assert_true(client_silent(c, 2000));
    assert_true(rig_logged(r, "broker-unhandled-message"));
    assert_false(c->closed);
    rig_free(r);
}

static void malformed_messages_are_answered_and_the_connection_kept(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    static const char *const bad[] = {
        "", "hello", "{\"id\":", "{}", "[]", "null", "{\"id\":\"" ID1 "\",\"message_type\":\"x\",\"foo\":1}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        client_text(c, bad[i]);
        client_expect_error(c, "Could not decode message", NULL);
    }
    client_binary(c, SPAN("{}")); /* a binary frame on version 2 */
    client_expect_error(c, "Could not decode message", NULL);
    client_send(c, ID1, "greeting", AGENT1, NULL);
    assert_non_null(client_next(c));
    assert_true(rig_logged(r, "DESERIALIZATION_ERROR 10.0.0."));
    assert_true(rig_logged(r, " unknown unknown unknown unknown unknown"));
    rig_free(r);
}

/* ---- association */

static void check_associate(struct client *c, const char *sender, const char *refusal) {
    char *text = str_printf("{\"id\":\"" ID1 "\",\"message_type\":\"" ASSOCIATE_REQUEST
                            "\",\"target\":\"pcp:///server\",\"sender\":\"%s\"}",
                            sender);
    client_text(c, text);
    json_t *m = client_next_json(c), *data = json_object_get(m, "data");
    assert_string_equal(json_str(m, "message_type"), "http://puppetlabs.com/associate_response");
    assert_string_equal(json_str(m, "sender"), "pcp:///server");
    assert_string_equal(json_str(m, "target"), sender);
    assert_string_equal(json_str(m, "in_reply_to"), ID1);
    assert_string_equal(json_str(data, "id"), ID1);
    assert_int_equal(json_is_true(json_object_get(data, "success")), refusal == NULL);
    assert_true(str_eq(json_str(data, "reason"), refusal));
    json_decref(m);
    mem_free(text);
    if (refusal != NULL) {
        assert_true(client_wait_closed(c));
        assert_int_equal(c->code, 4002);
        assert_string_equal(c->reason, "Association unsuccessful.");
    }
}

static void association_normal_and_repeated_succeeds(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    check_associate(c, AGENT1, NULL);
    check_associate(c, AGENT1, NULL);
    assert_false(c->closed);
    rig_free(r);
}

static void association_with_another_clients_sender(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    check_associate(client_connect(r, "client01.example.com", "/pcp2/agent"), AGENT2, "Message not authenticated.");
    assert_int_equal(broker_session_count(r->broker), 0);
    rig_free(r);
}

static void association_with_another_type(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    check_associate(client_connect(r, "client01.example.com", "/pcp2/agent"), "pcp://client01.example.com/test",
                    "Session already associated.");
    rig_free(r);
}

static void association_request_only_with_type_and_server_target(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    client_text(c, "{\"id\":\"" ID1 "\",\"message_type\":\"" ASSOCIATE_REQUEST "\",\"target\":\"" AGENT1
                   "\",\"sender\":\"" AGENT2 "\"}");
    client_expect_error(c, "Message not authenticated.", ID1); /* an error_message, and the connection stays */
    client_send(c, ID1, ASSOCIATE_REQUEST, AGENT1, NULL);
    json_t *m = client_next_json(c);
    assert_string_equal(json_str(m, "message_type"), ASSOCIATE_REQUEST); /* delivered like any message */
    json_decref(m);
    rig_free(r);
}

/* ---- version 1 */

static void send_v1_at(struct client *c, const char *expires, const char *id, const char *type, const char *targets,
                       const char *more, struct span rest) {
    struct buf envelope = BUF_INIT, bytes = BUF_INIT;
    buf_printf(&envelope,
               "{\"id\":\"%s\",\"message_type\":\"%s\",\"expires\":\"%s\",\"targets\":%s,\"sender\":"
               "\"" AGENT1 "\"%s}",
               id, type, expires, targets, more);
    uint8_t head[] = {1, 1, 0, 0, (uint8_t)(envelope.len >> 8), (uint8_t)envelope.len};
    buf_append(&bytes, head, sizeof head);
    buf_append_span(&bytes, buf_span(&envelope));
    buf_append_span(&bytes, rest);
    client_binary(c, buf_span(&bytes));
    buf_free(&envelope);
    buf_free(&bytes);
}

static void send_v1(struct client *c, const char *id, const char *type, const char *targets, const char *more,
                    struct span rest) {
    send_v1_at(c, "1999-01-01T00:00:00Z", id, type, targets, more, rest);
}

static void expect_v1(struct client *c, const char *id, const char *data) {
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    const struct received *got = client_next(c);
    assert_non_null(got);
    assert_false(got->text);
    assert_true(pcp_decode(PCP_V1, buf_span(&got->bytes), PCP_AS_CLIENT, &m, &scratch, NULL));
    assert_true(id == NULL || span_eq_cstr(m.id, id));
    assert_true(span_eq_cstr(m.data, data));
    assert_int_equal(m.expires_ms, 0);
    buf_free(&scratch);
}

static void v1_error(struct client *c, const char *description, const char *id) {
    char *data = id != NULL ? str_printf("{\"description\":\"%s\",\"id\":\"%s\"}", description, id)
                            : str_printf("{\"description\":\"%s\"}", description);
    const struct received *got = client_next(c);
    assert_non_null(got);
    assert_true(span_ends_with(buf_span(&got->bytes), data));
    assert_non_null(memmem(got->bytes.ptr, got->bytes.len, "\"targets\":[],\"sender\":\"pcp:///server\"", 36));
    mem_free(data);
}

static void v1_garbage_is_answered(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp/");
    static const char zeros[250] = {0};
    client_binary(c, span_bytes(zeros, 250));
    v1_error(c, "Could not decode message", NULL);
    client_binary(c, span_bytes(zeros, 1)); /* instead of an association */
    v1_error(c, "Could not decode message", NULL);
    client_text(c, "{}"); /* a text frame on version 1 */
    v1_error(c, "Could not decode message", NULL);
    send_v1(c, ID1, "x", "[\"" AGENT1 "\"]", "", SPAN("\x02\x00\x00\x00\x01\xff")); /* data that is no JSON */
    v1_error(c, "Could not decode message", NULL);
    send_v1(c, ID1, "x", "[\"" AGENT1 "\"]", "",
            SPAN("\x02\x00\x00\x00\x01"
                 "7"));
    expect_v1(c, ID1, "7");
    rig_free(r);
}

static void v1_multicast_and_no_target(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp/");
    static const char *const targets[] = {"[]", "[\"" AGENT1 "\",\"" AGENT1 "\"]", "[\"pcp://*/agent\"]"};
    for (size_t i = 0; i < 3; i++) {
        send_v1(c, ID1, "x", targets[i], "", SPAN(""));
        v1_error(c, "Multiple recipients no longer supported.", ID1);
    }
    rig_free(r);
}

static void v1_destination_report_ignored_and_expired_delivered(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp/ruby-pcp-client-1");
    struct client *a = client_connect(r, "client01.example.com", "/pcp");
    send_v1(c, ID1, "greeting", "[\"" AGENT1 "\"]", ",\"destination_report\":true",
            SPAN("\x02\x00\x00\x00\x01"
                 "7\x03\x00\x00\x00\x02{}"));
    expect_v1(a, ID1, "7");
    assert_true(client_silent(c, 1000));
    rig_free(r);
}

static void all_four_version_pairs_deliver(void **state) {
    (void)state;
    static const char *const paths[] = {"/pcp/agent", "/pcp2/agent"};
    for (int from = 0; from < 2; from++) {
        for (int to = 0; to < 2; to++) {
            struct rig *r = rig_new(NULL, NULL);
            struct client *a = client_connect(r, "client01.example.com", paths[from]);
            struct client *b = client_connect(r, "client02.example.com", paths[to]);
            if (from == 0) {
                send_v1(a, ID1, "greeting", "[\"" AGENT2 "\"]", ",\"in-reply-to\":\"" ID2 "\"",
                        SPAN("\x02\x00\x00\x00\x08{\"x\": 1}"));
            } else {
                client_text(a, "{\"id\":\"" ID1 "\",\"message_type\":\"greeting\",\"target\":\"" AGENT2
                               "\",\"in_reply_to\":\"" ID2 "\",\"data\":{\"x\": 1}}");
            }
            struct pcp_message m;
            struct buf scratch = BUF_INIT;
            const struct received *got = client_next(b);
            assert_non_null(got);
            assert_int_equal(got->text, to == 1);
            assert_true(
                pcp_decode(to == 0 ? PCP_V1 : PCP_V2, buf_span(&got->bytes), PCP_AS_CLIENT, &m, &scratch, NULL));
            assert_true(span_eq_cstr(m.id, ID1) && span_eq_cstr(m.sender, AGENT1) && span_eq_cstr(m.target, AGENT2));
            assert_true(span_eq_cstr(m.data, "{\"x\": 1}"));
            assert_int_equal(m.in_reply_to.len != 0, to == 1); /* visible to version 2 receivers only */
            buf_free(&scratch);
            rig_free(r);
        }
    }
}

static void v1_association_has_no_envelope_reply_id(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp/");
    send_v1(c, ID1, ASSOCIATE_REQUEST, "[\"pcp:///server\"]", "", SPAN(""));
    const struct received *got = client_next(c);
    assert_true(span_ends_with(buf_span(&got->bytes), "{\"id\":\"" ID1 "\",\"success\":true}"));
    assert_null(memmem(got->bytes.ptr, got->bytes.len, "in-reply-to", 11));
    send_v1(c, ID2, INVENTORY_REQUEST, "[\"pcp:///server\"]", "", SPAN("\x02\x00\x00\x00\x0c{\"query\":[]}"));
    got = client_next(c);
    assert_non_null(memmem(got->bytes.ptr, got->bytes.len, "\"in-reply-to\":\"" ID2 "\"", 52));
    rig_free(r);
}

/* ---- behind options */

static void as_the_documents_say(struct broker_config *c) {
    c->spec_ttl_expired = c->spec_destination_report = c->spec_version_error = c->spec_unauthorized = true;
}

static void expect_v1_type(struct client *c, const char *type, const char *data) {
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    const struct received *got = client_next(c);
    assert_non_null(got);
    assert_true(pcp_decode(PCP_V1, buf_span(&got->bytes), PCP_AS_CLIENT, &m, &scratch, NULL));
    assert_true(span_eq_cstr(m.message_type, type));
    assert_true(span_eq_cstr(m.data, data));
    assert_true(span_eq_cstr(m.sender, "pcp:///server"));
    buf_free(&scratch);
}

static void documented_answers_on_request(void **state) {
    (void)state;
    struct rig *r = rig_new(as_the_documents_say, sensitive_rules);
    struct client *v1 = client_connect(r, "client01.example.com", "/pcp/agent");
    struct client *v2 = client_connect(r, "client02.example.com", "/pcp2/agent");
    send_v1(v1, ID1, "greeting", "[\"" AGENT2 "\"]", "", SPAN("")); /* expired in 1999 */
    expect_v1_type(v1, "http://puppetlabs.com/ttl_expired", "{\"id\":\"" ID1 "\"}");
    assert_true(client_silent(v2, 500));
    assert_true(rig_logged(r, " EXPIRED "));
    send_v1_at(v1, "2039-01-01T00:00:00Z", ID1, "greeting", "[\"" AGENT2 "\"]", ",\"destination_report\":true",
               SPAN(""));
    expect_v1_type(v1, "http://puppetlabs.com/destination_report", "{\"id\":\"" ID1 "\",\"targets\":[\"" AGENT2 "\"]}");
    assert_non_null(client_next(v2));
    client_send(v2, ID2, "test/sensitive", AGENT1, NULL);
    json_t *m = client_next_json(v2);
    assert_string_equal(json_str(m, "message_type"), "http://puppetlabs.com/unauthorized");
    assert_string_equal(json_str(m, "in_reply_to"), ID2);
    assert_null(json_object_get(m, "data"));
    json_decref(m);
    send_v1(v2, ID2, "greeting", "[\"" AGENT1 "\"]", "", SPAN("")); /* version 1 on version 2's endpoint */
    m = client_next_json(v2);
    assert_string_equal(json_str(m, "message_type"), "http://puppetlabs.com/version_error");
    assert_string_equal(json_str(m, "in_reply_to"), ID2);
    assert_true(json_is_string(json_object_get(m, "data")));
    json_decref(m);
    client_binary(v2, SPAN("junk")); /* no message of any version */
    client_expect_error(v2, "Could not decode message", NULL);
    rig_free(r);
}

static void access_log_line_to_the_letter(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    client_send(c, ID1, "greeting", AGENT2, NULL);
    client_expect_error(c, "Not connected.", ID1);
    const char *line = strstr(r->log.ptr, "access info - [20");
    assert_non_null(line);
    line += strlen("access info - ");
    assert_true(line[0] == '[' && line[11] == ' ' && line[20] == ',' && line[24] == ']');
    char address[64];
    snprintf(address, sizeof address,
             " AUTHORIZATION_SUCCESS %s:", sim_host_address(client_host(r, "client01.example.com")));
    assert_memory_equal(line + 25, address, strlen(address));
    assert_non_null(strstr(line, " client01.example.com " AGENT1 " greeting " ID1 " " AGENT2 "\n"));
    rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(websocket_connect_within_two_seconds),
        cmocka_unit_test(send_to_self_explicit),
        cmocka_unit_test(relayed_bytes_are_untouched),
        cmocka_unit_test(target_never_connected_or_later_reports_not_connected),
        cmocka_unit_test(wildcard_refused),
        cmocka_unit_test(sender_check_is_exact),
        cmocka_unit_test(nul_in_type_or_target_is_not_authorized),
        cmocka_unit_test(sensitive_type_allowed_only_from_one_client),
        cmocka_unit_test(certificate_extensions_decide),
        cmocka_unit_test(inventory_denied_by_rule),
        cmocka_unit_test(rule_denying_association_closes_with_4002),
        cmocka_unit_test(rules_can_be_replaced),
        cmocka_unit_test(checks_run_authenticate_authorize_multicast),
        cmocka_unit_test(unhandled_type_to_the_broker_gets_no_reply),
        cmocka_unit_test(malformed_messages_are_answered_and_the_connection_kept),
        cmocka_unit_test(association_normal_and_repeated_succeeds),
        cmocka_unit_test(association_with_another_clients_sender),
        cmocka_unit_test(association_with_another_type),
        cmocka_unit_test(association_request_only_with_type_and_server_target),
        cmocka_unit_test(v1_garbage_is_answered),
        cmocka_unit_test(v1_multicast_and_no_target),
        cmocka_unit_test(v1_destination_report_ignored_and_expired_delivered),
        cmocka_unit_test(all_four_version_pairs_deliver),
        cmocka_unit_test(v1_association_has_no_envelope_reply_id),
        cmocka_unit_test(documented_answers_on_request),
        cmocka_unit_test(access_log_line_to_the_letter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
