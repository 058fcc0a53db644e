/* GET /puppet/v3/file_metadata, and what file_metadatas tells of each file (puppetserver.md §10). */
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "fakes/puppetserver/files.h"
#include <openssl/evp.h>
#include <string.h>

enum { DIGEST_PIECE = 256 * 1024, LITE_MAX = 512 };

/* What may be asked for. */
static const struct checksum {
    const char *name, *digest; /* digest NULL: no digest */
    bool lite;                 /* of the first bytes only */
} checksums[] = {
    {"sha256", "sha256", false}, {"sha256lite", "sha256", true}, {"md5", "md5", false},
    {"md5lite", "md5", true},    {"sha1", "sha1", false},        {"sha1lite", "sha1", true},
    {"sha224", "sha224", false}, {"sha384", "sha384", false},    {"sha512", "sha512", false},
    {"mtime", NULL, false},      {"ctime", NULL, false},         {"none", NULL, false},
};

static const struct checksum *checksum_named(const char *name) {
    for (size_t i = 0; i < sizeof checksums / sizeof checksums[0]; i++) {
        if (strcmp(checksums[i].name, name) == 0) {
            return &checksums[i];
        }
    }
    return NULL;
}

/* "{type}hex" of a file; NULL after setting err. */
static char *file_digest(struct world *w, const char *path, const struct checksum *type, struct error *err) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    struct buf piece = BUF_INIT;
    uint64_t at = 0;
    bool good = EVP_DigestInit_ex(ctx, EVP_get_digestbyname(type->digest), NULL) == 1;
    do {
        buf_clear(&piece);
        good = good && world_file_read_at(w, path, at, type->lite ? LITE_MAX : DIGEST_PIECE, &piece, err);
        EVP_DigestUpdate(ctx, piece.ptr, piece.len);
        at += piece.len;
    } while (good && piece.len > 0 && !type->lite);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_DigestFinal_ex(ctx, digest, &len);
    EVP_MD_CTX_free(ctx);
    buf_clear(&piece);
    buf_printf(&piece, "{%s}", type->name);
    hex_encode(&piece, span_bytes(digest, len));
    char *text = buf_take(&piece);
    if (!good) {
        mem_free(text);
        return NULL;
    }
    return text;
}

static char *time_checksum(const char *type, const struct world_stat *st) {
    struct civil_time c = time_civil(st->modified_ms);
    return str_printf("{%s}%04d-%02d-%02d %02d:%02d:%02d +0000", type, c.year, c.month, c.day, c.hour, c.minute,
                      c.second);
}

/* NULL after setting err. */
static char *file_checksum(struct world *w, const char *path, const char *type, struct error *err) {
    const struct checksum *checksum = checksum_named(type);
    struct world_stat st;
    if (checksum->digest != NULL) {
        return file_digest(w, path, checksum, err);
    }
    if (strcmp(type, "none") == 0) {
        return str_dup("{none}");
    }
    return world_file_stat(w, path, &st, err) ? time_checksum(type, &st) : NULL;
}

enum ps_links ps_links_asked(struct ps_request *r) {
    const char *links = http_query(r->ex, "links");
    return links != NULL && strcmp(links, "follow") == 0 ? PS_LINKS_FOLLOW : PS_LINKS_MANAGE;
}

static bool is_one_of(const char *word, const char *const *words) {
    while (*words != NULL && strcmp(*words, word) != 0) {
        words++;
    }
    return *words != NULL;
}

bool ps_wish_read(struct ps_request *r, struct ps_wish *wish) {
    static const char *const links_known[] = {"manage", "follow", "ignore", NULL};
    static const char *const permissions_known[] = {"ignore", "use", "use_when_creating", NULL};
    const char *links = http_query(r->ex, "links"), *checksum = http_query(r->ex, "checksum_type");
    const char *permissions = http_query(r->ex, "source_permissions");
    *wish = (struct ps_wish){.links = ps_links_asked(r),
                             .checksum = checksum != NULL ? checksum : checksums[0].name,
                             .own_modes = permissions != NULL && strcmp(permissions, "ignore") != 0};
    if (links != NULL && !is_one_of(links, links_known)) {
        ps_issue(r, 500, "RUNTIME_ERROR", ":links can only be set to :manage or :follow");
    } else if (checksum_named(wish->checksum) == NULL) {
        ps_issue(r, 500, "RUNTIME_ERROR", "Unsupported checksum type %s", wish->checksum);
    } else if (permissions != NULL && !is_one_of(permissions, permissions_known)) {
        ps_issue(r, 500, "RUNTIME_ERROR", "Unsupported source_permission %s", permissions);
    } else {
        return true;
    }
    return false;
}

