/* dalang-orchestrator: the orchestrator as a daemon. */
#include "base/json.h"
#include "base/mem.h"
#include "base/option.h"
#include "orchestrator/settings.h"
#include "orchestrator/store/store.h"
#include "world/real.h"
#include "world/real_log.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { EXIT_USAGE = 2, EXIT_CONFIGURATION = 3, DRAIN_MS = 10000 };
#define DEFAULT_CONFIG "/etc/puppetlabs/orchestration-services/conf.d"
#define PROGRAM "dalang-orchestrator"

struct flags {
    struct option_list config, set;
    const char *database, *host, *log_level, *log_file, *backup;
    uint64_t port;
    bool check;
};

struct daemon {
    struct flags flags;
    struct world *world;
    struct orchestrator_settings *settings;
    struct orchestrator *orchestrator;
    struct logger log, access;
    struct real_log *log_file, *access_file;
    bool stopping;
    int code;
};

/* ---------------------------------------------------------------------------------------- command line */

static enum option_result parse(struct flags *f, int argc, char *argv[], struct error *err) {
    const struct option options[] = {
        {OPTION_LIST, "config", 'c', "PATH",
         "Configuration file, or directory of *.conf files (default " DEFAULT_CONFIG ").", &f->config},
        {OPTION_LIST, "set", 's', "KEY=VALUE",
         "Sets any configuration key, for example orchestrator.task-concurrency=500.", &f->set},
        {OPTION_FLAG, "check-config", 0, NULL, "Reads the configuration and the files it names, reports, and ends.",
         &f->check},
        {OPTION_STRING, "backup", 0, "FILE", "Copies the database, also of a running service, to FILE, and ends.",
         &f->backup},
        {OPTION_HEADING, NULL, 0, NULL, "Often used keys", NULL},
        {OPTION_STRING, "database", 0, "FILE", "SQLite file with all jobs (orchestrator.database).", &f->database},
        {OPTION_STRING, "host", 0, "ADDRESS", "Address to listen on (webserver.orchestrator.ssl-host).", &f->host},
        {OPTION_UINT, "port", 'p', "N", "Port to listen on, 0 for any free one (webserver.orchestrator.ssl-port).",
         &f->port},
        {OPTION_STRING, "log-level", 0, "LEVEL", "trace, debug, info, warn, error or off (default info).",
         &f->log_level},
        {OPTION_STRING, "log-file", 0, "FILE", "Instead of standard error.", &f->log_file},
        OPTION_END,
    };
    const struct command_line line = {
        .program = PROGRAM,
        .synopsis = "[OPTIONS]",
        .summary = "Orchestrator: runs Puppet and tasks on nodes, behind an HTTP API",
        .description =
            "SIGTERM and SIGINT stop it in order, a second one at once; what still runs on nodes is taken up again at "
            "the next start. SIGHUP reads certificates and CRL again; when they are wrong the old ones stay. SIGUSR2 "
            "opens the log files again.",
        .options = options,
    };
    return option_parse_only(&line, argc, argv, err);
}

static void add_text(struct buf *out, const char *key, const char *value) {
    if (value != NULL) {
        buf_printf(out, "%s = ", key);
        json_write_string(out, span_of(value));
        buf_append_char(out, '\n');
    }
}

/* What the flags say, as configuration over the files. */
static char *flags_text(const struct flags *f) {
    struct buf out = BUF_INIT;
    add_text(&out, "orchestrator.database", f->database);
    add_text(&out, "webserver.orchestrator.ssl-host", f->host);
    add_text(&out, "dalang.log-level", f->log_level);
    add_text(&out, "dalang.log-file", f->log_file);
    if (f->port != UINT64_MAX) {
        buf_printf(&out, "webserver.orchestrator.ssl-port = %llu\n", (unsigned long long)f->port);
    }
    for (size_t i = 0; i < f->set.count; i++) {
        buf_printf(&out, "%s\n", f->set.items[i]);
    }
    return buf_take(&out);
}

static const char *environment(void *ctx, const char *name) {
    (void)ctx;
    return getenv(name);
}

static bool load(struct daemon *d, struct error *err) {
    static const char *const standard[] = {DEFAULT_CONFIG};
    bool given = d->flags.config.count != 0;
    char *text = flags_text(&d->flags);
    d->settings = orchestrator_settings_load(d->world, given ? d->flags.config.items : standard,
                                             given ? d->flags.config.count : 1, text, environment, NULL, err);
    mem_free(text);
    return d->settings != NULL;
}

static bool open_logs(struct daemon *d, struct error *err) {
    const struct orchestrator_settings *s = d->settings;
    enum log_level level = LOG_INFO;
    bool json = str_eq(s->log_format, "json");
    if (s->log_level != NULL && !log_level_parse(s->log_level, &level)) {
        return error_set(err, "configuration", "dalang.log-level: unknown level '%s'", s->log_level);
    }
    if (s->log_format != NULL && !json && !str_eq(s->log_format, "text")) {
        return error_set(err, "configuration", "dalang.log-format: '%s' is neither text nor json", s->log_format);
    }
    d->log_file = real_log_open(s->log_file, json ? REAL_LOG_JSON : REAL_LOG_TEXT, err);
    if (d->log_file == NULL) {
        return false;
    }
    d->log = (struct logger){level, "puppetlabs.orchestrator", real_log_write, d->log_file};
    if (s->access_log_file != NULL) {
        d->access_file = real_log_open(s->access_log_file, REAL_LOG_PLAIN, err);
        d->access = (struct logger){LOG_INFO, "access", real_log_write, d->access_file};
        d->settings->config.access_log = &d->access;
        return d->access_file != NULL;
    }
    return true;
}

