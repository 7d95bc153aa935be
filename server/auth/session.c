#include "server/auth/session.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/crypto/crypto.h"
#include "platform/platform.h"

enum { SESSIONS_OF_A_USER = 50 };
#define IDLE_NS (30 * 60 * NS_PER_S)
#define LIFE_NS (SESSION_COOKIE_LIFE_S * NS_PER_S)
/* So seldom is it written that a session is in use. */
#define NOTE_USE_NS (60 * NS_PER_S)

struct sessions {
    struct control_store *control;
    const struct clock *clock;
};

struct sessions *sessions_create(struct control_store *control, const struct clock *clock)
{
    struct sessions *s = xcalloc(1, sizeof *s);
    s->control = control;
    s->clock = clock;
    return s;
}

void sessions_destroy(struct sessions *s)
{
    free(s);
}

/* 32 bytes as 43 characters. */
static void write_secret(const uint8_t raw[SHA256_BYTES], char out[SESSION_SECRET_BYTES])
{
    struct buffer text = {.max_bytes = SESSION_SECRET_BYTES};
    if (crypto_base64url(bytes_make(raw, SHA256_BYTES), &text)) {
        memcpy(out, text.data, text.len);
        out[text.len] = '\0';
    }
    buffer_clear(&text);
}

/* Nobody who does not have the cookie can make it, and it does not give the cookie away. */
static void make_csrf(struct bytes cookie, char out[SESSION_SECRET_BYTES])
{
    uint8_t mac[SHA256_BYTES];
    crypto_hmac_sha256(cookie, bytes_of("csrf"), mac);
    write_secret(mac, out);
}

static uint64_t before(uint64_t now_ns, uint64_t span_ns)
{
    return now_ns > span_ns ? now_ns - span_ns : 0;
}

bool sessions_begin(struct sessions *s, const struct identity *who,
                    char cookie[SESSION_SECRET_BYTES], struct error *err)
{
    uint8_t random[SHA256_BYTES];
    uint64_t now_ns = clock_wall_ns(s->clock);
    struct control_session fresh = {.begun_ns = now_ns, .used_ns = now_ns};
    platform_random(random, sizeof random);
    write_secret(random, cookie);
    crypto_sha256(bytes_of(cookie), fresh.sha256);
    snprintf(fresh.email, sizeof fresh.email, "%s", who->email);
    return s->control->kind->session_begin(s->control, &fresh, before(now_ns, LIFE_NS),
                                           before(now_ns, IDLE_NS), SESSIONS_OF_A_USER, err);
}

static bool is_over(const struct control_session *session, uint64_t now_ns)
{
    return now_ns >= session->used_ns + IDLE_NS || now_ns >= session->begun_ns + LIFE_NS;
}

bool sessions_find(struct sessions *s, struct bytes cookie, struct session *out, struct error *err)
{
    struct control_session found;
    uint8_t hash[SHA256_BYTES];
    uint64_t now_ns = clock_wall_ns(s->clock);
    if (cookie.len != SESSION_SECRET_BYTES - 1)
        return error_set(err, FAIL_NOT_FOUND, "that is no session's cookie");
    crypto_sha256(cookie, hash);
    if (!s->control->kind->session_find(s->control, hash, &found, err))
        return false;
    if (is_over(&found, now_ns))
        return error_set(err, FAIL_NOT_FOUND, "the session has ended");
    if (now_ns >= found.used_ns + NOTE_USE_NS &&
        !s->control->kind->session_used(s->control, hash, now_ns, err))
        return false;
    *out = (struct session){.who = {.role = ROLE_VIEWER}};
    snprintf(out->who.email, sizeof out->who.email, "%s", found.email);
    make_csrf(cookie, out->csrf);
    return true;
}

bool sessions_end(struct sessions *s, struct bytes cookie, struct error *err)
{
    uint8_t hash[SHA256_BYTES];
    crypto_sha256(cookie, hash);
    return s->control->kind->session_end(s->control, hash, err);
}

bool session_csrf_matches(const struct session *session, struct bytes given)
{
    return bytes_equal_constant_time(bytes_of(session->csrf), given);
}
