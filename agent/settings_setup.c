#include "agent/settings_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 8 * 1024 * 1024, TEXT_BYTES = 16 * 1024 };

static void *many(struct settings_setup *setup, size_t count, size_t bytes)
{
    void *memory = arena_alloc_many(&setup->arena, count + 1, bytes);
    if (!memory)
        abort(); /* users and configuration are limited far below the arena's size */
    return memory;
}

static const char *keep(struct settings_setup *setup, const char *text)
{
    struct bytes copy;
    if (!arena_copy(&setup->arena, bytes_of(text), &copy))
        abort();
    return (const char *)copy.data;
}

static const char *expanded(struct settings_setup *setup, struct accounts *accounts,
                            const char *text, const struct relay_person *person, struct error *err)
{
    struct buffer out = {.max_bytes = TEXT_BYTES};
    const char *kept = NULL;
    if (accounts_expand(accounts, text, person, &out, err))
        kept = keep(setup, buffer_text(&out));
    buffer_clear(&out);
    return kept;
}

/* A map with its variables replaced. NULL on failure. */
static const struct settings_pair *pairs(struct settings_setup *setup, struct accounts *accounts,
                                         const struct config *values, const char *path,
                                         const struct relay_person *person, size_t *count,
                                         struct error *err)
{
    *count = config_map_count(values, path);
    struct settings_pair *list = many(setup, *count, sizeof *list);
    for (size_t i = 0; i < *count; i++) {
        const char *text;
        list[i].name = config_map_at(values, path, i, &text);
        list[i].value = expanded(setup, accounts, text, person, err);
        if (!list[i].value)
            return NULL;
    }
    return list;
}

static enum settings_place place_of(const char *name)
{
    return strcmp(name, "dropin") == 0  ? SETTINGS_DROPIN
           : strcmp(name, "merge") == 0 ? SETTINGS_MERGE
           : strcmp(name, "none") == 0  ? SETTINGS_NONE
                                        : SETTINGS_AUTO;
}

static const char *signal_url(struct settings_setup *setup, struct accounts *accounts,
                              const struct config *destination, const char *signal)
{
    struct buffer url = {.max_bytes = TEXT_BYTES};
    struct error err = {0};
    const char *kept = NULL;
    if (agent_destination_url(destination, signal, &url))
        kept = expanded(setup, accounts, buffer_text(&url), NULL, &err);
    buffer_clear(&url);
    return kept;
}

static void set_direct(struct settings_setup *setup, const struct config *destination,
                       struct accounts *accounts)
{
    struct settings_options *o = &setup->options;
    const char *base = config_text(destination, "endpoint");
    o->mode = SETTINGS_DIRECT;
    o->metrics_endpoint = signal_url(setup, accounts, destination, "metrics");
    o->logs_endpoint = signal_url(setup, accounts, destination, "logs");
    o->traces_endpoint = signal_url(setup, accounts, destination, "traces");
    o->metrics = o->metrics && o->metrics_endpoint;
    o->logs = o->logs && o->logs_endpoint;
    o->traces = o->traces && o->traces_endpoint;
    o->endpoint = base                  ? base
                  : o->logs_endpoint    ? o->logs_endpoint
                  : o->metrics_endpoint ? o->metrics_endpoint
                                        : o->traces_endpoint;
}

