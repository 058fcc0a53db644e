/* Command lines from one table: parsing, --help, man pages and shell completion all come from it.
 * Long options (--name VALUE, --name=VALUE, --[no-]flag), short ones (-n VALUE, bundled flags), "--" ends options. */
#ifndef DALANG_BASE_OPTION_H
#define DALANG_BASE_OPTION_H

#include "base/bytes.h"
#include "base/error.h"
#include <stdio.h>

enum option_type {
    OPTION_FLAG,      /* bool * */
    OPTION_NEGATABLE, /* bool *, also --no-NAME */
    OPTION_STRING,    /* const char **, borrowed from argv */
    OPTION_LIST,      /* struct option_list *, may be given several times */
    OPTION_UINT,      /* uint64_t * */
    OPTION_DURATION,  /* uint64_t * of milliseconds: "250ms", "10s", "5m", "1h" */
    OPTION_HEADING,   /* only a heading in --help; `help` is its text */
};

struct option_list {
    const char **items;
    size_t count;
};

struct option {
    enum option_type type;
    const char *name;  /* without the dashes */
    char letter;       /* or 0 */
    const char *value; /* what --help calls the value: "FILE", "N" */
    const char *help;  /* one sentence */
    void *target;      /* where the value goes */
};

/* A table ends with an entry whose type is OPTION_HEADING and whose help is NULL: use OPTION_END. */
#define OPTION_END                                                                                                     \
    { OPTION_HEADING, NULL, 0, NULL, NULL, NULL }

struct command_line {
    const char *program;          /* "dalang up" */
    const char *synopsis;         /* "[OPTIONS] FILE…" */
    const char *summary;          /* one line */
    const char *description;      /* paragraphs for --help and the man page, or NULL */
    const struct option *options; /* --help and --version are added by themselves */
};

enum option_result {
    OPTION_PARSED,
    OPTION_HELP,    /* --help was given: its text was printed */
    OPTION_VERSION, /* --version likewise */
    OPTION_ERROR,   /* err is set: kind "usage"; an unknown option's message names the nearest known one */
};

/* Parses argv[1…]; what is no option is collected in *rest (its items array is mem_free()d by the caller). */
enum option_result option_parse(const struct command_line *cl, int argc, char *const argv[], struct option_list *rest,
                                struct error *err);
/* The same for a program that takes options and nothing else: another word is an error. */
enum option_result option_parse_only(const struct command_line *cl, int argc, char *const argv[], struct error *err);
void option_list_free(struct option_list *l);
void option_print_help(const struct command_line *cl, FILE *to);
void option_print_man(const struct command_line *cl, FILE *to); /* roff */
/* The candidate that is closest to `word` by edit distance, or NULL when none is near. */
const char *nearest_word(const char *word, const char *const *candidates, size_t count);
bool duration_parse(const char *text, uint64_t *ms);

#endif
