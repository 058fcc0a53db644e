/* See dalang_stack.h. Nothing but the C library: `dalang up` does the work. */
#include "dalang_stack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT_MS = 60000, POLL_MS = 20, ARGUMENTS_MAX = 100, VALUES_MAX = 32 };

struct text {
    char *bytes; /* ends with 0 */
    size_t len, cap;
};

struct value {
    char *key, *text;
};

struct dalang_stack {
    char *program, *bin; /* bin: its directory with '/', or "" */
    pid_t pid;
    struct value values[VALUES_MAX];
    size_t count;
    char *token;
};

/* ---- small things */

static void *checked(void *p) {
    if (p == NULL) {
        abort(); /* a test without memory */
    }
    return p;
}

static char *copy(const char *text, size_t len) {
    char *out = checked(malloc(len + 1));
    memcpy(out, text, len);
    out[len] = '\0';
    return out;
}

static char *joined(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    char *out = checked(malloc(n + m + 1));
    memcpy(out, a, n);
    memcpy(out + n, b, m + 1);
    return out;
}

static void append(struct text *t, const char *bytes, size_t len) {
    if (t->len + len + 1 > t->cap) {
        t->cap = (t->len + len + 1) * 2;
        t->bytes = checked(realloc(t->bytes, t->cap));
    }
    memcpy(t->bytes + t->len, bytes, len);
    t->len += len;
    t->bytes[t->len] = '\0';
}

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void explain(char *why, size_t size, const char *format, const char *a, const char *b) {
    if (why != NULL && size != 0) {
        snprintf(why, size, format, a, b);
        for (char *end = why + strlen(why); end > why && end[-1] == '\n';) {
            *--end = '\0';
        }
    }
}

/* ---- programs */

/* Starts argv with its output in fds[0] and fds[1]; -1: errno. ends_with_us: SIGTERM when this process is gone. */
static pid_t spawn(const char *const *argv, const char *dir, bool ends_with_us, int fds[2]) {
    int out[2], err[2];
    if (pipe2(out, O_CLOEXEC) != 0) {
        return -1;
    }
    if (pipe2(err, O_CLOEXEC) != 0) {
        close(out[0]);
        close(out[1]);
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
        dup2(in, STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        if (ends_with_us) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
        }
        if (dir != NULL) {
            setenv("DALANG_DIR", dir, 1);
        }
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(out[1]);
    close(err[1]);
    fds[0] = out[0];
    fds[1] = err[0];
    if (pid < 0) {
        close(out[0]);
        close(err[0]);
    }
    return pid;
}

static bool take(int *fd, struct text *into) {
    char piece[4096];
    ssize_t n = read(*fd, piece, sizeof(piece));
    if (n > 0) {
        append(into, piece, (size_t)n);
        return true;
    }
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return true;
    }
    close(*fd);
    *fd = -1;
    return false;
}

/* Until both have ended, or `line` and the first holds a whole line, or until_ms has come. */
static void collect(int fds[2], struct text texts[2], bool line, uint64_t until_ms) {
    while ((fds[0] >= 0 || fds[1] >= 0) && !(line && texts[0].len != 0 && strchr(texts[0].bytes, '\n') != NULL)) {
        uint64_t now = now_ms();
        struct pollfd polled[2] = {{fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}};
        if (now >= until_ms || (poll(polled, 2, (int)(until_ms - now)) < 0 && errno != EINTR)) {
            return;
        }
        for (int i = 0; i < 2; i++) {
            if (polled[i].revents != 0) {
                take(&fds[i], &texts[i]);
            }
        }
    }
}

