/* The settings of orchestrator and brokers that a scenario may change: `stack: {orchestrator: {…}, broker: {…}}`.
 * Names are the programs' own with '_' for '-'; times are durations. */
#ifndef DALANG_SCENARIO_SETTINGS_H
#define DALANG_SCENARIO_SETTINGS_H

#include "broker/broker.h"
#include "orchestrator/orchestrator.h"
#include "scenarios/runner/shape.h"

extern const struct shape shape_orchestrator_settings, shape_broker_settings;

/* settings: a checked object, or NULL. */
void settings_orchestrator(const json_t *settings, struct orchestrator_config *config);
void settings_broker(const json_t *settings, struct broker_config *config);

#endif
