/* interop: puts the same into fakes and real services, asks them the same, compares the answers. Used by ci/interop. */
#include "base/mem.h"
#include "base/option.h"
#include "fakes/common/fake.h"
#include "simulator/interop/compare.h"
#include "simulator/interop/load.h"
#include "simulator/interop/request.h"
#include "world/real.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_EQUAL = 0, EXIT_DIFFERENT = 1, EXIT_USAGE = 2, EXIT_TROUBLE = 3 };

struct run {
    const char *ca_dir, *foreign_dir, *code, *state, *changes, *recordings, *rules, *fake, *real, *added;
    struct option_list moves, targets, only;
    bool verbose;
    struct world *world;
    struct fixture fixture;
    struct asker asker;
    struct compare compare;
    size_t sent, different, skipped;
};

static enum option_result parse(struct run *r, int argc, char *argv[], struct option_list *words, struct error *err) {
    const struct option options[] = {
        {OPTION_STRING, "ca-dir", 0, "DIR", "The CA (`dalang certs`) whose certificates the services take.",
         &r->ca_dir},
        {OPTION_STRING, "foreign-dir", 0, "DIR", "Another CA, with a certificate named \"foreign\".", &r->foreign_dir},
        {OPTION_LIST, "move", 0, "FROM=TO", "Replaces a text everywhere; may be repeated.", &r->moves},
        {OPTION_STRING, "changes", 0, "FILE", "Changes of the fixture (simulator/interop/fixture.h).", &r->changes},
        {OPTION_HEADING, NULL, 0, NULL, "code: writes files", NULL},
        {OPTION_STRING, "code", 0, "FILE", "JSON, path to content.", &r->code},
        {OPTION_HEADING, NULL, 0, NULL, "load: sends a state as commands", NULL},
        {OPTION_STRING, "state", 0, "FILE", "A state of the fake PuppetDB.", &r->state},
        {OPTION_LIST, "to", 0, "URL", "A PuppetDB; may be repeated.", &r->targets},
        {OPTION_HEADING, NULL, 0, NULL, "compare: asks both the same", NULL},
        {OPTION_STRING, "fake", 0, "URL", "The fake.", &r->fake},
        {OPTION_STRING, "real", 0, "URL", "The real service.", &r->real},
        {OPTION_STRING, "recordings", 0, "DIR", "Recorded exchanges: their requests are sent.", &r->recordings},
        {OPTION_STRING, "differences", 0, "FILE", "What may differ (simulator/interop/compare.h).", &r->rules},
        {OPTION_LIST, "only", 0, "GLOB", "Only requests of such names; may be repeated.", &r->only},
        {OPTION_STRING, "added", 0, "SERVICE", "Also the requests to this service that the changes add.", &r->added},
        {OPTION_FLAG, "verbose", 'v', NULL, "Names every request.", &r->verbose},
        OPTION_END,
    };
    const struct command_line line = {
        .program = "interop",
        .synopsis = "code | load | compare  [OPTIONS]",
        .summary = "the fakes beside the real services",
        .description = "Exit codes: 0 equal, 1 answers differ, 2 usage, 3 something could not be sent or read.",
        .options = options};
    return option_parse(&line, argc, argv, words, err);
}

/* ---- compare */

static bool chosen(const struct run *r, const char *name) {
    for (size_t i = 0; i < r->only.count; i++) {
        if (glob_match(r->only.items[i], name)) {
            return true;
        }
    }
    return r->only.count == 0;
}

static bool compare_one(struct run *r, const char *name, const json_t *recorded, struct error *err) {
    struct request q;
    struct answer fake = {0}, real = {0};
    request_open(&q, recorded);
    bool ok = asker_ask(&r->asker, r->fake, q.method, q.target, q.cn, q.headers, span_of(q.body), &fake, err) &&
              asker_ask(&r->asker, r->real, q.method, q.target, q.cn, q.headers, span_of(q.body), &real, err);
    if (ok) {
        bool ordered = q.ordered && !compare_ties(&r->compare, name);
        char *why = compare_answers(&r->compare, name, ordered, &fake, &real);
        r->sent++;
        r->different += why != NULL;
        if (why != NULL) {
            printf("  %s: %s %.200s\n    %s\n", name, q.method, q.target, why);
        } else if (r->verbose) {
            printf("  %s: equal (%d)\n", name, fake.status);
        }
        mem_free(why);
    }
    answer_clear(&fake);
    answer_clear(&real);
    request_close(&q);
    return ok;
}

static bool compare_recording(struct run *r, const char *name, struct error *err) {
    const char *reason = compare_skipped(&r->compare, name);
    if (!chosen(r, name)) {
        return true;
    }
    if (reason != NULL) {
        r->skipped++;
        if (r->verbose) {
            printf("  %s: not sent (%s)\n", name, reason);
        }
        return true;
    }
    char *path = str_printf("%s/%s.json", r->recordings, name);
    json_t *recording = fixture_read(&r->fixture, path, err);
    bool ok = recording != NULL && compare_one(r, name, json_object_get(recording, "request"), err);
    json_decref(recording);
    mem_free(path);
    return ok;
}

static bool is_first(const struct run *r, const char *name) {
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(r->compare.rules, "first"), i, item) {
        if (strcmp(json_string_value(item), name) == 0) {
            return true;
        }
    }
    return false;
}