static int wait_for(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void close_both(const int fds[2]) {
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
}

/* ---- the line of JSON: an object of texts and numbers */

static const char *read_text(const char *at, char **out) {
    struct text t = {NULL, 0, 0};
    append(&t, "", 0);
    for (at++; *at != '"' && *at != '\0'; at++) {
        if (*at == '\\' && at[1] != '\0') {
            at++;
        }
        append(&t, at, 1);
    }
    *out = t.bytes;
    return *at == '"' ? at + 1 : at;
}

static void read_values(struct dalang_stack *s, const char *line) {
    const char *at = strchr(line, '"');
    while (at != NULL && s->count < VALUES_MAX) {
        struct value v = {NULL, NULL};
        at = read_text(at, &v.key);
        at += strspn(at, ": ");
        if (*at == '"') {
            at = read_text(at, &v.text);
        } else {
            size_t len = strcspn(at, ",}");
            v.text = copy(at, len);
            at += len;
        }
        s->values[s->count++] = v;
        at = strchr(at, '"');
    }
}

static char *read_file(const char *path) {
    struct text t = {NULL, 0, 0};
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    append(&t, "", 0);
    while (fd >= 0 && take(&fd, &t)) {
    }
    while (t.len > 0 && (t.bytes[t.len - 1] == '\n' || t.bytes[t.len - 1] == ' ')) {
        t.bytes[--t.len] = '\0';
    }
    return t.bytes;
}

/* ---- start and stop */

struct arguments {
    const char *items[ARGUMENTS_MAX + 1];
    size_t count;
    char numbers[3][16];
    size_t number_count;
};

static void add(struct arguments *a, const char *option, const char *value) {
    if (value != NULL && a->count + 2 <= ARGUMENTS_MAX) {
        a->items[a->count++] = option;
        a->items[a->count++] = value;
    }
}

static void add_number(struct arguments *a, const char *option, unsigned n) {
    if (n != 0) {
        char *text = a->numbers[a->number_count++];
        snprintf(text, sizeof(a->numbers[0]), "%u", n);
        add(a, option, text);
    }
}

static void fill_arguments(struct arguments *a, const struct dalang_stack_opts *o) {
    add(a, "--port-base", "0");
    add_number(a, "--agents", o->agents);
    add_number(a, "--real-agents", o->real_agents);
    add_number(a, "--brokers", o->brokers);
    add(a, "--dir", o->dir);
    add(a, "--modules", o->modules);
    add(a, "--behaviour", o->behaviour);
    add(a, "--state", o->state);
    for (size_t i = 0; o->more != NULL && o->more[i] != NULL && a->count < ARGUMENTS_MAX; i++) {
        a->items[a->count++] = o->more[i];
    }
    a->items[a->count] = NULL;
}

static char *bin_of(const char *program) {
    const char *slash = strrchr(program, '/');
    return slash != NULL ? copy(program, (size_t)(slash - program) + 1) : copy("", 0);
}

static void stack_free(struct dalang_stack *s) {
    for (size_t i = 0; i < s->count; i++) {
        free(s->values[i].key);
        free(s->values[i].text);
    }
    free(s->token);
    free(s->bin);
    free(s->program);
    free(s);
}

static const char *choose_program(const char *asked_for, const char *found) {
    const char *named = getenv("DALANG_PROGRAM");
    return asked_for != NULL ? asked_for : named != NULL ? named : found != NULL ? found : "dalang";
}

struct dalang_stack *dalang_stack_start_with(const char *found, const struct dalang_stack_opts *opts, char *why,
                                             size_t why_size) {
    static const struct dalang_stack_opts none;
    opts = opts != NULL ? opts : &none;
    const char *program = choose_program(opts->program, found);
    struct dalang_stack *s = checked(calloc(1, sizeof(*s)));
    s->program = copy(program, strlen(program));
    s->bin = bin_of(program);
    struct arguments a = {.items = {s->program, "up", "--json"}, .count = 3};
    fill_arguments(&a, opts);
    int fds[2] = {-1, -1};
    struct text texts[2] = {{NULL, 0, 0}, {NULL, 0, 0}};
    s->pid = spawn(a.items, NULL, true, fds);
    if (s->pid < 0) {
        explain(why, why_size, "%s: %s", program, strerror(errno));
        stack_free(s);
        return NULL;
    }
    collect(fds, texts, true, now_ms() + (opts->timeout_ms != 0 ? opts->timeout_ms : TIMEOUT_MS));
    bool ready = texts[0].len != 0 && texts[0].bytes[0] == '{' && strchr(texts[0].bytes, '\n') != NULL;
    if (ready) {
        read_values(s, texts[0].bytes);
        s->token = read_file(dalang_stack_get(s, "token_file"));
    } else {
        explain(why, why_size, "%s%s", texts[1].len != 0 ? texts[1].bytes : "dalang up: not ready in time", "");
        kill(s->pid, SIGTERM);
        wait_for(s->pid);
    }
    free(texts[0].bytes);
    free(texts[1].bytes);
    close_both(fds);
    if (!ready) {
        stack_free(s);
        return NULL;
    }
    return s;
}

void dalang_stack_stop(struct dalang_stack *s) {
    if (s != NULL) {
        kill(s->pid, SIGTERM);
        wait_for(s->pid);
        stack_free(s);
    }
}

/* ---- questions */

const char *dalang_stack_get(const struct dalang_stack *s, const char *key) {
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->values[i].key, key) == 0) {
            return s->values[i].text;
        }
    }
    return NULL;
}

