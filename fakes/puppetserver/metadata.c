/* GET /puppet/v3/file_metadata and file_metadatas (puppetserver.md §10). */
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "fakes/puppetserver/files.h"
#include <openssl/evp.h>
#include <string.h>

enum { DIGEST_PIECE = 256 * 1024 };

static const char *const checksum_types[] = {"sha256", "md5", "sha1", "sha224", "sha384", "sha512"};

/* "{type}hex" of a file; NULL after setting err. */
static char *file_checksum(struct world *w, const char *path, const char *type, struct error *err) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    struct buf piece = BUF_INIT;
    uint64_t at = 0;
    bool good = EVP_DigestInit_ex(ctx, EVP_get_digestbyname(type), NULL) == 1;
    do {
        buf_clear(&piece);
        good = good && world_file_read_at(w, path, at, DIGEST_PIECE, &piece, err);
        EVP_DigestUpdate(ctx, piece.ptr, piece.len);
        at += piece.len;
    } while (good && piece.len > 0);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_DigestFinal_ex(ctx, digest, &len);
    EVP_MD_CTX_free(ctx);
    buf_clear(&piece);
    buf_printf(&piece, "{%s}", type);
    hex_encode(&piece, span_bytes(digest, len));
    char *text = buf_take(&piece);
    if (!good) {
        mem_free(text);
        return NULL;
    }
    return text;
}

static char *directory_checksum(const struct world_stat *st) {
    struct civil_time c = time_civil(st->modified_ms);
    return str_printf("{ctime}%04d-%02d-%02d %02d:%02d:%02d +0000", c.year, c.month, c.day, c.hour, c.minute, c.second);
}

/* What is asked for beside the path. */
struct wish {
    const char *links, *checksum;
};

static bool read_wish(struct ps_request *r, struct wish *wish) {
    const char *links = http_query(r->ex, "links"), *checksum = http_query(r->ex, "checksum_type");
    wish->links = links != NULL ? links : "manage";
    wish->checksum = checksum != NULL ? checksum : checksum_types[0];
    for (size_t i = 0; i < sizeof checksum_types / sizeof checksum_types[0]; i++) {
        if (strcmp(checksum_types[i], wish->checksum) == 0) {
            return true;
        }
    }
    ps_issue(r, 400, "RUNTIME_ERROR", "unsupported checksum_type %s", wish->checksum);
    return false;
}

/* Source permissions are ignored, so owner, group and mode are those the server gives to everything. */
enum { MODE_GIVEN = 0644 };

/* `base` and `relative` are reported; relative NULL: a single file. NULL after setting err. */
static json_t *metadata_of(struct ps_request *r, const char *path, const char *base, const char *relative,
                           const struct wish *wish, struct error *err) {
    struct world *w = r->ps->base.world;
    struct world_stat st;
    if (!world_file_stat(w, path, &st, err)) {
        return NULL;
    }
    char *value = st.is_dir ? directory_checksum(&st) : file_checksum(w, path, wish->checksum, err);
    if (value == NULL) {
        return NULL;
    }
    json_t *o = json_pack("{s:s, s:s?, s:s, s:i, s:i, s:i, s:{s:s, s:s}, s:s, s:n}", "path", base, "relative_path",
                          relative, "links", wish->links, "owner", 0, "group", 0, "mode", MODE_GIVEN, "checksum",
                          "type", st.is_dir ? "ctime" : wish->checksum, "value", value, "type",
                          st.is_dir ? "directory" : "file", "destination");
    mem_free(value);
    return o != NULL ? o : json_object(); /* a path that is not UTF-8 */
}

static void internal(struct ps_request *r, struct error *err) {
    ps_issue(r, 500, "RUNTIME_ERROR", "%s", err->msg);
    error_clear(err);
}

void ps_file_metadata(struct ps_request *r) {
    struct ps_environment env;
    struct wish wish;
    char *path;
    if (!ps_environment_of_file(r, "file_metadata", &env)) {
        return;
    }
    if (read_wish(r, &wish) && ps_file_locate(r, "file_metadata", &env, &path)) {
        struct error err = ERROR_INIT;
        json_t *o = metadata_of(r, path, path, NULL, &wish, &err);
        if (o != NULL) {
            ps_json(r, 200, o);
        } else {
            internal(r, &err);
        }
        mem_free(path);
    }
    ps_environment_close(&env);
}

/* A search: what is below a directory. */
struct search {
    struct ps_request *r;
    const struct wish *wish;
    const char *base;
    bool recurse;
    json_t *ignored; /* globs over names */
    json_t *all;
};

static bool is_ignored(const struct search *s, const char *name) {
    for (size_t i = 0; i < json_array_size(s->ignored); i++) {
        if (glob_match(json_string_value(json_array_get(s->ignored, i)), name)) {
            return true;
        }
    }
    return false;
}

