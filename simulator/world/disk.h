/* A simulated disk: a tree of inodes, what of it is not yet on the platter, and injected faults. */
#ifndef DALANG_SIM_DISK_H
#define DALANG_SIM_DISK_H

#include "simulator/world/internal.h"

struct inode;
struct directory_entry {
    char *name;
    struct inode *node;
};

/* A write or a cut that a power failure can take back. It holds what stood there before; taken back, it holds what was
 * written, so that it can be done again in part. */
struct unsynced {
    uint64_t at_us;
    bool cut; /* a truncation to `offset` */
    uint64_t offset, len;
    uint64_t old_size;
    size_t kept; /* bytes in other */
    char *other;
};

/* A large fleet has millions of them. */
struct inode {
    unsigned refs; /* entries, open files, the journal */
    uint16_t mode;
    bool is_dir;
    int64_t modified_ms;
    char *target; /* of a symbolic link */
    struct buf data;
    struct unsynced *unsynced;
    size_t unsynced_cap;
    struct directory_entry *entries; /* sorted by name; no more memory than they need */
    uint32_t unsynced_count, entry_count;
    struct vfs_locks *locks; /* of databases, made when first locked */
};

/* An unsynced change of a directory (two of them in a rename). */
struct directory_change {
    struct inode *dir;
    char *name;
    struct inode *old, *now; /* NULL: no such entry */
};
struct journal_item {
    uint64_t at_us;
    struct directory_change changes[2];
    size_t count;
};

struct disk {
    struct sim_host *host;
    struct inode *root;
    struct journal_item *journal;
    size_t journal_count, journal_cap;
    uint64_t capacity, used;
    uint64_t ops;
    uint64_t fail_at; /* value of ops; 0: never */
    const char *fail_kind;
    uint64_t dead_at;            /* value of ops from which on everything fails; 0: never */
    uint64_t syncs, lie_at;      /* syncs so far; the number of the one that is only claimed; 0: none */
    struct sim_disk_fault fault; /* ops 0: none */
    char *fault_prefix;
    struct dist sync_latency_us;
    bool slow;
    struct list files; /* struct sim_file: open world_files */
    struct list vfs_files;
    struct list watches;
    uint64_t temporary; /* hands out names */
};

/* False after setting err when the operation is to fail: an injected fault, or the actor crashed. Counts it. */
bool disk_allows(struct disk *d, enum sim_file_op op, const char *path, struct error *err);
/* The inode a path leads to, or NULL with "world/not-found" or "world/not-directory". Borrowed. */
struct inode *disk_find(struct disk *d, const char *path, struct error *err);
struct inode *disk_find_link(struct disk *d, const char *path, struct error *err); /* does not follow the last part */
/* The directory the last part of the path is in, and that part (mem_free() it; "" for the root itself). */
struct inode *disk_parent(struct disk *d, const char *path, char **name, struct error *err);
struct inode *directory_get(const struct inode *dir, const char *name);
struct inode *inode_new(struct disk *d, bool is_dir, int mode);
struct inode *inode_ref(struct inode *node);
void inode_unref(struct disk *d, struct inode *node);

/* Sets dir[name] (NULL: removes it) and remembers that it is not yet durable. */
void disk_link(struct disk *d, struct inode *dir, const char *name, struct inode *node);
void disk_rename(struct disk *d, struct inode *from_dir, const char *from, struct inode *to_dir, const char *to);
/* "world/full" when the capacity is reached. Past the end: zeros in between. */
bool disk_write(struct disk *d, struct inode *node, const char *path, uint64_t offset, struct span bytes,
                struct error *err);
void disk_truncate(struct disk *d, struct inode *node, uint64_t size);
/* fsync: what the inode holds is durable, and so are entries (see sim_opts.strict_directories). */
void disk_sync(struct disk *d, struct inode *node);
void disk_trace(struct disk *d, const char *op, const char *path, struct span bytes);
void disk_changed(struct disk *d, const char *path); /* tells watches */

/* Power failure: takes back what is not durable, or some of it, as the seed says. */
void disk_lose_unsynced(struct disk *d);
/* world_sqlite_vfs() of a host. */
const char *sim_vfs_name(void *impl);
/* SQLite's side of a crash (vfs.c) */
void vfs_crash(struct disk *d);
void vfs_locks_free(struct vfs_locks *locks); /* drops a reference */

#endif
