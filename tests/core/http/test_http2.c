/* HTTP/2 and gRPC, by a client of nghttp2 on a blocking socket. */
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

#include "core/http/client.h"
#include "platform/socket.h"
#include "tests/core/http/echo_server.h"
#include "tests/core/http/raw.h"
#include "tests/support/expect.h"

/* One request and what came back. */
struct call {
    struct bytes body;
    size_t sent;
    int status;
    int grpc_status; /* -1: none */
    char message[128];
    struct buffer answer;
    bool closed;
    uint32_t error;
};

static struct echo_server *echo;
static nghttp2_session *session;
static int fd;

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *context)
{
    (void)flags;
    (void)context;
    struct call *call = nghttp2_session_get_stream_user_data(s, frame->hd.stream_id);
    if (bytes_equal_text(bytes_make(name, name_len), ":status"))
        call->status = atoi((const char *)value);
    if (bytes_equal_text(bytes_make(name, name_len), "grpc-status"))
        call->grpc_status = atoi((const char *)value);
    if (bytes_equal_text(bytes_make(name, name_len), "grpc-message"))
        snprintf(call->message, sizeof call->message, "%.*s", (int)value_len, (const char *)value);
    return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
                   void *context)
{
    (void)flags;
    (void)context;
    struct call *call = nghttp2_session_get_stream_user_data(s, id);
    ck_assert(buffer_append(&call->answer, bytes_make(data, len)));
    return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t error, void *context)
{
    (void)context;
    struct call *call = nghttp2_session_get_stream_user_data(s, id);
    call->closed = true;
    call->error = error;
    return 0;
}

static void setup(void)
{
    echo = echo_server_create(NULL);
    fd = raw_connect(echo_server_port(echo));
    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_client_new(&session, callbacks, NULL);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session, 0, NULL, 0);
}

static void teardown(void)
{
    nghttp2_session_del(session);
    socket_close(fd);
    echo_server_destroy(echo);
}

static ssize_t give_body(nghttp2_session *s, int32_t id, uint8_t *out, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *context)
{
    (void)s;
    (void)id;
    (void)context;
    struct call *call = source->ptr;
    size_t left = call->body.len - call->sent;
    size_t part = left < room ? left : room;
    memcpy(out, call->body.data + call->sent, part);
    call->sent += part;
    if (call->sent == call->body.len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)part;
}

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), 0};
}

static void start(struct call *call, const char *path, const char *type, const char *encoding,
                  struct bytes body)
{
    *call = (struct call){.body = body, .grpc_status = -1, .answer = {.max_bytes = 8 * MIB}};
    nghttp2_nv headers[] = {header(":method", body.data ? "POST" : "GET"),
                            header(":scheme", "http"),
                            header(":authority", "localhost"),
                            header(":path", path),
                            header("x-test", "h2"),
                            header("content-type", type),
                            header("grpc-encoding", encoding)};
    nghttp2_data_provider provider = {.source.ptr = call, .read_callback = give_body};
    ck_assert_int_gt(nghttp2_submit_request(session, NULL, headers, 7, body.data ? &provider : NULL,
                                            call),
                     0);
}

static void send_all(void)
{
    const uint8_t *data;
    ssize_t len;
    while ((len = nghttp2_session_mem_send(session, &data)) > 0)
        raw_send_bytes(fd, bytes_make(data, (size_t)len));
}

/* Runs the session until this call is over. */
static void finish(struct call *call)
{
    send_all();
    while (!call->closed) {
        uint8_t data[65536];
        ptrdiff_t got = socket_read(fd, data, sizeof data);
        ck_assert_msg(got > 0, "the connection ended early, or the server says nothing");
        ck_assert_int_eq(nghttp2_session_mem_recv(session, data, (size_t)got), got);
        send_all();
    }
}

