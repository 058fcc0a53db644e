/* Command lines from a table; see option.h. */
#include "base/option.h"

#include "base/mem.h"
#include <string.h>

enum { HELP_COLUMN = 28, HELP_WIDTH = 100 };

static const char help_name[] = "help";
static const char version_name[] = "version";

static bool at_end(const struct option *o) {
    return o->type == OPTION_HEADING && o->help == NULL;
}

static bool takes_value(const struct option *o) {
    return o->type != OPTION_FLAG && o->type != OPTION_NEGATABLE && o->type != OPTION_HEADING;
}

/* Levenshtein distance, for short words. */
static size_t edit_distance(const char *a, const char *b) {
    enum { LONGEST = 64 };
    size_t la = strlen(a), lb = strlen(b);
    if (la >= LONGEST || lb >= LONGEST) {
        return LONGEST;
    }
    size_t row[LONGEST + 1];
    for (size_t j = 0; j <= lb; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[lb];
}

const char *nearest_word(const char *word, const char *const *candidates, size_t count) {
    const char *best = NULL;
    size_t least = strlen(word) / 2 + 1; /* farther than half the word is no help */
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(word, candidates[i]);
        if (distance < least || (best == NULL && strlen(word) > 1 && strncmp(word, candidates[i], strlen(word)) == 0)) {
            least = distance;
            best = candidates[i];
        }
    }
    return best;
}

bool duration_parse(const char *text, uint64_t *ms) {
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    size_t digits = strspn(text, "0123456789");
    uint64_t number;
    if (!span_to_u64((struct span){text, digits}, &number)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(text + digits, units[i].unit) == 0 && number <= UINT64_MAX / units[i].ms) {
            *ms = number * units[i].ms;
            return true;
        }
    }
    return false;
}

static const struct option *find_long(const struct command_line *cl, const char *name, size_t len, bool *negated) {
    *negated = false;
    for (const struct option *o = cl->options; !at_end(o); o++) {
        if (o->name == NULL) {
            continue;
        }
        if (strlen(o->name) == len && strncmp(o->name, name, len) == 0) {
            return o;
        }
        if (o->type == OPTION_NEGATABLE && len > 3 && strncmp(name, "no-", 3) == 0 && strlen(o->name) == len - 3 &&
            strncmp(o->name, name + 3, len - 3) == 0) {
            *negated = true;
            return o;
        }
    }
    return NULL;
}

static const struct option *find_letter(const struct command_line *cl, char letter) {
    for (const struct option *o = cl->options; !at_end(o); o++) {
        if (o->letter != 0 && o->letter == letter) {
            return o;
        }
    }
    return NULL;
}

static bool unknown_option(const struct command_line *cl, const char *name, size_t len, struct error *err) {
    const char *known[256] = {help_name, version_name};
    size_t count = 2;
    for (const struct option *o = cl->options; !at_end(o) && count < sizeof(known) / sizeof(known[0]); o++) {
        if (o->name != NULL) {
            known[count++] = o->name;
        }
    }
    char *word = span_dup((struct span){name, len});
    const char *near = nearest_word(word, known, count);
    if (near != NULL) {
        error_set(err, "usage", "unknown option --%s; did you mean --%s?", word, near);
    } else {
        error_set(err, "usage", "unknown option --%s; see %s --help", word, cl->program);
    }
    mem_free(word);
    return false;
}

static bool store_value(const struct option *o, const char *value, struct error *err) {
    switch (o->type) {
    case OPTION_STRING:
        *(const char **)o->target = value;
        return true;
    case OPTION_LIST: {
        struct option_list *l = o->target;
        l->items = mem_realloc(l->items, (l->count + 1) * sizeof(*l->items));
        l->items[l->count++] = value;
        return true;
    }
    case OPTION_UINT:
        return span_to_u64(span_of(value), o->target) ||
               error_set(err, "usage", "--%s takes a whole number, not \"%s\"", o->name, value);
    case OPTION_DURATION:
        return duration_parse(value, o->target) ||
               error_set(err, "usage", "--%s takes a duration such as 250ms, 10s, 5m or 1h, not \"%s\"", o->name,
                         value);
    case OPTION_FLAG:
    case OPTION_NEGATABLE:
    case OPTION_HEADING:
        break;
    }
    return error_set(err, "usage", "--%s takes no value", o->name);
}