/* ---------------------------------------------------------------------------------------- signals */

static void on_stopped(void *ctx) {
    struct daemon *d = ctx;
    real_world_stop(d->world);
}

static void on_stop(void *ctx) {
    struct daemon *d = ctx;
    if (d->stopping) {
        real_world_stop(d->world);
        return;
    }
    d->stopping = true;
    orchestrator_stop(d->orchestrator, DRAIN_MS, on_stopped, d);
}

static void on_reload(void *ctx) {
    struct daemon *d = ctx;
    struct error err = ERROR_INIT;
    if (d->stopping) {
        return;
    }
    if (orchestrator_reload(d->orchestrator, &err)) {
        log_info(&d->log, "Certificates and CRL were read again");
    } else {
        log_error(&d->log, "Certificates could not be read again, the old ones stay: %s", err.msg);
    }
    error_clear(&err);
}

static void on_reopen(void *ctx) {
    struct daemon *d = ctx;
    struct real_log *logs[] = {d->log_file, d->access_file};
    for (size_t i = 0; i < 2; i++) {
        struct error err = ERROR_INIT;
        if (logs[i] != NULL && !real_log_reopen(logs[i], &err)) {
            log_error(&d->log, "%s", err.msg);
        }
        error_clear(&err);
    }
}

/* ---------------------------------------------------------------------------------------- what it does */

static bool check_only(struct daemon *d, struct error *err) {
    struct world_tls_files files = d->settings->config.tls;
    files.crl = d->settings->config.crl != NULL ? d->settings->config.crl : files.crl;
    for (size_t i = 0; i < d->settings->warning_count; i++) {
        printf("warning: %s\n", d->settings->warnings[i]);
    }
    struct world_tls *tls = world_tls_new(d->world, &files, err);
    if (tls == NULL) {
        return false;
    }
    const struct world_identity *self = world_tls_self(tls);
    printf(PROGRAM ": configuration is correct: %zu brokers, certificate of %s\n", d->settings->config.broker_count,
           self != NULL && self->common_name != NULL ? self->common_name : "nobody");
    world_tls_free(tls);
    return true;
}

static void on_copied(void *ctx, const struct error *err) {
    struct daemon *d = ctx;
    if (err != NULL) {
        fprintf(stderr, PROGRAM ": %s\n", err->msg);
        d->code = 1;
    }
    real_world_stop(d->world);
}

static bool backup(struct daemon *d, struct error *err) {
    struct world_stat st;
    struct store_opts opts = {.path = d->settings->config.database};
    if (!world_file_stat(d->world, opts.path, &st, err)) {
        return false;
    }
    struct store *store = store_new(d->world, &opts, err);
    if (store == NULL) {
        return false;
    }
    store_backup(store, d->flags.backup, on_copied, d);
    real_world_run(d->world);
    store_finish(store);
    return true;
}

static bool serve(struct daemon *d, struct error *err) {
    if (!open_logs(d, err)) {
        return false;
    }
    for (size_t i = 0; i < d->settings->warning_count; i++) {
        log_warn(&d->log, "%s", d->settings->warnings[i]);
    }
    d->orchestrator = orchestrator_new(d->world, &d->settings->config, &d->log, err);
    if (d->orchestrator == NULL) {
        return false;
    }
    bool ok = orchestrator_start(d->orchestrator, err);
    if (ok) {
        real_signal(d->world, SIGTERM, on_stop, d);
        real_signal(d->world, SIGINT, on_stop, d);
        real_signal(d->world, SIGHUP, on_reload, d);
        real_signal(d->world, SIGUSR2, on_reopen, d);
        log_info(&d->log, "Listening on port %u", orchestrator_port(d->orchestrator));
        real_world_run(d->world);
    }
    orchestrator_free(d->orchestrator);
    return ok;
}

static int run(struct daemon *d) {
    struct error err = ERROR_INIT;
    bool ok = false;
    d->world = real_world_new(&err);
    if (d->world != NULL && load(d, &err)) {
        ok = d->flags.check ? check_only(d, &err) : d->flags.backup != NULL ? backup(d, &err) : serve(d, &err);
    }
    if (!ok) {
        fprintf(stderr, PROGRAM ": %s\n", err.msg);
    }
    if (d->world != NULL) {
        real_world_free(d->world);
    }
    orchestrator_settings_free(d->settings);
    real_log_close(d->log_file);
    real_log_close(d->access_file);
    error_clear(&err);
    return ok ? d->code : EXIT_CONFIGURATION;
}

int main(int argc, char *argv[]) {
    struct daemon d = {.flags = {.port = UINT64_MAX}};
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
        fprintf(stderr, PROGRAM ": %s\n", err.msg);
        code = EXIT_USAGE;
        break;
    }
    option_list_free(&d.flags.config);
    option_list_free(&d.flags.set);
    error_clear(&err);
    return code;
}
