/* Configuration files, their precedence, the token file (cli.md §1.2, §6.1). */
#include "base/mem.h"
#include "cli/internal.h"
#include <string.h>

enum { CONFIG_MAX = 1024 * 1024, TOKEN_MAX = 16 * 1024, LINE_MAX_BYTES = 64 * 1024 };
static const char default_ca[] = "/etc/puppetlabs/puppet/ssl/certs/ca.pem";

char *expand_home(const struct cli *cli, const char *path) {
    if (path[0] == '~' && (path[1] == '/' || path[1] == '\0') && cli->host->home != NULL) {
        return str_printf("%s%s", cli->host->home, path + 1);
    }
    return str_dup(path);
}

static char *user_file(const struct cli *cli, const char *name) {
    if (cli->host->stack_dir != NULL) {
        return str_printf("%s/client-tools/%s", cli->host->stack_dir, name);
    }
    return cli->host->home != NULL ? str_printf("%s/.puppetlabs/client-tools/%s", cli->host->home, name) : NULL;
}

/* Merges one file into *config; a missing file is fine unless it was asked for. */
static bool merge_file(struct cli *cli, json_t *config, const char *path, bool must_exist, struct error *err) {
    struct buf text = BUF_INIT;
    struct error why = ERROR_INIT;
    if (!world_file_read(cli->host->world, path, CONFIG_MAX, &text, &why)) {
        bool missing = error_is(&why, "world/not-found");
        if (!missing || must_exist) {
            error_move(err, &why);
        }
        error_clear(&why);
        return missing && !must_exist;
    }
    json_t *file = json_parse(buf_span(&text), "config", err);
    buf_free(&text);
    if (file == NULL) {
        return error_prefix(err, "%s", path);
    }
    bool ok = json_is_object(file) || error_set(err, "config", "%s: must be a JSON object", path);
    if (ok) {
        const char *key;
        json_t *value;
        json_object_foreach(file, key, value) {
            json_t *old = json_object_get(config, key);
            if (json_is_object(old) && json_is_object(value)) {
                json_object_update(old, value);
            } else {
                json_object_set(config, key, value);
            }
        }
    }
    json_decref(file);
    return ok;
}

json_t *config_read(struct cli *cli, const char *file_name, struct error *err) {
    json_t *config = json_object();
    char *global = str_printf("%s/%s", cli->host->global_dir, file_name);
    char *user = cli->args.config_file != NULL ? expand_home(cli, cli->args.config_file) : user_file(cli, file_name);
    bool ok = merge_file(cli, config, global, false, err) &&
              (user == NULL || merge_file(cli, config, user, cli->args.config_file != NULL, err));
    mem_free(global);
    mem_free(user);
    if (!ok) {
        json_decref(config);
        return NULL;
    }
    return config;
}

/* The first that is given: flag, file, default. */
static char *pick(const struct cli *cli, const char *flag, const json_t *file, const char *key, const char *otherwise) {
    const char *value = flag != NULL ? flag : json_str(file, key);
    value = value != NULL ? value : otherwise;
    return value == NULL ? NULL : expand_home(cli, value);
}

static bool check_strings(const char *name, const json_t *file, const char *const *keys, size_t count,
                          struct error *err) {
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(file, keys[i]);
        if (value != NULL && !json_is_string(value)) {
            return error_set(err, "config", "%s: configuration key \"%s\" must be a string", name, keys[i]);
        }
    }
    return true;
}

static bool check_flags(const char *name, const json_t *file, const char *const *keys, size_t count,
                        struct error *err) {
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(file, keys[i]);
        if (value != NULL && !json_is_boolean(value)) {
            return error_set(err, "config", "%s: configuration key \"%s\" must be true or false", name, keys[i]);
        }
    }
    return true;
}

static bool check_url(const char *url, struct error *err) {
    return strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0 ||
           error_set(err, "config", "\"%s\" is no service URL; one looks like https://HOST:PORT", url);
}

