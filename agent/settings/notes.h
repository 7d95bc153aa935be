/*
 * What lies around the files we write and bends their effect: proxies, other
 * drop-ins, sources that win over ours. For this folder only.
 */
#ifndef AGENT_SETTINGS_NOTES_H
#define AGENT_SETTINGS_NOTES_H

#include "agent/settings/settings.h"

struct proxy_seen {
    char *proxy;    /* NULL when none is configured */
    char *no_proxy; /* NULL when nothing says */
};

/*
 * Looks for a proxy in the options, /etc/environment, managed files that are
 * not ours, and, for a user, in the user's settings. What names the proxy also
 * tells what to merge NO_PROXY with.
 */
void notes_find_proxy(const struct settings_options *options, const struct settings_user *user,
                      const struct fs *fs, struct proxy_seen *out);
void notes_clear_proxy(struct proxy_seen *seen);

struct note_list {
    char **list; /* the caller's, each of them too */
    size_t count;
};

/* One sentence for each thing an administrator should know. */
void notes_collect(const struct settings_options *options, const struct fs *fs,
                   struct note_list *out);

#endif
