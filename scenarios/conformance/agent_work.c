/* command, script, external modules: what they return (agent.md §9, §10, §11.4, §11.5). */
#include "base/mem.h"
#include "scenarios/conformance/agent_side.h"

struct asked {
    const char *type, *data; /* request */
    const char *answer;      /* results of the response; or an error when it does not begin with '{' */
};

static void answered(struct stage *s) {
    const struct asked *a = s->c->data;
    bool blocking = a->type[0] == 'b';
    asks(s, a->type, a->data);
    char *data = a->answer[0] == '{' || a->answer[0] == 'n'
                     ? str_printf("{\"transaction_id\": \"${tx}\", \"results\": %s}", a->answer)
                     : NULL;
    if (blocking) {
        if (data != NULL) {
            answers(s, "blocking_response", keep_text(s, data));
        } else {
            answers_error(s, a->answer);
        }
    } else if (data != NULL) {
        provisional_and(s, "non_blocking_response", keep_text(s, data));
    } else {
        provisional_and(s, "error_message", a->answer);
    }
    agent_works(s);
}

static void external(struct stage *s) {
    needs_modules(s);
    answered(s);
}

#define COMMAND(c)                                                                                                     \
    "{\"transaction_id\": \"${tx}\", \"module\": \"command\", \"action\": \"run\", \"params\": {\"command\": \"" c     \
    "\"}}"
#define COMMAND_NB(c)                                                                                                  \
    "{\"transaction_id\": \"${tx}\", \"module\": \"command\", \"action\": \"run\", \"notify_outcome\": true, "         \
    "\"params\": {\"command\": \"" c "\"}}"
#define UTF8_B                                                                                                         \
    "The task executed for the blocking 'command run' request (transaction ${tx}) returned invalid UTF-8 on stdout"
#define UTF8_NB                                                                                                        \
    "The task executed for the non blocking 'command run' request (transaction ${tx}) returned invalid UTF-8 on "      \
    "stdout"

static const struct asked
    hello = {"blocking", COMMAND("echo hello"), "{\"exitcode\": 0, \"stdout\": \"hello\\n\"}"},
    hello_nb = {"non_blocking", COMMAND_NB("echo hello"), "{\"exitcode\": 0, \"stdout\": \"hello\\n\"}"},
    silent = {"blocking", COMMAND("true"), "{\"exitcode\": 0}"},
    both = {"blocking", COMMAND("echo out; echo err >&2"),
            "{\"exitcode\": 0, \"stdout\": \"out\\n\", \"stderr\": \"err\\n\"}"},
    both_nb = {"non_blocking", COMMAND_NB("echo out; echo err >&2"),
               "{\"exitcode\": 0, \"stdout\": \"out\\n\", \"stderr\": \"err\\n\"}"},
    failing = {"blocking", COMMAND("echo bad >&2; exit 5"), "{\"exitcode\": 5, \"stderr\": \"bad\\n\"}"},
    failing_nb = {"non_blocking", COMMAND_NB("exit 5"), "{\"exitcode\": 5}"},
    unknown = {"blocking", COMMAND("no-such-command-anywhere"),
               "{\"exitcode\": 127, \"stderr\": \"$like:*no-such-command-anywhere*\"}"},
    no_newline = {"blocking", COMMAND("printf abc"), "{\"exitcode\": 0, \"stdout\": \"abc\"}"},
    no_newline_nb = {"non_blocking", COMMAND_NB("printf abc"), "{\"exitcode\": 0, \"stdout\": \"abc\\n\"}"},
    no_input = {"blocking", COMMAND("cat"), "{\"exitcode\": 0}"},
    words = {"blocking", COMMAND("printf '%s|' a 'b c' $((1+2))"), "{\"exitcode\": 0, \"stdout\": \"a|b c|3|\"}"},
    utf8 = {"blocking", COMMAND("printf 'caf\\\\303\\\\251'"), "{\"exitcode\": 0, \"stdout\": \"caf\\u00e9\"}"},
    bad_utf8 = {"blocking", COMMAND("printf '\\\\377'"), UTF8_B},
    bad_utf8_nb = {"non_blocking", COMMAND_NB("printf '\\\\377'"), UTF8_NB},
    nul = {"blocking", COMMAND("printf 'a\\\\000b'"), UTF8_B},
    overlong = {"blocking", COMMAND("printf '\\\\300\\\\257'"), UTF8_B},
    surrogate = {"blocking", COMMAND("printf '\\\\355\\\\277\\\\277'"), UTF8_B},
    killed = {"blocking", COMMAND("kill -9 $$"), "{\"exitcode\": 9}"},
    extra_param = {
        "blocking",
        "{'transaction_id': '${tx}', 'module': 'command', 'action': 'run', 'params': {'command': 'true', 'more': 1}}",
        "invalid input for blocking 'command run' request (transaction ${tx})"};

