/* HTTP and HTTPS requests: libcurl's multi interface on the loop.
 *
 * Connections are kept by a pool per TLS state: libcurl does not look at our certificates and trusted CAs when it picks
 * a kept connection, so requests with different ones must never share a pool. Nothing is taken from the environment:
 * no proxy variables, no netrc, no system trust store. */
#include "world/real_fetch.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum {
    CONNECT_MS_DEFAULT = 30 * 1000,
    TOTAL_MS_DEFAULT = 120 * 1000,
    BODY_MAX_DEFAULT = 64 * 1024 * 1024,
    HEADERS_MAX = 256,
    HEADER_BYTES_MAX = 128 * 1024,
    /* Servers end idle connections (Puppet's after 30 s), and libcurl takes an unread close_notify for a sign of life:
     * a request sent there would fail. */
    KEPT_IDLE_MAX_S = 15,
};

struct real_fetch {
    struct world_fetch fetch; /* first */
    struct list_link link;    /* of its pool */
    struct fetch_pool *pool;
    CURL *easy;
    struct curl_slist *headers;
    char *url; /* for messages; without query, which may hold secrets */
    struct buf request_body;
    struct buf body;
    size_t body_len, body_max;
    struct buf header_text; /* "name\0value\0"… */
    size_t header_count;
    bool (*on_body)(void *ctx, struct span bytes);
    void (*done)(void *ctx, const struct world_response *r);
    void *ctx;
    struct real_soon soon;
    char curl_error[CURL_ERROR_SIZE];
    bool added, cancelled, too_large, bad_head, setup_failed;
};

/* ---- what curl calls: bytes of the answer */

static bool keeps_body(struct real_fetch *f) {
    long status = 0;
    real_curl()->easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    return f->on_body == NULL || status < 200 || status > 299;
}

static size_t on_body_bytes(char *ptr, size_t size, size_t count, void *ctx) {
    struct real_fetch *f = ctx;
    size_t len = size * count;
    if (f->cancelled) {
        return 0;
    }
    if (len > f->body_max - f->body_len) {
        f->too_large = true;
        return 0;
    }
    f->body_len += len;
    if (keeps_body(f)) {
        buf_append(&f->body, ptr, len);
        return len;
    }
    if (!f->on_body(f->ctx, span_bytes(ptr, len))) {
        f->cancelled = true;
    }
    return f->cancelled ? 0 : len;
}

/* Each answer's head starts anew: a 100 Continue before the real one leaves nothing. */
static size_t on_header_line(char *ptr, size_t size, size_t count, void *ctx) {
    struct real_fetch *f = ctx;
    struct span line = span_trim(span_bytes(ptr, size * count));
    if (span_starts_with(line, "HTTP/")) {
        buf_clear(&f->header_text);
        f->header_count = 0;
        return size * count;
    }
    ptrdiff_t colon = span_find(line, ':');
    if (colon <= 0) {
        return size * count;
    }
    if (span_has_nul(line) || f->header_count == HEADERS_MAX || f->header_text.len + line.len > HEADER_BYTES_MAX) {
        f->bad_head = true;
        return 0;
    }
    for (ptrdiff_t i = 0; i < colon; i++) {
        buf_append_char(&f->header_text, (char)tolower((unsigned char)line.ptr[i]));
    }
    buf_append_char(&f->header_text, '\0');
    buf_append_span(&f->header_text, span_trim(span_sub(line, (size_t)colon + 1, line.len)));
    buf_append_char(&f->header_text, '\0');
    f->header_count++;
    return size * count;
}

