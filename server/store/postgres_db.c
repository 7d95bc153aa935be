#include "server/store/postgres_db.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "platform/platform.h"
#include "server/store/postgres_link.h"

enum {
    WAIT_FOR_LINK_MS = 10000,
    RETRY_MS = 500, /* between tries to reach a database that could not be reached */
    MAX_RUNS = 8,   /* of a transaction that met others */
};

struct postgres {
    char *url; /* as libpq reads it; may hold a password */
    char *schema;
    char *setup;    /* run on every new link */
    char *password; /* of the URL, to keep it out of messages; NULL: none there */

    pthread_mutex_t lock; /* the rest */
    pthread_cond_t freed;
    struct postgres_link **idle;
    unsigned idle_count, open_count, max_links;
    bool connecting;    /* somebody tries to reach a database that is down */
    uint64_t retry_ns;  /* nobody tries before; 0: it is up */
    struct error cause; /* of its being down */
};

static uint64_t now_ns(void)
{
    return clock_monotonic_ns(&platform_clock);
}

/* ---- Connecting ---- */

/* Parses the URL only to tell what is wrong with it without showing it, and to learn the password. */
static bool read_url(struct postgres *db, struct error *err)
{
    PQconninfoOption *parts = PQconninfoParse(db->url, NULL);
    if (!parts) { /* libpq's own message would quote the URL */
        error_set(err, FAIL_INVALID, "the PostgreSQL URL cannot be read");
        return error_remedy(err, "write postgres://USER@HOST:PORT/DATABASE?KEY=VALUE, special "
                                 "characters as %%XX; the password goes into PGPASSFILE");
    }
    for (const PQconninfoOption *part = parts; part->keyword; part++)
        if (strcmp(part->keyword, "password") == 0 && part->val && *part->val)
            db->password = xstrdup(part->val);
    PQconninfoFree(parts);
    return true;
}

static bool cannot_connect(const struct postgres *db, PGconn *pg, struct error *err)
{
    char text[ERROR_CAUSE_BYTES] = "out of memory";
    if (pg)
        snprintf(text, sizeof text, "%s", PQerrorMessage(pg));
    for (char *c = text; *c; c++)
        if (*c == '\n' || *c == '\t')
            *c = ' ';
    for (size_t len = strlen(text); len > 0 && text[len - 1] == ' '; len--)
        text[len - 1] = '\0';
    bool shows = db->password && strstr(text, db->password);
    error_set(err, FAIL_IO, "cannot connect to PostgreSQL: %s",
              shows ? "(the reason holds the password)" : text);
    if (pg && PQconnectionNeedsPassword(pg))
        return error_remedy(err, "put the password into a file of mode 0600 that PGPASSFILE names");
    return error_remedy(err, "see that PostgreSQL runs and lets this user in: try psql with the "
                             "same URL");
}

/* What must hold of the database whatever its owner set. */
static bool suits(PGconn *pg, struct error *err)
{
    const char *encoding = PQparameterStatus(pg, "server_encoding");
    if (PQserverVersion(pg) < 130000) {
        error_set(err, FAIL_INVALID, "PostgreSQL is of version %d, which is too old",
                  PQserverVersion(pg) / 10000);
        return error_remedy(err, "use version 13 or newer");
    }
    if (encoding && strcmp(encoding, "UTF8") == 0)
        return true;
    error_set(err, FAIL_INVALID, "the database keeps text as %s, not as UTF8",
              encoding ? encoding : "?");
    return error_remedy(err, "make one by: createdb --encoding=UTF8 --template=template0 NAME");
}

