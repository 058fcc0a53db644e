/* dalang env: what a shell needs to use a running stack. */
#include "base/json.h"
#include "base/mem.h"
#include "simulator/dalang/commands.h"
#include "simulator/dalang/surroundings.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct command_line *env_line(const char **dir) {
    static const char *unused;
    static struct option table[2];
    static const struct command_line cl = {"dalang env", "--dir DIR", "print what a shell needs to use a running stack",
                                           "Use: eval \"$(dalang env --dir DIR)\"; then puppet-task, puppet-job and "
                                           "the others talk to the stack of `dalang up\n"
                                           "--dir DIR`.",
                                           table};
    table[0] = (struct option){OPTION_STRING, "dir", 'd', "DIR", "The stack's directory.", dir != NULL ? dir : &unused};
    table[1] = (struct option)OPTION_END;
    return &cl;
}

void env_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    each(ctx, env_line(NULL));
}

/* In single quotes, for a shell. */
static void print_export(const char *name, const char *value) {
    printf("export %s='", name);
    for (; *value != '\0'; value++) {
        fputs(*value == '\'' ? "'\\''" : (char[2]){*value, '\0'}, stdout);
    }
    puts("'");
}

int env_command(int argc, char *const argv[]) {
    const char *dir = NULL;
    const struct command_line *cl = env_line(&dir);
    struct option_list words = {NULL, 0};
    struct error err = ERROR_INIT;
    int code = DALANG_OK;
    if (dalang_parse(cl, argc, argv, &words, &code)) {
        char *path = dir != NULL ? absolute_path(dir) : NULL;
        char *config = path != NULL ? str_printf("%s/client-tools/orchestrator.conf", path) : NULL;
        if (path == NULL) {
            error_set(&err, "usage", "--dir is needed: the directory of a stack");
        } else if (access(config, R_OK) != 0) {
            error_set(&err, "world/not-found", "%s: no stack has been up here", path);
        }
        if (error_is_set(&err)) {
            code = dalang_trouble(cl, &err);
        } else {
            print_export("DALANG_DIR", path);
        }
        mem_free(config);
        mem_free(path);
    }
    option_list_free(&words);
    return code;
}
