/* dalang-fakes: RBAC, classifier, activity, PuppetDB and Puppet Server as a daemon, any subset of them. */
#include "base/mem.h"
#include "base/option.h"
#include "fakes/activity/activity.h"
#include "fakes/classifier/classifier.h"
#include "fakes/neighbours.h"
#include "fakes/puppetdb/puppetdb.h"
#include "fakes/puppetserver/puppetserver.h"
#include "fakes/rbac/rbac.h"
#include "world/certs.h"
#include "world/real.h"
#include "world/real_log.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    EXIT_USAGE = 2,
    EXIT_CONFIGURATION = 3,
    GRACE_MS = 1000,
    STATE_FILE_MAX = 256 * 1024 * 1024,
    UNSET = 65536, /* no port */
};

enum service { RBAC, CLASSIFIER, ACTIVITY, PUPPETDB, PUPPETSERVER, SERVICE_COUNT };
static const char *const service_names[SERVICE_COUNT] = {"rbac", "classifier", "activity", "puppetdb", "puppetserver"};

/* RBAC, classifier and activity share a listener, as the console services do. */
enum listener { CONSOLE, DATABASE, SERVER, LISTENER_COUNT };
static const struct {
    const char *name;
    uint16_t product_port;
    enum service first, last;
} listeners[LISTENER_COUNT] = {{"console", 4433, RBAC, ACTIVITY},
                               {"puppetdb", 8081, PUPPETDB, PUPPETDB},
                               {"puppetserver", 8140, PUPPETSERVER, PUPPETSERVER}};

struct flags {
    struct option_list only, allow;
    const char *host, *cert, *key, *ca, *ca_key, *crl, *state, *modules, *codedir, *database, *log_level;
    uint64_t port_base, ports[LISTENER_COUNT], generate, seed;
    bool plain, json;
};

struct daemon {
    struct flags flags;
    struct world *world;
    struct real_log *log_file;
    struct logger log;
    json_t *state;
    struct world_tls *tls, *strict_tls; /* strict: lets in nobody without a certificate */
    struct fake_rbac *rbac;
    struct fake_classifier *classifier;
    struct fake_activity *activity;
    struct fake_puppetdb *puppetdb;
    struct fake_puppetserver *puppetserver;
    struct fake_neighbours neighbours;
    struct certs_ca *authority; /* signs what agents ask for; NULL: nobody does */
    struct fake *fakes[SERVICE_COUNT];
    struct fake_host *hosts[LISTENER_COUNT];
    size_t open; /* hosts that have not ended */
    bool stopping;
};

/* ---- command line */

