/* puppet-app show: applications and their instances (cli.md §5). */
#include "base/mem.h"
#include "cli/internal.h"
#include <string.h>

static void print_capabilities(struct cli *cli, const json_t *list, const char *prefix) {
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)list, i, item) {
        fprintf(cli->host->out, "%s%s\n", prefix, json_string_value(item));
    }
}

static void print_instance(struct cli *cli, const json_t *instance) {
    FILE *out = cli->host->out;
    fprintf(out, "%s%s%s[%s%s%s]\n", colour_on(cli, CYAN), json_str(instance, "type"), colour_off(cli, CYAN),
            colour_on(cli, MAGENTA), json_str(instance, "title"), colour_off(cli, MAGENTA));
    size_t i;
    json_t *component;
    json_array_foreach(json_object_get(instance, "components"), i, component) {
        fprintf(out, "    %s[%s] => %s%s%s\n", json_str(component, "type"), json_str(component, "title"),
                colour_on(cli, YELLOW), json_str(component, "node"), colour_off(cli, YELLOW));
        print_capabilities(cli, json_object_get(component, "produces"), "      + produces ");
        print_capabilities(cli, json_object_get(component, "consumes"), "        consumes ");
    }
}

/* "Shop" matches all its instances, "Shop[eu]" one. */
static bool wanted(const json_t *instance, const char *word) {
    if (word == NULL || str_eq(json_str(instance, "type"), word)) {
        return true;
    }
    char *full = str_printf("%s[%s]", json_str(instance, "type"), json_str(instance, "title"));
    bool same = strcmp(full, word) == 0;
    mem_free(full);
    return same;
}

int app_show(struct cli *cli) {
    struct error err = ERROR_INIT;
    json_t *answer = NULL;
    bool ok = cli->words.count <= 1 || error_set(&err, "usage", "\"%s\" is one argument too many", cli->words.items[1]);
    if (ok && connect_orchestrator(cli, &err)) {
        char *environment = url_part(span_of(cli->environment != NULL ? cli->environment : "production"));
        char *path = str_printf("/environments/%s/instances", environment);
        mem_free(environment);
        call(cli, cli->client, "GET", path, NULL, &answer, &err);
        mem_free(path);
    }
    if (error_is_set(&err)) {
        int code = report_error(cli, &err);
        error_clear(&err);
        return code;
    }
    const char *word = cli->words.count == 1 ? cli->words.items[0] : NULL;
    size_t i, shown = 0;
    json_t *instance;
    json_array_foreach(json_object_get(answer, "items"), i, instance) {
        if (wanted(instance, word)) {
            if (cli->json) {
                print_json(cli, instance);
            } else {
                fputs(shown > 0 ? "\n" : "", cli->host->out);
                print_instance(cli, instance);
            }
            shown++;
        }
    }
    json_decref(answer);
    if (word != NULL && shown == 0) {
        error_set(&err, "usage", "there is no application or instance \"%s\"", word);
        int code = report_error(cli, &err);
        error_clear(&err);
        return code;
    }
    return EXIT_DONE;
}
