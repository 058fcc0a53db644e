/* Programs of small commands: what the stateful targets read. */
#include "base/mem.h"
#include "fuzz/mutate/words.h"
#include <string.h>

static const struct mutate_op *op_of(const struct mutate_program *program, uint8_t byte) {
    for (size_t i = 0; i < program->op_count; i++) {
        if (program->ops[i].op == byte) {
            return &program->ops[i];
        }
    }
    return NULL;
}

static uint8_t operands_of(const struct mutate_program *program, const struct mutate_op *op) {
    return op != NULL ? op->operands : program->other_operands;
}

static size_t text_length(const struct mutate_op *op, const uint8_t *operands) {
    return op->wide ? (size_t)operands[op->length] << 8 | operands[op->length + 1] : operands[op->length];
}

/* A last command that lacks some of its bytes is kept as it is. */
bool program_split(const struct mutate_format *f, struct span in, struct pieces *out) {
    const struct mutate_program *program = f->data;
    buf_append_span(&out->head, span_sub(in, 0, program->options));
    in = span_sub(in, program->options, in.len);
    while (in.len != 0) {
        const struct mutate_op *op = op_of(program, (uint8_t)in.ptr[0]);
        uint8_t operands = operands_of(program, op);
        struct span text = SPAN("");
        struct piece *p = pieces_add(out, (uint8_t)in.ptr[0], text);
        memcpy(p->operands, in.ptr + 1, operands < in.len - 1 ? operands : in.len - 1);
        in = span_sub(in, 1u + operands, in.len);
        if (op != NULL && op->length != NO_LENGTH) {
            text = span_sub(in, 0, text_length(op, p->operands));
            buf_append_span(&p->text, text);
            in = span_sub(in, text.len, in.len);
        }
    }
    return out->head.len == program->options;
}

void program_join(const struct mutate_format *f, const struct pieces *in, struct buf *out) {
    const struct mutate_program *program = f->data;
    buf_append_span(out, buf_span(&in->head));
    for (size_t i = 0; i < in->count; i++) {
        const struct piece *p = &in->items[i];
        const struct mutate_op *op = op_of(program, p->kind);
        uint8_t operands[PIECE_OPERANDS];
        memcpy(operands, p->operands, sizeof(operands));
        size_t len = 0;
        if (op != NULL && op->length != NO_LENGTH) {
            size_t most = op->wide ? UINT16_MAX : UINT8_MAX;
            len = p->text.len < most ? p->text.len : most;
            operands[op->length] = (uint8_t)(op->wide ? len >> 8 : len);
            operands[op->length + (op->wide ? 1 : 0)] = (uint8_t)len;
        }
        buf_append_char(out, (char)p->kind);
        buf_append(out, operands, operands_of(program, op));
        buf_append(out, p->text.ptr != NULL ? p->text.ptr : "", len);
    }
}

void program_change(const struct mutate_format *f, struct mutate *m, struct piece *p) {
    const struct mutate_program *program = f->data;
    const struct mutate_op *op = op_of(program, p->kind);
    uint8_t operands = operands_of(program, op);
    bool texts = op != NULL && op->length != NO_LENGTH;
    if (texts && !mutate_one_in(m, 4)) {
        if (op->json && !mutate_one_in(m, 8)) {
            mutate_json(m, program->words, &p->text);
        } else {
            mutate_bytes(m, &p->text);
        }
    } else if (operands != 0 && !mutate_one_in(m, 4)) {
        uint8_t *operand = &p->operands[mutate_below(m, operands)];
        *operand = (uint8_t)(mutate_one_in(m, 2) ? *operand ^ (1u << mutate_below(m, 8)) : mutate_below(m, 256));
    } else {
        buf_clear(&p->text);
        program_make(f, m, p);
    }
}