/* A new connection, set up. NULL on failure. */
static PGconn *connect_link(const struct postgres *db, struct error *err)
{
    /* What stands before "dbname" is a default that the URL may change; what follows is not. */
    static const char *const names[] = {"connect_timeout",           "tcp_user_timeout",
                                        "keepalives_idle",           "target_session_attrs",
                                        "fallback_application_name", "dbname",
                                        "client_encoding",           NULL};
    const char *const values[] = {"5",     "30000", "30", "read-write", "claude-telemetry-server",
                                  db->url, "UTF8",  NULL};
    PGconn *pg = PQconnectdbParams(names, values, 1);
    PGresult *done = NULL;
    if (!pg || PQstatus(pg) != CONNECTION_OK) {
        cannot_connect(db, pg, err);
        goto failed;
    }
    if (!suits(pg, err))
        goto failed;
    done = PQexec(pg, db->setup);
    if (PQresultStatus(done) != PGRES_COMMAND_OK) {
        cannot_connect(db, pg, err);
        goto failed;
    }
    PQclear(done);
    return pg;

failed:
    PQclear(done);
    PQfinish(pg);
    return NULL;
}

static struct postgres_link *link_open(struct postgres *db, struct error *err)
{
    PGconn *pg = connect_link(db, err);
    if (!pg)
        return NULL;
    struct postgres_link *link = xcalloc(1, sizeof *link);
    link->pg = pg;
    return link;
}

static void link_close(struct postgres_link *link)
{
    if (!link)
        return;
    postgres_forget_prepared(link);
    PQfinish(link->pg);
    free(link);
}

/* What arrives on an idle connection is the news that it ends, or makes it cheap to assume so. */
static bool is_alive(struct postgres_link *link)
{
    struct pollfd socket = {.fd = PQsocket(link->pg), .events = POLLIN};
    return PQstatus(link->pg) == CONNECTION_OK && PQtransactionStatus(link->pg) == PQTRANS_IDLE &&
           poll(&socket, 1, 0) == 0;
}

/* ---- The pool ---- */

struct postgres *postgres_open(const struct postgres_options *options, struct error *err)
{
    struct postgres *db = xcalloc(1, sizeof *db);
    db->url = xasprintf("postgresql:%s", options->location);
    db->schema = xstrdup(options->schema);
    db->max_links = options->max_links;
    db->idle = xcalloc(options->max_links, sizeof(struct postgres_link *));
    /* A server that dies holds its locks no longer than this. */
    db->setup = xasprintf("SET search_path=%s,pg_catalog; SET TIME ZONE 'UTC';"
                          "SET idle_in_transaction_session_timeout='60s';"
                          "SET client_min_messages=warning; SET lock_timeout='30s'",
                          options->schema);
    pthread_mutex_init(&db->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&db->freed, &monotonic);
    pthread_condattr_destroy(&monotonic);

    struct postgres_link *first = read_url(db, err) ? postgres_take(db, 0, err) : NULL;
    if (!first) {
        postgres_close(db);
        return NULL;
    }
    postgres_give(db, first);
    return db;
}

void postgres_close(struct postgres *db)
{
    if (!db)
        return;
    for (unsigned i = 0; i < db->idle_count; i++)
        link_close(db->idle[i]);
    pthread_cond_destroy(&db->freed);
    pthread_mutex_destroy(&db->lock);
    free(db->idle);
    free(db->url);
    free(db->schema);
    free(db->setup);
    free(db->password);
    free(db);
}

/* Under the lock: an idle link that is alive, or NULL. Closes those that are not. */
static struct postgres_link *idle_link(struct postgres *db)
{
    while (db->idle_count > 0) {
        struct postgres_link *link = db->idle[--db->idle_count];
        if (is_alive(link))
            return link;
        link_close(link);
        db->open_count--;
    }
    return NULL;
}

/* Under the lock: whether this thread may try to connect; otherwise `err` tells why not. */
static bool may_connect(struct postgres *db, struct error *err)
{
    if (db->retry_ns == 0)
        return true;
    if (!db->connecting && now_ns() >= db->retry_ns) {
        db->connecting = true;
        return true;
    }
    *err = db->cause;
    return false;
}

