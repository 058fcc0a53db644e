/* dalang completion and dalang man: both walk every command line there is, so they cannot lag behind --help. */
#include "base/mem.h"
#include "cli/cli.h"
#include "simulator/dalang/commands.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct walk {
    void (*each)(void *ctx, const struct command_line *cl);
    void *ctx;
};

static void walk_cli(void *ctx, const char *program, const char *action, const struct command_line *cl) {
    (void)program;
    (void)action;
    struct walk *w = ctx;
    w->each(w->ctx, cl);
}

/* cl->program is "dalang up", "puppet-job run" … */
static void each_command_line(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    struct walk w = {each, ctx};
    for (size_t i = 0; i < dalang_command_count; i++) {
        if (dalang_commands[i].describe != NULL) {
            dalang_commands[i].describe(each, ctx);
        }
    }
    cli_each_command(walk_cli, &w);
}

/* ---- completion */

static bool more_options(const struct option *o) {
    return !(o->type == OPTION_HEADING && o->help == NULL);
}

static void collect_words(struct buf *out, const struct command_line *cl, const char *separator) {
    for (const struct option *o = cl->options; more_options(o); o++) {
        if (o->type != OPTION_HEADING) {
            buf_printf(out, "--%s%s", o->name, separator);
            if (o->type == OPTION_NEGATABLE) {
                buf_printf(out, "--no-%s%s", o->name, separator);
            }
        }
    }
    buf_printf(out, "--help%s--version", separator);
}

static void bash_case(void *ctx, const struct command_line *cl) {
    (void)ctx;
    struct buf words = BUF_INIT;
    collect_words(&words, cl, " ");
    printf("        \"%s\") words=\"%s\" ;;\n", cl->program, words.ptr);
    buf_free(&words);
}

/* The action words that may follow a program, as "puppet-job run plan …". */
struct actions {
    struct buf text;
    char *program;
};

static void collect_action(void *ctx, const struct command_line *cl) {
    struct actions *a = ctx;
    const char *space = strchr(cl->program, ' ');
    size_t len = space != NULL ? (size_t)(space - cl->program) : strlen(cl->program);
    if (space != NULL && strlen(a->program) == len && strncmp(a->program, cl->program, len) == 0) {
        size_t word = strcspn(space + 1, " ");
        struct buf padded = BUF_INIT;
        buf_printf(&padded, " %.*s ", (int)word, space + 1);
        if (a->text.ptr == NULL || strstr(a->text.ptr, padded.ptr) == NULL) {
            buf_printf(&a->text, "%s%.*s ", a->text.len == 0 ? " " : "", (int)word, space + 1);
        }
        buf_free(&padded);
    }
}

static const char *const programs[] = {"dalang",     "puppet-job",    "puppet-task", "puppet-plan",
                                       "puppet-app", "puppet-access", "puppet-query"};
enum { PROGRAM_COUNT = sizeof(programs) / sizeof(programs[0]) };

static char *actions_of(const char *program) {
    struct actions a = {BUF_INIT, str_dup(program)};
    each_command_line(collect_action, &a);
    if (strcmp(program, "dalang") == 0) {
        for (size_t i = 0; i < dalang_command_count; i++) {
            if (dalang_commands[i].describe == NULL) {
                buf_printf(&a.text, "%s ", dalang_commands[i].name);
            }
        }
    }
    mem_free(a.program);
    return buf_take(&a.text);
}

static void bash_script(void) {
    printf("# bash completion for dalang; use: source <(dalang completion bash)\n"
           "_dalang_words() {\n    local words=\"\"\n    case \"$1\" in\n");
    each_command_line(bash_case, NULL);
    for (size_t i = 0; i < PROGRAM_COUNT; i++) {
        char *actions = actions_of(programs[i]);
        if (actions[0] != '\0') {
            printf("        \"%s\") words=\"%s --help --version\" ;;\n", programs[i], actions);
        }
        mem_free(actions);
    }
    printf("    esac\n    echo \"$words\"\n}\n"
           "_dalang() {\n"
           "    local line=\"${COMP_WORDS[0]##*/}\" i words\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        case \"${COMP_WORDS[i]}\" in -*) break ;; esac\n"
           "        words=\"$(_dalang_words \"$line ${COMP_WORDS[i]}\")\"\n"
           "        [ -n \"$words\" ] || break\n"
           "        line=\"$line ${COMP_WORDS[i]}\"\n"
           "    done\n"
           "    words=\"$(_dalang_words \"$line\")\"\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
           "    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
           "}\ncomplete -F _dalang");
    for (size_t i = 0; i < PROGRAM_COUNT; i++) {
        printf(" %s", programs[i]);
    }
    putchar('\n');
}

static void print_quoted(const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            fputs("'\\''", stdout);
        } else if (*text == '[' || *text == ']' || *text == ':') {
            printf("\\%c", *text);
        } else {
            putchar(*text);
        }
    }
}

static void zsh_case(void *ctx, const struct command_line *cl) {
    (void)ctx;
    printf("        '%s') specs=(", cl->program);
    for (const struct option *o = cl->options; more_options(o); o++) {
        if (o->type != OPTION_HEADING) {
            bool value = o->value != NULL;
            printf(" '--%s%s[", o->name, value ? "=" : "");
            print_quoted(o->help);
            printf("]%s%s%s'", value ? ":" : "", value ? o->value : "", value ? ":_files" : "");
        }
    }
    printf(" '--help[Show this help.]' '*:argument:_files') ;;\n");
}