void program_make(const struct mutate_format *f, struct mutate *m, struct piece *p) {
    const struct mutate_program *program = f->data;
    const struct mutate_op *op = &program->ops[mutate_below(m, (uint32_t)program->op_count)];
    p->kind = op->op;
    for (size_t i = 0; i < op->operands; i++) {
        p->operands[i] = (uint8_t)mutate_below(m, 256);
    }
    if (op->length != NO_LENGTH && op->json) {
        mutate_json(m, program->words, &p->text);
    } else if (op->length != NO_LENGTH) {
        mutate_bytes(m, &p->text);
    }
}

/* ---- fuzz_broker */

#define URI "\"pcp://b.example.com/agent\""
static const char *const pcp_keys[] = {"id",          "message_type", "target",  "sender",  "in_reply_to",
                                       "in-reply-to", "data",         "targets", "expires", "destination_report",
                                       "query",       "subscribe",    NULL};
static const char *const pcp_values[] = {
    "\"12345678-1234-4234-8234-123456789012\"",
    "\"x\"",
    URI,
    "[" URI "]",
    "\"pcp://*/agent\"",
    "\"pcp:///server\"",
    "\"2030-01-02T03:04:05.678Z\"",
    "\"http://puppetlabs.com/inventory_request\"",
    "\"http://puppetlabs.com/associate_request\"",
    "\"http://puppetlabs.com/error_message\"",
    "{\"query\":[\"pcp://*/*\"],\"subscribe\":true}",
    "{\"id\":\"12345678-1234-4234-8234-123456789012\",\"message_type\":\"x\",\"target\":" URI ",\"data\":1}",
    NULL};
const struct mutate_words mutate_pcp_words = {pcp_keys, pcp_values};

static const struct mutate_op broker_ops[] = {
    {'o', 3, NO_LENGTH, false, false}, {'m', 3, NO_LENGTH, false, false}, {'m', 3, NO_LENGTH, false, false},
    {'m', 3, NO_LENGTH, false, false}, {'l', 3, NO_LENGTH, false, false}, {'r', 3, 1, false, true},
    {'R', 3, 1, false, false},         {'h', 3, 1, false, false},         {'c', 3, NO_LENGTH, false, false},
    {'x', 3, NO_LENGTH, false, false}, {'p', 3, NO_LENGTH, false, false}, {'w', 3, NO_LENGTH, false, false},
    {'u', 3, NO_LENGTH, false, false}, {'t', 3, NO_LENGTH, false, false},
};
static const struct mutate_program broker = {1, broker_ops, sizeof(broker_ops) / sizeof(broker_ops[0]), 3,
                                             &mutate_pcp_words};
const struct mutate_format mutate_broker = {program_split, program_join, program_change, program_make, NULL, &broker};

/* ---- fuzz_agent */

static const char *const pxp_keys[] = {"transaction_id", "module",   "action", "params",     "notify_outcome",
                                       "request_id",     "results",  "task",   "input",      "input_method",
                                       "files",          "filename", "sha256", "size_bytes", "uri",
                                       "path",           "metadata", "noop",   "id",         "description",
                                       "exitcode",       "stdout",   "stderr", "status",     "env",
                                       "flags",          "job",      NULL};
static const char *const pxp_values[] = {
    "\"1\"",
    "\"task\"",
    "\"run\"",
    "\"puppet\"",
    "\"status\"",
    "\"query\"",
    "\"ping\"",
    "\"download_file\"",
    "\"stdin\"",
    "{\"transaction_id\":\"1\"}",
    "{\"transaction_id\":\"2\",\"notify_outcome\":true,\"module\":\"status\",\"action\":\"query\",\"params\":"
    "{\"transaction_id\":\"1\"}}",
    "{\"transaction_id\":\"3\",\"notify_outcome\":false,\"module\":\"task\",\"action\":\"run\",\"params\":{\"task\":"
    "\"a\",\"input\":{},\"input_method\":\"stdin\",\"files\":[{\"filename\":\"init.sh\",\"sha256\":"
    "\"a0b4f3b6b1c2d8fc2b1b0b5cf3e9b7a4d1c9a2c5f0e3d7b8a9c6f4e2d1b0a3c5\",\"size_bytes\":6,\"uri\":{\"path\":"
    "\"/f\",\"params\":{\"environment\":\"production\"}}}]}}",
    "[{\"filename\":\"../x\",\"sha256\":\"0\",\"uri\":{\"path\":\"/f\",\"params\":{}}}]",
    NULL};
