/* What the user selects and passes: node lists, queries, parameters. */
#include "base/mem.h"
#include "cli/internal.h"
#include <string.h>

enum { ARGUMENT_FILE_MAX = 64 * 1024 * 1024 };

bool read_text_argument(struct cli *cli, const char *argument, struct buf *out, struct error *err) {
    if (argument[0] == '@') {
        return world_file_read(cli->host->world, argument + 1, ARGUMENT_FILE_MAX, out, err);
    }
    if (strcmp(argument, "-") == 0) {
        char piece[4096];
        size_t got;
        while ((got = fread(piece, 1, sizeof(piece), cli->host->in)) > 0) {
            if (out->len + got > ARGUMENT_FILE_MAX) {
                return error_set(err, "usage", "standard input is larger than %d bytes", ARGUMENT_FILE_MAX);
            }
            buf_append(out, piece, got);
        }
        return true;
    }
    buf_append_cstr(out, argument);
    return true;
}

/* Names separated by commas or line ends; blanks around them, empty ones and #-lines of files fall away. */
static json_t *node_list(struct span text, bool from_file) {
    json_t *nodes = json_array();
    struct map seen = MAP_INIT;
    struct span line;
    while (span_split(&text, '\n', &line)) {
        if (from_file && span_starts_with(span_trim(line), "#")) {
            continue;
        }
        struct span name;
        while (span_split(&line, ',', &name)) {
            name = span_trim(name);
            if (name.len > 0 && map_put(&seen, name, nodes) == NULL) {
                json_t *item = json_str_new(name);
                if (item != NULL) {
                    json_array_append_new(nodes, item);
                }
            }
        }
    }
    map_free(&seen);
    return nodes;
}

static json_t *scope_nodes(struct cli *cli, struct error *err) {
    struct buf text = BUF_INIT;
    json_t *nodes = NULL;
    if (read_text_argument(cli, cli->args.nodes, &text, err)) {
        nodes = node_list(buf_span(&text), cli->args.nodes[0] == '@' || cli->args.nodes[0] == '-');
        if (json_array_size(nodes) == 0) {
            error_set(err, "usage", "--nodes %s names no node", cli->args.nodes);
            json_decref(nodes);
            nodes = NULL;
        }
    }
    buf_free(&text);
    return nodes;
}

static json_t *scope_query(struct cli *cli, struct error *err) {
    struct buf text = BUF_INIT;
    json_t *query = NULL;
    if (read_text_argument(cli, cli->args.query, &text, err)) {
        struct span q = span_trim(buf_span(&text));
        if (q.len == 0) {
            error_set(err, "usage", "--query is empty");
        } else if (q.ptr[0] == '[' && (query = json_parse(q, "usage", NULL)) != NULL) {
            buf_free(&text); /* AST, as a JSON array */
            return query;
        } else if ((query = json_str_new(q)) == NULL) {
            error_set(err, "usage", "--query is not UTF-8 text");
        }
    }
    buf_free(&text);
    return query;
}

const char *selector_name(const struct cli *cli) {
    const struct cli_args *a = &cli->args;
    return a->nodes != NULL        ? "--nodes"
           : a->query != NULL      ? "--query"
           : a->node_group != NULL ? "--node-group"
                                   : "--application";
}

json_t *scope_of(struct cli *cli, struct error *err) {
    const struct cli_args *a = &cli->args;
    int given = (a->nodes != NULL) + (a->query != NULL) + (a->node_group != NULL) + (a->application != NULL);
    if (given != 1) {
        error_set(err, "usage",
                  given == 0 ? "no target: give one of --nodes, --query or --node-group"
                             : "more than one target: --nodes, --query, --node-group and --application "
                               "exclude each other");
        return NULL;
    }
    const char *key = selector_name(cli) + 2;
    json_t *value = a->nodes != NULL   ? scope_nodes(cli, err)
                    : a->query != NULL ? scope_query(cli, err)
                                       : json_string(a->node_group != NULL ? a->node_group : a->application);
    if (value == NULL) {
        if (err->kind == NULL) {
            error_set(err, "usage", "%s is not UTF-8 text", selector_name(cli));
        }
        return NULL;
    }
    json_t *scope = json_object();
    json_set(scope, strcmp(key, "node-group") == 0 ? "node_group" : key, value);
    return scope;
}

/* Inline values: integers, doubles and Booleans are understood, anything else stays a string (cli.md §3.1). */
static json_t *inline_value(struct span text) {
    if (span_eq_cstr(text, "true") || span_eq_cstr(text, "false")) {
        return json_boolean(text.len == 4);
    }
    if (text.len > 0 && (text.ptr[0] == '-' || (text.ptr[0] >= '0' && text.ptr[0] <= '9'))) {
        json_t *number = json_parse(text, "usage", NULL);
        if (json_is_number(number)) {
            return number;
        }
        json_decref(number);
    }
    return json_str_new(text);
}

static bool inline_param(json_t *params, const char *word, struct error *err) {
    const char *equals = strchr(word, '=');
    if (equals == NULL || equals == word) {
        return error_set(err, "usage", "\"%s\" is no NAME=VALUE parameter", word);
    }
    struct span value = span_of(equals + 1);
    if (span_ends_with(value, ",")) { /* older manuals separate parameters by ", " */
        value.len--;
    }
    char *name = span_dup((struct span){word, (size_t)(equals - word)});
    json_t *json = inline_value(value);
    bool ok = json != NULL && json_object_set_new(params, name, json) == 0;
    mem_free(name);
    return ok || error_set(err, "usage", "parameter \"%s\" is not UTF-8 text", word);
}

json_t *params_of(struct cli *cli, size_t first_word, struct error *err) {
    if (cli->args.params != NULL) {
        if (cli->words.count > first_word) {
            error_set(err, "usage", "--params and NAME=VALUE parameters exclude each other");
            return NULL;
        }
        struct buf text = BUF_INIT;
        json_t *params = NULL;
        if (read_text_argument(cli, cli->args.params, &text, err)) {
            params = json_parse(buf_span(&text), "usage", err);
            if (params == NULL) {
                error_prefix(err, "--params");
            } else if (!json_is_object(params)) {
                error_set(err, "usage", "--params must be a JSON object");
                json_decref(params);
                params = NULL;
            }
        }
        buf_free(&text);
        return params;
    }
    json_t *params = json_object();
    for (size_t i = first_word; i < cli->words.count; i++) {
        if (!inline_param(params, cli->words.items[i], err)) {
            json_decref(params);
            return NULL;
        }
    }
    return params;
}
