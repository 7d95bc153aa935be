#include "agent/identity/sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/json/edit.h"
#include "core/json/reader.h"
#include "core/plist/plist.h"
#include "platform/platform.h"

enum { MAX_SOURCE_BYTES = 1024 * 1024, MAX_COMMAND_BYTES = 4096 };

static void set_value(struct answer *out, struct bytes value)
{
    size_t len = value.len < sizeof out->value ? value.len : sizeof out->value - 1;
    if (len > 0)
        memcpy(out->value, value.data, len);
    out->value[len] = '\0';
}

static struct bytes trimmed(const char *text, size_t len)
{
    while (len > 0 && strchr(" \t\r\"'", text[len - 1]))
        len--;
    while (len > 0 && strchr(" \t\"'", *text)) {
        text++;
        len--;
    }
    return bytes_make(text, len);
}

/* Calls back with every line's start and length until it returns true. */
static bool find_line(struct bytes text, const char *key, const char *separators,
                      struct answer *out)
{
    size_t key_len = strlen(key);
    for (size_t at = 0; at < text.len;) {
        const char *line = (const char *)text.data + at;
        const char *end = memchr(line, '\n', text.len - at);
        size_t len = end ? (size_t)(end - line) : text.len - at;
        at += len + 1;
        while (len > 0 && (*line == ' ' || *line == '\t')) {
            line++;
            len--;
        }
        if (len <= key_len || memcmp(line, key, key_len) != 0)
            continue;
        size_t gap = key_len;
        while (gap < len && (line[gap] == ' ' || line[gap] == '\t'))
            gap++;
        bool separated = gap < len && strchr(separators, line[gap]);
        if (!separated && !(strchr(separators, ' ') && gap > key_len))
            continue;
        gap += separated;
        set_value(out, trimmed(line + gap, len - gap));
        return true;
    }
    return false;
}

bool identity_ini_value(struct bytes text, const char *key, struct answer *out)
{
    return find_line(text, key, "=", out);
}

bool identity_map_value(struct bytes text, const char *name, struct answer *out)
{
    return find_line(text, name, ":= ", out);
}

bool identity_gecos_value(const char *gecos, struct answer *out)
{
    for (const char *at = gecos; *at;) {
        size_t len = strcspn(at, ",;<> ");
        if (memchr(at, '@', len)) {
            set_value(out, bytes_make(at, len));
            return true;
        }
        at += len + (at[len] != '\0');
    }
    return false;
}

/* The user's name is data here: nothing that would lead to another folder. */
static bool is_plain_name(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/');
}

/* Reads `path` below the root ("%s" is the user's name or home). */
static bool read_place(const struct question *q, const char *path, struct buffer *text,
                       struct answer *out)
{
    struct error ignored;
    char *whole = platform_under_root(q->root, path);
    bool ok = fs_read_file(q->fs, whole, text, &ignored);
    snprintf(out->where, sizeof out->where, "%.500s", path);
    free(whole);
    return ok;
}

bool identity_plist_value(struct bytes text, const char *const *keys, struct answer *out)
{
    struct buffer json = {.max_bytes = 4 * MAX_SOURCE_BYTES}, value = {.max_bytes = 4096};
    struct error ignored;
    bool found = false;
    if (plist_to_json(text, &json, &ignored))
        for (size_t i = 0; keys[i] && !found; i++) {
            struct bytes raw;
            if (!json_edit_find(buffer_bytes(&json), &keys[i], 1, &raw, &ignored))
                continue;
            struct json_reader r = json_reader_make(raw);
            enum json_token token = json_next(&r);
            if (token == JSON_ARRAY_OPEN)
                token = json_next(&r);
            buffer_reset(&value);
            if (token == JSON_STRING && r.span.len > 0 && json_string_decode(r.span, &value)) {
                set_value(out, buffer_bytes(&value));
                found = true;
            }
        }
    buffer_clear(&value);
    buffer_clear(&json);
    return found;
}

