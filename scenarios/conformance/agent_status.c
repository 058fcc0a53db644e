/* Transactions: status, duplicates, the spool, restarts, purging (pxp.md §7, agent.md §12-§14). */
#include "base/mem.h"
#include "scenarios/conformance/agent_side.h"
#include <signal.h>
#include <string.h>

#define ERROR_OBJECT(msg)                                                                                              \
    "{\\\"_error\\\":{\\\"kind\\\":\\\"puppetlabs.pxp-agent/"                                                          \
    "execution-error\\\",\\\"details\\\":{},\\\"msg\\\":\\\"" msg "\\\"}}"
#define COMMAND(c, notify)                                                                                             \
    "{\"transaction_id\": \"${tx}\", \"module\": \"command\", \"action\": \"run\", \"notify_outcome\": " notify        \
    ", \"params\": {\"command\": \"" c "\"}}"
#define METADATA(more)                                                                                                 \
    "{'requester': '${ctl}', 'module': 'command', 'action': 'run', 'request_params': '{}', 'transaction_id': "         \
    "'${tx}', 'request_id': '$uuid', 'notify_outcome': '$bool', 'start': '$time-ms'" more "}"

static const char *spool(struct stage *s, const char *name) {
    return agent_path(s, "spool/%s/%s", variables_get(&s->vars, "tx"), name);
}

static bool exists(struct stage *s, const char *path) {
    struct world_stat st;
    return world_file_stat(s->world, path, &st, NULL);
}

struct awaited {
    struct stage *s;
    const char *path;
    bool there;
};

static bool file_is(void *ctx) {
    struct awaited *a = ctx;
    return exists(a->s, a->path) == a->there;
}

/* The world turns only for events: it is looked at again after a while. */
static void file_becomes(struct stage *s, const char *path, bool there) {
    struct awaited a = {s, path, there};
    for (uint64_t waited = 0; !file_is(&a); waited += 20) {
        check(s, waited < s->opts->patience_ms, there ? "a file" : "no file any more", "%s", path);
        waits_for(s, file_is, &a, 20);
    }
}

static void metadata_is(struct stage *s, const char *want) {
    const char *text = file_text(s, spool(s, "metadata"));
    const size_t len = text != NULL ? strlen(text) : 0;
    check(s, len != 0, want, "no metadata");
    check(s, text[len - 1] == '\n', "a line feed at the end", "none");
    json_t *got = json_parse(span_of(text), "x", NULL), *template = template_read(&s->vars, want);
    check(s, got != NULL, want, "%s", text);
    json_array_append_new(s->kept, got);
    json_array_append_new(s->kept, template);
    char *why;
    bool ok = template_match(&s->vars, template, got, &why);
    check(s, ok, want, "%s", ok ? "" : keep_text(s, why));
}

/* ---- status */

static void unknown(struct stage *s) {
    status_becomes(s, "{\"transaction_id\": \"${tx}\", \"status\": \"unknown\", \"stdout\": \"" ERROR_OBJECT(
                          "found no results directory") "\"}");
}

struct finished {
    const char *command, *status; /* with notify_outcome */
};

static void finished(struct stage *s) {
    const struct finished *f = s->c->data;
    asks(s, "non_blocking", f->command);
    provisional(s);
    struct link_event *e = next_event(s, agent_side(s)->agent);
    link_event_free(e);
    status_becomes(s, f->status);
    status_becomes(s, f->status); /* any number of times */
}

static void key_order(struct stage *s) {
    asks(s, "non_blocking", COMMAND("echo out; echo err >&2; exit 3", "true"));
    provisional(s);
    link_event_free(next_event(s, agent_side(s)->agent));
    asks(s, "blocking",
         "{'transaction_id': '${tx2}', 'module': 'status', 'action': 'query', 'params': {'transaction_id': '${tx}'}}");
    struct link_event *e = next_event(s, agent_side(s)->agent);
    char *want = variables_fill(&s->vars, "{\"transaction_id\":\"${tx}\",\"exitcode\":3,\"status\":\"failure\","
                                          "\"stdout\":\"out\\n\",\"stderr\":\"err\\n\"}");
    bool found = span_find_span(buf_span(&e->bytes), span_of(want)) >= 0;
    const char *got = keep_text(s, span_dup(buf_span(&e->bytes)));
    link_event_free(e);
    const char *expected = keep_text(s, want);
    check(s, found, expected, "%s", got);
}

