#include "tests/server/message_store_who.h"

#include <stdio.h>
#include <string.h>

#include "tests/server/sample_rows.h"
#include "tests/support/expect.h"
#include "tests/support/temp_dir.h"

#define DAY_NS UINT64_C(86400000000000)

static const struct store_under_test *under_test; /* Check fixtures take no argument */
static struct message_store *store;
static struct error err;
static char *dir;

static void set_up(void)
{
    char url[512];
    dir = temp_dir_make();
    under_test->url(dir, url, sizeof url);
    store = message_store_open(url, &err);
    ck_assert_msg(store != NULL, "%s", err.cause);
}

static void tear_down(void)
{
    store->kind->close(store);
    temp_dir_remove(dir);
}

static void put(int64_t system, const struct message *rows, size_t row_count,
                const struct usage_delta *points, size_t point_count)
{
    struct message_batch batch = {.system_id = system,
                                  .system = bytes_of(system == 1 ? "one" : "two"),
                                  .messages = rows,
                                  .message_count = row_count,
                                  .usage = points,
                                  .usage_count = point_count};
    struct put_result result;
    expect_ok(store->kind->put(store, &batch, 1, &result, &err));
}

static struct message row_of(uint64_t number, enum message_type type, uint64_t time_ns,
                             const char *person)
{
    struct message m = sample_row(number, type, time_ns);
    m.person = bytes_of(person);
    m.person_rank = PERSON_BY_EMAIL;
    return m;
}

static bool tell(void *context, const struct message_person *p)
{
    return buffer_append_format(context, "%.*s %llu %lld %llu %llu %llu\n", (int)p->person.len,
                                (const char *)p->person.data, (unsigned long long)p->last_row_ns,
                                (long long)p->last_metric_day, (unsigned long long)p->rows,
                                (unsigned long long)p->tokens,
                                (unsigned long long)p->cost_microcents);
}

START_TEST(people_are_told_with_their_newest_row_and_their_sums_since_a_day)
{
    const uint64_t today = SAMPLE_FROM_NS + DAY_NS;
    struct message rows[] = {
        row_of(1, MESSAGE_GENERATION, SAMPLE_FROM_NS + 1, "old@x.org"),
        row_of(2, MESSAGE_GENERATION, today + 1, "b@x.org"),
        row_of(3, MESSAGE_TOOL, today + 2, "b@x.org"),
        row_of(4, MESSAGE_HEARTBEAT, today + 3, "b@x.org"), /* a machine's, not a person's doing */
        row_of(5, MESSAGE_HEARTBEAT, today + 4, "idle@x.org"),
        row_of(6, MESSAGE_LOG, today + 5, ""),
    };
    rows[1].input_tokens = 1000;
    rows[1].output_tokens = 20;
    rows[1].cache_read_tokens = 3;
    rows[1].cost_microcents = 500;
    rows[2].cost_computed_microcents = 7;
    const struct usage_delta point = {.key = {1},
                                      .time_ns = today,
                                      .person = bytes_of("a@x.org"),
                                      .metric = bytes_of("claude_code.commit.count"),
                                      .value = 1};
    put(1, rows, sizeof rows / sizeof *rows, &point, 1);
    struct buffer told = {.max_bytes = KIB};
    char want[256];
    unsigned long long day = today / DAY_NS;
    expect_ok(store->kind->people(store, "2026-10-21", tell, &told, &err));
    snprintf(want, sizeof want, "a@x.org 0 %llu 0 0 0\nb@x.org %llu -1 2 1023 507\n", day,
             (unsigned long long)today + 2);
    expect_text(buffer_bytes(&told), want);
    buffer_clear(&told);
    expect_fail(store->kind->people(store, "yesterday", tell, &told, &err), FAIL_INVALID);
}
END_TEST

static bool tell_account(void *context, struct bytes account, struct bytes person)
{
    return buffer_append_format(context, "%.*s %.*s\n", (int)account.len,
                                (const char *)account.data, (int)person.len,
                                (const char *)person.data);
}

START_TEST(accounts_belong_to_the_last_person_seen_with_them_in_each_system)
{
    struct message rows[] = {row_of(1, MESSAGE_LOG, SAMPLE_FROM_NS, "a@x.org"),
                             row_of(2, MESSAGE_LOG, SAMPLE_FROM_NS, "b@x.org"),
                             row_of(3, MESSAGE_LOG, SAMPLE_FROM_NS, "c@x.org")};
    rows[0].account_uuid = bytes_of("u-1");
    rows[0].account_id = bytes_of("i-1");
    rows[1].account_uuid = bytes_of("u-1"); /* the address changed */
    put(1, rows, 2, NULL, 0);
    rows[2].account_uuid = bytes_of("u-1");
    put(2, rows + 2, 1, NULL, 0);
    struct buffer told = {.max_bytes = KIB};
    expect_ok(store->kind->accounts(store, tell_account, &told, &err));
    expect_text(buffer_bytes(&told), "i-1 a@x.org\nu-1 b@x.org\nu-1 c@x.org\n");
    buffer_clear(&told);
}
END_TEST

/* A row of one request that names the account's person, and then another that knows only the account. */
START_TEST(a_point_is_its_account_s_person_s_too)
{
    struct message known = row_of(1, MESSAGE_LOG, SAMPLE_FROM_NS, "a@x.org");
    known.account_id = bytes_of("i-1");
    const struct usage_delta point = {.key = {1},
                                      .time_ns = SAMPLE_FROM_NS,
                                      .person = bytes_of("an-id"),
                                      .person_rank = PERSON_BY_ID,
                                      .account_id = bytes_of("i-1"),
                                      .metric = bytes_of("claude_code.commit.count"),
                                      .value = 1};
    put(1, &known, 1, &point, 1);
    struct buffer told = {.max_bytes = KIB};
    char want[128];
    snprintf(want, sizeof want, "a@x.org %llu %llu 1 0 0\n", (unsigned long long)SAMPLE_FROM_NS,
             (unsigned long long)(SAMPLE_FROM_NS / DAY_NS));
    expect_ok(store->kind->people(store, "2026-10-20", tell, &told, &err));
    expect_text(buffer_bytes(&told), want);
    buffer_clear(&told);
}
END_TEST

TCase *message_store_who(const struct store_under_test *kind)
{
    under_test = kind;
    TCase *tests = tcase_create("who");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, people_are_told_with_their_newest_row_and_their_sums_since_a_day);
    tcase_add_test(tests, accounts_belong_to_the_last_person_seen_with_them_in_each_system);
    tcase_add_test(tests, a_point_is_its_account_s_person_s_too);
    return tests;
}
