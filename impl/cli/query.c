/* puppet-query: one PQL or AST query to PuppetDB (cli.md §7.1). */
#include "base/mem.h"
#include "cli/internal.h"
#include <string.h>

enum { JSON_OUT_INDENT = 2 };

struct query_target {
    char *url, *cacert, *cert, *key, *token_file;
    bool token_named;
};

static void target_free(struct query_target *t) {
    mem_free(t->url);
    mem_free(t->cacert);
    mem_free(t->cert);
    mem_free(t->key);
    mem_free(t->token_file);
}

static char *first_of(const struct cli *cli, const char *flag, const json_t *file, const char *key,
                      const char *otherwise) {
    const char *value = flag != NULL ? flag : json_str(file, key);
    value = value != NULL ? value : otherwise;
    return value == NULL ? NULL : expand_home(cli, value);
}

static bool load_target(struct cli *cli, struct query_target *t, struct error *err) {
    json_t *config = config_read(cli, "puppetdb.conf", err);
    if (config == NULL) {
        return false;
    }
    const json_t *file = json_object_get(config, "puppetdb");
    json_t *urls = json_object_get(file, "server_urls");
    const char *configured = json_is_array(urls) ? json_string_value(json_array_get(urls, 0)) : json_string_value(urls);
    struct span rest = span_of(cli->args.urls != NULL ? cli->args.urls
                               : configured != NULL   ? configured
                                                      : "http://127.0.0.1:8080");
    struct span url;
    span_split(&rest, ',', &url);
    t->url = span_dup(span_trim(url));
    t->cacert = first_of(cli, cli->args.cacert, file, "cacert", "/etc/puppetlabs/puppet/ssl/certs/ca.pem");
    t->cert = first_of(cli, cli->args.cert, file, "cert", NULL);
    t->key = first_of(cli, cli->args.key, file, "key", NULL);
    t->token_named = cli->args.token != NULL;
    t->token_file = first_of(cli, cli->args.token, file, "token-file", "~/.puppetlabs/token");
    json_decref(config);
    return true;
}

static int print_indented(const char *piece, size_t len, void *out) {
    return fwrite(piece, 1, len, out) == len ? 0 : -1;
}

struct answer {
    bool done, ok;
    int status;
    struct buf body;
    struct error err;
};

static void on_answer(void *ctx, const struct world_response *r) {
    struct answer *a = ctx;
    a->done = true;
    if (r->err != NULL) {
        error_set(&a->err, error_is(r->err, "world/tls") ? "client/tls" : "client/unreachable",
                  "PuppetDB does not answer: %s", r->err->msg);
        return;
    }
    a->status = r->status;
    buf_append_span(&a->body, r->body);
}

static bool ask(struct cli *cli, const struct query_target *t, struct span query, struct answer *a, struct error *err) {
    bool https = strncmp(t->url, "https:", 6) == 0;
    if (https && cli->tls == NULL) {
        cli->tls = world_tls_new(cli->host->world,
                                 &(struct world_tls_files){.ca = t->cacert, .cert = t->cert, .key = t->key}, err);
        if (cli->tls == NULL) {
            return false;
        }
    }
    char *encoded = url_part(query);
    char *url = str_printf("%s/pdb/query/v4?query=%s", t->url, encoded);
    struct world_header headers[2] = {{"Accept", "application/json"}, {"X-Authentication", cli->token}};
    struct world_fetch_opts opts = {
        .url = url, .headers = headers, .header_count = cli->token != NULL ? 2 : 1, .tls = cli->tls};
    struct world_fetch *fetch = world_fetch(cli->host->world, &opts, on_answer, a);
    mem_free(encoded);
    mem_free(url);
    while (!a->done) {
        if (cli->host->interrupts(cli->host->ctx) > 0) {
            world_fetch_cancel(fetch);
            return error_set(err, "interrupted", "interrupted");
        }
        cli->host->turn(cli->host->world);
    }
    error_move(err, &a->err);
    return err->kind == NULL;
}

static bool check_answer(const struct answer *a, json_t **json, struct error *err) {
    if (a->status == 401 || a->status == 403) {
        return error_set(err, "permission",
                         "PuppetDB refuses the query (status %d): a token with permission to view node "
                         "data, or an allowed client certificate, is needed",
                         a->status);
    }
    if (a->status != 200) {
        struct span text = span_trim(buf_span(&a->body));
        return error_set(err, "query", "PuppetDB refuses the query (status %d): %.*s", a->status,
                         (int)(text.len > 2000 ? 2000 : text.len), text.ptr);
    }
    *json = json_parse(buf_span(&a->body), "client/not-json", err);
    return *json != NULL;
}

bool query_rows(struct cli *cli, struct span query, json_t **rows, struct error *err) {
    struct query_target t = {0};
    struct answer a = {.body = BUF_INIT, .err = ERROR_INIT};
    bool ok = load_target(cli, &t, err);
    if (ok) {
        mem_free(cli->token_file);
        cli->token_file = str_dup(t.token_file);
        ok = token_read(cli, t.token_named, err);
    }
    ok = ok && ask(cli, &t, query, &a, err) && check_answer(&a, rows, err);
    buf_free(&a.body);
    error_clear(&a.err);
    target_free(&t);
    return ok;
}

int query_ask(struct cli *cli) {
    struct error err = ERROR_INIT;
    json_t *json = NULL;
    enum log_level level;
    bool ok =
        cli->words.count == 1 || error_set(&err, "usage", "give exactly one query: puppet-query 'nodes[certname]{}'");
    ok = ok && (cli->args.log_level == NULL || log_level_parse(cli->args.log_level, &level) ||
                error_set(&err, "usage", "--log-level is none, trace, debug, info, warn or error"));
    ok = ok && query_rows(cli, span_of(cli->words.items[0]), &json, &err);
    if (ok) {
        json_dump_callback(json, print_indented, cli->host->out, JSON_INDENT(JSON_OUT_INDENT) | JSON_ENCODE_ANY);
        fputc('\n', cli->host->out);
    }
    json_decref(json);
    if (ok) {
        return EXIT_DONE;
    }
    int code = report_error(cli, &err);
    error_clear(&err);
    return code;
}
