/* The other side of a run: where certificates come from, and a program that is started for it. */
#ifndef DALANG_CONFORMANCE_SIDE_H
#define DALANG_CONFORMANCE_SIDE_H

#include "scenarios/conformance/stage.h"

/* The stage's CA, temporary directory and TLS context: from opts->ca with its key or a directory of certificates, or,
 * for a command, a CA made for this run. Error kinds "usage", "conform/…", "certs/…", "world/…". */
bool side_certificates(struct stage *s, struct error *err);
/* Writes a certificate and key (alternative names: NAME, localhost, 127.0.0.1); their paths become the variables
 * ${cert_var} and ${key_var}. */
bool side_issue_files(struct stage *s, const char *name, const char *cert_var, const char *key_var, struct error *err);
uint16_t side_free_port(struct stage *s);

/* A program under test. Its output is kept for the reports of failures. */
struct program {
    struct stage *s;
    struct world_process *process; /* NULL: not running */
    int64_t pid;
    struct buf log;
    bool ended;
    int status, signal;
};
/* Replaces {name} in each word by ${name} of the stage's variables and starts it. */
void program_start(struct stage *s, struct program *p);
/* Sends the signal, waits for the end (then, after the patience, kills it). */
void program_stop(struct program *p, int signal);
void program_free(struct program *p);

#endif
