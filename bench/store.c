/*
 * What the SQLite store costs a row, against a bare prepared INSERT of the same rows into the same
 * table with the same indexes, in the same run; and what a query of daily sums saves.
 *
 *   bench/run.sh compiles it; build/bench/store DIR [URL]. With the URL of a PostgreSQL database that may
 * be emptied (bench/postgres.py gives one), the same rows and questions go there, too, in turns.
 *
 * 40,000 rows in transactions of 1000.
 */
#include <inttypes.h>
#include <string.h>

#include <libpq-fe.h>
#include <sqlite3.h>

#include "bench/store_rows.h"

enum { ROWS = 40000, BATCH = 1000, TRIES = 3 };

static struct message *rows;

static struct message_store *open_url(const char *url)
{
    struct message_store *store = message_store_open(url, &err);
    must(store != NULL, "open");
    return store;
}

static struct message_store *open_store(const char *path)
{
    char url[600];
    snprintf(url, sizeof url, "sqlite:%s", path);
    return open_url(url);
}

static double put_all(struct message_store *store)
{
    double start = now_s();
    for (size_t at = 0; at < ROWS; at += BATCH) {
        struct put_result result;
        struct message_batch batch = {.system_id = 1,
                                      .system = bytes_of("bench"),
                                      .token_id = 1,
                                      .messages = rows + at,
                                      .message_count = BATCH};
        must(store->kind->put(store, &batch, 1, &result, &err), "put");
        must(result.inserted == BATCH, "rows");
    }
    return now_s() - start;
}

/* The same columns, numbers for texts already known: nothing but the INSERT. */
static void bind_bare(sqlite3_stmt *q, const struct message *m, unsigned i)
{
    const int64_t numbers[] = {(int64_t)m->time_ns, (int64_t)m->received_ns, m->type, 1, 1, 1};
    sqlite3_bind_blob(q, 1, m->key, 16, SQLITE_STATIC);
    for (int n = 0; n < 6; n++)
        sqlite3_bind_int64(q, 2 + n, numbers[n]);
    sqlite3_bind_null(q, 8);
    if (m->join_hash)
        sqlite3_bind_int64(q, 9, (int64_t)m->join_hash);
    else
        sqlite3_bind_null(q, 9);
    unsigned session = (unsigned)((i + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 40) % 2000;
    const int64_t more[] = {0,
                            0,
                            1,
                            2 + i % 4,
                            10 + session % 200,
                            6,
                            0,
                            0,
                            300 + i % 8,
                            400 + session,
                            3000 + i / 20,
                            0,
                            m->input_tokens,
                            m->output_tokens,
                            m->cache_read_tokens,
                            m->cache_create_tokens,
                            m->cost_microcents,
                            0,
                            m->duration_ms,
                            1};
    for (int n = 0; n < 20; n++)
        sqlite3_bind_int64(q, 10 + n, more[n]);
    for (int n = 30; n <= 34; n++)
        sqlite3_bind_null(q, n);
    sqlite3_bind_int64(q, 35, m->event_fields);
    sqlite3_bind_int64(q, 36, 0);
    sqlite3_bind_int64(q, 37, 0);
    sqlite3_bind_text(q, 38, (const char *)m->metadata.data, (int)m->metadata.len, SQLITE_STATIC);
    sqlite3_bind_null(q, 39);
}

static double insert_bare(const char *path)
{
    struct message_store *store = open_store(path); /* makes the same tables and indexes */
    store->kind->close(store);
    sqlite3 *db;
    sqlite3_stmt *q;
    char sql[2048] = "INSERT INTO message VALUES(NULL", at[8];
    for (int i = 1; i <= 39; i++) {
        snprintf(at, sizeof at, ",?%d", i);
        strcat(sql, at);
    }
    strcat(sql, ")");
    must(sqlite3_open(path, &db) == SQLITE_OK, "open");
    sqlite3_exec(db, "PRAGMA synchronous=FULL; PRAGMA cache_size=-32768", NULL, NULL, NULL);
    must(sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK, sqlite3_errmsg(db));
    double start = now_s();
    for (unsigned i = 0; i < ROWS; i++) {
        if (i % BATCH == 0)
            sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        bind_bare(q, &rows[i], i);
        must(sqlite3_step(q) == SQLITE_DONE, sqlite3_errmsg(db));
        sqlite3_reset(q);
        if (i % BATCH == BATCH - 1)
            must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, "commit");
    }
    double took = now_s() - start;
    sqlite3_finalize(q);
    sqlite3_close(db);
    return took;
}

static bool count_row(void *context, const struct aggregate_row *row)
{
    (void)row;
    ++*(int *)context;
    return true;
}

