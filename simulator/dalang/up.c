/* dalang up: a whole local stack in one process, until SIGINT or SIGTERM. */
#include "base/json.h"
#include "base/mem.h"
#include "simulator/dalang/commands.h"
#include "simulator/dalang/control.h"
#include "simulator/dalang/detached.h"
#include "simulator/dalang/surroundings.h"
#include "simulator/stack/local.h"
#include "world/real.h"
#include "world/real_log.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHILD_AGENTS_MAX = 9000, CHILD_AGENTS_WORTH = 1000, CHILDREN_MAX = 32 };
enum { UP_OPTIONS = 32, DEFAULT_AGENTS = 10, READY_CHECK_MS = 2, DESCRIPTORS_ELSE = 200 };

struct up_args {
    bool json, detach, wait, down, private_storage;
    uint64_t agents, real_agents, port_base, brokers, seed, task_concurrency, compiles;
    const char *port_base_text, *dir, *modules, *listen, *behaviour, *state, *name, *log_level;
    const char *puppetdb, *puppetserver, *rbac, *classifier;
    uint64_t timeout_ms;
};

struct up {
    struct up_args args;
    const struct command_line *cl;
    struct world *world;
    struct local *local;
    struct control *control; /* faults that others ask for */
    char *dir;
    bool own_dir; /* a temporary one, removed at the end */
    struct timer timer;
    uint64_t begun_us;
    bool ready, stopping, failed;
    struct error err;
    struct world_process *children[CHILDREN_MAX]; /* fleets of more agents; NULL: has ended */
    size_t child_count, children_running;
    char *paths[4]; /* modules and programs: borrowed by the parts */
    char *kill_command;
    char *storage; /* of virtual agents; NULL: memory */
    int claim;     /* keeps the directory ours; -1: not taken */
};

