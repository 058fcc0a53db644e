/* Running cases: each on a stage of its own, the other side put into the configuration it needs before. */
#include "base/mem.h"
#include "scenarios/conformance/stage.h"
#include "simulator/results/results.h"
#include "world/real.h"
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

const struct conform_suite *const conform_suites[] = {&conform_broker, &conform_agent, &conform_orchestrator, NULL};

/* ---- each case, "pcp*" as two */

struct one {
    const struct conform_case *c;
    int version;
    char id[128];
};

static char *whole_id(const struct conform_case *c, int version, char out[128]) {
    const char *star = strncmp(c->id, "pcp*", 4) == 0 || strncmp(c->id, "pxp*", 4) == 0 ? c->id + 3 : NULL;
    if (star != NULL) {
        snprintf(out, 128, "%.3s%d%s", c->id, version, star + 1);
    } else {
        snprintf(out, 128, "%s", c->id);
    }
    return out;
}

static bool each_version(const struct conform_case *c) {
    return c->id[3] == '*';
}

static size_t all_cases(const struct conform_suite *suite, struct one **out) {
    size_t count = 0, cap = 0;
    *out = NULL;
    for (size_t t = 0; t < suite->table_count; t++) {
        for (const struct conform_case *c = suite->tables[t]; c->id != NULL; c++) {
            int only = strncmp(c->id + 1, "xp1", 3) == 0 || strncmp(c->id + 1, "cp1", 3) == 0 ? 1 : 2;
            for (int version = each_version(c) ? 1 : only; version <= (each_version(c) ? 2 : only); version++) {
                *out = mem_grow(*out, &cap, count + 1, sizeof(**out));
                (*out)[count].c = c;
                (*out)[count].version = version;
                whole_id(c, version, (*out)[count++].id);
            }
        }
    }
    return count;
}

void conform_each(const struct conform_suite *suite, void (*each)(void *ctx, const struct conform_seen *c), void *ctx) {
    struct one *ones;
    size_t count = all_cases(suite, &ones);
    for (size_t i = 0; i < count; i++) {
        const struct conform_case *c = ones[i].c;
        struct conform_seen seen = {ones[i].id, c->statement, c->source, c->covers, c->strict};
        each(ctx, &seen);
    }
    mem_free(ones);
}

size_t conform_count(const struct conform_suite *suite, size_t *strict) {
    struct one *ones;
    size_t count = all_cases(suite, &ones);
    *strict = 0;
    for (size_t i = 0; i < count; i++) {
        *strict += ones[i].c->strict ? 1 : 0;
    }
    mem_free(ones);
    return count;
}

/* Those that `only` and the profile leave, in an order that changes fixtures as rarely as can be. */
static bool chosen(const struct conform_suite *suite, const struct conform_opts *opts, struct one **out, size_t *count,
                   struct error *err) {
    regex_t re;
    if (opts->only != NULL && regcomp(&re, opts->only, REG_EXTENDED | REG_NOSUB) != 0) {
        return error_set(err, "usage", "--only: \"%s\" is no regular expression", opts->only);
    }
    size_t all = all_cases(suite, out);
    *count = 0;
    for (size_t i = 0; i < all; i++) {
        struct one *o = &(*out)[i];
        if ((o->c->strict && opts->profile != CONFORM_STRICT) ||
            (opts->only != NULL && regexec(&re, o->id, 0, NULL, 0) != 0)) {
            continue;
        }
        (*out)[(*count)++] = *o;
    }
    if (opts->only != NULL) {
        regfree(&re);
    }
    for (size_t i = 1; i < *count; i++) { /* brings equal fixtures together, in the order of their first case */
        struct one one = (*out)[i];
        size_t at = i;
        for (size_t j = i; j-- > 0;) {
            if (str_eq((*out)[j].c->fixture, one.c->fixture) &&
                (!suite->version_is_fixture || (*out)[j].version == one.version)) {
                at = j + 1;
                break;
            }
        }
        memmove(&(*out)[at + 1], &(*out)[at], (i - at) * sizeof(one));
        (*out)[at] = one;
    }
    return true;
}

bool conform_list(const struct conform_suite *suite, const struct conform_opts *opts, struct error *err) {
    struct one *ones;
    size_t count;
    if (!chosen(suite, opts, &ones, &count, err)) {
        return false;
    }
    if (opts->json) {
        json_t *list = json_array();
        for (size_t i = 0; i < count; i++) {
            json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "id", ones[i].id, "statement",
                                                  ones[i].c->statement, "source", ones[i].c->source));
        }
        char *text = json_text(list);
        fprintf(opts->out, "%s\n", text);
        mem_free(text);
        json_decref(list);
    }
    for (size_t i = 0; i < count && !opts->json; i++) {
        fprintf(opts->out, "%-44s %s [%s]\n", ones[i].id, ones[i].c->statement, ones[i].c->source);
    }
    mem_free(ones);
    return true;
}

