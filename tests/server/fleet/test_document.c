#include "server/fleet/document.h"

#include <string.h>

#include "base/clock.h"
#include "server/fleet/device.h"
#include "tests/support/expect.h"

static struct error err;

static const char heartbeat[] =
    "{\"instance_uid\":\"u-1\",\"sequence_num\":7,\"sent_at\":\"2026-11-20T10:00:00Z\","
    "\"agent_version\":\"0.1.0\",\"health\":{\"healthy\":false,\"last_error\":\"disk\"},"
    "\"config\":{\"status\":\"failed\",\"error_message\":\"line 3\",\"drift_repairs_total\":4},"
    "\"claude\":[{\"path\":\"/"
    "x\",\"version\":\"2.0.65\",\"last_event_at\":\"2026-11-20T09:59:00Z\"},"
    "{\"version\":\"2.1.329\"}],\"users\":[{\"local_user\":\"a\",\"email\":\"Alice@Example.com\"}],"
    "\"signals\":{\"logs\":{\"last_received_at\":null},"
    "\"metrics\":{\"last_received_at\":\"2026-11-20T09:58:00Z\"}},"
    "\"spool\":{\"records\":5,\"oldest_age_seconds\":99,\"evicted_total\":2,\"disk_free_bytes\":1},"
    "\"destinations\":[{\"name\":\"central\",\"state\":\"ok\",\"backlog_records\":0},"
    "{\"name\":\"span\",\"state\":\"auth_failed\",\"backlog_records\":12}],"
    "\"doctor\":{\"failed\":3},\"agent_disconnect\":true,\"unknown\":[1,2]}";

START_TEST(a_heartbeat_is_read_with_all_that_health_needs)
{
    struct heartbeat_document h;
    expect_ok(heartbeat_read(bytes_of(heartbeat), &h, &err));
    ck_assert_str_eq(h.instance_uid, "u-1");
    ck_assert_uint_eq(h.sequence_num, 7);
    ck_assert_uint_eq(h.sent_ns, UINT64_C(1795168800) * NS_PER_S);
    ck_assert(!h.healthy);
    ck_assert(h.goodbye);
    ck_assert(h.config_failed);
    ck_assert_str_eq(h.config_error, "line 3");
    ck_assert_uint_eq(h.drift_repairs_total, 4);
    ck_assert_str_eq(h.bad_version, "2.0.65");
    ck_assert_uint_eq(h.last_event_ns, h.sent_ns - 60 * NS_PER_S);
    ck_assert_str_eq(h.owner, "alice@example.com");
    ck_assert_uint_eq(h.logs_last_ns, 0);
    ck_assert_str_eq(h.failed_destination, "span");
    ck_assert_str_eq(h.failed_destination_state, "auth_failed");
    ck_assert_uint_eq(h.backlog_records, 12);
    ck_assert_uint_eq(h.doctor_failed, 3);

    struct fleet_device device = {.last_seen_ns = h.sent_ns};
    struct health_device facts;
    heartbeat_to_health(&h, &device, h.sent_ns, &facts);
    ck_assert(facts.logs_missing);
    ck_assert_uint_eq(facts.in_use_ns, h.last_event_ns);
}
END_TEST

START_TEST(a_shared_machine_has_no_owner)
{
    struct heartbeat_document h;
    expect_ok(heartbeat_read(bytes_of("{\"instance_uid\":\"u\",\"users\":[{\"email\":\"a@x.io\"},"
                                      "{\"email\":\"A@X.io\"}]}"),
                             &h, &err));
    ck_assert_str_eq(h.owner, "a@x.io");
    expect_ok(heartbeat_read(bytes_of("{\"instance_uid\":\"u\",\"users\":[{\"email\":\"a@x.io\"},"
                                      "{\"email\":\"b@x.io\"},{\"email\":null},{}]}"),
                             &h, &err));
    ck_assert_str_eq(h.owner, "");
    ck_assert(h.healthy); /* not told: not a complaint */
    ck_assert(!h.goodbye);
    expect_ok(
        heartbeat_read(bytes_of("{\"instance_uid\":\"u\",\"agent_disconnect\":{}}"), &h, &err));
    ck_assert(h.goodbye); /* as OpAMP has it */
    expect_ok(
        heartbeat_read(bytes_of("{\"instance_uid\":\"u\",\"agent_disconnect\":false}"), &h, &err));
    ck_assert(!h.goodbye);
}
END_TEST