/* Source permissions are ignored by default: the mode that the server gives to everything. */
enum { MODE_GIVEN = 0644 };

/* Of a directory the time of the one that the search began with; of a link what it leads to, when that is a file of the
 * environment's code. NULL: none, or after setting err. */
static char *checksum_of(struct world *w, const struct ps_environment *env, const struct ps_metadata_of *of,
                         const char *path, const struct world_stat *st, const char *type, struct error *err) {
    struct world_stat base;
    if (st->is_dir) {
        return world_file_stat(w, of->base, &base, err) ? time_checksum("ctime", &base) : NULL;
    }
    if (!st->is_link) {
        return file_checksum(w, path, type, err);
    }
    return ps_path_in_code(w, env, path) && ps_is_file(w, path) ? file_checksum(w, path, type, NULL) : NULL;
}

/* Is it a link that leads to itself, or through too many? */
static bool loops(struct world *w, const char *path) {
    struct world_stat st;
    struct error err = ERROR_INIT;
    bool loop = !world_file_stat(w, path, &st, &err) && error_is(&err, "world/io");
    error_clear(&err);
    return loop;
}

json_t *ps_metadata(struct world *w, const struct ps_environment *env, const struct ps_metadata_of *of,
                    const struct ps_wish *wish, struct error *err) {
    bool below = of->relative != NULL && strcmp(of->relative, ".") != 0;
    char *path = below ? ps_join(of->base, of->relative) : str_dup(of->base);
    struct world_stat st;
    bool follow = wish->links == PS_LINKS_FOLLOW;
    json_t *o = NULL;
    if (follow && !ps_path_in_code(w, env, path)) {
        error_set(err, "world/not-found", "%s - %s",
                  loops(w, path) ? "Too many levels of symbolic links" : "No such file or directory", path);
    } else if (follow ? world_file_stat(w, path, &st, err) : world_file_lstat(w, path, &st, err)) {
        const char *type = st.is_dir ? "ctime" : wish->checksum;
        char *value = checksum_of(w, env, of, path, &st, type, err);
        char *destination = st.is_link ? world_file_readlink(w, path, err) : NULL;
        if (st.is_link ? destination != NULL : value != NULL) {
            o = json_pack("{s:s, s:s?, s:s, s:i, s:i, s:i, s:{s:s, s:s?}, s:s, s:s?}", "path", of->base,
                          "relative_path", of->relative, "links", follow ? "follow" : "manage", "owner", 0, "group", 0,
                          "mode", wish->own_modes ? st.mode : MODE_GIVEN, "checksum", "type", type, "value", value,
                          "type",
                          st.is_dir    ? "directory"
                          : st.is_link ? "link"
                                       : "file",
                          "destination", destination);
            o = o != NULL ? o : json_object(); /* a path that is not UTF-8 */
        }
        mem_free(destination);
        mem_free(value);
    }
    mem_free(path);
    return o;
}

void ps_metadata_failed(struct ps_request *r, struct error *err) {
    ps_issue(r, 500, "RUNTIME_ERROR", "%s", err->msg);
    error_clear(err);
}

void ps_file_metadata(struct ps_request *r) {
    struct ps_environment env;
    struct ps_wish wish;
    char *path;
    if (!ps_environment_of_file(r, "file_metadata", &env)) {
        return;
    }
    if (ps_file_locate(r, "file_metadata", &env, ps_links_asked(r), &path)) {
        struct error err = ERROR_INIT;
        if (ps_wish_read(r, &wish)) {
            json_t *o = ps_metadata(r->ps->base.world, &env, &(struct ps_metadata_of){path, NULL}, &wish, &err);
            if (o != NULL) {
                ps_json(r, 200, o);
            } else {
                ps_metadata_failed(r, &err);
            }
        }
        mem_free(path);
    }
    ps_environment_close(&env);
}
