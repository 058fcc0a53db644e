/* dalang-exec and the programs it runs, in the simulated world. */
#include "agent/exec.h"
#include "agent/tests/bench.h"
#include "base/digest.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>

/* What the program of one run prints and how it ends; kept until it has ended. */
struct virtual_run {
    struct list_link link; /* bench->programs: a power failure ends runs without a word */
    struct agent_exec exec;
    struct buf out, err;
    int code;
    bool incomplete; /* its input was cut short, or it was given up: nothing is run */
};

static void print_arguments(struct virtual_run *r) {
    for (size_t i = 1; r->exec.argv[i] != NULL; i++) {
        buf_printf(&r->out, "[%s]\n", r->exec.argv[i]);
    }
}

static void do_line(struct virtual_run *r, struct sim_exec *x, struct span line, bool *newline) {
    struct span word = line, rest = SPAN("");
    ptrdiff_t blank = span_find(line, ' ');
    if (blank >= 0) {
        word = span_sub(line, 0, (size_t)blank);
        rest = span_sub(line, (size_t)blank + 1, line.len);
    }
    uint64_t number = 0;
    span_to_u64(rest, &number);
    char *name = span_dup(rest);
    if (span_eq_cstr(word, "takes")) {
        x->takes_us = number * 1000;
    } else if (span_eq_cstr(word, "exit")) {
        r->code = x->status = (int)number;
    } else if (span_eq_cstr(word, "signal")) {
        r->code = x->signal = (int)number;
    } else if (span_eq_cstr(word, "out")) {
        buf_printf(&r->out, "%s%s", name, *newline ? "\n" : "");
    } else if (span_eq_cstr(word, "raw")) {
        hex_decode(&r->out, rest);
    } else if (span_eq_cstr(word, "err") || span_eq_cstr(word, "metaerr")) {
        buf_printf(&r->err, "%s\n", name);
    } else if (span_eq_cstr(word, "rawerr")) {
        hex_decode(&r->err, rest);
    } else if (span_eq_cstr(word, "nolf")) {
        *newline = false;
    } else if (span_eq_cstr(word, "stdin")) {
        buf_append_span(&r->out, x->input);
        buf_append_char(&r->out, '\n');
    } else if (span_eq_cstr(word, "env") && sim_exec_env(x, name) != NULL) {
        buf_printf(&r->out, "%s=%s\n", name, sim_exec_env(x, name));
    } else if (span_eq_cstr(word, "args")) {
        print_arguments(r);
    } else if (span_eq_cstr(word, "fill")) {
        for (uint64_t i = 0; i < number; i++) {
            buf_append_char(&r->out, 'x');
        }
    }
    mem_free(name);
}

static void write_outputs(struct virtual_run *r, struct sim_exec *x) {
    json_t *input = json_parse(x->input, "test", NULL);
    const json_t *files = json_object_get(input, "output_files");
    static const char *const names[] = {"stdout", "stderr", "exitcode"};
    char *code = str_printf("%d\n", r->code);
    struct span texts[] = {buf_span(&r->out), buf_span(&r->err), span_of(code)};
    for (size_t i = 0; i < 3 && files != NULL && r->code != 5; i++) {
        world_file_write(x->host, json_str(files, names[i]), texts[i], 0640, WORLD_WRITE_ATOMIC, NULL);
    }
    mem_free(code);
    json_decref(input);
}

static void interpret(struct virtual_run *r, struct sim_exec *x, struct span text) {
    struct span line;
    bool newline = true;
    bool metadata = r->exec.argv[1] != NULL && strcmp(r->exec.argv[1], "metadata") == 0;
    while (span_split(&text, '\n', &line)) {
        if (metadata && span_starts_with(line, "metadata ")) {
            buf_append_span(&r->out, span_sub(line, 9, line.len));
        } else if (!metadata || span_starts_with(line, "metaerr ") || span_starts_with(line, "takes ")) {
            do_line(r, x, line, &newline);
        }
    }
}

