/* Certificates and programs of a run. */
#include "scenarios/conformance/side.h"
#include "base/mem.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_KEPT = 64 * 1024 };

static bool directory_of_certificates(struct stage *s, struct error *err) {
    char **names;
    size_t count;
    if (!world_file_list(s->world, s->opts->certs, &names, &count, err)) {
        return error_prefix(err, "--certs");
    }
    s->certs = mem_array(count + 1, sizeof(*s->certs));
    for (size_t i = 0; i < count; i++) {
        struct span name = span_of(names[i]);
        if (span_ends_with(name, ".pem") && name.len > 4) {
            char *base = str_printf("%s/%.*s", s->opts->certs, (int)name.len - 4, name.ptr);
            char *key = str_printf("%s.key", base);
            struct world_stat st;
            if (world_file_stat(s->world, key, &st, NULL)) {
                s->certs[s->cert_count++] = base;
            } else {
                mem_free(base);
            }
            mem_free(key);
        }
    }
    world_names_free(names, count);
    return s->cert_count != 0 ||
           error_set(err, "usage", "--certs: %s holds no NAME.pem with its NAME.key", s->opts->certs);
}

static bool own_ca(struct stage *s, struct error *err) {
    struct certs_ca_opts opts = {.common_name = "Puppet CA: conformance", .now_ms = world_wall_ms(s->world)};
    s->ca_path = str_printf("%s/ca.pem", s->dir);
    s->ca = certs_dir_open(s->dir, &opts, err);
    return s->ca != NULL && certs_dir_write_crl(s->ca, s->dir, world_wall_ms(s->world), err);
}

bool side_certificates(struct stage *s, struct error *err) {
    const struct conform_opts *o = s->opts;
    char template[] = "/tmp/dalang-conform.XXXXXX";
    if (mkdtemp(template) == NULL) {
        return error_set(err, "conform/directory", "%s: cannot be made", template);
    }
    s->dir = str_dup(template);
    variables_set(&s->vars, "dir", s->dir);
    s->key = certs_key_new(CERTS_KEY_EC_P256);
    bool ok;
    if (o->ca == NULL && o->ca_key == NULL && o->certs == NULL && o->command != NULL) {
        ok = own_ca(s, err);
    } else if (o->ca == NULL) {
        ok = error_set(err, "usage", "--ca FILE is needed: the certificate of the authority that is trusted");
    } else {
        s->ca_path = str_dup(o->ca);
        if (o->ca_key != NULL) {
            s->ca = certs_ca_open(o->ca, o->ca_key, err);
            ok = s->ca != NULL;
        } else if (o->certs != NULL) {
            ok = directory_of_certificates(s, err);
        } else {
            ok = error_set(err, "usage", "--ca-key FILE or --certs DIR is needed: clients have certificates");
        }
    }
    if (!ok) {
        return false;
    }
    variables_set(&s->vars, "ca", s->ca_path);
    struct world_tls_files files = {.ca = s->ca_path};
    s->tls = world_tls_new(s->world, &files, err);
    return s->tls != NULL;
}

bool side_issue_files(struct stage *s, const char *name, const char *cert_var, const char *key_var, struct error *err) {
    const char *const dns[] = {name, "localhost", NULL}, *const ip[] = {"127.0.0.1", NULL};
    struct certs_issue what = {
        .common_name = span_of(name), .dns_names = dns, .ip_addresses = ip, .now_ms = world_wall_ms(s->world)};
    struct certs_paths paths = {NULL, NULL};
    bool ok = certs_dir_issue(s->ca, s->dir, &what, &paths, err);
    if (ok) {
        variables_set(&s->vars, cert_var, paths.cert);
        variables_set(&s->vars, key_var, paths.key);
    }
    certs_paths_free(&paths);
    return ok;
}

static void refuse(void *ctx, struct world_conn *c) {
    (void)ctx;
    world_conn_abort(c);
}

uint16_t side_free_port(struct stage *s) {
    struct world_listen opts = {.host = "127.0.0.1"};
    struct world_listener *l = world_listen(s->world, &opts, refuse, NULL, NULL);
    uint16_t port = l != NULL ? world_listener_port(l) : 0;
    if (l != NULL) {
        world_listener_close(l);
    }
    return port;
}

/* ---- programs */

static void on_output(void *ctx, int stream, struct span bytes) {
    (void)stream;
    struct program *p = ctx;
    buf_append_span(&p->log, bytes);
    if (p->log.len > LOG_KEPT) {
        buf_consume(&p->log, p->log.len - LOG_KEPT / 2);
    }
}

static void on_exit_of(void *ctx, const struct world_exit *e) {
    struct program *p = ctx;
    p->process = NULL;
    p->ended = true;
    p->status = e->started ? e->status : 127;
    p->signal = e->signal;
    if (!e->started) {
        buf_printf(&p->log, "%s\n", e->error_text);
    }
}

static char *word_filled(struct stage *s, const char *word) {
    struct buf out = BUF_INIT;
    for (const char *p = word; *p != '\0';) {
        const char *end = *p == '{' ? strchr(p, '}') : NULL;
        char *name = end != NULL ? span_dup(span_bytes(p + 1, (size_t)(end - p - 1))) : NULL;
        const char *value = name != NULL ? variables_get(&s->vars, name) : NULL;
        if (value != NULL) {
            buf_append_cstr(&out, value);
            p = end + 1;
        } else {
            buf_append_char(&out, *p++);
        }
        mem_free(name);
    }
    return buf_take(&out);
}

void program_start(struct stage *s, struct program *p) {
    program_free(p);
    *p = (struct program){.s = s};
    size_t count = 0;
    while (s->opts->command[count] != NULL) {
        count++;
    }
    char **argv = mem_array(count + 1, sizeof(*argv));
    for (size_t i = 0; i < count; i++) {
        argv[i] = word_filled(s, s->opts->command[i]);
    }
    struct world_spawn opts = {.argv = (const char *const *)argv,
                               .on_output = on_output,
                               .umask = -1,
                               .new_session = true,
                               .dies_with_us = true};
    p->process = world_spawn(s->world, &opts, on_exit_of, p);
    p->pid = world_process_pid(p->process);
    for (size_t i = 0; i < count; i++) {
        mem_free(argv[i]);
    }
    mem_free((void *)argv);
}

static bool has_ended(void *ctx) {
    return ((struct program *)ctx)->ended;
}

void program_stop(struct program *p, int signal) {
    if (p->process == NULL) {
        return;
    }
    struct stage *s = p->s;
    const char *interrupted = s->interrupted; /* it has to end in any case */
    s->interrupted = NULL;
    world_pid_signal(s->world, p->pid, signal, false);
    if (!waits_for(s, has_ended, p, s->opts->patience_ms)) {
        world_pid_signal(s->world, p->pid, SIGKILL, true);
        waits_for(s, has_ended, p, s->opts->patience_ms);
    }
    s->interrupted = interrupted != NULL ? interrupted : s->interrupted;
}

void program_free(struct program *p) {
    if (p->process != NULL) {
        program_stop(p, SIGKILL);
    }
    if (p->process != NULL) {
        world_process_forget(p->process);
        p->process = NULL;
    }
    buf_free(&p->log);
}
