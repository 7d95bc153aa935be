#include "server/auth/login.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/crypto/crypto.h"
#include "core/json/reader.h"
#include "core/json/writer.h"
#include "platform/platform.h"
#include "server/auth/throttle.h"
#include "server/store/audit.h"

enum {
    KEY_BYTES = 32,
    MAX_NAMES = 2048,
    MAX_CLAIMS_BYTES = 2048,

    /* Failures in the window after which the next attempt waits. */
    LIMIT_PAIR = 5,     /* one address for one user */
    LIMIT_SOURCE = 50,  /* one address for any user */
    LIMIT_EMAIL = 200,  /* one user from anywhere: high, since it locks the owner out, too */
    HASHING_AT_ONCE = 2 /* 32 MiB each */
};
#define WINDOW_NS (15 * 60 * NS_PER_S)
static const char key_name[] = "jwt_key";

struct login {
    struct control_store *control;
    const struct clock *clock;
    uint8_t key[KEY_BYTES];
    struct throttle *throttle;

    /* Compared when the user does not exist, so that the answer takes as long. */
    char nobody[256];

    pthread_mutex_t lock;
    pthread_cond_t free_slot;
    int hashing;
};

static bool read_key(struct login *l, struct error *err)
{
    struct buffer key = {.max_bytes = 2 * KEY_BYTES};
    bool found = l->control->kind->value_get(l->control, key_name, &key, err);
    if (found && key.len == KEY_BYTES)
        memcpy(l->key, key.data, KEY_BYTES);
    else if (found)
        found =
            error_set(err, FAIL_CORRUPT, "the stored '%s' is not %d bytes", key_name, KEY_BYTES);
    buffer_clear(&key);
    return found;
}

static bool load_key(struct login *l, struct error *err)
{
    if (read_key(l, err))
        return true;
    if (err->kind != FAIL_NOT_FOUND)
        return false;
    uint8_t fresh[KEY_BYTES];
    platform_random(fresh, sizeof fresh);
    /* Of processes that start together one was first: all read its key. */
    return l->control->kind->value_add(l->control, key_name, bytes_make(fresh, sizeof fresh),
                                       err) &&
           read_key(l, err);
}

struct login *login_create(struct control_store *control, const struct clock *clock,
                           struct error *err)
{
    struct login *l = xcalloc(1, sizeof *l);
    l->control = control;
    l->clock = clock;
    l->throttle = throttle_create(MAX_NAMES, WINDOW_NS);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->free_slot, NULL);
    char random[33];
    uint8_t bytes[16];
    platform_random(bytes, sizeof bytes);
    crypto_hex(bytes_make(bytes, sizeof bytes), random);
    if (load_key(l, err) && crypto_password_hash(random, l->nobody, sizeof l->nobody, err))
        return l;
    error_wrap(err, "cannot set up logins");
    login_destroy(l);
    return NULL;
}

