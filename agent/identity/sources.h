/*
 * The places that may know a user's e-mail address, one small function each.
 * They report the first value they find, right or wrong; identity.c judges it.
 * For this folder only.
 */
#ifndef AGENT_IDENTITY_SOURCES_H
#define AGENT_IDENTITY_SOURCES_H

#include "agent/identity/identity.h"
#include "core/registry/registry.h"

struct answer {
    char value[512];
    char where[512];  /* the file or program that said so */
    bool is_machines; /* one for the whole machine, whoever works on it */
};

/* Where Windows keeps who signed in with a company's account, by security identifier. */
#define IDENTITY_CACHE_KEY "HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\IdentityStore\\Cache"
/* The user's entry in that key; NULL when there is none. */
const struct registry_key *identity_cached_user(const struct registry_key *cache, const char *sid);

/* Where to look, and for whom. */
struct question {
    const char *root;
    const struct fs *fs;
    const struct local_user *user;
    bool is_alone; /* the only person on this machine */
    const char *command;
    uint32_t command_timeout_ms;
};

/* `nth` counts from 0 through the places of a source; false when there are no more. A place that
 * knows nothing leaves the value empty. */
typedef bool identity_place(const struct question *q, size_t nth, struct answer *out);
identity_place identity_ask_mdm;
identity_place identity_ask_directory;
identity_place identity_ask_command;

/* The first of `keys` (NULL-terminated) of a property list with a text value, or a list that begins
 * with one. */
bool identity_plist_value(struct bytes plist, const char *const *keys, struct answer *out);

/* A value of a key=value file ("Email=a@b", [sections] passed over). */
bool identity_ini_value(struct bytes text, const char *key, struct answer *out);

/* The value of `name` in lines "name:value" or "name value". */
bool identity_map_value(struct bytes text, const char *name, struct answer *out);

/* The part of a passwd comment field that is an address. */
bool identity_gecos_value(const char *gecos, struct answer *out);

#endif
