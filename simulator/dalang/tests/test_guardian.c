/* What a test program starts does not outlive it, however it ends. */
#include "simulator/dalang/tests/guardian.h"
#include "simulator/dalang/tests/programs.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum ending { FAILS, IS_KILLED };

static void start_something(int to_parent) {
    if (fork() == 0) {
        pid_t self = getpid();
        setsid(); /* as what goes into the background */
        if (write(to_parent, &self, sizeof(self)) == sizeof(self)) {
            execl("/bin/sleep", "sleep", "3600", (char *)NULL);
        }
        _exit(127);
    }
}

/* A test program that ends before it has cleaned up. */
static pid_t left_behind(enum ending how) {
    int ends[2];
    pid_t left = 0, test;
    assert_int_equal(pipe(ends), 0);
    test = fork();
    assert_true(test >= 0);
    if (test == 0) {
        guardian_start();
        start_something(ends[1]);
        if (how == IS_KILLED) {
            pause();
        }
        _exit(1);
    }
    assert_int_equal(read(ends[0], &left, sizeof(left)), sizeof(left));
    if (how == IS_KILLED) {
        kill(test, SIGKILL);
    }
    assert_int_equal(waitpid(test, NULL, 0), test);
    close(ends[0]);
    close(ends[1]);
    return left;
}

static bool has_ended(void *ctx) {
    char path[64], state = 'Z';
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)*(pid_t *)ctx);
    FILE *f = fopen(path, "re");
    if (f != NULL) {
        if (fscanf(f, "%*d %*s %c", &state) != 1) {
            state = 'Z';
        }
        fclose(f);
    }
    return state == 'Z'; /* nobody may be there to bury it */
}

static void nothing_is_left(void **state) {
    (void)state;
    for (enum ending how = FAILS; how <= IS_KILLED; how++) {
        pid_t left = left_behind(how);
        await(has_ended, &left, "what was left behind ends");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
