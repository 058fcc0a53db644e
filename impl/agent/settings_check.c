/* Checking the settings, in the reference's order and with its texts (agent.md §4). */
#include "agent/settings_keys.h"
#include "base/mem.h"
#include "base/url.h"
#include <string.h>

static bool wrong(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool wrong(struct error *err, const char *format, ...) {
    va_list args;
    struct buf text = BUF_INIT;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    error_set(err, "agent/configuration", "%s", text.ptr);
    buf_free(&text);
    return false;
}

static void make_list(struct settings_value *list, const char *text) {
    for (size_t i = 0; i < list->item_count; i++) {
        mem_free(list->items[i]);
    }
    mem_free(list->items);
    list->items = mem_array(2, sizeof *list->items);
    list->items[0] = str_dup(text);
    list->item_count = 1;
}

/* ---------------------------------------------------------------------------------------- addresses */

static bool check_brokers(struct agent_settings *s, struct error *err) {
    struct settings_value *one = settings_value(s, "broker-ws-uri"), *list = settings_value(s, "broker-ws-uris");
    if (*one->text != '\0') {
        make_list(list, one->text); /* on the command line it replaces the list; in a file only one of them stands */
    }
    const char *key = *one->text != '\0' ? "broker-ws-uri" : "broker-ws-uris";
    for (size_t i = 0; i < list->item_count; i++) {
        struct url url;
        if (!span_starts_with(span_of(list->items[i]), "wss://")) {
            return wrong(err, "%s value \"%s\" must start with wss://", key, list->items[i]);
        }
        if (!url_parse(list->items[i], &url, NULL)) {
            return wrong(err, "%s value \"%s\" is not a valid URI", key, list->items[i]);
        }
        url_free(&url);
    }
    return true;
}

/* "host" becomes "https://host:8140". */
static bool complete_primary(char **uri, struct error *err) {
    bool has_scheme = strstr(*uri, "://") != NULL;
    if (has_scheme && !span_starts_with(span_of(*uri), "https://")) {
        return wrong(err, "primary-uris value \"%s\" must start with https://", *uri);
    }
    const char *host = has_scheme ? *uri + sizeof "https://" - 1 : *uri;
    const char *end = strrchr(host, ']') != NULL ? strrchr(host, ']') : host;
    size_t len = strlen(host);
    while (len > 0 && host[len - 1] == '/') {
        len--;
    }
    char *complete = str_printf("https://%.*s%s", (int)len, host, strchr(end, ':') != NULL ? "" : ":8140");
    mem_free(*uri);
    *uri = complete;
    struct url url;
    if (!url_parse(complete, &url, NULL)) {
        return wrong(err, "primary-uris value \"%s\" is not a valid URI", complete);
    }
    url_free(&url);
    return true;
}

static bool check_primaries(struct agent_settings *s, struct error *err) {
    static const char *const others[] = {"primary-uri", "master-uri"};
    struct settings_value *list = settings_value(s, "primary-uris"), *old = settings_value(s, "master-uris");
    if (list->source == FROM_DEFAULT && old->source != FROM_DEFAULT) {
        struct settings_value empty = *list;
        list->items = old->items;
        list->item_count = old->item_count;
        old->items = empty.items;
        old->item_count = empty.item_count;
    }
    for (size_t i = 0; i < 2 && list->item_count == 0; i++) {
        const char *one = agent_settings_text(s, others[i]);
        if (*one != '\0') {
            make_list(list, one);
        }
    }
    for (size_t i = 0; i < list->item_count; i++) {
        if (!complete_primary(&list->items[i], err)) {
            return false;
        }
    }
    return true;
}

/* ---------------------------------------------------------------------------------------- files and directories */

static bool check_file(struct agent_settings *s, struct world *w, const char *key, bool required, struct error *err) {
    const char *path = agent_settings_text(s, key);
    struct world_stat st;
    struct buf first = BUF_INIT;
    if (*path == '\0') {
        return !required || wrong(err, "%s value must be defined", key);
    }
    if (!world_file_stat(w, path, &st, NULL)) {
        return wrong(err, "%s file '%s' not found", key, path);
    }
    bool readable = st.is_file && world_file_read_at(w, path, 0, 1, &first, NULL);
    buf_free(&first);
    return readable || wrong(err, "%s file '%s' not readable", key, path);
}

static bool check_directory(struct agent_settings *s, struct world *w, const char *key, bool create,
                            struct error *err) {
    const char *path = agent_settings_text(s, key);
    struct world_stat st;
    struct error why = ERROR_INIT;
    if (*path == '\0') {
        return wrong(err, "%s must be defined", key);
    }
    if (!world_file_stat(w, path, &st, NULL)) {
        if (!create) {
            return wrong(err, "the %s '%s' does not exist", key, path);
        }
        if (!world_file_mkdir(w, path, 0750, true, &why)) {
            wrong(err, "failed to create the %s '%s': %s", key, path, why.msg);
            error_clear(&why);
            return false;
        }
        return true;
    }
    return st.is_dir || wrong(err, "the %s '%s' is not a directory", key, path);
}

static bool check_spool_writable(struct agent_settings *s, struct world *w, struct error *err) {
    const char *spool = agent_settings_text(s, "spool-dir");
    char *probe = str_printf("%s/.probe", spool);
    bool ok = world_file_mkdir(w, probe, 0750, false, NULL) && world_file_remove(w, probe, false, NULL);
    mem_free(probe);
    return ok || wrong(err, "the spool-dir '%s' is not writable", spool);
}

static bool check_pid_file(struct agent_settings *s, struct world *w, struct error *err) {
    const char *path = agent_settings_text(s, "pidfile");
    struct world_stat st;
    if (agent_settings_flag(s, "foreground")) {
        return true;
    }
    if (world_file_stat(w, path, &st, NULL)) {
        return st.is_file || wrong(err, "the PID file '%s' is not a regular file", path);
    }
    const char *slash = strrchr(path, '/');
    char *directory = span_dup(span_bytes(path, slash != NULL ? (size_t)(slash - path) : 0));
    bool ok = *directory == '\0' || world_file_mkdir(w, directory, 0750, true, NULL);
    if (!ok) {
        wrong(err, "failed to create the PID file's directory '%s'", directory);
    }
    mem_free(directory);
    return ok;
}

/* ---------------------------------------------------------------------------------------- numbers and words */

static bool check_durations(struct agent_settings *s, struct error *err) {
    static const char *const keys[] = {"spool-dir-purge-ttl", "task-cache-dir-purge-ttl"};
    for (size_t i = 0; i < 2; i++) {
        uint64_t ms;
        if (!settings_duration(agent_settings_text(s, keys[i]), &ms)) {
            return wrong(err, "invalid %s: '%s' is no number of days (d), hours (h) or minutes (m)", keys[i],
                         agent_settings_text(s, keys[i]));
        }
    }
    return true;
}

static bool check_numbers(struct agent_settings *s, struct error *err) {
    enum { SECONDS_MAX = 1000 * 1000 * 1000, PONG_TIMEOUT_S = AGENT_PONG_TIMEOUT_MS / 1000 };
    for (size_t i = 0; i < settings_key_count; i++) {
        if (settings_keys[i].type == KEY_INTEGER && s->values[i].integer < 0) {
            return wrong(err, "%s must be positive", settings_keys[i].name);
        }
        bool bytes = span_ends_with(span_of(settings_keys[i].name), "-size");
        if (settings_keys[i].type == KEY_INTEGER && !bytes && s->values[i].integer > SECONDS_MAX) {
            return wrong(err, "%s is too large", settings_keys[i].name);
        }
    }
    if (agent_settings_integer(s, "ping-interval") <= PONG_TIMEOUT_S) {
        return wrong(err, "ping-interval must be greater than the pong timeout of %d seconds", PONG_TIMEOUT_S);
    }
    return true;
}

static bool check_word(struct agent_settings *s, const char *key, const char *one, const char *other,
                       struct error *err) {
    const char *text = agent_settings_text(s, key);
    return strcmp(text, one) == 0 || strcmp(text, other) == 0 ||
           wrong(err, "%s must be either '%s' or '%s'", key, one, other);
}

bool agent_settings_check(struct agent_settings *s, struct world *w, bool (*credentials)(void *ctx, struct error *err),
                          void *ctx, struct error *err) {
    return check_brokers(s, err) && check_primaries(s, err) &&
           (settings_value(s, "broker-ws-uris")->item_count > 0 ||
            wrong(err, "broker-ws-uri or broker-ws-uris must be defined")) &&
           check_word(s, "pcp-version", "1", "2", err) && check_file(s, w, "ssl-ca-cert", true, err) &&
           check_file(s, w, "ssl-cert", true, err) && check_file(s, w, "ssl-key", true, err) &&
           check_file(s, w, "ssl-crl", false, err) && (credentials == NULL || credentials(ctx, err)) &&
           check_directory(s, w, "modules-dir", false, err) && check_directory(s, w, "modules-config-dir", true, err) &&
           check_directory(s, w, "task-cache-dir", true, err) && check_directory(s, w, "spool-dir", true, err) &&
           check_spool_writable(s, w, err) && check_pid_file(s, w, err) && check_durations(s, err) &&
           check_numbers(s, err) && check_word(s, "compatibility", "dalang", "reference", err) &&
           check_word(s, "refused-association", "exit", "retry", err);
}
