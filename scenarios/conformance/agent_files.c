/* file download: files, directories, links; what is in the way (agent.md §11.7). */
#include "base/mem.h"
#include "scenarios/conformance/agent_side.h"
#include <string.h>

#define SHA1 "${sha}"
#define ENTRY(kind, destination, sha, link)                                                                            \
    "{\"kind\": \"" kind "\", \"destination\": \"${home}/" destination "\", \"sha256\": \"" sha                        \
    "\", \"link_source\": \"" link                                                                                     \
    "\", \"uri\": {\"path\": \"/files/content\", \"params\": {\"environment\": \"production\"}}}"
#define DOWNLOADED "{'transaction_id': '${tx}', 'results': {'exitcode': 0, 'stdout': 'downloaded'}}"

static void ask_files(struct stage *s, const char *type, const char *entries) {
    char *data = str_printf("{\"transaction_id\": \"${tx}\", \"module\": \"file\", \"action\": \"download\"%s, "
                            "\"params\": {\"files\": [%s]}}",
                            type[0] == 'n' ? ", \"notify_outcome\": true" : "", entries);
    asks(s, type, data);
    mem_free(data);
}

static void file_failed(struct stage *s, const char *want) {
    struct link *l = agent_side(s)->agent;
    json_t *m = next_message(s, l);
    const char *text = json_str(json_object_get(m, "data"), "description");
    char *whole = str_printf(
        "Failed to execute the task for the blocking *file download* request (transaction ${tx}). Error: %s", want);
    char *filled = variables_fill(&s->vars, whole);
    mem_free(whole);
    const char *expected = keep_text(s, filled);
    check(s, text != NULL && glob_match(expected, text), expected, "%s", text != NULL ? text : "no error");
}

static void one_file(struct stage *s) {
    serves(s, "/files/content", "some content\n");
    ask_files(s, "non_blocking", ENTRY("file", "new/deep/a.txt", SHA1, ""));
    provisional_and(s, "non_blocking_response", DOWNLOADED);
    check(s, str_eq(file_text(s, agent_path(s, "new/deep/a.txt")), "some content\n"),
          "the file in a directory made for it", "nothing");
    struct world_stat st;
    world_file_stat(s->world, agent_path(s, "new/deep/a.txt"), &st, NULL);
    check(s, st.mode == 0750, "mode 0750", "%o", (unsigned)st.mode);
}

static void three_kinds(struct stage *s) {
    serves(s, "/files/content", "some content\n");
    ask_files(s, "blocking",
              ENTRY("directory", "set", "", "") ", " ENTRY("file", "set/a.txt", SHA1,
                                                           "") ", " ENTRY("symlink", "set/link", "", "a.txt"));
    answers(s, "blocking_response", DOWNLOADED);
    check(s, str_eq(file_text(s, agent_path(s, "set/link")), "some content\n"), "a link to the file", "none");
    struct world_stat st;
    check(s, world_file_lstat(s->world, agent_path(s, "set/link"), &st, NULL) && st.is_link, "a symbolic link", "none");
}

static void same_is_kept(struct stage *s) {
    struct served *f = serves(s, "/files/content", "some content\n");
    world_file_write(s->world, agent_path(s, "kept"), SPAN("some content\n"), 0644, WORLD_WRITE_PLAIN, NULL);
    ask_files(s, "blocking", ENTRY("file", "kept", SHA1, ""));
    answers(s, "blocking_response", DOWNLOADED);
    check(s, f->asked == 0, "no request", "%zu", f->asked);
}

static void other_is_replaced(struct stage *s) {
    serves(s, "/files/content", "some content\n");
    world_file_write(s->world, agent_path(s, "old"), SPAN("other\n"), 0644, WORLD_WRITE_PLAIN, NULL);
    ask_files(s, "blocking", ENTRY("file", "old", SHA1, ""));
    answers(s, "blocking_response", DOWNLOADED);
    check(s, str_eq(file_text(s, agent_path(s, "old")), "some content\n"), "the new content", "the old one");
}

static void in_the_way(struct stage *s) {
    bool link = strcmp(s->c->data, "symlink") == 0;
    world_file_write(s->world, agent_path(s, "taken"), SPAN("mine\n"), 0644, WORLD_WRITE_PLAIN, NULL);
    ask_files(s, "blocking", link ? ENTRY("symlink", "taken", "", "x") : ENTRY("directory", "taken", "", ""));
    file_failed(s, link ? "Destination \"${home}/taken\" already exists and is not a symlink!"
                        : "Destination \"${home}/taken\" already exists and is not a directory!");
    check(s, str_eq(file_text(s, agent_path(s, "taken")), "mine\n"), "the file as it was", "something else");
}

static void odd_kind(struct stage *s) {
    ask_files(s, "blocking", ENTRY("socket", "x", "", ""));
    file_failed(s, "Not a valid file type! socket");
}

static void absent_file(struct stage *s) {
    serves_status(s, "/files/content", 404);
    ask_files(s, "blocking",
              ENTRY("file", "never", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", ""));
    file_failed(s, "*404*");
    check(s, served_file(s, "/files/content")->asked == 1, "one request, no rounds", "%zu",
          served_file(s, "/files/content")->asked);
    check(s, file_text(s, agent_path(s, "never")) == NULL, "no file", "one");
}

static void other_digest(struct stage *s) {
    serves(s, "/files/content", "not what was asked for\n");
    ask_files(s, "blocking",
              ENTRY("file", "never", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", ""));
    file_failed(s, "*SHA that differs*");
    check(s, file_text(s, agent_path(s, "never")) == NULL, "no file", "one");
}

static void status_after_failure(struct stage *s) {
    serves_status(s, "/files/content", 404);
    ask_files(s, "non_blocking",
              ENTRY("file", "never", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", ""));
    provisional_and(s, "error_message",
                    "{'transaction_id': '${tx}', 'id': '${sent}', 'description': '$like:Failed to execute the task for "
                    "the non blocking *404*'}");
    status_becomes(s, "{'transaction_id': '${tx}', 'status': 'failure', 'exitcode': 0, 'stdout': "
                      "'$like:*_error*puppetlabs.pxp-agent/execution-error*'}");
}

#define F(id, statement, covers, run, data)                                                                            \
    { "pxp2/file/" id, statement, "agent.md §11.7", covers, run, data, FIXTURE_FRESH, false }

const struct conform_case agent_file_cases[] = {
    F("place-001", "A file, into a directory that is made for it, mode 0750.", "agent-2-file agent-4-filedownload",
      one_file, NULL),
    F("place-002", "A directory, a file in it, a link to that.", "agent-2-file agent-4-filedownload", three_kinds,
      NULL),
    F("place-003", "A file that is there with that digest is not fetched.", "agent-2-file", same_is_kept, NULL),
    F("place-004", "Another file in its place is replaced.", "agent-2-file", other_is_replaced, NULL),
    F("refuse-001", "A directory where a file is: RPC error, the file stays.", "agent-2-file", in_the_way, "directory"),
    F("refuse-002", "A link where a file is: RPC error, the file stays.", "agent-2-file", in_the_way, "symlink"),
    F("refuse-003", "A kind that is none: RPC error.", "agent-2-file", odd_kind, NULL),
    F("download-001", "404: one try, an RPC error, no file.", "agent-2-file agent-4-filedownload", absent_file, NULL),
    F("download-002", "Another digest: an RPC error, no file.", "agent-2-file agent-4-filedownload", other_digest,
      NULL),
    F("download-003", "Its status is failure, with an error object.", "agent-4-filedownload", status_after_failure,
      NULL),
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
