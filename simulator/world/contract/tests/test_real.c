/* The contract of world.h against the real world: this machine's loop, sockets, OpenSSL, processes and files. */
#include "contract.h"

#include "base/mem.h"
#include "world/certs.h"
#include "world/real.h"
#include <stdlib.h>

static const int64_t DAY_MS = 86400000;

struct impl {
    struct certs_ca *ca, *foreign;
    char *dir, *certs_dir;
    X509 *client;
    char *paths[CERT_COUNT][2];
    char *ca_path, *crl_path;
};

struct deadline {
    bool over;
};
static void set_over(void *ctx) {
    ((struct deadline *)ctx)->over = true;
}

static bool run(struct contract *c, bool (*done)(void *ctx), void *ctx, uint64_t within_ms) {
    struct timer t = {0};
    struct deadline deadline = {false};
    world_timer_start(c->w, &t, within_ms, set_over, &deadline);
    bool holds = done(ctx);
    while (!holds && !deadline.over && real_world_turn(c->w, true)) {
        holds = done(ctx);
    }
    world_timer_stop(c->w, &t);
    return holds;
}

/* ---- certificates */

static void write_text(const char *path, char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    fclose(f);
    mem_free(text);
}

static void write_crl(struct impl *impl, int64_t now_ms) {
    X509_CRL *crl = certs_crl(impl->ca, now_ms);
    write_text(impl->crl_path, certs_pem_crl(crl));
    X509_CRL_free(crl);
}

static void revoke_client(struct contract *c) {
    struct impl *impl = c->impl;
    certs_revoke(impl->ca, impl->client, world_wall_ms(c->w));
    write_crl(impl, world_wall_ms(c->w));
}

static void make_certificate(struct contract *c, struct impl *impl, int which, const struct certs_issue *issue) {
    struct error err = ERROR_INIT;
    EVP_PKEY *key = certs_key_new(CERTS_KEY_EC_P256);
    struct certs_ca *self = NULL, *by = which == CERT_FOREIGN ? impl->foreign : impl->ca;
    X509 *cert;
    if (which == CERT_SELF_SIGNED) { /* a CA's own certificate is one */
        self = certs_ca_new(&(struct certs_ca_opts){.common_name = "client", .now_ms = issue->now_ms});
        cert = certs_ca_cert(self);
        X509_up_ref(cert);
        EVP_PKEY_free(key);
        key = certs_ca_key(self);
        EVP_PKEY_up_ref(key);
    } else {
        cert = certs_issue(by, issue, key, &err);
        contract_must(cert != NULL, &err);
    }
    if (which == CERT_REVOKED) {
        certs_revoke(impl->ca, cert, issue->now_ms);
    }
    impl->paths[which][0] = str_printf("%s/%d.pem", impl->certs_dir, which);
    impl->paths[which][1] = str_printf("%s/%d.key", impl->certs_dir, which);
    write_text(impl->paths[which][0], certs_pem_cert(cert));
    write_text(impl->paths[which][1], certs_pem_key(key));
    c->files[which].cert = impl->paths[which][0];
    c->files[which].key = impl->paths[which][1];
    EVP_PKEY_free(key);
    certs_ca_free(self);
    if (which == CERT_CLIENT) {
        impl->client = cert;
    } else {
        X509_free(cert);
    }
}

static void make_certificates(struct contract *c, struct impl *impl) {
    int64_t now_ms = world_wall_ms(c->w);
    const char *const names[] = {c->host, NULL}, *const elsewhere[] = {"elsewhere.example.com", NULL};
    const struct certs_issue issues[CERT_COUNT] = {
        [CERT_SERVER] = {.common_name = SPAN("server"), .dns_names = names},
        [CERT_CLIENT] = {.common_name = SPAN("client"), .dns_names = (const char *const[]){"client", NULL}},
        [CERT_FOREIGN] = {.common_name = SPAN("client"), .dns_names = names},
        [CERT_EXPIRED] = {.common_name = SPAN("client"),
                          .dns_names = names,
                          .not_before_ms = now_ms - 2 * DAY_MS,
                          .not_after_ms = now_ms - DAY_MS},
        [CERT_NOT_YET] = {.common_name = SPAN("client"), .dns_names = names, .not_before_ms = now_ms + DAY_MS},
        [CERT_REVOKED] = {.common_name = SPAN("client"), .dns_names = names},
        [CERT_SELF_SIGNED] = {.common_name = SPAN("client"), .dns_names = names},
        [CERT_WRONG_HOST] = {.common_name = SPAN("server"), .dns_names = elsewhere},
    };
    impl->ca = certs_ca_new(&(struct certs_ca_opts){.now_ms = now_ms});
    impl->foreign = certs_ca_new(&(struct certs_ca_opts){.common_name = "Some other CA", .now_ms = now_ms});
    impl->ca_path = str_printf("%s/ca.pem", impl->certs_dir);
    impl->crl_path = str_printf("%s/crl.pem", impl->certs_dir);
    write_text(impl->ca_path, certs_pem_cert(certs_ca_cert(impl->ca)));
    for (int i = 0; i < CERT_COUNT; i++) {
        c->files[i].ca = impl->ca_path;
        c->files[i].crl = impl->crl_path;
        if (i != CERT_NONE) {
            struct certs_issue issue = issues[i];
            issue.now_ms = now_ms;
            make_certificate(c, impl, i, &issue);
        }
    }
    write_crl(impl, now_ms);
}

/* ---- the world */

int contract_setup(void **state) {
    struct contract *c = mem_zalloc(sizeof(*c));
    struct impl *impl = mem_zalloc(sizeof(*impl));
    struct error err = ERROR_INIT;
    char template[] = "/tmp/dalang-contract-XXXXXX";
    assert_non_null(mkdtemp(template));
    c->impl = impl;
    c->w = c->client = real_world_new(&err);
    contract_must(c->w != NULL, &err);
    c->host = "localhost";
    impl->dir = str_dup(template);
    impl->certs_dir = str_printf("%s/certs", template);
    c->dir = str_printf("%s/test", template);
    contract_must(world_file_mkdir(c->w, impl->certs_dir, 0700, true, &err) &&
                      world_file_mkdir(c->w, c->dir, 0755, true, &err),
                  &err);
    make_certificates(c, impl);
    c->run = run;
    c->revoke_client = revoke_client;
    *state = c;
    return 0;
}

static bool nothing_open(void *ctx) {
    struct contract *c = ctx;
    struct real_counts n;
    real_world_counts(c->w, &n);
    return n.connections + n.handshakes + n.listeners + n.fetches + n.processes + n.watches + n.works == 0;
}

int contract_teardown(void **state) {
    struct contract *c = *state;
    struct impl *impl = c->impl;
    bool idle = run(c, nothing_open, c, 5000); /* an aborted connection may linger for a turn */
    if (!idle) {
        print_error("something was left open\n");
    }
    world_file_remove(c->w, impl->dir, true, NULL);
    real_world_free(c->w);
    for (int i = 0; i < CERT_COUNT; i++) {
        mem_free(impl->paths[i][0]);
        mem_free(impl->paths[i][1]);
    }
    X509_free(impl->client);
    certs_ca_free(impl->ca);
    certs_ca_free(impl->foreign);
    mem_free(impl->dir);
    mem_free(impl->certs_dir);
    mem_free(impl->ca_path);
    mem_free(impl->crl_path);
    mem_free((void *)(uintptr_t)c->dir);
    mem_free(impl);
    mem_free(c);
    return idle ? 0 : -1;
}

int main(void) {
    return contract_run_all();
}