static void running(struct stage *s) {
    agent_side(s)->stale = true;
    asks(s, "non_blocking", COMMAND("sleep 60", "false"));
    provisional(s);
    status_becomes(s, "{'transaction_id': '${tx}', 'status': 'running'}");
}

static void other_controller_asks(struct stage *s) {
    asks(s, "non_blocking", COMMAND("true", "true"));
    provisional(s);
    link_event_free(next_event(s, agent_side(s)->agent));
    asks_as(
        s, "pcp://other.example.com/controller", "blocking",
        "{'transaction_id': '${tx2}', 'module': 'status', 'action': 'query', 'params': {'transaction_id': '${tx}'}}");
    json_t *m = next_message(s, agent_side(s)->agent);
    const char *status = json_str(json_object_get(json_object_get(m, "data"), "results"), "status");
    check(s, str_eq(status, "success"), "success", "%s", status != NULL ? status : "none");
}

static void without_notification(struct stage *s) {
    asks(s, "non_blocking", COMMAND("echo x", "false"));
    provisional(s);
    status_becomes(s, "{'transaction_id': '${tx}', 'status': 'success', 'exitcode': 0, 'stdout': 'x\\n'}");
    agent_works(s);
}

static void without_notification_of_errors(struct stage *s) {
    asks(s, "non_blocking", COMMAND("printf '\\\\377'", "false"));
    provisional(s);
    status_becomes(s, "{'transaction_id': '${tx}', 'status': 'failure', 'exitcode': 0, 'stdout': "
                      "'$like:*_error*invalid UTF-8 on stdout*'}");
    agent_works(s);
}

static void duplicate_finished(struct stage *s) {
    asks(s, "non_blocking", COMMAND("echo x", "true"));
    provisional_and(s, "non_blocking_response",
                    "{'transaction_id': '${tx}', 'results': {'exitcode': 0, 'stdout': 'x\\n'}}");
    asks(s, "non_blocking", COMMAND("echo y", "true"));
    provisional(s);
    agent_works(s);
    status_becomes(s, "{'transaction_id': '${tx}', 'status': 'success', 'exitcode': 0, 'stdout': 'x\\n'}");
}

static void duplicate_running(struct stage *s) {
    agent_side(s)->stale = true;
    asks(s, "non_blocking", COMMAND("sleep 60", "true"));
    provisional(s);
    asks(s, "non_blocking", COMMAND("echo y", "true"));
    provisional(s);
    agent_works(s);
}

static void blocking_twice(struct stage *s) {
    for (int i = 0; i < 2; i++) {
        asks(s, "blocking",
             "{'transaction_id': '${tx}', 'module': 'command', 'action': 'run', 'params': {'command': 'echo again'}}");
        answers(s, "blocking_response",
                "{'transaction_id': '${tx}', 'results': {'exitcode': 0, 'stdout': 'again\\n'}}");
    }
    unknown(s); /* nothing of it is stored */
}

static void too_large(struct stage *s) {
    const char *type = s->c->data;
    bool blocking = type[0] == 'b';
    asks(s, type,
         blocking ? "{\"transaction_id\": \"${tx}\", \"module\": \"command\", \"action\": \"run\", \"params\": "
                    "{\"command\": \"head -c 2000 /dev/zero | tr '\\\\0' x\"}}"
                  : COMMAND("head -c 2000 /dev/zero | tr '\\\\0' x", "true"));
    static const char error[] = "{'transaction_id': '${tx}', 'id': '${sent}', 'description': '$re:Message size: [0-9]+ "
                                "exceeded max-message-size 1000'}";
    if (blocking) {
        answers(s, "error_message", error);
        return;
    }
    provisional_and(s, "error_message", error);
    asks(s, "blocking",
         "{'transaction_id': '${tx2}', 'module': 'status', 'action': 'query', 'params': {'transaction_id': '${tx}'}}");
    answers(s, "error_message",
            "{'transaction_id': '${tx2}', 'id': '${sent}', 'description': '$re:Message size: [0-9]+ exceeded "
            "max-message-size 1000'}");
}

