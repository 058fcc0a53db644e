/* dalang-broker: the broker as a daemon. */
#include "base/json.h"
#include "base/mem.h"
#include "base/option.h"
#include "broker/settings.h"
#include "world/real.h"
#include "world/real_log.h"
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_CONFIGURATION = 3, DRAIN_MS = 5000, TRIM_INTERVAL_MS = 10000, TRIM_SESSIONS_MIN = 100 };
#define DEFAULT_CONFIG "/etc/puppetlabs/pcp-broker/conf.d"
#define RULE_FOR_ALL                                                                                                   \
    "authorization { version: 1, rules: [{ name: all, sort-order: 500, allow-unauthenticated: true,"                   \
    " match-request: { path: \"/\", type: path } }] }\n"

struct flags {
    struct option_list config, set, controllers;
    const char *host, *cert, *key, *ca, *crl, *log_level, *log_format, *log_file, *access_file, *http_file;
    uint64_t port;
    bool check, allow_all;
};

struct daemon {
    struct flags flags;
    const char *program;
    struct world *world;
    struct broker_settings *settings;
    struct broker *broker;
    struct logger log, access, http;
    struct real_log *log_file, *access_file, *http_file;
    bool stopping;
    struct timer trim;
    size_t peak; /* of sessions since memory was last given back */
};

/* ---- command line */

static void add_text(struct buf *out, const char *key, const char *value) {
    if (value != NULL) {
        buf_printf(out, "%s = ", key);
        json_write_string(out, span_of(value));
        buf_append_char(out, '\n');
    }
}

/* What the flags say, as configuration over the files. --set takes a value as a file would: unquoted, a list, a map. */
static char *flags_text(const struct flags *f) {
    struct buf out = BUF_INIT;
    buf_append_cstr(&out, f->allow_all ? RULE_FOR_ALL : "");
    add_text(&out, "webserver.ssl-host", f->host);
    add_text(&out, "webserver.ssl-cert", f->cert);
    add_text(&out, "webserver.ssl-key", f->key);
    add_text(&out, "webserver.ssl-ca-cert", f->ca);
    add_text(&out, "webserver.ssl-crl-path", f->crl);
    add_text(&out, "dalang.log-level", f->log_level);
    add_text(&out, "dalang.log-format", f->log_format);
    add_text(&out, "dalang.log-file", f->log_file);
    add_text(&out, "dalang.access-log-file", f->access_file);
    add_text(&out, "dalang.http-log-file", f->http_file);
    if (f->port != UINT64_MAX) {
        buf_printf(&out, "webserver.ssl-port = %llu\n", (unsigned long long)f->port);
    }
    for (size_t i = 0; i < f->controllers.count; i++) {
        add_text(&out,
                 i == 0 ? "pcp-broker.controller-uris = []\npcp-broker.controller-uris +"
                        : "pcp-broker.controller-uris +",
                 f->controllers.items[i]);
    }
    for (size_t i = 0; i < f->set.count; i++) {
        buf_printf(&out, "%s\n", f->set.items[i]);
    }
    return buf_take(&out);
}

static enum option_result parse(struct flags *f, int argc, char *argv[], struct error *err) {
    const struct option options[] = {
        {OPTION_LIST, "config", 'c', "PATH",
         "Configuration file, or directory of *.conf files (default " DEFAULT_CONFIG ").", &f->config},
        {OPTION_LIST, "set", 's', "KEY=VALUE",
         "Sets any configuration key, for example pcp-broker.max-connections=100.", &f->set},
        {OPTION_FLAG, "check-config", 0, NULL, "Reads the configuration and the files it names, reports, and ends.",
         &f->check},
        {OPTION_HEADING, NULL, 0, NULL, "Often used keys", NULL},
        {OPTION_STRING, "host", 0, "ADDRESS", "Address to listen on (webserver.ssl-host).", &f->host},
        {OPTION_UINT, "port", 'p', "N", "Port to listen on, 0 for any free one (webserver.ssl-port).", &f->port},
        {OPTION_STRING, "cert", 0, "FILE", "Our certificate, PEM (webserver.ssl-cert).", &f->cert},
        {OPTION_STRING, "key", 0, "FILE", "Its private key, PEM (webserver.ssl-key).", &f->key},
        {OPTION_STRING, "ca", 0, "FILE",
         "Certificates of the authorities that are trusted, PEM (webserver.ssl-ca-cert).", &f->ca},
        {OPTION_STRING, "crl", 0, "FILE", "Certificate revocation list, PEM (webserver.ssl-crl-path).", &f->crl},
        {OPTION_LIST, "controller", 0, "URI", "Controller to connect to (pcp-broker.controller-uris).",
         &f->controllers},
        {OPTION_FLAG, "allow-all", 0, NULL,
         "Every client may send everything: for tests, instead of authorization rules.", &f->allow_all},
        {OPTION_HEADING, NULL, 0, NULL, "Logs", NULL},
        {OPTION_STRING, "log-level", 0, "LEVEL", "trace, debug, info, warn, error or off (default info).",
         &f->log_level},
        {OPTION_STRING, "log-format", 0, "FORMAT", "text or json.", &f->log_format},
        {OPTION_STRING, "log-file", 0, "FILE", "Instead of standard error.", &f->log_file},
        {OPTION_STRING, "access-log", 0, "FILE", "One line per PCP message.", &f->access_file},
        {OPTION_STRING, "http-log", 0, "FILE", "One line per HTTP request.", &f->http_file},
        OPTION_END,
    };
    const struct command_line line = {
        .program = "dalang-broker",
        .synopsis = "[OPTIONS]",
        .summary = "PCP broker: carries messages between Puppet's orchestrator and its agents",
        .description =
            "SIGTERM and SIGINT stop it in order, a second one at once. SIGHUP reads the authorization rules, the "
            "certificates and the CRL again; when they are wrong the old ones stay. SIGUSR2 opens the log files again.",
        .options = options,
    };
    return option_parse_only(&line, argc, argv, err);
}

