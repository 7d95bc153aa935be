/* What plan.c, apply.c and diff.c share of a plan. For this folder only. */
#ifndef AGENT_SETTINGS_PLAN_H
#define AGENT_SETTINGS_PLAN_H

#include "agent/settings/environment.h"
#include "agent/settings/record.h"
#include "agent/settings/settings.h"

/* Settings files are text a person can read; more than this is none. */
enum { SETTINGS_MAX_BYTES = 16 * 1024 * 1024 };

/* A file as it lies on the disk now. */
struct present {
    bool exists;
    struct buffer content;
    uint32_t mode, uid, gid;
};

struct entry {
    struct record record; /* as it will be stored; names the place */
    bool has_record;      /* it is stored already */
    bool reverting;       /* goes back to the first state */
    bool drifted;         /* differs though what we want has not changed since we wrote it */
    char *shown;          /* path below the root, for people */

    enum settings_change change;
    struct present before;
    struct buffer after; /* when not SETTINGS_REMOVE */
    uint32_t mode, uid, gid;
    struct error problem;
};

struct settings_plan {
    char *root;
    struct entry *entries;
    size_t count;
    char **notes;
    size_t note_count;
};

struct fs_place entry_place(const char *root, const struct record *record);

/* The path of the file as a person is told it. The caller frees. */
char *entry_shown(const char *root, const struct record *record);

/* Reads what is there. A missing file or folder is a success with exists == false. */
MUST_USE bool present_read(const char *root, const struct fs *fs, const struct record *record,
                           struct present *out, struct error *err);
void present_clear(struct present *present);

/* Decides what a file that goes back to its first state will hold. False: entry->problem. */
bool entry_plan_revert(struct entry *entry);

void entry_clear(struct entry *entry);

/* Applies one entry; used by apply and revert alike. */
MUST_USE bool entry_write(const char *root, const struct fs *fs, struct entry *entry,
                          struct error *err);

#endif
