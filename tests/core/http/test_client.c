#include <stdio.h>
#include <string.h>

#include "core/event/loop.h"
#include "core/http/client.h"
#include "platform/socket.h"
#include "tests/support/canned_peer.h"
#include "tests/support/environment.h"
#include "tests/support/expect.h"

static const char ok_answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Seen: yes\r\n\r\nhello";

static struct error err;
static struct loop *loop;
static struct http_client *client;
static char url[128];

/* A result kept beyond the callback. */
static struct {
    int count;
    enum http_stage stage;
    int status;
    char body[256];
    char header[64];
    char error[256];
} last;

static void setup(void)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY",  "no_proxy",    "NO_PROXY"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        environment_set(names[i], NULL);
    memset(&last, 0, sizeof last);
    loop = loop_create(&err);
    client = http_client_create(loop, &err);
    ck_assert_ptr_nonnull(client);
}

static void teardown(void)
{
    http_client_destroy(client);
    loop_destroy(loop);
}

static void on_done(void *context, const struct http_result *result)
{
    (void)context;
    last.count++;
    last.stage = result->stage;
    last.status = result->status;
    struct bytes header = http_result_header(result, "x-seen");
    snprintf(last.body, sizeof last.body, "%.*s", (int)result->body.len,
             result->body.data ? (const char *)result->body.data : "");
    snprintf(last.header, sizeof last.header, "%.*s", (int)header.len,
             header.data ? (const char *)header.data : "");
    snprintf(last.error, sizeof last.error, "%s", result->error);
    loop_stop(loop);
}

static const char *url_of(uint16_t port)
{
    snprintf(url, sizeof url, "http://127.0.0.1:%u/path", port);
    return url;
}

static void run(const struct http_call *call)
{
    ck_assert_ptr_nonnull(http_client_start(client, call, on_done, NULL));
    ck_assert_int_eq(last.count, 0); /* never from inside the call */
    loop_run(loop);
    ck_assert_int_eq(last.count, 1);
    last.count = 0;
}

/* Whether one of its lines starts with this, in whatever case. */
static bool has_header(const char *request, const char *name)
{
    for (const char *at = request; (at = strstr(at, "\r\n")); at += 2)
        if (strncasecmp(at + 2, name, strlen(name)) == 0)
            return true;
    return false;
}

START_TEST(a_post_carries_its_headers_and_body_and_nothing_surprising)
{
    struct canned_peer *peer = canned_peer_create(ok_answer);
    const char *headers[] = {"X-Token: t", NULL};
    run(&(struct http_call){.method = "POST",
                            .url = url_of(canned_peer_port(peer)),
                            .headers = headers,
                            .body = bytes_of("payload")});
    ck_assert_int_eq(last.stage, HTTP_STAGE_DONE);
    ck_assert_int_eq(last.status, 200);
    ck_assert_str_eq(last.body, "hello");
    ck_assert_str_eq(last.header, "yes");
    const char *request = canned_peer_request(peer);
    ck_assert_ptr_eq(strstr(request, "POST /path HTTP/1.1\r\n"), request);
    ck_assert_ptr_nonnull(strstr(request, "\r\nX-Token: t\r\n"));
    ck_assert_ptr_nonnull(strstr(request, "\r\nContent-Length: 7\r\n"));
    ck_assert_ptr_nonnull(strstr(request, "\r\n\r\npayload"));
    ck_assert(!has_header(request, "expect:"));
    ck_assert(!has_header(request, "content-type:"));
    canned_peer_destroy(peer);
}
END_TEST

START_TEST(other_methods_are_sent_as_named)
{
    struct canned_peer *peer = canned_peer_create(ok_answer);
    run(&(struct http_call){.method = "GET", .url = url_of(canned_peer_port(peer))});
    ck_assert_ptr_eq(strstr(canned_peer_request(peer), "GET "), canned_peer_request(peer));
    run(&(struct http_call){.method = "PUT",
                            .url = url_of(canned_peer_port(peer)),
                            .body = bytes_of("x")});
    ck_assert_ptr_eq(strstr(canned_peer_request(peer), "PUT "), canned_peer_request(peer));
    canned_peer_destroy(peer);
}
END_TEST

START_TEST(connections_are_reused)
{
    struct canned_peer *peer = canned_peer_create(ok_answer);
    for (int i = 0; i < 5; i++) {
        run(&(struct http_call){.method = "POST", .url = url_of(canned_peer_port(peer))});
        ck_assert_int_eq(last.status, 200);
    }
    ck_assert_int_eq(canned_peer_connections(peer), 1);
    http_client_destroy(client);
    client = NULL;
    canned_peer_destroy(peer);
}
END_TEST

START_TEST(interim_answers_are_not_mistaken_for_the_answer)
{
    struct canned_peer *peer = canned_peer_create("HTTP/1.1 100 Continue\r\nX-Seen: no\r\n\r\n"
                                                  "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n");
    run(&(struct http_call){.method = "POST", .url = url_of(canned_peer_port(peer))});
    ck_assert_int_eq(last.stage, HTTP_STAGE_DONE);
    ck_assert_int_eq(last.status, 429);
    ck_assert_str_eq(last.header, "");
    canned_peer_destroy(peer);
}
END_TEST

