/* dalang scenario: run, check and list scenario files (harness.md §1). */
#include "base/json.h"
#include "base/mem.h"
#include "scenarios/runner/batch.h"
#include "simulator/dalang/commands.h"
#include "simulator/dalang/surroundings.h"
#include <stdio.h>
#include <string.h>

enum { SCENARIO_OPTIONS = 20 };

struct scenario_args {
    const char *world, *seed, *seeds, *only, *junit, *trace, *modules;
    uint64_t jobs, repeat;
    struct option_list tags;
    bool tap, json, verbose, keep, until_fail;
};

static const struct command_line *run_line(struct scenario_args *a) {
    static struct scenario_args unused;
    static struct option table[SCENARIO_OPTIONS];
    static struct command_line cl = {"dalang scenario run", "[OPTIONS] FILE|DIRECTORY…",
                                     "run scenarios, in simulated time or on real sockets",
                                     "Each scenario runs with a stack of its own, in a process of its own. Without "
                                     "--world it runs in the simulated\n"
                                     "world, where the same seed gives the same run to the byte. Exit status: 0 when "
                                     "nothing failed, 1 when something\n"
                                     "did, 2 for wrong options, 3 when a file is wrong.",
                                     table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] = (struct option){OPTION_STRING, "world", 'w', "WORLD", "sim, real, or both; sim without this option.",
                                 &a->world};
    table[n++] = (struct option){OPTION_STRING, "seed", 's', "N", "The seed; 1 without this option.", &a->seed};
    table[n++] =
        (struct option){OPTION_STRING, "seeds", 0, "A..B", "Every scenario with each seed from A to B.", &a->seeds};
    table[n++] = (struct option){OPTION_UINT, "repeat", 0, "N", "Every scenario so often with each seed.", &a->repeat};
    table[n++] = (struct option){OPTION_FLAG,   "until-fail", 0, NULL, "On with the next seed until something fails.",
                                 &a->until_fail};
    table[n++] = (struct option){OPTION_UINT, "jobs", 'j', "N", "So many at a time; 1 without this option.", &a->jobs};
    table[n++] = (struct option){OPTION_LIST,
                                 "tags",
                                 't',
                                 "TAG",
                                 "Only those with this tag; !TAG: only those without. May be given several times.",
                                 &a->tags};
    table[n++] = (struct option){OPTION_STRING, "only", 0, "TEXT", "Only those whose name contains it.", &a->only};
    table[n++] =
        (struct option){OPTION_STRING, "junit", 0, "FILE", "Write JUnit XML; whole after every scenario.", &a->junit};
    table[n++] = (struct option){OPTION_FLAG, "tap", 0, NULL, "Print TAP.", &a->tap};
    table[n++] = (struct option){OPTION_FLAG, "json", 0, NULL, "One JSON object a run.", &a->json};
    table[n++] = (struct option){
        OPTION_STRING, "trace", 0, "FILE", "Write what one run did as trace-event JSON; ui.perfetto.dev opens it.",
        &a->trace};
    table[n++] = (struct option){OPTION_FLAG, "verbose", 'v', NULL, "Tell each step as it begins.", &a->verbose};
    table[n++] =
        (struct option){OPTION_FLAG, "keep", 0, NULL, "Keep the directory of a real run that failed.", &a->keep};
    table[n++] = (struct option){OPTION_STRING,
                                 "modules",
                                 'm',
                                 "DIR",
                                 "Modules that every stack serves beside its own; Dalang's without this option.",
                                 &a->modules};
    table[n] = (struct option)OPTION_END;
    return &cl;
}

static const struct command_line *check_line(void) {
    static struct option table[1] = {OPTION_END};
    static struct command_line cl = {"dalang scenario check", "FILE|DIRECTORY…",
                                     "check scenario files without running them",
                                     "Every mistake is told with file:line:column. Exit status: 0 when all are good, 3 "
                                     "when something is wrong.",
                                     table};
    return &cl;
}

static const struct command_line *list_line(struct scenario_args *a) {
    static struct scenario_args unused;
    static struct option table[3];
    static struct command_line cl = {"dalang scenario list", "[OPTIONS] FILE|DIRECTORY…",
                                     "list scenarios, what they are for, and why some run in one world only", NULL,
                                     table};
    a = a != NULL ? a : &unused;
    table[0] = (struct option){OPTION_LIST, "tags", 't', "TAG", "Only those with this tag; !TAG: without.", &a->tags};
    table[1] = (struct option){OPTION_FLAG, "json", 0, NULL, "As a JSON list.", &a->json};
    table[2] = (struct option)OPTION_END;
    return &cl;
}

static const struct command_line *whole_line(void) {
    static struct option table[1] = {OPTION_END};
    static struct command_line cl = {"dalang scenario", "run | check | list  [OPTIONS] FILE|DIRECTORY…",
                                     "run, check and list scenario files", NULL, table};
    return &cl;
}

void scenario_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    each(ctx, whole_line());
    each(ctx, run_line(NULL));
    each(ctx, check_line());
    each(ctx, list_line(NULL));
}

/* ---- options into a run */

