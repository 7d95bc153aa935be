#include "server/query/openapi.h"

#include <cjson/cJSON.h>
#include <ctype.h>

#include "server/fleet/fleet.h"
#include "server/ingest/ingest.h"
#include "server/query/query.h"
#include "tests/support/expect.h"

static cJSON *paths(cJSON **document)
{
    *document = cJSON_ParseWithLength((const char *)openapi_json, openapi_json_len);
    ck_assert_msg(*document != NULL, "openapi.json is no JSON");
    return cJSON_GetObjectItemCaseSensitive(*document, "paths");
}

static void lower(const char *method, char out[16])
{
    size_t i = 0;
    for (; method[i] && i < 15; i++)
        out[i] = (char)tolower((unsigned char)method[i]);
    out[i] = '\0';
}

enum { TABLES = 2 };

/* The tables that make up the API; pages for browsers are not part of it. */
static void api_tables(struct route_table tables[TABLES])
{
    static struct query query;
    tables[0] = query_routes(&query);
    tables[1] = fleet_routes(NULL);
}

static bool is_of(const struct route *route, const char *path, const char *operation)
{
    char method[16];
    lower(route->method, method);
    return strcmp(route->pattern, path) == 0 && strcmp(method, operation) == 0;
}

static void expect_described(const cJSON *all, const struct route *route)
{
    char method[16];
    lower(route->method, method);
    const cJSON *path = cJSON_GetObjectItemCaseSensitive(all, route->pattern);
    const cJSON *operation = cJSON_GetObjectItemCaseSensitive(path, method);
    ck_assert_msg(operation != NULL, "%s %s is not described", route->method, route->pattern);
    bool closed = cJSON_GetObjectItemCaseSensitive(operation, "security") != NULL;
    ck_assert_msg(closed == (route->access != ACCESS_PUBLIC), "security of %s", route->pattern);
}

START_TEST(every_route_is_described_and_says_who_may_ask)
{
    cJSON *document, *all = paths(&document);
    struct route_table tables[TABLES];
    api_tables(tables);
    for (int t = 0; t < TABLES; t++)
        for (size_t i = 0; i < tables[t].count; i++)
            expect_described(all, &tables[t].routes[i]);
    cJSON_Delete(document);
}
END_TEST

START_TEST(nothing_is_described_that_is_not_there)
{
    cJSON *document, *all = paths(&document), *path, *operation;
    struct route_table tables[TABLES];
    api_tables(tables);
    cJSON_ArrayForEach(path, all)
    {
        cJSON_ArrayForEach(operation, path)
        {
            /* OTLP comes in by another door than the router's. */
            bool found =
                ingest_owns(bytes_of(path->string)) && strcmp(operation->string, "post") == 0;
            for (int t = 0; t < TABLES; t++)
                for (size_t i = 0; i < tables[t].count && !found; i++)
                    found = is_of(&tables[t].routes[i], path->string, operation->string);
            ck_assert_msg(found, "%s %s is described but not there", operation->string,
                          path->string);
        }
    }
    cJSON_Delete(document);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("openapi");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, every_route_is_described_and_says_who_may_ask);
    tcase_add_test(tests, nothing_is_described_that_is_not_there);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
