/* Beginning and end of a broker bench: processes, certificates, first connections. */
#include "simulator/bench/broker_internal.h"

#include "base/mem.h"

#include <string.h>

enum { START_MS = 20000 };

/* ---- a broker of ours */

static bool make_own_certificates(struct run *r, struct error *err) {
    static const char *const dns[] = {"localhost", NULL}, *const ip[] = {"127.0.0.1", NULL};
    if (r->own_ca != NULL) {
        return true;
    }
    const int64_t now_ms = world_wall_ms(r->b->world);
    const struct certs_issue what = {
        .common_name = SPAN("broker"), .dns_names = dns, .ip_addresses = ip, .now_ms = now_ms};
    r->own_ca = certs_dir_open(r->b->dir, &(struct certs_ca_opts){.now_ms = now_ms}, err);
    return r->own_ca != NULL && certs_dir_issue(r->own_ca, r->b->dir, &what, &r->own_files, err);
}

static bool start_own(struct run *r, struct subject *s, struct error *err) {
    if (!make_own_certificates(r, err)) {
        return false;
    }
    s->ca_file = str_printf("%s/ca.pem", r->b->dir);
    char *conf = str_printf("%s/broker.conf", r->b->dir), *log = str_printf("%s/broker-%zu.log", r->b->dir, s->column);
    const char *argv[] = {
        r->b->program, "--config",       conf,     "--allow-all", /* clients may send what they like */
        "--host",      "127.0.0.1",      "--port", "0",           "--cert", r->own_files.cert,
        "--key",       r->own_files.key, "--ca",   s->ca_file,    NULL};
    struct buf port = BUF_INIT;
    bool ok = world_file_write(r->b->world, conf, SPAN(""), 0600, WORLD_WRITE_PLAIN, err) &&
              ((process_start(&s->process, argv, log, err) &&
                process_wait_for(&s->process, "Listening on port ", START_MS, &port, err)) ||
               error_prefix(err, "dalang-broker"));
    if (ok) {
        s->pid = s->process.pid;
        s->url = str_printf("wss://127.0.0.1:%s/pcp2/", port.ptr);
    }
    buf_free(&port);
    mem_free(conf);
    mem_free(log);
    return ok;
}

/* ---- any broker */

/* The URL of version 1 where only that of version 2 is known: /pcp/ instead of /pcp2/. */
static char *v1_of(const char *url) {
    const char *at = strstr(url, "/pcp2");
    return at == NULL ? str_dup("") : str_printf("%.*s/pcp%s", (int)(at - url), url, at + strlen("/pcp2"));
}

static bool take_given(struct run *r, struct subject *s, const struct bench_target *t, struct error *err) {
    if (t->pid != 0 && !process_exists(t->pid)) {
        return error_set(err, "usage", "there is no process %lld", (long long)t->pid);
    }
    s->url = str_dup(t->url);
    s->pid = t->pid;
    s->ca_file = str_dup(r->b->ca);
    s->ca = certs_ca_open(r->b->ca, r->b->ca_key, err);
    return s->ca != NULL;
}

static bool begin(struct run *r, size_t index, struct error *err) {
    struct subject *s = &r->subjects[index];
    const struct bench_target *t = &r->b->targets[index];
    s->column = index + (r->with_floor ? 1 : 0);
    if (!(t->url != NULL ? take_given(r, s, t, err) : start_own(r, s, err))) {
        return false;
    }
    s->v1_url = t->v1_url != NULL ? str_dup(t->v1_url) : v1_of(s->url);
    s->name = t->name != NULL ? str_dup(t->name) : s->pid != 0 ? process_name(s->pid) : str_dup(s->url);
    report_column(r->report, s->name, false);
    s->key = certs_key_new(CERTS_KEY_EC_P256);
    s->tls = world_tls_new(r->b->world, &(struct world_tls_files){.ca = s->ca_file}, err);
    if (s->tls == NULL) {
        return false;
    }
    s->opts = (struct load_opts){
        .world = r->b->world,
        .url = s->url,
        .version = PCP_V2,
        .tls = s->tls,
        .ca = s->ca != NULL ? s->ca : r->own_ca,
        .key = s->key,
        .prefix = "bench",
        .on_message = traffic_on_message,
        .ctx = &s->v2_inbox,
    };
    s->v2 = load_new(&s->opts, err);
    return s->v2 != NULL && load_open(s->v2, WARM_CONNECTIONS, IN_PROGRESS, err);
}

/* What a broker needs before its first client; shared libraries count, as in top. Then the first few connections:
 * what is allocated once, at first use, is no cost of a connection. */
static void note_empty(struct run *r, struct subject *s) {
    if (s->pid != 0) {
        s->memory_empty = (double)process_anon_bytes(s->pid);
        report_figure(r->report, "memory_empty_resident", "memory at rest, all of it", "B", s->column,
                      (double)process_resident_bytes(s->pid));
        report_figure(r->report, "memory_empty", "memory at rest, without programs' pages", "B", s->column,
                      s->memory_empty);
    }
}

bool subjects_begin(struct run *r, struct error *err) {
    run_progress(r, "starting");
    if (r->with_floor) {
        report_column(r->report, "bare OpenSSL", true);
        if (!floor_start(&r->floor, r->b->self, r->b->dir, world_wall_ms(r->b->world), err) ||
            !floor_grow(&r->floor, WARM_CONNECTIONS, err)) {
            return false;
        }
        report_figure(r->report, "memory_empty_resident", "memory at rest, all of it", "B", 0,
                      (double)process_resident_bytes(r->floor.process.pid));
        report_figure(r->report, "memory_empty", "memory at rest, without programs' pages", "B", 0,
                      (double)process_anon_bytes(r->floor.process.pid));
    }
    for (size_t i = 0; i < r->b->target_count; i++) {
        if (!begin(r, i, err)) {
            return false;
        }
        note_empty(r, &r->subjects[i]);
    }
    return true;
}

void subjects_end(struct run *r) {
    for (size_t i = 0; i < BENCH_TARGETS_MAX; i++) {
        struct subject *s = &r->subjects[i];
        load_free(s->v2);
        load_free(s->v1);
        world_tls_free(s->tls);
        process_end(&s->process);
        certs_ca_free(s->ca);
        EVP_PKEY_free(s->key);
        mem_free(s->name);
        mem_free(s->url);
        mem_free(s->v1_url);
        mem_free(s->ca_file);
    }
    if (r->with_floor) {
        floor_end(&r->floor);
    }
    certs_ca_free(r->own_ca);
    certs_paths_free(&r->own_files);
}
