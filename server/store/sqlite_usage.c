#include <math.h>
#include <string.h>

#include "server/message/mapping.h"
#include "server/store/day.h"
#include "server/store/sqlite_messages.h"

static int64_t part(int64_t number, int sign)
{
    return number < 0 ? 0 : number * sign;
}

static int64_t cost_of(const struct message *m)
{
    return m->cost_microcents >= 0 ? m->cost_microcents : m->cost_computed_microcents;
}

static bool clean(struct sqlite_messages *s, enum write_statement which, const int64_t key[5],
                  struct error *err)
{
    for (int i = 0; i < 5; i++)
        sqlite3_bind_int64(s->write[which], i + 1, key[i]);
    return sqlite_do(s->writer, s->write[which], err);
}

bool usage_change_rollup(struct sqlite_messages *s, const struct message *m,
                         const struct row_ids *ids, int sign, struct error *err)
{
    sqlite3_stmt *q = s->write[WRITE_ROLLUP];
    const int64_t key[5] = {(int64_t)(m->time_ns / DAY_NS), ids->system, m->type, ids->model,
                            ids->person};
    const int64_t values[8] = {sign,
                               part(m->input_tokens, sign),
                               part(m->output_tokens, sign),
                               part(m->cache_read_tokens, sign),
                               part(m->cache_create_tokens, sign),
                               part(m->cost_microcents, sign),
                               part(m->cost_computed_microcents, sign),
                               part(m->duration_ms, sign)};
    for (int i = 0; i < 5; i++)
        sqlite3_bind_int64(q, i + 1, key[i]);
    for (int i = 0; i < 8; i++)
        sqlite3_bind_int64(q, i + 6, values[i]);
    return sqlite_do(s->writer, q, err) && (sign > 0 || clean(s, WRITE_ROLLUP_CLEAN, key, err));
}

static bool change_usage(struct sqlite_messages *s, const struct message *m,
                         const struct row_ids *ids, int sign, struct error *err)
{
    sqlite3_stmt *q = s->write[WRITE_USAGE_EVENT];
    const int64_t key[5] = {(int64_t)(m->time_ns / DAY_NS), ids->person, ids->system, ids->model,
                            ids->session};
    const int64_t values[6] = {sign,
                               part(m->input_tokens, sign),
                               part(m->output_tokens, sign),
                               part(m->cache_read_tokens, sign),
                               part(m->cache_create_tokens, sign),
                               part(cost_of(m), sign)};
    for (int i = 0; i < 5; i++)
        sqlite3_bind_int64(q, i + 1, key[i]);
    for (int i = 0; i < 6; i++)
        sqlite3_bind_int64(q, i + 6, values[i]);
    return sqlite_do(s->writer, q, err) &&
           (sign > 0 || clean(s, WRITE_USAGE_EVENT_CLEAN, key, err));
}

bool usage_change(struct sqlite_messages *s, const struct message *m, const struct row_ids *ids,
                  int sign, struct error *err)
{
    return usage_change_rollup(s, m, ids, sign, err) &&
           (m->type != MESSAGE_GENERATION || change_usage(s, m, ids, sign, err));
}

/* ---- Metric points ---- */

/*
 * What a running total adds to the last one of its start. Without one, all of it is new. A total
 * that arrives late is contained in a later one. One that fell has started over.
 */
static bool difference(struct sqlite_messages *s, const struct usage_delta *delta, double *added,
                       struct error *err)
{
    sqlite3_stmt *find = s->write[WRITE_SERIES_FIND], *put = s->write[WRITE_SERIES_PUT];
    bool row = false;
    *added = delta->value;
    sqlite_bind_raw(find, 1, delta->series, sizeof delta->series);
    sqlite3_bind_int64(find, 2, (int64_t)delta->start_ns);
    if (!sqlite_next(s->writer, find, &row, err))
        return false;
    if (row) {
        uint64_t last_ns = (uint64_t)sqlite3_column_int64(find, 0);
        double last = sqlite3_column_double(find, 1);
        sqlite3_reset(find);
        if (delta->time_ns <= last_ns) {
            *added = 0;
            return true;
        }
        *added = delta->value >= last ? delta->value - last : delta->value;
    }
    sqlite_bind_raw(put, 1, delta->series, sizeof delta->series);
    sqlite3_bind_int64(put, 2, (int64_t)delta->start_ns);
    sqlite3_bind_int64(put, 3, (int64_t)delta->time_ns);
    sqlite3_bind_double(put, 4, delta->value);
    return sqlite_do(s->writer, put, err);
}

