/* Groups, classification, environments and classes over HTTP (classifier.md §8-§16, §19). */
#include "base/mem.h"
#include "fakes/classifier/model.h"
#include "fakes/tests/rig.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define API "/classifier-api/v1"
#define EDGE "6b0d5a44-9a43-4b7f-9c7e-0f6f2a0c6d10"
#define CHILD "0d9e9c0a-0c5e-4a1f-8f3a-7f1b7b1c2d3e"
#define BARE "11111111-2222-4333-8444-555555555555"
#define UNKNOWN "99999999-2222-4333-8444-555555555555"

static const char fixture[] =
    "{'groups': [{'name': 'Edge', 'id': '" EDGE "', 'parent': 'root', 'rule': ['~', 'name', '^edge'],"
    "             'classes': {'haproxy': {'maxconn': '4000'}}, 'variables': {'tier': 'edge'}},"
    "            {'name': 'Edge Debian', 'id': '" CHILD "', 'parent': '" EDGE "',"
    "             'rule': ['=', ['fact', 'os', 'family'], 'Debian'],"
    "             'classes': {'haproxy': {'maxconn': '8000'}, 'apt': {}}},"
    "            {'name': 'Bare', 'id': '" BARE "', 'parent': 'root', 'classes': {}}],"
    " 'environments': ['production', 'staging'],"
    " 'classes': [{'name': 'haproxy', 'environment': 'production', 'parameters': {'maxconn': null}},"
    "             {'name': 'apt', 'environment': 'production',"
    "              'parameters': {'a': null, 'b': null, 'c': null, 'e': null}}],"
    " 'nodes': {'edge9': {'variables': {'tier': 'own'}}},"
    " 'options': {'check_ins': true}}";

static const char people[] =
    "{'users': [{'login': 'lee', 'roles': ['Looker']}, {'login': 'eve'}, {'login': 'ada', 'roles': ['Pinner']}],"
    " 'roles': [{'display_name': 'Looker', 'permissions':"
    "             [{'object_type': 'node_groups', 'action': 'view', 'instance': '" CHILD "'}]},"
    "           {'display_name': 'Pinner', 'permissions':"
    "             [{'object_type': 'node_groups', 'action': 'edit_child_rules', 'instance': '" EDGE "'}]}],"
    " 'tokens': [{'token': 't-admin', 'login': 'admin'}, {'token': 't-lee', 'login': 'lee'},"
    "            {'token': 't-eve', 'login': 'eve'}, {'token': 't-ada', 'login': 'ada'}]}";

struct bench {
    struct rig rig;
    struct fake_classifier *classifier;
    struct fake_rbac *rbac; /* NULL: everybody may do everything */
};

static json_t *classes_of(void *ctx, const char *environment, struct error *err) {
    (void)ctx;
    if (strcmp(environment, "staging") == 0) {
        error_set(err, "world/refused", "no Puppet Server");
        return NULL;
    }
    return quoted("{'files': [{'path': 'a.pp', 'classes': [{'name': 'nginx', 'params':"
                  " [{'name': 'port', 'default_literal': 80}, {'name': 'root'}]}]},"
                  " {'path': 'b.pp', 'error': 'x'}]}");
}

static json_t *nodes_of(void *ctx, const json_t *query, struct error *err) {
    (void)ctx;
    (void)err;
    json_t *expected = quoted("['~', 'certname', '^edge']");
    assert_true(json_equal(query, expected));
    json_decref(expected);
    return quoted("['edge1', 'edge2']");
}

static struct bench *make(bool with_rbac, bool with_puppetdb) {
    struct bench *b = mem_zalloc(sizeof *b);
    struct error err = ERROR_INIT;
    json_t *initial = quoted(fixture);
    rig_open(&b->rig);
    struct fake_classifier_opts opts = {
        .state = initial, .classes_of = classes_of, .nodes_of = with_puppetdb ? nodes_of : NULL};
    b->classifier = fake_classifier_new(b->rig.server, &opts, &err);
    if (b->classifier == NULL) {
        fail_msg("%s", err.msg);
    }
    json_decref(initial);
    struct fake *fakes[2] = {fake_classifier_base(b->classifier), NULL};
    if (with_rbac) {
        initial = quoted(people);
        b->rbac = fake_rbac_new(b->rig.server, &(struct fake_rbac_opts){.state = initial}, &err);
        assert_non_null(b->rbac);
        json_decref(initial);
        fakes[1] = fake_rbac_base(b->rbac);
        fake_classifier_join_rbac(b->classifier, b->rbac);
    }
    rig_serve(&b->rig, fakes, with_rbac ? 2 : 1);
    return b;
}

static int alone(void **state) {
    *state = make(false, true);
    return 0;
}

static int without_puppetdb(void **state) {
    *state = make(false, false);
    return 0;
}

static int with_people(void **state) {
    *state = make(true, true);
    return 0;
}

static int tear_down(void **state) {
    struct bench *b = *state;
    rig_stop(&b->rig);
    fake_classifier_free(b->classifier);
    fake_rbac_free(b->rbac);
    rig_end(&b->rig);
    mem_free(b);
    return 0;
}

static const char *caller; /* token of the calls below */

