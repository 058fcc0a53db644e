/* A program started for a job: argument list, environment, collecting what a blocking one prints. */
#include "agent/process.h"
#include "agent/exec.h"
#include "agent/spool.h"
#include "base/mem.h"
#include <stdio.h>

struct process {
    struct job *job;
    struct world_process *child;
    bool writes_files;
    struct buf out, err; /* blocking only */
};

enum {
    EXTERNAL_WRITE_FAILED = 5, /* exit code of a module that could not store its output */
};

/* ---------------------------------------------------------------------------------------- starting */

struct strings {
    const char **items;
    size_t count, cap;
};

static void push(struct strings *s, const char *text) {
    s->items = mem_grow(s->items, &s->cap, s->count + 1, sizeof *s->items);
    s->items[s->count++] = text;
}

static void push_all(struct strings *s, const char *const *texts) {
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) {
        push(s, texts[i]);
    }
}

static void on_output(void *ctx, int stream, struct span bytes) {
    struct process *p = ctx;
    struct buf *to = stream == 1 ? &p->out : &p->err;
    uint64_t max = p->job->agent->config->output_max;
    size_t room = to->len < max ? (size_t)(max - to->len) : 0;
    buf_append_span(to, span_sub(bytes, 0, room));
}

static void ended(void *ctx, const struct world_exit *e);

void process_run(struct job *job, const struct process_opts *opts) {
    struct agent *a = job->agent;
    struct process *p = mem_zalloc(sizeof *p);
    p->job = job;
    p->writes_files = opts->writes_files;
    job->process = p;
    char input_size[24], output_max[24];
    snprintf(input_size, sizeof input_size, "%zu", opts->input.len);
    snprintf(output_max, sizeof output_max, "%llu", (unsigned long long)a->config->output_max);
    char *pid_file = job->dir != NULL ? str_printf("%s/pid", job->dir) : NULL;
    struct strings argv = {0}, env = {0};
    push(&argv, a->config->exec_wrapper);
    if (job->dir != NULL && opts->writes_files) {
        push_all(&argv, (const char *const[]){"--pid", pid_file, NULL});
    } else if (job->dir != NULL) {
        push_all(&argv, (const char *const[]){"--spool", job->dir, "--input", input_size, "--limit", output_max, NULL});
    }
    push(&argv, "--");
    push(&argv, opts->executable);
    push_all(&argv, opts->arguments);
    push(&argv, NULL);
    push_all(&env, a->config->environment);
    push_all(&env, opts->variables);
    push(&env, NULL);
    struct world_spawn spawn = {
        .argv = argv.items,
        .env = env.items,
        .stdin_bytes = opts->input,
        .on_output = job->dir == NULL ? on_output : NULL,
        .new_session = true,
        .umask = -1,
    };
    p->child = world_spawn(a->world, &spawn, ended, p);
    int64_t pid = world_process_pid(p->child);
    if (job->dir != NULL && pid > 0) {
        spool_note_birth(a->world, a->spool_dir, job->request.transaction_id, pid);
    }
    mem_free(argv.items);
    mem_free(env.items);
    mem_free(pid_file);
}

static void process_free(struct process *p) {
    p->job->process = NULL;
    buf_free(&p->out);
    buf_free(&p->err);
    mem_free(p);
}

void process_abandon(struct job *job) {
    if (job->process != NULL) {
        world_process_forget(job->process->child);
        process_free(job->process);
    }
}

/* ---------------------------------------------------------------------------------------- the end */

static int64_t exitcode_of(const struct world_exit *e) {
    return e->signal != 0 ? e->signal : e->status;
}

/* What there is of a stream; a file that is missing is made. */
static bool keep_stream(struct job *job, const char *name, struct buf *text) {
    struct agent *a = job->agent;
    struct span id = job->request.transaction_id;
    char *path = spool_path(a->spool_dir, id, name);
    bool kept = world_file_read_at(a->world, path, 0, (size_t)a->config->output_max, text, NULL);
    if (!kept && spool_lacks(a->world, a->spool_dir, id, name)) {
        world_file_write(a->world, path, span_of(NULL), SPOOL_FILE_MODE, WORLD_WRITE_PLAIN, NULL);
        kept = true;
    }
    mem_free(path);
    return kept;
}

/* dalang-exec itself was killed: what is there is kept, and completed so that later status queries agree. False: it is
 * there and cannot be read. */
static bool keep_rest(struct job *job, int64_t exitcode, struct spool_output *output) {
    struct agent *a = job->agent;
    *output = (struct spool_output){.exitcode = exitcode};
    if (!keep_stream(job, "stdout", &output->out) || !keep_stream(job, "stderr", &output->err)) {
        spool_output_free(output);
        return false;
    }
    char *path = spool_path(a->spool_dir, job->request.transaction_id, "exitcode");
    char *text = str_printf("%lld", (long long)exitcode);
    world_file_write(a->world, path, span_of(text), SPOOL_FILE_MODE, WORLD_WRITE_ATOMIC, NULL);
    mem_free(text);
    mem_free(path);
    return true;
}

/* The outcome is on the disk, or should be, and cannot be had: whoever asked must not take what is missing for nothing.
 * True: what there is was kept, for dalang-exec itself was killed. */
static bool rescue(struct job *job, const struct world_exit *e, const struct error *err, struct spool_output *output) {
    struct agent *a = job->agent;
    bool stored = !spool_lacks(a->world, a->spool_dir, job->request.transaction_id, "exitcode");
    if (!stored && e->signal == 0 && e->status == AGENT_EXEC_LOST) {
        job_failed(job, "failed to write output on file");
        return false;
    }
    if (stored || !keep_rest(job, exitcode_of(e), output)) {
        job_failed(job, "%s", err->msg);
        return false;
    }
    log_warn(a->log, "Incomplete output of the %s: %s", job->label, err->msg);
    return true;
}

static void end_spooled(struct job *job, const struct world_exit *e, bool writes_files) {
    int64_t exitcode = exitcode_of(e);
    struct agent *a = job->agent;
    struct spool_output output;
    struct error err = ERROR_INIT;
    if (writes_files && exitcode == EXTERNAL_WRITE_FAILED) {
        job_failed(job, "failed to write output on file");
        return;
    }
    bool kept = spool_read_output(a->world, a->spool_dir, job->request.transaction_id, (size_t)a->config->output_max,
                                  &output, &err) ||
                rescue(job, e, &err, &output);
    error_clear(&err);
    if (!kept) {
        return;
    }
    job_output(job, exitcode, buf_span(&output.out), buf_span(&output.err));
    spool_output_free(&output);
}

static void ended(void *ctx, const struct world_exit *e) {
    struct process *p = ctx;
    struct job *job = p->job;
    struct buf out = p->out, err = p->err;
    p->out = p->err = (struct buf)BUF_INIT;
    bool writes_files = p->writes_files;
    process_free(p);
    int64_t exitcode = exitcode_of(e);
    if (!e->started) {
        job_failed(job, "failed to start '%s': %s", job->agent->config->exec_wrapper, e->error_text);
    } else if (job->dir != NULL) {
        end_spooled(job, e, writes_files);
    } else {
        job_output(job, exitcode, buf_span(&out), buf_span(&err));
    }
    buf_free(&out);
    buf_free(&err);
}
