#include "agent/accounts.h"

#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "agent/relay_setup.h"
#include "base/memory.h"
#include "core/config/yaml.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static struct error err;
static char *root, *state;
static struct config *values;
static struct accounts *accounts;
static struct relay_callbacks ask;

static const char two_users[] = "alice:x:1001:1001::/home/alice:/bin/bash\n"
                                "bob:x:1002:1002::/home/bob:/bin/bash\n";
static const char one_user[] = "alice:x:1001:1001::/home/alice:/bin/bash\n";
static const uint32_t alice = 1001, bob = 1002, stranger = 4711;

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
    ask = accounts_callbacks(accounts);
}

static void set_up(void)
{
    root = temp_dir_make();
    state = xasprintf("%s/state", root);
}

static void tear_down(void)
{
    accounts_destroy(accounts);
    config_destroy(values);
    free(state);
    temp_dir_remove(root);
}

static void expect_person(const uint32_t *uid, const char *user, const char *email)
{
    struct relay_person person;
    ck_assert(ask.person_of_uid(ask.context, uid, &person));
    ck_assert_str_eq(person.local_user, user);
    ck_assert_str_eq(person.email, email);
}

static void expect_nobody(const uint32_t *uid)
{
    struct relay_person person;
    ck_assert(!ask.person_of_uid(ask.context, uid, &person));
}

START_TEST(each_owner_of_a_socket_is_one_person)
{
    create(two_users, "alice Alice@Example.com\nbob bob@example.com\n", "");
    expect_person(&alice, "alice", "alice@example.com");
    expect_person(&bob, "bob", "bob@example.com");
    expect_nobody(&stranger);
    expect_nobody(NULL); /* an owner that cannot be told, on a machine of two */
}
END_TEST

START_TEST(whoever_has_no_address_cannot_claim_anothers)
{
    create(two_users, "alice alice@example.com\n", "");
    expect_person(&alice, "alice", "alice@example.com");
    expect_nobody(&bob);
}
END_TEST

START_TEST(what_was_found_with_more_rights_counts_where_nothing_else_does)
{
    static const struct accounts_hint hints[] = {
        {"alice", "mallory@example.com", "mdm"}, /* the own sources come first */
        {"bob", "Bob@example.com", "command"},
        {"carol", "carol@example.com", "mdm"},
    };
    create(two_users, "alice alice@example.com\n", "identity: {email_domain: example.com}");
    expect_nobody(&bob);
    accounts_tell(accounts, hints, 3);
    accounts_refresh(accounts, values, NULL);
    expect_person(&alice, "alice", "alice@example.com");
    expect_person(&bob, "bob", "bob@example.com");
    ck_assert_str_eq(identity_source_name(accounts_users(accounts)->list[1].source), "command");
    ck_assert_uint_eq(accounts_users(accounts)->count, 2);
    accounts_tell(accounts, &(struct accounts_hint){"bob", "bob@elsewhere.example", "mdm"}, 1);
    accounts_refresh(accounts, values, NULL);
    expect_nobody(&bob); /* judged like any other answer */
}
END_TEST

START_TEST(where_no_address_is_known_payloads_pass_as_they_are)
{
    create(two_users, "", "");
    expect_person(&bob, "bob", "");
    expect_person(&stranger, "", "");
}
END_TEST

START_TEST(on_a_machine_of_one_everything_is_that_persons)
{
    create(one_user, "alice alice@example.com\n", "");
    expect_person(&alice, "alice", "alice@example.com");
    expect_person(NULL, "alice", "alice@example.com");
    expect_nobody(&stranger);
}
END_TEST

START_TEST(the_configured_address_is_whoevers_machine_it_is)
{
    create("daemon:x:1:1::/:/usr/sbin/nologin\n", "", "identity: {email: Carol@Example.com}\n");
    expect_person(&stranger, "", "carol@example.com");
}
END_TEST

START_TEST(an_address_of_another_domain_is_nobodys)
{
    create(two_users, "alice alice@elsewhere.org\nbob bob@example.com\n",
           "identity: {email_domain: example.com}\n");
    expect_nobody(&alice);
    expect_person(&bob, "bob", "bob@example.com");
}
END_TEST

START_TEST(a_local_token_is_one_users_and_stays)
{
    char token[ACCOUNTS_TOKEN_BYTES], bobs[ACCOUNTS_TOKEN_BYTES], again[ACCOUNTS_TOKEN_BYTES];
    struct relay_person person;
    create(two_users, "", "");
    accounts_token(accounts, "alice", token);
    accounts_token(accounts, "bob", bobs);
    ck_assert_str_ne(token, bobs);
    ck_assert(ask.check_token(ask.context, bytes_of(bobs), &person));
    ck_assert_str_eq(person.local_user, "bob");
    ck_assert(!ask.check_token(ask.context, bytes_of("guess"), &person));
    ck_assert(!ask.check_token(ask.context, bytes_of(""), &person));

    struct accounts *restarted = accounts_create(root, state, true, &fs_real, &err);
    accounts_token(restarted, "alice", again);
    ck_assert_str_eq(again, token);
    accounts_destroy(restarted);
}
END_TEST

