/* dalang-soak: seeds, one after the other, a JSON line each; ends with 1 when one was not good. For finding bugs;
 * people use `dalang simulate`. */
#include "simulator/soak/sequence.h"
#include "simulator/soak/shrink.h"
#include "simulator/soak/soak.h"
#include "simulator/soak/trace_json.h"

#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct flags {
    uint64_t from, to;
    bool until_bad, text, shrink;
    const char *json, *html;
};

struct files {
    const struct flags *flags;
    FILE *json;
    struct sim_watcher watcher;
    struct trace_json *trace;
    struct sequence *sequence;
};

static void print_event(void *ctx, const struct sim_event *e) {
    (void)ctx;
    printf("%12.6f %-24s %-8s %llu%s %s", (double)e->at_us / 1e6, e->host, sim_event_kind_name(e->kind),
           (unsigned long long)e->id, e->server_end ? "s" : "", e->text);
    if (e->bytes.len != 0) {
        printf(" [%zu] ", e->bytes.len);
        for (size_t i = 0; i < e->bytes.len && i < 600; i++) {
            char c = e->bytes.ptr[i];
            putchar(c >= ' ' && c < 127 ? c : '.');
        }
    }
    putchar('\n');
}

static void write_json(void *ctx, struct span text) {
    fwrite(text.ptr, 1, text.len, ((struct files *)ctx)->json);
}

static void started(void *ctx, struct sim *sim, struct checks *checks) {
    struct files *f = ctx;
    if (f->flags->text) {
        sim_watch(sim, &f->watcher, print_event, NULL);
    }
    if (f->json != NULL) {
        f->trace = trace_json_start(sim, write_json, f);
    }
    if (f->flags->html != NULL) {
        f->sequence = sequence_start(sim, checks, 0, true, SEQUENCE_KEEP / 4);
    }
}

static void ended(void *ctx, struct sim *sim) {
    struct files *f = ctx;
    if (f->flags->text) {
        sim_unwatch(sim, &f->watcher);
    }
    trace_json_end(f->trace);
    if (f->sequence != NULL) {
        struct buf html = BUF_INIT;
        char *title = str_printf("seed %llu", (unsigned long long)sim_seed(sim));
        sequence_write(f->sequence, &html, title);
        FILE *out = fopen(f->flags->html, "w");
        if (out != NULL) {
            fwrite(html.ptr, 1, html.len, out);
            fclose(out);
        }
        mem_free(title);
        buf_free(&html);
        sequence_end(f->sequence);
    }
    f->trace = NULL;
    f->sequence = NULL;
}

static bool run_seed(const struct soak_opts *opts) {
    struct soak_result r;
    soak_run(opts, &r);
    json_t *line = soak_result_json(&r);
    char *text = json_text(line);
    puts(text);
    fflush(stdout);
    bool good = soak_good(&r);
    mem_free(text);
    json_decref(line);
    soak_result_free(&r);
    return good;
}

static void shrink_seed(const struct soak_opts *opts) {
    struct soak_opts small = *opts;
    small.started = NULL;
    small.ended = NULL;
    size_t runs = shrink(&small, SHRINK_RUNS);
    char *command = shrink_command("dalang-soak", &small);
    fprintf(stderr, "after %zu runs: %s\n", runs, command);
    mem_free(command);
}

static int usage(const char *name) {
    fprintf(stderr,
            "usage: %s [--seeds=A..B] [--faults=none|light|heavy|swarm] [--agents=N] [--brokers=N] [--jobs=N]\n"
            "       [--seconds=N] [--without=KIND,…] [--v1] [--until-bad] [--shrink] [--text] [--trace=FILE] "
            "[--html=FILE]\n",
            name);
    return 2;
}

static bool parse(const char *arg, struct soak_opts *opts, struct flags *f) {
    const char *equals = strchr(arg, '='), *value = equals != NULL ? equals + 1 : "";
    uint64_t number = strtoull(value, NULL, 10);
    struct span name = equals != NULL ? span_bytes(arg, (size_t)(equals - arg)) : span_of(arg);
    if (span_eq_cstr(name, "--seeds")) {
        const char *dots = strstr(value, "..");
        f->from = number;
        f->to = dots != NULL ? strtoull(dots + 2, NULL, 10) : number;
    } else if (span_eq_cstr(name, "--agents")) {
        opts->agents = (uint32_t)number;
    } else if (span_eq_cstr(name, "--brokers")) {
        opts->brokers = (uint32_t)number;
    } else if (span_eq_cstr(name, "--jobs")) {
        opts->jobs = (uint32_t)number;
    } else if (span_eq_cstr(name, "--seconds")) {
        opts->for_us = number * SIM_SECOND;
    } else if (span_eq_cstr(name, "--faults")) {
        return faults_level_parse(value, &opts->faults);
    } else if (span_eq_cstr(name, "--without")) {
        return swarm_kinds_parse(value, &opts->without);
    } else if (span_eq_cstr(name, "--v1")) {
        opts->v1 = true;
    } else if (span_eq_cstr(name, "--until-bad")) {
        f->until_bad = true;
    } else if (span_eq_cstr(name, "--shrink")) {
        f->shrink = true;
    } else if (span_eq_cstr(name, "--text")) {
        f->text = true;
    } else if (span_eq_cstr(name, "--trace")) {
        f->json = value;
    } else if (span_eq_cstr(name, "--html")) {
        f->html = value;
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv) {
    struct soak_opts opts = {.faults = FAULTS_SWARM};
    struct flags flags = {.from = 1, .to = 1};
    struct files files = {.flags = &flags};
    mem_init_libraries();
    for (int i = 1; i < argc; i++) {
        if (!parse(argv[i], &opts, &flags)) {
            return usage(argv[0]);
        }
    }
    if (flags.json != NULL && (files.json = fopen(flags.json, "w")) == NULL) {
        fprintf(stderr, "%s: cannot be written\n", flags.json);
        return 2;
    }
    opts.started = started;
    opts.ended = ended;
    opts.ctx = &files;
    bool all_good = true;
    for (opts.seed = flags.from; opts.seed <= flags.to && (all_good || !flags.until_bad); opts.seed++) {
        bool good = run_seed(&opts);
        if (!good && flags.shrink) {
            shrink_seed(&opts);
        }
        all_good = all_good && good;
    }
    if (files.json != NULL) {
        fclose(files.json);
    }
    return all_good ? 0 : 1;
}
