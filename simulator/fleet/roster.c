/* See roster.h. */
#include "simulator/fleet/roster.h"
#include "simulator/fleet/behaviour_internal.h"

#include "base/mem.h"
#include "base/option.h"
#include "simulator/fleet/fleet_name.h"
#include "world/world.h"
#include <string.h>

static const char *const entry_keys[] = {"count", "name",    "pcp",     "brokers", "facts",
                                         "known", "trusted", "connect", "tasks",   "puppet_run"};
enum { ENTRY_KEYS = sizeof(entry_keys) / sizeof(entry_keys[0]) };

static bool read_brokers(struct roster_entry *e, const json_t *brokers, struct error *err) {
    if (brokers != NULL && (json_array_size(brokers) == 0 || json_array_size(brokers) > ROSTER_BROKERS_MAX)) {
        return error_set(err, "behaviour", "brokers must be a list of 1 to %d", ROSTER_BROKERS_MAX);
    }
    size_t i;
    json_t *broker;
    json_array_foreach(brokers, i, broker) {
        if (!json_is_string(broker)) {
            return error_set(err, "behaviour", "brokers must be names (broker-1) or URLs");
        }
        e->brokers[e->broker_count++] = span_dup(json_span(broker));
    }
    return true;
}

static bool read_connect(struct roster_entry *e, const json_t *connect, struct error *err) {
    static const char *const keys[] = {"after"};
    const json_t *after = json_object_get(connect, "after");
    if (connect == NULL) {
        return true;
    }
    if (!json_is_object(connect) || !behaviour_known_keys(connect, NULL, keys, 1, err)) {
        return error_is_set(err) ? error_prefix(err, "connect")
                                 : error_set(err, "behaviour", "connect must be an object");
    }
    if (after != NULL && !duration_dist(after, &e->after, err)) {
        return error_prefix(err, "connect.after");
    }
    e->has_after = after != NULL;
    return true;
}

static bool read_facts(struct roster_entry *e, const json_t *entry, struct error *err) {
    json_t *facts = json_object_get(entry, "facts"), *trusted = json_object_get(entry, "trusted");
    const json_t *known = json_object_get(entry, "known");
    if ((facts != NULL && !json_is_object(facts)) || (trusted != NULL && !json_is_object(trusted))) {
        return error_set(err, "behaviour", "facts and trusted must be objects");
    }
    e->facts = facts != NULL ? json_copy(facts) : json_object();
    if (trusted != NULL) {
        json_object_set(e->facts, "trusted", trusted);
    }
    e->known = json_bool(entry, "known", true);
    return known == NULL || json_is_boolean(known) || error_set(err, "behaviour", "known must be true or false");
}

static bool read_plain(struct roster_entry *e, const json_t *entry, struct error *err) {
    const json_t *name = json_object_get(entry, "name"), *pcp = json_object_get(entry, "pcp");
    int64_t count = json_object_get(entry, "count") != NULL ? json_int(entry, "count", -1) : 1;
    if (count < 1 || count > ROSTER_COUNT_MAX) {
        return error_set(err, "behaviour", "count must be 1 to %d", ROSTER_COUNT_MAX);
    }
    e->count = (uint32_t)count;
    if (name != NULL && !json_is_string(name)) {
        return error_set(err, "behaviour", "name must be a text");
    }
    e->name_format = name != NULL ? span_dup(json_span(name)) : NULL;
    if (e->name_format != NULL && !fleet_name_format_valid(e->name_format) &&
        (e->count > 1 || strchr(e->name_format, '{') != NULL)) {
        return error_set(err, "behaviour", "name \"%s\" needs exactly one {n} or {n:WIDTH}", e->name_format);
    }
    e->pcp = (int)json_int(entry, "pcp", 0);
    return pcp == NULL || e->pcp == 1 || e->pcp == 2 || error_set(err, "behaviour", "pcp is 1 or 2");
}

static bool read_entry(struct roster_entry *e, const json_t *entry, struct error *err) {
    if (!json_is_object(entry)) {
        return error_set(err, "behaviour", "must be an object");
    }
    if (!behaviour_known_keys(entry, NULL, entry_keys, ENTRY_KEYS, err) || !read_plain(e, entry, err) ||
        !read_brokers(e, json_object_get(entry, "brokers"), err) ||
        !read_connect(e, json_object_get(entry, "connect"), err) || !read_facts(e, entry, err)) {
        return false;
    }
    e->behaviours = behaviours_new(entry, err);
    return e->behaviours != NULL;
}