static enum option_result parse(struct flags *f, int argc, char *argv[], struct error *err) {
    const struct option options[] = {
        {OPTION_LIST, "only", 0, "SERVICE",
         "Starts only this one (may be repeated): rbac, classifier, activity, puppetdb, puppetserver.", &f->only},
        {OPTION_STRING, "state", 's', "FILE",
         "What they know at the start, JSON: {\"rbac\": {…}, \"puppetdb\": {…}, …}.", &f->state},
        {OPTION_UINT, "generate", 0, "N", "Makes up N nodes with facts, catalogs and reports.", &f->generate},
        {OPTION_UINT, "seed", 0, "N", "For --generate: the same seed gives the same nodes (default 1).", &f->seed},
        {OPTION_STRING, "modules", 'm', "DIR", "Modules of the environment \"production\".", &f->modules},
        {OPTION_STRING, "codedir", 0, "DIR", "Directory that holds environments/ (default /etc/puppetlabs/code).",
         &f->codedir},
        {OPTION_STRING, "database", 0, "FILE", "Keeps PuppetDB's data in this file (default: in memory).",
         &f->database},
        {OPTION_LIST, "allow", 'a', "CERTNAME",
         "A certificate that RBAC takes for the API user and Puppet Server for the orchestrator (may be repeated).",
         &f->allow},
        {OPTION_HEADING, NULL, 0, NULL, "Listening", NULL},
        {OPTION_STRING, "host", 0, "ADDRESS", "Address to listen on (default 127.0.0.1).", &f->host},
        {OPTION_UINT, "port-base", 'p', "N",
         "Ports N, N+1 and N+2 in place of 4433, 8081 and 8140; 0: any free ones, printed.", &f->port_base},
        {OPTION_UINT, "console-port", 0, "N", "Port of RBAC, classifier and activity.", &f->ports[CONSOLE]},
        {OPTION_UINT, "puppetdb-port", 0, "N", "Port of PuppetDB.", &f->ports[DATABASE]},
        {OPTION_UINT, "puppetserver-port", 0, "N", "Port of Puppet Server.", &f->ports[SERVER]},
        {OPTION_STRING, "cert", 0, "FILE", "Our certificate, PEM.", &f->cert},
        {OPTION_STRING, "key", 0, "FILE", "Its private key, PEM.", &f->key},
        {OPTION_STRING, "ca", 0, "FILE", "Certificates of the authorities that are trusted, PEM.", &f->ca},
        {OPTION_STRING, "crl", 0, "FILE", "Certificate revocation list, PEM.", &f->crl},
        {OPTION_STRING, "ca-key", 0, "FILE",
         "Key of --ca: whatever certificate agents ask Puppet Server for is signed at once. For tests only.",
         &f->ca_key},
        {OPTION_FLAG, "plain", 0, NULL, "Plain HTTP; Puppet Server then lets everybody in.", &f->plain},
        {OPTION_HEADING, NULL, 0, NULL, "Output", NULL},
        {OPTION_FLAG, "json", 0, NULL, "Prints the addresses as one line of JSON when everything is ready.", &f->json},
        {OPTION_STRING, "log-level", 0, "LEVEL", "trace, debug, info, warn, error or off (default info).",
         &f->log_level},
        OPTION_END,
    };
    const struct command_line line = {
        .program = "dalang-fakes",
        .synopsis = "[OPTIONS]",
        .summary = "the services around Puppet's orchestrator, for development and tests",
        .description = "Answers as RBAC, the node classifier, the activity service, PuppetDB 7 and Puppet Server 7 do. "
                       "Below /_fake/ on "
                       "each port: state (GET, PUT, PATCH), reset, fault, requests, clock. SIGTERM and SIGINT stop it.",
        .options = options,
    };
    return option_parse_only(&line, argc, argv, err);
}

static bool wanted(const struct flags *f, enum service s) {
    for (size_t i = 0; i < f->only.count; i++) {
        if (strcmp(f->only.items[i], service_names[s]) == 0) {
            return true;
        }
    }
    return f->only.count == 0;
}

static bool check_flags(const struct flags *f, struct error *err) {
    for (size_t i = 0; i < f->only.count; i++) {
        bool known = false;
        for (int s = 0; s < SERVICE_COUNT; s++) {
            known = known || strcmp(f->only.items[i], service_names[s]) == 0;
        }
        if (!known) {
            const char *near = nearest_word(f->only.items[i], service_names, SERVICE_COUNT);
            return error_set(err, "usage", "no service '%s'%s%s%s", f->only.items[i], near != NULL ? "; is it '" : "",
                             near != NULL ? near : "", near != NULL ? "'?" : "");
        }
    }
    for (int l = 0; l < LISTENER_COUNT; l++) {
        if (f->ports[l] > UNSET || (f->port_base != UNSET && f->port_base > UNSET - LISTENER_COUNT)) {
            return error_set(err, "usage", "a port is a number up to 65535");
        }
    }
    if (f->ca_key != NULL && f->ca == NULL) {
        return error_set(err, "usage", "--ca-key goes with --ca");
    }
    bool tls = f->cert != NULL || f->key != NULL || f->ca != NULL || f->crl != NULL;
    if (f->plain && tls) {
        return error_set(err, "usage", "--plain goes without --cert, --key, --ca and --crl");
    }
    if (!f->plain && (f->cert == NULL || f->key == NULL || f->ca == NULL)) {
        return error_set(err, "usage", "give --cert, --key and --ca (`dalang certs issue` makes them), or --plain");
    }
    return true;
}

/* ---- state */

static json_t *section(struct daemon *d, const char *service) {
    json_t *own = json_object_get(d->state, service);
    if (own == NULL) {
        own = json_object();
        json_set(d->state, service, own);
    }
    return own;
}