static char *as_json(const char *body) {
    if (body == NULL) {
        return NULL;
    }
    json_t *value = quoted(body);
    char *text = json_text(value);
    json_decref(value);
    return text;
}

static json_t *call(void **state, const char *method, const char *path, const char *body, int status) {
    struct bench *b = *state;
    char *text = as_json(body);
    json_t *answer =
        rig_json(&b->rig, &(struct ask){.method = method, .path = path, .token = caller, .body = text}, status);
    mem_free(text);
    return answer;
}

static void call_fails(void **state, const char *method, const char *path, const char *body, int status,
                       const char *kind) {
    struct bench *b = *state;
    char *text = as_json(body);
    rig_error(&b->rig, &(struct ask){.method = method, .path = path, .token = caller, .body = text}, status, kind);
    mem_free(text);
}

static void groups_are_listed_by_name(void **state) {
    json_t *all = call(state, "GET", API "/groups", NULL, 200);
    assert_int_equal(json_array_size(all), 4);
    assert_string_equal(json_str(json_array_get(all, 0), "name"), "All Nodes");
    assert_string_equal(json_str(json_array_get(all, 1), "name"), "Bare");
    json_decref(all);
    all = call(state, "GET", API "/groups?limit=1&offset=2", NULL, 200);
    assert_int_equal(json_array_size(all), 1);
    assert_string_equal(json_str(json_array_get(all, 0), "name"), "Edge");
    json_decref(all);
    call_fails(state, "GET", API "/groups?limit=x", NULL, 400, "malformed-number");
    call_fails(state, "GET", API "/groups?limit=-1", NULL, 400, "illegal-count");
}

static void one_group_is_read(void **state) {
    json_t *g = call(state, "GET", API "/groups/" CHILD, NULL, 200);
    assert_string_equal(json_str(g, "parent"), EDGE);
    assert_int_equal(json_int(g, "serial_number", 0), 1);
    assert_json(json_deep_copy(json_object_get(g, "variables")), quoted("{}"));
    json_decref(g);
    g = call(state, "GET", API "/groups/" CHILD "?inherited=1", NULL, 200);
    assert_json(json_deep_copy(json_object_get(g, "variables")), quoted("{'tier': 'edge'}"));
    assert_json(json_deep_copy(json_object_get(g, "classes")), quoted("{'haproxy': {'maxconn': '8000'}, 'apt': {}}"));
    json_decref(g);
    call_fails(state, "GET", API "/groups/x", NULL, 400, "malformed-uuid");
    call_fails(state, "GET", API "/groups/" UNKNOWN, NULL, 404, "not-found");
}

static void rules_are_read_with_their_translation(void **state) {
    assert_json(call(state, "GET", API "/groups/" EDGE "/rules", NULL, 200),
                quoted("{'rule': ['~', 'name', '^edge'],"
                       " 'rule_with_inherited': ['and', ['~', 'name', '^edge'], ['~', 'name', '.*']],"
                       " 'translated': {'nodes_query_format': ['~', 'certname', '^edge'],"
                       "                'inventory_query_format': ['~', 'certname', '^edge']}}"));
    assert_json(call(state, "GET", API "/groups/" CHILD "/rules", NULL, 200),
                quoted("{'rule': ['=', ['fact', 'os', 'family'], 'Debian'],"
                       " 'rule_with_inherited': ['and', ['=', ['fact', 'os', 'family'], 'Debian'],"
                       "                         ['~', 'name', '^edge'], ['~', 'name', '.*']],"
                       " 'translated': {'nodes_query_format': null, 'inventory_query_format':"
                       "    ['and', ['=', 'facts.os.family', 'Debian'], ['~', 'certname', '^edge']]}}"));
    json_t *bare = call(state, "GET", API "/groups/" BARE "/rules", NULL, 200);
    assert_true(json_is_null(json_object_get(bare, "rule")));
    json_decref(bare);
    json_t *root = call(state, "GET", API "/groups/" CLASSIFIER_ROOT_ID "/rules", NULL, 200);
    assert_json(json_deep_copy(json_object_get(json_object_get(root, "translated"), "inventory_query_format")),
                quoted("['~', 'certname', '.*']"));
    json_decref(root);
    assert_json(call(state, "GET", API "/groups/" EDGE "/nodes", NULL, 200),
                quoted("[{'name': 'edge1'}, {'name': 'edge2'}]"));
    assert_json(call(state, "GET", API "/groups/" BARE "/nodes", NULL, 200), quoted("[]"));
}

static void without_puppetdb_nobody_knows_the_nodes(void **state) {
    call_fails(state, "GET", API "/groups/" EDGE "/nodes", NULL, 501, "not-implemented");
}

static void rules_are_translated(void **state) {
    assert_json(call(state, "POST", API "/rules/translate", "['=', 'name', 'a']", 200),
                quoted("{'query': ['=', 'certname', 'a']}"));
    assert_json(call(state, "POST", API "/rules/translate?format=inventory", "['=', ['fact', 'a', 'b'], 'c']", 200),
                quoted("{'query': ['=', 'facts.a.b', 'c']}"));
    call_fails(state, "POST", API "/rules/translate?format=nodes", "['=', ['fact', 'a', 'b'], 'c']", 422,
               "untranslatable-rule");
    call_fails(state, "POST", API "/rules/translate?format=nosuch", "['=', 'name', 'a']", 400, "invalid-format");
    call_fails(state, "POST", API "/rules/translate", "['nosuch']", 400, "schema-violation");
    struct bench *b = *state;
    rig_error(&b->rig, &(struct ask){.method = "POST", .path = API "/rules/translate", .body = "[oops"}, 400,
              "malformed-request");
}