/* Two agents of one name would take each other's place at the broker. */
static bool names_differ(const struct roster *r, struct error *err) {
    for (size_t i = 0; i < r->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (str_eq(r->entries[i].name_format, r->entries[k].name_format)) {
                return error_set(err, "behaviour", "fleet[%zu]: another entry has the same name", i);
            }
        }
    }
    return true;
}

static bool read_entries(struct roster *r, const json_t *entries, struct error *err) {
    size_t i, count = json_array_size(entries);
    json_t *entry;
    if (!json_is_array(entries) || count == 0 || count > ROSTER_ENTRIES_MAX) {
        return error_set(err, "behaviour", "fleet must be a list of 1 to %d entries", ROSTER_ENTRIES_MAX);
    }
    r->entries = mem_array(count, sizeof(*r->entries));
    r->counted = true;
    json_array_foreach(entries, i, entry) {
        r->count++;
        if (!read_entry(&r->entries[i], entry, err)) {
            return error_prefix(err, "fleet[%zu]", i);
        }
    }
    return names_differ(r, err) && (roster_agents(r) <= ROSTER_COUNT_MAX ||
                                    error_set(err, "behaviour", "fleet: more than %d agents", ROSTER_COUNT_MAX));
}

static bool read_one_kind(struct roster *r, const json_t *spec, struct error *err) {
    static const char *const keys[] = {"tasks", "puppet_run", "fleet"};
    if (spec != NULL && (!json_is_object(spec) || !behaviour_known_keys(spec, NULL, keys, 3, err))) {
        return error_is_set(err) ? false : error_set(err, "behaviour", "must be an object or a list of fleet entries");
    }
    r->entries = mem_array(1, sizeof(*r->entries));
    r->count = 1;
    r->entries[0].count = 1;
    r->entries[0].known = true;
    r->entries[0].facts = json_object();
    r->entries[0].behaviours = behaviours_new(spec, err);
    return r->entries[0].behaviours != NULL;
}

bool roster_read(struct roster *r, const json_t *spec, struct error *err) {
    *r = (struct roster){NULL, 0, false};
    const json_t *fleet = json_object_get(spec, "fleet");
    bool ok = json_is_array(spec) ? read_entries(r, spec, err)
              : fleet != NULL     ? read_entries(r, fleet, err)
                                  : read_one_kind(r, spec, err);
    if (!ok) {
        roster_free(r);
    }
    return ok;
}

void roster_free(struct roster *r) {
    for (size_t i = 0; i < r->count; i++) {
        struct roster_entry *e = &r->entries[i];
        for (size_t b = 0; b < e->broker_count; b++) {
            mem_free(e->brokers[b]);
        }
        mem_free(e->name_format);
        world_names_free(e->names, e->name_count);
        json_decref(e->facts);
        behaviours_free(e->behaviours);
    }
    mem_free(r->entries);
    *r = (struct roster){NULL, 0, false};
}

uint64_t roster_agents(const struct roster *r) {
    uint64_t agents = 0;
    for (size_t i = 0; i < r->count; i++) {
        agents += r->entries[i].count;
    }
    return agents;
}

void roster_scale(struct roster *r, uint64_t agents) {
    uint64_t total = roster_agents(r), before = 0, given = 0;
    for (size_t i = 0; i < r->count; i++) {
        before += r->entries[i].count;
        uint64_t until = agents * before / total;
        r->entries[i].count = (uint32_t)(until - given);
        given = until;
    }
}

void roster_slice(const struct roster *r, size_t entry, uint32_t part, uint32_t parts, uint32_t *first,
                  uint32_t *count) {
    uint64_t total = roster_agents(r), begin = total * part / parts, end = total * (part + 1) / parts, before = 0;
    for (size_t i = 0; i < entry; i++) {
        before += r->entries[i].count;
    }
    uint64_t after = before + r->entries[entry].count;
    uint64_t from = begin > before ? begin : before, to = end < after ? end : after;
    *first = from < to ? (uint32_t)(from - before) : 0;
    *count = from < to ? (uint32_t)(to - from) : 0;
}
