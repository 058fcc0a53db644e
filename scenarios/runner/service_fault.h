/* `fault: {service: {…}}`: a service that answers wrong, late, or never (harness.md §1, fakes/common/fake.h).
 *
 *   {name: puppetdb, route: "POST /pdb/query/v4*", status: 500, body: …, delay: 2s, hang: true, reset: true, times: 3,
 *    probability: 0.5}
 *
 * route: a method, a path with "*" in it, or both; without it every request is meant. */
#ifndef DALANG_SCENARIO_SERVICE_FAULT_H
#define DALANG_SCENARIO_SERVICE_FAULT_H

#include "scenarios/runner/shape.h"
#include "simulator/stack/stack.h"

extern const struct shape shape_service_fault;

/* fault: without its name; NULL: every fault of the service ends. */
bool service_fault(struct stack *stack, const char *name, const json_t *fault, struct error *err);

#endif
