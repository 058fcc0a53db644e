/* Inodes, directories, and what is not durable yet. */
#include "simulator/world/disk.h"

#include "base/mem.h"
#include <assert.h>
#include <string.h>

/* What Linux writes back on its own: data after 30 s, ext4's journal every 5 s. */
static const uint64_t DATA_DURABLE_AFTER_US = 30 * SIM_SECOND;
static const uint64_t ENTRY_DURABLE_AFTER_US = 5 * SIM_SECOND;
enum { SECTOR = 512, NAME_LEN_MAX = 255 };

/* ---- inodes */

struct inode *inode_new(struct disk *d, bool is_dir, int mode) {
    struct inode *node = mem_zalloc(sizeof(*node));
    node->refs = 1;
    node->is_dir = is_dir;
    node->mode = (uint16_t)(mode & 07777);
    node->modified_ms = world_wall_ms(&d->host->world);
    return node;
}

struct inode *inode_ref(struct inode *node) {
    if (node != NULL) {
        node->refs++;
    }
    return node;
}

static void forget_unsynced(struct inode *node, size_t count) {
    for (size_t i = 0; i < count; i++) {
        mem_free(node->unsynced[i].other);
    }
    node->unsynced_count -= (uint32_t)count;
    if (node->unsynced_count == 0) {
        mem_free(node->unsynced);
        node->unsynced = NULL;
        node->unsynced_cap = 0;
    } else {
        memmove(node->unsynced, node->unsynced + count, node->unsynced_count * sizeof(struct unsynced));
    }
}

void inode_unref(struct disk *d, struct inode *node) {
    if (node == NULL || --node->refs > 0) {
        return;
    }
    d->used -= node->data.len;
    buf_free(&node->data);
    if (node->unsynced_count != 0) {
        forget_unsynced(node, node->unsynced_count);
    }
    for (size_t i = 0; i < node->entry_count; i++) {
        mem_free(node->entries[i].name);
        inode_unref(d, node->entries[i].node);
    }
    mem_free(node->entries);
    mem_free(node->target);
    vfs_locks_free(node->locks);
    mem_free(node);
}

