/* See run.h. */
#include "simulator/livefuzz/internal.h"

#include "base/mem.h"
#include "world/real.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { SETTLE_MS = 300, KILL_MS = 3000 };

static const char *const verdict_names[] = {"clean", "crash", "hang", "growth", "wrong answer", "unreachable"};

const char *fuzz_verdict_name(enum fuzz_verdict v) {
    return verdict_names[v];
}

bool fuzz_verdict_parse(const char *name, enum fuzz_verdict *out) {
    for (size_t i = 0; i < sizeof(verdict_names) / sizeof(verdict_names[0]); i++) {
        if (str_eq(name, verdict_names[i])) {
            *out = (enum fuzz_verdict)i;
            return true;
        }
    }
    return false;
}

enum fuzz_verdict verdict(struct fuzz_run *r, enum fuzz_verdict v, const char *format, ...) {
    if (r->verdict == FUZZ_CLEAN && v != FUZZ_CLEAN) { /* the first one counts */
        struct buf text = BUF_INIT;
        va_list args;
        va_start(args, format);
        buf_vprintf(&text, format, args);
        va_end(args);
        r->verdict = v;
        r->text = buf_take(&text);
    }
    return r->verdict;
}

const char *link_name(unsigned who) {
    return who == PROBE_A ? "fuzz-probe-a" : who == PROBE_B ? FUZZ_PROBE_NAME : fuzz_client_name(who);
}

char *message_id(struct fuzz_run *r) {
    char id[37];
    world_uuid(r->world, id);
    return str_dup(id);
}

/* ---- turns */

static void on_timeout(void *ctx) {
    ((struct fuzz_run *)ctx)->timed_out = true;
}

static void judge(struct fuzz_run *r) {
    for (unsigned who = 0; who < FUZZ_LINKS; who++) {
        struct link_event *e;
        while (r->links[who] != NULL && (e = link_take(r->links[who])) != NULL) {
            r->dead[who] = r->dead[who] || e->kind == LINK_END || e->kind == LINK_HTTP;
            if (r->opts.agent) {
                agent_judge(r, e);
            } else {
                broker_judge(r, who, e);
            }
            link_event_free(e);
        }
    }
}

bool wait_for(struct fuzz_run *r, bool (*holds)(struct fuzz_run *r, void *ctx), void *ctx, uint64_t ms) {
    r->timed_out = false;
    world_timer_start(r->world, &r->timer, ms, on_timeout, r);
    bool held = false;
    for (;;) {
        judge(r);
        held = holds(r, ctx);
        if (held || r->timed_out || r->verdict != FUZZ_CLEAN || r->exited || r->opts.interrupted(r->opts.ctx)) {
            break;
        }
        real_world_turn(r->world, true);
    }
    world_timer_stop(r->world, &r->timer);
    return held;
}

static bool never(struct fuzz_run *r, void *ctx) {
    (void)r, (void)ctx;
    return false;
}

void drop_link(struct fuzz_run *r, unsigned who) {
    if (r->links[who] != NULL) {
        link_free(r->links[who]);
        r->links[who] = NULL;
    }
    r->dead[who] = false;
}

/* ---- the program */

static void on_program_exit(void *ctx, const struct world_exit *e) {
    struct fuzz_run *r = ctx;
    r->process = NULL;
    r->exited = true;
    if (!e->started) {
        verdict(r, FUZZ_UNREACHABLE, "%s: %s", r->opts.command[0], e->error_text);
    } else if (e->signal != 0) {
        verdict(r, FUZZ_CRASH, "the program was ended by signal %d (%s)", e->signal, strsignal(e->signal));
    } else {
        verdict(r, FUZZ_CRASH, "the program ended with status %d", e->status);
    }
}

static void start_command(struct fuzz_run *r) {
    if (r->opts.command != NULL) {
        struct world_spawn spawn = {.argv = r->opts.command, .new_session = true, .dies_with_us = true, .umask = -1};
        r->process = world_spawn(r->world, &spawn, on_program_exit, r);
    }
}

static bool has_exited(struct fuzz_run *r, void *ctx) {
    (void)ctx;
    return r->exited;
}

static void stop_command(struct fuzz_run *r) {
    if (r->process != NULL) {
        int64_t pid = world_process_pid(r->process);
        world_pid_signal(r->world, pid, SIGKILL, true);
        enum fuzz_verdict kept = r->verdict;
        char *text = r->text;
        r->verdict = FUZZ_CLEAN;
        r->text = NULL;
        wait_for(r, has_exited, NULL, KILL_MS);
        mem_free(r->text);
        r->verdict = kept;
        r->text = text;
        if (r->process != NULL) {
            world_process_forget(r->process);
            r->process = NULL;
        }
    }
}

