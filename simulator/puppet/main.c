/* dalang-puppet: stands in for `puppet agent` where a machine has none, so that the real agents of `dalang up` can take
 * part in Puppet runs. It changes nothing: it makes up an unchanged run, writes last_run_report.yaml as Puppet does and
 * sends the report to PuppetDB as the terminus does. Two invocations, those of pxp-module-puppet (agent.md §17):
 *
 *   dalang-puppet agent --configprint NAME,NAME…      dalang-puppet agent [FLAGS…]
 *
 * DALANG_PUPPET_CONF names its configuration: {"certname", "statedir", "puppetdb", "ca", "cert", "key"}. */
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "simulator/fleet/behaviour.h"
#include "world/real.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONFIG_MAX = 64 * 1024, SUBMIT_TIMEOUT_MS = 30000 };

struct puppet {
    struct world *world;
    json_t *config;
    const char *certname, *statedir;
};

static const struct {
    const char *setting, *file;
} settings[] = {
    {"agent_catalog_run_lockfile", "agent_catalog_run.lock"},
    {"agent_disabled_lockfile", "agent_disabled.lock"},
    {"lastrunreport", "last_run_report.yaml"},
};
enum { SETTING_COUNT = sizeof(settings) / sizeof(settings[0]) };

static bool load(struct puppet *p, struct error *err) {
    const char *path = getenv("DALANG_PUPPET_CONF");
    struct buf text = BUF_INIT;
    if (path == NULL) {
        return error_set(err, "configuration", "DALANG_PUPPET_CONF is not set");
    }
    if (!world_file_read(p->world, path, CONFIG_MAX, &text, err)) {
        return false;
    }
    p->config = json_parse(buf_span(&text), "configuration", err);
    buf_free(&text);
    p->certname = json_str(p->config, "certname");
    p->statedir = json_str(p->config, "statedir");
    if (p->config != NULL && (p->certname == NULL || p->statedir == NULL)) {
        return error_set(err, "configuration", "%s: certname and statedir are needed", path);
    }
    return p->config != NULL;
}

static int print_settings(const struct puppet *p, const char *names) {
    struct span rest = span_of(names), name;
    size_t asked = 1;
    for (const char *c = names; *c != '\0'; c++) {
        asked += *c == ',';
    }
    for (size_t i = 0; i < SETTING_COUNT; i++) { /* in the order of their names, as Puppet prints them */
        rest = span_of(names);
        while (span_split(&rest, ',', &name)) {
            if (!span_eq_cstr(name, settings[i].setting)) {
                continue;
            }
            if (asked > 1) {
                printf("%s = ", settings[i].setting);
            }
            printf("%s/%s\n", p->statedir, settings[i].file);
        }
    }
    return 0;
}

/* ---- a run */

/* The run's flags as pxp-module-puppet's input, for the shared maker of reports. */
static json_t *input_of(int argc, char *const argv[]) {
    json_t *flags = json_array(), *input = json_object();
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--job-id") == 0 && i + 1 < argc) {
            json_set(input, "job", json_string(argv[++i]));
        } else {
            json_array_append_new(flags, json_string(argv[i]));
        }
    }
    json_set(input, "flags", flags);
    return json_pack("{s:o}", "input", input);
}

static bool write_report_file(const struct puppet *p, const json_t *result, struct error *err) {
    struct buf yaml = BUF_INIT;
    buf_printf(&yaml, "--- !ruby/object:Puppet::Transaction::Report\n"
                      "metrics:\n"
                      "  resources: !ruby/object:Puppet::Util::Metric\n"
                      "    name: resources\n"
                      "    label: Resources\n"
                      "    values:\n");
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(result, "metrics"), name, value) {
        buf_printf(&yaml, "    - - %s\n      - %s\n      - %lld\n", name, name, (long long)json_integer_value(value));
    }
    buf_printf(
        &yaml,
        "host: %s\ntime: '%s'\nkind: apply\nreport_format: 12\ntransaction_uuid: %s\nenvironment: %s\nstatus: %s\n",
        p->certname, json_str(result, "time"), json_str(result, "transaction_uuid"), json_str(result, "environment"),
        json_str(result, "status"));
    char *path = str_printf("%s/last_run_report.yaml", p->statedir);
    bool ok = world_file_mkdir(p->world, p->statedir, 0750, true, err) &&
              world_file_write(p->world, path, buf_span(&yaml), 0640, WORLD_WRITE_ATOMIC, err);
    mem_free(path);
    buf_free(&yaml);
    return ok;
}

