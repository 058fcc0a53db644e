/* Running our executables as a person or a script does: in a pipe or on a terminal, typing, watching what appears.
 * Every wait is for a condition and has a limit; a limit reached fails the test with what was seen so far. Programs
 * that a failed test leaves behind end with it (guardian.h). */
#ifndef DALANG_TESTS_PROGRAMS_H
#define DALANG_TESTS_PROGRAMS_H

#include "base/bytes.h"
#include <stdbool.h>
#include <sys/types.h>

enum { ARGV_MAX = 40, ENV_MAX = 6, WAIT_LIMIT_S = 180 };

struct program {
    const char *argv[ARGV_MAX]; /* argv[0]: a program of ours, or a path with '/'; NULL-terminated */
    const char *env[ENV_MAX];   /* "NAME=value" set, "NAME" unset; the rest is inherited */
    const char *dir;            /* working directory; NULL: ours */
    const char *input;          /* standard input; NULL: empty */
    unsigned columns;           /* 0: pipes. Else a terminal of this width, for input, output and errors */
};

struct running {
    pid_t pid;
    int in, out, err; /* -1: closed; on a terminal `in` and `out` are its other end and err is -1 */
    struct buf out_text, err_text;
    bool ended;
    int code;
};

void program_start(struct running *r, const struct program *p);
/* Waits until `what` has appeared in output or errors; fails the test when the program ends before. */
void program_await(struct running *r, const char *what);
void program_type(struct running *r, const char *text); /* "\003": Ctrl-C, on a terminal */
/* Ends its input, reads what is left, waits. The exit code; 128 + N: ended by signal N. */
int program_finish(struct running *r);
void program_free(struct running *r); /* ends it if it still runs */

/* Runs it to its end; fails, showing all, unless code, output and errors are as wanted (by glob_match(); NULL: not
 * looked at). On a terminal everything is in `out`, with "\r\n" as line ends. */
void expect_program(const struct program *p, int code, const char *out, const char *err);
/* The same, giving the output; mem_free() it. */
char *output_of(const struct program *p, int code);

/* Waits until it holds; fails the test with `what` after WAIT_LIMIT_S. */
void await(bool (*holds)(void *ctx), void *ctx, const char *what);

char *make_temporary_dir(void); /* mem_free() the path */
void remove_tree(const char *path);
void write_file(const char *dir, const char *name, const char *text); /* directories on the way are made */
char *read_file(const char *dir, const char *name);                   /* fails when it is not there; mem_free() it */
bool path_exists(const char *dir, const char *name);

#endif
