/* TLS in both roles: who is let in, who is recognised, what is said. */
#include "contract.h"

#include "base/mem.h"

static const char *const protocol_names[] = {"TLSv1.2", "TLSv1.3"};

/* The server shows `shown`; the client must open or fail. */
static void server_case(struct contract *c, enum contract_cert shown, bool good, const char *protocols) {
    struct server s;
    struct side side;
    c->files[shown].client_auth = WORLD_CLIENT_AUTH_NONE;
    c->files[CERT_CLIENT].protocols = protocols;
    server_start(c, &s, contract_tls(c->w, c, shown));
    struct world_tls *tls = contract_tls(c->client, c, CERT_CLIENT);
    side_connect(c, &side, &s, tls);
    contract_until(c, good ? side_is_open : side_is_closed, &side);
    if (good) {
        assert_int_equal(side.closed, 0);
        assert_non_null(world_conn_peer(side.conn));
    } else {
        assert_int_equal(side.why, WORLD_CLOSE_TLS);
        assert_int_equal(side.opened, 0);
        assert_true(strlen(side.text) > 0);
        contract_pass(c, 50);
        assert_int_equal(s.accepted, 0);
    }
    side_stop(&side);
    world_tls_free(tls);
    server_stop(&s);
    c->files[CERT_CLIENT].protocols = NULL;
}

static void test_client_judges_server(void **state) {
    static const struct {
        enum contract_cert cert;
        bool good;
    } cases[] = {
        {CERT_SERVER, true},   {CERT_FOREIGN, false},     {CERT_EXPIRED, false},    {CERT_NOT_YET, false},
        {CERT_REVOKED, false}, {CERT_SELF_SIGNED, false}, {CERT_WRONG_HOST, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t p = 0; p < 2; p++) {
            server_case(*state, cases[i].cert, cases[i].good, protocol_names[p]);
        }
    }
}

static bool accepted_or_closed(void *ctx) {
    struct {
        struct server *server;
        struct side *side;
    } *both = ctx;
    return both->server->accepted != 0 || both->side->closed;
}

/* The client shows `shown` to a server that asks as `auth`; must it be let in, and as whom? */
static void client_case(struct contract *c, enum contract_cert shown, enum world_client_auth auth, bool good,
                        const char *protocols) {
    struct server s;
    struct side side;
    c->files[CERT_SERVER].client_auth = auth;
    c->files[shown].protocols = protocols;
    server_start(c, &s, contract_tls(c->w, c, CERT_SERVER));
    struct world_tls *tls = contract_tls(c->client, c, shown);
    c->files[shown].protocols = NULL;
    side_connect(c, &side, &s, tls);
    struct {
        struct server *server;
        struct side *side;
    } both = {&s, &side};
    contract_until(c, accepted_or_closed, &both);
    if (good) {
        assert_int_equal(s.accepted, 1);
        const struct world_identity *id = world_conn_peer(s.sides[0].conn);
        if (shown == CERT_NONE || auth == WORLD_CLIENT_AUTH_NONE) {
            assert_null(id);
        } else {
            assert_string_equal(id->common_name, "client");
        }
    } else {
        /* With TLS 1.3 the client may have been open for a moment: it cannot know yet. */
        assert_int_equal(s.accepted, 0);
        assert_int_equal(side.why, WORLD_CLOSE_TLS);
        if (strcmp(protocols, "TLSv1.2") == 0) {
            assert_int_equal(side.opened, 0);
        }
    }
    side_stop(&side);
    world_tls_free(tls);
    server_stop(&s);
}

static void test_server_judges_client(void **state) {
    static const struct {
        enum contract_cert cert;
        enum world_client_auth auth;
        bool good;
    } cases[] = {
        {CERT_CLIENT, WORLD_CLIENT_AUTH_NEED, true},       {CERT_NONE, WORLD_CLIENT_AUTH_NEED, false},
        {CERT_FOREIGN, WORLD_CLIENT_AUTH_NEED, false},     {CERT_EXPIRED, WORLD_CLIENT_AUTH_NEED, false},
        {CERT_NOT_YET, WORLD_CLIENT_AUTH_NEED, false},     {CERT_REVOKED, WORLD_CLIENT_AUTH_NEED, false},
        {CERT_SELF_SIGNED, WORLD_CLIENT_AUTH_NEED, false}, {CERT_CLIENT, WORLD_CLIENT_AUTH_WANT, true},
        {CERT_NONE, WORLD_CLIENT_AUTH_WANT, true},         {CERT_FOREIGN, WORLD_CLIENT_AUTH_WANT, false},
        {CERT_CLIENT, WORLD_CLIENT_AUTH_NONE, true},       {CERT_NONE, WORLD_CLIENT_AUTH_NONE, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t p = 0; p < 2; p++) {
            client_case(*state, cases[i].cert, cases[i].auth, cases[i].good, protocol_names[p]);
        }
    }
}