static CURLcode on_ssl_ctx(CURL *easy, void *ssl_ctx, void *ctx) {
    (void)easy;
    struct real_fetch *f = ctx;
    return real_tls_state_apply(f->pool->tls, ssl_ctx) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

/* ---- the end of a request */

static const char *kind_of(const struct real_fetch *f, CURLcode code) {
    if (f->too_large) {
        return "world/too-large";
    }
    if (strstr(f->curl_error, " alert ") != NULL) { /* TLS 1.3: the server's refusal comes with the first read */
        return "world/tls";
    }
    if (strstr(f->curl_error, "chunked-encoding") != NULL) { /* curl calls that a failure to receive */
        return "world/protocol";
    }
    switch (code) {
    case CURLE_COULDNT_CONNECT: {
        long e = 0;
        real_curl()->easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &e);
        return e == 0 || e == ECONNREFUSED ? "world/refused" : "world/unreachable";
    }
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
    case CURLE_INTERFACE_FAILED:
        return "world/unreachable";
    case CURLE_OPERATION_TIMEDOUT:
        return "world/timeout";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_SHUTDOWN_FAILED:
    case CURLE_USE_SSL_FAILED:
        return "world/tls";
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        return "world/reset";
    default:
        return "world/protocol";
    }
}

static void free_fetch(struct real_fetch *f) {
    struct fetch_pool *pool = f->pool;
    if (f->added) {
        real_curl()->multi_remove_handle(pool->multi, f->easy);
    }
    real_soon_cancel(pool->rw, &f->soon);
    list_remove(&pool->fetches, &f->link);
    pool->rw->fetches--;
    if (f->easy != NULL) {
        real_curl()->easy_cleanup(f->easy);
        real_curl()->slist_free_all(f->headers);
    }
    if (f->request_body.ptr != NULL) {
        mem_zero(f->request_body.ptr, f->request_body.len); /* may hold passwords */
    }
    buf_free(&f->request_body);
    buf_free(&f->body);
    buf_free(&f->header_text);
    mem_free(f->url);
    mem_free(f);
    real_fetch_pool_settle(pool);
}

static void tell(struct real_fetch *f, const struct error *err) {
    struct world_header *headers = mem_array(f->header_count + 1, sizeof(*headers));
    const char *at = f->header_text.ptr;
    for (size_t i = 0; i < f->header_count; i++) {
        headers[i].name = at;
        at += strlen(at) + 1;
        headers[i].value = at;
        at += strlen(at) + 1;
    }
    long status = 0;
    if (err == NULL) {
        real_curl()->easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    }
    struct world_response r = {
        .err = err,
        .status = err == NULL ? (int)status : 0,
        .headers = headers,
        .header_count = err == NULL ? f->header_count : 0,
        .body = err == NULL ? buf_span(&f->body) : (struct span){NULL, 0},
    };
    f->done(f->ctx, &r);
    mem_free(headers);
}

static void finish(struct real_fetch *f, CURLcode code) {
    if (!f->cancelled) {
        struct error err = ERROR_INIT;
        if (code != CURLE_OK) {
            const char *why = f->curl_error[0] != '\0' ? f->curl_error : real_curl()->easy_strerror(code);
            if (f->too_large) {
                error_set(&err, "world/too-large", "%s: the answer is larger than %zu bytes", f->url, f->body_max);
            } else if (f->bad_head) {
                error_set(&err, "world/protocol", "%s: the answer's head is malformed or too large", f->url);
            } else {
                error_set(&err, kind_of(f, code), "%s: %s", f->url, why);
            }
        }
        f->cancelled = true; /* a cancel from within done does nothing more */
        tell(f, error_is_set(&err) ? &err : NULL);
        error_clear(&err);
    }
    free_fetch(f);
}

void real_fetch_finished(CURL *easy, CURLcode code) {
    struct real_fetch *f = NULL;
    real_curl()->easy_getinfo(easy, CURLINFO_PRIVATE, &f);
    finish(f, code);
}

static void fetch_cancel(struct world_fetch *fetch) {
    struct real_fetch *f = (struct real_fetch *)(void *)fetch;
    if (f->cancelled) {
        return;
    }
    f->cancelled = true;
    if (!f->pool->in_curl) {
        free_fetch(f);
    }
    /* Else one of its own callbacks says so, or another request's: a handle must not leave from within curl. It goes
     * when curl comes back. */
}

