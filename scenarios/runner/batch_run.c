/* The queue of runs: which there are, how many at a time, what becomes of their results. */
#include "base/mem.h"
#include "scenarios/runner/batch_internal.h"
#include "simulator/results/results.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>

enum { WORKERS_MAX = 64, SEEDS_MAX = 1000000 };

struct plan {
    const struct batch *batch;
    const struct batch_run *opts;
    const struct scenario **scenarios; /* that were asked for */
    size_t count;
    /* where the queue stands: the next item */
    uint64_t round; /* seeds and repetitions */
    uint64_t rounds;
    size_t at; /* scenario × 2 + world */
    struct worker workers[WORKERS_MAX];
    size_t running;
    struct results *results;
    size_t passed, failed, known;
};

static volatile sig_atomic_t interrupted; /* set by the handler: the only thing it may do */

static void on_signal(int number) {
    interrupted = number;
}

/* ---- the queue */

static void choose(struct plan *p) {
    p->scenarios = mem_array(batch_scenarios(p->batch) + 1, sizeof(*p->scenarios));
    for (size_t i = 0; i < p->batch->count; i++) {
        const struct scenario_file *f = p->batch->files[i];
        for (size_t k = 0; k < f->count; k++) {
            const struct scenario *s = &f->items[k];
            bool wanted = batch_tagged(s, &p->opts->tags) && (s->worlds & p->opts->worlds) != 0;
            if (wanted && (p->opts->only == NULL || strstr(s->name, p->opts->only) != NULL)) {
                p->scenarios[p->count++] = s;
            }
        }
    }
}

static size_t runs_a_round(const struct plan *p) {
    size_t total = 0;
    for (size_t i = 0; i < p->count; i++) {
        unsigned worlds = p->scenarios[i]->worlds & p->opts->worlds;
        total += worlds == (SCENARIO_SIM | SCENARIO_REAL) ? 2 : 1;
    }
    return total;
}

static bool next_item(struct plan *p, struct batch_item *out) {
    uint64_t seeds = p->opts->last_seed - p->opts->first_seed + 1;
    while (p->count != 0 && (p->opts->until_fail || p->round < p->rounds)) {
        if (p->at == 2 * p->count) {
            p->at = 0;
            p->round++;
            continue;
        }
        const struct scenario *s = p->scenarios[p->at / 2];
        enum scenario_world world = p->at % 2 == 0 ? SCENARIO_SIM : SCENARIO_REAL;
        p->at++;
        if ((s->worlds & p->opts->worlds & world) != 0) {
            uint64_t seed = p->opts->first_seed + (p->opts->until_fail ? p->round : p->round % seeds);
            *out =
                (struct batch_item){.scenario = s, .world = world, .seed = seed, .number = (size_t)(p->round / seeds)};
            return true;
        }
    }
    return false;
}

/* ---- results */

static void report(struct plan *p, const struct worker *w, const struct run_result *r) {
    const struct batch_item *item = &w->item;
    bool quarantined = scenario_has_tag(item->scenario, "quarantine");
    char seed[24], hash[24];
    snprintf(seed, sizeof(seed), "%" PRIu64, item->seed);
    snprintf(hash, sizeof(hash), "%016" PRIx64, r->hash);
    char *repeat = batch_repeat_command(item);
    const char *world = item->world == SCENARIO_SIM ? "sim" : "real";
    char *name =
        str_printf("%s [%s, seed %s%s]", item->scenario->name, world, seed, item->number != 0 ? ", again" : "");
    const struct result_property properties[] = {
        {"world", world}, {"seed", seed}, {"repeat", repeat}, {"trace_hash", hash}};
    char *message =
        r->passed ? NULL : str_printf("%s%s%s", r->where != NULL ? r->where : "", r->where != NULL ? " " : "", r->what);
    results_add(p->results, &(struct result){.suite = item->scenario->file,
                                             .name = name,
                                             .title = item->scenario->about,
                                             .status = r->passed     ? RESULT_PASS
                                                       : quarantined ? RESULT_KNOWN
                                                                     : RESULT_FAIL,
                                             .duration_us = r->wall_us,
                                             .message = message,
                                             .expected = r->expected,
                                             .got = r->seen,
                                             .details = r->logs,
                                             .file = item->scenario->file,
                                             .line = (int)item->scenario->line,
                                             .properties = properties,
                                             .property_count = item->world == SCENARIO_SIM ? 4 : 3});
    if (p->opts->json) {
        json_t *line = batch_result_json(item, r);
        char *text = json_text(line);
        fprintf(p->opts->out, "%s\n", text);
        mem_free(text);
        json_decref(line);
    } else if (!p->opts->tap) {
        batch_print_result(p->opts->out, item, r, quarantined);
    }
    fflush(p->opts->out);
    p->passed += r->passed ? 1 : 0;
    p->known += !r->passed && quarantined ? 1 : 0;
    p->failed += !r->passed && !quarantined ? 1 : 0;
    mem_free(message);
    mem_free(name);
    mem_free(repeat);
}