static void a_group_is_made_changed_and_deleted(void **state) {
    struct bench *b = *state;
    struct reply made =
        rig_ask(&b->rig, &(struct ask){.method = "POST",
                                       .path = API "/groups",
                                       .body = "{\"name\":\"New\",\"parent\":\"" EDGE "\",\"classes\":{}}"});
    assert_int_equal(made.status, 303);
    char *path = str_dup(reply_header(&made, "location"));
    reply_clear(&made);
    json_t *g = call(state, "GET", path, NULL, 200);
    assert_string_equal(json_str(g, "environment"), "production");
    json_decref(g);
    g = call(state, "POST", path,
             "{'rule': ['=', 'name', 'a'], 'classes': {'haproxy': {'maxconn': '1'}}, 'variables': {'x': {'y': 1}},"
             " 'serial_number': 1}",
             200);
    assert_int_equal(json_int(g, "serial_number", 0), 2);
    json_decref(g);
    call_fails(state, "POST", path, "{'description': 'x', 'serial_number': 1}", 409, "serial-number-conflict");
    g = call(state, "POST", path,
             "{'rule': null, 'classes': {'haproxy': {'maxconn': null}, 'apt': {}},"
             " 'variables': {'x': null}}",
             200);
    assert_true(json_is_null(json_object_get(g, "rule")));
    assert_json(json_deep_copy(json_object_get(g, "classes")), quoted("{'haproxy': {}, 'apt': {}}"));
    assert_json(json_deep_copy(json_object_get(g, "variables")), quoted("{}"));
    json_decref(g);
    call_fails(state, "POST", path, "{'id': '" EDGE "'}", 400, "conflicting-ids");
    call_fails(state, "POST", path, "{'shoe': 1}", 400, "schema-violation");
    json_decref(call(state, "DELETE", path, NULL, 204));
    call_fails(state, "DELETE", path, NULL, 404, "not-found");
    mem_free(path);
}

static void bad_groups_are_refused(void **state) {
    call_fails(state, "POST", API "/groups", "{'name': 'x', 'parent': '" EDGE "'}", 400, "schema-violation");
    call_fails(state, "POST", API "/groups", "{'name': 'x', 'parent': 'y', 'classes': {}}", 400, "schema-violation");
    call_fails(state, "POST", API "/groups", "{'name': '', 'parent': 'root', 'classes': {}}", 400, "schema-violation");
    call_fails(state, "POST", API "/groups", "{'name': 'x', 'parent': 'root', 'classes': {'a': 1}}", 400,
               "schema-violation");
    call_fails(state, "POST", API "/groups", "{'name': 'x', 'parent': 'root', 'classes': {}, 'rule': ['a']}", 400,
               "schema-violation");
    call_fails(state, "POST", API "/groups", "{'name': 'Edge', 'parent': 'root', 'classes': {}}", 422,
               "uniqueness-violation");
    call_fails(state, "POST", API "/groups", "{'name': 'x', 'parent': '" UNKNOWN "', 'classes': {}}", 422,
               "missing-parent");
    call_fails(state, "POST", API "/groups", "{'name': 'x', 'parent': 'root', 'classes': {'nosuch': {}}}", 422,
               "missing-referents");
    call_fails(state, "POST", API "/groups", "{'name': 'x', 'parent': 'root', 'classes': {'apt': {'nosuch': 1}}}", 422,
               "missing-referents");
    call_fails(state, "POST", API "/validate/group", "{'name': 'Edge', 'parent': 'root', 'classes': {}}", 422,
               "uniqueness-violation");
    json_decref(call(state, "POST", API "/validate/group", "{'name': 'x', 'parent': 'root', 'classes': {}}", 200));
    json_t *all = call(state, "GET", API "/groups", NULL, 200);
    assert_int_equal(json_array_size(all), 4);
    json_decref(all);
    call_fails(state, "POST", API "/groups/" EDGE, "{'parent': '" CHILD "'}", 422, "inheritance-cycle");
    call_fails(state, "POST", API "/groups/" EDGE, "{'classes': {'nosuch': {}}}", 422, "missing-referents");
    call_fails(state, "DELETE", API "/groups/" EDGE, NULL, 422, "children-present");
    call_fails(state, "POST", API "/groups/" CLASSIFIER_ROOT_ID, "{'rule': null}", 422, "root-rule-edit");
    call_fails(state, "DELETE", API "/groups/" CLASSIFIER_ROOT_ID, NULL, 403, "permission-denied");
}

