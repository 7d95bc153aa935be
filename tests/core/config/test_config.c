#include "core/config/config.h"

#include <stdio.h>
#include <string.h>

#include "core/config/nearest.h"
#include "core/config/yaml.h"
#include "tests/support/expect.h"

static const char *const modes[] = {"relay", "direct", NULL};
static const char *const signals[] = {"metrics", "logs", "traces", NULL};
static const char *const variables[] = {"email", "device_token", NULL};

static const struct config_key keys[] = {
    {.path = "server.url", .type = CONFIG_TEXT, .summary = "x", .check = config_check_url},
    {.path = "email", .type = CONFIG_TEXT, .summary = "x"},
    {.path = "mode", .type = CONFIG_ENUM, .fallback = "relay", .choices = modes, .summary = "x"},
    {.path = "relay.listen",
     .type = CONFIG_TEXT,
     .fallback = "127.0.0.1:14318",
     .summary = "x",
     .check = config_check_address},
    {.path = "relay.spool.max_mib",
     .type = CONFIG_INTEGER,
     .fallback = "1024",
     .min = 16,
     .max = 4096,
     .summary = "x"},
    {.path = "relay.on", .type = CONFIG_BOOL, .fallback = "true", .summary = "x"},
    {.path = "signals",
     .type = CONFIG_TEXT_LIST,
     .fallback = "metrics,logs",
     .choices = signals,
     .summary = "x"},
    {.path = "attributes", .type = CONFIG_TEXT_MAP, .summary = "x", .flags = CONFIG_VARIABLES},
    {.path = "destinations", .type = CONFIG_SECTIONS, .summary = "x"},
    {.path = "destinations[].name", .type = CONFIG_TEXT, .summary = "x", .flags = CONFIG_REQUIRED},
    {.path = "destinations[].signals",
     .type = CONFIG_TEXT_LIST,
     .fallback = "traces",
     .choices = signals,
     .summary = "x"},
    {.path = "destinations[].headers",
     .type = CONFIG_TEXT_MAP,
     .summary = "x",
     .flags = CONFIG_VARIABLES | CONFIG_SECRET},
};

static const struct config_table table = {.program = "test",
                                          .domain = "d",
                                          .variables = variables,
                                          .keys = keys,
                                          .count = sizeof keys / sizeof *keys};

static struct config_problems problems;

static struct config_node *tree_of(const char *text)
{
    struct error err = {0};
    struct config_node *tree = config_yaml_parse("a.yaml", bytes_of(text), &err);
    ck_assert_msg(tree != NULL, "%s", err.cause);
    return tree;
}

static struct config *load(const char *text)
{
    struct config_layer layer = {.name = "a.yaml", .tree = tree_of(text)};
    return config_create(&table, &layer, 1, &problems);
}

static struct config *load_ok(const char *text)
{
    struct config *config = load(text);
    ck_assert_msg(config != NULL, "%s", problems.count ? problems.items[0].cause : "no problem");
    return config;
}

static void tear_down(void)
{
    config_problems_clear(&problems);
}

START_TEST(nothing_given_means_the_defaults)
{
    struct config *c = load_ok("");
    char place[100];
    ck_assert_str_eq(config_text(c, "relay.listen"), "127.0.0.1:14318");
    ck_assert_int_eq(config_integer(c, "relay.spool.max_mib"), 1024);
    ck_assert(config_bool(c, "relay.on"));
    ck_assert_str_eq(config_text(c, "mode"), "relay");
    ck_assert_ptr_null(config_text(c, "server.url"));
    ck_assert_uint_eq(config_list_count(c, "signals"), 2);
    ck_assert_str_eq(config_list_at(c, "signals", 1), "logs");
    ck_assert(!config_is_set(c, "mode"));
    ck_assert_uint_eq(config_map_count(c, "attributes"), 0);
    ck_assert_uint_eq(config_section_count(c, "destinations"), 0);
    ck_assert_str_eq(config_place(c, "mode", place, sizeof place), "default");
    config_destroy(c);
}
END_TEST

