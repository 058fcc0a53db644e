/* The table of checklist lines and what holds them: cases of the suites or, where nothing can be seen from outside,
 * unit tests. A checklist is a file of lines "id  statement" with, for such lines, "| room/file: functions; …" behind;
 * "# " begins a heading. */
#include "base/map.h"
#include "base/mem.h"
#include "scenarios/conformance/suite.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

struct coverage {
    struct map cases; /* checklist id -> struct buf * of "`id`, `id`" */
    struct map used;  /* ids that stand in a checklist */
    struct buf faults;
    const char *root;
    size_t lines, by_cases, by_units;
};

static void fault(struct coverage *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fault(struct coverage *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_append_cstr(&c->faults, c->faults.len != 0 ? "; " : "");
    buf_vprintf(&c->faults, format, args);
    va_end(args);
}

static void note_case(void *ctx, const struct conform_seen *seen) {
    struct coverage *c = ctx;
    struct span rest = span_of(seen->covers), id;
    while (span_split(&rest, ' ', &id)) {
        struct buf *list = map_get(&c->cases, id);
        if (list == NULL) {
            list = mem_zalloc(sizeof(*list));
            map_put(&c->cases, id, list);
        }
        buf_printf(list, "%s`%s`", list->len != 0 ? ", " : "", seen->id);
    }
}

static char *whole_file(const char *path) {
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return NULL;
    }
    struct buf text = BUF_INIT;
    char block[4096];
    for (size_t n; (n = fread(block, 1, sizeof(block), f)) != 0;) {
        buf_append(&text, block, n);
    }
    fclose(f);
    return buf_take(&text);
}

/* "room/file: function function": is each there? */
static void check_unit(struct coverage *c, struct span unit, const char *id) {
    struct span place = span_trim(unit), functions = {NULL, 0}, function;
    ptrdiff_t colon = span_find(place, ':');
    if (colon >= 0) {
        functions = span_trim(span_sub(place, (size_t)colon + 1, place.len));
        place = span_sub(place, 0, (size_t)colon);
    }
    ptrdiff_t slash = span_find(place, '/');
    char *path = slash < 0 ? str_dup("")
                           : str_printf("%s/impl/%.*s/tests/test_%.*s.c", c->root, (int)slash, place.ptr,
                                        (int)(place.len - (size_t)slash - 1), place.ptr + slash + 1);
    char *text = whole_file(path);
    if (text == NULL) {
        fault(c, "%s: there is no %s", id, path);
    }
    while (text != NULL && span_split(&functions, ' ', &function)) {
        char *definition = str_printf("static void %.*s(void **", (int)function.len, function.ptr);
        if (strstr(text, definition) == NULL) {
            fault(c, "%s: %s has no test %.*s", id, path, (int)function.len, function.ptr);
        }
        mem_free(definition);
    }
    mem_free(text);
    mem_free(path);
}

static void table_line(struct coverage *c, struct span line, struct buf *out) {
    ptrdiff_t space = span_find(line, ' ');
    struct span id = span_sub(line, 0, space < 0 ? line.len : (size_t)space);
    struct span statement = span_trim(span_sub(line, id.len, line.len)), units = {NULL, 0};
    ptrdiff_t bar = span_find_span(statement, SPAN(" | "));
    if (bar >= 0) {
        units = span_trim(span_sub(statement, (size_t)bar + 3, statement.len));
        statement = span_sub(statement, 0, (size_t)bar);
    }
    char *name = span_dup(id);
    if (map_put(&c->used, id, c) != NULL) {
        fault(c, "%s stands twice", name);
    }
    const struct buf *cases = map_get(&c->cases, id);
    c->lines++;
    c->by_cases += cases != NULL ? 1 : 0;
    c->by_units += cases == NULL && units.len != 0 ? 1 : 0;
    if (cases == NULL && units.len == 0) {
        fault(c, "%s has no case", name);
    }
    buf_printf(out, "| %s | %.*s | ", name, (int)statement.len, statement.ptr);
    if (cases != NULL) {
        buf_append_span(out, buf_span(cases));
    }
    if (units.len != 0) {
        buf_printf(out, "%stests: %.*s", cases != NULL ? "; " : "", (int)units.len, units.ptr);
        struct span rest = units, unit;
        while (span_split(&rest, ';', &unit)) {
            check_unit(c, unit, name);
        }
    }
    buf_append_cstr(out, " |\n");
    mem_free(name);
}

static void table_file(struct coverage *c, const char *path, struct buf *out) {
    char *text = whole_file(path);
    struct span rest = span_of(text), line;
    while (span_split(&rest, '\n', &line)) {
        if (span_starts_with(line, "# ")) {
            buf_printf(out, "\n## %.*s\n\n| line | behaviour | cases |\n|---|---|---|\n", (int)line.len - 2,
                       line.ptr + 2);
        } else if (line.len != 0) {
            table_line(c, line, out);
        }
    }
    mem_free(text);
}

static int text_files(const struct dirent *e) {
    return span_ends_with(span_of(e->d_name), ".txt");
}

bool conform_table(const char *dir, struct buf *out, struct error *err) {
    struct dirent **names;
    int count = scandir(dir, &names, text_files, alphasort);
    if (count < 0) {
        return error_set(err, "usage", "--table: %s cannot be read", dir);
    }
    char *root = str_printf("%s/../../..", dir);
    struct coverage c = {.cases = MAP_INIT, .used = MAP_INIT, .faults = BUF_INIT, .root = root};
    size_t total = 0;
    for (size_t i = 0; conform_suites[i] != NULL; i++) {
        conform_each(conform_suites[i], note_case, &c);
    }
    struct buf tables = BUF_INIT;
    for (int i = 0; i < count; i++) {
        char *path = str_printf("%s/%s", dir, names[i]->d_name);
        table_file(&c, path, &tables);
        mem_free(path);
        free(names[i]);
    }
    free(names);
    for (struct map_iter i = map_iter(&c.cases); map_next(&i);) {
        if (map_get(&c.used, i.key) == NULL) {
            fault(&c, "%.*s is covered by cases but stands in no checklist", (int)i.key.len, i.key.ptr);
        }
        struct buf *list = i.value;
        buf_free(list);
        mem_free(list);
    }
    buf_append_cstr(
        out, "# What the conformance suites cover\n\nMade by `dalang conform --table scenarios/conformance/checklists`;"
             " a test fails when it is stale or a line has nothing that holds it.\n\n| suite | cases | strict only "
             "|\n|---|---|---|\n");
    for (size_t i = 0; conform_suites[i] != NULL; i++) {
        size_t strict, all = conform_count(conform_suites[i], &strict);
        buf_printf(out, "| %s | %zu | %zu |\n", conform_suites[i]->name, all, strict);
        total += all;
    }
    buf_printf(out, "| all | %zu | |\n\n%zu lines: %zu by cases, %zu by unit tests where nothing shows outside.\n",
               total, c.lines, c.by_cases, c.by_units);
    buf_append_span(out, buf_span(&tables));
    bool ok = c.faults.len == 0 || error_set(err, "conform/coverage", "%s", c.faults.ptr);
    buf_free(&tables);
    buf_free(&c.faults);
    map_free(&c.cases);
    map_free(&c.used);
    mem_free(root);
    return ok;
}
