/* Empty message stores in a PostgreSQL of the test's own. */
#ifndef TESTS_SERVER_POSTGRES_STORE_H
#define TESTS_SERVER_POSTGRES_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/support/postgres.h"

/* In main(). False when there is no PostgreSQL here: exit with SKIP_WITHOUT_POSTGRES. */
bool postgres_store_start(void);
void postgres_store_end(void);

/* For struct store_under_test: one store at a time. */
void postgres_store_url(const char *dir, char *out, size_t size);

#endif