bool config_load_access(struct cli *cli, struct error *err) {
    json_t *file = config_read(cli, "puppet-access.conf", err);
    static const char *const keys[] = {"service-url", "token-file", "certificate-file"};
    bool ok = file != NULL && check_strings("puppet-access.conf", file, keys, 3, err);
    if (ok) {
        cli->rbac_url = pick(cli, cli->args.service_url, file, "service-url", NULL);
        cli->token_file = pick(cli, cli->args.token_file, file, "token-file", "~/.puppetlabs/token");
        cli->ca_cert = pick(cli, cli->args.ca_cert, file, "certificate-file", default_ca);
    }
    json_decref(file);
    return ok;
}

bool config_load_orchestrator(struct cli *cli, struct error *err) {
    if (cli->service_url != NULL) {
        return true; /* loaded before */
    }
    json_t *file = config_read(cli, "orchestrator.conf", err);
    if (file == NULL) {
        return false;
    }
    json_t *options = json_object_get(file, "options");
    static const char *const keys[] = {"service-url", "environment", "cacert", "token-file"};
    static const char *const flags[] = {"color", "noop"};
    bool ok = (options == NULL || json_is_object(options) ||
               error_set(err, "config", "orchestrator.conf: configuration key \"options\" must be an object")) &&
              check_strings("orchestrator.conf", options, keys, 4, err) &&
              check_flags("orchestrator.conf", options, flags, 2, err);
    if (ok) {
        cli->service_url = pick(cli, cli->args.service_url, options, "service-url", NULL);
        cli->environment = pick(cli, cli->args.environment, options, "environment", NULL);
        cli->ca_cert = pick(cli, cli->args.ca_cert, options, "cacert", default_ca);
        cli->token_file = pick(cli, cli->args.token_file, options, "token-file", "~/.puppetlabs/token");
        cli->noop = cli->args.noop || (json_bool(options, "noop", false) && !cli->args.no_noop);
        cli->color = cli->args.color && json_bool(options, "color", true) && cli->host->out_tty && !cli->host->no_color;
        if (cli->service_url == NULL) {
            ok = error_set(err, "config",
                           "no orchestrator is configured: give --service-url, or \"service-url\" in "
                           "client-tools/orchestrator.conf (a running `dalang up` prints the line that sets it)");
        }
    }
    ok = ok && check_url(cli->service_url, err);
    json_decref(file);
    return ok;
}

/* It becomes the value of a header: nothing in it may end a line. */
static bool is_token(struct span text) {
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] <= ' ' || text.ptr[i] == 0x7f) {
            return false;
        }
    }
    return text.len > 0;
}

bool token_read(struct cli *cli, bool required, struct error *err) {
    struct buf text = BUF_INIT;
    struct error why = ERROR_INIT;
    bool ok = world_file_read(cli->host->world, cli->token_file, TOKEN_MAX, &text, &why);
    if (ok) {
        struct span token = span_trim(buf_span(&text));
        if (is_token(token)) {
            cli->token = span_dup(token);
        }
    } else if (!error_is(&why, "world/not-found") || required) {
        error_move(err, &why);
    } else {
        ok = true;
    }
    error_clear(&why);
    if (text.ptr != NULL) {
        mem_zero(text.ptr, text.cap);
    }
    buf_free(&text);
    return ok;
}

static bool read_line(const struct cli_host *host, const char *prompt, bool secret, struct buf *line) {
    if (host->in_tty) {
        return host->read_line(host->ctx, prompt, secret, line);
    }
    int c;
    bool any = false;
    while ((c = fgetc(host->in)) != EOF && c != '\n' && line->len < LINE_MAX_BYTES) {
        any = true;
        buf_append_char(line, (char)c);
    }
    return any || c == '\n';
}

bool ask_line(struct cli *cli, const char *prompt, const char *what, bool secret, struct buf *line, struct error *err) {
    if (read_line(cli->host, prompt, secret, line)) {
        buf_reserve(line, 0); /* an empty answer is a string too */
        return true;
    }
    return cli->host->interrupts(cli->host->ctx) > 0 ? error_set(err, "interrupted", "interrupted")
                                                     : error_set(err, "usage", "no %s was given", what);
}
