#include <errno.h>
#include <string.h>
#include <time.h>

#include "platform/platform.h"
#include "server/store/clickhouse_messages.h"

/* How long what only recognises repeats is kept: much longer than a relay's spool. */
#define REPEATS_NS (60 * DAY_NS)

/* ---- Mutations: ClickHouse deletes by rewriting the parts in question, in the background ---- */

/* Mutations of the table that are not done. */
static bool count_mutations(struct clickhouse_messages *s, uint64_t *left, struct error *err)
{
    struct buffer answer = {0};
    struct answer_reader r;
    struct sql sql;
    sql_init(&sql);
    sql_put(&sql, "SELECT count() FROM system.mutations WHERE database=currentDatabase() AND"
                  " table='" CLICKHOUSE_TABLE "' AND is_done=0 FORMAT RowBinary");
    bool ok = clickhouse_query(s, &sql, 0, &answer, &r, err);
    if (ok) {
        *left = answer_u64(&r);
        ok = answer_ok(&r, err);
    }
    buffer_clear(&answer);
    sql_clear(&sql);
    return ok;
}

/* Deletes what `condition` names and waits until it is gone. */
static bool delete_where(struct clickhouse_messages *s, struct sql *condition, struct error *err)
{
    enum { PATIENCE_S = 600, LOOK_EVERY_MS = 20, LOOK_SELDOM_MS = 500 };
    uint64_t until_ns = clock_monotonic_ns(&platform_clock) + PATIENCE_S * NS_PER_S, left = 1;
    struct buffer sql = {.max_bytes = 64 * KIB};
    bool ok = sql_ok(condition, err) &&
              (buffer_append_text(&sql, "ALTER TABLE " CLICKHOUSE_TABLE " DELETE WHERE ") &&
               buffer_append(&sql, buffer_bytes(&condition->text))) &&
              clickhouse_run(s->server, buffer_text(&sql), err);
    for (long wait_ms = LOOK_EVERY_MS; ok; wait_ms = LOOK_SELDOM_MS) {
        for (int looks = 0; ok && left > 0 && looks < 50; looks++) {
            ok = count_mutations(s, &left, err);
            struct timespec pause = {.tv_nsec = wait_ms * 1000000};
            if (ok && left > 0)
                nanosleep(&pause, NULL);
        }
        if (!ok || left == 0)
            break;
        if (clock_monotonic_ns(&platform_clock) > until_ns) {
            ok = error_set(err, FAIL_BUSY, "ClickHouse has not deleted rows for %d s", PATIENCE_S);
            error_remedy(err, "look into system.mutations there; it goes on deleting");
        }
    }
    buffer_clear(&sql);
    return ok;
}

/* ---- Retention ---- */

static bool count_lines(struct clickhouse_messages *s, struct sql *sql, uint64_t *count,
                        struct error *err)
{
    struct buffer answer = {0};
    struct answer_reader r;
    sql_put(sql, " FORMAT RowBinary");
    bool ok = clickhouse_query(s, sql, 0, &answer, &r, err);
    if (ok) {
        *count = answer_u64(&r);
        ok = answer_ok(&r, err);
    }
    buffer_clear(&answer);
    return ok;
}

/*
 * A row's older version never outlives it, for a later one does not expire sooner: so none comes to
 * light when the newest is deleted.
 */
static void put_expired(struct sql *sql, uint64_t now_ns)
{
    sql_put(sql, "kind=0 AND expires_ns!=0 AND expires_ns<=");
    sql_put_uint(sql, now_ns);
}

/* Sequences, series and what can be joined, of long ago. Points are usage and stay. */
static void put_repeats(struct sql *sql, uint64_t now_ns)
{
    uint64_t before = now_ns > REPEATS_NS ? now_ns - REPEATS_NS : 0;
    sql_put(sql, "(kind=3 AND version<");
    sql_put_uint(sql, before);
    sql_put(sql, ") OR (kind IN (4,5) AND time_ns<");
    sql_put_uint(sql, before);
    sql_put(sql, ")");
}

