/*
 * The agent's configuration: its table of keys, and loading it from where the
 * system keeps it. docs/configuration.md is made from the table.
 */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include "base/error.h"
#include "core/config/config.h"
#include "platform/fs.h"

extern const struct config_table agent_config_table;

enum { AGENT_CONFIG_HASH_BYTES = 65, AGENT_MAX_DESTINATIONS = 16, AGENT_NAME_BYTES = 64 };

struct agent_config {
    struct config *values;
    char *path;                         /* of the file, whether or not it exists */
    bool file_exists;                   /* without one, managed values and the defaults hold */
    char *managed;                      /* the first managed source that gives a key; NULL: none */
    char hash[AGENT_CONFIG_HASH_BYTES]; /* SHA-256 of the file and managed values, hex */
};

/*
 * Loads `path`, or when it is NULL agent.yaml in the system's place below
 * `root`, which may be missing. NULL with at least one problem when anything
 * is wrong. The caller destroys the result.
 */
struct agent_config *agent_config_load(const char *root, const char *path, const struct fs *fs,
                                       struct config_problems *problems);
void agent_config_destroy(struct agent_config *config); /* NULL is fine */

/* What no single key can tell: endpoints, names, headers. False with problems added. */
bool agent_config_check(const struct config *values, struct config_problems *problems);

/* The URL a destination takes a signal at ("logs"); false when it does not take it. */
bool agent_destination_url(const struct config *destination, const char *signal,
                           struct buffer *out);

/* The server's "server.url" without a slash at its end, with `path` behind it. The caller frees;
 * NULL for a stand-alone relay. */
char *agent_server_url(const struct config *values, const char *path);

#endif
