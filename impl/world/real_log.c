/* See real_log.h. */
#include "world/real_log.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct real_log {
    char *path; /* NULL: standard error */
    int fd;
    bool json;
};

static int open_file(const char *path, struct error *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
    if (fd < 0) {
        error_set(err,
                  errno == ENOENT   ? "world/not-found"
                  : errno == EACCES ? "world/permission"
                                    : "world/io",
                  "%s: %s", path, strerror(errno));
    }
    return fd;
}

struct real_log *real_log_open(const char *path, bool json, struct error *err) {
    bool to_stderr = path == NULL || strcmp(path, "-") == 0;
    int fd = to_stderr ? STDERR_FILENO : open_file(path, err);
    if (fd < 0) {
        return NULL;
    }
    struct real_log *l = mem_zalloc(sizeof(*l));
    l->path = to_stderr ? NULL : str_dup(path);
    l->fd = fd;
    l->json = json;
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
    if (l != NULL) {
        if (l->path != NULL) {
            close(l->fd);
        }
        mem_free(l->path);
        mem_free(l);
    }
}

static void now_text(char out[TIME_TEXT_LEN]) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    time_format_ms((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, out);
}

/* Control characters from outside must not make lines of their own. */
static void append_clean(struct buf *line, const char *text) {
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7f) {
            buf_printf(line, "\\x%02x", c);
        } else {
            buf_append_char(line, *p);
        }
    }
}

static void plain_line(struct buf *line, const struct log_record *r) {
    char time[TIME_TEXT_LEN], level[8];
    now_text(time);
    size_t i = 0;
    for (const char *name = log_level_name(r->level); name[i] != '\0' && i < sizeof(level) - 1; i++) {
        level[i] = (char)toupper((unsigned char)name[i]);
    }
    level[i] = '\0';
    buf_printf(line, "%s %-5s [%s] ", time, level, r->name != NULL ? r->name : "dalang");
    append_clean(line, r->msg != NULL ? r->msg : "");
    for (const struct log_field *f = r->fields; f != NULL && f->key != NULL; f++) {
        buf_printf(line, " %s=", f->key);
        append_clean(line, f->value);
    }
}

static void json_member(struct buf *line, const char *key, const char *value) {
    struct span text = span_of(value);
    buf_printf(line, "%s\"%s\":", line->len > 1 ? "," : "", key);
    if (span_is_utf8(text)) {
        json_write_string(line, text);
    } else {
        buf_append_cstr(line, "null");
    }
}

static void json_line(struct buf *line, const struct log_record *r) {
    char time[TIME_TEXT_LEN];
    now_text(time);
    buf_append_char(line, '{');
    json_member(line, "time", time);
    json_member(line, "level", log_level_name(r->level));
    json_member(line, "logger", r->name != NULL ? r->name : "dalang");
    if (r->type != NULL) {
        json_member(line, "type", r->type);
    }
    json_member(line, "message", r->msg != NULL ? r->msg : "");
    for (const struct log_field *f = r->fields; f != NULL && f->key != NULL; f++) {
        json_member(line, f->key, f->value);
    }
    buf_append_char(line, '}');
}

static void put_line(const struct real_log *l, struct buf *line) {
    buf_append_char(line, '\n');
    ssize_t written = write(l->fd, line->ptr, line->len); /* a full disk loses lines, never the service */
    (void)written;
    buf_free(line);
}

void real_log_write(void *ctx, const struct log_record *record) {
    const struct real_log *l = ctx;
    struct buf line = BUF_INIT;
    if (l->json) {
        json_line(&line, record);
    } else {
        plain_line(&line, record);
    }
    put_line(l, &line);
}

void real_log_write_bare(void *ctx, const struct log_record *record) {
    const struct real_log *l = ctx;
    struct buf line = BUF_INIT;
    if (l->json) {
        json_line(&line, record);
    } else {
        append_clean(&line, record->msg != NULL ? record->msg : "");
    }
    put_line(l, &line);
}
