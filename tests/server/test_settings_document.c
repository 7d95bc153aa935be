/* The committed page of the server's settings is what its table gives now. */
#include <string.h>

#include "core/config/describe.h"
#include "platform/fs.h"
#include "server/options.h"
#include "tests/support/expect.h"

#define PAGE TEST_DATA_DIR "/../../docs/server-configuration.md"

static struct error err;

START_TEST(the_manual_is_what_the_table_gives)
{
    struct buffer made = {.max_bytes = MIB}, committed = {.max_bytes = MIB};
    expect_ok(config_describe_markdown(&server_config_table, &made));
    expect_ok(fs_read_file(&fs_real, PAGE, &committed, &err));
    ck_assert_msg(bytes_equal(buffer_bytes(&committed), buffer_bytes(&made)),
                  "write it anew: claude-telemetry-server check-config --print-markdown > "
                  "docs/server-configuration.md");
    buffer_clear(&made);
    buffer_clear(&committed);
}
END_TEST

START_TEST(every_key_is_described_and_its_default_is_valid)
{
    for (size_t i = 0; i < server_config_table.count; i++) {
        const struct config_key *key = &server_config_table.keys[i];
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
    Suite *suite = suite_create("settings document");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, the_manual_is_what_the_table_gives);
    tcase_add_test(tests, every_key_is_described_and_its_default_is_valid);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
