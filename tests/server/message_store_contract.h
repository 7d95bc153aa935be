/*
 * What every kind of message store promises (server/store/messages.h), as tests.
 *     int main(void) { return expect_run(message_store_contract(&kind)); }
 */
#ifndef TESTS_SERVER_MESSAGE_STORE_CONTRACT_H
#define TESTS_SERVER_MESSAGE_STORE_CONTRACT_H

#include <check.h>
#include <stddef.h>

struct store_under_test {
    const char *name;
    /* The URL of an empty store below a private directory. */
    void (*url)(const char *dir, char *out, size_t size);
};

/* Borrowed until the suite has run. */
Suite *message_store_contract(const struct store_under_test *kind);

#endif
