#include "tests/support/fault_fs.h"

#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "tests/support/fault_disk.h"

/* --- every operation starts here ------------------------------------------------------------ */

enum outcome { OUTCOME_DONE, OUTCOME_FAILED, OUTCOME_CUT_SHORT };

static enum outcome next_outcome(struct fault_fs *d, struct error *err)
{
    if (d->crashed) {
        error_set_os(err, EIO, "injected fault");
        return OUTCOME_FAILED;
    }
    if (d->read_only) {
        error_set_os(err, EROFS, "injected fault");
        return OUTCOME_FAILED;
    }
    if (d->countdown == 0 || --d->countdown > 0)
        return OUTCOME_DONE;
    error_set_os(err, EIO, "injected fault"); /* a good line for a breakpoint */
    d->fired = true;
    d->crashed = d->fault == FAULT_CRASH;
    return d->crashed ? OUTCOME_CUT_SHORT : OUTCOME_FAILED;
}

static bool is_alive(struct fault_fs *d, const struct fs_file *f, struct error *err)
{
    if (f->life == d->life && !d->crashed)
        return true;
    return error_set_os(err, EIO, "injected fault");
}

/* Half the time an operation cut short by the crash was done all the same. */
static bool survives(struct fault_fs *d, enum outcome outcome)
{
    return outcome == OUTCOME_DONE || (outcome == OUTCOME_CUT_SHORT && disk_next_random(d) & 1);
}

#define LOCKED(d) pthread_mutex_lock(&(d)->mutex)
#define UNLOCKED(d) pthread_mutex_unlock(&(d)->mutex)

static struct fs_file *fault_open(void *disk, const char *path, unsigned how, uint32_t mode,
                                  struct error *err)
{
    (void)mode;
    struct fault_fs *d = disk;
    struct fs_file *file = NULL;
    LOCKED(d);
    struct entry *e = disk_look_up(&d->now, path);
    struct node *node = e ? e->node : NULL;
    if (d->crashed) {
        error_set_os(err, EIO, "injected fault");
    } else if (!node && !(how & FS_CREATE)) {
        error_set_os(err, ENOENT, "cannot open '%s'", path);
    } else if (node && how & FS_EXCLUSIVE) {
        error_set_os(err, EEXIST, "cannot open '%s'", path);
    } else {
        enum outcome outcome = node ? OUTCOME_DONE : next_outcome(d, err);
        if (!node && survives(d, outcome)) {
            node = disk_make_node(d, false);
            disk_change_names(d, NULL, path, node);
        }
        if (node && outcome == OUTCOME_DONE) {
            file = xcalloc(1, sizeof *file);
            *file = (struct fs_file){node, (how & FS_WRITE) != 0, false, d->life};
            node->uses++;
        }
    }
    UNLOCKED(d);
    return file;
}

static void fault_close(void *disk, struct fs_file *file)
{
    struct fault_fs *d = disk;
    if (!file)
        return;
    LOCKED(d);
    if (file->life == d->life) {
        file->node->uses--;
        if (file->locks)
            file->node->locked = false;
    }
    UNLOCKED(d);
    free(file);
}

static bool fault_write_at(void *disk, struct fs_file *file, uint64_t offset, struct bytes content,
                           struct error *err)
{
    struct fault_fs *d = disk;
    LOCKED(d);
    bool ok = is_alive(d, file, err);
    d->writes++;
    if (ok && !file->can_write)
        ok = error_set_os(err, EBADF, "cannot write");
    if (ok && !disk_has_room(d, file->node, offset + content.len))
        ok = error_set_os(err, ENOSPC, "cannot write");
    if (ok && content.len > 0) {
        enum outcome outcome = next_outcome(d, err);
        size_t len = content.len;
        if (outcome != OUTCOME_DONE)
            len = d->read_only ? 0 : (size_t)(disk_next_random(d) % (len + 1));
        ok = outcome == OUTCOME_DONE;
        if (len > 0) {
            struct node *n = file->node;
            if (offset + len > n->now_len)
                disk_set_len(n, (size_t)offset + len);
            memcpy(n->now + offset, content.data, len);
            disk_mark_dirty(n, (size_t)offset, (size_t)offset + len);
        }
    }
    UNLOCKED(d);
    return ok;
}

