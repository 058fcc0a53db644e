/* dalang simulate: the stack, its agents and its users in simulated time, under faults; repeatable from a seed. */
#include "simulator/dalang/simulate.h"

#include "base/json.h"
#include "base/mem.h"
#include "simulator/dalang/commands.h"
#include "simulator/soak/record.h"
#include "simulator/soak/shrink.h"
#include "simulator/soak/soak.h"
#include "world/real.h"
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    SIMULATE_OPTIONS = 27,
    JOB_AGENTS = 100,
    AGENTS_MOST = 1000000,
    BROKERS_MOST = 3, /* as many as a soak knows by name */
    JOBS_MOST = WORKLOAD_JOBS_MAX,
    VIOLATIONS_SHOWN = 5,
    WORKLOAD_MAX = 1024 * 1024,
    LOAD_MOST = 10000,
};

struct simulate_args {
    uint64_t agents, brokers, minutes, jobs, for_ms, load;
    const char *faults, *without, *workload;
    const char *seed, *seeds, *task, *modules, *trace, *html;
    bool json, v1, shrink, until_fail;
};

#define OPTION(type, name, letter, value, help, target)                                                                \
    (struct option) {                                                                                                  \
        type, name, letter, value, help, target                                                                        \
    }

static const struct command_line *simulate_line(struct simulate_args *a) {
    static struct simulate_args unused;
    static struct option table[SIMULATE_OPTIONS];
    static struct command_line cl = {
        "dalang simulate", "[OPTIONS]", "run the stack in simulated time, from a seed",
        "Broker, orchestrator, fakes and agents run in one thread on a virtual clock, network and disk; users start, "
        "watch and stop\njobs, and things break. At the end the faults stop and everything must come to rest; "
        "meanwhile eleven invariants are\nwatched. A seed decides every latency, fault and choice: the same seed gives "
        "the same run to the byte, and the trace hash\ncovers every event.",
        table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] = OPTION(OPTION_STRING, "seed", 's', "N", "The seed; 1 without this option.", &a->seed);
    table[n++] = OPTION(OPTION_STRING, "seeds", 0, "A..B", "One run for every seed from A to B.", &a->seeds);
    table[n++] = OPTION(OPTION_UINT, "minutes", 0, "M",
                        "Seed after seed for this long, from --seed on; without that from one that the clock gives.",
                        &a->minutes);
    table[n++] = OPTION(OPTION_FLAG, "until-fail", 0, NULL, "Stops at the first seed that fails.", &a->until_fail);
    table[n++] = OPTION(OPTION_HEADING, NULL, 0, NULL, "What happens (what is not said is drawn from the seed)", NULL);
    table[n++] =
        OPTION(OPTION_STRING, "faults", 'f', "LEVEL",
               "none, light, heavy, or swarm: kinds and rates drawn, too; swarm without this option.", &a->faults);
    table[n++] = OPTION(OPTION_STRING, "without", 0, "KINDS",
                        "Kinds of faults that are left out, with commas between them.", &a->without);
    table[n++] = OPTION(OPTION_STRING, "workload", 'w', "FILE",
                        "What users do: a file in JSON or HOCON, or mixed: a bit of everything, as without this "
                        "option.",
                        &a->workload);
    table[n++] =
        OPTION(OPTION_UINT, "agents", 'n', "N",
               "Virtual agents. Of a run whose faults, workload, jobs and length are not named either it makes "
               "one job of the task echo on all of them.",
               &a->agents);
    table[n++] = OPTION(OPTION_UINT, "brokers", 0, "N", "PCP brokers, up to 3.", &a->brokers);
    table[n++] = OPTION(OPTION_UINT, "jobs", 'j', "N", "Jobs that users start.", &a->jobs);
    table[n++] =
        OPTION(OPTION_DURATION, "for", 0, "TIME", "How long workload and faults go on, in virtual time.", &a->for_ms);
    table[n++] =
        OPTION(OPTION_UINT, "load", 0, "PERCENT",
               "What the jobs ask for, of what the orchestrator may run at once, all the time: 50 with more than "
               "60 agents; above 100 they queue up. With fewer agents and without this option: as drawn, now "
               "and then far too much.",
               &a->load);
    table[n++] = OPTION(OPTION_FLAG, "v1", 0, NULL, "Agents speak PCP v1.", &a->v1);
    table[n++] = OPTION(OPTION_HEADING, NULL, 0, NULL, "What is shown", NULL);
    table[n++] = OPTION(OPTION_FLAG, "json", 0, NULL, "One JSON object a seed.", &a->json);
    table[n++] = OPTION(OPTION_FLAG, "shrink", 0, NULL,
                        "Makes a seed that fails smaller: fewer kinds of faults, agents, brokers and jobs, less time.",
                        &a->shrink);
    table[n++] = OPTION(OPTION_STRING, "trace", 0, "FILE",
                        "Every event as Chrome trace JSON (Perfetto opens it); of several seeds: of the first that "
                        "fails.",
                        &a->trace);
    table[n++] = OPTION(OPTION_STRING, "html", 0, "FILE",
                        "The messages around the first violation, or the last ones, as a sequence diagram; of several "
                        "seeds: of the first that fails.",
                        &a->html);
    table[n++] = OPTION(OPTION_HEADING, NULL, 0, NULL, "Instead of a workload", NULL);
    table[n++] = OPTION(OPTION_STRING, "task", 't', "TASK",
                        "One job of this task on all agents (100 without --agents), without faults.", &a->task);
    table[n++] =
        OPTION(OPTION_STRING, "modules", 'm', "DIR", "Modules with that task; ours without this option.", &a->modules);
    table[n] = (struct option)OPTION_END;
    return &cl;
}