static bool search_at(struct search *s, const char *path, const char *relative, int depth, struct error *err);

static bool search_children(struct search *s, const char *path, const char *relative, int depth, struct error *err) {
    char **names = NULL;
    size_t n = 0;
    bool good = world_file_list(s->r->ps->base.world, path, &names, &n, err);
    for (size_t i = 0; i < n && good; i++) {
        if (is_ignored(s, names[i])) {
            continue;
        }
        char *child = ps_join(path, names[i]);
        char *child_relative = strcmp(relative, ".") == 0 ? str_dup(names[i]) : ps_join(relative, names[i]);
        good = search_at(s, child, child_relative, depth + 1, err);
        mem_free(child_relative);
        mem_free(child);
    }
    world_names_free(names, n);
    return good;
}

static bool search_at(struct search *s, const char *path, const char *relative, int depth, struct error *err) {
    if (json_array_size(s->all) >= PS_FILES_MAX) {
        return error_set(err, "too-many-files", "more than %d files below %s", PS_FILES_MAX, s->base);
    }
    json_t *o = metadata_of(s->r, path, s->base, relative, s->wish, err);
    if (o == NULL) {
        return false;
    }
    json_array_append_new(s->all, o);
    struct world_stat st;
    bool real_dir = world_file_lstat(s->r->ps->base.world, path, &st, NULL) && st.is_dir;
    return !real_dir || !s->recurse || depth >= PS_DEPTH_MAX || search_children(s, path, relative, depth, err);
}

static json_t *ignore_list(struct http_exchange *ex) {
    json_t *all = json_array();
    const char *name, *value;
    for (size_t i = 0; http_query_at(ex, i, &name, &value); i++) {
        if (strcmp(name, "ignore") == 0 || strcmp(name, "ignore[]") == 0) {
            json_t *glob = json_string(value);
            if (glob != NULL) {
                json_array_append_new(all, glob);
            }
        }
    }
    return all;
}

static void answer_search(struct ps_request *r, const char *path, const struct wish *wish) {
    const char *recurse = http_query(r->ex, "recurse");
    struct error err = ERROR_INIT;
    struct search s = {.r = r, .wish = wish, .base = path, .ignored = ignore_list(r->ex), .all = json_array()};
    s.recurse = recurse != NULL && (strcmp(recurse, "true") == 0 || strcmp(recurse, "yes") == 0);
    if (search_at(&s, path, ".", 0, &err)) {
        ps_json(r, 200, json_incref(s.all));
    } else {
        internal(r, &err);
    }
    json_decref(s.ignored);
    json_decref(s.all);
}

/* Puppet merges a search over all modules only for plugins: each "lib" is searched, the first of a name wins. */
static void answer_merged(struct ps_request *r, const struct ps_environment *env, const char *dir,
                          const struct wish *wish) {
    struct world *w = r->ps->base.world;
    struct error err = ERROR_INIT;
    struct search s = {.r = r, .wish = wish, .recurse = true, .ignored = ignore_list(r->ex), .all = json_array()};
    size_t count;
    char **modules = ps_module_names(w, env, &count);
    bool good = true;
    for (size_t i = 0; i < count && good; i++) {
        char *module_dir = ps_module_dir(w, env, modules[i]);
        char *path = ps_join(module_dir, dir);
        if (ps_is_dir(w, path)) {
            s.base = path;
            good = json_array_size(s.all) == 0 ? search_at(&s, path, ".", 0, &err)
                                               : search_children(&s, path, ".", 0, &err);
        }
        mem_free(path);
        mem_free(module_dir);
    }
    world_names_free(modules, count);
    if (!good) {
        internal(r, &err);
    } else if (json_array_size(s.all) == 0) {
        ps_issue(r, 404, "RESOURCE_NOT_FOUND", "Could not find file_metadatas %s", r->params[0]);
    } else {
        ps_json(r, 200, json_incref(s.all));
    }
    json_decref(s.ignored);
    json_decref(s.all);
}

void ps_file_metadatas(struct ps_request *r) {
    struct ps_environment env;
    struct wish wish;
    char *path;
    if (!ps_environment_of_file(r, "file_metadatas", &env)) {
        return;
    }
    if (!read_wish(r, &wish)) {
        ps_environment_close(&env);
        return;
    }
    if (strcmp(r->params[0], "plugins") == 0 || strcmp(r->params[0], "pluginfacts") == 0) {
        answer_merged(r, &env, strcmp(r->params[0], "plugins") == 0 ? "lib" : "facts.d", &wish);
    } else if (ps_file_locate(r, "file_metadatas", &env, &path)) {
        answer_search(r, path, &wish);
        mem_free(path);
    }
    ps_environment_close(&env);
}