static void put_makes_and_replaces(void **state) {
    static const char body[] = "{'name': 'Put', 'parent': 'root', 'classes': {'gone': {'a': 1}}}";
    json_t *g = call(state, "PUT", API "/groups/" UNKNOWN, body, 201);
    assert_json(json_deep_copy(json_object_get(g, "deleted")),
                quoted("{'gone': {'puppetlabs.classifier/deleted': true,"
                       " 'a': {'puppetlabs.classifier/deleted': true, 'value': 1}}}"));
    json_decref(g);
    json_decref(call(state, "PUT", API "/groups/" UNKNOWN, body, 200));
    g = call(state, "PUT", API "/groups/" UNKNOWN, "{'name': 'Put2', 'parent': 'root', 'classes': {}}", 201);
    assert_int_equal(json_int(g, "serial_number", 0), 2);
    json_decref(g);
    call_fails(state, "PUT", API "/groups/x", body, 400, "malformed-uuid");
    call_fails(state, "PUT", API "/groups/" UNKNOWN, "{'name': 'a', 'parent': 'root', 'classes': {}, 'id': '" EDGE "'}",
               400, "conflicting-ids");
    /* A reference that was there may stay while other things change. */
    json_decref(call(state, "PUT", API "/groups/" UNKNOWN, body, 201));
    json_decref(call(state, "POST", API "/groups/" UNKNOWN, "{'description': 'kept'}", 200));
}

static void nodes_are_pinned(void **state) {
    json_decref(call(state, "POST", API "/groups/" EDGE "/pin?nodes=a,b", NULL, 204));
    json_decref(call(state, "POST", API "/groups/" BARE "/pin", "{'nodes': ['a']}", 204));
    json_t *g = call(state, "GET", API "/groups/" EDGE, NULL, 200);
    assert_json(json_deep_copy(json_object_get(g, "rule")),
                quoted("['or', ['~', 'name', '^edge'], ['=', 'name', 'a'], ['=', 'name', 'b']]"));
    json_decref(g);
    assert_json(call(state, "POST", API "/commands/unpin-from-all", "{'nodes': ['a', 'z']}", 200),
                quoted("{'nodes': [{'name': 'a', 'groups': ["
                       "{'id': '" BARE "', 'name': 'Bare', 'environment': 'production'},"
                       "{'id': '" EDGE "', 'name': 'Edge', 'environment': 'production'}]}]}"));
    json_decref(call(state, "POST", API "/groups/" EDGE "/unpin", "{'nodes': ['b', 'z']}", 204));
    g = call(state, "GET", API "/groups/" EDGE, NULL, 200);
    assert_json(json_deep_copy(json_object_get(g, "rule")), quoted("['~', 'name', '^edge']"));
    json_decref(g);
    call_fails(state, "POST", API "/groups/" EDGE "/pin", NULL, 400, "missing-parameters");
    call_fails(state, "POST", API "/groups/" EDGE "/pin", "{'nodes': 'a'}", 400, "schema-violation");
    call_fails(state, "POST", API "/groups/" EDGE "/pin", "{'nodes': [], 'odd': 1}", 400, "schema-violation");
    struct bench *b = *state;
    rig_error(&b->rig, &(struct ask){.method = "POST", .path = API "/groups/" EDGE "/pin", .body = "oops"}, 400,
              "malformed-request");
    call_fails(state, "POST", API "/groups/" CLASSIFIER_ROOT_ID "/pin", "{'nodes': ['a']}", 422, "root-rule-edit");
}

static void nodes_are_classified(void **state) {
    static const char facts[] = "{'fact': {'os': {'family': 'Debian'}}, 'trusted': {}}";
    assert_json(call(state, "POST", API "/classified/nodes/edge1", facts, 200),
                quoted("{'name': 'edge1', 'groups': ['" CLASSIFIER_ROOT_ID "', '" EDGE "', '" CHILD "'],"
                       " 'environment': 'production', 'parameters': {'tier': 'edge'},"
                       " 'classes': {'haproxy': {'maxconn': '8000'}, 'apt': {}}}"));
    assert_json(call(state, "POST", "/classifier-api/v2/classified/nodes/edge1", facts, 200),
                quoted("{'name': 'edge1', 'groups': [{'id': '" CLASSIFIER_ROOT_ID "', 'name': 'All Nodes'},"
                       " {'id': '" EDGE "', 'name': 'Edge'}, {'id': '" CHILD "', 'name': 'Edge Debian'}],"
                       " 'environment': 'production', 'classes': ['haproxy', 'apt'],"
                       " 'parameters': {'haproxy': {'maxconn': '8000'}, 'apt': {}}}"));
    json_t *own = call(state, "POST", API "/classified/nodes/edge9", NULL, 200);
    assert_json(json_deep_copy(json_object_get(own, "parameters")), quoted("{'tier': 'own'}"));
    json_decref(own);
    json_t *other = call(state, "POST", API "/classified/nodes/web1", "{}", 200);
    assert_json(json_deep_copy(json_object_get(other, "groups")), quoted("['" CLASSIFIER_ROOT_ID "']"));
    json_decref(other);
    call_fails(state, "POST", API "/classified/nodes/web1", "{'fact': 1}", 400, "schema-violation");
}

