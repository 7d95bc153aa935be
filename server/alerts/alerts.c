#include "server/alerts/alerts.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "core/crypto/crypto.h"
#include "core/http/client.h"
#include "core/json/writer.h"
#include "server/store/fleet.h"

enum {
    LEASE_S = 60 /* two receivers that time out fit in */,
    SEND_TIMEOUT_MS = 10000,
    FIRST_PAUSE_S = 15,
    MOST_PAUSE_S = 3600,
    LISTED = 100
};
#define STATE_BYTES (8 * MIB)
#define RED 2 /* HEALTH_RED, as the store keeps it */

/*
 * What a receiver was told is one stored value: the ids of the devices it knows to be red, one a
 * line; then, when a notice waits, "---", the ids once it is delivered, "---", and its body.
 */
struct receiver {
    const char *name; /* of the stored value */
    const char *url;
    bool is_slack;
    uint64_t not_before_ns; /* monotonic; after a failure */
    uint32_t pause_s;
};

struct alerts {
    struct alerts_options with;
    struct receiver receivers[2];
    size_t receiver_count;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    bool leads; /* had the lease at the last look */
};

static const char LEASE[] = "alerts";
static const char SEPARATOR[] = "---\n";

void alerts_sign(const char *secret, const char *timestamp, struct bytes body,
                 char out[ALERTS_SIGNATURE_BYTES])
{
    uint8_t mac[SHA256_BYTES];
    struct buffer text = {.max_bytes = STATE_BYTES + KIB};
    bool fits = buffer_append_text(&text, timestamp) && buffer_append_byte(&text, '.') &&
                buffer_append(&text, body);
    (void)fits; /* a body is smaller than a state */
    crypto_hmac_sha256(bytes_of(secret), buffer_bytes(&text), mac);
    memcpy(out, "v1=", 3);
    crypto_hex(bytes_make(mac, sizeof mac), out + 3);
    buffer_clear(&text);
}

/* ---- Who is red ---- */

struct red {
    char id[FLEET_SUBJECT_BYTES]; /* a device's id; of others the subject, "token:12" */
    char kind[16];
    char name[256], owner[256]; /* a device's hostname and owner */
    char code[48], reason[FLEET_REASON_BYTES], action[FLEET_REASON_BYTES];
    uint64_t since_ns;
    bool due; /* for long enough */
};

struct reds {
    uint64_t due_before_ns;
    struct red *items; /* by kind and code */
    size_t count, capacity;
    unsigned devices; /* red or not */
};

static struct red *add_red(struct reds *all, uint64_t since_ns)
{
    if (all->count == all->capacity) {
        all->capacity = all->capacity ? all->capacity * 2 : 64;
        all->items = xrealloc(all->items, all->capacity * sizeof *all->items);
    }
    struct red *r = &all->items[all->count++];
    *r = (struct red){.since_ns = since_ns, .due = since_ns <= all->due_before_ns};
    return r;
}

static bool take_device(void *context, const struct fleet_device *d, struct bytes heartbeat)
{
    struct reds *all = context;
    (void)heartbeat;
    all->devices++;
    if (d->state != RED)
        return true;
    struct red *r = add_red(all, d->state_since_ns);
    snprintf(r->id, sizeof r->id, "%s", d->device_id);
    snprintf(r->kind, sizeof r->kind, "device");
    snprintf(r->name, sizeof r->name, "%s", d->hostname);
    snprintf(r->owner, sizeof r->owner, "%s", d->owner);
    snprintf(r->code, sizeof r->code, "%s", d->state_code);
    snprintf(r->reason, sizeof r->reason, "%s", d->state_reason);
    return true;
}

/* "token" of "token:12"; of a device's bare id "device". */
static void take_kind(struct bytes id, char out[16])
{
    const uint8_t *colon = id.len ? memchr(id.data, ':', id.len) : NULL;
    if (colon)
        snprintf(out, 16, "%.*s", (int)(colon - id.data), (const char *)id.data);
    else
        snprintf(out, 16, "device");
}

