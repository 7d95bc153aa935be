#include <stdio.h>

#include "tests/server/captures_contract.h"
#include "tests/support/expect.h"

static void url(const char *dir, char *out, size_t size)
{
    snprintf(out, size, "sqlite:%s/messages.db", dir);
}

int main(void)
{
    static const struct store_under_test kind = {.name = "captures", .url = url};
    return expect_run(captures_contract(&kind));
}
