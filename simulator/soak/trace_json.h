/* What happened in a simulation as Chrome trace-event JSON: Perfetto (ui.perfetto.dev) and chrome://tracing open it.
 * Each host is a process of its own; connections and programs are spans, what crosses a connection are arrows, the rest
 * are instants. The same seed gives the same file to the byte. */
#ifndef DALANG_SOAK_TRACE_JSON_H
#define DALANG_SOAK_TRACE_JSON_H

#include "simulator/world/sim.h"

struct trace_json;
/* write gets the text piece by piece, while the simulation runs. */
struct trace_json *trace_json_start(struct sim *sim, void (*write)(void *ctx, struct span text), void *ctx);
void trace_json_end(struct trace_json *t); /* before the sim is freed */

#endif
