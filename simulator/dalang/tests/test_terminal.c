/* The client programs on a terminal: prompts without echo, colours, the live status, Ctrl-C. A hundred agents. */
#include "simulator/dalang/tests/rig.h"

#include "base/mem.h"
#include <signal.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define N1 "node-0001.example.com"
#define ALL "nodes[certname]{}"
enum { COLUMNS = 80, NARROW = 40, AGENTS = 100 };

static struct rig rig;

static int start(void **state) {
    (void)state;
    rig_start(&rig, ARGUMENTS("--agents", "100", "--task-concurrency", "30"));
    return 0;
}

static int stop(void **state) {
    (void)state;
    rig_stop(&rig);
    return 0;
}

static struct program on_terminal(const char *const *argv, unsigned columns) {
    struct program p = rig_program(&rig, argv);
    p.columns = columns;
    return p;
}

/* ---- what a terminal shows */

enum { ROWS = 1000 };

/* Just enough of a terminal: carriage return, line feed, up, erase to the end of the line; colours are dropped. */
struct screen {
    char cells[ROWS][256];
    size_t row, column, rows, columns;
    size_t widest; /* of all rows ever written */
};

static void put_char(struct screen *s, char c) {
    if (s->column >= s->columns) { /* this is a wrap */
        s->row++;
        s->column = 0;
    }
    assert_true(s->row < ROWS);
    s->cells[s->row][s->column++] = c;
    s->widest = s->column > s->widest ? s->column : s->widest;
}

static const char *escape(struct screen *s, const char *p) {
    assert_int_equal(*p, '[');
    size_t len = strspn(++p, "0123456789;");
    char last = p[len];
    if (last == 'K') {
        memset(s->cells[s->row] + s->column, 0, sizeof(s->cells[0]) - s->column);
    } else if (last == 'A') {
        assert_true(s->row > 0);
        s->row--;
    } else {
        assert_int_equal(last, 'm');
    }
    return p + len + 1;
}

static void show(struct screen *s, const char *text) {
    while (*text != '\0') {
        char c = *text++;
        if (c == '\033') {
            text = escape(s, text);
        } else if (c == '\r') {
            s->column = 0;
        } else if (c == '\n') {
            s->row++;
        } else {
            put_char(s, c);
        }
        s->rows = s->row > s->rows ? s->row : s->rows;
    }
}

static bool on_screen(const struct screen *s, const char *pattern) {
    for (size_t i = 0; i <= s->rows; i++) {
        if (glob_match(pattern, s->cells[i])) {
            return true;
        }
    }
    return false;
}

static size_t rows_like(const struct screen *s, const char *pattern) {
    size_t count = 0;
    for (size_t i = 0; i <= s->rows; i++) {
        count += glob_match(pattern, s->cells[i]);
    }
    return count;
}

static void print_screen(const struct screen *s) {
    for (size_t i = 0; i <= s->rows; i++) {
        print_message("%s\n", s->cells[i]);
    }
}

/* ---- tests */

static void the_live_status_stays_below_the_lines(void **state) {
    (void)state;
    struct program p = on_terminal(ARGUMENTS("puppet-task", "run", "brief", "-q", ALL), COLUMNS);
    struct running r;
    program_start(&r, &p);
    program_await(&r, " running  70 waiting  00:0");
    struct screen *s = mem_zalloc(sizeof(*s));
    s->columns = COLUMNS;
    show(s, r.out_text.ptr);
    bool counts = on_screen(s, "*/100 finished  * running  * waiting  00:0*");
    assert_int_equal(program_finish(&r), 0);
    struct screen *end = mem_zalloc(sizeof(*end));
    end->columns = COLUMNS;
    show(end, r.out_text.ptr);
    if (!counts || end->widest >= COLUMNS || rows_like(end, "Finished on node *") != AGENTS ||
        rows_like(end, "*waiting*") != 0 || rows_like(end, "  node-*") != 0 ||
        rows_like(end, "Job completed. 100/100 nodes succeeded.") != 1) {
        print_screen(s);
        print_screen(end);
        fail();
    }
    assert_true(strstr(r.out_text.ptr, " more\033") != NULL || strstr(r.out_text.ptr, " more\r") != NULL);
    assert_null(strstr(r.out_text.ptr, " more node")); /* names of running nodes, cut to the row */
    program_free(&r);
    mem_free(s);
    mem_free(end);
}

static void a_narrow_terminal_does_not_wrap(void **state) {
    (void)state;
    struct program p = on_terminal(ARGUMENTS("puppet-task", "run", "echo", "message=x", "-q", ALL), NARROW);
    char *out = output_of(&p, 0);
    struct screen *s = mem_zalloc(sizeof(*s));
    s->columns = NARROW;
    show(s, out);
    if (s->widest >= NARROW || rows_like(s, "*waiting*") != 0 || rows_like(s, "  message : x") != AGENTS) {
        print_screen(s);
        fail();
    }
    mem_free(s);
    mem_free(out);
}

