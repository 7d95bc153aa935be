#include "agent/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/config/json.h"
#include "core/config/registry.h"
#include "core/config/template.h"
#include "core/config/yaml.h"
#include "core/crypto/crypto.h"
#include "core/plist/plist.h"
#include "platform/platform.h"

static const char *const signal_names[] = {"metrics", "logs", "traces"};
enum { SIGNAL_COUNT = sizeof signal_names / sizeof *signal_names, KEY_BYTES = 40 };

static const char *signal_endpoint(const struct config *destination, const char *signal)
{
    char key[KEY_BYTES];
    snprintf(key, sizeof key, "%s_endpoint", signal);
    return config_text(destination, key);
}

static bool wants(const struct config *destination, const char *signal)
{
    return !config_is_set(destination, "signals") ||
           config_list_has(destination, "signals", signal);
}

bool agent_destination_url(const struct config *destination, const char *signal, struct buffer *out)
{
    const char *verbatim = signal_endpoint(destination, signal);
    const char *base = config_text(destination, "endpoint");
    if (!wants(destination, signal) || (!verbatim && !base))
        return false;
    if (verbatim)
        return buffer_append_text(out, verbatim);
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    return buffer_append_format(out, "%.*s/v1/%s", (int)len, base, signal);
}

char *agent_server_url(const struct config *values, const char *path)
{
    const char *url = config_text(values, "server.url");
    if (!url)
        return NULL;
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    return xasprintf("%.*s%s", (int)len, url, path);
}

/* Adds a problem that stands where `key` of the destination does. */
static bool PRINTF_LIKE(4, 5)
    add_problem(struct config_problems *problems, const struct config *section, const char *key,
                const char *cause, ...)
{
    char place[400], text[400];
    struct error err = {0};
    va_list args;
    va_start(args, cause);
    vsnprintf(text, sizeof text, cause, args);
    va_end(args);
    error_set(&err, FAIL_INVALID, "%s: %s", config_place(section, key, place, sizeof place), text);
    error_remedy(&err, "docs/configuration.md says what each key means");
    return config_problems_add(problems, &err);
}

static bool check_endpoints(const struct config *destination, const char *name,
                            struct config_problems *problems)
{
    bool any = false, ok = true;
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        struct buffer url = {.max_bytes = 4096};
        bool has_url = agent_destination_url(destination, signal_names[i], &url);
        any = any || has_url;
        buffer_clear(&url);
        if (!has_url && config_is_set(destination, "signals") &&
            wants(destination, signal_names[i]))
            ok = add_problem(problems, destination, "signals",
                             "destination '%s' is to take %s but has neither 'endpoint' nor "
                             "'%s_endpoint'",
                             name, signal_names[i], signal_names[i]);
    }
    if (ok && !any)
        ok = add_problem(problems, destination, "name",
                         "destination '%s' has no 'endpoint', 'metrics_endpoint', 'logs_endpoint' "
                         "or 'traces_endpoint'",
                         name);
    return ok;
}

static bool check_headers(const struct config *destination, const char *name,
                          struct config_problems *problems)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    bool ok = true;
    for (size_t i = 0; i < config_map_count(destination, "headers"); i++) {
        const char *value;
        const char *header = config_map_at(destination, "headers", i, &value);
        if (header[0] == '\0' || header[strspn(header, token)] != '\0')
            ok = add_problem(problems, destination, "headers",
                             "destination '%s' has a header with the invalid name '%.60s'", name,
                             header);
        else if (strpbrk(value, "\r\n"))
            ok = add_problem(problems, destination, "headers",
                             "destination '%s': the value of header '%.60s' has a line break", name,
                             header);
    }
    return ok;
}

static bool check_unique(const struct config *values, size_t index,
                         struct config_problems *problems)
{
    const struct config *destination = config_section_at(values, "destinations", index);
    const char *name = config_text(destination, "name");
    for (size_t i = 0; i < index; i++) {
        const struct config *other = config_section_at(values, "destinations", i);
        if (strcmp(config_text(other, "name"), name) == 0)
            return add_problem(problems, destination, "name",
                               "'destinations[%zu].name' is '%s' like that of 'destinations[%zu]'",
                               index, name, i);
    }
    return true;
}

