/* Scenarios in tests: from text to result. */
#ifndef DALANG_SCENARIO_TESTS_PLAY_H
#define DALANG_SCENARIO_TESTS_PLAY_H

#include "scenarios/runner/run.h"

/* Reads the text (the test fails when it is wrong) and runs its first scenario; run_result_free() the result. */
struct run_result play_text(const char *text, enum scenario_world world, uint64_t seed);
/* The test fails, with the report, unless it passed. */
void play_passes(const char *text, enum scenario_world world);

#endif