void simulate_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    each(ctx, simulate_line(NULL));
}

double wall_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- what a run was like */

static void print_violations(const struct soak_result *r) {
    for (size_t i = 0; i < r->violation_count && i < VIOLATIONS_SHOWN; i++) {
        const struct violation *v = &r->violations[i];
        printf("  invariant %d (%s), after %.6f s: %s\n", v->invariant, checks_invariant(v->invariant),
               (double)v->at_us / 1e6, v->text);
    }
    if (r->violation_count > VIOLATIONS_SHOWN) {
        printf("  and %zu more violations\n", r->violation_count - VIOLATIONS_SHOWN);
    }
    if (r->stuck != NULL) {
        printf("  it did not come to rest: %s\n", r->stuck);
    }
}

static void print_text(const struct soak_result *r, const char *again, const char *smallest, double wall_s) {
    printf("seed %llu: %s: %s\n", (unsigned long long)r->seed, soak_good(r) ? "good" : "FAILED",
           r->description != NULL ? r->description : "");
    printf("  %llu faults, %llu events, %.0f virtual s in %.2f s of wall time; trace %016llx\n",
           (unsigned long long)r->faults, (unsigned long long)r->events, (double)r->virtual_us / 1e6, wall_s,
           (unsigned long long)r->trace_hash);
    if (!soak_good(r)) {
        print_violations(r);
        printf("  again: %s\n", again);
    }
    if (smallest != NULL) {
        printf("  smallest: %s\n", smallest);
    }
}

static void print_json(const struct soak_result *r, const char *again, const char *smallest) {
    json_t *line = soak_result_json(r);
    if (!soak_good(r)) {
        json_set(line, "again", json_string(again));
    }
    if (smallest != NULL) {
        json_set(line, "smallest", json_string(smallest));
    }
    char *text = json_text(line);
    puts(text);
    mem_free(text);
    json_decref(line);
}

/* ---- seeds */

struct simulation {
    const struct simulate_args *args;
    struct soak_opts opts; /* all but the seed */
    const char *workload;  /* the file's name, or NULL */
    uint64_t first, last;
    uint64_t seeds, failed, events, faults;
    bool recorded;
};

/* The run once more, or for the first time, with its files written. */
static bool run_recorded(struct simulation *s, struct soak_opts *opts, struct soak_result *out, struct error *err) {
    struct record *record = record_new(s->args->trace, s->args->html, err);
    if (record == NULL) {
        return false;
    }
    record_watch(record, opts);
    soak_run(opts, out);
    s->recorded = true;
    if (!record_close(record, err)) {
        soak_result_free(out);
        return false;
    }
    return true;
}

