/* dalang conform: holds any broker, agent or orchestrator against the protocols, case by case. */
#include "base/mem.h"
#include "scenarios/conformance/suite.h"
#include "simulator/dalang/commands.h"
#include <stdio.h>
#include <string.h>

struct conform_args {
    struct conform_opts opts;
    const char *profile, *table;
    bool list;
};

enum { CONFORM_OPTION_COUNT = 32 };

static const struct command_line *conform_line(struct conform_args *a, struct option table[CONFORM_OPTION_COUNT]) {
    static struct conform_args unused;
    static struct option unused_table[CONFORM_OPTION_COUNT];
    static struct command_line cl = {
        "dalang conform", "broker | agent | orchestrator  [OPTIONS] [-- COMMAND…]",
        "hold any broker, agent or orchestrator against the protocols",
        "Each case has an id, says in a line what must hold and where that is written down; it passes, fails (with "
        "what was\n"
        "expected, what came and everything that was said) or is skipped (with the reason).\n\n"
        "Behind -- stands a command that starts the program under test; {config} is replaced by the configuration made "
        "for\n"
        "it, in the format of the reference programs:\n\n"
        "  dalang conform broker -- dalang-broker --config {config}\n"
        "  dalang conform agent -- pxp-agent --foreground --config-file {config}\n"
        "  dalang conform broker --target wss://broker:8142 --ca ca.pem --ca-key ca.key\n"
        "  dalang conform orchestrator --target https://pe:8143 --ca ca.pem --token ~/.puppetlabs/token\n\n"
        "A program that runs already is judged with --target; cases that need it configured for them are skipped "
        "then,\n"
        "and so is what the rules of a broker forbid. SSLKEYLOGFILE is honoured.\n"
        "The reference profile takes every answer that the reference programs or ours are known to give and says which "
        "it\n"
        "was; strict takes ours only.",
        NULL};
    a = a != NULL ? a : &unused;
    table = table != NULL ? table : unused_table;
    struct conform_opts *o = &a->opts;
    const struct option all[] = {
        {OPTION_STRING, "target", 't', "URL",
         "Where it is: wss://HOST:PORT of a broker, https://HOST:PORT of an orchestrator.", &o->target},
        {OPTION_STRING, "ca", 0, "FILE", "Certificate of the authority that is trusted, PEM.", &o->ca},
        {OPTION_STRING, "ca-key", 0, "FILE", "Its private key: clients' certificates are made with it, in memory.",
         &o->ca_key},
        {OPTION_STRING, "certs", 0, "DIR",
         "Instead: NAME.pem and NAME.key of clients, used in the order of their names.", &o->certs},
        {OPTION_STRING, "profile", 'p', "NAME", "reference or strict; the default is reference.", &a->profile},
        {OPTION_STRING, "only", 'o', "REGEX", "Only cases whose id matches.", &o->only},
        {OPTION_FLAG, "fail-fast", 'x', NULL, "Stop at the first case that fails.", &o->fail_fast},
        {OPTION_DURATION, "patience", 0, "TIME", "How long an answer is waited for; the default is 10s.",
         &o->patience_ms},
        {OPTION_HEADING, NULL, 0, NULL, "Broker", NULL},
        {OPTION_STRING, "v1", 0, "PATH", "Route of PCP v1; the default is /pcp.", &o->v1},
        {OPTION_STRING, "v2", 0, "PATH", "Route of PCP v2; the default is /pcp2; empty when there is none.", &o->v2},
        {OPTION_HEADING, NULL, 0, NULL, "Agent", NULL},
        {OPTION_UINT, "listen", 'l', "PORT", "Port on which the agent finds its broker; the default is a free one.",
         &o->listen},
        {OPTION_UINT, "files", 0, "PORT", "Port of the server its files come from; the default is a free one.",
         &o->files},
        {OPTION_STRING, "modules", 0, "DIR",
         "The modules-dir of an agent that we do not start: the suite's modules are written there first.", &o->modules},
        {OPTION_HEADING, NULL, 0, NULL, "Orchestrator", NULL},
        {OPTION_STRING, "token", 0, "FILE", "File with the token of a user who may do everything.", &o->token},
        {OPTION_STRING, "expired-token", 0, "FILE", "File with a token that has expired.", &o->expired_token},
        {OPTION_STRING, "denied-token", 0, "FILE", "File with the token of a user who may do nothing.",
         &o->denied_token},
        {OPTION_STRING, "node", 0, "NAME", "A node that is connected; the default is the first in the inventory.",
         &o->node},
        {OPTION_STRING, "task", 0, "NAME",
         "A task without required parameters; the default is facts, or the first one.", &o->task},
        {OPTION_STRING, "environment", 0, "NAME", "Where its tasks are; the default is production.", &o->environment},
        {OPTION_HEADING, NULL, 0, NULL, "Output", NULL},
        {OPTION_FLAG, "list", 0, NULL, "Print the cases instead of running them.", &a->list},
        {OPTION_STRING, "table", 0, "DIR",
         "Print the table of the checklists in DIR and the cases that hold their lines.", &a->table},
        {OPTION_STRING, "junit", 0, "FILE", "Write JUnit XML; whole after every case.", &o->junit},
        {OPTION_FLAG, "tap", 0, NULL, "Print TAP.", &o->tap},
        {OPTION_FLAG, "json", 0, NULL, "Print one JSON object at the end (or a list, with --list).", &o->json},
        {OPTION_FLAG, "verbose", 'v', NULL, "Print what was said in cases that passed too.", &o->verbose},
        OPTION_END,
    };
    memcpy(table, all, sizeof(all));
    cl.options = table;
    return &cl;
}

