/* What the relay answers to clients, and what it does to their requests, through a whole relay. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/relay/gate.h"
#include "core/otlp/answer.h"
#include "platform/platform.h"
#include "platform/socket.h"
#include "tests/agent/relay/rig.h"
#include "tests/core/http/raw.h"
#include "tests/support/expect.h"
#include "tests/support/make_logs.h"
#include "tests/support/temp_dir.h"

static struct rig rig;
static struct fake_destination *fake;
static struct error err;
static struct buffer body, answer, answer_headers;

#define PROTOBUF "Content-Type: application/x-protobuf"

static void set_up(void)
{
    rig_set_up(&rig);
    fake = rig.fake[0];
    body = (struct buffer){0};
    answer = answer_headers = (struct buffer){.max_bytes = MIB};
    make_logs(1, 1, 20, NULL, NULL, &body);
}

static void tear_down(void)
{
    rig_tear_down(&rig);
    buffer_clear(&body);
    buffer_clear(&answer);
    buffer_clear(&answer_headers);
}

static int post(const char *const *headers)
{
    return rig_post(&rig, "/v1/logs", buffer_bytes(&body), headers);
}

START_TEST(a_host_is_loopback_or_it_is_not)
{
    static const char *const ours[] = {"localhost",  "LOCALHOST:4318", "127.0.0.1",  "127.0.0.1:1",
                                       "127.8.9.10", "[::1]",          "[::1]:14318"};
    static const char *const others[] = {"",
                                         "example.com",
                                         "localhost.evil.com",
                                         "127.0.0.1.nip.io",
                                         "127.0.0.1@evil.com",
                                         "10.0.0.1:4318",
                                         "[::2]",
                                         "[::1]x",
                                         "localhost:80x",
                                         "127.0.0",
                                         "[::1"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        ck_assert_msg(gate_host_is_loopback(bytes_of(ours[i])), "%s", ours[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        ck_assert_msg(!gate_host_is_loopback(bytes_of(others[i])), "%s", others[i]);
}
END_TEST

START_TEST(web_pages_and_foreign_hosts_are_refused)
{
    static const char *const origin[] = {PROTOBUF, "Origin: http://localhost:3000", NULL};
    static const char *const host[] = {PROTOBUF, "Host: rebound.example.com", NULL};
    rig_start(&rig);
    ck_assert_int_eq(post(origin), 403);
    ck_assert_int_eq(post(host), 403);
    ck_assert_int_eq(rig_call(&rig, "GET", "/metrics", (struct bytes){0}, &origin[1], &answer,
                              &answer_headers),
                     403);
    relay_state(rig.relay, &rig.state);
    ck_assert_uint_eq(rig.state.refused_total[RELAY_REFUSED_ORIGIN], 3);
}
END_TEST

START_TEST(wrong_paths_methods_and_types_get_their_status)
{
    static const char *const text[] = {"Content-Type: text/plain", NULL};
    static const char *const brotli[] = {PROTOBUF, "Content-Encoding: br", NULL};
    rig_start(&rig);
    ck_assert_int_eq(rig_post(&rig, "/v1/logz", buffer_bytes(&body), NULL), 404);
    ck_assert_int_eq(rig_post(&rig, "/", buffer_bytes(&body), NULL), 404);
    ck_assert_int_eq(post(text), 415);
    ck_assert_int_eq(post(brotli), 415);
    ck_assert_int_eq(rig_post(&rig, "/healthz", buffer_bytes(&body), NULL), 405);
    ck_assert_int_eq(rig_call(&rig, "GET", "/v1/logs", (struct bytes){0}, NULL, &answer,
                              &answer_headers),
                     405);
    struct http_result result = {.headers = buffer_bytes(&answer_headers)};
    expect_text(http_result_header(&result, "allow"), "POST");
}
END_TEST

START_TEST(a_malformed_request_is_refused_in_its_own_encoding)
{
    static const char *const protobuf[] = {PROTOBUF, NULL};
    static const char *const json[] = {"Content-Type: application/json; charset=utf-8", NULL};
    rig_start(&rig);
    ck_assert_int_eq(rig_call(&rig, "POST", "/v1/logs", bytes_of("\x0a\x7f"), protobuf, &answer,
                              &answer_headers),
                     400);
    ck_assert_uint_gt(otlp_read_status_message(OTLP_PROTOBUF, buffer_bytes(&answer)).len, 0);
    struct http_result result = {.headers = buffer_bytes(&answer_headers)};
    expect_text(http_result_header(&result, "content-type"), OTLP_PROTOBUF_TYPE);

    buffer_reset(&answer);
    buffer_reset(&answer_headers);
    ck_assert_int_eq(rig_call(&rig, "POST", "/v1/logs", bytes_of("{\"resourceLogs\":[}"), json,
                              &answer, &answer_headers),
                     400);
    ck_assert_uint_gt(otlp_read_status_message(OTLP_JSON, buffer_bytes(&answer)).len, 0);
    result.headers = buffer_bytes(&answer_headers);
    expect_text(http_result_header(&result, "content-type"), OTLP_JSON_TYPE);
    relay_state(rig.relay, &rig.state);
    ck_assert_uint_eq(rig.state.refused_total[RELAY_REFUSED_MALFORMED], 2);
}
END_TEST

START_TEST(json_and_gzip_are_taken_as_well)
{
    static const char *const json[] = {"Content-Type: application/json", NULL};
    static const char *const gzip[] = {PROTOBUF, "Content-Encoding: gzip", NULL};
    rig_start(&rig);
    ck_assert_int_eq(
        rig_call(&rig, "POST", "/v1/logs",
                 bytes_of("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"attributes\":[{"
                          "\"key\":\"mark\",\"value\":{\"stringValue\":\"M5\"}}]}]}]}]}"),
                 json, &answer, &answer_headers),
        200);
    struct bytes taken = buffer_bytes(&answer);
    ck_assert(taken.len >= 2 && taken.data[0] == '{');

    struct buffer packed = {.max_bytes = MIB};
    ck_assert(http_gzip(buffer_bytes(&body), 6, &packed));
    ck_assert_int_eq(rig_post(&rig, "/v1/logs", buffer_bytes(&packed), gzip), 200);
    buffer_clear(&packed);
    ck_assert(fake_destination_wait_records(fake, 2));
    ck_assert_uint_eq(fake_destination_copies(fake, 5), 1);
    ck_assert_uint_eq(fake_destination_copies(fake, 1), 1);
}
END_TEST

START_TEST(an_empty_request_is_a_success_with_nothing_to_keep)
{
    rig_start(&rig);
    ck_assert_int_eq(rig_post(&rig, "/v1/traces", (struct bytes){0}, NULL), 200);
    relay_state(rig.relay, &rig.state);
    ck_assert_uint_eq(rig.state.spool.appended_total, 0);
    ck_assert_uint_eq(rig.state.signals[OTLP_TRACES].requests_total, 1);
}
END_TEST

START_TEST(a_request_over_the_limit_is_413_also_when_it_only_inflates_to_it)
{
    static const char *const gzip[] = {PROTOBUF, "Content-Encoding: gzip", NULL};
    rig.options.max_request_bytes = 4000;
    rig_start(&rig);
    struct buffer large = {0};
    make_logs(0, 1, 5000, NULL, NULL, &large);
    ck_assert_int_eq(rig_post(&rig, "/v1/logs", buffer_bytes(&large), NULL), 413);
    struct buffer packed = {.max_bytes = MIB};
    ck_assert(http_gzip(buffer_bytes(&large), 6, &packed));
    ck_assert_uint_lt(packed.len, 1000);
    ck_assert_int_eq(rig_post(&rig, "/v1/logs", buffer_bytes(&packed), gzip), 413);
    buffer_clear(&packed);
    buffer_clear(&large);
}
END_TEST

/* ---- The disk ---- */

