/* See play.h. */
#include "scenarios/runner/tests/play.h"

#include "base/mem.h"
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(path);
}

struct run_result play_text(const char *text, enum scenario_world world, uint64_t seed) {
    struct problems p = {.file = "test.yaml"};
    struct scenario_file *f = scenario_parse("test.yaml", span_of(text), &p);
    if (f == NULL) {
        fail_msg("%s\n%s", p.lines[0], text);
    }
    char dir[] = "/tmp/dalang-test-scenario-XXXXXX";
    bool made = world == SCENARIO_REAL && mkdtemp(dir) != NULL;
    struct run_opts opts = {.scenario = &f->items[0],
                            .world = world,
                            .seed = seed,
                            .dir = dir,
                            .default_modules = SOURCE_DIR "/fakes/puppetserver/modules"};
    struct run_result result;
    run_scenario(&opts, &result);
    if (made) {
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
    scenario_file_free(f);
    return result;
}

void play_passes(const char *text, enum scenario_world world) {
    struct run_result r = play_text(text, world, 1);
    if (!r.passed) {
        fail_msg("%s: %s\nexpected %s\nlast seen %s\n%s\n%s", r.where != NULL ? r.where : "", r.what,
                 r.expected != NULL ? r.expected : "", r.seen != NULL ? r.seen : "", r.logs != NULL ? r.logs : "",
                 text);
    }
    run_result_free(&r);
}