/* Where the name stands in the sorted entries, or would. */
static size_t entry_place(const struct inode *dir, const char *name, bool *found) {
    size_t low = 0, high = dir->entry_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(dir->entries[middle].name, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = false;
    return low;
}

struct inode *directory_get(const struct inode *dir, const char *name) {
    bool found;
    size_t i = entry_place(dir, name, &found);
    return found ? dir->entries[i].node : NULL;
}

/* Takes over a reference to node; NULL removes the entry. */
static void directory_set(struct disk *d, struct inode *dir, const char *name, struct inode *node) {
    bool found;
    size_t i = entry_place(dir, name, &found);
    if (found && node != NULL) {
        inode_unref(d, dir->entries[i].node);
        dir->entries[i].node = node;
    } else if (found) {
        mem_free(dir->entries[i].name);
        struct inode *gone = dir->entries[i].node;
        dir->entry_count--;
        memmove(dir->entries + i, dir->entries + i + 1, (dir->entry_count - i) * sizeof(struct directory_entry));
        inode_unref(d, gone);
    } else if (node != NULL) {
        dir->entries = mem_realloc(dir->entries, (dir->entry_count + 1) * sizeof(struct directory_entry));
        memmove(dir->entries + i + 1, dir->entries + i, (dir->entry_count - i) * sizeof(struct directory_entry));
        dir->entries[i] = (struct directory_entry){str_dup(name), node};
        dir->entry_count++;
    }
    dir->modified_ms = world_wall_ms(&d->host->world);
}

/* ---- paths */

enum { DEPTH_MAX = 128, LINKS_MAX = 40 };

struct walk {
    const char *path; /* for messages */
    struct inode *stack[DEPTH_MAX];
    size_t depth;
    unsigned links;
    struct error *err;
};

static bool walk_path(struct walk *w, struct span path, bool follow_last);

static bool walk_step(struct walk *w, struct span part, bool follow) {
    struct inode *here = w->stack[w->depth];
    char name[NAME_LEN_MAX + 1];
    if (!here->is_dir) {
        return error_set(w->err, "world/not-directory", "%s: not a directory", w->path);
    }
    if (part.len > NAME_LEN_MAX || w->depth + 1 >= DEPTH_MAX) {
        return error_set(w->err, "world/io", "%s: file name too long", w->path);
    }
    if (span_eq_cstr(part, "..")) {
        w->depth -= w->depth > 0;
        return true;
    }
    memcpy(name, part.ptr, part.len);
    name[part.len] = '\0';
    struct inode *next = directory_get(here, name);
    if (next == NULL) {
        return error_set(w->err, "world/not-found", "%s: no such file or directory", w->path);
    }
    if (next->target != NULL && follow) {
        if (++w->links > LINKS_MAX) {
            return error_set(w->err, "world/io", "%s: too many levels of symbolic links", w->path);
        }
        w->depth = *next->target == '/' ? 0 : w->depth;
        return walk_path(w, span_of(next->target), true);
    }
    w->stack[++w->depth] = next;
    return true;
}

static bool walk_path(struct walk *w, struct span path, bool follow_last) {
    struct span part;
    while (span_split(&path, '/', &part)) {
        if (part.len != 0 && !span_eq_cstr(part, ".") && !walk_step(w, part, follow_last || path.len != 0)) {
            return false;
        }
    }
    return true;
}

static struct inode *find(struct disk *d, const char *path, bool follow, struct error *err) {
    struct walk w = {.path = path, .err = err};
    w.stack[0] = d->root;
    return walk_path(&w, span_of(path), follow) ? w.stack[w.depth] : NULL;
}

struct inode *disk_find(struct disk *d, const char *path, struct error *err) {
    return find(d, path, true, err);
}

struct inode *disk_find_link(struct disk *d, const char *path, struct error *err) {
    return find(d, path, false, err);
}

struct inode *disk_parent(struct disk *d, const char *path, char **name, struct error *err) {
    struct walk w = {.path = path, .err = err};
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/') {
        end--;
    }
    size_t start = end;
    while (start > 0 && path[start - 1] != '/') {
        start--;
    }
    struct span last = span_bytes(path + start, end - start);
    w.stack[0] = d->root;
    if (!walk_path(&w, span_bytes(path, start), true)) {
        return NULL;
    }
    if (!w.stack[w.depth]->is_dir) {
        error_set(err, "world/not-directory", "%s: not a directory", path);
        return NULL;
    }
    if (last.len > NAME_LEN_MAX || span_eq_cstr(last, "..") || span_eq_cstr(last, ".")) {
        error_set(err, "world/io", "%s: invalid file name", path);
        return NULL;
    }
    *name = span_dup(last);
    return w.stack[w.depth];
}

/* ---- the journal of directory changes */

static void change_free(struct disk *d, struct directory_change *c) {
    mem_free(c->name);
    inode_unref(d, c->old);
    inode_unref(d, c->now);
    inode_unref(d, c->dir);
}

static void journal_forget(struct disk *d, size_t count) {
    if (count == 0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < d->journal[i].count; c++) {
            change_free(d, &d->journal[i].changes[c]);
        }
    }
    d->journal_count -= count;
    memmove(d->journal, d->journal + count, d->journal_count * sizeof(struct journal_item));
    if (d->journal_count == 0) {
        mem_free(d->journal);
        d->journal = NULL;
        d->journal_cap = 0;
    }
}

static size_t durable_by_age(const struct disk *d) {
    size_t count = 0;
    while (count < d->journal_count && d->host->sim->now_us - d->journal[count].at_us > ENTRY_DURABLE_AFTER_US) {
        count++;
    }
    return count;
}

static struct journal_item *journal_add(struct disk *d) {
    size_t old = durable_by_age(d);
    if (old != 0) {
        journal_forget(d, old);
    }
    d->journal = mem_grow(d->journal, &d->journal_cap, d->journal_count + 1, sizeof(struct journal_item));
    struct journal_item *item = &d->journal[d->journal_count++];
    *item = (struct journal_item){.at_us = d->host->sim->now_us};
    return item;
}