struct tls_pair {
    struct server server;
    struct side client;
    struct world_tls *tls;
    size_t want;
};
static bool tls_pair_open(void *ctx) {
    struct tls_pair *p = ctx;
    return p->client.opened && p->server.accepted == 1;
}
static bool tls_pair_got(void *ctx) {
    struct tls_pair *p = ctx;
    return p->server.sides[0].got.len >= p->want;
}
static void tls_pair_start(struct contract *c, struct tls_pair *p) {
    *p = (struct tls_pair){0};
    server_start(c, &p->server, contract_tls(c->w, c, CERT_SERVER));
    p->tls = contract_tls(c->client, c, CERT_CLIENT);
    side_connect(c, &p->client, &p->server, p->tls);
    contract_until(c, tls_pair_open, p);
}
static void tls_pair_stop(struct tls_pair *p) {
    side_stop(&p->client);
    world_tls_free(p->tls);
    server_stop(&p->server);
}

static bool names(const struct world_identity *id, const char *name) {
    for (size_t i = 0; i < id->alt_name_count; i++) {
        if (strcmp(id->alt_names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void test_identity(void **state) {
    struct contract *c = *state;
    struct tls_pair p;
    tls_pair_start(c, &p);
    const struct world_identity *server = world_conn_peer(p.client.conn);
    assert_true(names(server, c->host));
    assert_true(strncmp(server->issuer, "CN=", 3) == 0);
    assert_true(strlen(server->serial) > 0);
    assert_int_equal(strspn(server->serial, "0123456789ABCDEF"), strlen(server->serial));
    assert_int_equal(strspn(server->fingerprint, "0123456789abcdef"), 64);
    assert_true(server->not_before_ms < world_wall_ms(c->w));
    assert_true(server->not_after_ms > world_wall_ms(c->w));
    assert_string_equal(world_tls_self(p.tls)->common_name, "client");
    assert_string_equal(world_tls_self(p.tls)->fingerprint, world_conn_peer(p.server.sides[0].conn)->fingerprint);
    struct world_tls *nobody = contract_tls(c->client, c, CERT_NONE);
    assert_null(world_tls_self(nobody));
    world_tls_free(nobody);
    tls_pair_stop(&p);
}

static void test_bytes_and_close(void **state) {
    struct contract *c = *state;
    struct tls_pair p;
    struct buf all = BUF_INIT;
    tls_pair_start(c, &p);
    for (size_t i = 0; i < 500000; i++) {
        buf_append_char(&all, (char)(i * 17 >> 2));
    }
    world_conn_write(p.client.conn, &(struct span){all.ptr, all.len}, 1);
    world_conn_close(p.client.conn, 5000);
    contract_until(c, side_is_closed, &p.server.sides[0]);
    assert_int_equal(p.server.sides[0].why, WORLD_CLOSE_EOF);
    assert_int_equal(p.server.sides[0].got.len, all.len);
    assert_memory_equal(p.server.sides[0].got.ptr, all.ptr, all.len);
    contract_until(c, side_is_closed, &p.client);
    assert_int_equal(p.client.why, WORLD_CLOSE_LOCAL);
    buf_free(&all);
    tls_pair_stop(&p);
}

static void test_abort_is_no_orderly_end(void **state) {
    struct contract *c = *state;
    struct tls_pair p;
    tls_pair_start(c, &p);
    world_conn_abort(p.client.conn);
    p.client.conn = NULL;
    contract_until(c, side_is_closed, &p.server.sides[0]);
    assert_int_equal(p.server.sides[0].why, WORLD_CLOSE_RESET);
    tls_pair_stop(&p);
}

/* Written by the client the moment it is open, in one flight with its certificate: nothing is lost. */
static void write_at_once(void *ctx, struct world_conn *conn) {
    ((struct side *)ctx)->opened++;
    world_conn_write(conn, &SPAN("at once"), 1);
}

static void test_write_in_on_open(void **state) {
    static const struct world_conn_handler handler = {.on_open = write_at_once};
    struct contract *c = *state;
    struct tls_pair p = {.want = 7};
    server_start(c, &p.server, contract_tls(c->w, c, CERT_SERVER));
    p.tls = contract_tls(c->client, c, CERT_CLIENT);
    struct world_connect to = {.host = c->host, .port = world_listener_port(p.server.listener), .tls = p.tls};
    p.client.conn = world_connect(c->client, &to, &handler, &p.client);
    contract_until(c, tls_pair_got, &p);
    assert_string_equal(p.server.sides[0].got.ptr, "at once");
    tls_pair_stop(&p);
}

static void test_server_name(void **state) {
    struct contract *c = *state;
    struct server s;
    struct side side = {0};
    server_start(c, &s, contract_tls(c->w, c, CERT_WRONG_HOST));
    struct world_tls *tls = contract_tls(c->client, c, CERT_CLIENT);
    struct world_connect to = {
        .host = c->host, .port = world_listener_port(s.listener), .tls = tls, .server_name = "elsewhere.example.com"};
    side.conn = world_connect(c->client, &to, &side_handler, &side);
    contract_until(c, side_is_open, &side);
    side_stop(&side);
    world_tls_free(tls);
    server_stop(&s);
}

static void test_no_common_protocol(void **state) {
    struct contract *c = *state;
    struct server s;
    struct side side;
    c->files[CERT_SERVER].protocols = "TLSv1.2";
    server_start(c, &s, contract_tls(c->w, c, CERT_SERVER));
    c->files[CERT_CLIENT].protocols = "TLSv1.3";
    struct world_tls *tls = contract_tls(c->client, c, CERT_CLIENT);
    side_connect(c, &side, &s, tls);
    contract_until(c, side_is_closed, &side);
    assert_int_equal(side.why, WORLD_CLOSE_TLS);
    side_stop(&side);
    world_tls_free(tls);
    server_stop(&s);
}

/* A TLS client at a server that speaks none and keeps silent: its time runs out. */
static void test_handshake_timeout_of_the_client(void **state) {
    struct contract *c = *state;
    struct server s;
    struct side side = {0};
    server_start(c, &s, NULL);
    struct world_tls *tls = contract_tls(c->client, c, CERT_CLIENT);
    struct world_connect to = {.host = c->host, .port = world_listener_port(s.listener), .tls = tls, .timeout_ms = 200};
    side.conn = world_connect(c->client, &to, &side_handler, &side);
    contract_until(c, side_is_closed, &side);
    assert_int_equal(side.why, WORLD_CLOSE_TIMEOUT);
    assert_int_equal(s.accepted, 1);
    assert_int_equal(s.sides[0].got.ptr[0], 0x16); /* a TLS handshake record */
    side_stop(&side);
    world_tls_free(tls);
    server_stop(&s);
}

static void never(void *ctx, struct world_conn *c) {
    (void)ctx;
    (void)c;
    fail();
}

/* A client that connects and says nothing is dropped by the server's limit; one more is not kept out meanwhile. */
static void test_handshake_timeout_of_the_server(void **state) {
    struct contract *c = *state;
    struct error err = ERROR_INIT;
    struct side silent = {0};
    struct world_tls *tls = contract_tls(c->w, c, CERT_SERVER);
    struct world_listen opts = {.tls = tls, .handshake_timeout_ms = 200};
    struct world_listener *l = world_listen(c->w, &opts, never, NULL, &err);
    struct world_connect to = {.host = c->host, .port = world_listener_port(l)};
    uint64_t start_us = world_now_us(c->w);
    silent.conn = world_connect(c->client, &to, &side_handler, &silent);
    contract_until(c, side_is_closed, &silent);
    assert_int_equal(silent.opened, 1);
    assert_in_range(world_now_us(c->w) - start_us, 199000, 8000000);
    world_listener_close(l);
    world_tls_free(tls);
    side_stop(&silent);
}

/* With one handshake at a time, the second client gets its turn after the first (silent) one was dropped. */
static void test_handshakes_are_bounded(void **state) {
    struct contract *c = *state;
    struct error err = ERROR_INIT;
    struct server s = {.tls = contract_tls(c->w, c, CERT_SERVER)};
    struct side silent = {0}, side = {0};
    struct world_listen opts = {.tls = s.tls, .handshake_timeout_ms = 300, .handshakes_max = 1};
    s.listener = world_listen(c->w, &opts, never, NULL, &err);
    contract_must(s.listener != NULL, &err);
    struct world_connect to = {.host = c->host, .port = world_listener_port(s.listener)};
    silent.conn = world_connect(c->client, &to, &side_handler, &silent);
    contract_until(c, side_is_open, &silent);
    contract_pass(c, 20);
    struct world_tls *tls = contract_tls(c->client, c, CERT_FOREIGN); /* is refused, but only once it is its turn */
    to.tls = tls;
    uint64_t start_us = world_now_us(c->w);
    side.conn = world_connect(c->client, &to, &side_handler, &side);
    contract_until(c, side_is_closed, &side);
    assert_int_equal(side.why, WORLD_CLOSE_TLS);
    assert_true(world_now_us(c->w) - start_us >= 150000);
    assert_int_equal(silent.closed, 1);
    side_stop(&silent);
    side_stop(&side);
    world_tls_free(tls);
    server_stop(&s);
}

/* Revocation: a reload changes what new connections meet, and what still_good says of old ones. */
static void test_reload_after_revocation(void **state) {
    struct contract *c = *state;
    struct tls_pair p;
    struct error err = ERROR_INIT;
    tls_pair_start(c, &p);
    const struct world_identity *id = world_conn_peer(p.server.sides[0].conn);
    assert_true(world_tls_still_good(p.server.tls, id));
    c->revoke_client(c);
    assert_true(world_tls_still_good(p.server.tls, id)); /* not read yet */
    contract_must(world_tls_reload(p.server.tls, &err), &err);
    assert_false(world_tls_still_good(p.server.tls, id));
    assert_int_equal(p.server.sides[0].closed, 0); /* connections live on */
    struct side second;
    side_connect(c, &second, &p.server, p.tls);
    contract_until(c, side_is_closed, &second);
    assert_int_equal(second.why, WORLD_CLOSE_TLS);
    assert_int_equal(p.server.accepted, 1);
    side_stop(&second);
    tls_pair_stop(&p);
}

static void test_failed_reload_keeps_the_old_state(void **state) {
    struct contract *c = *state;
    struct tls_pair p;
    struct error err = ERROR_INIT;
    tls_pair_start(c, &p);
    char *ca = str_printf("%s.kept", c->files[CERT_SERVER].ca);
    contract_must(world_file_rename(c->w, c->files[CERT_SERVER].ca, ca, &err), &err);
    contract_fails(world_tls_reload(p.server.tls, &err), &err, "world/file");
    contract_must(world_file_rename(c->w, ca, c->files[CERT_SERVER].ca, &err), &err);
    struct side second;
    side_connect(c, &second, &p.server, p.tls);
    contract_until(c, side_is_open, &second);
    contract_pass(c, 20);
    assert_int_equal(p.server.accepted, 2);
    side_stop(&second);
    mem_free(ca);
    tls_pair_stop(&p);
}

static void test_contexts_that_cannot_be(void **state) {
    struct contract *c = *state;
    struct error err = ERROR_INIT;
    char *garbage = contract_path(c, "garbage.pem");
    contract_must(world_file_write(c->w, garbage, SPAN("no PEM at all\n"), 0600, WORLD_WRITE_PLAIN, &err), &err);
    const struct world_tls_files good = c->files[CERT_SERVER];
    struct world_tls_files f = good;
    f.cert = "/nonexistent/cert.pem";
    contract_fails(world_tls_new(c->w, &f, &err) != NULL, &err, "world/file");
    f = good;
    f.cert = garbage;
    contract_fails(world_tls_new(c->w, &f, &err) != NULL, &err, "world/tls");
    f = good;
    f.ca = garbage;
    contract_fails(world_tls_new(c->w, &f, &err) != NULL, &err, "world/tls");
    f = good;
    f.crl = garbage;
    contract_fails(world_tls_new(c->w, &f, &err) != NULL, &err, "world/tls");
    f = good;
    f.key = c->files[CERT_CLIENT].key;
    contract_fails(world_tls_new(c->w, &f, &err) != NULL, &err, "world/tls");
    f = good;
    f.protocols = "TLSv1.1";
    contract_fails(world_tls_new(c->w, &f, &err) != NULL, &err, "world/tls");
    mem_free(garbage);
}

int contract_tls_cases(void) {
    const struct CMUnitTest tests[] = {
        CONTRACT(test_client_judges_server),
        CONTRACT(test_server_judges_client),
        CONTRACT(test_identity),
        CONTRACT(test_bytes_and_close),
        CONTRACT(test_abort_is_no_orderly_end),
        CONTRACT(test_write_in_on_open),
        CONTRACT(test_server_name),
        CONTRACT(test_no_common_protocol),
        CONTRACT(test_handshake_timeout_of_the_client),
        CONTRACT(test_handshake_timeout_of_the_server),
        CONTRACT(test_handshakes_are_bounded),
        CONTRACT(test_reload_after_revocation),
        CONTRACT(test_failed_reload_keeps_the_old_state),
        CONTRACT(test_contexts_that_cannot_be),
    };
    return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
