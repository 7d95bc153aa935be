/* TLS, and what a server listens on: the server and our own client together. */
#include <stdio.h>
#include <string.h>

#include <openssl/ssl.h>

#include "core/event/loop.h"
#include "core/http/client.h"
#include "platform/socket.h"
#include "tests/core/http/echo_server.h"
#include "tests/core/http/raw.h"
#include "tests/support/certificates.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static struct error err;
static char *dir;
static struct certificates files;
static char url[300];
static struct buffer body, headers;
static struct http_result result;

static void setup(void)
{
    dir = temp_dir_make();
    body = headers = (struct buffer){.max_bytes = 16 * MIB};
}

static void teardown(void)
{
    certificates_clear(&files);
    temp_dir_remove(dir);
    buffer_clear(&body);
    buffer_clear(&headers);
}

static struct echo_server *tls_server(void)
{
    files = certificates_make(dir);
    return echo_server_create(
        &(struct http_server_options){.tls_cert_file = files.cert, .tls_key_file = files.key});
}

static void post(uint16_t port, const char *host, const char *ca_file, struct bytes data)
{
    snprintf(url, sizeof url, "https://%s:%u/echo", host, port);
    http_client_perform(&(struct http_call){.method = "POST",
                                            .url = url,
                                            .body = data,
                                            .ca_file = ca_file,
                                            .max_answer_bytes = 16 * MIB},
                        &result, &body, &headers);
}

START_TEST(tls_is_trusted_by_the_private_ca_only)
{
    struct echo_server *echo = tls_server();
    uint16_t port = echo_server_port(echo);
    post(port, "127.0.0.1", files.ca, bytes_of("secret"));
    ck_assert_msg(result.stage == HTTP_STAGE_DONE, "%s", result.error);
    ck_assert_int_eq(result.status, 200);
    expect_text(result.body, "secret");
    ck_assert(bytes_starts_with(result.headers, "date:")); /* lower case: it was HTTP/2 */

    post(port, "127.0.0.1", NULL, bytes_of("x"));
    ck_assert_int_eq(result.stage, HTTP_STAGE_TLS);
    ck_assert_msg(strstr(result.error,
                         "'127.0.0.1', issued by 'Test Authority', is refused: unable"),
                  "%s", result.error);
    post(port, "localhost", files.ca, bytes_of("x")); /* a name that the certificate lacks */
    ck_assert_int_eq(result.stage, HTTP_STAGE_TLS);
    post(port, "127.0.0.1", "/nonexistent/ca.pem", bytes_of("x"));
    ck_assert_int_eq(result.stage, HTTP_STAGE_TLS);
    ck_assert_ptr_nonnull(strstr(result.error, "/nonexistent/ca.pem"));
    echo_server_destroy(echo);
}
END_TEST

START_TEST(large_bodies_pass_over_tls)
{
    struct echo_server *echo = tls_server();
    struct buffer data = {.max_bytes = 8 * MIB};
    ck_assert(buffer_reserve(&data, 3 * MIB));
    for (size_t i = 0; i < 3 * MIB; i++)
        data.data[i] = (uint8_t)(i * 7 >> 3);
    data.len = 3 * MIB;
    post(echo_server_port(echo), "127.0.0.1", files.ca, buffer_bytes(&data));
    ck_assert_int_eq(result.status, 200);
    ck_assert(bytes_equal(result.body, buffer_bytes(&data)));
    buffer_clear(&data);
    echo_server_destroy(echo);
}
END_TEST

