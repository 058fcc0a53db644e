/* TAP version 13 with YAML blocks behind what did not pass. */
#include "simulator/results/internal.h"

/* One line; '#' begins a directive and '\' an escape, so both are escaped. */
static void description(struct buf *out, const char *text) {
    struct span rest = span_of(text), plain;
    while (rest.len != 0) {
        if (!results_plain(out, &rest, &plain)) {
            continue;
        }
        switch (plain.ptr[0]) {
        case '\n':
        case '\t':
            buf_append_char(out, ' ');
            break;
        case '#':
        case '\\':
            buf_append_char(out, '\\');
            buf_append_span(out, plain);
            break;
        default:
            buf_append_span(out, plain);
        }
    }
}

/* A literal block, whose lines stand two deeper than its key whatever they begin with. */
static void block(struct buf *out, const char *key, const char *text) {
    if (text == NULL) {
        return;
    }
    buf_printf(out, "  %s: |2-\n", key);
    struct span rest = span_of(text), line, plain;
    while (span_split(&rest, '\n', &line)) {
        buf_append_cstr(out, "    ");
        while (line.len != 0) {
            if (results_plain(out, &line, &plain)) {
                buf_append_span(out, plain);
            }
        }
        buf_append_char(out, '\n');
    }
}

void tap_head(struct buf *out, size_t planned) {
    buf_printf(out, "TAP version 13\n1..%zu\n", planned);
}

void tap_case(struct buf *out, const struct result *one, size_t number) {
    bool ok = one->status == RESULT_PASS || one->status == RESULT_SKIP;
    buf_printf(out, "%sok %zu - ", ok ? "" : "not ", number);
    description(out, one->suite);
    buf_append_char(out, '/');
    description(out, one->name);
    if (one->title != NULL) {
        buf_append_cstr(out, ": ");
        description(out, one->title);
    }
    if (one->status == RESULT_SKIP || one->status == RESULT_KNOWN) {
        buf_append_cstr(out, one->status == RESULT_SKIP ? " # SKIP " : " # TODO ");
        description(out, one->message != NULL ? one->message : "");
    }
    buf_append_char(out, '\n');
    if (one->status == RESULT_PASS || one->status == RESULT_SKIP) {
        return;
    }
    buf_append_cstr(out, "  ---\n");
    block(out, "message", one->message);
    block(out, "expected", one->expected);
    block(out, "got", one->got);
    block(out, "details", one->details);
    for (size_t i = 0; i < one->property_count; i++) {
        struct buf key = BUF_INIT;
        description(&key, one->properties[i].name);
        block(out, key.ptr != NULL ? key.ptr : "", one->properties[i].value);
        buf_free(&key);
    }
    if (one->file != NULL) {
        struct buf at = BUF_INIT;
        buf_printf(&at, "%s:%d", one->file, one->line);
        block(out, "at", at.ptr);
        buf_free(&at);
    }
    buf_append_cstr(out, "  ...\n");
}
