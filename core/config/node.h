/*
 * What a configuration source says, before anybody knows whether it is valid:
 * a tree of texts, lists and maps with the lines they stand on. The YAML
 * reader makes one; managed preferences and the registry make one the same way.
 */
#ifndef CORE_CONFIG_NODE_H
#define CORE_CONFIG_NODE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

enum config_node_kind { CONFIG_NODE_TEXT, CONFIG_NODE_LIST, CONFIG_NODE_MAP };

struct config_node {
    enum config_node_kind kind;
    char *key;     /* inside a map; else NULL */
    char *text;    /* of CONFIG_NODE_TEXT; else NULL */
    bool is_plain; /* text written without quotes: may be a number, a boolean, null */
    unsigned line; /* from 1; 0 where the source has no lines */
    struct config_node **children;
    size_t count, capacity;
};

/* `key` and `text` are copied, either may be NULL. */
struct config_node *config_node_create(enum config_node_kind kind, const char *key,
                                       const char *text, unsigned line);
void config_node_destroy(struct config_node *node); /* with all below it; NULL is fine */

/* `child` belongs to `parent` from now on. */
void config_node_add(struct config_node *parent, struct config_node *child);

/* The entry of a map; NULL when there is none. */
struct config_node *config_node_find(const struct config_node *map, const char *key);

/* Appends the tree as text that tells any two trees apart. False past the buffer's ceiling. */
bool config_node_write(const struct config_node *node, struct buffer *out);

/* A text that stands for nothing: plain and empty, "~" or "null". */
bool config_node_is_null(const struct config_node *node);

#endif
