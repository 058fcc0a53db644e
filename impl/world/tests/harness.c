#include "world/tests/harness.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Handshakes that are not about their timeout do not run into it, however busy the machine is. */
enum { PATIENT_MS = 10 * 60 * 1000 };

static size_t open_descriptors(void) {
    DIR *d = opendir("/proc/self/fd");
    size_t count = 0;
    while (readdir(d) != NULL) {
        count++;
    }
    closedir(d);
    return count;
}

static size_t descriptors_before;

int bench_setup(void **state) {
    struct bench *b = mem_zalloc(sizeof(*b));
    real_world_free(real_world_new(NULL)); /* the first one opens descriptors that libuv keeps for good */
    descriptors_before = open_descriptors();
    strcpy(b->dir, "/tmp/dalang-world-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    b->w = real_world_new(NULL);
    assert_non_null(b->w);
    b->now_ms = world_wall_ms(b->w);
    b->ca = certs_ca_new(&(struct certs_ca_opts){.now_ms = b->now_ms});
    bench_write_ca(b, b->ca, "ca.pem");
    *state = b;
    return 0;
}

int bench_teardown(void **state) {
    struct bench *b = *state;
    world_file_remove(b->w, b->dir, true, NULL);
    real_world_free(b->w);
    certs_ca_free(b->ca);
    mem_free(b);
    assert_int_equal(open_descriptors(), descriptors_before);
    return 0;
}

const char *bench_path(struct bench *b, const char *name) {
    static char ring[64][400];
    static unsigned next;
    char *at = ring[next++ % 64];
    snprintf(at, sizeof(ring[0]), "%s/%s", b->dir, name);
    return at;
}

void bench_write(struct bench *b, const char *name, const char *text) {
    struct error err = ERROR_INIT;
    if (!world_file_write(b->w, bench_path(b, name), span_of(text), 0600, WORLD_WRITE_PLAIN, &err)) {
        fail_msg("%s", err.msg);
    }
}

void bench_write_ca(struct bench *b, struct certs_ca *ca, const char *file) {
    char *pem = certs_pem_cert(certs_ca_cert(ca));
    bench_write(b, file, pem);
    mem_free(pem);
}

void bench_write_crl(struct bench *b, const char *file) {
    X509_CRL *crl = certs_crl(b->ca, b->now_ms);
    char *pem = certs_pem_crl(crl);
    bench_write(b, file, pem);
    mem_free(pem);
    X509_CRL_free(crl);
}

void bench_issue(struct bench *b, struct certs_ca *ca, const char *file, const struct certs_issue *what) {
    char name[100];
    EVP_PKEY *key = certs_key_new(CERTS_KEY_EC_P256);
    struct certs_issue issue = *what;
    issue.now_ms = b->now_ms;
    X509 *cert = certs_issue(ca, &issue, key, NULL);
    assert_non_null(cert);
    char *pem = certs_pem_cert(cert);
    snprintf(name, sizeof(name), "%s.pem", file);
    bench_write(b, name, pem);
    mem_free(pem);
    pem = certs_pem_key(key);
    snprintf(name, sizeof(name), "%s.key", file);
    bench_write(b, name, pem);
    mem_free_secret(pem, strlen(pem));
    X509_free(cert);
    EVP_PKEY_free(key);
}

void bench_issue_name(struct bench *b, const char *name) {
    const char *dns[] = {name, "localhost", NULL};
    const char *ip[] = {"127.0.0.1", NULL};
    bench_issue(b, b->ca, name,
                &(struct certs_issue){.common_name = span_of(name), .dns_names = dns, .ip_addresses = ip});
}

struct world_tls_files bench_files(struct bench *b, const char *name) {
    char file[100];
    struct world_tls_files f = {.ca = bench_path(b, "ca.pem")};
    if (name != NULL) {
        snprintf(file, sizeof(file), "%s.pem", name);
        f.cert = bench_path(b, file);
        snprintf(file, sizeof(file), "%s.key", name);
        f.key = bench_path(b, file);
    }
    return f;
}

struct world_tls *bench_tls(struct bench *b, const struct world_tls_files *files) {
    struct error err = ERROR_INIT;
    struct world_tls *tls = world_tls_new(b->w, files, &err);
    if (tls == NULL) {
        fail_msg("%s: %s", err.kind, err.msg);
    }
    return tls;
}

/* ---- ends */

static void end_on_open(void *ctx, struct world_conn *c) {
    struct end *e = ctx;
    assert_ptr_equal(e->c, c);
    e->opened++;
    if (e->on_open != NULL) {
        e->on_open(e);
    }
}

static void end_on_data(void *ctx, struct world_conn *c, struct span bytes) {
    struct end *e = ctx;
    assert_int_equal(e->closed, 0);
    assert_true(bytes.len > 0);
    if (e->echo) {
        world_conn_write(c, &bytes, 1);
    } else {
        buf_append_span(&e->got, bytes);
    }
    if (e->on_data != NULL) {
        e->on_data(e, bytes);
    }
}

static void end_on_drain(void *ctx, struct world_conn *c) {
    struct end *e = ctx;
    (void)c;
    e->drained++;
}

static void end_on_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    struct end *e = ctx;
    assert_ptr_equal(e->c, c);
    e->closed++;
    e->why = why;
    snprintf(e->text, sizeof(e->text), "%s", text);
    e->c = NULL;
}

