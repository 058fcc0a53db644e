/* The programs people know: puppet-job, puppet-task, puppet-plan, puppet-app, puppet-access, puppet-query (cli.md).
 * One library; a program's main() makes a host and calls cli_run(). Also behind `dalang job …`, `dalang task …`. */
#ifndef DALANG_CLI_H
#define DALANG_CLI_H

#include "base/option.h"
#include "world/world.h"
#include <stdio.h>

/* What a program's surroundings give it. */
struct cli_host {
    struct world *world;
    void (*turn)(struct world *w); /* runs the loop until something has happened */
    FILE *in, *out, *err;
    bool in_tty, out_tty;
    bool no_color;          /* NO_COLOR is set */
    const char *home;       /* $HOME or NULL */
    const char *stack_dir;  /* $DALANG_DIR or NULL: its client-tools/ stands for ~/.puppetlabs/client-tools/ */
    const char *global_dir; /* "/etc/puppetlabs/client-tools" */
    /* Counts the Ctrl-Cs so far. */
    unsigned (*interrupts)(void *ctx);
    int (*utc_offset_s)(void *ctx, int64_t wall_ms); /* of local time, at that moment */
    /* Width of the terminal now; 0: unknown. */
    unsigned (*columns)(void *ctx);
    /* Prompts on the terminal and reads a line, a secret one without echo; false at end of input or after Ctrl-C. */
    bool (*read_line)(void *ctx, const char *prompt, bool secret, struct buf *line);
    void *ctx;
};

/* program: "puppet-job" …; argv[0] is ignored. Returns the exit code (cli.md §8.1):
 * 0 done, every node succeeded · 1 usage, configuration, connection or API error · 2 ran, and something failed ·
 * 130 ended by Ctrl-C after stopping the job. */
int cli_run(const struct cli_host *host, const char *program, int argc, char *const argv[]);
bool cli_is_program(const char *program);

/* Every command line there is, for man pages and shell completion: program "puppet-job", action "run" (NULL for a
 * program without actions). The option table lives until the call returns. */
void cli_each_command(void (*each)(void *ctx, const char *program, const char *action, const struct command_line *cl),
                      void *ctx);

#endif