/* ---- one case */

static void stage_clear(struct stage *s) {
    for (struct list_link *k; (k = list_pop_front(&s->links)) != NULL;) {
        link_free(LIST_ITEM(k, struct link, link));
    }
    json_array_clear(s->kept);
    buf_clear(&s->transcript);
    mem_free(s->expected);
    mem_free(s->got);
    mem_free(s->skipped);
    s->expected = s->got = s->skipped = NULL;
    s->failed = false;
    s->seen = 0;
}

static void play(struct stage *s, const struct one *o) {
    s->c = o->c;
    s->version = o->version;
    if (setjmp(s->out) != 0) {
        return;
    }
    char *why = NULL;
    if (!s->suite->fixture(s, o->c->fixture, &why)) {
        s->skipped = why;
        return;
    }
    o->c->run(s);
}

static const char *seen_text(const struct stage *s, char out[64]) {
    static const struct {
        unsigned who;
        const char *text;
    } names[] = {{REF18, "reference 1.8"}, {REF20, "reference 2.0"}, {OURS, "ours"}};
    out[0] = '\0';
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && s->seen != ALL; i++) {
        if ((s->seen & names[i].who) != 0) {
            strcat(out, out[0] != '\0' ? " or " : "saw the answer of ");
            strcat(out, names[i].text);
        }
    }
    return out[0] != '\0' ? out : NULL;
}

static enum result_status status_of(const struct stage *s) {
    return s->failed ? RESULT_FAIL : s->skipped != NULL ? RESULT_SKIP : RESULT_PASS;
}

static void print_lines(FILE *out, const char *label, const char *text) {
    struct span rest = span_of(text), line;
    while (span_split(&rest, '\n', &line)) {
        struct buf clean = BUF_INIT;
        for (size_t i = 0; i < line.len; i++) {
            unsigned char c = (unsigned char)line.ptr[i];
            if (c < 0x20 || c == 0x7f) {
                buf_printf(&clean, "\\x%02x", c);
            } else {
                buf_append_char(&clean, (char)c);
            }
        }
        fprintf(out, "      %-9s %s\n", label, clean.len != 0 ? clean.ptr : "");
        buf_free(&clean);
        label = "";
    }
}

static void print_one(const struct stage *s, const struct one *o, const char *seen) {
    FILE *out = s->opts->out;
    enum result_status status = status_of(s);
    fprintf(out, "%s  %s  %s", results_status_word(status), o->id, o->c->statement);
    if (status == RESULT_SKIP) {
        fprintf(out, " (%s)", s->skipped);
    } else if (status == RESULT_PASS && seen != NULL) {
        fprintf(out, " (%s)", seen);
    }
    fputc('\n', out);
    if (status == RESULT_FAIL) {
        print_lines(out, "source", o->c->source);
        print_lines(out, "expected", s->expected);
        print_lines(out, "got", s->got);
    }
    if (s->transcript.len != 0 && (status == RESULT_FAIL || s->opts->verbose)) {
        print_lines(out, "heard", s->transcript.ptr);
    }
    fflush(out);
}

static json_t *one_json(const struct stage *s, const struct one *o, const char *seen) {
    json_t *j = json_pack("{s:s, s:s, s:s, s:s}", "id", o->id, "status", results_status_word(status_of(s)), "statement",
                          o->c->statement, "source", o->c->source);
    if (seen != NULL) {
        json_set(j, "saw", json_string(seen));
    }
    if (s->skipped != NULL) {
        json_set(j, "why", json_string_nocheck(s->skipped));
    }
    if (s->failed) {
        json_set(j, "expected", json_str_new(span_of(s->expected)));
        json_set(j, "got", json_str_new(span_of(s->got)));
        json_set(j, "transcript", json_str_new(buf_span(&s->transcript)));
    }
    return j;
}

static void report(const struct stage *s, const struct one *o, struct results *results, json_t *list,
                   uint64_t duration_us) {
    char text[64];
    const char *seen = status_of(s) == RESULT_PASS ? seen_text(s, text) : NULL;
    const char *slash = strrchr(o->id, '/');
    char *group = span_dup(span_bytes(o->id, (size_t)(slash - o->id)));
    struct result_property properties[] = {{"source", o->c->source}};
    struct result r = {.suite = group,
                       .name = slash + 1,
                       .title = o->c->statement,
                       .status = status_of(s),
                       .duration_us = duration_us,
                       .message = s->failed ? "not as expected" : s->skipped,
                       .expected = s->expected,
                       .got = s->got,
                       .details = s->failed ? s->transcript.ptr : seen,
                       .properties = properties,
                       .property_count = 1};
    results_add(results, &r);
    mem_free(group);
    if (list != NULL) {
        json_array_append_new(list, one_json(s, o, seen));
    } else if (!s->opts->tap) {
        print_one(s, o, seen);
    }
}

