/* task run: how input comes in, which implementation is run, where its files are, what goes wrong (agent.md §11.6,
 * §11.10). */
#include "base/mem.h"
#include "scenarios/conformance/agent_side.h"
#include <string.h>

struct tried {
    struct task task;
    const char *results; /* or an error when it does not begin with '{' */
};

static void hears_outcome(struct stage *s, const struct tried *t) {
    if (t->results[0] == '{') {
        char *data = str_printf("{\"transaction_id\": \"${tx}\", \"results\": %s}", t->results);
        const char *kept = keep_text(s, data);
        if (t->task.blocking) {
            answers(s, "blocking_response", kept);
        } else {
            provisional_and(s, "non_blocking_response", kept);
        }
    } else if (t->task.blocking) {
        answers_error(s, t->results);
    } else {
        provisional_and(s, "error_message", t->results);
    }
}

static void tried(struct stage *s) {
    const struct tried *t = s->c->data;
    asks_task(s, &t->task);
    hears_outcome(s, t);
    agent_works(s);
}

#define PRINT_ALL "#!/bin/sh\necho \"in=$(cat)\"\nenv | grep ^PT_ | sort\n"
#define OUT(text) "{\"exitcode\": 0, \"stdout\": \"" text "\"}"
#define STDIN_ONLY "in={\\\"a\\\":\\\"x\\\",\\\"_task\\\":\\\"conf::it\\\"}\\n"
#define ENV_ONLY "PT__task=conf::it\\nPT_a=x\\n"
#define A "{\"a\": \"x\"}"
#define METHOD(m) ", \"metadata\": {\"input_method\": \"" m "\"}"
#define FAILED_NB "Failed to execute the task for the non blocking 'task run' request (transaction ${tx}). Error: "
#define FAILED_B "Failed to execute the task for the blocking 'task run' request (transaction ${tx}). Error: "

