/* What a reader of answers and state files gets from members that are there, absent or of another kind. */
#include "core/json/members.h"
#include "tests/support/expect.h"

static cJSON *document;

static void setup(void)
{
    document = cJSON_Parse("{\"text\":\"abc\",\"count\":7,\"negative\":-1,\"huge\":1e300,"
                           "\"part\":1.9,\"null\":null,\"object\":{\"text\":\"inner\"}}");
    ck_assert_ptr_nonnull(document);
}

static void teardown(void)
{
    cJSON_Delete(document);
}

START_TEST(texts_are_borrowed_and_absent_ones_empty)
{
    ck_assert_str_eq(json_text_at(document, "text"), "abc");
    ck_assert_str_eq(json_text_at(json_at(document, "object"), "text"), "inner");
    ck_assert_str_eq(json_text_at(document, "count"), "");
    ck_assert_str_eq(json_text_at(document, "Text"), "");
    ck_assert_str_eq(json_text_at(NULL, "text"), "");
}
END_TEST

START_TEST(counts_stay_within_what_a_double_counts)
{
    ck_assert_uint_eq(json_count_at(document, "count"), 7);
    ck_assert_uint_eq(json_count_at(document, "part"), 1);
    ck_assert_uint_eq(json_count_at(document, "negative"), 0);
    ck_assert_uint_eq(json_count_at(document, "text"), 0);
    ck_assert_uint_eq(json_count_at(document, "null"), 0);
    ck_assert_uint_eq(json_count_at(document, "huge"), UINT64_C(1) << 53);
}
END_TEST

START_TEST(a_copy_is_whole_or_not_made)
{
    char fits[4] = "old", small[3] = "ol";
    ck_assert(json_copy_text(document, "text", fits, sizeof fits));
    ck_assert_str_eq(fits, "abc");
    ck_assert(!json_copy_text(document, "text", small, sizeof small));
    ck_assert_str_eq(small, "ol");
    ck_assert(!json_copy_text(document, "count", fits, sizeof fits));
    ck_assert_str_eq(fits, "abc");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("members");
    TCase *tests = tcase_create("members");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, texts_are_borrowed_and_absent_ones_empty);
    tcase_add_test(tests, counts_stay_within_what_a_double_counts);
    tcase_add_test(tests, a_copy_is_whole_or_not_made);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
