/*
 * Whose machine account belongs to which person: local users, and the e-mail
 * address of each.
 *
 *   passwd, directory services, ─▶ local users ─▶ first source that answers ─▶ domain check
 *   Mac records, Windows profiles
 *
 * A source only reports what it finds; the rules that hold for all (an
 * unresolved MDM variable such as "$EMAIL" is not a value, the domain must
 * match, e-mails are lower-cased) are applied in one place. A user without an
 * e-mail stays in the list with the reason: nothing is guessed.
 *
 * The one address that an MDM gives a whole machine is that of whom it is
 * assigned to. It counts for a user while no other one uses Claude Code there,
 * as ~/.claude.json shows, which Claude Code writes before it reports: an
 * administrator's account takes it from nobody, and on a shared machine it is
 * nobody's.
 */
#ifndef AGENT_IDENTITY_IDENTITY_H
#define AGENT_IDENTITY_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "platform/accounts.h"
#include "platform/fs.h"

enum identity_source {
    IDENTITY_NONE,
    IDENTITY_CONFIG,    /* identity.email */
    IDENTITY_MDM,       /* a value an MDM pushed */
    IDENTITY_DIRECTORY, /* what the machine's directory client knows */
    IDENTITY_COMMAND,   /* the configured command's answer */
};

const char *identity_source_name(enum identity_source source);
bool identity_source_of_name(const char *name, enum identity_source *out);

struct local_user {
    char *name;
    char *sid; /* Windows' security identifier; NULL elsewhere */
    uint32_t uid;
    uint32_t gid;
    char *home;  /* as the system names it, without the root */
    char *gecos; /* full name and what a directory put there */

    char *email;                 /* lower case; NULL when unknown */
    enum identity_source source; /* who answered */
    char *detail;                /* which file or key answered; NULL */
    char *problem;               /* why there is no e-mail, or what was refused; NULL when fine */
};

struct local_users {
    struct local_user *list;
    size_t count;
};

/* Who knows people that stand in no file. Asked by the numbers of those whose home or session is
 * on this machine, so that a company's whole directory is never read. */
struct users_directory {
    void *context;
    bool (*of_uid)(void *context, uint32_t uid, struct platform_account *out, struct error *err);
};
/* The system's own; for the real root only. */
extern const struct users_directory users_system_directory;

/*
 * People's accounts of <root>/etc/passwd, of a Mac's records and of Windows'
 * profiles, and (with `directory`) of directory services: no system users (below
 * UID_MIN of login.defs, or nobody), no account without a login shell.
 * root itself counts when it is the only account. The caller clears.
 */
MUST_USE bool local_users_read(const char *root, const struct fs *fs,
                               const struct users_directory *directory, struct local_users *out,
                               struct error *err);
void local_users_clear(struct local_users *users);

struct identity_options {
    const char *root;
    const char *email;                   /* identity.email; NULL */
    const enum identity_source *sources; /* identity.email_from, in order */
    size_t source_count;
    const char *email_domain;    /* NULL: any */
    const char *command;         /* an absolute path, run as the user; NULL */
    uint32_t command_timeout_ms; /* 0: 5000 */
};

/* Fills email, source, detail and problem of every user. Asks files only, and the command. */
void identity_resolve(const struct identity_options *options, const struct fs *fs,
                      struct local_users *users);

/*
 * The rules for any answer, for use on values from elsewhere too. True with
 * the address, lower-cased, in `out`; false with the reason in `err`.
 */
enum { IDENTITY_EMAIL_BYTES = 256 };
bool identity_accept_email(const char *answer, const char *domain, char out[IDENTITY_EMAIL_BYTES],
                           struct error *err);

#endif