START_TEST(every_type_is_read)
{
    struct config *c = load_ok("server: {url: 'https://x.example:8443/a'}\n"
                               "mode: direct\n"
                               "relay:\n"
                               "  listen: '[::1]:0'\n"
                               "  on: false\n"
                               "  spool: {max_mib: 16}\n"
                               "signals: [traces]\n"
                               "attributes: {service.name: x, empty: '', 'user': '${email}'}\n"
                               "destinations:\n"
                               "- name: one\n"
                               "  headers: {Authorization: 'Bearer ${device_token}'}\n"
                               "- {name: two, signals: [logs, metrics]}\n");
    const char *value;
    char place[100];
    ck_assert_str_eq(config_text(c, "server.url"), "https://x.example:8443/a");
    ck_assert_str_eq(config_text(c, "mode"), "direct");
    ck_assert_str_eq(config_text(c, "relay.listen"), "[::1]:0");
    ck_assert(!config_bool(c, "relay.on"));
    ck_assert_int_eq(config_integer(c, "relay.spool.max_mib"), 16);
    ck_assert_str_eq(config_place(c, "relay.spool.max_mib", place, sizeof place), "a.yaml line 6");
    ck_assert_uint_eq(config_list_count(c, "signals"), 1);
    ck_assert(config_list_has(c, "signals", "traces") && !config_list_has(c, "signals", "logs"));

    ck_assert_uint_eq(config_map_count(c, "attributes"), 2); /* an empty one is not set */
    ck_assert_str_eq(config_map_at(c, "attributes", 0, &value), "service.name");
    ck_assert_str_eq(config_map_at(c, "attributes", 1, &value), "user");
    ck_assert_str_eq(value, "${email}");

    ck_assert_uint_eq(config_section_count(c, "destinations"), 2);
    const struct config *one = config_section_at(c, "destinations", 0);
    const struct config *two = config_section_at(c, "destinations", 1);
    ck_assert_str_eq(config_text(one, "name"), "one");
    ck_assert_str_eq(config_list_at(one, "signals", 0), "traces");
    ck_assert_str_eq(config_map_at(one, "headers", 0, &value), "Authorization");
    ck_assert_str_eq(config_text(two, "name"), "two");
    ck_assert_uint_eq(config_list_count(two, "signals"), 2);
    config_destroy(c);
}
END_TEST

/* Each broken text, and parts of what is said about it. */
static const struct {
    const char *text;
    const char *parts[4];
} broken[] = {
    {"relay:\n  listne: x\n",
     {"'a.yaml' line 2", "'relay.listne'", "nearest valid key is 'relay.listen'"}},
    {"releay:\n  listen: x\n", {"line 1", "unknown key 'releay'", "is 'relay'"}},
    {"relay: {spol: {max_mib: 20}}\n", {"'relay.spol'", "is 'relay.spool'"}},
    {"relay:\n  max_mb: 5\n", {"line 2", "'relay.max_mb'", "'relay.spool.max_mib'"}},
    {"listen: x\n", {"line 1", "'listen'", "'relay.listen'"}},
    {"MODE: relay\n", {"line 1", "'MODE'", "nearest valid key"}},
    {"destinations:\n- name: a\n  header: {a: b}\n",
     {"line 3", "'destinations[].header'", "'destinations[].headers'"}},
    {"relay: 5\n", {"line 1", "'relay' must be a group of keys, not '5'"}},
    {"relay: [a]\n", {"line 1", "'relay' must be a group of keys, not a list"}},
    {"relay:\n  spool:\n    max_mib: 5\n",
     {"line 3", "'relay.spool.max_mib'", "from 16 to 4096, not 5"}},
    {"relay: {spool: {max_mib: 4097}}\n", {"line 1", "from 16 to 4096"}},
    {"relay: {spool: {max_mib: 99999999999999999999}}\n", {"line 1", "from 16 to 4096"}},
    {"relay: {spool: {max_mib: -20}}\n", {"line 1", "from 16 to 4096, not -20"}},
    {"relay: {spool: {max_mib: lots}}\n",
     {"line 1", "'relay.spool.max_mib' must be a whole number, not 'lots'"}},
    {"relay: {spool: {max_mib: 20m}}\n", {"a whole number, not '20m'"}},
    {"relay: {spool: {max_mib: '20'}}\n", {"a whole number, not '20'"}},
    {"relay: {spool: {max_mib: 20.5}}\n", {"a whole number, not '20.5'"}},
    {"relay: {spool: {max_mib: [1]}}\n", {"a whole number, not a list"}},
    {"relay: {on: yes}\n", {"'relay.on' must be true or false, not 'yes'"}},
    {"relay: {on: 'true'}\n", {"'relay.on' must be true or false"}},
    {"relay: {on: {a: b}}\n", {"true or false, not a group of keys"}},
    {"mode: relai\n", {"'mode' must be one of relay, direct, not 'relai'"}},
    {"mode: [relay]\n", {"'mode' must be text, not a list"}},
    {"signals: logs\n", {"'signals' must be a list, not 'logs'"}},
    {"signals: [logs, log]\n", {"'signals[1]' must be one of metrics, logs, traces, not 'log'"}},
    {"signals:\n- logs\n- [a]\n", {"line 3", "'signals[1]' must be text, not a list"}},
    {"attributes: x\n", {"'attributes' must be a group of names and texts"}},
    {"attributes:\n  a: 1\n  b: {c: d}\n", {"line 3", "'attributes.b' must be text"}},
    {"attributes: {a: '${emial}'}\n",
     {"'attributes.a'", "'${emial}'", "nearest valid one is '${email}'"}},
    {"attributes: {a: '${email'}\n", {"'attributes.a'", "not complete"}},
    {"attributes: {a: '${file:token}'}\n", {"'attributes.a'", "absolute path"}},
    {"email: '${email}'\n", {"'email' cannot hold variables"}},
    {"server: {url: example.com}\n", {"'server.url'", "http:// or https:// URL"}},
    {"server: {url: 'https://u:p@example.com'}\n", {"'server.url'", "without a user name"}},
    {"server: {url: 'https://'}\n", {"'server.url'", "http:// or https:// URL"}},
    {"relay: {listen: '127.0.0.1'}\n", {"'relay.listen'", "HOST:PORT"}},
    {"relay: {listen: '127.0.0.1:99999'}\n", {"HOST:PORT"}},
    {"relay: {listen: '::1:80'}\n", {"HOST:PORT"}},
    {"destinations: {name: a}\n", {"'destinations' must be a list"}},
    {"destinations:\n- name: a\n- b\n", {"line 3", "'destinations[1]' must be a group of keys"}},
    {"destinations:\n- signals: [logs]\n", {"line 2", "'destinations[0]' has no 'name'"}},
    {"relay.on: true\nrelay: {on: false}\n", {"line 2", "'relay.on' is already on line 1"}},
};

