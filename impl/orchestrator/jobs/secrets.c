#include "orchestrator/jobs/secrets.h"

#include "base/mem.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

enum { VERSION = 1, NONCE_LEN = 12, TAG_LEN = 16, KEY_MODE = 0600, OTHERS = 077 };

static bool make_key(struct world *w, const char *path, uint8_t key[SECRET_KEY_LEN], struct error *err) {
    world_random(w, key, SECRET_KEY_LEN);
    return world_file_write(w, path, span_bytes(key, SECRET_KEY_LEN), KEY_MODE, WORLD_WRITE_ATOMIC, err);
}

bool secret_key_load(struct world *w, const char *path, uint8_t key[SECRET_KEY_LEN], struct error *err) {
    struct world_stat st;
    struct error missing = ERROR_INIT;
    if (!world_file_stat(w, path, &st, &missing)) {
        bool absent = error_is(&missing, "world/not-found");
        if (!absent) {
            error_move(err, &missing);
        }
        error_clear(&missing);
        return absent && make_key(w, path, key, err);
    }
    if ((st.mode & OTHERS) != 0) {
        return error_set(err, "configuration", "%s: the key file must not be readable by others (mode 0600)", path);
    }
    struct buf bytes = BUF_INIT;
    bool ok = world_file_read(w, path, SECRET_KEY_LEN + 1, &bytes, err);
    if (ok && bytes.len != SECRET_KEY_LEN) {
        ok = error_set(err, "configuration", "%s: the key file must hold %d bytes, it has %zu", path, SECRET_KEY_LEN,
                       bytes.len);
    }
    if (ok) {
        memcpy(key, bytes.ptr, SECRET_KEY_LEN);
    }
    if (bytes.ptr != NULL) {
        mem_zero(bytes.ptr, bytes.cap);
    }
    buf_free(&bytes);
    return ok;
}

void secret_seal(struct world *w, const uint8_t key[SECRET_KEY_LEN], const char *purpose, struct span plain,
                 struct buf *out) {
    uint8_t nonce[NONCE_LEN], tag[TAG_LEN];
    world_random(w, nonce, sizeof nonce);
    buf_append_char(out, VERSION);
    buf_append(out, nonce, sizeof nonce);
    buf_reserve(out, plain.len + TAG_LEN);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int len = 0, last = 0;
    bool ok =
        c != NULL && EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
        EVP_EncryptUpdate(c, NULL, &len, (const uint8_t *)purpose, (int)strlen(purpose)) == 1 &&
        EVP_EncryptUpdate(c, (uint8_t *)out->ptr + out->len, &len, (const uint8_t *)plain.ptr, (int)plain.len) == 1 &&
        EVP_EncryptFinal_ex(c, (uint8_t *)out->ptr + out->len + len, &last) == 1 &&
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_LEN, tag) == 1;
    EVP_CIPHER_CTX_free(c);
    assert(ok && len + last == (int)plain.len); /* AES-GCM of memory cannot fail */
    out->len += plain.len;
    buf_append(out, tag, sizeof tag);
}

bool secret_open(const uint8_t key[SECRET_KEY_LEN], const char *purpose, struct span sealed, struct buf *out) {
    if (sealed.len < SECRET_OVERHEAD || sealed.ptr[0] != VERSION) {
        return false;
    }
    const uint8_t *nonce = (const uint8_t *)sealed.ptr + 1, *text = nonce + NONCE_LEN;
    size_t text_len = sealed.len - SECRET_OVERHEAD;
    uint8_t tag[TAG_LEN];
    memcpy(tag, text + text_len, TAG_LEN);
    buf_reserve(out, text_len + 1);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int len = 0, last = 0;
    uint8_t *to = (uint8_t *)out->ptr + out->len;
    bool ok = c != NULL && EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
              EVP_DecryptUpdate(c, NULL, &len, (const uint8_t *)purpose, (int)strlen(purpose)) == 1 &&
              EVP_DecryptUpdate(c, to, &len, text, (int)text_len) == 1 &&
              EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) == 1 &&
              EVP_DecryptFinal_ex(c, to + len, &last) == 1;
    EVP_CIPHER_CTX_free(c);
    if (!ok) {
        mem_zero(to, text_len); /* unauthenticated plain text is not to be seen */
        return false;
    }
    out->len += text_len;
    out->ptr[out->len] = '\0';
    return true;
}
