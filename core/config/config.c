#include "core/config/config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/config/nearest.h"
#include "core/config/template.h"

enum { PATH_BYTES = 256 };

struct value {
    const struct config_node *node; /* NULL: not set */
    size_t layer;
    int64_t integer;           /* CONFIG_INTEGER, CONFIG_BOOL */
    struct config_node *split; /* the default of a list */
    struct config **sections;
    size_t section_count;
};

/* What the sections of a config share with it. */
struct sources {
    struct config_layer *layers;
    size_t count;
};

struct config {
    const struct config_table *table;
    char prefix[PATH_BYTES]; /* "" or "destinations[]." */
    struct value *values;    /* one a key of the table */
    const struct sources *sources;
    struct sources *owned; /* of the outermost config; NULL in a section */
};

/* One walk over one layer. */
struct check {
    struct config *config;
    size_t layer;
    struct config_problems *problems;
};

void config_problems_clear(struct config_problems *problems)
{
    free(problems->items);
    *problems = (struct config_problems){0};
}

bool config_problems_add(struct config_problems *problems, const struct error *problem)
{
    if (problems->count == CONFIG_MAX_PROBLEMS)
        return false;
    if (!problems->items)
        problems->items = xcalloc(CONFIG_MAX_PROBLEMS, sizeof *problems->items);
    problems->items[problems->count++] = *problem;
    return false;
}

static bool add_problem(const struct check *c, const struct config_node *node, struct error *err)
{
    const char *name = c->config->sources->layers[c->layer].name;
    if (node->line > 0)
        error_wrap(err, "'%s' line %u", name, node->line);
    else
        error_wrap(err, "'%s'", name);
    return config_problems_add(c->problems, err);
}

/* Index of a key of the table by its whole path; count when there is none. */
static size_t find_key(const struct config_table *table, const char *path)
{
    size_t i = 0;
    while (i < table->count && strcmp(table->keys[i].path, path) != 0)
        i++;
    return i;
}

/* Whether `path` names a group, such as "relay" of "relay.listen". */
static bool is_group(const struct config_table *table, const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < table->count; i++)
        if (strncmp(table->keys[i].path, path, len) == 0 && table->keys[i].path[len] == '.')
            return true;
    return false;
}

/* The key, or the group of keys, that is spelled most like `path`. */
static const char *nearest_key(const struct config_table *table, const char *path,
                               char best[PATH_BYTES])
{
    size_t least = SIZE_MAX;
    best[0] = '\0';
    for (size_t i = 0; i < table->count; i++) {
        const char *key = table->keys[i].path;
        for (const char *end = key; end; end = *end ? strchr(end + 1, '.') : NULL) {
            char candidate[PATH_BYTES];
            size_t len = end == key ? strlen(key) : (size_t)(end - key);
            snprintf(candidate, sizeof candidate, "%.*s", (int)len, key);
            size_t distance = config_path_distance(path, candidate);
            if (distance >= least)
                continue;
            least = distance;
            memcpy(best, candidate, sizeof candidate);
        }
    }
    return best;
}

