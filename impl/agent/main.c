/* dalang-agent: the agent as a daemon that takes the place of pxp-agent. */
#include "agent/agent.h"
#include "agent/daemon/daemonize.h"
#include "agent/daemon/log.h"
#include "agent/daemon/trim.h"
#include "agent/settings.h"
#include "base/mem.h"
#include "world/real.h"

#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GOODBYE_MS = 1000, SETTLE_MS = 200, TRIM_MS = 1000, CREDENTIAL_FILES = 4 };

struct daemon {
    struct agent_settings *settings;
    struct world *world;
    struct world_tls *tls;
    struct agent_config config;
    struct agent_hooks hooks;
    struct agent *agent;
    struct agent_log *log_file, *access_file;
    struct logger log;
    struct pid_file *pid_file;
    char *directory; /* of this program */
    char *wrapper;
    struct timer goodbye;
    struct world_watch *watches[CREDENTIAL_FILES]; /* certificate, key, CA, CRL: read again when they change */
    struct timer changed;
    struct timer trim;
    int ended_by; /* a signal; 0: none */
    int exit_code;
};

/* ---------------------------------------------------------------------------------------- where we are */

static char *own_directory(void) {
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (len <= 0) {
        return NULL;
    }
    path[len] = '\0';
    return str_dup(dirname(path));
}

static const char *own_shell(void) {
    const struct passwd *user = getpwuid(getuid());
    return user == NULL ? NULL : user->pw_shell != NULL && *user->pw_shell != '\0' ? user->pw_shell : "/bin/sh";
}

/* ---------------------------------------------------------------------------------------- start */

static void cannot_start(const char *message) {
    printf("%s\nCannot start pxp-agent\n", message);
}

/* -1: go on; else the exit code. */
static int read_arguments(struct daemon *d, int argc, char **argv) {
    struct error err = ERROR_INIT;
    struct buf help = BUF_INIT;
    switch (agent_settings_arguments(d->settings, argc, argv, &err)) {
    case SETTINGS_PARSED:
        return -1;
    case SETTINGS_HELP:
        agent_settings_help(&help);
        fputs(help.ptr, stdout);
        buf_free(&help);
        return AGENT_EXIT_OK;
    case SETTINGS_VERSION:
        puts(DALANG_VERSION);
        return AGENT_EXIT_OK;
    case SETTINGS_ERROR:
        puts(err.msg);
        cannot_start("An error occurred while parsing cli options");
        error_clear(&err);
        break;
    }
    return AGENT_EXIT_PARSE;
}

static int read_file(struct daemon *d) {
    struct error err = ERROR_INIT;
    if (!agent_settings_file(d->settings, d->world, &err)) {
        cannot_start(err.msg);
        error_clear(&err);
        return AGENT_EXIT_PARSE;
    }
    return -1;
}

static bool text_is(const struct daemon *d, const char *key, const char *text) {
    return strcmp(agent_settings_text(d->settings, key), text) == 0;
}

