/* The version of an environment's code: what the program says that environment.conf names as config_version
 * (puppetserver.md §19). It is run in /, with a PATH and a locale and nothing else of ours; what it writes, errors
 * too, without white space around it, is the version. */
#include "base/mem.h"
#include "fakes/puppetserver/server.h"
#include <string.h>

enum {
    VERSION_MAX = 64 * 1024,    /* bytes a program may write */
    VERSION_TIMEOUT_MS = 30000, /* then its process group is killed */
    VERSIONS_RUNNING_MAX = 8,   /* programs at once; the others wait */
    ARGUMENTS_MAX = 64,
    SIGNAL_KILL = 9,
};

/* A request that waits for the version. */
struct version_job {
    struct list_link link; /* in the server's versions, oldest first */
    struct ps_request r;   /* a copy; its texts are ours */
    char *command;
    struct buf out;
    const char *trouble; /* why it was killed; or NULL */
    bool running;
    struct world_process *process;
    struct timer timer;
};

static void start_next(struct fake_puppetserver *ps);

static void job_free(struct version_job *j) {
    struct fake_puppetserver *ps = j->r.ps;
    ps->versions_running -= j->running ? 1 : 0;
    list_remove(&ps->versions, &j->link);
    world_timer_stop(ps->base.world, &j->timer);
    for (size_t i = 0; i < PS_PARAMS_MAX; i++) {
        mem_free(j->r.params[i]);
    }
    mem_free((char *)(uintptr_t)j->r.path);
    mem_free((char *)(uintptr_t)j->r.version);
    mem_free((char *)(uintptr_t)j->r.version_error);
    mem_free(j->command);
    buf_free(&j->out);
    mem_free(j);
}

static void kill_program(struct version_job *j) {
    int64_t pid = j->process != NULL ? world_process_pid(j->process) : 0;
    if (pid != 0) {
        world_pid_signal(j->r.ps->base.world, pid, SIGNAL_KILL, true);
    }
}

/* The client has gone, or the server goes: nobody needs the answer. */
static void job_drop(struct version_job *j) {
    kill_program(j);
    if (j->process != NULL) {
        world_process_forget(j->process);
    }
    job_free(j);
}

static void on_abandon(void *ctx) {
    struct version_job *j = ctx;
    struct fake_puppetserver *ps = j->r.ps;
    job_drop(j);
    start_next(ps);
}

void ps_versions_drop(struct fake_puppetserver *ps) {
    LIST_EACH_SAFE (k, next, &ps->versions) {
        job_drop(LIST_ITEM(k, struct version_job, link));
    }
}

/* ---- the program */

static void give_up(struct version_job *j, const char *trouble) {
    j->trouble = trouble;
    kill_program(j);
}

static void on_output(void *ctx, int stream, struct span bytes) {
    struct version_job *j = ctx;
    (void)stream;
    if (j->out.len + bytes.len > VERSION_MAX) {
        give_up(j, "it writes too much");
    } else {
        buf_append_span(&j->out, bytes);
    }
}

static void on_timeout(void *ctx) {
    give_up(ctx, "it takes too long");
}

static char *failure_of(const struct version_job *j, const struct world_exit *e, struct span said) {
    struct buf b = BUF_INIT;
    if (!e->started) {
        struct world_stat st;
        size_t len = strcspn(j->command, " \t");
        char *program = span_dup((struct span){j->command, len});
        bool there = world_file_stat(j->r.ps->base.world, program, &st, NULL);
        buf_printf(&b, "Exception while executing '%s': Cannot run program \"%s\" (in directory \".\"): error=%d, %s",
                   program, program, there ? 13 : 2, there ? "Permission denied" : "No such file or directory");
        mem_free(program);
        return buf_take(&b);
    }
    buf_printf(&b, "Execution of config_version command `%s` failed: ", j->command);
    if (j->trouble != NULL) {
        buf_append_cstr(&b, j->trouble);
    } else if (!span_is_utf8(said) || span_has_nul(said)) {
        buf_append_cstr(&b, "what it writes is not UTF-8");
    } else {
        buf_printf(&b, "Execution of '%s' returned %d: %.*s", j->command, e->signal != 0 ? 128 + e->signal : e->status,
                   (int)said.len, said.len > 0 ? said.ptr : "");
    }
    return buf_take(&b);
}

/* The request begins again, and this time knows the version. */
static void on_end(void *ctx, const struct world_exit *e) {
    struct version_job *j = ctx;
    struct fake_puppetserver *ps = j->r.ps;
    struct span said = span_trim(buf_span(&j->out));
    bool good = e->started && j->trouble == NULL && e->signal == 0 && e->status == 0 && span_is_utf8(said) &&
                !span_has_nul(said);
    j->process = NULL;
    j->r.version = good ? span_dup(said) : NULL;
    j->r.version_error = good ? NULL : failure_of(j, e, said);
    http_on_abandon(j->r.ex, NULL, NULL);
    j->r.handle(&j->r);
    job_free(j);
    start_next(ps);
}

/* As the server does it: by the shell when there is something for it, else as words between blanks. */
static void start(struct version_job *j) {
    static const char *const env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                      "LANG=C.UTF-8", NULL};
    const char *argv[ARGUMENTS_MAX + 1] = {"/bin/sh", "-c", j->command};
    char *words = str_dup(j->command);
    size_t n = 0;
    if (strpbrk(j->command, "*?{}[]<>()~&|\\$;'`\"\n#=") == NULL) {
        for (char *rest = words; n < ARGUMENTS_MAX && *(rest += strspn(rest, " \t")) != '\0';) {
            argv[n++] = rest;
            rest += strcspn(rest, " \t");
            if (*rest != '\0') {
                *rest++ = '\0';
            }
        }
        argv[n] = NULL;
    }
    struct world_spawn opts = {
        .argv = argv, .env = env, .cwd = "/", .on_output = on_output, .new_session = true, .umask = -1};
    struct world *w = j->r.ps->base.world;
    j->running = true;
    j->r.ps->versions_running++;
    j->process = world_spawn(w, &opts, on_end, j);
    world_timer_start(w, &j->timer, VERSION_TIMEOUT_MS, on_timeout, j);
    mem_free(words);
}

static void start_next(struct fake_puppetserver *ps) {
    LIST_EACH_SAFE (k, next, &ps->versions) {
        struct version_job *j = LIST_ITEM(k, struct version_job, link);
        if (ps->versions_running == VERSIONS_RUNNING_MAX) {
            return;
        }
        if (!j->running) {
            start(j);
        }
    }
}

bool ps_version_known(struct ps_request *r, const struct ps_environment *env) {
    if (r->version != NULL || r->version_error != NULL || *env->config_version == '\0') {
        return true;
    }
    struct version_job *j = mem_zalloc(sizeof *j);
    j->r = *r;
    j->r.path = str_dup(r->path);
    for (size_t i = 0; i < PS_PARAMS_MAX; i++) {
        j->r.params[i] = r->params[i] != NULL ? str_dup(r->params[i]) : NULL;
    }
    j->command = str_dup(env->config_version);
    list_push_back(&r->ps->versions, &j->link);
    http_on_abandon(r->ex, on_abandon, j);
    start_next(r->ps);
    return false;
}