static atomic_bool disk_fails;

static bool failing_sync(void *disk, struct fs_file *file, struct error *e)
{
    if (atomic_load(&disk_fails))
        return error_set(e, FAIL_IO, "the disk is gone");
    return fs_real.sync(disk, file, e);
}

static bool failing_write(void *disk, struct fs_file *file, uint64_t offset, struct bytes content,
                          struct error *e)
{
    if (atomic_load(&disk_fails))
        return error_set(e, FAIL_NO_SPACE, "the disk is full");
    return fs_real.write_at(disk, file, offset, content, e);
}

static void expect_unavailable_while_the_disk_fails(void)
{
    static const char *const protobuf[] = {PROTOBUF, NULL};
    rig_start(&rig);
    ck_assert_int_eq(post(NULL), 200); /* the segment is there, so that the commit itself fails */
    ck_assert(fake_destination_wait_records(fake, 1));
    rig_expect_no_backlog(&rig, 0);
    atomic_store(&disk_fails, true);
    ck_assert_int_eq(rig_call(&rig, "POST", "/v1/logs", buffer_bytes(&body), protobuf, &answer,
                              &answer_headers),
                     503);
    struct http_result result = {.headers = buffer_bytes(&answer_headers)};
    uint64_t wait_ms = 0;
    if (http_result_retry_after_ms(&result, 0, &wait_ms))
        ck_assert_uint_le(wait_ms, 2000); /* the stock client drops what must wait longer */
    relay_state(rig.relay, &rig.state);
    ck_assert_str_ne(rig.state.spool_error, "");
    ck_assert_uint_eq(rig.state.refused_total[RELAY_REFUSED_UNAVAILABLE], 1);
    atomic_store(&disk_fails, false);
    ck_assert_int_eq(post(NULL), 200);
    ck_assert(fake_destination_wait_records(fake, 2));
    rig_expect_no_backlog(&rig, 0);
    ck_assert_uint_eq(fake_destination_records(fake), 2); /* what was refused did not go out */
    ck_assert_str_eq(rig.state.spool_error, "");
}

