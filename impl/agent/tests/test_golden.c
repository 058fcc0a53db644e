/* The recordings of the reference agent, played again: the same frames at the same times, answered with the same bytes
 * (ids and times aside). What the recorded programs did is made up from what they were recorded to print; their files'
 * digests in the requests are replaced by those of the stand-ins. */
#include "agent/tests/bench.h"
#include "base/digest.h"
#include "base/mem.h"
#include "pcp/chunk.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* Where we answer otherwise on purpose, or the recording holds what the simulated world has not. */
static const struct {
    const char *label, *why;
    int version; /* 0: both */
} skipped[] = {
    {"nb-empty-tx", "an empty transaction id is refused", 0},
    {"nb-dot-tx", "so is .", 0},
    {"status-dot-tx", "which is no transaction then", 0},
    {"tx-traversal", "and so is a path", 0},
    {"task-sha-uppercase", "digests are compared case-insensitively", 0},
    {"task-implementations", "exit 13: the reference's wrapper died of SIGPIPE", 0},
    {"badstderr", "invalid UTF-8 on stderr is repaired (v1: exit 13 again)", 0},
    {"badstderr-blocking", "the same", 0},
    {"status 98238118", "the same", 0},
    {"status 9e33b7fd", "the same", 0},
    {"status-after-noexec", "exit 13 again", 1},
    {"debug chunk before data", "the recorded answer repeats a chunk our decoder has dropped", 0},
    {"command-bigout", "frames over 20 kB were not recorded", 0},
};

static bool is_skipped(const char *label, enum pcp_version version) {
    for (size_t i = 0; i < sizeof skipped / sizeof skipped[0]; i++) {
        if (strcmp(label, skipped[i].label) == 0 && (skipped[i].version == 0 || skipped[i].version == (int)version)) {
            return true;
        }
    }
    return false;
}

struct player {
    struct bench *bench;
    json_t **records;
    size_t count;
    struct map expected; /* frame, normalized -> count + 1 */
    size_t expected_count;
    size_t unexpected;
};

/* ---------------------------------------------------------------------------------------- reading */

static struct buf frame_of(const json_t *record) {
    struct buf frame = BUF_INIT;
    if (json_str(record, "hex") != NULL) {
        assert_true(hex_decode(&frame, json_span(json_object_get(record, "hex"))));
    } else {
        buf_append_span(&frame, json_span(json_object_get(record, "text")));
    }
    return frame;
}

static bool uuid_at(struct span s, size_t i) {
    return i + UUID_LEN <= s.len && uuid_valid(span_sub(s, i, UUID_LEN));
}

/* "2026-11-20T22:08:56.816695Z" with or without its fraction: how many bytes, 0: no time. */
static size_t time_at(struct span s, size_t i) {
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    for (size_t k = 0; k < sizeof form - 1; k++) {
        if (i + k >= s.len || (form[k] == 'd' ? !isdigit((unsigned char)s.ptr[i + k]) : s.ptr[i + k] != form[k])) {
            return 0;
        }
    }
    size_t end = i + sizeof form - 1;
    while (end < s.len && (s.ptr[end] == '.' || isdigit((unsigned char)s.ptr[end]))) {
        end++;
    }
    return end < s.len && s.ptr[end] == 'Z' ? end + 1 - i : 0;
}

/* The file server's name: ours in the bench, the recording's. */
static size_t server_at(struct span s, size_t i) {
    static const char *const servers[] = {"https://primary.example.com:8140", "https://localhost:28643",
                                          "https://localhost:18142"};
    for (size_t k = 0; k < sizeof servers / sizeof servers[0]; k++) {
        if (span_starts_with(span_sub(s, i, s.len), servers[k])) {
            return strlen(servers[k]);
        }
    }
    return 0;
}