/* ---- the run */

static void on_interrupt(void *ctx) {
    ((struct stage *)ctx)->interrupted = "SIGINT";
}
static void on_terminate(void *ctx) {
    ((struct stage *)ctx)->interrupted = "SIGTERM";
}

static void stage_end(struct stage *s) {
    stage_clear(s);
    if (s->side != NULL) {
        s->suite->end(s);
    }
    stage_clear(s);
    for (int i = 0; i < WHO_MAX; i++) {
        real_credential_free(s->credentials[i]);
    }
    world_names_free(s->certs, s->cert_count);
    if (s->tls != NULL) {
        world_tls_free(s->tls);
    }
    certs_ca_free(s->ca);
    EVP_PKEY_free(s->key);
    if (s->dir != NULL) {
        world_file_remove(s->world, s->dir, true, NULL);
    }
    mem_free(s->dir);
    mem_free(s->ca_path);
    variables_free(&s->vars);
    json_decref(s->kept);
    buf_free(&s->transcript);
    real_world_free(s->world);
}

static void summary(const struct stage *s, const struct conform_counts *counts, json_t *list) {
    if (list != NULL) {
        json_t *all =
            json_pack("{s:s, s:s, s:I, s:I, s:I, s:O}", "suite", s->suite->name, "profile",
                      s->opts->profile == CONFORM_STRICT ? "strict" : "reference", "passed", (json_int_t)counts->passed,
                      "failed", (json_int_t)counts->failed, "skipped", (json_int_t)counts->skipped, "cases", list);
        char *text = json_text(all);
        fprintf(s->opts->out, "%s\n", text);
        mem_free(text);
        json_decref(all);
    } else if (!s->opts->tap) {
        fprintf(s->opts->out, "%zu cases: %zu passed, %zu failed, %zu skipped%s\n",
                counts->passed + counts->failed + counts->skipped, counts->passed, counts->failed, counts->skipped,
                s->interrupted != NULL ? " (interrupted)" : "");
    }
}

bool conform_run(const struct conform_suite *suite, const struct conform_opts *given, struct conform_counts *counts,
                 struct error *err) {
    struct conform_opts opts = *given;
    opts.patience_ms = opts.patience_ms != 0 ? opts.patience_ms : 10000;
    struct one *ones;
    size_t count;
    *counts = (struct conform_counts){0, 0, 0};
    if (!chosen(suite, &opts, &ones, &count, err)) {
        return false;
    }
    struct stage s = {.opts = &opts, .suite = suite};
    s.world = real_world_new(err);
    if (s.world == NULL || !real_keylog(s.world, getenv("SSLKEYLOGFILE"), err)) {
        real_world_free(s.world);
        mem_free(ones);
        return false;
    }
    s.kept = json_array();
    list_init(&s.links);
    variables_init(&s.vars);
    char *run_name = str_printf("dalang conform %s", suite->name);
    struct result_property properties[] = {{"profile", opts.profile == CONFORM_STRICT ? "strict" : "reference"},
                                           {"target", opts.target != NULL ? opts.target : "a command"}};
    struct results_opts ro = {.name = run_name,
                              .junit = opts.junit,
                              .tap = opts.tap ? opts.out : NULL,
                              .planned = count,
                              .started_ms = world_wall_ms(s.world),
                              .properties = properties,
                              .property_count = 2};
    bool ok = suite->begin(&s, err);
    struct results *results = ok ? results_new(&ro, err) : NULL;
    mem_free(run_name);
    if (results != NULL) {
        real_signal(s.world, SIGINT, on_interrupt, &s);
        real_signal(s.world, SIGTERM, on_terminate, &s);
        json_t *list = opts.json ? json_array() : NULL;
        bool enough = false;
        for (size_t i = 0; i < count && s.interrupted == NULL && !enough; i++) {
            uint64_t started = world_now_us(s.world);
            play(&s, &ones[i]);
            if (s.interrupted == NULL) {
                *(s.failed ? &counts->failed : s.skipped != NULL ? &counts->skipped : &counts->passed) += 1;
                report(&s, &ones[i], results, list, world_now_us(s.world) - started);
            }
            enough = opts.fail_fast && s.failed;
            stage_clear(&s);
        }
        summary(&s, counts, list);
        json_decref(list);
        ok = results_end(results, s.interrupted, err);
        counts->failed += s.interrupted != NULL ? 1 : 0;
    } else {
        ok = false;
    }
    mem_free(ones);
    stage_end(&s);
    return ok;
}
