/* The disk behind fault_fs.h: files with two contents, names with two directories. Include nowhere else. */
#ifndef TESTS_SUPPORT_FAULT_DISK_H
#define TESTS_SUPPORT_FAULT_DISK_H

#include <pthread.h>

#include "tests/support/fault_fs.h"

enum { SECTOR_BYTES = 512 };

/* A file's two contents. Lives as long as a name, a durable name or a handle points at it. */
struct node {
    struct node *next;
    uint8_t *now, *durable;
    size_t now_len, durable_len, now_capacity;
    uint8_t *dirty; /* a byte per sector written since the last sync */
    size_t dirty_count;
    bool is_directory;
    bool locked;
    unsigned uses; /* by handles; names are searched */
};

struct entry {
    char *path;
    struct node *node;
};

struct names {
    struct entry *entries;
    size_t count;
};

/* A change of names that is not durable yet. */
struct change {
    char *remove; /* or NULL */
    char *add;    /* or NULL */
    struct node *node;
};

struct fs_file {
    struct node *node;
    bool can_write;
    bool locks;
    unsigned life; /* handles of an earlier life are dead */
};

struct fault_fs {
    pthread_mutex_t mutex;
    struct node *nodes;
    struct names now, durable;
    struct change *changes;
    size_t change_count;
    uint64_t random;
    enum fault fault;
    unsigned countdown; /* 0: not armed */
    bool fired, crashed, read_only;
    unsigned failing_reads, failing_syncs;
    uint64_t capacity;
    uint64_t syncs, writes;
    unsigned life;
};

uint64_t disk_next_random(struct fault_fs *d);
struct entry *disk_look_up(struct names *n, const char *path);
void disk_change_names(struct fault_fs *d, const char *remove, const char *add, struct node *node);
bool disk_is_in(const char *path, const char *dir);
void disk_forget_change(struct change *c);
struct node *disk_make_node(struct fault_fs *d, bool is_directory);
void disk_mark_dirty(struct node *n, size_t from, size_t to);
void disk_set_len(struct node *n, size_t len);
void disk_make_durable(struct node *n);
void disk_forget_unsynced(struct fault_fs *d, struct node *n);
bool disk_has_room(struct fault_fs *d, struct node *n, uint64_t len);
void disk_clear_names(struct names *n);
void disk_apply(struct names *n, const struct change *c);
void disk_link_name(struct names *n, const char *path, struct node *node);

#endif
