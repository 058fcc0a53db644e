/* Starting: configurations that are wrong, and which exit status says so (agent.md §3, §4). */
#include "base/mem.h"
#include "scenarios/conformance/agent_side.h"
#include <signal.h>
#include <string.h>

struct start {
    const char
        *config; /* the whole file, variables filled; or members behind the usual ones when it begins with a comma */
    int status;
};

#define BASE                                                                                                           \
    "\"ssl-ca-cert\": \"${ca}\", \"ssl-cert\": \"${agent-cert}\", \"ssl-key\": \"${agent-key}\", \"foreground\": "     \
    "true, \"logfile\": \"-\", \"modules-dir\": \"${home}/modules\","                                                  \
    " \"modules-config-dir\": \"${home}/modules-conf\", \"spool-dir\": \"${home}/spool\", \"task-cache-dir\": "        \
    "\"${home}/cache\", \"pidfile\": \"${home}/agent.pid\""

static void does_not_start(struct stage *s) {
    const struct start *c = s->c->data;
    struct agent_side *side = agent_side(s);
    side->stale = true;
    if (c->config[0] == ',') {
        tested_agent_start(s, c->config);
    } else {
        char *filled = variables_fill(&s->vars, c->config);
        const char *path = agent_path(s, "pxp-agent.conf");
        world_file_write(s->world, path, span_of(filled), 0600, WORLD_WRITE_PLAIN, NULL);
        variables_set(&s->vars, "config", path);
        mem_free(filled);
        program_start(s, &side->program);
    }
    int code = agent_exit(s);
    notes(s, "log", "%s", side->program.log.len != 0 ? side->program.log.ptr : "");
    check(s, code == c->status, keep_text(s, str_printf("exit status %d", c->status)), "%d", code);
}

static void starts(struct stage *s) {
    const struct start *c = s->c->data;
    agent_side(s)->stale = true;
    tested_agent_start(s, c->config);
    agent_connected(s);
    agent_works(s);
}

static void makes_directories(struct stage *s) {
    agent_side(s)->stale = true;
    tested_agent_start(s, ", \"spool-dir\": \"${home}/made/spool\", \"task-cache-dir\": \"${home}/made/cache\", "
                          "\"modules-config-dir\": \"${home}/made/conf\"");
    agent_connected(s);
    static const char *const made[] = {"made/spool", "made/cache", "made/conf"};
    for (size_t i = 0; i < 3; i++) {
        struct world_stat st = {0};
        check(s, world_file_stat(s->world, agent_path(s, "%s", made[i]), &st, NULL) && st.is_dir, "a directory",
              "no %s", made[i]);
        check(s, st.mode == 0750, "mode 0750", "%o of %s", (unsigned)st.mode, made[i]);
    }
}

static void ends_on(struct stage *s) {
    agent_side(s)->stale = true;
    int number = strcmp(s->c->data, "TERM") == 0 ? SIGTERM : SIGINT;
    world_pid_signal(s->world, agent_side(s)->program.pid, number, false);
    int code = agent_exit(s);
    check(s, code == 128 + number, "it ends by the signal", "%d", code);
}

#define BROKER "\"broker-ws-uri\": \"wss://localhost:1/pcp\", "
static const struct start
    not_hocon = {"{ this is [ no configuration", 2},
    wrong_type = {"{" BROKER BASE ", \"ping-interval\": \"often\"}", 2},
    both_keys = {"{" BROKER "\"broker-ws-uris\": [\"wss://localhost:1/pcp\"], " BASE "}", 2},
    no_broker = {"{" BASE "}", 3}, not_wss = {"{\"broker-ws-uri\": \"ws://localhost:1/pcp\", " BASE "}", 3},
    not_wss_list = {"{\"broker-ws-uris\": [\"wss://localhost:1/pcp\", \"https://localhost\"], " BASE "}", 3},
    http_primary = {", \"primary-uris\": [\"http://localhost\"]", 3}, version_3 = {", \"pcp-version\": \"3\"", 3},
    no_ca = {"{" BROKER "\"ssl-cert\": \"${agent-cert}\", \"ssl-key\": \"${agent-key}\", \"foreground\": true, "
             "\"modules-dir\": \"${home}/modules\"}",
             3},
    absent_ca = {", \"ssl-ca-cert\": \"${home}/absent.pem\"", 3},
    absent_cert = {", \"ssl-cert\": \"${home}/absent.pem\"", 3},
    absent_key = {", \"ssl-key\": \"${home}/absent.pem\"", 3}, other_key = {", \"ssl-key\": \"${key}\"", 3},
    garbage_cert = {", \"ssl-cert\": \"${config}\"", 3}, absent_crl = {", \"ssl-crl\": \"${home}/absent.pem\"", 3},
    absent_modules = {", \"modules-dir\": \"${home}/absent\"", 3},
    modules_file = {", \"modules-dir\": \"${agent-cert}\"", 3}, spool_file = {", \"spool-dir\": \"${agent-cert}\"", 3},
    cache_file = {", \"task-cache-dir\": \"${agent-cert}\"", 3}, bad_ttl = {", \"spool-dir-purge-ttl\": \"1.0\"", 3},
    bad_cache_ttl = {", \"task-cache-dir-purge-ttl\": \"1.0\"", 3}, negative = {", \"task-download-timeout\": -1", 3},
    negative_connect = {", \"task-download-connect-timeout\": -1", 3}, bad_level = {", \"loglevel\": \"loud\"", 3};