/* Where a property list may lie. `%s` is the user's name, or the home when it begins the path. */
struct plist_place {
    const char *path;
    const char *keys[5];
};

static void ask_plist(const struct question *q, const struct plist_place *place, struct answer *out)
{
    struct buffer text = {.max_bytes = MAX_SOURCE_BYTES};
    const char *hole = strstr(place->path, "%s");
    const char *filling = hole == place->path ? q->user->home : q->user->name;
    char *path =
        hole ? xasprintf("%.*s%s%s", (int)(hole - place->path), place->path, filling, hole + 2)
             : xstrdup(place->path);
    if (read_place(q, path, &text, out))
        (void)identity_plist_value(buffer_bytes(&text), place->keys, out);
    buffer_clear(&text);
    free(path);
}

static void ask_map(const struct question *q, const char *path, struct answer *out)
{
    struct buffer text = {.max_bytes = MAX_SOURCE_BYTES};
    if (read_place(q, path, &text, out))
        (void)identity_map_value(buffer_bytes(&text), q->user->name, out);
    buffer_clear(&text);
}

/* A policy of Windows, next to the agent's settings. */
static void ask_policy(const struct question *q, struct answer *out)
{
    struct error ignored = {0};
    static const char path[] = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\ClaudeTelemetry";
    struct registry_key *key = registry_read(q->root, path, q->fs, &ignored);
    const char *email = registry_text_of(key, "UserEmail");
    if (email)
        set_value(out, bytes_of(email));
    snprintf(out->where, sizeof out->where, "%s", path);
    out->is_machines = true;
    registry_destroy(key);
}

bool identity_ask_mdm(const struct question *q, size_t nth, struct answer *out)
{
    static const struct plist_place places[] = {
        {"/Library/Managed Preferences/%s/com.claude-telemetry.agent.plist",
         {"UserEmail", "identity.email", "email"}},
        {"/Library/Managed Preferences/com.claude-telemetry.agent.plist",
         {"UserEmail", "identity.email", "email"}},
        {"/Library/Managed Preferences/io.kandji.globalvariables.plist", {"EMAIL"}},
        {"%s/Library/Preferences/com.jamf.connect.state.plist", {"UserLoginName", "DisplayName"}},
        {"%s/Library/Application Support/com.microsoft.CompanyPortalMac.usercontext.info",
         {"aadUserId"}},
    };
    size_t count = sizeof places / sizeof *places;
    if (nth == 0) { /* what configuration management put there, one line a user */
        ask_map(q, "/etc/claude-telemetry/user-emails", out);
        return true;
    }
    if (nth == 1) {
        ask_policy(q, out);
        return true;
    }
    if (nth > count + 1 || !is_plain_name(q->user->name))
        return false;
    ask_plist(q, &places[nth - 2], out);
    out->is_machines = strstr(places[nth - 2].path, "%s") == NULL;
    return true;
}

static void ask_accounts_service(const struct question *q, struct answer *out)
{
    struct buffer text = {.max_bytes = MAX_SOURCE_BYTES};
    char *path = xasprintf("/var/lib/AccountsService/users/%s", q->user->name);
    if (read_place(q, path, &text, out))
        (void)identity_ini_value(buffer_bytes(&text), "Email", out);
    buffer_clear(&text);
    free(path);
}

/* The Mac's own record of a user: "mail", or the identity that Platform SSO tied to it. */
static void ask_mac_record(const struct question *q, struct answer *out)
{
    static const struct plist_place record = {"/var/db/dslocal/nodes/Default/users/%s.plist",
                                              {"mail", "EMailAddress", "altsecurityidentities"}};
    static const char sso[] = "PlatformSSO:";
    ask_plist(q, &record, out);
    if (strncmp(out->value, sso, sizeof sso - 1) == 0)
        memmove(out->value, out->value + sizeof sso - 1, strlen(out->value) - sizeof sso + 2);
    else if (strncmp(out->value, "Kerberos:", 9) == 0)
        out->value[0] = '\0'; /* a realm, not an address */
}

