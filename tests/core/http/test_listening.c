/* Ways of listening that Windows does not have: a socket file, a port that several loops share. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/event/loop.h"
#include "platform/socket.h"
#include "tests/core/http/echo_server.h"
#include "tests/core/http/raw.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

static struct error err;

START_TEST(a_socket_file_is_served_and_a_stale_one_replaced)
{
    char address[300];
    char *dir = temp_dir_make();
    snprintf(address, sizeof address, "unix:%s/http.sock", dir);
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    snprintf(where.sun_path, sizeof where.sun_path, "%s", address + 5);
    int stale = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(stale, (struct sockaddr *)&where, sizeof where), 0);
    socket_close(stale);

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
    socket_close(fd);
    echo_server_destroy(echo);
    ck_assert_int_ne(access(where.sun_path, F_OK), 0);
    temp_dir_remove(dir);
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
        socket_close(fd);
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
    Suite *suite = suite_create("listening");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_socket_file_is_served_and_a_stale_one_replaced);
    tcase_add_test(tests, two_loops_share_a_port);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
