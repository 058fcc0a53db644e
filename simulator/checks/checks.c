/* Violations, secrets, levels, and putting the checkers together; see checks.h. */
#include "simulator/checks/internal.h"

#include "base/mem.h"
#include <string.h>

enum { API_PORT = 8143, BROKER_PORT = 8142, SECRET_MIN = 4 };

static const char *const invariants[INVARIANTS] = {
    "every node of an acknowledged job ends in exactly one final state, exactly once in the event stream",
    "a task runs at most once per transaction id on an agent",
    "an acknowledged job is never lost",
    "every message to the broker is delivered once, or answered with an error, or lost with a connection",
    "concurrency limits are never exceeded and no job is starved",
    "event ids increase, no event is missing, reading again gives the same",
    "node and job states only move along legal transitions",
    "no message reaches a URI other than its target; no sender differs from its certificate",
    "no job exists whose user lacked the permission",
    "no sensitive value appears in logs, database, traces or errors",
    "timers, connections and files are back at the start's level",
};

const char *checks_invariant(int number) {
    return invariants[number - 1];
}

struct checks *checks_new(struct sim *sim, const struct checks_opts *opts) {
    struct checks *c = mem_zalloc(sizeof(*c));
    c->sim = sim;
    if (opts != NULL) {
        c->opts = *opts;
    }
    c->opts.orchestrator = c->opts.orchestrator != NULL ? c->opts.orchestrator : "orchestrator";
    c->opts.api_port = c->opts.api_port != 0 ? c->opts.api_port : API_PORT;
    c->opts.broker_port = c->opts.broker_port != 0 ? c->opts.broker_port : BROKER_PORT;
    list_init(&c->secrets);
    sim_watch(sim, &c->watcher, observe, c);
    return c;
}

void checks_free(struct checks *c) {
    if (c == NULL) {
        return;
    }
    sim_unwatch(c->sim, &c->watcher);
    observer_free(c);
    messages_free(c);
    events_free(c);
    jobs_free(c);
    secrets_free(c);
    map_free(&c->runs);
    map_free(&c->brokers);
    for (size_t i = 0; i < c->violation_count; i++) {
        mem_free(c->violations[i].text);
    }
    mem_free(c->violations);
    mem_free(c->level);
    mem_free(c);
}

void violate(struct checks *c, int invariant, const char *format, ...) {
    if (c->violation_count >= VIOLATIONS_MAX) {
        return;
    }
    va_list args;
    struct buf text = BUF_INIT;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    c->violations = mem_grow(c->violations, &c->violation_cap, c->violation_count + 1, sizeof(struct violation));
    c->violations[c->violation_count++] = (struct violation){invariant, sim_now_us(c->sim), buf_take(&text)};
}

void checks_report(struct checks *c, int invariant, const char *text) {
    violate(c, invariant, "%s", text);
}

void checks_on_message(struct checks *c, void (*on_message)(void *ctx, const struct checks_message *m), void *ctx) {
    c->on_message = on_message;
    c->message_ctx = ctx;
}

void tell_message(struct checks *c, const char *from, const char *to, const char *format, ...) {
    if (c->on_message == NULL) {
        return;
    }
    va_list args;
    struct buf text = BUF_INIT;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    c->on_message(c->message_ctx, &(struct checks_message){from, to, text.ptr});
    buf_free(&text);
}

void tell_pcp(struct checks *c, const char *from, const char *to, const struct pcp_message *m) {
    struct span type = m->message_type;
    if (span_starts_with(type, "http://puppetlabs.com/")) {
        type = span_sub(type, 22, type.len);
    }
    tell_message(c, from, to, "%.*s %.*s -> %.*s", (int)type.len, type.ptr, (int)m->sender.len, m->sender.ptr,
                 (int)m->target.len, m->target.ptr);
}

size_t checks_violation_count(const struct checks *c) {
    return c->violation_count;
}

const struct violation *checks_violation(const struct checks *c, size_t i) {
    return &c->violations[i];
}

struct checks_seen checks_seen(const struct checks *c) {
    return c->seen;
}

void checks_broker(struct checks *c, const char *host, uint16_t port) {
    char *key = str_printf("%s:%u", host, (unsigned)port);
    map_put(&c->brokers, span_of(key), c);
    mem_free(key);
}

void checks_finish(struct checks *c) {
    messages_finish(c);
    events_finish(c);
    jobs_finish(c);
}

/* ---- levels: invariant 11 */

void checks_level_start(struct checks *c) {
    mem_free(c->level);
    c->level_count = sim_host_count(c->sim);
    c->level = mem_array(c->level_count + 1, sizeof(*c->level));
    for (size_t i = 0; i < c->level_count; i++) {
        c->level[i] = sim_census(sim_host_at(c->sim, i));
    }
}

static size_t count_of(const struct sim_census *census, size_t offset) {
    size_t count;
    memcpy(&count, (const char *)census + offset, sizeof(count));
    return count;
}

void checks_level_end(struct checks *c) {
    static const struct {
        size_t offset;
        const char *what;
    } counts[] = {
        {offsetof(struct sim_census, timers), "timers"},
        {offsetof(struct sim_census, tasks), "deferred tasks"},
        {offsetof(struct sim_census, works), "pieces of work"},
        {offsetof(struct sim_census, connections), "connections"},
        {offsetof(struct sim_census, listeners), "listeners"},
        {offsetof(struct sim_census, fetches), "fetches"},
        {offsetof(struct sim_census, open_files), "open files"},
        {offsetof(struct sim_census, watches), "watches"},
        {offsetof(struct sim_census, process_handles), "process handles"},
    };
    for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
        size_t before = 0, after = 0;
        struct buf where = BUF_INIT;
        for (size_t i = 0; i < c->level_count; i++) {
            const struct world *host = sim_host_at(c->sim, i);
            if (c->opts.level_counts != NULL && !c->opts.level_counts(c->opts.ctx, sim_host_name(host))) {
                continue;
            }
            struct sim_census now = sim_census(host);
            size_t b = count_of(&c->level[i], counts[k].offset), a = count_of(&now, counts[k].offset);
            before += b;
            after += a;
            if (a > b) {
                buf_printf(&where, "; %s %zu instead of %zu", sim_host_name(host), a, b);
            }
        }
        if (after > before) { /* of all hosts together: agents may have gone from one broker to another */
            violate(c, 11, "there are %zu %s more than at the start%s", after - before, counts[k].what, where.ptr);
        }
        buf_free(&where);
    }
}