static void change(struct disk *d, struct journal_item *item, struct inode *dir, const char *name, struct inode *now) {
    item->changes[item->count++] =
        (struct directory_change){inode_ref(dir), str_dup(name), inode_ref(directory_get(dir, name)), inode_ref(now)};
    directory_set(d, dir, name, inode_ref(now));
}

void disk_link(struct disk *d, struct inode *dir, const char *name, struct inode *node) {
    change(d, journal_add(d), dir, name, node);
}

void disk_rename(struct disk *d, struct inode *from_dir, const char *from, struct inode *to_dir, const char *to) {
    struct inode *node = directory_get(from_dir, from);
    if (node == directory_get(to_dir, to)) {
        return; /* onto itself */
    }
    struct journal_item *item = journal_add(d);
    change(d, item, to_dir, to, node);
    change(d, item, from_dir, from, NULL);
}

/* Forgets changes made in one directory: they are durable. */
static void journal_forget_directory(struct disk *d, const struct inode *dir) {
    size_t left = 0;
    for (size_t i = 0; i < d->journal_count; i++) {
        struct journal_item *item = &d->journal[i];
        if (item->changes[0].dir == dir) {
            for (size_t c = 0; c < item->count; c++) {
                change_free(d, &item->changes[c]);
            }
        } else {
            d->journal[left++] = *item;
        }
    }
    d->journal_count = left;
}

/* ---- contents */

static void resize(struct disk *d, struct inode *node, uint64_t size) {
    size_t now = node->data.len;
    if (size > now) {
        if (node->data.ptr == NULL) { /* most files are written once: no more than they need */
            node->data.cap = (size_t)size + 1;
            node->data.ptr = mem_alloc(node->data.cap);
        }
        buf_reserve(&node->data, (size_t)size - now);
        memset(node->data.ptr + now, 0, (size_t)size - now + 1);
    }
    node->data.len = (size_t)size;
    if (node->data.ptr != NULL) {
        node->data.ptr[size] = '\0';
    }
    d->used = d->used + size - now;
    if (size == 0) {
        buf_free(&node->data);
    }
}

static struct unsynced *remember(struct disk *d, struct inode *node) {
    uint64_t now_us = d->host->sim->now_us;
    size_t old = 0;
    while (old < node->unsynced_count && now_us - node->unsynced[old].at_us > DATA_DURABLE_AFTER_US) {
        old++;
    }
    if (old != 0) {
        forget_unsynced(node, old);
    }
    node->unsynced = mem_grow(node->unsynced, &node->unsynced_cap, node->unsynced_count + 1, sizeof(struct unsynced));
    struct unsynced *u = &node->unsynced[node->unsynced_count++];
    *u = (struct unsynced){.at_us = now_us, .old_size = node->data.len};
    return u;
}

static void keep(struct unsynced *u, const char *bytes, size_t len) {
    if (len != 0) {
        u->other = mem_alloc(len);
        memcpy(u->other, bytes, len);
        u->kept = len;
    }
}

bool disk_write(struct disk *d, struct inode *node, const char *path, uint64_t offset, struct span bytes,
                struct error *err) {
    uint64_t end = offset + bytes.len, size = node->data.len;
    if (d->capacity != 0 && end > size && d->used + (end - size) > d->capacity) {
        return error_set(err, "world/full", "%s: no space left on device", path);
    }
    if (bytes.len == 0) {
        return true;
    }
    struct unsynced *u = remember(d, node);
    u->offset = offset;
    u->len = bytes.len;
    if (offset < size) {
        keep(u, node->data.ptr + offset, (size_t)((end < size ? end : size) - offset));
    }
    if (end > size) {
        resize(d, node, end);
    }
    memcpy(node->data.ptr + offset, bytes.ptr, bytes.len);
    node->modified_ms = world_wall_ms(&d->host->world);
    return true;
}

