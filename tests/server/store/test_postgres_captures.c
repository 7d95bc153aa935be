#include "tests/server/captures_contract.h"
#include "tests/server/postgres_store.h"
#include "tests/support/expect.h"

int main(void)
{
    if (!postgres_store_start())
        return SKIP_WITHOUT_POSTGRES;
    static const struct store_under_test kind = {.name = "postgres_captures",
                                                 .url = postgres_store_url};
    int code = expect_run(captures_contract(&kind));
    postgres_store_end();
    return code;
}
