/* What the server does with every kind of HTTP/1 request, seen from a raw socket. */
#include <stdio.h>
#include <string.h>

#include "core/http/client.h"
#include "core/http/http1_head.h"
#include "platform/socket.h"
#include "tests/core/http/echo_server.h"
#include "tests/core/http/raw.h"
#include "tests/support/expect.h"

static struct echo_server *echo;
static struct raw_answer answer;
static int fd;

static void open_with(const struct http_server_options *options)
{
    echo = echo_server_create(options);
    fd = raw_connect(echo_server_port(echo));
}

static void setup(void)
{
    open_with(NULL);
}

static void teardown(void)
{
    socket_close(fd);
    echo_server_destroy(echo);
}

static void expect_answer(int status, const char *body)
{
    raw_read(fd, &answer);
    ck_assert_int_eq(answer.status, status);
    if (body)
        ck_assert_str_eq(answer.body, body);
}

/* Sends it on a fresh connection; expects this status, then the end. */
static void expect_refused(const char *request, int status)
{
    socket_close(fd);
    fd = raw_connect(echo_server_port(echo));
    raw_send(fd, request);
    raw_read(fd, &answer);
    ck_assert_msg(answer.status == status, "%d, not %d, for:\n%s", answer.status, status, request);
    ck_assert(raw_has_header(&answer, "Connection: close"));
    ck_assert_msg(raw_is_closed(fd), "still open after:\n%s", request);
}

static void expect_served(const char *request)
{
    socket_close(fd);
    fd = raw_connect(echo_server_port(echo));
    raw_send(fd, request);
    raw_read(fd, &answer);
    ck_assert_msg(answer.status == 200, "%d for:\n%s", answer.status, request);
}

