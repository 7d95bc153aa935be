#include <stdio.h>

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
    clickhouse_server_stop(server);
    return code;
}