static bool fault_read_at(void *disk, struct fs_file *file, uint64_t offset, void *into, size_t len,
                          size_t *got, struct error *err)
{
    struct fault_fs *d = disk;
    LOCKED(d);
    bool ok = is_alive(d, file, err);
    *got = 0;
    if (ok && d->failing_reads > 0) {
        d->failing_reads--;
        ok = error_set_os(err, EIO, "injected fault");
    }
    if (ok && offset < file->node->now_len) {
        size_t there = file->node->now_len - (size_t)offset;
        *got = len < there ? len : there;
        memcpy(into, file->node->now + offset, *got);
    }
    UNLOCKED(d);
    return ok;
}

static bool resize(struct fault_fs *d, struct fs_file *file, uint64_t len, bool may_shrink,
                   struct error *err)
{
    bool ok = is_alive(d, file, err);
    if (ok && !disk_has_room(d, file->node, len))
        ok = error_set_os(err, ENOSPC, "cannot resize");
    if (ok && (may_shrink || len > file->node->now_len)) {
        enum outcome outcome = next_outcome(d, err);
        ok = outcome == OUTCOME_DONE;
        if (survives(d, outcome)) {
            size_t old = file->node->now_len;
            disk_set_len(file->node, (size_t)len);
            if (len > old)
                disk_mark_dirty(file->node, old, (size_t)len);
        }
    }
    return ok;
}

static bool fault_allocate(void *disk, struct fs_file *file, uint64_t size_bytes, struct error *err)
{
    LOCKED((struct fault_fs *)disk);
    bool ok = resize(disk, file, size_bytes, false, err);
    UNLOCKED((struct fault_fs *)disk);
    return ok;
}

static bool fault_truncate(void *disk, struct fs_file *file, uint64_t size_bytes, struct error *err)
{
    LOCKED((struct fault_fs *)disk);
    bool ok = resize(disk, file, size_bytes, true, err);
    UNLOCKED((struct fault_fs *)disk);
    return ok;
}

static bool fault_size(void *disk, struct fs_file *file, uint64_t *size_bytes, struct error *err)
{
    struct fault_fs *d = disk;
    LOCKED(d);
    bool ok = is_alive(d, file, err);
    *size_bytes = file->node->now_len;
    UNLOCKED(d);
    return ok;
}

static bool fault_sync(void *disk, struct fs_file *file, struct error *err)
{
    struct fault_fs *d = disk;
    LOCKED(d);
    d->syncs++;
    bool ok = is_alive(d, file, err);
    if (ok && d->failing_syncs > 0) {
        d->failing_syncs--;
        ok = error_set_os(err, EIO, "injected fault");
    }
    if (ok) {
        enum outcome outcome = next_outcome(d, err);
        ok = outcome == OUTCOME_DONE;
        if (ok)
            disk_make_durable(file->node);
        else if (outcome == OUTCOME_FAILED) /* the kernel drops what it could not write */
            file->node->dirty_count = 0;
    }
    UNLOCKED(d);
    return ok;
}

static bool fault_lock(void *disk, struct fs_file *file, struct error *err)
{
    struct fault_fs *d = disk;
    LOCKED(d);
    bool ok = is_alive(d, file, err);
    if (ok && file->node->locked)
        ok = error_set(err, FAIL_BUSY, "in use by another process");
    if (ok)
        file->node->locked = file->locks = true;
    UNLOCKED(d);
    return ok;
}

static bool fault_rename(void *disk, const char *from, const char *to, struct error *err)
{
    struct fault_fs *d = disk;
    LOCKED(d);
    enum outcome outcome = next_outcome(d, err);
    struct entry *e = disk_look_up(&d->now, from);
    bool ok = outcome == OUTCOME_DONE;
    if (!e && ok)
        ok = error_set_os(err, ENOENT, "cannot rename '%s'", from);
    else if (e && survives(d, outcome))
        disk_change_names(d, from, to, e->node);
    UNLOCKED(d);
    return ok;
}

static bool fault_remove(void *disk, const char *path, struct error *err)
{
    struct fault_fs *d = disk;
    LOCKED(d);
    struct entry *e = disk_look_up(&d->now, path);
    bool ok;
    if (!e) {
        ok = error_set_os(err, ENOENT, "cannot remove '%s'", path);
    } else {
        enum outcome outcome = next_outcome(d, err);
        ok = outcome == OUTCOME_DONE;
        if (survives(d, outcome))
            disk_change_names(d, path, NULL, NULL);
    }
    UNLOCKED(d);
    return ok;
}