bool clickhouse_retain(struct message_store *store, uint64_t now_ns, uint64_t *deleted,
                       struct error *err)
{
    struct clickhouse_messages *s = (struct clickhouse_messages *)store;
    struct sql count, expired, repeats, old;
    uint64_t repeats_count = 0;
    *deleted = 0;
    sql_init(&count);
    sql_init(&expired);
    sql_init(&repeats);
    sql_init(&old);
    sql_put(&count, "SELECT count() FROM " CLICKHOUSE_TABLE " FINAL WHERE dead=0 AND ");
    put_expired(&count, now_ns);
    put_expired(&expired, now_ns);
    put_repeats(&repeats, now_ns);
    sql_put(&old, "SELECT count() FROM " CLICKHOUSE_TABLE " WHERE ");
    put_repeats(&old, now_ns);
    bool ok = count_lines(s, &count, deleted, err) &&
              (*deleted == 0 || delete_where(s, &expired, err)) &&
              count_lines(s, &old, &repeats_count, err) &&
              (repeats_count == 0 || delete_where(s, &repeats, err));
    sql_clear(&count);
    sql_clear(&expired);
    sql_clear(&repeats);
    sql_clear(&old);
    return ok || error_wrap(err, "cannot delete expired messages");
}

/* ---- Erasing a person ---- */

/* First the tombstone, so that nothing of the person comes in while rows go. */
static bool bury(struct clickhouse_messages *s, struct bytes person, uint64_t now_ns,
                 struct error *err)
{
    struct line line = {.kind = LINE_TOMBSTONE, .version = now_ns};
    struct line_block block;
    clickhouse_tombstone_key(person, line.key);
    line_block_init(&block, clock_wall_ns(&platform_clock));
    line_block_add(&block, &line);
    bool ok = clickhouse_write(s, &block, err);
    line_block_clear(&block);
    return ok;
}

static bool count_of_person(struct clickhouse_messages *s, struct bytes person, bool rows,
                            uint64_t *count, struct error *err)
{
    struct sql sql;
    sql_init(&sql);
    sql_put(&sql, rows ? "SELECT count() FROM " CLICKHOUSE_TABLE
                         " FINAL WHERE kind=0 AND dead=0 AND person="
                       : "SELECT count() FROM " CLICKHOUSE_TABLE " WHERE person=");
    sql_put_quoted(&sql, person);
    bool ok = count_lines(s, &sql, count, err);
    sql_clear(&sql);
    return ok;
}

/*
 * Everything with the name on it, and all versions of what was the person's last: otherwise a
 * version from before the name was known would come back.
 */
static bool delete_person(struct clickhouse_messages *s, struct bytes person, struct error *err)
{
    struct sql sql;
    sql_init(&sql);
    sql_put(&sql, "person=");
    sql_put_quoted(&sql, person);
    sql_put(&sql, " OR (kind IN (0,1) AND (day,key) IN (SELECT day,key FROM " CLICKHOUSE_TABLE
                  " FINAL WHERE kind=0 AND person=");
    sql_put_quoted(&sql, person);
    sql_put(&sql, "))");
    bool ok = delete_where(s, &sql, err);
    sql_clear(&sql);
    return ok;
}

bool clickhouse_erase(struct message_store *store, struct bytes person, uint64_t now_ns,
                      uint64_t *deleted, struct error *err)
{
    enum { TRIES = 5 };
    struct clickhouse_messages *s = (struct clickhouse_messages *)store;
    uint64_t left = 1;
    *deleted = 0;
    if (person.len == 0)
        return true;
    /* Another server may have looked for tombstones before this one and written after: so it is
     * looked again until nothing is found. */
    bool ok = bury(s, person, now_ns, err) && count_of_person(s, person, true, deleted, err);
    for (int i = 0; ok && left > 0 && i < TRIES; i++)
        ok = delete_person(s, person, err) && count_of_person(s, person, false, &left, err);
    if (ok && left > 0) {
        ok = error_set(err, FAIL_BUSY, "rows of the person come in as fast as they go");
        error_remedy(err, "run erase again when the other servers are quiet");
    }
    return ok || error_wrap(err, "cannot erase a person");
}
