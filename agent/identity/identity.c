#include "agent/identity/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/identity/sources.h"
#include "base/memory.h"
#include "core/config/config.h"
#include "platform/platform.h"

enum { DEFAULT_COMMAND_TIMEOUT_MS = 5000 };

static const struct {
    const char *name;
    identity_place *ask;
} sources[] = {
    [IDENTITY_NONE] = {"none", NULL},
    [IDENTITY_CONFIG] = {"config", NULL},
    [IDENTITY_MDM] = {"mdm", identity_ask_mdm},
    [IDENTITY_DIRECTORY] = {"directory", identity_ask_directory},
    [IDENTITY_COMMAND] = {"command", identity_ask_command},
};

const char *identity_source_name(enum identity_source source)
{
    return sources[source].name;
}

bool identity_source_of_name(const char *name, enum identity_source *out)
{
    for (size_t i = IDENTITY_MDM; i < sizeof sources / sizeof *sources; i++)
        if (strcmp(sources[i].name, name) == 0) {
            *out = (enum identity_source)i;
            return true;
        }
    return false;
}

/* What an MDM leaves when it has no value for a variable, also within other words. */
static bool is_unresolved(const char *text)
{
    return config_is_unresolved(text) || text[0] == '$' || strstr(text, "{{") ||
           strstr(text, "}}") || strcmp(text, "null") == 0 || strcmp(text, "(null)") == 0;
}

static bool is_local_part(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7F || strchr("\"(),:;<>[\\]@", text[i]))
            return false;
    return len > 0 && len <= 64;
}

static bool is_domain(const char *text)
{
    bool dotted = false;
    char last = '.';
    for (const char *c = text; *c; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-' ||
                      (unsigned char)*c >= 0x80;
        if (!letter && (*c != '.' || last == '.'))
            return false;
        dotted = dotted || *c == '.';
        last = *c;
    }
    return dotted && last != '.';
}

bool identity_accept_email(const char *answer, const char *domain, char out[IDENTITY_EMAIL_BYTES],
                           struct error *err)
{
    const char *start = answer + strspn(answer, " \t\r\n");
    size_t len = strlen(start);
    while (len > 0 && strchr(" \t\r\n", start[len - 1]))
        len--;
    out[0] = '\0';
    if (len == 0)
        return error_set(err, FAIL_NOT_FOUND, "no value");
    if (len >= IDENTITY_EMAIL_BYTES)
        return error_set(err, FAIL_INVALID, "the value is longer than %d bytes",
                         IDENTITY_EMAIL_BYTES - 1);
    char email[IDENTITY_EMAIL_BYTES];
    for (size_t i = 0; i < len; i++)
        email[i] = start[i] >= 'A' && start[i] <= 'Z' ? (char)(start[i] + 32) : start[i];
    email[len] = '\0';
    if (is_unresolved(email))
        return error_set(err, FAIL_NOT_FOUND, "'%s' is a variable that the MDM did not fill in",
                         email);
    const char *at = strchr(email, '@');
    if (!at || !is_local_part(email, (size_t)(at - email)) || !is_domain(at + 1))
        return error_set(err, FAIL_INVALID, "'%s' is not an e-mail address", email);
    if (domain && *domain && !bytes_equal_ignoring_case(bytes_of(at + 1), domain)) {
        error_set(err, FAIL_DENIED, "'%s' is not of the domain '%s'", email, domain);
        return error_remedy(err, "correct the source, or change identity.email_domain");
    }
    memcpy(out, email, len + 1);
    return true;
}

static void settle(struct local_user *user, const char *email, enum identity_source source,
                   const char *detail)
{
    free(user->email);
    free(user->detail);
    user->email = xstrdup(email);
    user->source = source;
    user->detail = detail && *detail ? xstrdup(detail) : NULL;
}

/* Keeps the first thing worth telling: what was refused says more than "nothing there". */
static void refuse(struct local_user *user, const char *where, const struct error *err)
{
    if (!user->problem)
        user->problem = xasprintf("%s%s%s", where, *where ? ": " : "", err->cause);
}