/* ---- the spool */

static void spool_of_finished(struct stage *s) {
    asks(s, "non_blocking", COMMAND("echo out; echo err >&2; exit 3", "true"));
    provisional(s);
    link_event_free(next_event(s, agent_side(s)->agent));
    status_becomes(
        s, "{'transaction_id': '${tx}', 'status': 'failure', 'exitcode': 3, 'stdout': 'out\\n', 'stderr': 'err\\n'}");
    check(s, str_eq(file_text(s, spool(s, "stdout")), "out\n"), "stdout", "%s", file_text(s, spool(s, "stdout")));
    check(s, str_eq(file_text(s, spool(s, "stderr")), "err\n"), "stderr", "%s", file_text(s, spool(s, "stderr")));
    check(s, glob_match("3*", file_text(s, spool(s, "exitcode"))), "exitcode 3", "%s",
          file_text(s, spool(s, "exitcode")));
    check(s, file_text(s, spool(s, "pid")) != NULL, "a pid", "none");
    metadata_is(s, METADATA(", 'status': 'success', 'end': '$time-ms', 'results_are_valid': true, 'results': "
                            "{'exitcode': 3, 'stdout': 'out\\n', 'stderr': 'err\\n'}"));
    struct world_stat st;
    world_file_stat(s->world, agent_path(s, "spool/%s", variables_get(&s->vars, "tx")), &st, NULL);
    check(s, st.mode == 0750, "mode 0750 of the directory", "%o", (unsigned)st.mode);
    world_file_stat(s->world, spool(s, "metadata"), &st, NULL);
    check(s, st.mode == 0640, "mode 0640 of metadata", "%o", (unsigned)st.mode);
}

static void spool_of_running(struct stage *s) {
    agent_side(s)->stale = true;
    asks(s, "non_blocking", COMMAND("sleep 60", "false"));
    provisional(s);
    metadata_is(s, METADATA(", 'status': 'running'"));
    file_becomes(s, spool(s, "pid"), true);
}

static void params_are_not_kept(struct stage *s) {
    agent_side(s)->stale = true;
    asks(s, "non_blocking", COMMAND("sleep 60 # hunter2", "false"));
    provisional(s);
    const char *text = file_text(s, spool(s, "metadata"));
    check(s, text != NULL && strstr(text, "hunter2") == NULL, "no parameters in the record", "%s", text);
}

static void no_way_out(struct stage *s) {
    asks(s, "non_blocking",
         "{'transaction_id': '../outside', 'module': 'command', 'action': 'run', 'notify_outcome': false, 'params': "
         "{'command': 'true'}}");
    json_t *m = next_message(s, agent_side(s)->agent);
    check(s, span_ends_with(span_of(json_str(m, "message_type")), "rpc_error_message"), "rpc_error_message", "%s",
          json_str(m, "message_type"));
    check(s, !exists(s, agent_path(s, "outside")), "nothing outside of the spool", "a directory");
}

/* ---- restarts */

static void comes_back(struct stage *s) {
    tested_agent_stop(s, SIGKILL);
    tested_agent_start(s, NULL);
    agent_connected(s);
}

static void result_after_restart(struct stage *s) {
    agent_side(s)->stale = true;
    asks(s, "non_blocking", COMMAND("while ! [ -e ${home}/go ]; do sleep 0.05; done; echo survived", "false"));
    provisional(s);
    file_becomes(s, spool(s, "pid"), true);
    comes_back(s);
    status_becomes(s, "{'transaction_id': '${tx}', 'status': 'running'}");
    world_file_write(s->world, agent_path(s, "go"), SPAN(""), 0600, WORLD_WRITE_PLAIN, NULL);
    file_becomes(s, spool(s, "exitcode"), true);
    status_becomes(s, "{'transaction_id': '${tx}', 'status': 'success', 'exitcode': 0, 'stdout': 'survived\\n'}");
    metadata_is(s, METADATA(", 'status': 'success', 'end': '$time-ms', 'results_are_valid': true, 'results': "
                            "{'exitcode': 0, 'stdout': 'survived\\n'}"));
    asks(s, "non_blocking", COMMAND("echo y", "true"));
    provisional(s);
    agent_works(s); /* not run again, not told again */
}

