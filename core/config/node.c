#include "core/config/node.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct config_node *config_node_create(enum config_node_kind kind, const char *key,
                                       const char *text, unsigned line)
{
    struct config_node *node = xcalloc(1, sizeof *node);
    node->kind = kind;
    node->key = xstrdup(key);
    node->text = xstrdup(text);
    node->line = line;
    return node;
}

void config_node_destroy(struct config_node *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->count; i++)
        config_node_destroy(node->children[i]);
    free(node->children);
    free(node->key);
    free(node->text);
    free(node);
}

void config_node_add(struct config_node *parent, struct config_node *child)
{
    if (parent->count == parent->capacity) {
        parent->capacity = parent->capacity ? parent->capacity * 2 : 8;
        parent->children =
            xrealloc(parent->children, parent->capacity * sizeof(struct config_node *));
    }
    parent->children[parent->count++] = child;
}

struct config_node *config_node_find(const struct config_node *map, const char *key)
{
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->children[i]->key, key) == 0)
            return map->children[i];
    return NULL;
}

bool config_node_write(const struct config_node *node, struct buffer *out)
{
    static const char marks[] = {'t', 'l', 'm'};
    const char *key = node->key ? node->key : "", *text = node->text ? node->text : "";
    bool ok = buffer_append_format(out, "%c%zu:%s=%zu:%s;%zu", marks[node->kind], strlen(key), key,
                                   strlen(text), text, node->count);
    for (size_t i = 0; ok && i < node->count; i++)
        ok = config_node_write(node->children[i], out);
    return ok;
}

bool config_node_is_null(const struct config_node *node)
{
    return node->kind == CONFIG_NODE_TEXT && node->is_plain &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
            strcmp(node->text, "null") == 0);
}
