#include <check.h>
#include <stdio.h>
#include <string.h>

#include "platform/socket.h"
#include "tests/support/expect.h"

static struct error err;

/* A connection through the loopback: the listener, the client's end, the accepted one. */
static int listener, client, accepted;
static struct socket_address peer;

static void connect_both(void)
{
    char port[8];
    listener = socket_listen("127.0.0.1:0", false, &err);
    ck_assert_msg(listener >= 0, "%s", err.cause);
    ck_assert_int_eq(socket_accept(listener, &peer), SOCKET_AGAIN);
    snprintf(port, sizeof port, "%u", socket_port(listener));
    client = socket_connect("127.0.0.1", port, 5000, &err);
    ck_assert_msg(client >= 0, "%s", err.cause);
    while ((accepted = socket_accept(listener, &peer)) == SOCKET_AGAIN)
        ;
    ck_assert_int_ge(accepted, 0);
}

static void close_both(void)
{
    socket_close(client);
    socket_close(accepted);
    socket_close(listener);
}

START_TEST(bytes_go_both_ways_and_the_end_is_seen)
{
    char text[8];
    connect_both();
    ck_assert_int_eq(socket_read(accepted, text, sizeof text), SOCKET_AGAIN);
    ck_assert_int_eq(socket_write(accepted, "hello", 5), 5);
    ck_assert_int_eq(socket_read(client, text, sizeof text), 5); /* waits */
    ck_assert_mem_eq(text, "hello", 5);
    ck_assert_int_eq(socket_write(client, "bye", 3), 3);
    socket_shut(client);
    size_t len = 0;
    ptrdiff_t got;
    while ((got = socket_read(accepted, text + len, sizeof text - len)) != 0)
        len += got > 0 ? (size_t)got : 0;
    ck_assert_uint_eq(len, 3);
    close_both();
}
END_TEST

START_TEST(each_end_knows_the_other_by_the_same_address)
{
    struct socket_address own;
    connect_both();
    socket_local_address(client, &own);
    ck_assert_mem_eq(&own, &peer, sizeof own);
    close_both();
}
END_TEST

START_TEST(writing_to_who_went_away_is_an_error_and_no_more)
{
    connect_both();
    socket_close(client);
    ptrdiff_t sent;
    while ((sent = socket_write(accepted, "x", 1)) > 0 || sent == SOCKET_AGAIN)
        ;
    ck_assert_int_eq(sent, SOCKET_FAILED);
    socket_close(accepted);
    socket_close(listener);
}
END_TEST

START_TEST(a_port_that_is_taken_is_not_shared)
{
    char address[32];
    listener = socket_listen("127.0.0.1:0", false, &err);
    snprintf(address, sizeof address, "127.0.0.1:%u", socket_port(listener));
    ck_assert_int_eq(socket_listen(address, false, &err), -1);
    ck_assert_int_eq(err.kind, FAIL_BUSY);
    ck_assert_str_ne(err.remedy, "");
    expect_ok(socket_adopt(listener, &err));
    socket_close(listener);

    int ends[2];
    expect_ok(socket_pair(ends, &err));
    expect_fail(socket_adopt(ends[0], &err), FAIL_INVALID);
    socket_close(ends[0]);
    socket_close(ends[1]);
}
END_TEST

START_TEST(what_cannot_be_reached_is_told_from_what_is_not_found)
{
    char port[8];
    listener = socket_listen("127.0.0.1:0", false, &err);
    snprintf(port, sizeof port, "%u", socket_port(listener));
    socket_close(listener);
    ck_assert_int_eq(socket_connect("127.0.0.1", port, 5000, &err), -1);
    ck_assert_int_ne(err.kind, FAIL_NOT_FOUND);
    ck_assert_int_eq(socket_connect("no-such-host.invalid", port, 5000, &err), -1);
    ck_assert_int_eq(err.kind, FAIL_NOT_FOUND);
}
END_TEST

START_TEST(reading_gives_up_after_the_limit)
{
    char byte, port[8];
    listener = socket_listen("127.0.0.1:0", false, &err);
    snprintf(port, sizeof port, "%u", socket_port(listener));
    client = socket_connect("127.0.0.1", port, 30, &err);
    ck_assert_int_lt(socket_read(client, &byte, 1), 0);
    socket_close(client);
    socket_close(listener);
}
END_TEST

int main(void)
{
    socket_start();
    Suite *suite = suite_create("socket");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, bytes_go_both_ways_and_the_end_is_seen);
    tcase_add_test(tests, each_end_knows_the_other_by_the_same_address);
    tcase_add_test(tests, writing_to_who_went_away_is_an_error_and_no_more);
    tcase_add_test(tests, a_port_that_is_taken_is_not_shared);
    tcase_add_test(tests, what_cannot_be_reached_is_told_from_what_is_not_found);
    tcase_add_test(tests, reading_gives_up_after_the_limit);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
