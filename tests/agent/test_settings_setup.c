#include "agent/accounts.h"

#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "agent/settings_setup.h"
#include "base/memory.h"
#include "core/config/yaml.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static struct error err;
static char *root, *state;
static struct config *values;
static struct accounts *accounts;
static struct settings_setup setup;

static const char two_users[] = "alice:x:1001:1001::/home/alice:/bin/bash\n"
                                "bob:x:1002:1002::/home/bob:/bin/bash\n";
static const char one_user[] = "alice:x:1001:1001::/home/alice:/bin/bash\n";

static void write_file(const char *path, const char *text)
{
    char *real = xasprintf("%s%s", root, path);
    char *dir = xstrndup(real, (size_t)(strrchr(real, '/') - real));
    expect_ok(fs_make_dirs(&fs_real, dir, 0755, &err));
    expect_ok(fs_replace_file(&fs_real, real, bytes_of(text), 0644, &err));
    free(dir);
    free(real);
}

static void load(const char *text)
{
    struct config_problems problems = {0};
    struct config_layer layer = {.name = "a.yaml",
                                 .tree = config_yaml_parse("a.yaml", bytes_of(text), &err)};
    values = config_create(&agent_config_table, &layer, 1, &problems);
    ck_assert_msg(values != NULL, "%s", problems.count ? problems.items[0].cause : "");
}

static void create(const char *passwd, const char *emails, const char *config)
{
    write_file("/etc/passwd", passwd);
    write_file("/etc/claude-telemetry/user-emails", emails);
    load(config);
    accounts = accounts_create(root, state, true, &fs_real, &err);
    expect_ok(accounts != NULL);
    accounts_refresh(accounts, values, NULL);
    expect_ok(settings_setup_init(&setup, values, root, accounts, 14318, &fs_real, &err));
}

static void set_up(void)
{
    root = temp_dir_make();
    state = xasprintf("%s/state", root);
}

static void tear_down(void)
{
    settings_setup_clear(&setup);
    accounts_destroy(accounts);
    config_destroy(values);
    free(state);
    temp_dir_remove(root);
}

/* The value of a pair; fails when there is none of that name. */
static const char *value_of(const struct settings_pair *pairs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(pairs[i].name, name) == 0)
            return pairs[i].value;
    ck_abort_msg("there is no '%s'", name);
    return NULL;
}

static const char direct_head[] = "claude: { mode: direct, user_env: ";
static const char direct_tail[] = ", resource_attributes: { team: x } }\n"
                                  "destinations:\n"
                                  "  - name: span\n"
                                  "    endpoint: https://otel.span.app:443\n"
                                  "    headers: { X-Span-Token: \"${file:/etc/token}\" }\n"
                                  "    resource_attributes: { work_email: \"${email}\" }\n"
                                  "    signals: [metrics]\n";

static void create_direct(const char *passwd, const char *user_env)
{
    char *config = xasprintf("%s%s%s", direct_head, user_env, direct_tail);
    write_file("/etc/token", "secret\n");
    create(passwd, "alice alice@example.com\nbob bob@example.com\n", config);
    free(config);
}

START_TEST(with_the_relay_the_settings_lead_to_its_port_and_carry_no_secret)
{
    create(two_users, "alice alice@example.com\n",
           "claude: { log_user_prompts: true, signals: [logs], settings: merge }\n");
    const struct settings_options *o = &setup.options;
    ck_assert_int_eq(o->mode, SETTINGS_RELAY);
    ck_assert_int_eq(o->place, SETTINGS_MERGE);
    ck_assert_str_eq(o->endpoint, "http://127.0.0.1:14318");
    ck_assert(o->logs && !o->metrics && !o->traces && o->log_user_prompts && o->user_env);
    ck_assert_uint_eq(o->header_count, 0);
    ck_assert_uint_eq(o->user_count, 2);
    ck_assert_str_eq(o->users[0].email, "alice@example.com");
    ck_assert_ptr_null(o->users[1].email);
}
END_TEST

START_TEST(in_direct_mode_each_user_gets_the_token_and_the_own_address)
{
    create_direct(two_users, "true");
    const struct settings_options *o = &setup.options;
    ck_assert_int_eq(o->mode, SETTINGS_DIRECT);
    ck_assert(o->metrics && !o->logs && !o->traces);
    ck_assert_uint_eq(o->header_count, 0);
    const struct settings_user *bobs = &o->users[1];
    ck_assert_str_eq(value_of(bobs->headers, bobs->header_count, "X-Span-Token"), "secret");
    ck_assert_str_eq(value_of(bobs->attributes, bobs->attribute_count, "work_email"),
                     "bob@example.com");
}
END_TEST

START_TEST(in_direct_mode_without_user_files_the_machines_block_carries_both)
{
    create_direct(one_user, "false");
    const struct settings_options *o = &setup.options;
    ck_assert_str_eq(value_of(o->headers, o->header_count, "X-Span-Token"), "secret");
    ck_assert_str_eq(value_of(o->resource_attributes, o->resource_attribute_count, "work_email"),
                     "alice@example.com");
    ck_assert_str_eq(value_of(o->resource_attributes, o->resource_attribute_count, "team"), "x");
}
END_TEST

START_TEST(of_several_users_none_is_named_in_the_machines_block)
{
    create_direct(two_users, "false");
    const struct settings_options *o = &setup.options;
    ck_assert_str_eq(value_of(o->headers, o->header_count, "X-Span-Token"), "secret");
    ck_assert_uint_eq(o->resource_attribute_count, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("settings setup");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, with_the_relay_the_settings_lead_to_its_port_and_carry_no_secret);
    tcase_add_test(tests, in_direct_mode_each_user_gets_the_token_and_the_own_address);
    tcase_add_test(tests, in_direct_mode_without_user_files_the_machines_block_carries_both);
    tcase_add_test(tests, of_several_users_none_is_named_in_the_machines_block);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
