/* TLS contexts over the table of certificates: reading the files, judging a peer as OpenSSL does. */
#include "simulator/world/net.h"

#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

enum { TLS_FILE_MAX = 1 << 20 };

struct sim_tls {
    struct world_tls base;
    struct sim_host *host;
    char *cert, *key, *ca, *crl, *protocols;
    enum world_client_auth client_auth;
    struct tls_state *state;
};

struct tls_state *tls_state_ref(struct world_tls *tls) {
    struct tls_state *state = ((struct sim_tls *)tls)->state;
    state->refs++;
    return state;
}

void tls_state_unref(struct tls_state *state) {
    if (state == NULL || --state->refs > 0) {
        return;
    }
    for (size_t i = 0; i < state->trusted_count; i++) {
        mem_free(state->trusted[i]);
    }
    mem_free(state->trusted);
    map_free(&state->crls);
    mem_free(state);
}

/* ---- files */

/* The next block of the text: what it is and its lines. */
static bool next_block(struct span *text, struct span *what, struct span *body) {
    static const char begin[] = "-----BEGIN SIMULATED ";
    ptrdiff_t at = span_find_span(*text, span_of(begin));
    if (at < 0) {
        return false;
    }
    *text = span_sub(*text, (size_t)at + sizeof(begin) - 1, text->len);
    ptrdiff_t name_end = span_find_span(*text, SPAN("-----\n"));
    ptrdiff_t end = span_find_span(*text, SPAN("\n-----END SIMULATED "));
    if (name_end < 0 || end < name_end + 5) {
        return false;
    }
    *what = span_sub(*text, 0, (size_t)name_end);
    *body = span_sub(*text, (size_t)name_end + 6, (size_t)(end - name_end) - 6);
    *text = span_sub(*text, (size_t)end, text->len);
    return true;
}

static bool read_file(const struct sim_tls *tls, const char *path, struct buf *out, struct error *err) {
    struct error e = ERROR_INIT;
    if (world_file_read(&tls->host->world, path, TLS_FILE_MAX, out, &e)) {
        return true;
    }
    error_set(err, "world/file", "%s: cannot be read: %s", path, e.msg);
    error_clear(&e);
    return false;
}

static const struct sim_certificate *by_serial(struct sim *sim, struct span serial) {
    char text[17] = "";
    if (serial.len == 0 || serial.len >= sizeof(text)) {
        return NULL;
    }
    memcpy(text, serial.ptr, serial.len);
    uint64_t n = strtoull(text, NULL, 16);
    return n >= 1 && n <= sim->certificate_count ? sim->certificates[n - 1] : NULL;
}

/* The certificate a file of that kind ("CERTIFICATE", "PRIVATE KEY") names. */
static const struct sim_certificate *read_named(const struct sim_tls *tls, const char *path, const char *kind,
                                                struct error *err) {
    struct buf file = BUF_INIT;
    if (!read_file(tls, path, &file, err)) {
        return NULL;
    }
    struct span rest = buf_span(&file), what, body;
    const struct sim_certificate *cert = NULL;
    while (cert == NULL && next_block(&rest, &what, &body)) {
        cert = span_eq_cstr(what, kind) ? by_serial(tls->host->sim, body) : NULL;
    }
    if (cert == NULL) {
        error_set(err, "world/tls", "%s: not a PEM %s", path, strcmp(kind, "CERTIFICATE") == 0 ? "certificate" : "key");
    }
    buf_free(&file);
    return cert;
}

static bool read_trusted(const struct sim_tls *tls, struct tls_state *state, struct error *err) {
    struct buf file = BUF_INIT;
    if (!read_file(tls, tls->ca, &file, err)) {
        return false;
    }
    struct span rest = buf_span(&file), what, body;
    size_t cap = 0;
    while (next_block(&rest, &what, &body)) {
        if (span_eq_cstr(what, "CA") || span_eq_cstr(what, "CERTIFICATE")) {
            state->trusted = mem_grow(state->trusted, &cap, state->trusted_count + 1, sizeof(char *));
            state->trusted[state->trusted_count++] = span_dup(body);
        }
    }
    buf_free(&file);
    return state->trusted_count != 0 || error_set(err, "world/tls", "%s: holds no certificate", tls->ca);
}

static bool read_crls(const struct sim_tls *tls, struct tls_state *state, struct error *err) {
    struct buf file = BUF_INIT;
    if (!read_file(tls, tls->crl, &file, err)) {
        return false;
    }
    struct span rest = buf_span(&file), what, body;
    while (next_block(&rest, &what, &body)) {
        struct span issuer, serial;
        if (!span_eq_cstr(what, "CRL") || !span_split(&body, '\n', &issuer)) {
            continue;
        }
        map_put(&state->crls, issuer, state);
        while (span_split(&body, '\n', &serial)) {
            char *key = str_printf("%.*s\n%.*s", (int)issuer.len, issuer.ptr, (int)serial.len, serial.ptr);
            map_put(&state->crls, span_of(key), state);
            mem_free(key);
        }
    }
    buf_free(&file);
    state->crl = true;
    return map_count(&state->crls) != 0 ||
           error_set(err, "world/tls", "%s: holds no certificate revocation list", tls->crl);
}

