#include "orchestrator/settings.h"

#include "base/hocon.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/option.h"

#include <string.h>

enum { KEYS_MAX = 48 };

enum value_type {
    VALUE_TEXT,    /* const char * */
    VALUE_BOOL,    /* bool */
    VALUE_U16,     /* uint16_t */
    VALUE_U32,     /* uint32_t */
    VALUE_U64,     /* uint64_t */
    VALUE_SECONDS, /* uint32_t: a number of seconds, or "30s", "10m", "2h" */
    VALUE_BROKERS, /* one address or a list */
    VALUE_ALLOWED, /* list of names */
    VALUE_POLICY,  /* "resume" or "fail" */
    VALUE_AUTH,    /* "want", "need" or "none" */
    VALUE_IGNORED,
};

struct key {
    const char *name;
    enum value_type type;
    size_t offset; /* in struct orchestrator_settings */
};

#define AT(member) offsetof(struct orchestrator_settings, member)

static const struct key orchestrator_keys[] = {
    {"global-concurrent-compiles", VALUE_U32, AT(config.global_concurrent_compiles)},
    {"task-concurrency", VALUE_U32, AT(config.task_concurrency)},
    {"job-prune-days-threshold", VALUE_U32, AT(config.job_prune_days)},
    {"pcp-timeout", VALUE_SECONDS, AT(config.pcp_timeout_s)},
    {"allowed-pcp-status-requests", VALUE_U32, AT(config.allowed_status_requests)},
    {"pcp-status-interval", VALUE_SECONDS, AT(config.status_interval_s)},
    {"report-timeout", VALUE_SECONDS, AT(config.report_timeout_s)},
    {"default-deploy-node-timeout", VALUE_SECONDS, AT(config.deploy_node_timeout_s)},
    {"default-task-node-timeout", VALUE_SECONDS, AT(config.task_node_timeout_s)},
    {"default-plan-timeout", VALUE_SECONDS, AT(config.plan_timeout_s)},
    {"jruby-max-active-instances", VALUE_U32, AT(config.plans_max)},
    {"scheduled-jobs-v1-api", VALUE_BOOL, AT(config.scheduled_jobs_v1_api)},
    {"app-management", VALUE_BOOL, AT(config.app_management)},
    {"restart-policy", VALUE_POLICY, AT(config.restart_policy)},
    {"database", VALUE_TEXT, AT(config.database)},
    {"secret-key-file", VALUE_TEXT, AT(config.secret_key_file)},
    {"pcp-broker-urls", VALUE_BROKERS, 0},
    {"rbac-url", VALUE_TEXT, AT(config.rbac_url)},
    {"classifier-url", VALUE_TEXT, AT(config.classifier_url)},
    {"puppetdb-url", VALUE_TEXT, AT(config.puppetdb_url)},
    {"puppet-server-url", VALUE_TEXT, AT(config.puppet_server_url)},
    {"activity-url", VALUE_TEXT, AT(config.activity_url)},
    {"console-url", VALUE_TEXT, AT(config.console_url)},
    {"public-url", VALUE_TEXT, AT(config.public_url)},
    {"certificate-allowlist", VALUE_ALLOWED, 0},
    {"kill-command", VALUE_TEXT, AT(config.kill_command)},
    {"job-nodes-max", VALUE_U32, AT(config.job_nodes_max)},
    {"jobs-active-max", VALUE_U32, AT(config.jobs_active_max)},
    {"request-body-max", VALUE_U64, AT(config.request_body_max)},
    {"pcp-message-max", VALUE_U32, AT(config.pcp_message_max)},
    {"event-streams-max", VALUE_U32, AT(config.event_streams_max)},
    {NULL, 0, 0},
};

static const struct key web_keys[] = {
    {"ssl-host", VALUE_TEXT, AT(config.host)},
    {"ssl-port", VALUE_U16, AT(config.port)},
    {"ssl-cert", VALUE_TEXT, AT(config.tls.cert)},
    {"ssl-key", VALUE_TEXT, AT(config.tls.key)},
    {"ssl-cert-chain", VALUE_TEXT, AT(config.tls.chain)},
    {"ssl-ca-cert", VALUE_TEXT, AT(config.tls.ca)},
    {"ssl-crl-path", VALUE_TEXT, AT(config.crl)},
    {"client-auth", VALUE_AUTH, AT(config.tls.client_auth)},
    {"access-log-config", VALUE_IGNORED, 0},
    {"default-server", VALUE_IGNORED, 0},
    {NULL, 0, 0},
};

static const struct key certs_keys[] = {
    {"ssl-cert", VALUE_TEXT, AT(config.tls.cert)},
    {"ssl-key", VALUE_TEXT, AT(config.tls.key)},
    {"ssl-ca-cert", VALUE_TEXT, AT(config.tls.ca)},
    {NULL, 0, 0},
};

