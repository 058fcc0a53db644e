/* The contract of world.h against the simulated world. Each test also ends with nothing left behind. */
#include "contract.h"

#include "base/mem.h"
#include "simulator/world/sim.h"
#include <signal.h>

static const int64_t DAY_MS = 86400000;

struct impl {
    struct sim *sim;
    const struct sim_certificate *client;
};

/* ---- what /bin/sh -c does with the suite's scripts */

static void sh_echo_and_exit(struct sim_exec *x) {
    buf_append_cstr(&x->out, "out\n");
    buf_append_cstr(&x->err, "err\n");
    x->status = 3;
}
static void sh_kill_itself(struct sim_exec *x) {
    x->signal = SIGKILL;
}
static void sh_cat(struct sim_exec *x) {
    buf_append_span(&x->out, x->input);
}
static void sh_print_name(struct sim_exec *x) {
    const char *value = sim_exec_env(x, "NAME");
    buf_append_cstr(&x->out, value != NULL ? value : "");
}
static void sh_pwd(struct sim_exec *x) {
    buf_printf(&x->out, "%s\n", x->cwd);
}
static void sh_sleep(struct sim_exec *x) {
    x->takes_us = 100 * SIM_SECOND;
}

static void sh(void *ctx, struct sim_exec *x) {
    static const struct {
        const char *script;
        void (*run)(struct sim_exec *x);
    } scripts[] = {
        {"echo out; echo err >&2; exit 3", sh_echo_and_exit},
        {"kill -9 $$", sh_kill_itself},
        {"cat", sh_cat},
        {"printf %s \"$NAME\"", sh_print_name},
        {"pwd", sh_pwd},
        {"exec sleep 100", sh_sleep},
    };
    (void)ctx;
    x->takes_us = 2000;
    x->status = 127;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        if (strcmp(x->argv[2], scripts[i].script) == 0) {
            x->status = 0;
            scripts[i].run(x);
        }
    }
}

/* ---- the world */

static bool run(struct contract *c, bool (*done)(void *ctx), void *ctx, uint64_t within_ms) {
    return sim_run_until(((struct impl *)c->impl)->sim, within_ms * SIM_MS, done, ctx);
}

static void revoke_client(struct contract *c) {
    struct impl *impl = c->impl;
    sim_revoke(impl->sim, impl->client);
    char *crl = sim_crl_text(impl->sim, SIM_CA);
    assert_true(world_file_write(c->w, c->files[CERT_SERVER].crl, span_of(crl), 0644, WORLD_WRITE_ATOMIC, NULL));
    mem_free(crl);
}

static void make_certificates(struct contract *c, struct impl *impl) {
    int64_t now_ms = world_wall_ms(c->w);
    const char *server_names[] = {c->host}, *elsewhere[] = {"elsewhere.example.com"};
    const struct sim_certificate_opts opts[CERT_COUNT] = {
        [CERT_SERVER] = {.common_name = "server", .alt_names = server_names, .alt_name_count = 1},
        [CERT_CLIENT] = {.common_name = "client"},
        [CERT_FOREIGN] = {.common_name = "client",
                          .alt_names = server_names,
                          .alt_name_count = 1,
                          .issuer = "Some other CA"},
        [CERT_EXPIRED] = {.common_name = "client",
                          .alt_names = server_names,
                          .alt_name_count = 1,
                          .not_before_ms = now_ms - 2 * DAY_MS,
                          .not_after_ms = now_ms - DAY_MS},
        [CERT_NOT_YET] = {.common_name = "client",
                          .alt_names = server_names,
                          .alt_name_count = 1,
                          .not_before_ms = now_ms + DAY_MS},
        [CERT_REVOKED] = {.common_name = "client", .alt_names = server_names, .alt_name_count = 1},
        [CERT_SELF_SIGNED] = {.common_name = "client",
                              .alt_names = server_names,
                              .alt_name_count = 1,
                              .self_signed = true},
        [CERT_WRONG_HOST] = {.common_name = "server", .alt_names = elsewhere, .alt_name_count = 1},
    };
    for (int i = 0; i < CERT_COUNT; i++) {
        if (i == CERT_NONE) {
            continue;
        }
        const struct sim_certificate *cert = sim_issue(impl->sim, &opts[i]);
        if (i == CERT_CLIENT) {
            impl->client = cert;
        } else if (i == CERT_REVOKED) {
            sim_revoke(impl->sim, cert);
        }
        c->files[i] = sim_tls_files_of(c->client, cert);
        c->files[i] = sim_tls_files_of(c->w, cert); /* the same paths on both hosts */
    }
    for (int i = 0; i < CERT_COUNT; i++) { /* the CRL as it is after the last of them */
        c->files[i].ca = c->files[CERT_WRONG_HOST].ca;
        c->files[i].crl = c->files[CERT_WRONG_HOST].crl;
    }
}

int contract_setup(void **state) {
    struct contract *c = mem_zalloc(sizeof(*c));
    struct impl *impl = mem_zalloc(sizeof(*impl));
    impl->sim = sim_new(&(struct sim_opts){.seed = 7});
    c->impl = impl;
    c->w = sim_host(impl->sim, "server");
    c->client = sim_host(impl->sim, "client");
    c->host = "server.example.com";
    sim_alias(c->w, c->host);
    c->dir = "/var/test";
    world_file_mkdir(c->w, c->dir, 0755, true, NULL);
    sim_program(impl->sim, NULL, "/bin/sh", &(struct sim_program){.run = sh});
    make_certificates(c, impl);
    c->run = run;
    c->revoke_client = revoke_client;
    *state = c;
    return 0;
}

int contract_teardown(void **state) {
    struct contract *c = *state;
    struct impl *impl = c->impl;
    struct buf report = BUF_INIT;
    bool idle = sim_check_idle(impl->sim, &report);
    if (!idle) {
        print_error("left behind: %s", report.ptr);
    }
    buf_free(&report);
    sim_free(impl->sim);
    mem_free(impl);
    mem_free(c);
    return idle ? 0 : -1;
}

int main(void) {
    return contract_run_all();
}