/* ---- settings and logs */

static const char *environment(void *ctx, const char *name) {
    (void)ctx;
    return getenv(name);
}

static struct broker_settings *load(struct daemon *d, struct error *err) {
    static const char *const standard[] = {DEFAULT_CONFIG};
    struct world_stat st;
    const char *const *paths = d->flags.config.items;
    size_t count = d->flags.config.count;
    if (count == 0 && (d->flags.cert == NULL || world_file_stat(d->world, DEFAULT_CONFIG, &st, NULL))) {
        paths = standard;
        count = 1;
    }
    char *text = flags_text(&d->flags);
    struct broker_settings *s = broker_settings_load(d->world, paths, count, text, environment, NULL, err);
    mem_free(text);
    return s;
}

static bool open_logs(struct daemon *d, struct error *err) {
    const struct broker_log_settings *log = &d->settings->log;
    enum log_level level = LOG_INFO;
    bool json = str_eq(log->format, "json");
    if (log->level != NULL && !log_level_parse(log->level, &level)) {
        return error_set(err, "broker/config", "log-level: unknown level '%s'", log->level);
    }
    if (log->format != NULL && !json && !str_eq(log->format, "text")) {
        return error_set(err, "broker/config", "log-format: '%s' is neither text nor json", log->format);
    }
    d->log_file = real_log_open(log->file, json ? REAL_LOG_JSON : REAL_LOG_TEXT, err);
    if (d->log_file == NULL) {
        return false;
    }
    d->log = (struct logger){level, "puppetlabs.pcp.broker", real_log_write, d->log_file};
    if (log->access_file != NULL) {
        d->access_file = real_log_open(log->access_file, REAL_LOG_PLAIN, err);
        d->access = (struct logger){LOG_INFO, "puppetlabs.pcp.broker.pcp_access", real_log_write, d->access_file};
    }
    if (log->http_file != NULL && (log->access_file == NULL || d->access_file != NULL)) {
        d->http_file = real_log_open(log->http_file, REAL_LOG_PLAIN, err);
        d->http = (struct logger){LOG_INFO, "access", real_log_write, d->http_file};
    }
    return (log->access_file == NULL || d->access_file != NULL) && (log->http_file == NULL || d->http_file != NULL);
}

