/* Writing and reading events, v1 and v2, JSON and CSV (rbac.md §15). */
#include "base/mem.h"
#include "fakes/activity/activity.h"
#include "fakes/tests/rig.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define V1 "/activity-api/v1/events"
#define V2 "/activity-api/v2/events"

struct bench {
    struct rig rig;
    struct fake_activity *activity;
};

static int set_up(void **state) {
    struct bench *b = mem_zalloc(sizeof *b);
    struct error err = ERROR_INIT;
    rig_open(&b->rig);
    b->activity = fake_activity_new(b->rig.server, &(struct fake_activity_opts){.state = NULL}, &err);
    assert_non_null(b->activity);
    struct fake *fakes[] = {fake_activity_base(b->activity)};
    rig_serve(&b->rig, fakes, 1);
    *state = b;
    return 0;
}

static int tear_down(void **state) {
    struct bench *b = *state;
    rig_stop(&b->rig);
    fake_activity_free(b->activity);
    rig_end(&b->rig);
    mem_free(b);
    return 0;
}

static json_t *call(void **state, const char *method, const char *path, const char *body, int status) {
    struct bench *b = *state;
    json_t *value = body != NULL ? quoted(body) : NULL;
    char *text = value != NULL ? json_text(value) : NULL;
    json_t *answer = rig_json(&b->rig, &(struct ask){.method = method, .path = path, .body = text}, status);
    mem_free(text);
    json_decref(value);
    return answer;
}

static void call_fails(void **state, const char *method, const char *path, const char *body, const char *kind) {
    struct bench *b = *state;
    json_t *value = body != NULL ? quoted(body) : NULL;
    char *text = value != NULL ? json_text(value) : NULL;
    rig_error(&b->rig, &(struct ask){.method = method, .path = path, .body = text}, 400, kind);
    mem_free(text);
    json_decref(value);
}

/* A task on a node, by the orchestrator. */
static void write_event(void **state, const char *user, const char *node, const char *message) {
    char *body = str_printf("{'commit': {'service': {'id': 'orchestrator'}, 'subject': {'id': '%s', 'name': '%s'},"
                            " 'objects': [{'id': '%s', 'name': '%s', 'type': 'node'}], 'ip-address': '192.0.2.7'},"
                            " 'events': [{'what': 'node', 'description': 'request_service_on_node', 'type': 'run_task',"
                            " 'message': '%s'}]}",
                            user, user, node, node, message);
    json_decref(call(state, "POST", V2, body, 200));
    mem_free(body);
}

static void three_events(void **state) {
    struct bench *b = *state;
    write_event(state, "noor", "web1", "first");
    sim_run(b->rig.sim, sim_now_us(b->rig.sim) + SIM_MINUTE);
    write_event(state, "vera", "web2", "second, with comma");
    sim_run(b->rig.sim, sim_now_us(b->rig.sim) + SIM_MINUTE);
    write_event(state, "noor", "web2", "third");
}

static size_t count(void **state, const char *path) {
    json_t *answer = call(state, "GET", path, NULL, 200);
    size_t n = json_array_size(json_object_get(answer, "commits"));
    json_decref(answer);
    return n;
}

static void events_are_read_newest_first(void **state) {
    three_events(state);
    json_t *answer = call(state, "GET", V1 "?service_id=orchestrator&limit=2&offset=1", NULL, 200);
    assert_int_equal(json_int(answer, "total-rows", 0), 3);
    const json_t *commits = json_object_get(answer, "commits");
    assert_int_equal(json_array_size(commits), 2);
    const json_t *first = json_array_get(commits, 0);
    assert_json(json_deep_copy(json_object_get(first, "events")), quoted("[{'message': 'second, with comma'}]"));
    assert_json(json_deep_copy(json_object_get(first, "object")), quoted("{'id': 'web2', 'name': 'web2'}"));
    json_decref(answer);
    answer = call(state, "GET", V1 "?service_id=orchestrator&order=asc&limit=1", NULL, 200);
    assert_string_equal(
        json_str(json_object_get(json_array_get(json_object_get(answer, "commits"), 0), "object"), "id"), "web1");
    json_decref(answer);
    /* The console's id answers for the orchestrator's events too. */
    assert_int_equal(count(state, V1 "?service_id=pe-console"), 3);
    assert_int_equal(count(state, V1 "?service_id=rbac"), 0);
}

static void v1_filters(void **state) {
    three_events(state);
    assert_int_equal(count(state, V1 "?service_id=orchestrator&subject_type=users&subject_id=noor"), 2);
    assert_int_equal(count(state, V1 "?service_id=orchestrator&subject_type=users&subject_id=noor,vera"), 3);
    assert_int_equal(count(state, V1 "?service_id=orchestrator&object_type=node&object_id=web2"), 2);
    assert_int_equal(count(state, V1 "?service_id=orchestrator&object_type=roles"), 0);
    assert_int_equal(count(state, V1 "?service_id=orchestrator&subject_type=nodes"), 0);
    call_fails(state, "GET", V1, NULL, "malformed-request");
    call_fails(state, "GET", V1 "?service_id=nosuch", NULL, "malformed-request");
    call_fails(state, "GET", V1 "?service_id=rbac&subject_id=x", NULL, "malformed-request");
    call_fails(state, "GET", V1 "?service_id=rbac&object_id=x", NULL, "malformed-request");
    call_fails(state, "GET", V1 "?service_id=rbac&limit=x", NULL, "malformed-request");
    call_fails(state, "GET", V1 "?service_id=rbac&order=up", NULL, "malformed-request");
    call_fails(state, "GET", V1 "?service_id=rbac&after_service_commit_time=x", NULL, "malformed-request");
}

