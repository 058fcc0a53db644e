/* The TLS matrix: who is let in, who is not, and what both sides are told. */
#include "world/tests/harness.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

/* One handshake with these two contexts; leaves both ends as they ended up. */
struct meeting {
    struct host host;
    struct end client;
};

static void meet(struct bench *b, struct meeting *m, struct world_tls *server, struct world_tls *client,
                 const char *server_name) {
    host_listen(b, &m->host, server);
    m->client.c =
        world_connect(b->w,
                      &(struct world_connect){
                          .host = "127.0.0.1", .port = host_port(&m->host), .tls = client, .server_name = server_name},
                      &end_handler, &m->client);
    TURN_UNTIL(b, (m->host.count > 0 && m->client.opened) || m->client.closed);
    if (m->client.closed) {
        TURN_UNTIL(b, m->host.refused || m->host.count > 0);
    }
}

static void part(struct meeting *m) {
    end_free(&m->client);
    host_free(&m->host);
}

/* A client with this certificate, at a server that insists on one. Returns the server's refusal text in m. */
static void server_refuses(struct bench *b, struct world_tls_files *client_files, const char *expected_server_text,
                           const char *expected_client_text) {
    bench_issue_name(b, "server");
    struct world_tls_files server_files = bench_files(b, "server");
    server_files.crl = bench_path(b, "crl.pem");
    bench_write_crl(b, "crl.pem");
    struct world_tls *server = bench_tls(b, &server_files), *client = bench_tls(b, client_files);
    struct meeting m = {0};
    host_listen(b, &m.host, server);
    end_connect(b, &m.client, host_port(&m.host), client);
    TURN_UNTIL(b, m.client.closed && m.host.refused);
    assert_int_equal(m.host.count, 0);
    assert_int_equal(m.host.refused_why, WORLD_CLOSE_TLS);
    if (strstr(m.host.refused_text, expected_server_text) == NULL) {
        fail_msg("server said: %s", m.host.refused_text);
    }
    assert_int_equal(m.client.why, WORLD_CLOSE_TLS);
    if (strstr(m.client.text, expected_client_text) == NULL) {
        fail_msg("client said: %s", m.client.text);
    }
    part(&m);
    world_tls_free(server);
    world_tls_free(client);
}

static void client_refuses(struct bench *b, const struct world_tls_files *server_files, const char *server_name,
                           const char *crl, const char *expected_client_text) {
    bench_issue_name(b, "client");
    struct world_tls_files client_files = bench_files(b, "client");
    client_files.crl = crl;
    struct world_tls *server = bench_tls(b, server_files), *client = bench_tls(b, &client_files);
    struct meeting m = {0};
    meet(b, &m, server, client, server_name);
    assert_int_equal(m.client.opened, 0);
    assert_int_equal(m.client.why, WORLD_CLOSE_TLS);
    if (strstr(m.client.text, expected_client_text) == NULL) {
        fail_msg("client said: %s", m.client.text);
    }
    assert_int_equal(m.host.count, 0);
    assert_int_equal(m.host.refused_why, WORLD_CLOSE_TLS);
    assert_non_null(strstr(m.host.refused_text, "the peer refused"));
    part(&m);
    world_tls_free(server);
    world_tls_free(client);
}