static const struct start unknown_key = {", \"no-such-key\": {\"a\": 1}", 0},
                          hours = {", \"spool-dir-purge-ttl\": \"12h\", \"task-cache-dir-purge-ttl\": \"90m\"", 0},
                          master = {", \"master-uris\": [\"https://localhost:1\"]", 0};

#define STOPS(id, statement, c)                                                                                        \
    { "pxp2/start/" id, statement, "agent.md §3, §4", "agent-2-config", does_not_start, &c, FIXTURE_STOPPED, false }
#define STARTS(id, statement, c)                                                                                       \
    { "pxp2/start/" id, statement, "agent.md §3", "agent-2-config", starts, &c, FIXTURE_STOPPED, false }

const struct conform_case agent_start_cases[] = {
    STOPS("file-001", "A file that is no configuration: 2.", not_hocon),
    STOPS("file-002", "A number that is a text: 2.", wrong_type),
    STOPS("file-003", "broker-ws-uri and broker-ws-uris: 2.", both_keys),
    STOPS("broker-001", "No broker: 3.", no_broker),
    STOPS("broker-002", "A broker that is not wss://: 3.", not_wss),
    STOPS("broker-003", "One of the list that is not: 3.", not_wss_list),
    STOPS("broker-004", "A primary that is not https://: 3.", http_primary),
    STOPS("broker-005", "pcp-version 3: 3.", version_3),
    STOPS("certificate-001", "No ssl-ca-cert: 3.", no_ca),
    STOPS("certificate-002", "An ssl-ca-cert that is not there: 3.", absent_ca),
    STOPS("certificate-003", "An ssl-cert that is not there: 3.", absent_cert),
    STOPS("certificate-004", "An ssl-key that is not there: 3.", absent_key),
    STOPS("certificate-005", "A key of another certificate: 3.", other_key),
    STOPS("certificate-006", "A certificate that is none: 3.", garbage_cert),
    STOPS("certificate-007", "An ssl-crl that is not there: 3.", absent_crl),
    STOPS("directory-001", "A modules-dir that is not there: 3.", absent_modules),
    STOPS("directory-002", "A modules-dir that is a file: 3.", modules_file),
    STOPS("directory-003", "A spool-dir that is a file: 3.", spool_file),
    STOPS("directory-004", "A task-cache-dir that is a file: 3.", cache_file),
    STOPS("value-001", "A spool TTL of 1.0: 3.", bad_ttl),
    STOPS("value-002", "A cache TTL of 1.0: 3.", bad_cache_ttl),
    STOPS("value-003", "A negative download time: 3.", negative),
    STOPS("value-004", "A negative connect time: 3.", negative_connect),
    STOPS("value-005", "A log level that is none: 3.", bad_level),
    STARTS("take-001", "A key that is not known is ignored.", unknown_key),
    STARTS("take-002", "TTLs in hours and minutes.", hours),
    STARTS("take-003", "master-uris beside primary-uris.", master),
    {"pxp2/start/directory-005", "Spool, cache and modules' configuration directories are made, mode 0750.",
     "agent.md §3", "agent-2-config agent-4-paths", makes_directories, NULL, FIXTURE_STOPPED, false},
    {"pxp2/start/stop-001", "SIGTERM ends one in the foreground.", "agent.md §4", "agent-4-service", ends_on, "TERM",
     FIXTURE_FRESH, false},
    {"pxp2/start/stop-002", "SIGINT ends one in the foreground.", "agent.md §4", "agent-4-service", ends_on, "INT",
     FIXTURE_FRESH, false},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
