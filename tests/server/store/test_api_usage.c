#include "server/store/api_usage.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "server/store/control.h"
#include "tests/server/control_place.h"
#include "tests/support/expect.h"

static const char *url;
static struct control_store *store;
static const struct control_api_usage_kind *usage;
static struct error err;
static const struct api_chunk november = {.report = API_ADMIN_CLAUDE_CODE,
                                          .from = "2026-11-01",
                                          .to = "2026-11-03"};

static void open_store(void)
{
    store = control_store_open(url, &err);
    ck_assert_msg(store != NULL, "%s", err.cause);
    usage = store->kind->api_usage;
}

static void set_up(void)
{
    url = control_place_make();
    open_store();
}

static void tear_down(void)
{
    store->kind->close(store);
    control_place_remove();
}

static struct api_usage row_of(const char *day, const char *email, int64_t tokens)
{
    struct api_usage row = {.input_tokens = tokens, .cost_1e8_usd = tokens * 10};
    snprintf(row.day, sizeof row.day, "%s", day);
    snprintf(row.email, sizeof row.email, "%s", email);
    return row;
}

struct sum {
    int64_t tokens;
    int rows;
};

static bool add_up(void *context, enum api_report report, uint64_t imported_ns,
                   const struct api_usage *row)
{
    struct sum *sum = context;
    ck_assert_int_eq(report, API_ADMIN_CLAUDE_CODE);
    ck_assert_uint_ne(imported_ns, 0);
    sum->tokens += row->input_tokens;
    sum->rows++;
    return true;
}

static struct sum sum_of(const char *from, const char *to)
{
    struct sum sum = {0};
    expect_ok(usage->visit(store, from, to, add_up, &sum, &err));
    return sum;
}

static void stage(const struct api_usage *row, const char *next)
{
    expect_ok(usage->chunk_stage(store, &november, row, 1, next, &err));
}

START_TEST(a_chunk_is_seen_whole_or_not_at_all)
{
    struct api_usage a = row_of("2026-11-01", "a@x.io", 1), b = row_of("2026-11-02", "a@x.io", 2);
    stage(&a, "page_2");
    ck_assert_int_eq(sum_of("2026-01-01", "2026-12-31").rows, 0);
    stage(&b, "");
    ck_assert_int_eq(sum_of("2026-01-01", "2026-12-31").rows, 0);
    expect_ok(usage->chunk_finish(store, &november, 7, &err));
    ck_assert_int_eq(sum_of("2026-01-01", "2026-12-31").tokens, 3);
    ck_assert_int_eq(sum_of("2026-11-02", "2026-11-02").tokens, 2);
}
END_TEST

START_TEST(importing_again_replaces_and_never_doubles)
{
    struct api_usage a = row_of("2026-11-01", "a@x.io", 1);
    for (int i = 0; i < 3; i++) {
        a.input_tokens = 10 + i;
        stage(&a, "");
        expect_ok(usage->chunk_finish(store, &november, 7, &err));
    }
    struct sum sum = sum_of("2026-11-01", "2026-11-30");
    ck_assert_int_eq(sum.rows, 1);
    ck_assert_int_eq(sum.tokens, 12);
}
END_TEST

START_TEST(a_killed_import_goes_on_at_its_cursor)
{
    struct api_usage a = row_of("2026-11-01", "a@x.io", 1);
    struct buffer cursor = {.max_bytes = 100};
    bool staged = true;
    expect_ok(usage->chunk_cursor(store, &november, &staged, &cursor, &err));
    ck_assert(!staged);
    stage(&a, "page_2");
    store->kind->close(store);
    open_store();
    expect_ok(usage->chunk_cursor(store, &november, &staged, &cursor, &err));
    ck_assert(staged);
    expect_text(buffer_bytes(&cursor), "page_2");
    expect_ok(usage->chunk_drop(store, &november, &err));
    expect_ok(usage->chunk_cursor(store, &november, &staged, &cursor, &err));
    ck_assert(!staged);
    expect_ok(usage->chunk_finish(store, &november, 7, &err));
    ck_assert_int_eq(sum_of("2026-11-01", "2026-11-30").rows, 0);
    buffer_clear(&cursor);
}
END_TEST

START_TEST(a_row_outside_the_question_is_not_kept)
{
    struct api_usage stray = row_of("2026-11-03", "a@x.io", 5);
    stage(&stray, "");
    expect_ok(usage->chunk_finish(store, &november, 7, &err));
    ck_assert_int_eq(sum_of("2026-01-01", "2026-12-31").rows, 0);
}
END_TEST

START_TEST(the_state_of_an_import_is_kept)
{
    struct api_import_state state = {.attempt_ns = 5,
                                     .rejected = true,
                                     .error = "invalid x-api-key"};
    struct api_usage a = row_of("2026-11-01", "a@x.io", 1);
    stage(&a, "");
    expect_ok(usage->chunk_finish(store, &november, 7, &err));
    expect_ok(usage->state_put(store, API_ADMIN_CLAUDE_CODE, &state, &err));
    struct api_import_state found;
    expect_ok(usage->state_get(store, API_ADMIN_CLAUDE_CODE, &found, &err));
    ck_assert(found.rejected);
    ck_assert_str_eq(found.error, "invalid x-api-key");
    ck_assert_str_eq(found.newest_day, "2026-11-02");
    ck_assert_uint_eq(found.rows, 1);
    expect_ok(usage->state_get(store, API_ENTERPRISE_COST, &found, &err));
    ck_assert_uint_eq(found.attempt_ns, 0);
}
END_TEST

START_TEST(a_person_can_be_erased)
{
    struct api_usage a = row_of("2026-11-01", "a@x.io", 1), b = row_of("2026-11-01", "b@x.io", 2);
    uint64_t deleted = 0;
    stage(&a, "next");
    stage(&b, "");
    expect_ok(usage->chunk_finish(store, &november, 7, &err));
    expect_ok(usage->erase(store, "a@x.io", &deleted, &err));
    ck_assert_uint_eq(deleted, 1);
    ck_assert_int_eq(sum_of("2026-11-01", "2026-11-01").tokens, 2);

    stage(&a, "next"); /* the API still has them */
    stage(&b, "");
    expect_ok(usage->chunk_finish(store, &november, 8, &err));
    ck_assert_int_eq(sum_of("2026-11-01", "2026-11-01").tokens, 2);
}
END_TEST

static Suite *make_suite(const char *kind)
{
    Suite *suite = suite_create(kind);
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_chunk_is_seen_whole_or_not_at_all);
    tcase_add_test(tests, importing_again_replaces_and_never_doubles);
    tcase_add_test(tests, a_killed_import_goes_on_at_its_cursor);
    tcase_add_test(tests, a_row_outside_the_question_is_not_kept);
    tcase_add_test(tests, the_state_of_an_import_is_kept);
    tcase_add_test(tests, a_person_can_be_erased);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return control_places_run(make_suite);
}
