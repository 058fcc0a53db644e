/* The table of simulated certificates and the texts that stand for PEM files. */
#include "simulator/world/disk.h"
#include "simulator/world/net.h"

#include "base/digest.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t DAY_MS = 86400000;
#define CRL_PATH "/etc/sim/crl.pem"

struct authority {
    char *name;
    char *issuer;       /* RFC 2253 */
    struct buf revoked; /* a line each */
};

static struct authority *authority_of(struct sim *sim, const char *name) {
    struct authority *a = map_get_cstr(&sim->authorities, name);
    if (a == NULL) {
        a = mem_zalloc(sizeof(*a));
        a->name = str_dup(name);
        a->issuer = str_printf("CN=%s", name);
        map_put(&sim->authorities, span_of(name), a);
    }
    return a;
}

static const char **copy_names(const char *const *names, size_t count) {
    const char **copy = mem_array(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        copy[i] = str_dup(names[i]);
    }
    return copy;
}

const struct sim_certificate *sim_issue(struct sim *sim, const struct sim_certificate_opts *opts) {
    struct sim_certificate *cert = mem_zalloc(sizeof(*cert));
    sim->certificates = mem_grow(sim->certificates, &sim->certificate_cap, sim->certificate_count + 1,
                                 sizeof(struct sim_certificate *));
    sim->certificates[sim->certificate_count++] = cert;
    char *serial = str_printf("%04zX", sim->certificate_count);
    struct world_identity *id = &cert->identity;
    cert->sim = sim;
    id->serial = serial;
    id->common_name = str_dup(opts->common_name);
    if (opts->self_signed) {
        cert->authority = serial;
        id->issuer = str_printf("CN=%s", opts->common_name != NULL ? opts->common_name : "");
    } else {
        const struct authority *a = authority_of(sim, opts->issuer != NULL ? opts->issuer : SIM_CA);
        cert->authority = a->name;
        id->issuer = str_dup(a->issuer);
    }
    bool by_name = opts->alt_names == NULL && opts->common_name != NULL;
    id->alt_name_count = by_name ? 1 : opts->alt_name_count;
    id->alt_names = copy_names(by_name ? &opts->common_name : opts->alt_names, id->alt_name_count);
    struct world_extension *extensions = mem_array(opts->extension_count + 1, sizeof *extensions);
    for (size_t i = 0; i < opts->extension_count; i++) {
        extensions[i].oid = str_dup(opts->extensions[i].oid);
        extensions[i].value = str_dup(opts->extensions[i].value);
    }
    id->extensions = extensions;
    id->extension_count = opts->extension_count;
    id->not_before_ms = opts->not_before_ms != 0 ? opts->not_before_ms : sim->wall_start_ms - DAY_MS;
    id->not_after_ms = opts->not_after_ms != 0 ? opts->not_after_ms : sim->wall_start_ms + 3650 * DAY_MS;
    char *text = sim_certificate_text(cert);
    sha256_hex(span_of(text), id->fingerprint);
    mem_free(text);
    return cert;
}

const struct sim_certificate *sim_certificate_find(const struct sim *sim, const char *serial) {
    uint64_t n = strtoull(serial, NULL, 16);
    return n >= 1 && n <= sim->certificate_count ? sim->certificates[n - 1] : NULL;
}

const struct world_identity *sim_certificate_identity(const struct sim_certificate *cert) {
    return &cert->identity;
}

static char *block(const char *what, const char *body) {
    return str_printf("-----BEGIN SIMULATED %s-----\n%s\n-----END SIMULATED %s-----\n", what, body, what);
}

char *sim_certificate_text(const struct sim_certificate *cert) {
    return block("CERTIFICATE", cert->identity.serial);
}

char *sim_key_text(const struct sim_certificate *cert) {
    return block("PRIVATE KEY", cert->identity.serial);
}

char *sim_ca_text(struct sim *sim, const char *ca) {
    return block("CA", authority_of(sim, ca)->name);
}

char *sim_crl_text(struct sim *sim, const char *ca) {
    const struct authority *a = authority_of(sim, ca);
    char *body = str_printf("%s%s", a->issuer, a->revoked.ptr != NULL ? a->revoked.ptr : "");
    char *text = block("CRL", body);
    mem_free(body);
    return text;
}

void sim_revoke(struct sim *sim, const struct sim_certificate *cert) {
    struct sim_certificate *own = sim->certificates[strtoull(cert->identity.serial, NULL, 16) - 1];
    struct authority *a = map_get_cstr(&sim->authorities, own->authority); /* NULL: self-signed, no list names it */
    if (!own->revoked && a != NULL) {
        buf_printf(&a->revoked, "\n%s", own->identity.serial);
    }
    own->revoked = true;
}

