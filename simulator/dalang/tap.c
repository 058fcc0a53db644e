/* dalang tap: a proxy between clients and a PCP broker that shows what they say. */
#include "simulator/tap/proxy.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/url.h"
#include "simulator/dalang/commands.h"
#include "simulator/dalang/surroundings.h"
#include "simulator/tap/show.h"
#include "world/real.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TAP_OPTIONS = 30, LISTEN_PORT = 8242, STACK_FILE_MAX = 64 * 1024 };

struct tap_args {
    const char *listen, *target, *ca, *ca_key, *crl, *dir, *cert, *key, *keylog;
    struct option_list names, hide;
    struct tap_view view;
    bool color;
    uint64_t count, for_ms;
};

struct tap_run {
    struct tap_args args;
    const struct command_line *cl;
    struct world *world;
    struct proxy *proxy;
    struct timer end;
    uint64_t connections, shown;
    struct buf out;
};

/* One connection's decoder. */
struct tap_link {
    struct tap_run *run;
    struct tap_decoder decoder;
    uint64_t number;
    char *common_name;
};

static const struct command_line *tap_line(struct tap_args *a) {
    static struct tap_args unused;
    static struct option table[TAP_OPTIONS];
    static struct command_line cl = {
        "dalang tap", "--target URL --ca FILE --ca-key FILE [OPTIONS]",
        "show what clients and a PCP broker say, decoded",
        "A proxy: clients connect to it instead of the broker (--listen), it connects to the broker for them with "
        "certificates of\n"
        "the same names, minted from the CA, and carries the bytes unchanged. For a stack of `dalang up`, --dir DIR "
        "gives "
        "the CA.\n"
        "Sensitive parameters and values with names such as password or token are hidden. SSLKEYLOGFILE is honoured.\n"
        "It runs until Ctrl-C, SIGTERM, --count or --for.",
        table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] = (struct option){OPTION_STRING,
                                 "listen",
                                 'l',
                                 "[HOST:]PORT",
                                 "Where clients connect; 127.0.0.1:8242. Port 0: a free one, printed.",
                                 &a->listen};
    table[n++] = (struct option){
        OPTION_STRING, "target", 't', "URL", "The broker: wss://HOST:PORT; that of the stack in --dir.", &a->target};
    table[n++] = (struct option){
        OPTION_STRING, "dir", 'd', "DIR", "A directory of `dalang up` or `dalang certs`: ca.pem, ca.key, crl.pem.",
        &a->dir};
    table[n++] = (struct option){OPTION_STRING, "ca", 0, "FILE", "The CA that clients and broker trust.", &a->ca};
    table[n++] = (struct option){OPTION_STRING, "ca-key", 0, "FILE", "Its private key.", &a->ca_key};
    table[n++] = (struct option){OPTION_STRING, "crl", 0, "FILE", "Its revocation list.", &a->crl};
    table[n++] = (struct option){
        OPTION_STRING, "cert", 0, "FILE", "Show the broker this certificate for every client, instead of minted ones.",
        &a->cert};
    table[n++] = (struct option){OPTION_STRING, "key", 0, "FILE", "Its private key.", &a->key};
    table[n++] = (struct option){
        OPTION_LIST, "name", 0, "NAME", "Another name that clients call the tap by; again for more.", &a->names};
    table[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "What is shown (PATTERN: * and ? as in a shell)", NULL};
    table[n++] = (struct option){OPTION_STRING, "from", 0, "PATTERN", "Messages of this sender: a URI or its name.",
                                 &a->view.from};
    table[n++] =
        (struct option){OPTION_STRING, "to", 0, "PATTERN", "Messages to this target: a URI or its name.", &a->view.to};
    table[n++] = (struct option){
        OPTION_STRING,       "client-type", 0, "PATTERN", "Connections of this client type: agent, controller …",
        &a->view.client_type};
    table[n++] = (struct option){
        OPTION_STRING,        "message-type", 0, "PATTERN", "Messages of this type: \"rpc_*\", \"inventory_request\" …",
        &a->view.message_type};
    table[n++] = (struct option){OPTION_FLAG,    "frames", 0, NULL, "Also requests, pings, pongs and close frames.",
                                 &a->view.frames};
    table[n++] = (struct option){OPTION_UINT, "count", 'n', "N", "Stop after so many shown messages.", &a->count};
    table[n++] = (struct option){OPTION_DURATION, "for", 0, "TIME", "Stop after this time.", &a->for_ms};
    table[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "Output", NULL};
    table[n++] = (struct option){OPTION_FLAG, "json", 0, NULL, "One JSON object a line.", &a->view.json};
    table[n++] = (struct option){OPTION_FLAG, "no-data", 0, NULL, "Without the messages' data.", &a->view.no_data};
    table[n++] = (struct option){OPTION_FLAG, "indent", 'i', NULL, "Data over several lines.", &a->view.indent};
    table[n++] = (struct option){
        OPTION_LIST, "hide", 0, "NAME", "Hide values with this in their name, too; again for more.", &a->hide};
    table[n++] = (struct option){OPTION_FLAG, "show-secrets", 0, NULL, "Hide nothing.", &a->view.show_secrets};
    table[n++] = (struct option){OPTION_NEGATABLE, "color", 0, NULL, "Colours; on a terminal unless NO_COLOR is set.",
                                 &a->color};
    table[n] = (struct option)OPTION_END;
    return &cl;
}