static bool set_user(struct settings_setup *setup, const struct config *values,
                     struct accounts *accounts, const struct local_user *from,
                     struct settings_user *user, struct error *err)
{
    *user = (struct settings_user){.name = from->name,
                                   .sid = from->sid,
                                   .uid = from->uid,
                                   .gid = from->gid,
                                   .home = from->home,
                                   .email = from->email};
    if (setup->options.mode == SETTINGS_DIRECT) {
        struct relay_person person = {0};
        const struct config *destination = config_section_at(values, "destinations", 0);
        snprintf(person.local_user, sizeof person.local_user, "%s", from->name);
        snprintf(person.email, sizeof person.email, "%s", from->email ? from->email : "");
        user->headers =
            pairs(setup, accounts, destination, "headers", &person, &user->header_count, err);
        user->attributes = pairs(setup, accounts, destination, "resource_attributes", &person,
                                 &user->attribute_count, err);
        return user->headers && user->attributes;
    }
    if (strcmp(config_text(values, "relay.local_token_required"), "true") == 0) {
        struct settings_pair *header = many(setup, 1, sizeof *header);
        char token[ACCOUNTS_TOKEN_BYTES];
        accounts_token(accounts, from->name, token);
        *header = (struct settings_pair){"X-Relay-Token", keep(setup, token)};
        user->headers = header;
        user->header_count = 1;
    }
    return true;
}

/*
 * Direct mode without files of the users' own: the token is everyone's, and so, on a machine of
 * one person, is what the destination wants to know of that person.
 */
static bool share_direct(struct settings_setup *setup, const struct config *values,
                         struct accounts *accounts, struct error *err)
{
    struct settings_options *o = &setup->options;
    const struct config *destination = config_section_at(values, "destinations", 0);
    o->headers = pairs(setup, accounts, destination, "headers", NULL, &o->header_count, err);
    if (!o->headers || o->user_count != 1)
        return o->headers != NULL;
    const struct settings_user *person = &o->users[0];
    size_t count = o->resource_attribute_count + person->attribute_count;
    struct settings_pair *all = many(setup, count, sizeof *all);
    for (size_t i = 0; i < count; i++)
        all[i] = i < o->resource_attribute_count
                     ? o->resource_attributes[i]
                     : person->attributes[i - o->resource_attribute_count];
    o->resource_attributes = all;
    o->resource_attribute_count = count;
    return true;
}

bool settings_setup_init(struct settings_setup *setup, const struct config *values,
                         const char *root, struct accounts *accounts, uint16_t relay_port,
                         const struct fs *fs, struct error *err)
{
    *setup = (struct settings_setup){.arena = {.max_bytes = ARENA_BYTES}};
    struct settings_options *o = &setup->options;
    const struct local_users *people = accounts_users(accounts);
    char url[64];

    snprintf(url, sizeof url, "http://127.0.0.1:%u", relay_port);
    o->root = root;
    o->mode = SETTINGS_RELAY;
    o->endpoint = keep(setup, url);
    o->metrics = config_list_has(values, "claude.signals", "metrics");
    o->logs = config_list_has(values, "claude.signals", "logs");
    o->traces = config_list_has(values, "claude.signals", "traces");
    o->log_user_prompts = config_bool(values, "claude.log_user_prompts");
    o->log_tool_details = config_bool(values, "claude.log_tool_details");
    o->place = place_of(config_text(values, "claude.settings"));
    o->user_env = config_bool(values, "claude.user_env");
    o->resource_attributes = pairs(setup, accounts, values, "claude.resource_attributes", NULL,
                                   &o->resource_attribute_count, err);
    if (!o->resource_attributes)
        return false;
    if (strcmp(config_text(values, "claude.mode"), "direct") == 0)
        set_direct(setup, config_section_at(values, "destinations", 0), accounts);

    const char **homes = many(setup, people->count, sizeof *homes);
    struct settings_user *users = many(setup, people->count, sizeof *users);
    for (size_t i = 0; i < people->count; i++) {
        homes[i] = people->list[i].home;
        if (!set_user(setup, values, accounts, &people->list[i], &users[i], err))
            return false;
    }
    o->users = users;
    o->user_count = people->count;
    if (o->mode == SETTINGS_DIRECT && !o->user_env && !share_direct(setup, values, accounts, err))
        return false;
    claude_find_installs(root, homes, people->count, fs, &setup->installs);
    o->installs = &setup->installs;
    return true;
}

void settings_setup_clear(struct settings_setup *setup)
{
    claude_installs_clear(&setup->installs);
    arena_clear(&setup->arena);
}
