/* Files of Bolt projects: file_content and file_metadatas with versioned_project instead of an environment
 * (puppetserver.md §10, §20). A project is a directory with bolt-project.yaml, bolt.yaml or Boltdir; its modules are
 * in the directories of its module path, and it is one itself when it has a name. */
#include "base/clock.h"
#include "base/mem.h"
#include "fakes/puppetserver/files.h"
#include <stdarg.h>
#include <string.h>
#include <yaml.h>

enum { PROJECT_CONFIG_MAX = 1024 * 1024, PROJECT_PATHS_MAX = 64 };

/* ---- its configuration */

static struct span text_of(const yaml_node_t *node) {
    return node != NULL && node->type == YAML_SCALAR_NODE
               ? span_bytes(node->data.scalar.value, node->data.scalar.length)
               : span_of(NULL);
}

static yaml_node_t *member(yaml_document_t *document, const char *key) {
    yaml_node_t *root = yaml_document_get_root_node(document);
    if (root == NULL || root->type != YAML_MAPPING_NODE) {
        return NULL;
    }
    for (yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top; p++) {
        if (span_eq_cstr(text_of(yaml_document_get_node(document, p->key)), key)) {
            return yaml_document_get_node(document, p->value);
        }
    }
    return NULL;
}

/* Relative to the project; one that would lead out of it is not part of the path. */
static void add_path(struct ps_project *p, struct span part) {
    char *relative = span_dup(part);
    if (p->modulepath_count < PROJECT_PATHS_MAX && ps_path_confined(relative)) {
        p->modulepath[p->modulepath_count++] = ps_join(p->root, relative);
    }
    mem_free(relative);
}

static void add_paths(struct ps_project *p, yaml_document_t *document, const yaml_node_t *node) {
    struct span text = text_of(node), part;
    if (node == NULL) {
        add_path(p, SPAN("modules"));
    } else if (node->type == YAML_SEQUENCE_NODE) {
        for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top; i++) {
            add_path(p, text_of(yaml_document_get_node(document, *i)));
        }
    }
    while (span_split(&text, ':', &part)) {
        add_path(p, part);
    }
    add_path(p, SPAN(".modules"));
}

static bool read_config(struct ps_project *p, struct span text, const char *path, struct error *err) {
    yaml_parser_t parser;
    yaml_document_t document;
    if (!yaml_parser_initialize(&parser)) {
        return error_set(err, "project", "no memory for a YAML parser");
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.ptr != NULL ? text.ptr : ""), text.len);
    bool good = yaml_parser_load(&parser, &document) != 0;
    if (good) {
        struct span name = text_of(member(&document, "name"));
        p->name = name.len > 0 ? span_dup(name) : NULL;
        add_paths(p, &document, member(&document, "modulepath"));
        yaml_document_delete(&document);
    } else {
        error_set(err, "project", "%s: %s at line %zu", path, parser.problem, parser.problem_mark.line + 1);
    }
    yaml_parser_delete(&parser);
    return good;
}

static bool any_of(struct world *w, const char *dir, const char *const *names) {
    bool found = false;
    for (; *names != NULL && !found; names++) {
        char *path = ps_join(dir, *names);
        struct world_stat st;
        found = world_file_stat(w, path, &st, NULL);
        mem_free(path);
    }
    return found;
}

/* The directory of the project's files: DIR/Boltdir, or DIR; NULL: it is no project. */
static char *root_of(struct fake_puppetserver *ps, const char *name) {
    static const char *const marks[] = {"bolt-project.yaml", "bolt.yaml", "Boltdir", NULL};
    const char *projects = json_str(ps->config, "projects_dir");
    if (projects == NULL || strchr(name, '/') != NULL || !ps_path_confined(name)) {
        return NULL;
    }
    char *dir = ps_join(projects, name), *inner = ps_join(dir, "Boltdir");
    bool has_inner = ps_is_dir(ps->base.world, inner), project = any_of(ps->base.world, dir, marks);
    mem_free(has_inner && project ? dir : inner);
    char *root = has_inner && project ? inner : dir;
    if (!project) {
        mem_free(root);
        return NULL;
    }
    return root;
}

bool ps_project_open(struct fake_puppetserver *ps, const char *name, struct ps_project *p, struct error *err) {
    struct world *w = ps->base.world;
    *p = (struct ps_project){.root = root_of(ps, name)};
    if (p->root == NULL) {
        return false;
    }
    p->modulepath = mem_array(PROJECT_PATHS_MAX, sizeof *p->modulepath);
    p->code.modulepath = &p->root;
    p->code.modulepath_count = 1;
    char *path = ps_join(p->root, "bolt-project.yaml");
    struct buf text = BUF_INIT;
    bool good = !ps_is_file(w, path) || world_file_read(w, path, PROJECT_CONFIG_MAX, &text, err);
    good = good && read_config(p, buf_span(&text), path, err);
    buf_free(&text);
    mem_free(path);
    if (!good) {
        ps_project_close(p);
    }
    return good;
}