static void process_info(void *ctx, json_t *threads, json_t *memory) {
    struct rusage usage;
    struct mallinfo2 heap = mallinfo2();
    json_t *used = json_object(), *rest = json_object();
    (void)ctx;
    getrusage(RUSAGE_SELF, &usage);
    json_set(threads, "ThreadCount", json_integer(1));
    json_set(threads, "CurrentThreadCpuTime",
             json_integer((usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000LL +
                          (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000LL));
    json_set(threads, "CurrentThreadUserTime",
             json_integer(usage.ru_utime.tv_sec * 1000000000LL + usage.ru_utime.tv_usec * 1000LL));
    json_set(used, "used", json_integer((json_int_t)heap.uordblks));
    json_set(used, "committed", json_integer((json_int_t)(heap.arena + heap.hblkhd)));
    json_set(rest, "committed", json_integer(usage.ru_maxrss * 1024LL));
    json_set(memory, "HeapMemoryUsage", used);
    json_set(memory, "NonHeapMemoryUsage", rest);
}

/* ---- signals */

static void on_stopped(void *ctx) {
    struct daemon *d = ctx;
    real_world_stop(d->world);
}

/* When most clients of a peak have gone, what they used goes back to the system. */
static void trim(void *ctx) {
    struct daemon *d = ctx;
    size_t count = broker_session_count(d->broker);
    d->peak = count > d->peak ? count : d->peak;
    if (d->peak >= TRIM_SESSIONS_MIN && count < d->peak / 2) {
        malloc_trim(0);
        d->peak = count;
    }
    world_timer_start(d->world, &d->trim, TRIM_INTERVAL_MS, trim, d);
}

static void on_stop(void *ctx) {
    struct daemon *d = ctx;
    world_timer_stop(d->world, &d->trim);
    if (d->stopping) {
        real_world_stop(d->world);
        return;
    }
    d->stopping = true;
    broker_stop(d->broker, DRAIN_MS, on_stopped, d);
    d->broker = NULL;
}

/* New rules and certificates, or the old ones and a line that says why. */
static void on_reload(void *ctx) {
    struct daemon *d = ctx;
    struct error err = ERROR_INIT;
    if (d->stopping) {
        return;
    }
    struct broker_settings *s = load(d, &err);
    if (s == NULL) {
        log_error(&d->log, "Reload failed, the old configuration stays: %s", err.msg);
        error_clear(&err);
        return;
    }
    broker_set_rules(d->broker, s->rules);
    s->rules = NULL;
    if (broker_reload_tls(d->broker, &err)) {
        log_info(&d->log, "Authorization rules, certificates and CRL were read again");
    } else {
        log_error(&d->log, "Certificates could not be read again, the old ones stay: %s", err.msg);
    }
    error_clear(&err);
    broker_settings_free(s);
}

static void on_reopen(void *ctx) {
    struct daemon *d = ctx;
    struct real_log *logs[] = {d->log_file, d->access_file, d->http_file};
    for (size_t i = 0; i < 3; i++) {
        struct error err = ERROR_INIT;
        if (logs[i] != NULL && !real_log_reopen(logs[i], &err)) {
            log_error(&d->log, "%s", err.msg);
        }
        error_clear(&err);
    }
}

/* ---- life */

static bool check_only(struct daemon *d, struct error *err) {
    struct world_tls *tls = world_tls_new(d->world, &d->settings->config.tls, err);
    for (size_t i = 0; i < d->settings->warning_count; i++) {
        printf("warning: %s\n", d->settings->warnings[i]);
    }
    if (tls == NULL) {
        return false;
    }
    const struct world_identity *self = world_tls_self(tls);
    printf("%s: configuration is correct: %zu authorization rules, certificate of %s\n", d->program,
           rules_count(d->settings->rules), self != NULL && self->common_name != NULL ? self->common_name : "nobody");
    world_tls_free(tls);
    return true;
}

static bool serve(struct daemon *d, struct error *err) {
    const struct broker_loggers loggers = {&d->log, &d->access, &d->http};
    struct rules *rules = d->settings->rules;
    if (!open_logs(d, err)) {
        return false;
    }
    for (size_t i = 0; i < d->settings->warning_count; i++) {
        log_warn(&d->log, "%s", d->settings->warnings[i]);
    }
    d->settings->rules = NULL;
    d->settings->config.process_info = process_info;
    d->broker = broker_new(d->world, &d->settings->config, &loggers, rules, err);
    if (d->broker == NULL) {
        return false;
    }
    real_signal(d->world, SIGTERM, on_stop, d);
    real_signal(d->world, SIGINT, on_stop, d);
    real_signal(d->world, SIGHUP, on_reload, d);
    real_signal(d->world, SIGUSR2, on_reopen, d);
    broker_start(d->broker);
    trim(d);
    log_info(&d->log, "Listening on port %u", broker_port(d->broker));
    real_world_run(d->world);
    broker_free(d->broker);
    return true;
}

static int run(struct daemon *d) {
    struct error err = ERROR_INIT;
    bool ok = false;
    d->world = real_world_new(&err);
    if (d->world != NULL) {
        d->settings = load(d, &err);
        ok = d->settings != NULL && (d->flags.check ? check_only(d, &err) : serve(d, &err));
    }
    if (!ok) {
        fprintf(stderr, "%s: %s\n", d->program, err.msg);
    }
    if (d->world != NULL) {
        real_world_free(d->world);
    }
    broker_settings_free(d->settings);
    real_log_close(d->log_file);
    real_log_close(d->access_file);
    real_log_close(d->http_file);
    error_clear(&err);
    return ok ? 0 : EXIT_CONFIGURATION;
}

int main(int argc, char *argv[]) {
    struct daemon d = {.program = "dalang-broker", .flags = {.port = UINT64_MAX}};
    struct error err = ERROR_INIT;
    int code = 0;
    mem_init_libraries();
    real_no_core_files();
    mallopt(M_ARENA_MAX, 1);
    switch (parse(&d.flags, argc, argv, &err)) {
    case OPTION_PARSED:
        code = run(&d);
        break;
    case OPTION_HELP:
    case OPTION_VERSION:
        break;
    case OPTION_ERROR:
        fprintf(stderr, "%s: %s\n", d.program, err.msg);
        code = EXIT_USAGE;
        break;
    }
    option_list_free(&d.flags.config);
    option_list_free(&d.flags.set);
    option_list_free(&d.flags.controllers);
    error_clear(&err);
    return code;
}