START_TEST(http_1_1_over_tls_is_served_too)
{
    enum { REQUESTS = 40 };
    struct echo_server *echo = tls_server();
    int fd = raw_connect(echo_server_port(echo));
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    ck_assert_int_eq(SSL_CTX_load_verify_locations(context, files.ca, NULL), 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL *tls = SSL_new(context);
    SSL_set_fd(tls, fd);
    ck_assert_int_eq(SSL_connect(tls), 1);

    /* Pipelined requests arrive in one TLS record: none may be forgotten. */
    struct buffer sent = {.max_bytes = 16384}, got = {.max_bytes = MIB};
    for (int i = 1; i < REQUESTS; i++)
        ck_assert(buffer_append_text(&sent, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n"));
    ck_assert(
        buffer_append_text(&sent, "GET /big/3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    ck_assert_int_eq(SSL_write(tls, sent.data, (int)sent.len), (int)sent.len);
    char part[4096];
    for (int len; (len = SSL_read(tls, part, sizeof part)) > 0;)
        ck_assert(buffer_append(&got, bytes_make(part, (size_t)len)));
    int answers = 0;
    for (const char *at = buffer_text(&got); (at = strstr(at, "HTTP/1.1 200")); at++)
        answers++;
    ck_assert_int_eq(answers, REQUESTS);
    buffer_clear(&sent);
    buffer_clear(&got);
    SSL_free(tls);
    SSL_CTX_free(context);
    socket_close(fd);
    echo_server_destroy(echo);
}
END_TEST

START_TEST(cleartext_on_a_tls_port_is_hung_up_on)
{
    struct echo_server *echo = tls_server();
    int fd = raw_connect(echo_server_port(echo));
    raw_send(fd, "GET /who HTTP/1.1\r\nHost: x\r\n\r\n");
    char sink[256];
    while (socket_read(fd, sink, sizeof sink) > 0)
        ;
    socket_close(fd);
    post(echo_server_port(echo), "127.0.0.1", files.ca, bytes_of("fine"));
    ck_assert_int_eq(result.status, 200);
    echo_server_destroy(echo);
}
END_TEST

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(a_bad_certificate_keeps_the_old_one)
{
    files = certificates_make(dir);
    struct loop *loop = loop_create(&err);
    struct http_server_options options = {.tls_cert_file = files.cert, .tls_key_file = files.key};
    struct http_server *server = http_server_create(loop, &options, &err);
    ck_assert_msg(server != NULL, "%s", err.cause);
    expect_ok(http_server_reload_tls(server, &err));
    write_file(files.cert, "not a certificate");
    expect_fail(http_server_reload_tls(server, &err), FAIL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.cause, files.cert));
    http_server_destroy(server);

    ck_assert_ptr_null(http_server_create(loop, &options, &err));
    options.tls_key_file = NULL;
    ck_assert_ptr_null(http_server_create(loop, &options, &err));
    loop_destroy(loop);
}
END_TEST

START_TEST(addresses_are_checked)
{
    struct loop *loop = loop_create(&err);
    struct http_server *one = http_server_create(loop, &(struct http_server_options){0}, &err);
    static const char *const bad[] = {"",           "127.0.0.1",
                                      "127.0.0.1:", "127.0.0.1:x",
                                      "::1:80",     "no-such-host.invalid:1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_fail(http_server_listen(one, bad[i], false, &err), FAIL_INVALID);
    expect_ok(http_server_listen(one, "127.0.0.1:0", false, &err));
    char taken[64];
    snprintf(taken, sizeof taken, "127.0.0.1:%u", http_server_port(one));
    expect_fail(http_server_listen(one, taken, false, &err), FAIL_BUSY);
    ck_assert_str_ne(err.remedy, "");
    expect_fail(http_server_adopt(one, 0, &err), err.kind);
    http_server_destroy(one);
    loop_destroy(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, tls_is_trusted_by_the_private_ca_only);
    tcase_add_test(tests, large_bodies_pass_over_tls);
    tcase_add_test(tests, http_1_1_over_tls_is_served_too);
    tcase_add_test(tests, cleartext_on_a_tls_port_is_hung_up_on);
    tcase_add_test(tests, a_bad_certificate_keeps_the_old_one);
    tcase_add_test(tests, addresses_are_checked);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