void tap_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    each(ctx, tap_line(NULL));
}

/* ---- output */

static void stop(void *ctx) {
    struct tap_run *r = ctx;
    real_world_stop(r->world);
}

static void flush(struct tap_run *r) {
    if (r->out.len != 0) {
        bool ok = fwrite(r->out.ptr, 1, r->out.len, stdout) == r->out.len && fflush(stdout) == 0;
        buf_clear(&r->out);
        if (!ok) { /* a reader that has seen enough: dalang tap | head */
            stop(r);
        }
    }
}

static struct tap_line line_of(const struct tap_link *l) {
    return (struct tap_line){
        .connection = l->number, .wall_ms = world_wall_ms(l->run->world), .common_name = l->common_name};
}

static void on_event(void *ctx, const struct tap_event *event) {
    struct tap_link *l = ctx;
    struct tap_run *r = l->run;
    struct tap_line line = line_of(l);
    bool enough = r->args.count != 0 && r->shown >= r->args.count;
    if (!enough && tap_show(&r->args.view, &line, event, &r->out)) {
        flush(r);
        r->shown += event->kind == TAP_MESSAGE;
        if (r->args.count != 0 && r->shown >= r->args.count) {
            stop(r);
        }
    }
}

static void on_connection(struct tap_link *l, bool begins, const char *text) {
    struct tap_run *r = l->run;
    struct tap_line line = line_of(l);
    if (r->args.view.frames) {
        tap_show_connection(&r->args.view, &line, begins, text, &r->out);
        flush(r);
    }
}

static void *on_open(void *ctx, const char *common_name, const char *remote) {
    struct tap_run *r = ctx;
    struct tap_link *l = mem_zalloc(sizeof(*l));
    l->run = r;
    l->number = ++r->connections;
    l->common_name = str_dup(common_name);
    tap_decoder_init(&l->decoder, on_event, l);
    on_connection(l, true, remote);
    return l;
}

static void on_data(void *link, bool from_client, struct span bytes) {
    struct tap_link *l = link;
    tap_decode(&l->decoder, from_client, bytes);
}

static void on_end(void *link, const char *why) {
    struct tap_link *l = link;
    on_connection(l, false, why);
    tap_decoder_free(&l->decoder);
    mem_free(l->common_name);
    mem_free(l);
}

static void on_refused(void *ctx, const char *remote, const char *why) {
    struct tap_run *r = ctx;
    fprintf(stderr, "%s: %s: %s\n", r->cl->program, remote, why);
}

/* ---- start */

