/* Tasks on disk (puppetserver.md §7, §5.3): which there are, what they are made of, what is wrong with them. */
#include "base/digest.h"
#include "base/mem.h"
#include "fakes/puppetserver/ruby.h"
#include "fakes/puppetserver/server.h"
#include <stdlib.h>
#include <string.h>

static const char *const mounts[] = {"files", "lib", "scripts", "tasks", NULL};

static bool task_name_legal(struct span name) {
    return ps_module_name_legal(name); /* the same rule */
}

/* A file in tasks/: its stem (up to the last dot) and extension with dot; false when the name makes no task. */
static bool split_task_file(const char *filename, struct span *stem, struct span *extension) {
    const char *dot = strrchr(filename, '.');
    size_t len = dot != NULL && dot != filename ? (size_t)(dot - filename) : strlen(filename);
    *stem = (struct span){filename, len};
    *extension = span_of(filename + len);
    return task_name_legal(*stem) && !span_eq_cstr(*extension, ".md") && !span_eq_cstr(*extension, ".conf");
}

char **ps_task_names(struct world *w, const struct ps_environment *env, const char *module_dir, size_t *count) {
    char *dir = ps_join(module_dir, "tasks");
    char **names = NULL, **all = NULL;
    size_t n = 0, cap = 0;
    *count = 0;
    world_file_list(w, dir, &names, &n, NULL);
    for (size_t i = 0; i < n; i++) {
        struct span stem, extension;
        char *path = ps_join(dir, names[i]);
        bool same = *count > 0 && split_task_file(names[i], &stem, &extension) && span_eq_cstr(stem, all[*count - 1]);
        if (!same && split_task_file(names[i], &stem, &extension) && ps_is_code(w, env, path)) {
            bool known = false;
            for (size_t k = 0; k < *count && !known; k++) {
                known = span_eq_cstr(stem, all[k]);
            }
            if (!known) {
                all = mem_grow(all, &cap, *count + 1, sizeof *all);
                all[(*count)++] = span_dup(stem);
            }
        }
        mem_free(path);
    }
    world_names_free(names, n);
    mem_free(dir);
    return all;
}

static const char *ruby_class(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_ARRAY:
        return "Array";
    case JSON_STRING:
        return "String";
    case JSON_INTEGER:
        return "Integer";
    case JSON_REAL:
        return "Float";
    case JSON_TRUE:
        return "TrueClass";
    case JSON_FALSE:
        return "FalseClass";
    default:
        return "Hash";
    }
}

