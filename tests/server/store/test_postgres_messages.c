#include "tests/server/message_store_contract.h"
#include "tests/server/postgres_store.h"
#include "tests/support/expect.h"

int main(void)
{
    if (!postgres_store_start())
        return SKIP_WITHOUT_POSTGRES;
    static const struct store_under_test kind = {.name = "postgres_messages",
                                                 .url = postgres_store_url};
    int code = expect_run(message_store_contract(&kind));
    postgres_store_end();
    return code;
}