static const struct command_line *up_line(struct up_args *a) {
    static struct up_args unused;
    static struct option table[UP_OPTIONS];
    static struct command_line cl = {
        "dalang up", "[OPTIONS]", "bring up a whole local stack",
        "Brings up PuppetDB, RBAC, classifier and Puppet Server (fakes that answer as the real ones), a PCP broker, "
        "the\n"
        "orchestrator and agents, in one process, until Ctrl-C or SIGTERM. The printed DALANG_DIR makes puppet-task,\n"
        "puppet-job and the others use it.",
        table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] = (struct option){OPTION_UINT,
                                 "agents",
                                 'n',
                                 "N",
                                 "Virtual agents: real agent cores with made-up programs; 10 without this option.",
                                 &a->agents};
    table[n++] = (struct option){
        OPTION_UINT, "real-agents", 0, "N", "Agents that really execute tasks on this machine.", &a->real_agents};
    table[n++] =
        (struct option){OPTION_STRING,
                        "port-base",
                        'p',
                        "N",
                        "Ports N (broker), N+1 (orchestrator), N+2 (RBAC, classifier), N+3 (PuppetDB), N+4 (Puppet "
                        "Server) instead of the product's; 0: free ones.",
                        &a->port_base_text};
    table[n++] = (struct option){
        OPTION_STRING, "listen", 0, "ADDRESS", "Address to listen on; 127.0.0.1 without this option.", &a->listen};
    table[n++] =
        (struct option){OPTION_STRING,
                        "dir",
                        'd',
                        "DIR",
                        "Keeps certificates, tokens, database and logs; a temporary directory without this option.",
                        &a->dir};
    table[n++] = (struct option){
        OPTION_STRING,
        "modules",
        'm',
        "DIR",
        "Directory of modules served as environment production, edited live; a small set of ours without "
        "this option.",
        &a->modules};
    table[n++] = (struct option){
        OPTION_STRING, "state", 0, "FILE", "JSON with users, groups, nodes … for the fakes to start with.", &a->state};
    table[n++] = (struct option){
        OPTION_STRING, "behaviour", 'b', "FILE", "JSON that says what virtual agents do (tasks, puppet_run).",
        &a->behaviour};
    table[n++] = (struct option){
        OPTION_STRING, "agent-name", 0, "FORMAT", "Names of the virtual agents; \"node-{n:04}.example.com\".",
        &a->name};
    table[n++] =
        (struct option){OPTION_FLAG,
                        "private-storage",
                        0,
                        NULL,
                        "Each virtual agent keeps its own files below DIR/virtual, synced to disk, and makes its "
                        "own downloads; else they share memory.",
                        &a->private_storage};
    table[n++] = (struct option){OPTION_UINT, "brokers", 0, "N", "PCP brokers; 1 without this option.", &a->brokers};
    table[n++] = (struct option){
        OPTION_UINT, "task-concurrency", 0, "N", "Nodes that run tasks at a time; 250.", &a->task_concurrency};
    table[n++] =
        (struct option){OPTION_UINT, "compiles", 0, "N", "Puppet runs at a time; 0 (unlimited).", &a->compiles};
    table[n++] = (struct option){OPTION_UINT, "seed", 0, "N", "Of the virtual agents' choices; 1.", &a->seed};
    table[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "Real services instead of the fakes", NULL};
    table[n++] = (struct option){OPTION_STRING, "puppetdb", 0, "URL", "A real PuppetDB.", &a->puppetdb};
    table[n++] = (struct option){OPTION_STRING, "puppetserver", 0, "URL", "A real Puppet Server.", &a->puppetserver};
    table[n++] = (struct option){OPTION_STRING, "rbac", 0, "URL", "A real RBAC service (…/rbac-api).", &a->rbac};
    table[n++] =
        (struct option){OPTION_STRING, "classifier", 0, "URL", "A real classifier (…/classifier-api).", &a->classifier};
    table[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "Output", NULL};
    table[n++] =
        (struct option){OPTION_FLAG, "json", 0, NULL, "Print one line of JSON when everything is ready.", &a->json};
    table[n++] = (struct option){
        OPTION_STRING, "log-level", 0, "LEVEL", "Of DIR/logs/dalang.log: trace, debug, info (default), warn, error.",
        &a->log_level};
    table[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "In the background (with --dir)", NULL};
    table[n++] = (struct option){OPTION_FLAG, "detach", 0, NULL, "Return once it is ready; it runs on until --down.",
                                 &a->detach};
    table[n++] =
        (struct option){OPTION_FLAG, "wait", 0, NULL, "Only wait until the stack of --dir is ready.", &a->wait};
    table[n++] = (struct option){OPTION_FLAG, "down", 0, NULL, "End the stack of --dir.", &a->down};
    table[n++] = (struct option){OPTION_DURATION, "timeout", 0, "TIME", "Give up when it is not ready by then; 60s.",
                                 &a->timeout_ms};
    table[n] = (struct option)OPTION_END;
    return &cl;
}

void up_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    each(ctx, up_line(NULL));
}

/* ---- until it is ready, and after */

static void print_ready(struct up *u) {
    json_t *line = local_describe(u->local);
    char *text = json_text(line);
    detached_publish(u->dir, text, NULL); /* a full disk: --wait does not find it, the stack works all the same */
    if (u->args.json) {
        printf("%s\n", text);
    } else {
        printf("%-13s %s\n%-13s %s\n%-13s %s\n%-13s %s\n%-13s %s\n", "orchestrator", json_str(line, "orchestrator"),
               "broker", json_str(line, "broker"), "RBAC", json_str(line, "rbac"), "PuppetDB",
               json_str(line, "puppetdb"), "Puppet Server", json_str(line, "puppetserver"));
        printf("%-13s %lld connected, after %llu ms\n\n", "agents", (long long)json_int(line, "agents", 0),
               (unsigned long long)((world_now_us(u->world) - u->begun_us) / 1000));
        printf("  export DALANG_DIR=%s\n  puppet-task run echo message=hello --query 'nodes[certname]{}'\n\n", u->dir);
        printf("Ctrl-C stops it.\n");
    }
    fflush(stdout);
    mem_free(text);
    json_decref(line);
}

