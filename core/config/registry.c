#include "core/config/registry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/config/json.h"

enum { PATH_BYTES = 256, MAX_DEPTH = 8 };

struct reading {
    const struct config_table *table;
    const char *name;
    struct error *err;
};

/* Compares names of the registry with ours, up to the end of the shorter word. */
static bool same_start(const char *key, const char *path, size_t len)
{
    return strlen(key) >= len && bytes_equal_ignoring_case(bytes_make(key, len), path);
}

/* Gives the first `len` bytes of `path` the table's spelling, if they are a key or a group. */
static const struct config_key *settle_part(const struct config_table *table, char *path,
                                            size_t len)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct config_key *key = &table->keys[i];
        if (!same_start(key->path, path, len) || (key->path[len] != '\0' && key->path[len] != '.'))
            continue;
        memcpy(path, key->path, len);
        if (key->path[len] == '\0')
            return key;
    }
    return NULL;
}

/* The same for the whole of it and, where only its last word is unknown, for the group. */
static const struct config_key *settle(const struct config_table *table, char path[PATH_BYTES])
{
    const char *dot = strrchr(path, '.');
    if (dot)
        (void)settle_part(table, path, (size_t)(dot - path));
    return settle_part(table, path, strlen(path));
}

static const char *last_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

static struct config_node *text_node(const char *key, const char *text)
{
    struct config_node *node = config_node_create(CONFIG_NODE_TEXT, key, text, 0);
    node->is_plain = true; /* policies often send numbers as text */
    return node;
}

static void number_text(const struct config_key *key, uint64_t number, char out[24])
{
    if (key && key->type == CONFIG_BOOL && number <= 1)
        snprintf(out, 24, "%s", number ? "true" : "false");
    else
        snprintf(out, 24, "%" PRIu64, number);
}

static bool is_text_list(const struct config_key *key)
{
    return key && key->type == CONFIG_TEXT_LIST;
}

static bool holds_many(const struct config_key *key)
{
    return key && (key->type == CONFIG_TEXT_LIST || key->type == CONFIG_TEXT_MAP ||
                   key->type == CONFIG_SECTIONS);
}

/* "a, b" as a list. */
static struct config_node *split_list(const char *key, const char *text)
{
    struct config_node *list = config_node_create(CONFIG_NODE_LIST, key, NULL, 0);
    while (*text) {
        text += strspn(text, ", \t");
        size_t len = strcspn(text, ",");
        size_t kept = len;
        while (kept > 0 && (text[kept - 1] == ' ' || text[kept - 1] == '\t'))
            kept--;
        char *one = xstrndup(text, kept);
        if (kept > 0)
            config_node_add(list, text_node(NULL, one));
        free(one);
        text += len;
    }
    return list;
}

/* A value that is JSON: read as the only member of an object, then taken out of it. */
static struct config_node *read_json(const struct reading *r, const char *key, const char *path,
                                     const char *text)
{
    char *document = xasprintf("{\"%s\":%s}", key, text);
    char *where = xasprintf("%s\\%s", r->name, path);
    struct config_node *map = config_json_parse(where, bytes_of(document), r->err);
    struct config_node *only = NULL;
    if (map && map->count == 1) {
        only = map->children[0];
        map->count = 0;
    } else if (map) {
        error_set(r->err, FAIL_INVALID, "'%s': more than one value", where);
    }
    config_node_destroy(map);
    free(where);
    free(document);
    return only;
}

/* REG_MULTI_SZ: a list's entries, or a map's "name=text". */
static struct config_node *read_texts(const struct reading *r, const struct config_key *key,
                                      const char *path, const struct registry_value *value)
{
    bool is_map = key && key->type == CONFIG_TEXT_MAP;
    struct config_node *node =
        config_node_create(is_map ? CONFIG_NODE_MAP : CONFIG_NODE_LIST, last_of(path), NULL, 0);
    for (size_t i = 0; i < value->text_count; i++) {
        char *text = xstrdup(value->texts[i]), *equals = is_map ? strchr(text, '=') : NULL;
        bool doubled = false;
        if (equals) {
            *equals = '\0';
            doubled = config_node_find(node, text) != NULL;
        }
        bool ok = (!is_map || equals) && !doubled;
        if (ok)
            config_node_add(node, text_node(is_map ? text : NULL, is_map ? equals + 1 : text));
        else if (doubled)
            error_set(r->err, FAIL_INVALID, "'%s\\%s': '%s' is there twice", r->name, path, text);
        else
            error_set(r->err, FAIL_INVALID, "'%s\\%s': line %zu is not \"name=text\"", r->name,
                      path, i + 1);
        free(text);
        if (!ok) {
            config_node_destroy(node);
            return NULL;
        }
    }
    return node;
}

static struct config_node *read_value(const struct reading *r, const struct config_key *key,
                                      const char *path, const struct registry_value *value)
{
    char number[24];
    switch (value->kind) {
    case PLATFORM_REGISTRY_NUMBER:
        number_text(key, value->number, number);
        return text_node(last_of(path), number);
    case PLATFORM_REGISTRY_TEXTS:
        return read_texts(r, key, path, value);
    case PLATFORM_REGISTRY_TEXT:
        if (holds_many(key) && (value->text[0] == '[' || value->text[0] == '{'))
            return read_json(r, last_of(path), path, value->text);
        if (is_text_list(key) && !config_is_unresolved(value->text))
            return split_list(last_of(path), value->text);
        return text_node(last_of(path), value->text);
    default:
        error_set(r->err, FAIL_INVALID, "'%s\\%s' is binary data", r->name, path);
        error_remedy(r->err, "set it as REG_SZ, REG_MULTI_SZ or REG_DWORD");
        return NULL;
    }
}

