/* SQLite on the simulated disk: its VFS, with locks and shared memory, so that a crash is one for databases too. */
#include "simulator/world/disk.h"

#include "base/mem.h"
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

enum { SECTOR_SIZE = 512, SHM_LOCKS = 8, PATH_MAX_LEN = 512 };

struct sqlite_vfs {
    sqlite3_vfs base;
    struct sim_host *host;
    char name[40];
};

struct vfs_file {
    sqlite3_file base;
    struct disk *disk;
    struct inode *node;
    struct vfs_locks *locks;
    char *path; /* "" for a temporary file without a name */
    struct list_link link;
    int lock;
    uint16_t shm_shared, shm_exclusive; /* bit per lock */
    bool delete_on_close;
    bool sync_directory; /* a new journal: its first sync makes its name durable, too, as SQLite's own VFS does */
    bool dead;           /* its process crashed */
};

/* Of one database, whichever connections have it open. Those of a crashed process keep theirs until they are closed;
 * who opens the database anew finds it unlocked. */
struct vfs_locks {
    unsigned refs; /* the inode, open files */
    unsigned shared;
    struct vfs_file *reserved, *pending, *exclusive;
    unsigned shm_readers[SHM_LOCKS];
    struct vfs_file *shm_writer[SHM_LOCKS];
    void **regions;
    size_t region_count, region_cap;
    unsigned shm_users;
};

static struct vfs_locks *locks_ref(struct inode *node) {
    if (node->locks == NULL) {
        node->locks = mem_zalloc(sizeof(*node->locks));
        node->locks->refs = 1;
    }
    node->locks->refs++;
    return node->locks;
}

static void free_regions(struct vfs_locks *l) {
    for (size_t i = 0; i < l->region_count; i++) {
        mem_free(l->regions[i]);
    }
    mem_free(l->regions);
    l->regions = NULL;
    l->region_count = l->region_cap = 0;
}

void vfs_locks_free(struct vfs_locks *l) {
    if (l != NULL && --l->refs == 0) {
        free_regions(l);
        mem_free(l);
    }
}

static int code_of(struct error *err, int otherwise) {
    int code = error_is(err, "world/full") ? SQLITE_FULL : error_is(err, "world/permission") ? SQLITE_PERM : otherwise;
    error_clear(err);
    return code;
}

/* ---- contents */

static int file_read(sqlite3_file *base, void *out, int amount, sqlite3_int64 offset) {
    struct vfs_file *f = (struct vfs_file *)base;
    struct error err = ERROR_INIT;
    if (f->dead || !disk_allows(f->disk, SIM_FILE_READ, f->path, &err)) {
        return code_of(&err, SQLITE_IOERR_READ);
    }
    size_t want = (size_t)amount, from = (size_t)offset, size = f->node->data.len;
    size_t there = from < size ? size - from : 0;
    size_t take = there < want ? there : want;
    if (take != 0) {
        memcpy(out, f->node->data.ptr + from, take);
    }
    memset((char *)out + take, 0, want - take);
    return take == want ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *bytes, int amount, sqlite3_int64 offset) {
    struct vfs_file *f = (struct vfs_file *)base;
    struct error err = ERROR_INIT;
    struct span span = span_bytes(bytes, (size_t)amount);
    if (f->dead || !disk_allows(f->disk, SIM_FILE_WRITE, f->path, &err) ||
        !disk_write(f->disk, f->node, f->path, (uint64_t)offset, span, &err)) {
        return code_of(&err, SQLITE_IOERR_WRITE);
    }
    disk_trace(f->disk, "page", f->path, span);
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size) {
    struct vfs_file *f = (struct vfs_file *)base;
    struct error err = ERROR_INIT;
    if (f->dead || !disk_allows(f->disk, SIM_FILE_WRITE, f->path, &err)) {
        return code_of(&err, SQLITE_IOERR_TRUNCATE);
    }
    disk_truncate(f->disk, f->node, (uint64_t)size);
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *base, int flags) {
    struct vfs_file *f = (struct vfs_file *)base;
    struct error err = ERROR_INIT;
    (void)flags;
    if (f->dead || !disk_allows(f->disk, SIM_FILE_SYNC, f->path, &err)) {
        return code_of(&err, SQLITE_IOERR_FSYNC);
    }
    disk_trace(f->disk, "sync", f->path, SPAN(""));
    disk_sync(f->disk, f->node);
    if (f->sync_directory) {
        char *name = NULL;
        struct inode *dir = disk_parent(f->disk, f->path, &name, NULL);
        mem_free(name);
        if (dir != NULL) {
            disk_sync(f->disk, dir);
        }
        f->sync_directory = false;
    }
    return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size) {
    *size = (sqlite3_int64)((struct vfs_file *)base)->node->data.len;
    return SQLITE_OK;
}

