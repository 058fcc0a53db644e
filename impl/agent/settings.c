/* Values: defaults, command line, and the configuration of the core made of them. */
#include "agent/settings.h"
#include "agent/settings_keys.h"
#include "base/mem.h"
#include <string.h>

/* ---------------------------------------------------------------------------------------- values */

struct settings_value *settings_value(const struct agent_settings *s, const char *key) {
    return &s->values[settings_find(span_of(key))];
}

void settings_set_text(struct settings_value *v, const char *text, enum value_source source) {
    char *copy = str_dup(text);
    mem_free(v->text);
    v->text = copy;
    v->source = source;
}

const char *agent_settings_text(const struct agent_settings *s, const char *key) {
    return settings_value(s, key)->text;
}

int64_t agent_settings_integer(const struct agent_settings *s, const char *key) {
    return settings_value(s, key)->integer;
}

bool agent_settings_flag(const struct agent_settings *s, const char *key) {
    return settings_value(s, key)->flag;
}

bool agent_settings_given(const struct agent_settings *s, const char *key) {
    return settings_value(s, key)->source != FROM_DEFAULT;
}

const char *agent_settings_unrecognized(const struct agent_settings *s, size_t i) {
    return i < s->unrecognized_count ? s->unrecognized[i] : NULL;
}

struct agent_settings *agent_settings_new(const struct agent_user *user) {
    struct agent_settings *s = mem_zalloc(sizeof *s);
    s->home = str_dup(user->home);
    s->values = mem_array(settings_key_count, sizeof *s->values);
    for (size_t i = 0; i < settings_key_count; i++) {
        const struct settings_key *k = &settings_keys[i];
        const char *standard = user->is_root || k->standard_user == NULL ? k->standard : k->standard_user;
        settings_set_text(&s->values[i], standard, FROM_DEFAULT);
        if (k->type == KEY_INTEGER) {
            span_to_i64(span_of(standard), &s->values[i].integer);
        }
    }
    return s;
}

void agent_settings_free(struct agent_settings *s) {
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < settings_key_count; i++) {
        struct settings_value *v = &s->values[i];
        for (size_t k = 0; k < v->item_count; k++) {
            mem_free(v->items[k]);
        }
        mem_free(v->items);
        mem_free(v->text);
    }
    for (size_t i = 0; i < s->unrecognized_count; i++) {
        mem_free(s->unrecognized[i]);
    }
    mem_free(s->unrecognized);
    mem_free(s->values);
    mem_free(s->home);
    mem_free(s);
}

/* ---------------------------------------------------------------------------------------- command line */

static enum settings_result wrong(struct error *err, const char *format, const char *name) {
    struct buf text = BUF_INIT;
    buf_append_cstr(&text, format);
    ptrdiff_t at = span_find(buf_span(&text), '%');
    error_set(err, "agent/usage", "%.*s%s%s", (int)at, format, name, format + at + 1);
    buf_free(&text);
    return SETTINGS_ERROR;
}

static bool is_verbose(const char *name) {
    return strcmp(name, "verbose") == 0 || (*name == 'v' && strspn(name, "v") == strlen(name));
}

/* value NULL: there is none behind a "=". *next is the following argument, taken when needed. */
static enum settings_result take_flag(struct agent_settings *s, struct span name, const char *value,
                                      const char *const *next, int *taken, struct error *err) {
    char *text = span_dup(name);
    size_t index = settings_find(name);
    enum settings_result result = SETTINGS_PARSED;
    if (index == settings_key_count || settings_keys[index].file_only) {
        result = wrong(err, "Unknown flag: %", text);
        mem_free(text);
        return result;
    }
    struct settings_value *v = &s->values[index];
    if (settings_keys[index].type == KEY_FLAG) {
        bool yes = value == NULL || strcmp(value, "true") == 0;
        if (!yes && strcmp(value, "false") != 0) {
            result = wrong(err, "Flag '%' expects a value of type boolean", text);
        }
        v->flag = yes;
        v->source = FROM_COMMAND_LINE;
    } else {
        if (value == NULL && *next != NULL) {
            value = *next;
            *taken = 1;
        }
        if (value == NULL) {
            result = wrong(err, "Missing value for flag: %", text);
        } else if (settings_keys[index].type == KEY_INTEGER && !span_to_i64(span_of(value), &v->integer)) {
            result = wrong(err, "Flag '%' expects a value of type integer", text);
        } else {
            settings_set_text(v, value, FROM_COMMAND_LINE);
        }
    }
    mem_free(text);
    return result;
}

