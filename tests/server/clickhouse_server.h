/*
 * A ClickHouse server of the test's own: Debian's package, on free ports of 127.0.0.1, below a
 * private directory, ended when the process that started it ends.
 */
#ifndef TESTS_SERVER_CLICKHOUSE_SERVER_H
#define TESTS_SERVER_CLICKHOUSE_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct clickhouse_server;

/* NULL where no clickhouse-server is installed. Stops the program when one is and does not start. */
struct clickhouse_server *clickhouse_server_start(void);

/* Ends it and removes its directory. NULL is fine. */
void clickhouse_server_stop(struct clickhouse_server *server);

/* Ends it by kill -9, and starts it again on the same port and data. */
void clickhouse_server_kill(struct clickhouse_server *server);
void clickhouse_server_resume(struct clickhouse_server *server);

unsigned clickhouse_server_port(const struct clickhouse_server *server);

/* "clickhouse+http://test:…@127.0.0.1:PORT/NAME", NAME a database that nobody has had yet. */
void clickhouse_server_url(const struct clickhouse_server *server, char *out, size_t size);

/* What a person would type; the answer as text, "" for a failure. */
void clickhouse_server_say(const struct clickhouse_server *server, const char *sql, char *out,
                           size_t size);

#endif