static void colours(void **state) {
    (void)state;
    static const char green[] = "\033[32mFinished on node " N1 "\033[0m\r\n", red[] = "\033[31mFailed on node ";
    static const struct {
        const char *more, *env;
        bool coloured;
    } cases[] = {
        {NULL, "NO_COLOR", true},    {"--color", "NO_COLOR", true},    {"--no-color", "NO_COLOR", false},
        {NULL, "NO_COLOR=1", false}, {"--color", "NO_COLOR=1", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct program p = on_terminal(
            ARGUMENTS("puppet-task", "run", "echo", "message=x", "-n", N1, "--no-live", cases[i].more), COLUMNS);
        p.env[2] = cases[i].env;
        char *out = output_of(&p, 0);
        if ((strstr(out, green) != NULL) != cases[i].coloured || (strchr(out, '\033') != NULL) != cases[i].coloured) {
            fail_msg("case %zu: %s", i, out);
        }
        mem_free(out);
    }
    struct program p = on_terminal(ARGUMENTS("puppet-task", "run", "crash", "-n", N1), COLUMNS);
    char *out = output_of(&p, 2);
    assert_non_null(strstr(out, red));
    mem_free(out);
}

static void a_node_cannot_write_to_the_terminal(void **state) {
    (void)state;
    struct program p =
        on_terminal(ARGUMENTS("puppet-task", "run", "echo", "--params", "{\"message\": \"a\\u001b]0;owned\\u0007b\"}",
                              "-n", N1, "--no-color", "--no-live"),
                    COLUMNS);
    expect_program(&p, 0, "*\r\n  message : a ]0;owned b\r\n*", NULL);
}

static void the_table_of_failures_comes_last(void **state) {
    (void)state;
    struct program p = on_terminal(ARGUMENTS("puppet-task", "run", "crash", "-q", ALL, "--no-color"), COLUMNS);
    char *out = output_of(&p, 2);
    const char *table = strstr(out, "Failed nodes:\r\n");
    assert_non_null(table);
    size_t rows = 0;
    for (const char *at = table; (at = strstr(at, "  Task exited 1: no such thing\r\n")) != NULL; at++) {
        rows++;
    }
    assert_int_equal(rows, AGENTS);
    assert_true(glob_match("*\r\n\r\nJob completed. 0/100 nodes succeeded.\r\nDuration: * sec\r\n", table));
    mem_free(out);
}

static void ctrl_c_stops_the_job(void **state) {
    (void)state;
    struct program p = on_terminal(ARGUMENTS("puppet-task", "run", "brief", "-q", ALL), COLUMNS);
    struct running r;
    program_start(&r, &p);
    program_await(&r, "Started on ");
    program_type(&r, "\003");
    program_await(&r, "Press Ctrl-C again to leave at once.\r\n");
    assert_int_equal(program_finish(&r), 130);
    if (!glob_match("*Job stopped. */100 nodes succeeded.*", r.out_text.ptr) ||
        glob_match("*Job stopped. 100/100*", r.out_text.ptr)) {
        fail_msg("%s", r.out_text.ptr);
    }
    program_free(&r);
}

static void a_password_is_not_echoed(void **state) {
    (void)state;
    struct program p = on_terminal(ARGUMENTS("puppet-access", "login", "-t", "typed.token"), COLUMNS);
    struct running r;
    program_start(&r, &p);
    program_await(&r, "Enter your Puppet Enterprise credentials.\r\nUsername: ");
    program_type(&r, "admin\n");
    program_await(&r, "Password: ");
    program_type(&r, "sesame\n");
    assert_int_equal(program_finish(&r), 0);
    assert_true(glob_match("*Username: admin\r\nPassword: \r\nAccess token saved to: typed.token\r\n", r.out_text.ptr));
    assert_null(strstr(r.out_text.ptr, "sesame"));
    program_free(&r);
}

static void ctrl_c_and_ctrl_d_leave_a_prompt(void **state) {
    (void)state;
    static const struct {
        const char *keys, *says;
    } cases[] = {{"\003", "Error: interrupted"}, {"\004", "Error: no password was given"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct program p = on_terminal(ARGUMENTS("puppet-access", "login", "admin", "-t", "none.token"), COLUMNS);
        struct running r;
        program_start(&r, &p);
        program_await(&r, "Password: ");
        program_type(&r, cases[i].keys);
        assert_int_equal(program_finish(&r), 1);
        if (strstr(r.out_text.ptr, cases[i].says) == NULL) {
            fail_msg("%s", r.out_text.ptr);
        }
        program_free(&r);
    }
    assert_false(path_exists(rig.dir, "none.token"));
}

static void without_a_token_the_program_asks(void **state) {
    (void)state;
    struct program p = on_terminal(
        ARGUMENTS("puppet-task", "run", "echo", "message=x", "-n", N1, "-t", "empty.token", "--no-color", "--no-live"),
        COLUMNS);
    struct running r;
    program_start(&r, &p);
    program_await(&r, "Username: ");
    program_type(&r, "alice\n");
    program_await(&r, "Password: ");
    program_type(&r, "wonder land\n");
    assert_int_equal(program_finish(&r), 0);
    assert_true(glob_match("*Finished on node " N1 "\r\n  message : x\r\n*", r.out_text.ptr));
    program_free(&r);
    char *kept = read_file(rig.dir, "empty.token"); /* for the next time */
    assert_int_equal(kept[0], '0');
    mem_free(kept);
    write_file(rig.dir, "empty.token", "\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_live_status_stays_below_the_lines),
        cmocka_unit_test(a_narrow_terminal_does_not_wrap),
        cmocka_unit_test(colours),
        cmocka_unit_test(a_node_cannot_write_to_the_terminal),
        cmocka_unit_test(the_table_of_failures_comes_last),
        cmocka_unit_test(ctrl_c_stops_the_job),
        cmocka_unit_test(a_password_is_not_echoed),
        cmocka_unit_test(ctrl_c_and_ctrl_d_leave_a_prompt),
        cmocka_unit_test(without_a_token_the_program_asks),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
