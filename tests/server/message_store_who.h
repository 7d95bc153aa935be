/* Who sent what, and who an account belongs to, as every kind of message store tells it. */
#ifndef TESTS_SERVER_MESSAGE_STORE_WHO_H
#define TESTS_SERVER_MESSAGE_STORE_WHO_H

#include "tests/server/message_store_contract.h"

/* Borrowed until the suite has run. */
TCase *message_store_who(const struct store_under_test *kind);

#endif