const struct mutate_words mutate_pxp_words = {pxp_keys, pxp_values};

static const struct mutate_op agent_ops[] = {
    {'r', 2, 0, true, true},           {'b', 2, 0, true, true},           {'b', 2, 0, true, true},
    {'n', 2, 0, true, true},           {'n', 2, 0, true, true},           {'o', 2, 0, true, false},
    {'c', 0, NO_LENGTH, false, false}, {'x', 0, NO_LENGTH, false, false}, {'t', 0, NO_LENGTH, false, false},
    {'k', 0, NO_LENGTH, false, false}, {'p', 0, NO_LENGTH, false, false}, {'.', 0, NO_LENGTH, false, false},
};
static const struct mutate_program agent = {1, agent_ops, sizeof(agent_ops) / sizeof(agent_ops[0]), 0,
                                            &mutate_pxp_words};
const struct mutate_format mutate_agent = {program_split, program_join, program_change, program_make, NULL, &agent};

/* ---- fuzz_orchestrator */

static const char *const api_keys[] = {
    "environment", "task",         "params",      "scope",      "nodes",       "query",          "timeout",
    "job",         "force",        "concurrency", "noop",       "plan_name",   "plan_job",       "result",
    "status",      "description",  "target",      "secret",     "p",           "scheduled_time", "schedule_options",
    "interval",    "units",        "value",       "node_group", "application", "userdata",       "enforce_environment",
    "targets",     "display_name", NULL};
static const char *const api_values[] = {
    "\"production\"",
    "\"echo\"",
    "[\"n0\",\"n1\"]",
    "{\"nodes\":[\"n0\",\"n2\"]}",
    "{\"query\":[\"from\",\"nodes\",[\"=\",\"certname\",\"n0\"]]}",
    "{\"query\":\"nodes[certname]{}\"}",
    "{\"node_group\":\"00000000-0000-4000-8000-000000000000\"}",
    "\"1\"",
    "\"2030-01-02T03:05:00Z\"",
    "{\"interval\":{\"units\":\"seconds\",\"value\":86400}}",
    "{\"environment\":\"production\",\"task\":\"echo\",\"params\":{\"p\":\"x\"},\"scope\":{\"nodes\":[\"n0\"]}}",
    "{\"status\":\"success\",\"exitcode\":0,\"stdout\":\"{}\"}",
    "{\"status\":\"running\"}",
    "{\"status\":\"failure\",\"exitcode\":1,\"stdout\":\"{\\\"_error\\\":{\\\"msg\\\":\\\"no\\\"}}\"}",
    "{\"transaction_id\":\"1\",\"results\":{}}",
    NULL};
const struct mutate_words mutate_api_words = {api_keys, api_values};

static const struct mutate_op orchestrator_ops[] = {
    {'a', 3, NO_LENGTH, false, false}, {'a', 3, NO_LENGTH, false, false}, {'A', 3, 2, false, true},
    {'A', 3, 2, false, true},          {'q', 3, 2, false, false},         {'g', 3, 2, false, true},
    {'s', 3, 2, false, true},          {'d', 3, NO_LENGTH, false, false}, {'b', 3, NO_LENGTH, false, false},
    {'k', 3, NO_LENGTH, false, false}, {'p', 3, NO_LENGTH, false, false}, {'t', 3, NO_LENGTH, false, false},
};
static const struct mutate_program orchestrator = {
    0, orchestrator_ops, sizeof(orchestrator_ops) / sizeof(orchestrator_ops[0]), 3, &mutate_api_words};
const struct mutate_format mutate_orchestrator = {program_split, program_join, program_change,
                                                  program_make,  NULL,         &orchestrator};
