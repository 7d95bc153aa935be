#include <math.h>
#include <string.h>

#include "server/message/draft.h"

enum { TEXT_BYTES = 512, ATTRIBUTES_BYTES = 4096 };

/* Who and where, not what: these do not belong to a breakdown of usage. */
static bool is_identity(struct bytes key)
{
    static const char *const KEYS[] = {
        "session.id",           "conversation.id",       "gen_ai.conversation.id", "model",
        "gen_ai.request.model", "gen_ai.response.model", "organization.id",        "work_email",
        "terminal.type",        "installation.id"};
    static const char *const PREFIXES[] = {"user.", "app.", "anthropic.",
                                           "host.", "os.",  "service."};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
        if (bytes_equal_text(key, KEYS[i]))
            return true;
    for (size_t i = 0; i < sizeof PREFIXES / sizeof *PREFIXES; i++)
        if (bytes_starts_with(key, PREFIXES[i]))
            return true;
    return false;
}

/* "a=1,b=2" of what only the point says, in the order of keys. */
static struct bytes breakdown(struct draft *d, struct otlp_attributes resource)
{
    struct buffer text = {.max_bytes = ATTRIBUTES_BYTES};
    struct bytes out = {0};
    for (size_t i = 0; i < d->set.count; i++) {
        const struct attribute_item *item = &d->set.items[i];
        struct otlp_value same;
        char key[128];
        if (item->origin != 1 || item->key.len == 0 || item->key.len >= sizeof key ||
            is_identity(item->key))
            continue;
        memcpy(key, item->key.data, item->key.len);
        key[item->key.len] = 0;
        if (otlp_attributes_find(resource, key, &same))
            continue;
        struct bytes name = draft_copy(d, item->key, sizeof key, NULL);
        struct bytes value = draft_text(d, &item->value, 256, NULL);
        if (text.len + name.len + value.len + 2 > text.max_bytes)
            break;
        d->full = d->full || !buffer_append_text(&text, text.len ? "," : "") ||
                  !buffer_append(&text, name) || !buffer_append_text(&text, "=") ||
                  !buffer_append(&text, value);
    }
    if (!arena_copy(d->arena, buffer_bytes(&text), &out))
        d->full = true;
    buffer_clear(&text);
    return out;
}

static void series_of(struct draft *d, const struct otlp_point *point, uint8_t series[16])
{
    uint8_t hash[32];
    struct bytes *texts = arena_alloc_many(d->arena, d->set.count + 1, sizeof *texts);
    if (!texts) {
        d->full = true;
        return;
    }
    for (size_t i = 0; i < d->set.count; i++)
        texts[i] = draft_text(d, &d->set.items[i].value, SIZE_MAX / 2, NULL);
    struct part_hash h = part_hash_start(d, "series");
    part_hash_text(&h, point->scope.name);
    part_hash_text(&h, point->metric_name);
    part_hash_text(&h, point->unit);
    for (size_t i = 0; i < d->set.count; i++) {
        part_hash_text(&h, d->set.items[i].key);
        part_hash_text(&h, texts[i]);
    }
    part_hash_end(d, &h, hash);
    memcpy(series, hash, 16);
}

static bool says_usage(const struct otlp_point *point)
{
    return !point->no_recorded_value && isfinite(point->value) &&
           (point->kind == OTLP_METRIC_SUM || point->kind == OTLP_METRIC_HISTOGRAM ||
            point->kind == OTLP_METRIC_EXPONENTIAL_HISTOGRAM);
}

bool usage_from_point(const struct otlp_point *point, const struct message_context *context,
                      struct arena *arena, struct usage_delta *out, bool *kept)
{
    *kept = says_usage(point);
    *out = (struct usage_delta){0};
    if (!*kept)
        return true;
    struct draft d = {.context = context, .arena = arena};
    d.scratch.max_bytes = 64 * MIB;
    attributes_init(&d.set, NULL, 0, point->attributes, point->resource);

    out->time_ns =
        point->time_ns && point->time_ns <= INT64_MAX ? point->time_ns : context->received_ns;
    out->start_ns = point->start_ns <= INT64_MAX ? point->start_ns : 0;
    out->value = point->value;
    out->cumulative = point->temporality == OTLP_CUMULATIVE;
    struct person_claim who = person_resolve(&d, point->resource);
    out->person = who.person;
    out->person_rank = who.rank;
    out->account_uuid = who.account_uuid;
    out->account_id = who.account_id;
    out->session_id = draft_find_text(&d,
                                      (const char *[]){"session.id", "gen_ai.conversation.id",
                                                       "conversation.id", NULL},
                                      TEXT_BYTES);
    out->model = draft_find_text(&d,
                                 (const char *[]){"model", "gen_ai.response.model",
                                                  "gen_ai.request.model", NULL},
                                 TEXT_BYTES);
    out->metric = draft_copy(&d, point->metric_name, TEXT_BYTES, NULL);
    out->attributes = breakdown(&d, point->resource);
    series_of(&d, point, out->series);

    uint8_t hash[32];
    struct part_hash h = part_hash_start(&d, "point");
    part_hash_text(&h, bytes_make(out->series, sizeof out->series));
    part_hash_number(&h, point->start_ns);
    part_hash_number(&h, point->time_ns);
    part_hash_end(&d, &h, hash);
    key_make(out->time_ns, hash, out->key);
    attributes_clear(&d.set);
    buffer_clear(&d.scratch);
    return !d.full;
}
