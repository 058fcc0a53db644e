/* pcp.md §13, §22: inventory requests and subscriptions. */
#include "rig.h"

#include "base/json.h"
#include "base/mem.h"
#include <string.h>

#define AGENT1 "pcp://client01.example.com/agent"
#define AGENT2 "pcp://client02.example.com/agent"

static void check_inventory(struct client *c, const char *query, const char *want) {
    char *uris = client_inventory(c, query, false);
    assert_string_equal(uris, want);
    mem_free(uris);
}

/* Takes one inventory_update and returns "+uri -uri …". mem_free() it. */
static char *next_update(struct client *c) {
    struct buf out = BUF_INIT;
    size_t i;
    json_t *change, *m = client_next_json(c);
    assert_string_equal(json_str(m, "message_type"), "http://puppetlabs.com/inventory_update");
    assert_int_equal(json_object_size(m), 4); /* id, message_type, target, data */
    json_array_foreach(json_object_get(json_object_get(m, "data"), "changes"), i, change) {
        buf_printf(&out, "%c%s ", json_int(change, "change", 0) == 1 ? '+' : '-', json_str(change, "client"));
    }
    json_decref(m);
    return buf_take(&out);
}

static void expect_update(struct client *c, const char *want) {
    char *got = next_update(c);
    assert_string_equal(got, want);
    mem_free(got);
}

static void subscribe(struct client *c, const char *query) {
    mem_free(client_inventory(c, query, true));
}

static void inventory_by_explicit_uri_and_wildcard(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client02.example.com", "/pcp2/agent");
    client_connect(r, "client02.example.com", "/pcp2/zeta");
    client_connect(r, "client03.example.com", "/pcp/");
    client_connect(r, "client01.example.com", "/pcp2/agent");
    check_inventory(c, "[\"" AGENT1 "\"]", AGENT1 " ");
    check_inventory(c, "[\"pcp://*/*\"]",
                    AGENT1 " " AGENT2 " pcp://client02.example.com/zeta pcp://client03.example.com/agent ");
    check_inventory(c, "[\"pcp://*/agent\"]", AGENT1 " " AGENT2 " pcp://client03.example.com/agent ");
    check_inventory(c, "[\"pcp://client02.example.com/*\"]", AGENT2 " pcp://client02.example.com/zeta ");
    check_inventory(c, "[\"pcp://nobody/agent\"]", "");
    check_inventory(c, "[]", "");
    check_inventory(c, "null", "");
    check_inventory(c, "[\"pcp://cl*/agent\"]", "");
    check_inventory(c, "[\"pcp://*/zeta\",\"" AGENT2 "\",\"" AGENT2 "\",\"pcp://client02.example.com/*\"]",
                    AGENT2 " pcp://client02.example.com/zeta ");
    rig_free(r);
}

static void disconnected_client_not_listed(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *a = client_connect(r, "client01.example.com", "/pcp2/agent");
    struct client *b = client_connect(r, "client02.example.com", "/pcp2/agent");
    client_close(b);
    check_inventory(a, "[\"" AGENT2 "\"]", "");
    rig_free(r);
}

static void wrong_inventory_data_is_answered_with_the_schema_error(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    static const char *const bad[] = {
        NULL, "null", "[]", "\"str\"", "{}", "{\"query\":[\"nope\"]}", "{\"query\":[],\"extra\":1}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        client_send(c, ID1, INVENTORY_REQUEST, NULL, bad[i]);
        json_t *m = client_next_json(c);
        assert_true(span_starts_with(span_of(json_str(m, "data")), "Error :schema.core/error handling message: "));
        assert_string_equal(json_str(m, "in_reply_to"), ID1);
        json_decref(m);
    }
    rig_free(r);
}

