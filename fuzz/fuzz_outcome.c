/* links: orchestrator */
/* What agents print becomes results, and results become events: whatever it was, both are valid JSON. */
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/jobs/outcome.h"
#include "orchestrator/jobs/render.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_json(struct buf *text) {
    json_t *value = json_parse(buf_span(text), "fuzz", NULL);
    if (!json_is_object(value)) {
        abort();
    }
    json_decref(value);
    buf_clear(text);
}

static void show(struct span name, enum node_state state, enum job_type type, struct span detail) {
    static const enum event_type events[NODE_STATES] = {
        [NODE_FINISHED] = EVENT_NODE_FINISHED, [NODE_FAILED] = EVENT_NODE_FAILED, [NODE_ERRORED] = EVENT_NODE_ERRORED};
    struct buf text = BUF_INIT;
    struct store_event e = {.id = 1, .node_name = name, .type = events[state], .detail = detail, .job_type = type};
    render_event(&text, &e);
    expect_json(&text);
    struct store_node n = {
        .name = name, .state = state, .event = 1, .event_type = events[state], .event_detail = detail, .started_ms = 1};
    render_node(&text, &n, type, 2);
    expect_json(&text);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    /* First byte: exit code; second: how much of the rest is standard output. */
    size_t out_len = (size - 2) * data[1] / 255;
    struct span out = span_bytes(data + 2, out_len), err = span_bytes(data + 2 + out_len, size - 2 - out_len);
    struct buf detail = BUF_INIT, copy = BUF_INIT;
    enum node_state state = outcome_task(data[0], out, err, &detail);
    buf_append_span(&copy, buf_span(&detail));
    expect_json(&copy);
    if (span_is_utf8(err)) {
        show(err, state, JOB_TASK, buf_span(&detail));
        buf_clear(&detail);
        outcome_error(&detail, SPAN("node"), err);
        show(SPAN("node"), NODE_ERRORED, JOB_DEPLOY, buf_span(&detail));
    }
    json_t *results = json_parse(out, "fuzz", NULL);
    struct deploy_outcome *o = outcome_deploy(results);
    if (o != NULL) {
        buf_clear(&detail);
        state = outcome_deploy_detail(o, "missing", false, true, "https://console", 7, SPAN("node"), &detail);
        show(SPAN("node"), state, JOB_DEPLOY, buf_span(&detail));
        deploy_outcome_free(o);
    }
    json_decref(results);
    buf_free(&detail);
    buf_free(&copy);
    return 0;
}
