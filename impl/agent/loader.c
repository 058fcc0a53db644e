/* Loading external modules at the start: every file without an extension in the modules directory is asked for its
 * metadata (agent.md §9). One at a time; a module that fails is left out. */
#include "agent/core.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

enum {
    METADATA_TIMEOUT_MS = 60000,
    METADATA_MAX = 1 << 20, /* bytes */
    CONFIGURATION_MAX = 1 << 20,
};

struct loader {
    struct agent *agent;
    void (*loaded)(struct agent *a);
    char **names;
    size_t count, next;
    char *path;
    struct world_process *child;
    struct timer timer;
    struct buf out, err;
};

static void load_next(void *ctx);

/* NULL: no file. The reference reads a broken file as null. */
static json_t *configuration_of(struct agent *a, const char *name) {
    if (a->config->modules_config_dir == NULL) {
        return NULL;
    }
    char *path = str_printf("%s/%s.conf", a->config->modules_config_dir, name);
    struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;
    json_t *configuration = NULL;
    if (world_file_read(a->world, path, CONFIGURATION_MAX, &text, &err)) {
        configuration = json_parse(buf_span(&text), "agent/configuration", NULL);
        if (configuration == NULL) {
            log_warn(a->log, "Cannot load module config file '%s': invalid JSON", path);
            configuration = json_null();
        }
    } else if (!error_is(&err, "world/not-found")) {
        log_warn(a->log, "Cannot load module config file '%s': %s", path, err.msg);
    }
    error_clear(&err);
    buf_free(&text);
    mem_free(path);
    return configuration;
}

static void add(struct loader *l, const struct world_exit *e) {
    struct agent *a = l->agent;
    const char *name = l->names[l->next - 1];
    if (!e->started) {
        log_error(a->log, "Failed to load the module '%s': %s", name, e->error_text);
        return;
    }
    if (l->err.len > 0) {
        log_error(a->log, "Failed to load the module '%s': its metadata action printed on stderr: %.*s", name,
                  (int)l->err.len, l->err.ptr);
        return;
    }
    json_t *configuration = configuration_of(a, name);
    struct error err = ERROR_INIT;
    if (agent_modules_add(a->modules, name, l->path, buf_span(&l->out), configuration, &err)) {
        log_info(a->log, "Loaded the external module '%s'", name);
    } else {
        log_error(a->log, "Failed to load the module '%s': %s", name, err.msg);
        error_clear(&err);
    }
    json_decref(configuration);
}

static void on_output(void *ctx, int stream, struct span bytes) {
    struct loader *l = ctx;
    struct buf *to = stream == 1 ? &l->out : &l->err;
    buf_append_span(to, span_sub(bytes, 0, METADATA_MAX - to->len));
}

static void ended(void *ctx, const struct world_exit *e) {
    struct loader *l = ctx;
    l->child = NULL;
    world_timer_stop(l->agent->world, &l->timer);
    add(l, e);
    load_next(l);
}

static void too_slow(void *ctx) {
    struct loader *l = ctx;
    log_error(l->agent->log, "The module '%s' does not print its metadata; giving it up", l->names[l->next - 1]);
    world_pid_signal(l->agent->world, world_process_pid(l->child), 9, true);
    world_process_forget(l->child);
    l->child = NULL;
    load_next(l);
}

static void ask(struct loader *l) {
    struct agent *a = l->agent;
    buf_clear(&l->out);
    buf_clear(&l->err);
    struct world_spawn spawn = {
        .argv = (const char *const[]){a->config->exec_wrapper, "--", l->path, "metadata", NULL},
        .env = a->config->environment,
        .on_output = on_output,
        .new_session = true,
        .umask = -1,
    };
    world_timer_start(a->world, &l->timer, METADATA_TIMEOUT_MS, too_slow, l);
    l->child = world_spawn(a->world, &spawn, ended, l);
}

static void loader_free(struct loader *l) {
    world_timer_stop(l->agent->world, &l->timer);
    if (l->child != NULL) {
        world_pid_signal(l->agent->world, world_process_pid(l->child), 9, true);
        world_process_forget(l->child);
    }
    world_names_free(l->names, l->count);
    buf_free(&l->out);
    buf_free(&l->err);
    mem_free(l->path);
    l->agent->loader = NULL;
    mem_free(l);
}

static void load_next(void *ctx) {
    struct loader *l = ctx;
    struct agent *a = l->agent;
    while (l->next < l->count) {
        const char *name = l->names[l->next++];
        struct world_stat st;
        mem_free(l->path);
        l->path = str_printf("%s/%s", a->config->modules_dir, name);
        if (strchr(name, '.') == NULL && world_file_stat(a->world, l->path, &st, NULL) && st.is_file) {
            ask(l);
            return;
        }
    }
    void (*loaded)(struct agent *) = l->loaded;
    loader_free(l);
    loaded(a);
}

void external_load(struct agent *a, void (*loaded)(struct agent *a)) {
    struct error err = ERROR_INIT;
    struct loader *l = mem_zalloc(sizeof *l);
    l->agent = a;
    l->loaded = loaded;
    a->loader = l;
    if (a->config->modules_dir != NULL &&
        !world_file_list(a->world, a->config->modules_dir, &l->names, &l->count, &err)) {
        log_warn(a->log, "Failed to read the modules directory: %s", err.msg);
        error_clear(&err);
    }
    load_next(l);
}

void external_stop(struct agent *a) {
    if (a->loader != NULL) {
        loader_free(a->loader);
    }
}
