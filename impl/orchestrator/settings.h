/* The configuration from the packaged layout of HOCON files (orchestrator-jobs.md §12.2, §12.3): the sections
 * orchestrator, webserver (directly, or its server `orchestrator`), global.certs, and `dalang` for our logs. Sections
 * of the other programs that live in the same directory are left alone. */
#ifndef DALANG_ORCHESTRATOR_SETTINGS_H
#define DALANG_ORCHESTRATOR_SETTINGS_H

#include "orchestrator/orchestrator.h"

struct orchestrator_settings {
    struct orchestrator_config config; /* strings belong to the settings */
    const char *log_level;             /* NULL: "info" */
    const char *log_format;            /* "text" (NULL) or "json" */
    const char *log_file;              /* NULL: standard error */
    const char *access_log_file;       /* NULL: none */
    char **warnings;                   /* one line each, with its place: unknown keys */
    size_t warning_count;
    /* private */
    size_t warning_cap;
    struct hocon *files;
};

/* Each path is a file, or a directory whose *.conf files are read in the order of their names; later ones are merged
 * over earlier ones, `text` (from the command line, may be NULL) over all. `env` gives environment variables; may be
 * NULL. Error kinds: "config/syntax", "configuration" (naming file, line and key), "world/…" for files. */
struct orchestrator_settings *orchestrator_settings_load(struct world *w, const char *const *paths, size_t count,
                                                         const char *text,
                                                         const char *(*env)(void *ctx, const char *name), void *ctx,
                                                         struct error *err);
void orchestrator_settings_free(struct orchestrator_settings *s);

#endif
