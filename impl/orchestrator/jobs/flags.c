#include "orchestrator/jobs/flags.h"

#include "base/json.h"
#include "base/mem.h"

#include <string.h>

enum flag_kind {
    FLAG_IF_TRUE, /* --name */
    FLAG_EITHER,  /* --name or --no-name when given */
    FLAG_VALUE,   /* --name value */
};

static const struct {
    const char *key, *flag;
    enum flag_kind kind;
} flags[] = {
    {"noop", "noop", FLAG_IF_TRUE},
    {"no_noop", "no-noop", FLAG_IF_TRUE},
    {"debug", "debug", FLAG_IF_TRUE},
    {"trace", "trace", FLAG_IF_TRUE},
    {"evaltrace", "evaltrace", FLAG_IF_TRUE},
    {"filetimeout", "filetimeout", FLAG_VALUE},
    {"http_connect_timeout", "http_connect_timeout", FLAG_VALUE},
    {"http_keepalive_timeout", "http_keepalive_timeout", FLAG_VALUE},
    {"http_read_timeout", "http_read_timeout", FLAG_VALUE},
    {"ordering", "ordering", FLAG_VALUE},
    {"skip_tags", "skip_tags", FLAG_VALUE},
    {"tags", "tags", FLAG_VALUE},
    {"use_cached_catalog", "use_cached_catalog", FLAG_EITHER},
    {"usecacheonfailure", "usecacheonfailure", FLAG_EITHER},
};

/* What the agent lets pass: letters, digits, _ : , . - */
static bool value_allowed(const char *value) {
    return value[0] != '\0' &&
           value[strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_:,.-")] == '\0';
}

static void add(json_t *out, const char *prefix, const char *name) {
    char *flag = str_printf("--%s%s", prefix, name);
    json_array_append_new(out, json_string(flag));
    mem_free(flag);
}

static bool add_value(json_t *out, const char *key, const json_t *value, struct error *err) {
    char number[24];
    const char *text = json_string_value(value);
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        text = number;
    }
    if (text == NULL || !value_allowed(text)) {
        return error_set(err, "puppetlabs.orchestrator/validation-error",
                         "%s may hold only letters, digits and the characters _ : , . -", key);
    }
    add(out, "", key);
    json_array_append_new(out, json_string(text));
    return true;
}

static bool add_environment(json_t *out, const json_t *options, struct error *err) {
    const json_t *environment = json_object_get(options, "environment");
    if (!json_is_string(environment) || json_string_length(environment) == 0 ||
        !json_bool(options, "enforce_environment", true)) {
        return true;
    }
    if (!add_value(out, "environment", environment, err)) {
        return false;
    }
    add(out, "", "strict_environment_mode");
    return true;
}

static bool add_flag(json_t *out, size_t i, const json_t *value, struct error *err) {
    switch (flags[i].kind) {
    case FLAG_IF_TRUE:
        if (json_is_true(value)) {
            add(out, "", flags[i].flag);
        }
        return true;
    case FLAG_EITHER:
        if (json_is_boolean(value)) {
            add(out, json_is_true(value) ? "" : "no-", flags[i].flag);
        }
        return true;
    case FLAG_VALUE:
        return value == NULL || json_is_null(value) || add_value(out, flags[i].key, value, err);
    }
    return true;
}

json_t *deploy_flags(const json_t *options, struct error *err) {
    json_t *out = json_array();
    bool ok = add_environment(out, options, err);
    for (size_t i = 0; ok && i < sizeof flags / sizeof *flags; i++) {
        ok = add_flag(out, i, json_object_get(options, flags[i].key), err);
    }
    if (!ok) {
        json_decref(out);
        return NULL;
    }
    if (!json_is_boolean(json_object_get(options, "use_cached_catalog"))) {
        add(out, "no-", "use_cached_catalog"); /* every job compiles anew, whatever the agent's configuration says */
    }
    add(out, "no-", "splay");
    return out;
}