void real_fetch_sweep(struct fetch_pool *pool) {
    LIST_EACH_SAFE (it, tmp, &pool->fetches) {
        struct real_fetch *f = LIST_ITEM(it, struct real_fetch, link);
        if (f->cancelled) {
            free_fetch(f);
        }
    }
}

/* ---- beginning */

static const struct world_fetch_ops fetch_ops = {.cancel = fetch_cancel};

static void begin(struct real_soon *soon) {
    struct real_fetch *f = LIST_ITEM(soon, struct real_fetch, soon);
    if (f->setup_failed) {
        finish(f, CURLE_URL_MALFORMAT);
        return;
    }
    f->added = true;
    real_curl()->multi_add_handle(f->pool->multi, f->easy); /* sets a timer, does nothing else yet */
}

/* A header with a line break would be several headers. */
static bool add_header(struct real_fetch *f, const char *name, const char *value) {
    if (strpbrk(name, "\r\n: ") != NULL || strpbrk(value, "\r\n") != NULL) {
        return false;
    }
    /* curl drops a header that ends in ':' ; one that ends in ';' is sent without a value */
    char *line = *value == '\0' ? str_printf("%s;", name) : str_printf("%s: %s", name, value);
    f->headers = real_curl()->slist_append(f->headers, line);
    mem_free(line);
    return true;
}

static bool set_headers(struct real_fetch *f, const struct world_fetch_opts *opts) {
    bool has_type = false;
    for (size_t i = 0; i < opts->header_count; i++) {
        has_type = has_type || strcasecmp(opts->headers[i].name, "content-type") == 0;
        if (!add_header(f, opts->headers[i].name, opts->headers[i].value)) {
            return false;
        }
    }
    f->headers = real_curl()->slist_append(f->headers, "Expect:"); /* no waiting for 100 Continue */
    if (!has_type) {
        f->headers = real_curl()->slist_append(f->headers, "Content-Type:");
    }
    return true;
}

static void set_method(struct real_fetch *f, const struct world_fetch_opts *opts) {
    const char *method = opts->method != NULL ? opts->method : "GET";
    CURL *e = f->easy;
    if (strcmp(method, "HEAD") == 0) {
        real_curl()->easy_setopt(e, CURLOPT_NOBODY, 1L);
        return;
    }
    if (opts->body.len > 0 || strcmp(method, "POST") == 0) {
        buf_append_span(&f->request_body, opts->body);
        real_curl()->easy_setopt(e, CURLOPT_POST, 1L);
        real_curl()->easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)opts->body.len);
        real_curl()->easy_setopt(e, CURLOPT_POSTFIELDS, f->request_body.ptr != NULL ? f->request_body.ptr : "");
    } else if (strcmp(method, "PUT") == 0) {
        real_curl()->easy_setopt(e, CURLOPT_POST, 1L);
        real_curl()->easy_setopt(e, CURLOPT_POSTFIELDSIZE, 0L);
        real_curl()->easy_setopt(e, CURLOPT_POSTFIELDS, "");
    }
    real_curl()->easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
}

