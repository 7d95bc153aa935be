#include "core/config/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/expect.h"

static struct error err;

static struct config_node *parse(const char *text)
{
    return config_yaml_parse("a.yaml", bytes_of(text), &err);
}

START_TEST(a_document_becomes_a_tree_with_lines)
{
    struct config_node *root = parse("relay:\n"
                                     "  listen: 127.0.0.1:1   # here\n"
                                     "  quoted: \"5\"\n"
                                     "names:\n"
                                     "  - a\n"
                                     "  - {b: c}\n");
    expect_ok(root != NULL);
    const struct config_node *relay = config_node_find(root, "relay");
    const struct config_node *listen = config_node_find(relay, "listen");
    const struct config_node *names = config_node_find(root, "names");
    ck_assert_int_eq(relay->kind, CONFIG_NODE_MAP);
    ck_assert_str_eq(listen->text, "127.0.0.1:1");
    ck_assert_uint_eq(listen->line, 2);
    ck_assert(listen->is_plain && !config_node_find(relay, "quoted")->is_plain);
    ck_assert_uint_eq(names->count, 2);
    ck_assert_str_eq(names->children[0]->text, "a");
    ck_assert_str_eq(config_node_find(names->children[1], "b")->text, "c");
    ck_assert_ptr_null(config_node_find(root, "nothing"));
    config_node_destroy(root);
}
END_TEST

START_TEST(an_empty_file_is_an_empty_map)
{
    static const char *const texts[] = {"", "# only a comment\n", "---\n", "~\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct config_node *root = parse(texts[i]);
        expect_ok(root != NULL);
        ck_assert_int_eq(root->kind, CONFIG_NODE_MAP);
        ck_assert_uint_eq(root->count, 0);
        config_node_destroy(root);
    }
}
END_TEST

static const struct {
    const char *text;
    const char *cause;
} refused[] = {
    {"a: &x 1\nb: 2\n", "line 1: anchors"},
    {"a: 1\nb: *a\n", "line 2: anchors"},
    {"a: !!int 1\n", "line 1: tags"},
    {"a: 1\n---\nb: 1\n", "line 2: a second document"},
    {"a: 1\n...\nb: 1\n", "line 3"},
    {"? [a, b]\n: 1\n", "line 1: a key must be text"},
    {"a: 1\nb: 2\na: 3\n", "line 3: key 'a' is already on line 1"},
    {"a: \"x\\0y\"\n", "line 1: a value holds a NUL"},
    {"\"x\\0y\": 1\n", "line 1: a key holds a NUL"},
    {"just text\n", "line 1: the file must hold keys"},
    {"- a\n- b\n", "line 1: the file must hold keys"},
    {"a: [1, 2\nb: 3\n", "not valid YAML"},
    {"a:\n\t- b\n", "line 2"},
    {"a: 'open\n", "not valid YAML"},
    {"a: b: c\n", "line 1"},
    {"a: \xff\xfe\n", "not valid YAML"},
};

START_TEST(what_configuration_does_not_need_is_refused_with_its_line)
{
    struct config_node *root = parse(refused[_i].text);
    ck_assert_msg(!root, "accepted: %s", refused[_i].text);
    ck_assert_int_eq(err.kind, FAIL_INVALID);
    ck_assert_msg(strstr(err.cause, "'a.yaml'") && strstr(err.cause, refused[_i].cause),
                  "%s instead of %s", err.cause, refused[_i].cause);
}
END_TEST

START_TEST(size_depth_and_count_are_bounded)
{
    char *text = malloc(CONFIG_YAML_MAX_BYTES + 2);
    memset(text, ' ', CONFIG_YAML_MAX_BYTES + 1);
    text[CONFIG_YAML_MAX_BYTES + 1] = '\0';
    ck_assert_ptr_null(parse(text));
    ck_assert_int_eq(err.kind, FAIL_TOO_LARGE);

    memset(text, '[', 5000);
    memcpy(text, "a: ", 3);
    text[5000] = '\0';
    ck_assert_ptr_null(parse(text));
    ck_assert_ptr_nonnull(strstr(err.cause, "nested too deeply"));

    size_t len = (size_t)sprintf(text, "a:\n");
    for (int i = 0; i < CONFIG_YAML_MAX_NODES; i++)
        len += (size_t)sprintf(text + len, "- 1\n");
    ck_assert_ptr_null(parse(text));
    ck_assert_ptr_nonnull(strstr(err.cause, "more values"));
    free(text);
}
END_TEST

START_TEST(a_missing_file_is_told_from_a_broken_one)
{
    ck_assert_ptr_null(config_yaml_read(&fs_real, "/nonexistent/agent.yaml", &err));
    ck_assert_int_eq(err.kind, FAIL_NOT_FOUND);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("yaml");
    TCase *tests = tcase_create("yaml");
    tcase_add_test(tests, a_document_becomes_a_tree_with_lines);
    tcase_add_test(tests, an_empty_file_is_an_empty_map);
    tcase_add_loop_test(tests, what_configuration_does_not_need_is_refused_with_its_line, 0,
                        sizeof refused / sizeof *refused);
    tcase_add_test(tests, size_depth_and_count_are_bounded);
    tcase_add_test(tests, a_missing_file_is_told_from_a_broken_one);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