static const struct key dalang_keys[] = {
    {"log-level", VALUE_TEXT, AT(log_level)},
    {"log-format", VALUE_TEXT, AT(log_format)},
    {"log-file", VALUE_TEXT, AT(log_file)},
    {"access-log-file", VALUE_TEXT, AT(access_log_file)},
    {NULL, 0, 0},
};

/* ---------------------------------------------------------------------------------------- values */

static bool number_of(const json_t *value, uint64_t max, uint64_t *out) {
    bool is_number = json_is_integer(value) && json_integer_value(value) >= 0;
    if (is_number) {
        *out = (uint64_t)json_integer_value(value);
    }
    return (is_number || span_to_u64(json_span(value), out)) && *out <= max;
}

static bool seconds_of(const json_t *value, uint32_t *out) {
    uint64_t n = 0;
    if (!number_of(value, UINT32_MAX, &n)) {
        if (!json_is_string(value) || !hocon_duration(json_span(value), 1000, &n) || n / 1000 > UINT32_MAX) {
            return false;
        }
        n /= 1000;
    }
    *out = (uint32_t)n;
    return true;
}

static bool bool_of(const json_t *value, bool *out) {
    *out = json_is_true(value) || span_eq_nocase(json_span(value), "true");
    return *out || json_is_false(value) || span_eq_nocase(json_span(value), "false");
}

static bool texts_of(const json_t *value, const char **out, size_t max, size_t *count) {
    size_t i;
    json_t *item;
    *count = 0;
    if (json_is_string(value)) {
        out[(*count)++] = json_string_value(value);
        return true;
    }
    json_array_foreach(value, i, item) {
        if (!json_is_string(item) || *count == max) {
            return false;
        }
        out[(*count)++] = json_string_value(item);
    }
    return json_is_array(value);
}

static bool choice_of(const json_t *value, const char *const *names, size_t count, int *out) {
    for (size_t i = 0; i < count; i++) {
        if (str_eq(json_string_value(value), names[i])) {
            *out = (int)i;
            return true;
        }
    }
    return false;
}

static bool take(struct orchestrator_settings *s, const struct key *key, const json_t *value) {
    static const char *const policies[] = {"resume", "fail"}, *const auths[] = {"need", "want", "none"};
    struct orchestrator_config *c = &s->config;
    void *at = (char *)s + key->offset;
    uint64_t n = 0;
    int chosen = 0;
    bool ok = true;
    switch (key->type) {
    case VALUE_TEXT:
        *(const char **)at = json_string_value(value);
        return json_is_string(value);
    case VALUE_BOOL:
        return bool_of(value, at);
    case VALUE_U16:
        ok = number_of(value, UINT16_MAX, &n);
        *(uint16_t *)at = (uint16_t)n;
        return ok;
    case VALUE_U32:
        ok = number_of(value, UINT32_MAX, &n);
        *(uint32_t *)at = (uint32_t)n;
        return ok;
    case VALUE_U64:
        return number_of(value, INT64_MAX, at);
    case VALUE_SECONDS:
        return seconds_of(value, at);
    case VALUE_BROKERS:
        return texts_of(value, c->brokers, ORCHESTRATOR_BROKERS_MAX, &c->broker_count);
    case VALUE_ALLOWED:
        return texts_of(value, c->certificate_allowlist, ORCHESTRATOR_ALLOWED_MAX, &c->allowed_count);
    case VALUE_POLICY:
        ok = choice_of(value, policies, 2, &chosen);
        c->restart_policy = chosen == 0 ? RESTART_RESUME : RESTART_FAIL;
        return ok;
    case VALUE_AUTH:
        ok = choice_of(value, auths, 3, &chosen);
        c->tls.client_auth = chosen == 0   ? WORLD_CLIENT_AUTH_NEED
                             : chosen == 1 ? WORLD_CLIENT_AUTH_WANT
                                           : WORLD_CLIENT_AUTH_NONE;
        return ok;
    case VALUE_IGNORED:
        return true;
    }
    return false;
}

static const char *const expectations[] = {
    [VALUE_TEXT] = "a text",
    [VALUE_BOOL] = "true or false",
    [VALUE_U16] = "a number up to 65535",
    [VALUE_U32] = "a number",
    [VALUE_U64] = "a number",
    [VALUE_SECONDS] = "a number of seconds, or a duration such as 10m",
    [VALUE_BROKERS] = "a list of at most 32 addresses of the form wss://host:8142",
    [VALUE_ALLOWED] = "a list of at most 64 names",
    [VALUE_POLICY] = "resume or fail",
    [VALUE_AUTH] = "want, need or none",
    [VALUE_IGNORED] = "",
};

/* ---------------------------------------------------------------------------------------- sections */

