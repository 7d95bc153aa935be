/*
 * Who is on this machine: its local users with their e-mail addresses, their
 * local tokens, and the device's own identity. Answers the relay's questions
 * about people and fills in the variables of configured texts.
 *
 * Refreshing and accounts_users() belong to the main thread; what
 * accounts_callbacks() hands to the relay may be called on any.
 */
#ifndef AGENT_ACCOUNTS_H
#define AGENT_ACCOUNTS_H

#include <stdbool.h>

#include "agent/identity/identity.h"
#include "agent/relay/relay.h"
#include "core/config/config.h"
#include "core/json/writer.h"
#include "core/log/log.h"
#include "platform/fs.h"

struct accounts;

enum { ACCOUNTS_TOKEN_BYTES = 33 };

/*
 * Reads or makes the key that local tokens come from (<state>/local-token-key, 0600); without
 * `may_write` one that is missing is made for this process only.
 * NULL on failure. fs is borrowed; root and state_dir are copied.
 */
struct accounts *accounts_create(const char *root, const char *state_dir, bool may_write,
                                 const struct fs *fs, struct error *err);
void accounts_destroy(struct accounts *accounts); /* NULL is fine */

/* Reads the local users and asks the identity sources again. May run the identity command. */
void accounts_refresh(struct accounts *accounts, const struct config *values, struct log *log);

/*
 * What somebody with more rights found out, for the next refresh: counts for who has no address
 * otherwise, and instead of the identity command, which would run without the user's rights here.
 */
struct accounts_hint {
    const char *user, *email, *source;
};
void accounts_tell(struct accounts *accounts, const struct accounts_hint *hints, size_t count);

/* What ${device_id} and ${device_token} are now; NULL where there is none. Copied. */
void accounts_set_device(struct accounts *accounts, const char *id, const char *token);

const struct local_users *accounts_users(const struct accounts *accounts);

/* The token that this user's programs show the relay; the same until the key file is removed. */
void accounts_token(const struct accounts *accounts, const char *user,
                    char out[ACCOUNTS_TOKEN_BYTES]);

/* Appends the array [{"local_user":…,"email":…,"source":…,"problem":…}]. */
void accounts_put_users(const struct accounts *accounts, struct json_writer *w);

struct relay_callbacks accounts_callbacks(struct accounts *accounts);

/* Appends `text` with its variables replaced, for this person or (NULL) for none. */
MUST_USE bool accounts_expand(struct accounts *accounts, const char *text,
                              const struct relay_person *person, struct buffer *out,
                              struct error *err);

#endif