static struct postgres_link *new_link(struct postgres *db, struct error *err)
{
    db->open_count++;
    pthread_mutex_unlock(&db->lock);
    struct postgres_link *link = link_open(db, err);
    pthread_mutex_lock(&db->lock);
    db->connecting = false;
    if (link) {
        db->retry_ns = 0;
    } else {
        db->open_count--;
        db->retry_ns = now_ns() + RETRY_MS * NS_PER_MS;
        db->cause = *err;
        pthread_cond_signal(&db->freed);
    }
    return link;
}

static struct timespec after_ms(unsigned ms)
{
    uint64_t at = now_ns() + ms * NS_PER_MS;
    return (struct timespec){.tv_sec = (time_t)(at / NS_PER_S), .tv_nsec = (long)(at % NS_PER_S)};
}

struct postgres_link *postgres_take(struct postgres *db, uint32_t time_limit_ms, struct error *err)
{
    struct postgres_link *link;
    struct timespec until = after_ms(WAIT_FOR_LINK_MS);
    pthread_mutex_lock(&db->lock);
    while (!(link = idle_link(db)) && db->open_count == db->max_links)
        if (pthread_cond_timedwait(&db->freed, &db->lock, &until) == ETIMEDOUT)
            break;
    if (!link && db->open_count < db->max_links) {
        if (may_connect(db, err))
            link = new_link(db, err);
    } else if (!link) {
        error_set(err, FAIL_BUSY, "all %u connections to PostgreSQL are in use", db->max_links);
        error_remedy(err, "try again; if it stays so, PostgreSQL is slow: see pg_stat_activity");
    }
    pthread_mutex_unlock(&db->lock);
    if (link) {
        link->patient = time_limit_ms == POSTGRES_PATIENT;
        link->until_ns = time_limit_ms && !link->patient ? now_ns() + time_limit_ms * NS_PER_MS : 0;
        link->met_another = false;
    }
    return link;
}

void postgres_give(struct postgres *db, struct postgres_link *link)
{
    if (!link)
        return;
    link->until_ns = 0;
    postgres_roll_back(link);
    bool keep = is_alive(link) && !link->stale;
    pthread_mutex_lock(&db->lock);
    if (keep)
        db->idle[db->idle_count++] = link;
    else
        db->open_count--;
    pthread_cond_signal(&db->freed);
    pthread_mutex_unlock(&db->lock);
    if (!keep)
        link_close(link);
}

/* ---- Transactions ---- */

bool postgres_begin(struct postgres_link *link, struct error *err)
{
    return postgres_run(link, "BEGIN", err);
}

bool postgres_commit(struct postgres_link *link, struct error *err)
{
    /* Of a transaction in which a statement failed, COMMIT is a roll-back that succeeds. */
    if (PQtransactionStatus(link->pg) == PQTRANS_INERROR)
        return error_set(err, FAIL_IO, "cannot write to the database: a statement had failed");
    return postgres_run(link, "COMMIT", err);
}

void postgres_roll_back(struct postgres_link *link)
{
    struct error ignored = {0};
    PGTransactionStatusType status = PQtransactionStatus(link->pg);
    bool met_another = link->met_another;
    if (status == PQTRANS_INTRANS || status == PQTRANS_INERROR)
        (void)postgres_run(link, "ROLLBACK", &ignored);
    link->met_another = met_another;
}

static bool lock(struct postgres_link *link, const char *sql, int area, int64_t id,
                 struct error *err)
{
    enum { OURS = 0x43540000 }; /* "CT": other programs may lock in this database, too */
    struct postgres_query *q = postgres_prepare(link, sql);
    postgres_bind_int(q, 1, OURS + area);
    postgres_bind_int(q, 2, (int32_t)(uint32_t)(uint64_t)id);
    bool ok = postgres_do(q, err);
    postgres_finalize(q);
    return ok;
}

bool postgres_lock(struct postgres_link *link, int area, int64_t id, struct error *err)
{
    return lock(link, "SELECT pg_advisory_xact_lock($1::bigint::int,$2::bigint::int)", area, id,
                err);
}

