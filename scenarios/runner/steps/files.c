/* file: changes a file of the modules directory while the stack runs, as somebody who edits a task does. */
#include "base/mem.h"
#include "scenarios/runner/run.h"
#include <string.h>

static void check_path(struct problems *p, const struct doc_node *node) {
    if (node->text[0] == '/' || node->text[0] == '\0' || strstr(node->text, "..") != NULL) {
        problem(p, node, "\"%s\" is no path below the modules directory", node->text);
    }
}
static const struct shape shape_path = {.type = SHAPE_TEXT, .check = check_path};
static const struct shape_key file_keys[] = {{"path", &shape_path, true},
                                             {"content", &shape_text, false},
                                             {"remove", &shape_bool, false},
                                             STEP_KEYS,
                                             {NULL, NULL, false}};

static void check_file(struct problems *p, const struct doc_node *node) {
    if ((doc_get(node, "content") == NULL) == (doc_get(node, "remove") == NULL)) {
        problem(p, node, "either content or remove is wanted here");
    }
}
static const struct shape shape_file = {.type = SHAPE_MAP, .keys = file_keys, .check = check_file};

static void begin_file(struct run *r, const json_t *args) {
    const struct stage *s = run_stage(r);
    struct error err = ERROR_INIT;
    const char *name = json_str(args, "path");
    char *path = str_printf("%s/%s", s->modules_dir, name), *parent = str_dup(path);
    *strrchr(parent, '/') = '\0';
    json_t *content = json_object_get(args, "content");
    char *text = json_is_string(content) || content == NULL ? NULL : json_text(content);
    struct span bytes = text != NULL ? span_of(text) : json_span(content);
    bool ok = name[0] != '/' && strstr(name, "..") == NULL;
    ok = ok && (content == NULL ? world_file_remove(s->modules_world, path, false, &err)
                                : world_file_mkdir(s->modules_world, parent, 0755, true, &err) &&
                                      world_file_write(s->modules_world, path, bytes, 0755, WORLD_WRITE_ATOMIC, &err));
    mem_free(text);
    mem_free(parent);
    mem_free(path);
    if (ok) {
        run_step_done(r, NULL);
    } else {
        run_step_failed(r, "the file is changed", error_is_set(&err) ? err.msg : "not below the modules directory");
    }
    error_clear(&err);
}

const struct step_kind file_steps[] = {
    {"file", "change a file of the modules directory", &shape_file, begin_file},
    {NULL, NULL, NULL, NULL},
};
