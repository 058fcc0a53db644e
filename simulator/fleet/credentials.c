/* See credentials.h. */
#include "simulator/fleet/credentials.h"

#include "base/mem.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

enum { PEM_FILE_MAX = 256 * 1024 };

/* Where the files of a name may lie below the directory. */
static const struct layout {
    const char *certs, *keys, *key_suffix;
} layouts[] = {{"/certs", "/certs", ".key"}, {"/certs", "/private_keys", ".pem"}, {"", "", ".key"}};
enum { LAYOUTS = sizeof(layouts) / sizeof(layouts[0]) };
static const char cert_suffix[] = ".pem";

struct credentials {
    struct credentials_opts opts;
    EVP_PKEY *shared; /* the one key of minted certificates */
};

struct credentials *credentials_new(const struct credentials_opts *opts) {
    struct credentials *c = mem_zalloc(sizeof(*c));
    c->opts = *opts;
    c->shared = opts->ca != NULL && !opts->own_keys ? certs_key_new(CERTS_KEY_EC_P256) : NULL;
    return c;
}

void credentials_free(struct credentials *c) {
    if (c != NULL) {
        EVP_PKEY_free(c->shared);
        mem_free(c);
    }
}

/* ---- from a directory */

/* A name becomes part of a path: it must not lead elsewhere. */
static bool safe_name(const char *name, struct error *err) {
    return (name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL) ||
           error_set(err, "certs/name", "\"%s\" is no name of a file", name);
}

static BIO *read_pem(struct credentials *c, const char *path, struct buf *text, struct error *err) {
    struct error own = ERROR_INIT;
    if (!world_file_read(c->opts.world, path, PEM_FILE_MAX, text, &own)) {
        error_set(err, "certs/file", "%s", own.msg);
        error_clear(&own);
        return NULL;
    }
    return BIO_new_mem_buf(text->len > 0 ? text->ptr : "", (int)text->len);
}

static int no_password(char *out, int size, int writing, void *ctx) {
    (void)out, (void)size, (void)writing, (void)ctx;
    return -1; /* never asks on the terminal: such a key cannot be used */
}

static struct real_credential *load(struct credentials *c, const char *cert_path, const char *key_path,
                                    struct error *err) {
    struct buf cert_text = BUF_INIT, key_text = BUF_INIT;
    struct real_credential *credential = NULL;
    BIO *cert_bio = read_pem(c, cert_path, &cert_text, err);
    BIO *key_bio = cert_bio != NULL ? read_pem(c, key_path, &key_text, err) : NULL;
    X509 *cert = key_bio != NULL ? PEM_read_bio_X509(cert_bio, NULL, no_password, NULL) : NULL;
    EVP_PKEY *key = cert != NULL ? PEM_read_bio_PrivateKey(key_bio, NULL, no_password, NULL) : NULL;
    if (key_bio != NULL && cert == NULL) {
        error_set(err, "certs/file", "%s holds no certificate in PEM", cert_path);
    } else if (cert != NULL && key == NULL) {
        error_set(err, "certs/file", "%s holds no private key in PEM without a password", key_path);
    } else if (key != NULL && X509_check_private_key(cert, key) != 1) {
        error_set(err, "certs/crypto", "%s is not the key of %s", key_path, cert_path);
    } else if (key != NULL) {
        credential = real_credential_new(cert, key);
    }
    ERR_clear_error();
    X509_free(cert);
    EVP_PKEY_free(key);
    BIO_free(cert_bio);
    BIO_free(key_bio);
    if (key_text.len > 0) {
        mem_zero(key_text.ptr, key_text.len);
    }
    buf_free(&cert_text);
    buf_free(&key_text);
    return credential;
}

static bool is_file(struct credentials *c, const char *path) {
    struct world_stat st;
    return world_file_stat(c->opts.world, path, &st, NULL) && st.is_file;
}

static char *cert_path_of(const struct credentials *c, const struct layout *l, const char *name) {
    return str_printf("%s%s/%s%s", c->opts.dir, l->certs, name, cert_suffix);
}

static char *key_path_of(const struct credentials *c, const struct layout *l, const char *name) {
    return str_printf("%s%s/%s%s", c->opts.dir, l->keys, name, l->key_suffix);
}

static struct real_credential *load_named(struct credentials *c, const char *name, struct error *err) {
    if (!safe_name(name, err)) {
        return NULL;
    }
    struct real_credential *credential = NULL;
    bool found = false;
    for (size_t i = 0; i < LAYOUTS && !found; i++) {
        char *cert = cert_path_of(c, &layouts[i], name), *key = key_path_of(c, &layouts[i], name);
        found = is_file(c, cert) && is_file(c, key);
        credential = found ? load(c, cert, key, err) : NULL;
        mem_free(cert);
        mem_free(key);
    }
    if (!found) {
        error_set(err, "certs/file", "%s has no certificate with a key for %s", c->opts.dir, name);
    }
    return credential;
}

bool credentials_names(struct credentials *c, char ***names, size_t *count, struct error *err) {
    *names = NULL;
    *count = 0;
    for (size_t l = 0; l < LAYOUTS && *count == 0; l++) {
        char *dir = str_printf("%s%s", c->opts.dir, layouts[l].certs), **files = NULL;
        size_t file_count = 0;
        if (world_file_list(c->opts.world, dir, &files, &file_count, NULL)) {
            *names = mem_array(file_count + 1, sizeof(**names));
            for (size_t i = 0; i < file_count; i++) {
                struct span file = span_of(files[i]);
                char *name = span_ends_with(file, cert_suffix)
                                 ? span_dup(span_sub(file, 0, file.len - strlen(cert_suffix)))
                                 : NULL;
                char *key = name != NULL ? key_path_of(c, &layouts[l], name) : NULL;
                if (key != NULL && is_file(c, key)) {
                    (*names)[(*count)++] = name;
                    name = NULL;
                }
                mem_free(key);
                mem_free(name);
            }
            world_names_free(files, file_count);
            if (*count == 0) {
                mem_free(*names);
                *names = NULL;
            }
        }
        mem_free(dir);
    }
    return *count > 0 ||
           error_set(err, "certs/file", "%s holds no certificate with its key (NAME.pem and NAME.key)", c->opts.dir);
}

/* ---- */

struct real_credential *credentials_for(struct credentials *c, const char *certname, struct error *err) {
    if (c->opts.ca == NULL) {
        return load_named(c, certname, err);
    }
    EVP_PKEY *key = c->opts.own_keys ? certs_key_new(CERTS_KEY_EC_P256) : c->shared;
    struct real_credential *credential = certs_mint(c->opts.ca, certname, key, world_wall_ms(c->opts.world), err);
    if (c->opts.own_keys) {
        EVP_PKEY_free(key);
    }
    return credential;
}

struct real_credential *credential_expired(struct certs_ca *ca, const char *certname, int64_t now_ms,
                                           struct error *err) {
    struct certs_issue what = {
        .common_name = span_of(certname), .client_only = true, .now_ms = now_ms, .not_after_ms = now_ms - 1000};
    EVP_PKEY *key = certs_key_new(CERTS_KEY_EC_P256);
    X509 *cert = certs_issue(ca, &what, key, err);
    struct real_credential *c = cert != NULL ? real_credential_new(cert, key) : NULL;
    X509_free(cert);
    EVP_PKEY_free(key);
    return c;
}
