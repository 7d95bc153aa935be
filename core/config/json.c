#include "core/config/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/config/yaml.h"
#include "core/json/reader.h"

struct reading {
    struct json_reader json;
    const char *name;
    unsigned depth, nodes;
    struct error *err;
};

static struct config_node *read_value(struct reading *r, enum json_token token, const char *key);

static bool fail(struct reading *r, const char *problem)
{
    return error_set(r->err, FAIL_INVALID, "'%s': %s", r->name, problem);
}

/* A span decoded, or NULL: texts with a NUL are refused. The caller frees. */
static char *decode(struct reading *r, struct bytes span)
{
    struct buffer text = {.max_bytes = CONFIG_YAML_MAX_BYTES};
    char *copy = NULL;
    if (!json_string_decode(span, &text) || (text.len > 0 && memchr(text.data, 0, text.len)))
        fail(r, "a text holds a NUL character or is too long");
    else
        copy = text.len ? xstrndup((const char *)text.data, text.len) : xstrdup("");
    buffer_clear(&text);
    return copy;
}

static bool read_members(struct reading *r, struct config_node *node)
{
    bool is_map = node->kind == CONFIG_NODE_MAP;
    for (;;) {
        enum json_token token = json_next(&r->json);
        char *key = NULL;
        if (token == JSON_OBJECT_CLOSE || token == JSON_ARRAY_CLOSE)
            return true;
        if (is_map && token == JSON_KEY) {
            key = decode(r, r->json.span);
            if (!key)
                return false;
            token = json_next(&r->json);
        }
        bool doubled = key && config_node_find(node, key);
        struct config_node *child = doubled ? NULL : read_value(r, token, key);
        if (doubled)
            error_set(r->err, FAIL_INVALID, "'%s': key '%.80s' is there twice", r->name, key);
        free(key);
        if (!child)
            return false;
        config_node_add(node, child);
    }
}

static struct config_node *read_text(struct reading *r, enum json_token token, const char *key)
{
    char *text = token == JSON_NULL ? xstrdup("")
                 : token == JSON_STRING
                     ? decode(r, r->json.span)
                     : xstrndup((const char *)r->json.span.data, r->json.span.len);
    if (!text)
        return NULL;
    struct config_node *node = config_node_create(CONFIG_NODE_TEXT, key, text, 0);
    node->is_plain = true;
    free(text);
    return node;
}

static struct config_node *read_value(struct reading *r, enum json_token token, const char *key)
{
    if (token == JSON_ERROR || token == JSON_END) {
        json_fail(&r->json, r->err);
        error_wrap(r->err, "'%s'", r->name);
        return NULL;
    }
    if (++r->nodes > CONFIG_YAML_MAX_NODES || r->depth == CONFIG_YAML_MAX_DEPTH) {
        fail(r, "more values or levels than a configuration can hold");
        return NULL;
    }
    if (token != JSON_OBJECT_OPEN && token != JSON_ARRAY_OPEN)
        return read_text(r, token, key);
    struct config_node *node =
        config_node_create(token == JSON_OBJECT_OPEN ? CONFIG_NODE_MAP : CONFIG_NODE_LIST, key,
                           NULL, 0);
    r->depth++;
    bool ok = read_members(r, node);
    r->depth--;
    if (ok)
        return node;
    config_node_destroy(node);
    return NULL;
}

struct config_node *config_json_parse(const char *name, struct bytes text, struct error *err)
{
    struct reading r = {.json = json_reader_make(text), .name = name, .err = err};
    if (text.len > CONFIG_YAML_MAX_BYTES) {
        error_set(err, FAIL_TOO_LARGE, "'%s' is larger than %d KiB", name,
                  CONFIG_YAML_MAX_BYTES / 1024);
        return NULL;
    }
    struct config_node *root = read_value(&r, json_next(&r.json), NULL);
    if (root && root->kind == CONFIG_NODE_MAP && json_next(&r.json) == JSON_END)
        return root;
    if (root && root->kind != CONFIG_NODE_MAP)
        fail(&r, "must hold keys and values");
    else if (root)
        fail(&r, "more follows behind the document");
    config_node_destroy(root);
    return NULL;
}