enum settings_result agent_settings_arguments(struct agent_settings *s, int argc, char *const argv[],
                                              struct error *err) {
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        if (argument[0] != '-' || argument[1] == '\0') {
            if (strcmp(argument, "start") == 0) {
                continue; /* the only action, and implied */
            }
            return wrong(err, "Unknown action: %", argument);
        }
        const char *name = argument + (argument[1] == '-' ? 2 : 1);
        if (strcmp(name, "help") == 0 || strcmp(name, "h") == 0) {
            return SETTINGS_HELP;
        }
        if (strcmp(name, "version") == 0) {
            return SETTINGS_VERSION;
        }
        if (is_verbose(name)) {
            continue;
        }
        const char *equals = strchr(name, '=');
        size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        int taken = 0;
        enum settings_result result =
            take_flag(s, span_bytes(name, len), equals != NULL ? equals + 1 : NULL, &next, &taken, err);
        if (result != SETTINGS_PARSED) {
            return result;
        }
        i += taken;
    }
    return SETTINGS_PARSED;
}

void agent_settings_help(struct buf *out) {
    buf_append_cstr(out, "Usage: pxp-agent [options]\n\nExecutes what a PCP controller asks for: tasks, scripts, "
                         "commands, Puppet runs.\n\nOptions:\n");
    for (size_t i = 0; i < settings_key_count; i++) {
        const struct settings_key *k = &settings_keys[i];
        if (k->file_only || k->hidden) {
            continue;
        }
        char *flag = str_printf("--%s%s%s", k->name, k->value != NULL ? " " : "", k->value != NULL ? k->value : "");
        buf_printf(out, "  %-36s %s\n", flag, k->help);
        mem_free(flag);
    }
    buf_append_cstr(out, "  -h, --help                           Prints this and ends\n"
                         "  --version                            Prints the version and ends\n"
                         "  -v, --verbose                        Accepted, without effect\n\n"
                         "In the configuration file only: broker-ws-uris, primary-uris (lists, in failover order).\n"
                         "Exit codes: 1 failure, 2 command line or file, 3 configuration, 4 daemonization.\n");
}

/* ---------------------------------------------------------------------------------------- the core's configuration */

bool settings_duration(const char *text, uint64_t *ms) {
    size_t len = strlen(text);
    uint64_t number;
    if (len < 2 || !span_to_u64(span_bytes(text, len - 1), &number) || number > 1000 * 1000) {
        return false;
    }
    switch (text[len - 1]) {
    case 'd':
        *ms = number * 24 * 3600 * 1000;
        return true;
    case 'h':
        *ms = number * 3600 * 1000;
        return true;
    case 'm':
        *ms = number * 60 * 1000;
        return true;
    default:
        return false;
    }
}

static const char *text_or_null(const struct agent_settings *s, const char *key) {
    const char *text = agent_settings_text(s, key);
    return *text != '\0' ? text : NULL;
}

static uint64_t milliseconds(const struct agent_settings *s, const char *key) {
    return (uint64_t)agent_settings_integer(s, key) * 1000;
}

struct agent_config agent_settings_config(const struct agent_settings *s) {
    struct agent_config c = agent_config_default();
    const struct settings_value *brokers = settings_value(s, "broker-ws-uris");
    const struct settings_value *primaries = settings_value(s, "primary-uris");
    c.brokers = (const char *const *)brokers->items;
    c.broker_count = brokers->item_count;
    c.primaries = (const char *const *)primaries->items;
    c.primary_count = primaries->item_count;
    c.version = strcmp(agent_settings_text(s, "pcp-version"), "2") == 0 ? PCP_V2 : PCP_V1;
    c.broker_proxy = text_or_null(s, "broker-ws-proxy");
    c.download_proxy = text_or_null(s, "master-proxy");
    c.connection_timeout_ms = milliseconds(s, "connection-timeout");
    c.ping_interval_ms = milliseconds(s, "ping-interval");
    c.allowed_keepalive_timeouts = (uint32_t)agent_settings_integer(s, "allowed-keepalive-timeouts");
    c.association_timeout_ms = milliseconds(s, "association-timeout");
    c.message_ttl_ms = milliseconds(s, "pcp-message-ttl");
    c.download_connect_timeout_ms = milliseconds(s, "task-download-connect-timeout");
    c.download_timeout_ms = milliseconds(s, "task-download-timeout");
    c.max_message_size = (size_t)agent_settings_integer(s, "max-message-size");
    c.output_max = (uint64_t)agent_settings_integer(s, "max-output-size");
    c.jobs_max = (uint32_t)agent_settings_integer(s, "max-jobs");
    settings_duration(agent_settings_text(s, "spool-dir-purge-ttl"), &c.spool_ttl_ms);
    settings_duration(agent_settings_text(s, "task-cache-dir-purge-ttl"), &c.cache_ttl_ms);
    c.modules_dir = agent_settings_text(s, "modules-dir");
    c.modules_config_dir = agent_settings_text(s, "modules-config-dir");
    c.ssl_ca = agent_settings_text(s, "ssl-ca-cert");
    c.ssl_cert = agent_settings_text(s, "ssl-cert");
    c.ssl_key = agent_settings_text(s, "ssl-key");
    c.ssl_crl = agent_settings_text(s, "ssl-crl");
    c.reference = strcmp(agent_settings_text(s, "compatibility"), "reference") == 0;
    c.refusal_is_final = strcmp(agent_settings_text(s, "refused-association"), "exit") == 0;
    return c;
}