static enum ps_task_result broken(struct error *err, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum ps_task_result broken(struct error *err, const char *kind, const char *format, ...) {
    struct buf b = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    char *text = buf_take(&b);
    error_set(err, kind, "%s", text);
    mem_free(text);
    return PS_TASK_BROKEN;
}

/* A byte that is no UTF-8, as the Latin-1 letter it would be. */
static enum ps_task_result not_utf8(struct span text, struct error *err) {
    struct buf good = BUF_INIT;
    size_t at = 0;
    for (; at < text.len; at++) {
        buf_append_char(&good, text.ptr[at]);
        unsigned char c = (unsigned char)text.ptr[at];
        if (c >= 0x80) {
            size_t len = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
            if (!span_is_utf8(span_sub(text, at, len))) {
                break;
            }
            at += len - 1;
        }
    }
    buf_free(&good);
    unsigned char bad = at < text.len ? (unsigned char)text.ptr[at] : 0;
    char letter[3] = {(char)(0xC0 | bad >> 6), (char)(0x80 | (bad & 0x3F)), '\0'};
    return broken(err, "puppet.tasks/unparseable-metadata", "partial character in source, but hit end near %s", letter);
}

static enum ps_task_result read_metadata(struct world *w, const char *path, json_t **metadata, struct error *err) {
    struct buf text = BUF_INIT;
    struct error io = ERROR_INIT;
    enum ps_task_result result = PS_TASK_FOUND;
    *metadata = NULL;
    if (!world_file_read(w, path, PS_METADATA_MAX, &text, &io)) {
        result = broken(err, "puppet.tasks/unreadable-metadata", "Error reading metadata: %s", io.msg);
    } else if (text.len == 0) {
        *metadata = json_object();
    } else if (!span_is_utf8(buf_span(&text))) {
        result = not_utf8(buf_span(&text), err);
    } else {
        *metadata = json_parse(buf_span(&text), "puppet.tasks/unparseable-metadata", NULL);
        if (*metadata == NULL) {
            struct span trimmed = buf_span(&text);
            while (trimmed.len > 0 && strchr(" \t\r\n", trimmed.ptr[0]) != NULL) {
                trimmed = span_sub(trimmed, 1, trimmed.len);
            }
            result = broken(err, "puppet.tasks/unparseable-metadata", "unexpected token at '%.*s'", (int)trimmed.len,
                            trimmed.ptr);
        }
    }
    if (json_is_null(*metadata) || json_is_false(*metadata)) {
        *metadata = json_object();
    }
    if (*metadata != NULL && !json_is_object(*metadata)) {
        struct buf shown = BUF_INIT;
        ps_ruby_inspect(&shown, *metadata);
        error_set(err, "crash", "org.jruby.exceptions.NoMethodError: (NoMethodError) undefined method `key?' for %s:%s",
                  shown.ptr, ruby_class(*metadata));
        buf_free(&shown);
        json_decref(*metadata);
        *metadata = NULL;
        result = PS_TASK_CRASH;
    }
    error_clear(&io);
    buf_free(&text);
    return result;
}

static void add_file(struct ps_task *t, const char *module, const char *mount, const char *rest, char *path,
                     char *filename) {
    t->files = mem_grow(t->files, &t->file_cap, t->file_count + 1, sizeof *t->files);
    t->files[t->file_count++] = (struct ps_task_file){
        .filename = filename, .path = path, .module = str_dup(module), .mount = str_dup(mount), .rest = str_dup(rest)};
}

/* Everything about the task being read. */
struct reading {
    struct world *w;
    const struct ps_environment *env;
    const char *module, *tasks_dir, *task;
    char **executables; /* file names in tasks/ that are no metadata */
    size_t executable_count, executable_cap;
    struct ps_task *out;
    struct error *err;
};

static void add_implementation(struct reading *r, const char *filename) {
    add_file(r->out, r->module, "tasks", filename, ps_join(r->tasks_dir, filename), str_dup(filename));
}

static const char *find_executable(const struct reading *r, const char *filename) {
    for (size_t i = 0; filename != NULL && i < r->executable_count; i++) {
        if (strcmp(r->executables[i], filename) == 0) {
            return r->executables[i];
        }
    }
    return NULL;
}

static enum ps_task_result listed_implementations(struct reading *r, const json_t *list) {
    if (!json_is_array(list)) {
        return broken(r->err, "puppet.tasks/invalid-metadata",
                      "Task metadata for task %s does not specify implementations as an array", r->out->name);
    }
    size_t i;
    json_t *impl;
    json_array_foreach((json_t *)(uintptr_t)list, i, impl) {
        const json_t *requirements = json_object_get(impl, "requirements");
        if (requirements != NULL && !json_is_array(requirements) && !json_is_null(requirements)) {
            return broken(r->err, "puppet.tasks/invalid-metadata",
                          "Task metadata for task %s does not specify requirements as an array", r->out->name);
        }
        const char *name = json_str(impl, "name");
        if (find_executable(r, name) == NULL) {
            error_set_details(r->err, "puppet.tasks/missing-implementation", json_pack("{s:[s?]}", "missing", name),
                              "Task metadata for task %s specifies missing implementation %s", r->out->name,
                              name != NULL ? name : "");
            return PS_TASK_BROKEN;
        }
        add_implementation(r, name);
    }
    return PS_TASK_FOUND;
}

static enum ps_task_result only_implementation(struct reading *r) {
    const char *found = NULL;
    for (size_t i = 0; i < r->executable_count; i++) {
        struct span stem, extension;
        if (!split_task_file(r->executables[i], &stem, &extension) || !span_eq_cstr(stem, r->task)) {
            continue;
        }
        if (found != NULL) {
            return broken(r->err, "puppet.tasks/multiple-implementations",
                          "Multiple executables were found in directory %s/%s for task %s; define 'implementations' in "
                          "metadata to differentiate between them",
                          r->tasks_dir, found, r->out->name);
        }
        found = r->executables[i];
    }
    if (found == NULL) {
        return broken(r->err, "puppet.tasks/no-implementation",
                      "No source besides task metadata was found in directory %s for task %s", r->tasks_dir,
                      r->out->name);
    }
    add_implementation(r, found);
    return PS_TASK_FOUND;
}

/* Files below a directory, sorted, without dot files; symbolic links to directories are not followed. */
static void add_tree(struct reading *r, const char *module, const char *mount, const char *dir, const char *relative,
                     int depth) {
    char **names = NULL;
    size_t n = 0;
    if (depth == PS_DEPTH_MAX || !world_file_list(r->w, dir, &names, &n, NULL)) {
        return;
    }
    for (size_t i = 0; i < n && r->out->file_count < PS_FILES_MAX; i++) {
        if (names[i][0] == '.') {
            continue;
        }
        char *path = ps_join(dir, names[i]);
        char *rest = *relative == '\0' ? str_dup(names[i]) : ps_join(relative, names[i]);
        struct world_stat st;
        if (world_file_lstat(r->w, path, &st, NULL) && st.is_dir) {
            add_tree(r, module, mount, path, rest, depth + 1);
        } else if (ps_is_code(r->w, r->env, path)) {
            add_file(r->out, module, mount, rest, str_dup(path), str_printf("%s/%s/%s", module, mount, rest));
        }
        mem_free(path);
        mem_free(rest);
    }
    world_names_free(names, n);
}

static bool is_mount(const char *name) {
    for (size_t i = 0; mounts[i] != NULL; i++) {
        if (strcmp(mounts[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* "module/mount/path[/]" of the metadata, in its three parts (each a C string of its own). */
struct entry_parts {
    char *module, *mount, *rest; /* rest without final slash */
    bool slash;
};

static struct entry_parts split_entry(const char *entry) {
    struct span rest = span_of(entry);
    struct span module = {0}, mount = {0};
    struct entry_parts p = {0};
    span_split(&rest, '/', &module);
    span_split(&rest, '/', &mount);
    p.slash = span_ends_with(span_of(entry), "/");
    if (p.slash && rest.len > 0) {
        rest.len--;
    }
    p.module = span_dup(module);
    p.mount = span_dup(mount);
    p.rest = span_dup(rest);
    return p;
}

static void entry_free(struct entry_parts *p) {
    mem_free(p->module);
    mem_free(p->mount);
    mem_free(p->rest);
}

static enum ps_task_result add_existing(struct reading *r, const struct entry_parts *p, const char *entry,
                                        const char *module_dir) {
    char *mount_dir = ps_join(module_dir, p->mount);
    char *path = *p->rest == '\0' ? str_dup(mount_dir) : ps_join(mount_dir, p->rest);
    struct world_stat st;
    enum ps_task_result result = PS_TASK_FOUND;
    if (*p->rest != '\0' && !ps_path_confined(p->rest)) {
        result = broken(r->err, "puppet.tasks/invalid-metadata", "File pathnames cannot include relative paths");
    } else if (!world_file_stat(r->w, path, &st, NULL) || !ps_path_in_code(r->w, r->env, path)) {
        result = broken(r->err, "puppet.tasks/invalid-file", "Could not find %s on disk", path);
    } else if (st.is_dir && !p->slash) {
        result = broken(r->err, "puppet.tasks/invalid-metadata",
                        "Directories specified in task metadata must include a trailing slash: %s", entry);
    } else if (!st.is_dir && p->slash) {
        result = broken(r->err, "puppet.task/invalid-metadata",
                        "Files specified in task metadata cannot include a trailing slash: %s", entry);
    } else if (st.is_dir) {
        add_tree(r, p->module, p->mount, path, p->rest, 0);
    } else {
        add_file(r->out, p->module, p->mount, p->rest, str_dup(path),
                 str_printf("%s/%s/%s", p->module, p->mount, p->rest));
    }
    mem_free(path);
    mem_free(mount_dir);
    return result;
}

static enum ps_task_result add_entry(struct reading *r, const char *entry) {
    struct entry_parts p = split_entry(entry);
    char *module_dir = ps_module_dir(r->w, r->env, p.module);
    enum ps_task_result result;
    if (module_dir == NULL) {
        result = broken(r->err, "puppet.tasks/invalid-metadata", "Could not find module %s containing task file %s",
                        p.module, p.rest);
    } else if (!is_mount(p.mount)) {
        result = broken(r->err, "puppet.tasks/invalid-metadata",
                        "Files must be saved in module directories that Puppet makes available via mount points: "
                        "files, lib, scripts, tasks");
    } else {
        result = add_existing(r, &p, entry, module_dir);
    }
    mem_free(module_dir);
    entry_free(&p);
    return result;
}

/* Collects the names of one "files" key into `all`, each once; false when it is no array. */
static bool collect_entries(struct reading *r, const json_t *files, json_t *all) {
    if (files == NULL) {
        return true;
    }
    if (!json_is_array(files)) {
        char *shown = ps_ruby_text(files);
        broken(r->err, "puppet.tasks/invalid-metadata", "The 'files' task metadata expects an array, got %s.", shown);
        mem_free(shown);
        return false;
    }
    size_t i;
    json_t *entry;
    json_array_foreach((json_t *)(uintptr_t)files, i, entry) {
        if (json_is_string(entry)) {
            json_object_set(all, json_string_value(entry), entry); /* keeps the first place of a repeated one */
        }
    }
    return true;
}

static enum ps_task_result extra_files(struct reading *r) {
    json_t *all = json_object();
    enum ps_task_result result = PS_TASK_FOUND;
    const json_t *implementations = json_object_get(r->out->metadata, "implementations");
    bool good = collect_entries(r, json_object_get(r->out->metadata, "files"), all);
    for (size_t i = 0; good && i < json_array_size(implementations); i++) {
        good = collect_entries(r, json_object_get(json_array_get(implementations, i), "files"), all);
    }
    const char *entry;
    json_t *value;
    if (good) {
        json_object_foreach(all, entry, value) {
            if (result == PS_TASK_FOUND) {
                result = add_entry(r, entry);
            }
        }
    }
    json_decref(all);
    return good ? result : PS_TASK_BROKEN;
}

/* Lists the executables; tells whether any file of the task's name is there. */
static bool scan_tasks(struct reading *r, bool *has_metadata) {
    char **names = NULL;
    size_t n = 0;
    bool exists = false;
    *has_metadata = false;
    world_file_list(r->w, r->tasks_dir, &names, &n, NULL);
    for (size_t i = 0; i < n; i++) {
        struct span stem, extension;
        char *path = ps_join(r->tasks_dir, names[i]);
        if (split_task_file(names[i], &stem, &extension) && ps_is_code(r->w, r->env, path)) {
            bool ours = span_eq_cstr(stem, r->task);
            bool metadata = span_eq_cstr(extension, ".json");
            exists = exists || ours;
            *has_metadata = *has_metadata || (ours && metadata);
            if (!metadata) {
                r->executables =
                    mem_grow(r->executables, &r->executable_cap, r->executable_count + 1, sizeof *r->executables);
                r->executables[r->executable_count++] = str_dup(names[i]);
            }
        }
        mem_free(path);
    }
    world_names_free(names, n);
    return exists;
}

static enum ps_task_result read_parts(struct reading *r, bool has_metadata) {
    char *path = str_printf("%s/%s.json", r->tasks_dir, r->task);
    enum ps_task_result result = PS_TASK_FOUND;
    if (has_metadata) {
        result = read_metadata(r->w, path, &r->out->metadata, r->err);
    } else {
        r->out->metadata = json_object();
    }
    mem_free(path);
    if (result == PS_TASK_FOUND) {
        const json_t *implementations = json_object_get(r->out->metadata, "implementations");
        result = implementations != NULL ? listed_implementations(r, implementations) : only_implementation(r);
    }
    return result == PS_TASK_FOUND ? extra_files(r) : result;
}

enum ps_task_result ps_task_read(struct world *w, const struct ps_environment *env, const char *module,
                                 const char *module_dir, const char *task, struct ps_task *out, struct error *err) {
    char *tasks_dir = ps_join(module_dir, "tasks");
    struct reading r = {
        .w = w, .env = env, .module = module, .tasks_dir = tasks_dir, .task = task, .out = out, .err = err};
    bool has_metadata;
    *out = (struct ps_task){0};
    enum ps_task_result result = PS_TASK_ABSENT;
    if (scan_tasks(&r, &has_metadata)) {
        out->name = strcmp(task, "init") == 0 ? str_dup(module) : str_printf("%s::%s", module, task);
        result = read_parts(&r, has_metadata);
    }
    world_names_free(r.executables, r.executable_count);
    mem_free(tasks_dir);
    if (result != PS_TASK_FOUND) {
        ps_task_free(out);
    }
    return result;
}

void ps_task_free(struct ps_task *t) {
    for (size_t i = 0; i < t->file_count; i++) {
        struct ps_task_file *f = &t->files[i];
        mem_free(f->filename);
        mem_free(f->path);
        mem_free(f->module);
        mem_free(f->mount);
        mem_free(f->rest);
    }
    mem_free(t->files);
    mem_free(t->name);
    json_decref(t->metadata);
    *t = (struct ps_task){0};
}

bool ps_file_digest(struct world *w, const char *path, char hex[65], uint64_t *size, struct error *err) {
    enum { PIECE = 256 * 1024 };
    struct sha256 *sha = sha256_new();
    struct buf piece = BUF_INIT;
    uint64_t at = 0;
    bool good = true;
    do {
        buf_clear(&piece);
        good = world_file_read_at(w, path, at, PIECE, &piece, err);
        sha256_update(sha, piece.ptr, piece.len);
        at += piece.len;
    } while (good && piece.len > 0);
    uint8_t digest[SHA256_LEN];
    sha256_finish(sha, digest);
    if (good) {
        buf_clear(&piece);
        hex_encode(&piece, span_bytes(digest, sizeof digest));
        memcpy(hex, piece.ptr, SHA256_HEX_LEN + 1);
        *size = at;
    }
    buf_free(&piece);
    return good;
}
