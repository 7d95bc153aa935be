#include "server/query/usage.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"

#define DAY_NS (UINT64_C(86400) * NS_PER_S)

const char *usage_source_name(enum usage_source source)
{
    static const char *const names[] = {"enterprise_api", "admin_api", "otel"};
    return names[source];
}

const char *usage_family_name(enum usage_family family)
{
    static const char *const names[] = {"tokens", "activity", "edits"};
    return names[family];
}

/* ---- What the store says ---- */

struct rows {
    struct usage_row *items; /* texts in the arena */
    size_t count, capacity;
    struct arena *arena;
    bool full;
};
enum { MAX_ROWS = 1000000 };

static bool keep_row(void *context, const struct usage_row *row)
{
    struct rows *r = context;
    if (r->count == r->capacity) {
        r->capacity = r->capacity ? 2 * r->capacity : 1024;
        r->items = xrealloc(r->items, r->capacity * sizeof *r->items);
    }
    struct usage_row *kept = &r->items[r->count];
    *kept = *row;
    r->full = r->count == MAX_ROWS || !arena_copy(r->arena, row->person, &kept->person) ||
              !arena_copy(r->arena, row->system, &kept->system) ||
              !arena_copy(r->arena, row->model, &kept->model) ||
              !arena_copy(r->arena, row->session_id, &kept->session_id);
    if (r->full)
        return false;
    r->count++;
    return true;
}

static int compare_bytes(struct bytes a, struct bytes b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* ---- Events or metrics, session by session ---- */

/* What is told twice together: a session, or, where none is named, a person's day in a system. */
static int compare_tellings(const struct usage_row *a, const struct usage_row *b)
{
    int order = compare_bytes(a->session_id, b->session_id);
    if (order == 0 && a->session_id.len == 0)
        order = strcmp(a->day, b->day);
    if (order == 0 && a->session_id.len == 0)
        order = compare_bytes(a->person, b->person);
    if (order == 0 && a->session_id.len == 0)
        order = compare_bytes(a->system, b->system);
    return order;
}

static int by_telling(const void *a, const void *b)
{
    return compare_tellings(a, b);
}

static double weight_of(const struct usage_row *row, enum usage_family family)
{
    switch (family) {
    case USAGE_TOKENS:
        return (double)row->input_tokens + (double)row->output_tokens +
               (double)row->cache_read_tokens + (double)row->cache_create_tokens;
    case USAGE_ACTIVITY:
        return row->active_seconds + (double)row->sessions + (double)row->commits +
               (double)row->pull_requests;
    default:
        return (double)row->lines_added + (double)row->lines_removed + (double)row->edits_accepted +
               (double)row->edits_rejected;
    }
}

static void drop_family(struct usage_row *row, enum usage_family family)
{
    switch (family) {
    case USAGE_TOKENS:
        row->input_tokens = row->output_tokens = 0;
        row->cache_read_tokens = row->cache_create_tokens = 0;
        row->cost_microcents = 0;
        break;
    case USAGE_ACTIVITY:
        row->active_seconds = 0;
        row->sessions = row->commits = row->pull_requests = 0;
        break;
    default:
        row->lines_added = row->lines_removed = 0;
        row->edits_accepted = row->edits_rejected = 0;
    }
}

/* Of rows that tell of one session, leaves each family in the origin that saw more of it. */
static void settle(struct usage_row *rows, size_t count)
{
    for (int f = 0; f < USAGE_FAMILY_COUNT; f++) {
        enum usage_family family = (enum usage_family)f;
        double seen[2] = {0, 0};
        for (size_t i = 0; i < count; i++)
            seen[rows[i].origin == USAGE_FROM_METRICS] += weight_of(&rows[i], family);
        bool metrics_win = seen[1] > seen[0];
        for (size_t i = 0; i < count; i++)
            if ((rows[i].origin == USAGE_FROM_METRICS) != metrics_win)
                drop_family(&rows[i], family);
    }
}

static void settle_all(struct rows *r)
{
    if (r->count > 0)
        qsort(r->items, r->count, sizeof *r->items, by_telling);
    for (size_t begin = 0, end; begin < r->count; begin = end) {
        for (end = begin + 1;
             end < r->count && compare_tellings(&r->items[begin], &r->items[end]) == 0; end++)
            ;
        settle(&r->items[begin], end - begin);
    }
}

/* ---- Groups ---- */

static int compare_groups(const struct usage_row *a, const struct usage_row *b)
{
    int order = strcmp(a->day, b->day);
    if (order == 0)
        order = compare_bytes(a->person, b->person);
    if (order == 0)
        order = compare_bytes(a->model, b->model);
    return order != 0 ? order : compare_bytes(a->system, b->system);
}

static int by_group(const void *a, const void *b)
{
    int order = compare_groups(a, b);
    return order != 0 ? order
                      : compare_bytes(((const struct usage_row *)a)->session_id,
                                      ((const struct usage_row *)b)->session_id);
}

/* Leaves the days asked for, and of the names only what is grouped by. */
static void narrow(struct rows *r, const char *from_day, const char *to_day, unsigned grouping)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct usage_row row = r->items[i];
        if (strcmp(row.day, from_day) < 0 || strcmp(row.day, to_day) > 0)
            continue;
        if (!(grouping & USAGE_BY_PERSON))
            row.person.len = 0;
        if (!(grouping & USAGE_BY_MODEL))
            row.model.len = 0;
        if (!(grouping & USAGE_BY_SYSTEM))
            row.system.len = 0;
        r->items[kept++] = row;
    }
    r->count = kept;
}

