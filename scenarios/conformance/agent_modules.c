/* External modules for the agent under test: small shell scripts, sound ones and broken ones. */
#include "base/mem.h"
#include "scenarios/conformance/agent_side.h"

/* Metadata is written here with single quotes; they become double ones. */
#define OPEN "{'type': 'object'}"
#define RUN "{'name': 'run', 'description': 'x', 'input': " OPEN ", 'results': " OPEN "}"
#define SOUND "{'description': 'x', 'actions': [" RUN "]}"
#define NEEDS_COLOUR                                                                                                   \
    "{'description': 'x', 'configuration': {'type': 'object', 'required': ['colour']}, 'actions': [" RUN "]}"

static const char conf_metadata[] = "{'description': 'for conformance', 'actions': ["
                                    "{'name': 'copy', 'input': {}, 'results': {}},"
                                    "{'name': 'needs', 'input': {'required': ['a']}, 'results': {}},"
                                    "{'name': 'fail', 'input': {}, 'results': {'type': 'object'}},"
                                    "{'name': 'garbage', 'input': {}, 'results': {}},"
                                    "{'name': 'garbled', 'input': {}, 'results': {}},"
                                    "{'name': 'wrong', 'input': {}, 'results': {'required': ['a']}},"
                                    "{'name': 'silent', 'input': {}, 'results': {}},"
                                    "{'name': 'nothing', 'input': {}, 'results': {'type': 'object'}},"
                                    "{'name': 'write', 'input': {}, 'results': {'type': 'object'}},"
                                    "{'name': 'five', 'input': {}, 'results': {}}]}";

static const char conf_script[] = "case $1 in\n"
                                  "copy|needs) cat ;;\n"
                                  "fail) echo '{\"a\": 1}'; exit 1 ;;\n"
                                  "garbage) echo 'no JSON' ;;\n"
                                  "garbled) echo 'no JSON'; echo 'so it is' >&2 ;;\n"
                                  "wrong) echo '{\"b\": 1}' ;;\n"
                                  "silent|nothing) ;;\n"
                                  "write) in=$(cat)\n"
                                  "  of() { printf '%s' \"$in\" | sed 's/.*\"'$1'\" *: *\"\\([^\"]*\\)\".*/\\1/'; }\n"
                                  "  printf '{\"written\": true}' > \"$(of stdout)\"\n"
                                  "  printf 'beside' > \"$(of stderr)\"\n"
                                  "  echo 0 > \"$(of exitcode)\" ;;\n"
                                  "five) exit 5 ;;\n"
                                  "esac\n";

/* script: what is run for any other action than metadata; NULL: it prints its input. */
static const struct {
    const char *name, *metadata, *script;
} modules[] = {
    {"conf", conf_metadata, conf_script},
    {"two", "{'description': 'x', 'actions': [" RUN ", {'name': 'again', 'input': {}, 'results': {}}]}", NULL},
    {"brief", "{'description': 'x', 'actions': [{'name': 'run', 'input': {}, 'results': {}}]}", NULL},
    {"configured", NEEDS_COLOUR, NULL},
    {"free-configuration", SOUND, NULL},
    /* those that must not be loaded */
    {"sent-away.sh", SOUND, NULL},
    {"misconfigured", NEEDS_COLOUR, NULL},
    {"cut-configuration", "{'description': 'x', 'configuration': {'type': 'object'}, 'actions': [" RUN "]}", NULL},
    {"no-description", "{'actions': [" RUN "]}", NULL},
    {"no-actions", "{'description': 'x'}", NULL},
    {"extra-key", "{'description': 'x', 'actions': [" RUN "], 'extra': 1}", NULL},
    {"extra-action-key", "{'description': 'x', 'actions': [{'name': 'run', 'input': {}, 'results': {}, 'extra': 1}]}",
     NULL},
    {"no-input", "{'description': 'x', 'actions': [{'name': 'run', 'results': {}}]}", NULL},
    {"no-results", "{'description': 'x', 'actions': [{'name': 'run', 'input': {}}]}", NULL},
    {"no-name", "{'description': 'x', 'actions': [{'input': {}, 'results': {}}]}", NULL},
    {"bad-schema", "{'description': 'x', 'actions': [{'name': 'run', 'input': {'type': 'nope'}, 'results': {}}]}",
     NULL},
    {"list-schema", "{'description': 'x', 'actions': [{'name': 'run', 'input': [], 'results': {}}]}", NULL},
    {"not-json", "certainly not", NULL},
    {"nothing-said", "", NULL},
};

/* Those whose way of printing metadata is what matters. */
static const struct {
    const char *name, *before, *after; /* commands */
} odd_modules[] = {
    {"noisy", "echo 'a warning' >&2", ""}, /* must not be loaded */
    {"exit-code", "", "exit 7"},           /* must be */
};

static const struct {
    const char *name, *text;
} configurations[] = {
    {"configured.conf", "{\"colour\": \"red\"}"},
    {"misconfigured.conf", "{\"shape\": \"round\"}"},
    {"cut-configuration.conf", "{\"colour\": "},
    {"free-configuration.conf", "{\"anything\": [1, 2]}"},
};

void write_module(struct stage *s, const char *dir, const char *name, const char *text) {
    char *path = str_printf("%s/%s", dir, name);
    struct error err = ERROR_INIT;
    if (!world_file_write(s->world, path, span_of(text), 0755, WORLD_WRITE_ATOMIC, &err)) {
        notes(s, "us", "%s", err.msg);
        error_clear(&err);
    }
    mem_free(path);
}

static void write_program(struct stage *s, const char *dir, const char *name, const char *metadata, const char *script,
                          const char *before, const char *after) {
    char *json = str_dup(metadata);
    for (char *p = json; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    char *text = str_printf("#!/bin/sh\nif [ \"$1\" = metadata ]; then\n%s\ncat <<'EOF'\n%s\nEOF\n%s\nexit\nfi\n%s",
                            before, json, after, script != NULL ? script : "cat\n");
    write_module(s, dir, name, text);
    mem_free(text);
    mem_free(json);
}

void write_modules(struct stage *s, const char *dir, const char *configuration) {
    for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
        write_program(s, dir, modules[i].name, modules[i].metadata, modules[i].script, "", "");
    }
    for (size_t i = 0; i < sizeof(odd_modules) / sizeof(odd_modules[0]); i++) {
        write_program(s, dir, odd_modules[i].name, SOUND, NULL, odd_modules[i].before, odd_modules[i].after);
    }
    char *schemas = schema_module();
    write_module(s, dir, "schemas", schemas);
    mem_free(schemas);
    for (size_t i = 0; configuration != NULL && i < sizeof(configurations) / sizeof(configurations[0]); i++) {
        write_module(s, configuration, configurations[i].name, configurations[i].text);
    }
}

void needs_modules(struct stage *s) {
    if (s->opts->command == NULL && s->opts->modules == NULL) {
        skips(s, "needs the suite's modules in the agent's modules-dir (--modules)");
    }
}