static void leaves_that_disagree_conflict(void **state) {
    json_decref(call(state, "PUT", API "/groups/" UNKNOWN,
                     "{'name': 'Other', 'parent': 'root', 'rule': ['~', 'name', 'edge'],"
                     " 'classes': {'haproxy': {'maxconn': '1'}}, 'variables': {'tier': 'other', 'same': 1}}",
                     201));
    json_t *conflict = call(state, "POST", API "/classified/nodes/edge1", "{}", 500);
    assert_string_equal(json_str(conflict, "kind"), "classification-conflict");
    const json_t *details = json_object_get(conflict, "details");
    const json_t *values = json_object_get(json_object_get(json_object_get(details, "classes"), "haproxy"), "maxconn");
    assert_int_equal(json_array_size(values), 2);
    assert_string_equal(json_str(json_array_get(values, 0), "value"), "4000");
    assert_string_equal(json_str(json_object_get(json_array_get(values, 0), "defined_by"), "name"), "Edge");
    assert_int_equal(json_array_size(json_object_get(json_object_get(details, "variables"), "tier")), 2);
    assert_null(json_object_get(json_object_get(details, "variables"), "same"));
    assert_null(json_object_get(details, "environment"));
    json_decref(conflict);
}

static void environments_trump_or_conflict(void **state) {
    json_decref(call(state, "PUT", API "/groups/" UNKNOWN,
                     "{'name': 'Other', 'parent': 'root', 'rule': ['~', 'name', 'edge'], 'classes': {},"
                     " 'environment': 'staging'}",
                     201));
    json_t *conflict = call(state, "POST", API "/classified/nodes/edge1", "{}", 500);
    assert_int_equal(json_array_size(json_object_get(json_object_get(conflict, "details"), "environment")), 2);
    json_decref(conflict);
    json_decref(call(state, "POST", API "/groups/" UNKNOWN, "{'environment_trumps': true}", 200));
    json_t *good = call(state, "POST", API "/classified/nodes/edge1", "{}", 200);
    assert_string_equal(json_str(good, "environment"), "staging");
    json_decref(good);
    json_decref(call(state, "POST", API "/groups/" EDGE, "{'environment_trumps': true}", 200));
    call_fails(state, "POST", API "/classified/nodes/edge1", "{}", 500, "classification-conflict");
}

static void classifications_are_explained(void **state) {
    json_t *e =
        call(state, "POST", API "/classified/nodes/edge1/explanation", "{'fact': {'os': {'family': 'Debian'}}}", 200);
    assert_json(json_deep_copy(json_object_get(e, "node_as_received")),
                quoted("{'fact': {'os': {'family': 'Debian'}}, 'name': 'edge1', 'trusted': {}}"));
    assert_int_equal(json_object_size(json_object_get(e, "match_explanations")), 3);
    assert_int_equal(json_object_size(json_object_get(e, "leaf_groups")), 1);
    assert_string_equal(json_str(json_object_get(e, "final_classification"), "environment"), "production");
    const json_t *classes = json_object_get(json_object_get(e, "classification_sources"), "classes");
    assert_json(json_deep_copy(json_object_get(json_object_get(classes, "haproxy"), "maxconn")),
                quoted("{'value': '8000', 'sources': ['" CHILD "']}"));
    const json_t *variables = json_object_get(json_object_get(e, "classification_sources"), "variables");
    assert_json(json_deep_copy(json_object_get(variables, "tier")),
                quoted("{'value': 'edge', 'sources': ['" EDGE "']}"));
    json_decref(e);
    call_fails(state, "POST", API "/classified/nodes/edge1/explanation", "{}", 400, "schema-violation");
    json_decref(call(state, "PUT", API "/groups/" UNKNOWN,
                     "{'name': 'Other', 'parent': 'root', 'rule': ['~', 'name', 'edge'], 'classes': {},"
                     " 'variables': {'tier': 'x'}}",
                     201));
    e = call(state, "POST", API "/classified/nodes/edge1/explanation", "{'fact': {}}", 200);
    assert_non_null(json_object_get(e, "conflicts"));
    assert_null(json_object_get(e, "final_classification"));
    json_decref(e);
}

static void check_ins_are_kept(void **state) {
    assert_json(call(state, "GET", API "/nodes", NULL, 200), quoted("[]"));
    json_decref(call(state, "POST", API "/classified/nodes/edge1", "{'transaction_uuid': '" UNKNOWN "'}", 200));
    json_t *node = call(state, "GET", API "/nodes/edge1", NULL, 200);
    const json_t *check_in = json_array_get(json_object_get(node, "check_ins"), 0);
    assert_string_equal(json_str(check_in, "transaction_uuid"), UNKNOWN);
    assert_int_equal(json_object_size(json_object_get(check_in, "explanation")), 2);
    json_decref(node);
    call_fails(state, "GET", API "/nodes/web1", NULL, 404, "not-found");
}

static void children_are_shown_to_a_depth(void **state) {
    json_t *trees = call(state, "GET", API "/group-children/" CLASSIFIER_ROOT_ID, NULL, 200);
    assert_int_equal(json_array_size(trees), 1);
    const json_t *root = json_array_get(trees, 0);
    assert_int_equal(json_int(root, "immediate_child_count", 0), 2);
    const json_t *edge = json_array_get(json_object_get(root, "children"), 1);
    assert_string_equal(json_str(edge, "name"), "Edge");
    assert_int_equal(json_array_size(json_object_get(edge, "children")), 1);
    json_decref(trees);
    trees = call(state, "GET", API "/group-children/" CLASSIFIER_ROOT_ID "?depth=0", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(json_array_get(trees, 0), "children")), 0);
    assert_int_equal(json_int(json_array_get(trees, 0), "immediate_child_count", 0), 2);
    json_decref(trees);
    call_fails(state, "GET", API "/group-children/x", NULL, 400, "malformed-uuid");
    call_fails(state, "GET", API "/group-children/" EDGE "?depth=x", NULL, 400, "malformed-number");
    call_fails(state, "GET", API "/group-children/" EDGE "?depth=-1", NULL, 400, "illegal-count");
    call_fails(state, "GET", API "/group-children/" UNKNOWN, NULL, 404, "not-found");
}

