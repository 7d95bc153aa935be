/*
 * The Claude Code installations on this machine, found by looking at files
 * only: nothing is executed.
 *
 * Places: npm global packages below the usual prefixes and every home
 * (including nvm, volta, fnm), the native installer's
 * ~/.local/share/claude/versions, and symbolic links named "claude" in the
 * usual bin folders.
 */
#ifndef AGENT_SETTINGS_CLAUDE_H
#define AGENT_SETTINGS_CLAUDE_H

#include <stdbool.h>
#include <stddef.h>

#include "platform/fs.h"

struct claude_version {
    unsigned major, minor, patch;
};

/* "2.1.329", with anything after a '-' or '+' ignored. False when it is not a version. */
bool claude_version_parse(const char *text, struct claude_version *out);
int claude_version_compare(struct claude_version a, struct claude_version b);

struct claude_install {
    char *path; /* below the root: the package folder or the program */
    bool known; /* the version could be read */
    struct claude_version version;
};

struct claude_installs {
    struct claude_install *list;
    size_t count;
};

/* `homes` are users' home folders without the root. The caller clears `out`. */
void claude_find_installs(const char *root, const char *const *homes, size_t home_count,
                          const struct fs *fs, struct claude_installs *out);
void claude_installs_clear(struct claude_installs *installs);

/* What the installed versions allow. All false-safe: an unknown version counts as old. */
bool claude_all_at_least(const struct claude_installs *installs, struct claude_version least);

#endif
