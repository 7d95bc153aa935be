#include "server/query/fields.h"
#include "tests/support/expect.h"

static struct field_use use;
static struct error err;

static bool find(const char *name, enum field_purpose purpose, enum privacy privacy)
{
    return field_find(bytes_of(name), purpose, privacy, &use, &err);
}

START_TEST(columns_and_metadata_are_found_by_both_names)
{
    expect_ok(find("model", FIELD_TO_GROUP, PRIVACY_COHORTS));
    ck_assert_int_eq(use.field, FIELD_MODEL);
    expect_ok(find("metadata.user.name", FIELD_TO_GROUP, PRIVACY_NAMED));
    ck_assert_int_eq(use.field, FIELD_METADATA);
    expect_text(use.metadata_key, "user.name");
    expect_ok(find("meta.user.name", FIELD_TO_FILTER, PRIVACY_NAMED));
    expect_text(use.metadata_key, "user.name");
    expect_ok(find("costMicrocents", FIELD_TO_MEASURE, PRIVACY_COHORTS));
}
END_TEST

START_TEST(an_unknown_field_or_use_names_the_right_ones)
{
    expect_fail(find("nonsense", FIELD_TO_GROUP, PRIVACY_NAMED), FAIL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.remedy, "model"));
    ck_assert_ptr_null(strstr(err.remedy, "costMicrocents"));
    expect_fail(find("model", FIELD_TO_MEASURE, PRIVACY_NAMED), FAIL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.remedy, "costMicrocents"));
    expect_fail(find("metadata.", FIELD_TO_GROUP, PRIVACY_NAMED), FAIL_INVALID);
    expect_fail(find("inputTokens", FIELD_TO_GROUP, PRIVACY_NAMED), FAIL_INVALID);
}
END_TEST

START_TEST(cohorts_have_no_field_that_tells_people_apart)
{
    static const char *const personal[] = {"person",
                                           "sessionId",
                                           "promptId",
                                           "traceId",
                                           "metadata.user.id",
                                           "meta.user.email",
                                           "metadata.work_email",
                                           "metadata.session.id",
                                           "metadata.anything",
                                           "metadata.host.name"};
    for (size_t i = 0; i < sizeof personal / sizeof *personal; i++) {
        expect_fail(find(personal[i], FIELD_TO_GROUP, PRIVACY_COHORTS), FAIL_DENIED);
        expect_fail(find(personal[i], FIELD_TO_FILTER, PRIVACY_COHORTS), FAIL_DENIED);
        expect_ok(find(personal[i], FIELD_TO_GROUP, PRIVACY_NAMED));
    }
    expect_ok(find("metadata.team", FIELD_TO_GROUP, PRIVACY_COHORTS));
    expect_ok(find("person", FIELD_TO_COUNT_UNIQUE, PRIVACY_COHORTS)); /* how many, not who */
    expect_fail(find("metadata.user.id", FIELD_TO_MEASURE, PRIVACY_COHORTS), FAIL_DENIED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fields");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, columns_and_metadata_are_found_by_both_names);
    tcase_add_test(tests, an_unknown_field_or_use_names_the_right_ones);
    tcase_add_test(tests, cohorts_have_no_field_that_tells_people_apart);
    suite_add_tcase(suite, tests);
    return expect_run(suite);
}