static int open_logs(struct daemon *d) {
    struct error err = ERROR_INIT;
    const char *level = agent_settings_text(d->settings, "loglevel");
    bool foreground = agent_settings_flag(d->settings, "foreground");
    d->log = (struct logger){.level = LOG_INFO, .name = "puppetlabs.pxp_agent.main", .write = agent_log_write};
    if (strcmp(level, "none") == 0 || (text_is(d, "logfile", "-") && !foreground)) {
        d->log.level = LOG_OFF;
    } else if (!log_level_parse(level, &d->log.level) || strcmp(level, "off") == 0) {
        char *text = str_printf("invalid log level: '%s'", level);
        cannot_start(text);
        mem_free(text);
        return AGENT_EXIT_CONFIGURATION;
    }
    bool ok = true;
    if (d->log.level != LOG_OFF) {
        d->log_file = agent_log_open(agent_settings_text(d->settings, "logfile"),
                                     agent_settings_text(d->settings, "syslog-facility"), &err);
        d->log.ctx = d->log_file;
        ok = d->log_file != NULL;
    }
    if (ok && agent_settings_flag(d->settings, "log-pcp-access")) {
        d->access_file = agent_log_open(agent_settings_text(d->settings, "pcp-access-logfile"), "", &err);
        ok = d->access_file != NULL;
    }
    if (!ok) {
        cannot_start(err.msg);
        bool directory = strstr(err.msg, "directory") != NULL;
        error_clear(&err);
        return directory ? AGENT_EXIT_PARSE : AGENT_EXIT_CONFIGURATION;
    }
    log_info(&d->log, "pxp-agent %s started at %s level", DALANG_VERSION, level);
    for (size_t i = 0; agent_settings_unrecognized(d->settings, i) != NULL; i++) {
        log_info(&d->log, "Ignoring unrecognized option '%s'", agent_settings_unrecognized(d->settings, i));
    }
    return -1;
}

/* The texts a user of the reference knows, with what exactly is wrong behind them. */
static bool load_credentials(void *ctx, struct error *err) {
    struct daemon *d = ctx;
    const char *crl = agent_settings_text(d->settings, "ssl-crl");
    struct world_tls_files files = {.cert = agent_settings_text(d->settings, "ssl-cert"),
                                    .key = agent_settings_text(d->settings, "ssl-key"),
                                    .ca = agent_settings_text(d->settings, "ssl-ca-cert"),
                                    .crl = *crl != '\0' ? crl : NULL};
    d->tls = world_tls_new(d->world, &files, err);
    if (d->tls == NULL) {
        struct span msg = span_of(err->msg);
        if (span_find_span(msg, SPAN("is not the key")) >= 0) {
            error_prefix(err, "failed to load private key: mismatch between private key and cert");
        } else if (span_starts_with(msg, files.cert)) {
            error_prefix(err, "failed to open cert");
        } else if (span_starts_with(msg, files.key)) {
            error_prefix(err, "failed to load private key");
        }
        return false;
    }
    const struct world_identity *self = world_tls_self(d->tls);
    return (self != NULL && self->common_name != NULL) ||
           error_set(err, "agent/configuration", "failed to open cert: %s holds no common name", files.cert);
}

static int check(struct daemon *d) {
    struct error err = ERROR_INIT;
    if (agent_settings_check(d->settings, d->world, load_credentials, d, &err)) {
        return -1;
    }
    log_write(&d->log, LOG_FATAL, "Fatal configuration error: %s; cannot start pxp-agent", err.msg);
    if (d->log_file == NULL || !text_is(d, "logfile", "-")) {
        cannot_start(err.msg); /* else nobody at the terminal would know */
    }
    error_clear(&err);
    return AGENT_EXIT_CONFIGURATION;
}

/* A process whose parent is number 1 is a daemon already: it is somebody else's business where its PID is noted, unless
 * a PID file was asked for. */
static int daemonize(struct daemon *d) {
    struct error err = ERROR_INIT;
    bool is_daemon = getppid() == 1;
    if (agent_settings_flag(d->settings, "foreground") ||
        (is_daemon && !agent_settings_given(d->settings, "pidfile"))) {
        return -1;
    }
    d->pid_file = pid_file_take(agent_settings_text(d->settings, "pidfile"), &err);
    /* A loop does not survive a fork: the world is made anew on the other side. */
    world_tls_free(d->tls);
    real_world_free(d->world);
    d->tls = NULL;
    d->world = NULL;
    bool ok =
        d->pid_file != NULL && (is_daemon ? pid_file_write(d->pid_file, &err) : pid_file_daemonize(d->pid_file, &err));
    if (ok) {
        d->world = real_world_new(&err);
        ok = d->world != NULL && load_credentials(d, &err);
    }
    if (!ok) {
        int code = error_is(&err, "agent/pid-file") ? AGENT_EXIT_DAEMON : AGENT_EXIT_FAILURE;
        log_error(&d->log, "%s", err.msg);
        error_clear(&err);
        return code;
    }
    return -1;
}

