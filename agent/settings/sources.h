/*
 * Which managed source Claude Code obeys: the server-managed cache, an MDM
 * profile or machine policy, the files of /etc/claude-code, or a user policy.
 *
 * One source wins and the others are ignored, except that from 2.1.223 on
 * `env` is merged per variable, with the OTLP variables taken together from the
 * highest source that names any of them.
 */
#ifndef AGENT_SETTINGS_SOURCES_H
#define AGENT_SETTINGS_SOURCES_H

#include <stdbool.h>

#include "agent/settings/claude.h"
#include "platform/fs.h"

enum settings_source {
    SOURCE_REMOTE,      /* ~/.claude/remote-settings.json */
    SOURCE_MDM,         /* managed preferences (macOS), HKLM (Windows) */
    SOURCE_FILES,       /* managed-settings.json and managed-settings.d */
    SOURCE_USER_POLICY, /* HKCU */
    SOURCE_COUNT,
    SOURCE_NONE = SOURCE_COUNT,
};

/* What one source delivers. */
struct source_facts {
    bool has_keys;     /* at least one policy key */
    bool has_otlp;     /* its env names a variable of the telemetry unit */
    bool names_helper; /* otelHeadersHelper */
    bool replaces_all; /* policyHelper: its output may replace every managed source */
    char where[256];   /* the file or key, for the sentence */
    char problem[256]; /* why it could not be read; "" */
};

struct source_verdict {
    enum settings_source winner;    /* SOURCE_NONE when nothing is managed */
    enum settings_source telemetry; /* which source's OTLP variables are in force */
    bool ours_in_force;             /* our block, which lies in SOURCE_FILES, is obeyed */
    char sentence[768];             /* for apply, status and the doctor */
};

const char *settings_source_name(enum settings_source source);

/* Fills the facts, for a user whose home is `home` (NULL: no user), named `user`, on Windows known
 * as `sid` (NULL: whoever runs this). */
void settings_read_sources(const char *root, const char *user, const char *sid, const char *home,
                           const struct fs *fs, struct source_facts facts[SOURCE_COUNT]);

/* Reads one source's JSON document into facts. Text that is no object sets `problem`. */
void settings_read_source(struct bytes json, struct source_facts *out);

/* Pure: what a Claude Code of this version obeys. */
void settings_decide_source(const struct source_facts facts[SOURCE_COUNT],
                            struct claude_version version, struct source_verdict *out);

#endif