static bool read_state(struct daemon *d, struct error *err) {
    d->state = json_object();
    if (d->flags.state == NULL) {
        return true;
    }
    struct buf text = BUF_INIT;
    json_t *given = NULL;
    bool good = world_file_read(d->world, d->flags.state, STATE_FILE_MAX, &text, err);
    if (good) {
        given = json_parse(buf_span(&text), "state", err);
        good = given != NULL || error_prefix(err, "%s", d->flags.state);
    }
    buf_free(&text);
    const char *name;
    json_t *value;
    json_object_foreach(given, name, value) {
        bool known = false;
        for (int s = 0; s < SERVICE_COUNT; s++) {
            known = known || strcmp(name, service_names[s]) == 0;
        }
        if (good && (!known || !json_is_object(value))) {
            good =
                error_set(err, "state", "%s: \"%s\" is no service with an object as its state", d->flags.state, name);
        }
    }
    if (good && !json_is_object(given)) {
        good = error_set(err, "state", "%s: not a JSON object", d->flags.state);
    }
    if (good) {
        json_object_update(d->state, given);
    }
    json_decref(given);
    return good;
}

/* As answers name it. */
static char *absolute(const char *path) {
    char here[4096];
    return *path == '/' || getcwd(here, sizeof here) == NULL ? str_dup(path) : str_printf("%s/%s", here, path);
}

/* --allow, --modules and --codedir are additions to the state. */
static void complete_state(struct daemon *d) {
    json_t *rbac = section(d, "rbac"), *server = section(d, "puppetserver");
    json_t *names = json_object_get(rbac, "allowlist"), *auth = json_object_get(server, "auth");
    if (!json_is_array(names)) {
        names = json_array();
        json_set(rbac, "allowlist", names);
    }
    if (!json_is_object(auth)) {
        auth = json_object();
        json_set(server, "auth", auth);
    }
    json_t *orchestrators = json_object_get(auth, "orchestrator");
    json_t *list = json_is_array(orchestrators)    ? json_incref(orchestrators)
                   : json_is_string(orchestrators) ? json_pack("[O]", orchestrators)
                                                   : json_array();
    for (size_t i = 0; i < d->flags.allow.count; i++) {
        json_t *name = json_string(d->flags.allow.items[i]);
        if (name != NULL) {
            json_array_append(names, name);
            json_array_append_new(list, name);
        }
    }
    json_set(auth, "orchestrator", list);
    if (d->flags.plain && json_object_get(auth, "enforce") == NULL) {
        json_set(auth, "enforce", json_false()); /* nobody has a certificate to show */
    }
    if (d->flags.ca != NULL && json_object_get(server, "ca") == NULL) {
        json_set(server, "ca", json_pack("{s:s, s:s*}", "certificate", d->flags.ca, "crl", d->flags.crl));
    }
    if (d->flags.codedir != NULL) {
        json_set(server, "codedir", json_string(d->flags.codedir));
    }
    if (d->flags.modules != NULL) {
        json_t *environments = json_object_get(server, "environments");
        if (!json_is_object(environments)) {
            environments = json_object();
            json_set(server, "environments", environments);
        }
        char *modules = absolute(d->flags.modules);
        json_set(environments, "production", json_pack("{s:[s]}", "modulepath", modules));
        mem_free(modules);
    }
}

/* ---- the fakes */

static bool make_console(struct daemon *d, struct error *err) {
    if (wanted(&d->flags, RBAC)) {
        struct fake_rbac_opts opts = {.state = section(d, "rbac"), .log = &d->log};
        d->rbac = fake_rbac_new(d->world, &opts, err);
        if (d->rbac == NULL) {
            return false;
        }
        d->fakes[RBAC] = fake_rbac_base(d->rbac);
    }
    if (wanted(&d->flags, CLASSIFIER)) {
        struct fake_classifier_opts opts = {.state = section(d, "classifier"), .log = &d->log, .ctx = &d->neighbours};
        opts.classes_of = wanted(&d->flags, PUPPETSERVER) ? fake_neighbours_classes : NULL;
        opts.nodes_of = wanted(&d->flags, PUPPETDB) ? fake_neighbours_nodes : NULL;
        d->classifier = fake_classifier_new(d->world, &opts, err);
        if (d->classifier == NULL) {
            return false;
        }
        d->fakes[CLASSIFIER] = fake_classifier_base(d->classifier);
        if (d->rbac != NULL) {
            fake_classifier_join_rbac(d->classifier, d->rbac);
        }
    }
    if (wanted(&d->flags, ACTIVITY)) {
        struct fake_activity_opts opts = {.state = section(d, "activity"), .log = &d->log};
        d->activity = fake_activity_new(d->world, &opts, err);
        if (d->activity == NULL) {
            return false;
        }
        d->fakes[ACTIVITY] = fake_activity_base(d->activity);
    }
    return true;
}