/* ---- locks: any number of readers, one that intends to write, one that writes */

static void release(struct vfs_file *f, int to) {
    struct vfs_locks *l = f->locks;
    if (to <= SQLITE_LOCK_SHARED) {
        l->reserved = l->reserved == f ? NULL : l->reserved;
        l->pending = l->pending == f ? NULL : l->pending;
        l->exclusive = l->exclusive == f ? NULL : l->exclusive;
    }
    if (to == SQLITE_LOCK_NONE && f->lock >= SQLITE_LOCK_SHARED) {
        l->shared--;
    }
    f->lock = to;
}

static int file_lock(sqlite3_file *base, int level) {
    struct vfs_file *f = (struct vfs_file *)base;
    struct vfs_locks *l = f->locks;
    if (f->dead) {
        return SQLITE_IOERR_LOCK;
    }
    if (f->lock >= level) {
        return SQLITE_OK;
    }
    if (f->lock == SQLITE_LOCK_NONE) {
        if (l->pending != NULL || l->exclusive != NULL) {
            return SQLITE_BUSY;
        }
        l->shared++;
        f->lock = SQLITE_LOCK_SHARED;
    }
    if (level == SQLITE_LOCK_RESERVED) {
        if (l->reserved != NULL) {
            return SQLITE_BUSY;
        }
        l->reserved = f;
        f->lock = level;
    }
    if (level == SQLITE_LOCK_EXCLUSIVE) {
        if ((l->reserved != NULL && l->reserved != f) || (l->pending != NULL && l->pending != f)) {
            return SQLITE_BUSY;
        }
        l->reserved = l->pending = f;
        if (l->shared > 1) {
            f->lock = SQLITE_LOCK_PENDING;
            return SQLITE_BUSY;
        }
        l->exclusive = f;
        f->lock = level;
    }
    return SQLITE_OK;
}

static int file_unlock(sqlite3_file *base, int level) {
    struct vfs_file *f = (struct vfs_file *)base;
    if (f->lock > level) {
        release(f, level);
    }
    return SQLITE_OK;
}

static int file_reserved(sqlite3_file *base, int *out) {
    const struct vfs_locks *l = ((struct vfs_file *)base)->locks;
    *out = l->reserved != NULL;
    return SQLITE_OK;
}

/* ---- shared memory of a WAL */

static int shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **out) {
    struct vfs_locks *l = ((struct vfs_file *)base)->locks;
    *out = NULL;
    while (extend && l->region_count <= (size_t)region) {
        l->regions = mem_grow(l->regions, &l->region_cap, l->region_count + 1, sizeof(void *));
        l->regions[l->region_count++] = mem_zalloc((size_t)size);
    }
    if ((size_t)region < l->region_count) {
        *out = l->regions[region];
    }
    return SQLITE_OK;
}

static void shm_release(struct vfs_file *f, unsigned mask) {
    struct vfs_locks *l = f->locks;
    for (unsigned i = 0; i < SHM_LOCKS; i++) {
        unsigned bit = 1u << i & mask;
        if ((f->shm_shared & bit) != 0) {
            l->shm_readers[i]--;
        }
        if ((f->shm_exclusive & bit) != 0) {
            l->shm_writer[i] = NULL;
        }
    }
    f->shm_shared = (uint16_t)(f->shm_shared & ~mask);
    f->shm_exclusive = (uint16_t)(f->shm_exclusive & ~mask);
}

static bool shm_free_for(const struct vfs_file *f, unsigned i, bool shared) {
    const struct vfs_locks *l = f->locks;
    unsigned own = (f->shm_shared >> i) & 1u;
    return (l->shm_writer[i] == NULL || l->shm_writer[i] == f) && (shared || l->shm_readers[i] == own);
}

