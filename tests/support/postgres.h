/*
 * A private PostgreSQL for tests: its own cluster in a temporary directory, heard on a UNIX socket
 * there and nowhere else, not durable (fsync off), ended with the process that started it.
 * Link test_postgres.
 *
 * Start it once in main(); each test case asks for a database of its own:
 *
 *     cluster = postgres_cluster_start();        NULL: there is no PostgreSQL here, tell and skip
 *     char *url = postgres_cluster_database(cluster);
 */
#ifndef TESTS_SUPPORT_POSTGRES_H
#define TESTS_SUPPORT_POSTGRES_H

struct postgres_cluster;

/*
 * Makes the cluster and starts it. NULL, after a line on standard output, when PostgreSQL's
 * programs are not installed (SKIP_WITHOUT_POSTGRES is then the exit code to give); anything else that fails stops
 * the test.
 */
struct postgres_cluster *postgres_cluster_start(void);
void postgres_cluster_end(struct postgres_cluster *cluster); /* and removes it; NULL is fine */
enum { SKIP_WITHOUT_POSTGRES = 77 };

/* The URL of a new empty database; the caller frees. Starts the cluster again when it is down. */
char *postgres_cluster_database(struct postgres_cluster *cluster);

/* Ends it at once, as a crash does, and returns when it is gone. */
void postgres_cluster_crash(struct postgres_cluster *cluster);
/* Starts it again. It then lives as long as the calling process. */
void postgres_cluster_restart(struct postgres_cluster *cluster);

/* Runs one statement in the database of `url` and stops the test when it fails. The first column of
 * the first row, or ""; the caller frees. */
char *postgres_cluster_ask(const char *url, const char *sql);

#endif
