/* Configuration files to settings. */
#include "broker/settings.h"

#include "base/json.h"
#include "base/mem.h"
#include "broker/settings_read.h"
#include <string.h>

enum { FILE_MAX = HOCON_TEXT_MAX };

#define CONFIG(field) offsetof(struct broker_settings, config.field)
#define LOG_SETTING(field) offsetof(struct broker_settings, log.field)

struct lists {
    struct setting_list controllers, allowlist;
};

/* Lists are two members in broker_config: they are read into struct lists by a table of their own. */
static const struct setting broker_table[] = {
    {"controller-uris", SETTING_OBJECT, 0, NULL},
    {"controller-allowlist", SETTING_OBJECT, 0, NULL},
    {"controller-whitelist", SETTING_IGNORED, 0, "is no longer read: it is called controller-allowlist now"},
    {"controller-disconnection-graceperiod", SETTING_INTERVAL, CONFIG(controller_grace_ms), NULL},
    {"max-connections", SETTING_SIZE, CONFIG(connections_max), NULL},
    {"max-message-size", SETTING_SIZE, CONFIG(message_max), NULL},
    {"idle-timeout", SETTING_MS, CONFIG(idle_timeout_ms), NULL},
    {"crl-check-period", SETTING_MS, CONFIG(crl_check_period_ms), NULL},
    {"expired-conn-throttle", SETTING_MS, CONFIG(expired_throttle_ms), NULL},
    {NULL, 0, 0, NULL},
};

static const struct setting list_table[] = {
    {"controller-uris", SETTING_LIST, offsetof(struct lists, controllers), NULL},
    {"controller-allowlist", SETTING_LIST, offsetof(struct lists, allowlist), NULL},
    {NULL, 0, 0, NULL},
};

static const struct setting dalang_table[] = {
    {"broker-name", SETTING_STRING, CONFIG(name), NULL},
    {"handshakes", SETTING_U32, CONFIG(handshakes_max), NULL},
    {"queue-bytes", SETTING_SIZE, CONFIG(queue_bytes_max), NULL},
    {"queue-messages", SETTING_U32, CONFIG(queue_messages_max), NULL},
    {"turn-messages", SETTING_U32, CONFIG(turn_messages_max), NULL},
    {"update-changes", SETTING_SIZE, CONFIG(update_changes_max), NULL},
    {"update-interval", SETTING_MS, CONFIG(update_interval_ms), NULL},
    {"close-timeout", SETTING_MS, CONFIG(close_timeout_ms), NULL},
    {"replace-at-limit", SETTING_BOOL, CONFIG(replace_at_limit), NULL},
    {"spec-ttl-expired", SETTING_BOOL, CONFIG(spec_ttl_expired), NULL},
    {"spec-destination-report", SETTING_BOOL, CONFIG(spec_destination_report), NULL},
    {"spec-version-error", SETTING_BOOL, CONFIG(spec_version_error), NULL},
    {"spec-unauthorized", SETTING_BOOL, CONFIG(spec_unauthorized), NULL},
    {"targets-alias", SETTING_BOOL, offsetof(struct broker_settings, targets_alias), NULL},
    {"metrics-route", SETTING_STRING, CONFIG(metrics_route), NULL},
    {"log-level", SETTING_STRING, LOG_SETTING(level), NULL},
    {"log-format", SETTING_STRING, LOG_SETTING(format), NULL},
    {"log-file", SETTING_STRING, LOG_SETTING(file), NULL},
    {"access-log-file", SETTING_STRING, LOG_SETTING(access_file), NULL},
    {"http-log-file", SETTING_STRING, LOG_SETTING(http_file), NULL},
    {NULL, 0, 0, NULL},
};

static const struct setting root_table[] = {
    {"pcp-broker", SETTING_OBJECT, 0, NULL},
    {"webserver", SETTING_OBJECT, 0, NULL},
    {"web-router-service", SETTING_OBJECT, 0, NULL},
    {"authorization", SETTING_OBJECT, 0, NULL},
    {"global", SETTING_OBJECT, 0, NULL},
    {"dalang", SETTING_OBJECT, 0, NULL},
    {"metrics", SETTING_IGNORED, 0, "has no effect: metrics are served at /status and /metrics"},
    {NULL, 0, 0, NULL},
};

static const struct setting global_table[] = {
    {"logging-config", SETTING_IGNORED, 0, "has no effect: see the keys log-* in section dalang"},
    {"certs", SETTING_OBJECT, 0, NULL},
    {"hostname", SETTING_IGNORED, 0, NULL},
    {NULL, 0, 0, NULL},
};

static bool read_section(struct settings_reader *r, const json_t *root, const char *name, const struct setting *table) {
    const json_t *section = json_object_get(root, name);
    if (section == NULL) {
        return true;
    }
    if (!json_is_object(section)) {
        return settings_fail(r, root, name, "%s must be a map", name);
    }
    return settings_read(r, section, name, table, r->s);
}

