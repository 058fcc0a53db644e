/* Faults of a local stack. Who is connected to carries the faults of links, so that agents of other processes, daemons
 * and people's clients meet them, too. */
#include "simulator/stack/local_internal.h"

#include "base/json.h"
#include "base/mem.h"
#include "simulator/faults/faults.h"
#include "simulator/fleet/fleet_name.h"
#include <stdio.h>
#include <string.h>

/* ---- who there is */

static const char *real_service(const struct local_opts *o, const char *name) {
    const struct {
        const char *name, *url;
    } services[] = {{"puppetdb", o->puppetdb_url},
                    {"puppetserver", o->puppetserver_url},
                    {"rbac", o->rbac_url},
                    {"classifier", o->classifier_url}};
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        if (strcmp(services[i].name, name) == 0) {
            return services[i].url;
        }
    }
    return NULL;
}

/* Names are made when the first fault asks for them. */
static void make_names(struct local *l) {
    size_t agents = (size_t)l->opts.agents + l->opts.elsewhere, n = 0;
    l->names = mem_array(LOCAL_FILES_MAX + agents + l->opts.real_agents + 1, sizeof(*l->names));
    for (size_t i = 0; i < l->file_count; i++) {
        const char *name = l->files[i].component;
        if (real_service(&l->opts, name) == NULL) {
            l->names[n++] = str_dup(name);
        }
    }
    for (size_t i = 0; i < agents; i++) {
        l->names[n++] = fleet_format_name(l->opts.name_format, (uint32_t)i + 1);
    }
    for (size_t i = 0; i < l->opts.real_agents; i++) {
        l->names[n++] = str_dup(l->real_agents[i].name);
    }
}

static const char *name_at(void *ctx, size_t i) {
    struct local *l = ctx;
    if (l->names == NULL) {
        make_names(l);
    }
    return l->names[i];
}

/* Also who else is connected: an agent that somebody started. */
static const char *find_name(void *ctx, const char *name) {
    const struct local *l = ctx;
    const char *known;
    for (size_t i = 0; (known = name_at(ctx, i)) != NULL; i++) {
        if (strcmp(known, name) == 0) {
            return known;
        }
    }
    return netfaults_peer(l->net, name);
}

/* ---- processes */

static struct real_agent *real_agent_named(struct local *l, const char *name) {
    for (size_t i = 0; i < l->opts.real_agents; i++) {
        if (strcmp(l->real_agents[i].name, name) == 0) {
            return &l->real_agents[i];
        }
    }
    return NULL;
}

static bool mortal(const struct local *l, const char *name) {
    return strcmp(name, "orchestrator") == 0 || (strncmp(name, "broker-", 7) == 0 && stack_url(l->stack, name) != NULL);
}

static bool kill_part(void *ctx, const char *name, struct error *err) {
    struct local *l = ctx;
    struct real_agent *r = real_agent_named(l, name);
    if (mortal(l, name)) {
        stack_kill(l->stack, name);
    } else if (r != NULL) {
        local_kill_real_agent(r);
    } else if (l->fleet == NULL || !fleet_kill(l->fleet, name)) {
        return error_set(err, "fault/unsupported",
                         "%s does not live in this process and cannot be killed; its connections can be reset", name);
    }
    return true;
}

static bool start_part(void *ctx, const char *name, struct error *err) {
    struct local *l = ctx;
    struct real_agent *r = real_agent_named(l, name);
    if (r != NULL) {
        local_launch_real_agent(l, r);
        return true;
    }
    return (l->fleet != NULL && fleet_start(l->fleet, name)) || stack_revive(l->stack, name, err);
}

/* ---- services, certificates */