static void both_verified_identities_known(void **state) {
    struct bench *b = *state;
    bench_issue_name(b, "server");
    bench_issue_name(b, "agent1");
    struct world_tls_files sf = bench_files(b, "server"), cf = bench_files(b, "agent1");
    struct world_tls *server = bench_tls(b, &sf), *client = bench_tls(b, &cf);
    struct meeting m = {.host.echo = true};
    meet(b, &m, server, client, NULL);
    const struct world_identity *at_server = world_conn_peer(m.host.ends[0]->c);
    const struct world_identity *at_client = world_conn_peer(m.client.c);
    assert_string_equal(at_server->common_name, "agent1");
    assert_string_equal(at_client->common_name, "server");
    assert_string_equal(at_client->issuer, "CN=Puppet CA: dalang");
    assert_int_equal(at_client->alt_name_count, 3);
    assert_string_equal(at_client->alt_names[0], "server");
    assert_string_equal(at_client->alt_names[2], "127.0.0.1");
    assert_int_equal(strlen(at_client->fingerprint), 64);
    assert_true(at_client->not_before_ms < b->now_ms && at_client->not_after_ms > b->now_ms);
    assert_string_equal(world_tls_self(client)->fingerprint, at_server->fingerprint);
    assert_true(strlen(at_server->serial) > 0);
    assert_memory_equal(world_conn_remote(m.client.c), "127.0.0.1:", 10);
    assert_string_equal(world_conn_remote(m.host.ends[0]->c), world_conn_local(m.client.c));
    struct span hello[] = {SPAN("hel"), SPAN(""), SPAN("lo")};
    world_conn_write(m.client.c, hello, 3);
    TURN_UNTIL(b, m.client.got.len == 5);
    assert_string_equal(m.client.got.ptr, "hello");
    part(&m);
    world_tls_free(server);
    world_tls_free(client);
}

static void both_protocols(void **state) {
    struct bench *b = *state;
    bench_issue_name(b, "server");
    bench_issue_name(b, "agent1");
    const char *protocols[] = {"TLSv1.2", "TLSv1.3", "TLSv1.2, TLSv1.3"};
    for (size_t i = 0; i < 3; i++) {
        struct world_tls_files sf = bench_files(b, "server"), cf = bench_files(b, "agent1");
        sf.protocols = protocols[i];
        struct world_tls *server = bench_tls(b, &sf), *client = bench_tls(b, &cf);
        struct meeting m = {.host.echo = true};
        meet(b, &m, server, client, "localhost");
        assert_int_equal(m.client.opened, 1);
        assert_string_equal(world_conn_peer(m.host.ends[0]->c)->common_name, "agent1");
        world_conn_write(m.client.c, &SPAN("x"), 1);
        TURN_UNTIL(b, m.client.got.len == 1);
        part(&m);
        world_tls_free(server);
        world_tls_free(client);
    }
}

static void old_protocol_is_a_configuration_error(void **state) {
    struct bench *b = *state;
    struct world_tls_files f = bench_files(b, NULL);
    f.protocols = "TLSv1.1,TLSv1.2";
    struct error err = ERROR_INIT;
    assert_null(world_tls_new(b->w, &f, &err));
    assert_string_equal(err.kind, "world/tls");
    assert_non_null(strstr(err.msg, "TLSv1.1"));
    error_clear(&err);
    f.protocols = NULL;
    f.ciphers = "NO-SUCH-CIPHER";
    assert_null(world_tls_new(b->w, &f, &err));
    assert_non_null(strstr(err.msg, "NO-SUCH-CIPHER"));
    error_clear(&err);
}

static void no_common_protocol(void **state) {
    struct bench *b = *state;
    bench_issue_name(b, "server");
    struct world_tls_files sf = bench_files(b, "server"), cf = bench_files(b, NULL);
    sf.protocols = "TLSv1.3";
    sf.client_auth = WORLD_CLIENT_AUTH_NONE;
    cf.protocols = "TLSv1.2";
    struct world_tls *server = bench_tls(b, &sf), *client = bench_tls(b, &cf);
    struct meeting m = {0};
    meet(b, &m, server, client, NULL);
    assert_int_equal(m.client.why, WORLD_CLOSE_TLS);
    assert_non_null(strstr(m.client.text, "protocol version"));
    assert_int_equal(m.host.refused_why, WORLD_CLOSE_TLS);
    part(&m);
    world_tls_free(server);
    world_tls_free(client);
}

/* ---- clients that are refused */

static void client_without_certificate(void **state) {
    struct bench *b = *state;
    struct world_tls_files cf = bench_files(b, NULL);
    server_refuses(b, &cf, "peer did not return a certificate", "certificate required");
    cf.protocols = "TLSv1.2";
    server_refuses(b, &cf, "peer did not return a certificate", "the peer refused");
}

