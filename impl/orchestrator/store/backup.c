/* SQLite's online backup, some pages per turn, into a temporary file that gets its name when it is complete. It copies
 * one moment: a connection of its own holds that while transactions go on (without one, in the simulated world, SQLite
 * copies pages again that change). */
#include "base/mem.h"
#include "orchestrator/store/internal.h"

enum { PAGES_PER_TURN = 256, TURN_MS = 1 };

struct store_backup {
    struct store *store;
    char *path, *partial;
    sqlite3 *from; /* NULL: the store's own */
    sqlite3 *db;
    sqlite3_backup *run;
    struct timer timer;
    void (*done)(void *ctx, const struct error *err);
    void *ctx;
};

static void finish(struct store_backup *b, struct error *err) {
    sqlite3_backup_finish(b->run);
    sqlite3_close(b->db);
    sqlite3_close(b->from);
    world_timer_stop(b->store->world, &b->timer);
    if (error_is_set(err)) {
        world_file_remove(b->store->world, b->partial, false, NULL);
    }
    b->store->backup = NULL;
    if (b->done != NULL) {
        b->done(b->ctx, error_is_set(err) ? err : NULL);
    }
    error_clear(err);
    mem_free(b->path);
    mem_free(b->partial);
    mem_free(b);
}

static void step(void *ctx) {
    struct store_backup *b = ctx;
    struct error err = ERROR_INIT;
    int rc = b->run != NULL ? sqlite3_backup_step(b->run, PAGES_PER_TURN) : sqlite3_errcode(b->db);
    if (rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_LOCKED) {
        world_timer_start(b->store->world, &b->timer, TURN_MS, step, b);
        return;
    }
    if (rc != SQLITE_DONE) {
        store_sqlite_error(b->db, rc, "be copied", &err);
    } else {
        sqlite3_backup_finish(b->run);
        b->run = NULL;
        sqlite3_close(b->db);
        b->db = NULL;
        if (world_file_sync(b->store->world, b->partial, &err)) {
            world_file_rename(b->store->world, b->partial, b->path, &err);
        }
    }
    finish(b, &err);
}

/* The copy must not be readable by others while it grows either. */
static bool prepare(struct store_backup *b, struct error *err) {
    struct world *w = b->store->world;
    struct world_stat st;
    if (world_file_stat(w, b->path, &st, NULL)) {
        return error_set(err, "world/exists", "%s exists already", b->path);
    }
    if (!world_file_write(w, b->partial, (struct span){NULL, 0}, 0600, WORLD_WRITE_NEW, err)) {
        return false;
    }
    int rc = sqlite3_open_v2(b->partial, &b->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                             world_sqlite_vfs(w));
    if (rc != SQLITE_OK) {
        return store_sqlite_error(b->db, rc, "be copied", err);
    }
    if (world_sqlite_vfs(w) != NULL) {
        sqlite3_exec(b->db, "PRAGMA locking_mode=EXCLUSIVE", NULL, NULL, NULL);
    } else if (!store_connect_reader(b->store, "be copied", &b->from, err) ||
               !store_run_sql(b->from, STORE_PIN, "be copied", err)) {
        return false;
    }
    b->run = sqlite3_backup_init(b->db, "main", b->from != NULL ? b->from : b->store->db, "main");
    return true;
}

static void start(void *ctx) {
    struct store_backup *b = ctx;
    struct error err = ERROR_INIT;
    if (!store_readable(b->store, &err) || !prepare(b, &err)) {
        finish(b, &err);
    } else {
        step(b);
    }
}

void store_backup(struct store *s, const char *path, void (*done)(void *ctx, const struct error *err), void *ctx) {
    struct store_backup *b = mem_zalloc(sizeof *b);
    b->store = s;
    b->path = str_dup(path);
    b->partial = str_printf("%s.partial", path);
    b->done = done;
    b->ctx = ctx;
    store_backup_cancel(s); /* a newer request takes the place of one under way */
    s->backup = b;
    world_timer_start(s->world, &b->timer, TURN_MS, start, b);
}

void store_backup_cancel(struct store *s) {
    if (s->backup != NULL) {
        struct error err = ERROR_INIT;
        error_set(&err, "store/closed", "the copy of the database was broken off");
        finish(s->backup, &err);
    }
}
