#include <stdio.h>
#include <string.h>

#include "server/store/control.h"
#include "tests/server/control_place.h"
#include "tests/support/expect.h"

static struct error err;
static struct control_store *store, *other; /* two processes' views of one file */

static void set_up(void)
{
    const char *url = control_place_make();
    store = control_store_open(url, &err);
    ck_assert_msg(store != NULL, "%s", err.cause);
    other = control_store_open(url, &err);
    ck_assert_msg(other != NULL, "%s", err.cause);
}

static void tear_down(void)
{
    store->kind->close(store);
    other->kind->close(other);
    control_place_remove();
}

static bool count_system(void *context, const struct control_system *system)
{
    ck_assert_uint_gt(strlen(system->name), 0);
    ++*(int *)context;
    return true;
}

START_TEST(a_system_has_one_name)
{
    struct control_system made, found;
    int count = 0;
    expect_ok(store->kind->system_create(store, "Claude Code", 5, &made, &err));
    expect_ok(other->kind->system_find(other, "Claude Code", &found, &err));
    ck_assert_int_eq(found.id, made.id);
    ck_assert_uint_eq(found.created_ns, 5);
    expect_fail(other->kind->system_create(other, "Claude Code", 6, &made, &err), FAIL_BUSY);
    expect_fail(store->kind->system_create(store, "", 6, &made, &err), FAIL_INVALID);
    expect_fail(store->kind->system_create(store, "a\nb", 6, &made, &err), FAIL_INVALID);
    expect_fail(store->kind->system_find(store, "none", &found, &err), FAIL_NOT_FOUND);
    ck_assert_str_ne(err.remedy, "");
    expect_ok(store->kind->system_list(store, count_system, &count, &err));
    ck_assert_int_eq(count, 1);
}
END_TEST

static struct control_token token_of(int64_t system, uint8_t seed, const char *prefix)
{
    struct control_token token = {.system_id = system,
                                  .retention_days = 30,
                                  .plan = PLAN_PRO,
                                  .device_id = 3,
                                  .records_per_s = 9,
                                  .created_ns = 11};
    memset(token.sha256, seed, sizeof token.sha256);
    snprintf(token.prefix, sizeof token.prefix, "%s", prefix);
    snprintf(token.person, sizeof token.person, "a@x.org");
    return token;
}

static bool count_token(void *context, const struct control_token *token)
{
    *(int *)context += token->revoked_ns ? 100 : 1;
    return true;
}

START_TEST(a_token_is_found_by_its_hash_until_it_is_revoked)
{
    struct control_system system;
    struct control_token found;
    int64_t id, second;
    expect_ok(store->kind->system_create(store, "s", 1, &system, &err));
    struct control_token token = token_of(system.id, 1, "ct_abc");
    expect_ok(store->kind->token_create(store, &token, &id, &err));
    expect_ok(other->kind->token_find(other, token.sha256, &found, &err));
    ck_assert_int_eq(found.id, id);
    ck_assert_str_eq(found.system, "s");
    ck_assert_str_eq(found.prefix, "ct_abc");
    ck_assert_str_eq(found.person, "a@x.org");
    ck_assert_int_eq(found.retention_days, 30);
    ck_assert_int_eq(found.plan, PLAN_PRO);
    ck_assert_int_eq(found.device_id, 3);
    ck_assert_uint_eq(found.records_per_s, 9);
    ck_assert_uint_eq(found.revoked_ns, 0);
    expect_fail(store->kind->token_create(store, &token, &second, &err), FAIL_INVALID);

    const struct token_activity late = {.used_ns = 77, .signal_ns = {1, 2, 3}, .cost_ns = 4};
    const struct token_activity early = {.used_ns = 70, .tokens_ns = 5};
    expect_ok(store->kind->token_used(store, id, &late, &err));
    expect_ok(store->kind->token_used(store, id, &early, &err));
    expect_ok(store->kind->token_find(store, token.sha256, &found, &err));
    ck_assert_uint_eq(found.activity.used_ns, 77);
    ck_assert_uint_eq(found.activity.signal_ns[OTLP_LOGS], 1);
    ck_assert_uint_eq(found.activity.signal_ns[OTLP_METRICS], 2);
    ck_assert_uint_eq(found.activity.signal_ns[OTLP_TRACES], 3);
    ck_assert_uint_eq(found.activity.tokens_ns, 5);
    ck_assert_uint_eq(found.activity.cost_ns, 4);

    struct control_token twin = token_of(system.id, 2, "ct_abc");
    expect_ok(store->kind->token_create(store, &twin, &second, &err));
    expect_fail(store->kind->token_revoke(store, "ct_abc", 9, &err), FAIL_NOT_FOUND); /* which? */
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)id);
    expect_ok(other->kind->token_revoke(other, text, 9, &err));
    expect_ok(store->kind->token_find(store, token.sha256, &found, &err));
    ck_assert_uint_eq(found.revoked_ns, 9);
    expect_ok(store->kind->token_revoke(store, "ct_abc", 9, &err)); /* one is left of that name */
    expect_fail(store->kind->token_revoke(store, "ct_abc", 9, &err), FAIL_NOT_FOUND);

    int count = 0;
    expect_ok(store->kind->token_list(store, count_token, &count, &err));
    ck_assert_int_eq(count, 200);
    token.sha256[0] = 9;
    expect_fail(store->kind->token_find(store, token.sha256, &found, &err), FAIL_NOT_FOUND);
    token.system_id = 999;
    expect_fail(store->kind->token_create(store, &token, &id, &err), FAIL_INVALID);
}
END_TEST