static void client_of_foreign_ca(void **state) {
    struct bench *b = *state;
    struct certs_ca *foreign = certs_ca_new(&(struct certs_ca_opts){.common_name = "Foreign", .now_ms = b->now_ms});
    bench_issue(b, foreign, "stranger", &(struct certs_issue){.common_name = SPAN("stranger")});
    struct world_tls_files cf = bench_files(b, "stranger");
    server_refuses(b, &cf, "\"CN=stranger\" refused: unable to get local issuer", "unknown ca");
    cf.protocols = "TLSv1.2";
    server_refuses(b, &cf, "\"CN=stranger\" refused: unable to get local issuer", "unknown ca");
    certs_ca_free(foreign);
}

static void client_of_foreign_ca_with_our_name(void **state) {
    struct bench *b = *state;
    struct certs_ca *foreign = certs_ca_new(&(struct certs_ca_opts){.now_ms = b->now_ms}); /* the same CN as ours */
    bench_issue(b, foreign, "stranger", &(struct certs_issue){.common_name = SPAN("stranger")});
    struct world_tls_files cf = bench_files(b, "stranger");
    server_refuses(b, &cf, "\"CN=stranger\" refused", "the peer refused");
    certs_ca_free(foreign);
}

static void client_expired(void **state) {
    struct bench *b = *state;
    bench_issue(b, b->ca, "old",
                &(struct certs_issue){.common_name = SPAN("old"),
                                      .not_before_ms = b->now_ms - 7200000,
                                      .not_after_ms = b->now_ms - 3600000});
    struct world_tls_files cf = bench_files(b, "old");
    server_refuses(b, &cf, "\"CN=old\" refused: certificate has expired", "certificate expired");
    cf.protocols = "TLSv1.2";
    server_refuses(b, &cf, "\"CN=old\" refused: certificate has expired", "certificate expired");
}

static void client_not_yet_valid(void **state) {
    struct bench *b = *state;
    bench_issue(b, b->ca, "new",
                &(struct certs_issue){.common_name = SPAN("new"),
                                      .not_before_ms = b->now_ms + 3600000,
                                      .not_after_ms = b->now_ms + 7200000});
    struct world_tls_files cf = bench_files(b, "new");
    server_refuses(b, &cf, "\"CN=new\" refused: certificate is not yet valid", "the peer refused");
}

static void revoke_file(struct bench *b, const char *name) {
    struct buf pem = BUF_INIT;
    assert_true(world_file_read(b->w, bench_path(b, name), 1 << 16, &pem, NULL));
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    certs_revoke(b->ca, cert, b->now_ms);
    certs_revoke(b->ca, cert, b->now_ms); /* twice is once */
    X509_free(cert);
    BIO_free(bio);
    buf_free(&pem);
}

static void client_revoked(void **state) {
    struct bench *b = *state;
    bench_issue_name(b, "thief");
    revoke_file(b, "thief.pem");
    struct world_tls_files cf = bench_files(b, "thief");
    server_refuses(b, &cf, "\"CN=thief\" refused: certificate revoked", "certificate revoked");
    cf.protocols = "TLSv1.2";
    server_refuses(b, &cf, "\"CN=thief\" refused: certificate revoked", "certificate revoked");
}

static void client_self_signed(void **state) {
    struct bench *b = *state;
    struct certs_ca *self = certs_ca_new(&(struct certs_ca_opts){.common_name = "me", .now_ms = b->now_ms});
    bench_write_ca(b, self, "me.pem");
    char *key = certs_pem_key(certs_ca_key(self));
    bench_write(b, "me.key", key);
    mem_free(key);
    struct world_tls_files cf = bench_files(b, "me");
    server_refuses(b, &cf, "\"CN=me\" refused: self-signed certificate", "unknown ca");
    certs_ca_free(self);
}

/* ---- servers that are refused */

