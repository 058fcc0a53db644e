/* From argv to an action. */
#include "cli/cli.h"

#include "base/mem.h"
#include "cli/internal.h"
#include <string.h>

bool cli_is_program(const char *program) {
    for (size_t i = 0; i < cli_action_count; i++) {
        if (strcmp(cli_actions[i].program, program) == 0) {
            return true;
        }
    }
    return false;
}

static const struct cli_action *find(const char *program, const char *action) {
    for (size_t i = 0; i < cli_action_count; i++) {
        const struct cli_action *a = &cli_actions[i];
        if (strcmp(a->program, program) == 0 && (a->action == NULL || str_eq(a->action, action))) {
            return a;
        }
    }
    return NULL;
}

static void print_overview(const struct cli_host *host, const char *program, FILE *to) {
    fprintf(to, "Usage: %s ACTION [OPTIONS]\n\nActions:\n", program);
    for (size_t i = 0; i < cli_action_count; i++) {
        if (strcmp(cli_actions[i].program, program) == 0) {
            fprintf(to, "  %-20s %s\n", cli_actions[i].action, cli_actions[i].summary);
        }
    }
    fprintf(to, "\n%s ACTION --help shows an action's options.\n", program);
    (void)host;
}

static int no_action(const struct cli_host *host, const char *program, const char *word) {
    if (word != NULL && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)) {
        print_overview(host, program, host->out);
        return EXIT_DONE;
    }
    if (word != NULL && strcmp(word, "--version") == 0) {
        fprintf(host->out, "%s %s\n", program, DALANG_VERSION);
        return EXIT_DONE;
    }
    if (word == NULL) {
        print_overview(host, program, host->err);
        return EXIT_TROUBLE;
    }
    const char *known[16];
    size_t count = 0;
    for (size_t i = 0; i < cli_action_count; i++) {
        if (strcmp(cli_actions[i].program, program) == 0) {
            known[count++] = cli_actions[i].action;
        }
    }
    const char *near = nearest_word(word, known, count);
    fprintf(host->err, "Error: %s has no action \"%s\"", program, word);
    fprintf(host->err, near != NULL ? "; did you mean %s?\n" : "; see %s --help\n", near != NULL ? near : program);
    return EXIT_TROUBLE;
}

static void fill_command_line(const struct cli_action *a, struct cli_args *args, struct option *table,
                              struct command_line *cl, char **program) {
    size_t count = a->options(args, table);
    table[count] = (struct option)OPTION_END;
    *program = a->action != NULL ? str_printf("%s %s", a->program, a->action) : str_dup(a->program);
    *cl = (struct command_line){*program, a->synopsis, a->summary, a->description, table};
}

int cli_run(const struct cli_host *host, const char *program, int argc, char *const argv[]) {
    const char *word = argc > 1 ? argv[1] : NULL;
    const struct cli_action *a = find(program, word);
    if (a != NULL && a->action == NULL && argc == 2 && strcmp(word, "-v") == 0) { /* as puppet-query has it */
        fprintf(host->out, "%s %s\n", program, DALANG_VERSION);
        return EXIT_DONE;
    }
    if (a == NULL) {
        return no_action(host, program, word);
    }
    struct cli cli = {.host = host, .program = a->program, .action = a->action, .args = {.color = true, .limit = 50}};
    struct option table[OPTIONS_MAX];
    struct command_line cl;
    char *name;
    fill_command_line(a, &cli.args, table, &cl, &name);
    struct error err = ERROR_INIT;
    int skip = a->action != NULL ? 1 : 0;
    int code = EXIT_DONE;
    switch (option_parse(&cl, argc - skip, argv + skip, &cli.words, &err)) {
    case OPTION_PARSED:
        if (cli.args.format != NULL && strcmp(cli.args.format, "human") != 0 && strcmp(cli.args.format, "json") != 0) {
            error_set(&err, "usage", "--format is human or json, not \"%s\"", cli.args.format);
            code = report_error(&cli, &err);
        } else {
            cli.json = str_eq(cli.args.format, "json");
            code = a->run(&cli);
        }
        break;
    case OPTION_HELP:
    case OPTION_VERSION:
        break;
    case OPTION_ERROR:
        code = report_error(&cli, &err);
        break;
    }
    connect_free(&cli);
    error_clear(&err);
    option_list_free(&cli.words);
    mem_free(name);
    fflush(host->out);
    return code;
}

void cli_each_command(void (*each)(void *ctx, const char *program, const char *action, const struct command_line *cl),
                      void *ctx) {
    for (size_t i = 0; i < cli_action_count; i++) {
        struct cli_args args = {0};
        struct option table[OPTIONS_MAX];
        struct command_line cl;
        char *name;
        fill_command_line(&cli_actions[i], &args, table, &cl, &name);
        each(ctx, cli_actions[i].program, cli_actions[i].action, &cl);
        mem_free(name);
    }
}
