/* Counts, and the two outputs kept up to date. The JUnit file is head, cases, tail; a case overwrites the tail and the
 * head is written anew, so that the file can be read at any moment between two cases. */
#include "simulator/results/results.h"
#include "base/mem.h"
#include "simulator/results/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct results {
    struct results_opts opts; /* name and junit are ours; the properties are not kept */
    struct result_counts counts;
    uint64_t duration_us;
    off_t tail_at;
    int fd; /* -1: no file */
    struct error err;
};

/* Length of the UTF-8 character at the start, 0 when it is none or one that XML 1.0 excludes. */
static size_t character(struct span s) {
    unsigned char c = (unsigned char)s.ptr[0];
    size_t len = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (len > s.len || !span_is_utf8(span_sub(s, 0, len))) {
        return 0;
    }
    if (len == 1) {
        return c == '\t' || c == '\n' || (c >= 0x20 && c != 0x7f) ? 1 : 0;
    }
    if (len == 2 && c == 0xc2 && (unsigned char)s.ptr[1] < 0xa0) {
        return 0; /* C1 control characters move terminals too */
    }
    return len == 3 && memcmp(s.ptr, "\xef\xbf", 2) == 0 && (unsigned char)s.ptr[2] >= 0xbe ? 0
                                                                                            : len; /* U+FFFE, U+FFFF */
}

bool results_plain(struct buf *out, struct span *text, struct span *plain) {
    size_t len = character(*text);
    if (len == 0) {
        buf_printf(out, "\\x%02x", (unsigned char)text->ptr[0]);
        *text = span_sub(*text, 1, text->len - 1);
        return false;
    }
    *plain = span_sub(*text, 0, len);
    *text = span_sub(*text, len, text->len - len);
    return true;
}

const char *results_status_word(enum result_status status) {
    static const char *const words[] = {[RESULT_PASS] = "PASS",
                                        [RESULT_FAIL] = "FAIL",
                                        [RESULT_SKIP] = "SKIP",
                                        [RESULT_ERROR] = "ERROR",
                                        [RESULT_KNOWN] = "KNOWN"};
    return words[status];
}

static void file_put(struct results *r, struct span bytes, off_t at) {
    while (bytes.len != 0 && !error_is_set(&r->err)) {
        ssize_t n = pwrite(r->fd, bytes.ptr, bytes.len, at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            error_set(&r->err, "results/file", "%s: %s", r->opts.junit, strerror(n < 0 ? errno : EIO));
            return;
        }
        bytes = span_sub(bytes, (size_t)n, bytes.len - (size_t)n);
        at += n;
    }
}

/* Puts `more` where the tail is, a new tail behind it, and the head's new counts. */
static void junit_update(struct results *r, struct span more, const char *interrupted) {
    if (r->fd < 0) {
        return;
    }
    const struct result_counts *c = &r->counts;
    struct buf text = BUF_INIT;
    buf_append_span(&text, more);
    junit_tail(&text, interrupted, c->passed + c->failed + c->skipped + c->errors + c->known, r->opts.planned);
    file_put(r, buf_span(&text), r->tail_at); /* never shorter than before: nothing to cut off */
    r->tail_at += (off_t)more.len;
    buf_clear(&text);
    junit_head(&text, &r->opts, c, r->duration_us);
    file_put(r, buf_span(&text), 0);
    buf_free(&text);
}

static void tap_put(struct results *r, struct buf *text) {
    if (r->opts.tap != NULL && text->len != 0 &&
        (fwrite(text->ptr, 1, text->len, r->opts.tap) != text->len || fflush(r->opts.tap) != 0) &&
        !error_is_set(&r->err)) {
        error_set(&r->err, "results/file", "TAP output: %s", strerror(errno));
    }
    buf_free(text);
}

struct results *results_new(const struct results_opts *opts, struct error *err) {
    int fd = -1;
    if (opts->junit != NULL && (fd = open(opts->junit, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0) {
        error_set(err, "results/file", "%s: %s", opts->junit, strerror(errno));
        return NULL;
    }
    struct results *r = mem_zalloc(sizeof(*r));
    r->opts = *opts;
    r->opts.name = str_dup(opts->name);
    r->opts.junit = str_dup(opts->junit);
    r->opts.properties = NULL;
    r->opts.property_count = 0;
    r->fd = fd;
    r->tail_at = JUNIT_HEAD_SIZE;
    struct buf text = BUF_INIT;
    junit_properties(&text, opts->properties, opts->property_count, "");
    junit_update(r, buf_span(&text), NULL);
    buf_clear(&text);
    tap_head(&text, opts->planned);
    tap_put(r, &text);
    return r;
}

void results_add(struct results *r, const struct result *one) {
    size_t *const count[] = {[RESULT_PASS] = &r->counts.passed,
                             [RESULT_FAIL] = &r->counts.failed,
                             [RESULT_SKIP] = &r->counts.skipped,
                             [RESULT_ERROR] = &r->counts.errors,
                             [RESULT_KNOWN] = &r->counts.known};
    ++*count[one->status];
    r->duration_us += one->duration_us;
    struct buf text = BUF_INIT;
    junit_case(&text, one);
    junit_update(r, buf_span(&text), NULL);
    buf_clear(&text);
    const struct result_counts *c = &r->counts;
    tap_case(&text, one, c->passed + c->failed + c->skipped + c->errors + c->known);
    tap_put(r, &text);
}

const struct result_counts *results_counts(const struct results *r) {
    return &r->counts;
}

bool results_good(const struct results *r) {
    return r->counts.failed == 0 && r->counts.errors == 0;
}

bool results_end(struct results *r, const char *interrupted, struct error *err) {
    if (interrupted != NULL) {
        junit_update(r, (struct span){"", 0}, interrupted);
        struct buf text = BUF_INIT;
        buf_printf(&text, "Bail out! interrupted by %s\n", interrupted);
        tap_put(r, &text);
    }
    if (r->fd >= 0 && close(r->fd) != 0 && !error_is_set(&r->err)) {
        error_set(&r->err, "results/file", "%s: %s", r->opts.junit, strerror(errno));
    }
    bool good = !error_is_set(&r->err);
    if (!good && err != NULL) {
        error_move(err, &r->err);
    }
    error_clear(&r->err);
    mem_free((void *)(uintptr_t)r->opts.name);
    mem_free((void *)(uintptr_t)r->opts.junit);
    mem_free(r);
    return good;
}