static void set_limits(struct real_fetch *f, const struct world_fetch_opts *opts) {
    uint64_t connect_ms = opts->connect_timeout_ms != 0 ? opts->connect_timeout_ms : CONNECT_MS_DEFAULT;
    uint64_t total_ms = opts->timeout_ms != 0 ? opts->timeout_ms : TOTAL_MS_DEFAULT;
    real_curl()->easy_setopt(f->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    real_curl()->easy_setopt(f->easy, CURLOPT_TIMEOUT_MS, (long)total_ms);
    real_curl()->easy_setopt(f->easy, CURLOPT_MAXAGE_CONN, (long)KEPT_IDLE_MAX_S);
    f->body_max = opts->body_max != 0 ? opts->body_max : BODY_MAX_DEFAULT;
}

static void set_tls(struct real_fetch *f) {
    CURL *e = f->easy;
    real_curl()->easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    real_curl()->easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    real_curl()->easy_setopt(e, CURLOPT_CAINFO, NULL);
    real_curl()->easy_setopt(e, CURLOPT_CAPATH, NULL);
    real_curl()->easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    real_curl()->easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    real_curl()->easy_setopt(e, CURLOPT_SSL_ENABLE_ALPN, 0L);
    if (f->pool->tls != NULL) {
        real_curl()->easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
        real_curl()->easy_setopt(e, CURLOPT_SSL_CTX_DATA, f);
    }
}

static bool set_options(struct real_fetch *f, const struct world_fetch_opts *opts) {
    CURL *e = f->easy;
    real_curl()->easy_setopt(e, CURLOPT_PRIVATE, f);
    real_curl()->easy_setopt(e, CURLOPT_ERRORBUFFER, f->curl_error);
    real_curl()->easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    real_curl()->easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    real_curl()->easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    real_curl()->easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    real_curl()->easy_setopt(e, CURLOPT_PROXY, opts->proxy != NULL ? opts->proxy : "");
    real_curl()->easy_setopt(e, CURLOPT_NOPROXY, "");
    real_curl()->easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    real_curl()->easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    real_curl()->easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body_bytes);
    real_curl()->easy_setopt(e, CURLOPT_WRITEDATA, f);
    real_curl()->easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header_line);
    real_curl()->easy_setopt(e, CURLOPT_HEADERDATA, f);
    set_limits(f, opts);
    set_tls(f);
    set_method(f, opts);
    bool ok = set_headers(f, opts) && real_curl()->easy_setopt(e, CURLOPT_URL, opts->url) == CURLE_OK;
    real_curl()->easy_setopt(e, CURLOPT_HTTPHEADER, f->headers);
    bool https = strncasecmp(opts->url, "https://", 8) == 0;
    if (https && f->pool->tls == NULL) {
        snprintf(f->curl_error, sizeof(f->curl_error), "https without a TLS context: nobody is trusted");
        return false;
    }
    if (!ok || (!https && strncasecmp(opts->url, "http://", 7) != 0)) {
        snprintf(f->curl_error, sizeof(f->curl_error), "that is no request that can be sent");
        return false;
    }
    return true;
}

struct world_fetch *real_fetch(void *impl, struct world *w, const struct world_fetch_opts *opts,
                               void (*done)(void *ctx, const struct world_response *r), void *ctx) {
    struct real_world *rw = impl;
    (void)w;
    struct real_fetch *f = mem_zalloc(sizeof(*f));
    f->fetch.ops = &fetch_ops;
    f->done = done;
    f->ctx = ctx;
    f->on_body = opts->on_body;
    f->url = span_dup(span_sub(span_of(opts->url), 0, strcspn(opts->url, "?#")));
    f->pool = real_fetch_pool(rw, opts->tls);
    list_push_back(&f->pool->fetches, &f->link);
    rw->fetches++;
    if (real_curl()->missing != NULL) {
        f->setup_failed = true;
        snprintf(f->curl_error, sizeof(f->curl_error), "%s", real_curl()->missing);
    } else {
        f->easy = real_curl()->easy_init();
        f->setup_failed = !set_options(f, opts);
    }
    real_soon(rw, &f->soon, begin);
    return &f->fetch;
}

void real_fetch_end(struct real_world *rw) {
    LIST_EACH_SAFE (it, tmp, &rw->fetch_pools) {
        struct fetch_pool *pool = LIST_ITEM(it, struct fetch_pool, link);
        pool->kept = true; /* so that it does not go with its last request */
        while (!list_empty(&pool->fetches)) {
            free_fetch(LIST_ITEM(list_first(&pool->fetches), struct real_fetch, link));
        }
        real_fetch_pool_free(pool);
    }
}
