/* Log files; see real_log.h. */
#include "world/real_log.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct real_log {
    char *path; /* NULL: standard error */
    int fd;
    enum real_log_format format;
};

static int open_file(const char *path, struct error *err) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    if (fd < 0) {
        error_set(err, "world/file", "%s: cannot be opened for writing: %s", path, strerror(errno));
    }
    return fd;
}

struct real_log *real_log_open(const char *path, enum real_log_format format, struct error *err) {
    int fd = path != NULL ? open_file(path, err) : STDERR_FILENO;
    if (fd < 0) {
        return NULL;
    }
    struct real_log *l = mem_zalloc(sizeof(*l));
    l->path = str_dup(path);
    l->fd = fd;
    l->format = format;
    return l;
}

bool real_log_reopen(struct real_log *l, struct error *err) {
    if (l->path == NULL) {
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

void real_log_close(struct real_log *l) {
    if (l == NULL) {
        return;
    }
    if (l->path != NULL) {
        close(l->fd);
    }
    mem_free(l->path);
    mem_free(l);
}

/* Control characters would let a message pretend to be several lines. */
static void append_line_text(struct buf *out, const char *text) {
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            buf_printf(out, "\\x%02x", (unsigned char)*p);
        } else {
            buf_append_char(out, *p);
        }
    }
}

static void now_text(char out[TIME_TEXT_LEN]) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    time_format_ms((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, out);
}

static void write_text(const struct log_record *r, struct buf *out) {
    char now[TIME_TEXT_LEN], level[8];
    size_t i = 0;
    for (const char *name = log_level_name(r->level); name[i] != '\0' && i + 1 < sizeof(level); i++) {
        level[i] = (char)(name[i] - ('a' - 'A'));
    }
    level[i] = '\0';
    now_text(now);
    buf_printf(out, "%s %-5s [%s] ", now, level, r->name != NULL ? r->name : "-");
    append_line_text(out, r->msg);
    for (const struct log_field *f = r->fields; f != NULL && f->key != NULL; f++) {
        buf_printf(out, " %s=", f->key);
        append_line_text(out, f->value);
    }
}

/* Text that is not UTF-8 is no JSON: its odd bytes are shown as escapes. */
static void write_json_text(struct buf *out, const char *text) {
    struct buf clean = BUF_INIT;
    if (span_is_utf8(span_of(text))) {
        json_write_string(out, span_of(text));
        return;
    }
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p >= 0x80) {
            buf_printf(&clean, "\\x%02x", (unsigned char)*p);
        } else {
            buf_append_char(&clean, *p);
        }
    }
    json_write_string(out, buf_span(&clean));
    buf_free(&clean);
}

static void write_member(struct buf *out, const char *key, const char *value) {
    buf_append_char(out, out->len == 0 ? '{' : ',');
    write_json_text(out, key);
    buf_append_char(out, ':');
    write_json_text(out, value);
}

static void write_json(const struct log_record *r, struct buf *out) {
    char now[TIME_TEXT_LEN];
    now_text(now);
    write_member(out, "time", now);
    write_member(out, "level", log_level_name(r->level));
    write_member(out, "logger", r->name != NULL ? r->name : "");
    if (r->type != NULL) {
        write_member(out, "type", r->type);
    }
    write_member(out, "message", r->msg);
    for (const struct log_field *f = r->fields; f != NULL && f->key != NULL; f++) {
        write_member(out, f->key, f->value);
    }
    buf_append_char(out, '}');
}

void real_log_write(void *ctx, const struct log_record *record) {
    struct real_log *l = ctx;
    struct buf line = BUF_INIT;
    if (l->format == REAL_LOG_TEXT) {
        write_text(record, &line);
    } else if (l->format == REAL_LOG_JSON) {
        write_json(record, &line);
    } else {
        append_line_text(&line, record->msg);
    }
    buf_append_char(&line, '\n');
    for (size_t at = 0; at < line.len;) {
        ssize_t n = write(l->fd, line.ptr + at, line.len - at);
        if (n < 0 && errno != EINTR) {
            break; /* a full disk must not stop the daemon */
        }
        at += n > 0 ? (size_t)n : 0;
    }
    buf_free(&line);
}
