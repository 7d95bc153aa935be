/*
 * A program's configuration: one table describes every key, and reading,
 * checking, docs/configuration.md and the schema for device management all
 * come from it.
 *
 *   managed values ─┐
 *   file ───────────┼─▶ trees (node.h) ─▶ checked against the table ─▶ values
 *   defaults ───────┘   first found wins, key by key
 *
 * A struct config never changes after it was made, so any thread may read it.
 * Asking for a key that is not in the table, or as another type, is a
 * programming error and stops the program.
 */
#ifndef CORE_CONFIG_CONFIG_H
#define CORE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "core/config/node.h"

enum config_type {
    CONFIG_TEXT,
    CONFIG_INTEGER,   /* between min and max */
    CONFIG_BOOL,      /* true or false */
    CONFIG_ENUM,      /* one of `choices` */
    CONFIG_TEXT_LIST, /* each one of `choices` when there are any */
    CONFIG_TEXT_MAP,  /* any key, text values */
    CONFIG_SECTIONS,  /* a list of maps, whose keys are in the same table as "path[].key" */
};

enum config_flag {
    CONFIG_VARIABLES = 1, /* ${...} may stand in its texts */
    CONFIG_SECRET = 2,    /* never printed */
    CONFIG_REQUIRED = 4,  /* within a section: must be given */
};

struct config_key {
    const char *path; /* "relay.spool.max_mib", "destinations[].name" */
    enum config_type type;
    const char *fallback; /* the default as text; lists separate with ','; NULL: not set */
    const char *summary;  /* one sentence, for a person */
    int64_t min, max;
    const char *const *choices; /* NULL-terminated */
    unsigned flags;

    /* A further check of a text: on failure sets the cause to what it must be. NULL: none. */
    bool (*check)(const char *text, struct error *err);
};

struct config_table {
    const char *program; /* "claude-telemetry-agent" */
    const char *domain;  /* of managed preferences: "com.claude-telemetry.agent"; NULL: unmanaged */
    const char *policy;  /* the key of Windows' registry: "HKLM\\SOFTWARE\\Policies\\..." */
    const char *const *variables; /* names that ${...} knows, NULL-terminated; NULL: none */
    const struct config_key *keys;
    size_t count;
};

/* A source of values. Managed ones come first, then the file. */
struct config_layer {
    const char *name;         /* "/etc/claude-telemetry/agent.yaml"; copied */
    struct config_node *tree; /* a map; config_create() takes it over. NULL: an absent source */
};

/* Everything found wrong, in the order it stands in the sources. All-zero is empty. */
enum { CONFIG_MAX_PROBLEMS = 32 };
struct config_problems {
    struct error *items;
    size_t count;
};
void config_problems_clear(struct config_problems *problems);
/* Adds a copy; past the limit it is dropped. Returns false. */
bool config_problems_add(struct config_problems *problems, const struct error *problem);

struct config;

/*
 * Checks every layer against the table. NULL, with at least one problem, when
 * anything is wrong. Texts that an MDM left unresolved ("$EMAIL", "{{mail}}",
 * "%Email%") and empty ones count as not set, also as entries of lists and maps;
 * so does a list or map that holds nothing else.
 */
struct config *config_create(const struct config_table *table, const struct config_layer *layers,
                             size_t layer_count, struct config_problems *problems);
void config_destroy(struct config *config); /* NULL is fine */

/* Whether a source gave the key. */
bool config_is_set(const struct config *config, const char *path);
/* Whether the `layer`th source gave any key that counts. */
bool config_uses_layer(const struct config *config, size_t layer);
/* "FILE line N" of what gave the key, or "default". Writes to `out` and returns it. */
const char *config_place(const struct config *config, const char *path, char *out, size_t size);

/* Each gives the default when nothing is set. Texts are borrowed from the config. */
const char *config_text(const struct config *config,
                        const char *path); /* also CONFIG_ENUM; or NULL */
int64_t config_integer(const struct config *config, const char *path);
bool config_bool(const struct config *config, const char *path);

size_t config_list_count(const struct config *config, const char *path);
const char *config_list_at(const struct config *config, const char *path, size_t index);
bool config_list_has(const struct config *config, const char *path, const char *text);

size_t config_map_count(const struct config *config, const char *path);
const char *config_map_at(const struct config *config, const char *path, size_t index,
                          const char **value); /* returns the key */

/* The sections of a CONFIG_SECTIONS key; in them "destinations[].name" is read as "name". */
size_t config_section_count(const struct config *config, const char *path);
const struct config *config_section_at(const struct config *config, const char *path, size_t index);

/* Whether a text is an MDM's variable that was not filled in, or empty. */
bool config_is_unresolved(const char *text);

/* Checks for config_key.check. */
bool config_check_url(const char *text, struct error *err); /* http:// or https:// with a host */
bool config_check_address(const char *text, struct error *err); /* HOST:PORT or [V6]:PORT */
bool config_check_path(const char *text, struct error *err);    /* absolute */

/* A configured path with --root ROOT: below it, as every path of the system is. One that names a
 * place below ROOT already means that place. The caller frees. */
char *config_path_under(const char *root, const char *path);

#endif