const char *dalang_stack_ca(const struct dalang_stack *s) {
    return dalang_stack_get(s, "ca");
}

const char *dalang_stack_token(const struct dalang_stack *s) {
    return s->token;
}

/* ---- doing something */

int dalang_stack_run(const struct dalang_stack *s, const char *const *argv, char **out, char **err) {
    size_t count = 0;
    while (argv[count] != NULL) {
        count++;
    }
    const char **items = checked(malloc((count + 1) * sizeof(*items)));
    memcpy(items, argv, (count + 1) * sizeof(*items));
    char *beside = count > 0 && strchr(argv[0], '/') == NULL ? joined(s->bin, argv[0]) : NULL;
    if (beside != NULL && access(beside, X_OK) == 0) {
        items[0] = beside;
    }
    int fds[2] = {-1, -1};
    struct text texts[2] = {{NULL, 0, 0}, {NULL, 0, 0}};
    append(&texts[0], "", 0);
    append(&texts[1], "", 0);
    pid_t pid = count > 0 ? spawn(items, dalang_stack_get(s, "dir"), false, fds) : -1;
    if (pid >= 0) {
        collect(fds, texts, false, UINT64_MAX / 2);
        close_both(fds);
    }
    int code = pid >= 0 ? wait_for(pid) : -1;
    char **outs[2] = {out, err};
    for (int i = 0; i < 2; i++) {
        if (outs[i] != NULL) {
            *outs[i] = texts[i].bytes;
        } else {
            free(texts[i].bytes);
        }
    }
    free(beside);
    free(items);
    return code;
}

bool dalang_stack_task(const struct dalang_stack *s, const char *task, const char *const *params, const char *query,
                       char **json) {
    const char *argv[ARGUMENTS_MAX] = {"puppet-task", "run", task};
    size_t count = 3;
    for (size_t i = 0; params != NULL && params[i] != NULL && count < ARGUMENTS_MAX - 5; i++) {
        argv[count++] = params[i];
    }
    argv[count++] = "--query";
    argv[count++] = query != NULL ? query : "nodes[certname]{}";
    argv[count++] = "--format";
    argv[count] = "json";
    return dalang_stack_run(s, argv, json, NULL) == 0;
}

static bool fault(const struct dalang_stack *s, const char *what, char *why, size_t why_size) {
    const char *argv[] = {s->program, "fault", what, NULL};
    char *err = NULL;
    bool ok = dalang_stack_run(s, argv, NULL, &err) == 0;
    if (!ok) {
        explain(why, why_size, "%s%s", err, "");
    }
    free(err);
    return ok;
}

bool dalang_stack_fault(const struct dalang_stack *s, const char *json, char *why, size_t why_size) {
    return fault(s, json, why, why_size);
}

bool dalang_stack_heal(const struct dalang_stack *s, char *why, size_t why_size) {
    return fault(s, "--heal", why, why_size);
}

bool dalang_stack_wait(bool (*holds)(void *ctx), void *ctx, unsigned timeout_ms) {
    const struct timespec pause = {0, POLL_MS * 1000000L};
    for (uint64_t until = now_ms() + timeout_ms; !holds(ctx);) {
        if (now_ms() >= until) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}
