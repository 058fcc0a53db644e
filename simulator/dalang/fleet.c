/* dalang fleet: virtual agents over real TLS connections against any PCP broker. */
#include "base/json.h"
#include "base/mem.h"
#include "simulator/dalang/commands.h"
#include "simulator/dalang/fleet_command.h"
#include "simulator/dalang/fleet_ranks.h"
#include "simulator/dalang/fleet_watch.h"
#include "world/real.h"
#include "world/real_log.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { TALLY_LOOK_MS = 100, TALLY_LINE_LOOKS = 10 };

struct fleet_run {
    struct fleet_args args;
    const struct command_line *cl;
    int argc;
    char *const *argv;
    struct world *world;
    struct roster roster;
    struct fleet_here *here;
    struct fleet_children *children;
    struct fleet_ranks *ranks;
    struct fleet_source source;
    struct fleet_watch *watch; /* NULL in a child and in ranks other than 0 */
    bool is_rank;
    struct timer end, line;
    uint32_t looks;
    uint64_t told_connected;
    bool stopping;
    struct error failure; /* of a child */
};

/* ---- the end */

static void on_stopped(void *ctx) {
    real_world_stop(((struct fleet_run *)ctx)->world);
}

static void stop_now(void *ctx) {
    struct fleet_run *r = ctx;
    if (!r->stopping) {
        r->stopping = true;
        if (r->watch != NULL) {
            fleet_watch_before_end(r->watch);
        }
        world_timer_stop(r->world, &r->end);
        r->source.stop(r->source.ctx, on_stopped, r);
    }
}

static void stop(void *ctx) {
    struct fleet_run *r = ctx;
    if (r->ranks != NULL) {
        fleet_ranks_want_stop(r->ranks); /* all stop together */
    } else {
        stop_now(r);
    }
}

static void restart(void *ctx) {
    struct fleet_run *r = ctx;
    r->source.restart_all(r->source.ctx);
}

static void make_storm(void *ctx) {
    struct fleet_run *r = ctx;
    r->source.storm(r->source.ctx);
}

static void on_child_failed(void *ctx, struct error *err) {
    struct fleet_run *r = ctx;
    if (!error_is_set(&r->failure)) {
        error_move(&r->failure, err);
    }
    error_clear(err);
    stop(r);
}

/* ---- a child: tells its parent what it has counted */

static void print_tally(struct fleet_run *r) {
    struct tally *t = tally_new();
    r->source.add_to(r->source.ctx, t);
    bool changed = t->n.connected != r->told_connected;
    if (changed || r->looks % TALLY_LINE_LOOKS == 0) {
        r->told_connected = t->n.connected;
        json_t *json = tally_to_json(t);
        char *text = json_text(json);
        puts(text);
        fflush(stdout);
        mem_free(text);
        json_decref(json);
    }
    mem_free(t);
}

static void on_line(void *ctx) {
    struct fleet_run *r = ctx;
    print_tally(r);
    r->looks++;
    world_timer_start(r->world, &r->line, TALLY_LOOK_MS, on_line, r);
}

/* ---- start */

static bool start_watch(struct fleet_run *r, const struct fleet_source *source, uint32_t processes, struct error *err) {
    r->watch = fleet_watch_new(&r->args, r->world, source, roster_agents(&r->roster), processes, err);
    return r->watch != NULL;
}

static bool start_children(struct fleet_run *r, struct error *err) {
    r->children = fleet_children_new(r->world, r->argc, r->argv, (uint32_t)r->args.processes, on_child_failed, r);
    r->source = fleet_children_source(r->children);
    return start_watch(r, &r->source, (uint32_t)r->args.processes, err);
}

static bool start_here(struct fleet_run *r, const struct logger *log, struct error *err) {
    r->here = fleet_here_new(&r->args, r->world, &r->roster, log, err);
    if (r->here == NULL) {
        return false;
    }
    r->source = fleet_here_source(r->here);
    if (r->args.is_child) {
        world_timer_start(r->world, &r->line, 0, on_line, r);
    }
    return r->args.is_child || r->is_rank || start_watch(r, &r->source, 1, err);
}

static bool start_ranks(struct fleet_run *r, struct error *err) {
    r->ranks = fleet_ranks_new(r->world, &r->source, stop_now, r);
    struct fleet_source all = {r->ranks, fleet_ranks_add_to, NULL, NULL, NULL};
    return r->args.part != 0 || start_watch(r, &all, r->args.parts, err);
}

