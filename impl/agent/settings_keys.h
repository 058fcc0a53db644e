/* The table of settings. Private to settings*.c. */
#ifndef DALANG_AGENT_SETTINGS_KEYS_H
#define DALANG_AGENT_SETTINGS_KEYS_H

#include "agent/settings.h"

enum key_type { KEY_TEXT, KEY_INTEGER, KEY_FLAG, KEY_LIST };

struct settings_key {
    const char *name;
    enum key_type type;
    const char *standard;      /* default; a leading "~" is the home directory */
    const char *standard_user; /* of other users than root; NULL: the same */
    bool file_only, hidden;
    const char *value, *help;
};

extern const struct settings_key settings_keys[];
extern const size_t settings_key_count;
/* Index in the table; settings_key_count when unknown. */
size_t settings_find(struct span name);

enum value_source { FROM_DEFAULT, FROM_FILE, FROM_COMMAND_LINE };

struct settings_value {
    char *text;
    int64_t integer;
    bool flag;
    char **items; /* KEY_LIST */
    size_t item_count;
    enum value_source source;
};

struct agent_settings {
    char *home;
    struct settings_value *values; /* one per key */
    char **unrecognized;
    size_t unrecognized_count, unrecognized_cap;
};

struct settings_value *settings_value(const struct agent_settings *s, const char *key);
void settings_set_text(struct settings_value *v, const char *text, enum value_source source);
/* True once "12d", "3h", "45m" or "0d" was read. */
bool settings_duration(const char *text, uint64_t *ms);

#endif