static void large_output(struct stage *s) {
    asks(s, "blocking", COMMAND("head -c 1000000 /dev/zero | tr '\\\\0' x"));
    json_t *m = next_message(s, agent_side(s)->agent), *r = json_object_get(json_object_get(m, "data"), "results");
    size_t len = json_string_length(json_object_get(r, "stdout"));
    check(s, len == 1000000, "a stdout of 1,000,000 characters", "%zu", len);
}

static void stderr_not_utf8(struct stage *s) {
    asks(s, "blocking", COMMAND("printf 'a\\\\377b' >&2"));
    answers(s, "blocking_response",
            "{\"transaction_id\": \"${tx}\", \"results\": {\"exitcode\": 0, \"stderr\": \"a\\ufffdb\"}}");
}

static void exit_200(struct stage *s) {
    asks(s, "blocking", COMMAND("exit 200"));
    struct link *l = agent_side(s)->agent;
    json_t *m = next_message(s, l);
    int code = (int)json_int(json_object_get(json_object_get(m, "data"), "results"), "exitcode", 0);
    bool strict = s->opts->profile == CONFORM_STRICT;
    check(s, code == 200 || (code == -56 && !strict), strict ? "200" : "200, or -56", "%d", code);
    saw(s, code == 200 ? OURS : REF);
}

static void order_and_pings(struct stage *s) {
    struct link *l = agent_side(s)->agent;
    asks(s, "non_blocking", COMMAND_NB("sleep 30"));
    provisional(s);
    link_control(l, WS_OP_PING, SPAN("here"));
    expects(s, l, "pong here");
    agent_works(s);
    agent_side(s)->stale = true;
}

/* ---- script */

static void ask_script(struct stage *s, const char *type, const char *script, const char *arguments) {
    serves(s, "/files/run.sh", script);
    char *data =
        str_printf("{'transaction_id': '${tx}', 'module': 'script', 'action': 'run'%s, 'params': {'script': "
                   "{'filename': 'run.sh', 'sha256': '${sha}',"
                   " 'uri': {'path': '/files/run.sh', 'params': {'environment': 'production'}}}, 'arguments': %s}}",
                   type[0] == 'n' ? ", 'notify_outcome': true" : "", arguments);
    asks(s, type, data);
    mem_free(data);
}

static void script_arguments(struct stage *s) {
    ask_script(s, "blocking", "#!/bin/sh\nfor a; do echo \"<$a>\"; done\ncat\n", "['one', 'two words', '']");
    answers(s, "blocking_response",
            "{'transaction_id': '${tx}', 'results': {'exitcode': 0, 'stdout': '<one>\\n<two words>\\n<>\\n'}}");
}

static void script_fails(struct stage *s) {
    ask_script(s, "non_blocking", "#!/bin/sh\necho bad >&2\nexit 5\n", "[]");
    provisional_and(s, "non_blocking_response",
                    "{'transaction_id': '${tx}', 'results': {'exitcode': 5, 'stderr': 'bad\\n'}}");
}

static void script_without_arguments(struct stage *s) {
    asks(s, "blocking",
         "{'transaction_id': '${tx}', 'module': 'script', 'action': 'run', 'params': {'script': {'filename': 'x', "
         "'sha256': '00', 'uri': {'path': '/x', 'params': {}}}}}");
    answers_error(s, "invalid input for blocking 'script run' request (transaction ${tx})");
}

