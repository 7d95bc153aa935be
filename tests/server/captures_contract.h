/* What the real Claude Code sent, put into a kind of message store. */
#ifndef TESTS_SERVER_CAPTURES_CONTRACT_H
#define TESTS_SERVER_CAPTURES_CONTRACT_H

#include "tests/server/message_store_contract.h"

/* Borrowed until the suite has run. */
Suite *captures_contract(const struct store_under_test *kind);

#endif
