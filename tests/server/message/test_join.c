/* Joining gives one row, whatever the order and however often the halves come. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/message/message.h"
#include "tests/support/expect.h"

static uint32_t state;
static struct arena arena;

static uint32_t draw(uint32_t below)
{
    state = state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(state >> 4) * below) >> 28);
}

static struct bytes text(void)
{
    static const char *const TEXTS[] = {"", "a", "b", "ab"};
    return bytes_of(TEXTS[draw(4)]);
}

static int64_t number(void)
{
    return (int64_t)draw(4) - 1;
}

static struct bytes metadata(uint32_t *keys)
{
    static const char *const KEYS[] = {"a", "b.c", "d\\\"e", "f"};
    struct buffer json = {.max_bytes = 512};
    struct bytes copy = {0};
    *keys = 0;
    ck_assert(buffer_append_text(&json, "{"));
    for (int i = 0; i < 4; i++) {
        if (draw(2))
            continue;
        ck_assert(buffer_append_format(&json, "%s\"%s\":%s", json.len > 1 ? "," : "", KEYS[i],
                                       draw(2)   ? "\"x,}\""
                                       : draw(2) ? "[1,{\"k\":2}]"
                                                 : "3"));
        ++*keys;
    }
    ck_assert(buffer_append_text(&json, "}"));
    ck_assert(arena_copy(&arena, buffer_bytes(&json), &copy));
    buffer_clear(&json);
    return copy;
}

static struct message random_half(void)
{
    bool event = draw(2);
    struct message m = {
        .type = MESSAGE_GENERATION,
        .join_hash = 7,
        .parent_join_hash = draw(2),
        .sources = event ? MESSAGE_FROM_EVENT : MESSAGE_FROM_SPAN,
        .time_ns = draw(3),
        .received_ns = draw(3),
        .service_name = text(),
        .model = text(),
        .person = text(),
        .person_rank = (enum message_person_rank)draw(7),
        .account_uuid = text(),
        .account_id = text(),
        .name = text(),
        .session_id = text(),
        .prompt_id = text(),
        .request_id = text(),
        .tool_use_id = text(),
        .tool_name = text(),
        .input_tokens = number(),
        .output_tokens = number(),
        .cache_read_tokens = number(),
        .cache_create_tokens = number(),
        .cost_microcents = number(),
        .cost_computed_microcents = number(),
        .duration_ms = number(),
        .success = (enum message_success)((int)draw(3) - 1),
        .body = text(),
        .body_truncated = draw(2),
    };
    m.key[0] = (uint8_t)draw(3);
    m.trace_id[0] = (uint8_t)draw(3);
    m.span_id[0] = (uint8_t)draw(3);
    m.parent_span_id[0] = (uint8_t)draw(3);
    uint32_t keys;
    m.metadata = metadata(&keys);
    if (event) {
        message_note_event(&m);
        m.event_metadata_keys = keys;
    }
    return m;
}

static struct message join(struct message a, struct message b)
{
    struct message out;
    ck_assert(message_join(&a, &b, &arena, &out));
    return out;
}

static void put(struct buffer *out, struct bytes part)
{
    ck_assert(buffer_append_format(out, "%.*s|", (int)part.len, (const char *)part.data));
}

static struct bytes shown(struct message m)
{
    struct buffer out = {.max_bytes = 64 * KIB};
    const struct bytes texts[] = {m.service_name, m.model,       m.person,     m.account_uuid,
                                  m.account_id,   m.name,        m.session_id, m.prompt_id,
                                  m.request_id,   m.tool_use_id, m.tool_name,  m.body,
                                  m.metadata};
    const int64_t numbers[] = {m.input_tokens,
                               m.output_tokens,
                               m.cache_read_tokens,
                               m.cache_create_tokens,
                               m.cost_microcents,
                               m.cost_computed_microcents,
                               m.duration_ms,
                               m.success,
                               (int64_t)m.time_ns,
                               (int64_t)m.received_ns,
                               m.person_rank,
                               (int64_t)m.parent_join_hash,
                               m.sources,
                               m.event_fields,
                               m.event_metadata_keys,
                               m.body_truncated,
                               m.key[0],
                               m.trace_id[0],
                               m.span_id[0],
                               m.parent_span_id[0]};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        put(&out, texts[i]);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        ck_assert(buffer_append_format(&out, "%lld ", (long long)numbers[i]));
    struct bytes copy = {0};
    ck_assert(arena_copy(&arena, buffer_bytes(&out), &copy));
    buffer_clear(&out);
    return copy;
}

static void expect_same(struct message a, struct message b, const char *law)
{
    struct bytes left = shown(a), right = shown(b);
    ck_assert_msg(bytes_equal(left, right), "%s:\n%s\n%s", law, (const char *)left.data,
                  (const char *)right.data);
}

START_TEST(any_order_and_any_repetition_gives_the_same_row)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    state = (uint32_t)now.tv_nsec;
    printf("seed %u\n", state);
    arena = (struct arena){.max_bytes = 4 * MIB};
    for (int round = 0; round < 3000; round++) {
        arena_reset(&arena);
        struct message a = random_half(), b = random_half(), c = random_half();
        struct message ab = join(a, b), ba = join(b, a);
        expect_same(ab, ba, "joining commutes");
        expect_same(join(ab, a), ab, "a half again changes nothing");
        expect_same(join(b, ab), ab, "the other half again changes nothing");
        expect_same(join(ab, c), join(a, join(b, c)), "three in any grouping");
    }
    arena_clear(&arena);
}
END_TEST

START_TEST(the_event_wins_and_the_span_fills_in)
{
    arena = (struct arena){.max_bytes = MIB};
    struct message event = {.sources = MESSAGE_FROM_EVENT,
                            .time_ns = 5,
                            .duration_ms = 99,
                            .input_tokens = 1,
                            .output_tokens = MESSAGE_ABSENT,
                            .model = bytes_of("from event"),
                            .metadata = bytes_of("{\"k\":\"event\"}"),
                            .event_metadata_keys = 1};
    struct message span = {.sources = MESSAGE_FROM_SPAN,
                           .time_ns = 3,
                           .duration_ms = 121,
                           .input_tokens = 2,
                           .output_tokens = 7,
                           .model = bytes_of("span's"),
                           .metadata = bytes_of("{\"k\":\"span\",\"s\":1}")};
    event.span_id[0] = 1; /* where it stood */
    span.span_id[0] = 2;  /* what it is */
    message_note_event(&event);
    struct message row = join(span, event);
    ck_assert_uint_eq(row.time_ns, 5);
    ck_assert_int_eq(row.duration_ms, 99);
    ck_assert_int_eq(row.input_tokens, 1);
    ck_assert_int_eq(row.output_tokens, 7);
    expect_text(row.model, "from event");
    ck_assert_uint_eq(row.span_id[0], 2);
    expect_text(row.metadata, "{\"k\":\"event\",\"s\":1}");
    arena_clear(&arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("join");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, any_order_and_any_repetition_gives_the_same_row);
    tcase_add_test(tests, the_event_wins_and_the_span_fills_in);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