static const struct tried
    by_default = {{.script = PRINT_ALL, .input = A}, OUT(STDIN_ONLY ENV_ONLY)},
    both = {{.script = PRINT_ALL, .input = A, .more = METHOD("both")}, OUT(STDIN_ONLY ENV_ONLY)},
    standard_input = {{.script = PRINT_ALL, .input = A, .more = METHOD("stdin")}, OUT(STDIN_ONLY)},
    environment = {{.script = PRINT_ALL, .input = A, .more = METHOD("environment")}, OUT("in=\\n" ENV_ONLY)},
    without_metadata = {{.script = PRINT_ALL, .input = A, .more = ", \"input_method\": \"environment\""},
                        OUT("in=\\n" ENV_ONLY)},
    beside_metadata = {{.script = PRINT_ALL,
                        .input = A,
                        .more = ", \"input_method\": \"environment\", \"metadata\": {}"},
                       OUT(STDIN_ONLY ENV_ONLY)},
    odd_method = {{.script = PRINT_ALL, .input = A, .more = METHOD("weird"), .blocking = true},
                  FAILED_B "unsupported task input method: weird"},
    values = {{.script = PRINT_ALL,
               .input = "{\"n\": 1, \"f\": 1.5, \"t\": true, \"z\": null, \"l\": [1, \"x\"], \"o\": {\"k\": \"v\"}, "
                        "\"s\": \"two words\"}",
               .more = METHOD("environment")},
              OUT("in=\\nPT__task=conf::it\\nPT_f=1.5\\nPT_l=[1,\\\"x\\\"]\\nPT_n=1\\nPT_o={\\\"k\\\":\\\"v\\\"}\\nPT_"
                  "s=two words\\nPT_t=true\\nPT_z=null\\n")},
    own_task_key = {{.script = PRINT_ALL, .input = "{\"_task\": \"mine\"}", .more = METHOD("environment")},
                    OUT("in=\\nPT__task=conf::it\\n")},
    noop = {{.script = PRINT_ALL, .input = "{\"_noop\": true}", .more = METHOD("environment")},
            OUT("in=\\nPT__noop=true\\nPT__task=conf::it\\n")},
    module_task = {{.name = "conf", .script = PRINT_ALL, .more = METHOD("environment")}, OUT("in=\\nPT__task=conf\\n")},
    blocking = {{.script = "#!/bin/sh\necho done\n", .blocking = true}, OUT("done\\n")},
    failing = {{.script = "#!/bin/sh\necho bad >&2\nexit 3\n"}, "{\"exitcode\": 3, \"stderr\": \"bad\\n\"}"},
    no_output = {{.script = "#!/bin/sh\n:\n"}, "{\"exitcode\": 0}"},
    json_output = {{.script = "#!/bin/sh\necho '{\"_error\": {\"msg\": \"x\"}}'\n"},
                   OUT("{\\\"_error\\\": {\\\"msg\\\": \\\"x\\\"}}\\n")},
    bad_utf8 = {{.script = "#!/bin/sh\nprintf '\\377'\n"},
                "The task executed for the non blocking 'task run' request (transaction ${tx}) returned invalid UTF-8 "
                "on stdout"},
    missing_command = {{.script = "#!/bin/sh\nno-such-command-anywhere\n"},
                       "{\"exitcode\": 127, \"stderr\": \"$like:*no-such-command-anywhere*\"}"},
    none_fits =
        {{.script = "#!/bin/sh\n",
          .more = ", \"metadata\": {\"implementations\": [{\"name\": \"it.sh\", \"requirements\": [\"powershell\"]}]}",
          .blocking = true},
         FAILED_B "no implementations match supported features: puppet-agent, shell"},
    by_requirement = {{.script = "#!/bin/sh\necho shell\n",
                       .more = ", \"metadata\": {\"implementations\": [{\"name\": \"other.ps1\", \"requirements\": "
                               "[\"powershell\"]}, {\"name\": \"it.sh\", \"requirements\": [\"shell\"]}]}"},
                      OUT("shell\\n")},
    unrestricted = {{.script = "#!/bin/sh\necho free\n",
                     .more = ", \"metadata\": {\"implementations\": [{\"name\": \"it.sh\"}]}"},
                    OUT("free\\n")},
    extra_feature = {{.script = "#!/bin/sh\necho extra\n",
                      .more = ", \"metadata\": {\"features\": [\"special\"], \"implementations\": [{\"name\": "
                              "\"it.sh\", \"requirements\": [\"special\", \"puppet-agent\"]}]}"},
                     OUT("extra\\n")},
    first_fits = {{.script = "#!/bin/sh\necho first\n",
                   .more = ", \"metadata\": {\"implementations\": [{\"name\": \"it.sh\"}, {\"name\": \"gone.sh\"}]}"},
                  OUT("first\\n")},
    own_method = {{.script = PRINT_ALL,
                   .input = A,
                   .more = ", \"metadata\": {\"input_method\": \"stdin\", \"implementations\": [{\"name\": \"it.sh\", "
                           "\"input_method\": \"environment\"}]}"},
                  OUT("in=\\n" ENV_ONLY)},
    implementation_absent = {{.script = "#!/bin/sh\n",
                              .more = ", \"metadata\": {\"implementations\": [{\"name\": \"gone.sh\"}]}",
                              .blocking = true},
                             FAILED_B "'gone.sh' file requested by implementation not found"},
    dependency_absent = {
        {.script = "#!/bin/sh\n", .more = ", \"metadata\": {\"files\": [\"conf/files/gone.txt\"]}", .blocking = true},
        FAILED_B "'conf/files/gone.txt' file requested as additional task dependency not found"};

struct bad_params {
    const char *params;
};

static void params_refused(struct stage *s) {
    char *data = str_printf(
        "{'transaction_id': '${tx}', 'module': 'task', 'action': 'run', 'notify_outcome': true, 'params': %s}",
        (const char *)s->c->data);
    asks(s, "non_blocking", data);
    mem_free(data);
    answers_error(s, "invalid input for non blocking 'task run' request (transaction ${tx})");
    agent_works(s);
}

/* ---- files */

