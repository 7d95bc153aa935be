#include "core/config/describe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json/writer.h"

static void join_choices(const struct config_key *key, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; key->choices[i] && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, "%s`%s`", i ? ", " : "", key->choices[i]);
}

void config_describe_type(const struct config_key *key, char *out, size_t size)
{
    char choices[200] = "";
    if (key->choices)
        join_choices(key, choices, sizeof choices);
    switch (key->type) {
    case CONFIG_TEXT:
        snprintf(out, size, "text");
        break;
    case CONFIG_INTEGER:
        snprintf(out, size, "whole number, %" PRId64 " to %" PRId64, key->min, key->max);
        break;
    case CONFIG_BOOL:
        snprintf(out, size, "`true` or `false`");
        break;
    case CONFIG_ENUM:
        snprintf(out, size, "one of %s", choices);
        break;
    case CONFIG_TEXT_LIST:
        snprintf(out, size, key->choices ? "list of %s" : "list of texts", choices);
        break;
    case CONFIG_TEXT_MAP:
        snprintf(out, size, "names and texts");
        break;
    case CONFIG_SECTIONS:
        snprintf(out, size, "list of sections");
        break;
    }
}

/* "relay" of "relay.spool.path", "destinations" of "destinations[].name". */
static size_t group_len(const char *path)
{
    return strcspn(path, ".[");
}

static bool put_row(const struct config_key *key, struct buffer *out)
{
    char type[300];
    config_describe_type(key, type, sizeof type);
    const char *fallback = key->fallback && key->fallback[0] ? key->fallback : NULL;
    return buffer_append_format(out, "| `%s` | %s | %s%s%s | %s%s%s |\n", key->path, type,
                                fallback ? "`" : "", fallback ? fallback : "", fallback ? "`" : "",
                                key->summary, key->flags & CONFIG_REQUIRED ? " Required." : "",
                                key->flags & CONFIG_VARIABLES ? " Takes variables." : "");
}

/* How the same keys look where device managers set them. */
static const char managed_shapes[] =
    "\nIn a profile keys nest as in YAML, or are dotted (`relay.listen`). In the registry they "
    "are\n"
    "dotted values or values of nested keys, whatever the case; numbers, `true` and `false` are\n"
    "REG_DWORD or text. A list is REG_MULTI_SZ, a text `a, b`, or a key with a value an entry; "
    "names\n"
    "and texts are a key with a value each, or REG_MULTI_SZ of `name=text`; sections are a key "
    "with\n"
    "a key each below it (`destinations\\central\\endpoint`), which names it. All three may be a\n"
    "text of JSON. Below `--root DIR` the registry is `DIR/registry.reg`, as regedit exports it.\n";

static bool put_head(const struct config_table *table, struct buffer *out)
{
    return buffer_append_format(out,
                                "# Configuration of %s\n\n"
                                "Made from the table the program checks with: do not edit.\n\n",
                                table->program);
}

/* A program that device managers configure. */
static bool put_managed_sources(const struct config_table *table, struct buffer *out)
{
    return buffer_append_format(
        out,
        "For each key the first source that gives it wins: values managed by an MDM (macOS:\n"
        "domain `%s`%s%s%s), the configuration\n"
        "file, the default. An unknown key, a wrong type or a value out of range stops\n"
        "the program with the file, the line, the key and the nearest valid key;\n"
        "`%s check-config` shows all of them. Empty texts and variables that an MDM\n"
        "did not fill in (`$EMAIL`, `{{mail}}`, `%%Email%%`) count as not set, in lists and groups "
        "too.\n",
        table->domain, table->policy ? "; Windows: `" : "", table->policy ? table->policy : "",
        table->policy ? "`" : "", table->program);
}

/* One that its operator configures. */
static bool put_plain_sources(const struct config_table *table, struct buffer *out)
{
    return buffer_append_format(
        out,
        "For each key the first source that gives it wins: the command line where it has such an\n"
        "option, the configuration file, the default. An unknown key, a wrong type or a value out\n"
        "of range stops the program with the file, the line, the key and the nearest valid key;\n"
        "`%s check-config` shows all of them.\n",
        table->program);
}

static bool put_variables(const struct config_table *table, struct buffer *out)
{
    bool ok = buffer_append_text(out, "\nVariables:");
    for (size_t i = 0; table->variables[i]; i++)
        ok = ok && buffer_append_format(out, " `${%s}`", table->variables[i]);
    return ok &&
           buffer_append_text(out,
                              " `${file:PATH}` `${env:NAME}`. A file's trailing line end is left\n"
                              "out. `$${` is a plain `${`. An unknown variable is an error.\n");
}

static bool same_group(const char *a, const char *b)
{
    return group_len(a) == group_len(b) && strncmp(a, b, group_len(a)) == 0;
}

/* "listen", of which no other key is a part. */
static bool stands_alone(const struct config_table *table, size_t i)
{
    const char *path = table->keys[i].path;
    return path[group_len(path)] == '\0' &&
           (i + 1 == table->count || !same_group(path, table->keys[i + 1].path));
}

