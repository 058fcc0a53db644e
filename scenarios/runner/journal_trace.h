/* The journal's lines as Chrome trace-event JSON while they come: what a run in the real world writes for --trace. Each
 * actor is a process of its own, each line an instant. */
#ifndef DALANG_SCENARIO_JOURNAL_TRACE_H
#define DALANG_SCENARIO_JOURNAL_TRACE_H

#include "scenarios/runner/journal.h"

struct journal_trace;
struct journal_trace *journal_trace_start(struct journal *j, void (*write)(void *ctx, struct span text), void *ctx);
void journal_trace_end(struct journal_trace *t); /* NULL is fine */

#endif
