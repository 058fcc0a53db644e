/* The sub-commands of `dalang`, one file each. Exit codes: 0 success · 1 the job or test failed · 2 usage ·
 * 3 configuration (a port in use, a missing certificate, an unwritable directory …). */
#ifndef DALANG_COMMANDS_H
#define DALANG_COMMANDS_H

#include "base/option.h"

enum { DALANG_OK = 0, DALANG_FAILED = 1, DALANG_USAGE = 2, DALANG_CONFIGURATION = 3 };

struct dalang_command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char *const argv[]); /* argv[0] is the sub-command's name */
    /* Hands its command line (or lines, for one with actions) to `each`; NULL: described elsewhere. */
    void (*describe)(void (*each)(void *ctx, const struct command_line *cl), void *ctx);
};
extern const struct dalang_command dalang_commands[];
extern const size_t dalang_command_count;

/* Parses a sub-command's options. True: go on; false: *code is what to exit with (help, version or a usage error, which
 * has been printed). The words that are no options are in *rest (to be freed by the caller in any case). */
bool dalang_parse(const struct command_line *cl, int argc, char *const argv[], struct option_list *rest, int *code);
/* The same for a command that takes options and nothing else: another word is a usage error. */
bool dalang_parse_only(const struct command_line *cl, int argc, char *const argv[], int *code);
/* Prints "dalang up: <message>" on stderr, clears err and returns DALANG_CONFIGURATION, or DALANG_USAGE for kind
 * "usage". */
int dalang_trouble(const struct command_line *cl, struct error *err);

int up_command(int argc, char *const argv[]);
void up_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx);
int certs_command(int argc, char *const argv[]);
void certs_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx);
int simulate_command(int argc, char *const argv[]);
void simulate_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx);
int fleet_command(int argc, char *const argv[]);
void fleet_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx);
int bench_command(int argc, char *const argv[]);
void bench_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx);
int conform_command(int argc, char *const argv[]);
void conform_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx);
int scenario_command(int argc, char *const argv[]);
void scenario_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx);
int fault_command(int argc, char *const argv[]);
void fault_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx);
int tap_command(int argc, char *const argv[]);
void tap_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx);
int fuzz_command(int argc, char *const argv[]);
void fuzz_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx);
int env_command(int argc, char *const argv[]);
void env_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx);
int completion_command(int argc, char *const argv[]);
void completion_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx);
int man_command(int argc, char *const argv[]);
void man_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx);

#endif
