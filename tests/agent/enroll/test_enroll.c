#include "agent/enroll/enroll.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "platform/platform.h"
#include "tests/agent/fake_server.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static struct error err;
static char *root, *state, *secret;
static struct loop *loop;
static struct http_client *client;
static struct fake_server *server;
static struct enroll *enroll;

/* What the server answers, in turn; the last one again and again. */
static struct {
    int status;
    const char *json;
} script[8];
static unsigned script_at, script_len;
static char last_path[64];
static cJSON *last_body;

/* What the agent was told. */
static struct device enrolled;
static unsigned enrolled_count, failed_count, failures_until_stop;
static struct error last_failure;
static const char *new_secret; /* written when the first failure is seen */

static void answer(void *context, const struct http_request *request,
                   struct http_exchange *exchange)
{
    (void)context;
    snprintf(last_path, sizeof last_path, "%.*s", (int)request->path.len,
             (const char *)request->path.data);
    cJSON_Delete(last_body);
    last_body = cJSON_ParseWithLength((const char *)request->body.data, request->body.len);
    unsigned at = script_at < script_len ? script_at++ : script_len - 1;
    http_respond_json(exchange, script[at].status, bytes_of(script[at].json));
}

static void put_users(void *context, struct json_writer *w)
{
    (void)context;
    json_array_open(w);
    json_object_open(w);
    json_put_key(w, "local_user");
    json_put_string(w, "alice");
    json_put_key(w, "email");
    json_put_string(w, "alice@example.com");
    json_object_close(w);
    json_array_close(w);
}

static void on_enrolled(void *context, const struct device *device)
{
    (void)context;
    enrolled = *device;
    enrolled_count++;
    loop_stop(loop);
}

static void write_secret(const char *text)
{
    expect_ok(fs_replace_file(&fs_real, secret, bytes_of(text), 0600, &err));
}

static void on_failed(void *context, const struct error *failure)
{
    (void)context;
    last_failure = *failure;
    failed_count++;
    if (new_secret)
        write_secret(new_secret);
    if (failed_count == failures_until_stop)
        loop_stop(loop);
}

static void create(const char *url)
{
    struct enroll_options options = {
        .server_url = url,
        .secret_file = secret,
        .root = root,
        .state_dir = state,
        .agent_version = "1.2.3",
        .retry_first_ms = 1,
        .refused_first_ms = 1,
        .put_users = put_users,
        .enrolled = on_enrolled,
        .failed = on_failed,
    };
    enroll = enroll_create(loop, client, &options, &fs_real, &platform_clock, NULL);
}

static void set_up(void)
{
    root = temp_dir_make();
    state = xasprintf("%s/state", root);
    secret = xasprintf("%s/secret", root);
    write_secret("s3cret\n");
    loop = loop_create(&err);
    client = http_client_create(loop, &err);
    server = fake_server_create(loop, answer, NULL);
    create(fake_server_url(server));
}

static void tear_down(void)
{
    enroll_destroy(enroll);
    http_client_destroy(client);
    fake_server_destroy(server);
    loop_destroy(loop);
    cJSON_Delete(last_body);
    free(secret);
    free(state);
    temp_dir_remove(root);
}

static void will_answer(int status, const char *json)
{
    script[script_len].status = status;
    script[script_len++].json = json;
}

static const char *field(const char *object, const char *key)
{
    const cJSON *at = object ? cJSON_GetObjectItemCaseSensitive(last_body, object) : last_body;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(at, key);
    ck_assert_msg(cJSON_IsString(item), "%s is missing", key);
    return item->valuestring;
}

static const char good[] =
    "{\"device_id\":\"d-1\",\"device_token\":\"ct_tok\",\"heartbeat_interval_seconds\":30}";

START_TEST(the_secret_becomes_a_token_that_is_kept)
{
    struct device kept;
    will_answer(200, good);
    enroll_start(enroll);
    run_loop(loop);
    ck_assert_uint_eq(enrolled_count, 1);
    ck_assert_str_eq(enrolled.token, "ct_tok");
    ck_assert_uint_eq(enrolled.heartbeat_interval_seconds, 30);
    ck_assert_str_eq(enrolled.server_url, fake_server_url(server));
    expect_ok(device_load(&fs_real, state, &kept, &err));
    ck_assert_str_eq(kept.token, "ct_tok");

    ck_assert_str_eq(last_path, "/api/v1/enroll");
    ck_assert_str_eq(field(NULL, "enrollment_secret"), "s3cret");
    ck_assert_uint_eq(strlen(field("device", "hardware_id")), 64);
    ck_assert_str_ne(field("device", "hostname"), "");
    ck_assert_str_ne(field("device", "os"), "");
    ck_assert_str_ne(field("device", "os_version"), "");
    ck_assert_str_ne(field("device", "arch"), "");
    ck_assert_str_eq(field("device", "agent_version"), "1.2.3");
    const cJSON *users = cJSON_GetObjectItemCaseSensitive(last_body, "users");
    const cJSON *email = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(users, 0), "email");
    ck_assert_str_eq(email->valuestring, "alice@example.com");
}
END_TEST