START_TEST(a_dry_run_leaves_no_key_behind)
{
    struct fs_stat found;
    accounts = accounts_create(root, state, false, &fs_real, &err);
    expect_ok(accounts != NULL);
    expect_fail(fs_real.stat(NULL, state, &found, &err), FAIL_NOT_FOUND);
}
END_TEST

static void expect_expanded(const char *text, const struct relay_person *person,
                            const char *expected)
{
    struct buffer out = {.max_bytes = 1000};
    expect_ok(ask.expand(ask.context, text, person, &out, &err));
    expect_text(buffer_bytes(&out), expected);
    buffer_clear(&out);
}

START_TEST(variables_are_the_persons_the_devices_and_files)
{
    struct buffer out = {.max_bytes = 1000};
    struct relay_person person = {.local_user = "alice", .email = "a@example.com"};
    create(one_user, "", "");
    write_file("/etc/token", "from-file\n");
    expect_expanded("${local_user}/${email}", &person, "alice/a@example.com");
    expect_expanded("Bearer ${file:/etc/token}", NULL, "Bearer from-file");

    expect_fail(ask.expand(ask.context, "${device_token}", NULL, &out, &err), FAIL_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.remedy, "enrollment_secret_file"));
    accounts_set_device(accounts, "d-1", "ct_tok");
    expect_expanded("${device_id} ${device_token}", NULL, "d-1 ct_tok");
    expect_fail(ask.expand(ask.context, "${email}", NULL, &out, &err), FAIL_NOT_FOUND);
    buffer_clear(&out);
}
END_TEST

START_TEST(the_relay_gets_what_the_configuration_says)
{
    struct relay_setup setup;
    create(one_user, "",
           "relay: {listen: '127.0.0.1:7', local_token_required: true, max_request_mib: 3,\n"
           "  spool: {max_mib: 5, max_age_hours: 2, min_free_disk_mib: 4}}\n"
           "privacy: {drop_attributes: [prompt]}\n"
           "destinations:\n"
           "- name: one\n"
           "  endpoint: https://${device_id}.example/\n"
           "  signals: [logs]\n"
           "  headers: {X-A: '${email}'}\n"
           "  ca_file: /etc/ca.pem\n"
           "  compression: none\n"
           "- {name: two, traces_endpoint: 'http://h/t', enabled: false, batch_ids: false}\n");
    expect_fail(relay_setup_init(&setup, values, root, state, accounts, &err), FAIL_NOT_FOUND);
    relay_setup_clear(&setup);
    accounts_set_device(accounts, "d-1", "t");
    expect_ok(relay_setup_init(&setup, values, root, state, accounts, &err));

    const struct relay_options *o = &setup.options;
    ck_assert_str_eq(o->listen[0], "127.0.0.1:7");
    ck_assert_uint_gt(o->port_tries, 0);
    ck_assert_int_eq(o->token_policy, RELAY_TOKEN_ALWAYS);
    ck_assert_uint_eq(o->max_request_bytes, 3 * MIB);
    ck_assert_uint_eq(o->spool.max_bytes, 5 * MIB);
    ck_assert_uint_eq(o->spool.max_age_ns, 7200 * NS_PER_S);
    ck_assert_uint_eq(o->spool.min_free_disk_bytes, 4 * MIB);
    ck_assert_ptr_nonnull(strstr(o->spool.dir, "/state/spool"));
    ck_assert_str_eq(o->drop_attributes[0], "prompt");
    ck_assert_str_eq(o->stamps[0].name, "work_email");

    const struct relay_destination_options *one = &o->destinations[0], *two = &o->destinations[1];
    char *ca = xasprintf("%s/etc/ca.pem", root);
    ck_assert_uint_eq(o->destination_count, 2);
    ck_assert_str_eq(one->url[OTLP_LOGS], "https://d-1.example/v1/logs");
    ck_assert_ptr_null(one->url[OTLP_TRACES]);
    ck_assert_str_eq(one->headers[0].value, "${email}"); /* replaced when it is sent */
    ck_assert_str_eq(one->ca_file, ca);
    ck_assert_int_eq(one->compression, RELAY_COMPRESSION_NONE);
    ck_assert(one->is_own_server && !one->disabled);
    ck_assert_str_eq(two->url[OTLP_TRACES], "http://h/t");
    ck_assert(!two->is_own_server && two->disabled);
    free(ca);
    relay_setup_clear(&setup);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("accounts");
    TCase *tests = tcase_create("accounts");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, each_owner_of_a_socket_is_one_person);
    tcase_add_test(tests, whoever_has_no_address_cannot_claim_anothers);
    tcase_add_test(tests, what_was_found_with_more_rights_counts_where_nothing_else_does);
    tcase_add_test(tests, where_no_address_is_known_payloads_pass_as_they_are);
    tcase_add_test(tests, on_a_machine_of_one_everything_is_that_persons);
    tcase_add_test(tests, the_configured_address_is_whoevers_machine_it_is);
    tcase_add_test(tests, an_address_of_another_domain_is_nobodys);
    tcase_add_test(tests, a_local_token_is_one_users_and_stays);
    tcase_add_test(tests, a_dry_run_leaves_no_key_behind);
    tcase_add_test(tests, variables_are_the_persons_the_devices_and_files);
    tcase_add_test(tests, the_relay_gets_what_the_configuration_says);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