/* Ours sends the response that is still owed. */
static void response_after_restart(struct stage *s) {
    agent_side(s)->stale = true;
    asks(s, "non_blocking", COMMAND("while ! [ -e ${home}/go ]; do sleep 0.05; done; echo survived", "true"));
    char *request = str_dup(variables_get(&s->vars, "sent"));
    provisional(s);
    file_becomes(s, spool(s, "pid"), true);
    comes_back(s);
    variables_set(&s->vars, "sent", request);
    mem_free(request);
    world_file_write(s->world, agent_path(s, "go"), SPAN(""), 0600, WORLD_WRITE_PLAIN, NULL);
    answers(s, "non_blocking_response",
            "{'transaction_id': '${tx}', 'results': {'exitcode': 0, 'stdout': 'survived\\n'}}");
}

static void finished_before_restart(struct stage *s) {
    agent_side(s)->stale = true;
    asks(s, "non_blocking", COMMAND("echo x; exit 3", "true"));
    provisional_and(s, "non_blocking_response",
                    "{'transaction_id': '${tx}', 'results': {'exitcode': 3, 'stdout': 'x\\n'}}");
    status_becomes(s, "{'transaction_id': '${tx}', 'status': 'failure', 'exitcode': 3, 'stdout': 'x\\n'}");
    comes_back(s);
    status_becomes(s, "{'transaction_id': '${tx}', 'status': 'failure', 'exitcode': 3, 'stdout': 'x\\n'}");
}

/* A record as an earlier agent left it. */
static void leave_record(struct stage *s, const char *status, const char *pid, const char *start) {
    const char *dir = agent_path(s, "spool/%s", variables_get(&s->vars, "tx"));
    world_file_mkdir(s->world, dir, 0750, true, NULL);
    char *text = str_printf("{\"requester\":\"${ctl}\",\"module\":\"command\",\"action\":\"run\",\"request_params\":\"{"
                            "}\",\"transaction_id\":\"${tx}\",\"request_id\":\"6d6df5b5-ac6f-45c8-8c9a-0a1b2c3d4e5f\","
                            "\"notify_outcome\":true,\"start\":\"%s\",\"status\":\"%s\"}\n",
                            start, status);
    char *filled = variables_fill(&s->vars, text);
    world_file_write(s->world, spool(s, "metadata"), span_of(filled), 0640, WORLD_WRITE_PLAIN, NULL);
    if (pid != NULL) {
        world_file_write(s->world, spool(s, "pid"), span_of(pid), 0640, WORLD_WRITE_PLAIN, NULL);
    }
    mem_free(text);
    mem_free(filled);
}
#define RECENT "2099-01-01T00:00:00.000001Z"

static void lost_process(struct stage *s) {
    leave_record(s, "running", "999999999\n", RECENT);
    status_becomes(s, "{\"transaction_id\": \"${tx}\", \"status\": \"unknown\", \"stdout\": \"" ERROR_OBJECT(
                          "task process is not running, but no output is available") "\"}");
    metadata_is(s, "{'status': 'undetermined', '...': 0}");
}

static void no_pid(struct stage *s) {
    leave_record(s, "running", NULL, RECENT);
    status_becomes(s, "{\"transaction_id\": \"${tx}\", \"status\": \"unknown\", \"stdout\": \"" ERROR_OBJECT(
                          "the PID and output of this task are not available") "\"}");
    metadata_is(s, "{'status': 'running', '...': 0}");
}

static void output_without_end(struct stage *s) {
    leave_record(s, "running", "999999999\n", RECENT);
    world_file_write(s->world, spool(s, "stdout"), SPAN("left behind\n"), 0640, WORLD_WRITE_PLAIN, NULL);
    world_file_write(s->world, spool(s, "stderr"), SPAN(""), 0640, WORLD_WRITE_PLAIN, NULL);
    world_file_write(s->world, spool(s, "exitcode"), SPAN("4"), 0640, WORLD_WRITE_PLAIN, NULL);
    status_becomes(s, "{'transaction_id': '${tx}', 'status': 'failure', 'exitcode': 4, 'stdout': 'left behind\\n'}");
}

