/* POST /pdb/cmd/v1 (puppetdb.md §16). Commands take effect at once; the answer does not say whether they were any good:
 * a payload that is refused is dropped, and whoever waits for it waits in vain. */
#include "base/json.h"
#include "internal.h"
#include "payload.h"
#include "pql/quote.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct command {
    const char *name;
    int64_t oldest, newest; /* versions */
    bool (*apply)(struct pdb *s, const json_t *payload, int64_t now_ms, struct error *err);
};

static const struct command commands[] = {/* sorted: the error text lists them */
                                          {"configure expiration", 1, 1, pdb_configure_expiration},
                                          {"deactivate node", 3, 3, pdb_deactivate},
                                          {"replace catalog", 6, 9, pdb_replace_catalog},
                                          {"replace catalog inputs", 1, 1, pdb_replace_catalog_inputs},
                                          {"replace facts", 4, 5, pdb_replace_facts},
                                          {"store report", 5, 8, pdb_add_report}};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static const struct command *command_named(const char *name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (str_eq(name, commands[i].name)) {
            return &commands[i];
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- old reports */

/* Until version 5 events stood in a list of their own: each becomes a resource. */
static json_t *newest_report(const json_t *payload) {
    json_t *report = json_copy((json_t *)(uintptr_t)payload);
    const json_t *events = json_object_get(payload, "resource_events");
    json_t *resources = json_array();
    size_t i;
    json_t *event;
    json_array_foreach(events, i, event) {
        json_t *resource = json_copy(event);
        json_set(resource, "skipped", json_boolean(str_eq(json_str(event, "status"), "skipped")));
        json_set(resource, "events", json_pack("[O]", event));
        json_array_append_new(resources, resource);
    }
    json_set(report, "resources", resources);
    return report;
}

/* ---------------------------------------------------------------- reports come in swarms */

static void end_swarm(void *ctx) {
    puppetdb_settle(ctx);
}

/* Those of one turn of the loop are one transaction. A store on disk is asked to keep each before it is answered. */
static void join_swarm(struct fake_puppetdb *p) {
    if (p->store->in_memory && !p->swarm_open) {
        p->swarm_open = true;
        pdb_begin(p->store);
        world_defer(p->base.world, &p->swarm, end_swarm, p);
    }
}

void puppetdb_settle(struct fake_puppetdb *p) {
    if (p->swarm_open) {
        p->swarm_open = false;
        world_undefer(p->base.world, &p->swarm);
        pdb_end(p->store, true);
    }
}

static bool store_report(struct fake_puppetdb *p, const struct command *c, const json_t *payload, struct error *err) {
    join_swarm(p);
    if (!json_is_array(json_object_get(payload, "resource_events"))) {
        return c->apply(p->store, payload, fake_now_ms(&p->base), err);
    }
    json_t *report = newest_report(payload);
    bool ok = c->apply(p->store, report, fake_now_ms(&p->base), err);
    json_decref(report);
    return ok;
}

bool fake_puppetdb_command(struct fake_puppetdb *p, const char *name, const json_t *payload, struct error *err) {
    const struct command *c = command_named(name);
    if (c == NULL) {
        return error_set(err, "puppetdb/payload", "no command '%s'", name);
    }
    if (c->apply == pdb_add_report) {
        return store_report(p, c, payload, err);
    }
    puppetdb_settle(p); /* what fails below must not take reports with it */
    pdb_keep_promises(p->store);
    return c->apply(p->store, payload, fake_now_ms(&p->base), err);
}

/* ---------------------------------------------------------------- those who wait in vain */

struct waiter {
    struct list_link link;
    struct fake_puppetdb *p;
    struct http_exchange *ex;
    struct timer timer;
    char uuid[37];
};

static void forget(struct waiter *w) {
    world_timer_stop(w->p->base.world, &w->timer);
    list_remove(&w->p->waiting, &w->link);
    mem_free(w);
}

static void gone(void *ctx) {
    forget(ctx);
}

static json_t *outcome(const char *uuid, bool processed) {
    return json_pack("{s:s, s:b, s:b}", "uuid", uuid, "processed", processed, "timed_out", !processed);
}

static void time_is_up(void *ctx) {
    struct waiter *w = ctx;
    struct http_exchange *ex = w->ex;
    json_t *answer = outcome(w->uuid, false);
    forget(w);
    http_on_abandon(ex, NULL, NULL);
    puppetdb_json_value(ex, 503, answer);
}

static void wait_in_vain(struct fake_puppetdb *p, struct http_exchange *ex, const char *uuid, double seconds) {
    struct waiter *w = mem_zalloc(sizeof *w);
    w->p = p;
    w->ex = ex;
    memcpy(w->uuid, uuid, sizeof w->uuid);
    list_push_back(&p->waiting, &w->link);
    http_on_abandon(ex, gone, w);
    enum { LONGEST_S = 24 * 3600 };
    world_timer_start(p->base.world, &w->timer, (uint64_t)((seconds < LONGEST_S ? seconds : LONGEST_S) * 1000),
                      time_is_up, w);
}

void puppetdb_waiters_detach(struct fake_puppetdb *p) {
    for (struct list_link *k; p->waiting.head.next != NULL && (k = list_first(&p->waiting)) != NULL;) {
        struct waiter *w = LIST_ITEM(k, struct waiter, link);
        http_on_abandon(w->ex, NULL, NULL);
        forget(w);
    }
}

/* ---------------------------------------------------------------- requests */

struct submission {
    json_t *params;  /* name → text, or what the old form has */
    json_t *payload; /* NULL: not readable */
};

static void submission_free(struct submission *s) {
    json_decref(s->params);
    json_decref(s->payload);
}

/* A parameter as PuppetDB prints it: "text" in quotes, or nil. */
static void print(struct buf *out, const json_t *value) {
    if (value == NULL) {
        buf_append_cstr(out, "nil");
    } else {
        quote_readable(out, value);
    }
}

/* False, after answering 400 with the sentence. */
static bool invalid(struct http_exchange *ex, const struct submission *s, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool invalid(struct http_exchange *ex, const struct submission *s, const char *format, ...) {
    struct buf text = BUF_INIT;
    buf_append_cstr(&text, "Command ");
    print(&text, json_object_get(s->params, "command"));
    buf_append_cstr(&text, " for certname ");
    print(&text, json_object_get(s->params, "certname"));
    buf_append_cstr(&text, " is invalid. ");
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    puppetdb_json_error(ex, 400, "%s", text.ptr);
    buf_free(&text);
    return false;
}

static void read_parameters(struct http_exchange *ex, struct submission *s) {
    const char *name, *value;
    for (size_t i = 0; http_query_at(ex, i, &name, &value); i++) {
        json_t *text = json_str_new(span_of(value));
        json_object_set_new(s->params, name, text != NULL ? text : json_string(""));
    }
    const char *command = json_str(s->params, "command");
    if (command != NULL) {
        char *plain = str_dup(command);
        for (char *c = plain; *c != '\0'; c++) {
            *c = *c == '_' ? ' ' : *c;
        }
        json_set(s->params, "command", json_string(plain));
        mem_free(plain);
    }
    int64_t version;
    if (span_to_i64(json_span(json_object_get(s->params, "version")), &version)) {
        json_set(s->params, "version", json_integer(version));
    }
}

/* {"command": …, "version": …, "payload": {…}} */
static bool read_old_form(struct http_exchange *ex, struct submission *s) {
    json_t *body = s->payload;
    json_t *payload = json_object_get(body, "payload");
    json_t *params = json_object();
    json_object_update(params, json_is_object(body) ? body : params);
    json_object_del(params, "payload");
    bool complete =
        json_object_get(body, "command") != NULL && json_object_get(body, "version") != NULL && payload != NULL;
    json_t *certname = json_object_get(payload, "certname");
    if (certname != NULL) {
        json_object_set(params, "certname", certname);
    }
    json_decref(s->params);
    s->params = params;
    if (!complete) {
        return invalid(
            ex, s,
            "Command was submitted without query parameters (old format). The request body must be a JSON map with "
            "required keys: command, version, payload.");
    }
    if (!json_is_object(payload)) {
        return invalid(
            ex, s,
            "Command was submitted without query parameters (old format). The payload value must be a JSON map.");
    }
    json_incref(payload);
    json_decref(body);
    s->payload = payload;
    return true;
}

static void list_names(struct buf *out, const char *name) {
    buf_printf(out, "%s%s", out->len > 0 ? ", " : "", name);
}

static bool check_names(struct http_exchange *ex, const struct submission *s) {
    static const char *const valid[] = {
        "command", "version", "certname", "checksum", "secondsToWaitForCompletion", "producer-timestamp"};
    struct buf missing = BUF_INIT, unknown = BUF_INIT;
    for (size_t i = 0; i < 3; i++) {
        if (json_object_get(s->params, valid[i]) == NULL) {
            list_names(&missing, valid[i]);
        }
    }
    const char *name;
    json_t *value;
    json_object_foreach(s->params, name, value) {
        bool known = false;
        for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
            known = known || strcmp(name, valid[i]) == 0;
        }
        if (!known) {
            list_names(&unknown, name);
        }
    }
    bool ok = missing.len == 0 && unknown.len == 0;
    if (missing.len > 0) {
        invalid(ex, s, "Command is missing required parameters: %s.", missing.ptr);
    } else if (unknown.len > 0) {
        invalid(ex, s, "Command has invalid parameters: %s.", unknown.ptr);
    }
    buf_free(&missing);
    buf_free(&unknown);
    return ok;
}

/* The command meant, or NULL after answering. */
static const struct command *check_command(struct http_exchange *ex, const struct submission *s) {
    if (!check_names(ex, s)) {
        return NULL;
    }
    if (span_trim(json_span(json_object_get(s->params, "certname"))).len == 0) {
        invalid(ex, s, "Certname must be a non-empty string.");
        return NULL;
    }
    const struct command *c = command_named(json_str(s->params, "command"));
    if (c == NULL) {
        struct buf names = BUF_INIT;
        for (size_t i = 0; i < COMMAND_COUNT; i++) {
            list_names(&names, commands[i].name);
        }
        invalid(ex, s, "Command must be one of: %s.", names.ptr);
        buf_free(&names);
        return NULL;
    }
    const json_t *version = json_object_get(s->params, "version");
    if (!json_is_integer(version)) {
        invalid(ex, s, "Version must be a valid integer.");
        return NULL;
    }
    if (json_integer_value(version) < c->oldest) {
        invalid(ex, s, "Version %lld of command \"%s\" is retired. The minimum supported version is %lld.",
                (long long)json_integer_value(version), c->name, (long long)c->oldest);
        return NULL;
    }
    return c;
}

static void submit(struct fake_puppetdb *p, struct http_exchange *ex, const struct command *c,
                   const struct submission *s) {
    const char *seconds = json_str(s->params, "secondsToWaitForCompletion");
    char *end = NULL;
    double wait_s = seconds != NULL ? strtod(seconds, &end) : 0;
    if (seconds != NULL && (end == seconds || *end != '\0')) {
        puppetdb_text(ex, 500, SPAN("the time to wait is no number"));
        return;
    }
    char uuid[37];
    world_uuid(p->base.world, uuid);
    struct error err = ERROR_INIT;
    int64_t version = json_integer_value(json_object_get(s->params, "version"));
    bool processed = version <= c->newest && s->payload != NULL && payload_check(c->name, version, s->payload, &err) &&
                     fake_puppetdb_command(p, c->name, s->payload, &err);
    if (!processed) {
        log_warn(p->base.log, "puppetdb: %s of %s dropped: %s", c->name, json_str(s->params, "certname"),
                 error_is_set(&err) ? err.msg : "unreadable or of an unknown version");
    }
    if (!(wait_s > 0)) {
        puppetdb_json_value(ex, 200, json_pack("{s:s}", "uuid", uuid));
    } else if (processed) {
        puppetdb_json_value(ex, 200, outcome(uuid, true));
    } else {
        wait_in_vain(p, ex, uuid, wait_s);
    }
    error_clear(&err);
}

static void handle(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_puppetdb *p = puppetdb_of(f);
    if (!puppetdb_admit(p, ex, "nodes:edit_data:*") || !puppetdb_check_content(ex)) {
        return;
    }
    struct submission s = {json_object(), json_parse(http_request(ex)->body, "puppetdb/payload", NULL)};
    read_parameters(ex, &s);
    bool ok = json_object_get(s.params, "command") != NULL || read_old_form(ex, &s);
    const struct command *c = ok ? check_command(ex, &s) : NULL;
    if (c != NULL) {
        submit(p, ex, c, &s);
    }
    submission_free(&s);
}

const struct fake_route puppetdb_command_routes[] = {{NULL, "/pdb/cmd/v1", handle, NULL}, {NULL, NULL, NULL, NULL}};