/* ---------------------------------------------------------------------------------------- hooks and signals */

static void on_refused(void *ctx, struct agent *a, const char *reason) {
    struct daemon *d = ctx;
    (void)a;
    (void)reason; /* logged */
    d->exit_code = AGENT_EXIT_CONFIGURATION;
    real_world_stop(d->world);
}

/* Something was to be done; when nothing more comes for a while, what it took is given back. */
static void trim(void *ctx) {
    (void)ctx;
    memory_trim();
}

static void busy(struct daemon *d) {
    world_timer_start(d->world, &d->trim, TRIM_MS, trim, d);
}

static void on_access(void *ctx, struct agent *a, enum agent_access outcome, const char *broker, struct span sender,
                      struct span type, struct span id) {
    struct daemon *d = ctx;
    (void)a;
    busy(d);
    if (d->access_file != NULL && d->log.level != LOG_OFF) {
        agent_log_access(d->access_file, outcome, broker, sender, type, id);
    }
}

static void stop_now(void *ctx) {
    struct daemon *d = ctx;
    real_world_stop(d->world);
}

static void on_connected(void *ctx, struct agent *a) {
    (void)a;
    busy(ctx);
}

static void on_disconnected(void *ctx, struct agent *a) {
    struct daemon *d = ctx;
    (void)a;
    if (d->ended_by != 0) {
        real_world_stop(d->world);
    }
}

static void stop_by(struct daemon *d, int signal) {
    if (d->ended_by != 0) {
        real_world_stop(d->world);
        return;
    }
    d->ended_by = signal;
    bool connected = agent_is_connected(d->agent);
    agent_stop(d->agent);
    world_timer_start(d->world, &d->goodbye, connected ? GOODBYE_MS : 0, stop_now, d);
}

static void on_term(void *ctx) {
    stop_by(ctx, SIGTERM);
}

static void on_int(void *ctx) {
    stop_by(ctx, SIGINT);
}

static void on_quit(void *ctx) {
    stop_by(ctx, SIGQUIT);
}

static void on_reopen(void *ctx) {
    struct daemon *d = ctx;
    struct error err = ERROR_INIT;
    if ((d->log_file != NULL && !agent_log_reopen(d->log_file, &err)) ||
        (d->access_file != NULL && !agent_log_reopen(d->access_file, &err))) {
        log_error(&d->log, "%s", err.msg);
        error_clear(&err);
    }
}

static void set_signals(struct daemon *d) {
    real_signal(d->world, SIGTERM, on_term, d);
    real_signal(d->world, SIGINT, on_int, d);
    real_signal(d->world, SIGQUIT, on_quit, d);
    real_signal(d->world, SIGUSR2, on_reopen, d);
    if (d->pid_file != NULL) {
        const int ignored[] = {SIGHUP, SIGTSTP, SIGTTOU, SIGTTIN};
        for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
            signal(ignored[i], SIG_IGN);
        }
    }
}

/* ---------------------------------------------------------------------------------------- new certificates */

static void reload(void *ctx) {
    struct daemon *d = ctx;
    struct error err = ERROR_INIT;
    if (world_tls_reload(d->tls, &err)) {
        log_info(&d->log, "Certificates and CRL were read again");
    } else {
        log_warn(&d->log, "Certificates could not be read again, the old ones stay: %s", err.msg);
        error_clear(&err);
    }
}

/* Several files may be replaced one after the other. */
static void on_changed(void *ctx) {
    struct daemon *d = ctx;
    world_timer_start(d->world, &d->changed, SETTLE_MS, reload, d);
}