static int shm_lock(sqlite3_file *base, int offset, int n, int flags) {
    struct vfs_file *f = (struct vfs_file *)base;
    struct vfs_locks *l = f->locks;
    unsigned mask = ((1u << (offset + n)) - 1u) & ~((1u << offset) - 1u);
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        shm_release(f, mask);
        return SQLITE_OK;
    }
    bool shared = (flags & SQLITE_SHM_SHARED) != 0;
    for (unsigned i = 0; i < SHM_LOCKS; i++) {
        if ((mask >> i & 1u) != 0 && !shm_free_for(f, i, shared)) {
            return SQLITE_BUSY;
        }
    }
    for (unsigned i = 0; i < SHM_LOCKS; i++) {
        unsigned bit = 1u << i & mask;
        if (bit != 0 && shared && (f->shm_shared & bit) == 0) {
            l->shm_readers[i]++;
            f->shm_shared = (uint16_t)(f->shm_shared | bit);
        } else if (bit != 0 && !shared) {
            l->shm_writer[i] = f;
            f->shm_exclusive = (uint16_t)(f->shm_exclusive | bit);
        }
    }
    return SQLITE_OK;
}

static void shm_barrier(sqlite3_file *base) {
    (void)base; /* one thread */
}

static int shm_unmap(sqlite3_file *base, int delete_it) {
    struct vfs_file *f = (struct vfs_file *)base;
    shm_release(f, (1u << SHM_LOCKS) - 1u);
    if (delete_it) {
        free_regions(f->locks);
    }
    return SQLITE_OK;
}

/* ---- files */

static void leave(struct vfs_file *f) {
    shm_release(f, (1u << SHM_LOCKS) - 1u);
    release(f, SQLITE_LOCK_NONE);
}

static int vfs_delete(sqlite3_vfs *base, const char *path, int sync_directory);

static int file_close(sqlite3_file *base) {
    struct vfs_file *f = (struct vfs_file *)base;
    leave(f);
    if (f->delete_on_close && !f->dead && *f->path != '\0') {
        vfs_delete(&f->disk->host->vfs->base, f->path, 0);
    }
    list_remove(&f->disk->vfs_files, &f->link);
    vfs_locks_free(f->locks);
    inode_unref(f->disk, f->node);
    mem_free(f->path);
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int op, void *arg) {
    (void)base;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *base) {
    (void)base;
    return SECTOR_SIZE;
}

static int file_characteristics(sqlite3_file *base) {
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* a torn write leaves its neighbours alone */
}

static const sqlite3_io_methods io_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

static struct disk *disk_of_vfs(sqlite3_vfs *base) {
    return ((struct sqlite_vfs *)base)->host->disk;
}

/* The inode to open, a new reference; NULL when it is not there and may not be made. */
static struct inode *find_or_make(struct disk *d, const char *path, int flags, bool *made, struct error *err) {
    char *name = NULL;
    struct inode *dir = disk_parent(d, path, &name, err);
    struct inode *node = dir != NULL ? directory_get(dir, name) : NULL;
    if (node != NULL && ((flags & SQLITE_OPEN_EXCLUSIVE) != 0 || node->is_dir)) {
        node = NULL;
    } else if (node != NULL) {
        inode_ref(node);
    } else if (dir != NULL && (flags & SQLITE_OPEN_CREATE) != 0) {
        node = inode_new(d, false, 0600);
        disk_link(d, dir, name, node);
        disk_trace(d, "open", path, SPAN(""));
        *made = true;
    }
    mem_free(name);
    return node;
}

