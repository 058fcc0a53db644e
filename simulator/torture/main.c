/* torture: plays the smoke scenario again and again, and each time something else fails: every file operation and every
 * SQLite call of orchestrator, Puppet Server and agent (a broker makes none); the machine at each of them;
 * every allocation. Each run must end in an
 * answer, a clean error or, for memory, in an orderly end; no acknowledged job may be lost, nothing may be left behind.
 */
#include "base/mem.h"
#include "base/option.h"
#include "simulator/torture/story.h"
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHOWN_MAX = 10, ALLOCATIONS_MAX = 10000000 };

struct tally {
    unsigned long long runs, refused, failed;
};

static void judge(struct tally *t, const struct story_opts *o, const struct story *s, const char *what) {
    t->runs++;
    t->refused += s->refused != NULL;
    if (s->trouble.len != 0) {
        t->failed++;
        if (t->failed <= SHOWN_MAX) {
            printf("FAILED: %s %llu of %s:\n%s", what, (unsigned long long)o->n, o->host, s->trouble.ptr);
        }
    }
}

static void report(const char *what, const char *host, const struct tally *t) {
    printf("%-24s %-24s %6llu runs, %4llu requests refused with an error, %llu failed\n", what, host, t->runs,
           t->refused, t->failed);
    fflush(stdout);
}

static uint64_t operations_of(const char *host) {
    struct story s;
    story_play(&s, &(struct story_opts){.host = host});
    uint64_t count = s.operations;
    if (s.trouble.len != 0 || !s.acknowledged) {
        printf("FAILED: without any fault: %s", s.trouble.len != 0 ? s.trouble.ptr : "the job was refused\n");
        count = 0;
    }
    story_free(&s);
    return count;
}

static bool fail_operations(const char *host, bool may_die, uint64_t stride) {
    static const struct {
        const char *what, *kind;
        enum story_fault fault;
    } ways[] = {
        {"operation fails", "world/io", STORY_OPERATION},
        {"disk is full", "world/full", STORY_OPERATION},
        {"killed at operation", NULL, STORY_KILL},
        {"power fails at operation", NULL, STORY_POWER},
    };
    uint64_t count = operations_of(host);
    bool good = count != 0;
    for (size_t w = 0; w < (may_die ? sizeof(ways) / sizeof(ways[0]) : 2); w++) {
        struct tally tally = {0};
        for (uint64_t n = 1; n <= count; n += stride) {
            struct story_opts o = {.fault = ways[w].fault, .host = host, .kind = ways[w].kind, .n = n};
            struct story s;
            story_play(&s, &o);
            judge(&tally, &o, &s, ways[w].what);
            story_free(&s);
        }
        report(ways[w].what, host, &tally);
        good = good && tally.failed == 0;
    }
    return good;
}

/* In a process of its own, which must end with status 1 and one line. True: it did; *done: nothing failed any more. */
static bool fail_allocation(uint64_t n, bool *done) {
    int ends[2];
    char said[256];
    size_t len = 0;
    fflush(stdout);
    pid_t pid = pipe(ends) == 0 ? fork() : -1;
    if (pid < 0) {
        return false;
    }
    if (pid == 0) {
        struct story s;
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        story_play(&s, &(struct story_opts){.fault = STORY_MEMORY, .host = "orchestrator", .n = n});
        _exit(s.trouble.len != 0 ? 3 : 0);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], said + len, sizeof(said) - 1 - len)) > 0;) {
        len += (size_t)got;
    }
    close(ends[0]);
    said[len] = '\0';
    int status = 0;
    waitpid(pid, &status, 0);
    *done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return *done || (WIFEXITED(status) && WEXITSTATUS(status) == 1 && strcmp(said, "out of memory\n") == 0);
}

static bool fail_allocations(uint64_t stride) {
    struct tally tally = {0};
    bool done = false;
    for (uint64_t n = 1; !done && n < ALLOCATIONS_MAX; n += stride) {
        if (!fail_allocation(n, &done)) {
            tally.failed++;
            if (tally.failed <= SHOWN_MAX) {
                printf("FAILED: allocation %llu: no orderly end\n", (unsigned long long)n);
            }
        }
        tally.runs += !done;
    }
    printf("%-24s %-24s %6llu runs, each an orderly end but %llu\n", "allocation fails", "everyone", tally.runs,
           tally.failed);
    return tally.failed == 0;
}

int main(int argc, char **argv) {
    uint64_t stride = 1, allocations = 1;
    const struct option table[] = {
        {OPTION_UINT, "stride", 0, "N", "Only every N-th file operation.", &stride},
        {OPTION_UINT, "allocations", 0, "N", "Only every N-th allocation; 0: none.", &allocations},
        OPTION_END,
    };
    const struct command_line cl = {"torture", "[OPTIONS]", "everything fails once in the smoke scenario", NULL, table};
    struct option_list words = {NULL, 0};
    struct error err = ERROR_INIT;
    mem_init_libraries();
    enum option_result result = option_parse(&cl, argc, argv, &words, &err);
    option_list_free(&words);
    if (result != OPTION_PARSED) {
        if (result == OPTION_ERROR) {
            fprintf(stderr, "torture: %s\n", err.msg);
        }
        error_clear(&err);
        return result == OPTION_ERROR ? 2 : 0;
    }
    static const struct {
        const char *name;
        bool may_die; /* a fake has no promises to keep */
    } hosts[] = {{"orchestrator", true}, {"puppetserver", false}, {"node-0001.example.com", true}};
    bool good = true;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        good = fail_operations(hosts[i].name, hosts[i].may_die, stride == 0 ? 1 : stride) && good;
    }
    good = (allocations == 0 || fail_allocations(allocations)) && good;
    return good ? 0 : 1;
}
