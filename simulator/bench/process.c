/* See process.h. */
#include "simulator/bench/process.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 2, END_MS = 10000 };

/* ---- starting and ending */

static void become(const char *const *argv, int log) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

bool process_start(struct process *p, const char *const *argv, const char *log, struct error *err) {
    const int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        return error_set(err, "bench", "%s: %s", log, strerror(errno));
    }
    const pid_t pid = fork();
    if (pid == 0) {
        become(argv, fd);
    }
    close(fd);
    if (pid < 0) {
        return error_set(err, "bench", "%s cannot be started: %s", argv[0], strerror(errno));
    }
    p->pid = pid;
    p->log = str_dup(log);
    return true;
}

static bool has_ended(const struct process *p) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void read_all(const char *path, struct buf *out) {
    FILE *f = fopen(path, "r");
    char bytes[4096];
    for (size_t n; f != NULL && (n = fread(bytes, 1, sizeof(bytes), f)) > 0;) {
        buf_append(out, bytes, n);
    }
    if (f != NULL) {
        fclose(f);
    }
}

static bool find(const struct buf *output, const char *text, struct buf *rest) {
    const char *at = output->len > 0 ? strstr(output->ptr, text) : NULL;
    const char *end = at != NULL ? strchr(at, '\n') : NULL;
    if (end == NULL) {
        return false;
    }
    at += strlen(text);
    if (rest != NULL) {
        buf_append(rest, at, (size_t)(end - at));
    }
    return true;
}

static struct span last_line(const struct buf *output) {
    struct span rest = span_trim(buf_span(output)), line = {"it said nothing", 15};
    for (struct span part; span_split(&rest, '\n', &part);) {
        line = part;
    }
    return line;
}

bool process_wait_for(struct process *p, const char *text, uint64_t timeout_ms, struct buf *rest, struct error *err) {
    const uint64_t until = clock_ns() + timeout_ms * 1000000;
    for (;;) {
        const bool ended = has_ended(p);
        struct buf output = BUF_INIT;
        read_all(p->log, &output);
        const bool found = find(&output, text, rest);
        if (!found && (ended || clock_ns() > until)) {
            const struct span line = last_line(&output);
            error_set(err, "bench", "%s: %.*s", ended ? "it ended" : "it is not ready in time", (int)line.len,
                      line.ptr);
        }
        buf_free(&output);
        if (found || error_is_set(err)) {
            return found;
        }
        sleep_ms(POLL_MS);
    }
}

static double seconds(struct timeval t) {
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

bool process_finish(struct process *p, struct process_usage *usage, struct buf *output, struct error *err) {
    const double begun = clock_s();
    struct rusage u = {0};
    int status = 0;
    while (wait4((pid_t)p->pid, &status, 0, &u) < 0 && errno == EINTR) {
    }
    *usage = (struct process_usage){.wall_s = clock_s() - begun,
                                    .cpu_s = seconds(u.ru_utime) + seconds(u.ru_stime),
                                    .peak_bytes = (double)u.ru_maxrss * 1024};
    read_all(p->log, output);
    const bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    const struct span line = last_line(output);
    mem_free(p->log);
    *p = (struct process){0};
    return good || error_set(err, "bench", "%.*s", (int)line.len, line.ptr);
}

void process_end(struct process *p) {
    if (p->pid > 0) {
        kill((pid_t)p->pid, SIGTERM);
        for (int waited = 0; !has_ended(p) && waited < END_MS; waited += POLL_MS) {
            sleep_ms(POLL_MS);
        }
        kill((pid_t)p->pid, SIGKILL);
        waitpid((pid_t)p->pid, NULL, 0);
    }
    mem_free(p->log);
    *p = (struct process){0};
}

/* ---- measuring */

static uint64_t status_kb(int64_t pid, const char *key) {
    char path[64], line[256];
    uint64_t kb = 0;
    snprintf(path, sizeof(path), "/proc/%lld/status", (long long)pid);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            kb = strtoull(line + strlen(key), NULL, 10);
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return kb;
}

uint64_t process_anon_bytes(int64_t pid) {
    return status_kb(pid, "RssAnon:") * 1024;
}

uint64_t process_resident_bytes(int64_t pid) {
    return status_kb(pid, "VmRSS:") * 1024;
}

static uint64_t thread_ns(int64_t pid, const char *thread) {
    char path[320];
    unsigned long long ns = 0;
    snprintf(path, sizeof(path), "/proc/%lld/task/%s/schedstat", (long long)pid, thread);
    FILE *f = fopen(path, "r");
    if (f != NULL) {
        if (fscanf(f, "%llu", &ns) != 1) {
            ns = 0;
        }
        fclose(f);
    }
    return ns;
}

/* Names in a directory of /proc, without "." and ".."; each is given to `each` (may be NULL). */
static uint64_t walk(int64_t pid, const char *name, void (*each)(uint64_t *sum, int64_t pid, const char *entry),
                     uint64_t *sum) {
    char path[64];
    uint64_t count = 0;
    snprintf(path, sizeof(path), "/proc/%lld/%s", (long long)pid, name);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.') {
            count++;
            if (each != NULL) {
                each(sum, pid, entry->d_name);
            }
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

static void add_thread(uint64_t *sum, int64_t pid, const char *entry) {
    *sum += thread_ns(pid, entry);
}

double process_cpu_us(int64_t pid) {
    uint64_t ns = 0;
    walk(pid, "task", add_thread, &ns);
    return (double)ns / 1000;
}

uint64_t process_descriptors(int64_t pid) {
    return walk(pid, "fd", NULL, NULL);
}

bool process_exists(int64_t pid) {
    return pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

char *process_name(int64_t pid) {
    char *path = str_printf("/proc/%lld/comm", (long long)pid);
    struct buf text = BUF_INIT;
    read_all(path, &text);
    char *name = span_dup(span_trim(buf_span(&text)));
    buf_free(&text);
    mem_free(path);
    return name;
}

struct machine_time machine_time(void) {
    unsigned long long ticks[8] = {0}; /* user nice system idle iowait irq softirq steal */
    struct machine_time t = {0};
    FILE *f = fopen("/proc/stat", "r");
    if (f != NULL) {
        if (fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &ticks[0], &ticks[1], &ticks[2], &ticks[3],
                   &ticks[4], &ticks[5], &ticks[6], &ticks[7]) == 8) {
            const double second = (double)sysconf(_SC_CLK_TCK);
            t.stolen = (double)ticks[7] / second;
            for (size_t i = 0; i < 8; i++) {
                t.all += (double)ticks[i] / second;
            }
            t.busy = t.all - t.stolen - (double)(ticks[3] + ticks[4]) / second;
        }
        fclose(f);
    }
    return t;
}

struct machine_share machine_share_since(const struct machine_time *before) {
    const struct machine_time now = machine_time();
    const double all = now.all - before->all;
    return all > 0 ? (struct machine_share){(now.busy - before->busy) / all, (now.stolen - before->stolen) / all}
                   : (struct machine_share){0, 0};
}

void process_urgent(bool on) {
    const struct sched_param param = {.sched_priority = on ? 1 : 0};
    sched_setscheduler(0, on ? SCHED_RR | SCHED_RESET_ON_FORK : SCHED_OTHER, &param);
}

uint64_t clock_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

double clock_s(void) {
    return (double)clock_ns() / 1e9;
}
