/* Files that requests name by URI and SHA-256: kept in a cache, checked before every use, downloaded when needed
 * (agent.md §11.10).
 *
 *     <task cache>/<sha256 as given>/<basename of the file's name>     0750, files 0750 */
#ifndef DALANG_AGENT_CACHE_H
#define DALANG_AGENT_CACHE_H

#include "base/error.h"
#include "base/list.h"
#include "world/world.h"

struct agent;

enum {
    CACHE_MODE = 0750,
    CACHE_ROUNDS = 5,         /* tries over all servers, with 1, 2, 4 and 8 s between them */
    CACHE_FILE_MAX = 1 << 30, /* bytes of one file */
};

struct cache {
    char *dir;
    struct list wants; /* struct want, in the order they came */
};

void cache_init(struct cache *c, const char *dir);
void cache_free(struct cache *c);

/* A file as a request describes it: {filename, uri: {path, params}, sha256}. Borrows. */
struct remote_file {
    struct span name; /* base name: what stands behind the last "/" of filename */
    struct span sha256;
    struct span path;
    const json_t *params; /* object of strings */
};
/* filename: its text. Refuses names and digests that must not become part of a path: kind "agent/file". */
bool remote_file_read(const json_t *file, struct span filename, struct remote_file *out, struct error *err);

/* path NULL: `error` says why. Never called inside the call that caused it. */
typedef void cache_done(void *ctx, const char *path, const char *error);
struct want;
/* The verified file in the cache, downloaded when it is not there; several rounds. */
struct want *cache_get(struct agent *a, const struct remote_file *file, cache_done *done, void *ctx);
/* The same file put at `destination`, which is left alone when it is that file already; one round.
 * Parent directories are created. */
struct want *cache_place(struct agent *a, const struct remote_file *file, const char *destination, cache_done *done,
                         void *ctx);
void cache_cancel(struct want *w); /* NULL is fine */
/* Is something in this directory of the cache being fetched or checked? */
bool cache_in_use(const struct agent *a, const char *sha256);

#endif
