/* Wanting a file: is it there, is it the right one, else fetch it, server after server, round after round. */
#include "agent/core.h"
#include "agent/download.h"
#include "agent/file_digest.h"
#include "agent/files.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

struct want {
    struct list_link link;
    struct agent *agent;
    struct remote_file file; /* its texts belong to `params` and the strings below */
    char *name, *sha256, *uri_path;
    json_t *params;
    char *dir;  /* in the cache */
    char *path; /* where the file has to be */
    bool in_cache;
    bool active; /* others that want the same path wait */
    unsigned round, rounds;
    struct file_digest *digest;
    struct download *download;
    struct timer timer; /* between rounds, or to answer after the call */
    char *error;
    cache_done *done;
    void *ctx;
};

void cache_init(struct cache *c, const char *dir) {
    c->dir = str_dup(dir);
    list_init(&c->wants);
}

void cache_free(struct cache *c) {
    while (!list_empty(&c->wants)) {
        cache_cancel(LIST_ITEM(list_first(&c->wants), struct want, link));
    }
    mem_free(c->dir);
}

/* ---------------------------------------------------------------------------------------- what is asked for */

static bool safe_name(struct span s) {
    return s.len > 0 && s.len <= 255 && !span_eq_cstr(s, ".") && !span_eq_cstr(s, "..") && span_find(s, '/') < 0 &&
           !span_has_nul(s);
}

static bool safe_digest(struct span s) {
    bool safe = safe_name(s);
    for (size_t i = 0; safe && i < s.len; i++) {
        char c = s.ptr[i];
        safe = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
               c == '.';
    }
    return safe && span_find_span(s, SPAN("..")) < 0;
}

bool remote_file_read(const json_t *file, struct span filename, struct remote_file *out, struct error *err) {
    const json_t *uri = json_object_get(file, "uri");
    struct span rest = filename, part;
    while (span_split(&rest, '/', &part)) {
        out->name = part;
    }
    out->sha256 = json_span(json_object_get(file, "sha256"));
    out->path = json_span(json_object_get(uri, "path"));
    out->params = json_object_get(uri, "params");
    if (!safe_name(out->name)) {
        return error_set(err, "agent/file", "invalid file name: '%.*s'", (int)filename.len, filename.ptr);
    }
    if (!safe_digest(out->sha256)) {
        return error_set(err, "agent/file", "invalid sha256 of the file '%.*s'", (int)out->name.len, out->name.ptr);
    }
    return true;
}

/* ---------------------------------------------------------------------------------------- ends */

static void begin(void *ctx);

static void want_free(struct want *w) {
    list_remove(&w->agent->cache.wants, &w->link);
    world_timer_stop(w->agent->world, &w->timer);
    file_digest_cancel(w->digest);
    download_cancel(w->download);
    mem_free(w->name);
    mem_free(w->sha256);
    mem_free(w->uri_path);
    json_decref(w->params);
    mem_free(w->dir);
    mem_free(w->path);
    mem_free(w->error);
    mem_free(w);
}

/* Whoever waited longest for the same path goes on. */
static void wake_next(struct agent *a, const char *path) {
    LIST_EACH (it, &a->cache.wants) {
        struct want *w = LIST_ITEM(it, struct want, link);
        if (!w->active && str_eq(w->path, path)) {
            w->active = true;
            world_timer_start(a->world, &w->timer, 0, begin, w);
            return;
        }
    }
}

static void leave(struct want *w) {
    struct agent *a = w->agent;
    char *path = w->active ? w->path : NULL;
    if (path != NULL) {
        w->path = NULL;
    }
    want_free(w);
    if (path != NULL) {
        wake_next(a, path);
        mem_free(path);
    }
}

void cache_cancel(struct want *w) {
    if (w != NULL) {
        leave(w);
    }
}

static void succeed(struct want *w) {
    cache_done *done = w->done;
    void *ctx = w->ctx;
    char *path = str_dup(w->path);
    leave(w);
    done(ctx, path, NULL);
    mem_free(path);
}

static void fail_finally(struct want *w) {
    cache_done *done = w->done;
    void *ctx = w->ctx;
    char *error = w->rounds > 1 ? str_printf("Failed to download file with: %s", w->error) : str_dup(w->error);
    leave(w);
    done(ctx, NULL, error);
    mem_free(error);
}

static void fail_round(struct want *w, const char *error) {
    mem_free(w->error);
    w->error = str_dup(error);
    w->round++;
    bool hopeless = w->agent->config->primary_count == 0;
    if (w->round >= w->rounds || hopeless) {
        fail_finally(w);
        return;
    }
    log_warn(w->agent->log, "Failed to download the file '%s': %s; trying again in %u seconds", w->name, error,
             1u << (w->round - 1));
    world_timer_start(w->agent->world, &w->timer, 1000u << (w->round - 1), begin, w);
}

