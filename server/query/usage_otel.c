/* What OpenTelemetry told: of a session's two tellings, the one that saw more; or of requests alone. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/query/usage_cells.h"

enum { MAX_ROWS = 1000000 };
#define DAY_NS (UINT64_C(86400) * NS_PER_S)

struct rows {
    struct usage_row *items; /* texts in the arena */
    size_t count, capacity;
    struct arena *arena;
    bool full;
};

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

/* What is told twice together: a session, or, where none is named, a person's day in a system. */
static int compare_tellings(const struct usage_row *a, const struct usage_row *b)
{
    int order = usage_compare_texts(a->session_id, b->session_id);
    if (order == 0 && a->session_id.len == 0)
        order = strcmp(a->day, b->day);
    if (order == 0 && a->session_id.len == 0)
        order = usage_compare_texts(a->person, b->person);
    if (order == 0 && a->session_id.len == 0)
        order = usage_compare_texts(a->system, b->system);
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

static struct usage_cell cell_of(const struct usage_row *row)
{
    struct usage_cell c = {.person = row->person,
                           .system = row->system,
                           .model = row->model,
                           .session = row->session_id,
                           .source = USAGE_OTEL,
                           .figures = {.input_tokens = row->input_tokens,
                                       .output_tokens = row->output_tokens,
                                       .cache_read_tokens = row->cache_read_tokens,
                                       .cache_create_tokens = row->cache_create_tokens,
                                       .cost_1e8_usd = row->cost_microcents * 100,
                                       .requests = row->requests,
                                       .sessions = row->sessions,
                                       .commits = row->commits,
                                       .pull_requests = row->pull_requests,
                                       .lines_added = row->lines_added,
                                       .lines_removed = row->lines_removed,
                                       .edits_accepted = row->edits_accepted,
                                       .edits_rejected = row->edits_rejected,
                                       .active_seconds = row->active_seconds}};
    memcpy(c.day, row->day, sizeof c.day);
    return c;
}

bool usage_read_otel(struct message_store *store, const char *from_day, const char *to_day,
                     struct usage_cells *cells, struct error *err)
{
    /* A session may pass midnight, and its two tellings pass it at different moments: whoever
     * decides by one day alone may count the same tokens on both. */
    char before[API_DAY_BYTES], after[API_DAY_BYTES];
    importer_move_day(from_day, strcmp(from_day, "1970-01-01") > 0 ? -1 : 0, before);
    importer_move_day(to_day, 1, after);
    struct rows r = {.arena = cells->arena};
    bool done = store->kind->usage(store, before, after, keep_row, &r, err);
    cells->full |= r.full;
    if (done && !cells->full) {
        settle_all(&r);
        for (size_t i = 0; i < r.count && !cells->full; i++) {
            const struct usage_row *row = &r.items[i];
            struct usage_cell cell = cell_of(row);
            if (strcmp(row->day, from_day) >= 0 && strcmp(row->day, to_day) <= 0)
                (void)!usage_cells_add(cells, &cell);
        }
    }
    free(r.items);
    return done;
}

/* ---- Requests alone ---- */

static const struct aggregate_metric REQUEST_METRICS[] = {
    {.function = AGGREGATE_COUNT},
    {.function = AGGREGATE_SUM, .field = FIELD_COST_MICROCENTS},
    {.function = AGGREGATE_SUM, .field = FIELD_INPUT_TOKENS},
    {.function = AGGREGATE_SUM, .field = FIELD_OUTPUT_TOKENS},
    {.function = AGGREGATE_SUM, .field = FIELD_CACHE_READ_TOKENS},
    {.function = AGGREGATE_SUM, .field = FIELD_CACHE_CREATE_TOKENS},
};

static bool take_requests(void *context, const struct aggregate_row *row)
{
    struct usage_cells *cells = context;
    const int64_t *n = row->integers;
    struct usage_cell cell = {.person = row->groups[0],
                              .model = row->groups[1],
                              .system = row->groups[2],
                              .source = USAGE_OTEL,
                              .figures = {.requests = n[0],
                                          .cost_1e8_usd = n[1] * 100,
                                          .input_tokens = n[2],
                                          .output_tokens = n[3],
                                          .cache_read_tokens = n[4],
                                          .cache_create_tokens = n[5]}};
    memcpy(cell.day, row->interval_start.data, sizeof cell.day - 1);
    return usage_cells_add(cells, &cell);
}

bool usage_read_requests(struct message_store *store, uint64_t from_ns, uint64_t to_ns,
                         struct usage_cells *cells, struct error *err)
{
    const struct aggregate_group groups[] = {{.field = FIELD_PERSON},
                                             {.field = FIELD_MODEL},
                                             {.field = FIELD_SYSTEM}};
    const struct bytes generation = bytes_of(message_type_name(MESSAGE_GENERATION));
    const struct message_filter filter = {.field = FIELD_TYPE,
                                          .values = &generation,
                                          .value_count = 1};
    const struct aggregate_query query = {
        .where = {.filters = &filter,
                  .filter_count = 1,
                  .from_ns = from_ns / DAY_NS * DAY_NS,
                  .to_ns = (to_ns / DAY_NS + 1) * DAY_NS},
        .groups = groups,
        .group_count = 3,
        .metrics = REQUEST_METRICS,
        .metric_count = sizeof REQUEST_METRICS / sizeof *REQUEST_METRICS,
        .interval = INTERVAL_DAY,
    };
    return store->kind->aggregate(store, &query, take_requests, cells, err);
}