void ps_project_close(struct ps_project *p) {
    for (size_t i = 0; i < p->modulepath_count; i++) {
        mem_free(p->modulepath[i]);
    }
    mem_free(p->modulepath);
    mem_free(p->root);
    mem_free(p->name);
    *p = (struct ps_project){0};
}

/* ---- files */

/* The directory of a module; NULL: none. */
static char *module_of(struct world *w, const struct ps_project *p, const char *module) {
    if (str_eq(p->name, module)) {
        return str_dup(p->root);
    }
    for (size_t i = 0; i < p->modulepath_count; i++) {
        char *dir = ps_join(p->modulepath[i], module);
        if (ps_is_dir(w, dir)) {
            return dir;
        }
        mem_free(dir);
    }
    return NULL;
}

/* "lib" or "facts.d" of the project itself and of all modules, those further ahead in the module path first. */
static char **plugin_dirs(struct world *w, const struct ps_project *p, const char *sub, size_t *count) {
    char **dirs = NULL;
    size_t cap = 0;
    *count = 0;
    for (size_t i = 0; i < p->modulepath_count + 1; i++) {
        char **names = NULL;
        size_t n = 0;
        bool own = i == 0; /* the project */
        if (!own) {
            world_file_list(w, p->modulepath[i - 1], &names, &n, NULL);
        }
        for (size_t k = 0; k < (own ? (p->name != NULL ? 1 : 0) : n); k++) {
            char *path = own ? ps_join(p->root, sub) : str_printf("%s/%s/%s", p->modulepath[i - 1], names[k], sub);
            if (ps_is_dir(w, path) && ps_path_in_code(w, &p->code, path)) {
                dirs = mem_grow(dirs, &cap, *count + 1, sizeof *dirs);
                dirs[(*count)++] = path;
            } else {
                mem_free(path);
            }
        }
        world_names_free(names, n);
    }
    return dirs;
}

/* Where a request's path leads: MOUNT/MODULE/FILE, or a mount of plugins and a path in them. */
struct place {
    char *module, *file; /* module NULL: plugins */
    const char *dir;
};

static void place_clear(struct place *at) {
    mem_free(at->module);
    mem_free(at->file);
}

static bool place_of(const char *served, struct place *at) {
    static const struct {
        const char *mount, *dir;
        bool plugins;
    } mounts[] = {{"modules", "files", false},
                  {"scripts", "scripts", false},
                  {"tasks", "tasks", false},
                  {"plugins", "lib", true},
                  {"pluginfacts", "facts.d", true}};
    struct span rest = span_of(served), mount = {0}, module = {0};
    *at = (struct place){0};
    span_split(&rest, '/', &mount);
    for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
        if (!span_eq_cstr(mount, mounts[i].mount)) {
            continue;
        }
        at->dir = mounts[i].dir;
        if (!mounts[i].plugins) {
            span_split(&rest, '/', &module);
            at->module = span_dup(module);
        }
        at->file = span_dup(rest);
        if (mounts[i].plugins || (module.len > 0 && rest.len > 0)) {
            return true;
        }
        place_clear(at);
    }
    return false;
}

/* The path on disk, mem_free() it; NULL: there is no such file. */
static char *find_file(struct world *w, const struct ps_project *p, const struct place *at) {
    size_t count = 0;
    char **dirs = NULL, *found = NULL;
    if (at->module == NULL) {
        dirs = plugin_dirs(w, p, at->dir, &count);
    } else {
        char *module_dir = module_of(w, p, at->module);
        dirs = mem_array(1, sizeof *dirs);
        if (module_dir != NULL) {
            dirs[count++] = ps_join(module_dir, at->dir);
        }
        mem_free(module_dir);
    }
    bool whole = at->module == NULL && *at->file == '\0'; /* the first of the directories */
    for (size_t i = 0; i < count && found == NULL && (whole || ps_path_confined(at->file)); i++) {
        found = whole ? str_dup(dirs[i]) : ps_join(dirs[i], at->file);
        struct world_stat st;
        if (!world_file_stat(w, found, &st, NULL) || !ps_path_in_code(w, &p->code, found)) {
            mem_free(found);
            found = NULL;
        }
    }
    world_names_free(dirs, count);
    return found;
}

/* The server's Java side answers without Puppet's headers. */
static void __attribute__((format(printf, 3, 4))) plainly(struct ps_request *r, int status, const char *format, ...) {
    struct buf text = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    http_respond(r->ex, status, "text/plain", buf_span(&text));
    buf_free(&text);
}

static void broken(struct ps_request *r, struct error *err) {
    ps_plain(r, 500, "text/plain;charset=utf-8", "Internal Server Error: %s", err->msg);
    error_clear(err);
}