bool config_is_unresolved(const char *text)
{
    size_t len = strlen(text);
    if (len == 0)
        return true;
    if (text[0] == '$') {
        size_t name = strspn(text + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
        return name > 0 && name == len - 1;
    }
    if (len > 4 && strncmp(text, "{{", 2) == 0 && strcmp(text + len - 2, "}}") == 0)
        return true;
    return len > 2 && text[0] == '%' && strchr(text + 1, '%') == text + len - 1;
}

/* A list or map of nothing but such values is none either; an empty one was meant to be empty. */
static bool counts_as_unset(const struct config_node *node)
{
    if (node->kind == CONFIG_NODE_TEXT)
        return config_node_is_null(node) || config_is_unresolved(node->text);
    size_t unset = 0;
    while (unset < node->count && counts_as_unset(node->children[unset]))
        unset++;
    return node->count > 0 && unset == node->count;
}

/* The `index`th entry that counts; NULL past the last. `node` may be NULL. */
static const struct config_node *entry_at(const struct config_node *node, size_t index)
{
    for (size_t i = 0; node && i < node->count; i++)
        if (!counts_as_unset(node->children[i]) && index-- == 0)
            return node->children[i];
    return NULL;
}

static size_t entry_count(const struct config_node *node)
{
    size_t count = 0;
    for (size_t i = 0; node && i < node->count; i++)
        count += !counts_as_unset(node->children[i]);
    return count;
}

static const char *kind_words(const struct config_node *node)
{
    static const char *const words[] = {"text", "a list", "a group of keys"};
    return words[node->kind];
}

static bool must_be(struct error *err, const char *path, const char *what,
                    const struct config_node *node)
{
    bool is_quoted = node->kind == CONFIG_NODE_TEXT && !node->is_plain;
    if (node->kind == CONFIG_NODE_TEXT)
        error_set(err, FAIL_INVALID, "'%s' must be %s, not '%.60s'", path, what, node->text);
    else
        error_set(err, FAIL_INVALID, "'%s' must be %s, not %s", path, what, kind_words(node));
    return error_remedy(err, "write %s%s", what, is_quoted ? ", without quotes" : "");
}

static bool check_integer(const struct config_key *key, const struct config_node *node,
                          const char *path, int64_t *out, struct error *err)
{
    char *end = NULL;
    bool is_text = node->kind == CONFIG_NODE_TEXT && node->is_plain;
    bool has_digit = is_text && isdigit((unsigned char)node->text[node->text[0] == '-' ? 1 : 0]);
    errno = 0;
    long long number = has_digit ? strtoll(node->text, &end, 10) : 0;
    if (!has_digit || *end != '\0')
        return must_be(err, path, "a whole number", node);
    if (errno == ERANGE || number < key->min || number > key->max) {
        error_set(err, FAIL_INVALID, "'%s' must be from %lld to %lld, not %.40s", path,
                  (long long)key->min, (long long)key->max, node->text);
        return error_remedy(err, "choose a value from %lld to %lld", (long long)key->min,
                            (long long)key->max);
    }
    *out = number;
    return true;
}

static bool check_choice(const struct config_key *key, const struct config_node *node,
                         const char *path, struct error *err)
{
    char all[200] = "";
    const char *nearest = key->choices[0];
    size_t least = SIZE_MAX;
    for (size_t i = 0; key->choices[i]; i++) {
        size_t distance = config_distance(node->text, key->choices[i]);
        if (distance == 0)
            return true;
        if (distance < least) {
            least = distance;
            nearest = key->choices[i];
        }
        size_t len = strlen(all);
        snprintf(all + len, sizeof all - len, "%s%s", i ? ", " : "", key->choices[i]);
    }
    error_set(err, FAIL_INVALID, "'%s' must be one of %s, not '%.60s'", path, all, node->text);
    return error_remedy(err, "write '%s', which is nearest, or another of these", nearest);
}

/* A text of a key, alone or within a list or map. */
static bool check_text(const struct check *c, const struct config_key *key,
                       const struct config_node *node, const char *path, struct error *err)
{
    if (node->kind != CONFIG_NODE_TEXT)
        return must_be(err, path, "text", node);
    if (key->choices)
        return check_choice(key, node, path, err);
    bool has_variables = config_template_uses(node->text, NULL) || strstr(node->text, "${");
    if (has_variables && !(key->flags & CONFIG_VARIABLES)) {
        error_set(err, FAIL_INVALID, "'%s' cannot hold variables (${...})", path);
        return error_remedy(err, "write the value itself");
    }
    if (has_variables && !config_template_check(node->text, c->config->table->variables, err))
        return error_wrap(err, "'%s'", path);
    /* A text with a variable in it has its final form only when it is used. */
    if (key->check && !config_template_uses(node->text, NULL) && !key->check(node->text, err)) {
        error_remedy(err, "correct '%s'; docs/configuration.md shows what it looks like", path);
        return error_wrap(err, "'%s'", path);
    }
    return true;
}

static bool check_texts(const struct check *c, const struct config_key *key,
                        const struct config_node *node, const char *path)
{
    bool ok = true;
    for (size_t i = 0; i < node->count; i++) {
        const struct config_node *child = node->children[i];
        char place[PATH_BYTES];
        struct error err = {0};
        if (child->key)
            snprintf(place, sizeof place, "%s.%s", path, child->key);
        else
            snprintf(place, sizeof place, "%s[%zu]", path, i);
        if (!counts_as_unset(child) && !check_text(c, key, child, place, &err))
            ok = add_problem(c, child, &err);
    }
    return ok;
}

static void check_map(const struct check *c, const struct config_node *map, const char *path);

static struct config *create_empty(const struct config_table *table, const char *prefix)
{
    struct config *config = xcalloc(1, sizeof *config);
    config->table = table;
    snprintf(config->prefix, sizeof config->prefix, "%s", prefix);
    config->values = xcalloc(table->count, sizeof *config->values);
    return config;
}

static void check_required(const struct check *c, const struct config_node *section,
                           const char *path)
{
    const struct config *config = c->config;
    size_t len = strlen(config->prefix);
    for (size_t i = 0; i < config->table->count; i++) {
        const struct config_key *key = &config->table->keys[i];
        if (!(key->flags & CONFIG_REQUIRED) || strncmp(key->path, config->prefix, len) != 0)
            continue;
        const struct config_node *given = config_node_find(section, key->path + len);
        if (given && !counts_as_unset(given))
            continue;
        struct error err = {0};
        error_set(&err, FAIL_INVALID, "'%s' has no '%s'", path, key->path + len);
        error_remedy(&err, "add '%s:' to that section", key->path + len);
        add_problem(c, section, &err);
    }
}

static void check_sections(const struct check *c, const struct config_key *key, struct value *value,
                           const struct config_node *list)
{
    char prefix[PATH_BYTES];
    snprintf(prefix, sizeof prefix, "%s[].", key->path);
    value->sections = xcalloc(list->count + 1, sizeof(struct config *));
    for (size_t i = 0; i < list->count; i++) {
        const struct config_node *item = list->children[i];
        struct error err = {0};
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "%s[%zu]", key->path, i);
        if (counts_as_unset(item))
            continue;
        struct config *section = create_empty(c->config->table, prefix);
        section->sources = c->config->sources;
        value->sections[value->section_count++] = section;
        if (item->kind != CONFIG_NODE_MAP) {
            must_be(&err, path, "a group of keys", item);
            add_problem(c, item, &err);
            continue;
        }
        struct check inner = {.config = section, .layer = c->layer, .problems = c->problems};
        check_map(&inner, item, prefix);
        check_required(&inner, item, path);
    }
}

