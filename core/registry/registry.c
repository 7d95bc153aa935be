#include "core/registry/registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/registry/tree.h"
#include "platform/platform.h"

enum { MAX_FILE_BYTES = 16 * 1024 * 1024 };

static bool same_name(const char *name, const char *other, size_t len)
{
    return bytes_equal_ignoring_case(bytes_make(other, len), name);
}

struct registry_key *tree_key(const char *name, size_t len)
{
    struct registry_key *key = xcalloc(1, sizeof *key);
    key->name = xstrndup(name, len);
    return key;
}

struct registry_key *tree_below(struct registry_key *parent, const char *name, size_t len)
{
    for (size_t i = 0; i < parent->key_count; i++)
        if (same_name(parent->keys[i]->name, name, len))
            return parent->keys[i];
    parent->keys = xrealloc(parent->keys, (parent->key_count + 1) * sizeof *parent->keys);
    return parent->keys[parent->key_count++] = tree_key(name, len);
}

static void clear_value(struct registry_value *value)
{
    for (size_t i = 0; i < value->text_count; i++)
        free(value->texts[i]);
    free(value->texts);
    free(value->text);
    free(value->name);
}

static void copy_texts(struct registry_value *to, const char *texts)
{
    for (; texts && *texts; texts += strlen(texts) + 1) {
        to->texts = xrealloc(to->texts, (to->text_count + 1) * sizeof *to->texts);
        to->texts[to->text_count++] = xstrdup(texts);
    }
}

void tree_put(struct registry_key *key, const struct platform_registry_value *value)
{
    struct registry_value *slot = NULL;
    for (size_t i = 0; i < key->value_count && !slot; i++)
        if (same_name(key->values[i].name, value->name, strlen(value->name)))
            slot = &key->values[i];
    if (slot) {
        clear_value(slot);
    } else {
        key->values = xrealloc(key->values, (key->value_count + 1) * sizeof *key->values);
        slot = &key->values[key->value_count++];
    }
    *slot = (struct registry_value){.name = xstrdup(value->name),
                                    .kind = value->kind,
                                    .number = value->number};
    if (value->kind == PLATFORM_REGISTRY_TEXT)
        slot->text = xstrdup(value->text);
    else if (value->kind == PLATFORM_REGISTRY_TEXTS)
        copy_texts(slot, value->text);
}

void registry_destroy(struct registry_key *key)
{
    if (!key)
        return;
    for (size_t i = 0; i < key->key_count; i++)
        registry_destroy(key->keys[i]);
    for (size_t i = 0; i < key->value_count; i++)
        clear_value(&key->values[i]);
    free(key->keys);
    free(key->values);
    free(key->name);
    free(key);
}

const struct registry_key *registry_find(const struct registry_key *key, const char *path)
{
    while (key && *path) {
        size_t len = strcspn(path, "\\");
        const struct registry_key *next = NULL;
        for (size_t i = 0; i < key->key_count && !next; i++)
            if (same_name(key->keys[i]->name, path, len))
                next = key->keys[i];
        key = next;
        path += len + (path[len] == '\\');
    }
    return key;
}

const struct registry_value *registry_value(const struct registry_key *key, const char *name)
{
    for (size_t i = 0; key && i < key->value_count; i++)
        if (same_name(key->values[i].name, name, strlen(name)))
            return &key->values[i];
    return NULL;
}

const char *registry_text_of(const struct registry_key *key, const char *name)
{
    const struct registry_value *value = registry_value(key, name);
    return value ? value->text : NULL;
}

/* The system's own registry, told piece by piece. */
struct growth {
    struct registry_key *path[REGISTRY_MAX_DEPTH];
    size_t depth;
    size_t nodes;
};

static void on_enter(void *context, const char *name)
{
    struct growth *g = context;
    size_t last = g->depth < REGISTRY_MAX_DEPTH ? g->depth : REGISTRY_MAX_DEPTH - 1;
    if (g->depth + 1 < REGISTRY_MAX_DEPTH && g->nodes++ < REGISTRY_MAX_NODES)
        g->path[g->depth + 1] = tree_below(g->path[last], name, strlen(name));
    else if (g->depth + 1 < REGISTRY_MAX_DEPTH)
        g->path[g->depth + 1] = g->path[last];
    g->depth++;
}

static void on_leave(void *context)
{
    struct growth *g = context;
    g->depth--;
}

static void on_value(void *context, const struct platform_registry_value *value)
{
    struct growth *g = context;
    size_t last = g->depth < REGISTRY_MAX_DEPTH ? g->depth : REGISTRY_MAX_DEPTH - 1;
    if (g->nodes++ < REGISTRY_MAX_NODES)
        tree_put(g->path[last], value);
}

static struct registry_key *read_system(const char *path, struct error *err)
{
    struct growth g = {.path = {tree_key(path, strlen(path))}};
    struct platform_registry_visitor visitor = {.context = &g,
                                                .enter = on_enter,
                                                .leave = on_leave,
                                                .value = on_value};
    if (platform_registry_walk(path, &visitor, err))
        return g.path[0];
    registry_destroy(g.path[0]);
    return NULL;
}

/* Takes the key out of its tree, or returns NULL. */
static struct registry_key *detach(struct registry_key *tree, const char *path)
{
    struct registry_key **slot = &tree;
    struct registry_key *found = (struct registry_key *)registry_find(tree, path);
    struct registry_key *key = tree;
    while (found && *path) {
        size_t len = strcspn(path, "\\");
        for (size_t i = 0; i < key->key_count; i++)
            if (same_name(key->keys[i]->name, path, len))
                slot = &key->keys[i];
        key = *slot;
        path += len + (path[len] == '\\');
    }
    if (found && slot != &tree) {
        /* An empty key stays in its place, so that the rest can be destroyed as it is. */
        *slot = tree_key("", 0);
        registry_destroy(tree);
    } else if (!found) {
        registry_destroy(tree);
    }
    return found;
}

struct registry_key *registry_read(const char *root, const char *path, const struct fs *fs,
                                   struct error *err)
{
    if (!root || !*root || strcmp(root, "/") == 0)
        return read_system(path, err);
    struct buffer text = {.max_bytes = MAX_FILE_BYTES};
    struct registry_key *tree = NULL;
    char *file = platform_under_root(root, "/registry.reg");
    if (fs_read_file(fs, file, &text, err)) {
        tree = registry_parse(file, buffer_bytes(&text), err);
        tree = tree ? detach(tree, path) : NULL;
        if (!tree && err->kind == FAIL_NONE)
            error_set(err, FAIL_NOT_FOUND, "'%s' has no '%s'", file, path);
    }
    buffer_clear(&text);
    free(file);
    return tree;
}
