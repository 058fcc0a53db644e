/* Behaviours: what is wrong with a description, what a run makes of it, and what ends one by force. */
#include "simulator/fleet/behaviour.h"

#include "base/mem.h"
#include "simulator/fleet/virtual_process.h"
#include "simulator/world/sim.h"
#include <signal.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void what_is_wrong_is_said(void **state) {
    static const struct {
        const char *spec, *says;
    } cases[] = {
        {"{'tasks': 1}", "tasks must be an object"},
        {"{'tasks': {'t': 1}}", "tasks.t must be an object"},
        {"{'tasks': {'t': {'take': '1s'}}}", "t: unknown key \"take\"; did you mean \"takes\"?"},
        {"{'tasks': {'t': {'takes': '1 parsec'}}}", "tasks.t.takes: "},
        {"{'tasks': {'t': {'takes': {'lognormal': {'p50': '2s', 'p99': '1s'}}}}}",
         "tasks.t.takes: lognormal: p50 must be above 0 and not longer than p99"},
        {"{'tasks': {'t': {'stdout': 1}}}", "tasks.t: stdout and stderr must be texts"},
        {"{'tasks': {'t': {'exit': 256}}}", "tasks.t: exit must be 0 to 255 and signal 0 to 64"},
        {"{'tasks': {'t': {'signal': 65}}}", "tasks.t: exit must be 0 to 255 and signal 0 to 64"},
        {"{'tasks': {'t': {'unkillable': 'yes'}}}", "tasks.t.unkillable must be true or false"},
        {"{'puppet_run': []}", "puppet_run must be an object"},
        {"{'puppet_run': {'state': 'changed'}}", "puppet_run: unknown key \"state\"; did you mean \"status\"?"},
        {"{'puppet_run': {'takes': 5}}", "puppet_run.takes: "},
        {"{'puppet_run': {'status': 'odd'}}", "puppet_run.status must be unchanged, changed or failed, or "},
        {"{'puppet_run': {'status': {'changed': -1}}}", "puppet_run.status.changed must be between 0 and 1"},
        {"{'puppet_run': {'exit': -1}}", "puppet_run: error must be a text, report true or false, exit 0 to 255"},
        {"{'puppet_run': {'error': 1}}", "puppet_run: error must be a text, report true or false, exit 0 to 255"},
        {"{'puppet_run': {'report': 1}}", "puppet_run: error must be a text, report true or false, exit 0 to 255"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = str_dup(cases[i].spec);
        for (char *quote = text; (quote = strchr(quote, '\'')) != NULL;) {
            *quote = '"';
        }
        json_t *spec = json_parse(span_of(text), "test", NULL);
        struct error err = ERROR_INIT;
        assert_non_null(spec);
        assert_null(behaviours_new(spec, &err));
        assert_true(error_is(&err, "behaviour"));
        if (strncmp(err.msg, cases[i].says, strlen(cases[i].says)) != 0) {
            fail_msg("%s: said \"%s\" instead of \"%s\"", cases[i].spec, err.msg, cases[i].says);
        }
        error_clear(&err);
        json_decref(spec);
        mem_free(text);
    }
}

static void the_orchestrators_command_ends_the_run_it_names(void **state) {
    static const char *const kill_a[] = {"/bin/sh", "-c", "p=$(cat /spool/a-1/pid) && kill -s KILL \"$p\"", NULL};
    static const char *const other[] = {"/bin/sh", "-c", "cat /spool/a-1/pid", NULL};
    static const char *const program[] = {"/opt/kill", "/spool/a-1/pid", NULL};
    static const char *const nothing[] = {NULL};
    (void)state;
    assert_true(behaviour_kills(kill_a, "/opt/spool/a-1/pid"));
    assert_true(behaviour_kills(kill_a, "a-1/pid"));
    assert_false(behaviour_kills(kill_a, "/opt/spool/b-2/pid"));
    assert_false(behaviour_kills(kill_a, "pid"));
    assert_false(behaviour_kills(kill_a, "/pid"));
    assert_false(behaviour_kills(kill_a, NULL));
    assert_false(behaviour_kills(other, "/opt/spool/a-1/pid"));
    assert_false(behaviour_kills(program, "/opt/spool/a-1/pid"));
    assert_true(behaviour_is_shell(other));
    assert_false(behaviour_is_shell(program));
    assert_false(behaviour_is_shell(nothing));
}

/* ---- virtual processes on one host of the sim world */

struct rig {
    struct sim *sim;
    struct world *host;
    struct world node; /* the host with made-up programs */
    struct behaviours *behaviours;
    struct virtual_processes *programs;
    int exits;
    struct world_exit last;
};

static void on_exit_done(void *ctx, const struct world_exit *e) {
    struct rig *r = ctx;
    r->exits++;
    r->last = *e;
}