/* The envelope's own id becomes X, times T, the file server S; every other id is one of the recording's. */
static void normalize(struct buf *out, struct span text) {
    static const struct span id_key = {"{\"id\":\"", 7};
    for (size_t i = 0; i < text.len;) {
        size_t time = time_at(text, i), server = server_at(text, i);
        if (i == id_key.len && span_starts_with(text, id_key.ptr) && uuid_at(text, i)) {
            buf_append_char(out, 'X');
            i += UUID_LEN;
        } else if (time != 0 || server != 0) {
            buf_append_char(out, time != 0 ? 'T' : 'S');
            i += time + server;
        } else {
            buf_append_char(out, text.ptr[i++]);
        }
    }
}

/* v1: each chunk's type and content; v2: the text. The id of an error's data is the request's: kept. */
static char *normalized(struct span frame) {
    struct buf out = BUF_INIT;
    if (frame.len == 0 || frame.ptr[0] != 1) {
        normalize(&out, frame);
        return buf_take(&out);
    }
    struct span rest = span_sub(frame, 1, frame.len), content;
    int type;
    while (chunk_next(&rest, &type, &content) == CHUNK_OK) {
        buf_printf(&out, "<%d>", type);
        if (type == CHUNK_ENVELOPE) {
            normalize(&out, content);
        } else { /* behind a blank its id is no envelope's */
            struct buf data = BUF_INIT;
            buf_printf(&data, " %.*s", (int)content.len, content.ptr);
            normalize(&out, buf_span(&data));
            buf_free(&data);
        }
    }
    return buf_take(&out);
}

/* A record without its bytes (they held what does not belong into a repository) still has what they meant. */
static char *normalized_record(const json_t *record) {
    struct buf frame = frame_of(record);
    char *text = NULL;
    if (frame.len > 0) {
        text = normalized(buf_span(&frame));
    } else {
        const json_t *decoded = json_object_get(record, "decoded"), *envelope = json_object_get(decoded, "envelope");
        struct buf json = BUF_INIT, out = BUF_INIT;
        json_write(&json, envelope != NULL ? envelope : decoded);
        buf_append_cstr(&out, envelope != NULL ? "<1>" : "");
        normalize(&out, buf_span(&json));
        if (envelope != NULL) {
            buf_append_cstr(&out, "<2> ");
            json_write(&out, json_object_get(decoded, "data"));
        }
        buf_free(&json);
        text = buf_take(&out);
    }
    buf_free(&frame);
    return text;
}

static const json_t *data_of(const json_t *record) {
    return json_object_get(json_object_get(record, "decoded"), "data");
}

static bool is_frame(const json_t *record, const char *direction) {
    return str_eq(json_str(record, "dir"), direction);
}

static int64_t time_of(const json_t *record) {
    return json_int(record, "t", 0);
}

/* ---------------------------------------------------------------------------------------- stand-ins */

static void append_hex_line(struct buf *out, const char *word, struct span text) {
    buf_printf(out, "%s ", word);
    hex_encode(out, text);
    buf_append_char(out, '\n');
}