/* ---- more agents than one process holds: fleets in child processes, which end with this one */

static void stop(struct up *u);

static void end_stack(struct up *u);

static void on_child_exit(void *ctx, const struct world_exit *e) {
    struct up *u = ctx;
    u->children_running--;
    if (!u->stopping) {
        u->failed = true;
        error_set(&u->err, "fleet", "a process with virtual agents ended (%s %d; see %s/logs)",
                  e->signal != 0 ? "signal" : "status", e->signal != 0 ? e->signal : e->status, u->dir);
        stop(u);
    } else if (u->children_running == 0) {
        end_stack(u);
    }
}

static void add_argument(struct option_list *argv, const char *word) {
    argv->items = mem_realloc(argv->items, (argv->count + 2) * sizeof(*argv->items));
    argv->items[argv->count++] = word;
    argv->items[argv->count] = NULL;
}

static void add_pair(struct option_list *argv, const char *option, const char *value) {
    if (value != NULL) {
        add_argument(argv, option);
        add_argument(argv, value);
    }
}

static void start_child(struct up *u, uint64_t first, uint64_t count) {
    json_t *line = local_describe(u->local);
    struct option_list argv = {NULL, 0};
    char *program = program_path("dalang");
    char *log = str_printf("%s/logs/fleet-%llu.log", u->dir, (unsigned long long)first);
    char number[2][24], *brokers[STACK_BROKERS_MAX] = {NULL};
    snprintf(number[0], sizeof(number[0]), "%llu", (unsigned long long)first);
    snprintf(number[1], sizeof(number[1]), "%llu", (unsigned long long)count);
    char *key = str_printf("%s/ca.key", u->dir);
    add_argument(&argv, program);
    add_argument(&argv, "fleet");
    add_argument(&argv, "--die-with-parent");
    for (size_t i = 0; i < (u->args.brokers != 0 ? u->args.brokers : 1); i++) {
        char name[32];
        snprintf(name, sizeof(name), "broker-%zu", i + 1);
        brokers[i] = str_printf("%s/pcp2/", stack_url(local_stack(u->local), name));
        add_pair(&argv, "--broker", brokers[i]);
    }
    add_pair(&argv, "--ca", json_str(line, "ca"));
    add_pair(&argv, "--ca-key", key);
    add_pair(&argv, "--cert", json_str(line, "cert"));
    add_pair(&argv, "--key", json_str(line, "key"));
    add_pair(&argv, "--primary", json_str(line, "puppetserver"));
    add_pair(&argv, "--puppetdb", json_str(line, "puppetdb"));
    add_pair(&argv, "--first", number[0]);
    add_pair(&argv, "--agents", number[1]);
    add_pair(&argv, "--name", u->args.name);
    add_pair(&argv, "--behaviour", u->args.behaviour);
    add_pair(&argv, "--private-storage", u->storage);
    struct world_spawn opts = {.argv = argv.items, .stdout_path = log, .stderr_path = log, .umask = -1};
    u->children[u->child_count++] = world_spawn(u->world, &opts, on_child_exit, u);
    u->children_running++;
    for (size_t i = 0; i < STACK_BROKERS_MAX; i++) {
        mem_free(brokers[i]);
    }
    mem_free(program);
    mem_free(log);
    mem_free(key);
    option_list_free(&argv);
    json_decref(line);
}

/* As many as there are cores, where that gives each something to do: in one process the agents stand in a row. */
static void start_children(struct up *u) {
    if (u->args.agents <= LOCAL_AGENTS_MAX) {
        return;
    }
    uint64_t left = u->args.agents - LOCAL_AGENTS_MAX, first = LOCAL_AGENTS_MAX + 1;
    uint64_t cores = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN), worth = left / CHILD_AGENTS_WORTH;
    uint64_t needed = (left + CHILD_AGENTS_MAX - 1) / CHILD_AGENTS_MAX, children = worth < cores ? worth : cores;
    children = children < needed ? needed : children < CHILDREN_MAX ? children : CHILDREN_MAX;
    for (; children > 0; children--) {
        uint64_t count = left / children;
        start_child(u, first, count);
        first += count;
        left -= count;
    }
}

