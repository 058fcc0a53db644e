/* What nobody may do to a broker: be somebody else, be several, hide something in a message from those who judge it. */
#include "rig.h"

#include "base/json.h"
#include "base/mem.h"
#include <string.h>

#define AGENT1 "pcp://a.example.com/agent"
#define AGENT2 "pcp://b.example.com/agent"

static void names_that_are_no_part_of_a_uri_are_refused(void **state) {
    (void)state;
    static const char *const names[] = {"a.example.com/controller", "a b", "*", "a.example.com/", "/", "a\nb"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct rig *r = rig_new(NULL, NULL);
        struct world *host = sim_host(r->sim, "odd");
        const struct sim_certificate *cert = sim_issue(r->sim, &(struct sim_certificate_opts){.common_name = names[i]});
        struct world_tls_files files = sim_tls_files_of(host, cert);
        struct world_tls *tls = world_tls_new(host, &files, NULL);
        assert_non_null(tls);
        struct client *c = client_dial(r, host, tls, "/pcp2/agent");
        bool space = strchr(names[i], ' ') != NULL || strchr(names[i], '\n') != NULL;
        bool closed = client_wait_closed(c);
        if (closed) {
            assert_int_equal(broker_session_count(r->broker), 0);
        } else {
            assert_true(space); /* a name with a blank is a name: it is a URI's, and only its own */
            assert_false(rig_logged(r, "\nfake"));
        }
        world_tls_free(tls);
        rig_free(r);
    }
}

static void nobody_speaks_for_another(void **state) {
    (void)state;
    static const char *const senders[] = {
        AGENT2,          "pcp://A.example.com/agent",      "pcp://a.example.com./agent",
        "pcp:///server", "pcp://a.example.com.evil/agent", "pcp://*/agent"};
    struct rig *r = rig_new(NULL, NULL);
    struct client *a = client_connect(r, "a.example.com", "/pcp2/agent");
    struct client *b = client_connect(r, "b.example.com", "/pcp2/agent");
    for (size_t i = 0; i < sizeof senders / sizeof senders[0]; i++) {
        char *text = str_printf("{\"id\":\"" ID1 "\",\"message_type\":\"x\",\"target\":\"" AGENT2
                                "\",\"sender\":\"%s\",\"data\":1}",
                                senders[i]);
        client_text(a, text);
        json_t *answer = client_next_json(a);
        assert_string_equal(json_str(answer, "message_type"), "http://puppetlabs.com/error_message");
        json_decref(answer);
        mem_free(text);
    }
    assert_true(client_silent(b, 1000));
    rig_free(r);
}

/* Two readers of the same bytes must not see two messages: what is passed on says each thing once. */
static void repeated_keys_are_not_passed_on(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *a = client_connect(r, "a.example.com", "/pcp2/agent");
    struct client *b = client_connect(r, "b.example.com", "/pcp2/agent");
    client_text(a, "{\"id\":\"" ID1 "\",\"message_type\":\"x\",\"sender\":\"" AGENT2 "\",\"target\":\"pcp://nobody/x\","
                   "\"message_type\":\"y\",\"sender\":\"" AGENT1 "\",\"target\":\"" AGENT2 "\",\"data\":1}");
    const struct received *m = client_next(b);
    assert_non_null(m);
    struct error err = ERROR_INIT;
    json_t *once = json_parse_strict(buf_span(&m->bytes), "test", &err);
    assert_non_null(once);
    assert_string_equal(json_str(once, "sender"), AGENT1);
    assert_string_equal(json_str(once, "message_type"), "y");
    json_decref(once);
    rig_free(r);
}

static void deep_messages_are_answered(void **state) {
    (void)state;
    enum { DEEP = 200000 };
    struct rig *r = rig_new(NULL, NULL);
    struct client *a = client_connect(r, "a.example.com", "/pcp2/agent");
    struct buf text = BUF_INIT;
    buf_append_cstr(&text, "{\"id\":\"" ID1 "\",\"message_type\":\"x\",\"target\":\"" AGENT2 "\",\"data\":");
    for (int i = 0; i < DEEP; i++) {
        buf_append_char(&text, '[');
    }
    client_text(a, text.ptr);
    json_t *answer = client_next_json(a);
    assert_string_equal(json_str(answer, "message_type"), "http://puppetlabs.com/error_message");
    json_decref(answer);
    assert_non_null(a->ws); /* and the connection lives */
    buf_free(&text);
    rig_free(r);
}

/* The sizes in version 1's chunks are 32 bits wide and lie. */
static void lying_sizes_are_answered(void **state) {
    (void)state;
    static const struct span frames[] = {SPAN("\x01\x01\xff\xff\xff\xff{}"), SPAN("\x01\x01\x7f\xff\xff\xff{}"),
                                         SPAN("\x01\x01\x80\x00\x00\x00{}"), SPAN("\x01\x01\x00\x00\x00\x00"),
                                         SPAN("\x01\x01\x00\x00\x00\x03{}"), SPAN("\x01")};
    struct rig *r = rig_new(NULL, NULL);
    struct client *a = client_connect(r, "a.example.com", "/pcp/agent");
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        client_binary(a, frames[i]);
        assert_non_null(client_next(a));
        assert_non_null(a->ws);
    }
    rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_are_no_part_of_a_uri_are_refused),
        cmocka_unit_test(nobody_speaks_for_another),
        cmocka_unit_test(repeated_keys_are_not_passed_on),
        cmocka_unit_test(deep_messages_are_answered),
        cmocka_unit_test(lying_sizes_are_answered),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
