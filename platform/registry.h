/*
 * The Windows registry, as far as we read it: a key with all below it, told
 * piece by piece. Read-only. core/registry makes a tree of it, and reads the
 * same from an exported file, so that nothing above has to know the system.
 */
#ifndef PLATFORM_REGISTRY_H
#define PLATFORM_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum platform_registry_kind {
    PLATFORM_REGISTRY_TEXT,   /* REG_SZ, REG_EXPAND_SZ, not expanded */
    PLATFORM_REGISTRY_TEXTS,  /* REG_MULTI_SZ */
    PLATFORM_REGISTRY_NUMBER, /* REG_DWORD, REG_QWORD */
    PLATFORM_REGISTRY_OTHER,
};

/* Borrowed for the call; texts are UTF-8. */
struct platform_registry_value {
    const char *name; /* "" for a key's default value */
    enum platform_registry_kind kind;
    const char *text; /* of TEXTS: one behind the other, each with its NUL, an empty one last */
    uint64_t number;
};

struct platform_registry_visitor {
    void *context;
    void (*enter)(void *context, const char *key); /* a key below; leave() ends it */
    void (*leave)(void *context);
    void (*value)(void *context, const struct platform_registry_value *value);
};

/*
 * Tells the values and keys of `path`, e.g. "HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\ClaudeTelemetry",
 * of the 64-bit view, at most 16 levels down. FAIL_NOT_FOUND when there is no such key, or no registry.
 */
MUST_USE bool platform_registry_walk(const char *path,
                                     const struct platform_registry_visitor *visitor,
                                     struct error *err);

/* The number by which a Windows user is known where POSIX has its uid: a hash of the whole security
 * identifier ("S-1-5-21-..."). */
uint32_t platform_uid_of_sid(const char *sid);

#endif
