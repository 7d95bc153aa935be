/*
 * Browser sessions: an opaque cookie value of which only the hash is kept, and
 * a CSRF token that every form repeats. Kept in memory, so a restart logs
 * people out; when full, the session that is nearest its end gives way.
 * A session ends after 30 minutes unused or 12 hours. Any thread.
 */
#ifndef SERVER_AUTH_SESSION_H
#define SERVER_AUTH_SESSION_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "server/auth/identity.h"

struct sessions;

enum { SESSION_SECRET_BYTES = 44, SESSION_COOKIE_LIFE_S = 12 * 3600 };

struct session {
    struct identity who;             /* role: of when it was begun; login_refresh() for now's */
    char csrf[SESSION_SECRET_BYTES]; /* what forms must repeat */
};

struct sessions *sessions_create(const struct clock *clock, size_t max_sessions);
void sessions_destroy(struct sessions *sessions); /* NULL is fine */

/* Begins one; `cookie` is the value to hand to the browser. */
void sessions_begin(struct sessions *sessions, const struct identity *who,
                    char cookie[SESSION_SECRET_BYTES], struct session *out);

/* False: there is no such session, or it has ended. */
MUST_USE bool sessions_find(struct sessions *sessions, struct bytes cookie, struct session *out);

void sessions_end(struct sessions *sessions, struct bytes cookie);
void sessions_end_all_of(struct sessions *sessions, const char *email);

/* In constant time. */
bool session_csrf_matches(const struct session *session, struct bytes given);

#endif
