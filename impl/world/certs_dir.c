/* A certificate authority in a directory; see certs.h. */
#include "world/certs_internal.h"

#include "base/mem.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <string.h>
#include <unistd.h>

static char *in_dir(const char *dir, const char *name) {
    return str_printf("%s/%s", dir, name);
}

/* It becomes a file's name: letters, digits, '.', '_' and '-', beginning with a letter or digit. */
static bool name_is_clean(struct span name) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (name.len == 0 || name.len > CERTS_NAME_MAX || strchr("._-", name.ptr[0]) != NULL) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '\0' || strchr(allowed, name.ptr[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static bool check_name(struct span name, struct error *err) {
    return name_is_clean(name) ||
           error_set(err, "certs/name", "\"%.*s\" cannot be a certname: letters, digits, '.', '_' and '-' only",
                     (int)(name.len < 100 ? name.len : 100), name.ptr);
}

static int refuse_password(char *buf, int size, int rwflag, void *ctx) {
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)ctx;
    return -1; /* never a prompt */
}

/* ---- reading */

static X509 *read_cert(const char *path, struct error *err) {
    struct buf text = BUF_INIT;
    X509 *cert = NULL;
    if (certs_file_read(path, &text, NULL, err)) {
        BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
        cert = PEM_read_bio_X509(bio, NULL, refuse_password, NULL);
        BIO_free(bio);
        if (cert == NULL) {
            error_set(err, "certs/file", "%s: holds no PEM certificate", path);
        }
    }
    buf_free(&text);
    ERR_clear_error();
    return cert;
}

static EVP_PKEY *read_key(const char *path, struct error *err) {
    struct buf text = BUF_INIT;
    EVP_PKEY *key = NULL;
    if (certs_file_read(path, &text, NULL, err)) {
        BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
        key = PEM_read_bio_PrivateKey(bio, NULL, refuse_password, NULL);
        BIO_free(bio);
        if (key == NULL) {
            error_set(err, "certs/file", "%s: holds no PEM key without a passphrase", path);
        }
    }
    if (text.ptr != NULL) {
        mem_zero(text.ptr, text.len);
    }
    buf_free(&text);
    ERR_clear_error();
    return key;
}

/* What others revoked meanwhile is taken in too. No file yet is fine. */
static bool read_crl(struct certs_ca *ca, const char *dir, struct error *err) {
    char *path = in_dir(dir, "crl.pem");
    struct buf text = BUF_INIT;
    bool absent = false;
    bool ok = certs_file_read(path, &text, &absent, err) || absent;
    if (ok && !absent) {
        BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
        X509_CRL *crl = PEM_read_bio_X509_CRL(bio, NULL, refuse_password, NULL);
        BIO_free(bio);
        ERR_clear_error();
        if (crl == NULL) {
            ok = error_set(err, "certs/file", "%s: holds no PEM CRL", path);
        } else {
            sk_X509_REVOKED_pop_free(ca->revoked, X509_REVOKED_free);
            ca->revoked = sk_X509_REVOKED_new_null();
            STACK_OF(X509_REVOKED) *old = X509_CRL_get_REVOKED(crl);
            for (int i = 0; i < sk_X509_REVOKED_num(old); i++) {
                sk_X509_REVOKED_push(ca->revoked, X509_REVOKED_dup(sk_X509_REVOKED_value(old, i)));
            }
            X509_CRL_free(crl);
        }
    }
    buf_free(&text);
    mem_free(path);
    return ok;
}

static bool read_serial(struct certs_ca *ca, const char *dir, struct error *err) {
    char *path = in_dir(dir, "serial");
    struct buf text = BUF_INIT;
    bool absent = false;
    bool ok = certs_file_read(path, &text, &absent, err) || absent;
    uint64_t serial = ca->next_serial;
    if (ok && !absent && !span_to_u64(span_trim(buf_span(&text)), &serial)) {
        ok = error_set(err, "certs/file", "%s: is not a number", path);
    }
    if (ok && serial > ca->next_serial) {
        ca->next_serial = serial;
    }
    buf_free(&text);
    mem_free(path);
    return ok;
}

/* ---- writing */

static bool write_text(const char *dir, const char *name, char *text, int mode, struct error *err) {
    char *path = in_dir(dir, name);
    bool ok = certs_file_write(path, span_of(text), mode, err);
    mem_free(path);
    mem_free_secret(text, strlen(text));
    return ok;
}

static bool write_serial(const struct certs_ca *ca, const char *dir, struct error *err) {
    return write_text(dir, "serial", str_printf("%llu\n", (unsigned long long)ca->next_serial), 0644, err);
}

static bool write_crl(struct certs_ca *ca, const char *dir, int64_t now_ms, struct error *err) {
    X509_CRL *crl = certs_crl(ca, now_ms);
    bool ok = write_text(dir, "crl.pem", certs_pem_crl(crl), 0644, err);
    X509_CRL_free(crl);
    return ok;
}

static struct certs_ca *create(const char *dir, const struct certs_ca_opts *opts, struct error *err) {
    struct certs_ca *ca = certs_ca_new(opts);
    /* The certificate last: it is what says that there is a CA. */
    if (!write_text(dir, "ca.key", certs_pem_key(ca->key), 0600, err) || !write_serial(ca, dir, err) ||
        !write_crl(ca, dir, opts->now_ms, err) || !write_text(dir, "ca.pem", certs_pem_cert(ca->cert), 0644, err)) {
        certs_ca_free(ca);
        return NULL;
    }
    return ca;
}

static struct certs_ca *load_pair(const char *cert_path, const char *key_path, struct error *err) {
    X509 *cert = read_cert(cert_path, err);
    EVP_PKEY *key = cert != NULL ? read_key(key_path, err) : NULL;
    if (key != NULL && X509_check_private_key(cert, key) == 1) {
        return certs_ca_wrap(cert, key, 2);
    }
    if (key != NULL) {
        error_set(err, "certs/file", "%s: is not the key of %s", key_path, cert_path);
        ERR_clear_error();
    }
    X509_free(cert);
    EVP_PKEY_free(key);
    return NULL;
}

static struct certs_ca *load(const char *dir, struct error *err) {
    char *cert_path = in_dir(dir, "ca.pem"), *key_path = in_dir(dir, "ca.key");
    struct certs_ca *ca = load_pair(cert_path, key_path, err);
    if (ca != NULL && (!read_serial(ca, dir, err) || !read_crl(ca, dir, err))) {
        certs_ca_free(ca);
        ca = NULL;
    }
    mem_free(cert_path);
    mem_free(key_path);
    return ca;
}

struct certs_ca *certs_ca_open(const char *cert_path, const char *key_path, struct error *err) {
    struct certs_ca *ca = load_pair(cert_path, key_path, err);
    uint64_t serial;
    if (ca != NULL && RAND_bytes((unsigned char *)&serial, sizeof(serial)) == 1) {
        ca->next_serial = serial >> 2 | UINT64_C(1) << 61; /* far from what the directory's own counter hands out */
    }
    return ca;
}

struct certs_ca *certs_dir_open(const char *dir, const struct certs_ca_opts *opts, struct error *err) {
    char *certs = in_dir(dir, "certs"), *ca_path = in_dir(dir, "ca.pem");
    struct certs_ca *ca = NULL;
    int lock = -1;
    if (certs_file_mkdir(dir, 0755, err) && certs_file_mkdir(certs, 0755, err)) {
        lock = certs_dir_lock(dir, err);
    }
    if (lock >= 0) {
        ca = access(ca_path, F_OK) == 0 ? load(dir, err) : create(dir, opts, err);
        close(lock);
    }
    mem_free(certs);
    mem_free(ca_path);
    return ca;
}

/* ---- issuing and revoking */

void certs_paths_free(struct certs_paths *p) {
    mem_free(p->cert);
    mem_free(p->key);
    *p = (struct certs_paths){NULL, NULL};
}

static bool issue_locked(struct certs_ca *ca, const char *dir, const struct certs_issue *what,
                         const struct certs_paths *paths, struct error *err) {
    if (!read_serial(ca, dir, err)) {
        return false;
    }
    EVP_PKEY *key =
        certs_key_new(EVP_PKEY_get_base_id(ca->key) == EVP_PKEY_RSA ? CERTS_KEY_RSA_2048 : CERTS_KEY_EC_P256);
    X509 *cert = certs_issue(ca, what, key, err);
    bool ok = cert != NULL && write_serial(ca, dir, err); /* first: no number is ever given out twice */
    if (ok) {
        char *key_text = certs_pem_key(key), *cert_text = certs_pem_cert(cert);
        ok = certs_file_write(paths->key, span_of(key_text), 0600, err) &&
             certs_file_write(paths->cert, span_of(cert_text), 0644, err);
        mem_free_secret(key_text, strlen(key_text));
        mem_free(cert_text);
    }
    X509_free(cert);
    EVP_PKEY_free(key);
    return ok;
}

bool certs_dir_issue(struct certs_ca *ca, const char *dir, const struct certs_issue *what, struct certs_paths *out,
                     struct error *err) {
    if (!check_name(what->common_name, err)) {
        return false;
    }
    int lock = certs_dir_lock(dir, err);
    if (lock < 0) {
        return false;
    }
    int len = (int)what->common_name.len;
    struct certs_paths paths = {str_printf("%s/certs/%.*s.pem", dir, len, what->common_name.ptr),
                                str_printf("%s/certs/%.*s.key", dir, len, what->common_name.ptr)};
    bool ok = issue_locked(ca, dir, what, &paths, err);
    close(lock);
    if (ok) {
        *out = paths;
    } else {
        certs_paths_free(&paths);
    }
    return ok;
}

bool certs_dir_write_crl(struct certs_ca *ca, const char *dir, int64_t now_ms, struct error *err) {
    int lock = certs_dir_lock(dir, err);
    if (lock < 0) {
        return false;
    }
    bool ok = read_crl(ca, dir, err) && write_crl(ca, dir, now_ms, err);
    close(lock);
    return ok;
}

bool certs_dir_revoke_cert(struct certs_ca *ca, const char *dir, const X509 *cert, int64_t now_ms, struct error *err) {
    int lock = certs_dir_lock(dir, err);
    if (lock < 0) {
        return false;
    }
    bool ok = read_crl(ca, dir, err);
    if (ok) {
        certs_revoke(ca, cert, now_ms);
        ok = write_crl(ca, dir, now_ms, err);
    }
    close(lock);
    return ok;
}

bool certs_dir_revoke(struct certs_ca *ca, const char *dir, const char *name, int64_t now_ms, struct error *err) {
    if (!check_name(span_of(name), err)) {
        return false;
    }
    char *path = str_printf("%s/certs/%s.pem", dir, name);
    X509 *cert = read_cert(path, err);
    bool ok = cert != NULL && certs_dir_revoke_cert(ca, dir, cert, now_ms, err);
    X509_free(cert);
    mem_free(path);
    return ok;
}