/* ---- external modules */

#define EXTERNAL(m, a, p) "{'transaction_id': '${tx}', 'module': '" m "', 'action': '" a "', 'params': " p "}"
#define EXTERNAL_NB(m, a, p)                                                                                           \
    "{'transaction_id': '${tx}', 'module': '" m "', 'action': '" a "', 'params': " p ", 'notify_outcome': true}"
#define RETURNED(a, what) "The task executed for the blocking 'conf " a "' request (transaction ${tx}) returned " what
static const struct asked copy = {"blocking", EXTERNAL("conf", "copy", "{'x': [1, null]}"),
                                  "{\"input\": {\"x\": [1, null]}}"},
                          copy_empty = {"blocking", EXTERNAL("conf", "copy", "{}"), "{\"input\": {}}"},
                          needs = {"blocking", EXTERNAL("conf", "needs", "{'a': 1}"), "{\"input\": {\"a\": 1}}"},
                          needs_not = {"blocking", EXTERNAL("conf", "needs", "{'b': 1}"),
                                       "invalid input for blocking 'conf needs' request (transaction ${tx})"},
                          ext_fail = {"blocking", EXTERNAL("conf", "fail", "{}"), "{\"a\": 1}"},
                          garbage = {"blocking", EXTERNAL("conf", "garbage", "{}"),
                                     RETURNED("garbage", "invalid JSON on stdout - stderr: (empty)")},
                          garbled = {"blocking", EXTERNAL("conf", "garbled", "{}"),
                                     RETURNED("garbled", "invalid JSON on stdout - stderr:\nso it is\n")},
                          wrong = {"blocking", EXTERNAL("conf", "wrong", "{}"),
                                   RETURNED("wrong", "invalid results on stdout: {\"b\": 1}\n - stderr: (empty)")},
                          ext_silent = {"blocking", EXTERNAL("conf", "silent", "{}"), "null"},
                          ext_nothing = {"blocking", EXTERNAL("conf", "nothing", "{}"),
                                         RETURNED("nothing", "no results on stdout - stderr: (empty)")},
                          ext_unknown_action = {"blocking", EXTERNAL("conf", "nope", "{}"),
                                                "unknown action 'nope' for module 'conf'"},
                          ext_write = {"non_blocking", EXTERNAL_NB("conf", "write", "{}"), "{\"written\": true}"},
                          two_run = {"blocking", EXTERNAL("two", "run", "{}"), "{\"input\": {}}"},
                          two_again = {"blocking", EXTERNAL("two", "again", "{}"), "{\"input\": {}}"},
                          with_exit = {"blocking", EXTERNAL("exit-code", "run", "{}"), "{\"input\": {}}"},
                          brief = {"blocking", EXTERNAL("brief", "run", "{}"), "{\"input\": {}}"},
                          configured = {"blocking", EXTERNAL("configured", "run", "{}"),
                                        "{\"input\": {}, \"configuration\": {\"colour\": \"red\"}}"},
                          free_configuration = {"blocking", EXTERNAL("free-configuration", "run", "{}"),
                                                "{\"input\": {}, \"configuration\": {\"anything\": [1, 2]}}"};

static void broken_results(struct stage *s) { /* the text as the module wrote it, in any white space */
    needs_modules(s);
    const struct asked *a = s->c->data;
    asks(s, a->type, a->data);
    json_t *m = next_message(s, agent_side(s)->agent), *d = json_object_get(m, "data");
    char *want = variables_fill(&s->vars, a->answer),
         *got = str_dup(json_str(d, "description") != NULL ? json_str(d, "description") : "");
    char *texts[2] = {want, got};
    for (int i = 0; i < 2; i++) {
        char *to = texts[i];
        for (const char *p = texts[i]; *p != '\0'; p++) {
            if (*p != '\n') {
                *to++ = *p;
            }
        }
        *to = '\0';
    }
    const char *w = keep_text(s, want), *g = keep_text(s, got);
    check(s, glob_match(w, g), w, "%s", g);
}