START_TEST(a_broken_value_is_named_with_file_line_key_and_what_is_valid)
{
    ck_assert_ptr_null(load(broken[_i].text));
    ck_assert_uint_eq(problems.count, 1);
    const struct error *problem = &problems.items[0];
    ck_assert_int_eq(problem->kind, FAIL_INVALID);
    ck_assert_msg(problem->remedy[0] != '\0', "no fix: %s", problem->cause);
    ck_assert_msg(strncmp(problem->cause, "'a.yaml'", 8) == 0, "%s", problem->cause);
    for (size_t i = 0; i < 4 && broken[_i].parts[i]; i++)
        ck_assert_msg(strstr(problem->cause, broken[_i].parts[i]), "'%s' lacks \"%s\"",
                      problem->cause, broken[_i].parts[i]);
}
END_TEST

START_TEST(all_problems_are_told_at_once)
{
    ck_assert_ptr_null(
        load("mod: relay\nrelay: {on: 7, spool: {max_mib: 1}}\ndestinations: [{}]\n"));
    ck_assert_uint_eq(problems.count, 4);
}
END_TEST

START_TEST(the_number_of_problems_is_bounded)
{
    char text[4096];
    size_t len = 0;
    for (int i = 0; i < 2 * CONFIG_MAX_PROBLEMS; i++)
        len += (size_t)sprintf(text + len, "unknown%d: 1\n", i);
    ck_assert_ptr_null(load(text));
    ck_assert_uint_eq(problems.count, CONFIG_MAX_PROBLEMS);
}
END_TEST

START_TEST(the_first_layer_that_gives_a_key_wins)
{
    struct config_layer layers[] = {
        {.name = "managed", .tree = tree_of("relay.listen: 127.0.0.1:7\nemail: $EMAIL\n")},
        {.name = "absent", .tree = NULL},
        {.name = "a.yaml",
         .tree = tree_of("email: a@example.com\nrelay: {listen: '127.0.0.1:8', on: false}\n")},
    };
    struct config *c = config_create(&table, layers, 3, &problems);
    ck_assert_ptr_nonnull(c);
    char place[100];
    ck_assert_str_eq(config_text(c, "relay.listen"), "127.0.0.1:7");
    ck_assert(!config_bool(c, "relay.on"));
    ck_assert_str_eq(config_text(c, "email"), "a@example.com"); /* $EMAIL was not filled in */
    ck_assert_str_eq(config_place(c, "email", place, sizeof place), "a.yaml line 1");
    config_destroy(c);
}
END_TEST

START_TEST(a_value_that_loses_is_still_checked)
{
    struct config_layer layers[] = {
        {.name = "managed", .tree = tree_of("relay.on: true\n")},
        {.name = "a.yaml", .tree = tree_of("relay: {on: maybe}\n")},
    };
    ck_assert_ptr_null(config_create(&table, layers, 2, &problems));
    ck_assert_ptr_nonnull(strstr(problems.items[0].cause, "'a.yaml' line 1"));
}
END_TEST

