#include "agent/report.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

#define NOW_NS (UINT64_C(1700000000) * NS_PER_S)

static struct error err;
static char *root;
static struct accounts *accounts;
static struct relay_state relay;
static struct report report;
static char why[400];
static cJSON *document;

static void set_up(void)
{
    root = temp_dir_make();
    accounts = accounts_create(root, root, true, &fs_real, &err);
    memset(&relay, 0, sizeof relay);
    relay.started_ns = NOW_NS - 100 * NS_PER_S;
    relay.destination_count = 1;
    snprintf(relay.destinations[0].name, sizeof relay.destinations[0].name, "central");
    report = (struct report){.now_ns = NOW_NS, .relay = &relay, .accounts = accounts};
    report.config.hash = "abc";
    report.config.error = report.settings.error = report.enrollment.error = "";
}

static void tear_down(void)
{
    cJSON_Delete(document);
    accounts_destroy(accounts);
    temp_dir_remove(root);
}

static bool is_healthy(void)
{
    return report_is_healthy(&report, why, sizeof why);
}

static const cJSON *put(void)
{
    struct buffer out = {.max_bytes = 1 * MIB};
    struct json_writer w = json_writer_make(&out);
    json_object_open(&w);
    report_put(&report, &w);
    json_object_close(&w);
    ck_assert(json_writer_ok(&w));
    cJSON_Delete(document);
    document = cJSON_ParseWithLength((const char *)out.data, out.len);
    ck_assert_ptr_nonnull(document);
    buffer_clear(&out);
    return document;
}

static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    ck_assert_msg(item != NULL, "%s is missing", key);
    return item;
}

START_TEST(all_is_well_when_nothing_is_wrong)
{
    ck_assert(is_healthy());
    const cJSON *health = get(put(), "health");
    ck_assert(cJSON_IsTrue(get(health, "healthy")));
    ck_assert_str_eq(get(health, "start_time")->valuestring, "2023-11-14T22:11:40.000Z");
    ck_assert(cJSON_IsTrue(get(get(get(health, "components"), "destination.central"), "healthy")));
}
END_TEST

START_TEST(a_destination_that_refuses_counts_at_once)
{
    relay.destinations[0].status = RELAY_AUTH_FAILED;
    snprintf(relay.destinations[0].last_error, 100, "401 from the server");
    ck_assert(!is_healthy());
    ck_assert_str_eq(why, "destination.central: auth_failed: 401 from the server");
    ck_assert_str_eq(get(get(put(), "health"), "last_error")->valuestring, why);
}
END_TEST

START_TEST(a_destination_that_is_away_counts_after_a_minute)
{
    relay.destinations[0].status = RELAY_RETRYING;
    relay.destinations[0].status_since_ns = NOW_NS - 59 * NS_PER_S;
    ck_assert(is_healthy());
    relay.destinations[0].status_since_ns = NOW_NS - 61 * NS_PER_S;
    ck_assert(!is_healthy());
    relay.destinations[0].status = RELAY_DISABLED;
    ck_assert(is_healthy());
}
END_TEST

START_TEST(each_part_can_be_what_is_wrong)
{
    snprintf(relay.spool_error, sizeof relay.spool_error, "disk full");
    ck_assert(!is_healthy() && strstr(why, "disk full"));
    relay.spool_error[0] = '\0';
    report.config.error = "line 3";
    ck_assert(!is_healthy() && strstr(why, "line 3"));
    ck_assert_str_eq(get(get(put(), "config"), "status")->valuestring, "failed");
    report.config.error = "";
    report.settings.error = "conflict";
    ck_assert(is_healthy()); /* another process keeps the settings */
    report.settings.is_on = true;
    ck_assert(!is_healthy() && strstr(why, "conflict"));
    report.settings.error = "";
    report.enrollment.is_wanted = true;
    ck_assert(!is_healthy() && strstr(why, "enrollment"));
    report.enrollment.is_enrolled = true;
    ck_assert(is_healthy());
}
END_TEST