static bool take_other(void *context, const struct fleet_health *h)
{
    struct reds *all = context;
    if (h->state != RED)
        return true;
    struct red *r = add_red(all, h->since_ns);
    snprintf(r->id, sizeof r->id, "%s", h->subject);
    take_kind(bytes_of(h->subject), r->kind);
    snprintf(r->name, sizeof r->name, "%s", h->name);
    snprintf(r->code, sizeof r->code, "%s", h->code);
    snprintf(r->reason, sizeof r->reason, "%s", h->reason);
    snprintf(r->action, sizeof r->action, "%s", h->action);
    return true;
}

static int by_group(const void *first, const void *second)
{
    const struct red *a = first, *b = second;
    int order = strcmp(a->kind, b->kind);
    if (order == 0)
        order = strcmp(a->code, b->code);
    return order ? order : strcmp(a->id, b->id);
}

static bool find_reds(const struct alerts *a, struct reds *all, struct error *err)
{
    const struct control_fleet_kind *fleet = a->with.control->kind->fleet;
    if (!fleet->device_list(a->with.control, take_device, all, err) ||
        !fleet->health_list(a->with.control, take_other, all, err))
        return false;
    if (all->count > 0)
        qsort(all->items, all->count, sizeof *all->items, by_group);
    return true;
}

/* ---- What a receiver knows ---- */

static struct bytes next_line(struct bytes *rest)
{
    const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->data) : rest->len;
    struct bytes line = bytes_make(rest->data, len);
    size_t used = len + (end ? 1 : 0);
    *rest = bytes_make(rest->len ? rest->data + used : NULL, rest->len - used);
    return line;
}

/* The part before the next separator. */
static struct bytes next_part(struct bytes *rest)
{
    const uint8_t *start = rest->data;
    size_t len = 0;
    while (rest->len > 0) {
        struct bytes line = next_line(rest);
        if (bytes_equal_text(line, "---"))
            break;
        len =
            (size_t)(line.data + line.len - start) + (rest->len > 0 || line.data[line.len] == '\n');
    }
    return bytes_make(start, len);
}

static bool lists(struct bytes ids, const char *id)
{
    while (ids.len > 0)
        if (bytes_equal_text(next_line(&ids), id))
            return true;
    return false;
}

static const struct red *find_red(const struct reds *all, struct bytes id)
{
    for (size_t i = 0; i < all->count; i++)
        if (bytes_equal_text(id, all->items[i].id))
            return &all->items[i];
    return NULL;
}

/* ---- A notice ---- */

/* Whether this one is told now. */
static bool fires(const struct red *r, struct bytes known)
{
    return r->due && !lists(known, r->id);
}

/* How many of the group that begins at `first` fire; *next is behind it. */
static unsigned count_group(const struct reds *all, size_t first, struct bytes known, size_t *next)
{
    const struct red *head = &all->items[first];
    unsigned count = 0;
    size_t i = first;
    for (; i < all->count && strcmp(all->items[i].kind, head->kind) == 0 &&
           strcmp(all->items[i].code, head->code) == 0;
         i++)
        count += fires(&all->items[i], known);
    *next = i;
    return count;
}

/* One cause on many machines is one line to read. */
static void write_groups(struct json_writer *w, const struct reds *all, struct bytes known)
{
    json_array_open(w);
    for (size_t i = 0, next; i < all->count; i = next) {
        const struct red *head = &all->items[i];
        unsigned count = count_group(all, i, known, &next);
        if (count == 0)
            continue;
        json_object_open(w);
        json_member_string(w, "kind", head->kind);
        json_member_string(w, "code", head->code);
        json_put_key(w, "count");
        json_put_uint(w, count);
        if (strcmp(head->kind, "device") == 0) {
            json_put_key(w, "percentOfDevices");
            json_put_uint(w, count * 100 / all->devices);
        }
        json_object_close(w);
    }
    json_array_close(w);
}

