#include "tests/server/postgres_store.h"

#include <stdio.h>
#include <stdlib.h>

static struct postgres_cluster *cluster;
static char *database; /* of this process: each test has its own */

bool postgres_store_start(void)
{
    cluster = postgres_cluster_start();
    return cluster != NULL;
}

void postgres_store_end(void)
{
    postgres_cluster_end(cluster);
    free(database);
}

/* Emptied rather than made anew, which takes ten times as long: the schema is as it was made. */
static const char EMPTY[] =
    "DO $$BEGIN"
    " IF to_regclass('messages.state') IS NOT NULL THEN"
    "  EXECUTE (SELECT 'TRUNCATE '||string_agg('messages.'||relname, ',')||' RESTART IDENTITY' FROM"
    "   pg_class WHERE relnamespace='messages'::regnamespace AND relkind='r'"
    "   AND relname NOT IN ('state','schema_version'));"
    "  UPDATE messages.state SET erasures=0, probes=0;"
    " END IF; END$$";

void postgres_store_url(const char *dir, char *out, size_t size)
{
    (void)dir;
    if (database)
        free(postgres_cluster_ask(database, EMPTY));
    else
        database = postgres_cluster_database(cluster);
    snprintf(out, size, "%s", database);
}
