/* People that stand in no passwd file: a Mac's own records, Windows' profiles, and whose home or
 * session is here though only a directory service knows them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/identity/sources.h"
#include "agent/identity/users.h"
#include "base/memory.h"
#include "core/registry/registry.h"
#include "platform/platform.h"
#include "platform/registry.h"

enum { MAX_NAMES = 4096, MAX_RECORD_BYTES = 1024 * 1024, FIRST_PERSON_OF_MAC = 500 };

struct names {
    char *list[MAX_NAMES];
    size_t count;
};

static bool remember(void *context, const char *name)
{
    struct names *names = context;
    if (name[0] != '.')
        names->list[names->count++] = xstrdup(name);
    return names->count < MAX_NAMES;
}

static struct names *names_in(const char *folder, const struct fs *fs)
{
    struct names *names = xcalloc(1, sizeof *names);
    struct error ignored;
    (void)!fs->list(fs->disk, folder, remember, names, &ignored);
    return names;
}

static void forget(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names);
}

/* ---- macOS: one property list an account ---- */

static bool field(struct bytes record, const char *key, struct answer *out)
{
    const char *const keys[] = {key, NULL};
    *out = (struct answer){0};
    return identity_plist_value(record, keys, out) && out->value[0];
}

static void read_mac_record(struct bytes record, struct local_users *out)
{
    struct answer name, uid, gid, home, shell, full;
    bool person = field(record, "name", &name) && field(record, "uid", &uid) &&
                  field(record, "gid", &gid) && field(record, "home", &home) &&
                  field(record, "shell", &shell);
    uint32_t number = person ? users_number(uid.value, 0) : 0;
    (void)field(record, "realname", &full);
    if (person && number >= FIRST_PERSON_OF_MAC && number != USERS_NOBODY && name.value[0] != '_')
        users_add(out, &(struct users_entry){.name = name.value,
                                             .uid = number,
                                             .gid = users_number(gid.value, number),
                                             .gecos = full.value,
                                             .home = home.value,
                                             .shell = shell.value});
}

void users_read_mac(const char *root, const struct fs *fs, struct local_users *out)
{
    char *folder = platform_under_root(root, "/var/db/dslocal/nodes/Default/users");
    struct names *names = names_in(folder, fs);
    for (size_t i = 0; i < names->count; i++) {
        struct buffer text = {.max_bytes = MAX_RECORD_BYTES};
        struct error ignored;
        char *path = xasprintf("%s/%s", folder, names->list[i]);
        if (strstr(names->list[i], ".plist") && fs_read_file(fs, path, &text, &ignored))
            read_mac_record(buffer_bytes(&text), out);
        buffer_clear(&text);
        free(path);
    }
    forget(names);
    free(folder);
}

/* ---- Windows: one key a profile ---- */

/* "%SystemDrive%\Users\alice" and "C:\Users\alice" as "C:/Users/alice". NULL: no profile. */
static char *profile_home(const char *path)
{
    static const char drive[] = "%SystemDrive%";
    char *home = path && strncmp(path, drive, sizeof drive - 1) == 0
                     ? xasprintf("C:%s", path + sizeof drive - 1)
                     : xstrdup(path);
    for (char *c = home; c && *c; c++)
        if (*c == '\\')
            *c = '/';
    if (home && (strlen(home) < 4 || home[1] != ':' || home[2] != '/')) {
        free(home);
        home = NULL;
    }
    return home;
}

/* A person's, not the system's own accounts: of a domain or machine, or of Entra. */
static bool is_person(const char *sid)
{
    return strncmp(sid, "S-1-5-21-", 9) == 0 || strncmp(sid, "S-1-12-1-", 9) == 0;
}

void users_read_windows(const char *root, const struct fs *fs, struct local_users *out)
{
    struct error ignored = {0};
    struct registry_key *list = registry_read(
        root, "HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList",
        fs, &ignored);
    struct registry_key *cache =
        list ? registry_read(root, IDENTITY_CACHE_KEY, fs, &ignored) : NULL;
    for (size_t i = 0; list && i < list->key_count; i++) {
        const struct registry_key *profile = list->keys[i];
        char *home = profile_home(registry_text_of(profile, "ProfileImagePath"));
        if (home && is_person(profile->name)) {
            const struct registry_key *known = identity_cached_user(cache, profile->name);
            const char *account = registry_text_of(known, "SAMName");
            uint32_t uid = platform_uid_of_sid(profile->name);
            users_add(out, &(struct users_entry){.name = account ? account : strrchr(home, '/') + 1,
                                                 .sid = profile->name,
                                                 .uid = uid,
                                                 .gid = uid,
                                                 .gecos = registry_text_of(known, "DisplayName"),
                                                 .home = home});
        }
        free(home);
    }
    registry_destroy(cache);
    registry_destroy(list);
}

/* ---- Homes and sessions of people whom only a directory knows ---- */

struct search {
    const struct fs *fs;
    const struct users_directory *directory;
    uint32_t first;
    struct local_users *out;
};

static void ask(struct search *s, uint32_t uid)
{
    struct platform_account account;
    struct error ignored;
    if (uid < s->first || uid == USERS_NOBODY || uid == USERS_NO_ID)
        return;
    for (size_t i = 0; i < s->out->count; i++)
        if (s->out->list[i].uid == uid)
            return;
    if (s->directory->of_uid(s->directory->context, uid, &account, &ignored))
        users_add(s->out, &(struct users_entry){.name = account.name,
                                                .uid = account.uid,
                                                .gid = account.gid,
                                                .gecos = account.gecos,
                                                .home = account.home,
                                                .shell = account.shell});
}

/* The owners of what lies in a folder of homes; root's own folders may be a domain's. */
static void ask_owners(struct search *s, const char *folder, bool deeper)
{
    struct names *names = names_in(folder, s->fs);
    for (size_t i = 0; i < names->count; i++) {
        char *path = xasprintf("%s/%s", folder, names->list[i]);
        struct fs_stat info;
        struct error ignored;
        bool is_folder = s->fs->stat(s->fs->disk, path, &info, &ignored) && info.is_directory;
        if (is_folder && info.uid != 0)
            ask(s, info.uid);
        else if (is_folder && deeper)
            ask_owners(s, path, false);
        free(path);
    }
    forget(names);
}

void users_read_directory(const char *root, const struct fs *fs,
                          const struct users_directory *directory, uint32_t first,
                          struct local_users *out)
{
    static const char *const homes[] = {"/home", "/Users", "/export/home"};
    struct search s = {.fs = fs, .directory = directory, .first = first, .out = out};
    for (size_t i = 0; i < sizeof homes / sizeof *homes; i++) {
        char *folder = platform_under_root(root, homes[i]);
        ask_owners(&s, folder, true);
        free(folder);
    }
    char *sessions = platform_under_root(root, "/run/user"); /* named by the numbers of users */
    struct names *names = names_in(sessions, fs);
    for (size_t i = 0; i < names->count; i++)
        ask(&s, users_number(names->list[i], 0));
    forget(names);
    free(sessions);
}