START_TEST(a_request_that_cannot_be_made_durable_is_503_and_not_delivered)
{
    struct fs disk = fs_real;
    disk.sync = failing_sync;
    rig.fs = &disk;
    expect_unavailable_while_the_disk_fails();
    rig_stop(&rig);
}
END_TEST

START_TEST(a_full_disk_is_503_and_heals)
{
    struct fs disk = fs_real;
    disk.write_at = failing_write;
    rig.fs = &disk;
    expect_unavailable_while_the_disk_fails();
    rig_stop(&rig);
}
END_TEST

/* ---- Tokens ---- */

static bool check_token(void *context, struct bytes token, struct relay_person *out)
{
    (void)context;
    snprintf(out->local_user, sizeof out->local_user, "tokenuser");
    snprintf(out->email, sizeof out->email, "token@example.com");
    return bytes_equal_constant_time(token, bytes_of("good"));
}

START_TEST(a_wrong_local_token_is_401_where_one_is_asked_for)
{
    static const char *const wrong[] = {PROTOBUF, "Authorization: Bearer bad", NULL};
    static const char *const right[] = {PROTOBUF, "authorization: bearer good", NULL};
    static const char *const own[] = {PROTOBUF, "X-Relay-Token: good", NULL};
    rig.options.token_policy = RELAY_TOKEN_ALWAYS;
    rig.options.callbacks.check_token = check_token;
    rig_start(&rig);
    ck_assert_int_eq(post(NULL), 401);
    ck_assert_int_eq(post(wrong), 401);
    ck_assert_int_eq(post(right), 200);
    ck_assert_int_eq(post(own), 200);
    ck_assert_int_eq(rig_call(&rig, "GET", "/healthz", (struct bytes){0}, NULL, &answer,
                              &answer_headers),
                     200);
}
END_TEST

START_TEST(where_the_owner_is_known_no_token_is_asked_for)
{
    static const char *const foreign[] = {PROTOBUF, "Authorization: Bearer someone-elses", NULL};
    rig.options.token_policy = RELAY_TOKEN_AUTO;
    rig.options.callbacks.check_token = check_token;
    rig_start(&rig);
    ck_assert_int_eq(post(NULL), 200);
    ck_assert_int_eq(post(foreign), 200);
}
END_TEST

/* ---- Identity ---- */

static atomic_int who; /* 0: alice, 1: nobody, 2: a user without an e-mail */

static bool person_of_uid(void *context, const uint32_t *uid, struct relay_person *out)
{
    (void)context;
    if (!uid || atomic_load(&who) == 1)
        return false;
    snprintf(out->local_user, sizeof out->local_user, "alice");
    if (atomic_load(&who) == 0)
        snprintf(out->email, sizeof out->email, "alice@example.com");
    return true;
}

