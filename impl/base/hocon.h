/* Configuration files in HOCON, as Puppet's services use it: JSON with comments, keys and strings without quotes, "="
 * or nothing instead of ":", dotted keys, "+=", merging of objects, ${references} and ${?optional ones}, triple quotes.
 *
 *     struct hocon *h = hocon_new(&opts);
 *     hocon_add(h, "conf.d/a.conf", text_a, &err) && hocon_add(h, "conf.d/b.conf", text_b, &err) && hocon_resolve(h,
 * &err) json_t *root = hocon_root(h);          // what comes later is merged over what came before hocon_where(h, root,
 * "webserver", &b); // "conf.d/b.conf:3:1"
 *
 * A reference is looked up in the merged files, then among the environment variables that opts.env gives.
 * Errors have kind "config/syntax" and a message that starts with "file:line:column: ". */
#ifndef DALANG_BASE_HOCON_H
#define DALANG_BASE_HOCON_H

#include "base/bytes.h"
#include "base/error.h"

enum {
    HOCON_TEXT_MAX = 4 * 1024 * 1024,   /* bytes of one file */
    HOCON_DEPTH_MAX = 64,               /* nesting of brackets, references, includes */
    HOCON_ITEMS_MAX = 100 * 1000,       /* elements of an array or object */
    HOCON_JOINED_MAX = 4 * 1024 * 1024, /* bytes, elements and members made by joining values, all together */
};

struct hocon_opts {
    const char *(*env)(void *ctx, const char *name); /* NULL: no variables */
    /* Reads what an include names (appends to *text; the caller confines the path). NULL: includes are errors.
     * False with err unset: there is no such file, which only include required(...) minds. */
    bool (*include)(void *ctx, const char *name, struct buf *text, struct error *err);
    void *ctx;
};

struct hocon;
struct hocon *hocon_new(const struct hocon_opts *opts); /* opts may be NULL; copied */
void hocon_free(struct hocon *h);
/* Merges a file over what is there. `name` is for messages only. After an error h is only good for freeing. */
bool hocon_add(struct hocon *h, const char *name, struct span text, struct error *err);
/* Replaces references; once, after the last hocon_add(). */
bool hocon_resolve(struct hocon *h, struct error *err);
/* The result, always an object; borrowed, do not change it. */
json_t *hocon_root(const struct hocon *h);
/* Where the value of `key` in this object of the result stands: appends "file:line:column". Unknown: the file names
 * only. */
void hocon_where(const struct hocon *h, const json_t *object, const char *key, struct buf *out);
/* The same for the i-th element of an array. */
void hocon_where_at(const struct hocon *h, const json_t *array, size_t i, struct buf *out);

/* A number with an optional unit: ms (also without unit: `bare_ms` milliseconds each), s, m, h, d, w, y and the long
 * names HOCON knows ("seconds", "minutes" …). */
bool hocon_duration(struct span text, uint64_t bare_ms, uint64_t *ms);

#endif