static void stop_children(struct up *u) {
    for (size_t i = 0; i < u->child_count; i++) {
        world_pid_signal(u->world, world_process_pid(u->children[i]), SIGTERM, false);
    }
}

static void on_stopped(void *ctx) {
    struct up *u = ctx;
    u->local = NULL;
    real_world_stop(u->world);
}

static void stop(struct up *u) {
    if (!u->stopping) {
        u->stopping = true;
        world_timer_stop(u->world, &u->timer);
        if (u->children_running > 0) {
            stop_children(u);
        } else {
            end_stack(u);
        }
    }
}

static void end_stack(struct up *u) {
    control_free(u->control);
    u->control = NULL;
    local_stop(u->local, on_stopped, u);
}

static void on_signal(void *ctx) {
    stop(ctx);
}

static void check_ready(void *ctx) {
    struct up *u = ctx;
    if (local_trouble(u->local) != NULL) {
        u->failed = true;
        error_set(&u->err, "puppetdb", "the nodes' facts were not taken: %s", local_trouble(u->local));
        stop(u);
        return;
    }
    if (local_ready(u->local)) {
        u->ready = true;
        print_ready(u);
        return;
    }
    if ((world_now_us(u->world) - u->begun_us) / 1000 > u->args.timeout_ms) {
        u->failed = true;
        error_set(&u->err, "timeout",
                  "not ready after %llu s: %zu of %llu agents are connected (see %s/logs/dalang.log)",
                  (unsigned long long)(u->args.timeout_ms / 1000), stack_connected_agents(local_stack(u->local)),
                  (unsigned long long)(u->args.agents + u->args.real_agents), u->dir);
        stop(u);
        return;
    }
    world_timer_start(u->world, &u->timer, READY_CHECK_MS, check_ready, u);
}

/* ---- what the command line says */

static bool read_json_file(struct up *u, const char *path, json_t **out, struct error *err) {
    struct buf text = BUF_INIT;
    *out = NULL;
    if (path == NULL) {
        return true;
    }
    if (!world_file_read(u->world, path, 256 * 1024 * 1024, &text, err)) {
        return false;
    }
    *out = json_parse(buf_span(&text), "usage", err);
    buf_free(&text);
    if (*out == NULL) {
        return error_prefix(err, "%s", path);
    }
    return json_is_object(*out) || error_set(err, "usage", "%s: must be a JSON object", path);
}

static bool read_ports(struct up_args *a, struct error *err) {
    a->port_base = STACK_PRODUCT_PORTS;
    if (a->port_base_text == NULL) {
        return true;
    }
    return (span_to_u64(span_of(a->port_base_text), &a->port_base) && a->port_base + STACK_PORTS <= 65535) ||
           error_set(err, "usage", "--port-base must be a port, with %d more above it", STACK_PORTS);
}

/* What ends a run by force: the real agents' spools are not where an installed agent has its own. */
static char *make_kill_command(const char *dir) {
    struct buf quoted = BUF_INIT;
    for (; *dir != '\0'; dir++) {
        buf_append_cstr(&quoted, *dir == '\'' ? "'\\''" : (char[2]){*dir, '\0'});
    }
    char *command =
        str_printf("for f in '%s'/agents/*/spool/@ID@/pid; do p=$(cat \"$f\") && kill -s KILL -- \"-$p\" && "
                   "exit 0; done; exit 1",
                   quoted.len > 0 ? quoted.ptr : "");
    buf_free(&quoted);
    return command;
}

static void configure(void *ctx, struct orchestrator_config *config) {
    const struct up *u = ctx;
    config->kill_command = u->kill_command;
    config->global_concurrent_compiles = (uint32_t)u->args.compiles;
    if (u->args.task_concurrency != 0) {
        config->task_concurrency = (uint32_t)u->args.task_concurrency;
    }
}