void disk_truncate(struct disk *d, struct inode *node, uint64_t size) {
    if (size == node->data.len) {
        return;
    }
    struct unsynced *u = remember(d, node);
    u->cut = true;
    u->offset = size;
    if (size < node->data.len) {
        keep(u, node->data.ptr + size, node->data.len - (size_t)size);
    }
    resize(d, node, size);
    node->modified_ms = world_wall_ms(&d->host->world);
}

void disk_sync(struct disk *d, struct inode *node) {
    if (++d->syncs == d->lie_at) {
        return;
    }
    if (node->unsynced_count != 0) {
        forget_unsynced(node, node->unsynced_count);
    }
    if (!d->host->sim->strict_directories) {
        journal_forget(d, d->journal_count);
    } else if (node->is_dir) {
        journal_forget_directory(d, node);
    }
    if (d->slow) {
        sim_stall(&d->host->world, dist_draw(&d->sync_latency_us, &d->host->disk_rng));
    }
}

/* ---- power failure */

/* Takes a change back; `other` then holds what it had written. */
static void take_back(struct disk *d, struct inode *node, struct unsynced *u) {
    struct unsynced done = {
        .at_us = u->at_us, .cut = u->cut, .offset = u->offset, .len = u->len, .old_size = u->old_size};
    if (!u->cut) {
        keep(&done, node->data.ptr + u->offset, (size_t)u->len);
    }
    resize(d, node, u->old_size);
    if (u->kept != 0) {
        memcpy(node->data.ptr + u->offset, u->other, u->kept);
    }
    mem_free(u->other);
    *u = done;
}

/* Does the first `len` bytes of it again. */
static void do_again(struct disk *d, struct inode *node, const struct unsynced *u, uint64_t len) {
    if (u->cut) {
        resize(d, node, u->offset);
        return;
    }
    if (u->offset + len > node->data.len) {
        resize(d, node, u->offset + len);
    }
    if (len != 0) {
        memcpy(node->data.ptr + u->offset, u->other, (size_t)len);
    }
}

/* How much of a write of that length reached the platter: nothing, some sectors, all. */
static uint64_t torn_len(struct rng *r, uint64_t len) {
    switch (rng_below(r, 4)) {
    case 0:
        return 0;
    case 1:
        return len <= SECTOR ? 0 : rng_below(r, len / SECTOR + 1) * SECTOR;
    default:
        return len;
    }
}

static void lose_contents(struct disk *d, struct inode *node) {
    uint64_t now_us = d->host->sim->now_us;
    size_t first = 0;
    while (first < node->unsynced_count && now_us - node->unsynced[first].at_us > DATA_DURABLE_AFTER_US) {
        first++;
    }
    for (size_t i = node->unsynced_count; i-- > first;) {
        take_back(d, node, &node->unsynced[i]);
    }
    bool any_order = rng_chance(&d->host->disk_rng, 500000);
    for (size_t i = first; i < node->unsynced_count; i++) {
        uint64_t len = torn_len(&d->host->disk_rng, node->unsynced[i].len);
        if (len != 0 || node->unsynced[i].cut) {
            do_again(d, node, &node->unsynced[i], len);
        }
        if (len < node->unsynced[i].len && !any_order) {
            break;
        }
    }
    if (node->unsynced_count != 0) {
        forget_unsynced(node, node->unsynced_count);
    }
}

static void lose_tree(struct disk *d, struct inode *node) {
    lose_contents(d, node);
    for (size_t i = 0; i < node->entry_count; i++) {
        lose_tree(d, node->entries[i].node);
    }
}

static void lose_entries(struct disk *d) {
    size_t first = durable_by_age(d);
    first += rng_below(&d->host->disk_rng, d->journal_count - first + 1);
    for (size_t i = d->journal_count; i-- > first;) {
        struct journal_item *item = &d->journal[i];
        for (size_t c = item->count; c-- > 0;) {
            directory_set(d, item->changes[c].dir, item->changes[c].name, inode_ref(item->changes[c].old));
        }
    }
    journal_forget(d, d->journal_count);
}

void disk_lose_unsynced(struct disk *d) {
    lose_entries(d);
    lose_tree(d, d->root);
}

/* ---- faults */

