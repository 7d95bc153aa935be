#include "server/store/day.h"
#include "server/store/people_sql.h"
#include "server/store/postgres_messages.h"
#include "server/store/usage_rows.h"

/* ---- Daily usage ---- */

static void read_part(const struct postgres_query *q, struct usage_part *part)
{
    *part = (struct usage_part){
        .day = postgres_int_at(q, 0),
        .person = postgres_bytes_at(q, 1),
        .system = postgres_bytes_at(q, 2),
        .model = postgres_bytes_at(q, 3),
        .session = postgres_bytes_at(q, 4),
        .origin = postgres_int_at(q, 5) ? USAGE_FROM_METRICS : USAGE_FROM_EVENTS,
        .metric = postgres_bytes_at(q, 6),
        .attributes = postgres_bytes_at(q, 7),
        .value = postgres_double_at(q, 8),
        .requests = postgres_int_at(q, 9),
        .input_tokens = postgres_int_at(q, 10),
        .output_tokens = postgres_int_at(q, 11),
        .cache_read_tokens = postgres_int_at(q, 12),
        .cache_create_tokens = postgres_int_at(q, 13),
        .cost = postgres_int_at(q, 14),
    };
}

static bool read_usage(struct postgres_query *q, struct usage_reading *reading, struct error *err)
{
    bool row = true, ok;
    while ((ok = postgres_next(q, &row, err)) && row) {
        struct usage_part part;
        read_part(q, &part);
        if (!usage_reading_add(reading, &part, err))
            return reading->stopped;
    }
    if (ok)
        usage_reading_end(reading);
    return ok;
}

static bool read_days(const char *from_day, const char *to_day, int64_t *from, int64_t *to,
                      struct error *err)
{
    return (day_of_text(bytes_of(from_day), from) && day_of_text(bytes_of(to_day), to)) ||
           error_set(err, FAIL_INVALID, "'%s' to '%s' are not days like 2026-11-20", from_day,
                     to_day);
}

bool postgres_usage(struct message_store *store, const char *from_day, const char *to_day,
                    usage_visit *visit, void *context, struct error *err)
{
    struct postgres_messages *s = (struct postgres_messages *)store;
    int64_t from, to;
    struct postgres_link *link =
        read_days(from_day, to_day, &from, &to, err) ? postgres_take(s->db, 0, err) : NULL;
    if (!link)
        return false;
    struct usage_reading reading;
    usage_reading_init(&reading, visit, context);
    struct postgres_query *q = postgres_prepare(link, USAGE_SQL("$1", "$2"));
    postgres_bind_int(q, 1, from);
    postgres_bind_int(q, 2, to);
    bool ok = read_usage(q, &reading, err);
    postgres_finalize(q);
    postgres_give(s->db, link);
    usage_reading_clear(&reading);
    return ok;
}

/* ---- One metric ---- */

static bool visit_sums(struct postgres_query *q, metric_sum_visit *visit, void *context,
                       struct error *err)
{
    bool row = true, ok;
    while ((ok = postgres_next(q, &row, err)) && row) {
        const struct metric_sum sum = {.person = postgres_bytes_at(q, 0),
                                       .attributes = postgres_bytes_at(q, 1),
                                       .value = postgres_double_at(q, 2)};
        if (!visit(context, &sum))
            break;
    }
    return ok;
}

bool postgres_metric_sums(struct message_store *store, const char *metric, const char *from_day,
                          const char *to_day, metric_sum_visit *visit, void *context,
                          struct error *err)
{
    struct postgres_messages *s = (struct postgres_messages *)store;
    int64_t from, to;
    struct postgres_link *link =
        read_days(from_day, to_day, &from, &to, err) ? postgres_take(s->db, 0, err) : NULL;
    if (!link)
        return false;
    uint8_t hash[POSTGRES_TEXT_HASH_BYTES];
    postgres_text_hash(bytes_of(metric), hash);
    struct postgres_query *q =
        postgres_prepare(link, METRIC_SUMS_SQL("$1", "$2", "(SELECT id FROM text WHERE hash=$3)"));
    postgres_bind_int(q, 1, from);
    postgres_bind_int(q, 2, to);
    postgres_bind_blob(q, 3, bytes_make(hash, sizeof hash));
    bool ok = visit_sums(q, visit, context, err);
    postgres_finalize(q);
    postgres_give(s->db, link);
    return ok || error_wrap(err, "cannot add up a metric");
}

/* ---- Who has sent what ---- */

bool postgres_people(struct message_store *store, const char *from_day, message_person_visit *visit,
                     void *context, struct error *err)
{
    struct postgres_messages *s = (struct postgres_messages *)store;
    int64_t from;
    if (!day_of_text(bytes_of(from_day), &from))
        return error_set(err, FAIL_INVALID, "'%s' is not a day like 2026-11-20", from_day);
    struct postgres_link *link = postgres_take(s->db, 0, err);
    if (!link)
        return false;
    struct postgres_query *q = postgres_prepare(link, PEOPLE_SQL("$1", "$2"));
    bool row = true, ok;
    postgres_bind_int(q, 1, from);
    postgres_bind_int(q, 2, MESSAGE_HEARTBEAT);
    while ((ok = postgres_next(q, &row, err)) && row) {
        const struct message_person person = {
            .person = postgres_bytes_at(q, 0),
            .last_row_ns = (uint64_t)postgres_int_at(q, 1),
            .last_metric_day = postgres_int_at(q, 2),
            .rows = (uint64_t)postgres_int_at(q, 3),
            .tokens = (uint64_t)postgres_int_at(q, 4),
            .cost_microcents = (uint64_t)postgres_int_at(q, 5),
        };
        if (!visit(context, &person))
            break;
    }
    postgres_finalize(q);
    postgres_give(s->db, link);
    return ok;
}