bool usage_put_point(struct sqlite_messages *s, const struct usage_delta *delta, int64_t system,
                     int64_t person, bool *repeated, struct error *err)
{
    sqlite3_stmt *point = s->write[WRITE_POINT], *q = s->write[WRITE_USAGE_METRIC];
    double added = delta->value;
    int64_t model, session, metric, attributes;
    sqlite_bind_raw(point, 1, delta->key, sizeof delta->key);
    if (!sqlite_do(s->writer, point, err))
        return false;
    *repeated = sqlite3_changes(s->writer) == 0;
    if (*repeated)
        return true;
    if (delta->cumulative && !difference(s, delta, &added, err))
        return false;
    if (added == 0)
        return true;
    if (!write_text_id(s, delta->model, &model, err) ||
        !write_text_id(s, delta->session_id, &session, err) ||
        !write_text_id(s, delta->metric, &metric, err) ||
        !write_text_id(s, delta->attributes, &attributes, err))
        return false;
    const int64_t key[7] = {
        (int64_t)(delta->time_ns / DAY_NS), person, system, model, session, metric, attributes};
    for (int i = 0; i < 7; i++)
        sqlite3_bind_int64(q, i + 1, key[i]);
    sqlite3_bind_double(q, 8, added);
    return sqlite_do(s->writer, q, err);
}

/* ---- Reading ---- */

/* The metrics of one usage row, summed as they come before they are rounded. */
struct metric_sums {
    double input, output, cache_read, cache_create, usd, sessions, commits, pull_requests;
    double lines_added, lines_removed, edits_accepted, edits_rejected, active_seconds;
    double inclusive_input; /* counts what caches gave too */
};

static bool ends_with(struct bytes text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && memcmp(text.data + text.len - len, end, len) == 0;
}

static void add_tokens(struct metric_sums *sums, struct bytes metric, struct bytes attributes,
                       double value)
{
    struct bytes type = metric_attribute(attributes, "type");
    bool claude = bytes_starts_with(metric, "claude_code.");
    if (type.len == 0)
        type = metric_attribute(attributes, "gen_ai.token.type");
    if (bytes_equal_text(type, "input"))
        *(claude ? &sums->input : &sums->inclusive_input) += value;
    else if (bytes_equal_text(type, "output") || bytes_equal_text(type, "thought"))
        sums->output += value;
    else if (bytes_equal_text(type, "cacheRead") || bytes_equal_text(type, "cache"))
        sums->cache_read += value;
    else if (bytes_equal_text(type, "cacheCreation"))
        sums->cache_create += value;
}

static void add_metric(struct metric_sums *sums, struct bytes metric, struct bytes attributes,
                       double value)
{
    struct bytes type = metric_attribute(attributes, "type");
    if (ends_with(metric, ".token.usage")) {
        add_tokens(sums, metric, attributes, value);
    } else if (ends_with(metric, ".cost.usage")) {
        sums->usd += value;
    } else if (ends_with(metric, ".session.count")) {
        /* A view of other sessions, not one of its own. */
        if (!bytes_equal_text(metric_attribute(attributes, "start_type"), "agents_view"))
            sums->sessions += value;
    } else if (ends_with(metric, ".commit.count")) {
        sums->commits += value;
    } else if (ends_with(metric, ".pull_request.count")) {
        sums->pull_requests += value;
    } else if (ends_with(metric, ".lines_of_code.count") || ends_with(metric, ".lines.changed")) {
        *(bytes_equal_text(type, "removed") ? &sums->lines_removed : &sums->lines_added) += value;
    } else if (ends_with(metric, ".code_edit_tool.decision")) {
        bool accepted = bytes_equal_text(metric_attribute(attributes, "decision"), "accept");
        *(accepted ? &sums->edits_accepted : &sums->edits_rejected) += value;
    } else if (ends_with(metric, ".active_time.total")) {
        sums->active_seconds += value;
    }
}