START_TEST(an_answer_over_the_limit_is_a_failure_that_says_so)
{
    struct canned_peer *peer = canned_peer_create(ok_answer);
    struct http_call call = {.method = "GET", .url = url_of(canned_peer_port(peer))};
    call.max_answer_bytes = 5;
    run(&call);
    ck_assert_int_eq(last.stage, HTTP_STAGE_DONE);
    call.max_answer_bytes = 4;
    run(&call);
    ck_assert_int_eq(last.stage, HTTP_STAGE_SEND);
    ck_assert_int_eq(last.status, 0);
    ck_assert_str_eq(last.error, "the answer exceeds 4 bytes");
    canned_peer_destroy(peer);
}
END_TEST

START_TEST(a_refused_connection_is_told_from_an_unknown_name)
{
    /* A client's own port is taken, and nobody listens there. */
    struct canned_peer *peer = canned_peer_create(NULL);
    char port[8];
    snprintf(port, sizeof port, "%u", canned_peer_port(peer));
    int fd = socket_connect("127.0.0.1", port, 10000, &err);
    ck_assert_msg(fd >= 0, "%s", err.cause);
    run(&(struct http_call){.method = "GET", .url = url_of(socket_port(fd))});
    ck_assert_int_eq(last.stage, HTTP_STAGE_CONNECT);
    ck_assert_str_ne(last.error, "");
    socket_close(fd);
    canned_peer_destroy(peer);

    run(&(struct http_call){.method = "GET", .url = "http://no-such-host.invalid/"});
    ck_assert_int_eq(last.stage, HTTP_STAGE_RESOLVE);
    run(&(struct http_call){.method = "GET", .url = "http://"});
    ck_assert_int_eq(last.stage, HTTP_STAGE_RESOLVE);
    run(&(struct http_call){.method = "GET", .url = "file:///etc/passwd"});
    ck_assert_int_eq(last.stage, HTTP_STAGE_RESOLVE);
}
END_TEST

START_TEST(silence_ends_at_the_timeout)
{
    struct canned_peer *peer = canned_peer_create(NULL);
    run(&(struct http_call){.method = "GET",
                            .url = url_of(canned_peer_port(peer)),
                            .timeout_ms = 50});
    ck_assert_int_eq(last.stage, HTTP_STAGE_SEND);

    snprintf(url, sizeof url, "https://127.0.0.1:%u/", canned_peer_port(peer));
    run(&(struct http_call){.method = "GET", .url = url, .timeout_ms = 50});
    ck_assert_int_eq(last.stage, HTTP_STAGE_TLS);
    http_client_destroy(client);
    client = NULL;
    canned_peer_destroy(peer);
}
END_TEST

START_TEST(a_peer_without_tls_fails_at_the_tls_stage)
{
    struct canned_peer *peer = canned_peer_create(ok_answer);
    /* The peer reads until a blank line, which a handshake lacks; its end comes by the timeout. */
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", canned_peer_port(peer));
    run(&(struct http_call){.method = "GET", .url = url, .connect_timeout_ms = 50});
    ck_assert_int_eq(last.stage, HTTP_STAGE_TLS);
    http_client_destroy(client);
    client = NULL;
    canned_peer_destroy(peer);
}
END_TEST

START_TEST(what_is_no_http_fails_behind_the_connection_not_at_the_name)
{
    struct canned_peer *peer = canned_peer_create("220 mail.example ESMTP\r\n");
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", canned_peer_port(peer));
    run(&(struct http_call){.method = "GET", .url = url});
    ck_assert_int_eq(last.stage, HTTP_STAGE_SEND);
    http_client_destroy(client);
    client = NULL;
    canned_peer_destroy(peer);
}
END_TEST

static void use_proxy(uint16_t port)
{
    char proxy[64];
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", port);
    environment_set("http_proxy", proxy);
}

START_TEST(the_proxy_of_the_environment_is_used)
{
    struct canned_peer *proxy = canned_peer_create(ok_answer);
    use_proxy(canned_peer_port(proxy));
    run(&(struct http_call){.method = "GET", .url = "http://telemetry.invalid/x"});
    ck_assert_int_eq(last.status, 200);
    const char *expected = "GET http://telemetry.invalid/x HTTP/1.1";
    ck_assert_int_eq(strncmp(canned_peer_request(proxy), expected, strlen(expected)), 0);

    environment_set("NO_PROXY", "telemetry.invalid");
    run(&(struct http_call){.method = "GET", .url = "http://telemetry.invalid/x"});
    ck_assert_int_eq(last.stage, HTTP_STAGE_RESOLVE);
    canned_peer_destroy(proxy);
}
END_TEST

