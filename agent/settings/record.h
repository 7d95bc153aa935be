/*
 * The first state seen of every file we touch, kept in a folder of root's alone
 * (platform_first_state_dir(), 0700) from before the first write until revert.
 *
 * One file each, "<hash of the path>.first": a line of JSON, then the original
 * bytes. For this folder only.
 */
#ifndef AGENT_SETTINGS_RECORD_H
#define AGENT_SETTINGS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "platform/fs.h"

struct record {
    char *home; /* struct fs_place, without the base */
    char *path;
    uint32_t uid, gid;
    char *user; /* NULL for the machine's */
    bool owned; /* the whole file is ours, not only variables in it */

    bool existed;
    uint32_t mode, owner_uid, owner_gid; /* of the original */
    struct buffer original;

    char **names; /* env variables we have ever written there */
    size_t name_count;
    char **folders; /* that we made, outermost first, as paths below home */
    size_t folder_count;
    uint64_t written; /* record_fingerprint() of what we wrote last; 0 before */
    uint64_t wish;    /* the same of the variables we wanted then; 0: not known */
};

void record_clear(struct record *record);
bool record_has_name(const struct record *record, const char *name);
void record_add_name(struct record *record, const char *name);
void record_add_folder(struct record *record, const char *path);

/* Tells contents apart, not proof against forgery: the file is root's. Never 0. */
uint64_t record_fingerprint(struct bytes content);

/* Durable when it returns true. */
MUST_USE bool record_store(const char *root, const struct fs *fs, const struct record *record,
                           struct error *err);
MUST_USE bool record_remove(const char *root, const struct fs *fs, const struct record *record,
                            struct error *err);

/* What a record file holds. FAIL_CORRUPT, naming `file`, when it is none of ours. */
MUST_USE bool record_parse(const char *file, struct bytes text, struct record *out,
                           struct error *err);
/* Whether an entry of the folder is a record. */
bool record_is_file(const char *name);

struct records {
    struct record *list;
    size_t count;
};

/* All records, in the order of their paths. A record that is damaged is FAIL_CORRUPT. */
MUST_USE bool records_read(const char *root, const struct fs *fs, struct records *out,
                           struct error *err);
void records_add(struct records *records, struct record *record); /* moved out of `record` */
void records_clear(struct records *records);
struct record *records_find(struct records *records, const char *home, const char *path);

#endif
