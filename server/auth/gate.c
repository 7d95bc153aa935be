#include "server/auth/gate.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/store/fleet.h"

enum {
    SETS = 4096,
    WAYS = 4, /* a token lives in one of the four places its hash names */
    BURST_S = 10,
    DEFAULT_REMEMBER_MS = 2000,
    DEFAULT_RECORDS_PER_S = 20000,
};
#define SAVE_USED_EVERY_NS (60 * NS_PER_S)

struct entry {
    bool taken;
    struct control_token token;
    uint64_t looked_up_ns;       /* monotonic */
    uint64_t touched_ns;         /* monotonic */
    struct token_activity fresh; /* wall; since it was saved */
    uint64_t saved_ns;           /* wall: when that was */
    double credit;               /* records it may send now; negative is debt */
    uint64_t credit_ns;          /* monotonic: when credit was right */
};

struct gate {
    struct control_store *control;
    const struct clock *clock;
    uint64_t remember_ns;
    uint32_t records_per_s;

    pthread_mutex_t lock; /* over all below */
    struct entry *entries;
    struct gate_refusal refusals[GATE_MAX_REFUSALS + 1]; /* the last is "(others)" */
    size_t refusal_count;
};

struct gate *gate_create(const struct gate_options *options)
{
    struct gate *g = xcalloc(1, sizeof *g);
    g->control = options->control;
    g->clock = options->clock;
    g->remember_ns =
        NS_PER_MS * (options->remember_ms ? options->remember_ms : (uint32_t)DEFAULT_REMEMBER_MS);
    g->records_per_s =
        options->records_per_s ? options->records_per_s : (uint32_t)DEFAULT_RECORDS_PER_S;
    g->entries = xcalloc((size_t)SETS * WAYS, sizeof *g->entries);
    pthread_mutex_init(&g->lock, NULL);
    return g;
}

void gate_destroy(struct gate *g)
{
    if (!g)
        return;
    pthread_mutex_destroy(&g->lock);
    free(g->entries);
    free(g);
}

/* ---- Refusals ---- */

static void count_refusal(struct gate *g, struct bytes credential, const char *source, int status)
{
    char prefix[TOKEN_PREFIX_BYTES];
    token_prefix(credential, prefix);
    uint64_t now_ns = clock_wall_ns(g->clock);

    pthread_mutex_lock(&g->lock);
    struct gate_refusal *row = NULL;
    for (size_t i = 0; i < g->refusal_count && !row; i++) {
        struct gate_refusal *r = &g->refusals[i];
        if (r->status == status && strcmp(r->prefix, prefix) == 0 && strcmp(r->source, source) == 0)
            row = r;
    }
    if (!row && g->refusal_count < GATE_MAX_REFUSALS) {
        row = &g->refusals[g->refusal_count++];
        snprintf(row->prefix, sizeof row->prefix, "%s", prefix);
        snprintf(row->source, sizeof row->source, "%s", source);
        row->status = status;
        row->first_ns = now_ns;
    } else if (!row) {
        row = &g->refusals[GATE_MAX_REFUSALS];
        if (row->count == 0) {
            snprintf(row->prefix, sizeof row->prefix, "(others)");
            snprintf(row->source, sizeof row->source, "(others)");
            row->status = 401;
            row->first_ns = now_ns;
        }
    }
    if (now_ns - row->last_ns > GATE_STORM_PAUSE_S * NS_PER_S)
        row->storm_count = 0;
    if (row->storm_count++ == 0)
        row->storm_first_ns = now_ns;
    row->count++;
    row->last_ns = now_ns;
    pthread_mutex_unlock(&g->lock);
}

size_t gate_refusals(struct gate *g, struct gate_refusal *out)
{
    pthread_mutex_lock(&g->lock);
    size_t count = g->refusal_count;
    memcpy(out, g->refusals, count * sizeof *out);
    if (g->refusals[GATE_MAX_REFUSALS].count > 0)
        out[count++] = g->refusals[GATE_MAX_REFUSALS];
    pthread_mutex_unlock(&g->lock);
    return count;
}

/* ---- The cache; the lock is held ---- */

static struct entry *set_of(struct gate *g, const uint8_t hash[SHA256_BYTES])
{
    unsigned set = ((unsigned)hash[0] << 8 | hash[1]) % SETS;
    return &g->entries[(size_t)set * WAYS];
}

