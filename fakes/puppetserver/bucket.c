/* The file bucket: /puppet/v3/file_bucket_file/sha256/HEX[/PATH]. Contents are kept in memory until the state is loaded
 * anew, each once, with the paths that they were at. */
#include "base/digest.h"
#include "base/mem.h"
#include "fakes/puppetserver/server.h"
#include <string.h>

enum { BUCKET_MAX = 64 * 1024 * 1024 }; /* bytes of all contents */

struct content {
    struct buf bytes;
    json_t *paths; /* {path: true} */
};

void ps_bucket_clear(struct fake_puppetserver *ps) {
    for (struct map_iter i = map_iter(&ps->bucket); map_next(&i);) {
        struct content *c = i.value;
        buf_free(&c->bytes);
        json_decref(c->paths);
        mem_free(c);
    }
    map_free(&ps->bucket);
    map_init(&ps->bucket);
    ps->bucket_bytes = 0;
}

static bool is_sha256(struct span hex) {
    for (size_t i = 0; i < hex.len; i++) {
        if (memchr("0123456789abcdef", hex.ptr[i], 16) == NULL) {
            return false;
        }
    }
    return hex.len == SHA256_HEX_LEN;
}

/* The digest and path that the request names; false after answering. */
static bool read_key(struct ps_request *r, struct span *digest, struct span *path) {
    struct span rest = span_of(r->params[0]), type = {0};
    *digest = (struct span){0};
    span_split(&rest, '/', &type);
    bool given = span_split(&rest, '/', digest);
    *path = rest;
    if (!span_eq_cstr(type, "sha256")) {
        ps_issue(r, 500, "RUNTIME_ERROR", "Unsupported checksum type \"%.*s\"", (int)type.len, type.ptr);
    } else if (!given) {
        ps_issue(r, 500, "RUNTIME_ERROR", "Invalid checksum nil");
    } else if (!is_sha256(*digest)) {
        ps_issue(r, 500, "RUNTIME_ERROR", "Invalid checksum \"%.*s\"", (int)digest->len, digest->ptr);
    } else {
        return true;
    }
    return false;
}

/* What comes before anything is looked for; false after answering. */
static bool request_good(struct ps_request *r) {
    struct ps_environment env;
    const char *all = http_query(r->ex, "list_all"), *accept = http_header(r->ex, "accept");
    if (r->params[0][0] == '\0') {
        ps_issue(r, 400, "RUNTIME_ERROR", "No request key specified in %s", r->path);
        return false;
    }
    if (!ps_environment_of_file(r, "file_bucket_file", &env)) {
        return false;
    }
    ps_environment_close(&env);
    if (all != NULL && strcmp(all, "false") != 0) {
        ps_issue(r, 500, "RUNTIME_ERROR", "Listing remote file buckets is not allowed");
    } else if (!body_accepts(r->ex, "application/octet-stream") && !body_accepts(r->ex, "binary")) {
        ps_issue(r, 406, "UNSUPPORTED_FORMAT", "No supported formats are acceptable (Accept: %s)", accept);
    } else {
        return true;
    }
    return false;
}

static const struct content *find(struct ps_request *r, struct span digest, struct span path) {
    const struct content *c = map_get(&r->ps->bucket, digest);
    bool at_path = c != NULL && (path.len == 0 || json_object_getn(c->paths, path.ptr, path.len) != NULL);
    return at_path ? c : NULL;
}

void ps_bucket_get(struct ps_request *r) {
    struct span digest, path;
    if (!request_good(r) || !read_key(r, &digest, &path)) {
        return;
    }
    const struct content *c = find(r, digest, path);
    if (c == NULL) {
        ps_issue(r, 404, "RESOURCE_NOT_FOUND", "Could not find file_bucket_file %s", r->params[0]);
    } else if (http_query(r->ex, "diff_with") != NULL) {
        fake_respond_error(r->ex, 501, "dalang/not-implemented", NULL, "the fake puppetserver shows no differences");
    } else {
        ps_bytes(r, buf_span(&c->bytes));
    }
}

void ps_bucket_head(struct ps_request *r) {
    struct span digest, path;
    if (request_good(r) && read_key(r, &digest, &path)) {
        if (find(r, digest, path) != NULL) {
            ps_text(r, 200, "%s", "");
        } else {
            ps_issue(r, 404, "RESOURCE_NOT_FOUND", "Could not find file_bucket_file %s", r->params[0]);
        }
    }
}

/* Under its own digest, whatever the request says it is. */
static bool keep(struct fake_puppetserver *ps, struct span bytes, struct span path) {
    char hex[SHA256_HEX_LEN + 1];
    sha256_hex(bytes, hex);
    struct content *c = map_get_cstr(&ps->bucket, hex);
    if (c == NULL && ps->bucket_bytes + bytes.len > BUCKET_MAX) {
        return false;
    }
    if (c == NULL) {
        c = mem_zalloc(sizeof *c);
        c->paths = json_object();
        buf_append_span(&c->bytes, bytes);
        map_put(&ps->bucket, span_of(hex), c);
        ps->bucket_bytes += bytes.len;
    }
    if (path.len > 0 && json_object_size(c->paths) < PS_FILES_MAX) {
        json_object_setn_new_nocheck(c->paths, path.ptr, path.len, json_true());
    }
    return true;
}

void ps_bucket_put(struct ps_request *r) {
    const char *type = http_header(r->ex, "content-type");
    struct span digest, path;
    if (!request_good(r)) {
        return;
    }
    if (type == NULL) {
        ps_issue(r, 400, "MISSING_HEADER_FIELD",
                 "No Content-Type header was received, it isn't possible to unserialize the request");
    } else if (strcmp(type, "application/octet-stream") != 0) {
        ps_issue(r, 415, "UNSUPPORTED_MEDIA_TYPE",
                 "Client sent a mime-type (%s) that doesn't correspond to a format we support", type);
    } else if (read_key(r, &digest, &path)) {
        if (keep(r->ps, http_request(r->ex)->body, path)) {
            ps_bytes(r, SPAN(""));
        } else {
            ps_issue(r, 500, "RUNTIME_ERROR", "the fake's file bucket is full: it takes %d bytes", BUCKET_MAX);
        }
    }
}