static void write_red(struct json_writer *w, const struct red *r)
{
    bool is_device = strcmp(r->kind, "device") == 0;
    json_object_open(w);
    json_member_string(w, "kind", r->kind);
    json_member_string(w, is_device ? "device" : "subject", r->id);
    json_member_string(w, is_device ? "hostname" : "name", r->name);
    if (is_device)
        json_member_string(w, "owner", r->owner);
    else
        json_member_string(w, "action", r->action);
    json_member_string(w, "state", "red");
    json_member_string(w, "code", r->code);
    json_member_string(w, "reason", r->reason);
    json_put_key(w, "since");
    json_put_time(w, r->since_ns);
    json_object_close(w);
}

static void write_resolved(struct json_writer *w, const struct reds *all, struct bytes known)
{
    json_array_open(w);
    while (known.len > 0) {
        struct bytes line = next_line(&known);
        char kind[16];
        if (find_red(all, line))
            continue;
        take_kind(line, kind);
        json_object_open(w);
        json_member_string(w, "kind", kind);
        json_put_key(w, strcmp(kind, "device") == 0 ? "device" : "subject");
        json_put_bytes(w, line);
        json_object_close(w);
    }
    json_array_close(w);
}

static bool write_webhook(const struct reds *all, struct bytes known, uint64_t now_ns,
                          const char *id, struct buffer *out)
{
    struct json_writer w = json_writer_make(out);
    json_object_open(&w);
    json_member_string(&w, "id", id);
    json_put_key(&w, "at");
    json_put_time(&w, now_ns);
    json_put_key(&w, "groups");
    write_groups(&w, all, known);
    json_put_key(&w, "firing");
    json_array_open(&w);
    for (size_t i = 0; i < all->count; i++)
        if (fires(&all->items[i], known))
            write_red(&w, &all->items[i]);
    json_array_close(&w);
    json_put_key(&w, "resolved");
    write_resolved(&w, all, known);
    json_object_close(&w);
    return json_writer_ok(&w);
}

static bool write_slack(const struct reds *all, struct bytes known, unsigned firing,
                        unsigned resolved, struct buffer *out)
{
    struct buffer text = {.max_bytes = MIB};
    unsigned listed = 0;
    bool fits = buffer_append_format(&text, "%u red, %u well again", firing, resolved);
    for (size_t i = 0, next; i < all->count && fits; i = next) {
        unsigned count = count_group(all, i, known, &next);
        if (count > 1)
            fits = buffer_append_format(&text, "\n%u × %s, %s", count, all->items[i].kind,
                                        all->items[i].code);
        for (; i < next && fits; i++) {
            const struct red *r = &all->items[i];
            if (fires(r, known) && listed++ < LISTED)
                fits = buffer_append_format(&text, "\n• %s %s%s%s%s: %s", r->kind, r->name,
                                            r->owner[0] ? " (" : "", r->owner,
                                            r->owner[0] ? ")" : "", r->reason);
        }
    }
    struct json_writer w = json_writer_make(out);
    json_object_open(&w);
    json_put_key(&w, "text");
    json_put_bytes(&w, buffer_bytes(&text));
    json_object_close(&w);
    buffer_clear(&text);
    return fits && json_writer_ok(&w);
}

