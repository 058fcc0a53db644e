/* links: base */
/* Command lines: any words (separated by newlines) against a table with every type of option. What is read lies in the
 * words given; nothing is read from a command line that is refused. */
#include "base/mem.h"
#include "base/option.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bool flag = false, color = true;
    const char *string = NULL;
    struct option_list list = {NULL, 0}, rest = {NULL, 0};
    uint64_t number = 0, duration = 0;
    const struct option table[] = {
        {OPTION_FLAG, "flag", 'f', NULL, "A flag.", &flag},
        {OPTION_NEGATABLE, "color", 0, NULL, "Colour.", &color},
        {OPTION_HEADING, NULL, 0, NULL, "Values", NULL},
        {OPTION_STRING, "string", 's', "TEXT", "A text.", &string},
        {OPTION_LIST, "list", 'l', "TEXT", "Texts.", &list},
        {OPTION_UINT, "number", 'n', "N", "A number.", &number},
        {OPTION_DURATION, "duration", 'd', "TIME", "A time.", &duration},
        OPTION_END,
    };
    const struct command_line cl = {"fuzz", "[OPTIONS]", "nothing", NULL, table};
    char *words[WORDS_MAX + 2] = {"fuzz"};
    int count = 1;
    struct span text = span_bytes(data, size), word;
    bool prints = false;
    while (count < WORDS_MAX && span_split(&text, '\n', &word)) {
        words[count] = span_dup(word);
        /* --help and --version print */
        prints = prints || strchr(words[count], 'h') != NULL || strstr(words[count], "ver") != NULL;
        count++;
    }
    if (!prints) {
        struct error err = ERROR_INIT;
        enum option_result result = option_parse(&cl, count, words, &rest, &err);
        assert((result == OPTION_ERROR) == error_is_set(&err));
        assert(result != OPTION_ERROR || (error_is(&err, "usage") && err.msg[0] != '\0'));
        assert(rest.count + list.count <= (size_t)count);
        error_clear(&err);
    }
    option_list_free(&rest);
    option_list_free(&list);
    for (int i = 1; i < count; i++) {
        mem_free(words[i]);
    }
    return 0;
}
