/* Fetching a file into a temporary one. */
#include "agent/download.h"
#include "agent/core.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "wire/percent.h"

struct download {
    struct agent *agent;
    struct remote_file file;
    char *name;
    char *temp;
    size_t server; /* the one being asked */
    char *url;
    struct world_fetch *fetch;
    struct world_file *out;
    struct sha256 *sum;
    char *error;       /* of the last server */
    char *local_error; /* the file could not be written: no other server helps */
    struct timer timer;
    void (*done)(void *ctx, const char *temp, const char *error);
    void *ctx;
};

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* May this byte stand in a request as it is? */
static bool may_stand(struct span path, size_t at) {
    char c = path.ptr[at];
    if (c == '%') {
        return at + 2 < path.len && is_hex(path.ptr[at + 1]) && is_hex(path.ptr[at + 2]);
    }
    return c > ' ' && c < 0x7f && span_find(SPAN("\"<>\\^`{|}#"), c) < 0;
}

/* Paths that servers hand out are not always encoded. */
static void append_path(struct buf *out, struct span path) {
    for (size_t i = 0; i < path.len; i++) {
        if (may_stand(path, i)) {
            buf_append_char(out, path.ptr[i]);
        } else {
            percent_encode(out, span_sub(path, i, 1));
        }
    }
}

char *download_url(const char *server, struct span path, const json_t *params) {
    struct buf url = BUF_INIT;
    buf_append_cstr(&url, server);
    append_path(&url, path);
    char separator = '?';
    for (void *i = json_object_iter((json_t *)params); i != NULL; i = json_object_iter_next((json_t *)params, i)) {
        buf_append_char(&url, separator);
        percent_encode(&url, span_bytes(json_object_iter_key(i), json_object_iter_key_len(i)));
        buf_append_char(&url, '=');
        percent_encode(&url, json_span(json_object_iter_value(i)));
        separator = '&';
    }
    return buf_take(&url);
}

static void next_server(void *ctx);

static void drop_file(struct download *d) {
    world_file_close(d->out, false, NULL);
    d->out = NULL;
    if (d->sum != NULL) {
        uint8_t unused[SHA256_LEN];
        sha256_finish(d->sum, unused);
        d->sum = NULL;
    }
    world_file_remove(d->agent->world, d->temp, false, NULL);
}

static void download_free(struct download *d) {
    world_timer_stop(d->agent->world, &d->timer);
    mem_free(d->name);
    mem_free(d->temp);
    mem_free(d->url);
    mem_free(d->error);
    mem_free(d->local_error);
    mem_free(d);
}

void download_cancel(struct download *d) {
    if (d == NULL) {
        return;
    }
    if (d->fetch != NULL) {
        world_fetch_cancel(d->fetch);
    }
    if (d->out != NULL) {
        drop_file(d);
    }
    download_free(d);
}

static void end(struct download *d, char *error) {
    void (*done)(void *, const char *, const char *) = d->done;
    void *ctx = d->ctx;
    char *temp = str_dup(d->temp);
    download_free(d);
    done(ctx, error == NULL ? temp : NULL, error);
    mem_free(temp);
    mem_free(error);
}

static void end_local(void *ctx) {
    struct download *d = ctx;
    drop_file(d);
    end(d, str_printf("Downloading the file failed. Reason: %s", d->local_error));
}

static bool on_body(void *ctx, struct span bytes) {
    struct download *d = ctx;
    struct error err = ERROR_INIT;
    sha256_update(d->sum, bytes.ptr, bytes.len);
    if (world_file_put(d->out, bytes, &err)) {
        return true;
    }
    d->local_error = str_dup(err.msg);
    error_clear(&err);
    d->fetch = NULL; /* cancelled by the answer; it is not heard of again */
    world_timer_start(d->agent->world, &d->timer, 0, end_local, d);
    return false;
}

static void verify(struct download *d) {
    struct error err = ERROR_INIT;
    uint8_t sum[SHA256_LEN];
    struct buf hex = BUF_INIT;
    sha256_finish(d->sum, sum);
    d->sum = NULL;
    hex_encode(&hex, span_bytes(sum, sizeof sum));
    struct world_file *out = d->out;
    d->out = NULL;
    if (!world_file_close(out, true, &err)) {
        d->local_error = str_dup(err.msg);
        error_clear(&err);
        end_local(d);
    } else if (!span_eq_nocase(d->file.sha256, hex.ptr)) {
        drop_file(d);
        end(d, str_printf("The downloaded file \"%s\" has a SHA that differs from the provided SHA", d->name));
    } else {
        end(d, NULL);
    }
    buf_free(&hex);
}

static void fetched(void *ctx, const struct world_response *r) {
    enum { QUOTED_BODY_MAX = 16 * 1024 };
    struct download *d = ctx;
    d->fetch = NULL;
    if (r->err == NULL && r->status < 400) {
        verify(d);
        return;
    }
    mem_free(d->error);
    if (r->err != NULL) {
        d->error = str_printf("File download server side error: %s", r->err->msg);
    } else {
        struct span body = span_sub(r->body, 0, QUOTED_BODY_MAX);
        d->error = str_printf("%s returned a response with HTTP status %d. Response body: %.*s", d->url, r->status,
                              (int)body.len, body.ptr != NULL ? body.ptr : "");
    }
    log_warn(d->agent->log, "Downloading the file '%s' failed: %s", d->name, d->error);
    drop_file(d);
    d->server++;
    next_server(d);
}

static void next_server(void *ctx) {
    struct download *d = ctx;
    struct agent *a = d->agent;
    struct error err = ERROR_INIT;
    if (a->config->primary_count == 0) {
        end(d, str_dup("Cannot download file. No master-uris were provided"));
        return;
    }
    if (d->server == a->config->primary_count) {
        end(d, str_printf("Downloading file \"%s\" failed after trying all the available master-uris. Most recent "
                          "error message: %s",
                          d->name, d->error));
        return;
    }
    d->out = world_file_open(a->world, d->temp, CACHE_MODE, WORLD_WRITE_NEW, &err);
    if (d->out == NULL) {
        end(d, str_printf("Downloading the file failed. Reason: %s", err.msg));
        error_clear(&err);
        return;
    }
    d->sum = sha256_new();
    mem_free(d->url);
    d->url = download_url(a->config->primaries[d->server], d->file.path, d->file.params);
    struct world_fetch_opts opts = {.url = d->url,
                                    .tls = a->tls,
                                    .proxy = a->config->download_proxy,
                                    .connect_timeout_ms = a->config->download_connect_timeout_ms,
                                    .timeout_ms = a->config->download_timeout_ms,
                                    .body_max = CACHE_FILE_MAX,
                                    .on_body = on_body};
    d->fetch = world_fetch(a->world, &opts, fetched, d);
}

struct download *download_start(struct agent *a, const struct remote_file *file, const char *name, const char *dir,
                                void (*done)(void *ctx, const char *temp, const char *error), void *ctx) {
    struct download *d = mem_zalloc(sizeof *d);
    uint16_t random[4];
    world_random(a->world, random, sizeof random);
    d->agent = a;
    d->file = *file;
    d->name = str_dup(name);
    d->temp = str_printf("%s/temp_file_%04x-%04x-%04x-%04x", dir, random[0], random[1], random[2], random[3]);
    d->done = done;
    d->ctx = ctx;
    world_timer_start(a->world, &d->timer, 0, next_server, d);
    return d;
}