static bool read_seeds(const struct scenario_args *a, struct batch_run *run, struct error *err) {
    run->first_seed = run->last_seed = 1;
    if (a->seed != NULL && !span_to_u64(span_of(a->seed), &run->first_seed)) {
        return error_set(err, "usage", "--seed: \"%s\" is no number", a->seed);
    }
    run->last_seed = run->first_seed;
    if (a->seeds == NULL) {
        return true;
    }
    const char *dots = strstr(a->seeds, "..");
    bool ok = dots != NULL && span_to_u64((struct span){a->seeds, (size_t)(dots - a->seeds)}, &run->first_seed) &&
              span_to_u64(span_of(dots + 2), &run->last_seed) && run->first_seed <= run->last_seed;
    return ok || error_set(err, "usage", "--seeds: \"%s\" is not of the form A..B", a->seeds);
}

static bool read_run(const struct scenario_args *a, struct batch_run *run, struct error *err) {
    *run = (struct batch_run){.worlds = SCENARIO_SIM,
                              .repeat = a->repeat,
                              .until_fail = a->until_fail,
                              .jobs = a->jobs,
                              .tags = a->tags,
                              .only = a->only,
                              .junit = a->junit,
                              .trace = a->trace,
                              .tap = a->tap,
                              .json = a->json,
                              .verbose = a->verbose,
                              .keep = a->keep,
                              .out = stdout};
    if (a->world != NULL) {
        run->worlds = strcmp(a->world, "real") == 0   ? SCENARIO_REAL
                      : strcmp(a->world, "both") == 0 ? SCENARIO_SIM | SCENARIO_REAL
                      : strcmp(a->world, "sim") == 0  ? SCENARIO_SIM
                                                      : 0;
    }
    if (run->worlds == 0) {
        return error_set(err, "usage", "--world: \"%s\" is not sim, real or both", a->world);
    }
    return read_seeds(a, run, err);
}

static int load(const struct command_line *cl, struct batch *b, const struct option_list *paths) {
    struct error err = ERROR_INIT;
    if (paths->count == 0) {
        error_set(&err, "usage", "name a scenario file or a directory with some");
        return dalang_trouble(cl, &err);
    }
    if (!batch_load(b, paths, &err)) {
        return dalang_trouble(cl, &err);
    }
    batch_print_problems(b, stderr);
    return b->problem_count != 0 ? DALANG_CONFIGURATION : DALANG_OK;
}

static int run_action(int argc, char *const argv[]) {
    struct scenario_args args = {.world = NULL};
    const struct command_line *cl = run_line(&args);
    struct option_list paths = {NULL, 0};
    struct error err = ERROR_INIT;
    struct batch b = {.files = NULL};
    struct batch_run run;
    int code = DALANG_OK;
    char *modules = NULL;
    if (dalang_parse(cl, argc, argv, &paths, &code)) {
        modules = args.modules != NULL ? absolute_path(args.modules) : shared_path("modules");
        code = !read_run(&args, &run, &err) ? dalang_trouble(cl, &err) : load(cl, &b, &paths);
        run.default_modules = modules;
        if (code == DALANG_OK && enough_descriptors(0, &err)) {
            enum batch_end end = batch_play(&b, &run, &err);
            code = end == BATCH_TROUBLE ? dalang_trouble(cl, &err) : end == BATCH_FAILED ? DALANG_FAILED : DALANG_OK;
        }
    }
    batch_free(&b);
    mem_free(modules);
    option_list_free(&paths);
    option_list_free(&args.tags);
    return code;
}

static int check_action(int argc, char *const argv[]) {
    struct option_list paths = {NULL, 0};
    struct batch b = {.files = NULL};
    int code = DALANG_OK;
    if (dalang_parse(check_line(), argc, argv, &paths, &code)) {
        code = load(check_line(), &b, &paths);
        if (code == DALANG_OK) {
            printf("%zu scenarios in %zu files: all good\n", batch_scenarios(&b), b.count);
        }
    }
    batch_free(&b);
    option_list_free(&paths);
    return code;
}

static int list_action(int argc, char *const argv[]) {
    struct scenario_args args = {.world = NULL};
    struct option_list paths = {NULL, 0};
    struct batch b = {.files = NULL};
    int code = DALANG_OK;
    const struct command_line *cl = list_line(&args);
    if (dalang_parse(cl, argc, argv, &paths, &code) && (code = load(cl, &b, &paths)) == DALANG_OK) {
        if (args.json) {
            json_t *list = batch_list_json(&b, &args.tags);
            char *text = json_text(list);
            printf("%s\n", text);
            mem_free(text);
            json_decref(list);
        } else {
            batch_list(&b, &args.tags, stdout);
        }
    }
    batch_free(&b);
    option_list_free(&paths);
    option_list_free(&args.tags);
    return code;
}

int scenario_command(int argc, char *const argv[]) {
    static const struct {
        const char *name;
        int (*run)(int argc, char *const argv[]);
    } actions[] = {{"run", run_action}, {"check", check_action}, {"list", list_action}};
    const char *names[] = {"run", "check", "list"};
    const char *word = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(word, actions[i].name) == 0) {
            return actions[i].run(argc - 1, argv + 1);
        }
    }
    struct option_list rest = {NULL, 0};
    struct error err = ERROR_INIT;
    int code = DALANG_OK;
    if (word[0] == '-' && !dalang_parse(whole_line(), argc, argv, &rest, &code)) {
        option_list_free(&rest);
        return code;
    }
    option_list_free(&rest);
    const char *near = nearest_word(word, names, 3);
    if (near != NULL) {
        error_set(&err, "usage", "there is no action \"%s\"; did you mean %s?", word, near);
    } else {
        error_set(&err, "usage", "name an action: run, check or list");
    }
    return dalang_trouble(whole_line(), &err);
}