START_TEST(users_are_found_whatever_the_case_of_their_address)
{
    struct control_user user = {.email = "Ann@X.org",
                                .role = ROLE_AUDITOR,
                                .password = "$scrypt$",
                                .created_ns = 4},
                        found;
    expect_ok(store->kind->user_create(store, &user, &err));
    expect_ok(other->kind->user_find(other, "ann@x.ORG", &found, &err));
    ck_assert_str_eq(found.email, "ann@x.org");
    ck_assert_int_eq(found.role, ROLE_AUDITOR);
    ck_assert_str_eq(found.password, "$scrypt$");
    expect_fail(store->kind->user_create(store, &user, &err), FAIL_BUSY);
    expect_fail(store->kind->user_find(store, "no@x.org", &found, &err), FAIL_NOT_FOUND);
}
END_TEST

START_TEST(a_value_is_what_was_put_last)
{
    struct buffer value = {.max_bytes = 64};
    expect_fail(store->kind->value_get(store, "key", &value, &err), FAIL_NOT_FOUND);
    expect_ok(store->kind->value_put(store, "key", bytes_make("a\0b", 3), &err));
    expect_ok(other->kind->value_put(other, "key", bytes_make("c\0d\xff", 4), &err));
    expect_ok(store->kind->value_get(store, "key", &value, &err));
    ck_assert(bytes_equal(buffer_bytes(&value), bytes_make("c\0d\xff", 4)));
    buffer_reset(&value);
    expect_ok(store->kind->value_put(store, "key", bytes_of(""), &err));
    expect_ok(store->kind->value_get(store, "key", &value, &err));
    ck_assert_uint_eq(value.len, 0);
    buffer_clear(&value);
}
END_TEST

START_TEST(a_value_is_added_once)
{
    struct buffer value = {.max_bytes = 64};
    expect_ok(store->kind->value_add(store, "key", bytes_of("first"), &err));
    expect_ok(other->kind->value_add(other, "key", bytes_of("second"), &err));
    expect_ok(store->kind->value_get(store, "key", &value, &err));
    ck_assert(bytes_equal_text(buffer_bytes(&value), "first"));
    buffer_clear(&value);
}
END_TEST

static bool lease(struct control_store *of, const char *owner, uint64_t now_ns, uint64_t until_ns)
{
    bool taken = of->kind->lease_take(of, "import", owner, now_ns, until_ns, &err);
    if (!taken)
        ck_assert_msg(err.kind == FAIL_BUSY, "%s", err.cause);
    return taken;
}

START_TEST(one_holds_a_lease_unless_it_is_dead)
{
    ck_assert(lease(store, "one", 100, 200));
    ck_assert(!lease(other, "two", 150, 250));
    ck_assert(lease(store, "one", 150, 300));
    ck_assert(!lease(other, "two", 299, 400));
    expect_ok(other->kind->lease_take(other, "alerts", "two", 299, 400, &err)); /* another thing */
    ck_assert(lease(other, "two", 300, 400));
    expect_ok(store->kind->lease_end(store, "import", "one", &err)); /* not its lease any more */
    ck_assert(!lease(store, "one", 301, 400));
    expect_ok(other->kind->lease_end(other, "import", "two", &err));
    ck_assert(lease(store, "one", 302, 400));
}
END_TEST

START_TEST(a_removed_user_has_no_session_left)
{
    struct control_user user = {.email = "Ann@x.org", .role = ROLE_ADMIN, .password = "x"};
    struct control_session session = {.sha256 = {7},
                                      .email = "ann@x.org",
                                      .begun_ns = 5,
                                      .used_ns = 5},
                           found;
    expect_fail(store->kind->user_remove(store, "ann@x.org", &err), FAIL_NOT_FOUND);
    ck_assert_str_ne(err.remedy, "");
    expect_ok(store->kind->user_create(store, &user, &err));
    expect_ok(store->kind->session_begin(store, &session, 0, 0, 5, &err));
    expect_ok(other->kind->session_find(other, session.sha256, &found, &err));
    expect_ok(other->kind->user_remove(other, "ANN@x.org", &err));
    expect_fail(store->kind->session_find(store, session.sha256, &found, &err), FAIL_NOT_FOUND);
    expect_fail(store->kind->user_find(store, "ann@x.org", &user, &err), FAIL_NOT_FOUND);
}
END_TEST

START_TEST(an_unknown_kind_of_store_is_refused_without_showing_its_url)
{
    ck_assert_ptr_null(control_store_open("mysql://user:secret@host", &err));
    ck_assert_int_eq(err.kind, FAIL_INVALID);
    ck_assert_ptr_null(strstr(err.cause, "secret"));
    ck_assert_str_ne(err.remedy, "");
    ck_assert_ptr_null(control_store_open("sqlite:/no/such/folder/x.db", &err));
    ck_assert_int_eq(err.kind, FAIL_DENIED);
}
END_TEST

static Suite *make_suite(const char *kind)
{
    Suite *suite = suite_create(kind);
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_system_has_one_name);
    tcase_add_test(tests, a_token_is_found_by_its_hash_until_it_is_revoked);
    tcase_add_test(tests, users_are_found_whatever_the_case_of_their_address);
    tcase_add_test(tests, a_value_is_what_was_put_last);
    tcase_add_test(tests, a_value_is_added_once);
    tcase_add_test(tests, one_holds_a_lease_unless_it_is_dead);
    tcase_add_test(tests, a_removed_user_has_no_session_left);
    tcase_add_test(tests, an_unknown_kind_of_store_is_refused_without_showing_its_url);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return control_places_run(make_suite);
}
