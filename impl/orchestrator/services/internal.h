/* Shared by the files of services/ only: one question to one service. */
#ifndef DALANG_ORCHESTRATOR_SERVICES_INTERNAL_H
#define DALANG_ORCHESTRATOR_SERVICES_INTERNAL_H

#include "base/json.h"
#include "base/map.h"
#include "orchestrator/services/asks.h"

struct services {
    struct world *world;
    const struct orchestrator_config *config;
    struct world_tls *tls;
    const struct logger *log;
    struct list asks;
    struct map subjects; /* hex SHA-256 of a token -> struct cached_subject */
};

struct ask;
/* Reads an answer: returns a new reference for `done`, or NULL after setting err. */
typedef json_t *ask_reader(struct ask *ask, const struct world_response *r, struct error *err);

struct ask {
    struct list_link link;
    struct services *services;
    struct world_fetch *fetch;
    ask_reader *read;
    services_answer *done;
    void *ctx;
    /* What the reader may want to know of the question. */
    char *subject, *detail;
};

struct ask_opts {
    const char *method; /* NULL: GET */
    char *url;          /* taken over */
    json_t *body;       /* stolen, or NULL */
    const char *token;  /* the user's, or NULL: our certificate speaks */
    ask_reader *read;
    const char *subject, *detail; /* copied */
};
struct ask *ask_start(struct services *s, const struct ask_opts *opts, services_answer *done, void *ctx);

/* The body as JSON, or NULL with err "puppetlabs.orchestrator/unknown-error" that names the service. */
json_t *ask_json(const struct world_response *r, const char *service, struct error *err);
void cached_subjects_free(struct services *s);
char *percent_encoded(const char *text); /* for one path or query part; mem_free() it */

#endif
