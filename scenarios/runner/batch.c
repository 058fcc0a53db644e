/* Reading and listing what is to be run. */
#include "scenarios/runner/batch_internal.h"

#include "base/mem.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void load_file(struct batch *b, const char *path) {
    struct problems p = {.file = path};
    struct scenario_file *f = scenario_load(path, &p);
    if (f != NULL) {
        b->files = mem_grow(b->files, &b->cap, b->count + 1, sizeof(*b->files));
        b->files[b->count++] = f;
        return;
    }
    b->problems = mem_grow(b->problems, &b->problem_cap, b->problem_count + 1, sizeof(*b->problems));
    b->problems[b->problem_count++] = p;
}

static int no_dots(const struct dirent *e) {
    return e->d_name[0] != '.';
}

static bool is_yaml(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

/* Directories called "included" hold steps, not scenarios. */
static bool load_directory(struct batch *b, const char *dir, unsigned depth, struct error *err) {
    enum { DEPTH_MAX = 16 };
    struct dirent **names = NULL;
    int count = depth < DEPTH_MAX ? scandir(dir, &names, no_dots, alphasort) : 0;
    if (count < 0) {
        return error_set(err, "scenario", "%s: %s", dir, strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        char *path = str_printf("%s/%s", dir, names[i]->d_name);
        struct stat st;
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) && strcmp(names[i]->d_name, "included") != 0) {
            load_directory(b, path, depth + 1, NULL);
        } else if (is_yaml(path) && S_ISREG(st.st_mode)) {
            load_file(b, path);
        }
        mem_free(path);
        free(names[i]);
    }
    free(names);
    return true;
}

bool batch_load(struct batch *b, const struct option_list *paths, struct error *err) {
    for (size_t i = 0; i < paths->count; i++) {
        struct stat st;
        if (stat(paths->items[i], &st) != 0) {
            return error_set(err, "scenario", "%s: %s", paths->items[i], strerror(errno));
        }
        size_t before = b->count + b->problem_count;
        if (!S_ISDIR(st.st_mode)) {
            load_file(b, paths->items[i]);
        } else if (!load_directory(b, paths->items[i], 0, err)) {
            return false;
        }
        if (b->count + b->problem_count == before) {
            return error_set(err, "scenario", "%s: there is no scenario file in it", paths->items[i]);
        }
    }
    return true;
}

void batch_free(struct batch *b) {
    for (size_t i = 0; i < b->count; i++) {
        scenario_file_free(b->files[i]);
    }
    for (size_t i = 0; i < b->problem_count; i++) {
        problems_free(&b->problems[i]);
    }
    mem_free(b->files);
    mem_free(b->problems);
}

size_t batch_scenarios(const struct batch *b) {
    size_t total = 0;
    for (size_t i = 0; i < b->count; i++) {
        total += b->files[i]->count;
    }
    return total;
}

void batch_print_problems(const struct batch *b, FILE *to) {
    for (size_t i = 0; i < b->problem_count; i++) {
        const struct problems *p = &b->problems[i];
        for (size_t k = 0; k < p->count && k < PROBLEMS_MAX; k++) {
            fprintf(to, "%s\n", p->lines[k]);
        }
        if (p->count > PROBLEMS_MAX) {
            fprintf(to, "%s: and %zu more\n", p->file, p->count - PROBLEMS_MAX);
        }
    }
}

/* ---- lists */

bool batch_tagged(const struct scenario *s, const struct option_list *tags) {
    bool wanted = tags->count == 0, any = false;
    for (size_t i = 0; i < tags->count; i++) {
        const char *tag = tags->items[i];
        if (tag[0] == '!') {
            if (scenario_has_tag(s, tag + 1)) {
                return false;
            }
        } else {
            any = true;
            wanted = wanted || scenario_has_tag(s, tag);
        }
    }
    return wanted || !any;
}

static const char *worlds_word(const struct scenario *s) {
    return s->worlds == SCENARIO_SIM ? "sim" : s->worlds == SCENARIO_REAL ? "real" : "both";
}

static void each(const struct batch *b, const struct option_list *tags, void (*fn)(void *ctx, const struct scenario *s),
                 void *ctx) {
    for (size_t i = 0; i < b->count; i++) {
        for (size_t k = 0; k < b->files[i]->count; k++) {
            const struct scenario *s = &b->files[i]->items[k];
            if (batch_tagged(s, tags)) {
                fn(ctx, s);
            }
        }
    }
}

struct listing {
    FILE *to;
    size_t count, single;
    json_t *items;
};

static void print_one(void *ctx, const struct scenario *s) {
    struct listing *l = ctx;
    fprintf(l->to, "%-4s  %s:%u  %s", worlds_word(s), s->file, s->line, s->name);
    for (size_t i = 0; i < s->tag_count; i++) {
        fprintf(l->to, "%s%s%s", i == 0 ? "  [" : " ", s->tags[i], i + 1 == s->tag_count ? "]" : "");
    }
    fputc('\n', l->to);
    if (s->about != NULL) {
        fprintf(l->to, "      %s\n", s->about);
    }
    l->count++;
    l->single += s->because != NULL ? 1 : 0;
}

static void print_reason(void *ctx, const struct scenario *s) {
    struct listing *l = ctx;
    if (s->because != NULL) {
        fprintf(l->to, "  %s, %s only: %s\n", s->name, worlds_word(s), s->because);
    }
}

void batch_list(const struct batch *b, const struct option_list *tags, FILE *to) {
    struct listing l = {.to = to};
    each(b, tags, print_one, &l);
    fprintf(to, "\n%zu scenarios, %zu of them in one world only%s\n", l.count, l.single, l.single != 0 ? ":" : "");
    each(b, tags, print_reason, &l);
}

static void add_one(void *ctx, const struct scenario *s) {
    struct listing *l = ctx;
    json_t *tags = json_array(), *one = json_object();
    for (size_t i = 0; i < s->tag_count; i++) {
        json_array_append_new(tags, json_string(s->tags[i]));
    }
    json_set(one, "name", json_string(s->name));
    json_set(one, "file", json_string(s->file));
    json_set(one, "line", json_integer(s->line));
    json_set(one, "worlds", json_string(worlds_word(s)));
    json_set(one, "tags", tags);
    json_set(one, "agents", json_integer((json_int_t)scenario_agents(s)));
    json_set(one, "about", s->about != NULL ? json_string(s->about) : json_null());
    json_set(one, "because", s->because != NULL ? json_string(s->because) : json_null());
    json_array_append_new(l->items, one);
}

json_t *batch_list_json(const struct batch *b, const struct option_list *tags) {
    struct listing l = {.items = json_array()};
    each(b, tags, add_one, &l);
    return l.items;
}