/* ---- workers */

static bool fill(struct plan *p, size_t at_once, struct error *err) {
    struct batch_item item;
    bool enough = p->opts->until_fail && p->failed != 0;
    while (!enough && p->running < at_once && next_item(p, &item)) {
        struct worker *w = &p->workers[p->running];
        if (!worker_start(w, &item, p->opts, err)) {
            worker_clear(w, false);
            return false;
        }
        p->running++;
    }
    return true;
}

static void drop(struct plan *p, size_t i) {
    p->workers[i] = p->workers[--p->running];
}

static void wait_some(struct plan *p) {
    struct pollfd fds[WORKERS_MAX];
    for (size_t i = 0; i < p->running; i++) {
        fds[i] = (struct pollfd){.fd = p->workers[i].fd, .events = POLLIN};
    }
    if (poll(fds, (nfds_t)p->running, -1) <= 0) {
        return;
    }
    for (size_t i = p->running; i-- > 0;) {
        struct run_result result;
        if (fds[i].revents != 0 && !worker_read(&p->workers[i], &result)) {
            report(p, &p->workers[i], &result);
            if (p->opts->keep && p->workers[i].dir != NULL && !result.passed) {
                fprintf(stderr, "kept: %s\n", p->workers[i].dir);
            }
            worker_clear(&p->workers[i], p->opts->keep && !result.passed);
            run_result_free(&result);
            drop(p, i);
        }
    }
}

static bool run_all(struct plan *p, struct error *err) {
    size_t at_once = p->opts->jobs == 0 ? 1 : p->opts->jobs < WORKERS_MAX ? (size_t)p->opts->jobs : WORKERS_MAX;
    bool ok = fill(p, at_once, err);
    while (ok && p->running > 0 && interrupted == 0) {
        wait_some(p);
        ok = interrupted != 0 || fill(p, at_once, err);
    }
    for (size_t i = 0; i < p->running; i++) {
        worker_kill(&p->workers[i]);
        worker_clear(&p->workers[i], false);
    }
    return ok;
}

enum batch_end batch_play(const struct batch *b, const struct batch_run *opts, struct error *err) {
    struct plan p = {.batch = b, .opts = opts};
    uint64_t seeds = opts->last_seed - opts->first_seed + 1;
    p.rounds = seeds * (opts->repeat != 0 ? opts->repeat : 1);
    choose(&p);
    size_t planned = runs_a_round(&p) * (size_t)p.rounds;
    struct sigaction act = {.sa_handler = on_signal}, old_int, old_term;
    interrupted = 0;
    sigaction(SIGINT, &act, &old_int);
    sigaction(SIGTERM, &act, &old_term);
    bool ok = p.count != 0 || error_set(err, "scenario", "there is no such scenario");
    ok = ok && (opts->trace == NULL || planned == 1 ||
                error_set(err, "usage", "--trace writes one run; these are %zu", planned));
    ok = ok && seeds <= SEEDS_MAX;
    if (ok) {
        p.results = results_new(&(struct results_opts){.name = "dalang scenario run",
                                                       .junit = opts->junit,
                                                       .tap = opts->tap ? opts->out : NULL,
                                                       .planned = opts->until_fail ? 0 : planned,
                                                       .started_ms = (int64_t)time(NULL) * 1000},
                                err);
        ok = p.results != NULL && run_all(&p, err);
    }
    const char *stopped = interrupted == SIGINT ? "SIGINT" : interrupted == SIGTERM ? "SIGTERM" : NULL;
    struct error written = ERROR_INIT;
    if (p.results != NULL && !results_end(p.results, stopped, &written) && ok) {
        error_move(err, &written);
        ok = false;
    }
    error_clear(&written);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
    mem_free((void *)p.scenarios);
    if (ok && !opts->tap && !opts->json) {
        fprintf(opts->out, "%zu passed, %zu failed", p.passed, p.failed);
        if (p.known != 0) {
            fprintf(opts->out, ", %zu known to fail", p.known);
        }
        fprintf(opts->out, stopped != NULL ? "; stopped by %s\n" : "\n", stopped);
    }
    return !ok ? BATCH_TROUBLE : p.failed != 0 || stopped != NULL ? BATCH_FAILED : BATCH_GOOD;
}
