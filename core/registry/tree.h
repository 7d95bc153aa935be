/* Growing a tree of keys. For this folder only. */
#ifndef CORE_REGISTRY_TREE_H
#define CORE_REGISTRY_TREE_H

#include "core/registry/registry.h"

enum { REGISTRY_MAX_DEPTH = 32, REGISTRY_MAX_NODES = 64 * 1024 };

struct registry_key *tree_key(const char *name, size_t len);
/* The key of that name below `parent`, made when it is missing. */
struct registry_key *tree_below(struct registry_key *parent, const char *name, size_t len);
/* Adds a value, or replaces the one of that name. Copies. */
void tree_put(struct registry_key *key, const struct platform_registry_value *value);

#endif