static struct entry *find_entry(struct gate *g, const uint8_t hash[SHA256_BYTES])
{
    struct entry *set = set_of(g, hash);
    for (int i = 0; i < WAYS; i++)
        if (set[i].taken && bytes_equal_constant_time(bytes_make(set[i].token.sha256, SHA256_BYTES),
                                                      bytes_make(hash, SHA256_BYTES)))
            return &set[i];
    return NULL;
}

static double rate_of(const struct gate *g, const struct control_token *token)
{
    return token->records_per_s > 0 ? token->records_per_s : g->records_per_s;
}

static void work_off(struct gate *g, struct entry *e, uint64_t now_ns)
{
    double rate = rate_of(g, &e->token);
    e->credit += rate * ((double)(now_ns - e->credit_ns) / (double)NS_PER_S);
    if (e->credit > rate * BURST_S)
        e->credit = rate * BURST_S;
    e->credit_ns = now_ns;
}

static struct entry *remember(struct gate *g, const struct control_token *token, uint64_t now_ns)
{
    struct entry *e = find_entry(g, token->sha256);
    if (!e) {
        struct entry *set = set_of(g, token->sha256);
        e = set;
        for (int i = 0; i < WAYS; i++)
            if (!set[i].taken || (e->taken && set[i].touched_ns < e->touched_ns))
                e = &set[i];
        *e = (struct entry){.taken = true, .credit_ns = now_ns};
        e->credit = rate_of(g, token) * BURST_S;
    }
    e->token = *token;
    e->looked_up_ns = now_ns;
    return e;
}

/* ---- Deciding ---- */

/* Fresh from the cache, or from the store. */
static enum gate_outcome look_up(struct gate *g, const uint8_t hash[SHA256_BYTES], uint64_t now_ns,
                                 struct control_token *token, struct error *err)
{
    pthread_mutex_lock(&g->lock);
    struct entry *e = find_entry(g, hash);
    bool fresh = e && now_ns - e->looked_up_ns < g->remember_ns;
    if (fresh)
        *token = e->token;
    pthread_mutex_unlock(&g->lock);
    if (fresh)
        return GATE_OPEN;
    if (g->control->kind->token_find(g->control, hash, token, err))
        return GATE_OPEN;
    return err->kind == FAIL_NOT_FOUND ? GATE_UNKNOWN : GATE_NO_ANSWER;
}

/* The first use of a device's new token puts it in force: only now is it known to have arrived. */
static enum gate_outcome take_up(struct gate *g, struct control_token *token, struct error *err)
{
    struct error first = {0};
    uint8_t hash[SHA256_BYTES];
    memcpy(hash, token->sha256, sizeof hash);
    if (g->control->kind->fleet->device_token_take(g->control, token->id, clock_wall_ns(g->clock),
                                                   &first)) {
        token->pending = false;
        return GATE_OPEN;
    }
    if (first.kind != FAIL_NOT_FOUND) {
        *err = first;
        return GATE_NO_ANSWER;
    }
    /* Another thread or server was first, or nobody may use it any more. */
    if (!g->control->kind->token_find(g->control, hash, token, err))
        return err->kind == FAIL_NOT_FOUND ? GATE_UNKNOWN : GATE_NO_ANSWER;
    if (token->pending)
        return GATE_UNKNOWN;
    return token->revoked_ns ? GATE_REVOKED : GATE_OPEN;
}

static enum gate_outcome admit(struct gate *g, const struct control_token *token, uint64_t now_ns,
                               uint32_t *retry_after_s)
{
    enum gate_outcome outcome = GATE_OPEN;
    pthread_mutex_lock(&g->lock);
    struct entry *e = find_entry(g, token->sha256);
    if (!e || now_ns - e->looked_up_ns >= g->remember_ns)
        e = remember(g, token, now_ns);
    e->touched_ns = now_ns;
    work_off(g, e, now_ns);
    if (e->credit < 0) {
        double wait_s = -e->credit / rate_of(g, token);
        *retry_after_s = wait_s > 3600 ? 3600 : (uint32_t)wait_s + 1;
        outcome = GATE_LIMITED;
        e->fresh.limited_ns = clock_wall_ns(g->clock);
    } else {
        e->fresh.used_ns = clock_wall_ns(g->clock);
    }
    pthread_mutex_unlock(&g->lock);
    return outcome;
}

