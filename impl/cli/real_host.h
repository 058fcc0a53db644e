/* The surroundings of a command line program on a real system: terminal, environment, Ctrl-C, the real world. */
#ifndef DALANG_CLI_REAL_HOST_H
#define DALANG_CLI_REAL_HOST_H

#include "cli/cli.h"

/* main() of every puppet-* program: argv[0] names it unless `program` does. */
int cli_main(const char *program, int argc, char *const argv[]);

#endif