static bool expand(void *context, const char *text, const struct relay_person *person,
                   struct buffer *out, struct error *e)
{
    (void)context;
    if (strcmp(text, "${email}") == 0)
        return buffer_append_text(out, person->email);
    if (strcmp(text, "user ${local_user}") == 0)
        return buffer_append_format(out, "user %s", person->local_user);
    if (text[0] == '$')
        return error_set(e, FAIL_NOT_FOUND, "unknown variable");
    return buffer_append_text(out, text);
}

static const struct relay_pair stamps[] = {{"work_email", "${email}"}};
static const struct relay_pair claims[] = {{"user.email", "${email}"}};

static void claim_as(const char *key, const char *email)
{
    buffer_reset(&body);
    make_logs(1, 1, 20, key, email, &body);
}

static void claim(const char *email)
{
    claim_as("work_email", email);
}

static void use_identity(int as)
{
    atomic_store(&who, as);
    rig.options.callbacks.person_of_uid = person_of_uid;
    rig.options.callbacks.expand = expand;
    rig.options.stamps = stamps;
    rig.options.stamp_count = 1;
    rig.options.claims = claims;
    rig.options.claim_count = 1;
}

static void expect_attribute(const char *key, const char *expected)
{
    char value[256];
    unsigned before = fake_destination_records(fake);
    ck_assert_int_eq(post(NULL), 200);
    ck_assert(fake_destination_wait_records(fake, before + 1));
    fake_destination_attribute(fake, 1, key, value, sizeof value);
    ck_assert_str_eq(value, expected);
}

static void expect_stamp(const char *expected)
{
    expect_attribute("work_email", expected);
}

START_TEST(the_owner_of_the_socket_is_stamped_whatever_the_payload_claims)
{
    use_identity(0);
    rig_start(&rig);
    expect_stamp("alice@example.com");
    claim("mallory@example.com");
    expect_stamp("alice@example.com");
    claim_as("user.email", "mallory@example.com");
    expect_attribute("user.email", "");
    claim_as("user.email", "Alice@Example.com");
    expect_attribute("user.email", "Alice@Example.com");
}
END_TEST

START_TEST(an_unknown_owner_cannot_claim_to_be_anyone)
{
    use_identity(1);
    rig_start(&rig);
    claim("mallory@example.com");
    expect_stamp("");
    claim_as("user.email", "mallory@example.com");
    expect_attribute("user.email", "");
}
END_TEST

START_TEST(an_owner_without_an_address_is_left_as_he_says)
{
    use_identity(2);
    rig_start(&rig);
    claim("self@example.com");
    expect_stamp("self@example.com");
    claim_as("user.email", "self@example.com");
    expect_attribute("user.email", "self@example.com");
}
END_TEST

START_TEST(without_identity_the_payload_passes_as_it_is)
{
    rig.options.stamps = stamps;
    rig.options.stamp_count = 1;
    rig.options.callbacks.expand = expand;
    rig_start(&rig);
    claim("self@example.com");
    expect_stamp("self@example.com");
}
END_TEST

START_TEST(headers_and_attributes_of_a_destination_are_those_of_the_records_owner)
{
    static const struct relay_pair headers[] = {{"X-User", "user ${local_user}"},
                                                {"X-Plain", "plain"}};
    static const struct relay_pair attributes[] = {{"owner.email", "${email}"}};
    char value[256];
    use_identity(0);
    rig.destination[0].headers = headers;
    rig.destination[0].header_count = 2;
    rig.destination[0].resource_attributes = attributes;
    rig.destination[0].resource_attribute_count = 1;
    rig_start(&rig);
    expect_stamp("alice@example.com");
    fake_destination_header(fake, "x-user", value, sizeof value);
    ck_assert_str_eq(value, "user alice");
    fake_destination_header(fake, "x-plain", value, sizeof value);
    ck_assert_str_eq(value, "plain");
    fake_destination_attribute(fake, 1, "owner.email", value, sizeof value);
    ck_assert_str_eq(value, "alice@example.com");
}
END_TEST

