#include "agent/exec.h"
#include <stdlib.h>
#include <string.h>

static bool number(const char *text, uint64_t *out) {
    char *end;
    if (text == NULL || *text < '0' || *text > '9') {
        return false;
    }
    *out = strtoull(text, &end, 10);
    return *end == '\0';
}

bool agent_exec_parse(const char *const *argv, struct agent_exec *out) {
    *out = (struct agent_exec){.output_max = UINT64_MAX};
    size_t i = 1;
    while (argv[0] != NULL && argv[i] != NULL && strcmp(argv[i], "--") != 0) {
        const char *value = argv[i + 1];
        bool known = value != NULL;
        if (known && strcmp(argv[i], "--spool") == 0) {
            out->spool_dir = value;
        } else if (known && strcmp(argv[i], "--pid") == 0) {
            out->pid_file = value;
        } else if (known && strcmp(argv[i], "--input") == 0) {
            known = number(value, &out->input_size);
        } else if (known && strcmp(argv[i], "--limit") == 0) {
            known = number(value, &out->output_max);
        } else {
            known = false;
        }
        if (!known) {
            return false;
        }
        i += 2;
    }
    if (argv[0] == NULL || argv[i] == NULL || argv[i + 1] == NULL ||
        (out->spool_dir != NULL && out->pid_file != NULL)) {
        return false;
    }
    out->argv = argv + i + 1;
    return true;
}
