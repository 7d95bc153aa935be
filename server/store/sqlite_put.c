#include <stdlib.h>
#include <string.h>

#include "server/store/join_rows.h"
#include "server/store/sqlite_messages.h"

/* ---- Streams: which sequences of a relay are in ---- */

static bool stream_put(struct sqlite_messages *s, const struct message_batch *b,
                       enum put_outcome *outcome, struct error *err)
{
    sqlite3_stmt *find = s->write[WRITE_STREAM_FIND], *drop = s->write[WRITE_STREAM_DELETE],
                 *add = s->write[WRITE_STREAM_ADD];
    *outcome = PUT_STORED;
    if (b->stream.len == 0)
        return true;
    if (b->first > b->last || b->last >= INT64_MAX)
        return error_set(err, FAIL_INVALID, "batch sequences %llu to %llu are no range",
                         (unsigned long long)b->first, (unsigned long long)b->last);
    int64_t first = (int64_t)b->first, last = (int64_t)b->last;
    int64_t from = first, to = last; /* with the neighbours that touch */
    bool row = true;
    sqlite3_stmt *const all[] = {find, drop, add};
    for (size_t i = 0; i < 3; i++) {
        sqlite3_bind_int64(all[i], 1, b->system_id);
        sqlite_bind_bytes(all[i], 2, b->stream);
        sqlite3_bind_int(all[i], 3, (int)b->signal);
    }
    sqlite3_bind_int64(find, 4, first);
    sqlite3_bind_int64(find, 5, last);
    while (*outcome == PUT_STORED) {
        if (!sqlite_next(s->writer, find, &row, err))
            return false;
        if (!row)
            break;
        int64_t have_first = sqlite3_column_int64(find, 0);
        int64_t have_last = sqlite3_column_int64(find, 1);
        if (have_first <= first && have_last >= last)
            *outcome = PUT_REPLAYED;
        else if (have_first <= last && have_last >= first)
            *outcome = PUT_OVERLAPS;
        from = have_first < from ? have_first : from;
        to = have_last > to ? have_last : to;
    }
    sqlite3_reset(find);
    if (*outcome != PUT_STORED)
        return true;
    sqlite3_bind_int64(drop, 4, from);
    sqlite3_bind_int64(drop, 5, to);
    sqlite3_bind_int64(add, 4, from);
    sqlite3_bind_int64(add, 5, to);
    sqlite3_bind_int64(add, 6, (int64_t)b->received_ns);
    return sqlite_do(s->writer, drop, err) && sqlite_do(s->writer, add, err);
}

/* ---- Rows ---- */

static bool ids_of(struct sqlite_messages *s, const struct message *m, int64_t system,
                   struct row_ids *ids, struct error *err)
{
    ids->system = system;
    return write_text_id(s, m->service_name, &ids->service, err) &&
           write_text_id(s, m->model, &ids->model, err) &&
           write_text_id(s, m->person, &ids->person, err) &&
           write_text_id(s, m->account_uuid, &ids->account_uuid, err) &&
           write_text_id(s, m->account_id, &ids->account_id, err) &&
           write_text_id(s, m->name, &ids->name, err) &&
           write_text_id(s, m->session_id, &ids->session, err) &&
           write_text_id(s, m->prompt_id, &ids->prompt, err) &&
           write_text_id(s, m->tool_name, &ids->tool, err);
}

static void bind_id(sqlite3_stmt *q, int at, const uint8_t *id, size_t len)
{
    static const uint8_t ABSENT[16];
    if (memcmp(id, ABSENT, len) == 0)
        sqlite3_bind_null(q, at);
    else
        sqlite_bind_raw(q, at, id, len);
}

static void bind_hash(sqlite3_stmt *q, int at, uint64_t hash)
{
    if (hash)
        sqlite3_bind_int64(q, at, (int64_t)hash);
    else
        sqlite3_bind_null(q, at);
}

static void bind_text_or_null(sqlite3_stmt *q, int at, struct bytes text)
{
    if (text.len)
        sqlite_bind_bytes(q, at, text);
    else
        sqlite3_bind_null(q, at);
}

static void bind_expiry(sqlite3_stmt *q, int at, const struct message *m,
                        const struct message_batch *b)
{
    if (b->retention_days <= 0)
        sqlite3_bind_null(q, at);
    else
        sqlite3_bind_int64(q, at, (int64_t)(m->time_ns + (uint64_t)b->retention_days * DAY_NS));
}