/* Claude Code keeps its installation's id there, from its first start on. */
static bool uses_claude(const struct identity_options *o, const struct fs *fs,
                        const struct local_user *user)
{
    struct fs_stat stat;
    struct error err = {0};
    char *below = xasprintf("%s/.claude.json", user->home);
    char *path = platform_under_root(o->root, below);
    bool found = fs->stat(fs->disk, path, &stat, &err);
    free(path);
    free(below);
    return found || err.kind == FAIL_DENIED; /* who must not look cannot rule it out */
}

/* The first two who use Claude Code here: enough to tell each user of another. NULL: none. */
struct claude_users {
    const struct local_user *first, *second;
};

static struct claude_users find_claude_users(const struct identity_options *o, const struct fs *fs,
                                             const struct local_users *users)
{
    struct claude_users found = {NULL, NULL};
    for (size_t i = 0; users->count > 1 && i < users->count && !found.second; i++)
        if (uses_claude(o, fs, &users->list[i]))
            *(found.first ? &found.second : &found.first) = &users->list[i];
    return found;
}

static bool may_be_of(const char *email, const struct answer *answer, const char *other,
                      struct error *err)
{
    if (!answer->is_machines || !other)
        return true;
    return error_set(err, FAIL_DENIED,
                     "'%s' is the machine's one address, and '%s' uses Claude Code here too; give "
                     "each user a profile, or let 'directory' or 'command' of identity.email_from "
                     "answer",
                     email, other);
}

static bool ask(struct local_user *user, const struct question *q, enum identity_source source,
                const char *domain, const char *other)
{
    struct answer answer = {0};
    for (size_t nth = 0; sources[source].ask(q, nth, &answer); nth++) {
        char email[IDENTITY_EMAIL_BYTES];
        struct error err = {0};
        if (*answer.value && identity_accept_email(answer.value, domain, email, &err) &&
            may_be_of(email, &answer, other, &err)) {
            settle(user, email, source, answer.where);
            return true;
        }
        if (*answer.value)
            refuse(user, answer.where, &err);
        answer = (struct answer){0};
    }
    return false;
}

static void resolve_one(const struct identity_options *o, const struct fs *fs,
                        struct local_user *user, bool is_alone, const char *other)
{
    char email[IDENTITY_EMAIL_BYTES];
    struct error err = {0};
    free(user->email);
    free(user->detail);
    free(user->problem);
    user->email = user->detail = user->problem = NULL;
    user->source = IDENTITY_NONE;

    bool found = false;
    if (o->email && *o->email) {
        found = identity_accept_email(o->email, o->email_domain, email, &err);
        if (found)
            settle(user, email, IDENTITY_CONFIG, "identity.email");
        else
            refuse(user, "identity.email", &err);
    }
    struct question q = {
        .root = o->root,
        .fs = fs,
        .user = user,
        .is_alone = is_alone,
        .command = o->command,
        .command_timeout_ms =
            o->command_timeout_ms ? o->command_timeout_ms : DEFAULT_COMMAND_TIMEOUT_MS,
    };
    for (size_t i = 0; !found && i < o->source_count; i++)
        if (sources[o->sources[i]].ask)
            found = ask(user, &q, o->sources[i], o->email_domain, other);
    if (found) {
        free(user->problem);
        user->problem = NULL;
    } else if (!user->problem) {
        user->problem = xstrdup("no source knows an e-mail address for this user");
    }
}

void identity_resolve(const struct identity_options *o, const struct fs *fs,
                      struct local_users *users)
{
    struct claude_users using = find_claude_users(o, fs, users);
    for (size_t i = 0; i < users->count; i++) {
        struct local_user *user = &users->list[i];
        const struct local_user *other = using.first != user ? using.first : using.second;
        resolve_one(o, fs, user, users->count == 1, other ? other->name : NULL);
    }
}
