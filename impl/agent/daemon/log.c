#include "agent/daemon/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

struct agent_log {
    char *path;
    int fd; /* -1: syslog */
    bool colours;
};

static const struct {
    const char *name;
    int facility;
} facilities[] = {
    {"kern", LOG_KERN},     {"user", LOG_USER},     {"mail", LOG_MAIL},     {"daemon", LOG_DAEMON},
    {"auth", LOG_AUTH},     {"syslog", LOG_SYSLOG}, {"lpr", LOG_LPR},       {"news", LOG_NEWS},
    {"uucp", LOG_UUCP},     {"cron", LOG_CRON},     {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},
    {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5},
    {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},
};

/* ---------------------------------------------------------------------------------------- opening */

static bool make_directories(const char *path, struct error *err) {
    char *copy = str_dup(path);
    bool ok = true;
    for (char *slash = strchr(copy + 1, '/'); ok && slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        ok = mkdir(copy, 0750) == 0 || errno == EEXIST ||
             error_set(err, "agent/log", "failed to create the directory '%s': %s", copy, strerror(errno));
        *slash = '/';
    }
    mem_free(copy);
    return ok;
}

static int open_file(const char *path, struct error *err) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) {
        error_set(err, "agent/log", "failed to open the log file '%s': %s", path, strerror(errno));
    } else {
        fchmod(fd, 0640);
    }
    return fd;
}

static bool open_syslog(const char *facility, struct error *err) {
    for (size_t i = 0; i < sizeof facilities / sizeof facilities[0]; i++) {
        if (strcmp(facility, facilities[i].name) == 0) {
            openlog("pxp-agent", LOG_PID, facilities[i].facility);
            return true;
        }
    }
    return error_set(err, "agent/log", "invalid syslog facility: '%s'", facility);
}

struct agent_log *agent_log_open(const char *path, const char *syslog_facility, struct error *err) {
    struct agent_log *l = mem_zalloc(sizeof *l);
    bool ok = true;
    l->fd = -1;
    l->path = str_dup(path);
    if (strcmp(path, "-") == 0) {
        l->fd = STDOUT_FILENO;
        l->colours = isatty(STDOUT_FILENO) == 1;
    } else if (strcmp(path, "syslog") == 0) {
        ok = open_syslog(syslog_facility, err);
    } else if (strcmp(path, "eventlog") == 0) {
        ok = error_set(err, "agent/log", "there is no eventlog on this system");
    } else {
        ok = make_directories(path, err) && (l->fd = open_file(path, err)) >= 0;
    }
    if (!ok) {
        agent_log_close(l);
        return NULL;
    }
    return l;
}

static bool is_file(const struct agent_log *l) {
    return l->fd >= 0 && l->fd != STDOUT_FILENO;
}

void agent_log_close(struct agent_log *l) {
    if (l != NULL) {
        if (is_file(l)) {
            close(l->fd);
        }
        mem_free(l->path);
        mem_free(l);
    }
}

bool agent_log_reopen(struct agent_log *l, struct error *err) {
    if (!is_file(l)) {
        return true;
    }
    int fd = open_file(l->path, err);
    if (fd < 0) {
        return false;
    }
    close(l->fd);
    l->fd = fd;
    return true;
}

/* ---------------------------------------------------------------------------------------- lines */

static void append_time(struct buf *out) {
    struct timespec now;
    struct tm local;
    char text[32];
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
    buf_printf(out, "%s.%06ld", text, now.tv_nsec / 1000);
}

/* Controls would let a peer write lines of its own. */
static void append_text(struct buf *out, struct span text, bool blanks) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' || c == 0x7f || (c == ' ' && !blanks)) {
            buf_printf(out, "\\x%02x", c);
        } else {
            buf_append_char(out, (char)c);
        }
    }
}

static void put(struct agent_log *l, const struct buf *line) {
    ssize_t n = write(l->fd, line->ptr, line->len);
    (void)n; /* a full disk must not stop the agent */
}

/* In the order of enum log_level; by place, as <syslog.h> takes some of its names. */
static const struct level {
    const char *name, *colour;
    int priority;
} levels[] = {
    {"TRACE", "\33[0;36m", LOG_DEBUG},   {"DEBUG", "\33[0;36m", LOG_DEBUG}, {"INFO ", "\33[0;32m", LOG_INFO},
    {"WARN ", "\33[0;33m", LOG_WARNING}, {"ERROR", "\33[0;31m", LOG_ERR},   {"FATAL", "\33[0;31m", LOG_CRIT},
};

void agent_log_write(void *ctx, const struct log_record *record) {
    struct agent_log *l = ctx;
    const struct level *level = &levels[record->level];
    if (l->fd < 0) {
        syslog(level->priority, "%s", record->msg);
        return;
    }
    struct buf line = BUF_INIT;
    append_time(&line);
    buf_printf(&line, " %s%s%s %s:1 - ", l->colours ? level->colour : "", level->name, l->colours ? "\33[0m" : "",
               record->name);
    append_text(&line, span_of(record->msg), true);
    buf_append_char(&line, '\n');
    put(l, &line);
    buf_free(&line);
}

void agent_log_access(struct agent_log *l, enum agent_access outcome, const char *broker, struct span sender,
                      struct span type, struct span id) {
    struct buf line = BUF_INIT;
    buf_append_char(&line, '[');
    append_time(&line);
    buf_printf(&line, "] %s %s", outcome == AGENT_ACCESS_ACCEPTED ? "AUTHORIZATION_SUCCESS" : "DESERIALIZATION_ERROR",
               broker);
    struct span fields[] = {sender, type, id};
    for (size_t i = 0; i < 3; i++) {
        buf_append_char(&line, ' ');
        append_text(&line, fields[i], false);
    }
    buf_append_char(&line, '\n');
    put(l, &line);
    buf_free(&line);
}