static void server_of_foreign_ca(void **state) {
    struct bench *b = *state;
    struct certs_ca *foreign = certs_ca_new(&(struct certs_ca_opts){.common_name = "Foreign", .now_ms = b->now_ms});
    const char *ip[] = {"127.0.0.1", NULL};
    bench_issue(b, foreign, "server", &(struct certs_issue){.common_name = SPAN("server"), .ip_addresses = ip});
    struct world_tls_files sf = bench_files(b, "server");
    client_refuses(b, &sf, NULL, NULL, "\"CN=server\" refused: unable to get local issuer");
    certs_ca_free(foreign);
}

static void server_self_signed(void **state) {
    struct bench *b = *state;
    struct certs_ca *self = certs_ca_new(&(struct certs_ca_opts){.common_name = "me", .now_ms = b->now_ms});
    bench_write_ca(b, self, "me.pem");
    char *key = certs_pem_key(certs_ca_key(self));
    bench_write(b, "me.key", key);
    mem_free(key);
    struct world_tls_files sf = bench_files(b, "me");
    client_refuses(b, &sf, "me", NULL, "\"CN=me\" refused: self-signed certificate");
    certs_ca_free(self);
}

static void server_wrong_host(void **state) {
    struct bench *b = *state;
    bench_issue_name(b, "server");
    struct world_tls_files sf = bench_files(b, "server");
    client_refuses(b, &sf, "other.example", NULL, "\"CN=server\" refused: hostname mismatch");
    client_refuses(b, &sf, "127.0.0.2", NULL, "\"CN=server\" refused: IP address mismatch");
}

static void server_expired(void **state) {
    struct bench *b = *state;
    const char *ip[] = {"127.0.0.1", NULL};
    bench_issue(b, b->ca, "server",
                &(struct certs_issue){.common_name = SPAN("server"),
                                      .ip_addresses = ip,
                                      .not_before_ms = b->now_ms - 7200000,
                                      .not_after_ms = b->now_ms - 3600000});
    struct world_tls_files sf = bench_files(b, "server");
    client_refuses(b, &sf, NULL, NULL, "\"CN=server\" refused: certificate has expired");
}

static void server_not_yet_valid(void **state) {
    struct bench *b = *state;
    const char *ip[] = {"127.0.0.1", NULL};
    bench_issue(b, b->ca, "server",
                &(struct certs_issue){.common_name = SPAN("server"),
                                      .ip_addresses = ip,
                                      .not_before_ms = b->now_ms + 3600000,
                                      .not_after_ms = b->now_ms + 7200000});
    struct world_tls_files sf = bench_files(b, "server");
    client_refuses(b, &sf, NULL, NULL, "\"CN=server\" refused: certificate is not yet valid");
}

static void server_revoked(void **state) {
    struct bench *b = *state;
    bench_issue_name(b, "server");
    revoke_file(b, "server.pem");
    bench_write_crl(b, "crl.pem");
    struct world_tls_files sf = bench_files(b, "server");
    client_refuses(b, &sf, NULL, bench_path(b, "crl.pem"), "\"CN=server\" refused: certificate revoked");
}

static void server_with_client_only_certificate(void **state) {
    struct bench *b = *state;
    const char *ip[] = {"127.0.0.1", NULL};
    bench_issue(b, b->ca, "server",
                &(struct certs_issue){.common_name = SPAN("server"), .ip_addresses = ip, .client_only = true});
    struct world_tls_files sf = bench_files(b, "server");
    client_refuses(b, &sf, NULL, NULL, "\"CN=server\" refused: unsuitable certificate purpose");
}

static void server_without_certificate_cannot_listen(void **state) {
    struct bench *b = *state;
    struct world_tls_files f = bench_files(b, NULL);
    struct world_tls *tls = bench_tls(b, &f);
    struct error err = ERROR_INIT;
    assert_null(world_listen(b->w, &(struct world_listen){.tls = tls}, NULL, NULL, &err));
    assert_string_equal(err.kind, "world/tls");
    error_clear(&err);
    assert_null(world_tls_self(tls));
    world_tls_free(tls);
}

/* ---- client authentication wanted, not needed */

