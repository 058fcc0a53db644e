/* dalang: one program, one file per sub-command. */
#include "base/mem.h"
#include "cli/real_host.h"
#include "simulator/dalang/commands.h"
#include <stdio.h>
#include <string.h>

static int job_command(int argc, char *const argv[]) {
    return cli_main("puppet-job", argc, argv);
}
static int task_command(int argc, char *const argv[]) {
    return cli_main("puppet-task", argc, argv);
}
static int plan_command(int argc, char *const argv[]) {
    return cli_main("puppet-plan", argc, argv);
}
static int app_command(int argc, char *const argv[]) {
    return cli_main("puppet-app", argc, argv);
}
static int access_command(int argc, char *const argv[]) {
    return cli_main("puppet-access", argc, argv);
}
static int query_command(int argc, char *const argv[]) {
    return cli_main("puppet-query", argc, argv);
}

const struct dalang_command dalang_commands[] = {
    {"up", "bring up a whole local stack", up_command, up_describe},
    {"certs", "make a CA, issue and revoke certificates", certs_command, certs_describe},
    {"fleet", "virtual agents over real connections against any PCP broker", fleet_command, fleet_describe},
    {"simulate", "run the stack in simulated time, from a seed", simulate_command, simulate_describe},
    {"bench", "throughput, latency and cost of brokers and stacks", bench_command, bench_describe},
    {"conform", "hold any broker, agent or orchestrator against the protocols", conform_command, conform_describe},
    {"scenario", "run, check and list scenario files", scenario_command, scenario_describe},
    {"fault", "faults on a running stack", fault_command, fault_describe},
    {"tap", "show what clients and a PCP broker say, decoded", tap_command, tap_describe},
    {"fuzz", "hostile clients against any broker, a hostile broker against any agent", fuzz_command, fuzz_describe},
    {"env", "print what a shell needs to use a running stack", env_command, env_describe},
    {"job", "puppet-job", job_command, NULL},
    {"task", "puppet-task", task_command, NULL},
    {"plan", "puppet-plan", plan_command, NULL},
    {"app", "puppet-app", app_command, NULL},
    {"access", "puppet-access", access_command, NULL},
    {"query", "puppet-query", query_command, NULL},
    {"completion", "print the completion script of a shell", completion_command, completion_describe},
    {"man", "print a manual page, or write all of them", man_command, man_describe},
};
const size_t dalang_command_count = sizeof(dalang_commands) / sizeof(dalang_commands[0]);

bool dalang_parse(const struct command_line *cl, int argc, char *const argv[], struct option_list *rest, int *code) {
    struct error err = ERROR_INIT;
    switch (option_parse(cl, argc, argv, rest, &err)) {
    case OPTION_PARSED:
        return true;
    case OPTION_HELP:
    case OPTION_VERSION:
        *code = DALANG_OK;
        return false;
    case OPTION_ERROR:
        break;
    }
    *code = dalang_trouble(cl, &err);
    return false;
}

bool dalang_parse_only(const struct command_line *cl, int argc, char *const argv[], int *code) {
    struct option_list words = {NULL, 0};
    bool ok = dalang_parse(cl, argc, argv, &words, code);
    if (ok && words.count > 0) {
        struct error err = ERROR_INIT;
        error_set(&err, "usage", "\"%s\" is no option", words.items[0]);
        *code = dalang_trouble(cl, &err);
        ok = false;
    }
    option_list_free(&words);
    return ok;
}

int dalang_trouble(const struct command_line *cl, struct error *err) {
    int code = error_is(err, "usage") ? DALANG_USAGE : DALANG_CONFIGURATION;
    fprintf(stderr, "%s: %s\n", cl->program, err->msg);
    error_clear(err);
    return code;
}

static void print_usage(FILE *to) {
    fprintf(to, "dalang: Puppet's orchestration stack, and everything to test against it\n\n"
                "Usage: dalang COMMAND [OPTIONS]\n\nCommands:\n");
    for (size_t i = 0; i < dalang_command_count; i++) {
        fprintf(to, "  %-12s %s\n", dalang_commands[i].name, dalang_commands[i].summary);
    }
    fprintf(to, "\ndalang COMMAND --help shows a command's options.\n");
}

int main(int argc, char **argv) {
    mem_init_libraries();
    const char *word = argc > 1 ? argv[1] : NULL;
    if (word == NULL) {
        print_usage(stderr);
        return DALANG_USAGE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_usage(stdout);
        return DALANG_OK;
    }
    if (strcmp(word, "--version") == 0) {
        printf("dalang %s\n", DALANG_VERSION);
        return DALANG_OK;
    }
    const char *names[sizeof(dalang_commands) / sizeof(dalang_commands[0])];
    for (size_t i = 0; i < dalang_command_count; i++) {
        if (strcmp(word, dalang_commands[i].name) == 0) {
            return dalang_commands[i].run(argc - 1, argv + 1);
        }
        names[i] = dalang_commands[i].name;
    }
    const char *near = nearest_word(word, names, dalang_command_count);
    fprintf(stderr, "dalang: there is no command \"%s\"", word);
    fprintf(stderr, near != NULL ? "; did you mean %s?\n" : "; see dalang --help\n", near != NULL ? near : "");
    return DALANG_USAGE;
}
