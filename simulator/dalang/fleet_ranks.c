/* See fleet_ranks.h. */
#include "simulator/dalang/fleet_ranks.h"

#include "base/mem.h"
#include <stdlib.h>

/* What launchers put into the environment of each of several processes: Open MPI, PMI (MPICH, Slurm), PMIx. */
static const char *const size_variables[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_SIZE"};

bool fleet_ranks_launched(void) {
    for (size_t i = 0; i < sizeof(size_variables) / sizeof(size_variables[0]); i++) {
        uint64_t size;
        const char *text = getenv(size_variables[i]);
        if (text != NULL && span_to_u64(span_of(text), &size) && size > 1) {
            return true;
        }
    }
    return false;
}

#ifdef DALANG_MPI
#include <mpi.h>

enum { ROUND_MS = 200, TEST_MS = 10 };

struct fleet_ranks {
    struct world *world;
    struct fleet_source here;
    void (*stop)(void *ctx);
    void *ctx;
    struct timer timer;
    MPI_Datatype type; /* a struct tally; the ranks' machines must be of one kind */
    MPI_Op add;
    MPI_Request requests[2];
    bool in_round, agreed;
    struct tally *mine, *sum, *latest; /* sum is written while a round is under way */
    int want_stop, any_wants;          /* any_wants likewise, as is what was sent: */
    int sent_stop;
};

bool fleet_ranks_begin(struct fleet_args *a, struct error *err) {
    int provided, rank, size;
    (void)err; /* MPI itself ends the process when it cannot begin */
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    a->part = (uint32_t)rank;
    a->parts = (uint32_t)size;
    return true;
}

bool fleet_ranks_ready(bool here) {
    int mine = here, all = 0;
    MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    return all != 0;
}

void fleet_ranks_end(void) {
    MPI_Finalize();
}

static void add(void *in, void *inout, int *count, MPI_Datatype *type) {
    (void)type;
    const struct tally *from = in;
    struct tally *into = inout;
    for (int i = 0; i < *count; i++) {
        tally_add(&into[i], &from[i]);
    }
}

static void count_mine(struct fleet_ranks *r) {
    tally_clear(r->mine);
    r->here.add_to(r->here.ctx, r->mine);
}

static void round_test(void *ctx);

static void round_begin(void *ctx) {
    struct fleet_ranks *r = ctx;
    count_mine(r);
    r->in_round = true;
    r->sent_stop = r->want_stop;
    MPI_Iallreduce(&r->sent_stop, &r->any_wants, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD, &r->requests[0]);
    MPI_Ireduce(r->mine, r->sum, 1, r->type, r->add, 0, MPI_COMM_WORLD, &r->requests[1]);
    world_timer_start(r->world, &r->timer, 0, round_test, r);
}

static void round_test(void *ctx) {
    struct fleet_ranks *r = ctx;
    int done = 0;
    MPI_Testall(2, r->requests, &done, MPI_STATUSES_IGNORE);
    if (!done) {
        world_timer_start(r->world, &r->timer, TEST_MS, round_test, r);
        return;
    }
    r->in_round = false;
    struct tally *t = r->latest;
    r->latest = r->sum;
    r->sum = t;
    if (r->any_wants) {
        r->agreed = true; /* all ranks see the same: none begins another round */
        r->stop(r->ctx);
    } else {
        world_timer_start(r->world, &r->timer, ROUND_MS, round_begin, r);
    }
}

struct fleet_ranks *fleet_ranks_new(struct world *w, const struct fleet_source *here, void (*stop)(void *ctx),
                                    void *ctx) {
    struct fleet_ranks *r = mem_zalloc(sizeof(*r));
    r->world = w;
    r->here = *here;
    r->stop = stop;
    r->ctx = ctx;
    r->mine = tally_new();
    r->sum = tally_new();
    r->latest = tally_new();
    MPI_Type_contiguous((int)sizeof(struct tally), MPI_BYTE, &r->type);
    MPI_Type_commit(&r->type);
    MPI_Op_create(add, 1, &r->add);
    world_timer_start(w, &r->timer, 0, round_begin, r);
    return r;
}

void fleet_ranks_want_stop(struct fleet_ranks *r) {
    r->want_stop = 1;
}

void fleet_ranks_add_to(void *ctx, struct tally *sum) {
    tally_add(sum, ((struct fleet_ranks *)ctx)->latest);
}

void fleet_ranks_finish(struct fleet_ranks *r) {
    count_mine(r);
    tally_clear(r->latest);
    MPI_Reduce(r->mine, r->latest, 1, r->type, r->add, 0, MPI_COMM_WORLD);
}

void fleet_ranks_free(struct fleet_ranks *r) {
    if (r == NULL) {
        return;
    }
    world_timer_stop(r->world, &r->timer);
    if (r->in_round) {
        MPI_Waitall(2, r->requests, MPI_STATUSES_IGNORE);
    }
    MPI_Op_free(&r->add);
    MPI_Type_free(&r->type);
    mem_free(r->mine);
    mem_free(r->sum);
    mem_free(r->latest);
    mem_free(r);
}

#else /* without MPI a process is always alone */

bool fleet_ranks_begin(struct fleet_args *a, struct error *err) {
    (void)a;
    return error_set(
        err, "configuration",
        "started as one of several processes of an MPI job, but built without MPI (cmake -DDALANG_MPI=ON)");
}

bool fleet_ranks_ready(bool here) {
    return here;
}

void fleet_ranks_end(void) {
}

struct fleet_ranks *fleet_ranks_new(struct world *w, const struct fleet_source *here, void (*stop)(void *ctx),
                                    void *ctx) {
    (void)w, (void)here, (void)stop, (void)ctx;
    return NULL;
}

void fleet_ranks_want_stop(struct fleet_ranks *r) {
    (void)r;
}

void fleet_ranks_add_to(void *ctx, struct tally *sum) {
    (void)ctx, (void)sum;
}

void fleet_ranks_finish(struct fleet_ranks *r) {
    (void)r;
}

void fleet_ranks_free(struct fleet_ranks *r) {
    (void)r;
}
#endif
