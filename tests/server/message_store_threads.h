/* One writer and several readers of one store: what readers see is always whole batches. */
#ifndef TESTS_SERVER_MESSAGE_STORE_THREADS_H
#define TESTS_SERVER_MESSAGE_STORE_THREADS_H

#include "tests/server/message_store_contract.h"

/* Borrowed until the suite has run. */
TCase *message_store_threads(const struct store_under_test *kind);

#endif