static void send_file(struct ps_request *r, const char *path, const char *asked) {
    struct world *w = r->ps->base.world;
    struct buf bytes = BUF_INIT;
    struct world_stat st = {0};
    struct error err = ERROR_INIT;
    if (path == NULL) {
        plainly(r, 404, "Could not find file_content for path: %s", asked);
    } else if (world_file_stat(w, path, &st, &err) &&
               (st.is_dir || world_file_read(w, path, PS_FILE_MAX, &bytes, &err))) {
        char date[TIME_TEXT_LEN];
        time_format_http(st.modified_ms, date);
        if (!st.is_dir) {
            http_set_header(r->ex, "Last-Modified", date);
        }
        http_set_header(r->ex, "Vary", "Accept-Encoding, User-Agent");
        http_respond(r->ex, 200, "application/octet-stream", buf_span(&bytes));
    } else {
        broken(r, &err);
    }
    buf_free(&bytes);
}

/* False after answering. */
static bool read_place(struct ps_request *r, struct place *at) {
    if (!place_of(r->params[0], at)) {
        ps_html_not_found(r->ex, http_request(r->ex)->path);
        return false;
    }
    return true;
}

void ps_project_content(struct ps_request *r, const char *name) {
    struct ps_project p;
    struct place at;
    struct error err = ERROR_INIT;
    if (!read_place(r, &at)) {
        return;
    }
    if (ps_project_open(r->ps, name, &p, &err)) {
        char *path = find_file(r->ps->base.world, &p, &at);
        send_file(r, path, at.file);
        mem_free(path);
        ps_project_close(&p);
    } else if (error_is_set(&err)) {
        broken(r, &err);
    } else {
        send_file(r, NULL, at.file);
    }
    place_clear(&at);
}

/* ---- metadata */

/* The server has its own check wrong: it refuses these whatever they are. False after answering 400. */
static bool supported(struct ps_request *r) {
    static const char *const only[][2] = {
        {"recurse", "true"}, {"links", "follow"}, {"source_permissions", "ignore"}, {"recurselimit", "infinite"}};
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < sizeof only / sizeof only[0]; i++) {
        if (http_query(r->ex, only[i][0]) != NULL) {
            buf_printf(&b, "\nThe only supported value of `%s` at this time is `%s`", only[i][0], only[i][1]);
        }
    }
    bool good = b.len == 0;
    if (!good) {
        plainly(r, 400, "Not all parameter values are supported in this implementation: %s", b.ptr);
    }
    buf_free(&b);
    return good;
}

static json_t *plugins_of(struct ps_request *r, const struct ps_project *p, const char *sub, struct error *err) {
    const char *checksum = http_query(r->ex, "checksum_type");
    struct ps_wish wish = {
        .links = PS_LINKS_FOLLOW, .of_project = true, .checksum = checksum != NULL ? checksum : "sha256"};
    if (strcmp(wish.checksum, "sha256") != 0 && strcmp(wish.checksum, "md5") != 0) {
        error_set(err, "project", "No matching clause: %s", wish.checksum);
        return NULL;
    }
    size_t count;
    char **dirs = plugin_dirs(r->ps->base.world, p, sub, &count);
    json_t *all = ps_search(r, &p->code, &wish, true, dirs, count, err);
    world_names_free(dirs, count);
    return all;
}

static void send_list(struct ps_request *r, json_t *all) {
    struct buf b = BUF_INIT;
    json_t *null = json_null();
    json_write(&b, all != NULL ? all : null);
    json_decref(all);
    http_set_header(r->ex, "Vary", "Accept-Encoding, User-Agent");
    http_respond(r->ex, 200, "application/json;charset=utf-8", buf_span(&b));
    buf_free(&b);
}

void ps_project_metadatas(struct ps_request *r, const char *name) {
    struct ps_project p;
    struct place at;
    struct error err = ERROR_INIT;
    if (!read_place(r, &at)) {
        return;
    }
    if (at.module != NULL) {
        struct span rest = span_of(r->params[0]), mount = {0};
        span_split(&rest, '/', &mount);
        plainly(r, 400, "Unsupported mount: %.*s", (int)mount.len, mount.ptr);
    } else if (supported(r)) {
        json_t *all = NULL;
        if (ps_project_open(r->ps, name, &p, &err)) {
            all = plugins_of(r, &p, at.dir, &err);
            ps_project_close(&p);
        }
        if (error_is_set(&err)) {
            broken(r, &err);
        } else {
            send_list(r, all);
        }
    }
    place_clear(&at);
}

bool ps_project_asked(struct ps_request *r, const char *what, void (*answer)(struct ps_request *r, const char *name)) {
    const char *name = http_query(r->ex, "versioned_project");
    if (name == NULL) {
        return false;
    }
    if (http_query(r->ex, "environment") != NULL) {
        plainly(r, 400, "A %s request cannot specify both `environment` and `versioned_project` query parameters.",
                what);
    } else {
        answer(r, name);
    }
    return true;
}