static void a_hierarchy_is_imported(void **state) {
    json_t *all = call(state, "GET", API "/groups", NULL, 200);
    char *text = json_text(all);
    struct bench *b = *state;
    json_decref(call(state, "POST", API "/groups/" EDGE, "{'description': 'changed'}", 200));
    struct ask import = {.method = "POST", .path = API "/import-hierarchy", .body = text};
    json_decref(rig_json(&b->rig, &import, 204));
    json_t *edge = call(state, "GET", API "/groups/" EDGE, NULL, 200);
    assert_null(json_object_get(edge, "description"));
    json_decref(edge);
    mem_free(text);
    json_decref(all);
    call_fails(state, "POST", API "/import-hierarchy", "{}", 400, "schema-violation");
    call_fails(state, "POST", API "/import-hierarchy", "[]", 400, "schema-violation");
    call_fails(state, "POST", API "/import-hierarchy",
               "[{'name': 'All Nodes', 'id': '" CLASSIFIER_ROOT_ID "', 'parent': '" CLASSIFIER_ROOT_ID "',"
               "  'classes': {}, 'rule': ['~', 'name', '.*']},"
               " {'name': 'a', 'id': '" EDGE "', 'parent': '" UNKNOWN "', 'classes': {}}]",
               422, "unreachable-groups");
    call_fails(state, "POST", API "/import-hierarchy",
               "[{'name': 'All Nodes', 'id': '" CLASSIFIER_ROOT_ID "', 'parent': '" CLASSIFIER_ROOT_ID "',"
               "  'classes': {}, 'rule': ['~', 'name', '.*']},"
               " {'name': 'a', 'id': '" EDGE "', 'parent': '" CHILD "', 'classes': {}},"
               " {'name': 'b', 'id': '" CHILD "', 'parent': '" EDGE "', 'classes': {}}]",
               422, "inheritance-cycle");
    edge = call(state, "GET", API "/groups/" EDGE, NULL, 200);
    assert_string_equal(json_str(edge, "name"), "Edge");
    json_decref(edge);
}

static void environments_and_classes(void **state) {
    assert_json(
        call(state, "GET", API "/environments", NULL, 200),
        quoted("[{'name': 'production', 'sync_succeeded': true}, {'name': 'staging', 'sync_succeeded': true}]"));
    assert_json(call(state, "PUT", API "/environments/test", NULL, 201),
                quoted("{'name': 'test', 'sync_succeeded': true}"));
    json_decref(call(state, "GET", API "/environments/test", NULL, 200));
    struct bench *b = *state;
    struct reply gone = rig_ask(&b->rig, &(struct ask){.path = API "/environments/nosuch"});
    assert_int_equal(gone.status, 404);
    assert_int_equal(gone.body.len, 0);
    reply_clear(&gone);
    assert_json(call(state, "GET", API "/environments/production/classes/haproxy", NULL, 200),
                quoted("{'name': 'haproxy', 'environment': 'production', 'parameters': {'maxconn': null}}"));
    gone = rig_ask(&b->rig, &(struct ask){.path = API "/environments/production/classes/nosuch"});
    assert_int_equal(gone.status, 404);
    reply_clear(&gone);
    assert_json(call(state, "GET", API "/last-class-update", NULL, 200), quoted("{'last_update': null}"));
    json_decref(call(state, "POST", API "/update-classes?environment=production", NULL, 201));
    assert_json(call(state, "GET", API "/environments/production/classes", NULL, 200),
                quoted("[{'name': 'nginx', 'environment': 'production', 'parameters': {'port': 80, 'root': null}}]"));
    json_t *updated = call(state, "GET", API "/last-class-update", NULL, 200);
    assert_non_null(json_str(updated, "last_update"));
    json_decref(updated);
    call_fails(state, "POST", API "/update-classes", NULL, 500, "unexpected-response");
    json_t *all = call(state, "GET", API "/classes", NULL, 200);
    assert_int_equal(json_array_size(all), 1);
    json_decref(all);
}