/* Sets the value of the `index`th key from what this layer says. */
static bool check_value(const struct check *c, size_t index, const struct config_node *node,
                        struct error *err)
{
    const struct config_key *key = &c->config->table->keys[index];
    struct value *value = &c->config->values[index];
    struct value found = {.node = node, .layer = c->layer};

    if (value->node && value->layer == c->layer) {
        error_set(err, FAIL_INVALID, "key '%s' is already on line %u", key->path,
                  value->node->line);
        return error_remedy(err, "keep one of the two");
    }
    if (counts_as_unset(node))
        return true;

    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_ENUM:
        if (!check_text(c, key, node, key->path, err))
            return false;
        break;
    case CONFIG_INTEGER:
        if (!check_integer(key, node, key->path, &found.integer, err))
            return false;
        break;
    case CONFIG_BOOL:
        found.integer = node->kind == CONFIG_NODE_TEXT && strcmp(node->text, "true") == 0;
        if (node->kind != CONFIG_NODE_TEXT || !node->is_plain ||
            (!found.integer && strcmp(node->text, "false") != 0))
            return must_be(err, key->path, "true or false", node);
        break;
    case CONFIG_TEXT_LIST:
        if (node->kind != CONFIG_NODE_LIST)
            return must_be(err, key->path, "a list", node);
        if (!check_texts(c, key, node, key->path))
            return true; /* each is reported already */
        break;
    case CONFIG_TEXT_MAP:
        if (node->kind != CONFIG_NODE_MAP)
            return must_be(err, key->path, "a group of names and texts", node);
        if (!check_texts(c, key, node, key->path))
            return true;
        break;
    case CONFIG_SECTIONS:
        if (node->kind != CONFIG_NODE_LIST)
            return must_be(err, key->path, "a list (each entry begins with '-')", node);
        break;
    }
    if (value->node)
        return true; /* an earlier layer wins; this one is only checked */
    if (key->type == CONFIG_SECTIONS)
        check_sections(c, key, &found, node);
    *value = found;
    return true;
}

