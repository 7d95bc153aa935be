/*
 * A disk in memory that fails on demand and forgets like a real one.
 *
 * Two versions of everything are kept: what programs see, and what would
 * survive power loss. sync() makes a file's content durable, sync_dir() the
 * names in a directory, and neither does the other's work. Power loss keeps
 * what is durable, and of the rest what chance decides: any of the 512-byte
 * sectors written since the last sync, old or new size, and the first few of
 * the name changes not yet synced. The seed makes that chance repeatable.
 */
#ifndef TESTS_SUPPORT_FAULT_FS_H
#define TESTS_SUPPORT_FAULT_FS_H

#include "platform/fs.h"

enum fault {
    FAULT_ERROR, /* one operation fails; a write may have been done in part */
    FAULT_CRASH, /* that operation is cut short; all later ones fail */
};

struct fault_fs;

struct fault_fs *fault_fs_create(uint64_t seed);
void fault_fs_destroy(struct fault_fs *disk);

/* The table to hand to the code under test; borrows `disk`. May be used from several threads. */
struct fs fault_fs_table(struct fault_fs *disk);

/* Arms a fault at the `nth` operation from now that can change the disk, counting from 1. */
void fault_fs_arm(struct fault_fs *disk, enum fault fault, unsigned nth);
bool fault_fs_fired(const struct fault_fs *disk);

/* The machine is back up: what was not durable is gone or half there, locks are free. */
void fault_fs_power_loss(struct fault_fs *disk);

/* From now every operation fails, until one of the two below: the end of the program as it sees it.
 */
void fault_fs_stop(struct fault_fs *disk);

/* The process died and the machine went on: handles and locks are gone, no byte is. */
void fault_fs_kill(struct fault_fs *disk);

void fault_fs_set_capacity(struct fault_fs *disk, uint64_t bytes); /* FAIL_NO_SPACE beyond it */
void fault_fs_set_read_only(struct fault_fs *disk, bool read_only);
void fault_fs_fail_reads(struct fault_fs *disk, unsigned count); /* the next `count` reads fail */
void fault_fs_fail_syncs(struct fault_fs *disk, unsigned count); /* the next `count` syncs fail */

uint64_t fault_fs_bytes(const struct fault_fs *disk);
size_t fault_fs_file_count(const struct fault_fs *disk);
uint64_t fault_fs_sync_count(const struct fault_fs *disk);
uint64_t fault_fs_write_count(const struct fault_fs *disk);

/* The path of the `index`th file whose name contains `part`, in order of names; NULL: none. */
const char *fault_fs_find(const struct fault_fs *disk, const char *part, size_t index);

/* The content programs see, to damage it; NULL when there is no such file. Durable at once. */
uint8_t *fault_fs_content(struct fault_fs *disk, const char *path, size_t *len);
void fault_fs_put(struct fault_fs *disk, const char *path, struct bytes content);
void fault_fs_cut(struct fault_fs *disk, const char *path, size_t len);

#endif