enum gate_outcome gate_check(struct gate *g, struct bytes credential, const char *source,
                             struct control_token *token, uint32_t *retry_after_s,
                             struct error *err)
{
    enum gate_outcome outcome = GATE_MISSING;
    if (credential.len > 0 && !token_is_well_formed(credential)) {
        outcome = GATE_MISTYPED;
    } else if (credential.len > 0) {
        uint8_t hash[SHA256_BYTES];
        token_hash(credential, hash);
        uint64_t now_ns = clock_monotonic_ns(g->clock);
        outcome = look_up(g, hash, now_ns, token, err);
        if (outcome == GATE_OPEN && token->revoked_ns != 0)
            outcome = GATE_REVOKED;
        if (outcome == GATE_OPEN && token->pending)
            outcome = take_up(g, token, err);
        if (outcome == GATE_OPEN)
            outcome = admit(g, token, now_ns, retry_after_s);
    }
    if (outcome == GATE_REVOKED)
        count_refusal(g, credential, source, 403);
    else if (outcome == GATE_MISSING || outcome == GATE_MISTYPED || outcome == GATE_UNKNOWN)
        count_refusal(g, credential, source, 401);
    return outcome;
}

void gate_charge(struct gate *g, const struct control_token *token, uint64_t records)
{
    pthread_mutex_lock(&g->lock);
    struct entry *e = find_entry(g, token->sha256);
    if (e) {
        work_off(g, e, clock_monotonic_ns(g->clock));
        e->credit -= records > 0 ? (double)records : 1;
    }
    pthread_mutex_unlock(&g->lock);
}

void gate_stored(struct gate *g, const uint8_t sha256[SHA256_BYTES], const struct gate_stored *what)
{
    uint64_t now_ns = clock_wall_ns(g->clock);
    pthread_mutex_lock(&g->lock);
    struct entry *e = find_entry(g, sha256);
    if (e) {
        e->fresh.signal_ns[what->signal] = now_ns;
        if (what->tokens)
            e->fresh.tokens_ns = now_ns;
        if (what->cost)
            e->fresh.cost_ns = now_ns;
    }
    pthread_mutex_unlock(&g->lock);
}

void gate_malformed(struct gate *g, const uint8_t sha256[SHA256_BYTES])
{
    pthread_mutex_lock(&g->lock);
    struct entry *e = find_entry(g, sha256);
    if (e)
        e->fresh.malformed_ns = clock_wall_ns(g->clock);
    pthread_mutex_unlock(&g->lock);
}

static uint64_t newest_data(const struct token_activity *a)
{
    uint64_t newest = 0;
    for (int i = 0; i < OTLP_SIGNAL_COUNT; i++)
        newest = a->signal_ns[i] > newest ? a->signal_ns[i] : newest;
    return newest;
}

/* The last time anything happened; 0: nothing since it was saved. */
static uint64_t newest_of(const struct token_activity *a)
{
    uint64_t newest = newest_data(a);
    newest = a->used_ns > newest ? a->used_ns : newest;
    newest = a->malformed_ns > newest ? a->malformed_ns : newest;
    return a->limited_ns > newest ? a->limited_ns : newest;
}

bool gate_save_used(struct gate *g, struct error *err)
{
    uint64_t now_ns = clock_wall_ns(g->clock);
    for (size_t i = 0; i < (size_t)SETS * WAYS; i++) {
        pthread_mutex_lock(&g->lock);
        struct entry *e = &g->entries[i];
        bool due =
            e->taken && newest_of(&e->fresh) > 0 && now_ns - e->saved_ns >= SAVE_USED_EVERY_NS;
        int64_t id = e->token.id;
        struct token_activity activity = e->fresh;
        uint64_t data_ns = e->token.device_id != 0 ? newest_data(&activity) : 0;
        if (due) {
            e->saved_ns = now_ns;
            e->fresh = (struct token_activity){0};
        }
        pthread_mutex_unlock(&g->lock);
        if (due && !g->control->kind->token_used(g->control, id, &activity, err))
            return false;
        if (due && data_ns > 0 &&
            !g->control->kind->fleet->device_data(g->control, id, data_ns, err))
            return false;
    }
    return true;
}
