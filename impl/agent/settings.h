/* What dalang-agent is told: command line over configuration file over defaults (agent.md §2-4). An existing
 * pxp-agent.conf is read as it is.
 *
 * Reading and checking go through a world's files, so they are testable anywhere; what needs the system (users, pid
 * files, logs) is in daemon/ and main.c. */
#ifndef DALANG_AGENT_SETTINGS_H
#define DALANG_AGENT_SETTINGS_H

#include "agent/agent.h"

enum agent_exit {
    AGENT_EXIT_OK = 0,
    AGENT_EXIT_FAILURE = 1,       /* unexpected; or another instance runs */
    AGENT_EXIT_PARSE = 2,         /* command line or file cannot be read */
    AGENT_EXIT_CONFIGURATION = 3, /* the settings are wrong; or the broker refused the association */
    AGENT_EXIT_DAEMON = 4,        /* daemonizing failed */
};

/* Where defaults lie, and what "~" is. */
struct agent_user {
    bool is_root;
    const char *home; /* NULL: unknown, which only root may be */
};

struct agent_settings;
struct agent_settings *agent_settings_new(const struct agent_user *user);
void agent_settings_free(struct agent_settings *s);

enum settings_result { SETTINGS_PARSED, SETTINGS_HELP, SETTINGS_VERSION, SETTINGS_ERROR };
/* argv[1…]. error kind "agent/usage": the message is what is printed before the general line. */
enum settings_result agent_settings_arguments(struct agent_settings *s, int argc, char *const argv[],
                                              struct error *err);
/* Reads the configuration file, if there is one. error kind "agent/config-file". */
bool agent_settings_file(struct agent_settings *s, struct world *w, struct error *err);
/* Checks in the reference's order and creates what is missing. error kind "agent/configuration". credentials (may be
 * NULL) is called when certificate, key and CRL are known to be files: it loads them. */
bool agent_settings_check(struct agent_settings *s, struct world *w, bool (*credentials)(void *ctx, struct error *err),
                          void *ctx, struct error *err);

/* Values. Texts are never NULL ("" when not set) and live as long as the settings. */
const char *agent_settings_text(const struct agent_settings *s, const char *key);
int64_t agent_settings_integer(const struct agent_settings *s, const char *key);
bool agent_settings_flag(const struct agent_settings *s, const char *key);
bool agent_settings_given(const struct agent_settings *s, const char *key); /* not the default */
/* Keys of the file that mean nothing to us, in order; NULL past the end. For the log. */
const char *agent_settings_unrecognized(const struct agent_settings *s, size_t i);
/* After a successful check. Borrows from s; the environment, shell, wrapper and helpers are the caller's to add. */
struct agent_config agent_settings_config(const struct agent_settings *s);
/* The text of --help, appended. */
void agent_settings_help(struct buf *out);

#endif
