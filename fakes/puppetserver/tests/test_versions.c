/* config_version: the program that says which version of the code an environment holds (puppetserver.md §19). */
#include "base/mem.h"
#include "code.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CATALOG "/puppet/v3/catalog/n1?environment=production"
#define PROGRAM "/opt/version"

/* What the simulated program does, and what it saw. */
struct program {
    const char *out, *err;
    int status;
    uint64_t takes_us;
    char argv[200], env[200], cwd[100];
    unsigned starts, running, running_most;
};

static void run(void *ctx, struct sim_exec *x) {
    struct program *p = ctx;
    buf_append_cstr(&x->out, p->out != NULL ? p->out : "");
    buf_append_cstr(&x->err, p->err != NULL ? p->err : "");
    x->status = p->status;
    x->takes_us = p->takes_us;
    *p->argv = *p->env = '\0';
    for (size_t i = 0; x->argv[i] != NULL; i++) {
        snprintf(p->argv + strlen(p->argv), sizeof p->argv - strlen(p->argv), "[%s]", x->argv[i]);
    }
    for (size_t i = 0; x->env[i] != NULL; i++) {
        snprintf(p->env + strlen(p->env), sizeof p->env - strlen(p->env), "[%.4s]", x->env[i]);
    }
    snprintf(p->cwd, sizeof p->cwd, "%s", x->cwd);
    p->starts++;
    p->running++;
    p->running_most = p->running > p->running_most ? p->running : p->running_most;
}

static void ended(void *ctx, struct sim_exec *x, int killed) {
    (void)x;
    (void)killed;
    ((struct program *)ctx)->running--;
}

struct versions {
    struct code_bench b;
    struct program program;
};

static int set_up(void **state) {
    struct versions *v = mem_zalloc(sizeof *v);
    code_open(&v->b, NULL);
    struct sim_program program = {.run = run, .at_end = ended, .ctx = &v->program};
    sim_program(v->b.rig.sim, v->b.rig.server, PROGRAM, &program);
    sim_program(v->b.rig.sim, v->b.rig.server, "/bin/sh", &program);
    sim_program(v->b.rig.sim, v->b.rig.server, ENVIRONMENTS "production/bin/version", &program);
    code_file(&v->b, "production/environment.conf", "config_version = " PROGRAM "\n");
    *state = v;
    return 0;
}

static int tear_down(void **state) {
    struct versions *v = *state;
    code_close(&v->b);
    assert_int_equal(v->program.running, 0);
    mem_free(v);
    return 0;
}

static void expect_version(struct versions *v, const char *version) {
    json_t *catalog = code_get(&v->b, CATALOG, 200);
    assert_string_equal(json_str(catalog, "version"), version);
    assert_true(json_is_null(json_object_get(catalog, "code_id")));
    json_decref(catalog);
}

static void the_output_is_the_version(void **state) {
    struct versions *v = *state;
    static const struct {
        const char *out, *err, *version;
    } cases[] = {
        {"5f2c9e1\n", NULL, "5f2c9e1"}, {"  a b \n\n", NULL, "a b"}, {"", NULL, ""},
        {"out", "err", "outerr"},       {"grün", NULL, "grün"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        v->program.out = cases[i].out;
        v->program.err = cases[i].err;
        expect_version(v, cases[i].version);
    }
    assert_int_equal(v->program.starts, 5); /* each time anew: the code may have been edited */
    assert_string_equal(v->program.env, "[PATH][LANG]");
    assert_string_equal(v->program.cwd, "/");
}

static void without_one_it_is_the_time(void **state) {
    struct versions *v = *state;
    code_file(&v->b, "production/environment.conf", "config_version =\n");
    json_t *catalog = code_get(&v->b, CATALOG, 200);
    char now[32];
    snprintf(now, sizeof now, "%lld", (long long)(world_wall_ms(v->b.rig.server) / 1000));
    assert_int_equal(strlen(json_str(catalog, "version")), strlen(now));
    assert_memory_equal(json_str(catalog, "version"), now, 8);
    assert_int_equal(v->program.starts, 0);
    json_decref(catalog);
}

static void the_command_is_split_or_given_to_the_shell(void **state) {
    struct versions *v = *state;
    static const struct {
        const char *setting, *argv, *shown;
    } cases[] = {
        {PROGRAM, "[" PROGRAM "]", PROGRAM},
        {PROGRAM " a  b", "[" PROGRAM "][a][b]", PROGRAM " a  b"},
        {PROGRAM " $environment ${environment}x $codedir", "[" PROGRAM "][production][productionx][/code]",
         PROGRAM " production productionx /code"},
        {PROGRAM " $other", "[/bin/sh][-c][" PROGRAM " $other]", PROGRAM " $other"},
        {PROGRAM "; true", "[/bin/sh][-c][" PROGRAM "; true]", PROGRAM "; true"},
        {"bin/version", "[" ENVIRONMENTS "production/bin/version]", ENVIRONMENTS "production/bin/version"},
        {"./x/../bin/version one", "[" ENVIRONMENTS "production/bin/version][one]",
         ENVIRONMENTS "production/bin/version one"},
        {"/opt/./up/../version", "[" PROGRAM "]", PROGRAM},
        {"$codedir/environments/$environment/bin/version", "[" ENVIRONMENTS "production/bin/version]",
         ENVIRONMENTS "production/bin/version"},
    };
    v->program.out = "one";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *conf = str_printf("config_version = %s\n", cases[i].setting);
        code_file(&v->b, "production/environment.conf", conf);
        expect_version(v, "one");
        assert_string_equal(v->program.argv, cases[i].argv);
        json_t *all = code_get(&v->b, "/puppet/v3/environments", 200);
        const json_t *production = json_object_get(json_object_get(all, "environments"), "production");
        assert_string_equal(json_str(json_object_get(production, "settings"), "config_version"), cases[i].shown);
        json_decref(all);
        mem_free(conf);
    }
}