static bool start(struct fleet_run *r, const struct logger *log, struct error *err) {
    return r->args.processes > 1 && !r->args.is_child ? start_children(r, err) : start_here(r, log, err);
}

static void run_until_stopped(struct fleet_run *r) {
    real_signal(r->world, SIGINT, stop, r);
    real_signal(r->world, SIGTERM, stop, r);
    real_signal(r->world, SIGUSR1, restart, r);
    real_signal(r->world, SIGUSR2, make_storm, r);
    if (r->args.for_ms != 0 && !r->args.is_child) {
        world_timer_start(r->world, &r->end, r->args.for_ms, stop, r);
    }
    real_world_run(r->world);
}

/* The exit code. */
static int conclude(struct fleet_run *r) {
    if (r->args.is_child) {
        r->looks = 0;
        print_tally(r);
        return DALANG_OK;
    }
    if (r->ranks != NULL) {
        fleet_ranks_finish(r->ranks);
    }
    if (r->watch == NULL) {
        return DALANG_OK;
    }
    if (error_is(&r->failure, "usage") || error_is(&r->failure, "configuration")) {
        return dalang_trouble(r->cl, &r->failure); /* of the children: nothing has begun */
    }
    bool any = fleet_watch_report(r->watch);
    if (error_is_set(&r->failure)) {
        fprintf(stderr, "%s: %s\n", r->cl->program, r->failure.msg);
        error_clear(&r->failure);
        return DALANG_FAILED;
    }
    if (!any) {
        fprintf(stderr, "%s: no agent ever connected\n", r->cl->program);
    }
    return any ? DALANG_OK : DALANG_FAILED;
}

static bool prepare(struct fleet_run *r, struct logger *log, struct real_log **sink, struct error *err) {
    *log = (struct logger){.name = "fleet", .level = LOG_OFF};
    if ((r->world = real_world_new(err)) == NULL || !real_keylog(r->world, getenv("SSLKEYLOGFILE"), err) ||
        !fleet_read_roster(&r->args, r->world, &r->roster, err)) {
        return false;
    }
    if (r->args.log_file != NULL) {
        *sink = real_log_open(r->args.log_file, false, err);
        *log = (struct logger){.name = "fleet", .level = LOG_INFO, .write = real_log_write, .ctx = *sink};
    }
    if (r->args.die_with_parent) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    }
    return r->args.log_file == NULL || *sink != NULL;
}

static int run(struct fleet_run *r) {
    struct error err = ERROR_INIT;
    struct logger log;
    struct real_log *sink = NULL;
    int code = DALANG_OK;
    bool ok = fleet_args_check(&r->args, &err) &&
              (!r->is_rank || r->args.processes == 1 ||
               error_set(&err, "usage", "--processes is not for MPI jobs: start more ranks")) &&
              (!r->is_rank || fleet_ranks_begin(&r->args, &err));
    bool in_ranks = ok && r->is_rank;
    ok = ok && prepare(r, &log, &sink, &err) && start(r, &log, &err);
    bool all_ok = in_ranks ? fleet_ranks_ready(ok) : ok;
    if (all_ok && (!in_ranks || (ok = start_ranks(r, &err)))) {
        run_until_stopped(r);
        code = conclude(r);
    } else if (ok) {
        code = DALANG_CONFIGURATION; /* another rank says why */
    }
    fleet_watch_free(r->watch);
    fleet_ranks_free(r->ranks);
    fleet_children_free(r->children);
    fleet_here_free(r->here);
    roster_free(&r->roster);
    if (r->world != NULL) {
        real_world_free(r->world);
    }
    real_log_close(sink);
    if (!ok) {
        code = dalang_trouble(r->cl, &err);
    }
    if (in_ranks) {
        fleet_ranks_end();
    }
    return code;
}

int fleet_command(int argc, char *const argv[]) {
    struct fleet_run r = {
        .args = {.first = 1, .pcp = 2, .seed = 1, .processes = 1, .storm_down_ms = 3000},
        .argc = argc,
        .argv = argv,
        .is_rank = fleet_ranks_launched(),
    };
    int code = DALANG_OK;
    r.cl = fleet_line(&r.args);
    if (dalang_parse_only(r.cl, argc, argv, &code)) {
        code = run(&r);
    }
    option_list_free(&r.args.brokers);
    option_list_free(&r.args.primaries);
    return code;
}
