/* The people's accounts of a machine. */
#include <stdlib.h>
#include <string.h>

#include "agent/identity/users.h"
#include "base/memory.h"
#include "platform/platform.h"

enum {
    MAX_PASSWD_BYTES = 4 * 1024 * 1024,
    MAX_USERS = 1024,
    FIRST_PERSON = 1000, /* where login.defs says nothing */
    FIELDS = 7,
};

uint32_t users_number(const char *text, uint32_t fallback)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    return end == text || *end || value > UINT32_MAX ? fallback : (uint32_t)value;
}

/* UID_MIN of login.defs. */
static uint32_t first_person(const char *root, const struct fs *fs)
{
    struct buffer text = {.max_bytes = 256 * KIB};
    struct error ignored;
    uint32_t first = FIRST_PERSON;
    char *path = platform_under_root(root, "/etc/login.defs"), *save = NULL;
    if (fs_read_file(fs, path, &text, &ignored) && buffer_text(&text))
        for (char *line = strtok_r((char *)text.data, "\n", &save); line;
             line = strtok_r(NULL, "\n", &save)) {
            if (strncmp(line, "UID_MIN", 7) != 0 || !strchr(" \t", line[7]))
                continue;
            char *value = line + 7 + strspn(line + 7, " \t");
            value[strcspn(value, " \t\r#")] = '\0';
            first = users_number(value, first);
        }
    buffer_clear(&text);
    free(path);
    return first;
}

static bool may_log_in(const char *shell)
{
    const char *slash = strrchr(shell, '/');
    const char *name = slash ? slash + 1 : shell;
    return strcmp(name, "nologin") != 0 && strcmp(name, "false") != 0 &&
           strcmp(name, "sync") != 0 && strcmp(name, "halt") != 0 && strcmp(name, "shutdown") != 0;
}

/* Splits one line in place. False when it is no account. */
static bool split(char *line, char *fields[FIELDS])
{
    for (size_t i = 0; i < FIELDS; i++) {
        if (!line)
            return false;
        fields[i] = line;
        char *colon = strchr(line, ':');
        if (colon)
            *colon++ = '\0';
        line = colon;
    }
    return !line && fields[0][0] && fields[0][0] != '#' && fields[5][0] == '/';
}

static bool known(const struct local_users *users, const struct users_entry *entry)
{
    for (size_t i = 0; i < users->count; i++)
        if (strcmp(users->list[i].name, entry->name) == 0 || users->list[i].uid == entry->uid)
            return true;
    return false;
}

void users_add(struct local_users *out, const struct users_entry *entry)
{
    bool homed = entry->home[0] == '/' || (entry->home[0] && entry->home[1] == ':');
    if (!homed || !entry->name[0] || (entry->shell && !may_log_in(entry->shell)) ||
        known(out, entry) || out->count == MAX_USERS)
        return;
    out->list = xrealloc(out->list, (out->count + 1) * sizeof *out->list);
    out->list[out->count++] = (struct local_user){
        .name = xstrdup(entry->name),
        .sid = xstrdup(entry->sid),
        .uid = entry->uid,
        .gid = entry->gid,
        .gecos = xstrdup(entry->gecos ? entry->gecos : ""),
        .home = xstrdup(entry->home),
    };
}

/* One pass: the people, or (`only_root`) root alone. */
static void read_lines(char *text, uint32_t first, bool only_root, struct local_users *out)
{
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line && out->count < MAX_USERS;
         line = strtok_r(NULL, "\n", &save)) {
        char *fields[FIELDS];
        line[strcspn(line, "\r")] = '\0';
        if (!split(line, fields))
            continue;
        uint32_t uid = users_number(fields[2], USERS_NO_ID);
        bool person = uid >= first && uid != USERS_NOBODY && uid != USERS_NO_ID;
        if (only_root ? uid == 0 : person)
            users_add(out, &(struct users_entry){.name = fields[0],
                                                 .uid = uid,
                                                 .gid = users_number(fields[3], uid),
                                                 .gecos = fields[4],
                                                 .home = fields[5],
                                                 .shell = fields[6]});
    }
}

/* The passwd file's people, or (`only_root`) root alone. */
static bool read_passwd(const char *root, const struct fs *fs, uint32_t first, bool only_root,
                        struct local_users *out, struct error *err)
{
    struct buffer text = {.max_bytes = MAX_PASSWD_BYTES};
    char *path = platform_under_root(root, "/etc/passwd");
    bool ok = fs_read_file(fs, path, &text, err);
    if (ok && buffer_text(&text))
        read_lines((char *)text.data, first, only_root, out);
    buffer_clear(&text);
    free(path);
    return ok;
}

static bool system_of_uid(void *context, uint32_t uid, struct platform_account *out,
                          struct error *err)
{
    (void)context;
    return platform_account_of_uid(uid, out, err);
}

const struct users_directory users_system_directory = {.of_uid = system_of_uid};

bool local_users_read(const char *root, const struct fs *fs,
                      const struct users_directory *directory, struct local_users *out,
                      struct error *err)
{
    *out = (struct local_users){0};
    uint32_t first = first_person(root, fs);
    bool ok = read_passwd(root, fs, first, false, out, err);
    users_read_mac(root, fs, out);
    users_read_windows(root, fs, out);
    if (directory)
        users_read_directory(root, fs, directory, first, out);
    if (ok && out->count == 0)
        ok = read_passwd(root, fs, first, true, out, err);
    return ok || out->count > 0 || error_wrap(err, "cannot tell who uses this machine");
}

void local_users_clear(struct local_users *users)
{
    for (size_t i = 0; i < users->count; i++) {
        struct local_user *user = &users->list[i];
        free(user->name);
        free(user->sid);
        free(user->home);
        free(user->gecos);
        free(user->email);
        free(user->detail);
        free(user->problem);
    }
    free(users->list);
    *users = (struct local_users){0};
}
