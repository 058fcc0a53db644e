/* JUnit XML as Jenkins, GitLab and GitHub's reporters read it: one testsuite a run, a testcase a case. */
#include "base/clock.h"
#include "simulator/results/internal.h"

void results_xml_text(struct buf *out, struct span text) {
    struct span plain;
    while (text.len != 0) {
        if (!results_plain(out, &text, &plain)) {
            continue;
        }
        switch (plain.ptr[0]) {
        case '&':
            buf_append_cstr(out, "&amp;");
            break;
        case '<':
            buf_append_cstr(out, "&lt;");
            break;
        case '>':
            buf_append_cstr(out, "&gt;");
            break;
        case '"':
            buf_append_cstr(out, "&quot;");
            break;
        case '\t':
            buf_append_cstr(out, "&#9;");
            break;
        case '\n':
            buf_append_cstr(out, "&#10;");
            break;
        default:
            buf_append_span(out, plain);
        }
    }
}

/* In an element line feeds stay what they are: people read these files too. */
static void element_text(struct buf *out, const char *text) {
    struct span rest = span_of(text), line;
    bool first = true;
    while (span_split(&rest, '\n', &line)) {
        if (!first) {
            buf_append_char(out, '\n');
        }
        results_xml_text(out, line);
        first = false;
    }
}

static void attribute(struct buf *out, const char *name, const char *value) {
    buf_printf(out, " %s=\"", name);
    results_xml_text(out, span_of(value));
    buf_append_char(out, '"');
}

static void seconds(struct buf *out, uint64_t us) {
    buf_printf(out, " time=\"%llu.%06llu\"", (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
}

void junit_head(struct buf *out, const struct results_opts *opts, const struct result_counts *counts,
                uint64_t duration_us) {
    size_t start = out->len, skipped = counts->skipped + counts->known;
    size_t tests = counts->passed + counts->failed + counts->errors + skipped;
    buf_append_cstr(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite");
    buf_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\"", tests, counts->failed,
               counts->errors, skipped);
    seconds(out, duration_us);
    char when[TIME_TEXT_LEN];
    time_format_s(opts->started_ms, when);
    buf_printf(out, " timestamp=\"%.19s\"", when); /* as JUnit has it: no fraction, no zone */
    struct buf name = BUF_INIT;
    attribute(&name, "name", opts->name);
    size_t room = JUNIT_HEAD_SIZE - (out->len - start) - 2;
    if (name.len > room) { /* nobody names a run so; a name cut within an escape would break the file */
        buf_clear(&name);
        attribute(&name, "name", "run");
    }
    buf_append_span(out, buf_span(&name));
    buf_free(&name);
    while (out->len - start < JUNIT_HEAD_SIZE - 2) {
        buf_append_char(out, ' ');
    }
    buf_append_cstr(out, ">\n");
}

void junit_properties(struct buf *out, const struct result_property *properties, size_t count, const char *indent) {
    if (count == 0) {
        return;
    }
    buf_printf(out, "%s<properties>\n", indent);
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%s<property", indent);
        attribute(out, "name", properties[i].name);
        attribute(out, "value", properties[i].value);
        buf_append_cstr(out, "/>\n");
    }
    buf_printf(out, "%s</properties>\n", indent);
}

static void part(struct buf *out, const char *label, const char *text) {
    if (text != NULL) {
        buf_printf(out, "%s: ", label);
        element_text(out, text);
        buf_append_char(out, '\n');
    }
}

static void outcome(struct buf *out, const struct result *one) {
    static const char *const tags[] = {
        [RESULT_FAIL] = "failure", [RESULT_SKIP] = "skipped", [RESULT_ERROR] = "error", [RESULT_KNOWN] = "skipped"};
    if (one->status == RESULT_PASS) {
        return;
    }
    const char *tag = tags[one->status];
    buf_printf(out, "<%s", tag);
    if (one->message != NULL) {
        attribute(out, "message", one->message);
    }
    buf_append_char(out, '>');
    part(out, "expected", one->expected);
    part(out, "got", one->got);
    if (one->details != NULL) {
        element_text(out, one->details);
        buf_append_char(out, '\n');
    }
    buf_printf(out, "</%s>\n", tag);
}

void junit_case(struct buf *out, const struct result *one) {
    buf_append_cstr(out, "<testcase");
    attribute(out, "classname", one->suite);
    attribute(out, "name", one->name);
    seconds(out, one->duration_us);
    if (one->file != NULL) {
        attribute(out, "file", one->file);
    }
    if (one->line != 0) {
        buf_printf(out, " line=\"%d\"", one->line);
    }
    buf_append_cstr(out, ">\n");
    junit_properties(out, one->properties, one->property_count, "");
    outcome(out, one);
    if (one->title != NULL || (one->status == RESULT_PASS && one->details != NULL)) {
        buf_append_cstr(out, "<system-out>");
        element_text(out, one->title != NULL ? one->title : "");
        if (one->status == RESULT_PASS && one->details != NULL) {
            buf_append_char(out, '\n');
            element_text(out, one->details);
        }
        buf_append_cstr(out, "</system-out>\n");
    }
    buf_append_cstr(out, "</testcase>\n");
}

void junit_tail(struct buf *out, const char *interrupted, size_t done, size_t planned) {
    if (interrupted != NULL) {
        buf_append_cstr(out, "<system-err>interrupted by ");
        element_text(out, interrupted);
        buf_printf(out, ": %zu of %zu cases ran</system-err>\n", done, planned);
    }
    buf_append_cstr(out, "</testsuite>\n</testsuites>\n");
}