static void zsh_script(void) {
    printf("#compdef");
    for (size_t i = 0; i < PROGRAM_COUNT; i++) {
        printf(" %s", programs[i]);
    }
    printf("\n# zsh completion for dalang; use: dalang completion zsh > \"${fpath[1]}/_dalang\"\n"
           "_dalang() {\n    local line=\"${words[1]:t}\"\n    local -a specs actions\n"
           "    if (( CURRENT > 2 )) && [[ ${words[2]} != -* ]] && [[ $line != puppet-query ]]; then\n"
           "        line=\"$line ${words[2]}\"\n    fi\n    case \"$line\" in\n");
    each_command_line(zsh_case, NULL);
    for (size_t i = 0; i < PROGRAM_COUNT; i++) {
        char *actions = actions_of(programs[i]);
        if (actions[0] != '\0') {
            printf("        '%s') actions=(%s) ; compadd -a actions ; return ;;\n", programs[i], actions);
        }
        mem_free(actions);
    }
    printf("    esac\n    _arguments -s \"${specs[@]}\"\n}\n_dalang \"$@\"\n");
}

static void fish_lines(void *ctx, const struct command_line *cl) {
    (void)ctx;
    const char *space = strchr(cl->program, ' ');
    size_t len = space != NULL ? (size_t)(space - cl->program) : strlen(cl->program);
    const char *action = space != NULL ? space + 1 : "";
    size_t action_len = strcspn(action, " ");
    if (action_len > 0) {
        printf("complete -c %.*s -n __fish_use_subcommand -a %.*s -d '", (int)len, cl->program, (int)action_len,
               action);
        print_quoted(cl->summary);
        puts("'");
    }
    for (const struct option *o = cl->options; more_options(o); o++) {
        if (o->type == OPTION_HEADING) {
            continue;
        }
        printf("complete -c %.*s", (int)len, cl->program);
        if (action_len > 0) {
            printf(" -n '__fish_seen_subcommand_from %.*s'", (int)action_len, action);
        }
        printf(" -l %s", o->name);
        if (o->letter != 0) {
            printf(" -s %c", o->letter);
        }
        printf("%s -d '", o->value != NULL ? " -r" : "");
        print_quoted(o->help);
        puts("'");
    }
}

static const struct command_line *completion_line(void) {
    static const struct option options[] = {OPTION_END};
    static const struct command_line cl = {"dalang completion", "bash|zsh|fish",
                                           "print the completion script of a shell",
                                           "For bash: source <(dalang completion bash)", options};
    return &cl;
}

void completion_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    each(ctx, completion_line());
}

int completion_command(int argc, char *const argv[]) {
    struct option_list words = {NULL, 0};
    int code = DALANG_OK;
    if (dalang_parse(completion_line(), argc, argv, &words, &code)) {
        const char *shell = words.count == 1 ? words.items[0] : "";
        if (strcmp(shell, "bash") == 0) {
            bash_script();
        } else if (strcmp(shell, "zsh") == 0) {
            zsh_script();
        } else if (strcmp(shell, "fish") == 0) {
            puts("# fish completion for dalang; use: dalang completion fish | source");
            each_command_line(fish_lines, NULL);
        } else {
            struct error err = ERROR_INIT;
            error_set(&err, "usage", "name one shell: bash, zsh or fish");
            code = dalang_trouble(completion_line(), &err);
        }
    }
    option_list_free(&words);
    return code;
}

/* ---- manual pages */

struct pages {
    const char *dir;  /* write all of them here … */
    const char *name; /* … or print the one of this name */
    size_t count;
    struct error *err;
};

static void one_page(void *ctx, const struct command_line *cl) {
    struct pages *p = ctx;
    char *name = str_dup(cl->program);
    for (char *c = name; *c != '\0'; c++) {
        *c = *c == ' ' ? '-' : *c;
    }
    if (p->name != NULL && (strcmp(p->name, name) == 0 || strcmp(p->name, cl->program) == 0)) {
        option_print_man(cl, stdout);
        p->count++;
    } else if (p->dir != NULL && p->err->kind == NULL) {
        char *path = str_printf("%s/%s.1", p->dir, name);
        FILE *f = fopen(path, "we");
        if (f == NULL) {
            error_set(p->err, "file", "%s: %s", path, strerror(errno));
        } else {
            option_print_man(cl, f);
            if (fclose(f) != 0) {
                error_set(p->err, "file", "%s: %s", path, strerror(errno));
            }
            p->count++;
        }
        mem_free(path);
    }
    mem_free(name);
}

static const struct command_line *man_line(const char **dir) {
    static struct option options[2];
    options[0] = (struct option){OPTION_STRING, "write", 'w', "DIR", "Write every page into this directory.", dir};
    options[1] = (struct option)OPTION_END;
    static const struct command_line cl = {"dalang man", "[COMMAND] [--write DIR]",
                                           "print a manual page, or write all of them", NULL, options};
    return &cl;
}

void man_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    each(ctx, man_line(NULL));
}

int man_command(int argc, char *const argv[]) {
    struct option_list words = {NULL, 0};
    struct error err = ERROR_INIT;
    struct pages p = {.err = &err};
    int code = DALANG_OK;
    if (dalang_parse(man_line(&p.dir), argc, argv, &words, &code)) {
        p.name = words.count == 1 ? words.items[0] : NULL;
        if ((p.name == NULL) == (p.dir == NULL)) {
            error_set(&err, "usage", "name a command, or give --write DIR");
        } else {
            each_command_line(one_page, &p);
            if (p.count == 0 && err.kind == NULL) {
                error_set(&err, "usage", "there is no command \"%s\"", p.name);
            }
        }
        if (err.kind != NULL) {
            code = dalang_trouble(man_line(&p.dir), &err);
        }
    }
    option_list_free(&words);
    return code;
}