static void permissions_hold(void **state) {
    caller = "t-lee";
    json_t *all = call(state, "GET", API "/groups", NULL, 200);
    assert_int_equal(json_array_size(all), 1);
    assert_string_equal(json_str(json_array_get(all, 0), "id"), CHILD);
    json_decref(all);
    json_decref(call(state, "GET", API "/groups/" CHILD "/rules", NULL, 200));
    call_fails(state, "GET", API "/groups/" EDGE, NULL, 403, "permission-denied");
    json_t *trees = call(state, "GET", API "/group-children/" CLASSIFIER_ROOT_ID, NULL, 200);
    assert_int_equal(json_array_size(trees), 1);
    assert_string_equal(json_str(json_array_get(trees, 0), "id"), CHILD);
    json_decref(trees);
    assert_json(call(state, "GET", API "/group-children/" CLASSIFIER_ROOT_ID "?depth=1", NULL, 200), quoted("[]"));
    call_fails(state, "POST", API "/groups/" CHILD, "{'description': 'x'}", 403, "permission-denied");
    call_fails(state, "POST", API "/groups/" CHILD, "{'variables': {'x': 1}}", 403, "permission-denied");
    call_fails(state, "POST", API "/groups/" CHILD, "{'environment': 'staging'}", 403, "permission-denied");
    call_fails(state, "POST", API "/groups/" CHILD "/pin?nodes=a", NULL, 403, "permission-denied");
    call_fails(state, "POST", API "/groups", "{'name': 'x', 'parent': '" CHILD "', 'classes': {}}", 403,
               "permission-denied");
    call_fails(state, "POST", API "/import-hierarchy", "[]", 403, "permission-denied");
    caller = "t-ada"; /* may change the rules below Edge, and so sees Edge and what is below */
    json_decref(call(state, "POST", API "/groups/" CHILD "/pin?nodes=a", NULL, 204));
    call_fails(state, "POST", API "/groups/" EDGE "/pin?nodes=a", NULL, 403, "permission-denied");
    caller = "t-eve";
    assert_json(call(state, "GET", API "/groups", NULL, 200), quoted("[]"));
    caller = "t-nobody";
    call_fails(state, "GET", API "/groups", NULL, 401, "invalid-token");
    caller = NULL;
    call_fails(state, "GET", API "/groups", NULL, 401, "user-unauthenticated");
    caller = "t-admin";
    json_decref(call(state, "DELETE", API "/groups/" CHILD, NULL, 204));
    caller = NULL;
}

/* A user who has this one permission on the group. */
static void grant(void **state, const char *action, const char *group) {
    struct bench *b = *state;
    char *body = str_printf(
        "{\"rbac\": {\"users\": [{\"login\": \"one\", \"roles\": [\"One\"]}], \"roles\": [{\"display_name\": "
        "\"One\", \"permissions\": [{\"object_type\": \"node_groups\", \"action\": \"%s\", \"instance\": "
        "\"%s\"}]}], \"tokens\": [{\"token\": \"t-one\", \"login\": \"one\"}, {\"token\": \"t-admin\", "
        "\"login\": \"admin\"}]}}",
        action, group);
    json_decref(rig_json(&b->rig, &(struct ask){.method = "PUT", .path = "/_fake/state", .body = body}, 204));
    mem_free(body);
}