static void watch_credentials(struct daemon *d) {
    static const char *const keys[CREDENTIAL_FILES] = {"ssl-cert", "ssl-key", "ssl-ca-cert", "ssl-crl"};
    for (size_t i = 0; i < CREDENTIAL_FILES; i++) {
        const char *path = agent_settings_text(d->settings, keys[i]);
        d->watches[i] = *path != '\0' ? world_watch(d->world, path, on_changed, d) : NULL;
    }
}

static void unwatch_credentials(struct daemon *d) {
    world_timer_stop(d->world, &d->changed);
    for (size_t i = 0; i < CREDENTIAL_FILES; i++) {
        if (d->watches[i] != NULL) {
            world_watch_close(d->watches[i]);
        }
    }
}

/* ---------------------------------------------------------------------------------------- run */

static void run(struct daemon *d) {
    const char *wrapper = agent_settings_text(d->settings, "exec-wrapper");
    d->wrapper = *wrapper != '\0' || d->directory == NULL ? str_dup(*wrapper != '\0' ? wrapper : "dalang-exec")
                                                          : str_printf("%s/dalang-exec", d->directory);
    d->config = agent_settings_config(d->settings);
    d->config.exec_wrapper = d->wrapper;
    d->config.helper_dir = d->directory;
    d->config.shell = own_shell();
    d->config.environment = (const char *const *)environ;
    d->hooks = (struct agent_hooks){.connected = on_connected,
                                    .disconnected = on_disconnected,
                                    .refused = on_refused,
                                    .access = on_access,
                                    .ctx = d};
    struct agent_self self = {.name = world_tls_self(d->tls)->common_name,
                              .tls = d->tls,
                              .spool_dir = agent_settings_text(d->settings, "spool-dir"),
                              .task_cache_dir = agent_settings_text(d->settings, "task-cache-dir")};
    set_signals(d);
    watch_credentials(d);
    d->agent = agent_new(d->world, &d->config, &self, &d->hooks, &d->log);
    agent_start(d->agent);
    real_world_run(d->world);
    agent_free(d->agent);
    world_timer_stop(d->world, &d->trim);
    unwatch_credentials(d);
}

static void clean_up(struct daemon *d) {
    world_tls_free(d->tls);
    if (d->world != NULL) {
        world_timer_stop(d->world, &d->goodbye);
        real_world_free(d->world);
    }
    agent_log_close(d->log_file);
    agent_log_close(d->access_file);
    agent_settings_free(d->settings);
    mem_free(d->directory);
    mem_free(d->wrapper);
}

int main(int argc, char **argv) {
    struct daemon d = {.directory = NULL};
    struct error err = ERROR_INIT;
    mem_init_libraries();
    real_no_core_files();
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct agent_user user = {.is_root = getuid() == 0, .home = getenv("HOME")};
    if (!user.is_root && user.home == NULL) {
        cannot_start("the environment variable HOME is not set");
        return AGENT_EXIT_PARSE;
    }
    d.directory = own_directory();
    d.settings = agent_settings_new(&user);
    d.world = real_world_new(&err);
    if (d.world == NULL) {
        cannot_start(err.msg);
        error_clear(&err);
        clean_up(&d);
        return AGENT_EXIT_FAILURE;
    }
    int code = read_arguments(&d, argc, argv);
    code = code < 0 ? read_file(&d) : code;
    code = code < 0 ? open_logs(&d) : code;
    code = code < 0 ? check(&d) : code;
    code = code < 0 ? daemonize(&d) : code;
    if (code < 0) {
        run(&d);
        code = d.exit_code;
    }
    bool is_daemon = d.pid_file != NULL;
    int signal_number = d.ended_by;
    pid_file_remove(code == AGENT_EXIT_OK || signal_number != 0 || d.agent != NULL ? d.pid_file : NULL);
    clean_up(&d);
    if (signal_number != 0 && !is_daemon) {
        signal(signal_number, SIG_DFL); /* whoever started us is told what ended us */
        raise(signal_number);
    }
    return code;
}