static bool compare_recordings(struct run *r, struct error *err) {
    size_t i, count = 0;
    json_t *item;
    json_array_foreach(json_object_get(r->compare.rules, "first"), i, item) {
        if (!compare_recording(r, json_string_value(item), err)) {
            return false;
        }
    }
    char **names = NULL;
    bool ok = world_file_list(r->world, r->recordings, &names, &count, err);
    for (i = 0; ok && i < count; i++) {
        struct span name = span_of(names[i]);
        if (span_ends_with(name, ".json")) {
            char *bare = span_dup(span_sub(name, 0, name.len - 5));
            ok = is_first(r, bare) || compare_recording(r, bare, err);
            mem_free(bare);
        }
    }
    world_names_free(names, count);
    return ok;
}

/* An added request: as a recording has it, or short: the target of a GET, or a query. */
static json_t *added_request(json_t *item) {
    const char *text = json_string_value(item);
    if (text == NULL) {
        return json_incref(item);
    }
    return *text == '/' ? json_pack("{s:s, s:s, s:s, s:{s:s}}", "method", "GET", "target", text, "tls_client_certname",
                                    "orch.example.com", "headers", "Accept", "*/*")
                        : json_pack("{s:s, s:s, s:{s:s}, s:s, s:{s:s}}", "method", "GET", "path", "/pdb/query/v4",
                                    "query", "query", text, "tls_client_certname", "orch.example.com", "headers",
                                    "Accept", "application/json");
}

static bool compare_added(struct run *r, struct error *err) {
    size_t i;
    json_t *item;
    const json_t *all = r->added != NULL ? fixture_added(&r->fixture, "requests") : NULL;
    json_array_foreach(json_object_get(all, r->added), i, item) {
        const char *text = json_is_string(item) ? json_string_value(item) : json_str(item, "name");
        char *name = text != NULL ? str_dup(text) : str_printf("changed-%zu", i + 1);
        json_t *recorded = added_request(item);
        bool ok = !chosen(r, name) || compare_one(r, name, recorded, err);
        json_decref(recorded);
        mem_free(name);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static void tell_unused(const struct run *r) {
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(r->compare.rules, "differences"), i, item) {
        if (!json_bool(item, "used", false) && r->verbose) {
            printf("  nothing differs at %s, %s\n", json_str(item, "name"), json_str(item, "part"));
        }
    }
}

static bool compare(struct run *r, struct error *err) {
    if (r->fake == NULL || r->real == NULL || r->rules == NULL || r->recordings == NULL) {
        return error_set(err, "usage", "compare needs --fake, --real, --recordings and --differences");
    }
    json_t *rules = fixture_read(&r->fixture, r->rules, err);
    r->compare = (struct compare){.rules = rules, .fake_url = r->fake, .real_url = r->real};
    bool ok = rules != NULL && compare_rules_valid(rules, err) && compare_recordings(r, err) && compare_added(r, err);
    if (ok) {
        tell_unused(r);
        printf("%zu requests, %zu answered alike, %zu differently, %zu not sent\n", r->sent, r->sent - r->different,
               r->different, r->skipped);
    }
    json_decref(rules);
    return ok;
}

/* ---- load */

static bool load(struct run *r, struct error *err) {
    if (r->state == NULL || r->targets.count == 0) {
        return error_set(err, "usage", "load needs --state and --to");
    }
    json_t *commands = load_commands(&r->fixture, r->state, err);
    bool ok = commands != NULL;
    for (size_t i = 0; ok && i < r->targets.count; i++) {
        ok = load_send(&r->asker, r->targets.items[i], commands, err);
    }
    if (ok) {
        printf("%zu commands\n", json_array_size(commands));
    }
    json_decref(commands);
    return ok;
}

static bool act(struct run *r, const char *action, struct error *err) {
    if (strcmp(action, "code") == 0) {
        return r->code != NULL ? load_code(&r->fixture, r->code, err) : error_set(err, "usage", "code needs --code");
    }
    if (strcmp(action, "load") != 0 && strcmp(action, "compare") != 0) {
        return error_set(err, "usage", "name an action: code, load or compare");
    }
    if (r->ca_dir == NULL) {
        return error_set(err, "usage", "%s needs --ca-dir", action);
    }
    bool ok = asker_open(&r->asker, r->world, r->ca_dir, r->foreign_dir, err) &&
              (strcmp(action, "load") == 0 ? load(r, err) : compare(r, err));
    asker_close(&r->asker);
    return ok;
}

int main(int argc, char *argv[]) {
    struct run r = {0};
    struct option_list words = {NULL, 0};
    struct error err = ERROR_INIT;
    mem_init_libraries();
    enum option_result parsed = parse(&r, argc, argv, &words, &err);
    int code = EXIT_EQUAL;
    if (parsed == OPTION_PARSED) {
        r.world = real_world_new(&err);
        bool ok = r.world != NULL && real_keylog(r.world, getenv("SSLKEYLOGFILE"), &err) &&
                  fixture_open(&r.fixture, r.world, r.changes, &r.moves, &err) &&
                  act(&r, words.count == 1 ? words.items[0] : "", &err);
        code = ok ? (r.different > 0 ? EXIT_DIFFERENT : EXIT_EQUAL) : EXIT_TROUBLE;
        fixture_close(&r.fixture);
        if (r.world != NULL) {
            real_world_free(r.world);
        }
    }
    if (error_is_set(&err)) {
        fprintf(stderr, "interop: %s\n", err.msg);
        code = strcmp(err.kind, "usage") == 0 ? EXIT_USAGE : EXIT_TROUBLE;
    }
    error_clear(&err);
    option_list_free(&words);
    option_list_free(&r.moves);
    option_list_free(&r.targets);
    option_list_free(&r.only);
    return code;
}