static void five(struct stage *s) {
    needs_modules(s);
    asks(s, "non_blocking", EXTERNAL_NB("conf", "five", "{}"));
    provisional_and(
        s, "error_message",
        "{'transaction_id': '${tx}', 'id': '${sent}', 'description': '$like:Failed to execute the task for the non "
        "blocking *conf five* request (transaction ${tx}). Error: failed to write output on file'}");
}

struct missing {
    const char *module;
};

static void not_loaded(struct stage *s) {
    needs_modules(s);
    char *data = str_printf("{'transaction_id': '${tx}', 'module': '%s', 'action': 'run', 'params': {}}",
                            (const char *)s->c->data);
    asks(s, "blocking", data);
    mem_free(data);
    char *text = str_printf("unknown module: %s", (const char *)s->c->data);
    answers_error(s, text);
    mem_free(text);
}

#define WORK(id, statement, covers, a)                                                                                 \
    { "pxp*/" id, statement, "agent.md §10, §11.4", covers, answered, &a, NULL, false }
#define EXT(id, statement, covers, a)                                                                                  \
    { "pxp*/external/" id, statement, "agent.md §9", covers, external, &a, NULL, false }
#define ABSENT(id, statement, name)                                                                                    \
    {                                                                                                                  \
        "pxp2/metadata/" id, statement, "pxp.md §9", "pxp-13 agent-2-external agent-3-external", not_loaded, name,     \
            NULL, false                                                                                                \
    }