static void wanted_certificate(void **state) {
    struct bench *b = *state;
    bench_issue_name(b, "server");
    bench_issue_name(b, "agent1");
    struct world_tls_files sf = bench_files(b, "server"), none = bench_files(b, NULL), with = bench_files(b, "agent1");
    sf.client_auth = WORLD_CLIENT_AUTH_WANT;
    struct world_tls *server = bench_tls(b, &sf), *anonymous = bench_tls(b, &none), *named = bench_tls(b, &with);
    struct meeting m = {0}, n = {0};
    meet(b, &m, server, anonymous, NULL);
    assert_null(world_conn_peer(m.host.ends[0]->c));
    meet(b, &n, server, named, NULL);
    assert_string_equal(world_conn_peer(n.host.ends[0]->c)->common_name, "agent1");
    part(&m);
    part(&n);
    /* but one that is shown must be good */
    struct certs_ca *foreign = certs_ca_new(&(struct certs_ca_opts){.common_name = "Foreign", .now_ms = b->now_ms});
    bench_issue(b, foreign, "stranger", &(struct certs_issue){.common_name = SPAN("stranger")});
    struct world_tls_files bad = bench_files(b, "stranger");
    struct world_tls *stranger = bench_tls(b, &bad);
    struct meeting s = {0};
    host_listen(b, &s.host, server);
    end_connect(b, &s.client, host_port(&s.host), stranger);
    TURN_UNTIL(b, s.client.closed && s.host.refused);
    assert_int_equal(s.host.count, 0);
    part(&s);
    certs_ca_free(foreign);
    world_tls_free(server);
    world_tls_free(anonymous);
    world_tls_free(named);
    world_tls_free(stranger);
}

static void unwanted_certificate(void **state) {
    struct bench *b = *state;
    bench_issue_name(b, "server");
    bench_issue_name(b, "agent1");
    struct world_tls_files sf = bench_files(b, "server"), cf = bench_files(b, "agent1");
    sf.client_auth = WORLD_CLIENT_AUTH_NONE;
    struct world_tls *server = bench_tls(b, &sf), *client = bench_tls(b, &cf);
    struct meeting m = {0};
    meet(b, &m, server, client, NULL);
    assert_null(world_conn_peer(m.host.ends[0]->c));
    part(&m);
    world_tls_free(server);
    world_tls_free(client);
}

/* ---- identities */

static void expect_no_name(struct bench *b, const struct certs_issue *what) {
    bench_issue_name(b, "server");
    bench_issue(b, b->ca, "odd", what);
    struct world_tls_files sf = bench_files(b, "server"), cf = bench_files(b, "odd");
    struct world_tls *server = bench_tls(b, &sf), *client = bench_tls(b, &cf);
    struct meeting m = {0};
    meet(b, &m, server, client, NULL);
    assert_non_null(world_conn_peer(m.host.ends[0]->c));
    assert_null(world_conn_peer(m.host.ends[0]->c)->common_name);
    part(&m);
    world_tls_free(server);
    world_tls_free(client);
}

static void nul_in_common_name(void **state) {
    expect_no_name(*state, &(struct certs_issue){.common_name = span_bytes("master\0.evil.example", 20)});
}

static void no_common_name(void **state) {
    expect_no_name(*state, &(struct certs_issue){.without_common_name = true});
}