void conform_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    each(ctx, conform_line(NULL, NULL));
}

static const struct conform_suite *suite_named(const char *name) {
    for (size_t i = 0; conform_suites[i] != NULL; i++) {
        if (strcmp(conform_suites[i]->name, name) == 0) {
            return conform_suites[i];
        }
    }
    return NULL;
}

static bool print_table(const char *dir, struct error *err) {
    struct buf text = BUF_INIT;
    bool ok = conform_table(dir, &text, err);
    if (ok) {
        fwrite(text.ptr, 1, text.len, stdout);
    }
    buf_free(&text);
    return ok;
}

static bool act(struct conform_args *a, const struct option_list *words, bool *good, struct error *err) {
    *good = true;
    if (a->table != NULL) {
        return print_table(a->table, err);
    }
    const struct conform_suite *suite = words->count > 0 ? suite_named(words->items[0]) : NULL;
    if (suite == NULL) {
        return words->count > 0
                   ? error_set(err, "usage", "there is no suite \"%s\": name broker, agent or orchestrator",
                               words->items[0])
                   : error_set(err, "usage", "name a suite: broker, agent or orchestrator");
    }
    if (a->profile != NULL && strcmp(a->profile, "strict") != 0 && strcmp(a->profile, "reference") != 0) {
        return error_set(err, "usage", "--profile: \"%s\" is none; there are reference and strict", a->profile);
    }
    if (a->opts.tap && a->opts.json) {
        return error_set(err, "usage", "--tap and --json both print to the standard output: choose one");
    }
    a->opts.profile = a->profile != NULL && strcmp(a->profile, "strict") == 0 ? CONFORM_STRICT : CONFORM_REFERENCE;
    a->opts.command = words->count > 1 ? (const char *const *)words->items + 1 : NULL;
    a->opts.out = stdout;
    if (a->list) {
        return conform_list(suite, &a->opts, err);
    }
    struct conform_counts counts;
    bool ok = conform_run(suite, &a->opts, &counts, err);
    *good = counts.failed == 0;
    return ok;
}

int conform_command(int argc, char *const argv[]) {
    struct conform_args args = {.table = NULL};
    static struct option table[CONFORM_OPTION_COUNT];
    const struct command_line *cl = conform_line(&args, table);
    struct option_list words = {NULL, 0};
    int code = DALANG_OK;
    if (dalang_parse(cl, argc, argv, &words, &code)) {
        const char **items = mem_array(words.count + 1, sizeof(*items)); /* ends with NULL, as a command does */
        for (size_t i = 0; i < words.count; i++) {
            items[i] = words.items[i];
        }
        struct option_list terminated = {items, words.count};
        struct error err = ERROR_INIT;
        bool good;
        code = !act(&args, &terminated, &good, &err) ? dalang_trouble(cl, &err) : good ? DALANG_OK : DALANG_FAILED;
        mem_free((void *)items);
    }
    option_list_free(&words);
    return code;
}