static bool fault_make_dir(void *disk, const char *path, uint32_t mode, struct error *err)
{
    (void)mode;
    struct fault_fs *d = disk;
    LOCKED(d);
    bool ok = true;
    if (!disk_look_up(&d->now, path)) {
        enum outcome outcome = next_outcome(d, err);
        ok = outcome == OUTCOME_DONE;
        if (survives(d, outcome))
            disk_change_names(d, NULL, path, disk_make_node(d, true));
    }
    UNLOCKED(d);
    return ok;
}

static bool fault_sync_dir(void *disk, const char *dir, struct error *err)
{
    struct fault_fs *d = disk;
    LOCKED(d);
    bool ok = next_outcome(d, err) == OUTCOME_DONE;
    size_t kept = 0;
    for (size_t i = 0; ok && i < d->change_count; i++) {
        struct change *c = &d->changes[i];
        if (disk_is_in(c->remove, dir) || disk_is_in(c->add, dir)) {
            disk_apply(&d->durable, c);
            disk_forget_change(c);
        } else {
            d->changes[kept++] = *c;
        }
    }
    if (ok)
        d->change_count = kept;
    UNLOCKED(d);
    return ok;
}

static bool fault_stat(void *disk, const char *path, struct fs_stat *out, struct error *err)
{
    struct fault_fs *d = disk;
    LOCKED(d);
    struct entry *e = disk_look_up(&d->now, path);
    bool ok = !d->crashed || error_set_os(err, EIO, "injected fault");
    if (ok && !e)
        ok = error_set_os(err, ENOENT, "cannot look at '%s'", path);
    if (ok)
        *out = (struct fs_stat){.size_bytes = e->node->now_len,
                                .mode = 0600,
                                .is_directory = e->node->is_directory};
    UNLOCKED(d);
    return ok;
}

static bool fault_list(void *disk, const char *dir, fs_visit *visit, void *context,
                       struct error *err)
{
    struct fault_fs *d = disk;
    LOCKED(d);
    size_t count = 0;
    char **found = xcalloc(d->now.count + 1, sizeof *found);
    bool ok = !d->crashed || error_set_os(err, EIO, "injected fault");
    if (ok && !disk_look_up(&d->now, dir))
        ok = error_set_os(err, ENOENT, "cannot open directory '%s'", dir);
    for (size_t i = 0; ok && i < d->now.count; i++)
        if (disk_is_in(d->now.entries[i].path, dir))
            found[count++] = xstrdup(d->now.entries[i].path + strlen(dir) + 1);
    UNLOCKED(d);
    for (size_t i = 0; i < count && visit(context, found[i]); i++)
        ;
    for (size_t i = 0; i < count; i++)
        free(found[i]);
    free(found);
    return ok;
}

static bool fault_free_bytes(void *disk, const char *path, uint64_t *out, struct error *err)
{
    (void)path;
    (void)err;
    struct fault_fs *d = disk;
    LOCKED(d);
    uint64_t used = fault_fs_bytes(d);
    *out = d->capacity == 0 ? UINT64_MAX / 2 : d->capacity > used ? d->capacity - used : 0;
    UNLOCKED(d);
    return true;
}

static bool fault_total_bytes(void *disk, const char *path, uint64_t *out, struct error *err)
{
    (void)path;
    (void)err;
    struct fault_fs *d = disk;
    LOCKED(d);
    *out = d->capacity == 0 ? UINT64_MAX / 2 : d->capacity;
    UNLOCKED(d);
    return true;
}

struct fs fault_fs_table(struct fault_fs *disk)
{
    return (struct fs){.disk = disk,
                       .open = fault_open,
                       .close = fault_close,
                       .write_at = fault_write_at,
                       .read_at = fault_read_at,
                       .allocate = fault_allocate,
                       .truncate = fault_truncate,
                       .size = fault_size,
                       .sync = fault_sync,
                       .lock = fault_lock,
                       .rename = fault_rename,
                       .remove = fault_remove,
                       .make_dir = fault_make_dir,
                       .sync_dir = fault_sync_dir,
                       .stat = fault_stat,
                       .list = fault_list,
                       .free_bytes = fault_free_bytes,
                       .total_bytes = fault_total_bytes};
}

/* --- what tests do to it -------------------------------------------------------------------- */

struct fault_fs *fault_fs_create(uint64_t seed)
{
    struct fault_fs *d = xcalloc(1, sizeof *d);
    pthread_mutex_init(&d->mutex, NULL);
    d->random = seed;
    return d;
}