const struct registry_key *identity_cached_user(const struct registry_key *cache, const char *sid)
{
    char *path = xasprintf("%s\\IdentityCache\\%s", sid, sid);
    const struct registry_key *found = cache ? registry_find(cache, path) : NULL;
    free(path);
    return found;
}

/* Whom Windows signed in with a company's account. */
static void ask_identity_cache(const struct question *q, struct answer *out)
{
    struct error ignored = {0};
    struct registry_key *cache =
        q->user->sid ? registry_read(q->root, IDENTITY_CACHE_KEY, q->fs, &ignored) : NULL;
    const char *name =
        cache ? registry_text_of(identity_cached_user(cache, q->user->sid), "UserName") : NULL;
    if (name && strchr(name, '@')) /* an account of this machine has a bare name */
        set_value(out, bytes_of(name));
    snprintf(out->where, sizeof out->where, "%s", IDENTITY_CACHE_KEY);
    registry_destroy(cache);
}

/* Who joined this machine to the company: may be an administrator, so only where nobody else works. */
static void ask_join(const struct question *q, struct answer *out)
{
    struct error ignored = {0};
    static const char path[] =
        "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\CloudDomainJoin\\JoinInfo";
    struct registry_key *joins =
        q->user->sid && q->is_alone ? registry_read(q->root, path, q->fs, &ignored) : NULL;
    for (size_t i = 0; joins && i < joins->key_count && !out->value[0]; i++) {
        const char *email = registry_text_of(joins->keys[i], "UserEmail");
        if (email)
            set_value(out, bytes_of(email));
    }
    snprintf(out->where, sizeof out->where, "%s", path);
    registry_destroy(joins);
}

bool identity_ask_directory(const struct question *q, size_t nth, struct answer *out)
{
    if (!is_plain_name(q->user->name))
        return false;
    switch (nth) {
    case 0:
        ask_accounts_service(q, out);
        return true;
    case 1:
        ask_map(q, "/etc/himmelblau/user-map", out);
        return true;
    case 2:
        ask_mac_record(q, out);
        return true;
    case 3: /* directory clients that use the sign-in name as the account's name */
        if (strchr(q->user->name, '@'))
            set_value(out, bytes_of(q->user->name));
        snprintf(out->where, sizeof out->where, "the account's name");
        return true;
    case 4:
        (void)identity_gecos_value(q->user->gecos, out);
        snprintf(out->where, sizeof out->where, "the account's comment");
        return true;
    case 5:
        ask_identity_cache(q, out);
        return true;
    case 6:
        ask_join(q, out);
        return true;
    default:
        return false;
    }
}

bool identity_ask_command(const struct question *q, size_t nth, struct answer *out)
{
    if (nth > 0 || !q->command || !*q->command)
        return false;
    char *home = platform_under_root(q->root, q->user->home);
    struct platform_command command = {.program = q->command,
                                       .argument = q->user->name,
                                       .user = q->user->name,
                                       .uid = q->user->uid,
                                       .gid = q->user->gid,
                                       .home = home,
                                       .timeout_ms = q->command_timeout_ms};
    struct buffer text = {.max_bytes = MAX_COMMAND_BYTES};
    struct error err = {0};
    snprintf(out->where, sizeof out->where, "%.500s", q->command);
    if (platform_run_command(&command, &text, &err)) {
        const uint8_t *end = text.len > 0 ? memchr(text.data, '\n', text.len) : NULL;
        set_value(out, bytes_make(text.data, end ? (size_t)(end - text.data) : text.len));
    } else {
        snprintf(out->where, sizeof out->where, "%.500s", err.cause);
        snprintf(out->value, sizeof out->value, "no answer"); /* refused, so that it is seen */
    }
    buffer_clear(&text);
    free(home);
    return true;
}