/* The broker of the stack that is up in --dir. */
static char *target_of_stack(struct tap_run *r) {
    char *path = str_printf("%s/stack.json", r->args.dir), *broker = NULL;
    struct buf text = BUF_INIT;
    if (world_file_read(r->world, path, STACK_FILE_MAX, &text, NULL)) {
        json_t *stack = json_parse(buf_span(&text), "tap", NULL);
        broker = str_dup(json_str(stack, "broker"));
        json_decref(stack);
    }
    buf_free(&text);
    mem_free(path);
    return broker;
}

/* "PORT", "HOST:PORT", "[::1]:PORT". *host is to be freed. */
static bool read_listen(const char *text, char **host, uint16_t *port, struct error *err) {
    struct span all = span_of(text != NULL ? text : "8242");
    const char *colon = text != NULL ? strrchr(text, ':') : NULL;
    struct span number = colon != NULL ? span_of(colon + 1) : all;
    struct span name = colon != NULL ? span_sub(all, 0, (size_t)(colon - text)) : SPAN("127.0.0.1");
    uint64_t value;
    if (name.len > 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']') {
        name = span_sub(name, 1, name.len - 2);
    }
    if (!span_to_u64(number, &value) || value > UINT16_MAX || name.len == 0) {
        return error_set(err, "usage", "--listen \"%s\" is not PORT or HOST:PORT", text);
    }
    *host = span_dup(name);
    *port = (uint16_t)value;
    return true;
}

static void default_file(const struct tap_args *a, const char **option, const char *name, bool must_be, char **owned) {
    if (*option == NULL && a->dir != NULL) {
        *owned = str_printf("%s/%s", a->dir, name);
        *option = must_be || access(*owned, R_OK) == 0 ? *owned : NULL;
    }
}

static bool check(const struct tap_args *a, struct error *err) {
    return (a->target != NULL || error_set(err, "usage", "--target is needed: the broker's URL")) &&
           (a->ca != NULL || error_set(err, "usage", "--ca (or --dir) is needed")) &&
           (a->ca_key != NULL || error_set(err, "usage", "--ca-key (or --dir) is needed")) &&
           ((a->cert == NULL) == (a->key == NULL) || error_set(err, "usage", "--cert and --key go together"));
}

/* The tap's own certificate: read once from a directory that is gone a moment later. */
static struct world_tls *own_tls(struct tap_run *r, struct certs_ca *ca, const char *broker, const char *listen,
                                 struct error *err) {
    const struct tap_args *a = &r->args;
    const char **dns = mem_array(a->names.count + 4, sizeof(*dns));
    size_t n = 0;
    dns[n++] = "localhost";
    dns[n++] = broker;
    dns[n++] = listen;
    for (size_t i = 0; i < a->names.count; i++) {
        dns[n++] = a->names.items[i];
    }
    const char *const addresses[] = {"127.0.0.1", "::1", NULL};
    const struct certs_issue what = {.common_name = SPAN("dalang-tap"),
                                     .dns_names = dns,
                                     .ip_addresses = addresses,
                                     .now_ms = world_wall_ms(r->world)};
    struct certs_paths paths = {NULL, NULL};
    struct world_tls *tls = NULL;
    char *dir = temporary_directory(err);
    char *below = dir != NULL ? str_printf("%s/certs", dir) : NULL;
    if (dir != NULL && world_file_mkdir(r->world, below, 0700, false, err) &&
        certs_dir_issue(ca, dir, &what, &paths, err)) {
        struct world_tls_files files = {
            .cert = paths.cert, .key = paths.key, .ca = a->ca, .crl = a->crl, .client_auth = WORLD_CLIENT_AUTH_WANT};
        tls = world_tls_new(r->world, &files, err);
    }
    if (dir != NULL) {
        world_file_remove(r->world, dir, true, NULL);
    }
    certs_paths_free(&paths);
    mem_free(below);
    mem_free(dir);
    mem_free(dns);
    return tls;
}