/* The lines that make a program end as the recording shows for this transaction. */
static char *stand_in(const struct player *p, size_t at, bool wrap) {
    while (at > 0 && str_eq(json_str(p->records[at - 1], "label"), json_str(p->records[at], "label")) &&
           is_frame(p->records[at - 1], "send")) {
        at--; /* several at once run the same file */
    }
    const char *transaction = json_str(data_of(p->records[at]), "transaction_id");
    struct buf out = BUF_INIT;
    buf_printf(&out, "%s#%zu\n", wrap ? "#!sim\n" : "", at);
    int64_t takes = 1;
    for (size_t i = at + 1; i < p->count; i++) {
        const json_t *data = data_of(p->records[i]);
        const json_t *results = json_object_get(data, "results");
        const char *status_of = json_str(results, "transaction_id");
        bool mine = is_frame(p->records[i], "recv") &&
                    str_eq(status_of != NULL ? status_of : json_str(data, "transaction_id"), transaction);
        const json_t *code = json_object_get(results, "exitcode");
        const char *said = json_str(results, "stdout");
        if (mine && takes == 1 && results != NULL && json_object_get(results, "exitcode") != NULL) {
            int64_t slack = status_of == NULL ? 20 : 2000; /* it had ended some time before it was asked about */
            takes = time_of(p->records[i]) - time_of(p->records[at]) - slack;
        }
        if (mine && code != NULL && (said == NULL || strstr(said, "pxp-agent/execution-error") == NULL)) {
            buf_printf(&out, "exit %lld\n", (long long)json_integer_value(code));
            append_hex_line(&out, "raw", json_span(json_object_get(results, "stdout")));
            append_hex_line(&out, "rawerr", json_span(json_object_get(results, "stderr")));
            break;
        }
        const char *error = json_str(data, "description");
        if (mine && error != NULL && strstr(error, "invalid UTF-8") != NULL) {
            buf_append_cstr(&out, "raw ff\n");
            break;
        }
    }
    buf_printf(&out, "takes %lld\n", (long long)(takes > 200 ? takes : 1));
    return buf_take(&out);
}

static void serve_as(struct bench *b, const char *path, const char *content) {
    struct served *file = bench_served(b, path);
    if (file == NULL) {
        mem_free(bench_serve(b, path, content));
        return;
    }
    buf_clear(&file->content);
    buf_append_cstr(&file->content, content);
}

static void replace_digest(struct buf *frame, const char *old, const char *new_digest) {
    for (;;) {
        ptrdiff_t at = span_find_span(buf_span(frame), span_of(old));
        if (at < 0) {
            return;
        }
        memcpy(frame->ptr + at, new_digest, SHA256_HEX_LEN);
    }
}

/* Puts the stand-in of a file where the request says, and its digest into the frame. */
static void prepare_file(struct player *p, size_t at, const json_t *file, struct buf *frame) {
    const char *digest = json_str(file, "sha256");
    const char *path = json_str(json_object_get(file, "uri"), "path");
    bool is_false = digest == NULL || strlen(digest) != SHA256_HEX_LEN || strspn(digest, "0") == SHA256_HEX_LEN ||
                    strspn(digest, "1") == SHA256_HEX_LEN || strspn(digest, "2") == SHA256_HEX_LEN ||
                    strstr(path, "nope") != NULL;
    if (!is_false) {
        char *content = stand_in(p, at, true);
        char hex[SHA256_HEX_LEN + 1];
        sha256_hex(span_of(content), hex);
        serve_as(p->bench, path, content);
        replace_digest(frame, digest, hex);
        mem_free(content);
    } else if (path != NULL && strstr(path, "nope") == NULL && strstr(path, "missing") == NULL &&
               bench_served(p->bench, path) == NULL) {
        serve_as(p->bench, path, "#!sim\n");
    }
}

static void prepare_module(struct player *p, const char *name, const char *label) {
    static const struct {
        const char *label, *out, *err;
        int code;
    } outcomes[] = {
        {"extmod-blocking", "{\"output\":\"cba\"}\n", "", 0},
        {"extmod-nonblocking", "{\"output\":\"anodaram\"}\n", "", 0},
        {"extmod-invalid-result", "no JSON", "", 0},
        {"extmod-broken-action", "", NULL, 1},
        {"extmod-nb-broken", "", NULL, 1},
    };
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        if (strcmp(label, outcomes[i].label) != 0) {
            continue;
        }
        /* What broken_action printed stands in the recorded error. */
        const char *err = outcomes[i].err;
        for (size_t k = 0; err == NULL && k < p->count; k++) {
            const char *text = json_str(data_of(p->records[k]), "description");
            err =
                str_eq(json_str(p->records[k], "label"), label) && text != NULL ? strstr(text, "stderr: \n") + 9 : NULL;
        }
        struct buf text = BUF_INIT;
        buf_printf(&text, "#!sim\nexit %d\n", outcomes[i].code);
        append_hex_line(&text, "raw", span_of(outcomes[i].out));
        append_hex_line(&text, "rawerr", span_of(err));
        char *path = str_printf("/modules/%s", name);
        bench_write(p->bench, path, text.ptr);
        assert_true(world_file_chmod(p->bench->agent_host, path, 0755, NULL));
        mem_free(path);
        buf_free(&text);
    }
}