/* The state with a notice in it. Leaves `out` empty when there is nothing to tell. */
static bool compose(const struct alerts *a, const struct receiver *r, const struct reds *all,
                    struct bytes known, struct buffer *out)
{
    struct buffer after = {.max_bytes = STATE_BYTES}, body = {.max_bytes = STATE_BYTES};
    unsigned firing = 0, resolved = 0;
    bool fits = true;
    for (size_t i = 0; i < all->count && fits; i++) {
        bool told = lists(known, all->items[i].id);
        firing += all->items[i].due && !told;
        if (all->items[i].due || told)
            fits = buffer_append_format(&after, "%s\n", all->items[i].id);
    }
    for (struct bytes rest = known; rest.len > 0;)
        resolved += find_red(all, next_line(&rest)) == NULL;
    if (fits && (firing > 0 || resolved > 0)) {
        char id[33];
        uint8_t hash[SHA256_BYTES];
        uint64_t now = clock_wall_ns(a->with.clock);
        struct buffer seed = {.max_bytes = 2 * STATE_BYTES};
        fits = buffer_append_format(&seed, "%" PRIu64 "\n", now) && buffer_append(&seed, known) &&
               buffer_append(&seed, buffer_bytes(&after));
        crypto_sha256(buffer_bytes(&seed), hash);
        crypto_hex(bytes_make(hash, 16), id);
        buffer_clear(&seed);
        fits = fits &&
               (r->is_slack ? write_slack(all, known, firing, resolved, &body)
                            : write_webhook(all, known, now, id, &body)) &&
               buffer_append(out, known) && buffer_append_text(out, SEPARATOR) &&
               buffer_append(out, buffer_bytes(&after)) && buffer_append_text(out, SEPARATOR) &&
               buffer_append(out, buffer_bytes(&body));
    }
    buffer_clear(&after);
    buffer_clear(&body);
    return fits;
}

/* ---- Sending ---- */

static bool send_notice(struct alerts *a, struct receiver *r, struct bytes body)
{
    char stamp[64], time_text[24], signature[160], mac[ALERTS_SIGNATURE_BYTES];
    const char *headers[] = {"Content-Type: application/json", stamp, signature, NULL};
    snprintf(time_text, sizeof time_text, "%" PRIu64, clock_wall_ns(a->with.clock) / NS_PER_S);
    snprintf(stamp, sizeof stamp, "X-Claude-Telemetry-Timestamp: %s", time_text);
    if (r->is_slack || !a->with.secret || !a->with.secret[0]) {
        headers[1] = NULL;
    } else {
        alerts_sign(a->with.secret, time_text, body, mac);
        snprintf(signature, sizeof signature, "X-Claude-Telemetry-Signature: %s", mac);
    }
    const struct http_call call = {.method = "POST",
                                   .url = r->url,
                                   .headers = headers,
                                   .body = body,
                                   .ca_file = a->with.ca_file,
                                   .timeout_ms = SEND_TIMEOUT_MS,
                                   .connect_timeout_ms = SEND_TIMEOUT_MS};
    struct http_result result;
    struct buffer answer = {.max_bytes = 64 * KIB}, answer_headers = {.max_bytes = 64 * KIB};
    http_client_perform(&call, &result, &answer, &answer_headers);
    bool done = result.stage == HTTP_STAGE_DONE && result.status / 100 == 2;
    if (done)
        log_info(a->with.log, "alerts", "told receiver=%s", r->name);
    else
        log_warn(a->with.log, "alerts",
                 "not told, tried again later receiver=%s status=%d error=%s", r->name,
                 result.status, result.error);
    buffer_clear(&answer);
    buffer_clear(&answer_headers);
    return done;
}

static void wait_longer(struct alerts *a, struct receiver *r)
{
    r->pause_s = r->pause_s == 0 ? FIRST_PAUSE_S : r->pause_s * 2;
    if (r->pause_s > MOST_PAUSE_S)
        r->pause_s = MOST_PAUSE_S;
    r->not_before_ns = clock_monotonic_ns(a->with.clock) + r->pause_s * NS_PER_S;
}

