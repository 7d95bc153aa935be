/* The people's accounts of a machine, from its passwd file. */
#include <stdlib.h>
#include <string.h>

#include "agent/identity/identity.h"
#include "base/memory.h"
#include "platform/platform.h"

enum {
    MAX_PASSWD_BYTES = 4 * 1024 * 1024,
    MAX_USERS = 1024,
    FIRST_PERSON = 1000, /* where login.defs says nothing */
    NOBODY = 65534,
    NO_ID = 65535,
    FIELDS = 7,
};

static uint32_t number_of(const char *text, uint32_t fallback)
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
            first = number_of(value, first);
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

static void add(struct local_users *out, char *fields[FIELDS], uint32_t uid)
{
    out->list = xrealloc(out->list, (out->count + 1) * sizeof *out->list);
    out->list[out->count++] = (struct local_user){
        .name = xstrdup(fields[0]),
        .uid = uid,
        .gid = number_of(fields[3], uid),
        .gecos = xstrdup(fields[4]),
        .home = xstrdup(fields[5]),
    };
}

static bool known(const struct local_users *users, const char *name)
{
    for (size_t i = 0; i < users->count; i++)
        if (strcmp(users->list[i].name, name) == 0)
            return true;
    return false;
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
        uint32_t uid = number_of(fields[2], NO_ID);
        bool person = uid >= first && uid != NOBODY && uid != NO_ID;
        if ((only_root ? uid == 0 : person) && may_log_in(fields[6]) && !known(out, fields[0]))
            add(out, fields, uid);
    }
}

bool local_users_read(const char *root, const struct fs *fs, struct local_users *out,
                      struct error *err)
{
    struct buffer text = {.max_bytes = MAX_PASSWD_BYTES};
    char *path = platform_under_root(root, "/etc/passwd");
    *out = (struct local_users){0};
    bool ok = fs_read_file(fs, path, &text, err);
    if (ok && text.len > 0) {
        uint32_t first = first_person(root, fs);
        char *copy = xstrndup((const char *)text.data, text.len);
        read_lines(copy, first, false, out);
        free(copy);
        copy = xstrndup((const char *)text.data, text.len);
        if (out->count == 0)
            read_lines(copy, first, true, out);
        free(copy);
    }
    buffer_clear(&text);
    free(path);
    return ok || error_wrap(err, "cannot tell who uses this machine");
}

void local_users_clear(struct local_users *users)
{
    for (size_t i = 0; i < users->count; i++) {
        struct local_user *user = &users->list[i];
        free(user->name);
        free(user->home);
        free(user->gecos);
        free(user->email);
        free(user->detail);
        free(user->problem);
    }
    free(users->list);
    *users = (struct local_users){0};
}