/* What OpenTelemetry says of a group: rows sorted by session. */
static struct usage_day sum_up(const struct usage_row *rows, size_t count)
{
    struct usage_day d = {.person = rows->person, .model = rows->model, .system = rows->system};
    int64_t distinct = 0;
    memcpy(d.day, rows->day, sizeof d.day);
    for (size_t i = 0; i < count; i++) {
        const struct usage_row *row = &rows[i];
        d.input_tokens += row->input_tokens;
        d.output_tokens += row->output_tokens;
        d.cache_read_tokens += row->cache_read_tokens;
        d.cache_create_tokens += row->cache_create_tokens;
        d.cost_microcents += row->cost_microcents;
        d.requests += row->requests;
        d.sessions += row->sessions;
        d.commits += row->commits;
        d.pull_requests += row->pull_requests;
        d.lines_added += row->lines_added;
        d.lines_removed += row->lines_removed;
        d.edits_accepted += row->edits_accepted;
        d.edits_rejected += row->edits_rejected;
        d.active_seconds += row->active_seconds;
        distinct += row->session_id.len > 0 &&
                    (i == 0 || compare_bytes(rows[i - 1].session_id, row->session_id) != 0);
    }
    if (d.sessions < distinct)
        d.sessions = distinct; /* begun the day before, or told without the session metric */
    for (int f = 0; f < USAGE_FAMILY_COUNT; f++)
        d.sources[f] = USAGE_OTEL;
    return d;
}

static void visit_groups(const struct rows *r, usage_day_visit *visit, void *context)
{
    for (size_t begin = 0, end; begin < r->count; begin = end) {
        for (end = begin + 1;
             end < r->count && compare_groups(&r->items[begin], &r->items[end]) == 0; end++)
            ;
        struct usage_day day = sum_up(&r->items[begin], end - begin);
        if (!visit(context, &day))
            return;
    }
}

bool usage_visit_days(struct message_store *store, uint64_t from_ns, uint64_t to_ns,
                      unsigned grouping, struct arena *arena, usage_day_visit *visit, void *context,
                      struct error *err)
{
    char from_day[INSTANT_DAY_BYTES], to_day[INSTANT_DAY_BYTES];
    char before[INSTANT_DAY_BYTES], after[INSTANT_DAY_BYTES];
    instant_day(from_ns, from_day);
    instant_day(to_ns, to_day);
    /* A session may pass midnight, and its two tellings pass it at different moments: whoever
     * decides by one day alone may count the same tokens on both. */
    instant_day(from_ns >= DAY_NS ? from_ns - DAY_NS : 0, before);
    instant_day(to_ns + DAY_NS, after);

    struct rows r = {.arena = arena};
    bool done = store->kind->usage(store, before, after, keep_row, &r, err);
    if (r.full) {
        error_set(err, FAIL_TOO_LARGE, "the range holds too many sessions for one answer");
        done = error_remedy(err, "narrow from and to");
    }
    if (done) {
        settle_all(&r);
        narrow(&r, from_day, to_day, grouping);
        if (r.count > 0)
            qsort(r.items, r.count, sizeof *r.items, by_group);
        visit_groups(&r, visit, context);
    }
    free(r.items);
    return done;
}
