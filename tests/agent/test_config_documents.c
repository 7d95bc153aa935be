/* The committed documents are what the table gives now. */
#include <stdio.h>
#include <string.h>

#include "agent/config.h"
#include "core/config/describe.h"
#include "core/json/reader.h"
#include "tests/support/expect.h"

#define REPOSITORY TEST_DATA_DIR "/../.."

static struct error err;

static void expect_same(const char *path, const struct buffer *made, const char *option)
{
    struct buffer committed = {.max_bytes = 1 * MIB};
    expect_ok(fs_read_file(&fs_real, path, &committed, &err));
    ck_assert_msg(bytes_equal(buffer_bytes(&committed), buffer_bytes(made)),
                  "%s is not what the table gives: write it anew with "
                  "`claude-telemetry-agent check-config %s`",
                  path, option);
    buffer_clear(&committed);
}

START_TEST(the_manual_lists_what_the_table_holds)
{
    struct buffer made = {.max_bytes = 1 * MIB};
    expect_ok(config_describe_markdown(&agent_config_table, &made));
    expect_same(REPOSITORY "/docs/configuration.md", &made, "--print-markdown");
    for (size_t i = 0; i < agent_config_table.count; i++) {
        char cell[200];
        snprintf(cell, sizeof cell, "| `%s` |", agent_config_table.keys[i].path);
        ck_assert_msg(strstr(buffer_text(&made), cell), "%s is missing", cell);
    }
    buffer_clear(&made);
}
END_TEST

START_TEST(the_jamf_schema_is_json_and_current)
{
    struct buffer made = {.max_bytes = 1 * MIB};
    expect_ok(config_describe_jamf(&agent_config_table, &made));
    expect_same(REPOSITORY "/templates/jamf-schema.json", &made, "--print-jamf-schema");
    struct json_reader r = json_reader_make(buffer_bytes(&made));
    enum json_token token;
    while ((token = json_next(&r)) != JSON_END)
        ck_assert_int_ne(token, JSON_ERROR);
    buffer_clear(&made);
}
END_TEST

START_TEST(every_key_is_described_and_its_default_is_valid)
{
    for (size_t i = 0; i < agent_config_table.count; i++) {
        const struct config_key *key = &agent_config_table.keys[i];
        size_t len = strlen(key->summary);
        ck_assert_msg(len > 10 && key->summary[len - 1] == '.', "%s", key->path);
        ck_assert_msg(key->type != CONFIG_INTEGER || (key->fallback && key->min < key->max), "%s",
                      key->path);
        ck_assert_msg(key->type != CONFIG_BOOL || key->fallback, "%s", key->path);
        ck_assert_msg(key->type != CONFIG_ENUM || (key->fallback && key->choices), "%s", key->path);
        if (key->check && key->fallback && key->fallback[0])
            expect_ok(key->check(key->fallback, &err));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config documents");
    TCase *tests = tcase_create("config documents");
    tcase_add_test(tests, the_manual_lists_what_the_table_holds);
    tcase_add_test(tests, the_jamf_schema_is_json_and_current);
    tcase_add_test(tests, every_key_is_described_and_its_default_is_valid);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
