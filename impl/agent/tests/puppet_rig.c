#include "agent/tests/puppet_rig.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

char *rig_path(const struct puppet_rig *f, const char *name) {
    return str_printf("%s/%s", f->dir, name);
}

void rig_put(const struct puppet_rig *f, const char *name, const char *text) {
    char *path = rig_path(f, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    mem_free(path);
}

char *rig_slurp(const char *path) {
    FILE *file = fopen(path, "r");
    struct buf text = BUF_INIT;
    char piece[4096];
    size_t n;
    if (file == NULL) {
        return NULL;
    }
    while ((n = fread(piece, 1, sizeof piece, file)) > 0) {
        buf_append(&text, piece, n);
    }
    fclose(file);
    return buf_take(&text);
}

/* What it does stands in files beside it: report.yaml, exit, and names of files to make or remove. */
static const char stand_in[] =
    "#!/bin/sh\n"
    "cd \"$(dirname \"$0\")\"\n"
    "echo \"$@\" >> calls\n"
    "if [ \"$2\" = --configprint ]; then\n"
    "  [ -e no-settings ] && exit 1\n"
    "  for s in agent_catalog_run_lockfile agent_disabled_lockfile; do echo \"$s = $PWD/$s\"; done\n"
    "  echo \"lastrunreport = $PWD/last_run_report.yaml\"; exit 0\n"
    "fi\n"
    "echo noise; echo noise >&2\n"
    "env > environment\n"
    "trap 'echo >> runs' EXIT\n"
    "[ -e relock ] && touch agent_catalog_run_lockfile\n"
    "[ -e agent_catalog_run_lockfile ] && exit 1\n"
    "[ -e agent_disabled_lockfile ] && exit 1\n"
    "[ -e report.yaml ] && cp report.yaml last_run_report.yaml\n"
    "exit $(cat exit 2>/dev/null || echo 0)\n";

int rig_setup(void **state) {
    struct puppet_rig *f = mem_zalloc(sizeof *f);
    strcpy(f->dir, "/tmp/dalang-puppet-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    rig_put(f, "puppet", stand_in);
    f->puppet = rig_path(f, "puppet");
    assert_int_equal(chmod(f->puppet, 0755), 0);
    *state = f;
    return 0;
}

int rig_teardown(void **state) {
    struct puppet_rig *f = *state;
    char *command = str_printf("rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
    mem_free(command);
    mem_free(f->puppet);
    mem_free(f);
    return 0;
}

char *rig_run(const struct puppet_rig *f, const char *action, const char *input, int *code) {
    rig_put(f, "input", input);
    char *command =
        str_printf(BIN_DIR "/pxp-module-puppet %s < %s/input > %s/output 2> %s/errors", action, f->dir, f->dir, f->dir);
    int status = system(command);
    assert_true(WIFEXITED(status));
    *code = WEXITSTATUS(status);
    char *path = rig_path(f, "output"), *text = rig_slurp(path), *errors_path = rig_path(f, "errors"),
         *errors = rig_slurp(errors_path);
    assert_string_equal(errors, "");
    mem_free(errors);
    mem_free(errors_path);
    mem_free(path);
    mem_free(command);
    return text;
}

char *rig_request(const struct puppet_rig *f, const char *input) {
    return str_printf("{\"input\":%s,\"configuration\":{\"puppet_bin\":\"%s\"}}", input, f->puppet);
}