static void expect_failure(struct versions *v, const char *message) {
    char *full = str_printf("Server Error: %s on node n1", message);
    json_t *o = code_get(&v->b, CATALOG, 500);
    assert_string_equal(json_str(o, "message"), full);
    json_decref(o);
    mem_free(full);
}

#define FAILED "Execution of config_version command `" PROGRAM "` failed: "

static void what_goes_wrong_is_told(void **state) {
    struct versions *v = *state;
    v->program.out = "said\n";
    v->program.err = "wrong\n";
    v->program.status = 3;
    expect_failure(v, FAILED "Execution of '" PROGRAM "' returned 3: said\nwrong");
    v->program.status = 0;
    v->program.err = "\xff";
    expect_failure(v, FAILED "what it writes is not UTF-8");
    v->program.err = NULL;
    v->program.takes_us = 31 * SIM_SECOND;
    expect_failure(v, FAILED "it takes too long");
    v->program.takes_us = 0;
    char *much = mem_zalloc(100 * 1024);
    memset(much, 'x', 100 * 1024 - 1);
    v->program.out = much;
    expect_failure(v, FAILED "it writes too much");
    mem_free(much);
    v->program.out = NULL;
    code_file(&v->b, "production/environment.conf", "config_version = /no/such/program at all\n");
    expect_failure(v, "Exception while executing '/no/such/program': Cannot run program \"/no/such/program\" (in "
                      "directory \".\"): error=2, No such file or directory");
    code_file(&v->b, "production/bin/text", "not a program");
    code_file(&v->b, "production/environment.conf", "config_version = bin/text\n");
    expect_failure(v,
                   "Exception while executing '" ENVIRONMENTS "production/bin/text': Cannot run program \"" ENVIRONMENTS
                   "production/bin/text\" (in directory \".\"): error=13, Permission denied");
}

static void every_kind_of_catalog_has_it(void **state) {
    struct versions *v = *state;
    static const struct {
        const char *path, *body;
    } cases[] = {
        {"/puppet/v4/catalog", "{\"certname\":\"n1\",\"persistence\":{\"facts\":false,\"catalog\":false},"
                               "\"environment\":\"production\"}"},
        {"/puppet/v3/compile", "{\"certname\":\"n1\",\"code_ast\":\"{}\",\"facts\":{\"values\":{}},\"trusted_facts\":"
                               "{\"values\":{}},\"variables\":{\"values\":{}},\"environment\":\"production\"}"},
    };
    for (size_t i = 0; i < 2; i++) {
        struct ask ask = {.method = "POST", .path = cases[i].path, .cn = "orch", .body = cases[i].body};
        v->program.out = "seven";
        v->program.status = 0;
        json_t *o = rig_json(&v->b.rig, &ask, 200);
        assert_string_equal(json_str(json_object_get(o, "catalog"), "version"), "seven");
        json_decref(o);
        v->program.status = 1;
        struct reply reply = rig_ask(&v->b.rig, &ask);
        assert_int_equal(reply.status, 500);
        assert_string_equal(reply.body.ptr, "Internal Server Error: org.jruby.exceptions.RuntimeError: (Error) " FAILED
                                            "Execution of '" PROGRAM "' returned 1: seven on node n1");
        reply_clear(&reply);
    }
}