/* The text of a shell's -c, or the file's content. */
static void run_program(struct bench *b, struct virtual_run *r, struct sim_exec *x) {
    struct buf text = BUF_INIT;
    const char *file = r->exec.argv[0];
    struct world_stat st;
    if (strcmp(file, "/bin/bash") == 0) {
        const char *known = map_get_cstr(&b->commands, r->exec.argv[2]);
        buf_append_cstr(&text, "#!sim\n");
        for (const char *c = known != NULL ? known : r->exec.argv[2]; *c != '\0'; c++) {
            buf_append_char(&text, *c == ';' ? '\n' : *c);
        }
    } else if (!world_file_stat(x->host, file, &st, NULL) || !st.is_file || (st.mode & 0100) == 0 ||
               !world_file_read(x->host, file, SIZE_MAX, &text, NULL)) {
        r->code = x->status = AGENT_EXEC_NOT_FOUND;
        buf_free(&text);
        return;
    }
    if (span_starts_with(buf_span(&text), "#!sim\n")) {
        interpret(r, x, buf_span(&text));
    } else {
        r->code = x->status = 8; /* ENOEXEC */
    }
    buf_free(&text);
}

static void do_sync(struct bench *b, const char *path) {
    if (b->sync != NULL) {
        b->sync(b, path);
    } else {
        world_file_sync(b->agent_host, path, NULL);
    }
}

/* As dalang-exec: the last file appears under a temporary name first, and its directory is synced, too. */
static void put(struct bench *b, const char *dir, const char *name, struct span text, bool is_last) {
    char *path = str_printf("%s/%s", dir, name);
    char *temporary = str_printf("%s%s", path, is_last ? "~" : "");
    world_file_write(b->agent_host, temporary, text, 0640, WORLD_WRITE_PLAIN, NULL);
    do_sync(b, temporary);
    if (is_last) {
        world_file_rename(b->agent_host, temporary, path, NULL);
        do_sync(b, dir);
    }
    mem_free(path);
    mem_free(temporary);
}

static bool put_pid(struct sim_exec *x, const char *path) {
    char text[32];
    snprintf(text, sizeof text, "%lld\n", (long long)x->pid);
    return world_file_write(x->host, path, span_of(text), 0640, WORLD_WRITE_NEW, NULL);
}

static void run(void *ctx, struct sim_exec *x) {
    struct bench *b = ctx;
    struct virtual_run *r = mem_zalloc(sizeof *r);
    x->data = r;
    list_push_back(&b->programs, &r->link);
    x->takes_us = 1000;
    assert_true(agent_exec_parse(x->argv, &r->exec));
    char *pid_file = r->exec.spool_dir != NULL  ? str_printf("%s/pid", r->exec.spool_dir)
                     : r->exec.pid_file != NULL ? str_dup(r->exec.pid_file)
                                                : NULL;
    r->incomplete = x->input.len < r->exec.input_size || (pid_file != NULL && !put_pid(x, pid_file));
    mem_free(pid_file);
    if (r->incomplete) {
        x->status = AGENT_EXEC_INCOMPLETE;
        return;
    }
    b->runs++;
    run_program(b, r, x);
    if (r->exec.spool_dir == NULL) {
        buf_append_span(&x->out, buf_span(&r->out));
        buf_append_span(&x->err, buf_span(&r->err));
    }
}

static void run_free(struct bench *b, struct virtual_run *r) {
    list_remove(&b->programs, &r->link);
    buf_free(&r->out);
    buf_free(&r->err);
    mem_free(r);
}

static void at_end(void *ctx, struct sim_exec *x, int killed) {
    struct bench *b = ctx;
    struct virtual_run *r = x->data;
    if (killed == 0 && !r->incomplete && r->exec.spool_dir != NULL) {
        if (r->out.len > 0 && r->out.ptr[r->out.len - 1] != '\n') {
            buf_append_char(&r->out, '\n');
        }
        char code[16];
        snprintf(code, sizeof code, "%d", r->code);
        put(b, r->exec.spool_dir, "stdout", span_sub(buf_span(&r->out), 0, r->exec.output_max), false);
        put(b, r->exec.spool_dir, "stderr", span_sub(buf_span(&r->err), 0, r->exec.output_max), false);
        put(b, r->exec.spool_dir, "exitcode", span_of(code), true);
        x->signal = 0; /* it was the task that was ended by one */
        x->status = r->code;
        b->ends++;
    } else if (killed == 0 && r->exec.pid_file != NULL) {
        write_outputs(r, x);
    }
    run_free(b, r);
}

void virtual_end(struct bench *b) {
    while (!list_empty(&b->programs)) {
        run_free(b, LIST_ITEM(list_first(&b->programs), struct virtual_run, link));
    }
}

void virtual_install(struct bench *b) {
    list_init(&b->programs);
    sim_program(b->sim, NULL, "dalang-exec", &(struct sim_program){.run = run, .at_end = at_end, .ctx = b});
}