static void another_sender_type_gets_no_reply(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    client_text(
        c,
        "{\"id\":\"" ID1 "\",\"message_type\":\"" INVENTORY_REQUEST
        "\",\"sender\":\"pcp://client01.example.com/other\",\"data\":{\"query\":[\"pcp://*/*\"],\"subscribe\":true}}");
    client_connect(r, "client02.example.com", "/pcp2/agent");
    assert_true(client_silent(c, 3000));
    rig_free(r);
}

static void update_on_connect_and_on_disconnect(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *s = client_connect(r, "client01.example.com", "/pcp2/controller");
    subscribe(s, "[\"pcp://*/agent\"]");
    assert_true(client_silent(s, 3000)); /* nothing has changed */
    struct client *b = client_connect(r, "client02.example.com", "/pcp2/agent");
    expect_update(s, "+" AGENT2 " ");
    client_connect(r, "client02.example.com", "/pcp2/other");
    assert_true(client_silent(s, 1500)); /* filtered by the subscriber's pattern */
    client_close(b);
    expect_update(s, "-" AGENT2 " ");
    rig_free(r);
}

static void updates_are_batched_and_ordered(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *s = client_connect(r, "client01.example.com", "/pcp2/controller");
    subscribe(s, "[\"pcp://*/agent\"]");
    struct client *b = client_connect(r, "client03.example.com", "/pcp2/agent");
    struct client *c = client_connect(r, "client02.example.com", "/pcp/");
    expect_update(s, "+pcp://client03.example.com/agent +" AGENT2 " ");
    ws_close(b->ws, 1000, "");
    rig_run_ms(r, 50);
    ws_close(c->ws, 1000, "");
    expect_update(s, "-pcp://client03.example.com/agent -" AGENT2 " ");
    assert_true(client_silent(s, 3000));
    rig_free(r);
}

static void superseding_is_seen_as_minus_then_plus(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *s = client_connect(r, "client01.example.com", "/pcp2/controller");
    client_connect(r, "client02.example.com", "/pcp2/agent");
    subscribe(s, "[\"" AGENT2 "\"]");
    client_connect(r, "client02.example.com", "/pcp2/agent");
    expect_update(s, "-" AGENT2 " +" AGENT2 " ");
    rig_free(r);
}

static void no_update_before_the_response(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *s = client_connect(r, "client01.example.com", "/pcp2/controller");
    subscribe(s, "[\"pcp://*/nothing\"]"); /* so that the log is kept */
    client_connect(r, "client02.example.com", "/pcp2/agent");
    char *uris = client_inventory(s, "[\"pcp://*/agent\"]", true); /* while a change waits for its round */
    assert_string_equal(uris, AGENT2 " ");
    mem_free(uris);
    assert_true(client_silent(s, 3000)); /* it is in the response, so no update tells it again */
    rig_free(r);
}

static void subscribe_false_or_absent_cancels(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *s = client_connect(r, "client01.example.com", "/pcp2/controller");
    subscribe(s, "[\"pcp://*/agent\"]");
    client_send(s, ID1, INVENTORY_REQUEST, NULL, "{\"query\":[\"pcp://*/agent\"]}");
    assert_non_null(client_next(s));
    client_connect(r, "client02.example.com", "/pcp2/agent");
    assert_true(client_silent(s, 3000));
    rig_free(r);
}

static void a_new_subscription_replaces_the_old_one(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *s = client_connect(r, "client01.example.com", "/pcp2/controller");
    subscribe(s, "[\"pcp://*/agent\"]");
    subscribe(s, "[\"pcp://client05.example.com/*\"]");
    client_connect(r, "client02.example.com", "/pcp2/agent");
    assert_true(client_silent(s, 2000));
    client_connect(r, "client05.example.com", "/pcp2/agent");
    expect_update(s, "+pcp://client05.example.com/agent ");
    rig_free(r);
}