/* What is left of the command line while it is read. */
struct cursor {
    int argc;
    char *const *argv;
    int at;
};

static bool parse_long(const struct command_line *cl, struct cursor *c, const char *body, struct error *err) {
    size_t len = strcspn(body, "=");
    const char *value = body[len] == '=' ? body + len + 1 : NULL;
    bool negated;
    const struct option *o = find_long(cl, body, len, &negated);
    if (o == NULL) {
        return unknown_option(cl, body, len, err);
    }
    if (!takes_value(o)) {
        if (value != NULL) {
            return error_set(err, "usage", "--%s takes no value", o->name);
        }
        *(bool *)o->target = !negated;
        return true;
    }
    if (value == NULL) {
        if (c->at >= c->argc) {
            return error_set(err, "usage", "--%s needs a value (%s)", o->name, o->value);
        }
        value = c->argv[c->at++];
    }
    return store_value(o, value, err);
}

static bool parse_letters(const struct command_line *cl, struct cursor *c, const char *letters, struct error *err) {
    for (; *letters != '\0'; letters++) {
        const struct option *o = find_letter(cl, *letters);
        if (o == NULL) {
            return error_set(err, "usage", "unknown option -%c; see %s --help", *letters, cl->program);
        }
        if (!takes_value(o)) {
            *(bool *)o->target = true;
            continue;
        }
        const char *value = letters + 1;
        if (*value == '\0') {
            if (c->at >= c->argc) {
                return error_set(err, "usage", "-%c needs a value (%s)", *letters, o->value);
            }
            value = c->argv[c->at++];
        }
        return store_value(o, value, err);
    }
    return true;
}

static void keep(struct option_list *rest, const char *word) {
    rest->items = mem_realloc(rest->items, (rest->count + 1) * sizeof(*rest->items));
    rest->items[rest->count++] = word;
}

enum option_result option_parse(const struct command_line *cl, int argc, char *const argv[], struct option_list *rest,
                                struct error *err) {
    struct cursor c = {argc, argv, 1};
    bool only_words = false;
    while (c.at < argc) {
        const char *word = argv[c.at++];
        if (only_words || word[0] != '-' || word[1] == '\0') {
            keep(rest, word);
        } else if (strcmp(word, "--") == 0) {
            only_words = true;
        } else if (strcmp(word, "--help") == 0 || (strcmp(word, "-h") == 0 && find_letter(cl, 'h') == NULL)) {
            option_print_help(cl, stdout);
            return OPTION_HELP;
        } else if (strcmp(word, "--version") == 0) {
            printf("%s %s\n", cl->program, DALANG_VERSION);
            return OPTION_VERSION;
        } else if (!(word[1] == '-' ? parse_long(cl, &c, word + 2, err) : parse_letters(cl, &c, word + 1, err))) {
            return OPTION_ERROR;
        }
    }
    return OPTION_PARSED;
}

enum option_result option_parse_only(const struct command_line *cl, int argc, char *const argv[], struct error *err) {
    struct option_list rest = {NULL, 0};
    enum option_result result = option_parse(cl, argc, argv, &rest, err);
    if (result == OPTION_PARSED && rest.count != 0) {
        error_set(err, "usage", "unexpected argument '%s'", rest.items[0]);
        result = OPTION_ERROR;
    }
    option_list_free(&rest);
    return result;
}

void option_list_free(struct option_list *l) {
    mem_free((void *)l->items);
    *l = (struct option_list){NULL, 0};
}

/* Words of text, wrapped so that lines start at `indent` and end before `width`; the cursor stands at `column`. */
static void print_wrapped(FILE *to, const char *text, size_t column, size_t indent, size_t width) {
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (column > indent && column + 1 + len > width) {
            fprintf(to, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', to);
            column++;
        }
        fwrite(text, 1, len, to);
        column += len;
        text += len + (text[len] == ' ');
    }
    fputc('\n', to);
}