START_TEST(documents_of_another_shape_are_refused_or_read_as_empty)
{
    struct heartbeat_document h;
    static const char *const bad[] = {
        "", "[]", "{", "{\"a\":1}", "{\"instance_uid\":7}", "{\"instance_uid\":\"u\"} x", "null"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (struct error){0};
        expect_fail(heartbeat_read(bytes_of(bad[i]), &h, &err), FAIL_INVALID);
    }
    err = (struct error){0};
    expect_ok(
        heartbeat_read(bytes_of("{\"instance_uid\":\"u\",\"health\":[],\"spool\":3,\"users\":{},"
                                "\"destinations\":\"x\",\"claude\":[1,null],\"signals\":null,"
                                "\"sequence_num\":-5,\"sent_at\":\"yesterday\"}"),
                       &h, &err));
    ck_assert_uint_eq(h.sequence_num, 0);
    ck_assert_uint_eq(h.sent_ns, 0);
}
END_TEST

START_TEST(an_enrolment_needs_a_secret_and_a_machine)
{
    struct enroll_request r;
    err = (struct error){0};
    expect_ok(enroll_request_read(
        bytes_of(
            "{\"enrollment_secret\":\"s\",\"device\":{\"hardware_id\":\"h\",\"hostname\":\"n\","
            "\"os\":\"linux\"},\"users\":[{\"local_user\":\"a\",\"email\":\"a@x.io\"}]}"),
        &r, &err));
    ck_assert_str_eq(r.device.owner, "a@x.io");
    ck_assert_str_eq(r.device.os, "linux");
    expect_fail(enroll_request_read(bytes_of("{\"enrollment_secret\":\"s\",\"device\":{}}"), &r,
                                    &err),
                FAIL_INVALID);
    expect_fail(enroll_request_read(bytes_of("{\"enrollment_secret\":\"s\",\"device\":{\"hardware_"
                                             "id\":\"\",\"hostname\":\"n\"}}"),
                                    &r, &err),
                FAIL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.remedy, "hardware_id"));
}
END_TEST

START_TEST(a_doctors_report_is_summed_up_wrapped_or_bare)
{
    struct doctor_summary s;
    err = (struct error){0};
    expect_ok(doctor_summary_read(bytes_of("{\"command_id\":\"c\",\"report\":{\"summary\":"
                                           "{\"ok\":1,\"warn\":2,\"fail\":3}}}"),
                                  &s, &err));
    ck_assert_str_eq(s.command_id, "c");
    ck_assert_uint_eq(s.failed, 3);
    expect_ok(doctor_summary_read(bytes_of("{\"summary\":{\"fail\":1}}"), &s, &err));
    ck_assert_uint_eq(s.failed, 1);
    expect_ok(doctor_summary_read(bytes_of("{\"report\":\"none\",\"summary\":4}"), &s, &err));
    expect_fail(doctor_summary_read(bytes_of("[]"), &s, &err), FAIL_INVALID);
    expect_fail(doctor_summary_read(bytes_of("{"), &s, &err), FAIL_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fleet_document");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, a_heartbeat_is_read_with_all_that_health_needs);
    tcase_add_test(tests, a_shared_machine_has_no_owner);
    tcase_add_test(tests, documents_of_another_shape_are_refused_or_read_as_empty);
    tcase_add_test(tests, an_enrolment_needs_a_secret_and_a_machine);
    tcase_add_test(tests, a_doctors_report_is_summed_up_wrapped_or_bare);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
