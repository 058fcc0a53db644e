/* Reaching the services: TLS, token, log-in, and one call waited for. */
#include "base/mem.h"
#include "cli/internal.h"
#include <string.h>

struct waited {
    bool done;
    int status;
    json_t *body;
    struct error err;
};

static void on_reply(void *ctx, const struct client_reply *r) {
    struct waited *w = ctx;
    w->done = true;
    w->status = r->status;
    w->body = json_incref((json_t *)(uintptr_t)r->body);
    if (r->err != NULL) {
        const char *kind = json_str(r->body, "kind"); /* the API's exact kind, for --verbose */
        json_t *details = json_object();
        json_set(details, "kind", json_string(kind != NULL ? kind : r->err->kind));
        if (r->err->details != NULL) {
            json_set(details, "details", json_incref(r->err->details));
        }
        json_set(details, "status", json_integer(r->status));
        error_set_details(&w->err, r->err->kind, details, "%s", r->err->msg);
    }
}

bool call(struct cli *cli, struct client *client, const char *method, const char *path, json_t *request, json_t **body,
          struct error *err) {
    struct waited w = {.err = ERROR_INIT};
    struct client_call *pending = client_call(client, method, path, request, on_reply, &w);
    while (!w.done) {
        if (cli->host->interrupts(cli->host->ctx) > 0) {
            client_call_cancel(pending);
            return error_set(err, "interrupted", "interrupted");
        }
        cli->host->turn(cli->host->world);
    }
    bool ok = !error_is_set(&w.err);
    if (body != NULL && ok) {
        *body = w.body;
    } else {
        json_decref(w.body);
    }
    error_move(err, &w.err);
    return ok;
}

static bool open_tls(struct cli *cli, struct error *err) {
    if (cli->tls == NULL) {
        cli->tls = world_tls_new(cli->host->world, &(struct world_tls_files){.ca = cli->ca_cert}, err);
    }
    return cli->tls != NULL;
}

bool login(struct cli *cli, const char *user, const char *password, struct error *err) {
    if (cli->rbac_url == NULL) {
        return error_set(err, "config",
                         "no RBAC service is configured: give --service-url, or \"service-url\" in "
                         "client-tools/puppet-access.conf");
    }
    if (!open_tls(cli, err)) {
        return false;
    }
    struct client *rbac =
        client_new(cli->host->world, &(struct client_opts){.url = cli->rbac_url, .prefix = "", .tls = cli->tls});
    json_t *request = json_object();
    json_set(request, "login", json_string(user));
    json_set(request, "password", json_string(password));
    if (cli->args.lifetime != NULL) {
        json_set(request, "lifetime", json_string(cli->args.lifetime));
    }
    if (cli->args.label != NULL) {
        json_set(request, "label", json_string(cli->args.label));
    }
    if (json_object_size(request) < 2) {
        json_decref(request);
        client_free(rbac);
        return error_set(err, "usage", "user and password must be UTF-8 text");
    }
    json_t *body = NULL;
    bool ok = call(cli, rbac, "POST", "/v1/auth/token", request, &body, err);
    client_free(rbac);
    if (ok) {
        const char *token = json_str(body, "token");
        ok = token != NULL || error_set(err, "client/protocol", "%s answered without a token", cli->rbac_url);
        if (ok) {
            mem_free(cli->token);
            cli->token = str_dup(token);
        }
    }
    json_decref(body);
    return ok;
}

bool token_store(struct cli *cli, struct error *err) {
    char *dir = str_dup(cli->token_file);
    char *slash = strrchr(dir, '/');
    bool ok = true;
    if (slash != NULL && slash != dir) {
        *slash = '\0';
        ok = world_file_mkdir(cli->host->world, dir, 0700, true, err);
    }
    mem_free(dir);
    return ok &&
           world_file_write(cli->host->world, cli->token_file, span_of(cli->token), 0600, WORLD_WRITE_ATOMIC, err);
}

/* Where RBAC is, said by puppet-access.conf. */
static bool find_rbac(struct cli *cli, struct error *err) {
    struct cli access = {.host = cli->host, .args = {.ca_cert = cli->ca_cert, .token_file = cli->token_file}};
    bool ok = config_load_access(&access, err);
    cli->rbac_url = access.rbac_url;
    mem_free(access.token_file);
    mem_free(access.ca_cert);
    return ok;
}

/* No stored token: on a terminal ask for user and password and keep the token; else say how to get one. With --user the
 * token is for this one command and is not stored. */
static bool log_in_now(struct cli *cli, struct error *err) {
    const char *given_user = cli->args.user, *given_password = cli->args.password;
    if (given_user == NULL && (!cli->host->in_tty || !cli->host->out_tty)) {
        return error_set(err, "authentication", "no access token in %s: get one with `puppet-access login`",
                         cli->token_file);
    }
    struct buf user = BUF_INIT, password = BUF_INIT;
    bool ok = find_rbac(cli, err);
    if (ok && given_user == NULL) {
        fprintf(cli->host->err, "Enter your Puppet Enterprise credentials.\n");
        ok = ask_line(cli, "Username: ", "user name", false, &user, err);
    }
    if (ok && given_password == NULL) {
        ok = ask_line(cli, "Password: ", "password", true, &password, err);
    }
    ok = ok && login(cli, given_user != NULL ? given_user : user.ptr,
                     given_password != NULL ? given_password : password.ptr, err);
    ok = ok && (given_user != NULL || token_store(cli, err));
    if (password.ptr != NULL) {
        mem_zero(password.ptr, password.cap);
    }
    buf_free(&user);
    buf_free(&password);
    return ok;
}

bool connect_orchestrator(struct cli *cli, struct error *err) {
    if (!config_load_orchestrator(cli, err) || !open_tls(cli, err)) {
        return false;
    }
    if (cli->args.password != NULL && cli->args.user == NULL) {
        return error_set(err, "usage", "--password needs --user");
    }
    if (cli->args.user == NULL && !token_read(cli, cli->args.token_file != NULL, err)) {
        return false;
    }
    if (cli->token == NULL && !log_in_now(cli, err)) {
        return false;
    }
    cli->client = client_new(cli->host->world,
                             &(struct client_opts){.url = cli->service_url, .token = cli->token, .tls = cli->tls});
    return true;
}

void connect_free(struct cli *cli) {
    client_free(cli->client);
    world_tls_free(cli->tls);
    if (cli->token != NULL) {
        mem_free_secret(cli->token, strlen(cli->token));
    }
    mem_free(cli->service_url);
    mem_free(cli->environment);
    mem_free(cli->ca_cert);
    mem_free(cli->token_file);
    mem_free(cli->rbac_url);
}
