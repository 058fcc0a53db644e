/* task run: choose, fetch, put together, run (agent.md §11.6). */
#include "agent/files.h"
#include "agent/process.h"
#include "agent/task_plan.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

struct task {
    struct task_plan plan;
    size_t fetched;     /* of plan.extra */
    char *executable;   /* in the cache */
    char **extra_paths; /* in the cache, one for each of plan.extra */
    struct want *want;
};

static void task_free(struct task *t) {
    cache_cancel(t->want);
    for (size_t i = 0; i < t->plan.extra_count; i++) {
        mem_free(t->extra_paths[i]);
    }
    mem_free(t->extra_paths);
    mem_free(t->executable);
    task_plan_free(&t->plan);
    mem_free(t);
}

static void abandon(struct job *job) {
    task_free(job->state);
    job->state = NULL;
}

static void fail(struct job *job, const char *why) {
    char *text = str_dup(why);
    abandon(job);
    job_failed(job, "%s", text);
    mem_free(text);
}

static void fail_with(struct job *job, struct error *err) {
    fail(job, err->msg);
    error_clear(err);
}

/* ---------------------------------------------------------------------------------------- run */

static void run(struct job *job, const char *executable, const char *install_dir) {
    const struct agent_config *config = job->agent->config;
    struct task *t = job->state;
    enum task_input input = t->plan.input;
    json_t *parameters = task_parameters(job->request.params, install_dir);
    char *text = (input & TASK_STDIN) != 0 ? json_text(parameters) : NULL;
    char **variables = (input & TASK_ENVIRONMENT) != 0 ? task_variables(parameters) : NULL;
    char *file = str_dup(executable);
    char *shim = input != TASK_POWERSHELL     ? NULL
                 : config->helper_dir == NULL ? str_dup("PowershellShim.ps1")
                                              : str_printf("%s/PowershellShim.ps1", config->helper_dir);
    json_decref(parameters);
    abandon(job);
    process_run(job, &(struct process_opts){.executable = shim != NULL ? shim : file,
                                            .arguments = (const char *const[]){shim != NULL ? file : NULL, NULL},
                                            .input = span_of(text),
                                            .variables = (const char *const *)variables});
    task_variables_free(variables);
    if (text != NULL) {
        mem_zero(text, strlen(text)); /* parameters may be secrets */
    }
    mem_free(text);
    mem_free(file);
    mem_free(shim);
}

/* ---------------------------------------------------------------------------------------- install directory */

/* Copies `from` to <dir>/<name>, whose directories are created. */
static bool install(struct world *w, const char *from, const char *dir, const char *name, struct error *err) {
    char *to = str_printf("%s/%s", dir, name);
    bool ok = files_make_parent(w, to, err) && files_copy(w, from, to, CACHE_MODE, WORLD_WRITE_PLAIN, err);
    mem_free(to);
    return ok;
}

static void put_together(struct job *job) {
    struct agent *a = job->agent;
    struct task *t = job->state;
    if (t->plan.extra_count == 0) {
        run(job, t->executable, NULL);
        return;
    }
    uint16_t random[4];
    world_random(a->world, random, sizeof random);
    char *dir = str_printf("%s/temp_task_%04x-%04x-%04x-%04x", job->dir != NULL ? job->dir : a->cache.dir, random[0],
                           random[1], random[2], random[3]);
    if (job->dir == NULL) {
        job->temp_dir = str_dup(dir);
    }
    struct error err = ERROR_INIT;
    bool ok = world_file_mkdir(a->world, dir, CACHE_MODE, false, &err);
    for (size_t i = 0; ok && i < t->plan.extra_count; i++) {
        ok = install(a->world, t->extra_paths[i], dir, json_str(t->plan.extra[i], "filename"), &err);
    }
    char *name =
        str_printf("%.*s/tasks/%s", (int)t->plan.module.len, t->plan.module.ptr, strrchr(t->executable, '/') + 1);
    ok = ok && install(a->world, t->executable, dir, name, &err);
    if (ok) {
        char *executable = str_printf("%s/%s", dir, name);
        run(job, executable, dir);
        mem_free(executable);
    } else {
        world_file_remove(a->world, dir, true, NULL);
        fail_with(job, &err);
    }
    mem_free(name);
    mem_free(dir);
}

/* ---------------------------------------------------------------------------------------- fetch */

static void fetch_next(struct job *job);

static void fetched(void *ctx, const char *path, const char *error) {
    struct job *job = ctx;
    struct task *t = job->state;
    t->want = NULL;
    if (error != NULL) {
        fail(job, error);
        return;
    }
    if (t->executable == NULL) {
        t->executable = str_dup(path);
    } else {
        t->extra_paths[t->fetched++] = str_dup(path);
    }
    fetch_next(job);
}

static void fetch_next(struct job *job) {
    struct task *t = job->state;
    if (t->executable != NULL && t->fetched == t->plan.extra_count) {
        put_together(job);
        return;
    }
    const json_t *file = t->executable == NULL ? t->plan.file : t->plan.extra[t->fetched];
    struct remote_file remote;
    struct error err = ERROR_INIT;
    if (!remote_file_read(file, json_span(json_object_get(file, "filename")), &remote, &err)) {
        fail_with(job, &err);
        return;
    }
    t->want = cache_get(job->agent, &remote, fetched, job);
}

void module_task(struct job *job) {
    struct task *t = mem_zalloc(sizeof *t);
    struct error err = ERROR_INIT;
    job->state = t;
    job->abandon = abandon;
    if (!task_plan_make(job->request.params, &t->plan, &err)) {
        fail_with(job, &err);
        return;
    }
    t->extra_paths = mem_array(t->plan.extra_count + 1, sizeof *t->extra_paths);
    fetch_next(job);
}
