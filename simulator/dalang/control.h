/* Faults of a stack that runs in this process, asked for by another (`dalang fault`): a request is a file
 * DIR/faults/ID.json that is moved there, its answer DIR/faults/ID.answer: {"ok": true} or {"error": "…", "kind": "…"}.
 *   a description of simulator/faults/faults.h     begins that fault
 *   {"heal": true}                                 every fault ends, and what is down starts again */
#ifndef DALANG_CONTROL_H
#define DALANG_CONTROL_H

#include "simulator/stack/local.h"

struct control;
/* l: made with `faults`. NULL after setting err: the directory cannot be made or watched. */
struct control *control_new(struct world *w, struct local *l, const char *dir, struct error *err);
void control_free(struct control *c); /* before the stack ends; NULL is fine */

#endif