static void check_entry(const struct check *c, const struct config_node *node, const char *path)
{
    const struct config_table *table = c->config->table;
    size_t index = find_key(table, path);
    struct error err = {0};

    if (index < table->count) {
        if (!check_value(c, index, node, &err))
            add_problem(c, node, &err);
        return;
    }
    if (is_group(table, path)) {
        if (node->kind == CONFIG_NODE_MAP) {
            char prefix[PATH_BYTES];
            snprintf(prefix, sizeof prefix, "%s.", path);
            check_map(c, node, prefix);
        } else if (!config_node_is_null(node)) {
            must_be(&err, path, "a group of keys", node);
            add_problem(c, node, &err);
        }
        return;
    }
    char best[PATH_BYTES];
    const char *nearest = nearest_key(table, path, best);
    error_set(&err, FAIL_INVALID, "unknown key '%.120s', nearest valid key is '%s'", path, nearest);
    error_remedy(&err, "write '%s' or remove it; docs/configuration.md lists every key", nearest);
    add_problem(c, node, &err);
}

static void check_map(const struct check *c, const struct config_node *map, const char *prefix)
{
    for (size_t i = 0; i < map->count; i++) {
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "%s%s", prefix, map->children[i]->key);
        check_entry(c, map->children[i], path);
    }
}

/* Turns the defaults of lists, "a,b", into nodes once. */
static void split_defaults(struct config *config)
{
    for (size_t i = 0; i < config->table->count; i++) {
        const struct config_key *key = &config->table->keys[i];
        if (key->type != CONFIG_TEXT_LIST || !key->fallback)
            continue;
        struct config_node *list = config_node_create(CONFIG_NODE_LIST, NULL, NULL, 0);
        const char *at = key->fallback;
        while (*at) {
            size_t len = strcspn(at, ",");
            char *text = xstrndup(at, len);
            config_node_add(list, config_node_create(CONFIG_NODE_TEXT, NULL, text, 0));
            free(text);
            at += len + (at[len] == ',');
        }
        config->values[i].split = list;
    }
}

static void finish(struct config *config)
{
    split_defaults(config);
    for (size_t i = 0; i < config->table->count; i++)
        for (size_t j = 0; j < config->values[i].section_count; j++)
            finish(config->values[i].sections[j]);
}

struct config *config_create(const struct config_table *table, const struct config_layer *layers,
                             size_t layer_count, struct config_problems *problems)
{
    struct sources *sources = xcalloc(1, sizeof *sources);
    sources->layers = xcalloc(layer_count + 1, sizeof *sources->layers);
    sources->count = layer_count;
    struct config *config = create_empty(table, "");
    config->sources = config->owned = sources;

    size_t before = problems->count;
    for (size_t i = 0; i < layer_count; i++)
        sources->layers[i] =
            (struct config_layer){.name = xstrdup(layers[i].name), .tree = layers[i].tree};
    for (size_t i = 0; i < layer_count; i++) {
        struct check c = {.config = config, .layer = i, .problems = problems};
        if (layers[i].tree)
            check_map(&c, layers[i].tree, "");
    }
    if (problems->count == before) {
        finish(config);
        return config;
    }
    config_destroy(config);
    return NULL;
}

