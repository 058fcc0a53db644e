/* puppet-access: login, show, delete-token-file (cli.md §6). */
#include "base/mem.h"
#include "cli/internal.h"

static int fail(struct cli *cli, struct error *err) {
    int code = report_error(cli, err);
    error_clear(err);
    return code;
}

static bool credentials(struct cli *cli, struct buf *user, struct buf *password, struct error *err) {
    const struct cli_host *host = cli->host;
    if (host->in_tty) {
        fprintf(host->err, "Enter your Puppet Enterprise credentials.\n");
    }
    if (cli->words.count == 1) {
        buf_append_cstr(user, cli->words.items[0]);
    } else if (!ask_line(cli, "Username: ", "user name", false, user, err)) {
        return false;
    }
    return ask_line(cli, "Password: ", "password", true, password, err);
}

int access_login(struct cli *cli) {
    struct error err = ERROR_INIT;
    struct buf user = BUF_INIT, password = BUF_INIT;
    bool ok =
        cli->words.count <= 1 ||
        error_set(&err, "usage", "\"%s\" is one argument too many; the password is asked for", cli->words.items[1]);
    ok = ok && config_load_access(cli, &err) && credentials(cli, &user, &password, &err);
    buf_reserve(&user, 0);
    buf_reserve(&password, 0);
    if (ok && cli->args.debug) {
        fprintf(cli->host->err, "Debug: asking %s for a token of user %s\n",
                cli->rbac_url != NULL ? cli->rbac_url : "(no service)", user.ptr);
    }
    ok = ok && login(cli, user.ptr, password.ptr, &err);
    if (ok && cli->args.print) {
        fprintf(cli->host->out, "%s\n", cli->token);
    } else if (ok && (ok = token_store(cli, &err))) {
        fprintf(cli->host->out, "Access token saved to: %s\n", cli->token_file);
    }
    mem_zero(password.ptr, password.cap);
    buf_free(&user);
    buf_free(&password);
    return ok ? EXIT_DONE : fail(cli, &err);
}

int access_show(struct cli *cli) {
    struct error err = ERROR_INIT;
    if (!config_load_access(cli, &err) || !token_read(cli, true, &err)) {
        return fail(cli, &err);
    }
    if (cli->token == NULL) {
        error_set(&err, "authentication", "%s holds no token", cli->token_file);
        return fail(cli, &err);
    }
    fprintf(cli->host->out, "%s\n", cli->token);
    return EXIT_DONE;
}

int access_delete(struct cli *cli) {
    struct error err = ERROR_INIT;
    if (!config_load_access(cli, &err)) {
        return fail(cli, &err);
    }
    char *path = expand_home(cli, cli->args.token_path != NULL ? cli->args.token_path : cli->token_file);
    bool ok = world_file_remove(cli->host->world, path, false, &err);
    if (ok) {
        fprintf(cli->host->out, "Deleted %s\n", path);
    }
    mem_free(path);
    return ok ? EXIT_DONE : fail(cli, &err);
}