struct submission {
    bool done, ok;
};

static void on_submitted(void *ctx, const struct world_response *r) {
    struct submission *s = ctx;
    s->done = true;
    s->ok = r->err == NULL && r->status == 200;
    if (!s->ok) {
        fprintf(stderr, "Error: Could not send report: %s\n", r->err != NULL ? r->err->msg : "PuppetDB refused it");
    }
}

static bool submit(const struct puppet *p, const json_t *report, struct error *err) {
    const char *url = json_str(p->config, "puppetdb");
    if (url == NULL) {
        return true;
    }
    struct world_tls_files files = {
        .ca = json_str(p->config, "ca"), .cert = json_str(p->config, "cert"), .key = json_str(p->config, "key")};
    struct world_tls *tls = world_tls_new(p->world, &files, err);
    if (tls == NULL) {
        return false;
    }
    char *text = json_text(report);
    char *target = str_printf("%s/pdb/cmd/v1?command=store_report&version=8&certname=%s&producer-timestamp=%s", url,
                              p->certname, json_str(report, "producer_timestamp"));
    struct world_header header = {"Content-Type", "application/json"};
    struct submission s = {0};
    struct world_fetch_opts opts = {.method = "POST",
                                    .url = target,
                                    .headers = &header,
                                    .header_count = 1,
                                    .body = span_of(text),
                                    .tls = tls,
                                    .timeout_ms = SUBMIT_TIMEOUT_MS};
    world_fetch(p->world, &opts, on_submitted, &s);
    while (!s.done) {
        real_world_turn(p->world, true);
    }
    mem_free(text);
    mem_free(target);
    world_tls_free(tls);
    return s.ok || error_set(err, "report", "the report was not sent");
}

static bool is_disabled(const struct puppet *p) {
    char *path = str_printf("%s/agent_disabled.lock", p->statedir);
    struct world_stat st;
    bool disabled = world_file_stat(p->world, path, &st, NULL);
    mem_free(path);
    return disabled;
}

static int run_agent(const struct puppet *p, int argc, char *const argv[]) {
    if (is_disabled(p)) {
        printf("Notice: Skipping run of Puppet configuration client; administratively disabled\n");
        return 1;
    }
    struct error err = ERROR_INIT;
    struct behaviours *behaviours = behaviours_new(NULL, &err);
    json_t *input = input_of(argc, argv);
    char *text = json_text(input);
    const char *const run[] = {puppet_module_name, "run", NULL};
    struct invocation i = {
        .node = p->certname, .argv = run, .input = span_of(text), .wall_ms = world_wall_ms(p->world)};
    struct rng rng;
    world_random(p->world, &rng, sizeof(rng));
    struct made_up made = {0};
    behaviour_puppet(behaviours, &i, &rng, &made);
    json_t *result = json_parse(buf_span(&made.out), "result", &err);
    bool ok = result != NULL && write_report_file(p, result, &err) && submit(p, made.report, &err);
    if (ok) {
        printf("Info: Applying configuration version '%s'\nNotice: Applied catalog in 0.00 seconds\n",
               json_str(made.report, "configuration_version"));
    } else if (error_is_set(&err)) {
        fprintf(stderr, "Error: %s\n", err.msg);
    }
    error_clear(&err);
    json_decref(result);
    made_up_free(&made);
    mem_free(text);
    json_decref(input);
    behaviours_free(behaviours);
    return ok ? 0 : 1;
}

int main(int argc, char **argv) {
    mem_init_libraries();
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        puts("7.23.0"); /* the version it stands in for */
        return 0;
    }
    if (argc < 2 || strcmp(argv[1], "agent") != 0) {
        fprintf(stderr, "Usage: dalang-puppet agent [--configprint NAMES | FLAGS…]\n"
                        "Stands in for `puppet agent` of the real agents of `dalang up`; it changes nothing.\n");
        return argc >= 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    struct error err = ERROR_INIT;
    struct puppet p = {.world = real_world_new(&err)};
    int code = 1;
    if (p.world != NULL && load(&p, &err)) {
        code = argc >= 4 && strcmp(argv[2], "--configprint") == 0 ? print_settings(&p, argv[3])
                                                                  : run_agent(&p, argc, argv);
    } else {
        fprintf(stderr, "Error: %s\n", err.msg);
    }
    error_clear(&err);
    json_decref(p.config);
    if (p.world != NULL) {
        real_world_free(p.world);
    }
    return code;
}