/* Each agent costs the broker a descriptor, and one more where the agent lives. */
static bool check_agents(const struct up_args *a, struct error *err) {
    uint64_t here = a->agents < LOCAL_AGENTS_MAX ? a->agents : LOCAL_AGENTS_MAX;
    if (a->agents > LOCAL_AGENTS_MAX + (uint64_t)CHILDREN_MAX * CHILD_AGENTS_MAX) {
        return error_set(err, "usage", "at most %d agents", LOCAL_AGENTS_MAX + CHILDREN_MAX * CHILD_AGENTS_MAX);
    }
    return enough_descriptors(a->agents + here + DESCRIPTORS_ELSE, err);
}

static bool make_dir(struct up *u, struct error *err) {
    u->own_dir = u->args.dir == NULL;
    u->dir = u->own_dir ? temporary_directory(err) : absolute_path(u->args.dir);
    if (u->dir == NULL) {
        return false;
    }
    char *logs = str_printf("%s/logs", u->dir);
    bool ok = world_file_mkdir(u->world, u->dir, 0700, true, err) && world_file_mkdir(u->world, logs, 0700, true, err);
    mem_free(logs);
    return ok;
}

static bool start(struct up *u, const struct logger *log, struct error *err) {
    json_t *state = NULL, *behaviour = NULL;
    char *modules = u->args.modules != NULL ? absolute_path(u->args.modules) : shared_path("modules");
    char *exec = program_path("dalang-exec"), *module = program_path("pxp-module-puppet");
    char *puppet = program_path("dalang-puppet");
    u->kill_command = make_kill_command(u->dir);
    u->storage = u->args.private_storage ? str_printf("%s/virtual", u->dir) : NULL;
    struct world_stat st;
    bool ok = (world_file_stat(u->world, modules, &st, err) &&
               (st.is_dir || error_set(err, "world/io", "%s is no directory", modules))) &&
              read_json_file(u, u->args.state, &state, err) && read_json_file(u, u->args.behaviour, &behaviour, err);
    if (ok) {
        struct local_opts opts = {
            .world = u->world,
            .dir = u->dir,
            .modules = modules,
            .listen_host = u->args.listen,
            .port_base = (uint32_t)u->args.port_base,
            .brokers = (size_t)u->args.brokers,
            .agents = (uint32_t)(u->args.agents < LOCAL_AGENTS_MAX ? u->args.agents : LOCAL_AGENTS_MAX),
            .elsewhere = (uint32_t)(u->args.agents > LOCAL_AGENTS_MAX ? u->args.agents - LOCAL_AGENTS_MAX : 0),
            .real_agents = (uint32_t)u->args.real_agents,
            .name_format = u->args.name,
            .storage = u->storage,
            .exec_path = exec,
            .puppet_module = module,
            .puppet_bin = puppet,
            .environment = (const char *const *)environ,
            .behaviours = behaviour,
            .state = state,
            .seed = u->args.seed,
            .faults = true,
            .puppetdb_url = u->args.puppetdb,
            .puppetserver_url = u->args.puppetserver,
            .rbac_url = u->args.rbac,
            .classifier_url = u->args.classifier,
            .configure_orchestrator = configure,
            .configure_ctx = u,
            .log = log,
        };
        u->local = local_new(&opts, err);
        ok = u->local != NULL;
    }
    json_decref(state);
    json_decref(behaviour);
    u->paths[0] = modules;
    u->paths[1] = exec;
    u->paths[2] = module;
    u->paths[3] = puppet;
    return ok;
}

