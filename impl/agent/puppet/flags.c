/* See flags.h. */
#include "agent/puppet/flags.h"

#include "base/bytes.h"
#include "base/json.h"
#include <string.h>

static const char *const defaults[] = {"--onetime", "--no-daemonize", "--verbose"};

static const char *const permitted[] = {
    "color",
    "configtimeout",
    "debug",
    "disable_warnings",
    "environment",
    "evaltrace",
    "filetimeout",
    "graph",
    "http_connect_timeout",
    "http_debug",
    "http_keepalive_timeout",
    "http_read_timeout",
    "log_level",
    "noop",
    "ordering",
    "pluginsync",
    "show_diff",
    "skip_tags",
    "splay",
    "strict_environment_mode",
    "tags",
    "trace",
    "use_cached_catalog",
    "usecacheonfailure",
    "waitforcert",
};

static bool good_characters(struct span text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    (c != '\0' && strchr("_:,.-", c) != NULL);
        if (!good) {
            return false;
        }
    }
    return text.len > 0;
}

/* "--no-noop" and "--noop" are both about noop. */
static struct span name_of(struct span flag) {
    return span_starts_with(flag, "--no-") ? span_sub(flag, 5, flag.len) : span_sub(flag, 2, flag.len);
}

static bool is_default(struct span flag) {
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        if (span_eq_cstr(flag, defaults[i])) {
            return true;
        }
    }
    return false;
}

static bool check_name(struct span flag, struct error *err) {
    struct span name = name_of(flag);
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        if (span_eq(name, name_of(span_of(defaults[i])))) {
            return is_default(flag) ||
                   error_set(err, "invalid_json", "The json received on STDIN overrides a default setting with: %.*s",
                             (int)flag.len, flag.ptr);
        }
    }
    for (size_t i = 0; i < sizeof(permitted) / sizeof(permitted[0]); i++) {
        if (span_eq_cstr(name, permitted[i])) {
            return true;
        }
    }
    return error_set(err, "invalid_json", "The json received on STDIN included a non-permitted flag: %.*s",
                     (int)flag.len, flag.ptr);
}

static bool check(struct span element, struct error *err) {
    struct span flag = span_trim(element);
    if (!good_characters(flag)) {
        return error_set(err, "invalid_json",
                         "The json received on STDIN contained characters not present in valid flags: %.*s",
                         (int)flag.len, flag.ptr);
    }
    return !span_starts_with(flag, "--") || check_name(flag, err);
}

static bool has(const json_t *list, const char *flag) {
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)list, i, item) {
        if (str_eq(json_string_value(item), flag)) {
            return true;
        }
    }
    return false;
}

json_t *puppet_flags(const json_t *flags, const json_t *job, struct error *err) {
    json_t *arguments = json_array();
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)flags, i, item) {
        if (!check(json_span(item), err)) {
            json_decref(arguments);
            return NULL;
        }
        json_array_append(arguments, item);
    }
    for (size_t k = 0; k < sizeof(defaults) / sizeof(defaults[0]); k++) {
        if (!has(arguments, defaults[k])) {
            json_array_append_new(arguments, json_string(defaults[k]));
        }
    }
    if (json_is_string(job) || json_is_integer(job)) {
        json_array_append_new(arguments, json_string("--job-id"));
        json_array_append_new(arguments, json_is_string(job)
                                             ? json_incref((json_t *)(uintptr_t)job)
                                             : json_sprintf("%lld", (long long)json_integer_value(job)));
    }
    return arguments;
}
