/*
 * Whether to put a file back once more, or to leave it for a while because
 * another program keeps rewriting it. Time comes in as a number.
 * For this folder only.
 */
#ifndef AGENT_SETTINGS_DRIFT_H
#define AGENT_SETTINGS_DRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DRIFT_REPAIRS = 4,                    /* so many of one file ... */
    DRIFT_WINDOW_MS = 10 * 60 * 1000,     /* ... within this time are a conflict */
    DRIFT_FIRST_PAUSE_MS = 60 * 1000,     /* then we wait, twice as long each time, */
    DRIFT_LONGEST_PAUSE_MS = 3600 * 1000, /* at most so long */
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
};

void drift_clear(struct drift *drift);

/* The file differs. True: put it back now (which is counted); false: leave it. */
bool drift_may_repair(struct drift *drift, const char *path, uint64_t now_ms);

/* The file is as it should be: once that has lasted, a conflict is over. */
void drift_settled(struct drift *drift, const char *path, uint64_t now_ms);

/* The file in conflict that is tried next; NULL when there is none. */
const struct drift_file *drift_conflict(const struct drift *drift);

#endif