static void print_option(FILE *to, char letter, const char *name, bool negatable, const char *value, const char *help) {
    struct buf left = BUF_INIT;
    buf_append_cstr(&left, "  ");
    if (letter != 0) {
        buf_printf(&left, "-%c, ", letter);
    } else {
        buf_append_cstr(&left, "    ");
    }
    buf_printf(&left, "--%s%s%s%s", negatable ? "[no-]" : "", name, value != NULL ? " " : "",
               value != NULL ? value : "");
    fputs(left.ptr, to);
    size_t column = left.len;
    if (column + 2 > HELP_COLUMN) {
        fputc('\n', to);
        column = 0;
    }
    fprintf(to, "%*s", (int)(HELP_COLUMN - column), "");
    print_wrapped(to, help, HELP_COLUMN, HELP_COLUMN, HELP_WIDTH);
    buf_free(&left);
}

void option_print_help(const struct command_line *cl, FILE *to) {
    fprintf(to, "%s: %s\n\nUsage: %s %s\n", cl->program, cl->summary, cl->program, cl->synopsis);
    if (cl->description != NULL) {
        fprintf(to, "\n%s\n", cl->description);
    }
    fprintf(to, "\nOptions:\n");
    for (const struct option *o = cl->options; !at_end(o); o++) {
        if (o->type == OPTION_HEADING) {
            fprintf(to, "\n%s:\n", o->help);
        } else {
            print_option(to, o->letter, o->name, o->type == OPTION_NEGATABLE, takes_value(o) ? o->value : NULL,
                         o->help);
        }
    }
    print_option(to, find_letter(cl, 'h') == NULL ? 'h' : 0, help_name, false, NULL, "Show this help.");
    print_option(to, 0, version_name, false, NULL, "Show the version.");
}

/* Escapes what roff would take for its own. */
static void man_text(FILE *to, const char *text) {
    if (*text == '.' || *text == '\'') {
        fputs("\\&", to);
    }
    for (; *text != '\0'; text++) {
        if (*text == '\\') {
            fputs("\\e", to);
        } else if (*text == '-') {
            fputs("\\-", to);
        } else {
            fputc(*text, to);
            if (*text == '\n' && (text[1] == '.' || text[1] == '\'')) {
                fputs("\\&", to);
            }
        }
    }
}

static void man_option(FILE *to, char letter, const char *name, bool negatable, const char *value, const char *help) {
    fputs(".TP\n", to);
    if (letter != 0) {
        fprintf(to, "\\fB\\-%c\\fR, ", letter);
    }
    fputs("\\fB\\-\\-", to);
    man_text(to, negatable ? "[no-]" : "");
    man_text(to, name);
    fputs("\\fR", to);
    if (value != NULL) {
        fputs(" \\fI", to);
        man_text(to, value);
        fputs("\\fR", to);
    }
    fputc('\n', to);
    man_text(to, help);
    fputc('\n', to);
}

void option_print_man(const struct command_line *cl, FILE *to) {
    char *title = str_dup(cl->program);
    for (char *p = title; *p != '\0'; p++) {
        *p = *p == ' ' ? '-' : *p;
    }
    fprintf(to, ".TH \"%s\" 1 \"\" \"dalang %s\"\n.SH NAME\n", title, DALANG_VERSION);
    man_text(to, title);
    fputs(" \\- ", to);
    man_text(to, cl->summary);
    fprintf(to, "\n.SH SYNOPSIS\n.B ");
    man_text(to, cl->program);
    fputs("\n", to);
    man_text(to, cl->synopsis);
    fputs("\n", to);
    if (cl->description != NULL) {
        fputs(".SH DESCRIPTION\n", to);
        man_text(to, cl->description);
        fputs("\n", to);
    }
    fputs(".SH OPTIONS\n", to);
    for (const struct option *o = cl->options; !at_end(o); o++) {
        if (o->type == OPTION_HEADING) {
            fprintf(to, ".SS \"%s\"\n", o->help);
        } else {
            man_option(to, o->letter, o->name, o->type == OPTION_NEGATABLE, takes_value(o) ? o->value : NULL, o->help);
        }
    }
    man_option(to, find_letter(cl, 'h') == NULL ? 'h' : 0, help_name, false, NULL, "Show this help.");
    man_option(to, 0, version_name, false, NULL, "Show the version.");
    mem_free(title);
}
