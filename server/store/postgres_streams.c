#include <stdlib.h>

#include "base/memory.h"
#include "server/store/postgres_messages.h"

/* Which sequences of a relay are in: as ranges that do not touch. */
struct range {
    int64_t system;
    struct bytes stream;
    int64_t signal, first, last, seen_ns;
    bool stored; /* in the table as it stands here, by its `first` */
    bool gone;   /* joined to another since */
};

struct streams {
    struct range *ranges;
    size_t count;
    struct arena texts;
};

static void add_range(struct streams *s, struct range range)
{
    s->ranges = xrealloc(s->ranges, (s->count + 1) * sizeof *s->ranges);
    s->ranges[s->count++] = range;
}

static bool has_stream(const struct message_batch *b)
{
    return b->stream.len > 0;
}

/* ---- What is in ---- */

/* Those that touch one of the batches, each once: a batch between two of them joins them. */
static const char FIND_SQL[] =
    "SELECT DISTINCT s.system, s.stream, s.signal, s.first, s.last"
    " FROM unnest($1, $2, $3, $4, $5) b(system, stream, signal, first, last) JOIN stream s"
    " ON s.system=b.system AND s.stream=b.stream AND s.signal=b.signal AND s.first<=b.last+1"
    " AND s.last>=b.first-1";

static bool take_ranges(struct streams *s, struct postgres_query *q, struct error *err)
{
    bool row = true, ok;
    while ((ok = postgres_next(q, &row, err)) && row) {
        struct range range = {.system = postgres_int_at(q, 0),
                              .signal = postgres_int_at(q, 2),
                              .first = postgres_int_at(q, 3),
                              .last = postgres_int_at(q, 4),
                              .stored = true};
        if (!arena_copy(&s->texts, postgres_bytes_at(q, 1), &range.stream))
            return error_set(err, FAIL_TOO_LARGE, "too many gaps in the streams of relays");
        add_range(s, range);
    }
    return ok;
}

/* Columns of a range, as arrays. */
static void put_columns(struct postgres_array columns[5], int64_t system, struct bytes stream,
                        int64_t signal, int64_t first, int64_t last)
{
    postgres_array_int(&columns[0], system);
    postgres_array_bytes(&columns[1], stream);
    postgres_array_int(&columns[2], signal);
    postgres_array_int(&columns[3], first);
    postgres_array_int(&columns[4], last);
}

static bool run_columns(struct postgres_query *q, struct postgres_array *columns, int count,
                        struct error *err)
{
    for (int i = 0; i < count; i++)
        if (!postgres_bind_array(q, i + 1, &columns[i], err))
            return false;
    return true;
}

static void clear_columns(struct postgres_array *columns, int count)
{
    for (int i = 0; i < count; i++)
        postgres_array_clear(&columns[i]);
}

#define RANGE_COLUMNS                                                                        \
    {                                                                                        \
        {.kind = ARRAY_INT}, {.kind = ARRAY_TEXT}, {.kind = ARRAY_INT}, {.kind = ARRAY_INT}, \
            {.kind = ARRAY_INT}, {.kind = ARRAY_INT},                                        \
    }

static bool find_ranges(struct streams *s, struct postgres_link *link,
                        const struct message_batch *batches, size_t count, struct error *err)
{
    struct postgres_array columns[6] = RANGE_COLUMNS;
    for (size_t i = 0; i < count; i++)
        if (has_stream(&batches[i]))
            put_columns(columns, batches[i].system_id, batches[i].stream,
                        (int64_t)batches[i].signal, (int64_t)batches[i].first,
                        (int64_t)batches[i].last);
    bool ok = true;
    if (columns[0].count) {
        struct postgres_query *q = postgres_prepare(link, FIND_SQL);
        ok = run_columns(q, columns, 5, err) && take_ranges(s, q, err);
        postgres_finalize(q);
    }
    clear_columns(columns, 6);
    return ok;
}

/* ---- What the batches make of it ---- */

static enum put_outcome decide(struct streams *s, const struct message_batch *b)
{
    struct range made = {.system = b->system_id,
                         .stream = b->stream,
                         .signal = (int64_t)b->signal,
                         .first = (int64_t)b->first,
                         .last = (int64_t)b->last,
                         .seen_ns = (int64_t)b->received_ns};
    int64_t first = made.first, last = made.last;
    for (size_t i = 0; i < s->count; i++) {
        const struct range *have = &s->ranges[i];
        if (have->gone || have->system != made.system || have->signal != made.signal ||
            !bytes_equal(have->stream, made.stream) || have->first > last + 1 ||
            have->last < first - 1)
            continue;
        if (have->first <= first && have->last >= last)
            return PUT_REPLAYED;
        if (have->first <= last && have->last >= first)
            return PUT_OVERLAPS;
        made.first = have->first < made.first ? have->first : made.first;
        made.last = have->last > made.last ? have->last : made.last;
    }
    for (size_t i = 0; i < s->count; i++) {
        struct range *have = &s->ranges[i];
        if (have->system == made.system && have->signal == made.signal &&
            bytes_equal(have->stream, made.stream) && have->first >= made.first &&
            have->last <= made.last)
            have->gone = true;
    }
    add_range(s, made);
    return PUT_STORED;
}

static const char DELETE_SQL[] =
    "DELETE FROM stream s USING unnest($1, $2, $3, $4) b(system, stream, signal, first)"
    " WHERE s.system=b.system AND s.stream=b.stream AND s.signal=b.signal AND s.first=b.first";
static const char ADD_SQL[] = "INSERT INTO stream(system, stream, signal, first, last, seen_ns)"
                              " SELECT * FROM unnest($1, $2, $3, $4, $5, $6)";

/* Ranges that went, or that came: `stored` tells which. */
static bool write_ranges(struct streams *s, struct postgres_link *link, bool stored,
                         struct error *err)
{
    struct postgres_array columns[6] = RANGE_COLUMNS;
    for (size_t i = 0; i < s->count; i++) {
        const struct range *r = &s->ranges[i];
        if (r->stored != stored || r->gone != stored)
            continue;
        put_columns(columns, r->system, r->stream, r->signal, r->first, r->last);
        postgres_array_int(&columns[5], r->seen_ns);
    }
    bool ok = true;
    if (columns[0].count) {
        struct postgres_query *q = postgres_prepare(link, stored ? DELETE_SQL : ADD_SQL);
        ok = run_columns(q, columns, stored ? 4 : 6, err) && postgres_do(q, err);
        postgres_finalize(q);
    }
    clear_columns(columns, 6);
    return ok;
}

bool postgres_streams_put(struct postgres_link *link, const struct message_batch *batches,
                          size_t count, struct put_result *results, struct error *err)
{
    struct streams s = {.texts = {.max_bytes = 64 * MIB}};
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        const struct message_batch *b = &batches[i];
        results[i] = (struct put_result){.outcome = PUT_STORED};
        if (has_stream(b) && (b->first > b->last || b->last >= INT64_MAX))
            ok = error_set(err, FAIL_INVALID, "batch sequences %llu to %llu are no range",
                           (unsigned long long)b->first, (unsigned long long)b->last);
    }
    ok = ok && find_ranges(&s, link, batches, count, err);
    for (size_t i = 0; ok && i < count; i++)
        if (has_stream(&batches[i]))
            results[i].outcome = decide(&s, &batches[i]);
    ok = ok && write_ranges(&s, link, true, err) && write_ranges(&s, link, false, err);
    free(s.ranges);
    arena_clear(&s.texts);
    return ok;
}
