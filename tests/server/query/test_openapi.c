#include "server/query/openapi.h"

#include <cjson/cJSON.h>
#include <ctype.h>

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

START_TEST(every_route_is_described_and_says_who_may_ask)
{
    cJSON *document, *all = paths(&document);
    struct query query = {0};
    struct route_table table = query_routes(&query);
    for (size_t i = 0; i < table.count; i++) {
        const struct route *route = &table.routes[i];
        char method[16];
        lower(route->method, method);
        cJSON *operation =
            cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(all, route->pattern),
                                             method);
        ck_assert_msg(operation != NULL, "%s %s is not described", route->method, route->pattern);
        bool closed = cJSON_GetObjectItemCaseSensitive(operation, "security") != NULL;
        ck_assert_msg(closed == (route->access != ACCESS_PUBLIC), "security of %s", route->pattern);
    }
    cJSON_Delete(document);
}
END_TEST

START_TEST(nothing_is_described_that_is_not_there)
{
    cJSON *document, *all = paths(&document), *path, *operation;
    struct query query = {0};
    struct route_table table = query_routes(&query);
    cJSON_ArrayForEach(path, all)
    {
        cJSON_ArrayForEach(operation, path)
        {
            bool found = false;
            for (size_t i = 0; i < table.count && !found; i++) {
                char method[16];
                lower(table.routes[i].method, method);
                found = strcmp(table.routes[i].pattern, path->string) == 0 &&
                        strcmp(method, operation->string) == 0;
            }
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
