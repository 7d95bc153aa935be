/*
 * Whether to put a file back once more, or to leave it for a while because
 * another program keeps rewriting it; and what is told of that. `run` keeps it
 * while it runs, `apply --repair` in a file of root's between its runs.
 */
#ifndef AGENT_SETTINGS_DRIFT_H
#define AGENT_SETTINGS_DRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/settings/settings.h"

enum {
    DRIFT_REPAIRS = 4,                    /* so many of one file ... */
    DRIFT_WINDOW_MS = 10 * 60 * 1000,     /* ... within this time are a conflict */
    DRIFT_FIRST_PAUSE_MS = 60 * 1000,     /* then we wait, twice as long each time, */
    DRIFT_LONGEST_PAUSE_MS = 3600 * 1000, /* at most so long */
    DRIFT_DIFF_BYTES = 2048,
};

struct drift_file {
    char *path;
    uint64_t repaired_ms[DRIFT_REPAIRS]; /* the latest, newest first */
    size_t repairs;
    uint64_t pause_ms;
    uint64_t resume_ms; /* left alone until then */
    bool conflict;
};

struct drift {
    struct drift_file *files;
    size_t count;
    uint64_t repairs_total;
    uint64_t last_ns;                 /* wall clock: when something was put back last; 0: never */
    char last_diff[DRIFT_DIFF_BYTES]; /* what that was, secrets masked, cut to fit */
};

void drift_clear(struct drift *drift);

/* The file differs. True: put it back now (which is counted); false: leave it. */
bool drift_may_repair(struct drift *drift, const char *path, uint64_t now_ms);

/* The file is as it should be: once that has lasted, a conflict is over. */
void drift_settled(struct drift *drift, const char *path, uint64_t now_ms);

/* The file in conflict that is tried next; NULL when there is none. */
const struct drift_file *drift_conflict(const struct drift *drift);

/* Takes out of the plan what has to wait; keeps the difference of what is put back. */
void drift_choose(struct drift *drift, struct settings_plan *plan, uint64_t now_ms);

/* Counts what was put back. */
void drift_note(struct drift *drift, const struct settings_result *result, uint64_t wall_ns);

/* From and to <first states>/drift.json. Missing or damaged is nothing known; times are wall-clock
 * milliseconds, and one that lies further ahead than any pause counts as past. */
void drift_read(struct drift *drift, const char *root, const struct fs *fs, uint64_t now_ms);
void drift_forget(const char *root, const struct fs *fs); /* removes the file */
MUST_USE bool drift_write(const struct drift *drift, const char *root, const struct fs *fs,
                          struct error *err);

#endif