static void several_files(struct stage *s) {
    serves(s, "/files/one.txt", "one");
    char *one = str_dup(variables_get(&s->vars, "sha"));
    serves(s, "/files/two.txt", "two");
    char *more = str_printf(
        ", {'filename': 'conf/files/one.txt', 'sha256': '%s', 'uri': {'path': '/files/one.txt', 'params': {}}},"
        " {'filename': 'conf/lib/deep/two.txt', 'sha256': '${sha2}', 'uri': {'path': '/files/two.txt', 'params': {}}}",
        one);
    variables_set(&s->vars, "sha2", variables_get(&s->vars, "sha"));
    mem_free(one);
    struct task t = {
        .script =
            "#!/bin/sh\ncd \"$PT__installdir\" && cat conf/files/one.txt conf/lib/deep/two.txt && echo && ls "
            "conf/tasks && case $0 in \"$PT__installdir\"/conf/tasks/it.sh) echo inside ;; *) echo \"$0\" ;; esac\n",
        .more = s->c->data,
        .more_files = keep_text(s, more)};
    asks_task(s, &t);
    provisional_and(s, "non_blocking_response",
                    "{'transaction_id': '${tx}', 'results': {'exitcode': 0, 'stdout': 'onetwo\\nit.sh\\ninside\\n'}}");
}

static void no_directory_without_files(struct stage *s) {
    struct task t = {.script = "#!/bin/sh\necho \"[$PT__installdir]\"\n"};
    asks_task(s, &t);
    provisional_and(s, "non_blocking_response",
                    "{'transaction_id': '${tx}', 'results': {'exitcode': 0, 'stdout': '[]\\n'}}");
}

static void asked_once(struct stage *s) {
    struct task t = {.script = "#!/bin/sh\n# only once\necho once\n", .blocking = true};
    for (int i = 0; i < 2; i++) {
        if (i == 0) {
            asks_task(s, &t);
        } else {
            t.script = NULL; /* as served before */
            asks_task(s, &t);
        }
        answers(s, "blocking_response", "{'transaction_id': '${tx}', 'results': {'exitcode': 0, 'stdout': 'once\\n'}}");
    }
    struct served *f = served_file(s, "/puppet/v3/file_content/tasks/conf/it.sh");
    check(s, f->asked == 1, "one request for the file", "%zu", f->asked);
    check(s, str_eq(f->query, "environment=production"), "environment=production", "%s", f->query);
}

static void name_is_reduced(struct stage *s) {
    serves(s, "/files/evil", "#!/bin/sh\necho tame\n");
    asks(s, "blocking",
         "{'transaction_id': '${tx}', 'module': 'task', 'action': 'run', 'params': {'task': 'conf', 'input': {}, "
         "'files': [{'filename': '../../evil/x.sh', 'sha256': '${sha}', 'uri': {'path': '/files/evil', 'params': "
         "{}}}]}}");
    struct link *l = agent_side(s)->agent;
    json_t *m = next_message(s, l), *d = json_object_get(m, "data");
    const char *out = json_str(json_object_get(d, "results"), "stdout");
    bool strict_refusal = json_str(d, "description") != NULL;
    check(s, strict_refusal || str_eq(out, "tame\n"), "it runs as x.sh of its cache directory, or is refused", "%s",
          out != NULL ? out : "nothing");
    if (agent_side(s)->home != NULL) {
        struct world_stat st;
        check(s, !world_file_stat(s->world, agent_path(s, "evil/x.sh"), &st, NULL), "nothing outside of the cache",
              "evil/x.sh");
    }
}

static void cache_layout(struct stage *s) {
    struct task t = {.script = "#!/bin/sh\necho cached\n", .blocking = true};
    asks_task(s, &t);
    answers(s, "blocking_response", "{'transaction_id': '${tx}', 'results': {'exitcode': 0, 'stdout': 'cached\\n'}}");
    const char *file = agent_path(s, "cache/%s/it.sh", variables_get(&s->vars, "sha"));
    check(s, str_eq(file_text(s, file), t.script), "the file in the cache, under its digest", "%s", "nothing");
    struct world_stat st;
    world_file_stat(s->world, file, &st, NULL);
    check(s, st.mode == 0750, "mode 0750", "%o", (unsigned)st.mode);
    world_file_stat(s->world, agent_path(s, "cache/%s", variables_get(&s->vars, "sha")), &st, NULL);
    check(s, st.mode == 0750, "mode 0750 of its directory", "%o", (unsigned)st.mode);
    /* A file that was changed is fetched again. */
    world_file_write(s->world, file, SPAN("#!/bin/sh\necho changed\n"), 0750, WORLD_WRITE_PLAIN, NULL);
    t.script = NULL;
    asks_task(s, &t);
    answers(s, "blocking_response", "{'transaction_id': '${tx}', 'results': {'exitcode': 0, 'stdout': 'cached\\n'}}");
}

