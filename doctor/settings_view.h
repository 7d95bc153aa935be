/*
 * What Claude Code makes of all its settings for one person: per variable the
 * value in force, where it comes from, and what it overrides.
 *
 *   shell < user settings < user policy < managed files < MDM profile < server-managed
 *
 * Among the managed ones the rules of agent/settings/sources.h decide; below
 * them those that docs/claude-code-settings.md tells per version. Project and
 * local settings are read too, but cannot set telemetry. A view never changes
 * after it was made.
 */
#ifndef DOCTOR_SETTINGS_VIEW_H
#define DOCTOR_SETTINGS_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/settings/claude.h"
#include "agent/settings/sources.h"
#include "base/bytes.h"
#include "platform/fs.h"

/* Where a value stands, weakest first. */
enum view_layer {
    VIEW_PROJECT, /* never in force */
    VIEW_SHELL,
    VIEW_USER,
    VIEW_POLICY,
    VIEW_FILES,
    VIEW_MDM,
    VIEW_REMOTE,
};
const char *view_layer_name(enum view_layer layer); /* "the shell" */

/* A file or an environment that was looked at. */
struct view_document {
    enum view_layer layer;
    char *path;   /* or "environment of claude (process 123)" */
    bool is_ours; /* a file that the agent alone writes */
    bool is_dropin;
    bool is_there;
    bool is_dangling; /* a symbolic link to nothing */
    bool is_folder;
    bool is_unreadable; /* by this process, or by the person it is for */
    bool is_silent;     /* unreadable because nothing answers: a network folder, as a rule */
    bool is_empty;
    bool is_broken; /* no JSON object */
    bool is_unread; /* a drop-in that this version passes over */
    char problem[400];
    uint64_t modified_ns;
    char *helper; /* otelHeadersHelper; NULL */
    unsigned helper_line;
    bool names_policy_helper;
};

/* One variable in one document. */
struct view_entry {
    const struct view_document *document;
    char *name;
    char *value;     /* NULL: an expression that only a shell can work out */
    unsigned line;   /* 0: none */
    bool in_force;   /* counts for this version; the last one of a name that does wins */
    const char *why; /* it is not in force; NULL when nothing special */
};

struct settings_view {
    char *user; /* NULL: the machine, when nobody has an account */
    char *home; /* without the root */
    uint32_t uid, gid;
    bool has_version;
    struct claude_version version; /* that was assumed */

    struct view_document **documents; /* weakest first, drop-ins in their order */
    size_t document_count;
    struct view_entry *entries; /* weakest first */
    size_t entry_count;

    struct source_facts facts[SOURCE_COUNT];
    struct source_verdict verdict;
};

/* The environment of a running Claude Code, NAME=VALUE, each followed by a NUL. */
struct view_environment {
    char where[64];
    uint32_t uid;
    struct bytes text;
};

struct view_options {
    const char *root;
    const char *user, *home; /* NULL when there is none */
    const char *sid;         /* of Windows; NULL elsewhere */
    uint32_t uid, gid;
    bool has_version;
    struct claude_version version;
    const char *const *environment;         /* of this process, when it is this person's; or NULL */
    const struct view_environment *running; /* those of this person count */
    size_t running_count;
    const char *project; /* a folder to look for project settings in; or NULL */
};

/* The caller destroys. */
struct settings_view *settings_view_create(const struct view_options *options, const struct fs *fs);
void settings_view_destroy(struct settings_view *view); /* NULL is fine */

bool view_at_least(const struct settings_view *view, unsigned major, unsigned minor,
                   unsigned patch);

/* The entry whose value Claude Code uses; NULL when the variable is not set. */
const struct view_entry *view_effective(const struct settings_view *view, const char *name);
/* Its value; NULL when not set or not known. */
const char *view_value(const struct settings_view *view, const char *name);
/* The strongest entry below the effective one that says something else; NULL. */
const struct view_entry *view_overridden(const struct settings_view *view,
                                         const struct view_entry *effective);
/* "logs" -> ..._LOGS_<what> when set, else OTEL_EXPORTER_OTLP_<what>. */
const struct view_entry *view_signal(const struct settings_view *view, const char *signal,
                                     const char *what);
/* The URL that a signal is posted to, appended; false when there is none. */
bool view_signal_url(const struct settings_view *view, const char *signal, struct buffer *out);

/* "'FILE' line 3". Writes to `out` and returns it. */
enum { VIEW_PLACE_BYTES = 400 };
const char *view_place(const struct view_entry *entry, char out[VIEW_PLACE_BYTES]);
/* The value, or "***" for what may hold a secret. */
const char *view_shown(const struct view_entry *entry);

/* Each variable once, in alphabetical order; the caller frees the list, not the names. */
const char **view_names(const struct settings_view *view, size_t *count);

#endif