static void crl_reload(void **state) {
    struct bench *b = *state;
    bench_issue_name(b, "server");
    bench_issue_name(b, "agent1");
    bench_write_crl(b, "crl.pem");
    struct world_tls_files sf = bench_files(b, "server"), cf = bench_files(b, "agent1");
    sf.crl = bench_path(b, "crl.pem");
    struct world_tls *server = bench_tls(b, &sf), *client = bench_tls(b, &cf);
    struct meeting m = {.host.echo = true};
    meet(b, &m, server, client, NULL);
    const struct world_identity *id = world_conn_peer(m.host.ends[0]->c);
    assert_true(world_tls_still_good(server, id));
    revoke_file(b, "agent1.pem");
    bench_write_crl(b, "crl.pem");
    assert_true(world_tls_still_good(server, id));
    assert_true(world_tls_reload(server, NULL));
    assert_false(world_tls_still_good(server, id));
    assert_true(world_tls_still_good(server, world_tls_self(server)));
    /* the connection lives on until its owner acts; a new one is refused */
    world_conn_write(m.client.c, &SPAN("x"), 1);
    TURN_UNTIL(b, m.client.got.len == 1);
    struct end again = {0};
    end_connect(b, &again, host_port(&m.host), client);
    TURN_UNTIL(b, again.closed);
    assert_int_equal(again.why, WORLD_CLOSE_TLS);
    assert_non_null(strstr(again.text, "certificate revoked"));
    /* a broken file changes nothing */
    bench_write(b, "crl.pem", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
    struct error err = ERROR_INIT;
    assert_false(world_tls_reload(server, &err));
    assert_string_equal(err.kind, "world/tls");
    assert_non_null(strstr(err.msg, "crl.pem"));
    error_clear(&err);
    assert_false(world_tls_still_good(server, id));
    part(&m);
    end_free(&again);
    world_tls_free(server);
    world_tls_free(client);
}

static void expired_is_not_still_good(void **state) {
    struct bench *b = *state;
    struct world_tls_files f = bench_files(b, NULL);
    struct world_tls *tls = bench_tls(b, &f);
    struct world_identity id = {
        .issuer = "CN=x", .serial = "01", .not_before_ms = b->now_ms - 10000, .not_after_ms = b->now_ms - 5000};
    assert_false(world_tls_still_good(tls, &id));
    id.not_after_ms = b->now_ms + 3600000;
    assert_true(world_tls_still_good(tls, &id));
    id.not_before_ms = b->now_ms + 1800000;
    assert_false(world_tls_still_good(tls, &id));
    world_tls_free(tls);
}

/* ---- files */

static void expect_bad_files(struct bench *b, const struct world_tls_files *f, const char *kind, const char *text) {
    struct error err = ERROR_INIT;
    assert_null(world_tls_new(b->w, f, &err));
    assert_string_equal(err.kind, kind);
    if (strstr(err.msg, text) == NULL) {
        fail_msg("%s", err.msg);
    }
    error_clear(&err);
}

static void bad_files(void **state) {
    struct bench *b = *state;
    bench_issue_name(b, "a");
    bench_issue_name(b, "b");
    bench_write(b, "empty.pem", "");
    bench_write(b, "noise.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    struct world_tls_files f = bench_files(b, "a");
    f.key = bench_path(b, "b.key");
    expect_bad_files(b, &f, "world/tls", "b.key");
    f.key = NULL;
    expect_bad_files(b, &f, "world/tls", "without a key");
    f.key = bench_path(b, "absent.key");
    expect_bad_files(b, &f, "world/file", "absent.key");
    f.key = bench_path(b, "empty.pem");
    expect_bad_files(b, &f, "world/tls", "empty.pem");
    f = bench_files(b, "a");
    f.cert = bench_path(b, "absent.pem");
    expect_bad_files(b, &f, "world/file", "absent.pem");
    f.cert = bench_path(b, "empty.pem");
    expect_bad_files(b, &f, "world/tls", "no PEM certificate");
    f.cert = bench_path(b, "noise.pem");
    expect_bad_files(b, &f, "world/tls", "damaged");
    f = bench_files(b, "a");
    f.ca = bench_path(b, "absent.pem");
    expect_bad_files(b, &f, "world/file", "absent.pem");
    f = bench_files(b, "a");
    f.crl = bench_path(b, "a.pem");
    expect_bad_files(b, &f, "world/tls", "no PEM CRL");
    f.crl = bench_path(b, "absent.crl");
    expect_bad_files(b, &f, "world/file", "absent.crl");
    f = bench_files(b, "a");
    f.chain = bench_path(b, "empty.pem");
    expect_bad_files(b, &f, "world/tls", "no PEM certificate");
}

static void encrypted_key_is_no_prompt(void **state) {
    struct bench *b = *state;
    bench_issue_name(b, "a");
    EVP_PKEY *key = certs_key_new(CERTS_KEY_EC_P256);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL), 1);
    char *ptr;
    size_t len = (size_t)BIO_get_mem_data(bio, &ptr);
    char *text = span_dup(span_bytes(ptr, len));
    bench_write(b, "a.key", text);
    mem_free(text);
    BIO_free(bio);
    EVP_PKEY_free(key);
    struct world_tls_files f = bench_files(b, "a");
    expect_bad_files(b, &f, "world/tls", "encrypted");
}

