#include "server/auth/session.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/crypto/crypto.h"
#include "platform/platform.h"

#define IDLE_NS (30 * 60 * NS_PER_S)
#define LIFE_NS (SESSION_COOKIE_LIFE_S * NS_PER_S)

struct slot {
    bool taken;
    uint8_t hash[SHA256_BYTES]; /* of the cookie */
    struct session session;
    uint64_t begun_ns, used_ns;
};

struct sessions {
    const struct clock *clock;
    pthread_mutex_t lock; /* over all below */
    struct slot *slots;
    size_t count;
};

struct sessions *sessions_create(const struct clock *clock, size_t max_sessions)
{
    struct sessions *s = xcalloc(1, sizeof *s);
    s->clock = clock;
    s->slots = xcalloc(max_sessions, sizeof *s->slots);
    s->count = max_sessions;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void sessions_destroy(struct sessions *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    free(s->slots);
    free(s);
}

static void make_secret(char out[SESSION_SECRET_BYTES])
{
    uint8_t random[32];
    platform_random(random, sizeof random);
    struct buffer text = {.max_bytes = SESSION_SECRET_BYTES};
    if (crypto_base64url(bytes_make(random, sizeof random), &text)) {
        memcpy(out, text.data, text.len); /* 43 characters */
        out[text.len] = '\0';
    }
    buffer_clear(&text);
}

/* When it ends if it is not used again; 0 for a free slot. */
static uint64_t end_of(const struct slot *slot)
{
    if (!slot->taken)
        return 0;
    uint64_t idle = slot->used_ns + IDLE_NS, life = slot->begun_ns + LIFE_NS;
    return idle < life ? idle : life;
}

void sessions_begin(struct sessions *s, const struct identity *who,
                    char cookie[SESSION_SECRET_BYTES], struct session *out)
{
    make_secret(cookie);
    struct slot fresh = {.taken = true, .session = {.who = *who}};
    make_secret(fresh.session.csrf);
    crypto_sha256(bytes_of(cookie), fresh.hash);
    fresh.begun_ns = fresh.used_ns = clock_monotonic_ns(s->clock);

    pthread_mutex_lock(&s->lock);
    struct slot *place = &s->slots[0];
    for (size_t i = 1; i < s->count; i++)
        if (end_of(&s->slots[i]) < end_of(place))
            place = &s->slots[i];
    *place = fresh;
    pthread_mutex_unlock(&s->lock);
    *out = fresh.session;
}

/* The live slot of a cookie, or NULL. The lock is held. */
static struct slot *find(struct sessions *s, struct bytes cookie, uint64_t now_ns)
{
    uint8_t hash[SHA256_BYTES];
    crypto_sha256(cookie, hash);
    for (size_t i = 0; i < s->count; i++)
        if (s->slots[i].taken && now_ns < end_of(&s->slots[i]) &&
            bytes_equal_constant_time(bytes_make(s->slots[i].hash, SHA256_BYTES),
                                      bytes_make(hash, SHA256_BYTES)))
            return &s->slots[i];
    return NULL;
}

bool sessions_find(struct sessions *s, struct bytes cookie, struct session *out)
{
    if (cookie.len != SESSION_SECRET_BYTES - 1)
        return false;
    uint64_t now_ns = clock_monotonic_ns(s->clock);
    pthread_mutex_lock(&s->lock);
    struct slot *slot = find(s, cookie, now_ns);
    if (slot) {
        slot->used_ns = now_ns;
        *out = slot->session;
    }
    pthread_mutex_unlock(&s->lock);
    return slot != NULL;
}

void sessions_end(struct sessions *s, struct bytes cookie)
{
    pthread_mutex_lock(&s->lock);
    struct slot *slot = find(s, cookie, clock_monotonic_ns(s->clock));
    if (slot)
        *slot = (struct slot){0};
    pthread_mutex_unlock(&s->lock);
}

void sessions_end_all_of(struct sessions *s, const char *email)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->count; i++)
        if (s->slots[i].taken && strcmp(s->slots[i].session.who.email, email) == 0)
            s->slots[i] = (struct slot){0};
    pthread_mutex_unlock(&s->lock);
}

bool session_csrf_matches(const struct session *session, struct bytes given)
{
    return bytes_equal_constant_time(bytes_of(session->csrf), given);
}
