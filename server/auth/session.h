/*
 * Browser sessions: an opaque cookie value of which only the hash is kept, in the control store, so
 * that they outlive a restart and can be ended from outside; and a CSRF token, made from the cookie,
 * that every form repeats. A session ends after 30 minutes unused or 12 hours; a user has at most 50.
 * Any thread; all but session_csrf_matches() may block on the store.
 */
#ifndef SERVER_AUTH_SESSION_H
#define SERVER_AUTH_SESSION_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/auth/identity.h"
#include "server/store/control.h"

struct sessions;

enum { SESSION_SECRET_BYTES = 44, SESSION_COOKIE_LIFE_S = 12 * 3600 };

struct session {
    struct identity who; /* the role is the least: login_refresh() fills in the user's */
    char csrf[SESSION_SECRET_BYTES]; /* what forms must repeat */
};

struct sessions *sessions_create(struct control_store *control, const struct clock *clock);
void sessions_destroy(struct sessions *sessions); /* NULL is fine */

/* Begins one; `cookie` is the value to hand to the browser. */
MUST_USE bool sessions_begin(struct sessions *sessions, const struct identity *who,
                             char cookie[SESSION_SECRET_BYTES], struct error *err);

/* FAIL_NOT_FOUND: there is no such session, or it has ended. */
MUST_USE bool sessions_find(struct sessions *sessions, struct bytes cookie, struct session *out,
                            struct error *err);

MUST_USE bool sessions_end(struct sessions *sessions, struct bytes cookie, struct error *err);

/* In constant time. */
bool session_csrf_matches(const struct session *session, struct bytes given);

#endif
