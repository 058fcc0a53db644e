/* From a program's output to results or to the exact error text (pxp.md §6, §8). */
#include "agent/outcome.h"
#include "base/json.h"
#include "base/mem.h"

void outcome_free(struct outcome *o) {
    json_decref(o->results);
    mem_free(o->error);
    *o = (struct outcome){0};
}

static struct outcome wrong(struct buf *text) {
    return (struct outcome){NULL, buf_take(text)};
}

struct outcome outcome_failed(const char *label, const char *why) {
    return (struct outcome){NULL, str_printf("Failed to execute the task for the %s. Error: %s", label, why)};
}

struct outcome outcome_of_text(const char *label, int64_t exitcode, struct span out, struct span err) {
    if (!span_is_utf8(out) || span_has_nul(out)) {
        return (struct outcome){NULL,
                                str_printf("The task executed for the %s returned invalid UTF-8 on stdout", label)};
    }
    json_t *results = json_object();
    json_set(results, "exitcode", json_integer(exitcode));
    if (out.len > 0) {
        json_set(results, "stdout", json_str_new(out));
    }
    if (err.len > 0) {
        json_set(results, "stderr", pxp_json_text(err));
    }
    return (struct outcome){results, NULL};
}

static void append_stderr(struct buf *text, const char *empty, struct span err) {
    if (err.len == 0) {
        buf_append_cstr(text, empty);
    } else {
        buf_append_char(text, '\n');
        pxp_utf8_repair(text, err);
    }
}

struct outcome outcome_of_json(const char *label, const struct pxp_action *action, struct span out, struct span err) {
    struct buf text = BUF_INIT;
    buf_printf(&text, "The task executed for the %s returned ", label);
    json_t *results = span_trim(out).len == 0 ? json_null() : json_parse(out, "agent/output", NULL);
    if (results == NULL) {
        buf_append_cstr(&text, "invalid JSON on stdout - stderr:");
        append_stderr(&text, " (empty)", err);
        return wrong(&text);
    }
    if (!pxp_schema_check(action->results, results, NULL)) {
        if (json_is_null(results)) {
            buf_append_cstr(&text, "no results on stdout - stderr: ");
        } else {
            buf_append_cstr(&text, "invalid results on stdout: ");
            pxp_utf8_repair(&text, out);
            buf_append_cstr(&text, " - stderr: ");
        }
        append_stderr(&text, "(empty)", err);
        json_decref(results);
        return wrong(&text);
    }
    buf_free(&text);
    return (struct outcome){results, NULL};
}
