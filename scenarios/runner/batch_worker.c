/* A scenario in a process of its own: what it does to that process, it does to nobody else. */
#include "base/mem.h"
#include "scenarios/runner/batch_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the child */

static void write_trace(void *ctx, struct span text) {
    fwrite(text.ptr, 1, text.len, ctx);
}

static void write_result(int fd, const struct run_result *r) {
    char hash[24];
    snprintf(hash, sizeof(hash), "%016" PRIx64, r->hash);
    json_t *o = json_object();
    json_set(o, "passed", json_boolean(r->passed));
    json_set(o, "took_us", json_integer((json_int_t)r->took_us));
    json_set(o, "wall_us", json_integer((json_int_t)r->wall_us));
    json_set(o, "hash", json_string(hash));
    json_set(o, "agents", json_integer((json_int_t)r->agents));
    const struct {
        const char *key, *value;
    } texts[] = {
        {"where", r->where}, {"what", r->what}, {"expected", r->expected}, {"seen", r->seen}, {"logs", r->logs}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].value != NULL) {
            json_t *text = json_string(texts[i].value);
            json_set(o, texts[i].key, text != NULL ? text : json_string("(not text)"));
        }
    }
    char *text = json_text(o);
    json_decref(o);
    for (size_t at = 0, len = strlen(text); at < len;) {
        ssize_t wrote = write(fd, text + at, len - at);
        if (wrote <= 0 && errno != EINTR) {
            break;
        }
        at += wrote > 0 ? (size_t)wrote : 0;
    }
    mem_free(text);
}

static int work(const struct batch_item *item, const struct batch_run *opts, const char *dir, int fd) {
    FILE *trace = opts->trace != NULL ? fopen(opts->trace, "w") : NULL;
    struct run_opts run = {.scenario = item->scenario,
                           .world = item->world,
                           .seed = item->seed,
                           .dir = dir,
                           .default_modules = opts->default_modules,
                           .verbose = opts->verbose,
                           .trace = trace != NULL ? write_trace : NULL,
                           .trace_ctx = trace};
    struct run_result result;
    run_scenario(&run, &result);
    write_result(fd, &result);
    close(fd);
    run_result_free(&result);
    bool written = trace == NULL || fclose(trace) == 0;
    return written ? 0 : 3;
}

/* ---- the parent */

static char *private_dir(struct error *err) {
    const char *base = getenv("TMPDIR");
    char *path = str_printf("%s/dalang-scenario-XXXXXX", base != NULL && base[0] == '/' ? base : "/tmp");
    if (mkdtemp(path) == NULL) {
        error_set(err, "scenario", "%s: %s", path, strerror(errno));
        mem_free(path);
        return NULL;
    }
    return path;
}

bool worker_start(struct worker *w, const struct batch_item *item, const struct batch_run *opts, struct error *err) {
    int fds[2];
    *w = (struct worker){.item = *item, .fd = -1};
    if (item->world == SCENARIO_REAL && (w->dir = private_dir(err)) == NULL) {
        return false;
    }
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return error_set(err, "scenario", "no pipe: %s", strerror(errno));
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        close(fds[0]);
        close(fds[1]);
        return error_set(err, "scenario", "no process: %s", strerror(errno));
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0); /* Ctrl-C is the parent's: it ends us */
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_DFL);
        close(fds[0]);
        exit(work(item, opts, w->dir, fds[1]));
    }
    close(fds[1]);
    w->pid = pid;
    w->fd = fds[0];
    return true;
}

static char *text_of(const json_t *o, const char *key) {
    return str_dup(json_str(o, key));
}

static void read_result(const struct worker *w, int status, struct run_result *out) {
    json_t *o = json_parse(buf_span(&w->text), "result", NULL);
    *out = (struct run_result){.passed = false};
    if (o != NULL) {
        *out = (struct run_result){.passed = json_bool(o, "passed", false),
                                   .took_us = (uint64_t)json_int(o, "took_us", 0),
                                   .wall_us = (uint64_t)json_int(o, "wall_us", 0),
                                   .hash = strtoull(json_str(o, "hash"), NULL, 16),
                                   .agents = (size_t)json_int(o, "agents", 0),
                                   .where = text_of(o, "where"),
                                   .what = text_of(o, "what"),
                                   .expected = text_of(o, "expected"),
                                   .seen = text_of(o, "seen"),
                                   .logs = text_of(o, "logs")};
        json_decref(o);
    }
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!clean && out->what == NULL) {
        out->passed = false;
        out->what = WIFSIGNALED(status)
                        ? str_printf("the process that ran it died of signal %d (%s)", WTERMSIG(status),
                                     strsignal(WTERMSIG(status)))
                        : str_printf("the process that ran it ended with status %d", WEXITSTATUS(status));
    } else if (o == NULL && out->what == NULL) {
        out->what = str_dup("the process that ran it told no result");
    }
}

bool worker_read(struct worker *w, struct run_result *out) {
    char piece[65536];
    ssize_t got = read(w->fd, piece, sizeof(piece));
    if (got > 0) {
        buf_append(&w->text, piece, (size_t)got);
        return true;
    }
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
        return true;
    }
    int status = 0;
    while (waitpid((pid_t)w->pid, &status, 0) < 0 && errno == EINTR) {
    }
    read_result(w, status, out);
    close(w->fd);
    buf_free(&w->text);
    w->fd = -1;
    return false;
}

void worker_kill(struct worker *w) {
    if (w->fd >= 0) {
        kill((pid_t)w->pid, SIGKILL);
        waitpid((pid_t)w->pid, NULL, 0);
        close(w->fd);
        buf_free(&w->text);
        w->fd = -1;
    }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(path);
}

void worker_clear(struct worker *w, bool keep) {
    enum { OPEN_DIRECTORIES = 16 };
    if (w->dir != NULL && !keep) {
        nftw(w->dir, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS);
    }
    mem_free(w->dir);
    w->dir = NULL;
}