/* ---- certificates per connection */

static void credentials(void **state) {
    struct bench *b = *state;
    bench_issue_name(b, "server");
    struct world_tls_files sf = bench_files(b, "server"), cf = bench_files(b, NULL);
    struct world_tls *server = bench_tls(b, &sf), *client = bench_tls(b, &cf);
    struct host host = {0};
    host_listen(b, &host, server);
    EVP_PKEY *key = certs_key_new(CERTS_KEY_EC_P256);
    struct end ends[5] = {{0}};
    for (size_t i = 0; i < 5; i++) {
        char name[20];
        snprintf(name, sizeof(name), "agent%zu", i);
        struct real_credential *c = certs_mint(b->ca, name, key, b->now_ms, NULL);
        ends[i].c = world_connect(
            b->w,
            &(struct world_connect){.host = "127.0.0.1", .port = host_port(&host), .tls = client, .credential = c},
            &end_handler, &ends[i]);
        real_credential_free(c); /* the connection has its own reference */
        TURN_UNTIL(b, host.count == i + 1 && ends[i].opened);
        assert_string_equal(world_conn_peer(host.ends[i]->c)->common_name, name);
        assert_int_equal(world_conn_peer(host.ends[i]->c)->alt_name_count, 1);
    }
    EVP_PKEY_free(key);
    for (size_t i = 0; i < 5; i++) {
        end_free(&ends[i]);
    }
    host_free(&host);
    world_tls_free(server);
    world_tls_free(client);
}

static void context_may_go_first(void **state) {
    struct bench *b = *state;
    bench_issue_name(b, "server");
    bench_issue_name(b, "agent1");
    struct world_tls_files sf = bench_files(b, "server"), cf = bench_files(b, "agent1");
    struct world_tls *server = bench_tls(b, &sf), *client = bench_tls(b, &cf);
    struct meeting m = {.host.echo = true};
    host_listen(b, &m.host, server);
    end_connect(b, &m.client, host_port(&m.host), client);
    world_tls_free(server);
    world_tls_free(client);
    TURN_UNTIL(b, m.client.opened && m.host.count);
    world_conn_write(m.client.c, &SPAN("still here"), 1);
    TURN_UNTIL(b, m.client.got.len == 10);
    part(&m);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(both_verified_identities_known),
        CASE(both_protocols),
        CASE(old_protocol_is_a_configuration_error),
        CASE(no_common_protocol),
        CASE(client_without_certificate),
        CASE(client_of_foreign_ca),
        CASE(client_of_foreign_ca_with_our_name),
        CASE(client_expired),
        CASE(client_not_yet_valid),
        CASE(client_revoked),
        CASE(client_self_signed),
        CASE(server_of_foreign_ca),
        CASE(server_self_signed),
        CASE(server_wrong_host),
        CASE(server_expired),
        CASE(server_not_yet_valid),
        CASE(server_revoked),
        CASE(server_with_client_only_certificate),
        CASE(server_without_certificate_cannot_listen),
        CASE(wanted_certificate),
        CASE(unwanted_certificate),
        CASE(nul_in_common_name),
        CASE(no_common_name),
        CASE(crl_reload),
        CASE(expired_is_not_still_good),
        CASE(bad_files),
        CASE(encrypted_key_is_no_prompt),
        CASE(credentials),
        CASE(context_may_go_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