START_TEST(plain_requests_are_served_over_prior_knowledge)
{
    struct call who, posted;
    start(&who, "/who?a=b", "text/plain", "identity", bytes_make(NULL, 0));
    start(&posted, "/echo", "text/plain", "identity", bytes_of("hello"));
    finish(&who);
    finish(&posted);
    ck_assert_int_eq(who.status, 200);
    expect_text(buffer_bytes(&who.answer), "GET /who a=b 2 h2");
    expect_text(buffer_bytes(&posted.answer), "hello");
    buffer_clear(&who.answer);
    buffer_clear(&posted.answer);
}
END_TEST

START_TEST(streams_are_answered_as_they_are_ready)
{
    struct call held, late, after;
    start(&held, "/hold", "text/plain", "identity", bytes_make(NULL, 0));
    start(&late, "/later", "text/plain", "identity", bytes_make(NULL, 0));
    start(&after, "/after", "text/plain", "identity", bytes_make(NULL, 0));
    finish(&late);
    finish(&after);
    ck_assert(!held.closed);
    echo_server_wait_for_held(echo, 1);
    echo_server_release(echo);
    finish(&held);
    expect_text(buffer_bytes(&held.answer), "late");
    buffer_clear(&held.answer);
    buffer_clear(&late.answer);
    buffer_clear(&after.answer);
}
END_TEST

START_TEST(bodies_larger_than_every_window_pass_both_ways)
{
    struct buffer body = {.max_bytes = 6 * MIB};
    ck_assert(buffer_reserve(&body, 5 * MIB));
    memset(body.data, 'z', 5 * MIB);
    body.len = 5 * MIB;
    struct call call;
    start(&call, "/echo", "text/plain", "identity", buffer_bytes(&body));
    finish(&call);
    ck_assert_int_eq(call.status, 200);
    ck_assert(bytes_equal(buffer_bytes(&call.answer), buffer_bytes(&body)));
    buffer_clear(&call.answer);
    buffer_clear(&body);
}
END_TEST

START_TEST(refusals_come_before_the_body_is_through)
{
    struct buffer body = {.max_bytes = 6 * MIB};
    ck_assert(buffer_reserve(&body, 5 * MIB));
    memset(body.data, 'z', 5 * MIB);
    body.len = 5 * MIB;
    struct call refused, large, after;
    start(&refused, "/refuse", "text/plain", "identity", buffer_bytes(&body));
    finish(&refused);
    ck_assert_int_eq(refused.status, 401);
    start(&large, "/limit/10", "text/plain", "identity", buffer_bytes(&body));
    finish(&large);
    ck_assert_int_eq(large.status, 413);
    start(&after, "/echo", "text/plain", "identity", bytes_of("still here"));
    finish(&after);
    expect_text(buffer_bytes(&after.answer), "still here");
    buffer_clear(&refused.answer);
    buffer_clear(&large.answer);
    buffer_clear(&after.answer);
    buffer_clear(&body);
}
END_TEST

static void frame(struct buffer *out, bool packed, struct bytes message)
{
    uint8_t head[5] = {packed, 0, 0, (uint8_t)(message.len >> 8), (uint8_t)message.len};
    *out = (struct buffer){.max_bytes = MIB};
    ck_assert(buffer_append(out, bytes_make(head, 5)));
    ck_assert(buffer_append(out, message));
}

static void grpc(struct call *call, const char *path, const char *encoding, struct bytes body)
{
    start(call, path, "application/grpc+proto", encoding, body);
    finish(call);
    ck_assert_int_eq(call->status, 200);
}