const struct conform_case agent_module_cases[] = {
    WORK("command/output-001", "A command's output and exit code.", "agent-2-command agent-4-command", hello),
    WORK("command/output-002", "So non-blocking, behind the provisional response.", "agent-2-command", hello_nb),
    WORK("command/output-003", "Without output there is no stdout and no stderr.", "agent-2-command", silent),
    WORK("command/output-004", "stdout and stderr are apart.", "agent-2-command", both),
    WORK("command/output-005", "So non-blocking.", "agent-2-command", both_nb),
    WORK("command/output-006", "A shell runs it.", "agent-2-command", words),
    WORK("command/output-007", "A missing last newline stays missing, blocking.", "agent-2-command", no_newline),
    WORK("command/output-008", "Non-blocking it is added.", "agent-2-command", no_newline_nb),
    WORK("command/output-009", "UTF-8 comes through.", "agent-2-command", utf8),
    WORK("command/input-001", "Its input is empty.", "agent-2-command", no_input),
    WORK("command/exit-001", "A failing command is a response, not an error.", "pxp-08 agent-2-command", failing),
    WORK("command/exit-002", "So non-blocking.", "pxp-08 agent-2-command", failing_nb),
    WORK("command/exit-003", "An unknown command: 127 and the shell's message.", "agent-2-command", unknown),
    WORK("command/exit-004", "Killed by a signal: the signal's number.", "agent-2-command", killed),
    {"pxp*/command/exit-005", "Exit codes from 128: as they are (ours), or negative (reference).", "agent.md §10, §19",
     "agent-2-command", exit_200, NULL, NULL, false},
    WORK("command/utf8-001", "stdout that is no UTF-8: RPC error.", "pxp-03 agent-2-command", bad_utf8),
    WORK("command/utf8-002", "So non-blocking.", "pxp-03 agent-2-command", bad_utf8_nb),
    WORK("command/utf8-003", "A NUL is no UTF-8.", "pxp-03 agent-2-command", nul),
    WORK("command/utf8-004", "An overlong form is none.", "pxp-03", overlong),
    WORK("command/utf8-005", "A surrogate is none.", "pxp-03", surrogate),
    {"pxp*/command/utf8-006", "stderr that is no UTF-8 comes with U+FFFD in it.", "pxp.md §16", "pxp-03",
     stderr_not_utf8, NULL, NULL, true},
    WORK("command/params-001", "A parameter it does not know.", "pxp-03", extra_param),
    {"pxp*/command/large-001", "A megabyte of output.", "pxp.md §16", "pxp-12", large_output, NULL, NULL, false},
    {"pxp*/command/parallel-001", "While a non-blocking command runs, pings and requests are answered.", "agent.md §8",
     "agent-2-requests", order_and_pings, NULL, FIXTURE_FRESH, false},
    {"pxp*/script/run-001", "A script gets its arguments, one each, and no input.", "agent.md §11.5",
     "agent-2-script agent-4-command", script_arguments, NULL, NULL, false},
    {"pxp*/script/run-002", "A failing script is a response.", "agent.md §11.5", "agent-2-script", script_fails, NULL,
     NULL, false},
    {"pxp*/script/params-001", "arguments are required.", "agent.md §11.5", "agent-2-script", script_without_arguments,
     NULL, NULL, false},
    EXT("input-001", "The module gets {input}; its JSON is the result.", "agent-2-external agent-3-blocking", copy),
    EXT("input-002", "Empty params, and no configuration.", "agent-2-external", copy_empty),
    EXT("input-003", "Input that fits its schema.", "agent-2-external", needs),
    EXT("input-004", "Input that does not.", "agent-2-external pxp-03", needs_not),
    EXT("result-001", "The exit code does not matter when the JSON is good.", "pxp-08 agent-2-external", ext_fail),
    EXT("result-002", "No output is null where the schema takes it.", "agent-2-external", ext_silent),
    {"pxp*/external/result-003", "Output that is no JSON: RPC error.", "pxp.md §6",
     "pxp-03 agent-2-external agent-3-blocking", broken_results, &garbage, NULL, false},
    {"pxp*/external/result-004", "With stderr in the text.", "pxp.md §6", "pxp-03 agent-2-external", broken_results,
     &garbled, NULL, false},
    {"pxp*/external/result-005", "Results that do not fit their schema: RPC error.", "pxp.md §6",
     "pxp-03 agent-2-external", broken_results, &wrong, NULL, false},
    {"pxp*/external/result-006", "No output where a result is needed: RPC error.", "pxp.md §6",
     "pxp-03 agent-2-external", broken_results, &ext_nothing, NULL, false},
    EXT("action-001", "An action the module does not have.", "agent-2-external", ext_unknown_action),
    EXT("action-002", "Several actions: the first.", "agent-2-external", two_run),
    EXT("action-003", "Several actions: the second.", "agent-2-external", two_again),
    EXT("files-001", "Non-blocking the module writes its output files.", "agent-2-external agent-3-nonblocking",
        ext_write),
    {"pxp*/external/files-002", "Exit code 5: it could not write them; RPC error.", "agent.md §9", "agent-2-external",
     five, NULL, NULL, false},
    EXT("configuration-001", "A module gets its configuration.", "agent-2-external agent-3-external", configured),
    EXT("configuration-002", "So without a schema for it.", "agent-2-external agent-3-external", free_configuration),
    EXT("metadata-001", "The exit code of metadata does not matter.", "pxp-13", with_exit),
    EXT("metadata-002", "An action needs name, input and results only.", "pxp-13", brief),
    ABSENT("refuse-001", "A file with an extension is no module.", "sent-away"),
    ABSENT("refuse-002", "Anything on stderr disables a module.", "noisy"),
    ABSENT("refuse-003", "No metadata.", "nothing-said"),
    ABSENT("refuse-004", "Metadata that is no JSON.", "not-json"),
    ABSENT("refuse-005", "No description.", "no-description"),
    ABSENT("refuse-006", "No actions.", "no-actions"),
    ABSENT("refuse-007", "A key that is not known.", "extra-key"),
    ABSENT("refuse-008", "A key that is not known, of an action.", "extra-action-key"),
    ABSENT("refuse-009", "An action without input.", "no-input"),
    ABSENT("refuse-010", "An action without results.", "no-results"),
    ABSENT("refuse-011", "An action without a name.", "no-name"),
    ABSENT("refuse-012", "A schema with a type that is none.", "bad-schema"),
    ABSENT("refuse-013", "A schema that is a list.", "list-schema"),
    ABSENT("refuse-014", "Configuration that does not fit the module's schema.", "misconfigured"),
    ABSENT("refuse-015", "Configuration that is cut off is null, which does not fit.", "cut-configuration"),
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
