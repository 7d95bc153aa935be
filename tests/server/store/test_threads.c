#include <stdio.h>

#include "tests/server/message_store_threads.h"
#include "tests/support/expect.h"

static void url(const char *dir, char *out, size_t size)
{
    snprintf(out, size, "sqlite:%s/messages.db", dir);
}

int main(void)
{
    static const struct store_under_test kind = {.name = "threads", .url = url};
    Suite *suite = suite_create(kind.name);
    suite_add_tcase(suite, message_store_threads(&kind));
    return expect_run(suite);
}