/* Resident bytes; 0: not known. */
static uint64_t memory_of(const struct fuzz_run *r) {
    int64_t pid = r->opts.pid != 0 ? r->opts.pid : r->process != NULL ? world_process_pid(r->process) : 0;
    unsigned long long kilobytes = 0;
    char path[64], line[256];
    snprintf(path, sizeof(path), "/proc/%lld/status", (long long)pid);
    FILE *f = pid > 0 ? fopen(path, "re") : NULL;
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        uint64_t value;
        struct span rest = span_of(line);
        if (span_starts_with(rest, "VmRSS:")) {
            rest = span_trim(span_sub(rest, 6, rest.len));
            ptrdiff_t blank = span_find(rest, ' ');
            kilobytes = span_to_u64(span_sub(rest, 0, blank > 0 ? (size_t)blank : 0), &value) ? value : 0;
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return kilobytes * 1024;
}

/* ---- the run */

struct fuzz_run *fuzz_run_new(const struct fuzz_opts *opts, struct error *err) {
    struct fuzz_run *r = mem_zalloc(sizeof(*r));
    r->opts = *opts;
    r->world = opts->world;
    r->agent_version = 2;
    struct world_tls_files files = {.ca = opts->ca_file, .crl = opts->crl};
    r->tls = world_tls_new(r->world, &files, err);
    r->key = certs_key_new(CERTS_KEY_EC_P256);
    bool ok = r->tls != NULL;
    for (unsigned who = 0; ok && !opts->agent && who < FUZZ_LINKS; who++) {
        r->credentials[who] = certs_mint(opts->ca, link_name(who), r->key, world_wall_ms(r->world), err);
        ok = r->credentials[who] != NULL;
    }
    ok = ok && (!opts->agent || agent_listen(r, err));
    if (!ok) {
        fuzz_run_free(r);
        return NULL;
    }
    return r;
}

void fuzz_run_free(struct fuzz_run *r) {
    if (r == NULL) {
        return;
    }
    for (unsigned who = 0; who < FUZZ_LINKS; who++) {
        drop_link(r, who);
        real_credential_free(r->credentials[who]);
    }
    stop_command(r);
    if (r->listener != NULL) {
        world_listener_close(r->listener);
    }
    world_tls_free(r->tls);
    EVP_PKEY_free(r->key);
    said_free(&r->said);
    mem_free(r->agent_uri);
    mem_free(r->delivered);
    mem_free(r->refused);
    mem_free(r->answered);
    mem_free(r->text);
    mem_free(r);
}

uint16_t fuzz_run_port(const struct fuzz_run *r) {
    return r->listener != NULL ? world_listener_port(r->listener) : r->opts.port;
}

static enum fuzz_verdict probe(struct fuzz_run *r) {
    if (r->verdict == FUZZ_CLEAN && !r->opts.interrupted(r->opts.ctx)) {
        r->probes++;
        (r->opts.agent ? agent_probe : broker_probe)(r);
    }
    return r->verdict;
}

enum fuzz_verdict fuzz_begin(struct fuzz_run *r) {
    start_command(r);
    if (probe(r) != FUZZ_CLEAN && r->verdict != FUZZ_UNREACHABLE && !r->exited) {
        r->verdict = FUZZ_UNREACHABLE; /* it never worked */
    }
    return r->verdict;
}

static bool is_drained(struct fuzz_run *r, void *ctx) {
    struct link *l = r->links[*(unsigned *)ctx];
    return l == NULL || l->conn == NULL || world_conn_pending(l->conn) < PENDING_MAX;
}

static void act(struct fuzz_run *r, const struct action *a, struct link *l) {
    struct span bytes = buf_span(&a->bytes);
    switch (a->kind) {
    case ACTION_TEXT:
    case ACTION_BINARY:
        broker_sent(r, a->who, a->kind == ACTION_TEXT, bytes);
        link_send(l, a->kind == ACTION_TEXT, bytes);
        break;
    case ACTION_RAW:
        link_raw(l, bytes);
        break;
    case ACTION_PING:
        link_control(l, WS_OP_PING, bytes);
        break;
    case ACTION_CLOSE:
        link_close(l, (uint16_t)a->number, "");
        break;
    default:
        break;
    }
}

enum fuzz_verdict fuzz_do(struct fuzz_run *r, const struct action *a) {
    unsigned who = r->opts.agent ? 0 : a->who % FUZZ_CLIENTS;
    if (a->kind == ACTION_PROBE) {
        return probe(r);
    }
    if (a->kind == ACTION_WAIT) {
        wait_for(r, never, NULL, a->number);
        return r->verdict;
    }
    if (a->kind == ACTION_CONNECT && !r->opts.agent) {
        char *path = span_dup(buf_span(&a->bytes));
        broker_dial(r, who, a->version, path);
        mem_free(path);
    } else if (a->kind == ACTION_DROP) {
        drop_link(r, who);
    } else if (r->opts.agent && !agent_await(r)) {
        return r->verdict;
    } else if (r->links[who] != NULL && r->links[who]->open && !r->dead[who]) {
        act(r, a, r->links[who]);
    }
    real_world_turn(r->world, false); /* out it goes; and what is there comes in */
    judge(r);
    if (!is_drained(r, &who) && !wait_for(r, is_drained, &who, r->opts.patience_ms)) {
        drop_link(r, who); /* it reads no more from this one: its good right */
    }
    return r->verdict;
}

enum fuzz_verdict fuzz_finish(struct fuzz_run *r) {
    if (probe(r) != FUZZ_CLEAN) {
        return r->verdict;
    }
    for (unsigned who = 0; !r->opts.agent && who < FUZZ_CLIENTS; who++) {
        drop_link(r, who);
    }
    wait_for(r, never, NULL, SETTLE_MS);
    uint64_t now = memory_of(r);
    if (r->baseline == 0) {
        r->baseline = now; /* the first time: it is warm now */
    } else if (now > r->baseline + r->opts.growth_bytes) {
        verdict(r, FUZZ_GROWTH, "its memory grew from %llu to %llu KB and did not come back",
                (unsigned long long)r->baseline / 1024, (unsigned long long)now / 1024);
    }
    return r->verdict;
}

const char *fuzz_text(const struct fuzz_run *r) {
    return r->text != NULL ? r->text : "";
}

bool fuzz_connected(const struct fuzz_run *r, unsigned who) {
    return r->links[who] != NULL && r->links[who]->open && !r->dead[who];
}

const char *fuzz_agent_uri(const struct fuzz_run *r) {
    return r->agent_uri;
}

int fuzz_agent_version(const struct fuzz_run *r) {
    return r->agent_version;
}