static void continues_after_resubscription_on_reconnect(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *old = client_connect(r, "client01.example.com", "/pcp2/controller");
    subscribe(old, "[\"pcp://*/agent\"]");
    client_connect(r, "client02.example.com", "/pcp2/agent");
    struct client *s = client_connect(r, "client01.example.com", "/pcp2/controller"); /* supersedes */
    assert_true(client_silent(s, 2000)); /* a subscription belongs to the connection that made it */
    char *uris = client_inventory(s, "[\"pcp://*/agent\"]", true);
    assert_string_equal(uris, AGENT2 " ");
    mem_free(uris);
    client_connect(r, "client03.example.com", "/pcp2/agent");
    expect_update(s, "+pcp://client03.example.com/agent ");
    rig_free(r);
}

static void changing_after_the_subscriber_left_does_not_fail(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *s = client_connect(r, "client01.example.com", "/pcp2/controller");
    subscribe(s, "[\"pcp://*/agent\"]");
    client_connect(r, "client02.example.com", "/pcp2/agent");
    client_close(s);
    client_connect(r, "client03.example.com", "/pcp2/agent");
    rig_run_ms(r, 5000);
    assert_int_equal(broker_session_count(r->broker), 2);
    rig_free(r);
}

static void v1_clients_may_subscribe(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *s = client_connect(r, "client01.example.com", "/pcp/controller");
    static const char envelope[] =
        "{\"id\":\"" ID1 "\",\"message_type\":\"" INVENTORY_REQUEST "\",\"expires\":\"2030-01-01T00:00:00Z\","
        "\"targets\":[\"pcp:///server\"],\"sender\":\"pcp://client01.example.com/controller\"}";
    static const char data[] = "{\"query\":[\"pcp://*/agent\"],\"subscribe\":true}";
    struct buf b = BUF_INIT;
    uint8_t head[] = {1, 1, 0, 0, 0, (uint8_t)(sizeof envelope - 1)},
            chunk[] = {2, 0, 0, 0, (uint8_t)(sizeof data - 1)};
    buf_append(&b, head, sizeof head);
    buf_append_cstr(&b, envelope);
    buf_append(&b, chunk, sizeof chunk);
    buf_append_cstr(&b, data);
    client_binary(s, buf_span(&b));
    buf_free(&b);
    assert_true(span_ends_with(buf_span(&client_next(s)->bytes), "{\"uris\":[]}"));
    client_connect(r, "client02.example.com", "/pcp2/agent");
    assert_true(
        span_ends_with(buf_span(&client_next(s)->bytes), "{\"changes\":[{\"client\":\"" AGENT2 "\",\"change\":1}]}"));
    rig_free(r);
}

/* 30 clients that come while 2 controllers subscribe, and go: both see each coming and each going once, in this order.
 */
static void thirty_clients_two_subscribers_converge_without_duplicates(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *s[2] = {client_connect(r, "one", "/pcp2/controller"), client_connect(r, "two", "/pcp2/controller")};
    struct client *agents[30];
    int seen[2][30] = {{0}};
    char name[32];
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "agent%02d", i);
        struct world_tls *tls = client_tls(r, name);
        agents[i] = client_dial(r, client_host(r, name), tls, i % 2 == 0 ? "/pcp2/agent" : "/pcp/");
        world_tls_free(tls);
        if (i == 10 || i == 20) {
            struct client *c = s[i / 10 - 1];
            char *uris = client_inventory(c, "[\"pcp://*/agent\"]", true);
            for (int k = 0; k < 30; k++) {
                char uri[48];
                snprintf(uri, sizeof uri, "pcp://agent%02d/agent ", k);
                seen[i / 10 - 1][k] += strstr(uris, uri) != NULL;
            }
            mem_free(uris);
        }
    }
    rig_run_ms(r, 5000);
    for (int i = 0; i < 30; i++) {
        ws_close(agents[i]->ws, 1000, "");
    }
    rig_run_ms(r, 5000);
    for (int i = 0; i < 2; i++) {
        while (!list_empty(&s[i]->inbox)) {
            char *update = next_update(s[i]);
            struct span rest = span_of(update), one;
            while (span_split(&rest, ' ', &one) && one.len != 0) {
                int k = (one.ptr[12] - '0') * 10 + one.ptr[13] - '0';
                seen[i][k] += one.ptr[0] == '+' ? 1 : -1;
                assert_true(seen[i][k] == 0 || seen[i][k] == 1);
            }
            mem_free(update);
        }
        for (int k = 0; k < 30; k++) {
            assert_int_equal(seen[i][k], 0);
        }
    }
    rig_free(r);
}

