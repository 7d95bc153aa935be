#include "tests/support/fault_disk.h"

#include <stdlib.h>

#include "base/memory.h"

uint64_t disk_next_random(struct fault_fs *d)
{
    d->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = d->random;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* --- names ---------------------------------------------------------------------------------- */

struct entry *disk_look_up(struct names *n, const char *path)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->entries[i].path, path) == 0)
            return &n->entries[i];
    return NULL;
}

static void unlink_name(struct names *n, const char *path)
{
    struct entry *e = disk_look_up(n, path);
    if (!e)
        return;
    free(e->path);
    *e = n->entries[--n->count]; /* order is no promise of a directory */
}

void disk_link_name(struct names *n, const char *path, struct node *node)
{
    unlink_name(n, path);
    n->entries = xrealloc(n->entries, (n->count + 1) * sizeof *n->entries);
    n->entries[n->count++] = (struct entry){xstrdup(path), node};
}

void disk_apply(struct names *n, const struct change *c)
{
    if (c->remove)
        unlink_name(n, c->remove);
    if (c->add)
        disk_link_name(n, c->add, c->node);
}

void disk_change_names(struct fault_fs *d, const char *remove, const char *add, struct node *node)
{
    struct change c = {xstrdup(remove), xstrdup(add), node};
    disk_apply(&d->now, &c);
    d->changes = xrealloc(d->changes, (d->change_count + 1) * sizeof *d->changes);
    d->changes[d->change_count++] = c;
}

bool disk_is_in(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return path && strncmp(path, dir, len) == 0 && path[len] == '/' && !strchr(path + len + 1, '/');
}

void disk_forget_change(struct change *c)
{
    free(c->remove);
    free(c->add);
}

/* --- content -------------------------------------------------------------------------------- */

struct node *disk_make_node(struct fault_fs *d, bool is_directory)
{
    struct node *n = xcalloc(1, sizeof *n);
    n->is_directory = is_directory;
    n->next = d->nodes;
    d->nodes = n;
    return n;
}

void disk_mark_dirty(struct node *n, size_t from, size_t to)
{
    size_t sectors = (to + SECTOR_BYTES - 1) / SECTOR_BYTES;
    if (sectors > n->dirty_count) {
        n->dirty = xrealloc(n->dirty, sectors);
        memset(n->dirty + n->dirty_count, 0, sectors - n->dirty_count);
        n->dirty_count = sectors;
    }
    for (size_t i = from / SECTOR_BYTES; i < sectors; i++)
        n->dirty[i] = 1;
}

void disk_set_len(struct node *n, size_t len)
{
    if (len > n->now_capacity) {
        n->now_capacity = len;
        n->now = xrealloc(n->now, len);
    }
    if (len > n->now_len)
        memset(n->now + n->now_len, 0, len - n->now_len);
    n->now_len = len;
}

void disk_make_durable(struct node *n)
{
    n->durable = xrealloc(n->durable, n->now_len ? n->now_len : 1);
    if (n->now_len > 0)
        memcpy(n->durable, n->now, n->now_len);
    n->durable_len = n->now_len;
    n->dirty_count = 0;
}

/* What the platter holds: per unsynced sector the old bytes or the new ones. */
void disk_forget_unsynced(struct fault_fs *d, struct node *n)
{
    size_t len = disk_next_random(d) & 1 ? n->now_len : n->durable_len;
    uint8_t *left = xcalloc(1, len ? len : 1);
    memcpy(left, n->durable ? n->durable : left, n->durable_len < len ? n->durable_len : len);
    /* Sometimes nothing or all of it made it, else each sector for itself. */
    uint64_t mood = disk_next_random(d) % 4;
    for (size_t i = 0; i < n->dirty_count; i++) {
        size_t at = i * SECTOR_BYTES, end = at + SECTOR_BYTES;
        if (end > n->now_len)
            end = n->now_len;
        if (end > len)
            end = len;
        bool survives = mood == 0 || (mood > 1 && disk_next_random(d) & 1);
        if (n->dirty[i] && survives && at < end)
            memcpy(left + at, n->now + at, end - at);
    }
    free(n->now);
    n->now = left;
    n->now_len = n->now_capacity = len;
    disk_make_durable(n);
}

static bool has_name(const struct fault_fs *d, const struct node *node)
{
    for (size_t i = 0; i < d->now.count; i++)
        if (d->now.entries[i].node == node)
            return true;
    return false;
}

/* A file without a name keeps its room while somebody has it open. */
uint64_t fault_fs_bytes(const struct fault_fs *d)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < d->now.count; i++)
        bytes += d->now.entries[i].node->now_len;
    for (const struct node *n = d->nodes; n; n = n->next)
        if (n->uses > 0 && !has_name(d, n))
            bytes += n->now_len;
    return bytes;
}

bool disk_has_room(struct fault_fs *d, struct node *n, uint64_t len)
{
    return d->capacity == 0 || len <= n->now_len ||
           fault_fs_bytes(d) + (len - n->now_len) <= d->capacity;
}

void disk_clear_names(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->entries[i].path);
    free(n->entries);
    *n = (struct names){0};
}