static bool read_key(const struct reading *r, const struct registry_key *key, const char *prefix,
                     size_t skip, struct config_node *out, unsigned depth);

/* The order that people give list entries by: "2" before "10". */
static int by_number_then_name(const void *a, const void *b)
{
    const struct registry_value *const *x = a, *const *y = b;
    long nx = strtol((*x)->name, NULL, 10), ny = strtol((*y)->name, NULL, 10);
    if (nx != ny)
        return nx < ny ? -1 : 1;
    return strcmp((*x)->name, (*y)->name);
}

/* A key that is a list or a map: a value an entry. */
static struct config_node *read_entries(const struct reading *r, const struct config_key *key,
                                        const char *path, const struct registry_key *from)
{
    bool is_map = key->type == CONFIG_TEXT_MAP;
    struct config_node *node =
        config_node_create(is_map ? CONFIG_NODE_MAP : CONFIG_NODE_LIST, last_of(path), NULL, 0);
    const struct registry_value **sorted = xcalloc(from->value_count + 1, sizeof(void *));
    for (size_t i = 0; i < from->value_count; i++)
        sorted[i] = &from->values[i];
    if (!is_map)
        qsort(sorted, from->value_count, sizeof(void *), by_number_then_name);
    bool ok = true;
    for (size_t i = 0; ok && i < from->value_count; i++) {
        char number[24];
        const char *text = sorted[i]->text;
        if (sorted[i]->kind == PLATFORM_REGISTRY_NUMBER) {
            number_text(NULL, sorted[i]->number, number);
            text = number;
        }
        ok = text != NULL;
        if (!ok)
            error_set(r->err, FAIL_INVALID, "'%s\\%s\\%s' is not a text", r->name, path,
                      sorted[i]->name);
        else if (sorted[i]->name[0]) /* the default value of a key is no entry */
            config_node_add(node, text_node(is_map ? sorted[i]->name : NULL, text));
    }
    free(sorted);
    if (ok)
        return node;
    config_node_destroy(node);
    return NULL;
}

/* A key with a key an entry: destinations\central\endpoint. */
static struct config_node *read_sections(const struct reading *r, const char *path,
                                         const struct registry_key *from, unsigned depth)
{
    struct config_node *list = config_node_create(CONFIG_NODE_LIST, last_of(path), NULL, 0);
    char prefix[PATH_BYTES];
    snprintf(prefix, sizeof prefix, "%s[].", path);
    for (size_t i = 0; i < from->key_count; i++) {
        struct config_node *section = config_node_create(CONFIG_NODE_MAP, NULL, NULL, 0);
        config_node_add(list, section);
        if (!read_key(r, from->keys[i], prefix, strlen(prefix), section, depth + 1)) {
            config_node_destroy(list);
            return NULL;
        }
        if (!config_node_find(section, "name"))
            config_node_add(section, text_node("name", from->keys[i]->name));
    }
    return list;
}

/* Adds `node` under the dotted path below `prefix`; groups on the way are made. */
static bool place(const struct reading *r, struct config_node *map, const char *path,
                  struct config_node *node)
{
    for (const char *dot; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
        char *group = xstrndup(path, (size_t)(dot - path));
        struct config_node *below = config_node_find(map, group);
        if (!below) {
            below = config_node_create(CONFIG_NODE_MAP, group, NULL, 0);
            config_node_add(map, below);
        }
        free(group);
        if (below->kind != CONFIG_NODE_MAP)
            break;
        map = below;
    }
    if (config_node_find(map, node->key)) {
        error_set(r->err, FAIL_INVALID, "'%s': '%s' is there twice, as a value and as a key",
                  r->name, node->key);
        error_remedy(r->err, "keep one of the two");
        config_node_destroy(node);
        return false;
    }
    config_node_add(map, node);
    return true;
}

/* Reads all below `key` into `out`, under their paths without the first `skip` bytes. */
static bool read_key(const struct reading *r, const struct registry_key *key, const char *prefix,
                     size_t skip, struct config_node *out, unsigned depth)
{
    if (depth > MAX_DEPTH)
        return error_set(r->err, FAIL_TOO_LARGE, "'%s' is nested too deeply", r->name);
    bool ok = true;
    for (size_t i = 0; ok && i < key->value_count; i++) {
        char path[PATH_BYTES];
        if (key->values[i].name[0] == '\0')
            continue;
        snprintf(path, sizeof path, "%s%s", prefix, key->values[i].name);
        const struct config_key *known = settle(r->table, path);
        struct config_node *node = read_value(r, known, path, &key->values[i]);
        ok = node && place(r, out, path + skip, node);
    }
    for (size_t i = 0; ok && i < key->key_count; i++) {
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "%s%s", prefix, key->keys[i]->name);
        const struct config_key *known = settle(r->table, path);
        struct config_node *node;
        if (known && known->type == CONFIG_SECTIONS)
            node = read_sections(r, path, key->keys[i], depth);
        else if (holds_many(known))
            node = read_entries(r, known, path, key->keys[i]);
        else {
            char below[PATH_BYTES];
            snprintf(below, sizeof below, "%.*s.", PATH_BYTES - 2, path);
            ok = read_key(r, key->keys[i], below, skip, out, depth + 1);
            continue;
        }
        ok = node && place(r, out, path + skip, node);
    }
    return ok;
}

struct config_node *config_registry_parse(const struct config_table *table, const char *name,
                                          const struct registry_key *key, struct error *err)
{
    struct reading r = {.table = table, .name = name, .err = err};
    struct config_node *root = config_node_create(CONFIG_NODE_MAP, NULL, NULL, 0);
    if (read_key(&r, key, "", 0, root, 0))
        return root;
    config_node_destroy(root);
    return NULL;
}