enum question { DAILY_SUMS, ROWS_READ, PERCENTILES };

static double ask(struct message_store *store, enum question question)
{
    const struct aggregate_group group = {.field = FIELD_MODEL};
    const struct aggregate_metric metrics[] = {
        {.function = AGGREGATE_SUM, .field = FIELD_COST_MICROCENTS},
        {.function = AGGREGATE_SUM, .field = FIELD_INPUT_TOKENS},
        {.function = AGGREGATE_P99, .field = FIELD_DURATION_MS}};
    struct aggregate_query query = {.groups = &group,
                                    .group_count = 1,
                                    .metrics = metrics,
                                    .metric_count = question == PERCENTILES ? 3 : 2};
    query.where.from_ns = question == DAILY_SUMS ? 0 : 1; /* no whole day: the rows must answer */
    int seen = 0;
    double start = now_s();
    must(store->kind->aggregate(store, &query, count_row, &seen, &err), "aggregate");
    must(seen == 4, "groups");
    return now_s() - start;
}

static void remove_files(const char *path)
{
    char name[600];
    static const char *const ENDS[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", path, ENDS[i]);
        remove(name);
    }
}

/* Away with what an earlier turn left there. */
static void empty_postgres(const char *url)
{
    PGconn *pg = PQconnectdb(url);
    PQclear(PQexec(pg, "SET client_min_messages=warning; DROP SCHEMA IF EXISTS messages CASCADE"));
    must(PQstatus(pg) == CONNECTION_OK, "connect");
    PQfinish(pg);
}

struct measures {
    double put, one, sums, scan, tails; /* seconds: all rows; one row; questions */
};

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* A row alone in its transaction: what one request waits for on an idle server. */
static double put_one(struct message_store *store, unsigned number)
{
    struct message row = rows[0];
    struct put_result result;
    struct message_batch batch = {.system_id = 1, .messages = &row, .message_count = 1};
    row.join_hash = 0;
    memset(row.key + 6, 0xff, 10);
    memcpy(row.key + 8, &number, sizeof number);
    double start = now_s();
    must(store->kind->put(store, &batch, 1, &result, &err), "put one");
    must(result.inserted == 1, "one row");
    return now_s() - start;
}

static void measure(struct message_store *store, struct measures *best)
{
    static unsigned number;
    best->put = least(best->put, put_all(store));
    for (int again = 0; again < 3; again++) {
        best->sums = least(best->sums, ask(store, DAILY_SUMS));
        best->scan = least(best->scan, ask(store, ROWS_READ));
        best->tails = least(best->tails, ask(store, PERCENTILES));
    }
    for (int again = 0; again < 20; again++)
        best->one = least(best->one, put_one(store, number++));
    store->kind->close(store);
}

static void tell(const char *name, const struct measures *m)
{
    printf("%-8s put %7.0f rows/s, one row %6.2f ms; by model: %6.2f ms from daily sums, %7.2f ms "
           "from %d"
           " rows, %7.2f ms the 99th percentile\n",
           name, ROWS / m->put, m->one * 1e3, m->sums * 1e3, m->scan * 1e3, ROWS, m->tails * 1e3);
}

int main(int argc, char **argv)
{
    char path[512];
    snprintf(path, sizeof path, "%s/bench.db", argc > 1 ? argv[1] : "/tmp");
    rows = arena_alloc_many(&arena, ROWS, sizeof *rows);
    for (unsigned i = 0; i < ROWS; i++)
        make_row(&rows[i], i, UINT64_C(40000000));
    struct measures sqlite = {1e9, 1e9, 1e9, 1e9, 1e9}, postgres = sqlite;
    double bare = 1e9;
    for (int i = 0; i < TRIES; i++) {
        remove_files(path);
        bare = least(bare, insert_bare(path));
        remove_files(path);
        measure(open_store(path), &sqlite);
        if (argc > 2) {
            empty_postgres(argv[2]);
            measure(open_url(argv[2]), &postgres);
        }
    }
    remove_files(path);
    printf("store.put    %8.0f rows/s, bare insert %8.0f rows/s, ratio %.2f\n", ROWS / sqlite.put,
           ROWS / bare, bare / sqlite.put);
    tell("SQLite", &sqlite);
    if (argc > 2) {
        tell("Postgres", &postgres);
        printf("Postgres to SQLite: put %.2f, one row %.2f, daily sums %.2f, rows %.2f, percentile "
               "%.2f"
               " of the time\n",
               postgres.put / sqlite.put, postgres.one / sqlite.one, postgres.sums / sqlite.sums,
               postgres.scan / sqlite.scan, postgres.tails / sqlite.tails);
    }
    return 0;
}
