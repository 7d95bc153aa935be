/* Check assertions in our words. */
#ifndef TESTS_SUPPORT_EXPECT_H
#define TESTS_SUPPORT_EXPECT_H

#include <check.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"

/* The call succeeds; a failure prints its cause. Needs `struct error err` in scope. */
#define expect_ok(call) ck_assert_msg((call), "%s: %s", #call, err.cause)

/* The call fails with this kind. */
#define expect_fail(call, expected)                                                         \
    do {                                                                                    \
        ck_assert_msg(!(call), "%s succeeded", #call);                                      \
        ck_assert_msg(err.kind == (expected), "%s failed otherwise: %s", #call, err.cause); \
    } while (0)

/* `actual` (struct bytes) is exactly this text. */
#define expect_text(actual, expected)                                                             \
    do {                                                                                          \
        struct bytes seen_ = (actual);                                                            \
        ck_assert_msg(bytes_equal_text(seen_, (expected)), "%s is \"%.*s\", not \"%s\"", #actual, \
                      (int)seen_.len, (const char *)seen_.data, (expected));                      \
    } while (0)

/* Runs the suite and makes the exit code of a test program: return expect_run(suite). */
int expect_run(Suite *suite);

#endif