static bool read_lists(struct settings_reader *r, const json_t *root) {
    struct lists lists = {{NULL, 0}, {NULL, 0}};
    const json_t *section = json_object_get(root, "pcp-broker");
    for (const struct setting *s = list_table; s->key != NULL; s++) {
        json_t *value = json_object_get(section, s->key), *only = json_object();
        json_object_set(only, s->key, value);
        bool ok = value == NULL || settings_read(r, only, "pcp-broker", list_table, &lists);
        json_decref(only);
        if (!ok) {
            return settings_fail(r, section, s->key, "pcp-broker: '%s' must be a list of strings", s->key);
        }
    }
    struct broker_config *c = &r->s->config;
    c->controller_uris = lists.controllers.items;
    c->controller_count = lists.controllers.count;
    c->controller_allowlist = lists.allowlist.items;
    c->controller_allow_count = lists.allowlist.count;
    return true;
}

static bool read_all(struct settings_reader *r) {
    const json_t *root = hocon_root(r->s->files);
    if (!settings_read(r, root, "configuration", root_table, r->s) ||
        !read_section(r, root, "pcp-broker", broker_table) || !read_lists(r, root) ||
        !read_section(r, root, "dalang", dalang_table) || !read_section(r, root, "global", global_table) ||
        !settings_read_web(r, root)) {
        return false;
    }
    r->s->rules = rules_load(r->s->files, r->s->targets_alias, r->err);
    return r->s->rules != NULL;
}

/* ---- files */

struct source {
    struct world *world;
    const char *directory; /* includes are looked up here */
    const char *(*env)(void *ctx, const char *name);
    void *env_ctx;
};

static const char *from_env(void *ctx, const char *name) {
    struct source *s = ctx;
    return s->env != NULL ? s->env(s->env_ctx, name) : NULL;
}

/* A plain file name in the directory of the including file. */
static bool include(void *ctx, const char *name, struct buf *text, struct error *err) {
    struct source *s = ctx;
    if (span_find(span_of(name), '/') >= 0 || name[0] == '.') {
        return error_set(err, "broker/config", "includes must name a file in the same directory");
    }
    struct error why = ERROR_INIT;
    char *path = str_printf("%s/%s", s->directory, name);
    bool ok = world_file_read(s->world, path, FILE_MAX, text, &why);
    if (!ok && !error_is(&why, "world/not-found")) {
        error_move(err, &why);
    }
    error_clear(&why);
    mem_free(path);
    return ok;
}

static bool add_file(struct world *w, struct hocon *h, const char *path, struct error *err) {
    struct buf text = BUF_INIT;
    bool ok = world_file_read(w, path, FILE_MAX, &text, err) && hocon_add(h, path, buf_span(&text), err);
    buf_free(&text);
    return ok;
}

static bool add_directory(struct world *w, struct hocon *h, const char *path, struct error *err) {
    char **names;
    size_t count, found = 0;
    if (!world_file_list(w, path, &names, &count, err)) {
        return false;
    }
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        if (span_ends_with(span_of(names[i]), ".conf")) {
            char *file = str_printf("%s/%s", path, names[i]);
            ok = add_file(w, h, file, err);
            mem_free(file);
            found++;
        }
    }
    world_names_free(names, count);
    return ok && (found != 0 || error_set(err, "broker/config", "%s: holds no *.conf files", path));
}

static char *directory_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL   ? str_dup(".")
           : slash == path ? str_dup("/")
                           : span_dup(span_bytes(path, (size_t)(slash - path)));
}

static bool add_path(struct world *w, struct hocon *h, struct source *source, const char *path, struct error *err) {
    struct world_stat st;
    if (!world_file_stat(w, path, &st, err)) {
        return false;
    }
    char *directory = st.is_dir ? str_dup(path) : directory_of(path);
    source->directory = directory;
    bool ok = st.is_dir ? add_directory(w, h, path, err) : add_file(w, h, path, err);
    mem_free(directory);
    return ok;
}

struct broker_settings *broker_settings_load(struct world *w, const char *const *paths, size_t count,
                                             const char *command_line, const char *(*env)(void *ctx, const char *name),
                                             void *ctx, struct error *err) {
    struct broker_settings *s = mem_zalloc(sizeof *s);
    struct source source = {.world = w, .env = env, .env_ctx = ctx};
    const struct hocon_opts opts = {.env = from_env, .include = include, .ctx = &source};
    struct settings_reader r = {.s = s, .err = err};
    s->files = hocon_new(&opts);
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        ok = add_path(w, s->files, &source, paths[i], err);
    }
    ok = ok && hocon_add(s->files, "command line", span_of(command_line), err);
    if (ok && hocon_resolve(s->files, err) && read_all(&r)) {
        return s;
    }
    broker_settings_free(s);
    return NULL;
}

void broker_settings_free(struct broker_settings *s) {
    if (s == NULL) {
        return;
    }
    rules_free(s->rules);
    for (size_t i = 0; i < s->warning_count; i++) {
        mem_free(s->warnings[i]);
    }
    for (size_t i = 0; i < s->string_count; i++) {
        mem_free(s->strings[i]);
    }
    mem_free(s->warnings);
    mem_free(s->strings);
    hocon_free(s->files);
    mem_free(s);
}