static void few_changes(struct broker_config *c) {
    c->update_changes_max = 2;
}

static void long_lists_of_changes_are_split(void **state) {
    (void)state;
    struct rig *r = rig_new(few_changes, NULL);
    struct client *s = client_connect(r, "one", "/pcp2/controller");
    subscribe(s, "[\"pcp://*/agent\"]");
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    for (int i = 0; i < 5; i++) {
        client_connect(r, names[i], "/pcp2/agent");
    }
    expect_update(s, "+pcp://a/agent +pcp://b/agent ");
    expect_update(s, "+pcp://c/agent +pcp://d/agent ");
    expect_update(s, "+pcp://e/agent ");
    rig_free(r);
}

static void tiny_queue(struct broker_config *c) {
    c->queue_messages_max = 1;
    c->queue_bytes_max = 1;
}

/* A subscriber that is closed for its full queue, in the middle of a round, is itself a change for the others. */
static void closing_a_slow_subscriber_reaches_the_others(void **state) {
    (void)state;
    struct rig *r = rig_new(tiny_queue, NULL);
    struct client *first = client_connect(r, "first", "/pcp2/controller");
    struct client *slow = client_connect(r, "slow", "/pcp2/controller");
    struct client *last = client_connect(r, "last", "/pcp2/controller");
    struct client *chatter = client_connect(r, "chatter", "/pcp2/other");
    subscribe(first, "[\"pcp://*/*\"]");
    subscribe(slow, "[\"pcp://*/*\"]");
    subscribe(last, "[\"pcp://*/*\"]");
    ws_pause(slow->ws, true);
    struct buf big = BUF_INIT;
    buf_append_char(&big, '"');
    for (int i = 0; i < 800000; i++) {
        buf_append_char(&big, 'x');
    }
    buf_append_char(&big, '"');
    client_send(chatter, ID1, "x", "pcp://slow/controller", big.ptr); /* more than its window */
    buf_free(&big);
    rig_run_ms(r, 3000);
    assert_int_equal(broker_session_count(r->broker), 4);
    client_connect(r, "trigger", "/pcp2/agent");
    expect_update(first, "+pcp://trigger/agent ");
    expect_update(last, "+pcp://trigger/agent ");
    expect_update(first, "-pcp://slow/controller ");
    expect_update(last, "-pcp://slow/controller ");
    rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inventory_by_explicit_uri_and_wildcard),
        cmocka_unit_test(disconnected_client_not_listed),
        cmocka_unit_test(wrong_inventory_data_is_answered_with_the_schema_error),
        cmocka_unit_test(another_sender_type_gets_no_reply),
        cmocka_unit_test(update_on_connect_and_on_disconnect),
        cmocka_unit_test(updates_are_batched_and_ordered),
        cmocka_unit_test(superseding_is_seen_as_minus_then_plus),
        cmocka_unit_test(no_update_before_the_response),
        cmocka_unit_test(subscribe_false_or_absent_cancels),
        cmocka_unit_test(a_new_subscription_replaces_the_old_one),
        cmocka_unit_test(continues_after_resubscription_on_reconnect),
        cmocka_unit_test(changing_after_the_subscriber_left_does_not_fail),
        cmocka_unit_test(v1_clients_may_subscribe),
        cmocka_unit_test(thirty_clients_two_subscribers_converge_without_duplicates),
        cmocka_unit_test(long_lists_of_changes_are_split),
        cmocka_unit_test(closing_a_slow_subscriber_reaches_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