static int64_t run(struct rig *r, const char *const *argv, const char *input) {
    struct world_spawn opts = {.argv = argv, .stdin_bytes = span_of(input)};
    return world_process_pid(world_spawn(&r->node, &opts, on_exit_done, r));
}

static int64_t run_task(struct rig *r, const char *id, const char *task) {
    char *dir = str_printf("/spool/%s", id), *input = str_printf("{\"_task\":\"%s\"}", task);
    char *size = str_printf("%zu", strlen(input));
    assert_true(world_file_mkdir(r->host, dir, 0700, true, NULL));
    const char *argv[] = {"dalang-exec", "--spool", dir, "--input", size, "--limit", "1000", "--", "/tasks/t", NULL};
    int64_t pid = run(r, argv, input);
    mem_free(dir);
    mem_free(input);
    mem_free(size);
    return pid;
}

/* How many runs ended: the command itself is one. */
static int kill_by_shell(struct rig *r, const char *id) {
    char *command = str_printf("kill -s TERM \"$(cat /spool/%s/pid)\"", id);
    const char *argv[] = {"dalang-exec", "--", "/bin/sh", "-c", command, NULL};
    int before = r->exits;
    run(r, argv, "");
    sim_run(r->sim, sim_now_us(r->sim) + SIM_MS);
    mem_free(command);
    return r->exits - before;
}

static void setup(struct rig *r) {
    json_t *spec = json_pack("{s:{s:{s:s}, s:{s:s, s:b}, s:{s:i}}}", "tasks", "long", "takes", "100h", "stuck", "takes",
                             "100h", "unkillable", 1, "crash", "signal", SIGSEGV);
    *r = (struct rig){.sim = sim_new(&(struct sim_opts){.seed = 1})};
    r->host = sim_host(r->sim, "node");
    r->node = *r->host;
    r->behaviours = behaviours_new(spec, NULL);
    r->programs = virtual_processes_new(&(struct virtual_processes_opts){.clock = r->host, .seed = 1});
    virtual_processes_join(r->programs, &r->node, r->behaviours, "node");
    json_decref(spec);
}

static void teardown(struct rig *r) {
    virtual_processes_leave(r->programs, &r->node);
    virtual_processes_free(r->programs);
    behaviours_free(r->behaviours);
    sim_free(r->sim);
}

static void a_run_is_ended_by_force(void **state) {
    struct rig r;
    (void)state;
    setup(&r);
    int64_t pid = run_task(&r, "a-1", "long");
    sim_run(r.sim, SIM_HOUR);
    assert_true(world_pid_alive(&r.node, pid));
    assert_int_equal(kill_by_shell(&r, "b-2"), 1); /* nobody: only the command itself ends, and says so */
    assert_int_equal(r.last.status, 1);
    assert_int_equal(kill_by_shell(&r, "a-1"), 2);
    assert_false(world_pid_alive(&r.node, pid));
    assert_false(world_file_stat(r.host, "/spool/a-1/exitcode", &(struct world_stat){0}, NULL)); /* it left nothing */
    pid = run_task(&r, "c-3", "long");
    assert_true(world_pid_signal(&r.node, pid, SIGTERM, true));
    sim_run(r.sim, sim_now_us(r.sim) + SIM_MS);
    assert_int_equal(r.last.signal, SIGTERM);
    assert_int_equal(virtual_processes_running(r.programs), 0);
    teardown(&r);
}

static void an_unkillable_run_goes_on(void **state) {
    struct rig r;
    (void)state;
    setup(&r);
    int64_t pid = run_task(&r, "a-1", "stuck");
    assert_int_equal(kill_by_shell(&r, "a-1"), 1);
    assert_int_equal(r.last.status, 0); /* kill was sent */
    assert_true(world_pid_signal(&r.node, pid, SIGKILL, true));
    sim_run(r.sim, SIM_HOUR);
    assert_true(world_pid_alive(&r.node, pid));
    sim_run(r.sim, 101 * SIM_HOUR);
    assert_false(world_pid_alive(&r.node, pid));
    assert_int_equal(r.last.signal, 0);
    teardown(&r);
}

static void a_crash_is_the_wrappers_exit_code(void **state) {
    struct rig r;
    struct buf code = BUF_INIT;
    (void)state;
    setup(&r);
    run_task(&r, "a-1", "crash");
    sim_run(r.sim, SIM_SECOND);
    assert_int_equal(r.exits, 1);
    assert_int_equal(r.last.status, SIGSEGV);
    assert_true(world_file_read(r.host, "/spool/a-1/exitcode", 10, &code, NULL));
    assert_true(span_eq_cstr(buf_span(&code), "11\n"));
    buf_free(&code);
    teardown(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(the_orchestrators_command_ends_the_run_it_names),
        cmocka_unit_test(a_run_is_ended_by_force),
        cmocka_unit_test(an_unkillable_run_goes_on),
        cmocka_unit_test(a_crash_is_the_wrappers_exit_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