static void broken_record(struct stage *s) {
    const char *dir = agent_path(s, "spool/%s", variables_get(&s->vars, "tx"));
    world_file_mkdir(s->world, dir, 0750, true, NULL);
    if (s->c->data != NULL) {
        world_file_write(s->world, spool(s, "metadata"), span_of(s->c->data), 0640, WORLD_WRITE_PLAIN, NULL);
    }
    status_becomes(s, "{\"transaction_id\": \"${tx}\", \"status\": \"unknown\", \"stdout\": "
                      "\"$like:{\\\"_error\\\":{\\\"kind\\\":\\\"puppetlabs.pxp-agent/execution-error\\\"*\"}");
}

static void purged(struct stage *s) {
    leave_record(s, "success", "1\n", "2001-01-01T00:00:00.000001Z");
    const char *old = agent_path(s, "spool/%s", variables_get(&s->vars, "tx"));
    variables_set(&s->vars, "tx", variables_get(&s->vars, "tx2"));
    leave_record(s, "success", "1\n", RECENT);
    const char *young = agent_path(s, "spool/%s", variables_get(&s->vars, "tx"));
    variables_set(&s->vars, "tx", "running-record");
    leave_record(s, "running", "1\n", "2001-01-01T00:00:00.000001Z");
    const char *busy = agent_path(s, "spool/running-record");
    agent_side(s)->stale = true;
    tested_agent_start(s, ", \"spool-dir-purge-ttl\": \"1d\"");
    agent_connected(s);
    file_becomes(s, old, false);
    check(s, exists(s, young) && exists(s, busy), "the young one and the running one are kept", "one is gone");
}

static void not_purged(struct stage *s) {
    leave_record(s, "success", "1\n", "2001-01-01T00:00:00.000001Z");
    agent_side(s)->stale = true;
    tested_agent_start(s, ", \"spool-dir-purge-ttl\": \"0d\"");
    agent_connected(s);
    agent_works(s);
    check(s, exists(s, spool(s, "metadata")), "kept: 0 turns purging off", "gone");
}

static const struct finished
    success = {COMMAND("echo x", "true"),
               "{'transaction_id': '${tx}', 'status': 'success', 'exitcode': 0, 'stdout': 'x\\n'}"},
    quiet = {COMMAND("true", "true"), "{'transaction_id': '${tx}', 'status': 'success', 'exitcode': 0}"},
    failure = {COMMAND("echo x >&2; exit 3", "true"),
               "{'transaction_id': '${tx}', 'status': 'failure', 'exitcode': 3, 'stderr': 'x\\n'}"},
    invalid = {COMMAND("printf '\\\\377'", "true"), "{'transaction_id': '${tx}', 'status': 'failure', 'exitcode': 0, "
                                                    "'stdout': '$like:*_error*invalid UTF-8 on stdout*'}"};

#define S(id, statement, covers, run, data, fixture)                                                                   \
    { "pxp*/status/" id, statement, "pxp.md §7", covers, run, data, fixture, false }
#define S2(id, statement, source, covers, run, data, fixture)                                                          \
    { "pxp2/" id, statement, source, covers, run, data, fixture, false }

