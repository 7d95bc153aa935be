/*
 * People: password check with throttling, and the API's bearer tokens (JWT,
 * HS256, one hour; the key lives in the control store as "jwt_key").
 * Any thread; login_check() takes about 0.1 s and 32 MiB, so never on a loop.
 */
#ifndef SERVER_AUTH_LOGIN_H
#define SERVER_AUTH_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "server/auth/identity.h"
#include "server/store/control.h"

struct login;

enum { LOGIN_JWT_LIFE_S = 3600, LOGIN_MIN_PASSWORD_BYTES = 8, LOGIN_MAX_PASSWORD_BYTES = 1024 };

/* Reads the JWT key, or makes one when the store has none. NULL on failure. Borrows both. */
struct login *login_create(struct control_store *control, const struct clock *clock,
                           struct error *err);
void login_destroy(struct login *login); /* NULL is fine */

enum login_outcome {
    LOGIN_GOOD,
    LOGIN_WRONG,     /* e-mail or password; never says which */
    LOGIN_THROTTLED, /* too many failures; *retry_after_s says when */
    LOGIN_NO_ANSWER, /* the control store failed: see err */
};
/* `source` is where the attempt comes from. With LOGIN_GOOD fills `out`. */
enum login_outcome login_check(struct login *login, struct bytes email, const char *password,
                               const char *source, struct identity *out, uint32_t *retry_after_s,
                               struct error *err);

/* Appends a bearer token for `who`. */
MUST_USE bool login_issue(struct login *login, const struct identity *who, struct buffer *out);

/*
 * Who a bearer token belongs to. The role is the user's of now, not of when it was
 * issued, and a deleted user's token is worthless. False: expired, forged or gone
 * (FAIL_DENIED), or the store failed.
 */
MUST_USE bool login_verify(struct login *login, struct bytes token, struct identity *out,
                           struct error *err);

/* The user's present role; FAIL_NOT_FOUND when the user is gone. */
MUST_USE bool login_refresh(struct login *login, struct identity *who, struct error *err);

#endif