static int run(struct up *u) {
    struct error err = ERROR_INIT;
    struct logger log = {.name = "dalang", .level = LOG_INFO};
    struct real_log *sink = NULL;
    u->world = real_world_new(&err);
    bool ok = u->world != NULL && real_keylog(u->world, getenv("SSLKEYLOGFILE"), &err) && read_ports(&u->args, &err) &&
              (u->args.log_level == NULL || log_level_parse(u->args.log_level, &log.level) ||
               error_set(&err, "usage", "--log-level is trace, debug, info, warn or error")) &&
              check_agents(&u->args, &err) && make_dir(u, &err) && (u->claim = detached_claim(u->dir, &err)) >= 0;
    if (ok) {
        char *path = str_printf("%s/logs/dalang.log", u->dir);
        sink = real_log_open(path, false, &err);
        mem_free(path);
        ok = sink != NULL;
    }
    if (ok) {
        log.write = real_log_write;
        log.ctx = sink;
        u->begun_us = world_now_us(u->world);
        real_signal(u->world, SIGINT, on_signal, u);
        real_signal(u->world, SIGTERM, on_signal, u);
        ok = start(u, &log, &err);
    }
    if (ok) {
        u->control = control_new(u->world, u->local, u->dir, &err);
        ok = u->control != NULL;
        if (!ok) {
            local_free(u->local);
        }
    }
    if (ok) {
        start_children(u);
        world_timer_start(u->world, &u->timer, READY_CHECK_MS, check_ready, u);
        real_world_run(u->world);
    }
    detached_release(u->dir, u->claim);
    if (u->own_dir && u->dir != NULL) {
        world_file_remove(u->world, u->dir, true, NULL);
    }
    if (u->world != NULL) {
        real_world_free(u->world);
    }
    real_log_close(sink);
    for (size_t i = 0; i < 4; i++) {
        mem_free(u->paths[i]);
    }
    mem_free(u->kill_command);
    mem_free(u->storage);
    mem_free(u->dir);
    if (ok && u->failed) {
        fprintf(stderr, "dalang up: %s\n", u->err.msg);
        error_clear(&u->err);
        return DALANG_FAILED;
    }
    return ok ? DALANG_OK : dalang_trouble(u->cl, &err);
}

/* ---- in the background */

static int failed_with(struct error *err) {
    bool usage = error_is(err, "usage");
    fprintf(stderr, "%s%s\n", error_is(err, "ended") ? "" : "dalang up: ", err->msg);
    error_clear(err);
    return usage ? DALANG_USAGE : DALANG_FAILED;
}

static int wait_for(const struct up_args *a, const char *dir, int64_t child) {
    struct error err = ERROR_INIT;
    char *line = NULL;
    if (!detached_wait(dir, a->timeout_ms, child, &line, &err)) {
        return failed_with(&err);
    }
    if (a->json) {
        fputs(line, stdout);
    } else {
        printf("ready; use it with: export DALANG_DIR=%s\n", dir);
    }
    mem_free(line);
    return DALANG_OK;
}

static int run_in_background(struct up *u) {
    struct error err = ERROR_INIT;
    if (u->args.dir == NULL || u->args.detach + u->args.wait + u->args.down > 1) {
        error_set(&err, "usage",
                  u->args.dir == NULL ? "--detach, --wait and --down need --dir"
                                      : "--detach, --wait and --down exclude each other");
        return failed_with(&err);
    }
    char *dir = absolute_path(u->args.dir);
    int code = DALANG_OK;
    if (u->args.down) {
        code = detached_down(dir, u->args.timeout_ms, &err) ? DALANG_OK : failed_with(&err);
    } else if (u->args.wait) {
        code = wait_for(&u->args, dir, 0);
    } else {
        int64_t child = detached_fork(dir, &err);
        code = child < 0 ? dalang_trouble(u->cl, &err) : child == 0 ? run(u) : wait_for(&u->args, dir, child);
    }
    mem_free(dir);
    return code;
}

int up_command(int argc, char *const argv[]) {
    struct up u = {.args = {.agents = DEFAULT_AGENTS, .seed = 1, .timeout_ms = 60000}, .claim = -1};
    int code = DALANG_OK;
    u.cl = up_line(&u.args);
    if (dalang_parse_only(u.cl, argc, argv, &code)) {
        if (u.args.detach || u.args.wait || u.args.down) {
            code = run_in_background(&u);
        } else {
            code = run(&u);
        }
    }
    return code;
}
