/* dalang tap between real agents' connections and a real broker. */
#include "simulator/dalang/tests/rig.h"

#include "base/mem.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct rig rig;

static int start(void **state) {
    (void)state;
    rig_start(&rig, ARGUMENTS("--agents", "1"));
    return 0;
}

static int stop(void **state) {
    (void)state;
    rig_stop(&rig);
    return 0;
}

/* "wss://127.0.0.1:PORT/pcp2/" of the tap, from its first line. */
static char *address_of(struct running *tap) {
    program_await(tap, " carries to ");
    const char *at = strstr(tap->err_text.ptr, "wss://");
    return str_printf("%.*s/pcp2/", (int)(strstr(at, " carries") - at), at);
}

static void a_task_is_seen(void **state) {
    (void)state;
    char *keys = str_printf("SSLKEYLOGFILE=%s/keys", rig.dir);
    char *ca = str_printf("%s/ca.pem", rig.stack_dir), *ca_key = str_printf("%s/ca.key", rig.stack_dir);
    struct running tap, fleet;
    struct program p = {.argv = {"dalang", "tap", "--dir", rig.stack_dir, "--target", json_str(rig.ready, "broker"),
                                 "--listen", "0", "--count", "3", "--json"},
                        .env = {keys}};
    program_start(&tap, &p);
    char *url = address_of(&tap);
    program_start(&fleet, &(struct program){
                              .argv = {"dalang", "fleet", "--broker", url, "--ca", ca, "--ca-key", ca_key, "--agents",
                                       "1", "--name", "tapped-{n}", "--primary", json_str(rig.ready, "puppetserver"),
                                       "--cert", json_str(rig.ready, "cert"), "--key", json_str(rig.ready, "key")}});
    program_await(&fleet, "1 agents connected");
    /* request, provisional response, response: then the tap has seen enough */
    rig_expect(&rig, ARGUMENTS("puppet-task", "run", "echo", "message=hello", "--nodes", "tapped-1"), 0,
               "*message : hello*", "");
    assert_int_equal(program_finish(&tap), 0);
    assert_non_null(strstr(tap.out_text.ptr, "\"message_type\":\"http://puppetlabs.com/rpc_non_blocking_request\""));
    assert_non_null(strstr(tap.out_text.ptr, "\"message_type\":\"http://puppetlabs.com/rpc_provisional_response\""));
    assert_non_null(strstr(tap.out_text.ptr, "\"sender\":\"pcp://tapped-1/agent\""));
    assert_non_null(strstr(tap.out_text.ptr, "\"input\":{\"message\":\"hello\""));
    char *secrets = read_file(rig.dir, "keys");
    assert_non_null(strstr(secrets, "CLIENT_TRAFFIC_SECRET_0 "));
    struct stat st;
    char *path = str_printf("%s/keys", rig.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 077, 0); /* nobody else's business */
    mem_free(path);
    mem_free(secrets);
    program_free(&fleet);
    program_free(&tap);
    mem_free(url);
    mem_free(ca);
    mem_free(ca_key);
    mem_free(keys);
}

static void a_client_without_a_good_certificate_gets_nowhere(void **state) {
    (void)state;
    char *other = str_printf("%s/other", rig.dir);
    char *ca = str_printf("%s/ca.pem", other), *ca_key = str_printf("%s/ca.key", other);
    struct running tap, fleet;
    expect_program(&(struct program){.argv = {"dalang", "certs", "init", "--dir", other}}, 0, NULL, "");
    program_start(&tap, &(struct program){.argv = {"dalang", "tap", "--dir", rig.stack_dir, "--target",
                                                   json_str(rig.ready, "broker"), "--listen", "0", "--frames"}});
    char *url = address_of(&tap);
    program_start(&fleet, &(struct program){.argv = {"dalang", "fleet", "--broker", url, "--ca", ca, "--ca-key", ca_key,
                                                     "--agents", "1", "--for", "2s"}});
    program_await(&tap, "unknown ca");
    program_finish(&fleet);
    assert_null(tap.out_text.ptr != NULL ? strstr(tap.out_text.ptr, "connected:") : NULL);
    program_free(&fleet);
    program_free(&tap);
    mem_free(url);
    mem_free(ca);
    mem_free(ca_key);
    mem_free(other);
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    const char *broker = json_str(rig.ready, "broker");
    static const char no_broker[] = "wss://127.0.0.1:1";
    const struct expectation list[] = {
        {{"dalang", "tap"}, 2, "", "dalang tap: --target is needed: the broker's URL\n", NULL},
        {{"dalang", "tap", "--target", broker}, 2, "", "dalang tap: --ca (or --dir) is needed\n", NULL},
        {{"dalang", "tap", "--target", "http://x", "--dir", rig.stack_dir},
         2,
         "",
         "dalang tap: --target must begin with wss://\n",
         NULL},
        {{"dalang", "tap", "--target", "nonsense", "--dir", rig.stack_dir}, 2, "", "dalang tap: --target: *\n", NULL},
        {{"dalang", "tap", "--target", broker, "--dir", "/nowhere"}, 3, "", "dalang tap: /nowhere/ca.pem: *\n", NULL},
        {{"dalang", "tap", "--target", broker, "--dir", rig.stack_dir, "--listen", "x:y"},
         2,
         "",
         "dalang tap: --listen \"x:y\" is not PORT or HOST:PORT\n",
         NULL},
        {{"dalang", "tap", "--target", broker, "--dir", rig.stack_dir, "word"},
         2,
         "",
         "dalang tap: \"word\" is no option\n",
         NULL},
        {{"dalang", "tap", "--target", no_broker, "--dir", rig.stack_dir, "--listen", "0", "--for", "50ms"},
         0,
         "",
         "dalang tap: wss://127.0.0.1:* carries to wss://127.0.0.1:1\n",
         NULL},
    };
    EXPECT_ALL(&rig, list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_is_seen),
        cmocka_unit_test(a_client_without_a_good_certificate_gets_nowhere),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, start, stop);
}
