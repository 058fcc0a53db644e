/* file download: puts files, directories and symbolic links in place, in order (agent.md §11.7). */
#include "agent/files.h"
#include "agent/job.h"
#include "agent/spool.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

struct download_job {
    size_t next; /* of params.files */
    struct want *want;
};

static void place_next(struct job *job);

static void abandon(struct job *job) {
    struct download_job *d = job->state;
    cache_cancel(d->want);
    mem_free(d);
    job->state = NULL;
}

static void fail_with(struct job *job, struct error *err) {
    abandon(job);
    job_failed(job, "%s", err->msg);
    error_clear(err);
}

/* ---------------------------------------------------------------------------------------- kinds */

static bool place_directory(struct world *w, const json_t *entry, struct error *err) {
    const char *destination = json_str(entry, "destination");
    struct world_stat st;
    if (world_file_stat(w, destination, &st, NULL) && !st.is_dir) {
        return error_set(err, "agent/file", "Destination \"%s\" already exists and is not a directory!", destination);
    }
    return world_file_mkdir(w, destination, CACHE_MODE, true, err);
}

static bool place_link(struct world *w, const json_t *entry, struct error *err) {
    const char *destination = json_str(entry, "destination");
    struct world_stat st;
    if (world_file_lstat(w, destination, &st, NULL)) {
        return st.is_link ||
               error_set(err, "agent/file", "Destination \"%s\" already exists and is not a symlink!", destination);
    }
    return world_file_symlink(w, json_str(entry, "link_source"), destination, err);
}

static void placed(void *ctx, const char *path, const char *error) {
    struct job *job = ctx;
    struct download_job *d = job->state;
    (void)path;
    d->want = NULL;
    if (error != NULL) {
        char *text = str_dup(error);
        abandon(job);
        job_failed(job, "%s", text);
        mem_free(text);
        return;
    }
    place_next(job);
}

/* The name for errors and for the cache is the destination's. */
static bool place_file(struct job *job, const json_t *entry, struct error *err) {
    struct download_job *d = job->state;
    const char *destination = json_str(entry, "destination");
    struct remote_file file;
    if (!remote_file_read(entry, span_of(destination), &file, err)) {
        return false;
    }
    d->want = cache_place(job->agent, &file, destination, placed, job);
    return true;
}

/* ---------------------------------------------------------------------------------------- sequence */

static void finish(struct job *job) {
    static const char said[] = "downloaded";
    abandon(job);
    if (job->dir != NULL) {
        static const struct {
            const char *name, *text;
            enum world_write how;
        } files[] = {{"stdout", said, WORLD_WRITE_PLAIN},
                     {"stderr", "", WORLD_WRITE_PLAIN},
                     {"exitcode", "0\n", WORLD_WRITE_ATOMIC}};
        struct error err = ERROR_INIT;
        bool ok = true;
        for (size_t i = 0; ok && i < sizeof files / sizeof files[0]; i++) {
            char *path = str_printf("%s/%s", job->dir, files[i].name);
            ok = world_file_write(job->agent->world, path, span_of(files[i].text), SPOOL_FILE_MODE, files[i].how,
                                  &err) &&
                 (files[i].how == WORLD_WRITE_ATOMIC || world_file_sync(job->agent->world, path, &err));
            mem_free(path);
        }
        if (!ok) {
            job_failed(job, "%s", err.msg);
            error_clear(&err);
            return;
        }
    }
    job_output(job, 0, span_of(said), span_of(NULL));
}

static void place_next(struct job *job) {
    struct download_job *d = job->state;
    struct world *w = job->agent->world;
    const json_t *files = json_object_get(job->request.params, "files");
    while (d->next < json_array_size(files)) {
        const json_t *entry = json_array_get(files, d->next++);
        const char *kind = json_str(entry, "kind");
        struct error err = ERROR_INIT;
        bool ok;
        if (str_eq(kind, "file")) {
            ok = place_file(job, entry, &err);
        } else if (str_eq(kind, "directory")) {
            ok = place_directory(w, entry, &err);
        } else if (str_eq(kind, "symlink")) {
            ok = place_link(w, entry, &err);
        } else {
            ok = error_set(&err, "agent/file", "Not a valid file type! %s", kind);
        }
        if (!ok) {
            fail_with(job, &err);
            return;
        }
        if (d->want != NULL) {
            return; /* placed() goes on */
        }
    }
    finish(job);
}

void module_file(struct job *job) {
    if (json_object_get(job->request.params, "files") == NULL) {
        job_failed(job, "no files were given");
        return;
    }
    job->state = mem_zalloc(sizeof(struct download_job));
    job->abandon = abandon;
    place_next(job);
}
