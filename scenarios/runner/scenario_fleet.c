/* The fleet of a scenario: groups of agents that are alike. */
#include "base/mem.h"
#include "scenarios/runner/scenario_internal.h"
#include "simulator/fleet/behaviour.h"
#include "simulator/fleet/fleet_name.h"
#include <string.h>

static void check_pcp(struct problems *p, const struct doc_node *node) {
    if (strcmp(node->text, "1") != 0 && strcmp(node->text, "2") != 0) {
        problem(p, node, "agents speak PCP 1 or 2, not \"%s\"", node->text);
    }
}

static void check_name(struct problems *p, const struct doc_node *node) {
    if (strchr(node->text, '{') != NULL && !fleet_name_format_valid(node->text)) {
        problem(p, node, "the name \"%s\" needs exactly one {n} or {n:WIDTH}", node->text);
    }
}

static void check_count(struct problems *p, const struct doc_node *node) {
    uint64_t count = 0;
    span_to_u64((struct span){node->text, node->len}, &count);
    if (count < 1 || count > SCENARIO_AGENTS_MAX) {
        problem(p, node, "a group has 1 to %d agents", SCENARIO_AGENTS_MAX);
    }
}

static void check_dist(struct problems *p, const struct doc_node *node) {
    struct error err = ERROR_INIT;
    struct dist d;
    json_t *value = doc_json(node);
    if (!duration_dist(value, &d, &err)) {
        problem(p, node, "%s", err.msg);
    }
    error_clear(&err);
    json_decref(value);
}

static void check_behaviours(struct problems *p, const struct doc_node *node);

static const struct shape shape_fleet_count = {.type = SHAPE_COUNT, .check = check_count};
static const struct shape shape_fleet_name = {.type = SHAPE_TEXT, .check = check_name};
static const struct shape shape_pcp = {.type = SHAPE_COUNT, .check = check_pcp};
static const struct shape shape_dist = {.type = SHAPE_ANY, .check = check_dist};
static const struct shape_key connect_keys[] = {{"after", &shape_dist, true}, {NULL, NULL, false}};
static const struct shape shape_connect = {.type = SHAPE_MAP, .keys = connect_keys};
static const struct shape_key trusted_keys[] = {{"extensions", &shape_object, true}, {NULL, NULL, false}};
static const struct shape shape_trusted = {.type = SHAPE_MAP, .keys = trusted_keys};
static const struct shape_key entry_keys[] = {
    {"count", &shape_fleet_count, false},
    {"name", &shape_fleet_name, false},
    {"pcp", &shape_pcp, false},
    {"brokers", &shape_texts, false},
    {"facts", &shape_object, false},
    {"trusted", &shape_trusted, false},
    {"connect", &shape_connect, false},
    {"tasks", &shape_object, false},
    {"puppet_run", &shape_object, false},
    {"known", &shape_bool, false},
    {NULL, NULL, false},
};
static const struct shape shape_entry = {.type = SHAPE_MAP, .keys = entry_keys, .check = check_behaviours};
const struct shape shape_fleet = {.type = SHAPE_LIST, .of = &shape_entry};

static json_t *behaviours_of(const struct doc_node *node) {
    static const char *const keys[] = {"tasks", "puppet_run"};
    json_t *spec = json_object();
    for (size_t i = 0; i < 2; i++) {
        const struct doc_node *value = doc_get(node, keys[i]);
        if (value != NULL) {
            json_set(spec, keys[i], doc_json(value));
        }
    }
    return spec;
}

/* The message begins with the place: "puppet_run.status: …", or with the name of a task. */
static const struct doc_node *place_of(const struct doc_node *node, const char *message) {
    const char *end = strstr(message, ": "), *quote = strstr(message, "unknown key \"");
    char *path = end != NULL ? span_dup((struct span){message, (size_t)(end - message)}) : str_dup("");
    const struct doc_node *task = doc_get(doc_get(node, "tasks"), path), *key_node = NULL;
    const struct doc_node *at = task != NULL ? task : doc_at(node, path);
    if (quote != NULL) {
        const char *name = strchr(quote, '"') + 1;
        char *key = span_dup((struct span){name, strcspn(name, "\"")});
        key_node = doc_get_key(at, key);
        mem_free(key);
    }
    mem_free(path);
    return key_node != NULL ? key_node : at;
}