void config_destroy(struct config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->table->count; i++) {
        struct value *value = &config->values[i];
        for (size_t j = 0; j < value->section_count; j++)
            config_destroy(value->sections[j]);
        free(value->sections);
        config_node_destroy(value->split);
    }
    for (size_t i = 0; config->owned && i < config->owned->count; i++) {
        free((char *)config->owned->layers[i].name);
        config_node_destroy(config->owned->layers[i].tree);
    }
    if (config->owned)
        free(config->owned->layers);
    free(config->owned);
    free(config->values);
    free(config);
}

/* The key and its value; both exist or the caller is wrong. */
static const struct value *lookup(const struct config *config, const char *path,
                                  const struct config_key **key)
{
    char whole[PATH_BYTES];
    snprintf(whole, sizeof whole, "%s%s", config->prefix, path);
    size_t index = find_key(config->table, whole);
    assert(index < config->table->count);
    if (index == config->table->count)
        abort(); /* also where assertions are compiled out */
    *key = &config->table->keys[index];
    return &config->values[index];
}

bool config_is_set(const struct config *config, const char *path)
{
    const struct config_key *key;
    return lookup(config, path, &key)->node != NULL;
}

bool config_uses_layer(const struct config *config, size_t layer)
{
    for (size_t i = 0; i < config->table->count; i++)
        if (config->values[i].node && config->values[i].layer == layer)
            return true;
    return false;
}

const char *config_place(const struct config *config, const char *path, char *out, size_t size)
{
    const struct config_key *key;
    const struct value *value = lookup(config, path, &key);
    if (!value->node)
        snprintf(out, size, "default");
    else if (value->node->line > 0)
        snprintf(out, size, "%s line %u", config->sources->layers[value->layer].name,
                 value->node->line);
    else
        snprintf(out, size, "%s", config->sources->layers[value->layer].name);
    return out;
}

const char *config_text(const struct config *config, const char *path)
{
    const struct config_key *key;
    const struct value *value = lookup(config, path, &key);
    assert(key->type == CONFIG_TEXT || key->type == CONFIG_ENUM);
    return value->node ? value->node->text : key->fallback;
}

int64_t config_integer(const struct config *config, const char *path)
{
    const struct config_key *key;
    const struct value *value = lookup(config, path, &key);
    assert(key->type == CONFIG_INTEGER);
    return value->node ? value->integer : strtoll(key->fallback, NULL, 10);
}

bool config_bool(const struct config *config, const char *path)
{
    const struct config_key *key;
    const struct value *value = lookup(config, path, &key);
    assert(key->type == CONFIG_BOOL);
    return value->node ? value->integer : strcmp(key->fallback, "true") == 0;
}

static const struct config_node *children_of(const struct config *config, const char *path,
                                             UNUSED enum config_type type)
{
    const struct config_key *key;
    const struct value *value = lookup(config, path, &key);
    assert(key->type == type);
    return value->node ? value->node : value->split;
}

size_t config_list_count(const struct config *config, const char *path)
{
    return entry_count(children_of(config, path, CONFIG_TEXT_LIST));
}

const char *config_list_at(const struct config *config, const char *path, size_t index)
{
    return entry_at(children_of(config, path, CONFIG_TEXT_LIST), index)->text;
}

bool config_list_has(const struct config *config, const char *path, const char *text)
{
    for (size_t i = 0; i < config_list_count(config, path); i++)
        if (strcmp(config_list_at(config, path, i), text) == 0)
            return true;
    return false;
}

size_t config_map_count(const struct config *config, const char *path)
{
    return entry_count(children_of(config, path, CONFIG_TEXT_MAP));
}

const char *config_map_at(const struct config *config, const char *path, size_t index,
                          const char **value)
{
    const struct config_node *entry = entry_at(children_of(config, path, CONFIG_TEXT_MAP), index);
    if (!entry)
        abort(); /* index is not below config_map_count() */
    *value = entry->text;
    return entry->key;
}

size_t config_section_count(const struct config *config, const char *path)
{
    const struct config_key *key;
    return lookup(config, path, &key)->section_count;
}

const struct config *config_section_at(const struct config *config, const char *path, size_t index)
{
    const struct config_key *key;
    return lookup(config, path, &key)->sections[index];
}
