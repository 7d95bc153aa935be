#include <stdio.h>

#include "tests/server/message_store_contract.h"
#include "tests/support/expect.h"

static void url(const char *dir, char *out, size_t size)
{
    snprintf(out, size, "sqlite:%s/messages.db", dir);
}

int main(void)
{
    const struct store_under_test sqlite = {.name = "sqlite", .url = url};
    return expect_run(message_store_contract(&sqlite));
}