static char *sign_request(void *ctx, const char *certname, EVP_PKEY *key, struct error *err) {
    struct daemon *d = ctx;
    const char *names[] = {certname, NULL};
    struct certs_issue what = {.common_name = span_of(certname), .dns_names = names, .now_ms = world_wall_ms(d->world)};
    X509 *cert = certs_issue(d->authority, &what, key, err);
    char *pem = cert != NULL ? certs_pem_cert(cert) : NULL;
    X509_free(cert);
    return pem;
}

static bool make_puppet(struct daemon *d, struct error *err) {
    if (wanted(&d->flags, PUPPETDB)) {
        bool keep = d->flags.database != NULL && json_object_get(d->state, "puppetdb") == NULL;
        struct fake_puppetdb_opts opts = {.state = keep ? NULL : section(d, "puppetdb"),
                                          .path = d->flags.database,
                                          .generate = d->flags.generate,
                                          .seed = d->flags.seed,
                                          .token_permits =
                                              d->rbac != NULL && !d->flags.plain ? fake_rbac_token_permits : NULL,
                                          .token_ctx = d->rbac,
                                          .log = &d->log};
        d->puppetdb = fake_puppetdb_new(d->world, &opts, err);
        if (d->puppetdb == NULL) {
            return false;
        }
        d->neighbours.puppetdb = d->puppetdb;
        d->fakes[PUPPETDB] = fake_puppetdb_base(d->puppetdb);
    }
    if (wanted(&d->flags, PUPPETSERVER)) {
        struct fake_puppetserver_opts opts = {.state = section(d, "puppetserver"),
                                              .log = &d->log,
                                              .submit = fake_neighbours_submit,
                                              .submit_ctx = &d->neighbours,
                                              .query = fake_neighbours_query,
                                              .query_ctx = &d->neighbours,
                                              .sign = d->authority != NULL ? sign_request : NULL,
                                              .sign_ctx = d};
        d->puppetserver = fake_puppetserver_new(d->world, &opts, err);
        if (d->puppetserver == NULL) {
            return false;
        }
        d->neighbours.puppetserver = d->puppetserver;
        d->fakes[PUPPETSERVER] = fake_puppetserver_base(d->puppetserver);
    }
    return true;
}

/* ---- listening */

static uint16_t port_of(const struct flags *f, enum listener l) {
    if (f->ports[l] != UNSET) {
        return (uint16_t)f->ports[l];
    }
    return f->port_base == UNSET ? listeners[l].product_port
           : f->port_base == 0   ? 0
                                 : (uint16_t)(f->port_base + (uint64_t)l);
}

static bool listen_on(struct daemon *d, enum listener l, struct error *err) {
    struct fake *fakes[SERVICE_COUNT];
    size_t n = 0;
    for (int s = (int)listeners[l].first; s <= (int)listeners[l].last; s++) {
        if (d->fakes[s] != NULL) {
            fakes[n++] = d->fakes[s];
        }
    }
    if (n == 0) {
        return true;
    }
    /* PuppetDB knows tokens only by RBAC; on its own it is the handshake that turns strangers away. */
    struct world_tls *tls = l == DATABASE && d->rbac == NULL ? d->strict_tls : d->tls;
    struct fake_host_opts opts = {.listen = {.host = d->flags.host, .port = port_of(&d->flags, l), .tls = tls},
                                  .fakes = fakes,
                                  .fake_count = n,
                                  .log = &d->log};
    d->hosts[l] = fake_host_new(d->world, &opts, err);
    d->open += d->hosts[l] != NULL;
    return d->hosts[l] != NULL || error_prefix(err, "%s", listeners[l].name);
}

static void announce(const struct daemon *d) {
    json_t *all = json_object();
    for (int l = 0; l < LISTENER_COUNT; l++) {
        for (int s = (int)listeners[l].first; s <= (int)listeners[l].last; s++) {
            if (d->fakes[s] != NULL) {
                json_set(all, service_names[s],
                         json_sprintf("%s://%s:%u", d->flags.plain ? "http" : "https", d->flags.host,
                                      fake_host_port(d->hosts[l])));
            }
        }
    }
    if (d->flags.json) {
        char *text = json_text(all);
        puts(text);
        mem_free(text);
    } else {
        const char *name;
        json_t *url;
        json_object_foreach(all, name, url) {
            printf("%-13s %s\n", name, json_string_value(url));
        }
    }
    fflush(stdout);
    json_decref(all);
}

/* ---- life */

static void host_ended(void *ctx) {
    struct daemon *d = ctx;
    if (--d->open == 0) {
        real_world_stop(d->world);
    }
}

