/* A broker's configuration from the packaged layout of HOCON files (pcp.md §17): the sections pcp-broker, webserver,
 * web-router-service, authorization, global and metrics, and `dalang` for what only we have. */
#ifndef DALANG_BROKER_SETTINGS_H
#define DALANG_BROKER_SETTINGS_H

#include "broker/broker.h"

struct broker_log_settings {
    const char *level;       /* NULL: "info" */
    const char *format;      /* "text" (NULL) or "json" */
    const char *file;        /* NULL: standard error */
    const char *access_file; /* PCP access log; NULL: none */
    const char *http_file;   /* HTTP access log; NULL: none */
};

struct broker_settings {
    struct broker_config config; /* strings belong to the settings */
    struct broker_log_settings log;
    bool targets_alias;  /* rules may say "targets" for "target" */
    struct rules *rules; /* take it (set NULL) before broker_new() */
    /* One line each, with its place: unknown keys and what is accepted without effect. */
    char **warnings;
    size_t warning_count;
    /* private */
    size_t warning_cap;
    struct hocon *files;
    char **strings;
    size_t string_count, string_cap;
};

/* Each path is a file, or a directory whose *.conf files are read in the order of their names; later ones are merged
 * over earlier ones. Includes are looked up beside the including path and confined to it. `env` gives environment
 * variables. Error kinds: "config/syntax", "config/authorization", "broker/config" (all name file, line and key),
 * "world/…" for files. */
struct broker_settings *broker_settings_load(struct world *w, const char *const *paths, size_t count,
                                             const char *command_line, /* HOCON merged over the files; may be NULL */
                                             const char *(*env)(void *ctx, const char *name), void *ctx,
                                             struct error *err);
void broker_settings_free(struct broker_settings *s);

#endif