static bool listen_and_run(struct tap_run *r, struct certs_ca *ca, const struct url *target, struct error *err) {
    const struct tap_args *a = &r->args;
    char *host = NULL;
    uint16_t port = LISTEN_PORT;
    EVP_PKEY *key = NULL;
    struct world_tls *server = NULL, *client = NULL;
    struct world_tls_files files = {.ca = a->ca, .crl = a->crl, .cert = a->cert, .key = a->key};
    bool ok = read_listen(a->listen, &host, &port, err) && (server = own_tls(r, ca, target->host, host, err)) != NULL &&
              (client = world_tls_new(r->world, &files, err)) != NULL;
    if (ok) {
        key = certs_key_new(CERTS_KEY_EC_P256);
        struct proxy_opts opts = {.listen = {.host = host, .port = port, .tls = server},
                                  .to = {.host = target->host, .port = target->port, .tls = client},
                                  .ca = a->cert == NULL ? ca : NULL,
                                  .key = key,
                                  .on_open = on_open,
                                  .on_data = on_data,
                                  .on_end = on_end,
                                  .on_refused = on_refused,
                                  .ctx = r};
        r->proxy = proxy_new(r->world, &opts, err);
        ok = r->proxy != NULL;
    }
    if (ok) {
        bool v6 = strchr(host, ':') != NULL;
        fprintf(stderr, "%s: wss://%s%s%s:%u carries to %s\n", r->cl->program, v6 ? "[" : "", host, v6 ? "]" : "",
                (unsigned)proxy_port(r->proxy), a->target);
        real_signal(r->world, SIGINT, stop, r);
        real_signal(r->world, SIGTERM, stop, r);
        if (a->for_ms != 0) {
            world_timer_start(r->world, &r->end, a->for_ms, stop, r);
        }
        real_world_run(r->world);
        world_timer_stop(r->world, &r->end);
    }
    proxy_free(r->proxy);
    world_tls_free(server);
    world_tls_free(client);
    EVP_PKEY_free(key);
    mem_free(host);
    return ok;
}

static int run(struct tap_run *r) {
    struct tap_args *a = &r->args;
    struct error err = ERROR_INIT;
    struct url target = {0};
    struct certs_ca *ca = NULL;
    char *own[4] = {NULL, NULL, NULL, NULL};
    default_file(a, &a->ca, "ca.pem", true, &own[0]);
    default_file(a, &a->ca_key, "ca.key", true, &own[1]);
    default_file(a, &a->crl, "crl.pem", false, &own[2]);
    a->view.secrets = (struct tap_secrets){a->hide.items, a->hide.count};
    a->view.color = a->color && !a->view.json;
    r->world = real_world_new(&err);
    if (r->world != NULL && a->target == NULL && a->dir != NULL) {
        a->target = own[3] = target_of_stack(r);
    }
    bool ok =
        r->world != NULL && check(a, &err) && (url_parse(a->target, &target, &err) || error_prefix(&err, "--target"));
    if (ok && !target.secure) {
        ok = error_set(&err, "usage", "--target must begin with wss://");
    }
    ok = ok && (ca = certs_ca_open(a->ca, a->ca_key, &err)) != NULL &&
         real_keylog(r->world, getenv("SSLKEYLOGFILE"), &err) && listen_and_run(r, ca, &target, &err);
    if (error_is(&err, "url/malformed")) {
        err.kind = "usage";
    }
    real_world_free(r->world);
    certs_ca_free(ca);
    url_free(&target);
    buf_free(&r->out);
    for (size_t i = 0; i < 4; i++) {
        mem_free(own[i]);
    }
    return ok ? DALANG_OK : dalang_trouble(r->cl, &err);
}

int tap_command(int argc, char *const argv[]) {
    const char *no_color = getenv("NO_COLOR");
    struct tap_run r = {.args = {.color = isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0')}};
    int code = DALANG_OK;
    r.cl = tap_line(&r.args);
    if (dalang_parse_only(r.cl, argc, argv, &code)) {
        code = run(&r);
    }
    option_list_free(&r.args.names);
    option_list_free(&r.args.hide);
    return code;
}
