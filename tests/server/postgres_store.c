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

void postgres_store_url(const char *dir, char *out, size_t size)
{
    (void)dir;
    if (database)
        free(postgres_cluster_ask(database, "SET client_min_messages=warning;"
                                            "DROP SCHEMA IF EXISTS messages CASCADE"));
    else
        database = postgres_cluster_database(cluster);
    snprintf(out, size, "%s", database);
}
