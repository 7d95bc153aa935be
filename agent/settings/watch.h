/*
 * Keeps the settings as they should be while the service runs: notices a
 * change (inotify where there is one, a look every 30 s everywhere), repairs
 * it within a minute, and counts.
 *
 *   change ──1 s──▶ plan ──differs──▶ apply ──▶ repairs_total + 1
 *                                  └── the same file again and again ──▶ conflict
 *
 * A foreign manager that keeps rewriting a file is not fought forever: after
 * four repairs of one file within ten minutes the watch reports a conflict and
 * doubles its pause, up to an hour, until the file holds still.
 * Belongs to the loop's thread.
 */
#ifndef AGENT_SETTINGS_WATCH_H
#define AGENT_SETTINGS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/settings/settings.h"
#include "base/clock.h"
#include "core/event/loop.h"
#include "core/log/log.h"

struct settings_watch;

struct settings_watch_status {
    uint64_t repairs_total; /* files put back since create */
    uint64_t failures_total;
    bool conflict; /* another program keeps rewriting a file of ours */
    char conflict_path[512];
    uint64_t next_try_ns;    /* wall clock; when a conflict is looked at again */
    struct error last_error; /* kind FAIL_NONE when the last look was fine */
    uint64_t last_repair_ns; /* wall clock; 0: none */
    char last_diff[2048];    /* of that repair, secrets masked, cut to fit */
};

/*
 * Fills `out` with what the settings should be now; called for every look, so
 * that users, versions and addresses found later count. What it points to must
 * stay valid until the next call. False: keep everything as it is.
 */
typedef bool settings_wanted(void *context, struct settings_options *out, struct error *err);

struct settings_watch_options {
    const char *root;
    settings_wanted *wanted;
    void *context;
    const struct fs *fs;       /* borrowed */
    const struct clock *clock; /* borrowed */
    struct log *log;           /* may be NULL */
    uint32_t settle_ms;        /* from a change to the look at it; 0: 1000 */
    uint32_t look_ms;          /* between regular looks; 0: 30000 */
};

/* Looks once right away (from the loop). NULL on failure. The caller destroys before the loop. */
struct settings_watch *settings_watch_create(struct loop *loop,
                                             const struct settings_watch_options *options,
                                             struct error *err);
void settings_watch_destroy(struct settings_watch *watch); /* NULL is fine */

/* Looks again soon: the configuration, the relay's port or a user's e-mail changed. */
void settings_watch_poke(struct settings_watch *watch);

void settings_watch_status(const struct settings_watch *watch, struct settings_watch_status *out);

#endif
