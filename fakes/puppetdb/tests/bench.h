/* The fake on the bench of fakes/tests/rig.h, filled with a small population. */
#ifndef DALANG_FAKES_PUPPETDB_TESTS_BENCH_H
#define DALANG_FAKES_PUPPETDB_TESTS_BENCH_H

#include "fakes/puppetdb/puppetdb.h"
#include "fakes/tests/rig.h"

/* As a state: nodes a1, a2 (staging), b1 and the deactivated z9, reports of a2 and b1. */
extern const char bench_population[];

struct bench {
    struct rig rig;
    struct fake_puppetdb *p;
    const char *cn; /* of who asks; NULL: no certificate */
    const char *token;
};

/* Opts of NULL: the population. */
struct bench bench_up(const struct fake_puppetdb_opts *opts);
void bench_down(struct bench *b);
/* cmocka's setup and teardown, with the population. */
int bench_set_up(void **state);
int bench_tear_down(void **state);

/* The path may hold blanks, brackets and ' for ": they are encoded. */
struct reply bench_get(struct bench *b, const char *path);
/* JSON with ' for ". */
struct reply bench_post(struct bench *b, const char *path, const char *body);
/* The body, of an answer with this status, is this JSON (' for "), or begins with this text. */
void bench_expect(struct bench *b, const char *path, int status, const char *expected);
void bench_expect_post(struct bench *b, const char *path, const char *body, int status, const char *expected);
/* A command that is processed, or dropped: waits for the outcome. */
void bench_command(struct bench *b, const char *name, int version, const char *certname, const char *payload,
                   bool processed);
/* What the query (PQL or AST, as it is) finds is this JSON (' for "). */
void bench_finds(struct bench *b, const char *query, const char *expected);

#endif