static void each_permission_allows_its_changes_only(void **state) {
    static const struct {
        const char *name, *body, *back; /* back: how the administrator undoes it */
    } changes[] = {
        {"description", "{'description': 'new'}", "{'description': null}"},
        {"environment", "{'environment_trumps': true}", "{'environment_trumps': false}"},
        {"rule", "{'rule': null}", "{'rule': ['=', ['fact', 'os', 'family'], 'Debian']}"},
        {"variables", "{'variables': {'x': 1}}", "{'variables': {'x': null}}"},
        {"parameters", "{'classes': {'haproxy': {'maxconn': '1'}}}", "{'classes': {'haproxy': {'maxconn': '8000'}}}"},
        {"classes", "{'classes': {'apt': null}}", "{'classes': {'apt': {}}}"},
        {"config_data", "{'config_data': {'apt': {'c': 1}}}", "{'config_data': {'apt': null}}"},
    };
    static const struct {
        const char *action, *group, *allowed;
    } cases[] = {
        {"view", CHILD, ""},
        {"set_environment", CHILD, " environment "},
        {"edit_child_rules", EDGE, " rule "},
        {"edit_child_rules", CHILD, ""},
        {"edit_params_and_vars", CHILD, " variables parameters "},
        {"edit_config_data", CHILD, " config_data "},
        {"edit_classification", CHILD, " description variables parameters classes config_data "},
        {"modify_children", EDGE, " description rule variables parameters classes config_data "},
        {"modify_children", CHILD, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        grant(state, cases[i].action, cases[i].group);
        for (size_t k = 0; k < sizeof changes / sizeof changes[0]; k++) {
            char *word = str_printf(" %s ", changes[k].name);
            bool allowed = strstr(cases[i].allowed, word) != NULL;
            caller = "t-one";
            json_decref(call(state, "POST", API "/groups/" CHILD, changes[k].body, allowed ? 200 : 403));
            caller = "t-admin";
            json_decref(call(state, "POST", API "/groups/" CHILD, changes[k].back, 200));
            caller = NULL;
            mem_free(word);
        }
    }
    /* Who moves a group needs the permission at both ends. */
    grant(state, "modify_children", EDGE);
    caller = "t-one";
    call_fails(state, "POST", API "/groups/" CHILD, "{'parent': '" BARE "'}", 403, "permission-denied");
    caller = NULL;
}

static void configuration_data_follow_the_same_ways(void **state) {
    static const char *path = API "/groups/" CHILD;
    json_t *g = call(state, "POST", path, "{'config_data': {'apt': {'a': 1, 'b': 2}, 'haproxy': {}}}", 200);
    assert_json(json_deep_copy(json_object_get(g, "config_data")), quoted("{'apt': {'a': 1, 'b': 2}}"));
    json_decref(g);
    g = call(state, "POST", path, "{'config_data': {'apt': {'a': null, 'c': {'d': 3}}}}", 200);
    assert_json(json_deep_copy(json_object_get(g, "config_data")), quoted("{'apt': {'b': 2, 'c': {'d': 3}}}"));
    json_decref(g);
    json_decref(call(state, "POST", API "/groups/" EDGE, "{'config_data': {'apt': {'b': 1, 'e': 5}}}", 200));
    g = call(state, "GET", API "/groups/" CHILD "?inherited=1", NULL, 200);
    assert_json(json_deep_copy(json_object_get(g, "config_data")), quoted("{'apt': {'b': 2, 'e': 5, 'c': {'d': 3}}}"));
    json_decref(g);
    static const char facts[] = "{'fact': {'os': {'family': 'Debian'}}}";
    json_t *classified = call(state, "POST", API "/classified/nodes/edge1", facts, 200);
    assert_json(json_deep_copy(json_object_get(classified, "config_data")),
                quoted("{'apt': {'b': 2, 'e': 5, 'c': {'d': 3}}}"));
    json_decref(classified);
    json_decref(call(state, "PUT", API "/groups/" UNKNOWN,
                     "{'name': 'Other', 'parent': 'root', 'rule': ['~', 'name', 'edge'], 'classes': {},"
                     " 'config_data': {'apt': {'b': 7}}}",
                     201));
    json_t *conflict = call(state, "POST", API "/classified/nodes/edge1", facts, 500);
    const json_t *apt = json_object_get(json_object_get(json_object_get(conflict, "details"), "config_data"), "apt");
    assert_int_equal(json_array_size(json_object_get(apt, "b")), 2);
    json_decref(conflict);
    call_fails(state, "POST", path, "{'config_data': {'apt': 5}}", 400, "schema-violation");
    json_decref(
        call(state, "PUT", "/_fake/state",
             "{'classifier': {'options': {'allow_config_data': false}, 'classes': [{'name': 'apt', 'environment': "
             "'production', 'parameters': {'a': null}}], 'groups': [{'name': 'Plain', 'id': '" CHILD
             "', 'parent': 'root', 'classes': {}}]}}",
             204));
    g = call(state, "GET", path, NULL, 200);
    assert_null(json_object_get(g, "config_data"));
    json_decref(g);
    call_fails(state, "POST", path, "{'config_data': {'apt': {'a': 1}}}", 400, "schema-violation");
}

static void the_state_survives_a_round_trip(void **state) {
    struct bench *b = *state;
    json_decref(call(state, "POST", API "/classified/nodes/edge1", "{}", 200));
    json_decref(call(state, "POST", API "/groups/" EDGE "/pin?nodes=a", NULL, 204));
    json_t *before = call(state, "GET", "/_fake/state", NULL, 200);
    char *text = json_text(before);
    json_decref(rig_json(&b->rig, &(struct ask){.method = "PUT", .path = "/_fake/state", .body = text}, 204));
    assert_json(call(state, "GET", "/_fake/state", NULL, 200), before);
    mem_free(text);
    static const char *const bad[] = {
        "{'groups': [{'name': 'x', 'parent': 'root'}]}",
        "{'groups': [{'name': 'x', 'id': 'y', 'parent': 'root', 'classes': {}}]}",
        "{'groups': [{'name': 'x', 'parent': '" UNKNOWN "', 'classes': {}}]}",
        "{'classes': [{}]}",
        "{'nodes': {'a': 1}}",
        "{'last_update': 'x'}",
        "{'odd': 1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *body = str_printf("{'classifier': %s}", bad[i]);
        struct error err = ERROR_INIT;
        json_t *value = quoted(body);
        assert_null(classifier_model_load(json_object_get(value, "classifier"), 0, &err));
        error_clear(&err);
        json_decref(value);
        mem_free(body);
    }
    call_fails(state, "GET", API "/nosuch", NULL, 404, "not-found");
    call_fails(state, "PATCH", API "/groups", NULL, 405, "method-not-allowed");
}

#define T(name) cmocka_unit_test_setup_teardown(name, alone, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(groups_are_listed_by_name),
        T(one_group_is_read),
        T(rules_are_read_with_their_translation),
        T(rules_are_translated),
        T(a_group_is_made_changed_and_deleted),
        T(bad_groups_are_refused),
        T(put_makes_and_replaces),
        T(nodes_are_pinned),
        T(nodes_are_classified),
        T(leaves_that_disagree_conflict),
        T(environments_trump_or_conflict),
        T(classifications_are_explained),
        T(check_ins_are_kept),
        T(children_are_shown_to_a_depth),
        T(a_hierarchy_is_imported),
        T(environments_and_classes),
        cmocka_unit_test_setup_teardown(without_puppetdb_nobody_knows_the_nodes, without_puppetdb, tear_down),
        T(configuration_data_follow_the_same_ways),
        cmocka_unit_test_setup_teardown(permissions_hold, with_people, tear_down),
        cmocka_unit_test_setup_teardown(each_permission_allows_its_changes_only, with_people, tear_down),
        T(the_state_survives_a_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