/* The machine's own settings are the same for everybody on it. */
static bool check_attributes(const struct config *values, struct config_problems *problems)
{
    bool ok = true;
    for (size_t i = 0; i < config_map_count(values, "claude.resource_attributes"); i++) {
        const char *text;
        const char *name = config_map_at(values, "claude.resource_attributes", i, &text);
        if (config_template_uses(text, "email") || config_template_uses(text, "local_user"))
            ok = add_problem(problems, values, "claude.resource_attributes",
                             "'claude.resource_attributes.%.60s' cannot hold a person's variable: "
                             "the relay and each user's settings add the person",
                             name);
    }
    return ok;
}

bool agent_config_check(const struct config *values, struct config_problems *problems)
{
    size_t before = problems->count;
    size_t count = config_section_count(values, "destinations");
    for (size_t i = 0; i < count; i++) {
        const struct config *destination = config_section_at(values, "destinations", i);
        const char *name = config_text(destination, "name");
        check_unique(values, i, problems);
        check_endpoints(destination, name, problems);
        check_headers(destination, name, problems);
    }
    check_attributes(values, problems);
    if (count > AGENT_MAX_DESTINATIONS)
        add_problem(problems, values, "destinations", "'destinations' has %zu entries, most is %d",
                    count, AGENT_MAX_DESTINATIONS);
    if (strcmp(config_text(values, "claude.mode"), "direct") == 0 && count != 1)
        add_problem(problems, values, "claude.mode",
                    "'claude.mode' is 'direct', which needs exactly one destination, not %zu",
                    count);
    return problems->count == before;
}

/* Reads the file: its text, and its tree. False when there is a problem. */
static bool read_file(struct agent_config *config, bool must_exist, const struct fs *fs,
                      struct buffer *text, struct config_node **tree,
                      struct config_problems *problems)
{
    struct error err = {0};
    config->file_exists = fs_read_file(fs, config->path, text, &err);
    bool ok = config->file_exists || (err.kind == FAIL_NOT_FOUND && !must_exist);
    if (config->file_exists) {
        *tree = config_yaml_parse(config->path, buffer_bytes(text), &err);
        ok = *tree != NULL;
    } else if (!ok && err.kind == FAIL_NOT_FOUND) {
        error_remedy(&err, "create it, or name another with --config FILE");
    }
    return ok || config_problems_add(problems, &err);
}

/* The profile also carries what only the identity sources read. */
static void remove_identity_keys(struct config_node *tree)
{
    static const char *const keys[] = {"UserEmail", "email"};
    size_t kept = 0;
    for (size_t i = 0; i < tree->count; i++) {
        struct config_node *child = tree->children[i];
        if (strcmp(child->key, keys[0]) == 0 || strcmp(child->key, keys[1]) == 0)
            config_node_destroy(child);
        else
            tree->children[kept++] = child;
    }
    tree->count = kept;
}

/* What a Mac's device manager pushed for our domain. */
static struct config_node *read_profile(const char *root, const struct fs *fs, const char **name,
                                        struct error *err)
{
    struct buffer plist = {.max_bytes = CONFIG_YAML_MAX_BYTES};
    struct buffer json = {.max_bytes = CONFIG_YAML_MAX_BYTES};
    struct config_node *tree = NULL;
    char *path =
        platform_under_root(root, "/Library/Managed Preferences/com.claude-telemetry.agent.plist");
    *name = path;
    if (fs_read_file(fs, path, &plist, err)) {
        if (plist_to_json(buffer_bytes(&plist), &json, err))
            tree = config_json_parse(path, buffer_bytes(&json), err);
        else
            error_wrap(err, "'%s'", path);
    }
    buffer_clear(&plist);
    buffer_clear(&json);
    return tree;
}