/* Writes and frees the text; returns the path, kept. A disk fault leaves the file out: then world_tls_new() says so. */
static const char *store(struct world *host, char *path, char *text, int mode) {
    world_file_write(host, path, span_of(text), mode, WORLD_WRITE_ATOMIC, NULL);
    mem_free(text);
    return sim_keep(sim_of(host), path);
}

struct world_tls_files sim_tls_files_of(struct world *host, const struct sim_certificate *cert) {
    struct sim *sim = sim_of(host);
    const char *serial = cert->identity.serial;
    world_file_mkdir(host, "/etc/sim", 0755, true, NULL);
    return (struct world_tls_files){
        .cert = store(host, str_printf("/etc/sim/%s.pem", serial), sim_certificate_text(cert), 0644),
        .key = store(host, str_printf("/etc/sim/%s.key", serial), sim_key_text(cert), 0600),
        .ca = store(host, str_dup("/etc/sim/ca.pem"), sim_ca_text(sim, SIM_CA), 0644),
        .crl = store(host, str_dup(CRL_PATH), sim_crl_text(sim, SIM_CA), 0644),
    };
}

/* The files of a certificate that this host got earlier. */
struct own_files {
    const struct sim_certificate *cert;
    struct world_tls_files files;
};

static bool are_there(struct world *host, const struct world_tls_files *files) {
    const char *const paths[] = {files->cert, files->key, files->ca, files->crl};
    struct world_stat st;
    for (size_t i = 0; i < 4; i++) {
        if (!world_file_stat(host, paths[i], &st, NULL)) {
            return false;
        }
    }
    return true;
}

static struct own_files *own_files(struct world *host, const char *common_name, int64_t not_after_ms) {
    struct map *own = &host_of(host)->tls_files;
    struct own_files *known = map_get_cstr(own, common_name);
    const char *names[] = {common_name, "localhost"};
    if (known == NULL) {
        known = mem_zalloc(sizeof(*known));
        map_put(own, span_of(common_name), known);
    }
    known->cert = sim_issue(sim_of(host), &(struct sim_certificate_opts){.common_name = common_name,
                                                                         .alt_names = names,
                                                                         .alt_name_count = 2,
                                                                         .not_after_ms = not_after_ms});
    known->files = sim_tls_files_of(host, known->cert);
    return known;
}

struct world_tls_files sim_tls_files(struct world *host, const char *common_name) {
    const struct own_files *known = map_get_cstr(&host_of(host)->tls_files, common_name);
    bool good = known != NULL && are_there(host, &known->files);
    return good ? known->files : own_files(host, common_name, 0)->files;
}

void sim_tls_expire(struct world *host, const char *common_name) {
    own_files(host, common_name, world_wall_ms(host) - 1000);
}

const struct sim_certificate *sim_tls_certificate(struct world *host, const char *common_name) {
    const struct own_files *known = map_get_cstr(&host_of(host)->tls_files, common_name);
    return known != NULL ? known->cert : NULL;
}

void sim_tls_forget(struct world *host, const char *common_name) {
    mem_free(map_remove(&host_of(host)->tls_files, span_of(common_name)));
}

void sim_tls_update_crl(struct world *host) {
    struct world_stat st;
    if (world_file_stat(host, CRL_PATH, &st, NULL)) {
        store(host, str_dup(CRL_PATH), sim_crl_text(sim_of(host), SIM_CA), 0644);
    }
}

void sim_tls_free_all(struct sim *sim) {
    for (size_t i = 0; i < sim->certificate_count; i++) {
        struct world_identity *id = &sim->certificates[i]->identity;
        for (size_t n = 0; n < id->alt_name_count; n++) {
            mem_free((void *)(uintptr_t)id->alt_names[n]);
        }
        mem_free((void *)(uintptr_t)id->alt_names);
        for (size_t n = 0; n < id->extension_count; n++) {
            mem_free((void *)(uintptr_t)id->extensions[n].oid);
            mem_free((void *)(uintptr_t)id->extensions[n].value);
        }
        mem_free((void *)(uintptr_t)id->extensions);
        mem_free((void *)(uintptr_t)id->serial);
        mem_free((void *)(uintptr_t)id->common_name);
        mem_free((void *)(uintptr_t)id->issuer);
        mem_free(sim->certificates[i]);
    }
    mem_free(sim->certificates);
    for (struct map_iter i = map_iter(&sim->authorities); map_next(&i);) {
        struct authority *a = i.value;
        mem_free(a->name);
        mem_free(a->issuer);
        buf_free(&a->revoked);
        mem_free(a);
    }
    map_free(&sim->authorities);
}