/* ---------------------------------------------------------------------------------------- steps */

/* A directory's modification time tells the purge when it was last used. */
static void note_use(struct want *w) {
    struct agent *a = w->agent;
    enum { FRESH_PARTS = 10 };
    struct world_stat st;
    if (a->config->cache_ttl_ms == 0 || !world_file_stat(a->world, w->dir, &st, NULL)) {
        return;
    }
    int64_t age_ms = world_wall_ms(a->world) - st.modified_ms;
    if (age_ms > (int64_t)(a->config->cache_ttl_ms / FRESH_PARTS)) {
        char *mark = str_printf("%s/.used", w->dir);
        world_file_write(a->world, mark, span_of(NULL), CACHE_MODE, WORLD_WRITE_PLAIN, NULL);
        world_file_remove(a->world, mark, false, NULL);
        mem_free(mark);
    }
}

static void downloaded(void *ctx, const char *temp, const char *error) {
    struct want *w = ctx;
    struct world *world = w->agent->world;
    w->download = NULL;
    if (error != NULL) {
        fail_round(w, error);
        return;
    }
    struct error err = ERROR_INIT;
    bool placed =
        (w->in_cache || files_make_parent(world, w->path, &err)) && files_move(world, temp, w->path, CACHE_MODE, &err);
    if (!placed) {
        world_file_remove(world, temp, false, NULL);
        char *text = str_printf("Downloading the file failed. Reason: %s", err.msg);
        error_clear(&err);
        fail_round(w, text);
        mem_free(text);
        return;
    }
    succeed(w);
}

static void checked(void *ctx, const char *hex) {
    struct want *w = ctx;
    w->digest = NULL;
    if (hex != NULL && span_eq_nocase(span_of(w->sha256), hex)) {
        world_file_chmod(w->agent->world, w->path, CACHE_MODE, NULL);
        succeed(w);
        return;
    }
    const char *name = w->in_cache ? w->name : strrchr(w->path, '/') != NULL ? strrchr(w->path, '/') + 1 : w->path;
    w->download = download_start(w->agent, &w->file, name, w->dir, downloaded, w);
}

static void begin(void *ctx) {
    struct want *w = ctx;
    struct error err = ERROR_INIT;
    if (!world_file_mkdir(w->agent->world, w->dir, CACHE_MODE, true, &err)) {
        char *text = str_printf("Failed to create cache dir \"%s\" to download file to: %s", w->dir, err.msg);
        error_clear(&err);
        fail_round(w, text);
        mem_free(text);
        return;
    }
    note_use(w);
    w->digest = file_digest_start(w->agent->world, w->path, checked, w);
}

static struct want *want_new(struct agent *a, const struct remote_file *file, char *path, unsigned rounds,
                             cache_done *done, void *ctx) {
    struct want *w = mem_zalloc(sizeof *w);
    w->agent = a;
    w->name = span_dup(file->name);
    w->sha256 = span_dup(file->sha256);
    w->uri_path = span_dup(file->path);
    w->params = json_incref((json_t *)file->params);
    w->file = (struct remote_file){span_of(w->name), span_of(w->sha256), span_of(w->uri_path), w->params};
    w->dir = str_printf("%s/%s", a->cache.dir, w->sha256);
    w->in_cache = path == NULL;
    w->path = path != NULL ? path : str_printf("%s/%s", w->dir, w->name);
    w->rounds = rounds;
    w->done = done;
    w->ctx = ctx;
    w->active = true;
    LIST_EACH (it, &a->cache.wants) {
        const struct want *other = LIST_ITEM(it, struct want, link);
        w->active = w->active && !(other->active && str_eq(other->path, w->path));
    }
    list_push_back(&a->cache.wants, &w->link);
    if (w->active) {
        world_timer_start(a->world, &w->timer, 0, begin, w); /* done must not be called in here */
    }
    return w;
}

struct want *cache_get(struct agent *a, const struct remote_file *file, cache_done *done, void *ctx) {
    return want_new(a, file, NULL, CACHE_ROUNDS, done, ctx);
}

struct want *cache_place(struct agent *a, const struct remote_file *file, const char *destination, cache_done *done,
                         void *ctx) {
    return want_new(a, file, str_dup(destination), 1, done, ctx);
}

bool cache_in_use(const struct agent *a, const char *sha256) {
    LIST_EACH (it, &a->cache.wants) {
        if (str_eq(LIST_ITEM(it, struct want, link)->sha256, sha256)) {
            return true;
        }
    }
    return false;
}