/* What becomes of a seed that failed: the shortest command that repeats it, and its files. */
static bool follow_failure(struct simulation *s, struct soak_opts *opts, char **smallest, struct error *err) {
    const struct simulate_args *a = s->args;
    if (a->shrink) {
        opts->started = NULL;
        opts->ended = NULL;
        shrink(opts, SHRINK_RUNS);
        *smallest = shrink_command(opts, s->workload);
    }
    if ((a->trace != NULL || a->html != NULL) && (!s->recorded || a->shrink)) {
        struct soak_result again;
        if (!run_recorded(s, opts, &again, err)) {
            return false;
        }
        soak_result_free(&again);
    }
    return true;
}

/* False after setting err. */
static bool run_seed(struct simulation *s, uint64_t seed, struct error *err) {
    const struct simulate_args *a = s->args;
    struct soak_opts opts = s->opts;
    struct soak_result r;
    char *smallest = NULL;
    double begun = wall_seconds();
    opts.seed = seed;
    bool files = a->trace != NULL || a->html != NULL, only_one = s->first == s->last && a->minutes == 0;
    if (!files || !only_one) {
        soak_run(&opts, &r);
    } else if (!run_recorded(s, &opts, &r, err)) {
        return false;
    }
    double took_s = wall_seconds() - begun;
    char *again = shrink_command(&opts, s->workload);
    bool good = soak_good(&r), ok = good || s->failed != 0 || follow_failure(s, &opts, &smallest, err);
    s->seeds++;
    s->failed += !good;
    s->events += r.events;
    s->faults += r.faults;
    if (a->json) {
        print_json(&r, again, smallest);
    } else {
        print_text(&r, again, smallest, took_s);
    }
    fflush(stdout);
    mem_free(again);
    mem_free(smallest);
    soak_result_free(&r);
    return ok;
}

static bool run_seeds(struct simulation *s, struct error *err) {
    double until = wall_seconds() + (double)s->args->minutes * 60;
    for (uint64_t seed = s->first;; seed++) {
        if (!run_seed(s, seed, err)) {
            return false;
        }
        bool more = s->args->minutes != 0 ? wall_seconds() < until : seed < s->last;
        if (!more || (s->args->until_fail && s->failed != 0)) {
            break;
        }
    }
    if (!s->args->json && s->seeds > 1) {
        printf("%llu seeds, %llu failed; %llu events, %llu faults\n", (unsigned long long)s->seeds,
               (unsigned long long)s->failed, (unsigned long long)s->events, (unsigned long long)s->faults);
    }
    return true;
}

/* ---- options */

static bool read_number(const char *option, uint64_t most, uint64_t n, uint32_t *out, struct error *err) {
    *out = (uint32_t)n;
    return n <= most || error_set(err, "usage", "--%s is at most %llu", option, (unsigned long long)most);
}

static bool read_opts(const struct simulate_args *a, struct soak_opts *o, struct error *err) {
    if (!faults_level_parse(a->faults != NULL ? a->faults : "swarm", &o->faults)) {
        return error_set(err, "usage", "--faults is none, light, heavy or swarm, not \"%s\"", a->faults);
    }
    if (a->without != NULL && !swarm_kinds_parse(a->without, &o->without)) {
        struct buf kinds = BUF_INIT;
        for (size_t i = 0; i < swarm_kind_count(); i++) {
            buf_printf(&kinds, "%s%s", i != 0 ? " " : "", swarm_kind_name(i));
        }
        error_set(err, "usage", "--without takes some of: %s", kinds.ptr);
        buf_free(&kinds);
        return false;
    }
    o->for_us = a->for_ms * SIM_MS;
    o->v1 = a->v1;
    return read_number("load", LOAD_MOST, a->load, &o->load_percent, err) &&
           read_number("agents", AGENTS_MOST, a->agents, &o->agents, err) &&
           read_number("brokers", BROKERS_MOST, a->brokers, &o->brokers, err) &&
           read_number("jobs", JOBS_MOST, a->jobs, &o->jobs, err);
}

