#include "core/config/yaml.h"

#include <string.h>
#include <yaml.h>

static const char NO_NUL[] = "remove \"\\0\" or \"\\x00\" from it";

struct reading {
    yaml_parser_t parser;
    const char *name; /* of the file */
    unsigned depth;
    unsigned nodes;
    struct error *err;
};

static unsigned line_of(const yaml_event_t *event)
{
    return (unsigned)event->start_mark.line + 1;
}

static bool fail_at(struct reading *r, unsigned line, const char *problem, const char *fix)
{
    error_set(r->err, FAIL_INVALID, "'%s' line %u: %s", r->name, line, problem);
    return error_remedy(r->err, "%s", fix);
}

static bool next_event(struct reading *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return true;
    const yaml_parser_t *p = &r->parser;
    const char *problem = p->problem ? p->problem : "not YAML";
    bool in_text = p->error == YAML_SCANNER_ERROR || p->error == YAML_PARSER_ERROR;
    unsigned line = (unsigned)p->problem_mark.line + 1;
    if (in_text)
        error_set(r->err, FAIL_INVALID, "'%s' line %u, column %u: not valid YAML: %s%s%s", r->name,
                  line, (unsigned)p->problem_mark.column + 1, problem, p->context ? " " : "",
                  p->context ? p->context : "");
    else
        error_set(r->err, FAIL_INVALID, "'%s' is not valid YAML: %s at byte %zu", r->name, problem,
                  p->problem_offset);
    return error_remedy(r->err, "correct the indentation, quotes or brackets there or just above");
}

static struct config_node *read_node(struct reading *r, const yaml_event_t *event, const char *key,
                                     unsigned line);

static bool plain_features_only(struct reading *r, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (event->type == YAML_ALIAS_EVENT || anchor)
        return fail_at(r, line_of(event), "anchors and aliases (& and *) are not supported here",
                       "write the value itself; put quotes around a text that begins so");
    if (tag)
        return fail_at(r, line_of(event), "tags (!) are not supported here",
                       "remove the tag; put quotes around a text that begins so");
    return true;
}

static bool read_list(struct reading *r, struct config_node *list)
{
    for (;;) {
        yaml_event_t event;
        if (!next_event(r, &event))
            return false;
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        struct config_node *item = end ? NULL : read_node(r, &event, NULL, line_of(&event));
        yaml_event_delete(&event);
        if (end)
            return true;
        if (!item)
            return false;
        config_node_add(list, item);
    }
}

/* One key and its value. `key` is the event that stands where a key must. */
static bool read_entry(struct reading *r, struct config_node *map, const yaml_event_t *key)
{
    if (!plain_features_only(r, key))
        return false;
    if (key->type != YAML_SCALAR_EVENT)
        return fail_at(r, line_of(key), "a key must be text",
                       "write the key as one word, such as 'relay:'");
    const char *name = (const char *)key->data.scalar.value;
    if (strlen(name) != key->data.scalar.length)
        return fail_at(r, line_of(key), "a key holds a NUL character", NO_NUL);
    const struct config_node *first = config_node_find(map, name);
    if (first) {
        error_set(r->err, FAIL_INVALID, "'%s' line %u: key '%.80s' is already on line %u", r->name,
                  line_of(key), name, first->line);
        return error_remedy(r->err, "keep one of the two");
    }

    yaml_event_t event;
    if (!next_event(r, &event))
        return false;
    struct config_node *value = read_node(r, &event, name, line_of(key));
    yaml_event_delete(&event);
    if (value)
        config_node_add(map, value);
    return value != NULL;
}

static bool read_map(struct reading *r, struct config_node *map)
{
    for (;;) {
        yaml_event_t event;
        if (!next_event(r, &event))
            return false;
        bool end = event.type == YAML_MAPPING_END_EVENT;
        bool ok = end || read_entry(r, map, &event);
        yaml_event_delete(&event);
        if (end || !ok)
            return ok;
    }
}