bool config_describe_markdown(const struct config_table *table, struct buffer *out)
{
    bool ok = put_head(table, out) &&
              (table->domain ? put_managed_sources(table, out) : put_plain_sources(table, out));
    ok = ok && (!table->policy || buffer_append_text(out, managed_shapes));
    ok = ok && (!table->variables || put_variables(table, out));

    const char *group = "";
    for (size_t i = 0; ok && i < table->count; i++) {
        const char *path = table->keys[i].path;
        if (stands_alone(table, i) && !group[0])
            ok = buffer_append_text(out, "\n| key | type | default | meaning |\n"
                                         "|---|---|---|---|\n");
        else if (!stands_alone(table, i) && !same_group(group, path))
            ok = buffer_append_format(out,
                                      "\n## %.*s\n\n| key | type | default | meaning |\n"
                                      "|---|---|---|---|\n",
                                      (int)group_len(path), path);
        group = path;
        ok = ok && put_row(&table->keys[i], out);
    }
    return ok;
}

static void put_default(struct json_writer *w, const struct config_key *key)
{
    if (!key->fallback || key->type == CONFIG_TEXT_MAP || key->type == CONFIG_SECTIONS)
        return;
    json_put_key(w, "default");
    if (key->type == CONFIG_INTEGER) {
        json_put_int(w, strtoll(key->fallback, NULL, 10));
    } else if (key->type == CONFIG_BOOL) {
        json_put_bool(w, strcmp(key->fallback, "true") == 0);
    } else if (key->type != CONFIG_TEXT_LIST) {
        json_put_string(w, key->fallback);
    } else {
        json_array_open(w);
        for (const char *at = key->fallback; *at;) {
            size_t len = strcspn(at, ",");
            json_put_bytes(w, bytes_make(at, len));
            at += len + (at[len] == ',');
        }
        json_array_close(w);
    }
}

static void put_choices(struct json_writer *w, const struct config_key *key)
{
    if (!key->choices)
        return;
    json_put_key(w, "enum");
    json_array_open(w);
    for (size_t i = 0; key->choices[i]; i++)
        json_put_string(w, key->choices[i]);
    json_array_close(w);
}

static void put_type(struct json_writer *w, const char *type)
{
    json_put_key(w, "type");
    json_put_string(w, type);
}

static void put_properties(struct json_writer *w, const struct config_table *table,
                           const char *prefix);

static void put_key(struct json_writer *w, const struct config_table *table,
                    const struct config_key *key)
{
    static const char *const types[] = {"string", "integer", "boolean", "string",
                                        "array",  "object",  "array"};
    json_put_key(w, "description");
    json_put_string(w, key->summary);
    put_type(w, types[key->type]);
    put_default(w, key);
    switch (key->type) {
    case CONFIG_INTEGER:
        json_put_key(w, "minimum");
        json_put_int(w, key->min);
        json_put_key(w, "maximum");
        json_put_int(w, key->max);
        break;
    case CONFIG_TEXT:
    case CONFIG_ENUM:
        put_choices(w, key);
        break;
    case CONFIG_TEXT_LIST:
        json_put_key(w, "items");
        json_object_open(w);
        put_type(w, "string");
        put_choices(w, key);
        json_object_close(w);
        break;
    case CONFIG_TEXT_MAP:
        json_put_key(w, "additionalProperties");
        json_object_open(w);
        put_type(w, "string");
        json_object_close(w);
        break;
    case CONFIG_SECTIONS: {
        char prefix[128];
        snprintf(prefix, sizeof prefix, "%s[].", key->path);
        json_put_key(w, "items");
        json_object_open(w);
        put_type(w, "object");
        put_properties(w, table, prefix);
        json_object_close(w);
        break;
    }
    case CONFIG_BOOL:
        break;
    }
}

/* The next word of `path` behind `prefix`, up to '.' or '['; 0 when it does not start so. */
static size_t word_behind(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(path, prefix, len) == 0 ? strcspn(path + len, ".[") : 0;
}

static bool word_seen_before(const struct config_table *table, size_t index, const char *prefix,
                             size_t word_len)
{
    size_t start = strlen(prefix);
    const char *word = table->keys[index].path + start;
    for (size_t i = 0; i < index; i++)
        if (word_behind(table->keys[i].path, prefix) == word_len &&
            strncmp(table->keys[i].path + start, word, word_len) == 0)
            return true;
    return false;
}

static void put_properties(struct json_writer *w, const struct config_table *table,
                           const char *prefix)
{
    int order = 5;
    json_put_key(w, "properties");
    json_object_open(w);
    for (size_t i = 0; i < table->count; i++) {
        const struct config_key *key = &table->keys[i];
        size_t len = word_behind(key->path, prefix);
        const char *word = key->path + strlen(prefix);
        if (len == 0 || word_seen_before(table, i, prefix, len))
            continue;
        json_put_key_bytes(w, bytes_make(word, len));
        json_object_open(w);
        json_put_key(w, "title");
        json_put_bytes(w, bytes_make(word, len));
        json_put_key(w, "property_order");
        json_put_int(w, order);
        order += 5;
        if (word[len] == '\0') {
            put_key(w, table, key);
        } else {
            char below[128];
            snprintf(below, sizeof below, "%s%.*s.", prefix, (int)len, word);
            put_type(w, "object");
            put_properties(w, table, below);
        }
        json_object_close(w);
    }
    json_object_close(w);
}

bool config_describe_jamf(const struct config_table *table, struct buffer *out)
{
    char title[160];
    struct json_writer w = json_writer_make(out);
    w.pretty = true;
    snprintf(title, sizeof title, "%s (%s)", table->program, table->domain);
    json_object_open(&w);
    json_put_key(&w, "title");
    json_put_string(&w, title);
    json_put_key(&w, "description");
    json_put_string(&w, "Managed values win over the configuration file on the machine.");
    put_type(&w, "object");
    put_properties(&w, table, "");
    json_object_close(&w);
    return json_writer_ok(&w) && buffer_append_byte(out, '\n');
}