START_TEST(counts_and_times_are_those_of_the_relay)
{
    struct relay_destination_state *d = &relay.destinations[0];
    d->sent_records_total = 7;
    d->backlog_requests = 1;
    d->backlog_records = 3;
    d->consecutive_failures = 2;
    d->last_status = 503;
    d->last_success_ns = NOW_NS;
    relay.signals[OTLP_LOGS] =
        (struct relay_signal_state){.last_received_ns = NOW_NS, .records_total = 11};
    relay.spool = (struct spool_state){.requests = 1,
                                       .items = 3,
                                       .bytes = 99,
                                       .oldest_ns = NOW_NS - 90 * NS_PER_S,
                                       .evicted_total = 5,
                                       .quarantined_total = 6,
                                       .disk_free_bytes = 100 * MIB};
    relay.ledger_count = 1;
    relay.ledger[0] = (struct spool_ledger_entry){.reason = SPOOL_LOSS_EVICTED_AGE,
                                                  .destination = "central",
                                                  .signal = OTLP_TRACES,
                                                  .records = 5,
                                                  .from_ns = NOW_NS,
                                                  .to_ns = NOW_NS};
    report.doctor.ran = true;
    report.doctor.failed = 4;

    const cJSON *all = put();
    const cJSON *destination = cJSON_GetArrayItem(get(all, "destinations"), 0);
    ck_assert_str_eq(get(destination, "name")->valuestring, "central");
    ck_assert_str_eq(get(destination, "state")->valuestring, "ok");
    ck_assert_int_eq(get(destination, "sent_records_total")->valueint, 7);
    ck_assert_int_eq(get(destination, "backlog_records")->valueint, 3);
    ck_assert_int_eq(get(destination, "consecutive_failures")->valueint, 2);
    ck_assert_int_eq(get(destination, "last_status")->valueint, 503);
    ck_assert_str_eq(get(destination, "last_success_at")->valuestring, "2023-11-14T22:13:20.000Z");

    const cJSON *logs = get(get(all, "signals"), "logs");
    ck_assert_int_eq(get(logs, "records_total")->valueint, 11);
    ck_assert(cJSON_IsNull(get(get(get(all, "signals"), "metrics"), "last_received_at")));

    const cJSON *spool = get(all, "spool");
    ck_assert_int_eq(get(spool, "records")->valueint, 3);
    ck_assert_int_eq(get(spool, "bytes")->valueint, 99);
    ck_assert_int_eq(get(spool, "oldest_age_seconds")->valueint, 90);
    ck_assert_int_eq(get(spool, "evicted_total")->valueint, 5);
    ck_assert_int_eq(get(spool, "quarantined_total")->valueint, 6);
    ck_assert_int_eq(get(spool, "disk_free_bytes")->valueint, 64 * 1024 * 1024);

    const cJSON *loss = cJSON_GetArrayItem(get(all, "ledger"), 0);
    ck_assert_str_eq(get(loss, "reason")->valuestring, spool_loss_name(SPOOL_LOSS_EVICTED_AGE));
    ck_assert_str_eq(get(loss, "signal")->valuestring, "traces");
    ck_assert_int_eq(get(loss, "records")->valueint, 5);
    ck_assert_int_eq(get(get(all, "doctor"), "failed")->valueint, 4);
    ck_assert_int_eq(cJSON_GetArraySize(get(all, "users")), 0);
    ck_assert_int_eq(cJSON_GetArraySize(get(all, "claude")), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report");
    TCase *tests = tcase_create("report");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, all_is_well_when_nothing_is_wrong);
    tcase_add_test(tests, a_destination_that_refuses_counts_at_once);
    tcase_add_test(tests, a_destination_that_is_away_counts_after_a_minute);
    tcase_add_test(tests, each_part_can_be_what_is_wrong);
    tcase_add_test(tests, counts_and_times_are_those_of_the_relay);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