START_TEST(a_refused_secret_is_read_again_until_it_is_right)
{
    will_answer(401, "{}");
    will_answer(200, good);
    new_secret = "better";
    enroll_start(enroll);
    run_loop(loop);
    ck_assert_uint_eq(failed_count, 1);
    ck_assert_int_eq(last_failure.kind, FAIL_DENIED);
    ck_assert_ptr_nonnull(strstr(last_failure.remedy, secret));
    ck_assert_ptr_null(strstr(last_failure.cause, "s3cret"));
    ck_assert_str_eq(field(NULL, "enrollment_secret"), "better");
    ck_assert_uint_eq(enrolled_count, 1);
}
END_TEST

START_TEST(a_server_in_trouble_is_asked_again)
{
    will_answer(503, "{}");
    will_answer(429, "{}");
    will_answer(500, "{}");
    will_answer(200, good);
    enroll_start(enroll);
    run_loop(loop);
    ck_assert_uint_eq(failed_count, 3);
    ck_assert_uint_eq(enrolled_count, 1);
}
END_TEST

START_TEST(no_server_at_all_is_no_reason_to_stop)
{
    enroll_destroy(enroll);
    create("http://127.0.0.1:1");
    failures_until_stop = 3;
    enroll_start(enroll);
    run_loop(loop);
    ck_assert_uint_eq(failed_count, 3);
    ck_assert_ptr_nonnull(strstr(last_failure.cause, "http://127.0.0.1:1"));
}
END_TEST

START_TEST(an_answer_that_is_no_enrolment_is_not_kept)
{
    static const char *const bad[] = {"",
                                      "[]",
                                      "{\"device_id\":\"d\"}",
                                      "{\"device_id\":\"d\",\"device_token\":\"a b\"}",
                                      "{\"device_id\":\"d\",\"device_token\":\"a\\r\\nX: y\"}",
                                      "<html>login</html>"};
    struct device kept;
    will_answer(200, bad[_i]);
    failures_until_stop = 1;
    enroll_start(enroll);
    run_loop(loop);
    ck_assert_uint_eq(enrolled_count, 0);
    ck_assert_ptr_nonnull(strstr(last_failure.remedy, "server.url"));
    expect_fail(device_load(&fs_real, state, &kept, &err), FAIL_NOT_FOUND);
}
END_TEST

START_TEST(other_hardware_is_explained)
{
    will_answer(409, "{}");
    failures_until_stop = 1;
    enroll_start(enroll);
    run_loop(loop);
    ck_assert_ptr_nonnull(strstr(last_failure.cause, "hardware"));
}
END_TEST

START_TEST(a_missing_secret_is_explained_and_waited_for)
{
    expect_ok(fs_real.remove(NULL, secret, &err));
    will_answer(200, good);
    new_secret = "came later";
    enroll_start(enroll);
    run_loop(loop);
    ck_assert_ptr_nonnull(strstr(last_failure.cause, secret));
    ck_assert_str_eq(field(NULL, "enrollment_secret"), "came later");
}
END_TEST

START_TEST(enrolling_again_rotates_the_token)
{
    struct device kept;
    will_answer(200, good);
    will_answer(200, "{\"device_id\":\"d-1\",\"device_token\":\"ct_new\"}");
    enroll_start(enroll);
    run_loop(loop);
    enroll_start(enroll);
    run_loop(loop);
    ck_assert_uint_eq(enrolled_count, 2);
    expect_ok(device_load(&fs_real, state, &kept, &err));
    ck_assert_str_eq(kept.token, "ct_new");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("enroll");
    TCase *tests = tcase_create("enroll");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, the_secret_becomes_a_token_that_is_kept);
    tcase_add_test(tests, a_refused_secret_is_read_again_until_it_is_right);
    tcase_add_test(tests, a_server_in_trouble_is_asked_again);
    tcase_add_test(tests, no_server_at_all_is_no_reason_to_stop);
    tcase_add_loop_test(tests, an_answer_that_is_no_enrolment_is_not_kept, 0, 6);
    tcase_add_test(tests, other_hardware_is_explained);
    tcase_add_test(tests, a_missing_secret_is_explained_and_waited_for);
    tcase_add_test(tests, enrolling_again_rotates_the_token);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