START_TEST(private_attributes_never_reach_the_disk)
{
    static const char *const drop[] = {"secret.key"};
    rig.options.drop_attributes = drop;
    rig.options.drop_attribute_count = 1;
    rig_start(&rig);
    buffer_reset(&body);
    make_logs(1, 1, 20, "secret.key", "the-secret-itself", &body);
    ck_assert_int_eq(post(NULL), 200);
    ck_assert(fake_destination_wait_records(fake, 1));
    ck_assert(temp_dir_holds(rig.spool_dir, "mark"));
    ck_assert(!temp_dir_holds(rig.spool_dir, "the-secret-itself"));
}
END_TEST

START_TEST(metrics_show_what_came_and_what_went)
{
    rig_start(&rig);
    ck_assert_int_eq(post(NULL), 200);
    rig_expect_no_backlog(&rig, 0);
    ck_assert(fake_destination_wait_records(fake, 1));
    ck_assert_int_eq(rig_call(&rig, "GET", "/metrics", (struct bytes){0}, NULL, &answer,
                              &answer_headers),
                     200);
    const char *text = buffer_text(&answer);
    ck_assert_ptr_nonnull(
        strstr(text, "claude_telemetry_received_records_total{signal=\"logs\"} 1\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "claude_telemetry_destination_sent_records_total{destination=\"first\"} 1\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "claude_telemetry_destination_state{destination=\"first\",state=\"ok\"} 1\n"));
}
END_TEST

START_TEST(metrics_show_every_reason_of_a_loss)
{
    fake_destination_partial(fake, 1);
    rig_start(&rig);
    ck_assert_int_eq(post(NULL), 200);
    rig_expect_no_backlog(&rig, 0);
    ck_assert_int_eq(rig_call(&rig, "GET", "/metrics", (struct bytes){0}, NULL, &answer,
                              &answer_headers),
                     200);
    for (int i = 0; i < SPOOL_LOSS_COUNT; i++) {
        char line[128];
        snprintf(line, sizeof line, "claude_telemetry_lost_records_total{reason=\"%s\"} %d\n",
                 spool_loss_name((enum spool_loss)i), i == SPOOL_LOSS_REJECTED);
        ck_assert_msg(strstr(buffer_text(&answer), line) != NULL, "no %s", line);
    }
    ck_assert_uint_eq(rig.state.spool.lost_total[SPOOL_LOSS_REJECTED], 1);
}
END_TEST

/* ---- Recorded telemetry ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

static bool post_recording(void *context, const char *name)
{
    static const char *const json[] = {"Content-Type: application/json", NULL};
    static const char *const plain[] = {PROTOBUF, NULL};
    static const char *const gzip[] = {PROTOBUF, "Content-Encoding: gzip", NULL};
    unsigned *count = context;
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++) {
        enum otlp_signal signal = (enum otlp_signal)s;
        char end[32], path[512];
        snprintf(end, sizeof end, "-%s", otlp_signal_name(signal));
        if (!strstr(name, end) || (!ends_with(name, ".bin") && !ends_with(name, ".json")))
            continue;
        snprintf(path, sizeof path, "%s/otlp/%s", TEST_DATA_DIR, name);
        buffer_reset(&body);
        expect_ok(fs_read_file(&fs_real, path, &body, &err));
        bool packed = body.len > 2 && body.data[0] == 0x1f && body.data[1] == 0x8b;
        int status = rig_post(&rig, otlp_signal_path(signal), buffer_bytes(&body),
                              ends_with(name, ".json") ? json
                              : packed                 ? gzip
                                                       : plain);
        ck_assert_msg(status == 200, "%s: %d", name, status);
        (*count)++;
    }
    return true;
}

START_TEST(every_recorded_request_is_taken_and_delivered_whole)
{
    unsigned count = 0;
    rig_start(&rig);
    expect_ok(fs_real.list(fs_real.disk, TEST_DATA_DIR "/otlp", post_recording, &count, &err));
    ck_assert_uint_eq(count, 69);
    rig_expect_no_backlog(&rig, 0);
    uint64_t received = 0;
    for (int s = 0; s < OTLP_SIGNAL_COUNT; s++)
        received += rig.state.signals[s].records_total;
    ck_assert_uint_gt(received, 500);
    ck_assert_uint_eq(rig.state.destinations[0].sent_records_total, received);
    ck_assert_uint_eq(rig.state.ledger_count, 0);
}
END_TEST

START_TEST(a_taken_port_gives_the_next_free_one)
{
    char address[64];
    struct rig other;
    rig_start(&rig);
    rig_set_up(&other);
    snprintf(address, sizeof address, "127.0.0.1:%u", relay_port(rig.relay));
    other.options.listen[0] = address;
    ck_assert_ptr_null(relay_create(&other.options, &fs_real, &platform_clock, NULL, &err));
    ck_assert_int_eq(err.kind, FAIL_BUSY);
    other.options.port_tries = 50;
    rig_start(&other);
    ck_assert_uint_gt(relay_port(other.relay), relay_port(rig.relay));
    ck_assert_uint_le(relay_port(other.relay), relay_port(rig.relay) + 50);
    rig_tear_down(&other);
}
END_TEST

/* Reads frames of HTTP/2 until the end; whether one of them was GOAWAY without an error. */
static bool reads_goaway(int fd)
{
    enum { FRAME_HEAD = 9, GOAWAY = 7, GOAWAY_BYTES = 8 };
    struct buffer in = {.max_bytes = MIB};
    uint8_t bytes[4096];
    for (ptrdiff_t got; (got = socket_read(fd, bytes, sizeof bytes)) > 0;)
        ck_assert(buffer_append(&in, bytes_make(bytes, (size_t)got)));
    bool seen = false;
    for (size_t at = 0; at + FRAME_HEAD <= in.len;) {
        const uint8_t *f = in.data + at;
        size_t len = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
        seen = seen || (f[3] == GOAWAY && len >= GOAWAY_BYTES && f[FRAME_HEAD + 7] == 0);
        at += FRAME_HEAD + len;
    }
    buffer_clear(&in);
    return seen;
}

START_TEST(grpc_clients_are_told_to_go_and_not_cut)
{
    static const char settings[9] = {0, 0, 0, 4};
    rig.options.grpc_listen = "127.0.0.1:0";
    rig_start(&rig);
    relay_state(rig.relay, &rig.state);
    int fd = raw_connect(rig.state.grpc_port);
    raw_send(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    raw_send_bytes(fd, bytes_make(settings, sizeof settings));
    ck_assert(raw_has_spoken(fd)); /* its settings: it is at work */
    relay_drain(rig.relay, 5000);
    rig_stop(&rig);
    ck_assert(reads_goaway(fd));
    socket_close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/relay/receive");
    TCase *tc = tcase_create("receive");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_host_is_loopback_or_it_is_not);
    tcase_add_test(tc, web_pages_and_foreign_hosts_are_refused);
    tcase_add_test(tc, wrong_paths_methods_and_types_get_their_status);
    tcase_add_test(tc, a_malformed_request_is_refused_in_its_own_encoding);
    tcase_add_test(tc, json_and_gzip_are_taken_as_well);
    tcase_add_test(tc, an_empty_request_is_a_success_with_nothing_to_keep);
    tcase_add_test(tc, a_request_over_the_limit_is_413_also_when_it_only_inflates_to_it);
    tcase_add_test(tc, a_request_that_cannot_be_made_durable_is_503_and_not_delivered);
    tcase_add_test(tc, a_full_disk_is_503_and_heals);
    tcase_add_test(tc, a_wrong_local_token_is_401_where_one_is_asked_for);
    tcase_add_test(tc, where_the_owner_is_known_no_token_is_asked_for);
    tcase_add_test(tc, the_owner_of_the_socket_is_stamped_whatever_the_payload_claims);
    tcase_add_test(tc, an_unknown_owner_cannot_claim_to_be_anyone);
    tcase_add_test(tc, an_owner_without_an_address_is_left_as_he_says);
    tcase_add_test(tc, without_identity_the_payload_passes_as_it_is);
    tcase_add_test(tc, headers_and_attributes_of_a_destination_are_those_of_the_records_owner);
    tcase_add_test(tc, private_attributes_never_reach_the_disk);
    tcase_add_test(tc, metrics_show_what_came_and_what_went);
    tcase_add_test(tc, metrics_show_every_reason_of_a_loss);
    tcase_add_test(tc, every_recorded_request_is_taken_and_delivered_whole);
    tcase_add_test(tc, a_taken_port_gives_the_next_free_one);
    tcase_add_test(tc, grpc_clients_are_told_to_go_and_not_cut);
    suite_add_tcase(suite, tc);
    return expect_run(suite);
}
