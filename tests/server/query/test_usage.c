#include "server/query/usage.h"

#include <stdio.h>

#include "base/clock.h"
#include "tests/support/expect.h"

/* A store of which only usage() is asked. */
struct told {
    struct message_store store; /* first, so the pointers convert */
    const struct usage_row *rows;
    size_t count;
};

static bool tell(struct message_store *store, const char *from_day, const char *to_day,
                 usage_visit *visit, void *context, struct error *err)
{
    struct told *t = (struct told *)store;
    (void)err;
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->rows[i].day, from_day) >= 0 && strcmp(t->rows[i].day, to_day) <= 0 &&
            !visit(context, &t->rows[i]))
            break;
    return true;
}

static const struct message_store_kind kind = {.scheme = "told", .usage = tell};
static struct usage_day days[8];
static size_t day_count;
static struct error err;
#define MAY_1 (UINT64_C(20574) * 86400 * NS_PER_S) /* 2026-05-01 */
#define DAY (UINT64_C(86400) * NS_PER_S)

static bool keep(void *context, const struct usage_day *day)
{
    (void)context;
    days[day_count++] = *day;
    return day_count < 8;
}

static void ask(const struct usage_row *rows, size_t count, uint64_t from, uint64_t to,
                unsigned grouping)
{
    struct told told = {.store = {.kind = &kind}, .rows = rows, .count = count};
    struct arena arena = {.max_bytes = MIB};
    day_count = 0;
    const struct usage_question question = {.messages = &told.store,
                                            .from_ns = from,
                                            .to_ns = to,
                                            .grouping = grouping};
    expect_ok(usage_visit_days(&question, &arena, keep, NULL, &err));
    for (size_t i = 0; i < day_count; i++)
        days[i].person = days[i].model = days[i].system = bytes_make(NULL, 0);
    arena_clear(&arena);
}

static struct usage_row row(const char *day, const char *person, const char *session,
                            enum usage_origin origin, int64_t tokens)
{
    struct usage_row r = {.person = bytes_of(person), .session_id = bytes_of(session)};
    snprintf(r.day, sizeof r.day, "%s", day);
    r.origin = origin;
    r.input_tokens = tokens;
    r.cost_microcents = tokens * 10;
    return r;
}

START_TEST(a_sessions_tokens_count_once_from_whichever_saw_more)
{
    const struct usage_row rows[] = {
        row("2026-05-01", "ann", "s1", USAGE_FROM_EVENTS, 100),
        row("2026-05-01", "ann", "s1", USAGE_FROM_METRICS, 90),
        row("2026-05-01", "ann", "s2", USAGE_FROM_EVENTS, 10),
        row("2026-05-01", "ann", "s2", USAGE_FROM_METRICS, 40),
        row("2026-05-01", "ann", "s3", USAGE_FROM_METRICS, 5),
    };
    ask(rows, 5, MAY_1, MAY_1, USAGE_BY_PERSON);
    ck_assert_uint_eq(day_count, 1);
    ck_assert_int_eq(days[0].figures.input_tokens, 145);
    ck_assert_int_eq(usage_cost_microcents(days[0].figures.cost_1e8_usd), 1450);
    ck_assert_int_eq(days[0].figures.sessions, 3);
    ck_assert_uint_eq(days[0].sources[USAGE_TOKENS], 1u << USAGE_OTEL);
}
END_TEST

START_TEST(a_session_over_midnight_is_settled_as_a_whole)
{
    /* The metric of the last minute arrives after midnight. */
    const struct usage_row rows[] = {
        row("2026-05-01", "ann", "s1", USAGE_FROM_EVENTS, 100),
        row("2026-05-01", "ann", "s1", USAGE_FROM_METRICS, 70),
        row("2026-05-02", "ann", "s1", USAGE_FROM_METRICS, 30),
    };
    ask(rows, 3, MAY_1, MAY_1 + DAY, USAGE_BY_PERSON);
    ck_assert_uint_eq(day_count, 2);
    ck_assert_int_eq(days[0].figures.input_tokens, 100);
    ck_assert_int_eq(days[1].figures.input_tokens, 0);
    ask(rows, 3, MAY_1 + DAY, MAY_1 + DAY, USAGE_BY_PERSON);
    ck_assert_uint_eq(day_count, 1);
    ck_assert_int_eq(days[0].figures.input_tokens,
                     0); /* also when the day before is not asked for */
}
END_TEST

START_TEST(activity_comes_from_metrics_though_tokens_come_from_events)
{
    struct usage_row rows[] = {
        row("2026-05-01", "ann", "s1", USAGE_FROM_EVENTS, 100),
        row("2026-05-01", "ann", "s1", USAGE_FROM_METRICS, 90),
    };
    rows[0].requests = 3;
    rows[0].edits_accepted = 1;
    rows[1].commits = 2;
    rows[1].active_seconds = 60;
    rows[1].edits_accepted = 1;
    rows[1].lines_added = 12;
    ask(rows, 2, MAY_1, MAY_1, USAGE_BY_PERSON);
    ck_assert_int_eq(days[0].figures.input_tokens, 100);
    ck_assert_int_eq(days[0].figures.requests, 3);
    ck_assert_int_eq(days[0].figures.commits, 2);
    ck_assert_int_eq(days[0].figures.edits_accepted, 1);
    ck_assert_int_eq(days[0].figures.lines_added, 12);
    ck_assert_double_eq(days[0].figures.active_seconds, 60);
}
END_TEST

START_TEST(what_names_no_session_is_settled_per_person_and_day)
{
    const struct usage_row rows[] = {
        row("2026-05-01", "ann", "", USAGE_FROM_EVENTS, 100),
        row("2026-05-01", "bob", "", USAGE_FROM_METRICS, 900),
        row("2026-05-02", "ann", "", USAGE_FROM_METRICS, 500),
    };
    ask(rows, 3, MAY_1, MAY_1 + DAY, USAGE_BY_PERSON);
    ck_assert_uint_eq(day_count, 3);
    ck_assert_int_eq(days[0].figures.input_tokens, 100);
    ck_assert_int_eq(days[1].figures.input_tokens, 900);
    ck_assert_int_eq(days[2].figures.input_tokens, 500);
    ask(rows, 3, MAY_1, MAY_1 + DAY, 0);
    ck_assert_uint_eq(day_count, 2);
    ck_assert_int_eq(days[0].figures.input_tokens, 1000);
}
END_TEST

START_TEST(a_range_too_large_for_the_arena_says_so)
{
    const struct usage_row rows[] = {row("2026-05-01", "ann", "s1", USAGE_FROM_EVENTS, 1)};
    struct told told = {.store = {.kind = &kind}, .rows = rows, .count = 1};
    struct arena arena = {.max_bytes = 0};
    const struct usage_question question = {.messages = &told.store,
                                            .from_ns = MAY_1,
                                            .to_ns = MAY_1};
    expect_fail(usage_visit_days(&question, &arena, keep, NULL, &err), FAIL_TOO_LARGE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("usage");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, a_sessions_tokens_count_once_from_whichever_saw_more);
    tcase_add_test(tests, a_session_over_midnight_is_settled_as_a_whole);
    tcase_add_test(tests, activity_comes_from_metrics_though_tokens_come_from_events);
    tcase_add_test(tests, what_names_no_session_is_settled_per_person_and_day);
    tcase_add_test(tests, a_range_too_large_for_the_arena_says_so);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