static void bind_row(sqlite3_stmt *q, const struct message *m, const struct row_ids *ids,
                     const struct message_batch *b)
{
    int at = 1;
    sqlite_bind_raw(q, at++, m->key, sizeof m->key);
    sqlite3_bind_int64(q, at++, (int64_t)m->time_ns);
    sqlite3_bind_int64(q, at++, (int64_t)m->received_ns);
    sqlite3_bind_int(q, at++, (int)m->type);
    sqlite3_bind_int64(q, at++, m->sources);
    sqlite3_bind_int64(q, at++, ids->system);
    sqlite3_bind_int64(q, at++, b->token_id);
    bind_expiry(q, at++, m, b);
    bind_hash(q, at++, m->join_hash);
    sqlite3_bind_int(q, at++, m->join_weak);
    bind_hash(q, at++, m->parent_join_hash);
    sqlite3_bind_int64(q, at++, ids->service);
    sqlite3_bind_int64(q, at++, ids->model);
    sqlite3_bind_int64(q, at++, ids->person);
    sqlite3_bind_int(q, at++, (int)m->person_rank);
    sqlite3_bind_int64(q, at++, ids->account_uuid);
    sqlite3_bind_int64(q, at++, ids->account_id);
    sqlite3_bind_int64(q, at++, ids->name);
    sqlite3_bind_int64(q, at++, ids->session);
    sqlite3_bind_int64(q, at++, ids->prompt);
    sqlite3_bind_int64(q, at++, ids->tool);
    sqlite_bind_count(q, at++, m->input_tokens);
    sqlite_bind_count(q, at++, m->output_tokens);
    sqlite_bind_count(q, at++, m->cache_read_tokens);
    sqlite_bind_count(q, at++, m->cache_create_tokens);
    sqlite_bind_count(q, at++, m->cost_microcents);
    sqlite_bind_count(q, at++, m->cost_computed_microcents);
    sqlite_bind_count(q, at++, m->duration_ms);
    sqlite_bind_count(q, at++, m->success);
    bind_id(q, at++, m->trace_id, sizeof m->trace_id);
    bind_id(q, at++, m->span_id, sizeof m->span_id);
    bind_id(q, at++, m->parent_span_id, sizeof m->parent_span_id);
    bind_text_or_null(q, at++, m->request_id);
    bind_text_or_null(q, at++, m->tool_use_id);
    sqlite3_bind_int64(q, at++, m->event_fields);
    sqlite3_bind_int64(q, at++, m->event_metadata_keys);
    sqlite3_bind_int(q, at++, m->body_truncated);
    sqlite_bind_bytes(q, at++, m->metadata.len ? m->metadata : bytes_of("{}"));
    bind_text_or_null(q, at, m->body);
}

static bool insert_row(struct sqlite_messages *s, const struct message *m,
                       const struct message_batch *b, struct put_result *result, struct error *err)
{
    struct row_ids ids;
    if (!ids_of(s, m, b->system_id, &ids, err))
        return false;
    bind_row(s->write[WRITE_INSERT], m, &ids, b);
    if (!sqlite_do(s->writer, s->write[WRITE_INSERT], err))
        return false;
    if (sqlite3_changes(s->writer) == 0) {
        result->repeated++;
        return true;
    }
    result->inserted++;
    return usage_change(s, m, &ids, 1, err);
}

static bool join_row(struct sqlite_messages *s, int64_t row_id, const struct message *m,
                     const struct message_batch *b, struct put_result *result, struct error *err)
{
    sqlite3_stmt *load = s->write[WRITE_LOAD], *update = s->write[WRITE_UPDATE];
    struct stored_message have;
    struct message joined;
    struct row_ids old_ids, new_ids;
    bool row = false;
    sqlite3_bind_int64(load, 1, row_id);
    if (!sqlite_next(s->writer, load, &row, err))
        return false;
    bool ok = row && row_read(load, &s->scratch, &have) &&
              message_join(&have.message, m, &s->scratch, &joined);
    sqlite3_reset(load);
    if (!ok)
        return error_set(err, FAIL_TOO_LARGE, "a message is too large to be joined");
    joined.received_ns = have.message.received_ns; /* a repeat is no news */
    if (join_changes_nothing(&have.message, &joined)) {
        result->repeated++;
        return true;
    }
    result->merged++;
    if (!ids_of(s, &have.message, b->system_id, &old_ids, err) ||
        !ids_of(s, &joined, b->system_id, &new_ids, err))
        return false;
    bind_row(update, &joined, &new_ids, b);
    sqlite3_bind_int64(update, 40, row_id);
    return sqlite_do(s->writer, update, err) && usage_change(s, &have.message, &old_ids, -1, err) &&
           usage_change(s, &joined, &new_ids, 1, err);
}

static bool find_by_key(struct sqlite_messages *s, const struct message *m, int64_t *row_id,
                        struct error *err)
{
    sqlite3_stmt *find = s->write[WRITE_FIND_KEY];
    bool row = false;
    *row_id = 0;
    sqlite_bind_raw(find, 1, m->key, sizeof m->key);
    bool ok = sqlite_next(s->writer, find, &row, err);
    if (ok && row)
        *row_id = sqlite3_column_int64(find, 0);
    sqlite3_reset(find);
    return ok;
}

