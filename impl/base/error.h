/* Errors are values, in the shape users see: {kind, msg, details} (orchestrator-api.md §1.6).
 * A function that can fail takes a `struct error *` last and returns false / NULL after setting it.
 * The error owns msg and details; error_clear() releases them. An error that was never set is all zero. */
#ifndef DALANG_BASE_ERROR_H
#define DALANG_BASE_ERROR_H

#include <jansson.h>
#include <stdbool.h>

struct error {
    const char *kind; /* static string, for example "puppetlabs.orchestrator/unknown-job"; NULL: not set */
    char *msg;        /* one sentence for a person */
    json_t *details;  /* object or NULL */
};

#define ERROR_INIT                                                                                                     \
    { NULL, NULL, NULL }

/* Sets the error (dropping an earlier one) and returns false, so that `return error_set(...)` reads well.
 * err may be NULL: the caller does not want to know. `details` (may be NULL) is stolen. */
bool error_set(struct error *err, const char *kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool error_set_details(struct error *err, const char *kind, json_t *details, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Puts "prefix: " before the message. */
bool error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool error_is_set(const struct error *err);
bool error_is(const struct error *err, const char *kind);
void error_move(struct error *to, struct error *from);
void error_clear(struct error *err);
json_t *error_to_json(const struct error *err); /* new reference: {kind, msg, details} */

#endif
