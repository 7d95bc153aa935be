#include <stdio.h>
#include <stdlib.h>

#include "tests/server/captures_contract.h"
#include "tests/server/clickhouse_server.h"
#include "tests/server/message_store_contract.h"
#include "tests/support/expect.h"

enum { SKIPPED = 77 };

static struct clickhouse_server *server; /* the suite's tests share it, each with its database */

static void url(const char *dir, char *out, size_t size)
{
    (void)dir;
    clickhouse_server_url(server, out, size);
}

int main(void)
{
    const struct store_under_test clickhouse = {.name = "clickhouse", .url = url};
    server = clickhouse_server_start();
    if (!server) {
        puts("skipped: there is no clickhouse-server here (Debian's package of that name)");
        return SKIPPED;
    }
    int code = expect_run(message_store_contract(&clickhouse));
    if (code == 0 &&
        getenv("CT_LONG")) /* hundreds of stores: system/test_clickhouse has the totals */
        code = expect_run(captures_contract(&clickhouse));
    clickhouse_server_stop(server);
    return code;
}