static const struct key *find_key(const struct key *keys, const char *name) {
    for (; keys->name != NULL; keys++) {
        if (strcmp(keys->name, name) == 0) {
            return keys;
        }
    }
    return NULL;
}

static void warn_unknown(struct orchestrator_settings *s, const json_t *section, const char *title, const char *name,
                         const struct key *keys) {
    const char *names[KEYS_MAX];
    size_t count = 0;
    for (; keys->name != NULL && count < KEYS_MAX; keys++) {
        names[count++] = keys->name;
    }
    const char *near = nearest_word(name, names, count);
    struct buf text = BUF_INIT;
    hocon_where(s->files, section, name, &text);
    buf_printf(&text, ": %s has no key '%s'", title, name);
    if (near != NULL) {
        buf_printf(&text, "; did you mean '%s'?", near);
    }
    s->warnings = mem_grow(s->warnings, &s->warning_cap, s->warning_count + 1, sizeof *s->warnings);
    s->warnings[s->warning_count++] = buf_take(&text);
}

static bool read_section(struct orchestrator_settings *s, const json_t *section, const char *title,
                         const struct key *keys, struct error *err) {
    const char *name;
    json_t *value;
    if (section != NULL && !json_is_object(section)) {
        return error_set(err, "configuration", "%s must be a map", title);
    }
    json_object_foreach((json_t *)section, name, value) {
        const struct key *key = find_key(keys, name);
        if (key == NULL) {
            warn_unknown(s, section, title, name, keys);
        } else if (!take(s, key, value)) {
            struct buf place = BUF_INIT;
            hocon_where(s->files, section, name, &place);
            error_set(err, "configuration", "%s: %s.%s must be %s", place.ptr, title, name, expectations[key->type]);
            buf_free(&place);
            return false;
        }
    }
    return true;
}

static bool read_all(struct orchestrator_settings *s, struct error *err) {
    const json_t *root = hocon_root(s->files);
    const json_t *web = json_object_get(root, "webserver"), *named = json_object_get(web, "orchestrator");
    const json_t *certs = json_object_get(json_object_get(root, "global"), "certs");
    return read_section(s, certs, "global.certs", certs_keys, err) &&
           read_section(s, named != NULL ? named : web, named != NULL ? "webserver.orchestrator" : "webserver",
                        web_keys, err) &&
           read_section(s, json_object_get(root, "orchestrator"), "orchestrator", orchestrator_keys, err) &&
           read_section(s, json_object_get(root, "dalang"), "dalang", dalang_keys, err);
}

/* ---------------------------------------------------------------------------------------- files */

static bool add_file(struct orchestrator_settings *s, struct world *w, const char *path, struct error *err) {
    struct buf text = BUF_INIT;
    bool ok = world_file_read(w, path, HOCON_TEXT_MAX, &text, err) && hocon_add(s->files, path, buf_span(&text), err);
    buf_free(&text);
    return ok;
}

static bool add_directory(struct orchestrator_settings *s, struct world *w, const char *path, struct error *err) {
    char **names;
    size_t count, found = 0;
    if (!world_file_list(w, path, &names, &count, err)) {
        return false;
    }
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        if (span_ends_with(span_of(names[i]), ".conf")) {
            char *file = str_printf("%s/%s", path, names[i]);
            ok = add_file(s, w, file, err);
            mem_free(file);
            found++;
        }
    }
    world_names_free(names, count);
    return ok && (found != 0 || error_set(err, "configuration", "%s: holds no *.conf files", path));
}

static bool add_path(struct orchestrator_settings *s, struct world *w, const char *path, struct error *err) {
    struct world_stat st;
    return world_file_stat(w, path, &st, err) &&
           (st.is_dir ? add_directory(s, w, path, err) : add_file(s, w, path, err));
}

struct orchestrator_settings *orchestrator_settings_load(struct world *w, const char *const *paths, size_t count,
                                                         const char *text,
                                                         const char *(*env)(void *ctx, const char *name), void *ctx,
                                                         struct error *err) {
    struct orchestrator_settings *s = mem_zalloc(sizeof *s);
    struct hocon_opts opts = {.env = env, .ctx = ctx};
    orchestrator_config_defaults(&s->config);
    s->files = hocon_new(&opts);
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        ok = add_path(s, w, paths[i], err);
    }
    ok = ok && (text == NULL || hocon_add(s->files, "command line", span_of(text), err)) &&
         hocon_resolve(s->files, err) && read_all(s, err) && orchestrator_config_check(&s->config, err);
    if (!ok) {
        orchestrator_settings_free(s);
        return NULL;
    }
    return s;
}

void orchestrator_settings_free(struct orchestrator_settings *s) {
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->warning_count; i++) {
        mem_free(s->warnings[i]);
    }
    mem_free(s->warnings);
    hocon_free(s->files);
    mem_free(s);
}
