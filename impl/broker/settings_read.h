/* Reading a section of configuration by a table of its keys; shared by settings.c and settings_web.c. */
#ifndef DALANG_BROKER_SETTINGS_READ_H
#define DALANG_BROKER_SETTINGS_READ_H

#include "broker/settings.h"

enum setting_type {
    SETTING_STRING,   /* const char * */
    SETTING_BOOL,     /* bool */
    SETTING_SIZE,     /* size_t */
    SETTING_U32,      /* uint32_t */
    SETTING_U16,      /* uint16_t */
    SETTING_MS,       /* uint64_t: a number of milliseconds */
    SETTING_INTERVAL, /* uint64_t of milliseconds: "<n>[smhdy]", bare numbers are seconds */
    SETTING_LIST,     /* struct setting_list: strings */
    SETTING_IGNORED,  /* known, without effect here */
    SETTING_OBJECT,   /* read elsewhere */
};

struct setting_list {
    const char *const *items;
    size_t count;
};

struct setting {
    const char *key;
    enum setting_type type;
    size_t offset;    /* in the structure that is filled */
    const char *note; /* for a warning when the key is used; may be NULL */
};

struct settings_reader {
    struct broker_settings *s;
    struct error *err;
};

/* Fills `to` from the object by the table (ends with a NULL key). name: of the section, for messages. */
bool settings_read(struct settings_reader *r, const json_t *object, const char *name, const struct setting *table,
                   void *to);
bool settings_fail(struct settings_reader *r, const json_t *object, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void settings_warn(struct settings_reader *r, const json_t *object, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Gives a string to the settings to keep. */
const char *settings_keep(struct broker_settings *s, char *text);

/* settings_web.c: sections webserver and web-router-service, and global.certs. */
bool settings_read_web(struct settings_reader *r, const json_t *root);

#endif