/* What Windows' device manager or a group policy set. */
static struct config_node *read_policy(const char *root, const struct fs *fs, const char **name,
                                       struct error *err)
{
    const char *below = strchr(agent_config_table.policy, '\\');
    char *path = xasprintf("HKEY_LOCAL_MACHINE%s", below);
    struct registry_key *key = registry_read(root, path, fs, err);
    *name = xstrdup(agent_config_table.policy);
    struct config_node *tree =
        key ? config_registry_parse(&agent_config_table, *name, key, err) : NULL;
    registry_destroy(key);
    free(path);
    return tree;
}

/* Each is there on one system, or below a root that looks like one; the first that gives a key wins. */
static struct config_node *(*const managed[])(const char *root, const struct fs *fs,
                                              const char **name, struct error *err) = {
    read_profile,
    read_policy,
};
enum { MANAGED_COUNT = sizeof managed / sizeof *managed, LAYER_COUNT = MANAGED_COUNT + 1 };

/* False with a problem when a managed source is there and cannot be read. */
static bool read_managed(const char *root, const struct fs *fs, struct config_layer *layers,
                         struct config_problems *problems)
{
    bool ok = true;
    for (size_t i = 0; i < MANAGED_COUNT; i++) {
        struct error err = {0};
        layers[i].tree = managed[i](root, fs, &layers[i].name, &err);
        if (layers[i].tree)
            remove_identity_keys(layers[i].tree);
        else if (err.kind != FAIL_NOT_FOUND)
            ok = config_problems_add(problems, &err);
    }
    return ok;
}

/* SHA-256 over what every source says, so that a pushed change shows in the heartbeat too. */
static void hash_sources(struct agent_config *config, const struct config_layer *layers,
                         struct bytes file)
{
    struct buffer text = {.max_bytes = 4 * MIB};
    uint8_t digest[SHA256_BYTES];
    bool ok = buffer_append(&text, file);
    for (size_t i = 0; i < MANAGED_COUNT; i++)
        ok = ok && (!layers[i].tree || config_node_write(layers[i].tree, &text));
    crypto_sha256(ok ? buffer_bytes(&text) : file, digest);
    crypto_hex(bytes_make(digest, sizeof digest), config->hash);
    buffer_clear(&text);
}

struct agent_config *agent_config_load(const char *root, const char *path, const struct fs *fs,
                                       struct config_problems *problems)
{
    struct agent_config *config = xcalloc(1, sizeof *config);
    struct config_layer layers[LAYER_COUNT] = {{0}};
    struct buffer text = {.max_bytes = CONFIG_YAML_MAX_BYTES};
    if (path) {
        config->path = xstrdup(path);
    } else {
        char *dir = platform_config_dir(root);
        config->path = xasprintf("%s/agent.yaml", dir);
        free(dir);
    }
    layers[MANAGED_COUNT].name = config->path;
    bool ok = read_managed(root, fs, layers, problems);
    ok = read_file(config, path != NULL, fs, &text, &layers[MANAGED_COUNT].tree, problems) && ok;
    hash_sources(config, layers, buffer_bytes(&text));
    buffer_clear(&text);
    if (ok)
        config->values = config_create(&agent_config_table, layers, LAYER_COUNT, problems);
    for (size_t i = 0; i < MANAGED_COUNT && config->values && !config->managed; i++)
        if (config_uses_layer(config->values, i))
            config->managed = xstrdup(layers[i].name);
    for (size_t i = 0; i < LAYER_COUNT && !ok; i++)
        config_node_destroy(layers[i].tree);
    for (size_t i = 0; i < MANAGED_COUNT; i++)
        free((char *)layers[i].name);
    if (config->values && agent_config_check(config->values, problems))
        return config;
    agent_config_destroy(config);
    return NULL;
}

void agent_config_destroy(struct agent_config *config)
{
    if (!config)
        return;
    config_destroy(config->values);
    free(config->managed);
    free(config->path);
    free(config);
}