const struct world_conn_handler end_handler = {
    .on_open = end_on_open, .on_data = end_on_data, .on_drain = end_on_drain, .on_close = end_on_close};

void end_free(struct end *e) {
    if (e->c != NULL) {
        world_conn_abort(e->c);
        e->c = NULL;
    }
    buf_free(&e->got);
}

void end_connect(struct bench *b, struct end *e, uint16_t port, struct world_tls *tls) {
    struct world_connect opts = {.host = "127.0.0.1", .port = port, .tls = tls, .timeout_ms = PATIENT_MS};
    e->c = world_connect(b->w, &opts, &end_handler, e);
    assert_non_null(e->c);
    assert_int_equal(e->opened + e->closed, 0); /* never from within the call */
}

/* ---- hosts */

void host_on_accept(void *ctx, struct world_conn *c) {
    struct host *h = ctx;
    assert_true(h->count < 64);
    struct end *e = mem_zalloc(sizeof(*e));
    e->c = c;
    e->echo = h->echo;
    h->ends[h->count++] = e;
    world_conn_set_handler(c, &end_handler, e);
    if (h->on_accept != NULL) {
        h->on_accept(e);
    }
}

static void host_on_refused(void *ctx, const char *remote, enum world_close_reason why, const char *text) {
    struct host *h = ctx;
    assert_memory_equal(remote, "127.0.0.1:", 10);
    h->refused++;
    h->refused_why = why;
    snprintf(h->refused_text, sizeof(h->refused_text), "%s", text);
}

void host_listen(struct bench *b, struct host *h, struct world_tls *tls) {
    struct error err = ERROR_INIT;
    struct world_listen opts = {
        .host = "127.0.0.1", .tls = tls, .handshake_timeout_ms = PATIENT_MS, .on_refused = host_on_refused};
    h->l = world_listen(b->w, &opts, host_on_accept, h, &err);
    if (h->l == NULL) {
        fail_msg("%s", err.msg);
    }
}

uint16_t host_port(const struct host *h) {
    return world_listener_port(h->l);
}

void host_free(struct host *h) {
    world_listener_close(h->l);
    for (size_t i = 0; i < h->count; i++) {
        end_free(h->ends[i]);
        mem_free(h->ends[i]);
    }
}

/* ---- both */

void pair_listen(struct bench *b, struct pair *p, bool tls) {
    if (tls) {
        bench_issue_name(b, "server");
        bench_issue_name(b, "client");
        struct world_tls_files sf = bench_files(b, "server"), cf = bench_files(b, "client");
        p->server_tls = bench_tls(b, &sf);
        p->client_tls = bench_tls(b, &cf);
    }
    host_listen(b, &p->host, p->server_tls);
}

struct end *pair_open(struct bench *b, struct pair *p, bool tls) {
    pair_listen(b, p, tls);
    end_connect(b, &p->client, host_port(&p->host), p->client_tls);
    TURN_UNTIL(b, p->host.count == 1 && p->client.opened);
    return p->host.ends[0];
}

void pair_free(struct pair *p) {
    end_free(&p->client);
    host_free(&p->host);
    world_tls_free(p->server_tls);
    world_tls_free(p->client_tls);
}

void fill(struct buf *b, size_t len) {
    uint32_t x = 1;
    buf_reserve(b, len);
    while (b->len < len) {
        x = x * 1664525u + 1013904223u;
        buf_append(b, &x, sizeof(x) < len - b->len ? sizeof(x) : len - b->len);
    }
}

int raw_connect(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    return fd;
}