bool postgres_lock_shared(struct postgres_link *link, int area, int64_t id, struct error *err)
{
    return lock(link, "SELECT pg_advisory_xact_lock_shared($1::bigint::int,$2::bigint::int)", area,
                id, err);
}

/* Who met somebody waits a little, everybody differently, before trying again. */
static void step_aside(int run)
{
    uint32_t random;
    platform_random(&random, sizeof random);
    uint64_t ns = (random % (1u << run) + 1) * NS_PER_MS;
    nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
}

bool postgres_transact(struct postgres *db, postgres_body *body, void *context, struct error *err)
{
    for (int run = 1;; run++) {
        struct postgres_link *link = postgres_take(db, 0, err);
        if (!link)
            return false;
        bool begun = postgres_begin(link, err);
        bool ok = begun && body(context, link, err) && postgres_commit(link, err);
        bool again = !ok && run < MAX_RUNS && (link->met_another || !begun);
        postgres_give(db, link);
        if (!again)
            return ok;
        step_aside(run);
    }
}

/* ---- Schema ---- */

static bool version_of(struct postgres_link *link, int *version, struct error *err)
{
    bool row = false;
    struct postgres_query *q = postgres_prepare_once(link, "SELECT version FROM schema_version");
    bool ok = postgres_next(q, &row, err);
    *version = ok && row ? (int)postgres_int_at(q, 0) : 0;
    postgres_finalize(q);
    return ok;
}

struct migration {
    const char *schema;
    const char *const *steps;
    int count;
};

/* Looked for first, because IF NOT EXISTS asks for the right to make one even when it is there. */
static bool make_schema(struct postgres_link *link, const char *schema, struct error *err)
{
    bool row = false;
    struct postgres_query *q =
        postgres_prepare_once(link, "SELECT 1 FROM pg_namespace WHERE nspname=$1");
    postgres_bind_text(q, 1, bytes_of(schema));
    bool ok = postgres_next(q, &row, err);
    postgres_finalize(q);
    if (ok && !row) {
        char *make = xasprintf("CREATE SCHEMA %s", schema);
        ok = postgres_run(link, make, err);
        free(make);
    }
    return ok && postgres_run(link,
                              "CREATE TABLE IF NOT EXISTS schema_version(one INTEGER PRIMARY KEY"
                              " CHECK(one=1), version INTEGER NOT NULL)",
                              err);
}

static bool run_steps(void *context, struct postgres_link *link, struct error *err)
{
    const struct migration *m = context;
    int version;
    link->patient = true;
    if (!postgres_run(link, "SET LOCAL lock_timeout=0", err) ||
        !postgres_lock(link, POSTGRES_LOCK_SCHEMA, 0, err) || !make_schema(link, m->schema, err) ||
        !version_of(link, &version, err))
        return false;
    if (version > m->count) {
        error_set(err, FAIL_INVALID, "the database has schema %d, this program knows %d", version,
                  m->count);
        return error_remedy(err, "run the newer claude-telemetry-server that wrote it");
    }
    if (version == m->count)
        return true;
    for (; version < m->count; version++)
        if (!postgres_run(link, m->steps[version], err))
            return false;
    char mark[160];
    snprintf(mark, sizeof mark,
             "INSERT INTO schema_version VALUES(1,%d) ON CONFLICT(one) DO UPDATE SET version=%d",
             version, version);
    return postgres_run(link, mark, err);
}

bool postgres_migrate(struct postgres *db, const char *const *steps, int count, struct error *err)
{
    struct migration m = {.schema = db->schema, .steps = steps, .count = count};
    return postgres_transact(db, run_steps, &m, err) ||
           error_wrap(err, "cannot bring the database up to date");
}

bool postgres_backup(const char *location, const char *target, struct error *err)
{
    (void)location;
    (void)target;
    error_set(err, FAIL_INVALID, "a PostgreSQL database is backed up by its own tools");
    return error_remedy(err, "use pg_dump --format=custom with the URL of --store, or continuous "
                             "archiving");
}