static void check_behaviours(struct problems *p, const struct doc_node *node) {
    struct error err = ERROR_INIT;
    json_t *spec = behaviours_of(node);
    struct behaviours *b = behaviours_new(spec, &err);
    if (b == NULL) {
        problem(p, place_of(node, err.msg), "%s", err.msg);
    }
    behaviours_free(b);
    error_clear(&err);
    json_decref(spec);
}

static void read_brokers(struct loading *l, const struct doc_node *node, const struct scenario *s,
                         struct fleet_entry *e) {
    size_t count = node == NULL ? s->stack.brokers : node->kind == DOC_LIST ? node->count : 1;
    for (size_t i = 0; i < count && e->broker_count < SCENARIO_BROKERS_MAX; i++) {
        uint64_t number = i + 1;
        if (node != NULL) {
            const struct doc_node *item = node->kind == DOC_LIST ? node->items[i] : node;
            bool ok = strncmp(item->text, "broker-", 7) == 0 && span_to_u64(span_of(item->text + 7), &number);
            if (!ok || number < 1 || number > s->stack.brokers) {
                problem(l->problems, item, "there is no %s; the stack has broker-1 to broker-%zu", item->text,
                        s->stack.brokers);
                continue;
            }
        }
        e->brokers[e->broker_count++] = (size_t)number - 1;
    }
}

static void read_entry(struct loading *l, const struct doc_node *node, const struct scenario *s,
                       struct fleet_entry *e) {
    const struct doc_node *count = doc_get(node, "count"), *name = doc_get(node, "name"), *pcp = doc_get(node, "pcp"),
                          *facts = doc_get(node, "facts"), *trusted = doc_get(node, "trusted"),
                          *connect = doc_get(node, "connect"), *known = doc_get(node, "known");
    uint64_t number = 1;
    if (count != NULL) {
        span_to_u64((struct span){count->text, count->len}, &number);
    }
    e->count = (uint32_t)number;
    e->name = str_dup(name != NULL ? name->text : "node-{n:04}.example.com");
    if (strchr(e->name, '{') == NULL && e->count != 1) {
        problem(l->problems, name, "%u agents cannot all be called \"%s\"; use {n} or {n:04}", e->count, e->name);
    }
    e->version = pcp != NULL && strcmp(pcp->text, "1") == 0 ? PCP_V1 : PCP_V2;
    e->known = known == NULL || strcmp(known->text, "false") != 0;
    e->facts = facts != NULL ? doc_json(facts) : json_object();
    if (trusted != NULL) {
        json_set(e->facts, "trusted", doc_json(trusted));
    }
    e->behaviours = behaviours_of(node);
    e->connect_after_us = dist_uniform(0, 1000000);
    if (connect != NULL) {
        json_t *after = doc_json(doc_get(connect, "after"));
        duration_dist(after, &e->connect_after_us, NULL);
        json_decref(after);
    }
    read_brokers(l, doc_get(node, "brokers"), s, e);
}

void fleet_read(struct loading *l, const struct doc_node *node, struct scenario *s) {
    size_t count = node == NULL ? 0 : node->kind == DOC_LIST ? node->count : 1;
    s->fleet = mem_array(count + 1, sizeof(*s->fleet));
    for (size_t i = 0; i < count; i++) {
        read_entry(l, node->kind == DOC_LIST ? node->items[i] : node, s, &s->fleet[s->fleet_count++]);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(s->fleet[i].name, s->fleet[k].name) == 0) {
                problem(l->problems, node->items[i], "another group has the name \"%s\", too", s->fleet[i].name);
            }
        }
    }
    if ((s->worlds & SCENARIO_REAL) != 0 && scenario_agents(s) > SCENARIO_REAL_AGENTS_MAX) {
        problem(l->problems, node, "at most %d agents can be real; more: worlds: [sim]", SCENARIO_REAL_AGENTS_MAX);
    }
}

void fleet_clear(struct scenario *s) {
    for (size_t i = 0; i < s->fleet_count; i++) {
        mem_free(s->fleet[i].name);
        json_decref(s->fleet[i].facts);
        json_decref(s->fleet[i].behaviours);
    }
    mem_free(s->fleet);
}