static struct workload *read_workload(const char *path, struct error *err) {
    struct world *real = real_world_new(err);
    struct buf text = BUF_INIT;
    struct workload *w = NULL;
    if (real != NULL) {
        if (world_file_read(real, path, WORKLOAD_MAX, &text, err)) {
            w = workload_new(path, buf_span(&text), err);
        }
        real_world_free(real);
    }
    buf_free(&text);
    return w;
}

/* "7", or "1..100" */
static bool read_seeds(const struct simulate_args *a, uint64_t *first, uint64_t *last, struct error *err) {
    if (a->minutes != 0 && a->seed == NULL && a->seeds == NULL) {
        *first = (uint64_t)time(NULL) * 1000; /* not those of the time before */
        *last = *first;
        return true;
    }
    struct span text = span_of(a->seeds != NULL ? a->seeds : a->seed != NULL ? a->seed : "1");
    ptrdiff_t dots = span_find_span(text, SPAN(".."));
    bool ok = dots < 0 ? span_to_u64(text, first) && span_to_u64(text, last)
                       : span_to_u64(span_sub(text, 0, (size_t)dots), first) &&
                             span_to_u64(span_sub(text, (size_t)dots + 2, text.len), last);
    return (ok && *first <= *last) || error_set(err, "usage", "seeds are numbers: --seed 7 or --seeds 1..100");
}

static bool run_workload(const struct simulate_args *a, uint64_t first, uint64_t last, bool *good, struct error *err) {
    struct simulation s = {.args = a, .first = first, .last = last};
    struct workload *workload = NULL;
    if (!read_opts(a, &s.opts, err)) {
        return false;
    }
    if (a->workload != NULL && strcmp(a->workload, "mixed") != 0) {
        s.workload = a->workload;
        workload = read_workload(a->workload, err);
        if (workload == NULL) {
            return false;
        }
        s.opts.workload = workload;
    }
    bool ok = run_seeds(&s, err);
    *good = s.failed == 0;
    workload_free(workload);
    return ok;
}

static bool run_one_job(const struct simulate_args *a, uint64_t first, uint64_t last, bool *good, struct error *err) {
    if ((a->faults != NULL && strcmp(a->faults, "none") != 0) || a->workload != NULL || a->jobs != 0 ||
        a->minutes != 0 || a->for_ms != 0 || a->load != 0 || a->trace != NULL || a->html != NULL) {
        return error_set(err, "usage", "--task is one job without faults and workload; see dalang simulate --help");
    }
    struct simulate_job job = {.task = a->task,
                               .agents = a->agents != 0 ? a->agents : JOB_AGENTS,
                               .brokers = a->brokers,
                               .modules = a->modules,
                               .v1 = a->v1,
                               .json = a->json};
    return simulate_job(&job, first, last, good, err);
}

/* A fleet and nothing else said: how long one task takes on it. */
static bool only_a_fleet(const struct simulate_args *a) {
    return a->agents != 0 && a->faults == NULL && a->without == NULL && a->workload == NULL && a->jobs == 0 &&
           a->for_ms == 0 && a->load == 0 && a->minutes == 0 && a->trace == NULL && a->html == NULL && !a->shrink;
}

static int run(const struct command_line *cl, struct simulate_args *a) {
    struct error err = ERROR_INIT;
    uint64_t first, last;
    bool good = false;
    if (a->task == NULL && only_a_fleet(a)) {
        a->task = "echo";
    }
    if (!read_seeds(a, &first, &last, &err) ||
        !(a->task != NULL ? run_one_job(a, first, last, &good, &err) : run_workload(a, first, last, &good, &err))) {
        return dalang_trouble(cl, &err);
    }
    return good ? DALANG_OK : DALANG_FAILED;
}

int simulate_command(int argc, char *const argv[]) {
    struct simulate_args args = {.seed = NULL};
    mallopt(M_MXFAST, 0); /* or all small free blocks are gone through whenever a large one becomes free */
    const struct command_line *cl = simulate_line(&args);
    int code = DALANG_OK;
    if (dalang_parse_only(cl, argc, argv, &code)) {
        code = run(cl, &args);
    }
    return code;
}