static void v2_filters(void **state) {
    three_events(state);
    assert_int_equal(count(state, V2), 3);
    /* [{"subject_id":"vera"},{"object_type":"node","object_id":"web1"}] */
    assert_int_equal(count(state,
                           V2 "?query=%5B%7B%22subject_id%22%3A%22vera%22%7D%2C%7B%22object_type%22%3A%22node%22%2C%22"
                              "object_id%22%3A%22web1%22%7D%5D"),
                     2);
    /* [{"ip_address":"192.0.2."}] and [{"ip_address":"10."}] */
    assert_int_equal(count(state, V2 "?query=%5B%7B%22ip_address%22%3A%22192.0.2.%22%7D%5D"), 3);
    assert_int_equal(count(state, V2 "?query=%5B%7B%22ip_address%22%3A%2210.%22%7D%5D"), 0);
    /* [{"start":"2030-01-02T03:04:35Z","end":"2030-01-02T03:06:00Z"}] */
    assert_int_equal(
        count(state, V2 "?query=%5B%7B%22start%22%3A%222030-01-02T03%3A04%3A35Z%22%2C%22end%22%3A%222030-01-02T03%3A06"
                        "%3A00Z%22%7D%5D"),
        1);
    json_t *answer = call(state, "GET", V2 "?limit=1", NULL, 200);
    assert_json(json_deep_copy(json_object_get(answer, "pagination")), quoted("{'total': 3, 'limit': 1, 'offset': 0}"));
    assert_string_equal(json_str(json_array_get(json_object_get(answer, "commits"), 0), "ip_address"), "192.0.2.7");
    json_decref(answer);
    call_fails(state, "GET", V2 "?query=x", NULL, "malformed-request");
    call_fails(state, "GET", V2 "?query=%5B1%5D", NULL, "malformed-request");
    call_fails(state, "GET", V2 "?query=%5B%7B%7D%5D", NULL, "malformed-request");
    call_fails(state, "GET", V2 "?query=%5B%7B%22start%22%3A%22x%22%7D%5D", NULL, "malformed-request");
}

static void csv_is_quoted(void **state) {
    struct bench *b = *state;
    three_events(state);
    struct reply reply =
        rig_ask(&b->rig, &(struct ask){.path = V1 ".csv?service_id=orchestrator&object_type=node&object_id=web2"});
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "content-type"), "text/csv; charset=utf-8");
    assert_true(
        span_starts_with(buf_span(&reply.body), "Submit Time,Subject Type,Subject Id,Subject Name,Object Type,"));
    assert_non_null(strstr(reply.body.ptr, ",users,vera,vera,node,web2,web2,run_task,node,request_service_on_node,"
                                           "\"second, with comma\"\r\n"));
    reply_clear(&reply);
}

static void v1_bundles_name_one_object(void **state) {
    json_decref(call(state, "POST", V1,
                     "{'commit': {'service': {'id': 'orchestrator'}, 'subject': {'id': 'u', 'name': 'u'},"
                     " 'object': {'id': 'n', 'name': 'n', 'type': 'node'}}, 'events': []}",
                     200));
    json_t *stored = call(state, "GET", "/_fake/events", NULL, 200);
    const json_t *commit = json_array_get(json_object_get(stored, "commits"), 0);
    assert_json(json_deep_copy(json_object_get(commit, "objects")),
                quoted("[{'id': 'n', 'name': 'n', 'type': 'node'}]"));
    json_decref(stored);
    call_fails(state, "POST", V1,
               "{'commit': {'service': {'id': 'o'}, 'subject': {'id': 'u', 'name': 'u'}, 'objects': []},"
               " 'events': []}",
               "schema-violation");
    call_fails(state, "POST", V2, "{'commit': {}, 'events': []}", "schema-violation");
    call_fails(state, "POST", V2, "{'events': []}", "schema-violation");
    call_fails(state, "POST", V2,
               "{'commit': {'service': {'id': 'o'}, 'subject': {'id': 'u', 'name': 'u'}, 'objects': [{}]},"
               " 'events': []}",
               "schema-violation");
}

static void old_services_have_no_v2(void **state) {
    struct bench *b = *state;
    fake_activity_set_v2(fake_activity_base(b->activity), false);
    struct reply reply = rig_ask(&b->rig, &(struct ask){.path = V2});
    assert_int_equal(reply.status, 404);
    reply_clear(&reply);
    assert_int_equal(count(state, V1 "?service_id=rbac"), 0);
}

static void the_state_survives_a_round_trip(void **state) {
    struct bench *b = *state;
    three_events(state);
    json_t *before = call(state, "GET", "/_fake/state", NULL, 200);
    char *text = json_text(before);
    json_decref(rig_json(&b->rig, &(struct ask){.method = "PUT", .path = "/_fake/state", .body = text}, 204));
    assert_json(call(state, "GET", "/_fake/state", NULL, 200), before);
    mem_free(text);
    call_fails(state, "PUT", "/_fake/state", "{'activity': {'commits': [{}]}}", "schema-violation");
    call_fails(
        state, "PUT", "/_fake/state",
        "{'activity': {'commits': [{'service': 's', 'subject': {'id': 'a', 'name': 'b'}, 'objects': [], 'events': [],"
        " 'timestamp': 'never'}]}}",
        "schema-violation");
    assert_int_equal(count(state, V2), 3);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(events_are_read_newest_first),
        T(v1_filters),
        T(v2_filters),
        T(csv_is_quoted),
        T(v1_bundles_name_one_object),
        T(old_services_have_no_v2),
        T(the_state_survives_a_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
