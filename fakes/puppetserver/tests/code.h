/* A Puppet Server fake on the bench with a code directory written by the test. */
#ifndef DALANG_FAKES_PUPPETSERVER_TESTS_CODE_H
#define DALANG_FAKES_PUPPETSERVER_TESTS_CODE_H

#include "fakes/puppetserver/puppetserver.h"
#include "fakes/tests/rig.h"

#define ENVIRONMENTS "/code/environments/"

struct code_bench {
    struct rig rig;
    struct fake_puppetserver *ps;
    json_t *commands; /* array of {"command", "version", "certname", "payload"} */
    json_t *rows;     /* what PuppetDB answers to each query; NULL: an error */
    json_t *queries;
};

/* codedir /code, orchestrator "orch". state: more keys, JSON with ' for ", or NULL. */
void code_open(struct code_bench *b, const char *state);
void code_close(struct code_bench *b);
void code_free(struct code_bench *b); /* after rig_stop() */
/* Writes a file below /code/environments/; directories are made. */
void code_file(struct code_bench *b, const char *path, const char *text);
/* A question of the orchestrator. */
json_t *code_get(struct code_bench *b, const char *path, int status);
/* The text of an answer without JSON; mem_free() it. */
char *code_text(struct code_bench *b, const char *path, int status);

#endif