START_TEST(a_proxy_that_refuses_the_tunnel_is_a_connect_failure)
{
    struct canned_peer *proxy =
        canned_peer_create("HTTP/1.1 407 Who\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    char address[64];
    snprintf(address, sizeof address, "http://127.0.0.1:%u", canned_peer_port(proxy));
    run(&(
        struct http_call){.method = "GET", .url = "https://telemetry.invalid/", .proxy = address});
    ck_assert_int_eq(last.stage, HTTP_STAGE_CONNECT);
    ck_assert_ptr_nonnull(strstr(last.error, "407"));
    canned_peer_destroy(proxy);
}
END_TEST

START_TEST(loopback_is_never_proxied)
{
    struct canned_peer *proxy =
        canned_peer_create("HTTP/1.1 502 Proxy\r\nContent-Length: 0\r\n\r\n");
    struct canned_peer *peer = canned_peer_create(ok_answer);
    use_proxy(canned_peer_port(proxy));
    static const char *const hosts[] = {"127.0.0.1", "localhost", "LOCALHOST", "127.0.0.9",
                                        "127.1"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        snprintf(url, sizeof url, "http://%s:%u/", hosts[i], canned_peer_port(peer));
        run(&(struct http_call){.method = "GET", .url = url});
        ck_assert_int_ne(last.status, 502);
    }
    run(&(struct http_call){.method = "GET", .url = "http://127.evil.invalid/"});
    ck_assert_int_eq(last.status, 502);
    http_client_destroy(client);
    client = NULL;
    canned_peer_destroy(peer);
    canned_peer_destroy(proxy);
}
END_TEST

static void give_up(void *transfer)
{
    http_client_cancel(transfer);
    loop_stop(loop);
}

START_TEST(a_cancelled_transfer_never_calls_back)
{
    struct canned_peer *peer = canned_peer_create(NULL);
    struct http_call call = {.method = "GET", .url = url_of(canned_peer_port(peer))};
    loop_post(loop, give_up, http_client_start(client, &call, on_done, NULL));
    loop_run(loop);
    http_client_start(client, &call, on_done, NULL); /* destroy cuts this one */
    http_client_destroy(client);
    client = NULL;
    ck_assert_int_eq(last.count, 0);
    canned_peer_destroy(peer);
}
END_TEST

START_TEST(the_blocking_call_gives_the_same_answers)
{
    struct canned_peer *peer = canned_peer_create(ok_answer);
    struct buffer body = {0}, headers = {0};
    struct http_result result;
    http_client_perform(&(struct http_call){.method = "GET", .url = url_of(canned_peer_port(peer))},
                        &result, &body, &headers);
    ck_assert_int_eq(result.status, 200);
    expect_text(result.body, "hello");
    expect_text(http_result_header(&result, "X-Seen"), "yes");
    canned_peer_destroy(peer);

    http_client_perform(&(struct http_call){.method = "GET", .url = "http://no.invalid/"}, &result,
                        &body, &headers);
    ck_assert_int_eq(result.stage, HTTP_STAGE_RESOLVE);
    ck_assert_int_eq(result.status, 0);
    ck_assert_uint_eq(result.body.len, 0);
    ck_assert_str_ne(result.error, "");
    buffer_clear(&body);
    buffer_clear(&headers);
}
END_TEST

START_TEST(blocking_calls_over_a_line_share_its_connection)
{
    struct canned_peer *peer = canned_peer_create(ok_answer);
    struct http_line *line = http_line_create();
    struct buffer body = {0}, headers = {0};
    struct http_result result;
    const char *const named[] = {"X-Name: value", NULL};
    for (int i = 0; i < 5; i++) {
        http_client_perform(&(struct http_call){.method = i % 2 ? "GET" : "POST",
                                                .url = url_of(canned_peer_port(peer)),
                                                .headers = i ? NULL : named,
                                                .line = line},
                            &result, &body, &headers);
        ck_assert_int_eq(result.status, 200);
        expect_text(result.body, "hello");
    }
    ck_assert_int_eq(canned_peer_connections(peer), 1);
    http_line_destroy(line);
    canned_peer_destroy(peer);
    buffer_clear(&body);
    buffer_clear(&headers);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 20);
    tcase_add_test(tests, a_post_carries_its_headers_and_body_and_nothing_surprising);
    tcase_add_test(tests, other_methods_are_sent_as_named);
    tcase_add_test(tests, connections_are_reused);
    tcase_add_test(tests, blocking_calls_over_a_line_share_its_connection);
    tcase_add_test(tests, interim_answers_are_not_mistaken_for_the_answer);
    tcase_add_test(tests, an_answer_over_the_limit_is_a_failure_that_says_so);
    tcase_add_test(tests, a_refused_connection_is_told_from_an_unknown_name);
    tcase_add_test(tests, silence_ends_at_the_timeout);
    tcase_add_test(tests, a_peer_without_tls_fails_at_the_tls_stage);
    tcase_add_test(tests, what_is_no_http_fails_behind_the_connection_not_at_the_name);
    tcase_add_test(tests, the_proxy_of_the_environment_is_used);
    tcase_add_test(tests, a_proxy_that_refuses_the_tunnel_is_a_connect_failure);
    tcase_add_test(tests, loopback_is_never_proxied);
    tcase_add_test(tests, a_cancelled_transfer_never_calls_back);
    tcase_add_test(tests, the_blocking_call_gives_the_same_answers);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
