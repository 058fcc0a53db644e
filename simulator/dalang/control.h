/* Faults of a stack that runs in this process, asked for by another (`dalang fault`): a request is a file
 * DIR/faults/ID.json that is moved there, its answer DIR/faults/ID.answer: {"ok": true} or {"error": "…"}.
 *   {"kill": NAME}                        a broker ("broker-1" …) or the orchestrator ends as by kill -9
 *   {"restart": NAME, "down_for_ms": N}   … and is there again after a while, on the same port and files
 *   {"heal": true}                        what is down starts again */
#ifndef DALANG_CONTROL_H
#define DALANG_CONTROL_H

#include "simulator/stack/stack.h"

struct control;
/* NULL after setting err: the directory cannot be made or watched. */
struct control *control_new(struct world *w, struct stack *stack, const char *dir, struct error *err);
void control_free(struct control *c); /* before the stack ends; NULL is fine */

#endif
