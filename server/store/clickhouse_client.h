/*
 * Statements to a ClickHouse server over HTTP. Private to the clickhouse files.
 *
 * Any thread; each statement takes a kept-alive connection of its own.
 */
#ifndef SERVER_STORE_CLICKHOUSE_CLIENT_H
#define SERVER_STORE_CLICKHOUSE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct clickhouse;

/*
 * `location` is "//[USER[:PASSWORD]@]HOST[:PORT][/DATABASE][?password_file=PATH&ca_file=PATH]", `tls`
 * whether it is spoken to over HTTPS. Asks the server for its version and makes the database when it is missing. The
 * caller destroys. NULL on failure; no message ever shows the password.
 */
struct clickhouse *clickhouse_create(const char *location, bool tls, struct error *err);
void clickhouse_destroy(struct clickhouse *ch);

/* The first number of its version: 18, 26. */
unsigned clickhouse_version(const struct clickhouse *ch);

/*
 * Runs a query and takes its whole answer, in the format the query names. FAIL_BUSY when it takes
 * longer than `time_limit_ms` (0: the connection's own patience, and FAIL_IO).
 */
MUST_USE bool clickhouse_ask(struct clickhouse *ch, struct bytes sql, uint32_t time_limit_ms,
                             struct buffer *answer, struct error *err);

/* Runs what has no answer. */
MUST_USE bool clickhouse_run(struct clickhouse *ch, const char *sql, struct error *err);

/*
 * Inserts one block (clickhouse_block.h) into `table`, whole or not at all: a block that is cut off
 * on its way is refused. False may also mean that it is not known whether it is in.
 */
MUST_USE bool clickhouse_insert(struct clickhouse *ch, const char *table, struct bytes block,
                                struct error *err);

#endif