void login_destroy(struct login *l)
{
    if (!l)
        return;
    throttle_destroy(l->throttle);
    pthread_cond_destroy(&l->free_slot);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* ---- Passwords ---- */

static bool matches(struct login *l, const char *password, const char *hash)
{
    pthread_mutex_lock(&l->lock);
    while (l->hashing >= HASHING_AT_ONCE)
        pthread_cond_wait(&l->free_slot, &l->lock);
    l->hashing++;
    pthread_mutex_unlock(&l->lock);

    bool good = crypto_password_matches(password, hash);

    pthread_mutex_lock(&l->lock);
    l->hashing--;
    pthread_cond_signal(&l->free_slot);
    pthread_mutex_unlock(&l->lock);
    return good;
}

struct attempt {
    char pair[CONTROL_EMAIL_BYTES + SOURCE_BYTES + 2];
    char source[SOURCE_BYTES + 8];
    char email[CONTROL_EMAIL_BYTES + 8];
};

static uint32_t wait_of(struct login *l, const struct attempt *a, uint64_t now_ns)
{
    uint32_t pair = throttle_wait_s(l->throttle, a->pair, LIMIT_PAIR, now_ns);
    uint32_t source = throttle_wait_s(l->throttle, a->source, LIMIT_SOURCE, now_ns);
    uint32_t email = throttle_wait_s(l->throttle, a->email, LIMIT_EMAIL, now_ns);
    uint32_t most = pair > source ? pair : source;
    return most > email ? most : email;
}

static bool note(struct login *l, const char *action, const char *address,
                 const struct identity *who, const char *source, struct error *err)
{
    const struct audit_note entry = {.who = who ? who->email : "",
                                     .role = who ? role_name(who->role) : "",
                                     .action = action,
                                     .source = source,
                                     .subject = bytes_of(address)};
    return audit_add(l->control, &entry, clock_wall_ns(l->clock), err);
}

enum login_outcome login_check(struct login *l, struct bytes email, const char *password,
                               const char *source, struct identity *out, uint32_t *retry_after_s,
                               struct error *err)
{
    char address[CONTROL_EMAIL_BYTES];
    if (!email_normalise(email, address))
        snprintf(address, sizeof address, "(malformed)");
    struct attempt a;
    snprintf(a.pair, sizeof a.pair, "%s|%s", address, source);
    snprintf(a.source, sizeof a.source, "source|%s", source);
    snprintf(a.email, sizeof a.email, "email|%s", address);
    uint64_t now_ns = clock_monotonic_ns(l->clock);
    *retry_after_s = wait_of(l, &a, now_ns);
    if (*retry_after_s > 0)
        return LOGIN_THROTTLED;

    struct control_user user;
    bool known = l->control->kind->user_find(l->control, address, &user, err);
    if (!known && err->kind != FAIL_NOT_FOUND)
        return LOGIN_NO_ANSWER;
    bool good = strlen(password) <= LOGIN_MAX_PASSWORD_BYTES &&
                matches(l, password, known ? user.password : l->nobody) && known;
    if (!good) {
        throttle_failed(l->throttle, a.pair, now_ns);
        throttle_failed(l->throttle, a.source, now_ns);
        throttle_failed(l->throttle, a.email, now_ns);
        /* What was typed for nobody's address may be a password in the wrong field. */
        return note(l, "login.failed", known ? address : "(nobody)", NULL, source, err)
                   ? LOGIN_WRONG
                   : LOGIN_NO_ANSWER;
    }
    throttle_forgive(l->throttle, a.pair);
    throttle_forgive(l->throttle, a.email);
    snprintf(out->email, sizeof out->email, "%s", user.email);
    out->role = user.role;
    return note(l, "login", address, out, source, err) ? LOGIN_GOOD : LOGIN_NO_ANSWER;
}

/* ---- Bearer tokens ---- */

/* `iat` counts seconds; a logout ends what was issued earlier in the same one too. */
#define ISSUED_NS "iat_ns"

bool login_issue(struct login *l, const struct identity *who, struct buffer *out)
{
    uint64_t now_ns = clock_wall_ns(l->clock), now_s = now_ns / NS_PER_S;
    struct buffer claims = {.max_bytes = MAX_CLAIMS_BYTES};
    struct json_writer w = json_writer_make(&claims);
    json_object_open(&w);
    json_put_key(&w, "sub");
    json_put_string(&w, who->email);
    json_put_key(&w, "role");
    json_put_string(&w, role_name(who->role));
    json_put_key(&w, "iat");
    json_put_uint(&w, now_s);
    json_put_key(&w, ISSUED_NS);
    json_put_uint(&w, now_ns);
    json_put_key(&w, "exp");
    json_put_uint(&w, now_s + LOGIN_JWT_LIFE_S);
    json_object_close(&w);
    bool done = json_writer_ok(&w) &&
                crypto_jwt_sign(bytes_make(l->key, KEY_BYTES), buffer_bytes(&claims), out);
    buffer_clear(&claims);
    return done;
}

/*
 * Finds whose it is, when it was issued and in which second it expires. The text is ours: its
 * signature was checked.
 */
static bool read_claims(struct bytes text, char email[CONTROL_EMAIL_BYTES], uint64_t *issued_ns,
                        uint64_t *exp_s)
{
    struct json_reader r = json_reader_make(text);
    struct buffer sub = {.max_bytes = CONTROL_EMAIL_BYTES - 1};
    bool has_sub = false, has_issued = false, has_exp = false;
    enum json_token token = json_next(&r);
    if (token == JSON_OBJECT_OPEN)
        token = json_next(&r);
    while (token == JSON_KEY) {
        bool is_sub = json_string_equals(r.span, "sub"), is_exp = json_string_equals(r.span, "exp");
        bool is_issued = json_string_equals(r.span, ISSUED_NS);
        token = json_next(&r);
        if (is_sub && token == JSON_STRING)
            has_sub = json_string_decode(r.span, &sub);
        if (is_exp && token == JSON_NUMBER)
            has_exp = json_uint64(r.span, exp_s);
        if (is_issued && token == JSON_NUMBER)
            has_issued = json_uint64(r.span, issued_ns);
        token = json_next(&r);
    }
    bool good = token == JSON_OBJECT_CLOSE && has_sub && has_issued && has_exp &&
                email_normalise(buffer_bytes(&sub), email);
    buffer_clear(&sub);
    return good;
}

bool login_verify(struct login *l, struct bytes token, struct identity *out, struct error *err)
{
    struct buffer claims = {.max_bytes = MAX_CLAIMS_BYTES};
    uint64_t issued_ns = 0, exp_s = 0;
    struct control_user user;
    bool good = crypto_jwt_verify(bytes_make(l->key, KEY_BYTES), token, &claims) &&
                read_claims(buffer_bytes(&claims), out->email, &issued_ns, &exp_s);
    buffer_clear(&claims);
    if (!good) {
        error_set(err, FAIL_DENIED, "the bearer token is not one of this server's");
        return error_remedy(err, "log in at POST /api/v1/auth/login");
    }
    if (clock_wall_ns(l->clock) / NS_PER_S >= exp_s) {
        error_set(err, FAIL_DENIED, "the bearer token has expired");
        return error_remedy(err, "log in again at POST /api/v1/auth/login");
    }
    if (!l->control->kind->user_find(l->control, out->email, &user, err))
        return err->kind == FAIL_NOT_FOUND
                   ? error_set(err, FAIL_DENIED, "the bearer token's user no longer exists")
                   : false;
    if (issued_ns < user.valid_from_ns) {
        error_set(err, FAIL_DENIED, "the bearer token was revoked");
        return error_remedy(err, "log in again at POST /api/v1/auth/login");
    }
    out->role = user.role;
    return true;
}

bool login_refresh(struct login *l, struct identity *who, struct error *err)
{
    struct control_user user;
    if (!l->control->kind->user_find(l->control, who->email, &user, err))
        return false;
    who->role = user.role;
    return true;
}
