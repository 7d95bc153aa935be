/* TLS, kinds of listening, several loops: the server and our own client together. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/event/loop.h"
#include "core/http/client.h"
#include "tests/core/http/echo_server.h"
#include "tests/core/http/raw.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static struct error err;
static char *dir;
static char ca[256], cert[256], key[256], url[300];
static struct buffer body, headers;
static struct http_result result;

/* A private CA and a certificate of it for 127.0.0.1, as an administrator would make them. */
static void make_certificates(void)
{
    char command[2048];
    snprintf(command, sizeof command,
             "cd '%s' && exec 2>/dev/null && "
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
             "-subj /CN=ca -keyout ca.key -out ca.pem && "
             "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server "
             "-keyout server.key -out server.csr && "
             "printf 'subjectAltName=IP:127.0.0.1\\n' > ext && "
             "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
             "-extfile ext -out server.pem",
             dir);
    ck_assert_int_eq(system(command), 0);
    snprintf(ca, sizeof ca, "%s/ca.pem", dir);
    snprintf(cert, sizeof cert, "%s/server.pem", dir);
    snprintf(key, sizeof key, "%s/server.key", dir);
}

static void setup(void)
{
    dir = temp_dir_make();
    body = headers = (struct buffer){.max_bytes = 16 * MIB};
}

static void teardown(void)
{
    temp_dir_remove(dir);
    buffer_clear(&body);
    buffer_clear(&headers);
}

static struct echo_server *tls_server(void)
{
    make_certificates();
    return echo_server_create(
        &(struct http_server_options){.tls_cert_file = cert, .tls_key_file = key});
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
    post(port, "127.0.0.1", ca, bytes_of("secret"));
    ck_assert_msg(result.stage == HTTP_STAGE_DONE, "%s", result.error);
    ck_assert_int_eq(result.status, 200);
    expect_text(result.body, "secret");
    ck_assert(bytes_starts_with(result.headers, "date:")); /* lower case: it was HTTP/2 */

    post(port, "127.0.0.1", NULL, bytes_of("x"));
    ck_assert_int_eq(result.stage, HTTP_STAGE_TLS);
    post(port, "localhost", ca, bytes_of("x")); /* a name that the certificate lacks */
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
    post(echo_server_port(echo), "127.0.0.1", ca, buffer_bytes(&data));
    ck_assert_int_eq(result.status, 200);
    ck_assert(bytes_equal(result.body, buffer_bytes(&data)));
    buffer_clear(&data);
    echo_server_destroy(echo);
}
END_TEST

START_TEST(http_1_1_over_tls_is_served_too)
{
    struct echo_server *echo = tls_server();
    char command[1024], line[4096] = "";
    /* 40 pipelined requests arrive in one TLS record: none may be forgotten. */
    snprintf(
        command, sizeof command,
        "{ for i in $(seq 39); do printf 'GET /later HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'; "
        "done; printf 'GET /big/3 HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n'; } | "
        "openssl s_client -quiet -connect 127.0.0.1:%u -CAfile '%s' -verify_return_error "
        "2>/dev/null | grep -ao 'HTTP/1.1 200' | wc -l",
        echo_server_port(echo), ca);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(fgets(line, sizeof line, pipe));
    pclose(pipe);
    ck_assert_str_eq(line, "40\n");
    echo_server_destroy(echo);
}
END_TEST

START_TEST(cleartext_on_a_tls_port_is_hung_up_on)
{
    struct echo_server *echo = tls_server();
    int fd = raw_connect(echo_server_port(echo));
    raw_send(fd, "GET /who HTTP/1.1\r\nHost: x\r\n\r\n");
    char sink[256];
    while (read(fd, sink, sizeof sink) > 0)
        ;
    close(fd);
    post(echo_server_port(echo), "127.0.0.1", ca, bytes_of("fine"));
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
    make_certificates();
    struct loop *loop = loop_create(&err);
    struct http_server_options options = {.tls_cert_file = cert, .tls_key_file = key};
    struct http_server *server = http_server_create(loop, &options, &err);
    ck_assert_msg(server != NULL, "%s", err.cause);
    expect_ok(http_server_reload_tls(server, &err));
    write_file(cert, "not a certificate");
    expect_fail(http_server_reload_tls(server, &err), FAIL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.cause, cert));
    http_server_destroy(server);

    ck_assert_ptr_null(http_server_create(loop, &options, &err));
    options.tls_key_file = NULL;
    ck_assert_ptr_null(http_server_create(loop, &options, &err));
    loop_destroy(loop);
}
END_TEST

START_TEST(a_socket_file_is_served_and_a_stale_one_replaced)
{
    char address[300];
    snprintf(address, sizeof address, "unix:%s/http.sock", dir);
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    snprintf(where.sun_path, sizeof where.sun_path, "%s", address + 5);
    int stale = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(stale, (struct sockaddr *)&where, sizeof where), 0);
    close(stale);

    struct echo_server *echo = echo_server_create_at(NULL, address, false);
    struct loop *loop = loop_create(&err);
    struct http_server *second = http_server_create(loop, &(struct http_server_options){0}, &err);
    expect_fail(http_server_listen(second, address, false, &err), FAIL_BUSY);
    http_server_destroy(second);
    loop_destroy(loop);

    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&where, sizeof where), 0);
    raw_send(fd, "GET /big/2 HTTP/1.1\r\nHost: x\r\n\r\n");
    struct raw_answer answer;
    raw_read(fd, &answer);
    ck_assert_str_eq(answer.body, "xx");
    close(fd);
    echo_server_destroy(echo);
    ck_assert_int_ne(access(where.sun_path, F_OK), 0);
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

static void *ask_often(void *port)
{
    struct raw_answer answer;
    for (int i = 0; i < 20; i++) {
        int fd = raw_connect(*(uint16_t *)port);
        raw_send(fd,
                 "GET /later HTTP/1.1\r\nHost: x\r\n\r\nGET /after HTTP/1.1\r\nHost: x\r\n\r\n");
        raw_read(fd, &answer);
        ck_assert_int_eq(answer.status, 200);
        raw_read(fd, &answer);
        ck_assert_int_eq(answer.status, 200);
        close(fd);
    }
    return NULL;
}

START_TEST(two_loops_share_a_port)
{
    struct echo_server *first = echo_server_create_at(NULL, "127.0.0.1:0", true);
    uint16_t port = echo_server_port(first);
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    struct echo_server *second = echo_server_create_at(NULL, address, true);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_often, &port), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(echo_server_requests(first) + echo_server_requests(second), 160);
    ck_assert_uint_gt(echo_server_requests(first), 0);
    ck_assert_uint_gt(echo_server_requests(second), 0);
    echo_server_destroy(first);
    echo_server_destroy(second);
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
    tcase_add_test(tests, a_socket_file_is_served_and_a_stale_one_replaced);
    tcase_add_test(tests, addresses_are_checked);
    tcase_add_test(tests, two_loops_share_a_port);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