void fault_fs_destroy(struct fault_fs *d)
{
    if (!d)
        return;
    disk_clear_names(&d->now);
    disk_clear_names(&d->durable);
    for (size_t i = 0; i < d->change_count; i++)
        disk_forget_change(&d->changes[i]);
    free(d->changes);
    while (d->nodes) {
        struct node *next = d->nodes->next;
        free(d->nodes->now);
        free(d->nodes->durable);
        free(d->nodes->dirty);
        free(d->nodes);
        d->nodes = next;
    }
    pthread_mutex_destroy(&d->mutex);
    free(d);
}

void fault_fs_arm(struct fault_fs *d, enum fault fault, unsigned nth)
{
    d->fault = fault;
    d->countdown = nth;
    d->fired = false;
}

bool fault_fs_fired(const struct fault_fs *d)
{
    return d->fired;
}

void fault_fs_stop(struct fault_fs *d)
{
    d->crashed = true;
}

void fault_fs_kill(struct fault_fs *d)
{
    d->life++;
    d->crashed = false;
    d->countdown = 0;
    for (struct node *n = d->nodes; n; n = n->next) {
        n->locked = false;
        n->uses = 0;
    }
}

void fault_fs_power_loss(struct fault_fs *d)
{
    fault_fs_kill(d);
    size_t survive =
        d->change_count > 0 ? (size_t)(disk_next_random(d) % (d->change_count + 1)) : 0;
    for (size_t i = 0; i < d->change_count; i++) {
        if (i < survive)
            disk_apply(&d->durable, &d->changes[i]);
        disk_forget_change(&d->changes[i]);
    }
    d->change_count = 0;
    for (struct node *n = d->nodes; n; n = n->next)
        disk_forget_unsynced(d, n);
    disk_clear_names(&d->now);
    for (size_t i = 0; i < d->durable.count; i++)
        disk_link_name(&d->now, d->durable.entries[i].path, d->durable.entries[i].node);
}

void fault_fs_set_capacity(struct fault_fs *d, uint64_t bytes)
{
    d->capacity = bytes;
}

void fault_fs_set_read_only(struct fault_fs *d, bool read_only)
{
    d->read_only = read_only;
}

void fault_fs_fail_reads(struct fault_fs *d, unsigned count)
{
    d->failing_reads = count;
}

void fault_fs_fail_syncs(struct fault_fs *d, unsigned count)
{
    d->failing_syncs = count;
}

size_t fault_fs_file_count(const struct fault_fs *d)
{
    size_t count = 0;
    for (size_t i = 0; i < d->now.count; i++)
        count += !d->now.entries[i].node->is_directory;
    return count;
}

uint64_t fault_fs_sync_count(const struct fault_fs *d)
{
    return d->syncs;
}

uint64_t fault_fs_write_count(const struct fault_fs *d)
{
    return d->writes;
}

const char *fault_fs_find(const struct fault_fs *d, const char *part, size_t index)
{
    const char *last = "";
    for (size_t found = 0;; found++) {
        const char *best = NULL;
        for (size_t i = 0; i < d->now.count; i++) {
            const char *path = d->now.entries[i].path;
            if (!d->now.entries[i].node->is_directory && strstr(path, part) &&
                strcmp(path, last) > 0 && (!best || strcmp(path, best) < 0))
                best = path;
        }
        if (!best || found == index)
            return best;
        last = best;
    }
}

uint8_t *fault_fs_content(struct fault_fs *d, const char *path, size_t *len)
{
    struct entry *e = disk_look_up(&d->now, path);
    *len = e ? e->node->now_len : 0;
    return e ? e->node->now : NULL;
}

void fault_fs_put(struct fault_fs *d, const char *path, struct bytes content)
{
    struct entry *e = disk_look_up(&d->now, path);
    struct node *n = e ? e->node : disk_make_node(d, false);
    if (!e) {
        disk_link_name(&d->now, path, n);
        disk_link_name(&d->durable, path, n);
    }
    disk_set_len(n, content.len);
    if (content.len > 0)
        memcpy(n->now, content.data, content.len);
    disk_make_durable(n);
}

void fault_fs_cut(struct fault_fs *d, const char *path, size_t len)
{
    struct entry *e = disk_look_up(&d->now, path);
    if (!e)
        return;
    disk_set_len(e->node, len);
    disk_make_durable(e->node);
}