static bool service(void *ctx, const char *name, const json_t *fault, struct error *err) {
    struct local *l = ctx;
    if (real_service(&l->opts, name) != NULL) {
        return error_set(err, "usage", "service.name: %s is a real one (%s): no fault of ours reaches it", name,
                         real_service(&l->opts, name));
    }
    json_t *body = fault != NULL ? service_fault_body(fault) : NULL;
    bool ok = stack_service_fault(l->stack, name, body, err);
    json_decref(body);
    return ok;
}

static bool revoke_one(struct local *l, const char *name, int64_t now_ms, struct error *err) {
    X509 *cert = l->fleet != NULL ? fleet_certificate(l->fleet, name) : NULL;
    if (cert != NULL) {
        bool ok = certs_dir_revoke_cert(l->ca, l->opts.dir, cert, now_ms, err);
        X509_free(cert);
        return ok;
    }
    if (real_agent_named(l, name) == NULL) {
        return error_set(err, "fault", "certificate.revoke: %s is no agent of this process", name);
    }
    return certs_dir_revoke(l->ca, l->opts.dir, name, now_ms, err);
}

static bool revoke(void *ctx, const char *name, struct error *err) {
    struct local *l = ctx;
    if (!revoke_one(l, name, world_wall_ms(l->opts.world), err) || !stack_reload_tls(l->stack, err)) {
        return false;
    }
    netfaults_reset(l->net, name, NULL); /* brokers put sessions out one by one, when they next look at the list */
    return true;
}

static struct real_credential *mint(struct local *l, const char *name, int64_t now_ms, struct error *err) {
    EVP_PKEY *key = certs_key_new(CERTS_KEY_EC_P256);
    struct real_credential *fresh = certs_mint(l->ca, name, key, now_ms, err);
    EVP_PKEY_free(key);
    return fresh;
}

static bool change_certificate(struct local *l, const char *name, bool expired, struct error *err) {
    struct real_agent *r = real_agent_named(l, name);
    int64_t now = world_wall_ms(l->opts.world);
    if (r != NULL) {
        return local_renew_real_agent(l, r, expired, err);
    }
    if (l->fleet == NULL) {
        return error_set(err, "fault", "certificate.expire: %s is no agent of this process", name);
    }
    struct real_credential *fresh = expired ? credential_expired(l->ca, name, now, err) : mint(l, name, now, err);
    return fresh != NULL && (fleet_renew(l->fleet, name, fresh) ||
                             error_set(err, "fault", "certificate.expire: %s is no agent of this process", name));
}

static bool expire(void *ctx, const char *name, struct error *err) {
    return change_certificate(ctx, name, true, err);
}

static bool renew(void *ctx, const char *name, struct error *err) {
    return change_certificate(ctx, name, false, err);
}

/* ---- for local.c and its users */

void local_make_faulty(struct local *l) {
    l->net = netfaults_new(l->opts.world, l->opts.seed);
    struct live_faults_hooks hooks = {.find = find_name,
                                      .at = name_at,
                                      .kill = kill_part,
                                      .start = start_part,
                                      .service = service,
                                      .revoke = revoke,
                                      .expire = expire,
                                      .renew = renew,
                                      .ctx = l};
    l->faults = live_faults_new(l->opts.world, l->net, &hooks, l->opts.seed);
}

void local_end_faults(struct local *l) {
    live_faults_free(l->faults);
    l->faults = NULL;
    for (size_t i = 0; l->names != NULL && l->names[i] != NULL; i++) {
        mem_free(l->names[i]);
    }
    mem_free(l->names);
    l->names = NULL;
}

bool local_fault(struct local *l, const json_t *spec, struct error *err) {
    return live_faults_apply(l->faults, spec, err);
}

bool local_heal(struct local *l, struct error *err) {
    static const char *const fakes[] = {"console", "puppetdb", "puppetserver"};
    for (size_t i = 0; i < sizeof(fakes) / sizeof(fakes[0]); i++) {
        stack_service_fault(l->stack, fakes[i], NULL, NULL); /* also those that somebody asked the fakes for */
    }
    return live_faults_heal(l->faults, err);
}