bool disk_allows(struct disk *d, enum sim_file_op op, const char *path, struct error *err) {
    if (d->host->crashing) {
        return error_set(err, "world/io", "%s: the actor has crashed", path);
    }
    d->ops++;
    if (d->fail_at != 0 && d->ops == d->fail_at) {
        d->fail_at = 0;
        return error_set(err, d->fail_kind, "%s: injected failure", path);
    }
    if (d->dead_at != 0 && d->ops >= d->dead_at) {
        return error_set(err, "world/io", "%s: the machine is dying", path);
    }
    struct sim_disk_fault *f = &d->fault;
    if ((f->ops & op) == 0 ||
        (d->fault_prefix != NULL && strncmp(path, d->fault_prefix, strlen(d->fault_prefix)) != 0) ||
        (f->chance_ppm != 0 && !rng_chance(&d->host->disk_rng, f->chance_ppm))) {
        return true;
    }
    if (f->times != 0 && --f->times == 0) {
        f->ops = 0;
    }
    return error_set(err, f->kind, "%s: injected failure", path);
}

void sim_disk_fault(struct world *host, const struct sim_disk_fault *fault) {
    struct disk *d = host_of(host)->disk;
    mem_free(d->fault_prefix);
    d->fault = fault != NULL ? *fault : (struct sim_disk_fault){0};
    d->fault_prefix = str_dup(d->fault.prefix);
    d->fault.prefix = NULL;
}

void sim_disk_capacity(struct world *host, uint64_t bytes) {
    host_of(host)->disk->capacity = bytes;
}

void sim_disk_latency(struct world *host, const struct dist *per_sync_us) {
    struct disk *d = host_of(host)->disk;
    d->slow = per_sync_us != NULL;
    if (per_sync_us != NULL) {
        d->sync_latency_us = *per_sync_us;
    }
}

uint64_t sim_disk_used(const struct world *host) {
    return host_of(host)->disk->used;
}

uint64_t sim_file_op_count(const struct world *host) {
    return host_of(host)->disk->ops;
}

void sim_file_fail_after(struct world *host, uint64_t n, const char *kind) {
    struct disk *d = host_of(host)->disk;
    d->fail_at = n != 0 ? d->ops + n : 0;
    d->fail_kind = kind;
}

void sim_disk_die_after(struct world *host, uint64_t n) {
    struct disk *d = host_of(host)->disk;
    d->dead_at = n != 0 ? d->ops + n : 0;
}

bool sim_disk_dying(const struct world *host) {
    const struct disk *d = host_of(host)->disk;
    return d->dead_at != 0 && d->ops >= d->dead_at;
}

uint64_t sim_disk_sync_count(const struct world *host) {
    return host_of(host)->disk->syncs;
}

void sim_disk_lie_at_sync(struct world *host, uint64_t n) {
    struct disk *d = host_of(host)->disk;
    d->lie_at = n != 0 ? d->syncs + n : 0;
}

/* ---- */

void disk_trace(struct disk *d, const char *op, const char *path, struct span bytes) {
    char text[320]; /* every write comes here: put together by hand */
    size_t op_len = strlen(op), path_len = strnlen(path, 300);
    assert(op_len + path_len + 2 <= sizeof(text));
    memcpy(text, op, op_len);
    text[op_len] = ' ';
    memcpy(text + op_len + 1, path, path_len);
    text[op_len + 1 + path_len] = '\0';
    sim_trace(d->host->sim, d->host, SIM_EVENT_FILE, 0, false, text, bytes);
}

struct disk *sim_disk_new(struct sim_host *h) {
    struct disk *d = mem_zalloc(sizeof(*d));
    d->host = h;
    d->root = inode_new(d, true, 0755);
    list_init(&d->files);
    list_init(&d->vfs_files);
    list_init(&d->watches);
    return d;
}

void sim_disk_free(struct disk *d) {
    journal_forget(d, d->journal_count);
    mem_free(d->journal); /* emptied by syncs of directories, its memory stays */
    inode_unref(d, d->root);
    mem_free(d->fault_prefix);
    mem_free(d);
}
