/* What descriptions of faults hold: durations, ratios, hosts; every message names its place. */
#include "simulator/faults/internal.h"

#include "base/mem.h"
#include "base/option.h"
#include "simulator/fleet/behaviour.h"
#include <string.h>

bool fault_wrong(struct error *err, const char *where, const char *what) {
    return error_set_details(err, "fault", json_pack("{s:s}", "key", where), "%s: %s", where, what);
}

bool fault_read_duration(const json_t *value, const char *where, struct dist *out, struct error *err) {
    struct error own = ERROR_INIT;
    if (duration_dist(value, out, &own)) {
        return true;
    }
    fault_wrong(err, where, own.msg);
    error_clear(&own);
    return false;
}

/* "-1h" is a duration, too. */
bool fault_read_signed(const json_t *value, const char *where, int64_t *out_ms, struct error *err) {
    const char *text = json_string_value(value);
    bool back = text != NULL && *text == '-';
    json_t *rest = json_string(text == NULL ? "" : back ? text + 1 : text);
    struct dist d;
    bool ok = fault_read_duration(rest, where, &d, err);
    json_decref(rest);
    *out_ms = ok ? (int64_t)(d.a / 1000) * (back ? -1 : 1) : 0;
    return ok;
}

bool fault_read_ratio(const json_t *object, const char *key, const char *where, uint32_t *out_ppm, struct error *err) {
    const json_t *value = json_object_get(object, key);
    double ratio = json_number_value(value);
    if (!json_is_number(value) || ratio < 0 || ratio > 1) {
        return fault_wrong(err, where, "a ratio between 0 and 1 is wanted");
    }
    *out_ppm = (uint32_t)(ratio * 1000000 + 0.5);
    return true;
}

bool fault_only_keys(const json_t *object, const char *where, const char *const *keys, struct error *err) {
    size_t count = 0;
    while (keys[count] != NULL) {
        count++;
    }
    const char *key = json_unknown_key(object, keys, count);
    if (key == NULL) {
        return true;
    }
    const char *near = nearest_word(key, keys, count);
    char *at = str_printf("%s%s%s", where, *where != '\0' ? "." : "", key);
    error_set_details(err, "fault", json_pack("{s:s}", "key", at), "%s: unknown key%s%s%s", at,
                      near != NULL ? "; did you mean " : "", near != NULL ? near : "", near != NULL ? "?" : "");
    mem_free(at);
    return false;
}

static const char *find_host(void *ctx, const char *name) {
    const struct world *host = sim_find_host(ctx, name);
    return host != NULL ? sim_host_name(host) : NULL;
}
static const char *host_at(void *ctx, size_t i) {
    return i < sim_host_count(ctx) ? sim_host_name(sim_host_at(ctx, i)) : NULL;
}

bool fault_read_hosts(struct faults *f, const json_t *value, const char *where, char ***names, size_t *count,
                      struct error *err) {
    struct known_hosts known = {find_host, host_at, f != NULL ? f->sim : NULL};
    return hosts_read(f != NULL ? &known : NULL, value, where, names, count, err);
}
