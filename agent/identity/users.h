/* What the files that find people share. For this folder only. */
#ifndef AGENT_IDENTITY_USERS_H
#define AGENT_IDENTITY_USERS_H

#include "agent/identity/identity.h"

enum { USERS_NOBODY = 65534, USERS_NO_ID = 65535 };

struct users_entry {
    const char *name, *sid;
    uint32_t uid, gid;
    const char *gecos, *home;
    const char *shell; /* NULL where there are none */
};

/* Adds a copy, unless the account cannot log in, has no home, or is known by name or number. */
void users_add(struct local_users *out, const struct users_entry *entry);
uint32_t users_number(const char *text, uint32_t fallback);

void users_read_mac(const char *root, const struct fs *fs, struct local_users *out);
void users_read_windows(const char *root, const struct fs *fs, struct local_users *out);
void users_read_directory(const char *root, const struct fs *fs,
                          const struct users_directory *directory, uint32_t first,
                          struct local_users *out);

#endif