static int64_t whole(double number)
{
    return number > 0 && number < 9.0e18 ? (int64_t)floor(number + 0.5) : 0;
}

static void set_sums(const struct metric_sums *sums, struct usage_row *row)
{
    double net = sums->inclusive_input - sums->cache_read;
    double input = sums->input;
    if (sums->inclusive_input > 0)
        input += net > 0 ? net : 0;
    row->input_tokens = whole(input);
    row->output_tokens = whole(sums->output);
    row->cache_read_tokens = whole(sums->cache_read);
    row->cache_create_tokens = whole(sums->cache_create);
    int64_t cost = message_microcents_of_usd(sums->usd);
    row->cost_microcents = cost < 0 ? 0 : cost;
    row->sessions = whole(sums->sessions);
    row->commits = whole(sums->commits);
    row->pull_requests = whole(sums->pull_requests);
    row->lines_added = whole(sums->lines_added);
    row->lines_removed = whole(sums->lines_removed);
    row->edits_accepted = whole(sums->edits_accepted);
    row->edits_rejected = whole(sums->edits_rejected);
    row->active_seconds = sums->active_seconds;
}

/*
 * Both origins in one order; `origin` is next to last in it, so that the metrics of one usage row
 * stand together.
 */
static const char USAGE_SQL[] =
    "SELECT u.day, coalesce(p.value,''), coalesce(y.name,''), coalesce(o.value,''),"
    " coalesce(e.value,''), u.origin, coalesce(t.value,''), coalesce(a.value,''), u.value,"
    " u.requests, u.input_tokens, u.output_tokens, u.cache_read_tokens, u.cache_create_tokens,"
    " u.cost FROM ("
    "  SELECT day, person, system, model, session, 0 AS origin, 0 AS metric, 0 AS attributes,"
    "  0.0 AS value, requests, input_tokens, output_tokens, cache_read_tokens,"
    "  cache_create_tokens, cost FROM usage_event WHERE day BETWEEN ?1 AND ?2"
    "  UNION ALL"
    "  SELECT day, person, system, model, session, 1, metric, attributes, value, 0,0,0,0,0,0"
    "  FROM usage_metric WHERE day BETWEEN ?1 AND ?2) u"
    " LEFT JOIN text p ON p.id=u.person LEFT JOIN system y ON y.id=u.system"
    " LEFT JOIN text o ON o.id=u.model LEFT JOIN text e ON e.id=u.session"
    " LEFT JOIN text t ON t.id=u.metric LEFT JOIN text a ON a.id=u.attributes"
    " ORDER BY 1,2,3,5,4,6";

struct usage_reading {
    struct arena arena; /* texts of the row being put together */
    struct usage_row row;
    struct metric_sums sums;
    bool open;
    struct arena session_arena;
    char session_day[11];
    struct bytes session_person, session_system, session_id;
    usage_visit *visit;
    void *context;
};

static bool same_usage_row(const struct usage_reading *r, const char *day, sqlite3_stmt *q)
{
    return r->open && strcmp(r->row.day, day) == 0 &&
           bytes_equal(r->row.person, sqlite_text_at(q, 1)) &&
           bytes_equal(r->row.system, sqlite_text_at(q, 2)) &&
           bytes_equal(r->row.model, sqlite_text_at(q, 3)) &&
           bytes_equal(r->row.session_id, sqlite_text_at(q, 4)) &&
           (int)r->row.origin == sqlite3_column_int(q, 5);
}

static bool is_new_session(struct usage_reading *r, const char *day, sqlite3_stmt *q)
{
    struct bytes session = sqlite_text_at(q, 4);
    if (session.len == 0)
        return false;
    if (strcmp(r->session_day, day) == 0 && bytes_equal(r->session_id, session) &&
        bytes_equal(r->session_person, sqlite_text_at(q, 1)) &&
        bytes_equal(r->session_system, sqlite_text_at(q, 2)))
        return false;
    arena_reset(&r->session_arena);
    memcpy(r->session_day, day, sizeof r->session_day);
    return arena_copy(&r->session_arena, session, &r->session_id) &&
           arena_copy(&r->session_arena, sqlite_text_at(q, 1), &r->session_person) &&
           arena_copy(&r->session_arena, sqlite_text_at(q, 2), &r->session_system);
}