static int vfs_open(sqlite3_vfs *base, const char *path, sqlite3_file *out, int flags, int *out_flags) {
    struct vfs_file *f = (struct vfs_file *)out;
    struct disk *d = disk_of_vfs(base);
    struct error err = ERROR_INIT;
    bool made = false;
    f->base.pMethods = NULL;
    if (!disk_allows(d, SIM_FILE_OPEN, path != NULL ? path : "", &err)) {
        return code_of(&err, SQLITE_CANTOPEN);
    }
    struct inode *node = path != NULL ? find_or_make(d, path, flags, &made, &err) : inode_new(d, false, 0600);
    error_clear(&err);
    if (node == NULL) {
        return SQLITE_CANTOPEN;
    }
    *f = (struct vfs_file){.disk = d, .node = node, .path = str_dup(path != NULL ? path : "")};
    f->locks = locks_ref(node);
    f->sync_directory = made && (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL)) != 0;
    f->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    f->base.pMethods = &io_methods;
    list_push_back(&d->vfs_files, &f->link);
    if (out_flags != NULL) {
        *out_flags = flags;
    }
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *base, const char *path, int sync_directory) {
    struct disk *d = disk_of_vfs(base);
    struct error err = ERROR_INIT;
    char *name = NULL;
    struct inode *dir = disk_allows(d, SIM_FILE_META, path, &err) ? disk_parent(d, path, &name, &err) : NULL;
    int code = dir == NULL ? code_of(&err, SQLITE_IOERR_DELETE) : SQLITE_OK;
    if (dir != NULL && directory_get(dir, name) == NULL) {
        code = SQLITE_IOERR_DELETE_NOENT;
    } else if (dir != NULL) {
        disk_trace(d, "remove", path, SPAN(""));
        disk_link(d, dir, name, NULL);
        if (sync_directory) {
            disk_sync(d, dir);
        }
    }
    mem_free(name);
    return code;
}

static int vfs_access(sqlite3_vfs *base, const char *path, int flags, int *out) {
    struct error err = ERROR_INIT;
    const struct inode *node = disk_find(disk_of_vfs(base), path, &err);
    error_clear(&err);
    /* As unix: an empty file does not exist when that is the question. */
    *out = node != NULL && (flags != SQLITE_ACCESS_EXISTS || node->is_dir || node->data.len != 0);
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *base, const char *path, int len, char *out) {
    (void)base;
    return snprintf(out, (size_t)len, "%s%s", *path == '/' ? "" : "/", path) < len ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int vfs_random(sqlite3_vfs *base, int len, char *out) {
    world_random(&((struct sqlite_vfs *)base)->host->world, out, (size_t)len);
    return len;
}

static int vfs_sleep(sqlite3_vfs *base, int us) {
    (void)base;
    return us; /* whoever holds the lock is on this thread: waiting changes nothing */
}

static int vfs_time(sqlite3_vfs *base, sqlite3_int64 *out) {
    static const sqlite3_int64 UNIX_EPOCH_MS = 210866760000000; /* in Julian milliseconds */
    *out = UNIX_EPOCH_MS + world_wall_ms(&((struct sqlite_vfs *)base)->host->world);
    return SQLITE_OK;
}

static int vfs_time_days(sqlite3_vfs *base, double *out) {
    sqlite3_int64 ms;
    vfs_time(base, &ms);
    *out = (double)ms / 86400000.0;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *base, int len, char *out) {
    (void)base;
    (void)len;
    (void)out;
    return 0;
}

const char *sim_vfs_name(void *impl) {
    struct sim_host *h = impl;
    if (h->vfs == NULL) {
        struct sqlite_vfs *v = mem_zalloc(sizeof(*v));
        v->host = h;
        snprintf(v->name, sizeof(v->name), "sim-%p", (void *)v); /* unique in the process; never part of what happens */
        v->base = (sqlite3_vfs){
            .iVersion = 2,
            .szOsFile = sizeof(struct vfs_file),
            .mxPathname = PATH_MAX_LEN,
            .zName = v->name,
            .xOpen = vfs_open,
            .xDelete = vfs_delete,
            .xAccess = vfs_access,
            .xFullPathname = vfs_full_path,
            .xRandomness = vfs_random,
            .xSleep = vfs_sleep,
            .xCurrentTime = vfs_time_days,
            .xGetLastError = vfs_last_error,
            .xCurrentTimeInt64 = vfs_time,
        };
        sqlite3_vfs_register(&v->base, 0);
        h->vfs = v;
    }
    return h->vfs->name;
}

void sim_vfs_free(struct sim_host *h) {
    if (h->vfs != NULL) {
        sqlite3_vfs_unregister(&h->vfs->base);
        mem_free(h->vfs);
        h->vfs = NULL;
    }
}

void vfs_crash(struct disk *d) {
    LIST_EACH (k, &d->vfs_files) {
        struct vfs_file *f = LIST_ITEM(k, struct vfs_file, link);
        leave(f);
        f->dead = true;
        vfs_locks_free(f->node->locks); /* stays with f */
        f->node->locks = NULL;
    }
}