START_TEST(a_request_is_echoed_and_the_connection_kept)
{
    for (int i = 0; i < 1000; i++) {
        raw_send(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
        expect_answer(200, "hello");
    }
    ck_assert(!raw_has_header(&answer, "Connection: close"));
    ck_assert_uint_eq(echo_server_requests(echo), 1000);
    struct http_server_counters counters;
    http_server_counters(echo_server_of(echo), &counters);
    ck_assert_uint_eq(counters.connections_total, 1);
    ck_assert_uint_eq(counters.requests_total, 1000);
    ck_assert_uint_eq(counters.answered_total[2], 1000);
}
END_TEST

START_TEST(bytes_may_arrive_one_by_one)
{
    const char *request = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n";
    for (; *request; request++)
        raw_send_bytes(fd, bytes_make(request, 1));
    expect_answer(200, "abcde");
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
    raw_send(fd,
             "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
             "GET /later HTTP/1.1\r\nHost: x\r\n\r\n"
             "GET /after HTTP/1.1\r\nHost: x\r\n\r\n"
             "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
             "1\r\nb\r\n0\r\n\r\n"
             "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
             "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab");
    expect_answer(200, "a");
    expect_answer(200, "late");
    expect_answer(200, "late");
    expect_answer(200, "b");
    expect_answer(404, NULL);
    expect_answer(200, "ab");
    ck_assert(raw_has_header(&answer, "Connection: close"));
    ck_assert(raw_is_closed(fd));
}
END_TEST

START_TEST(a_client_that_stopped_sending_still_gets_its_answers)
{
    raw_send(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\nGET /after HTTP/1.1\r\nHost: x\r\n\r\n");
    socket_shut(fd);
    expect_answer(200, "late");
    expect_answer(200, "late");
    ck_assert(raw_is_closed(fd));
}
END_TEST

START_TEST(the_request_is_handed_over_as_sent)
{
    raw_send(fd, "GET /who?a=%20b&c HTTP/1.1\r\nHost: x\r\nx-test: \t spaced out \t\r\n\r\n");
    expect_answer(200, "GET /who a=%20b&c 1 spaced out");
    ck_assert(raw_has_header(&answer, "X-Evil: a  X-Injected: b"));
    raw_send(fd, "GET http://h:1/who?q HTTP/1.1\r\nHost: h:1\r\n\r\n");
    expect_answer(200, "GET /who q 1 ");
}
END_TEST

START_TEST(head_gets_the_length_and_no_body)
{
    raw_send(fd, "HEAD /big/10 HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_read_head(fd, &answer);
    ck_assert_int_eq(answer.status, 200);
    ck_assert(raw_has_header(&answer, "Content-Length: 10"));
    raw_send(fd, "GET /big/3 HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_answer(200, "xxx");
}
END_TEST

START_TEST(http_1_0_closes_unless_asked_to_stay)
{
    raw_send(fd, "GET /big/3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    expect_answer(200, "xxx");
    ck_assert(raw_has_header(&answer, "Connection: keep-alive"));
    raw_send(fd, "GET /big/3 HTTP/1.0\r\n\r\n");
    expect_answer(200, "xxx");
    ck_assert(raw_is_closed(fd));
}
END_TEST

START_TEST(ambiguous_framing_is_refused)
{
#define START "POST /echo HTTP/1.1\r\nHost: x\r\n"
    expect_refused(START "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400);
    expect_refused(START "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400);
    expect_refused(START "Content-Length: 3, 3\r\n\r\nabc", 400);
    expect_refused(START "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
    expect_refused(START "Content-Length: 3x\r\n\r\nabc", 400);
    expect_refused(START "Content-Length: +3\r\n\r\nabc", 400);
    expect_refused(START "Content-Length: -3\r\n\r\nabc", 400);
    expect_refused(START "Content-Length: 0x3\r\n\r\nabc", 400);
    expect_refused(START "Content-Length:\r\n\r\n", 400);
    expect_refused(START "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501);
    expect_refused(START "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501);
    expect_refused(START "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    expect_refused("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
    expect_served(START "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n");
}
END_TEST

START_TEST(malformed_chunks_are_refused)
{
#define CHUNKED START "Transfer-Encoding: chunked\r\n\r\n"
    expect_refused(CHUNKED "g\r\nabc\r\n0\r\n\r\n", 400);
    expect_refused(CHUNKED "0x3\r\nabc\r\n0\r\n\r\n", 400);
    expect_refused(CHUNKED "-1\r\nabc\r\n0\r\n\r\n", 400);
    expect_refused(CHUNKED "\r\nabc\r\n0\r\n\r\n", 400);
    expect_refused(CHUNKED "3 3\r\nabc\r\n0\r\n\r\n", 400);
    expect_refused(CHUNKED "3\nabc\r\n0\r\n\r\n", 400);
    expect_refused(CHUNKED "3\r\nabcd\r\n0\r\n\r\n", 400);
    expect_refused(CHUNKED "ffffffffffffffffff\r\nabc", 400);
    expect_refused(CHUNKED "0\r\nbad\ntrailer\r\n\r\n", 400);
}
END_TEST

START_TEST(malformed_heads_are_refused)
{
    expect_refused("GET /who HTTP/1.1\r\nHost : x\r\n\r\n", 400);
    expect_refused("GET /who HTTP/1.1\r\nHost: x\r\n : y\r\n\r\n", 400);
    expect_refused("GET /who HTTP/1.1\r\n\r\n", 400);
    expect_refused("GET /who HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400);
    expect_refused("GET /who HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
    expect_refused("GET http://a/who HTTP/1.1\r\nHost: b\r\n\r\n", 400);
    expect_refused("GET /who HTTP/1.1\nHost: x\n\n", 400);
    expect_refused("GET /who HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", 400);
    expect_refused("GET /who HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400);
    expect_refused("GET /who HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", 400);
    expect_refused("GET /who HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400);
    expect_refused("GET /who HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n", 400);
    expect_refused("GET /who\r\nHost: x\r\n\r\n", 400);
    expect_refused("GET  /who HTTP/1.1\r\nHost: x\r\n\r\n", 400);
    expect_refused("GET who HTTP/1.1\r\nHost: x\r\n\r\n", 400);
    expect_refused("G@T /who HTTP/1.1\r\nHost: x\r\n\r\n", 400);
    expect_refused("GET /wh\xc3\xb6 HTTP/1.1\r\nHost: x\r\n\r\n", 400);
    expect_refused("GET /who HTTP/1.1 \r\nHost: x\r\n\r\n", 400);
    expect_refused("GET /who http/1.1\r\nHost: x\r\n\r\n", 400);
    expect_refused("GET /who HTTP/9.9\r\nHost: x\r\n\r\n", 505);
    expect_refused("GET /who HTTP/1.2\r\nHost: x\r\n\r\n", 505);
    expect_refused("GET /who HTTP/2.0\r\nHost: x\r\n\r\n", 505);
    expect_refused("GET /who HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n", 417);
    expect_refused("\x16\x03\x01\x02", 400);
    expect_served("\r\nGET /who HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_served("GET /who HTTP/1.1\r\nHost:\r\n\r\n");
}
END_TEST

START_TEST(a_nul_in_a_head_is_refused)
{
    static const char request[] = "GET /who HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n";
    raw_send_bytes(fd, bytes_make(request, sizeof request - 1));
    expect_answer(400, NULL);
    ck_assert(raw_is_closed(fd));
}
END_TEST

START_TEST(a_head_over_16_kib_is_431_and_one_below_is_served)
{
    struct buffer head = {.max_bytes = 2 * MIB};
    ck_assert(buffer_append_text(&head, "GET /who HTTP/1.1\r\nHost: x\r\nA: "));
    while (head.len < HTTP1_HEAD_BYTES - 4)
        ck_assert(buffer_append_byte(&head, 'a'));
    ck_assert(buffer_append_text(&head, "\r\n\r\n"));
    raw_send_bytes(fd, buffer_bytes(&head));
    expect_answer(200, NULL);
    head.len -= 4;
    ck_assert(buffer_append_text(&head, "a\r\n\r\n"));
    raw_send_bytes(fd, buffer_bytes(&head));
    expect_answer(431, NULL);
    ck_assert(raw_is_closed(fd));
    socket_close(fd);

    while (head.len < MIB)
        ck_assert(buffer_append_byte(&head, 'a'));
    fd = raw_connect(echo_server_port(echo));
    raw_send_bytes(fd, buffer_bytes(&head));
    expect_answer(431, NULL);
    buffer_clear(&head);
}
END_TEST

START_TEST(too_many_headers_are_431)
{
    struct buffer head = {.max_bytes = MIB};
    ck_assert(buffer_append_text(&head, "GET /who HTTP/1.1\r\nHost: x\r\n"));
    for (int i = 0; i < 100; i++)
        ck_assert(buffer_append_text(&head, "A: b\r\n"));
    ck_assert(buffer_append_text(&head, "\r\n"));
    raw_send_bytes(fd, buffer_bytes(&head));
    expect_answer(431, NULL);
    buffer_clear(&head);
}
END_TEST

START_TEST(expect_100_is_answered_before_the_body)
{
    raw_send(fd, START "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    raw_read_head(fd, &answer);
    ck_assert_int_eq(answer.status, 100);
    raw_send(fd, "ok");
    expect_answer(200, "ok");
    raw_send(fd, START "Content-Length: 104857600\r\nExpect: 100-continue\r\n\r\n");
    expect_answer(413, NULL);
    ck_assert(raw_is_closed(fd));
}
END_TEST

START_TEST(a_body_over_the_limit_is_413)
{
    raw_send(fd, "POST /limit/4 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd");
    expect_answer(200, "abcd");
    raw_send(fd, "POST /limit/4 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde");
    expect_answer(413, NULL);
    raw_send(fd, "POST /limit/4 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "4\r\nabcd\r\n0\r\n\r\n");
    expect_answer(200, "abcd"); /* what was refused was small enough to read past */
    raw_send(fd, "POST /limit/4 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    expect_answer(413, NULL);
    ck_assert(raw_is_closed(fd));
    expect_refused(START "Content-Length: 99999999999999999999999999\r\n\r\n", 413);
}
END_TEST

START_TEST(a_refused_upload_of_100_mib_reads_its_answer)
{
    enum { MIB_COUNT = 100 };
    raw_send(fd, "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n");
    char *chunk = calloc(1, MIB);
    for (int i = 0; i < MIB_COUNT; i++) {
        struct bytes rest = bytes_make(chunk, MIB);
        while (rest.len > 0) {
            ptrdiff_t sent = socket_write(fd, rest.data, rest.len);
            ck_assert_msg(sent > 0, "the server stopped reading at %d MiB", i);
            rest = bytes_make(rest.data + sent, rest.len - (size_t)sent);
        }
    }
    free(chunk);
    expect_answer(401, "who are you");
    ck_assert(raw_is_closed(fd));
}
END_TEST

START_TEST(a_small_refused_body_leaves_the_connection_usable)
{
    raw_send(fd, "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
    expect_answer(401, NULL);
    raw_send(fd, "helloPOST /refuse HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    expect_answer(401, NULL);
    raw_send(fd, "5\r\nhello\r\n0\r\n\r\n" START "Content-Length: 2\r\n\r\nok");
    expect_answer(200, "ok");
}
END_TEST

static void send_gzip(const char *path, const char *coding, struct bytes body)
{
    char head[256];
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\nHost: x\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\n\r\n",
             path, coding, body.len);
    raw_send(fd, head);
    raw_send_bytes(fd, body);
}

START_TEST(gzip_is_inflated_bounded_and_checked)
{
    struct buffer packed = {.max_bytes = MIB};
    ck_assert(http_gzip(bytes_of("hello hello hello hello"), 6, &packed));
    send_gzip("/echo", "gzip", buffer_bytes(&packed));
    expect_answer(200, "hello hello hello hello");
    send_gzip("/echo", "GZIP", buffer_bytes(&packed));
    expect_answer(200, "hello hello hello hello");
    send_gzip("/limit/22", "gzip", buffer_bytes(&packed)); /* 23 bytes inflated */
    expect_answer(413, NULL);
    send_gzip("/limit/23", "gzip", buffer_bytes(&packed)); /* fewer than it takes packed */
    expect_answer(200, NULL);
    send_gzip("/echo", "gzip", bytes_make(packed.data, packed.len - 1));
    expect_answer(400, NULL);
    send_gzip("/echo", "gzip", bytes_of("not gzip at all"));
    expect_answer(400, NULL);
    send_gzip("/echo", "br", bytes_of("what"));
    expect_answer(415, NULL);
    send_gzip("/echo", "gzip, gzip", bytes_of("what"));
    expect_answer(415, NULL);
    send_gzip("/echo", "identity", bytes_of("plain"));
    expect_answer(200, "plain"); /* all on one connection */
    buffer_clear(&packed);
}
END_TEST

START_TEST(a_gzip_bomb_stays_within_the_limit)
{
    struct buffer zeros = {.max_bytes = 64 * MIB}, packed = {.max_bytes = MIB};
    ck_assert(buffer_reserve(&zeros, 32 * MIB));
    memset(zeros.data, 0, 32 * MIB);
    zeros.len = 32 * MIB;
    ck_assert(http_gzip(buffer_bytes(&zeros), 9, &packed));
    send_gzip("/limit/65536", "gzip", buffer_bytes(&packed));
    expect_answer(413, NULL);
    buffer_clear(&zeros);
    buffer_clear(&packed);
}
END_TEST

START_TEST(a_large_body_and_a_large_answer_pass)
{
    struct buffer body = {.max_bytes = 8 * MIB};
    ck_assert(buffer_append_text(&body, START "Content-Length: 5242880\r\n\r\n"));
    size_t head = body.len;
    /* Not an assertion a byte: each is a message to the runner, and the server's patience is short.
     */
    ck_assert(buffer_reserve(&body, 5 * MIB));
    for (; body.len < head + 5 * MIB; body.len++)
        body.data[body.len] = (uint8_t)(body.len * 31);
    raw_send_bytes(fd, buffer_bytes(&body));
    raw_read_head(fd, &answer);
    ck_assert_int_eq(answer.status, 200);
    struct buffer back = {.max_bytes = 8 * MIB};
    ck_assert(buffer_reserve(&back, 5 * MIB));
    while (back.len < 5 * MIB) {
        ptrdiff_t got = socket_read(fd, back.data + back.len, 5 * MIB - back.len);
        ck_assert_int_gt(got, 0);
        back.len += (size_t)got;
    }
    ck_assert_int_eq(memcmp(back.data, body.data + head, 5 * MIB), 0);
    buffer_clear(&back);
    buffer_clear(&body);
}
END_TEST

START_TEST(an_incomplete_head_is_408_at_its_absolute_deadline)
{
    open_with(&(struct http_server_options){.header_timeout_ms = 150, .idle_timeout_ms = 60000});
    raw_send(fd, "GET /who HTTP/1.1\r\nHost: ");
    /* A byte now and then does not buy time. */
    for (int i = 0; i < 100 && raw_is_silent(fd); i++)
        raw_send(fd, "x");
    expect_answer(408, NULL);
    ck_assert(raw_is_closed(fd));

    /* The same for a second request; a connection on which nothing ever came just ends. */
    socket_close(fd);
    fd = raw_connect(echo_server_port(echo));
    raw_send(fd, "GET /who HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_answer(200, NULL);
    raw_send(fd, "G");
    expect_answer(408, NULL);
    socket_close(fd);
    fd = raw_connect(echo_server_port(echo));
    ck_assert(raw_is_closed(fd));
}
END_TEST

START_TEST(an_idle_connection_is_closed_without_a_word)
{
    open_with(&(struct http_server_options){.idle_timeout_ms = 50});
    raw_send(fd, "GET /who HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_answer(200, NULL);
    ck_assert(raw_is_closed(fd));
}
END_TEST

START_TEST(a_body_below_the_minimum_rate_is_408)
{
    open_with(&(struct http_server_options){.body_min_bytes_per_s = 1000, .body_grace_ms = 100});
    raw_send(fd, START "Content-Length: 100000\r\n\r\n");
    for (int i = 0; i < 100 && raw_is_silent(fd); i++)
        raw_send(fd, "x");
    expect_answer(408, NULL);
    ck_assert(raw_is_closed(fd));

    /* A fast start does not excuse a standstill later. */
    socket_close(fd);
    fd = raw_connect(echo_server_port(echo));
    char many[50001];
    memset(many, 'y', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    raw_send(fd, CHUNKED "fffff\r\n");
    raw_send(fd, many);
    expect_answer(408, NULL);
    ck_assert(raw_is_closed(fd));
}
END_TEST

START_TEST(a_body_above_the_minimum_rate_may_take_its_time)
{
    open_with(&(struct http_server_options){.body_min_bytes_per_s = 10, .body_grace_ms = 100});
    raw_send(fd, START "Content-Length: 10\r\n\r\n");
    for (int i = 0; i < 9; i++) {
        raw_send(fd, "x");
        ck_assert(raw_is_silent(fd));
    }
    raw_send(fd, "x");
    expect_answer(200, "xxxxxxxxxx");
}
END_TEST

START_TEST(further_connections_wait_until_one_ends)
{
    open_with(&(struct http_server_options){.max_connections = 1});
    raw_send(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    echo_server_wait_for_held(echo, 1);
    int second = raw_connect(echo_server_port(echo));
    raw_send(second, "GET /big/1 HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert(raw_is_silent(second));
    echo_server_release(echo);
    expect_answer(200, NULL);
    socket_close(fd);
    fd = second;
    expect_answer(200, "x");
}
END_TEST

START_TEST(at_the_cap_the_connection_silent_longest_gives_way)
{
    open_with(&(struct http_server_options){.max_connections = 3});
    raw_send(fd, "GET /who HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_answer(200, NULL);
    int silent = raw_connect(echo_server_port(echo)), busy = raw_connect(echo_server_port(echo));
    raw_send(busy, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    echo_server_wait_for_held(echo, 1);

    int fresh = raw_connect(echo_server_port(echo));
    raw_send(fresh, "GET /big/1 HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_read(fresh, &answer);
    ck_assert_int_eq(answer.status, 200);
    ck_assert(raw_is_closed(fd));
    ck_assert(raw_is_silent(silent));
    echo_server_release(echo);
    raw_read(busy, &answer);
    ck_assert_int_eq(answer.status, 200);
    socket_close(silent);
    socket_close(busy);
    socket_close(fresh);
}
END_TEST

START_TEST(answers_after_the_connection_or_the_server_died_go_nowhere)
{
    raw_send(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    echo_server_wait_for_held(echo, 1);
    socket_close(fd);
    echo_server_release(echo);
    fd = raw_connect(echo_server_port(echo));
    raw_send(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    echo_server_wait_for_held(echo, 1);
    /* teardown destroys the server first and answers then */
}
END_TEST

START_TEST(draining_answers_what_has_come_and_ends_the_rest)
{
    int idle = raw_connect(echo_server_port(echo));
    raw_send(idle, "GET /who HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_read(idle, &answer);
    int half = raw_connect(echo_server_port(echo));
    raw_send(half, START "Content-Length: 4\r\n\r\nha");
    raw_send(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    echo_server_wait_for_held(echo, 1);
    int unread = raw_connect(echo_server_port(echo));
    raw_send(unread, "GET /who HTTP/1.1\r\nHost: x\r\n\r\n");
    int fresh = raw_connect(echo_server_port(echo)); /* may speak yet, but not for ever */

    echo_server_drain(echo, 60000);
    ck_assert(raw_is_closed(idle));
    ck_assert(raw_is_closed(fresh));
    raw_send(half, "lf");
    raw_read(half, &answer);
    ck_assert_int_eq(answer.status, 200);
    ck_assert_str_eq(answer.body, "half");
    ck_assert(raw_has_header(&answer, "Connection: close"));
    raw_read(unread, &answer);
    ck_assert_int_eq(answer.status, 200);
    echo_server_release(echo);
    expect_answer(200, "late");
    ck_assert(raw_is_closed(fd));
    socket_close(idle);
    socket_close(half);
    socket_close(unread);
    socket_close(fresh);
    echo_server_wait_drained(echo);
}
END_TEST

START_TEST(draining_ends_at_its_limit)
{
    raw_send(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    echo_server_wait_for_held(echo, 1);
    echo_server_drain(echo, 30);
    echo_server_wait_drained(echo);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http1");
    TCase *tests = tcase_create("default server");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_request_is_echoed_and_the_connection_kept);
    tcase_add_test(tests, bytes_may_arrive_one_by_one);
    tcase_add_test(tests, pipelined_requests_are_answered_in_order);
    tcase_add_test(tests, a_client_that_stopped_sending_still_gets_its_answers);
    tcase_add_test(tests, the_request_is_handed_over_as_sent);
    tcase_add_test(tests, head_gets_the_length_and_no_body);
    tcase_add_test(tests, http_1_0_closes_unless_asked_to_stay);
    tcase_add_test(tests, ambiguous_framing_is_refused);
    tcase_add_test(tests, malformed_chunks_are_refused);
    tcase_add_test(tests, malformed_heads_are_refused);
    tcase_add_test(tests, a_nul_in_a_head_is_refused);
    tcase_add_test(tests, a_head_over_16_kib_is_431_and_one_below_is_served);
    tcase_add_test(tests, too_many_headers_are_431);
    tcase_add_test(tests, expect_100_is_answered_before_the_body);
    tcase_add_test(tests, a_body_over_the_limit_is_413);
    tcase_add_test(tests, a_refused_upload_of_100_mib_reads_its_answer);
    tcase_add_test(tests, a_small_refused_body_leaves_the_connection_usable);
    tcase_add_test(tests, gzip_is_inflated_bounded_and_checked);
    tcase_add_test(tests, a_gzip_bomb_stays_within_the_limit);
    tcase_add_test(tests, a_large_body_and_a_large_answer_pass);
    tcase_add_test(tests, answers_after_the_connection_or_the_server_died_go_nowhere);
    tcase_add_test(tests, draining_answers_what_has_come_and_ends_the_rest);
    tcase_add_test(tests, draining_ends_at_its_limit);
    suite_add_tcase(suite, tests);

    TCase *limits = tcase_create("short limits");
    tcase_add_checked_fixture(limits, NULL, teardown);
    tcase_set_timeout(limits, 60);
    tcase_add_test(limits, an_incomplete_head_is_408_at_its_absolute_deadline);
    tcase_add_test(limits, an_idle_connection_is_closed_without_a_word);
    tcase_add_test(limits, a_body_below_the_minimum_rate_is_408);
    tcase_add_test(limits, a_body_above_the_minimum_rate_may_take_its_time);
    tcase_add_test(limits, further_connections_wait_until_one_ends);
    tcase_add_test(limits, at_the_cap_the_connection_silent_longest_gives_way);
    suite_add_tcase(suite, limits);
    return expect_run(suite);
}