static void close_hosts(struct daemon *d) {
    for (int l = 0; l < LISTENER_COUNT; l++) {
        struct fake_host *host = d->hosts[l];
        d->hosts[l] = NULL;
        if (host != NULL) {
            fake_host_close(host, GRACE_MS, host_ended, d);
        }
    }
}

static void on_stop(void *ctx) {
    struct daemon *d = ctx;
    if (d->stopping) {
        real_world_stop(d->world);
        return;
    }
    d->stopping = true;
    close_hosts(d);
}

static bool start(struct daemon *d, struct error *err) {
    if (!read_state(d, err)) {
        return false;
    }
    complete_state(d);
    if (!d->flags.plain) {
        struct world_tls_files files = {.cert = d->flags.cert,
                                        .key = d->flags.key,
                                        .ca = d->flags.ca,
                                        .crl = d->flags.crl,
                                        .client_auth = WORLD_CLIENT_AUTH_WANT};
        d->tls = world_tls_new(d->world, &files, err);
        files.client_auth = WORLD_CLIENT_AUTH_NEED;
        d->strict_tls = d->tls != NULL ? world_tls_new(d->world, &files, err) : NULL;
        if (d->strict_tls == NULL) {
            return false;
        }
    }
    if (d->flags.ca_key != NULL) {
        d->authority = certs_ca_open(d->flags.ca, d->flags.ca_key, err);
        if (d->authority == NULL) {
            return false;
        }
    }
    if (!make_console(d, err) || !make_puppet(d, err)) {
        return false;
    }
    for (int l = 0; l < LISTENER_COUNT; l++) {
        if (!listen_on(d, (enum listener)l, err)) {
            return false;
        }
    }
    return true;
}

static void free_all(struct daemon *d) {
    fake_rbac_free(d->rbac);
    fake_classifier_free(d->classifier);
    fake_activity_free(d->activity);
    fake_puppetdb_free(d->puppetdb);
    fake_puppetserver_free(d->puppetserver);
    struct world_tls *contexts[] = {d->tls, d->strict_tls};
    for (size_t i = 0; i < sizeof contexts / sizeof contexts[0]; i++) {
        if (contexts[i] != NULL) {
            world_tls_free(contexts[i]);
        }
    }
    certs_ca_free(d->authority);
    json_decref(d->state);
}

static int run(struct daemon *d) {
    struct error err = ERROR_INIT;
    enum log_level level = LOG_INFO;
    d->world = real_world_new(&err);
    d->log_file = d->world != NULL ? real_log_open(NULL, REAL_LOG_TEXT, &err) : NULL;
    bool ok = d->log_file != NULL;
    if (ok && d->flags.log_level != NULL && !log_level_parse(d->flags.log_level, &level)) {
        ok = error_set(&err, "usage", "log-level: unknown level '%s'", d->flags.log_level);
    }
    d->log = (struct logger){level, "dalang.fakes", real_log_write, d->log_file};
    d->neighbours.log = &d->log;
    ok = ok && start(d, &err);
    if (ok) {
        real_signal(d->world, SIGTERM, on_stop, d);
        real_signal(d->world, SIGINT, on_stop, d);
        announce(d);
        real_world_run(d->world);
    } else {
        fprintf(stderr, "dalang-fakes: %s\n", err.msg);
        close_hosts(d);
        if (d->open > 0) {
            real_world_run(d->world);
        }
    }
    free_all(d);
    if (d->world != NULL) {
        real_world_free(d->world);
    }
    real_log_close(d->log_file);
    error_clear(&err);
    return ok ? 0 : EXIT_CONFIGURATION;
}

int main(int argc, char *argv[]) {
    struct daemon d = {.flags = {.host = "127.0.0.1", .port_base = UNSET, .seed = 1, .ports = {UNSET, UNSET, UNSET}}};
    struct error err = ERROR_INIT;
    int code = 0;
    mem_init_libraries();
    real_no_core_files();
    enum option_result result = parse(&d.flags, argc, argv, &err);
    if (result == OPTION_PARSED && check_flags(&d.flags, &err)) {
        code = run(&d);
    } else if (error_is_set(&err)) {
        fprintf(stderr, "dalang-fakes: %s\n", err.msg);
        code = EXIT_USAGE;
    }
    option_list_free(&d.flags.only);
    option_list_free(&d.flags.allow);
    error_clear(&err);
    return code;
}
