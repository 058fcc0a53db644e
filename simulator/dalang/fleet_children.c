/* A fleet spread over processes: each child runs a part and writes what it has counted as lines of JSON. */
#include "base/json.h"
#include "base/mem.h"
#include "simulator/dalang/commands.h"
#include "simulator/dalang/fleet_command.h"
#include "simulator/dalang/surroundings.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { CHILD_LINE_MAX = 4 * 1024 * 1024, CHILD_ERROR_MAX = 4096 };

struct child {
    struct fleet_children *all;
    uint32_t number;
    struct world_process *process; /* NULL: has ended */
    struct buf line, errors;
    struct tally *tally;
};

struct fleet_children {
    struct world *world;
    struct child *items;
    uint32_t count, running;
    bool stopping;
    void (*failed)(void *ctx, struct error *err);
    void *failed_ctx;
    void (*done)(void *ctx);
    void *done_ctx;
};

/* ---- what they say */

static void take_line(struct child *c, struct span line) {
    struct tally *t = tally_new();
    json_t *json = json_parse(line, "tally", NULL);
    if (json != NULL && tally_from_json(t, json, NULL)) {
        mem_free(c->tally);
        c->tally = t;
        t = NULL;
    }
    json_decref(json);
    mem_free(t);
}

static void on_output(void *ctx, int stream, struct span bytes) {
    struct child *c = ctx;
    if (stream == 2) {
        size_t room = c->errors.len < CHILD_ERROR_MAX ? CHILD_ERROR_MAX - c->errors.len : 0;
        buf_append_span(&c->errors, span_sub(bytes, 0, room));
        return;
    }
    buf_append_span(&c->line, bytes);
    struct span rest = buf_span(&c->line);
    ptrdiff_t end;
    while ((end = span_find(rest, '\n')) >= 0) {
        take_line(c, span_sub(rest, 0, (size_t)end));
        rest = span_sub(rest, (size_t)end + 1, SIZE_MAX);
    }
    buf_consume(&c->line, c->line.len - rest.len);
    if (c->line.len > CHILD_LINE_MAX) {
        buf_clear(&c->line);
    }
}

/* A mistake in options or files is every child's, and said as if there were no children. */
static void describe_end(const struct child *c, const struct world_exit *e, struct error *err) {
    static const char own[] = "dalang fleet: ";
    struct span said = span_trim(e->started ? buf_span(&c->errors) : span_of(e->error_text));
    bool usage = e->started && e->status == DALANG_USAGE,
         configuration = e->started && e->status == DALANG_CONFIGURATION;
    if ((usage || configuration) && span_starts_with(said, own)) {
        said = span_sub(said, sizeof(own) - 1, SIZE_MAX);
        error_set(err, usage ? "usage" : "configuration", "%.*s", (int)said.len, said.ptr);
        return;
    }
    error_set(err, "fleet", "process %u of %u ended with %s %d%s%.*s", c->number, c->all->count,
              e->signal != 0 ? "signal" : "status", e->signal != 0 ? e->signal : e->status, said.len > 0 ? ": " : "",
              (int)said.len, said.len > 0 ? said.ptr : "");
}

static void on_child_exit(void *ctx, const struct world_exit *e) {
    struct child *c = ctx;
    struct fleet_children *all = c->all;
    bool bad = !e->started || e->signal != 0 || e->status != 0;
    c->process = NULL;
    all->running--;
    if (!all->stopping || bad) {
        struct error err = ERROR_INIT;
        describe_end(c, e, &err);
        all->failed(all->failed_ctx, &err);
    }
    if (all->stopping && all->running == 0 && all->done != NULL) {
        all->done(all->done_ctx);
    }
}

/* ---- as a source of tallies */

static void add_to(void *ctx, struct tally *sum) {
    struct fleet_children *all = ctx;
    struct rusage u;
    for (uint32_t i = 0; i < all->count; i++) {
        tally_add(sum, all->items[i].tally);
    }
    getrusage(RUSAGE_SELF, &u);
    sum->n.cpu_us += (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
                     (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void signal_all(struct fleet_children *all, int signum) {
    for (uint32_t i = 0; i < all->count; i++) {
        if (all->items[i].process != NULL) {
            world_pid_signal(all->world, world_process_pid(all->items[i].process), signum, false);
        }
    }
}

static void restart_all(void *ctx) {
    signal_all(ctx, SIGUSR1);
}

static void make_storm(void *ctx) {
    signal_all(ctx, SIGUSR2);
}

static void stop(void *ctx, void (*done)(void *ctx), void *done_ctx) {
    struct fleet_children *all = ctx;
    all->stopping = true;
    all->done = done;
    all->done_ctx = done_ctx;
    signal_all(all, SIGTERM);
    if (all->running == 0) {
        done(done_ctx);
    }
}

struct fleet_source fleet_children_source(struct fleet_children *c) {
    return (struct fleet_source){c, add_to, restart_all, make_storm, stop};
}

/* ---- start and end */

static void start_child(struct child *c, int argc, char *const argv[]) {
    char *program = program_path("dalang"), part[32];
    snprintf(part, sizeof(part), "%u/%u", c->number, c->all->count);
    const char **words = mem_array((size_t)argc + 6, sizeof(*words));
    size_t n = 0;
    words[n++] = program;
    words[n++] = "fleet";
    words[n++] = "--die-with-parent";
    words[n++] = "--part";
    words[n++] = part;
    for (int i = 1; i < argc; i++) {
        words[n++] = argv[i];
    }
    struct world_spawn opts = {.argv = words, .on_output = on_output, .new_session = true, .umask = -1};
    c->process = world_spawn(c->all->world, &opts, on_child_exit, c);
    c->all->running++;
    mem_free(words);
    mem_free(program);
}

struct fleet_children *fleet_children_new(struct world *w, int argc, char *const argv[], uint32_t count,
                                          void (*failed)(void *ctx, struct error *err), void *ctx) {
    struct fleet_children *all = mem_zalloc(sizeof(*all));
    all->world = w;
    all->count = count;
    all->failed = failed;
    all->failed_ctx = ctx;
    all->items = mem_array(count, sizeof(*all->items));
    for (uint32_t i = 0; i < count; i++) {
        all->items[i] = (struct child){.all = all, .number = i + 1, .tally = tally_new()};
        start_child(&all->items[i], argc, argv);
    }
    return all;
}

void fleet_children_free(struct fleet_children *c) {
    if (c == NULL) {
        return;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->items[i].process != NULL) {
            world_process_forget(c->items[i].process); /* it ends with us */
        }
        buf_free(&c->items[i].line);
        buf_free(&c->items[i].errors);
        mem_free(c->items[i].tally);
    }
    mem_free(c->items);
    mem_free(c);
}
