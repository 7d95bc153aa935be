#include "tests/server/control_place.h"

#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "platform/fs.h"
#include "tests/support/expect.h"
#include "tests/support/postgres.h"
#include "tests/support/temp_dir.h"

/* Fixtures take no argument. */
static struct postgres_cluster *cluster; /* NULL: SQLite runs */
static char *dir, *url;

const char *control_place_make(void)
{
    if (cluster) {
        url = postgres_cluster_database(cluster);
    } else {
        dir = temp_dir_make();
        url = xasprintf("sqlite:%s/control.db", dir);
    }
    return url;
}

void control_place_remove(void)
{
    temp_dir_remove(dir);
    free(url);
    dir = url = NULL;
}

static bool run_in_postgres(const char *sql)
{
    PGconn *pg = PQconnectdb(url);
    PGresult *set = PQexec(pg, "SET search_path=control");
    PGresult *result = PQexec(pg, sql);
    bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(set);
    PQclear(result);
    PQfinish(pg);
    return done;
}

bool control_place_run_sql(const char *sql)
{
    sqlite3 *db;
    if (cluster)
        return run_in_postgres(sql);
    ck_assert_int_eq(sqlite3_open(url + sizeof "sqlite:" - 1, &db), SQLITE_OK);
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_close(db);
    return code == SQLITE_OK;
}

bool control_place_holds(const char *text)
{
    bool found;
    if (cluster) {
        char *sql = xasprintf("SELECT count(*) FROM control.session s"
                              " WHERE s::text LIKE '%%%s%%'",
                              text);
        char *count = postgres_cluster_ask(url, sql);
        found = strcmp(count, "0") != 0;
        free(count);
        free(sql);
        return found;
    }
    struct error err;
    struct buffer content = {.max_bytes = 16 * MIB};
    expect_ok(fs_read_file(&fs_real, url + sizeof "sqlite:" - 1, &content, &err));
    found = bytes_contain(buffer_bytes(&content), text);
    buffer_clear(&content);
    return found;
}

bool control_place_unguard_audit(void)
{
    return control_place_run_sql(cluster ? "DROP TRIGGER audit_stays ON audit"
                                         : "DROP TRIGGER audit_keeps; DROP TRIGGER audit_stays");
}

int control_places_run(Suite *(*make_suite)(const char *kind))
{
    int code = expect_run(make_suite("sqlite"));
    cluster = postgres_cluster_start();
    if (cluster && expect_run(make_suite("postgres")) != EXIT_SUCCESS)
        code = EXIT_FAILURE;
    postgres_cluster_end(cluster);
    return code;
}
