#include "agent/heartbeat/heartbeat.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "platform/fs.h"
#include "platform/platform.h"
#include "tests/agent/fake_server.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static struct error err;
static char *dir;
static struct loop *loop;
static struct http_client *client;
static struct fake_server *server;
static struct heartbeat *heartbeat;

/* The server's side. */
static int next_status;
static const char *next_answer;
static cJSON *beats[8], *report;
static unsigned beat_count, stop_after;
static char authorization[80];

/* The agent's side. */
static const char *token;
static char rotated[80];
static unsigned unauthorized_count, left_count;
static char examined[200];

static void answer(void *context, const struct http_request *request,
                   struct http_exchange *exchange)
{
    (void)context;
    cJSON *body = cJSON_ParseWithLength((const char *)request->body.data, request->body.len);
    ck_assert_ptr_nonnull(body);
    struct bytes header = http_request_header(request, "Authorization");
    snprintf(authorization, sizeof authorization, "%.*s", (int)header.len,
             (const char *)header.data);
    if (bytes_equal_text(request->path, "/api/v1/doctor-reports")) {
        cJSON_Delete(report);
        report = body;
        http_respond_json(exchange, 200, bytes_of("{}"));
        loop_stop(loop);
        return;
    }
    ck_assert(bytes_equal_text(request->path, "/api/v1/heartbeat"));
    ck_assert_uint_lt(beat_count, 8);
    beats[beat_count++] = body;
    http_respond_json(exchange, next_status, bytes_of(next_answer));
}

static const char *current_token(void *context)
{
    (void)context;
    return token;
}

static void put_report(void *context, struct json_writer *w)
{
    (void)context;
    json_put_key(w, "health");
    json_object_open(w);
    json_put_key(w, "healthy");
    json_put_bool(w, true);
    json_object_close(w);
}

static void on_rotated(void *context, const char *new_token)
{
    (void)context;
    snprintf(rotated, sizeof rotated, "%s", new_token);
    token = rotated;
}

static void on_unauthorized(void *context)
{
    (void)context;
    unauthorized_count++;
}

static void on_examined(void *context, struct bytes text)
{
    (void)context;
    snprintf(examined, sizeof examined, "%.*s", (int)text.len, (const char *)text.data);
}

static void create(const char *url, const char *const *doctor)
{
    struct heartbeat_options options = {
        .server_url = url,
        .agent_version = "1.2.3",
        .state_dir = dir,
        .fs = &fs_real,
        .interval_seconds = 3600,
        .doctor = doctor,
        .token = current_token,
        .put_report = put_report,
        .rotated = on_rotated,
        .unauthorized = on_unauthorized,
        .examined = on_examined,
    };
    heartbeat = heartbeat_create(loop, client, &options, &platform_clock, NULL);
}

static void set_up(void)
{
    dir = temp_dir_make();
    loop = loop_create(&err);
    client = http_client_create(loop, &err);
    server = fake_server_create(loop, answer, NULL);
    token = "ct_one";
    next_status = 200;
    next_answer = "{}";
}

static void tear_down(void)
{
    heartbeat_destroy(heartbeat);
    http_client_destroy(client);
    fake_server_destroy(server);
    loop_destroy(loop);
    for (unsigned i = 0; i < beat_count; i++)
        cJSON_Delete(beats[i]);
    cJSON_Delete(report);
    temp_dir_remove(dir);
}

/* Runs until this many heartbeats were answered, whatever the answers said. */
static void check_progress(void *context)
{
    struct heartbeat_status status;
    struct loop_timer **timer = context;
    heartbeat_status(heartbeat, &status);
    bool settled = status.last_success_ns > 0 || status.offline_since_ns > 0;
    if (beat_count >= stop_after && settled && status.sequence_num >= stop_after)
        loop_stop(loop);
    else
        loop_timer_set(*timer, 2);
}

static void run_until_beats(unsigned count)
{
    struct loop_timer *timer = NULL;
    stop_after = count;
    timer = loop_timer_create(loop, check_progress, &timer);
    loop_timer_set(timer, 2);
    run_loop(loop);
    loop_timer_destroy(timer);
}