static bool read_protocols(const struct sim_tls *tls, struct tls_state *state, struct error *err) {
    struct span rest = span_of(tls->protocols != NULL ? tls->protocols : "TLSv1.2,TLSv1.3"), name;
    while (span_split(&rest, ',', &name)) {
        name = span_trim(name);
        if (span_eq_cstr(name, "TLSv1.2")) {
            state->tls12 = true;
        } else if (span_eq_cstr(name, "TLSv1.3")) {
            state->tls13 = true;
        } else {
            return error_set(err, "world/tls", "unknown or refused TLS protocol %.*s", (int)name.len, name.ptr);
        }
    }
    return state->tls12 || state->tls13 || error_set(err, "world/tls", "no TLS protocol is allowed");
}

static bool read_state(const struct sim_tls *tls, struct tls_state *state, struct error *err) {
    state->client_auth = tls->client_auth;
    if (!read_protocols(tls, state, err)) {
        return false;
    }
    if (tls->cert != NULL) {
        state->cert = read_named(tls, tls->cert, "CERTIFICATE", err);
        if (state->cert == NULL) {
            return false;
        }
        const struct sim_certificate *key =
            read_named(tls, tls->key != NULL ? tls->key : tls->cert, "PRIVATE KEY", err);
        if (key == NULL) {
            return false;
        }
        if (key != state->cert) {
            return error_set(err, "world/tls", "%s: the key does not match the certificate %s", tls->key, tls->cert);
        }
    }
    return (tls->ca == NULL || read_trusted(tls, state, err)) && (tls->crl == NULL || read_crls(tls, state, err));
}

static bool tls_reload(struct world_tls *base, struct error *err) {
    struct sim_tls *tls = (struct sim_tls *)base;
    struct tls_state *state = mem_zalloc(sizeof(*state));
    state->refs = 1;
    if (!read_state(tls, state, err)) {
        tls_state_unref(state);
        return false;
    }
    tls_state_unref(tls->state);
    tls->state = state;
    return true;
}

/* ---- judging */

static bool trusts(const struct tls_state *state, const char *authority) {
    for (size_t i = 0; i < state->trusted_count; i++) {
        if (strcmp(state->trusted[i], authority) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_revoked(const struct tls_state *state, const struct world_identity *id) {
    char *key = str_printf("%s\n%s", id->issuer, id->serial);
    bool revoked = map_get_cstr(&state->crls, key) != NULL;
    mem_free(key);
    return revoked;
}

const char *tls_verify(const struct sim_host *h, const struct tls_state *mine, const struct sim_certificate *peer,
                       const char **alert) {
    const struct world_identity *id = &peer->identity;
    int64_t now_ms = sim_time_ops.wall_ms((void *)(uintptr_t)h);
    *alert = "tlsv1 alert unknown ca";
    if (!trusts(mine, peer->authority)) {
        return strcmp(peer->authority, id->serial) == 0 ? "self-signed certificate"
                                                        : "unable to get local issuer certificate";
    }
    if (mine->crl && map_get_cstr(&mine->crls, id->issuer) == NULL) {
        return "unable to get certificate CRL";
    }
    if (mine->crl && is_revoked(mine, id)) {
        *alert = "sslv3 alert certificate revoked";
        return "certificate revoked";
    }
    if (now_ms < id->not_before_ms) {
        *alert = "sslv3 alert bad certificate";
        return "certificate is not yet valid";
    }
    if (now_ms > id->not_after_ms) {
        *alert = "sslv3 alert certificate expired";
        return "certificate has expired";
    }
    *alert = NULL;
    return NULL;
}

static bool name_matches(const char *pattern, const char *host) {
    if (pattern[0] == '*' && pattern[1] == '.') {
        const char *dot = strchr(host, '.');
        return dot != NULL && dot != host && strcasecmp(dot, pattern + 1) == 0;
    }
    return strcasecmp(pattern, host) == 0;
}

bool tls_names(const struct world_identity *id, const char *host) {
    for (size_t i = 0; i < id->alt_name_count; i++) {
        if (name_matches(id->alt_names[i], host)) {
            return true;
        }
    }
    return id->alt_name_count == 0 && id->common_name != NULL && name_matches(id->common_name, host);
}

static const struct world_identity *tls_self(const struct world_tls *base) {
    const struct sim_tls *tls = (const struct sim_tls *)base;
    return tls->state->cert != NULL ? &tls->state->cert->identity : NULL;
}

static bool tls_still_good(struct world_tls *base, const struct world_identity *id) {
    struct sim_tls *tls = (struct sim_tls *)base;
    int64_t now_ms = world_wall_ms(&tls->host->world);
    return now_ms <= id->not_after_ms && !(tls->state->crl && is_revoked(tls->state, id));
}

static void tls_free(struct world_tls *base) {
    struct sim_tls *tls = (struct sim_tls *)base;
    tls_state_unref(tls->state);
    mem_free(tls->cert);
    mem_free(tls->key);
    mem_free(tls->ca);
    mem_free(tls->crl);
    mem_free(tls->protocols);
    mem_free(tls);
}

static const struct world_tls_ops tls_ops = {tls_free, tls_reload, tls_self, tls_still_good};

struct world_tls *sim_tls_new(void *impl, const struct world_tls_files *files, struct error *err) {
    struct sim_tls *tls = mem_zalloc(sizeof(*tls));
    tls->base.ops = &tls_ops;
    tls->host = impl;
    tls->cert = str_dup(files->cert);
    tls->key = str_dup(files->key);
    tls->ca = str_dup(files->ca);
    tls->crl = str_dup(files->crl);
    tls->protocols = str_dup(files->protocols);
    tls->client_auth = files->client_auth;
    if (!tls_reload(&tls->base, err)) {
        tls_free(&tls->base);
        return NULL;
    }
    return &tls->base;
}
