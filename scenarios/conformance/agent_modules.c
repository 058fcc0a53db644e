/* External modules for the agent under test: small shell scripts, sound ones and broken ones. */
#include "base/mem.h"
#include "scenarios/conformance/agent_side.h"

#define ACTION(name, input, results)                                                                                   \
    "{\"name\": \"" name "\", \"description\": \"x\", \"input\": " input ", \"results\": " results "}"
#define OPEN "{\"type\": \"object\"}"
#define NEEDS_A "{\"type\": \"object\", \"required\": [\"a\"], \"properties\": {\"a\": {\"type\": \"integer\"}}}"
#define METADATA(text) "#!/bin/sh\ncase $1 in\nmetadata) cat <<'EOF'\n" text "\nEOF\n;;\n"
#define SOUND "{\"description\": \"x\", \"actions\": [" ACTION("run", OPEN, OPEN) "]}"
#define RUN "run) cat ;;\nesac\n"

static const struct {
    const char *name, *text;
} modules[] = {
    {"conf",
     METADATA(
         "{\"description\": \"for conformance\", \"actions\": [" ACTION("copy", OPEN, OPEN) ", " ACTION("needs", NEEDS_A, OPEN) ", " ACTION("fail", OPEN, OPEN) ", " ACTION(
             "garbage", OPEN,
             OPEN) ", " ACTION("garbled", OPEN,
                               OPEN) ", " ACTION("wrong", OPEN,
                                                 NEEDS_A) ", " ACTION("silent", OPEN,
                                                                      "{}") ", " ACTION("nothing", OPEN,
                                                                                        OPEN) ", " ACTION("write", OPEN,
                                                                                                          OPEN) ","
                                                                                                                " " ACTION(
                                                                                                                    "fi"
                                                                                                                    "v"
                                                                                                                    "e",
                                                                                                                    OPEN,
                                                                                                                    OPEN) "]}") "copy|needs) cat ;;\n"
                                                                                                                                "fail) echo '{\"a\": 1}'; exit 1 ;;\n"
                                                                                                                                "garbage) echo 'no JSON' ;;\n"
                                                                                                                                "garbled) echo 'no JSON'; echo 'so it is' >&2 ;;\n"
                                                                                                                                "wrong) echo '{\"b\": 1}' ;;\n"
                                                                                                                                "silent|nothing) ;;\n"
                                                                                                                                "write) in=$(cat)\n"
                                                                                                                                "  of() { printf '%s' \"$in\" | sed 's/.*\"'$1'\" *: *\"\\([^\"]*\\)\".*/\\1/'; }\n"
                                                                                                                                "  printf '{\"written\": true}' > \"$(of stdout)\"; printf 'beside' > \"$(of stderr)\"; echo 0 > \"$(of exitcode)\" ;;\n"
                                                                                                                                "five) exit 5 ;;\nesac\n"},
    {"two", METADATA("{\"description\": \"x\", \"actions\": [" ACTION("run", OPEN, OPEN) ", " ACTION(
                "again", OPEN, OPEN) "]}") "run|again) cat ;;\nesac\n"},
    {"sent-away.sh", METADATA(SOUND) RUN},
    {"noisy", "#!/bin/sh\necho 'a warning' >&2\n" /* anything on stderr disables */ "cat <<'EOF'\n" SOUND "\nEOF\n"},
    {"nothing-said", "#!/bin/sh\n"},
    {"not-json", "#!/bin/sh\necho certainly not\n"},
    {"no-description", METADATA("{\"actions\": [" ACTION("run", OPEN, OPEN) "]}") RUN},
    {"no-actions", METADATA("{\"description\": \"x\"}") RUN},
    {"extra-key", METADATA("{\"description\": \"x\", \"actions\": [" ACTION("run", OPEN, OPEN) "], \"extra\": 1}") RUN},
    {"extra-action-key",
     METADATA(
         "{\"description\": \"x\", \"actions\": [{\"name\": \"run\", \"input\": {}, \"results\": {}, \"extra\": 1}]}")
         RUN},
    {"no-input", METADATA("{\"description\": \"x\", \"actions\": [{\"name\": \"run\", \"results\": {}}]}") RUN},
    {"no-results", METADATA("{\"description\": \"x\", \"actions\": [{\"name\": \"run\", \"input\": {}}]}") RUN},
    {"no-name", METADATA("{\"description\": \"x\", \"actions\": [{\"input\": {}, \"results\": {}}]}") RUN},
    {"bad-schema", METADATA("{\"description\": \"x\", \"actions\": [{\"name\": \"run\", \"input\": {\"type\": \"no "
                            "such type\"}, \"results\": {}}]}") RUN},
    {"list-schema",
     METADATA("{\"description\": \"x\", \"actions\": [{\"name\": \"run\", \"input\": [], \"results\": {}}]}") RUN},
    {"brief",
     METADATA("{\"description\": \"x\", \"actions\": [{\"name\": \"run\", \"input\": {}, \"results\": {}}]}") RUN},
    {"exit-code", "#!/bin/sh\n[ \"$1\" = metadata ] || exec cat\ncat <<'EOF'\n" SOUND "\nEOF\nexit 7\n"},
    {"configured", METADATA("{\"description\": \"x\", \"configuration\": {\"type\": \"object\", \"required\": "
                            "[\"colour\"]}, \"actions\": [" ACTION("run", OPEN, OPEN) "]}") RUN},
    {"misconfigured", METADATA("{\"description\": \"x\", \"configuration\": {\"type\": \"object\", \"required\": "
                               "[\"colour\"]}, \"actions\": [" ACTION("run", OPEN, OPEN) "]}") RUN},
    {"cut-configuration",
     METADATA("{\"description\": \"x\", \"configuration\": {\"type\": \"object\"}, \"actions\": [" ACTION(
         "run", OPEN, OPEN) "]}") RUN},
    {"free-configuration", METADATA(SOUND) RUN},
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

void write_modules(struct stage *s, const char *dir, const char *configuration) {
    for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
        write_module(s, dir, modules[i].name, modules[i].text);
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