static bool tell(struct alerts *a, struct receiver *r, const struct reds *all, struct error *err)
{
    struct control_store *store = a->with.control;
    struct buffer state = {.max_bytes = 3 * STATE_BYTES}, fresh = {.max_bytes = 3 * STATE_BYTES};
    bool ok = store->kind->value_get(store, r->name, &state, err) || err->kind == FAIL_NOT_FOUND;
    struct bytes rest = buffer_bytes(&state), known = next_part(&rest);
    if (ok && rest.len == 0) { /* nothing waits */
        ok = compose(a, r, all, known, &fresh) ||
             error_set(err, FAIL_TOO_LARGE, "too much is red for one notice");
        ok = ok &&
             (fresh.len == 0 || store->kind->value_put(store, r->name, buffer_bytes(&fresh), err));
        rest = buffer_bytes(&fresh);
        known = next_part(&rest);
    }
    if (ok && rest.len > 0 && clock_monotonic_ns(a->with.clock) >= r->not_before_ns) {
        struct bytes after = next_part(&rest);
        if (send_notice(a, r, rest)) {
            r->pause_s = 0;
            r->not_before_ns = 0;
            ok = store->kind->value_put(store, r->name, after, err);
        } else {
            wait_longer(a, r);
        }
    }
    buffer_clear(&state);
    buffer_clear(&fresh);
    return ok;
}

/* Of several servers one sends; when it is gone, another does once its lease has run out. */
static bool sends(struct alerts *a, struct error *err)
{
    uint64_t now = clock_wall_ns(a->with.clock);
    uint64_t until = now + (2 * (uint64_t)a->with.every_s + LEASE_S) * NS_PER_S;
    a->leads =
        a->with.control->kind->lease_take(a->with.control, LEASE, a->with.owner, now, until, err);
    return a->leads;
}

static void look(struct alerts *a)
{
    struct error err = {0};
    if (!sends(a, &err)) {
        if (err.kind != FAIL_BUSY)
            log_failure(a->with.log, LOG_ERROR_LEVEL, "alerts", "cannot see who is red", &err);
        return;
    }
    uint64_t now = clock_wall_ns(a->with.clock), after_ns = a->with.after_s * NS_PER_S;
    struct reds all = {.due_before_ns = now > after_ns ? now - after_ns : 0};
    bool ok = find_reds(a, &all, &err);
    for (size_t i = 0; ok && i < a->receiver_count; i++)
        ok = tell(a, &a->receivers[i], &all, &err);
    if (!ok)
        log_failure(a->with.log, LOG_ERROR_LEVEL, "alerts", "cannot see who is red", &err);
    free(all.items);
}

/* ---- The thread ---- */

static void *work(void *context)
{
    struct alerts *a = context;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    pthread_mutex_lock(&a->lock);
    while (!a->stopping) {
        next.tv_sec += a->with.every_s;
        int waited = 0;
        while (!a->stopping && waited == 0)
            waited = pthread_cond_timedwait(&a->wake, &a->lock, &next);
        if (a->stopping)
            break;
        pthread_mutex_unlock(&a->lock);
        look(a);
        clock_gettime(CLOCK_MONOTONIC, &next);
        pthread_mutex_lock(&a->lock);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

struct alerts *alerts_create(const struct alerts_options *options)
{
    if (!options->webhook_url && !options->slack_url)
        return NULL;
    struct alerts *a = xcalloc(1, sizeof *a);
    a->with = *options;
    if (a->with.every_s == 0)
        a->with.every_s = 1;
    if (options->webhook_url)
        a->receivers[a->receiver_count++] =
            (struct receiver){.name = "alerts.webhook", .url = options->webhook_url};
    if (options->slack_url)
        a->receivers[a->receiver_count++] =
            (struct receiver){.name = "alerts.slack", .url = options->slack_url, .is_slack = true};
    pthread_condattr_t monotonic;
    pthread_mutex_init(&a->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&a->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&a->thread, NULL, work, a) != 0)
        abort(); /* at start, as when memory is gone */
    return a;
}

void alerts_destroy(struct alerts *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    a->stopping = true;
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    struct error ignored;
    if (a->leads)
        (void)!a->with.control->kind->lease_end(a->with.control, LEASE, a->with.owner, &ignored);
    pthread_cond_destroy(&a->wake);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