static bool finish_row(struct usage_reading *r)
{
    if (!r->open)
        return true;
    r->open = false;
    if (r->row.origin == USAGE_FROM_METRICS)
        set_sums(&r->sums, &r->row);
    return r->visit(r->context, &r->row);
}

static bool start_row(struct usage_reading *r, const char *day, sqlite3_stmt *q)
{
    arena_reset(&r->arena);
    r->row = (struct usage_row){.origin = sqlite3_column_int(q, 5) ? USAGE_FROM_METRICS
                                                                   : USAGE_FROM_EVENTS};
    r->sums = (struct metric_sums){0};
    r->open = true;
    memcpy(r->row.day, day, sizeof r->row.day);
    if (!arena_copy(&r->arena, sqlite_text_at(q, 1), &r->row.person) ||
        !arena_copy(&r->arena, sqlite_text_at(q, 2), &r->row.system) ||
        !arena_copy(&r->arena, sqlite_text_at(q, 3), &r->row.model) ||
        !arena_copy(&r->arena, sqlite_text_at(q, 4), &r->row.session_id))
        return false;
    if (r->row.origin == USAGE_FROM_METRICS)
        return true;
    r->row.requests = sqlite3_column_int64(q, 9);
    r->row.input_tokens = sqlite3_column_int64(q, 10);
    r->row.output_tokens = sqlite3_column_int64(q, 11);
    r->row.cache_read_tokens = sqlite3_column_int64(q, 12);
    r->row.cache_create_tokens = sqlite3_column_int64(q, 13);
    r->row.cost_microcents = sqlite3_column_int64(q, 14);
    r->row.sessions = is_new_session(r, day, q);
    return true;
}

static bool read_usage(sqlite3 *db, sqlite3_stmt *q, struct usage_reading *r, struct error *err)
{
    bool row = true, ok;
    while ((ok = sqlite_next(db, q, &row, err)) && row) {
        char day[DAY_TEXT_BYTES];
        day_text(sqlite3_column_int64(q, 0), day);
        if (!same_usage_row(r, day, q)) {
            if (!finish_row(r)) {
                sqlite3_reset(q);
                return true; /* the visitor has seen enough */
            }
            if (!start_row(r, day, q))
                return error_set(err, FAIL_TOO_LARGE, "a usage row is too large to be read");
        }
        if (r->row.origin == USAGE_FROM_METRICS)
            add_metric(&r->sums, sqlite_text_at(q, 6), sqlite_text_at(q, 7),
                       sqlite3_column_double(q, 8));
    }
    if (ok)
        finish_row(r);
    return ok;
}

bool sqlite_usage_read(struct message_store *store, const char *from_day, const char *to_day,
                       usage_visit *visit, void *context, struct error *err)
{
    struct sqlite_messages *s = (struct sqlite_messages *)store;
    int64_t from, to;
    if (!day_of_text(bytes_of(from_day), &from) || !day_of_text(bytes_of(to_day), &to))
        return error_set(err, FAIL_INVALID, "'%s' to '%s' are not days like 2026-11-20", from_day,
                         to_day);
    struct reader *reader = reader_take(s, 0, err);
    if (!reader)
        return false;
    struct usage_reading reading = {.arena = {.max_bytes = MIB},
                                    .session_arena = {.max_bytes = MIB},
                                    .visit = visit,
                                    .context = context};
    sqlite3_stmt *q = sqlite_prepare(reader->db, USAGE_SQL, err);
    bool ok = q != NULL;
    if (ok) {
        sqlite3_bind_int64(q, 1, from);
        sqlite3_bind_int64(q, 2, to);
        ok = read_usage(reader->db, q, &reading, err);
    }
    sqlite3_finalize(q);
    reader_give(s, reader);
    arena_clear(&reading.arena);
    arena_clear(&reading.session_arena);
    return ok;
}