static void prepare(struct player *p, size_t at, struct buf *frame) {
    const json_t *data = data_of(p->records[at]);
    const json_t *params = json_object_get(data, "params");
    const char *module = json_str(data, "module");
    const json_t *files = json_object_get(params, "files");
    for (size_t i = 0; i < json_array_size(files); i++) {
        prepare_file(p, at, json_array_get(files, i), frame);
    }
    if (json_object_get(params, "script") != NULL) {
        prepare_file(p, at, json_object_get(params, "script"), frame);
    }
    const char *command = json_str(params, "command");
    if (command != NULL) {
        mem_free(map_put(&p->bench->commands, span_of(command), stand_in(p, at, false)));
    }
    if (module != NULL && json_str(p->records[at], "label") != NULL) {
        prepare_module(p, module, json_str(p->records[at], "label"));
    }
}

/* ---------------------------------------------------------------------------------------- playing */

static void load(struct player *p, const char *name) {
    char *path = str_printf("%s/scenarios/golden/pxp-agent/%s", SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t cap = 0, line_cap = 0;
    char *line = NULL;
    ssize_t len;
    while ((len = getline(&line, &line_cap, file)) > 0) {
        p->records = mem_grow(p->records, &cap, p->count + 1, sizeof *p->records);
        p->records[p->count++] = json_parse(span_bytes(line, (size_t)len), "test", NULL);
    }
    free(line);
    fclose(file);
    mem_free(path);
}

static void expect(struct player *p, const json_t *record) {
    char *text = normalized_record(record);
    uintptr_t count = (uintptr_t)map_get_cstr(&p->expected, text);
    map_put(&p->expected, span_of(text), (void *)(count == 0 ? 2 : count + 1));
    p->expected_count++;
    mem_free(text);
}

static bool has_answered(void *ctx) {
    const struct player *p = ctx;
    return p->bench->got_count >= p->expected_count;
}

static void restart(struct player *p) {
    bench_crash(p->bench, SIM_CRASH_KILL);
}

static void play(struct player *p) {
    uint64_t start_us = sim_now_us(p->bench->sim);
    int64_t first = -1;
    bool killed = false;
    for (size_t i = 0; i < p->count; i++) {
        const json_t *record = p->records[i];
        const char *label = json_str(record, "label");
        const char *type = json_str(json_object_get(json_object_get(record, "decoded"), "envelope"), "message_type");
        bool association = str_eq(type, PCP_ASSOCIATE_REQUEST); /* the bench answers those by itself */
        if (is_skipped(label, p->bench->config.version) || association || strcmp(label, "sigterm-mid-task") == 0) {
            continue;
        }
        if (json_object_get(data_of(record), "success") != NULL) {
            continue;
        }
        first = first < 0 ? time_of(record) : first;
        uint64_t due_us = start_us + (uint64_t)(time_of(record) - first) * 1000;
        if (is_frame(record, "recv")) {
            expect(p, record);
        } else if (is_frame(record, "send")) {
            /* What had been answered by then has to be now; our network is not as fast as a machine's own. */
            sim_run_until(p->bench->sim, 20 * SIM_SECOND, has_answered, p);
            uint64_t now_us = sim_now_us(p->bench->sim);
            if (due_us > now_us) {
                sim_run(p->bench->sim, due_us);
            } else {
                start_us += now_us - due_us;
            }
            struct buf frame = frame_of(record);
            prepare(p, i, &frame);
            bench_send_raw(p->bench, buf_span(&frame));
            buf_free(&frame);
        } else if (str_eq(json_str(record, "kind"), "close") && strcmp(label, "agent-killed-mid-task") == 0 &&
                   !killed) {
            sim_run(p->bench->sim, due_us);
            restart(p);
            killed = true;
        }
    }
    bench_run(p->bench, SIM_MINUTE);
}

static void compare(struct player *p) {
    struct bench *b = p->bench;
    struct buf report = BUF_INIT;
    for (size_t i = 0; i < b->got_count; i++) {
        char *text = normalized(buf_span(&b->got[i].raw));
        uintptr_t count = (uintptr_t)map_get_cstr(&p->expected, text);
        if (count < 2) {
            buf_printf(&report, "not recorded: %.1500s\n", text);
        } else {
            map_put(&p->expected, span_of(text), (void *)(count - 1));
            p->expected_count--;
        }
        mem_free(text);
    }
    for (struct map_iter i = map_iter(&p->expected); map_next(&i);) {
        if ((uintptr_t)i.value > 1) {
            buf_printf(&report, "not sent:     %.*s\n", i.key.len < 1500 ? (int)i.key.len : 1500, i.key.ptr);
        }
    }
    if (report.len > 0) {
        fputs(report.ptr, stderr); /* longer than cmocka prints */
        fail_msg("the answers differ");
    }
    buf_free(&report);
}

static void add_modules(struct bench *b) {
    static const char schema[] = "{\"type\":\"object\",\"properties\":{\"argument\":{\"type\":\"string\"}},"
                                 "\"required\":[\"argument\"]}";
    static const struct {
        const char *name, *actions[2];
    } modules[] = {{"reverse_valid", {"string", NULL}}, {"failures_test", {"get_an_invalid_result", "broken_action"}}};
    assert_true(world_file_mkdir(b->agent_host, "/modules", 0755, true, NULL));
    for (size_t i = 0; i < 2; i++) {
        struct buf text = BUF_INIT;
        buf_printf(&text, "{\"description\":\"d\",\"actions\":[");
        for (size_t k = 0; k < 2 && modules[i].actions[k] != NULL; k++) {
            buf_printf(&text, "%s{\"name\":\"%s\",\"input\":%s,\"results\":{\"type\":\"object\"}}", k > 0 ? "," : "",
                       modules[i].actions[k], schema);
        }
        buf_append_cstr(&text, "]}");
        char *path = str_printf("/modules/%s", modules[i].name);
        assert_true(agent_modules_add(b->config.modules, modules[i].name, path, buf_span(&text), NULL, NULL));
        mem_free(path);
        buf_free(&text);
    }
}

static void replay(const char *file, enum pcp_version version) {
    struct player p = {.bench = bench_new(1, version)};
    p.bench->config.modules = agent_modules_new();
    p.bench->config.reference = true;
    add_modules(p.bench);
    load(&p, file);
    bench_start(p.bench);
    play(&p);
    compare(&p);
    struct agent_modules *modules = p.bench->config.modules;
    bench_free(p.bench);
    agent_modules_free(modules);
    for (size_t i = 0; i < p.count; i++) {
        json_decref(p.records[i]);
    }
    mem_free(p.records);
    map_free(&p.expected);
}

static void requests_over_v2(void **state) {
    (void)state;
    replay("v2.jsonl", PCP_V2);
}
static void requests_over_v1(void **state) {
    (void)state;
    replay("v1.jsonl", PCP_V1);
}
static void odd_requests_over_v2(void **state) {
    (void)state;
    replay("extra-v2.jsonl", PCP_V2);
}
static void odd_requests_over_v1(void **state) {
    (void)state;
    replay("extra-v1.jsonl", PCP_V1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_over_v2),
        cmocka_unit_test(requests_over_v1),
        cmocka_unit_test(odd_requests_over_v2),
        cmocka_unit_test(odd_requests_over_v1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
