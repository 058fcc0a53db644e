/* Child processes that are measured from outside. */
#ifndef DALANG_BENCH_MEASURE_H
#define DALANG_BENCH_MEASURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
    pid_t pid;    /* 0: none */
    int to, from; /* its standard input and output */
};
/* Runs this program again with these arguments. */
bool child_start(struct child *c, const char *const *argv);
bool child_says(struct child *c, const char *word); /* its next line is that word */
void child_go_on(struct child *c);                  /* a line to its standard input */
void child_end(struct child *c);

#endif
