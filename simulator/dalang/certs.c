/* dalang certs: make a CA, issue and revoke certificates, write the CRL. */
#include "world/certs.h"

#include "base/mem.h"
#include "simulator/dalang/commands.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

struct certs_args {
    const char *dir;
    bool rsa, client_only;
    struct option_list dns, ip;
    uint64_t lifetime_ms;
};

enum { CERTS_OPTION_COUNT = 7 };

static const struct command_line *certs_line(struct certs_args *a, struct option table[CERTS_OPTION_COUNT]) {
    static struct certs_args unused;
    static struct option unused_table[CERTS_OPTION_COUNT];
    static struct command_line cl = {
        "dalang certs", "init | issue NAME | revoke NAME | crl  [OPTIONS]", "make a CA, issue and revoke certificates",
        "The CA is DIR/ca.pem and DIR/ca.key; it is made when it is not there. `issue NAME` writes\n"
        "DIR/certs/NAME.pem and DIR/certs/NAME.key and prints both paths; `revoke NAME` and `crl` write DIR/crl.pem.",
        NULL};
    a = a != NULL ? a : &unused;
    table = table != NULL ? table : unused_table;
    size_t n = 0;
    table[n++] = (struct option){
        OPTION_STRING, "dir", 'd', "DIR", "Directory of the CA; the default is the current one.", &a->dir};
    table[n++] =
        (struct option){OPTION_FLAG, "rsa", 0, NULL, "RSA keys instead of ECDSA P-256, for a new CA.", &a->rsa};
    table[n++] = (struct option){
        OPTION_LIST, "dns", 0, "NAME", "Alternative DNS name; the default is NAME and localhost.", &a->dns};
    table[n++] =
        (struct option){OPTION_LIST, "ip", 0, "ADDRESS", "Alternative IP address; the default is 127.0.0.1.", &a->ip};
    table[n++] = (struct option){
        OPTION_DURATION, "lifetime", 0, "TIME", "How long it is valid; the default is five years.", &a->lifetime_ms};
    table[n++] = (struct option){OPTION_FLAG, "client-only", 0, NULL, "Not for servers.", &a->client_only};
    table[n] = (struct option)OPTION_END;
    cl.options = table;
    return &cl;
}

void certs_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    each(ctx, certs_line(NULL, NULL));
}

static int64_t now_ms(void) {
    return (int64_t)time(NULL) * 1000;
}

static const char **terminated(const struct option_list *given, const char *first, const char *second) {
    size_t count = given->count;
    const char **list = mem_array((count > 2 ? count : 2) + 1, sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        list[i] = given->items[i];
    }
    if (count == 0) {
        list[0] = first;
        list[1] = second;
    }
    return list;
}

static bool issue(struct certs_ca *ca, const struct certs_args *a, const char *dir, const char *name,
                  struct error *err) {
    const char **dns = terminated(&a->dns, name, "localhost");
    const char **ip = terminated(&a->ip, "127.0.0.1", NULL);
    struct certs_issue what = {
        .common_name = span_of(name),
        .dns_names = dns,
        .ip_addresses = ip,
        .client_only = a->client_only,
        .now_ms = now_ms(),
        .not_after_ms = a->lifetime_ms != 0 ? now_ms() + (int64_t)a->lifetime_ms : 0,
    };
    struct certs_paths paths = {NULL, NULL};
    bool ok = certs_dir_issue(ca, dir, &what, &paths, err);
    if (ok) {
        printf("%s\n%s\n", paths.cert, paths.key);
    }
    certs_paths_free(&paths);
    mem_free((void *)dns);
    mem_free((void *)ip);
    return ok;
}

static bool act(const struct certs_args *a, const struct option_list *words, struct error *err) {
    static const char *const actions[] = {"init", "issue", "revoke", "crl"};
    const char *dir = a->dir != NULL ? a->dir : ".";
    const char *action = words->count > 0 ? words->items[0] : "";
    bool names = strcmp(action, "issue") == 0 || strcmp(action, "revoke") == 0;
    bool known = false;
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        known = known || strcmp(action, actions[i]) == 0;
    }
    if (!known) {
        const char *near = nearest_word(action, actions, sizeof(actions) / sizeof(actions[0]));
        return near != NULL ? error_set(err, "usage", "there is no action \"%s\"; did you mean %s?", action, near)
                            : error_set(err, "usage", "name an action: init, issue NAME, revoke NAME or crl");
    }
    if (words->count != (names ? 2 : 1)) {
        return error_set(err, "usage", names ? "%s takes one NAME" : "%s takes no further argument", action);
    }
    struct certs_ca_opts opts = {.key = a->rsa ? CERTS_KEY_RSA_2048 : CERTS_KEY_EC_P256, .now_ms = now_ms()};
    struct certs_ca *ca = certs_dir_open(dir, &opts, err);
    if (ca == NULL) {
        return false;
    }
    bool ok;
    if (strcmp(action, "issue") == 0) {
        ok = issue(ca, a, dir, words->items[1], err);
    } else if (strcmp(action, "revoke") == 0) {
        ok = certs_dir_revoke(ca, dir, words->items[1], now_ms(), err);
        if (ok) {
            printf("%s/crl.pem\n", dir);
        }
    } else {
        ok = certs_dir_write_crl(ca, dir, now_ms(), err);
        if (ok) {
            printf("%s/%s\n", dir, strcmp(action, "init") == 0 ? "ca.pem" : "crl.pem");
        }
    }
    certs_ca_free(ca);
    return ok;
}

int certs_command(int argc, char *const argv[]) {
    struct certs_args args = {.dir = NULL};
    static struct option table[CERTS_OPTION_COUNT];
    const struct command_line *cl = certs_line(&args, table);
    struct option_list words = {NULL, 0};
    struct error err = ERROR_INIT;
    int code = DALANG_OK;
    if (dalang_parse(cl, argc, argv, &words, &code) && !act(&args, &words, &err)) {
        code = dalang_trouble(cl, &err);
    }
    option_list_free(&words);
    option_list_free(&args.dns);
    option_list_free(&args.ip);
    return code;
}