static struct config_node *read_text(struct reading *r, const yaml_event_t *event, const char *key,
                                     unsigned line)
{
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length) {
        fail_at(r, line_of(event), "a value holds a NUL character", NO_NUL);
        return NULL;
    }
    struct config_node *node = config_node_create(CONFIG_NODE_TEXT, key, text, line);
    node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return node;
}

static struct config_node *read_node(struct reading *r, const yaml_event_t *event, const char *key,
                                     unsigned line)
{
    if (!plain_features_only(r, event))
        return NULL;
    if (++r->nodes > CONFIG_YAML_MAX_NODES) {
        fail_at(r, line, "more values than a configuration can hold",
                "remove what does not belong to it");
        return NULL;
    }
    if (event->type == YAML_SCALAR_EVENT)
        return read_text(r, event, key, line);

    bool is_map = event->type == YAML_MAPPING_START_EVENT;
    if (r->depth == CONFIG_YAML_MAX_DEPTH) {
        fail_at(r, line, "nested too deeply", "close the brackets opened above it");
        return NULL;
    }
    r->depth++;
    struct config_node *node =
        config_node_create(is_map ? CONFIG_NODE_MAP : CONFIG_NODE_LIST, key, NULL, line);
    bool ok = is_map ? read_map(r, node) : read_list(r, node);
    r->depth--;
    if (ok)
        return node;
    config_node_destroy(node);
    return NULL;
}

/* The one document. An empty stream gives an empty map. */
static struct config_node *read_document(struct reading *r)
{
    struct config_node *root = NULL;
    for (;;) {
        yaml_event_t event;
        if (!next_event(r, &event))
            goto failed;
        yaml_event_type_t type = event.type;
        bool ok = true;
        if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
            type == YAML_MAPPING_START_EVENT || type == YAML_ALIAS_EVENT)
            ok = (root = read_node(r, &event, NULL, line_of(&event))) != NULL;
        else if (type == YAML_DOCUMENT_START_EVENT && root)
            ok = fail_at(r, line_of(&event), "a second document begins; one is allowed",
                         "remove the line '---' and what does not belong to the first");
        yaml_event_delete(&event);
        if (!ok)
            goto failed;
        if (type == YAML_STREAM_END_EVENT)
            break;
    }
    if (root && config_node_is_null(root)) {
        config_node_destroy(root);
        root = NULL;
    }
    if (!root)
        return config_node_create(CONFIG_NODE_MAP, NULL, NULL, 1);
    if (root->kind == CONFIG_NODE_MAP)
        return root;
    fail_at(r, root->line, "the file must hold keys and values",
            "begin it with a section, such as 'relay:'");
failed:
    config_node_destroy(root);
    return NULL;
}

struct config_node *config_yaml_parse(const char *name, struct bytes text, struct error *err)
{
    struct reading r = {.name = name, .err = err};
    if (text.len > CONFIG_YAML_MAX_BYTES) {
        error_set(err, FAIL_TOO_LARGE, "'%s' is larger than %d KiB", name,
                  CONFIG_YAML_MAX_BYTES / 1024);
        return NULL;
    }
    if (!yaml_parser_initialize(&r.parser)) {
        error_set(err, FAIL_NO_SPACE, "no memory to read '%s'", name);
        return NULL;
    }
    static const unsigned char nothing[1];
    yaml_parser_set_input_string(&r.parser, text.len ? text.data : nothing, text.len);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    struct config_node *root = read_document(&r);
    yaml_parser_delete(&r.parser);
    return root;
}

struct config_node *config_yaml_read(const struct fs *fs, const char *path, struct error *err)
{
    struct buffer text = {.max_bytes = CONFIG_YAML_MAX_BYTES};
    struct config_node *root = NULL;
    if (fs_read_file(fs, path, &text, err))
        root = config_yaml_parse(path, buffer_bytes(&text), err);
    buffer_clear(&text);
    return root;
}