START_TEST(a_grpc_message_is_unwrapped_answered_and_followed_by_its_status)
{
    struct buffer body;
    struct call call;
    frame(&body, false, bytes_of("message"));
    grpc(&call, "/echo", "identity", buffer_bytes(&body));
    ck_assert_int_eq(call.grpc_status, 0);
    ck_assert(bytes_equal(buffer_bytes(&call.answer), buffer_bytes(&body)));
    buffer_clear(&call.answer);
    buffer_clear(&body);

    struct buffer packed = {.max_bytes = MIB};
    ck_assert(http_gzip(bytes_of("packed message"), 6, &packed));
    frame(&body, true, buffer_bytes(&packed));
    grpc(&call, "/echo", "gzip", buffer_bytes(&body));
    ck_assert_int_eq(call.grpc_status, 0);
    expect_text(bytes_make(call.answer.data + 5, call.answer.len - 5), "packed message");
    buffer_clear(&call.answer);

    grpc(&call, "/limit/13", "gzip", buffer_bytes(&body)); /* 14 bytes inflated */
    ck_assert_int_eq(call.grpc_status, 8);
    buffer_clear(&call.answer);
    buffer_clear(&body);
    buffer_clear(&packed);
}
END_TEST

START_TEST(what_is_not_one_grpc_message_gets_a_grpc_status)
{
    struct buffer body;
    struct call call;
    grpc(&call, "/echo", "identity", bytes_of("abc"));
    ck_assert_int_eq(call.grpc_status, 3);
    ck_assert_str_ne(call.message, "");
    frame(&body, false, bytes_of("one"));
    grpc(&call, "/echo", "identity", bytes_make(body.data, body.len - 1));
    ck_assert_int_eq(call.grpc_status, 3);
    body.data[0] = 1;
    grpc(&call, "/echo", "zstd", buffer_bytes(&body));
    ck_assert_int_eq(call.grpc_status, 12);
    grpc(&call, "/echo", "gzip", buffer_bytes(&body));
    ck_assert_int_eq(call.grpc_status, 3);
    buffer_clear(&body);
}
END_TEST

START_TEST(garbage_after_the_preface_ends_the_connection)
{
    int other = raw_connect(echo_server_port(echo));
    raw_send(other, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nthis is not a frame of any kind at all");
    char sink[256];
    while (socket_read(other, sink, sizeof sink) > 0)
        ;
    socket_close(other);
    struct call call;
    start(&call, "/echo", "text/plain", "identity", bytes_of("alive"));
    finish(&call);
    ck_assert_int_eq(call.status, 200);
    buffer_clear(&call.answer);
}
END_TEST

START_TEST(draining_finishes_the_streams_at_hand)
{
    struct call held;
    start(&held, "/hold", "text/plain", "identity", bytes_make(NULL, 0));
    send_all();
    echo_server_wait_for_held(echo, 1);
    echo_server_drain(echo, 60000);
    echo_server_release(echo);
    finish(&held);
    ck_assert_int_eq(held.status, 200);
    buffer_clear(&held.answer);
    socket_shut(fd);
    echo_server_wait_drained(echo);
}
END_TEST

START_TEST(a_connection_lost_with_streams_held_harms_nothing)
{
    struct call one, two;
    start(&one, "/hold", "text/plain", "identity", bytes_make(NULL, 0));
    start(&two, "/hold", "text/plain", "identity", bytes_make(NULL, 0));
    send_all();
    echo_server_wait_for_held(echo, 2);
    socket_close(fd);
    echo_server_release(echo);
    fd = raw_connect(echo_server_port(echo)); /* which teardown closes */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http2");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, plain_requests_are_served_over_prior_knowledge);
    tcase_add_test(tests, streams_are_answered_as_they_are_ready);
    tcase_add_test(tests, bodies_larger_than_every_window_pass_both_ways);
    tcase_add_test(tests, refusals_come_before_the_body_is_through);
    tcase_add_test(tests, a_grpc_message_is_unwrapped_answered_and_followed_by_its_status);
    tcase_add_test(tests, what_is_not_one_grpc_message_gets_a_grpc_status);
    tcase_add_test(tests, garbage_after_the_preface_ends_the_connection);
    tcase_add_test(tests, draining_finishes_the_streams_at_hand);
    tcase_add_test(tests, a_connection_lost_with_streams_held_harms_nothing);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