const struct conform_case agent_status_cases[] = {
    S("unknown-001", "A transaction nobody heard of: unknown, with an error object.", "pxp-07 agent-2-storage", unknown,
      NULL, NULL),
    S("finished-001", "success with exit code and stdout.", "pxp-07 agent-2-json", finished, &success, NULL),
    S("finished-002", "success without output.", "pxp-07", finished, &quiet, NULL),
    S("finished-003", "Exit code 3: failure.", "pxp-07 pxp-08", finished, &failure, NULL),
    S("finished-004", "An execution error: failure, exit code 0, an error object for stdout.", "pxp-07", finished,
      &invalid, NULL),
    S("order-001", "Keys in their order: transaction_id, exitcode, status, stdout, stderr.", "pxp-07 agent-2-json",
      key_order, NULL, NULL),
    S("running-001", "running, and nothing else.", "pxp-07", running, NULL, FIXTURE_FRESH),
    S("other-001", "Any controller may ask.", "pxp-04", other_controller_asks, NULL, NULL),
    S("notify-001", "notify_outcome false: nothing follows the provisional response.", "pxp-10 agent-3-nonblocking",
      without_notification, NULL, NULL),
    S("notify-002", "No errors either.", "pxp-10", without_notification_of_errors, NULL, NULL),
    S("duplicate-001", "A transaction that has finished: a provisional response, and nothing runs.",
      "pxp-09 agent-3-nonblocking", duplicate_finished, NULL, NULL),
    S("duplicate-002", "One that runs: likewise.", "pxp-09 agent-3-nonblocking", duplicate_running, NULL,
      FIXTURE_FRESH),
    S("duplicate-003", "Blocking requests are neither recognised nor stored.", "pxp-09", blocking_twice, NULL, NULL),
    S("size-001", "A blocking result over max-message-size: RPC error.", "pxp-12 agent-4-command", too_large,
      "blocking", FIXTURE_SMALL),
    S("size-002", "A non-blocking one, and its status: RPC errors.", "pxp-12", too_large, "non_blocking",
      FIXTURE_SMALL),
    S2("spool/record-001", "A finished transaction's files and record.", "agent.md §12",
       "agent-2-storage agent-4-paths", spool_of_finished, NULL, FIXTURE_FRESH),
    S2("spool/record-002", "A running one's record and pid.", "agent.md §12", "agent-2-storage", spool_of_running, NULL,
       FIXTURE_FRESH),
    S2("spool/record-003", "Parameters are not in it.", "agent.md §12", "agent-3-nonblocking", params_are_not_kept,
       NULL, FIXTURE_FRESH),
    {"pxp2/spool/path-001", "A transaction id cannot leave the spool.", "agent.md §8", "agent-2-storage", no_way_out,
     NULL, FIXTURE_FRESH, true},
    S("restart-001", "A task survives the agent: running, then its result; it is not run again.",
      "pxp-09 agent-4-restart", result_after_restart, NULL, FIXTURE_FRESH),
    S("restart-002", "What had finished is told after a restart as before.", "pxp-09 agent-4-restart",
      finished_before_restart, NULL, FIXTURE_FRESH),
    {"pxp*/status/restart-003", "The response that is still owed comes after a restart.", "agent.md §19",
     "agent-4-restart", response_after_restart, NULL, FIXTURE_FRESH, true},
    S2("status/lost-001", "The process is gone without output: unknown; the record says undetermined.", "agent.md §13",
       "pxp-07 agent-2-storage", lost_process, NULL, FIXTURE_FRESH),
    S2("status/lost-002", "No pid: unknown; the record stays as it is.", "agent.md §13", "pxp-07 agent-2-storage",
       no_pid, NULL, FIXTURE_FRESH),
    S2("status/lost-003", "Output that an earlier agent's task left counts.", "agent.md §13", "pxp-07 agent-2-storage",
       output_without_end, NULL, FIXTURE_FRESH),
    S2("status/broken-001", "A directory without a record: unknown, with an error object.", "agent.md §13",
       "agent-2-storage", broken_record, NULL, FIXTURE_FRESH),
    S2("status/broken-002", "A record that is no JSON.", "agent.md §13", "agent-2-storage", broken_record,
       "certainly not", FIXTURE_FRESH),
    S2("status/broken-003", "A record without its keys.", "agent.md §13", "agent-2-storage", broken_record, "{}",
       FIXTURE_FRESH),
    S2("spool/purge-001", "At start old records are removed; young and running ones stay.", "agent.md §14",
       "agent-2-storage", purged, NULL, FIXTURE_STOPPED),
    S2("spool/purge-002", "A TTL of 0 keeps everything.", "agent.md §14", "agent-2-storage", not_purged, NULL,
       FIXTURE_STOPPED),
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