/* ---- downloads that fail: five rounds with pauses of 1, 2, 4 and 8 s */

static void patient(struct stage *s) {
    if (s->opts->patience_ms < 20000) {
        skips(s, "takes 15 s: give --patience 25s");
    }
}

static void wrong_digest(struct stage *s) {
    patient(s);
    serves(s, "/puppet/v3/file_content/tasks/conf/it.sh", "#!/bin/sh\necho other\n");
    variables_set(&s->vars, "sha", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    struct task t = {.script = NULL};
    asks_task(s, &t);
    provisional(s);
    answers_error(
        s, FAILED_NB
        "Failed to download file with: The downloaded file \"it.sh\" has a SHA that differs from the provided SHA");
    check(s, served_file(s, "/puppet/v3/file_content/tasks/conf/it.sh")->asked == 5, "five requests", "%zu",
          served_file(s, "/puppet/v3/file_content/tasks/conf/it.sh")->asked);
}

static void not_found(struct stage *s) {
    patient(s);
    serves_status(s, "/puppet/v3/file_content/tasks/conf/it.sh", 404);
    variables_set(&s->vars, "sha", "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    struct task t = {.script = NULL};
    asks_task(s, &t);
    provisional(s);
    struct link *l = agent_side(s)->agent;
    json_t *m = next_message(s, l);
    const char *text = json_str(json_object_get(m, "data"), "description");
    check(s,
          text != NULL && strstr(text, "returned a response with HTTP status 404") != NULL &&
              strstr(text, "failed after trying all the available master-uris") != NULL,
          "an error that names HTTP status 404 and that all servers were tried", "%s", text);
    status_becomes(s,
                   "{'transaction_id': '${tx}', 'status': 'failure', 'exitcode': 0, 'stdout': '$like:*_error*404*'}");
}

#define TRY(id, statement, covers, t)                                                                                  \
    { "pxp*/task/" id, statement, "agent.md §11.6", covers, tried, &t, NULL, false }
#define TRY2(id, statement, covers, t)                                                                                 \
    { "pxp2/task/" id, statement, "agent.md §11.6", covers, tried, &t, NULL, false }
#define BAD(id, statement, params)                                                                                     \
    { "pxp2/task/params-" id, statement, "agent.md §11.6", "pxp-03 agent-2-task", params_refused, params, NULL, false }
#define FILES "'files': [{'filename': 'it.sh', 'sha256': 'x', 'uri': {'path': '/x', 'params': {}}}]"

const struct conform_case agent_task_cases[] = {
    TRY("input-001", "Without input_method: on stdin and in the environment.", "agent-2-task", by_default),
    TRY2("input-002", "input_method both.", "agent-2-task", both),
    TRY2("input-003", "input_method stdin: nothing in the environment.", "agent-2-task", standard_input),
    TRY2("input-004", "input_method environment: nothing on stdin.", "agent-2-task", environment),
    TRY2("input-005", "input_method of the parameters counts where there is no metadata.", "agent-2-task",
         without_metadata),
    TRY2("input-006", "And does not where there is.", "agent-2-task", beside_metadata),
    TRY2("input-007", "An input_method that is none: RPC error.", "agent-2-task pxp-03", odd_method),
    TRY2("input-008", "In the environment texts are raw, everything else is JSON.", "agent-2-task", values),
    TRY2("input-009", "_task is the task's name, whatever the input says.", "agent-2-task", own_task_key),
    TRY2("input-010", "_noop is a parameter like others.", "agent-2-task", noop),
    TRY2("input-011", "The task of a module's own name.", "agent-2-task", module_task),
    TRY("run-001", "A blocking task.", "agent-2-task", blocking),
    TRY("run-002", "A task that exits 3 is a response.", "pxp-08 agent-2-task", failing),
    TRY2("run-003", "A task without output.", "agent-2-task", no_output),
    TRY2("run-004", "JSON on stdout stays a text.", "pxp-07 agent-2-task", json_output),
    TRY2("run-005", "stdout that is no UTF-8: RPC error.", "pxp-03 agent-2-task", bad_utf8),
    TRY2("run-006", "A command the script does not find: 127.", "agent-2-task", missing_command),
    TRY2("implementation-001", "No implementation fits the features: RPC error.", "agent-2-implementations", none_fits),
    TRY2("implementation-002", "The first whose requirements are met.", "agent-2-implementations", by_requirement),
    TRY2("implementation-003", "One without requirements always fits.", "agent-2-implementations", unrestricted),
    TRY2("implementation-004", "Features of the metadata count.", "agent-2-implementations", extra_feature),
    TRY2("implementation-005", "Its own input_method comes first.", "agent-2-implementations", own_method),
    TRY2("implementation-007", "Of several that fit the first is taken.", "agent-2-implementations", first_fits),
    TRY2("implementation-006", "An implementation whose file is not there: RPC error.", "agent-2-implementations",
         implementation_absent),
    TRY2("files-001", "A dependency that is not there: RPC error.", "agent-2-task", dependency_absent),
    {"pxp2/task/files-002", "Dependencies are in _installdir, and the task runs there.", "agent.md §11.6",
     "agent-2-task agent-4-command", several_files,
     ", 'metadata': {'files': ['conf/files/one.txt', 'conf/lib/deep/two.txt']}", NULL, false},
    {"pxp2/task/files-003", "A directory stands for the files in it.", "agent.md §11.6", "agent-2-task", several_files,
     ", 'metadata': {'files': ['conf/files/', 'conf/lib/']}", NULL, false},
    {"pxp2/task/files-004", "An implementation's files are added.", "agent.md §11.6",
     "agent-2-task agent-2-implementations", several_files,
     ", 'metadata': {'files': ['conf/files/one.txt'], 'implementations': [{'name': 'it.sh', 'files': "
     "['conf/lib/deep/two.txt']}]}",
     NULL, false},
    {"pxp2/task/files-005", "Without dependencies there is no _installdir.", "agent.md §11.6", "agent-2-task",
     no_directory_without_files, NULL, NULL, false},
    {"pxp2/task/cache-001", "A file is fetched once, with its parameters in the query.", "agent.md §11.10",
     "agent-2-task agent-4-download", asked_once, NULL, NULL, false},
    {"pxp2/task/cache-002", "A file name cannot leave the cache.", "agent-observed.md task run", "agent-2-task",
     name_is_reduced, NULL, NULL, false},
    {"pxp2/task/cache-003", "In the cache under its digest, 0750; fetched again when it was changed.",
     "agent.md §11.10", "agent-2-task agent-4-download", cache_layout, NULL, FIXTURE_FRESH, false},
    {"pxp2/task/download-001", "A wrong digest: five rounds, then an RPC error.", "agent.md §11.10",
     "agent-4-download agent-2-task", wrong_digest, NULL, NULL, false},
    {"pxp2/task/download-002", "404: five rounds, then an RPC error and status failure.", "agent.md §11.10",
     "agent-4-download agent-2-task", not_found, NULL, NULL, false},
    BAD("001", "No task.", "{'input': {}, " FILES "}"),
    BAD("002", "No input.", "{'task': 'x', " FILES "}"),
    BAD("003", "No files.", "{'task': 'x', 'input': {}}"),
    BAD("004", "An empty list of files.", "{'task': 'x', 'input': {}, 'files': []}"),
    BAD("005", "Input that is a list.", "{'task': 'x', 'input': [], " FILES "}"),
    BAD("006", "A file without sha256.",
        "{'task': 'x', 'input': {}, 'files': [{'filename': 'it.sh', 'uri': {'path': '/x', 'params': {}}}]}"),
    BAD("007", "A file without uri.", "{'task': 'x', 'input': {}, 'files': [{'filename': 'it.sh', 'sha256': 'x'}]}"),
    BAD("008", "A task that is a number.", "{'task': 7, 'input': {}, " FILES "}"),
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
