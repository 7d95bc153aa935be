#include "server/fleet/health.h"

#include <string.h>

#include "base/clock.h"
#include "tests/support/expect.h"

static const uint64_t now_ns = UINT64_C(1795216470) * NS_PER_S;

static uint64_t ago(uint64_t seconds)
{
    return now_ns - seconds * NS_PER_S;
}

static struct health_device working(void)
{
    return (struct health_device){.last_seen_ns = ago(30),
                                  .last_data_ns = ago(40),
                                  .in_use_ns = ago(40),
                                  .interval_s = 60,
                                  .healthy = true,
                                  .disk_free_bytes = UINT64_C(50) << 30};
}

static void expect_verdict(const struct health_device *device, enum health_state state,
                           const char *code)
{
    struct health_verdict verdict;
    health_of_device(device, now_ns, &verdict);
    ck_assert_str_eq(verdict.code, code);
    ck_assert_str_eq(health_state_name(verdict.state), health_state_name(state));
    if (state != HEALTH_GREEN) {
        ck_assert_str_ne(verdict.reason, "");
        ck_assert_str_ne(verdict.action, "");
    }
}

START_TEST(a_working_device_is_green)
{
    struct health_device d = working();
    expect_verdict(&d, HEALTH_GREEN, "ok");
}
END_TEST

START_TEST(silence_alone_is_late_and_red_only_while_in_use)
{
    struct health_device d = working();
    d.last_seen_ns = ago(121);
    d.in_use_ns = ago(300);
    expect_verdict(&d, HEALTH_YELLOW, "late");
    d.last_seen_ns = ago(120);
    expect_verdict(&d, HEALTH_GREEN, "ok");
    d.last_seen_ns = ago(86400);
    d.in_use_ns = ago(86460);
    expect_verdict(&d, HEALTH_YELLOW, "late");
    d.in_use_ns = ago(60);
    expect_verdict(&d, HEALTH_RED, "silent_in_use");
    d.last_seen_ns = ago(240); /* exactly three intervals and the grace */
    expect_verdict(&d, HEALTH_YELLOW, "late");
}
END_TEST

START_TEST(the_absent_are_grey_whatever_else_is_known)
{
    struct health_device d = working();
    d.healthy = false;
    d.disconnected = true;
    expect_verdict(&d, HEALTH_GREY, "disconnected");
    d.disconnected = false;
    d.last_seen_ns = ago(15 * 86400);
    expect_verdict(&d, HEALTH_GREY, "inactive");
    d.last_seen_ns = ago(31 * 86400);
    expect_verdict(&d, HEALTH_GREY, "missing");
    d.last_seen_ns = 0;
    expect_verdict(&d, HEALTH_GREY, "never_seen");
}
END_TEST

START_TEST(a_refused_credential_is_red_and_says_what_waits)
{
    struct health_device d = working();
    struct health_verdict verdict;
    d.failed_destination = "span";
    d.failed_destination_state = "auth_failed";
    d.backlog_records = 4711;
    health_of_device(&d, now_ns, &verdict);
    ck_assert_str_eq(verdict.code, "destination_auth_failed");
    ck_assert_ptr_nonnull(strstr(verdict.reason, "'span' is auth_failed; 4711 records wait"));
    d.failed_destination_state = "blocked";
    expect_verdict(&d, HEALTH_RED, "destination_blocked");
}
END_TEST

START_TEST(loss_and_trouble_are_told_apart)
{
    struct health_device d = working();
    d.evicted_delta = 3;
    expect_verdict(&d, HEALTH_RED, "evicting");
    d = working();
    d.healthy = false;
    expect_verdict(&d, HEALTH_RED, "unhealthy");
    d = working();
    d.backlog_records = 5;
    d.oldest_backlog_s = 16 * 60;
    expect_verdict(&d, HEALTH_YELLOW, "backlog");
    d.oldest_backlog_s = 25 * 3600;
    expect_verdict(&d, HEALTH_RED, "backlog_stale");
    d = working();
    d.clock_skew_s = -121;
    expect_verdict(&d, HEALTH_YELLOW, "clock_skew");
    d = working();
    d.config_failed = true;
    expect_verdict(&d, HEALTH_YELLOW, "config_failed");
    d = working();
    d.logs_missing = true;
    expect_verdict(&d, HEALTH_YELLOW, "logs_missing");
    d = working();
    d.bad_version = "2.0.64";
    expect_verdict(&d, HEALTH_YELLOW, "claude_version");
    d = working();
    d.drift_repairs_delta = 6;
    expect_verdict(&d, HEALTH_YELLOW, "settings_conflict");
    d = working();
    d.disk_free_bytes = 100 << 20;
    expect_verdict(&d, HEALTH_YELLOW, "disk_low");
    d = working();
    d.doctor_failed = 1;
    expect_verdict(&d, HEALTH_YELLOW, "doctor");
}
END_TEST

static const char *source_code(const struct health_source *source)
{
    static struct health_verdict verdict;
    health_of_source(source, now_ns, &verdict);
    return verdict.code;
}

START_TEST(a_source_with_a_rhythm_turns_late_then_red)
{
    struct health_source s = {.what = "importer admin_api",
                              .last_seen_ns = ago(10),
                              .last_data_ns = ago(86400),
                              .expected_every_s = 86400};
    ck_assert_str_eq(source_code(&s), "ok");
    s.last_data_ns = ago(86400 + 61);
    ck_assert_str_eq(source_code(&s), "late");
    s.last_data_ns = ago(3 * 86400 + 61);
    ck_assert_str_eq(source_code(&s), "silent");
    s.expected_every_s = 0;
    ck_assert_str_eq(source_code(&s), "ok");
    s.error = "invalid x-api-key";
    ck_assert_str_eq(source_code(&s), "failing");
    s.rejected = true;
    ck_assert_str_eq(source_code(&s), "credential_rejected");
    s.disabled = true;
    ck_assert_str_eq(source_code(&s), "disabled");
    s = (struct health_source){.what = "token"};
    ck_assert_str_eq(source_code(&s), "never_seen");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("health");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, a_working_device_is_green);
    tcase_add_test(tests, silence_alone_is_late_and_red_only_while_in_use);
    tcase_add_test(tests, the_absent_are_grey_whatever_else_is_known);
    tcase_add_test(tests, a_refused_credential_is_red_and_says_what_waits);
    tcase_add_test(tests, loss_and_trouble_are_told_apart);
    tcase_add_test(tests, a_source_with_a_rhythm_turns_late_then_red);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