static const cJSON *get(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static void stop_loop(void *context)
{
    left_count++;
    loop_stop(context);
}

/* Lets what is under way end: the answer to the last request has no other effect to wait for. */
static void run_for_ms(unsigned ms)
{
    struct loop_timer *timer = loop_timer_create(loop, stop_loop, loop);
    loop_timer_set(timer, ms);
    run_loop(loop);
    loop_timer_destroy(timer);
    left_count--;
}

START_TEST(a_heartbeat_names_the_agent_and_carries_the_report)
{
    create(fake_server_url(server), NULL);
    run_until_beats(1);
    const cJSON *beat = beats[0];
    ck_assert_uint_eq(strlen(get(beat, "instance_uid")->valuestring), 36);
    ck_assert_int_eq(get(beat, "sequence_num")->valueint, 1);
    ck_assert_str_eq(get(beat, "agent_version")->valuestring, "1.2.3");
    ck_assert(cJSON_IsString(get(beat, "sent_at")));
    ck_assert(cJSON_IsTrue(get(get(beat, "health"), "healthy")));
    ck_assert(cJSON_IsFalse(get(beat, "agent_disconnect")));
    ck_assert_ptr_null(get(beat, "offline_reason"));
    ck_assert_str_eq(authorization, "Bearer ct_one");
}
END_TEST

START_TEST(sequence_numbers_grow_and_the_instance_stays)
{
    create(fake_server_url(server), NULL);
    run_until_beats(1);
    heartbeat_poke(heartbeat);
    run_until_beats(2);
    ck_assert_int_eq(get(beats[1], "sequence_num")->valueint, 2);
    ck_assert_str_eq(get(beats[1], "instance_uid")->valuestring,
                     get(beats[0], "instance_uid")->valuestring);
}
END_TEST

START_TEST(the_server_sets_the_interval_and_rotates_the_token)
{
    struct heartbeat_status status;
    next_answer = "{\"heartbeat_interval_seconds\":1,\"device_token\":\"ct_two\"}";
    create(fake_server_url(server), NULL);
    run_until_beats(2); /* the second comes by itself, after a second */
    heartbeat_status(heartbeat, &status);
    ck_assert_uint_eq(status.interval_seconds, 1);
    ck_assert_str_eq(rotated, "ct_two");
    ck_assert_str_eq(authorization, "Bearer ct_two");
}
END_TEST

START_TEST(an_absurd_interval_is_not_obeyed)
{
    static const char *const absurd[] = {"{\"heartbeat_interval_seconds\":0}",
                                         "{\"heartbeat_interval_seconds\":-5}",
                                         "{\"heartbeat_interval_seconds\":1e12}",
                                         "{\"heartbeat_interval_seconds\":\"60\"}", "nonsense"};
    struct heartbeat_status status;
    next_answer = absurd[_i];
    create(fake_server_url(server), NULL);
    run_until_beats(1);
    run_for_ms(20);
    heartbeat_status(heartbeat, &status);
    ck_assert_uint_eq(status.interval_seconds, 3600);
}
END_TEST

START_TEST(after_an_outage_it_says_how_long_and_why)
{
    struct heartbeat_status status;
    next_status = 503;
    create(fake_server_url(server), NULL);
    run_until_beats(1);
    heartbeat_status(heartbeat, &status);
    ck_assert_uint_gt(status.offline_since_ns, 0);
    ck_assert_ptr_nonnull(strstr(status.last_error, "503"));

    next_status = 200;
    heartbeat_poke(heartbeat);
    run_until_beats(2);
    run_for_ms(20);
    ck_assert_ptr_nonnull(strstr(get(beats[1], "offline_reason")->valuestring, "503"));
    heartbeat_status(heartbeat, &status);
    ck_assert_uint_eq(status.offline_since_ns, 0);

    heartbeat_poke(heartbeat);
    run_until_beats(3);
    ck_assert_ptr_null(get(beats[2], "offline_reason"));
}
END_TEST

/* What the file said before, and what the first heartbeat of a new process says of it. */
static void put_outage(const char *text)
{
    expect_ok(fs_replace_file_in(&fs_real, dir, "outage.json", bytes_of(text), 0600, &err));
}

static bool outage_is_kept(void)
{
    struct fs_stat stat;
    char *path = xasprintf("%s/outage.json", dir);
    bool there = fs_real.stat(fs_real.disk, path, &stat, &err);
    free(path);
    return there;
}

START_TEST(an_outage_outlives_a_restart_and_is_told_once)
{
    struct heartbeat_status before, after;
    next_status = 503;
    create(fake_server_url(server), NULL);
    run_until_beats(1);
    heartbeat_status(heartbeat, &before);
    heartbeat_destroy(heartbeat);
    ck_assert(outage_is_kept());

    create(fake_server_url(server), NULL);
    heartbeat_status(heartbeat, &after);
    ck_assert_uint_eq(after.offline_since_ns / NS_PER_MS, before.offline_since_ns / NS_PER_MS);
    next_status = 200;
    while (beat_count < 2)
        run_for_ms(2);
    run_for_ms(20);
    ck_assert_ptr_nonnull(strstr(get(beats[1], "offline_reason")->valuestring, "503"));
    ck_assert(!outage_is_kept());

    heartbeat_destroy(heartbeat);
    create(fake_server_url(server), NULL);
    run_until_beats(1);
    while (beat_count < 3)
        run_for_ms(2);
    ck_assert_ptr_null(get(beats[2], "offline_reason"));
}
END_TEST

START_TEST(an_outage_is_as_long_as_it_was_with_the_restart)
{
    char text[100];
    unsigned seconds;
    uint64_t since_ms = clock_wall_ns(&platform_clock) / NS_PER_MS - 3600 * 1000;
    snprintf(text, sizeof text, "{\"since_ms\":%llu,\"why\":\"connect: refused\"}",
             (unsigned long long)since_ms);
    put_outage(text);
    create(fake_server_url(server), NULL);
    while (beat_count < 1)
        run_for_ms(2);
    ck_assert_int_eq(sscanf(get(beats[0], "offline_reason")->valuestring, "%u s: connect: refused",
                            &seconds),
                     1);
    ck_assert_uint_ge(seconds, 3600);
    ck_assert_uint_lt(seconds, 3700);
}
END_TEST

START_TEST(a_file_that_cannot_be_true_tells_of_no_outage)
{
    static const char *const files[] = {"",
                                        "nonsense",
                                        "{}",
                                        "{\"since_ms\":-1,\"why\":\"x\"}",
                                        "{\"since_ms\":1}",
                                        "{\"since_ms\":9e15,\"why\":\"the clock was ahead\"}"};
    put_outage(files[_i]);
    create(fake_server_url(server), NULL);
    run_until_beats(1);
    ck_assert_ptr_null(get(beats[0], "offline_reason"));
}
END_TEST

START_TEST(a_network_that_goes_before_the_goodbye_is_no_outage)
{
    next_status = 503;
    create(fake_server_url(server), NULL);
    heartbeat_goodbye(heartbeat, 5000, stop_loop, loop);
    run_loop(loop);
    ck_assert_uint_eq(beat_count, 1);
    ck_assert(!outage_is_kept());
}
END_TEST

START_TEST(without_a_token_it_waits_for_one)
{
    token = NULL;
    create(fake_server_url(server), NULL);
    run_for_ms(50);
    ck_assert_uint_eq(beat_count, 0);
    token = "ct_late";
    heartbeat_poke(heartbeat);
    run_until_beats(1);
    ck_assert_str_eq(authorization, "Bearer ct_late");
}
END_TEST

START_TEST(a_token_that_is_no_longer_good_is_reported)
{
    next_status = 401;
    create(fake_server_url(server), NULL);
    run_until_beats(1);
    run_for_ms(20);
    ck_assert_uint_eq(unauthorized_count, 1);
}
END_TEST

START_TEST(goodbye_is_said_and_waited_for)
{
    create(fake_server_url(server), NULL);
    run_until_beats(1);
    heartbeat_goodbye(heartbeat, 5000, stop_loop, loop);
    run_loop(loop);
    ck_assert_uint_eq(left_count, 1);
    ck_assert_uint_eq(beat_count, 2);
    ck_assert(cJSON_IsTrue(get(beats[1], "agent_disconnect")));
}
END_TEST

START_TEST(goodbye_does_not_wait_for_a_server_that_is_gone)
{
    token = NULL;
    create(fake_server_url(server), NULL);
    heartbeat_goodbye(heartbeat, 5000, stop_loop, loop);
    run_loop(loop);
    ck_assert_uint_eq(left_count, 1);
    ck_assert_uint_eq(beat_count, 0);
}
END_TEST

static const char command[] = "{\"commands\":[{\"id\":\"c-1\",\"type\":\"reboot\"},"
                              "{\"id\":\"c-2\",\"type\":\"doctor\"},{\"type\":\"doctor\"},7]}";

START_TEST(the_doctor_is_run_once_per_command_and_its_report_sent)
{
    const char *const doctor[] = {"/bin/sh", "-c", "echo '{\"summary\":{\"fail\":2}}'", NULL};
    next_answer = command;
    create(fake_server_url(server), doctor);
    run_loop(loop); /* until the report comes */
    ck_assert_str_eq(get(report, "command_id")->valuestring, "c-2");
    ck_assert_int_eq(get(get(get(report, "report"), "summary"), "fail")->valueint, 2);
    ck_assert_ptr_null(get(report, "error"));
    ck_assert_str_eq(examined, "{\"summary\":{\"fail\":2}}\n");

    run_for_ms(20);
    cJSON_Delete(report);
    report = NULL;
    heartbeat_poke(heartbeat);
    run_until_beats(2);
    run_for_ms(100);
    ck_assert_ptr_null(report);
}
END_TEST

START_TEST(a_doctor_that_gives_no_report_is_reported)
{
    const char *const broken[] = {"/bin/sh", "-c", "exit 3", NULL};
    const char *const chatty[] = {"/bin/sh", "-c", "echo hello", NULL};
    const char *const missing[] = {"/nonexistent/doctor", NULL};
    const char *const *const doctors[] = {NULL, broken, chatty, missing};
    static const char *const parts[] = {"not installed", "code 3", "not JSON",
                                        "/nonexistent/doctor"};
    next_answer = command;
    create(fake_server_url(server), doctors[_i]);
    run_loop(loop);
    ck_assert(cJSON_IsNull(get(report, "report")));
    ck_assert_msg(strstr(get(report, "error")->valuestring, parts[_i]), "%s",
                  get(report, "error")->valuestring);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("heartbeat");
    TCase *tests = tcase_create("heartbeat");
    tcase_set_timeout(tests, 20);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_heartbeat_names_the_agent_and_carries_the_report);
    tcase_add_test(tests, sequence_numbers_grow_and_the_instance_stays);
    tcase_add_test(tests, the_server_sets_the_interval_and_rotates_the_token);
    tcase_add_loop_test(tests, an_absurd_interval_is_not_obeyed, 0, 5);
    tcase_add_test(tests, after_an_outage_it_says_how_long_and_why);
    tcase_add_test(tests, an_outage_outlives_a_restart_and_is_told_once);
    tcase_add_test(tests, an_outage_is_as_long_as_it_was_with_the_restart);
    tcase_add_loop_test(tests, a_file_that_cannot_be_true_tells_of_no_outage, 0, 6);
    tcase_add_test(tests, a_network_that_goes_before_the_goodbye_is_no_outage);
    tcase_add_test(tests, without_a_token_it_waits_for_one);
    tcase_add_test(tests, a_token_that_is_no_longer_good_is_reported);
    tcase_add_test(tests, goodbye_is_said_and_waited_for);
    tcase_add_test(tests, goodbye_does_not_wait_for_a_server_that_is_gone);
    tcase_add_test(tests, the_doctor_is_run_once_per_command_and_its_report_sent);
    tcase_add_loop_test(tests, a_doctor_that_gives_no_report_is_reported, 0, 4);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