/* The program is asked before anything has been done, so that nothing is done twice. */
static void agents_submit_once(void **state) {
    struct versions *v = *state;
    v->program.out = "eight";
    struct ask ask = {.method = "POST",
                      .path = "/puppet/v3/catalog/n1",
                      .cn = "n1",
                      .content_type = "application/x-www-form-urlencoded",
                      .body = "environment=production&facts_format=application%2Fjson&facts="
                              "%257B%2522name%2522%253A%2522n1%2522%252C%2522values%2522%253A%257B%257D%257D"};
    json_t *catalog = rig_json(&v->b.rig, &ask, 200);
    assert_string_equal(json_str(catalog, "version"), "eight");
    json_decref(catalog);
    assert_int_equal(json_array_size(v->b.commands), 2); /* facts and catalog */
    const json_t *sent = json_object_get(json_array_get(v->b.commands, 1), "payload");
    assert_string_equal(json_str(sent, "version"), "eight");
}

static void a_client_that_goes_ends_its_program(void **state) {
    struct versions *v = *state;
    v->program.takes_us = 20 * SIM_SECOND;
    struct reply reply = rig_ask(&v->b.rig, &(struct ask){.path = CATALOG, .cn = "orch", .within_us = SIM_SECOND});
    assert_true(reply.timed_out);
    reply_clear(&reply);
    sim_run(v->b.rig.sim, sim_now_us(v->b.rig.sim) + SIM_SECOND);
    assert_int_equal(v->program.starts, 1);
    assert_int_equal(v->program.running, 0);
    v->program.takes_us = 0;
    v->program.out = "later";
    expect_version(v, "later");
}

struct many {
    unsigned good, all;
};

static void one_answered(void *ctx, const struct world_response *response) {
    struct many *m = ctx;
    m->all++;
    m->good += response->err == NULL && response->status == 200 ? 1 : 0;
}

static bool all_answered(void *ctx) {
    return ((struct many *)ctx)->all == 40;
}

static void few_programs_run_at_once(void **state) {
    struct versions *v = *state;
    struct many many = {0};
    struct error err = ERROR_INIT;
    struct world_tls_files files = sim_tls_files(v->b.rig.client, "orch");
    struct world_tls *tls = world_tls_new(v->b.rig.client, &files, &err);
    assert_non_null(tls);
    v->program.takes_us = SIM_SECOND;
    v->program.out = "many";
    char *url = str_printf("https://fakes:%d" CATALOG, RIG_PORT);
    for (int i = 0; i < 40; i++) {
        world_fetch(v->b.rig.client, &(struct world_fetch_opts){.url = url, .tls = tls}, one_answered, &many);
    }
    assert_true(sim_run_until(v->b.rig.sim, SIM_MINUTE, all_answered, &many));
    assert_int_equal(many.good, 40);
    assert_int_equal(v->program.starts, 40);
    assert_int_equal(v->program.running_most, 8);
    world_tls_free(tls);
    mem_free(url);
}

/* Ends with requests that wait, some of them for their turn. */
static void the_server_may_go(void **state) {
    struct versions *v = *state;
    struct many many = {0};
    struct error err = ERROR_INIT;
    struct world_tls_files files = sim_tls_files(v->b.rig.client, "orch");
    struct world_tls *tls = world_tls_new(v->b.rig.client, &files, &err);
    assert_non_null(tls);
    v->program.takes_us = 25 * SIM_SECOND;
    char *url = str_printf("https://fakes:%d" CATALOG, RIG_PORT);
    for (int i = 0; i < 20; i++) {
        world_fetch(v->b.rig.client, &(struct world_fetch_opts){.url = url, .tls = tls}, one_answered, &many);
    }
    sim_run(v->b.rig.sim, sim_now_us(v->b.rig.sim) + SIM_SECOND);
    assert_int_equal(v->program.running, 8);
    rig_stop(&v->b.rig);
    assert_int_equal(v->program.running, 0);
    assert_int_equal(many.good, 0);
    world_tls_free(tls);
    code_free(&v->b);
    mem_free(url);
    mem_free(v);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(the_output_is_the_version),
        T(without_one_it_is_the_time),
        T(the_command_is_split_or_given_to_the_shell),
        T(what_goes_wrong_is_told),
        T(every_kind_of_catalog_has_it),
        T(agents_submit_once),
        T(a_client_that_goes_ends_its_program),
        T(few_programs_run_at_once),
        cmocka_unit_test_setup(the_server_may_go, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
