/* links: scenario_runner simulated base */
/* Any text as a scenario file: it is read, or every problem names its place in the file; reading it again tells the
 * same. What was read has its variables put in without harm. */
#include "base/mem.h"
#include "scenarios/runner/scenario.h"
#include "scenarios/runner/steps/steps.h"
#include "scenarios/runner/vars.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_problems(const struct problems *p) {
    assert(p->count > 0);
    for (size_t i = 0; i < p->count && i < PROBLEMS_MAX; i++) {
        assert(strncmp(p->lines[i], "f:", 2) == 0 && strlen(p->lines[i]) > strlen("f: "));
    }
}

static void expand(const struct step *steps, size_t count, const json_t *vars) {
    for (size_t i = 0; i < count; i++) {
        assert(steps[i].kind != NULL && steps[i].line > 0);
        struct error err = ERROR_INIT;
        json_t *args = vars_expand(steps[i].args, vars, &err);
        assert((args == NULL) == error_is_set(&err));
        json_decref(args);
        error_clear(&err);
        if (steps[i].when != NULL) {
            char *text = vars_expand_text(steps[i].when, vars, NULL);
            (void)(text != NULL && condition_holds(text));
            mem_free(text);
        }
        expand(steps[i].inner, steps[i].inner_count, vars);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct problems p = {.file = "f"}, again = {.file = "f"};
    struct scenario_file *f = scenario_parse("f", span_bytes(data, size), &p);
    struct scenario_file *same = scenario_parse("f", span_bytes(data, size), &again);
    assert((f == NULL) == (same == NULL) && p.count == again.count);
    if (f == NULL) {
        check_problems(&p);
        assert(strcmp(p.lines[0], again.lines[0]) == 0);
    } else {
        assert(p.count == 0 && f->count == same->count);
        json_t *vars = json_pack("{s:{s:s}, s:i}", "job", "name", "1", "n", 2);
        for (size_t i = 0; i < f->count; i++) {
            assert(f->items[i].name != NULL && f->items[i].worlds != 0);
            expand(f->items[i].steps, f->items[i].step_count, vars);
        }
        json_decref(vars);
    }
    problems_free(&p);
    problems_free(&again);
    scenario_file_free(f);
    scenario_file_free(same);
    return 0;
}
