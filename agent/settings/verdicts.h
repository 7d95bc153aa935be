/*
 * Which managed source each person's Claude Code obeys, for every installed
 * version: what `apply` prints, `status` shows and the heartbeat carries.
 */
#ifndef AGENT_SETTINGS_VERDICTS_H
#define AGENT_SETTINGS_VERDICTS_H

#include "agent/settings/settings.h"
#include "agent/settings/sources.h"

enum { VERDICT_TEXT_BYTES = 256 };

/* Versions that come to the same are one verdict. */
struct settings_verdict {
    char user[VERDICT_TEXT_BYTES];
    char versions[VERDICT_TEXT_BYTES]; /* "2.1.197, 2.1.329"; "" where none is installed yet */
    char winner[16];                   /* "remote", "mdm", "files", "user", "none" */
    char telemetry[16];                /* whose telemetry variables count */
    bool in_force;                     /* ours do */
    char sentence[768];
};

struct settings_verdicts {
    struct settings_verdict *list;
    size_t count;
};

/*
 * As the files lie now or, with `as_planned`, once ours is written. Where no version is known the
 * newest one's behaviour is told. The caller clears.
 */
void settings_verdicts_read(const struct settings_options *options, bool as_planned,
                            const struct fs *fs, struct settings_verdicts *out);
void settings_verdicts_clear(struct settings_verdicts *verdicts);

#endif
