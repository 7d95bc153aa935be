/*
 * Reads a policy key of the Windows registry into a tree, with the same names
 * as the YAML file:
 *
 *   relay.listen                 value "relay.listen", or value "listen" of the key "relay"
 *   a number, true or false      REG_DWORD (1 and 0), or a text
 *   a list                       REG_MULTI_SZ, a text "a, b", or a key with one value an entry
 *   a group of names and texts   a key with a value each, or REG_MULTI_SZ of "name=text"
 *   destinations                 a key with one key each below it, whose name is the destination's
 *
 * A text that begins with '[' or '{' where a list or group belongs is JSON. Names are taken
 * regardless of case, as Windows does.
 */
#ifndef CORE_CONFIG_REGISTRY_H
#define CORE_CONFIG_REGISTRY_H

#include "core/config/config.h"
#include "core/registry/registry.h"

/* A map. `name` is for errors. The result is the caller's; NULL (FAIL_INVALID, FAIL_TOO_LARGE). */
struct config_node *config_registry_parse(const struct config_table *table, const char *name,
                                          const struct registry_key *key, struct error *err);

#endif
