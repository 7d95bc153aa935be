/*
 * A key of the Windows registry with all below it: policies, and what Windows
 * knows of its users. Comes from the system, or below a --root from the file
 * "<root>/registry.reg" as regedit exports it, so that every system can read
 * and test it. Names count regardless of (ASCII) case.
 */
#ifndef CORE_REGISTRY_REGISTRY_H
#define CORE_REGISTRY_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "platform/fs.h"
#include "platform/registry.h"

struct registry_value {
    char *name; /* "" for the default value */
    enum platform_registry_kind kind;
    char *text;      /* of PLATFORM_REGISTRY_TEXT; else NULL */
    uint64_t number; /* of PLATFORM_REGISTRY_NUMBER */
    char **texts;    /* of PLATFORM_REGISTRY_TEXTS */
    size_t text_count;
};

struct registry_key {
    char *name;
    struct registry_value *values;
    size_t value_count;
    struct registry_key **keys;
    size_t key_count;
};

/*
 * The key at `path` ("HKEY_LOCAL_MACHINE\\SOFTWARE\\..."). `root` as everywhere: "/" for the real
 * machine. NULL on failure: FAIL_NOT_FOUND when it is not there. The caller destroys.
 */
struct registry_key *registry_read(const char *root, const char *path, const struct fs *fs,
                                   struct error *err);
void registry_destroy(struct registry_key *key); /* NULL is fine */

/*
 * An exported file: "Windows Registry Editor Version 5.00" in UTF-16 or UTF-8, or REGEDIT4. The
 * result has the roots ("HKEY_LOCAL_MACHINE") below it; deletions ("[-KEY]", "name"=-) count as not
 * there. NULL (FAIL_INVALID with the line, FAIL_TOO_LARGE) on failure. `name` is the file's.
 */
struct registry_key *registry_parse(const char *name, struct bytes text, struct error *err);

/* The key at `path` below `key` ("a\\b"); NULL when there is none. */
const struct registry_key *registry_find(const struct registry_key *key, const char *path);
const struct registry_value *registry_value(const struct registry_key *key, const char *name);
/* The text of a text value; NULL when there is none. */
const char *registry_text_of(const struct registry_key *key, const char *name);

#endif
