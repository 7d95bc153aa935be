#include "core/log/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/expect.h"

static char text[16384];
static FILE *captured;
static int real_stderr;

static void set_up(void)
{
    captured = tmpfile();
    ck_assert_ptr_nonnull(captured);
    fflush(stderr);
    real_stderr = dup(STDERR_FILENO);
    dup2(fileno(captured), STDERR_FILENO);
}

/* Gives standard error back, for Check's own messages, and returns what was written. */
static const char *seen(void)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    rewind(captured);
    size_t len = fread(text, 1, sizeof text - 1, captured);
    text[len] = '\0';
    fclose(captured);
    return text;
}

START_TEST(a_line_has_time_level_component_and_message)
{
    struct log *log = log_create(LOG_INFO_LEVEL, false);
    log_info(log, "relay", "destination state=%s name=%s", "auth_failed", "central");
    log_destroy(log);

    const char *line = seen();
    unsigned year, month, day, hour, minute, second, ms;
    int rest = 0;
    ck_assert_int_eq(sscanf(line, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ%n", &year, &month, &day, &hour,
                            &minute, &second, &ms, &rest),
                     7);
    ck_assert_int_eq(rest, 24);
    ck_assert_str_eq(line + rest, " info relay: destination state=auth_failed name=central\n");
}
END_TEST

START_TEST(json_lines_escape_what_json_must)
{
    struct log *log = log_create(LOG_INFO_LEVEL, true);
    log_warn(log, "agent", "a \"quoted\" back\\slash\nand a bell \a");
    log_destroy(log);

    ck_assert_ptr_nonnull(
        strstr(seen(), "\"level\":\"warn\",\"component\":\"agent\",\"message\":\"a \\\"quoted\\\" "
                       "back\\\\slash\\nand a bell \\u0007\"}\n"));
}
END_TEST

START_TEST(text_from_outside_cannot_forge_a_line)
{
    struct log *log = log_create(LOG_INFO_LEVEL, false);
    log_info(log, "agent", "user=%s", "x\n2026 error agent: forged\x1b[2J");
    log_destroy(log);

    const char *line = seen();
    ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
    ck_assert_ptr_nonnull(strstr(line, "user=x\\n2026 error agent: forged\\x1b[2J"));
}
END_TEST

START_TEST(levels_below_the_chosen_one_are_silent)
{
    struct log *log = log_create(LOG_WARN_LEVEL, false);
    log_info(log, "a", "quiet");
    log_debug(log, "a", "quiet");
    log_info(NULL, "a", "quiet");
    log_error(log, "a", "loud");
    log_destroy(log);

    const char *line = seen();
    ck_assert_ptr_null(strstr(line, "quiet"));
    ck_assert_ptr_nonnull(strstr(line, " error a: loud\n"));
}
END_TEST

START_TEST(a_failure_is_one_line_with_its_fix)
{
    struct log *log = log_create(LOG_INFO_LEVEL, false);
    struct error err = {0};
    error_set(&err, FAIL_IO, "cannot read 'x'");
    log_failure(log, LOG_ERROR_LEVEL, "agent", "reload", &err);
    error_remedy(&err, "create it");
    log_failure(log, LOG_ERROR_LEVEL, "agent", "reload", &err);
    log_destroy(log);

    const char *lines = seen();
    ck_assert_ptr_nonnull(strstr(lines, "agent: reload: cannot read 'x'\n"));
    ck_assert_ptr_nonnull(strstr(lines, "agent: reload: cannot read 'x' (fix: create it)\n"));
}
END_TEST

START_TEST(a_message_past_the_limit_is_cut_and_still_ends)
{
    static char huge[8000];
    memset(huge, '\t', sizeof huge - 1);
    struct log *log = log_create(LOG_INFO_LEVEL, true);
    log_info(log, "agent", "%s", huge);
    log_destroy(log);

    const char *line = seen();
    ck_assert_uint_lt(strlen(line), sizeof text - 1);
    ck_assert_str_eq(line + strlen(line) - 3, "\"}\n");
}
END_TEST

START_TEST(levels_are_found_by_name)
{
    enum log_level level = LOG_ERROR_LEVEL;
    bool known = log_level_of_name("debug", &level);
    bool unknown = log_level_of_name("loud", &level);
    seen();
    ck_assert(known && !unknown);
    ck_assert_int_eq(level, LOG_DEBUG_LEVEL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tests = tcase_create("log");
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, a_line_has_time_level_component_and_message);
    tcase_add_test(tests, json_lines_escape_what_json_must);
    tcase_add_test(tests, text_from_outside_cannot_forge_a_line);
    tcase_add_test(tests, levels_below_the_chosen_one_are_silent);
    tcase_add_test(tests, a_failure_is_one_line_with_its_fix);
    tcase_add_test(tests, a_message_past_the_limit_is_cut_and_still_ends);
    tcase_add_test(tests, levels_are_found_by_name);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
