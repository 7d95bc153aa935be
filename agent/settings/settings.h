/*
 * Puts the telemetry settings into Claude Code's own files, keeps them there,
 * and takes them out again.
 *
 *   options ──▶ plan (what would change) ──▶ diff     for people
 *                                        └──▶ apply    first state remembered, then written
 *   what apply remembered ──▶ revert
 *
 * Two kinds of files: one managed file for the machine (a drop-in of ours, or a
 * merge into managed-settings.json) and `env` in every local user's
 * ~/.claude/settings.json. Files of others are edited byte by byte around the
 * change: foreign keys, their order, owner, mode and extended attributes stay.
 * A file that is not valid JSON is never written: its entry in the plan carries
 * the problem with line and column, and the other files go on.
 *
 * Everything lies below options->root. Used from one thread. What is known of
 * Claude Code's behaviour, per version, is in docs/claude-code-settings.md.
 */
#ifndef AGENT_SETTINGS_SETTINGS_H
#define AGENT_SETTINGS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/settings/claude.h"
#include "base/bytes.h"
#include "base/error.h"
#include "platform/fs.h"

struct settings_pair {
    const char *name;
    const char *value;
};

enum settings_mode {
    SETTINGS_RELAY,  /* Claude Code sends to the relay on this machine */
    SETTINGS_DIRECT, /* Claude Code sends to the destination itself */
};

enum settings_place {
    SETTINGS_AUTO,   /* drop-in where every installed Claude Code reads them, else merge */
    SETTINGS_DROPIN, /* managed-settings.d/90-claude-telemetry.json */
    SETTINGS_MERGE,  /* into managed-settings.json */
    SETTINGS_NONE,   /* no managed file */
};

/* A person's account on this machine. */
struct settings_user {
    const char *name;
    const char *sid; /* of Windows; NULL elsewhere */
    uint32_t uid;
    uint32_t gid;
    const char *home;  /* as the system names it, without the root */
    const char *email; /* NULL when unknown */

    /* Only for this user, values expanded: a destination's in direct mode, a local token. */
    const struct settings_pair *headers;
    size_t header_count;
    const struct settings_pair *attributes;
    size_t attribute_count;
};

struct settings_options {
    const char *root; /* "/" for the real machine */
    enum settings_mode mode;

    /* Where to send: the relay's "http://127.0.0.1:14318" or the destination's base URL. */
    const char *endpoint;
    /* Verbatim URLs that replace endpoint + "/v1/<signal>"; NULL where the base URL serves. */
    const char *metrics_endpoint;
    const char *logs_endpoint;
    const char *traces_endpoint;

    bool metrics, logs, traces;
    bool log_user_prompts;
    bool log_tool_details;

    /* For everyone on this machine. */
    const struct settings_pair *headers;
    size_t header_count;
    const struct settings_pair *resource_attributes;
    size_t resource_attribute_count;

    enum settings_place place;
    bool user_env;
    const struct settings_user *users;
    size_t user_count;

    const struct claude_installs *installs; /* what claude_find_installs() saw */

    /* A proxy this process knows of from its own configuration; NULL when none. Proxies named in
     * /etc/environment and in the settings files are found without it. */
    const char *proxy;
    const char *no_proxy;
};

enum settings_change {
    SETTINGS_UNCHANGED,
    SETTINGS_CREATE,
    SETTINGS_EDIT,
    SETTINGS_REMOVE,
    SETTINGS_BLOCKED, /* cannot be changed: see problem */
};

/* One file of a plan. Borrowed from the plan. */
struct settings_file {
    const char *path; /* below the root */
    const char *user; /* whose file; NULL for the machine's */
    enum settings_change change;
    struct bytes before; /* empty when it does not exist */
    struct bytes after;  /* empty when it is to be removed */
    uint32_t mode, uid, gid;
    bool drifted;                /* was as wanted, and somebody changed it since */
    const struct error *problem; /* SETTINGS_BLOCKED */
};

struct settings_plan;

/*
 * Works out what the files should hold. Writes nothing. NULL only when nothing
 * sensible can be planned (bad options, a damaged record of the first state);
 * a single bad file is SETTINGS_BLOCKED instead. `options` is borrowed for the
 * call; the caller destroys the result.
 */
struct settings_plan *settings_plan_create(const struct settings_options *options,
                                           const struct fs *fs, struct error *err);
void settings_plan_destroy(struct settings_plan *plan); /* NULL is fine */

size_t settings_plan_count(const struct settings_plan *plan);
struct settings_file settings_plan_file(const struct settings_plan *plan, size_t at);
size_t settings_plan_pending(const struct settings_plan *plan); /* files that differ */
size_t settings_plan_blocked(const struct settings_plan *plan);

/* Takes one file out of what apply will write, for now. */
void settings_plan_leave(struct settings_plan *plan, size_t at);

/* What an administrator should know: one sentence each, no secrets. */
size_t settings_plan_note_count(const struct settings_plan *plan);
const char *settings_plan_note(const struct settings_plan *plan, size_t at);

/*
 * Appends what would change, as a unified diff without context noise. Values
 * that may be secret (headers) show as "***". Empty when nothing differs.
 * False when `out` is full.
 */
MUST_USE bool settings_diff(const struct settings_plan *plan, struct buffer *out);

struct settings_result {
    size_t written;
    size_t removed;
    size_t repaired; /* of those written: files that had drifted */
    size_t failed;   /* blocked files included */
};

/*
 * Writes what differs. Before a file is touched for the first time its state is
 * stored durably below the state directory. Each file is written under a name
 * not ending in ".json", synced, read back, parsed, then renamed. A file that
 * changed since the plan is left alone (FAIL_BUSY: plan again). Goes on after a
 * failure; false with the first one, and `result` tells how many.
 */
MUST_USE bool settings_apply(struct settings_plan *plan, const struct fs *fs,
                             struct settings_result *result, struct error *err);

/*
 * Puts every file back to the first state seen. A file that others changed
 * since is kept but for our variables, which get their first values back.
 * Nothing to do is a success.
 */
MUST_USE bool settings_revert(const char *root, const struct fs *fs, struct settings_result *result,
                              struct error *err);

/*
 * Drift: how many files differ from what `options` asks for now. `diff`
 * (optional) gets the masked difference.
 */
MUST_USE bool settings_verify(const struct settings_options *options, const struct fs *fs,
                              size_t *drifted, struct buffer *diff, struct error *err);

#endif