START_TEST(what_an_mdm_left_unresolved_counts_as_not_set)
{
    static const char *const unresolved[] = {"", "$EMAIL", "$EXTENSIONATTRIBUTE_12", "{{mail}}",
                                             "%Email%"};
    static const char *const given[] = {"a@b",   "$email", "$",        "100%",
                                        "%a%b%", "{{x",    "${email}", "$5.00"};
    for (size_t i = 0; i < sizeof unresolved / sizeof *unresolved; i++)
        ck_assert_msg(config_is_unresolved(unresolved[i]), "%s", unresolved[i]);
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        ck_assert_msg(!config_is_unresolved(given[i]), "%s", given[i]);
    struct config *c = load_ok("email: '{{mail}}'\nserver:\n  url:\nmode: ~\nrelay:\n");
    ck_assert(!config_is_set(c, "email") && !config_is_set(c, "server.url"));
    ck_assert_str_eq(config_text(c, "mode"), "relay");
    config_destroy(c);
}
END_TEST

START_TEST(what_an_mdm_left_unresolved_in_lists_and_groups_counts_as_not_set)
{
    const char *value;
    struct config_layer layers[] = {
        {"managed", tree_of("signals: ['$SIGNALS', '']\n"
                            "attributes: {team: '%Team%', floor: ''}\n"
                            "destinations:\n"
                            "- {name: '{{name}}', headers: {A: '$TOKEN'}}\n"
                            "- {name: one, signals: ['{{signal}}', logs],\n"
                            "   headers: {A: '{{token}}', B: b, C: $TOKEN, D: d}}\n")},
        {"file", tree_of("signals: [traces]\nattributes: {team: blue}\ndestinations: []\n")},
    };
    struct config *c = config_create(&table, layers, 2, &problems);
    ck_assert_msg(c != NULL, "%s", problems.count ? problems.items[0].cause : "no problem");
    ck_assert_uint_eq(config_list_count(c, "signals"), 1); /* the next source's */
    ck_assert(config_list_has(c, "signals", "traces"));
    ck_assert_uint_eq(config_map_count(c, "attributes"), 1);
    ck_assert_str_eq(config_map_at(c, "attributes", 0, &value), "team");
    ck_assert_str_eq(value, "blue");

    ck_assert_uint_eq(config_section_count(c, "destinations"), 1);
    const struct config *one = config_section_at(c, "destinations", 0);
    ck_assert_str_eq(config_text(one, "name"), "one");
    ck_assert_uint_eq(config_list_count(one, "signals"), 1);
    ck_assert_str_eq(config_list_at(one, "signals", 0), "logs");
    ck_assert_uint_eq(config_map_count(one, "headers"), 2);
    ck_assert_str_eq(config_map_at(one, "headers", 1, &value), "D");
    config_destroy(c);
}
END_TEST

START_TEST(a_list_that_is_written_empty_stays_empty)
{
    struct config *c = load_ok("signals: []\n");
    ck_assert(config_is_set(c, "signals"));
    ck_assert_uint_eq(config_list_count(c, "signals"), 0);
    config_destroy(c);
}
END_TEST

START_TEST(distance_counts_edits_and_swaps)
{
    ck_assert_uint_eq(config_distance("", "abc"), 3);
    ck_assert_uint_eq(config_distance("kitten", "sitting"), 3);
    ck_assert_uint_eq(config_distance("listne", "listen"), 1);
    ck_assert_uint_eq(config_distance("same", "same"), 0);
    char huge[500];
    memset(huge, 'a', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    ck_assert_uint_eq(config_distance(huge, ""), 96);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("config");
    tcase_add_checked_fixture(tests, NULL, tear_down);
    tcase_add_test(tests, nothing_given_means_the_defaults);
    tcase_add_test(tests, every_type_is_read);
    tcase_add_loop_test(tests, a_broken_value_is_named_with_file_line_key_and_what_is_valid, 0,
                        sizeof broken / sizeof *broken);
    tcase_add_test(tests, all_problems_are_told_at_once);
    tcase_add_test(tests, the_number_of_problems_is_bounded);
    tcase_add_test(tests, the_first_layer_that_gives_a_key_wins);
    tcase_add_test(tests, a_value_that_loses_is_still_checked);
    tcase_add_test(tests, what_an_mdm_left_unresolved_counts_as_not_set);
    tcase_add_test(tests, what_an_mdm_left_unresolved_in_lists_and_groups_counts_as_not_set);
    tcase_add_test(tests, a_list_that_is_written_empty_stays_empty);
    tcase_add_test(tests, distance_counts_edits_and_swaps);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