/* The row this message belongs to, 0 for none; *repeated when it is in already. */
static bool find_joined(struct sqlite_messages *s, const struct message *m, int64_t system,
                        int64_t *row_id, bool *repeated, struct error *err)
{
    sqlite3_stmt *find = s->write[WRITE_FIND_JOIN];
    int64_t nearest = INT64_MAX;
    bool row = true, ok;
    *row_id = 0;
    *repeated = false;
    sqlite3_bind_int64(find, 1, (int64_t)m->join_hash);
    sqlite3_bind_int64(find, 2, system);
    sqlite3_bind_int(find, 3, (int)m->type);
    sqlite3_bind_int(find, 4, m->join_weak);
    while ((ok = sqlite_next(s->writer, find, &row, err)) && row) {
        int64_t id = sqlite3_column_int64(find, 0);
        if (!m->join_weak) {
            *row_id = id;
            break;
        }
        struct bytes span = sqlite_text_at(find, 4);
        const struct message candidate = {.sources = (unsigned)sqlite3_column_int(find, 1),
                                          .time_ns = (uint64_t)sqlite3_column_int64(find, 2),
                                          .duration_ms = sqlite_count_at(find, 3)};
        int64_t apart = join_distance(&candidate, m);
        if (m->sources & MESSAGE_FROM_SPAN && span.len == sizeof m->span_id &&
            memcmp(span.data, m->span_id, span.len) == 0)
            *repeated = (unsigned)sqlite3_column_int(find, 1) & MESSAGE_FROM_SPAN;
        if (apart >= 0 && apart < nearest) {
            nearest = apart;
            *row_id = id;
        }
    }
    sqlite3_reset(find);
    return ok;
}

static bool put_row(struct sqlite_messages *s, const struct message *original,
                    const struct message_batch *b, struct put_result *result, struct error *err)
{
    struct message m = *original;
    int64_t row_id = 0;
    bool repeated = false;
    arena_reset(&s->scratch);
    if (!person_settle(s, b->system_id, &m.person, &m.person_rank, m.account_uuid, m.account_id,
                       m.time_ns, &repeated, err))
        return false;
    if (!repeated && m.join_weak) {
        if (!find_by_key(s, &m, &row_id, err))
            return false;
        repeated = row_id != 0;
    }
    if (!repeated && m.join_hash && !find_joined(s, &m, b->system_id, &row_id, &repeated, err))
        return false;
    if (repeated) {
        result->repeated++;
        return true;
    }
    if (row_id)
        return join_row(s, row_id, &m, b, result, err);
    return insert_row(s, &m, b, result, err);
}

static bool put_point(struct sqlite_messages *s, const struct usage_delta *original,
                      const struct message_batch *b, struct put_result *result, struct error *err)
{
    struct usage_delta delta = *original;
    int64_t person;
    bool repeated = false;
    arena_reset(&s->scratch);
    if (!person_settle(s, b->system_id, &delta.person, &delta.person_rank, delta.account_uuid,
                       delta.account_id, delta.time_ns, &repeated, err))
        return false;
    if (!repeated && (!write_text_id(s, delta.person, &person, err) ||
                      !usage_put_point(s, &delta, b, person, &repeated, err)))
        return false;
    if (repeated)
        result->repeated++;
    else
        result->inserted++;
    return true;
}

static bool put_system(struct sqlite_messages *s, const struct message_batch *b, struct error *err)
{
    sqlite3_stmt *put = s->write[WRITE_SYSTEM];
    if (b->system.len == 0 || b->system_id == s->known_system)
        return true;
    sqlite3_bind_int64(put, 1, b->system_id);
    sqlite_bind_bytes(put, 2, b->system);
    if (!sqlite_do(s->writer, put, err))
        return false;
    s->known_system = b->system_id;
    return true;
}

static bool put_batch(struct sqlite_messages *s, const struct message_batch *b,
                      struct put_result *result, struct error *err)
{
    *result = (struct put_result){0};
    if (!stream_put(s, b, &result->outcome, err))
        return false;
    if (result->outcome != PUT_STORED)
        return true;
    if (!put_system(s, b, err))
        return false;
    for (size_t i = 0; i < b->message_count; i++)
        if (!put_row(s, &b->messages[i], b, result, err))
            return false;
    for (size_t i = 0; i < b->usage_count; i++)
        if (!put_point(s, &b->usage[i], b, result, err))
            return false;
    return true;
}

bool sqlite_put(struct message_store *store, const struct message_batch *batches, size_t count,
                struct put_result *results, struct error *err)
{
    struct sqlite_messages *s = (struct sqlite_messages *)store;
    pthread_mutex_lock(&s->writing);
    bool ok = write_begin(s, err);
    for (size_t i = 0; ok && i < count; i++)
        ok = put_batch(s, &batches[i], &results[i], err);
    ok = ok && write_commit(s, err);
    if (!ok) {
        write_roll_back(s);
        error_wrap(err, "cannot store telemetry");
    }
    pthread_mutex_unlock(&s->writing);
    return ok;
}
